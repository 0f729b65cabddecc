//! Checks of pods, their specs and their templates, in the API server's order.
//!
//! Source: `ValidatePodCreate`, `ValidatePodSpec`, `ValidatePodTemplateSpec`, pkg/apis/core/validation/validation.go
//! (v1.34.1). `hostnameOverride` is behind a gate that is off: the API server drops it before it validates.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Pod, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

use super::container::OfPod;
use super::names;
use super::report::{AsJson, At, Report};
use super::{annotations, container, metadata, network, resources, scheduling, security, volumes, windows};

const RESTART_POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
const DNS_POLICIES: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];

/// Checks a pod: its metadata, its spec, and what only pods may not have.
pub(super) fn pod(report: &mut Report, object: &Pod) {
    whole(report, object);
    let at = At::root("spec");
    let Some(spec) = &object.spec else { return };
    if spec.ephemeral_containers.as_ref().is_some_and(|containers| !containers.is_empty()) {
        report.forbidden(&at.child("ephemeralContainers"), "cannot be set on create");
    }
    let is_bound = spec.node_name.as_deref().is_some_and(|name| !name.is_empty());
    if is_bound && spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()) {
        report.forbidden(&at.child("nodeName"), "cannot be set until all schedulingGates have been cleared");
    }
    annotations::match_fields(report, &at, &object.metadata, spec);
}

/// What is checked of a pod on creation and on update.
pub(super) fn whole(report: &mut Report, object: &Pod) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let empty = PodSpec::default();
    let (spec, at) = (object.spec.as_ref().unwrap_or(&empty), At::root("spec"));
    annotations::of_pod(report, &At::root("metadata").child("annotations"), &object.metadata, spec);
    self::spec(report, &at, Some(spec), Some(&object.metadata));
    let has_account = spec.service_account_name.as_deref().is_some_and(|name| !name.is_empty());
    for (index, volume) in spec.volumes.iter().flatten().enumerate().filter(|_| !has_account) {
        let at = at.child("volumes").index(index).child("projected").child("sources");
        let sources = volume.projected.iter().flat_map(|source| source.sources.iter().flatten());
        for (index, _) in sources.enumerate().filter(|(_, source)| source.service_account_token.is_some()) {
            let detail = "must not be specified when serviceAccountName is not set";
            report.forbidden(&at.index(index).child("serviceAccountToken"), detail);
        }
    }
    container::images_without_spaces(report, &at.child("containers"), &spec.containers);
    let init = spec.init_containers.as_deref().unwrap_or_default();
    container::images_without_spaces(report, &at.child("initContainers"), init);
}

/// Checks a pod template: labels, annotations, spec.
pub(super) fn template(report: &mut Report, at: &At, template: &PodTemplateSpec) {
    // The API server names the template's labels without `metadata` here, and with it elsewhere.
    let (empty, no_spec) = (ObjectMeta::default(), PodSpec::default());
    let meta = template.metadata.as_ref().unwrap_or(&empty);
    let spec = template.spec.as_ref().unwrap_or(&no_spec);
    metadata::labels(report, &at.child("labels"), meta.labels.as_ref());
    metadata::annotations(report, &at.child("annotations"), meta.annotations.as_ref());
    annotations::of_pod(report, &at.child("annotations"), meta, spec);
    self::spec(report, &at.child("spec"), Some(spec), None);
    annotations::match_fields(report, &at.child("spec"), meta, spec);
    if spec.ephemeral_containers.as_ref().is_some_and(|containers| !containers.is_empty()) {
        let detail = "ephemeral containers not allowed in pod template";
        report.forbidden(&at.child("spec").child("ephemeralContainers"), detail);
    }
}

/// Checks a pod's spec; `pod` is the metadata of a pod that is not a template. A missing spec is an empty one, which
/// has no containers.
pub(super) fn spec(report: &mut Report, at: &At, spec: Option<&PodSpec>, pod: Option<&ObjectMeta>) {
    let empty = PodSpec::default();
    let spec = spec.unwrap_or(&empty);
    if spec.termination_grace_period_seconds.is_none() {
        report.required(&at.child("terminationGracePeriodSeconds"), "");
    }
    let volumes = volumes::all(report, &at.child("volumes"), spec, pod);
    let of_pod = OfPod {
        volumes,
        claims: claims(report, &at.child("resourceClaims"), spec),
        // A pod's is a second where it is negative; a template's stays.
        grace: spec.termination_grace_period_seconds.map(|grace| if pod.is_some() && grace < 0 { 1 } else { grace }),
        restart_policy: spec.restart_policy.as_deref().unwrap_or_default(),
        host_users: spec.host_users.unwrap_or(true),
    };
    container::regular(report, &at.child("containers"), &spec.containers, &of_pod);
    container::init(report, &at.child("initContainers"), spec, &of_pod);
    container::ephemeral(report, &at.child("ephemeralContainers"), spec, &of_pod);
    resources::check_pod(report, &at.child("resources"), spec);
    network::host_ports(report, at, spec, pod.is_some());
    report.one_of(&at.child("restartPolicy"), spec.restart_policy.as_deref(), &RESTART_POLICIES);
    report.one_of(&at.child("dnsPolicy"), spec.dns_policy.as_deref(), &DNS_POLICIES);
    metadata::labels(report, &at.child("nodeSelector"), spec.node_selector.as_ref());
    security::pod(report, &at.child("securityContext"), spec);
    if let Some(affinity) = &spec.affinity {
        scheduling::affinity(report, &at.child("affinity"), affinity, labels_of(pod));
    }
    network::dns(report, &at.child("dnsConfig"), spec.dns_config.as_ref(), spec.dns_policy.as_deref());
    gates(report, at, spec);
    if let Some(constraints) = &spec.topology_spread_constraints {
        let at = at.child("topologySpreadConstraints");
        scheduling::spread_constraints(report, &at, constraints, labels_of(pod));
    }
    windows::host_processes(report, at, spec);
    network::host_users(report, at, spec);
    names_and_times(report, at, spec);
    resources::overhead(report, &at.child("overhead"), spec.overhead.as_ref());
    windows::os(report, at, spec);
}

/// The labels of a pod; `None` for templates too, from whose labels nothing is taken.
fn labels_of(pod: Option<&ObjectMeta>) -> Option<&BTreeMap<String, String>> {
    pod?.labels.as_ref()
}

/// Checks the resource claims of a pod and returns their names.
fn claims<'a>(report: &mut Report, at: &At, spec: &'a PodSpec) -> BTreeSet<&'a str> {
    let (mut seen, mut named) = (BTreeSet::new(), BTreeSet::new());
    for (index, claim) in spec.resource_claims.iter().flatten().enumerate() {
        let at = at.index(index);
        if claim.name.is_empty() {
            report.required(&at.child("name"), "");
        } else if !seen.insert(claim.name.as_str()) {
            report.duplicate(&at.child("name"), &claim.name, "");
        } else {
            report.invalid_each(&at.child("name"), &claim.name, names::dns_label(&claim.name));
        }
        let sources = [
            ("resourceClaimName", &claim.resource_claim_name),
            ("resourceClaimTemplateName", &claim.resource_claim_template_name),
        ];
        let shown = ShownClaim {
            name: &claim.name,
            resource_claim_name: claim.resource_claim_name.as_deref(),
            resource_claim_template_name: claim.resource_claim_template_name.as_deref(),
        };
        match sources.iter().filter(|(_, name)| name.is_some()).count() {
            0 => {
                let detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`";
                report.invalid(&at, &AsJson(&shown), detail);
            }
            1 => {}
            _ => {
                let detail = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
                report.invalid(&at, &AsJson(&shown), detail);
            }
        }
        for (field, name) in sources {
            name.iter().for_each(|name| report.invalid_each(&at.child(field), name, names::dns_subdomain(name)));
        }
        named.insert(claim.name.as_str());
    }
    named.remove("");
    named
}

/// A claim as the API server shows it, which is by the names of its internal type.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownClaim<'a> {
    name: &'a str,
    resource_claim_name: Option<&'a str>,
    resource_claim_template_name: Option<&'a str>,
}

fn gates(report: &mut Report, at: &At, spec: &PodSpec) {
    for (index, gate) in spec.readiness_gates.iter().flatten().enumerate() {
        let at = at.child("readinessGates").index(index).child("conditionType");
        metadata::label_name(report, &at, &gate.condition_type);
    }
    let mut seen = BTreeSet::new();
    for (index, gate) in spec.scheduling_gates.iter().flatten().enumerate() {
        let at = at.child("schedulingGates").index(index);
        metadata::label_name(report, &at, &gate.name);
        if !seen.insert(gate.name.as_str()) {
            report.duplicate(&at, &gate.name, "");
        }
    }
}

fn names_and_times(report: &mut Report, at: &At, spec: &PodSpec) {
    let check = |report: &mut Report, field: &str, value: &Option<String>, check: names::Check| {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            report.invalid_each(&at.child(field), &value, check(value));
        }
    };
    check(report, "serviceAccountName", &spec.service_account_name, names::dns_subdomain);
    check(report, "nodeName", &spec.node_name, names::dns_subdomain);
    if let Some(seconds) = spec.active_deadline_seconds {
        let faults = names::in_range(seconds, 1, i64::from(i32::MAX));
        report.invalid_each(&at.child("activeDeadlineSeconds"), &seconds, faults);
    }
    check(report, "hostname", &spec.hostname, names::dns_label);
    check(report, "subdomain", &spec.subdomain, names::dns_label);
    if let Some(tolerations) = &spec.tolerations {
        scheduling::tolerations(report, &at.child("tolerations"), tolerations);
    }
    let aliases = spec.host_aliases.as_deref().unwrap_or_default();
    network::host_aliases(report, &at.child("hostAliases"), aliases);
    check(report, "priorityClassName", &spec.priority_class_name, names::dns_subdomain);
    if let Some(class) = spec.runtime_class_name.as_deref() {
        report.invalid_each(&at.child("runtimeClassName"), &class, names::dns_subdomain(class));
    }
    if let Some(policy) = spec.preemption_policy.as_deref() {
        report.one_of(&at.child("preemptionPolicy"), Some(policy), &["PreemptLowerPriority", "Never"]);
    }
}
