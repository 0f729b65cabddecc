//! What containers are given from elsewhere: variables from ConfigMaps, Secrets, the pod itself and its resources, and
//! the files of volumes.
//!
//! Source: `makeEnvironmentVariables`, pkg/kubelet/kubelet_pods.go; `MakePayload`, pkg/volume/{configmap,secret};
//! `CollectData`, pkg/volume/downwardapi; `collectData`, pkg/volume/projected; pkg/fieldpath;
//! pkg/api/v1/resource/helpers.go (v1.34.1). Absent on purpose: `fileKeyRef`, limits of the pod as a whole, and the
//! files of the account's token: nobody here could answer who presents one.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::Name;
use crate::kubelet::configs::{Configs, Lack};
use crate::kubelet::services::Services;
use crate::kubelet::{Boot, ContainerConfig, MountedFile};
use crate::model::{
    Address, CONFIG_SOURCE, ConfigKind, Container, EnvSource, FileSource, FileVolume, KeyToPath, Labels, Pod,
    PodVolumeSource, ROOT_CERTIFICATE, ROOT_CERTIFICATE_KEY,
};

/// Where a pod's values come from.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) pod: &'a Pod,
    pub(super) address: Option<&'a Address>,
    pub(super) configs: &'a Configs,
    /// `None` if containers are not told of Services.
    pub(super) services: Option<&'a Services>,
    pub(super) boot: &'a Boot,
}

/// Files by their paths in a volume, each with its permissions.
type Files = BTreeMap<Name, (u16, Arc<[u8]>)>;

impl Values<'_> {
    /// What a container is given beside its image and what its spec says itself; `None` is nothing. The error is why it
    /// cannot be made.
    pub(super) fn of_container(&self, container: &Container) -> Result<Option<Arc<ContainerConfig>>, String> {
        let mounts_files = |volume: &Name| {
            let volumes = &self.pod.spec.volumes;
            volumes.iter().any(|it| it.name == *volume && matches!(it.source, PodVolumeSource::Files(_)))
        };
        let services = self.variables_of_services()?;
        let plain = services.is_empty()
            && container.env_from.is_empty()
            && container.env.iter().all(|variable| variable.from.is_none())
            && !container.mounts.iter().any(|mount| mounts_files(&mount.name));
        if plain {
            return Ok(None);
        }
        let files = self.mounted_files(container)?;
        let variables = self.variables_of_objects(container)?;
        let values = container.env.iter().map(|variable| match &variable.from {
            Some(source) if variable.value.is_empty() => self.variable(container, source),
            _ => Ok(None),
        });
        let values = values.collect::<Result<Vec<_>, String>>()?;
        Ok(Some(Arc::new(ContainerConfig { variables, values, services, files })))
    }

    /// The variables of Services. A static pod does not wait until they are known.
    fn variables_of_services(&self) -> Result<Vec<(Name, Name)>, String> {
        let Some(services) = self.services else { return Ok(Vec::new()) };
        let meta = &self.pod.meta;
        let is_static = meta.annotations.get(CONFIG_SOURCE).is_some_and(|source| **source != *"api");
        match services.variables(&meta.namespace, self.pod.spec.service_links.0) {
            Err(_) if is_static => Ok(Vec::new()),
            variables => Ok(variables?.into_iter().collect()),
        }
    }

    /// The variables of `envFrom`; of two with one name the later counts.
    fn variables_of_objects(&self, container: &Container) -> Result<Vec<(Name, Name)>, String> {
        let mut variables: BTreeMap<Name, Name> = BTreeMap::new();
        for source in &container.env_from {
            let config = match self.configs.get(source.kind, &self.pod.meta.namespace, &source.name) {
                Ok(config) => config,
                Err(Lack::NotFound(_)) if source.optional => continue,
                Err(lack) => return Err(lack.message()),
            };
            for (key, text) in config.texts() {
                variables.insert(format!("{}{key}", source.prefix).into(), text);
            }
        }
        Ok(variables.into_iter().collect())
    }

    /// The value of one variable; `None` if it is left out.
    fn variable(&self, container: &Container, source: &EnvSource) -> Result<Option<Name>, String> {
        match source {
            EnvSource::Field { path } => Ok(Some(self.field(path)?.into())),
            EnvSource::Resource { container: of, resource, divisor_milli } => {
                let container = if of.is_empty() { container } else { self.container(of)? };
                Ok(Some(self.resource(container, resource, *divisor_milli)?.into()))
            }
            EnvSource::Key { object, key } => {
                let namespace = &self.pod.meta.namespace;
                let config = match self.configs.get(object.kind, namespace, &object.name) {
                    Ok(config) => config,
                    Err(Lack::NotFound(_)) if object.optional => return Ok(None),
                    Err(lack) => return Err(lack.message()),
                };
                let kind = match object.kind {
                    ConfigKind::ConfigMap => "ConfigMap",
                    ConfigKind::Secret => "Secret",
                };
                match config.text(key) {
                    None if !object.optional => {
                        Err(format!("couldn't find key {key} in {kind} {namespace}/{}", object.name))
                    }
                    text => Ok(text),
                }
            }
        }
    }

    fn container(&self, name: &Name) -> Result<&Container, String> {
        let spec = &self.pod.spec;
        let mut all = spec.containers.iter().chain(&spec.init_containers);
        all.find(|it| it.name == *name).ok_or_else(|| format!("container {name} not found"))
    }

    /// A field of the pod as text.
    fn field(&self, path: &str) -> Result<String, String> {
        let meta = &self.pod.meta;
        if let Some((map, key)) = path.strip_suffix("']").and_then(|rest| rest.split_once("['")) {
            let labels = match map {
                "metadata.labels" => &meta.labels,
                "metadata.annotations" => &meta.annotations,
                _ => return Err(format!("fieldPath {path:?} does not support subscript")),
            };
            return Ok(labels.get(key).map(ToString::to_string).unwrap_or_default());
        }
        let node = self.pod.node.as_deref().unwrap_or_default();
        Ok(match path {
            "metadata.name" => meta.name.to_string(),
            "metadata.namespace" => meta.namespace.to_string(),
            "metadata.uid" => meta.uid.to_string(),
            "metadata.labels" => lines(&meta.labels),
            "metadata.annotations" => lines(&meta.annotations),
            "spec.nodeName" | "spec.host" => node.to_owned(),
            "spec.serviceAccountName" => self.pod.spec.account.to_string(),
            "status.hostIP" | "status.hostIPs" => self.boot.address.to_string(),
            "status.podIP" | "status.podIPs" => self.address.map(ToString::to_string).unwrap_or_default(),
            other => return Err(format!("unsupported fieldPath: {other}")),
        })
    }

    /// A request or limit of a container in units of the divisor, rounded up; what has no limit may use the whole node.
    fn resource(&self, container: &Container, resource: &str, divisor_milli: i64) -> Result<String, String> {
        let (requests, limits, all) = (&container.requests, &container.limits, &self.boot.allocatable);
        let or_all = |limit: i64, all: i64| if limit == 0 { all } else { limit };
        let extended = |amounts: &BTreeMap<Name, i64>, name: &str| amounts.get(name).copied();
        let (milli, amount) = match resource {
            "limits.cpu" => (true, or_all(limits.cpu_milli, all.cpu_milli)),
            "limits.memory" => (false, or_all(limits.memory_bytes, all.memory_bytes)),
            "limits.ephemeral-storage" => (false, or_all(limits.ephemeral_bytes, all.ephemeral_bytes)),
            "requests.cpu" => (true, requests.cpu_milli),
            "requests.memory" => (false, requests.memory_bytes),
            "requests.ephemeral-storage" => (false, requests.ephemeral_bytes),
            other => match other.split_once('.') {
                Some(("limits", name)) if name.starts_with("hugepages-") => {
                    let limit = extended(&limits.extended, name).or(extended(&all.extended, name));
                    (false, limit.unwrap_or(0))
                }
                Some(("requests", name)) if name.starts_with("hugepages-") => {
                    (false, extended(&requests.extended, name).unwrap_or(0))
                }
                _ => return Err(format!("unsupported container resource : {other}")),
            },
        };
        let divisor = if milli { divisor_milli } else { divide_up(divisor_milli, 1_000) };
        Ok(divide_up(amount, divisor.max(1)).to_string())
    }

    /// What the containers of a pod find at a volume's place, or why it cannot be set up.
    pub(super) fn files(&self, volume: &FileVolume) -> Result<Files, String> {
        let (mut files, mut faults) = (Files::new(), Vec::new());
        for source in &volume.sources {
            if let Err(fault) = self.add_files(volume, source, &mut files) {
                faults.push(fault);
            }
        }
        match faults.len() {
            0 => Ok(files),
            1 => Err(faults.concat()),
            _ => Err(format!("[{}]", faults.join(", "))),
        }
    }

    fn add_files(&self, volume: &FileVolume, source: &FileSource, files: &mut Files) -> Result<(), String> {
        match source {
            FileSource::Token { .. } => {}
            FileSource::Downward { path, value, mode } => {
                let text = match value {
                    EnvSource::Field { path } => self.field(path)?,
                    EnvSource::Resource { container, resource, divisor_milli } => {
                        self.resource(self.container(container)?, resource, *divisor_milli)?
                    }
                    EnvSource::Key { .. } => unreachable!("the downward API has fields and resources"),
                };
                files.insert(path.clone(), (mode.unwrap_or(volume.default_mode), text.into_bytes().into()));
            }
            FileSource::Keys { kind, name, optional, items } => {
                let config = match self.configs.get(*kind, &self.pod.meta.namespace, name) {
                    Ok(config) => config,
                    Err(Lack::NotFound(_)) if *optional => return Ok(()),
                    Err(lack) => return Err(lack.message()),
                };
                let all: Vec<KeyToPath>;
                let items = if items.is_empty() {
                    let whole = |key: Name| KeyToPath { key: key.clone(), path: key, mode: None };
                    all = config.keys().into_iter().map(whole).collect();
                    &all
                } else {
                    items
                };
                for item in items {
                    match config.value(&item.key) {
                        Some(bytes) => {
                            files.insert(item.path.clone(), (item.mode.unwrap_or(volume.default_mode), bytes));
                        }
                        None if *optional => {}
                        None => return Err(no_such_key(*kind, &item.key)),
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the volume of the account's token can be set up. The error is why not.
    pub(super) fn root_certificate(&self) -> Result<(), String> {
        let (kind, namespace) = (ConfigKind::ConfigMap, &self.pod.meta.namespace);
        let config = self.configs.get(kind, namespace, &ROOT_CERTIFICATE).map_err(Lack::message)?;
        match config.has(ROOT_CERTIFICATE_KEY) {
            true => Ok(()),
            false => Err(no_such_key(kind, ROOT_CERTIFICATE_KEY)),
        }
    }

    /// The files that a container finds, by their whole paths.
    pub(super) fn mounted_files(&self, container: &Container) -> Result<Vec<MountedFile>, String> {
        let mut found = Vec::new();
        for mount in &container.mounts {
            let volume = self.pod.spec.volumes.iter().find(|volume| volume.name == mount.name);
            let Some(PodVolumeSource::Files(volume)) = volume.map(|volume| &volume.source) else { continue };
            for (path, (mode, data)) in self.files(volume)? {
                let root = mount.path.trim_end_matches('/');
                let whole = match (&*mount.sub_path, path.strip_prefix(&*mount.sub_path)) {
                    ("", _) => format!("{root}/{path}"),
                    (_, Some("")) => root.to_owned(),
                    (_, Some(rest)) if rest.starts_with('/') => format!("{root}{rest}"),
                    _ => continue,
                };
                let updated = mount.sub_path.is_empty();
                found.push(MountedFile { path: whole.into(), mode, data, updated });
            }
        }
        Ok(found)
    }
}

fn no_such_key(kind: ConfigKind, key: &str) -> String {
    match kind {
        ConfigKind::ConfigMap => format!("configmap references non-existent config key: {key}"),
        ConfigKind::Secret => format!("references non-existent secret key: {key}"),
    }
}

/// Panics if the divisor is not positive.
fn divide_up(amount: i64, divisor: i64) -> i64 {
    amount / divisor + i64::from(amount % divisor > 0)
}

/// A map as lines of `key="value"`.
///
/// Source: `FormatMap`, pkg/fieldpath/fieldpath.go (v1.34.1).
fn lines(labels: &Labels) -> String {
    let line = |(key, value): (&Name, &Name)| format!("{key}={value:?}");
    labels.iter().map(line).collect::<Vec<_>>().join("\n")
}
