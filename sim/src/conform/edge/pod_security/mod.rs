//! The PodSecurity plugin: what the level that a namespace's labels enforce forbids to pods.
//!
//! Of the checks' older versions only their absence is told. Absent on purpose: warnings and audit annotations, which
//! refuse nothing, and the pods that controllers make.
//!
//! Source: staging/src/k8s.io/pod-security-admission/{admission,api,policy} (v1.34.1).

mod checks;

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::model::{Kind, Object, ObjectKey};

use super::{Status, together};
use checks::*;

/// Labels begin so.
const PREFIX: &str = "pod-security.kubernetes.io/";
const LEVELS: [&str; 3] = ["privileged", "baseline", "restricted"];

/// A check that has failed: in short, and in detail or with nothing.
type Found = Option<(String, String)>;

/// What is said to a new pod that the level of its namespace forbids.
pub(super) fn violation(core: &Core, namespace: &str, name: &str, pod: &Value) -> Option<Status> {
    let Some(Object::Namespace(stored)) = core.find(&ObjectKey::new(Kind::Namespace, "", namespace)) else {
        return None;
    };
    let label = |name: &str| stored.meta.labels.get(&format!("{PREFIX}{name}")).map(|text| text.to_string());
    let level = label("enforce")?;
    let version = label("enforce-version").filter(|version| is_version(version)).unwrap_or_else(|| "latest".to_owned());
    let level = if LEVELS.contains(&level.as_str()) { level } else { "restricted".to_owned() };
    let minor = version.strip_prefix("v1.").and_then(|minor| minor.parse().ok()).unwrap_or(u32::MAX);
    let said: Vec<String> = violations(&level, minor, pod)
        .into_iter()
        .map(|(short, detail)| if detail.is_empty() { short } else { format!("{short} ({detail})") })
        .collect();
    if said.is_empty() {
        return None;
    }
    let why = format!("violates PodSecurity \"{level}:{version}\": {}", said.join(", "));
    Some(Status::new(403, "Forbidden", format!("pods {name:?} is forbidden: {why}")))
}

/// What is said to a new namespace whose labels name levels or versions that there are not.
pub(super) fn wrong_labels(name: &str, namespace: &Value) -> Option<Status> {
    let mut faults = Vec::new();
    for (mode, is_level) in ["enforce", "enforce-version", "audit", "audit-version", "warn", "warn-version"]
        .into_iter()
        .zip([true, false].into_iter().cycle())
    {
        let label = format!("{PREFIX}{mode}");
        let Some(value) = namespace["metadata"]["labels"][&label].as_str() else { continue };
        let why = match is_level {
            true if !LEVELS.contains(&value) => format!("must be one of {}", LEVELS.join(", ")),
            false if !is_version(value) => "must be \"latest\" or \"v1.x\"".to_owned(),
            _ => continue,
        };
        faults.push(format!("metadata.labels[{label}]: Invalid value: {value:?}: {why}"));
    }
    let said = together(&faults)?;
    Some(Status::invalid(format!("Namespace {name:?} is invalid: {said}")))
}

fn is_version(text: &str) -> bool {
    let minor = text.strip_prefix("v1.").unwrap_or_default();
    let is_number =
        minor == "0" || minor.starts_with(|c: char| c != '0') && minor.bytes().all(|it| it.is_ascii_digit());
    text == "latest" || !minor.is_empty() && is_number
}

/// A check: the first minor version of the levels that has it, and whether a stricter one takes its place.
type Check = (u32, bool, fn(&Value) -> Found);

/// The checks of the lower level, by their names.
const BASELINE: [Check; 12] = [
    (0, false, app_armor),
    (0, true, added_capabilities),
    (0, false, host_namespaces),
    (0, true, host_paths),
    (0, false, host_ports),
    (34, false, probed_hosts),
    (0, false, privileged),
    (0, false, proc_mount),
    (0, false, se_linux),
    (0, true, seccomp_given),
    (0, false, sysctls),
    (0, false, host_process),
];

/// What the higher level checks beside, by their names.
const RESTRICTED: [Check; 6] = [
    (0, false, escalation),
    (0, false, capabilities),
    (0, false, volume_types),
    (0, false, non_root),
    (23, false, root_user),
    (0, false, seccomp),
];

/// The failed checks of a level in the order in which they are told: those of the lower level first.
fn violations(level: &str, minor: u32, pod: &Value) -> Vec<(String, String)> {
    let restricts = level == "restricted";
    let baseline = BASELINE.iter().filter(|(_, is_replaced, _)| level != "privileged" && !(restricts && *is_replaced));
    let all = baseline.chain(RESTRICTED.iter().filter(|_| restricts));
    all.filter(|(since, ..)| minor >= *since).filter_map(|(_, _, check)| check(&pod["spec"])).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(level: &str, spec: Value) -> String {
        let all = violations(level, u32::MAX, &json!({"spec": spec})).into_iter();
        all.map(|(short, detail)| format!("{short} ({detail})")).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_plain_container_is_enough_for_the_baseline_and_lacks_four_things_for_more() {
        let plain = json!({"containers": [{"name": "app"}]});
        assert_eq!(said("privileged", plain.clone()), "");
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
             (volume \"h\"), hostPort (container \"c\" uses hostPorts 443, 80), privileged (container \"i\" must not set \
             securityContext.privileged=true), procMount (container \"c\" must not set securityContext.procMount to \
             \"Unmasked\")"
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
             seccompProfile (pod must not set securityContext.seccompProfile.type to \"Unconfined\"), forbidden sysctls \
             (kernel.msgmax)"
        );
    }

    #[test]
    fn labels_that_name_no_level_or_version_are_refused() {
        let labelled = |label: &str, value: &str| json!({"metadata": {"labels": {format!("{PREFIX}{label}"): value}}});
        assert_eq!(wrong_labels("shop", &labelled("enforce", "baseline")), None);
        assert_eq!(wrong_labels("shop", &labelled("warn-version", "v1.34")), None);
        let level = wrong_labels("shop", &labelled("audit", "strict")).expect("it is refused").message;
        let place = "Namespace \"shop\" is invalid: metadata.labels[pod-security.kubernetes.io/";
        let why = "must be one of privileged, baseline, restricted";
        assert_eq!(level, format!("{place}audit]: Invalid value: \"strict\": {why}"));
        let version = wrong_labels("shop", &labelled("enforce-version", "1.34")).expect("it is refused").message;
        assert_eq!(
            version,
            format!("{place}enforce-version]: Invalid value: \"1.34\": must be \"latest\" or \"v1.x\"")
        );
    }
}
