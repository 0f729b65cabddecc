//! What went wrong while a node was read, in readers' words rather than serde's.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use wavetank_core::quantity::ParseQuantityError;

use super::deserializer::Path;
use super::error::{Error, Wanted, WrongType, nearest};
use crate::yaml::{Node, Position, Value};

/// An error on its way up; the innermost reader that sees it gives it its place.
///
/// A box, so that the results of the hundreds of readers that serde derives stay small.
#[derive(Debug)]
pub(super) struct Fault(Box<Details>);

#[derive(Debug)]
struct Details {
    message: String,
    expected: Vec<String>,
    suggestion: Option<String>,
    /// What of which type was found where another was expected.
    wrong_type: Option<WrongType>,
    /// The API server's own words.
    said: Option<String>,
    /// The place and the path; none until a reader has seen the fault.
    place: Option<(Position, String)>,
}

impl Fault {
    pub(super) fn new(message: String) -> Fault {
        Fault(Box::new(Details {
            message,
            expected: Vec::new(),
            suggestion: None,
            wrong_type: None,
            said: None,
            place: None,
        }))
    }

    pub(super) fn one_of(message: String, written: &str, expected: &[&str]) -> Fault {
        Fault(Box::new(Details {
            message,
            expected: expected.iter().map(|&name| name.to_owned()).collect(),
            suggestion: nearest(written, expected.iter().copied()).map(str::to_owned),
            wrong_type: None,
            said: None,
            place: None,
        }))
    }

    /// The fault with this place, unless it has one already.
    pub(super) fn at(mut self, at: Position, path: &Path<'_>) -> Fault {
        self.0.place.get_or_insert_with(|| (at, path.to_string()));
        self
    }

    /// The fault of a value of the type `found` in the place of one of the type `wanted`, in Go's terms.
    pub(super) fn wrong_type(mut self, wanted: Option<Wanted>, found: String) -> Fault {
        self.0.wrong_type = Some(WrongType { within: "", wanted, found });
        self
    }

    /// The fault with another name for the type that is wanted.
    pub(super) fn wanted(mut self, wanted: Wanted) -> Fault {
        self.0.wrong_type.iter_mut().for_each(|it| it.wanted = Some(wanted));
        self
    }

    /// The fault with the API server's own words.
    pub(super) fn said(mut self, words: String) -> Fault {
        self.0.said = Some(words);
        self
    }

    /// The fault with what was probably meant.
    pub(super) fn meant(mut self, text: Option<String>) -> Fault {
        self.0.suggestion = text;
        self
    }

    /// The fault of a value somewhere in the struct `name`; the innermost struct counts.
    pub(super) fn within(mut self, name: &'static str) -> Fault {
        self.0.wrong_type.iter_mut().filter(|it| it.within.is_empty()).for_each(|it| it.within = name);
        self
    }

    pub(super) fn into_error(self, file: &str, root: &Node) -> Error {
        let Details { message, expected, suggestion, wrong_type, said, place } = *self.0;
        let (at, path) = place.unwrap_or_else(|| (root.span.start(), String::new()));
        Error { expected, suggestion, wrong_type, said, ..Error::new(file, at, &path, message) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Fault {
        Fault::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        let fault = Fault::new(format!("expected {}, found {}", readable(expected), describe(unexpected)));
        match expected.to_string().as_str() {
            // The second is what is said of a number that is too large for the first.
            "IntOrString" | "a 32-bit integer" => fault.wrong_type(Some(Wanted::Itself("int32")), go_found(unexpected)),
            "Quantity" => fault.said(ParseQuantityError::Format.to_string()),
            _ => fault,
        }
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::invalid_type(unexpected, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Fault {
        Fault::new(format!("expected {}, found {length} elements", readable(expected)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Fault {
        Fault::one_of(format!("unknown value {variant:?}"), variant, expected)
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Fault {
        Fault::one_of(format!("unknown field {field:?}"), field, expected)
    }

    fn missing_field(field: &'static str) -> Fault {
        Fault::new(format!("missing field {field:?}"))
    }

    fn duplicate_field(field: &'static str) -> Fault {
        Fault::new(format!("field {field:?} is set twice"))
    }
}

/// What a visitor expects, without Rust's type names.
fn readable(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number that is not negative".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "IntOrString" => "a whole number or a string".to_owned(),
        "Quantity" => "a quantity such as 500m or 1Gi".to_owned(),
        "a map" => "a mapping".to_owned(),
        name if !name.contains([' ', '/']) && name.starts_with(|first: char| first.is_ascii_uppercase()) => {
            format!("a mapping ({name})")
        }
        other => match other.strip_prefix("struct ") {
            Some(name) => format!("a mapping ({name})"),
            None => other.to_owned(),
        },
    }
}

/// What Go's JSON reader calls a value that was read as whatever it is.
fn go_found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(_) => "bool".to_owned(),
        Unexpected::Signed(number) => format!("number {number}"),
        Unexpected::Unsigned(number) => format!("number {number}"),
        Unexpected::Float(number) => format!("number {number}"),
        Unexpected::Seq => "array".to_owned(),
        Unexpected::Map => "object".to_owned(),
        // Serde shows numbers beyond 64 bits in words.
        Unexpected::Other(words) => format!("number {}", words.split('`').nth(1).unwrap_or_default()),
        _ => "string".to_owned(),
    }
}

fn describe(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(flag) => Value::Bool(flag).describe(),
        Unexpected::Signed(number) => Value::Int(number.into()).describe(),
        Unexpected::Unsigned(number) => Value::Int(number.into()).describe(),
        Unexpected::Float(number) => Value::Float(number).describe(),
        Unexpected::Str(text) => Value::String(text.to_owned()).describe(),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "a sequence".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        other => other.to_string(),
    }
}
