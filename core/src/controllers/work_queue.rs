//! The work queue of a controller: which objects to look at, once each, with delays and back-off.
//!
//! Invariants: a key is handed out to one worker at a time; a key that is added while it is being worked on is handed
//! out again afterwards; at most `workers` keys are out. Source: staging/src/k8s.io/client-go/util/workqueue (v1.34.1).

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::hash::Hash;

use crate::context::Context;
use crate::seam::TimerKind;
use crate::store::ByHash;
use crate::time::{Span, Time};

/// First back-off of a failing key.
const BACKOFF_FIRST: Span = Span::from_millis(5);
/// Largest back-off of a failing key.
const BACKOFF_MAX: Span = Span::from_secs(1_000);
/// All keys' retries together come from a bucket of so many tokens …
const BUCKET_BURST: u64 = 100;
/// … which gets a new one so often.
const BUCKET_REFILL: Span = Span::from_millis(100);

/// A queue of keys with one controller's workers.
pub(crate) struct WorkQueue<K> {
    number: u8,
    workers: usize,
    ready: VecDeque<K>,
    /// What is known of each key of which anything is: one that stands as by default is forgotten.
    standings: ByHash<K, Standing>,
    /// How many keys are being worked on.
    processing: usize,
    /// How many keys have failed since they were last forgotten.
    failing: usize,
    delayed: BTreeSet<(Time, K)>,
    backoff_first: Span,
    backoff_max: Span,
    bucket: Option<Bucket>,
}

/// How a key stands; one of which nothing is known stands as by default.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Standing {
    /// It is to be handed out: it is in `ready`, or is being worked on and was added again.
    dirty: bool,
    processing: bool,
    failures: u32,
    /// When it is due, if it is delayed: a key waits once, for its earliest time.
    due: Option<Time>,
}

/// The tokens for retries. Source: `Limiter.reserveN`, golang.org/x/time/rate.
#[derive(Default)]
struct Bucket {
    /// When the tokens that were taken will all have been replaced; the beginning of time for a bucket that was never
    /// used.
    full_at: Time,
}

impl Bucket {
    /// Takes a token, also one that is yet to come; how long it takes until it is there.
    fn take(&mut self, now: Time) -> Span {
        self.full_at = self.full_at.max(now) + BUCKET_REFILL;
        let owed = self.full_at.since(now);
        Span(owed.0.saturating_sub(BUCKET_REFILL.0 * BUCKET_BURST))
    }
}

impl<K: Clone + Ord + Hash + fmt::Debug> WorkQueue<K> {
    /// The queue of controller `number` with so many workers.
    pub(crate) fn new(number: u8, workers: u32) -> WorkQueue<K> {
        assert!(workers > 0, "a controller needs a worker");
        WorkQueue {
            number,
            workers: workers as usize,
            ready: VecDeque::new(),
            standings: ByHash::default(),
            processing: 0,
            failing: 0,
            delayed: BTreeSet::new(),
            backoff_first: BACKOFF_FIRST,
            backoff_max: BACKOFF_MAX,
            bucket: Some(Bucket::default()),
        }
    }

    /// The same queue with another first back-off.
    pub(crate) fn with_first_backoff(mut self, backoff_first: Span) -> WorkQueue<K> {
        self.backoff_first = backoff_first;
        self
    }

    /// The same queue with another largest back-off.
    pub(crate) fn with_largest_backoff(self, backoff_max: Span) -> WorkQueue<K> {
        WorkQueue { backoff_max, ..self }
    }

    /// The same queue with another first and largest back-off of each key, and no bucket for all of them.
    pub(crate) fn with_backoff_alone(self, first: Span, max: Span) -> WorkQueue<K> {
        WorkQueue { backoff_first: first, backoff_max: max, bucket: None, ..self }
    }

    /// Adds a key; one that waits already stays where it is.
    pub(crate) fn add(&mut self, key: K) {
        let standing = self.standings.get_or_default(&key);
        if !std::mem::replace(&mut standing.dirty, true) && !standing.processing {
            self.ready.push_back(key);
        }
    }

    /// Adds a key after a delay. One that is to come earlier already comes then, and not a second time.
    ///
    /// Source: `insert`, staging/src/k8s.io/client-go/util/workqueue/delaying_queue.go (v1.34.1).
    pub(crate) fn add_after(&mut self, ctx: &mut Context<'_>, key: K, delay: Span) {
        if delay == Span::ZERO {
            return self.add(key);
        }
        let due = ctx.now + delay;
        let standing = self.standings.get_or_default(&key);
        let before = standing.due;
        if before.is_some_and(|before| before <= due) {
            return;
        }
        standing.due = Some(due);
        if let Some(before) = before {
            self.delayed.remove(&(before, key.clone()));
        }
        self.delayed.insert((due, key));
        self.arm(ctx);
    }

    /// Adds a key after the back-off of its failures so far: 5 ms, 10 ms, 20 ms … 1000 s, unless the queue has others;
    /// and not before the bucket has a token for it, which gets 10 per second after the first 100.
    ///
    /// Source: `DefaultTypedControllerRateLimiter`,
    /// staging/src/k8s.io/client-go/util/workqueue/default_rate_limiters.go (v1.34.1).
    pub(crate) fn add_rate_limited(&mut self, ctx: &mut Context<'_>, key: K) {
        let Standing { failures, .. } = self.standings.get_or_default(&key);
        // Twenty doublings of the smallest first back-off are above the largest.
        let delay = Span(self.backoff_first.0 << (*failures).min(20)).min(self.backoff_max);
        self.failing += usize::from(*failures == 0);
        *failures += 1;
        let token = self.bucket.as_mut().map_or(Span::ZERO, |bucket| bucket.take(ctx.now));
        self.add_after(ctx, key, delay.max(token));
    }

    /// Forgets the failures of a key.
    pub(crate) fn forget(&mut self, key: &K) {
        if self.has_failures()
            && let Some(standing) = self.standings.get_mut(key).filter(|standing| standing.failures > 0)
        {
            standing.failures = 0;
            self.failing -= 1;
            if *standing == Standing::default() {
                self.standings.remove(key);
            }
        }
    }

    /// How often a key has failed since it was last forgotten.
    pub(crate) fn failures(&self, key: &K) -> u32 {
        if self.has_failures() { self.standings.get(key).map_or(0, |standing| standing.failures) } else { 0 }
    }

    /// Whether any key has failed since it was last forgotten.
    pub(crate) fn has_failures(&self) -> bool {
        self.failing > 0
    }

    /// Hands out the next key if a worker is free. Each key handed out must come back with [`WorkQueue::done`].
    pub(crate) fn take(&mut self) -> Option<K> {
        if self.processing >= self.workers {
            return None;
        }
        let key = self.ready.pop_front()?;
        let standing = self.standings.get_mut(&key).expect("a key that waits is known");
        (standing.dirty, standing.processing) = (false, true);
        self.processing += 1;
        Some(key)
    }

    /// A worker is finished with a key.
    pub(crate) fn done(&mut self, key: &K) {
        let standing = self.standings.get_mut(key).filter(|standing| standing.processing);
        let standing = standing.unwrap_or_else(|| panic!("{key:?} comes back from a worker that never got it"));
        standing.processing = false;
        self.processing -= 1;
        if standing.dirty {
            self.ready.push_back(key.clone());
        } else if *standing == Standing::default() {
            self.standings.remove(key);
        }
    }

    /// Moves the keys that are due from delay to readiness; to be called on this queue's timer.
    pub(crate) fn on_timer(&mut self, ctx: &mut Context<'_>) {
        while let Some((due, _)) = self.delayed.first()
            && *due <= ctx.now
        {
            let (_, key) = self.delayed.pop_first().expect("the set was just seen to hold a key");
            self.standings.get_mut(&key).expect("a key that waits is known").due = None;
            self.add(key);
        }
        self.arm(ctx);
    }

    fn arm(&self, ctx: &mut Context<'_>) {
        if let Some((due, _)) = self.delayed.first() {
            ctx.arm(TimerKind::WorkQueue(self.number), *due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::id::ProcId;

    #[test]
    fn a_hundred_retries_come_at_once_and_then_ten_in_a_second() {
        let mut bucket = Bucket::default();
        let now = Time::from_secs(60);
        assert!((0..100).all(|_| bucket.take(now) == Span::ZERO));
        assert_eq!(bucket.take(now), Span::from_millis(100));
        assert_eq!(bucket.take(now), Span::from_millis(200));
        assert_eq!(bucket.take(now + Span::from_millis(250)), Span::from_millis(50));
        assert_eq!(bucket.take(now + Span::from_secs(60)), Span::ZERO);
    }

    #[test]
    fn a_delayed_key_comes_once_at_its_earliest_time() {
        let (config, mut out) = (Config::default(), Vec::new());
        let mut queue: WorkQueue<&str> = WorkQueue::new(1, 1);
        let mut at = |queue: &mut WorkQueue<&'static str>, millis, delay: Option<u64>| -> Option<&str> {
            let now = Time::from_millis(millis);
            let mut ctx = Context { now, me: ProcId::CONTROLLER_MANAGER, config: &config, out: &mut out };
            match delay {
                Some(delay) => queue.add_after(&mut ctx, "key", Span::from_millis(delay)),
                None => queue.on_timer(&mut ctx),
            }
            let key = queue.take()?;
            queue.done(&key);
            Some(key)
        };
        assert_eq!(at(&mut queue, 0, Some(1_000)), None);
        assert_eq!(at(&mut queue, 500, Some(1_000)), None, "that would be later");
        assert_eq!(at(&mut queue, 600, Some(100)), None, "this is earlier");
        assert_eq!(at(&mut queue, 700, None), Some("key"));
        assert_eq!(at(&mut queue, 5_000, None), None, "the later times are forgotten");
        assert_eq!(at(&mut queue, 5_000, Some(10)), None);
        assert_eq!(at(&mut queue, 5_010, None), Some("key"));
    }
}
