//! A list that nearly always has one entry, which then lies in the list itself.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A list of one entry, or of any other number of entries with memory of their own. It reads, compares, hashes and is
/// written out as the list that it is.
#[derive(Clone)]
pub enum OneOrSeveral<T> {
    /// The only entry.
    One(T),
    /// Several entries, or none. One alone is no mistake.
    Several(Box<[T]>),
}

impl<T> OneOrSeveral<T> {
    /// An empty list.
    pub fn new() -> OneOrSeveral<T> {
        OneOrSeveral::Several(Box::default())
    }

    /// Adds an entry at the end.
    pub fn push(&mut self, entry: T) {
        *self = match std::mem::take(self) {
            OneOrSeveral::Several(none) if none.is_empty() => OneOrSeveral::One(entry),
            OneOrSeveral::One(first) => OneOrSeveral::Several(Box::new([first, entry])),
            OneOrSeveral::Several(entries) => {
                let mut entries = entries.into_vec();
                entries.reserve_exact(1);
                entries.push(entry);
                OneOrSeveral::Several(entries.into_boxed_slice())
            }
        };
    }
}

impl<T> Default for OneOrSeveral<T> {
    fn default() -> OneOrSeveral<T> {
        OneOrSeveral::new()
    }
}

impl<T> Deref for OneOrSeveral<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            OneOrSeveral::One(entry) => std::slice::from_ref(entry),
            OneOrSeveral::Several(entries) => entries,
        }
    }
}

impl<T> DerefMut for OneOrSeveral<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            OneOrSeveral::One(entry) => std::slice::from_mut(entry),
            OneOrSeveral::Several(entries) => entries,
        }
    }
}

impl<T> From<Vec<T>> for OneOrSeveral<T> {
    fn from(entries: Vec<T>) -> OneOrSeveral<T> {
        entries.into_iter().collect()
    }
}

impl<T> FromIterator<T> for OneOrSeveral<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> OneOrSeveral<T> {
        let mut entries = entries.into_iter();
        let Some(first) = entries.next() else { return OneOrSeveral::new() };
        match entries.next() {
            None => OneOrSeveral::One(first),
            Some(second) => OneOrSeveral::Several([first, second].into_iter().chain(entries).collect()),
        }
    }
}

impl<'a, T> IntoIterator for &'a OneOrSeveral<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut OneOrSeveral<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<T: PartialEq> PartialEq for OneOrSeveral<T> {
    fn eq(&self, other: &OneOrSeveral<T>) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for OneOrSeveral<T> {}

impl<T: Hash> Hash for OneOrSeveral<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T: fmt::Debug> fmt::Debug for OneOrSeveral<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Serialize> Serialize for OneOrSeveral<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrSeveral<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OneOrSeveral<T>, D::Error> {
        Vec::deserialize(deserializer).map(OneOrSeveral::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::StableHasher;

    #[test]
    fn it_is_the_list_that_was_put_into_it_however_that_was_done() {
        let mut pushed = OneOrSeveral::new();
        for count in 0..5u32 {
            let list: Vec<u32> = (0..count).collect();
            let collected: OneOrSeveral<u32> = list.iter().copied().collect();
            assert_eq!((&*pushed, &*collected), (&*list, &*list));
            assert_eq!(pushed, OneOrSeveral::from(list.clone()));
            assert_eq!(StableHasher::hash_one(&collected), StableHasher::hash_one(&list));
            assert_eq!(matches!(collected, OneOrSeveral::One(_)), count == 1);
            let doubled = collected.clone();
            collected.clone().iter_mut().for_each(|entry| *entry *= 2);
            assert_eq!(doubled, collected, "a copy is another list");
            pushed.push(count);
        }
    }
}
