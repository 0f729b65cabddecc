//! Changes: PUT and PATCH of objects, of their status and of their size.

use serde_json::{Value, json};
use wavetank_core::Core;
use wavetank_core::api::{Patch, Request};
use wavetank_core::id::{Name, Revision};
use wavetank_core::model::{Meta, Object, ObjectKey, Pod};
use wavetank_manifest::kubernetes::{
    Located, Manifest, PatchType, apply_defaults, apply_patch, pod_update_fault, settle_service, to_json, to_object,
    validate,
};

use super::create::{self, wrong_kind};

use super::{EPOCH, Outcome, Path, Status, find, not_found, status};

/// What was sent.
pub(super) struct Sent<'a> {
    /// `PUT` or `PATCH`.
    pub(super) method: &'a str,
    /// The media type of a patch.
    pub(super) content_type: &'a str,
    /// The body.
    pub(super) body: &'a Value,
}

/// Kinds that a PUT creates if they are not there.
///
/// Source: `AllowCreateOnUpdate`, pkg/registry/core/{service,limitrange}/strategy.go, pkg/registry/coordination/lease (v1.34.1).
const CREATED_BY_PUT: [&str; 3] = ["services", "limitranges", "leases"];

/// A change of an object, or of the part of it that the path names.
pub(super) fn change(core: &Core, key: &ObjectKey, path: &Path, sent: &Sent<'_>) -> Outcome {
    let patch_type = match patch_type(path, sent) {
        Ok(patch_type) => patch_type,
        Err(outcome) => return outcome,
    };
    if sent.method == "PUT"
        && let Some(status) = wrong_target(key, path, sent.body)
    {
        return Outcome::Answered(status);
    }
    let Some(current) = find(core, key) else {
        let is_created = sent.method == "PUT" && path.subresource.is_empty();
        if is_created && CREATED_BY_PUT.contains(&key.kind.plural()) {
            return create::create(core, key.kind, path, sent.body);
        }
        return not_found(key);
    };
    let before = to_json(&current, Revision(0), EPOCH);
    if path.subresource == "scale" {
        return scale(key, &before, patch_type, sent);
    }
    let after = match patched(&before, patch_type, sent.body) {
        Ok(after) => after,
        Err(status) => return Outcome::Answered(status),
    };
    if let Some(status) = wrong_version(key, &current, sent.body) {
        return Outcome::Answered(status);
    }
    if path.subresource == "status" {
        status::change(core, current, &before, &after)
    } else {
        whole(core, current, &before, after)
    }
}

/// How the body is meant; `None` for a PUT.
fn patch_type(path: &Path, sent: &Sent<'_>) -> Result<Option<PatchType>, Outcome> {
    if sent.method == "PUT" {
        return Ok(None);
    }
    if sent.content_type == "application/apply-patch+yaml" {
        let manager = path.parameter("fieldManager").unwrap_or_default();
        let missing =
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
        return Err(match manager.is_empty() {
            true => Outcome::Answered(Status::invalid(missing)),
            false => Outcome::NotCovered("server-side apply".to_owned()),
        });
    }
    match PatchType::of_media_type(sent.content_type) {
        Some(kind) => Ok(Some(kind)),
        None => Err(Outcome::Answered(Status::new(415, "UnsupportedMediaType", "415: Unsupported Media Type"))),
    }
}

/// What is said to a PUT of another object than the path's.
///
/// Source: `checkName`, staging/src/k8s.io/apiserver/pkg/endpoints/handlers/rest.go (v1.34.1).
fn wrong_target(key: &ObjectKey, path: &Path, body: &Value) -> Option<Status> {
    if path.subresource != "scale"
        && let Some(status) = wrong_kind(key.kind, body)
    {
        return Some(status);
    }
    let meta = |field: &str| body["metadata"][field].as_str().filter(|text| !text.is_empty());
    if meta("namespace").is_some_and(|namespace| *namespace != *key.namespace) {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Some(Status::bad_request(message));
    }
    let name = meta("name").filter(|name| **name != *key.name)?;
    let message = format!("the name of the object ({name}) does not match the name on the URL ({})", key.name);
    Some(Status::bad_request(message))
}

/// What is said to a change of a version or identity that the object has not got.
fn wrong_version(key: &ObjectKey, current: &Object, body: &Value) -> Option<Status> {
    let meta = |field: &str| body["metadata"][field].as_str().filter(|text| !text.is_empty());
    if let Some(version) = meta("resourceVersion").filter(|version| *version != "0") {
        if version.parse::<u64>().is_err() {
            return Some(Status::internal(format!("strconv.ParseUint: parsing {version:?}: invalid syntax")));
        }
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Some(Status::conflict(&key.kind.qualified_plural(), &key.name, why));
    }
    let stored = current.uid().to_string();
    let wanted = meta("uid").filter(|wanted| *wanted != stored)?;
    let place: Vec<&str> = [&*key.namespace, &*key.name].into_iter().filter(|part| !part.is_empty()).collect();
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition \
         failed: UID in precondition: {wanted}, UID in object meta: {stored}",
        key.kind.plural(),
        place.join("/")
    );
    Some(Status::conflict(&key.kind.qualified_plural(), &key.name, &why))
}

/// The JSON after a change. Errors: a patch that does not fit.
fn patched(before: &Value, patch_type: Option<PatchType>, body: &Value) -> Result<Value, Status> {
    let Some(kind) = patch_type else { return Ok(body.clone()) };
    let mut after = before.clone();
    let refused = || Status::invalid("the server rejected our request due to an error in our request");
    apply_patch(kind, &mut after, body).map_err(|_| refused())?;
    Ok(after)
}

/// A new size, by the scale subresource.
fn scale(key: &ObjectKey, before: &Value, patch_type: Option<PatchType>, sent: &Sent<'_>) -> Outcome {
    let scale = json!({"spec": {"replicas": before["spec"]["replicas"]}});
    let after = match patched(&scale, patch_type, sent.body) {
        Ok(after) => after,
        Err(status) => return Outcome::Answered(status),
    };
    let wanted = after["spec"]["replicas"].as_i64().unwrap_or(0);
    match u32::try_from(wanted) {
        Ok(replicas) => Outcome::Ask(vec![Request::Patch { key: key.clone(), patch: Patch::Replicas(replicas) }]),
        Err(_) => Outcome::Answered(Status::invalid(format!(
            "Scale.autoscaling {:?} is invalid: spec.replicas: Invalid value: {wanted}: must be greater than or equal to 0",
            &*key.name
        ))),
    }
}

/// A change of everything but the status.
fn whole(core: &Core, current: Object, before: &Value, mut after: Value) -> Outcome {
    if matches!(current, Object::Service(_)) {
        settle_service(&mut after, before);
    }
    let after = without_what_is_kept(after, before);
    let located = match changed(core, &after) {
        Ok(located) => located,
        Err(outcome) => return outcome,
    };
    // What admission has added to a pod is not read back.
    match (to_object(&located), current) {
        (Ok(Object::Pod(new)), Object::Pod(pod)) => {
            let old = match create::read(&without_what_is_kept(before.clone(), before)) {
                Ok(old) => with_defaults(old),
                Err(status) => return Outcome::NotCovered(status.message),
            };
            if let Some(fault) = pod_update_fault(&old["spec"], &with_defaults(located)["spec"]) {
                return Outcome::Answered(Status::invalid(format!("Pod \"{}\" is invalid: {fault}", pod.meta.name)));
            }
            let object = Object::Pod(with_changes(&pod, &new, before["spec"] != after["spec"]).into());
            Outcome::Ask(vec![Request::Update { object, expected: None }])
        }
        (Ok(object), current) => {
            Outcome::Ask(vec![Request::Update { object: with_times_of(object, &current), expected: None }])
        }
        (Err(errors), _) => Outcome::NotCovered(errors.to_string()),
    }
}

/// Nothing but the spec and what people write of the metadata can be changed here.
fn without_what_is_kept(mut after: Value, before: &Value) -> Value {
    if let Value::Object(root) = &mut after {
        root.remove("status");
        root.entry("apiVersion").or_insert_with(|| before["apiVersion"].clone());
        root.entry("kind").or_insert_with(|| before["kind"].clone());
    }
    if let Value::Object(meta) = &mut after["metadata"] {
        for field in [
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "managedFields",
            "selfLink",
        ] {
            meta.remove(field);
        }
        for field in ["name", "namespace"] {
            if let Some(kept) = before["metadata"].get(field) {
                meta.insert(field.to_owned(), kept.clone());
            }
        }
    }
    after
}

/// Reads, defaults and validates a changed object.
///
/// Errors: what the API server would say: first what is wrong with the new object, then what may not be changed.
fn changed(core: &Core, after: &Value) -> Result<Located<Manifest>, Outcome> {
    let mut located = create::read(after).map_err(Outcome::Answered)?;
    apply_defaults(&mut located.value);
    let Err(mut invalid) = validate(&located.value) else { return Ok(located) };
    let fault = to_object(&located).ok().and_then(|object| core.update_fault(&object));
    let text = match fault {
        None => invalid.to_string(),
        Some(fault) => {
            let causes = std::mem::take(&mut invalid.causes);
            let mut faults: Vec<String> = causes.iter().map(ToString::to_string).collect();
            faults.push(fault.trim_start_matches('[').trim_end_matches(']').to_owned());
            format!("{} is invalid: [{}]", invalid.subject(), faults.join(", "))
        }
    };
    Err(Outcome::Answered(Status::invalid(text)))
}

/// An object's JSON with every default.
fn with_defaults(mut located: Located<Manifest>) -> Value {
    apply_defaults(&mut located.value);
    serde_json::to_value(&located.value).unwrap_or_default()
}

/// A pod with what may be changed of it.
fn with_changes(pod: &Pod, new: &Pod, changes_spec: bool) -> Pod {
    let mut changed = pod.clone();
    changed.meta = Meta::clone(&new.meta).into();
    if changes_spec {
        let mut spec = (*pod.spec).clone();
        let images = |spec: &wavetank_core::model::PodSpec| -> Vec<Name> {
            spec.containers.iter().chain(&spec.init_containers).map(|it| it.image.clone()).collect()
        };
        let containers = spec.containers.iter_mut().chain(&mut spec.init_containers);
        for (container, image) in containers.zip(images(&new.spec)) {
            container.image = image;
        }
        spec.tolerations.clone_from(&new.spec.tolerations);
        spec.active_deadline = new.spec.active_deadline;
        if pod.spec.rules.as_ref().is_some_and(|rules| !rules.scheduling_gates.is_empty()) {
            let (rules, wanted) = (spec.rules.get_or_insert_default(), new.spec.rules.as_ref());
            rules.scheduling_gates = wanted.map(|rules| rules.scheduling_gates.clone()).unwrap_or_default();
            spec.node_selector = new.spec.node_selector.clone();
            spec.required_node_affinity.clone_from(&new.spec.required_node_affinity);
        }
        changed.spec = wavetank_core::digest::Shared::new(spec);
    }
    changed
}

/// Taints keep the time at which a controller added them, which JSON shows in whole seconds only.
fn with_times_of(mut object: Object, current: &Object) -> Object {
    if let (Object::Node(new), Object::Node(old)) = (&mut object, current) {
        let new = std::sync::Arc::make_mut(new);
        for taint in &mut new.spec.taints {
            taint.added_at = old.spec.taints.iter().find(|other| other.same_mark(taint)).and_then(|it| it.added_at);
        }
    }
    object
}
