//! PersistentVolumes and the claims on them.

use serde::{Deserialize, Serialize};

use crate::id::{Name, Uid};
use crate::model::{Conditions, Labels, Meta, Selector, SelectorRequirement};
use crate::quantity::Quantity;
use crate::time::Time;

/// The annotation that named the class before there was a field for it; it still wins over the field.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// How many nodes or pods may use a volume at once, and whether they may write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum AccessMode {
    /// Read and write by the pods of one node.
    ReadWriteOnce,
    /// Read only by the pods of many nodes.
    ReadOnlyMany,
    /// Read and write by the pods of many nodes.
    ReadWriteMany,
    /// Read and write by one pod.
    ReadWriteOncePod,
}

impl AccessMode {
    /// All modes, in the order in which they are listed for people.
    pub const ALL: [AccessMode; 4] =
        [AccessMode::ReadWriteOnce, AccessMode::ReadOnlyMany, AccessMode::ReadWriteMany, AccessMode::ReadWriteOncePod];

    /// The name in the API.
    pub fn name(self) -> &'static str {
        match self {
            AccessMode::ReadWriteOnce => "ReadWriteOnce",
            AccessMode::ReadOnlyMany => "ReadOnlyMany",
            AccessMode::ReadWriteMany => "ReadWriteMany",
            AccessMode::ReadWriteOncePod => "ReadWriteOncePod",
        }
    }

    /// The name in kubectl's tables.
    pub fn short_name(self) -> &'static str {
        match self {
            AccessMode::ReadWriteOnce => "RWO",
            AccessMode::ReadOnlyMany => "ROX",
            AccessMode::ReadWriteMany => "RWX",
            AccessMode::ReadWriteOncePod => "RWOP",
        }
    }

    /// A list of modes as kubectl shows it, such as `RWO,ROX`.
    ///
    /// Source: `GetAccessModesAsString`, pkg/apis/core/v1/helper/helpers.go (v1.34.1).
    pub fn list(modes: &[AccessMode]) -> String {
        let listed = AccessMode::ALL.into_iter().filter(|mode| modes.contains(mode));
        listed.map(AccessMode::short_name).collect::<Vec<_>>().join(",")
    }
}

/// What becomes of a volume when its claim is gone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum ReclaimPolicy {
    /// It stays as it is, for an administrator.
    #[default]
    Retain,
    /// It is emptied and can be claimed again.
    Recycle,
    /// It is deleted with what it stands for.
    Delete,
}

/// What a pod sees of a volume.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum VolumeMode {
    /// A directory.
    #[default]
    Filesystem,
    /// A device.
    Block,
}

/// A network disk of one of the types that Kubernetes once attached by itself: the types that may not be used twice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Disk {
    /// `gcePersistentDisk`.
    GcePersistentDisk {
        /// `pdName`.
        name: Name,
        /// Whether it is only read.
        read_only: bool,
    },
    /// `awsElasticBlockStore`.
    AwsElasticBlockStore {
        /// `volumeID`.
        id: Name,
    },
    /// `iscsi`.
    Iscsi {
        /// `iqn`.
        iqn: Name,
        /// Whether it is only read.
        read_only: bool,
    },
    /// `rbd`.
    Rbd {
        /// `monitors`.
        monitors: Vec<Name>,
        /// `pool`.
        pool: Name,
        /// `image`.
        image: Name,
        /// Whether it is only read.
        read_only: bool,
    },
    /// `azureDisk`.
    AzureDisk {
        /// `diskURI`.
        uri: Name,
        /// Whether it is only read.
        read_only: bool,
    },
    /// `cinder`.
    Cinder {
        /// `volumeID`.
        id: Name,
    },
}

impl Disk {
    /// The CSI driver that serves the type since it was migrated, and the handle of this disk there; `None` for the
    /// types that are no CSI driver's. A zone in front of an AWS volume's id is left out.
    ///
    /// Source: staging/src/k8s.io/csi-translation-lib/plugins (v1.34.1), where the handle of a GCE disk also has its
    /// zone.
    pub fn csi(&self) -> Option<(&'static str, Name)> {
        match self {
            Disk::GcePersistentDisk { name, .. } => Some(("pd.csi.storage.gke.io", name.clone())),
            Disk::AwsElasticBlockStore { id } => {
                let id = id.rsplit('/').next().unwrap_or(id);
                Some(("ebs.csi.aws.com", id.into()))
            }
            Disk::AzureDisk { uri, .. } => Some(("disk.csi.azure.com", uri.clone())),
            Disk::Cinder { id } => Some(("cinder.csi.openstack.org", id.clone())),
            Disk::Iscsi { .. } | Disk::Rbd { .. } => None,
        }
    }
}

/// What a volume stands for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum VolumeSource {
    /// A volume of a CSI driver.
    Csi {
        /// The driver.
        driver: Name,
        /// What the driver calls the volume.
        handle: Name,
        /// Whether it is only read.
        read_only: bool,
    },
    /// A directory of whatever node the pod is on.
    HostPath(Name),
    /// A directory or device of one node.
    Local(Name),
    /// A directory of a file server.
    Nfs {
        /// The server.
        server: Name,
        /// The directory.
        path: Name,
    },
    /// A network disk.
    Disk(Disk),
    /// A type that nothing depends on; its field's name.
    Other(Name),
}

impl Default for VolumeSource {
    fn default() -> Self {
        VolumeSource::HostPath("/".into())
    }
}

impl VolumeSource {
    /// The CSI driver that serves it and its handle there, directly or since its type was migrated.
    pub fn csi(&self) -> Option<(Name, Name)> {
        match self {
            VolumeSource::Csi { driver, handle, .. } => Some((driver.clone(), handle.clone())),
            VolumeSource::Disk(disk) => disk.csi().map(|(driver, handle)| (driver.into(), handle)),
            _ => None,
        }
    }
}

/// The claim that a volume belongs to, or is kept for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ClaimReference {
    /// The claim's namespace.
    pub namespace: Name,
    /// The claim's name.
    pub name: Name,
    /// The claim's identity; `None` if a person wrote the reference, for whichever claim of that name comes.
    pub uid: Option<Uid>,
}

/// Where a PersistentVolume is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum VolumePhase {
    /// The binder has not seen it.
    #[default]
    Pending,
    /// It can be claimed.
    Available,
    /// A claim has it.
    Bound,
    /// Its claim is gone.
    Released,
    /// It could not be recycled or deleted.
    Failed,
}

/// A PersistentVolume.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PersistentVolume {
    /// Names and labels.
    pub meta: Meta,
    /// How much fits.
    pub capacity: Quantity,
    /// How it may be used; not empty.
    pub access_modes: Vec<AccessMode>,
    /// What becomes of it without its claim.
    pub reclaim_policy: ReclaimPolicy,
    /// The class's name; empty for none.
    pub storage_class: Name,
    /// A directory or a device.
    pub mode: VolumeMode,
    /// `volumeAttributesClassName`.
    pub attributes_class: Option<Name>,
    /// The claim that has it.
    pub claim: Option<ClaimReference>,
    /// What it stands for.
    pub source: VolumeSource,
    /// The nodes that reach it: alternatives, each a list of requirements; `None` is every node.
    pub node_affinity: Option<Vec<Vec<SelectorRequirement>>>,
    /// What the binder says of it.
    pub status: PersistentVolumeStatus,
}

/// What the binder says of a volume.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PersistentVolumeStatus {
    /// Where it is in its life.
    pub phase: VolumePhase,
    /// A sentence for it, or empty.
    pub message: Name,
    /// One word for it, or empty.
    pub reason: Name,
    /// When the phase last changed; the API server sets it.
    pub phase_changed_at: Option<Time>,
}

impl PersistentVolume {
    /// The class's name; empty for none.
    ///
    /// Source: `GetPersistentVolumeClass`, staging/src/k8s.io/component-helpers/storage/volume/helpers.go (v1.34.1).
    pub fn class(&self) -> &Name {
        self.meta.annotations.get(CLASS_ANNOTATION).unwrap_or(&self.storage_class)
    }

    /// Whether the volume belongs to this very claim.
    ///
    /// Source: `IsVolumeBoundToClaim`, staging/src/k8s.io/component-helpers/storage/volume/pv_helpers.go (v1.34.1).
    pub fn is_bound_to(&self, claim: &PersistentVolumeClaim) -> bool {
        self.claim.as_ref().is_some_and(|reference| {
            reference.name == claim.meta.name
                && reference.namespace == claim.meta.namespace
                && reference.uid.is_none_or(|uid| uid == claim.meta.uid)
        })
    }

    /// Whether a node with these labels reaches the volume.
    ///
    /// Source: `CheckNodeAffinity`, staging/src/k8s.io/component-helpers/storage/volume/helpers.go (v1.34.1): only
    /// labels are compared; a term without requirements matches nothing.
    pub fn is_reached_from(&self, labels: &Labels) -> bool {
        self.node_affinity.as_ref().is_none_or(|terms| {
            let matches = |term: &Vec<SelectorRequirement>| {
                !term.is_empty() && term.iter().all(|requirement| requirement.matches(labels))
            };
            terms.iter().any(matches)
        })
    }
}

/// Where a claim is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum ClaimPhase {
    /// It has no volume yet.
    #[default]
    Pending,
    /// It has a volume.
    Bound,
    /// Its volume is gone.
    Lost,
}

/// What a claim asks for. Templates of claims hold one too.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ClaimSpec {
    /// How it will be used; not empty.
    pub access_modes: Vec<AccessMode>,
    /// The least that must fit.
    pub request: Quantity,
    /// Labels that the volume must have; `None` is any volume.
    pub selector: Option<Selector>,
    /// The class's name; empty for volumes without a class, `None` for the cluster's default class.
    pub storage_class: Option<Name>,
    /// A directory or a device.
    pub mode: VolumeMode,
    /// `volumeAttributesClassName`.
    pub attributes_class: Option<Name>,
    /// The volume that it is bound to, or asks for; empty for none.
    pub volume: Name,
}

/// A PersistentVolumeClaim.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PersistentVolumeClaim {
    /// Names and labels.
    pub meta: Meta,
    /// What it asks for.
    pub spec: ClaimSpec,
    /// What it has.
    pub status: PersistentVolumeClaimStatus,
}

/// What a claim has.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PersistentVolumeClaimStatus {
    /// Where it is in its life.
    pub phase: ClaimPhase,
    /// How its volume may be used.
    pub access_modes: Vec<AccessMode>,
    /// How much fits into its volume; `None` without one.
    pub capacity: Option<Quantity>,
    /// The attributes class of its volume.
    pub attributes_class: Option<Name>,
    /// How far the growth of its volume has come.
    pub conditions: Conditions,
    /// What its volume grows to, and how far that has come; `None` while it does not grow.
    pub growth: Option<(Quantity, Growth)>,
}

/// How far the growth of a volume has come (`status.allocatedResourceStatuses`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Growth {
    /// The storage system enlarges the volume.
    ControllerResizeInProgress,
    /// The node has to enlarge the file system.
    NodeResizePending,
}

impl PersistentVolumeClaim {
    /// The class's name; empty for none, whether by wish or for want of a default.
    ///
    /// Source: `GetPersistentVolumeClaimClass`, staging/src/k8s.io/component-helpers/storage/volume/helpers.go
    /// (v1.34.1).
    pub fn class(&self) -> Name {
        let annotated = self.meta.annotations.get(CLASS_ANNOTATION);
        annotated.or(self.spec.storage_class.as_ref()).cloned().unwrap_or_default()
    }

    /// Whether the claim says anything about a class, be it that it wants none.
    ///
    /// Source: `PersistentVolumeClaimHasClass`, pkg/apis/core/v1/helper/helpers.go (v1.34.1).
    pub fn has_class(&self) -> bool {
        self.meta.annotations.get(CLASS_ANNOTATION).is_some() || self.spec.storage_class.is_some()
    }

    /// Whether the binder has finished binding it: it names a volume and carries the mark of a completed binding.
    pub fn is_fully_bound(&self) -> bool {
        !self.spec.volume.is_empty() && self.meta.annotations.get(BIND_COMPLETED).is_some()
    }
}

/// Set on a claim when its binding is complete.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// Set on a claim or a volume whose reference to the other the binder wrote, not a person.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// On a volume: which provisioner made it.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// On a claim: the node that the scheduler has chosen for its first pod.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// On a claim: which provisioner shall make its volume.
pub const STORAGE_PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
/// The same under its older name.
pub const BETA_STORAGE_PROVISIONER: &str = "volume.beta.kubernetes.io/storage-provisioner";
/// On a volume whose file system has yet to grow: how much a claim of it has until then.
pub const PRE_RESIZE_CAPACITY: &str = "volume.alpha.kubernetes.io/pre-resize-capacity";
/// The finalizer of a claim that pods may use.
pub const CLAIM_PROTECTION: &str = "kubernetes.io/pvc-protection";
/// The finalizer of a volume that a claim may have.
pub const VOLUME_PROTECTION: &str = "kubernetes.io/pv-protection";
