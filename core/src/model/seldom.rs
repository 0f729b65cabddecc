//! Parts that most objects do not have.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A part that most objects do not have: one word wide, and without memory until somebody writes to it, be it what is
/// there already. Copies share it until one of them is written to.
///
/// All that is never seen: it reads, compares, hashes and is written out as the part itself.
pub struct Seldom<T>(Option<Arc<T>>);

impl<T> Seldom<T> {
    /// What an object has that does not have it.
    pub const NOTHING: Seldom<T> = Seldom(None);

    /// Whether both are the very same copy, or both have nothing; equal ones need not be.
    pub fn same(&self, other: &Seldom<T>) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl<T: Absent> Seldom<T> {
    /// Whether an object does not have it.
    pub fn is_absent(&self) -> bool {
        **self == *T::ABSENT
    }
}

/// What can be kept as [`Seldom`].
pub trait Absent: Clone + PartialEq + 'static {
    /// What an object has that does not have it.
    const ABSENT: &'static Self;
}

impl<T: Absent> Deref for Seldom<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::ABSENT)
    }
}

impl<T: Absent> DerefMut for Seldom<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(self.0.get_or_insert_with(|| Arc::new(T::ABSENT.clone())))
    }
}

impl<T> Clone for Seldom<T> {
    fn clone(&self) -> Self {
        Seldom(self.0.clone())
    }
}

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Seldom(None)
    }
}

impl<T: Absent> From<T> for Seldom<T> {
    fn from(part: T) -> Seldom<T> {
        Seldom((part != *T::ABSENT).then(|| Arc::new(part)))
    }
}

impl<T: Absent> PartialEq for Seldom<T> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(&**self, &**other) || **self == **other
    }
}

impl<T: Absent + Eq> Eq for Seldom<T> {}

impl<T: Absent + Hash> Hash for Seldom<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T: Absent + fmt::Debug> fmt::Debug for Seldom<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Absent + Serialize> Serialize for Seldom<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Absent + Deserialize<'de>> Deserialize<'de> for Seldom<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Seldom::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::StableHasher;
    use crate::model::{Labels, Meta, MetaExtras};

    #[test]
    fn a_part_is_as_if_it_stood_in_its_object_whether_or_not_it_takes_memory() {
        let plain = Meta::named("default", "web");
        let (mut written, mut annotated) = (plain.clone(), plain.clone());
        written.deleted_at = None;
        annotated.annotations = Labels::new([("note", "x")]);
        assert!(plain.extras.0.is_none() && written.extras.0.is_some());
        assert_eq!(plain, written);
        assert_eq!(StableHasher::hash_one(&plain), StableHasher::hash_one(&written));
        assert_ne!(plain, annotated);
        assert!(Seldom::from(MetaExtras::default()).0.is_none());
        let mut other = annotated.clone();
        assert!(std::ptr::eq(&*annotated.extras, &*other.extras), "copies share it");
        other.annotations = Labels::default();
        assert_eq!((annotated.annotations.is_empty(), other == plain), (false, true));
    }
}
