//! Checks of Deployments, ReplicaSets and Nodes.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, ReplicaSet, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{Node, PodTemplateSpec, ReplicationController};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;

use super::names;
use super::report::{AsJson, AsWritten, At, Report};
use super::{metadata, network, pod, resources, scheduling, selector, shown};

/// Checks a Deployment.
pub(super) fn deployment(report: &mut Report, object: &Deployment) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let empty = DeploymentSpec::default();
    let (spec, at) = (object.spec.as_ref().unwrap_or(&empty), At::root("spec"));
    report.not_negative(&at.child("replicas"), i64::from(spec.replicas.unwrap_or(0)));
    selected_template(report, &at, &spec.selector, &spec.template);
    if let Some(found) = &spec.strategy {
        strategy(report, &at.child("strategy"), found);
    }
    let min_ready = spec.min_ready_seconds.unwrap_or(0);
    report.not_negative(&at.child("minReadySeconds"), i64::from(min_ready));
    report.not_negative(&at.child("revisionHistoryLimit"), i64::from(spec.revision_history_limit.unwrap_or(0)));
    if let Some(deadline) = spec.progress_deadline_seconds {
        let at = at.child("progressDeadlineSeconds");
        report.not_negative(&at, i64::from(deadline));
        if deadline <= min_ready {
            report.invalid(&at, &deadline, "must be greater than minReadySeconds");
        }
    }
}

/// Checks a ReplicaSet.
pub(super) fn replica_set(report: &mut Report, object: &ReplicaSet) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let (spec, at) = (object.spec.clone().unwrap_or_default(), At::root("spec"));
    report.not_negative(&at.child("replicas"), i64::from(spec.replicas.unwrap_or(0)));
    report.not_negative(&at.child("minReadySeconds"), i64::from(spec.min_ready_seconds.unwrap_or(0)));
    selected_template(report, &at, &spec.selector, &spec.template.unwrap_or_default());
}

/// Checks a ReplicationController.
///
/// Source: `ValidateReplicationControllerSpec`, pkg/apis/core/validation/validation.go (v1.34.1).
pub(super) fn replication_controller(report: &mut Report, object: &ReplicationController) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let (spec, at) = (object.spec.clone().unwrap_or_default(), At::root("spec"));
    report.not_negative(&at.child("minReadySeconds"), i64::from(spec.min_ready_seconds.unwrap_or(0)));
    let pairs = spec.selector.unwrap_or_default();
    if pairs.is_empty() {
        report.required(&at.child("selector"), "");
    }
    report.not_negative(&at.child("replicas"), i64::from(spec.replicas.unwrap_or(0)));
    let at = at.child("template");
    let Some(template) = spec.template else { return report.required(&at, "") };
    let found = template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    let fits = pairs.iter().all(|(key, value)| found.and_then(|labels| labels.get(key)) == Some(value));
    if !pairs.is_empty() && !fits {
        let detail = "`selector` does not match template `labels`";
        report.invalid(&at.child("metadata").child("labels"), &AsJson(&found), detail);
    }
    pod::template(report, &at, &template);
    let Some(pod) = &template.spec else { return };
    let policy = pod.restart_policy.as_deref().unwrap_or("");
    if policy != "Always" {
        report.not_supported(&at.child("spec").child("restartPolicy"), &policy, &["Always"]);
    }
    if pod.active_deadline_seconds.is_some() {
        let detail = "activeDeadlineSeconds in ReplicationController is not Supported";
        report.forbidden(&at.child("spec").child("activeDeadlineSeconds"), detail);
    }
}

/// Checks a selector, the template that it must match, and that the template's pods can run for ever.
fn selected_template(report: &mut Report, at: &At, labels: &LabelSelector, template: &PodTemplateSpec) {
    let selector_at = at.child("selector");
    if selector::is_given(labels) {
        selector::check(report, &selector_at, labels);
        if selector::is_empty(labels) {
            report.invalid(&selector_at, &AsWritten("{}"), "empty selector is invalid for deployment");
        }
    } else {
        report.required(&selector_at, "");
    }
    if !selector::is_valid(labels) {
        return report.invalid(&selector_at, &AsWritten(&shown::selector(labels)), "invalid label selector");
    }
    let at = at.child("template");
    let none = BTreeMap::new();
    let found = template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    // No selector at all selects nothing, an empty one everything.
    if !selector::is_given(labels) || !selector::matches(labels, found.unwrap_or(&none)) {
        let detail = "`selector` does not match template `labels`";
        report.invalid(&at.child("metadata").child("labels"), &AsJson(&found), detail);
    }
    pod::template(report, &at, template);
    let Some(spec) = &template.spec else { return };
    let policy = spec.restart_policy.as_deref().unwrap_or("");
    if policy != "Always" {
        report.not_supported(&at.child("spec").child("restartPolicy"), &policy, &["Always"]);
    }
    if spec.active_deadline_seconds.is_some() {
        let detail = "activeDeadlineSeconds in ReplicaSet is not Supported";
        report.forbidden(&at.child("spec").child("activeDeadlineSeconds"), detail);
    }
}

/// A strategy as the API server shows it, which is by the names of its internal type.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownStrategy<'a> {
    r#type: &'a str,
    rolling_update: Option<ShownRollingUpdate<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownRollingUpdate<'a> {
    max_unavailable: &'a IntOrString,
    max_surge: &'a IntOrString,
}

fn strategy(report: &mut Report, at: &At, strategy: &DeploymentStrategy) {
    let update = strategy.rolling_update.as_ref();
    match (strategy.type_.as_deref().unwrap_or(""), update) {
        ("Recreate", Some(_)) => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            report.forbidden(&at.child("rollingUpdate"), detail);
        }
        ("Recreate", None) => {}
        ("RollingUpdate", None) => {
            report.required(&at.child("rollingUpdate"), "this should be defaulted and never be nil");
        }
        ("RollingUpdate", Some(update)) => rolling_update(report, &at.child("rollingUpdate"), update),
        (other, update) => {
            let zero = IntOrString::Int(0);
            let rolling_update = update.map(|update| ShownRollingUpdate {
                max_unavailable: update.max_unavailable.as_ref().unwrap_or(&zero),
                max_surge: update.max_surge.as_ref().unwrap_or(&zero),
            });
            let shown = ShownStrategy { r#type: other, rolling_update };
            report.not_supported(at, &AsJson(&shown), &["Recreate", "RollingUpdate"]);
        }
    }
}

fn rolling_update(report: &mut Report, at: &At, update: &RollingUpdateDeployment) {
    let zero = IntOrString::Int(0);
    let unavailable = update.max_unavailable.as_ref().unwrap_or(&zero);
    let surge = update.max_surge.as_ref().unwrap_or(&zero);
    let unavailable_at = at.child("maxUnavailable");
    int_or_percent(report, &unavailable_at, unavailable);
    int_or_percent(report, &at.child("maxSurge"), surge);
    if is_zero(unavailable) && is_zero(surge) {
        report.invalid(&unavailable_at, unavailable, "may not be 0 when `maxSurge` is 0");
    }
    at_most_all(report, &unavailable_at, unavailable);
}

/// Checks a number or share of pods.
pub(super) fn int_or_percent(report: &mut Report, at: &At, value: &IntOrString) {
    match value {
        IntOrString::Int(number) => report.not_negative(at, i64::from(*number)),
        IntOrString::String(text) => report.invalid_each(at, text, names::percent(text)),
    }
}

/// Refuses a share of more than all pods.
pub(super) fn at_most_all(report: &mut Report, at: &At, value: &IntOrString) {
    if let IntOrString::String(text) = value
        && names::percent_value(text).is_some_and(|percent| percent > 100)
    {
        report.invalid(at, value, "must not be greater than 100%");
    }
}

/// Text that is no percentage counts as the number that it is, or else as zero.
///
/// Source: `getIntOrPercentValue`, pkg/apis/apps/validation/validation.go; `IntOrString.IntValue`,
/// staging/src/k8s.io/apimachinery/pkg/util/intstr/intstr.go (v1.34.1).
pub(super) fn is_zero(value: &IntOrString) -> bool {
    match value {
        IntOrString::Int(number) => *number == 0,
        IntOrString::String(text) => match names::percent_value(text) {
            Some(percent) => percent == 0,
            None => text.parse::<i64>().unwrap_or(0) == 0,
        },
    }
}

/// Checks a Node. The API server places taints under `metadata`; so does this.
pub(super) fn node(report: &mut Report, object: &Node) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let taints = object.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
    scheduling::taints(report, &At::root("metadata").child("taints"), taints);
    resources_of_node(report, object);
    let ranges = object.spec.as_ref().and_then(|spec| spec.pod_cidrs.as_deref()).unwrap_or_default();
    let at = At::root("spec").child("podCIDRs");
    for (index, range) in ranges.iter().enumerate() {
        network::cidr(report, &at.index(index), range);
    }
    let is_v6 = |range: &String| range.contains(':');
    // The check for two families reads the ranges once more, and stops at the first that is none.
    let bad = ranges.iter().enumerate().find(|(_, range)| !network::is_cidr(range)).filter(|_| ranges.len() > 1);
    if let Some((index, range)) = bad {
        let why = format!("invalid CIDR[{index}]: <nil> (invalid CIDR address: {range})");
        report.internal(&at, &format!("invalid PodCIDRs. failed to check with dual stack with error:{why}"));
    }
    let differ = bad.is_none() && ranges.len() == 2 && is_v6(&ranges[0]) != is_v6(&ranges[1]);
    if ranges.len() > 1 && !differ {
        report.invalid(&at, &AsJson(&ranges), "may specify no more than one CIDR for each IP family");
    }
}

/// Checks what a node has. The API server puts the resource's name behind a dot here.
pub(super) fn resources_of_node(report: &mut Report, object: &Node) {
    let Some(status) = &object.status else { return };
    for (list, field) in [(&status.capacity, "capacity"), (&status.allocatable, "allocatable")] {
        for (name, text) in list.iter().flatten() {
            resources::amount(report, &At::root("status").child(field).child(name), name, text);
        }
    }
}
