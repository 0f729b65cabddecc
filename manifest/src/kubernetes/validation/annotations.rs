//! Checks of the annotations of pods and templates that mean something to Kubernetes.
//!
//! Source: `ValidatePodSpecificAnnotations`, `validateSeccompAnnotationsAndFields`,
//! `validateAppArmorAnnotationsAndFieldsMatchOnCreate`, pkg/apis/core/validation/validation.go (v1.34.1). Absent on
//! purpose: tolerations in an annotation, which nobody has written since Kubernetes 1.6.

use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::mounts;
use super::report::{At, Report};
use super::windows;

const MIRROR: &str = "kubernetes.io/config.mirror";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Checks the annotations by themselves, and that containers that they name are there.
pub(super) fn of_pod(report: &mut Report, at: &At, meta: &ObjectMeta, spec: &PodSpec) {
    let Some(annotations) = &meta.annotations else { return };
    if let Some(value) = annotations.get(MIRROR)
        && spec.node_name.as_deref().unwrap_or_default().is_empty()
    {
        let detail = "must set spec.nodeName if mirror pod annotation is set";
        report.invalid(&at.key(MIRROR), value, detail);
    }
    if let Some(cost) = annotations.get(DELETION_COST)
        && !is_cost(cost)
    {
        report.invalid(&at.key(DELETION_COST), cost, "must be a 32bit integer");
    }
    if let Some(profile) = annotations.get(SECCOMP_POD) {
        seccomp(report, &at.child(SECCOMP_POD), profile);
    }
    for (key, profile) in annotations.iter().filter(|(key, _)| key.starts_with(SECCOMP_CONTAINER)) {
        seccomp(report, &at.child(key), profile);
    }
    for (key, profile) in annotations {
        let Some(container) = key.strip_prefix(APP_ARMOR) else { continue };
        if !windows::contexts(spec, at).iter().any(|(_, name, _)| *name == container) {
            report.invalid(&at.key(key), &container, "container not found");
        }
        let known = ["", "runtime/default", "unconfined"];
        if !known.contains(&profile.as_str()) && !profile.starts_with("localhost/") {
            let detail = format!("invalid AppArmor profile name: {profile:?}");
            report.invalid(&at.key(key), profile, &detail);
        }
    }
}

/// A whole number without a plus and without zeros before it.
fn is_cost(text: &str) -> bool {
    text.parse::<i32>().is_ok_and(|_| !text.starts_with('+') && (text == "0" || !text.starts_with('0')))
}

fn seccomp(report: &mut Report, at: &At, profile: &str) {
    match profile.strip_prefix("localhost/") {
        _ if ["runtime/default", "docker/default", "unconfined"].contains(&profile) => {}
        Some(path) => mounts::descending_path(report, at, path),
        None => report.invalid(at, &profile, "must be a valid seccomp profile"),
    }
}

/// Checks that annotations do not say otherwise than the fields that have taken their place.
pub(super) fn match_fields(report: &mut Report, at: &At, meta: &ObjectMeta, spec: &PodSpec) {
    let annotation = |key: &str| meta.annotations.as_ref().and_then(|annotations| annotations.get(key));
    let own = spec.security_context.as_ref();
    if let (Some(profile), Some(said)) = (own.and_then(|it| it.seccomp_profile.as_ref()), annotation(SECCOMP_POD)) {
        let at = at.child("securityContext").child("seccompProfile");
        same(report, &at, "seccomp", (&profile.type_, profile.localhost_profile.as_deref()), said);
    }
    let containers = windows::contexts(spec, at);
    for (at, name, context) in &containers {
        let profile = context.and_then(|context| context.seccomp_profile.as_ref());
        if let (Some(profile), Some(said)) = (profile, annotation(&format!("{SECCOMP_CONTAINER}{name}"))) {
            let at = at.child("securityContext").child("seccompProfile");
            same(report, &at, "seccomp", (&profile.type_, profile.localhost_profile.as_deref()), said);
        }
    }
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return;
    }
    for (at, name, context) in &containers {
        let profile = context.and_then(|context| context.app_armor_profile.as_ref());
        let profile = profile.or(own.and_then(|own| own.app_armor_profile.as_ref()));
        if let (Some(profile), Some(said)) = (profile, annotation(&format!("{APP_ARMOR}{name}"))) {
            let at = at.child("securityContext").child("appArmorProfile");
            same(report, &at, "apparmor", (&profile.type_, profile.localhost_profile.as_deref()), said);
        }
    }
}

fn same(report: &mut Report, at: &At, what: &str, profile: (&str, Option<&str>), said: &str) {
    let differs = || format!("{what} type in annotation and field must match");
    match profile {
        ("Unconfined", _) if said != "unconfined" => report.forbidden(&at.child("type"), &differs()),
        ("RuntimeDefault", _) if said != "runtime/default" && !(what == "seccomp" && said == "docker/default") => {
            report.forbidden(&at.child("type"), &differs());
        }
        ("Localhost", path) => match said.strip_prefix("localhost/") {
            None => report.forbidden(&at.child("type"), &differs()),
            Some(said) if path != Some(said) => {
                let detail = format!("{what} profile in annotation and field must match");
                report.forbidden(&at.child("localhostProfile"), &detail);
            }
            Some(_) => {}
        },
        _ => {}
    }
}
