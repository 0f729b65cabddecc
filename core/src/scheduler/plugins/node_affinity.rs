//! NodeAffinity: only nodes that the pod's selector and required terms match, and the heavier the matched preferred
//! terms the better.
//!
//! Source: pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go and
//! staging/src/k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go (v1.34.1), without
//! `matchFields`.

use crate::model::{Node, PodSpec};
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::events::{Event, Hint, NodeChange};
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::traits::PodTraits;

pub(super) fn filter(pod: &PodTraits, node: &NodeInfo) -> Refusal {
    let matched = node.node.as_ref().is_some_and(|node| matches(&pod.spec, node));
    if matched { Refusal::NONE } else { Refusal::for_good(Reason::AffinityMismatch) }
}

/// PreScore: nothing to score without preferred terms.
pub(super) fn scores(pod: &PodTraits) -> bool {
    !pod.spec.preferred_node_affinity.is_empty()
}

/// The sum of the weights of the preferred terms that match; a term without requirements matches nothing.
pub(super) fn score(pod: &PodTraits, node: &NodeInfo) -> i64 {
    let Some(node) = &node.node else { return 0 };
    let labels = &node.meta.labels;
    let terms = pod.spec.preferred_node_affinity.iter().filter(|term| !term.requirements.is_empty());
    let matched = terms.filter(|term| term.requirements.iter().all(|requirement| requirement.matches(labels)));
    matched.map(|term| i64::from(term.weight)).sum()
}

pub(super) fn hint(pod: &PodTraits, event: &Event<'_>) -> Hint {
    match event {
        Event::NodeAdded(node) => Hint::queue_if(matches(&pod.spec, node)),
        Event::NodeChanged { old, new, what: NodeChange::Labels } => {
            Hint::queue_if(!matches(&pod.spec, old) && matches(&pod.spec, new))
        }
        _ => Hint::Skip,
    }
}

fn matches(spec: &PodSpec, node: &Node) -> bool {
    let labels = &node.meta.labels;
    let selected = spec.node_selector.iter().all(|(key, value)| labels.get(key) == Some(value));
    let mut terms = spec.required_node_affinity.iter().filter(|term| !term.is_empty());
    selected
        && (spec.required_node_affinity.is_empty()
            || terms.any(|term| term.iter().all(|requirement| requirement.matches(labels))))
}
