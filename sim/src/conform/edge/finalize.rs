//! The subresource `finalize` of namespaces: who is done with one that goes takes its own finalizer away.

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::Request;
use wavetank_core::id::Revision;
use wavetank_core::model::{Object, ObjectKey};
use wavetank_manifest::kubernetes::{to_json, to_object, validate_finalize};

use super::change::{Sent, wrong_body, wrong_version};
use super::{EPOCH, Outcome, Path, Status, create, not_found, options};

/// A namespace with other finalizers of its spec.
///
/// Source: `namespaceFinalizeStrategy`, pkg/registry/core/namespace/strategy.go (v1.34.1).
pub(super) fn finalize(core: &Core, key: &ObjectKey, path: &Path, body: &Value) -> Outcome {
    let mut body = body.clone();
    if let Some(status) = options::fault(path, "UpdateOptions").or_else(|| wrong_body(key, path, &mut body)) {
        return Outcome::Answered(status);
    }
    let Some(current) = core.find(key) else { return not_found(key) };
    let sent = Sent { method: "PUT", content_type: "", body: &body, managers: None };
    if let Some(status) = wrong_version(key, &current, &sent) {
        return Outcome::Answered(status);
    }
    let mut before = to_json(&current, Revision(0), EPOCH);
    let read = |json: &mut Value| create::read(key.kind, json, &Path::default());
    match (read(&mut body), read(&mut before)) {
        (Ok(new), Ok(old)) => match (validate_finalize(&new.value, &old.value), to_object(&new)) {
            (Err(invalid), _) => Outcome::Answered(Status::invalid(invalid.to_string())),
            (Ok(()), Ok(Object::Namespace(namespace))) => {
                Outcome::Ask(vec![Request::Finalize { namespace, expected: None }])
            }
            (Ok(()), other) => Outcome::NotCovered(format!("finalize of {other:?}")),
        },
        (Err(status), _) | (_, Err(status)) => Outcome::Answered(status),
    }
}
