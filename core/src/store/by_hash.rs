//! Values that are found by the hash of their key: for what is asked for with every change and never gone through.
//!
//! Nothing here has an order, so no result can depend on a hash. Invariant: each key is there at most once.

use std::hash::Hash;

use crate::chunks::Chunks;
use crate::digest::StableHasher;
use crate::store::hash_index::HashIndex;

/// A map that can only be asked for one key at a time.
pub(crate) struct ByHash<K, V> {
    index: HashIndex,
    slots: Chunks<Option<(K, V)>>,
    free: Vec<u32>,
}

impl<K, V> Default for ByHash<K, V> {
    fn default() -> Self {
        ByHash { index: HashIndex::default(), slots: Chunks::default(), free: Vec::new() }
    }
}

impl<K: Hash + Eq + Clone, V> ByHash<K, V> {
    /// The value of a key.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let slot = self.slot_of(hash_of(key), key)?;
        self.slots[slot as usize].as_ref().map(|(_, value)| value)
    }

    /// The value of a key, to change.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let slot = self.slot_of(hash_of(key), key)?;
        self.slots[slot as usize].as_mut().map(|(_, value)| value)
    }

    /// The value of a key, to change; the default value if there was none.
    pub(crate) fn get_or_default(&mut self, key: &K) -> &mut V
    where
        V: Default,
    {
        let hash = hash_of(key);
        let slot = self.slot_of(hash, key).unwrap_or_else(|| self.put(hash, key.clone(), V::default()));
        let (_, value) = self.slots[slot as usize].as_mut().expect("a slot of the index is in use");
        value
    }

    /// Gives a key a value, in place of the one that it had.
    pub(crate) fn insert(&mut self, key: &K, value: V) {
        let hash = hash_of(key);
        match self.slot_of(hash, key) {
            Some(slot) => self.slots[slot as usize] = Some((key.clone(), value)),
            None => _ = self.put(hash, key.clone(), value),
        }
    }

    /// Takes a key and its value out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let hash = hash_of(key);
        let slot = self.slot_of(hash, key)?;
        self.index.remove(hash, slot);
        self.free.push(slot);
        self.slots[slot as usize].take().map(|(_, value)| value)
    }

    /// Whether no key has a value.
    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    fn slot_of(&self, hash: u64, key: &K) -> Option<u32> {
        let holds = |slot: &u32| self.slots[*slot as usize].as_ref().is_some_and(|(other, _)| other == key);
        self.index.get(hash).find(holds)
    }

    fn put(&mut self, hash: u64, key: K, value: V) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("there are at most 2^32 keys")
        });
        self.slots[slot as usize] = Some((key, value));
        self.index.insert(hash, slot);
        slot
    }
}

fn hash_of(key: &impl Hash) -> u64 {
    StableHasher::hash_one(key)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::draw::{Draws, Purpose, below};

    #[test]
    fn it_holds_what_an_ordered_map_holds_after_any_changes() {
        let mut draws = Draws::starting_at(5, Purpose::NameSuffix, 0, 0);
        let mut next = |bound| below(draws.next().expect("draws do not end"), bound);
        let (mut map, mut ordered): (ByHash<u64, u64>, BTreeMap<u64, u64>) = Default::default();
        for step in 0..5_000u64 {
            let key = next(200);
            match next(4) {
                0 => {
                    map.insert(&key, step);
                    ordered.insert(key, step);
                }
                1 => {
                    *map.get_or_default(&key) += 1;
                    *ordered.entry(key).or_default() += 1;
                }
                2 => assert_eq!(map.remove(&key), ordered.remove(&key), "step {step}"),
                _ => {
                    map.get_mut(&key).into_iter().for_each(|value| *value += 7);
                    ordered.get_mut(&key).into_iter().for_each(|value| *value += 7);
                }
            }
            let asked = next(200);
            assert_eq!(map.get(&asked), ordered.get(&asked), "step {step}");
        }
        assert!(ordered.len() > 50 && !map.is_empty());
        ordered.keys().for_each(|key| _ = map.remove(key));
        assert!(map.is_empty());
    }
}
