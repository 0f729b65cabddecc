//! The container runtime of the one node: answers a kubelet's requests with containers of the Docker engine.
//!
//! One task owns the state of all pods. Calls of the engine run beside it, one task each, and report back as `News`;
//! what happens to containers by itself, or by somebody's hand, comes from the engine's watch. Both meet in this one
//! task, so events about a container leave in the order of its life: started, then probes, then exited, once each.
//!
//! Invariant: an event is sent for every request, as soon as the engine has answered; a call that changes nothing by
//! being repeated is repeated while the engine is away. Absent on purpose: restarts, back-off and pull retries, which
//! are the kubelet's; and any memory beyond this process: what an earlier process left is removed before the first pod.

mod expansion;
mod hook;
mod jobs;
mod pods;
mod probe;

use std::{collections::BTreeMap, net::IpAddr, panic::resume_unwind, sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use wavetank_core::{
    Input,
    id::{ProcId, Uid},
    kubelet::{
        ContainerConfig, ContainerIndex, HookKind, ProbeKind, RunningContainer, RunningPod, RuntimeEvent,
        RuntimeRequest, first_try,
    },
    model::{Hook, Pod, Probe},
    seam::Msg,
    time::Span,
};

use crate::{
    clock::Clock,
    docker::{Change, ClusterName, Container, ContainerId, Engine, EngineError, Identity, Phase, Role, Sandbox},
    world::{HOST, Outside},
};
use jobs::{Failure, Jobs};
use pods::{ContainerRecord, PodRecord, uid_of};

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
    Probe { pod: Uid, container: ContainerIndex, attempt: u32, kind: ProbeKind, passing: bool },
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

    async fn on_request(&mut self, request: RuntimeRequest) {
        match request {
            RuntimeRequest::CreateSandbox { pod } => self.create_sandbox(pod).await,
            RuntimeRequest::PullImage { pod, container, image, policy, .. } => {
                let jobs = self.jobs.clone();
                self.spawn(async move { News::Image { pod, container, outcome: jobs.pull(&image, policy).await } });
            }
            RuntimeRequest::StartContainer { pod, container, attempt, config } => {
                self.start(pod, container, attempt, config).await;
            }
            RuntimeRequest::UpdateFiles { pod, container, attempt, config } => {
                self.update_files((pod, container, attempt), &config);
            }
            RuntimeRequest::StopContainer { pod, container, attempt, grace } => {
                self.stop(pod, container, attempt, grace).await;
            }
            RuntimeRequest::Probe { pod, container, attempt, kind, probe } => {
                self.probe(pod, container, attempt, kind, probe.map(|probe| *probe)).await;
            }
            RuntimeRequest::RunHook { pod, container, attempt, kind, hook, limit } => {
                self.run_hook((pod, container, attempt), kind, *hook, limit).await;
            }
            // What the machine has left is not looked at here: it belongs to more than this cluster.
            RuntimeRequest::WatchUsage(_) | RuntimeRequest::RemoveImages(_) | RuntimeRequest::PowerOff => {}
            RuntimeRequest::Usage => self.tell(RuntimeEvent::Usage(Arc::default())).await,
            RuntimeRequest::RemovePod { pod } => self.remove(pod).await,
            RuntimeRequest::List => self.tell(RuntimeEvent::Pods(self.list())).await,
        }
    }

    /// Makes the pod's sandbox. Asked again while one is being made or runs, it makes no second one.
    async fn create_sandbox(&mut self, pod: Arc<Pod>) {
        let uid = pod.meta.uid;
        let record = match self.pods.get_mut(&uid) {
            Some(record) => record,
            None => match self.jobs.record(pod) {
                Ok(record) => self.pods.entry(uid).or_insert(record),
                Err(error) => {
                    let message = error.to_string().into();
                    return self.tell(RuntimeEvent::SandboxFailed { pod: uid, message }).await;
                }
            },
        };
        if let Some(address) = record.sandbox.as_ref().map(|_| record.address()) {
            return self.tell(RuntimeEvent::SandboxReady { pod: uid, address }).await;
        }
        if record.making || record.removing {
            return;
        }
        record.making = true;
        let (jobs, spec, leftovers) = (self.jobs.clone(), self.jobs.sandbox_spec(record), record.everything());
        self.spawn(async move { News::Sandbox { pod: uid, outcome: jobs.sandbox(spec, leftovers).await } });
    }

    /// Writes files into a running container again. Its next start gets them anyway, so a failure is not told.
    fn update_files(&mut self, (pod, container, attempt): (Uid, ContainerIndex, u32), config: &ContainerConfig) {
        let record = self.pods.get(&pod).and_then(|pod| pod.container(container, attempt));
        let Some(id) = record.filter(|record| record.is_running()).and_then(|record| record.id.clone()) else { return };
        let (jobs, files) = (self.jobs.clone(), jobs::files(config, |file| file.updated));
        self.running.spawn(async move {
            let _ = jobs.engine.put_files(&id, &files).await;
        });
    }

    async fn start(
        &mut self,
        pod: Arc<Pod>,
        container: ContainerIndex,
        attempt: u32,
        config: Option<Arc<ContainerConfig>>,
    ) {
        let uid = pod.meta.uid;
        let prepared = match self.pods.get_mut(&uid) {
            Some(record) => self.jobs.container_spec(record, container, attempt, config.as_deref()).inspect(|_| {
                record.containers.entry(container).or_default().insert(attempt, ContainerRecord::default());
            }),
            None => Err(Failure::create("the pod has no sandbox")),
        };
        match prepared {
            Ok(spec) => {
                let jobs = self.jobs.clone();
                self.spawn(
                    async move { News::Started { pod: uid, container, attempt, outcome: jobs.start(&spec).await } },
                );
            }
            Err(Failure { reason, message }) => {
                self.tell(RuntimeEvent::ContainerFailed { pod: uid, container, attempt, reason, message }).await;
            }
        }
    }

    /// Stops a container. One that is not there, or whose end was told already, is told (again) to have ended.
    async fn stop(&mut self, pod: Uid, container: ContainerIndex, attempt: u32, grace: Span) {
        let record = self.pods.get(&pod).and_then(|pod| pod.container(container, attempt));
        match record {
            Some(ContainerRecord { id: Some(id), exited: None, started_at: Some(_), .. }) => {
                let (id, jobs) = (id.clone(), self.jobs.clone());
                let grace = Duration::from_nanos(grace.0);
                self.spawn(async move {
                    let end = jobs.stop(&id, grace).await.and_then(|container| exit_of(&container.phase));
                    News::Stopped { pod, container, attempt, end }
                });
            }
            // It is being created: what to stop is known when that is done.
            Some(ContainerRecord { id: None, exited: None, .. }) => {
                if let Some(record) = self.pods.get_mut(&pod).and_then(|pod| pod.container_mut(container, attempt)) {
                    record.stop_wanted = Some(grace);
                }
            }
            record => {
                let code = record.and_then(|record| record.exited).map_or(CODE_UNKNOWN, |(code, _)| code);
                let out_of_memory = false;
                self.tell(RuntimeEvent::ContainerExited { pod, container, attempt, exit_code: code, out_of_memory })
                    .await;
            }
        }
    }

    async fn probe(
        &mut self,
        pod: Uid,
        container: ContainerIndex,
        attempt: u32,
        kind: ProbeKind,
        probe: Option<Probe>,
    ) {
        let now = self.clock.now();
        let Some(record) = self.pods.get_mut(&pod) else { return };
        let Some(probe) = probe else {
            // A container without a readiness probe is ready once it runs.
            if record.container(container, attempt).is_some_and(ContainerRecord::is_running) {
                self.tell(RuntimeEvent::ProbeChanged { pod, container, attempt, kind, passing: true }).await;
            }
            return;
        };
        let Some(spec) = pods::spec_of(&record.pod, container).cloned() else { return };
        let address = record.sandbox.as_ref().and_then(|sandbox| sandbox.address).unwrap_or(self.jobs.address);
        let Some(record) = record.container_mut(container, attempt).filter(|record| record.is_running()) else {
            return;
        };
        let Some(id) = record.id.clone() else { return };
        let delay = first_try(&probe, record.started_at.unwrap_or(now), now).since(now);
        let target = probe::Target { engine: self.jobs.engine.clone(), id, address };
        let news = self.news.clone();
        record.probes.spawn(probe::run(target, spec, probe, delay, async move |passing| {
            // Refused only while the node ends.
            let _ = news.send(News::Probe { pod, container, attempt, kind, passing }).await;
        }));
    }

    /// Runs a hook. One of a container that does not run has failed.
    async fn run_hook(
        &mut self,
        (pod, container, attempt): (Uid, ContainerIndex, u32),
        kind: HookKind,
        hook: Hook,
        limit: Option<Span>,
    ) {
        let record = self.pods.get(&pod);
        let found = record.and_then(|pod| Some((pod, pods::spec_of(&pod.pod, container)?.clone())));
        let id = |pod: &PodRecord| pod.container(container, attempt).filter(|it| it.is_running())?.id.clone();
        let target = found.and_then(|(record, spec)| {
            let address = record.sandbox.as_ref().and_then(|sandbox| sandbox.address).unwrap_or(self.jobs.address);
            Some((probe::Target { engine: self.jobs.engine.clone(), id: id(record)?, address }, spec))
        });
        let Some((target, spec)) = target else {
            let error = "the container does not run".into();
            return self.tell(RuntimeEvent::HookEnded { pod, container, attempt, kind, error }).await;
        };
        self.spawn(async move {
            let error = hook::run(&target, &spec, &hook, limit).await.err().unwrap_or_default();
            News::Hook { pod, container, attempt, kind, error }
        });
    }

    /// Removes everything of a pod, once no job of it is under way that could still create something.
    async fn remove(&mut self, pod: Uid) {
        match self.pods.get_mut(&pod) {
            None => self.tell(RuntimeEvent::PodRemoved { pod }).await,
            Some(record) if record.removing => {}
            Some(record) => {
                record.removing = true;
                self.remove_when_idle(pod);
            }
        }
    }

    fn remove_when_idle(&mut self, pod: Uid) {
        let Some(record) = self.pods.get_mut(&pod) else { return };
        if !record.removing || record.removal_began || record.is_creating() {
            return;
        }
        record.removal_began = true;
        let (jobs, everything) = (self.jobs.clone(), record.everything());
        self.spawn(async move {
            jobs.remove_all(everything).await;
            News::Removed { pod }
        });
    }

    fn list(&self) -> Vec<RunningPod> {
        let container = |index: ContainerIndex, attempt: u32, record: &ContainerRecord| {
            let started_at = record.started_at?;
            Some(RunningContainer { container: index, attempt, started_at, exited: record.exited })
        };
        let pods = self.pods.values().filter(|record| record.sandbox.is_some() && !record.removing);
        pods.map(|record| RunningPod {
            pod: record.pod.clone(),
            address: record.address(),
            containers: record.all().filter_map(|(index, attempt, record)| container(index, attempt, record)).collect(),
        })
        .collect()
    }

    async fn on_news(&mut self, news: News) {
        match news {
            News::Sandbox { pod, outcome } => self.sandbox_made(pod, outcome).await,
            News::Image { pod, container, outcome } => {
                let event = match outcome {
                    Ok(already_present) => RuntimeEvent::ImageReady { pod, container, already_present },
                    Err(Failure { reason, message }) => RuntimeEvent::ImageFailed { pod, container, reason, message },
                };
                self.tell(event).await;
            }
            News::Started { pod, container, attempt, outcome } => {
                self.container_started(pod, container, attempt, outcome).await;
            }
            News::Stopped { pod, container, attempt, end } => {
                let (code, out_of_memory) = end.unwrap_or((CODE_UNKNOWN, false));
                self.container_exited(pod, container, attempt, code, out_of_memory).await;
            }
            News::Removed { pod } => {
                self.pods.remove(&pod);
                self.tell(RuntimeEvent::PodRemoved { pod }).await;
            }
            News::Hook { pod, container, attempt, kind, error } => {
                let error = error.into();
                self.tell(RuntimeEvent::HookEnded { pod, container, attempt, kind, error }).await;
            }
            News::Probe { pod, container, attempt, kind, passing } => {
                // It may have ended while the probe was under way.
                let record = self.pods.get(&pod).and_then(|pod| pod.container(container, attempt));
                if record.is_some_and(ContainerRecord::is_running) {
                    self.tell(RuntimeEvent::ProbeChanged { pod, container, attempt, kind, passing }).await;
                }
            }
        }
    }

    async fn sandbox_made(&mut self, pod: Uid, outcome: Result<Sandbox, String>) {
        let Some(record) = self.pods.get_mut(&pod) else { return };
        record.making = false;
        record.sandbox_attempt += 1;
        let event = match outcome {
            Ok(sandbox) => {
                record.sandbox = Some(sandbox);
                RuntimeEvent::SandboxReady { pod, address: record.address() }
            }
            Err(message) => RuntimeEvent::SandboxFailed { pod, message: message.into() },
        };
        // It may have been seen to end before its making was told.
        let ended = record.sandbox.as_ref().is_some_and(|sandbox| record.ended_sandboxes.contains(&sandbox.id));
        record.ended_sandboxes.clear();
        if ended {
            record.sandbox = None;
        }
        self.tell(event).await;
        if ended {
            self.tell(RuntimeEvent::SandboxLost { pod }).await;
        }
        self.remove_when_idle(pod);
    }

    async fn container_started(
        &mut self,
        pod: Uid,
        container: ContainerIndex,
        attempt: u32,
        outcome: Result<ContainerId, Failure>,
    ) {
        let now = self.clock.now();
        let Some(podded) = self.pods.get_mut(&pod) else { return };
        let Some(record) = podded.container_mut(container, attempt) else { return };
        match outcome {
            Ok(id) => {
                record.id = Some(id);
                record.started_at = Some(now);
                let (ended, stop_wanted) = (record.ended_early.take(), record.stop_wanted.take());
                let old = podded.superseded(container, attempt);
                self.tell(RuntimeEvent::ContainerStarted { pod, container, attempt }).await;
                if !old.is_empty() {
                    let jobs = self.jobs.clone();
                    self.running.spawn(async move { jobs.remove_all(old).await });
                }
                if let Some((code, out_of_memory)) = ended {
                    self.container_exited(pod, container, attempt, code, out_of_memory).await;
                } else if let Some(grace) = stop_wanted {
                    self.stop(pod, container, attempt, grace).await;
                }
            }
            Err(Failure { reason, message }) => {
                record.exited = Some((CODE_UNKNOWN, now));
                self.tell(RuntimeEvent::ContainerFailed { pod, container, attempt, reason, message }).await;
            }
        }
        self.remove_when_idle(pod);
    }

    async fn container_exited(
        &mut self,
        pod: Uid,
        container: ContainerIndex,
        attempt: u32,
        code: i32,
        out_of_memory: bool,
    ) {
        let now = self.clock.now();
        let Some(record) = self.pods.get_mut(&pod).and_then(|pod| pod.container_mut(container, attempt)) else {
            return;
        };
        if record.exited.is_some() {
            return;
        }
        if record.started_at.is_none() {
            // Its start is told first.
            record.ended_early = Some((code, out_of_memory));
            return;
        }
        record.exited = Some((code, now));
        record.probes.abort_all();
        self.tell(RuntimeEvent::ContainerExited { pod, container, attempt, exit_code: code, out_of_memory }).await;
    }

    async fn on_change(&mut self, change: Change) {
        match change {
            Change::Seen(Container { id, identity, phase, .. }) => {
                let Some(record) = uid_of(&identity).and_then(|uid| self.pods.get_mut(&uid)) else { return };
                record.engine_ids.insert(id.clone());
                match (&identity.role, exit_of(&phase)) {
                    (Role::Sandbox, Some(_)) => self.sandbox_ended(&id, &identity).await,
                    (Role::Container(_), Some((code, out_of_memory))) => {
                        self.identified_exited(&identity, code, out_of_memory).await;
                    }
                    (_, None) => {}
                }
            }
            Change::Gone(id, identity) => {
                if let Some(record) = uid_of(&identity).and_then(|uid| self.pods.get_mut(&uid)) {
                    record.engine_ids.remove(&id);
                }
                match identity.role {
                    Role::Sandbox => self.sandbox_ended(&id, &identity).await,
                    Role::Container(_) => self.identified_exited(&identity, CODE_UNKNOWN, false).await,
                }
            }
            Change::Synced => {}
            Change::EngineLost(error) => {
                self.notices.engine(Some(&error));
                self.tell(RuntimeEvent::Down).await;
            }
            Change::EngineBack => {
                self.notices.engine(None);
                self.tell(RuntimeEvent::Up).await;
            }
        }
    }

    async fn sandbox_ended(&mut self, id: &ContainerId, identity: &Identity) {
        let Some(uid) = uid_of(identity) else { return };
        let Some(record) = self.pods.get_mut(&uid) else { return };
        if record.making {
            record.ended_sandboxes.insert(id.clone());
        }
        if record.removing || record.sandbox.as_ref().is_none_or(|sandbox| sandbox.id != *id) {
            return;
        }
        record.sandbox = None;
        self.tell(RuntimeEvent::SandboxLost { pod: uid }).await;
    }

    async fn identified_exited(&mut self, identity: &Identity, code: i32, out_of_memory: bool) {
        let Some(uid) = uid_of(identity) else { return };
        let Some(container) = self.pods.get(&uid).and_then(|record| record.index_of(identity)) else { return };
        self.container_exited(uid, container, identity.attempt.0, code, out_of_memory).await;
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
