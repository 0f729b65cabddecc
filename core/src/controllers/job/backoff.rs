//! When a failed pod may be replaced: 10 s, 20 s, 40 s … 10 min after the last failure since the last success.
//!
//! Source: pkg/controller/job/backoff_utils.go (v1.34.1). Times are those of the API, in whole seconds.

use crate::model::{ConditionKind, ContainerState, ContainerStatus, Pod, Status3};
use crate::time::{Span, Time};

/// The delay after the first failure.
const FIRST: Span = Span::from_secs(10);
/// The longest delay.
const LONGEST: Span = Span::from_secs(600);

/// What is remembered of a Job's failures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Backoff {
    /// Pods that failed after the last success.
    pub(super) failures: u32,
    /// When the last of them failed.
    pub(super) last_failure: Option<Time>,
}

impl Backoff {
    /// The same after more pods have ended, each given by the time of its end.
    pub(super) fn after(self, succeeded: &[Time], failed: &[Time]) -> Backoff {
        let last_failure = failed.iter().copied().max();
        match succeeded.iter().copied().max() {
            None => Backoff {
                failures: self.failures + failed.len() as u32,
                last_failure: last_failure.or(self.last_failure),
            },
            Some(success) => {
                let failures = failed.iter().filter(|failure| **failure > success).count() as u32;
                Backoff { failures, last_failure: last_failure.filter(|_| failures > 0) }
            }
        }
    }

    /// How long no pod may be made yet.
    pub(super) fn remaining(self, now: Time) -> Span {
        self.last_failure.map_or(Span::ZERO, |last| remaining(self.failures, last, now))
    }
}

/// How long no pod may be made yet after so many failures, the last at a time.
pub(super) fn remaining(failures: u32, last_failure: Time, now: Time) -> Span {
    if failures == 0 {
        return Span::ZERO;
    }
    // Six doublings are beyond the longest delay.
    let delay = Span(FIRST.0 << (failures - 1).min(6)).min(LONGEST);
    Span(delay.0.saturating_sub(now.since(last_failure).0))
}

/// When a pod ended, as well as its status tells: its last container's end, the time since when it is not ready, the
/// time of the request for its deletion, or its creation.
pub(super) fn finish_time(pod: &Pod) -> Time {
    containers_end(pod)
        .or_else(|| unready_since(pod))
        .or_else(|| deletion_request(pod))
        .unwrap_or(pod.meta.created_at)
        .whole_second()
}

fn containers_end(pod: &Pod) -> Option<Time> {
    let end = |status: &ContainerStatus| match &status.state {
        ContainerState::Terminated(end) => Some(end.finished_at),
        _ => None,
    };
    let latest = |before: Option<Time>, mut ends: Box<dyn Iterator<Item = Option<Time>> + '_>| {
        ends.try_fold(before, |latest, end| Some(latest.max(Some(end?)))).flatten()
    };
    let regular = latest(None, Box::new(pod.status.containers.iter().map(end)));
    let sidecars = pod.spec.init_containers.iter().zip(&pod.status.init_containers).filter(|(spec, _)| spec.sidecar);
    latest(regular, Box::new(sidecars.map(|(_, status)| end(status))))
}

fn unready_since(pod: &Pod) -> Option<Time> {
    let ready = pod.status.conditions.get(ConditionKind::Ready)?;
    (ready.status == Status3::False).then_some(ready.changed_at)
}

fn deletion_request(pod: &Pod) -> Option<Time> {
    let grace = pod.meta.deletion_grace.unwrap_or_default();
    pod.meta.deleted_at.map(|ends| Time(ends.0.saturating_sub(grace.0)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::digest::Shared;
    use crate::model::{Container, PodSpec, Terminated};

    fn at(seconds: u64) -> Time {
        Time::from_secs(seconds)
    }

    fn times(seconds: &[u64]) -> Vec<Time> {
        seconds.iter().map(|it| at(*it)).collect()
    }

    #[test]
    fn failures_count_from_the_last_success_on() {
        // What is known (failures, and when the last was), new successes and failures, what is known then.
        let table: [(_, &[u64], &[u64], _); 12] = [
            ((0, None), &[], &[], (0, None)),
            ((0, None), &[5], &[], (0, None)),
            ((0, None), &[], &[5], (1, Some(5))),
            ((0, None), &[5], &[4], (0, None)),
            ((3, Some(50)), &[], &[], (3, Some(50))),
            ((3, Some(50)), &[], &[60], (4, Some(60))),
            // In whatever order they are given.
            ((3, Some(50)), &[], &[80, 60, 70], (6, Some(80))),
            ((3, Some(50)), &[60], &[], (0, None)),
            // Earlier failures do not count, nor those of the same second.
            ((3, Some(50)), &[60], &[55, 58], (0, None)),
            ((3, Some(50)), &[60], &[60], (0, None)),
            ((3, Some(50)), &[60, 55], &[57, 61, 64], (2, Some(64))),
            ((3, Some(50)), &[60], &[59, 61], (1, Some(61))),
        ];
        let backoff = |(failures, last): (u32, Option<u64>)| Backoff { failures, last_failure: last.map(at) };
        for (known, succeeded, failed, expected) in table {
            let after = backoff(known).after(&times(succeeded), &times(failed));
            assert_eq!(after, backoff(expected), "{known:?}, succeeded {succeeded:?}, failed {failed:?}");
        }
    }

    #[test]
    fn the_delay_doubles_from_ten_seconds_to_ten_minutes_and_passes_with_time() {
        let delays: Vec<u64> = (0..10).map(|failures| remaining(failures, at(100), at(100)).as_secs()).collect();
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!(remaining(u32::MAX, at(100), at(100)), LONGEST);
        assert_eq!(remaining(2, at(100), Time::from_millis(112_500)), Span::from_millis(7_500));
        assert_eq!(remaining(2, at(100), at(120)), Span::ZERO);
        assert_eq!(remaining(2, at(100), at(500)), Span::ZERO);
        assert_eq!(Backoff::default().remaining(at(1)), Span::ZERO);
    }

    fn ended(at: Option<u64>) -> ContainerStatus {
        let end = |at| Terminated {
            exit_code: 1,
            reason: "Error".into(),
            started_at: Time::ZERO,
            finished_at: Time::from_millis(at * 1_000 + 900),
        };
        let state = at
            .map_or(ContainerState::Running { since: Time::ZERO }, |at| ContainerState::Terminated(Arc::new(end(at))));
        ContainerStatus { state, last_terminated: None, ready: false, started: true, restarts: 0 }
    }

    fn pod(containers: &[Option<u64>], sidecars: &[Option<u64>]) -> Pod {
        let container = |sidecar| Container { sidecar, ..Container::default() };
        let spec = PodSpec {
            containers: containers.iter().map(|_| container(false)).collect(),
            init_containers: sidecars.iter().map(|_| container(true)).collect(),
            ..PodSpec::default()
        };
        let mut pod = Pod { spec: Shared::new(spec), ..Pod::default() };
        pod.meta.created_at = at(1);
        pod.status.containers = containers.iter().map(|at| ended(*at)).collect();
        pod.status.init_containers = sidecars.iter().map(|at| ended(*at)).collect();
        pod
    }

    #[test]
    fn a_pod_has_ended_with_its_last_container_in_whole_seconds() {
        // When its containers and its sidecars ended; when the pod has. What runs on says nothing, so its creation at 1
        // s is all that is known.
        type Ends<'a> = &'a [Option<u64>];
        let table: [(Ends<'_>, Ends<'_>, u64); 6] = [
            (&[Some(20)], &[], 20),
            (&[Some(20), Some(25), Some(22)], &[], 25),
            (&[Some(20)], &[Some(31)], 31),
            (&[Some(35)], &[Some(31), Some(5)], 35),
            (&[Some(20), None], &[], 1),
            (&[Some(20)], &[None], 1),
        ];
        for (containers, sidecars, expected) in table {
            assert_eq!(finish_time(&pod(containers, sidecars)), at(expected), "{containers:?}, sidecars {sidecars:?}");
        }
    }

    #[test]
    fn without_ended_containers_the_next_best_time_is_taken() {
        let mut lost = pod(&[None], &[]);
        lost.meta.deleted_at = Some(at(70));
        lost.meta.deletion_grace = Some(Span::from_secs(30));
        assert_eq!(finish_time(&lost), at(40), "when its deletion was asked for");
        lost.status.conditions.set(ConditionKind::Ready, Status3::False, "", "", at(35));
        assert_eq!(finish_time(&lost), at(35), "since when it is not ready");
        lost.status.conditions.set(ConditionKind::Ready, Status3::True, "", "", at(36));
        assert_eq!(finish_time(&lost), at(40));
        assert_eq!(finish_time(&pod(&[], &[])), at(1));
    }
}
