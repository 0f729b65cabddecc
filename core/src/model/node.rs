//! Nodes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::model::{ConditionKind, Conditions, Meta, Resources};
use crate::time::Time;

/// A node as the API server knows it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Node {
    /// Names and labels; the zone is the label `topology.kubernetes.io/zone`.
    pub meta: Meta,
    /// What operators and controllers decide.
    pub spec: NodeSpec,
    /// What the kubelet reports.
    pub status: NodeStatus,
}

/// The decided part of a node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct NodeSpec {
    /// Cordoned: no new pods.
    pub unschedulable: bool,
    /// Taints, in the order in which they were added.
    pub taints: Vec<Taint>,
}

/// The reported part of a node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct NodeStatus {
    /// What the machine has.
    pub capacity: Resources,
    /// What pods may use of it.
    pub allocatable: Resources,
    /// Ready and the pressure conditions.
    pub conditions: Conditions,
    /// The machine's address.
    pub address: Option<Name>,
    /// The volumes that are attached to it and mounted on it; `None` is none of either.
    pub volumes: Option<Arc<NodeVolumes>>,
    /// Images that the machine has, as reported; `None` is none.
    pub images: Option<Arc<[NodeImage]>>,
}

/// The volumes of a node, each as `kubernetes.io/csi/<driver>^<handle>`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct NodeVolumes {
    /// Attached, as the attach/detach controller says (`volumesAttached`), sorted.
    pub attached: Vec<Name>,
    /// In use, as the kubelet says (`volumesInUse`), sorted.
    pub in_use: Vec<Name>,
}

/// An image on a node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct NodeImage {
    /// Names by which containers may ask for it, with tag or digest.
    pub names: Vec<Name>,
    /// Its size in bytes.
    pub size_bytes: i64,
}

/// A mark on a node that keeps pods away unless they tolerate it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Taint {
    /// The key.
    pub key: Name,
    /// The value; empty if there is none.
    pub value: Name,
    /// What it does to pods that do not tolerate it.
    pub effect: TaintEffect,
    /// When a controller added it (NoExecute taints of the node lifecycle only).
    pub added_at: Option<Time>,
}

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum TaintEffect {
    /// New pods are not scheduled here.
    NoSchedule,
    /// New pods are scheduled here last.
    PreferNoSchedule,
    /// New pods are not scheduled here and running ones are evicted.
    NoExecute,
}

impl Taint {
    /// Whether both have the same key and effect, which is what makes a taint unique on a node.
    pub fn same_mark(&self, other: &Taint) -> bool {
        self.key == other.key && self.effect == other.effect
    }
}

impl Node {
    /// The zone, or an empty name for a node without one.
    ///
    /// Source: `GetZoneKey`, staging/src/k8s.io/component-helpers/node/topology/helpers.go (v1.34.1), which joins
    /// region and zone; see [`Node::zone_key`] for that.
    pub fn zone(&self) -> Name {
        self.meta.labels.get("topology.kubernetes.io/zone").cloned().unwrap_or_default()
    }

    /// Region and zone, the unit in which the node lifecycle counts failures; empty if the node has neither.
    pub fn zone_key(&self) -> (Name, Name) {
        (self.meta.labels.get("topology.kubernetes.io/region").cloned().unwrap_or_default(), self.zone())
    }

    /// Whether the Ready condition is true.
    pub fn is_ready(&self) -> bool {
        self.status.conditions.is_true(ConditionKind::Ready)
    }
}
