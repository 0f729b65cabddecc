//! The pods of each budget, counted as they change, so that a sync looks only at pods whose eviction was granted.
//!
//! Invariant: a tally says what a look at every pod of the namespace would say; `sync` compares the two in debug
//! builds.

use std::collections::BTreeMap;

use crate::id::{RowId, Uid};
use crate::model::{OwnerReference, Pod, PodDisruptionBudget};
use crate::store::View;

/// The pods that one budget guards.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    /// How many there are.
    pub(super) pods: u32,
    /// Of those, ready ones that are not being deleted.
    pub(super) healthy: u32,
    /// Who manages them, and how many of them each.
    managers: BTreeMap<Uid, (OwnerReference, u32)>,
    /// How many are managed by somebody of a kind that is not modelled.
    of_strangers: u32,
}

/// The tallies of all budgets.
#[derive(Default)]
pub(super) struct Tallies {
    by_budget: BTreeMap<RowId, Tally>,
}

impl Tally {
    /// The tally as a look at every pod gives it.
    pub(super) fn walked(view: View<'_>, budget: &PodDisruptionBudget) -> Tally {
        let mut tally = Tally::default();
        for (_, pod) in guarded(view, budget) {
            tally.add(pod);
        }
        tally
    }

    /// Those who manage the pods.
    pub(super) fn managers(&self) -> impl Iterator<Item = &OwnerReference> {
        self.managers.values().map(|(owner, _)| owner)
    }

    /// How many of the pods nobody manages.
    pub(super) fn unmanaged(&self) -> u32 {
        self.pods - self.of_strangers - self.managers.values().map(|(_, count)| count).sum::<u32>()
    }

    /// Whether some of the pods are managed by somebody of a kind that is not modelled.
    pub(super) fn has_strangers(&self) -> bool {
        self.of_strangers > 0
    }

    fn add(&mut self, pod: &Pod) {
        self.pods += 1;
        self.healthy += u32::from(is_healthy(pod));
        if let Some(owner) = pod.meta.controller() {
            self.managers.entry(owner.uid).or_insert_with(|| (owner.clone(), 0)).1 += 1;
        } else {
            self.of_strangers += u32::from(pod.meta.is_managed());
        }
    }

    fn take(&mut self, pod: &Pod) {
        self.pods -= 1;
        self.healthy -= u32::from(is_healthy(pod));
        let Some(owner) = pod.meta.controller() else {
            self.of_strangers -= u32::from(pod.meta.is_managed());
            return;
        };
        let (_, count) = self.managers.get_mut(&owner.uid).expect("the manager of a counted pod is known");
        *count -= 1;
        if *count == 0 {
            self.managers.remove(&owner.uid);
        }
    }
}

impl Tallies {
    /// A budget has come or changed: its pods are counted anew if it has another selector; `None` is its end.
    pub(super) fn note_budget(
        &mut self,
        view: View<'_>,
        row: RowId,
        old: Option<&PodDisruptionBudget>,
        new: Option<&PodDisruptionBudget>,
    ) {
        match new {
            None => drop(self.by_budget.remove(&row)),
            Some(new) if old.is_some_and(|old| old.selector == new.selector && old.meta.uid == new.meta.uid) => {}
            Some(new) => drop(self.by_budget.insert(row, Tally::walked(view, new))),
        }
    }

    /// A pod has become another in the eyes of a budget; `None` is absence.
    pub(super) fn note_pod(&mut self, row: RowId, budget: &PodDisruptionBudget, old: Option<&Pod>, new: Option<&Pod>) {
        let guarded = |pod: &&Pod| budget.guards(&pod.meta.labels);
        let tally = self.by_budget.get_mut(&row).expect("a stored budget has a tally");
        // Added first, so that a manager of one pod is not forgotten and remembered.
        new.filter(guarded).into_iter().for_each(|pod| tally.add(pod));
        old.filter(guarded).into_iter().for_each(|pod| tally.take(pod));
    }

    /// The tally of a stored budget.
    pub(super) fn of(&self, row: RowId) -> &Tally {
        self.by_budget.get(&row).expect("a stored budget has a tally")
    }
}

/// The pods that a budget guards, by name.
pub(super) fn guarded<'a>(
    view: View<'a>,
    budget: &'a PodDisruptionBudget,
) -> impl Iterator<Item = (RowId, &'a Pod)> + 'a {
    let all = view.in_namespace::<Pod>(&budget.meta.namespace);
    all.filter(|(_, pod)| budget.guards(&pod.meta.labels)).map(|(row, pod)| (row, &**pod))
}

/// Whether a pod counts as healthy, unless its eviction was granted.
pub(super) fn is_healthy(pod: &Pod) -> bool {
    pod.is_ready() && !pod.meta.is_terminating()
}
