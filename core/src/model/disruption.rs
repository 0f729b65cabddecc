//! PodDisruptionBudgets: how many pods of a set may be taken away at once on purpose.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::model::{ConditionKind, Conditions, IntOrPercent, Labels, Meta, Selector, Status3};
use crate::time::Time;

/// A PodDisruptionBudget.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PodDisruptionBudget {
    /// Names and labels.
    pub meta: Meta,
    /// Which pods it guards: an empty selector guards all of the namespace, none guards nothing.
    pub selector: Option<Selector>,
    /// What must stay.
    pub limit: DisruptionLimit,
    /// What becomes of evictions of pods that are not ready.
    pub unhealthy_pods: UnhealthyPodEviction,
    /// What the controller last counted.
    pub status: DisruptionStatus,
}

/// What must stay of the guarded pods; shares are rounded up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum DisruptionLimit {
    /// Neither was said: nothing need stay.
    #[default]
    None,
    /// So many must be ready.
    MinAvailable(IntOrPercent),
    /// So many of the wanted number may be missing.
    MaxUnavailable(IntOrPercent),
}

/// Whether a pod that is not ready may be evicted although no disruption is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum UnhealthyPodEviction {
    /// If enough others are ready.
    #[default]
    IfHealthyBudget,
    /// Always.
    AlwaysAllow,
}

/// What the disruption controller last counted, and evictions since.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct DisruptionStatus {
    /// The generation that the counts belong to.
    pub observed_generation: u32,
    /// How many pods may be evicted now.
    pub disruptions_allowed: u32,
    /// Pods that are ready and stay.
    pub current_healthy: u32,
    /// How many of them must stay.
    pub desired_healthy: u32,
    /// How many pods there should be.
    pub expected_pods: u32,
    /// Pods whose eviction was granted and that the controller has not yet seen going, and since when.
    pub disrupted_pods: BTreeMap<Name, Time>,
    /// DisruptionAllowed.
    pub conditions: Conditions,
}

impl PodDisruptionBudget {
    /// Whether a pod of these labels, in the budget's namespace, is guarded.
    pub fn guards(&self, labels: &Labels) -> bool {
        self.selector.as_ref().is_some_and(|selector| selector.matches(labels))
    }
}

impl DisruptionStatus {
    /// Brings the condition DisruptionAllowed in line with the count.
    ///
    /// Source: `UpdateDisruptionAllowedCondition`,
    /// staging/src/k8s.io/component-helpers/apps/poddisruptionbudget/helpers.go (v1.34.1).
    pub fn update_condition(&mut self, now: Time) {
        let (status, reason) = self.condition_due();
        self.conditions.set(ConditionKind::DisruptionAllowed, status, reason, "", now);
    }

    /// Whether the condition says what the count says, and for its reason: one that says that a sync failed does not.
    ///
    /// Source: `ConditionsAreUpToDate`, in the same file.
    pub fn condition_is_up_to_date(&self) -> bool {
        let condition = self.conditions.get(ConditionKind::DisruptionAllowed);
        condition.is_some_and(|condition| (condition.status, &*condition.reason) == self.condition_due())
    }

    /// Status and reason of the condition, by the count.
    fn condition_due(&self) -> (Status3, &'static str) {
        let allowed = self.disruptions_allowed > 0;
        (Status3::from(allowed), if allowed { "SufficientPods" } else { "InsufficientPods" })
    }
}
