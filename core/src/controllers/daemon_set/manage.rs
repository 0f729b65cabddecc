//! Which nodes of a DaemonSet need a pod, which pods have to go, and what the status says.
//!
//! Source: `podsShouldBeOnNode`, `manage`, `updateDaemonSetStatus`, pkg/controller/daemon/daemon_controller.go
//! (v1.34.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::controllers::daemon_set::backoff::Backoff;
use crate::controllers::daemon_set::fit::{GENERATION_LABEL, NodeFit};
use crate::controllers::revisions::REVISION_LABEL;
use crate::digest::StableHasher;
use crate::id::Name;
use crate::model::{DaemonSet, DaemonSetStatus, DaemonSetStrategy, IntOrPercent, Phase, Pod};
use crate::store::View;
use crate::time::{Span, Time};

/// The pods of each node, those that only wait for the node's name included.
pub(super) type PodsByNode = BTreeMap<Name, Vec<Arc<Pod>>>;

/// What a sync goes by.
pub(super) struct Situation<'a> {
    pub(super) now: Time,
    pub(super) set: &'a DaemonSet,
    /// The hash of the template's revision.
    pub(super) hash: &'a Name,
    /// By name.
    pub(super) nodes: &'a [NodeFit],
    pub(super) pods: &'a PodsByNode,
}

/// What a sync wants of its nodes.
#[derive(Default)]
pub(super) struct Wanted {
    /// Nodes that need a pod.
    pub(super) creations: Vec<Name>,
    /// Pods that have to go.
    pub(super) deletions: Vec<Arc<Pod>>,
    /// Pods among them that have failed or succeeded.
    pub(super) ended: Vec<Arc<Pod>>,
    /// When to look again at failed pods that are left for now.
    pub(super) look_again: Option<Span>,
    /// Whether nothing could be decided because a node is gone.
    pub(super) misses_node: bool,
}

/// The pods that the set manages and selects, by the node that they are for. Pods that have ended and are being deleted
/// are somebody else's business; `all` counts them too.
pub(super) fn pods_by_node(view: View<'_>, set: &DaemonSet, all: bool) -> PodsByNode {
    let mut by_node = PodsByNode::new();
    let own = view.controlled_by::<Pod>(set.meta.uid).map(|(_, pod)| pod);
    for pod in own.filter(|pod| set.selector.matches(&pod.meta.labels)) {
        let is_left = !pod.is_finished() || !pod.meta.is_terminating();
        if let Some(node) = pod.node.as_ref().or(pod.pinned_to()).filter(|_| all || is_left) {
            by_node.entry(node.clone()).or_default().push(pod.clone());
        }
    }
    by_node
}

/// Source: `IsPodUpdated`, pkg/controller/daemon/util/daemonset_util.go (v1.34.1).
pub(super) fn is_updated(set: &DaemonSet, hash: &Name, pod: &Pod) -> bool {
    let labels = &pod.meta.labels;
    let generation = labels.get(GENERATION_LABEL).and_then(|text| text.parse().ok());
    !hash.is_empty() && labels.get(REVISION_LABEL) == Some(hash) || generation == Some(set.template_generation)
}

/// Kubernetes takes nodes in the order of a hash map. Here that order is a draw, the same for a set's whole life,
/// through the set's uid.
pub(super) fn in_drawn_order<T>(set: &DaemonSet, mut items: Vec<T>, name: impl Fn(&T) -> Name) -> Vec<T> {
    items.sort_by_cached_key(|item| StableHasher::hash_one(&(set.meta.uid, name(item))));
    items
}

/// The node that a pod is for.
pub(super) fn node_of(pod: &Pod) -> Name {
    pod.node.clone().or(pod.pinned_to().cloned()).expect("pods of no node are not listed")
}

impl Situation<'_> {
    /// Goes through all nodes.
    pub(super) fn manage(&self, backoff: &mut Backoff) -> Wanted {
        let mut wanted = Wanted::default();
        for node in self.nodes {
            match self.pods.get(&node.name) {
                None if node.should_run => wanted.creations.push(node.name.clone()),
                Some(pods) if node.may_stay => self.on_node(&mut wanted, node, pods, backoff),
                Some(pods) => wanted.deletions.extend(pods.iter().filter(|pod| !pod.meta.is_terminating()).cloned()),
                None => {}
            }
        }
        // A pod for a node that is gone is never bound, and nobody else removes it.
        let is_there = |name: &Name| self.nodes.binary_search_by(|node| node.name.cmp(name)).is_ok();
        let stranded = self.pods.iter().filter(|(node, _)| !is_there(node)).flat_map(|(_, pods)| pods);
        wanted.deletions.extend(stranded.filter(|pod| pod.node.is_none()).cloned());
        wanted.creations = in_drawn_order(self.set, wanted.creations, Name::clone);
        wanted.deletions = in_drawn_order(self.set, wanted.deletions, |pod| node_of(pod));
        wanted
    }

    fn on_node(&self, wanted: &mut Wanted, node: &NodeFit, pods: &[Arc<Pod>], backoff: &mut Backoff) {
        let mut running = Vec::new();
        for pod in pods.iter().filter(|pod| !pod.meta.is_terminating()) {
            match pod.status.phase {
                Phase::Failed => {
                    let generation = self.set.status.observed_generation;
                    match backoff.found((self.set.meta.uid, generation, node.name.clone()), self.now) {
                        Ok(()) => {
                            wanted.ended.push(pod.clone());
                            wanted.deletions.push(pod.clone());
                        }
                        Err(delay) => wanted.look_again = Some(wanted.look_again.map_or(delay, |it| it.min(delay))),
                    }
                }
                Phase::Succeeded => {
                    wanted.ended.push(pod.clone());
                    wanted.deletions.push(pod.clone());
                }
                _ => running.push(pod),
            }
        }
        running.sort_by_cached_key(|pod| age(pod));
        if !self.allows_surge() {
            wanted.deletions.extend(running.into_iter().skip(1).cloned());
        } else if running.is_empty() && node.should_run {
            wanted.creations.push(node.name.clone());
        } else if running.len() > 1 {
            self.prune_surge(wanted, &running);
        }
    }

    /// Two pods may be on one node while the new one is not available and the old one is ready.
    fn prune_surge(&self, wanted: &mut Wanted, running: &[&Arc<Pod>]) {
        let (mut newest, mut older): (Option<&Arc<Pod>>, Option<&Arc<Pod>>) = (None, None);
        for pod in running {
            let is_new = pod.meta.labels.get(REVISION_LABEL) == Some(self.hash);
            let kept = if is_new { &mut newest } else { &mut older };
            if kept.is_none() {
                *kept = Some(pod);
            } else {
                wanted.deletions.push(Arc::clone(pod));
            }
        }
        if let (Some(new), Some(old)) = (newest, older)
            && (!old.is_ready() || self.is_available(new))
        {
            wanted.deletions.push(old.clone());
        }
    }

    /// Source: `AllowsSurge`: what one node would get.
    fn allows_surge(&self) -> bool {
        match self.set.strategy {
            DaemonSetStrategy::RollingUpdate { max_surge, .. } => max_surge.of_rounded_up(1) > 0,
            DaemonSetStrategy::OnDelete => false,
        }
    }

    /// Whether a pod has been ready for long enough.
    pub(super) fn is_available(&self, pod: &Pod) -> bool {
        pod.is_available(self.set.min_ready, self.now)
    }

    /// What the status says; `observed` if the sync has acted on this generation.
    pub(super) fn count(&self, observed: bool) -> DaemonSetStatus {
        let before = &self.set.status;
        let observed_generation = if observed { self.set.meta.generation } else { before.observed_generation };
        let mut status = DaemonSetStatus {
            observed_generation,
            collision_count: before.collision_count,
            ..DaemonSetStatus::default()
        };
        for node in self.nodes {
            let oldest = self.pods.get(&node.name).and_then(|pods| pods.iter().min_by_key(|pod| age(pod)));
            match (node.should_run, oldest) {
                (true, None) => status.desired += 1,
                (true, Some(pod)) => {
                    status.desired += 1;
                    status.current += 1;
                    status.ready += u32::from(pod.is_ready());
                    status.available += u32::from(self.is_available(pod));
                    status.updated += u32::from(is_updated(self.set, self.hash, pod));
                }
                (false, Some(_)) => status.misscheduled += 1,
                (false, None) => {}
            }
        }
        status.unavailable = status.desired - status.available;
        status
    }

    /// The numbers of the strategy for the nodes that should run a pod: surge and unavailable.
    ///
    /// Source: `updatedDesiredNodeCounts`, pkg/controller/daemon/update.go (v1.34.1): both zero would hold every
    /// rollout, so one pod may then be unavailable.
    pub(super) fn limits(&self) -> (u32, u32) {
        let desired = self.nodes.iter().filter(|node| node.should_run).count() as u32;
        let DaemonSetStrategy::RollingUpdate { max_surge, max_unavailable } = self.set.strategy else { return (0, 0) };
        let of = |share: IntOrPercent| share.of_rounded_up(desired);
        match (of(max_surge), of(max_unavailable)) {
            (0, 0) if desired > 0 => (0, 1),
            limits => limits,
        }
    }
}

/// Bound pods first, then older ones (in whole seconds, as the API stores times), then by name.
fn age(pod: &Pod) -> (bool, u64, Name) {
    (pod.node.is_none(), pod.meta.created_at.0 / Span::from_secs(1).0, pod.meta.name.clone())
}
