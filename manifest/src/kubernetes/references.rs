//! What a pod takes from ConfigMaps, Secrets, its own fields and its resources.

use k8s_openapi::api::core::v1 as api;
use wavetank_core::id::Name;
use wavetank_core::model::{ConfigKind, EnvSource, ObjectReference};
use wavetank_core::quantity::Quantity;

use super::parts::name;

/// Where a variable's value comes from.
pub(super) fn env_source(source: &api::EnvVarSource) -> Option<EnvSource> {
    if let Some(selector) = &source.field_ref {
        return Some(field(selector));
    }
    if let Some(selector) = &source.resource_field_ref {
        return Some(resource(selector));
    }
    let reference = |kind, object: &str, optional: Option<bool>, key: &str| {
        let object = ObjectReference { keys: vec![name(key)], ..reference(kind, object, optional) };
        Some(EnvSource::Key { object, key: name(key) })
    };
    match (&source.config_map_key_ref, &source.secret_key_ref) {
        (Some(it), _) => reference(ConfigKind::ConfigMap, &it.name, it.optional, &it.key),
        (None, Some(it)) => reference(ConfigKind::Secret, &it.name, it.optional, &it.key),
        (None, None) => None,
    }
}

/// A field of the pod.
pub(super) fn field(selector: &api::ObjectFieldSelector) -> EnvSource {
    EnvSource::Field { path: name(&selector.field_path) }
}

/// A request or limit of a container.
pub(super) fn resource(selector: &api::ResourceFieldSelector) -> EnvSource {
    let divisor = selector
        .divisor
        .as_ref()
        .map(|text| text.0.parse::<Quantity>().expect("quantities are checked while reading").milli_value());
    EnvSource::Resource {
        container: selector.container_name.as_deref().unwrap_or_default().into(),
        resource: name(&selector.resource),
        divisor_milli: divisor.filter(|divisor| *divisor > 0).unwrap_or(1_000),
    }
}

/// All ConfigMaps and Secrets that a pod names in variables and volumes, each use once, sorted.
pub(super) fn of(spec: &api::PodSpec) -> Vec<ObjectReference> {
    let mut found = Vec::new();
    for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
        for variable in container.env.iter().flatten() {
            if let Some(EnvSource::Key { object, .. }) = variable.value_from.as_ref().and_then(env_source) {
                found.push(object);
            }
        }
        for source in container.env_from.iter().flatten() {
            if let Some(it) = &source.config_map_ref {
                found.push(reference(ConfigKind::ConfigMap, &it.name, it.optional));
            }
            if let Some(it) = &source.secret_ref {
                found.push(reference(ConfigKind::Secret, &it.name, it.optional));
            }
        }
    }
    for volume in spec.volumes.iter().flatten() {
        let mounted = |reference: ObjectReference, items: Option<&Vec<api::KeyToPath>>| {
            let keys = items.into_iter().flatten().map(|item| name(&item.key)).collect();
            ObjectReference { keys, volume: Some(name(&volume.name)), ..reference }
        };
        if let Some(it) = &volume.config_map {
            found.push(mounted(reference(ConfigKind::ConfigMap, &it.name, it.optional), it.items.as_ref()));
        }
        if let Some(it) = &volume.secret {
            let object = it.secret_name.as_deref().unwrap_or_default();
            found.push(mounted(reference(ConfigKind::Secret, object, it.optional), it.items.as_ref()));
        }
        for source in volume.projected.iter().flat_map(|it| it.sources.iter().flatten()) {
            if let Some(it) = &source.config_map {
                found.push(mounted(reference(ConfigKind::ConfigMap, &it.name, it.optional), it.items.as_ref()));
            }
            if let Some(it) = &source.secret {
                found.push(mounted(reference(ConfigKind::Secret, &it.name, it.optional), it.items.as_ref()));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

fn reference(kind: ConfigKind, object: &str, optional: Option<bool>) -> ObjectReference {
    let object: Name = name(object);
    ObjectReference { kind, name: object, optional: optional.unwrap_or(false), keys: Vec::new(), volume: None }
}
