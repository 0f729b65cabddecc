//! A strict serde deserializer over YAML nodes.
//!
//! Any type with `Deserialize` can be read. What serde's usual readers pass over is refused here: a field that the type
//! does not know, a number where text is wanted, a float where a whole number is wanted. Every refusal has its place.
//!
//! Invariant: unknown fields never stop the reading, so all of a document's are reported together; the first wrong type
//! or missing field stops it.
//! Limits: serde buffers the content of `#[serde(untagged)]`, `#[serde(tag = ..)]` and `#[serde(flatten)]` without
//! places and hides their field lists, so such types are read leniently inside. Scenario types should use externally
//! tagged enums and plain structs.

mod access;
mod deserializer;
mod error;
mod fault;
mod go_time;
mod go_types;
mod meant;
mod spanned;
#[cfg(test)]
mod tests;

use serde::Deserialize;

use crate::yaml::{self, Duplicates, Node, Position};

pub use error::{Error, Errors, WrongType, nearest};
pub use meant::meant_quantity;
pub use spanned::Spanned;

/// Reads the one document of a text.
///
/// `file` is the name for messages. Errors: text that is not YAML, no document or several, and all that
/// [`from_node`] refuses.
pub fn from_str<T: for<'de> Deserialize<'de>>(file: &str, text: &str, duplicates: Duplicates) -> Result<T, Errors> {
    let documents = yaml::parse(text, duplicates).map_err(|error| Error::from_syntax(file, error))?;
    match documents.as_slice() {
        [document] => from_node(file, document),
        [] => Err(Error::new(file, Position { line: 1, column: 1 }, "", "the file has no content").into()),
        [_, second, ..] => {
            let message = "a second document begins here; expected one document in this file";
            Err(Error::new(file, second.span.start(), "", message).into())
        }
    }
}

/// Reads the body of a request from a tree, and beside it the keys that are unknown or set twice in it, which stop
/// nothing, in the order of the text. As in Go's JSON reader, null is as good as nothing wherever it stands: an empty
/// text, zero, a struct without fields.
///
/// Errors: as [`from_node`], but for unknown fields.
pub fn with_unknown<'de, T: Deserialize<'de>>(file: &str, node: &'de Node) -> Result<(T, Vec<Error>), Box<Error>> {
    let context = deserializer::Context::of_a_request(file);
    let result = T::deserialize(deserializer::Reader::new(node, &context));
    let unknown = Errors(context.into_errors()).sorted().0;
    result.map(|value| (value, unknown)).map_err(|fault| Box::new(fault.into_error(file, node)))
}

/// Reads a value from a tree. `file` is the name for messages.
///
/// Errors: unknown fields (all of them), a wrong type, a number out of its type's range, a missing field, an unknown
/// variant; in the order of the text.
pub fn from_node<'de, T: Deserialize<'de>>(file: &str, node: &'de Node) -> Result<T, Errors> {
    let context = deserializer::Context::new(file);
    let result = T::deserialize(deserializer::Reader::new(node, &context));
    let mut errors = context.into_errors();
    let value = match result {
        Ok(value) => Some(value),
        Err(error) => {
            errors.push(error.into_error(file, node));
            None
        }
    };
    match value {
        Some(value) if errors.is_empty() => Ok(value),
        _ => Err(Errors(errors).sorted()),
    }
}
