//! Checks of what containers mount: volumes as files and as devices.
//!
//! Source: `ValidateVolumeMounts`, `ValidateVolumeDevices`, pkg/apis/core/validation/validation.go (v1.34.1).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, VolumeMount};

use super::container::OfPod;
use super::report::{At, Report};

const PROPAGATIONS: [&str; 3] = ["Bidirectional", "HostToContainer", "None"];
const RECURSIVE: [&str; 3] = ["Disabled", "Enabled", "IfPossible"];

/// Checks the volumes that a container mounts as files.
pub(super) fn mounts(report: &mut Report, at: &At, container: &Container, pod: &OfPod<'_>) {
    let devices = container.volume_devices.as_deref().unwrap_or_default();
    let mut seen = BTreeSet::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let own = at.index(index);
        if mount.name.is_empty() {
            report.required(&own.child("name"), "");
        }
        if !pod.volumes.contains_key(mount.name.as_str()) {
            report.not_found(&own.child("name"), &mount.name);
        }
        if mount.mount_path.is_empty() {
            report.required(&own.child("mountPath"), "");
        }
        if !seen.insert(mount.mount_path.as_str()) {
            report.invalid(&own.child("mountPath"), &mount.mount_path, "must be unique");
        }
        if devices.iter().any(|device| device.name == mount.name) {
            report.invalid(&own.child("name"), &mount.name, "must not already exist in volumeDevices");
        }
        if devices.iter().any(|device| device.device_path == mount.mount_path) {
            let detail = "must not already exist as a path in volumeDevices";
            report.invalid(&own.child("mountPath"), &mount.mount_path, detail);
        }
        // From here on the API server names the list, not the mount.
        let (path, expression) = (mount.sub_path.as_deref(), mount.sub_path_expr.as_deref());
        let given = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
        if let Some(path) = path.filter(|_| given(path)) {
            descending_path(report, &at.child("subPath"), path);
        }
        if let Some(expression) = expression.filter(|_| given(expression)) {
            if given(path) {
                let detail = "subPathExpr and subPath are mutually exclusive";
                report.invalid(&own.child("subPathExpr"), &expression, detail);
            }
            descending_path(report, &at.child("subPathExpr"), expression);
        }
        propagation(report, &at.child("mountPropagation"), mount, container);
        recursive_read_only(report, &at.child("recursiveReadOnly"), mount);
    }
}

fn propagation(report: &mut Report, at: &At, mount: &VolumeMount, container: &Container) {
    let Some(mode) = mount.mount_propagation.as_deref() else { return };
    if !PROPAGATIONS.contains(&mode) {
        report.not_supported(at, &mode, &PROPAGATIONS);
    }
    let is_privileged = container.security_context.as_ref().is_some_and(|context| context.privileged == Some(true));
    if mode == "Bidirectional" && !is_privileged {
        report.forbidden(at, "Bidirectional mount propagation is available only to privileged containers");
    }
}

fn recursive_read_only(report: &mut Report, at: &At, mount: &VolumeMount) {
    match mount.recursive_read_only.as_deref() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if mount.read_only != Some(true) {
                report.forbidden(at, "may only be specified when readOnly is true");
            }
            if mount.mount_propagation.as_deref().is_some_and(|mode| mode != "None") {
                report.forbidden(at, "may only be specified when mountPropagation is None or not specified");
            }
        }
        Some(other) => report.not_supported(at, &other, &RECURSIVE),
    }
}

/// Checks the volumes that a container has as devices.
pub(super) fn devices(report: &mut Report, at: &At, container: &Container, pod: &OfPod<'_>) {
    let mounts = container.volume_mounts.as_deref().unwrap_or_default();
    let (mut names, mut paths) = (BTreeSet::new(), BTreeSet::new());
    for (index, device) in container.volume_devices.iter().flatten().enumerate() {
        let (name_at, path_at) = (at.index(index).child("name"), at.index(index).child("devicePath"));
        let (name, path) = (&device.name, &device.device_path);
        let volume = pod.volumes.get(name.as_str());
        if name.is_empty() {
            report.required(&name_at, "");
        }
        if names.contains(name) {
            report.invalid(&name_at, name, "must be unique");
        }
        match volume {
            Some(volume) if volume.persistent_volume_claim.is_none() && volume.ephemeral.is_none() => {
                let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                report.invalid(&name_at, name, detail);
            }
            Some(_) => {}
            None => report.not_found(&name_at, name),
        }
        if path.is_empty() {
            report.required(&path_at, "");
        }
        if paths.contains(path) {
            report.invalid(&path_at, path, "must be unique");
        }
        if climbs(path) {
            report.invalid(&path_at, path, "can not contain backsteps ('..')");
        } else {
            paths.insert(path);
        }
        if mounts.iter().any(|mount| mount.name == *name) {
            report.invalid(&name_at, name, "must not already exist in volumeMounts");
        }
        if mounts.iter().any(|mount| mount.mount_path == *path) {
            report.invalid(&path_at, path, "must not already exist as a path in volumeMounts");
        }
        if !name.is_empty() {
            names.insert(name);
        }
    }
}

/// A path that is relative and does not climb.
pub(super) fn descending_path(report: &mut Report, at: &At, path: &str) {
    if path.starts_with('/') {
        report.invalid(at, &path, "must be a relative path");
    }
    no_backsteps(report, at, path);
}

/// A path that does not climb.
pub(super) fn no_backsteps(report: &mut Report, at: &At, path: &str) {
    if climbs(path) {
        report.invalid(at, &path, "must not contain '..'");
    }
}

fn climbs(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}
