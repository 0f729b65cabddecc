//! A small world for the core's own tests: instant links, an instant disk and stand-in kubelets.
//!
//! The stand-in moves pods along with fixed delays, as the one behind the recorded answers of the real controllers
//! does; a pod whose first image ends in `never-ready` runs but never becomes ready. Tests of the real kubelet turn it
//! off and answer for the container runtime themselves.

mod fake_runtime;
mod hindrances;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use fake_runtime::{FakeRuntime, Image};
use hindrances::Hindrances;

use crate::api::{Answer, Propagation, Reply, Request};
use crate::config::Config;
use crate::events::EventLog;
use crate::facts::{Fact, What};
use crate::id::{HostId, Name, ProcId, ProcKind, RequestId, Uid};
use crate::kubelet::Boot;
use crate::machine::Core;
use crate::model::{
    ConditionKind, ContainerState, ContainerStatus, Kind, Labels, Meta, Namespace, Node, NodeStatus, Object, Phase,
    Pod, Resource, Resources, Status3, Terminated,
};
use crate::seam::{Effect, Input, Msg, TimerKind};
use crate::time::{Span, Time};

/// How fast the stand-in kubelets are.
#[derive(Clone, Copy)]
pub(crate) struct StandIn {
    /// From bound to Running.
    pub(crate) start: Span,
    /// From Running to Ready.
    pub(crate) ready: Span,
    /// From the deletion request to the end.
    pub(crate) term: Span,
}

/// What the stand-in kubelet does to a pod later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Run,
    Ready,
    Exit(i32),
    Remove,
}

/// A core with everything around it.
pub(crate) struct Testbed {
    pub(crate) core: Core,
    pub(crate) facts: Vec<(Time, Fact)>,
    /// What components said as Kubernetes events.
    said: EventLog,
    /// Answers to the client's requests, by number.
    pub(crate) answers: BTreeMap<RequestId, Answer>,
    /// Messages to container runtimes, for tests that play the runtime.
    pub(crate) to_runtimes: Vec<(Time, ProcId, Msg)>,
    stand_in: Option<StandIn>,
    /// How long the containers of a pod run and with which code they end; `None` is for ever.
    ends: fn(&Pod) -> Option<(Span, i32)>,
    /// Answers the real kubelets, if there is one; all hosts share it.
    pub(crate) runtime: Option<FakeRuntime>,
    /// Hosts that are cut off from everybody but their own runtime.
    cut: Vec<HostId>,
    /// Nodes to which new pods are bound in turn, in place of a scheduler; empty leaves that to the core's own.
    bind_to: Vec<Name>,
    bound: u64,
    hindrances: Hindrances,
    /// The static pods of the next host that is introduced.
    pub(crate) static_pods: Vec<Arc<Pod>>,
    pods: BTreeMap<Uid, Arc<Pod>>,
    queue: BTreeMap<(Time, u64), Input>,
    timers: BTreeMap<(ProcId, TimerKind), (Time, u64)>,
    steps: BTreeMap<(Time, u64), (Uid, Step)>,
    /// The next lease renewal of each stand-in kubelet, and how many it has made.
    beats: BTreeMap<HostId, (Time, Name, u64)>,
    dead: Vec<HostId>,
    pushed: u64,
    asked: u64,
    now: Time,
}

impl Testbed {
    /// An API server, a scheduler and a controller manager, stand-in kubelets, and the namespace `default`.
    pub(crate) fn new(config: Config) -> Testbed {
        let mut bed = Testbed {
            core: Core::new(config),
            facts: Vec::new(),
            said: EventLog::default(),
            answers: BTreeMap::new(),
            to_runtimes: Vec::new(),
            stand_in: Some(StandIn { start: Span::from_secs(1), ready: Span::from_secs(2), term: Span::from_secs(1) }),
            ends: |_| None,
            runtime: None,
            cut: Vec::new(),
            bind_to: Vec::new(),
            bound: 0,
            hindrances: Hindrances::default(),
            static_pods: Vec::new(),
            pods: BTreeMap::new(),
            queue: BTreeMap::new(),
            timers: BTreeMap::new(),
            steps: BTreeMap::new(),
            beats: BTreeMap::new(),
            dead: Vec::new(),
            pushed: 0,
            asked: 0,
            now: Time::ZERO,
        };
        for process in [ProcId::API_SERVER, ProcId::SCHEDULER, ProcId::CONTROLLER_MANAGER] {
            bed.input(Input::Started(process));
        }
        bed.request(Request::Create(Object::Namespace(Arc::new(Namespace::named("default")))));
        bed.run_for(Span::ZERO);
        bed
    }

    /// Turns the stand-in kubelets off: messages to kubelets go to the core's own.
    pub(crate) fn with_real_kubelets(mut self) -> Testbed {
        self.stand_in = None;
        self
    }

    /// Real kubelets with a runtime that answers them.
    pub(crate) fn with_runtime(mut self, runtime: FakeRuntime) -> Testbed {
        self = self.with_real_kubelets();
        self.runtime = Some(runtime);
        self
    }

    /// Introduces a host and starts its real kubelet.
    pub(crate) fn start_kubelet(&mut self, host: u32, node: &str, cpu_milli: i64, memory_bytes: i64) {
        let ephemeral_bytes = 1 << 40;
        let capacity = Resources { cpu_milli, memory_bytes, ephemeral_bytes, pods: 110, ..Resources::default() };
        let boot = Boot {
            node: node.into(),
            labels: Labels::new([("kubernetes.io/hostname", node), ("topology.kubernetes.io/zone", "a")]),
            capacity: capacity.clone(),
            allocatable: capacity,
            taints: Vec::new(),
            address: format!("192.168.0.{host}").into(),
            pod_network: format!("10.0.{host}").into(),
            static_pods: std::mem::take(&mut self.static_pods),
        };
        let to = ProcId::kubelet(HostId(host));
        self.input(Input::Message { from: ProcId::WORLD, to, body: Msg::Boot(Arc::new(boot)) });
        self.input(Input::Started(to));
        self.run_for(Span::ZERO);
    }

    /// Cuts a host off, or heals the cut and tells its kubelet.
    pub(crate) fn set_cut(&mut self, host: u32, cut: bool) {
        self.cut.retain(|other| *other != HostId(host));
        if cut {
            self.cut.push(HostId(host));
        } else {
            let to = ProcId::kubelet(HostId(host));
            self.input(Input::Message { from: ProcId::WORLD, to, body: Msg::Reconnected });
        }
    }

    /// Other speeds of the stand-in kubelets.
    pub(crate) fn with_stand_in(mut self, stand_in: StandIn) -> Testbed {
        self.stand_in = Some(stand_in);
        self
    }

    /// Lets the containers of pods end some time after they have started, all with one code.
    pub(crate) fn with_ends(mut self, ends: fn(&Pod) -> Option<(Span, i32)>) -> Testbed {
        self.ends = ends;
        self
    }

    /// Binds each new pod at once to the next of these nodes, in place of a scheduler.
    pub(crate) fn with_binder(mut self, nodes: &[&str]) -> Testbed {
        self.bind_to = nodes.iter().map(|node| Name::from(*node)).collect();
        self
    }

    /// Adds a ready node with 110 pods, watched by the stand-in kubelet of `host`.
    pub(crate) fn add_node(&mut self, host: u32, name: &str, zone: &str, cpu_milli: i64, memory_bytes: i64) {
        let mut meta = Meta::named("", name);
        meta.labels = Labels::new([("kubernetes.io/hostname", name), ("topology.kubernetes.io/zone", zone)]);
        let capacity = Resources { cpu_milli, memory_bytes, pods: 110, ..Resources::default() };
        let mut status = NodeStatus { capacity: capacity.clone(), allocatable: capacity, ..NodeStatus::default() };
        status.conditions.set(ConditionKind::Ready, Status3::True, "KubeletReady", "", self.now);
        self.request(Request::Create(Object::Node(Arc::new(Node { meta, status, ..Node::default() }))));
        self.push(
            self.now,
            Input::Message {
                from: ProcId::kubelet(HostId(host)),
                to: ProcId::API_SERVER,
                body: Msg::Request(RequestId(0), Box::new(Request::WatchPods { node: name.into() })),
            },
        );
        self.beats.insert(HostId(host), (self.now, name.into(), 0));
        self.run_for(Span::ZERO);
    }

    /// The stand-in kubelet of a host falls silent: its pods stay as they are and its lease is not renewed.
    pub(crate) fn silence(&mut self, host: u32) {
        self.dead.push(HostId(host));
        self.beats.remove(&HostId(host));
    }

    /// No stand-in kubelet renews its lease by itself any longer; tests send renewals with [`Testbed::renew_at`].
    pub(crate) fn stop_renewals(&mut self) {
        self.beats.clear();
    }

    /// The stand-in kubelet of a host is back: it says that its node is ready and renews its lease.
    pub(crate) fn wake(&mut self, host: u32, name: &str) {
        self.dead.retain(|dead| *dead != HostId(host));
        self.beats.insert(HostId(host), (self.now, name.into(), 0));
        self.set_node_condition(name, ConditionKind::Ready, Status3::True, "KubeletReady");
    }

    /// Writes one condition of a node, as its kubelet does.
    pub(crate) fn set_node_condition(&mut self, name: &str, kind: ConditionKind, status: Status3, reason: &str) {
        let mut node = Node::clone(&self.get::<Node>("", name).expect("the node is there"));
        node.status.conditions.set(kind, status, reason, "", self.now);
        self.request(Request::UpdateStatus { object: Object::Node(Arc::new(node)), expected: None });
    }

    /// A kubelet's renewal reaches the API server at a time.
    pub(crate) fn renew_at(&mut self, at: Time, host: u32, name: &str, renewal: u64) {
        let body = Msg::Renew { node: name.into(), renewal };
        self.push(at, Input::Message { from: ProcId::kubelet(HostId(host)), to: ProcId::API_SERVER, body });
    }

    /// Sends a request as the client, now; the answer will be under the returned number.
    pub(crate) fn request(&mut self, request: Request) -> RequestId {
        self.asked += 1;
        let id = RequestId(self.asked);
        let body = Msg::Request(id, Box::new(request));
        self.push(self.now, Input::Message { from: ProcId::CLIENT, to: ProcId::API_SERVER, body });
        id
    }

    /// Creates an object and asserts that it was accepted.
    pub(crate) fn create<T: Resource>(&mut self, object: T) {
        let id = self.request(Request::Create(T::into_object(Arc::new(object))));
        self.run_for(Span::ZERO);
        let answer = &self.answers[&id];
        assert!(answer.is_ok(), "the creation was refused: {answer:?}");
    }

    /// Gives the core an input now.
    pub(crate) fn input(&mut self, input: Input) {
        self.push(self.now, input);
    }

    /// Gives the core an input at a later time.
    pub(crate) fn input_at(&mut self, at: Time, input: Input) {
        self.push(at, input);
    }

    /// The time now.
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// Lets so much time pass.
    pub(crate) fn run_for(&mut self, span: Span) {
        self.run_until(self.now + span);
    }

    /// Lets time pass up to and including a point.
    pub(crate) fn run_until(&mut self, end: Time) {
        let mut effects = Vec::new();
        loop {
            self.beat();
            let next_input = self.queue.first_key_value().map(|(key, _)| *key);
            let next_step = self.steps.first_key_value().map(|(key, _)| *key);
            let Some(next) = next_input.into_iter().chain(next_step).min().filter(|(time, _)| *time <= end) else {
                break;
            };
            self.now = next.0;
            if next_step == Some(next) {
                let (uid, step) = self.steps.remove(&next).expect("the step was just seen");
                self.stand_in_step(uid, step);
                continue;
            }
            let input = self.queue.remove(&next).expect("the input was just seen");
            if let Input::Timer(process, kind) = &input {
                self.timers.remove(&(*process, *kind));
            }
            if !self.happens(&input) {
                continue;
            }
            self.core.step(self.now, input, &mut effects);
            for effect in std::mem::take(&mut effects) {
                self.perform(effect);
            }
        }
        self.now = end;
    }

    /// The facts so far, one line each: `12.5s pods/default/web-1 Scheduled: bound to n1`.
    pub(crate) fn told(&self) -> Vec<String> {
        self.facts
            .iter()
            .map(|(at, fact)| format!("{at} {} {}: {}", fact.subject, fact.what.reason(), fact.what))
            .collect()
    }

    /// The Kubernetes events of an object so far, as the API server holds them: `12.5s Normal Scheduled x2: …`.
    pub(crate) fn events(&self, kind: Kind, name: &str) -> Vec<String> {
        let own = self.said.all().iter().filter(|it| it.subject.kind == kind && *it.subject.name == *name);
        own.map(|it| format!("{} {} {} x{}: {}", it.first, it.event_type, it.reason, it.count, it.message)).collect()
    }

    /// How often an event whose message contains this text has been said.
    pub(crate) fn times_said(&self, text: &str) -> u32 {
        self.said.all().iter().filter(|it| it.message.contains(text)).map(|it| it.count).sum()
    }

    /// The newest version of an object.
    pub(crate) fn get<T: Resource>(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        let (namespace, name): (Name, Name) = (namespace.into(), name.into());
        self.core.newest().find::<T>(&namespace, &name).map(|(_, object)| object.clone())
    }

    fn push(&mut self, at: Time, input: Input) -> (Time, u64) {
        assert!(at >= self.now, "an input for the past");
        self.pushed += 1;
        self.queue.insert((at, self.pushed), input);
        (at, self.pushed)
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Arm(process, kind, at) => {
                self.perform(Effect::Disarm(process, kind));
                let key = self.push(at, Input::Timer(process, kind));
                self.timers.insert((process, kind), key);
            }
            Effect::Disarm(process, kind) => {
                if let Some(key) = self.timers.remove(&(process, kind)) {
                    self.queue.remove(&key);
                }
            }
            Effect::Persist(revision) => {
                self.push(self.now, Input::Persisted(revision));
            }
            Effect::Record(Fact { subject, what: What::Event(event), .. }) => {
                self.said.take(self.now, &subject, &event);
            }
            Effect::Record(fact) => {
                self.bind_if_new(&fact);
                self.facts.push((self.now, fact));
            }
            Effect::Send { from: from @ ProcId::CONTROLLER_MANAGER, to, body: Msg::Request(id, request) } => {
                let body = match self.hindrances.refusal(&request) {
                    Some(refusal) => Input::Message { from: to, to: from, body: Msg::Response(id, Err(refusal)) },
                    None => Input::Message { from, to, body: Msg::Request(id, request) },
                };
                self.push(self.now, body);
            }
            Effect::Send { from, to: to @ ProcId::CONTROLLER_MANAGER, body: Msg::Advance(revision) } => {
                let news = Input::Message { from, to, body: Msg::Advance(revision) };
                if let Some(news) = self.hindrances.hold(revision, news) {
                    self.push(self.now, news);
                }
            }
            Effect::Send { from, to, body } => match to.kind() {
                ProcKind::Client => {
                    if let Msg::Response(id, answer) = body {
                        self.answers.insert(id, answer);
                    }
                }
                _ if self.is_cut(from) && to.kind() != ProcKind::Runtime || self.is_cut(to) => {}
                ProcKind::Runtime => self.ask_runtime(to, body),
                ProcKind::Kubelet if self.stand_in.is_some() => self.stand_in_message(to, body),
                _ => {
                    self.push(self.now, Input::Message { from, to, body });
                }
            },
        }
    }

    /// Whether an event of the runtime still comes true; every other input does.
    fn happens(&mut self, input: &Input) -> bool {
        match (input, &mut self.runtime) {
            (Input::Message { body: Msg::RuntimeEvent(event), .. }, Some(runtime)) => runtime.happens(self.now, event),
            _ => true,
        }
    }

    fn is_cut(&self, process: ProcId) -> bool {
        process.kind() == ProcKind::Kubelet && process.host().is_some_and(|host| self.cut.contains(&host))
    }

    fn ask_runtime(&mut self, to: ProcId, body: Msg) {
        if let (Some(runtime), Msg::Runtime(request)) = (&mut self.runtime, &body) {
            let kubelet = ProcId::new(ProcKind::Kubelet, to.index());
            for (delay, event) in runtime.answer(request) {
                let input = Input::Message { from: to, to: kubelet, body: Msg::RuntimeEvent(event) };
                self.push(self.now + delay, input);
            }
        }
        self.to_runtimes.push((self.now, to, body));
    }

    fn bind_if_new(&mut self, fact: &Fact) {
        if self.bind_to.is_empty() || fact.subject.kind != Kind::Pod || !matches!(fact.what, What::Created { .. }) {
            return;
        }
        let (namespace, name) = (fact.subject.namespace.clone(), fact.subject.name.clone());
        let Some((_, pod)) = self.core.newest().find::<Pod>(&namespace, &name) else { return };
        if pod.node.is_some() {
            return;
        }
        let node = self.bind_to[(self.bound % self.bind_to.len() as u64) as usize].clone();
        let uid = pod.meta.uid;
        self.bound += 1;
        self.request(Request::Bind { namespace, name, uid, node });
    }

    fn stand_in_message(&mut self, to: ProcId, body: Msg) {
        if to.host().is_some_and(|host| self.dead.contains(&host)) {
            return;
        }
        let (start, term) = self.stand_in.as_ref().map_or((Span::ZERO, Span::ZERO), |it| (it.start, it.term));
        match body {
            Msg::PodChanged(pod) => {
                let before = self.pods.insert(pod.meta.uid, pod.clone());
                let was_terminating = before.as_ref().is_some_and(|pod| pod.meta.is_terminating());
                if before.is_none() && !pod.meta.is_terminating() && !pod.is_finished() {
                    self.later(start, pod.meta.uid, Step::Run);
                }
                if pod.meta.is_terminating() && !was_terminating {
                    self.later(term.min(pod.meta.deletion_grace.unwrap_or_default()), pod.meta.uid, Step::Remove);
                }
            }
            Msg::PodRemoved(uid) => {
                self.pods.remove(&uid);
            }
            Msg::Response(_, Ok(Reply::Pods(pods))) => {
                for pod in pods {
                    if let Object::Pod(pod) = pod {
                        self.stand_in_message(to, Msg::PodChanged(pod));
                    }
                }
            }
            _ => {}
        }
    }

    /// Puts the renewals that come before the next input or step into the queue.
    fn beat(&mut self) {
        if self.stand_in.is_none() {
            return;
        }
        let next_input = self.queue.first_key_value().map(|((at, _), _)| *at);
        let next_step = self.steps.first_key_value().map(|((at, _), _)| *at);
        let horizon = next_input.into_iter().chain(next_step).min().unwrap_or(Time::ZERO);
        let due: Vec<HostId> =
            self.beats.iter().filter(|(_, (at, ..))| *at <= horizon).map(|(host, _)| *host).collect();
        for host in due {
            let (at, name, renewal) = self.beats[&host].clone();
            self.beats.insert(host, (at + Span::from_secs(10), name.clone(), renewal + 1));
            self.renew_at(at, host.0, &name, renewal);
        }
    }

    fn later(&mut self, span: Span, uid: Uid, step: Step) {
        self.pushed += 1;
        self.steps.insert((self.now + span, self.pushed), (uid, step));
    }

    fn stand_in_step(&mut self, uid: Uid, step: Step) {
        let Some(pod) = self.pods.get(&uid) else { return };
        let mut new = Pod::clone(pod);
        let now = self.now;
        let ready = self.stand_in.as_ref().map_or(Span::ZERO, |it| it.ready);
        let set_ready = |pod: &mut Pod, ready: bool| {
            pod.status.conditions.set(ConditionKind::Ready, ready.into(), "", "", now);
            pod.status.conditions.set(ConditionKind::ContainersReady, ready.into(), "", "", now);
        };
        match step {
            Step::Run if new.meta.is_terminating() => return,
            Step::Run => {
                new.status.phase = Phase::Running;
                new.status.pod_ip = Some(format!("10.0.0.{}", uid.0 % 250).into());
                new.status.containers = new.spec.containers.iter().map(|_| running(now)).collect();
                let ready_at_once = ready == Span::ZERO && !is_never_ready(&new);
                set_ready(&mut new, ready_at_once);
                if ready > Span::ZERO && !is_never_ready(&new) {
                    self.later(ready, uid, Step::Ready);
                }
                if let Some((span, code)) = (self.ends)(&new) {
                    self.later(span, uid, Step::Exit(code));
                }
            }
            Step::Ready | Step::Exit(_) if new.is_finished() => return,
            Step::Exit(code) => end(&mut new, code, now),
            Step::Ready if new.meta.is_terminating() => return,
            Step::Ready => set_ready(&mut new, true),
            Step::Remove => {
                if !new.is_finished() && new.is_tracked_by_job() {
                    // A kubelet says how a pod ended before it lets the object go.
                    end(&mut new, 137, now);
                    self.request(Request::UpdateStatus { object: Object::Pod(Arc::new(new)), expected: None });
                }
                let Some(pod) = self.pods.get(&uid) else { return };
                let key = Object::Pod(pod.clone()).key();
                let propagation = Propagation::Background;
                self.request(Request::Delete { key, uid: Some(uid), grace: Some(Span::ZERO), propagation });
                return;
            }
        }
        self.request(Request::UpdateStatus { object: Object::Pod(Arc::new(new)), expected: None });
    }
}

/// All containers of a pod end now; so does the pod.
fn end(pod: &mut Pod, exit_code: i32, now: Time) {
    pod.status.phase = if exit_code == 0 { Phase::Succeeded } else { Phase::Failed };
    for kind in [ConditionKind::Ready, ConditionKind::ContainersReady] {
        pod.status.conditions.set(kind, Status3::False, "", "", now);
    }
    let reason = if exit_code == 0 { "Completed" } else { "Error" };
    for container in &mut pod.status.containers {
        let ContainerState::Running { since } = container.state else { continue };
        let end = Terminated { exit_code, reason: reason.into(), started_at: since, finished_at: now };
        *container =
            ContainerStatus { state: ContainerState::Terminated(Arc::new(end)), ready: false, ..container.clone() };
    }
}

fn is_never_ready(pod: &Pod) -> bool {
    pod.spec.containers.first().is_some_and(|container| container.image.ends_with("never-ready"))
}

fn running(now: Time) -> ContainerStatus {
    ContainerStatus {
        state: ContainerState::Running { since: now },
        last_terminated: None,
        ready: true,
        started: true,
        restarts: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Shared;
    use crate::model::{Container, PodSpec};

    #[test]
    fn a_bound_pod_runs_becomes_ready_and_goes_when_it_is_deleted() {
        let mut bed = Testbed::new(Config::default());
        bed.add_node(0, "n1", "a", 4_000, 1 << 30);
        let spec = PodSpec {
            containers: vec![Container { name: "app".into(), ..Container::default() }],
            ..PodSpec::default()
        };
        let pod = Pod {
            meta: Meta::named("default", "p").into(),
            spec: Shared::new(spec),
            node: Some("n1".into()),
            ..Pod::default()
        };
        bed.create(pod);
        bed.run_for(Span::from_secs(5));
        let pod = bed.get::<Pod>("default", "p").unwrap();
        assert!(pod.is_ready(), "{:?}", bed.told());
        assert_eq!(pod.spec.tolerations.len(), 2, "the default tolerations are added");
        let key = Object::Pod(pod).key();
        bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
        bed.run_for(Span::from_secs(2));
        assert!(bed.get::<Pod>("default", "p").is_none(), "{:?}", bed.told());
    }
}
