//! Pods and what their containers do.

use serde_json::{Map, Value, json};
use wavetank_core::model::{ContainerState, ContainerStatus, Phase, Pod, Terminated};

use super::{Show, batch, entry, parsed, set, set_unless_empty, sets};
use crate::kubernetes::{config, policy};

impl Show {
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
        self.pod_status(entry(root, "status"), pod);
    }

    pub(super) fn pod_status(&self, map: &mut Map<String, Value>, pod: &Pod) {
        let status = &pod.status;
        let phase = match status.phase {
            Phase::Pending => "Pending",
            Phase::Running => "Running",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
            Phase::Unknown => "Unknown",
        };
        set(map, "phase", phase);
        set_unless_empty(map, "conditions", self.conditions(&status.conditions));
        for (key, text) in [("reason", &status.reason), ("message", &status.message)] {
            if !text.is_empty() {
                set(map, key, &**text);
            }
        }
        if let Some(address) = &status.pod_ip {
            set(map, "podIP", address.to_string());
            set(map, "podIPs", vec![json!({"ip": address.to_string()})]);
        }
        if let Some(at) = status.started_at {
            set(map, "startTime", self.time(at));
        }
        if let Some(node) = &status.nominated_node {
            set(map, "nominatedNodeName", &**node);
        }
        let groups = [
            ("containerStatuses", &*status.containers, &pod.spec.containers),
            ("initContainerStatuses", &*status.init_containers, &pod.spec.init_containers),
        ];
        for (key, statuses, containers) in groups {
            if !statuses.is_empty() {
                let shown = statuses.iter().zip(containers);
                let shown = shown.map(|(status, container)| self.container(status, &container.name, &container.image));
                set(map, key, shown.collect::<Vec<_>>());
            }
        }
    }

    pub(super) fn container(&self, status: &ContainerStatus, name: &str, image: &str) -> Value {
        let state = match &status.state {
            ContainerState::Waiting { reason, message } if message.is_empty() => {
                json!({"waiting": {"reason": &**reason}})
            }
            ContainerState::Waiting { reason, message } => {
                json!({"waiting": {"reason": &**reason, "message": &**message}})
            }
            ContainerState::Running { since } => json!({"running": {"startedAt": self.time(*since)}}),
            ContainerState::Terminated(end) => {
                let lost = "The container could not be located when the pod was terminated";
                json!({"terminated": self.terminated(end, lost)})
            }
        };
        let last = match &status.last_terminated {
            Some(end) => {
                let lost = "The container could not be located when the pod was deleted.  The container used to be \
                            Running";
                json!({"terminated": self.terminated(end, lost)})
            }
            None => json!({}),
        };
        json!({
            "name": name,
            "image": image,
            "ready": status.ready,
            "started": status.started,
            "restartCount": status.restarts,
            "state": state,
            "lastState": last,
        })
    }

    /// How a container ended; of one that was lost nothing is known but that, which the last words say.
    ///
    /// Source: `convertToAPIContainerStatuses`, pkg/kubelet/kubelet_pods.go; `TerminatePod`,
    /// pkg/kubelet/status/status_manager.go (v1.34.1).
    pub(super) fn terminated(&self, end: &Terminated, lost: &str) -> Value {
        if *end.reason == *"ContainerStatusUnknown" {
            return json!({
                "exitCode": end.exit_code,
                "reason": &*end.reason,
                "message": lost,
                "startedAt": null,
                "finishedAt": null,
            });
        }
        json!({
            "exitCode": end.exit_code,
            "reason": &*end.reason,
            "startedAt": self.time(end.started_at),
            "finishedAt": self.time(end.finished_at),
        })
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
