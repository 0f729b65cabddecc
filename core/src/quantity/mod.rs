//! `resource.Quantity`: the fixed-point amounts of CPU, memory and everything else a pod may ask for.
//!
//! A quantity is an exact whole number of nano-units together with the notation it is written in. Parsing never goes
//! through a float, rounds whatever is finer than a nano-unit away from zero, and caps binary notation at 2^63 - 1.
//! Printing gives the string that Kubernetes would give back for the same input.
//!
//! Invariant: equality and order look at the amount alone, so `1000m`, `1` and `1e0` are equal. Invariant: the notation
//! of a sum is that of its left operand, unless that operand is zero.
//!
//! Kubernetes parses most short inputs on a fast path that remembers the input text when it *looks* canonical. That
//! test lets some spellings through, such as `1.500`, `+1` and `1E3`, and those come back as they were written.
//! [`Quantity`] keeps such a spelling as well; any arithmetic drops it.
//!
//! Absent on purpose, each with an error or a documented rule in its place:
//! - Amounts beyond about 1.7 * 10^29: Kubernetes keeps decimal amounts of any size, this type refuses them.
//! - The wrap-around of Kubernetes for decimal exponents beyond 32 bits (`1e4294967296` is 1 there).
//! - The lost suffix of Kubernetes above `E` and `Ei` (`1000E` is printed as `1` there, as `1000E` here).
//!
//! Source: `Quantity`, staging/src/k8s.io/apimachinery/pkg/api/resource/quantity.go (v1.34.1).

mod notation;
mod parse;
mod serde_text;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Neg;

pub use notation::Format;
pub use parse::ParseQuantityError;

use notation::Spelling;

/// Nano-units in one unit.
const NANO_PER_UNIT: i128 = 1_000_000_000;
/// Nano-units in one milli-unit.
const NANO_PER_MILLI: i128 = 1_000_000;

/// An exact amount in nano-units and the notation it is printed in.
///
/// Range: magnitudes up to `i128::MAX` nano-units, about 1.7 * 10^29 units.
#[derive(Clone, Copy)]
pub struct Quantity {
    nano: i128,
    format: Format,
    /// The text it was parsed from, if Kubernetes prints that text and it is not the canonical one.
    spelling: Option<Spelling>,
}

impl Quantity {
    /// Zero, written `0`.
    pub const ZERO: Quantity = Quantity { nano: 0, format: Format::DecimalSi, spelling: None };

    /// `value` whole units. Source: `NewQuantity`, quantity.go (v1.34.1).
    pub fn from_units(value: i64, format: Format) -> Quantity {
        Quantity::from_nano(i128::from(value) * NANO_PER_UNIT, format)
    }

    /// `value` thousandths of a unit. Source: `NewMilliQuantity`, quantity.go (v1.34.1).
    pub fn from_milli(value: i64, format: Format) -> Quantity {
        Quantity::from_nano(i128::from(value) * NANO_PER_MILLI, format)
    }

    /// `nano` billionths of a unit.
    ///
    /// Panics on `i128::MIN`, whose negation would not fit.
    pub fn from_nano(nano: i128, format: Format) -> Quantity {
        assert!(nano != i128::MIN, "a quantity's magnitude must fit i128: {nano}");
        Quantity { nano, format, spelling: None }
    }

    /// The exact amount in nano-units.
    pub fn nano(self) -> i128 {
        self.nano
    }

    /// The notation it was written in.
    pub fn format(self) -> Format {
        self.format
    }

    /// Whether the amount is zero, in whatever notation.
    pub fn is_zero(self) -> bool {
        self.nano == 0
    }

    /// Whether the amount is below zero.
    pub fn is_negative(self) -> bool {
        self.nano < 0
    }

    /// Whole units, rounded away from zero, saturating at the ends of `i64`.
    ///
    /// Source: `Value`, quantity.go (v1.34.1), which on overflow gives 0 or wrapped bits depending on how the quantity
    /// was made; saturation is the one answer here.
    pub fn value(self) -> i64 {
        saturate(divide_away_from_zero(self.nano, NANO_PER_UNIT))
    }

    /// Thousandths of a unit, rounded away from zero, saturating at the ends of `i64`.
    ///
    /// Source: `MilliValue`, quantity.go (v1.34.1); overflow as in [`Quantity::value`].
    pub fn milli_value(self) -> i64 {
        saturate(divide_away_from_zero(self.nano, NANO_PER_MILLI))
    }

    /// The amount rounded away from zero to thousandths, as the API server's pod defaults round every request and
    /// limit.
    ///
    /// A quantity that is already a whole number of thousandths keeps its spelling. `None` if the rounded amount is
    /// outside the range.
    ///
    /// Source: `SetDefaults_ResourceList`, pkg/apis/core/v1/defaults.go, and `RoundUp`, quantity.go (v1.34.1).
    pub fn rounded_up_to_milli(self) -> Option<Quantity> {
        if self.nano % NANO_PER_MILLI == 0 {
            return Some(self);
        }
        let nano = divide_away_from_zero(self.nano, NANO_PER_MILLI).checked_mul(NANO_PER_MILLI)?;
        Some(Quantity::from_nano(nano, self.format))
    }

    /// The sum, or `None` outside the range. A zero left operand takes over the right one's notation.
    ///
    /// Source: `Add`, quantity.go (v1.34.1).
    pub fn checked_add(self, other: Quantity) -> Option<Quantity> {
        let nano = self.nano.checked_add(other.nano).filter(|nano| *nano != i128::MIN)?;
        let format = if self.is_zero() { other.format } else { self.format };
        Some(Quantity::from_nano(nano, format))
    }

    /// The difference, or `None` outside the range. A zero left operand takes over the right one's notation.
    ///
    /// Source: `Sub`, quantity.go (v1.34.1).
    pub fn checked_sub(self, other: Quantity) -> Option<Quantity> {
        self.checked_add(-other)
    }

    /// The product with a whole number, or `None` outside the range. Source: `Mul`, quantity.go (v1.34.1).
    pub fn checked_mul(self, factor: i64) -> Option<Quantity> {
        let nano = self.nano.checked_mul(i128::from(factor)).filter(|nano| *nano != i128::MIN)?;
        Some(Quantity::from_nano(nano, self.format))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spelling {
            Some(spelling) => formatter.pad(spelling.as_str()),
            None => formatter.pad(&notation::canonical_text(self.nano, self.format)),
        }
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Quantity({self} {:?})", self.format)
    }
}

impl Neg for Quantity {
    type Output = Quantity;

    fn neg(self) -> Quantity {
        Quantity::from_nano(-self.nano, self.format)
    }
}

impl Default for Quantity {
    fn default() -> Quantity {
        Quantity::ZERO
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl Hash for Quantity {
    /// By the amount alone, as equality.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.nano.hash(state);
    }
}

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

/// `dividend / divisor`, where any remainder moves the result one further from zero.
fn divide_away_from_zero(dividend: i128, divisor: i128) -> i128 {
    assert!(divisor > 0, "divisor must be positive: {divisor}");
    dividend / divisor + (dividend % divisor).signum()
}

fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}
