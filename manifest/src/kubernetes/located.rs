//! What was read, and where.

use crate::yaml;

/// An object, where it was read, and everything that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Located<T> {
    /// The name of the file.
    pub file: String,
    /// The object.
    pub value: T,
    /// The tree that the object was read from: places, and what the core does not model.
    pub source: yaml::Node,
}

impl<T> Located<T> {
    /// The line and column at which the object begins.
    pub fn position(&self) -> yaml::Position {
        self.source.span.start()
    }

    /// The object as it was written, before defaults: what `kubectl` would send.
    pub fn original(&self) -> serde_json::Value {
        self.source.to_json()
    }
}
