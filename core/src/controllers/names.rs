//! Small pieces that controllers share: keys of their queues, and owner references.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::id::{Name, RowId, Uid, order_of_names};
use crate::model::{Kind, Meta, ObjectKey, OwnerReference, OwnerReferences};
use crate::store::{Stored, View, name_hash};

/// An object's namespace and name: what a controller's queue holds. Neither is ever written after [`Self::new`].
#[derive(Clone)]
pub(crate) struct NamespacedName {
    /// The namespace; empty for cluster-scoped kinds.
    pub(crate) namespace: Name,
    /// The name.
    pub(crate) name: Name,
    /// The hash of both: a key is looked up several times, here and there, for each time that it is made.
    hash: u64,
}

impl PartialEq for NamespacedName {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.name == other.name && self.namespace == other.namespace
    }
}

impl Eq for NamespacedName {}

impl Hash for NamespacedName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Without the hash. This text is part of what storage operations draw their times by.
impl fmt::Debug for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespacedName").field("namespace", &self.namespace).field("name", &self.name).finish()
    }
}

impl Ord for NamespacedName {
    fn cmp(&self, other: &Self) -> Ordering {
        order_of_names(&self.namespace, &other.namespace).then_with(|| order_of_names(&self.name, &other.name))
    }
}

impl PartialOrd for NamespacedName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl NamespacedName {
    /// The key of this name.
    pub(crate) fn new(namespace: Name, name: Name) -> NamespacedName {
        let hash = name_hash(&namespace, &name);
        NamespacedName { namespace, name, hash }
    }

    /// The key of an object.
    pub(crate) fn of_meta(meta: &Meta) -> NamespacedName {
        NamespacedName::new(meta.namespace.clone(), meta.name.clone())
    }

    /// The object of this name.
    pub(crate) fn find<'a, T: Stored + 'a>(&self, view: View<'a>) -> Option<(RowId, &'a Arc<T>)> {
        view.find_hashed::<T>(self.hash, &self.namespace, &self.name)
    }

    /// The same with a kind, as requests and facts name it.
    pub(crate) fn of(&self, kind: Kind) -> ObjectKey {
        ObjectKey { kind, namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

/// The reference of an object to the owner that manages it.
///
/// Source: `NewControllerRef`, staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/controller_ref.go (v1.34.1).
pub(crate) fn owned_by(kind: Kind, owner: &Meta) -> OwnerReference {
    OwnerReference { kind, name: owner.name.clone(), uid: owner.uid, controller: true, block_owner_deletion: true }
}

/// An object's owners with the one that manages it from now on.
pub(crate) fn with_owner(meta: &Meta, kind: Kind, owner: &Meta) -> OwnerReferences {
    meta.owners.iter().cloned().chain([owned_by(kind, owner)]).collect()
}

/// An object's owners without one of them.
pub(crate) fn without_owner(meta: &Meta, owner: Uid) -> OwnerReferences {
    meta.owners.iter().filter(|reference| reference.uid != owner).cloned().collect()
}

/// The owner of kind `T` that manages an object, if it is there and is the very one that the object names.
pub(crate) fn managing<'a, T: Stored + 'a>(view: View<'a>, meta: &Meta) -> Option<(NamespacedName, &'a Arc<T>)> {
    let reference = meta.controller().filter(|owner| owner.kind == T::KIND)?;
    let key = NamespacedName::new(meta.namespace.clone(), reference.name.clone());
    let (_, owner) = key.find::<T>(view)?;
    (owner.meta().uid == reference.uid).then_some((key, owner))
}
