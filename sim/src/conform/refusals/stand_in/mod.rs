//! What must have been there for a request to be answered as it was: recordings of refusals do not tell.
//!
//! An answer other than "not found" tells that the object of the path was there, and a creation that was refused
//! because of it that it was there before. A PUT tells what the object was like, but for what its answer says may not
//! change, which was another value, and for its own faults, which were not there. To a patch the object was a plain one
//! of its kind, with the places that the patch found.

mod plain;
mod repaired;
mod told;

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::model::{Kind, ObjectKey};

pub(super) use told::with_uid;

use crate::conform::edge::{Path, Status};

/// The objects that were there, as manifests for the collection of the path.
pub(super) fn objects(core: &Core, method: &str, path: &Path, body: &Value, answer: &Status) -> Vec<Value> {
    let kind = Kind::ALL.iter().copied().find(|kind| kind.plural() == path.plural);
    let Some(kind) = kind else { return Vec::new() };
    if method == "POST" && path.name.is_empty() {
        return if answer.reason == "AlreadyExists" { vec![body.clone()] } else { Vec::new() };
    }
    // Some namespaces are there whatever is asked.
    let is_known = core.find(&ObjectKey::new(kind, &path.namespace, &path.name)).is_some();
    let is_there = !path.name.is_empty() && answer.code != 404 && !is_known;
    if is_there { vec![object(core, kind, method, path, body, answer)] } else { Vec::new() }
}

fn object(core: &Core, kind: Kind, method: &str, path: &Path, body: &Value, answer: &Status) -> Value {
    let mut plain = plain::object(kind, &path.name, answer);
    if method == "PUT" && path.subresource.is_empty() {
        let mut written = body.clone();
        told::tell(kind, &mut written, &mut plain, answer);
        if let Some(meta) = written.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.retain(|field, _| ["name", "labels", "annotations", "finalizers"].contains(&field.as_str()));
        }
        unchange(&mut written, &plain, &answer.message);
        if let Some(written) = repaired::repaired(core, path, &written, &plain) {
            return written;
        }
    }
    unchange(&mut plain, &Value::Null, &answer.message);
    if answer.code < 300 {
        found(&mut plain, body);
    }
    plain
}

/// Gives another value to what an answer says may not change. `plain` has values for what is best known.
fn unchange(object: &mut Value, plain: &Value, message: &str) {
    const SIGNS: [&str; 11] = [
        "field is immutable",
        "may not change once set",
        "may not be changed",
        "updates to ",
        "must be less than or equal to previous value",
        "can only be modified in tandem",
        "is immutable after creation",
        "is immutable when `immutable` is set",
        "node updates may not change",
        "only additions",
        "may not change fields other than",
    ];
    let reasons = message.split_once(" is invalid: ").map_or("", |(_, reasons)| reasons.trim_start_matches('['));
    for sign in SIGNS.iter().filter(|sign| reasons.contains(**sign)) {
        for part in reasons.split(", ").filter(|part| part.contains(sign) || sign.starts_with("may not change fields"))
        {
            let Some((field, _)) = part.split_once(": ") else { continue };
            another(object, plain, field, part);
        }
    }
    for field in ["containers", "initContainers"] {
        if !reasons.contains(&format!("spec.{field}: Forbidden: pod updates may not add or remove containers")) {
            continue;
        }
        let more = serde_json::json!({"name": "another-of-the-stand-in", "image": "a"});
        match object["spec"][field].as_array_mut() {
            Some(containers) if containers.len() > 1 => drop(containers.pop()),
            Some(containers) => containers.push(more),
            None => object["spec"][field] = serde_json::json!([more]),
        }
    }
}

/// Sets the field of a reason to another value.
fn another(object: &mut Value, plain: &Value, field: &str, reason: &str) {
    let pointer: String = field.split('.').map(|name| format!("/{}", name.split('[').next().unwrap_or(name))).collect();
    if !field.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '[' | ']')) {
        return;
    }
    match field {
        "spec.selector" => {
            // The labels must fit, or there would have been no such object.
            for place in ["/spec/selector", "/spec/template/metadata/labels"] {
                if let (Some(other), Some(value)) = (plain.pointer(place), object.pointer_mut(place)) {
                    *value = other.clone();
                }
            }
        }
        "spec" if reason.contains("statefulset") => {
            let name = object["spec"]["serviceName"].as_str().unwrap_or_default().to_owned();
            object["spec"]["serviceName"] = format!("{name}-before").into();
        }
        "spec" if object["kind"] == "PersistentVolumeClaim" => object["spec"]["volumeName"] = "before".into(),
        "spec" => object["spec"]["schedulerName"] = "another".into(),
        "spec.template" => {
            // A template that may not be one had a container before.
            let containers = &mut object["spec"]["template"]["spec"]["containers"];
            if containers.get(0).is_none_or(|container| !container.is_object()) {
                *containers = serde_json::json!([{"name": "c", "image": "a"}]);
            }
            containers[0]["image"] = "before".into();
        }
        "spec.persistentvolumesource" => {
            let types: Vec<String> =
                object["spec"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
            for kind in ["hostPath", "nfs", "local", "csi"].into_iter().filter(|kind| types.iter().any(|it| it == kind))
            {
                let key = if kind == "csi" { "volumeHandle" } else { "path" };
                let text = object["spec"][kind][key].as_str().unwrap_or_default().to_owned();
                object["spec"][kind][key] = format!("{text}-before").into();
            }
        }
        "spec.clusterIPs[0]" => {
            for field in ["clusterIP", "clusterIPs"] {
                object["spec"].as_object_mut().map(|spec| spec.remove(field));
            }
        }
        "volumeMode" => object["spec"]["volumeMode"] = flipped(&object["spec"]["volumeMode"], "Block", "Filesystem"),
        "reclaimPolicy" => object["reclaimPolicy"] = flipped(&object["reclaimPolicy"], "Delete", "Retain"),
        "volumeBindingMode" => {
            let mode = flipped(&object["volumeBindingMode"], "WaitForFirstConsumer", "Immediate");
            object["volumeBindingMode"] = mode;
        }
        "preemptionPolicy" => {
            let policy = flipped(&object["preemptionPolicy"], "Never", "PreemptLowerPriority");
            object["preemptionPolicy"] = policy;
        }
        "spec.scopes" => {
            let scope = flipped(&object["spec"]["scopes"][0], "NotTerminating", "Terminating");
            object["spec"]["scopes"] = serde_json::json!([scope]);
        }
        "spec.providerID" | "type" | "value" if object.pointer(&pointer).is_none() => match field {
            "spec.providerID" => object["spec"]["providerID"] = "example://before".into(),
            "type" => object["type"] = "example.com/before".into(),
            _ => object["value"] = 1.into(),
        },
        "parameters" => object["parameters"] = serde_json::json!({"of": "the stand-in"}),
        "data" | "binaryData" | "immutable" if plain.is_null() => {}
        "data" | "binaryData" | "immutable" => {
            object["immutable"] = true.into();
            if field != "immutable" {
                object[field] = serde_json::json!({"of-the-stand-in": "YQ=="});
            }
        }
        "nodeAffinity" => object["spec"]["nodeAffinity"] = serde_json::json!({"required": other_nodes(1)}),
        "spec.podCIDRs" => {
            object["spec"]["podCIDR"] = "10.255.0.0/24".into();
            object["spec"]["podCIDRs"] = serde_json::json!(["10.255.0.0/24"]);
        }
        _ if reason.contains("only additions") => {
            if object["spec"]["schedulingGates"].as_array().is_none_or(Vec::is_empty) {
                object["spec"]["schedulingGates"] = serde_json::json!([{"name": "example.com/wait"}]);
                object["spec"].as_object_mut().map(|spec| spec.remove("nodeName"));
            }
            const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
            if field == "spec.nodeSelector" {
                object["spec"]["nodeSelector"] = serde_json::json!({"of": "the-stand-in"});
            } else {
                let place = &mut object["spec"]["affinity"]["nodeAffinity"][REQUIRED];
                let count = place["nodeSelectorTerms"].as_array().map_or(1, Vec::len);
                *place = other_nodes(count);
            }
        }
        "spec.completionMode" => {
            let mode = flipped(&object["spec"]["completionMode"], "Indexed", "NonIndexed");
            object["spec"]["completionMode"] = mode;
        }
        _ => {
            if let Some(value) = object.pointer_mut(&pointer) {
                *value = match &*value {
                    Value::String(text) => format!("{text}-before").into(),
                    Value::Number(number) => number.as_i64().map_or(1, |number| (number - 1).max(1 - number)).into(),
                    Value::Bool(flag) => (!flag).into(),
                    _ => Value::Null,
                };
            }
        }
    }
}

/// So many terms of nodes that nobody else means.
fn other_nodes(count: usize) -> Value {
    let expression = serde_json::json!({"key": "of-the-stand-in", "operator": "Exists"});
    let term = serde_json::json!({"matchExpressions": [expression]});
    serde_json::json!({"nodeSelectorTerms": vec![term; count.max(1)]})
}

/// One of two words: the one that a value is not.
fn flipped(value: &Value, one: &str, other: &str) -> Value {
    if value == one { other.into() } else { one.into() }
}

/// A JSON patch that was done found what it replaces, removes or tests.
fn found(object: &mut Value, patch: &Value) {
    for operation in patch.as_array().into_iter().flatten() {
        let needs = matches!(operation["op"].as_str(), Some("replace" | "remove" | "test"));
        let Some(path) = operation["path"].as_str().filter(|path| needs && object.pointer(path).is_none()) else {
            continue;
        };
        let value = if operation["op"] == "test" { operation["value"].clone() } else { "".into() };
        let mut place = &mut *object;
        for key in path.split('/').skip(1) {
            place = &mut place[key];
        }
        *place = value;
    }
}
