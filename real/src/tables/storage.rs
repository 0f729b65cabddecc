//! The columns of volumes, claims, classes and attachments.
//!
//! Source: `printPersistentVolume` and its neighbours, pkg/printers/internalversion/printers.go (v1.34.1).

use wavetank_core::{
    id::Name,
    model::{AccessMode, PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttachment},
};

pub(super) const VOLUME_HEADS: &[&str] = &[
    "NAME",
    "CAPACITY",
    "ACCESS MODES",
    "RECLAIM POLICY",
    "STATUS",
    "CLAIM",
    "STORAGECLASS",
    "VOLUMEATTRIBUTESCLASS",
    "REASON",
    "AGE",
];
pub(super) const CLAIM_HEADS: &[&str] =
    &["NAME", "STATUS", "VOLUME", "CAPACITY", "ACCESS MODES", "STORAGECLASS", "VOLUMEATTRIBUTESCLASS", "AGE"];
pub(super) const CLASS_HEADS: &[&str] =
    &["NAME", "PROVISIONER", "RECLAIMPOLICY", "VOLUMEBINDINGMODE", "ALLOWVOLUMEEXPANSION", "AGE"];

fn unset(class: Option<&Name>) -> String {
    class.map_or_else(|| "<unset>".to_owned(), |class| class.to_string())
}

pub(super) fn volume(name: String, volume: &PersistentVolume, age: String) -> Vec<String> {
    let terminating = volume.meta.is_terminating();
    let phase = if terminating { "Terminating".to_owned() } else { format!("{:?}", volume.status.phase) };
    let claim = volume.claim.as_ref().map_or_else(String::new, |claim| format!("{}/{}", claim.namespace, claim.name));
    vec![
        name,
        volume.capacity.to_string(),
        AccessMode::list(&volume.access_modes),
        format!("{:?}", volume.reclaim_policy),
        phase,
        claim,
        volume.class().to_string(),
        unset(volume.attributes_class.as_ref()),
        volume.status.reason.to_string(),
        age,
    ]
}

pub(super) fn claim(name: String, claim: &PersistentVolumeClaim, age: String) -> Vec<String> {
    let terminating = claim.meta.is_terminating();
    let phase = if terminating { "Terminating".to_owned() } else { format!("{:?}", claim.status.phase) };
    let (mut capacity, mut modes) = (String::new(), String::new());
    if !claim.spec.volume.is_empty() {
        capacity = claim.status.capacity.unwrap_or_default().to_string();
        modes = AccessMode::list(&claim.status.access_modes);
    }
    let (volume, class) = (claim.spec.volume.to_string(), claim.class().to_string());
    vec![name, phase, volume, capacity, modes, class, unset(claim.spec.attributes_class.as_ref()), age]
}

pub(super) fn class(name: String, class: &StorageClass, age: String) -> Vec<String> {
    let name = if class.is_default() { format!("{name} (default)") } else { name };
    let (policy, mode) = (format!("{:?}", class.reclaim_policy), format!("{:?}", class.binding_mode));
    vec![name, class.provisioner.to_string(), policy, mode, class.allows_expansion.to_string(), age]
}

pub(super) fn attachment(name: String, attachment: &VolumeAttachment, age: String) -> Vec<String> {
    let attached = attachment.status.attached.to_string();
    vec![
        name,
        attachment.attacher.to_string(),
        attachment.volume.to_string(),
        attachment.node.to_string(),
        attached,
        age,
    ]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wavetank_core::model::{ClaimPhase, ClaimSpec, Meta, Object, PersistentVolumeClaimStatus};
    use wavetank_core::quantity::Quantity;
    use wavetank_core::time::Time;

    use super::super::table;
    use super::*;

    #[test]
    fn a_claim_shows_its_volume_only_when_it_has_one() {
        let size: Quantity = "8Gi".parse().expect("a quantity");
        let spec = ClaimSpec { request: size, storage_class: Some("fast".into()), ..ClaimSpec::default() };
        let waiting =
            PersistentVolumeClaim { meta: Meta::named("default", "a"), spec, ..PersistentVolumeClaim::default() };
        let mut bound = waiting.clone();
        bound.meta.name = "b".into();
        bound.spec.volume = "pv-1".into();
        bound.status = PersistentVolumeClaimStatus {
            phase: ClaimPhase::Bound,
            access_modes: vec![AccessMode::ReadOnlyMany, AccessMode::ReadWriteOnce],
            capacity: Some(size),
            attributes_class: None,
            ..PersistentVolumeClaimStatus::default()
        };
        let objects = [waiting, bound].map(|claim| Object::PersistentVolumeClaim(Arc::new(claim)));
        let text = table(Time::from_secs(5), &objects);
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["a", "Pending", "fast", "<unset>", "5s"]);
        assert_eq!(rows[2], ["b", "Bound", "pv-1", "8Gi", "RWO,ROX", "fast", "<unset>", "5s"]);
    }
}
