//! Event keys: when an event happens, and which of the simultaneous ones goes first.
//!
//! The order is part of the model: changing it changes results.

/// The place of an event in the order of all events: time, then class, then source, then the source's own count.
///
/// The count is the *source's*, not the queue's, so that the order of simultaneous events does not depend on the order
/// in which the simulator happened to create them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventKey {
    /// Nanoseconds since the start of the simulation.
    time_ns: u64,
    /// Class in the top eight bits, then the upper 24 bits of the tie.
    class_and_tie: u32,
    /// The lower 32 bits of the tie.
    tie: u32,
}

/// Who schedules an event: a number below 2^24, dense per simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(u32);

/// How simultaneous events of one class are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TieOrder {
    /// By source, then by the source's own count.
    #[default]
    Canonical,
    /// By a permutation of (source, count) that depends on this seed: the same events at the same times, in another
    /// order where the model does not fix one, so a rule that holds must hold under every seed. Simultaneous events of
    /// *one* source are shuffled too, except by a source that promises their order ([`TieOrder::key_in_order`]).
    Mixed(u64),
}

/// Bits of the tie: 24 of the source and 32 of its count.
const TIE_BITS: u32 = 56;
const TIE_MASK: u64 = (1 << TIE_BITS) - 1;

impl EventKey {
    /// The lowest key.
    pub const MIN: EventKey = EventKey { time_ns: 0, class_and_tie: 0, tie: 0 };

    /// Time in nanoseconds since the start of the simulation.
    #[inline]
    pub fn time(self) -> u64 {
        self.time_ns
    }

    /// The class; lower ones come first among simultaneous events.
    #[inline]
    pub fn class(self) -> u8 {
        (self.class_and_tie >> 24) as u8
    }

    /// The whole key as one number in key order.
    #[inline]
    pub(super) fn rank(self) -> u128 {
        u128::from(self.time_ns) << 64 | u128::from(self.class_and_tie) << 32 | u128::from(self.tie)
    }
}

impl Ord for EventKey {
    #[inline]
    fn cmp(&self, other: &EventKey) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for EventKey {
    #[inline]
    fn partial_cmp(&self, other: &EventKey) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Source {
    /// Sources there can be.
    pub const COUNT_MAX: u32 = 1 << 24;

    /// Panics if `index` is 2^24 or more.
    pub fn new(index: u32) -> Source {
        assert!(index < Source::COUNT_MAX, "a source is a 24-bit number: {index}");
        Source(index)
    }

    /// The number it was made from.
    pub fn index(self) -> u32 {
        self.0
    }
}

impl TieOrder {
    /// The key of the `count`-th event of `source`, due `time_ns` nanoseconds after the start of the simulation.
    ///
    /// Different (source, count) pairs give different keys in both orders.
    #[inline]
    pub fn key(self, time_ns: u64, class: u8, source: Source, count: u32) -> EventKey {
        let tie = u64::from(source.0) << 32 | u64::from(count);
        let tie = match self {
            TieOrder::Canonical => tie,
            TieOrder::Mixed(seed) => mix(seed, tie),
        };
        EventKey { time_ns, class_and_tie: u32::from(class) << 24 | (tie >> 32) as u32, tie: tie as u32 }
    }

    /// The same for a source whose events keep their order: only the sources are permuted. A link's messages are keyed
    /// so, with the link as their source, because they do not overtake each other.
    #[inline]
    pub fn key_in_order(self, time_ns: u64, class: u8, source: Source, count: u32) -> EventKey {
        let source = match self {
            TieOrder::Canonical => source.0,
            TieOrder::Mixed(seed) => mix_source(seed, source.0),
        };
        EventKey { time_ns, class_and_tie: u32::from(class) << 24 | source, tie: count }
    }
}

/// A permutation of the 24-bit numbers; see [`mix`].
fn mix_source(seed: u64, source: u32) -> u32 {
    const MASK: u32 = Source::COUNT_MAX - 1;
    let (first, second) = (finish(seed) as u32, finish(!seed) as u32);
    let mut source = source.wrapping_add(first) & MASK;
    source ^= source >> 12;
    source = source.wrapping_mul(0x2c_1b3d) & MASK;
    source ^= source >> 11;
    source = source.wrapping_add(second) & MASK;
    source = source.wrapping_mul(0x29_7a2d) & MASK;
    source ^ source >> 13
}

/// A permutation of the 56-bit numbers. Each step can be undone (adding, multiplying by an odd number modulo 2^56,
/// folding the upper half onto the lower), which is what keeps keys unique. The multipliers are those of SplitMix64's
/// finisher.
fn mix(seed: u64, tie: u64) -> u64 {
    // The seed enters twice, once per half, so that two seeds differ by more than one rotation of the same order.
    let (first, second) = (finish(seed), finish(!seed));
    let mut tie = tie.wrapping_add(first) & TIE_MASK;
    tie ^= tie >> 28;
    tie = tie.wrapping_mul(0xbf58_476d_1ce4_e5b9) & TIE_MASK;
    tie ^= tie >> 27;
    tie = tie.wrapping_add(second) & TIE_MASK;
    tie = tie.wrapping_mul(0x94d0_49bb_1331_11eb) & TIE_MASK;
    tie ^ tie >> 29
}

fn finish(seed: u64) -> u64 {
    let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}
