//! From a run's facts to the record that reports are made of.
//!
//! [`History`] listens while the cluster runs and keeps one row per pod, node and service (`pods`, `nodes`,
//! `services`), and the step functions over time (`series`, `allocation`). It looks objects up only when a fact names a
//! new one. Absent on purpose: judging (see [`crate::expect`]) and writing files (see `wavetank-reports`).

mod allocation;
mod nodes;
mod pods;
mod series;
mod services;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasherDefault;

use wavetank_core::Core;
use wavetank_core::digest::StableHasher;
use wavetank_core::events::{EventLog, EventObject, EventType};
use wavetank_core::facts::{Fact, What};
use wavetank_core::id::{Name, literal};
use wavetank_core::model::{Kind, ObjectKey};
use wavetank_core::store::View;
use wavetank_core::time::Time;
use wavetank_reports::record::{
    Counts, EventRow, ExpectationResult, FactRow, NodeRow, POD_PHASES, PodRow, Series, ServiceRow, Text,
};

use allocation::Allocation;
use nodes::NodeState;
use pods::PodState;
use series::Steps;
use services::ServiceState;
use words::Words;

/// A map for look-ups: nothing goes through it in its order.
type Places<K> = HashMap<K, usize, BuildHasherDefault<StableHasher>>;

/// How much of a run is kept row by row beside its pods, nodes, services and series.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Detail {
    /// Nothing.
    Outcome,
    /// The facts, of which the account is made.
    Account,
    /// The series and the Kubernetes events too: all that a run's directory holds.
    Everything,
}

/// So many different warnings are kept; of more, only the number is told.
const WARNINGS_MAX: usize = 10;

/// Everything that is kept of a run while it goes on.
pub struct History {
    detail: Detail,
    facts: Vec<FactRow>,
    events: EventLog,
    pods: Vec<PodState>,
    /// The pod that has a name now, as a place in `pods`.
    living: Places<(Name, Name)>,
    nodes: Vec<NodeState>,
    node_places: Places<Name>,
    services: BTreeMap<(Name, Name), ServiceState>,
    by_phase: [i64; 7],
    ready_nodes: [i64; 2],
    pod_steps: Steps,
    node_steps: Steps,
    allocation: Allocation,
    now: Time,
    told: BTreeSet<String>,
    /// What users were told of what they wrote, each once.
    warnings: Vec<String>,
    warnings_left_out: usize,
    words: Words,
}

impl History {
    /// Nothing has happened yet.
    pub fn new(detail: Detail) -> History {
        let series = detail == Detail::Everything;
        History {
            detail,
            facts: Vec::new(),
            events: EventLog::default(),
            pods: Vec::new(),
            living: Places::default(),
            nodes: Vec::new(),
            node_places: Places::default(),
            services: BTreeMap::new(),
            by_phase: [0; 7],
            ready_nodes: [0; 2],
            pod_steps: Steps::new(series),
            node_steps: Steps::new(series),
            allocation: Allocation::new(series),
            now: Time::ZERO,
            told: BTreeSet::new(),
            warnings: Vec::new(),
            warnings_left_out: 0,
            words: Words::default(),
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
        targets: Vec<Text>,
    ) {
        if self.detail < Detail::Account {
            return;
        }
        let mut text = |text| self.words.of(text);
        let (category, subject, reason, message) = (text(category), text(subject), text(reason), text(message));
        self.facts.push(FactRow { targets, ..FactRow::new((at.0, 0), category, subject, reason, message) });
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
            if self.detail == Detail::Everything {
                self.events.take(at, key, event);
            }
            return;
        }
        if let What::Warned { message } = &fact.what {
            self.warn(format!("{}: {message}", subject_of(key)));
        }
        let mut known = None;
        match key.kind {
            Kind::Pod => known = self.pod(at, key, &fact.what, view).map(|place| self.pods[place].subject.clone()),
            Kind::Node => self.node(at, key, &fact.what, view),
            Kind::Service => self.service(at, key, &fact.what),
            _ => {}
        }
        if self.detail >= Detail::Account {
            let words = &mut self.words;
            self.facts.push(FactRow {
                time_ns: at.0,
                seq: 0,
                category: words.kind(key.kind),
                subject: match &fact.what {
                    // No object: the core names it like one of the kind that it is about.
                    What::ZoneState { .. } => words.of(&key.name),
                    _ => known.unwrap_or_else(|| words.written(|draft| push_subject(key, draft))),
                },
                reason: words.of(fact.what.reason()),
                message: words.shown(&fact.what),
                by: fact.by.map_or_else(Text::new, |by| words.author(by)),
                targets: Vec::new(),
            });
        }
    }

    fn warn(&mut self, warning: String) {
        if self.warnings.contains(&warning) {
            return;
        }
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(warning);
        } else {
            self.warnings_left_out += 1;
        }
    }

    /// What the API server told users of what they wrote, though it was stored.
    pub fn warnings(&self) -> Vec<String> {
        let more = (self.warnings_left_out > 0).then(|| format!("{} more such warnings", self.warnings_left_out));
        self.warnings.iter().cloned().chain(more).collect()
    }

    /// The rows and series of the whole run.
    pub fn finish(mut self, end: Time) -> Finished {
        // Sorting takes half as much memory again, and only plans that tell of later times need it.
        if !self.facts.is_sorted_by_key(|fact| fact.time_ns) {
            self.facts.sort_by_key(|fact| fact.time_ns);
        }
        for (seq, fact) in (0..).zip(&mut self.facts) {
            fact.seq = seq;
        }
        let counts = self.counts();
        let series = self.series();
        let services = self.services.iter().map(|((namespace, name), state)| state.row(namespace, name, end)).collect();
        // What is repeated goes on to the end.
        self.events.catch_up(end);
        let words = &mut self.words;
        let events = self.events.all().iter().map(|event| event_row(event, words)).collect();
        let nodes =
            self.nodes.into_iter().map(|node| NodeRow { pods_end: u64::try_from(node.pods).unwrap_or(0), ..node.row });
        Finished {
            facts: self.facts,
            events,
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

    /// Takes the series out.
    fn series(&mut self) -> Series {
        let (allocated_cpu, allocated_memory) = std::mem::take(&mut self.allocation).series();
        let endpoints = self.services.iter_mut().map(|((namespace, name), state)| {
            let steps = std::mem::take(&mut state.steps);
            steps.series(format!("{namespace}/{name}"), "endpoints", &["ready", "not_ready"])
        });
        Series {
            endpoints: endpoints.collect(),
            pods_by_phase: std::mem::take(&mut self.pod_steps).series("pods by phase".into(), "pods", &POD_PHASES),
            nodes: std::mem::take(&mut self.node_steps).series("nodes".into(), "nodes", &["ready", "not_ready"]),
            allocated_cpu,
            allocated_memory,
            other: Vec::new(),
        }
    }
}

/// An object as people name it: `pod/default/web-1`.
pub(crate) fn subject_of(key: &ObjectKey) -> String {
    let mut subject = String::new();
    push_subject(key, &mut subject);
    subject
}

fn push_subject(key: &ObjectKey, to: &mut String) {
    push_kind(key.kind, to);
    for part in [&key.namespace, &key.name].into_iter().filter(|part| !part.is_empty()) {
        to.push('/');
        to.push_str(part);
    }
}

/// A kind as subjects begin with it: `replicaset`.
fn push_kind(kind: Kind, to: &mut String) {
    let from = to.len();
    to.push_str(kind.name());
    to[from..].make_ascii_lowercase();
}

fn event_row(event: &EventObject, words: &mut Words) -> EventRow {
    let (component, host) = (&event.reporter.component, &event.reporter.host);
    EventRow {
        first_ns: event.first.0,
        last_ns: event.last.0,
        count: u64::from(event.count),
        kind: match event.event_type {
            EventType::Normal => literal!("Normal"),
            EventType::Warning => literal!("Warning"),
        },
        reason: words.of(&event.reason),
        subject: words.written(|draft| push_subject(&event.subject, draft)),
        source: if host.is_empty() { words.of(component) } else { words.shown(&format_args!("{component}, {host}")) },
        message: event.message.clone(),
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
