//! A cluster run by the program, and what a story does with it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output},
    sync::Arc,
    time::{Duration, Instant},
};

use wavetank_core::model::{Kind, Object, Pod};
use wavetank_journal::{FILE_NAME, Told};
use wavetank_real::{
    control::{Order, Outcome, order},
    docker::{Container, Role},
};

use crate::support::Stage;

pub(crate) const WAIT_LIMIT: Duration = Duration::from_secs(120);
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// A cluster run by the program, and the folder that it writes to.
pub(crate) struct Up {
    stage: Stage,
    pub(crate) folder: PathBuf,
    pub(crate) child: Child,
}

impl Up {
    /// Starts `real up` with a Deployment `web` of so many pods and further arguments.
    pub(crate) fn start(stage: &Stage, replicas: u32, arguments: &[&str]) -> Up {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(stage.cluster.to_string());
        fs::create_dir_all(&folder).expect("a writable folder");
        fs::write(folder.join("web.yaml"), web(replicas, "testapp:v1")).expect("room on the disk");
        let child = Self::command(stage, &folder, arguments).spawn().expect("the program was built");
        Up { stage: stage.clone(), folder, child }
    }

    /// Starts `real up` with one pod; it reaches the engine by another socket.
    pub(crate) fn start_through(stage: &Stage, socket: &Path) -> Up {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(stage.cluster.to_string());
        fs::create_dir_all(&folder).expect("a writable folder");
        fs::write(folder.join("web.yaml"), web(1, "testapp:v1")).expect("room on the disk");
        let mut command = Self::command(stage, &folder, &[]);
        let child = command.env("DOCKER_HOST", format!("unix://{}", socket.display())).spawn();
        Up { stage: stage.clone(), folder, child: child.expect("the program was built") }
    }

    /// Waits until the program has said something.
    pub(crate) async fn until_told(&self, text: &str) {
        let began = Instant::now();
        while !self.account().contains(text) {
            assert!(began.elapsed() < WAIT_LIMIT, "never {text:?}:\n{}", self.account());
            tokio::time::sleep(PAUSE).await;
        }
    }

    pub(crate) fn command(stage: &Stage, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_real"));
        let account = File::create(folder.join("account")).expect("room on the disk");
        command.args(["up", "--cluster", &stage.cluster.to_string()]).args(arguments);
        command.arg("--out").arg(folder).arg("--manifest").arg(folder.join("web.yaml"));
        command.stderr(account.try_clone().expect("a file")).stdout(account);
        command
    }

    /// Runs one of the commands that talk to the cluster, which must succeed.
    pub(crate) fn real(&self, arguments: &[&str]) -> String {
        let output = run_real(&[arguments, &["--cluster", &self.stage.cluster.to_string()]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// Applies a manifest.
    pub(crate) fn apply(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs::write(&path, text).expect("room on the disk");
        self.real(&["apply", "-f", path.to_str().expect("a path of text")]);
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill can be run").success(), "{signal} reaches the program");
    }

    /// The pods as the cluster knows them; none before it listens.
    pub(crate) async fn pods(&self) -> Vec<Arc<Pod>> {
        let Ok(Outcome::Objects(_, objects)) = order(&self.stage.cluster, &Order::List(Kind::Pod)).await else {
            return Vec::new();
        };
        objects
            .iter()
            .filter_map(|object| if let Object::Pod(pod) = object { Some(pod.clone()) } else { None })
            .collect()
    }

    /// Waits until the pods are as wanted, and gives them.
    pub(crate) async fn until(&mut self, what: &str, wanted: impl Fn(&[Arc<Pod>]) -> bool) -> Vec<Arc<Pod>> {
        let began = Instant::now();
        loop {
            let pods = self.pods().await;
            if wanted(&pods) {
                return pods;
            }
            let ended = self.child.try_wait().expect("the program can be asked");
            assert!(ended.is_none() && began.elapsed() < WAIT_LIMIT, "not {what}:\n{}", self.account());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until exactly so many pods are there and ready.
    pub(crate) async fn until_ready(&mut self, count: usize) -> Vec<Arc<Pod>> {
        self.until(&format!("{count} ready pods"), |pods| pods.len() == count && pods.iter().all(|pod| pod.is_ready()))
            .await
    }

    /// The containers and sandboxes that the engine has of this cluster.
    pub(crate) async fn containers(&self) -> Vec<Container> {
        self.stage.engine.list(&self.stage.cluster).await.expect("the engine answers").containers
    }

    pub(crate) async fn running(&self, sandbox: bool) -> Container {
        let containers = self.containers().await.into_iter();
        let mut containers =
            containers.filter(|found| (found.identity.role == Role::Sandbox) == sandbox && found.phase.is_running());
        containers.next().expect("one runs")
    }

    /// Waits until the program has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the program can be asked") {
                return status;
            }
            assert!(began.elapsed() < WAIT_LIMIT, "it does not end:\n{}", self.account());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Ends the run with Ctrl-C, and tells it again from its journal.
    pub(crate) async fn end(&mut self) -> Told {
        self.signal("-INT");
        let status = self.ended().await;
        assert!(status.success(), "{status}:\n{}", self.account());
        let told = self.replay();
        assert!(told.ended, "{told:?}");
        told
    }

    pub(crate) fn replay(&self) -> Told {
        wavetank_journal::replay(&self.folder.join(FILE_NAME)).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn account(&self) -> String {
        fs::read_to_string(self.folder.join("account")).expect("the program writes it")
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // The story removes the containers; here the program must be gone before, also when the story has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn run_real(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_real")).args(arguments).output().expect("the program was built")
}

pub(crate) fn web(replicas: u32, image: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
      - name: app
        image: {image}
        ports: [{{name: http, containerPort: 8080}}]
        readinessProbe:
          httpGet: {{path: /healthz, port: http}}
          periodSeconds: 1
"
    )
}
