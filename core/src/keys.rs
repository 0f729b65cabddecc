//! The keys of a short list that is searched by uid: the last bits of the uids, which lie together, so that a search
//! through a machine's hundred pods touches a few cache lines.

use crate::growth::make_room;
use crate::id::Uid;

/// Room for so many keys at least is made at once: a cache line.
const KEYS_MIN: usize = 16;
/// So many keys are compared at a time.
const BLOCK: usize = 8;

/// The keys of a list's entries, in the list's order. Whoever changes the list changes them alike.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<u32>);

impl Keys {
    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first place with the uid's key that `is_it` agrees to.
    #[inline]
    pub fn place(&self, uid: Uid, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let key = key_of(uid);
        let within = |keys: &[u32], from: usize| {
            let mut places = (from..).zip(keys).filter(|(_, other)| **other == key).map(|(place, _)| place);
            places.find(|place| is_it(*place))
        };
        let (blocks, rest) = self.0.as_chunks::<BLOCK>();
        for (number, block) in blocks.iter().enumerate() {
            // Without a way out in the middle, which lets the compiler compare them together.
            if block.iter().fold(false, |found, other| found | (*other == key))
                && let Some(place) = within(block, number * BLOCK)
            {
                return Some(place);
            }
        }
        within(rest, blocks.len() * BLOCK)
    }

    /// An entry has been added at the end.
    #[inline]
    pub fn push(&mut self, uid: Uid) {
        make_room(&mut self.0, KEYS_MIN);
        self.0.push(key_of(uid));
    }

    /// An entry has been taken out, and those behind it have moved up.
    #[inline]
    pub fn remove(&mut self, place: usize) {
        self.0.remove(place);
    }

    /// An entry has been taken out, and the last one has its place.
    #[inline]
    pub fn swap_remove(&mut self, place: usize) {
        self.0.swap_remove(place);
    }

    /// All entries have been taken out.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

fn key_of(uid: Uid) -> u32 {
    uid.low() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_uid_is_found_also_among_others_with_its_key() {
        // The last bits are the same in every fifth.
        let uids: Vec<Uid> = (0..43u128).map(|number| Uid::new(number << 64 | (number % 5))).collect();
        let mut keys = Keys::default();
        for count in 0..uids.len() {
            assert_eq!(keys.len(), count);
            for (place, uid) in uids.iter().enumerate() {
                let found = keys.place(*uid, |place| uids[place] == *uid);
                assert_eq!(found, (place < count).then_some(place), "{place} of {count}");
            }
            keys.push(uids[count]);
        }
        keys.remove(3);
        assert_eq!(keys.place(uids[4], |place| place == 3), Some(3));
        keys.swap_remove(0);
        assert_eq!(keys.place(uids[42], |place| place == 0), Some(0));
    }
}
