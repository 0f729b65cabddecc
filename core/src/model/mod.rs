//! The objects that the core decides on: compact forms of the Kubernetes kinds.
//!
//! Invariant: an object is immutable once stored; a write stores a new version. What the core does not model travels
//! along as text ([`Meta::original`]) and is given back when the object is shown. Absent on purpose: JSON, defaulting
//! and validation texts, which belong to the edges (crate `wavetank-manifest`).

mod condition;
mod meta;
mod network;
mod node;
mod object;
mod placement;
mod pod;
mod resources;
mod workload;

pub use condition::{Condition, ConditionKind, Conditions, Status3};
pub use meta::{Labels, Meta, OwnerReference, Selector, SelectorOperator, SelectorRequirement};
pub use network::{Endpoint, EndpointSlice, IntOrName, Protocol, Service, ServicePort, ServiceType};
pub use node::{Namespace, Node, NodeImage, NodeSpec, NodeStatus, Taint, TaintEffect};
pub use object::{Kind, Object, ObjectKey, Resource};
pub use placement::{PlacementRules, PodTerm, PodTerms, SpreadConstraint, WeightedPodTerm};
pub use pod::{
    Container, ContainerPort, ContainerState, ContainerStatus, EnvVar, Phase, Pod, PodSpec, PodStatus,
    PreferredNodeTerm, Probe, ProbeAction, PullPolicy, RestartPolicy, Terminated, Toleration, TolerationOperator,
    ZeroRequests,
};
pub use resources::{ResourceName, Resources};
pub use workload::{
    Deployment, DeploymentStatus, DeploymentStrategy, IntOrPercent, PodTemplate, ReplicaSet, ReplicaSetStatus,
};
