//! The pods of a ReplicaSet during one sync: their numbers where these suffice, each of them where not.

use std::sync::Arc;

use crate::controllers::pods::next_availability;
use crate::controllers::replica_set::tally::{Count, Tally};
use crate::id::RowId;
use crate::model::{Pod, ReplicaSet, Selector};
use crate::store::View;
use crate::time::{Span, Time};

/// The active pods of a ReplicaSet as they were when its sync began.
pub(super) enum Pods {
    /// Their numbers suffice.
    Counted(Tally),
    Listed(Vec<Arc<Pod>>),
}

impl Pods {
    pub(super) fn len(&self) -> usize {
        match self {
            Pods::Counted(tally) => tally.selected.active as usize,
            Pods::Listed(pods) => pods.len(),
        }
    }

    pub(super) fn tally(&self, set: &ReplicaSet) -> Tally {
        match self {
            Pods::Counted(tally) => *tally,
            Pods::Listed(pods) => tally_of(set, pods.iter()),
        }
    }

    /// How many have been ready for long enough.
    pub(super) fn available(&self, set: &ReplicaSet, now: Time) -> u32 {
        match self {
            // Pods are counted only where a ready one is available at once or none is ready.
            Pods::Counted(tally) => tally.selected.ready,
            Pods::Listed(pods) => pods.iter().filter(|pod| pod.is_available(set.min_ready, now)).count() as u32,
        }
    }

    /// How long until the next ready pod counts as available.
    pub(super) fn next_availability(&self, set: &ReplicaSet, now: Time) -> Option<Span> {
        let Pods::Listed(pods) = self else { return None };
        next_availability(pods, set.min_ready, now)
    }
}

/// Pods that are to be released, with their rows.
pub(super) type Strangers = Vec<(RowId, Arc<Pod>)>;

/// Whether a sync needs no pod itself: none is to be released or deleted, and none to be waited for.
pub(super) fn counts_suffice(set: &ReplicaSet, tally: Tally, may_manage: bool) -> bool {
    let releases = tally.unmatched > 0 && !set.meta.is_terminating();
    let deletes = may_manage && !set.meta.is_terminating() && tally.selected.active > set.replicas;
    let waits = set.min_ready > Span::ZERO && tally.selected.ready > 0;
    !releases && !deletes && !waits
}

/// The active pods that a ReplicaSet manages and selects; and those that it manages and has to release, which are none
/// while it is being deleted.
pub(super) fn list(view: View<'_>, set: &ReplicaSet) -> (Vec<Arc<Pod>>, Strangers) {
    let (mut own, mut strangers) = (Vec::new(), Vec::new());
    for (row, pod) in view.controlled_by::<Pod>(set.meta.uid).filter(|(_, pod)| pod.is_active()) {
        if set.selector.matches(&pod.meta.labels) {
            own.push(pod.clone());
        } else if !set.meta.is_terminating() {
            strangers.push((row, pod.clone()));
        }
    }
    (own, strangers)
}

/// The tally as a look at every pod gives it.
pub(super) fn walked(view: View<'_>, set: &ReplicaSet) -> Tally {
    tally_of(set, view.controlled_by::<Pod>(set.meta.uid).map(|(_, pod)| pod).filter(|pod| pod.is_active()))
}

fn tally_of<'a>(set: &ReplicaSet, pods: impl Iterator<Item = &'a Arc<Pod>>) -> Tally {
    let template = template_of(set);
    let mut tally = Tally::default();
    for pod in pods {
        let count = Count { active: 1, ready: u32::from(pod.is_ready()) };
        tally.add(&pod.meta.labels, count, &set.selector, &template);
    }
    tally
}

/// Matches pods that have all labels of a ReplicaSet's template.
pub(super) fn template_of(set: &ReplicaSet) -> Selector {
    Selector::from_labels(set.template.labels.clone())
}
