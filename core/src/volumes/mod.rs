//! How claims and volumes find each other: what the scheduler and the binder have in common.
//!
//! Source: staging/src/k8s.io/component-helpers/storage/volume/pv_helpers.go (v1.34.1).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::digest::StableHasher;
use crate::id::Name;
use crate::model::{
    AccessMode, BOUND_BY_CONTROLLER, BindingMode, ClaimReference, Labels, PersistentVolume, PersistentVolumeClaim,
    StorageClass, VolumePhase,
};

/// For whom a volume is sought.
pub(crate) enum Seeker<'a> {
    /// The binder, which leaves claims that wait for a pod to the scheduler but for volumes kept for them.
    Binder {
        /// Whether the claim waits for its first pod.
        waits_for_pod: bool,
    },
    /// The scheduler, for a pod on a node with these labels; these volumes are taken by the pod's other claims.
    Scheduler {
        /// The node's labels.
        labels: &'a Labels,
        /// Names of volumes.
        taken: &'a BTreeSet<Name>,
    },
}

/// The volume that suits a claim best: one that is kept for it, else the smallest that is large enough; of several of
/// one size any, as their drawn uids have it: Kubernetes goes through a map.
///
/// Source: `FindMatchingVolume`; `ThreadSafeStore.Index`, staging/src/k8s.io/client-go/tools/cache (v1.34.1).
pub(crate) fn find_matching_volume<'a>(
    claim: &PersistentVolumeClaim,
    volumes: impl Iterator<Item = &'a Arc<PersistentVolume>>,
    seeker: &Seeker<'_>,
) -> Option<&'a Arc<PersistentVolume>> {
    let mut smallest: Option<&Arc<PersistentVolume>> = None;
    for volume in volumes {
        if let Seeker::Scheduler { taken, .. } = seeker
            && taken.contains(&volume.meta.name)
        {
            continue;
        }
        let kept = volume.is_bound_to(claim);
        if (volume.claim.is_some() && !kept) || !is_large_enough(claim, volume) || volume.meta.is_terminating() {
            continue;
        }
        let reached = match seeker {
            Seeker::Scheduler { labels, .. } => volume.is_reached_from(labels),
            Seeker::Binder { .. } => true,
        };
        if kept {
            return reached.then_some(volume);
        }
        let suits = match seeker {
            Seeker::Binder { waits_for_pod } => !waits_for_pod,
            Seeker::Scheduler { .. } => reached && has_access_modes(claim, volume),
        };
        if suits && is_offered(claim, volume) && smallest.is_none_or(|best| comes_before(claim, volume, best)) {
            smallest = Some(volume);
        }
    }
    smallest
}

/// Whether a claim takes a volume rather than another that suits it, too.
fn comes_before(claim: &PersistentVolumeClaim, volume: &PersistentVolume, other: &PersistentVolume) -> bool {
    let luck = |volume: &PersistentVolume| StableHasher::hash_one(&(claim.meta.uid, volume.meta.uid));
    volume.capacity < other.capacity || volume.capacity == other.capacity && luck(volume) < luck(other)
}

/// What must hold even for a volume that is kept for the claim.
fn is_large_enough(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> bool {
    let class = |class: &Option<Name>| class.clone().unwrap_or_default();
    volume.capacity >= claim.spec.request
        && volume.mode == claim.spec.mode
        && class(&volume.attributes_class) == class(&claim.spec.attributes_class)
}

fn is_offered(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> bool {
    volume.status.phase == VolumePhase::Available
        && claim.spec.selector.as_ref().is_none_or(|selector| selector.matches(&volume.meta.labels))
        && *volume.class() == claim.class()
}

/// Whether a volume can be used in all the ways that the claim asks for.
///
/// Source: `CheckAccessModes`.
pub(crate) fn has_access_modes(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> bool {
    contains_all(&volume.access_modes, &claim.spec.access_modes)
}

/// Whether every wanted mode is among those there are.
pub(crate) fn contains_all(there: &[AccessMode], wanted: &[AccessMode]) -> bool {
    wanted.iter().all(|mode| there.contains(mode))
}

/// The volume as it is when it belongs to the claim; `None` if it does already.
///
/// Source: `GetBindVolumeToClaim`.
pub(crate) fn bound_to_claim(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<PersistentVolume> {
    let reference = ClaimReference {
        namespace: claim.meta.namespace.clone(),
        name: claim.meta.name.clone(),
        uid: Some(claim.meta.uid),
    };
    let mut bound = volume.clone();
    bound.claim = Some(reference);
    if !volume.is_bound_to(claim) && volume.meta.annotations.get(BOUND_BY_CONTROLLER).is_none() {
        bound.meta.annotations = bound.meta.annotations.with(BOUND_BY_CONTROLLER, "yes");
    }
    (bound != *volume).then_some(bound)
}

/// Whether a claim of this class waits for its first pod.
///
/// Source: `IsDelayBindingMode`.
pub(crate) fn waits_for_pod(class: Option<&Arc<StorageClass>>) -> bool {
    class.is_some_and(|class| class.binding_mode == BindingMode::WaitForFirstConsumer)
}

/// The in-tree plugins that were migrated to CSI drivers, each with its driver.
///
/// Source: staging/src/k8s.io/csi-translation-lib/plugins (v1.34.1), without those for files and without Portworx.
pub(crate) const MIGRATED: [(&str, &str); 4] = [
    ("kubernetes.io/aws-ebs", "ebs.csi.aws.com"),
    ("kubernetes.io/gce-pd", "pd.csi.storage.gke.io"),
    ("kubernetes.io/azure-disk", "disk.csi.azure.com"),
    ("kubernetes.io/cinder", "cinder.csi.openstack.org"),
];

/// The CSI driver that serves a provisioner's volumes, and the in-tree plugin that was migrated to it if the
/// provisioner is one.
pub(crate) fn driver_of(provisioner: &str) -> (&str, Option<&'static str>) {
    match MIGRATED.iter().find(|(plugin, _)| *plugin == provisioner) {
        Some((plugin, driver)) => (driver, Some(plugin)),
        None => (provisioner, None),
    }
}
