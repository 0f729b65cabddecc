//! NodeAffinity: only nodes that the pod's selector and required terms match, and the heavier the matched preferred
//! terms the better.
//!
//! Source: pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go and
//! staging/src/k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go (v1.34.1).

use crate::config::{AddedAffinity, NodeTerm};
use crate::id::Name;
use crate::model::{Node, PodSpec, SelectorOperator, SelectorRequirement};
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::events::{Event, Hint, NodeChange};
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::traits::PodTraits;

pub(super) fn filter(added: &AddedAffinity, pod: &PodTraits, node: &NodeInfo) -> Refusal {
    let Some(node) = &node.node else { return Refusal::for_good(Reason::AffinityMismatch) };
    if !is_wanted(added, node) {
        Refusal::for_good(Reason::Enforced)
    } else if matches(&pod.spec, node) {
        Refusal::NONE
    } else {
        Refusal::for_good(Reason::AffinityMismatch)
    }
}

/// PreScore: nothing to score without preferred terms.
pub(super) fn scores(added: &AddedAffinity, pod: &PodTraits) -> bool {
    !pod.spec.preferred_node_affinity.is_empty() || !added.preferred.is_empty()
}

/// The sum of the weights of the preferred terms that match; a term without requirements matches nothing.
pub(super) fn score(added: &AddedAffinity, pod: &PodTraits, node: &NodeInfo) -> i64 {
    let Some(node) = &node.node else { return 0 };
    let names = pod.spec.rules.as_ref().map_or(&[][..], |rules| &rules.preferred_node_names);
    let own = pod.spec.preferred_node_affinity.iter().enumerate().filter(|(index, term)| {
        let names = names.get(*index).map_or(&[][..], |names| names);
        term_matches(&term.requirements, names, node)
    });
    let own: i64 = own.map(|(_, term)| i64::from(term.weight)).sum();
    let added = added.preferred.iter().filter(|(_, term)| term_matches(&term.labels, &term.names, node));
    own + added.map(|(weight, _)| i64::from(*weight)).sum::<i64>()
}

pub(super) fn hint(added: &AddedAffinity, pod: &PodTraits, event: &Event<'_>) -> Hint {
    match event {
        Event::NodeAdded(node) => Hint::queue_if(is_wanted(added, node) && matches(&pod.spec, node)),
        Event::NodeChanged { old, new, what: NodeChange::Labels } => {
            Hint::queue_if(is_wanted(added, new) && !matches(&pod.spec, old) && matches(&pod.spec, new))
        }
        _ => Hint::Skip,
    }
}

/// Whether the node has what the scheduler's configuration asks for.
fn is_wanted(added: &AddedAffinity, node: &Node) -> bool {
    let fits = |term: &NodeTerm| term_matches(&term.labels, &term.names, node);
    added.required.as_ref().is_none_or(|terms| terms.iter().any(fits))
}

/// A term that asks for nothing matches nothing; otherwise everything must hold.
fn term_matches(labels: &[SelectorRequirement], names: &[SelectorRequirement], node: &Node) -> bool {
    (!labels.is_empty() || !names.is_empty())
        && labels.iter().all(|requirement| requirement.matches(&node.meta.labels))
        && names.iter().all(|requirement| names_node(requirement, &node.meta.name))
}

/// Whether the pod fits every node because it asks nothing of them.
pub(in crate::scheduler) fn is_anywhere(spec: &PodSpec) -> bool {
    spec.node_selector.is_empty() && spec.required_node_affinity.is_empty()
}

/// Whether the node satisfies the pod's selector and its required terms.
pub(in crate::scheduler) fn matches(spec: &PodSpec, node: &Node) -> bool {
    let labels = &node.meta.labels;
    let selected = spec.node_selector.iter().all(|(key, value)| labels.get(key) == Some(value));
    let names = spec.rules.as_ref().map_or(&[][..], |rules| &rules.required_node_names);
    let fits = |(index, term): (usize, &Vec<SelectorRequirement>)| {
        term_matches(term, names.get(index).map_or(&[][..], |names| names), node)
    };
    let terms = &spec.required_node_affinity;
    selected && (terms.is_empty() || terms.iter().enumerate().any(fits))
}

/// PreFilter: the nodes that the pod names, if every required term names some; no others are looked at. `Some` of
/// nothing if each term names nodes that exclude each other.
///
/// Source: `PreFilter`, node_affinity.go (v1.34.1).
pub(in crate::scheduler) fn named_nodes(spec: &PodSpec) -> Option<Vec<Name>> {
    let names = &spec.rules.as_ref()?.required_node_names;
    if names.is_empty() || names.len() != spec.required_node_affinity.len() {
        return None;
    }
    let mut named = Vec::new();
    for requirements in names {
        let mut by_name = requirements.iter().filter(|requirement| requirement.operator == SelectorOperator::In);
        let mut of_term = by_name.next()?.values.clone();
        for requirement in by_name {
            of_term.retain(|name| requirement.values.contains(name));
        }
        named.extend(of_term);
    }
    named.sort_unstable();
    named.dedup();
    Some(named)
}

/// `metadata.name` is the only field that can be asked for, with In or NotIn.
fn names_node(requirement: &SelectorRequirement, name: &Name) -> bool {
    requirement.values.contains(name) == (requirement.operator == SelectorOperator::In)
}
