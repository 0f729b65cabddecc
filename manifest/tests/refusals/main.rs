//! What the API server refuses, one row for each check: an object, a change that spoils it, and what is said.
//!
//! `creations` has what is refused as it is made, `orders` which of several faults comes first, `updates` what may not
//! change. Changes are JSON merge patches. What is said is told without the words `Kind.group "name" is invalid: `.

mod creations;
mod orders;
mod updates;

use serde_json::{Value, json};
use wavetank_manifest::kubernetes::{Manifest, PatchType, apply_defaults, apply_patch, read_manifests};

fn object(kind: &str) -> Value {
    let pod = json!({"containers": [{"name": "main", "image": "shop:1"}]});
    let labels = json!({"app": "shop"});
    let template = json!({"metadata": {"labels": labels}, "spec": pod});
    let workload = json!({"selector": {"matchLabels": labels}, "template": template});
    let mut once = template.clone();
    once["spec"]["restartPolicy"] = json!("Never");
    let (version, spec) = match kind {
        "Pod" => ("v1", pod),
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" => ("apps/v1", workload),
        "ReplicationController" => ("v1", json!({"selector": labels, "template": template})),
        "Job" => ("batch/v1", json!({"template": once})),
        "CronJob" => ("batch/v1", json!({"schedule": "5 4 * * *", "jobTemplate": {"spec": {"template": once}}})),
        "Service" => ("v1", json!({"selector": labels, "ports": [{"port": 80}], "clusterIP": "10.96.0.9"})),
        "PodDisruptionBudget" => ("policy/v1", json!({"minAvailable": 1, "selector": {"matchLabels": labels}})),
        "PersistentVolumeClaim" => {
            ("v1", json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}))
        }
        "PersistentVolume" => {
            let path = json!({"path": "/data"});
            ("v1", json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "2Gi"}, "hostPath": path}))
        }
        "ResourceQuota" => ("v1", json!({"hard": {"pods": "4"}, "scopes": ["NotBestEffort"]})),
        "LimitRange" => ("v1", json!({"limits": [{"type": "Container"}]})),
        "StorageClass" => ("storage.k8s.io/v1", Value::Null),
        "PriorityClass" => ("scheduling.k8s.io/v1", Value::Null),
        _ => ("v1", Value::Null),
    };
    let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": "shop"}});
    if !spec.is_null() {
        object["spec"] = spec;
    }
    match kind {
        "StorageClass" => object["provisioner"] = json!("disks.example.com"),
        "PriorityClass" => object["value"] = json!(7),
        "ConfigMap" | "Secret" => object["data"] = json!({"key": "dGV4dA=="}),
        _ => {}
    }
    if ["StorageClass", "PriorityClass", "PersistentVolume", "Namespace", "Node"].contains(&kind) {
        object["metadata"] = json!({"name": "x"});
    }
    object
}

fn changed(mut object: Value, change: &str) -> Value {
    let change = parsed(change);
    apply_patch(PatchType::Merge, &mut object, &change).expect("a merge patch always fits");
    object
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn read(object: &Value) -> Manifest {
    let mut read = read_manifests("x.json", &object.to_string()).unwrap_or_else(|errors| panic!("{object}: {errors}"));
    let mut manifest = read.remove(0).value;
    apply_defaults(&mut manifest);
    manifest
}

fn said(answer: Result<(), wavetank_manifest::kubernetes::Invalid>) -> String {
    let message = answer.err().map(|invalid| invalid.to_string()).unwrap_or_default();
    message.split_once(" is invalid: ").map_or_else(String::new, |(_, why)| why.to_owned())
}

/// What is to be said of a row that is told otherwise than it should be.
fn told_apart(found: String, expected: &str, kind: &str, change: &str) -> Option<String> {
    (found != expected).then(|| format!("{kind} {change}\n  ours      {found}\n  expected  {expected}"))
}
