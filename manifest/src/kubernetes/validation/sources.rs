//! Checks of what pods take from elsewhere: files from ConfigMaps, Secrets and the pod itself.
//!
//! Trust bundles and pod certificates are behind gates that are off: the API server drops them before it validates.
//! Source: `validateVolumeSource`, `validateProjectionSources`, `validateObjectFieldSelector`,
//! pkg/apis/core/validation/validation.go (v1.34.1).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    DownwardAPIVolumeFile, KeyToPath, ObjectFieldSelector, ProjectedVolumeSource, ResourceFieldSelector, Volume,
};

use wavetank_core::quantity::Quantity;

use super::mounts;
use super::names;
use super::report::{At, Report};

const FILE_MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
pub(super) const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const VOLUME_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// Checks the part `kind` of a volume whose files the kubelet writes.
pub(super) fn files(report: &mut Report, at: &At, volume: &Volume, kind: &str) {
    match kind {
        "secret" => volume.secret.iter().for_each(|source| {
            present(report, &at.child("secretName"), source.secret_name.as_deref().unwrap_or_default());
            mode(report, &at.child("defaultMode"), source.default_mode);
            items(report, at, source.items.as_ref());
        }),
        "configMap" => volume.config_map.iter().for_each(|source| {
            present(report, &at.child("name"), &source.name);
            mode(report, &at.child("defaultMode"), source.default_mode);
            items(report, at, source.items.as_ref());
        }),
        "downwardAPI" => volume.downward_api.iter().for_each(|source| {
            mode(report, &at.child("defaultMode"), source.default_mode);
            source.items.iter().flatten().for_each(|file| downward(report, at, file));
        }),
        "projected" => volume.projected.iter().for_each(|source| {
            mode(report, &at.child("defaultMode"), source.default_mode);
            projections(report, at, source);
        }),
        _ => {}
    }
}

fn projections(report: &mut Report, at: &At, volume: &ProjectedVolumeSource) {
    let mut paths = BTreeSet::new();
    for (index, source) in volume.sources.iter().flatten().enumerate() {
        let source_at = at.child("sources").index(index);
        let mut given = 0;
        for (kind, object, list) in [
            (
                "secret",
                source.secret.as_ref().map(|it| &it.name),
                source.secret.as_ref().and_then(|it| it.items.as_ref()),
            ),
            (
                "configMap",
                source.config_map.as_ref().map(|it| &it.name),
                source.config_map.as_ref().and_then(|it| it.items.as_ref()),
            ),
        ] {
            let Some(object) = object else { continue };
            given += 1;
            let object_at = source_at.child(kind);
            present(report, &object_at.child("name"), object);
            items(report, &object_at, list);
            for item in list.into_iter().flatten().filter(|item| !item.path.is_empty()) {
                if !paths.insert(item.path.clone()) {
                    report.invalid(at, object, "conflicting duplicate paths");
                }
            }
        }
        if let Some(it) = &source.downward_api {
            given += 1;
            let downward_at = source_at.child("downwardAPI");
            for file in it.items.iter().flatten() {
                downward(report, &downward_at, file);
                if !file.path.is_empty() && !paths.insert(file.path.clone()) {
                    report.invalid(at, &file.path, "conflicting duplicate paths");
                }
            }
        }
        if let Some(it) = &source.service_account_token {
            given += 1;
            let token_at = source_at.child("serviceAccountToken");
            let seconds = it.expiration_seconds.unwrap_or(0);
            if seconds < 600 {
                report.invalid(
                    &token_at.child("expirationSeconds"),
                    &seconds,
                    "may not specify a duration less than 10 minutes",
                );
            }
            if seconds > 1 << 32 {
                report.invalid(
                    &token_at.child("expirationSeconds"),
                    &seconds,
                    "may not specify a duration larger than 2^32 seconds",
                );
            }
            // The API server names the volume here, not the source.
            if it.path.is_empty() {
                report.required(&at.child("path"), "");
            } else {
                local_path(report, &at.child("path"), &it.path);
            }
        }
        if given > 1 {
            report.forbidden(&source_at, "may not specify more than 1 volume type per source");
        }
    }
}

fn present(report: &mut Report, at: &At, value: &str) {
    if value.is_empty() {
        report.required(at, "");
    }
}

fn mode(report: &mut Report, at: &At, mode: Option<i32>) {
    if let Some(mode) = mode.filter(|mode| !(0..=0o777).contains(mode)) {
        report.invalid(at, &mode, FILE_MODE);
    }
}

fn items(report: &mut Report, at: &At, items: Option<&Vec<KeyToPath>>) {
    for (index, item) in items.into_iter().flatten().enumerate() {
        let at = at.child("items").index(index);
        present(report, &at.child("key"), &item.key);
        present(report, &at.child("path"), &item.path);
        local_path(report, &at.child("path"), &item.path);
        mode(report, &at.child("mode"), item.mode);
    }
}

/// A path that stays in its volume and leaves the names of its administration alone.
fn local_path(report: &mut Report, at: &At, path: &str) {
    mounts::descending_path(report, at, path);
    // A first part of just two dots has been found already.
    if path.starts_with("..") && !path.starts_with("../") {
        report.invalid(at, &path, "must not start with '..'");
    }
}

fn downward(report: &mut Report, at: &At, file: &DownwardAPIVolumeFile) {
    present(report, &at.child("path"), &file.path);
    local_path(report, &at.child("path"), &file.path);
    match (&file.field_ref, &file.resource_field_ref) {
        (Some(it), other) => {
            field(report, &at.child("fieldRef"), it, &VOLUME_FIELDS);
            if other.is_some() {
                report.invalid(at, &"resource", "fieldRef and resourceFieldRef can not be specified simultaneously");
            }
        }
        (None, Some(it)) => resource(report, &at.child("resourceFieldRef"), it, true),
        (None, None) => report.required(at, "one of fieldRef and resourceFieldRef is required"),
    }
    mode(report, &at.child("mode"), file.mode);
}

pub(super) fn field(report: &mut Report, at: &At, selector: &ObjectFieldSelector, fields: &[&str]) {
    let path = selector.field_path.as_str();
    if path.is_empty() {
        return report.required(&at.child("fieldPath"), "");
    }
    if let Some(version) = selector.api_version.as_deref().filter(|version| *version != "v1") {
        let detail = format!("error converting fieldPath: unsupported pod version: {version}");
        return report.invalid(&at.child("fieldPath"), &path, &detail);
    }
    let subscript = path.strip_suffix("']").and_then(|rest| rest.split_once("['"));
    let convertible = match subscript {
        Some((map, _)) => matches!(map, "metadata.labels" | "metadata.annotations"),
        None => path == "spec.host" || ENV_FIELDS.contains(&path) || VOLUME_FIELDS.contains(&path),
    };
    if !convertible {
        let fault = if subscript.is_some() { "does not support subscript" } else { "not supported" };
        let detail = format!("error converting fieldPath: field label {fault}: {path}");
        return report.invalid(&at.child("fieldPath"), &path, &detail);
    }
    match subscript {
        Some(("metadata.annotations", key)) => {
            let key = key.to_lowercase();
            report.invalid_each(at, &key, names::qualified_name(&key));
        }
        Some((_, key)) => report.invalid_each(at, &key, names::qualified_name(key)),
        None if path == "spec.host" || fields.contains(&path) => {}
        None => report.not_supported(&at.child("fieldPath"), &path, fields),
    }
}

pub(super) fn resource(report: &mut Report, at: &At, selector: &ResourceFieldSelector, in_volume: bool) {
    let name = selector.resource.as_str();
    if in_volume && selector.container_name.as_deref().unwrap_or_default().is_empty() {
        report.required(&at.child("containerName"), "");
    } else if name.is_empty() {
        report.required(&at.child("resource"), "");
    } else if !RESOURCES.contains(&name)
        && !["limits.hugepages-", "requests.hugepages-"].iter().any(|prefix| name.starts_with(prefix))
    {
        report.not_supported(&at.child("resource"), &name, &RESOURCES);
    }
    let divisor = selector.divisor.as_ref().and_then(|text| text.0.parse::<Quantity>().ok());
    let Some(divisor) = divisor.filter(|divisor| !divisor.is_zero()).map(|divisor| divisor.to_string()) else { return };
    let (allowed, detail): (&[&str], &str) = match name.split_once('.') {
        Some((_, "cpu")) => (&["1m", "1"], "only divisor's values 1m and 1 are supported with the cpu resource"),
        Some((_, "memory")) => (SIZES, SIZES_OF_MEMORY),
        Some((_, "ephemeral-storage")) => (SIZES, SIZES_OF_STORAGE),
        Some((_, pages)) if pages.starts_with("hugepages-") => (SIZES, SIZES_OF_PAGES),
        _ => return,
    };
    if !allowed.contains(&divisor.as_str()) {
        report.invalid(&at.child("divisor"), &name, detail);
    }
}

const SIZES: &[&str] = &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
const SIZES_OF_MEMORY: &str = "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are \
                               supported with the memory resource";
const SIZES_OF_STORAGE: &str = "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are \
                                supported with the local ephemeral storage resource";

const SIZES_OF_PAGES: &str = "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are \
                              supported with the hugepages resource";
