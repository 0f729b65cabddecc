//! The options of a request: those of its query, and those of a deletion, which stand in its body.
//!
//! Source: `ValidateCreateOptions`, `ValidatePatchOptions`, `ValidateDeleteOptions`, `ValidateDryRun`,
//! staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go (v1.34.1).

use serde_json::Value;
use wavetank_core::model::{Kind, Selector};

use super::{Path, Status, bodies, resources, together};
use crate::conform::selectors;

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
    let manager = path.parameter("fieldManager").unwrap_or_default();
    for (at, letter) in manager.char_indices().filter(|(_, letter)| letter.is_control()) {
        let code = u32::from(letter);
        let why = format!("invalid character U+{code:04X} (at position {at})");
        faults.push(format!("fieldManager: Invalid value: {manager:?}: {why}"));
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
    let said = together(faults)?;
    Some(Status::invalid(format!("{kind}.meta.k8s.io \"\" is invalid: {said}")))
}

fn not_dry(stages: &[&str]) -> String {
    let shown: Vec<String> = stages.iter().map(|stage| format!("{stage:?}")).collect();
    format!("dryRun: Unsupported value: [{}]: supported values: \"All\"", shown.join(","))
}

/// What is said to options of a deletion that cannot be read. Those of the query are not looked at beside a body.
///
/// Source: `DeleteResource`, staging/src/k8s.io/apiserver/pkg/endpoints/handlers/delete.go (v1.34.1).
pub(super) fn unreadable_deletion(path: &Path, body: &Value) -> Option<Status> {
    if body.is_null() {
        return wrong_number(path, "gracePeriodSeconds");
    }
    if let Some(why) = bodies::header_fault(body) {
        return Some(Status::internal(why));
    }
    let kind = body["kind"].as_str().unwrap_or_default();
    if !["", "DeleteOptions"].contains(&kind) {
        let version = body["apiVersion"].as_str().filter(|text| !text.is_empty()).unwrap_or("meta.k8s.io/v1");
        return Some(Status::internal(format!(
            "no kind {kind:?} is registered for version {version:?} in scheme \
             \"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27\""
        )));
    }
    let fault = |found: &Value, field: &str, go_type: &str| {
        let found = bodies::go_type(found);
        Some(Status::internal(format!("json: cannot unmarshal {found} into Go struct field {field} of type {go_type}")))
    };
    let is_text = |value: &Value| value.is_string() || value.is_null();
    // In the order in which clients write them, which is that of the alphabet where nobody wishes for another.
    for (field, value) in body.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        let place = format!("DeleteOptions.{field}");
        match field.as_str() {
            "dryRun" => match value.as_array() {
                None => return fault(value, &place, "[]string"),
                Some(stages) => {
                    if let Some(stage) = stages.iter().find(|stage| !is_text(stage)) {
                        return fault(stage, &place, "string");
                    }
                }
            },
            "gracePeriodSeconds" if !value.is_i64() => return fault(value, &place, "int64"),
            "orphanDependents" if !value.is_boolean() => return fault(value, &place, "bool"),
            "propagationPolicy" if !value.is_string() => return fault(value, &place, "v1.DeletionPropagation"),
            "preconditions" if !value.is_object() => return fault(value, &place, "v1.Preconditions"),
            "preconditions" => {
                for (name, go_type) in [("resourceVersion", "string"), ("uid", "types.UID")] {
                    if !is_text(&value[name]) {
                        return fault(&value[name], &format!("Preconditions.preconditions.{name}"), go_type);
                    }
                }
            }
            _ => {}
        }
    }
    None
}

/// What is said to a parameter that is no number.
fn wrong_number(path: &Path, name: &str) -> Option<Status> {
    let text = path.parameter(name).filter(|text| text.parse::<i64>().is_err())?;
    Some(Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")))
}

/// The labels that the options of a list select, or what is said to these: numbers that are none, selectors that cannot
/// be read, and versions that do not go together.
///
/// Source: `ValidateListOptions`,
/// staging/src/k8s.io/apimachinery/pkg/apis/meta/internalversion/validation/validation.go (v1.34.1).
pub(super) fn of_list(kind: Kind, path: &Path) -> Result<Selector, Status> {
    if let Some(status) = ["timeoutSeconds", "limit"].into_iter().find_map(|name| wrong_number(path, name)) {
        return Err(status);
    }
    let labels = path.parameter("labelSelector").map(|text| selectors::parse(&text)).transpose();
    let labels = labels.map_err(Status::bad_request)?.unwrap_or_default();
    let fields = path.parameter("fieldSelector");
    let fault = fields.as_deref().and_then(resources::unreadable_fields);
    let fault = fault.or_else(|| invalid("ListOptions", &list_faults(path)));
    fault.or_else(|| fields.and_then(|text| resources::wrong_fields(kind, &text))).map_or(Ok(labels), Err)
}

fn list_faults(path: &Path) -> Vec<String> {
    let given = |name: &str| path.parameter(name).filter(|text| !text.is_empty());
    let says = |words: &str| format!("resourceVersionMatch: Forbidden: {words}");
    let (matches, version) = (given("resourceVersionMatch"), given("resourceVersion"));
    let mut faults = Vec::new();
    let watches = path.parameter("watch").is_some_and(|text| text != "0" && text != "false");
    let initial = path.parameter("sendInitialEvents").is_some();
    let wrong_match = |known: &[&str], supported: &str| {
        let wish = matches.as_deref().filter(|wish| !known.contains(wish))?;
        Some(format!("resourceVersionMatch: Unsupported value: {wish:?}: supported values: {supported}"))
    };
    if watches {
        if initial && matches.as_deref() != Some("NotOlderThan") {
            faults.push(says("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
        }
        if matches.is_some() {
            if !initial {
                faults.push(says("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
            }
            faults.extend(wrong_match(&["NotOlderThan"], r#""NotOlderThan""#));
            if given("continue").is_some() {
                faults.push(says("resourceVersionMatch is forbidden when continue is provided"));
            }
        }
    } else {
        if matches.is_some() {
            if version.is_none() {
                faults.push(says("resourceVersionMatch is forbidden unless resourceVersion is provided"));
            }
            if given("continue").is_some() {
                faults.push(says("resourceVersionMatch is forbidden when continue is provided"));
            }
            faults.extend(wrong_match(&["Exact", "NotOlderThan"], r#""Exact", "NotOlderThan", """#));
            if matches.as_deref() == Some("Exact") && version.as_deref() == Some("0") {
                faults.push(says(r#"resourceVersionMatch "exact" is forbidden for resourceVersion "0""#));
            }
        }
        if initial {
            faults.push("sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list".to_owned());
        }
    }
    faults
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
