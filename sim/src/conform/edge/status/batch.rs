//! Jobs and CronJobs.

use serde_json::Value;
use wavetank_core::id::{Name, Uid};
use wavetank_core::model::{CronJobStatus, IndexSet, Job};

use super::written::Written;

pub(super) fn job(job: &mut Job, written: &Written<'_>) -> Result<(), String> {
    written.only(&[
        "active",
        "completedIndexes",
        "completionTime",
        "conditions",
        "failed",
        "failedIndexes",
        "ready",
        "startTime",
        "succeeded",
        "terminating",
        "uncountedTerminatedPods",
    ])?;
    let completions = job.spec.completions.unwrap_or(u32::MAX);
    let status = &mut job.status;
    (status.active, status.succeeded) = (written.number("active"), written.number("succeeded"));
    (status.failed, status.ready) = (written.number("failed"), written.optional("ready"));
    status.terminating = written.optional("terminating");
    status.started_at = written.time("startTime", status.started_at);
    status.completed_at = written.time("completionTime", status.completed_at);
    status.completed_indexes = IndexSet::parse(written.text("completedIndexes"), completions);
    let failed = written.new["failedIndexes"].as_str();
    status.failed_indexes = failed.map(|text| IndexSet::parse(text, completions));
    let uncounted = |field: &str| uids(&written.new["uncountedTerminatedPods"][field]);
    (status.uncounted.succeeded, status.uncounted.failed) = (uncounted("succeeded")?, uncounted("failed")?);
    written.conditions(&mut status.conditions);
    Ok(())
}

pub(super) fn cron_job(status: &mut CronJobStatus, written: &Written<'_>) -> Result<(), String> {
    written.only(&["active", "lastScheduleTime", "lastSuccessfulTime"])?;
    let active = |job: &Value| Ok((Name::from(job["name"].as_str().unwrap_or_default()), uid(&job["uid"])?));
    let list = written.new["active"].as_array();
    status.active = list.into_iter().flatten().map(active).collect::<Result<_, String>>()?;
    status.last_scheduled = written.time("lastScheduleTime", status.last_scheduled);
    status.last_successful = written.time("lastSuccessfulTime", status.last_successful);
    Ok(())
}

fn uids(list: &Value) -> Result<Vec<Uid>, String> {
    list.as_array().into_iter().flatten().map(uid).collect()
}

/// An identity. Errors: one that is not written as identities are.
fn uid(value: &Value) -> Result<Uid, String> {
    let text = value.as_str().unwrap_or_default();
    u128::from_str_radix(&text.replace('-', ""), 16).map(Uid::new).map_err(|_| format!("the identity {text:?}"))
}
