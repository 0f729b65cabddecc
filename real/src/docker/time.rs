//! The engine's points in time.

use std::{fmt, str::FromStr};

const NANOS_PER_S: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;
const FRACTION_DIGITS_MAX: usize = 9;
/// What the engine writes for "never": the zero value of its language's time type.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Nanoseconds since 1970-01-01T00:00:00Z by the engine's clock, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EngineTime(pub u64);

/// A text that is not a point in time as the engine writes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?}, expected a time from 1970 to 2500 such as 2026-01-31T12:00:00.123456789Z")]
pub struct EngineTimeError {
    found: String,
}

impl EngineTime {
    /// Reads a time that may be "never".
    pub(super) fn read(text: &str) -> Result<Option<Self>, EngineTimeError> {
        if text.is_empty() || text == NEVER { Ok(None) } else { text.parse().map(Some) }
    }
}

impl FromStr for EngineTime {
    type Err = EngineTimeError;

    fn from_str(text: &str) -> Result<Self, EngineTimeError> {
        parse(text).map(Self).ok_or_else(|| EngineTimeError { found: text.to_owned() })
    }
}

/// The engine writes RFC 3339 in universal time: fixed columns, then an optional fraction, then `Z`.
fn parse(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if whole.len() != 19 || fraction.is_empty() || fraction.len() > FRACTION_DIGITS_MAX {
        return None;
    }
    for (index, mark) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        if whole.as_bytes()[index] != mark {
            return None;
        }
    }
    let field = |from: usize, to: usize| digits(whole.get(from..to)?);
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    // Nanoseconds in 64 bits reach the year 2554; a wrong year must not wrap into a right one.
    let sound = (1970..=2500).contains(&year) && (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    if !sound || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days_since_epoch(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    let scale = 10_u64.pow(u32::try_from(FRACTION_DIGITS_MAX - fraction.len()).ok()?);
    Some(seconds * NANOS_PER_S + digits(fraction)? * scale)
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let years: u64 = (1970..year).map(|year| 365 + u64::from(is_leap(year))).sum();
    let months: u64 = (1..month).map(|month| days_of(year, month)).sum();
    years + months + day - 1
}

/// Seconds with nine decimals, for logs.
impl fmt::Display for EngineTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / NANOS_PER_S, self.0 % NANOS_PER_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_times_are_read_to_the_nanosecond() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400_000_000_000),
            ("2024-12-31T23:59:59.5Z", 1_735_689_599_500_000_000),
            ("2026-11-20T21:09:55.123456789Z", 1_795_208_995_123_456_789),
        ] {
            assert_eq!(text.parse(), Ok(EngineTime(nanos)), "{text}");
        }
    }

    #[test]
    fn what_never_happened_has_no_time() {
        assert_eq!(EngineTime::read("0001-01-01T00:00:00Z"), Ok(None));
        assert_eq!(EngineTime::read(""), Ok(None));
    }

    #[test]
    fn a_time_that_does_not_exist_is_refused() {
        for text in [
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-01-01 00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:00:00",
            "2023-01-01T00:00:00.Z",
            "2023-01-01T00:00:00.+5Z",
            "1969-01-01T00:00:00Z",
            "2023-01-01T00:00:0é",
        ] {
            assert!(text.parse::<EngineTime>().is_err(), "{text}");
        }
    }
}
