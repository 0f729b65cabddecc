//! The size of an object, by the scale subresource.
//!
//! Source: `scaleUpdatedObjectInfo`, pkg/registry/apps/deployment/storage/storage.go; `ValidateScale`,
//! pkg/apis/autoscaling/validation/validation.go (v1.34.1).

use serde_json::{Value, json};
use wavetank_core::api::{Patch, Request};
use wavetank_core::model::{Object, ObjectKey};
use wavetank_manifest::kubernetes::{PatchType, apply_patch};

use super::change::{Sent, wrong_name};
use super::{Outcome, Status, bodies, create, versions};

/// The version of the API that has a Scale, whatever the object.
pub(super) const API_VERSION: &str = "autoscaling/v1";

/// What is said to a PUT of what is no Scale, or that of another object.
pub(super) fn wrong_body(key: &ObjectKey, body: &Value) -> Option<Status> {
    let kind = body["kind"].as_str().unwrap_or("Scale");
    let version = body["apiVersion"].as_str().unwrap_or("autoscaling/v1").rsplit('/').next().unwrap_or_default();
    let subject = format!("{kind} in version {version:?} cannot be handled as a Scale");
    if kind != "Scale" {
        let message = format!("{subject}: converting ({version}.{kind}) to (autoscaling.Scale): unknown conversion");
        return Some(Status::bad_request(message));
    }
    let said = body["apiVersion"].as_str().filter(|text| !text.is_empty()).unwrap_or("autoscaling/v1");
    if !["autoscaling/v1", "apps/v1beta1", "apps/v1beta2", "extensions/v1beta1"].contains(&said) {
        return Some(Status::bad_request(format!("{subject}: {}", versions::unregistered("Scale", said))));
    }
    if let Some(why) = wrong_size(&body["spec"]["replicas"]) {
        return Some(Status::bad_request(format!("{subject}: {why}")));
    }
    create::wrong_namespace(body, &key.namespace).or_else(|| wrong_name(key, body))
}

/// What Go's reader says of a size that is no number.
pub(super) fn wrong_size(size: &Value) -> Option<String> {
    let found = match size {
        Value::Null => return None,
        Value::Number(number) if number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()) => return None,
        Value::Number(number) => format!("number {number}"),
        other => bodies::go_type(other).to_owned(),
    };
    Some(format!("json: cannot unmarshal {found} into Go struct field ScaleSpec.spec.replicas of type int32"))
}

/// A new size.
pub(super) fn change(
    key: &ObjectKey,
    current: &Object,
    before: &Value,
    patch_type: Option<PatchType>,
    sent: &Sent<'_>,
) -> Outcome {
    let mut after = shown(before);
    match patch_type {
        None => after = sent.body.clone(),
        Some(kind) => {
            if apply_patch(kind, &mut after, sent.body).is_err() {
                let message = "the server rejected our request due to an error in our request";
                return Outcome::Answered(Status::invalid(message));
            }
        }
    }
    if patch_type.is_some()
        && let Some(status) = sent.body["metadata"].get("name").and_then(|_| wrong_name(key, sent.body))
    {
        return Outcome::Answered(status);
    }
    if let Some(why) = wrong_size(&after["spec"]["replicas"]) {
        let message = format!(" \"\" is invalid: patch: Invalid value: {:?}: {why}", after.to_string());
        return Outcome::Answered(Status::invalid(message));
    }
    let meta = |field: &str| sent.body["metadata"][field].as_str().filter(|text| !text.is_empty());
    let plural = key.kind.qualified_plural();
    let sized = sized(key, &after["spec"]["replicas"]);
    if matches!(sized, Outcome::Answered(_)) {
        return sized;
    }
    let uid = current.uid().to_string();
    if let Some(uid_wanted) = meta("uid").filter(|wanted| *wanted != uid) {
        let group = key.kind.api_version().split_once('/').map_or(String::new(), |(group, _)| format!(".{group}"));
        let resource = format!("{}/scale{group}", key.kind.plural());
        let why = format!("Precondition failed: UID in precondition: {uid_wanted}, UID in object meta: {uid}");
        return Outcome::Answered(Status::conflict(&resource, &key.name, &why));
    }
    if let Some(version) = meta("resourceVersion").filter(|version| version.parse::<u64>().is_err()) {
        return Outcome::Answered(Status::internal(format!("strconv.ParseUint: parsing {version:?}: invalid syntax")));
    }
    if meta("resourceVersion").is_some_and(|version| version != "0") {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Outcome::Answered(Status::conflict(&plural, &key.name, why));
    }
    sized
}

/// The request for a size, or what is said to one below zero. A size that is not told is zero.
pub(super) fn sized(key: &ObjectKey, wanted: &Value) -> Outcome {
    let wanted = wanted.as_i64().unwrap_or(0);
    match u32::try_from(wanted) {
        Ok(replicas) => Outcome::Ask(vec![Request::Patch { key: key.clone(), patch: Patch::Replicas(replicas) }]),
        Err(_) => Outcome::Answered(Status::invalid(format!(
            "Scale.autoscaling {:?} is invalid: spec.replicas: Invalid value: {wanted}: must be greater than or equal \
             to 0",
            &*key.name
        ))),
    }
}

/// An object's Scale, as clients see it; its selector is left out.
fn shown(object: &Value) -> Value {
    let meta = |field: &str| object["metadata"][field].clone();
    json!({
        "apiVersion": API_VERSION,
        "kind": "Scale",
        "metadata": {
            "name": meta("name"), "namespace": meta("namespace"), "uid": meta("uid"),
            "creationTimestamp": meta("creationTimestamp"),
        },
        "spec": {"replicas": object["spec"]["replicas"]},
        "status": {"replicas": object["status"]["replicas"].as_u64().unwrap_or(0)},
    })
}
