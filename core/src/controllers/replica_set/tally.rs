//! How many pods each owner has, kept up to date by every change of a pod, so that a sync need not look at each.
//!
//! Counts are kept per set of labels, because which pods an owner selects is decided when it is asked: all pods of one
//! template share one set of labels, and a selector is tried once per set; nearly all owners have one. Invariant: the
//! counts are those of the view that the changes noted so far have led to; `sync` compares them with a walk in debug
//! builds. Absent on purpose: times of readiness, which matter only to the few ReplicaSets with a `min_ready`.

use crate::id::Uid;
use crate::model::{Kind, Labels, Pod, Selector};
use crate::store::ByHash;

/// Some active pods: how many there are and how many of them are ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Count {
    pub(super) active: u32,
    pub(super) ready: u32,
}

/// What a ReplicaSet has to know of its active pods.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    /// Pods that the selector matches.
    pub(super) selected: Count,
    /// Of those, pods that have all labels of the template.
    pub(super) fully_labeled: u32,
    /// Active pods that the selector does not match: they are to be released.
    pub(super) unmatched: u32,
}

impl Tally {
    /// Takes in some pods with the same labels.
    pub(super) fn add(&mut self, labels: &Labels, count: Count, selector: &Selector, template: &Selector) {
        if !selector.matches(labels) {
            self.unmatched += count.active;
            return;
        }
        self.selected.active += count.active;
        self.selected.ready += count.ready;
        if template.matches(labels) {
            self.fully_labeled += count.active;
        }
    }
}

/// The active pods of all owners of a kind, and what is noted of each owner that is there.
pub(super) struct Tallies<N> {
    kind: Kind,
    by_owner: ByHash<Uid, Owner<N>>,
}

/// An owner: what is asked for with nearly every change of a pod is in one place.
struct Owner<N> {
    /// `None` of one that has pods but is not there.
    noted: Option<N>,
    groups: Vec<(Labels, Count)>,
}

impl<N> Default for Owner<N> {
    fn default() -> Self {
        Owner { noted: None, groups: Vec::new() }
    }
}

impl<N> Tallies<N> {
    /// No pods yet, of owners of this kind.
    pub(super) fn of_kind(kind: Kind) -> Tallies<N> {
        Tallies { kind, by_owner: ByHash::default() }
    }

    /// What is noted of an owner; `None` if it is not there.
    pub(super) fn noted(&self, owner: Uid) -> Option<&N> {
        self.by_owner.get(&owner)?.noted.as_ref()
    }

    /// Notes something of an owner that is there, or that it is not.
    pub(super) fn note_owner(&mut self, owner: Uid, noted: Option<N>) {
        self.by_owner.get_or_default(&owner).noted = noted;
        self.settle(owner);
    }

    /// A pod has become another; `None` is absence. Returns whether it counts otherwise than before.
    pub(super) fn note(&mut self, old: Option<&Pod>, new: Option<&Pod>) -> bool {
        let counts = |pod: &Pod| (pod.is_active(), pod.is_ready());
        // Owner and labels are in the meta, which most versions of a pod share.
        if old.zip(new).is_some_and(|(old, new)| old.meta.same(&new.meta) && counts(old) == counts(new)) {
            return false;
        }
        let (old, new) = (old.and_then(|pod| self.standing(pod)), new.and_then(|pod| self.standing(pod)));
        if old == new {
            return false;
        }
        if let Some((owner, labels, is_ready)) = old {
            self.take_out(owner, labels, is_ready);
        }
        if let Some((owner, labels, is_ready)) = new {
            let Owner { groups, .. } = self.by_owner.get_or_default(&owner);
            let place = place_of(labels, groups).unwrap_or_else(|| {
                groups.reserve_exact(1);
                groups.push((labels.clone(), Count::default()));
                groups.len() - 1
            });
            let (_, count) = &mut groups[place];
            count.active += 1;
            count.ready += u32::from(is_ready);
        }
        true
    }

    /// The counts of an owner with a selector and a template's labels.
    pub(super) fn of(&self, owner: Uid, selector: &Selector, template: &Selector) -> Tally {
        let mut tally = Tally::default();
        for (labels, count) in self.by_owner.get(&owner).into_iter().flat_map(|it| &it.groups) {
            tally.add(labels, *count, selector, template);
        }
        tally
    }

    /// Where a pod is counted and whether as a ready one; `None` if nowhere.
    fn standing<'a>(&self, pod: &'a Pod) -> Option<(Uid, &'a Labels, bool)> {
        let owner = pod.meta.controller().filter(|owner| owner.kind == self.kind && pod.is_active())?;
        Some((owner.uid, &pod.meta.labels, pod.is_ready()))
    }

    fn take_out(&mut self, owner: Uid, labels: &Labels, is_ready: bool) {
        let Owner { groups, .. } = self.by_owner.get_mut(&owner).expect("an owner of a noted pod is known");
        let place = place_of(labels, groups).expect("the labels of a noted pod are there");
        let (_, count) = &mut groups[place];
        assert!(count.active > 0 && count.ready >= u32::from(is_ready), "a pod leaves that never came: {count:?}");
        count.active -= 1;
        count.ready -= u32::from(is_ready);
        if count.active == 0 {
            groups.swap_remove(place);
        }
        if groups.is_empty() {
            *groups = Vec::new();
            self.settle(owner);
        }
    }

    /// An owner without pods that is not there is forgotten.
    fn settle(&mut self, owner: Uid) {
        if self.by_owner.get(&owner).is_some_and(|it| it.noted.is_none() && it.groups.is_empty()) {
            self.by_owner.remove(&owner);
        }
    }
}

fn place_of(labels: &Labels, groups: &[(Labels, Count)]) -> Option<usize> {
    groups.iter().position(|(of_group, _)| of_group == labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{Draws, Purpose, below};
    use crate::model::{ConditionKind, Meta, OwnerReference, Phase, Status3};
    use crate::time::Time;

    const OWNERS: u64 = 3;
    const SLOTS: usize = 20;

    fn labels(choice: u64) -> Labels {
        match choice {
            0 => Labels::new([("app", "web"), ("hash", "1")]),
            1 => Labels::new([("app", "web")]),
            2 => Labels::new([("app", "debug")]),
            _ => Labels::default(),
        }
    }

    /// Any pod: owned or not, with any labels, ready or not, finished or being deleted now and then.
    fn any_pod(draws: &mut Draws) -> Pod {
        let mut below = |bound| below(draws.next().expect("draws do not end"), bound);
        let mut pod = Pod { meta: Meta::named("default", "pod").into(), ..Pod::default() };
        pod.meta.labels = labels(below(4));
        let uid = Uid::new(u128::from(below(OWNERS)));
        let owner = OwnerReference {
            kind: Kind::ReplicaSet,
            name: "web".into(),
            uid,
            controller: true,
            block_owner_deletion: true,
        };
        pod.meta.owners = if below(5) > 0 { [owner].into() } else { [].into() };
        let ready = Status3::from(below(2) == 0);
        pod.status.conditions.set(ConditionKind::Ready, ready, "", "", Time::ZERO);
        pod.status.phase = if below(6) == 0 { Phase::Failed } else { Phase::Running };
        pod.meta.deleted_at = (below(6) == 0).then_some(Time::ZERO);
        pod
    }

    fn walked(pods: &[Option<Pod>], owner: Uid, selector: &Selector, template: &Selector) -> Tally {
        let mut tally = Tally::default();
        let own = pods.iter().flatten().filter(|pod| pod.meta.controller().is_some_and(|it| it.uid == owner));
        for pod in own.filter(|pod| pod.is_active()) {
            let count = Count { active: 1, ready: u32::from(pod.is_ready()) };
            tally.add(&pod.meta.labels, count, selector, template);
        }
        tally
    }

    #[test]
    fn counts_kept_by_changes_are_those_of_a_walk_over_all_pods() {
        let (selector, template) = (Selector::from_labels(labels(1)), Selector::from_labels(labels(0)));
        let mut draws = Draws::starting_at(7, Purpose::NameSuffix, 0, 0);
        let (mut pods, mut tallies) = (vec![None; SLOTS], Tallies::<()>::of_kind(Kind::ReplicaSet));
        let mut most = Tally::default();
        for step in 0..3_000 {
            let new = (step % 4 != 0).then(|| any_pod(&mut draws));
            let slot = &mut pods[below(draws.next().expect("draws do not end"), SLOTS as u64) as usize];
            tallies.note(slot.as_ref(), new.as_ref());
            *slot = new;
            for owner in (0..OWNERS).map(|owner| Uid::new(u128::from(owner))) {
                let tally = tallies.of(owner, &selector, &template);
                assert_eq!(tally, walked(&pods, owner, &selector, &template), "step {step}");
                most.unmatched = most.unmatched.max(tally.unmatched);
                most.fully_labeled = most.fully_labeled.max(tally.fully_labeled);
            }
        }
        assert!(most.unmatched > 1 && most.fully_labeled > 1, "the draws reach every count: {most:?}");
        pods.iter().for_each(|pod| _ = tallies.note(pod.as_ref(), None));
        assert!(tallies.by_owner.is_empty(), "nothing is remembered of owners without pods");
    }
}
