//! VolumeRestrictions: no disk that tolerates one user is used twice on a node, and no claim for one pod by two.
//!
//! Source: pkg/scheduler/framework/plugins/volumerestrictions/volume_restrictions.go (v1.34.1).

use crate::id::Name;
use crate::model::{AccessMode, Disk, PodVolumeSource};
use crate::scheduler::cache::{Cache, NodeInfo};
use crate::scheduler::events::{Event, Hint};
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::storage::Storage;
use crate::scheduler::traits::{PodTraits, PodVolumes};

/// What PreFilter has found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::scheduler) struct Restrictions {
    /// Whether the pod has disks that may be in use where it comes.
    disks: bool,
    /// The pod's claims that are for one pod.
    single: Vec<Name>,
    /// How many of them have a pod.
    taken: i64,
}

/// PreFilter: a claim that is not there cannot be checked.
pub(in crate::scheduler) fn pre_filter(
    pod: &PodVolumes,
    storage: &Storage,
    cache: &Cache,
) -> Result<Option<Restrictions>, String> {
    let (mut single, mut taken) = (Vec::new(), 0);
    for name in pod.direct_claims() {
        let Some(claim) = storage.claim(&pod.namespace, name) else {
            return Err(format!("persistentvolumeclaim \"{name}\" not found"));
        };
        if claim.spec.access_modes.contains(&AccessMode::ReadWriteOncePod) && !single.contains(name) {
            single.push(name.clone());
            taken += i64::from(cache.is_claim_used(&pod.namespace, name));
        }
    }
    let disks = pod.disks().any(is_exclusive);
    Ok((disks || taken > 0).then_some(Restrictions { disks, single, taken }))
}

impl Restrictions {
    /// AddPod (1) and RemovePod (-1): another pod comes or goes. Kubernetes does not compare the namespaces here.
    pub(in crate::scheduler) fn shift(&mut self, other: &PodVolumes, sign: i64) {
        let claims = other.direct_claims().filter(|name| self.single.contains(name)).count();
        self.taken += sign * i64::try_from(claims).expect("a pod has few volumes");
    }
}

/// Filter.
pub(in crate::scheduler) fn filter(state: &Restrictions, pod: &PodVolumes, node: &NodeInfo) -> Refusal {
    if state.disks && node.volumes.iter().any(|other| conflicts(pod, other)) {
        return Refusal::because(Reason::DiskConflict);
    }
    if state.taken > 0 { Refusal::because(Reason::ClaimForOnePodTaken) } else { Refusal::NONE }
}

/// Queueing hint.
pub(super) fn hint(pod: &PodTraits, event: &Event<'_>) -> Hint {
    let Some(volumes) = &pod.volumes else { return Hint::Skip };
    match event {
        Event::NodeAdded(_) => Hint::Queue,
        Event::PlacedPodGone(gone) => Hint::queue_if(gone.volumes.as_ref().is_some_and(|gone| {
            let shared = || volumes.direct_claims().any(|claim| gone.direct_claims().any(|other| other == claim));
            gone.namespace == volumes.namespace && (conflicts(volumes, gone) || shared())
        })),
        Event::ClaimChanged { old: None, new } => Hint::queue_if(
            new.meta.namespace == volumes.namespace && volumes.direct_claims().any(|name| *name == new.meta.name),
        ),
        _ => Hint::Skip,
    }
}

fn is_exclusive(disk: &Disk) -> bool {
    !matches!(disk, Disk::AzureDisk { .. } | Disk::Cinder { .. })
}

/// Source: `satisfyVolumeConflicts`, `isVolumeConflict`.
fn conflicts(pod: &PodVolumes, other: &PodVolumes) -> bool {
    pod.disks().any(|disk| other.disks().any(|present| is_same_in_use(disk, present)))
}

fn is_same_in_use(disk: &Disk, present: &Disk) -> bool {
    match (disk, present) {
        (
            Disk::GcePersistentDisk { name, read_only },
            Disk::GcePersistentDisk { name: other, read_only: other_read_only },
        ) => name == other && !(*read_only && *other_read_only),
        (Disk::AwsElasticBlockStore { id }, Disk::AwsElasticBlockStore { id: other }) => id == other,
        (Disk::Iscsi { iqn, read_only }, Disk::Iscsi { iqn: other, read_only: other_read_only }) => {
            iqn == other && !(*read_only && *other_read_only)
        }
        (
            Disk::Rbd { monitors, pool, image, read_only },
            Disk::Rbd { monitors: other_monitors, pool: other_pool, image: other_image, read_only: other_read_only },
        ) => {
            monitors.iter().any(|monitor| other_monitors.contains(monitor))
                && (pool, image) == (other_pool, other_image)
                && !(*read_only && *other_read_only)
        }
        _ => false,
    }
}

impl PodVolumes {
    /// The names of the claims that the pod names itself, without those of ephemeral volumes.
    pub(in crate::scheduler) fn direct_claims(&self) -> impl Iterator<Item = &crate::id::Name> {
        self.volumes.iter().filter_map(|volume| match &volume.source {
            PodVolumeSource::Claim { name, .. } => Some(name),
            _ => None,
        })
    }

    /// The disks that the pod names itself.
    pub(in crate::scheduler) fn disks(&self) -> impl Iterator<Item = &Disk> {
        self.volumes.iter().filter_map(|volume| match &volume.source {
            PodVolumeSource::Disk(disk) => Some(disk),
            _ => None,
        })
    }
}
