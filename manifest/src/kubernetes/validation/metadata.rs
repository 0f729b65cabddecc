//! Checks of `metadata`: names, labels, annotations.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::names::{self, Check};
use super::report::{At, Report};

/// Bytes that all annotations of an object may have together.
const ANNOTATION_BYTES_MAX: usize = 256 * 1024;

/// Checks an object's metadata; `name_check` is the kind's rule for names. A missing namespace is no fault: the
/// request's path gives it.
pub(super) fn check(report: &mut Report, metadata: &ObjectMeta, name_check: Check) {
    let at = At::root("metadata");
    let prefix = metadata.generate_name.as_deref().unwrap_or("");
    let name = metadata.name.as_deref().unwrap_or("");
    if !prefix.is_empty() {
        let faults = name_check(&names::without_trailing_dash(prefix));
        report.invalid_each(&at.child("generateName"), &prefix, faults);
    }
    if name.is_empty() && prefix.is_empty() {
        report.required(&at.child("name"), "name or generateName is required");
    } else if !name.is_empty() {
        report.invalid_each(&at.child("name"), &name, name_check(name));
    }
    if let Some(namespace) = metadata.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
        report.invalid_each(&at.child("namespace"), &namespace, names::dns_label(namespace));
    }
    report.not_negative(&at.child("generation"), metadata.generation.unwrap_or(0));
    labels(report, &at.child("labels"), metadata.labels.as_ref());
    annotations(report, &at.child("annotations"), metadata.annotations.as_ref());
}

/// Checks a map of labels, which can also be a node selector or a Service's selector.
pub(super) fn labels(report: &mut Report, at: &At, labels: Option<&BTreeMap<String, String>>) {
    for (key, value) in labels.into_iter().flatten() {
        label_name(report, at, key);
        report.invalid_each(at, value, names::label_value(value));
    }
}

/// Checks a label's key.
pub(crate) fn label_name(report: &mut Report, at: &At, key: &str) {
    report.invalid_each(at, &key, names::qualified_name(key));
}

/// Checks a map of annotations.
pub(super) fn annotations(report: &mut Report, at: &At, annotations: Option<&BTreeMap<String, String>>) {
    let Some(annotations) = annotations else { return };
    for key in annotations.keys() {
        report.invalid_each(at, key, names::qualified_name(&key.to_lowercase()));
    }
    let bytes: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > ANNOTATION_BYTES_MAX {
        report.too_long(at, ANNOTATION_BYTES_MAX);
    }
}
