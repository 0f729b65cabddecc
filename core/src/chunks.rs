//! A list in chunks of one size: it grows without moving an entry, has no empty half, and leaves no blocks of all sizes
//! behind in the allocator.

use std::ops::{Index, IndexMut};

/// The size of the chunks of a long list, of which there are few: with an entry for each row of a table, say.
pub const LARGE: usize = 1_024;

/// A list in chunks of `SIZE` entries. Large chunks are not made at once for the first entries: until the first one is
/// full, it grows as a `Vec` does.
#[derive(Clone, Debug)]
pub struct Chunks<T, const SIZE: usize = LARGE>(Vec<Vec<T>>);

impl<T, const SIZE: usize> Default for Chunks<T, SIZE> {
    fn default() -> Self {
        Chunks(Vec::new())
    }
}

impl<T, const SIZE: usize> Chunks<T, SIZE> {
    /// How many entries there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * SIZE + last.len())
    }

    /// Whether there is no entry.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entry at a place.
    #[inline]
    pub fn get(&self, place: usize) -> Option<&T> {
        self.0.get(place / SIZE)?.get(place % SIZE)
    }

    /// The entry at a place, to change.
    #[inline]
    pub fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.0.get_mut(place / SIZE)?.get_mut(place % SIZE)
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }

    /// Adds an entry at the end.
    #[inline]
    pub fn push(&mut self, entry: T) {
        match self.0.last_mut().filter(|last| last.len() < SIZE) {
            Some(last) => last.push(entry),
            None => self.push_chunk(entry),
        }
    }

    fn push_chunk(&mut self, entry: T) {
        let grows = self.0.is_empty() && SIZE >= LARGE;
        let mut chunk = if grows { Vec::new() } else { Vec::with_capacity(SIZE) };
        chunk.push(entry);
        if SIZE < LARGE {
            // There are many lists of small chunks, each with few.
            self.0.reserve_exact(1);
        }
        self.0.push(chunk);
    }

    /// Takes the last entry.
    pub fn pop(&mut self) -> Option<T> {
        let last = self.0.last_mut()?;
        let entry = last.pop();
        if last.is_empty() {
            self.0.pop();
        }
        entry
    }

    /// Takes an entry out; the last one gets its place. Panics if there is no such entry.
    pub fn swap_remove(&mut self, place: usize) -> T {
        let last = self.pop().expect("there is an entry to remove");
        if place == self.len() { last } else { std::mem::replace(&mut self[place], last) }
    }

    /// Takes an entry out; those behind it move up. Panics if there is no such entry.
    pub fn remove(&mut self, place: usize) -> T {
        let chunk = place / SIZE;
        let removed = self.0[chunk].remove(place % SIZE);
        for next in chunk + 1..self.0.len() {
            let first = self.0[next].remove(0);
            self.0[next - 1].push(first);
        }
        if self.0.last().is_some_and(Vec::is_empty) {
            self.0.pop();
        }
        removed
    }

    /// Takes all entries out.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl<T, const SIZE: usize> Index<usize> for Chunks<T, SIZE> {
    type Output = T;

    #[inline]
    fn index(&self, place: usize) -> &T {
        &self.0[place / SIZE][place % SIZE]
    }
}

impl<T, const SIZE: usize> IndexMut<usize> for Chunks<T, SIZE> {
    #[inline]
    fn index_mut(&mut self, place: usize) -> &mut T {
        &mut self.0[place / SIZE][place % SIZE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{Draws, Purpose, below};

    #[test]
    fn every_entry_stays_at_its_place() {
        let mut chunks: Chunks<usize> = Chunks::default();
        for place in 0..3 * LARGE + 5 {
            assert_eq!(chunks.len(), place);
            assert!(chunks.get(place).is_none());
            chunks.push(place);
            chunks[place] += 1;
        }
        assert!((0..chunks.len()).all(|place| chunks[place] == place + 1 && chunks.get(place) == Some(&(place + 1))));
    }

    #[test]
    fn it_is_what_a_list_is_after_any_entries_and_removals() {
        let mut draws = Draws::starting_at(3, Purpose::NameSuffix, 0, 0);
        let mut next = |bound: usize| below(draws.next().expect("draws do not end"), bound as u64) as usize;
        let (mut chunks, mut list): (Chunks<u32, 3>, Vec<u32>) = Default::default();
        let mut longest = 0;
        for entry in 0..3_000 {
            match (next(7), list.len()) {
                (0, 1..) => {
                    let place = next(list.len());
                    assert_eq!(chunks.remove(place), list.remove(place));
                }
                (1, 1..) => {
                    let place = next(list.len());
                    assert_eq!(chunks.swap_remove(place), list.swap_remove(place));
                }
                (2, _) => assert_eq!(chunks.pop(), list.pop()),
                (3, 20..) => {
                    chunks.clear();
                    list.clear();
                }
                _ => {
                    chunks.push(entry);
                    list.push(entry);
                }
            }
            assert!(chunks.iter().eq(&list), "after {entry} changes");
            assert_eq!((chunks.len(), chunks.is_empty()), (list.len(), list.is_empty()));
            longest = longest.max(list.len());
        }
        assert!(longest > 9, "several chunks were in use: {longest}");
    }
}
