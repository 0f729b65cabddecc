//! What is done to pods beside changing them: evictions and bindings.
//!
//! Source: pkg/registry/core/pod/storage/{eviction,storage}.go; `ValidatePodBinding`,
//! pkg/apis/core/validation/validation.go (v1.34.1).

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::Request;
use wavetank_core::api::admission::early_refusal;
use wavetank_core::api::eviction::charge;
use wavetank_core::model::{Object, ObjectKey};

use super::delete::grace;
use super::{Outcome, Path, Status, bodies, create, failed_precondition, not_found, options, together, versions};

/// What is said to a body that cannot be what the path asks for, of another kind or about another pod, and to what
/// nothing can be created in.
fn wrong_body(core: &Core, key: &ObjectKey, body: &Value, kind: &str, internal: &str) -> Option<Status> {
    let (named, version) = (body["kind"].as_str().unwrap_or(kind), body["apiVersion"].as_str().unwrap_or("v1"));
    if named != kind {
        let version = version.rsplit('/').next().unwrap_or_default();
        return Some(Status::bad_request(format!(
            "{named} in version {version:?} cannot be handled as a {kind}: converting ({version}.{named}) to \
             ({internal}.{kind}): unknown conversion"
        )));
    }
    let known: &[&str] = if kind == "Binding" { &["v1"] } else { &["policy/v1", "policy/v1beta1"] };
    let said = body["apiVersion"].as_str().filter(|text| !text.is_empty());
    if let Some(said) = said.filter(|said| !known.contains(said)) {
        let subject = format!("{named} in version {:?} cannot be handled as a {kind}", last(said));
        return Some(Status::bad_request(format!("{subject}: {}", versions::unregistered(named, said))));
    }
    if let Some(why) = unread_part(body, kind) {
        let subject = format!("{kind} in version {:?} cannot be handled as a {kind}", last(said.unwrap_or(known[0])));
        return Some(Status::bad_request(format!("{subject}: json: cannot unmarshal {why}")));
    }
    if let Some(status) = create::wrong_namespace(body, &key.namespace) {
        return Some(status);
    }
    // Both are creations, which a namespace that is not there or going does not take.
    if let Some(refusal) = early_refusal(core.newest(), key, None) {
        return Some(Status::of(&refusal));
    }
    (body["metadata"]["name"].as_str().unwrap_or_default() != &*key.name)
        .then(|| Status::bad_request(format!("name in URL does not match name in {kind} object")))
}

/// A version without its group.
fn last(version: &str) -> &str {
    version.rsplit('/').next().unwrap_or_default()
}

/// What Go's reader says of the part of a body that is more than metadata, where it is of another type.
fn unread_part(body: &Value, kind: &str) -> Option<String> {
    let is_binding = kind == "Binding";
    let (part, go_type) = if is_binding { ("target", "ObjectReference") } else { ("deleteOptions", "DeleteOptions") };
    match &body[part] {
        Value::Null => None,
        Value::Object(fields) => {
            let grace = fields.get("gracePeriodSeconds").filter(|it| !it.is_i64() && !it.is_null())?;
            let found = bodies::go_type(grace);
            Some(format!("{found} into Go struct field DeleteOptions.deleteOptions.gracePeriodSeconds of type int64"))
        }
        other => Some(format!("{} into Go struct field {kind}.{part} of type v1.{go_type}", bodies::go_type(other))),
    }
}

/// What is said to a deletion, or an eviction, with a precondition that is not met; a version is one that the object
/// has not got.
///
/// Source: `BeforeDelete`, staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go (v1.34.1).
pub(super) fn unmet(core: &Core, stored: &Object, options: &Value) -> Option<Status> {
    let wanted = |field: &str| options["preconditions"][field].as_str().filter(|text| !text.is_empty());
    let (uid, key) = (stored.uid().to_string(), stored.key());
    let conflict = |why: String| Some(Status::conflict(&key.kind.qualified_name(), &key.name, &why));
    if let Some(wanted) = wanted("uid").filter(|wanted| *wanted != uid) {
        return conflict(format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have \
             been deleted and then recreated"
        ));
    }
    let wanted = wanted("resourceVersion")?;
    conflict(format!(
        "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record ({}). The \
         object might have been modified",
        core.revision().0
    ))
}

/// An eviction of a pod, with the options of its deletion.
pub(super) fn evict(core: &Core, key: ObjectKey, path: &Path, body: &Value) -> Outcome {
    let early = options::fault(path, "CreateOptions").or_else(|| wrong_body(core, &key, body, "Eviction", "policy"));
    if let Some(status) = early {
        return Outcome::Answered(status);
    }
    let options = &body["deleteOptions"];
    let Some(stored) = core.find(&key) else { return not_found(&key) };
    let dry_run = options["dryRun"].as_array().is_some_and(|stages| !stages.is_empty());
    if let (Some(status), Object::Pod(pod)) = (unmet(core, &stored, options), &stored) {
        // A budget is asked, and pays, before the pod is looked at for what it must be.
        return match charge(core.now(), core.newest(), pod) {
            Err(refusal) => Outcome::Answered(Status::of(&refusal)),
            Ok(Some(budget)) if !dry_run && !options::is_dry("POST", path, body) => {
                let object = Object::PodDisruptionBudget(budget.into());
                Outcome::AnsweredAfter(vec![Request::UpdateStatus { object, expected: None }], status)
            }
            Ok(_) => Outcome::Answered(status),
        };
    }
    Outcome::Ask(vec![Request::Evict { key, uid: None, grace: grace(options), dry_run }])
}

/// A binding of a pod to a node.
pub(super) fn bind(core: &Core, key: &ObjectKey, path: &Path, body: &Value) -> Outcome {
    let early = options::fault(path, "CreateOptions").or_else(|| wrong_body(core, key, body, "Binding", "core"));
    if let Some(status) = early {
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
    if let Some(said) = together(&faults) {
        return Outcome::Answered(Status::internal(said));
    }
    let Some(Object::Pod(pod)) = core.find(key) else { return not_found(key) };
    let wanted = |field: &str| body["metadata"][field].as_str().filter(|text| !text.is_empty());
    let uid = pod.meta.uid.to_string();
    if let Some(wanted) = wanted("uid").filter(|wanted| *wanted != uid) {
        return Outcome::Answered(failed_precondition(key, "UID", wanted, &uid));
    }
    // A zero stands for the version that the object has.
    if let Some(wanted) = wanted("resourceVersion").filter(|wanted| *wanted != "0") {
        let stored = core.revision().0.to_string();
        return Outcome::Answered(failed_precondition(key, "ResourceVersion", wanted, &stored));
    }
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
