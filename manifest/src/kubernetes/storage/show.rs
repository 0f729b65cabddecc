//! Volumes, claims, classes and CSI objects as `kubectl get -o json` shows them.

use serde_json::{Map, Value, json};
use wavetank_core::id::Name;
use wavetank_core::model::{
    AccessMode, BindingMode, CSIDriver, CSINode, CSIStorageCapacity, ClaimSpec, CsiNodeDriver, Disk, PersistentVolume,
    PersistentVolumeClaim, ReclaimPolicy, SelectorRequirement, StorageClass, TopologyRequirement, VolumeAttachment,
    VolumeMode, VolumeSource,
};
use wavetank_core::time::Time;

use super::data_source;
use crate::kubernetes::to_json::{entry, selector, set, set_unless_empty, timestamp};

type Root = Map<String, Value>;

fn modes(modes: &[AccessMode]) -> Value {
    modes.iter().map(|mode| mode.name()).collect::<Vec<_>>().into()
}

fn set_text(map: &mut Root, key: &str, text: &str) {
    if text.is_empty() {
        map.remove(key);
    } else {
        set(map, key, text);
    }
}

fn mode(mode: VolumeMode) -> &'static str {
    match mode {
        VolumeMode::Filesystem => "Filesystem",
        VolumeMode::Block => "Block",
    }
}

fn policy(policy: ReclaimPolicy) -> String {
    format!("{policy:?}")
}

pub(in crate::kubernetes) fn show_volume(root: &mut Root, volume: &PersistentVolume, epoch: i64) {
    let spec = entry(root, "spec");
    set(spec, "capacity", json!({"storage": volume.capacity.to_string()}));
    set(spec, "accessModes", modes(&volume.access_modes));
    set(spec, "persistentVolumeReclaimPolicy", policy(volume.reclaim_policy));
    set_text(spec, "storageClassName", &volume.storage_class);
    set(spec, "volumeMode", mode(volume.mode));
    if let Some(class) = &volume.attributes_class {
        set(spec, "volumeAttributesClassName", &**class);
    }
    match &volume.claim {
        None => drop(spec.remove("claimRef")),
        Some(claim) => {
            let map = entry(spec, "claimRef");
            set(map, "kind", "PersistentVolumeClaim");
            set(map, "apiVersion", "v1");
            set(map, "namespace", &*claim.namespace);
            set(map, "name", &*claim.name);
            match claim.uid {
                Some(uid) => set(map, "uid", uid.to_string()),
                None => drop(map.remove("uid")),
            }
        }
    }
    show_source(spec, &volume.source);
    if let Some(terms) = &volume.node_affinity
        && !spec.contains_key("nodeAffinity")
    {
        let term = |term: &Vec<SelectorRequirement>| {
            let expressions: Vec<Value> = term.iter().map(requirement).collect();
            json!({"matchExpressions": expressions})
        };
        let terms: Vec<Value> = terms.iter().map(term).collect();
        set(spec, "nodeAffinity", json!({"required": {"nodeSelectorTerms": terms}}));
    }
    let status = entry(root, "status");
    set(status, "phase", format!("{:?}", volume.status.phase));
    set_text(status, "message", &volume.status.message);
    set_text(status, "reason", &volume.status.reason);
    if let Some(at) = volume.status.phase_changed_at {
        set(status, "lastPhaseTransitionTime", timestamp(at, epoch));
    }
}

fn requirement(requirement: &SelectorRequirement) -> Value {
    let values: Vec<&str> = requirement.values.iter().map(|value| &**value).collect();
    let mut map = Map::new();
    set(&mut map, "key", &*requirement.key);
    set(&mut map, "operator", format!("{:?}", requirement.operator));
    if !values.is_empty() {
        set(&mut map, "values", values);
    }
    Value::Object(map)
}

/// A source that a user wrote is there already; one that a provisioner made is written here.
fn show_source(spec: &mut Root, source: &VolumeSource) {
    match source {
        VolumeSource::Csi { driver, handle, read_only } => {
            let map = entry(spec, "csi");
            set(map, "driver", &**driver);
            set(map, "volumeHandle", &**handle);
            if *read_only {
                set(map, "readOnly", true);
            }
        }
        VolumeSource::HostPath(path) => set(entry(spec, "hostPath"), "path", &**path),
        VolumeSource::Local(path) => set(entry(spec, "local"), "path", &**path),
        VolumeSource::Nfs { server, path } => {
            let map = entry(spec, "nfs");
            set(map, "server", &**server);
            set(map, "path", &**path);
        }
        VolumeSource::Disk(disk) => show_disk(spec, disk),
        VolumeSource::Other(_) => {}
    }
}

fn show_disk(spec: &mut Root, disk: &Disk) {
    let (field, key, text): (&str, &str, &Name) = match disk {
        Disk::GcePersistentDisk { name, .. } => ("gcePersistentDisk", "pdName", name),
        Disk::AwsElasticBlockStore { id } => ("awsElasticBlockStore", "volumeID", id),
        Disk::Iscsi { iqn, .. } => ("iscsi", "iqn", iqn),
        Disk::Rbd { image, .. } => ("rbd", "image", image),
        Disk::AzureDisk { uri, .. } => ("azureDisk", "diskURI", uri),
        Disk::Cinder { id } => ("cinder", "volumeID", id),
    };
    set(entry(spec, field), key, &**text);
}

pub(in crate::kubernetes) fn show_claim(root: &mut Root, claim: &PersistentVolumeClaim, conditions: Value) {
    let spec = entry(root, "spec");
    show_claim_spec(spec, &claim.spec);
    data_source::fill_in(spec);
    let status = entry(root, "status");
    set(status, "phase", format!("{:?}", claim.status.phase));
    if !claim.status.access_modes.is_empty() {
        set(status, "accessModes", modes(&claim.status.access_modes));
    }
    if let Some(capacity) = &claim.status.capacity {
        set(status, "capacity", json!({"storage": capacity.to_string()}));
    }
    if let Some(class) = &claim.status.attributes_class {
        set(status, "currentVolumeAttributesClassName", &**class);
    }
    set_unless_empty(status, "conditions", conditions);
    if let Some((size, growth)) = claim.status.growth {
        set(status, "allocatedResources", json!({"storage": size.to_string()}));
        set(status, "allocatedResourceStatuses", json!({"storage": format!("{growth:?}")}));
    }
}

fn show_claim_spec(map: &mut Root, spec: &ClaimSpec) {
    set(map, "accessModes", modes(&spec.access_modes));
    let requests = entry(entry(map, "resources"), "requests");
    set(requests, "storage", spec.request.to_string());
    if let Some(labels) = &spec.selector {
        set(map, "selector", selector(labels));
    }
    if let Some(class) = &spec.storage_class {
        set(map, "storageClassName", &**class);
    }
    set(map, "volumeMode", mode(spec.mode));
    if let Some(class) = &spec.attributes_class {
        set(map, "volumeAttributesClassName", &**class);
    }
    set_text(map, "volumeName", &spec.volume);
}

pub(in crate::kubernetes) fn show_class(root: &mut Root, class: &StorageClass) {
    set(root, "provisioner", &*class.provisioner);
    set(root, "reclaimPolicy", policy(class.reclaim_policy));
    let binding = match class.binding_mode {
        BindingMode::Immediate => "Immediate",
        BindingMode::WaitForFirstConsumer => "WaitForFirstConsumer",
    };
    set(root, "volumeBindingMode", binding);
    if class.allows_expansion {
        set(root, "allowVolumeExpansion", true);
    }
    if !class.allowed_topologies.is_empty() {
        let requirement = |it: &TopologyRequirement| {
            let values: Vec<&str> = it.values.iter().map(|value| &**value).collect();
            json!({"key": &*it.key, "values": values})
        };
        let term = |term: &Vec<TopologyRequirement>| {
            let expressions: Vec<Value> = term.iter().map(requirement).collect();
            json!({"matchLabelExpressions": expressions})
        };
        set(root, "allowedTopologies", class.allowed_topologies.iter().map(term).collect::<Vec<_>>());
    }
}

pub(in crate::kubernetes) fn show_node(root: &mut Root, node: &CSINode) {
    let driver = |driver: &CsiNodeDriver| {
        let keys: Vec<&str> = driver.topology_keys.iter().map(|key| &**key).collect();
        let mut map = Map::new();
        set(&mut map, "name", &*driver.name);
        set(&mut map, "nodeID", &*driver.node_id);
        if !keys.is_empty() {
            set(&mut map, "topologyKeys", keys);
        }
        if let Some(count) = driver.allocatable {
            set(&mut map, "allocatable", json!({ "count": count }));
        }
        Value::Object(map)
    };
    set(entry(root, "spec"), "drivers", node.drivers.iter().map(driver).collect::<Vec<_>>());
}

pub(in crate::kubernetes) fn show_driver(root: &mut Root, driver: &CSIDriver) {
    let spec = entry(root, "spec");
    set(spec, "attachRequired", driver.attach_required);
    set(spec, "storageCapacity", driver.storage_capacity);
    for (key, default) in [
        ("podInfoOnMount", json!(false)),
        ("fsGroupPolicy", json!("ReadWriteOnceWithFSType")),
        ("volumeLifecycleModes", json!(["Persistent"])),
        ("requiresRepublish", json!(false)),
        ("seLinuxMount", json!(false)),
    ] {
        spec.entry(key).or_insert(default);
    }
}

pub(in crate::kubernetes) fn show_capacity(root: &mut Root, capacity: &CSIStorageCapacity) {
    set(root, "storageClassName", &*capacity.storage_class);
    if let Some(labels) = &capacity.topology {
        set(root, "nodeTopology", selector(labels));
    }
    let amounts = [("capacity", &capacity.capacity), ("maximumVolumeSize", &capacity.maximum_volume_size)];
    for (key, amount) in amounts {
        if let Some(amount) = amount {
            set(root, key, amount.to_string());
        }
    }
}

pub(in crate::kubernetes) fn show_attachment(root: &mut Root, attachment: &VolumeAttachment, epoch: i64) {
    let spec = entry(root, "spec");
    set(spec, "attacher", &*attachment.attacher);
    set(spec, "nodeName", &*attachment.node);
    if !attachment.volume.is_empty() {
        set(entry(spec, "source"), "persistentVolumeName", &*attachment.volume);
    }
    let status = entry(root, "status");
    set(status, "attached", attachment.status.attached);
    let error = |error: &(Time, Name)| json!({"time": timestamp(error.0, epoch), "message": &*error.1});
    for (key, found) in
        [("attachError", &attachment.status.attach_error), ("detachError", &attachment.status.detach_error)]
    {
        match found {
            Some(found) => set(status, key, error(found)),
            None => drop(status.remove(key)),
        }
    }
}
