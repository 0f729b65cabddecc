use std::sync::Arc;

use super::*;
use crate::api::Patch;
use crate::config::Config;
use crate::model::{ConditionKind, JobSpec, Meta, Status3};
use crate::testbed::Testbed;

/// A Job of another manager, which no controller but this one touches, with a time to live.
fn bed(ttl: Option<u64>) -> Testbed {
    let mut bed = Testbed::new(Config::default());
    let spec = JobSpec {
        managed_by: Some("example.com/other".into()),
        ttl_after_finished: ttl.map(Span::from_secs),
        ..JobSpec::default()
    };
    bed.create(Job { meta: Meta::named("default", "j"), spec, ..Job::default() });
    bed
}

fn read(bed: &Testbed) -> Option<Arc<Job>> {
    bed.get::<Job>("default", "j")
}

fn finish(bed: &mut Testbed, how: ConditionKind) {
    let mut job = Job::clone(&read(bed).expect("the Job is there"));
    job.status.conditions.set(how, Status3::True, "", "", bed.now());
    bed.request(Request::UpdateStatus { object: Object::Job(Arc::new(job)), expected: None });
}

#[test]
fn a_finished_job_goes_when_its_time_is_over_whichever_way_it_ended() {
    // Recorded: job-ttl.
    for how in [ConditionKind::Complete, ConditionKind::Failed] {
        let mut bed = bed(Some(20));
        bed.run_for(Span::from_millis(3_400));
        finish(&mut bed, how);
        bed.run_for(Span::from_millis(19_500));
        assert!(read(&bed).is_some());
        // The end is known to the second: 3 s.
        bed.run_for(Span::from_millis(200));
        assert!(read(&bed).is_none(), "{:?}", bed.told());
    }
}

#[test]
fn a_job_that_goes_on_or_has_no_time_to_live_stays() {
    let mut going_on = bed(Some(0));
    going_on.run_for(Span::from_secs(1_000));
    assert!(read(&going_on).is_some());
    finish(&mut going_on, ConditionKind::Complete);
    going_on.run_for(Span::from_secs(1));
    assert!(read(&going_on).is_none(), "zero is at once");
    let mut for_ever = bed(None);
    finish(&mut for_ever, ConditionKind::Complete);
    for_ever.run_for(Span::from_secs(100_000));
    assert!(read(&for_ever).is_some());
}

#[test]
fn a_time_to_live_that_is_written_late_counts_from_the_end() {
    let mut bed = bed(None);
    finish(&mut bed, ConditionKind::Complete);
    bed.run_for(Span::from_secs(100));
    let mut job = Job::clone(&read(&bed).unwrap());
    job.spec.ttl_after_finished = Some(Span::from_secs(160));
    bed.request(Request::Update { object: Object::Job(Arc::new(job)), expected: None });
    bed.run_for(Span::from_secs(50));
    assert!(read(&bed).is_some());
    bed.run_for(Span::from_secs(10));
    assert!(read(&bed).is_none());
}

#[test]
fn a_longer_time_that_the_watch_has_yet_to_show_is_respected() {
    let mut bed = bed(Some(10));
    finish(&mut bed, ConditionKind::Complete);
    bed.run_for(Span::from_millis(9_999));
    let mut job = Job::clone(&read(&bed).unwrap());
    job.spec.ttl_after_finished = Some(Span::from_secs(30));
    bed.request(Request::Update { object: Object::Job(Arc::new(job)), expected: None });
    bed.run_for(Span::from_secs(10));
    assert!(read(&bed).is_some());
    bed.run_for(Span::from_secs(11));
    assert!(read(&bed).is_none());
}

#[test]
fn a_job_goes_in_the_foreground_and_waits_for_its_finalizers() {
    let mut bed = bed(Some(1));
    let key = NamespacedName::new("default".into(), "j".into()).of(Kind::Job);
    let patch = Patch::Finalizer { name: "example.com/hold".into(), present: true };
    bed.request(Request::Patch { key, patch });
    finish(&mut bed, ConditionKind::Complete);
    bed.run_for(Span::from_secs(5));
    assert!(read(&bed).unwrap().meta.is_terminating());
}
