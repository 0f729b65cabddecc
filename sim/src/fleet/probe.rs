//! Probes by arithmetic: when a container answers is known beforehand, so its probes' results can be computed at once.
//!
//! Ticks fall on a time that the request names plus whole periods; those before the request and before the initial
//! delay are skipped. So a probe costs one event for each change of its result in a container's life and one for each
//! run of tries that fail, however long these are.
//!
//! Source: `worker.doProbe`, pkg/kubelet/prober/worker.go (v1.34). Absent on purpose: the random phase that a restarted
//! kubelet gives its probes, and the time until a try is given up.

use wavetank_core::kubelet::{ProbeKind, ProbeTally, first_try};
use wavetank_core::model::Probe;
use wavetank_core::time::{Span, Time};

/// From a time on a container answers, or does not. Sorted by time; before the first it does not answer.
pub(super) type Course = Vec<(Time, bool)>;

/// What comes of a probe.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// The changes of its result, in order; the first result is among them.
    pub(super) changes: Course,
    /// Runs of tries that fail, in order: when the first and the last of each are. `Time::FAR_FUTURE` is no last one.
    pub(super) failures: Vec<(Time, Time)>,
}

/// What comes of a probe that was asked for at `asked` of a container that started at `started`. What is not told yet
/// is success for a liveness probe, failure otherwise.
pub(super) fn results(
    probe: &Probe,
    kind: ProbeKind,
    (asked, ticks_from): (Time, Time),
    started: Time,
    course: &[(Time, bool)],
) -> Results {
    // Kubernetes allows no success threshold but 1 for liveness and startup probes.
    let success_threshold = if kind == ProbeKind::Readiness { probe.success_threshold } else { 1 };
    let probe = Probe { success_threshold, ..probe.clone() };
    let period = probe.period.max(Span(1));
    let tick_from = |from: Time| {
        let periods = from.since(ticks_from).0.div_ceil(period.0);
        ticks_from.saturating_add(Span(period.0.saturating_mul(periods)))
    };
    let first = first_try(&probe, started, asked, ticks_from);
    let mut tally = ProbeTally::new();
    let mut told = Results::default();
    // When the probe was put on hold.
    let mut held = None;
    for (index, answers) in (0..=course.len()).map(|index| (index, index > 0 && course[index - 1].1)) {
        let begins = if index == 0 { Time::ZERO } else { course[index - 1].0 };
        let ends = course.get(index).map_or(Time::FAR_FUTURE, |next| next.0);
        let threshold = if answers { probe.success_threshold } else { probe.failure_threshold };
        let from = tick_from(begins).max(first);
        if from >= ends {
            continue;
        }
        let was_held = held.is_some();
        let mut tick = from;
        // As many ticks as can change something: more of the same change nothing.
        for _ in 0..threshold.max(1) {
            if tick >= ends {
                break;
            }
            if let Some(result) = tally.observe(&probe, answers) {
                told.changes.push((tick, result));
                if kind == ProbeKind::Startup || kind == ProbeKind::Liveness && !result {
                    held.get_or_insert(tick);
                }
            }
            tick = tick.saturating_add(period);
        }
        if !answers && !was_held {
            told.failures.push((from, held.unwrap_or_else(|| last_tick(from, ends, period))));
        }
    }
    told
}

/// The last of the ticks that come every period from one on and before an end.
fn last_tick(from: Time, ends: Time, period: Span) -> Time {
    if ends == Time::FAR_FUTURE {
        return ends;
    }
    let more = (ends.since(from).0 - 1) / period.0;
    from + Span(more * period.0)
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
            termination_grace: None,
        }
    }

    /// Changes in seconds since the start, for a container that answers from the first time on, then not, and so on.
    fn changes(probe: &Probe, kind: ProbeKind, turns: &[u64]) -> Vec<(u64, bool)> {
        let at = |second: u64| Time::from_secs(100 + second);
        let course: Course = turns.iter().enumerate().map(|(index, second)| (at(*second), index % 2 == 0)).collect();
        let told = results(probe, kind, (at(0), at(0)), at(0), &course);
        told.changes.iter().map(|(time, result)| (time.since(at(0)).as_secs(), *result)).collect()
    }

    #[test]
    fn a_container_is_ready_at_the_first_tick_at_or_after_it_serves() {
        let ready = |probe: Probe, serves| changes(&probe, ProbeKind::Readiness, &[serves]);
        assert_eq!(ready(probe(0, 10, 1, 3), 0), [(0, true)]);
        assert_eq!(ready(probe(0, 10, 1, 3), 1), [(10, true)]);
        assert_eq!(ready(probe(0, 10, 1, 3), 10), [(10, true)]);
        assert_eq!(ready(probe(5, 10, 1, 3), 1), [(10, true)]);
        assert_eq!(ready(probe(0, 10, 3, 3), 1), [(30, true)]);
        assert_eq!(ready(probe(0, 10, 1, 3), 25), [(20, false), (30, true)]);
    }

    #[test]
    fn ticks_go_on_from_before_the_request() {
        let at = |second: u64| Time::from_secs(100 + second);
        let told = results(&probe(0, 10, 1, 3), ProbeKind::Startup, (at(3), at(0)), at(2), &[(at(2), true)]);
        assert_eq!(told.changes, [(at(10), true)]);
    }

    #[test]
    fn a_container_that_serves_too_late_for_its_liveness_probe_fails_it_first() {
        let live = |probe: Probe, serves| changes(&probe, ProbeKind::Liveness, &[serves]);
        assert_eq!(live(probe(0, 10, 1, 3), 40), [(20, false), (40, true)]);
        assert_eq!(live(probe(60, 10, 1, 3), 40), [(60, true)]);
    }

    #[test]
    fn an_outage_shows_when_it_is_long_enough_for_the_threshold() {
        let ready = |turns: &[u64]| changes(&probe(0, 10, 1, 3), ProbeKind::Readiness, turns);
        assert_eq!(ready(&[0, 55, 95]), [(0, true), (80, false), (100, true)]);
        assert_eq!(ready(&[0, 55, 79]), [(0, true)], "two failures are not three");
        assert_eq!(ready(&[0, 51, 59]), [(0, true)], "between two ticks");
        assert_eq!(ready(&[0, 100]), [(0, true), (120, false)], "it never comes back");
        assert_eq!(ready(&[]), [(20, false)]);
    }

    #[test]
    fn failures_on_both_sides_of_a_success_that_no_tick_saw_count_together() {
        let ready = changes(&probe(0, 10, 1, 3), ProbeKind::Readiness, &[0, 55, 71, 79, 95]);
        assert_eq!(ready, [(0, true), (80, false), (100, true)]);
    }

    /// Runs of failing tries in seconds since the start, for a container that answers from the first time on, then not,
    /// and so on.
    fn failures(probe: &Probe, kind: ProbeKind, turns: &[u64]) -> Vec<(u64, Option<u64>)> {
        let at = |second: u64| Time::from_secs(100 + second);
        let course: Course = turns.iter().enumerate().map(|(index, second)| (at(*second), index % 2 == 0)).collect();
        let told = results(probe, kind, (at(0), at(0)), at(0), &course);
        let second = |time: Time| time.since(at(0)).as_secs();
        let last = |time: Time| (time < Time::FAR_FUTURE).then(|| second(time));
        told.failures.iter().map(|(from, to)| (second(*from), last(*to))).collect()
    }

    #[test]
    fn every_try_that_fails_is_in_a_run_whether_it_changes_something_or_not() {
        let ready = |turns: &[u64]| failures(&probe(0, 10, 1, 3), ProbeKind::Readiness, turns);
        assert_eq!(ready(&[0]), []);
        assert_eq!(ready(&[1]), [(0, Some(0))], "it serves a little too late for the first try");
        assert_eq!(ready(&[10]), [(0, Some(0))], "a try at the moment from which on it serves succeeds");
        assert_eq!(ready(&[25]), [(0, Some(20))]);
        assert_eq!(ready(&[]), [(0, None)], "it never serves");
        assert_eq!(ready(&[0, 51, 59]), [], "between two tries");
        assert_eq!(ready(&[0, 55, 75]), [(60, Some(70))], "two failures change nothing");
        assert_eq!(ready(&[15, 55, 95]), [(0, Some(10)), (60, Some(90))]);
        assert_eq!(failures(&probe(60, 10, 1, 3), ProbeKind::Readiness, &[70]), [(60, Some(60))]);
    }

    #[test]
    fn a_probe_that_has_decided_about_its_container_is_not_tried_any_more() {
        use ProbeKind::{Liveness, Startup};
        assert_eq!(failures(&probe(0, 10, 1, 3), Liveness, &[]), [(0, Some(20))]);
        assert_eq!(failures(&probe(0, 10, 1, 3), Liveness, &[0, 55]), [(60, Some(80))]);
        assert_eq!(failures(&probe(0, 10, 1, 3), Liveness, &[0, 55, 75, 105]), [(60, Some(70)), (110, Some(130))]);
        assert_eq!(failures(&probe(0, 10, 1, 3), Liveness, &[0, 55, 95, 105]), [(60, Some(80))]);
        assert_eq!(failures(&probe(0, 10, 1, 30), Startup, &[45]), [(0, Some(40))]);
        assert_eq!(failures(&probe(0, 10, 1, 30), Startup, &[45, 65]), [(0, Some(40))], "it has started");
        assert_eq!(failures(&probe(0, 10, 1, 3), Startup, &[45]), [(0, Some(20))]);
    }
}
