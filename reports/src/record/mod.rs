//! The record of one finished run: everything that the reports are made of.
//!
//! Here is the record itself; `summary` is what was run and what came out, `rows` is one row per fact, event, pod, node
//! and service, `series` are quantities over time, and `check` holds the invariants.
//!
//! Invariants (checked by [`RunRecord::check`] before anything is written): the schema is [`SCHEMA`], every row of a
//! series has one value per column, and times never run backwards within a series or within the facts.
//!
//! All times are virtual nanoseconds since the start of the run (in the real world: monotonic nanoseconds since the
//! start). Absent on purpose: wall-clock time, host names and paths of the machine that ran it, because the same
//! scenario and seed must give the same record everywhere.

mod check;
mod rows;
mod series;
mod summary;

use serde::{Deserialize, Serialize};

pub use check::Malformed;
pub use rows::{EventRow, FactRow, Interval, Marker, NodeRow, PodRow, ServiceRow, Text};
pub(crate) use series::file_stem;
pub use series::{POD_PHASES, Series, StepSeries};
pub use summary::{Counts, ExpectationKind, ExpectationResult, Study, StudyPoint, Summary, World};

/// Name and version of the record's shape. A field that changes its meaning changes this.
pub const SCHEMA: &str = "wavetank/run/v1";

/// Everything that is kept of one finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// What was run, what came out, and whether the expectations held.
    pub summary: Summary,
    /// What happened, ordered by time and then by `seq`.
    pub facts: Vec<FactRow>,
    /// The Kubernetes events, as `kubectl get events` would have shown them, ordered by their first time; none if
    /// nobody asked for them.
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
