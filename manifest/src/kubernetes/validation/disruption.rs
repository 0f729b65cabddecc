//! Checks of PodDisruptionBudgets.
//!
//! Source: `ValidatePodDisruptionBudgetSpec`, pkg/apis/policy/validation/validation.go (v1.34.1).

use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::report::{AsWritten, At, Report};
use super::{metadata, selector, shown, workload};

/// Checks a new PodDisruptionBudget.
pub(super) fn budget(report: &mut Report, object: &PodDisruptionBudget) {
    spec(report, object);
    // The kind has no rule for names, so metadata is looked at only when all else is in order.
    if report.causes.is_empty() {
        metadata::check_common(report, &object.metadata);
    }
}

/// Checks the spec of a PodDisruptionBudget.
pub(super) fn spec(report: &mut Report, object: &PodDisruptionBudget) {
    let (spec, at) = (object.spec.clone().unwrap_or_default(), At::root("spec"));
    if spec.min_available.is_some() && spec.max_unavailable.is_some() {
        report.invalid(&at, &AsWritten(&shown::budget(&spec)), "minAvailable and maxUnavailable cannot be both set");
    }
    for (field, value) in [("minAvailable", &spec.min_available), ("maxUnavailable", &spec.max_unavailable)] {
        if let Some(value) = value {
            workload::int_or_percent(report, &at.child(field), value);
            workload::at_most_all(report, &at.child(field), value);
        }
    }
    if let Some(labels) = &spec.selector {
        selector::check(report, &at.child("selector"), labels);
    }
    if let Some(policy) = spec.unhealthy_pod_eviction_policy.as_deref()
        && !["AlwaysAllow", "IfHealthyBudget"].contains(&policy)
    {
        let at = at.child("unhealthyPodEvictionPolicy");
        report.not_supported(&at, &policy, &["AlwaysAllow", "IfHealthyBudget"]);
    }
}
