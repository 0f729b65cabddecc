//! Defaults of StatefulSets and DaemonSets.
//!
//! Source: `SetDefaults_StatefulSet`, `SetDefaults_DaemonSet`, pkg/apis/apps/v1/defaults.go, and
//! `dropStatefulSetDisabledFields`, pkg/registry/apps/statefulset/strategy.go (v1.34): `maxUnavailable` is an alpha
//! gate.

use k8s_openapi::api::apps::v1::{
    DaemonSet, RollingUpdateDaemonSet, RollingUpdateStatefulSetStrategy, StatefulSet, StatefulSetUpdateStrategy,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{pod, storage, text};

/// A StatefulSet, the templates of its claims included.
pub(super) fn stateful_set(object: &mut StatefulSet) {
    let spec = object.spec.get_or_insert_default();
    text(&mut spec.pod_management_policy, "OrderedReady");
    stateful_strategy(spec.update_strategy.get_or_insert_default());
    let retention = spec.persistent_volume_claim_retention_policy.get_or_insert_default();
    text(&mut retention.when_deleted, "Retain");
    text(&mut retention.when_scaled, "Retain");
    spec.replicas.get_or_insert(1);
    spec.revision_history_limit.get_or_insert(10);
    pod::template(&mut spec.template);
    for claim in spec.volume_claim_templates.iter_mut().flatten() {
        storage::claim(claim);
    }
}

fn stateful_strategy(strategy: &mut StatefulSetUpdateStrategy) {
    if strategy.type_.as_deref().unwrap_or("").is_empty() {
        strategy.type_ = Some("RollingUpdate".to_owned());
        strategy.rolling_update.get_or_insert_default();
    }
    let rolls = strategy.type_.as_deref() == Some("RollingUpdate");
    if let Some(RollingUpdateStatefulSetStrategy { max_unavailable, partition }) = &mut strategy.rolling_update {
        *max_unavailable = None;
        if rolls {
            partition.get_or_insert(0);
        }
    }
}

/// A DaemonSet.
pub(super) fn daemon_set(object: &mut DaemonSet) {
    let spec = object.spec.get_or_insert_default();
    let strategy = spec.update_strategy.get_or_insert_default();
    text(&mut strategy.type_, "RollingUpdate");
    if strategy.type_.as_deref() == Some("RollingUpdate") {
        let RollingUpdateDaemonSet { max_surge, max_unavailable } = strategy.rolling_update.get_or_insert_default();
        max_unavailable.get_or_insert(IntOrString::Int(1));
        max_surge.get_or_insert(IntOrString::Int(0));
    }
    spec.revision_history_limit.get_or_insert(10);
    pod::template(&mut spec.template);
}
