//! From the core's objects to the JSON that `kubectl get -o json` would show.
//!
//! The user's own JSON is the base, so every valid field comes back; what the core decides is laid over it. Times are
//! shown as instants after an epoch that the caller chooses.

mod batch;
mod disruption;
mod sets;

use serde_json::{Map, Value, json};
use wavetank_core::calendar::Civil;
use wavetank_core::id::{Name, Revision};
use wavetank_core::model::{
    Condition, ConditionKind, Conditions, ContainerState, ContainerStatus, Deployment, EndpointSlice, ExternalTraffic,
    IntOrName, IntOrPercent, Labels, Meta, Namespace, Node, Object, OwnerReference, Phase, Pod, PodTemplate, Protocol,
    ReplicaSet, ReplicaSetStatus, ReplicationController, Resources, Selector, Service, ServiceType, Status3,
    Terminated,
};
use wavetank_core::quantity::{Format, Quantity};
use wavetank_core::time::Time;

use super::{config, policy, storage};

/// The kinds whose changes of spec are counted; others have no `metadata.generation`.
///
/// Source: the strategies' `PrepareForCreate`, pkg/registry/*/*/strategy.go (v1.34.1).
const WITH_GENERATION: &[&str] = &[
    "CronJob",
    "DaemonSet",
    "Deployment",
    "EndpointSlice",
    "Ingress",
    "Job",
    "NetworkPolicy",
    "Pod",
    "PodDisruptionBudget",
    "PriorityClass",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
];

/// An object as Kubernetes' JSON. `revision` becomes `resourceVersion`; `epoch` is the Unix time, in seconds, of the
/// run's start.
pub fn to_json(object: &Object, revision: Revision, epoch: i64) -> Value {
    let show = Show { epoch };
    let meta = object.meta();
    let mut root = base(meta);
    set(&mut root, "apiVersion", object.kind().api_version());
    set(&mut root, "kind", object.kind().name());
    show.meta(entry(&mut root, "metadata"), meta, revision);
    if WITH_GENERATION.contains(&object.kind().name()) {
        set(entry(&mut root, "metadata"), "generation", meta.generation);
    }
    match object {
        Object::Namespace(namespace) => show.namespace(&mut root, namespace),
        Object::Node(node) => show.node(&mut root, node),
        Object::Pod(pod) => show.pod(&mut root, pod),
        Object::ReplicaSet(set) => show.replica_set(&mut root, set),
        Object::Deployment(deployment) => show.deployment(&mut root, deployment),
        Object::Service(service) => show_service(&mut root, service),
        Object::StatefulSet(it) => sets::stateful_set(&mut root, it),
        Object::DaemonSet(it) => sets::daemon_set(&mut root, it),
        Object::ControllerRevision(revision) => sets::controller_revision(&mut root, revision),
        Object::EndpointSlice(slice) => show_slice(&mut root, slice),
        Object::ReplicationController(set) => show.replication_controller(&mut root, set),
        Object::Job(job) => show.job(&mut root, job),
        Object::CronJob(cron_job) => show.cron_job(&mut root, cron_job),
        Object::ConfigMap(map) => config::show_config_map(&mut root, map),
        Object::Secret(secret) => config::show_secret(&mut root, secret),
        Object::ServiceAccount(account) => config::show_account(&mut root, account),
        Object::ResourceQuota(quota) => policy::show_quota(&mut root, quota),
        Object::LimitRange(range) => policy::show_range(&mut root, range),
        Object::PriorityClass(class) => policy::show_class(&mut root, class),
        Object::PersistentVolume(volume) => storage::show_volume(&mut root, volume, epoch),
        Object::PersistentVolumeClaim(claim) => {
            storage::show_claim(&mut root, claim, show.conditions(&claim.status.conditions))
        }
        Object::StorageClass(class) => storage::show_class(&mut root, class),
        Object::CSINode(node) => storage::show_node(&mut root, node),
        Object::VolumeAttachment(attachment) => storage::show_attachment(&mut root, attachment, epoch),
        Object::CSIDriver(driver) => storage::show_driver(&mut root, driver),
        Object::CSIStorageCapacity(capacity) => storage::show_capacity(&mut root, capacity),
        Object::PodDisruptionBudget(budget) => show.disruption_budget(&mut root, budget),
    }
    Value::Object(root)
}

/// A point of the run as RFC 3339 in whole seconds, `epoch` being the Unix time of the run's start in seconds.
pub fn timestamp(at: Time, epoch: i64) -> String {
    Civil::at(epoch + (at.0 / 1_000_000_000) as i64).rfc3339(0)
}

/// The user's own JSON, or an empty object.
fn base(meta: &Meta) -> Map<String, Value> {
    parsed(meta.original.as_ref())
}

fn parsed(original: Option<&Name>) -> Map<String, Value> {
    match original.map(|text| serde_json::from_str(text)) {
        Some(Ok(Value::Object(map))) => map,
        Some(other) => panic!("the kept original of an object is no JSON object: {other:?}"),
        None => Map::new(),
    }
}

pub(super) fn set(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    map.insert(key.to_owned(), value.into());
}

/// The object under a key, made if it is not there.
pub(super) fn entry<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let slot = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut().expect("it was just made an object")
}

pub(super) fn set_labels(map: &mut Map<String, Value>, key: &str, labels: &Labels) {
    if labels.is_empty() {
        map.remove(key);
    } else {
        let pairs = labels.iter().map(|(key, value)| (key.to_string(), Value::from(&**value)));
        set(map, key, pairs.collect::<Map<_, _>>());
    }
}

struct Show {
    epoch: i64,
}

impl Show {
    fn time(&self, at: Time) -> Value {
        timestamp(at, self.epoch).into()
    }

    fn meta(&self, map: &mut Map<String, Value>, meta: &Meta, revision: Revision) {
        set(map, "name", &*meta.name);
        if !meta.namespace.is_empty() {
            set(map, "namespace", &*meta.namespace);
        }
        set(map, "uid", meta.uid.to_string());
        set(map, "resourceVersion", revision.0.to_string());
        set(map, "creationTimestamp", self.time(meta.created_at));
        if let (Some(at), Some(grace)) = (meta.deleted_at, meta.deletion_grace) {
            set(map, "deletionTimestamp", self.time(at));
            set(map, "deletionGracePeriodSeconds", grace.as_secs());
        }
        set_labels(map, "labels", &meta.labels);
        set_labels(map, "annotations", &meta.annotations);
        if !meta.owners.is_empty() {
            set(map, "ownerReferences", meta.owners.iter().map(owner).collect::<Vec<_>>());
        }
        if meta.finalizers.is_empty() {
            map.remove("finalizers");
        } else {
            set(map, "finalizers", meta.finalizers.iter().map(|text| &**text).collect::<Vec<&str>>());
        }
    }

    fn conditions(&self, conditions: &Conditions) -> Value {
        conditions.iter().map(|condition| self.condition(condition)).collect()
    }

    fn condition(&self, condition: &Condition) -> Value {
        let kind = match condition.kind {
            ConditionKind::PidPressure => "PIDPressure".to_owned(),
            other => format!("{other:?}"),
        };
        let mut map = Map::new();
        set(&mut map, "type", kind);
        set(&mut map, "status", status(condition.status));
        set(&mut map, "lastTransitionTime", self.time(condition.changed_at));
        if !condition.reason.is_empty() {
            set(&mut map, "reason", &*condition.reason);
        }
        if !condition.message.is_empty() {
            set(&mut map, "message", &*condition.message);
        }
        Value::Object(map)
    }

    fn namespace(&self, root: &mut Map<String, Value>, namespace: &Namespace) {
        let phase = if namespace.meta.is_terminating() { "Terminating" } else { "Active" };
        let finalizers = namespace.finalizers.iter().map(|text| &**text).collect::<Vec<&str>>();
        set(root, "spec", if finalizers.is_empty() { json!({}) } else { json!({"finalizers": finalizers}) });
        // A namespace is marked without a grace: `REST.Delete`, pkg/registry/core/namespace/storage (v1.34.1).
        entry(root, "metadata").remove("deletionGracePeriodSeconds");
        let status = entry(root, "status");
        set(status, "phase", phase);
        if namespace.conditions.iter().next().is_some() {
            set(status, "conditions", self.conditions(&namespace.conditions));
        }
    }

    fn node(&self, root: &mut Map<String, Value>, node: &Node) {
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
        set(status, "conditions", self.conditions(&node.status.conditions));
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

    fn pod(&self, root: &mut Map<String, Value>, pod: &Pod) {
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

    fn pod_status(&self, map: &mut Map<String, Value>, pod: &Pod) {
        let status = &pod.status;
        let phase = match status.phase {
            Phase::Pending => "Pending",
            Phase::Running => "Running",
            Phase::Succeeded => "Succeeded",
            Phase::Failed => "Failed",
            Phase::Unknown => "Unknown",
        };
        set(map, "phase", phase);
        set(map, "conditions", self.conditions(&status.conditions));
        for (key, text) in [("reason", &status.reason), ("message", &status.message)] {
            if !text.is_empty() {
                set(map, key, &**text);
            }
        }
        if let Some(address) = &status.pod_ip {
            set(map, "podIP", &**address);
            set(map, "podIPs", vec![json!({"ip": &**address})]);
        }
        if let Some(at) = status.started_at {
            set(map, "startTime", self.time(at));
        }
        if let Some(node) = &status.nominated_node {
            set(map, "nominatedNodeName", &**node);
        }
        let groups = [
            ("containerStatuses", &status.containers, &pod.spec.containers),
            ("initContainerStatuses", &status.init_containers, &pod.spec.init_containers),
        ];
        for (key, statuses, containers) in groups {
            if !statuses.is_empty() {
                let shown = statuses.iter().zip(containers);
                let shown = shown.map(|(status, container)| self.container(status, &container.name, &container.image));
                set(map, key, shown.collect::<Vec<_>>());
            }
        }
    }

    fn container(&self, status: &ContainerStatus, name: &str, image: &str) -> Value {
        let state = match &status.state {
            ContainerState::Waiting { reason, message } if message.is_empty() => {
                json!({"waiting": {"reason": &**reason}})
            }
            ContainerState::Waiting { reason, message } => {
                json!({"waiting": {"reason": &**reason, "message": &**message}})
            }
            ContainerState::Running { since } => json!({"running": {"startedAt": self.time(*since)}}),
            ContainerState::Terminated(end) => json!({"terminated": self.terminated(end)}),
        };
        let last = match &status.last_terminated {
            Some(end) => json!({"terminated": self.terminated(end)}),
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

    fn terminated(&self, end: &Terminated) -> Value {
        json!({
            "exitCode": end.exit_code,
            "reason": &*end.reason,
            "startedAt": self.time(end.started_at),
            "finishedAt": self.time(end.finished_at),
        })
    }

    fn replica_set(&self, root: &mut Map<String, Value>, set_: &ReplicaSet) {
        let spec = entry(root, "spec");
        set(spec, "replicas", set_.replicas);
        if set_.min_ready.as_secs() > 0 {
            set(spec, "minReadySeconds", set_.min_ready.as_secs());
        }
        set(spec, "selector", selector(&set_.selector));
        show_template(entry(spec, "template"), &set_.template);
        self.replica_counts(entry(root, "status"), &set_.status);
    }

    fn replication_controller(&self, root: &mut Map<String, Value>, controller: &ReplicationController) {
        let spec = entry(root, "spec");
        set(spec, "replicas", controller.replicas);
        if controller.min_ready.as_secs() > 0 {
            set(spec, "minReadySeconds", controller.min_ready.as_secs());
        }
        set_labels(spec, "selector", &controller.selector.match_labels);
        show_template(entry(spec, "template"), &controller.template);
        self.replica_counts(entry(root, "status"), &controller.status);
    }

    fn replica_counts(&self, status: &mut Map<String, Value>, counts: &ReplicaSetStatus) {
        set(status, "replicas", counts.replicas);
        set(status, "observedGeneration", counts.observed_generation);
        set_counts(
            status,
            [
                ("fullyLabeledReplicas", counts.fully_labeled),
                ("readyReplicas", counts.ready),
                ("availableReplicas", counts.available),
            ],
        );
        if counts.conditions.iter().next().is_some() {
            set(status, "conditions", self.conditions(&counts.conditions));
        }
    }

    fn deployment(&self, root: &mut Map<String, Value>, deployment: &Deployment) {
        let spec = entry(root, "spec");
        set(spec, "replicas", deployment.replicas);
        if deployment.min_ready.as_secs() > 0 {
            set(spec, "minReadySeconds", deployment.min_ready.as_secs());
        }
        set(spec, "selector", selector(&deployment.selector));
        show_template(entry(spec, "template"), &deployment.template);
        set(spec, "strategy", strategy(deployment));
        set(spec, "revisionHistoryLimit", deployment.revision_history_limit);
        let deadline = deployment.progress_deadline.map_or(i32::MAX as u64, |deadline| deadline.as_secs());
        set(spec, "progressDeadlineSeconds", deadline);
        if deployment.paused {
            set(spec, "paused", true);
        } else {
            spec.remove("paused");
        }
        let status = entry(root, "status");
        let counts = &deployment.status;
        set(status, "observedGeneration", counts.observed_generation);
        set_counts(
            status,
            [
                ("replicas", counts.replicas),
                ("updatedReplicas", counts.updated),
                ("readyReplicas", counts.ready),
                ("availableReplicas", counts.available),
                ("unavailableReplicas", counts.unavailable),
                ("collisionCount", counts.collision_count),
            ],
        );
        set(status, "conditions", self.conditions(&counts.conditions));
    }
}

/// Sets each count that is not zero: Kubernetes leaves zeros out.
fn set_counts<const N: usize>(map: &mut Map<String, Value>, counts: [(&str, u32); N]) {
    for (key, count) in counts {
        if count > 0 {
            set(map, key, count);
        } else {
            map.remove(key);
        }
    }
}

/// What does not hold is left out, as by clients that leave it unset.
fn owner(owner: &OwnerReference) -> Value {
    let mut json = json!({
        "apiVersion": owner.kind.api_version(),
        "kind": owner.kind.name(),
        "name": &*owner.name,
        "uid": owner.uid.to_string(),
    });
    for (field, holds) in [("controller", owner.controller), ("blockOwnerDeletion", owner.block_owner_deletion)] {
        if holds {
            json[field] = true.into();
        }
    }
    json
}

fn status(status: Status3) -> &'static str {
    match status {
        Status3::True => "True",
        Status3::False => "False",
        Status3::Unknown => "Unknown",
    }
}

fn resources(list: &Resources) -> Value {
    let mut map = Map::new();
    set(&mut map, "cpu", Quantity::from_milli(list.cpu_milli, Format::DecimalSi).to_string());
    set(&mut map, "memory", Quantity::from_units(list.memory_bytes, Format::BinarySi).to_string());
    if list.ephemeral_bytes > 0 {
        set(&mut map, "ephemeral-storage", Quantity::from_units(list.ephemeral_bytes, Format::BinarySi).to_string());
    }
    if list.pods > 0 {
        set(&mut map, "pods", list.pods.to_string());
    }
    for (name, amount) in &list.extended {
        set(&mut map, name, amount.to_string());
    }
    Value::Object(map)
}

pub(super) fn selector(selector: &Selector) -> Value {
    let mut map = Map::new();
    set_labels(&mut map, "matchLabels", &selector.match_labels);
    if !selector.match_expressions.is_empty() {
        let shown = selector.match_expressions.iter().map(|it| {
            let values: Vec<&str> = it.values.iter().map(|value| &**value).collect();
            json!({"key": &*it.key, "operator": format!("{:?}", it.operator), "values": values})
        });
        set(&mut map, "matchExpressions", shown.collect::<Vec<_>>());
    }
    Value::Object(map)
}

fn show_template(map: &mut Map<String, Value>, template: &PodTemplate) {
    let metadata = entry(map, "metadata");
    set_labels(metadata, "labels", &template.labels);
    set_labels(metadata, "annotations", &template.annotations);
    if let Some(original) = &template.spec.original {
        set(map, "spec", parsed(Some(original)));
    }
    set_images(entry(map, "spec"), &template.spec);
}

/// Names and images are what the core can change in a container; everything else is as the user wrote it.
fn set_images(spec: &mut Map<String, Value>, shown: &wavetank_core::model::PodSpec) {
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

fn show_containers(spec: &mut Map<String, Value>, pod: &Pod) {
    set_images(spec, &pod.spec);
}

fn share(value: IntOrPercent) -> Value {
    match value {
        IntOrPercent::Int(number) => Value::from(number),
        IntOrPercent::Percent(share) => Value::from(format!("{share}%")),
    }
}

fn strategy(deployment: &Deployment) -> Value {
    use wavetank_core::model::DeploymentStrategy::{Recreate, RollingUpdate};
    match deployment.strategy {
        Recreate => json!({"type": "Recreate"}),
        RollingUpdate { max_surge, max_unavailable } => json!({
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": share(max_surge), "maxUnavailable": share(max_unavailable)},
        }),
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    }
}

fn show_service(root: &mut Map<String, Value>, service: &Service) {
    let spec = entry(root, "spec");
    let ports = service.ports.iter().map(|port| {
        let mut map = Map::new();
        if !port.name.is_empty() {
            set(&mut map, "name", &*port.name);
        }
        set(&mut map, "protocol", protocol(port.protocol));
        set(&mut map, "port", port.port);
        match &port.target {
            IntOrName::Int(number) => set(&mut map, "targetPort", *number),
            IntOrName::Name(name) => set(&mut map, "targetPort", &**name),
        }
        if let Some(number) = port.node_port {
            set(&mut map, "nodePort", number);
        }
        Value::Object(map)
    });
    if !service.ports.is_empty() {
        set(spec, "ports", ports.collect::<Vec<_>>());
    }
    if let Some(selector) = &service.selector {
        set_labels(spec, "selector", selector);
    }
    let kind = match &service.service_type {
        ServiceType::ClusterIp => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
        ServiceType::ExternalName(name) => {
            set(spec, "externalName", &**name);
            "ExternalName"
        }
    };
    set(spec, "type", kind);
    match (&service.cluster_ip, service.headless) {
        (Some(address), _) => {
            set(spec, "clusterIP", &**address);
            set(spec, "clusterIPs", vec![Value::from(&**address)]);
        }
        (None, true) => {
            set(spec, "clusterIP", "None");
            set(spec, "clusterIPs", vec![Value::from("None")]);
        }
        (None, false) => {
            spec.remove("clusterIP");
            spec.remove("clusterIPs");
        }
    }
    show_choices(spec, service);
    entry(root, "status").entry("loadBalancer").or_insert_with(|| json!({}));
}

/// What the API server chooses for a Service: a field that its type has no use for is not shown, whoever wrote it.
fn show_choices(spec: &mut Map<String, Value>, service: &Service) {
    let families: Vec<Value> = service.families.iter().map(|family| family.name().into()).collect();
    let policy = service.external_traffic.map(|policy| match policy {
        ExternalTraffic::Cluster => "Cluster",
        ExternalTraffic::Local => "Local",
    });
    let fields: [(&str, Option<Value>); 5] = [
        ("ipFamilies", (!families.is_empty()).then(|| families.into())),
        ("ipFamilyPolicy", service.family_policy.map(|policy| policy.name().into())),
        ("externalTrafficPolicy", policy.map(Value::from)),
        ("allocateLoadBalancerNodePorts", service.allocates_node_ports.map(Value::from)),
        ("healthCheckNodePort", service.health_check_node_port.map(Value::from)),
    ];
    for (key, value) in fields {
        match value {
            Some(value) => set(spec, key, value),
            None => drop(spec.remove(key)),
        }
    }
    set(spec, "sessionAffinity", if service.client_ip_affinity.is_some() { "ClientIP" } else { "None" });
    match service.client_ip_affinity {
        Some(span) => set(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": span.as_secs()}})),
        None => drop(spec.remove("sessionAffinityConfig")),
    }
    // It is stored of every Service and shown of those that have an address.
    if service.is_alias() {
        spec.remove("internalTrafficPolicy");
    } else {
        spec.entry("internalTrafficPolicy").or_insert_with(|| "Cluster".into());
    }
}

fn show_slice(root: &mut Map<String, Value>, slice: &EndpointSlice) {
    set(root, "addressType", "IPv4");
    let endpoints = slice.endpoints.iter().map(|endpoint| {
        let mut map = Map::new();
        set(&mut map, "addresses", vec![Value::from(&*endpoint.address)]);
        set(
            &mut map,
            "conditions",
            json!({"ready": endpoint.ready, "serving": endpoint.serving, "terminating": endpoint.terminating}),
        );
        if !endpoint.pod.is_empty() {
            let (namespace, uid) = (&*slice.meta.namespace, endpoint.pod_uid.to_string());
            let target = json!({"kind": "Pod", "namespace": namespace, "name": &*endpoint.pod, "uid": uid});
            set(&mut map, "targetRef", target);
        }
        for (key, value) in [("nodeName", &endpoint.node), ("zone", &endpoint.zone), ("hostname", &endpoint.hostname)] {
            if let Some(value) = value {
                set(&mut map, key, &**value);
            }
        }
        Value::Object(map)
    });
    set(root, "endpoints", endpoints.collect::<Vec<_>>());
    let ports = slice
        .ports
        .iter()
        .map(|(name, proto, number)| json!({"name": &**name, "protocol": protocol(*proto), "port": number}));
    set(root, "ports", ports.collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::{read_admitted, to_object};

    #[test]
    fn timestamps_are_calendar_dates() {
        assert_eq!(timestamp(Time::ZERO, 0), "1970-01-01T00:00:00Z");
        assert_eq!(timestamp(Time::from_millis(1_900), 951_782_399), "2000-02-29T00:00:00Z");
        assert_eq!(timestamp(Time::ZERO, 1_795_219_199), "2026-11-20T23:59:59Z");
    }

    #[test]
    fn what_a_user_applies_comes_back_whole_with_the_cluster_s_part_laid_over() {
        let text = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      securityContext: {runAsUser: 1000}
      containers:
      - {name: app, image: 'web:1', resources: {requests: {cpu: 250m, memory: 64Mi}}, volumeMounts: [{name: data, mountPath: /data}]}
      volumes: [{name: data, emptyDir: {}}]
";
        let objects = read_admitted("web.yaml", text).unwrap();
        let object = to_object(&objects[0]).unwrap();
        let Object::Deployment(deployment) = &object else { panic!("{object:?}") };
        assert_eq!(deployment.template.spec.containers[0].requests.cpu_milli, 250);
        let shown = to_json(&object, Revision(7), 0);
        assert_eq!(shown["metadata"]["namespace"], "default");
        assert_eq!(shown["metadata"]["resourceVersion"], "7");
        assert_eq!(shown["spec"]["template"]["spec"]["securityContext"]["runAsUser"], 1000);
        assert_eq!(shown["spec"]["template"]["spec"]["containers"][0]["volumeMounts"][0]["mountPath"], "/data");
        assert_eq!(shown["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
    }
}
