//! Jobs whose requests are refused or whose news comes late: nothing is made, deleted or counted twice.

use super::one_sync::sync_refused;
use super::*;
use crate::model::{Phase, ResourceQuota};
use crate::quantity::{Format, Quantity};

const COMPLETE: &str = "SuccessCriteriaMet=True(CompletionsReached), Complete=True(CompletionsReached)";

fn untracks(request: &Request) -> bool {
    matches!(request, Request::Patch { key, patch: Patch::Finalizer { .. } } if key.kind == Kind::Pod)
}

fn writes_status(request: &Request) -> bool {
    matches!(request, Request::UpdateStatus { object, .. } if object.kind() == Kind::Job)
}

fn creates(request: &Request) -> bool {
    matches!(request, Request::Create(object) if object.kind() == Kind::Pod)
}

fn deletes(request: &Request) -> bool {
    matches!(request, Request::Delete { key, .. } if key.kind == Kind::Pod)
}

#[test]
fn pods_are_counted_once_and_made_as_wanted_whatever_request_is_refused() {
    let done = format!("succeeded 2, failed 1, {COMPLETE}");
    let met = "SuccessCriteriaMet=True(CompletionsReached)";
    let failed = "FailureTarget=True(BackoffLimitExceeded)";
    // The Job and its pods; what is refused and how often; what the sync that meets it does; how all ends.
    type Row<'a> = (&'a str, &'a str, fn(&Request) -> bool, u32, &'a str, &'a str);
    let table: [Row<'_>; 12] = [
        ("p=1 c=2", "2xsucceeded failed", |_| false, 0, &done, &done),
        ("p=1 c=2", "2xsucceeded failed", writes_status, 1, "", &done),
        ("p=1 c=2", "2xsucceeded failed", untracks, 1, &format!("succeeded 1, failed 1, +1/0 uncounted, {met}"), &done),
        ("p=1 c=2", "2xsucceeded failed", untracks, 3, &format!("+2/1 uncounted, {met}"), &done),
        (
            "p=1 c=1 b=0",
            "failed",
            untracks,
            1,
            &format!("+0/1 uncounted, {failed}"),
            &format!("failed 1, {failed}, Failed=True(BackoffLimitExceeded)"),
        ),
        (
            "p=2 c=2 indexed",
            "0:succeeded 1:failed",
            untracks,
            2,
            "+[1] active 1, succeeded 1, +0/1 uncounted, completed 0",
            "active 1, succeeded 1, failed 1, completed 0",
        ),
        ("p=2 c=5", "running", creates, 1, "active 1", "active 2"),
        ("p=3 c=5", "", creates, 1, "", "active 3"),
        ("p=2 c=5", "3xrunning", untracks, 1, "active 3", "active 2"),
        ("p=2 c=5", "3xrunning", deletes, 1, "active 3", "active 2"),
        (
            "p=2 c=3 b=0",
            "2xready failed",
            deletes,
            1,
            "-1 active 1, terminating 1, failed 1",
            &format!("failed 3, {failed}, Failed=True(BackoffLimitExceeded)"),
        ),
        (
            "p=2 c=4 suspend",
            "2xrunning",
            deletes,
            1,
            "-1 active 1, terminating 1, Suspended=True(JobSuspended)",
            "Suspended=True(JobSuspended)",
        ),
    ];
    let mut wrong = Vec::new();
    for (job, pods, refused, times, at_once, in_the_end) in table {
        let found = sync_refused(job, pods, times, refused);
        if (&*found.0, &*found.1) != (at_once, in_the_end) {
            wrong.push(format!(
                "{job} with {pods}\n  expected {at_once}; {in_the_end}\n  found    {}; {}",
                found.0, found.1
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_ready_pod_counts_as_ready_as_long_as_its_finalizer_cannot_be_taken_off() {
    let mut bed = bed(run_on);
    bed.create(job(|spec| (spec.completions, spec.parallelism) = (Some(5), 3)));
    bed.run_for(Span::from_secs(10));
    let counts = |bed: &Testbed| (read(bed).status.active, read(bed).status.ready);
    assert_eq!(counts(&bed), (3, Some(3)));
    bed.refuse(1, untracks);
    patch(&mut bed, Patch::Replicas(2));
    bed.run_for(Span::from_millis(500));
    assert_eq!((counts(&bed), bed.refusals_left()), ((3, Some(3)), 0), "the pod is as it was");
    bed.run_for(Span::from_secs(10));
    assert_eq!(counts(&bed), (2, Some(2)));
}

#[test]
fn a_job_makes_as_many_pods_as_its_quota_grants_and_the_rest_when_there_is_room() {
    let mut bed = bed(run_on);
    let mut quota = ResourceQuota { meta: Meta::named("default", "few"), ..ResourceQuota::default() };
    quota.hard = [("pods".into(), Quantity::from_units(5, Format::DecimalSi))].into();
    bed.create(quota.clone());
    bed.create(job(|spec| (spec.completions, spec.parallelism) = (Some(20), 9)));
    bed.run_for(Span::from_millis(900));
    // 1 + 2 + 4 were asked for, of which two were refused, and no more in this sync.
    assert_eq!((pods(&bed).len(), read(&bed).status.active), (5, 5), "{:?}", bed.told());
    let refused = bed.facts.iter().filter(|(_, fact)| matches!(fact.what, What::Refused { .. })).count();
    assert_eq!(refused, 2, "{:?}", bed.told());
    bed.run_for(Span::from_secs(5));
    let mut wider = ResourceQuota::clone(&bed.get::<ResourceQuota>("default", "few").unwrap());
    wider.hard = [("pods".into(), Quantity::from_units(50, Format::DecimalSi))].into();
    bed.request(Request::Update { object: Object::ResourceQuota(Arc::new(wider)), expected: None });
    bed.run_for(Span::from_secs(60));
    assert_eq!((pods(&bed).len(), read(&bed).status.active), (9, 9), "{:?}", bed.told());
}

/// Asks for something so that it is stored before the creations to which the Job's own first sync leads, and holds back
/// what the watch shows of these.
fn meanwhile(bed: &mut Testbed, first: Request, second: impl FnOnce(&mut Testbed)) {
    bed.hold_news_from(2);
    bed.request(first);
    second(bed);
}

#[test]
fn a_job_that_is_suspended_while_its_pods_are_yet_to_be_seen_deletes_them_when_they_are() {
    let mut bed = bed(run_on);
    bed.run_for(Span::from_secs(1));
    let wanted = job(|spec| (spec.completions, spec.parallelism) = (Some(4), 2));
    meanwhile(&mut bed, Request::Create(Object::Job(Arc::new(wanted))), |bed| patch(bed, Patch::Suspended(true)));
    bed.run_for(Span::from_millis(800));
    let told_then = told(&read(&bed));
    assert_eq!(pods(&bed).len(), 2, "the pods of the first sync are there: {told_then}");
    assert!(pods(&bed).iter().all(|pod| !pod.meta.is_terminating()));
    assert!(!told_then.contains("Suspended"), "{told_then}");
    bed.release_news();
    bed.run_for(Span::from_secs(5));
    assert_eq!((pods(&bed).len(), told(&read(&bed))), (0, "Suspended=True(JobSuspended)".to_owned()));
}

#[test]
fn a_job_that_fails_while_a_pod_is_yet_to_be_seen_has_not_failed_before_that_is_gone() {
    let mut bed = bed(run_on);
    bed.create(job(|spec| (spec.completions, spec.parallelism, spec.backoff_limit) = (Some(4), 1, 0)));
    bed.run_for(Span::from_secs(3));
    let mut failed = Pod::clone(&pods(&bed)[0]);
    failed.status.phase = Phase::Failed;
    let failed = Request::UpdateStatus { object: Object::Pod(Arc::new(failed)), expected: None };
    meanwhile(&mut bed, Request::Patch { key: key(), patch: Patch::Replicas(2) }, |bed| {
        bed.request(failed);
    });
    bed.run_for(Span::from_millis(1_500));
    assert_eq!(pods(&bed).len(), 2, "the second pod was made: {:?}", bed.told());
    assert!(read(&bed).finished().is_none(), "{}", told(&read(&bed)));
    bed.release_news();
    bed.run_for(Span::from_secs(8));
    let expected = "failed 2, FailureTarget=True(BackoffLimitExceeded), Failed=True(BackoffLimitExceeded)";
    assert_eq!(told(&read(&bed)), expected, "{:?}", bed.told());
    assert_eq!(pods(&bed).iter().filter(|pod| !pod.is_finished()).count(), 0);
}

#[test]
fn a_pod_that_was_noted_as_failed_counts_as_failed_even_if_it_succeeds_after_all() {
    let mut bed = bed(run_on);
    bed.create(job(|spec| (spec.completions, spec.parallelism) = (Some(2), 1)));
    bed.run_for(Span::from_secs(3));
    bed.refuse(1, untracks);
    let name = pods(&bed)[0].meta.name.clone();
    let end = |bed: &mut Testbed, phase| {
        let mut ended = Pod::clone(&bed.get::<Pod>("default", &name).expect("the pod is there"));
        ended.status.phase = phase;
        bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(ended)), expected: None });
        bed.run_for(Span::from_millis(1_050));
    };
    end(&mut bed, Phase::Failed);
    assert_eq!(told(&read(&bed)), "+0/1 uncounted", "{:?}", bed.told());
    end(&mut bed, Phase::Succeeded);
    bed.run_for(Span::from_millis(900));
    assert!(told(&read(&bed)).ends_with("failed 1"), "{}", told(&read(&bed)));
    assert_eq!(read(&bed).status.succeeded, 0);
}

#[test]
fn indexes_whose_back_off_is_over_get_their_pods_before_the_others() {
    // Index 0 fails at 3 s, index 1 at 8 s; both may try again.
    fn by_index(pod: &Pod) -> Option<(Span, i32)> {
        match pod.completion_index() {
            Some(0) => Some((Span::from_secs(2), 1)),
            Some(1) => Some((Span::from_secs(7), 1)),
            _ => None,
        }
    }
    let mut bed = bed(by_index);
    bed.create(job(|spec| {
        indexed(3, 3)(spec);
        spec.backoff_limit_per_index = Some(1);
    }));
    bed.run_for(Span::from_secs(30));
    assert_eq!(creations(&bed), [0, 0, 0, 13, 18]);
    let second = |index| {
        let all = pods(&bed);
        let own = all.iter().filter(|pod| pod.completion_index() == Some(index));
        own.map(|pod| pod.meta.created_at.0 / 1_000_000_000).max()
    };
    assert_eq!((second(0), second(1)), (Some(13), Some(18)));
}

#[test]
fn ignored_failures_make_the_back_off_of_an_index_longer() {
    let mut bed = bed(|_| Some((Span::from_secs(2), 3)));
    bed.create(job(|spec| {
        indexed(1, 1)(spec);
        spec.backoff_limit_per_index = Some(0);
        spec.pod_failure_policy = Some(vec![exit_codes(FailureAction::Ignore, &[3])]);
    }));
    bed.run_for(Span::from_secs(90));
    // Each runs for three seconds; the pauses are 10, 20 and 40 s.
    assert_eq!(creations(&bed), [0, 13, 36, 79]);
    let status = read(&bed).status.clone();
    assert_eq!((status.failed, status.failed_indexes.map(|indexes| indexes.len())), (0, Some(0)));
}
