//! NodeUnschedulable: no new pods on cordoned nodes, unless the pod tolerates the taint that goes with the cordon.
//!
//! Source: pkg/scheduler/framework/plugins/nodeunschedulable/node_unschedulable.go (v1.34.1).

use crate::model::{Taint, TaintEffect};
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::events::{Event, Hint, NodeChange};
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::traits::PodTraits;

pub(super) fn filter(pod: &PodTraits, node: &NodeInfo) -> Refusal {
    let cordoned = node.node.as_ref().is_some_and(|node| node.spec.unschedulable);
    if cordoned && !tolerates_cordon(pod) { Refusal::for_good(Reason::Unschedulable) } else { Refusal::NONE }
}

pub(super) fn hint(pod: &PodTraits, event: &Event<'_>) -> Hint {
    match event {
        Event::NodeAdded(node) => Hint::queue_if(!node.spec.unschedulable),
        Event::NodeChanged { old, new, what: NodeChange::Taints } => {
            Hint::queue_if(old.spec.unschedulable && !new.spec.unschedulable)
        }
        Event::TolerationsChanged => Hint::queue_if(tolerates_cordon(pod)),
        _ => Hint::Skip,
    }
}

fn tolerates_cordon(pod: &PodTraits) -> bool {
    let cordon = Taint {
        key: "node.kubernetes.io/unschedulable".into(),
        value: "".into(),
        effect: TaintEffect::NoSchedule,
        added_at: None,
    };
    pod.spec.tolerations.iter().any(|toleration| toleration.tolerates(&cordon))
}
