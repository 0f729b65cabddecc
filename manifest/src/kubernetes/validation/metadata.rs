//! Checks of `metadata`: names, labels, annotations, owners, finalizers.
//!
//! Source: `ValidateObjectMetaAccessor`, `ValidateObjectMetaAccessorUpdate`,
//! staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go; `ValidateObjectMeta`,
//! pkg/apis/core/validation/validation.go (v1.34.1). Absent on purpose: managed fields.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde::Serialize;

use super::names::{self, Check};
use super::report::{AsJson, At, Report};

/// Bytes that all annotations of an object may have together.
const ANNOTATION_BYTES_MAX: usize = 256 * 1024;

/// Checks what the API server checks of every object's metadata, whatever its kind: most kinds have a stricter rule for
/// names.
pub(super) fn check_common(report: &mut Report, metadata: &ObjectMeta) {
    generic(report, metadata, names::path_segment);
}

/// Checks an object's metadata; `name_check` is the kind's rule for names. A missing namespace is no fault: the
/// request's path gives it.
pub(super) fn check(report: &mut Report, metadata: &ObjectMeta, name_check: Check) {
    generic(report, metadata, name_check);
    // Kinds of Kubernetes itself also have a rule for the names of old finalizers.
    for (index, finalizer) in metadata.finalizers.iter().flatten().enumerate() {
        known_finalizer(report, &At::root("metadata").child("finalizers").index(index), finalizer);
    }
}

/// Checks the metadata of a kind that has no rule for the names of old finalizers.
pub(super) fn check_plain(report: &mut Report, metadata: &ObjectMeta, name_check: Check) {
    generic(report, metadata, name_check);
}

fn generic(report: &mut Report, metadata: &ObjectMeta, name_check: Check) {
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
    owners(report, &at.child("ownerReferences"), metadata.owner_references.as_deref().unwrap_or_default());
    finalizers(report, &at.child("finalizers"), metadata.finalizers.as_deref().unwrap_or_default());
}

fn owners(report: &mut Report, at: &At, owners: &[OwnerReference]) {
    let mut controller: Option<String> = None;
    for owner in owners {
        let version = owner.api_version.rsplit('/').next().unwrap_or_default();
        if version.is_empty() || owner.api_version.matches('/').count() > 1 {
            report.invalid(&at.child("apiVersion"), &owner.api_version, "version must not be empty");
        }
        for (field, value) in [("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)] {
            if value.is_empty() {
                report.invalid(&at.child(field), value, "must not be empty");
            }
        }
        if owner.api_version == "v1" && owner.kind == "Event" {
            let detail = "/v1, Kind=Event is disallowed from being an owner";
            report.invalid(at, &AsJson(&ShownOwner::of(owner)), detail);
        }
        if owner.controller == Some(true) {
            let name = format!("{}/{}", owner.kind, owner.name);
            match &controller {
                Some(first) => {
                    let shown: Vec<ShownOwner<'_>> = owners.iter().map(ShownOwner::of).collect();
                    let detail = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} \
                         and {name}"
                    );
                    report.invalid(at, &AsJson(&shown), &detail);
                }
                None => controller = Some(name),
            }
        }
    }
}

/// An owner as the API server shows it: its fields in the order of its type.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownOwner<'a> {
    api_version: &'a str,
    kind: &'a str,
    name: &'a str,
    uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    controller: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_owner_deletion: Option<bool>,
}

impl ShownOwner<'_> {
    fn of(owner: &OwnerReference) -> ShownOwner<'_> {
        ShownOwner {
            api_version: &owner.api_version,
            kind: &owner.kind,
            name: &owner.name,
            uid: &owner.uid,
            controller: owner.controller,
            block_owner_deletion: owner.block_owner_deletion,
        }
    }
}

fn finalizers(report: &mut Report, at: &At, finalizers: &[String]) {
    for finalizer in finalizers {
        report.invalid_each(at, finalizer, names::qualified_name(finalizer));
    }
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        report.invalid(at, &AsJson(&finalizers), detail);
    }
}

/// Checks that a finalizer without a domain is one of Kubernetes' own.
pub(super) fn known_finalizer(report: &mut Report, at: &At, finalizer: &str) {
    if !finalizer.contains('/') && !["kubernetes", "orphan", "foregroundDeletion"].contains(&finalizer) {
        let detail = "name is neither a standard finalizer name nor is it fully qualified";
        report.invalid(at, &finalizer, detail);
    }
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
