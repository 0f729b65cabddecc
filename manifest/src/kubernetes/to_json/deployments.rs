//! Deployments, ReplicaSets and ReplicationControllers.

use serde_json::{Map, Value, json};
use wavetank_core::model::{Deployment, ReplicaSet, ReplicaSetStatus, ReplicationController};
use wavetank_core::time::Span;

use super::{
    Show, entry, selector, set, set_counts, set_labels, set_unless_empty, set_unless_zero, share, show_min_ready,
    show_template,
};

impl Show<'_> {
    pub(super) fn replica_set(&self, root: &mut Map<String, Value>, set_: &ReplicaSet) {
        let spec = entry(root, "spec");
        set_size(spec, set_.replicas, set_.min_ready);
        set(spec, "selector", selector(&set_.selector));
        show_template(entry(spec, "template"), &set_.template);
        self.replica_counts(entry(root, "status"), &set_.status);
    }

    pub(super) fn replication_controller(&self, root: &mut Map<String, Value>, controller: &ReplicationController) {
        let spec = entry(root, "spec");
        set_size(spec, controller.replicas, controller.min_ready);
        set_labels(spec, "selector", &controller.selector.match_labels);
        show_template(entry(spec, "template"), &controller.template);
        self.replica_counts(entry(root, "status"), &controller.status);
    }

    pub(super) fn replica_counts(&self, status: &mut Map<String, Value>, counts: &ReplicaSetStatus) {
        set(status, "replicas", counts.replicas);
        set_unless_zero(status, "observedGeneration", counts.observed_generation.into());
        set_counts(
            status,
            [
                ("fullyLabeledReplicas", counts.fully_labeled),
                ("readyReplicas", counts.ready),
                ("availableReplicas", counts.available),
            ],
        );
        set_unless_empty(status, "conditions", self.conditions(&counts.conditions));
    }

    pub(super) fn deployment(&self, root: &mut Map<String, Value>, deployment: &Deployment) {
        let spec = entry(root, "spec");
        set_size(spec, deployment.replicas, deployment.min_ready);
        set(spec, "selector", selector(&deployment.selector));
        show_template(entry(spec, "template"), &deployment.template);
        set(spec, "strategy", strategy(deployment));
        set(spec, "revisionHistoryLimit", deployment.revision_history_limit);
        let deadline = deployment.progress_deadline.map_or(i32::MAX as u64, |deadline| deadline.as_secs());
        set(spec, "progressDeadlineSeconds", deadline);
        if deployment.paused {
            set(spec, "paused", true);
        } else {
            spec.remove("paused");
        }
        let status = entry(root, "status");
        let counts = &deployment.status;
        set_unless_zero(status, "observedGeneration", counts.observed_generation.into());
        set_counts(
            status,
            [
                ("replicas", counts.replicas),
                ("updatedReplicas", counts.updated),
                ("readyReplicas", counts.ready),
                ("availableReplicas", counts.available),
                ("unavailableReplicas", counts.unavailable),
                ("collisionCount", counts.collision_count),
            ],
        );
        set_unless_empty(status, "conditions", self.conditions(&counts.conditions));
    }
}

/// How many pods are wanted, and for how long each must be ready to count.
fn set_size(spec: &mut Map<String, Value>, replicas: u32, min_ready: Span) {
    set(spec, "replicas", replicas);
    show_min_ready(spec, min_ready);
}

fn strategy(deployment: &Deployment) -> Value {
    use wavetank_core::model::DeploymentStrategy::{Recreate, RollingUpdate};
    match deployment.strategy {
        Recreate => json!({"type": "Recreate"}),
        RollingUpdate { max_surge, max_unavailable } => json!({
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": share(max_surge), "maxUnavailable": share(max_unavailable)},
        }),
    }
}
