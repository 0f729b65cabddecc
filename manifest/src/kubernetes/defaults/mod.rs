//! What the API server fills in.
//!
//! Two layers, as in the API server: defaulting of a version's types ([`apply_defaults`]) and what the built-in
//! admission plugins add to pods on creation ([`admit_pod`]). Both are idempotent.
//!
//! Absent on purpose: allocation (cluster IPs, node ports, IP families), UIDs and times, the service account's token
//! volume, pod-level resources (a beta gate), defaults of the legacy cloud volumes.
//!
//! Source: pkg/apis/core/v1/defaults.go, pkg/apis/apps/v1/defaults.go and their `zz_generated.defaults.go`, v1.34.

mod admission;
mod batch;
mod images;
mod pod;
mod policy;
mod service;
mod sets;
mod storage;

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStrategy, ReplicaSet, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{Endpoints, Namespace, Node, ReplicationController, Secret};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as QuantityText;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::kinds::Manifest;
use wavetank_core::quantity::Quantity;

pub use admission::admit_pod;
pub(super) use batch::job;
pub(super) use pod::ports as ports_of_pod;

/// Fills in what a manifest left out, as the API server does before it validates.
///
/// Quantities of resources are brought to their canonical form. Objects without a namespace of their own lose one that
/// was given.
pub fn apply_defaults(manifest: &mut Manifest) {
    if !manifest.kind().namespaced {
        manifest.metadata_mut().namespace = None;
    }
    match manifest {
        Manifest::Namespace(object) => namespace(object),
        Manifest::Node(object) => node(object),
        Manifest::Pod(object) => pod::pod(object),
        Manifest::Service(object) => service::service(object),
        Manifest::Deployment(object) => deployment(object),
        Manifest::ReplicaSet(object) => replica_set(object),
        Manifest::ReplicationController(object) => replication_controller(object),
        Manifest::Job(object) => batch::job(object),
        Manifest::CronJob(object) => batch::cron_job(object),
        Manifest::EndpointSlice(object) => endpoint_slice(object),
        Manifest::Endpoints(object) => endpoints(object),
        Manifest::Secret(object) => secret(object),
        Manifest::ConfigMap(_) | Manifest::ServiceAccount(_) => {}
        Manifest::ResourceQuota(object) => policy::quota(object),
        Manifest::LimitRange(object) => policy::range(object),
        Manifest::PriorityClass(object) => policy::class(object),
        Manifest::PersistentVolume(object) => storage::volume(object),
        Manifest::PersistentVolumeClaim(object) => storage::claim(object),
        Manifest::StorageClass(object) => storage::class(object),
        Manifest::CSIDriver(object) => storage::driver(object),
        Manifest::CSINode(_) | Manifest::VolumeAttachment(_) | Manifest::CSIStorageCapacity(_) => {}
        Manifest::StatefulSet(object) => sets::stateful_set(object),
        Manifest::DaemonSet(object) => sets::daemon_set(object),
        Manifest::ControllerRevision(_) | Manifest::Lease(_) => {}
        Manifest::PodDisruptionBudget(_) => {}
    }
}

/// Sets a text that is missing or empty, which is the same for the API server.
fn text(slot: &mut Option<String>, default: &str) {
    if slot.as_deref().unwrap_or("").is_empty() {
        *slot = Some(default.to_owned());
    }
}

/// Sets a number that is missing or zero, which is the same for fields without a pointer in Go.
fn number(slot: &mut Option<i32>, default: i32) {
    if slot.unwrap_or(0) == 0 {
        *slot = Some(default);
    }
}

/// Rounds quantities up to thousandths and writes them canonically. What cannot be read is left for validation.
fn quantities(list: &mut Option<BTreeMap<String, QuantityText>>) {
    for text in list.iter_mut().flat_map(BTreeMap::values_mut) {
        if let Some(rounded) = text.0.parse::<Quantity>().ok().and_then(Quantity::rounded_up_to_milli) {
            text.0 = rounded.to_string();
        }
    }
}

fn namespace(object: &mut Namespace) {
    if let Some(name) = object.metadata.name.clone().filter(|name| !name.is_empty()) {
        object.metadata.labels.get_or_insert_default().insert("kubernetes.io/metadata.name".to_owned(), name);
    }
    text(&mut object.status.get_or_insert_default().phase, "Active");
}

/// The type, and `stringData` taken over into `data`, where it goes before what is there.
///
/// Source: `SetDefaults_Secret`, pkg/apis/core/v1/defaults.go; `Convert_v1_Secret_To_core_Secret`,
/// pkg/apis/core/v1/conversion.go.
fn secret(object: &mut Secret) {
    text(&mut object.type_, "Opaque");
    for (key, value) in object.string_data.take().into_iter().flatten() {
        object.data.get_or_insert_default().insert(key, ByteString(value.into_bytes()));
    }
}

/// One range of pods and the list of them are kept equal; the one goes before the list.
///
/// Source: `SetDefaults_Node`, pkg/apis/core/v1/defaults.go; `Convert_v1_NodeSpec_To_core_NodeSpec`,
/// pkg/apis/core/v1/conversion.go.
fn node(object: &mut Node) {
    if let Some(spec) = &mut object.spec {
        let one = spec.pod_cidr.clone().filter(|range| !range.is_empty());
        let listed = spec.pod_cidrs.get_or_insert_default();
        if let Some(one) = one.filter(|one| listed.first() != Some(one)) {
            *listed = vec![one];
        }
        if listed.is_empty() {
            spec.pod_cidrs = None;
        }
    }
    let status = object.status.get_or_insert_default();
    quantities(&mut status.capacity);
    quantities(&mut status.allocatable);
    if status.allocatable.is_none() {
        status.allocatable.clone_from(&status.capacity);
    }
}

fn deployment(object: &mut Deployment) {
    let spec = object.spec.get_or_insert_default();
    spec.replicas.get_or_insert(1);
    pod::template(&mut spec.template);
    strategy(spec.strategy.get_or_insert_default());
    spec.revision_history_limit.get_or_insert(10);
    spec.progress_deadline_seconds.get_or_insert(600);
}

fn strategy(strategy: &mut DeploymentStrategy) {
    text(&mut strategy.type_, "RollingUpdate");
    if strategy.type_.as_deref() != Some("RollingUpdate") {
        return;
    }
    let quarter = || IntOrString::String("25%".to_owned());
    let RollingUpdateDeployment { max_surge, max_unavailable } = strategy.rolling_update.get_or_insert_default();
    max_unavailable.get_or_insert_with(quarter);
    max_surge.get_or_insert_with(quarter);
}

fn replica_set(object: &mut ReplicaSet) {
    let spec = object.spec.get_or_insert_default();
    spec.replicas.get_or_insert(1);
    pod::template(spec.template.get_or_insert_default());
}

/// Labels and selector come from the template if they are not given.
///
/// Source: pkg/apis/core/v1/defaults.go (`SetDefaults_ReplicationController`).
fn replication_controller(object: &mut ReplicationController) {
    let spec = object.spec.get_or_insert_default();
    spec.replicas.get_or_insert(1);
    spec.template.iter_mut().for_each(pod::template);
    let labels = spec.template.as_ref().and_then(|it| it.metadata.as_ref()).and_then(|it| it.labels.clone());
    if let Some(labels) = labels.filter(|labels| !labels.is_empty()) {
        if spec.selector.as_ref().is_none_or(BTreeMap::is_empty) {
            spec.selector = Some(labels.clone());
        }
        if object.metadata.labels.as_ref().is_none_or(BTreeMap::is_empty) {
            object.metadata.labels = Some(labels);
        }
    }
}

/// Source: `SetDefaults_Endpoints`, pkg/apis/core/v1/defaults.go (v1.34.1).
fn endpoints(object: &mut Endpoints) {
    for port in object.subsets.iter_mut().flatten().flat_map(|subset| subset.ports.iter_mut().flatten()) {
        if port.protocol.as_deref().unwrap_or_default().is_empty() {
            port.protocol = Some("TCP".to_owned());
        }
    }
}

/// The topology of endpoints is of an older version and dropped.
///
/// Source: pkg/apis/discovery/v1/defaults.go (`SetDefaults_EndpointPort`); `dropTopologyOnV1`,
/// pkg/registry/discovery/endpointslice/strategy.go.
fn endpoint_slice(object: &mut EndpointSlice) {
    object.endpoints.iter_mut().for_each(|endpoint| endpoint.deprecated_topology = None);
    for port in object.ports.iter_mut().flatten() {
        port.name.get_or_insert_default();
        port.protocol.get_or_insert_with(|| "TCP".to_owned());
    }
}
