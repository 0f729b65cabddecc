//! Volumes, claims, classes and CSI objects: from k8s-openapi's types to the core's.

mod data_source;
mod show;
#[cfg(test)]
mod tests;

pub use data_source::settle_claim;
pub(super) use show::{show_attachment, show_capacity, show_claim, show_class, show_driver, show_node, show_volume};

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as api;
use k8s_openapi::api::storage::v1 as storage;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as QuantityText;
use serde::Serialize;
use wavetank_core::id::{Name, Uid};
use wavetank_core::model::{
    AccessMode, BindingMode, CSIDriver, CSINode, CSIStorageCapacity, ClaimReference, ClaimSpec, ClaimTemplate,
    CsiNodeDriver, Disk, EmptyDir, Medium, Meta, PersistentVolume, PersistentVolumeClaim, PodVolume, PodVolumeSource,
    ReclaimPolicy, StorageClass, TopologyRequirement, VolumeAttachment, VolumeMode, VolumeSource,
};
use wavetank_core::quantity::Quantity;

use super::parts::{labels, name, optional, selector, term};

/// The types of a PersistentVolume, in the order in which the API server looks at them.
pub(super) const VOLUME_TYPES: &[&str] = &[
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

/// The types of a pod's volume, in the order in which the API server looks at them.
pub(super) const POD_VOLUME_TYPES: &[&str] = &[
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];

/// Which of the types an object names.
pub(super) fn types_of(object: &impl Serialize, types: &'static [&'static str]) -> Vec<&'static str> {
    let json = serde_json::to_value(object).expect("API objects have no keys but strings");
    types.iter().copied().filter(|name| json.get(name).is_some()).collect()
}

fn quantity(text: &QuantityText) -> Quantity {
    text.0.parse().expect("quantities are checked while reading")
}

fn storage_of(list: Option<&BTreeMap<String, QuantityText>>) -> Quantity {
    list.and_then(|list| list.get("storage")).map(quantity).unwrap_or_default()
}

fn access_modes(modes: Option<&Vec<String>>) -> Vec<AccessMode> {
    let mode = |text: &String| AccessMode::ALL.into_iter().find(|mode| mode.name() == text.as_str());
    modes.into_iter().flatten().filter_map(mode).collect()
}

fn reclaim_policy(text: Option<&str>, default: ReclaimPolicy) -> ReclaimPolicy {
    match text {
        Some("Retain") => ReclaimPolicy::Retain,
        Some("Recycle") => ReclaimPolicy::Recycle,
        Some("Delete") => ReclaimPolicy::Delete,
        _ => default,
    }
}

fn volume_mode(text: Option<&str>) -> VolumeMode {
    if text == Some("Block") { VolumeMode::Block } else { VolumeMode::Filesystem }
}

/// A UUID in its usual spelling; `None` if it is none.
fn uid(text: &str) -> Option<Uid> {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32).map(Uid::new)
}

pub(super) fn volume(meta: Meta, object: &api::PersistentVolume) -> PersistentVolume {
    let spec = object.spec.as_ref().expect("a volume without a spec is refused by validation");
    let claim = |reference: &api::ObjectReference| ClaimReference {
        namespace: optional(reference.namespace.as_ref()),
        name: optional(reference.name.as_ref()),
        uid: reference.uid.as_deref().and_then(uid),
    };
    let required = spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
    PersistentVolume {
        meta,
        capacity: storage_of(spec.capacity.as_ref()),
        access_modes: access_modes(spec.access_modes.as_ref()),
        reclaim_policy: reclaim_policy(spec.persistent_volume_reclaim_policy.as_deref(), ReclaimPolicy::Retain),
        storage_class: optional(spec.storage_class_name.as_ref()),
        mode: volume_mode(spec.volume_mode.as_deref()),
        attributes_class: spec.volume_attributes_class_name.as_deref().map(name),
        claim: spec.claim_ref.as_ref().map(claim),
        source: source(spec),
        node_affinity: required.map(|it| it.node_selector_terms.iter().map(term).collect()),
        ..PersistentVolume::default()
    }
}

fn source(spec: &api::PersistentVolumeSpec) -> VolumeSource {
    if let Some(csi) = &spec.csi {
        let (driver, handle) = (name(&csi.driver), name(&csi.volume_handle));
        VolumeSource::Csi { driver, handle, read_only: csi.read_only == Some(true) }
    } else if let Some(it) = &spec.host_path {
        VolumeSource::HostPath(name(&it.path))
    } else if let Some(it) = &spec.local {
        VolumeSource::Local(name(&it.path))
    } else if let Some(it) = &spec.nfs {
        VolumeSource::Nfs { server: name(&it.server), path: name(&it.path) }
    } else if let Some(it) = &spec.gce_persistent_disk {
        VolumeSource::Disk(gce(it))
    } else if let Some(it) = &spec.aws_elastic_block_store {
        VolumeSource::Disk(aws(it))
    } else if let Some(it) = &spec.azure_disk {
        VolumeSource::Disk(azure(it))
    } else if let Some(it) = &spec.iscsi {
        VolumeSource::Disk(Disk::Iscsi { iqn: name(&it.iqn), read_only: it.read_only == Some(true) })
    } else if let Some(it) = &spec.rbd {
        VolumeSource::Disk(rbd(&it.monitors, it.pool.as_deref(), &it.image, it.read_only))
    } else if let Some(it) = &spec.cinder {
        VolumeSource::Disk(Disk::Cinder { id: name(&it.volume_id) })
    } else {
        let types = types_of(spec, VOLUME_TYPES);
        VolumeSource::Other(types.first().copied().map(name).unwrap_or_default())
    }
}

fn gce(it: &api::GCEPersistentDiskVolumeSource) -> Disk {
    Disk::GcePersistentDisk { name: name(&it.pd_name), read_only: it.read_only == Some(true) }
}

fn aws(it: &api::AWSElasticBlockStoreVolumeSource) -> Disk {
    Disk::AwsElasticBlockStore { id: name(&it.volume_id) }
}

fn azure(it: &api::AzureDiskVolumeSource) -> Disk {
    Disk::AzureDisk { uri: name(&it.disk_uri), read_only: it.read_only == Some(true) }
}

fn rbd(monitors: &[String], pool: Option<&str>, image: &str, read_only: Option<bool>) -> Disk {
    // The default of the pool's name is `rbd`: `SetDefaults_RBDVolumeSource`, pkg/apis/core/v1/defaults.go.
    Disk::Rbd {
        monitors: monitors.iter().map(|monitor| name(monitor)).collect(),
        pool: name(pool.unwrap_or("rbd")),
        image: name(image),
        read_only: read_only == Some(true),
    }
}

pub(super) fn claim(meta: Meta, object: &api::PersistentVolumeClaim) -> PersistentVolumeClaim {
    let spec = object.spec.as_ref().expect("a claim without a spec is refused by validation");
    PersistentVolumeClaim { meta, spec: claim_spec(spec), ..PersistentVolumeClaim::default() }
}

pub(super) fn claim_spec(spec: &api::PersistentVolumeClaimSpec) -> ClaimSpec {
    ClaimSpec {
        access_modes: access_modes(spec.access_modes.as_ref()),
        request: storage_of(spec.resources.as_ref().and_then(|resources| resources.requests.as_ref())),
        selector: spec.selector.as_ref().map(selector),
        storage_class: spec.storage_class_name.as_deref().map(name),
        mode: volume_mode(spec.volume_mode.as_deref()),
        attributes_class: spec.volume_attributes_class_name.as_deref().map(name),
        volume: optional(spec.volume_name.as_ref()),
    }
}

/// The volumes of a pod's spec.
pub(super) fn pod_volumes(spec: &api::PodSpec) -> Vec<PodVolume> {
    let volume = |it: &api::Volume| PodVolume { name: name(&it.name), source: pod_source(it) };
    spec.volumes.iter().flatten().map(volume).collect()
}

fn pod_source(volume: &api::Volume) -> PodVolumeSource {
    if let Some(claim) = &volume.persistent_volume_claim {
        PodVolumeSource::Claim { name: name(&claim.claim_name), read_only: claim.read_only == Some(true) }
    } else if let Some(template) = volume.ephemeral.as_ref().and_then(|it| it.volume_claim_template.as_ref()) {
        let metadata = template.metadata.as_ref();
        let spec = serde_json::json!({ "spec": template.spec });
        PodVolumeSource::Ephemeral(Box::new(ClaimTemplate {
            name: Name::default(),
            labels: labels(metadata.and_then(|it| it.labels.as_ref())),
            annotations: labels(metadata.and_then(|it| it.annotations.as_ref())),
            spec: claim_spec(&template.spec),
            original: Some(spec.to_string().into()),
        }))
    } else if let Some(csi) = &volume.csi {
        PodVolumeSource::Csi { driver: name(&csi.driver) }
    } else if let Some(it) = &volume.gce_persistent_disk {
        PodVolumeSource::Disk(gce(it))
    } else if let Some(it) = &volume.aws_elastic_block_store {
        PodVolumeSource::Disk(aws(it))
    } else if let Some(it) = &volume.azure_disk {
        PodVolumeSource::Disk(azure(it))
    } else if let Some(it) = &volume.iscsi {
        PodVolumeSource::Disk(Disk::Iscsi { iqn: name(&it.iqn), read_only: it.read_only == Some(true) })
    } else if let Some(it) = &volume.rbd {
        PodVolumeSource::Disk(rbd(&it.monitors, it.pool.as_deref(), &it.image, it.read_only))
    } else if let Some(it) = &volume.cinder {
        PodVolumeSource::Disk(Disk::Cinder { id: name(&it.volume_id) })
    } else if let Some(it) = &volume.empty_dir {
        let limit = it.size_limit.as_ref().map(|text| text.0.parse().expect("quantities are checked while reading"));
        let medium = match it.medium.as_deref() {
            Some("Memory") => Medium::Memory,
            Some(medium) if medium.starts_with("HugePages") => Medium::HugePages,
            _ => Medium::Disk,
        };
        PodVolumeSource::EmptyDir(EmptyDir { size_limit: limit, medium })
    } else if let Some(it) = &volume.host_path {
        PodVolumeSource::HostPath(name(&it.path))
    } else if let Some(files) = super::config::files(volume) {
        PodVolumeSource::Files(Box::new(files))
    } else {
        let types = types_of(volume, POD_VOLUME_TYPES);
        PodVolumeSource::Other(types.first().copied().map(name).unwrap_or_default())
    }
}

pub(super) fn class(meta: Meta, object: &storage::StorageClass) -> StorageClass {
    let requirement = |it: &api::TopologySelectorLabelRequirement| TopologyRequirement {
        key: name(&it.key),
        values: it.values.iter().map(|value| name(value)).collect(),
    };
    let term = |it: &api::TopologySelectorTerm| it.match_label_expressions.iter().flatten().map(requirement).collect();
    StorageClass {
        meta,
        provisioner: name(&object.provisioner),
        reclaim_policy: reclaim_policy(object.reclaim_policy.as_deref(), ReclaimPolicy::Delete),
        binding_mode: match object.volume_binding_mode.as_deref() {
            Some("WaitForFirstConsumer") => BindingMode::WaitForFirstConsumer,
            _ => BindingMode::Immediate,
        },
        allowed_topologies: object.allowed_topologies.iter().flatten().map(term).collect(),
        allows_expansion: object.allow_volume_expansion.unwrap_or(false),
    }
}

pub(super) fn csi_node(meta: Meta, object: &storage::CSINode) -> CSINode {
    let driver = |it: &storage::CSINodeDriver| CsiNodeDriver {
        name: name(&it.name),
        node_id: name(&it.node_id),
        allocatable: it.allocatable.as_ref().and_then(|it| it.count).and_then(|count| u32::try_from(count).ok()),
        topology_keys: it.topology_keys.iter().flatten().map(|key| name(key)).collect(),
    };
    CSINode { meta, drivers: object.spec.drivers.iter().map(driver).collect() }
}

pub(super) fn csi_driver(meta: Meta, object: &storage::CSIDriver) -> CSIDriver {
    CSIDriver {
        meta,
        attach_required: object.spec.attach_required.unwrap_or(true),
        storage_capacity: object.spec.storage_capacity.unwrap_or(false),
    }
}

pub(super) fn csi_capacity(meta: Meta, object: &storage::CSIStorageCapacity) -> CSIStorageCapacity {
    CSIStorageCapacity {
        meta,
        storage_class: name(&object.storage_class_name),
        topology: object.node_topology.as_ref().map(selector),
        capacity: object.capacity.as_ref().map(quantity),
        maximum_volume_size: object.maximum_volume_size.as_ref().map(quantity),
    }
}

pub(super) fn attachment(meta: Meta, object: &storage::VolumeAttachment) -> VolumeAttachment {
    VolumeAttachment {
        meta,
        attacher: name(&object.spec.attacher),
        node: name(&object.spec.node_name),
        volume: optional(object.spec.source.persistent_volume_name.as_ref()),
        ..VolumeAttachment::default()
    }
}
