//! The model of the scheduler's own time against what was measured of kube-scheduler.
//!
//! Each workload is a cluster, the pods that are measured on it and the throughput that was published. It runs on the
//! core alone, under a virtual clock: API server, scheduler and, where they set the pace, controllers; links, disks and
//! kubelets take no time, as in kube-scheduler's own benchmark, where API server and etcd are in its process.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use wavetank_core::api::admission::NOT_READY;
use wavetank_core::api::{Patch, Request};
use wavetank_core::config::{Config, RateLimit, SchedulingCost};
use wavetank_core::digest::Shared;
use wavetank_core::facts::What;
use wavetank_core::id::{ProcId, RequestId};
use wavetank_core::model::{
    Container, Kind as ObjectKind, Labels, Meta, Namespace, Node, NodeStatus, Object, ObjectKey, PlacementRules, Pod,
    PodOwn, PodSpec, PodTemplate, PodTerm, ReplicaSet, Resources, Selector, SelectorOperator, SelectorRequirement,
    ServiceAccount, SpreadConstraint, WeightedPodTerm,
};
use wavetank_core::seam::{Msg, TimerKind};
use wavetank_core::time::{Span, Time};
use wavetank_core::{Core, Effect, Input};

const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";

/// What the measured pods are like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Requests alone.
    Basic,
    /// Each for one node, as a DaemonSet makes them.
    Daemon,
    /// A required node affinity.
    NodeAffinity,
    /// A required spread constraint over zones.
    Spread,
    /// A preferred one.
    PreferredSpread,
    /// Required affinity to each other in a zone.
    Affinity,
    /// Required anti-affinity to each other on a node.
    AntiAffinity,
    /// Preferred affinity to each other on a node.
    PreferredAffinity,
    /// Made by a ReplicaSet, whose controller may send so many requests per second; requests alone.
    Replicas(u32),
}

/// A workload and what was published of it.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Its name where it was published.
    pub name: &'static str,
    /// Where that is.
    pub source: &'static str,
    /// What the pods are like.
    pub kind: Kind,
    /// The size of the cluster.
    pub nodes: u32,
    /// Pods per second.
    pub published: f64,
    /// Whether [`SchedulingCost::KUBERNETES_1_34`] was fitted to it; otherwise it is a check.
    pub is_fitted: bool,
    /// How far the simulated throughput may be off, in percent.
    pub tolerance_percent: u32,
}

/// What a workload comes to in virtual time.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Pods bound per second between the first and the last.
    pub pods_per_second: f64,
    /// The median time from a pod's creation to its binding.
    pub median: Span,
    /// The longest.
    pub longest: Span,
}

const fn fitted(name: &'static str, kind: Kind, nodes: u32, published: f64) -> Workload {
    let source = "scheduler_perf v1.34.9, least accepted";
    Workload { name, source, kind, nodes, published, is_fitted: true, tolerance_percent: 3 }
}

const fn limited(name: &'static str, per_second: u32, published: f64) -> Workload {
    let source = "arktos#656, Kubernetes 1.18.5, median";
    let kind = Kind::Replicas(per_second);
    Workload { name, source, kind, nodes: 100, published, is_fitted: false, tolerance_percent: 5 }
}

/// All workloads.
pub const WORKLOADS: [Workload; 11] = [
    fitted("SchedulingBasic", Kind::Basic, 5_000, 270.0),
    fitted("SchedulingDaemonset", Kind::Daemon, 15_000, 390.0),
    fitted("SchedulingNodeAffinity", Kind::NodeAffinity, 5_000, 220.0),
    fitted("TopologySpreading", Kind::Spread, 5_000, 85.0),
    fitted("PreferredTopologySpreading", Kind::PreferredSpread, 5_000, 125.0),
    fitted("SchedulingPodAffinity", Kind::Affinity, 5_000, 35.0),
    fitted("SchedulingPodAntiAffinity", Kind::AntiAffinity, 5_000, 60.0),
    fitted("SchedulingPreferredPodAffinity", Kind::PreferredAffinity, 5_000, 90.0),
    limited("controllers at 20 requests per second", 20, 20.2),
    limited("controllers at 200 requests per second", 200, 201.2),
    limited("controllers at 2,000 requests per second", 2_000, 351.0),
];

/// Runs so many pods of each kind, one kind after the other, on one cluster. Pods of a ReplicaSet must be the only
/// kind.
pub fn measure(nodes: u32, kinds: &[Kind], cost: SchedulingCost, pods: u32) -> Vec<Measured> {
    let mut config = Config { seed: 1, ..Config::default() };
    config.scheduler.cost = cost;
    config.scheduler.client_limit = None;
    let per_second = match kinds {
        [Kind::Replicas(per_second)] => *per_second,
        _ => 0,
    };
    // A small burst, so that a short run shows the pace.
    let burst = (per_second / 10).max(1);
    config.controller_manager.client_limit = (per_second > 0).then_some(RateLimit { per_second, burst });
    let mut world = Bare::new(config);
    world.start(ProcId::API_SERVER);
    world.start(ProcId::SCHEDULER);
    world.create(Object::Namespace(Arc::new(Namespace::named("default"))));
    // Its controller may not be here.
    world.create(Object::ServiceAccount(Arc::new(ServiceAccount::default_of("default"))));
    (0..nodes).for_each(|number| world.add_node(number));
    if let [Kind::Replicas(_)] = kinds {
        world.start(ProcId::CONTROLLER_MANAGER);
        world.create(Object::ReplicaSet(Arc::new(replicas(pods))));
        world.run_until_bound(pods);
        return vec![world.measured(burst as usize)];
    }
    let run = |kind: &Kind| {
        world.bound.clear();
        (0..pods).for_each(|number| world.create(Object::Pod(Arc::new(pod(*kind, number)))));
        world.run_until_bound(pods);
        world.measured(0)
    };
    kinds.iter().map(run).collect()
}

/// A core without links, disks and machines.
struct Bare {
    core: Core,
    now: Time,
    inputs: VecDeque<Input>,
    timers: BTreeMap<(ProcId, TimerKind), Time>,
    created: BTreeMap<String, Time>,
    /// When each pod was bound, and how long after its creation.
    bound: Vec<(Time, Span)>,
}

impl Bare {
    fn new(config: Config) -> Bare {
        Bare {
            core: Core::new(config),
            now: Time::ZERO,
            inputs: VecDeque::new(),
            timers: BTreeMap::new(),
            created: BTreeMap::new(),
            bound: Vec::new(),
        }
    }

    fn start(&mut self, process: ProcId) {
        self.inputs.push_back(Input::Started(process));
    }

    fn create(&mut self, object: Object) {
        self.request(Request::Create(object));
    }

    /// A node that is ready: the node lifecycle, which would see that, may not be here.
    fn add_node(&mut self, number: u32) {
        let node = node(number);
        let key = ObjectKey::new(ObjectKind::Node, "", &node.meta.name);
        self.create(Object::Node(Arc::new(node)));
        self.request(Request::Patch { key, patch: Patch::RemoveTaint { key: NOT_READY.into(), effect: None } });
    }

    fn request(&mut self, request: Request) {
        let body = Msg::Request(RequestId(0), Box::new(request));
        self.inputs.push_back(Input::Message { from: ProcId::CLIENT, to: ProcId::API_SERVER, body });
    }

    /// Everything that is due at once goes first, then the next timer.
    fn next(&mut self) -> Option<Input> {
        if let Some(input) = self.inputs.pop_front() {
            return Some(input);
        }
        let (at, key) = self.timers.iter().map(|(key, at)| (*at, *key)).min()?;
        self.timers.remove(&key);
        self.now = self.now.max(at);
        Some(Input::Timer(key.0, key.1))
    }

    fn run_until_bound(&mut self, pods: u32) {
        let mut effects = Vec::new();
        while self.bound.len() < pods as usize {
            let input = self.next().expect("pods that are not bound wait for something");
            self.core.step(self.now, input, &mut effects);
            for effect in effects.drain(..) {
                self.perform(effect);
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send { from, to, body } => {
                if [ProcId::API_SERVER, ProcId::SCHEDULER, ProcId::CONTROLLER_MANAGER].contains(&to) {
                    self.inputs.push_back(Input::Message { from, to, body });
                }
            }
            Effect::Persist(revision) => self.inputs.push_back(Input::Persisted(revision)),
            Effect::Arm(process, kind, at) => drop(self.timers.insert((process, kind), at)),
            Effect::Disarm(process, kind) => drop(self.timers.remove(&(process, kind))),
            Effect::Record(fact) => {
                let name = fact.subject.to_string();
                match fact.what {
                    What::Created { .. } => drop(self.created.insert(name, self.now)),
                    What::Scheduled { .. } => {
                        let created = self.created.get(&name).copied().unwrap_or(self.now);
                        self.bound.push((self.now, self.now.since(created)));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Without the first pods.
    fn measured(&self, skipped: usize) -> Measured {
        let bound = &self.bound[skipped..];
        let (first, last) = (bound[0].0, bound[bound.len() - 1].0);
        let mut waits: Vec<Span> = bound.iter().map(|(_, wait)| *wait).collect();
        waits.sort_unstable();
        let seconds = last.since(first).0 as f64 / 1e9;
        Measured {
            pods_per_second: (bound.len() - 1) as f64 / seconds,
            median: waits[waits.len() / 2],
            longest: waits[waits.len() - 1],
        }
    }
}

fn node(number: u32) -> Node {
    let name = format!("node-{number:05}");
    let mut meta = Meta::named("", &name);
    meta.labels = Labels::new([(ZONE, format!("zone-{}", number % 3)), (HOSTNAME, name)]);
    let allocatable = Resources { cpu_milli: 4_000, memory_bytes: 32 << 30, pods: 110, ..Resources::default() };
    Node { meta, status: NodeStatus { allocatable, ..NodeStatus::default() }, ..Node::default() }
}

fn spec() -> PodSpec {
    let requests = Resources { cpu_milli: 100, memory_bytes: 500 << 20, ..Resources::default() };
    let container = Container { name: "pause".into(), requests, ..Container::default() };
    PodSpec { containers: vec![container], ..PodSpec::default() }
}

/// Pods of one kind know each other by these.
fn labels(kind: Kind) -> Labels {
    Labels::new([("kind", format!("{kind:?}"))])
}

fn replicas(count: u32) -> ReplicaSet {
    let labels = || Labels::new([("kind", "replicas")]);
    let template = PodTemplate { labels: labels(), annotations: Labels::default(), spec: Shared::new(spec()) };
    ReplicaSet {
        meta: Meta::named("default", "measured"),
        replicas: count,
        min_ready: Span::ZERO,
        selector: Selector::from_labels(labels()),
        template,
        status: Default::default(),
    }
}

fn pod(kind: Kind, number: u32) -> Pod {
    let mut spec = spec();
    let mut rules = PlacementRules::default();
    let labels = || labels(kind);
    let near = |key: &str| PodTerm {
        topology_key: key.into(),
        selector: Some(Selector::from_labels(labels())),
        ..PodTerm::default()
    };
    let over_zones = |required| SpreadConstraint {
        max_skew: 5,
        topology_key: ZONE.into(),
        required,
        selector: Some(Selector::from_labels(labels())),
        min_domains: 1,
        honors_node_affinity: true,
        honors_node_taints: false,
        match_label_keys: Vec::new(),
    };
    match kind {
        Kind::Basic | Kind::Daemon | Kind::Replicas(_) => {}
        Kind::NodeAffinity => {
            let values = (0..3).map(|zone| format!("zone-{zone}").as_str().into()).collect();
            let requirement = SelectorRequirement { key: ZONE.into(), operator: SelectorOperator::In, values };
            spec.required_node_affinity = vec![vec![requirement]];
        }
        Kind::Spread => rules.spread.push(over_zones(true)),
        Kind::PreferredSpread => rules.spread.push(over_zones(false)),
        Kind::Affinity => rules.pod_affinity.required.push(near(ZONE)),
        Kind::AntiAffinity => rules.pod_anti_affinity.required.push(near(HOSTNAME)),
        Kind::PreferredAffinity => {
            rules.pod_affinity.preferred.push(WeightedPodTerm { weight: 1, term: near(HOSTNAME) });
        }
    }
    spec.rules = (rules != PlacementRules::default()).then(|| Box::new(rules));
    let mut meta = Meta::named("default", &format!("{}-{number}", format!("{kind:?}").to_lowercase()));
    meta.labels = labels();
    let mut pod = Pod { meta: meta.into(), spec: Shared::new(spec), ..Pod::default() };
    if kind == Kind::Daemon {
        pod.own =
            Some(Box::new(PodOwn { node: Some(format!("node-{number:05}").as_str().into()), ..PodOwn::default() }));
    }
    pod
}
