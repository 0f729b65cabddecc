//! The one place of the scheduler that computes with floating point, because kube-scheduler does and its rounding is
//! part of the answer.
//!
//! Only IEEE 754 operations that are exactly rounded everywhere are used (division, subtraction, multiplication, square
//! root), in the order of the source, so the results are the same on every machine.

#![expect(clippy::float_arithmetic, reason = "kube-scheduler scores balance in float64 and truncates")]

/// The score of balanced allocation, 0 ..= 100, truncated: 100 · (1 − standard deviation of the used fractions).
///
/// Each pair is (requested with the pod, allocatable); resources of which the node has none are left out. A fraction
/// above 1 counts as 1. Of two fractions the deviation is half their distance, of fewer it is 0.
///
/// Source: `balancedResourceScorer`, pkg/scheduler/framework/plugins/noderesources/balanced_allocation.go (v1.34.1).
pub(super) fn balanced_score(resources: [(i64, i64); 2]) -> i64 {
    let [(cpu, cpu_all), (memory, memory_all)] = resources;
    if cpu_all == 0 || memory_all == 0 {
        return 100;
    }
    let fraction = |requested: i64, allocatable: i64| (requested as f64 / allocatable as f64).min(1.0);
    let deviation = ((fraction(cpu, cpu_all) - fraction(memory, memory_all)) / 2.0).abs();
    ((1.0 - deviation) * 100.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_use_scores_full_and_uneven_use_loses_half_the_distance() {
        assert_eq!(balanced_score([(500, 1_000), (1 << 29, 1 << 30)]), 100);
        assert_eq!(balanced_score([(1_000, 1_000), (0, 1 << 30)]), 50);
        assert_eq!(balanced_score([(2_000, 1_000), (1 << 30, 1 << 30)]), 100, "a fraction above 1 counts as 1");
        assert_eq!(balanced_score([(100, 1_000), (1 << 29, 1 << 30)]), 80);
        assert_eq!(balanced_score([(100, 0), (1 << 29, 1 << 30)]), 100, "one resource has no deviation");
    }
}
