//! What the API server refuses of written addresses: those of pods and their nodes, and those of load balancers. An
//! address that was there before stays, be it well-formed or not.
//!
//! Source: `validatePodIPs`, `validateHostIPs`, `ValidateLoadBalancerStatus`, pkg/apis/core/validation/validation.go
//! (v1.34.1).

use serde_json::{Value, json};

use super::report::{AsJson, At, Report};
use super::{names, network};

fn of_list(status: &Value, list: &str) -> Vec<String> {
    let items = status[list].as_array().into_iter().flatten();
    items.map(|item| item["ip"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Checks `podIPs` and `hostIPs`. A `podIP` alone is the first of `podIPs`, and where both are given and differ it
/// takes the list's place.
pub(super) fn of_pod(report: &mut Report, status: &Value, before: &Value) {
    let at = At::root("status");
    let alone = status["podIP"].as_str().filter(|text| !text.is_empty());
    let mut pod_ips = of_list(status, "podIPs");
    if let Some(alone) = alone.filter(|alone| pod_ips.first().is_none_or(|first| first != alone)) {
        pod_ips = vec![alone.to_owned()];
    }
    listed(report, &at.child("podIPs"), &pod_ips, &of_list(before, "podIPs"));
    let host_ips = of_list(status, "hostIPs");
    let host_ip = status["hostIP"].as_str().unwrap_or_default();
    let at = at.child("hostIPs");
    if let Some(first) = host_ips.first().filter(|first| *first != host_ip) {
        report.invalid(&at.index(0).child("ip"), first, "must be equal to `hostIP`");
    }
    listed(report, &at, &host_ips, &of_list(before, "hostIPs"));
}

fn listed(report: &mut Report, at: &At, ips: &[String], before: &[String]) {
    for (index, ip) in ips.iter().enumerate().filter(|(_, ip)| !before.contains(ip)) {
        network::ip(report, &at.index(index), ip);
    }
    if ips.len() < 2 {
        return;
    }
    let families: Vec<bool> = ips.iter().filter_map(|ip| Some(network::parsed_ip(ip)?.is_ipv6())).collect();
    if let Some(bad) = ips.iter().position(|ip| network::parsed_ip(ip).is_none()) {
        report.internal(at, &format!("failed to check for dual stack with error:invalid IP[{bad}]: <nil>"));
    }
    let is_dual = families.len() == ips.len() && families.contains(&true) && families.contains(&false);
    if !is_dual || ips.len() > 2 {
        let shown: Vec<Value> = ips.iter().map(|ip| json!({"IP": ip})).collect();
        report.invalid(at, &AsJson(&shown), "may specify no more than one IP for each IP family");
    }
}

/// Checks the status of a Service's load balancer.
pub(super) fn of_load_balancer(report: &mut Report, new: &Value, old: &Value) {
    let at = At::root("status").child("loadBalancer").child("ingress");
    let entries =
        |service: &Value| service["status"]["loadBalancer"]["ingress"].as_array().cloned().unwrap_or_default();
    let ingress = entries(new);
    if !ingress.is_empty() && old["spec"]["type"] != "LoadBalancer" {
        return report.forbidden(&at, "may only be used when `spec.type` is 'LoadBalancer'");
    }
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let before: Vec<String> = entries(old).iter().map(|entry| text(entry, "ip")).collect();
    for (index, entry) in ingress.iter().enumerate() {
        let at = at.index(index);
        let (ip, hostname) = (text(entry, "ip"), text(entry, "hostname"));
        if !ip.is_empty() && !before.contains(&ip) {
            network::ip(report, &at.child("ip"), &ip);
        }
        // An address without a mode gets the default one before it is looked at.
        if let Some(mode) = entry["ipMode"].as_str() {
            if ip.is_empty() {
                report.forbidden(&at.child("ipMode"), "may not be specified when `ip` is not set");
            } else if !["VIP", "Proxy"].contains(&mode) {
                report.not_supported(&at.child("ipMode"), &mode, &["Proxy", "VIP"]);
            }
        }
        if !hostname.is_empty() {
            let at = at.child("hostname");
            report.invalid_each(&at, &hostname, names::dns_subdomain(&hostname));
            if network::parsed_ip(&hostname).is_some() {
                report.invalid(&at, &hostname, "must be a DNS name, not an IP address");
            }
        }
    }
}
