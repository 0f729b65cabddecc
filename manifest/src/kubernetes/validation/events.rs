//! Checks of Kubernetes Events that clients write, in their first version.
//!
//! Source: `legacyValidateEvent`, pkg/apis/core/validation/events.go; `BeforeCreate`,
//! staging/src/k8s.io/apiserver/pkg/registry/rest/create.go (v1.34.1).

use k8s_openapi::api::core::v1::Event;

use super::report::{At, Report};
use super::{metadata, names};

/// How long the name of who reports, its action and its reason may be, in bytes.
const WORD_MAX: usize = 128;
/// How long the message may be, in bytes.
const NOTE_MAX: usize = 1_024;

/// Checks a new Event. What the API server says of its metadata it says only if there is nothing else to say.
pub(super) fn event(report: &mut Report, object: &Event) {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let of_object = object.involved_object.namespace.as_deref().unwrap_or_default();
    let mismatch = |report: &mut Report| {
        let at = At::root("involvedObject").child("namespace");
        report.invalid(&at, &of_object, "does not match event.namespace");
    };
    if object.event_time.is_none() {
        // What is about no namespace lies in the default one.
        if namespace != of_object && !(of_object.is_empty() && ["", "default"].contains(&namespace)) {
            mismatch(report);
        }
    } else {
        if of_object.is_empty() && !["default", "kube-system"].contains(&namespace) {
            mismatch(report);
        }
        newer(report, object);
    }
    report.invalid_each(&At::root("namespace"), &namespace, names::dns_subdomain(namespace));
    if report.causes.is_empty() {
        metadata::check_common(report, &object.metadata);
    }
}

/// What only Events with a time of their own must have.
fn newer(report: &mut Report, object: &Event) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let reporter = text(&object.reporting_component);
    let at = At::root("reportingComponent");
    if reporter.is_empty() {
        report.required(&at, "");
    }
    report.invalid_each(&at, &reporter, names::qualified_name(&reporter));
    let words = [
        ("reportingInstance", text(&object.reporting_instance)),
        ("action", text(&object.action)),
        ("reason", text(&object.reason)),
    ];
    for (field, word) in words {
        if word.is_empty() {
            report.required(&At::root(field), "");
        }
        at_most(report, field, &word, WORD_MAX);
    }
    at_most(report, "message", &text(&object.message), NOTE_MAX);
}

fn at_most(report: &mut Report, field: &str, text: &str, max: usize) {
    if text.len() > max {
        report.invalid(&At::root(field), &"", &format!("can have at most {max} characters"));
    }
}
