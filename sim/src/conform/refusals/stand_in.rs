//! What must have been there for a request to be answered as it was: recordings of refusals do not tell.
//!
//! An answer other than "not found" tells that the object of the path was there, and a creation that was refused because
//! of it that it was there before. It had what the answer speaks of: values that are immutable, or a place that a patch
//! found.

use serde_json::{Value, json};
use wavetank_core::model::Kind;

use crate::conform::edge::{Path, Status};

/// The objects that were there, as manifests for the collection of the path.
pub(super) fn objects(method: &str, path: &Path, body: &Value, answer: &Status) -> Vec<Value> {
    let kind = Kind::ALL.iter().copied().find(|kind| kind.plural() == path.plural);
    let Some(kind) = kind else { return Vec::new() };
    if method == "POST" && path.name.is_empty() {
        return if answer.reason == "AlreadyExists" { vec![body.clone()] } else { Vec::new() };
    }
    let is_there = !path.name.is_empty() && answer.code != 404 && kind != Kind::Namespace;
    if is_there { vec![object(kind, &path.name, body, answer)] } else { Vec::new() }
}

fn object(kind: Kind, name: &str, body: &Value, answer: &Status) -> Value {
    let mut object = json!({"apiVersion": kind.api_version(), "kind": kind.name(), "metadata": {"name": name}});
    let template = json!({
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "c", "image": "a"}]},
    });
    match kind {
        Kind::ConfigMap | Kind::Secret => {
            object["data"] = json!({"a": if kind == Kind::Secret { "Yg==" } else { "b" }});
            if answer.message.contains("`immutable` is set") {
                object["immutable"] = true.into();
            }
        }
        Kind::Pod => {
            object["spec"] = template["spec"].clone();
            // The difference that the API server prints of a pod names the node that it was on.
            let node = answer.message.split("- \"NodeName\": \"").nth(1).and_then(|rest| rest.split('"').next());
            object["spec"]["nodeName"] = node.unwrap_or("n1").into();
        }
        Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet | Kind::DaemonSet => {
            object["spec"] = json!({"selector": {"matchLabels": {"app": name}}, "template": template});
            if kind == Kind::StatefulSet {
                object["spec"]["serviceName"] = name.into();
            }
        }
        Kind::Job => {
            object["spec"] = json!({"template": {"spec": template["spec"]}});
            object["spec"]["template"]["spec"]["restartPolicy"] = "Never".into();
        }
        Kind::Service => object["spec"] = json!({"selector": {"app": name}, "ports": [{"port": 80}]}),
        Kind::PodDisruptionBudget => {
            object["spec"] = json!({"minAvailable": 1, "selector": {"matchLabels": {"app": name}}})
        }
        Kind::PersistentVolumeClaim => {
            object["spec"] = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
        }
        Kind::ResourceQuota => object["spec"] = json!({"hard": {"pods": "10"}}),
        _ => {}
    }
    if answer.code < 300 {
        found(&mut object, body);
    }
    object
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
