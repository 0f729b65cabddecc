//! Plain objects of each kind, with what an answer tells of the one that was there.

use serde_json::{Value, json};
use wavetank_core::model::Kind;

use crate::conform::edge::Status;

/// The least that an object of a kind has, and what the answer tells.
pub(super) fn object(kind: Kind, name: &str, answer: &Status) -> Value {
    let mut object = json!({"apiVersion": kind.api_version(), "kind": kind.name(), "metadata": {"name": name}});
    // The template's labels are told where a selector does not match them.
    let told = answer.message.split("metadata.labels: Invalid value: ").nth(1);
    let told = told.and_then(|rest| serde_json::Deserializer::from_str(rest).into_iter::<Value>().next()?.ok());
    let labels = told.filter(Value::is_object).unwrap_or_else(|| json!({"app": name}));
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "a"}]}});
    let mut once = template.clone();
    once["spec"]["restartPolicy"] = "Never".into();
    let says = |words: &str| answer.message.contains(words);
    match kind {
        Kind::ConfigMap | Kind::Secret => {
            object["data"] = json!({"a": if kind == Kind::Secret { "Yg==" } else { "b" }});
            if says("`immutable` is set") {
                object["immutable"] = true.into();
            }
        }
        Kind::Pod => pod(&mut object, &template, answer),
        Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet | Kind::DaemonSet => {
            object["spec"] = json!({"selector": {"matchLabels": labels}, "template": template});
            if kind == Kind::StatefulSet {
                object["spec"]["serviceName"] = name.into();
            }
        }
        Kind::ReplicationController => object["spec"] = json!({"selector": labels, "template": template}),
        Kind::Job => {
            object["spec"] = json!({"template": {"spec": once["spec"]}});
            if says("in tandem with") {
                object["spec"]["completionMode"] = "Indexed".into();
                object["spec"]["completions"] = 3.into();
                object["spec"]["parallelism"] = 3.into();
            }
        }
        Kind::CronJob => {
            let job = json!({"spec": {"template": {"spec": once["spec"]}}});
            object["spec"] = json!({"schedule": "0 0 * * *", "jobTemplate": job});
        }
        Kind::Service => {
            object["spec"] = json!({"selector": {"app": name}, "ports": [{"port": 80}]});
            if says("healthCheckNodePort") || says("loadBalancerClass") {
                object["spec"]["type"] = "LoadBalancer".into();
            }
        }
        Kind::PodDisruptionBudget => {
            object["spec"] = json!({"minAvailable": 1, "selector": {"matchLabels": {"app": name}}});
        }
        Kind::PersistentVolumeClaim => {
            object["spec"] = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
            if says("can not be less than") {
                object["spec"]["resources"]["requests"]["storage"] = "1Pi".into();
            }
        }
        Kind::PersistentVolume => {
            object["spec"] = json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
                "hostPath": {"path": "/volumes"}});
        }
        Kind::StorageClass => object["provisioner"] = "example.com/disks".into(),
        Kind::ResourceQuota => object["spec"] = json!({"hard": {"pods": "10"}}),
        Kind::LimitRange => object["spec"] = json!({"limits": [{"type": "Container", "max": {"cpu": "8"}}]}),
        Kind::PriorityClass => object["value"] = 1_000.into(),
        Kind::CSIDriver => object["spec"] = json!({}),
        Kind::CSINode => object["spec"] = json!({"drivers": []}),
        Kind::CSIStorageCapacity => object["storageClassName"] = "slow".into(),
        Kind::VolumeAttachment => {
            let source = json!({"persistentVolumeName": "pv"});
            object["spec"] = json!({"attacher": "example.com", "nodeName": "n1", "source": source});
        }
        _ => {}
    }
    object
}

fn pod(object: &mut Value, template: &Value, answer: &Status) {
    object["spec"] = template["spec"].clone();
    let says = |words: &str| answer.message.contains(words);
    // The difference that the API server prints of a pod names the node that it was on, and so does a second binding.
    let between = |start: &str| answer.message.split(start).nth(1).and_then(|rest| rest.split('"').next());
    let node = between("- \"NodeName\": \"").or_else(|| between("is already assigned to node \""));
    if says("schedulingGates") {
        object["spec"]["schedulingGates"] = json!([{"name": "example.com/wait"}]);
    } else {
        object["spec"]["nodeName"] = node.unwrap_or("n1").into();
    }
    if says("spec.activeDeadlineSeconds") {
        object["spec"]["activeDeadlineSeconds"] = if says("nil value") { 3_600.into() } else { 1.into() };
    }
    if says("existing toleration") {
        object["spec"]["tolerations"] = json!([{"key": "of-the-stand-in", "operator": "Exists"}]);
    }
}
