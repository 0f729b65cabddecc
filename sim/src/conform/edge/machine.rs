//! Machines as Nodes.

use serde_json::{Value, json};
use wavetank_core::model::{Kind, Node, Object};
use wavetank_manifest::kubernetes::to_object;

use super::create::admit;

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
    let located = admit(Kind::Node, &body).map_err(|status| status.message)?;
    match to_object(&located).map_err(|errors| errors.to_string())? {
        Object::Node(node) => Ok(std::sync::Arc::unwrap_or_clone(node)),
        other => Err(format!("a machine became a {}", other.kind().name())),
    }
}
