//! Kubernetes resource quantities: `500m`, `1.5Gi`, `1e3`.
//!
//! Exact, in billionths, as far as a 128-bit integer goes; what is finer is rounded up, away from zero, as the API
//! server does. Absent on purpose: arithmetic. The core has its own units; this type only checks, compares and shows.
//!
//! Source: staging/src/k8s.io/apimachinery/pkg/api/resource/quantity.go (`ParseQuantity`, `CanonicalizeBytes`),
//! v1.34.

use std::cmp::Ordering;
use std::fmt;

const NANO: i128 = 1_000_000_000;
const MILLI_IN_NANO: i128 = 1_000_000;

/// The largest magnitude, 2^63-1 units; the API server caps larger quantities to it.
const NANO_MAX: i128 = i64::MAX as i128 * NANO;

/// How a quantity is written, which decides its canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Decimal,
    Binary,
    Exponent,
}

/// A parsed quantity. Compares by value: `1000m` equals `1`.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nano: i128,
    format: Format,
}

/// Why a text is no quantity, in the API server's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantityError {
    /// Not a number with a suffix at all.
    Format,
    /// A number with an unknown suffix.
    Suffix,
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            QuantityError::Format => {
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            }
            QuantityError::Suffix => "unable to parse quantity's suffix",
        })
    }
}

impl std::error::Error for QuantityError {}

impl Quantity {
    /// Reads a quantity.
    pub fn parse(text: &str) -> Result<Quantity, QuantityError> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let number_end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(number_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(QuantityError::Format);
        }
        let (factor, power, format) = multiplier(suffix)?;
        let magnitude = scaled(whole, fraction, factor, power);
        Ok(Quantity { nano: if negative { -magnitude } else { magnitude }, format })
    }

    /// True below zero.
    pub fn is_negative(self) -> bool {
        self.nano < 0
    }

    /// True for a whole number of units, once rounded up to thousandths.
    pub fn is_whole(self) -> bool {
        self.rounded_to_milli().nano % NANO == 0
    }

    /// Rounded away from zero to thousandths, which is what the API server stores for resources.
    pub fn rounded_to_milli(self) -> Quantity {
        let rest = self.nano % MILLI_IN_NANO;
        let up = if rest == 0 { 0 } else { rest.signum() * (MILLI_IN_NANO - rest.abs()) };
        Quantity { nano: self.nano + up, ..self }
    }

    /// Whole units, rounded away from zero, as the API server's `Value()`.
    pub fn value(self) -> i128 {
        let whole = self.nano / NANO;
        if self.nano % NANO == 0 { whole } else { whole + self.nano.signum() }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

/// The canonical form: no fraction, the largest suffix that loses nothing.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
        const EXPONENT: [&str; 10] = ["e-9", "e-6", "e-3", "", "e3", "e6", "e9", "e12", "e15", "e18"];
        const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        if self.nano == 0 {
            return f.write_str("0");
        }
        let units = self.nano / NANO;
        let exact = self.nano % NANO == 0;
        if self.format == Format::Binary && exact && units.abs() >= 1024 {
            let (number, steps) = reduced(units, 1024, BINARY.len());
            return write!(f, "{number}{}", BINARY[steps]);
        }
        let (number, steps) = reduced(self.nano, 1000, DECIMAL.len());
        let suffixes = if self.format == Format::Exponent { EXPONENT } else { DECIMAL };
        write!(f, "{number}{}", suffixes[steps])
    }
}

/// Divides by `base` as long as nothing is lost and there are suffixes left.
fn reduced(mut number: i128, base: i128, suffixes: usize) -> (i128, usize) {
    let mut steps = 0;
    while steps + 1 < suffixes && number % base == 0 {
        number /= base;
        steps += 1;
    }
    (number, steps)
}

/// What a suffix multiplies by: a factor and a power of ten.
fn multiplier(suffix: &str) -> Result<(i128, i32, Format), QuantityError> {
    let decimal = |power| Ok((1, power, Format::Decimal));
    let binary = |shift: u32| Ok((1_i128 << shift, 0, Format::Binary));
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => exponent(suffix),
    }
}

fn exponent(suffix: &str) -> Result<(i128, i32, Format), QuantityError> {
    if let Some(digits) = suffix.strip_prefix(['e', 'E']) {
        let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
        if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            return digits.parse().map(|power| (1, power, Format::Exponent)).map_err(|_| QuantityError::Suffix);
        }
    }
    // Letters of known suffixes in an unknown order are a wrong suffix; anything else is no quantity.
    let letters = suffix.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['+', '-']);
    if letters.chars().all(|c| "eEinumkKMGTP".contains(c)) {
        Err(QuantityError::Suffix)
    } else {
        Err(QuantityError::Format)
    }
}

/// `whole.fraction * factor * 10^power` in billionths, rounded up, capped.
fn scaled(whole: &str, fraction: &str, factor: i128, power: i32) -> i128 {
    // A 128-bit integer holds 28 digits with room for the factor or the cap; further digits only decide the rounding.
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
    let leading = digits.iter().take_while(|&&digit| digit == 0).count();
    digits.drain(..leading);
    if digits.is_empty() {
        return 0;
    }
    let mut shift = i64::from(power) + 9 - i64::try_from(fraction.len()).unwrap_or(i64::MAX / 2);
    let mut mantissa: i128 = 0;
    let mut lost = false;
    for digit in digits {
        if mantissa < NANO_MAX {
            mantissa = mantissa * 10 + i128::from(digit);
        } else {
            lost |= digit != 0;
            shift += 1;
        }
    }
    let mut value = loop {
        if let Some(value) = mantissa.checked_mul(factor) {
            break value;
        }
        lost |= mantissa % 10 != 0;
        mantissa /= 10;
        shift += 1;
    };
    while shift > 0 {
        if value >= NANO_MAX {
            return NANO_MAX;
        }
        value = value.saturating_mul(10);
        shift -= 1;
    }
    while shift < 0 && value > 0 {
        lost |= value % 10 != 0;
        value /= 10;
        shift += 1;
    }
    (value + i128::from(lost)).min(NANO_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_one_canonical_form() {
        let cases = [
            ("0", "0"),
            ("0m", "0"),
            ("1", "1"),
            ("1000m", "1"),
            ("0.1", "100m"),
            ("1.5", "1500m"),
            ("2.50", "2500m"),
            ("1Gi", "1Gi"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Gi", "512Mi"),
            ("1023", "1023"),
            ("512Ki", "512Ki"),
            ("0.5Ki", "512"),
            ("1e3", "1e3"),
            ("12e6", "12e6"),
            ("1E", "1E"),
            ("1500k", "1500k"),
            ("1000k", "1M"),
            ("-1", "-1"),
            ("+5", "5"),
            (".5", "500m"),
            ("5.", "5"),
            ("1n", "1n"),
            ("0.0000000001", "1n"),
            ("100000000000000000000E", "9223372036854775807"),
            ("1.00000000000000000000000000000000000000000000", "1"),
            ("0.1000000000000000000000000000000000000000001", "100000001n"),
            ("0.2500000000000000000000000000000000000Ei", "256Pi"),
        ];
        for (text, canonical) in cases {
            assert_eq!(Quantity::parse(text).unwrap().to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn quantities_compare_by_value() {
        let parse = |text| Quantity::parse(text).unwrap();
        assert_eq!(parse("1000m"), parse("1"));
        assert!(parse("1Gi") > parse("1G"));
        assert!(parse("-1m").is_negative() && !parse("0").is_negative());
        assert!(parse("2").is_whole() && !parse("1500m").is_whole());
        assert_eq!(parse("1u").rounded_to_milli(), parse("1m"));
        assert_eq!(parse("1500m").value(), 2);
    }

    #[test]
    fn what_is_no_quantity_is_refused_in_the_api_servers_words() {
        for text in ["", "x", "1.2.3", "--1", "1 Gi", "Gi", ".", "1,5"] {
            assert_eq!(Quantity::parse(text), Err(QuantityError::Format), "{text}");
        }
        for text in ["1mm", "1Gii", "1Mm", "1K", "1e", "1KI".trim_end_matches('I')] {
            assert_eq!(Quantity::parse(text), Err(QuantityError::Suffix), "{text}");
        }
    }

    #[test]
    fn absurd_lengths_neither_overflow_nor_take_long() {
        for text in [
            "9".repeat(10_000),
            format!("0.{}1", "0".repeat(10_000)),
            "1e2000000000".to_owned(),
            "1e-2000000000".to_owned(),
        ] {
            assert!(Quantity::parse(&text).unwrap() > Quantity::parse("0").unwrap(), "{}", &text[..12]);
        }
    }
}
