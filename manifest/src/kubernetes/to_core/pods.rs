//! Pods, their templates and containers.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as QuantityText;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use wavetank_core::digest::Shared;
use wavetank_core::id::Name;
use wavetank_core::model::{
    Container, ContainerPort, EnvVar, Hook, IntOrName, Lifecycle, Meta, Pod, PodLimits, PodOwn, PodSpec, PodTemplate,
    PreferredNodeTerm, Probe, ProbeAction, PullPolicy, ResourceName, RestartPolicy, ServiceLinks, Toleration,
    TolerationOperator, ZeroRequests,
};
use wavetank_core::quantity::Quantity;
use wavetank_core::time::Span;

use super::nodes::effect;
use super::resources;
use super::services::{port_number, protocol};
use crate::kubernetes::kept::kept_text;
use crate::kubernetes::parts::{labels, name, optional, term};
use crate::kubernetes::{config, placement, pod_security, references, storage};

pub(super) fn pod(meta: Meta, object: &api::Pod) -> Pod {
    let spec = object.spec.as_ref().expect("a pod without a spec is refused by validation");
    let node = spec.node_name.as_deref().filter(|node| !node.is_empty()).map(name);
    // The whole object is kept beside the meta; the spec needs no copy of its own.
    let own =
        PodOwn { node: None, hostname: optional(spec.hostname.as_ref()), subdomain: optional(spec.subdomain.as_ref()) };
    let own = (own != PodOwn::default()).then(|| Box::new(own));
    let annotations = object.metadata.annotations.as_ref();
    Pod { meta: meta.into(), spec: Shared::new(pod_spec(spec, annotations, None)), own, node, ..Pod::default() }
}

pub(super) fn template(template: &api::PodTemplateSpec) -> PodTemplate {
    let spec = template.spec.as_ref().expect("a template without a spec is refused by validation");
    let metadata = template.metadata.as_ref();
    let original = kept_text(serde_json::to_string(spec).expect("a pod spec has no keys but strings"));
    let annotations = metadata.and_then(|it| it.annotations.as_ref());
    PodTemplate {
        labels: labels(metadata.and_then(|it| it.labels.as_ref())),
        annotations: labels(annotations),
        spec: Shared::new(pod_spec(spec, annotations, Some(original.into()))),
    }
}

pub(super) fn seconds(count: Option<i64>, default: u64) -> Span {
    Span::from_secs(count.map_or(default, |count| u64::try_from(count).unwrap_or(0)))
}

fn pod_spec(spec: &api::PodSpec, annotations: Option<&BTreeMap<String, String>>, original: Option<Name>) -> PodSpec {
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
        pod_limits: pod_limits(spec),
        priority: spec.priority.unwrap_or(0),
        priority_class: optional(spec.priority_class_name.as_ref()),
        given_priority: spec.priority,
        scheduler_name: spec.scheduler_name.as_deref().map_or_else(|| name("default-scheduler"), name),
        host_network: spec.host_network.unwrap_or(false),
        active_deadline: spec.active_deadline_seconds.map(|count| seconds(Some(count), 0)),
        readiness_gates: spec.readiness_gates.iter().flatten().map(|gate| name(&gate.condition_type)).collect(),
        references: references::of(spec),
        volumes: storage::pod_volumes(spec),
        account: optional(spec.service_account_name.as_ref()),
        automount: spec.automount_service_account_token,
        service_links: ServiceLinks(spec.enable_service_links.unwrap_or(true)),
        token: None,
        image_pull_secrets: config::pull_secrets(spec.image_pull_secrets.as_ref()),
        rules: placement::rules(spec, original.is_some()),
        security: pod_security::of(spec, annotations),
        original,
    }
}

/// What the pod as a whole asks for; what it only limits it asks for as well, unless a container asks for it. `None` if
/// it has no such requests.
///
/// Source: `PodRequests`, staging/src/k8s.io/component-helpers/resource/helpers.go, `defaultPodRequests`,
/// pkg/apis/core/v1/defaults.go (v1.34.1).
#[expect(clippy::box_collection, reason = "nearly every pod has none, and a spec holds only a pointer for it then")]
pub(super) fn pod_requests(spec: &api::PodSpec) -> Option<Box<BTreeMap<ResourceName, i64>>> {
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

fn pod_limits(spec: &api::PodSpec) -> PodLimits {
    let limits = spec.resources.as_ref().and_then(|own| own.limits.as_ref()).filter(|limits| !limits.is_empty());
    PodLimits(limits.map(|limits| Box::new(resources(Some(limits)))))
}

pub(super) fn preferred_term(it: &api::PreferredSchedulingTerm) -> PreferredNodeTerm {
    PreferredNodeTerm { weight: it.weight, requirements: term(&it.preference) }
}

pub(super) fn toleration(toleration: &api::Toleration) -> Toleration {
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

pub(super) fn container(container: &api::Container) -> Container {
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

pub(super) fn zero_requests(list: Option<&BTreeMap<String, QuantityText>>) -> ZeroRequests {
    let is_zero = |key: &str| {
        let text = list.and_then(|list| list.get(key));
        text.and_then(|text| text.0.parse::<Quantity>().ok()).is_some_and(|quantity| quantity.milli_value() == 0)
    };
    ZeroRequests { cpu: is_zero("cpu"), memory: is_zero("memory") }
}

pub(super) fn env_var(variable: &api::EnvVar) -> EnvVar {
    let from = variable.value_from.as_ref().and_then(references::env_source);
    EnvVar { name: name(&variable.name), value: optional(variable.value.as_ref()), from: from.map(Box::new) }
}

pub(super) fn lifecycle(lifecycle: &api::Lifecycle) -> Option<Lifecycle> {
    let hook = |handler: &Option<api::LifecycleHandler>| handler.as_ref().and_then(hook);
    let hooks = Lifecycle { post_start: hook(&lifecycle.post_start), pre_stop: hook(&lifecycle.pre_stop) };
    (hooks != Lifecycle::default()).then_some(hooks)
}

/// A hook; `tcpSocket` is kept for old objects only and does nothing, as in the kubelet.
pub(super) fn hook(handler: &api::LifecycleHandler) -> Option<Hook> {
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

pub(super) fn container_port(port: &api::ContainerPort) -> ContainerPort {
    ContainerPort {
        name: optional(port.name.as_ref()),
        port: port_number(port.container_port),
        host_port: port.host_port.filter(|number| *number != 0).map(port_number),
        host_ip: port.host_ip.as_deref().filter(|address| !address.is_empty()).map(name),
        protocol: protocol(port.protocol.as_deref()),
    }
}

pub(super) fn int_or_name(port: &IntOrString) -> IntOrName {
    match port {
        IntOrString::Int(number) => IntOrName::Int(port_number(*number)),
        IntOrString::String(text) => IntOrName::Name(name(text)),
    }
}

pub(super) fn probe(probe: &api::Probe) -> Probe {
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

pub(super) fn probe_action(probe: &api::Probe) -> ProbeAction {
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
