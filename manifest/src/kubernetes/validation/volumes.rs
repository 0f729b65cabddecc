//! Checks of pods' volumes, and of what volumes of every kind stand for.
//!
//! Sources are looked at as JSON, because those of PersistentVolumes are other types with the same fields.
//!
//! Source: `ValidateVolumes`, `validateVolumeSource`, `ValidatePersistentVolumeSpec`,
//! pkg/apis/core/validation/validation.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{EphemeralVolumeSource, PodSpec, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use wavetank_core::quantity::Quantity;

use super::report::{AsJson, At, Report};
use super::{legacy_volumes, metadata, mounts, names, sources, storage};
use crate::kubernetes::storage::{POD_VOLUME_TYPES, types_of};

pub(super) const ONLY_ONE: &str = "may not specify more than 1 volume type";

/// Checks a pod's volumes and returns those that are in order. `pod` is the pod's metadata; templates have none.
pub(super) fn all<'a>(
    report: &mut Report,
    at: &At,
    spec: &'a PodSpec,
    pod: Option<&ObjectMeta>,
) -> BTreeMap<&'a str, &'a Volume> {
    let volumes = spec.volumes.as_deref().unwrap_or_default();
    let pod_name = pod.and_then(|pod| pod.name.as_deref()).filter(|name| !name.is_empty());
    let made: BTreeSet<String> = volumes
        .iter()
        .filter(|volume| volume.ephemeral.is_some())
        .filter_map(|volume| Some(format!("{}-{}", pod_name?, volume.name)))
        .collect();
    let mut good = BTreeMap::new();
    for (index, volume) in volumes.iter().enumerate() {
        let (at, before) = (at.index(index), report.causes.len());
        of_pod(report, &at, volume, pod_name);
        if volume.name.is_empty() {
            report.required(&at.child("name"), "");
        } else {
            report.invalid_each(&at.child("name"), &volume.name, names::dns_label(&volume.name));
        }
        if good.contains_key(volume.name.as_str()) {
            report.duplicate(&at.child("name"), &volume.name, "");
        }
        if report.causes.len() == before {
            good.insert(volume.name.as_str(), volume);
        }
        if let Some(claim) = volume.persistent_volume_claim.as_ref().filter(|claim| made.contains(&claim.claim_name)) {
            let at = at.child("persistentVolumeClaim").child("claimName");
            report.invalid(
                &at,
                &claim.claim_name,
                "must not reference a PVC that gets created for an ephemeral volume",
            );
        }
    }
    good
}

/// Volumes of images are behind a gate that is off: the API server drops them before it validates.
fn of_pod(report: &mut Report, at: &At, volume: &Volume, pod_name: Option<&str>) {
    let types: Vec<&str> = types_of(volume, POD_VOLUME_TYPES).into_iter().filter(|kind| *kind != "image").collect();
    let json = serde_json::to_value(volume).unwrap_or_default();
    for (number, kind) in types.iter().enumerate() {
        match *kind {
            _ if number > 0 => {
                // The API server writes two of the fields otherwise here.
                let field = match *kind {
                    "cephfs" => "cephFS",
                    "downwardAPI" => "downwarAPI",
                    kind => kind,
                };
                report.forbidden(&at.child(field), ONLY_ONE);
            }
            "emptyDir" => {
                let limit = json["emptyDir"]["sizeLimit"].as_str().and_then(|text| text.parse::<Quantity>().ok());
                if limit.is_some_and(|limit| limit.is_negative()) {
                    let detail = "SizeLimit field must be a valid resource quantity";
                    report.forbidden(&at.child("emptyDir").child("sizeLimit"), detail);
                }
            }
            "secret" | "configMap" | "downwardAPI" | "projected" => {
                sources::files(report, &at.child(kind), volume, kind);
            }
            "persistentVolumeClaim" => {
                let claim = text(&json["persistentVolumeClaim"], "claimName");
                storage::present(report, &at.child(kind).child("claimName"), claim);
            }
            "csi" => csi(report, &at.child("csi"), &json["csi"]),
            "ephemeral" => {
                volume.ephemeral.iter().for_each(|it| ephemeral(report, &at.child("ephemeral"), it));
                if let Some(claim) = pod_name.filter(|_| !volume.name.is_empty()) {
                    let claim = format!("{claim}-{}", volume.name);
                    let faults = names::dns_subdomain(&claim);
                    let faults = faults.into_iter().map(|fault| format!("PVC name {claim:?}: {fault}")).collect();
                    report.invalid_each(&at.child("name"), &volume.name, faults);
                }
            }
            kind => legacy_volumes::source(report, at, kind, &json[kind], None),
        }
        if *kind == "iscsi" && json["iscsi"]["initiatorName"].is_string() {
            let whole = format!("{}:{}", volume.name, text(&json["iscsi"], "targetPortal"));
            if whole.len() > 64 {
                let detail = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if \
                              iscsi.initiatorName is specified.";
                report.invalid(&at.child("name"), &volume.name, detail);
            }
        }
    }
    if types.is_empty() {
        report.required(at, "must specify a volume type");
    }
}

/// The text of a field; empty if there is none, as in Go.
pub(super) fn text<'a>(json: &'a Value, field: &str) -> &'a str {
    json[field].as_str().unwrap_or_default()
}

fn csi(report: &mut Report, at: &At, json: &Value) {
    storage::driver_name(report, &at.child("driver"), text(json, "driver"));
    let secret = &json["nodePublishSecretRef"];
    if !secret.is_null() {
        match text(secret, "name") {
            "" => report.required(&at.child("nodePublishSecretRef").child("name"), ""),
            name => report.invalid_each(&at.child("name"), &name, names::dns_subdomain(name)),
        }
    }
}

fn ephemeral(report: &mut Report, at: &At, source: &EphemeralVolumeSource) {
    let at = at.child("volumeClaimTemplate");
    let Some(template) = &source.volume_claim_template else { return report.required(&at, "") };
    let meta_at = at.child("metadata");
    let meta = template.metadata.clone().unwrap_or_default();
    metadata::annotations(report, &meta_at.child("annotations"), meta.annotations.as_ref());
    metadata::labels(report, &meta_at.child("labels"), meta.labels.as_ref());
    let set = [
        ("name", meta.name.as_ref().is_some_and(|it| !it.is_empty())),
        ("generateName", meta.generate_name.as_ref().is_some_and(|it| !it.is_empty())),
        ("namespace", meta.namespace.as_ref().is_some_and(|it| !it.is_empty())),
        ("ownerReferences", meta.owner_references.is_some()),
        ("finalizers", meta.finalizers.is_some()),
    ];
    for (field, _) in set.into_iter().filter(|(_, set)| *set) {
        report.forbidden(&meta_at.child(field), "cannot be set");
    }
    storage::claim_spec(report, &at.child("spec"), &template.spec);
}

/// A path on a node that must be there and must not climb, and its type.
pub(super) fn host_path(report: &mut Report, at: &At, json: &Value) {
    const TYPES: [&str; 8] =
        ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
    match text(json, "path") {
        "" => return report.required(&at.child("path"), ""),
        path => mounts::no_backsteps(report, &at.child("path"), path),
    }
    if let Some(kind) = json["type"].as_str().filter(|kind| !TYPES.contains(kind)) {
        report.not_supported(&at.child("type"), &AsJson(&kind), &TYPES);
    }
}
