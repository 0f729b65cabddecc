//! Checks of volumes, claims, storage classes, and what CSI drivers write.
//!
//! Inline volumes of VolumeAttachments are not looked at.
//!
//! Source: pkg/apis/core/validation/validation.go (`ValidatePersistentVolumeSpec`, `ValidatePersistentVolumeClaimSpec`),
//! pkg/apis/storage/validation/validation.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeSpec, TopologySelectorTerm,
};
use k8s_openapi::api::storage::v1::{
    CSIDriver, CSINode, CSINodeDriver, CSIStorageCapacity, StorageClass, VolumeAttachment,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as QuantityText;
use wavetank_core::quantity::Quantity;

use super::report::{AsJson, AsWritten, At, Report};
use super::volumes::ONLY_ONE;
use super::{legacy_volumes, metadata, names, scheduling, selector};
use crate::kubernetes::storage::{VOLUME_TYPES, types_of};

const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// The longest name of a CSI driver, in bytes.
const DRIVER_NAME_MAX: usize = 63;
/// The longest name that a CSI driver may give a node, in bytes.
const NODE_ID_MAX: usize = 256;
/// How many parameters a class may have.
const PARAMETERS_MAX: usize = 512;
/// How many bytes they may have together.
const PARAMETER_BYTES_MAX: usize = 256 << 10;

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
        if quantity.is_negative() {
            report.invalid(&at, &quantity.value(), "must be a valid resource quantity");
        }
        positive(report, &at, quantity);
    }
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
    let empty = PersistentVolumeClaimSpec::default();
    claim_spec(report, &At::root("spec"), object.spec.as_ref().unwrap_or(&empty));
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

/// Checks a StorageClass.
pub(super) fn class(report: &mut Report, object: &StorageClass) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let at = At::root("provisioner");
    present(report, &at, &object.provisioner);
    if !object.provisioner.is_empty() {
        let shown = object.provisioner.to_lowercase();
        report.invalid_each(&at, &shown, names::qualified_name(&shown));
    }
    parameters(report, &At::root("parameters"), object.parameters.as_ref());
    if let Some(policy) = object.reclaim_policy.as_deref().filter(|policy| !policy.is_empty()) {
        report.one_of(&At::root("reclaimPolicy"), Some(policy), &["Delete", "Retain"]);
    }
    match object.volume_binding_mode.as_deref() {
        Some("Immediate" | "WaitForFirstConsumer") | None => {}
        Some(mode) => {
            report.not_supported(&At::root("volumeBindingMode"), &mode, &["Immediate", "WaitForFirstConsumer"]);
        }
    }
    topologies(report, &At::root("allowedTopologies"), object.allowed_topologies.as_deref().unwrap_or_default());
}

fn parameters(report: &mut Report, at: &At, parameters: Option<&BTreeMap<String, String>>) {
    let Some(parameters) = parameters else { return };
    if parameters.len() > PARAMETERS_MAX {
        return report.too_long(at, PARAMETERS_MAX);
    }
    if parameters.contains_key("") {
        report.invalid(at, &"", "field can not be empty.");
    }
    if parameters.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > PARAMETER_BYTES_MAX {
        report.too_long(at, PARAMETER_BYTES_MAX);
    }
}

fn topologies(report: &mut Report, at: &At, terms: &[TopologySelectorTerm]) {
    let mut seen: Vec<BTreeMap<&str, BTreeSet<&String>>> = Vec::new();
    for (index, term) in terms.iter().enumerate() {
        let at = at.index(index);
        let mut keys = BTreeMap::new();
        for (index, requirement) in term.match_label_expressions.iter().flatten().enumerate() {
            let at = at.child("matchLabelExpressions").index(index);
            if requirement.values.is_empty() {
                report.required(&at.child("values"), "");
            }
            let mut values = BTreeSet::new();
            for (index, value) in requirement.values.iter().enumerate() {
                if !values.insert(value) {
                    report.duplicate(&at.child("values").index(index), value, "");
                }
            }
            metadata::label_name(report, &at.child("key"), &requirement.key);
            if keys.insert(requirement.key.as_str(), values).is_some() {
                report.duplicate(&at.child("key"), &requirement.key, "");
            }
        }
        if seen.contains(&keys) {
            report.duplicate(&at.child("matchLabelExpressions"), &"", "");
        }
        seen.push(keys);
    }
}

/// Checks what a node says of its CSI drivers.
pub(super) fn csi_node(report: &mut Report, object: &CSINode) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let mut seen = BTreeSet::new();
    for (index, driver) in object.spec.drivers.iter().enumerate() {
        csi_node_driver(report, &At::root("spec").child("drivers").index(index), driver, &mut seen);
    }
}

fn csi_node_driver<'a>(report: &mut Report, at: &At, driver: &'a CSINodeDriver, seen: &mut BTreeSet<&'a str>) {
    driver_name(report, &at.child("name"), &driver.name);
    present(report, &at.child("nodeID"), &driver.node_id);
    if driver.node_id.len() > NODE_ID_MAX {
        report.invalid(&at.child("nodeID"), &driver.node_id, &format!("must be {NODE_ID_MAX} characters or less"));
    }
    if let Some(count) = driver.allocatable.as_ref().and_then(|allocatable| allocatable.count) {
        report.not_negative(&at.child("allocatable").child("count"), count.into());
    }
    if !seen.insert(driver.name.as_str()) {
        report.duplicate(&at.child("name"), &driver.name, "");
    }
    let mut keys = BTreeSet::new();
    for key in driver.topology_keys.iter().flatten() {
        present(report, at, key);
        if !keys.insert(key) {
            report.duplicate(at, key, "");
        }
        report.invalid_each(at, key, names::qualified_name(key));
    }
}

/// Checks a CSI driver.
pub(super) fn csi_driver(report: &mut Report, object: &CSIDriver) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let (spec, at) = (&object.spec, At::root("spec"));
    if let Some(policy) = spec.fs_group_policy.as_deref() {
        let supported = ["File", "None", "ReadWriteOnceWithFSType"];
        if !supported.contains(&policy) {
            report.not_supported(&at.child("fsGroupPolicy"), &policy, &supported);
        }
    }
    let modes = spec.volume_lifecycle_modes.iter().flatten();
    for mode in modes.filter(|mode| !["Persistent", "Ephemeral"].contains(&mode.as_str())) {
        report.not_supported(&at.child("volumeLifecycleModes"), mode, &["Persistent", "Ephemeral"]);
    }
    if let Some(period) = spec.node_allocatable_update_period_seconds.filter(|period| *period < 10) {
        let at = at.child("nodeAllocatableUpdatePeriodSeconds");
        report.invalid(&at, &period, "must be greater than or equal to 10 seconds");
    }
}

/// Checks what a CSI driver says it can still make.
pub(super) fn csi_capacity(report: &mut Report, object: &CSIStorageCapacity) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    if let Some(labels) = &object.node_topology {
        selector::check(report, &At::root("nodeTopology"), labels);
    }
    let class = object.storage_class_name.as_str();
    report.invalid_each(&At::root("storageClassName"), &class, names::dns_subdomain(class));
    if let Some(Ok(capacity)) = object.capacity.as_ref().map(|text| text.0.parse::<Quantity>())
        && capacity.is_negative()
    {
        report.invalid(&At::root("capacity"), &capacity.to_string(), "must be greater than or equal to 0");
    }
}

/// Checks an attachment.
pub(super) fn attachment(report: &mut Report, object: &VolumeAttachment) {
    metadata::check(report, &object.metadata, names::dns_subdomain);
    let (spec, at) = (&object.spec, At::root("spec"));
    present(report, &at.child("attacher"), &spec.attacher);
    let source_at = at.child("source");
    const ONE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    match (&spec.source.inline_volume_spec, spec.source.persistent_volume_name.as_deref()) {
        (None, None) => report.required(&source_at, ONE),
        (Some(_), Some(_)) => report.forbidden(&source_at, ONE),
        (None, Some("")) => {
            report.required(&source_at.child("persistentVolumeName"), "must specify non empty persistentVolumeName");
        }
        _ => {}
    }
    let node = spec.node_name.as_str();
    report.invalid_each(&at.child("nodeName"), &node, names::dns_subdomain(node));
    driver_name(report, &At::root("spec.attacher"), &spec.attacher);
    if let Some(volume) = spec.source.persistent_volume_name.as_deref().filter(|name| !name.is_empty()) {
        report.invalid_each(&source_at.child("persistentVolumeName"), &volume, names::dns_subdomain(volume));
    }
}
