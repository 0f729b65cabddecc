//! The wheel against the heap, and what keys promise.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Entry, EventKey, EventQueue, HeapQueue, Source, TieOrder, WheelQueue};

const TICK_NS: u64 = 1 << 17;
const SPAN_NS: u64 = 1 << 29;
/// Where overflow begins, as seen from time zero.
const WHEEL_NS: u64 = SPAN_NS << 13;

fn key(time_ns: u64, class: u8, source: u32, count: u32) -> EventKey {
    TieOrder::Canonical.key(time_ns, class, Source::new(source), count)
}

/// The wheel and its reference; every answer is compared.
#[derive(Default)]
struct Both {
    wheel: WheelQueue,
    heap: HeapQueue,
    last_popped: Option<EventKey>,
    pushed: u32,
}

impl Both {
    fn push(&mut self, key: EventKey) {
        assert!(key.time() >= self.now_ns(), "a test pushes nothing for the past");
        self.wheel.push(key, self.pushed);
        self.heap.push(key, self.pushed);
        self.pushed += 1;
    }

    fn pop(&mut self) -> Option<EventKey> {
        let (popped, expected) = (self.wheel.pop(), self.heap.pop());
        assert_eq!(popped, expected, "wheel, then heap");
        assert_eq!(self.wheel.len(), self.heap.len(), "wheel, then heap");
        let (key, _) = popped?;
        assert!(self.now_ns() <= key.time(), "{key:?} came after {:?}", self.last_popped);
        self.last_popped = Some(key);
        Some(key)
    }

    fn peek(&mut self) {
        assert_eq!(self.wheel.peek_key(), self.heap.peek_key(), "wheel, then heap");
        assert_eq!(self.wheel.is_empty(), self.heap.is_empty(), "wheel, then heap");
    }

    fn now_ns(&self) -> u64 {
        self.last_popped.map_or(0, EventKey::time)
    }

    /// Pops everything; gives back the times.
    fn drain(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.pop()).map(EventKey::time).collect()
    }
}

#[test]
fn simultaneous_events_come_by_class_then_source_then_count() {
    let mut both = Both::default();
    let order = [key(7, 0, 9, 9), key(7, 1, 0, 5), key(7, 1, 3, 1), key(7, 1, 3, 2), key(7, 2, 0, 0), key(8, 0, 0, 0)];
    for key in order.iter().rev() {
        both.push(*key);
    }
    assert_eq!(std::iter::from_fn(|| both.pop()).collect::<Vec<_>>(), order);
}

#[test]
fn an_event_can_be_scheduled_into_the_tick_that_is_being_popped() {
    let mut both = Both::default();
    [10, 30, 50].into_iter().for_each(|time| both.push(key(time, 0, 0, 0)));
    assert_eq!(both.pop().map(EventKey::time), Some(10));
    [20, 30, 60, TICK_NS].into_iter().for_each(|time| both.push(key(time, 0, 1, 0)));
    assert_eq!(both.drain(), [20, 30, 30, 50, 60, TICK_NS]);
}

#[test]
fn a_look_far_ahead_does_not_close_the_time_before_it() {
    let mut both = Both::default();
    both.push(key(5 * WHEEL_NS, 0, 0, 0));
    both.peek();
    [3 * WHEEL_NS, 40, SPAN_NS, 5 * WHEEL_NS - 1].into_iter().for_each(|time| both.push(key(time, 0, 1, 0)));
    both.peek();
    assert_eq!(both.drain(), [40, SPAN_NS, 3 * WHEEL_NS, 5 * WHEEL_NS - 1, 5 * WHEEL_NS]);
}

#[test]
fn every_edge_of_ticks_spans_and_overflow_keeps_the_order() {
    let mut both = Both::default();
    let mut times = BTreeSet::new();
    for width in [TICK_NS, SPAN_NS, WHEEL_NS] {
        for multiple in [1, 2, 63, 64, 65, 4095, 4096, 4097, 8191, 8192, 8193] {
            times.extend([width * multiple - 1, width * multiple, width * multiple + 1]);
        }
    }
    times.extend([0, 1, u64::MAX - 1, u64::MAX]);
    times.iter().rev().for_each(|time| both.push(key(*time, 0, 0, 0)));
    assert_eq!(both.drain(), Vec::from_iter(times));
}

#[test]
fn events_from_overflow_and_wheel_meet_in_one_span() {
    let mut both = Both::default();
    both.push(key(WHEEL_NS + 5, 0, 0, 0));
    both.push(key(SPAN_NS, 0, 0, 0));
    assert_eq!(both.pop().map(EventKey::time), Some(SPAN_NS));
    both.push(key(WHEEL_NS + 3, 0, 0, 0));
    both.push(key(WHEEL_NS + 7, 0, 0, 0));
    assert_eq!(both.drain(), [WHEEL_NS + 3, WHEEL_NS + 5, WHEEL_NS + 7]);
}

#[test]
fn a_burst_at_one_instant_comes_out_in_order_and_leaves_little_memory_behind() {
    let mut both = Both::default();
    for burst in 1..=3 {
        (0..20_000).for_each(|source| both.push(key(burst * SPAN_NS, 1, source ^ 0x2a5a, 0)));
    }
    assert_eq!(both.drain().len(), 60_000);
    both.push(key(4 * SPAN_NS, 0, 0, 0));
    both.push(key(4 * SPAN_NS + TICK_NS, 0, 0, 0));
    both.drain();
    let kept = both.wheel.entries_kept();
    assert!(kept < 100, "room for {kept} entries is kept");
}

#[test]
fn buckets_hand_their_memory_on_and_keep_little_of_it() {
    let mut both = Both::default();
    // Few are pending at any time, but each bucket has its turn.
    for tick in 1..10_000 {
        (0..50).for_each(|source| both.push(key(tick * TICK_NS + source, 0, 0, 0)));
        assert_eq!(both.drain().len(), 50);
    }
    let kept = both.wheel.entries_kept();
    assert!(kept < 500, "room for {kept} entries is kept after a few");
    // All are filled at once.
    let from = 10_000;
    for tick in from..from + 4 * SPAN_NS / TICK_NS {
        (0..50).for_each(|source| both.push(key(tick * TICK_NS + source, 0, 0, 0)));
    }
    both.drain();
    let kept = both.wheel.entries_kept();
    assert!(kept < 70_000, "room for {kept} entries is kept after many");
}

#[test]
#[should_panic(expected = "before the last popped time")]
fn the_wheel_refuses_an_effect_before_its_cause() {
    let mut queue = WheelQueue::new();
    queue.push(key(5, 1, 0, 0), 0);
    queue.pop();
    queue.push(key(4, 1, 0, 0), 1);
}

#[test]
#[should_panic(expected = "before the last popped time")]
fn the_heap_refuses_an_effect_before_its_cause() {
    let mut queue = HeapQueue::new();
    queue.push(key(5, 1, 0, 0), 0);
    queue.pop();
    queue.push(key(4, 1, 0, 0), 1);
}

#[test]
fn an_effect_without_delay_is_the_next_among_the_pending_even_if_its_key_is_below_its_causes() {
    let mut both = Both::default();
    [key(5, 2, 3, 4), key(5, 3, 0, 0), key(6, 0, 0, 0)].into_iter().for_each(|key| both.push(key));
    assert_eq!(both.pop(), Some(key(5, 2, 3, 4)));
    [key(5, 2, 9, 0), key(5, 0, 9, 9)].into_iter().for_each(|key| both.push(key));
    let rest: Vec<_> = std::iter::from_fn(|| both.pop()).collect();
    assert_eq!(rest, [key(5, 0, 9, 9), key(5, 2, 9, 0), key(5, 3, 0, 0), key(6, 0, 0, 0)]);
}

#[test]
fn a_source_that_promises_order_keeps_it_under_every_seed_while_sources_are_shuffled() {
    let mut first = 0;
    for seed in 0..1000 {
        let key = |source, count| TieOrder::Mixed(seed).key_in_order(1, 1, Source::new(source), count);
        assert!((0..20).all(|count| key(7, count) < key(7, count + 1)), "seed {seed}");
        first += u32::from(key(1, 0) < key(2, 0));
    }
    assert!((400..600).contains(&first), "source 1 came before source 2 in {first} of 1000");
}

#[test]
fn seeds_shuffle_ties_differently_and_repeatably_and_never_across_classes() {
    let order = |ties: TieOrder| {
        let mut keys: Vec<_> = (0..40).map(|i| (ties.key(9, (i / 20) as u8, Source::new(i), i * i), i)).collect();
        keys.sort_by_key(|(key, _)| *key);
        keys.into_iter().map(|(_, source)| source).collect::<Vec<_>>()
    };
    let canonical = order(TieOrder::Canonical);
    let mixed: BTreeSet<_> = (0..50).map(|seed| order(TieOrder::Mixed(seed))).collect();
    assert_eq!(canonical, Vec::from_iter(0..40));
    assert_eq!(mixed.len(), 50, "two seeds gave one order");
    assert!(!mixed.contains(&canonical));
    for order in &mixed {
        assert!(order[..20].iter().all(|source| *source < 20), "class 1 came before class 0: {order:?}");
    }
    assert_eq!(order(TieOrder::Mixed(7)), order(TieOrder::Mixed(7)));
}

#[test]
fn two_simultaneous_events_come_in_either_order_for_about_half_of_all_seeds() {
    let first = |seed| {
        let key = |source| TieOrder::Mixed(seed).key(1, 1, Source::new(source), 0);
        key(1) < key(2)
    };
    let count = (0..1000).filter(|seed| first(*seed)).count();
    assert!((400..600).contains(&count), "{count} of 1000");
}

#[test]
fn the_last_source_and_count_fit_and_leave_the_class_alone() {
    for ties in [TieOrder::Canonical, TieOrder::Mixed(3)] {
        let key = ties.key(u64::MAX, 200, Source::new(Source::COUNT_MAX - 1), u32::MAX);
        assert_eq!((key.time(), key.class()), (u64::MAX, 200));
    }
}

#[test]
#[should_panic(expected = "24-bit")]
fn a_source_beyond_24_bits_is_refused() {
    Source::new(1 << 24);
}

#[derive(Clone, Debug)]
enum Step {
    /// Delay in nanoseconds, class, source, how many of them.
    Push(u64, u8, u32, usize),
    Pop(usize),
    Peek,
}

/// Delays of every kind: none, within the tick, network, timers, hours, years; and exact multiples of the widths.
fn any_delay() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => Just(0),
        3 => 0..TICK_NS,
        4 => 0..10_000_000_u64,
        3 => 1_000_000_000..10_000_000_000_u64,
        2 => 60_000_000_000..40_000_000_000_000_u64,
        1 => 0..1_u64 << 60,
        2 => (0..3_u64, 0..3_u64, prop::sample::select(vec![TICK_NS, SPAN_NS, WHEEL_NS]))
            .prop_map(|(multiple, offset, width)| (width * multiple + offset).saturating_sub(1)),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let burst = prop_oneof![5 => Just(1), 1 => 2..60_usize];
    prop_oneof![
        6 => (any_delay(), 0..5_u8, 0..4_u32, burst)
            .prop_map(|(delay, class, source, n)| Step::Push(delay, class, source, n)),
        4 => (1..12_usize).prop_map(Step::Pop),
        1 => Just(Step::Peek),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_wheel_pops_what_the_heap_pops(
        steps in prop::collection::vec(any_step(), 1..200),
        mixed in any::<Option<u64>>(),
    ) {
        let ties = mixed.map_or(TieOrder::Canonical, TieOrder::Mixed);
        let mut both = Both::default();
        for step in steps {
            match step {
                Step::Push(delay, class, source, times) => {
                    for _ in 0..times {
                        let time_ns = both.now_ns().saturating_add(delay);
                        let key = ties.key(time_ns, class, Source::new(source), both.pushed);
                        both.push(key);
                    }
                }
                Step::Pop(times) => {
                    for _ in 0..times {
                        both.pop();
                    }
                }
                Step::Peek => both.peek(),
            }
        }
        let pending = both.wheel.len();
        prop_assert_eq!(both.drain().len(), pending);
        both.peek();
    }

    #[test]
    fn a_steady_simulation_keeps_both_in_step(delays in prop::collection::vec(any_delay(), 50..400)) {
        let mut both = Both::default();
        for (source, delay) in (0..).zip(&delays) {
            both.push(key(*delay, 0, source, 0));
        }
        for count in 1..2000 {
            both.pop().expect("held at a constant size");
            let delay = delays[count as usize * 7 % delays.len()];
            both.push(key(both.now_ns().saturating_add(delay), 0, count, count));
        }
        both.drain();
    }

    #[test]
    fn mixed_ties_are_unique(
        seed in any::<u64>(),
        ties in prop::collection::btree_set((0..1_u32 << 24, any::<u32>()), 100),
    ) {
        let keys: BTreeSet<_> =
            ties.iter().map(|(source, count)| TieOrder::Mixed(seed).key(0, 0, Source::new(*source), *count)).collect();
        prop_assert_eq!(keys.len(), ties.len());
        let keys: BTreeSet<_> = ties
            .iter()
            .map(|(source, count)| TieOrder::Mixed(seed).key_in_order(0, 0, Source::new(*source), *count))
            .collect();
        prop_assert_eq!(keys.len(), ties.len());
    }

    #[test]
    fn entries_sort_backwards_by_key_then_slot(a in any::<(u8, u8, u8, u8)>(), b in any::<(u8, u8, u8, u8)>()) {
        let entry = |(time, class, source, slot): (u8, u8, u8, u8)| Entry {
            key: key(u64::from(time % 3), class % 3, u32::from(source % 3), 0),
            slot: u32::from(slot % 3),
        };
        let fields = |(time, class, source, slot): (u8, u8, u8, u8)| [time % 3, class % 3, source % 3, slot % 3];
        prop_assert_eq!(entry(a).cmp(&entry(b)), fields(b).cmp(&fields(a)));
    }
}
