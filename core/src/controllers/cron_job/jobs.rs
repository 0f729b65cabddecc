//! The Jobs of a CronJob: how they are made and named, and which of them are old enough to go.
//!
//! Source: `getJobFromTemplate2`, `byJobStartTime`, pkg/controller/cronjob/utils.go; `cleanupFinishedJobs`,
//! pkg/controller/cronjob/cronjob_controllerv2.go (v1.34.1). Absent on purpose: owners of unknown kinds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::controllers::{NamespacedName, owned_by};
use crate::id::{Name, RowId};
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

/// The Jobs that are managed, by the names of those who manage them: a CronJob looks at all Jobs of its name, those of
/// a former one that have yet to go among them.
///
/// Source: `getJobsToBeReconciled`, pkg/controller/cronjob/cronjob_controllerv2.go (v1.34.1), which looks at
/// nothing but the name.
#[derive(Default)]
pub(super) struct JobsByName {
    rows: BTreeMap<NamespacedName, BTreeSet<RowId>>,
}

impl JobsByName {
    /// A Job has become another; `None` is absence.
    pub(super) fn note(&mut self, row: RowId, old: Option<&Job>, new: Option<&Job>) {
        let manager = |job: Option<&Job>| {
            let meta = &job?.meta;
            Some(NamespacedName::new(meta.namespace.clone(), meta.controller()?.name.clone()))
        };
        let (old, new) = (manager(old), manager(new));
        if old == new {
            return;
        }
        if let Some(key) = old
            && let Some(rows) = self.rows.get_mut(&key)
        {
            rows.remove(&row);
            if rows.is_empty() {
                self.rows.remove(&key);
            }
        }
        if let Some(key) = new {
            self.rows.entry(key).or_default().insert(row);
        }
    }

    /// The Jobs of a name, by their own names.
    pub(super) fn of(&self, view: View<'_>, name: &NamespacedName) -> Vec<Arc<Job>> {
        let rows = self.rows.get(name).into_iter().flatten();
        let mut jobs: Vec<Arc<Job>> = rows.filter_map(|row| view.get::<Job>(*row).cloned()).collect();
        jobs.sort_by(|one, other| one.meta.name.cmp(&other.meta.name));
        jobs
    }
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
