//! What a single look at a CronJob of every hour does, given what it made before and the time.

use super::*;
use crate::id::ProcId;
use crate::seam::Input;

/// A CronJob that was made a minute after the full hour and what a look at it does, in words. `before`: `-` it never
/// ran, `done` its Job is complete, `runs` it still runs, with `unlisted` it is missing from the status, `gone` the
/// listed Job is not there; with `no-create` and `no-read` among the marks, Jobs can be neither made nor read. The
/// answer: Jobs made and deleted, how many are active by the status, and warnings.
fn look(policy: Concurrency, marks: &str, before: &str, now: u64) -> String {
    let mut bed = Testbed::new(Config::default());
    bed.input(Input::Crashed(ProcId::CONTROLLER_MANAGER));
    bed.run_for(Span::from_secs(60));
    bed.create(minutely(|it| {
        let Times::Calendar { hours, days, months, weekdays, both_days, .. } = Times::default() else { unreachable!() };
        it.schedule.times = Times::Calendar { minutes: 1, hours, days, months, weekdays, both_days };
        it.concurrency = policy;
        let mut spec = JobSpec::clone(&it.template.spec);
        spec.suspend = true;
        it.template.spec = Arc::new(spec);
        for mark in marks.split_whitespace() {
            match mark {
                "every" => it.schedule.times = Times::Every(3_600),
                "suspended" => it.suspend = true,
                "history=0" => it.successful_history = Some(0),
                "history=10" => it.successful_history = Some(10),
                "history=all" => it.successful_history = None,
                "no-create" | "no-read" => {}
                "short" => it.starting_deadline = Some(Span::from_secs(10)),
                "medium" => it.starting_deadline = Some(Span::from_secs(2 * 3_600)),
                "long" => it.starting_deadline = Some(Span::from_secs(1_000_000)),
                other => panic!("no such mark: {other}"),
            }
        }
    }));
    let words: Vec<&str> = before.split_whitespace().collect();
    let name = format!("cj-{}", DEFAULT_EPOCH / 60);
    let mut uid = Uid::new(77);
    if words.contains(&"done") || words.contains(&"runs") {
        let owner = crate::controllers::owned_by(Kind::CronJob, &read(&bed).meta);
        let spec = JobSpec { suspend: true, ..JobSpec::default() };
        bed.create(Job {
            meta: Meta { owners: [owner].into(), ..Meta::named("default", &name) },
            spec,
            ..Job::default()
        });
        let mut job = Job::clone(&bed.get::<Job>("default", &name).unwrap());
        uid = job.meta.uid;
        if words.contains(&"done") {
            job.status.conditions.set(ConditionKind::Complete, Status3::True, "", "", bed.now());
            job.status.completed_at = Some(Time::from_secs(90));
            bed.request(Request::UpdateStatus { object: Object::Job(Arc::new(job)), expected: None });
        }
    }
    if before != "-" {
        let mut known = CronJob::clone(&read(&bed));
        known.status.last_scheduled = Some(Time::from_secs(if words.contains(&"skewed") { 3_600 } else { 60 }));
        if !words.contains(&"unlisted") {
            known.status.active = vec![(name.as_str().into(), uid)];
        }
        bed.request(Request::UpdateStatus { object: Object::CronJob(Arc::new(known)), expected: None });
    }
    bed.run_until(Time::from_secs(now));
    let old = jobs(&bed).len();
    for mark in marks.split_whitespace() {
        match mark {
            "no-create" => bed.refuse(1_000, |it| matches!(it, Request::Create(object) if object.kind() == Kind::Job)),
            "no-read" => bed.refuse(1_000, |it| matches!(it, Request::Get(key) if key.kind == Kind::Job)),
            _ => {}
        }
    }
    bed.input(Input::Started(ProcId::CONTROLLER_MANAGER));
    bed.run_for(Span::from_millis(50));
    let made = made(&bed).iter().filter(|(minute, _)| *minute > 0).count();
    let deleted = old + made - jobs(&bed).len();
    let status = &read(&bed).status;
    let warnings = bed.events(Kind::CronJob, "cj").iter().filter(|line| line.contains(" Warning ")).count();
    let mut parts = vec![format!("+{made} -{deleted} active {}", status.active.len())];
    parts.extend((warnings > 0).then(|| format!("warned {warnings}")));
    parts.extend(status.last_successful.map(|_| "succeeded".to_owned()));
    parts.join(", ")
}

use Concurrency::{Allow, Forbid, Replace};
const BEFORE: u64 = 3_540;
const AFTER: u64 = 3_660;
const WEEK: u64 = 7 * 24 * 3_600 + 3_600;

fn check(rows: &[(Concurrency, &str, &str, u64, &str)]) {
    let mut wrong = Vec::new();
    for (policy, marks, before, now, expected) in rows {
        let found = look(*policy, marks, before, *now);
        if found != *expected {
            wrong.push(format!("{policy:?} {marks} {before}, at {now} s\n  expected {expected}\n  found    {found}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_cron_job_that_never_ran_makes_its_first_job_at_the_hour() {
    for policy in [Allow, Forbid, Replace] {
        check(&[
            (policy, "", "-", BEFORE, "+0 -0 active 0"),
            (policy, "", "-", AFTER, "+1 -0 active 1"),
            (policy, "suspended", "-", AFTER, "+0 -0 active 0"),
            (policy, "short", "-", AFTER, "+0 -0 active 0"),
            (policy, "long", "-", AFTER, "+1 -0 active 1"),
            (policy, "every", "-", BEFORE, "+0 -0 active 0"),
            (policy, "every", "-", AFTER, "+1 -0 active 1"),
            (policy, "every short", "-", AFTER + 11, "+0 -0 active 0"),
            (policy, "every long", "-", AFTER + 9, "+1 -0 active 1"),
        ]);
    }
}

#[test]
fn a_finished_job_is_noted_and_the_next_made_when_it_is_time() {
    for policy in [Allow, Forbid, Replace] {
        check(&[
            (policy, "", "done", BEFORE, "+0 -0 active 0, succeeded"),
            (policy, "", "done", AFTER, "+1 -0 active 1, succeeded"),
            (policy, "suspended", "done", AFTER, "+0 -0 active 0, succeeded"),
            (policy, "short", "done", AFTER, "+0 -0 active 0, succeeded"),
            (policy, "long", "done", AFTER, "+1 -0 active 1, succeeded"),
            (policy, "", "done skewed", AFTER, "+0 -0 active 0, succeeded"),
            (policy, "", "done", WEEK, "+1 -0 active 1, warned 1, succeeded"),
            (policy, "long", "done", WEEK, "+1 -0 active 1, warned 1, succeeded"),
            (policy, "medium", "done", WEEK, "+1 -0 active 1, succeeded"),
            (policy, "short", "done", WEEK, "+1 -0 active 1, succeeded"),
            (policy, "every", "done", WEEK, "+1 -0 active 1, warned 1, succeeded"),
            (policy, "history=0", "done", BEFORE, "+0 -1 active 0, succeeded"),
            (policy, "history=10", "done", BEFORE, "+0 -0 active 0, succeeded"),
            (policy, "history=all", "done", BEFORE, "+0 -0 active 0, succeeded"),
            (policy, "no-create", "done", AFTER, "+0 -0 active 0, warned 1, succeeded"),
            (policy, "no-create", "done unlisted", AFTER, "+0 -0 active 0, warned 1, succeeded"),
            (policy, "", "done unlisted", BEFORE, "+0 -0 active 0, succeeded"),
        ]);
    }
}

#[test]
fn a_job_that_still_runs_is_left_held_for_or_replaced() {
    check(&[
        (Allow, "", "runs", BEFORE, "+0 -0 active 1"),
        (Forbid, "", "runs", BEFORE, "+0 -0 active 1"),
        (Replace, "", "runs", BEFORE, "+0 -0 active 1"),
        (Allow, "", "runs", AFTER, "+1 -0 active 2"),
        (Forbid, "", "runs", AFTER, "+0 -0 active 1"),
        (Replace, "", "runs", AFTER, "+1 -1 active 1"),
        (Allow, "suspended", "runs", AFTER, "+0 -0 active 1"),
        (Allow, "short", "runs", AFTER, "+0 -0 active 1"),
        (Allow, "long", "runs", AFTER, "+1 -0 active 2"),
        (Allow, "every", "runs", BEFORE, "+0 -0 active 1"),
        (Allow, "every", "runs", AFTER, "+1 -0 active 2"),
        (Allow, "every short", "runs", AFTER + 11, "+0 -0 active 1"),
        (Allow, "every long", "runs", AFTER + 9, "+1 -0 active 2"),
        (Replace, "no-read", "runs", AFTER, "+0 -0 active 1, warned 1"),
        (Replace, "no-create", "runs", AFTER, "+0 -1 active 0, warned 1"),
        // The Job of the list is not there, or cannot be asked for.
        (Allow, "", "gone", BEFORE, "+0 -0 active 0"),
        (Allow, "", "gone", AFTER, "+1 -0 active 1"),
        (Forbid, "", "gone", AFTER, "+1 -0 active 1"),
        (Replace, "", "gone", AFTER, "+1 -0 active 1"),
        (Forbid, "no-read", "gone", AFTER, "+0 -0 active 1"),
        // Its list does not know the Job, which is told and does not hold the next.
        (Allow, "", "runs unlisted", BEFORE, "+0 -0 active 0, warned 1"),
    ]);
}

/// A sync that began with a version that knows Job `a` as active, while `a` is complete and `b` has been made since.
fn stale(order: [&str; 2]) -> (Sync, Arc<CronJob>) {
    let job = |name: &str| {
        let uid = Uid::new(u128::from(name.as_bytes()[0]));
        let mut job = Job { meta: Meta { uid, ..Meta::named("default", name) }, ..Job::default() };
        if name == "a" {
            job.status.conditions.set(ConditionKind::Complete, Status3::True, "", "", Time::from_secs(90));
            job.status.completed_at = Some(Time::from_secs(90));
        }
        Arc::new(job)
    };
    let knowing = |name: &str| {
        let active = vec![(name.into(), job(name).meta.uid)];
        let last_successful = (name == "b").then_some(Time::from_secs(90));
        CronJobStatus { active, last_successful, ..CronJobStatus::default() }
    };
    let cron_job = Arc::new(CronJob { status: knowing("a"), ..minutely(|_| {}) });
    let fresh = Arc::new(CronJob { status: knowing("b"), ..minutely(|_| {}) });
    let jobs = order.map(job).to_vec();
    let status = cron_job.status.clone();
    (Sync { cron_job, version: Some(Revision(7)), status, jobs, needs_update: false }, fresh)
}

#[test]
fn with_a_stale_list_a_job_s_end_is_told_again_if_that_job_is_looked_at_before_the_unknown_one() {
    for (order, said) in [(["a", "b"], 1), (["b", "a"], 0)] {
        let (mut sync, fresh) = stale(order);
        let told = sync.take_in_jobs(Some(&fresh));
        assert_eq!(told.len(), said, "{order:?}");
        assert_eq!(sync.needs_update, said == 1, "{order:?}");
        assert_eq!(sync.status, fresh.status, "{order:?}: the sync goes on with what was read");
        assert_eq!(sync.version, Some(Revision(7)), "{order:?}: and writes over what it began with, in vain");
    }
}

#[test]
fn a_job_of_a_former_cron_job_of_the_name_is_looked_at_too() {
    let mut bed = bed(ninety_seconds);
    bed.create(minutely(|_| {}));
    bed.run_for(Span::from_secs(70));
    let former = jobs(&bed)[0].clone();
    // The Job stays behind, held by a finalizer, when its CronJob goes and another of the name comes.
    let (key, finalizer) = (ObjectKey::new(Kind::Job, "default", &former.meta.name), "example.com/hold".into());
    bed.request(Request::Patch { key, patch: Patch::Finalizer { name: finalizer, present: true } });
    let key = ObjectKey::new(Kind::CronJob, "default", "cj");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(1));
    bed.create(minutely(|it| it.suspend = true));
    bed.run_for(Span::from_secs(1));
    assert_eq!((jobs(&bed).len(), jobs(&bed)[0].meta.uid), (1, former.meta.uid));
    let sentence = format!("Saw a job that the controller did not create or forgot: {}", former.meta.name);
    assert!(events(&bed, "UnexpectedJob")[0].ends_with(&sentence), "{:?}", bed.events(Kind::CronJob, "cj"));
}
