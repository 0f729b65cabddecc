//! The API server's answer to an invalid object: causes, and the message that is made of them.
//!
//! Source: staging/src/k8s.io/apimachinery/pkg/util/validation/field/errors.go (`ErrorBody`),
//! pkg/api/errors/errors.go (`NewInvalid`), pkg/util/errors/errors.go (`aggregate.Error`), v1.34.

use std::fmt;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;

/// Why a field is refused: the `reason` of a cause in the API server's Status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A value is missing.
    Required,
    /// A value is malformed or out of range.
    Invalid,
    /// A value is none of the known ones.
    NotSupported,
    /// A value must be unique and is not.
    Duplicate,
    /// A value may not be given here.
    Forbidden,
    /// A value names something that is not there.
    NotFound,
    /// A value is longer than allowed.
    TooLong,
    /// A list has more items than allowed.
    TooMany,
    /// The check itself failed.
    Internal,
}

impl Reason {
    /// The name in a Status: `FieldValueRequired` and so on.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Required => "FieldValueRequired",
            Reason::Invalid => "FieldValueInvalid",
            Reason::NotSupported => "FieldValueNotSupported",
            Reason::Duplicate => "FieldValueDuplicate",
            Reason::Forbidden => "FieldValueForbidden",
            Reason::NotFound => "FieldValueNotFound",
            Reason::TooLong => "FieldValueTooLong",
            Reason::TooMany => "FieldValueTooMany",
            Reason::Internal => "InternalError",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Reason::Required => "Required value",
            Reason::Invalid => "Invalid value",
            Reason::NotSupported => "Unsupported value",
            Reason::Duplicate => "Duplicate value",
            Reason::Forbidden => "Forbidden",
            Reason::NotFound => "Not found",
            Reason::TooLong => "Too long",
            Reason::TooMany => "Too many",
            Reason::Internal => "Internal error",
        }
    }
}

/// One thing that is wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Why.
    pub reason: Reason,
    /// The field's path, as the API server writes it.
    pub field: String,
    /// The API server's message without the path.
    pub message: String,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// An object that the API server would refuse with 422 Invalid. Has at least one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The API group; empty for core.
    pub group: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// The object's name; empty if it has none.
    pub name: String,
    /// What is wrong, in the API server's order.
    pub causes: Vec<Cause>,
}

impl Invalid {
    /// What the message is about: `Deployment.apps "x"`.
    pub fn subject(&self) -> String {
        let dot = if self.group.is_empty() { "" } else { "." };
        format!("{}{dot}{} {:?}", self.kind, self.group, self.name)
    }
}

/// The API server's message: `Deployment.apps "x" is invalid: spec.replicas: Invalid value: -1: must be …`.
impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is invalid: ", self.subject())?;
        let mut messages: Vec<String> = Vec::with_capacity(self.causes.len());
        for message in self.causes.iter().map(Cause::to_string) {
            if !messages.contains(&message) {
                messages.push(message);
            }
        }
        match messages.as_slice() {
            [only] => f.write_str(only),
            several => write!(f, "[{}]", several.join(", ")),
        }
    }
}

impl std::error::Error for Invalid {}

/// A field's path while it is being checked.
#[derive(Debug, Clone)]
pub(crate) struct At(String);

impl At {
    pub(crate) fn root(name: &str) -> At {
        At(name.to_owned())
    }

    pub(crate) fn child(&self, name: &str) -> At {
        At(format!("{}.{name}", self.0))
    }

    pub(crate) fn index(&self, index: usize) -> At {
        At(format!("{}[{index}]", self.0))
    }

    pub(crate) fn key(&self, key: &str) -> At {
        At(format!("{}[{key}]", self.0))
    }
}

/// The causes found so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) causes: Vec<Cause>,
    /// Whether the cluster has no privileged containers, which is what an API server's flags say by default.
    pub(crate) forbids_privileged: bool,
}

impl Report {
    fn add(&mut self, reason: Reason, at: &At, value: Option<String>, detail: &str) {
        let mut message = reason.title().to_owned();
        for part in [value.as_deref().unwrap_or(""), detail].into_iter().filter(|part| !part.is_empty()) {
            message.push_str(": ");
            message.push_str(part);
        }
        self.causes.push(Cause { reason, field: at.0.clone(), message });
    }

    pub(crate) fn required(&mut self, at: &At, detail: &str) {
        self.add(Reason::Required, at, None, detail);
    }

    pub(crate) fn forbidden(&mut self, at: &At, detail: &str) {
        self.add(Reason::Forbidden, at, None, detail);
    }

    pub(crate) fn too_long(&mut self, at: &At, bytes_max: usize) {
        self.add(Reason::TooLong, at, None, &format!("may not be more than {bytes_max} bytes"));
    }

    pub(crate) fn invalid(&mut self, at: &At, value: &impl Shown, detail: &str) {
        self.add(Reason::Invalid, at, Some(value.shown()), detail);
    }

    /// An invalid value that is not shown.
    pub(super) fn invalid_as_a_whole(&mut self, at: &At, detail: &str) {
        self.add(Reason::Invalid, at, None, detail);
    }

    /// A check that could not be made.
    pub(super) fn internal(&mut self, at: &At, why: &str) {
        self.add(Reason::Internal, at, None, why);
    }

    /// A list with more items than allowed.
    pub(crate) fn too_many(&mut self, at: &At, found: usize, max: usize) {
        self.add(Reason::TooMany, at, Some(found.to_string()), &format!("must have at most {max} items"));
    }

    /// One cause for each detail; none if there are none.
    pub(crate) fn invalid_each(&mut self, at: &At, value: &impl Shown, details: Vec<String>) {
        for detail in details {
            self.invalid(at, value, &detail);
        }
    }

    pub(crate) fn not_supported(&mut self, at: &At, value: &impl Shown, supported: &[&str]) {
        let names: Vec<String> = supported.iter().map(|name| format!("{name:?}")).collect();
        self.add(Reason::NotSupported, at, Some(value.shown()), &format!("supported values: {}", names.join(", ")));
    }

    /// Refuses `value` unless it is one of `supported`; nothing at all is a missing value.
    pub(crate) fn one_of(&mut self, at: &At, value: Option<&str>, supported: &[&str]) {
        match value.unwrap_or("") {
            "" => self.required(at, ""),
            text if supported.contains(&text) => {}
            text => self.not_supported(at, &text, supported),
        }
    }

    pub(crate) fn duplicate(&mut self, at: &At, value: &impl Shown, detail: &str) {
        self.add(Reason::Duplicate, at, Some(value.shown()), detail);
    }

    pub(crate) fn not_found(&mut self, at: &At, value: &impl Shown) {
        self.add(Reason::NotFound, at, Some(value.shown()), "");
    }

    pub(crate) fn not_found_with(&mut self, at: &At, value: &impl Shown, detail: &str) {
        self.add(Reason::NotFound, at, Some(value.shown()), detail);
    }

    pub(crate) fn not_negative(&mut self, at: &At, value: i64) {
        if value < 0 {
            self.invalid(at, &value, "must be greater than or equal to 0");
        }
    }

    pub(crate) fn positive(&mut self, at: &At, value: i64) {
        if value <= 0 {
            self.invalid(at, &value, "must be greater than zero");
        }
    }
}

/// How a refused value is shown: text in quotes, numbers plain, the rest as JSON.
pub(crate) trait Shown {
    fn shown(&self) -> String;
}

/// A value that is shown as these very words.
pub(crate) struct AsWritten<'a>(pub(crate) &'a str);

impl Shown for AsWritten<'_> {
    fn shown(&self) -> String {
        self.0.to_owned()
    }
}

impl Shown for &str {
    fn shown(&self) -> String {
        format!("{self:?}")
    }
}

impl Shown for String {
    fn shown(&self) -> String {
        format!("{self:?}")
    }
}

impl Shown for i32 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for i64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for IntOrString {
    fn shown(&self) -> String {
        match self {
            IntOrString::Int(number) => number.to_string(),
            IntOrString::String(text) => format!("{text:?}"),
        }
    }
}

/// A value that the API server shows as JSON.
pub(crate) struct AsJson<'a, T>(pub(super) &'a T);

impl<T: Serialize> Shown for AsJson<'_, T> {
    fn shown(&self) -> String {
        // The types shown are maps and structs with string keys, which always have a JSON form.
        serde_json::to_string(self.0).unwrap_or_else(|error| format!("<{error}>"))
    }
}
