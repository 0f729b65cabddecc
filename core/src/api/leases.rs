//! Node leases: when each node's kubelet last renewed, as the API server has seen it.
//!
//! A renewal changes nothing but a time, so it takes no revision and leaves no version behind; the node lifecycle is
//! told of each one that is delivered. Invariant: a renewal's number never moves backwards. Absent on purpose: the
//! lease's duration, which the node lifecycle does not read (kubernetes-semantics §1.1), and any notion of "healthy".

use std::collections::BTreeMap;

use crate::draw::{Draws, Purpose, draw, span_below};
use crate::id::{HostId, Name};
use crate::time::{Span, Time};

/// The newest renewal of each node.
#[derive(Default)]
pub struct Leases {
    renewed: BTreeMap<Name, Time>,
}

impl Leases {
    /// Takes a renewal that has arrived.
    pub fn renew(&mut self, node: &Name, now: Time) {
        let newest = self.renewed.entry(node.clone()).or_insert(now);
        // A partition can deliver an old renewal after a newer one; the newest arrival is what the store shows.
        *newest = (*newest).max(now);
    }

    /// When the newest renewal of a node arrived; `None` before the first and for nodes whose renewals are vouched for.
    pub fn renewed_at(&self, node: &Name) -> Option<Time> {
        self.renewed.get(node).copied()
    }
}

/// The renewals of one kubelet since it started: the first within one interval, each further one after an interval
/// times 1 to 1 + jitter.
///
/// Source: `JitterUntil` with factor 0.04, staging/src/k8s.io/component-helpers/apimachinery/lease/controller.go
/// (v1.34). The first one's phase stands for the kubelet's own start-up before the run began.
pub struct Renewals {
    next: Time,
    interval: Span,
    jitter: Span,
    draws: Draws,
}

impl Renewals {
    /// The renewals of a host's kubelet that started at `started`. `start` counts the kubelet's starts.
    pub fn new(seed: u64, host: HostId, started: Time, start: u64, interval: Span, jitter_percent: u32) -> Renewals {
        let phase = span_below(draw(seed, Purpose::LeasePhase, u64::from(host.0), start), interval);
        Renewals {
            next: started + phase,
            interval,
            jitter: interval.scaled(u64::from(jitter_percent), 100),
            draws: Draws::new(seed, Purpose::LeaseJitter, u64::from(host.0) << 20 | start),
        }
    }
}

impl Iterator for Renewals {
    type Item = Time;

    fn next(&mut self) -> Option<Time> {
        let this = self.next;
        let drawn = self.draws.next()?;
        self.next = this + self.interval + span_below(drawn, self.jitter);
        Some(this)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewals_come_every_ten_seconds_and_a_little_more() {
        let times: Vec<Time> = Renewals::new(1, HostId(3), Time::ZERO, 0, Span::from_secs(10), 4).take(1_000).collect();
        assert!(times[0] < Time::from_secs(10));
        for pair in times.windows(2) {
            let gap = pair[1] - pair[0];
            assert!(gap >= Span::from_secs(10) && gap < Span::from_millis(10_400), "{gap}");
        }
        let mean = (times[999] - times[0]).0 / 999;
        assert!((10_180_000_000..10_220_000_000).contains(&mean), "{mean}");
    }
}
