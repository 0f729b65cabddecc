//! Label selectors: their checks, and whether one matches.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::names;
use super::report::{At, Report};
use super::{metadata, scheduling};

/// Checks a selector's keys, operators and values.
pub(super) fn check(report: &mut Report, at: &At, selector: &LabelSelector) {
    metadata::labels(report, &at.child("matchLabels"), selector.match_labels.as_ref());
    for (index, requirement) in selector.match_expressions.iter().flatten().enumerate() {
        check_requirement(report, &at.child("matchExpressions").index(index), requirement);
    }
}

fn check_requirement(report: &mut Report, at: &At, requirement: &LabelSelectorRequirement) {
    let values = requirement.values.as_deref().unwrap_or_default();
    scheduling::operator(report, at, &requirement.operator, values, false);
    metadata::label_name(report, &at.child("key"), &requirement.key);
    for (index, value) in values.iter().enumerate() {
        report.invalid_each(&at.child("values").index(index), value, names::label_value(value));
    }
}

/// True if there is a selector, if only an empty one: reading makes an empty map of what is given and empty.
pub(super) fn is_given(selector: &LabelSelector) -> bool {
    selector.match_labels.is_some() || selector.match_expressions.is_some()
}

/// True if nothing is selected by name, so that everything matches.
pub(super) fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

/// True if the selector is well formed, so that it can be asked whether it matches.
pub(super) fn is_valid(selector: &LabelSelector) -> bool {
    let mut report = Report::default();
    check(&mut report, &At::root("selector"), selector);
    report.causes.is_empty()
}

/// Whether a valid selector matches these labels.
pub(super) fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    equal
        && selector.match_expressions.iter().flatten().all(|requirement| {
            let found = labels.get(&requirement.key);
            let listed = found.is_some_and(|value| requirement.values.iter().flatten().any(|one| one == value));
            match requirement.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => found.is_some(),
                _ => found.is_none(),
            }
        })
}
