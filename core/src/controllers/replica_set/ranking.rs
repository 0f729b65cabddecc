//! Which pods a ReplicaSet deletes first when it has too many.
//!
//! Source: `ActivePodsWithRanks`, pkg/controller/controller_utils.go (v1.34.1). Times are compared in whole seconds, as
//! the API stores them. Where Kubernetes leaves the order to its sorting routine, the smaller uid goes first.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use crate::digest::StableHasher;
use crate::id::{Name, Uid, order_of_names};
use crate::model::{ConditionKind, Phase, Pod, PodStatus};
use crate::time::Time;

/// The annotation by which a user ranks pods.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Nanoseconds in a second.
const NANOS: u64 = 1_000_000_000;

/// The pods that are to be deleted if so many are, in the order in which they go. `related` are all pods of the
/// ReplicaSets with the same owner; where more of them share a node, that node loses pods first.
pub(super) fn first_to_go<'a>(
    pods: &'a [Arc<Pod>],
    related: impl Iterator<Item = &'a Arc<Pod>>,
    surplus: usize,
    now: Time,
) -> Vec<Arc<Pod>> {
    let nodes = Nodes::of(related.filter(|pod| pod.is_active()).filter_map(|pod| pod.node.as_ref()));
    let candidate = |pod: &'a Arc<Pod>| {
        let neighbours = pod.node.as_ref().map_or(0, |node| nodes.pods_on(node));
        (Weight::new(pod, neighbours, now), Tie::new(pod, now), pod)
    };
    let mut candidates: Vec<(Weight, Tie, &Arc<Pod>)> = pods.iter().map(candidate).collect();
    candidates.sort_by_key(|(weight, tie, _)| (*weight, tie.uid));
    for run in candidates.chunk_by_mut(|(one, ..), (other, ..)| one == other) {
        // Kubernetes lets uids decide between pods whose ready times differ but are alike on the logarithmic scale, and
        // looks at restarts and creation only if the times are equal. With both sorts in one run its relation is no
        // order at all; here uids then decide throughout.
        let first = run[0].1.ready_secs;
        if run.iter().all(|(_, tie, _)| tie.ready_secs == first) {
            run.sort_by_key(|(_, tie, _)| (tie.restarts, tie.created, tie.uid));
        }
    }
    candidates.into_iter().take(surplus).map(|(_, _, pod)| pod.clone()).collect()
}

/// The node of each of some pods, sorted: first by the hash of the name, which most comparisons need no more than.
struct Nodes<'a>(Vec<(u64, &'a Name)>);

impl<'a> Nodes<'a> {
    fn of(names: impl Iterator<Item = &'a Name>) -> Nodes<'a> {
        let mut nodes: Vec<_> = names.map(|name| (StableHasher::hash_one(name), name)).collect();
        nodes.sort_unstable_by(|one, other| by_hash(*one, *other));
        Nodes(nodes)
    }

    /// How many of the pods are on a node.
    fn pods_on(&self, node: &Name) -> u32 {
        let wanted = (StableHasher::hash_one(node), node);
        let from = self.0.partition_point(|other| by_hash(*other, wanted).is_lt());
        self.0[from..].iter().take_while(|other| by_hash(**other, wanted).is_eq()).count() as u32
    }
}

fn by_hash(one: (u64, &Name), other: (u64, &Name)) -> Ordering {
    one.0.cmp(&other.0).then_with(|| order_of_names(one.1, other.1))
}

/// What decides first, in order of weight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    assigned: bool,
    phase: u8,
    ready: bool,
    cost: i32,
    neighbours: Reverse<u32>,
    ready_age: Option<u32>,
}

/// What decides between pods of equal weight.
struct Tie {
    ready_secs: u64,
    restarts: Reverse<(u32, u32)>,
    created: Option<u32>,
    uid: Uid,
}

impl Weight {
    fn new(pod: &Pod, neighbours: u32, now: Time) -> Weight {
        let ready = ready_since(pod);
        Weight {
            assigned: pod.node.is_some(),
            phase: match pod.status.phase {
                Phase::Pending => 0,
                Phase::Unknown => 1,
                Phase::Running => 2,
                // Finished pods are not active and never compared.
                Phase::Succeeded | Phase::Failed => 0,
            },
            ready: ready.is_some(),
            cost: deletion_cost(pod),
            neighbours: Reverse(neighbours),
            ready_age: ready.and_then(|since| age(since, now)),
        }
    }
}

impl Tie {
    fn new(pod: &Pod, now: Time) -> Tie {
        Tie {
            ready_secs: ready_since(pod).map_or(0, |since| since.0 / NANOS),
            restarts: Reverse(restarts(&pod.status, pod)),
            created: age(pod.meta.created_at, now),
            uid: pod.meta.uid,
        }
    }
}

fn ready_since(pod: &Pod) -> Option<Time> {
    pod.status.conditions.changed_at(ConditionKind::Ready).filter(|_| pod.is_ready())
}

/// How long ago a point was, as a power of two of nanoseconds (rounded down); `None` is no time at all.
fn age(since: Time, now: Time) -> Option<u32> {
    now.since(Time::from_secs(since.0 / NANOS)).0.checked_ilog2()
}

/// An annotation that is no 32-bit integer counts as 0, as does a missing one.
///
/// Source: `GetDeletionCostFromPodAnnotations`, pkg/apis/core/v1/helper/helpers.go (v1.34.1): digits without a plus
/// sign or leading zeros.
fn deletion_cost(pod: &Pod) -> i32 {
    let Some(text) = pod.meta.annotations.get(DELETION_COST) else { return 0 };
    let plain = !text.starts_with('+') && (!text.starts_with('0') || **text == *"0");
    text.parse().ok().filter(|_| plain).unwrap_or(0)
}

/// The most restarts of any container, and of any sidecar.
fn restarts(status: &PodStatus, pod: &Pod) -> (u32, u32) {
    let regular = status.containers.iter().map(|container| container.restarts).max().unwrap_or(0);
    let sidecars = pod.spec.init_containers.iter().zip(&status.init_containers);
    let sidecar = sidecars.filter(|(spec, _)| spec.sidecar).map(|(_, container)| container.restarts).max().unwrap_or(0);
    (regular, sidecar)
}
