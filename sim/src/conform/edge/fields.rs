//! Selectors of fields, asked of the JSON that a client would get.
//!
//! Source: `ToSelectableFields`, pkg/registry/*/*/strategy.go; `ParseSelector`,
//! staging/src/k8s.io/apimachinery/pkg/fields/selector.go (v1.34.1).

use serde_json::Value;
use wavetank_core::model::Kind;

/// Whether a selector, which is known to be a good one, takes an object.
pub fn selects(kind: Kind, selector: &str, object: &Value) -> bool {
    selector.split(',').filter(|part| !part.is_empty()).all(|part| {
        let (is_other, split) = match part.split_once("!=") {
            Some(split) => (true, Some(split)),
            None => (false, part.split_once("==").or_else(|| part.split_once('='))),
        };
        split.is_some_and(|(field, wanted)| (shown(kind, field, object) == wanted) != is_other)
    })
}

/// A field as text; one that is not there has its empty value.
fn shown(kind: Kind, field: &str, object: &Value) -> String {
    let path = match (kind, field) {
        (Kind::Job, "status.successful") => "status.succeeded",
        (Kind::Pod, "spec.host") => "spec.nodeName",
        (_, field) => field,
    };
    let found = object.pointer(&format!("/{}", path.replace('.', "/"))).unwrap_or(&Value::Null);
    match found {
        Value::String(text) => text.clone(),
        Value::Null if ["status.succeeded", "status.replicas"].contains(&path) => "0".to_owned(),
        Value::Null if ["spec.hostNetwork", "spec.unschedulable"].contains(&path) => "false".to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
