//! Checks of security contexts, of pods and of containers.
//!
//! Source: `ValidateSecurityContext`, `validatePodSpecSecurityContext`, pkg/apis/core/validation/validation.go
//! (v1.34.1).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{AppArmorProfile, PodSpec, SeccompProfile, SecurityContext, Sysctl};
use serde::Serialize;

use super::mounts;
use super::names;
use super::report::{AsJson, At, Report};
use super::windows;

const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
const SYSCTL_MAX: usize = 253;
const SYSCTL: &str = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
/// The longest path of an AppArmor profile, in bytes.
const PROFILE_PATH_MAX: usize = 4_095;

/// Checks a container's security context.
pub(super) fn container(report: &mut Report, at: &At, context: &SecurityContext, host_users: bool) {
    let is_privileged = context.privileged == Some(true);
    if is_privileged && report.forbids_privileged {
        report.forbidden(&at.child("privileged"), "disallowed by cluster policy");
    }
    user(report, &at.child("runAsUser"), context.run_as_user);
    user(report, &at.child("runAsGroup"), context.run_as_group);
    if let Some(mount) = context.proc_mount.as_deref() {
        let at = at.child("procMount");
        match mount {
            "Default" => {}
            "Unmasked" if host_users => {
                report.invalid(&at, &mount, "`hostUsers` must be false to use `Unmasked`");
            }
            "Unmasked" => {}
            other => report.not_supported(&at, &other, &["Default", "Unmasked"]),
        }
    }
    seccomp(report, &at.child("seccompProfile"), context.seccomp_profile.as_ref());
    if context.allow_privilege_escalation == Some(false) {
        if is_privileged {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            report.invalid(at, &AsJson(&shown(context)), detail);
        }
        let added = context.capabilities.iter().flat_map(|it| it.add.iter().flatten());
        for _ in added.filter(|capability| *capability == "CAP_SYS_ADMIN") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            report.invalid(at, &AsJson(&shown(context)), detail);
        }
    }
    windows::options(report, &at.child("windowsOptions"), context.windows_options.as_ref());
    app_armor(report, &at.child("appArmorProfile"), context.app_armor_profile.as_ref());
}

/// A security context as the API server shows it, which is by the names of its internal type.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown<'a> {
    capabilities: Option<ShownCapabilities<'a>>,
    privileged: Option<bool>,
    #[serde(rename = "SELinuxOptions")]
    se_linux_options: Option<ShownSeLinux<'a>>,
    windows_options: Option<ShownWindows<'a>>,
    run_as_user: Option<i64>,
    run_as_group: Option<i64>,
    run_as_non_root: Option<bool>,
    read_only_root_filesystem: Option<bool>,
    allow_privilege_escalation: Option<bool>,
    proc_mount: Option<&'a str>,
    seccomp_profile: Option<ShownProfile<'a>>,
    app_armor_profile: Option<ShownProfile<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownCapabilities<'a> {
    add: &'a Option<Vec<String>>,
    drop: &'a Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownSeLinux<'a> {
    user: &'a str,
    role: &'a str,
    r#type: &'a str,
    level: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownWindows<'a> {
    #[serde(rename = "GMSACredentialSpecName")]
    credential_spec_name: &'a Option<String>,
    #[serde(rename = "GMSACredentialSpec")]
    credential_spec: &'a Option<String>,
    run_as_user_name: &'a Option<String>,
    host_process: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ShownProfile<'a> {
    r#type: &'a str,
    localhost_profile: Option<&'a str>,
}

fn shown(context: &SecurityContext) -> Shown<'_> {
    fn text(text: &Option<String>) -> &str {
        text.as_deref().unwrap_or_default()
    }
    Shown {
        capabilities: context.capabilities.as_ref().map(|it| ShownCapabilities { add: &it.add, drop: &it.drop }),
        privileged: context.privileged,
        se_linux_options: context.se_linux_options.as_ref().map(|it| ShownSeLinux {
            user: text(&it.user),
            role: text(&it.role),
            r#type: text(&it.type_),
            level: text(&it.level),
        }),
        windows_options: context.windows_options.as_ref().map(|it| ShownWindows {
            credential_spec_name: &it.gmsa_credential_spec_name,
            credential_spec: &it.gmsa_credential_spec,
            run_as_user_name: &it.run_as_user_name,
            host_process: it.host_process,
        }),
        run_as_user: context.run_as_user,
        run_as_group: context.run_as_group,
        run_as_non_root: context.run_as_non_root,
        read_only_root_filesystem: context.read_only_root_filesystem,
        allow_privilege_escalation: context.allow_privilege_escalation,
        proc_mount: context.proc_mount.as_deref(),
        seccomp_profile: context
            .seccomp_profile
            .as_ref()
            .map(|it| ShownProfile { r#type: &it.type_, localhost_profile: it.localhost_profile.as_deref() }),
        app_armor_profile: context
            .app_armor_profile
            .as_ref()
            .map(|it| ShownProfile { r#type: &it.type_, localhost_profile: it.localhost_profile.as_deref() }),
    }
}

fn user(report: &mut Report, at: &At, id: Option<i64>) {
    if let Some(id) = id {
        report.invalid_each(at, &id, names::in_range(id, 0, i64::from(i32::MAX)));
    }
}

fn seccomp(report: &mut Report, at: &At, profile: Option<&SeccompProfile>) {
    let Some(profile) = profile else { return };
    let path_at = at.child("localhostProfile");
    match profile.type_.as_str() {
        "" => report.required(&at.child("type"), "type is required when seccompProfile is set"),
        known if PROFILES.contains(&known) => {}
        other => report.not_supported(&at.child("type"), &other, &PROFILES),
    }
    match (profile.type_.as_str(), &profile.localhost_profile) {
        ("Localhost", None) => report.required(&path_at, "must be set when seccomp type is Localhost"),
        ("Localhost", Some(path)) => mounts::descending_path(report, &path_at, path),
        (_, Some(path)) => {
            let shown = ShownProfile { r#type: &profile.type_, localhost_profile: Some(path) };
            report.invalid(&path_at, &AsJson(&shown), "can only be set when seccomp type is Localhost");
        }
        (_, None) => {}
    }
}

fn app_armor(report: &mut Report, at: &At, profile: Option<&AppArmorProfile>) {
    let Some(profile) = profile else { return };
    let path_at = at.child("localhostProfile");
    const NEEDED: &str = "must be set when AppArmor type is Localhost";
    match (profile.type_.as_str(), &profile.localhost_profile) {
        ("Localhost", None) => report.required(&path_at, NEEDED),
        ("Localhost", Some(path)) => {
            if path.trim() != path {
                report.invalid(&path_at, path, "must not be padded with whitespace");
            } else if path.is_empty() {
                report.required(&path_at, NEEDED);
            }
            if path.len() > PROFILE_PATH_MAX {
                report.too_long(&path_at, PROFILE_PATH_MAX);
            }
        }
        ("RuntimeDefault" | "Unconfined", Some(path)) => {
            report.invalid(&path_at, path, "can only be set when AppArmor type is Localhost");
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => report.required(&at.child("type"), "type is required when appArmorProfile is set"),
        (other, _) => report.not_supported(&at.child("type"), &other, &PROFILES),
    }
}

/// Checks a pod's security context, with the fields of its spec that the API server counts to it.
pub(super) fn pod(report: &mut Report, at: &At, spec: &PodSpec) {
    let Some(context) = &spec.security_context else { return };
    user(report, &at.child("fsGroup"), context.fs_group);
    user(report, &at.child("runAsUser"), context.run_as_user);
    user(report, &at.child("runAsGroup"), context.run_as_group);
    for (index, group) in context.supplemental_groups.iter().flatten().enumerate() {
        user(report, &at.child("supplementalGroups").index(index), Some(*group));
    }
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        report.invalid(&at.child("shareProcessNamespace"), &AsJson(&true), detail);
    }
    sysctls(report, &at.child("sysctls"), spec, context.sysctls.as_deref().unwrap_or_default());
    let one_of = |report: &mut Report, field: &str, value: &Option<String>, supported: &[&str]| {
        if let Some(value) = value.as_deref().filter(|value| !supported.contains(value)) {
            report.not_supported(&at.child(field), &value, supported);
        }
    };
    one_of(report, "fsGroupChangePolicy", &context.fs_group_change_policy, &["Always", "OnRootMismatch"]);
    seccomp(report, &at.child("seccompProfile"), context.seccomp_profile.as_ref());
    windows::options(report, &at.child("windowsOptions"), context.windows_options.as_ref());
    app_armor(report, &at.child("appArmorProfile"), context.app_armor_profile.as_ref());
    one_of(report, "supplementalGroupsPolicy", &context.supplemental_groups_policy, &["Merge", "Strict"]);
    // `MountOption` is behind a gate that is off.
    one_of(report, "seLinuxChangePolicy", &context.se_linux_change_policy, &["Recursive"]);
}

fn sysctls(report: &mut Report, at: &At, spec: &PodSpec, sysctls: &[Sysctl]) {
    let mut seen = BTreeSet::new();
    for (index, sysctl) in sysctls.iter().enumerate() {
        let (at, name) = (at.index(index).child("name"), sysctl.name.as_str());
        if name.is_empty() {
            report.required(&at, "");
        } else if !is_sysctl(name) {
            let detail = format!("must have at most {SYSCTL_MAX} characters and match regex {SYSCTL}");
            report.invalid(&at, &name, &detail);
        } else if seen.contains(name) {
            report.duplicate(&at, &name, "");
        }
        match namespace(name) {
            Some("net") if spec.host_network == Some(true) => {
                report.invalid(&at, &name, "may not be specified when 'hostNetwork' is true");
            }
            Some("ipc") if spec.host_ipc == Some(true) => {
                report.invalid(&at, &name, "may not be specified when 'hostIPC' is true");
            }
            _ => {}
        }
        seen.insert(name);
    }
}

/// The kernel's namespace that a sysctl belongs to.
///
/// Source: staging/src/k8s.io/component-helpers/node/util/sysctl/namespace.go (v1.34.1).
fn namespace(name: &str) -> Option<&'static str> {
    // The first separator tells which one is used.
    let slashes = name.find(['.', '/']).is_some_and(|at| name.as_bytes()[at] == b'/');
    let dotted = if slashes {
        name.chars()
            .map(|c| {
                if c == '/' {
                    '.'
                } else if c == '.' {
                    '/'
                } else {
                    c
                }
            })
            .collect()
    } else {
        name.to_owned()
    };
    match dotted.as_str() {
        "kernel.sem"
        | "kernel.shm"
        | "kernel.shmall"
        | "kernel.shmmax"
        | "kernel.shmmni"
        | "kernel.shm_rmid_forced"
        | "kernel.msg"
        | "kernel.msgmax"
        | "kernel.msgmnb"
        | "kernel.msgmni" => Some("ipc"),
        name if name.starts_with("fs.mqueue.") => Some("ipc"),
        name if name.starts_with("net.") => Some("net"),
        _ => None,
    }
}

fn is_sysctl(name: &str) -> bool {
    let is_edge = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        is_edge(bytes.first())
            && is_edge(bytes.last())
            && bytes.iter().all(|byte| is_edge(Some(byte)) || matches!(byte, b'-' | b'_'))
    };
    name.len() <= SYSCTL_MAX && name.split(['.', '/']).all(is_part)
}
