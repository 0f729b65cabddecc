//! Scores that are defined in floating point: computed as their definition says and cut to whole numbers, because a
//! score one lower is another choice.
//!
//! Only exactly rounded operations and the exponential of the `libm` crate are used, so every machine agrees.

#![expect(clippy::float_arithmetic, reason = "the policies are defined in float64 and truncated")]

/// The largest node of the cluster that the policies were published for: thousandths of a core, and of a GPU.
const LARGEST: [f64; 2] = [128_000.0, 8_000.0];

/// 100 · σ(relief / scale), truncated: 50 for no change, more for a relief.
pub(super) fn sigmoid_score(relief: i64, scale: i64) -> i64 {
    (100.0 / (1.0 + libm::exp(-(relief as f64 / scale as f64)))) as i64
}

/// 100 · (1 − what is left of (CPU, GPU), each as half a share of the largest node), truncated.
pub(super) fn best_fit_score(free: [i64; 2], wanted: [i64; 2]) -> i64 {
    let mut left = 0.0;
    for index in 0..2 {
        left += (free[index] as f64 - wanted[index] as f64) / LARGEST[index] * 0.5;
    }
    ((1.0 - left) * 100.0) as i64
}

/// 100 · (1 − half the inner product of free and wanted (CPU, GPU), as shares of the largest node), truncated.
pub(super) fn dot_product_score(free: [i64; 2], wanted: [i64; 2]) -> i64 {
    let mut product = 0.0;
    for index in 0..2 {
        product += (free[index] as f64 / LARGEST[index]) * (wanted[index] as f64 / LARGEST[index]);
    }
    (100.0 * (1.0 - product / 2.0)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_cut_not_rounded() {
        assert_eq!([-4_000, -1, 0, 1, 4_000].map(|relief| sigmoid_score(relief, 1_000)), [1, 49, 50, 50, 98]);
        assert_eq!(best_fit_score([128_000, 8_000], [0, 0]), 0);
        assert_eq!(best_fit_score([8_000, 1_000], [8_000, 1_000]), 100);
        assert_eq!(best_fit_score([96_000, 8_000], [8_000, 500]), 18, "100 · (1 − 0.34375 − 0.46875) = 18.75");
        assert_eq!(dot_product_score([128_000, 8_000], [128_000, 8_000]), 0);
        assert_eq!(
            dot_product_score([64_000, 4_000], [8_000, 1_000]),
            95,
            "100 · (1 − 0.03125 / 2 − 0.0625 / 2) = 95.3"
        );
    }
}
