//! StorageClasses, what nodes say of their CSI drivers, and attachments of volumes to nodes.

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::model::{Labels, Meta, ReclaimPolicy, Selector};
use crate::quantity::Quantity;
use crate::time::Time;

/// The provisioner of classes whose volumes are made by hand.
///
/// Source: `NotSupportedProvisioner`, pkg/controller/volume/persistentvolume (v1.34.1).
pub const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// When a claim of a class gets its volume.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum BindingMode {
    /// At once.
    #[default]
    Immediate,
    /// When a pod that uses it is placed.
    WaitForFirstConsumer,
}

/// One requirement of a topology term: the label has one of the values.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct TopologyRequirement {
    /// The label's key.
    pub key: Name,
    /// Its possible values.
    pub values: Vec<Name>,
}

/// A StorageClass.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct StorageClass {
    /// Names and labels.
    pub meta: Meta,
    /// Who makes its volumes.
    pub provisioner: Name,
    /// What becomes of its volumes without their claims.
    pub reclaim_policy: ReclaimPolicy,
    /// When its claims get their volumes.
    pub binding_mode: BindingMode,
    /// Where volumes may be made: alternatives; empty is everywhere.
    pub allowed_topologies: Vec<Vec<TopologyRequirement>>,
    /// Whether volumes may grow.
    pub allows_expansion: bool,
}

impl StorageClass {
    /// Whether claims without a class get this one.
    ///
    /// Source: `IsDefaultAnnotation`, pkg/volume/util/storageclass.go (v1.34.1).
    pub fn is_default(&self) -> bool {
        let marks = ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
        marks.iter().any(|mark| self.meta.annotations.get(mark).is_some_and(|value| &**value == "true"))
    }

    /// Whether volumes may be made for a node with these labels.
    ///
    /// Source: `MatchTopologySelectorTerms`, pkg/apis/core/v1/helper/helpers.go (v1.34.1).
    pub fn allows(&self, labels: &Labels) -> bool {
        let met = |it: &TopologyRequirement| labels.get(&it.key).is_some_and(|value| it.values.contains(value));
        let matches = |term: &Vec<TopologyRequirement>| !term.is_empty() && term.iter().all(met);
        self.allowed_topologies.is_empty() || self.allowed_topologies.iter().any(matches)
    }
}

/// What a node's kubelet says of the CSI drivers there.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct CSINode {
    /// Names and labels; the name is the node's.
    pub meta: Meta,
    /// The drivers.
    pub drivers: Vec<CsiNodeDriver>,
}

/// A CSI driver on a node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct CsiNodeDriver {
    /// The driver.
    pub name: Name,
    /// What the driver calls the node.
    pub node_id: Name,
    /// How many volumes of it the node can have; `None` is no limit.
    pub allocatable: Option<u32>,
    /// The labels by which the driver tells where volumes are.
    pub topology_keys: Vec<Name>,
}

impl CSINode {
    /// What is said of a driver.
    pub fn driver(&self, name: &str) -> Option<&CsiNodeDriver> {
        self.drivers.iter().find(|driver| *driver.name == *name)
    }

    /// Whether the kubelet there leaves an in-tree type to the driver it was migrated to.
    ///
    /// Source: `isCSIMigrationOn`, pkg/scheduler/framework/plugins/nodevolumelimits/utils.go (v1.34.1).
    pub fn has_migrated(&self, plugin: &str) -> bool {
        let annotated = self.meta.annotations.get("storage.alpha.kubernetes.io/migrated-plugins");
        annotated.is_some_and(|plugins| plugins.split(',').any(|migrated| migrated == plugin))
    }
}

/// What a cluster knows of a CSI driver.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct CSIDriver {
    /// Names and labels; the name is the driver's.
    pub meta: Meta,
    /// Whether its volumes are attached to nodes before they are mounted.
    pub attach_required: bool,
    /// Whether the scheduler looks at how much the driver can still make.
    pub storage_capacity: bool,
}

impl Default for CSIDriver {
    fn default() -> Self {
        CSIDriver { meta: Meta::default(), attach_required: true, storage_capacity: false }
    }
}

/// How much a CSI driver can still make of a class in some part of the cluster.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct CSIStorageCapacity {
    /// Names and labels.
    pub meta: Meta,
    /// The class's name.
    pub storage_class: Name,
    /// The nodes that it is about; `None` is no node.
    pub topology: Option<Selector>,
    /// How much there is; `None` counts as nothing.
    pub capacity: Option<Quantity>,
    /// The largest volume that can be made, if that is less.
    pub maximum_volume_size: Option<Quantity>,
}

/// The wish that a volume be attached to a node, and what has become of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct VolumeAttachment {
    /// Names and labels.
    pub meta: Meta,
    /// The driver that attaches it.
    pub attacher: Name,
    /// The node.
    pub node: Name,
    /// The PersistentVolume; empty for a volume that is written out in the pod.
    pub volume: Name,
    /// What has become of it.
    pub status: VolumeAttachmentStatus,
}

/// What has become of an attachment.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct VolumeAttachmentStatus {
    /// Whether the volume is attached.
    pub attached: bool,
    /// The last attempt to attach it failed, then and for this reason.
    pub attach_error: Option<(Time, Name)>,
    /// The last attempt to detach it failed.
    pub detach_error: Option<(Time, Name)>,
}
