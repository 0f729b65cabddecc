//! Parts that most objects do not have.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A part that most objects do not have: one word wide, and without memory until somebody writes to it.
///
/// Whether it takes memory is never seen: it reads, compares, hashes and is written out as the part itself.
#[derive(Clone)]
pub struct Seldom<T>(Option<Box<T>>);

/// What can be kept as [`Seldom`].
pub trait Absent: Clone + PartialEq + 'static {
    /// What an object has that does not have it.
    const ABSENT: &'static Self;
}

impl<T: Absent> Deref for Seldom<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::ABSENT)
    }
}

impl<T: Absent> DerefMut for Seldom<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::ABSENT.clone()))
    }
}

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Seldom(None)
    }
}

impl<T: Absent> From<T> for Seldom<T> {
    fn from(part: T) -> Seldom<T> {
        Seldom((part != *T::ABSENT).then(|| Box::new(part)))
    }
}

impl<T: Absent> PartialEq for Seldom<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.0.is_none() && other.0.is_none()) || **self == **other
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
