//! The reference queue: a binary heap of entries.

use std::collections::BinaryHeap;

use super::{Entry, EventKey, EventQueue};

/// A binary heap: push and pop in time logarithmic in the number of pending events.
#[derive(Clone, Debug)]
pub struct HeapQueue {
    entries: BinaryHeap<Entry>,
    last_popped: EventKey,
}

impl HeapQueue {
    /// An empty queue at time zero.
    pub fn new() -> HeapQueue {
        HeapQueue { entries: BinaryHeap::new(), last_popped: EventKey::MIN }
    }
}

impl Default for HeapQueue {
    fn default() -> HeapQueue {
        HeapQueue::new()
    }
}

impl EventQueue for HeapQueue {
    #[inline]
    fn push(&mut self, key: EventKey, slot: u32) {
        assert!(key >= self.last_popped, "pushed {key:?} before the last popped {:?}", self.last_popped);
        self.entries.push(Entry { key, slot });
    }

    #[inline]
    fn pop(&mut self) -> Option<(EventKey, u32)> {
        let entry = self.entries.pop()?;
        self.last_popped = entry.key;
        Some((entry.key, entry.slot))
    }

    fn peek_key(&mut self) -> Option<EventKey> {
        self.entries.peek().map(|entry| entry.key)
    }

    fn len(&self) -> usize {
        self.entries.len()
    }
}
