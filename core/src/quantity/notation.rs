//! How quantities are written: the three notations, their suffixes, and the canonical text of an amount.
//!
//! Source: `CanonicalizeBytes`, quantity.go, and `newSuffixer`, suffix.go, both in
//! staging/src/k8s.io/apimachinery/pkg/api/resource (v1.34.1).

use super::NANO_PER_UNIT;

/// The notation of a quantity, taken from its suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Powers of ten by letter: `n u m "" k M G T P E`. A bare number is in this notation.
    DecimalSi,
    /// Powers of 1024: `Ki Mi Gi Ti Pi Ei`.
    BinarySi,
    /// Powers of ten by exponent: `e3`, `E-6`.
    DecimalExponent,
}

/// Letters of the powers of ten, by exponent; multiples of three from -9 to 18.
pub(super) const DECIMAL_SUFFIXES: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

/// Letters of the powers of 1024, by power of two.
pub(super) const BINARY_SUFFIXES: [(&str, i32); 6] =
    [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// Longest spelling that is kept, in bytes: a sign, 18 digits, a point and a four-byte exponent. Only redundant zeros
/// make a longer one, and such a text is printed in canonical form.
const SPELLING_BYTES_MAX: usize = 24;

/// The text of a quantity that Kubernetes gives back as it was written although it is not canonical.
#[derive(Clone, Copy)]
pub(super) struct Spelling {
    length: u8,
    bytes: [u8; SPELLING_BYTES_MAX],
}

impl Spelling {
    /// Keeps `text`, which must be ASCII; `None` if it is longer than any spelling without redundant zeros.
    pub(super) fn new(text: &str) -> Option<Spelling> {
        assert!(text.is_ascii(), "a spelling that parsed is ASCII: {text:?}");
        let mut bytes = [0; SPELLING_BYTES_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Spelling { length: text.len() as u8, bytes })
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).expect("made from ASCII text")
    }
}

/// The canonical text: no fraction, the largest suffix that loses nothing, a sign only below zero.
///
/// Binary notation falls back to decimal where it would need a fraction or where the magnitude is below 1024.
pub(super) fn canonical_text(nano: i128, format: Format) -> String {
    match format {
        Format::BinarySi if nano.abs() >= 1024 * NANO_PER_UNIT && nano % NANO_PER_UNIT == 0 => {
            binary_text(nano / NANO_PER_UNIT)
        }
        Format::BinarySi | Format::DecimalSi => {
            let (number, exponent) = decimal_parts(nano, 18);
            let suffix =
                DECIMAL_SUFFIXES.iter().find(|(_, power)| *power == exponent).expect("in -9..=18, by threes").0;
            format!("{number}{suffix}")
        }
        Format::DecimalExponent => match decimal_parts(nano, i32::MAX) {
            (number, 0) => number.to_string(),
            (number, exponent) => format!("{number}e{exponent}"),
        },
    }
}

/// Splits an amount into a whole number and the largest power of ten, a multiple of three up to `exponent_max`, that
/// leaves it whole. Zero has exponent 0.
fn decimal_parts(nano: i128, exponent_max: i32) -> (i128, i32) {
    if nano == 0 {
        return (0, 0);
    }
    let (mut number, mut exponent) = (nano, -9);
    while number % 1000 == 0 && exponent < exponent_max {
        number /= 1000;
        exponent += 3;
    }
    (number, exponent)
}

fn binary_text(units: i128) -> String {
    let (mut number, mut suffix) = (units, "");
    for (letters, _) in BINARY_SUFFIXES {
        if number % 1024 != 0 {
            break;
        }
        number /= 1024;
        suffix = letters;
    }
    format!("{number}{suffix}")
}
