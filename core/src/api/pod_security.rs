//! The PodSecurity plugin: what the level that a namespace's labels enforce forbids to pods.
//!
//! What the levels of the other two modes have against an object is told: to the audit, and to the user who writes it,
//! both as facts. Without labels, and in exempt namespaces, the plugin's configuration stands. Absent on purpose: what
//! the audit is told of refused pods, and the time (1 s) after which no more of the pods are looked at that are there
//! when a namespace's labels change.
//!
//! Source: staging/src/k8s.io/pod-security-admission/{admission/admission.go,api/helpers.go} (v1.34.1).

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{Patch, Request, together};
use crate::author::Author;
use crate::config::{PodSecurityConfig, PodSecurityLevel};
use crate::context::Context;
use crate::facts::{Fact, What};
use crate::id::{Name, Revision};
use crate::model::pod_security::{Judged, Violation};
use crate::model::{Labels, Namespace, Object, Pod, PodSpec};
use crate::seam::Effect;
use crate::store::{Store, View};

/// Labels begin so.
const PREFIX: &str = "pod-security.kubernetes.io/";
/// The level that forbids nothing.
const PRIVILEGED: &str = "privileged";
const LEVELS: [&str; 3] = [PRIVILEGED, "baseline", "restricted"];
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

/// What holds in a namespace.
#[derive(PartialEq, Eq)]
struct Policies<'a> {
    enforce: Policy<'a>,
    audit: Policy<'a>,
    warn: Policy<'a>,
}

impl<'a> Policies<'a> {
    /// What labels make of the configuration. An enforced level that there is not counts as the highest, such levels of
    /// the other modes as none, and such a version as the latest. Without a label of its own the level to warn of is
    /// the enforced one, if that is named and stricter.
    ///
    /// Source: `PolicyToEvaluate`, staging/src/k8s.io/pod-security-admission/api/helpers.go (v1.34.1).
    fn of(config: &'a PodSecurityConfig, labels: &'a Labels) -> Policies<'a> {
        // Nearly all namespaces: this is asked for each pod that is written.
        if !labels.iter().any(|(label, _)| label.starts_with(PREFIX)) {
            let [enforce, audit, warn] =
                [&config.enforce, &config.audit, &config.warn].map(|it| (&*it.level, &*it.version));
            return Policies { enforce, audit, warn };
        }
        let policy = |default: &'a PodSecurityLevel, mode: [&str; 2], otherwise: &'static str| -> Policy<'a> {
            let [level, version] = mode.map(|label| labels.get(label));
            let level = level.map_or(&*default.level, |level| if is_level(level) { level } else { otherwise });
            (level, version.map_or(&*default.version, |version| version_of(version)))
        };
        let enforce = policy(&config.enforce, [ENFORCE, ENFORCE_VERSION], "restricted");
        let audit = policy(&config.audit, [AUDIT, AUDIT_VERSION], PRIVILEGED);
        let mut warn = policy(&config.warn, [WARN, WARN_VERSION], PRIVILEGED);
        let is_named = labels.get(ENFORCE).is_some_and(|level| is_level(level));
        if labels.get(WARN).is_none() && is_named && strictness(enforce.0) > strictness(warn.0) {
            warn = (enforce.0, if labels.get(WARN_VERSION).is_some() { warn.1 } else { enforce.1 });
        }
        Policies { enforce, audit, warn }
    }

    fn all(&self) -> [Policy<'a>; 3] {
        [self.enforce, self.audit, self.warn]
    }
}

/// What holds for the objects of a namespace; `None` if it is exempt or not there.
fn policies<'a>(config: &'a PodSecurityConfig, view: View<'a>, namespace: &Name) -> Option<Policies<'a>> {
    let (_, namespace) = view.find::<Namespace>(&Name::default(), namespace)?;
    (!is_exempt(config, &namespace.meta.name)).then(|| Policies::of(config, &namespace.meta.labels))
}

fn is_exempt(config: &PodSecurityConfig, namespace: &str) -> bool {
    config.exempt_namespaces.iter().any(|exempt| **exempt == *namespace)
}

/// Why a pod may not be stored in its namespace.
pub(super) fn violation(config: &PodSecurityConfig, view: View<'_>, pod: &Pod) -> Option<String> {
    let policies = policies(config, view, &pod.meta.namespace)?;
    Some(format!("violates {}", told(policies.enforce, &pod.spec, Judged::Pod)?))
}

/// Whether a request writes what the plugin looks at: subresources it passes over.
///
/// Source: `ValidateNamespace`, `ValidatePod`, `ValidatePodController`,
/// staging/src/k8s.io/pod-security-admission/admission/admission.go (v1.34.1).
pub(super) fn judges(request: &Request) -> bool {
    match request {
        Request::Create(_) | Request::Update { .. } | Request::Apply { .. } => true,
        Request::Patch { patch, .. } => {
            !matches!(patch, Patch::Replicas(_) | Patch::PodCondition { .. } | Patch::PodNomination { .. })
        }
        _ => false,
    }
}

/// Records what the audit and, if it is a user, who asked is told of the writes after `before`: that pods would violate
/// the level of either mode, though they are stored, and of a namespace what its pods have against the level that it
/// enforces from now on, or that it is exempt. The audit has it as the annotation `audit-violations`.
pub(super) fn record_told(ctx: &mut Context<'_>, store: &Store, before: Revision, by: Author) {
    let (view, config) = (store.newest(), &ctx.config.api_server.pod_security);
    for change in store.changes_between(before, store.head()) {
        let Some(new) = view.at(change.revision).object(change.kind, change.row) else { continue };
        let mut record = |what| {
            ctx.out.push(Effect::Record(Fact { subject: new.key(), what, by: Some(by) }));
        };
        if let Object::Namespace(namespace) = &new {
            if by == Author::User {
                let old = view.sides::<Namespace>(change).0;
                let said = of_namespace(config, view, namespace, old);
                said.into_iter().for_each(|it| record(What::Warned { message: it.into() }));
            }
            continue;
        }
        if new.pod_parts().is_none() {
            continue;
        }
        let Some(policies) = policies(config, view, &new.meta().namespace) else { continue };
        if policies.all().iter().all(|(level, _)| *level == PRIVILEGED) {
            continue;
        }
        let old = view.before(change.revision).object(change.kind, change.row);
        let would = |policy| would_violate(policy, policies.enforce, &new, old.as_ref());
        if let Some(message) = would(policies.audit) {
            record(What::Audited { message: message.into() });
        }
        if by == Author::User
            && let Some(message) = would(policies.warn)
        {
            record(What::Warned { message: message.into() });
        }
    }
}

fn would_violate(policy: Policy<'_>, enforced: Policy<'_>, object: &Object, before: Option<&Object>) -> Option<String> {
    let (_, spec) = object.pod_parts()?;
    let judged = if let Object::Pod(pod) = object {
        let is_seen_already = matches!(before, Some(Object::Pod(old)) if !concerns_update(&pod.spec, &old.spec));
        // A pod that is stored agrees with what is enforced.
        if is_seen_already || enforced == policy {
            return None;
        }
        Judged::Pod
    } else {
        Judged::Template
    };
    Some(format!("would violate {}", told(policy, spec, judged)?))
}

/// What is said to who creates a namespace, or enforces a stricter level or another version of it.
///
/// Source: `ValidateNamespace`, staging/src/k8s.io/pod-security-admission/admission/admission.go (v1.34.1).
fn of_namespace(
    config: &PodSecurityConfig,
    view: View<'_>,
    namespace: &Namespace,
    old: Option<&Namespace>,
) -> Vec<String> {
    let policies = Policies::of(config, &namespace.meta.labels);
    let enforce = policies.enforce;
    if let Some(old) = old {
        let before = Policies::of(config, &old.meta.labels).enforce;
        let is_relaxed = enforce.1 == before.1 && strictness(enforce.0) <= strictness(before.0);
        if enforce == before || is_relaxed || enforce.0 == PRIVILEGED {
            return Vec::new();
        }
    }
    match old {
        _ if is_exempt(config, &namespace.meta.name) => of_exempt(config, namespace, &policies).into_iter().collect(),
        Some(_) => of_pods_there(view, namespace, enforce),
        None => Vec::new(),
    }
}

/// What is said of labels that are ignored, if they say anything.
///
/// Source: `exemptNamespaceWarning`, staging/src/k8s.io/pod-security-admission/admission/admission.go (v1.34.1).
fn of_exempt(config: &PodSecurityConfig, namespace: &Namespace, policies: &Policies<'_>) -> Option<String> {
    let without = Labels::default();
    let plain = |policies: &Policies<'_>| {
        // A level that forbids nothing is the same in all versions.
        policies
            .all()
            .map(|(level, version)| if level == PRIVILEGED { String::new() } else { format!("{level}:{version}") })
    };
    let said = plain(policies);
    if said.iter().all(String::is_empty) || said == plain(&Policies::of(config, &without)) {
        return None;
    }
    let modes = [("enforce", ENFORCE, ENFORCE_VERSION), ("audit", AUDIT, AUDIT_VERSION), ("warn", WARN, WARN_VERSION)];
    let labels = &namespace.meta.labels;
    let told = modes.into_iter().zip(said).filter(|((_, level, version), said)| {
        !said.is_empty() && (labels.get(level).is_some() || labels.get(version).is_some())
    });
    let told: Vec<String> = told.map(|((mode, ..), said)| format!("{mode}={said}")).collect();
    let (name, told) = (&namespace.meta.name, told.join(", "));
    Some(format!("namespace \"{name}\" is exempt from Pod Security, and the policy ({told}) will be ignored"))
}

/// What a namespace's pods have against the level that it enforces from now on: pods that fail the same checks
/// together, by the first of their names. Of very many pods those are looked at first that are not made by the same
/// controller as others.
///
/// Source: `EvaluatePodsInNamespace`, `prioritizePods`,
/// staging/src/k8s.io/pod-security-admission/admission/admission.go (v1.34.1).
fn of_pods_there(view: View<'_>, namespace: &Namespace, policy: Policy<'_>) -> Vec<String> {
    let (level, version) = policy;
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

fn is_level(level: &str) -> bool {
    LEVELS.contains(&level)
}

fn strictness(level: &str) -> Option<usize> {
    LEVELS.iter().position(|known| *known == level)
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
    if level == PRIVILEGED {
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

/// Whether a namespace of these labels enforces a level that forbids anything.
pub(super) fn enforces(config: &PodSecurityConfig, namespace: &str, labels: &Labels) -> bool {
    !is_exempt(config, namespace) && Policies::of(config, labels).enforce.0 != PRIVILEGED
}

/// What is wrong with a level, or with a version, of the plugin's configuration; nothing if it is in order.
pub(super) fn wrong_level(level: &str, version: &str) -> Option<String> {
    level_fault(level).or_else(|| version_fault(version))
}

fn level_fault(level: &str) -> Option<String> {
    (!is_level(level)).then(|| format!("must be one of {}", LEVELS.join(", ")))
}

fn version_fault(version: &str) -> Option<String> {
    (!is_version(version)).then(|| "must be \"latest\" or \"v1.x\"".to_owned())
}

/// What is wrong with labels of a namespace that name levels or versions that there are not.
pub(super) fn wrong_labels(labels: &Labels) -> Option<String> {
    if labels.is_empty() {
        return None;
    }
    let mut faults = Vec::new();
    for (mode, names_level) in ["enforce", "enforce-version", "audit", "audit-version", "warn", "warn-version"]
        .into_iter()
        .zip([true, false].into_iter().cycle())
    {
        let label = format!("{PREFIX}{mode}");
        let Some(value) = labels.get(&label) else { continue };
        let fault = if names_level { level_fault(value) } else { version_fault(value) };
        let Some(why) = fault else { continue };
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
