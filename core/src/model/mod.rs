//! The objects that the core decides on: compact forms of the Kubernetes kinds.
//!
//! Invariant: an object is immutable once stored; a write stores a new version. What the core does not model travels
//! along as text ([`Meta::original`]) and is given back when the object is shown. Absent on purpose: JSON, defaulting
//! and validation texts, which belong to the edges (crate `wavetank-manifest`).

mod condition;
mod disruption;
mod meta;
mod network;
mod node;
mod object;
mod placement;
mod pod;
mod resources;
mod sets;
mod workload;

pub use condition::{Condition, ConditionKind, Conditions, Status3};
pub use disruption::{DisruptionLimit, DisruptionStatus, PodDisruptionBudget, UnhealthyPodEviction};
pub use meta::{Labels, Meta, OwnerReference, Selector, SelectorOperator, SelectorRequirement};
pub use network::{Endpoint, EndpointSlice, IntOrName, Protocol, Service, ServicePort, ServiceType};
pub use node::{Namespace, Node, NodeImage, NodeSpec, NodeStatus, Taint, TaintEffect};
pub use object::{Kind, Object, ObjectKey, Resource};
pub(crate) use object::{Tables, with_kind, with_object};
pub use placement::{PlacementRules, PodTerm, PodTerms, SpreadConstraint, WeightedPodTerm};
pub use pod::{
    Container, ContainerPort, ContainerState, ContainerStatus, EnvVar, Phase, Pod, PodOwn, PodSpec, PodStatus,
    PreferredNodeTerm, Probe, ProbeAction, PullPolicy, RestartPolicy, Terminated, Toleration, TolerationOperator,
};
pub use resources::{ResourceName, Resources};
pub use sets::{
    ClaimRetention, ClaimTemplate, ControllerRevision, DaemonSet, DaemonSetStatus, DaemonSetStrategy, PodManagement,
    StatefulSet, StatefulSetStatus, StatefulSetStrategy,
};
pub use workload::{
    Deployment, DeploymentStatus, DeploymentStrategy, IntOrPercent, PodTemplate, ReplicaSet, ReplicaSetStatus,
};
