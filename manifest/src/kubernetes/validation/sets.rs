//! Checks of StatefulSets and DaemonSets.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{
    DaemonSet, DaemonSetUpdateStrategy, RollingUpdateDaemonSet, StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, PodTemplateSpec, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;

use super::names;
use super::report::{AsJson, AsWritten, At, Report};
use super::workload::{at_most_all, int_or_percent, is_zero};
use super::{metadata, pod, selector, shown, storage};

/// Checks a new StatefulSet.
pub(super) fn stateful_set(report: &mut Report, object: &StatefulSet) {
    metadata::check(report, &object.metadata, names::dns_label);
    spec(report, object, true);
}

/// Checks a StatefulSet but for what cannot change: the templates of its claims.
pub(super) fn stored_stateful_set(report: &mut Report, object: &StatefulSet) {
    spec(report, object, false);
}

fn spec(report: &mut Report, object: &StatefulSet, with_templates: bool) {
    let (spec, at) = (object.spec.clone().unwrap_or_default(), At::root("spec"));
    let policy = spec.pod_management_policy.as_deref().unwrap_or("");
    if !["OrderedReady", "Parallel"].contains(&policy) {
        report.invalid(&at.child("podManagementPolicy"), &policy, "must be 'OrderedReady' or 'Parallel'");
    }
    if let Some(strategy) = &spec.update_strategy {
        stateful_strategy(report, &at.child("updateStrategy"), strategy);
    }
    let retention = spec.persistent_volume_claim_retention_policy.clone().unwrap_or_default();
    let retention_at = at.child("persistentVolumeClaimRetentionPolicy");
    for (field, value) in [("whenDeleted", &retention.when_deleted), ("whenScaled", &retention.when_scaled)] {
        let value = value.as_deref().unwrap_or("");
        if !["Retain", "Delete"].contains(&value) {
            report.not_supported(&retention_at.child(field), &value, &["Retain", "Delete"]);
        }
    }
    for (index, claim) in spec.volume_claim_templates.iter().flatten().enumerate().filter(|_| with_templates) {
        let at = at.child("volumeClaimTemplates").index(index).child("spec");
        storage::claim_spec(report, &at, &claim.spec.clone().unwrap_or_default());
    }
    report.not_negative(&at.child("replicas"), i64::from(spec.replicas.unwrap_or(0)));
    report.not_negative(&at.child("minReadySeconds"), i64::from(spec.min_ready_seconds.unwrap_or(0)));
    let start = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0);
    report.not_negative(&at.child("ordinals.start"), i64::from(start));
    if let Some(service) = spec.service_name.as_deref().filter(|name| !name.is_empty()) {
        report.invalid_each(&at.child("serviceName"), &service, names::dns_label(service));
    }
    let selector_at = at.child("selector");
    if selector::is_given(&spec.selector) {
        selector::check(report, &selector_at, &spec.selector);
        if selector::is_empty(&spec.selector) {
            report.invalid(&selector_at, &AsWritten("{}"), "empty selector is invalid for statefulset");
        }
    } else {
        report.required(&selector_at, "");
    }
    if selector::is_valid(&spec.selector) {
        let at = at.child("template");
        matching(report, &at, &spec.selector, &spec.template);
        pod::template(report, &at, &with_claims(&spec));
    } else {
        report.invalid(&selector_at, &AsWritten(&shown::selector(&spec.selector)), "");
    }
    lasting(report, &at.child("template").child("spec"), &spec.template, "StatefulSet");
}

/// The template as its pods will be: the controller gives them hostnames and the volumes of their claims.
fn with_claims(spec: &StatefulSetSpec) -> PodTemplateSpec {
    let mut template = spec.template.clone();
    let Some(pod) = &mut template.spec else { return template };
    (pod.hostname, pod.subdomain) = (None, None);
    let names: BTreeSet<String> = spec
        .volume_claim_templates
        .iter()
        .flatten()
        .map(|claim| claim.metadata.name.clone().unwrap_or_default())
        .collect();
    if !names.is_empty() {
        let of_claim = |name: &String| {
            let source = PersistentVolumeClaimVolumeSource { claim_name: name.clone(), read_only: None };
            Volume { name: name.clone(), persistent_volume_claim: Some(source), ..Volume::default() }
        };
        let others = pod.volumes.take().unwrap_or_default().into_iter().filter(|volume| !names.contains(&volume.name));
        pod.volumes = Some(names.iter().map(of_claim).chain(others).collect());
    }
    template
}

/// A strategy as the API server shows it, which is by the names of its internal type.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownStrategy<'a, T> {
    r#type: &'a str,
    rolling_update: Option<T>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownPartition {
    partition: i32,
    max_unavailable: Option<i32>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownShares<'a> {
    max_unavailable: &'a IntOrString,
    max_surge: &'a IntOrString,
}

fn stateful_strategy(report: &mut Report, at: &At, strategy: &StatefulSetUpdateStrategy) {
    let update = strategy.rolling_update.as_ref();
    let shown = update.map(|update| ShownPartition { partition: update.partition.unwrap_or(0), max_unavailable: None });
    match (strategy.type_.as_deref().unwrap_or(""), shown) {
        ("OnDelete", Some(shown)) => {
            let detail = "only allowed for updateStrategy 'RollingUpdate'";
            report.invalid(&at.child("rollingUpdate"), &AsJson(&shown), detail);
        }
        ("RollingUpdate", Some(shown)) => {
            report.not_negative(&at.child("rollingUpdate").child("partition"), i64::from(shown.partition));
        }
        ("OnDelete" | "RollingUpdate", None) => {}
        (other, rolling_update) => {
            let shown = ShownStrategy { r#type: other, rolling_update };
            report.invalid(at, &AsJson(&shown), "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}

/// Checks a DaemonSet.
pub(super) fn daemon_set(report: &mut Report, object: &DaemonSet) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let (spec, at) = (object.spec.clone().unwrap_or_default(), At::root("spec"));
    selector::check(report, &at.child("selector"), &spec.selector);
    let template_at = at.child("template");
    if selector::is_valid(&spec.selector) {
        matching(report, &template_at, &spec.selector, &spec.template);
    }
    if selector::is_given(&spec.selector) && selector::is_empty(&spec.selector) {
        report.invalid(&at.child("selector"), &AsWritten("{}"), "empty selector is invalid for daemonset");
    }
    pod::template(report, &template_at, &spec.template);
    lasting(report, &template_at.child("spec"), &spec.template, "DaemonSet");
    report.not_negative(&at.child("minReadySeconds"), i64::from(spec.min_ready_seconds.unwrap_or(0)));
    if let Some(strategy) = &spec.update_strategy {
        daemon_strategy(report, &at.child("updateStrategy"), strategy);
    }
    report.not_negative(&at.child("revisionHistoryLimit"), i64::from(spec.revision_history_limit.unwrap_or(0)));
}

fn daemon_strategy(report: &mut Report, at: &At, strategy: &DaemonSetUpdateStrategy) {
    let zero = IntOrString::Int(0);
    match (strategy.type_.as_deref().unwrap_or(""), &strategy.rolling_update) {
        ("OnDelete", _) => {}
        ("RollingUpdate", None) => report.required(&at.child("rollingUpdate"), ""),
        ("RollingUpdate", Some(update)) => daemon_rolling_update(report, &at.child("rollingUpdate"), update),
        (other, update) => {
            let rolling_update = update.as_ref().map(|update| ShownShares {
                max_unavailable: update.max_unavailable.as_ref().unwrap_or(&zero),
                max_surge: update.max_surge.as_ref().unwrap_or(&zero),
            });
            let shown = ShownStrategy { r#type: other, rolling_update };
            report.not_supported(at, &AsJson(&shown), &["RollingUpdate", "OnDelete"]);
        }
    }
}

fn daemon_rolling_update(report: &mut Report, at: &At, update: &RollingUpdateDaemonSet) {
    let zero = IntOrString::Int(0);
    let unavailable = (at.child("maxUnavailable"), update.max_unavailable.as_ref().unwrap_or(&zero));
    let surge = (at.child("maxSurge"), update.max_surge.as_ref().unwrap_or(&zero));
    for check in [int_or_percent, at_most_all] {
        check(report, &unavailable.0, unavailable.1);
        check(report, &surge.0, surge.1);
    }
    match (is_zero(unavailable.1), is_zero(surge.1)) {
        (false, false) => report.invalid(&surge.0, surge.1, "may not be set when maxUnavailable is non-zero"),
        (true, true) => report.required(&unavailable.0, "cannot be 0 when maxSurge is 0"),
        _ => {}
    }
}

/// Checks that a selector matches the template's labels. A missing selector matches nothing, an empty one everything.
fn matching(report: &mut Report, at: &At, labels: &LabelSelector, template: &PodTemplateSpec) {
    let none = BTreeMap::new();
    let found = template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    if !selector::is_given(labels) || !selector::matches(labels, found.unwrap_or(&none)) {
        let detail = "`selector` does not match template `labels`";
        report.invalid(&at.child("metadata").child("labels"), &AsJson(&found), detail);
    }
}

/// Checks that the template's pods can run for ever.
fn lasting(report: &mut Report, at: &At, template: &PodTemplateSpec, kind: &str) {
    let Some(spec) = &template.spec else { return };
    let policy = spec.restart_policy.as_deref().unwrap_or("");
    if policy != "Always" {
        report.not_supported(&at.child("restartPolicy"), &policy, &["Always"]);
    }
    if spec.active_deadline_seconds.is_some() {
        let detail = format!("activeDeadlineSeconds in {kind} is not Supported");
        report.forbidden(&at.child("activeDeadlineSeconds"), &detail);
    }
}
