//! The pods that a Job makes, and those that it deletes first when it has too many.
//!
//! Source: `manageJob`, `activePodsForRemoval`, pkg/controller/job/job_controller.go, and
//! pkg/controller/job/indexed_job_utils.go (v1.34.1).

use std::cmp::Reverse;
use std::sync::Arc;

use crate::controllers::pods::from_template;
use crate::id::Uid;
use crate::model::{COMPLETION_INDEX, ConditionKind, JOB_TRACKING, Job, Kind, Phase, Pod};
use crate::time::Time;

use super::policy::judge;

/// The annotation with how many pods of the index have failed before.
pub(super) const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
/// The same for failures that did not count.
pub(super) const IGNORED_FAILURES: &str = "batch.kubernetes.io/job-index-ignored-failure-count";
/// The longest name that letters can be appended to.
const GENERATED_NAME_LIMIT: usize = 58;

/// A pod as the Job asks for it: it waits to be counted when it has ended.
pub(super) fn pod_of(job: &Job) -> Pod {
    let mut pod = from_template(&job.spec.template, Kind::Job, &job.meta);
    pod.meta.finalizers = [JOB_TRACKING.into()].into();
    pod
}

/// The pod of a completion index; `replaced` is the failed pod of that index that it comes after.
pub(super) fn pod_of_index(job: &Job, plain: &Pod, index: u32, replaced: Option<&Pod>) -> Pod {
    let mut pod = plain.clone();
    let meta = &mut pod.meta;
    let text = index.to_string();
    meta.annotations = meta.annotations.with(COMPLETION_INDEX, text.as_str());
    meta.labels = meta.labels.with(COMPLETION_INDEX, text.as_str());
    let ending = format!("-{index}-");
    let room = GENERATED_NAME_LIMIT.saturating_sub(ending.len()).min(job.meta.name.len());
    meta.name = format!("{}{ending}", &job.meta.name[..room]).into();
    if job.spec.backoff_limit_per_index.is_some() {
        let (failures, ignored) = new_failures(job, replaced);
        meta.annotations = meta.annotations.with(FAILURES, failures.to_string());
        if ignored > 0 {
            meta.annotations = meta.annotations.with(IGNORED_FAILURES, ignored.to_string());
        }
    }
    pod
}

/// How many pods of an index have failed, and how many in a way that does not count, when one is replaced.
fn new_failures(job: &Job, replaced: Option<&Pod>) -> (u32, u32) {
    let Some(pod) = replaced else { return (0, 0) };
    let (failures, ignored) = (count(pod, FAILURES), count(pod, IGNORED_FAILURES));
    if judge(&job.spec, pod).counts { (failures + 1, ignored) } else { (failures, ignored + 1) }
}

/// How many pods of a pod's index had failed before it, as an annotation says; what is no number is none.
pub(super) fn count(pod: &Pod, annotation: &str) -> u32 {
    let number = pod.meta.annotations.get(annotation).and_then(|text| text.parse::<i32>().ok());
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

/// How many pods of a pod's index had failed before it, whether that counted or not.
pub(super) fn count_all(pod: &Pod) -> u32 {
    count(pod, FAILURES).saturating_add(count(pod, IGNORED_FAILURES))
}

/// The pods to be deleted: of an Indexed Job all that do not fit (several of one index, none, one beyond the last), and
/// then more until there are at least so many, those first that have come least far.
pub(super) fn doomed(job: &Job, mut pods: Vec<Arc<Pod>>, at_least: usize) -> Vec<Arc<Pod>> {
    let mut doomed = Vec::new();
    if job.is_indexed() {
        let completions = job.spec.completions.unwrap_or(0);
        pods.sort_by_key(|pod| (pod.completion_index(), Reverse(rank(pod))));
        let mut last = None;
        // The pod of an index that has come farthest comes first, and stays.
        pods.retain(|pod| {
            let index = pod.completion_index();
            let fits = index.is_some_and(|index| index < completions) && index != last;
            last = index;
            if !fits {
                doomed.push(pod.clone());
            }
            fits
        });
    }
    let missing = at_least.saturating_sub(doomed.len());
    if missing > 0 {
        pods.sort_by_key(|pod| rank(pod));
        doomed.extend(pods.into_iter().take(missing));
    }
    doomed
}

/// How far a pod has come: the least goes first.
type Rank = (bool, u8, bool, Reverse<Option<Time>>, Reverse<u32>, Reverse<Time>, Uid);

/// Source: `ActivePods.Less`, pkg/controller/controller_utils.go (v1.34.1). Where Kubernetes leaves the order to its
/// sorting routine, the smaller uid goes first.
fn rank(pod: &Pod) -> Rank {
    let phase = match pod.status.phase {
        Phase::Unknown => 1,
        Phase::Running => 2,
        _ => 0,
    };
    let ready_since = pod.status.conditions.get(ConditionKind::Ready).filter(|_| pod.is_ready());
    let restarts = pod.status.containers.iter().map(|container| container.restarts).max().unwrap_or(0);
    (
        pod.node.is_some(),
        phase,
        pod.is_ready(),
        Reverse(ready_since.map(|ready| ready.changed_at.whole_second())),
        Reverse(restarts),
        Reverse(pod.meta.created_at.whole_second()),
        pod.meta.uid,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CompletionMode, FailureAction, FailurePattern, FailureRule, JobSpec, Labels, Meta, Status3};

    fn indexed(completions: u32, per_index: Option<u32>) -> Job {
        let spec = JobSpec {
            mode: CompletionMode::Indexed,
            completions: Some(completions),
            backoff_limit_per_index: per_index,
            ..JobSpec::default()
        };
        Job { meta: Meta::named("default", "work"), spec, ..Job::default() }
    }

    fn pod(name: &str, index: Option<u32>, phase: Phase) -> Arc<Pod> {
        let mut pod = Pod { meta: Meta::named("default", name).into(), ..Pod::default() };
        pod.meta.uid = Uid::new(u128::from(name.as_bytes()[0]));
        if let Some(index) = index {
            pod.meta.annotations = Labels::new([(COMPLETION_INDEX, index.to_string())]);
        }
        pod.node = Some("n1".into());
        pod.status.phase = phase;
        Arc::new(pod)
    }

    fn names(pods: &[Arc<Pod>]) -> Vec<&str> {
        pods.iter().map(|pod| &*pod.meta.name).collect()
    }

    #[test]
    fn a_pod_of_an_index_knows_it_and_is_named_after_it() {
        let job = indexed(3, None);
        let pod = pod_of_index(&job, &pod_of(&job), 2, None);
        assert_eq!(&*pod.meta.name, "work-2-");
        assert_eq!((pod.completion_index(), pod.is_tracked_by_job()), (Some(2), true));
        assert_eq!(pod.meta.labels.get(COMPLETION_INDEX).map(|text| &**text), Some("2"));
        assert_eq!(pod.meta.annotations.get(FAILURES), None);
        assert_eq!(pod.of_index(), Some(("work-2".into(), 2)), "its host name");
        let long = Job { meta: Meta::named("default", &"w".repeat(63)), ..indexed(200, None) };
        let name = pod_of_index(&long, &pod_of(&long), 123, None).meta.name.clone();
        assert!(name.len() == 58 && name.ends_with("w-123-"), "{name}");
    }

    #[test]
    fn failures_of_an_index_are_handed_on_to_the_next_pod() {
        let mut job = indexed(3, Some(5));
        let counts = |pod: &Pod| (count(pod, FAILURES), count(pod, IGNORED_FAILURES), count_all(pod));
        let first = pod_of_index(&job, &pod_of(&job), 0, None);
        assert_eq!(first.meta.annotations.get(FAILURES).map(|text| &**text), Some("0"));
        let second = pod_of_index(&job, &pod_of(&job), 0, Some(&first));
        assert_eq!(counts(&second), (1, 0, 1));
        let on = FailurePattern::Conditions(vec![("DisruptionTarget".into(), Status3::True)]);
        job.spec.pod_failure_policy = Some(vec![FailureRule { action: FailureAction::Ignore, on }]);
        let mut disrupted = second.clone();
        disrupted.status.conditions.set(ConditionKind::DisruptionTarget, Status3::True, "", "", Time::ZERO);
        let third = pod_of_index(&job, &pod_of(&job), 0, Some(&disrupted));
        assert_eq!(counts(&third), (1, 1, 2));
        for (failures, ignored, expected) in [
            ("many", "-3", (0, 0, 0)),
            ("2147483647", "0", (2_147_483_647, 0, 2_147_483_647)),
            ("2147483648", "1", (0, 1, 1)),
        ] {
            let mut odd = third.clone();
            odd.meta.annotations = Labels::new([(FAILURES, failures), (IGNORED_FAILURES, ignored)]);
            assert_eq!(counts(&odd), expected, "{failures} and {ignored}");
        }
    }

    #[test]
    fn pods_that_have_come_least_far_go_first() {
        let plain = Job::default();
        let mut unbound = Pod::clone(&pod("u", None, Phase::Pending));
        unbound.node = None;
        let ready = |name: &str, since| {
            let mut pod = Pod::clone(&pod(name, None, Phase::Running));
            pod.status.conditions.set(ConditionKind::Ready, Status3::True, "", "", Time::from_secs(since));
            Arc::new(pod)
        };
        let pods = || {
            vec![
                ready("old", 10),
                pod("r", None, Phase::Running),
                ready("new", 500),
                pod("p", None, Phase::Pending),
                Arc::new(unbound.clone()),
            ]
        };
        assert_eq!(names(&doomed(&plain, pods(), 5)), ["u", "p", "r", "new", "old"]);
        assert_eq!(names(&doomed(&plain, pods(), 2)), ["u", "p"]);
        assert_eq!(names(&doomed(&plain, pods(), 0)), Vec::<&str>::new());
    }

    #[test]
    fn an_indexed_job_deletes_pods_that_do_not_fit_before_others() {
        let job = indexed(3, None);
        let run = Phase::Running;
        let pods = || {
            vec![
                pod("a", Some(0), Phase::Pending),
                pod("b", Some(0), run),
                pod("c", Some(1), run),
                pod("d", None, run),
                pod("e", Some(3), run),
                pod("f", Some(7), run),
            ]
        };
        assert_eq!(names(&doomed(&job, pods(), 0)), ["d", "a", "e", "f"]);
        assert_eq!(names(&doomed(&job, pods(), 5)), ["d", "a", "e", "f", "b"]);
    }
}
