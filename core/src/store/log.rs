//! The log of changes that some cursor has yet to pass.

use crate::id::{Revision, RowId};
use crate::model::Kind;

/// One write: the row changed from its version before `revision` to its version at `revision` (either can be absent).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// The write's number.
    pub revision: Revision,
    /// The row's kind.
    pub kind: Kind,
    /// The row.
    pub row: RowId,
    /// Whether it is a kubelet's report of a pod that goes on as it was ([`Pod::goes_on_since`]): found out by who
    /// writes, who has both versions at hand, because most writes are such reports and few readers mind them.
    ///
    /// [`Pod::goes_on_since`]: crate::model::Pod::goes_on_since
    pub is_report: bool,
}

/// The changes not yet passed by all cursors, oldest first; their revisions are consecutive.
#[derive(Default)]
pub(super) struct Log {
    changes: Vec<Change>,
    /// How many changes at the front have been forgotten; they are dropped in bulk.
    forgotten: usize,
}

impl Log {
    pub(super) fn push(&mut self, change: Change) {
        if let Some(newest) = self.live().last() {
            assert!(newest.revision.next() == change.revision, "the log has a gap before {:?}", change.revision);
        }
        self.changes.push(change);
    }

    /// The changes after `from` up to and including `to`. Panics if some of them have been forgotten.
    pub(super) fn between(&self, from: Revision, to: Revision) -> &[Change] {
        let live = self.live();
        let Some(oldest) = live.first() else { return &[] };
        assert!(from.next() >= oldest.revision, "changes after {from:?} have been forgotten");
        // Revisions are consecutive, so a change's place follows from its number.
        let upto = |revision: Revision| (revision.next().0.saturating_sub(oldest.revision.0) as usize).min(live.len());
        let start = upto(from);
        &live[start..upto(to).max(start)]
    }

    /// Takes the oldest change if it is at or before `revision`.
    pub(super) fn pop_through(&mut self, revision: Revision) -> Option<Change> {
        let oldest = *self.live().first()?;
        if oldest.revision > revision {
            return None;
        }
        self.forgotten += 1;
        if self.forgotten > 256 && self.forgotten * 2 > self.changes.len() {
            self.changes.drain(..self.forgotten);
            self.forgotten = 0;
        }
        Some(oldest)
    }

    /// Takes the newest change if it is after `revision`.
    pub(super) fn pop_newest_after(&mut self, revision: Revision) -> Option<Change> {
        let newest = *self.live().last()?;
        if newest.revision <= revision {
            return None;
        }
        self.changes.pop()
    }

    fn live(&self) -> &[Change] {
        &self.changes[self.forgotten..]
    }
}
