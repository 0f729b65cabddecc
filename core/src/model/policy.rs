//! What a namespace may use (ResourceQuota, LimitRange) and how much a pod counts (PriorityClass).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::model::{Meta, SelectorOperator};
use crate::quantity::Quantity;

/// Amounts by the names of resources.
pub type Amounts = BTreeMap<Name, Quantity>;

/// A ResourceQuota.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ResourceQuota {
    /// Names and labels.
    pub meta: Meta,
    /// What the namespace may have of each resource.
    pub hard: Amounts,
    /// Which objects are counted: those that meet all of these (`scopes` and `scopeSelector`).
    pub scopes: Vec<ScopeRequirement>,
    /// What is enforced, and what is in use.
    pub status: ResourceQuotaStatus,
}

/// What of a quota is enforced, and what is in use.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ResourceQuotaStatus {
    /// The limits that are enforced: those of the spec that the controller saw last.
    pub hard: Amounts,
    /// What is in use of each.
    pub used: Amounts,
}

/// A property by which a quota picks what it counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum QuotaScope {
    /// Pods with a deadline (`activeDeadlineSeconds`).
    Terminating,
    /// Pods without one.
    NotTerminating,
    /// Pods that ask for nothing.
    BestEffort,
    /// Pods that ask for something.
    NotBestEffort,
    /// Pods of a PriorityClass.
    PriorityClass,
    /// Pods with affinity to pods of other namespaces.
    CrossNamespacePodAffinity,
    /// Claims of a VolumeAttributesClass.
    VolumeAttributesClass,
}

impl QuotaScope {
    /// All scopes.
    pub const ALL: [QuotaScope; 7] = [
        QuotaScope::Terminating,
        QuotaScope::NotTerminating,
        QuotaScope::BestEffort,
        QuotaScope::NotBestEffort,
        QuotaScope::PriorityClass,
        QuotaScope::CrossNamespacePodAffinity,
        QuotaScope::VolumeAttributesClass,
    ];

    /// The scope's name in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            QuotaScope::Terminating => "Terminating",
            QuotaScope::NotTerminating => "NotTerminating",
            QuotaScope::BestEffort => "BestEffort",
            QuotaScope::NotBestEffort => "NotBestEffort",
            QuotaScope::PriorityClass => "PriorityClass",
            QuotaScope::CrossNamespacePodAffinity => "CrossNamespacePodAffinity",
            QuotaScope::VolumeAttributesClass => "VolumeAttributesClass",
        }
    }
}

/// One condition on what a quota counts.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ScopeRequirement {
    /// The property.
    pub scope: QuotaScope,
    /// `Exists`, `DoesNotExist`, `In` or `NotIn`; only classes have values.
    pub operator: SelectorOperator,
    /// The values of `In` and `NotIn`.
    pub values: Vec<Name>,
}

impl ScopeRequirement {
    /// The scope of a plain list, which asks for the property itself.
    pub fn exists(scope: QuotaScope) -> ScopeRequirement {
        ScopeRequirement { scope, operator: SelectorOperator::Exists, values: Vec::new() }
    }
}

/// A LimitRange.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct LimitRange {
    /// Names and labels.
    pub meta: Meta,
    /// The limits, in the manifest's order.
    pub limits: Vec<LimitRangeItem>,
}

/// What one limit is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum LimitType {
    /// Each container.
    Container,
    /// A pod as a whole.
    Pod,
    /// A claim.
    PersistentVolumeClaim,
    /// Something that Kubernetes itself does not limit.
    Other(Name),
}

/// The limits of one type of thing.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct LimitRangeItem {
    /// What it is about.
    pub limit_type: LimitType,
    /// The least.
    pub min: Amounts,
    /// The most.
    pub max: Amounts,
    /// The limits of a container that names none.
    pub default_limits: Amounts,
    /// The requests of a container that names none.
    pub default_requests: Amounts,
    /// How many times its request a limit may be.
    pub max_ratio: Amounts,
}

/// A PriorityClass.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PriorityClass {
    /// Names and labels.
    pub meta: Meta,
    /// The priority of its pods.
    pub value: i32,
    /// Whether pods without a class get this one.
    pub global_default: bool,
    /// Whether its pods never preempt others (`preemptionPolicy: Never`).
    pub never_preempts: bool,
}

/// The classes that every cluster has, with their values.
///
/// Source: `systemPriorityClasses`, pkg/apis/scheduling/v1/helpers.go (v1.34.1). The core knows them without objects.
pub const SYSTEM_PRIORITY_CLASSES: [(&str, i32); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];
