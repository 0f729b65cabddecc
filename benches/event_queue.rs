//! Cost of one pop and one push at a steady number of pending events (the hold model), wheel against binary heap.
//!
//! Sketch: 10^6 pending x 24 B = 24 MB, which is about the size of a last-level cache. A heap of that size walks 20
//! levels, the lower half of them cache misses: expect 200 to 400 ns. A wheel appends to a bucket (one or two misses),
//! moves the entry at most twice more (streaming) and sorts a handful of entries: expect 20 to 40 ns. Alarm above 40 ns
//! or below 5 times the heap's speed.
//!
//! The mix is a cluster's: 70 % network hops (up to 10 ms), 29 % heartbeats and timers (1 to 10 s), 1 % long timers (1
//! min to 4 h, log-uniform). The queue starts in the mix's equilibrium: delays are drawn weighted by their length, and
//! a uniform part of each has passed. Most *pending* events are then long timers and most *popped* ones are network
//! hops, as in a cluster. Delays are drawn beforehand; reading them and hashing the pop order is measured alone and
//! printed.
//!
//! Both queues must pop in the same order, otherwise the figures mean nothing: the hash of the whole pop order is
//! compared after the rounds, which alternate between the two so that a noisy neighbour hits both. Run with
//! `cargo bench -p wavetank-benches --bench event_queue`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use wavetank_sim::queue::{EventQueue, HeapQueue, Source, TieOrder, WheelQueue};

/// Delays drawn beforehand and used in turn.
const DELAYS: usize = 1 << 18;
/// Holds per round.
const HOLDS: u32 = 1_000_000;
const ROUNDS: usize = 9;
const PENDING: [u32; 2] = [100_000, 1_000_000];
/// Limits of the claim at 10^6 pending.
const WHEEL_NS_MAX: f64 = 40.0;
const SPEEDUP_MIN: f64 = 5.0;

fn main() {
    let delays = Delays::cluster(7);
    for pending in PENDING {
        compare(pending, &delays);
    }
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("event_queue_hold");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    for pending in PENDING {
        let mut wheel = Hold::new(WheelQueue::new(), pending, &delays);
        group.bench_function(BenchmarkId::new("wheel", pending), |bencher| bencher.iter(|| wheel.step()));
        let mut heap = Hold::new(HeapQueue::new(), pending, &delays);
        group.bench_function(BenchmarkId::new("heap", pending), |bencher| bencher.iter(|| heap.step()));
    }
    group.finish();
    criterion.final_summary();
}

/// Alternates rounds of both queues, checks that they popped the same, and prints the medians.
fn compare(pending: u32, delays: &Delays) {
    let mut wheel = Hold::new(WheelQueue::new(), pending, delays);
    let mut heap = Hold::new(HeapQueue::new(), pending, delays);
    let (mut wheel_ns, mut heap_ns, mut driver_ns) = (Vec::new(), Vec::new(), Vec::new());
    wheel.round();
    heap.round();
    for _ in 0..ROUNDS {
        wheel_ns.push(wheel.round());
        heap_ns.push(heap.round());
        driver_ns.push(driver_round(delays));
    }
    assert_eq!(wheel.order_hash, heap.order_hash, "wheel and heap popped in different orders");
    let (wheel_ns, heap_ns, driver_ns) = (Spread::of(wheel_ns), Spread::of(heap_ns), Spread::of(driver_ns));
    let speedup = heap_ns.median / wheel_ns.median;
    println!(
        "event_queue: wheel {:.1} ns, heap {:.0} ns per pop+push at {pending} pending: {speedup:.1}x",
        wheel_ns.median, heap_ns.median
    );
    println!(
        "event_queue: medians of {ROUNDS} rounds of {HOLDS}; range wheel {:.1} to {:.1} ns, heap {:.0} to {:.0} ns; \
         of which delays and order hash {:.1} ns; pop order hash {:016x}, equal",
        wheel_ns.min, wheel_ns.max, heap_ns.min, heap_ns.max, driver_ns.median, wheel.order_hash
    );
    if pending == 1_000_000 {
        let held = wheel_ns.median <= WHEEL_NS_MAX && speedup >= SPEEDUP_MIN;
        let verdict = if held { "held" } else { "MISSED" };
        println!("event_queue: target at {pending} pending (wheel <= {WHEEL_NS_MAX} ns, >= {SPEEDUP_MIN}x): {verdict}");
    }
}

/// A queue held at a constant number of pending events.
struct Hold<'delays, Q> {
    queue: Q,
    delays: &'delays Delays,
    position: usize,
    count: u32,
    order_hash: u64,
}

impl<'delays, Q: EventQueue> Hold<'delays, Q> {
    fn new(mut queue: Q, pending: u32, delays: &'delays Delays) -> Hold<'delays, Q> {
        let mut draws = Draws(11);
        for slot in 0..pending {
            let time_ns = delays.residual(&mut draws);
            queue.push(TieOrder::Canonical.key(time_ns, 2, Source::new(slot), 0), slot);
        }
        Hold { queue, delays, position: 0, count: 0, order_hash: 0 }
    }

    /// Pops the next event and schedules its successor.
    #[inline]
    fn step(&mut self) {
        let (key, slot) = self.queue.pop().expect("held at a constant size");
        self.order_hash = fold(self.order_hash, key.time(), slot);
        let delay_ns = self.delays.nanoseconds[self.position & (DELAYS - 1)];
        self.position += 1;
        self.count = self.count.wrapping_add(1);
        self.queue.push(TieOrder::Canonical.key(key.time() + delay_ns, 2, Source::new(slot), self.count), slot);
    }

    /// Nanoseconds per step.
    fn round(&mut self) -> f64 {
        let start = Instant::now();
        (0..HOLDS).for_each(|_| self.step());
        start.elapsed().as_nanos() as f64 / f64::from(HOLDS)
    }
}

/// What a step costs without its queue, in nanoseconds.
fn driver_round(delays: &Delays) -> f64 {
    let start = Instant::now();
    let mut order_hash = 0;
    for step in 0..HOLDS {
        order_hash = fold(order_hash, black_box(delays.nanoseconds[step as usize & (DELAYS - 1)]), step);
    }
    black_box(order_hash);
    start.elapsed().as_nanos() as f64 / f64::from(HOLDS)
}

#[inline]
fn fold(hash: u64, time_ns: u64, slot: u32) -> u64 {
    (hash.rotate_left(5) ^ time_ns ^ u64::from(slot) << 40).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// Delays of the mix, in the order in which they are used, and their running sums.
struct Delays {
    nanoseconds: Vec<u64>,
    sums: Vec<u64>,
}

impl Delays {
    fn cluster(seed: u64) -> Delays {
        let mut draws = Draws(seed);
        let delay = |draws: &mut Draws| match draws.below(100) {
            0..70 => 20_000 + draws.below(9_980_000),
            70..99 => 1_000_000_000 + draws.below(9_000_000_000),
            _ => (60e9 * 240_f64.powf(draws.below(1 << 32) as f64 / (1_u64 << 32) as f64)) as u64,
        };
        let nanoseconds: Vec<u64> = (0..DELAYS).map(|_| delay(&mut draws)).collect();
        let sums = nanoseconds.iter().scan(0, |sum, delay| {
            *sum += delay;
            Some(*sum)
        });
        let sums = sums.collect();
        Delays { nanoseconds, sums }
    }

    /// What is left of a delay that is under way at a random instant: a random point in all delays laid end to end.
    fn residual(&self, draws: &mut Draws) -> u64 {
        let point = draws.below(*self.sums.last().expect("there are delays"));
        let index = self.sums.partition_point(|sum| *sum <= point);
        self.sums[index] - point
    }
}

/// SplitMix64.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(value ^ value >> 31) * u128::from(bound)) >> 64) as u64
    }
}

/// Median and range of some rounds, in nanoseconds.
struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(mut rounds: Vec<f64>) -> Spread {
        rounds.sort_by(f64::total_cmp);
        Spread { min: rounds[0], median: rounds[rounds.len() / 2], max: rounds[rounds.len() - 1] }
    }
}
