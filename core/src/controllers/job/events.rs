//! What is said of a Job: of each pod that was made or deleted, or was not, and of how the Job goes on.
//!
//! Source: `RealPodControl`, pkg/controller/controller_utils.go; `syncJob`, `recordJobFinished`,
//! pkg/controller/job/job_controller.go (v1.34.1).

use crate::api::{Answer, Refusal, Reply};
use crate::context::Context;
use crate::controllers::pods::told_of_creation;
use crate::events::Event;
use crate::model::{ConditionKind, Job, Kind, ObjectKey};

use super::Stage;
use super::state::Sync;

/// How this controller names itself in events.
const REPORTER: &str = "job-controller";

/// The event about an answer.
pub(super) fn told(stage: &Stage, place: usize, answer: &Answer) -> Option<(ObjectKey, Event)> {
    let (sync, event) = match (stage, answer) {
        (Stage::Create(sync, _), Ok(Reply::Object(pod, _))) => {
            (sync, Event::normal(REPORTER, "SuccessfulCreate", format!("Created pod: {}", pod.meta().name)))
        }
        (Stage::Create(sync, _), Err(refusal)) if !refusal.is_namespace_terminating() => {
            (sync, Event::warning(REPORTER, "FailedCreate", told_of_creation(refusal)))
        }
        (Stage::EndActive(sync, pods) | Stage::Delete(sync, pods), Ok(_)) => {
            let message = format!("Deleted pod: {}", pods[place].meta.name);
            (sync, Event::normal(REPORTER, "SuccessfulDelete", message))
        }
        (Stage::EndActive(sync, _) | Stage::Delete(sync, _), Err(refusal))
            if !matches!(refusal, Refusal::NotFound(_)) =>
        {
            (sync, Event::warning(REPORTER, "FailedDelete", format!("Error deleting: {refusal}")))
        }
        _ => return None,
    };
    Some((key_of(&sync.job), event.about(&sync.job.meta)))
}

/// The Job was found suspended or resumed.
pub(super) fn suspension(ctx: &mut Context<'_>, job: &Job) {
    let (reason, message) = if job.spec.suspend { ("Suspended", "Job suspended") } else { ("Resumed", "Job resumed") };
    ctx.event(key_of(job), Event::normal(REPORTER, reason, message).about(&job.meta));
}

/// The Job has finished.
pub(super) fn finished(ctx: &mut Context<'_>, sync: &Sync) {
    let (Some(finish), job) = (&sync.finish, &sync.job) else { return };
    if finish.kind != ConditionKind::Complete {
        let reason = finish.reason.to_string();
        let event = Event::warning(REPORTER, "", finish.message.to_string());
        return ctx.event(key_of(job), Event { reason: reason.into(), ..event }.about(&job.meta));
    }
    if job.spec.completions.is_some_and(|wanted| sync.status.succeeded > wanted) {
        let message = "Too many succeeded pods running after completion count reached";
        ctx.event(key_of(job), Event::warning(REPORTER, "TooManySucceededPods", message).about(&job.meta));
    }
    ctx.event(key_of(job), Event::normal(REPORTER, "Completed", "Job completed").about(&job.meta));
}

fn key_of(job: &Job) -> ObjectKey {
    ObjectKey { kind: Kind::Job, namespace: job.meta.namespace.clone(), name: job.meta.name.clone() }
}
