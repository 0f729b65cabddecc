//! A small world for the core's own tests: instant links, an instant disk and stand-in kubelets.
//!
//! Here are the core, what surrounds it and the passing of time. `stand_in` has the stand-in kubelets; tests of the
//! real kubelet turn them off and answer for the container runtime themselves, mostly with `fake_runtime`. `hindrances`
//! is what a test puts in the way of the controller manager.

mod fake_runtime;
mod hindrances;
mod stand_in;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use fake_runtime::{FakeRuntime, Image};
use hindrances::Hindrances;
pub(crate) use stand_in::StandIn;
use stand_in::StandIns;

use crate::api::{Answer, Request};
use crate::config::Config;
use crate::events::EventLog;
use crate::facts::{Fact, What};
use crate::id::{HostId, Name, ProcId, ProcKind, RequestId};
use crate::kubelet::Boot;
use crate::machine::Core;
use crate::model::{
    ConditionKind, Kind, Labels, Meta, Namespace, Node, NodeStatus, Object, Pod, Resource, Resources, Status3,
};
use crate::seam::{Effect, Input, Msg, TimerKind};
use crate::store::Stored;
use crate::time::{Span, Time};

/// A core with everything around it.
pub(crate) struct Testbed {
    pub(crate) core: Core,
    pub(crate) facts: Vec<(Time, Fact)>,
    /// The Kubernetes events, as the API server holds them.
    pub(crate) said: EventLog,
    /// Answers to the client's requests, by number.
    pub(crate) answers: BTreeMap<RequestId, Answer>,
    /// Messages to container runtimes, for tests that play the runtime.
    pub(crate) to_runtimes: Vec<(Time, ProcId, Msg)>,
    stand_ins: StandIns,
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
    queue: BTreeMap<(Time, u64), Input>,
    timers: BTreeMap<(ProcId, TimerKind), (Time, u64)>,
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
            stand_ins: StandIns::default(),
            runtime: None,
            cut: Vec::new(),
            bind_to: Vec::new(),
            bound: 0,
            hindrances: Hindrances::default(),
            static_pods: Vec::new(),
            queue: BTreeMap::new(),
            timers: BTreeMap::new(),
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
        self.stand_ins.speed = None;
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
        self.stand_ins.beats.insert(HostId(host), (self.now, name.into(), 0));
        self.run_for(Span::ZERO);
    }

    /// Writes one condition of a node, as its kubelet does.
    pub(crate) fn set_node_condition(&mut self, name: &str, kind: ConditionKind, status: Status3, reason: &str) {
        let mut node = Node::clone(&self.get::<Node>("", name).expect("the node is there"));
        node.status.conditions.set(kind, status, reason, "", self.now);
        self.request(Request::UpdateStatus { object: Object::Node(Arc::new(node)), expected: None });
    }

    /// Sends a request as the client, now; the answer will be under the returned number.
    pub(crate) fn request(&mut self, request: Request) -> RequestId {
        self.asked += 1;
        let id = RequestId(self.asked);
        let body = Msg::Request(id, Box::new(request));
        self.push(self.now, Input::Message { from: ProcId::CLIENT, to: ProcId::API_SERVER, body });
        id
    }

    /// Asks for something that is answered at once, and gives what the refusal says; empty if it was accepted.
    pub(crate) fn ask(&mut self, request: Request) -> String {
        let id = self.request(request);
        self.run_for(Span::ZERO);
        self.answers[&id].as_ref().err().map(ToString::to_string).unwrap_or_default()
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
            let next_step = self.stand_ins.steps.first_key_value().map(|(key, _)| *key);
            let Some(next) = next_input.into_iter().chain(next_step).min().filter(|(time, _)| *time <= end) else {
                break;
            };
            self.now = next.0;
            if next_step == Some(next) {
                let (uid, step) = self.stand_ins.steps.remove(&next).expect("the step was just seen");
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
        let said = self.said_by_now();
        let own = said.all().iter().filter(|it| it.subject.kind == kind && *it.subject.name == *name);
        own.map(|it| format!("{} {} {} x{}: {}", it.first, it.event_type, it.reason, it.count, it.message)).collect()
    }

    /// How often an event whose message contains this text has been said.
    pub(crate) fn times_said(&self, text: &str) -> u32 {
        self.said_by_now().all().iter().filter(|it| it.message.contains(text)).map(|it| it.count).sum()
    }

    /// What has been said up to now.
    pub(crate) fn said_by_now(&self) -> EventLog {
        let mut said = self.said.clone();
        said.catch_up(self.now);
        said
    }

    /// The newest version of an object.
    pub(crate) fn get<T: Stored>(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
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
            Effect::Send {
                from: from @ (ProcId::CONTROLLER_MANAGER | ProcId::SCHEDULER),
                to,
                body: Msg::Request(id, request),
            } => {
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
                ProcKind::Kubelet if self.stand_ins.speed.is_some() => self.stand_in_message(to, body),
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
}
