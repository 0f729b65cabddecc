//! One change of one object, in the essential fields that recordings have.

use serde_json::{Map, Value};

/// One line of `events.jsonl`.
#[derive(Clone, Debug)]
pub struct Line {
    /// When, in milliseconds.
    pub at_ms: i64,
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub what: String,
    /// The object's kind.
    pub kind: String,
    /// `namespace/name`, or the name alone.
    pub name: String,
    /// All fields of the line.
    pub fields: Map<String, Value>,
}

impl Line {
    /// Reads a line. Errors: one that lacks time, type, kind or name.
    pub fn from_json(value: Value) -> Result<Line, String> {
        let Value::Object(fields) = value else { return Err("expected an object".to_owned()) };
        let text = |key: &str| {
            fields.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| format!("{key} not set"))
        };
        let at_ms = fields.get("t_ms").and_then(Value::as_i64).ok_or("t_ms not set")?;
        Ok(Line { at_ms, what: text("type")?, kind: text("kind")?, name: text("name")?, fields })
    }

    /// The line as `events.jsonl` has it.
    pub fn to_json(&self) -> Value {
        let mut fields = self.fields.clone();
        for (key, text) in [("type", &self.what), ("kind", &self.kind), ("name", &self.name)] {
            fields.insert(key.to_owned(), text.as_str().into());
        }
        fields.insert("t_ms".to_owned(), self.at_ms.into());
        Value::Object(fields)
    }

    /// Whether the object is new.
    pub fn is_added(&self) -> bool {
        self.what == "ADDED"
    }

    /// Whether the object is gone.
    pub fn is_deleted(&self) -> bool {
        self.what == "DELETED"
    }

    /// A field as text; empty if there is none.
    pub fn text(&self, key: &str) -> &str {
        self.fields.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// The namespace; empty for objects without one.
    pub fn namespace(&self) -> &str {
        self.name.split_once('/').map_or("", |(namespace, _)| namespace)
    }

    /// The name without its namespace.
    pub fn short_name(&self) -> &str {
        self.name.split_once('/').map_or(&self.name, |(_, name)| name)
    }
}
