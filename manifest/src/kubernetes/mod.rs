//! Typed Kubernetes objects from manifests.
//!
//! Three steps, as in a real cluster: [`read_manifests`] decodes strictly (kubectl and the API server's strict field
//! validation), [`apply_defaults`] fills in what was left out, [`validate`] refuses what makes no sense.
//! [`Located::admit`] does the last two and places the faults in the file.
//!
//! Absent on purpose: kinds that the core does not model, which are refused by name rather than passed over.

mod config;
mod defaults;
pub(crate) mod go_types;
mod kept;
mod keyless;
mod modelled;
mod patch;
pub(crate) mod placement;
mod pod_security;
mod policy;
mod read;
mod references;
mod schedule;
mod service_update;
mod snapshot;
mod storage;
#[cfg(test)]
mod tests;
mod three_way;
pub(crate) mod to_core;
mod to_json;
pub(crate) mod validation;

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{
    ConfigMap, Endpoints, LimitRange, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod,
    ReplicationController, ResourceQuota, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::api::storage::v1::{CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use serde::{Serialize, Serializer};

use crate::strict::{Error, Errors};
use crate::yaml;

pub use k8s_openapi::api::core::v1::{Event as ApiEvent, Pod as ApiPod};

pub use defaults::{admit_pod, apply_defaults};
pub use keyless::without_merge_key;
pub use modelled::{Unmodelled, unmodelled_fields};
pub use patch::{PatchType, apply_patch};
pub use read::{Unreadable, converted, read_admitted, read_body, read_event, read_manifests, read_node};
pub use service_update::settle_service;
pub use snapshot::Snapshot;
pub use storage::settle_claim;
pub use three_way::three_way_patch;
pub use to_core::to_object;
pub use to_json::{timestamp, to_json, to_json_with_hosts};
pub use validation::names::{label_key_faults, label_value_faults};
pub use validation::{
    Cause, Invalid, Policy, Reason, validate, validate_event, validate_finalize, validate_status_update,
    validate_under, validate_update,
};

/// A kind of object and the API version that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The version with its group: `v1`, `apps/v1`.
    pub api_version: &'static str,
    /// The kind: `Deployment`.
    pub kind: &'static str,
    /// False for objects that belong to no namespace.
    pub namespaced: bool,
}

impl Kind {
    /// The API group, empty for core.
    pub fn group(&self) -> &'static str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

macro_rules! manifests {
    ($($variant:ident $api_version:literal $namespaced:literal,)*) => {
        /// An object of a supported kind, as k8s-openapi types it.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "each variant is the Kubernetes kind of its name")]
        pub enum Manifest {
            $($variant(Box<$variant>),)*
        }

        /// The kinds that can be read.
        pub const KINDS: &[Kind] = &[
            $(Kind { api_version: $api_version, kind: stringify!($variant), namespaced: $namespaced },)*
        ];

        impl Manifest {
            /// The object's kind.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Manifest::$variant(_) => Kind {
                        api_version: $api_version,
                        kind: stringify!($variant),
                        namespaced: $namespaced,
                    },)*
                }
            }

            /// The object's metadata.
            pub fn metadata(&self) -> &ObjectMeta {
                match self {
                    $(Manifest::$variant(object) => &object.metadata,)*
                }
            }

            /// The object's metadata, to be changed.
            pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
                match self {
                    $(Manifest::$variant(object) => &mut object.metadata,)*
                }
            }

            /// Reads an object of `kind`, one of [`KINDS`], and what is unknown in it.
            fn with_unknown(file: &str, kind: Kind, node: &yaml::Node) -> Result<(Manifest, Vec<Error>), Box<Error>> {
                match kind.kind {
                    $(stringify!($variant) => crate::strict::with_unknown(file, node)
                        .map(|(object, unknown)| (Manifest::$variant(Box::new(object)), unknown)),)*
                    other => unreachable!("kind {other} is not in the table of kinds"),
                }
            }

            /// Reads an object of `kind`, one of [`KINDS`], strictly.
            fn from_node(file: &str, kind: Kind, node: &yaml::Node) -> Result<Manifest, Errors> {
                match kind.kind {
                    $(stringify!($variant) => {
                        crate::strict::from_node(file, node).map(|object| Manifest::$variant(Box::new(object)))
                    })*
                    other => unreachable!("kind {other} is not in the table of kinds"),
                }
            }
        }

        /// As the API server's JSON, with `apiVersion` and `kind`.
        ///
        /// Generic, so that a program that never writes objects does not compile the writers of all their fields.
        impl Serialize for Manifest {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Manifest::$variant(object) => object.serialize(serializer),)*
                }
            }
        }
    };
}

manifests! {
    Namespace "v1" false,
    Node "v1" false,
    Pod "v1" true,
    Service "v1" true,
    Deployment "apps/v1" true,
    ReplicaSet "apps/v1" true,
    Job "batch/v1" true,
    CronJob "batch/v1" true,
    ReplicationController "v1" true,
    PodDisruptionBudget "policy/v1" true,
    StatefulSet "apps/v1" true,
    DaemonSet "apps/v1" true,
    ControllerRevision "apps/v1" true,
    EndpointSlice "discovery.k8s.io/v1" true,
    Endpoints "v1" true,
    Lease "coordination.k8s.io/v1" true,
    ConfigMap "v1" true,
    Secret "v1" true,
    ServiceAccount "v1" true,
    ResourceQuota "v1" true,
    LimitRange "v1" true,
    PriorityClass "scheduling.k8s.io/v1" false,
    PersistentVolume "v1" false,
    PersistentVolumeClaim "v1" true,
    StorageClass "storage.k8s.io/v1" false,
    CSINode "storage.k8s.io/v1" false,
    VolumeAttachment "storage.k8s.io/v1" false,
    CSIDriver "storage.k8s.io/v1" false,
    CSIStorageCapacity "storage.k8s.io/v1" true,
}

/// An object, where it was read, and everything that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Located<T> {
    /// The name of the file.
    pub file: String,
    /// The object.
    pub value: T,
    /// The tree that the object was read from: places, and what the core does not model.
    pub source: yaml::Node,
}

impl<T> Located<T> {
    /// The line and column at which the object begins.
    pub fn position(&self) -> yaml::Position {
        self.source.span.start()
    }

    /// The object as it was written, before defaults: what `kubectl` would send.
    pub fn original(&self) -> serde_json::Value {
        self.source.to_json()
    }
}

impl Located<Manifest> {
    /// Applies the API server's defaults and validates.
    ///
    /// Each error has the API server's message for one field, and the place of that field or of its nearest parent.
    pub fn admit(&mut self) -> Result<(), Errors> {
        apply_defaults(&mut self.value);
        validate(&self.value).map_err(|invalid| {
            let place = |cause: &Cause| {
                // The API server speaks of a node's taints as metadata; they are written under `spec`.
                let path = cause.field.replace("metadata.taints", "spec.taints");
                Error::new(&self.file, self.source.locate(&path), &cause.field, cause.message.clone())
            };
            Errors(invalid.causes.iter().map(place).collect()).sorted()
        })
    }
}
