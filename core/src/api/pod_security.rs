//! The PodSecurity plugin: what the level that a namespace's labels enforce forbids to pods.
//!
//! What the levels of the other two modes have against an object is told: to the audit, and to the user who writes it,
//! both as facts. Nobody is exempt, and a namespace without labels forbids nothing, as is the plugin's default. Absent
//! on purpose: what the audit is told of refused pods, and the time (1 s) after which no more of the pods are looked at
//! that are there when a namespace's labels change.
//!
//! Source: staging/src/k8s.io/pod-security-admission/{admission/admission.go,api/helpers.go} (v1.34.1).

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{Patch, Request, together};
use crate::author::Author;
use crate::context::Context;
use crate::facts::{Fact, What};
use crate::id::{Name, Revision};
use crate::model::pod_security::{Judged, Violation};
use crate::model::{Kind, Labels, Namespace, Object, Pod, PodSpec};
use crate::seam::Effect;
use crate::store::{Store, View};

/// Labels begin so.
const PREFIX: &str = "pod-security.kubernetes.io/";
const LEVELS: [&str; 3] = ["privileged", "baseline", "restricted"];
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const ENFORCE_VERSION: &str = "pod-security.kubernetes.io/enforce-version";
const AUDIT: &str = "pod-security.kubernetes.io/audit";
const AUDIT_VERSION: &str = "pod-security.kubernetes.io/audit-version";
const WARN: &str = "pod-security.kubernetes.io/warn";
const WARN_VERSION: &str = "pod-security.kubernetes.io/warn-version";
const LATEST: &str = "latest";

/// So many of the pods are looked at that are there when a namespace's labels change.
const CHECKED_PODS_MAX: usize = 3_000;

/// A level and its version.
type Policy<'a> = (&'a str, &'a str);

/// Why a pod may not be stored in its namespace. A level that there is not counts as the highest, such a version as the
/// latest.
pub(super) fn violation(view: View<'_>, pod: &Pod) -> Option<String> {
    let (_, namespace) = view.find::<Namespace>(&Name::default(), &pod.meta.namespace)?;
    Some(format!("violates {}", told(enforced(&namespace.meta.labels)?, &pod.spec, Judged::Pod)?))
}

/// Whether a request writes what the plugin looks at: subresources it passes over.
///
/// Source: `ValidateNamespace`, `ValidatePod`, `ValidatePodController`,
/// staging/src/k8s.io/pod-security-admission/admission/admission.go (v1.34.1).
pub(super) fn judges(request: &Request) -> bool {
    match request {
        Request::Create(_) | Request::Update { .. } | Request::Apply { .. } => true,
        Request::DryRun(request) => judges(request),
        Request::Patch { patch, .. } => {
            !matches!(patch, Patch::Replicas(_) | Patch::PodCondition { .. } | Patch::PodNomination { .. })
        }
        _ => false,
    }
}

/// Records what the audit and, if it is a user, who asked is told of the writes after `before`.
pub(super) fn record_told(ctx: &mut Context<'_>, store: &Store, before: Revision, by: Author) {
    let view = store.newest();
    for change in store.changes_between(before, store.head()) {
        let Some(new) = view.at(change.revision).object(change.kind, change.row) else { continue };
        if change.kind != Kind::Namespace && new.pod_parts().is_none() {
            continue;
        }
        let old = view.before(change.revision).object(change.kind, change.row);
        let mut record = |what| {
            ctx.out.push(Effect::Record(Fact { subject: new.key(), what, by: Some(by) }));
        };
        if let Some(message) = audited(view, &new, old.as_ref()) {
            record(What::Audited { message: message.into() });
        }
        if by == Author::User {
            warnings(view, &new, old.as_ref()).into_iter().for_each(|it| record(What::Warned { message: it.into() }));
        }
    }
}

/// What the audit is told of a stored object, as the annotation `pod-security.kubernetes.io/audit-violations`.
fn audited(view: View<'_>, object: &Object, before: Option<&Object>) -> Option<String> {
    let (_, namespace) = view.find::<Namespace>(&Name::default(), &object.meta().namespace)?;
    let labels = &namespace.meta.labels;
    would_violate(known_policy(labels, AUDIT, AUDIT_VERSION)?, enforced(labels), object, before)
}

/// What a user who writes an object is told of it, though it is stored: that its pods would violate the level of which
/// the namespace's labels warn, and of a namespace what its pods have against the level that it enforces from now on. A
/// level that there is not warns of nothing; where none is named, it is the enforced one.
///
/// Source: `PolicyToEvaluate`, staging/src/k8s.io/pod-security-admission/api/helpers.go (v1.34.1).
fn warnings(view: View<'_>, object: &Object, before: Option<&Object>) -> Vec<String> {
    if let Object::Namespace(namespace) = object {
        let Some(Object::Namespace(old)) = before else { return Vec::new() };
        return of_pods_there(view, namespace, old);
    }
    let Some((_, namespace)) = view.find::<Namespace>(&Name::default(), &object.meta().namespace) else {
        return Vec::new();
    };
    let labels = &namespace.meta.labels;
    let enforced = enforced(labels);
    let policy = if labels.get(WARN).is_some() {
        known_policy(labels, WARN, WARN_VERSION)
    } else {
        let named = known_policy(labels, ENFORCE, ENFORCE_VERSION);
        named.map(|(level, of_level)| (level, labels.get(WARN_VERSION).map_or(of_level, |it| version_of(it))))
    };
    policy.and_then(|policy| would_violate(policy, enforced, object, before)).into_iter().collect()
}

fn would_violate(
    policy: Policy<'_>,
    enforced: Option<Policy<'_>>,
    object: &Object,
    before: Option<&Object>,
) -> Option<String> {
    let (_, spec) = object.pod_parts()?;
    let judged = if let Object::Pod(pod) = object {
        let is_seen_already = matches!(before, Some(Object::Pod(old)) if !concerns_update(&pod.spec, &old.spec));
        // A pod that is stored agrees with what is enforced.
        if is_seen_already || enforced == Some(policy) {
            return None;
        }
        Judged::Pod
    } else {
        Judged::Template
    };
    Some(format!("would violate {}", told(policy, spec, judged)?))
}

/// What a namespace's pods have against the level that it enforces from now on, if it is a stricter one or of another
/// version: pods that fail the same checks together, by the first of their names. Of very many pods those are looked at
/// first that are not made by the same controller as others.
///
/// Source: `EvaluatePodsInNamespace`, `prioritizePods`,
/// staging/src/k8s.io/pod-security-admission/admission/admission.go (v1.34.1).
fn of_pods_there(view: View<'_>, namespace: &Namespace, old: &Namespace) -> Vec<String> {
    const NOTHING: Policy<'_> = ("privileged", LATEST);
    let policy = enforced_or(NOTHING, &namespace.meta.labels);
    let before = enforced_or(NOTHING, &old.meta.labels);
    let strictness = |level: &str| LEVELS.iter().position(|known| *known == level);
    let (level, version) = policy;
    if policy == before || version == before.1 && strictness(level) <= strictness(before.0) || level == "privileged" {
        return Vec::new();
    }
    let mut controllers = BTreeSet::new();
    let pods = view.in_namespace::<Pod>(&namespace.meta.name).map(|(_, pod)| pod);
    let (mut pods, more): (Vec<_>, Vec<_>) =
        pods.partition(|pod| pod.meta.controller().is_none_or(|owner| controllers.insert(owner.uid)));
    pods.extend(more);
    let there = pods.len();
    pods.truncate(CHECKED_PODS_MAX);
    let mut found = BTreeMap::<String, (&Name, usize)>::new();
    for pod in &pods {
        let violations = violations(policy, &pod.spec, Judged::Pod);
        if violations.is_empty() {
            continue;
        }
        let reasons: Vec<&str> = violations.iter().map(|it| Violation::short(it)).collect();
        let (first, count) = found.entry(reasons.join(", ")).or_insert((&pod.meta.name, 0));
        *first = (*first).min(&pod.meta.name);
        *count += 1;
    }
    let mut said = Vec::new();
    if pods.len() < there {
        let checked = pods.len();
        said.push(format!(
            "new PodSecurity enforce level only checked against the first {checked} of {there} existing pods"
        ));
    }
    if !found.is_empty() {
        let name = &namespace.meta.name;
        said.push(format!(
            "existing pods in namespace \"{name}\" violate the new PodSecurity enforce level \"{level}:{version}\""
        ));
    }
    let mut lines: Vec<String> = found
        .iter()
        .map(|(reasons, (name, count))| match count {
            1 => format!("{name}: {reasons}"),
            2 => format!("{name} (and 1 other pod): {reasons}"),
            count => format!("{name} (and {} other pods): {reasons}", count - 1),
        })
        .collect();
    lines.sort();
    said.extend(lines);
    said
}

fn enforced(labels: &Labels) -> Option<Policy<'_>> {
    let level = labels.get(ENFORCE)?;
    let level = if LEVELS.contains(&&**level) { level } else { "restricted" };
    Some((level, labels.get(ENFORCE_VERSION).map_or(LATEST, |version| version_of(version))))
}

/// The enforced level, or another one in the enforced version.
fn enforced_or<'a>((level, _): Policy<'a>, labels: &'a Labels) -> Policy<'a> {
    enforced(labels).unwrap_or((level, labels.get(ENFORCE_VERSION).map_or(LATEST, |version| version_of(version))))
}

/// The level of a mode, if there is such a level.
fn known_policy<'a>(labels: &'a Labels, level: &str, version: &str) -> Option<Policy<'a>> {
    let level = labels.get(level).filter(|level| LEVELS.contains(&&***level))?;
    Some((level, labels.get(version).map_or(LATEST, |version| version_of(version))))
}

fn version_of(version: &str) -> &str {
    if is_version(version) { version } else { LATEST }
}

/// What a level has against a spec.
fn told(policy: Policy<'_>, spec: &PodSpec, judged: Judged) -> Option<String> {
    let (level, version) = policy;
    let found = violations(policy, spec, judged);
    (!found.is_empty()).then(|| format!("PodSecurity \"{level}:{version}\": {}", found.join(", ")))
}

fn violations((level, version): Policy<'_>, spec: &PodSpec, judged: Judged) -> Vec<Name> {
    if level == "privileged" {
        return Vec::new();
    }
    let minor = version.strip_prefix("v1.").and_then(|minor| minor.parse().ok()).unwrap_or(u16::MAX);
    spec.violations(level == "restricted", minor, judged)
}

/// Whether the plugin looks at a pod again: only at other images.
///
/// Source: `isSignificantPodUpdate`, staging/src/k8s.io/pod-security-admission/admission/admission.go (v1.34.1).
pub(super) fn concerns_update(new: &PodSpec, old: &PodSpec) -> bool {
    fn images(spec: &PodSpec) -> impl Iterator<Item = &Name> {
        spec.init_containers.iter().chain(&spec.containers).map(|container| &container.image)
    }
    !images(new).eq(images(old))
}

/// Whether the labels of a namespace enforce a level that forbids anything.
pub(super) fn enforces(labels: &Labels) -> bool {
    enforced(labels).is_some_and(|(level, _)| level != "privileged")
}

/// What is wrong with labels of a namespace that name levels or versions that there are not.
pub(super) fn wrong_labels(labels: &Labels) -> Option<String> {
    if labels.is_empty() {
        return None;
    }
    let mut faults = Vec::new();
    for (mode, is_level) in ["enforce", "enforce-version", "audit", "audit-version", "warn", "warn-version"]
        .into_iter()
        .zip([true, false].into_iter().cycle())
    {
        let label = format!("{PREFIX}{mode}");
        let Some(value) = labels.get(&label) else { continue };
        let why = match is_level {
            true if !LEVELS.contains(&&**value) => format!("must be one of {}", LEVELS.join(", ")),
            false if !is_version(value) => "must be \"latest\" or \"v1.x\"".to_owned(),
            _ => continue,
        };
        faults.push(format!("metadata.labels[{label}]: Invalid value: \"{value}\": {why}"));
    }
    together(&faults)
}

fn is_version(text: &str) -> bool {
    let minor = text.strip_prefix("v1.").unwrap_or_default();
    let is_number =
        minor == "0" || minor.starts_with(|c: char| c != '0') && minor.bytes().all(|it| it.is_ascii_digit());
    text == LATEST || !minor.is_empty() && is_number
}
