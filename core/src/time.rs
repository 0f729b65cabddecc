//! Virtual or monotonic time: nanoseconds since the start of the run.
//!
//! Invariant: a [`Time`] is a point and a [`Span`] is a length; two points never add. Absent on purpose: calendars and
//! time zones (the edges translate), and any way of asking what time it is.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Add, AddAssign, Mul, Sub};

use serde::{Deserialize, Serialize};

/// A point in time: nanoseconds since the run began (0 ..= 2⁶⁴−1, about 584 years).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub u64);

/// A length of time in nanoseconds, never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub u64);

impl Time {
    /// The start of the run.
    pub const ZERO: Time = Time(0);
    /// Later than any time that a run reaches.
    pub const FAR_FUTURE: Time = Time(u64::MAX);

    /// The point `seconds` after the start of the run.
    pub const fn from_secs(seconds: u64) -> Time {
        Time(seconds * 1_000_000_000)
    }

    /// The point `millis` after the start of the run.
    pub const fn from_millis(millis: u64) -> Time {
        Time(millis * 1_000_000)
    }

    /// How long after `earlier` this point is; zero if it is not after it.
    pub const fn since(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// The beginning of the second that this point is in: what the API keeps of a time.
    pub const fn whole_second(self) -> Time {
        Time(self.0 / 1_000_000_000 * 1_000_000_000)
    }

    /// The point `span` later, or [`Time::FAR_FUTURE`] if that is beyond the range.
    pub const fn saturating_add(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

/// A time or none, in the room of a time, for objects of which there are many. [`Time::FAR_FUTURE`] is none.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<Time>", into = "Option<Time>")]
pub struct TimeOrNone(Time);

impl TimeOrNone {
    /// None.
    pub const NONE: TimeOrNone = TimeOrNone(Time::FAR_FUTURE);

    /// The time, if there is one.
    #[inline]
    pub fn get(self) -> Option<Time> {
        Some(self.0).filter(|time| *time != Time::FAR_FUTURE)
    }
}

impl Default for TimeOrNone {
    fn default() -> TimeOrNone {
        TimeOrNone::NONE
    }
}

impl From<Option<Time>> for TimeOrNone {
    fn from(time: Option<Time>) -> TimeOrNone {
        TimeOrNone(time.unwrap_or(Time::FAR_FUTURE))
    }
}

impl From<Time> for TimeOrNone {
    fn from(time: Time) -> TimeOrNone {
        TimeOrNone(time)
    }
}

impl From<TimeOrNone> for Option<Time> {
    fn from(time: TimeOrNone) -> Option<Time> {
        time.get()
    }
}

/// As of the time that there is or is not.
impl Hash for TimeOrNone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.get().hash(state);
    }
}

impl fmt::Debug for TimeOrNone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A span of whole nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Span {
        Span(nanos)
    }

    /// A span of whole microseconds.
    pub const fn from_micros(micros: u64) -> Span {
        Span(micros * 1_000)
    }

    /// A span of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Span {
        Span(millis * 1_000_000)
    }

    /// A span of whole seconds.
    pub const fn from_secs(seconds: u64) -> Span {
        Span(seconds * 1_000_000_000)
    }

    /// Whole seconds in this span, rounded down.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Whole milliseconds in this span, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The span times `numerator / denominator`, rounded down; saturates at the range's end.
    ///
    /// Panics if `denominator` is zero.
    pub fn scaled(self, numerator: u64, denominator: u64) -> Span {
        assert!(denominator != 0, "a span cannot be divided by zero");
        let product = u128::from(self.0) * u128::from(numerator) / u128::from(denominator);
        Span(u64::try_from(product).unwrap_or(u64::MAX))
    }
}

impl Add<Span> for Time {
    type Output = Time;

    fn add(self, span: Span) -> Time {
        Time(self.0 + span.0)
    }
}

impl AddAssign<Span> for Time {
    fn add_assign(&mut self, span: Span) {
        self.0 += span.0;
    }
}

impl Sub<Time> for Time {
    type Output = Span;

    /// Panics if `earlier` is later than this point.
    fn sub(self, earlier: Time) -> Span {
        assert!(self >= earlier, "{self} is before {earlier}");
        Span(self.0 - earlier.0)
    }
}

impl Add for Span {
    type Output = Span;

    fn add(self, other: Span) -> Span {
        Span(self.0 + other.0)
    }
}

impl Mul<u64> for Span {
    type Output = Span;

    fn mul(self, factor: u64) -> Span {
        Span(self.0 * factor)
    }
}

/// Seconds with as many decimals as are needed (at most nine): `47.6s`, `0s`, `0.000000001s`.
fn write_seconds(nanos: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    if rest == 0 {
        return write!(f, "{seconds}s");
    }
    let decimals = format!("{rest:09}");
    write!(f, "{seconds}.{}s", decimals.trim_end_matches('0'))
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(self.0, f)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(self.0, f)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(self.0, f)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_seconds(self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_seconds_without_trailing_zeros() {
        assert_eq!(Time::from_millis(47_600).to_string(), "47.6s");
        assert_eq!(Time::ZERO.to_string(), "0s");
        assert_eq!(Span(1).to_string(), "0.000000001s");
    }

    #[test]
    fn scaling_rounds_down_and_saturates() {
        assert_eq!(Span(10).scaled(2, 3), Span(6));
        assert_eq!(Span(u64::MAX).scaled(2, 1), Span(u64::MAX));
    }
}
