//! Latencies of pods, and their quantiles.
//!
//! A pod that never got there is not in the sample: it is counted apart, so that a good median over the few pods that
//! were lucky cannot hide the others.

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

/// What `summary.json` tells of a stretch. All times in nanoseconds; `None` when no pod finished it.
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

    /// The smallest latency that at least `per_mille` thousandths of the sample do not exceed (nearest rank).
    pub(crate) fn quantile_ns(&self, per_mille: u64) -> Option<u64> {
        assert!(per_mille <= 1_000, "a quantile of {per_mille} per mille");
        let rank = (self.sorted_ns.len() as u64 * per_mille).div_ceil(1_000).max(1);
        self.sorted_ns.get(rank as usize - 1).copied()
    }

    pub(crate) fn summary(&self) -> LatencySummary {
        LatencySummary {
            finished: self.sorted_ns.len() as u64,
            unfinished: self.unfinished,
            min_ns: self.quantile_ns(0),
            median_ns: self.quantile_ns(500),
            p90_ns: self.quantile_ns(900),
            p99_ns: self.quantile_ns(990),
            max_ns: self.quantile_ns(1_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_always_a_value_of_the_sample() {
        let latencies = Latencies { sorted_ns: (1..=100).collect(), unfinished: 0 };
        let quantiles = [0, 500, 990, 1_000].map(|per_mille| latencies.quantile_ns(per_mille));
        assert_eq!(quantiles, [Some(1), Some(50), Some(99), Some(100)]);
        let none = Latencies { sorted_ns: vec![], unfinished: 3 };
        assert_eq!(none.quantile_ns(500), None);
    }
}
