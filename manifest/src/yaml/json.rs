//! Nodes as JSON values.

use super::{Node, Value};

impl Node {
    /// The JSON value without places, as `kubectl` would send it.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => serde_json::Value::Bool(*flag),
            Value::Int(number) => match i64::try_from(*number) {
                Ok(small) => small.into(),
                // The resolver lets nothing above `u64::MAX` through.
                Err(_) => u64::try_from(*number).map_or(serde_json::Value::Null, Into::into),
            },
            Value::Float(number) => (*number).into(),
            Value::String(text) => serde_json::Value::String(text.clone()),
            Value::Seq(items) => serde_json::Value::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(entries) => serde_json::Value::Object(
                entries.iter().map(|(key, node)| (key.text.clone(), node.to_json())).collect(),
            ),
        }
    }
}
