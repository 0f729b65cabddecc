//! One kind's rows with the versions that somebody can still read, and the indexes over them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::chunks::Chunks;
use crate::digest::StableHasher;
use crate::id::{Name, Revision, RowId};
use crate::model::Resource;
use crate::store::IndexKey;
use crate::store::hash_index::HashIndex;
use crate::store::index::{KeyIndex, has_key, keys_of};

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
    /// Where it stands in the list of its namespace.
    place: u32,
    newest: Version<T>,
    /// The versions before; none for most rows most of the time.
    older: Older<T>,
}

/// Versions of a row, newest first: a list, because one word is all that a row without older versions can spare.
type Older<T> = Option<Box<Link<T>>>;

struct Link<T> {
    version: Version<T>,
    /// Whether the version that replaced it has the same secondary keys, as nearly every one has.
    keeps_keys: bool,
    older: Older<T>,
}

/// What there is to say of a version that was replaced.
pub(super) struct Replaced {
    /// Its share of the store's digest.
    pub(super) hash: u64,
    /// Whether the next version is a report; see [`Change::is_report`].
    ///
    /// [`Change::is_report`]: crate::store::Change::is_report
    pub(super) is_report: bool,
}

/// One kind's rows.
pub struct Table<T> {
    rows: Chunks<Row<T>>,
    free: Vec<u32>,
    /// By the hash of namespace and name: a look-up compares numbers and then one row's name.
    by_name: HashIndex,
    /// In no order.
    by_namespace: BTreeMap<Name, Vec<u32>>,
    by_key: KeyIndex,
    present: u32,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table {
            rows: Chunks::default(),
            free: Vec::new(),
            by_name: HashIndex::default(),
            by_namespace: BTreeMap::new(),
            by_key: KeyIndex::default(),
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

    /// The object of a row just before a revision and at it; `None` as in [`Table::at`].
    pub(super) fn sides(&self, row: RowId, revision: Revision) -> (Option<&Arc<T>>, Option<&Arc<T>>) {
        let Some(slot) = self.rows.get(row.index as usize).filter(|slot| slot.generation == row.generation) else {
            return (None, None);
        };
        let mut versions = slot.versions().skip_while(|version| version.since > revision);
        let new = versions.next();
        let old = new.filter(|new| new.since < revision).or_else(|| versions.next());
        (old.and_then(|version| version.object.as_ref()), new.and_then(|version| version.object.as_ref()))
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
        self.find_hashed(name_hash(namespace, name), namespace, name, at)
    }

    /// The same with the [`name_hash`].
    pub(super) fn find_hashed(
        &self,
        hash: u64,
        namespace: &Name,
        name: &Name,
        at: Revision,
    ) -> Option<(RowId, &Arc<T>)> {
        let slots = self.by_name.get(hash);
        slots.filter_map(|index| self.seen(index, at)).find(|(_, object)| {
            let meta = object.meta();
            meta.name == *name && meta.namespace == *namespace
        })
    }

    /// All rows as of a revision, by namespace and name.
    pub(super) fn iter(&self, at: Revision) -> impl Iterator<Item = (RowId, &Arc<T>)> {
        self.by_namespace.values().flat_map(move |slots| self.named(slots, at))
    }

    /// All rows of a namespace as of a revision, by name.
    pub(super) fn in_namespace<'a>(
        &'a self,
        namespace: &Name,
        at: Revision,
    ) -> impl Iterator<Item = (RowId, &'a Arc<T>)> + use<'a, T> {
        self.by_namespace.get(namespace).into_iter().flat_map(move |slots| self.named(slots, at))
    }

    /// The rows of some slots as of a revision, by name. Lists are rare; keeping each in order would cost every write.
    fn named<'a>(&'a self, slots: &'a [u32], at: Revision) -> Vec<(RowId, &'a Arc<T>)> {
        let mut rows: Vec<_> = slots.iter().filter_map(|index| self.seen(*index, at)).collect();
        rows.sort_unstable_by(|(row, one), (other_row, other)| {
            (&one.meta().name, row.index).cmp(&(&other.meta().name, other_row.index))
        });
        rows
    }

    /// All rows under a secondary key as of a revision, by slot.
    pub(super) fn under(&self, key: IndexKey, at: Revision) -> impl Iterator<Item = (RowId, &Arc<T>)> {
        let slots = self.by_key.under(key.of_row());
        slots.filter_map(move |index| self.seen(index, at)).filter(move |(_, object)| has_key(&***object, key.of_row()))
    }

    pub(super) fn insert(&mut self, object: Arc<T>, hash: u64, revision: Revision) -> RowId {
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(self.rows.len()).expect("a table has at most 2^32 rows");
                self.rows.push(Row { generation: 0, place: 0, newest: Version::ABSENT, older: None });
                index
            }
        };
        self.enter_name(&object, index);
        for key in keys_of(&*object).into_iter().flatten() {
            self.by_key.enter(key, index);
        }
        let row = &mut self.rows[index as usize];
        assert!(row.newest.object.is_none(), "the slot of a new row is in use");
        row.newest = Version { since: revision, object: Some(object), hash };
        self.present += 1;
        RowId { index, generation: row.generation }
    }

    /// Writes a row's next version, if any with its hash. Panics if the row is not present.
    pub(super) fn replace(&mut self, row: RowId, next: Option<(Arc<T>, u64)>, revision: Revision) -> Replaced {
        let slot = &mut self.rows[row.index as usize];
        assert!(slot.generation == row.generation, "{row:?} has been given up");
        let before = slot.newest.object.as_deref().expect("a write needs a row that is present");
        let is_report = next.as_ref().is_some_and(|(object, _)| object.is_report_since(before));
        let mut keeps_keys = is_report;
        match &next {
            Some(_) if is_report => {}
            Some((object, _)) => {
                // Keys that the version before has are in the index already.
                let (keys, keys_before) = (keys_of(&**object), keys_of(before));
                keeps_keys = keys == keys_before;
                let keys = keys.into_iter().zip(keys_before).filter(|(key, before)| key != before);
                keys.filter_map(|(key, _)| key).for_each(|key| self.by_key.enter(key, row.index));
            }
            None => self.present -= 1,
        }
        let (object, hash) = next.unzip();
        let newest = Version { since: revision, object, hash: hash.unwrap_or(0) };
        let version = std::mem::replace(&mut slot.newest, newest);
        let replaced = Replaced { hash: version.hash, is_report };
        slot.older = Some(Box::new(Link { version, keeps_keys, older: slot.older.take() }));
        replaced
    }

    /// Forgets the versions of a row that were replaced at or before `revision`, and the row itself if it ended there.
    pub(super) fn forget_before(&mut self, row: RowId, revision: Revision) {
        let Some(slot) = self.rows.get_mut(row.index as usize).filter(|slot| slot.generation == row.generation) else {
            return;
        };
        let mut forgotten = take_before(&mut slot.older, revision);
        let ended = slot.older.is_none() && slot.newest.object.is_none();
        while let Some(link) = forgotten {
            if let Some(object) = &link.version.object {
                if !link.keeps_keys {
                    self.unindex(object, row.index);
                }
                if ended && link.older.is_none() {
                    self.leave_name(object, row.index);
                    self.give_up(row);
                }
            }
            forgotten = link.older;
        }
    }

    /// Takes a row's newest version back; returns the hashes of what was undone and of what is present again.
    pub(super) fn undo(&mut self, row: RowId, revision: Revision) -> (Option<u64>, Option<u64>) {
        let slot = &mut self.rows[row.index as usize];
        assert!(slot.newest.since == revision, "only the newest write of {row:?} can be undone");
        let (before, older) = slot.older.take().map_or((None, None), |link| (Some(link.version), link.older));
        slot.older = older;
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
        let place = match self.by_namespace.get_mut(&meta.namespace) {
            Some(slots) => {
                slots.push(index);
                slots.len() - 1
            }
            None => {
                self.by_namespace.insert(meta.namespace.clone(), vec![index]);
                0
            }
        };
        self.rows[index as usize].place = place as u32;
        self.by_name.insert(name_hash(&meta.namespace, &meta.name), index);
    }

    fn leave_name(&mut self, object: &T, index: u32) {
        let meta = object.meta();
        let slots = self.by_namespace.get_mut(&meta.namespace).expect("a row is listed in its namespace");
        let place = self.rows[index as usize].place;
        slots.swap_remove(place as usize);
        match slots.get(place as usize) {
            Some(moved) => self.rows[*moved as usize].place = place,
            None if slots.is_empty() => drop(self.by_namespace.remove(&meta.namespace)),
            None => {}
        }
        self.by_name.remove(name_hash(&meta.namespace, &meta.name), index);
    }

    /// Takes a forgotten version's keys out, except those that a kept version has too.
    fn unindex(&mut self, forgotten: &T, index: u32) {
        let slot = &self.rows[index as usize];
        for (place, key) in keys_of(forgotten).into_iter().enumerate() {
            let Some(key) = key else { continue };
            let mut kept = slot.versions().filter_map(|version| version.object.as_deref());
            if !kept.any(|object| keys_of(object)[place] == Some(key)) {
                self.by_key.leave(key, index);
            }
        }
    }
}

impl<T> Row<T> {
    /// The version that was the newest at a revision; `None` before the row existed.
    fn version_at(&self, at: Revision) -> Option<&Version<T>> {
        // Most read the newest one.
        if self.newest.since <= at {
            return Some(&self.newest);
        }
        self.older_versions().find(|version| version.since <= at)
    }

    /// All versions that are kept, newest first.
    fn versions(&self) -> impl Iterator<Item = &Version<T>> {
        std::iter::once(&self.newest).chain(self.older_versions())
    }

    fn older_versions(&self) -> impl Iterator<Item = &Version<T>> {
        std::iter::successors(self.older.as_deref(), |link| link.older.as_deref()).map(|link| &link.version)
    }
}

/// Cuts the versions from before a revision off, which are the last of the list.
fn take_before<T>(mut older: &mut Older<T>, revision: Revision) -> Older<T> {
    while older.as_ref().is_some_and(|link| link.version.since >= revision) {
        older = &mut older.as_mut().expect("the link was just seen").older;
    }
    older.take()
}

/// By which an object is found whose name is known.
pub(crate) fn name_hash(namespace: &str, name: &str) -> u64 {
    StableHasher::hash_one(&(namespace, name))
}
