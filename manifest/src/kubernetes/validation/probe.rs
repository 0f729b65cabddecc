//! Checks of probes and life-cycle hooks.
//!
//! Source: `validateProbe`, `validateHandler`, `validateLifecycle`, pkg/apis/core/validation/validation.go (v1.34.1).

use k8s_openapi::api::core::v1::{
    Container, ExecAction, GRPCAction, HTTPGetAction, LifecycleHandler, Probe, SleepAction, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::names;
use super::report::{At, Report};

/// Checks the hooks and probes of a container; `grace` are the seconds that its pod has to end.
pub(super) fn all(report: &mut Report, at: &At, container: &Container, grace: Option<i64>) {
    if let Some(lifecycle) = &container.lifecycle {
        let at = at.child("lifecycle");
        for (name, hook) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
            hook.iter().for_each(|hook| handler(report, &at.child(name), &Actions::of_hook(hook), grace));
        }
    }
    let probes = [
        ("livenessProbe", &container.liveness_probe, true),
        ("readinessProbe", &container.readiness_probe, false),
        ("startupProbe", &container.startup_probe, true),
    ];
    for (name, found, one_success) in probes {
        let (Some(found), at) = (found, at.child(name)) else { continue };
        probe(report, &at, found);
        if let Some(seconds) = found.termination_grace_period_seconds.filter(|_| name == "readinessProbe") {
            let detail = "must not be set for readinessProbes";
            report.invalid(&at.child("terminationGracePeriodSeconds"), &seconds, detail);
        }
        let successes = found.success_threshold.unwrap_or(0);
        if one_success && successes != 1 {
            report.invalid(&at.child("successThreshold"), &successes, "must be 1");
        }
    }
}

fn probe(report: &mut Report, at: &At, probe: &Probe) {
    handler(report, at, &Actions::of_probe(probe), None);
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

/// What a probe or a hook can do, of which it must do exactly one.
#[derive(Default)]
struct Actions<'a> {
    exec: Option<&'a ExecAction>,
    http_get: Option<&'a HTTPGetAction>,
    tcp_socket: Option<&'a TCPSocketAction>,
    grpc: Option<&'a GRPCAction>,
    sleep: Option<&'a SleepAction>,
}

impl Actions<'_> {
    fn of_probe(probe: &Probe) -> Actions<'_> {
        Actions {
            exec: probe.exec.as_ref(),
            http_get: probe.http_get.as_ref(),
            tcp_socket: probe.tcp_socket.as_ref(),
            grpc: probe.grpc.as_ref(),
            sleep: None,
        }
    }

    fn of_hook(hook: &LifecycleHandler) -> Actions<'_> {
        Actions {
            exec: hook.exec.as_ref(),
            http_get: hook.http_get.as_ref(),
            tcp_socket: hook.tcp_socket.as_ref(),
            grpc: None,
            sleep: hook.sleep.as_ref(),
        }
    }
}

/// Only the first action that is given is looked at.
fn handler(report: &mut Report, at: &At, actions: &Actions<'_>, grace: Option<i64>) {
    let given = [
        ("exec", actions.exec.is_some()),
        ("httpGet", actions.http_get.is_some()),
        ("tcpSocket", actions.tcp_socket.is_some()),
        ("grpc", actions.grpc.is_some()),
        ("sleep", actions.sleep.is_some()),
    ];
    let mut given = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name);
    let Some(first) = given.next() else { return report.required(at, "must specify a handler type") };
    let inner = at.child(first);
    if let Some(exec) = actions.exec {
        if exec.command.as_ref().is_none_or(Vec::is_empty) {
            report.required(&inner.child("command"), "");
        }
    } else if let Some(get) = actions.http_get {
        http_get(report, &inner, get);
    } else if let Some(tcp) = actions.tcp_socket {
        port(report, &inner.child("port"), &tcp.port);
    } else if let Some(grpc) = actions.grpc {
        port(report, &inner.child("port"), &IntOrString::Int(grpc.port));
    } else if let (Some(SleepAction { seconds }), Some(grace)) = (actions.sleep, grace)
        && !(0..=grace).contains(seconds)
    {
        let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        report.invalid(&inner, seconds, &detail);
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
    for header in get.http_headers.iter().flatten() {
        report.invalid_each(&at.child("httpHeaders"), &header.name, names::http_header(&header.name));
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
