//! What the API server refuses of a Job's written status: only what the write changes is looked at, so that a status
//! that was wrong before does not hold up others.
//!
//! Source: `getStatusValidationOptions`, pkg/registry/batch/job/strategy.go; `validateJobStatus`,
//! `ValidateJobStatusUpdate`, pkg/apis/batch/validation/validation.go (v1.34.1).

use serde_json::{Value, json};

use super::report::{AsJson, At, Report};

/// A status, and what of it is asked often.
struct Status<'a>(&'a Value);

impl Status<'_> {
    fn has(&self, condition: &str) -> bool {
        let conditions = self.0["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().any(|it| it["type"] == condition && it["status"] == "True")
    }

    fn lacks(&self, condition: &str) -> bool {
        let conditions = self.0["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().any(|it| it["type"] == condition && it["status"] == "False")
    }

    fn count(&self, field: &str) -> i64 {
        self.0[field].as_i64().unwrap_or(0)
    }

    fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    fn is_finished(&self) -> bool {
        self.has("Complete") || self.has("Failed")
    }

    fn uncounted(&self, field: &str) -> Vec<&str> {
        let uids = self.0["uncountedTerminatedPods"][field].as_array();
        uids.into_iter().flatten().map(|uid| uid.as_str().unwrap_or_default()).collect()
    }
}

/// The spec of a Job, which stays in such a write.
struct Spec<'a>(&'a Value);

impl Spec<'_> {
    fn completions(&self) -> Option<i64> {
        self.0["completions"].as_i64()
    }

    fn is_indexed(&self) -> bool {
        self.0["completionMode"] == "Indexed"
    }

    fn is_suspended(&self) -> bool {
        self.0["suspend"] == true
    }
}

/// Checks the status of `new` against that of `old`; both are Jobs as JSON.
pub(super) fn check(report: &mut Report, new: &Value, old: &Value) {
    let (status, before, spec) = (Status(&new["status"]), Status(&old["status"]), Spec(&old["spec"]));
    let at = At::root("status");
    numbers(report, &at, &status);
    ends(report, &at, &status, &before, &spec);
    indexes(report, &at, &status, &before, &spec);
    let changed = |field: &str| status.0[field] != before.0[field];
    let ends = status.is_finished() != before.is_finished();
    let terminating = status.count("terminating");
    if (ends || changed("terminating")) && terminating > 0 && status.is_finished() {
        report.invalid(&at.child("terminating"), &terminating, "terminating>0 is invalid for finished job");
    }
    let ready = status.count("ready");
    let is_told = !new["status"]["ready"].is_null();
    if (changed("ready") || changed("active")) && is_told && ready > status.count("active") {
        report.invalid(&at.child("ready"), &ready, "cannot set more ready pods than active");
    }
    criteria(report, &at, &status, &spec);
    transitions(report, &at, &status, &before, &spec);
}

fn numbers(report: &mut Report, at: &At, status: &Status<'_>) {
    for field in ["active", "succeeded", "failed", "ready", "terminating"] {
        report.not_negative(&at.child(field), status.count(field));
    }
    let mut seen = Vec::new();
    for field in ["succeeded", "failed"] {
        for (index, uid) in status.uncounted(field).into_iter().enumerate() {
            let at = at.child("uncountedTerminatedPods").child(field).index(index);
            if uid.is_empty() {
                report.invalid(&at, &uid, "must not be empty");
            } else if seen.contains(&uid) {
                report.duplicate(&at, &uid, "");
            } else {
                seen.push(uid);
            }
        }
    }
}

/// What belongs to the end of a Job.
fn ends(report: &mut Report, at: &At, status: &Status<'_>, before: &Status<'_>, spec: &Spec<'_>) {
    let turned = |condition: &str| status.has(condition) != before.has(condition);
    let changed = |field: &str| status.0[field] != before.0[field];
    let (completes, ends) = (turned("Complete"), status.is_finished() != before.is_finished());
    let (conditions, completion) = (at.child("conditions"), at.child("completionTime"));
    let completed_at = &status.0["completionTime"];
    if (completes || turned("Failed")) && status.has("Complete") && status.has("Failed") {
        report.invalid_as_a_whole(&conditions, "cannot set Complete=True and Failed=true conditions");
    }
    if (completes || turned("FailureTarget")) && status.has("Complete") && status.has("FailureTarget") {
        report.invalid_as_a_whole(&conditions, "cannot set Complete=True and FailureTarget=true conditions");
    }
    if (completes || changed("completionTime")) && !completed_at.is_null() && !status.has("Complete") {
        let detail = "cannot set completionTime when there is no Complete=True condition";
        report.invalid(&completion, &AsJson(completed_at), detail);
    }
    if (completes || changed("completionTime")) && completed_at.is_null() && status.has("Complete") {
        report.required(&completion, "completionTime is required for Complete jobs");
    }
    let (starts, finishes) = (status.text("startTime"), status.text("completionTime"));
    // Times of one form are ordered as their texts are.
    let is_early = !starts.is_empty() && !finishes.is_empty() && finishes < starts;
    if (changed("startTime") || changed("completionTime")) && is_early {
        report.invalid(&completion, &AsJson(completed_at), "must be equal to or after `startTime`");
    }
    if (turned("Failed") || changed("failedIndexes")) && status.has("Failed") && !status.has("FailureTarget") {
        let detail = "cannot set Failed=True condition without the FailureTarget=true condition";
        report.invalid_as_a_whole(&conditions, detail);
    }
    if (completes || turned("SuccessCriteriaMet")) && status.has("Complete") && !status.has("SuccessCriteriaMet") {
        let detail = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition";
        report.invalid_as_a_whole(&conditions, detail);
    }
    let active = status.count("active");
    if (ends || changed("active")) && active > 0 && status.is_finished() {
        report.invalid(&at.child("active"), &active, "active>0 is invalid for finished job");
    }
    let never_runs = spec.is_suspended() && spec.completions() == Some(0);
    if (ends || changed("startTime")) && !never_runs && starts.is_empty() && status.is_finished() {
        report.required(&at.child("startTime"), "startTime is required for finished job");
    }
    let (succeeded, failed) = (status.uncounted("succeeded"), status.uncounted("failed"));
    let has_uncounted = !succeeded.is_empty() || !failed.is_empty();
    if (ends || changed("uncountedTerminatedPods")) && status.is_finished() && has_uncounted {
        // The value is shown under the names that it has inside the API server.
        let list = |uids: &[&str]| if uids.is_empty() { Value::Null } else { json!(uids) };
        let shown = json!({"Succeeded": list(&succeeded), "Failed": list(&failed)});
        report.invalid(&at.child("uncountedTerminatedPods"), &AsJson(&shown), "must be empty for finished job");
    }
}

fn indexes(report: &mut Report, at: &At, status: &Status<'_>, before: &Status<'_>, spec: &Spec<'_>) {
    let (completed, failed) = (status.text("completedIndexes"), status.0["failedIndexes"].as_str());
    let completed_changed = completed != before.text("completedIndexes");
    let failed_changed = failed != before.0["failedIndexes"].as_str();
    let per_index = !spec.0["backoffLimitPerIndex"].is_null();
    if let (true, Some(completions)) = (completed_changed, spec.completions())
        && let Err(why) = intervals(completed, completions)
    {
        let detail = format!("error parsing completedIndexes: {why}");
        report.invalid(&at.child("completedIndexes"), &completed, &detail);
    }
    if let (true, true, Some(failed), Some(completions)) = (failed_changed, per_index, failed, spec.completions())
        && let Err(why) = intervals(failed, completions)
    {
        report.invalid(&at.child("failedIndexes"), &failed, &format!("error parsing failedIndexes: {why}"));
    }
    if completed_changed && !completed.is_empty() && !spec.is_indexed() {
        let detail = "cannot set non-empty completedIndexes when non-indexed completion mode";
        report.invalid(&at.child("completedIndexes"), &completed, detail);
    }
    let Some(failed) = failed else { return };
    if failed_changed && !per_index {
        let detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
        report.invalid(&at.child("failedIndexes"), &failed, detail);
    }
    if let (true, Some(completions)) = (failed_changed || completed_changed, spec.completions())
        && let Some(index) = overlap(completed, failed, completions)
    {
        let detail = format!("failedIndexes and completedIndexes overlap at index: {index}");
        report.invalid(&at.child("failedIndexes"), &failed, &detail);
    }
}

/// What holds of the success criteria whatever was written.
fn criteria(report: &mut Report, at: &At, status: &Status<'_>, spec: &Spec<'_>) {
    let at = at.child("conditions");
    let is_met = status.has("SuccessCriteriaMet");
    if is_met && status.has("Failed") {
        report.invalid_as_a_whole(&at, "cannot set SuccessCriteriaMet=True and Failed=true conditions");
    }
    if is_met && status.has("FailureTarget") {
        report.invalid_as_a_whole(&at, "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
    }
    if !spec.0["successPolicy"].is_null() && !is_met && status.has("Complete") {
        let detail = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True";
        report.invalid_as_a_whole(&at, detail);
    }
}

/// What may not be taken back.
fn transitions(report: &mut Report, at: &At, status: &Status<'_>, before: &Status<'_>, spec: &Spec<'_>) {
    let conditions = at.child("conditions");
    for condition in ["Failed", "Complete", "FailureTarget"] {
        if before.has(condition) && !status.has(condition) {
            let detail = format!("cannot disable the terminal {condition}=True condition");
            report.invalid_as_a_whole(&conditions, &detail);
        }
    }
    let failed = status.count("failed");
    if failed < before.count("failed") {
        report.invalid(&at.child("failed"), &failed, "cannot decrease the failed counter");
    }
    // An Indexed Job can be made smaller by both of its numbers together.
    let may_shrink = spec.is_indexed() && spec.0["completions"] == spec.0["parallelism"];
    let succeeded = status.count("succeeded");
    if !may_shrink && succeeded < before.count("succeeded") {
        report.invalid(&at.child("succeeded"), &succeeded, "cannot decrease the succeeded counter");
    }
    let (completed, was_completed) = (&status.0["completionTime"], &before.0["completionTime"]);
    if !completed.is_null() && !was_completed.is_null() && completed != was_completed {
        report.invalid(&at.child("completionTime"), &AsJson(completed), "field is immutable");
    }
    let (started, was_started) = (&status.0["startTime"], &before.0["startTime"]);
    let resumes = before.has("Suspended") && status.lacks("Suspended");
    if !was_started.is_null() && started != was_started && !resumes && !spec.is_suspended() {
        report.required(&at.child("startTime"), "startTime cannot be removed for unsuspended job");
    }
    let (is_met, was_met) = (status.has("SuccessCriteriaMet"), before.has("SuccessCriteriaMet"));
    if was_met && !is_met {
        report.invalid_as_a_whole(&conditions, "cannot disable the SuccessCriteriaMet=True condition");
    }
    if before.has("Complete") && !was_met && is_met {
        let detail = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
        report.invalid_as_a_whole(&conditions, detail);
    }
}

/// Reads `1,3-5` with indexes below `completions`.
fn intervals(text: &str, completions: i64) -> Result<Vec<(i64, i64)>, String> {
    let mut intervals: Vec<(i64, i64)> = Vec::new();
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (first, last) = interval(part, completions)?;
        if let Some((_, before)) = intervals.last().filter(|(_, before)| *before >= first) {
            return Err(format!("non-increasing order, previous: {before}, current: {first}"));
        }
        intervals.push((first, last));
    }
    Ok(intervals)
}

fn interval(text: &str, completions: i64) -> Result<(i64, i64), String> {
    let limits: Vec<&str> = text.split('-').collect();
    if limits.len() > 2 {
        return Err(format!(
            "the fragment {text:?} violates the requirement that an index interval can have at most two parts \
             separated by '-'"
        ));
    }
    let index = |limit: &str| match limit.parse::<i64>() {
        Err(_) => Err(format!("cannot convert string to integer for index: {limit:?}")),
        Ok(index) if index >= completions => Err(format!("too large index: {limit:?}")),
        Ok(index) => Ok(index),
    };
    let first = index(limits[0])?;
    let Some(last) = limits.get(1) else { return Ok((first, first)) };
    let last = index(last)?;
    if first >= last {
        return Err(format!("non-increasing order, previous: {first}, current: {last}"));
    }
    Ok((first, last))
}

/// The first index that is in both lists; parts that cannot be read are passed over.
fn overlap(completed: &str, failed: &str, completions: i64) -> Option<i64> {
    let read = |text: &str| -> Vec<(i64, i64)> {
        text.split(',').filter(|_| !text.is_empty()).filter_map(|part| interval(part, completions).ok()).collect()
    };
    let (completed, failed) = (read(completed), read(failed));
    let (mut of_completed, mut of_failed) = (completed.iter().peekable(), failed.iter().peekable());
    while let (Some((first, last)), Some((failed_first, failed_last))) = (of_completed.peek(), of_failed.peek()) {
        if first <= failed_last && failed_first <= last {
            return Some(*first.max(failed_first));
        }
        if first <= failed_first { &mut of_completed } else { &mut of_failed }.next();
    }
    None
}
