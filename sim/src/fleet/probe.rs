//! Probes by arithmetic: a container that begins to serve at one time has results that can be computed at once.
//!
//! Ticks fall on the request of the probe plus whole periods; those before the initial delay are skipped. So a probe
//! costs at most two events in a container's life, however long that is.
//!
//! Source: `worker.doProbe`, pkg/kubelet/prober/worker.go (v1.34). Absent on purpose: the random phase that a restarted
//! kubelet gives its probes, and failures of a container that has served before.

use wavetank_core::kubelet::{ProbeKind, first_try};
use wavetank_core::model::Probe;
use wavetank_core::time::{Span, Time};

/// When a probe's result changes, at most twice: to failure because the container serves too late, and to success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Results {
    /// When enough probes in a row have failed.
    pub(super) fails_at: Option<Time>,
    /// When enough probes in a row have succeeded.
    pub(super) passes_at: Time,
}

/// The results of a probe that was asked for at `asked` of a container that started at `started` and serves from
/// `serves` on.
///
/// The first result counts without a threshold for a liveness probe, whose result is success until it fails; readiness
/// and startup are held to be failing until they succeed.
pub(super) fn results(probe: &Probe, kind: ProbeKind, asked: Time, started: Time, serves: Time) -> Results {
    let period = probe.period.max(Span(1));
    let tick_from = |from: Time| {
        let periods = from.since(asked).0.div_ceil(period.0);
        asked.saturating_add(Span(period.0.saturating_mul(periods)))
    };
    let later =
        |tick: Time, count: u32| tick.saturating_add(Span(period.0.saturating_mul(u64::from(count.max(1)) - 1)));
    let first = first_try(probe, started, asked);
    let first_success = tick_from(serves).max(first);
    let last_failure = later(first, probe.failure_threshold);
    // Kubernetes allows no success threshold but 1 for liveness and startup probes.
    let threshold = if kind == ProbeKind::Readiness { probe.success_threshold } else { 1 };
    Results {
        fails_at: (last_failure < first_success).then_some(last_failure),
        passes_at: later(first_success, threshold),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_core::model::{IntOrName, ProbeAction};

    fn probe(initial: u64, period: u64, success_threshold: u32, failure_threshold: u32) -> Probe {
        Probe {
            action: ProbeAction::TcpSocket { port: IntOrName::Int(80) },
            initial_delay: Span::from_secs(initial),
            period: Span::from_secs(period),
            timeout: Span::from_secs(1),
            success_threshold,
            failure_threshold,
        }
    }

    fn seconds(probe: Probe, kind: ProbeKind, serves: u64) -> (Option<u64>, u64) {
        let at = Time::from_secs;
        let results = results(&probe, kind, at(100), at(100), at(100 + serves));
        (results.fails_at.map(|time| time.since(at(100)).as_secs()), results.passes_at.since(at(100)).as_secs())
    }

    #[test]
    fn a_container_is_ready_at_the_first_tick_at_or_after_it_serves() {
        let ready = |probe, serves| seconds(probe, ProbeKind::Readiness, serves);
        assert_eq!(ready(probe(0, 10, 1, 3), 0), (None, 0));
        assert_eq!(ready(probe(0, 10, 1, 3), 1), (None, 10));
        assert_eq!(ready(probe(0, 10, 1, 3), 10), (None, 10));
        assert_eq!(ready(probe(5, 10, 1, 3), 1), (None, 10));
        assert_eq!(ready(probe(0, 10, 3, 3), 1), (None, 30));
        assert_eq!(ready(probe(0, 10, 1, 3), 25), (Some(20), 30));
    }

    #[test]
    fn a_container_that_serves_too_late_for_its_liveness_probe_fails_it_first() {
        let live = |probe, serves| seconds(probe, ProbeKind::Liveness, serves);
        assert_eq!(live(probe(0, 10, 1, 3), 40), (Some(20), 40));
        assert_eq!(live(probe(60, 10, 1, 3), 40), (None, 60));
    }
}
