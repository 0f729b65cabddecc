//! From k8s-openapi's types to the core's compact objects.
//!
//! The object must have been admitted ([`Located::admit`]): defaults are filled in and nothing is invalid. What the
//! core does not model stays in [`MetaExtras::original`] and [`PodSpec::original`] as the JSON that was written.

mod batch;
mod disruption;
mod endpoints;
mod nodes;
mod pods;
mod services;
mod sets;
mod slices;

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1 as api;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as QuantityText;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference as ApiOwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use wavetank_core::id::{Name, Uid};
use wavetank_core::model::{
    Deployment, DeploymentStrategy, IntOrPercent, Kind, Meta, MetaExtras, Namespace, Object, OwnerReference,
    ReplicaSet, ReplicationController, Resources, Selector, Stranger,
};
use wavetank_core::quantity::Quantity;
use wavetank_core::time::Span;

use super::kept::kept;
use super::kinds::Manifest;
use super::located::Located;
use super::parts::{labels, name, selector};
use super::{config, policy, storage};
use crate::strict::{Error, Errors};
use nodes::{node, status3};
use pods::{pod, seconds, template};
use services::{protocol, service};

/// The core's object of an admitted manifest. Objects of a namespaced kind without a namespace belong to `default`.
///
/// Errors: a kind that only the cluster's own components write (ControllerRevision, Lease), or addresses of a slice or
/// of Endpoints that are not modelled.
pub fn to_object(located: &Located<Manifest>) -> Result<Object, Errors> {
    let original: Name = kept(located.original()).to_string().into();
    let meta = |metadata: &ObjectMeta| meta(metadata, located.value.kind().namespaced, original.clone());
    Ok(match &located.value {
        Manifest::Namespace(object) => Object::Namespace(Arc::new(namespace(meta(&object.metadata), object))),
        Manifest::Node(object) => Object::Node(Arc::new(node(meta(&object.metadata), object))),
        Manifest::Pod(object) => Object::Pod(Arc::new(pod(meta(&object.metadata), object))),
        Manifest::Service(object) => Object::Service(Arc::new(service(meta(&object.metadata), object))),
        Manifest::Deployment(object) => Object::Deployment(Arc::new(deployment(meta(&object.metadata), object))),
        Manifest::ReplicaSet(object) => Object::ReplicaSet(Arc::new(replica_set(meta(&object.metadata), object))),
        Manifest::ReplicationController(object) => {
            Object::ReplicationController(Arc::new(replication_controller(meta(&object.metadata), object)))
        }
        Manifest::Job(object) => Object::Job(Arc::new(batch::job(meta(&object.metadata), object))),
        Manifest::CronJob(object) => Object::CronJob(Arc::new(batch::cron_job(meta(&object.metadata), object))),
        Manifest::ConfigMap(object) => Object::ConfigMap(Arc::new(config::config_map(meta(&object.metadata), object))),
        Manifest::Secret(object) => Object::Secret(Arc::new(config::secret(meta(&object.metadata), object))),
        Manifest::ServiceAccount(object) => {
            Object::ServiceAccount(Arc::new(config::account(meta(&object.metadata), object)))
        }
        Manifest::ResourceQuota(object) => {
            Object::ResourceQuota(Arc::new(policy::quota(meta(&object.metadata), object)))
        }
        Manifest::LimitRange(object) => Object::LimitRange(Arc::new(policy::range(meta(&object.metadata), object))),
        Manifest::PriorityClass(object) => {
            Object::PriorityClass(Arc::new(policy::class(meta(&object.metadata), object)))
        }
        Manifest::PersistentVolume(object) => {
            Object::PersistentVolume(Arc::new(storage::volume(meta(&object.metadata), object)))
        }
        Manifest::PersistentVolumeClaim(object) => {
            Object::PersistentVolumeClaim(Arc::new(storage::claim(meta(&object.metadata), object)))
        }
        Manifest::StorageClass(object) => {
            Object::StorageClass(Arc::new(storage::class(meta(&object.metadata), object)))
        }
        Manifest::CSINode(object) => Object::CSINode(Arc::new(storage::csi_node(meta(&object.metadata), object))),
        Manifest::VolumeAttachment(object) => {
            Object::VolumeAttachment(Arc::new(storage::attachment(meta(&object.metadata), object)))
        }
        Manifest::CSIDriver(object) => Object::CSIDriver(Arc::new(storage::csi_driver(meta(&object.metadata), object))),
        Manifest::CSIStorageCapacity(object) => {
            Object::CSIStorageCapacity(Arc::new(storage::csi_capacity(meta(&object.metadata), object)))
        }
        Manifest::PodDisruptionBudget(object) => {
            Object::PodDisruptionBudget(Arc::new(disruption::budget(meta(&object.metadata), object)))
        }
        Manifest::StatefulSet(object) => {
            Object::StatefulSet(Arc::new(sets::stateful_set(meta(&object.metadata), object)))
        }
        Manifest::DaemonSet(object) => Object::DaemonSet(Arc::new(sets::daemon_set(meta(&object.metadata), object))),
        Manifest::EndpointSlice(object) => match slices::slice(meta(&object.metadata), object) {
            Ok(slice) => Object::EndpointSlice(Arc::new(slice)),
            Err(why) => return Err(not_modelled(located, "endpoints", why)),
        },
        Manifest::Endpoints(object) => match endpoints::endpoints(meta(&object.metadata), object) {
            Ok(endpoints) => Object::Endpoints(Arc::new(endpoints)),
            Err(why) => return Err(not_modelled(located, "subsets", why)),
        },
        Manifest::ControllerRevision(_) | Manifest::Lease(_) => {
            let kind = located.value.kind().kind;
            let message = format!("a {kind} is written by the cluster itself; leave it out of the manifests");
            return Err(Errors(vec![Error::new(&located.file, located.position(), "kind", message)]));
        }
    })
}

fn not_modelled(located: &Located<Manifest>, field: &str, why: &str) -> Errors {
    Errors(vec![Error::new(&located.file, located.position(), field, why.to_owned())])
}

fn meta(metadata: &ObjectMeta, namespaced: bool, original: Name) -> Meta {
    let (written, generate_name) = match (&metadata.name, &metadata.generate_name) {
        (Some(written), _) if !written.is_empty() => (written.as_str(), false),
        (_, Some(prefix)) => (prefix.as_str(), true),
        _ => ("", false),
    };
    let namespace = metadata.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or("default");
    let extras = MetaExtras {
        annotations: labels(metadata.annotations.as_ref()),
        finalizers: metadata.finalizers.iter().flatten().map(|finalizer| name(finalizer)).collect(),
        original: Some(original),
        strangers: strangers(metadata).into(),
        ..MetaExtras::default()
    };
    Meta {
        namespace: name(if namespaced { namespace } else { "" }),
        name: name(written),
        generate_name,
        labels: labels(metadata.labels.as_ref()),
        owners: metadata.owner_references.iter().flatten().filter_map(owner).collect(),
        extras: extras.into(),
        ..Meta::default()
    }
}

/// An identity that was written as text; zero, which no object has, if it is none.
fn uid(text: &str) -> Uid {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    Uid::new(u128::from_str_radix(&digits, 16).unwrap_or_default())
}

/// An owner of a kind that the core has; others are shown from the original.
fn owner(reference: &ApiOwnerReference) -> Option<OwnerReference> {
    Some(OwnerReference {
        kind: Kind::of_name(&reference.kind)?,
        name: name(&reference.name),
        uid: uid(&reference.uid),
        controller: reference.controller.unwrap_or(false),
        block_owner_deletion: reference.block_owner_deletion.unwrap_or(false),
    })
}

/// The owners of kinds that the core does not have.
fn strangers(metadata: &ObjectMeta) -> Vec<Stranger> {
    let references = metadata.owner_references.iter().flatten();
    let strange = references.filter(|reference| Kind::of_name(&reference.kind).is_none());
    strange
        .map(|reference| Stranger {
            api_version: name(&reference.api_version),
            kind: name(&reference.kind),
            controller: reference.controller.unwrap_or(false),
        })
        .collect()
}

fn resources(list: Option<&BTreeMap<String, QuantityText>>) -> Resources {
    let mut resources = Resources::default();
    for (key, text) in list.into_iter().flatten() {
        let quantity: Quantity = text.0.parse().expect("quantities are checked while reading");
        resources.set_quantity(key, quantity);
    }
    resources
}

fn namespace(meta: Meta, object: &api::Namespace) -> Namespace {
    let finalizers = object.spec.iter().filter_map(|spec| spec.finalizers.as_deref()).flatten();
    Namespace { meta, finalizers: finalizers.map(|name| name.as_str().into()).collect(), ..Namespace::default() }
}

fn count(replicas: Option<i32>, default: u32) -> u32 {
    replicas.map_or(default, |replicas| u32::try_from(replicas).expect("negative numbers are refused by validation"))
}

fn min_ready(count: Option<i32>) -> Span {
    seconds(count.map(i64::from), 0)
}

fn replica_set(meta: Meta, object: &k8s_openapi::api::apps::v1::ReplicaSet) -> ReplicaSet {
    let spec = object.spec.as_ref().expect("a ReplicaSet without a spec is refused by validation");
    ReplicaSet {
        meta,
        replicas: count(spec.replicas, 1),
        min_ready: min_ready(spec.min_ready_seconds),
        selector: selector(&spec.selector),
        template: spec.template.as_ref().map(template).unwrap_or_default(),
        ..ReplicaSet::default()
    }
}

fn replication_controller(meta: Meta, object: &api::ReplicationController) -> ReplicationController {
    let spec = object.spec.as_ref().expect("a ReplicationController without a spec is refused by validation");
    ReplicationController {
        meta,
        replicas: count(spec.replicas, 1),
        min_ready: min_ready(spec.min_ready_seconds),
        selector: Selector::from_labels(labels(spec.selector.as_ref())),
        template: spec.template.as_ref().map(template).unwrap_or_default(),
        ..ReplicationController::default()
    }
}

fn deployment(meta: Meta, object: &k8s_openapi::api::apps::v1::Deployment) -> Deployment {
    let spec = object.spec.as_ref().expect("a Deployment without a spec is refused by validation");
    let rolling = spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    let share = |value: Option<&IntOrString>| value.map_or(IntOrPercent::Percent(25), int_or_percent);
    let strategy = match spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) {
        Some("Recreate") => DeploymentStrategy::Recreate,
        _ => DeploymentStrategy::RollingUpdate {
            max_surge: share(rolling.and_then(|rolling| rolling.max_surge.as_ref())),
            max_unavailable: share(rolling.and_then(|rolling| rolling.max_unavailable.as_ref())),
        },
    };
    // The API server's default is 600 s; the largest 32-bit number means "never".
    let deadline = spec.progress_deadline_seconds.unwrap_or(600);
    Deployment {
        meta,
        replicas: count(spec.replicas, 1),
        min_ready: min_ready(spec.min_ready_seconds),
        selector: selector(&spec.selector),
        template: template(&spec.template),
        strategy,
        paused: spec.paused.unwrap_or(false),
        revision_history_limit: count(spec.revision_history_limit, 10),
        progress_deadline: (deadline != i32::MAX).then(|| seconds(Some(deadline.into()), 600)),
        ..Deployment::default()
    }
}

fn int_or_percent(value: &IntOrString) -> IntOrPercent {
    match value {
        IntOrString::Int(number) => IntOrPercent::Int(u32::try_from(*number).unwrap_or(0)),
        IntOrString::String(text) => {
            let share = text.strip_suffix('%').and_then(|share| share.parse().ok());
            IntOrPercent::Percent(share.expect("shares are checked by validation"))
        }
    }
}
