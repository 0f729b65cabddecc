//! What the API server refuses, in its own words and order.
//!
//! [`validate`] checks a new object, [`validate_update`] a new version of one; both after defaulting. What admission
//! plugins and the allocation of addresses refuse is the core's business. Fields behind feature gates that are off by
//! default are passed over, as the API server drops them. `docs/refusals.md` counts the checks, kind by kind.
//!
//! Where Go goes through a map, in no order, keys are in order here.
//!
//! Source: pkg/apis/*/validation/validation.go, pkg/registry/*/*/strategy.go,
//! staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go, v1.34.

mod annotations;
mod batch;
mod cluster;
mod config;
mod container;
mod disruption;
mod endpoints;
mod environment;
mod events;
mod job_policies;
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
mod service_addresses;
mod sets;
mod shown;
mod sources;
mod status;
mod status_addresses;
mod status_job;
mod storage;
mod storage_classes;
mod update;
mod update_pod;
mod update_service;
mod update_storage;
mod volumes;
mod windows;
mod workload;

use k8s_openapi::api::core::v1::Event;
use report::Report;
use serde_json::Value;

use super::kinds::Manifest;

pub use report::{Cause, Invalid, Reason};

/// What a cluster allows beyond what the API itself says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Whether containers may be privileged (the API server's flag `--allow-privileged`).
    pub allows_privileged: bool,
}

impl Policy {
    /// What the API server's flags say by default: no privileged containers.
    pub const OF_FLAGS: Policy = Policy { allows_privileged: false };
}

impl Default for Policy {
    /// What installers set: privileged containers are allowed.
    fn default() -> Policy {
        Policy { allows_privileged: true }
    }
}

/// Checks an object as the API server does on creation; defaults must have been applied.
pub fn validate(manifest: &Manifest) -> Result<(), Invalid> {
    validate_under(manifest, Policy::default())
}

/// As [`validate`], in a cluster with a policy.
pub fn validate_under(manifest: &Manifest, policy: Policy) -> Result<(), Invalid> {
    let mut report = Report { forbids_privileged: !policy.allows_privileged, ..Report::default() };
    created(&mut report, manifest);
    answer(report, manifest)
}

/// Checks a new version of an object against the stored one; defaults must have been applied to both.
///
/// Nothing is said of the version (`resourceVersion`) that the writer had; the status is [`validate_status_update`]'s.
pub fn validate_update(new: &Manifest, old: &Manifest, policy: Policy) -> Result<(), Invalid> {
    let mut report = Report { forbids_privileged: !policy.allows_privileged, ..Report::default() };
    update::check(&mut report, new, old);
    answer(report, new)
}

/// Checks a status that is written to the subresource of that name; both are the objects' JSON.
///
/// Covered are the numbers of workloads and disruption budgets, all of Jobs' statuses, the phase of namespaces, amounts
/// of claims and quotas, addresses of load balancers, and of pods the conditions, the QoS class, the nominated node,
/// ended containers and addresses. The API server itself checks nothing of the statuses of CronJobs and volumes.
pub fn validate_status_update(manifest: &Manifest, new: &Value, old: &Value) -> Result<(), Invalid> {
    let mut report = Report::default();
    status::check(&mut report, manifest, new, old);
    answer(report, manifest)
}

/// Checks a Kubernetes Event that a client writes. It has a namespace.
pub fn validate_event(event: &Event) -> Result<(), Invalid> {
    let mut report = Report::default();
    events::event(&mut report, event);
    if report.causes.is_empty() {
        return Ok(());
    }
    let name = event.metadata.name.clone().unwrap_or_default();
    Err(Invalid { group: "", kind: "Event", name, causes: report.causes })
}

/// Checks a namespace that is written to the subresource `finalize`, as [`validate_update`] does other writes.
pub fn validate_finalize(new: &Manifest, old: &Manifest) -> Result<(), Invalid> {
    let mut report = Report::default();
    update::finalize(&mut report, new, old);
    answer(report, new)
}

fn answer(report: Report, manifest: &Manifest) -> Result<(), Invalid> {
    if report.causes.is_empty() {
        return Ok(());
    }
    let kind = manifest.kind();
    let name = manifest.metadata().name.clone().unwrap_or_default();
    Err(Invalid { group: kind.group(), kind: kind.kind, name, causes: report.causes })
}

fn created(report: &mut Report, manifest: &Manifest) {
    match manifest {
        Manifest::Namespace(object) => cluster::namespace(report, object),
        Manifest::Node(object) => workload::node(report, object),
        Manifest::Pod(object) => pod::pod(report, object),
        Manifest::ReplicaSet(object) => workload::replica_set(report, object),
        Manifest::Deployment(object) => workload::deployment(report, object),
        Manifest::ReplicationController(object) => workload::replication_controller(report, object),
        Manifest::Job(object) => batch::job(report, object),
        Manifest::CronJob(object) => batch::cron_job(report, object),
        Manifest::Service(object) => service::check(report, object),
        Manifest::PodDisruptionBudget(object) => disruption::budget(report, object),
        Manifest::EndpointSlice(object) => cluster::slice(report, object),
        Manifest::Endpoints(object) => endpoints::check(report, object),
        Manifest::StatefulSet(object) => sets::stateful_set(report, object),
        Manifest::DaemonSet(object) => sets::daemon_set(report, object),
        Manifest::ControllerRevision(object) => cluster::new_revision(report, object),
        Manifest::Lease(object) => cluster::lease(report, object),
        Manifest::ConfigMap(object) => config::config_map(report, object),
        Manifest::Secret(object) => config::secret(report, object),
        Manifest::ServiceAccount(object) => config::account(report, object),
        Manifest::ResourceQuota(object) => policy::quota(report, object),
        Manifest::LimitRange(object) => policy::range(report, object),
        Manifest::PriorityClass(object) => policy::class(report, object),
        Manifest::PersistentVolume(object) => storage::volume(report, object),
        Manifest::PersistentVolumeClaim(object) => storage::new_claim(report, object),
        Manifest::StorageClass(object) => storage_classes::class(report, object),
        Manifest::CSINode(object) => storage_classes::csi_node(report, object),
        Manifest::VolumeAttachment(object) => storage_classes::attachment(report, object),
        Manifest::CSIDriver(object) => storage_classes::csi_driver(report, object),
        Manifest::CSIStorageCapacity(object) => storage_classes::csi_capacity(report, object),
    }
}
