//! Objects by a key whose kind is known only at run time, and the answers that show them.

use crate::api::{Answer, Refusal, Reply};
use crate::id::{Revision, RowId};
use crate::model::{Object, ObjectKey, Resource, with_kind};
use crate::store::{Store, Stored, View};

/// The object that a view shows.
pub(crate) fn find(view: View<'_>, key: &ObjectKey) -> Option<Object> {
    with_kind!(key.kind, T => {
        let (_, object) = view.find::<T>(&key.namespace, &key.name)?;
        Some(T::into_object(object.clone()))
    })
}

/// The newest version of an object.
pub(super) fn current(store: &Store, key: &ObjectKey) -> Option<Object> {
    find(store.newest(), key)
}

/// The newest version of an object with its row.
pub(super) fn current_row(store: &Store, key: &ObjectKey) -> Option<(RowId, Object)> {
    with_kind!(key.kind, T => {
        let (row, object) = store.newest().find::<T>(&key.namespace, &key.name)?;
        Some((row, T::into_object(object.clone())))
    })
}

/// The newest version of an object with its revision, for a client that reads before it writes.
pub(super) fn read(store: &Store, key: ObjectKey) -> Answer {
    let view = store.newest();
    with_kind!(key.kind, T => {
        let Some((row, object)) = view.find::<T>(&key.namespace, &key.name) else { return Err(Refusal::NotFound(key)) };
        let revision = view.version_of::<T>(row).expect("the row is present");
        Ok(Reply::Object(T::into_object(object.clone()), revision))
    })
}

/// The answer to a write: the object as it is stored.
pub(super) fn stored<T: Stored>(store: &Store, row: RowId, revision: Revision) -> Reply {
    let object = store.newest().get::<T>(row).expect("the row was just written");
    Reply::Object(T::into_object(object.clone()), revision)
}
