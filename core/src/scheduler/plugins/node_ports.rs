//! NodePorts: no two pods with the same host port on one address of a node.
//!
//! Source: pkg/scheduler/framework/plugins/nodeports/node_ports.go (v1.34.1).

use crate::scheduler::cache::NodeInfo;
use crate::scheduler::events::{Event, Hint};
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::traits::PodTraits;

pub(super) fn filter(pod: &PodTraits, node: &NodeInfo) -> Refusal {
    let taken = pod.host_ports.iter().any(|port| node.is_port_taken(port));
    if taken { Refusal::because(Reason::PortTaken) } else { Refusal::NONE }
}

pub(super) fn hint(pod: &PodTraits, event: &Event<'_>) -> Hint {
    match event {
        Event::NodeAdded(_) => Hint::Queue,
        Event::PlacedPodGone(gone) => {
            let frees = |port| pod.host_ports.iter().any(|wanted| wanted.conflicts(port));
            Hint::queue_if(gone.host_ports.iter().any(frees))
        }
        _ => Hint::Skip,
    }
}
