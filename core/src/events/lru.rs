//! A map that forgets what was used longest ago when it holds too much.

use std::collections::BTreeMap;

/// How much a recorder remembers of each kind (`maxLruCacheEntries`).
const ENTRIES_MAX: usize = 4096;

/// A map of at most 4096 entries.
#[derive(Clone, Debug)]
pub(super) struct Lru<K, V> {
    entries: BTreeMap<K, (V, u64)>,
    /// The keys by when they were last used.
    uses: BTreeMap<u64, K>,
    clock: u64,
}

impl<K, V> Default for Lru<K, V> {
    fn default() -> Self {
        Lru { entries: BTreeMap::new(), uses: BTreeMap::new(), clock: 0 }
    }
}

impl<K: Ord + Clone, V: Default> Lru<K, V> {
    /// What is under a key, for reading and writing; a new entry if there is none. This is a use of the key.
    pub(super) fn entry(&mut self, key: &K) -> &mut V {
        self.clock += 1;
        let clock = self.clock;
        let known = match self.entries.get_mut(key) {
            Some((_, used)) => {
                self.uses.remove(used);
                *used = clock;
                true
            }
            None => false,
        };
        self.uses.insert(clock, key.clone());
        if !known {
            self.entries.insert(key.clone(), (V::default(), clock));
            if self.entries.len() > ENTRIES_MAX
                && let Some((_, oldest)) = self.uses.pop_first()
            {
                self.entries.remove(&oldest);
            }
        }
        &mut self.entries.get_mut(key).expect("the entry was just found or made").0
    }
}
