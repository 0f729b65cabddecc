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
use super::managers::Conflicts;
use super::{EPOCH, Manager, Managers, Outcome, Path, Status, create, options, scale, status};

/// The media type of such a patch.
pub const MEDIA_TYPE: &str = "application/apply-patch+yaml";

/// What `kubectl apply` leaves on an object, and what an apply by its name begins with.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Who applies by that name takes what kubectl's client applied before.
pub(super) const KUBECTL: &str = "kubectl";

/// What is not known where nobody keeps the owners of fields.
const OF_OTHERS: &str = "server-side apply over fields of others";

/// Applies a configuration.
pub(super) fn apply(core: &Core, key: &ObjectKey, path: &Path, sent: &Sent<'_>) -> Outcome {
    let body = sent.body;
    if let Some(status) = options::patch_fault(path, true) {
        return Outcome::Answered(status);
    }
    let version = body["apiVersion"].as_str().unwrap_or_default();
    let expected = if path.subresource == "scale" { scale::API_VERSION } else { key.kind.api_version() };
    if version != expected {
        return Outcome::Answered(Status::bad_request(format!(
            "Incorrect version specified in apply patch. Specified patch version: {version}, expected: {expected}"
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
    let force = path.parameter("force").as_deref() == Some("true");
    if path.subresource == "scale" {
        let wanted = &body["spec"]["replicas"];
        return match *wanted == before["spec"]["replicas"] {
            true => Outcome::Ask(Vec::new()),
            false if force => scale::sized(key, wanted),
            false => Outcome::NotCovered(OF_OTHERS.to_owned()),
        };
    }
    let mut after = before.clone();
    if apply_patch(PatchType::StrategicMerge, &mut after, body).is_ok_and(|()| after == before) {
        return Outcome::Ask(Vec::new());
    }
    if force {
        // What is merged by the keys of lists is merged alike.
        let content_type = "application/strategic-merge-patch+json";
        let path = Path { query: without_force(&path.query), ..path.clone() };
        return change(core, key, &path, &Sent { method: "PATCH", content_type, body, managers: None });
    }
    Outcome::NotCovered(OF_OTHERS.to_owned())
}

/// Applies a configuration to what is there, whose owners are known.
fn among(core: &Core, managers: &Managers, current: Object, before: &Value, path: &Path, body: &Value) -> Outcome {
    let key = current.key();
    let strict = Path { query: "fieldValidation=Strict".to_owned(), ..Path::default() };
    let mut config = body.clone();
    if let Some(metadata) = config["metadata"].as_object_mut() {
        metadata.retain(|field, _| !["creationTimestamp", "resourceVersion", "uid"].contains(&field.as_str()));
    }
    if path.subresource == "scale"
        && let Some(fields) = config.as_object_mut()
    {
        // Of a Scale the object has the size alone.
        fields.retain(|field, _| field == "spec");
    }
    let is_readable = match path.subresource.as_str() {
        "scale" => scale::wrong_size(&config["spec"]["replicas"]).is_none(),
        _ => create::read(key.kind, &mut config.clone(), &strict).is_ok(),
    };
    if has_null(&config) || !is_readable {
        return Outcome::NotCovered("server-side apply of what is none of its kind".to_owned());
    }
    let force = path.parameter("force").is_some_and(|text| text == "true" || text == "1");
    let applier = applier(path);
    let is_kubectl = applier.name == KUBECTL && path.subresource.is_empty();
    let last = last_applied(before).filter(|_| is_kubectl);
    let applied = managers.apply(&key, before, &config, &applier, Conflicts { force, last: last.as_ref() });
    let applied = applied.map(|after| if last.is_some() { with_last_applied(after, &config) } else { after });
    match applied {
        Err(status) => Outcome::Answered(status),
        Ok(after) if after == *before => Outcome::Ask(Vec::new()),
        Ok(after) if path.subresource == "scale" => scale::sized(&key, &after["spec"]["replicas"]),
        Ok(after) if path.subresource == "status" => match invalid_status(&current, before, &after) {
            Some(status) => Outcome::Answered(status),
            None => status::change(core, current, before, &after),
        },
        Ok(after) => whole(current, before, after),
    }
}

/// What kubectl asks for after an apply by the API server: what its client had applied before is the applier's from
/// then on, so that what of it the configuration says no longer goes. With those who lose their fields so.
///
/// Source: `migrateToSSAIfNecessary`, staging/src/k8s.io/kubectl/pkg/cmd/apply/apply.go;
/// `UpgradeManagedFields`, staging/src/k8s.io/client-go/util/csaupgrade/upgrade.go (v1.34.1).
pub fn hand_over(managers: &Managers, applied: Object, config: &Value, applier: &Manager) -> (Vec<Manager>, Outcome) {
    let key = applied.key();
    let by_client = managers.client_side(&key);
    if by_client.is_empty() {
        return (by_client, Outcome::Ask(Vec::new()));
    }
    let managers = managers.handed_over(&key, &by_client, applier, config);
    let before = to_json(&applied, Revision(0), EPOCH);
    let outcome = match managers.apply(&key, &before, config, applier, Conflicts { force: true, last: None }) {
        Err(status) => Outcome::Answered(status),
        Ok(after) if after == before => Outcome::Ask(Vec::new()),
        Ok(after) => whole(applied, &before, after),
    };
    (by_client, outcome)
}

/// What kubectl's client applied last to an object; nothing if it did not, or in another version of the API.
fn last_applied(object: &Value) -> Option<Value> {
    let text = object["metadata"]["annotations"][LAST_APPLIED].as_str()?;
    let last: Value = serde_json::from_str(text).ok()?;
    (last["apiVersion"] == object["apiVersion"]).then_some(last)
}

/// Source: `lastAppliedUpdater.Apply`,
/// staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal/lastappliedupdater.go (v1.34.1).
fn with_last_applied(mut after: Value, config: &Value) -> Value {
    let mut config = config.clone();
    without_last_applied(&mut config);
    after["metadata"]["annotations"][LAST_APPLIED] = as_last_applied(&config).into();
    after
}

/// Takes away what kubectl's client noted as applied last.
pub fn without_last_applied(config: &mut Value) {
    if let Some(annotations) = config["metadata"].get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
}

/// A configuration as kubectl notes it: one line, with letters that mean something in HTML as numbers.
pub fn as_last_applied(config: &Value) -> String {
    let text = config.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    format!("{text}\n")
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
