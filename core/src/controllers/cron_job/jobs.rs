//! The Jobs of a CronJob: how they are made and named, and which of them are old enough to go.
//!
//! Source: `getJobFromTemplate2`, `byJobStartTime`, pkg/controller/cronjob/utils.go; `cleanupFinishedJobs`,
//! pkg/controller/cronjob/cronjob_controllerv2.go (v1.34.1). Absent on purpose: owners of unknown kinds.

use std::sync::Arc;

use crate::controllers::owned_by;
use crate::id::Name;
use crate::model::{ConditionKind, CronJob, Job, JobSpec, Kind, Meta, MetaExtras};
use crate::store::View;

/// The annotation with the time that a Job was made for.
const SCHEDULED_AT: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// The name of the Job of a time: the CronJob's and the minutes since 1970.
pub(super) fn name_of(cron_job: &CronJob, time: i64) -> Name {
    format!("{}-{}", cron_job.meta.name, time.div_euclid(60)).into()
}

/// The Job of a time (Unix, in seconds).
pub(super) fn job_of(cron_job: &CronJob, time: i64) -> Job {
    let (template, zone) = (&cron_job.template, &cron_job.schedule.zone);
    let scheduled = zone.civil(time).rfc3339(zone.offset(time));
    let annotations = template.annotations.with(SCHEDULED_AT, scheduled);
    let meta = Meta {
        namespace: cron_job.meta.namespace.clone(),
        name: name_of(cron_job, time),
        labels: template.labels.clone(),
        extras: MetaExtras { annotations, ..MetaExtras::default() }.into(),
        owners: [owned_by(Kind::CronJob, &cron_job.meta)].into(),
        ..Meta::default()
    };
    Job { meta, spec: JobSpec::clone(&template.spec), ..Job::default() }
}

/// The Jobs that somebody of the CronJob's name manages: itself, or a former one whose Jobs have yet to go.
///
/// Source: `getJobsToBeReconciled`, pkg/controller/cronjob/cronjob_controllerv2.go (v1.34.1), which looks at nothing but
/// the name.
pub(super) fn of_name(view: View<'_>, cron_job: &Meta) -> Vec<Arc<Job>> {
    let all = view.in_namespace::<Job>(&cron_job.namespace).map(|(_, job)| job);
    all.filter(|job| job.meta.controller().is_some_and(|owner| owner.name == cron_job.name)).cloned().collect()
}

/// The finished Jobs beyond the history limits: the complete ones and then the failed ones, the oldest first.
pub(super) fn beyond_history(cron_job: &CronJob, jobs: &[Arc<Job>]) -> Vec<Arc<Job>> {
    let limits =
        [(ConditionKind::Complete, cron_job.successful_history), (ConditionKind::Failed, cron_job.failed_history)];
    let mut surplus = Vec::new();
    for (end, limit) in limits {
        let Some(limit) = limit else { continue };
        let mut ended: Vec<&Arc<Job>> =
            jobs.iter().filter(|job| job.finished().is_some_and(|(how, _)| how == end)).collect();
        // Those that never started are the youngest.
        ended.sort_by_key(|job| {
            (job.status.started_at.is_none(), job.status.started_at.map(|at| at.whole_second()), job.meta.name.clone())
        });
        let count = ended.len().saturating_sub(limit as usize);
        surplus.extend(ended.into_iter().take(count).cloned());
    }
    surplus
}
