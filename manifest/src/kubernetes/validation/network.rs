//! Checks of a pod's names, resolver and ports on the network.
//!
//! Source: `validatePodDNSConfig`, `ValidateHostAliases`, `validatePodHostNetworkDeps`, `validateHostUsers`,
//! `IsValidIPForLegacyField`, `ValidateEndpointIP`, pkg/apis/core/validation/validation.go (v1.34.1).

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{HostAlias, PodDNSConfig, PodSpec};

use super::names;
use super::report::{AsJson, At, Report};

const NAMESERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
const SEARCH_LETTERS_MAX: usize = 2_048;

/// Checks a pod's own resolver settings.
pub(super) fn dns(report: &mut Report, at: &At, config: Option<&PodDNSConfig>, policy: Option<&str>) {
    let nameservers = config.and_then(|config| config.nameservers.as_deref()).unwrap_or_default();
    if policy == Some("None") {
        if config.is_none() {
            return report.required(at, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        if nameservers.is_empty() {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return report.required(&at.child("nameservers"), detail);
        }
    }
    let Some(config) = config else { return };
    if nameservers.len() > NAMESERVERS_MAX {
        let detail = format!("must not have more than {NAMESERVERS_MAX} nameservers");
        report.invalid(&at.child("nameservers"), &AsJson(&nameservers), &detail);
    }
    for (index, address) in nameservers.iter().enumerate() {
        ip(report, &at.child("nameservers").index(index), address);
    }
    let (searches, searches_at) = (config.searches.as_deref().unwrap_or_default(), at.child("searches"));
    if searches.len() > SEARCHES_MAX {
        let detail = format!("must not have more than {SEARCHES_MAX} search paths");
        report.invalid(&searches_at, &AsJson(&searches), &detail);
    }
    if searches.join(" ").len() > SEARCH_LETTERS_MAX {
        let detail =
            format!("must not have more than {SEARCH_LETTERS_MAX} characters (including spaces) in the search list");
        report.invalid(&searches_at, &AsJson(&searches), &detail);
    }
    for (index, search) in searches.iter().enumerate().filter(|(_, search)| *search != ".") {
        let search = search.strip_suffix('.').unwrap_or(search);
        report.invalid_each(&searches_at.index(index), &search, names::dns_subdomain_with_underscore(search));
    }
    for (index, option) in config.options.iter().flatten().enumerate() {
        if option.name.as_deref().unwrap_or_default().is_empty() {
            report.required(&at.child("options").index(index), "must not be empty");
        }
    }
}

/// Checks the lines that a pod adds to its file of hosts.
pub(super) fn host_aliases(report: &mut Report, at: &At, aliases: &[HostAlias]) {
    for (index, alias) in aliases.iter().enumerate() {
        let at = at.index(index);
        ip(report, &at.child("ip"), &alias.ip);
        for (index, name) in alias.hostnames.iter().flatten().enumerate() {
            report.invalid_each(&at.child("hostnames").index(index), name, names::dns_subdomain(name));
        }
    }
}

/// On the host's network a port is the same inside and outside. Templates may leave the outer one to their pods.
pub(super) fn host_ports(report: &mut Report, at: &At, spec: &PodSpec, is_pod: bool) {
    for (index, container) in spec.containers.iter().enumerate().filter(|_| spec.host_network == Some(true)) {
        for (port_index, port) in container.ports.iter().flatten().enumerate() {
            let host_port = port.host_port.unwrap_or(0);
            if (is_pod || host_port != 0) && host_port != port.container_port {
                let at = at.child("containers").index(index).child("ports").index(port_index).child("hostPort");
                report.invalid(&at, &host_port, "must match `containerPort` when `hostNetwork` is true");
            }
        }
    }
}

/// What a pod with users of its own may not share with its host.
pub(super) fn host_users(report: &mut Report, at: &At, spec: &PodSpec) {
    if spec.host_users != Some(false) {
        return;
    }
    // The API server writes two of the fields with a capital letter here.
    let shared = [("hostNetwork", spec.host_network), ("HostPID", spec.host_pid), ("HostIPC", spec.host_ipc)];
    for (field, _) in shared.iter().filter(|(_, shared)| *shared == Some(true)) {
        report.forbidden(&at.child(field), "when `hostUsers` is false");
    }
    let init = spec.init_containers.as_deref().unwrap_or_default();
    for (list, containers) in [("initContainers", init), ("containers", &spec.containers)] {
        for (index, container) in containers.iter().enumerate() {
            if container.volume_devices.as_ref().is_some_and(|devices| !devices.is_empty()) {
                let at = at.child(list).index(index).child("volumeDevices");
                report.forbidden(&at, "when `hostUsers` is false");
            }
        }
    }
}

/// Checks an address in a field that has been there for long, where zeros may lead its parts.
pub(super) fn ip(report: &mut Report, at: &At, address: &str) {
    if parsed_ip(address).is_none() {
        report.invalid(at, &address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    }
}

/// Checks the range of a network in a field that has been there for long.
pub(super) fn cidr(report: &mut Report, at: &At, range: &str) {
    if !is_cidr(range) {
        report.invalid(at, &range, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
    }
}

/// Whether a text is the range of a network: an address and the length of its prefix in bits.
pub(super) fn is_cidr(range: &str) -> bool {
    range.split_once('/').is_some_and(|(address, length)| {
        let bits = parsed_ip(address).map_or(0, |ip| if ip.is_ipv4() { 32 } else { 128 });
        let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        parsed_ip(address).is_some() && digits && length.parse::<u32>().is_ok_and(|length| length <= bits)
    })
}

/// An address of four decimal parts or of the sixth version.
pub(super) fn parsed_ip(address: &str) -> Option<IpAddr> {
    let parts: Vec<&str> = address.split('.').collect();
    let is_part = |part: &&str| (1..=3).contains(&part.trim_start_matches('0').len().max(1));
    let is_sloppy = parts.len() == 4
        && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        && parts.iter().all(is_part);
    if is_sloppy {
        let plain = |part: &str| {
            part.trim_start_matches('0')
                .parse::<u8>()
                .or(if part.contains(['1', '2', '3', '4', '5', '6', '7', '8', '9']) { Err(()) } else { Ok(0) })
        };
        let numbers: Vec<u8> = parts.iter().map(|part| plain(part)).collect::<Result<_, _>>().ok()?;
        return Some(IpAddr::from([numbers[0], numbers[1], numbers[2], numbers[3]]));
    }
    address.parse().ok()
}

/// What is wrong with an address that can be read, in a field that is checked strictly; `None` if nothing is.
///
/// Source: `IsValidIP`, staging/src/k8s.io/apimachinery/pkg/util/validation/ip.go (v1.34.1).
pub(super) fn unstrict(ip: IpAddr, address: &str) -> Option<Vec<String>> {
    let mut faults = Vec::new();
    if address.parse::<IpAddr>().is_err() {
        faults.push("must not have leading 0s".to_owned());
    }
    if matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()) {
        faults.push("must not be an IPv4-mapped IPv6 address".to_owned());
    }
    if faults.is_empty() && ip.to_string() != address {
        faults.push(format!("must be in canonical form (\"{ip}\")"));
    }
    (!faults.is_empty()).then_some(faults)
}

/// Checks that an address can be one of an endpoint.
pub(super) fn endpoint(report: &mut Report, at: &At, address: &str) {
    let Some(ip) = parsed_ip(address) else { return report.invalid(at, &address, "must be a valid IP address") };
    if ip.is_unspecified() {
        report.invalid(at, &address, &format!("may not be unspecified ({address})"));
    }
    if ip.is_loopback() {
        report.invalid(at, &address, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    let (is_local, is_local_group) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local(), ip.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(ip) => (ip.segments()[0] & 0xffc0 == 0xfe80, ip.segments()[0] & 0xff0f == 0xff02),
    };
    if is_local {
        report.invalid(at, &address, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if is_local_group {
        report.invalid(at, &address, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}
