//! Objects of any kind, as the controllers that do not care about kinds see them.

use crate::id::{Name, Revision, Uid};
use crate::model::{Kind, Meta, Object, ObjectKey, Resource, with_kind};
use crate::store::{Change, IndexKey, View};

/// What every object has, of a row of any kind just before a change and after it.
pub(super) fn metas_of<'a>(view: View<'a>, change: &Change) -> (Option<&'a Meta>, Option<&'a Meta>) {
    with_kind!(change.kind, T => {
        let (old, new) = view.sides::<T>(change);
        (old.map(|object| object.meta()), new.map(|object| object.meta()))
    })
}

/// The same by name.
pub(super) fn find_meta<'a>(view: View<'a>, key: &ObjectKey) -> Option<&'a Meta> {
    find_named(view, key.kind, &key.namespace, &key.name)
}

/// The same with each part of the key by itself.
pub(super) fn find_named<'a>(view: View<'a>, kind: Kind, namespace: &Name, name: &Name) -> Option<&'a Meta> {
    with_kind!(kind, T => view.find::<T>(namespace, name).map(|(_, object)| object.meta()))
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
    let mut managed = Vec::new();
    for kind in Kind::ALL.iter().copied().filter(|kind| view.writes(*kind) > 0) {
        with_kind!(kind, T => {
            let objects = view.under::<T>(IndexKey::Controller(owner)).map(|(_, object)| object.meta());
            managed.extend(objects.map(|meta| (key_of(kind, meta), meta.uid)));
        });
    }
    managed
}

/// Kind, namespace and name of an object.
pub(super) fn key_of(kind: Kind, meta: &Meta) -> ObjectKey {
    ObjectKey { kind, namespace: meta.namespace.clone(), name: meta.name.clone() }
}
