//! The objects that the core decides on: compact forms of the Kubernetes kinds.
//!
//! Invariant: an object is immutable once stored; a write stores a new version. What the core does not model travels
//! along as text ([`MetaExtras::original`]) and is given back when the object is shown. Absent on purpose: JSON,
//! defaulting and validation texts, which belong to the edges (crate `wavetank-manifest`).
//!
//! A file for each family of kinds (`workload`, `sets`, `batch`, `network`, `storage`, `policy` …); `pod` with its
//! `container`s, `pod_volume`s, rules of `placement`, `pod_status`, `address` and `qos`; `object` is what all kinds
//! share, `meta`, `owners`, `condition` and `resources` what many of them have.

mod address;
mod batch;
mod condition;
mod config;
mod container;
mod disruption;
mod endpoints;
pub mod gpu;
mod index_set;
mod meta;
mod namespace;
mod network;
mod node;
mod object;
mod owners;
mod placement;
mod pod;
pub mod pod_security;
mod pod_status;
mod pod_volume;
mod policy;
mod qos;
mod resources;
mod schedule;
mod seldom;
mod sets;
mod storage;
mod storage_class;
mod workload;

pub use address::Address;
pub use batch::{
    COMPLETION_INDEX, COMPLETION_INDEX_ENV, CompletionMode, Concurrency, CronJob, CronJobStatus, FailureAction,
    FailurePattern, FailureRule, JOB_CONTROLLER, JOB_TRACKING, Job, JobSpec, JobStatus, JobTemplate, PodReplacement,
    SuccessRule, Uncounted,
};
pub(crate) use batch::{JOB_NAME_LABELS, JOB_UID_LABELS};
pub use condition::{Condition, ConditionKind, Conditions, Status3, WantedCondition};
pub(crate) use config::DESCRIPTION;
pub use config::{
    Blobs, ConfigKind, ConfigMap, DEFAULT_ACCOUNT, OPAQUE, ObjectReference, ROOT_CERTIFICATE, ROOT_CERTIFICATE_KEY,
    Secret, ServiceAccount,
};
pub use container::{
    Container, ContainerPort, EnvFrom, EnvSource, EnvVar, Hook, Lifecycle, Probe, ProbeAction, PullPolicy, VolumeMount,
    ZeroRequests,
};
pub use disruption::{DisruptionLimit, DisruptionStatus, PodDisruptionBudget, UnhealthyPodEviction};
pub use endpoints::{AddressKey, EndpointAddress, EndpointSubset, EndpointTarget, Endpoints};
pub use index_set::IndexSet;
pub use meta::{Labels, Meta, MetaExtras, Selector, SelectorOperator, SelectorRequirement, Stranger};
pub use namespace::Namespace;
pub use network::{
    AppProtocol, Endpoint, EndpointHints, EndpointPort, EndpointSlice, ExternalTraffic, IntOrName, IpFamily,
    IpFamilyPolicy, NodePort, Protocol, Service, ServicePort, ServiceType, TrafficDistribution,
};
pub use node::{Node, NodeImage, NodeSpec, NodeStatus, NodeVolumes, Taint, TaintEffect};
pub use object::{Kind, Object, ObjectKey, Resource};
pub(crate) use object::{for_every_kind, with_kind, with_object};
pub use owners::{OwnerReference, OwnerReferences};
pub use placement::{PlacementRules, PodTerm, PodTerms, SpreadConstraint, WeightedPodTerm};
pub use pod::{
    CONFIG_HASH, CONFIG_MIRROR, CONFIG_SOURCE, Pod, PodLimits, PodOwn, PodSpec, PreferredNodeTerm, RestartPolicy,
    ServiceLinks, Toleration, TolerationOperator,
};
pub use pod_security::PodSecurity;
pub use pod_status::{ContainerState, ContainerStatus, Phase, PodStatus, PodStatusExtras, Terminated};
pub use pod_volume::{
    ClaimTemplate, EmptyDir, FileSource, FileVolume, KeyToPath, Medium, PodVolume, PodVolumeSource, TOKEN_MOUNT_PATH,
    TOKEN_VOLUME, TokenVolume,
};
pub use policy::{
    Amounts, LimitRange, LimitRangeItem, LimitType, PriorityClass, QuotaScope, ResourceQuota, ResourceQuotaStatus,
    SYSTEM_PRIORITY_CLASSES, ScopeRequirement,
};
pub use qos::{QosClass, SYSTEM_CRITICAL_PRIORITY};
pub use resources::{ResourceName, Resources};
pub use schedule::{Schedule, Times, Zone};
pub use seldom::{Absent, Seldom};
pub use sets::{
    ClaimRetention, ControllerRevision, DaemonSet, DaemonSetStatus, DaemonSetStrategy, PodManagement, StatefulSet,
    StatefulSetStatus, StatefulSetStrategy,
};
pub use storage::{
    AccessMode, BETA_STORAGE_PROVISIONER, BIND_COMPLETED, BOUND_BY_CONTROLLER, CLAIM_PROTECTION, ClaimPhase,
    ClaimReference, ClaimSpec, Disk, Growth, PRE_RESIZE_CAPACITY, PROVISIONED_BY, PersistentVolume,
    PersistentVolumeClaim, PersistentVolumeClaimStatus, PersistentVolumeStatus, ReclaimPolicy, SELECTED_NODE,
    STORAGE_PROVISIONER, VOLUME_PROTECTION, VolumeMode, VolumePhase, VolumeSource,
};
pub use storage_class::{
    BindingMode, CSIDriver, CSINode, CSIStorageCapacity, CsiNodeDriver, NO_PROVISIONER, StorageClass,
    TopologyRequirement, VolumeAttachment, VolumeAttachmentStatus,
};
pub use workload::{
    Deployment, DeploymentStatus, DeploymentStrategy, IntOrPercent, PodTemplate, ReplicaSet, ReplicaSetStatus,
    ReplicationController,
};
