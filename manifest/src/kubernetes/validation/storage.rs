//! Checks of volumes and claims.
//!
//! Source: `ValidatePersistentVolumeSpec`, `ValidatePersistentVolumeClaimSpec`,
//! pkg/apis/core/validation/validation.go; pkg/volume/validation/pv_validation.go (v1.34.1).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeSpec,
    TypedLocalObjectReference, TypedObjectReference,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as QuantityText;
use wavetank_core::quantity::Quantity;

use super::report::{AsJson, AsWritten, At, Report};
use super::volumes::ONLY_ONE;
use super::{legacy_volumes, metadata, names, scheduling, selector};
use crate::kubernetes::storage::{VOLUME_TYPES, types_of};

const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// The types whose mounting takes options from an annotation.
const MOUNTED_WITH_OPTIONS: [&str; 13] = [
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "nfs",
    "rbd",
    "quobyte",
    "iscsi",
    "cinder",
    "cephfs",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
];
/// The longest name of a CSI driver, in bytes.
const DRIVER_NAME_MAX: usize = 63;

/// Checks a PersistentVolume.
pub(super) fn volume(report: &mut Report, object: &PersistentVolume) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let empty = PersistentVolumeSpec::default();
    let (spec, at) = (object.spec.as_ref().unwrap_or(&empty), At::root("spec"));
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    if modes.is_empty() {
        report.required(&at.child("accessModes"), "");
    }
    access_modes(report, &at, modes);
    capacity(report, &at.child("capacity"), spec.capacity.as_ref());
    if let Some(policy) = spec.persistent_volume_reclaim_policy.as_deref().filter(|policy| !policy.is_empty()) {
        let supported = ["Delete", "Recycle", "Retain"];
        report.one_of(&at.child("persistentVolumeReclaimPolicy"), Some(policy), &supported);
    }
    if let Some(affinity) = &spec.node_affinity {
        let at = at.child("nodeAffinity").child("required");
        match &affinity.required {
            Some(required) => scheduling::node_selector(report, &at, required),
            None => report.required(&at, "must specify required node constraints"),
        }
    }
    let types = types_of(spec, VOLUME_TYPES);
    let json = serde_json::to_value(spec).unwrap_or_default();
    for (number, name) in types.iter().enumerate() {
        if number == 0 || *name == "flexVolume" {
            let own = object.metadata.name.as_deref().unwrap_or_default();
            legacy_volumes::source(report, &at, name, &json[*name], Some(own));
            if *name == "local" && spec.node_affinity.is_none() {
                report.required(&at.child("nodeAffinity"), "Local volume requires node affinity");
            }
        } else {
            let field = if *name == "cephfs" { "cephFS" } else { *name };
            report.forbidden(&at.child(field), ONLY_ONE);
        }
    }
    if types.is_empty() {
        report.required(&at, "must specify a volume type");
    }
    let recycled = spec.persistent_volume_reclaim_policy.as_deref() == Some("Recycle");
    if recycled && spec.host_path.as_ref().is_some_and(|source| is_root(&source.path)) {
        let detail = "may not be 'recycle' for a hostPath mount of '/'";
        report.forbidden(&at.child("persistentVolumeReclaimPolicy"), detail);
    }
    class_name(report, &at.child("storageClassName"), spec.storage_class_name.as_deref());
    volume_mode(report, &at, spec.volume_mode.as_deref());
    if let Some(class) = spec.volume_attributes_class_name.as_deref() {
        let class_at = at.child("volumeAttributesClassName");
        match class {
            "" => report.required(&class_at, "an empty string is disallowed"),
            class => report.invalid_each(&class_at, &class, names::dns_subdomain(class)),
        }
        if spec.csi.is_none() {
            report.required(&at.child("csi"), "has to be specified when using volumeAttributesClassName");
        }
    }
    const MOUNT_OPTIONS: &str = "volume.beta.kubernetes.io/mount-options";
    let annotated = object.metadata.annotations.as_ref().is_some_and(|map| map.contains_key(MOUNT_OPTIONS));
    if annotated && !types.iter().any(|kind| MOUNTED_WITH_OPTIONS.contains(kind)) {
        let at = At::root("metadata").child("annotations").child(MOUNT_OPTIONS);
        report.forbidden(&at, "may not specify mount options for this volume type");
    }
}

/// Whether a path is the root once it is cleaned.
fn is_root(path: &str) -> bool {
    path.starts_with('/') && path.split('/').all(|part| part.is_empty() || part == ".")
}

fn access_modes(report: &mut Report, at: &At, modes: &[String]) {
    let at = at.child("accessModes");
    for mode in modes.iter().filter(|mode| !ACCESS_MODES.contains(&mode.as_str())) {
        report.not_supported(&at, mode, &ACCESS_MODES);
    }
    let is_single = |mode: &&String| mode.as_str() == "ReadWriteOncePod";
    let others = modes.iter().any(|mode| !is_single(&mode) && ACCESS_MODES.contains(&mode.as_str()));
    if modes.iter().any(|mode| is_single(&mode)) && others {
        report.forbidden(&at, "may not use ReadWriteOncePod with other access modes");
    }
}

fn capacity(report: &mut Report, at: &At, list: Option<&BTreeMap<String, QuantityText>>) {
    if list.is_none_or(BTreeMap::is_empty) {
        report.required(at, "");
    }
    if list.is_none_or(|list| list.len() > 1 || !list.contains_key("storage")) {
        report.not_supported(at, &AsJson(&list), &["storage"]);
    }
    for (name, text) in list.into_iter().flatten() {
        let Ok(quantity) = text.0.parse::<Quantity>() else { continue };
        let at = at.key(name);
        basic(report, &at, text);
        positive(report, &at, quantity);
    }
}

/// Checks what a claim has. Source: `validateBasicResource`.
pub(super) fn basic(report: &mut Report, at: &At, text: &QuantityText) {
    if let Ok(quantity) = text.0.parse::<Quantity>()
        && quantity.is_negative()
    {
        report.invalid(at, &quantity.value(), "must be a valid resource quantity");
    }
}

/// Whether a claim can have such a resource. Source: `validatePersistentVolumeClaimResourceKey`.
pub(super) fn claim_resource(report: &mut Report, at: &At, name: &str) -> bool {
    let faults = names::qualified_name(name);
    report.invalid_each(at, &name, faults.clone());
    let is_known = name == "storage" || name.contains('/') && !name.contains("kubernetes.io/");
    if faults.is_empty() && !is_known {
        report.not_supported(at, &name, &["storage"]);
    }
    faults.is_empty() && is_known
}

fn positive(report: &mut Report, at: &At, quantity: Quantity) {
    if quantity.is_negative() || quantity.is_zero() {
        report.invalid(at, &quantity.to_string(), "must be greater than zero");
    }
}

fn class_name(report: &mut Report, at: &At, class: Option<&str>) {
    if let Some(class) = class.filter(|class| !class.is_empty()) {
        report.invalid_each(at, &class, names::dns_subdomain(class));
    }
}

fn volume_mode(report: &mut Report, at: &At, mode: Option<&str>) {
    if let Some(mode) = mode.filter(|mode| !["Block", "Filesystem"].contains(mode)) {
        report.not_supported(&at.child("volumeMode"), &mode, &["Block", "Filesystem"]);
    }
}

pub(super) fn present(report: &mut Report, at: &At, text: &str) {
    if text.is_empty() {
        report.required(at, "");
    }
}

pub(super) fn driver_name(report: &mut Report, at: &At, name: &str) {
    present(report, at, name);
    if name.len() > DRIVER_NAME_MAX {
        report.too_long(at, DRIVER_NAME_MAX);
    }
    report.invalid_each(at, &name, names::dns_subdomain(&name.to_lowercase()));
}

/// Checks a PersistentVolumeClaim.
pub(super) fn claim(report: &mut Report, object: &PersistentVolumeClaim) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let mut spec = object.spec.clone().unwrap_or_default();
    one_data_source(&mut spec);
    claim_spec(report, &At::root("spec"), &spec);
}

/// Checks a new claim. What is neither a claim nor a snapshot is passed over where the older of the two fields names it
/// alone.
///
/// Source: `EnforceDataSourceBackwardsCompatibility`, pkg/api/persistentvolumeclaim/util.go (v1.34.1).
pub(super) fn new_claim(report: &mut Report, object: &PersistentVolumeClaim) {
    let mut object = object.clone();
    if let Some(spec) = object.spec.as_mut().filter(|spec| spec.data_source_ref.is_none()) {
        let is_known = |it: &TypedLocalObjectReference| {
            let group = it.api_group.as_deref().unwrap_or_default();
            let known = [("PersistentVolumeClaim", ""), ("VolumeSnapshot", "snapshot.storage.k8s.io")];
            known.contains(&(it.kind.as_str(), group))
        };
        spec.data_source = spec.data_source.take().filter(is_known);
    }
    claim(report, &object);
}

/// Gives each of the two fields for what a volume begins with the value of the other where that is missing.
///
/// Source: `NormalizeDataSources`, pkg/api/persistentvolumeclaim/util.go (v1.34.1).
pub(super) fn one_data_source(spec: &mut PersistentVolumeClaimSpec) {
    match (&spec.data_source, &spec.data_source_ref) {
        (Some(it), None) => {
            let (api_group, kind, name) = (it.api_group.clone(), it.kind.clone(), it.name.clone());
            spec.data_source_ref = Some(TypedObjectReference { api_group, kind, name, namespace: None });
        }
        (None, Some(it)) if it.namespace.as_deref().unwrap_or_default().is_empty() => {
            let (api_group, kind, name) = (it.api_group.clone(), it.kind.clone(), it.name.clone());
            spec.data_source = Some(TypedLocalObjectReference { api_group, kind, name });
        }
        _ => {}
    }
}

/// Checks a claim's spec, in a claim or in a template.
pub(super) fn claim_spec(report: &mut Report, at: &At, spec: &PersistentVolumeClaimSpec) {
    let modes = spec.access_modes.as_deref().unwrap_or_default();
    if modes.is_empty() {
        report.required(&at.child("accessModes"), "at least 1 access mode is required");
    }
    if let Some(labels) = &spec.selector {
        selector::check(report, &at.child("selector"), labels);
    }
    access_modes(report, at, modes);
    let requests = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let storage_at = at.child("resources").key("storage");
    match requests.and_then(|requests| requests.get("storage")) {
        None => report.required(&storage_at, ""),
        Some(text) => text.0.parse().iter().for_each(|quantity| positive(report, &storage_at, *quantity)),
    }
    class_name(report, &at.child("storageClassName"), spec.storage_class_name.as_deref());
    volume_mode(report, at, spec.volume_mode.as_deref());
    data_sources(report, at, spec);
    class_name(report, &at.child("volumeAttributesClassName"), spec.volume_attributes_class_name.as_deref());
}

/// Checks what a claim is filled from.
fn data_sources(report: &mut Report, at: &At, spec: &PersistentVolumeClaimSpec) {
    let mut one = |field: &str, name: &str, kind: &str, group: Option<&String>| {
        let at = at.child(field);
        present(report, &at.child("name"), name);
        present(report, &at.child("kind"), kind);
        match group.map_or("", String::as_str) {
            "" if kind != "PersistentVolumeClaim" => {
                let detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
                report.invalid(&at, &kind, detail);
            }
            "" => {}
            group => report.invalid_each(&at.child("apiGroup"), &group, names::dns_subdomain(group)),
        }
    };
    if let Some(it) = &spec.data_source {
        one("dataSource", &it.name, &it.kind, it.api_group.as_ref());
    }
    let Some(it) = &spec.data_source_ref else { return };
    one("dataSourceRef", &it.name, &it.kind, it.api_group.as_ref());
    let namespace = it.namespace.as_deref().filter(|namespace| !namespace.is_empty());
    if let Some(namespace) = namespace {
        let at = at.child("dataSourceRef").child("namespace");
        report.invalid_each(&at, &namespace, names::dns_label(namespace));
    }
    let Some(plain) = &spec.data_source else { return };
    let same = (&plain.api_group, &plain.kind, &plain.name) == (&it.api_group, &it.kind, &it.name);
    // The API server shows a path here, which has nothing to show.
    if namespace.is_some() {
        let detail = "may not be specified when dataSourceRef.namespace is specified";
        report.invalid(at, &AsWritten("{}"), detail);
    } else if !same {
        report.invalid(at, &AsWritten("{}"), "must match dataSourceRef");
    }
}
