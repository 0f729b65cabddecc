//! What a scalar means: YAML 1.1 as goyaml reads it, then JSON as kubectl writes it.
//!
//! Source: `goyaml.v2/resolve.go` (`resolveTable`, `resolveMap`, `yamlStyleFloat`, `resolve`), sigs.k8s.io/yaml v1.6.

use base64::Engine as _;

use super::Value;

/// The tag that a scalar carries in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScalarTag {
    /// No tag: a plain scalar is resolved, a quoted one is a string.
    None,
    Str,
    Int,
    Float,
    Bool,
    Null,
    Binary,
    /// `!`, a local tag or an unknown one: the text as it stands.
    Other,
}

impl ScalarTag {
    /// The tag for a suffix of `tag:yaml.org,2002:`.
    pub(super) fn from_core(suffix: &str) -> ScalarTag {
        match suffix {
            "str" | "timestamp" => ScalarTag::Str,
            "int" => ScalarTag::Int,
            "float" => ScalarTag::Float,
            "bool" => ScalarTag::Bool,
            "null" => ScalarTag::Null,
            "binary" => ScalarTag::Binary,
            _ => ScalarTag::Other,
        }
    }

    fn name(self) -> &'static str {
        match self {
            ScalarTag::None | ScalarTag::Str | ScalarTag::Other => "!!str",
            ScalarTag::Int => "!!int",
            ScalarTag::Float => "!!float",
            ScalarTag::Bool => "!!bool",
            ScalarTag::Null => "!!null",
            ScalarTag::Binary => "!!binary",
        }
    }
}

/// The JSON value of a scalar. `plain` is false for quoted and block scalars.
///
/// Errors say in words why there is no such value; they carry no place.
pub(super) fn scalar(text: &str, tag: ScalarTag, plain: bool) -> Result<Value, String> {
    match tag {
        ScalarTag::None if plain => untagged(text),
        ScalarTag::None | ScalarTag::Str | ScalarTag::Other => Ok(Value::String(text.to_owned())),
        ScalarTag::Binary => binary(text),
        ScalarTag::Int | ScalarTag::Float | ScalarTag::Bool | ScalarTag::Null => {
            let value = untagged(text)?;
            let fits = match tag {
                ScalarTag::Int => matches!(value, Value::Int(_)) && is_integer_text(text),
                ScalarTag::Float => matches!(value, Value::Int(_) | Value::Float(_)),
                ScalarTag::Bool => matches!(value, Value::Bool(_)),
                _ => matches!(value, Value::Null),
            };
            if fits { Ok(value) } else { Err(format!("cannot read {} as {}", value.describe(), tag.name())) }
        }
    }
}

/// The value of a plain scalar without a tag.
fn untagged(text: &str) -> Result<Value, String> {
    if let Some(value) = word(text) {
        return Ok(value);
    }
    if is_not_finite(text) {
        return Err(format!("`{text}` has no place in JSON: expected a finite number, or quotes around the text"));
    }
    // goyaml tries numbers only if the first character can begin one: `_1` is text although `1_` is a number.
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        return Ok(Value::String(text.to_owned()));
    }
    let digits = text.replace('_', "");
    let number = integer(&digits).or_else(|| float(&digits));
    Ok(number.unwrap_or_else(|| Value::String(text.to_owned())))
}

fn word(text: &str) -> Option<Value> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        _ => return None,
    })
}

fn is_not_finite(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

/// Go's `strconv.ParseInt(text, 0, 64)` and, for large values, `ParseUint`.
fn integer(text: &str) -> Option<Value> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    // `from_str_radix` would take a second sign.
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let value = if negative { -magnitude } else { magnitude };
    (value >= i128::from(i64::MIN)).then_some(Value::Int(value))
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, finite; integral values become integers as kubectl's JSON has
/// them.
fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let well_formed = all_digits(whole)
        && all_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|digits| !digits.is_empty() && all_digits(digits));
    if !well_formed {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    if !number.is_finite() {
        return None;
    }
    Some(normalised(number))
}

/// An integral float within the integers that JSON readers keep exactly is an integer: `1.0` is 1.
fn normalised(number: f64) -> Value {
    const EXACT: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() == 0.0 && number > -EXACT && number < EXACT {
        Value::Int(number as i128)
    } else {
        Value::Float(number)
    }
}

/// True if the text is an integer before floats are normalised: `!!int 1.0` is refused.
fn is_integer_text(text: &str) -> bool {
    integer(&text.replace('_', "")).is_some()
}

fn binary(text: &str) -> Result<Value, String> {
    let compact: String = text.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(compact)
        .map_err(|error| format!("!!binary is not base64: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| "!!binary is not UTF-8 text, which JSON cannot hold".to_owned())?;
    Ok(Value::String(text))
}

/// A key's JSON form: booleans and numbers become their text. Null and collections cannot be keys.
pub(super) fn key_text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Int(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Null | Value::Seq(_) | Value::Map(_) => {
            Err(format!("a mapping's key must be a string, a number or a boolean, found {}", value.describe()))
        }
    }
}
