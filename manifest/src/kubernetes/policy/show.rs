//! ResourceQuotas, LimitRanges and PriorityClasses as `kubectl get -o json` shows them.

use serde_json::{Map, Value};
use wavetank_core::model::{Amounts, LimitRange, LimitRangeItem, LimitType, PodSpec, PriorityClass, ResourceQuota};

use crate::kubernetes::to_json::{entry, set};

type Root = Map<String, Value>;

/// Amounts by resource.
pub(in crate::kubernetes) fn amounts(amounts: &Amounts) -> Value {
    amounts.iter().map(|(name, amount)| (name.to_string(), Value::from(amount.to_string()))).collect::<Root>().into()
}

pub(in crate::kubernetes) fn show_quota(root: &mut Root, quota: &ResourceQuota) {
    let spec = entry(root, "spec");
    if !quota.hard.is_empty() {
        set(spec, "hard", amounts(&quota.hard));
    }
    let status = entry(root, "status");
    status.clear();
    for (key, list) in [("hard", &quota.status.hard), ("used", &quota.status.used)] {
        if !list.is_empty() {
            set(status, key, amounts(list));
        }
    }
}

pub(in crate::kubernetes) fn show_range(root: &mut Root, range: &LimitRange) {
    let item = |item: &LimitRangeItem| {
        let mut map = Root::new();
        let limit_type = match &item.limit_type {
            LimitType::Container => "Container",
            LimitType::Pod => "Pod",
            LimitType::PersistentVolumeClaim => "PersistentVolumeClaim",
            LimitType::Other(name) => name,
        };
        set(&mut map, "type", limit_type);
        for (key, list) in [
            ("max", &item.max),
            ("min", &item.min),
            ("default", &item.default_limits),
            ("defaultRequest", &item.default_requests),
            ("maxLimitRequestRatio", &item.max_ratio),
        ] {
            if !list.is_empty() {
                set(&mut map, key, amounts(list));
            }
        }
        Value::Object(map)
    };
    set(entry(root, "spec"), "limits", range.limits.iter().map(item).collect::<Vec<_>>());
}

pub(in crate::kubernetes) fn show_class(root: &mut Root, class: &PriorityClass) {
    set(root, "value", class.value);
    if class.global_default {
        set(root, "globalDefault", true);
    } else {
        root.remove("globalDefault");
    }
    set(root, "preemptionPolicy", if class.never_preempts { "Never" } else { "PreemptLowerPriority" });
}

/// Adds to a pod's containers the requests and limits that a LimitRange gave them; what was written stays as it is.
pub(in crate::kubernetes) fn show_container_amounts(root: &mut Root, spec: &PodSpec) {
    for (key, containers) in [("containers", &spec.containers), ("initContainers", &spec.init_containers)] {
        let shown = root.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten();
        for (map, container) in shown.filter_map(Value::as_object_mut).zip(containers) {
            let resources = entry(map, "resources");
            for (part, list) in [("requests", &container.requests), ("limits", &container.limits)] {
                for (name, amount) in list.quantities() {
                    let written = entry(resources, part);
                    written.entry(name.to_string()).or_insert_with(|| amount.to_string().into());
                }
            }
        }
    }
}
