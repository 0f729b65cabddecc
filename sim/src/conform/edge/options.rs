//! The options of a request: those of its query, and those of a deletion, which stand in its body.
//!
//! Source: `ValidateCreateOptions`, `ValidatePatchOptions`, `ValidateDeleteOptions`, `ValidateDryRun`,
//! staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go (v1.34.1).

use serde_json::Value;

use super::{Path, Status};

const MANAGER_MAX: usize = 128;

/// What is wrong with a request's options, which are of the kind `kind`.
pub(super) fn fault(path: &Path, kind: &str) -> Option<Status> {
    invalid(kind, &faults(path))
}

/// The same of a patch, which is an apply or is not.
pub(super) fn patch_fault(path: &Path, applies: bool) -> Option<Status> {
    let mut all = Vec::new();
    if applies && path.parameter("fieldManager").unwrap_or_default().is_empty() {
        all.push("fieldManager: Required value: is required for apply patch".to_owned());
    }
    if !applies && path.parameter("force").is_some() {
        all.push("force: Forbidden: may not be specified for non-apply patch".to_owned());
    }
    all.extend(faults(path));
    invalid("PatchOptions", &all)
}

fn faults(path: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    if path.parameter("fieldManager").is_some_and(|manager| manager.len() > MANAGER_MAX) {
        faults.push(format!("fieldManager: Too long: may not be more than {MANAGER_MAX} bytes"));
    }
    if let Some(wish) = path.parameter("dryRun").filter(|wish| !["", "All"].contains(&wish.as_str())) {
        faults.push(not_dry(&[wish.as_str()]));
    }
    let validation = path.parameter("fieldValidation");
    if let Some(wish) = validation.filter(|wish| !["", "Ignore", "Strict", "Warn"].contains(&wish.as_str())) {
        let supported = r#"supported values: "", "Ignore", "Strict", "Warn""#;
        faults.push(format!("fieldValidation: Unsupported value: {wish:?}: {supported}"));
    }
    faults
}

/// What is said to options of the kind `kind` with these faults; `None` if there are none.
fn invalid(kind: &str, faults: &[String]) -> Option<Status> {
    let said = match faults {
        [] => return None,
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    Some(Status::invalid(format!("{kind}.meta.k8s.io \"\" is invalid: {said}")))
}

fn not_dry(stages: &[&str]) -> String {
    let shown: Vec<String> = stages.iter().map(|stage| format!("{stage:?}")).collect();
    format!("dryRun: Unsupported value: [{}]: supported values: \"All\"", shown.join(","))
}

/// The options of a deletion: a body takes the place of the query, even one that says nothing.
pub(super) fn of_deletion(path: &Path, body: &Value) -> Deletion {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if body.is_null() {
        let flag = |name: &str| path.parameter(name).map(|text| text == "true" || text == "1");
        return Deletion {
            propagation: path.parameter("propagationPolicy"),
            orphans: flag("orphanDependents"),
            grace_secs: path.parameter("gracePeriodSeconds").and_then(|text| text.parse().ok()),
            stages: path.parameter("dryRun").into_iter().collect(),
        };
    }
    Deletion {
        propagation: text(&body["propagationPolicy"]),
        orphans: body["orphanDependents"].as_bool(),
        grace_secs: body["gracePeriodSeconds"].as_i64(),
        stages: body["dryRun"].as_array().into_iter().flatten().filter_map(text).collect(),
    }
}

/// What a deletion is asked to be like.
pub(super) struct Deletion {
    /// `propagationPolicy`.
    pub(super) propagation: Option<String>,
    /// `orphanDependents`, the older way to say it.
    pub(super) orphans: Option<bool>,
    /// `gracePeriodSeconds`; a negative one is a second.
    pub(super) grace_secs: Option<i64>,
    /// `dryRun`.
    stages: Vec<String>,
}

impl Deletion {
    /// What is wrong with them.
    pub(super) fn fault(&self) -> Option<Status> {
        let mut faults = Vec::new();
        if let Some(policy) = &self.propagation {
            if self.orphans.is_some() {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                faults.push(format!("propagationPolicy: Invalid value: {policy:?}: {why}"));
            }
            if !["Foreground", "Background", "Orphan"].contains(&policy.as_str()) {
                let supported = r#"supported values: "Foreground", "Background", "Orphan", "nil""#;
                faults.push(format!("propagationPolicy: Unsupported value: {policy:?}: {supported}"));
            }
        }
        let stages: Vec<&str> = self.stages.iter().map(String::as_str).collect();
        if stages.iter().any(|stage| *stage != "All") {
            faults.push(not_dry(&stages));
        }
        invalid("DeleteOptions", &faults)
    }
}

/// Whether a request asks for nothing to be stored. An eviction says so in the options of its deletion as well, which
/// the core looks at.
pub(super) fn is_dry(method: &str, path: &Path, body: &Value) -> bool {
    match method {
        "GET" => false,
        "DELETE" => !of_deletion(path, body).stages.is_empty(),
        _ => path.parameter("dryRun").is_some_and(|wish| !wish.is_empty()),
    }
}
