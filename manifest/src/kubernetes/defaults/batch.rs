//! Defaults of Jobs and CronJobs.
//!
//! Source: pkg/apis/batch/v1/defaults.go (v1.34.1). Labels and the selector of a Job are made when it is stored.

use k8s_openapi::api::batch::v1::{CronJob, Job, JobSpec};

use super::{pod, text};

/// Defaults of a Job.
pub(in crate::kubernetes) fn job(object: &mut Job) {
    let spec = object.spec.get_or_insert_default();
    if spec.completions.is_none() && spec.parallelism.is_none() {
        spec.completions = Some(1);
    }
    spec.parallelism.get_or_insert(1);
    let limit = if spec.backoff_limit_per_index.is_some() { i32::MAX } else { 6 };
    spec.backoff_limit.get_or_insert(limit);
    spec.completion_mode.get_or_insert_with(|| "NonIndexed".to_owned());
    spec.suspend.get_or_insert(false);
    let replacement = if spec.pod_failure_policy.is_some() { "Failed" } else { "TerminatingOrFailed" };
    spec.pod_replacement_policy.get_or_insert_with(|| replacement.to_owned());
    spec.manual_selector.get_or_insert(false);
    template(spec);
}

/// Defaults of a CronJob. Those of its Jobs come with each Job.
pub(super) fn cron_job(object: &mut CronJob) {
    let spec = object.spec.get_or_insert_default();
    text(&mut spec.concurrency_policy, "Allow");
    spec.suspend.get_or_insert(false);
    spec.successful_jobs_history_limit.get_or_insert(3);
    spec.failed_jobs_history_limit.get_or_insert(1);
    template(spec.job_template.spec.get_or_insert_default());
}

/// What both have of the spec alike: the pods, and the status that a condition must have.
fn template(spec: &mut JobSpec) {
    pod::template(&mut spec.template);
    let rules = spec.pod_failure_policy.iter_mut().flat_map(|policy| &mut policy.rules);
    for pattern in rules.flat_map(|rule| rule.on_pod_conditions.iter_mut().flatten()) {
        if pattern.status.is_empty() {
            pattern.status = "True".to_owned();
        }
    }
}
