//! NodeResourcesFit and NodeResourcesBalancedAllocation: room for the pod's requests, least used and most evenly used
//! nodes first.
//!
//! Source: pkg/scheduler/framework/plugins/noderesources (v1.34.1), scoring strategy LeastAllocated with CPU and memory
//! at weight 1.

use crate::id::Name;
use crate::model::{Node, Resources};
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::events::{Event, Hint, NodeChange};
use crate::scheduler::float::balanced_score;
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::traits::PodTraits;

/// A resource of which a node has too little left.
pub(in crate::scheduler) enum Shortage<'a> {
    /// CPU, memory, ephemeral storage or pods.
    Other(Refusal),
    /// An extended resource.
    Extended(&'a Name, Refusal),
}

pub(super) fn filter(pod: &PodTraits, node: &NodeInfo) -> Refusal {
    // Nearly every node either fits or lacks one of these three, and most pods ask for nothing else.
    let requests = &pod.requests;
    let fits = node.pods < node.pods_all
        && requests.cpu_milli <= node.cpu_all - node.cpu_used
        && requests.memory_bytes <= node.memory_all - node.memory_used;
    if fits && requests.ephemeral_bytes == 0 && requests.extended.is_empty() {
        return Refusal::NONE;
    }
    shortages(pod, node).fold(Refusal::NONE, |refusal, shortage| match shortage {
        Shortage::Other(reason) | Shortage::Extended(_, reason) => refusal.and(reason),
    })
}

/// Everything that the node has too little of. A pod that asks for more than the whole node can never fit.
///
/// Source: `fitsRequest`, fit.go (v1.34.1).
pub(in crate::scheduler) fn shortages<'a>(
    pod: &'a PodTraits,
    node: &'a NodeInfo,
) -> impl Iterator<Item = Shortage<'a>> + 'a {
    let lack = |reason: Reason, wanted: i64, all: i64, used: i64| {
        (wanted > 0 && wanted > all - used)
            .then(|| if wanted > all { Refusal::for_good(reason) } else { Refusal::because(reason) })
    };
    let requests = &pod.requests;
    let pods = (node.pods + 1 > node.pods_all).then(|| Refusal::because(Reason::TooManyPods));
    let others = [
        pods,
        lack(Reason::InsufficientCpu, requests.cpu_milli, node.cpu_all, node.cpu_used),
        lack(Reason::InsufficientMemory, requests.memory_bytes, node.memory_all, node.memory_used),
        lack(Reason::InsufficientEphemeral, requests.ephemeral_bytes, node.ephemeral_all, node.ephemeral_used),
    ];
    let extended = pod.extended().filter_map(move |(name, wanted)| {
        let used = node.extended_used.get(name).copied().unwrap_or(0);
        let refusal = lack(Reason::InsufficientExtended, wanted, node.extended_all(name), used)?;
        Some(Shortage::Extended(name, refusal))
    });
    others.into_iter().flatten().map(Shortage::Other).chain(extended)
}

/// The share of CPU and memory that is left with the pod on the node, averaged, 0 ..= 100. Containers without a request
/// count with a default. Resources of which the node has none are left out.
///
/// Source: `leastResourceScorer`, least_allocated.go (v1.34.1).
pub(super) fn least_allocated(pod: &PodTraits, node: &NodeInfo) -> i64 {
    let left = |used: i64, all: i64| if used > all { 0 } else { (all - used) * 100 / all };
    let cpu = (node.cpu_all != 0).then(|| left(node.cpu_scored + pod.scored_cpu_milli, node.cpu_all));
    let memory = (node.memory_all != 0).then(|| left(node.memory_scored + pod.scored_memory_bytes, node.memory_all));
    match (cpu, memory) {
        (Some(cpu), Some(memory)) => (cpu + memory) / 2,
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => 0,
    }
}

/// PreScore: a pod that asks for neither CPU nor memory is not balanced.
pub(super) fn balance_scores(pod: &PodTraits) -> bool {
    pod.requests.cpu_milli != 0 || pod.requests.memory_bytes != 0
}

/// How evenly CPU and memory are used with the pod on the node, 0 ..= 100.
pub(super) fn balance(pod: &PodTraits, node: &NodeInfo) -> i64 {
    balanced_score([
        (node.cpu_used + pod.requests.cpu_milli, node.cpu_all),
        (node.memory_used + pod.requests.memory_bytes, node.memory_all),
    ])
}

pub(super) fn hint(pod: &PodTraits, event: &Event<'_>) -> Hint {
    match event {
        Event::PlacedPodGone(_) | Event::RequestsLowered => Hint::Queue,
        Event::NodeAdded(node) => Hint::queue_if(fits_empty(pod, node)),
        Event::NodeChanged { old, new, what: NodeChange::Allocatable } => {
            Hint::queue_if(fits_empty(pod, new) && more_of_what_it_wants(pod, old, new))
        }
        _ => Hint::Skip,
    }
}

/// Whether the pod would fit if it were alone on the node.
fn fits_empty(pod: &PodTraits, node: &Node) -> bool {
    let (requests, all) = (&pod.requests, &node.status.allocatable);
    all.pods >= 1
        && requests.cpu_milli <= all.cpu_milli
        && requests.memory_bytes <= all.memory_bytes
        && requests.ephemeral_bytes <= all.ephemeral_bytes
        && pod.extended().all(|(name, wanted)| wanted <= extended(all, name))
}

/// Source: `haveAnyRequestedResourcesIncreased`, fit.go (v1.34.1).
fn more_of_what_it_wants(pod: &PodTraits, old: &Node, new: &Node) -> bool {
    let (old, new, requests) = (&old.status.allocatable, &new.status.allocatable, &pod.requests);
    if new.pods > old.pods {
        return true;
    }
    if pod.asks_for_nothing() {
        return false;
    }
    (requests.cpu_milli > 0 && new.cpu_milli > old.cpu_milli)
        || (requests.memory_bytes > 0 && new.memory_bytes > old.memory_bytes)
        || (requests.ephemeral_bytes > 0 && new.ephemeral_bytes > old.ephemeral_bytes)
        || pod.extended().any(|(name, _)| extended(new, name) > extended(old, name))
}

fn extended(resources: &Resources, name: &Name) -> i64 {
    resources.extended.get(name).copied().unwrap_or(0)
}
