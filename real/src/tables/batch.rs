//! Jobs and CronJobs, in the columns of `kubectl get`.
//!
//! Source: `printJob`, `printCronJob`, pkg/printers/internalversion/printers.go (v1.34.1).

use wavetank_core::model::{ConditionKind, CronJob, Job};
use wavetank_core::time::Time;

pub(super) const JOB_HEADS: &[&str] = &["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"];
pub(super) const CRON_JOB_HEADS: &[&str] =
    &["NAME", "SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST SCHEDULE", "AGE"];

pub(super) fn job(now: Time, name: String, job: &Job, age: String) -> Vec<String> {
    let (spec, status) = (&job.spec, &job.status);
    let wanted = match (spec.completions, spec.parallelism) {
        (Some(completions), _) => completions.to_string(),
        (None, parallelism @ 2..) => format!("1 of {parallelism}"),
        (None, _) => "1".to_owned(),
    };
    let duration = status.started_at.map(|from| super::age(status.completed_at.unwrap_or(now).since(from)));
    vec![name, word(job).to_owned(), format!("{}/{wanted}", status.succeeded), duration.unwrap_or_default(), age]
}

/// One word for how a Job stands.
fn word(job: &Job) -> &'static str {
    let holds = |kind| job.status.conditions.is_true(kind);
    if holds(ConditionKind::Complete) {
        "Complete"
    } else if holds(ConditionKind::Failed) {
        "Failed"
    } else if job.meta.is_terminating() {
        "Terminating"
    } else if holds(ConditionKind::Suspended) {
        "Suspended"
    } else if holds(ConditionKind::FailureTarget) {
        "FailureTarget"
    } else if holds(ConditionKind::SuccessCriteriaMet) {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

pub(super) fn cron_job(now: Time, name: String, cron_job: &CronJob, age: String) -> Vec<String> {
    let suspended = if cron_job.suspend { "True" } else { "False" };
    let last = cron_job.status.last_scheduled.map(|at| super::age(now.since(at)));
    vec![
        name,
        cron_job.schedule.text.to_string(),
        cron_job.schedule.zone.name.as_deref().unwrap_or("<none>").to_owned(),
        suspended.to_owned(),
        cron_job.status.active.len().to_string(),
        last.unwrap_or_else(|| "<none>".to_owned()),
        age,
    ]
}
