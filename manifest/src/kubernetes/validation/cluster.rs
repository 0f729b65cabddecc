//! Checks of what a cluster's own components write: EndpointSlices, Leases, ControllerRevisions, and of Namespaces.
//!
//! Source: pkg/apis/discovery/validation/validation.go, pkg/apis/coordination/validation/validation.go,
//! `ValidateControllerRevisionCreate`, pkg/apis/apps/validation/validation.go, `ValidateNamespace`,
//! pkg/apis/core/validation/validation.go (v1.34.1).

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointHints, EndpointPort, EndpointSlice};

use super::report::{At, Report};
use super::{metadata, names, network};

const ENDPOINTS_MAX: usize = 1_000;
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 20_000;
const HINTS_MAX: usize = 8;
/// The protocols of ports.
pub(super) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// Checks a Namespace.
pub(super) fn namespace(report: &mut Report, object: &Namespace) {
    metadata::check(report, &object.metadata, names::dns_label);
    for finalizer in object.spec.iter().flat_map(|spec| spec.finalizers.iter().flatten()) {
        let at = At::root("spec").child("finalizers");
        report.invalid_each(&at, finalizer, names::qualified_name(finalizer));
        metadata::known_finalizer(report, &at, finalizer);
    }
}

/// Checks an EndpointSlice.
pub(super) fn slice(report: &mut Report, object: &EndpointSlice) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    report.one_of(&At::root("addressType"), Some(&object.address_type), &["FQDN", "IPv4", "IPv6"]);
    ports(report, &At::root("ports"), object.ports.as_deref().unwrap_or_default());
    let at = At::root("endpoints");
    if object.endpoints.len() > ENDPOINTS_MAX {
        return report.too_many(&at, object.endpoints.len(), ENDPOINTS_MAX);
    }
    for (index, one) in object.endpoints.iter().enumerate() {
        endpoint(report, &at.index(index), one, &object.address_type);
    }
}

fn endpoint(report: &mut Report, at: &At, endpoint: &Endpoint, kind: &str) {
    let addresses_at = at.child("addresses");
    match endpoint.addresses.len() {
        0 => report.required(&addresses_at, "must contain at least 1 address"),
        count if count > ADDRESSES_MAX => report.too_many(&addresses_at, count, ADDRESSES_MAX),
        _ => {}
    }
    for (index, address) in endpoint.addresses.iter().enumerate() {
        let at = addresses_at.index(index);
        match (kind, network::parsed_ip(address)) {
            // Addresses of the sixth version are read strictly; a slice of those has no older rules to keep.
            ("IPv6", Some(ip)) if network::unstrict(ip, address).is_some() => {
                report.invalid_each(&at, address, network::unstrict(ip, address).unwrap_or_default());
            }
            ("IPv4" | "IPv6", None) => network::ip(report, &at, address),
            ("IPv4" | "IPv6", Some(ip)) => {
                if ip.is_ipv6() != (kind == "IPv6") {
                    report.invalid(&addresses_at, address, &format!("must be an {kind} address"));
                }
                network::endpoint(report, &at, address);
            }
            ("FQDN", _) if address.is_empty() => report.required(&at, ""),
            ("FQDN", _) => {
                let shown = address.strip_suffix('.').unwrap_or(address);
                report.invalid_each(&at, &shown, names::domain_name(address));
            }
            _ => {}
        }
    }
    if let Some(node) = &endpoint.node_name {
        report.invalid_each(&at.child("nodeName"), node, names::dns_subdomain(node));
    }
    if let Some(name) = &endpoint.hostname {
        report.invalid_each(&at.child("hostname"), name, names::dns_label(name));
    }
    endpoint.hints.iter().for_each(|it| hints(report, &at.child("hints"), it));
}

fn hints(report: &mut Report, at: &At, hints: &EndpointHints) {
    let zones: Vec<&String> = hints.for_zones.iter().flatten().map(|zone| &zone.name).collect();
    let nodes: Vec<&String> = hints.for_nodes.iter().flatten().map(|node| &node.name).collect();
    let lists: [(&str, Vec<&String>, names::Check); 2] =
        [("forZones", zones, names::label_value), ("forNodes", nodes, names::dns_subdomain)];
    for (field, list, check) in lists {
        if list.len() > HINTS_MAX {
            return report.too_many(&at.child(field), list.len(), HINTS_MAX);
        }
        let mut seen = BTreeSet::new();
        for (index, name) in list.into_iter().enumerate() {
            let at = at.child(field).index(index).child("name");
            if !seen.insert(name) {
                report.duplicate(&at, name, "");
            }
            report.invalid_each(&at, name, check(name));
        }
    }
}

fn ports(report: &mut Report, at: &At, ports: &[EndpointPort]) {
    if ports.len() > PORTS_MAX {
        return report.too_many(at, ports.len(), PORTS_MAX);
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let (at, name) = (at.index(index), port.name.as_deref().unwrap_or_default());
        if !name.is_empty() {
            report.invalid_each(&at.child("name"), &name, names::dns_label(name));
        }
        if !seen.insert(name) {
            report.duplicate(&at.child("name"), &name, "");
        }
        match port.protocol.as_deref() {
            None => report.required(&at.child("protocol"), ""),
            Some(known) if PROTOCOLS.contains(&known) => {}
            Some(other) => report.not_supported(&at.child("protocol"), &other, &PROTOCOLS),
        }
        if let Some(protocol) = &port.app_protocol {
            report.invalid_each(&at.child("appProtocol"), protocol, names::qualified_name(protocol));
        }
    }
}

/// Checks a Lease.
pub(super) fn lease(report: &mut Report, object: &Lease) {
    metadata::check_plain(report, &object.metadata, names::dns_subdomain);
    let Some(spec) = &object.spec else { return };
    let at = At::root("spec");
    if let Some(seconds) = spec.lease_duration_seconds.filter(|seconds| *seconds <= 0) {
        report.invalid(&at.child("leaseDurationSeconds"), &seconds, "must be greater than 0");
    }
    if let Some(count) = spec.lease_transitions.filter(|count| *count < 0) {
        report.invalid(&at.child("leaseTransitions"), &count, "must be greater than or equal to 0");
    }
    let strategy = spec.strategy.as_deref();
    if let Some(strategy) = strategy {
        // The API server names the field twice here.
        let at = at.child("strategy").child("strategy");
        if strategy.contains('/') {
            report.invalid_each(&at, &strategy, names::qualified_name(strategy));
        } else if strategy != "OldestEmulationVersion" {
            report.not_supported(&at, &strategy, &["OldestEmulationVersion"]);
        }
    }
    let prefers = spec.preferred_holder.as_deref().is_some_and(|holder| !holder.is_empty());
    if prefers && strategy.is_none_or(str::is_empty) {
        report.forbidden(&at.child("preferredHolder"), "may only be specified if `strategy` is defined");
    }
}

/// Checks a new ControllerRevision.
pub(super) fn new_revision(report: &mut Report, object: &ControllerRevision) {
    revision(report, object);
    match &object.data {
        Some(data) if data.0.is_object() => {}
        Some(data) if !data.0.is_null() => report.required(&At::root("data"), "data must be a valid JSON object"),
        _ => report.required(&At::root("data"), "data is mandatory"),
    }
}

/// What is checked of a ControllerRevision on creation and on update.
pub(super) fn revision(report: &mut Report, object: &ControllerRevision) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    report.not_negative(&At::root("revision"), object.revision);
}
