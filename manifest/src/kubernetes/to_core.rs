//! From k8s-openapi's types to the core's compact objects.
//!
//! The object must have been admitted ([`Located::admit`]): defaults are filled in and nothing is invalid. What the
//! core does not model stays in [`Meta::original`] and [`PodSpec::original`] as the JSON that was written.

mod batch;
mod disruption;
mod sets;
mod slices;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as QuantityText;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference as ApiOwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use wavetank_core::digest::Shared;
use wavetank_core::id::{Name, Uid};
use wavetank_core::model::{
    ConditionKind, Container, ContainerPort, Deployment, DeploymentStrategy, EnvVar, ExternalTraffic, Hook, IntOrName,
    IntOrPercent, IpFamily, IpFamilyPolicy, Kind, Labels, Lifecycle, Meta, Namespace, Node, NodeImage, NodeSpec,
    NodeStatus, Object, OwnerReference, Pod, PodOwn, PodSpec, PodTemplate, PreferredNodeTerm, Probe, ProbeAction,
    Protocol, PullPolicy, ReplicaSet, ReplicationController, ResourceName, Resources, RestartPolicy, Selector,
    SelectorOperator, SelectorRequirement, Service, ServiceLinks, ServicePort, ServiceType, Status3, Taint,
    TaintEffect, Toleration, TolerationOperator, ZeroRequests,
};
use wavetank_core::quantity::Quantity;
use wavetank_core::time::{Span, Time};

use super::{Located, Manifest, config, policy, storage};
use crate::strict::{Error, Errors};

/// The core's object of an admitted manifest. Objects of a namespaced kind without a namespace belong to `default`.
///
/// Errors: a kind that only the cluster's own components write (ControllerRevision, Lease), or a slice that is not
/// modelled.
pub fn to_object(located: &Located<Manifest>) -> Result<Object, Errors> {
    let original: Name = located.original().to_string().into();
    let meta = |metadata: &ObjectMeta| meta(metadata, located.value.kind().namespaced, original.clone());
    Ok(match &located.value {
        Manifest::Namespace(object) => Object::Namespace(Arc::new(namespace(meta(&object.metadata), object))),
        Manifest::Node(object) => Object::Node(Arc::new(node(meta(&object.metadata), object))),
        Manifest::Pod(object) => Object::Pod(Arc::new(pod(meta(&object.metadata), object))),
        Manifest::Service(object) => Object::Service(Arc::new(service(meta(&object.metadata), object))),
        Manifest::Deployment(object) => Object::Deployment(Arc::new(deployment(meta(&object.metadata), object))),
        Manifest::ReplicaSet(object) => Object::ReplicaSet(Arc::new(replica_set(meta(&object.metadata), object))),
        Manifest::ReplicationController(object) => {
            Object::ReplicationController(Arc::new(replication_controller(meta(&object.metadata), object)))
        }
        Manifest::Job(object) => Object::Job(Arc::new(batch::job(meta(&object.metadata), object))),
        Manifest::CronJob(object) => Object::CronJob(Arc::new(batch::cron_job(meta(&object.metadata), object))),
        Manifest::ConfigMap(object) => Object::ConfigMap(Arc::new(config::config_map(meta(&object.metadata), object))),
        Manifest::Secret(object) => Object::Secret(Arc::new(config::secret(meta(&object.metadata), object))),
        Manifest::ServiceAccount(object) => {
            Object::ServiceAccount(Arc::new(config::account(meta(&object.metadata), object)))
        }
        Manifest::ResourceQuota(object) => {
            Object::ResourceQuota(Arc::new(policy::quota(meta(&object.metadata), object)))
        }
        Manifest::LimitRange(object) => Object::LimitRange(Arc::new(policy::range(meta(&object.metadata), object))),
        Manifest::PriorityClass(object) => {
            Object::PriorityClass(Arc::new(policy::class(meta(&object.metadata), object)))
        }
        Manifest::PersistentVolume(object) => {
            Object::PersistentVolume(Arc::new(storage::volume(meta(&object.metadata), object)))
        }
        Manifest::PersistentVolumeClaim(object) => {
            Object::PersistentVolumeClaim(Arc::new(storage::claim(meta(&object.metadata), object)))
        }
        Manifest::StorageClass(object) => {
            Object::StorageClass(Arc::new(storage::class(meta(&object.metadata), object)))
        }
        Manifest::CSINode(object) => Object::CSINode(Arc::new(storage::csi_node(meta(&object.metadata), object))),
        Manifest::VolumeAttachment(object) => {
            Object::VolumeAttachment(Arc::new(storage::attachment(meta(&object.metadata), object)))
        }
        Manifest::CSIDriver(object) => Object::CSIDriver(Arc::new(storage::csi_driver(meta(&object.metadata), object))),
        Manifest::CSIStorageCapacity(object) => {
            Object::CSIStorageCapacity(Arc::new(storage::csi_capacity(meta(&object.metadata), object)))
        }
        Manifest::PodDisruptionBudget(object) => {
            Object::PodDisruptionBudget(Arc::new(disruption::budget(meta(&object.metadata), object)))
        }
        Manifest::StatefulSet(object) => {
            Object::StatefulSet(Arc::new(sets::stateful_set(meta(&object.metadata), object)))
        }
        Manifest::DaemonSet(object) => Object::DaemonSet(Arc::new(sets::daemon_set(meta(&object.metadata), object))),
        Manifest::EndpointSlice(object) => match slices::slice(meta(&object.metadata), object) {
            Ok(slice) => Object::EndpointSlice(Arc::new(slice)),
            Err(why) => {
                return Err(Errors(vec![Error::new(
                    &located.file,
                    located.position(),
                    "endpoints",
                    String::from(why),
                )]));
            }
        },
        Manifest::ControllerRevision(_) | Manifest::Lease(_) => {
            let kind = located.value.kind().kind;
            let message = format!("a {kind} is written by the cluster itself; leave it out of the manifests");
            return Err(Errors(vec![Error::new(&located.file, located.position(), "kind", message)]));
        }
    })
}

pub(super) fn name(text: &str) -> Name {
    text.into()
}

pub(super) fn optional(text: Option<&String>) -> Name {
    text.map(|text| name(text)).unwrap_or_default()
}

fn meta(metadata: &ObjectMeta, namespaced: bool, original: Name) -> Meta {
    let (written, generate_name) = match (&metadata.name, &metadata.generate_name) {
        (Some(written), _) if !written.is_empty() => (written.as_str(), false),
        (_, Some(prefix)) => (prefix.as_str(), true),
        _ => ("", false),
    };
    let namespace = metadata.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or("default");
    Meta {
        namespace: name(if namespaced { namespace } else { "" }),
        name: name(written),
        generate_name,
        labels: labels(metadata.labels.as_ref()),
        annotations: labels(metadata.annotations.as_ref()),
        owners: metadata.owner_references.iter().flatten().filter_map(owner).collect(),
        finalizers: metadata.finalizers.iter().flatten().map(|finalizer| name(finalizer)).collect(),
        original: Some(original),
        ..Meta::default()
    }
}

/// An identity that was written as text; zero, which no object has, if it is none.
fn uid(text: &str) -> Uid {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    Uid(u128::from_str_radix(&digits, 16).unwrap_or_default())
}

/// An owner of a kind that the core has; others are shown from the original.
fn owner(reference: &ApiOwnerReference) -> Option<OwnerReference> {
    let kind = Kind::ALL.iter().find(|kind| kind.name() == reference.kind)?;
    Some(OwnerReference {
        kind: *kind,
        name: name(&reference.name),
        uid: uid(&reference.uid),
        controller: reference.controller.unwrap_or(false),
        block_owner_deletion: reference.block_owner_deletion.unwrap_or(false),
    })
}

pub(super) fn labels(map: Option<&BTreeMap<String, String>>) -> Labels {
    Labels::new(map.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str())))
}

pub(super) fn selector(selector: &LabelSelector) -> Selector {
    let requirements = selector.match_expressions.iter().flatten();
    Selector {
        match_labels: labels(selector.match_labels.as_ref()),
        match_expressions: requirements
            .map(|it| requirement(&it.key, &it.operator, it.values.as_deref().unwrap_or_default()))
            .collect(),
    }
}

pub(super) fn requirement(key: &str, operator: &str, values: &[String]) -> SelectorRequirement {
    let operator = match operator {
        "In" => SelectorOperator::In,
        "NotIn" => SelectorOperator::NotIn,
        "Exists" => SelectorOperator::Exists,
        "DoesNotExist" => SelectorOperator::DoesNotExist,
        "Gt" => SelectorOperator::Gt,
        "Lt" => SelectorOperator::Lt,
        other => unreachable!("operator {other} is refused by validation"),
    };
    SelectorRequirement { key: name(key), operator, values: values.iter().map(|value| name(value)).collect() }
}

fn resources(list: Option<&BTreeMap<String, QuantityText>>) -> Resources {
    let mut resources = Resources::default();
    for (key, text) in list.into_iter().flatten() {
        let quantity: Quantity = text.0.parse().expect("quantities are checked while reading");
        resources.set_quantity(key, quantity);
    }
    resources
}

fn namespace(meta: Meta, object: &api::Namespace) -> Namespace {
    let finalizers = object.spec.iter().filter_map(|spec| spec.finalizers.as_deref()).flatten();
    Namespace { meta, finalizers: finalizers.map(|name| name.as_str().into()).collect(), ..Namespace::default() }
}

fn node(meta: Meta, object: &api::Node) -> Node {
    let spec = object.spec.as_ref();
    let mut node = Node { meta, ..Node::default() };
    node.spec = NodeSpec {
        unschedulable: spec.and_then(|spec| spec.unschedulable).unwrap_or(false),
        taints: spec.and_then(|spec| spec.taints.as_ref()).into_iter().flatten().map(taint).collect(),
    };
    let Some(status) = &object.status else { return node };
    node.status = NodeStatus {
        capacity: resources(status.capacity.as_ref()),
        allocatable: resources(status.allocatable.as_ref().or(status.capacity.as_ref())),
        images: node_images(status.images.as_deref().unwrap_or_default()),
        ..NodeStatus::default()
    };
    let addresses = status.addresses.iter().flatten();
    node.status.address = addresses.filter(|it| it.type_ == "InternalIP").map(|it| name(&it.address)).next();
    for condition in status.conditions.iter().flatten() {
        let kind = match condition.type_.as_str() {
            "Ready" => ConditionKind::Ready,
            "MemoryPressure" => ConditionKind::MemoryPressure,
            "DiskPressure" => ConditionKind::DiskPressure,
            "PIDPressure" => ConditionKind::PidPressure,
            "NetworkUnavailable" => ConditionKind::NetworkUnavailable,
            _ => continue,
        };
        let (reason, message) = (optional(condition.reason.as_ref()), optional(condition.message.as_ref()));
        node.status.conditions.set(kind, status3(&condition.status), &reason, &message, Time::ZERO);
    }
    node
}

fn node_images(images: &[api::ContainerImage]) -> Option<Arc<[NodeImage]>> {
    let image = |image: &api::ContainerImage| NodeImage {
        names: image.names.iter().flatten().map(|text| name(text)).collect(),
        size_bytes: image.size_bytes.unwrap_or(0),
    };
    (!images.is_empty()).then(|| images.iter().map(image).collect())
}

fn status3(text: &str) -> Status3 {
    match text {
        "True" => Status3::True,
        "False" => Status3::False,
        _ => Status3::Unknown,
    }
}

fn taint(taint: &api::Taint) -> Taint {
    Taint {
        key: name(&taint.key),
        value: optional(taint.value.as_ref()),
        effect: effect(&taint.effect),
        added_at: None,
    }
}

fn effect(text: &str) -> TaintEffect {
    match text {
        "NoSchedule" => TaintEffect::NoSchedule,
        "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
        "NoExecute" => TaintEffect::NoExecute,
        other => unreachable!("effect {other} is refused by validation"),
    }
}

fn pod(meta: Meta, object: &api::Pod) -> Pod {
    let spec = object.spec.as_ref().expect("a pod without a spec is refused by validation");
    let node = spec.node_name.as_deref().filter(|node| !node.is_empty()).map(name);
    // The whole object is kept beside the meta; the spec needs no copy of its own.
    let own =
        PodOwn { node: None, hostname: optional(spec.hostname.as_ref()), subdomain: optional(spec.subdomain.as_ref()) };
    let own = (own != PodOwn::default()).then(|| Box::new(own));
    Pod { meta: meta.into(), spec: Shared::new(pod_spec(spec, None)), own, node, ..Pod::default() }
}

fn template(template: &api::PodTemplateSpec) -> PodTemplate {
    let spec = template.spec.as_ref().expect("a template without a spec is refused by validation");
    let metadata = template.metadata.as_ref();
    let original = serde_json::to_string(spec).expect("a pod spec has no keys but strings");
    PodTemplate {
        labels: labels(metadata.and_then(|it| it.labels.as_ref())),
        annotations: labels(metadata.and_then(|it| it.annotations.as_ref())),
        spec: Shared::new(pod_spec(spec, Some(original.into()))),
    }
}

fn seconds(count: Option<i64>, default: u64) -> Span {
    Span::from_secs(count.map_or(default, |count| u64::try_from(count).unwrap_or(0)))
}

fn pod_spec(spec: &api::PodSpec, original: Option<Name>) -> PodSpec {
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_ref());
    let preferred = affinity.and_then(|it| it.preferred_during_scheduling_ignored_during_execution.as_ref());
    PodSpec {
        containers: spec.containers.iter().map(container).collect(),
        init_containers: spec.init_containers.iter().flatten().map(container).collect(),
        restart_policy: match spec.restart_policy.as_deref() {
            Some("OnFailure") => RestartPolicy::OnFailure,
            Some("Never") => RestartPolicy::Never,
            _ => RestartPolicy::Always,
        },
        termination_grace: seconds(spec.termination_grace_period_seconds, 30),
        node_selector: labels(spec.node_selector.as_ref()),
        required_node_affinity: required
            .map(|it| it.node_selector_terms.iter().map(term).collect())
            .unwrap_or_default(),
        preferred_node_affinity: preferred.into_iter().flatten().map(preferred_term).collect(),
        tolerations: spec.tolerations.iter().flatten().map(toleration).collect(),
        overhead: resources(spec.overhead.as_ref()),
        pod_requests: pod_requests(spec),
        priority: spec.priority.unwrap_or(0),
        priority_class: optional(spec.priority_class_name.as_ref()),
        given_priority: spec.priority,
        scheduler_name: spec.scheduler_name.as_deref().map_or_else(|| name("default-scheduler"), name),
        host_network: spec.host_network.unwrap_or(false),
        active_deadline: spec.active_deadline_seconds.map(|count| seconds(Some(count), 0)),
        readiness_gates: spec.readiness_gates.iter().flatten().map(|gate| name(&gate.condition_type)).collect(),
        references: super::references::of(spec),
        volumes: storage::pod_volumes(spec),
        account: optional(spec.service_account_name.as_ref()),
        automount: spec.automount_service_account_token,
        service_links: ServiceLinks(spec.enable_service_links.unwrap_or(true)),
        token: None,
        image_pull_secrets: config::pull_secrets(spec.image_pull_secrets.as_ref()),
        rules: super::placement::rules(spec, original.is_some()),
        original,
    }
}

/// What the pod as a whole asks for; what it only limits it asks for as well, unless a container asks for it. `None` if
/// it has no such requests.
///
/// Source: `PodRequests`, staging/src/k8s.io/component-helpers/resource/helpers.go, `defaultPodRequests`,
/// pkg/apis/core/v1/defaults.go (v1.34.1).
#[expect(clippy::box_collection, reason = "nearly every pod has none, and a spec holds only a pointer for it then")]
fn pod_requests(spec: &api::PodSpec) -> Option<Box<BTreeMap<ResourceName, i64>>> {
    let own = spec.resources.as_ref()?;
    let containers = || spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let asked = |key: &str| {
        let requests = containers().filter_map(|container| container.resources.as_ref()?.requests.as_ref());
        requests.into_iter().any(|requests| requests.contains_key(key))
    };
    let limits = own.limits.iter().flatten().filter(|(key, _)| !asked(key));
    let supported = |key: &str| matches!(key, "cpu" | "memory") || key.starts_with("hugepages-");
    let mut requests = BTreeMap::new();
    for (key, text) in limits.chain(own.requests.iter().flatten()).filter(|(key, _)| supported(key)) {
        let quantity: Quantity = text.0.parse().expect("quantities are checked while reading");
        let amount = if key == "cpu" { quantity.milli_value() } else { quantity.value() };
        requests.insert(ResourceName::named(key), amount);
    }
    (!requests.is_empty()).then(|| Box::new(requests))
}

fn preferred_term(it: &api::PreferredSchedulingTerm) -> PreferredNodeTerm {
    PreferredNodeTerm { weight: it.weight, requirements: term(&it.preference) }
}

pub(crate) fn term(term: &api::NodeSelectorTerm) -> Vec<SelectorRequirement> {
    let of_labels = term.match_expressions.iter().flatten();
    of_labels.map(|it| requirement(&it.key, &it.operator, it.values.as_deref().unwrap_or_default())).collect()
}

fn toleration(toleration: &api::Toleration) -> Toleration {
    Toleration {
        key: optional(toleration.key.as_ref()),
        operator: match toleration.operator.as_deref() {
            Some("Exists") => TolerationOperator::Exists,
            _ => TolerationOperator::Equal,
        },
        value: optional(toleration.value.as_ref()),
        effect: toleration.effect.as_deref().filter(|text| !text.is_empty()).map(effect),
        seconds: toleration.toleration_seconds,
    }
}

fn container(container: &api::Container) -> Container {
    let texts = |list: &Option<Vec<String>>| list.iter().flatten().map(|text| name(text)).collect();
    let limits_and_requests = container.resources.as_ref();
    Container {
        name: name(&container.name),
        image: optional(container.image.as_ref()),
        pull_policy: match container.image_pull_policy.as_deref() {
            Some("Always") => PullPolicy::Always,
            Some("Never") => PullPolicy::Never,
            _ => PullPolicy::IfNotPresent,
        },
        command: texts(&container.command),
        args: texts(&container.args),
        working_dir: container.working_dir.as_deref().map(name),
        env_from: config::env_from(container.env_from.as_ref()),
        mounts: config::mounts(container.volume_mounts.as_ref()),
        env: container.env.iter().flatten().map(env_var).collect(),
        ports: container.ports.iter().flatten().map(container_port).collect(),
        requests: resources(limits_and_requests.and_then(|it| it.requests.as_ref())),
        zero_requests: zero_requests(limits_and_requests.and_then(|it| it.requests.as_ref())),
        limits: resources(limits_and_requests.and_then(|it| it.limits.as_ref())),
        sidecar: container.restart_policy.as_deref() == Some("Always"),
        lifecycle: container.lifecycle.as_ref().and_then(lifecycle).map(Box::new),
        readiness_probe: container.readiness_probe.as_ref().map(probe),
        liveness_probe: container.liveness_probe.as_ref().map(probe),
        startup_probe: container.startup_probe.as_ref().map(probe),
    }
}

fn zero_requests(list: Option<&BTreeMap<String, QuantityText>>) -> ZeroRequests {
    let is_zero = |key: &str| {
        let text = list.and_then(|list| list.get(key));
        text.and_then(|text| text.0.parse::<Quantity>().ok()).is_some_and(|quantity| quantity.milli_value() == 0)
    };
    ZeroRequests { cpu: is_zero("cpu"), memory: is_zero("memory") }
}

fn env_var(variable: &api::EnvVar) -> EnvVar {
    let from = variable.value_from.as_ref().and_then(super::references::env_source);
    EnvVar { name: name(&variable.name), value: optional(variable.value.as_ref()), from: from.map(Box::new) }
}

fn lifecycle(lifecycle: &api::Lifecycle) -> Option<Lifecycle> {
    let hook = |handler: &Option<api::LifecycleHandler>| handler.as_ref().and_then(hook);
    let hooks = Lifecycle { post_start: hook(&lifecycle.post_start), pre_stop: hook(&lifecycle.pre_stop) };
    (hooks != Lifecycle::default()).then_some(hooks)
}

/// A hook; `tcpSocket` is kept for old objects only and does nothing, as in the kubelet.
fn hook(handler: &api::LifecycleHandler) -> Option<Hook> {
    if let Some(get) = &handler.http_get {
        let path = get.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
        return Some(Hook::HttpGet { path: name(path), port: int_or_name(&get.port) });
    }
    if let Some(sleep) = &handler.sleep {
        return Some(Hook::Sleep { length: seconds(Some(sleep.seconds), 0) });
    }
    let command = handler.exec.as_ref()?.command.as_ref();
    Some(Hook::Exec { command: command.into_iter().flatten().map(|text| name(text)).collect() })
}

fn port_number(number: i32) -> u16 {
    u16::try_from(number).expect("ports are checked by validation")
}

fn protocol(text: Option<&str>) -> Protocol {
    match text {
        Some("UDP") => Protocol::Udp,
        Some("SCTP") => Protocol::Sctp,
        _ => Protocol::Tcp,
    }
}

fn container_port(port: &api::ContainerPort) -> ContainerPort {
    ContainerPort {
        name: optional(port.name.as_ref()),
        port: port_number(port.container_port),
        host_port: port.host_port.filter(|number| *number != 0).map(port_number),
        host_ip: port.host_ip.as_deref().filter(|address| !address.is_empty()).map(name),
        protocol: protocol(port.protocol.as_deref()),
    }
}

fn int_or_name(port: &IntOrString) -> IntOrName {
    match port {
        IntOrString::Int(number) => IntOrName::Int(port_number(*number)),
        IntOrString::String(text) => IntOrName::Name(name(text)),
    }
}

fn probe(probe: &api::Probe) -> Probe {
    let count = |count: Option<i32>, default: u32| count.and_then(|count| u32::try_from(count).ok()).unwrap_or(default);
    Probe {
        action: probe_action(probe),
        initial_delay: Span::from_secs(count(probe.initial_delay_seconds, 0).into()),
        period: Span::from_secs(count(probe.period_seconds, 10).max(1).into()),
        timeout: Span::from_secs(count(probe.timeout_seconds, 1).max(1).into()),
        success_threshold: count(probe.success_threshold, 1).max(1),
        failure_threshold: count(probe.failure_threshold, 3).max(1),
        termination_grace: probe.termination_grace_period_seconds.map(|count| seconds(Some(count), 0)),
    }
}

fn probe_action(probe: &api::Probe) -> ProbeAction {
    if let Some(get) = &probe.http_get {
        let path = get.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
        ProbeAction::HttpGet { path: name(path), port: int_or_name(&get.port) }
    } else if let Some(socket) = &probe.tcp_socket {
        ProbeAction::TcpSocket { port: int_or_name(&socket.port) }
    } else if let Some(call) = &probe.grpc {
        ProbeAction::Grpc { port: port_number(call.port), service: optional(call.service.as_ref()) }
    } else {
        let command = probe.exec.as_ref().and_then(|exec| exec.command.as_ref());
        ProbeAction::Exec { command: command.into_iter().flatten().map(|text| name(text)).collect() }
    }
}

fn count(replicas: Option<i32>, default: u32) -> u32 {
    replicas.map_or(default, |replicas| u32::try_from(replicas).expect("negative numbers are refused by validation"))
}

fn min_ready(count: Option<i32>) -> Span {
    seconds(count.map(i64::from), 0)
}

fn replica_set(meta: Meta, object: &k8s_openapi::api::apps::v1::ReplicaSet) -> ReplicaSet {
    let spec = object.spec.as_ref().expect("a ReplicaSet without a spec is refused by validation");
    ReplicaSet {
        meta,
        replicas: count(spec.replicas, 1),
        min_ready: min_ready(spec.min_ready_seconds),
        selector: selector(&spec.selector),
        template: spec.template.as_ref().map(template).unwrap_or_default(),
        ..ReplicaSet::default()
    }
}

fn replication_controller(meta: Meta, object: &api::ReplicationController) -> ReplicationController {
    let spec = object.spec.as_ref().expect("a ReplicationController without a spec is refused by validation");
    ReplicationController {
        meta,
        replicas: count(spec.replicas, 1),
        min_ready: min_ready(spec.min_ready_seconds),
        selector: Selector::from_labels(labels(spec.selector.as_ref())),
        template: spec.template.as_ref().map(template).unwrap_or_default(),
        ..ReplicationController::default()
    }
}

fn deployment(meta: Meta, object: &k8s_openapi::api::apps::v1::Deployment) -> Deployment {
    let spec = object.spec.as_ref().expect("a Deployment without a spec is refused by validation");
    let rolling = spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    let share = |value: Option<&IntOrString>| value.map_or(IntOrPercent::Percent(25), int_or_percent);
    let strategy = match spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) {
        Some("Recreate") => DeploymentStrategy::Recreate,
        _ => DeploymentStrategy::RollingUpdate {
            max_surge: share(rolling.and_then(|rolling| rolling.max_surge.as_ref())),
            max_unavailable: share(rolling.and_then(|rolling| rolling.max_unavailable.as_ref())),
        },
    };
    // The API server's default is 600 s; the largest 32-bit number means "never".
    let deadline = spec.progress_deadline_seconds.unwrap_or(600);
    Deployment {
        meta,
        replicas: count(spec.replicas, 1),
        min_ready: min_ready(spec.min_ready_seconds),
        selector: selector(&spec.selector),
        template: template(&spec.template),
        strategy,
        paused: spec.paused.unwrap_or(false),
        revision_history_limit: count(spec.revision_history_limit, 10),
        progress_deadline: (deadline != i32::MAX).then(|| seconds(Some(deadline.into()), 600)),
        ..Deployment::default()
    }
}

fn int_or_percent(value: &IntOrString) -> IntOrPercent {
    match value {
        IntOrString::Int(number) => IntOrPercent::Int(u32::try_from(*number).unwrap_or(0)),
        IntOrString::String(text) => {
            let share = text.strip_suffix('%').and_then(|share| share.parse().ok());
            IntOrPercent::Percent(share.expect("shares are checked by validation"))
        }
    }
}

fn service(meta: Meta, object: &api::Service) -> Service {
    let Some(spec) = &object.spec else { return Service { meta, ..Service::default() } };
    let cluster_ip = spec.cluster_ip.as_deref().filter(|address| !address.is_empty());
    let affinity = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let has_affinity = spec.session_affinity.as_deref() == Some("ClientIP");
    Service {
        meta,
        selector: spec.selector.as_ref().filter(|pairs| !pairs.is_empty()).map(|pairs| labels(Some(pairs))),
        ports: spec.ports.iter().flatten().map(service_port).collect(),
        service_type: match spec.type_.as_deref() {
            Some("NodePort") => ServiceType::NodePort,
            Some("LoadBalancer") => ServiceType::LoadBalancer,
            Some("ExternalName") => ServiceType::ExternalName(optional(spec.external_name.as_ref())),
            _ => ServiceType::ClusterIp,
        },
        families: spec.ip_families.iter().flatten().map(|family| ip_family(family)).collect(),
        family_policy: spec.ip_family_policy.as_deref().map(|policy| match policy {
            "PreferDualStack" => IpFamilyPolicy::PreferDualStack,
            "RequireDualStack" => IpFamilyPolicy::RequireDualStack,
            _ => IpFamilyPolicy::SingleStack,
        }),
        external_traffic: spec.external_traffic_policy.as_deref().map(|policy| match policy {
            "Local" => ExternalTraffic::Local,
            _ => ExternalTraffic::Cluster,
        }),
        allocates_node_ports: spec.allocate_load_balancer_node_ports,
        health_check_node_port: spec.health_check_node_port.filter(|number| *number != 0).map(port_number),
        cluster_ip: cluster_ip.filter(|address| *address != "None").map(name),
        headless: cluster_ip == Some("None"),
        publish_not_ready: spec.publish_not_ready_addresses.unwrap_or(false),
        client_ip_affinity: has_affinity
            .then(|| seconds(affinity.and_then(|it| it.timeout_seconds).map(i64::from), 10_800)),
    }
}

fn ip_family(family: &str) -> IpFamily {
    if family == "IPv6" { IpFamily::V6 } else { IpFamily::V4 }
}

fn service_port(port: &api::ServicePort) -> ServicePort {
    let number = port_number(port.port);
    ServicePort {
        name: optional(port.name.as_ref()),
        protocol: protocol(port.protocol.as_deref()),
        port: number,
        target: port.target_port.as_ref().map_or(IntOrName::Int(number), int_or_name),
        node_port: port.node_port.filter(|number| *number != 0).map(port_number),
    }
}
