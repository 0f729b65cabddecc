//! Jobs and CronJobs.

use std::sync::Arc;

use k8s_openapi::api::batch::v1 as api;
use wavetank_core::model::{
    CompletionMode, Concurrency, CronJob, FailureAction, FailurePattern, FailureRule, Job, JobSpec, JobTemplate, Meta,
    PodReplacement, Schedule, SuccessRule,
};
use wavetank_core::time::Span;

use super::{status3, template};
use crate::kubernetes::parts::{labels, name, selector};
use crate::kubernetes::schedule;

pub(super) fn job(meta: Meta, object: &api::Job) -> Job {
    let spec = object.spec.as_ref().expect("a Job without a spec is refused by validation");
    Job { meta, spec: job_spec(spec), ..Job::default() }
}

pub(super) fn cron_job(meta: Meta, object: &api::CronJob) -> CronJob {
    let spec = object.spec.as_ref().expect("a CronJob without a spec is refused by validation");
    let zone =
        spec.time_zone.as_deref().map(|zone| schedule::zone(zone).expect("time zones are checked by validation"));
    let made = &spec.job_template;
    let metadata = made.metadata.as_ref();
    // A Job that is made gets the defaults that a user's Job would get.
    let mut defaulted = api::Job { spec: made.spec.clone(), ..api::Job::default() };
    crate::kubernetes::defaults::job(&mut defaulted);
    CronJob {
        meta,
        schedule: Schedule {
            text: name(&spec.schedule),
            times: schedule::times(&spec.schedule).expect("schedules are checked by validation"),
            zone: zone.unwrap_or_default(),
        },
        starting_deadline: spec.starting_deadline_seconds.map(span),
        concurrency: match spec.concurrency_policy.as_deref() {
            Some("Forbid") => Concurrency::Forbid,
            Some("Replace") => Concurrency::Replace,
            _ => Concurrency::Allow,
        },
        suspend: spec.suspend.unwrap_or(false),
        successful_history: spec.successful_jobs_history_limit.map(count),
        failed_history: spec.failed_jobs_history_limit.map(count),
        template: JobTemplate {
            labels: labels(metadata.and_then(|metadata| metadata.labels.as_ref())),
            annotations: labels(metadata.and_then(|metadata| metadata.annotations.as_ref())),
            spec: Arc::new(job_spec(&defaulted.spec.unwrap_or_default())),
        },
        ..CronJob::default()
    }
}

fn count(number: i32) -> u32 {
    u32::try_from(number).expect("negative numbers are refused by validation")
}

/// A span of seconds; one beyond the clock's range (584 years) lasts for its whole range.
fn span(seconds: i64) -> Span {
    let seconds = u64::try_from(seconds).expect("negative numbers are refused by validation");
    Span(seconds.saturating_mul(1_000_000_000))
}

fn job_spec(spec: &api::JobSpec) -> JobSpec {
    JobSpec {
        parallelism: spec.parallelism.map_or(1, count),
        completions: spec.completions.map(count),
        mode: match spec.completion_mode.as_deref() {
            Some("Indexed") => CompletionMode::Indexed,
            _ => CompletionMode::NonIndexed,
        },
        suspend: spec.suspend.unwrap_or(false),
        active_deadline: spec.active_deadline_seconds.map(span),
        backoff_limit: spec.backoff_limit.map_or(6, count),
        backoff_limit_per_index: spec.backoff_limit_per_index.map(count),
        max_failed_indexes: spec.max_failed_indexes.map(count),
        pod_failure_policy: spec.pod_failure_policy.as_ref().map(|it| it.rules.iter().map(failure_rule).collect()),
        success_policy: spec.success_policy.as_ref().map(|it| it.rules.iter().map(success_rule).collect()),
        pod_replacement: match spec.pod_replacement_policy.as_deref() {
            Some("Failed") => PodReplacement::Failed,
            _ => PodReplacement::TerminatingOrFailed,
        },
        ttl_after_finished: spec.ttl_seconds_after_finished.map(|seconds| span(seconds.into())),
        managed_by: spec.managed_by.as_deref().map(name),
        manual_selector: spec.manual_selector.unwrap_or(false),
        selector: spec.selector.as_ref().map(selector).unwrap_or_default(),
        template: template(&spec.template),
    }
}

fn failure_rule(rule: &api::PodFailurePolicyRule) -> FailureRule {
    let on = match &rule.on_exit_codes {
        Some(codes) => FailurePattern::ExitCodes {
            container: codes.container_name.as_deref().map(name),
            is_in: codes.operator == "In",
            codes: codes.values.clone(),
        },
        None => {
            let patterns = rule.on_pod_conditions.iter().flatten();
            FailurePattern::Conditions(patterns.map(|it| (name(&it.type_), status3(&it.status))).collect())
        }
    };
    let action = match rule.action.as_str() {
        "FailJob" => FailureAction::FailJob,
        "FailIndex" => FailureAction::FailIndex,
        "Ignore" => FailureAction::Ignore,
        "Count" => FailureAction::Count,
        other => unreachable!("action {other} is refused by validation"),
    };
    FailureRule { action, on }
}

fn success_rule(rule: &api::SuccessPolicyRule) -> SuccessRule {
    SuccessRule { indexes: rule.succeeded_indexes.as_deref().map(name), count: rule.succeeded_count.map(count) }
}
