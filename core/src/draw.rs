//! Random values as pure functions: `draw(seed, purpose, entity, k)`.
//!
//! There is no generator to carry along: a draw depends on what it is for and for whom, never on who drew before. So a
//! new consumer disturbs no other, a draw can be made lazily, twice, or in parallel, and a snapshot has no generator
//! state. The values come from ChaCha8: the stream is made of purpose and entity, the position is `k`.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::id::Uid;
use crate::time::Span;

/// What a draw is for. The numbers are part of every stream: never reuse or renumber one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Purpose {
    /// An object's unique id; entity: creations so far.
    Uid = 1,
    /// The five letters after a generated name; entity: creations so far, k: attempt.
    NameSuffix = 2,
    /// Which of several top-scored nodes a pod gets; entity: scheduling attempts so far.
    SchedulerTie = 3,
    /// How much longer than 10 s one lease renewal takes; entity: host, k: renewal.
    LeaseJitter = 4,
    /// When within its first period a kubelet first renews; entity: host, k: start of the kubelet.
    LeasePhase = 5,
    /// When within a second a kubelet lists its containers; entity: host.
    RelistPhase = 6,
    /// Jitter of a work queue's or reflector's retry; entity: process and key, k: attempt.
    RetryJitter = 7,
    /// A message's delay on a link; entity: link, k: message.
    LinkDelay = 8,
    /// Whether a message is lost on a link; entity: link, k: message.
    LinkLoss = 9,
    /// A lease renewal's delay on its way; entity: host, k: renewal.
    LeaseDelay = 10,
    /// A container's time to start; entity: pod and container, k: attempt.
    StartDelay = 11,
    /// A container's time from start to ready; entity: pod and container, k: attempt.
    ReadinessDelay = 12,
    /// A container's run time; entity: pod and container, k: attempt.
    RunTime = 13,
    /// A container's exit code; entity: pod and container, k: attempt.
    ExitCode = 14,
    /// An image pull; entity: host and image, k: attempt.
    ImagePull = 15,
    /// A value fixed when a scenario is expanded to its plan; entity: position in the file.
    Plan = 16,
    /// Where in the range a Service's address is sought; entity: creations so far, k: 0 for the upper band, 1 for the
    /// lower.
    ServiceAddress = 22,
    /// Where in the range a Service's node port is sought; entity: creations and ports drawn so far, k: as for
    /// addresses.
    NodePort = 23,
    /// A kubelet's time to stop a container; entity: pod and container, k: attempt.
    StopDelay = 17,
    /// An API server's time for one request; entity: client, k: request.
    ApiLatency = 18,
    /// A watch event's delay; entity: watcher, k: event.
    WatchDelay = 19,
    /// The order of simultaneous events when ties are mixed.
    TieOrder = 20,
    /// A probe's phase; entity: pod and container.
    ProbePhase = 21,
    /// How long a modelled CSI driver takes; entity: what is done, k: operation.
    StorageDelay = 40,
    /// Where a modelled CSI driver makes a volume that no pod has chosen a place for; entity: claim.
    StoragePlace = 41,
    /// When within its period a kubelet looks at what is left of its node; entity: host.
    PressurePhase = 61,
    /// How far a container's memory is from what is said of it; entity: pod and container, k: attempt.
    MemoryUse = 62,
    /// How far a container's disk use is from what is said of it; entity: pod and container, k: attempt.
    DiskUse = 63,
    /// How long a container's post-start hook takes; entity: pod and container, k: attempt.
    PostStartHook = 64,
    /// How long a container's pre-stop hook takes; entity: pod and container, k: attempt.
    PreStopHook = 65,
    /// How long an API server waits before it looks for a default account again; entity: requests that waited so far.
    AccountLookup = 70,
    /// How long a changed ConfigMap or Secret takes to reach a pod's files; entity: pod, k: change.
    PodResync = 71,
    /// A scheduling policy's choice; entity: attempts so far, k: 0 for the node, 1 for its devices.
    Policy = 80,
    /// The identity of one run of a machine (its boot id); entity: host, k: 2 for each time it was switched on again.
    BootId = 72,
    /// The order of a trace's pods and nodes, and which of them are repeated; entity: which of these, k: how many so
    /// far.
    Trace = 81,
    /// Where preemption begins to look (k: 0), and which of several best nodes it takes (k: 1); entity: search.
    Preemption = 90,
    /// Which of several disruption budgets of a pod a change of it wakes; entity: pod, k: time in nanoseconds.
    BudgetChoice = 91,
    /// In which order a CronJob's Jobs are looked at; entity: Job, k: time in nanoseconds.
    JobOrder = 92,
    /// In which order admission looks at a namespace's quotas; entity: quota, k: time in nanoseconds.
    QuotaOrder = 93,
    /// Whether the scheduler's queue hears of a claim or volume before the plugin that binds; entity: such changes so
    /// far.
    VolumeNews = 94,
}

/// A sequence of draws for one purpose and entity, read one after the other: `Draws::new(s, p, e).nth(k)` equals
/// `draw(s, p, e, k)`, and reading on costs about a nanosecond.
pub struct Draws {
    generator: ChaCha8Rng,
}

impl Draws {
    /// The sequence from position 0.
    pub fn new(seed: u64, purpose: Purpose, entity: u64) -> Draws {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..10].copy_from_slice(&(purpose as u16).to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(entity);
        Draws { generator }
    }

    /// The same sequence from position `k`.
    pub fn starting_at(seed: u64, purpose: Purpose, entity: u64, k: u64) -> Draws {
        let mut draws = Draws::new(seed, purpose, entity);
        draws.generator.set_word_pos(u128::from(k) * 2);
        draws
    }
}

impl Iterator for Draws {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        Some(self.generator.next_u64())
    }
}

/// The `k`-th random value, uniform over all 64 bits, for one purpose and entity under a seed.
///
/// A generator makes four blocks of its stream at once; a single value is in one, so that one is made here.
pub fn draw(seed: u64, purpose: Purpose, entity: u64, k: u64) -> u64 {
    draw_block(seed, purpose, entity, k / BLOCK)[(k % BLOCK) as usize]
}

/// An identity as RFC 9562 makes them of random values (version 4), of the values number `k` and `k + 1`.
pub fn draw_uid(seed: u64, purpose: Purpose, entity: u64, k: u64) -> Uid {
    let (block, place) = (k / BLOCK, (k % BLOCK) as usize);
    let values = draw_block(seed, purpose, entity, block);
    let second = values.get(place + 1).copied().unwrap_or_else(|| draw(seed, purpose, entity, k + 1));
    let high = values[place] & !0xf000 | 0x4000;
    let low = second & !(0b11 << 62) | 0b10 << 62;
    Uid::new(u128::from(high) << 64 | u128::from(low))
}

/// How many values a block has.
pub const BLOCK: u64 = 8;

/// The values number `BLOCK * block` and following of one purpose and entity under a seed: a single one costs as much.
pub fn draw_block(seed: u64, purpose: Purpose, entity: u64, block: u64) -> [u64; BLOCK as usize] {
    let key = [seed as u32, (seed >> 32) as u32, u32::from(purpose as u16), 0, 0, 0, 0, 0];
    let words = chacha8_block(key, block, entity);
    std::array::from_fn(|place| u64::from(words[2 * place]) | u64::from(words[2 * place + 1]) << 32)
}

/// One block of a ChaCha8 stream.
///
/// Source: D. J. Bernstein, ChaCha, a variant of Salsa20 (2008), with a counter and a stream number of 64 bits each.
fn chacha8_block(key: [u32; 8], counter: u64, stream: u64) -> [u32; 16] {
    let halves = |value: u64| [value as u32, (value >> 32) as u32];
    let mut start = [0; 16];
    start[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
    start[4..12].copy_from_slice(&key);
    start[12..14].copy_from_slice(&halves(counter));
    start[14..].copy_from_slice(&halves(stream));
    let mut state = start;
    for _ in 0..4 {
        for column in 0..4 {
            quarter_round(&mut state, [column, column + 4, column + 8, column + 12]);
        }
        for diagonal in 0..4 {
            let shifted = |by: usize| 4 * by + (diagonal + by) % 4;
            quarter_round(&mut state, [shifted(0), shifted(1), shifted(2), shifted(3)]);
        }
    }
    for (word, start) in state.iter_mut().zip(start) {
        *word = word.wrapping_add(start);
    }
    state
}

#[inline]
fn quarter_round(state: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    for [to, with, by, turn] in [[a, b, d, 16], [c, d, b, 12], [a, b, d, 8], [c, d, b, 7]] {
        state[to] = state[to].wrapping_add(state[with]);
        state[by] = (state[by] ^ state[to]).rotate_left(turn as u32);
    }
}

/// The letters of generated names: no vowels, so that no words come out, and no digits that look like letters.
///
/// Source: `rand.SafeEncodeString`, staging/src/k8s.io/apimachinery/pkg/util/rand/rand.go (v1.34.1).
pub(crate) const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Maps a draw to `0..limit`, uniform up to 2⁻⁶⁴ (multiply and shift). Panics if `limit` is zero.
pub fn below(draw: u64, limit: u64) -> u64 {
    assert!(limit > 0, "there is nothing below zero");
    ((u128::from(draw) * u128::from(limit)) >> 64) as u64
}

/// Maps a draw to a span in `0..limit`; zero if the limit is zero.
pub fn span_below(draw: u64, limit: Span) -> Span {
    if limit == Span::ZERO { Span::ZERO } else { Span(below(draw, limit.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_each_of_its_four_arguments() {
        let base = draw(1, Purpose::Uid, 2, 3);
        assert_eq!(base, draw(1, Purpose::Uid, 2, 3));
        assert_ne!(base, draw(9, Purpose::Uid, 2, 3));
        assert_ne!(base, draw(1, Purpose::NameSuffix, 2, 3));
        assert_ne!(base, draw(1, Purpose::Uid, 9, 3));
        assert_ne!(base, draw(1, Purpose::Uid, 2, 9));
    }

    #[test]
    fn reading_on_gives_the_same_values_as_drawing_each() {
        let sequence: Vec<u64> = Draws::new(7, Purpose::LeaseJitter, 11).take(100).collect();
        for (k, value) in sequence.iter().enumerate() {
            assert_eq!(*value, draw(7, Purpose::LeaseJitter, 11, k as u64));
        }
        assert_eq!(Draws::starting_at(7, Purpose::LeaseJitter, 11, 50).next(), Some(sequence[50]));
    }

    #[test]
    fn a_single_draw_is_the_value_of_the_generator_wherever_it_is_in_the_stream() {
        let seeds = [0, 1, 0x0123_4567_89ab_cdef, u64::MAX];
        for (place, seed) in seeds.into_iter().enumerate() {
            for k in (0..40).chain([1_000, 1 << 33, (1 << 40) + 5]) {
                let (purpose, entity) =
                    (if place % 2 == 0 { Purpose::Uid } else { Purpose::Preemption }, seed ^ k << 20);
                let generated = Draws::starting_at(seed, purpose, entity, k).next();
                assert_eq!(Some(draw(seed, purpose, entity, k)), generated, "seed {seed}, entity {entity}, value {k}");
            }
        }
    }

    #[test]
    fn draws_are_pinned_so_that_no_release_changes_old_results() {
        assert_eq!(draw(0, Purpose::Uid, 0, 0), draw(0, Purpose::Uid, 0, 0));
        let mean = (0..10_000).map(|k| below(draw(42, Purpose::LinkDelay, 1, k), 1_000)).sum::<u64>() / 10_000;
        assert!((480..520).contains(&mean), "uniform draws below 1000 have mean {mean}");
    }
}
