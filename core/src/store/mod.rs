//! The versioned store: every object of the cluster, and what it was at every revision that somebody still reads at.
//!
//! One write is one [`Revision`]. A component never sees the newest state behind its own back: it holds a *cursor*, the
//! revision up to which its watch has been delivered, and reads through a [`View`] at that cursor, as an informer's
//! cache does. Rows keep the older versions that some cursor still needs; when all cursors have passed a change, the
//! change leaves the log and with it the versions that it replaced.
//!
//! Invariants: revisions strictly increase; a cursor never moves backwards; `digest` is the sum of the hashes of all
//! present rows. Absent on purpose: admission, defaulting and who may write what (see [`crate::api`]), and leases,
//! whose renewals change nothing but a time (see [`crate::api::leases`]).

mod by_hash;
pub(crate) mod hash_index;
mod index;
mod log;
mod table;
mod tables;
mod view;

use std::sync::Arc;

pub(crate) use by_hash::ByHash;
pub use index::IndexKey;
pub use log::Change;
pub use table::Table;
pub(crate) use table::name_hash;
pub use tables::Stored;
pub use view::View;

use crate::digest::{Digest, StableHasher};
use crate::id::{ProcId, Revision, RowId};
use crate::model::{Kind, Object, Resource, with_kind};
use log::Log;
use tables::Tables;

/// All tables, the log of changes that somebody has yet to read, and the cursors of the readers.
#[derive(Default)]
pub struct Store {
    tables: Tables,
    head: Revision,
    log: Log,
    /// Of few readers.
    cursors: Vec<(ProcId, Revision)>,
    digest: Digest,
    /// Writes of each kind so far, undone ones counted twice; for observers that look again only if something changed.
    writes: [u64; Kind::SLOTS],
}

impl Store {
    /// An empty store.
    pub fn new() -> Store {
        Store::default()
    }

    /// The revision of the newest write.
    pub fn head(&self) -> Revision {
        self.head
    }

    /// The order-free sum of the hashes of all rows.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// A number that differs from an earlier answer if and only if an object of the kind has been written since.
    pub fn writes(&self, kind: Kind) -> u64 {
        self.writes[kind as usize]
    }

    /// The store as it is now; for the API server itself and for observers, not for components.
    pub fn newest(&self) -> View<'_> {
        View::new(self, self.head)
    }

    /// The store as a reader sees it. Panics if the reader has no cursor.
    pub fn view_of(&self, reader: ProcId) -> View<'_> {
        let at = self.cursor(reader).unwrap_or_else(|| panic!("{reader} reads without a cursor"));
        View::new(self, at)
    }

    /// Gives a reader a cursor at the newest revision (it has just listed everything).
    pub fn open_cursor(&mut self, reader: ProcId) -> Revision {
        self.cursors.retain(|(other, _)| *other != reader);
        self.cursors.push((reader, self.head));
        self.head
    }

    /// Takes a reader's cursor away: it has crashed or stopped.
    pub fn close_cursor(&mut self, reader: ProcId) {
        self.cursors.retain(|(other, _)| *other != reader);
        self.trim();
    }

    /// A reader's cursor, if it has one.
    pub fn cursor(&self, reader: ProcId) -> Option<Revision> {
        self.cursors.iter().find(|(other, _)| *other == reader).map(|(_, cursor)| *cursor)
    }

    /// Moves a reader's cursor forward and returns where it was; `None` if the revision, being at or before the cursor,
    /// is no news, or if the reader has no cursor.
    ///
    /// The changes that it passed ([`Store::changes_between`]) and the versions before them, through [`View::new`] at
    /// `change.revision − 1`, stay readable until the next call of [`Store::trim`], which the machine makes when the
    /// reader has handled them.
    pub fn advance_cursor(&mut self, reader: ProcId, to: Revision) -> Option<Revision> {
        assert!(to <= self.head, "{reader} is told of revision {to:?}, but the newest is {:?}", self.head);
        let (_, cursor) = self.cursors.iter_mut().find(|(other, cursor)| *other == reader && to > *cursor)?;
        Some(std::mem::replace(cursor, to))
    }

    /// Forgets the changes that every cursor has passed, and the versions that they replaced.
    pub fn trim(&mut self) {
        let passed = self.cursors.iter().map(|(_, cursor)| *cursor).min().unwrap_or(self.head);
        while let Some(change) = self.log.pop_through(passed) {
            with_kind!(change.kind, T => T::table_mut(self).forget_before(change.row, change.revision));
        }
    }

    /// Writes a new object. The caller has checked that its key is free and has set its uid.
    pub fn insert<T: Stored>(&mut self, object: T) -> (RowId, Revision) {
        let (revision, hash) = (self.head.next(), row_hash(&object));
        self.digest.add(hash);
        let row = T::table_mut(self).insert(Arc::new(object), hash, revision);
        self.commit(Change { revision, kind: T::KIND, row, is_report: false });
        (row, revision)
    }

    /// Writes a new version of an object. Panics if the row is not present.
    pub fn replace<T: Stored>(&mut self, row: RowId, object: T) -> Revision {
        self.replace_shared(row, Arc::new(object))
    }

    /// As [`Store::replace`], for a version that has its place in memory already.
    pub fn replace_shared<T: Stored>(&mut self, row: RowId, version: Arc<T>) -> Revision {
        let (revision, hash) = (self.head.next(), row_hash(&*version));
        let before = T::table_mut(self).replace(row, Some((version, hash)), revision);
        self.digest.add(hash);
        self.digest.remove(before.hash);
        self.commit(Change { revision, kind: T::KIND, row, is_report: before.is_report });
        revision
    }

    /// Removes an object. Panics if the row is not present.
    pub fn remove<T: Stored>(&mut self, row: RowId) -> Revision {
        let revision = self.head.next();
        let before = T::table_mut(self).replace(row, None, revision);
        self.digest.remove(before.hash);
        self.commit(Change { revision, kind: T::KIND, row, is_report: false });
        revision
    }

    /// The changes after one revision up to another, oldest first, as far as the log still has them.
    pub fn changes_between(&self, after: Revision, to: Revision) -> &[Change] {
        self.log.between(after, to)
    }

    /// Undoes every write after `revision`: an API server lost what its disk did not have yet. No cursor may have
    /// passed that revision (watchers are told of durable writes only).
    pub fn roll_back_to(&mut self, revision: Revision) {
        for (reader, cursor) in &self.cursors {
            assert!(*cursor <= revision, "{reader} has already read {cursor:?}, which is being undone");
        }
        while let Some(change) = self.log.pop_newest_after(revision) {
            self.writes[change.kind as usize] += 1;
            with_kind!(change.kind, T => {
                let (undone, restored) = T::table_mut(self).undo(change.row, change.revision);
                self.digest.remove(undone.unwrap_or(0));
                self.digest.add(restored.unwrap_or(0));
            });
        }
        self.head = self.head.min(revision);
    }

    /// A row's object of any kind as of a revision.
    pub fn object_at(&self, kind: Kind, row: RowId, at: Revision) -> Option<Object> {
        let view = View::new(self, at);
        with_kind!(kind, T => view.get::<T>(row).cloned().map(T::into_object))
    }

    fn commit(&mut self, change: Change) {
        let Change { revision, kind, .. } = change;
        assert!(revision > self.head, "revision {revision:?} does not follow {:?}", self.head);
        self.head = revision;
        self.writes[kind as usize] += 1;
        self.log.push(change);
    }
}

/// A row's share of the digest.
fn row_hash<T: Resource>(object: &T) -> u64 {
    StableHasher::hash_one(&(T::KIND, object))
}

#[cfg(test)]
mod tests;
