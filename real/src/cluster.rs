//! A running cluster: the core on its thread, the node's task beside it, and the way to end both.

use std::{
    fs::File,
    io::{self, Read},
    net::{IpAddr, Ipv4Addr, UdpSocket},
    panic::resume_unwind,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use wavetank_core::{
    Core, Input,
    api::Request,
    config::{Config, Heartbeats, KubeletConfig},
    digest::Fingerprint,
    drive,
    id::{Name, ProcId, RequestId},
    journal::Header,
    kubelet::Boot,
    model::{ConfigMap, Labels, Namespace, Object, Resources, ServiceAccount},
    seam::Msg,
    time::Span,
};
use wavetank_journal::{JournalError, Writer};

use crate::{
    clock::Clock,
    docker::{ClusterName, ContainerName, Engine, EngineError, MachineInfo},
    node::{Node, NodeSettings, Notices},
    world::{Account, DockerWorld, HOST, INPUTS_WAITING_MAX, Outlets, Outside, Picture},
};

/// The node's name if the machine's own is none that Kubernetes takes.
const NODE_NAME: &str = "wavetank";
/// The kubelet's `maxPods`.
const PODS_MAX: i64 = 110;
/// How often the engine is asked whether anything is left; more than two rounds mean that somebody else creates.
const CLEANING_ROUNDS: u32 = 5;

/// What a cluster is made of.
pub struct ClusterSettings {
    /// The engine of its one node.
    pub engine: Engine,
    /// The cluster's name, which labels its containers.
    pub name: ClusterName,
    /// Where the journal is written.
    pub journal: PathBuf,
    /// Who hears what happens.
    pub account: Box<dyn Account>,
    /// Who hears of the engine's absence.
    pub notices: Box<dyn Notices>,
}

/// A running cluster.
pub struct Cluster {
    /// The run's clock.
    pub clock: Clock,
    /// The seed of every draw.
    pub seed: u64,
    /// The node's name.
    pub node_name: Name,
    /// The way to the core.
    pub outside: mpsc::Sender<Outside>,
    /// The objects after the newest write.
    pub picture: watch::Receiver<Arc<Picture>>,
    /// `None` once its outcome was taken.
    core: Option<JoinHandle<Result<Ending, JournalError>>>,
    /// `None` once its end was seen.
    node: Option<JoinHandle<()>>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// How many inputs the core has taken.
    pub steps: u64,
    /// The fingerprint over all of them.
    pub fingerprint: Fingerprint,
}

/// Why a cluster cannot start or has ended early.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The system gave no random seed.
    #[error("cannot read /dev/urandom: {0}")]
    Seed(io::Error),
    /// A mistake in the core, whose words are on standard error.
    #[error("the core has failed, which is a mistake in Wavetank; its journal, folded again, fails alike")]
    CorePanicked,
    /// Somebody else keeps creating containers of the cluster.
    #[error("containers with the label of cluster {cluster} keep appearing; {left} are left")]
    NotClean {
        /// The cluster.
        cluster: ClusterName,
        /// How many there are.
        left: usize,
    },
}

impl Cluster {
    /// Starts a cluster. Nothing with its label may be on the engine ([`clean`]).
    pub async fn start(settings: ClusterSettings) -> Result<Cluster, ClusterError> {
        let machine = settings.engine.info().await?;
        settings.engine.ensure_pause_image().await?;
        let config = config().map_err(ClusterError::Seed)?;
        let (seed, address) = (config.seed, machine_address());
        let boot = boot(&machine, address);
        let node_name = boot.node.clone();
        let journal = Writer::create(&settings.journal, Header::new(config.clone()))?;
        let clock = Clock::start();
        let (outside, inputs) = mpsc::channel(INPUTS_WAITING_MAX);
        let (runtime, requests) = mpsc::unbounded_channel();
        let (picture_in, picture) = watch::channel(Arc::default());
        let node = NodeSettings {
            engine: settings.engine,
            cluster: settings.name,
            address,
            memory_bytes: boot.capacity.memory_bytes,
            clock,
            notices: settings.notices,
        };
        let node = tokio::spawn(Node::run(node, requests, outside.clone()));
        let outlets = Outlets { runtime, picture: picture_in };
        let first = first_inputs(boot);
        let mut world = DockerWorld::new(Handle::current(), journal, inputs, outlets, settings.account, clock, first);
        // A thread of its own: the core computes and waits on it for the whole run.
        let core = tokio::task::spawn_blocking(move || {
            let mut core = Core::new(config);
            drive(&mut core, &mut world);
            world.finish(&core)?;
            Ok(Ending { steps: core.steps(), fingerprint: core.fingerprint() })
        });
        Ok(Cluster { clock, seed, node_name, outside, picture, core: Some(core), node: Some(node) })
    }

    /// Waits until the run ends without having been asked to; that is always a failure.
    pub async fn failed(&mut self) -> ClusterError {
        tokio::select! {
            outcome = taken(&mut self.core) => match outcome {
                Err(error) => error,
                Ok(ending) => unreachable!("the run ended by itself after {} steps", ending.steps),
            },
            // The node ends after the core only. If it fails before, the cluster cannot act any more.
            () = ended(&mut self.node) => match taken(&mut self.core).await {
                Err(error) => error,
                Ok(ending) => unreachable!("the run ended by itself after {} steps", ending.steps),
            },
        }
    }

    /// Ends the run: the core takes no more inputs, the node makes no more calls. Containers stay as they are.
    ///
    /// `None` if the run has failed before ([`Cluster::failed`] has said why).
    pub async fn stop(mut self) -> Result<Option<Ending>, ClusterError> {
        // Refused if the core has ended already.
        let _ = self.outside.send(Outside::Stop).await;
        let ending = match self.core {
            Some(_) => Some(taken(&mut self.core).await?),
            None => None,
        };
        // The world is gone, and with it the way to the node, which therefore ends.
        if self.node.is_some() {
            ended(&mut self.node).await;
        }
        Ok(ending)
    }
}

/// Waits for the core's thread. Waits for ever if its outcome was taken before.
async fn taken(core: &mut Option<JoinHandle<Result<Ending, JournalError>>>) -> Result<Ending, ClusterError> {
    let Some(running) = core else { return std::future::pending().await };
    let outcome = running.await;
    *core = None;
    Ok(outcome.map_err(|_| ClusterError::CorePanicked)??)
}

/// Waits for the node's task; a panic there goes on here. Waits for ever if its end was seen before.
async fn ended(node: &mut Option<JoinHandle<()>>) {
    let Some(running) = node else { return std::future::pending().await };
    let outcome = running.await;
    *node = None;
    outcome.unwrap_or_else(|failure| resume_unwind(failure.into_panic()));
}

/// Removes everything of a cluster from the engine; tells how many containers and sandboxes there were.
pub async fn clean(engine: &Engine, cluster: &ClusterName, grace: Duration) -> Result<usize, ClusterError> {
    let found = engine.list(cluster).await?.containers.len();
    let mut left = found;
    for _ in 0..CLEANING_ROUNDS {
        if left == 0 {
            return Ok(found);
        }
        engine.remove_cluster(cluster, grace).await?;
        // A creation that was under way when its caller ended can still take effect.
        left = engine.list(cluster).await?.containers.len();
    }
    if left == 0 { Ok(found) } else { Err(ClusterError::NotClean { cluster: cluster.clone(), left }) }
}

/// The settings of a core in this world: drawn from a fresh seed, each renewal a message, and no listing of containers,
/// because the engine's watch lists them already.
fn config() -> io::Result<Config> {
    let mut seed = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut seed)?;
    let kubelet = KubeletConfig { relist_period: Span::ZERO, service_variables: true, ..KubeletConfig::default() };
    let seed = u64::from_le_bytes(seed);
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other)?;
    let epoch = i64::try_from(since_1970.as_secs()).map_err(io::Error::other)?;
    Ok(Config { seed, epoch, kubelet, heartbeats: Heartbeats::Exact, ..Config::default() })
}

fn boot(machine: &MachineInfo, address: IpAddr) -> Boot {
    let lower = machine.host_name.to_ascii_lowercase();
    let node: Name = if ContainerName::new(lower.as_str()).is_ok() { lower.into() } else { NODE_NAME.into() };
    let signed = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
    let capacity = Resources {
        cpu_milli: signed(machine.cpu.0),
        memory_bytes: signed(machine.memory.0),
        pods: PODS_MAX,
        ..Resources::default()
    };
    let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    Boot {
        labels: Labels::new([
            ("kubernetes.io/hostname", &*node),
            ("kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", architecture),
        ]),
        node,
        allocatable: capacity.clone(),
        capacity,
        taints: Vec::new(),
        address: address.to_string().into(),
        pod_network: "bridge".into(),
        static_pods: Vec::new(),
    }
}

/// The address from which this machine reaches others; the loopback address if it has no network.
fn machine_address() -> IpAddr {
    // Connecting a datagram socket sends nothing: it only chooses the route. The address is reserved for examples.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    socket.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

/// What the core is told first: its processes start, the namespace `default` is there with what every namespace has,
/// the kubelet knows its node.
fn first_inputs(boot: Boot) -> Vec<Input> {
    let create = |object| {
        let body = Msg::Request(RequestId(0), Box::new(Request::Create(object)));
        Input::Message { from: ProcId::CLIENT, to: ProcId::API_SERVER, body }
    };
    let kubelet = ProcId::kubelet(HOST);
    vec![
        Input::Started(ProcId::API_SERVER),
        create(Object::Namespace(Arc::new(Namespace::named("default")))),
        create(Object::ServiceAccount(Arc::new(ServiceAccount::default_of("default")))),
        create(Object::ConfigMap(Arc::new(ConfigMap::root_certificate("default")))),
        Input::Started(ProcId::SCHEDULER),
        Input::Started(ProcId::CONTROLLER_MANAGER),
        Input::Message { from: ProcId::WORLD, to: kubelet, body: Msg::Boot(Arc::new(boot)) },
        Input::Started(kubelet),
    ]
}
