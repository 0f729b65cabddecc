//! Checks of containers, their ports, mounts and probes.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, ContainerPort, EnvVar, HTTPGetAction, Probe, VolumeMount};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::names;
use super::report::{At, Report};
use super::resources;

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// Checks a pod's main containers; `volumes` are the names of its volumes.
pub(super) fn regular(report: &mut Report, at: &At, containers: &[Container], volumes: &BTreeSet<&str>) {
    if containers.is_empty() {
        report.required(at, "");
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        let at = at.index(index);
        common(report, &at, container, volumes);
        if !seen.insert(container.name.as_str()) {
            report.duplicate(&at.child("name"), &container.name, "");
        }
        probes(report, &at, container);
        if container.restart_policy.is_some() {
            report.forbidden(&at.child("restartPolicy"), "may not be set for non-init containers");
        }
    }
    host_port_conflicts(report, at, containers);
}

/// Checks a pod's init containers, whose names must also differ from those of its main ones.
pub(super) fn init(report: &mut Report, at: &At, all: (&[Container], &[Container]), volumes: &BTreeSet<&str>) {
    let (containers, regular) = all;
    let mut seen: BTreeSet<&str> = regular.iter().map(|container| container.name.as_str()).collect();
    for (index, container) in containers.iter().enumerate() {
        let container_at = at.index(index);
        common(report, &container_at, container, volumes);
        if let Some(policy) = container.restart_policy.as_deref().filter(|policy| *policy != "Always") {
            report.not_supported(&container_at.child("restartPolicy"), &policy, &["Always"]);
        }
        if !container.name.is_empty() && !seen.insert(&container.name) {
            report.duplicate(&container_at.child("name"), &container.name, "");
        }
        host_port_conflicts(report, at, std::slice::from_ref(container));
        if container.restart_policy.as_deref() == Some("Always") {
            probes(report, &container_at, container);
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

fn common(report: &mut Report, at: &At, container: &Container, volumes: &BTreeSet<&str>) {
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
    environment(report, &at.child("env"), container.env.as_deref().unwrap_or_default());
    super::sources::variables(report, &at.child("envFrom"), container.env_from.as_deref().unwrap_or_default());
    mounts(report, &at.child("volumeMounts"), container.volume_mounts.as_deref().unwrap_or_default(), volumes);
    let policies = ["Always", "IfNotPresent", "Never"];
    report.one_of(&at.child("imagePullPolicy"), container.image_pull_policy.as_deref(), &policies);
    if let Some(requirements) = &container.resources {
        resources::check(report, &at.child("resources"), requirements);
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

fn environment(report: &mut Report, at: &At, variables: &[EnvVar]) {
    for (index, variable) in variables.iter().enumerate() {
        let at = at.index(index);
        if variable.name.is_empty() {
            report.required(&at.child("name"), "");
        } else {
            report.invalid_each(&at.child("name"), &variable.name, names::environment_name(&variable.name));
        }
        if let Some(source) = &variable.value_from {
            super::sources::variable(report, &at.child("valueFrom"), source);
            let given = usize::from(source.field_ref.is_some())
                + usize::from(source.resource_field_ref.is_some())
                + usize::from(source.config_map_key_ref.is_some())
                + usize::from(source.secret_key_ref.is_some())
                + usize::from(source.file_key_ref.is_some());
            let has_value = variable.value.as_deref().is_some_and(|value| !value.is_empty());
            if given == 0 {
                let detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or \
                              `fileKeyRef`";
                report.invalid(&at.child("valueFrom"), &"", detail);
            } else if has_value {
                report.invalid(&at.child("valueFrom"), &"", "may not be specified when `value` is not empty");
            } else if given > 1 {
                report.invalid(&at.child("valueFrom"), &"", "may not have more than one field specified at a time");
            }
        }
    }
}

fn mounts(report: &mut Report, at: &At, mounts: &[VolumeMount], volumes: &BTreeSet<&str>) {
    let mut seen = BTreeSet::new();
    for (index, mount) in mounts.iter().enumerate() {
        let at = at.index(index);
        if mount.name.is_empty() {
            report.required(&at.child("name"), "");
        }
        if !volumes.contains(mount.name.as_str()) {
            report.not_found(&at.child("name"), &mount.name);
        }
        if mount.mount_path.is_empty() {
            report.required(&at.child("mountPath"), "");
        }
        if !seen.insert(mount.mount_path.as_str()) {
            report.invalid(&at.child("mountPath"), &mount.mount_path, "must be unique");
        }
    }
}

fn probes(report: &mut Report, at: &At, container: &Container) {
    let probes = [
        ("livenessProbe", &container.liveness_probe, true),
        ("readinessProbe", &container.readiness_probe, false),
        ("startupProbe", &container.startup_probe, true),
    ];
    for (name, found, one_success) in probes {
        let (Some(found), at) = (found, at.child(name)) else { continue };
        probe(report, &at, found);
        if name == "readinessProbe" && found.termination_grace_period_seconds.is_some() {
            let detail = "must not be set for readinessProbes";
            let seconds = found.termination_grace_period_seconds.unwrap_or(0);
            report.invalid(&at.child("terminationGracePeriodSeconds"), &seconds, detail);
        }
        let successes = found.success_threshold.unwrap_or(0);
        if one_success && successes != 1 {
            report.invalid(&at.child("successThreshold"), &successes, "must be 1");
        }
    }
}

fn probe(report: &mut Report, at: &At, probe: &Probe) {
    handler(report, at, probe);
    let numbers = [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ];
    for (name, number) in numbers {
        report.not_negative(&at.child(name), i64::from(number.unwrap_or(0)));
    }
    if let Some(seconds) = probe.termination_grace_period_seconds.filter(|&seconds| seconds <= 0) {
        report.invalid(&at.child("terminationGracePeriodSeconds"), &seconds, "must be greater than 0");
    }
}

fn handler(report: &mut Report, at: &At, probe: &Probe) {
    let given = [
        ("exec", probe.exec.is_some()),
        ("httpGet", probe.http_get.is_some()),
        ("tcpSocket", probe.tcp_socket.is_some()),
        ("grpc", probe.grpc.is_some()),
    ];
    let mut given = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name);
    let Some(first) = given.next() else {
        report.required(at, "must specify a handler type");
        return;
    };
    match first {
        "exec" => {
            if probe.exec.as_ref().is_some_and(|exec| exec.command.iter().flatten().next().is_none()) {
                report.required(&at.child("exec").child("command"), "");
            }
        }
        "httpGet" => probe.http_get.iter().for_each(|get| http_get(report, &at.child("httpGet"), get)),
        "tcpSocket" => {
            probe.tcp_socket.iter().for_each(|tcp| port(report, &at.child("tcpSocket").child("port"), &tcp.port));
        }
        _ => probe
            .grpc
            .iter()
            .for_each(|grpc| port(report, &at.child("grpc").child("port"), &IntOrString::Int(grpc.port))),
    }
    for second in given {
        report.forbidden(&at.child(second), "may not specify more than 1 handler type");
    }
}

fn http_get(report: &mut Report, at: &At, get: &HTTPGetAction) {
    if get.path.as_deref().unwrap_or("").is_empty() {
        report.required(&at.child("path"), "");
    }
    port(report, &at.child("port"), &get.port);
    let scheme = get.scheme.as_deref().unwrap_or("");
    if !matches!(scheme, "HTTP" | "HTTPS") {
        report.not_supported(&at.child("scheme"), &scheme, &["HTTP", "HTTPS"]);
    }
}

/// Checks a port that is given by number or by name.
pub(super) fn port(report: &mut Report, at: &At, port: &IntOrString) {
    let faults = match port {
        IntOrString::Int(number) => names::port_number(*number),
        IntOrString::String(name) => names::port_name(name),
    };
    report.invalid_each(at, port, faults);
}
