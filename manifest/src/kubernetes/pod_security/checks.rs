//! The checks of the levels, each of a pod's spec.
//!
//! Source: staging/src/k8s.io/pod-security-admission/policy/check_*.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{AppArmorProfile, PodSpec};
use serde_json::Value;

use wavetank_core::model::pod_security::{
    Failure, UNRESTRICTED, keep_capabilities, listed, may_be_root, may_call_all, may_escalate,
};

/// The annotations of a pod or of a template.
pub(super) type Annotations = BTreeMap<String, String>;

/// Before the name of a container whose profile of AppArmor is chosen.
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
/// The pod's profile of system calls is chosen.
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// Before the name of a container whose profile of system calls is chosen.
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// Whether an annotation is one by which a profile is chosen.
pub(super) fn chooses_profile(key: &str) -> bool {
    key == SECCOMP_POD || key.starts_with(APP_ARMOR) || key.starts_with(SECCOMP_CONTAINER)
}

/// A check that has failed.
pub(super) type Found = Option<Failure>;

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(super) fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap_or_default()
}

pub(super) fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(|field| items(&spec[field]))
}

/// The names of the containers of which something holds.
fn those(spec: &Value, is_bad: impl Fn(&Value) -> bool) -> Vec<&str> {
    containers(spec).filter(|container| is_bad(container)).map(name).collect()
}

fn quoted<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("\"{word}\"")).collect();
    words.join(", ")
}

fn plural<'a>(one: &'a str, many: &'a str, count: usize) -> &'a str {
    if count == 1 { one } else { many }
}

fn found(short: &'static str, detail: String) -> Found {
    Some((short, detail))
}

/// Who sets something in a security context that must not be set: the pod and containers. `None` if nobody does.
fn setters(spec: &Value, is_bad: impl Fn(&Value) -> bool) -> Option<String> {
    let mut who = Vec::new();
    if is_bad(&spec["securityContext"]) {
        who.push("pod".to_owned());
    }
    let names = those(spec, |container| is_bad(&container["securityContext"]));
    if !names.is_empty() {
        who.push(listed("container", &names));
    }
    (!who.is_empty()).then(|| who.join(" and "))
}

/// The texts at a place of the security contexts of the pod and its containers that are not among the known ones.
fn unknown_values<'a>(spec: &'a Value, place: &str, known: &[&str]) -> BTreeSet<&'a str> {
    let contexts = containers(spec).map(|it| &it["securityContext"]).chain([&spec["securityContext"]]);
    contexts.filter_map(|it| it.pointer(place)?.as_str()).filter(|text| !known.contains(text)).collect()
}

const PROFILES: [&str; 2] = ["RuntimeDefault", "Localhost"];

pub(super) fn app_armor(spec: &Value, annotations: &Annotations) -> Found {
    let bad = unknown_values(spec, "/appArmorProfile/type", &PROFILES);
    let who = setters(spec, |it| it["appArmorProfile"]["type"].as_str().is_some_and(|it| !PROFILES.contains(&it)));
    let is_allowed = |profile: &str| matches!(profile, "" | "runtime/default") || profile.starts_with("localhost/");
    let chosen = annotations.iter().filter(|(key, profile)| key.starts_with(APP_ARMOR) && !is_allowed(profile));
    let chosen: Vec<String> = chosen.map(|(key, profile)| format!("{key}={profile:?}")).collect();
    let by_annotations = (!chosen.is_empty()).then(|| plural("annotation", "annotations", chosen.len()).to_owned());
    let who: Vec<String> = who.into_iter().chain(by_annotations).collect();
    if who.is_empty() {
        return None;
    }
    let short = plural("forbidden AppArmor profile", "forbidden AppArmor profiles", bad.len() + chosen.len());
    let bad = quoted(bad.into_iter().chain(chosen.iter().map(String::as_str)));
    found(short, format!("{} must not set AppArmor profile type to {bad}", who.join(" and ")))
}

/// Puts the profiles of AppArmor that annotations choose into the fields of containers that have none, unless it is
/// the pod's own.
///
/// Source: `applyAppArmorVersionSkew`, pkg/registry/core/pod/strategy.go (v1.34.1).
pub(super) fn choose_app_armor(spec: &mut PodSpec, annotations: &Annotations) {
    if spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return;
    }
    let of_pod = spec.security_context.as_ref().and_then(|it| it.app_armor_profile.clone());
    let init = spec.init_containers.iter_mut().flatten().map(|it| (&it.name, &mut it.security_context));
    let containers = spec.containers.iter_mut().map(|it| (&it.name, &mut it.security_context));
    let debug = spec.ephemeral_containers.iter_mut().flatten().map(|it| (&it.name, &mut it.security_context));
    for (name, context) in init.chain(containers).chain(debug) {
        let chosen = annotations.get(&format!("{APP_ARMOR}{name}")).and_then(|text| app_armor_of(text));
        let has_own = context.as_ref().is_some_and(|it| it.app_armor_profile.is_some());
        if chosen.is_some() && !has_own && chosen != of_pod {
            context.get_or_insert_default().app_armor_profile = chosen;
        }
    }
}

/// The profile that the value of an annotation names; `None` if it names none.
fn app_armor_of(text: &str) -> Option<AppArmorProfile> {
    let (kind, path) = match text {
        "unconfined" => ("Unconfined", None),
        "runtime/default" => ("RuntimeDefault", None),
        _ => ("Localhost", Some(text.strip_prefix("localhost/").filter(|path| !path.trim().is_empty())?)),
    };
    Some(AppArmorProfile { type_: kind.to_owned(), localhost_profile: path.map(str::to_owned) })
}

/// Profiles of system calls that annotations choose, from before there were fields for them.
pub(super) fn seccomp_annotations(spec: &Value, annotations: &Annotations) -> Found {
    let is_allowed =
        |profile: &str| matches!(profile, "runtime/default" | "docker/default") || profile.starts_with("localhost/");
    let keys = containers(spec).map(|it| format!("{SECCOMP_CONTAINER}{}", name(it))).chain([SECCOMP_POD.to_owned()]);
    let chosen = keys.filter_map(|key| Some((annotations.get(&key).filter(|it| !is_allowed(it))?, key)));
    let bad: BTreeSet<String> = chosen.map(|(profile, key)| format!("{key}={profile:?}")).collect();
    let what = plural("forbidden annotation", "forbidden annotations", bad.len());
    (!bad.is_empty()).then(|| ("seccompProfile", format!("{what} {}", bad.into_iter().collect::<Vec<_>>().join(", "))))
}

const DEFAULT_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// The capabilities that a container adds beside the known ones.
fn additions<'a>(container: &'a Value, known: &'a [&'static str]) -> impl Iterator<Item = &'a str> {
    let added = items(&container["securityContext"]["capabilities"]["add"]).filter_map(Value::as_str);
    added.filter(|it| !known.contains(it))
}

/// Containers that add capabilities beside the known ones, and these.
fn adders<'a>(spec: &'a Value, known: &'a [&'static str]) -> (Vec<&'a str>, BTreeSet<&'a str>) {
    let names = those(spec, |it| additions(it, known).next().is_some());
    (names, containers(spec).flat_map(|it| additions(it, known)).collect())
}

pub(super) fn added_capabilities(spec: &Value) -> Found {
    let (names, added) = adders(spec, &DEFAULT_CAPABILITIES);
    if names.is_empty() {
        return None;
    }
    let who = listed("container", &names);
    let detail = format!("{who} must not include {} in securityContext.capabilities.add", quoted(added));
    found("non-default capabilities", detail)
}

pub(super) fn capabilities(spec: &Value) -> Found {
    let keeps = |it: &Value| !items(&it["securityContext"]["capabilities"]["drop"]).any(|it| it == "ALL");
    let mut details = Vec::new();
    let names = those(spec, keeps);
    if !names.is_empty() {
        details.push(keep_capabilities(&names));
    }
    let (names, added) = adders(spec, &["NET_BIND_SERVICE"]);
    if !names.is_empty() {
        let who = listed("container", &names);
        details.push(format!("{who} must not include {} in securityContext.capabilities.add", quoted(added)));
    }
    (!details.is_empty()).then(|| (UNRESTRICTED, details.join("; ")))
}

pub(super) fn host_namespaces(spec: &Value) -> Found {
    let shared = ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|field| spec[*field] == true);
    let shared: Vec<String> = shared.map(|field| format!("{field}=true")).collect();
    (!shared.is_empty()).then(|| ("host namespaces", shared.join(", ")))
}

pub(super) fn host_paths(spec: &Value) -> Found {
    let volumes: Vec<&str> = items(&spec["volumes"]).filter(|it| !it["hostPath"].is_null()).map(name).collect();
    (!volumes.is_empty()).then(|| ("hostPath volumes", listed("volume", &volumes)))
}

pub(super) fn host_ports(spec: &Value) -> Found {
    let of_node = |port: &Value| port["hostPort"].as_u64().filter(|number| *number != 0);
    let of = |it: &Value| items(&it["ports"]).filter_map(of_node).collect::<Vec<_>>();
    let names = those(spec, |it| !of(it).is_empty());
    if names.is_empty() {
        return None;
    }
    let ports: BTreeSet<String> = containers(spec).flat_map(of).map(|port| port.to_string()).collect();
    let (who, uses) = (listed("container", &names), plural("uses", "use", names.len()));
    let what = plural("hostPort", "hostPorts", ports.len());
    found("hostPort", format!("{who} {uses} {what} {}", ports.into_iter().collect::<Vec<_>>().join(", ")))
}

pub(super) fn probed_hosts(spec: &Value) -> Found {
    const HOOKS: [&str; 5] =
        ["/livenessProbe", "/readinessProbe", "/startupProbe", "/lifecycle/postStart", "/lifecycle/preStop"];
    fn of(container: &Value) -> impl Iterator<Item = &str> {
        let hooks = HOOKS.into_iter().filter_map(|place| container.pointer(place));
        let hosts = hooks.flat_map(|it| [&it["httpGet"]["host"], &it["tcpSocket"]["host"]]);
        hosts.filter_map(Value::as_str).filter(|host| !host.is_empty())
    }
    let names: BTreeSet<&str> = those(spec, |it| of(it).next().is_some()).into_iter().collect();
    if names.is_empty() {
        return None;
    }
    let hosts: BTreeSet<&str> = containers(spec).flat_map(of).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let (who, uses) = (listed("container", &names), plural("uses", "use", names.len()));
    let what = plural("probe or lifecycle host", "probe or lifecycle hosts", hosts.len());
    found("probe or lifecycle host", format!("{who} {uses} {what} {}", quoted(hosts)))
}

pub(super) fn privileged(spec: &Value) -> Found {
    let names = those(spec, |it| it["securityContext"]["privileged"] == true);
    let detail = || format!("{} must not set securityContext.privileged=true", listed("container", &names));
    (!names.is_empty()).then(|| ("privileged", detail()))
}

pub(super) fn proc_mount(spec: &Value) -> Found {
    let of = |it: &Value| it["securityContext"]["procMount"].as_str().is_some_and(|it| it != "Default");
    let names = those(spec, of);
    if names.is_empty() {
        return None;
    }
    let mounts = unknown_values(spec, "/procMount", &["Default"]);
    let who = listed("container", &names);
    found("procMount", format!("{who} must not set securityContext.procMount to {}", quoted(mounts)))
}

/// Types of SELinux; the last one is known since 1.31.
const SE_LINUX: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

pub(super) fn se_linux(spec: &Value) -> Found {
    se_linux_beside(spec, &SE_LINUX)
}

pub(super) fn se_linux_to_1_30(spec: &Value) -> Found {
    se_linux_beside(spec, &SE_LINUX[..4])
}

fn se_linux_beside(spec: &Value, known: &[&str]) -> Found {
    let text = |it: &Value, field: &str| it["seLinuxOptions"][field].as_str().unwrap_or_default().to_owned();
    let is_bad = |it: &Value| {
        !known.contains(&text(it, "type").as_str()) || !text(it, "user").is_empty() || !text(it, "role").is_empty()
    };
    let who = setters(spec, is_bad)?;
    let types = unknown_values(spec, "/seLinuxOptions/type", known);
    let mut data = Vec::new();
    if !types.is_empty() {
        data.push(listed("type", &types.into_iter().collect::<Vec<_>>()));
    }
    for field in ["user", "role"] {
        if !unknown_values(spec, &format!("/seLinuxOptions/{field}"), &[""]).is_empty() {
            data.push(format!("{field} may not be set"));
        }
    }
    found("seLinuxOptions", format!("{who} set forbidden securityContext.seLinuxOptions: {}", data.join("; ")))
}

pub(super) fn seccomp_given(spec: &Value) -> Found {
    let is_bad = |it: &Value| it["seccompProfile"]["type"].as_str().is_some_and(|it| !PROFILES.contains(&it));
    let who = setters(spec, is_bad)?;
    let types = unknown_values(spec, "/seccompProfile/type", &PROFILES);
    found("seccompProfile", format!("{who} must not set securityContext.seccompProfile.type to {}", quoted(types)))
}

pub(super) fn seccomp(spec: &Value) -> Found {
    if let Some(given) = seccomp_given(spec) {
        return Some(given);
    }
    let is_set = |it: &Value| !it["seccompProfile"].is_null();
    let names = those(spec, |it| !is_set(&it["securityContext"]) && !is_set(&spec["securityContext"]));
    (!names.is_empty()).then(|| may_call_all(&names))
}

/// Parameters of the kernel that concern the pod alone, those that were always known first.
const SAFE_SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    // Since 1.27.
    "net.ipv4.ip_local_reserved_ports",
    // Since 1.29.
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    // Since 1.32.
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

/// The check of sysctls beside the first so many that are safe.
pub(super) fn sysctls<const KNOWN: usize>(spec: &Value) -> Found {
    let safe = &SAFE_SYSCTLS[..KNOWN];
    let names = items(&spec["securityContext"]["sysctls"]).map(name).filter(|it| !safe.contains(it));
    let names: Vec<&str> = names.collect();
    (!names.is_empty()).then(|| ("forbidden sysctls", names.join(", ")))
}

pub(super) fn host_process(spec: &Value) -> Found {
    let who = setters(spec, |it| it["windowsOptions"]["hostProcess"] == true)?;
    found("hostProcess", format!("{who} must not set securityContext.windowsOptions.hostProcess=true"))
}

pub(super) fn is_windows(spec: &Value) -> bool {
    spec["os"]["name"] == "windows"
}

pub(super) fn escalation(spec: &Value) -> Found {
    let names = those(spec, |it| it["securityContext"]["allowPrivilegeEscalation"] != false);
    (!names.is_empty()).then(|| may_escalate(&names))
}

/// Volumes that have nothing of a node but what it was given for the pod.
const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

pub(super) fn volume_types(spec: &Value) -> Found {
    let has = |it: &Value, field: &str| !it[field].is_null();
    let others = items(&spec["volumes"]).filter(|it| !VOLUMES.iter().any(|field| has(it, field)));
    let (mut names, mut types) = (Vec::new(), BTreeSet::new());
    for volume in others {
        names.push(name(volume));
        let source = volume.as_object().into_iter().flatten().find(|(field, _)| *field != "name");
        types.insert(source.map_or("unknown", |(field, _)| field.as_str()));
    }
    if names.is_empty() {
        return None;
    }
    let (who, uses) = (listed("volume", &names), plural("uses", "use", names.len()));
    let what = plural("restricted volume type", "restricted volume types", types.len());
    found("restricted volume types", format!("{who} {uses} {what} {}", quoted(types)))
}

pub(super) fn non_root(spec: &Value) -> Found {
    if let Some(who) = setters(spec, |it| it["runAsNonRoot"] == false) {
        return found("runAsNonRoot != true", format!("{who} must not set securityContext.runAsNonRoot=false"));
    }
    let names = those(spec, |it| it["securityContext"]["runAsNonRoot"].is_null());
    if names.is_empty() || spec["securityContext"]["runAsNonRoot"] == true {
        return None;
    }
    Some(may_be_root(&names))
}

pub(super) fn root_user(spec: &Value) -> Found {
    let who = setters(spec, |it| it["runAsUser"] == 0)?;
    found("runAsUser=0", format!("{who} must not set runAsUser=0"))
}
