//! A pod's own containers: creating, starting, stopping, removing, and reading what they wrote.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bollard::{
    container::LogOutput,
    models::{ContainerCreateBody, HostConfig, HostConfigLogConfig},
    query_parameters::{
        CreateContainerOptions, KillContainerOptions, LogsOptions, RemoveContainerOptions, StopContainerOptions,
    },
};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    Attempt, ClusterName, ContainerId, ContainerName, Engine, EngineError, FileSpec, Identity, ImageName, PodIdentity,
    Resources, Role,
    engine::{CHANGE_LIMIT, READ_LIMIT},
};

/// Most bytes of log that one reading keeps.
const LOG_BYTES_MAX: usize = 1 << 20;
/// Containers that are stopped or removed at the same time.
const REMOVALS_AT_ONCE: usize = 16;

/// What a container is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSpec {
    /// The pod.
    pub pod: PodIdentity,
    /// The container's name in the pod.
    pub name: ContainerName,
    /// How many times it was created before.
    pub attempt: Attempt,
    /// The running sandbox whose network and IPC namespace it joins.
    pub sandbox: ContainerId,
    /// The image, which must be on this machine.
    pub image: ImageName,
    /// The program; empty takes the image's own. A program given here also switches the image's arguments off.
    pub command: Vec<String>,
    /// Its arguments; empty takes the image's own, if `command` is empty too.
    pub args: Vec<String>,
    /// Environment variables, name and value, later ones winning.
    pub env: Vec<(String, String)>,
    /// Files that it finds beside those of its image.
    pub files: Vec<FileSpec>,
    /// Working directory; `None` takes the image's own.
    pub working_dir: Option<String>,
    /// Requests and limits.
    pub resources: Resources,
}

/// Which of a program's two outputs a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// A piece of a container's log, usually one line. Bytes that are not UTF-8 are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it came from.
    pub stream: LogStream,
    /// The text, without the line's end.
    pub text: String,
}

impl Engine {
    /// Creates a container beside its sandbox, not started.
    ///
    /// `ImageMissing`: this machine lacks the image. `Conflict`: this attempt exists already.
    pub async fn create_container(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        let role = Role::Container(spec.name.clone());
        let identity = Identity { pod: spec.pod.clone(), role, attempt: spec.attempt };
        self.create(&identity, &spec.image, container_body(spec)).await
    }

    /// Creates what `body` describes under the name and labels of `identity`.
    pub(super) async fn create(
        &self,
        identity: &Identity,
        image: &ImageName,
        mut body: ContainerCreateBody,
    ) -> Result<ContainerId, EngineError> {
        let name = identity.engine_name();
        body.image = Some(image.to_string());
        body.labels = Some(identity.labels());
        let options = CreateContainerOptions { name: Some(name.clone()), ..CreateContainerOptions::default() };
        match self.change("create", &name, CHANGE_LIMIT, self.docker.create_container(Some(options), body)).await {
            Ok(created) => Ok(ContainerId(created.id)),
            // "Not found" can be the image or a network: ask, rather than read the engine's prose.
            Err(error @ EngineError::NotFound { .. }) => match self.has_image(image).await? {
                true => Err(error),
                false => Err(EngineError::ImageMissing { image: image.clone() }),
            },
            Err(error) => Err(error),
        }
    }

    /// Starts a created container. One that runs already is left as it is.
    ///
    /// `CannotRun`: the program is missing or not executable. `Conflict`: the sandbox does not run.
    pub async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        match self.change("start", &id.to_string(), CHANGE_LIMIT, self.docker.start_container(&id.0, None)).await {
            Err(EngineError::Refused { status: 400, message, .. }) => {
                Err(EngineError::CannotRun { container: id.clone(), message })
            }
            outcome => outcome,
        }
    }

    /// Sends SIGTERM (or the signal that the image asks for), and SIGKILL when the container still runs after `grace`,
    /// which is rounded up to seconds and at most a day.
    ///
    /// Returns when the container has ended. One that has ended before is no error. A program that is process 1 of its
    /// container and has not installed a handler (yet) does not receive SIGTERM; the grace then passes in full.
    pub async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<(), EngineError> {
        let grace = grace.min(Duration::from_secs(24 * 3600 - 2 * CHANGE_LIMIT.as_secs()));
        let seconds = i32::try_from(grace.as_secs() + u64::from(grace.subsec_nanos() > 0)).expect("at most a day");
        let options = StopContainerOptions { t: Some(seconds), ..StopContainerOptions::default() };
        // The engine waits out the grace, kills, and may then need as long as any change.
        let limit = Duration::from_secs(u64::from(seconds.unsigned_abs())) + CHANGE_LIMIT;
        self.change("stop", &id.to_string(), limit, self.docker.stop_container(&id.0, Some(options))).await
    }

    /// Sends SIGKILL. A container that does not run is a `Conflict`.
    pub async fn kill(&self, id: &ContainerId) -> Result<(), EngineError> {
        let options = KillContainerOptions { signal: "SIGKILL".to_owned() };
        self.change("kill", &id.to_string(), CHANGE_LIMIT, self.docker.kill_container(&id.0, Some(options))).await
    }

    /// Removes a container or sandbox with its volumes, killing it if it runs. One that is gone already is no error.
    pub async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        let deadline = Instant::now() + CHANGE_LIMIT;
        loop {
            let options = RemoveContainerOptions { v: true, force: true, link: false };
            let call = self.docker.remove_container(&id.0, Some(options));
            match self.change("remove", &id.to_string(), CHANGE_LIMIT, call).await {
                Err(EngineError::NotFound { .. }) => return Ok(()),
                // Somebody else's removal is under way: it is done when the container is not found.
                Err(EngineError::Conflict { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Stops, within `grace`, and removes everything of a cluster: containers first, then the sandboxes they live in.
    pub async fn remove_cluster(&self, cluster: &ClusterName, grace: Duration) -> Result<(), EngineError> {
        let listing = self.list(cluster).await?;
        let (sandboxes, containers): (Vec<_>, Vec<_>) =
            listing.containers.into_iter().partition(|container| container.identity.role == Role::Sandbox);
        for (group, grace) in [(containers, grace), (sandboxes, Duration::ZERO)] {
            let removals = group.into_iter().map(|container| async move {
                if container.phase.is_running() && !grace.is_zero() {
                    match self.stop(&container.id, grace).await {
                        Ok(()) | Err(EngineError::NotFound { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
                self.remove(&container.id).await
            });
            stream::iter(removals).buffer_unordered(REMOVALS_AT_ONCE).try_collect::<()>().await?;
        }
        Ok(())
    }

    /// The last `lines` lines that a container wrote, oldest first, at most a mebibyte of them (the newest).
    pub async fn logs_tail(&self, id: &ContainerId, lines: u32) -> Result<Vec<LogLine>, EngineError> {
        let options = LogsOptions { stdout: true, stderr: true, tail: lines.to_string(), ..LogsOptions::default() };
        let read = async {
            let mut pieces = self.docker.logs(&id.0, Some(options));
            let mut kept = std::collections::VecDeque::new();
            let mut bytes = 0;
            while let Some(piece) = pieces.try_next().await? {
                bytes += piece.as_ref().len();
                kept.push_back(piece);
                while bytes > LOG_BYTES_MAX {
                    bytes -= kept.pop_front().map_or(bytes, |oldest: LogOutput| oldest.as_ref().len());
                }
            }
            Ok(kept.into_iter().map(log_line).collect())
        };
        self.change("logs", &id.to_string(), READ_LIMIT, read).await
    }
}

fn container_body(spec: &ContainerSpec) -> ContainerCreateBody {
    let sandbox = format!("container:{}", spec.sandbox.0);
    let mut host = HostConfig {
        network_mode: Some(sandbox.clone()),
        ipc_mode: Some(sandbox),
        log_config: Some(log_config()),
        ..HostConfig::default()
    };
    spec.resources.apply(&mut host);
    let list = |list: &[String]| if list.is_empty() { None } else { Some(list.to_vec()) };
    ContainerCreateBody {
        entrypoint: list(&spec.command),
        cmd: list(&spec.args),
        env: list(&spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()),
        working_dir: spec.working_dir.clone(),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

/// Logs rotate at the kubelet's sizes, whatever the engine's own default is: a container may not fill the disk.
///
/// Source: `ContainerLogMaxSize` and `ContainerLogMaxFiles`, pkg/kubelet/apis/config/v1beta1/defaults.go (v1.34.1).
pub(super) fn log_config() -> HostConfigLogConfig {
    let limits = [("max-size", "10m"), ("max-file", "5")];
    HostConfigLogConfig {
        typ: Some("json-file".to_owned()),
        config: Some(HashMap::from(limits.map(|(name, value)| (name.to_owned(), value.to_owned())))),
    }
}

fn log_line(piece: LogOutput) -> LogLine {
    let stream = if matches!(piece, LogOutput::StdErr { .. }) { LogStream::Error } else { LogStream::Out };
    let text = String::from_utf8_lossy(piece.as_ref());
    LogLine { stream, text: text.trim_end_matches(['\r', '\n']).to_owned() }
}
