//! Changes: PUT and PATCH of objects, of their status and of their size.

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::Request;
use wavetank_core::id::{Name, Revision};
use wavetank_core::model::{Kind, Meta, Object, ObjectKey, Pod};
use wavetank_manifest::kubernetes::{
    ApiPod, Cause, Invalid, Manifest, Policy, Reason, admit_pod, apply_defaults, settle_claim, settle_service, to_json,
    to_object, validate_status_update, validate_update,
};

use super::create::{self, wrong_kind};
use super::{
    EPOCH, Managers, Outcome, Path, Status, apply, failed_precondition, not_found, options, patches, scale, status,
};

/// What was sent.
pub(super) struct Sent<'a> {
    /// `PUT` or `PATCH`.
    pub(super) method: &'a str,
    /// The media type of a patch.
    pub(super) content_type: &'a str,
    /// The body.
    pub(super) body: &'a Value,
    /// Whose each field is, if that is known.
    pub(super) managers: Option<&'a Managers>,
}

/// Kinds that a PUT creates if they are not there.
///
/// Source: `AllowCreateOnUpdate`, pkg/registry/core/{service,endpoint,limitrange}/strategy.go,
/// pkg/registry/coordination/lease (v1.34.1).
const CREATED_BY_PUT: [&str; 4] = ["services", "endpoints", "limitranges", "leases"];

/// Kinds that a PUT changes only if it names their version.
///
/// Source: `AllowUnconditionalUpdate`, pkg/registry/*/*/strategy.go (v1.34.1).
const ONLY_WITH_VERSION: [Kind; 5] =
    [Kind::PodDisruptionBudget, Kind::CSINode, Kind::CSIDriver, Kind::VolumeAttachment, Kind::CSIStorageCapacity];

/// A change of an object, or of the part of it that the path names.
pub(super) fn change(core: &Core, key: &ObjectKey, path: &Path, sent: &Sent<'_>) -> Outcome {
    if sent.method == "PATCH" && sent.content_type == apply::MEDIA_TYPE {
        return apply::apply(core, key, path, sent);
    }
    let patch_type = match patches::patch_type(sent) {
        Ok(patch_type) => patch_type,
        Err(outcome) => return outcome,
    };
    let options = match patch_type {
        Some(_) => options::patch_fault(path, false),
        None => options::fault(path, "UpdateOptions"),
    };
    let mut body = sent.body.clone();
    let early = options.or_else(|| match patch_type {
        None if path.subresource == "scale" => scale::wrong_body(key, sent.body),
        None => wrong_body(key, path, &mut body),
        Some(_) => None,
    });
    if let Some(status) = early {
        return Outcome::Answered(status);
    }
    let Some(current) = core.find(key) else {
        let is_created = sent.method == "PUT" && path.subresource.is_empty();
        if is_created && CREATED_BY_PUT.contains(&key.kind.plural()) {
            return create::create(core, key.kind, path, sent.body);
        }
        return not_found(key);
    };
    // A patch is read once there is something to patch.
    if let Some(status) = patch_type.and_then(|kind| patches::unreadable(kind, sent.body)) {
        return Outcome::Answered(status);
    }
    let before = to_json(&current, Revision(0), EPOCH);
    if path.subresource == "scale" {
        return scale::change(key, &current, &before, patch_type, sent);
    }
    let after = match patch_type {
        None => body,
        Some(kind) => {
            let after = patches::patched(key.kind, &stored(&current, &before), kind, sent.body, path);
            let elsewhere = |after: &Value| {
                let is_namespaced = key.kind.is_namespaced();
                is_namespaced.then(|| create::wrong_namespace(after, &key.namespace)).flatten()
            };
            let moved = |after: &Value| elsewhere(after).or_else(|| wrong_name(key, after));
            match after.and_then(|after| moved(&after).map_or(Ok(after), Err)) {
                Ok(after) => after,
                Err(status) => return Outcome::Answered(status),
            }
        }
    };
    if let Some(status) = wrong_version(key, &current, sent) {
        return Outcome::Answered(status);
    }
    if path.subresource == "status" {
        match invalid_status(&current, &before, &after) {
            Some(status) => Outcome::Answered(status),
            None => status::change(core, current, &before, &after),
        }
    } else {
        whole(current, &before, after)
    }
}

/// What a patch is put on: what is stored, which of an alias has a field that is not shown.
///
/// Source: `defaultOnReadInternalTrafficPolicy`, pkg/registry/core/service/storage/storage.go (v1.34.1).
fn stored(current: &Object, before: &Value) -> Value {
    let mut stored = before.clone();
    if let Object::Service(service) = current
        && service.is_alias()
        && let Some(text) = &service.meta.original
        && let Ok(written) = serde_json::from_str::<Value>(text)
        && let Some(policy) = written["spec"].get("internalTrafficPolicy")
    {
        stored["spec"]["internalTrafficPolicy"] = policy.clone();
    }
    stored
}

/// What is said to a PUT of what cannot be read, or of another object than the path's.
///
/// Source: `UpdateResource`, staging/src/k8s.io/apiserver/pkg/endpoints/handlers/update.go; `checkName`,
/// staging/src/k8s.io/apiserver/pkg/endpoints/handlers/rest.go (v1.34.1).
pub(super) fn wrong_body(key: &ObjectKey, path: &Path, body: &mut Value) -> Option<Status> {
    if let Some(status) = wrong_kind(key.kind, body) {
        return Some(status);
    }
    if let Err(status) = create::read(key.kind, body, path) {
        return Some(status);
    }
    create::wrong_namespace(body, &key.namespace).or_else(|| wrong_name(key, body))
}

/// What is said to an object of another name than the path's.
pub(super) fn wrong_name(key: &ObjectKey, body: &Value) -> Option<Status> {
    let message = match body["metadata"]["name"].as_str().unwrap_or_default() {
        "" => {
            let name = &key.name;
            format!("the name of the object ({name} based on URL) was undeterminable: name must be provided")
        }
        name if *name == *key.name => return None,
        name => format!("the name of the object ({name}) does not match the name on the URL ({})", key.name),
    };
    Some(Status::bad_request(message))
}

/// What is said to a change of a version or identity that the object has not got. A version of zero is any. A patch's
/// identity is a field like others, which validation looks at.
pub(super) fn wrong_version(key: &ObjectKey, current: &Object, sent: &Sent<'_>) -> Option<Status> {
    let meta = |field: &str| sent.body["metadata"][field].as_str().filter(|text| !text.is_empty());
    let stored = current.uid().to_string();
    if let Some(wanted) = meta("uid").filter(|wanted| *wanted != stored && sent.method == "PUT") {
        return Some(failed_precondition(key, "UID", wanted, &stored));
    }
    match meta("resourceVersion") {
        Some("0") => None,
        Some(version) => Some(match version.parse::<u64>() {
            Ok(_) => {
                let why = "the object has been modified; please apply your changes to the latest version and try again";
                Status::conflict(&key.kind.qualified_plural(), &key.name, why)
            }
            Err(_) => Status::internal(format!("strconv.ParseUint: parsing {version:?}: invalid syntax")),
        }),
        None if sent.method == "PUT" && ONLY_WITH_VERSION.contains(&key.kind) => {
            let (plural, name) = (key.kind.qualified_plural(), &*key.name);
            let why = "metadata.resourceVersion: Invalid value: 0: must be specified for an update";
            Some(Status::invalid(format!("{plural} {name:?} is invalid: {why}")))
        }
        None => None,
    }
}

/// A change of everything but the status.
pub(super) fn whole(current: Object, before: &Value, mut after: Value) -> Outcome {
    match current {
        Object::Service(_) => settle_service(&mut after, before),
        Object::PersistentVolumeClaim(_) => settle_claim(&mut after, before),
        // Who has to be done with a namespace is said by way of another path, and whatever is said here is not looked
        // at: `namespaceStrategy.PrepareForUpdate`, pkg/registry/core/namespace/strategy.go (v1.34.1).
        Object::Namespace(_) => after["spec"] = before["spec"].clone(),
        _ => {}
    }
    if let Some(status) = invalid(&current, before, &after) {
        return Outcome::Answered(status);
    }
    let mut after = without_what_is_kept(current.kind(), after, before);
    let kept = without_what_is_kept(current.kind(), before.clone(), before);
    let is_before = after == kept;
    if let (Object::Service(_), Some(status)) = (&current, before.get("status")) {
        // The core does not look at it: it goes with the rest of what a Service is.
        after["status"] = status.clone();
    }
    let mut located = match create::read(current.kind(), &mut after.clone(), &Path::default()) {
        Ok(located) => located,
        Err(status) => return Outcome::Answered(status),
    };
    apply_defaults(&mut located.value);
    // What admission has added to a pod is not read back.
    let object = match (to_object(&located), &current) {
        (Ok(Object::Pod(new)), Object::Pod(pod)) => {
            Object::Pod(with_changes(pod, &new, before["spec"] != after["spec"]).into())
        }
        (Ok(object), current) => with_times_of(object, current),
        (Err(errors), _) => return Outcome::NotCovered(errors.to_string()),
    };
    // What changes nothing is not written, in whatever words it comes.
    let told = || without_what_is_kept(current.kind(), to_json(&object, Revision(0), EPOCH), before);
    let is_same = is_before || told() == kept;
    Outcome::Ask(vec![Request::Update { object: if is_same { current } else { object }, expected: None }])
}

/// What the API server says of a new version: what is wrong with it, and what may not be changed.
fn invalid(current: &Object, before: &Value, after: &Value) -> Option<Status> {
    let read = |json: &Value| {
        let mut json = json.clone();
        create::name_kind(current.kind(), &mut json);
        if let Value::Object(meta) = &mut json["metadata"] {
            for field in RESET {
                meta.remove(field);
            }
            // What is going stays so, whatever is written.
            for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
                if let Some(kept) = before["metadata"].get(field) {
                    meta.insert(field.to_owned(), kept.clone());
                }
            }
            for field in ["uid", "namespace"] {
                if let (None, Some(kept)) = (meta.get(field), before["metadata"].get(field)) {
                    meta.insert(field.to_owned(), kept.clone());
                }
            }
        }
        let mut located = create::read(current.kind(), &mut json, &Path::default())?;
        apply_defaults(&mut located.value);
        if let Manifest::Pod(pod) = &mut located.value {
            tolerate(pod);
        }
        Ok(located.value)
    };
    match (read(after), read(before)) {
        (Err(status), _) | (_, Err(status)) => Some(status),
        (Ok(new), Ok(old)) => {
            let renamed = new.metadata().name != old.metadata().name;
            let mut faults = match validate_update(&new, &old, Policy::OF_FLAGS) {
                Ok(()) if !renamed => return None,
                Ok(()) => Vec::new(),
                Err(invalid) => invalid.causes,
            };
            let kind = new.kind();
            let name = new.metadata().name.clone().unwrap_or_default();
            if renamed {
                let message = format!("Invalid value: {name:?}: field is immutable");
                faults.insert(0, Cause { reason: Reason::Invalid, field: "metadata.name".to_owned(), message });
            }
            let invalid = Invalid { group: kind.group(), kind: kind.kind, name, causes: faults };
            Some(Status::invalid(invalid.to_string()))
        }
    }
}

/// What the API server says of a written status.
pub(super) fn invalid_status(current: &Object, before: &Value, after: &Value) -> Option<Status> {
    let stored = create::read(current.kind(), &mut before.clone(), &Path::default()).ok()?.value;
    let invalid = validate_status_update(&stored, after, before).err()?;
    Some(Status::invalid(invalid.to_string()))
}

/// What admission adds to a pod on every write: how long it stays on a node that is not well, and its priority.
fn tolerate(pod: &mut ApiPod) {
    let mut admitted = pod.clone();
    admit_pod(&mut admitted);
    if let (Some(spec), Some(admitted)) = (&mut pod.spec, admitted.spec) {
        spec.tolerations = admitted.tolerations;
        spec.priority = spec.priority.or(admitted.priority);
        spec.preemption_policy = spec.preemption_policy.take().or(admitted.preemption_policy);
    }
}

/// Metadata that the API server sets anew, whatever is written.
const RESET: [&str; 5] = ["resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"];

/// Nothing but the spec and what people write of the metadata can be changed here.
fn without_what_is_kept(kind: Kind, mut after: Value, before: &Value) -> Value {
    if let Value::Object(root) = &mut after {
        root.remove("status");
    }
    create::name_kind(kind, &mut after);
    if let Value::Object(meta) = &mut after["metadata"] {
        for field in RESET.iter().chain(&["uid", "deletionTimestamp", "deletionGracePeriodSeconds"]) {
            meta.remove(*field);
        }
        for field in ["name", "namespace"] {
            if let Some(kept) = before["metadata"].get(field) {
                meta.insert(field.to_owned(), kept.clone());
            }
        }
        // What a patch takes out of a map that is not there leaves an empty one.
        for field in ["annotations", "labels"] {
            if meta.get(field).and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
                meta.remove(field);
            }
        }
    }
    after
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
