//! What is wrong with a document, where, and what was expected there.

use std::fmt;

use super::go_types;
use crate::yaml::{Position, SyntaxError};

/// One mistake in a text.
///
/// Shown as `web.yaml:7:5: spec.replcas: unknown field "replcas"; did you mean "replicas"?`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Error {
    /// The name that the caller gave the text, usually its path.
    pub file: String,
    /// Line from 1; 0 while the place is not known.
    pub line: u32,
    /// Column in characters, from 1; 0 while the place is not known.
    pub column: u32,
    /// The field's path inside the document (`spec.template.spec.containers[0].image`); empty for the whole document.
    pub path: String,
    /// What was found. Lower case, without a full stop.
    pub message: String,
    /// What would have been taken here: field names, variants. Empty if the message says it.
    pub expected: Vec<String>,
    /// The expected name that is nearest to what was written.
    pub suggestion: Option<String>,
    /// Where a value of one type stands in the place of another: the types.
    pub wrong_type: Option<WrongType>,
    /// What the API server says, where its types read themselves: of a quantity, say; and of a key of a request's body
    /// that it does not know or has read before.
    pub said: Option<String>,
}

/// A value of one type in the place of another, in the terms of Go's JSON reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongType {
    /// The struct that has the field; empty while it is not known.
    pub(super) within: &'static str,
    /// The type of the field: `int32`, `string`, the name of a struct; `None` for a list or a map.
    pub(super) wanted: Option<Wanted>,
    /// What was written: `string`, `number`.
    pub(super) found: String,
}

/// A type that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One of Go's own: `int32`, `string`.
    Plain(&'static str),
    /// A struct by its name.
    Struct(&'static str),
    /// One that reads itself, and so tells nothing of where it stands unless it is read as a part of JSON.
    Itself(&'static str),
}

impl Error {
    /// What the API server says of a value of a wrong type, as Go's JSON reader words it; `None` for other mistakes.
    pub fn go_message(&self) -> Option<String> {
        if let Some(said) = &self.said {
            return Some(said.clone());
        }
        let WrongType { within, wanted, found } = self.wrong_type.as_ref()?;
        // Go's path has the names of fields only.
        let mut path = String::new();
        let mut depth = 0;
        for letter in self.path.chars() {
            match letter {
                '[' => depth += 1,
                ']' => depth -= 1,
                letter if depth == 0 => path.push(letter),
                _ => {}
            }
        }
        let field = path.rsplit('.').next().unwrap_or_default();
        let known = go_types::of_field(within, field);
        // A value inside of a list or map is of the type that those are of.
        let known = if self.path.ends_with(']') {
            known.map(|list| list.trim_start_matches("[]").trim_start_matches("map[string]"))
        } else {
            known
        };
        let go_type = match wanted {
            Some(Wanted::Struct(name)) => format!("v1.{name}"),
            Some(Wanted::Plain("string")) => known.unwrap_or("string").to_owned(),
            Some(Wanted::Plain(go_type) | Wanted::Itself(go_type)) => (*go_type).to_owned(),
            None => known?.to_owned(),
        };
        Some(format!("json: cannot unmarshal {found} into Go struct field {within}.{path} of type {go_type}"))
    }

    /// What the API server says of a value of a wrong type in a strategic merge patch, where it turns maps into its
    /// types without writing them as JSON; `None` for other mistakes.
    ///
    /// Source: `fromUnstructured`, staging/src/k8s.io/apimachinery/pkg/runtime/converter.go (v1.34.1).
    pub fn converter_message(&self) -> Option<String> {
        let WrongType { wanted, found, .. } = self.wrong_type.as_ref()?;
        let is_float = found.contains('.');
        let kind = match found.split(' ').next().unwrap_or_default() {
            "number" if is_float => "float64",
            "number" => "int64",
            "array" => "slice",
            "object" => "map",
            other => other,
        };
        match wanted {
            Some(Wanted::Itself(go_type)) => {
                Some(format!("json: cannot unmarshal {found} into Go value of type {go_type}"))
            }
            Some(Wanted::Struct(_)) => Some(format!("cannot restore struct from: {kind}")),
            Some(Wanted::Plain("string")) if kind == "int64" => {
                let go_type = self.go_message()?.rsplit(" of type ").next()?.to_owned();
                // Bytes are a slice to Go.
                if go_type.starts_with("[]") {
                    return Some(format!("cannot restore slice from {kind}"));
                }
                Some(format!("cannot convert int64 to {go_type}"))
            }
            Some(Wanted::Plain(go_type)) if go_type.starts_with("int") && kind == "float64" => {
                Some(format!("cannot convert float64 to {go_type}"))
            }
            Some(Wanted::Plain(go_type)) => Some(format!("unrecognized type: {go_type}")),
            None => {
                let list = self.go_message()?.rsplit(" of type ").next().is_some_and(|it| it.starts_with("[]"));
                Some(format!("cannot restore {} from {kind}", if list { "slice" } else { "map" }))
            }
        }
    }

    /// A whole number outside of its type's range as a strategic merge patch has it: Go turns it into one of the type,
    /// which takes the lowest bits. What no 64 bits hold is the least of its type, or zero where that has 32.
    ///
    /// Source: `fromUnstructured`, staging/src/k8s.io/apimachinery/pkg/runtime/converter.go (v1.34.1).
    pub(crate) fn wrapped(&self) -> Option<i64> {
        let WrongType { wanted: Some(Wanted::Plain(go_type)), found, .. } = self.wrong_type.as_ref()? else {
            return None;
        };
        let written = found.strip_prefix("number ")?;
        let number = match written.parse::<i64>() {
            Ok(number) => number,
            // Without a fraction it can only be too large.
            Err(_) if written.parse::<f64>().is_ok_and(|number| number.fract() == 0.0) => i64::MIN,
            Err(_) => return None,
        };
        match *go_type {
            "int32" => Some(i64::from(number as i32)),
            "int64" => Some(number),
            _ => None,
        }
    }

    /// Whether Go's JSON reader stops here: a type that reads itself has refused a value. Of values of other wrong
    /// types it keeps the first, and reads on.
    ///
    /// Source: `decodeState.saveError`, `decodeState.literalStore`, encoding/json/decode.go of sigs.k8s.io/json
    /// (v1.34.1).
    pub(crate) fn stops_reading(&self) -> bool {
        let reads_itself = |it: &WrongType| matches!(it.wanted, Some(Wanted::Itself(_)));
        self.said.is_some() || self.wrong_type.as_ref().is_some_and(reads_itself)
    }

    /// An error without more than a place and a message.
    pub fn new(file: &str, at: Position, path: &str, message: impl Into<String>) -> Error {
        Error {
            file: file.to_owned(),
            line: at.line,
            column: at.column,
            path: path.to_owned(),
            message: message.into(),
            ..Error::default()
        }
    }

    /// The same error with what would have been taken; `written` is compared with it to find the suggestion.
    pub fn expecting<'a>(mut self, written: &str, expected: impl IntoIterator<Item = &'a str>) -> Error {
        self.expected = expected.into_iter().map(str::to_owned).collect();
        self.suggestion = nearest(written, self.expected.iter().map(String::as_str)).map(str::to_owned);
        self
    }

    pub(crate) fn from_syntax(file: &str, error: SyntaxError) -> Error {
        Error::new(file, error.position, "", error.message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:", self.file)?;
        }
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.file.is_empty() || self.line > 0 {
            write!(f, " ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.message)?;
        match (&self.suggestion, self.expected.as_slice()) {
            (Some(name), _) => write!(f, "; did you mean {name:?}?"),
            (None, []) => Ok(()),
            (None, names) => write!(f, "; expected one of {}", listed(names)),
        }
    }
}

impl std::error::Error for Error {}

/// Names in quotes with commas; of a long list the first ones.
fn listed(names: &[String]) -> String {
    const SHOWN_MAX: usize = 12;
    let mut text = names.iter().take(SHOWN_MAX).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN_MAX {
        text.push_str(&format!(" and {} more", names.len() - SHOWN_MAX));
    }
    text
}

/// All mistakes that were found, in the order of the text. Never empty when returned as an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Errors(pub Vec<Error>);

impl Errors {
    /// The same errors in the order of their places.
    pub fn sorted(mut self) -> Errors {
        self.0.sort_by_key(|error| (error.line, error.column));
        self
    }

    /// The errors for a terminal: each one with its line of `source` and a caret under the place.
    ///
    /// `source` is the text that was read. Places outside of it are shown without the line.
    pub fn render(&self, source: &str) -> String {
        let lines: Vec<&str> = source.lines().collect();
        let mut out = String::new();
        for error in &self.0 {
            out.push_str(&format!("{error}\n"));
            let line = (error.line as usize).checked_sub(1).and_then(|index| lines.get(index));
            if let Some(line) = line {
                out.push_str(&snippet(line, error));
            }
        }
        out
    }
}

/// The source line and the caret line. A tab is shown as one space, so that the caret stands where it should.
fn snippet(line: &str, error: &Error) -> String {
    let gutter = format!("{:>5} | ", error.line);
    let shown: String = line.chars().map(|c| if c == '\t' { ' ' } else { c }).collect();
    let start = (error.column as usize).saturating_sub(1).min(shown.chars().count());
    let width = shown.chars().skip(start).take_while(|c| c.is_alphanumeric() || "_-./".contains(*c)).count().max(1);
    let hint = error.suggestion.as_ref().map_or_else(String::new, |name| format!(" {name}"));
    format!("{gutter}{shown}\n{}| {}{}{hint}\n", " ".repeat(gutter.len() - 2), " ".repeat(start), "^".repeat(width))
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

impl From<Error> for Errors {
    fn from(error: Error) -> Errors {
        Errors(vec![error])
    }
}

/// The candidate that a mistyped `name` most likely meant, if one is near enough.
///
/// Case does not count. Near enough is at most one wrong, missing, added or swapped letter per three letters, and at
/// least one. Of equally near candidates the first one is taken.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let limit = (lower.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count().max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
