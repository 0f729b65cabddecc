//! What a controller has asked for and its watch has yet to show.
//!
//! Without them a sync that sees stale pods would create or delete the same pods twice. Deletions are awaited one by
//! one, as the ReplicaSet controller does, or by number alone, as the DaemonSet and Job controllers do. Source:
//! `ControllerExpectations`, `UIDTrackingControllerExpectations`, pkg/controller/controller_utils.go (v1.34.1).

use std::collections::BTreeSet;

use crate::controllers::NamespacedName;
use crate::id::Uid;
use crate::store::ByHash;
use crate::store::{Change, Stored, View};
use crate::time::{Span, Time};

/// After this time expectations count as fulfilled whatever the watch has shown.
const TIMEOUT: Span = Span::from_secs(300);

/// The expectations of all objects of one controller.
#[derive(Default)]
pub(crate) struct Expectations {
    /// Of those of whom something is awaited.
    by_owner: ByHash<NamespacedName, Expectation>,
    /// A time at or before which the oldest of them began.
    since: Time,
}

struct Expectation {
    creations: usize,
    deletions: Deletions,
    since: Time,
}

/// The deletions that are awaited.
pub(crate) enum Deletions {
    /// Of these pods: each counts once, and no other pod's counts.
    Of(BTreeSet<Uid>),
    /// So many, of whichever pods.
    Number(usize),
}

impl Expectations {
    /// Whether the owner may act on the pods that it sees.
    pub(crate) fn satisfied(&self, owner: &NamespacedName, now: Time) -> bool {
        self.by_owner.get(owner).is_none_or(|expected| now.since(expected.since) > TIMEOUT)
    }

    /// Whether something that was asked for has yet to be seen.
    pub(crate) fn is_awaiting(&self, owner: &NamespacedName) -> bool {
        self.by_owner.get(owner).is_some()
    }

    /// Whether anybody may have waited for too long. If not, whoever awaits something is not satisfied.
    pub(crate) fn may_have_timed_out(&self, now: Time) -> bool {
        !self.by_owner.is_empty() && now.since(self.since) > TIMEOUT
    }

    /// So many pods are about to be created and these deleted; what was awaited before is forgotten.
    pub(crate) fn expect(&mut self, owner: &NamespacedName, creations: usize, deletions: Deletions, now: Time) {
        if self.by_owner.is_empty() {
            self.since = now;
        }
        self.by_owner.insert(owner, Expectation { creations, deletions, since: now });
        self.change(owner, |_| {});
    }

    /// So many creations have been seen, or will never be.
    pub(crate) fn created(&mut self, owner: &NamespacedName, count: usize) {
        self.change(owner, |expected| expected.creations = expected.creations.saturating_sub(count));
    }

    /// A deletion has been seen, or will never be.
    pub(crate) fn deleted(&mut self, owner: &NamespacedName, pod: Uid) {
        self.change(owner, |expected| match &mut expected.deletions {
            Deletions::Of(pods) => _ = pods.remove(&pod),
            Deletions::Number(number) => *number = number.saturating_sub(1),
        });
    }

    fn change(&mut self, owner: &NamespacedName, change: impl FnOnce(&mut Expectation)) {
        let Some(expected) = self.by_owner.get_mut(owner) else { return };
        change(expected);
        if expected.creations == 0 && expected.deletions.none_left() {
            self.by_owner.remove(owner);
        }
    }

    /// The key of an owner that has changed; what was awaited of one that is gone is forgotten.
    pub(crate) fn of_changed<T: Stored>(&mut self, view: View<'_>, change: &Change) -> Option<NamespacedName> {
        let (old, new) = view.sides::<T>(change);
        let key = NamespacedName::of_meta(new.or(old)?.meta());
        if new.is_none() {
            self.forget(&key);
        }
        Some(key)
    }

    /// The owner is gone.
    pub(crate) fn forget(&mut self, owner: &NamespacedName) {
        self.by_owner.remove(owner);
    }
}

impl Deletions {
    /// No deletion is awaited.
    pub(crate) const NONE: Deletions = Deletions::Number(0);

    fn none_left(&self) -> bool {
        match self {
            Deletions::Of(pods) => pods.is_empty(),
            Deletions::Number(number) => *number == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> NamespacedName {
        NamespacedName::new("default".into(), "web".into())
    }

    #[test]
    fn an_owner_acts_again_when_all_was_seen_or_after_five_minutes() {
        let web = web();
        let mut expectations = Expectations::default();
        assert!(expectations.satisfied(&web, Time::ZERO), "nothing was asked for");
        expectations.expect(&web, 3, Deletions::NONE, Time::ZERO);
        expectations.created(&web, 2);
        assert!(!expectations.satisfied(&web, Time::from_secs(300)));
        assert!(
            expectations.satisfied(&web, Time::from_millis(300_001)),
            "a lost event holds it up no longer than that"
        );
        expectations.created(&web, 1);
        assert!(expectations.satisfied(&web, Time::ZERO));

        expectations.expect(&web, 0, Deletions::Of([Uid::new(1), Uid::new(2)].into()), Time::ZERO);
        expectations.deleted(&web, Uid::new(1));
        expectations.deleted(&web, Uid::new(1));
        expectations.deleted(&web, Uid::new(3));
        assert!(
            !expectations.satisfied(&web, Time::ZERO),
            "a deletion counts once, and only the one that was asked for"
        );
        expectations.deleted(&web, Uid::new(2));
        assert!(expectations.satisfied(&web, Time::ZERO));
    }

    #[test]
    fn any_number_of_deletions_is_awaited_and_none_at_once_is_fulfilled() {
        for count in [0, 1, 2, 5] {
            let web = web();
            let mut expectations = Expectations::default();
            let pods: BTreeSet<Uid> = (0..count).map(Uid::new).collect();
            expectations.expect(&web, 0, Deletions::Of(pods.clone()), Time::ZERO);
            for (seen, pod) in pods.into_iter().enumerate() {
                assert!(!expectations.satisfied(&web, Time::ZERO), "{seen} of {count} were seen");
                expectations.deleted(&web, pod);
            }
            assert!(expectations.satisfied(&web, Time::ZERO), "{count}");
            assert!(!expectations.is_awaiting(&web));
        }
    }

    #[test]
    fn deletions_by_number_are_awaited_together_with_creations() {
        let web = web();
        let mut expectations = Expectations::default();
        expectations.expect(&web, 1, Deletions::Number(2), Time::ZERO);
        expectations.deleted(&web, Uid::new(1));
        expectations.deleted(&web, Uid::new(1));
        assert!(!expectations.satisfied(&web, Time::ZERO), "a creation is still awaited");
        expectations.created(&web, 5);
        assert!(expectations.satisfied(&web, Time::ZERO));
        expectations.expect(&web, 0, Deletions::Number(1), Time::ZERO);
        assert!(!expectations.satisfied(&web, Time::ZERO), "what was seen too often before does not count");
    }
}
