mod hindered;
mod indexes;
mod one_sync;
mod one_sync_policies;
mod orphans;
mod ownership;

use super::making::FAILURES;
use super::*;
use crate::api::{Propagation, Request};
use crate::config::Config;
use crate::digest::Shared;
use crate::facts::What;
use crate::model::{
    COMPLETION_INDEX, CompletionMode, ConditionKind, Container, FailureAction, FailurePattern, FailureRule, JobSpec,
    Labels, Meta, Namespace, Object, ObjectKey, PodReplacement, PodSpec, RestartPolicy, Selector, Status3, SuccessRule,
};
use crate::testbed::{StandIn, Testbed};
use crate::time::Time;

/// Eight nodes' worth of room on two; containers start in one second and are ready at once.
fn bed(ends: fn(&Pod) -> Option<(Span, i32)>) -> Testbed {
    let stand_in = StandIn { start: Span::from_secs(1), ready: Span::ZERO, term: Span::from_secs(1) };
    let mut config = Config::default();
    config.controller_manager.client_limit = None;
    let mut bed = Testbed::new(config).with_binder(&["n1", "n2"]).with_stand_in(stand_in).with_ends(ends);
    bed.add_node(0, "n1", "a", 8_000, 1 << 34);
    bed.add_node(1, "n2", "b", 8_000, 1 << 34);
    bed
}

fn job(change: impl FnOnce(&mut JobSpec)) -> Job {
    let pod = PodSpec {
        containers: vec![Container { name: "c".into(), image: "app:v1".into(), ..Container::default() }],
        restart_policy: RestartPolicy::Never,
        ..PodSpec::default()
    };
    let mut job = Job { meta: Meta::named("default", "j"), ..Job::default() };
    job.spec.template.labels = Labels::new([("app", "j")]);
    job.spec.template.spec = Shared::new(pod);
    change(&mut job.spec);
    job
}

fn indexed(completions: u32, parallelism: u32) -> impl FnOnce(&mut JobSpec) {
    move |spec| {
        spec.mode = CompletionMode::Indexed;
        (spec.completions, spec.parallelism) = (Some(completions), parallelism);
    }
}

fn read(bed: &Testbed) -> Arc<Job> {
    bed.get::<Job>("default", "j").expect("the Job is there")
}

fn pods(bed: &Testbed) -> Vec<Arc<Pod>> {
    bed.core.newest().all::<Pod>().map(|(_, pod)| pod.clone()).collect()
}

fn key() -> ObjectKey {
    ObjectKey::new(Kind::Job, "default", "j")
}

fn patch(bed: &mut Testbed, patch: Patch) {
    bed.request(Request::Patch { key: key(), patch });
}

fn delete(bed: &mut Testbed, key: ObjectKey, propagation: Propagation) {
    bed.request(Request::Delete { key, uid: None, grace: None, propagation });
}

/// A Job's status in one line, zeros left out: `active 2, ready 2, +1/2 uncounted, Suspended=True(JobSuspended)`.
fn told(job: &Job) -> String {
    let status = &job.status;
    let mut parts = Vec::new();
    let counts = [
        ("active", status.active),
        ("ready", status.ready.unwrap_or(0)),
        ("terminating", status.terminating.unwrap_or(0)),
        ("succeeded", status.succeeded),
        ("failed", status.failed),
    ];
    parts.extend(counts.iter().filter(|(_, count)| *count > 0).map(|(name, count)| format!("{name} {count}")));
    let uncounted = (status.uncounted.succeeded.len(), status.uncounted.failed.len());
    if uncounted != (0, 0) {
        parts.push(format!("+{}/{} uncounted", uncounted.0, uncounted.1));
    }
    if !status.completed_indexes.is_empty() {
        parts.push(format!("completed {}", status.completed_indexes));
    }
    if let Some(failed) = &status.failed_indexes {
        parts.push(format!("failed indexes {:?}", failed.to_string()));
    }
    let shown = |it: crate::model::Condition| format!("{:?}={:?}({})", it.kind, it.status, it.reason);
    parts.extend(status.conditions.iter().map(shown));
    parts.join(", ")
}

/// Lets time pass and tells each change of the Job's status, with its time in tenths of a second rounded down.
fn history(bed: &mut Testbed, seconds: u64) -> Vec<String> {
    let end = bed.now() + Span::from_secs(seconds);
    let mut lines: Vec<String> = Vec::new();
    while bed.now() < end {
        bed.run_for(Span::from_millis(100));
        let Some(job) = bed.get::<Job>("default", "j") else { continue };
        let line = told(&job);
        let is_news = lines.last().is_none_or(|last| last.split_once(": ").is_none_or(|(_, before)| before != line));
        if is_news {
            lines.push(format!("{}: {line}", tenths(bed.now())));
        }
    }
    lines
}

/// Seconds with one decimal.
fn tenths(at: Time) -> String {
    let tenths = at.0 / 100_000_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// When pods were created, in whole seconds.
fn creations(bed: &Testbed) -> Vec<u64> {
    let made = bed.facts.iter().filter(|(_, fact)| {
        fact.subject.kind == Kind::Pod && matches!(&fact.what, What::Created { owner } if !owner.is_empty())
    });
    made.map(|(at, _)| at.0 / 1_000_000_000).collect()
}

fn succeed(_: &Pod) -> Option<(Span, i32)> {
    Some((Span::from_secs(4), 0))
}

fn fail(_: &Pod) -> Option<(Span, i32)> {
    Some((Span::from_secs(1), 1))
}

fn run_on(_: &Pod) -> Option<(Span, i32)> {
    None
}

#[test]
fn completions_are_worked_off_with_a_pause_of_a_second_as_recorded() {
    // Recorded: job-basic.
    let mut bed = bed(succeed);
    bed.create(job(|spec| (spec.completions, spec.parallelism) = (Some(6), 2)));
    let history = history(&mut bed, 20);
    assert_eq!(
        history,
        [
            "0.1: active 2",
            "2.0: active 2, ready 2",
            "6.0: active 2, succeeded 2",
            "8.0: active 2, ready 2, succeeded 2",
            "12.0: active 2, succeeded 4",
            "14.0: active 2, ready 2, succeeded 4",
            "18.0: succeeded 6, SuccessCriteriaMet=True(CompletionsReached), Complete=True(CompletionsReached)",
        ]
    );
    let job = read(&bed);
    assert_eq!((job.status.started_at, job.status.completed_at), (Some(Time::ZERO), Some(Time::from_secs(18))));
    assert_eq!(pods(&bed).len(), 6, "finished pods stay");
    assert!(pods(&bed).iter().all(|pod| !pod.is_tracked_by_job()), "and wait for nobody");
}

#[test]
fn a_failing_job_backs_off_from_each_failure_and_gives_up_as_recorded() {
    // Recorded: job-backoff, pods at 0, 11, 33 and 75 s, Failed at 78 s.
    let mut bed = bed(fail);
    bed.create(job(|spec| spec.backoff_limit = 3));
    let history = history(&mut bed, 90);
    assert_eq!(creations(&bed), [0, 12, 34, 76]);
    assert_eq!(
        history.last().unwrap(),
        "79.0: failed 4, FailureTarget=True(BackoffLimitExceeded), Failed=True(BackoffLimitExceeded)"
    );
    assert!(history.contains(&"3.0: failed 1".to_owned()), "{history:?}");
    assert_eq!(read(&bed).status.completed_at, None);
}

#[test]
fn a_success_ends_the_back_off() {
    // The first pod fails, later ones succeed.
    fn first_fails(pod: &Pod) -> Option<(Span, i32)> {
        Some((Span::from_secs(1), i32::from(pod.meta.created_at < Time::from_secs(5))))
    }
    let mut bed = bed(first_fails);
    bed.create(job(|spec| spec.completions = Some(3)));
    bed.run_for(Span::from_secs(40));
    assert_eq!(creations(&bed), [0, 12, 15, 18]);
    assert_eq!(told(&read(&bed)).split(", ").take(2).collect::<Vec<_>>(), ["succeeded 3", "failed 1"]);
}

#[test]
fn a_deadline_ends_the_pods_and_fails_the_job_when_they_are_gone_as_recorded() {
    // Recorded: job-deadline.
    let mut bed = bed(run_on);
    bed.create(job(|spec| {
        (spec.completions, spec.parallelism) = (Some(3), 3);
        spec.active_deadline = Some(Span::from_secs(10));
    }));
    let history = history(&mut bed, 20);
    assert_eq!(
        history,
        [
            "0.1: active 3",
            "2.0: active 3, ready 3",
            "10.0: terminating 3, failed 3, FailureTarget=True(DeadlineExceeded)",
            "12.0: failed 3, FailureTarget=True(DeadlineExceeded), Failed=True(DeadlineExceeded)",
        ]
    );
    assert_eq!(pods(&bed).len(), 0, "deleted pods do not stay");
}

#[test]
fn a_longer_deadline_holds_from_the_moment_it_is_written() {
    let mut bed = bed(run_on);
    bed.create(job(|_| {}));
    bed.run_for(Span::from_secs(5));
    let mut changed = Job::clone(&read(&bed));
    changed.spec.active_deadline = Some(Span::from_secs(8));
    bed.request(Request::Update { object: Object::Job(Arc::new(changed)), expected: None });
    bed.run_for(Span::from_secs(2));
    assert_eq!(told(&read(&bed)), "active 1, ready 1");
    bed.run_for(Span::from_secs(4));
    assert!(told(&read(&bed)).ends_with("Failed=True(DeadlineExceeded)"), "{}", told(&read(&bed)));
}

fn exit_codes(action: FailureAction, codes: &[i32]) -> FailureRule {
    FailureRule { action, on: FailurePattern::ExitCodes { container: None, is_in: true, codes: codes.to_vec() } }
}

fn disrupted(action: FailureAction) -> FailureRule {
    FailureRule { action, on: FailurePattern::Conditions(vec![("DisruptionTarget".into(), Status3::True)]) }
}

#[test]
fn a_policy_fails_the_job_on_an_exit_code_as_recorded() {
    // Recorded: job-pod-failure-policy, job j.
    let mut bed = bed(|pod| Some((Span::from_secs(3), if pod.completion_index() == Some(2) { 42 } else { 0 })));
    bed.create(job(|spec| {
        indexed(3, 3)(spec);
        spec.pod_failure_policy = Some(vec![exit_codes(FailureAction::FailJob, &[42])]);
        spec.pod_replacement = PodReplacement::Failed;
    }));
    bed.run_for(Span::from_secs(10));
    let job = read(&bed);
    assert_eq!(
        told(&job),
        "succeeded 2, failed 1, completed 0,1, FailureTarget=True(PodFailurePolicy), Failed=True(PodFailurePolicy)"
    );
    let message = &job.status.conditions.get(ConditionKind::Failed).unwrap().message;
    let pod = pods(&bed).into_iter().find(|pod| pod.completion_index() == Some(2)).unwrap();
    let expected = format!(
        "Container c for pod default/{} failed with exit code 42 matching FailJob rule at index 0",
        pod.meta.name
    );
    assert_eq!(**message, *expected);
}

#[test]
fn an_ignored_failure_does_not_count_and_is_replaced_when_it_has_ended_as_recorded() {
    // Recorded: job-pod-failure-policy, job k.
    let mut bed = bed(run_on);
    bed.create(job(|spec| {
        (spec.completions, spec.parallelism) = (Some(2), 2);
        spec.backoff_limit = 0;
        spec.pod_failure_policy = Some(vec![disrupted(FailureAction::Ignore), exit_codes(FailureAction::Count, &[1])]);
        spec.pod_replacement = PodReplacement::Failed;
    }));
    bed.run_for(Span::from_secs(4));
    let victim = pods(&bed)[0].clone();
    let key = Object::Pod(victim).key();
    let condition = Patch::PodCondition {
        kind: ConditionKind::DisruptionTarget,
        status: Status3::True,
        reason: "EvictionByEvictionAPI".into(),
        message: "".into(),
    };
    bed.request(Request::Patch { key: key.clone(), patch: condition });
    delete(&mut bed, key, Propagation::Background);
    let history = history(&mut bed, 20);
    assert_eq!(
        history,
        [
            "4.1: active 2, ready 2",
            "5.0: active 1, ready 1, terminating 1",
            "15.0: active 2, ready 1",
            "17.0: active 2, ready 2",
        ],
        "the new pod comes 10 s after the end of the old one, and failed stays 0"
    );
}

#[test]
fn the_kubelet_s_restarts_count_for_pods_that_restart_on_failure() {
    let mut bed = bed(run_on);
    bed.create(job(|spec| {
        spec.backoff_limit = 2;
        let pod = PodSpec { restart_policy: RestartPolicy::OnFailure, ..(*spec.template.spec).clone() };
        spec.template.spec = Shared::new(pod);
    }));
    bed.run_for(Span::from_secs(3));
    let restarted = |bed: &mut Testbed, restarts| {
        let mut pod = Pod::clone(&pods(bed)[0]);
        pod.status.containers[0].restarts = restarts;
        bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(pod)), expected: None });
        bed.run_for(Span::from_secs(4));
        told(&read(bed))
    };
    assert_eq!(restarted(&mut bed, 1), "active 1, ready 1");
    let failed = restarted(&mut bed, 2);
    assert!(failed.ends_with("Failed=True(BackoffLimitExceeded)"), "{failed}");
}

#[test]
fn suspension_ends_pods_without_counting_them_and_resets_the_start_as_recorded() {
    // Recorded: job-suspend-resume.
    let mut bed = bed(run_on);
    bed.create(job(|spec| {
        (spec.completions, spec.parallelism, spec.suspend) = (Some(4), 2, true);
    }));
    let mut told = history(&mut bed, 3);
    patch(&mut bed, Patch::Suspended(false));
    told.extend(history(&mut bed, 5));
    patch(&mut bed, Patch::Suspended(true));
    told.extend(history(&mut bed, 8));
    patch(&mut bed, Patch::Suspended(false));
    told.extend(history(&mut bed, 1));
    assert_eq!(
        told,
        [
            "0.1: Suspended=True(JobSuspended)",
            "3.1: active 2, Suspended=False(JobResumed)",
            "5.0: active 2, ready 2, Suspended=False(JobResumed)",
            "8.1: terminating 2, Suspended=True(JobSuspended)",
            "10.0: Suspended=True(JobSuspended)",
            "16.1: active 2, Suspended=False(JobResumed)",
        ]
    );
    assert_eq!(read(&bed).status.started_at, Some(Time::from_secs(16)));
    assert_eq!(read(&bed).status.failed, 0);
}

#[test]
fn parallelism_follows_the_wish_up_and_down() {
    let mut bed = bed(run_on);
    bed.create(job(|spec| (spec.completions, spec.parallelism) = (Some(10), 3)));
    bed.run_for(Span::from_secs(3));
    patch(&mut bed, Patch::Replicas(6));
    bed.run_for(Span::from_secs(3));
    assert_eq!(told(&read(&bed)), "active 6, ready 6");
    patch(&mut bed, Patch::Replicas(1));
    bed.run_for(Span::from_secs(5));
    assert_eq!(told(&read(&bed)), "active 1, ready 1", "pods that are too many do not count as failed");
    patch(&mut bed, Patch::Replicas(0));
    bed.run_for(Span::from_secs(5));
    assert_eq!(told(&read(&bed)), "");
    assert_eq!(pods(&bed).len(), 0);
}

#[test]
fn a_job_without_completions_is_complete_when_one_pod_has_succeeded_and_none_is_left() {
    fn by_node(pod: &Pod) -> Option<(Span, i32)> {
        let first = pod.node.as_deref() == Some("n1");
        Some((Span::from_secs(if first { 2 } else { 9 }), i32::from(!first)))
    }
    let mut bed = bed(by_node);
    bed.create(job(|spec| (spec.completions, spec.parallelism) = (None, 2)));
    let history = history(&mut bed, 20);
    assert!(history.contains(&"4.0: active 1, ready 1, succeeded 1".to_owned()), "{history:?}");
    let complete = "SuccessCriteriaMet=True(CompletionsReached), Complete=True(CompletionsReached)";
    assert_eq!(*history.last().unwrap(), format!("11.0: succeeded 1, failed 1, {complete}"));
    assert_eq!(pods(&bed).len(), 2, "no pod comes after the first success");
}

#[test]
fn a_job_of_no_completions_is_complete_at_once() {
    let mut bed = bed(run_on);
    bed.create(job(|spec| spec.completions = Some(0)));
    bed.run_for(Span::from_secs(1));
    assert!(told(&read(&bed)).ends_with("Complete=True(CompletionsReached)"));
    assert_eq!(pods(&bed).len(), 0);
}

#[test]
fn a_deleted_pod_is_replaced_at_once_or_when_it_has_ended_as_the_job_wishes() {
    for (replacement, expected) in [(PodReplacement::TerminatingOrFailed, 5), (PodReplacement::Failed, 19)] {
        let mut bed = bed(run_on);
        bed = bed.with_stand_in(StandIn { start: Span::from_secs(1), ready: Span::ZERO, term: Span::from_secs(4) });
        bed.create(job(|spec| spec.pod_replacement = replacement));
        bed.run_for(Span::from_secs(4));
        let key = Object::Pod(pods(&bed)[0].clone()).key();
        delete(&mut bed, key, Propagation::Background);
        bed.run_for(Span::from_secs(30));
        // Deleted at 4 s; noticed a second later, or ended at 8 s and replaced after the back-off.
        let second = *creations(&bed).last().unwrap();
        match replacement {
            PodReplacement::TerminatingOrFailed => assert_eq!(second, 14, "ten seconds after the deletion"),
            PodReplacement::Failed => assert_eq!(second, expected - 1, "ten seconds after the end"),
        }
        assert_eq!(read(&bed).status.failed, 1);
    }
}
