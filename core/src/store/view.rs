//! The store as of one revision.

use std::sync::Arc;

use crate::id::{Name, Revision, RowId, Uid};
use crate::model::{Kind, Object, Resource, with_kind};
use crate::store::{Change, IndexKey, Store, Stored};

/// The store as of one revision: what an informer's cache holds when its watch has delivered that much.
#[derive(Clone, Copy)]
pub struct View<'a> {
    store: &'a Store,
    at: Revision,
}

impl<'a> View<'a> {
    /// The store as of a revision that no cursor's trimming has passed.
    pub fn new(store: &'a Store, at: Revision) -> View<'a> {
        View { store, at }
    }

    /// The revision.
    pub fn revision(self) -> Revision {
        self.at
    }

    /// A number that changes with every write of a kind, at whatever revision this view is; see [`Store::writes`].
    pub fn writes(self, kind: Kind) -> u64 {
        self.store.writes(kind)
    }

    /// The same store just before a write.
    pub fn before(self, revision: Revision) -> View<'a> {
        View { store: self.store, at: Revision(revision.0 - 1) }
    }

    /// The same store at a revision.
    pub fn at(self, revision: Revision) -> View<'a> {
        View { store: self.store, at: revision }
    }

    /// A row's object; `None` if it is absent.
    pub fn get<T: Stored + 'a>(self, row: RowId) -> Option<&'a Arc<T>> {
        T::table(self.store).at(row, self.at)
    }

    /// A row's object just before a change and after it; `None` is absence.
    pub fn sides<T: Stored + 'a>(self, change: &Change) -> (Option<&'a T>, Option<&'a T>) {
        let (old, new) = T::table(self.store).sides(change.row, change.revision);
        (old.map(|object| &**object), new.map(|object| &**object))
    }

    /// A row's object of this identity; `None` if it is absent or another object has its place.
    pub fn get_uid<T: Stored + 'a>(self, row: RowId, uid: Uid) -> Option<&'a Arc<T>> {
        self.get::<T>(row).filter(|object| object.meta().uid == uid)
    }

    /// The revision of a row's version: what a conditional write must name.
    pub fn version_of<T: Stored + 'a>(self, row: RowId) -> Option<Revision> {
        T::table(self.store).written_at(row, self.at)
    }

    /// The same for a kind that is known only at run time; of a removed object, that of its end.
    pub fn revision_of(self, kind: Kind, row: RowId) -> Option<Revision> {
        with_kind!(kind, T => self.version_of::<T>(row))
    }

    /// The object of a name.
    pub fn find<T: Stored + 'a>(self, namespace: &Name, name: &Name) -> Option<(RowId, &'a Arc<T>)> {
        T::table(self.store).find(namespace, name, self.at)
    }

    /// The same with the [`name_hash`](crate::store::name_hash) of both.
    pub(crate) fn find_hashed<T: Stored + 'a>(
        self,
        hash: u64,
        namespace: &Name,
        name: &Name,
    ) -> Option<(RowId, &'a Arc<T>)> {
        T::table(self.store).find_hashed(hash, namespace, name, self.at)
    }

    /// All objects of a kind, by namespace and name.
    pub fn all<T: Stored + 'a>(self) -> impl Iterator<Item = (RowId, &'a Arc<T>)> + 'a {
        T::table(self.store).iter(self.at)
    }

    /// A row's object of a kind that is known only at run time.
    pub fn object(self, kind: Kind, row: RowId) -> Option<Object> {
        with_kind!(kind, T => self.get::<T>(row).map(|object| T::into_object(object.clone())))
    }

    /// All objects of a kind that is known only at run time, by namespace and name, with their versions.
    pub fn objects(self, kind: Kind) -> Vec<(RowId, Object)> {
        with_kind!(kind, T => self.all::<T>().map(|(row, object)| (row, T::into_object(object.clone()))).collect())
    }

    /// All objects of a kind that is known at run time, in a namespace, by name.
    pub fn objects_in(self, kind: Kind, namespace: &Name) -> Vec<Object> {
        with_kind!(kind, T => self.in_namespace::<T>(namespace).map(|(_, it)| T::into_object(it.clone())).collect())
    }

    /// All objects of a kind in a namespace, by name.
    pub fn in_namespace<T: Stored + 'a>(self, namespace: &Name) -> impl Iterator<Item = (RowId, &'a Arc<T>)> + 'a {
        T::table(self.store).in_namespace(namespace, self.at)
    }

    /// The objects that an owner manages.
    pub fn controlled_by<T: Stored + 'a>(self, owner: Uid) -> impl Iterator<Item = (RowId, &'a Arc<T>)> + 'a {
        self.under(IndexKey::Controller(owner))
    }

    /// The objects under a secondary key.
    pub fn under<T: Stored + 'a>(self, key: IndexKey) -> impl Iterator<Item = (RowId, &'a Arc<T>)> + 'a {
        T::table(self.store).under(key, self.at)
    }
}
