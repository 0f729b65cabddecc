//! What was run and what came out of it as a whole.

use serde::{Deserialize, Serialize};

/// What was run and what came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Always [`super::SCHEMA`].
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
    /// The fingerprint that the scenario pins, if it is another one than the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_fingerprint: Option<String>,
    /// Order-free hash of the final state, in lower-case hex digits.
    pub digest: String,
    /// The scenario's expectations and whether they held, in the file's order.
    pub expectations: Vec<ExpectationResult>,
    /// Totals of the run.
    pub counts: Counts,
    /// What the user should know about this run, one sentence each.
    pub warnings: Vec<String>,
    /// Fields of the user's manifests that were kept but had no effect, such as
    /// `Deployment web: spec.template.spec.hostPID`.
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
