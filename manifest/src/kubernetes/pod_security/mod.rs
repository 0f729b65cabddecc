//! What the levels of the Pod Security Standards have against a pod's spec, found out once where it is read.
//!
//! Absent on purpose: the annotations by which profiles were chosen before there were fields for them.
//!
//! Source: staging/src/k8s.io/pod-security-admission/policy (v1.34.1).

mod checks;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde_json::Value;
use wavetank_core::model::PodSecurity;
use wavetank_core::model::pod_security::{CAPABILITIES, ESCALATION, Levels, Minors, NON_ROOT, SECCOMP, Violation};

use checks::*;

/// What the levels have against a spec.
pub(super) fn of(spec: &PodSpec) -> PodSecurity {
    if is_plain(spec) {
        return PodSecurity::default();
    }
    let spec = serde_json::to_value(spec).expect("a pod spec has no keys but strings");
    let names: Vec<&str> = containers(&spec).map(name).collect();
    PodSecurity::of(found(&spec), &names)
}

/// Whether a spec has nothing that any check looks at; most have not.
fn is_plain(spec: &PodSpec) -> bool {
    let shares = [spec.host_network, spec.host_pid, spec.host_ipc].contains(&Some(true));
    let is_plain = |it: &Container| {
        let ports = it.ports.iter().flatten().all(|port| port.host_port.is_none());
        let probes = [&it.liveness_probe, &it.readiness_probe, &it.startup_probe];
        ports && it.security_context.is_none() && it.lifecycle.is_none() && probes.iter().all(|probe| probe.is_none())
    };
    let containers = || spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let has_others = spec.volumes.is_some() || spec.ephemeral_containers.is_some() || spec.os.is_some();
    !shares && !has_others && spec.security_context.is_none() && containers().all(is_plain)
}

fn found(spec: &Value) -> Vec<Violation> {
    let versions = |(baseline, restricted): Levels, spares_windows: bool| {
        let restricted =
            if spares_windows && is_windows(spec) { restricted.before(WINDOWS_SPARED) } else { restricted };
        (baseline, restricted)
    };
    let checks = CHECKS.iter();
    checks
        .filter_map(|(levels, spares, check)| Some(Violation::new(versions(*levels, *spares), check(spec)?)))
        .collect()
}

/// A check, the versions of the levels that have it, and whether later ones spare pods for Windows.
type Check = (Levels, bool, fn(&Value) -> Found);

/// The version from which on pods for Windows are spared what only Linux has.
const WINDOWS_SPARED: u16 = 25;

/// All versions of both levels.
const BOTH: Levels = both(Minors::since(0));

const fn both(minors: Minors) -> Levels {
    (minors, minors)
}

/// The checks by their names, those of the lower level first. A stricter check of the higher level may take the place
/// of one of the lower, from the version on that has it.
const CHECKS: [Check; 22] = [
    (BOTH, false, app_armor),
    ((Minors::since(0), Minors::since(0).before(22)), false, added_capabilities),
    (BOTH, false, host_namespaces),
    ((Minors::since(0), Minors::NONE), false, host_paths),
    (BOTH, false, host_ports),
    (both(Minors::since(34)), false, probed_hosts),
    (BOTH, false, privileged),
    (BOTH, false, proc_mount),
    (both(Minors::since(0).before(31)), false, se_linux_to_1_30),
    (both(Minors::since(31)), false, se_linux),
    ((Minors::since(19), Minors::NONE), false, seccomp_given),
    (both(Minors::since(0).before(27)), false, sysctls::<5>),
    (both(Minors::since(27).before(29)), false, sysctls::<6>),
    (both(Minors::since(29).before(32)), false, sysctls::<10>),
    (both(Minors::since(32)), false, sysctls::<12>),
    (BOTH, false, host_process),
    (ESCALATION, true, escalation),
    (CAPABILITIES, true, capabilities),
    ((Minors::NONE, Minors::since(0)), false, volume_types),
    (NON_ROOT, false, non_root),
    ((Minors::NONE, Minors::since(23)), false, root_user),
    (SECCOMP, true, seccomp),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use wavetank_core::model::Object;

    use super::*;
    use crate::kubernetes::{read_manifests, to_object};

    /// What the core tells of a spec that is read.
    fn said_of(level: &str, minor: u16, spec: Value) -> String {
        let read: PodSpec = serde_json::from_value(spec).expect("a spec");
        let containers = |from: &[Container]| -> Vec<_> {
            let named = |it: &Container| wavetank_core::model::Container {
                name: it.name.as_str().into(),
                ..wavetank_core::model::Container::default()
            };
            from.iter().map(named).collect()
        };
        let spec = wavetank_core::model::PodSpec {
            containers: containers(&read.containers),
            init_containers: containers(read.init_containers.as_deref().unwrap_or_default()),
            security: of(&read),
            ..wavetank_core::model::PodSpec::default()
        };
        spec.violations(level == "restricted", minor).join(", ")
    }

    fn said(level: &str, spec: Value) -> String {
        said_of(level, u16::MAX, spec)
    }

    #[test]
    fn a_plain_container_is_enough_for_the_baseline_and_lacks_four_things_for_more() {
        let plain = json!({"containers": [{"name": "app"}]});
        assert_eq!(of(&serde_json::from_value(plain.clone()).expect("a spec")), PodSecurity::default());
        assert_eq!(PodSecurity::of(found(&plain), &["app"]), PodSecurity::default(), "looked at or not");
        assert_eq!(said("baseline", plain.clone()), "");
        assert_eq!(
            said("restricted", plain),
            "allowPrivilegeEscalation != false (container \"app\" must set \
             securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container \"app\" must set \
             securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or container \"app\" must set \
             securityContext.runAsNonRoot=true), seccompProfile (pod or container \"app\" must set \
             securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"
        );
        let context = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true,
            "seccompProfile": {"type": "RuntimeDefault"}});
        assert_eq!(said("restricted", json!({"containers": [{"name": "app", "securityContext": context}]})), "");
    }

    #[test]
    fn what_takes_part_in_the_node_is_told_check_by_check() {
        let spec = json!({"hostNetwork": true, "hostPID": true,
            "volumes": [{"name": "h", "hostPath": {"path": "/"}}, {"name": "n", "nfs": {}}],
            "initContainers": [{"name": "i", "securityContext": {"privileged": true}}],
            "containers": [{"name": "c", "ports": [{"hostPort": 80}, {"hostPort": 443}],
                "securityContext": {"capabilities": {"add": ["NET_ADMIN", "CHOWN"]}, "procMount": "Unmasked"}}]});
        assert_eq!(
            said("baseline", spec.clone()),
            "non-default capabilities (container \"c\" must not include \"NET_ADMIN\" in \
             securityContext.capabilities.add), host namespaces (hostNetwork=true, hostPID=true), hostPath volumes \
             (volume \"h\"), hostPort (container \"c\" uses hostPorts 443, 80), privileged (container \"i\" must not \
             set securityContext.privileged=true), procMount (container \"c\" must not set securityContext.procMount \
             to \"Unmasked\")"
        );
        let restricted = said("restricted", spec);
        assert!(restricted.starts_with("host namespaces"), "a stricter check takes a lesser one's place: {restricted}");
        let volumes =
            "restricted volume types (volumes \"h\", \"n\" use restricted volume types \"hostPath\", \"nfs\")";
        assert!(restricted.contains(volumes), "{restricted}");
        let context = json!({"runAsUser": 0, "runAsNonRoot": false, "seccompProfile": {"type": "Unconfined"},
            "seLinuxOptions": {"type": "x", "user": "u"}, "sysctls": [{"name": "kernel.msgmax"}]});
        let pod = said("baseline", json!({"securityContext": context}));
        assert_eq!(
            pod,
            "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type \"x\"; user may not be set), \
             seccompProfile (pod must not set securityContext.seccompProfile.type to \"Unconfined\"), forbidden \
             sysctls (kernel.msgmax)"
        );
    }

    #[test]
    fn older_versions_of_a_level_check_what_they_knew() {
        let sysctl =
            |name: &str| json!({"containers": [], "securityContext": {"sysctls": [{"name": name, "value": "1"}]}});
        let later = sysctl("net.ipv4.tcp_rmem");
        assert_eq!(said_of("baseline", 31, later.clone()), "forbidden sysctls (net.ipv4.tcp_rmem)");
        assert_eq!(said_of("baseline", 32, later), "");
        let context = json!({"capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
            "seLinuxOptions": {"type": "container_engine_t"}});
        let spec = json!({"containers": [{"name": "c", "securityContext": context}]});
        let short = |minor: u16| {
            let said = said_of("restricted", minor, spec.clone());
            said.split("), ").map(|it| it.split(" (").next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(short(7), ["non-default capabilities", "seLinuxOptions", "runAsNonRoot != true"]);
        let (escalation, root) = ("allowPrivilegeEscalation != false", "runAsNonRoot != true");
        assert_eq!(short(18)[2..], [escalation, root]);
        assert_eq!(short(22), ["seLinuxOptions", escalation, "unrestricted capabilities", root, "seccompProfile"]);
        assert_eq!(short(34), [escalation, "unrestricted capabilities", root, "seccompProfile"]);
        let windows = json!({"os": {"name": "windows"}, "containers": [{"name": "c"}]});
        assert!(said_of("restricted", 24, windows.clone()).contains("seccompProfile"));
        assert_eq!(
            said("restricted", windows),
            "runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true)"
        );
    }

    #[test]
    fn a_template_keeps_what_the_levels_have_against_it_as_it_is_filled_in() {
        let text = "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: probe}, spec: {selector: {matchLabels: {app: \
                    p}}, template: {metadata: {labels: {app: p}}, spec: {hostNetwork: true, containers: [{name: c, \
                    image: i, ports: [{containerPort: 9100}]}]}}}}";
        let mut located = read_manifests("probe.yaml", text).expect("it can be read").remove(0);
        located.admit().expect("it is valid");
        let Ok(Object::DaemonSet(set)) = to_object(&located) else { panic!("a DaemonSet") };
        let said = set.template.spec.violations(false, 34);
        assert_eq!(
            said.join("; "),
            "host namespaces (hostNetwork=true); hostPort (container \"c\" uses hostPort 9100)"
        );
    }
}
