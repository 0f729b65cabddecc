//! Units as people write them: durations of Go and Kubernetes, distributions, byte quantities.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use wavetank_core::quantity::Quantity;
use wavetank_core::time::Span;
use wavetank_manifest::meant_quantity;

use super::format::{Bytes, Duration};
use crate::plan::Delay;

/// Units of a duration and their nanoseconds, as in Go.
const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration such as `90s`, `1m30s`, `1.5h` or `500ms`, exact to the nanosecond; finer digits are cut off.
///
/// Errors: a sentence in lower case that says what was expected.
pub fn parse_span(text: &str) -> Result<Span, String> {
    let wrong = || format!("expected a duration such as 90s, 1m30s or 500ms, found {text:?}");
    let too_long = || format!("{text:?} is longer than 584 years");
    if text == "0" {
        return Ok(Span::ZERO);
    }
    let (mut rest, mut nanos) = (text, 0u64);
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, behind) = rest.split_at(digits);
        let letters = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let (_, scale) = *UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let is_number = number.matches('.').count() < 2 && number.contains(|c: char| c.is_ascii_digit());
        let part = scaled(number, scale).ok_or_else(|| if is_number { too_long() } else { wrong() })?;
        nanos = nanos.checked_add(part).ok_or_else(too_long)?;
        rest = behind;
    }
    Ok(Span(nanos))
}

/// A decimal number times a whole scale, rounded down.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction = &fraction[..fraction.len().min(18)];
    let part = match fraction {
        "" => 0,
        digits => u128::from(digits.parse::<u64>().ok()?) * u128::from(scale) / 10u128.pow(digits.len() as u32),
    };
    whole.checked_mul(scale)?.checked_add(u64::try_from(part).ok()?)
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with its unit, such as 90s, 1m30s or 500ms")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Duration, E> {
        match number {
            0 => Ok(Duration(Span::ZERO)),
            _ => Err(E::invalid_type(de::Unexpected::Signed(number), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        parse_span(text).map(Duration).map_err(E::custom)
    }
}

/// The names of distributions in a scenario file.
const DISTRIBUTIONS: &[&str] = &["constant", "uniform", "exponential", "normal", "logNormal"];

impl<'de> Deserialize<'de> for super::format::Spread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<super::format::Spread, D::Error> {
        deserializer.deserialize_any(SpreadVisitor).map(super::format::Spread)
    }
}

struct SpreadVisitor;

#[derive(serde::Deserialize)]
struct Uniform {
    min: Duration,
    max: Duration,
}

#[derive(serde::Deserialize)]
struct Exponential {
    mean: Duration,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Normal {
    mean: Duration,
    standard_deviation: Duration,
}

#[derive(serde::Deserialize)]
struct LogNormal {
    median: Duration,
    sigma: f64,
}

impl<'de> Visitor<'de> for SpreadVisitor {
    type Value = Delay;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as 500ms, or a distribution such as {uniform: {min: 1s, max: 3s}}")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Delay, E> {
        match number {
            0 => Ok(Delay::default()),
            _ => Err(E::invalid_type(de::Unexpected::Signed(number), &self)),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Delay, E> {
        parse_span(text).map(Delay::Constant).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Delay, A::Error> {
        let Some(name) = map.next_key::<String>()? else {
            return Err(de::Error::custom("expected one distribution, such as uniform, found an empty mapping"));
        };
        let delay = match name.as_str() {
            "constant" => Delay::Constant(map.next_value::<Duration>()?.0),
            "uniform" => {
                let Uniform { min: Duration(min), max: Duration(max) } = map.next_value()?;
                if min > max {
                    return Err(de::Error::custom(format!("min {min} is above max {max}")));
                }
                Delay::Uniform { min, max }
            }
            "exponential" => Delay::Exponential { mean: map.next_value::<Exponential>()?.mean.0 },
            "normal" => {
                let Normal { mean, standard_deviation } = map.next_value()?;
                Delay::Normal { mean: mean.0, standard_deviation: standard_deviation.0 }
            }
            "logNormal" => {
                let LogNormal { median, sigma } = map.next_value()?;
                if !(0.0..=10.0).contains(&sigma) {
                    return Err(de::Error::custom(format!("sigma must be between 0 and 10, found {sigma}")));
                }
                Delay::LogNormal { median: median.0, sigma_milli: (sigma * 1_000.0).round() as u32 }
            }
            other => return Err(de::Error::unknown_field(other, DISTRIBUTIONS)),
        };
        match map.next_key::<String>()? {
            None => Ok(delay),
            Some(second) => Err(de::Error::custom(format!("expected one distribution, found {name} and {second}"))),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        deserializer.deserialize_any(BytesVisitor)
    }
}

/// The end of a message about a text that is no quantity: what was probably meant.
pub(super) fn meant(text: &str) -> String {
    meant_quantity(text).map_or_else(String::new, |meant| format!("; did you mean {meant:?}?"))
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes such as 60Mi or 1G")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Bytes, E> {
        u64::try_from(number).map(Bytes).map_err(|_| E::invalid_type(de::Unexpected::Signed(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
        let wrong = || E::invalid_value(de::Unexpected::Str(text), &self);
        let quantity: Quantity = text.parse().map_err(|_| match meant(text).as_str() {
            "" => wrong(),
            meant => E::custom(format!("expected a number of bytes such as 60Mi or 1G, found {text:?}{meant}")),
        })?;
        u64::try_from(quantity.value()).map(Bytes).map_err(|_| wrong())
    }
}
