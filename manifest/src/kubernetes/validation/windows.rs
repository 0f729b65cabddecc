//! Checks of pods for another operating system than Linux, and of those that say which one they are for.
//!
//! Source: `validateOS`, `validateLinux`, `validateWindows`, `validateWindowsHostProcessPod`,
//! `validateWindowsSecurityContextOptions`, pkg/apis/core/validation/validation.go (v1.34.1).

use k8s_openapi::api::core::v1::{PodSpec, SecurityContext, WindowsSecurityContextOptions};

use super::names;
use super::report::{AsJson, At, Report};

const LINUX_ONLY: &str = "windows options cannot be set for a linux pod";
const NOT_WINDOWS: &str = "cannot be set for a windows pod";
const CREDENTIAL_SPEC_KIB: usize = 64;
const DOMAIN_MAX: usize = 256;
const USER_MAX: usize = 104;

/// The security contexts of a pod's containers with their places: init containers first, ephemeral ones last.
pub(super) fn contexts<'a>(spec: &'a PodSpec, at: &At) -> Vec<(At, &'a str, Option<&'a SecurityContext>)> {
    let of = |list: &str, index: usize| at.child(list).index(index);
    let mut found = Vec::new();
    for (index, it) in spec.init_containers.iter().flatten().enumerate() {
        found.push((of("initContainers", index), it.name.as_str(), it.security_context.as_ref()));
    }
    for (index, it) in spec.containers.iter().enumerate() {
        found.push((of("containers", index), it.name.as_str(), it.security_context.as_ref()));
    }
    for (index, it) in spec.ephemeral_containers.iter().flatten().enumerate() {
        found.push((of("ephemeralContainers", index), it.name.as_str(), it.security_context.as_ref()));
    }
    found
}

/// Checks the operating system that a pod names, and what it may not have because of it.
pub(super) fn os(report: &mut Report, at: &At, spec: &PodSpec) {
    let Some(os) = &spec.os else { return };
    match os.name.as_str() {
        "" => report.required(&at.child("os").child("name"), ""),
        "linux" => linux(report, at, spec),
        "windows" => windows(report, at, spec),
        other => report.not_supported(&at.child("os"), &other, &["linux", "windows"]),
    }
}

fn linux(report: &mut Report, at: &At, spec: &PodSpec) {
    let own = spec.security_context.as_ref().is_some_and(|context| context.windows_options.is_some());
    if own {
        report.forbidden(&at.child("securityContext").child("windowsOptions"), LINUX_ONLY);
    }
    for (at, _, context) in contexts(spec, at) {
        if context.is_some_and(|context| context.windows_options.is_some()) {
            report.forbidden(&at.child("securityContext").child("windowsOptions"), LINUX_ONLY);
        }
    }
}

fn windows(report: &mut Report, at: &At, spec: &PodSpec) {
    let inner = at.child("securityContext");
    if let Some(context) = &spec.security_context {
        let fields = [
            (&inner, "appArmorProfile", context.app_armor_profile.is_some()),
            (&inner, "seLinuxOptions", context.se_linux_options.is_some()),
            (at, "hostUsers", spec.host_users.is_some()),
            (at, "hostPID", spec.host_pid == Some(true)),
            (at, "hostIPC", spec.host_ipc == Some(true)),
            (&inner, "seccompProfile", context.seccomp_profile.is_some()),
            (&inner, "fsGroup", context.fs_group.is_some()),
            (&inner, "fsGroupChangePolicy", context.fs_group_change_policy.is_some()),
            (&inner, "sysctls", context.sysctls.as_ref().is_some_and(|list| !list.is_empty())),
            (at, "shareProcessNamespace", spec.share_process_namespace.is_some()),
            (&inner, "runAsUser", context.run_as_user.is_some()),
            (&inner, "runAsGroup", context.run_as_group.is_some()),
            (&inner, "supplementalGroups", context.supplemental_groups.is_some()),
            (&inner, "supplementalGroupsPolicy", context.supplemental_groups_policy.is_some()),
            (&inner, "seLinuxChangePolicy", context.se_linux_change_policy.is_some()),
        ];
        for (at, field, _) in fields.into_iter().filter(|(_, _, set)| *set) {
            report.forbidden(&at.child(field), NOT_WINDOWS);
        }
    }
    for (at, _, context) in contexts(spec, at) {
        let (Some(context), at) = (context, at.child("securityContext")) else { continue };
        let fields = [
            ("appArmorProfile", context.app_armor_profile.is_some()),
            ("seLinuxOptions", context.se_linux_options.is_some()),
            ("seccompProfile", context.seccomp_profile.is_some()),
            ("capabilities", context.capabilities.is_some()),
            ("readOnlyRootFilesystem", context.read_only_root_filesystem.is_some()),
            ("privileged", context.privileged.is_some()),
            ("allowPrivilegeEscalation", context.allow_privilege_escalation.is_some()),
            ("procMount", context.proc_mount.is_some()),
            ("runAsUser", context.run_as_user.is_some()),
            ("runAsGroup", context.run_as_group.is_some()),
        ];
        for (field, _) in fields.into_iter().filter(|(_, set)| *set) {
            report.forbidden(&at.child(field), NOT_WINDOWS);
        }
    }
}

/// Checks that containers which are processes of the host are so all together, and on the host's network.
pub(super) fn host_processes(report: &mut Report, at: &At, spec: &PodSpec) {
    let asked = |options: Option<&WindowsSecurityContextOptions>| options.and_then(|it| it.host_process);
    let of_pod = asked(spec.security_context.as_ref().and_then(|context| context.windows_options.as_ref()));
    let (mut all, mut on_host) = (0, 0);
    for (at, _, context) in contexts(spec, at) {
        all += 1;
        let own = asked(context.and_then(|context| context.windows_options.as_ref()));
        if let (Some(of_pod), Some(own)) = (of_pod, own)
            && of_pod != own
        {
            let detail = format!("pod hostProcess value must be identical if both are specified, was {of_pod}");
            let at = at.child("securityContext").child("windowsOptions").child("hostProcess");
            report.invalid(&at, &AsJson(&own), &detail);
        }
        on_host += usize::from(own.or(of_pod) == Some(true));
    }
    if on_host == 0 {
        return;
    }
    if on_host != all {
        let detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        report.invalid(at, &"", detail);
    }
    if spec.host_network != Some(true) {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        report.invalid(&at.child("hostNetwork"), &AsJson(&false), detail);
    }
    if report.forbids_privileged {
        report.forbidden(at, "hostProcess containers are disallowed by cluster policy");
    }
}

/// Checks what only Windows has of a security context.
pub(super) fn options(report: &mut Report, at: &At, options: Option<&WindowsSecurityContextOptions>) {
    let Some(options) = options else { return };
    if let Some(name) = &options.gmsa_credential_spec_name {
        report.invalid_each(&at.child("gmsaCredentialSpecName"), name, names::dns_subdomain(name));
    }
    if let Some(text) = &options.gmsa_credential_spec {
        let at = at.child("gmsaCredentialSpec");
        if text.is_empty() {
            report.invalid(&at, text, "gmsaCredentialSpec cannot be an empty string");
        } else if text.len() > CREDENTIAL_SPEC_KIB << 10 {
            report.invalid(&at, text, &format!("gmsaCredentialSpec size must be under {CREDENTIAL_SPEC_KIB} KiB"));
        }
    }
    if let Some(name) = &options.run_as_user_name {
        report.invalid_each(&at.child("runAsUserName"), name, user_name_faults(name));
    }
}

/// What is wrong with the name of a user of Windows, with or without its domain.
fn user_name_faults(name: &str) -> Vec<String> {
    let one = |text: &str| vec![format!("runAsUserName{text}")];
    if name.is_empty() {
        return one(" cannot be an empty string");
    }
    if name.chars().any(|c| c.is_ascii_control()) {
        return one(" cannot contain control characters");
    }
    let parts: Vec<&str> = name.split('\\').collect();
    let (domain, user) = match parts.as_slice() {
        [user] => (None, *user),
        [domain, user] => (Some(*domain), *user),
        _ => return one(" cannot contain more than one backslash"),
    };
    let mut faults = Vec::new();
    if let Some(domain) = domain {
        if domain.len() >= DOMAIN_MAX {
            faults.push(format!("runAsUserName's Domain length must be under {DOMAIN_MAX} characters"));
        }
        if !is_net_bios(domain) && !is_dns(domain) {
            faults.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format".to_owned());
        }
    }
    if user.is_empty() {
        faults.push("runAsUserName's User cannot be empty".to_owned());
    } else if user.len() > USER_MAX {
        faults.push(format!("runAsUserName's User length must not be longer than {USER_MAX} characters"));
    }
    if !user.is_empty() && user.chars().all(|c| matches!(c, '.' | ' ')) {
        faults.push("runAsUserName's User cannot contain only periods or spaces".to_owned());
    }
    if user.contains(['"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']']) {
        let detail = r#"runAsUserName's User cannot contain the following characters: "/\:;|=,+*?<>@[]"#;
        faults.push(detail.to_owned());
    }
    faults
}

fn is_net_bios(domain: &str) -> bool {
    let refused = ['\\', '/', ':', '*', '?', '"', '<', '>', '|'];
    (1..=15).contains(&domain.chars().count()) && !domain.starts_with('.') && !domain.contains(refused)
}

fn is_dns(domain: &str) -> bool {
    domain.split('.').all(|label| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        (1..=63).contains(&label.len())
            && edge(label.chars().next())
            && edge(label.chars().last())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    })
}
