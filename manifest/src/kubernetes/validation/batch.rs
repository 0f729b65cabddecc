//! Checks of Jobs and CronJobs.
//!
//! Source: pkg/apis/batch/validation/validation.go (v1.34.1).

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, Job, JobSpec};

use super::report::{AsJson, AsWritten, At, Report};
use super::{job_policies, metadata, names, pod, selector, shown};
use crate::kubernetes::schedule;

const PARALLELISM_INDEXED_MAX: i32 = 100_000;
const FAILED_INDEXES_MAX: i32 = 100_000;
const MANY_COMPLETIONS: i32 = 100_000;
const PARALLELISM_OF_MANY_MAX: i32 = 10_000;
const FAILED_INDEXES_OF_MANY_MAX: i32 = 10_000;
const MANAGED_BY_MAX: usize = 63;
/// A CronJob's name gets eleven more characters for its Jobs.
const CRON_JOB_NAME_MAX: usize = 52;
/// The labels by name and by identity that the API server gives a Job's pods, in the old and the new spelling.
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];
const NO_UID: &str = "00000000-0000-0000-0000-000000000000";

/// Checks a Job.
pub(super) fn job(report: &mut Report, object: &Job) {
    stored_job(report, &completed(object), true);
}

/// Whether a Job's template has the labels in the new spelling, which its new versions must have then.
pub(super) fn has_prefixed_labels(object: &Job) -> bool {
    let meta = object.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let labels = meta.and_then(|meta| meta.labels.as_ref());
    [NAME_LABELS[1], UID_LABELS[1]].iter().all(|key| labels.is_some_and(|labels| labels.contains_key(*key)))
}

/// Checks a Job that has the selector and the labels that the API server makes; `prefixed` tells that those in the new
/// spelling must be there.
pub(super) fn stored_job(report: &mut Report, object: &Job, prefixed: bool) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let empty = JobSpec::default();
    let (spec, at) = (object.spec.as_ref().unwrap_or(&empty), At::root("spec"));
    generated_selector(report, object, spec, prefixed);
    job_spec(report, &at, spec);
    own_selector(report, &at, spec);
    let name = object.metadata.name.as_deref().unwrap_or("");
    if let (true, Some(completions @ 1..)) = (is_indexed(spec), spec.completions) {
        let host = format!("{name}-{}", completions - 1);
        if !names::dns_label(&host).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS label: {host}");
            report.invalid(&At::root("metadata").child("name"), &name, &detail);
        }
    }
}

/// Checks a new CronJob.
pub(super) fn cron_job(report: &mut Report, object: &CronJob) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    cron_job_spec(report, object, None);
    let name = object.metadata.name.as_deref().unwrap_or("");
    if name.len() > CRON_JOB_NAME_MAX {
        report.invalid(&At::root("metadata").child("name"), &name, "must be no more than 52 characters");
    }
}

/// Checks the spec of a CronJob; `old` is that of the stored one, of which some things are let pass.
pub(super) fn cron_job_spec(report: &mut Report, object: &CronJob, old: Option<&CronJobSpec>) {
    let empty = CronJobSpec::default();
    let (spec, at) = (object.spec.as_ref().unwrap_or(&empty), At::root("spec"));
    timing(report, &at, spec, old.is_some_and(|old| old.schedule.contains("TZ")));
    if let Some(seconds) = spec.starting_deadline_seconds {
        report.not_negative(&at.child("startingDeadlineSeconds"), seconds);
    }
    if let Some(zone) =
        spec.time_zone.as_ref().filter(|zone| old.is_none_or(|old| old.time_zone.as_ref() != Some(zone)))
    {
        time_zone(report, &at.child("timeZone"), zone);
    }
    let policies = ["Allow", "Forbid", "Replace"];
    report.one_of(&at.child("concurrencyPolicy"), spec.concurrency_policy.as_deref(), &policies);
    let template_at = at.child("jobTemplate").child("spec");
    let empty = JobSpec::default();
    let template = spec.job_template.spec.as_ref().unwrap_or(&empty);
    job_spec(report, &template_at, template);
    if let Some(selector) = &template.selector {
        let shown = shown::selector(selector);
        report.invalid(&template_at.child("selector"), &AsWritten(&shown), "`selector` will be auto-generated");
    }
    if template.manual_selector == Some(true) {
        report.not_supported(&template_at.child("manualSelector"), &AsJson(&true), &["nil", "false"]);
    }
    for (field, limit) in [
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
    ] {
        report.not_negative(&at.child(field), i64::from(limit.unwrap_or(0)));
    }
}

/// Checks a schedule, which must not name a time zone: there is a field for that. One that `had_zone` may keep it.
fn timing(report: &mut Report, at: &At, spec: &CronJobSpec, had_zone: bool) {
    let (at, text) = (at.child("schedule"), &spec.schedule);
    if text.is_empty() {
        return report.required(&at, "");
    }
    let named = ["TZ=", "CRON_TZ="].iter().find_map(|prefix| text.strip_prefix(prefix));
    let read = match named.and_then(|rest| rest.split_once(' ')) {
        Some((zone, rest)) => schedule::zone(zone)
            .map_err(|error| format!("provided bad location {zone}: {error}"))
            .and_then(|_| schedule::times(rest.trim())),
        None => schedule::times(text),
    };
    if let Err(error) = read {
        report.invalid(&at, text, &error);
    }
    if text.contains("TZ") && !had_zone {
        report.invalid(&at, text, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    } else if text.contains("TZ") && spec.time_zone.is_some() {
        report.invalid(&at, text, "cannot use both timeZone field and TZ or CRON_TZ in schedule");
    }
}

fn time_zone(report: &mut Report, at: &At, zone: &String) {
    if zone.is_empty() {
        return report.invalid(at, zone, "timeZone must be nil or non-empty string");
    }
    let is_part = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte);
        (1..=14).contains(&part.len())
            && part.bytes().all(allowed)
            && !part.starts_with('-')
            && part != "."
            && part != ".."
    };
    if !zone.split('/').all(is_part) {
        return report.invalid(at, zone, &format!("unknown time zone {zone}"));
    }
    if zone.eq_ignore_ascii_case("Local") {
        let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        report.invalid(at, zone, detail);
    }
    if zone.contains("..") {
        return report.invalid(at, zone, "time: invalid location name");
    }
    if let Err(error) = schedule::zone(zone) {
        // Go knows "Local", whatever the machine's zone is.
        if zone != "Local" {
            report.invalid(at, zone, &error);
        }
    }
}

fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

/// A new Job as it is when the API server validates it: with the selector and the labels that it makes, unless the user
/// has chosen them. Its identity is not known yet and stands as zeros.
///
/// Source: `generateSelector`, pkg/registry/batch/job/strategy.go (v1.34.1).
fn completed(object: &Job) -> Job {
    let mut job = object.clone();
    job.metadata.uid.get_or_insert_with(|| NO_UID.to_owned());
    let Some(spec) = job.spec.as_mut().filter(|spec| spec.manual_selector != Some(true)) else { return job };
    let (uid, name) = (job.metadata.uid.clone().unwrap_or_default(), job.metadata.name.clone().unwrap_or_default());
    let labels = spec.template.metadata.get_or_insert_default().labels.get_or_insert_default();
    for (key, value) in NAME_LABELS.map(|key| (key, &name)).into_iter().chain(UID_LABELS.map(|key| (key, &uid))) {
        labels.entry(key.to_owned()).or_insert_with(|| value.clone());
    }
    let selected = spec.selector.get_or_insert_default().match_labels.get_or_insert_default();
    selected.entry(UID_LABELS[1].to_owned()).or_insert(uid);
    job
}

/// Checks that a Job whose selector the API server makes has what it makes.
fn generated_selector(report: &mut Report, object: &Job, spec: &JobSpec, prefixed: bool) {
    let Some(chosen) = spec.selector.as_ref().filter(|_| spec.manual_selector != Some(true)) else { return };
    let (name, uid) = (object.metadata.name.as_deref(), object.metadata.uid.as_deref());
    let (name, uid) = (name.unwrap_or_default(), uid.unwrap_or_default());
    let labels = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    let at = At::root("spec").child("template").child("metadata").child("labels");
    let made = [(UID_LABELS[0], uid), (NAME_LABELS[0], name), (UID_LABELS[1], uid), (NAME_LABELS[1], name)];
    let made = if prefixed { &made[..] } else { &made[..2] };
    for &(key, wanted) in made {
        match labels.and_then(|labels| labels.get(key)) {
            None => report.required(&at.key(key), &format!("must be '{wanted}'")),
            Some(value) if value != wanted => {
                report.invalid(&at.key(key), &AsJson(&labels), &format!("must be '{wanted}'"));
            }
            Some(_) => {}
        }
    }
    let expected: BTreeMap<String, String> =
        made.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    if selector::is_valid(chosen) && !selector::matches(chosen, &expected) {
        let detail = "`selector` not auto-generated";
        report.invalid(&At::root("spec").child("selector"), &AsWritten(&shown::selector(chosen)), detail);
    }
}

/// Checks that there is a selector and that it selects the template.
fn own_selector(report: &mut Report, at: &At, spec: &JobSpec) {
    let none = BTreeMap::new();
    let labels = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    let fits = match &spec.selector {
        None => {
            report.required(&at.child("selector"), "");
            false
        }
        Some(chosen) => {
            selector::check(report, &at.child("selector"), chosen);
            !selector::is_valid(chosen) || selector::matches(chosen, labels.unwrap_or(&none))
        }
    };
    if !fits {
        let at = at.child("template").child("metadata").child("labels");
        report.invalid(&at, &AsJson(&labels), "`selector` does not match template `labels`");
    }
}

fn job_spec(report: &mut Report, at: &At, spec: &JobSpec) {
    let counts = [
        ("parallelism", spec.parallelism.map(i64::from)),
        ("completions", spec.completions.map(i64::from)),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        ("backoffLimit", spec.backoff_limit.map(i64::from)),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished.map(i64::from)),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index.map(i64::from)),
        ("maxFailedIndexes", spec.max_failed_indexes.map(i64::from)),
    ];
    for (field, count) in counts {
        report.not_negative(&at.child(field), count.unwrap_or(0));
    }
    if spec.max_failed_indexes.is_some() && spec.backoff_limit_per_index.is_none() {
        report.required(&at.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
    }
    if let Some(manager) = &spec.managed_by {
        managed_by(report, &at.child("managedBy"), manager);
    }
    match spec.completion_mode.as_deref() {
        None | Some("NonIndexed") => {
            let limits =
                [("backoffLimitPerIndex", spec.backoff_limit_per_index), ("maxFailedIndexes", spec.max_failed_indexes)];
            for (field, limit) in limits {
                if let Some(limit) = limit {
                    report.invalid(&at.child(field), &limit, "requires indexed completion mode");
                }
            }
        }
        Some("Indexed") => indexes(report, at, spec),
        Some(mode) => report.not_supported(&at.child("completionMode"), &mode, &["NonIndexed", "Indexed"]),
    }
    if let Some(policy) = &spec.pod_failure_policy {
        job_policies::failure_policy(report, &at.child("podFailurePolicy"), spec, policy);
    }
    if let Some(policy) = &spec.success_policy {
        let at = at.child("successPolicy");
        if is_indexed(spec) {
            job_policies::success_policy(report, &at, spec.completions.unwrap_or(0), policy);
        } else {
            report.invalid(&at, &AsWritten(&shown::success_policy(policy)), "requires indexed completion mode");
        }
    }
    replacement(report, &at.child("podReplacementPolicy"), spec);
    pod::template(report, &at.child("template"), &spec.template);
    restart_policy(report, &at.child("template").child("spec").child("restartPolicy"), spec);
}

fn managed_by(report: &mut Report, at: &At, manager: &String) {
    match manager.split_once('/') {
        _ if manager.is_empty() => report.required(at, ""),
        Some((host, path)) if !host.is_empty() && !path.is_empty() => {
            report.invalid_each(at, &host, names::dns_subdomain(host));
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&byte);
            if !path.bytes().all(is_allowed) {
                let rule = r"Invalid path (regex used for validation is '[A-Za-z0-9/\-._~%!$&'()*+,;=:]+')";
                report.invalid(at, &path, rule);
            }
        }
        _ => report.invalid(at, manager, "must be a domain-prefixed path (such as \"acme.io/foo\")"),
    }
    if manager.len() > MANAGED_BY_MAX {
        report.too_long(at, MANAGED_BY_MAX);
    }
}

fn indexes(report: &mut Report, at: &At, spec: &JobSpec) {
    let at_most = |report: &mut Report, field: &str, value: Option<i32>, max: i32, when: &str| {
        if let Some(value) = value.filter(|value| *value > max) {
            report.invalid(&at.child(field), &value, &format!("must be less than or equal to {max}{when}"));
        }
    };
    let (parallelism, failed) = (spec.parallelism, spec.max_failed_indexes);
    if spec.completions.is_none() {
        report.required(&at.child("completions"), "when completion mode is Indexed");
    }
    at_most(report, "parallelism", parallelism, PARALLELISM_INDEXED_MAX, " when completion mode is Indexed");
    if let (Some(completions), Some(failed)) = (spec.completions, failed)
        && failed > completions
    {
        report.invalid(&at.child("maxFailedIndexes"), &failed, "must be less than or equal to completions");
    }
    at_most(report, "maxFailedIndexes", failed, FAILED_INDEXES_MAX, "");
    let many = spec.completions.is_some_and(|completions| completions > MANY_COMPLETIONS);
    if many && spec.backoff_limit_per_index.is_some() {
        if failed.is_none() {
            let detail = "must be specified when completions is above 100000";
            report.required(&at.child("maxFailedIndexes"), detail);
        }
        let when = " when completions are above 100000 and used with backoff limit per index";
        at_most(report, "parallelism", parallelism, PARALLELISM_OF_MANY_MAX, when);
        at_most(report, "maxFailedIndexes", failed, FAILED_INDEXES_OF_MANY_MAX, when);
    }
}

fn replacement(report: &mut Report, at: &At, spec: &JobSpec) {
    let Some(policy) = &spec.pod_replacement_policy else { return };
    let supported: &[&str] =
        if spec.pod_failure_policy.is_some() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    if !supported.contains(&policy.as_str()) {
        report.not_supported(at, policy, supported);
    }
}

fn restart_policy(report: &mut Report, at: &At, spec: &JobSpec) {
    let policy = spec.template.spec.as_ref().and_then(|pod| pod.restart_policy.as_deref()).unwrap_or("");
    match policy {
        "" | "Always" => report.required(at, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" if spec.pod_failure_policy.is_some() => {
            report.invalid(at, &policy, "only \"Never\" is supported when podFailurePolicy is specified");
        }
        "OnFailure" | "Never" => {}
        other => report.not_supported(at, &other, &["OnFailure", "Never"]),
    }
}
