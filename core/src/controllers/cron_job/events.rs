//! What is said of a CronJob.
//!
//! Source: pkg/controller/cronjob/cronjob_controllerv2.go (v1.34.1).

use crate::api::{Answer, Refusal, Reply};
use crate::context::Context;
use crate::events::{Event, Text};
use crate::model::{ConditionKind, CronJob, Kind, ObjectKey};

use super::Stage;

/// How this controller names itself in events.
const REPORTER: &str = "cronjob-controller";

/// The event about an answer.
pub(super) fn told(stage: &Stage, place: usize, answer: &Answer) -> Option<(ObjectKey, Event)> {
    let deleted = |name: &str| match answer {
        Ok(_) => Event::normal(REPORTER, "SuccessfulDelete", format!("Deleted job {name}")),
        Err(refusal) => Event::warning(REPORTER, "FailedDelete", format!("Deleted job: {refusal}")),
    };
    let (sync, event) = match (stage, answer) {
        (Stage::Cleanup(sync, jobs), _) => (sync, deleted(&jobs[place].meta.name)),
        // Each Job is read before it is deleted.
        (Stage::Replace(sync, ..), Err(refusal)) if place.is_multiple_of(2) => {
            (sync, Event::warning(REPORTER, "FailedGet", format!("Get job: {refusal}")))
        }
        (Stage::Replace(sync, jobs, _), _) if !place.is_multiple_of(2) => (sync, deleted(&jobs[place / 2].0)),
        (Stage::Create(sync, _), Ok(Reply::Object(job, _))) => {
            (sync, Event::normal(REPORTER, "SuccessfulCreate", format!("Created job {}", job.meta().name)))
        }
        (Stage::Create(sync, _), Err(refusal))
            if !refusal.is_namespace_terminating() && !matches!(refusal, Refusal::AlreadyExists { .. }) =>
        {
            (sync, Event::warning(REPORTER, "FailedCreate", format!("Error creating job: {refusal}")))
        }
        _ => return None,
    };
    Some((key_of(&sync.cron_job), event.about(&sync.cron_job.meta)))
}

/// A Job that was active is over.
pub(super) fn completed(job: &str, how: ConditionKind) -> Event {
    Event::normal(REPORTER, "SawCompletedJob", format!("Saw completed job: {job}, condition: {how:?}"))
}

/// A Job is running that the CronJob does not know.
pub(super) fn unexpected(job: &str) -> Event {
    let message = format!("Saw a job that the controller did not create or forgot: {job}");
    Event::warning(REPORTER, "UnexpectedJob", message)
}

/// Says something of a CronJob.
pub(super) fn tell(ctx: &mut Context<'_>, cron_job: &CronJob, event: Event) {
    ctx.event(key_of(cron_job), event.about(&cron_job.meta));
}

/// Something went its way.
pub(super) fn say(ctx: &mut Context<'_>, cron_job: &CronJob, reason: &'static str, message: impl Into<Text>) {
    ctx.event(key_of(cron_job), Event::normal(REPORTER, reason, message).about(&cron_job.meta));
}

/// Something is amiss.
pub(super) fn warn(ctx: &mut Context<'_>, cron_job: &CronJob, reason: &'static str, message: impl Into<Text>) {
    ctx.event(key_of(cron_job), Event::warning(REPORTER, reason, message).about(&cron_job.meta));
}

fn key_of(cron_job: &CronJob) -> ObjectKey {
    ObjectKey { kind: Kind::CronJob, namespace: cron_job.meta.namespace.clone(), name: cron_job.meta.name.clone() }
}
