//! Reading a quantity: a scanner with the exact leniency of Kubernetes, then exact arithmetic on the digits.
//!
//! The scanner takes more than its documented grammar: `.`, `-` and a bare `m` are all zero. That is kept, because a
//! manifest that a real cluster takes must be taken here.
//!
//! Source: `ParseQuantity` and `parseQuantityString`, quantity.go (v1.34.1).

use std::str::FromStr;

use super::notation::{BINARY_SUFFIXES, DECIMAL_SUFFIXES, Format, Spelling, canonical_text};
use super::{NANO_PER_UNIT, Quantity};

/// Why a text is not a quantity. The first three carry the texts of Kubernetes, word for word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseQuantityError {
    /// The text is empty or has a character where none of its kind may stand.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// There is no digit where one is needed.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// The letters after the number are no suffix, or the exponent is no 64-bit number.
    #[error("unable to parse quantity's suffix")]
    Suffix,
    /// Well-formed, and accepted by Kubernetes, but outside what [`Quantity`] holds.
    #[error("quantity is out of range: at most {DIGITS_MAX} digits and a magnitude below 1.7e29 are held")]
    OutOfRange,
}

/// Most digits a quantity may have without its leading zeros; bounds the time spent on one text.
const DIGITS_MAX: usize = 1024;
/// Most digits that Kubernetes handles in 64-bit arithmetic. Source: `maxInt64Factors`, math.go (v1.34.1).
const FAST_DIGITS_MAX: i32 = 18;
/// Cap of binary notation: 2^63 - 1 units, in nano-units.
const BINARY_NANO_MAX: i128 = i64::MAX as i128 * NANO_PER_UNIT;

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Quantity, ParseQuantityError> {
        let parts = scan(text)?;
        let suffix = Suffix::interpret(parts.suffix)?;
        let fast = is_fast(&parts, &suffix);
        if !fast && !parts.has_digits {
            return Err(ParseQuantityError::Numeric);
        }
        let magnitude = magnitude_nano(&parts, &suffix)?;
        let nano = if parts.negative { -magnitude } else { magnitude };
        let below_one = magnitude > 0 && magnitude < NANO_PER_UNIT;
        let format = if suffix.format == Format::BinarySi && below_one { Format::DecimalSi } else { suffix.format };
        let mut quantity = Quantity::from_nano(nano, format);
        if fast && looks_canonical(&parts, &suffix) && text != canonical_text(nano, format) {
            quantity.spelling = Spelling::new(text);
        }
        Ok(quantity)
    }
}

/// A quantity's text taken apart.
struct Parts<'text> {
    negative: bool,
    /// Digits before the point without leading zeros; "0" if none are left.
    whole: &'text str,
    /// Digits after the point.
    fraction: &'text str,
    suffix: &'text str,
    /// Whether the number has any digit at all.
    has_digits: bool,
}

impl Parts<'_> {
    fn digits(&self) -> impl DoubleEndedIterator<Item = u8> {
        self.whole.bytes().chain(self.fraction.bytes())
    }
}

fn scan(text: &str) -> Result<Parts<'_>, ParseQuantityError> {
    if text.is_empty() {
        return Err(ParseQuantityError::Format);
    }
    let (negative, unsigned) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let (all_digits, rest) = split_at_first(unsigned, |byte| !byte.is_ascii_digit());
    let whole = all_digits.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => split_at_first(rest, |byte| !byte.is_ascii_digit()),
        None => ("", rest),
    };
    let (_letters, after_letters) = split_at_first(suffix, |byte| !b"eEinumkKMGTP".contains(&byte));
    let exponent = after_letters.strip_prefix(['-', '+']).unwrap_or(after_letters);
    if !exponent.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseQuantityError::Format);
    }
    let has_digits = !all_digits.is_empty() || !fraction.is_empty();
    Ok(Parts { negative, whole, fraction, suffix, has_digits })
}

fn split_at_first(text: &str, stops: impl Fn(u8) -> bool) -> (&str, &str) {
    // The predicate lets only ASCII bytes pass, so the cut is always on a character boundary.
    text.split_at(text.bytes().position(stops).unwrap_or(text.len()))
}

/// What a suffix means: a notation and a power of ten or, in binary notation, of two.
struct Suffix {
    format: Format,
    exponent: i64,
}

impl Suffix {
    fn interpret(text: &str) -> Result<Suffix, ParseQuantityError> {
        let known = |table: &[(&str, i32)], format| {
            let (_, exponent) = table.iter().find(|(letters, _)| *letters == text)?;
            Some(Suffix { format, exponent: i64::from(*exponent) })
        };
        if let Some(suffix) = known(&DECIMAL_SUFFIXES, Format::DecimalSi) {
            return Ok(suffix);
        }
        if let Some(suffix) = known(&BINARY_SUFFIXES, Format::BinarySi) {
            return Ok(suffix);
        }
        let digits = text.strip_prefix(['e', 'E']).ok_or(ParseQuantityError::Suffix)?;
        let exponent = digits.parse().map_err(|_| ParseQuantityError::Suffix)?;
        Ok(Suffix { format: Format::DecimalExponent, exponent })
    }
}

/// Whether Kubernetes reads this text with its 64-bit scanner. The amount is the same either way; what depends on it is
/// whether a number without digits is a zero or an error, and whether the spelling may be kept.
fn is_fast(parts: &Parts<'_>, suffix: &Suffix) -> bool {
    let length = |digits: &str| i64::try_from(digits.len()).unwrap_or(i64::MAX / 2);
    let (whole, fraction) = (length(parts.whole), length(parts.fraction));
    match suffix.format {
        // Each factor of 1024 is counted as three digits of the fifteen that a multiplication may use.
        Format::BinarySi => fraction == 0 && 15 - whole - suffix.exponent * 3 / 10 > 0,
        Format::DecimalSi | Format::DecimalExponent => {
            whole + fraction <= i64::from(FAST_DIGITS_MAX) && suffix.exponent.saturating_sub(fraction) >= -9
        }
    }
}

/// The test by which Kubernetes decides to give an input back unchanged; it is looser than canonical form.
fn looks_canonical(parts: &Parts<'_>, suffix: &Suffix) -> bool {
    match suffix.format {
        Format::BinarySi => {
            // A number's low three bits depend on its last three decimal digits alone, because 8 divides 1000.
            let low = parts.whole.bytes().rev().take(3).zip([1, 10, 100]);
            low.map(|(digit, weight)| u32::from(digit - b'0') * weight).sum::<u32>() % 8 != 0
        }
        Format::DecimalSi | Format::DecimalExponent => {
            let scale = suffix.exponent - parts.fraction.len() as i64;
            let ends_in_thousands = parts.digits().rev().take_while(|digit| *digit == b'0').count() >= 3;
            scale % 3 == 0 && !ends_in_thousands && !parts.whole.starts_with('0')
        }
    }
}

/// The exact magnitude in nano-units, rounded up, capped in binary notation.
fn magnitude_nano(parts: &Parts<'_>, suffix: &Suffix) -> Result<i128, ParseQuantityError> {
    let digit_count = parts.whole.len() + parts.fraction.len();
    if digit_count > DIGITS_MAX {
        return Err(ParseQuantityError::OutOfRange);
    }
    if parts.digits().all(|digit| digit == b'0') {
        return Ok(0);
    }
    let mut number = Natural::default();
    for digit in parts.digits() {
        number.multiply_add(10, u32::from(digit - b'0'));
    }
    let mut power_of_ten = 9 - parts.fraction.len() as i64;
    match suffix.format {
        Format::BinarySi => (0..suffix.exponent).for_each(|_| number.multiply_add(2, 0)),
        Format::DecimalSi | Format::DecimalExponent => power_of_ten = power_of_ten.saturating_add(suffix.exponent),
    }
    // An i128 has at most 39 digits, so a larger power is out of range whatever the digits are. Below, everything
    // shifted out leaves the smallest amount: asking for very little is still asking for something.
    if power_of_ten > 39 {
        return Err(ParseQuantityError::OutOfRange);
    }
    if power_of_ten < -(DIGITS_MAX as i64 + 20) {
        return Ok(1);
    }
    (0..power_of_ten).for_each(|_| number.multiply_add(10, 0));
    let lost: u32 = (power_of_ten..0).map(|_| number.divide_by_ten()).fold(0, |lost, digit| lost | digit);
    if lost != 0 {
        number.multiply_add(1, 1);
    }
    match (number.to_i128(), suffix.format) {
        (Some(nano), Format::BinarySi) => Ok(nano.min(BINARY_NANO_MAX)),
        (None, Format::BinarySi) => Ok(BINARY_NANO_MAX),
        (Some(nano), _) => Ok(nano),
        (None, _) => Err(ParseQuantityError::OutOfRange),
    }
}

/// A whole number of any size, in base 2^32, lowest limb first, without leading zero limbs.
#[derive(Default)]
struct Natural {
    limbs: Vec<u32>,
}

impl Natural {
    fn multiply_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for limb in &mut self.limbs {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry != 0 {
            self.limbs.push(carry as u32);
        }
    }

    /// Divides in place and gives back the digit that is lost.
    fn divide_by_ten(&mut self) -> u32 {
        let mut remainder = 0;
        for limb in self.limbs.iter_mut().rev() {
            let dividend = remainder << 32 | u64::from(*limb);
            *limb = (dividend / 10) as u32;
            remainder = dividend % 10;
        }
        if self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
        remainder as u32
    }

    fn to_i128(&self) -> Option<i128> {
        if self.limbs.len() > 4 {
            return None;
        }
        let value = self.limbs.iter().rev().fold(0_u128, |value, limb| value << 32 | u128::from(*limb));
        i128::try_from(value).ok()
    }
}
