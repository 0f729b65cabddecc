//! What is done to pods beside changing them: evictions and bindings.
//!
//! Source: pkg/registry/core/pod/storage/{eviction,storage}.go; `ValidatePodBinding`,
//! pkg/apis/core/validation/validation.go (v1.34.1).

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::Request;
use wavetank_core::model::{Object, ObjectKey};

use super::delete::grace;
use super::{Outcome, Status, not_found};

/// What is said to a body that cannot be what the path asks for: of another kind, or about another pod.
fn wrong_body(key: &ObjectKey, body: &Value, kind: &str, internal: &str) -> Option<Status> {
    let (named, version) = (body["kind"].as_str().unwrap_or(kind), body["apiVersion"].as_str().unwrap_or("v1"));
    if named != kind {
        let version = version.rsplit('/').next().unwrap_or_default();
        return Some(Status::bad_request(format!(
            "{named} in version {version:?} cannot be handled as a {kind}: converting ({version}.{named}) to \
             ({internal}.{kind}): unknown conversion"
        )));
    }
    (body["metadata"]["name"].as_str().unwrap_or_default() != &*key.name)
        .then(|| Status::bad_request(format!("name in URL does not match name in {kind} object")))
}

/// An eviction of a pod, with the options of its deletion.
pub(super) fn evict(core: &Core, key: ObjectKey, body: &Value) -> Outcome {
    if let Some(status) = wrong_body(&key, body, "Eviction", "policy") {
        return Outcome::Answered(status);
    }
    let options = &body["deleteOptions"];
    let Some(stored) = core.find(&key) else { return not_found(&key) };
    let uid = stored.uid().to_string();
    let wanted = options["preconditions"]["uid"].as_str().filter(|wanted| !wanted.is_empty() && *wanted != uid);
    if let Some(wanted) = wanted {
        let why = format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have \
             been deleted and then recreated"
        );
        return Outcome::Answered(Status::conflict("Pod", &key.name, &why));
    }
    let dry_run = options["dryRun"].as_array().is_some_and(|stages| !stages.is_empty());
    Outcome::Ask(vec![Request::Evict { key, uid: None, grace: grace(options), dry_run }])
}

/// A binding of a pod to a node.
pub(super) fn bind(core: &Core, key: &ObjectKey, body: &Value) -> Outcome {
    if let Some(status) = wrong_body(key, body, "Binding", "core") {
        return Outcome::Answered(status);
    }
    let target = |field: &str| body["target"][field].as_str().unwrap_or_default();
    let mut faults = Vec::new();
    if !["", "Node"].contains(&target("kind")) {
        let kind = target("kind");
        faults.push(format!("target.kind: Unsupported value: {kind:?}: supported values: \"Node\", \"<empty>\""));
    }
    if target("name").is_empty() {
        faults.push("target.name: Required value".to_owned());
    }
    match faults.as_slice() {
        [] => {}
        [only] => return Outcome::Answered(Status::internal(only.clone())),
        several => return Outcome::Answered(Status::internal(format!("[{}]", several.join(", ")))),
    }
    let Some(Object::Pod(pod)) = core.find(key) else { return not_found(key) };
    let is_gated = pod.spec.rules.as_ref().is_some_and(|rules| !rules.scheduling_gates.is_empty());
    let name = &key.name;
    let why = match &pod.node {
        _ if pod.meta.deleted_at.is_some() => format!("pod {name} is being deleted, cannot be assigned to a host"),
        Some(node) => format!("pod {name} is already assigned to node \"{node}\""),
        None if is_gated => format!("pod {name} has non-empty .spec.schedulingGates"),
        None => {
            let (namespace, name, node) = (key.namespace.clone(), key.name.clone(), target("name").into());
            return Outcome::Ask(vec![Request::Bind { namespace, name, uid: pod.meta.uid, node }]);
        }
    };
    Outcome::Answered(Status::conflict("pods/binding", name, &why))
}
