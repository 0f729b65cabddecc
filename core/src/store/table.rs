//! One kind's rows with the versions that somebody can still read, and the indexes over them.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::id::{Name, Revision, RowId};
use crate::model::Resource;
use crate::store::IndexKey;

/// A row's state from one revision on; `None` is absence.
struct Version<T> {
    since: Revision,
    object: Option<Arc<T>>,
}

struct Row<T> {
    generation: u32,
    newest: Version<T>,
    /// The versions before, oldest first; empty for most rows most of the time.
    older: Vec<Version<T>>,
}

/// One kind's rows.
pub struct Table<T> {
    rows: Vec<Row<T>>,
    free: Vec<u32>,
    by_name: BTreeSet<(Name, Name, u32)>,
    by_key: BTreeSet<(IndexKey, u32)>,
    present: u32,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { rows: Vec::new(), free: Vec::new(), by_name: BTreeSet::new(), by_key: BTreeSet::new(), present: 0 }
    }
}

impl<T: Resource> Table<T> {
    /// How many objects there are at the newest revision.
    pub fn len(&self) -> u32 {
        self.present
    }

    /// Whether there are no objects at the newest revision.
    pub fn is_empty(&self) -> bool {
        self.present == 0
    }

    /// The object of a row as of a revision; `None` if it was absent or the slot belongs to another row.
    pub(super) fn at(&self, row: RowId, at: Revision) -> Option<&Arc<T>> {
        let slot = self.rows.get(row.index as usize)?;
        if slot.generation != row.generation {
            return None;
        }
        slot.version_at(at)?.object.as_ref()
    }

    /// The revision at which the version seen at `at` was written.
    pub(super) fn written_at(&self, row: RowId, at: Revision) -> Option<Revision> {
        let slot = self.rows.get(row.index as usize)?;
        if slot.generation != row.generation {
            return None;
        }
        slot.version_at(at).map(|version| version.since)
    }

    /// The row of a name as of a revision.
    pub(super) fn find(&self, namespace: &Name, name: &Name, at: Revision) -> Option<(RowId, &Arc<T>)> {
        let from = (namespace.clone(), name.clone(), 0);
        let to = (namespace.clone(), name.clone(), u32::MAX);
        self.by_name.range(from..=to).find_map(|(_, _, index)| self.seen(*index, at))
    }

    /// All rows as of a revision, by namespace and name.
    pub(super) fn iter(&self, at: Revision) -> impl Iterator<Item = (RowId, &Arc<T>)> {
        self.by_name.iter().filter_map(move |(_, _, index)| self.seen(*index, at))
    }

    /// All rows of a namespace as of a revision, by name.
    pub(super) fn in_namespace<'a>(
        &'a self,
        namespace: &Name,
        at: Revision,
    ) -> impl Iterator<Item = (RowId, &'a Arc<T>)> + use<'a, T> {
        let (wanted, from) = (namespace.clone(), (namespace.clone(), Name::default(), 0));
        self.by_name
            .range(from..)
            .take_while(move |(namespace, _, _)| *namespace == wanted)
            .filter_map(move |(_, _, index)| self.seen(*index, at))
    }

    /// All rows under a secondary key as of a revision, by slot.
    pub(super) fn under(&self, key: IndexKey, at: Revision) -> impl Iterator<Item = (RowId, &Arc<T>)> {
        let (from, to) = ((key.clone(), 0), (key.clone(), u32::MAX));
        self.by_key
            .range(from..=to)
            .filter_map(move |(_, index)| self.seen(*index, at))
            .filter(move |(_, object)| keys_of(&***object).contains(&Some(key.clone())))
    }

    pub(super) fn insert(&mut self, object: Arc<T>, revision: Revision) -> RowId {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.rows.len()).expect("a table has at most 2^32 rows");
                self.rows.push(Row {
                    generation: 0,
                    newest: Version { since: Revision::ZERO, object: None },
                    older: Vec::new(),
                });
                index
            }
        };
        let meta = object.meta();
        self.by_name.insert((meta.namespace.clone(), meta.name.clone(), index));
        self.index(&object, index);
        let row = &mut self.rows[index as usize];
        assert!(row.newest.object.is_none(), "the slot of a new row is in use");
        row.newest = Version { since: revision, object: Some(object) };
        self.present += 1;
        RowId { index, generation: row.generation }
    }

    /// Writes a row's next version and returns the one before. Panics if the row is not present.
    pub(super) fn replace(&mut self, row: RowId, object: Option<Arc<T>>, revision: Revision) -> Arc<T> {
        if let Some(object) = &object {
            self.index(object, row.index);
        } else {
            self.present -= 1;
        }
        let slot = &mut self.rows[row.index as usize];
        assert!(slot.generation == row.generation, "{row:?} has been given up");
        let old = std::mem::replace(&mut slot.newest, Version { since: revision, object });
        let before = old.object.clone().expect("a write needs a row that is present");
        slot.older.push(old);
        before
    }

    /// Forgets the versions of a row that were replaced at or before `revision`, and the row itself if it ended there.
    pub(super) fn forget_before(&mut self, row: RowId, revision: Revision) {
        let slot = &mut self.rows[row.index as usize];
        if slot.generation != row.generation {
            return;
        }
        let first_kept = slot.older.partition_point(|version| version.since < revision);
        let forgotten: Vec<Version<T>> = slot.older.drain(..first_kept).collect();
        if slot.older.is_empty() && slot.older.capacity() > 0 {
            slot.older = Vec::new();
        }
        let ended = slot.older.is_empty() && slot.newest.object.is_none();
        let kept: Vec<Arc<T>> = slot
            .older
            .iter()
            .chain(std::iter::once(&slot.newest))
            .filter_map(|version| version.object.clone())
            .collect();
        for object in forgotten.into_iter().filter_map(|version| version.object) {
            self.unindex(&object, row.index, &kept);
            if ended {
                let meta = object.meta();
                self.by_name.remove(&(meta.namespace.clone(), meta.name.clone(), row.index));
            }
        }
        if ended {
            self.give_up(row);
        }
    }

    /// Takes a row's newest version back; returns what was undone and what is present again.
    pub(super) fn undo(&mut self, row: RowId, revision: Revision) -> (Option<Arc<T>>, Option<Arc<T>>) {
        let slot = &mut self.rows[row.index as usize];
        assert!(slot.newest.since == revision, "only the newest write of {row:?} can be undone");
        let before = slot.older.pop();
        let restored = before.as_ref().and_then(|version| version.object.clone());
        let created_there = before.is_none();
        let undone =
            std::mem::replace(&mut slot.newest, before.unwrap_or(Version { since: Revision::ZERO, object: None }));
        let kept: Vec<Arc<T>> = slot
            .older
            .iter()
            .chain(std::iter::once(&slot.newest))
            .filter_map(|version| version.object.clone())
            .collect();
        match (&undone.object, &restored) {
            (Some(_), None) => self.present -= 1,
            (None, Some(_)) => self.present += 1,
            _ => {}
        }
        if let Some(object) = &undone.object {
            self.unindex(object, row.index, &kept);
            if created_there {
                let meta = object.meta();
                self.by_name.remove(&(meta.namespace.clone(), meta.name.clone(), row.index));
                self.give_up(row);
            }
        }
        (undone.object, restored)
    }

    fn give_up(&mut self, row: RowId) {
        let slot = &mut self.rows[row.index as usize];
        slot.generation += 1;
        slot.newest.since = Revision::ZERO;
        self.free.push(row.index);
    }

    fn seen(&self, index: u32, at: Revision) -> Option<(RowId, &Arc<T>)> {
        let slot = &self.rows[index as usize];
        let object = slot.version_at(at)?.object.as_ref()?;
        Some((RowId { index, generation: slot.generation }, object))
    }

    fn index(&mut self, object: &T, index: u32) {
        for key in keys_of(object).into_iter().flatten() {
            self.by_key.insert((key, index));
        }
    }

    /// Takes a forgotten version's keys out, except those that a kept version has too.
    fn unindex(&mut self, forgotten: &T, index: u32, kept: &[Arc<T>]) {
        for key in keys_of(forgotten).into_iter().flatten() {
            let still_there = kept.iter().any(|object| keys_of(&**object).contains(&Some(key.clone())));
            if !still_there {
                self.by_key.remove(&(key, index));
            }
        }
    }
}

impl<T> Row<T> {
    /// The version that was the newest at a revision; `None` before the row existed.
    fn version_at(&self, at: Revision) -> Option<&Version<T>> {
        if self.newest.since <= at {
            return Some(&self.newest);
        }
        self.older.iter().rev().find(|version| version.since <= at)
    }
}

fn keys_of<T: Resource>(object: &T) -> [Option<IndexKey>; 2] {
    let controller = object.meta().controller().map(|owner| IndexKey::Controller(owner.uid));
    [controller, object.index_keys()]
}
