//! The connection to this machine's Docker engine.

use std::{env, future::Future, io, path::PathBuf, time::Duration};

use bollard::Docker;
use tokio::{net::UnixStream, time::timeout};

use super::{Bytes, EngineError, MilliCpu};

/// Where the engine listens unless `DOCKER_HOST` says otherwise.
const SOCKET_DEFAULT: &str = "/var/run/docker.sock";
/// A question that only reads the engine's memory.
pub(super) const READ_LIMIT: Duration = Duration::from_secs(10);
/// A change: creating, starting, removing. Half a second as a rule; a busy disk makes it many.
pub(super) const CHANGE_LIMIT: Duration = Duration::from_secs(60);
/// The client library's own limit. It is out of the way, because every call has one of ours that fits the call.
const CLIENT_LIMIT_S: u64 = 24 * 3600;
/// How often a question is asked when the connection breaks, and the pause before each repetition.
const READ_ATTEMPTS: u32 = 3;
const READ_PAUSE: Duration = Duration::from_millis(150);

/// A connection to the engine. Cheap to clone; each call opens its own connection on the socket.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(super) docker: Docker,
    socket: PathBuf,
}

/// What the engine says about the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineInfo {
    /// The machine's own name.
    pub host_name: String,
    /// Processor time there is, in thousandths of a processor.
    pub cpu: MilliCpu,
    /// Memory there is.
    pub memory: Bytes,
    /// For instance `20.10.24`.
    pub engine_version: String,
    /// The API version agreed upon, for instance `1.41`.
    pub api_version: String,
    /// `1`, `2`, or `unknown`.
    pub cgroup_version: String,
    /// `cgroupfs` or `systemd`.
    pub cgroup_driver: String,
    /// The kernel's release.
    pub kernel_version: String,
    /// The operating system's name, for people.
    pub operating_system: String,
    /// The engine's storage driver.
    pub storage_driver: String,
    /// What the engine itself complains about, for instance missing swap accounting.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Connects to the engine named by `DOCKER_HOST`, or at the usual socket, and agrees on an API version.
    pub async fn connect() -> Result<Self, EngineError> {
        let socket = match env::var("DOCKER_HOST") {
            Err(_) => PathBuf::from(SOCKET_DEFAULT),
            Ok(host) if host.is_empty() => PathBuf::from(SOCKET_DEFAULT),
            Ok(host) => match host.strip_prefix("unix://") {
                Some(path) if path.starts_with('/') => PathBuf::from(path),
                _ => return Err(EngineError::NotLocal { host }),
            },
        };
        Self::connect_to(socket).await
    }

    /// Connects to the engine that listens on `socket`.
    pub async fn connect_to(socket: PathBuf) -> Result<Self, EngineError> {
        // The client library reports every failure to connect alike, so find out first what it would meet.
        UnixStream::connect(&socket).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => EngineError::SocketMissing { path: socket.clone() },
            io::ErrorKind::PermissionDenied => EngineError::PermissionDenied { path: socket.clone() },
            _ => EngineError::Gone { call: "connect", reason: format!("{}: {error}", socket.display()) },
        })?;
        let failed = |error| EngineError::from_client("connect", &socket.display().to_string(), error);
        let docker =
            Docker::connect_with_unix(&socket.display().to_string(), CLIENT_LIMIT_S, bollard::API_DEFAULT_VERSION)
                .map_err(failed)?;
        let docker = timeout(READ_LIMIT, docker.negotiate_version()).await.map_err(|_| EngineError::TimedOut {
            call: "connect",
            subject: socket.display().to_string(),
            limit: READ_LIMIT,
        })?;
        Ok(Self { docker: docker.map_err(failed)?, socket })
    }

    /// The socket in use.
    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// What the machine has, as the engine sees it.
    pub async fn info(&self) -> Result<MachineInfo, EngineError> {
        let info = self.read("info", "the machine", || self.docker.info()).await?;
        let lacks = |what: &str| EngineError::Unreadable {
            call: "info",
            subject: "the machine".to_owned(),
            message: format!("{what} is missing or not positive"),
        };
        let processors = info.ncpu.and_then(|count| u64::try_from(count).ok()).filter(|count| *count > 0);
        let memory = info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0);
        let unknown = || "unknown".to_owned();
        Ok(MachineInfo {
            host_name: info.name.ok_or_else(|| lacks("Name"))?,
            cpu: MilliCpu(processors.ok_or_else(|| lacks("NCPU"))? * 1000),
            memory: Bytes(memory.ok_or_else(|| lacks("MemTotal"))?),
            engine_version: info.server_version.ok_or_else(|| lacks("ServerVersion"))?,
            api_version: self.docker.client_version().to_string(),
            cgroup_version: info.cgroup_version.map_or_else(unknown, |version| version.to_string()),
            cgroup_driver: info.cgroup_driver.map_or_else(unknown, |driver| driver.to_string()),
            kernel_version: info.kernel_version.unwrap_or_else(unknown),
            operating_system: info.operating_system.unwrap_or_else(unknown),
            storage_driver: info.driver.unwrap_or_else(unknown),
            warnings: info.warnings.unwrap_or_default(),
        })
    }

    /// Runs a call that changes something: once, within `limit`.
    pub(super) async fn change<T>(
        &self,
        call: &'static str,
        subject: &str,
        limit: Duration,
        future: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        match timeout(limit, future).await {
            Ok(answer) => answer.map_err(|error| EngineError::from_client(call, subject, error)),
            Err(_) => Err(EngineError::TimedOut { call, subject: subject.to_owned(), limit }),
        }
    }

    /// Asks a question: repeated when the connection breaks, because asking twice changes nothing.
    pub(super) async fn read<T, F: Future<Output = Result<T, bollard::errors::Error>>>(
        &self,
        call: &'static str,
        subject: &str,
        ask: impl Fn() -> F,
    ) -> Result<T, EngineError> {
        let mut attempt = 1;
        loop {
            match self.change(call, subject, READ_LIMIT, ask()).await {
                Err(EngineError::Gone { .. }) if attempt < READ_ATTEMPTS => {
                    tokio::time::sleep(READ_PAUSE * attempt).await
                }
                outcome => return outcome,
            }
            attempt += 1;
        }
    }
}

/// The engine's answer lacks `field`.
pub(super) fn missing(call: &'static str, subject: &str, field: &str) -> EngineError {
    EngineError::Unreadable { call, subject: subject.to_owned(), message: format!("{field} is missing") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time stands still while anything can be done and jumps to the next deadline when nothing can.
    fn connect(path: &str) -> EngineError {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build().expect("a runtime");
        runtime.block_on(Engine::connect_to(PathBuf::from(path))).expect_err("no engine is there")
    }

    fn folder(name: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("wavetank-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        folder
    }

    #[test]
    fn an_engine_that_never_answers_is_given_up() {
        let folder = folder("silent");
        let path = folder.join("docker.sock");
        let silent = std::os::unix::net::UnixListener::bind(&path).expect("a fresh socket");
        let error = connect(&path.display().to_string());
        drop(silent);
        std::fs::remove_dir_all(&folder).expect("the folder is ours");
        assert!(matches!(error, EngineError::TimedOut { call: "connect", limit: READ_LIMIT, .. }), "{error:?}");
    }

    #[test]
    fn an_absent_daemon_is_told_with_the_way_to_start_it() {
        let error = connect("/nonexistent/docker.sock");
        assert!(matches!(error, EngineError::SocketMissing { .. }), "{error:?}");
        assert!(error.to_string().contains("systemctl start docker"), "{error}");
    }

    #[test]
    fn a_socket_without_a_daemon_behind_it_is_an_engine_that_is_gone() {
        let folder = folder("stale");
        let path = folder.join("docker.sock");
        // Closing a listener leaves its file behind, as a killed daemon does.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a fresh socket"));
        let error = connect(&path.display().to_string());
        std::fs::remove_dir_all(&folder).expect("the folder is ours");
        assert!(matches!(error, EngineError::Gone { call: "connect", .. }), "{error:?}");
        assert!(error.to_string().contains("refused"), "{error}");
    }
}
