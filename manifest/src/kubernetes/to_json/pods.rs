//! Pods, as they are wanted.

use serde_json::{Map, Value};
use wavetank_core::model::Pod;

use super::{Show, batch, entry, parsed, set, sets};
use crate::kubernetes::{config, policy};

impl Show<'_> {
    pub(super) fn pod(&self, root: &mut Map<String, Value>, pod: &Pod) {
        if let Some(original) = &pod.spec.original {
            set(root, "spec", parsed(Some(original)));
        }
        let spec = entry(root, "spec");
        show_containers(spec, pod);
        sets::show_own(spec, pod);
        config::show_pod(spec, pod);
        batch::of_index(spec, pod);
        if let Some(node) = &pod.node {
            set(spec, "nodeName", &**node);
        }
        let tolerations = pod.spec.tolerations.iter().map(|toleration| {
            let mut map = Map::new();
            if !toleration.key.is_empty() {
                set(&mut map, "key", &*toleration.key);
            }
            set(&mut map, "operator", format!("{:?}", toleration.operator));
            if !toleration.value.is_empty() {
                set(&mut map, "value", &*toleration.value);
            }
            if let Some(effect) = toleration.effect {
                set(&mut map, "effect", format!("{effect:?}"));
            }
            if let Some(seconds) = toleration.seconds {
                set(&mut map, "tolerationSeconds", seconds);
            }
            Value::Object(map)
        });
        set(spec, "tolerations", tolerations.collect::<Vec<_>>());
        set(spec, "priority", pod.spec.priority);
        if !pod.spec.priority_class.is_empty() {
            set(spec, "priorityClassName", &*pod.spec.priority_class);
        }
        let never = pod.spec.rules.as_ref().is_some_and(|rules| rules.never_preempts);
        set(spec, "preemptionPolicy", if never { "Never" } else { "PreemptLowerPriority" });
        let limited = pod.spec.containers.iter().chain(&pod.spec.init_containers);
        let limited = limited.into_iter().any(|container| !container.limits.quantities().is_empty());
        if limited || pod.meta.annotations.get("kubernetes.io/limit-ranger").is_some() {
            policy::show_container_amounts(spec, &pod.spec);
        }
        self.pod_status(root, pod);
    }
}

/// Names and images are what the core can change in a container; everything else is as the user wrote it.
pub(super) fn set_images(spec: &mut Map<String, Value>, shown: &wavetank_core::model::PodSpec) {
    for (key, containers) in [("containers", &shown.containers), ("initContainers", &shown.init_containers)] {
        if containers.is_empty() {
            continue;
        }
        let written = match spec.remove(key) {
            Some(Value::Array(written)) => written,
            _ => Vec::new(),
        };
        let mut written = written.into_iter();
        let merged = containers.iter().map(|container| {
            let mut map = match written.next() {
                Some(Value::Object(map)) => map,
                _ => Map::new(),
            };
            set(&mut map, "name", &*container.name);
            set(&mut map, "image", &*container.image);
            Value::Object(map)
        });
        let merged: Vec<Value> = merged.collect();
        set(spec, key, merged);
    }
}

pub(super) fn show_containers(spec: &mut Map<String, Value>, pod: &Pod) {
    set_images(spec, &pod.spec);
}
