//! The fast queue: a two-level timing wheel of unsorted buckets with an overflow heap.
//!
//! Time is cut into *spans* of 0.54 s, and each span into 4096 *ticks* of 131 us. The entries are kept in four places:
//!
//! | place | what is in it | order within |
//! |---|---|---|
//! | current tick | entries of the tick that events are popped from, and of any tick before it | sorted once, plus a small heap of latecomers |
//! | near | the later ticks of the current span, a bucket each | none |
//! | far | the next 8191 spans (73 min), a bucket each | none |
//! | overflow | everything later | heap |
//!
//! A push appends to a bucket. When the current tick is used up, the next filled bucket becomes current and is sorted.
//! When the span is used up, the next filled span is dealt out over the ticks, and what has come within 73 min leaves
//! the overflow heap. Bit maps find the next filled bucket in a few instructions, however long the empty stretch.
//!
//! The widths suit a cluster: a network hop (up to 10 ms) usually lands in the near buckets and is moved once; a timer
//! or heartbeat (1 to 10 s) lands in the far ones and is moved twice; a garbage collection or certificate renewal in an
//! hour or a day goes through the heap, where it costs what a heap costs, and is rare. No distribution is a bad case:
//! when everything falls into one tick it is one sort, and what arrives in the current tick afterwards is a heap.
//!
//! Invariant: `near` holds only ticks after the current one, `far` only spans after the current one and fewer than
//! `FAR_BUCKETS` away, `overflow` only spans at least that far away. Hence each place is used up before the next.

use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::{Entry, EventKey, EventQueue};

/// A tick is 2^17 ns (131 us).
const TICK_BITS: u32 = 17;
/// A span is 2^12 ticks, 2^29 ns (0.54 s).
const NEAR_BITS: u32 = 12;
const NEAR_BUCKETS: usize = 1 << NEAR_BITS;
const FAR_BITS: u32 = 13;
const FAR_BUCKETS: usize = 1 << FAR_BITS;
const SPAN_BITS: u32 = TICK_BITS + NEAR_BITS;

/// A bucket that is emptied hands its memory to the next one that is filled, unless there is room for more entries in
/// it than this, so that a burst cannot leave large ones behind.
const SPARE_ENTRIES_MAX: usize = 64;
/// For how many entries there is room at most in what waits for a bucket: 1.5 MB.
const SPARE_ENTRIES_SUM_MAX: usize = 1 << 16;
/// The latecomers' memory is given back at the next tick if there is room for more entries in it than this.
const LATE_ENTRIES_MAX: usize = 1 << 12;

/// A timing wheel: push and pop in constant time on any mix without heavy overflow, and never worse than a heap by more
/// than a constant factor.
#[derive(Clone, Debug)]
pub struct WheelQueue {
    /// Sorted so that the next entry is the last.
    current: Vec<Entry>,
    /// Entries that came for the current tick, or a tick before it, after it was sorted.
    late: BinaryHeap<Entry>,
    current_tick: u64,
    /// The near buckets, then the far ones. One array, so that a push picks its bucket without a branch: near or far is
    /// close to a coin toss, and a wrong guess of the processor costs as much as the push.
    buckets: Vec<Vec<Entry>>,
    filled: BitMap,
    spare: Spare,
    overflow: BinaryHeap<Entry>,
    len: usize,
    /// The time of the last popped entry, in nanoseconds.
    now_ns: u64,
}

impl WheelQueue {
    /// An empty queue at time zero.
    pub fn new() -> WheelQueue {
        WheelQueue {
            current: Vec::new(),
            late: BinaryHeap::new(),
            current_tick: 0,
            buckets: vec![Vec::new(); NEAR_BUCKETS + FAR_BUCKETS],
            filled: BitMap::new(NEAR_BUCKETS + FAR_BUCKETS),
            spare: Spare::default(),
            overflow: BinaryHeap::new(),
            len: 0,
            now_ns: 0,
        }
    }

    /// Puts an entry where its time belongs, as seen from the current tick.
    #[inline]
    fn place(&mut self, entry: Entry) {
        let tick = entry.key.time() >> TICK_BITS;
        // A look at the next key can have moved the current tick past the last popped time, so a legal push may be for
        // an earlier tick. It is among the next ones to be popped, like a latecomer of the current tick.
        if tick <= self.current_tick {
            self.late.push(entry);
        } else {
            self.place_in_bucket(entry, tick);
        }
    }

    #[inline]
    fn place_in_bucket(&mut self, entry: Entry, tick: u64) {
        let span = tick >> NEAR_BITS;
        let spans_ahead = span - (self.current_tick >> NEAR_BITS);
        if spans_ahead < FAR_BUCKETS as u64 {
            let bucket = std::hint::select_unpredictable(spans_ahead == 0, near_bucket(tick), far_bucket(span));
            let entries = &mut self.buckets[bucket];
            if entries.len() == entries.capacity() {
                self.spare.make_room(entries);
            }
            entries.push(entry);
            self.filled.set(bucket);
        } else {
            self.overflow.push(entry);
        }
    }

    /// Makes the next filled tick current, if the current one is used up and another is left.
    #[inline]
    fn settle(&mut self) {
        if self.current.is_empty() && self.late.is_empty() && self.len > 0 {
            self.advance();
        }
    }

    #[cold]
    fn advance(&mut self) {
        loop {
            if let Some(bucket) = self.filled.next_set(near_bucket(self.current_tick), NEAR_BUCKETS) {
                self.enter_tick(bucket);
                return;
            }
            self.enter_next_span();
        }
    }

    fn enter_tick(&mut self, bucket: usize) {
        assert!(self.current.is_empty() && self.late.is_empty(), "a tick is used up before the next begins");
        let used_up = std::mem::replace(&mut self.current, std::mem::take(&mut self.buckets[bucket]));
        self.spare.take(used_up);
        if self.late.capacity() > LATE_ENTRIES_MAX {
            self.late = BinaryHeap::new();
        }
        self.filled.clear(bucket);
        self.current_tick = self.current_tick & !(NEAR_BUCKETS as u64 - 1) | bucket as u64;
        self.current.sort_unstable();
    }

    /// Moves on to the next filled span and deals it out. Its first tick counts as current from here on, but its
    /// entries are in a bucket like those of the others, so that they are sorted and not heaped up.
    fn enter_next_span(&mut self) {
        let span = self.current_tick >> NEAR_BITS;
        // Everything in overflow is later than everything in far.
        let end = NEAR_BUCKETS + FAR_BUCKETS;
        let ahead = self.filled.next_set(far_bucket(span), end).or_else(|| self.filled.next_set(NEAR_BUCKETS, end));
        let next = match ahead {
            Some(bucket) => span + (bucket.wrapping_sub(far_bucket(span)) as u64 & (FAR_BUCKETS as u64 - 1)),
            None => self.overflow.peek().expect("pending entries are somewhere").key.time() >> SPAN_BITS,
        };
        assert!(next > span, "the next span comes after the current one: {next} > {span}");
        self.current_tick = next << NEAR_BITS;
        let bucket = far_bucket(next);
        self.filled.clear(bucket);
        let mut entries = std::mem::take(&mut self.buckets[bucket]);
        for entry in entries.drain(..) {
            self.place_in_bucket(entry, entry.key.time() >> TICK_BITS);
        }
        self.spare.take(entries);
        while let Some(entry) = pop_before_span(&mut self.overflow, next + FAR_BUCKETS as u64) {
            self.place_in_bucket(entry, entry.key.time() >> TICK_BITS);
        }
    }

    /// For how many entries there is room, used or not.
    #[cfg(test)]
    pub(super) fn entries_kept(&self) -> usize {
        let buckets = self.buckets.iter().chain([&self.current]);
        buckets.map(Vec::capacity).sum::<usize>() + self.spare.room + self.late.capacity() + self.overflow.capacity()
    }

    /// Whether the next entry is the latecomers' first rather than the sorted tick's.
    #[inline]
    fn late_is_next(&self) -> bool {
        match (self.late.peek(), self.current.last()) {
            (Some(late), Some(sorted)) => late > sorted,
            (late, _) => late.is_some(),
        }
    }
}

impl Default for WheelQueue {
    fn default() -> WheelQueue {
        WheelQueue::new()
    }
}

impl EventQueue for WheelQueue {
    #[inline]
    fn push(&mut self, key: EventKey, slot: u32) {
        assert!(key.time() >= self.now_ns, "pushed {key:?} before the last popped time {} ns", self.now_ns);
        self.len += 1;
        self.place(Entry { key, slot });
    }

    #[inline]
    fn pop(&mut self) -> Option<(EventKey, u32)> {
        self.settle();
        let entry = if self.late_is_next() { self.late.pop() } else { self.current.pop() }?;
        self.len -= 1;
        self.now_ns = entry.key.time();
        Some((entry.key, entry.slot))
    }

    fn peek_key(&mut self) -> Option<EventKey> {
        self.settle();
        let entry = if self.late_is_next() { self.late.peek() } else { self.current.last() }?;
        Some(entry.key)
    }

    fn len(&self) -> usize {
        self.len
    }
}

/// The heap's next entry, if it belongs to a span before `end`.
fn pop_before_span(overflow: &mut BinaryHeap<Entry>, end: u64) -> Option<Entry> {
    let first = overflow.peek_mut().filter(|first| first.key.time() >> SPAN_BITS < end)?;
    Some(PeekMut::pop(first))
}

#[inline]
fn near_bucket(tick: u64) -> usize {
    tick as usize & (NEAR_BUCKETS - 1)
}

#[inline]
fn far_bucket(span: u64) -> usize {
    NEAR_BUCKETS + (span as usize & (FAR_BUCKETS - 1))
}

/// The memory of buckets that were emptied, for those that are filled next: the newest first, which the processor's
/// caches still have.
#[derive(Clone, Debug, Default)]
struct Spare {
    lists: Vec<Vec<Entry>>,
    /// For how many entries there is room in all of them.
    room: usize,
}

impl Spare {
    /// Takes what an emptied bucket had.
    fn take(&mut self, list: Vec<Entry>) {
        let room = list.capacity();
        if room > 0 && room <= SPARE_ENTRIES_MAX && self.room + room <= SPARE_ENTRIES_SUM_MAX {
            self.room += room;
            self.lists.push(list);
        }
    }

    /// A list is full: if it has no memory at all, it gets that of another one. Else it grows by itself.
    #[cold]
    fn make_room(&mut self, list: &mut Vec<Entry>) {
        if list.capacity() == 0
            && let Some(spare) = self.lists.pop()
        {
            self.room -= spare.capacity();
            *list = spare;
        }
    }
}

/// Which buckets have entries: a bit each, and a bit for each 64 of those.
#[derive(Clone, Debug)]
struct BitMap {
    bits: Vec<u64>,
    summary: Vec<u64>,
}

impl BitMap {
    fn new(size: usize) -> BitMap {
        assert!(size.is_multiple_of(64 * 64), "whole summary words only: {size}");
        BitMap { bits: vec![0; size / 64], summary: vec![0; size / (64 * 64)] }
    }

    #[inline]
    fn set(&mut self, index: usize) {
        self.bits[index / 64] |= 1 << (index % 64);
        self.summary[index / (64 * 64)] |= 1 << (index / 64 % 64);
    }

    fn clear(&mut self, index: usize) {
        let word = &mut self.bits[index / 64];
        *word &= !(1 << (index % 64));
        if *word == 0 {
            self.summary[index / (64 * 64)] &= !(1 << (index / 64 % 64));
        }
    }

    /// The first set bit in `from..end`.
    fn next_set(&self, from: usize, end: usize) -> Option<usize> {
        let first = self.bits.get(from / 64)? & u64::MAX << (from % 64);
        let index = if first != 0 {
            from / 64 * 64 + first.trailing_zeros() as usize
        } else {
            let word = next_bit(&self.summary, from / 64 + 1)?;
            word * 64 + self.bits[word].trailing_zeros() as usize
        };
        (index < end).then_some(index)
    }
}

/// The first set bit of `words` at `from` or after it.
fn next_bit(words: &[u64], from: usize) -> Option<usize> {
    let mut kept = u64::MAX << (from % 64);
    for (index, word) in words.iter().enumerate().skip(from / 64) {
        let left = word & kept;
        if left != 0 {
            return Some(index * 64 + left.trailing_zeros() as usize);
        }
        kept = u64::MAX;
    }
    None
}
