//! ResourceQuotas, LimitRanges and PriorityClasses: from k8s-openapi's types to the core's.

mod show;
#[cfg(test)]
mod tests;

pub(super) use show::{show_class, show_container_amounts, show_quota, show_range};

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as api;
use k8s_openapi::api::scheduling::v1::PriorityClass as ApiPriorityClass;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as QuantityText;
use wavetank_core::model::{
    Amounts, LimitRange, LimitRangeItem, LimitType, Meta, PriorityClass, QuotaScope, ResourceQuota,
    ResourceQuotaStatus, ScopeRequirement, SelectorOperator,
};

use super::parts::name;

fn amounts(list: Option<&BTreeMap<String, QuantityText>>) -> Amounts {
    let read = |text: &QuantityText| text.0.parse().expect("quantities are checked while reading");
    list.into_iter().flatten().map(|(resource, text)| (name(resource), read(text))).collect()
}

pub(super) fn quota(meta: Meta, object: &api::ResourceQuota) -> ResourceQuota {
    let spec = object.spec.clone().unwrap_or_default();
    let scope = |text: &str| {
        let found = QuotaScope::ALL.into_iter().find(|scope| scope.name() == text);
        found.expect("other scopes are refused by validation")
    };
    let plain = spec.scopes.iter().flatten().map(|text| ScopeRequirement::exists(scope(text)));
    let selector = spec.scope_selector.iter().flat_map(|it| it.match_expressions.iter().flatten());
    let required = selector.map(|it| ScopeRequirement {
        scope: scope(&it.scope_name),
        operator: match it.operator.as_str() {
            "In" => SelectorOperator::In,
            "NotIn" => SelectorOperator::NotIn,
            "DoesNotExist" => SelectorOperator::DoesNotExist,
            _ => SelectorOperator::Exists,
        },
        values: it.values.iter().flatten().map(|value| name(value)).collect(),
    });
    let scopes = plain.chain(required).collect();
    ResourceQuota { meta, hard: amounts(spec.hard.as_ref()), scopes, status: ResourceQuotaStatus::default() }
}

pub(super) fn range(meta: Meta, object: &api::LimitRange) -> LimitRange {
    let item = |item: &api::LimitRangeItem| LimitRangeItem {
        limit_type: match item.type_.as_str() {
            "Container" => LimitType::Container,
            "Pod" => LimitType::Pod,
            "PersistentVolumeClaim" => LimitType::PersistentVolumeClaim,
            other => LimitType::Other(name(other)),
        },
        min: amounts(item.min.as_ref()),
        max: amounts(item.max.as_ref()),
        default_limits: amounts(item.default.as_ref()),
        default_requests: amounts(item.default_request.as_ref()),
        max_ratio: amounts(item.max_limit_request_ratio.as_ref()),
    };
    let limits = object.spec.iter().flat_map(|spec| &spec.limits).map(item).collect();
    LimitRange { meta, limits }
}

pub(super) fn class(meta: Meta, object: &ApiPriorityClass) -> PriorityClass {
    PriorityClass {
        meta,
        value: object.value,
        global_default: object.global_default.unwrap_or(false),
        never_preempts: object.preemption_policy.as_deref() == Some("Never"),
    }
}
