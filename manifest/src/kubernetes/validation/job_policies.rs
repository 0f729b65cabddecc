//! Checks of what a Job makes of pods that fail and succeed.
//!
//! Source: `validatePodFailurePolicy`, `validateSuccessPolicy`, pkg/apis/batch/validation/validation.go (v1.34.1).

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::{
    JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule, SuccessPolicy, SuccessPolicyRule,
};

use super::metadata;
use super::report::{AsJson, At, Report};

const RULES_MAX: usize = 20;
const EXIT_CODES_MAX: usize = 255;
const CONDITIONS_MAX: usize = 20;
const INDEXES_TEXT_MAX: usize = 64 * 1024;
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];

/// `["A" "B"]`, as Go prints a list of names.
fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    format!("[{}]", names.join(" "))
}

/// Checks what a Job makes of failed pods.
pub(super) fn failure_policy(report: &mut Report, at: &At, spec: &JobSpec, policy: &PodFailurePolicy) {
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

/// Checks when a Job succeeds before its time.
pub(super) fn success_policy(report: &mut Report, at: &At, completions: i32, policy: &SuccessPolicy) {
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
            "the fragment {part:?} violates the requirement that an index interval can have at most two parts \
             separated by '-'"
        )),
    }
}
