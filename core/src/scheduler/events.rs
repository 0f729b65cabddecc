//! What can make an unschedulable pod schedulable again: cluster events and the plugins' hints on them.
//!
//! Source: pkg/scheduler/framework/events.go and eventhandlers.go (v1.34.1), with queueing hints on, the default.

use crate::id::Name;
use crate::model::{
    CSIDriver, CSINode, CSIStorageCapacity, Node, PersistentVolume, PersistentVolumeClaim, StorageClass,
    VolumeAttachment,
};
use crate::scheduler::plugins::Plugin;
use crate::scheduler::traits::PodTraits;

/// Something that happened in the cluster. Events that no plugin of the model waits for are not listed.
pub(super) enum Event<'a> {
    /// A node has appeared.
    NodeAdded(&'a Node),
    /// A node has changed in one respect.
    NodeChanged {
        /// Before.
        old: &'a Node,
        /// After.
        new: &'a Node,
        /// In which respect.
        what: NodeChange,
    },
    /// A node is gone.
    NodeGone(&'a Node),
    /// A pod has been bound to a node.
    PodPlaced(&'a PodTraits),
    /// A pod on a node has other labels.
    PlacedPodRelabelled {
        /// Before.
        old: &'a PodTraits,
        /// After.
        new: &'a PodTraits,
    },
    /// The waiting pod itself has other labels.
    Relabelled {
        /// Before.
        old: &'a PodTraits,
        /// After.
        new: &'a PodTraits,
    },
    /// A pod that counted on a node is gone, has finished, or could not be bound; or one that was nominated to a node
    /// is so no more.
    PlacedPodGone(&'a PodTraits),
    /// The waiting pod itself got other tolerations.
    TolerationsChanged,
    /// The waiting pod itself asks for less.
    RequestsLowered,
    /// A claim is new (`old` is `None`) or has changed.
    ClaimChanged {
        /// Before.
        old: Option<&'a PersistentVolumeClaim>,
        /// After.
        new: &'a PersistentVolumeClaim,
    },
    /// A volume is new or has changed.
    VolumeChanged {
        /// Before.
        old: Option<&'a PersistentVolume>,
        /// After.
        new: &'a PersistentVolume,
    },
    /// A class is new or has changed.
    ClassChanged {
        /// Before.
        old: Option<&'a StorageClass>,
        /// After.
        new: &'a StorageClass,
    },
    /// A node says something new of its CSI drivers.
    CsiNodeChanged {
        /// Before.
        old: Option<&'a CSINode>,
        /// After.
        new: &'a CSINode,
    },
    /// A CSI driver has changed.
    CsiDriverChanged {
        /// Before.
        old: &'a CSIDriver,
        /// After.
        new: &'a CSIDriver,
    },
    /// What a CSI driver can still make is new or has changed.
    CapacityChanged {
        /// Before.
        old: Option<&'a CSIStorageCapacity>,
        /// After.
        new: &'a CSIStorageCapacity,
    },
    /// A volume is no longer to be attached to a node.
    AttachmentGone(&'a VolumeAttachment),
}

impl Event<'_> {
    /// Whether the plugin's refusals are taken back without asking it: one that waits for new nodes and says nothing of
    /// taints is woken by every change of taints, too.
    ///
    /// Source: `buildQueueingHintMap`, pkg/scheduler/scheduler.go (v1.34.1).
    pub(super) fn wakes_unasked(&self, plugin: Plugin) -> bool {
        const FOR_NODES: [Plugin; 7] = [
            Plugin::NodeAffinity,
            Plugin::NodePorts,
            Plugin::NodeResourcesFit,
            Plugin::VolumeRestrictions,
            Plugin::VolumeBinding,
            Plugin::VolumeZone,
            Plugin::InterPodAffinity,
        ];
        matches!(self, Event::NodeChanged { what: NodeChange::Taints, .. }) && FOR_NODES.contains(&plugin)
    }

    /// Whether it is an event of a node of another name.
    pub(super) fn is_about_another_node(&self, name: &Name) -> bool {
        match self {
            Event::NodeAdded(node) | Event::NodeGone(node) | Event::NodeChanged { new: node, .. } => {
                node.meta.name != *name
            }
            _ => false,
        }
    }
}

/// In which respect a node has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NodeChange {
    /// Its taints, or it was uncordoned.
    Taints,
    /// What pods may use of it.
    Allocatable,
    /// Its labels.
    Labels,
}

/// Whether an event could make a plugin take back its refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hint {
    /// It could not.
    Skip,
    /// It could: try the pod again.
    Queue,
}

impl Hint {
    /// `Queue` if the condition holds.
    pub(super) fn queue_if(holds: bool) -> Hint {
        if holds { Hint::Queue } else { Hint::Skip }
    }
}

/// The respects in which two versions of a node differ, in the order of the source.
///
/// Source: `NodeSchedulingPropertiesChange`, events.go (v1.34.1).
pub(super) fn node_changes(old: &Node, new: &Node) -> impl Iterator<Item = NodeChange> + use<> {
    let uncordoned = old.spec.unschedulable && !new.spec.unschedulable;
    [
        uncordoned.then_some(NodeChange::Taints),
        (old.status.allocatable != new.status.allocatable).then_some(NodeChange::Allocatable),
        (old.meta.labels != new.meta.labels).then_some(NodeChange::Labels),
        (old.spec.taints != new.spec.taints).then_some(NodeChange::Taints),
    ]
    .into_iter()
    .flatten()
}
