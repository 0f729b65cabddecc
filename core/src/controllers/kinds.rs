//! Objects of any kind, as the controllers that do not care about kinds see them.

use crate::id::{Name, Revision, RowId, Uid};
use crate::model::{Kind, Meta, Object, ObjectKey, Resource, with_kind};
use crate::store::{IndexKey, View};

/// What every object has, of a row of any kind.
pub(super) fn meta_of<'a>(view: View<'a>, kind: Kind, row: RowId) -> Option<&'a Meta> {
    with_kind!(kind, T => view.get::<T>(row).map(|object| object.meta()))
}

/// The same by name.
pub(super) fn find_meta<'a>(view: View<'a>, key: &ObjectKey) -> Option<&'a Meta> {
    with_kind!(key.kind, T => view.find::<T>(&key.namespace, &key.name).map(|(_, object)| object.meta()))
}

/// An object of any kind with its version.
pub(super) fn find_object(view: View<'_>, key: &ObjectKey) -> Option<(Object, Option<Revision>)> {
    with_kind!(key.kind, T => {
        let (row, object) = view.find::<T>(&key.namespace, &key.name)?;
        Some((T::into_object(object.clone()), view.version_of::<T>(row)))
    })
}

/// The objects of a kind in a namespace, by name.
pub(super) fn in_namespace<'a>(view: View<'a>, kind: Kind, namespace: &Name) -> Vec<&'a Meta> {
    with_kind!(kind, T => view.in_namespace::<T>(namespace).map(|(_, object)| object.meta()).collect())
}

/// All objects of a kind.
pub(super) fn all<'a>(view: View<'a>, kind: Kind) -> Vec<&'a Meta> {
    with_kind!(kind, T => view.all::<T>().map(|(_, object)| object.meta()).collect())
}

/// The objects of every kind that an owner manages; of kinds that were never written there are none.
pub(super) fn controlled_by(view: View<'_>, owner: Uid) -> Vec<(ObjectKey, Uid)> {
    let of_kind = |kind: Kind| -> Vec<(ObjectKey, Uid)> {
        let key = |meta: &Meta| (key_of(kind, meta), meta.uid);
        with_kind!(kind, T => {
            view.under::<T>(IndexKey::Controller(owner)).map(|(_, object)| key(object.meta())).collect()
        })
    };
    Kind::ALL.iter().filter(|kind| view.writes(**kind) > 0).flat_map(|kind| of_kind(*kind)).collect()
}

/// Kind, namespace and name of an object.
pub(super) fn key_of(kind: Kind, meta: &Meta) -> ObjectKey {
    ObjectKey { kind, namespace: meta.namespace.clone(), name: meta.name.clone() }
}
