//! NodePorts: no two pods with the same host port on one node. Host addresses are not modelled: a port is taken on all.
//!
//! Source: pkg/scheduler/framework/plugins/nodeports/node_ports.go (v1.34.1).

use crate::scheduler::cache::NodeInfo;
use crate::scheduler::events::{Event, Hint};
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::traits::PodTraits;

pub(super) fn filter(pod: &PodTraits, node: &NodeInfo) -> Refusal {
    let taken = pod.host_ports.iter().any(|(protocol, port)| node.holds_port(*protocol, *port));
    if taken { Refusal::because(Reason::PortTaken) } else { Refusal::NONE }
}

pub(super) fn hint(pod: &PodTraits, event: &Event<'_>) -> Hint {
    match event {
        Event::NodeAdded(_) => Hint::Queue,
        Event::PlacedPodGone(gone) => Hint::queue_if(gone.host_ports.iter().any(|port| pod.host_ports.contains(port))),
        _ => Hint::Skip,
    }
}
