//! Empirical distribution functions: which share of a sample is at most so large.

/// Points of the distribution function of a sorted sample: `(value, share in per mille of `of`)`.
///
/// `of` counts the whole sample, so that pods that never got there keep the curve below 100 %. Equal values make one
/// point. The curve starts at `(0, 0)`.
pub(crate) fn distribution(sorted: &[u64], of: u64) -> Vec<(u64, i64)> {
    assert!(sorted.is_sorted(), "the sample is not sorted");
    assert!(of >= sorted.len() as u64, "a sample of {} in a whole of {of}", sorted.len());
    let mut points = vec![(0, 0)];
    for (index, &value) in sorted.iter().enumerate() {
        if sorted.get(index + 1) == Some(&value) {
            continue;
        }
        let share = (index as u128 + 1) * 1_000 / u128::from(of);
        points.push((value, share as i64));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_never_started_keep_the_curve_down() {
        assert_eq!(distribution(&[1, 2, 2, 9], 8), [(0, 0), (1, 125), (2, 375), (9, 500)]);
        assert_eq!(distribution(&[], 3), [(0, 0)]);
    }
}
