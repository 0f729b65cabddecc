//! From the core's objects to the JSON that `kubectl get -o json` would show.
//!
//! The user's own JSON is the base, so every valid field comes back; what the core decides is laid over it. Times are
//! shown as instants after an epoch that the caller chooses.

mod batch;
mod deployments;
mod disruption;
mod endpoints;
mod nodes;
mod pod_status;
mod pods;
mod services;
mod sets;

use serde_json::{Map, Value, json};
use wavetank_core::calendar::Civil;
use wavetank_core::id::{Name, Revision};
use wavetank_core::model::{
    Condition, ConditionKind, Conditions, IntOrPercent, Kind, Labels, Meta, Namespace, Object, OwnerReference,
    PodTemplate, Protocol, Resources, Selector, Status3,
};
use wavetank_core::quantity::{Format, Quantity};
use wavetank_core::time::{Span, Time};

use super::{config, policy, storage};
use endpoints::show_endpoints;
use pods::set_images;
use services::{show_service, show_slice};

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
///
/// The addresses of pods' hosts are left out: see [`to_json_with_hosts`].
pub fn to_json(object: &Object, revision: Revision, epoch: i64) -> Value {
    to_json_with_hosts(object, revision, epoch, &|_| None)
}

/// As [`to_json`], and pods show the address of their host (`status.hostIP`), which `host_of` looks up by the node's
/// name; a node that is not there has none.
pub fn to_json_with_hosts(
    object: &Object,
    revision: Revision,
    epoch: i64,
    host_of: &dyn Fn(&Name) -> Option<Name>,
) -> Value {
    let show = Show { epoch, host_of };
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
        Object::Endpoints(endpoints) => show_endpoints(&mut root, endpoints),
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

struct Show<'a> {
    epoch: i64,
    host_of: &'a dyn Fn(&Name) -> Option<Name>,
}

impl Show<'_> {
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
        let unknown = |reference: &Value| reference["kind"].as_str().and_then(Kind::of_name).is_none();
        let others = map.get("ownerReferences").and_then(Value::as_array).into_iter().flatten();
        let others: Vec<Value> = others.filter(|reference| unknown(reference)).cloned().collect();
        let owners: Vec<Value> = meta.owners.iter().map(owner).chain(others).collect();
        if owners.is_empty() {
            map.remove("ownerReferences");
        } else {
            set(map, "ownerReferences", owners);
        }
        if meta.finalizers.is_empty() {
            map.remove("finalizers");
        } else {
            set(map, "finalizers", meta.finalizers.iter().map(|text| &**text).collect::<Vec<&str>>());
        }
    }

    fn conditions(&self, conditions: &Conditions) -> Value {
        conditions.iter().map(|condition| self.condition(&condition)).collect()
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
        set_unless_empty(status, "conditions", self.conditions(&namespace.conditions));
    }
}

/// Sets each count that is not zero: Kubernetes leaves zeros out.
fn set_counts<const N: usize>(map: &mut Map<String, Value>, counts: [(&str, u32); N]) {
    for (key, count) in counts {
        set_unless_zero(map, key, u64::from(count));
    }
}

/// Sets a number of Kubernetes' type with `omitempty`: a zero is not shown, not even one that the user wrote.
fn set_unless_zero(map: &mut Map<String, Value>, key: &str, number: u64) {
    if number > 0 {
        set(map, key, number);
    } else {
        map.remove(key);
    }
}

/// Sets a list of Kubernetes' type with `omitempty`: an empty one is not shown.
pub(super) fn set_unless_empty(map: &mut Map<String, Value>, key: &str, list: Value) {
    if list.as_array().is_some_and(Vec::is_empty) {
        map.remove(key);
    } else {
        set(map, key, list);
    }
}

/// For how long a pod must be ready to count, in whole seconds, as every kind of controller shows it.
fn show_min_ready(spec: &mut Map<String, Value>, min_ready: Span) {
    set_unless_zero(spec, "minReadySeconds", min_ready.as_secs());
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

fn share(value: IntOrPercent) -> Value {
    match value {
        IntOrPercent::Int(number) => Value::from(number),
        IntOrPercent::Percent(share) => Value::from(format!("{share}%")),
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    }
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
      - {name: app, image: 'web:1', resources: {requests: {cpu: 250m, memory: 64Mi}},
         volumeMounts: [{name: data, mountPath: /data}]}
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
