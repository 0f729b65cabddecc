//! What may not change of a Service.

use k8s_openapi::api::core::v1::{Service, ServiceSpec};

use super::report::{AsJson, At, Report};
use super::update::IMMUTABLE;
use super::{service, service_addresses};

/// Source: `ValidateServiceUpdate`, with what `patchAllocatedValues` and `normalizeClusterIPs` (storage.go) do before.
pub(super) fn check(report: &mut Report, new: &Service, old: &Service) {
    let mut new = new.clone();
    let (was, is_alias) =
        (old.spec.clone().unwrap_or_default(), |spec: &ServiceSpec| spec.type_.as_deref() == Some("ExternalName"));
    let spec = new.spec.get_or_insert_default();
    if !is_alias(spec) && !is_alias(&was) && spec.cluster_ip.as_deref().unwrap_or_default().is_empty() {
        spec.cluster_ip.clone_from(&was.cluster_ip);
        if spec.cluster_ips.as_ref().is_none_or(Vec::is_empty) {
            spec.cluster_ips.clone_from(&was.cluster_ips);
        }
    }
    let mut first = Report::default();
    service_addresses::check(&mut first, &new);
    if !first.causes.is_empty() {
        report.causes = first.causes;
        return;
    }
    let (spec, at) = (new.spec.clone().unwrap_or_default(), At::root("spec"));
    let (ips, before) = (service_addresses::listed(&spec), service_addresses::listed(&was));
    if !(is_alias(&spec) || is_alias(&was) || service::is_headless(&spec) && service::is_headless(&was)) {
        if let (Some(first), Some(stored)) = (ips.first(), before.first())
            && first != stored
        {
            report.invalid(&at.child("clusterIPs").index(0), &AsJson(&ips), "may not change once set");
        }
        let both = service::is_headless(&spec) == service::is_headless(&was);
        let families = (spec.ip_families.as_deref(), was.ip_families.as_deref());
        if let (true, (Some([first, ..]), Some([stored, ..]))) = (both, families)
            && first != stored
        {
            report.invalid(&at.child("ipFamilies").index(0), &AsJson(&spec.ip_families), "may not change once set");
        }
    }
    let balanced = |spec: &ServiceSpec| spec.type_.as_deref() == Some("LoadBalancer");
    if balanced(&spec) && balanced(&was) && spec.load_balancer_class != was.load_balancer_class {
        let detail = "may not change once set";
        report.invalid(&at.child("loadBalancerClass"), &AsJson(&spec.load_balancer_class), detail);
    }
    let checked = |spec: &ServiceSpec| balanced(spec) && spec.external_traffic_policy.as_deref() == Some("Local");
    let (port, stored) = (spec.health_check_node_port.unwrap_or(0), was.health_check_node_port.unwrap_or(0));
    if checked(&spec) && checked(&was) && port != 0 && port != stored {
        report.forbidden(&at.child("healthCheckNodePort"), IMMUTABLE);
    }
    service::whole(report, &new);
}
