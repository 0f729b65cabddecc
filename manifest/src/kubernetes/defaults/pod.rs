//! Defaults of pods and pod templates.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, DownwardAPIVolumeFile, EnvVar, EphemeralContainer, HTTPGetAction, LifecycleHandler, ObjectFieldSelector,
    Pod, PodSpec, PodTemplateSpec, Probe, ProjectedVolumeSource, ResourceFieldSelector, ResourceRequirements, Volume,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::{images, number, quantities, text};

/// Permissions of files in volumes: 0644.
const FILE_MODE: i32 = 0o644;

/// Defaults of a pod: those of its spec, and those that templates do not get.
pub(super) fn pod(pod: &mut Pod) {
    let spec = pod.spec.get_or_insert_default();
    self::spec(spec);
    spec.enable_service_links.get_or_insert(true);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        if let Some(resources) = &mut container.resources {
            requests_from_limits(resources);
        }
    }
    ports(spec);
}

/// On the node's network each port of a pod's containers is one of the node's.
pub(in crate::kubernetes) fn ports(spec: &mut PodSpec) {
    if spec.host_network != Some(true) {
        return;
    }
    let containers = spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten());
    for port in containers.filter_map(|container| container.ports.as_mut()).flatten() {
        number(&mut port.host_port, port.container_port);
    }
}

/// Defaults of a pod template.
pub(super) fn template(template: &mut PodTemplateSpec) {
    template.metadata.get_or_insert_default();
    spec(template.spec.get_or_insert_default());
}

fn spec(spec: &mut PodSpec) {
    text(&mut spec.dns_policy, "ClusterFirst");
    text(&mut spec.restart_policy, "Always");
    spec.security_context.get_or_insert_default();
    spec.termination_grace_period_seconds.get_or_insert(30);
    text(&mut spec.scheduler_name, "default-scheduler");
    // The old name of the field and the new one are kept equal.
    let account =
        [&spec.service_account_name, &spec.service_account].into_iter().flatten().find(|name| !name.is_empty());
    if let Some(account) = account.cloned() {
        spec.service_account_name = Some(account.clone());
        spec.service_account = Some(account);
    }
    quantities(&mut spec.overhead);
    dropped(spec);
    spec.volumes.iter_mut().flatten().for_each(volume);
    spec.init_containers.iter_mut().flatten().for_each(container);
    spec.containers.iter_mut().for_each(container);
    spec.ephemeral_containers.iter_mut().flatten().for_each(ephemeral);
}

/// Takes out what gates that are off drop: volumes of images with their mounts, and containers' own restart policies
/// but for that of sidecars.
///
/// Source: `dropImageVolumes`, `dropContainerRestartRules`, pkg/api/pod/util.go (v1.34.1).
fn dropped(spec: &mut PodSpec) {
    let of_images: Vec<String> =
        spec.volumes.iter().flatten().filter(|it| it.image.is_some()).map(|it| it.name.clone()).collect();
    if !of_images.is_empty() {
        spec.volumes.iter_mut().for_each(|volumes| volumes.retain(|volume| volume.image.is_none()));
        let mounts = spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten());
        let mounts = mounts.map(|container| &mut container.volume_mounts);
        let more = spec.ephemeral_containers.iter_mut().flatten().map(|container| &mut container.volume_mounts);
        for mounts in mounts.chain(more).flatten() {
            mounts.retain(|mount| !of_images.contains(&mount.name));
        }
    }
    for container in spec.init_containers.iter_mut().flatten() {
        container.restart_policy = container.restart_policy.take().filter(|policy| policy == "Always");
    }
    spec.containers.iter_mut().for_each(|container| container.restart_policy = None);
    spec.ephemeral_containers.iter_mut().flatten().for_each(|container| container.restart_policy = None);
}

fn ephemeral(container: &mut EphemeralContainer) {
    text(&mut container.image_pull_policy, pull_policy(container.image.as_deref()));
    text(&mut container.termination_message_path, "/dev/termination-log");
    text(&mut container.termination_message_policy, "File");
    for port in container.ports.iter_mut().flatten() {
        text(&mut port.protocol, "TCP");
    }
    container.env.iter_mut().flatten().for_each(environment);
    let probes = [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
    probes.into_iter().flatten().for_each(probe);
}

fn requests_from_limits(resources: &mut ResourceRequirements) {
    let Some(limits) = &resources.limits else { return };
    let requests = resources.requests.get_or_insert_with(BTreeMap::new);
    for (name, limit) in limits {
        requests.entry(name.clone()).or_insert_with(|| limit.clone());
    }
}

fn container(container: &mut Container) {
    text(&mut container.image_pull_policy, pull_policy(container.image.as_deref()));
    text(&mut container.termination_message_path, "/dev/termination-log");
    text(&mut container.termination_message_policy, "File");
    let resources = container.resources.get_or_insert_default();
    quantities(&mut resources.limits);
    quantities(&mut resources.requests);
    for port in container.ports.iter_mut().flatten() {
        text(&mut port.protocol, "TCP");
    }
    container.env.iter_mut().flatten().for_each(environment);
    let probes = [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
    probes.into_iter().flatten().for_each(probe);
    if let Some(lifecycle) = &mut container.lifecycle {
        [&mut lifecycle.post_start, &mut lifecycle.pre_stop].into_iter().flatten().for_each(handler);
    }
}

/// When an image is pulled, unless it is said.
fn pull_policy(image: Option<&str>) -> &'static str {
    if is_latest(image.unwrap_or("")) { "Always" } else { "IfNotPresent" }
}

/// Whether an image's tag is `latest`: written so, or neither tag nor digest given. What is no image's name has no tag.
///
/// Source: `ParseImageName`, pkg/util/parsers/parsers.go (v1.34.1).
fn is_latest(image: &str) -> bool {
    if !images::is_name(image) {
        return false;
    }
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    // A colon before the last slash belongs to the registry's port.
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => digest.is_none() && !last.is_empty(),
    }
}

fn environment(variable: &mut EnvVar) {
    if let Some(field) = variable.value_from.as_mut().and_then(|source| source.field_ref.as_mut()) {
        field_ref(field);
    }
    variable.value_from.iter_mut().filter_map(|source| source.resource_field_ref.as_mut()).for_each(resource_ref);
}

fn files(items: Option<&mut Vec<DownwardAPIVolumeFile>>) {
    for item in items.into_iter().flatten() {
        item.field_ref.iter_mut().for_each(field_ref);
        item.resource_field_ref.iter_mut().for_each(resource_ref);
    }
}

/// Go shows an amount that is not given as a zero, which is no divisor.
fn resource_ref(resource: &mut ResourceFieldSelector) {
    resource.divisor.get_or_insert_with(|| Quantity("0".to_owned()));
}

fn field_ref(field: &mut ObjectFieldSelector) {
    text(&mut field.api_version, "v1");
}

fn probe(probe: &mut Probe) {
    number(&mut probe.timeout_seconds, 1);
    number(&mut probe.period_seconds, 10);
    number(&mut probe.success_threshold, 1);
    number(&mut probe.failure_threshold, 3);
    probe.http_get.iter_mut().for_each(http_get);
    if let Some(grpc) = &mut probe.grpc {
        grpc.service.get_or_insert_default();
    }
}

fn handler(handler: &mut LifecycleHandler) {
    handler.http_get.iter_mut().for_each(http_get);
}

fn http_get(get: &mut HTTPGetAction) {
    text(&mut get.path, "/");
    text(&mut get.scheme, "HTTP");
}

fn volume(volume: &mut Volume) {
    let bare = Volume { name: volume.name.clone(), ..Volume::default() };
    if *volume == bare {
        volume.empty_dir.get_or_insert_default();
    }
    if let Some(source) = &mut volume.secret {
        source.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(source) = &mut volume.config_map {
        source.default_mode.get_or_insert(FILE_MODE);
    }
    if let Some(source) = &mut volume.downward_api {
        source.default_mode.get_or_insert(FILE_MODE);
        files(source.items.as_mut());
    }
    if let Some(source) = &mut volume.host_path {
        source.type_.get_or_insert_default();
    }
    volume.projected.iter_mut().for_each(projected);
    super::storage::ephemeral(volume);
}

fn projected(source: &mut ProjectedVolumeSource) {
    source.default_mode.get_or_insert(FILE_MODE);
    for projection in source.sources.iter_mut().flatten() {
        if let Some(token) = &mut projection.service_account_token {
            token.expiration_seconds.get_or_insert(3600);
        }
        if let Some(downward) = &mut projection.downward_api {
            files(downward.items.as_mut());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_latest;

    #[test]
    fn an_image_is_the_latest_one_by_tag_or_by_want_of_one() {
        for image in ["a", "a:latest", "registry:5000/a", "registry:5000/team/a:latest"] {
            assert!(is_latest(image), "{image}");
        }
        for image in ["a:1", "registry:5000/a:v1", "a@sha256:00", "a:1@sha256:00", ""] {
            assert!(!is_latest(image), "{image}");
        }
    }
}
