//! Checks of Jobs and CronJobs.
//!
//! Source: pkg/apis/batch/validation/validation.go (v1.34.1). Absent on purpose: the labels and the selector that the
//! API server makes itself (a user's own `controller-uid`, say), and the characters of a path in `managedBy`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::batch::v1::{
    CronJob, CronJobSpec, Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule, SuccessPolicy, SuccessPolicyRule,
};

use super::report::{AsJson, AsWritten, At, Report};
use super::{metadata, names, pod, selector, shown};
use crate::kubernetes::schedule;

const PARALLELISM_INDEXED_MAX: i32 = 100_000;
const FAILED_INDEXES_MAX: i32 = 100_000;
const MANY_COMPLETIONS: i32 = 100_000;
const PARALLELISM_OF_MANY_MAX: i32 = 10_000;
const FAILED_INDEXES_OF_MANY_MAX: i32 = 10_000;
const RULES_MAX: usize = 20;
const EXIT_CODES_MAX: usize = 255;
const CONDITIONS_MAX: usize = 20;
const MANAGED_BY_MAX: usize = 63;
const INDEXES_TEXT_MAX: usize = 64 * 1024;
/// A CronJob's name gets eleven more characters for its Jobs.
const CRON_JOB_NAME_MAX: usize = 52;
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];

/// Checks a Job.
pub(super) fn job(report: &mut Report, object: &Job) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let empty = JobSpec::default();
    let (spec, at) = (object.spec.as_ref().unwrap_or(&empty), At::root("spec"));
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

/// Checks a CronJob.
pub(super) fn cron_job(report: &mut Report, object: &CronJob) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let empty = CronJobSpec::default();
    let (spec, at) = (object.spec.as_ref().unwrap_or(&empty), At::root("spec"));
    timing(report, &at, spec);
    if let Some(seconds) = spec.starting_deadline_seconds {
        report.not_negative(&at.child("startingDeadlineSeconds"), seconds);
    }
    if let Some(zone) = &spec.time_zone {
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
    let name = object.metadata.name.as_deref().unwrap_or("");
    if name.len() > CRON_JOB_NAME_MAX {
        report.invalid(&At::root("metadata").child("name"), &name, "must be no more than 52 characters");
    }
}

/// Checks a schedule, which must not name a time zone: there is a field for that.
fn timing(report: &mut Report, at: &At, spec: &CronJobSpec) {
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
    if text.contains("TZ") {
        report.invalid(&at, text, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
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

/// Checks a selector that the user has chosen. One that the API server makes fits by itself.
fn own_selector(report: &mut Report, at: &At, spec: &JobSpec) {
    let manual = spec.manual_selector == Some(true);
    let Some(chosen) = &spec.selector else {
        if manual {
            report.required(&at.child("selector"), "");
        }
        return;
    };
    selector::check(report, &at.child("selector"), chosen);
    let none = BTreeMap::new();
    let labels = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    if selector::is_valid(chosen) && !selector::matches(chosen, labels.unwrap_or(&none)) {
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
        failure_policy(report, &at.child("podFailurePolicy"), spec, policy);
    }
    if let Some(policy) = &spec.success_policy {
        let at = at.child("successPolicy");
        if is_indexed(spec) {
            success_policy(report, &at, spec.completions.unwrap_or(0), policy);
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

/// `["A" "B"]`, as Go prints a list of names.
fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    format!("[{}]", names.join(" "))
}

fn failure_policy(report: &mut Report, at: &At, spec: &JobSpec, policy: &PodFailurePolicy) {
    let at = at.child("rules");
    if policy.rules.len() > RULES_MAX {
        report.too_many(&at, policy.rules.len(), RULES_MAX);
    }
    for (index, rule) in policy.rules.iter().enumerate() {
        failure_rule(report, &at.index(index), spec, rule);
    }
}

fn failure_rule(report: &mut Report, at: &At, spec: &JobSpec, rule: &PodFailurePolicyRule) {
    let action_at = at.child("action");
    match rule.action.as_str() {
        "" => report.required(&action_at, &format!("valid values: {}", quoted(&ACTIONS))),
        "FailIndex" if spec.backoff_limit_per_index.is_none() => {
            report.invalid(&action_at, &rule.action, "requires the backoffLimitPerIndex to be set");
        }
        action if ACTIONS.contains(&action) => {}
        action => report.not_supported(&action_at, &action, &ACTIONS),
    }
    let conditions = rule.on_pod_conditions.as_deref().unwrap_or_default();
    if let Some(codes) = &rule.on_exit_codes {
        exit_codes(report, &at.child("onExitCodes"), spec, codes);
    }
    if !conditions.is_empty() {
        pod_conditions(report, &at.child("onPodConditions"), conditions);
    }
    match (rule.on_exit_codes.is_some(), conditions.is_empty()) {
        (true, false) => {
            report.invalid_as_a_whole(at, "specifying both OnExitCodes and OnPodConditions is not supported");
        }
        (false, true) => {
            report.invalid_as_a_whole(at, "specifying one of OnExitCodes and OnPodConditions is required");
        }
        _ => {}
    }
}

fn pod_conditions(report: &mut Report, at: &At, patterns: &[PodFailurePolicyOnPodConditionsPattern]) {
    if patterns.len() > CONDITIONS_MAX {
        report.too_many(at, patterns.len(), CONDITIONS_MAX);
    }
    for (index, pattern) in patterns.iter().enumerate() {
        let at = at.index(index);
        metadata::label_name(report, &at.child("type"), &pattern.type_);
        match pattern.status.as_str() {
            "" => report.required(&at.child("status"), &format!("valid values: {}", quoted(&STATUSES))),
            status if STATUSES.contains(&status) => {}
            status => report.not_supported(&at.child("status"), &status, &STATUSES),
        }
    }
}

fn exit_codes(report: &mut Report, at: &At, spec: &JobSpec, codes: &PodFailurePolicyOnExitCodesRequirement) {
    let operator_at = at.child("operator");
    match codes.operator.as_str() {
        "" => report.required(&operator_at, &format!("valid values: {}", quoted(&OPERATORS))),
        operator if OPERATORS.contains(&operator) => {}
        operator => report.not_supported(&operator_at, &operator, &OPERATORS),
    }
    let pod = spec.template.spec.as_ref();
    let containers = pod.into_iter().flat_map(|pod| pod.containers.iter().chain(pod.init_containers.iter().flatten()));
    let known: BTreeSet<&str> = containers.map(|container| container.name.as_str()).collect();
    if let Some(name) = codes.container_name.as_ref().filter(|name| !known.contains(name.as_str())) {
        let detail = "must be one of the container or initContainer names in the pod template";
        report.invalid(&at.child("containerName"), name, detail);
    }
    let (at, values) = (at.child("values"), &codes.values);
    if values.is_empty() {
        report.invalid(&at, &AsJson(values), "at least one value is required");
    } else if values.len() > EXIT_CODES_MAX {
        report.too_many(&at, values.len(), EXIT_CODES_MAX);
    }
    let mut seen = BTreeSet::new();
    for (index, value) in values.iter().enumerate() {
        let at = at.index(index);
        if codes.operator == "In" && *value == 0 {
            report.invalid(&at, value, "must not be 0 for the In operator");
        }
        if !seen.insert(value) {
            report.duplicate(&at, value, "");
        }
    }
    if !values.is_sorted() {
        report.invalid(&at, &AsJson(values), "must be ordered");
    }
}

fn success_policy(report: &mut Report, at: &At, completions: i32, policy: &SuccessPolicy) {
    let at = at.child("rules");
    if policy.rules.is_empty() {
        report.required(&at, "at least one rules must be specified when the successPolicy is specified");
    }
    if policy.rules.len() > RULES_MAX {
        report.too_many(&at, policy.rules.len(), RULES_MAX);
    }
    for (index, rule) in policy.rules.iter().enumerate() {
        success_rule(report, &at.index(index), completions, rule);
    }
}

fn success_rule(report: &mut Report, at: &At, completions: i32, rule: &SuccessPolicyRule) {
    if rule.succeeded_count.is_none() && rule.succeeded_indexes.is_none() {
        report.required(at, "at least one of succeededCount or succeededIndexes must be specified");
    }
    let mut total = 0;
    if let Some(text) = &rule.succeeded_indexes {
        let at = at.child("succeededIndexes");
        if text.len() > INDEXES_TEXT_MAX {
            report.too_long(&at, INDEXES_TEXT_MAX);
        }
        match count_indexes(text, completions) {
            Ok(count) => total = count,
            Err(error) => report.invalid(&at, text, &format!("error parsing succeededIndexes: {error}")),
        }
    }
    let Some(count) = rule.succeeded_count else { return };
    let at = at.child("succeededCount");
    report.not_negative(&at, i64::from(count));
    let at_most = |report: &mut Report, max: i32, what: &str| {
        if count > max {
            report.invalid(&at, &count, &format!("must be less than or equal to {max} ({what})"));
        }
    };
    at_most(report, completions, "the number of specified completions");
    if rule.succeeded_indexes.is_some() {
        at_most(report, total, "the number of indexes in the specified succeededIndexes field");
    }
}

/// How many indexes a text such as `0,2-5` names; they must ascend and lie below the completions.
fn count_indexes(text: &str, completions: i32) -> Result<i32, String> {
    let (mut last, mut total) = (None, 0);
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (first, end) = interval(part, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

fn interval(part: &str, completions: i32) -> Result<(i32, i32), String> {
    let ends: Vec<&str> = part.split('-').collect();
    let number = |text: &str| {
        let number =
            text.parse::<i32>().map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
        if number >= completions { Err(format!("too large index: {text:?}")) } else { Ok(number) }
    };
    match ends.as_slice() {
        [only] => number(only).map(|index| (index, index)),
        [first, last] => {
            let (first_index, last_index) = (number(first)?, number(last)?);
            if first_index >= last_index {
                return Err(format!("non-increasing order, previous: {first_index}, current: {last_index}"));
            }
            Ok((first_index, last_index))
        }
        _ => Err(format!(
            "the fragment {part:?} violates the requirement that an index interval can have at most two parts separated \
             by '-'"
        )),
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
