//! The control socket: how other programs talk to a running cluster.
//!
//! One order per line, one outcome per line, both JSON, over a Unix socket that only its owner may use. Orders are the
//! core's own requests, so whatever a component may ask of the API server, a user may ask too. Absent on purpose: the
//! HTTP API of Kubernetes.

use std::{
    env, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use wavetank_core::{
    api::{Answer, Request},
    model::{Kind, Object},
    time::Time,
};

use crate::{
    clock::Clock,
    docker::ClusterName,
    world::{Outside, Picture},
};

/// The longest order; a larger one is refused.
const ORDER_BYTES_MAX: u64 = 16 << 20;

/// What a client wants.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Order {
    /// These requests, one after the other, also after one was refused.
    Requests(Vec<Request>),
    /// All objects of a kind.
    List(Kind),
}

/// What became of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Outcome {
    /// One answer for each request.
    Answers(Vec<Answer>),
    /// The objects, by namespace and name, and the time of the run.
    Objects(Time, Vec<Object>),
    /// The order was not understood, or the cluster is ending; a sentence.
    Refused(String),
}

/// Why a cluster cannot be talked to, or cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens.
    #[error(
        "cluster {cluster} is not running (nobody listens at {}); start it with `real up --cluster {cluster}`",
        path.display()
    )]
    NotRunning {
        /// The cluster.
        cluster: ClusterName,
        /// Its socket.
        path: PathBuf,
    },
    /// Somebody listens already.
    #[error("cluster {cluster} is running already; end it with Ctrl-C, or choose another name with --cluster")]
    Running {
        /// The cluster.
        cluster: ClusterName,
    },
    /// Anything else about the socket.
    #[error("control socket {}: {error}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The system's own words.
        error: io::Error,
    },
    /// The other side speaks otherwise: another version of this program.
    #[error("the running cluster's answer is not understood ({0}); is it another version of `real`?")]
    NotUnderstood(String),
    /// The cluster has refused the order.
    #[error("{0}")]
    Refused(String),
}

/// The listening socket of a running cluster; its file goes with it.
#[derive(Debug)]
pub struct Listener {
    path: PathBuf,
    listener: UnixListener,
}

impl Listener {
    /// Listens for a cluster. Refused while another program listens for it; the socket of one that died is replaced.
    pub async fn bind(cluster: &ClusterName) -> Result<Listener, ControlError> {
        let path = socket_of(cluster);
        let failed = |error| ControlError::Socket { path: path.clone(), error };
        match UnixStream::connect(&path).await {
            Ok(_) => return Err(ControlError::Running { cluster: cluster.clone() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(&path).map_err(failed)?,
            Err(error) => return Err(failed(error)),
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Listener { path, listener })
    }

    /// Serves clients until it is dropped.
    pub async fn serve(&self, clock: Clock, outside: mpsc::Sender<Outside>, picture: watch::Receiver<Arc<Picture>>) {
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                Ok((stream, _)) = self.listener.accept() => {
                    let (outside, picture) = (outside.clone(), picture.clone());
                    // A client that hangs up halfway harms nobody but itself.
                    clients.spawn(async move { serve_client(stream, clock, &outside, &picture).await.ok() });
                }
                Some(_) = clients.join_next() => {}
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A file that stays behind is recognised as nobody's by the next run.
        let _ = fs::remove_file(&self.path);
    }
}

/// Sends one order to a running cluster.
pub async fn order(cluster: &ClusterName, order: &Order) -> Result<Outcome, ControlError> {
    let path = socket_of(cluster);
    let failed = |error| ControlError::Socket { path: path.clone(), error };
    let mut stream = UnixStream::connect(&path).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            ControlError::NotRunning { cluster: cluster.clone(), path: path.clone() }
        }
        _ => failed(error),
    })?;
    stream.write_all(&line(order)).await.map_err(failed)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await.map_err(failed)?;
    match serde_json::from_str(&answer) {
        Ok(Outcome::Refused(why)) => Err(ControlError::Refused(why)),
        Ok(outcome) => Ok(outcome),
        Err(error) => Err(ControlError::NotUnderstood(error.to_string())),
    }
}

/// Where a cluster listens: the user's runtime folder, or the folder for temporary files.
fn socket_of(cluster: &ClusterName) -> PathBuf {
    let folder = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let folder = folder.filter(|folder| Path::is_dir(folder)).unwrap_or_else(env::temp_dir);
    folder.join(format!("wavetank-{cluster}.sock"))
}

async fn serve_client(
    stream: UnixStream,
    clock: Clock,
    outside: &mpsc::Sender<Outside>,
    picture: &watch::Receiver<Arc<Picture>>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut text = Vec::new();
        if (&mut stream).take(ORDER_BYTES_MAX).read_until(b'\n', &mut text).await? == 0 {
            return Ok(());
        }
        let outcome = match serde_json::from_slice(&text) {
            Ok(order) => carry_out(order, clock, outside, picture).await,
            Err(error) => Outcome::Refused(format!("the order is not understood: {error}")),
        };
        stream.get_mut().write_all(&line(&outcome)).await?;
    }
}

async fn carry_out(
    order: Order,
    clock: Clock,
    outside: &mpsc::Sender<Outside>,
    picture: &watch::Receiver<Arc<Picture>>,
) -> Outcome {
    match order {
        Order::List(kind) => {
            let picture = picture.borrow().clone();
            let objects = picture.objects.iter().filter(|object| object.kind() == kind).cloned().collect();
            Outcome::Objects(clock.now(), objects)
        }
        Order::Requests(requests) => {
            let mut answers = Vec::with_capacity(requests.len());
            for request in requests {
                match ask(outside, request).await {
                    Some(answer) => answers.push(answer),
                    None => return Outcome::Refused("the cluster is ending".to_owned()),
                }
            }
            Outcome::Answers(answers)
        }
    }
}

/// Asks the core's API server; `None` if the run ends before it answers.
pub async fn ask(outside: &mpsc::Sender<Outside>, request: Request) -> Option<Answer> {
    let (answer, answered) = oneshot::channel();
    outside.send(Outside::Ask(request, answer)).await.ok()?;
    answered.await.ok()
}

fn line(message: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("orders and outcomes have text keys only");
    line.push(b'\n');
    line
}
