//! StatefulSets and DaemonSets.

use k8s_openapi::api::apps::v1 as api;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use wavetank_core::id::Name;
use wavetank_core::model::{
    ClaimRetention, ClaimTemplate, DaemonSet, DaemonSetStrategy, IntOrPercent, Meta, PodManagement, StatefulSet,
    StatefulSetStrategy,
};

use super::{count, int_or_percent, min_ready, template};
use crate::kubernetes::kept::kept;
use crate::kubernetes::parts::{labels, optional, selector};
use crate::kubernetes::storage::claim_spec;

pub(super) fn stateful_set(meta: Meta, object: &api::StatefulSet) -> StatefulSet {
    let spec = object.spec.as_ref().expect("a StatefulSet without a spec is refused by validation");
    let strategy = spec.update_strategy.as_ref();
    let partition = strategy.and_then(|it| it.rolling_update.as_ref()).map(|it| count(it.partition, 0));
    let retention = spec.persistent_volume_claim_retention_policy.as_ref();
    let deletes = |policy: Option<&String>| policy.is_some_and(|policy| policy == "Delete");
    StatefulSet {
        meta,
        replicas: count(spec.replicas, 1),
        start_ordinal: spec.ordinals.as_ref().map(|ordinals| count(ordinals.start, 0)),
        min_ready: min_ready(spec.min_ready_seconds),
        selector: selector(&spec.selector),
        template: template(&spec.template),
        service_name: optional(spec.service_name.as_ref()),
        management: match spec.pod_management_policy.as_deref() {
            Some("Parallel") => PodManagement::Parallel,
            _ => PodManagement::OrderedReady,
        },
        strategy: match strategy.and_then(|it| it.type_.as_deref()) {
            Some("OnDelete") => StatefulSetStrategy::OnDelete,
            _ => StatefulSetStrategy::RollingUpdate { partition },
        },
        // A negative limit keeps every revision.
        revision_history_limit: u32::try_from(spec.revision_history_limit.unwrap_or(10)).ok(),
        claim_templates: spec.volume_claim_templates.iter().flatten().map(claim_template).collect(),
        claim_retention: ClaimRetention {
            deleted_with_set: deletes(retention.and_then(|it| it.when_deleted.as_ref())),
            deleted_with_pod: deletes(retention.and_then(|it| it.when_scaled.as_ref())),
        },
        ..StatefulSet::default()
    }
}

fn claim_template(claim: &PersistentVolumeClaim) -> ClaimTemplate {
    let spec = claim.spec.as_ref().expect("a claim without a spec is refused by validation");
    let original: Name = kept(serde_json::json!({ "spec": spec })).to_string().into();
    ClaimTemplate {
        name: optional(claim.metadata.name.as_ref()),
        labels: labels(claim.metadata.labels.as_ref()),
        annotations: labels(claim.metadata.annotations.as_ref()),
        spec: claim_spec(spec),
        original: Some(original),
    }
}

pub(super) fn daemon_set(meta: Meta, object: &api::DaemonSet) -> DaemonSet {
    let spec = object.spec.as_ref().expect("a DaemonSet without a spec is refused by validation");
    let strategy = spec.update_strategy.as_ref();
    let rolling = strategy.and_then(|it| it.rolling_update.as_ref());
    let strategy = match strategy.and_then(|it| it.type_.as_deref()) {
        Some("OnDelete") => DaemonSetStrategy::OnDelete,
        _ => DaemonSetStrategy::RollingUpdate {
            max_surge: rolling.and_then(|it| it.max_surge.as_ref()).map_or(IntOrPercent::Int(0), int_or_percent),
            max_unavailable: rolling
                .and_then(|it| it.max_unavailable.as_ref())
                .map_or(IntOrPercent::Int(1), int_or_percent),
        },
    };
    DaemonSet {
        meta,
        min_ready: min_ready(spec.min_ready_seconds),
        selector: selector(&spec.selector),
        template: template(&spec.template),
        strategy,
        revision_history_limit: count(spec.revision_history_limit, 10),
        ..DaemonSet::default()
    }
}
