//! Checks of what volumes stand for that nodes or clouds have: all sources but those of Kubernetes itself.
//!
//! Source: pkg/apis/core/validation/validation.go (`validateNFSVolumeSource`, `validateISCSIVolumeSource` and their
//! neighbours, v1.34.1).

use serde_json::Value;

use super::report::{AsJson, At, Report};
use super::storage::{driver_name, present};
use super::volumes::{host_path, text};
use super::{mounts, names};

/// Checks a source of a volume; `volume` is the name of the PersistentVolume that has it, if it is one.
pub(super) fn source(report: &mut Report, at: &At, kind: &str, json: &Value, volume: Option<&str>) {
    let (parent, persistent) = (at, volume.is_some());
    let at = &at.child(kind);
    let mut fields = |fields: &[&str]| {
        for field in fields {
            present(report, &at.child(field), text(json, field));
        }
    };
    match kind {
        "hostPath" => host_path(report, at, json),
        "gitRepo" => {
            fields(&["repository"]);
            mounts::descending_path(report, &at.child("directory"), text(json, "directory"));
        }
        "gcePersistentDisk" => {
            // The API server names the field otherwise here.
            let at = parent.child("persistentDisk");
            present(report, &at.child("pdName"), text(json, "pdName"));
            partition(report, &at, json);
        }
        "awsElasticBlockStore" => {
            fields(&["volumeID"]);
            partition(report, at, json);
        }
        "nfs" => {
            fields(&["server", "path"]);
            let path = text(json, "path");
            if !path.starts_with('/') {
                report.invalid(&at.child("path"), &path, "must be an absolute path");
            }
        }
        "iscsi" => iscsi(report, at, json, volume),
        "glusterfs" => {
            fields(&["endpoints", "path"]);
            match json["endpointsNamespace"].as_str() {
                Some("") => {
                    let detail = "if the endpointnamespace is set, it must be a valid namespace name";
                    report.invalid(&at.child("endpointsNamespace"), &"", detail);
                }
                Some(name) => report.invalid_each(&at.child("endpointsNamespace"), &name, names::dns_label(name)),
                None => {}
            }
        }
        "flocker" => flocker(report, at, json),
        "rbd" | "cephfs" => {
            if json["monitors"].as_array().is_none_or(Vec::is_empty) {
                report.required(&at.child("monitors"), "");
            }
            if kind == "rbd" {
                present(report, &at.child("image"), text(json, "image"));
            }
        }
        "cinder" => {
            fields(&["volumeID"]);
            secret(report, at, json, persistent);
        }
        "quobyte" => quobyte(report, at, json),
        "fc" => fibre_channel(report, at, json),
        "flexVolume" => {
            fields(&["driver"]);
            flex_options(report, &at.child("options"), &json["options"]);
        }
        "azureFile" => {
            fields(&["secretName", "shareName"]);
            if json["secretNamespace"].as_str() == Some("") {
                report.required(&at.child("secretNamespace"), "");
            }
        }
        "vsphereVolume" => fields(&["volumePath"]),
        "photonPersistentDisk" => fields(&["pdID"]),
        "portworxVolume" => fields(&["volumeID"]),
        "azureDisk" => azure_disk(report, at, json),
        "storageos" => {
            fields(&["volumeName"]);
            for field in ["volumeName", "volumeNamespace"] {
                if let Some(name) = json[field].as_str().filter(|name| !name.is_empty()) {
                    report.invalid_each(&at.child(field), &name, names::dns_label(name));
                }
            }
            secret(report, at, json, persistent);
        }
        "scaleIO" => fields(&["gateway", "system", "volumeName"]),
        "csi" => csi(report, at, json),
        "local" => match text(json, "path") {
            "" => report.required(&at.child("path"), ""),
            path => mounts::no_backsteps(report, &at.child("path"), path),
        },
        _ => {}
    }
}

fn partition(report: &mut Report, at: &At, json: &Value) {
    if let Some(number) = json["partition"].as_i64().filter(|number| !(0..=255).contains(number)) {
        report.invalid(&at.child("partition"), &number, "must be between 1 and 255, inclusive");
    }
}

/// A reference to a Secret, which has a name, and of PersistentVolumes a namespace.
fn secret(report: &mut Report, at: &At, json: &Value, persistent: bool) {
    let (at, reference) = (at.child("secretRef"), &json["secretRef"]);
    for field in ["name", "namespace"].iter().take(1 + usize::from(persistent)).filter(|_| !reference.is_null()) {
        present(report, &at.child(field), text(reference, field));
    }
}

fn iscsi(report: &mut Report, at: &At, json: &Value, volume: Option<&str>) {
    let portal = text(json, "targetPortal");
    present(report, &at.child("targetPortal"), portal);
    let initiator = json["initiatorName"].as_str();
    if let (Some(volume), Some(_)) = (volume, initiator)
        && volume.len() + 1 + portal.len() > 64
    {
        let detail = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if \
                      iscsi.initiatorName is specified.";
        report.invalid(&at.child("targetportal"), &portal, detail);
    }
    let beginning =
        if volume.is_some() { "must be valid format" } else { "must be valid format starting with iqn, eui, or naa" };
    match text(json, "iqn") {
        "" => report.required(&at.child("iqn"), ""),
        name => qualified(report, &at.child("iqn"), name, beginning),
    }
    let lun = json["lun"].as_i64().unwrap_or(0);
    report.invalid_each(&at.child("lun"), &lun, names::in_range(lun, 0, 255));
    let asks = ["chapAuthDiscovery", "chapAuthSession"].iter().any(|field| json[field] == true);
    if asks && json["secretRef"].is_null() {
        report.required(&at.child("secretRef"), "");
    }
    if volume.is_some() && !json["secretRef"].is_null() {
        present(report, &at.child("secretRef").child("name"), text(&json["secretRef"], "name"));
    }
    if let Some(name) = initiator {
        qualified(report, &at.child("initiatorname"), name, beginning);
    }
}

/// Checks a name of a target or an initiator; `beginning` is said of one that begins like none of the three forms.
fn qualified(report: &mut Report, at: &At, name: &str, beginning: &str) {
    let is_good = match name.get(..3) {
        Some("iqn") => is_iqn(name),
        Some("eui") => is_number(name, 16),
        Some("naa") => is_number(name, 32),
        _ => return report.invalid(at, &name, beginning),
    };
    if !is_good {
        report.invalid(at, &name, "must be valid format");
    }
}

/// `iqn.2015-02.example.com:storage`.
fn is_iqn(name: &str) -> bool {
    let Some((year, rest)) = name.strip_prefix("iqn.").and_then(|rest| rest.split_once('-')) else { return false };
    let Some((month, rest)) = rest.split_once('.') else { return false };
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((authority, name)) = rest.split_once(':') else { return false };
    digits(year, 4)
        && digits(month, 2)
        && !authority.is_empty()
        && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        && !name.is_empty()
        && !name.contains([',', ';', '*', '&', '$', '|', ' ', '\t', '\n', '\r'])
}

/// A type of three letters, any letter, and so many letters and digits.
fn is_number(name: &str, length: usize) -> bool {
    name.len() == 4 + length && name.bytes().skip(4).all(|byte| byte.is_ascii_alphanumeric())
}

fn flocker(report: &mut Report, at: &At, json: &Value) {
    let (name, uuid) = (text(json, "datasetName"), text(json, "datasetUUID"));
    if name.is_empty() && uuid.is_empty() {
        report.required(at, "one of datasetName and datasetUUID is required");
    }
    if !name.is_empty() && !uuid.is_empty() {
        report.invalid(at, &"resource", "datasetName and datasetUUID can not be specified simultaneously");
    }
    if name.contains('/') {
        report.invalid(&at.child("datasetName"), &name, "must not contain '/'");
    }
}

fn quobyte(report: &mut Report, at: &At, json: &Value) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let registry = text(json, "registry");
    if registry.is_empty() {
        report.required(&at.child("registry"), PAIRS);
    } else if text(json, "tenant").len() >= 65 {
        report.required(&at.child("tenant"), "must be a UUID and may not exceed a length of 64 characters");
    } else {
        let is_pair = |pair: &str| match pair.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((_, port)) => port.starts_with(':'),
            None => pair.matches(':').count() == 1,
        };
        for _ in registry.split(',').filter(|pair| !is_pair(pair)) {
            report.invalid(&at.child("registry"), &registry, PAIRS);
        }
    }
    present(report, &at.child("volume"), text(json, "volume"));
}

fn fibre_channel(report: &mut Report, at: &At, json: &Value) {
    let count = |field: &str| json[field].as_array().map_or(0, Vec::len);
    let (targets, ids) = (count("targetWWNs"), count("wwids"));
    if targets == 0 && ids == 0 {
        report.required(&at.child("targetWWNs"), "must specify either targetWWNs or wwids, but not both");
    }
    if targets > 0 && ids > 0 {
        let detail = "targetWWNs and wwids can not be specified simultaneously";
        report.invalid(&at.child("targetWWNs"), &AsJson(&json["targetWWNs"]), detail);
    }
    match json["lun"].as_i64() {
        _ if targets == 0 => {}
        None => report.required(&at.child("lun"), "lun is required if targetWWNs is specified"),
        Some(lun) => report.invalid_each(&at.child("lun"), &lun, names::in_range(lun, 0, 255)),
    }
}

fn flex_options(report: &mut Report, at: &At, options: &Value) {
    for key in options.as_object().into_iter().flatten().map(|(key, _)| key) {
        let namespace = format!(".{}", key.split('/').next().unwrap_or(key).to_lowercase());
        if namespace.ends_with(".kubernetes.io") || namespace.ends_with(".k8s.io") {
            report.invalid(&at.key(key), key, "kubernetes.io and k8s.io namespaces are reserved");
        }
    }
}

fn azure_disk(report: &mut Report, at: &At, json: &Value) {
    present(report, &at.child("diskName"), text(json, "diskName"));
    let uri = text(json, "diskURI");
    present(report, &at.child("diskURI"), uri);
    let caching = json["cachingMode"].as_str().unwrap_or("ReadWrite");
    if !["None", "ReadOnly", "ReadWrite"].contains(&caching) {
        report.not_supported(&at.child("cachingMode"), &caching, &["None", "ReadOnly", "ReadWrite"]);
    }
    let kind = json["kind"].as_str().unwrap_or("Shared");
    if !["Dedicated", "Managed", "Shared"].contains(&kind) {
        report.not_supported(&at.child("kind"), &kind, &["Dedicated", "Managed", "Shared"]);
    }
    let (prefix, supported) = if kind == "Managed" {
        let disk = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
        ("/subscriptions/", disk)
    } else {
        ("https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd")
    };
    if !uri.starts_with(prefix) {
        report.not_supported(&at.child("diskURI"), &uri, &[supported]);
    }
}

fn csi(report: &mut Report, at: &At, json: &Value) {
    driver_name(report, &at.child("driver"), text(json, "driver"));
    present(report, &at.child("volumeHandle"), text(json, "volumeHandle"));
    let references =
        ["controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"];
    for field in references.into_iter().filter(|field| !json[field].is_null()) {
        let (at, reference) = (at.child(field), &json[field]);
        match text(reference, "name") {
            "" => report.required(&at.child("name"), ""),
            name => report.invalid_each(&at.child("name"), &name, names::dns_subdomain(name)),
        }
        match text(reference, "namespace") {
            "" => report.required(&at.child("namespace"), ""),
            name => report.invalid_each(&at.child("namespace"), &name, names::dns_label(name)),
        }
    }
}
