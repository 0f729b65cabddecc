//! What the tests against the real engine share: a cluster of their own that is always removed, and images to run.
//!
//! Without a Docker daemon a test fails, and says why. `WAVETANK_WITHOUT_DOCKER=1` turns that into a line on standard
//! error, `skipped: no Docker daemon: <test>`, which the test runner does not swallow.

use std::{
    env, fs,
    future::Future,
    io::{self, Read, Write},
    net::{IpAddr, TcpStream},
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    net::{UnixListener, UnixStream},
    sync::OnceCell,
    task::JoinSet,
    time::timeout,
};
use wavetank_real::{
    cluster::clean,
    docker::{
        Attempt, Change, ClusterName, Container, ContainerId, ContainerName, ContainerSpec, DnsConfig, Engine, Phase,
        PodIdentity, ProgramImage, Resources, Sandbox, SandboxNetwork, SandboxSpec, StaticProgram, Watch,
        host_name_of_pod,
    },
};

/// Far longer than any story takes, also on a busy machine: it only keeps a broken test from hanging.
const STORY_LIMIT: Duration = Duration::from_secs(300);
const WAIT_LIMIT: Duration = Duration::from_secs(120);
/// The port that `testapp` listens on unless PORT says otherwise.
pub(crate) const PORT: u16 = 8080;

/// A cluster on the engine that no other test shares.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) cluster: ClusterName,
}

/// Runs a story on a stage of its own, and removes everything that it created, also when it fails.
pub(crate) fn story<F: Future<Output = ()> + Send + 'static>(name: &str, tell: impl FnOnce(Stage) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let engine = match Engine::connect().await {
            Ok(engine) => engine,
            Err(error) if env::var("WAVETANK_WITHOUT_DOCKER").is_ok_and(|value| value == "1") => {
                writeln!(io::stderr(), "skipped: no Docker daemon: {name} ({error})").expect("standard error is open");
                return;
            }
            Err(error) => panic!("{name} needs Docker: {error} (WAVETANK_WITHOUT_DOCKER=1 skips it)"),
        };
        test_images(&engine).await;
        let stage = Stage { engine: engine.clone(), cluster: unique_cluster() };
        let cluster = stage.cluster.clone();
        let outcome = tokio::spawn(timeout(STORY_LIMIT, tell(stage))).await;
        let cleaned = clean(&engine, &cluster, Duration::ZERO).await;
        match outcome {
            Err(failure) if failure.is_panic() => resume_unwind(failure.into_panic()),
            outcome => outcome.expect("the story is not cancelled").expect("the story ends within its limit"),
        }
        cleaned.expect("everything of the cluster can be removed");
    });
}

fn unique_cluster() -> ClusterName {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    ClusterName::new(format!("test-{}-{}-{count}", std::process::id(), since.as_nanos())).expect("a valid name")
}

/// Compiles `testapp` and makes `testapp:v1` and `testapp:v2`, once per test program.
async fn test_images(engine: &Engine) {
    static MADE: OnceCell<()> = OnceCell::const_new();
    MADE.get_or_init(|| async {
        let path = compile_testapp();
        let program = fs::read(&path).expect("the program was just compiled");
        fs::remove_file(&path).expect("the program is ours");
        let program = StaticProgram::new(program).expect("a static program");
        for version in ["v1", "v2"] {
            let image =
                ProgramImage { program: program.clone(), env: vec![("VERSION".to_owned(), version.to_owned())] };
            let name = format!("testapp:{version}").parse().expect("a valid name");
            engine.import_program(&name, &image).await.expect("the image can be made");
        }
    })
    .await;
}

/// The same call as in `scripts/test-images.sh`.
fn compile_testapp() -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/images/testapp.rs");
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("testapp-{}", std::process::id()));
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let options = ["-C", "target-feature=+crt-static", "-C", "strip=symbols", "-C", "panic=abort"];
    let output =
        Command::new(rustc).args(["--edition=2024", "-O"]).args(options).arg("-o").arg(&program).arg(source).output();
    let output = output.expect("rustc can be run");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "testapp cannot be linked statically; is the static C library installed (libc.a: libc6-dev of Debian and \
         Ubuntu, glibc-static of Fedora)?\n{error}"
    );
    program
}

impl Stage {
    pub(crate) fn pod(&self, name: &str) -> PodIdentity {
        let uid = format!("{}-{name}", self.cluster);
        PodIdentity::new(self.cluster.clone(), "default", name, &uid).expect("valid names")
    }

    pub(crate) fn sandbox_spec(&self, pod: &str) -> SandboxSpec {
        let pod = self.pod(pod);
        SandboxSpec {
            host_name: host_name_of_pod(&pod),
            pod,
            attempt: Attempt(0),
            dns: DnsConfig::default(),
            network: SandboxNetwork::Bridge,
        }
    }

    pub(crate) async fn sandbox(&self, pod: &str) -> Sandbox {
        self.engine.run_sandbox(&self.sandbox_spec(pod)).await.expect("a sandbox")
    }

    /// A container that runs `testapp:v1` with these environment variables.
    pub(crate) fn container_spec(
        &self,
        pod: &str,
        sandbox: &Sandbox,
        name: &str,
        env: &[(&str, &str)],
    ) -> ContainerSpec {
        ContainerSpec {
            pod: self.pod(pod),
            name: ContainerName::new(name).expect("a valid name"),
            attempt: Attempt(0),
            sandbox: sandbox.id.clone(),
            image: "testapp:v1".parse().expect("a valid name"),
            command: Vec::new(),
            args: Vec::new(),
            env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            files: Vec::new(),
            working_dir: None,
            resources: Resources::default(),
        }
    }

    pub(crate) async fn run(&self, spec: &ContainerSpec) -> ContainerId {
        let id = self.engine.create_container(spec).await.expect("a container");
        self.engine.start(&id).await.expect("it starts");
        id
    }

    /// A pod with one container `app`.
    pub(crate) async fn pod_with(&self, pod: &str, env: &[(&str, &str)]) -> (Sandbox, ContainerId) {
        let sandbox = self.sandbox(pod).await;
        let id = self.run(&self.container_spec(pod, &sandbox, "app", env)).await;
        (sandbox, id)
    }

    /// Waits until a container has ended, by asking.
    pub(crate) async fn ended(&self, id: &ContainerId) -> Container {
        let began = Instant::now();
        loop {
            let container = self.engine.inspect(id).await.expect("it exists");
            if matches!(container.phase, Phase::Exited { .. }) {
                return container;
            }
            assert!(began.elapsed() < WAIT_LIMIT, "still {:?}", container.phase);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a container has written, once it has written `expected`.
    pub(crate) async fn log_with(&self, id: &ContainerId, expected: &str) -> String {
        let began = Instant::now();
        loop {
            let lines = self.engine.logs_tail(id, 100).await.expect("it has a log");
            let text = lines.into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n");
            if text.contains(expected) {
                return text;
            }
            assert!(began.elapsed() < WAIT_LIMIT, "{expected:?} does not appear in {text:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Takes changes until one is `wanted`.
pub(crate) async fn until<T>(watch: &mut Watch, what: &str, mut wanted: impl FnMut(Change) -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = wanted(watch.next().await.expect("the watch goes on")) {
                return found;
            }
        }
    };
    timeout(WAIT_LIMIT, search).await.unwrap_or_else(|_| panic!("the watch never told of {what}"))
}

/// The status line and body of a GET, asked until somebody answers: a program needs a moment to listen.
pub(crate) async fn get(address: Option<IpAddr>, path: &str) -> (String, String) {
    let address = address.expect("the pod has an address");
    let path = path.to_owned();
    let ask = move || {
        let began = Instant::now();
        loop {
            match get_once(address, &path) {
                Ok(answer) => return answer,
                Err(error) => assert!(began.elapsed() < WAIT_LIMIT, "GET {address}{path}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    tokio::task::spawn_blocking(ask).await.expect("an answer")
}

/// The status line and body of one GET.
pub(crate) fn get_once(address: IpAddr, path: &str) -> io::Result<(String, String)> {
    let mut stream = TcpStream::connect_timeout(&(address, PORT).into(), Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((head.lines().next().unwrap_or_default().to_owned(), body.to_owned()))
}

/// A socket that passes everything on to the engine, until it is cut.
pub(crate) struct Link {
    near: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Link {
    pub(crate) fn open(near: &Path, engine: &Path) -> Self {
        let listener = UnixListener::bind(near).expect("a fresh socket");
        let engine = engine.to_owned();
        let task = tokio::spawn(async move {
            let mut pipes = JoinSet::new();
            loop {
                let Ok((mut left, _)) = listener.accept().await else { return };
                let engine = engine.clone();
                pipes.spawn(async move {
                    let mut right = UnixStream::connect(engine).await?;
                    tokio::io::copy_bidirectional(&mut left, &mut right).await
                });
            }
        });
        Self { near: near.to_owned(), task }
    }

    /// Breaks every connection and refuses new ones, as an engine that is stopped does.
    pub(crate) async fn cut(mut self) {
        self.task.abort();
        // Only when the task has ended are its listener and its pipes closed.
        assert!((&mut self.task).await.expect_err("it runs until it is cut").is_cancelled());
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
        // Not removed is not wrong, and a second panic would hide the first.
        let _ = fs::remove_file(&self.near);
    }
}
