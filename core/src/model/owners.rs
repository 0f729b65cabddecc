//! Who an object belongs to.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{Name, Uid};
use crate::model::Kind;

/// An object that this one belongs to.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct OwnerReference {
    /// The owner's kind.
    pub kind: Kind,
    /// The owner's name, in the same namespace.
    pub name: Name,
    /// The owner's identity: another object of the same name is not the owner.
    pub uid: Uid,
    /// Whether this owner manages the object; at most one does.
    pub controller: bool,
    /// Whether a foreground deletion of the owner waits for this object.
    pub block_owner_deletion: bool,
}

/// The owners of an object, in their order, shared by all objects that one controller made of one template. One word
/// wide, and without memory if there are none: there are hundreds of thousands of objects.
#[derive(Clone, Default)]
pub struct OwnerReferences(Option<Arc<Box<[OwnerReference]>>>);

impl Deref for OwnerReferences {
    type Target = [OwnerReference];

    #[inline]
    fn deref(&self) -> &[OwnerReference] {
        self.0.as_ref().map_or(&[], |owners| owners)
    }
}

impl From<Vec<OwnerReference>> for OwnerReferences {
    fn from(owners: Vec<OwnerReference>) -> OwnerReferences {
        OwnerReferences((!owners.is_empty()).then(|| Arc::new(owners.into_boxed_slice())))
    }
}

impl From<&[OwnerReference]> for OwnerReferences {
    fn from(owners: &[OwnerReference]) -> OwnerReferences {
        OwnerReferences::from(owners.to_vec())
    }
}

impl<const COUNT: usize> From<[OwnerReference; COUNT]> for OwnerReferences {
    fn from(owners: [OwnerReference; COUNT]) -> OwnerReferences {
        OwnerReferences::from(Vec::from(owners))
    }
}

impl FromIterator<OwnerReference> for OwnerReferences {
    fn from_iter<I: IntoIterator<Item = OwnerReference>>(owners: I) -> OwnerReferences {
        OwnerReferences::from(Vec::from_iter(owners))
    }
}

impl PartialEq for OwnerReferences {
    fn eq(&self, other: &OwnerReferences) -> bool {
        std::ptr::eq(&raw const **self, &raw const **other) || **self == **other
    }
}

impl Eq for OwnerReferences {}

impl Hash for OwnerReferences {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for OwnerReferences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl Serialize for OwnerReferences {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for OwnerReferences {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OwnerReferences, D::Error> {
        Vec::deserialize(deserializer).map(OwnerReferences::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::StableHasher;

    fn owner(name: &str) -> OwnerReference {
        OwnerReference {
            kind: Kind::ReplicaSet,
            name: name.into(),
            uid: Uid::new(7),
            controller: true,
            block_owner_deletion: true,
        }
    }

    #[test]
    fn owners_are_the_list_that_they_were_made_of() {
        for list in [vec![], vec![owner("one")], vec![owner("one"), owner("two")]] {
            let owners = OwnerReferences::from(list.clone());
            assert_eq!(*owners, *list);
            assert_eq!(owners, list.iter().cloned().collect());
            assert_eq!(StableHasher::hash_one(&owners), StableHasher::hash_one(&*list));
            assert_eq!(owners.0.is_none(), list.is_empty(), "none take no memory");
        }
        assert_ne!(OwnerReferences::from([owner("one")]), OwnerReferences::from([owner("two")]));
        assert_eq!(size_of::<OwnerReferences>(), size_of::<usize>());
    }
}
