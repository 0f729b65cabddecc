//! NodeAffinity: only nodes that the pod's selector and required terms match, and the heavier the matched preferred
//! terms the better.
//!
//! Source: pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go and
//! staging/src/k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go (v1.34.1).

use crate::id::Name;
use crate::model::{Node, PodSpec, SelectorOperator, SelectorRequirement};
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::events::{Event, Hint, NodeChange};
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::traits::PodTraits;

pub(super) fn filter(pod: &PodTraits, node: &NodeInfo) -> Refusal {
    if node.node.as_ref().is_some_and(|node| is_passed_over(&pod.spec, node)) {
        return Refusal::for_good(Reason::NotNamed);
    }
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
    let names = pod.spec.rules.as_ref().map_or(&[][..], |rules| &rules.preferred_node_names);
    let matched = pod.spec.preferred_node_affinity.iter().enumerate().filter(|(index, term)| {
        let name = names.get(*index).map_or(&[][..], |names| names);
        (!term.requirements.is_empty() || !name.is_empty())
            && term.requirements.iter().all(|requirement| requirement.matches(labels))
            && name.iter().all(|requirement| names_node(requirement, &node.meta.name))
    });
    matched.map(|(_, term)| i64::from(term.weight)).sum()
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

/// Whether the pod fits every node because it asks nothing of them.
pub(in crate::scheduler) fn is_anywhere(spec: &PodSpec) -> bool {
    spec.node_selector.is_empty() && spec.required_node_affinity.is_empty()
}

/// Whether the node satisfies the pod's selector and its required terms.
///
/// A required term that asks for nothing matches nothing; within a term everything must hold.
pub(in crate::scheduler) fn matches(spec: &PodSpec, node: &Node) -> bool {
    let labels = &node.meta.labels;
    let selected = spec.node_selector.iter().all(|(key, value)| labels.get(key) == Some(value));
    let names = spec.rules.as_ref().map_or(&[][..], |rules| &rules.required_node_names);
    let fits = |(index, term): (usize, &Vec<SelectorRequirement>)| {
        let name = names.get(index).map_or(&[][..], |names| names);
        (!term.is_empty() || !name.is_empty())
            && term.iter().all(|requirement| requirement.matches(labels))
            && name.iter().all(|requirement| names_node(requirement, &node.meta.name))
    };
    let terms = &spec.required_node_affinity;
    selected && (terms.is_empty() || terms.iter().enumerate().any(fits))
}

/// PreFilter: nodes that no term names are not even looked at, if every term names some.
///
/// Source: `PreFilter`, node_affinity.go (v1.34.1), without its own message for a term that names two nodes at once.
pub(in crate::scheduler) fn is_passed_over(spec: &PodSpec, node: &Node) -> bool {
    let Some(rules) = &spec.rules else { return false };
    let names = &rules.required_node_names;
    let by_name = |requirement: &&SelectorRequirement| requirement.operator == SelectorOperator::In;
    !names.is_empty()
        && names.len() == spec.required_node_affinity.len()
        && names.iter().all(|names| names.iter().any(|requirement| by_name(&requirement)))
        && !names.iter().any(|names| names.iter().filter(by_name).all(|it| names_node(it, &node.meta.name)))
}

/// `metadata.name` is the only field that can be asked for, with In or NotIn.
fn names_node(requirement: &SelectorRequirement, name: &Name) -> bool {
    requirement.values.contains(name) == (requirement.operator == SelectorOperator::In)
}
