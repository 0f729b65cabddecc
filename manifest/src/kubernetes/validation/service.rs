//! Checks of Services.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::names;
use super::report::{AsWritten, At, Report};
use super::{metadata, network, probe, service_addresses};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";
const TOPOLOGY_HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// Longest time for which a client sticks to one endpoint: a day.
const AFFINITY_SECONDS_MAX: i64 = 86_400;

/// Checks a Service. Whether an address can be had, and which families the cluster has, is what the API server finds
/// out when it allocates.
///
/// Addresses and families come first and alone: the API server looks at them before it allocates, and allocates before
/// it validates.
pub(super) fn check(report: &mut Report, object: &Service) {
    let mut first = Report::default();
    service_addresses::check(&mut first, object);
    if !first.causes.is_empty() {
        return report.causes.append(&mut first.causes);
    }
    metadata::check(report, &object.metadata, names::dns_1035_label);
    whole(report, object);
}

/// What is checked of a Service on creation and on update.
///
/// Source: `validateService`, pkg/apis/core/validation/validation.go (v1.34.1).
pub(super) fn whole(report: &mut Report, object: &Service) {
    let empty = ServiceSpec::default();
    let (spec, at) = (object.spec.as_ref().unwrap_or(&empty), At::root("spec"));
    let annotation = |key: &str| object.metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
    if let (Some(mode), Some(hints)) = (annotation(TOPOLOGY_MODE), annotation(TOPOLOGY_HINTS))
        && mode != hints
    {
        let detail = format!("must match annotations[{TOPOLOGY_HINTS}] when both are specified");
        report.invalid(&At::root("metadata").child("annotations").key(TOPOLOGY_MODE), mode, &detail);
    }
    let kind = spec.type_.as_deref().unwrap_or("");
    let ports = spec.ports.as_deref().unwrap_or_default();
    if ports.is_empty() && !is_headless(spec) && kind != "ExternalName" {
        report.required(&at.child("ports"), "");
    }
    match kind {
        "LoadBalancer" | "NodePort" if is_headless(spec) => {
            let detail = format!("may not be set to 'None' for {kind} services");
            report.invalid(&at.child("clusterIPs").index(0), &"None", &detail);
        }
        "ExternalName" => external_name(report, &at, spec),
        _ => {}
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        service_port(report, &at.child("ports").index(index), port, ports.len() > 1, &mut seen);
    }
    metadata::labels(report, &at.child("selector"), spec.selector.as_ref());
    session_affinity(report, &at, spec);
    service_addresses::check(report, object);
    for (index, address) in spec.external_ips.iter().flatten().enumerate() {
        let at = at.child("externalIPs").index(index);
        match network::parsed_ip(address) {
            Some(_) => network::endpoint(report, &at, address),
            None => network::ip(report, &at, address),
        }
    }
    report.one_of(&at.child("type"), spec.type_.as_deref(), &TYPES);
    port_numbers(report, &at.child("ports"), kind, ports);
    load_balancer(report, &at, object, spec);
    traffic_policies(report, &at, spec);
    const DISTRIBUTIONS: [&str; 3] = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    if let Some(wish) = spec.traffic_distribution.as_deref().filter(|wish| !DISTRIBUTIONS.contains(wish)) {
        report.not_supported(&at.child("trafficDistribution"), &wish, &DISTRIBUTIONS);
    }
}

/// What only Services with a load balancer may have.
fn load_balancer(report: &mut Report, at: &At, object: &Service, spec: &ServiceSpec) {
    const ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
    let is_balanced = spec.type_.as_deref() == Some("LoadBalancer");
    let ranges = spec.load_balancer_source_ranges.as_deref().unwrap_or_default();
    let annotation = object.metadata.annotations.as_ref().and_then(|annotations| annotations.get(SOURCE_RANGES));
    if !ranges.is_empty() {
        // The API server writes the field with a capital letter here.
        let at = at.child("LoadBalancerSourceRanges");
        if !is_balanced {
            report.forbidden(&at, ONLY);
        }
        for (index, range) in ranges.iter().enumerate() {
            network::cidr(report, &at.index(index), range.trim());
        }
    } else if let Some(ranges) = annotation {
        let at = At::root("metadata").child("annotations").key(SOURCE_RANGES);
        if !is_balanced {
            report.forbidden(&at, ONLY);
        }
        for range in ranges.trim().split(',').filter(|_| !ranges.trim().is_empty()) {
            network::cidr(report, &at, range.trim());
        }
    }
    if spec.allocate_load_balancer_node_ports.is_some() && !is_balanced {
        report.forbidden(&at.child("allocateLoadBalancerNodePorts"), ONLY);
    }
    if let Some(class) = spec.load_balancer_class.as_deref() {
        let at = at.child("loadBalancerClass");
        if is_balanced {
            report.invalid_each(&at, &class, names::qualified_name(class));
        } else {
            report.forbidden(&at, ONLY);
        }
    }
}

pub(super) fn is_headless(spec: &ServiceSpec) -> bool {
    spec.cluster_ip.as_deref() == Some("None") || spec.cluster_ips.as_deref().is_some_and(|ips| ips == ["None"])
}

fn external_name(report: &mut Report, at: &At, spec: &ServiceSpec) {
    let set = [
        ("clusterIPs", !service_addresses::listed(spec).is_empty()),
        ("ipFamilies", spec.ip_families.as_ref().is_some_and(|families| !families.is_empty())),
        ("ipFamilyPolicy", spec.ip_family_policy.is_some()),
    ];
    for (field, _) in set.into_iter().filter(|(_, set)| *set) {
        report.forbidden(&at.child(field), "may not be set for ExternalName services");
    }
    let name = spec.external_name.as_deref().unwrap_or("");
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        report.required(&at.child("externalName"), "");
    } else {
        report.invalid_each(&at.child("externalName"), &name, names::dns_subdomain(name));
    }
}

fn service_port<'a>(
    report: &mut Report,
    at: &At,
    port: &'a ServicePort,
    needs_name: bool,
    seen: &mut BTreeSet<&'a str>,
) {
    match port.name.as_deref().unwrap_or("") {
        "" if needs_name => report.required(&at.child("name"), ""),
        "" => {}
        name => {
            report.invalid_each(&at.child("name"), &name, names::dns_label(name));
            if !seen.insert(name) {
                report.duplicate(&at.child("name"), &name, "");
            }
        }
    }
    report.invalid_each(&at.child("port"), &port.port, names::port_number(port.port));
    report.one_of(&at.child("protocol"), port.protocol.as_deref(), &PROTOCOLS);
    let target = port.target_port.as_ref().unwrap_or(&IntOrString::Int(0));
    probe::port(report, &at.child("targetPort"), target);
    if let Some(protocol) = port.app_protocol.as_deref() {
        report.invalid_each(&at.child("appProtocol"), &protocol, names::qualified_name(protocol));
    }
}

fn session_affinity(report: &mut Report, at: &At, spec: &ServiceSpec) {
    report.one_of(&at.child("sessionAffinity"), spec.session_affinity.as_deref(), &["ClientIP", "None"]);
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return;
    }
    let at = at.child("sessionAffinityConfig").child("clientIP").child("timeoutSeconds");
    let config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    match config.and_then(|client| client.timeout_seconds) {
        None => report.required(&at, "when session affinity type is ClientIP"),
        Some(seconds) if (1..=AFFINITY_SECONDS_MAX).contains(&i64::from(seconds)) => {}
        Some(seconds) => {
            let detail = format!("must be greater than 0 and less than {AFFINITY_SECONDS_MAX}");
            report.invalid(&at, &seconds, &detail);
        }
    }
}

/// Node ports must be allowed, and both kinds of ports unique per protocol.
fn port_numbers(report: &mut Report, at: &At, kind: &str, ports: &[ServicePort]) {
    let node_port = |port: &ServicePort| port.node_port.filter(|&number| number != 0);
    if kind == "ClusterIP" {
        for (index, _) in ports.iter().enumerate().filter(|(_, port)| node_port(port).is_some()) {
            let detail = "may not be used when `type` is 'ClusterIP'";
            report.forbidden(&at.index(index).child("nodePort"), detail);
        }
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        if let Some(number) = node_port(port)
            && !seen.insert((&port.protocol, number))
        {
            report.duplicate(&at.index(index).child("nodePort"), &number, "");
        }
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        if !seen.insert((&port.protocol, port.port)) {
            // The API server shows its internal type with only these fields set, in the order of that type.
            let protocol = port.protocol.as_deref().unwrap_or("");
            let shown = format!(
                r#"{{"Name":"","Protocol":{protocol:?},"AppProtocol":null,"Port":{},"TargetPort":0,"NodePort":0}}"#,
                port.port
            );
            report.duplicate(&at.index(index), &AsWritten(&shown), "");
        }
    }
}

fn traffic_policies(report: &mut Report, at: &At, spec: &ServiceSpec) {
    let kind = spec.type_.as_deref().unwrap_or("");
    let has_external_ips = spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty());
    let external = matches!(kind, "NodePort" | "LoadBalancer") || kind == "ClusterIP" && has_external_ips;
    let policy = spec.external_traffic_policy.as_deref().unwrap_or("");
    let external_at = at.child("externalTrafficPolicy");
    if external {
        report.one_of(&external_at, Some(policy), &["Cluster", "Local"]);
    } else if !policy.is_empty() {
        report.invalid(&external_at, &policy, "may only be set for externally-accessible services");
    }
    let health = spec.health_check_node_port.unwrap_or(0);
    let needs_health = kind == "LoadBalancer" && policy == "Local";
    if health != 0 && !needs_health {
        let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        report.invalid(&at.child("healthCheckNodePort"), &health, detail);
    }
    let internal_at = at.child("internalTrafficPolicy");
    match spec.internal_traffic_policy.as_deref() {
        Some("Cluster" | "Local") => {}
        Some(other) => report.not_supported(&internal_at, &other, &["Cluster", "Local"]),
        None if ["ClusterIP", "LoadBalancer", "NodePort"].contains(&kind) => report.required(&internal_at, ""),
        None => {}
    }
}
