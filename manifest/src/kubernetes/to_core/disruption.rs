//! PodDisruptionBudgets.

use k8s_openapi::api::policy::v1 as api;
use wavetank_core::model::{DisruptionLimit, Meta, PodDisruptionBudget, UnhealthyPodEviction};

use super::int_or_percent;
use crate::kubernetes::parts::selector;

pub(super) fn budget(meta: Meta, object: &api::PodDisruptionBudget) -> PodDisruptionBudget {
    let Some(spec) = &object.spec else { return PodDisruptionBudget { meta, ..PodDisruptionBudget::default() } };
    let limit = match (&spec.min_available, &spec.max_unavailable) {
        (Some(least), _) => DisruptionLimit::MinAvailable(int_or_percent(least)),
        (None, Some(most)) => DisruptionLimit::MaxUnavailable(int_or_percent(most)),
        (None, None) => DisruptionLimit::None,
    };
    let unhealthy_pods = match spec.unhealthy_pod_eviction_policy.as_deref() {
        Some("AlwaysAllow") => UnhealthyPodEviction::AlwaysAllow,
        _ => UnhealthyPodEviction::IfHealthyBudget,
    };
    let selector = spec.selector.as_ref().map(selector);
    PodDisruptionBudget { meta, selector, limit, unhealthy_pods, ..PodDisruptionBudget::default() }
}
