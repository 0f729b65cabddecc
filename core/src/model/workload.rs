//! ReplicaSets, ReplicationControllers and Deployments.

use serde::{Deserialize, Serialize};

use crate::digest::Shared;
use crate::model::{Conditions, Labels, Meta, PodSpec, Selector};
use crate::time::Span;

/// What a controller makes pods from.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PodTemplate {
    /// Labels of the pods.
    pub labels: Labels,
    /// Annotations of the pods.
    pub annotations: Labels,
    /// The pods' spec, shared by all of them.
    pub spec: Shared<PodSpec>,
}

/// A ReplicaSet.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ReplicaSet {
    /// Names, labels, owner.
    pub meta: Meta,
    /// How many pods are wanted.
    pub replicas: u32,
    /// How long a pod must be ready to count as available.
    pub min_ready: Span,
    /// Which pods are its own.
    pub selector: Selector,
    /// What its pods are made from.
    pub template: PodTemplate,
    /// What the controller last counted.
    pub status: ReplicaSetStatus,
}

/// What the ReplicaSet controller last counted.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ReplicaSetStatus {
    /// Pods that are not being deleted and have not finished.
    pub replicas: u32,
    /// Of those, pods with all the template's labels.
    pub fully_labeled: u32,
    /// Of those, pods that are ready.
    pub ready: u32,
    /// Of those, pods that have been ready for `min_ready`.
    pub available: u32,
    /// The generation that the counts belong to.
    pub observed_generation: u32,
    /// ReplicaFailure.
    pub conditions: Conditions,
}

/// A ReplicationController: the older form of a ReplicaSet, with the same meaning.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ReplicationController {
    /// Names, labels, owner.
    pub meta: Meta,
    /// How many pods are wanted.
    pub replicas: u32,
    /// How long a pod must be ready to count as available.
    pub min_ready: Span,
    /// Which pods are its own; only pairs, no expressions.
    pub selector: Selector,
    /// What its pods are made from.
    pub template: PodTemplate,
    /// What the controller last counted.
    pub status: ReplicaSetStatus,
}

/// An absolute number or a share in percent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum IntOrPercent {
    /// An absolute number.
    Int(u32),
    /// A share in percent (0 ..= 100 and more).
    Percent(u32),
}

impl IntOrPercent {
    /// The absolute number of `total`, with shares rounded up.
    pub fn of_rounded_up(self, total: u32) -> u32 {
        match self {
            IntOrPercent::Int(count) => count,
            IntOrPercent::Percent(share) => (u64::from(total) * u64::from(share)).div_ceil(100) as u32,
        }
    }

    /// The absolute number of `total`, with shares rounded down.
    pub fn of_rounded_down(self, total: u32) -> u32 {
        match self {
            IntOrPercent::Int(count) => count,
            IntOrPercent::Percent(share) => (u64::from(total) * u64::from(share) / 100) as u32,
        }
    }
}

/// How a Deployment replaces its pods.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum DeploymentStrategy {
    /// All old pods go before the first new one comes.
    Recreate,
    /// Old pods go as new ones become available.
    RollingUpdate {
        /// How many pods more than wanted there may be; shares are rounded up.
        max_surge: IntOrPercent,
        /// How many of the wanted pods may be unavailable; shares are rounded down.
        max_unavailable: IntOrPercent,
    },
}

impl Default for DeploymentStrategy {
    fn default() -> Self {
        DeploymentStrategy::RollingUpdate {
            max_surge: IntOrPercent::Percent(25),
            max_unavailable: IntOrPercent::Percent(25),
        }
    }
}

/// A Deployment.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Deployment {
    /// Names and labels.
    pub meta: Meta,
    /// How many pods are wanted.
    pub replicas: u32,
    /// How long a pod must be ready to count as available.
    pub min_ready: Span,
    /// Which pods are its own.
    pub selector: Selector,
    /// What its pods are made from.
    pub template: PodTemplate,
    /// How pods are replaced.
    pub strategy: DeploymentStrategy,
    /// Whether rollouts are held.
    pub paused: bool,
    /// How many old ReplicaSets are kept.
    pub revision_history_limit: u32,
    /// How long a rollout may make no progress before it is said to have failed; `None` is for ever.
    pub progress_deadline: Option<Span>,
    /// What the controller last counted.
    pub status: DeploymentStatus,
}

/// What the Deployment controller last counted.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct DeploymentStatus {
    /// Pods of all ReplicaSets.
    pub replicas: u32,
    /// Pods of the newest template.
    pub updated: u32,
    /// Ready pods.
    pub ready: u32,
    /// Available pods.
    pub available: u32,
    /// Pods still missing for the wanted number to be available.
    pub unavailable: u32,
    /// The generation that the counts belong to.
    pub observed_generation: u32,
    /// How often a new ReplicaSet's hash collided with another's.
    pub collision_count: u32,
    /// Available, Progressing, ReplicaFailure.
    pub conditions: Conditions,
}
