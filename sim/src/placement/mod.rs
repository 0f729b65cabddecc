//! Placement alone: the nodes of a plan, its pods one after the other, and nothing but the scheduler's choice of nodes.
//!
//! No API server, no kubelets, no containers, no queue: a pod is placed at the instant it comes, and one that no node
//! takes is counted and not tried again. Invariant: the run depends on the plan alone. Absent on purpose: everything
//! that takes time; a plan with faults, controllers or machines that start later is refused when it is made.

mod study;

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_core::api::Request;
use wavetank_core::digest::{Digest, Fingerprint, StableHasher};
use wavetank_core::id::{Name, RowId, literal};
use wavetank_core::model::{Meta, Node, NodeSpec, NodeStatus, Object, Pod};
use wavetank_core::scheduler::Placement;
use wavetank_core::scheduler::gpu::GPU_MILLI;
use wavetank_core::time::Time;
use wavetank_reports::record::{Counts, FactRow, NodeRow, PodRow, Series, Study};

use crate::plan::{HostPlan, Plan};
use study::Meter;

pub use study::as_seen_by_expectations;

/// What came of it.
#[derive(Debug)]
pub struct Played {
    /// When the last request was carried out.
    pub end: Time,
    /// How many requests were.
    pub events: u64,
    /// The rolling hash over all choices.
    pub fingerprint: Fingerprint,
    /// The hash of which pod is where at the end.
    pub digest: Digest,
    /// What was measured.
    pub study: Study,
    /// A line for every tenth of the demand.
    pub facts: Vec<FactRow>,
    /// Every pod.
    pub pods: Vec<PodRow>,
    /// Every node.
    pub nodes: Vec<NodeRow>,
    /// Allocation and fragmentation over time.
    pub series: Series,
    /// Totals.
    pub counts: Counts,
    /// Requests that come after the plan's end.
    pub left_out: u64,
}

/// Plays a plan. `progress` is told the time of every request.
///
/// Panics on requests and faults that [`crate::plan::scenario`] refuses for such plans.
pub fn play(plan: &Plan, progress: &mut dyn FnMut(Time)) -> Played {
    assert!(plan.placement_only && plan.faults.is_empty(), "the plan is more than placement");
    let mut player = Player::new(plan);
    let last = Time::ZERO.saturating_add(plan.duration);
    let (mut end, mut left_out) = (Time::ZERO, 0);
    for step in &plan.steps {
        if step.at > last {
            left_out += 1;
            continue;
        }
        end = step.at;
        player.carry_out(step.at, &step.request);
        progress(step.at);
    }
    player.finish(end, left_out)
}

struct Player {
    placement: Placement,
    meter: Meter,
    fingerprint: Fingerprint,
    events: u64,
    pods: Vec<PodRow>,
    /// By name; the n-th pod is in row n of the scheduler's cache.
    places: BTreeMap<(Name, Name), usize>,
    /// By name: its place in `nodes`.
    node_places: BTreeMap<Name, usize>,
    nodes: Vec<NodeRow>,
}

impl Player {
    fn new(plan: &Plan) -> Player {
        let mut placement = Placement::new(plan.config.seed, &plan.config.scheduler);
        let mut meter = Meter::new(plan);
        let (mut nodes, mut node_places) = (Vec::new(), BTreeMap::new());
        for host in &plan.hosts {
            placement.set_node(&Arc::new(node(host)));
            node_places.insert(host.boot.node.clone(), nodes.len());
            nodes.push(node_row(host));
        }
        for host in &plan.hosts {
            meter.changed(node_places[&host.boot.node], placement.node(&host.boot.node).expect("it was just added"));
        }
        Player {
            placement,
            meter,
            fingerprint: Fingerprint::default(),
            events: 0,
            pods: Vec::new(),
            places: BTreeMap::new(),
            node_places,
            nodes,
        }
    }

    fn carry_out(&mut self, at: Time, request: &Request) {
        self.events += 1;
        match request {
            Request::Create(Object::Pod(pod)) | Request::Apply { object: Object::Pod(pod), .. } => self.arrive(at, pod),
            Request::Create(object) | Request::Apply { object, .. } => self.placement.set_object(object),
            Request::Delete { key, .. } => self.leave(at, &key.namespace, &key.name),
            other => panic!("placement alone was asked to {other:?}"),
        }
    }

    fn arrive(&mut self, at: Time, pod: &Arc<Pod>) {
        let place = self.pods.len();
        let row = row(place);
        // A pod that nobody's rules can tell from others needs no more than its spec, which is what most share.
        let plain = pod.spec.rules.is_none() && pod.meta.labels.is_empty() && pod.meta.owners.is_empty();
        let is_tried = self.placement.has_profile(&pod.spec.scheduler_name) && !self.placement.is_gated(pod);
        let node = match is_tried {
            true if plain => self.placement.try_place(row, &pod.spec),
            true => self.placement.place_pod(row, pod).ok(),
            false => None,
        };
        let known = self.places.insert((pod.meta.namespace.clone(), pod.meta.name.clone()), place);
        assert!(known.is_none(), "two pods are called {}", pod.meta.name);
        self.fingerprint.absorb(at, &(&pod.meta.name, &node));
        self.meter.arrived(&pod.spec, node.is_some());
        if let Some(node) = &node {
            let number = self.node_places[node];
            self.nodes[number].pods_end += 1;
            self.nodes[number].pods_max = self.nodes[number].pods_max.max(self.nodes[number].pods_end);
            self.meter.changed(number, self.placement.node(node).expect("the node was just chosen"));
        }
        self.meter.record(at);
        let scheduled = node.is_some();
        self.pods.push(PodRow {
            node,
            scheduled_ns: scheduled.then_some(at.0),
            reason: if scheduled { Name::new() } else { literal!("Unschedulable") },
            ..PodRow::created(pod.meta.namespace.clone(), pod.meta.name.clone(), Name::new(), at.0)
        });
    }

    fn leave(&mut self, at: Time, namespace: &Name, name: &Name) {
        let Some(place) = self.places.remove(&(namespace.clone(), name.clone())) else { return };
        self.fingerprint.absorb(at, &(name, "gone"));
        let pod = &mut self.pods[place];
        (pod.deleted_ns, pod.gone_ns) = (Some(at.0), Some(at.0));
        let Some(node) = pod.node.clone() else { return };
        self.placement.remove_pod(row(place));
        let number = self.node_places[&node];
        self.nodes[number].pods_end -= 1;
        self.meter.left();
        self.meter.changed(number, self.placement.node(&node).expect("nodes do not leave"));
        self.meter.record(at);
    }

    fn finish(self, end: Time, left_out: u64) -> Played {
        let mut digest = Digest::default();
        let present = || self.pods.iter().filter(|pod| pod.gone_ns.is_none());
        present().for_each(|pod| digest.add(StableHasher::hash_one(&(&pod.name, &pod.node))));
        let (study, facts, series) = self.meter.finish(end);
        let counts = Counts {
            pods_created: self.pods.len() as u64,
            pods_scheduled: study.pods_scheduled,
            pods_deleted: self.pods.iter().filter(|pod| pod.gone_ns.is_some()).count() as u64,
            pods_pending_end: present().count() as u64,
            nodes: self.nodes.len() as u64,
            nodes_ready_end: self.nodes.len() as u64,
            ..Counts::default()
        };
        let Player { fingerprint, events, pods, nodes, .. } = self;
        Played { end, events, fingerprint, digest, study, facts, pods, nodes, series, counts, left_out }
    }
}

fn row(place: usize) -> RowId {
    RowId { index: u32::try_from(place).expect("at most 2^32 pods"), generation: 0 }
}

fn node(host: &HostPlan) -> Node {
    let boot = &host.boot;
    let meta = Meta { labels: boot.labels.clone(), ..Meta::named("", &boot.node) };
    let spec = NodeSpec { taints: boot.taints.clone(), ..NodeSpec::default() };
    let (capacity, allocatable) = (boot.capacity.clone(), boot.allocatable.clone());
    Node { meta, spec, status: NodeStatus { capacity, allocatable, ..NodeStatus::default() } }
}

fn node_row(host: &HostPlan) -> NodeRow {
    let (boot, positive) = (&host.boot, |amount: i64| u64::try_from(amount).unwrap_or(0));
    NodeRow {
        name: boot.node.to_string(),
        zone: boot.labels.get("topology.kubernetes.io/zone").map_or_else(String::new, ToString::to_string),
        cpu_milli: positive(boot.allocatable.cpu_milli),
        memory_bytes: positive(boot.allocatable.memory_bytes),
        pods: positive(boot.allocatable.pods),
        created_ns: 0,
        ready_ns: Some(0),
        gone_ns: None,
        not_ready: Vec::new(),
        pods_end: 0,
        pods_max: 0,
    }
}

/// The thousandths of GPUs that all machines of a plan have.
fn gpu_capacity(plan: &Plan) -> i64 {
    plan.hosts.iter().filter_map(|host| host.boot.allocatable.extended.get(GPU_MILLI)).sum()
}
