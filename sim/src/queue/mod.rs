//! The event queue: which event comes next, and nothing else.
//!
//! An entry is an [`EventKey`] and a `u32` slot that means something only to its owner (an index into a typed slab).
//! Entries are 24 bytes and plain data, so a queue can be snapshotted, hashed and printed.
//!
//! Two structures answer the same calls. [`WheelQueue`] is the fast one that the simulator runs on. [`HeapQueue`] is a
//! binary heap: too simple to be wrong, it is the reference that the wheel is tested and measured against.
//!
//! Invariant: of the pending entries the one with the lowest key is popped, so times never go back, and both structures
//! pop the same entries in the same order. Invariant: nothing is pushed for a time before that of the last popped
//! entry; that would be an effect before its cause, and it panics. An event without a delay may have a lower key than
//! the event that causes it (another class or source): it becomes the next one among those that are pending. Keys are
//! meant to be unique; the order of entries with equal keys is by slot.
//!
//! [`TieOrder`] decides what stands in a key after time and class. It is a layer above the structures, which compare
//! keys and do not know what they are made of.
//!
//! Absent on purpose: cancellation (a stale event is recognised by its owner when it comes up), and any notion of what
//! an event does.

mod heap;
mod key;
#[cfg(test)]
mod tests;
mod wheel;

pub use heap::HeapQueue;
pub use key::{EventKey, Source, TieOrder};
pub use wheel::WheelQueue;

/// A queue of events by key.
pub trait EventQueue {
    /// Adds an event.
    ///
    /// Panics if `key` has a time before that of the last popped key.
    fn push(&mut self, key: EventKey, slot: u32);

    /// Takes the event with the lowest key.
    fn pop(&mut self) -> Option<(EventKey, u32)>;

    /// The lowest key, without taking it. It may reorganise the queue, never what is in it.
    fn peek_key(&mut self) -> Option<EventKey>;

    /// How many events are pending.
    fn len(&self) -> usize;

    /// The time of the next event, in nanoseconds since the start of the simulation.
    fn peek_time(&mut self) -> Option<u64> {
        self.peek_key().map(EventKey::time)
    }

    /// Whether no event is pending.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What the structures store. The derived order would compare field by field; [`Entry::rank`] compares in two steps
/// without a branch per field, which is what most of the time of a sort goes into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    key: EventKey,
    slot: u32,
}

const _: () = assert!(size_of::<Entry>() == 24, "an entry is key, slot and padding to eight bytes");

impl Ord for Entry {
    /// Reversed, so that the greatest entry of a max-heap or the last of a sorted bucket is the next event.
    #[inline]
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        other.key.rank().cmp(&self.key.rank()).then_with(|| other.slot.cmp(&self.slot))
    }
}

impl PartialOrd for Entry {
    #[inline]
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
