//! What has become of pods, and what their containers do.
//!
//! Much of it follows from other things and is kept nowhere: the class of service from the spec, the host's address
//! from the node, what a container has of resources and mounts from its spec. Absent, because nobody here knows them,
//! are the ids of containers, those of images, and the users whom programs run as.
//!
//! Source: `generateAPIPodStatus`, `convertToAPIContainerStatuses`, pkg/kubelet/kubelet_pods.go (v1.34.1).

use serde_json::{Map, Value, json};
use wavetank_core::id::Name;
use wavetank_core::model::{
    Condition, ConditionKind, ContainerState, ContainerStatus, Phase, Pod, QosClass, Terminated,
};

use super::{Show, entry, set, set_unless_empty};

const KUBELETS_ORDER: [ConditionKind; 6] = [
    ConditionKind::DisruptionTarget,
    ConditionKind::PodReadyToStartContainers,
    ConditionKind::Initialized,
    ConditionKind::Ready,
    ConditionKind::ContainersReady,
    ConditionKind::PodScheduled,
];

impl Show<'_> {
    /// The status of a pod whose spec is shown already.
    pub(super) fn pod_status(&self, root: &mut Map<String, Value>, pod: &Pod) {
        let status = &pod.status;
        let lists = self.containers(root, pod);
        let map = entry(root, "status");
        let phase = match status.phase {
            Phase::Pending => "Pending",
            Phase::Running => "Running",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
            Phase::Unknown => "Unknown",
        };
        set(map, "phase", phase);
        let class = match pod.spec.qos_class() {
            QosClass::BestEffort => "BestEffort",
            QosClass::Burstable => "Burstable",
            QosClass::Guaranteed => "Guaranteed",
        };
        set(map, "qosClass", class);
        if status.observed_generation > 0 {
            set(map, "observedGeneration", status.observed_generation);
        }
        set_unless_empty(map, "conditions", self.pod_conditions(pod));
        for (key, text) in [("reason", &status.reason), ("message", &status.message)] {
            if !text.is_empty() {
                set(map, key, &**text);
            }
        }
        if let Some(address) = self.host_address(pod) {
            set(map, "hostIP", &*address);
            set(map, "hostIPs", vec![json!({"ip": &*address})]);
        }
        if let Some(address) = &status.pod_ip {
            set(map, "podIP", address.to_string());
            set(map, "podIPs", vec![json!({"ip": address.to_string()})]);
        }
        if let Some(at) = status.started_at.get() {
            set(map, "startTime", self.time(at));
        }
        if let Some(node) = &status.nominated_node {
            set(map, "nominatedNodeName", &**node);
        }
        for (key, list) in lists {
            set(map, key, list);
        }
    }

    /// The address of the host whose kubelet runs the pod. Of a pod that it refuses a kubelet does not say it.
    fn host_address(&self, pod: &Pod) -> Option<Name> {
        let is_told_of = pod.status.started_at.get().is_some()
            && pod.status.conditions.get(ConditionKind::ContainersReady).is_some();
        pod.node.as_ref().filter(|_| is_told_of).and_then(|node| (self.host_of)(node))
    }

    /// In the order in which a kubelet reports them: what others say, what disrupts the pod, what it says itself.
    ///
    /// Source: `generateAPIPodStatus`, pkg/kubelet/kubelet_pods.go; `mergePodStatus`,
    /// pkg/kubelet/status/status_manager.go (v1.34.1).
    fn pod_conditions(&self, pod: &Pod) -> Value {
        let mut conditions: Vec<Condition> = pod.status.conditions.iter().collect();
        let place = |kind| KUBELETS_ORDER.iter().position(|other| *other == kind).map_or(0, |place| place + 1);
        conditions.sort_by_key(|condition| place(condition.kind));
        let shown = conditions.into_iter().map(|condition| {
            let mut shown = self.condition(&condition);
            if let Value::Object(map) = &mut shown {
                set(map, "lastProbeTime", Value::Null);
                if let Some(generation) = observed_by(&condition, pod) {
                    set(map, "observedGeneration", generation);
                }
            }
            shown
        });
        shown.collect()
    }

    /// The containers' statuses by their field: those of regular containers by name, as the kubelet sorts them, those
    /// of init containers in the spec's order.
    fn containers(&self, root: &Map<String, Value>, pod: &Pod) -> Vec<(&'static str, Value)> {
        let status = &pod.status;
        let of_spec = |key: &str| root.get("spec").and_then(|spec| spec[key].as_array()).map_or(&[][..], Vec::as_slice);
        let groups = [
            ("containerStatuses", "containers", &*status.containers, &pod.spec.containers),
            ("initContainerStatuses", "initContainers", &*status.init_containers, &pod.spec.init_containers),
        ];
        let shown = groups.into_iter().filter(|(_, _, statuses, _)| !statuses.is_empty());
        let shown = shown.map(|(key, in_spec, statuses, containers)| {
            let specs = of_spec(in_spec).iter();
            let both = statuses.iter().zip(containers).zip(specs);
            let mut list: Vec<Value> = both
                .map(|((status, container), spec)| self.container(status, &container.name, &container.image, spec))
                .collect();
            if in_spec == "containers" {
                list.sort_by(|one, other| one["name"].as_str().cmp(&other["name"].as_str()));
            }
            (key, list.into())
        });
        shown.collect()
    }

    fn container(&self, status: &ContainerStatus, name: &str, image: &str, spec: &Value) -> Value {
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
        let mut shown = json!({
            "name": name,
            "image": image,
            "ready": status.ready,
            "started": status.started,
            "restartCount": status.restarts,
            "state": state,
            "lastState": last,
        });
        if is_known_to_runtime(status) {
            shown["resources"] = spec.get("resources").cloned().unwrap_or_else(|| json!({}));
            if let Some(requests) = spec.pointer("/resources/requests") {
                shown["allocatedResources"] = requests.clone();
            }
        }
        let mounts = spec["volumeMounts"].as_array().into_iter().flatten().map(mount);
        let mounts: Vec<Value> = mounts.collect();
        if !mounts.is_empty() {
            shown["volumeMounts"] = mounts.into();
        }
        shown
    }

    /// How a container ended; of one that was lost nothing is known but that, which the last words say.
    ///
    /// Source: `convertToAPIContainerStatuses`, pkg/kubelet/kubelet_pods.go; `TerminatePod`,
    /// pkg/kubelet/status/status_manager.go (v1.34.1).
    fn terminated(&self, end: &Terminated, lost: &str) -> Value {
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

/// The generation that a condition of a pod is about: of what a kubelet says the one that it has seen, of others' that
/// of their time, which a deletion since has raised by one. The API server names none in what it sets itself.
///
/// Source: `CalculatePodConditionObservedGeneration` and its callers (v1.34.1).
fn observed_by(condition: &Condition, pod: &Pod) -> Option<u32> {
    let seen = pod.status.observed_generation;
    let before_deletion = pod.meta.generation - u32::from(pod.meta.is_terminating());
    match (condition.kind, &*condition.reason) {
        (ConditionKind::DisruptionTarget, "EvictionByEvictionAPI") => None,
        (ConditionKind::DisruptionTarget, _) => Some(before_deletion),
        (ConditionKind::PodScheduled, "" | "SchedulingGated") if seen == 0 => None,
        (ConditionKind::PodScheduled, _) if seen == 0 => Some(before_deletion),
        _ => Some(seen),
    }
    .filter(|generation| *generation > 0)
}

/// Whether a container's runtime has it, or had it when the kubelet last looked.
fn is_known_to_runtime(status: &ContainerStatus) -> bool {
    let is_known = |end: &Terminated| *end.reason != *"ContainerStatusUnknown";
    match (&status.state, &status.last_terminated) {
        (ContainerState::Running { .. }, _) => true,
        (ContainerState::Terminated(end), _) => is_known(end),
        (ContainerState::Waiting { .. }, Some(end)) => is_known(end),
        (ContainerState::Waiting { .. }, None) => false,
    }
}

/// A mount as a status shows it. What is mounted for reading only is not so recursively: no runtime here can do that.
fn mount(spec: &Value) -> Value {
    let mut map = Map::new();
    for key in ["name", "mountPath"] {
        set(&mut map, key, spec[key].clone());
    }
    if spec["readOnly"] == true {
        set(&mut map, "readOnly", true);
        set(&mut map, "recursiveReadOnly", "Disabled");
    }
    map.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wavetank_core::id::Revision;
    use wavetank_core::model::{Object, Status3};
    use wavetank_core::time::Time;

    use super::*;
    use crate::kubernetes::{read_admitted, to_json, to_json_with_hosts, to_object};

    /// A pod of two containers, `web` and `agent`, on a node.
    fn pod() -> Pod {
        let text = "
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  nodeName: node-1
  containers:
  - {name: web, image: 'web:1', resources: {limits: {cpu: 250m, memory: 64Mi}},
     volumeMounts: [{name: data, mountPath: /data}, {name: data, mountPath: /seen, readOnly: true}]}
  - {name: agent, image: 'agent:1'}
  volumes: [{name: data, emptyDir: {}}]
";
        let objects = read_admitted("web.yaml", text).expect("it is a valid pod");
        let Ok(Object::Pod(pod)) = to_object(&objects[0]) else { panic!("a pod was read") };
        let mut pod = Arc::unwrap_or_clone(pod);
        pod.meta.generation = 1;
        pod
    }

    fn waiting() -> ContainerStatus {
        let state = ContainerState::Waiting { reason: "ContainerCreating".into(), message: Name::new() };
        ContainerStatus { state, last_terminated: None, ready: false, started: false, restarts: 0 }
    }

    /// The same once its kubelet has reported that `web` runs.
    fn reported() -> Pod {
        let mut pod = pod();
        let running = ContainerState::Running { since: Time::from_secs(2) };
        pod.status.started_at = Time::from_secs(1).into();
        pod.status.observed_generation = 1;
        pod.status.containers = [ContainerStatus { state: running, ..waiting() }, waiting()].into_iter().collect();
        for kind in [ConditionKind::ContainersReady, ConditionKind::PodScheduled] {
            pod.status.conditions.set(kind, Status3::True, Name::new(), Name::new(), Time::ZERO);
        }
        pod
    }

    fn shown(pod: Pod) -> Value {
        let host_of = |node: &Name| (**node == *"node-1").then(|| Name::from("192.168.0.7"));
        to_json_with_hosts(&Object::Pod(Arc::new(pod)), Revision(1), 0, &host_of)["status"].take()
    }

    fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
        let conditions = status["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().find(|it| it["type"] == kind).unwrap_or_else(|| panic!("{kind} in {status:#}"))
    }

    #[test]
    fn the_class_of_service_is_there_from_the_start_and_the_host_once_its_kubelet_has_reported() {
        let status = shown(pod());
        assert_eq!((&status["qosClass"], status.get("hostIP")), (&json!("Burstable"), None));
        assert_eq!(status.get("observedGeneration"), None);
        let status = shown(reported());
        assert_eq!((&status["hostIP"], &status["hostIPs"]), (&json!("192.168.0.7"), &json!([{"ip": "192.168.0.7"}])));
        assert_eq!(status["observedGeneration"], 1);
        let mut refused = pod();
        refused.status.started_at = Time::from_secs(1).into();
        assert_eq!(shown(refused).get("hostIP"), None, "a kubelet says little of a pod that it refuses");
        let unknown = to_json(&Object::Pod(Arc::new(reported())), Revision(1), 0);
        assert_eq!(unknown["status"].get("hostIP"), None);
    }

    #[test]
    fn containers_are_shown_by_name_with_what_their_specs_say_of_resources_and_mounts() {
        let status = shown(reported());
        let names = |list: &Value| list.as_array().into_iter().flatten().map(|it| it["name"].clone()).collect();
        let named: Vec<Value> = names(&status["containerStatuses"]);
        assert_eq!(named, ["agent", "web"]);
        let (agent, web) = (&status["containerStatuses"][0], &status["containerStatuses"][1]);
        let amounts = json!({"cpu": "250m", "memory": "64Mi"});
        assert_eq!(web["resources"], json!({"limits": amounts, "requests": amounts}));
        assert_eq!(web["allocatedResources"], amounts);
        let mounts = json!([
            {"name": "data", "mountPath": "/data"},
            {"name": "data", "mountPath": "/seen", "readOnly": true, "recursiveReadOnly": "Disabled"},
        ]);
        assert_eq!(web["volumeMounts"], mounts);
        assert_eq!(agent.get("resources"), None, "there is no such container yet");
    }

    #[test]
    fn a_condition_names_the_generation_that_it_is_about() {
        let of = |pod: Pod, kind: &str| condition(&shown(pod), kind).get("observedGeneration").cloned();
        let set = |pod: &mut Pod, kind, status, reason: &str| {
            pod.status.conditions.set(kind, status, reason, "", Time::ZERO);
        };
        let mut waits = Pod { node: None, ..pod() };
        set(&mut waits, ConditionKind::PodScheduled, Status3::False, "SchedulingGated");
        assert_eq!(of(waits.clone(), "PodScheduled"), None);
        set(&mut waits, ConditionKind::PodScheduled, Status3::False, "Unschedulable");
        assert_eq!(of(waits, "PodScheduled"), Some(json!(1)));
        let mut ends = reported();
        set(&mut ends, ConditionKind::DisruptionTarget, Status3::True, "DeletionByTaintManager");
        ends.meta.deleted_at = Some(Time::from_secs(9));
        ends.meta.generation = 2;
        assert_eq!(of(ends.clone(), "DisruptionTarget"), Some(json!(1)), "it was set before the deletion");
        assert_eq!(of(ends.clone(), "ContainersReady"), Some(json!(1)), "its kubelet has not reported since");
        ends.status.observed_generation = 2;
        assert_eq!(of(ends.clone(), "ContainersReady"), Some(json!(2)));
        set(&mut ends, ConditionKind::DisruptionTarget, Status3::True, "EvictionByEvictionAPI");
        assert_eq!(of(ends, "DisruptionTarget"), None);
        assert_eq!(condition(&shown(reported()), "ContainersReady")["lastProbeTime"], Value::Null);
    }

    #[test]
    fn conditions_are_in_the_order_of_a_kubelet_s_report() {
        let mut pod = reported();
        for kind in [ConditionKind::Ready, ConditionKind::Initialized, ConditionKind::DisruptionTarget] {
            pod.status.conditions.set(kind, Status3::True, "", "", Time::ZERO);
        }
        let status = shown(pod);
        let kinds: Vec<&Value> = status["conditions"].as_array().into_iter().flatten().map(|it| &it["type"]).collect();
        assert_eq!(kinds, ["DisruptionTarget", "Initialized", "Ready", "ContainersReady", "PodScheduled"]);
    }
}
