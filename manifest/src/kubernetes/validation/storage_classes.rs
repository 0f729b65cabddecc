//! Checks of storage classes, and of what CSI drivers write.
//!
//! Inline volumes of VolumeAttachments are not looked at. Source: pkg/apis/storage/validation/validation.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::TopologySelectorTerm;
use k8s_openapi::api::storage::v1::{
    CSIDriver, CSINode, CSINodeDriver, CSIStorageCapacity, StorageClass, VolumeAttachment,
};
use wavetank_core::quantity::Quantity;

use super::report::{At, Report};
use super::storage::{driver_name, present};
use super::{metadata, names, selector};

/// The longest name that a CSI driver may give a node, in bytes.
const NODE_ID_MAX: usize = 256;
/// How many parameters a class may have.
const PARAMETERS_MAX: usize = 512;
/// How many bytes they may have together.
const PARAMETER_BYTES_MAX: usize = 256 << 10;

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
        // The API server compares with terms of nothing too, as many as there are terms.
        if keys.is_empty() || seen.contains(&keys) {
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
    let mut audiences = BTreeSet::new();
    for (index, request) in spec.token_requests.iter().flatten().enumerate() {
        let at = at.child("tokenRequests").index(index);
        if !audiences.insert(request.audience.as_str()) {
            report.duplicate(&at.child("audience"), &request.audience, "");
            continue;
        }
        let seconds_at = at.child("expirationSeconds");
        match request.expiration_seconds {
            Some(seconds) if seconds < 600 => {
                report.invalid(&seconds_at, &seconds, "may not specify a duration less than 10 minutes");
            }
            Some(seconds) if seconds > 1 << 32 => {
                report.invalid(&seconds_at, &seconds, "may not specify a duration larger than 2^32 seconds");
            }
            _ => {}
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

/// What is checked of an attachment on creation and on update.
pub(super) fn attachment_spec(report: &mut Report, object: &VolumeAttachment) {
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
}

/// Checks a new attachment.
pub(super) fn attachment(report: &mut Report, object: &VolumeAttachment) {
    attachment_spec(report, object);
    let (spec, source_at) = (&object.spec, At::root("spec").child("source"));
    driver_name(report, &At::root("spec.attacher"), &spec.attacher);
    if let Some(volume) = spec.source.persistent_volume_name.as_deref() {
        report.invalid_each(&source_at.child("persistentVolumeName"), &volume, names::dns_subdomain(volume));
    }
}
