//! What is kept of one run of a sweep.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wavetank_core::digest::StableHasher;
use wavetank_reports::record::{RunRecord, StudyPoint};

use crate::execute::Executed;
use crate::plan::scenario::{Inputs, Settings};

/// The shape of a result file. A field that changes its meaning changes this.
const SCHEMA: &str = "wavetank/sweep-run/v2";

/// One run's result, and everything that it depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    schema: String,
    /// The version of the program.
    version: String,
    /// The hash of the scenario's text.
    scenario: String,
    /// What the command line would have set.
    settings: Settings,
    /// The files that the scenario names, by the paths that it writes, and their hashes.
    files: BTreeMap<String, String>,
    /// The run's fingerprint.
    pub fingerprint: String,
    /// Whether every expectation held.
    pub held: bool,
    /// The names of those that broke.
    pub broken: Vec<String>,
    /// Pods were asked for and not one was bound to a node.
    pub nothing_scheduled: bool,
    /// Single numbers by name.
    pub metrics: BTreeMap<String, f64>,
    /// What a study of placement looks at, `gpu` or `cpu`; empty for other runs.
    pub resource: String,
    /// The curve of a study of placement; empty for other runs.
    pub points: Vec<StudyPoint>,
}

impl RunResult {
    /// The result of a run.
    pub fn of(executed: &Executed, inputs: &Inputs) -> RunResult {
        let summary = &executed.record.summary;
        let broken = summary.expectations.iter().filter(|one| !one.held).map(|one| one.name.clone()).collect();
        RunResult {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: hash(&inputs.text),
            settings: inputs.settings.clone(),
            files: inputs.files_read().map(|(path, text)| (path.to_owned(), hash(text))).collect(),
            fingerprint: summary.fingerprint.clone(),
            held: executed.held(),
            broken,
            nothing_scheduled: executed.nothing_scheduled,
            metrics: metrics(&executed.record),
            resource: summary.study.as_ref().map_or_else(String::new, |study| study.resource.clone()),
            points: summary.study.as_ref().map_or_else(Vec::new, |study| study.points.clone()),
        }
    }

    /// Whether a run of this scenario with these settings would give this result. `hash_of` hashes a file by the path
    /// that the scenario writes.
    pub(super) fn is_of(&self, scenario: &str, settings: &Settings, hash_of: impl Fn(&str) -> Option<String>) -> bool {
        self.schema == SCHEMA
            && self.version == env!("CARGO_PKG_VERSION")
            && self.scenario == scenario
            && self.settings == *settings
            && self.files.iter().all(|(path, known)| hash_of(path).as_ref() == Some(known))
    }
}

/// The hash of a text, as results carry it.
pub(super) fn hash(text: &str) -> String {
    format!("{:016x}", StableHasher::hash_one(text))
}

fn metrics(record: &RunRecord) -> BTreeMap<String, f64> {
    let summary = &record.summary;
    let counts = &summary.counts;
    let broken = summary.expectations.iter().filter(|one| !one.held).count() as u64;
    let mut metrics: BTreeMap<String, f64> = [
        ("pods_created", counts.pods_created),
        ("pods_scheduled", counts.pods_scheduled),
        ("pods_deleted", counts.pods_deleted),
        ("pods_running_end", counts.pods_running_end),
        ("pods_pending_end", counts.pods_pending_end),
        ("pods_succeeded_end", counts.pods_succeeded_end),
        ("pods_failed_end", counts.pods_failed_end),
        ("restarts", counts.restarts),
        ("nodes_ready_end", counts.nodes_ready_end),
        ("expectations_broken", broken),
    ]
    .map(|(name, count)| (name.to_owned(), count as f64))
    .into();
    metrics.insert("duration_s".to_owned(), summary.duration_ns as f64 / 1e9);
    let since_created = |to: fn(&wavetank_reports::record::PodRow) -> Option<u64>| {
        let spans = record.pods.iter().filter_map(|pod| Some(to(pod)?.saturating_sub(pod.created_ns)));
        let mut spans: Vec<u64> = spans.collect();
        spans.sort_unstable();
        spans
    };
    for (name, spans) in [
        ("scheduling_latency", since_created(|pod| pod.scheduled_ns)),
        ("startup_latency", since_created(|pod| pod.ready_ns)),
    ] {
        for (quantile, per_mille) in [("p50", 500), ("p99", 990)] {
            // The nearest rank, as in summary.json.
            let rank = (spans.len() * per_mille).div_ceil(1_000).max(1) - 1;
            if let Some(span) = spans.get(rank) {
                metrics.insert(format!("{name}_{quantile}_s"), *span as f64 / 1e9);
            }
        }
    }
    if let Some(study) = &summary.study {
        metrics.insert("pods_unscheduled".to_owned(), study.pods_unscheduled as f64);
        let at = |percent: u32| study.points.iter().find(|point| point.demand_percent == percent);
        let last = study.points.last().map(|point| ("end".to_owned(), point));
        let full = at(100).map(|point| ("at_100".to_owned(), point));
        for (when, point) in full.into_iter().chain(last) {
            metrics.insert(format!("allocation_percent_{when}"), point.allocation_percent);
            metrics.insert(format!("fragmentation_percent_{when}"), point.fragmentation_percent);
            metrics.insert(format!("unscheduled_pods_{when}"), point.unscheduled_pods);
        }
    }
    metrics
}
