//! The container runtime of the one node: answers a kubelet's requests with containers of the Docker engine.
//!
//! One task owns the state of all pods ([`Node`]). `requests` is what the kubelet asks for; calls of the engine run
//! beside it, one task each (`jobs`), and report back as `News`; what happens to containers by itself, or by somebody's
//! hand, comes from the engine's watch. Both meet in this one task (`reports`), so events about a container leave in
//! the order of its life: started, then probes, then exited, once each.
//!
//! Invariant: an event is sent for every request, as soon as the engine has answered; a call that changes nothing by
//! being repeated is repeated while the engine is away. Absent on purpose: restarts, back-off and pull retries, which
//! are the kubelet's; and any memory beyond this process: what an earlier process left is removed before the first pod.

mod expansion;
mod hook;
mod jobs;
mod pods;
mod probe;
mod reports;
mod requests;

use std::{collections::BTreeMap, net::IpAddr, panic::resume_unwind, sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use wavetank_core::{
    Input,
    id::{ProcId, Uid},
    kubelet::{ContainerIndex, HookKind, ProbeKind, RuntimeEvent, RuntimeRequest},
    seam::Msg,
};

use crate::{
    clock::Clock,
    docker::{ClusterName, ContainerId, Engine, EngineError, Phase, Sandbox},
    world::{HOST, Outside},
};
use jobs::{Failure, Jobs};
use pods::PodRecord;

/// The exit code of a container that vanished before anybody saw it end, as the kubelet gives it.
const CODE_UNKNOWN: i32 = 137;
/// How long the end of a run waits for creations that are under way.
const CREATIONS_LIMIT: Duration = Duration::from_secs(10);
/// News that may wait; then jobs and probes wait.
const NEWS_WAITING_MAX: usize = 256;

/// What the node tells people about the engine.
pub trait Notices: Send + Sync {
    /// The engine has stopped answering, or answers again.
    fn engine(&mut self, lost: Option<&EngineError>);
}

/// What a node is made of.
pub struct NodeSettings {
    /// The engine.
    pub engine: Engine,
    /// Whose containers are the node's.
    pub cluster: ClusterName,
    /// The machine's own address, which pods on its network share.
    pub address: IpAddr,
    /// Memory of the machine in bytes, of which a pod's share decides who dies first.
    pub memory_bytes: i64,
    /// The run's clock.
    pub clock: Clock,
    /// Who hears of the engine's absence.
    pub notices: Box<dyn Notices>,
}

/// The container runtime.
pub struct Node {
    clock: Clock,
    jobs: Arc<Jobs>,
    pods: BTreeMap<Uid, PodRecord>,
    out: mpsc::Sender<Outside>,
    news: mpsc::Sender<News>,
    running: JoinSet<()>,
    notices: Box<dyn Notices>,
}

/// What a job or a probe reports.
#[derive(Debug)]
enum News {
    Sandbox { pod: Uid, outcome: Result<Sandbox, String> },
    Image { pod: Uid, container: ContainerIndex, outcome: Result<bool, Failure> },
    Started { pod: Uid, container: ContainerIndex, attempt: u32, outcome: Result<ContainerId, Failure> },
    Stopped { pod: Uid, container: ContainerIndex, attempt: u32, end: Option<(i32, bool)> },
    Removed { pod: Uid },
    Hook { pod: Uid, container: ContainerIndex, attempt: u32, kind: HookKind, error: String },
    Probe { pod: Uid, container: ContainerIndex, attempt: u32, kind: ProbeKind, told: probe::Told },
}

impl Node {
    /// Runs until `requests` ends. Events go to `out`. Nothing of the cluster may be on the engine before.
    pub async fn run(
        settings: NodeSettings,
        mut requests: mpsc::UnboundedReceiver<RuntimeRequest>,
        out: mpsc::Sender<Outside>,
    ) {
        let (news, mut reports) = mpsc::channel(NEWS_WAITING_MAX);
        let NodeSettings { engine, cluster, address, memory_bytes, clock, notices } = settings;
        let mut watch = engine.watch(&cluster);
        let jobs = Arc::new(Jobs { engine, cluster, address, memory_bytes });
        let mut node = Node { clock, jobs, pods: BTreeMap::new(), out, news, running: JoinSet::new(), notices };
        loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => node.on_request(request).await,
                    None => break,
                },
                Some(news) = reports.recv() => node.on_news(news).await,
                Some(change) = watch.next() => node.on_change(change).await,
                Some(Err(failure)) = node.running.join_next() => resume_unwind(failure.into_panic()),
            }
        }
        // What is being created comes into being whether anybody waits or not. Only when it is there can it be removed.
        let settled = async {
            while node.pods.values().any(PodRecord::is_creating) {
                let news = reports.recv().await.expect("the node itself holds a sender");
                node.on_news(news).await;
            }
        };
        // An engine that hangs must not keep the run from ending.
        let _ = timeout(CREATIONS_LIMIT, settled).await;
        node.running.shutdown().await;
    }

    fn spawn(&mut self, job: impl Future<Output = News> + Send + 'static) {
        let news = self.news.clone();
        self.running.spawn(async move {
            let report = job.await;
            // Refused only while the node ends.
            let _ = news.send(report).await;
        });
    }

    async fn tell(&self, event: RuntimeEvent) {
        let (from, to, body) = (ProcId::runtime(HOST), ProcId::kubelet(HOST), Msg::RuntimeEvent(event));
        // Refused only while the run ends.
        let _ = self.out.send(Outside::Input(Input::Message { from, to, body })).await;
    }
}

/// Exit code and whether memory ended it, for a program that has run.
fn exit_of(phase: &Phase) -> Option<(i32, bool)> {
    match phase {
        Phase::Exited { code, oom_killed, .. } => Some((i32::try_from(*code).unwrap_or(CODE_UNKNOWN), *oom_killed)),
        Phase::Created | Phase::Running { .. } => None,
    }
}
