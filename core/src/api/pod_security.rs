//! The PodSecurity plugin: what the level that a namespace's labels enforce forbids to pods.
//!
//! Nobody is exempt, and a namespace without labels forbids nothing, as is the plugin's default. Absent on purpose:
//! audit annotations (and with them that mode of the labels, but for its spelling), and what is told of the pods that
//! are there when a namespace's labels change.
//!
//! Source: staging/src/k8s.io/pod-security-admission/{admission/admission.go,api/helpers.go} (v1.34.1).

#[cfg(test)]
mod tests;

use crate::api::together;
use crate::id::Name;
use crate::model::{Labels, Namespace, Object, Pod, PodSpec};
use crate::store::View;

/// Labels begin so.
const PREFIX: &str = "pod-security.kubernetes.io/";
const LEVELS: [&str; 3] = ["privileged", "baseline", "restricted"];
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const ENFORCE_VERSION: &str = "pod-security.kubernetes.io/enforce-version";
const WARN: &str = "pod-security.kubernetes.io/warn";
const WARN_VERSION: &str = "pod-security.kubernetes.io/warn-version";
const LATEST: &str = "latest";

/// A level and its version.
type Policy<'a> = (&'a str, &'a str);

/// Why a pod may not be stored in its namespace. A level that there is not counts as the highest, such a version as the
/// latest.
pub(super) fn violation(view: View<'_>, pod: &Pod) -> Option<String> {
    let (_, namespace) = view.find::<Namespace>(&Name::default(), &pod.meta.namespace)?;
    Some(format!("violates {}", told(enforced(&namespace.meta.labels)?, &pod.spec)?))
}

/// What whoever writes an object is told of it, though it is stored: that its pods would violate the level of which the
/// namespace's labels warn. A level that there is not warns of nothing; where none is named, it is the enforced one.
///
/// Source: `PolicyToEvaluate`, staging/src/k8s.io/pod-security-admission/api/helpers.go (v1.34.1).
pub(super) fn warning(view: View<'_>, object: &Object, before: Option<&Object>) -> Option<String> {
    let (_, spec) = object.pod_parts()?;
    let (_, namespace) = view.find::<Namespace>(&Name::default(), &object.meta().namespace)?;
    let labels = &namespace.meta.labels;
    let enforced = enforced(labels);
    let is_known = |level: &str| LEVELS.contains(&level);
    let version = labels.get(WARN_VERSION).map(|version| version_of(version));
    let policy = match labels.get(WARN) {
        Some(level) if is_known(level) => (&**level, version.unwrap_or(LATEST)),
        Some(_) => return None,
        None => {
            let (level, of_level) = enforced.filter(|_| labels.get(ENFORCE).is_some_and(|level| is_known(level)))?;
            (level, version.unwrap_or(of_level))
        }
    };
    if let Object::Pod(pod) = object {
        let is_seen_already = matches!(before, Some(Object::Pod(old)) if !concerns_update(&pod.spec, &old.spec));
        // A pod that is stored agrees with what is enforced.
        if is_seen_already || enforced == Some(policy) {
            return None;
        }
    }
    Some(format!("would violate {}", told(policy, spec)?))
}

fn enforced(labels: &Labels) -> Option<Policy<'_>> {
    let level = labels.get(ENFORCE)?;
    let level = if LEVELS.contains(&&**level) { level } else { "restricted" };
    Some((level, labels.get(ENFORCE_VERSION).map_or(LATEST, |version| version_of(version))))
}

fn version_of(version: &str) -> &str {
    if is_version(version) { version } else { LATEST }
}

/// What a level has against a spec.
fn told((level, version): Policy<'_>, spec: &PodSpec) -> Option<String> {
    if level == "privileged" {
        return None;
    }
    let minor = version.strip_prefix("v1.").and_then(|minor| minor.parse().ok()).unwrap_or(u16::MAX);
    let found = spec.violations(level == "restricted", minor);
    (!found.is_empty()).then(|| format!("PodSecurity \"{level}:{version}\": {}", found.join(", ")))
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
