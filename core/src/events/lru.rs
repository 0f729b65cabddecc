//! A map that forgets what was used longest ago when it holds too much.
//!
//! Every event that is said looks up three of these, most of them without finding anything: a use must cost no more
//! than finding the key, so the order of uses is a list through the slots and not a second map.

use crate::store::hash_index::HashIndex;

/// How much a recorder remembers of each kind (`maxLruCacheEntries`).
const ENTRIES_MAX: usize = 4096;

/// No slot.
const NONE: usize = usize::MAX;

/// A map of at most 4096 entries.
#[derive(Clone, Debug)]
pub(super) struct Lru<K, V> {
    places: HashIndex,
    slots: Vec<Slot<K, V>>,
    /// The slot that was used last, and the one that was used longest ago.
    newest: usize,
    oldest: usize,
}

#[derive(Clone, Debug)]
struct Slot<K, V> {
    hash: u64,
    key: K,
    value: V,
    /// The slots that were used next after this one and last before it.
    after: usize,
    before: usize,
}

impl<K, V> Default for Lru<K, V> {
    fn default() -> Self {
        Lru { places: HashIndex::default(), slots: Vec::new(), newest: NONE, oldest: NONE }
    }
}

impl<K, V: Default> Lru<K, V> {
    /// The place of a key with this hash; a new entry's if there is none. This is a use of the key, which is made only
    /// for a new entry. The place stays the key's until another key is used.
    pub(super) fn place_of(&mut self, hash: u64, is: impl Fn(&K) -> bool, make: impl FnOnce() -> K) -> usize {
        let known = self.places.get(hash).map(|place| place as usize).find(|place| is(&self.slots[*place].key));
        let place = match known {
            Some(place) => {
                self.unlink(place);
                place
            }
            None => self.insert(hash, make()),
        };
        self.link(place);
        place
    }

    /// What is at a place, for reading and writing.
    pub(super) fn at(&mut self, place: usize) -> &mut V {
        &mut self.slots[place].value
    }

    /// A slot for a new key: that of the oldest one if there are enough.
    fn insert(&mut self, hash: u64, key: K) -> usize {
        let slot = Slot { hash, key, value: V::default(), after: NONE, before: NONE };
        let place = if self.slots.len() < ENTRIES_MAX {
            self.slots.push(slot);
            self.slots.len() - 1
        } else {
            let place = self.oldest;
            self.unlink(place);
            self.places.remove(self.slots[place].hash, place as u32);
            self.slots[place] = slot;
            place
        };
        self.places.insert(hash, place as u32);
        place
    }

    /// Takes a slot out of the order.
    fn unlink(&mut self, place: usize) {
        let (after, before) = (self.slots[place].after, self.slots[place].before);
        match self.slots.get_mut(after) {
            Some(slot) => slot.before = before,
            None => self.newest = before,
        }
        match self.slots.get_mut(before) {
            Some(slot) => slot.after = after,
            None => self.oldest = after,
        }
    }

    /// Puts a slot at the end of the order, as the one that was used last.
    fn link(&mut self, place: usize) {
        let before = std::mem::replace(&mut self.newest, place);
        (self.slots[place].after, self.slots[place].before) = (NONE, before);
        match self.slots.get_mut(before) {
            Some(slot) => slot.after = place,
            None => self.oldest = place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is under a number, whose hash is that of many others.
    fn entry(lru: &mut Lru<u64, u64>, key: u64) -> &mut u64 {
        let place = lru.place_of(key % 512, |other| *other == key, || key);
        lru.at(place)
    }

    #[test]
    fn what_was_used_longest_ago_is_forgotten_first() {
        let mut lru = Lru::default();
        let entries_max = ENTRIES_MAX as u64;
        for key in 0..entries_max {
            *entry(&mut lru, key) = 1;
        }
        // A use keeps the first key; the second is the oldest then.
        assert_eq!(*entry(&mut lru, 0), 1);
        assert_eq!(*entry(&mut lru, entries_max), 0, "a new one");
        assert_eq!(*entry(&mut lru, 0), 1);
        assert_eq!(*entry(&mut lru, 1), 0, "it was forgotten");
        assert_eq!(lru.slots.len(), ENTRIES_MAX);
    }

    #[test]
    fn it_remembers_what_a_list_in_order_of_use_remembers() {
        let mut lru = Lru::default();
        let mut list: Vec<(u64, u64)> = Vec::new();
        for step in 0..20_000u64 {
            let key = step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 51;
            let found = list.iter().position(|(other, _)| *other == key);
            let wanted = found.map_or((key, 0), |place| list.remove(place));
            list.push((key, step));
            if list.len() > ENTRIES_MAX {
                list.remove(0);
            }
            let value = entry(&mut lru, key);
            assert_eq!(*value, wanted.1, "step {step}");
            *value = step;
        }
    }
}
