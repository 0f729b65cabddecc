//! NodeVolumeLimits: no node gets more volumes of a CSI driver than the driver says it can have.
//!
//! Source: pkg/scheduler/framework/plugins/nodevolumelimits/csi.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet};

use crate::id::Name;
use crate::model::{CSINode, Disk, PersistentVolumeClaim, PodVolumeSource, VolumeSource};
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::events::{Event, Hint};
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::storage::Storage;
use crate::scheduler::traits::{PodTraits, PodVolumes};
use crate::volumes::{MIGRATED, driver_of};

/// A driver and its name for a volume.
type Handle = (Name, Name);

/// PreFilter: whether there is anything to count.
pub(in crate::scheduler) fn counts(pod: &PodVolumes) -> bool {
    pod.volumes.iter().any(|volume| match &volume.source {
        PodVolumeSource::Claim { .. } | PodVolumeSource::Ephemeral(_) => true,
        PodVolumeSource::Disk(disk) => disk.csi().is_some(),
        _ => false,
    })
}

/// Filter.
pub(in crate::scheduler) fn filter(pod: &PodVolumes, storage: &Storage, node: &NodeInfo) -> Refusal {
    // A limit is what a CSINode says; without one nothing is counted.
    let Some(csi_node) = storage.csi_node(&node.name) else { return Refusal::NONE };
    if csi_node.drivers.iter().all(|driver| driver.allocatable.is_none()) {
        return Refusal::NONE;
    }
    let mut new = BTreeSet::new();
    collect(pod, storage, csi_node, &mut new);
    if new.is_empty() {
        return Refusal::NONE;
    }
    let mut attached = BTreeSet::new();
    for other in &node.volumes {
        collect(other, storage, csi_node, &mut attached);
    }
    new.retain(|handle| !attached.contains(handle));
    for attachment in storage.attachments_of(&node.name) {
        let volume = storage.volume(&attachment.volume);
        if let Some(VolumeSource::Csi { handle, .. }) = volume.map(|volume| &volume.source) {
            attached.insert((attachment.attacher.clone(), handle.clone()));
        }
    }
    let by_driver = |handles: &BTreeSet<Handle>| {
        let mut counts: BTreeMap<Name, u32> = BTreeMap::new();
        handles.iter().for_each(|(driver, _)| *counts.entry(driver.clone()).or_insert(0) += 1);
        counts
    };
    let attached = by_driver(&attached);
    let exceeded = by_driver(&new).into_iter().any(|(driver, count)| {
        let limit = csi_node.driver(&driver).and_then(|driver| driver.allocatable);
        limit.is_some_and(|limit| attached.get(&driver).copied().unwrap_or(0) + count > limit)
    });
    if exceeded { Refusal::because(Reason::TooManyVolumes) } else { Refusal::NONE }
}

/// The volumes of a pod that CSI drivers attach.
///
/// Source: `filterAttachableVolumes`. A claim that is not there is not counted: VolumeBinding has refused a new pod
/// with such a claim before.
fn collect(pod: &PodVolumes, storage: &Storage, csi_node: &CSINode, found: &mut BTreeSet<Handle>) {
    for volume in &pod.volumes {
        if let PodVolumeSource::Disk(disk) = &volume.source {
            found.extend(migrated(disk, csi_node));
        } else if let Some((name, _)) = volume.claim_name(&pod.pod) {
            let claim = storage.claim(&pod.namespace, &name);
            found.extend(claim.and_then(|claim| handle_of(claim, storage, csi_node)));
        }
    }
}

fn migrated(disk: &Disk, csi_node: &CSINode) -> Option<Handle> {
    let (driver, handle) = disk.csi()?;
    let (plugin, _) = MIGRATED.iter().find(|(_, of)| *of == driver)?;
    csi_node.has_migrated(plugin).then(|| (driver.into(), handle))
}

/// Source: `getCSIDriverInfo`, `getCSIDriverInfoFromSC`.
fn handle_of(claim: &PersistentVolumeClaim, storage: &Storage, csi_node: &CSINode) -> Option<Handle> {
    match storage.volume(&claim.spec.volume).map(|volume| &volume.source) {
        Some(VolumeSource::Csi { driver, handle, .. }) => Some((driver.clone(), handle.clone())),
        Some(VolumeSource::Disk(disk)) => migrated(disk, csi_node),
        Some(_) => None,
        None => {
            let class = storage.class(&claim.class())?;
            let (driver, plugin) = driver_of(&class.provisioner);
            // A name that no driver gives: the claim itself stands for the volume that will be made.
            let handle = format!("?{}/{}", claim.meta.namespace, claim.meta.name);
            plugin.is_none_or(|plugin| csi_node.has_migrated(plugin)).then(|| (driver.into(), handle.into()))
        }
    }
}

/// Queueing hint.
pub(super) fn hint(pod: &PodTraits, event: &Event<'_>) -> Hint {
    let Some(volumes) = &pod.volumes else { return Hint::Skip };
    match event {
        Event::CsiNodeChanged { old: None, .. } => Hint::Queue,
        Event::CsiNodeChanged { old: Some(old), new } => {
            let limit = |node: &CSINode, name: &str| node.driver(name).and_then(|it| it.allocatable).unwrap_or(0);
            Hint::queue_if(new.drivers.iter().any(|it| limit(new, &it.name) > limit(old, &it.name)))
        }
        Event::PlacedPodGone(gone) => Hint::queue_if(gone.volumes.as_ref().is_some_and(|gone| counts(gone))),
        Event::ClaimChanged { old: None, new } => Hint::queue_if(volumes.uses(new)),
        Event::AttachmentGone(gone) => Hint::queue_if(volumes.volumes.iter().any(|volume| match &volume.source {
            PodVolumeSource::Claim { .. } => true,
            PodVolumeSource::Disk(disk) => disk.csi().is_some_and(|(driver, _)| *gone.attacher == *driver),
            _ => false,
        })),
        _ => Hint::Skip,
    }
}
