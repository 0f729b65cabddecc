//! Latencies of pods, and their quantiles.
//!
//! A pod that never got there is slower than any that did, so that a good median over the few pods that were lucky
//! cannot hide the others.

use serde::Serialize;

use crate::record::PodRow;

/// Which stretch of a pod's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stretch {
    /// Created to bound.
    Scheduling,
    /// Created to ready for the first time.
    Startup,
}

/// One stretch over all pods.
pub(crate) struct Latencies {
    /// Spans in nanoseconds, ascending.
    pub(crate) sorted_ns: Vec<u64>,
    /// Pods that never reached the end of the stretch.
    pub(crate) unfinished: u64,
}

/// What `summary.json` tells of a stretch. All times in nanoseconds; `None` when too few pods finished it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LatencySummary {
    pub(crate) finished: u64,
    pub(crate) unfinished: u64,
    pub(crate) min_ns: Option<u64>,
    pub(crate) median_ns: Option<u64>,
    pub(crate) p90_ns: Option<u64>,
    pub(crate) p99_ns: Option<u64>,
    pub(crate) max_ns: Option<u64>,
}

impl Latencies {
    /// The stretch over `pods`. An end before its beginning counts as zero.
    pub(crate) fn of(pods: &[PodRow], stretch: Stretch) -> Latencies {
        let end = |pod: &PodRow| match stretch {
            Stretch::Scheduling => pod.scheduled_ns,
            Stretch::Startup => pod.ready_ns,
        };
        let mut sorted_ns: Vec<u64> =
            pods.iter().filter_map(|pod| end(pod).map(|at| at.saturating_sub(pod.created_ns))).collect();
        sorted_ns.sort_unstable();
        let unfinished = (pods.len() - sorted_ns.len()) as u64;
        Latencies { sorted_ns, unfinished }
    }

    /// The smallest latency that at least `per_mille` thousandths of all pods do not exceed (nearest rank).
    ///
    /// A pod that never got there counts as slower than any that did: `None` when too few pods finished.
    pub(crate) fn quantile_ns(&self, per_mille: u64) -> Option<u64> {
        assert!((1..=1_000).contains(&per_mille), "a quantile of {per_mille} per mille");
        let all = self.sorted_ns.len() as u64 + self.unfinished;
        let rank = (all * per_mille).div_ceil(1_000);
        self.sorted_ns.get(rank.checked_sub(1)? as usize).copied()
    }

    /// The slowest of the pods that got there.
    pub(crate) fn max_ns(&self) -> Option<u64> {
        self.sorted_ns.last().copied()
    }

    pub(crate) fn summary(&self) -> LatencySummary {
        LatencySummary {
            finished: self.sorted_ns.len() as u64,
            unfinished: self.unfinished,
            min_ns: self.sorted_ns.first().copied(),
            median_ns: self.quantile_ns(500),
            p90_ns: self.quantile_ns(900),
            p99_ns: self.quantile_ns(990),
            max_ns: self.max_ns(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_always_a_value_of_the_sample() {
        let latencies = Latencies { sorted_ns: (1..=100).collect(), unfinished: 0 };
        let quantiles = [1, 500, 990, 1_000].map(|per_mille| latencies.quantile_ns(per_mille));
        assert_eq!(quantiles, [Some(1), Some(50), Some(99), Some(100)]);
    }

    #[test]
    fn pods_that_never_got_there_spoil_the_high_quantiles() {
        let half = Latencies { sorted_ns: vec![5, 7], unfinished: 2 };
        assert_eq!([half.quantile_ns(500), half.quantile_ns(510), half.max_ns()], [Some(7), None, Some(7)]);
        let none = Latencies { sorted_ns: vec![], unfinished: 0 };
        assert_eq!(none.quantile_ns(500), None);
    }
}
