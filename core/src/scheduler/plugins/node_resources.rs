//! NodeResourcesFit, the filter: room for the pod's requests.
//!
//! Source: pkg/scheduler/framework/plugins/noderesources/fit.go (v1.34.1). Scores are in [`super::resource_scores`].

use crate::config::FitArgs;
use crate::id::Name;
use crate::model::{Node, Resources};
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::events::{Event, Hint, NodeChange};
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::traits::PodTraits;

/// A resource of which a node has too little left.
pub(in crate::scheduler) enum Shortage<'a> {
    /// CPU, memory, ephemeral storage or pods.
    Other(Refusal),
    /// An extended resource.
    Extended(&'a Name, Refusal),
}

pub(super) fn filter(args: &FitArgs, pod: &PodTraits, node: &NodeInfo) -> Refusal {
    // Nearly every node either fits or lacks one of these three, and most pods ask for nothing else.
    let requests = &pod.requests;
    let fits = node.pods < node.pods_all
        && requests.cpu_milli <= node.cpu_all - node.cpu_used
        && requests.memory_bytes <= node.memory_all - node.memory_used;
    if fits && requests.ephemeral_bytes == 0 && requests.extended.is_empty() {
        return Refusal::NONE;
    }
    shortages(args, pod, node).fold(Refusal::NONE, |refusal, shortage| match shortage {
        Shortage::Other(reason) | Shortage::Extended(_, reason) => refusal.and(reason),
    })
}

/// Everything that the node has too little of. A pod that asks for more than the whole node can never fit.
///
/// Source: `fitsRequest`, fit.go (v1.34.1).
pub(in crate::scheduler) fn shortages<'a>(
    args: &'a FitArgs,
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
    let extended = pod.extended().filter(|(name, _)| !is_ignored(args, name)).filter_map(move |(name, wanted)| {
        let used = node.extended_used.get(name).copied().unwrap_or(0);
        let refusal = lack(Reason::InsufficientExtended, wanted, node.extended_all(name), used)?;
        Some(Shortage::Extended(name, refusal))
    });
    others.into_iter().flatten().map(Shortage::Other).chain(extended)
}

/// Whether the configuration leaves an extended resource to others. Kubernetes' own resources cannot be ignored.
fn is_ignored(args: &FitArgs, name: &Name) -> bool {
    if args.ignored.is_empty() && args.ignored_groups.is_empty() {
        return false;
    }
    let (group, _) = name.split_once('/').unwrap_or((name, ""));
    is_extended(name) && (args.ignored.contains(name) || args.ignored_groups.contains(group))
}

/// Source: `IsExtendedResourceName`, pkg/apis/core/v1/helper/helpers.go (v1.34.1), for valid names.
fn is_extended(name: &str) -> bool {
    name.contains('/') && !name.contains("kubernetes.io/") && !name.starts_with("requests.")
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
