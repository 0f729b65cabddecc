//! Axes of values: where a value lies, and the round numbers that are written beside it.

use crate::format::thousands;

/// About so many ticks on each axis.
const TICKS: f64 = 8.0;
/// Free space above the highest and below the lowest value, as a share of the range.
const HEADROOM: f64 = 0.04;
/// Values that are as close as this share of them are one value.
const SAME: f64 = 1e-9;

/// How an axis is divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// By powers of ten: all values must be positive, and what grows in proportion is a line that rises one to one.
    Decades,
}

/// An axis.
pub(super) struct Axis {
    /// As the scale divides them.
    pub(super) low: f64,
    pub(super) high: f64,
    scale: Scale,
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Even, from one end to the other.
    pub(super) fn exactly(low: f64, high: f64) -> Axis {
        let high = if high > low { high } else { low + 1.0 };
        let step = nice_step((high - low) / TICKS);
        let (first, last) = ((low / step).ceil() as i64, (high / step + 1e-9).floor() as i64);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let tick = |index: i64| (index as f64 * step, grouped(index as f64 * step, decimals));
        Axis { low, high, scale: Scale::Linear, ticks: (first..=last).map(tick).collect() }
    }

    /// The whole powers of ten around these values, two at least.
    pub(super) fn decades(values: impl IntoIterator<Item = f64>) -> Axis {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            low = low.min(value.log10());
            high = high.max(value.log10());
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        // A value that is a power of ten but for rounding is one.
        let low = (low + 1e-9).floor();
        let high = (high - 1e-9).ceil().max(low + 1.0);
        let tick = |power: i64| {
            let value = 10f64.powi(power as i32);
            let decimals = (-power).max(0) as usize;
            (value, grouped(value, decimals))
        };
        Axis { low, high, scale: Scale::Decades, ticks: (low as i64..=high as i64).map(tick).collect() }
    }

    /// The even axis that shows all these stretches; zero is shown if it is not far, or if all is one value.
    pub(super) fn around(stretches: impl Iterator<Item = (f64, f64)>) -> Axis {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (from, to) in stretches {
            low = low.min(from);
            high = high.max(to);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if high - low <= high.abs().max(low.abs()) * SAME {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        if low >= 0.0 && low < high * 0.5 {
            low = 0.0;
        }
        let room = (high - low) * HEADROOM;
        Axis::exactly(if low == 0.0 { 0.0 } else { low - room }, high + room)
    }

    /// Where a value lies, from 0 at one end to 1 at the other.
    pub(super) fn share(&self, value: f64) -> f64 {
        let value = if self.scale == Scale::Decades { value.log10() } else { value };
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// A number with its thousands apart and so many decimals.
fn grouped(number: f64, decimals: usize) -> String {
    let plain = format!("{:.decimals$}", number.abs());
    let (whole, fraction) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), thousands);
    let sign = if number < 0.0 && plain.contains(|digit: char| ('1'..='9').contains(&digit)) { "−" } else { "" };
    format!("{sign}{whole}{fraction}")
}

/// The least of 1, 2, 5, 10, 20, … (or 0.5, 0.2, …) that is at least this.
fn nice_step(least: f64) -> f64 {
    let decade = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * decade)
        .find(|step| *step >= least * 0.999)
        .unwrap_or(decade * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_ticks_and_begins_above_zero_only_where_zero_is_far() {
        let labels = |axis: &Axis| axis.ticks.iter().map(|(_, label)| label.clone()).collect::<Vec<_>>();
        assert_eq!(labels(&Axis::exactly(80.0, 130.0)), ["80", "90", "100", "110", "120", "130"]);
        let point = |mean: f64| (mean - 0.5, mean + 0.5);
        assert_eq!(Axis::around([point(2.0), point(50.0)].into_iter()).low, 0.0);
        let far = Axis::around([point(84.0), point(95.0)].into_iter());
        assert!(far.low > 82.0 && far.low < 83.5 && far.high > 95.5, "{} {}", far.low, far.high);
        let same = Axis::around([(14.0, 14.0), (14.0, 14.000_000_000_001)].into_iter());
        assert_eq!(labels(&same), ["0", "2", "4", "6", "8", "10", "12", "14"]);
        let zero = Axis::around([(0.0, 0.0)].into_iter());
        assert!(zero.low == 0.0 && zero.high == 1.0, "{} {}", zero.low, zero.high);
        assert_eq!(
            labels(&Axis::exactly(-2_000.0, 1_000.0)),
            ["−2,000", "−1,500", "−1,000", "−500", "0", "500", "1,000"]
        );
        assert_eq!(labels(&Axis::exactly(0.0, 0.9)), ["0.0", "0.2", "0.4", "0.6", "0.8"]);
    }

    #[test]
    fn an_axis_of_decades_has_its_ends_at_powers_of_ten_and_equal_ratios_equally_far_apart() {
        let axis = Axis::decades([100.0, 100_000.0]);
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["100", "1,000", "10,000", "100,000"]);
        assert!((axis.share(1_000.0) - 1.0 / 3.0).abs() < 1e-9 && axis.share(100_000.0) > 0.999);
        let small = Axis::decades([0.4, 7.0]);
        assert_eq!(small.ticks.iter().map(|(_, label)| label.as_str()).collect::<Vec<_>>(), ["0.1", "1", "10"]);
    }
}
