//! What the API server keeps of what is written: its types have no null, and most of their lists and maps are not told
//! when they have no entries.
//!
//! Source: the tags `omitempty` in staging/src/k8s.io/api/*/v1/types.go (v1.34.1).

use serde_json::{Map, Value};

/// Lists that are told although they have no entries.
const TOLD_LISTS: [&str; 13] = [
    "addresses",
    "command",
    "containers",
    "drivers",
    "endpoints",
    "limits",
    "monitors",
    "names",
    "nodeSelectorTerms",
    "requestMappings",
    "rules",
    "sources",
    "values",
];

/// Maps of text.
const TEXTS: [&str; 11] = [
    "annotations",
    "attachmentMetadata",
    "binaryData",
    "data",
    "labels",
    "matchLabels",
    "nodeSelector",
    "options",
    "parameters",
    "stringData",
    "volumeAttributes",
];

/// Maps of quantities.
const QUANTITIES: [&str; 13] = [
    "allocatable",
    "allocatedResources",
    "capacity",
    "default",
    "defaultRequest",
    "hard",
    "limits",
    "max",
    "maxLimitRequestRatio",
    "min",
    "overhead",
    "requests",
    "used",
];

/// What is kept of an object, or of a part of one.
pub(super) fn kept(mut value: Value) -> Value {
    strip(&mut value);
    value
}

/// What is kept of JSON that types have written, which has no null.
pub(super) fn kept_text(text: String) -> String {
    if !text.contains(":[]") && !text.contains(":{}") {
        return text;
    }
    let Ok(before) = serde_json::from_str::<Value>(&text) else { return text };
    let after = kept(before.clone());
    // What loses nothing keeps its order.
    if after == before { text } else { after.to_string() }
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.retain(|name, value| is_kept(name, value)),
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

fn is_kept(name: &str, value: &mut Value) -> bool {
    let zero = if TEXTS.contains(&name) { Some("") } else { QUANTITIES.contains(&name).then_some("0") };
    match (value, zero) {
        (Value::Null, _) => false,
        (Value::Object(entries), Some(zero)) => {
            fill(entries, zero);
            !entries.is_empty()
        }
        (Value::Array(items), _) if items.is_empty() => TOLD_LISTS.contains(&name),
        (value, _) => {
            strip(value);
            true
        }
    }
}

/// An entry of a map has a value, if only the zero one.
fn fill(entries: &mut Map<String, Value>, zero: &str) {
    entries.values_mut().filter(|value| value.is_null()).for_each(|value| *value = zero.into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_kept_as_null_and_few_things_without_entries() {
        let written = json!({
            "metadata": {"name": "a", "labels": {}, "annotations": {"a": null}, "finalizers": []},
            "spec": {"tolerations": null, "hostAliases": [], "nodeSelector": {}, "containers": [
                {"name": "c", "args": [], "env": [{"name": "A", "value": null}], "resources": {"limits": {}}}],
                "volumes": [{"name": "v", "emptyDir": {}}], "selector": {"matchLabels": {}},
                "overhead": {"cpu": null}, "podFailurePolicy": {"rules": []}}
        });
        let expected = json!({
            "metadata": {"name": "a", "annotations": {"a": ""}},
            "spec": {"containers": [{"name": "c", "env": [{"name": "A"}], "resources": {}}],
                "volumes": [{"name": "v", "emptyDir": {}}], "selector": {},
                "overhead": {"cpu": "0"}, "podFailurePolicy": {"rules": []}}
        });
        assert_eq!(kept(written), expected);
    }

    #[test]
    fn text_that_loses_nothing_stays_as_it_is() {
        let text = r#"{"z":{},"a":[1],"emptyDir":{}}"#;
        assert_eq!(kept_text(text.to_owned()), text);
        assert_eq!(kept_text(r#"{"z":{},"a":[]}"#.to_owned()), r#"{"z":{}}"#);
    }
}
