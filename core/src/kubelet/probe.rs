//! When a probe is tried and when its results count: pure functions for the runtimes of both worlds.
//!
//! Source: `worker.doProbe`, pkg/kubelet/prober/worker.go (v1.34.1). Absent on purpose: the jitter of the first probe
//! within one period after the kubelet's own start.

use crate::kubelet::ProbeKind;
use crate::model::Probe;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{IntOrName, ProbeAction};
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
}
