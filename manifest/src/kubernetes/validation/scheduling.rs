//! Checks of what steers the scheduler: tolerations, taints, affinity, spread constraints.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Affinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm, Taint, Toleration,
    TopologySpreadConstraint, WeightedPodAffinityTerm,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::names;
use super::report::{AsWritten, At, Report};
use super::{metadata, selector, shown};

/// The labels of the pod whose rules are checked; `None` of a template.
type OwnLabels<'a> = Option<&'a BTreeMap<String, String>>;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Checks a pod's tolerations.
pub(super) fn tolerations(report: &mut Report, at: &At, tolerations: &[Toleration]) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let at = at.index(index);
        let key = toleration.key.as_deref().unwrap_or("");
        let operator = toleration.operator.as_deref().unwrap_or("");
        let value = toleration.value.as_deref().unwrap_or("");
        let effect = toleration.effect.as_deref().unwrap_or("");
        if !key.is_empty() {
            metadata::label_name(report, &at.child("key"), key);
        } else if operator != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            report.invalid(&at.child("operator"), &operator, detail);
        }
        if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            report.invalid(&at.child("effect"), &effect, detail);
        }
        match operator {
            "" | "Equal" => joined(report, &at.child("operator"), value, names::label_value(value)),
            "Exists" if value.is_empty() => {}
            "Exists" => {
                let detail = "value must be empty when `operator` is 'Exists'";
                report.invalid(&at.child("operator"), &value, detail);
            }
            _ => report.not_supported(&at.child("operator"), &operator, &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            report.one_of(&at.child("effect"), Some(effect), &EFFECTS);
        }
    }
}

/// Checks a node's taints.
pub(super) fn taints(report: &mut Report, at: &At, taints: &[Taint]) {
    let mut seen = BTreeSet::new();
    for (index, taint) in taints.iter().enumerate() {
        let at = at.index(index);
        let value = taint.value.as_deref().unwrap_or("");
        metadata::label_name(report, &at.child("key"), &taint.key);
        joined(report, &at.child("value"), value, names::label_value(value));
        report.one_of(&at.child("effect"), Some(&taint.effect), &EFFECTS);
        if !seen.insert((&taint.effect, &taint.key)) {
            let detail = "taints must be unique by key and effect pair";
            report.duplicate(&at, &AsWritten(&shown::taint(taint)), detail);
        }
    }
}

/// Several faults as one cause, which is how the API server reports taints' and tolerations' values.
fn joined(report: &mut Report, at: &At, value: &str, faults: Vec<String>) {
    if !faults.is_empty() {
        report.invalid(at, &value, &faults.join(";"));
    }
}

/// Checks that a selector's operator is known and has the values that it needs; `Lt` and `Gt` exist for nodes only.
pub(super) fn operator(report: &mut Report, at: &At, operator: &str, values: &[String], for_nodes: bool) {
    match operator {
        "In" | "NotIn" if values.is_empty() => {
            report.required(&at.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            report.forbidden(&at.child("values"), detail);
        }
        "Gt" | "Lt" if for_nodes => {
            if values.len() != 1 {
                let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                report.required(&at.child("values"), detail);
            }
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => report.invalid(&at.child("operator"), &operator, "not a valid selector operator"),
    }
}

/// Checks a pod's affinities.
pub(super) fn affinity(report: &mut Report, at: &At, affinity: &Affinity, own: OwnLabels<'_>) {
    const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
    const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
    if let Some(node) = &affinity.node_affinity {
        let at = at.child("nodeAffinity");
        if let Some(required) = &node.required_during_scheduling_ignored_during_execution {
            node_selector(report, &at.child(REQUIRED), required);
        }
        let preferred = node.preferred_during_scheduling_ignored_during_execution.iter().flatten();
        for (index, term) in preferred.enumerate() {
            let at = at.child(PREFERRED).index(index);
            weight(report, &at, term.weight);
            node_term(report, &at.child("preference"), &term.preference, false);
        }
    }
    if let Some(pods) = &affinity.pod_affinity {
        let at = at.child("podAffinity");
        let required = pods.required_during_scheduling_ignored_during_execution.as_deref();
        pod_terms(report, &at.child(REQUIRED), required, own);
        let preferred = pods.preferred_during_scheduling_ignored_during_execution.as_deref();
        weighted_pod_terms(report, &at.child(PREFERRED), preferred, own);
    }
    if let Some(pods) = &affinity.pod_anti_affinity {
        let at = at.child("podAntiAffinity");
        let required = pods.required_during_scheduling_ignored_during_execution.as_deref();
        pod_terms(report, &at.child(REQUIRED), required, own);
        let preferred = pods.preferred_during_scheduling_ignored_during_execution.as_deref();
        weighted_pod_terms(report, &at.child(PREFERRED), preferred, own);
    }
}

/// Checks alternatives of requirements on nodes.
pub(super) fn node_selector(report: &mut Report, at: &At, selector: &NodeSelector) {
    let at = at.child("nodeSelectorTerms");
    if selector.node_selector_terms.is_empty() {
        return report.required(&at, "must have at least one node selector term");
    }
    for (index, term) in selector.node_selector_terms.iter().enumerate() {
        node_term(report, &at.index(index), term, true);
    }
}

pub(crate) fn weight(report: &mut Report, at: &At, weight: i32) {
    if !(1..=100).contains(&weight) {
        report.invalid(&at.child("weight"), &weight, "must be in the range 1-100");
    }
}

/// `strict_values`: a preferred term may have label values that no node can have.
pub(crate) fn node_term(report: &mut Report, at: &At, term: &NodeSelectorTerm, strict_values: bool) {
    for (index, requirement) in term.match_expressions.iter().flatten().enumerate() {
        let at = at.child("matchExpressions").index(index);
        let values = requirement.values.as_deref().unwrap_or_default();
        operator(report, &at, &requirement.operator, values, true);
        metadata::label_name(report, &at.child("key"), &requirement.key);
        for (index, value) in values.iter().enumerate().filter(|_| strict_values) {
            report.invalid_each(&at.child("values").index(index), value, names::label_value(value));
        }
    }
    for (index, requirement) in term.match_fields.iter().flatten().enumerate() {
        node_field(report, &at.child("matchFields").index(index), requirement);
    }
}

fn node_field(report: &mut Report, at: &At, requirement: &NodeSelectorRequirement) {
    let values = requirement.values.as_deref().unwrap_or_default();
    match requirement.operator.as_str() {
        "In" | "NotIn" => {
            if values.len() != 1 {
                let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                report.required(&at.child("values"), detail);
            }
        }
        other => report.invalid(&at.child("operator"), &other, "not a valid selector operator"),
    }
    if requirement.key != "metadata.name" {
        report.invalid(&at.child("key"), &requirement.key, "not a valid field selector key");
        return;
    }
    for (index, value) in values.iter().enumerate() {
        report.invalid_each(&at.child("values").index(index), value, names::dns_subdomain(value));
    }
}

fn weighted_pod_terms(report: &mut Report, at: &At, terms: Option<&[WeightedPodAffinityTerm]>, own: OwnLabels<'_>) {
    for (index, term) in terms.into_iter().flatten().enumerate() {
        let at = at.index(index);
        weight(report, &at, term.weight);
        pod_term(report, &at.child("podAffinityTerm"), &term.pod_affinity_term, own);
    }
}

fn pod_terms(report: &mut Report, at: &At, terms: Option<&[PodAffinityTerm]>, own: OwnLabels<'_>) {
    for (index, term) in terms.into_iter().flatten().enumerate() {
        pod_term(report, &at.index(index), term, own);
    }
}

fn pod_term(report: &mut Report, at: &At, term: &PodAffinityTerm, own: OwnLabels<'_>) {
    if let Some(labels) = &term.label_selector {
        selector::check(report, &at.child("labelSelector"), labels);
    }
    if let Some(namespaces) = &term.namespace_selector {
        selector::check(report, &at.child("namespaceSelector"), namespaces);
    }
    for name in term.namespaces.iter().flatten() {
        report.invalid_each(&at.child("namespace"), name, names::dns_label(name));
    }
    let keys = (term.match_label_keys.as_deref(), term.mismatch_label_keys.as_deref());
    label_keys(report, at, keys, term.label_selector.as_ref(), own);
    if term.topology_key.is_empty() {
        report.required(&at.child("topologyKey"), "can not be empty");
    }
    metadata::label_name(report, &at.child("topologyKey"), &term.topology_key);
}

/// Checks a pod's spread constraints.
pub(super) fn spread_constraints(
    report: &mut Report,
    at: &At,
    constraints: &[TopologySpreadConstraint],
    own: OwnLabels<'_>,
) {
    for (index, constraint) in constraints.iter().enumerate() {
        let at = at.index(index);
        let action = constraint.when_unsatisfiable.as_str();
        report.positive(&at.child("maxSkew"), i64::from(constraint.max_skew));
        if constraint.topology_key.is_empty() {
            report.required(&at.child("topologyKey"), "can not be empty");
        }
        if !matches!(action, "DoNotSchedule" | "ScheduleAnyway") {
            let supported = ["DoNotSchedule", "ScheduleAnyway"];
            report.not_supported(&at.child("whenUnsatisfiable"), &action, &supported);
        }
        let repeats = constraints[index + 1..].iter().any(|later| {
            later.topology_key == constraint.topology_key && later.when_unsatisfiable == constraint.when_unsatisfiable
        });
        if repeats {
            let pair = format!("{{{}, {action}}}", constraint.topology_key);
            report.duplicate(&at.child("{topologyKey, whenUnsatisfiable}"), &pair, "");
        }
        if let Some(domains) = constraint.min_domains {
            report.positive(&at.child("minDomains"), i64::from(domains));
            if action != "DoNotSchedule" {
                let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
                report.invalid(&at.child("minDomains"), &domains, &detail);
            }
        }
        let policies = [
            ("nodeAffinityPolicy", &constraint.node_affinity_policy),
            ("nodeTaintsPolicy", &constraint.node_taints_policy),
        ];
        for (name, policy) in policies {
            if let Some(policy) = policy.as_deref().filter(|policy| !matches!(*policy, "Honor" | "Ignore")) {
                report.not_supported(&at.child(name), &policy, &["Honor", "Ignore"]);
            }
        }
        let keys = (constraint.match_label_keys.as_deref(), None);
        label_keys(report, &at, keys, constraint.label_selector.as_ref(), own);
        if let Some(labels) = &constraint.label_selector {
            selector::check(report, &at.child("labelSelector"), labels);
        }
    }
}

/// Checks the keys whose values are taken from the pod: those that must match and those that must not. `own` are the
/// labels of the pod, of which the API server makes an expression for each key, behind those that are there.
///
/// Source: `ValidateMatchLabelKeysAndMismatchLabelKeys`, pkg/apis/core/validation/validation.go;
/// `applyLabelKeysToLabelSelector`, pkg/registry/core/pod/strategy.go (v1.34.1).
fn label_keys(
    report: &mut Report,
    at: &At,
    (matching, other): (Option<&[String]>, Option<&[String]>),
    labels: Option<&LabelSelector>,
    own: OwnLabels<'_>,
) {
    let (matching, other) = (matching.unwrap_or_default(), other.unwrap_or_default());
    for (field, keys) in [("matchLabelKeys", matching), ("mismatchLabelKeys", other)] {
        let at = at.child(field);
        if labels.is_none() && !keys.is_empty() {
            report.forbidden(&at, "must not be specified when labelSelector is not set");
            continue;
        }
        for (index, key) in keys.iter().enumerate() {
            metadata::label_name(report, &at.index(index), key);
        }
    }
    if let Some(labels) = labels {
        let mut seen: BTreeSet<&String> = labels.match_labels.iter().flatten().map(|(key, _)| key).collect();
        let written = labels.match_expressions.iter().flatten().map(|it| &it.key);
        let taken = matching.iter().chain(other).filter(|key| own.is_some_and(|own| own.contains_key(*key)));
        for key in written.chain(taken) {
            let at_last = matching.iter().rposition(|other| other == key);
            if let Some(index) = at_last.filter(|_| seen.contains(key)) {
                report.invalid(&at.index(index), key, "exists in both matchLabelKeys and labelSelector");
            }
            seen.insert(key);
        }
    }
    for (index, key) in matching.iter().enumerate().filter(|(_, key)| other.contains(key)) {
        let detail = "exists in both matchLabelKeys and mismatchLabelKeys";
        report.invalid(&at.child("matchLabelKeys").index(index), key, detail);
    }
}
