//! Requests as HTTP clients make them, turned into the core's own by what its store holds at that moment.
//!
//! A patch is applied to the JSON that a client would get, and the result is read, defaulted and validated as a new
//! manifest is. Absent on purpose: everything that is no write of an object (reads, watches, logs).

use serde_json::{Value, json};
use wavetank_core::Core;
use wavetank_core::api::{Patch, Propagation, Refusal, Request};
use wavetank_core::id::{Name, Uid};
use wavetank_core::model::{ConditionKind, Kind, Meta, Node, Object, ObjectKey, Phase, Status3};
use wavetank_core::time::Span;
use wavetank_manifest::kubernetes::{
    Located, Manifest, PatchType, apply_defaults, apply_patch, read_node, settle_service, to_json, to_object, validate,
};
use wavetank_manifest::yaml::{Duplicates, parse};

/// Unix time of a run's start, for timestamps that are patched.
pub const EPOCH: i64 = 1_700_000_000;

/// What a request has come to.
pub enum Outcome {
    /// The core is asked; several requests are made one after the other.
    Ask(Vec<Request>),
    /// It is answered at the edge.
    Answered(Status),
    /// Nothing here can do that.
    NotCovered(String),
}

/// A refusal as the API server words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The HTTP code.
    pub code: u16,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// The parts of a path: `/apis/apps/v1/namespaces/shop/deployments/web/scale`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// The namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// The kind's plural.
    pub plural: String,
    /// The object; empty for a collection.
    pub name: String,
    /// The subresource; empty for the object itself.
    pub subresource: String,
    /// What follows the question mark.
    pub query: String,
}

impl Path {
    /// Takes a path apart; `None` if it is none of objects.
    pub fn parse(text: &str) -> Option<Path> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let version = match *parts.first()? {
            "api" => 2,
            "apis" => 3,
            _ => return None,
        };
        parts.drain(..version.min(parts.len()));
        let mut namespace = "";
        if parts.first() == Some(&"namespaces") && parts.len() > 2 {
            namespace = parts[1];
            parts.drain(..2);
        }
        let at = |place: usize| parts.get(place).copied().unwrap_or_default().to_owned();
        Some(Path {
            namespace: namespace.to_owned(),
            plural: at(0),
            name: at(1),
            subresource: at(2),
            query: query.to_owned(),
        })
    }
}

/// Turns a request into the core's own.
pub fn translate(core: &Core, method: &str, path: &Path, content_type: &str, body: &Value) -> Outcome {
    let Some(kind) = Kind::ALL.iter().copied().find(|kind| kind.plural() == path.plural) else {
        return Outcome::NotCovered(path.plural.clone());
    };
    let key = ObjectKey::new(kind, &path.namespace, &path.name);
    match (method, path.subresource.as_str()) {
        ("GET", _) => Outcome::Ask(Vec::new()),
        ("POST", "") => create(kind, path, body),
        ("POST", "eviction") => Outcome::Ask(vec![evict(key, &body["deleteOptions"])]),
        ("DELETE", "") => Outcome::Ask(vec![delete(key, body)]),
        ("PATCH" | "PUT", "scale") => match body["spec"]["replicas"].as_u64() {
            Some(replicas) => {
                Outcome::Ask(vec![Request::Patch { key, patch: Patch::Replicas(u32::try_from(replicas).unwrap_or(0)) }])
            }
            None => {
                Outcome::Answered(unprocessable("spec.replicas: Invalid value: must be greater than or equal to 0"))
            }
        },
        ("PATCH" | "PUT", "") => change(core, &key, method, content_type, body, false),
        ("PATCH" | "PUT", "status") => change(core, &key, method, content_type, body, true),
        (_, subresource) => Outcome::NotCovered(format!("{}/{subresource}", path.plural)),
    }
}

/// The code that the API server answers a refusal with.
pub fn code_of(refusal: &Refusal) -> u16 {
    match refusal {
        Refusal::NotFound(_) => 404,
        Refusal::AlreadyExists(_) | Refusal::Conflict { .. } | Refusal::WrongUid { .. } => 409,
        Refusal::Forbidden { .. } => 403,
        Refusal::Invalid { .. } => 422,
        Refusal::TooManyRequests { .. } => 429,
        _ => 500,
    }
}

fn create(kind: Kind, path: &Path, body: &Value) -> Outcome {
    let mut body = body.clone();
    if kind.is_namespaced() && body["metadata"]["namespace"].is_null() {
        body["metadata"]["namespace"] = path.namespace.clone().into();
    }
    match admit(&body) {
        Ok(located) => match to_object(&located) {
            Ok(object) => Outcome::Ask(vec![Request::Create(object)]),
            Err(errors) => Outcome::NotCovered(errors.to_string()),
        },
        Err(status) => Outcome::Answered(status),
    }
}

/// Reads, defaults and validates.
///
/// Errors: what the API server would say.
pub fn admit(body: &Value) -> Result<Located<Manifest>, Status> {
    let node = parse(&body.to_string(), Duplicates::LastWins)
        .map_err(|error| bad_request(&error.to_string()))?
        .into_iter()
        .next()
        .ok_or_else(|| bad_request("the body is empty"))?;
    let mut objects = read_node("body", node).map_err(|errors| bad_request(&errors.to_string()))?;
    let mut located = objects.pop().ok_or_else(|| bad_request("the body has no object"))?;
    apply_defaults(&mut located.value);
    validate(&located.value).map_err(|invalid| unprocessable(&invalid.to_string()))?;
    Ok(located)
}

fn evict(key: ObjectKey, options: &Value) -> Request {
    let dry_run = options["dryRun"].as_array().is_some_and(|stages| !stages.is_empty());
    Request::Evict { key, uid: precondition(options), grace: grace(options), dry_run }
}

fn precondition(options: &Value) -> Option<Uid> {
    let text = options["preconditions"]["uid"].as_str()?.replace('-', "");
    u128::from_str_radix(&text, 16).ok().map(Uid)
}

fn grace(options: &Value) -> Option<Span> {
    options["gracePeriodSeconds"].as_u64().map(Span::from_secs)
}

fn delete(key: ObjectKey, options: &Value) -> Request {
    let propagation = match options["propagationPolicy"].as_str() {
        Some("Foreground") => Propagation::Foreground,
        Some("Orphan") => Propagation::Orphan,
        _ => Propagation::Background,
    };
    Request::Delete { key, uid: precondition(options), grace: grace(options), propagation }
}

fn change(core: &Core, key: &ObjectKey, method: &str, content_type: &str, body: &Value, status: bool) -> Outcome {
    let Some(mut current) = find(core, key) else {
        return Outcome::Answered(Status {
            code: 404,
            reason: "NotFound".to_owned(),
            message: Refusal::NotFound(key.clone()).to_string(),
        });
    };
    let mut json = to_json(&current, wavetank_core::id::Revision(0), EPOCH);
    let spec = json["spec"].clone();
    if method == "PUT" {
        json = body.clone();
    } else {
        let Some(kind) = PatchType::of_media_type(content_type) else {
            return Outcome::NotCovered(format!("patches of type {content_type:?}"));
        };
        apply_patch(kind, &mut json, body);
    }
    if status {
        return change_status(core, current, &json);
    }
    if key.kind == Kind::Service {
        settle_service(&mut json, &to_json(&current, wavetank_core::id::Revision(0), EPOCH));
    }
    // Nothing but the spec and what people write of the metadata can be changed here.
    if let Value::Object(root) = &mut json {
        root.remove("status");
    }
    if let Value::Object(meta) = &mut json["metadata"] {
        for field in ["uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"] {
            meta.remove(field);
        }
        meta.remove("deletionGracePeriodSeconds");
    }
    let located = match admit(&json) {
        Ok(located) => located,
        Err(status) => return Outcome::Answered(status),
    };
    // What admission has added to a pod is not read back: a pod whose spec stays keeps it as it is.
    let keeps_spec = spec == json["spec"];
    match to_object(&located) {
        Ok(Object::Pod(new)) if keeps_spec => {
            *current.meta_mut() = Meta::clone(&new.meta);
            Outcome::Ask(vec![Request::Update { object: current, expected: None }])
        }
        Ok(object) => Outcome::Ask(vec![Request::Update { object: with_status_of(object, &current), expected: None }]),
        Err(errors) => Outcome::NotCovered(errors.to_string()),
    }
}

/// Taints keep the time at which a controller added them, which JSON shows in whole seconds only.
fn with_status_of(mut object: Object, current: &Object) -> Object {
    if let (Object::Node(new), Object::Node(old)) = (&mut object, current) {
        let new = std::sync::Arc::make_mut(new);
        for taint in &mut new.spec.taints {
            taint.added_at = old.spec.taints.iter().find(|other| other.same_mark(taint)).and_then(|it| it.added_at);
        }
    }
    object
}

/// Conditions of nodes and pods can be written from outside; the rest of a status is its component's own.
fn change_status(core: &Core, current: Object, json: &Value) -> Outcome {
    let now = core.now();
    let conditions = json["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let mut object = current;
    let set = |conditions_of: &mut wavetank_core::model::Conditions| {
        for condition in &conditions {
            let Some(kind) = condition["type"].as_str().and_then(condition_kind) else { continue };
            let status = match condition["status"].as_str() {
                Some("True") => Status3::True,
                Some("False") => Status3::False,
                _ => Status3::Unknown,
            };
            let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
            conditions_of.set(kind, status, &text("reason"), &text("message"), now);
        }
    };
    match &mut object {
        Object::Node(node) => set(&mut std::sync::Arc::make_mut(node).status.conditions),
        Object::Pod(pod) => {
            let status = &mut std::sync::Arc::make_mut(pod).status;
            let text = |key: &str| json["status"][key].as_str().unwrap_or_default();
            status.phase = phase(text("phase")).unwrap_or(status.phase);
            (status.reason, status.message) = (name(text("reason")), name(text("message")));
            set(&mut status.conditions);
        }
        _ => {}
    }
    Outcome::Ask(vec![Request::UpdateStatus { object, expected: None }])
}

fn phase(text: &str) -> Option<Phase> {
    Some(match text {
        "Pending" => Phase::Pending,
        "Running" => Phase::Running,
        "Succeeded" => Phase::Succeeded,
        "Failed" => Phase::Failed,
        "Unknown" => Phase::Unknown,
        _ => return None,
    })
}

fn condition_kind(text: &str) -> Option<ConditionKind> {
    Some(match text {
        "Ready" => ConditionKind::Ready,
        "MemoryPressure" => ConditionKind::MemoryPressure,
        "DiskPressure" => ConditionKind::DiskPressure,
        "PIDPressure" => ConditionKind::PidPressure,
        "NetworkUnavailable" => ConditionKind::NetworkUnavailable,
        "PodScheduled" => ConditionKind::PodScheduled,
        "Initialized" => ConditionKind::Initialized,
        "ContainersReady" => ConditionKind::ContainersReady,
        "DisruptionTarget" => ConditionKind::DisruptionTarget,
        _ => return None,
    })
}

/// The newest version of an object.
pub fn find(core: &Core, key: &ObjectKey) -> Option<Object> {
    let objects = core.newest().objects(key.kind);
    objects.into_iter().map(|(_, object)| object).find(|object| object.key() == *key)
}

/// The machine of a `fake_kubelet` step as a Node: 8 CPUs and 32 GiB unless it says otherwise.
pub fn node_of(machine: &Value) -> Result<Node, String> {
    let name = machine["name"].as_str().ok_or("a machine without a name")?;
    let text = |key: &str, default: &str| machine[key].as_str().unwrap_or(default).to_owned();
    let mut labels = json!({"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"});
    if let Some(zone) = machine["zone"].as_str() {
        labels["topology.kubernetes.io/zone"] = zone.into();
    }
    for (key, value) in machine["labels"].as_object().into_iter().flatten() {
        labels[key] = value.clone();
    }
    let condition = |kind: &str, status: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason});
    let body = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": machine["taints"].as_array().cloned().unwrap_or_default()},
        "status": {
            "capacity": {"cpu": text("cpu", "8"), "memory": text("mem", "32Gi"), "pods": "110"},
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID"),
                condition("Ready", "True", "KubeletReady"),
            ],
        },
    });
    let located = admit(&body).map_err(|status| status.message)?;
    match to_object(&located).map_err(|errors| errors.to_string())? {
        Object::Node(node) => Ok(std::sync::Arc::unwrap_or_clone(node)),
        other => Err(format!("a machine became a {}", other.kind().name())),
    }
}

fn bad_request(message: &str) -> Status {
    Status { code: 400, reason: "BadRequest".to_owned(), message: message.to_owned() }
}

fn unprocessable(message: &str) -> Status {
    Status { code: 422, reason: "Invalid".to_owned(), message: message.to_owned() }
}

/// A name of the core from text.
pub fn name(text: &str) -> Name {
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_comes_apart_into_namespace_kind_name_and_subresource() {
        let path = Path::parse("/apis/apps/v1/namespaces/shop/deployments/web/scale?dryRun=All").unwrap();
        assert_eq!((&*path.namespace, &*path.plural, &*path.name), ("shop", "deployments", "web"));
        assert_eq!((&*path.subresource, &*path.query), ("scale", "dryRun=All"));
        let node = Path::parse("/api/v1/nodes/n1").unwrap();
        assert_eq!((&*node.namespace, &*node.plural, &*node.name), ("", "nodes", "n1"));
        let namespace = Path::parse("/api/v1/namespaces/shop").unwrap();
        assert_eq!((&*namespace.namespace, &*namespace.plural, &*namespace.name), ("", "namespaces", "shop"));
        assert_eq!(Path::parse("/healthz"), None);
    }
}
