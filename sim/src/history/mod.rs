//! From a run's facts to the record that reports are made of.
//!
//! [`History`] listens while the cluster runs and keeps one row per pod, node and service, and the step functions over
//! time. It looks objects up only when a fact names a new one. Absent on purpose: judging (see [`crate::expect`]) and
//! writing files (see `wavetank-reports`).

mod pods;
mod series;

use std::collections::{BTreeMap, BTreeSet};

use wavetank_core::Core;
use wavetank_core::events::{EventLog, EventObject};
use wavetank_core::facts::{Fact, What};
use wavetank_core::id::Name;
use wavetank_core::model::{Kind, Node, ObjectKey, Pod, Resources};
use wavetank_core::store::View;
use wavetank_core::time::Time;
use wavetank_reports::record::{
    Counts, EventRow, ExpectationResult, FactRow, Interval, NodeRow, PodRow, Series, ServiceRow,
};

use pods::{PodState, requests};
use series::Steps;

/// Everything that is kept of a run while it goes on.
pub struct History {
    facts: Vec<FactRow>,
    events: EventLog,
    pods: Vec<PodState>,
    /// The pod that has a name now, as a place in `pods`.
    living: BTreeMap<(Name, Name), usize>,
    nodes: Vec<NodeState>,
    node_places: BTreeMap<Name, usize>,
    services: BTreeMap<(Name, Name), ServiceState>,
    by_phase: [i64; 7],
    ready_nodes: [i64; 2],
    pod_steps: Steps,
    node_steps: Steps,
    allocation: Allocation,
    now: Time,
    told: BTreeSet<String>,
}

struct NodeState {
    row: NodeRow,
    ready: bool,
    allocatable: Resources,
    pods: i64,
}

struct ServiceState {
    ready: u64,
    not_ready: u64,
    first_ready: Option<Time>,
    ready_min: u64,
    empty_since: Option<Time>,
    without_ns: u64,
    steps: Steps,
}

/// Requested and allocatable amounts, in all and by zone.
#[derive(Default)]
struct Allocation {
    zones: BTreeMap<String, Share>,
    /// Times at which something changed, with every zone's share then.
    rows: Vec<(Time, BTreeMap<String, Share>)>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Share {
    cpu_requested: i64,
    cpu: i64,
    memory_requested: i64,
    memory: i64,
}

impl Default for History {
    fn default() -> Self {
        History::new()
    }
}

impl History {
    /// Nothing has happened yet.
    pub fn new() -> History {
        History {
            facts: Vec::new(),
            events: EventLog::default(),
            pods: Vec::new(),
            living: BTreeMap::new(),
            nodes: Vec::new(),
            node_places: BTreeMap::new(),
            services: BTreeMap::new(),
            by_phase: [0; 7],
            ready_nodes: [0; 2],
            pod_steps: Steps::default(),
            node_steps: Steps::default(),
            allocation: Allocation::default(),
            now: Time::ZERO,
            told: BTreeSet::new(),
        }
    }

    /// Takes in what has happened since the last call.
    pub fn take(&mut self, now: Time, core: &Core, facts: &[(Time, Fact)]) {
        let view = core.newest();
        for (at, fact) in facts {
            self.fact(*at, fact, view);
        }
        self.now = now;
    }

    /// Adds a line that no object's fact tells: a fault, an action, an expectation.
    pub fn tell(&mut self, at: Time, category: &str, subject: &str, reason: &str, message: &str) {
        self.tell_aimed(at, category, subject, reason, message, Vec::new());
    }

    /// The same of a fault or an action that is aimed at objects, given as subjects.
    pub fn tell_aimed(
        &mut self,
        at: Time,
        category: &str,
        subject: &str,
        reason: &str,
        message: &str,
        targets: Vec<String>,
    ) {
        self.facts.push(FactRow {
            time_ns: at.0,
            seq: 0,
            category: category.to_owned(),
            subject: subject.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            by: String::new(),
            targets,
        });
    }

    /// Adds the line of an expectation that has been decided.
    pub fn tell_expectation(&mut self, result: &ExpectationResult) {
        let reason = if result.held { "Held" } else { "Broken" };
        self.told.insert(result.name.clone());
        self.tell(Time(result.at_ns.unwrap_or(self.now.0)), "expectation", &result.name, reason, &result.evidence);
    }

    /// Whether an expectation has its line already.
    pub fn has_told(&self, name: &str) -> bool {
        self.told.contains(name)
    }

    /// Whether pods were created and how many of them were ever bound.
    pub fn scheduled(&self) -> (usize, usize) {
        (self.pods.len(), self.pods.iter().filter(|pod| pod.row.scheduled_ns.is_some()).count())
    }

    fn fact(&mut self, at: Time, fact: &Fact, view: View<'_>) {
        let key = &fact.subject;
        if let What::Event(event) = &fact.what {
            self.events.take(at, key, event);
            return;
        }
        let kind = key.kind.name().to_lowercase();
        let subject = subject_of(key);
        self.tell(at, &kind, &subject, fact.what.reason(), &fact.what.to_string());
        if let (Some(row), Some(by)) = (self.facts.last_mut(), fact.by) {
            row.by = by.to_string();
        }
        match key.kind {
            Kind::Pod => self.pod(at, key, &fact.what, view),
            Kind::Node => self.node(at, key, &fact.what, view),
            Kind::Service => self.service(at, key, &fact.what),
            _ => {}
        }
    }

    fn pod(&mut self, at: Time, key: &ObjectKey, what: &What, view: View<'_>) {
        let names = (key.namespace.clone(), key.name.clone());
        if let What::Created { owner } = what {
            self.living.insert(names.clone(), self.pods.len());
            self.pods.push(PodState::new(key, owner, at));
            self.count(at, None, self.pods.last().and_then(PodState::phase_column));
            return;
        }
        let Some(&place) = self.living.get(&names) else { return };
        let before = self.pods[place].phase_column();
        let held = self.pods[place].holds();
        if let What::Scheduled { .. } = what {
            self.pods[place].requests =
                view.find::<Pod>(&key.namespace, &key.name).map(|(_, pod)| requests(&pod.spec)).unwrap_or_default();
        }
        self.pods[place].take(at, what);
        let after = self.pods[place].phase_column();
        let holds = self.pods[place].holds();
        self.count(at, before, after);
        if held != holds {
            self.occupy(at, place, if holds { 1 } else { -1 });
        }
        if matches!(what, What::Deleted) {
            self.living.remove(&names);
        }
    }

    /// A pod takes room on its node or gives it back.
    fn occupy(&mut self, at: Time, place: usize, sign: i64) {
        let pod = &self.pods[place];
        let Some(node) = pod.row.node.as_deref().and_then(|node| self.node_places.get(node)) else { return };
        let node = &mut self.nodes[*node];
        node.pods += sign;
        node.row.pods_max = node.row.pods_max.max(u64::try_from(node.pods).unwrap_or(0));
        let share = self.allocation.zones.entry(node.row.zone.clone()).or_default();
        share.cpu_requested += sign * pod.requests.cpu_milli;
        share.memory_requested += sign * pod.requests.memory_bytes;
        self.allocation.note(at);
    }

    fn count(&mut self, at: Time, before: Option<usize>, after: Option<usize>) {
        if before == after {
            return;
        }
        before.into_iter().for_each(|column| self.by_phase[column] -= 1);
        after.into_iter().for_each(|column| self.by_phase[column] += 1);
        self.pod_steps.push(at, &self.by_phase);
    }

    fn node(&mut self, at: Time, key: &ObjectKey, what: &What, view: View<'_>) {
        if let What::Created { .. } = what {
            self.node_created(at, key, view);
        }
        let Some(&place) = self.node_places.get(&key.name) else { return };
        let node = &mut self.nodes[place];
        let was_ready = node.ready;
        match what {
            What::NodeReady => {
                node.ready = true;
                node.row.ready_ns.get_or_insert(at.0);
                if let Some(open) = node.row.not_ready.last_mut().filter(|open| open.to_ns.is_none()) {
                    open.to_ns = Some(at.0);
                }
            }
            What::NodeNotReady { .. } => {
                node.ready = false;
                if node.row.ready_ns.is_some() && node.row.not_ready.last().is_none_or(|last| last.to_ns.is_some()) {
                    node.row.not_ready.push(Interval { from_ns: at.0, to_ns: None });
                }
            }
            What::Deleted => {
                node.row.gone_ns = Some(at.0);
                let share = self.allocation.zones.entry(node.row.zone.clone()).or_default();
                share.cpu -= node.allocatable.cpu_milli;
                share.memory -= node.allocatable.memory_bytes;
                self.allocation.note(at);
                self.node_places.remove(&key.name);
                self.ready_nodes[usize::from(!was_ready)] -= 1;
                self.node_steps.push(at, &self.ready_nodes);
                return;
            }
            _ => return,
        }
        if was_ready != node.ready {
            self.ready_nodes[usize::from(was_ready)] += 1;
            self.ready_nodes[usize::from(!was_ready)] -= 1;
            self.node_steps.push(at, &self.ready_nodes);
        }
    }

    fn node_created(&mut self, at: Time, key: &ObjectKey, view: View<'_>) {
        let found = view.find::<Node>(&key.namespace, &key.name).map(|(_, node)| node);
        let (zone, allocatable, ready) = match found {
            Some(node) => (node.zone(), node.status.allocatable.clone(), node.is_ready()),
            None => (Name::from(""), Resources::default(), false),
        };
        let row = NodeRow {
            name: key.name.to_string(),
            zone: zone.to_string(),
            cpu_milli: u64::try_from(allocatable.cpu_milli).unwrap_or(0),
            memory_bytes: u64::try_from(allocatable.memory_bytes).unwrap_or(0),
            pods: u64::try_from(allocatable.pods).unwrap_or(0),
            created_ns: at.0,
            ready_ns: ready.then_some(at.0),
            gone_ns: None,
            not_ready: Vec::new(),
            pods_end: 0,
            pods_max: 0,
        };
        let share = self.allocation.zones.entry(row.zone.clone()).or_default();
        share.cpu += allocatable.cpu_milli;
        share.memory += allocatable.memory_bytes;
        self.allocation.note(at);
        self.node_places.insert(key.name.clone(), self.nodes.len());
        self.nodes.push(NodeState { row, ready, allocatable, pods: 0 });
        self.ready_nodes[usize::from(!ready)] += 1;
        self.node_steps.push(at, &self.ready_nodes);
    }

    fn service(&mut self, at: Time, key: &ObjectKey, what: &What) {
        let names = (key.namespace.clone(), key.name.clone());
        let state = self.services.entry(names).or_insert_with(ServiceState::new);
        if let What::Endpoints { ready, not_ready, .. } = what {
            state.take(at, u64::from(*ready), u64::from(*not_ready));
        }
    }

    /// The rows and series of the whole run.
    pub fn finish(mut self, end: Time) -> Finished {
        self.facts.sort_by_key(|fact| fact.time_ns);
        for (seq, fact) in (0..).zip(&mut self.facts) {
            fact.seq = seq;
        }
        let counts = self.counts();
        let series = self.series();
        let services = self.services.iter().map(|((namespace, name), state)| state.row(namespace, name, end)).collect();
        let nodes =
            self.nodes.into_iter().map(|node| NodeRow { pods_end: u64::try_from(node.pods).unwrap_or(0), ..node.row });
        Finished {
            facts: self.facts,
            events: self.events.all().iter().map(event_row).collect(),
            pods: self.pods.into_iter().map(|pod| pod.row).collect(),
            nodes: nodes.collect(),
            services,
            series,
            counts,
        }
    }

    fn counts(&self) -> Counts {
        let phase = |name: &str| {
            let there = self.pods.iter().filter(|pod| pod.row.gone_ns.is_none() && pod.row.phase == name);
            there.count() as u64
        };
        let pods = |test: fn(&PodRow) -> bool| self.pods.iter().filter(|pod| test(&pod.row)).count() as u64;
        Counts {
            pods_created: self.pods.len() as u64,
            pods_scheduled: pods(|pod| pod.scheduled_ns.is_some()),
            pods_deleted: pods(|pod| pod.deleted_ns.is_some()),
            pods_running_end: phase("Running"),
            pods_pending_end: phase("Pending"),
            pods_succeeded_end: phase("Succeeded"),
            pods_failed_end: phase("Failed"),
            restarts: self.pods.iter().map(|pod| pod.row.restarts).sum(),
            nodes: self.nodes.len() as u64,
            nodes_ready_end: self.nodes.iter().filter(|node| node.ready && node.row.gone_ns.is_none()).count() as u64,
            faults: 0,
        }
    }

    fn series(&self) -> Series {
        let columns = wavetank_reports::record::POD_PHASES;
        Series {
            pods_by_phase: self.pod_steps.series("pods by phase", "pods", &columns),
            nodes: self.node_steps.series("nodes", "nodes", &["ready", "not_ready"]),
            allocated_cpu: self.allocation.series("allocated CPU", |share| (share.cpu_requested, share.cpu)),
            allocated_memory: self
                .allocation
                .series("allocated memory", |share| (share.memory_requested, share.memory)),
            endpoints: self
                .services
                .iter()
                .map(|((namespace, name), state)| {
                    state.steps.series(&format!("{namespace}/{name}"), "endpoints", &["ready", "not_ready"])
                })
                .collect(),
            other: Vec::new(),
        }
    }
}

/// An object as people name it: `pod/default/web-1`.
pub(crate) fn subject_of(key: &ObjectKey) -> String {
    let kind = key.kind.name().to_lowercase();
    match &*key.namespace {
        "" => format!("{kind}/{}", key.name),
        namespace => format!("{kind}/{namespace}/{}", key.name),
    }
}

fn event_row(event: &EventObject) -> EventRow {
    let reporter = &event.reporter;
    let source = if reporter.host.is_empty() {
        reporter.component.to_string()
    } else {
        format!("{}, {}", reporter.component, reporter.host)
    };
    EventRow {
        first_ns: event.first.0,
        last_ns: event.last.0,
        count: u64::from(event.count),
        kind: event.event_type.to_string(),
        reason: event.reason.to_string(),
        subject: subject_of(&event.subject),
        source,
        message: event.message.to_string(),
    }
}

/// The rows and series of a whole run.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields of wavetank_reports::record::RunRecord")]
pub struct Finished {
    pub facts: Vec<FactRow>,
    pub events: Vec<EventRow>,
    pub pods: Vec<PodRow>,
    pub nodes: Vec<NodeRow>,
    pub services: Vec<ServiceRow>,
    pub series: Series,
    pub counts: Counts,
}

impl ServiceState {
    fn new() -> ServiceState {
        ServiceState {
            ready: 0,
            not_ready: 0,
            first_ready: None,
            ready_min: 0,
            empty_since: None,
            without_ns: 0,
            steps: Steps::default(),
        }
    }

    fn take(&mut self, at: Time, ready: u64, not_ready: u64) {
        (self.ready, self.not_ready) = (ready, not_ready);
        self.steps.push(at, &[ready as i64, not_ready as i64]);
        match self.first_ready {
            None if ready > 0 => {
                self.first_ready = Some(at);
                self.ready_min = ready;
            }
            None => {}
            Some(_) => self.ready_min = self.ready_min.min(ready),
        }
        if let Some(since) = self.empty_since.take() {
            self.without_ns += at.since(since).0;
        }
        if ready == 0 && self.first_ready.is_some() {
            self.empty_since = Some(at);
        }
    }

    fn row(&self, namespace: &str, name: &str, end: Time) -> ServiceRow {
        ServiceRow {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            first_ready_ns: self.first_ready.map(|at| at.0),
            without_endpoints_ns: self.without_ns + self.empty_since.map_or(0, |since| end.since(since).0),
            ready_min: self.ready_min,
            ready_end: self.ready,
            not_ready_end: self.not_ready,
        }
    }
}

impl Allocation {
    fn note(&mut self, at: Time) {
        match self.rows.last_mut() {
            Some((last, row)) if *last == at => row.clone_from(&self.zones),
            _ => self.rows.push((at, self.zones.clone())),
        }
    }

    /// Per mille, in all and by zone.
    fn series(&self, name: &str, part: impl Fn(&Share) -> (i64, i64)) -> wavetank_reports::record::StepSeries {
        let per_mille = |requested: i64, there: i64| if there > 0 { requested * 1_000 / there } else { 0 };
        let zones: Vec<&String> = self.zones.keys().filter(|zone| !zone.is_empty()).collect();
        let mut columns = vec!["total".to_owned()];
        columns.extend(zones.iter().map(|zone| (*zone).clone()));
        let mut steps = Steps::default();
        for (at, shares) in &self.rows {
            let sum = shares.values().map(&part).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            let mut row = vec![per_mille(sum.0, sum.1)];
            row.extend(zones.iter().map(|zone| {
                let (requested, there) = shares.get(*zone).map_or((0, 0), &part);
                per_mille(requested, there)
            }));
            steps.push(*at, &row);
        }
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        steps.series(name, "per mille", &columns)
    }
}
