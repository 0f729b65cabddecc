//! A list that grows by chunks, so that a long one has no empty half.

use std::ops::{Index, IndexMut};

/// How many entries a chunk has.
const CHUNK: usize = 1_024;

/// A list that never moves an entry, but for those of a first chunk that is not full.
pub(super) struct Chunks<T>(Vec<Vec<T>>);

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Chunks(Vec::new())
    }
}

impl<T> Chunks<T> {
    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * CHUNK + last.len())
    }

    /// The entry at a place.
    pub(super) fn get(&self, place: usize) -> Option<&T> {
        self.0.get(place / CHUNK)?.get(place % CHUNK)
    }

    /// The entry at a place, to change.
    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.0.get_mut(place / CHUNK)?.get_mut(place % CHUNK)
    }

    /// Adds an entry at the end.
    pub(super) fn push(&mut self, entry: T) {
        match self.0.last_mut().filter(|last| last.len() < CHUNK) {
            Some(last) => last.push(entry),
            None => {
                // A table may have few rows; one that has filled a chunk will have more.
                let mut chunk = if self.0.is_empty() { Vec::new() } else { Vec::with_capacity(CHUNK) };
                chunk.push(entry);
                self.0.push(chunk);
            }
        }
    }
}

impl<T> Index<usize> for Chunks<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        &self.0[place / CHUNK][place % CHUNK]
    }
}

impl<T> IndexMut<usize> for Chunks<T> {
    fn index_mut(&mut self, place: usize) -> &mut T {
        &mut self.0[place / CHUNK][place % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_stays_at_its_place() {
        let mut chunks = Chunks::default();
        for place in 0..3 * CHUNK + 5 {
            assert_eq!(chunks.len(), place);
            assert!(chunks.get(place).is_none());
            chunks.push(place);
            chunks[place] += 1;
        }
        assert!((0..chunks.len()).all(|place| chunks[place] == place + 1 && chunks.get(place) == Some(&(place + 1))));
    }
}
