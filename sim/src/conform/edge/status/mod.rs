//! Changes of a status: what components report, written from outside. Whose word it is then, its component or whoever
//! wrote it, shows when the component looks at the object again.
//!
//! `workloads`, `pods`, `batch`, `storage` and `policy` put JSON into the core's statuses, a family of kinds each;
//! `written` is what they share. A change of a field that the core has no place for is not covered. Conditions of types
//! that the core does not model are passed over.
//!
//! Source: the types with `StatusStrategy` in their names, pkg/registry/*/*/strategy.go (v1.34.1).

mod batch;
mod pods;
mod policy;
mod storage;
mod workloads;
mod written;

use std::sync::Arc;

use serde_json::{Map, Value};
use wavetank_core::Core;
use wavetank_core::api::Request;
use wavetank_core::model::{Kind, Object};
use wavetank_manifest::kubernetes::{apply_defaults, to_object};

use super::change::whole;
use super::{Outcome, Path, create};
use written::Written;

/// Writes the status of `after` over the stored one, and what may be written of the metadata with it; a status that
/// stays is no write.
pub(super) fn change(core: &Core, current: Object, before: &Value, after: &Value) -> Outcome {
    let mut requests = Vec::new();
    let mut object = current.clone();
    let changed = with_metadata(current.kind(), before, after);
    if let Some(changed) = &changed {
        match whole(current, before, changed.clone()) {
            Outcome::Ask(updates) => requests = updates,
            other => return other,
        }
        // A Deployment's annotations are written with its status.
        if let (Some(Request::Update { object: Object::Deployment(new), .. }), Object::Deployment(old)) =
            (requests.first(), &mut object)
        {
            Arc::make_mut(old).meta.annotations = new.meta.annotations.clone();
        }
    }
    let (old, new) = (&before["status"], &after["status"]);
    if old == new {
        return Outcome::Ask(requests);
    }
    let written = Written { old, new, now: core.now(), epoch: core.config().epoch };
    match write(&mut object, &written, changed.as_ref().unwrap_or(before), after) {
        Ok(Some(request)) => requests.push(request),
        Ok(None) => requests.push(Request::UpdateStatus { object, expected: None }),
        Err(field) => return Outcome::NotCovered(format!("{field} in the status of a {}", object.kind().name())),
    }
    Outcome::Ask(requests)
}

/// Puts a status into an object, whose JSON is `before` with the metadata that is written; also the request that writes
/// it, if that is none of a status alone.
///
/// Errors: a field that the core has no place for.
fn write(object: &mut Object, written: &Written<'_>, before: &Value, after: &Value) -> Result<Option<Request>, String> {
    match object {
        Object::Node(node) => pods::node(Arc::make_mut(node), written, after)?,
        Object::Pod(pod) => pods::pod(Arc::make_mut(pod), written)?,
        Object::Deployment(it) => workloads::deployment(&mut Arc::make_mut(it).status, written)?,
        Object::ReplicaSet(it) => workloads::replicas(&mut Arc::make_mut(it).status, written)?,
        Object::ReplicationController(it) => workloads::replicas(&mut Arc::make_mut(it).status, written)?,
        Object::StatefulSet(it) => workloads::stateful_set(&mut Arc::make_mut(it).status, written)?,
        Object::DaemonSet(it) => workloads::daemon_set(&mut Arc::make_mut(it).status, written)?,
        Object::Job(job) => batch::job(Arc::make_mut(job), written)?,
        Object::CronJob(it) => batch::cron_job(&mut Arc::make_mut(it).status, written)?,
        Object::PersistentVolume(it) => storage::volume(&mut Arc::make_mut(it).status, written)?,
        Object::PersistentVolumeClaim(it) => storage::claim(&mut Arc::make_mut(it).status, written)?,
        Object::VolumeAttachment(it) => storage::attachment(&mut Arc::make_mut(it).status, written)?,
        Object::PodDisruptionBudget(it) => policy::budget(&mut Arc::make_mut(it).status, written)?,
        Object::ResourceQuota(it) => policy::quota(&mut Arc::make_mut(it).status, written)?,
        Object::Namespace(it) => policy::namespace(Arc::make_mut(it), written)?,
        Object::Service(_) => return Ok(Some(carried(object.kind(), before, after)?)),
        other => return Err(format!("what is written ({})", other.kind().plural())),
    }
    Ok(None)
}

/// The object with the metadata that is written with its status; `None` if that stays. Labels of a Deployment and
/// owners of a pod stay, and all metadata of a VolumeAttachment.
fn with_metadata(kind: Kind, before: &Value, after: &Value) -> Option<Value> {
    let mut changed = before.clone();
    let fields: &[&str] = match kind {
        Kind::Deployment => &["annotations", "finalizers", "ownerReferences"],
        Kind::Pod => &["labels", "annotations", "finalizers"],
        Kind::VolumeAttachment => &[],
        _ => &["labels", "annotations", "finalizers", "ownerReferences"],
    };
    let Value::Object(metadata) = &mut changed["metadata"] else { return None };
    for field in fields {
        match after["metadata"].get(*field).filter(|value| !is_empty(value)) {
            Some(value) => drop(metadata.insert((*field).to_owned(), value.clone())),
            None => drop(metadata.remove(*field)),
        }
    }
    (changed != *before).then_some(changed)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// A status that the core does not look at and that goes with what it keeps of the object.
///
/// Errors: an object that cannot be read any more.
fn carried(kind: Kind, before: &Value, after: &Value) -> Result<Request, String> {
    let mut json = before.clone();
    json["status"] = after["status"].clone();
    if let Value::Object(metadata) = &mut json["metadata"] {
        // What goes stays as it goes.
        for field in ["uid", "resourceVersion", "creationTimestamp", "generation", "deletionTimestamp"] {
            metadata.remove(field);
        }
        metadata.remove("deletionGracePeriodSeconds");
    }
    let mut located = create::read(kind, &mut json, &Path::default()).map_err(|status| status.message)?;
    apply_defaults(&mut located.value);
    let object = to_object(&located).map_err(|errors| errors.to_string())?;
    Ok(Request::Update { object, expected: None })
}

/// The fields of a status that differ and are none of these.
fn beyond(old: &Value, new: &Value, known: &[&str]) -> Option<String> {
    let empty = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    let differs = |field: &&String| {
        let (old, new) = (old.get(*field).unwrap_or(&Value::Null), new.get(*field).unwrap_or(&Value::Null));
        old != new && !(is_empty(old) && is_empty(new))
    };
    old.keys().chain(new.keys()).find(|field| !known.contains(&field.as_str()) && differs(field)).cloned()
}
