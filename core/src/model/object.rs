//! Any object: its kind, its key, and the one list of kinds.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{Name, Uid};
use crate::model::{
    CSIDriver, CSINode, CSIStorageCapacity, ConfigMap, ControllerRevision, CronJob, DaemonSet, Deployment,
    EndpointSlice, Endpoints, Job, Labels, LimitRange, Meta, Namespace, Node, PersistentVolume, PersistentVolumeClaim,
    Pod, PodDisruptionBudget, PodSpec, PriorityClass, ReplicaSet, ReplicationController, ResourceQuota, Secret,
    Service, ServiceAccount, StatefulSet, StorageClass, VolumeAttachment,
};

/// What every kind has.
pub trait Resource: Clone + PartialEq + Hash + fmt::Debug {
    /// The kind.
    const KIND: Kind;
    /// What every object has.
    fn meta(&self) -> &Meta;
    /// What every object has, to change in a copy before it is written.
    fn meta_mut(&mut self) -> &mut Meta;
    /// Wraps a version.
    fn into_object(version: Arc<Self>) -> Object;
    /// Unwraps a version; `None` if the object is of another kind.
    fn from_object(object: &Object) -> Option<&Arc<Self>>;
    /// The name under which the row is found beside its own and its controller, such as a pod's node.
    fn index_name(&self) -> Option<&Name> {
        None
    }
    /// Whether nothing is new since another version but what a kubelet reports of a pod that goes on as it was. Every
    /// other version may say no.
    fn is_report_since(&self, _before: &Self) -> bool {
        false
    }
}

/// The one list of kinds: from it come the enums, the store's tables and the ways from a kind at run time to its type.
///
/// `$d` is a dollar sign for the macros that this one writes. A kind with a secondary key names the function that
/// takes it from an object, after `by`; one of which there are reports names the function that knows them, after
/// `reported`.
macro_rules! kinds {
    ($d:tt $($(#[$doc:meta])* $kind:ident = $number:literal, $table:ident, $group_version:literal, $plural:literal,
        $short:literal, $namespaced:literal $(, by $index:path)? $(, reported $report:path)?;)*) => {
        /// The kinds of the store, by number. The numbers are part of fingerprints: never reuse or renumber one.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $kind = $number),* }

        impl Kind {
            /// All kinds, by number.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind),*];

            /// The size of an array that is indexed by kind: one more than the largest number.
            pub const SLOTS: usize = Kind::ALL[Kind::ALL.len() - 1] as usize + 1;

            /// The kind's name, such as `Pod`.
            pub fn name(self) -> &'static str { match self { $(Kind::$kind => stringify!($kind)),* } }

            /// Group and version, such as `apps/v1`.
            pub fn api_version(self) -> &'static str { match self { $(Kind::$kind => $group_version),* } }

            /// The plural lower-case name, such as `pods`.
            pub fn plural(self) -> &'static str { match self { $(Kind::$kind => $plural),* } }

            /// The short name that kubectl knows, such as `po`; the plural where it has none.
            pub fn short_name(self) -> &'static str { match self { $(Kind::$kind => $short),* } }

            /// Whether objects of the kind live in a namespace.
            pub fn is_namespaced(self) -> bool { match self { $(Kind::$kind => $namespaced),* } }
        }

        /// An immutable version of any object.
        #[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        pub enum Object { $($(#[$doc])* $kind(Arc<$kind>)),* }

        impl Object {
            /// The kind.
            pub fn kind(&self) -> Kind { match self { $(Object::$kind(_) => Kind::$kind),* } }

            /// What every object has.
            pub fn meta(&self) -> &Meta { match self { $(Object::$kind(object) => &object.meta),* } }

            /// What every object has, to change; copies the object if it is shared.
            pub fn meta_mut(&mut self) -> &mut Meta {
                match self { $(Object::$kind(object) => &mut Arc::make_mut(object).meta),* }
            }
        }

        /// Hands every kind and the name of its table to a macro that makes something of each.
        macro_rules! for_every_kind {
            ($d make:ident) => { $d make! { $($kind in $table;)* } };
        }

        /// Runs one expression with `$type` bound to the type of a kind that is known only at run time.
        macro_rules! with_kind {
            ($d kind:expr, $d type:ident => $d body:expr) => {
                match $d kind { $($crate::model::Kind::$kind => { type $d type = $crate::model::$kind; $d body })* }
            };
        }

        /// Runs one expression with `$version` bound to the version that an object wraps, in its own type.
        macro_rules! with_object {
            ($d object:expr, $d version:ident => $d body:expr) => {
                match $d object { $($crate::model::Object::$kind($d version) => $d body),* }
            };
        }

        $(impl Resource for $kind {
            const KIND: Kind = Kind::$kind;
            fn meta(&self) -> &Meta { &self.meta }
            fn meta_mut(&mut self) -> &mut Meta { &mut self.meta }
            fn into_object(version: Arc<Self>) -> Object { Object::$kind(version) }
            fn from_object(object: &Object) -> Option<&Arc<Self>> {
                match object { Object::$kind(version) => Some(version), _ => None }
            }
            $(fn index_name(&self) -> Option<&Name> { $index(self) })?
            $(fn is_report_since(&self, before: &Self) -> bool { $report(self, before) })?
        })*
    };
}

kinds! { $
    /// A namespace.
    Namespace = 0, namespaces, "v1", "namespaces", "ns", false;
    /// A node.
    Node = 1, nodes, "v1", "nodes", "no", false;
    /// A pod.
    Pod = 2, pods, "v1", "pods", "po", true, by node_of, reported Pod::goes_on_since;
    /// A ReplicaSet.
    ReplicaSet = 3, replica_sets, "apps/v1", "replicasets", "rs", true;
    /// A Deployment.
    Deployment = 4, deployments, "apps/v1", "deployments", "deploy", true;
    /// A Service.
    Service = 5, services, "v1", "services", "svc", true;
    /// An EndpointSlice.
    EndpointSlice = 6, endpoint_slices, "discovery.k8s.io/v1", "endpointslices", "endpointslices", true, by service_of;
    /// A StatefulSet.
    StatefulSet = 7, stateful_sets, "apps/v1", "statefulsets", "sts", true;
    /// A DaemonSet.
    DaemonSet = 8, daemon_sets, "apps/v1", "daemonsets", "ds", true;
    /// A ControllerRevision.
    ControllerRevision = 9, controller_revisions, "apps/v1", "controllerrevisions", "controllerrevisions", true;
    /// A Job.
    Job = 10, jobs, "batch/v1", "jobs", "jobs", true;
    /// A CronJob.
    CronJob = 11, cron_jobs, "batch/v1", "cronjobs", "cj", true;
    /// A ReplicationController.
    ReplicationController = 12, replication_controllers, "v1", "replicationcontrollers", "rc", true;
    /// A PersistentVolume.
    PersistentVolume = 13, persistent_volumes, "v1", "persistentvolumes", "pv", false;
    /// A PersistentVolumeClaim.
    PersistentVolumeClaim = 14, persistent_volume_claims, "v1", "persistentvolumeclaims", "pvc", true;
    /// A StorageClass.
    StorageClass = 15, storage_classes, "storage.k8s.io/v1", "storageclasses", "sc", false;
    /// The CSI drivers of a node.
    CSINode = 16, csi_nodes, "storage.k8s.io/v1", "csinodes", "csinodes", false;
    /// The attachment of a volume to a node.
    VolumeAttachment = 17, volume_attachments, "storage.k8s.io/v1", "volumeattachments", "volumeattachments",
        false, by attached_to;
    /// A PodDisruptionBudget.
    PodDisruptionBudget = 18, pod_disruption_budgets, "policy/v1", "poddisruptionbudgets", "pdb", true;
    /// A ConfigMap.
    ConfigMap = 19, config_maps, "v1", "configmaps", "cm", true;
    /// A Secret.
    Secret = 20, secrets, "v1", "secrets", "secrets", true;
    /// A ServiceAccount.
    ServiceAccount = 21, service_accounts, "v1", "serviceaccounts", "sa", true;
    /// A ResourceQuota.
    ResourceQuota = 22, resource_quotas, "v1", "resourcequotas", "quota", true;
    /// A LimitRange.
    LimitRange = 23, limit_ranges, "v1", "limitranges", "limits", true;
    /// A PriorityClass.
    PriorityClass = 24, priority_classes, "scheduling.k8s.io/v1", "priorityclasses", "pc", false;
    /// A CSI driver.
    CSIDriver = 26, csi_drivers, "storage.k8s.io/v1", "csidrivers", "csidrivers", false;
    /// What a CSI driver can still make.
    CSIStorageCapacity = 27, csi_storage_capacities, "storage.k8s.io/v1", "csistoragecapacities",
        "csistoragecapacities", true;
    /// All addresses behind a Service in one object.
    Endpoints = 28, endpoints, "v1", "endpoints", "ep", true;
}

pub(crate) use {for_every_kind, with_kind, with_object};

fn node_of(pod: &Pod) -> Option<&Name> {
    pod.node.as_ref()
}

fn attached_to(attachment: &VolumeAttachment) -> Option<&Name> {
    Some(&attachment.node)
}

fn service_of(slice: &EndpointSlice) -> Option<&Name> {
    slice.meta.labels.get("kubernetes.io/service-name")
}

impl Kind {
    /// The kind of a name (`Pod`); `None` if the core has none of this name.
    pub fn of_name(name: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The kind with its group, as refusals name it: `Pod`, `Deployment.apps`.
    pub fn qualified_name(self) -> String {
        self.api_version()
            .split_once('/')
            .map_or_else(|| self.name().to_owned(), |(group, _)| format!("{}.{group}", self.name()))
    }

    /// The plural with its group, as refusals name a resource: `pods`, `deployments.apps`.
    pub fn qualified_plural(self) -> String {
        self.api_version()
            .split_once('/')
            .map_or_else(|| self.plural().to_owned(), |(group, _)| format!("{}.{group}", self.plural()))
    }
}

impl Object {
    /// The labels and the spec of a pod, or of the pods that an object makes; `None` for objects of other kinds.
    pub fn pod_parts(&self) -> Option<(&Labels, &PodSpec)> {
        let template = match self {
            Object::Pod(pod) => return Some((&pod.meta.labels, &pod.spec)),
            Object::ReplicaSet(set) => &set.template,
            Object::ReplicationController(set) => &set.template,
            Object::Deployment(deployment) => &deployment.template,
            Object::StatefulSet(set) => &set.template,
            Object::DaemonSet(set) => &set.template,
            Object::Job(job) => &job.spec.template,
            Object::CronJob(cron_job) => &cron_job.template.spec.template,
            _ => return None,
        };
        Some((&template.labels, &template.spec))
    }

    /// Kind, namespace and name.
    pub fn key(&self) -> ObjectKey {
        let meta = self.meta();
        ObjectKey { kind: self.kind(), namespace: meta.namespace.clone(), name: meta.name.clone() }
    }

    /// Whether this is the other's very version: not an equal one, the same one.
    pub fn is_same_version(&self, other: &Object) -> bool {
        fn same<T: Resource>(version: &Arc<T>, other: &Object) -> bool {
            T::from_object(other).is_some_and(|other| Arc::ptr_eq(version, other))
        }
        with_object!(self, version => same(version, other))
    }

    /// The identity.
    pub fn uid(&self) -> Uid {
        self.meta().uid
    }
}

/// Kind, namespace and name: how a request names an object.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ObjectKey {
    /// The kind.
    pub kind: Kind,
    /// The namespace; empty for cluster-scoped kinds.
    pub namespace: Name,
    /// The name.
    pub name: Name,
}

impl ObjectKey {
    /// The key of an object.
    pub fn new(kind: Kind, namespace: &str, name: &str) -> ObjectKey {
        ObjectKey { kind, namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    /// `pods/default/web-1` or `nodes/node-1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.kind.plural(), self.name)
        } else {
            write!(f, "{}/{}/{}", self.kind.plural(), self.namespace, self.name)
        }
    }
}
