//! The PodSecurity plugin: what the level that a namespace's labels enforce forbids to pods.
//!
//! Nobody is exempt, and a namespace without labels forbids nothing, as is the plugin's default. Absent on purpose:
//! warnings and audit annotations (and with them the labels' other modes, but for their spelling), which refuse nothing.
//!
//! Source: staging/src/k8s.io/pod-security-admission/{admission/admission.go,api/helpers.go} (v1.34.1).

#[cfg(test)]
mod tests;

use crate::api::together;
use crate::id::Name;
use crate::model::{Labels, Namespace, Pod, PodSpec};
use crate::store::View;

/// Labels begin so.
const PREFIX: &str = "pod-security.kubernetes.io/";
const LEVELS: [&str; 3] = ["privileged", "baseline", "restricted"];
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const ENFORCE_VERSION: &str = "pod-security.kubernetes.io/enforce-version";
const LATEST: &str = "latest";

/// Why a pod may not be stored in its namespace. A level that there is not counts as the highest, such a version as the
/// latest.
pub(super) fn violation(view: View<'_>, pod: &Pod) -> Option<String> {
    let (_, namespace) = view.find::<Namespace>(&Name::default(), &pod.meta.namespace)?;
    let level = namespace.meta.labels.get(ENFORCE)?;
    let level = if LEVELS.contains(&&**level) { level } else { "restricted" };
    if level == "privileged" {
        return None;
    }
    let version = namespace.meta.labels.get(ENFORCE_VERSION).map_or(LATEST, |version| version);
    let version = if is_version(version) { version } else { LATEST };
    let minor = version.strip_prefix("v1.").and_then(|minor| minor.parse().ok()).unwrap_or(u16::MAX);
    let found = pod.spec.violations(level == "restricted", minor);
    (!found.is_empty()).then(|| format!("violates PodSecurity \"{level}:{version}\": {}", found.join(", ")))
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
