//! The reference queue: a binary heap of entries.

use std::collections::BinaryHeap;

use super::{Entry, EventKey, EventQueue};

/// A binary heap: push and pop in time logarithmic in the number of pending events.
#[derive(Clone, Debug)]
pub struct HeapQueue {
    entries: BinaryHeap<Entry>,
    /// The time of the last popped entry, in nanoseconds.
    now_ns: u64,
}

impl HeapQueue {
    /// An empty queue at time zero.
    pub fn new() -> HeapQueue {
        HeapQueue { entries: BinaryHeap::new(), now_ns: 0 }
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
        assert!(key.time() >= self.now_ns, "pushed {key:?} before the last popped time {} ns", self.now_ns);
        self.entries.push(Entry { key, slot });
    }

    #[inline]
    fn pop(&mut self) -> Option<(EventKey, u32)> {
        let entry = self.entries.pop()?;
        self.now_ns = entry.key.time();
        Some((entry.key, entry.slot))
    }

    fn peek_key(&mut self) -> Option<EventKey> {
        self.entries.peek().map(|entry| entry.key)
    }

    fn len(&self) -> usize {
        self.entries.len()
    }
}
