//! The record of one finished run: everything that the reports are made of.
//!
//! Invariants (checked by [`RunRecord::check`] before anything is written): the schema is [`SCHEMA`], every row of a
//! series has one value per column, and times never run backwards within a series or within the facts.
//!
//! All times are virtual nanoseconds since the start of the run (in the real world: monotonic nanoseconds since the
//! start). Absent on purpose: wall-clock time, host names and paths of the machine that ran it, because the same
//! scenario and seed must give the same record everywhere.

use serde::{Deserialize, Serialize};

/// Name and version of the record's shape. A field that changes its meaning changes this.
pub const SCHEMA: &str = "wavetank/run/v1";

/// The columns of [`Series::pods_by_phase`], in the order in which they are stored and stacked.
///
/// A pod is counted in exactly one of them; one whose deletion was requested counts as `terminating` until it is gone.
pub const POD_PHASES: [&str; 7] = [
    "running_ready",
    "running_not_ready",
    "pending_scheduled",
    "pending_unscheduled",
    "terminating",
    "failed",
    "succeeded",
];

/// Everything that is kept of one finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// What was run, what came out, and whether the expectations held.
    pub summary: Summary,
    /// What happened, ordered by time and then by `seq`.
    pub facts: Vec<FactRow>,
    /// The Kubernetes events, as `kubectl get events` would have shown them, ordered by their first time.
    #[serde(default)]
    pub events: Vec<EventRow>,
    /// One row per pod that ever existed, ordered by creation.
    pub pods: Vec<PodRow>,
    /// One row per node that ever existed.
    pub nodes: Vec<NodeRow>,
    /// One row per service.
    pub services: Vec<ServiceRow>,
    /// Quantities over time.
    pub series: Series,
    /// Faults, drawn as shaded bands or lines on every plot over time, ordered by `from_ns`.
    pub markers: Vec<Marker>,
}

/// What was run and what came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's own description; may be empty.
    pub description: String,
    /// The scenario file as the user named it; never made absolute.
    pub file: String,
    /// The seed of every draw of the run.
    pub seed: u64,
    /// Which world ran it.
    pub world: World,
    /// Control-plane fidelity: `instant`, `modelled` or `replicated`.
    pub fidelity: String,
    /// The Kubernetes version whose behaviour is mirrored, such as `1.34.1`.
    pub kubernetes_version: String,
    /// The version of the program that ran it.
    pub wavetank_version: String,
    /// Virtual length of the run, in nanoseconds.
    pub duration_ns: u64,
    /// Inputs that the core has processed.
    pub events: u64,
    /// Rolling hash of the run's inputs: 16 lower-case hex digits.
    pub fingerprint: String,
    /// Order-free hash of the final state, in lower-case hex digits.
    pub digest: String,
    /// The scenario's expectations and whether they held, in the file's order.
    pub expectations: Vec<ExpectationResult>,
    /// Totals of the run.
    pub counts: Counts,
    /// What the user should know about this run, one sentence each.
    pub warnings: Vec<String>,
    /// Fields of the user's manifests that were kept but had no effect, such as `Deployment web: spec.template.spec.hostPID`.
    pub not_modelled: Vec<String>,
    /// The models that the run's times rest on and what they are calibrated to, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// What a study of placement has measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study: Option<Study>,
}

/// What a study of placement measures while pods arrive one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// What demand and allocation are shares of: `gpu`, or `cpu` in a cluster without GPUs.
    pub resource: String,
    /// How much of it the cluster has, in thousandths.
    pub capacity_milli: u64,
    /// Pods that have come.
    pub pods_arrived: u64,
    /// Those of them that were bound to a node.
    pub pods_scheduled: u64,
    /// Those of them that no node took; they are not tried again.
    pub pods_unscheduled: u64,
    /// How it was when so much had been asked for: one point for every whole percent of the capacity, from 0.
    pub points: Vec<StudyPoint>,
}

/// A study at one demand: the means over all arrivals and departures while the demand rounds to this percentage; where
/// there was none, those of the point before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyPoint {
    /// What all pods that have come ask for together, in percent of the capacity.
    pub demand_percent: u32,
    /// What bound pods take, in percent of the capacity.
    pub allocation_percent: f64,
    /// Idle GPU that a typical pod of the workload could not use, in expectation, in percent of the capacity.
    pub fragmentation_percent: f64,
    /// The same in percent of what is idle.
    pub fragmentation_of_idle_percent: f64,
    /// Pods that no node took.
    pub unscheduled_pods: f64,
}

/// Which world a run took place in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum World {
    /// The seeded simulator.
    Sim,
    /// Docker containers.
    Real,
}

impl World {
    /// The name as it stands in `summary.json`, which is also the name of the program.
    pub fn name(self) -> &'static str {
        match self {
            World::Sim => "sim",
            World::Real => "real",
        }
    }
}

/// One expectation of the scenario and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectationResult {
    /// The expectation's name.
    pub name: String,
    /// When it had to hold.
    pub kind: ExpectationKind,
    /// The condition as the user wrote it.
    pub expression: String,
    /// Whether it held.
    pub held: bool,
    /// When it was decided: first held (`within`), first broken (`always`, `never`) or looked at (`at`).
    pub at_ns: Option<u64>,
    /// One sentence with the values that decided it.
    pub evidence: String,
    /// Where it stands in the scenario, as `file:line`.
    pub place: String,
}

/// When an expectation has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExpectationKind {
    /// At one instant.
    At,
    /// At some instant of a window.
    Within,
    /// At every instant of a window.
    Always,
    /// At no instant of a window.
    Never,
}

impl ExpectationKind {
    /// The name as it stands in `summary.json`.
    pub fn name(self) -> &'static str {
        match self {
            ExpectationKind::At => "at",
            ExpectationKind::Within => "within",
            ExpectationKind::Always => "always",
            ExpectationKind::Never => "never",
        }
    }
}

/// Totals of a run. `…_end` counts what was there when the run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Pods ever created.
    pub pods_created: u64,
    /// Pods ever bound to a node.
    pub pods_scheduled: u64,
    /// Pods whose deletion was requested.
    pub pods_deleted: u64,
    /// Pods in phase Running.
    pub pods_running_end: u64,
    /// Pods in phase Pending.
    pub pods_pending_end: u64,
    /// Pods in phase Succeeded.
    pub pods_succeeded_end: u64,
    /// Pods in phase Failed.
    pub pods_failed_end: u64,
    /// Container restarts.
    pub restarts: u64,
    /// Nodes ever registered.
    pub nodes: u64,
    /// Nodes whose Ready condition was True.
    pub nodes_ready_end: u64,
    /// Faults injected.
    pub faults: u64,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactRow {
    /// When, in nanoseconds.
    pub time_ns: u64,
    /// Orders the facts of one instant.
    pub seq: u64,
    /// What it concerns: `node`, `pod`, `deployment`, `replicaset`, `service`, `fault`, `action`, `expectation`, …
    pub category: String,
    /// Which object, such as `pod/default/web-abc`.
    pub subject: String,
    /// One CamelCase word, such as `Scheduled` or `NodeNotReady`; of an expectation `Held` or `Broken`.
    pub reason: String,
    /// One sentence; may be empty.
    pub message: String,
    /// Who asked for the write that shows it, such as `replicaset-controller` or `user`; empty if no write shows it.
    #[serde(default)]
    pub by: String,
    /// Of a fault or an action: the objects that it was aimed at, as subjects.
    #[serde(default)]
    pub targets: Vec<String>,
}

/// One Kubernetes event: what a component said about an object, once or often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// When it was first said, in nanoseconds.
    pub first_ns: u64,
    /// When it was last said, as far as that was written, in nanoseconds.
    pub last_ns: u64,
    /// How often it was said (≥ 1).
    pub count: u64,
    /// `Normal` or `Warning`.
    pub kind: String,
    /// One CamelCase word, such as `FailedCreate`.
    pub reason: String,
    /// Which object, such as `pod/default/web-abc`.
    pub subject: String,
    /// Who says it, such as `deployment-controller`, or `kubelet, node-1`.
    pub source: String,
    /// One sentence.
    pub message: String,
}

/// The life of one pod. A time is `None` when that did not happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodRow {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The controlling object, such as `ReplicaSet/web-5d4f`; empty for a bare pod.
    pub owner: String,
    /// The node it was bound to.
    pub node: Option<String>,
    /// Written to the API server.
    pub created_ns: u64,
    /// Bound to its node.
    pub scheduled_ns: Option<u64>,
    /// All images on the node.
    pub pulled_ns: Option<u64>,
    /// All containers started for the first time.
    pub started_ns: Option<u64>,
    /// Ready for the first time.
    pub ready_ns: Option<u64>,
    /// Deletion requested.
    pub deleted_ns: Option<u64>,
    /// Removed from the API server.
    pub gone_ns: Option<u64>,
    /// Container restarts.
    pub restarts: u64,
    /// The last phase: Pending, Running, Succeeded, Failed or Unknown.
    pub phase: String,
    /// The last reason, such as `CrashLoopBackOff` or `Unschedulable`; empty when there is none.
    pub reason: String,
}

impl PodRow {
    /// A pod that was written to the API server and to which nothing has happened yet.
    pub fn created(namespace: &str, name: &str, owner: &str, created_ns: u64) -> PodRow {
        PodRow {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            owner: owner.to_owned(),
            node: None,
            created_ns,
            scheduled_ns: None,
            pulled_ns: None,
            started_ns: None,
            ready_ns: None,
            deleted_ns: None,
            gone_ns: None,
            restarts: 0,
            phase: "Pending".to_owned(),
            reason: String::new(),
        }
    }
}

/// The life of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// The node's name.
    pub name: String,
    /// Its `topology.kubernetes.io/zone`; empty when it has none.
    pub zone: String,
    /// Allocatable CPU, in thousandths of a core.
    pub cpu_milli: u64,
    /// Allocatable memory, in bytes.
    pub memory_bytes: u64,
    /// Allocatable pods.
    pub pods: u64,
    /// Registered with the API server.
    pub created_ns: u64,
    /// Ready for the first time.
    pub ready_ns: Option<u64>,
    /// Removed from the API server.
    pub gone_ns: Option<u64>,
    /// When its Ready condition was not True, after the first time that it was.
    pub not_ready: Vec<Interval>,
    /// Pods bound to it when the run ended.
    pub pods_end: u64,
    /// The most pods that were bound to it at one time.
    pub pods_max: u64,
}

/// A stretch of time. `to_ns` is `None` when it lasted to the end of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// Where it begins.
    pub from_ns: u64,
    /// Where it ends.
    pub to_ns: Option<u64>,
}

/// One service, as its endpoint slices tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// The service's namespace.
    pub namespace: String,
    /// The service's name.
    pub name: String,
    /// First time that an endpoint was ready.
    pub first_ready_ns: Option<u64>,
    /// Time without a ready endpoint, after the first time that there was one.
    pub without_endpoints_ns: u64,
    /// The fewest ready endpoints after the first time that there was one.
    pub ready_min: u64,
    /// Ready endpoints when the run ended.
    pub ready_end: u64,
    /// Endpoints that were not ready when the run ended.
    pub not_ready_end: u64,
}

/// Quantities over time: step functions, one row per change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// Pods in each of [`POD_PHASES`]; the columns are exactly these.
    pub pods_by_phase: StepSeries,
    /// Nodes; the columns are `ready` and `not_ready`.
    pub nodes: StepSeries,
    /// Requested share of allocatable CPU in per mille; the first column is `total`, then one per zone.
    pub allocated_cpu: StepSeries,
    /// Requested share of allocatable memory in per mille; columns as in `allocated_cpu`.
    pub allocated_memory: StepSeries,
    /// Endpoints of one service each, named `namespace/name`; the columns are `ready` and `not_ready`.
    pub endpoints: Vec<StepSeries>,
    /// Whatever else a run wants plotted, one figure of step lines each.
    pub other: Vec<StepSeries>,
}

impl Series {
    /// Every series with the stem of its file below `series/`.
    pub(crate) fn files(&self) -> Vec<(String, &StepSeries)> {
        let mut files = vec![
            ("pods-by-phase".to_owned(), &self.pods_by_phase),
            ("nodes".to_owned(), &self.nodes),
            ("allocated-cpu".to_owned(), &self.allocated_cpu),
            ("allocated-memory".to_owned(), &self.allocated_memory),
        ];
        files.extend(self.endpoints.iter().map(|steps| (format!("endpoints-{}", file_stem(&steps.name)), steps)));
        files.extend(self.other.iter().map(|steps| (format!("other-{}", file_stem(&steps.name)), steps)));
        files
    }
}

/// One or more step functions that share their instants: a row's values hold from its time to the next row's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepSeries {
    /// What it is, for people; also names the file of a service's or of another series.
    pub name: String,
    /// What one of a value is, such as `pods` or `per mille`.
    pub unit: String,
    /// One name per value of a row.
    pub columns: Vec<String>,
    /// `(time in nanoseconds, one value per column)`, in order of time; of equal times the last row holds.
    pub rows: Vec<(u64, Vec<i64>)>,
}

/// A fault, as a stretch of time on the plots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// When it struck.
    pub from_ns: u64,
    /// When it was undone: equal to `from_ns` for an instant, `None` when it lasted to the end of the run.
    pub to_ns: Option<u64>,
    /// A few words.
    pub label: String,
}

/// What is wrong with a record. It is the caller's mistake, never the scenario's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The record was made for another version of this library.
    #[error("the record's schema is {found:?}, expected {SCHEMA:?}")]
    Schema {
        /// The schema found.
        found: String,
    },
    /// A series has columns other than its plot needs.
    #[error("series {series}: columns are {found:?}, expected {expected}")]
    Columns {
        /// Which series.
        series: String,
        /// The columns found.
        found: Vec<String>,
        /// The columns expected, in words.
        expected: String,
    },
    /// A row has too few or too many values.
    #[error("series {series}: row {row} has {found} values, expected {expected}")]
    Width {
        /// Which series.
        series: String,
        /// Which row, from zero.
        row: u64,
        /// Values found.
        found: u64,
        /// Values expected.
        expected: u64,
    },
    /// A time is earlier than the one before it.
    #[error("{what}: row {row} is at {found_ns} ns, before its predecessor at {previous_ns} ns")]
    Order {
        /// Which table or series.
        what: String,
        /// Which row, from zero.
        row: u64,
        /// The time found.
        found_ns: u64,
        /// The time of the row before.
        previous_ns: u64,
    },
    /// Two series would be written to one file.
    #[error("two series would be written to series/{stem}.csv: give them different names")]
    SameFile {
        /// The file's stem.
        stem: String,
    },
}

impl RunRecord {
    /// Whether the record keeps the invariants of this module.
    ///
    /// # Errors
    /// The first thing found that does not.
    pub fn check(&self) -> Result<(), Malformed> {
        if self.summary.schema != SCHEMA {
            return Err(Malformed::Schema { found: self.summary.schema.clone() });
        }
        check_order("facts", self.facts.iter().map(|fact| fact.time_ns))?;
        check_order("markers", self.markers.iter().map(|marker| marker.from_ns))?;
        check_columns("pods-by-phase", &self.series.pods_by_phase, &POD_PHASES)?;
        check_columns("nodes", &self.series.nodes, &["ready", "not_ready"])?;
        for steps in &self.series.endpoints {
            check_columns(&steps.name, steps, &["ready", "not_ready"])?;
        }
        let mut stems = std::collections::BTreeSet::new();
        for (stem, steps) in self.series.files() {
            check_rows(&stem, steps)?;
            if !stems.insert(stem.clone()) {
                return Err(Malformed::SameFile { stem });
            }
        }
        Ok(())
    }
}

/// An empty series may leave its columns out, so that a caller without the thing has nothing to fill in.
fn check_columns(series: &str, steps: &StepSeries, expected: &[&str]) -> Result<(), Malformed> {
    if steps.rows.is_empty() || steps.columns == expected {
        return Ok(());
    }
    Err(Malformed::Columns {
        series: series.to_owned(),
        found: steps.columns.clone(),
        expected: format!("{expected:?}"),
    })
}

fn check_rows(series: &str, steps: &StepSeries) -> Result<(), Malformed> {
    for (row, (_, values)) in (0u64..).zip(&steps.rows) {
        if values.len() != steps.columns.len() {
            let (found, expected) = (values.len() as u64, steps.columns.len() as u64);
            return Err(Malformed::Width { series: series.to_owned(), row, found, expected });
        }
    }
    check_order(series, steps.rows.iter().map(|(time, _)| *time))
}

fn check_order(what: &str, times: impl Iterator<Item = u64>) -> Result<(), Malformed> {
    let mut previous_ns = 0;
    for (row, found_ns) in (0u64..).zip(times) {
        if found_ns < previous_ns {
            return Err(Malformed::Order { what: what.to_owned(), row, found_ns, previous_ns });
        }
        previous_ns = found_ns;
    }
    Ok(())
}

/// A name as a file's stem: what is neither a letter, a digit, `.` nor `_` becomes `-`.
pub(crate) fn file_stem(name: &str) -> String {
    let safe = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_');
    name.chars().map(|letter| if safe(letter) { letter } else { '-' }).collect()
}
