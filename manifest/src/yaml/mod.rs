//! YAML text to a tree of nodes with places, in kubectl's dialect.
//!
//! kubectl reads YAML with goyaml (YAML 1.1) and turns it into JSON. This module gives the JSON meaning directly:
//! scalars are resolved as goyaml resolves them, keys become strings, integral floats become integers, merge keys are
//! merged, aliases are replaced by what they name.
//!
//! Invariant: every node of a tree lies at a depth of at most [`DEPTH_MAX`], and one stream holds at most
//! [`NODES_MAX`] nodes after aliases are replaced, so that a small file cannot become a large tree.
//! Absent on purpose: comments, styles, anchors' names, and values that JSON cannot hold (`.inf`, `.nan`).
//!
//! Source: sigs.k8s.io/yaml v1.6 (`goyaml.v2/resolve.go`, `goyaml.v2/decode.go`, `yaml.go`) as vendored by Kubernetes
//! 1.34; the tables in the tests were compared with `kubectl label --local -o json`.

mod compose;
mod json;
mod resolve;
#[cfg(test)]
mod tests;

use std::fmt;

pub use compose::{DEPTH_MAX, NODES_MAX, parse};

/// A place in a text: line and column, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// Line, from 1. Zero means that the place is not known.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// The stretch of text that a node was read from: from its first character to behind its last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Line of the first character, from 1.
    pub line: u32,
    /// Column of the first character, from 1.
    pub column: u32,
    /// The place behind the last character.
    pub end: Position,
}

impl Span {
    /// The place of the first character.
    pub fn start(&self) -> Position {
        Position { line: self.line, column: self.column }
    }
}

/// A YAML value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What was written, in its JSON meaning.
    pub value: Value,
    /// Where it was written. An alias has the place of the alias; what it names keeps its own places inside.
    pub span: Span,
}

/// A mapping's key: always a string, as in JSON (`on:` is the key "true", `8080:` is "8080").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key in its JSON form.
    pub text: String,
    /// Where the key was written.
    pub span: Span,
}

/// A value in its JSON meaning.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing at all.
    Null,
    /// A boolean, also from `yes`, `no`, `on`, `off`, `y` and `n`.
    Bool(bool),
    /// A whole number between `i64::MIN` and `u64::MAX`, also from an integral float such as `1.0`.
    Int(i128),
    /// A finite number that is not whole, or too large for [`Value::Int`].
    Float(f64),
    /// Text.
    String(String),
    /// A sequence.
    Seq(Vec<Node>),
    /// A mapping in the order of first appearance; keys are unique unless [`Duplicates::Kept`] was asked for.
    Map(Vec<(Key, Node)>),
}

/// What to do with a key that a mapping has twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// The last one wins, as in kubectl.
    LastWins,
    /// An error that names both places.
    Refused,
    /// All are kept, in the order of the text, for who tells of them.
    Kept,
}

/// A text that is not YAML, or that holds something JSON cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where the reader stopped.
    pub position: Position,
    /// What was found there and what was expected.
    pub message: String,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.message)
    }
}

impl std::error::Error for SyntaxError {}

impl Node {
    /// The value under `key` if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, node)| node)
    }

    /// The key and value under `key` if this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<(&Key, &Node)> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(found, _)| found.text == key).map(|(key, node)| (key, node))
    }

    /// The text if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The place of what a field path such as `spec.containers[0].image` names, or of its nearest parent that exists.
    ///
    /// A mapping's field is placed at its key. Paths are those of the API server's messages: a key that is not plain
    /// stands in brackets (`data[a b]`).
    pub fn locate(&self, path: &str) -> Position {
        let (mut node, mut place) = (self, self.span.start());
        for part in path_parts(path) {
            let Some((found_place, found_node)) = node.step(part) else { break };
            (place, node) = (found_place, found_node);
        }
        place
    }

    /// What a field path names, if it is there.
    pub fn find(&self, path: &str) -> Option<&Node> {
        path_parts(path).try_fold(self, |node, part| node.step(part).map(|(_, node)| node))
    }

    /// The node that begins at a place, if there is one.
    pub(crate) fn at_mut(&mut self, place: Position) -> Option<&mut Node> {
        if self.span.start() == place {
            return Some(self);
        }
        match &mut self.value {
            Value::Seq(items) => items.iter_mut().find_map(|item| item.at_mut(place)),
            Value::Map(entries) => entries.iter_mut().find_map(|(_, node)| node.at_mut(place)),
            _ => None,
        }
    }

    fn step(&self, part: &str) -> Option<(Position, &Node)> {
        match &self.value {
            Value::Seq(items) => {
                part.parse::<usize>().ok().and_then(|index| items.get(index)).map(|item| (item.span.start(), item))
            }
            Value::Map(_) => self.entry(part).map(|(key, child)| (key.span.start(), child)),
            _ => None,
        }
    }
}

/// The parts of `a.b[0].c[d.e/f]`: names at dots, indices and keys whole in their brackets.
fn path_parts(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() {
            return None;
        }
        let (part, behind) = match rest.strip_prefix('[') {
            Some(inside) => inside.split_once(']').unwrap_or((inside, "")),
            None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
        };
        rest = behind;
        Some(part)
    })
}

impl Value {
    /// A phrase for messages: `the integer 5`, `the string "x"`, `a mapping`, `null`.
    pub fn describe(&self) -> String {
        match self {
            Value::Null => "null".to_owned(),
            Value::Bool(flag) => format!("the boolean {flag}"),
            Value::Int(number) => format!("the integer {number}"),
            Value::Float(number) => format!("the number {number}"),
            Value::String(text) => {
                const SHOWN_MAX: usize = 60;
                let short: String = text.chars().take(SHOWN_MAX).collect();
                let rest = if text.chars().nth(SHOWN_MAX).is_some() { "…" } else { "" };
                format!("the string {short:?}{rest}")
            }
            Value::Seq(_) => "a sequence".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }
}
