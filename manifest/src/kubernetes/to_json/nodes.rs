//! Nodes.

use serde_json::{Map, Value, json};
use wavetank_core::model::Node;

use super::{Show, entry, resources, set, set_unless_empty};

impl Show<'_> {
    pub(super) fn node(&self, root: &mut Map<String, Value>, node: &Node) {
        let spec = entry(root, "spec");
        if node.spec.unschedulable {
            set(spec, "unschedulable", true);
        } else {
            spec.remove("unschedulable");
        }
        let taints = node.spec.taints.iter().map(|taint| {
            let mut map = Map::new();
            set(&mut map, "key", &*taint.key);
            if !taint.value.is_empty() {
                set(&mut map, "value", &*taint.value);
            }
            set(&mut map, "effect", format!("{:?}", taint.effect));
            if let Some(at) = taint.added_at {
                set(&mut map, "timeAdded", self.time(at));
            }
            Value::Object(map)
        });
        let taints: Vec<Value> = taints.collect();
        if taints.is_empty() {
            spec.remove("taints");
        } else {
            set(spec, "taints", taints);
        }
        let status = entry(root, "status");
        set(status, "capacity", resources(&node.status.capacity));
        set(status, "allocatable", resources(&node.status.allocatable));
        set_unless_empty(status, "conditions", self.conditions(&node.status.conditions));
        if let Some(volumes) = &node.status.volumes {
            if !volumes.attached.is_empty() {
                let attached = volumes.attached.iter().map(|name| json!({"name": &**name, "devicePath": ""}));
                set(status, "volumesAttached", attached.collect::<Vec<_>>());
            }
            if !volumes.in_use.is_empty() {
                set(status, "volumesInUse", volumes.in_use.iter().map(|name| &**name).collect::<Vec<&str>>());
            }
        }
        if let Some(address) = &node.status.address {
            let hostname = json!({"type": "Hostname", "address": &*node.meta.name});
            set(status, "addresses", vec![json!({"type": "InternalIP", "address": &**address}), hostname]);
        }
    }
}
