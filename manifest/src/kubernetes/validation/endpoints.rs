//! Checks of Endpoints.
//!
//! Source: `ValidateEndpoints`, pkg/apis/core/validation/validation.go (v1.34.1).

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, Endpoints};

use super::cluster::PROTOCOLS;
use super::report::{At, Report};
use super::{metadata, names, network};

/// Checks new Endpoints.
pub(super) fn check(report: &mut Report, object: &Endpoints) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    subsets(report, object);
}

/// Checks changed Endpoints. Subsets that stay are not looked at again.
pub(super) fn update(report: &mut Report, new: &Endpoints, old: &Endpoints) {
    metadata::check(report, &new.metadata, names::dns_subdomain);
    let subsets_of = |object: &Endpoints| object.subsets.clone().unwrap_or_default();
    if subsets_of(new) != subsets_of(old) {
        subsets(report, new);
    }
}

fn subsets(report: &mut Report, object: &Endpoints) {
    let at = At::root("subsets");
    for (index, subset) in object.subsets.iter().flatten().enumerate() {
        let at = at.index(index);
        let lists = [("addresses", &subset.addresses), ("notReadyAddresses", &subset.not_ready_addresses)];
        if lists.iter().all(|(_, list)| list.as_ref().is_none_or(Vec::is_empty)) {
            report.required(&at, "must specify `addresses` or `notReadyAddresses`");
        }
        for (field, list) in lists {
            for (index, one) in list.iter().flatten().enumerate() {
                address(report, &at.child(field).index(index), one);
            }
        }
        let ports = subset.ports.as_deref().unwrap_or_default();
        for (index, one) in ports.iter().enumerate() {
            port(report, &at.child("ports").index(index), one, ports.len() > 1);
        }
    }
}

fn address(report: &mut Report, at: &At, address: &EndpointAddress) {
    network::ip(report, &at.child("ip"), &address.ip);
    if let Some(hostname) = address.hostname.as_ref().filter(|hostname| !hostname.is_empty()) {
        report.invalid_each(&at.child("hostname"), hostname, names::dns_label(hostname));
    }
    if let Some(node) = &address.node_name {
        report.invalid_each(&at.child("nodeName"), node, names::dns_subdomain(node));
    }
    network::endpoint(report, &at.child("ip"), &address.ip);
}

fn port(report: &mut Report, at: &At, port: &EndpointPort, requires_name: bool) {
    let name = port.name.as_deref().unwrap_or_default();
    match (name.is_empty(), requires_name) {
        (true, true) => report.required(&at.child("name"), ""),
        (true, false) => {}
        (false, _) => report.invalid_each(&at.child("name"), &name, names::dns_label(name)),
    }
    report.invalid_each(&at.child("port"), &port.port, names::port_number(port.port));
    match port.protocol.as_deref().unwrap_or_default() {
        "" => report.required(&at.child("protocol"), ""),
        known if PROTOCOLS.contains(&known) => {}
        other => report.not_supported(&at.child("protocol"), &other, &PROTOCOLS),
    }
    if let Some(protocol) = &port.app_protocol {
        report.invalid_each(&at.child("appProtocol"), protocol, names::qualified_name(protocol));
    }
}

#[cfg(test)]
mod tests {
    use crate::kubernetes::read_admitted;

    #[track_caller]
    fn check(subsets: &str, expected: &[&str]) {
        let text = format!("{{apiVersion: v1, kind: Endpoints, metadata: {{name: db}}, subsets: {subsets}}}");
        let said = match read_admitted("db.yaml", &text) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.0.iter().map(|error| format!("{}: {}", error.path, error.message)).collect(),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn addresses_and_ports_are_checked_and_protocols_filled_in() {
        check("[{addresses: [{ip: 10.1.2.3, hostname: a, nodeName: n1}], ports: [{port: 80}]}]", &[]);
        check("[{notReadyAddresses: [{ip: 10.1.2.3}], ports: [{port: 80, name: a}, {port: 81, name: b}]}]", &[]);
        check(
            "[{ports: [{port: 80}]}]",
            &["subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"],
        );
        check(
            "[{addresses: [{ip: nowhere}, {ip: 127.0.0.1, hostname: A_B}]}]",
            &[
                "subsets[0].addresses[0].ip: Invalid value: \"nowhere\": must be a valid IP address, (e.g. 10.9.8.7 or \
                 2001:db8::ffff)",
                "subsets[0].addresses[0].ip: Invalid value: \"nowhere\": must be a valid IP address",
                "subsets[0].addresses[1].ip: Invalid value: \"127.0.0.1\": may not be in the loopback range \
                 (127.0.0.0/8, ::1/128)",
                "subsets[0].addresses[1].hostname: Invalid value: \"A_B\": a lowercase RFC 1123 label must consist of \
                 lower case alphanumeric characters or '-', and must start and end with an alphanumeric character \
                 (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            ],
        );
        check(
            "[{addresses: [{ip: 10.1.2.3}], ports: [{port: 0, name: a}, {port: 80, protocol: ICMP}]}]",
            &[
                "subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "subsets[0].ports[1].name: Required value",
                "subsets[0].ports[1].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \
                 \"UDP\"",
            ],
        );
    }
}
