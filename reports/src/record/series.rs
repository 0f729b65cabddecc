//! Quantities over time.

use serde::{Deserialize, Serialize};

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

/// A name as a file's stem: what is neither a letter, a digit, `.` nor `_` becomes `-`.
pub(crate) fn file_stem(name: &str) -> String {
    let safe = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_');
    name.chars().map(|letter| if safe(letter) { letter } else { '-' }).collect()
}
