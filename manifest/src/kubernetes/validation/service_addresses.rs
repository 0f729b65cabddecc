//! Checks of Services' addresses and families of addresses.
//!
//! Source: `ValidateServiceClusterIPsRelatedFields`, pkg/apis/core/validation/validation.go; `initIPFamilyFields`,
//! pkg/registry/core/service/storage/alloc.go; `normalizeClusterIPs`, pkg/registry/core/service/storage/storage.go
//! (v1.34.1).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Service, ServiceSpec};

use super::network;
use super::report::{AsJson, At, Report};

const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
const FAMILY_POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];

/// The list of addresses, which is that of the one address if there is no other.
pub(super) fn listed(spec: &ServiceSpec) -> Vec<String> {
    match spec.cluster_ips.as_deref() {
        Some(ips) if !ips.is_empty() => ips.to_vec(),
        _ => spec.cluster_ip.iter().filter(|ip| !ip.is_empty()).cloned().collect(),
    }
}

/// Checks addresses and families by themselves, and against the one family that clusters have here.
pub(super) fn check(report: &mut Report, object: &Service) {
    let empty = ServiceSpec::default();
    let (spec, at) = (object.spec.as_ref().unwrap_or(&empty), At::root("spec"));
    if spec.type_.as_deref() == Some("ExternalName") {
        return;
    }
    let before = report.causes.len();
    let ips = listed(spec);
    let ips_at = at.child("clusterIPs");
    let one = spec.cluster_ip.as_deref().filter(|ip| !ip.is_empty());
    match (one, ips.first()) {
        (Some(one), Some(first)) if first != one => {
            report.invalid(&ips_at, &AsJson(&ips), "first value must match `clusterIP`");
        }
        (None, Some(_)) => report.invalid(&ips_at, &AsJson(&ips), "must be empty when `clusterIP` is not specified"),
        _ => {}
    }
    families(report, &at, spec);
    addresses(report, &at, spec, &ips);
    if report.causes.len() == before {
        against_cluster(report, &at, spec, &ips);
    }
}

fn families(report: &mut Report, at: &At, spec: &ServiceSpec) {
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
    if let Some(policy) = spec.ip_family_policy.as_deref().filter(|policy| !FAMILY_POLICIES.contains(policy)) {
        report.not_supported(&at.child("ipFamilyPolicy"), &policy, &FAMILY_POLICIES);
    }
}

fn addresses(report: &mut Report, at: &At, spec: &ServiceSpec, ips: &[String]) {
    let (ips_at, before) = (at.child("clusterIPs"), report.causes.len());
    for (index, ip) in ips.iter().enumerate() {
        if index > 0 || ip != "None" {
            network::ip(report, &ips_at.index(index), ip);
        } else if ips.len() > 1 {
            report.invalid(&ips_at, &AsJson(&ips), "'None' must be the first and only value");
        }
    }
    let has_bad = report.causes.len() > before;
    if ips.len() > 2 {
        report.invalid(&ips_at, &AsJson(&ips), "may only hold up to 2 values");
    }
    if has_bad || ips.first().is_some_and(|ip| ip == "None") {
        return;
    }
    let is_v6 = |ip: &String| network::parsed_ip(ip).is_some_and(|ip| ip.is_ipv6());
    let versions: BTreeSet<bool> = ips.iter().map(is_v6).collect();
    if ips.len() > 1 && versions.len() < 2 {
        report.invalid(&ips_at, &AsJson(&ips), "may specify no more than one IP for each IP family");
    }
    for (index, (ip, family)) in ips.iter().zip(spec.ip_families.iter().flatten()).enumerate() {
        if (family == "IPv6") != is_v6(ip) && FAMILIES.contains(&family.as_str()) {
            let detail = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
            report.invalid(&ips_at.index(index), ip, &detail);
        }
    }
}

/// No cluster here has a second family. What else there is to say of families, the API server says when it allocates.
fn against_cluster(report: &mut Report, at: &At, spec: &ServiceSpec, ips: &[String]) {
    let families = spec.ip_families.as_deref().unwrap_or_default();
    let policy = spec.ip_family_policy.as_deref().unwrap_or("SingleStack");
    if policy == "SingleStack" && ips.len() == 2 {
        let detail = "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified";
        report.invalid(&at.child("ipFamilyPolicy"), &policy, detail);
    }
    for (index, ip) in ips.iter().enumerate().skip(families.len()).filter(|(_, ip)| *ip != "None") {
        if network::parsed_ip(ip).is_some_and(|ip| ip.is_ipv6()) {
            report.invalid(
                &at.child("clusterIPs").index(index),
                &AsJson(&ips),
                "IPv6 is not configured on this cluster",
            );
        }
    }
}
