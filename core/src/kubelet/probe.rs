//! When a probe is tried, when its results count, and what is said of a try that fails: pure functions for the runtimes
//! of both worlds and for the kubelet.
//!
//! Source: `worker.doProbe`, pkg/kubelet/prober/worker.go (v1.34.1). Absent on purpose: the jitter of the first probe
//! within one period after the kubelet's own start.

use crate::kubelet::backoff::go_duration;
use crate::kubelet::{ProbeFailure, ProbeKind};
use crate::model::{Address, Container, IntOrName, Probe, ProbeAction};
use crate::time::Time;

/// What a probe has said so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProbeTally {
    last: Option<bool>,
    run: u32,
    told: Option<bool>,
}

impl ProbeTally {
    /// Nothing has been tried.
    pub fn new() -> ProbeTally {
        ProbeTally::default()
    }

    /// Takes the outcome of one try. Returns the probe's result if it is to be told: the first that reaches its
    /// threshold, and each change after it.
    pub fn observe(&mut self, probe: &Probe, success: bool) -> Option<bool> {
        self.run = if self.last == Some(success) { self.run.saturating_add(1) } else { 1 };
        self.last = Some(success);
        let threshold = if success { probe.success_threshold } else { probe.failure_threshold };
        if self.run < threshold.max(1) || self.told == Some(success) {
            return None;
        }
        self.told = Some(success);
        Some(success)
    }

    /// The result that counts: before the first one is told, a container is alive, but neither ready nor started.
    pub fn result(&self, kind: ProbeKind) -> bool {
        self.told.unwrap_or(kind == ProbeKind::Liveness)
    }
}

/// When the first try takes place: tries come every period from `ticks_from` on, and those are left out that come
/// before the probing began or before the container has run for the initial delay.
pub fn first_try(probe: &Probe, container_started: Time, probing_began: Time, ticks_from: Time) -> Time {
    let earliest = (container_started + probe.initial_delay).max(probing_began);
    let early = earliest.since(ticks_from).0;
    let period = probe.period.0.max(1);
    ticks_from + crate::time::Span(early.div_ceil(period) * period)
}

/// What Kubernetes' prober says of a try that has failed.
///
/// Source: `DoHTTPProbe`, pkg/probe/http/http.go; `DoTCPProbe`, pkg/probe/tcp/tcp.go; `Probe`, pkg/probe/exec/exec.go
/// and pkg/probe/grpc/grpc.go; `ExecSync`, staging/src/k8s.io/cri-client/pkg/remote_runtime.go (v1.34.1). Of an answer
/// over HTTP that the container is not well nobody knows the status: 503 stands for it.
pub(super) fn failure_text(
    how: &ProbeFailure,
    probe: &Probe,
    container: &Container,
    address: Option<&Address>,
) -> String {
    if let ProbeFailure::Said(text) = how {
        return text.to_string();
    }
    let timeout = go_duration(probe.timeout);
    let place = |port: &IntOrName| {
        let port = match port {
            IntOrName::Int(number) => Some(*number),
            IntOrName::Name(name) => container.ports.iter().find(|port| port.name == *name).map(|port| port.port),
        };
        let address = address.map(Address::to_string).unwrap_or_default();
        format!("{address}:{}", port.unwrap_or_default())
    };
    match (&probe.action, how) {
        (ProbeAction::HttpGet { .. }, ProbeFailure::Unhealthy) => "HTTP probe failed with statuscode: 503".to_owned(),
        (ProbeAction::HttpGet { path, port }, how) => {
            let (place, slash) = (place(port), if path.starts_with('/') { "" } else { "/" });
            let why = match how {
                ProbeFailure::TimedOut => {
                    "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned()
                }
                _ => format!("dial tcp {place}: connect: connection refused"),
            };
            format!("Get \"http://{place}{slash}{path}\": {why}")
        }
        (ProbeAction::TcpSocket { port }, ProbeFailure::TimedOut) => format!("dial tcp {}: i/o timeout", place(port)),
        (ProbeAction::TcpSocket { port }, _) => format!("dial tcp {}: connect: connection refused", place(port)),
        (ProbeAction::Exec { command }, ProbeFailure::TimedOut) => {
            format!("command timed out: \"{}\" timed out after {timeout}", command.join(" "))
        }
        // A command that says nothing.
        (ProbeAction::Exec { .. }, _) => String::new(),
        (ProbeAction::Grpc { .. }, ProbeFailure::TimedOut) => {
            format!("timeout: health rpc did not complete within {timeout}")
        }
        (ProbeAction::Grpc { .. }, ProbeFailure::Unhealthy) => {
            "service unhealthy (responded with \"NOT_SERVING\")".to_owned()
        }
        // A refused connection is tried again until the time is over.
        (ProbeAction::Grpc { port, .. }, _) => {
            let place = place(&IntOrName::Int(*port));
            format!("timeout: failed to connect service \"{place}\" within {timeout}: context deadline exceeded")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    fn probe() -> Probe {
        Probe {
            action: ProbeAction::TcpSocket { port: IntOrName::Int(80) },
            initial_delay: Span::from_secs(5),
            period: Span::from_secs(2),
            timeout: Span::from_secs(1),
            success_threshold: 2,
            failure_threshold: 3,
            termination_grace: None,
        }
    }

    #[test]
    fn a_result_is_told_when_its_threshold_is_reached_and_not_again() {
        let mut tally = ProbeTally::new();
        let outcomes = [true, true, true, false, false, true, false, false, false, false, true, true];
        let told: Vec<_> = outcomes.iter().map(|success| tally.observe(&probe(), *success)).collect();
        let expected = [(1, true), (8, false), (11, true)];
        for (place, told) in told.iter().enumerate() {
            let wanted = expected.iter().find(|(at, _)| *at == place).map(|(_, result)| *result);
            assert_eq!(*told, wanted, "try {place}");
        }
    }

    #[test]
    fn each_start_of_a_container_gets_all_tries_of_its_probe() {
        let probe = Probe { success_threshold: 1, ..probe() };
        for start in 0..2 {
            let mut tally = ProbeTally::new();
            let told: Vec<_> = (0..4).map(|_| tally.observe(&probe, false)).collect();
            assert_eq!(told, [None, None, Some(false), None], "start {start}: the third failure decides, once");
            let mut tally = ProbeTally::new();
            let told: Vec<_> = [false, true, true].iter().map(|success| tally.observe(&probe, *success)).collect();
            assert_eq!(told, [None, Some(true), None], "start {start}: the first success decides, once");
        }
    }

    #[test]
    fn before_any_result_a_container_is_alive_but_not_ready() {
        let tally = ProbeTally::new();
        assert!(tally.result(ProbeKind::Liveness));
        assert!(!tally.result(ProbeKind::Readiness));
        assert!(!tally.result(ProbeKind::Startup));
    }

    #[test]
    fn tries_before_the_initial_delay_are_left_out() {
        let at = |began| first_try(&probe(), Time::from_secs(10), Time::from_secs(began), Time::from_secs(began));
        assert_eq!(at(10), Time::from_secs(16));
        assert_eq!(at(15), Time::from_secs(15));
        assert_eq!(at(40), Time::from_secs(40));
        let ticking = |began| first_try(&probe(), Time::from_secs(10), Time::from_secs(began), Time::from_secs(7));
        assert_eq!([ticking(11), ticking(16), ticking(40)], [15, 17, 41].map(Time::from_secs), "of 7, 9, 11 and so on");
    }

    #[test]
    fn a_try_that_fails_is_told_in_the_words_of_kubernetes() {
        use ProbeFailure::{Refused, Said, TimedOut, Unhealthy};
        let (name, protocol) = ("web".into(), crate::model::Protocol::Tcp);
        let port = crate::model::ContainerPort { name, port: 8_080, host_port: None, host_ip: None, protocol };
        let container = Container { ports: vec![port], ..Container::default() };
        let address: Address = "10.0.0.7".into();
        let named = || IntOrName::Name("web".into());
        let http = |path: &str| ProbeAction::HttpGet { path: path.into(), port: named() };
        let exec = || ProbeAction::Exec { command: vec!["test".into(), "-f".into(), "/ok".into()] };
        let grpc = || ProbeAction::Grpc { port: 9_000, service: "".into() };
        let tcp = || ProbeAction::TcpSocket { port: named() };
        for (action, how, expected) in [
            (
                http("/healthz"),
                Refused,
                "Get \"http://10.0.0.7:8080/healthz\": dial tcp 10.0.0.7:8080: connect: connection refused",
            ),
            (
                http("ok"),
                TimedOut,
                "Get \"http://10.0.0.7:8080/ok\": context deadline exceeded (Client.Timeout exceeded while awaiting \
                 headers)",
            ),
            (http("/"), Unhealthy, "HTTP probe failed with statuscode: 503"),
            (
                http("/"),
                Said("HTTP probe failed with statuscode: 418".into()),
                "HTTP probe failed with statuscode: 418",
            ),
            (tcp(), Refused, "dial tcp 10.0.0.7:8080: connect: connection refused"),
            (tcp(), TimedOut, "dial tcp 10.0.0.7:8080: i/o timeout"),
            (exec(), Unhealthy, ""),
            (exec(), TimedOut, "command timed out: \"test -f /ok\" timed out after 1s"),
            (
                grpc(),
                Refused,
                "timeout: failed to connect service \"10.0.0.7:9000\" within 1s: context deadline exceeded",
            ),
            (grpc(), TimedOut, "timeout: health rpc did not complete within 1s"),
            (grpc(), Unhealthy, "service unhealthy (responded with \"NOT_SERVING\")"),
        ] {
            let probe = Probe { action, ..probe() };
            assert_eq!(failure_text(&how, &probe, &container, Some(&address)), expected);
        }
    }
}
