//! Axes: from a range to nice ticks and pixel positions.
//!
//! Ticks are chosen in integers, so that a label never reads `0.30000000000000004`.

use crate::format::SECOND_NS;

/// One tick: where, and what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tick<V> {
    pub(crate) value: V,
    pub(crate) label: String,
}

/// A time axis from zero; also used for latencies.
#[derive(Clone, Debug)]
pub(crate) struct TimeAxis {
    /// The right end, in nanoseconds; at least 1.
    pub(crate) end_ns: u64,
    pub(crate) ticks: Vec<Tick<u64>>,
    /// The unit of the labels: `µs`, `ms`, `s`, `min`, `h` or `d`.
    pub(crate) unit: &'static str,
}

/// Units with the largest span that is told in them, their length, and the tick steps that suit people.
const TIME_UNITS: [(&str, u64, u64, &[u64]); 6] = [
    ("µs", 2_000_000, 1_000, DECIMAL_STEPS),
    ("ms", 2 * SECOND_NS, 1_000_000, DECIMAL_STEPS),
    ("s", 900 * SECOND_NS, SECOND_NS, &[1, 2, 5, 10, 15, 30, 60, 120]),
    ("min", 5 * 3_600 * SECOND_NS, 60 * SECOND_NS, &[1, 2, 5, 10, 15, 20, 30, 60]),
    ("h", 5 * 86_400 * SECOND_NS, 3_600 * SECOND_NS, &[1, 2, 3, 6, 12, 24]),
    ("d", u64::MAX, 86_400 * SECOND_NS, DECIMAL_STEPS),
];

const DECIMAL_STEPS: &[u64] = &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000];

/// No axis of time has more ticks than this.
const TIME_TICKS_MAX: u64 = 10;

impl TimeAxis {
    /// The axis from zero to `end_ns`; a span of zero is drawn as one second.
    pub(crate) fn new(end_ns: u64) -> TimeAxis {
        let end_ns = if end_ns == 0 { SECOND_NS } else { end_ns };
        let (unit, _, unit_ns, steps) =
            TIME_UNITS.into_iter().find(|unit| end_ns <= unit.1).expect("the last unit takes any span");
        let fits = |step: &&u64| end_ns / (**step * unit_ns) < TIME_TICKS_MAX;
        let step = *steps.iter().find(fits).or(steps.last()).expect("every unit has steps");
        // Tens of a step as decimals, where even the smallest step leaves the axis all but empty.
        let tenths = end_ns / (step * unit_ns) < 3 && step == 1;
        let tick_ns =
            if tenths && unit_ns >= 1_000 { unit_ns * 2 / 10 * end_ns.div_ceil(2 * unit_ns) } else { step * unit_ns };
        let ticks = (0..=end_ns / tick_ns)
            .map(|index| Tick { value: index * tick_ns, label: decimal_label(index * tick_ns, unit_ns) })
            .collect();
        TimeAxis { end_ns, ticks, unit }
    }

    /// Where `time_ns` lies on an axis `width` wide; times beyond the end are at the end.
    pub(crate) fn position(&self, time_ns: u64, width: f64) -> f64 {
        time_ns.min(self.end_ns) as f64 / self.end_ns as f64 * width
    }
}

/// `value / unit` with the decimals it needs, at most three.
fn decimal_label(value: u64, unit: u64) -> String {
    let thousandths = value % unit * 1_000 / unit;
    let text = format!("{}.{thousandths:03}", value / unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// An axis of values from zero (or below, when a value is negative) to a nice number.
#[derive(Clone, Debug)]
pub(crate) struct ValueAxis {
    pub(crate) low: i64,
    pub(crate) high: i64,
    pub(crate) ticks: Vec<Tick<i64>>,
}

/// How a value is written beside its tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueFormat {
    /// As it is, with thousands apart.
    Count,
    /// Per mille, written in per cent.
    Percent,
}

/// About so many ticks.
const VALUE_TICKS: i64 = 5;

/// Where the highest tick lies, as a share of the axis: a line there does not run into the panel's edge and labels.
const TOP_TICK: f64 = 0.96;

impl ValueAxis {
    /// The axis that shows `low..=high` and zero.
    pub(crate) fn new(low: i64, high: i64, format: ValueFormat) -> ValueAxis {
        let (low, high) = (low.min(0), high.max(if low < 0 { 0 } else { 1 }));
        // Wide enough for any i64; the span of a signed range fits i128 only.
        let span = i128::from(high) - i128::from(low);
        let step = nice_step(span, if format == ValueFormat::Percent { 10 } else { 1 });
        let first = i128::from(low).div_euclid(step);
        let last = -(-i128::from(high)).div_euclid(step);
        let clamp = |value: i128| value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
        let (low, high) = (clamp(first * step), clamp(last * step));
        let greatest = low.unsigned_abs().max(high.unsigned_abs());
        let ticks: Vec<_> = (first..=last)
            .map(|index| clamp(index * step))
            .map(|value| Tick { value, label: value_label(value, greatest, format) })
            .collect();
        ValueAxis { low, high, ticks }
    }

    /// How far above the lower end `value` lies on an axis `height` high.
    pub(crate) fn position(&self, value: i64, height: f64) -> f64 {
        (value as f64 - self.low as f64) / (self.high as f64 - self.low as f64) * height * TOP_TICK
    }
}

/// The least of 1, 2, 5, 10, 20, 50, … times `unit` that makes at most [`VALUE_TICKS`] steps of the span.
fn nice_step(span: i128, unit: i128) -> i128 {
    let mut decade = unit;
    loop {
        for factor in [1, 2, 5] {
            if span <= decade * factor * i128::from(VALUE_TICKS) {
                return decade * factor;
            }
        }
        decade *= 10;
    }
}

/// All counts of an axis are told in the largest of these that its greatest count reaches, so that labels fit beside
/// their ticks. Thousands begin where counts have six digits.
const COUNT_UNITS: [(u64, u64, &str); 4] = [
    (1_000_000_000_000, 1_000_000_000_000, " T"),
    (1_000_000_000, 1_000_000_000, " G"),
    (1_000_000, 1_000_000, " M"),
    (100_000, 1_000, " k"),
];

/// The label of a value on an axis whose greatest value, without its sign, is `greatest`.
fn value_label(value: i64, greatest: u64, format: ValueFormat) -> String {
    let sign = if value < 0 { "−" } else { "" };
    let size = value.unsigned_abs();
    match (format, COUNT_UNITS.into_iter().find(|(from, ..)| greatest >= *from)) {
        (ValueFormat::Percent, _) => format!("{sign}{}", decimal_label(size, 10)),
        (ValueFormat::Count, Some((_, unit, suffix))) if size > 0 => {
            format!("{sign}{}{suffix}", decimal_label(size, unit))
        }
        (ValueFormat::Count, _) => format!("{sign}{}", crate::format::thousands(size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels<V>(ticks: &[Tick<V>]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn a_time_axis_speaks_in_the_unit_of_its_span() {
        let told = |end_ns| {
            let axis = TimeAxis::new(end_ns);
            format!("{} [{}]", labels(&axis.ticks).join(" "), axis.unit)
        };
        assert_eq!(told(500 * SECOND_NS), "0 60 120 180 240 300 360 420 480 [s]");
        assert_eq!(told(0), "0 200 400 600 800 1000 [ms]");
        assert_eq!(told(4_700_000_000), "0 1 2 3 4 [s]");
        assert_eq!(told(2_500_000_000), "0 0.4 0.8 1.2 1.6 2 2.4 [s]");
        assert_eq!(told(3_600 * SECOND_NS), "0 10 20 30 40 50 60 [min]");
        assert_eq!(told(86_400 * SECOND_NS), "0 3 6 9 12 15 18 21 24 [h]");
        assert_eq!(told(30 * 86_400 * SECOND_NS), "0 5 10 15 20 25 30 [d]");
    }

    #[test]
    fn every_span_has_a_readable_number_of_ticks() {
        let mut end_ns = 1u64;
        while end_ns < u64::MAX / 3 {
            let ticks = TimeAxis::new(end_ns).ticks.len();
            assert!((1..=11).contains(&ticks), "{ticks} ticks over {end_ns} ns");
            end_ns = end_ns * 3 / 2 + 1;
        }
    }

    #[test]
    fn a_value_axis_ends_on_ticks_and_includes_zero() {
        let told = |low, high, format| labels(&ValueAxis::new(low, high, format).ticks).join(" ");
        assert_eq!(told(0, 12, ValueFormat::Count), "0 5 10 15");
        assert_eq!(told(0, 0, ValueFormat::Count), "0 1");
        assert_eq!(told(5, 6, ValueFormat::Count), "0 2 4 6");
        assert_eq!(told(-3, 4, ValueFormat::Count), "−4 −2 0 2 4");
        assert_eq!(told(0, 730, ValueFormat::Percent), "0 20 40 60 80");
        assert_eq!(told(0, 1, ValueFormat::Percent), "0 1");
        assert_eq!(told(0, 1_000_000, ValueFormat::Count), "0 0.2 M 0.4 M 0.6 M 0.8 M 1 M");
        assert_eq!(told(0, 100_000, ValueFormat::Count), "0 20 k 40 k 60 k 80 k 100 k");
        assert_eq!(told(0, 50_000, ValueFormat::Count), "0 10,000 20,000 30,000 40,000 50,000");
        assert!(ValueAxis::new(i64::MIN, i64::MAX, ValueFormat::Count).ticks.len() < 12);
    }
}
