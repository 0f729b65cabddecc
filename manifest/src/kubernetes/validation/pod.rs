//! Checks of pod specs and pod templates.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec, Volume};

use super::names;
use super::report::{At, Report};
use super::{container, metadata, resources, scheduling, storage};

const RESTART_POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
const DNS_POLICIES: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];

/// Checks a pod template: labels, annotations, spec.
pub(super) fn template(report: &mut Report, at: &At, template: &PodTemplateSpec) {
    // The API server names the template's labels without `metadata` here, and with it elsewhere.
    let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    let annotations = template.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref());
    metadata::labels(report, &at.child("labels"), labels);
    metadata::annotations(report, &at.child("annotations"), annotations);
    spec(report, &at.child("spec"), template.spec.as_ref());
    let ephemeral = template.spec.as_ref().and_then(|spec| spec.ephemeral_containers.as_ref());
    if ephemeral.is_some_and(|containers| !containers.is_empty()) {
        let detail = "ephemeral containers not allowed in pod template";
        report.forbidden(&at.child("spec").child("ephemeralContainers"), detail);
    }
}

/// Checks a pod's spec. A missing one is an empty one, which has no containers.
pub(super) fn spec(report: &mut Report, at: &At, spec: Option<&PodSpec>) {
    let empty = PodSpec::default();
    let spec = spec.unwrap_or(&empty);
    if spec.termination_grace_period_seconds.is_none() {
        report.required(&at.child("terminationGracePeriodSeconds"), "");
    }
    let volumes = volumes(report, &at.child("volumes"), spec.volumes.as_deref().unwrap_or_default());
    container::regular(report, &at.child("containers"), &spec.containers, &volumes);
    let all = (spec.init_containers.as_deref().unwrap_or_default(), spec.containers.as_slice());
    container::init(report, &at.child("initContainers"), all, &volumes);
    resources::check_pod(report, &at.child("resources"), spec);
    report.one_of(&at.child("restartPolicy"), spec.restart_policy.as_deref(), &RESTART_POLICIES);
    report.one_of(&at.child("dnsPolicy"), spec.dns_policy.as_deref(), &DNS_POLICIES);
    placement(report, at, spec);
    names_and_times(report, at, spec);
    if let Some(tolerations) = &spec.tolerations {
        scheduling::tolerations(report, &at.child("tolerations"), tolerations);
    }
    if let Some(class) = spec.priority_class_name.as_deref().filter(|class| !class.is_empty()) {
        report.invalid_each(&at.child("priorityClassName"), &class, names::dns_subdomain(class));
    }
    if let Some(policy) = spec.preemption_policy.as_deref() {
        report.one_of(&at.child("preemptionPolicy"), Some(policy), &["PreemptLowerPriority", "Never"]);
    }
}

/// Checks the volumes and returns those with good names.
fn volumes<'a>(report: &mut Report, at: &At, volumes: &'a [Volume]) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    for (index, volume) in volumes.iter().enumerate() {
        storage::pod_volume(report, &at.index(index), volume);
        let at = at.index(index).child("name");
        if volume.name.is_empty() {
            report.required(&at, "");
            continue;
        }
        let faults = names::dns_label(&volume.name);
        if faults.is_empty() && !seen.insert(volume.name.as_str()) {
            report.duplicate(&at, &volume.name, "");
        }
        report.invalid_each(&at, &volume.name, faults);
    }
    seen
}

fn placement(report: &mut Report, at: &At, spec: &PodSpec) {
    metadata::labels(report, &at.child("nodeSelector"), spec.node_selector.as_ref());
    if let Some(affinity) = &spec.affinity {
        scheduling::affinity(report, &at.child("affinity"), affinity);
    }
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
    if let Some(constraints) = &spec.topology_spread_constraints {
        scheduling::spread_constraints(report, &at.child("topologySpreadConstraints"), constraints);
    }
}

fn names_and_times(report: &mut Report, at: &At, spec: &PodSpec) {
    let named: [(&str, &Option<String>, names::Check); 2] = [
        ("serviceAccountName", &spec.service_account_name, names::dns_subdomain),
        ("nodeName", &spec.node_name, names::dns_subdomain),
    ];
    let labels: [(&str, &Option<String>, names::Check); 2] =
        [("hostname", &spec.hostname, names::dns_label), ("subdomain", &spec.subdomain, names::dns_label)];
    let check = |report: &mut Report, (field, value, check): (&str, &Option<String>, names::Check)| {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            report.invalid_each(&at.child(field), &value, check(value));
        }
    };
    named.into_iter().for_each(|entry| check(report, entry));
    if let Some(seconds) = spec.active_deadline_seconds {
        let faults = names::in_range(seconds, 1, i64::from(i32::MAX));
        report.invalid_each(&at.child("activeDeadlineSeconds"), &seconds, faults);
    }
    labels.into_iter().for_each(|entry| check(report, entry));
}
