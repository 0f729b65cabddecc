//! Checks of containers: what all have in common, and what main, init and ephemeral ones may have.
//!
//! Source: `validateContainerCommon`, `validateContainers`, `validateInitContainers`, `validateEphemeralContainers`,
//! pkg/apis/core/validation/validation.go (v1.34.1). Fields behind gates that are off by default (`restartPolicyRules`,
//! `lifecycle.stopSignal`, restart policies of other containers than sidecars) are dropped by the API server before and
//! looked at by nobody here.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, ContainerResizePolicy, EphemeralContainer, PodSpec, ResourceRequirements, Volume,
};

use super::names;
use super::report::{At, Report};
use super::{environment, mounts, probe, resources, security};

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const EPHEMERAL: &str = "cannot be set for an Ephemeral Container";

/// What the checks of containers need to know of their pod.
pub(super) struct OfPod<'a> {
    /// The volumes that are in order, by name.
    pub(super) volumes: BTreeMap<&'a str, &'a Volume>,
    /// The names of its resource claims.
    pub(super) claims: BTreeSet<&'a str>,
    /// Seconds that its containers have to end.
    pub(super) grace: Option<i64>,
    /// Its restart policy.
    pub(super) restart_policy: &'a str,
    /// False if its users are not those of the host.
    pub(super) host_users: bool,
}

/// Checks a pod's main containers.
pub(super) fn regular(report: &mut Report, at: &At, containers: &[Container], pod: &OfPod<'_>) {
    if containers.is_empty() {
        return report.required(at, "");
    }
    let mut seen = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        let at = at.index(index);
        common(report, &at, container, pod);
        if !seen.insert(container.name.as_str()) {
            report.duplicate(&at.child("name"), &container.name, "");
        }
        probe::all(report, &at, container, pod.grace);
    }
    host_port_conflicts(report, at, containers);
}

/// Checks a pod's init containers, whose names must also differ from those of its main ones.
pub(super) fn init(report: &mut Report, at: &At, spec: &PodSpec, pod: &OfPod<'_>) {
    let mut seen: BTreeSet<&str> = spec.containers.iter().map(|container| container.name.as_str()).collect();
    for (index, container) in spec.init_containers.iter().flatten().enumerate() {
        let container_at = at.index(index);
        common(report, &container_at, container, pod);
        if seen.contains(container.name.as_str()) {
            report.duplicate(&container_at.child("name"), &container.name, "");
        } else if !container.name.is_empty() {
            seen.insert(&container.name);
        }
        host_port_conflicts(report, at, std::slice::from_ref(container));
        if container.restart_policy.as_deref() == Some("Always") {
            probe::all(report, &container_at, container, pod.grace);
            continue;
        }
        let set = [
            ("lifecycle", container.lifecycle.is_some()),
            ("livenessProbe", container.liveness_probe.is_some()),
            ("readinessProbe", container.readiness_probe.is_some()),
            ("startupProbe", container.startup_probe.is_some()),
        ];
        for (name, _) in set.into_iter().filter(|(_, set)| *set) {
            let detail = "may not be set for init containers without restartPolicy=Always";
            report.forbidden(&container_at.child(name), detail);
        }
    }
}

/// Checks a pod's ephemeral containers, which may have fewer fields than others.
pub(super) fn ephemeral(report: &mut Report, at: &At, spec: &PodSpec, pod: &OfPod<'_>) {
    let others: BTreeSet<&str> =
        spec.containers.iter().chain(spec.init_containers.iter().flatten()).map(|it| it.name.as_str()).collect();
    let mut seen = others.clone();
    for (index, ephemeral) in spec.ephemeral_containers.iter().flatten().enumerate() {
        let (at, container) = (at.index(index), as_container(ephemeral));
        common(report, &at, &container, pod);
        image_without_spaces(report, &at, &container);
        if !seen.insert(&ephemeral.name) {
            report.duplicate(&at.child("name"), &ephemeral.name, "");
        }
        if let Some(target) = ephemeral.target_container_name.as_deref().filter(|it| !it.is_empty())
            && !others.contains(target)
        {
            report.not_found(&at.child("targetContainerName"), &target);
        }
        let requirements = ephemeral.resources.as_ref().is_some_and(|it| *it != ResourceRequirements::default());
        let set = [
            ("ports", ephemeral.ports.is_some()),
            ("resources", requirements),
            ("resizePolicy", ephemeral.resize_policy.is_some()),
            ("livenessProbe", ephemeral.liveness_probe.is_some()),
            ("readinessProbe", ephemeral.readiness_probe.is_some()),
            ("startupProbe", ephemeral.startup_probe.is_some()),
            ("lifecycle", ephemeral.lifecycle.is_some()),
        ];
        for (name, _) in set.into_iter().filter(|(_, set)| *set) {
            report.forbidden(&at.child(name), EPHEMERAL);
        }
        for (index, mount) in ephemeral.volume_mounts.iter().flatten().enumerate() {
            let at = at.child("volumeMounts").index(index);
            for (name, path) in [("subPath", &mount.sub_path), ("subPathExpr", &mount.sub_path_expr)] {
                if path.as_deref().is_some_and(|path| !path.is_empty()) {
                    report.forbidden(&at.child(name), EPHEMERAL);
                }
            }
        }
    }
}

fn as_container(ephemeral: &EphemeralContainer) -> Container {
    Container {
        env: ephemeral.env.clone(),
        env_from: ephemeral.env_from.clone(),
        image: ephemeral.image.clone(),
        image_pull_policy: ephemeral.image_pull_policy.clone(),
        name: ephemeral.name.clone(),
        ports: ephemeral.ports.clone(),
        resize_policy: ephemeral.resize_policy.clone(),
        resources: ephemeral.resources.clone(),
        security_context: ephemeral.security_context.clone(),
        termination_message_policy: ephemeral.termination_message_policy.clone(),
        volume_devices: ephemeral.volume_devices.clone(),
        volume_mounts: ephemeral.volume_mounts.clone(),
        ..Container::default()
    }
}

/// What templates may have and pods may not.
pub(super) fn images_without_spaces(report: &mut Report, at: &At, containers: &[Container]) {
    for (index, container) in containers.iter().enumerate() {
        image_without_spaces(report, &at.index(index), container);
    }
}

fn image_without_spaces(report: &mut Report, at: &At, container: &Container) {
    let image = container.image.as_deref().unwrap_or_default();
    if image.trim().len() != image.len() {
        report.invalid(&at.child("image"), &image, "must not have leading or trailing whitespace");
    }
}

fn common(report: &mut Report, at: &At, container: &Container, pod: &OfPod<'_>) {
    if container.name.is_empty() {
        report.required(&at.child("name"), "");
    } else {
        report.invalid_each(&at.child("name"), &container.name, names::dns_label(&container.name));
    }
    if container.image.as_deref().unwrap_or("").is_empty() {
        report.required(&at.child("image"), "");
    }
    let policies = ["File", "FallbackToLogsOnError"];
    report.one_of(&at.child("terminationMessagePolicy"), container.termination_message_policy.as_deref(), &policies);
    ports(report, &at.child("ports"), container.ports.as_deref().unwrap_or_default());
    environment::variables(report, &at.child("env"), container.env.as_deref().unwrap_or_default());
    environment::from_objects(report, &at.child("envFrom"), container.env_from.as_deref().unwrap_or_default());
    mounts::mounts(report, &at.child("volumeMounts"), container, pod);
    mounts::devices(report, &at.child("volumeDevices"), container, pod);
    let policies = ["Always", "IfNotPresent", "Never"];
    report.one_of(&at.child("imagePullPolicy"), container.image_pull_policy.as_deref(), &policies);
    if let Some(requirements) = &container.resources {
        resources::check(report, &at.child("resources"), requirements, &pod.claims);
    }
    let resizing = container.resize_policy.as_deref().unwrap_or_default();
    resize_policy(report, &at.child("resizePolicy"), resizing, pod.restart_policy);
    if let Some(context) = &container.security_context {
        security::container(report, &at.child("securityContext"), context, pod.host_users);
    }
}

fn resize_policy(report: &mut Report, at: &At, policies: &[ContainerResizePolicy], restart_policy: &str) {
    let mut seen = BTreeSet::new();
    for (index, policy) in policies.iter().enumerate() {
        if !seen.insert(policy.resource_name.as_str()) {
            report.duplicate(&at.index(index), &policy.resource_name, "");
        }
        report.one_of(at, Some(&policy.resource_name), &["cpu", "memory"]);
        report.one_of(at, Some(&policy.restart_policy), &["NotRequired", "RestartContainer"]);
        if restart_policy == "Never" && policy.restart_policy != "NotRequired" {
            let detail = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            report.invalid(at, &policy.restart_policy, detail);
        }
    }
}

fn ports(report: &mut Report, at: &At, ports: &[ContainerPort]) {
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let at = at.index(index);
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            let faults = names::port_name(name);
            if faults.is_empty() && !seen.insert(name) {
                report.duplicate(&at.child("name"), &name, "");
            }
            report.invalid_each(&at.child("name"), &name, faults);
        }
        if port.container_port == 0 {
            report.required(&at.child("containerPort"), "");
        } else {
            let faults = names::port_number(port.container_port);
            report.invalid_each(&at.child("containerPort"), &port.container_port, faults);
        }
        if let Some(host_port) = port.host_port.filter(|&port| port != 0) {
            report.invalid_each(&at.child("hostPort"), &host_port, names::port_number(host_port));
        }
        report.one_of(&at.child("protocol"), port.protocol.as_deref(), &PROTOCOLS);
    }
}

fn host_port_conflicts(report: &mut Report, at: &At, containers: &[Container]) {
    let mut seen = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        for (port_index, port) in container.ports.iter().flatten().enumerate() {
            let Some(host_port) = port.host_port.filter(|&port| port != 0) else { continue };
            let protocol = port.protocol.as_deref().unwrap_or("");
            let key = format!("{protocol}/{}/{host_port}", port.host_ip.as_deref().unwrap_or(""));
            if !seen.insert(key.clone()) {
                report.duplicate(&at.index(index).child("ports").index(port_index).child("hostPort"), &key, "");
            }
        }
    }
}
