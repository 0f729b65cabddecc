//! What the levels of the Pod Security Standards have against a pod's spec, and against the annotations by which
//! profiles were chosen before there were fields for them, found out once where it is read.
//!
//! Source: staging/src/k8s.io/pod-security-admission/policy (v1.34.1).

mod checks;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use serde_json::Value;
use wavetank_core::model::PodSecurity;
use wavetank_core::model::pod_security::{
    CAPABILITIES, ESCALATION, Judged, Levels, Minors, NON_ROOT, SECCOMP, Violation,
};

use super::defaults;

use checks::*;

/// What the levels have against a spec with the annotations of its pod or template.
pub(super) fn of(spec: &PodSpec, annotations: Option<&Annotations>) -> PodSecurity {
    let nothing = Annotations::new();
    let annotations = annotations.unwrap_or(&nothing);
    if is_plain(spec) && !annotations.keys().any(|key| chooses_profile(key)) {
        return PodSecurity::default();
    }
    let template = serde_json::to_value(spec).expect("a pod spec has no keys but strings");
    let pod = serde_json::to_value(of_pod(spec.clone(), annotations)).expect("a pod spec has no keys but strings");
    let names: Vec<&str> = containers(&template).map(name).collect();
    PodSecurity::of(found(&template, &pod, annotations), &names)
}

/// The spec of a pod as admission sees it: that of a template is filled in only in its pods.
///
/// Source: `SetDefaults_Pod`, pkg/apis/core/v1/defaults.go; `applyAppArmorVersionSkew`,
/// pkg/registry/core/pod/strategy.go (v1.34.1).
fn of_pod(mut spec: PodSpec, annotations: &Annotations) -> PodSpec {
    defaults::ports_of_pod(&mut spec);
    choose_app_armor(&mut spec, annotations);
    spec
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

fn found(template: &Value, pod: &Value, annotations: &Annotations) -> Vec<Violation> {
    let mut found = Vec::new();
    for (levels, spares_windows, check) in &CHECKS {
        let (baseline, restricted) = *levels;
        let is_spared = *spares_windows && is_windows(template);
        let versions = (baseline, if is_spared { restricted.before(WINDOWS_SPARED) } else { restricted });
        let failed = |spec| {
            let failure = match check {
                Check::Spec(check) => check(spec),
                Check::Annotations(check) => check(spec, annotations),
            };
            failure.map(|failure| Violation::new(versions, failure))
        };
        match (failed(template), failed(pod)) {
            (template, pod) if template == pod => found.extend(pod),
            (template, pod) => {
                found.extend(pod.map(|it| Violation { judged: Judged::Pod, ..it }));
                found.extend(template.map(|it| Violation { judged: Judged::Template, ..it }));
            }
        }
    }
    found
}

/// A check of a spec, with the annotations beside it if it looks at these.
enum Check {
    Spec(fn(&Value) -> Found),
    Annotations(fn(&Value, &Annotations) -> Found),
}

/// The version from which on pods for Windows are spared what only Linux has.
const WINDOWS_SPARED: u16 = 25;

/// All versions of both levels.
const BOTH: Levels = both(Minors::since(0));

const fn both(minors: Minors) -> Levels {
    (minors, minors)
}

/// The checks by their names, those of the lower level first. A stricter check of the higher level may take the place
/// of one of the lower, from the version on that has it.
///
/// Of each: the versions of the levels that have it, whether later ones spare pods for Windows, and the check.
const CHECKS: [(Levels, bool, Check); 23] = [
    (BOTH, false, Check::Annotations(app_armor)),
    ((Minors::since(0), Minors::since(0).before(22)), false, Check::Spec(added_capabilities)),
    (BOTH, false, Check::Spec(host_namespaces)),
    ((Minors::since(0), Minors::NONE), false, Check::Spec(host_paths)),
    (BOTH, false, Check::Spec(host_ports)),
    (both(Minors::since(34)), false, Check::Spec(probed_hosts)),
    (BOTH, false, Check::Spec(privileged)),
    (BOTH, false, Check::Spec(proc_mount)),
    (both(Minors::since(0).before(31)), false, Check::Spec(se_linux_to_1_30)),
    (both(Minors::since(31)), false, Check::Spec(se_linux)),
    (both(Minors::since(0).before(19)), false, Check::Annotations(seccomp_annotations)),
    ((Minors::since(19), Minors::NONE), false, Check::Spec(seccomp_given)),
    (both(Minors::since(0).before(27)), false, Check::Spec(sysctls::<5>)),
    (both(Minors::since(27).before(29)), false, Check::Spec(sysctls::<6>)),
    (both(Minors::since(29).before(32)), false, Check::Spec(sysctls::<10>)),
    (both(Minors::since(32)), false, Check::Spec(sysctls::<12>)),
    (BOTH, false, Check::Spec(host_process)),
    (ESCALATION, true, Check::Spec(escalation)),
    (CAPABILITIES, true, Check::Spec(capabilities)),
    ((Minors::NONE, Minors::since(0)), false, Check::Spec(volume_types)),
    (NON_ROOT, false, Check::Spec(non_root)),
    ((Minors::NONE, Minors::since(23)), false, Check::Spec(root_user)),
    (SECCOMP, true, Check::Spec(seccomp)),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use wavetank_core::model::Object;

    use super::*;
    use crate::kubernetes::{read_manifests, to_object};

    /// What the core tells of a pod whose spec is read.
    fn said_of(level: &str, minor: u16, spec: Value) -> String {
        said_beside(&Annotations::new(), Judged::Pod, level, minor, spec)
    }

    /// The same of a pod or a template with annotations.
    fn said_beside(annotations: &Annotations, judged: Judged, level: &str, minor: u16, spec: Value) -> String {
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
            security: of(&read, Some(annotations)),
            ..wavetank_core::model::PodSpec::default()
        };
        spec.violations(level == "restricted", minor, judged).join(", ")
    }

    fn said(level: &str, spec: Value) -> String {
        said_of(level, u16::MAX, spec)
    }

    #[test]
    fn a_plain_container_is_enough_for_the_baseline_and_lacks_four_things_for_more() {
        let plain = json!({"containers": [{"name": "app"}]});
        assert_eq!(of(&serde_json::from_value(plain.clone()).expect("a spec"), None), PodSecurity::default());
        let looked_at = found(&plain, &plain, &Annotations::new());
        assert_eq!(PodSecurity::of(looked_at, &["app"]), PodSecurity::default(), "looked at or not");
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
        let said = |judged| set.template.spec.violations(false, 34, judged).join("; ");
        assert_eq!(said(Judged::Template), "host namespaces (hostNetwork=true)", "ports are the node's only in pods");
        assert_eq!(
            said(Judged::Pod),
            "host namespaces (hostNetwork=true); hostPort (container \"c\" uses hostPort 9100)"
        );
    }

    #[test]
    fn profiles_that_annotations_choose_are_judged_too() {
        let spec = || json!({"containers": [{"name": "a"}, {"name": "b"}]});
        let of = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let armor = "container.apparmor.security.beta.kubernetes.io/";
        let (first, second) = (format!("{armor}a"), format!("{armor}b"));
        let chosen: Annotations = of(&[(&first, "unconfined"), (&second, "runtime/default"), ("other", "unconfined")]);
        let said = |judged| said_beside(&chosen, judged, "baseline", 34, spec());
        let told = format!("\"{first}=\"unconfined\"\"");
        assert_eq!(
            said(Judged::Template),
            format!("forbidden AppArmor profile (annotation must not set AppArmor profile type to {told})")
        );
        assert_eq!(
            said(Judged::Pod),
            format!(
                "forbidden AppArmor profiles (container \"a\" and annotation must not set AppArmor profile type to \
                 \"Unconfined\", {told})"
            )
        );
        let fine: Annotations = of(&[(&first, "localhost/mine"), (&second, "")]);
        assert_eq!(said_beside(&fine, Judged::Pod, "baseline", 34, spec()), "");
        let (pod, container) =
            ("seccomp.security.alpha.kubernetes.io/pod", "container.seccomp.security.alpha.kubernetes.io/b");
        let chosen: Annotations = of(&[(pod, "unconfined"), (container, "unconfined")]);
        let said = |level, minor| said_beside(&chosen, Judged::Pod, level, minor, spec());
        let both = format!("forbidden annotations {container}=\"unconfined\", {pod}=\"unconfined\"");
        assert_eq!(said("baseline", 18), format!("seccompProfile ({both})"));
        assert!(said("restricted", 18).starts_with(&format!("seccompProfile ({both}), ")));
        assert_eq!(said("baseline", 19), "", "there are fields for them since");
        let default: Annotations = of(&[(pod, "docker/default"), (container, "localhost/mine")]);
        assert_eq!(said_beside(&default, Judged::Pod, "baseline", 18, spec()), "");
    }
}
