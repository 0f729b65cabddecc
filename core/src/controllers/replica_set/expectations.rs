//! What a ReplicaSet has asked for and its watch has yet to show.
//!
//! Without them a sync that sees stale pods would create or delete the same pods twice.
//! Source: `UIDTrackingControllerExpectations`, pkg/controller/controller_utils.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet};

use crate::controllers::NamespacedName;
use crate::id::Uid;
use crate::time::{Span, Time};

/// After this time expectations count as fulfilled whatever the watch has shown.
const TIMEOUT: Span = Span::from_secs(300);

/// The expectations of all ReplicaSets.
#[derive(Default)]
pub(super) struct Expectations {
    by_set: BTreeMap<NamespacedName, Expectation>,
}

struct Expectation {
    creations: usize,
    deletions: BTreeSet<Uid>,
    since: Time,
}

impl Expectations {
    /// Whether a ReplicaSet may act on the pods that it sees.
    pub(super) fn satisfied(&self, set: &NamespacedName, now: Time) -> bool {
        self.by_set.get(set).is_none_or(|expected| {
            let fulfilled = expected.creations == 0 && expected.deletions.is_empty();
            fulfilled || now.since(expected.since) > TIMEOUT
        })
    }

    /// So many pods are about to be created.
    pub(super) fn expect_creations(&mut self, set: &NamespacedName, creations: usize, now: Time) {
        self.by_set.insert(set.clone(), Expectation { creations, deletions: BTreeSet::new(), since: now });
    }

    /// These pods are about to be deleted.
    pub(super) fn expect_deletions(&mut self, set: &NamespacedName, deletions: BTreeSet<Uid>, now: Time) {
        self.by_set.insert(set.clone(), Expectation { creations: 0, deletions, since: now });
    }

    /// So many creations have been seen, or will never be.
    pub(super) fn created(&mut self, set: &NamespacedName, count: usize) {
        if let Some(expected) = self.by_set.get_mut(set) {
            expected.creations = expected.creations.saturating_sub(count);
        }
    }

    /// A deletion has been seen, or will never be.
    pub(super) fn deleted(&mut self, set: &NamespacedName, pod: Uid) {
        if let Some(expected) = self.by_set.get_mut(set) {
            expected.deletions.remove(&pod);
        }
    }

    /// The ReplicaSet is gone.
    pub(super) fn forget(&mut self, set: &NamespacedName) {
        self.by_set.remove(set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_acts_again_when_all_was_seen_or_after_five_minutes() {
        let web = NamespacedName { namespace: "default".into(), name: "web".into() };
        let mut expectations = Expectations::default();
        assert!(expectations.satisfied(&web, Time::ZERO), "nothing was asked for");
        expectations.expect_creations(&web, 3, Time::ZERO);
        expectations.created(&web, 2);
        assert!(!expectations.satisfied(&web, Time::from_secs(300)));
        assert!(
            expectations.satisfied(&web, Time::from_millis(300_001)),
            "a lost event holds it up no longer than that"
        );
        expectations.created(&web, 1);
        assert!(expectations.satisfied(&web, Time::ZERO));

        expectations.expect_deletions(&web, [Uid(1), Uid(2)].into(), Time::ZERO);
        expectations.deleted(&web, Uid(1));
        expectations.deleted(&web, Uid(1));
        expectations.deleted(&web, Uid(3));
        assert!(
            !expectations.satisfied(&web, Time::ZERO),
            "a deletion counts once, and only the one that was asked for"
        );
        expectations.deleted(&web, Uid(2));
        assert!(expectations.satisfied(&web, Time::ZERO));
    }
}
