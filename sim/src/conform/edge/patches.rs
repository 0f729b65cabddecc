//! Patches: of which type they are, whether they can be read, and what they make of an object.
//!
//! Source: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go (v1.34.1).

use serde_json::Value;
use wavetank_core::model::Kind;
use wavetank_manifest::kubernetes::{PatchType, apply_patch, converted, without_merge_key};

use super::change::Sent;
use super::{Outcome, Path, Status, bodies, create};

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
    let found = bodies::go_type(body);
    let cannot = |go_type: &str| format!("json: cannot unmarshal {found} into Go value of type {go_type}");
    let message = match kind {
        // A request without a body.
        PatchType::StrategicMerge if body.is_null() => "unexpected end of JSON input".to_owned(),
        _ if body.is_null() => "error decoding patch: unexpected end of JSON input".to_owned(),
        PatchType::Json if !body.is_array() => format!("error decoding patch: {}", cannot("[]handlers.jsonPatchOp")),
        PatchType::Json => {
            let wrong = wrong_operation(body.as_array().map_or(&[], Vec::as_slice))?;
            format!("error decoding patch: json: cannot unmarshal {wrong}")
        }
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
    if patch == PatchType::StrategicMerge {
        if let Some((element, key)) = without_merge_key(before, body) {
            let element = go_map(element);
            return Err(Status::internal(format!("map: {element} does not contain declared merge key: {key}")));
        }
        if let Some((wish, place)) = unknown_directive(body) {
            let shown = go_map(place);
            return Err(Status::internal(format!("unknown patch type: {wish} in map: {shown}")));
        }
    }
    apply_patch(patch, &mut after, body).map_err(|_| refused())?;
    let converts = patch == PatchType::StrategicMerge;
    let refuse = |after: &Value, why: &str| {
        let shown = if converts { go_map(body) } else { after.to_string() };
        Err(Status::invalid(format!(" \"\" is invalid: patch: Invalid value: {shown:?}: {why}")))
    };
    if converts {
        // The object is not read anew, so it stays what it is.
        for field in ["apiVersion", "kind"] {
            after[field] = before[field].clone();
        }
        after = converted(create::known(kind)?, &after);
    } else if let Some(status) = create::wrong_kind(kind, &after)
        && let Some((_, why)) = status.message.split_once(&format!(" cannot be handled as a {}: no kind ", kind.name()))
    {
        return refuse(&after, &format!("no kind {why}"));
    }
    if let Some(why) = create::unreadable(kind, &after, converts) {
        return refuse(&after, &why);
    }
    // What was written is the patch.
    let path = Path { written: None, ..path.clone() };
    if let Err(status) = create::read(kind, &mut after.clone(), &path) {
        return refuse(
            &after,
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

/// A directive of a strategic merge patch that there is not, and the place that has it.
fn unknown_directive(patch: &Value) -> Option<(&str, &Value)> {
    let fields = patch.as_object()?;
    let wish = fields.get("$patch").and_then(Value::as_str);
    match wish.filter(|wish| !["replace", "delete", "merge"].contains(wish)) {
        Some(wish) => Some((wish, patch)),
        None => fields.values().find_map(unknown_directive),
    }
}

/// What is said to a list of operations of which one is of another type.
fn wrong_operation(operations: &[Value]) -> Option<String> {
    operations.iter().find_map(|operation| {
        let Some(fields) = operation.as_object() else {
            let found = bodies::go_type(operation);
            let is_wrong = !operation.is_null();
            return is_wrong.then(|| format!("{found} into Go value of type handlers.jsonPatchOp"));
        };
        let wrong = ["op", "path", "from"].into_iter().find(|it| fields.get(*it).is_some_and(|it| !it.is_string()))?;
        let found = bodies::go_type(&fields[wrong]);
        Some(format!("{found} into Go struct field jsonPatchOp.{wrong} of type string"))
    })
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
