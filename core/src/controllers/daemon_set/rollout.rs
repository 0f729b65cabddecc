//! The rolling update of a DaemonSet: which old pods go now, and which nodes get a second pod.
//!
//! Source: `rollingUpdate`, pkg/controller/daemon/update.go (v1.34.1).

use std::sync::Arc;

use crate::controllers::daemon_set::manage::{Situation, Wanted, in_drawn_order, is_updated};
use crate::id::Name;
use crate::model::Pod;

/// The pods of a node that are not being deleted: of the newest template and of another.
struct OnNode<'a> {
    new: Option<&'a Arc<Pod>>,
    old: Option<&'a Arc<Pod>>,
}

impl Situation<'_> {
    /// Decides on one step.
    pub(super) fn roll(&self) -> Wanted {
        let (surge, unavailable) = self.limits();
        if surge > 0 { self.roll_with_surge(surge) } else { self.roll_in_place(unavailable) }
    }

    /// Old pods go as long as no more than so many nodes are without an available pod. Old pods that are not available
    /// go at once.
    fn roll_in_place(&self, max_unavailable: u32) -> Wanted {
        let (mut unavailable, mut replaced, mut candidates) = (0, Vec::new(), Vec::new());
        for pods in self.node_pods() {
            match self.split(pods) {
                None | Some(OnNode { new: None, old: None }) | Some(OnNode { new: Some(_), old: Some(_) }) => {
                    unavailable += 1;
                }
                Some(OnNode { new: Some(new), old: None }) => unavailable += u32::from(!self.is_available(new)),
                Some(OnNode { new: None, old: Some(old) }) if self.is_available(old) => candidates.push(old.clone()),
                Some(OnNode { new: None, old: Some(old) }) => {
                    replaced.push(old.clone());
                    unavailable += 1;
                }
            }
        }
        let room = max_unavailable.saturating_sub(unavailable) as usize;
        let chosen = in_drawn_order(self.set, candidates, |pod| super::manage::node_of(pod));
        replaced.extend(chosen.into_iter().take(room));
        Wanted { deletions: replaced, ..Wanted::default() }
    }

    /// So many nodes get a second pod, whose node loses the old one when the new one is available. As long as an old
    /// pod is on a node that is gone nothing is done: in Kubernetes the whole step fails.
    fn roll_with_surge(&self, max_surge: u32) -> Wanted {
        let mut wanted = Wanted::default();
        let (mut surging, mut available) = (0, 0);
        let (mut candidates, mut not_meant) = (Vec::new(), Vec::new());
        for (node, pods) in self.pods {
            let Some(OnNode { new, old }) = self.split(Some(pods)) else {
                surging += 1;
                continue;
            };
            available += u32::from(old.or(new).is_some_and(|pod| self.is_available(pod)));
            let Some(old) = old else { continue };
            match new {
                Some(new) if self.is_available(new) => wanted.deletions.push(old.clone()),
                Some(_) => surging += 1,
                None => match (self.should_run(node), self.is_available(old)) {
                    (None, _) => return Wanted { misses_node: true, ..Wanted::default() },
                    (Some(false), false) => wanted.deletions.push(old.clone()),
                    (Some(false), true) => not_meant.push(old.clone()),
                    (Some(true), false) => wanted.creations.push(node.clone()),
                    (Some(true), true) => candidates.push(node.clone()),
                },
            }
        }
        let desired = self.nodes.iter().filter(|node| node.should_run).count() as u32;
        // The old pod of a node that is no longer meant stays until another node makes up for it.
        let spare = available.saturating_sub(desired) as usize;
        let not_meant = in_drawn_order(self.set, not_meant, |pod| super::manage::node_of(pod));
        wanted.deletions.extend(not_meant.into_iter().take(spare));
        let room = max_surge.saturating_sub(surging) as usize;
        wanted.creations.extend(in_drawn_order(self.set, candidates, Name::clone).into_iter().take(room));
        wanted
    }

    /// The pods of each node that has or should have one.
    fn node_pods(&self) -> impl Iterator<Item = Option<&Vec<Arc<Pod>>>> {
        let empty = self.nodes.iter().filter(|node| node.should_run && !self.pods.contains_key(&node.name));
        self.pods.values().map(Some).chain(empty.map(|_| None))
    }

    /// Source: `findUpdatedPodsOnNode`: `None` if there are several of one sort, which [`Situation::manage`] prunes
    /// first.
    fn split<'a>(&self, pods: Option<&'a Vec<Arc<Pod>>>) -> Option<OnNode<'a>> {
        let mut on_node = OnNode { new: None, old: None };
        for pod in pods.into_iter().flatten().filter(|pod| !pod.meta.is_terminating()) {
            let updated = is_updated(self.set, self.hash, pod);
            let place = if updated { &mut on_node.new } else { &mut on_node.old };
            if place.replace(pod).is_some() {
                return None;
            }
        }
        Some(on_node)
    }

    /// Whether a node should run a pod; `None` if there is no such node.
    fn should_run(&self, name: &Name) -> Option<bool> {
        let place = self.nodes.binary_search_by(|node| node.name.cmp(name)).ok()?;
        Some(self.nodes[place].should_run)
    }
}
