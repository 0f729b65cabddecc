//! What may not change of volumes, claims and what provisions them.

use k8s_openapi::api::core::v1::{
    PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeSpec,
};
use k8s_openapi::api::storage::v1::{CSINode, StorageClass};
use serde_json::Value;
use wavetank_core::quantity::Quantity;

use super::report::{AsWritten, At, Report};
use super::update::{IMMUTABLE, immutable, same};
use super::{shown, storage, storage_classes};
use crate::kubernetes::storage::{VOLUME_TYPES, types_of};

pub(super) fn volume(report: &mut Report, new: &PersistentVolume, old: &PersistentVolume) {
    storage::volume(report, new);
    let (spec, was) = (new.spec.clone().unwrap_or_default(), old.spec.clone().unwrap_or_default());
    let sources = |spec: &PersistentVolumeSpec, other: &Value| {
        let json = serde_json::to_value(spec).unwrap_or_default();
        let mut found = Value::Object(
            types_of(spec, VOLUME_TYPES).into_iter().map(|it| (it.to_owned(), json[it].clone())).collect(),
        );
        // A secret for growing may be added.
        if found["csi"].is_object() && other["csi"].is_object() && other["csi"]["controllerExpandSecretRef"].is_null() {
            found["csi"]["controllerExpandSecretRef"] = Value::Null;
        }
        found
    };
    let before = sources(&was, &Value::Null);
    let after = sources(&spec, &serde_json::to_value(&was).unwrap_or_default());
    if !same(&after, &before) {
        let at = At::root("spec").child("persistentvolumesource");
        report.forbidden(&at, "spec.persistentvolumesource is immutable after creation");
    }
    immutable(report, &At::root("volumeMode"), &spec.volume_mode, &was.volume_mode);
    if was.node_affinity.is_some() && !same(&spec.node_affinity, &was.node_affinity) {
        let shown = shown::volume_affinity(spec.node_affinity.as_ref());
        let detail = "field is immutable, except for updating from beta label to GA";
        report.invalid(&At::root("nodeAffinity"), &AsWritten(&shown), detail);
    }
    if was.volume_attributes_class_name.is_some() && spec.volume_attributes_class_name.is_none() {
        let at = At::root("spec").child("volumeAttributesClassName");
        report.forbidden(&at, "update from non-nil value to nil is forbidden");
    }
}

pub(super) fn claim(report: &mut Report, new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) {
    storage::claim(report, new);
    const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
    let annotated =
        |object: &PersistentVolumeClaim| object.metadata.annotations.as_ref().and_then(|it| it.get(CLASS).cloned());
    let (mark, before) = (annotated(new).unwrap_or_default(), annotated(old).unwrap_or_default());
    if mark != before {
        report.invalid(&At::root("metadata").child("annotations").key(CLASS), &mark, IMMUTABLE);
    }
    let (spec, was) = (new.spec.clone().unwrap_or_default(), old.spec.clone().unwrap_or_default());
    let status = old.status.clone().unwrap_or_default();
    let is_bound = status.phase.as_deref() == Some("Bound");
    let (mut changed, mut stored) = (spec.clone(), was.clone());
    storage::one_data_source(&mut changed);
    storage::one_data_source(&mut stored);
    if stored.volume_name.as_deref().unwrap_or_default().is_empty() {
        stored.volume_name.clone_from(&changed.volume_name);
    }
    if stored.storage_class_name.is_none() {
        changed.storage_class_name = None;
    }
    if is_bound {
        let size =
            stored.resources.as_ref().and_then(|it| it.requests.as_ref()).and_then(|it| it.get("storage")).cloned();
        if let (Some(requests), Some(size)) = (changed.resources.as_mut().and_then(|it| it.requests.as_mut()), size) {
            requests.insert("storage".to_owned(), size);
        }
        changed.volume_attributes_class_name.clone_from(&stored.volume_attributes_class_name);
    }
    if !same(&changed, &stored) {
        let detail = "spec is immutable after creation except resources.requests and volumeAttributesClassName for \
                      bound claims";
        report.forbidden(&At::root("spec"), detail);
    }
    let size = |spec: &PersistentVolumeClaimSpec| {
        let requests = spec.resources.as_ref().and_then(|it| it.requests.as_ref());
        requests.and_then(|it| it.get("storage")?.0.parse::<Quantity>().ok()).unwrap_or_default()
    };
    let there =
        status.capacity.as_ref().and_then(|it| it.get("storage")?.0.parse::<Quantity>().ok()).unwrap_or_default();
    if size(&spec) < size(&was) && size(&spec) <= there {
        let at = At::root("spec").child("resources").child("requests").child("storage");
        report.forbidden(&at, "field can not be less than status.capacity");
    }
    immutable(report, &At::root("volumeMode"), &spec.volume_mode, &was.volume_mode);
    if status.current_volume_attributes_class_name.is_some() {
        let at = At::root("spec").child("volumeAttributesClassName");
        let when = "is forbidden when status.currentVolumeAttributesClassName is not nil";
        match spec.volume_attributes_class_name.as_deref() {
            None if was.volume_attributes_class_name.is_some() => {
                report.forbidden(&at, &format!("update to nil {when}"))
            }
            Some("") if was.volume_attributes_class_name.as_deref() != Some("") => {
                report.forbidden(&at, &format!("update to empty string {when}"));
            }
            _ => {}
        }
    }
}

pub(super) fn class(report: &mut Report, new: &StorageClass, old: &StorageClass) {
    storage_classes::class(report, new);
    let fixed = [
        ("parameters", new.parameters.clone().unwrap_or_default() != old.parameters.clone().unwrap_or_default()),
        ("provisioner", new.provisioner != old.provisioner),
        ("reclaimPolicy", new.reclaim_policy != old.reclaim_policy),
    ];
    for (field, _) in fixed.into_iter().filter(|(_, changed)| *changed) {
        report.forbidden(&At::root(field), &format!("updates to {field} are forbidden."));
    }
    immutable(report, &At::root("volumeBindingMode"), &new.volume_binding_mode, &old.volume_binding_mode);
}

pub(super) fn csi_node(report: &mut Report, new: &CSINode, old: &CSINode) {
    storage_classes::csi_node(report, new);
    for before in &old.spec.drivers {
        for driver in new.spec.drivers.iter().filter(|driver| driver.name == before.name && !same(*driver, before)) {
            let at = At::root("spec").child("drivers");
            report.invalid(&at, &AsWritten(&shown::csi_driver(driver)), IMMUTABLE);
        }
    }
}
