//! Patches: of which type they are, whether they can be read, and what they make of an object.
//!
//! Source: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go (v1.34.1).

use serde_json::Value;
use wavetank_core::model::Kind;
use wavetank_manifest::kubernetes::{PatchType, apply_patch};

use super::change::Sent;
use super::{Outcome, Path, Status, create};

/// How the body is meant; `None` for a PUT.
pub(super) fn patch_type(sent: &Sent<'_>) -> Result<Option<PatchType>, Outcome> {
    if sent.method == "PUT" {
        return Ok(None);
    }
    match PatchType::of_media_type(sent.content_type) {
        Some(kind) => Ok(Some(kind)),
        None => Err(Outcome::Answered(Status::new(415, "UnsupportedMediaType", "415: Unsupported Media Type"))),
    }
}

/// What is said to a patch that is none of its type.
pub(super) fn unreadable(kind: PatchType, body: &Value) -> Option<Status> {
    let found = match body {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let cannot = |go_type: &str| format!("json: cannot unmarshal {found} into Go value of type {go_type}");
    let message = match kind {
        PatchType::Json if !body.is_array() => format!("error decoding patch: {}", cannot("[]handlers.jsonPatchOp")),
        PatchType::Merge if !body.is_object() => {
            format!("error decoding patch: {}", cannot("map[string]interface {}"))
        }
        PatchType::StrategicMerge if !body.is_object() => cannot("map[string]interface {}"),
        _ => return None,
    };
    Some(Status::bad_request(message))
}

/// The JSON after a change. Errors: a patch that does not fit, and one that makes what cannot be read.
pub(super) fn patched(
    kind: Kind,
    before: &Value,
    patch: PatchType,
    body: &Value,
    path: &Path,
) -> Result<Value, Status> {
    let mut after = before.clone();
    let refused = || Status::invalid("the server rejected our request due to an error in our request");
    apply_patch(patch, &mut after, body).map_err(|_| refused())?;
    let converts = patch == PatchType::StrategicMerge;
    let refuse = |why: &str| {
        let shown = if converts { go_map(body) } else { after.to_string() };
        Err(Status::invalid(format!(" \"\" is invalid: patch: Invalid value: {shown:?}: {why}")))
    };
    if let Some(why) = create::unreadable(kind, &after, converts) {
        return refuse(&why);
    }
    if let Err(status) = create::read(kind, &mut after.clone(), path) {
        return refuse(
            status
                .message
                .rsplit(" cannot be handled as a ")
                .next()
                .and_then(|it| it.split_once(": "))
                .map_or("", |it| it.1),
        );
    }
    Ok(after)
}

/// A value as Go prints it with `%+v`.
fn go_map(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_map).collect::<Vec<_>>().join(" ")),
        Value::Object(entries) => {
            let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{key}:{}", go_map(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
        other => other.to_string(),
    }
}
