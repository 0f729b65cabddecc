//! One kind's rows with the versions that somebody can still read, and the indexes over them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::digest::StableHasher;
use crate::id::{Name, Revision, RowId, Uid};
use crate::model::Resource;
use crate::store::IndexKey;

/// A row's state from one revision on; `None` is absence.
struct Version<T> {
    since: Revision,
    object: Option<Arc<T>>,
    /// The object's share of the store's digest, so that each version is hashed once; zero for absence.
    hash: u64,
}

impl<T> Version<T> {
    const ABSENT: Version<T> = Version { since: Revision::ZERO, object: None, hash: 0 };
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
    /// Slots by the hash of their row's namespace and name: a look-up compares numbers and then one row's name.
    by_name_hash: BTreeMap<u64, Slots>,
    /// The same by namespace and name, for lists.
    by_name: BTreeMap<Name, BTreeSet<(Name, u32)>>,
    by_key: BTreeSet<(IndexKey, u32)>,
    present: u32,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table {
            rows: Vec::new(),
            free: Vec::new(),
            by_name_hash: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_key: BTreeSet::new(),
            present: 0,
        }
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
        let slots = self.by_name_hash.get(&name_hash(namespace, name))?;
        slots.as_slice().iter().filter_map(|index| self.seen(*index, at)).find(|(_, object)| {
            let meta = object.meta();
            meta.name == *name && meta.namespace == *namespace
        })
    }

    /// All rows as of a revision, by namespace and name.
    pub(super) fn iter(&self, at: Revision) -> impl Iterator<Item = (RowId, &Arc<T>)> {
        self.by_name.values().flatten().filter_map(move |(_, index)| self.seen(*index, at))
    }

    /// All rows of a namespace as of a revision, by name.
    pub(super) fn in_namespace<'a>(
        &'a self,
        namespace: &Name,
        at: Revision,
    ) -> impl Iterator<Item = (RowId, &'a Arc<T>)> + use<'a, T> {
        let slots = self.by_name.get(namespace).into_iter().flatten();
        slots.filter_map(move |(_, index)| self.seen(*index, at))
    }

    /// All rows under a secondary key as of a revision, by slot.
    pub(super) fn under(&self, key: IndexKey, at: Revision) -> impl Iterator<Item = (RowId, &Arc<T>)> {
        let (from, to) = ((key.clone(), 0), (key.clone(), u32::MAX));
        self.by_key
            .range(from..=to)
            .filter_map(move |(_, index)| self.seen(*index, at))
            .filter(move |(_, object)| has_key(&***object, &key))
    }

    pub(super) fn insert(&mut self, object: Arc<T>, hash: u64, revision: Revision) -> RowId {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.rows.len()).expect("a table has at most 2^32 rows");
                self.rows.push(Row { generation: 0, newest: Version::ABSENT, older: Vec::new() });
                index
            }
        };
        self.enter_name(&object, index);
        for key in keys_of(&*object).into_iter().flatten() {
            self.by_key.insert((key, index));
        }
        let row = &mut self.rows[index as usize];
        assert!(row.newest.object.is_none(), "the slot of a new row is in use");
        row.newest = Version { since: revision, object: Some(object), hash };
        self.present += 1;
        RowId { index, generation: row.generation }
    }

    /// Writes a row's next version, if any with its hash, and returns the one before with its own. Panics if the row is
    /// not present.
    pub(super) fn replace(&mut self, row: RowId, object: Option<(Arc<T>, u64)>, revision: Revision) -> (Arc<T>, u64) {
        let slot = &mut self.rows[row.index as usize];
        assert!(slot.generation == row.generation, "{row:?} has been given up");
        let before = slot.newest.object.clone().expect("a write needs a row that is present");
        let before_hash = slot.newest.hash;
        let (object, hash) = object.unzip();
        match &object {
            Some(object) => {
                // Keys that the version before has are in the index already.
                for key in keys_of(&**object).into_iter().flatten().filter(|key| !has_key(&*before, key)) {
                    self.by_key.insert((key, row.index));
                }
            }
            None => self.present -= 1,
        }
        let newest = Version { since: revision, object, hash: hash.unwrap_or(0) };
        slot.older.push(std::mem::replace(&mut slot.newest, newest));
        (before, before_hash)
    }

    /// Forgets the versions of a row that were replaced at or before `revision`, and the row itself if it ended there.
    pub(super) fn forget_before(&mut self, row: RowId, revision: Revision) {
        while let Some(slot) = self.rows.get_mut(row.index as usize)
            && slot.generation == row.generation
            && slot.older.first().is_some_and(|version| version.since < revision)
        {
            let forgotten = slot.older.remove(0).object;
            if slot.older.is_empty() {
                slot.older = Vec::new();
            }
            let ended = slot.older.is_empty() && slot.newest.object.is_none();
            if let Some(object) = forgotten {
                self.unindex(&object, row.index);
                if ended {
                    self.leave_name(&object, row.index);
                }
            }
            if ended {
                self.give_up(row);
            }
        }
    }

    /// Takes a row's newest version back; returns the hashes of what was undone and of what is present again.
    pub(super) fn undo(&mut self, row: RowId, revision: Revision) -> (Option<u64>, Option<u64>) {
        let slot = &mut self.rows[row.index as usize];
        assert!(slot.newest.since == revision, "only the newest write of {row:?} can be undone");
        let before = slot.older.pop();
        let created_there = before.is_none();
        let undone = std::mem::replace(&mut slot.newest, before.unwrap_or(Version::ABSENT));
        let restored = slot.newest.object.is_some().then_some(slot.newest.hash);
        match (&undone.object, restored) {
            (Some(_), None) => self.present -= 1,
            (None, Some(_)) => self.present += 1,
            _ => {}
        }
        if let Some(object) = &undone.object {
            self.unindex(object, row.index);
            if created_there {
                self.leave_name(object, row.index);
                self.give_up(row);
            }
        }
        (undone.object.is_some().then_some(undone.hash), restored)
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

    fn enter_name(&mut self, object: &T, index: u32) {
        let meta = object.meta();
        self.by_name.entry(meta.namespace.clone()).or_default().insert((meta.name.clone(), index));
        let hash = name_hash(&meta.namespace, &meta.name);
        self.by_name_hash.entry(hash).and_modify(|slots| slots.add(index)).or_insert(Slots::One(index));
    }

    fn leave_name(&mut self, object: &T, index: u32) {
        let meta = object.meta();
        let names = self.by_name.get_mut(&meta.namespace).expect("a row is listed in its namespace");
        names.remove(&(meta.name.clone(), index));
        if names.is_empty() {
            self.by_name.remove(&meta.namespace);
        }
        let hash = name_hash(&meta.namespace, &meta.name);
        let slots = self.by_name_hash.get_mut(&hash).expect("a row is listed under its name");
        if slots.take(index) {
            self.by_name_hash.remove(&hash);
        }
    }

    /// Takes a forgotten version's keys out, except those that a kept version has too.
    fn unindex(&mut self, forgotten: &T, index: u32) {
        let slot = &self.rows[index as usize];
        for key in keys_of(forgotten).into_iter().flatten() {
            let mut kept = std::iter::once(&slot.newest).chain(&slot.older);
            if !kept.any(|version| version.object.as_ref().is_some_and(|object| has_key(&**object, &key))) {
                self.by_key.remove(&(key, index));
            }
        }
    }
}

/// The slots of one name: a second one only while the row of an object that is gone can still be read.
enum Slots {
    One(u32),
    More(Vec<u32>),
}

impl Slots {
    fn as_slice(&self) -> &[u32] {
        match self {
            Slots::One(index) => std::slice::from_ref(index),
            Slots::More(indexes) => indexes,
        }
    }

    fn add(&mut self, index: u32) {
        match self {
            Slots::One(first) => *self = Slots::More(vec![*first, index]),
            Slots::More(indexes) => indexes.push(index),
        }
    }

    /// Takes a slot out; returns whether none is left.
    fn take(&mut self, index: u32) -> bool {
        match self {
            Slots::One(only) => {
                assert!(*only == index, "slot {index} leaves a name that has slot {only}");
                true
            }
            Slots::More(indexes) => {
                indexes.retain(|it| *it != index);
                indexes.is_empty()
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

fn name_hash(namespace: &str, name: &str) -> u64 {
    StableHasher::hash_one(&(namespace, name))
}

fn keys_of<T: Resource>(object: &T) -> [Option<IndexKey>; 2] {
    [controller_of(object).map(IndexKey::Controller), object.index_key()]
}

fn has_key<T: Resource>(object: &T, key: &IndexKey) -> bool {
    match key {
        IndexKey::Controller(uid) => controller_of(object) == Some(*uid),
        key => object.index_key().as_ref() == Some(key),
    }
}

fn controller_of<T: Resource>(object: &T) -> Option<Uid> {
    object.meta().controller().map(|owner| owner.uid)
}
