//! What may be changed of a pod, in the API server's words.
//!
//! Source: `ValidatePodUpdate`, pkg/apis/core/validation/validation.go (v1.34.1). The difference that the API server
//! prints after the list of fields is left out.

use k8s_openapi::api::core::v1::{Container, NodeAffinity, NodeSelectorTerm, Pod, PodSpec};
use serde_json::Value;

use super::names;
use super::report::{AsJson, AsWritten, At, Report};
use super::update::same;
use super::{pod, scheduling, shown};

/// The fields that may be changed, as a refusal lists them.
const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                         `spec.tolerations` (only additions to existing tolerations),\
                         `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Checks a new version of a pod; both have their defaults.
pub(super) fn check(report: &mut Report, new: &Pod, old: &Pod) {
    pod::whole(report, new);
    annotations(report, new, old);
    let (spec, was) = (new.spec.clone().unwrap_or_default(), old.spec.clone().unwrap_or_default());
    let at = At::root("spec");
    let init = |spec: &PodSpec| spec.init_containers.clone().unwrap_or_default();
    let lists = [
        ("containers", spec.containers.clone(), was.containers.len()),
        ("initContainers", init(&spec), init(&was).len()),
    ];
    for (list, containers, before) in lists {
        if containers.len() != before {
            return report.forbidden(&at.child(list), "pod updates may not add or remove containers");
        }
        images(report, &at.child(list), &containers);
    }
    let deadline_at = at.child("activeDeadlineSeconds");
    match (was.active_deadline_seconds, spec.active_deadline_seconds) {
        (_, Some(now)) if !(0..=i64::from(i32::MAX)).contains(&now) => {
            return report.invalid_each(&deadline_at, &now, names::in_range(now, 0, i64::from(i32::MAX)));
        }
        (Some(before), Some(now)) if before < now => {
            return report.invalid(&deadline_at, &now, "must be less than or equal to previous value");
        }
        (Some(_), None) => {
            let detail = "must not update from a positive integer to nil value";
            report.invalid(&deadline_at, &AsWritten("null"), detail);
        }
        _ => {}
    }
    tolerations(report, &at.child("tolerations"), &spec, &was);
    let gates = |spec: &PodSpec| spec.scheduling_gates.clone().unwrap_or_default();
    for (index, gate) in gates(&spec).iter().enumerate() {
        if !gates(&was).iter().any(|before| before.name == gate.name) {
            let detail = format!("only deletion is allowed, but found new scheduling gate '{}'", gate.name);
            report.forbidden(&at.child("schedulingGates").index(index).child("name"), &detail);
        }
    }
    let mut kept = with_updatable(&spec, &was);
    if !gates(&was).is_empty() {
        gated(report, &at, &mut kept, &was);
    }
    if !same(&plain(kept), &plain(was)) {
        report.forbidden(&at, &format!("pod updates may not change fields other than {UPDATABLE}"));
    }
}

fn images(report: &mut Report, at: &At, containers: &[Container]) {
    for (index, container) in containers.iter().enumerate() {
        let (at, image) = (at.index(index).child("image"), container.image.as_deref().unwrap_or_default());
        if image.is_empty() {
            report.required(&at, "");
        }
        if image.trim().len() != image.len() {
            report.invalid(&at, &image, "must not have leading or trailing whitespace");
        }
    }
}

/// Annotations that say what a pod is cannot come, go or change.
fn annotations(report: &mut Report, new: &Pod, old: &Pod) {
    let at = At::root("metadata").child("annotations");
    let (now, before) = (new.metadata.annotations.clone().unwrap_or_default(), &old.metadata.annotations);
    let kind = |key: &str| match key {
        MIRROR => Some("mirror pod annotation"),
        key if key.starts_with(APP_ARMOR) => Some("AppArmor annotations"),
        _ => None,
    };
    for (key, _) in before.iter().flatten().filter(|(key, value)| now.get(*key) != Some(value)) {
        if let Some(what) = kind(key) {
            report.forbidden(&at.key(key), &format!("may not remove or update {what}"));
        }
    }
    for key in now.keys().filter(|key| before.as_ref().is_none_or(|before| !before.contains_key(*key))) {
        if let Some(what) = kind(key) {
            report.forbidden(&at.key(key), &format!("may not add {what}"));
        }
    }
}

fn tolerations(report: &mut Report, at: &At, spec: &PodSpec, was: &PodSpec) {
    let now = spec.tolerations.clone().unwrap_or_default();
    let is_kept = |before: &k8s_openapi::api::core::v1::Toleration| {
        now.iter().any(|it| {
            let mut it = it.clone();
            it.toleration_seconds = before.toleration_seconds;
            same(&it, before)
        })
    };
    if !was.tolerations.iter().flatten().all(is_kept) {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        return report.forbidden(at, detail);
    }
    scheduling::tolerations(report, at, &now);
}

/// A spec with the stored one's values of what may be changed.
fn with_updatable(spec: &PodSpec, was: &PodSpec) -> PodSpec {
    let mut kept = spec.clone();
    for (container, before) in kept.containers.iter_mut().zip(&was.containers) {
        container.image.clone_from(&before.image);
    }
    for (container, before) in kept.init_containers.iter_mut().flatten().zip(was.init_containers.iter().flatten()) {
        container.image.clone_from(&before.image);
    }
    kept.active_deadline_seconds = was.active_deadline_seconds;
    kept.scheduling_gates.clone_from(&was.scheduling_gates);
    kept.tolerations.clone_from(&was.tolerations);
    let grace = was.termination_grace_period_seconds;
    if grace.is_some_and(|grace| grace < 0) && kept.termination_grace_period_seconds == Some(1) {
        kept.termination_grace_period_seconds = grace;
    }
    kept
}

/// A pod that the scheduler may not look at yet may be given to fewer nodes.
fn gated(report: &mut Report, at: &At, kept: &mut PodSpec, was: &PodSpec) {
    if !same(&kept.node_selector, &was.node_selector) {
        let now = kept.node_selector.clone().unwrap_or_default();
        if was.node_selector.iter().flatten().any(|(key, value)| now.get(key) != Some(value)) {
            let detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
            report.invalid(&at.child("nodeSelector"), &AsJson(&kept.node_selector), detail);
        }
        kept.node_selector.clone_from(&was.node_selector);
    }
    let of_nodes = |spec: &PodSpec| spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.clone());
    let (now, before) = (of_nodes(kept), of_nodes(was));
    if same(&now, &before) {
        return;
    }
    node_affinity(report, &at.child("affinity").child("nodeAffinity"), now.as_ref(), before.as_ref());
    let affinity = kept.affinity.get_or_insert_default();
    affinity.node_affinity = before;
    let is_empty = affinity.pod_affinity.is_none() && affinity.pod_anti_affinity.is_none();
    if is_empty && affinity.node_affinity.is_none() && was.affinity.is_none() {
        kept.affinity = None;
    }
}

fn node_affinity(report: &mut Report, at: &At, now: Option<&NodeAffinity>, before: Option<&NodeAffinity>) {
    let terms = |affinity: Option<&NodeAffinity>| {
        let required = affinity.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_ref());
        required.map(|required| required.node_selector_terms.clone())
    };
    let Some(before) = terms(before).filter(|terms| !terms.is_empty()) else { return };
    let now = terms(now);
    let at = at.child("requiredDuringSchedulingIgnoredDuringExecution").child("nodeSelectorTerms");
    if now.as_ref().map_or(0, Vec::len) != before.len() {
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        return report.invalid(&at, &AsWritten(&shown::node_terms(now.as_deref())), detail);
    }
    for (index, (term, before)) in now.iter().flatten().zip(&before).enumerate() {
        if !only_adds(term, before) {
            let detail = "only additions are allowed (no mutations or deletions)";
            report.invalid(&at.index(index), &AsWritten(&shown::node_term(term)), detail);
        }
    }
}

fn only_adds(term: &NodeSelectorTerm, before: &NodeSelectorTerm) -> bool {
    let lists = [(&term.match_expressions, &before.match_expressions), (&term.match_fields, &before.match_fields)];
    let empty = |list: &Option<Vec<_>>| list.as_ref().is_none_or(Vec::is_empty);
    if lists.iter().all(|(_, before)| empty(before)) {
        return lists.iter().all(|(now, _)| empty(now));
    }
    lists.iter().all(|(now, before)| {
        let (now, before) = (now.as_deref().unwrap_or_default(), before.as_deref().unwrap_or_default());
        now.get(..before.len()).is_some_and(|kept| kept == before)
    })
}

/// What JSON shows of a spec. The old name of the account's field is no field of its own.
fn plain(mut spec: PodSpec) -> Value {
    spec.service_account = None;
    serde_json::to_value(&spec).unwrap_or_default()
}
