//! Checks of Services.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::json;

use super::names;
use super::report::{AsJson, AsWritten, At, Report};
use super::{metadata, probe};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
const FAMILY_POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];
const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// Longest time for which a client sticks to one endpoint: a day.
const AFFINITY_SECONDS_MAX: i64 = 86_400;

/// Checks a Service. Whether an address can be had, and which families the cluster has, is what the API server finds
/// out when it allocates.
pub(super) fn check(report: &mut Report, object: &Service) {
    metadata::check(report, &object.metadata, names::dns_1035_label);
    let empty = ServiceSpec::default();
    let (spec, at) = (object.spec.as_ref().unwrap_or(&empty), At::root("spec"));
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
    report.one_of(&at.child("type"), spec.type_.as_deref(), &TYPES);
    port_numbers(report, &at.child("ports"), kind, ports);
    if spec.allocate_load_balancer_node_ports.is_some() && kind != "LoadBalancer" {
        let detail = "may only be used when `type` is 'LoadBalancer'";
        report.forbidden(&at.child("allocateLoadBalancerNodePorts"), detail);
    }
    traffic_policies(report, &at, spec);
    if kind != "ExternalName" {
        addresses(report, &at, spec);
    }
    if spec.health_check_node_port.unwrap_or(0) != 0 {
        let local = kind == "LoadBalancer" && spec.external_traffic_policy.as_deref() == Some("Local");
        if !local {
            let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            report.invalid(&at.child("healthCheckNodePort"), &spec.health_check_node_port.unwrap_or(0), detail);
        }
    }
}

/// Addresses and families by themselves.
///
/// Source: `ValidateServiceClusterIPsRelatedFields`, pkg/apis/core/validation/validation.go (v1.34.1).
fn addresses(report: &mut Report, at: &At, spec: &ServiceSpec) {
    let single = spec.cluster_ip.iter().filter(|ip| !ip.is_empty()).cloned().collect::<Vec<_>>();
    let listed = spec.cluster_ips.clone().filter(|ips| !ips.is_empty());
    let ips_at = at.child("clusterIPs");
    match (single.first(), &listed) {
        (Some(one), Some(ips)) if ips[0] != *one => {
            report.invalid(&ips_at, &AsJson(&json!(ips)), "first value must match `clusterIP`");
        }
        (None, Some(ips)) => {
            report.invalid(&ips_at, &AsJson(&json!(ips)), "must be empty when `clusterIP` is not specified");
        }
        _ => {}
    }
    let mut seen = BTreeSet::new();
    for (index, family) in spec.ip_families.iter().flatten().enumerate() {
        let at = at.child("ipFamilies").index(index);
        if !FAMILIES.contains(&family.as_str()) {
            report.not_supported(&at, family, &FAMILIES);
        }
        if !seen.insert(family) {
            report.duplicate(&at, family, "");
        }
    }
    if let Some(policy) = spec.ip_family_policy.as_deref() {
        report.one_of(&at.child("ipFamilyPolicy"), Some(policy), &FAMILY_POLICIES);
    }
    let ips = listed.unwrap_or(single);
    for (index, ip) in ips.iter().enumerate() {
        if index == 0 && ip == "None" {
            if ips.len() > 1 {
                report.invalid(&ips_at, &AsJson(&json!(ips)), "'None' must be the first and only value");
            }
        } else if ip.parse::<IpAddr>().is_err() {
            report.invalid(&ips_at.index(index), ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        }
    }
    if ips.len() > 2 {
        report.invalid(&ips_at, &AsJson(&json!(ips)), "may only hold up to 2 values");
    }
    // No cluster here has a second family.
    let policy = spec.ip_family_policy.as_deref().unwrap_or("SingleStack");
    if ips.len() == 2 && policy == "SingleStack" {
        let detail = "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified";
        report.invalid(&at.child("ipFamilyPolicy"), &policy, detail);
    } else if ips.len() == 2 {
        report.invalid(&ips_at.index(1), &AsJson(&json!(ips)), "IPv6 is not configured on this cluster");
    }
}

fn is_headless(spec: &ServiceSpec) -> bool {
    spec.cluster_ip.as_deref() == Some("None") || spec.cluster_ips.as_deref().is_some_and(|ips| ips == ["None"])
}

fn external_name(report: &mut Report, at: &At, spec: &ServiceSpec) {
    if spec.cluster_ip.as_deref().is_some_and(|ip| !ip.is_empty()) {
        report.forbidden(&at.child("clusterIPs"), "may not be set for ExternalName services");
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
    let internal_at = at.child("internalTrafficPolicy");
    match spec.internal_traffic_policy.as_deref() {
        Some("Cluster" | "Local") => {}
        Some(other) => report.not_supported(&internal_at, &other, &["Cluster", "Local"]),
        None if kind == "ExternalName" => {}
        None => report.required(&internal_at, ""),
    }
}
