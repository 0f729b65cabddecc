//! Server-side apply. Where it is known whose each field is, as upstream; where it is not, as far as it goes without:
//! an object that is not there is created, one that is already as it shall be stays, and with `force` what is applied
//! counts, whoever had it.
//!
//! Absent on purpose: what is said to configurations that are none of their kind, and fields that are set to nothing.
//!
//! Source: `applyPatcher`, staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go;
//! `structuredMergeManager.Apply`, staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal/structuredmerge.go
//! (v1.34.1).

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::id::Revision;
use wavetank_core::model::{Object, ObjectKey};
use wavetank_manifest::kubernetes::{PatchType, apply_patch, to_json};

use super::change::{Sent, change, invalid_status, whole, wrong_name, wrong_version};
use super::{EPOCH, Manager, Managers, Outcome, Path, Status, create, options, status};

/// The media type of such a patch.
pub const MEDIA_TYPE: &str = "application/apply-patch+yaml";

/// What `kubectl apply` leaves on an object, and what an apply by its name begins with.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Applies a configuration.
pub(super) fn apply(core: &Core, key: &ObjectKey, path: &Path, sent: &Sent<'_>) -> Outcome {
    let body = sent.body;
    if let Some(status) = options::patch_fault(path, true) {
        return Outcome::Answered(status);
    }
    let version = body["apiVersion"].as_str().unwrap_or_default();
    if version != key.kind.api_version() {
        return Outcome::Answered(Status::bad_request(format!(
            "Incorrect version specified in apply patch. Specified patch version: {version}, expected: {}",
            key.kind.api_version()
        )));
    }
    if !body["metadata"]["managedFields"].is_null() {
        return Outcome::Answered(Status::bad_request("metadata.managedFields must be nil"));
    }
    let wrong = create::wrong_namespace(body, &key.namespace).or_else(|| wrong_name(key, body));
    let Some(current) = core.find(key) else {
        return match wrong {
            Some(status) => Outcome::Answered(status),
            None if path.subresource.is_empty() => create::create(core, key.kind, path, body),
            None => super::not_found(key),
        };
    };
    if let Some(status) = wrong {
        return Outcome::Answered(status);
    }
    let before = to_json(&current, Revision(0), EPOCH);
    if let Some(managers) = sent.managers {
        if let Some(status) = wrong_version(key, &current, sent) {
            return Outcome::Answered(status);
        }
        return among(core, managers, current, &before, path, body);
    }
    let mut after = before.clone();
    if apply_patch(PatchType::StrategicMerge, &mut after, body).is_ok_and(|()| after == before) {
        return Outcome::Ask(Vec::new());
    }
    if path.parameter("force").as_deref() == Some("true") {
        // What is merged by the keys of lists is merged alike.
        let content_type = "application/strategic-merge-patch+json";
        let path = Path { query: without_force(&path.query), ..path.clone() };
        return change(core, key, &path, &Sent { method: "PATCH", content_type, body, managers: None });
    }
    Outcome::NotCovered("server-side apply over fields of others".to_owned())
}

/// Applies a configuration to what is there, whose owners are known.
fn among(core: &Core, managers: &Managers, current: Object, before: &Value, path: &Path, body: &Value) -> Outcome {
    let key = current.key();
    let strict = Path { query: "fieldValidation=Strict".to_owned(), ..Path::default() };
    if path.subresource == "scale" {
        return Outcome::NotCovered("server-side apply of a size".to_owned());
    }
    if !before["metadata"]["annotations"][LAST_APPLIED].is_null() {
        return Outcome::NotCovered("server-side apply of what kubectl applied by itself".to_owned());
    }
    let mut config = body.clone();
    if let Some(metadata) = config["metadata"].as_object_mut() {
        metadata.retain(|field, _| !["creationTimestamp", "resourceVersion", "uid"].contains(&field.as_str()));
    }
    if has_null(&config) || create::read(key.kind, &mut config.clone(), &strict).is_err() {
        return Outcome::NotCovered("server-side apply of what is none of its kind".to_owned());
    }
    let force = path.parameter("force").is_some_and(|text| text == "true" || text == "1");
    match managers.apply(&key, before, &config, &applier(path), force) {
        Err(status) => Outcome::Answered(status),
        Ok(after) if after == *before => Outcome::Ask(Vec::new()),
        Ok(after) if path.subresource == "status" => match invalid_status(&current, before, &after) {
            Some(status) => Outcome::Answered(status),
            None => status::change(core, current, before, &after),
        },
        Ok(after) => whole(current, before, after),
    }
}

/// Who applies by way of a path.
pub fn applier(path: &Path) -> Manager {
    let name = path.parameter("fieldManager").unwrap_or_default();
    Manager { name, applies: true, subresource: path.subresource.clone() }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

fn without_force(query: &str) -> String {
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("force=")).collect();
    kept.join("&")
}
