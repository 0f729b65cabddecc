//! StatefulSets, DaemonSets, and the revisions in which their templates are kept.

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::model::{ClaimTemplate, IntOrPercent, Meta, PodTemplate, Selector};
use crate::time::Span;

/// A StatefulSet.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct StatefulSet {
    /// Names and labels.
    pub meta: Meta,
    /// How many pods are wanted.
    pub replicas: u32,
    /// The ordinal of the first pod (`ordinals.start`); `None` where nothing was said, which is 0.
    pub start_ordinal: Option<u32>,
    /// How long a pod must be ready to count as available.
    pub min_ready: Span,
    /// Which pods are its own.
    pub selector: Selector,
    /// What its pods are made from.
    pub template: PodTemplate,
    /// The Service that gives the pods their names in the network; empty is none.
    pub service_name: Name,
    /// Whether pods come and go one by one.
    pub management: PodManagement,
    /// How pods are replaced.
    pub strategy: StatefulSetStrategy,
    /// How many revisions without pods are kept; `None` keeps all.
    pub revision_history_limit: Option<u32>,
    /// The volumes that each pod has of its own.
    pub claim_templates: Vec<ClaimTemplate>,
    /// What becomes of the pods' claims.
    pub claim_retention: ClaimRetention,
    /// What the controller last counted.
    pub status: StatefulSetStatus,
}

/// Whether a StatefulSet's pods come and go one by one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum PodManagement {
    /// Each waits until the one before is ready, and each goes only when the one after is gone.
    #[default]
    OrderedReady,
    /// All at once. Updates still go pod by pod.
    Parallel,
}

/// How a StatefulSet replaces its pods.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum StatefulSetStrategy {
    /// From the highest ordinal down, one by one.
    RollingUpdate {
        /// Pods before this place keep the current revision; `None` where `rollingUpdate` was not given at all.
        partition: Option<u32>,
    },
    /// When somebody deletes them.
    OnDelete,
}

impl Default for StatefulSetStrategy {
    fn default() -> Self {
        StatefulSetStrategy::RollingUpdate { partition: Some(0) }
    }
}

/// What becomes of the claims of a StatefulSet's pods.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ClaimRetention {
    /// Whether they go with the StatefulSet (`whenDeleted: Delete`).
    pub deleted_with_set: bool,
    /// Whether they go with a pod that is scaled away (`whenScaled: Delete`).
    pub deleted_with_pod: bool,
}

/// What the StatefulSet controller last counted.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct StatefulSetStatus {
    /// Pods, whatever their state.
    pub replicas: u32,
    /// Running and ready pods.
    pub ready: u32,
    /// Pods of the current revision that are not being deleted.
    pub current: u32,
    /// Pods of the update revision that are not being deleted.
    pub updated: u32,
    /// Ready pods that have been so for `min_ready`.
    pub available: u32,
    /// The generation that the counts belong to.
    pub observed_generation: u32,
    /// The revision that pods had before the rollout; empty until the first sync.
    pub current_revision: Name,
    /// The revision of the newest template; empty until the first sync.
    pub update_revision: Name,
    /// How often a new revision's hash collided with another's; `None` until the first sync.
    pub collision_count: Option<u32>,
}

/// A DaemonSet.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct DaemonSet {
    /// Names and labels.
    pub meta: Meta,
    /// How long a pod must be ready to count as available.
    pub min_ready: Span,
    /// Which pods are its own.
    pub selector: Selector,
    /// What its pods are made from.
    pub template: PodTemplate,
    /// Counts changes of the template; the API server sets it.
    pub template_generation: u64,
    /// How pods are replaced.
    pub strategy: DaemonSetStrategy,
    /// How many revisions without pods are kept.
    pub revision_history_limit: u32,
    /// What the controller last counted.
    pub status: DaemonSetStatus,
}

/// How a DaemonSet replaces its pods.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum DaemonSetStrategy {
    /// Node by node; of the two numbers one is zero.
    RollingUpdate {
        /// On how many nodes a second pod may run meanwhile; shares are rounded up.
        max_surge: IntOrPercent,
        /// On how many nodes there may be no available pod; shares are rounded up.
        max_unavailable: IntOrPercent,
    },
    /// When somebody deletes them.
    OnDelete,
}

impl Default for DaemonSetStrategy {
    fn default() -> Self {
        DaemonSetStrategy::RollingUpdate { max_surge: IntOrPercent::Int(0), max_unavailable: IntOrPercent::Int(1) }
    }
}

/// What the DaemonSet controller last counted, in nodes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct DaemonSetStatus {
    /// Nodes that should run a pod and have one.
    pub current: u32,
    /// Nodes that should not run a pod and have one.
    pub misscheduled: u32,
    /// Nodes that should run a pod.
    pub desired: u32,
    /// Of those, nodes whose pod is ready.
    pub ready: u32,
    /// Of those, nodes whose pod is of the newest template.
    pub updated: u32,
    /// Of those, nodes whose pod has been ready for `min_ready`.
    pub available: u32,
    /// Nodes that should run a pod and have no available one.
    pub unavailable: u32,
    /// The generation that the counts belong to.
    pub observed_generation: u32,
    /// How often a new revision's hash collided with another's; `None` if it never did.
    pub collision_count: Option<u32>,
}

/// A template as it was at one time: what a rollout can be undone to.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ControllerRevision {
    /// Names, labels, owner.
    pub meta: Meta,
    /// Which rollout it belongs to, counted from 1; a rollback raises it.
    pub revision: u64,
    /// The template; immutable.
    pub template: PodTemplate,
}
