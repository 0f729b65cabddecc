//! TaintToleration: no pods on nodes with taints that they do not tolerate, and the fewer untolerated
//! PreferNoSchedule taints the better.
//!
//! Source: pkg/scheduler/framework/plugins/tainttoleration/taint_toleration.go (v1.34.1).

use crate::model::{Node, Taint, TaintEffect};
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::events::{Event, Hint, NodeChange};
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::traits::PodTraits;

pub(super) fn filter(pod: &PodTraits, node: &NodeInfo) -> Refusal {
    match first_untolerated(pod, node) {
        Some(_) => Refusal::for_good(Reason::UntoleratedTaint),
        None => Refusal::NONE,
    }
}

/// The first taint that keeps the pod off the node.
pub(super) fn first_untolerated<'a>(pod: &PodTraits, node: &'a NodeInfo) -> Option<&'a Taint> {
    first_untolerated_of(pod, node.node.as_ref()?)
}

/// How many PreferNoSchedule taints the pod does not tolerate.
pub(super) fn score(pod: &PodTraits, node: &NodeInfo) -> i64 {
    let taints = node.node.as_ref().map_or(&[][..], |node| &node.spec.taints);
    let preferred = taints.iter().filter(|taint| taint.effect == TaintEffect::PreferNoSchedule);
    preferred.filter(|taint| !tolerates(pod, taint)).count() as i64
}

pub(super) fn hint(pod: &PodTraits, event: &Event<'_>) -> Hint {
    match event {
        Event::NodeAdded(node) => Hint::queue_if(first_untolerated_of(pod, node).is_none()),
        Event::NodeChanged { old, new, what: NodeChange::Taints } => {
            Hint::queue_if(first_untolerated_of(pod, old).is_some() && first_untolerated_of(pod, new).is_none())
        }
        Event::TolerationsChanged => Hint::Queue,
        _ => Hint::Skip,
    }
}

pub(super) fn first_untolerated_of<'a>(pod: &PodTraits, node: &'a Node) -> Option<&'a Taint> {
    let binding = node.spec.taints.iter().filter(|taint| taint.effect != TaintEffect::PreferNoSchedule);
    binding.into_iter().find(|taint| !tolerates(pod, taint))
}

fn tolerates(pod: &PodTraits, taint: &Taint) -> bool {
    pod.spec.tolerations.iter().any(|toleration| toleration.tolerates(taint))
}
