//! Placement of given pods on given nodes, one after the other, with reasons: what `sim place` does.
//!
//! No time passes and nothing is simulated around it: each pod is bound before the next is looked at, pods that come
//! with a node count there from the start. The decisions are those of the scheduler's own search.

mod row;
mod text;

use wavetank_core::config::SchedulerConfig;
use wavetank_core::id::RowId;
use wavetank_core::model::{Object, Pod};
use wavetank_core::scheduler::{Detail, Placement};
use wavetank_manifest::kubernetes::Snapshot;
use wavetank_manifest::scheduler_configuration::SchedulerConfiguration;

pub use row::{Candidate, Preemption, Rejected, Row, Scores, Status};
pub use text::render;

/// Every node is scored unless a configuration says otherwise: which nodes kube-scheduler samples depends on how its
/// workers happen to run.
const PERCENTAGE: u32 = 100;

/// The scheduler's settings for placing: those of a configuration, with every node scored unless it says otherwise.
pub fn settings(configuration: Option<&SchedulerConfiguration>) -> SchedulerConfig {
    let mut config = SchedulerConfig::default();
    if let Some(configuration) = configuration {
        configuration.apply(&mut config);
    }
    let percentage = configuration.and_then(|it| it.percentage_of_nodes_to_score);
    SchedulerConfig { percentage_of_nodes_to_score: percentage.unwrap_or(PERCENTAGE), ..config }
}

/// How pods are placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Manner {
    /// Where draws come from.
    pub seed: u64,
    /// How much is told of each pod.
    pub detail: Detail,
    /// Whether pods of lower priority make room: they are removed at once, and the pod is tried again.
    pub preempt: bool,
}

/// Places the pods that have no node, in order; `tell` gets one row for every pod, in the order of the input.
///
/// Pods with a node count on it before any other pod is placed.
pub fn place(snapshot: &Snapshot, config: &SchedulerConfig, manner: Manner, tell: &mut dyn FnMut(Row)) {
    let mut placement = Placement::new(manner.seed, config);
    for object in &snapshot.objects {
        match object {
            Object::Node(node) => placement.set_node(node),
            other => placement.set_object(other),
        }
    }
    let row = |index: usize| RowId { index: u32::try_from(index).expect("fewer than 2^32 pods"), generation: 0 };
    for (index, pod) in snapshot.pods.iter().enumerate().filter(|(_, pod)| !pod.is_finished()) {
        if let Some(node) = &pod.node {
            placement.put(row(index), pod, node);
        }
    }
    for (index, pod) in snapshot.pods.iter().enumerate() {
        tell(match left_alone(&placement, config, pod) {
            Some(row) => row,
            None if manner.preempt => {
                let (explained, preempted) = placement.place_preempting(row(index), pod, manner.detail);
                let name_of = |row: RowId| name(&snapshot.pods[row.index as usize]);
                Row::of(name(pod), explained).with_preemption(preempted, &name_of)
            }
            None => Row::of(name(pod), placement.place_explained(row(index), pod, manner.detail)),
        });
    }
}

fn name(pod: &Pod) -> String {
    format!("{}/{}", pod.meta.namespace, pod.meta.name)
}

/// The row of a pod that the scheduler does not try.
fn left_alone(placement: &Placement, config: &SchedulerConfig, pod: &Pod) -> Option<Row> {
    let (status, message) = if pod.is_finished() {
        (Status::Finished, None)
    } else if pod.node.is_some() {
        (Status::Prebound, None)
    } else if !placement.has_profile(&pod.spec.scheduler_name) {
        let names: Vec<&str> = config.profiles.iter().map(|profile| &*profile.name).collect();
        let message = format!("no profile has the scheduler name {:?}, only {names:?}", pod.spec.scheduler_name);
        (Status::Ignored, Some(message))
    } else if placement.is_gated(pod) {
        (Status::Gated, Some("Scheduling is blocked due to non-empty scheduling gates".to_owned()))
    } else if pod.meta.is_terminating() {
        (Status::Error, Some(format!("skip schedule deleting pod: {}", name(pod))))
    } else {
        return None;
    };
    Some(Row::plain(name(pod), status, pod.node.as_ref().map(ToString::to_string), message))
}
