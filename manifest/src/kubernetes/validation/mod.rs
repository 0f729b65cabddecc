//! What the API server refuses, in its own words and order.
//!
//! Objects are checked after defaulting, on creation: updates (immutable fields) are the store's business.
//!
//! Covered: metadata, containers, probes, ports, resources, volumes' names, tolerations, affinity, spread constraints,
//! Deployments, ReplicaSets, StatefulSets, DaemonSets, Services, Nodes, Namespaces, volumes and claims. Absent on purpose: security contexts, DNS
//! config, host aliases, Windows, resource claims, IP addresses and CIDRs, and what admission plugins check (service
//! accounts, quotas): nothing here is modelled by the core.
//!
//! Known difference: k8s-openapi cannot tell a missing `spec.selector` from an empty one, so an empty one is reported
//! as missing.
//!
//! Source: pkg/apis/core/validation/validation.go, pkg/apis/apps/validation/validation.go,
//! staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go, v1.34.

mod annotations;
mod batch;
mod config;
mod container;
mod disruption;
mod environment;
mod legacy_volumes;
pub(crate) mod metadata;
mod mounts;
pub(crate) mod names;
mod network;
mod pod;
mod policy;
mod probe;
pub(crate) mod report;
mod resources;
pub(crate) mod scheduling;
mod security;
mod selector;
mod service;
mod sets;
mod shown;
mod sources;
mod storage;
mod volumes;
mod windows;
mod workload;

use report::Report;

use super::Manifest;

pub use report::{Cause, Invalid, Reason};

/// Checks an object as the API server does on creation; defaults must have been applied.
pub fn validate(manifest: &Manifest) -> Result<(), Invalid> {
    let mut report = Report::default();
    match manifest {
        Manifest::Namespace(object) => metadata::check(&mut report, &object.metadata, names::dns_label),
        Manifest::Node(object) => workload::node(&mut report, object),
        Manifest::Pod(object) => pod::pod(&mut report, object),
        Manifest::ReplicaSet(object) => workload::replica_set(&mut report, object),
        Manifest::Deployment(object) => workload::deployment(&mut report, object),
        Manifest::ReplicationController(object) => workload::replication_controller(&mut report, object),
        Manifest::Job(object) => batch::job(&mut report, object),
        Manifest::CronJob(object) => batch::cron_job(&mut report, object),
        Manifest::Service(object) => service::check(&mut report, object),
        Manifest::PodDisruptionBudget(object) => disruption::budget(&mut report, object),
        Manifest::EndpointSlice(object) => metadata::check(&mut report, &object.metadata, names::dns_subdomain),
        Manifest::StatefulSet(object) => sets::stateful_set(&mut report, object),
        Manifest::DaemonSet(object) => sets::daemon_set(&mut report, object),
        Manifest::ControllerRevision(object) => metadata::check(&mut report, &object.metadata, names::dns_subdomain),
        Manifest::Lease(object) => metadata::check(&mut report, &object.metadata, names::dns_subdomain),
        Manifest::ConfigMap(object) => config::config_map(&mut report, object),
        Manifest::Secret(object) => config::secret(&mut report, object),
        Manifest::ServiceAccount(object) => config::account(&mut report, object),
        Manifest::ResourceQuota(object) => policy::quota(&mut report, object),
        Manifest::LimitRange(object) => policy::range(&mut report, object),
        Manifest::PriorityClass(object) => policy::class(&mut report, object),
        Manifest::PersistentVolume(object) => storage::volume(&mut report, object),
        Manifest::PersistentVolumeClaim(object) => storage::claim(&mut report, object),
        Manifest::StorageClass(object) => storage::class(&mut report, object),
        Manifest::CSINode(object) => storage::csi_node(&mut report, object),
        Manifest::VolumeAttachment(object) => storage::attachment(&mut report, object),
        Manifest::CSIDriver(object) => storage::csi_driver(&mut report, object),
        Manifest::CSIStorageCapacity(object) => storage::csi_capacity(&mut report, object),
    }
    if report.causes.is_empty() {
        return Ok(());
    }
    let kind = manifest.kind();
    let name = manifest.metadata().name.clone().unwrap_or_default();
    Err(Invalid { group: kind.group(), kind: kind.kind, name, causes: report.causes })
}
