//! The kinds of objects that can be read, and an object of any of them.

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
            pub(super) fn with_unknown(file: &str, kind: Kind, node: &yaml::Node) -> Result<(Manifest, Vec<Error>), Box<Error>> {
                match kind.kind {
                    $(stringify!($variant) => crate::strict::with_unknown(file, node)
                        .map(|(object, unknown)| (Manifest::$variant(Box::new(object)), unknown)),)*
                    other => unreachable!("kind {other} is not in the table of kinds"),
                }
            }

            /// Reads an object of `kind`, one of [`KINDS`], strictly.
            pub(super) fn from_node(file: &str, kind: Kind, node: &yaml::Node) -> Result<Manifest, Errors> {
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
