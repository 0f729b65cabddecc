//! Defaults of volumes, claims, storage classes and CSI drivers.
//!
//! Source: pkg/apis/core/v1/defaults.go, pkg/apis/storage/v1/defaults.go (v1.34.1).

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec, Volume};
use k8s_openapi::api::storage::v1::{CSIDriver, StorageClass};

use super::{quantities, text};

/// A volume is kept when its claim goes, unless it says otherwise.
pub(super) fn volume(object: &mut PersistentVolume) {
    let spec = object.spec.get_or_insert_default();
    text(&mut spec.persistent_volume_reclaim_policy, "Retain");
    spec.volume_mode.get_or_insert_with(|| "Filesystem".to_owned());
    quantities(&mut spec.capacity);
    if let Some(path) = &mut spec.host_path {
        path.type_.get_or_insert_default();
    }
    text(&mut object.status.get_or_insert_default().phase, "Pending");
}

/// A claim of its own.
pub(super) fn claim(object: &mut PersistentVolumeClaim) {
    claim_spec(object.spec.get_or_insert_default());
    text(&mut object.status.get_or_insert_default().phase, "Pending");
}

/// A claim's spec, in a claim or in a template.
pub(super) fn claim_spec(spec: &mut PersistentVolumeClaimSpec) {
    spec.volume_mode.get_or_insert_with(|| "Filesystem".to_owned());
    if let Some(resources) = &mut spec.resources {
        quantities(&mut resources.requests);
        quantities(&mut resources.limits);
    }
}

/// The claim template of a pod's volume, if it has one.
pub(super) fn ephemeral(volume: &mut Volume) {
    let template = volume.ephemeral.as_mut().and_then(|ephemeral| ephemeral.volume_claim_template.as_mut());
    if let Some(template) = template {
        claim_spec(&mut template.spec);
    }
}

/// Volumes of a class are made at once and deleted with their claims, unless it says otherwise.
pub(super) fn class(object: &mut StorageClass) {
    object.reclaim_policy.get_or_insert_with(|| "Delete".to_owned());
    object.volume_binding_mode.get_or_insert_with(|| "Immediate".to_owned());
}

/// A driver attaches its volumes, unless it says otherwise.
pub(super) fn driver(object: &mut CSIDriver) {
    let spec = &mut object.spec;
    spec.attach_required.get_or_insert(true);
    spec.pod_info_on_mount.get_or_insert(false);
    spec.storage_capacity.get_or_insert(false);
    spec.fs_group_policy.get_or_insert_with(|| "ReadWriteOnceWithFSType".to_owned());
    if spec.volume_lifecycle_modes.as_ref().is_none_or(Vec::is_empty) {
        spec.volume_lifecycle_modes = Some(vec!["Persistent".to_owned()]);
    }
    spec.requires_republish.get_or_insert(false);
    spec.se_linux_mount.get_or_insert(false);
}
