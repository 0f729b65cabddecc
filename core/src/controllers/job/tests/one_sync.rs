//! What a single sync does, given a Job and its pods: how many pods it makes and deletes, and what the status says.

use super::*;
use crate::controllers::owned_by;
use crate::id::ProcId;
use crate::model::{
    ConditionKind, ContainerState, ContainerStatus, IndexSet, JOB_TRACKING, MetaExtras, Phase, Terminated,
};
use crate::seam::Input;

/// A Job in words: `p=` parallelism, `c=` completions, `b=` back-off limit and the marks below.
fn job_of(words: &str) -> Job {
    let mut job = job(|spec| (spec.completions, spec.parallelism, spec.backoff_limit) = (None, 1, 6));
    for word in words.split_whitespace() {
        let number = || -> u32 { word[2..].parse().expect("a number after `=`") };
        match word {
            "indexed" => job.spec.mode = CompletionMode::Indexed,
            "failed-only" => job.spec.pod_replacement = PodReplacement::Failed,
            "policy" => job.spec.pod_failure_policy = Some(Vec::new()),
            "suspend" => job.spec.suspend = true,
            "deleting" => job.meta.finalizers = ["example.com/hold".into()].into(),
            "was-failed" => job.status.failed = 1,
            "was-held-by-hand" => set(&mut job, ConditionKind::Suspended, Status3::True, "ByHand"),
            "was-suspended" => set(&mut job, ConditionKind::Suspended, Status3::True, "JobSuspended"),
            "not-failing" => set(&mut job, ConditionKind::FailureTarget, Status3::False, "ByHand"),
            "not-succeeding" => set(&mut job, ConditionKind::SuccessCriteriaMet, Status3::False, "ByHand"),
            _ if word.starts_with("p=") => job.spec.parallelism = number(),
            _ if word.starts_with("c=") => job.spec.completions = Some(number()),
            _ if word.starts_with("b=") => job.spec.backoff_limit = number(),
            "on-failure" => {
                let pod =
                    PodSpec { restart_policy: RestartPolicy::OnFailure, ..PodSpec::clone(&job.spec.template.spec) };
                job.spec.template.spec = Shared::new(pod);
            }
            "was-target" => set(&mut job, ConditionKind::FailureTarget, Status3::True, "Before"),
            "was-met" => set(&mut job, ConditionKind::SuccessCriteriaMet, Status3::True, "SuccessPolicy"),
            _ if word.starts_with("d=") => {
                job.spec.active_deadline = Some(Span::from_secs(number().into()));
                job.status.started_at = Some(Time::ZERO);
            }
            _ if word.starts_with("i=") => job.spec.backoff_limit_per_index = Some(number()),
            _ if word.starts_with("m=") => job.spec.max_failed_indexes = Some(number()),
            _ if word.starts_with("done=") => {
                job.status.completed_indexes = IndexSet::parse(&word[5..], 1_000);
                job.status.succeeded = job.status.completed_indexes.len();
            }
            _ if word.starts_with("lost=") => job.status.failed_indexes = Some(IndexSet::parse(&word[5..], 1_000)),
            _ if word.starts_with("met=") => {
                let (indexes, count) = word[4..].split_once('/').unwrap_or((&word[4..], ""));
                let indexes = (!indexes.is_empty()).then(|| indexes.into());
                let rule = SuccessRule { indexes, count: count.parse().ok() };
                job.spec.success_policy.get_or_insert_default().push(rule);
            }
            _ if word.contains('=') => job.spec.pod_failure_policy.get_or_insert_default().push(rule_of(word)),
            other => panic!("no such mark of a Job: {other}"),
        }
    }
    job
}

/// A rule of a failure policy: `FailJob=5,6`, `Ignore=!5` for every other code, `FailJob=5@side` of one container,
/// `Count=disrupted` for the condition DisruptionTarget.
fn rule_of(word: &str) -> FailureRule {
    let (action, on) = word.split_once('=').expect("an action and what it is for");
    let action = match action {
        "FailJob" => FailureAction::FailJob,
        "FailIndex" => FailureAction::FailIndex,
        "Ignore" => FailureAction::Ignore,
        "Count" => FailureAction::Count,
        other => panic!("no such mark of a Job: {other}"),
    };
    if on == "disrupted" {
        return disrupted(action);
    }
    let (codes, container) =
        on.split_once('@').map_or((on, None), |(codes, container)| (codes, Some(container.into())));
    let is_in = !codes.starts_with('!');
    let codes = codes.trim_start_matches('!').split(',').map(|code| code.parse().unwrap()).collect();
    FailureRule { action, on: FailurePattern::ExitCodes { container, is_in, codes } }
}

fn set(job: &mut Job, kind: ConditionKind, status: Status3, reason: &str) {
    job.status.conditions.set(kind, status, reason, "", Time::ZERO);
}

/// A pod of the Job in words: `[count x][index:]phase`, with `?` for an index that is no number; an `ending` one runs
/// and is being deleted. Behind the phase: `!5` the exit code of its container, `^5` that of its init container, `~2`
/// restarts, `#1` failures of its index before it, `*` if it was disrupted, `%` if it has lost its finalizer,
/// `@9` the second at which its container ended with code 1.
fn pods_of(words: &str, job: &Job) -> Vec<(Pod, &'static str)> {
    let mut pods = Vec::new();
    for word in words.split_whitespace() {
        let (count, word) = word.split_once('x').map_or((1, word), |(count, word)| (count.parse().unwrap(), word));
        let (index, phase) = word.split_once(':').map_or((None, word), |(index, phase)| (Some(index), phase));
        for _ in 0..count {
            let finalizers = [JOB_TRACKING.into()].into();
            let annotations = index.map_or(Labels::default(), |index| Labels::new([(COMPLETION_INDEX, index)]));
            let meta = Meta {
                labels: job.spec.selector.match_labels.clone(),
                owners: [owned_by(Kind::Job, &job.meta)].into(),
                extras: MetaExtras { annotations, finalizers, ..MetaExtras::default() }.into(),
                ..Meta::named("default", &format!("p{}", pods.len()))
            };
            let mut pod = Pod { meta: meta.into(), spec: job.spec.template.spec.clone(), ..Pod::default() };
            let (phase, marks) = phase.split_at(phase.find(MARKS).unwrap_or(phase.len()));
            mark(&mut pod, marks);
            let (as_phase, then) = match phase {
                "pending" => (Phase::Pending, ""),
                "running" => (Phase::Running, ""),
                "ready" => (Phase::Running, "ready"),
                "ending" => (Phase::Running, "deleted"),
                "succeeded" => (Phase::Succeeded, ""),
                "failed" => (Phase::Failed, ""),
                other => panic!("no such pod: {other}"),
            };
            pod.status.phase = as_phase;
            pods.push((pod, then));
        }
    }
    pods
}

/// What can stand behind a phase.
const MARKS: [char; 7] = ['!', '^', '~', '#', '*', '%', '@'];

fn mark(pod: &mut Pod, mut marks: &str) {
    let mut container = ContainerStatus {
        state: ContainerState::Running { since: Time::ZERO },
        last_terminated: None,
        ready: false,
        started: true,
        restarts: 0,
    };
    while let Some(kind) = marks.chars().next() {
        let rest = &marks[1..];
        let end = rest.find(MARKS).unwrap_or(rest.len());
        let (value, next) = rest.split_at(end);
        marks = next;
        let ended = |code: &str, at: u64| {
            let exit_code = code.parse().expect("an exit code");
            let (started_at, finished_at) = (Time::ZERO, Time::from_secs(at));
            ContainerState::Terminated(Arc::new(Terminated {
                exit_code,
                reason: "Error".into(),
                started_at,
                finished_at,
            }))
        };
        match kind {
            '!' => container.state = ended(value, 0),
            '@' => container.state = ended("1", value.parse().expect("a second")),
            '^' => {
                let status = ContainerStatus { state: ended(value, 0), ..container.clone() };
                pod.status.init_containers = vec![status];
                let setup = Container { name: "setup".into(), ..Container::default() };
                pod.spec = Shared::new(PodSpec { init_containers: vec![setup], ..PodSpec::clone(&pod.spec) });
            }
            '~' => container.restarts = value.parse().expect("a number of restarts"),
            '%' => pod.meta.finalizers = [].into(),
            '#' => pod.meta.annotations = pod.meta.annotations.with(FAILURES, value),
            _ => {
                pod.status.conditions.set(ConditionKind::DisruptionTarget, Status3::True, "", "", Time::ZERO);
            }
        }
        pod.status.containers = vec![container.clone()].into();
    }
}

/// Lets one sync look at a Job and its pods, all of which are older than any back-off, and tells what it did.
fn sync(job: &str, pods: &str) -> String {
    sync_refused(job, pods, 0, |_| false).0
}

/// The same while so many requests of a kind are refused, and what the status says twenty seconds later.
pub(super) fn sync_refused(job: &str, pods: &str, times: u32, refused: fn(&Request) -> bool) -> (String, String) {
    let mut config = Config::default();
    config.controller_manager.client_limit = None;
    let mut bed = Testbed::new(config);
    bed.input(Input::Crashed(ProcId::CONTROLLER_MANAGER));
    bed.run_for(Span::ZERO);
    let wanted = job_of(job);
    bed.create(wanted.clone());
    let mut stored = Job::clone(&read(&bed));
    stored.status = wanted.status;
    bed.request(Request::UpdateStatus { object: Object::Job(Arc::new(stored.clone())), expected: None });
    for (pod, then) in pods_of(pods, &stored) {
        let name = pod.meta.name.clone();
        bed.create(pod.clone());
        let mut there = Pod::clone(&bed.get::<Pod>("default", &name).unwrap());
        there.status = pod.status.clone();
        if then == "ready" {
            there.status.conditions.set(ConditionKind::Ready, Status3::True, "", "", bed.now());
        }
        bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(there)), expected: None });
        if then == "deleted" {
            delete(&mut bed, ObjectKey::new(Kind::Pod, "default", &name), Propagation::Background);
        }
    }
    if !wanted.meta.finalizers.is_empty() {
        delete(&mut bed, key(), Propagation::Background);
    }
    bed.run_for(Span::from_secs(1_000));
    let before: Vec<_> = self::pods(&bed).iter().map(|pod| (pod.meta.uid, pod.meta.is_terminating())).collect();
    bed.refuse(times, refused);
    bed.input(Input::Started(ProcId::CONTROLLER_MANAGER));
    bed.run_for(Span::from_millis(500));
    let after = self::pods(&bed);
    let made: Vec<&Arc<Pod>> = after.iter().filter(|pod| before.iter().all(|(uid, _)| *uid != pod.meta.uid)).collect();
    let mut indexes: Vec<u32> = made.iter().filter_map(|pod| pod.completion_index()).collect();
    indexes.sort_unstable();
    let still = |uid| after.iter().any(|pod| pod.meta.uid == uid && !pod.meta.is_terminating());
    let deleted = before.iter().filter(|(uid, ending)| !ending && !still(*uid)).count();
    let made = match (made.len(), indexes.is_empty()) {
        (0, _) => String::new(),
        (count, true) => format!("+{count} "),
        _ => format!("+{indexes:?} "),
    };
    let deleted = if deleted > 0 { format!("-{deleted} ") } else { String::new() };
    let at_once = format!("{made}{deleted}{}", told(&read(&bed)));
    bed.run_for(Span::from_secs(20));
    assert_eq!(bed.refusals_left(), 0, "{job}: requests that should have been refused were not made");
    (at_once, told(&read(&bed)))
}

/// How [`told`] shows a Job that has got what it was made for, and one whose pods failed too often.
const COMPLETE: &str = "SuccessCriteriaMet=True(CompletionsReached), Complete=True(CompletionsReached)";
const FAILING: &str = "FailureTarget=True(BackoffLimitExceeded)";

pub(super) fn check(table: &[(&str, &str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (story, job, pods, expected) in table {
        let expected = expected.replace("COMPLETE", COMPLETE).replace("FAILING", FAILING);
        let found = sync(job, pods);
        if found != expected {
            wrong.push(format!("{story}: {job} with {pods:?}\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn pods_are_made_and_deleted_until_there_are_as_many_as_wanted() {
    check(&[
        ("start", "p=2 c=5", "", "+2 active 2"),
        ("start of a work queue", "p=2", "", "+2 active 2"),
        ("pods that are pending count", "p=2 c=5", "2xpending", "active 2"),
        ("all are there", "p=3 c=5", "running 2xready", "active 3, ready 2"),
        ("all of a work queue are there", "p=2", "2xrunning", "active 2"),
        ("one is missing", "p=2 c=5", "running succeeded", "+1 active 2, succeeded 1"),
        ("one is missing of a work queue", "p=2", "running", "+1 active 2"),
        ("one too many", "p=2 c=5", "3xrunning", "-1 active 2, terminating 1"),
        ("one too many of ready ones", "p=2 c=5", "3xready", "-1 active 2, ready 2, terminating 1"),
        ("eight too many", "p=2 c=5", "10xrunning", "-8 active 2, terminating 8"),
        ("more than is left to do", "p=3 c=4", "3xrunning 2xsucceeded", "-1 active 2, terminating 1, succeeded 2"),
        ("only the status changes", "p=2 c=5", "2xrunning 2xsucceeded", "active 2, succeeded 2"),
        ("after success and failure", "p=2 c=5", "running succeeded failed", "+1 active 2, succeeded 1, failed 1"),
        ("after a failure long ago", "p=2 c=5", "running failed", "+1 active 2, failed 1"),
        ("a failure that was counted", "p=1 c=1 was-failed", "running", "active 1, failed 1"),
    ]);
}

#[test]
fn pods_that_end_are_replaced_at_once_or_later_as_the_policy_says() {
    check(&[
        ("later", "p=1 failed-only", "running failed ending", "active 1, terminating 1, failed 1"),
        ("at once", "p=1 c=1", "running failed ending", "active 1, terminating 1, failed 2"),
        ("at once, a work queue", "p=1", "running failed ending", "active 1, terminating 1, failed 2"),
        ("more end than run", "p=1 c=1 failed-only", "2xrunning 4xending", "-1 active 1, terminating 5"),
        ("the same with a failure policy", "p=1 c=1 policy", "2xrunning 4xending", "-1 active 1, terminating 5"),
        ("an index later", "p=2 c=5 indexed failed-only", "ending", "+[0] active 1, terminating 1"),
        ("an index at once", "p=2 c=5 indexed", "ending", "+[0, 1] active 2, terminating 1"),
    ]);
}

#[test]
fn a_job_ends_when_enough_pods_have_succeeded_or_too_many_have_failed() {
    check(&[
        ("all done", "p=2 c=5", "5xsucceeded", "succeeded 5, COMPLETE"),
        ("a work queue runs out", "p=2", "running succeeded", "active 1, succeeded 1"),
        ("a work queue is done", "p=2", "2xsucceeded", "succeeded 2, COMPLETE"),
        ("done in spite of a failure", "p=2", "succeeded failed", "succeeded 1, failed 1, COMPLETE"),
        (
            "failed and being deleted",
            "p=2 c=5 b=0 deleting",
            "failed",
            "failed 1, FAILING, Failed=True(BackoffLimitExceeded)",
        ),
        ("ready pods of a failed Job", "p=2 c=3 b=0", "2xready failed", "-2 terminating 2, failed 3, FAILING"),
        ("a Job that is being deleted", "p=2 c=5 deleting", "pending running succeeded", "active 2, succeeded 1"),
        ("said by hand not to fail", "p=1 c=1 not-failing", "ready", "active 1, ready 1, FailureTarget=False(ByHand)"),
        (
            "said by hand not to succeed",
            "p=1 c=1 not-succeeding",
            "ready",
            "active 1, ready 1, SuccessCriteriaMet=False(ByHand)",
        ),
    ]);
}

#[test]
fn each_index_is_seen_to() {
    check(&[
        ("start", "p=2 c=5 indexed", "", "+[0, 1] active 2"),
        (
            "all done",
            "p=2 c=3 indexed",
            "0:succeeded 1:failed 1:succeeded 2:succeeded",
            "succeeded 3, failed 1, completed 0-2, COMPLETE",
        ),
        (
            "failed",
            "p=2 c=3 b=0 indexed",
            "0:succeeded 1:failed 2:running",
            "-1 terminating 1, succeeded 1, failed 2, completed 0, FAILING",
        ),
        (
            "an index that is done twice",
            "p=2 c=3 indexed",
            "0:succeeded 1:succeeded 1:succeeded",
            "+[2] active 1, succeeded 2, completed 0,1",
        ),
        (
            "the first free ones",
            "p=8 c=20 indexed",
            "0:running 2:succeeded 3:pending 4:succeeded 5:succeeded 7:succeeded 8:succeeded 9:succeeded",
            "+[1, 6, 10, 11, 12, 13] active 8, succeeded 6, completed 2,4,5,7-9",
        ),
        (
            "the first free ones among failed ones",
            "p=6 c=12 indexed i=1 lost=2,6,7",
            "1:succeeded 3:pending 5:succeeded 9:running",
            "+[0, 4, 8, 10] active 6, succeeded 2, completed 1,5, failed indexes \"2,6,7\"",
        ),
        ("failed ones again", "p=3 c=4 indexed", "0:failed 1:pending 2:failed", "+[0, 2] active 3, failed 2"),
        (
            "pods without an index",
            "p=2 c=5 indexed",
            "running succeeded failed ?:running ?:succeeded ?:failed ?:pending 0:succeeded 1:running 2:running",
            "-3 active 2, terminating 3, succeeded 1, completed 0",
        ),
        (
            "two of one index",
            "p=5 c=5 indexed",
            "succeeded failed ?:running 0:succeeded 1:running 2:running 2:pending",
            "-2 active 2, terminating 2, succeeded 1, completed 0",
        ),
        (
            "indexes beyond the last",
            "p=2 c=5 indexed",
            "0:succeeded 5:running 6:succeeded 7:pending 8:failed",
            "-2 terminating 2, succeeded 1, completed 0",
        ),
    ]);
}

#[test]
fn a_job_is_suspended_and_resumed() {
    let suspended = "-2 terminating 2, Suspended=True(JobSuspended)";
    check(&[
        ("suspended", "p=2 c=4 suspend", "2xrunning", suspended),
        ("suspended while pods are ready", "p=2 c=4 suspend", "2xready", suspended),
        ("resumed", "p=2 c=4 was-suspended", "", "+2 active 2, Suspended=False(JobResumed)"),
        ("suspended for another reason before", "p=2 c=4 suspend was-held-by-hand", "", "Suspended=True(JobSuspended)"),
        ("never suspended", "p=1 c=1", "running", "active 1"),
        ("suspended while being deleted", "p=2 c=4 suspend deleting", "2xrunning", "active 2"),
    ]);
}
