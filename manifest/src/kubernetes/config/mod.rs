//! ConfigMaps, Secrets, ServiceAccounts, and what pods take from them: from k8s-openapi's types to the core's, and
//! back.

mod base64;
mod show;
#[cfg(test)]
mod tests;

pub(super) use self::base64::check_values;
pub(super) use show::{show_account, show_config_map, show_pod, show_secret};

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1 as api;
use wavetank_core::id::Name;
use wavetank_core::model::{
    Blobs, ConfigKind, ConfigMap, EnvFrom, FileSource, FileVolume, KeyToPath, Meta, OPAQUE, Secret, ServiceAccount,
    VolumeMount,
};

use super::parts::{labels, name, optional};
use super::references::{field, resource};

fn blobs(values: Option<&BTreeMap<String, ByteString>>) -> Blobs {
    values.into_iter().flatten().map(|(key, bytes)| (name(key), bytes.0.as_slice().into())).collect()
}

pub(super) fn config_map(meta: Meta, object: &api::ConfigMap) -> ConfigMap {
    let (data, binary) = (labels(object.data.as_ref()), blobs(object.binary_data.as_ref()));
    ConfigMap { meta, data, binary, immutable: object.immutable }
}

/// `stringData` has been merged into `data` by the defaults.
pub(super) fn secret(meta: Meta, object: &api::Secret) -> Secret {
    let secret_type = object.type_.as_deref().map_or_else(|| name(OPAQUE), name);
    Secret { meta, secret_type, data: blobs(object.data.as_ref()), immutable: object.immutable }
}

pub(super) fn account(meta: Meta, object: &api::ServiceAccount) -> ServiceAccount {
    ServiceAccount {
        meta,
        secrets: object.secrets.iter().flatten().map(|it| optional(it.name.as_ref())).collect(),
        image_pull_secrets: pull_secrets(object.image_pull_secrets.as_ref()),
        automount: object.automount_service_account_token,
    }
}

pub(super) fn pull_secrets(list: Option<&Vec<api::LocalObjectReference>>) -> Vec<Name> {
    list.into_iter().flatten().map(|it| name(&it.name)).collect()
}

pub(super) fn env_from(list: Option<&Vec<api::EnvFromSource>>) -> Vec<EnvFrom> {
    let one = |it: &api::EnvFromSource| {
        let prefix = optional(it.prefix.as_ref());
        let of = |kind, object: &str, optional: Option<bool>| {
            Some(EnvFrom { kind, name: name(object), optional: optional == Some(true), prefix: prefix.clone() })
        };
        match (&it.config_map_ref, &it.secret_ref) {
            (Some(source), _) => of(ConfigKind::ConfigMap, &source.name, source.optional),
            (None, Some(source)) => of(ConfigKind::Secret, &source.name, source.optional),
            (None, None) => None,
        }
    };
    list.into_iter().flatten().filter_map(one).collect()
}

pub(super) fn mounts(list: Option<&Vec<api::VolumeMount>>) -> Vec<VolumeMount> {
    let one = |it: &api::VolumeMount| VolumeMount {
        name: name(&it.name),
        path: name(&it.mount_path),
        sub_path: optional(it.sub_path.as_ref()),
        read_only: it.read_only == Some(true),
    };
    list.into_iter().flatten().map(one).collect()
}

/// A volume whose files the kubelet writes; `None` for one of another type.
pub(super) fn files(volume: &api::Volume) -> Option<FileVolume> {
    let default_mode = |mode: Option<i32>| mode.and_then(|mode| u16::try_from(mode).ok()).unwrap_or(0o644);
    if let Some(it) = &volume.config_map {
        let sources = vec![keys(ConfigKind::ConfigMap, &it.name, it.optional, it.items.as_ref())];
        return Some(FileVolume { default_mode: default_mode(it.default_mode), projected: false, sources });
    }
    if let Some(it) = &volume.secret {
        let of = it.secret_name.as_deref().unwrap_or_default();
        let sources = vec![keys(ConfigKind::Secret, of, it.optional, it.items.as_ref())];
        return Some(FileVolume { default_mode: default_mode(it.default_mode), projected: false, sources });
    }
    if let Some(it) = &volume.downward_api {
        let sources = it.items.iter().flatten().filter_map(downward).collect();
        return Some(FileVolume { default_mode: default_mode(it.default_mode), projected: false, sources });
    }
    let it = volume.projected.as_ref()?;
    let sources = it.sources.iter().flatten().flat_map(projection).collect();
    Some(FileVolume { default_mode: default_mode(it.default_mode), projected: true, sources })
}

fn projection(source: &api::VolumeProjection) -> Vec<FileSource> {
    if let Some(it) = &source.config_map {
        vec![keys(ConfigKind::ConfigMap, &it.name, it.optional, it.items.as_ref())]
    } else if let Some(it) = &source.secret {
        vec![keys(ConfigKind::Secret, &it.name, it.optional, it.items.as_ref())]
    } else if let Some(it) = &source.downward_api {
        it.items.iter().flatten().filter_map(downward).collect()
    } else if let Some(it) = &source.service_account_token {
        vec![FileSource::Token { path: name(&it.path) }]
    } else {
        Vec::new()
    }
}

fn mode(mode: Option<i32>) -> Option<u16> {
    mode.and_then(|mode| u16::try_from(mode).ok())
}

fn keys(kind: ConfigKind, object: &str, optional: Option<bool>, items: Option<&Vec<api::KeyToPath>>) -> FileSource {
    let item = |it: &api::KeyToPath| KeyToPath { key: name(&it.key), path: name(&it.path), mode: mode(it.mode) };
    let items = items.into_iter().flatten().map(item).collect();
    FileSource::Keys { kind, name: name(object), optional: optional == Some(true), items }
}

fn downward(file: &api::DownwardAPIVolumeFile) -> Option<FileSource> {
    let value = match (&file.field_ref, &file.resource_field_ref) {
        (Some(it), _) => field(it),
        (None, Some(it)) => resource(it),
        (None, None) => return None,
    };
    Some(FileSource::Downward { path: name(&file.path), value, mode: mode(file.mode) })
}
