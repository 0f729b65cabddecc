//! Slots by a hash: a table of numbers with open addressing, for look-ups that come before every write.
//!
//! Nothing ever goes through its entries, so their order means nothing and results depend on no hash. Invariant: at
//! most three quarters of the places are taken, and no empty place lies between an entry and the place that its hash
//! names.

/// An entry; [`EMPTY`] is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Entry {
    hash: u32,
    slot: u32,
}

const EMPTY: Entry = Entry { hash: 0, slot: u32::MAX };

/// The fewest places.
const PLACES_MIN: usize = 16;

/// Slots by hash; several slots may have one.
#[derive(Clone, Debug, Default)]
pub(crate) struct HashIndex {
    /// A power of two, or none at all.
    places: Vec<Entry>,
    entries: usize,
}

impl HashIndex {
    /// The slots under a hash, and perhaps a few of others: the reader compares what it looks for.
    #[inline]
    pub(crate) fn get(&self, hash: u64) -> Slots<'_> {
        let hash = hash as u32;
        Slots { places: &self.places, hash, place: hash as usize & self.places.len().wrapping_sub(1) }
    }

    /// Enters a slot under a hash.
    pub(crate) fn insert(&mut self, hash: u64, slot: u32) {
        assert!(slot != EMPTY.slot, "a table has fewer than 2^32 rows");
        if (self.entries + 1) * 4 > self.places.len() * 3 {
            self.grow();
        }
        self.entries += 1;
        self.put(Entry { hash: hash as u32, slot });
    }

    /// Takes a slot out. Panics if it is not there.
    pub(crate) fn remove(&mut self, hash: u64, slot: u32) {
        let wanted = Entry { hash: hash as u32, slot };
        let mask = self.places.len() - 1;
        let home = wanted.hash as usize;
        let mut places = (0..self.places.len()).map(|step| home.wrapping_add(step) & mask);
        let mut hole = places.find(|place| self.places[*place] == wanted).expect("the slot was entered");
        self.entries -= 1;
        // Entries behind the hole move up unless that would put one before the place that its hash names.
        let mut place = hole;
        loop {
            place = (place + 1) & mask;
            let entry = self.places[place];
            if entry == EMPTY {
                break;
            }
            let (from_home, from_hole) = (place.wrapping_sub(entry.hash as usize), place.wrapping_sub(hole));
            if from_home & mask >= from_hole & mask {
                self.places[hole] = entry;
                hole = place;
            }
        }
        self.places[hole] = EMPTY;
    }

    fn put(&mut self, entry: Entry) {
        let mask = self.places.len() - 1;
        let mut place = entry.hash as usize & mask;
        while self.places[place] != EMPTY {
            place = (place + 1) & mask;
        }
        self.places[place] = entry;
    }

    fn grow(&mut self) {
        let places = (2 * self.places.len()).max(PLACES_MIN);
        let before = std::mem::replace(&mut self.places, vec![EMPTY; places]);
        before.into_iter().filter(|entry| *entry != EMPTY).for_each(|entry| self.put(entry));
    }
}

/// The slots of one hash. They end at the first empty place, and there always is one.
pub(crate) struct Slots<'a> {
    places: &'a [Entry],
    hash: u32,
    place: usize,
}

impl Iterator for Slots<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        loop {
            // A table without entries has no places at all.
            let entry = self.places.get(self.place).filter(|entry| entry.slot != EMPTY.slot)?;
            self.place = (self.place + 1) & (self.places.len() - 1);
            if entry.hash == self.hash {
                return Some(entry.slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::draw::{Draws, Purpose, below};

    #[test]
    fn it_finds_what_a_set_of_pairs_finds_after_any_entries_and_removals() {
        let mut draws = Draws::starting_at(3, Purpose::NameSuffix, 0, 0);
        let mut next = |bound| below(draws.next().expect("draws do not end"), bound);
        let (mut index, mut pairs) = (HashIndex::default(), BTreeSet::new());
        for slot in 0..4_000u32 {
            // Few hashes, some of which wrap around the end of the table: chains grow long and meet.
            let hash = if next(2) == 0 { next(40) } else { u64::MAX - next(40) };
            if next(3) > 0 {
                index.insert(hash, slot);
                pairs.insert((hash, slot));
            } else if let Some(pair) = pairs.iter().nth(next(pairs.len().max(1) as u64) as usize).copied() {
                index.remove(pair.0, pair.1);
                pairs.remove(&pair);
            }
            let found: BTreeSet<u32> = index.get(hash).collect();
            let wanted = pairs.range((hash, 0)..=(hash, u32::MAX)).map(|(_, slot)| *slot).collect();
            assert_eq!(found, wanted, "after {slot} changes");
        }
        assert!(pairs.len() > 500, "the table has grown: {}", pairs.len());
    }
}
