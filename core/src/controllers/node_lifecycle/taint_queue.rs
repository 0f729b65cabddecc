//! The queue of nodes of one zone that wait for a NoExecute taint, and the rate at which they get it.
//!
//! Invariants: a node waits at most once; a node that has got its taint is remembered and not queued again until it is
//! removed (it is ready again, or its taint is missing). A token is taken *before* the head is looked at, so a head
//! that has to wait, or a write that fails, costs one each time. Source: pkg/controller/nodelifecycle/scheduler/
//! rate_limited_queue.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet};

use crate::id::Name;
use crate::time::{Span, Time};

/// How long a node whose taint could not be written waits.
const RETRY_AFTER: Span = Span::from_millis(50);

/// The nodes of one zone.
pub(super) struct TaintQueue {
    /// By the time from which they may be handled, then by arrival.
    waiting: BTreeSet<(Time, u64, Name)>,
    /// All nodes that must not be queued again; those in `waiting` with their place there.
    remembered: BTreeMap<Name, Option<(Time, u64)>>,
    arrivals: u64,
    bucket: Bucket,
}

impl TaintQueue {
    /// An empty queue with a full bucket.
    pub(super) fn new(rate_per_1000_s: u32) -> TaintQueue {
        let bucket = Bucket { rate_per_1000_s, next_token: Time::ZERO };
        TaintQueue { waiting: BTreeSet::new(), remembered: BTreeMap::new(), arrivals: 0, bucket }
    }

    /// Queues a node unless it is remembered.
    pub(super) fn add(&mut self, node: &Name, now: Time) {
        if !self.remembered.contains_key(node) {
            self.insert(node.clone(), now);
        }
    }

    /// Forgets a node; returns whether it was remembered.
    pub(super) fn remove(&mut self, node: &Name) -> bool {
        let Some(place) = self.remembered.remove(node) else { return false };
        if let Some((at, arrival)) = place {
            self.waiting.remove(&(at, arrival, node.clone()));
        }
        true
    }

    /// Forgets all nodes.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.remembered.clear();
    }

    /// Whether a node waits or has got its taint from here.
    pub(super) fn remembers(&self, node: &Name) -> bool {
        self.remembered.contains_key(node)
    }

    /// The node that may be tainted now, if there is one and a token for it. Call [`TaintQueue::finish`] with the
    /// outcome.
    pub(super) fn take(&mut self, now: Time) -> Option<Name> {
        let (from, _, node) = self.waiting.first()?.clone();
        (self.bucket.take(now) && from <= now).then_some(node)
    }

    /// The node that was taken has its taint or needs none (`true`), or has to be tried again (`false`).
    pub(super) fn finish(&mut self, node: &Name, done: bool, taken_at: Time) {
        // While the write was under way, the monitor may have removed the node, or removed it and queued it anew.
        let Some(place) = self.remembered.get_mut(node) else { return };
        let Some((at, arrival)) = place.take() else { return };
        self.waiting.remove(&(at, arrival, node.clone()));
        if !done {
            self.insert(node.clone(), taken_at + RETRY_AFTER + Span::from_nanos(1));
        }
    }

    /// When the next token is there for a node that waits; `None` if none waits or the rate is zero.
    pub(super) fn next(&self) -> Option<Time> {
        (!self.waiting.is_empty() && self.bucket.rate_per_1000_s > 0).then_some(self.bucket.next_token)
    }

    /// Changes the rate. The new bucket is full if the old one was, and empty otherwise.
    pub(super) fn set_rate(&mut self, rate_per_1000_s: u32, now: Time) {
        if rate_per_1000_s == self.bucket.rate_per_1000_s {
            return;
        }
        let was_full = self.bucket.take(now);
        self.bucket = Bucket { rate_per_1000_s, next_token: Time::ZERO };
        if !was_full {
            self.bucket.take(now);
        }
    }

    fn insert(&mut self, node: Name, at: Time) {
        self.arrivals += 1;
        self.remembered.insert(node.clone(), Some((at, self.arrivals)));
        self.waiting.insert((at, self.arrivals, node));
    }
}

/// A bucket of one token.
struct Bucket {
    rate_per_1000_s: u32,
    next_token: Time,
}

impl Bucket {
    fn take(&mut self, now: Time) -> bool {
        if self.rate_per_1000_s == 0 || now < self.next_token {
            return false;
        }
        self.next_token = now + Span(1_000_000_000_000 / u64::from(self.rate_per_1000_s));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn one_node_per_ten_seconds_and_none_twice() {
        let mut queue = TaintQueue::new(100);
        let (a, b): (Name, Name) = ("a".into(), "b".into());
        queue.add(&a, at(0));
        queue.add(&b, at(0));
        assert_eq!(queue.take(at(100)), Some(a.clone()));
        queue.finish(&a, true, at(100));
        assert_eq!(queue.take(at(10_000)), None, "no token yet");
        assert_eq!(queue.next(), Some(at(10_100)));
        assert_eq!(queue.take(at(10_100)), Some(b.clone()));
        queue.finish(&b, true, at(10_100));
        queue.add(&a, at(20_000));
        assert_eq!(queue.next(), None, "a has been tainted and is not queued again");
        assert!(queue.remove(&a));
        queue.add(&a, at(20_000));
        assert_eq!(queue.take(at(20_100)), Some(a));
    }

    #[test]
    fn a_failed_write_costs_its_token_and_so_does_a_head_that_has_to_wait() {
        let mut queue = TaintQueue::new(100);
        let a: Name = "a".into();
        queue.add(&a, at(0));
        assert_eq!(queue.take(at(0)), Some(a.clone()));
        queue.finish(&a, false, at(10_000));
        assert_eq!(queue.take(at(10_000)), None, "the head has to wait 50 ms, but the token is gone");
        assert_eq!(queue.next(), Some(at(20_000)));
    }

    #[test]
    fn a_rate_that_comes_back_from_zero_starts_with_an_empty_bucket() {
        let mut queue = TaintQueue::new(100);
        queue.add(&"a".into(), at(0));
        queue.set_rate(0, at(0));
        assert_eq!((queue.take(at(50_000)), queue.next()), (None, None));
        queue.set_rate(100, at(60_000));
        assert_eq!(queue.next(), Some(at(70_000)));
    }

    #[test]
    fn a_node_that_is_removed_while_it_is_handled_is_not_tried_again() {
        let names = ["a", "b", "c"].map(Name::from);
        // Whether the second node is removed while it is handled, and queued anew after that.
        for (removed, again) in [(false, false), (true, false), (true, true)] {
            let mut queue = TaintQueue::new(1_000_000_000);
            names.iter().for_each(|name| queue.add(name, at(0)));
            let (mut handled, mut failed) = (Vec::new(), false);
            for millis in (0..1_000).step_by(10) {
                let Some(node) = queue.take(at(millis)) else { continue };
                handled.push(node.to_string());
                let fails = *node == *"b" && !failed;
                failed |= fails;
                if fails && removed {
                    assert!(queue.remove(&node));
                    if again {
                        queue.add(&node, at(0));
                    }
                }
                if !(fails && removed && again) {
                    queue.finish(&node, !fails, at(millis));
                }
            }
            let count = |name: &str| handled.iter().filter(|it| **it == *name).count();
            let tries = if removed && !again { 1 } else { 2 };
            assert_eq!(
                (count("a"), count("b"), count("c")),
                (1, tries, 1),
                "removed {removed}, again {again}: {handled:?}"
            );
            names.iter().for_each(|name| queue.add(name, at(2_000)));
            let left = queue.take(at(3_000));
            let forgotten = (removed && !again).then(|| names[1].clone());
            assert_eq!(left, forgotten, "only who was removed is queued again");
        }
    }
}
