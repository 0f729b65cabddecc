mod one_look;
mod times;

use super::*;
use crate::api::Patch;
use crate::config::{Config, DEFAULT_EPOCH};
use crate::digest::Shared;
use crate::model::ResourceQuota;
use crate::model::{
    Container, JobSpec, JobTemplate, Labels, Meta, Pod, PodSpec, PodTemplate, RestartPolicy, Schedule, Status3, Times,
    Zone,
};
use crate::quantity::{Format, Quantity};
use crate::testbed::{StandIn, Testbed};
use crate::time::Time;

/// Pods run for 90 s; the run begins at a full minute.
fn bed(ends: fn(&Pod) -> Option<(Span, i32)>) -> Testbed {
    let stand_in = StandIn { start: Span::from_secs(1), ready: Span::ZERO, term: Span::from_secs(1) };
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1"]).with_stand_in(stand_in).with_ends(ends);
    bed.add_node(0, "n1", "a", 64_000, 1 << 36);
    bed
}

fn ninety_seconds(_: &Pod) -> Option<(Span, i32)> {
    Some((Span::from_secs(90), 0))
}

fn at_once(_: &Pod) -> Option<(Span, i32)> {
    Some((Span::from_secs(5), 0))
}

/// A CronJob of every minute.
fn minutely(change: impl FnOnce(&mut CronJob)) -> CronJob {
    let pod = PodSpec {
        containers: vec![Container { name: "c".into(), image: "app:v1".into(), ..Container::default() }],
        restart_policy: RestartPolicy::Never,
        ..PodSpec::default()
    };
    let template = PodTemplate { spec: Shared::new(pod), ..PodTemplate::default() };
    let mut cron_job = CronJob {
        meta: Meta::named("default", "cj"),
        successful_history: Some(3),
        failed_history: Some(1),
        template: JobTemplate {
            labels: Labels::new([("a", "b")]),
            annotations: Labels::new([("x", "y")]),
            spec: Arc::new(JobSpec { template, ..JobSpec::default() }),
        },
        ..CronJob::default()
    };
    change(&mut cron_job);
    cron_job
}

fn read(bed: &Testbed) -> Arc<CronJob> {
    bed.get::<CronJob>("default", "cj").expect("the CronJob is there")
}

/// Minutes since the run's start for which Jobs were made, and the seconds at which they were.
fn made(bed: &Testbed) -> Vec<(i64, u64)> {
    let of_jobs = bed
        .facts
        .iter()
        .filter(|(_, fact)| fact.subject.kind == Kind::Job && matches!(fact.what, crate::facts::What::Created { .. }));
    let minute = |name: &str| name.strip_prefix("cj-").unwrap().parse::<i64>().unwrap() - DEFAULT_EPOCH / 60;
    of_jobs.map(|(at, fact)| (minute(&fact.subject.name), at.since(Time::ZERO).as_secs())).collect()
}

fn jobs(bed: &Testbed) -> Vec<Arc<Job>> {
    bed.core.newest().all::<Job>().map(|(_, job)| job.clone()).collect()
}

fn events(bed: &Testbed, reason: &str) -> Vec<String> {
    bed.events(Kind::CronJob, "cj").into_iter().filter(|line| line.contains(&format!(" {reason} "))).collect()
}

#[test]
fn a_job_is_made_every_minute_and_named_after_it() {
    // Recorded: cron-allow.
    let mut bed = bed(ninety_seconds);
    bed.run_for(Span::from_secs(13));
    bed.create(minutely(|_| {}));
    bed.run_for(Span::from_secs(200));
    assert_eq!(made(&bed), [(1, 60), (2, 120), (3, 180)]);
    let job = jobs(&bed)[0].clone();
    assert_eq!(*job.meta.name, *format!("cj-{}", DEFAULT_EPOCH / 60 + 1));
    assert_eq!(job.meta.labels.get("a").map(|text| &**text), Some("b"));
    assert_eq!(job.meta.annotations.get("x").map(|text| &**text), Some("y"));
    let scheduled = job.meta.annotations.get("batch.kubernetes.io/cronjob-scheduled-timestamp").unwrap();
    assert_eq!(&**scheduled, "2025-01-01T00:01:00Z");
    let owner = job.meta.controller().unwrap();
    assert_eq!((owner.kind, owner.uid), (Kind::CronJob, read(&bed).meta.uid));
    let status = &read(&bed).status;
    assert_eq!(status.active.len(), 1, "two have ended: {status:?}");
    assert_eq!(status.last_scheduled, Some(Time::from_secs(180)));
    assert_eq!(status.last_successful, Some(Time::from_secs(212)));
    assert_eq!(events(&bed, "SawCompletedJob").len(), 2, "{:?}", bed.events(Kind::CronJob, "cj"));
    assert_eq!(events(&bed, "UnexpectedJob").len(), 0);
}

#[test]
fn a_job_that_still_runs_holds_the_next_back_which_then_starts_late_as_recorded() {
    // Recorded: cron-forbid: the missed minute starts when the former Job has ended, and the one after it is skipped.
    let mut bed = bed(ninety_seconds);
    bed.create(minutely(|it| it.concurrency = Concurrency::Forbid));
    bed.run_for(Span::from_secs(290));
    // 60 + 1 + 90 s, and the second that the Job controller gathers changes.
    assert_eq!(made(&bed), [(1, 60), (2, 152), (4, 244)]);
    assert!(events(&bed, "JobAlreadyActive")[0].contains("concurrency policy is Forbid"));
}

#[test]
fn a_job_that_still_runs_makes_room_for_the_next() {
    let mut bed = bed(ninety_seconds);
    bed.create(minutely(|it| it.concurrency = Concurrency::Replace));
    bed.run_for(Span::from_secs(190));
    assert_eq!(made(&bed), [(1, 60), (2, 120), (3, 180)]);
    assert_eq!(jobs(&bed).len(), 1);
    assert_eq!(read(&bed).status.active.len(), 1);
    assert_eq!(events(&bed, "SuccessfulDelete").len(), 2);
}

#[test]
fn finished_jobs_beyond_the_history_go_the_oldest_first() {
    // Recorded: cron-history.
    let mut bed = bed(at_once);
    bed.create(minutely(|it| it.successful_history = Some(1)));
    bed.run_for(Span::from_secs(200));
    let names: Vec<String> = jobs(&bed).iter().map(|job| job.meta.name.to_string()).collect();
    assert_eq!(names, [format!("cj-{}", DEFAULT_EPOCH / 60 + 3)]);
    let mut none = self::bed(|_| Some((Span::from_secs(5), 1)));
    let mut failing = minutely(|it| it.failed_history = Some(0));
    let mut spec = JobSpec::clone(&failing.template.spec);
    spec.backoff_limit = 0;
    failing.template.spec = Arc::new(spec);
    none.create(failing);
    none.run_for(Span::from_secs(110));
    assert_eq!(made(&none).len(), 1);
    assert_eq!(jobs(&none).len(), 0, "no failed Job is kept");
}

#[test]
fn a_suspended_cron_job_makes_nothing_and_catches_up_with_the_newest_time() {
    let mut bed = bed(at_once);
    bed.create(minutely(|it| it.suspend = true));
    bed.run_for(Span::from_secs(250));
    assert_eq!(made(&bed), []);
    let key = ObjectKey::new(Kind::CronJob, "default", "cj");
    bed.request(Request::Patch { key, patch: Patch::Suspended(false) });
    bed.run_for(Span::from_secs(60));
    assert_eq!(made(&bed), [(4, 250), (5, 300)], "of the four missed minutes only the newest is served");
}

#[test]
fn a_missed_time_beyond_the_deadline_is_not_served() {
    let mut bed = bed(at_once);
    bed.create(minutely(|it| {
        it.suspend = true;
        it.starting_deadline = Some(Span::from_secs(30));
    }));
    bed.run_for(Span::from_secs(250));
    let key = ObjectKey::new(Kind::CronJob, "default", "cj");
    bed.request(Request::Patch { key: key.clone(), patch: Patch::Suspended(false) });
    bed.run_for(Span::from_secs(60));
    assert_eq!(made(&bed), [(4, 250), (5, 300)], "240 is only ten seconds ago");
    bed.request(Request::Patch { key: key.clone(), patch: Patch::Suspended(true) });
    bed.run_for(Span::from_secs(90));
    bed.request(Request::Patch { key, patch: Patch::Suspended(false) });
    bed.run_for(Span::from_secs(10));
    assert_eq!(made(&bed).len(), 2, "360 is forty seconds ago");
}

#[test]
fn a_hundred_and_one_missed_times_are_warned_of() {
    let mut bed = bed(at_once);
    bed.create(minutely(|it| it.suspend = true));
    bed.run_for(Span::from_secs(102 * 60));
    let key = ObjectKey::new(Kind::CronJob, "default", "cj");
    bed.request(Request::Patch { key, patch: Patch::Suspended(false) });
    bed.run_for(Span::from_secs(1));
    assert_eq!(made(&bed).len(), 1);
    assert!(events(&bed, "TooManyMissedTimes")[0].contains("too many missed start times"));
}

#[test]
fn the_schedule_counts_in_its_own_time_zone_across_a_change_of_the_clock() {
    // 2025-03-29T23:00:00Z, the night before Berlin's clocks go forward.
    let config = Config { epoch: 1_743_289_200, ..Config::default() };
    let mut bed = Testbed::new(config);
    let Times::Calendar { days, months, weekdays, both_days, .. } = Times::default() else { unreachable!() };
    let times = Times::Calendar { minutes: 1 << 30, hours: 1 << 9, days, months, weekdays, both_days };
    let changes = [(1_743_296_400, 7_200)].into();
    let zone = Zone { name: Some("Europe/Berlin".into()), first: 3_600, changes };
    bed.create(minutely(|it| it.schedule = Schedule { text: "30 9 * * *".into(), times, zone }));
    bed.run_for(Span::from_secs(35 * 3_600));
    let scheduled: Vec<String> = jobs(&bed)
        .iter()
        .map(|job| job.meta.annotations.get("batch.kubernetes.io/cronjob-scheduled-timestamp").unwrap().to_string())
        .collect();
    assert_eq!(scheduled, ["2025-03-30T09:30:00+02:00", "2025-03-31T09:30:00+02:00"]);
}

#[test]
fn a_new_schedule_is_followed_from_its_next_time_on() {
    // Periods before and after a change at 90 s, and the seconds at which Jobs are made until 390 s.
    for (before, after, expected) in [
        (3_600, 120, vec![120, 240, 360]),
        (180, 60, vec![120, 180, 240, 300, 360]),
        (60, 180, vec![60, 240]),
        (120, 120, vec![120, 240, 360]),
    ] {
        let mut bed = bed(at_once);
        bed.create(minutely(|it| it.schedule.times = Times::Every(before)));
        bed.run_for(Span::from_secs(90));
        let mut changed = CronJob::clone(&read(&bed));
        changed.schedule.times = Times::Every(after);
        bed.request(Request::Update { object: Object::CronJob(Arc::new(changed)), expected: None });
        bed.run_for(Span::from_secs(300));
        let times = made(&bed).iter().map(|(_, at)| *at).collect::<Vec<_>>();
        assert_eq!(times, expected, "every {before} s, then every {after} s");
    }
}

#[test]
fn another_template_holds_for_the_next_job_and_another_zone_for_the_next_time() {
    let mut bed = bed(at_once);
    bed.create(minutely(|_| {}));
    bed.run_for(Span::from_secs(90));
    let mut changed = CronJob::clone(&read(&bed));
    changed.template.labels = Labels::new([("a", "c")]);
    bed.request(Request::Update { object: Object::CronJob(Arc::new(changed)), expected: None });
    bed.run_for(Span::from_secs(60));
    let labels: Vec<_> = jobs(&bed).iter().map(|job| job.meta.labels.get("a").map(ToString::to_string)).collect();
    assert_eq!(labels, [Some("b".into()), Some("c".into())], "the Job that is there stays as it is");
    assert_eq!(
        read(&bed).status.last_scheduled,
        Some(Time::from_secs(120)),
        "the Job of other labels is still its own"
    );
    assert_eq!(events(&bed, "SawCompletedJob").len(), 2);

    // It is midnight in Greenwich; five hours to the east it is five.
    let mut bed = self::bed(at_once);
    bed.create(minutely(|it| {
        let Times::Calendar { days, months, weekdays, both_days, .. } = Times::default() else { unreachable!() };
        it.schedule.times = Times::Calendar { minutes: 1 << 2, hours: 1 << 5, days, months, weekdays, both_days };
    }));
    bed.run_for(Span::from_secs(60));
    let mut changed = CronJob::clone(&read(&bed));
    changed.schedule.zone = Zone { first: 5 * 3_600, ..Zone::default() };
    bed.request(Request::Update { object: Object::CronJob(Arc::new(changed)), expected: None });
    bed.run_for(Span::from_secs(300));
    assert_eq!(made(&bed), [(2, 120)]);
}

#[test]
fn a_job_that_the_watch_has_yet_to_show_is_neither_missed_nor_made_twice() {
    for concurrency in [Concurrency::Allow, Concurrency::Forbid, Concurrency::Replace] {
        let mut bed = bed(ninety_seconds);
        bed.create(minutely(|it| it.concurrency = concurrency));
        bed.run_for(Span::from_secs(50));
        // The watch shows that the status knows the Job, which it does not show.
        bed.hold_news_from(0);
        bed.run_for(Span::from_secs(20));
        assert_eq!(made(&bed), [(1, 60)], "{concurrency:?}");
        let mut touched = CronJob::clone(&read(&bed));
        touched.meta.annotations = Labels::new([("look", "again")]);
        bed.request(Request::Update { object: Object::CronJob(Arc::new(touched)), expected: None });
        bed.run_for(Span::from_secs(5));
        bed.release_news();
        bed.run_for(Span::from_secs(20));
        assert_eq!((made(&bed), read(&bed).status.active.len()), (vec![(1, 60)], 1), "{concurrency:?}");
        assert_eq!(events(&bed, "MissingJob").len(), 0, "{concurrency:?}");
    }
}

#[test]
fn finished_jobs_go_though_a_quota_keeps_the_next_one_out() {
    let mut bed = bed(at_once);
    let hold = |count: i64| {
        let mut quota = ResourceQuota { meta: Meta::named("default", "few"), ..ResourceQuota::default() };
        quota.hard = [("count/jobs.batch".into(), Quantity::from_units(count, Format::DecimalSi))].into();
        quota
    };
    bed.create(minutely(|it| it.successful_history = Some(3)));
    bed.run_for(Span::from_secs(190));
    assert_eq!(jobs(&bed).len(), 3);
    bed.create(hold(3));
    bed.run_for(Span::from_secs(60));
    assert!(!events(&bed, "FailedCreate").is_empty(), "{:?}", bed.events(Kind::CronJob, "cj"));
    assert_eq!(jobs(&bed).len(), 3);
    let mut fewer = CronJob::clone(&read(&bed));
    fewer.successful_history = Some(1);
    bed.request(Request::Update { object: Object::CronJob(Arc::new(fewer)), expected: None });
    bed.run_for(Span::from_secs(5));
    assert_eq!(jobs(&bed).len(), 2, "one of the history is left, and the next one fits at once");
    bed.run_for(Span::from_secs(900));
    assert!(made(&bed).len() > 3, "{:?}", made(&bed));
}

#[test]
fn a_job_that_somebody_deletes_is_missed_and_the_next_is_made() {
    let mut bed = bed(ninety_seconds);
    bed.create(minutely(|it| it.concurrency = Concurrency::Forbid));
    bed.run_for(Span::from_secs(70));
    let key = Object::Job(jobs(&bed)[0].clone()).key();
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(5));
    assert_eq!(read(&bed).status.active, []);
    assert_eq!(events(&bed, "MissingJob").len(), 1);
    bed.run_for(Span::from_secs(60));
    assert_eq!(made(&bed), [(1, 60), (2, 120)]);
}

#[test]
fn a_job_of_that_name_that_is_somebody_else_s_is_left_alone() {
    let mut bed = bed(at_once);
    let name = format!("cj-{}", DEFAULT_EPOCH / 60 + 1);
    let spec = JobSpec { suspend: true, ..JobSpec::default() };
    bed.create(Job { meta: Meta::named("default", &name), spec, ..Job::default() });
    bed.create(minutely(|_| {}));
    bed.run_for(Span::from_secs(100));
    assert_eq!(read(&bed).status, CronJobStatus::default());
    assert_eq!(jobs(&bed).len(), 1);
}

#[test]
fn an_unfinished_job_that_names_the_cron_job_is_told_of() {
    let mut bed = bed(at_once);
    bed.create(minutely(|it| it.suspend = true));
    let owner = crate::controllers::owned_by(Kind::CronJob, &read(&bed).meta);
    let meta = Meta { owners: [owner].into(), ..Meta::named("default", "stray") };
    bed.create(Job { meta, spec: JobSpec { suspend: true, ..JobSpec::default() }, ..Job::default() });
    bed.run_for(Span::from_secs(1));
    assert!(events(&bed, "UnexpectedJob")[0].contains("stray"));
}

#[test]
fn the_jobs_of_a_deleted_cron_job_go_with_it() {
    let mut bed = bed(ninety_seconds);
    bed.create(minutely(|_| {}));
    bed.run_for(Span::from_secs(70));
    let key = ObjectKey::new(Kind::CronJob, "default", "cj");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(10));
    assert_eq!((jobs(&bed).len(), bed.core.newest().all::<Pod>().count()), (0, 0));
}

#[test]
fn jobs_that_never_started_are_the_youngest_of_the_history() {
    let ended = |name: &str, started: Option<u64>, how| {
        let mut job = Job { meta: Meta::named("default", name), ..Job::default() };
        job.status.started_at = started.map(Time::from_secs);
        job.status.conditions.set(how, Status3::True, "", "", Time::ZERO);
        Arc::new(job)
    };
    let all = [
        ended("never", None, ConditionKind::Complete),
        ended("b", Some(5), ConditionKind::Complete),
        ended("a", Some(5), ConditionKind::Complete),
        ended("old", Some(1), ConditionKind::Complete),
        ended("bad", Some(1), ConditionKind::Failed),
    ];
    let surplus = |limit, failed| {
        let cron_job = minutely(|it| (it.successful_history, it.failed_history) = (limit, failed));
        jobs::beyond_history(&cron_job, &all).iter().map(|job| job.meta.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(surplus(Some(1), Some(1)), ["old", "a", "b"]);
    assert_eq!(surplus(Some(3), Some(0)), ["old", "bad"]);
    assert_eq!(surplus(None, None), Vec::<String>::new());
}
