//! Defaults of ResourceQuotas, LimitRanges and PriorityClasses.
//!
//! Source: `SetDefaults_LimitRangeItem`, pkg/apis/core/v1/defaults.go; `SetDefaults_PriorityClass`,
//! pkg/apis/scheduling/v1/defaults.go (v1.34).

use k8s_openapi::api::core::v1::{LimitRange, ResourceQuota};
use k8s_openapi::api::scheduling::v1::PriorityClass;

use super::quantities;

pub(super) fn quota(object: &mut ResourceQuota) {
    quantities(&mut object.spec.get_or_insert_default().hard);
}

/// A container's limit defaults to the most it may have, its request to its limit or else to the least.
pub(super) fn range(object: &mut LimitRange) {
    for item in object.spec.iter_mut().flat_map(|spec| &mut spec.limits) {
        let lists = [&mut item.max, &mut item.min, &mut item.default, &mut item.default_request];
        lists.into_iter().for_each(quantities);
        quantities(&mut item.max_limit_request_ratio);
        if item.type_ != "Container" {
            continue;
        }
        let limits = item.default.get_or_insert_default();
        for (name, most) in item.max.iter().flatten() {
            limits.entry(name.clone()).or_insert_with(|| most.clone());
        }
        let requests = item.default_request.get_or_insert_default();
        for (name, amount) in item.default.iter().flatten().chain(item.min.iter().flatten()) {
            requests.entry(name.clone()).or_insert_with(|| amount.clone());
        }
    }
}

pub(super) fn class(object: &mut PriorityClass) {
    object.preemption_policy.get_or_insert_with(|| "PreemptLowerPriority".to_owned());
}
