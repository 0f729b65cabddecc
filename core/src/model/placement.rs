//! Where a pod may run beyond selectors and tolerations: gates, topology spread, affinity to other pods.
//!
//! Most pods have none of these, so the spec holds them in one box.

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::model::{Selector, SelectorRequirement};

/// The rarer rules of a pod's placement.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PlacementRules {
    /// The node that a template names for all its pods (`nodeName`); a pod's own node is beside its spec.
    pub template_node: Option<Name>,
    /// Names of the gates that keep the pod out of the scheduler's queue.
    pub scheduling_gates: Vec<Name>,
    /// Whether the pod never preempts others (`preemptionPolicy: Never`).
    pub never_preempts: bool,
    /// Whether the manifest says that the pod preempts others, which admission compares with its class and forgets.
    pub says_it_preempts: bool,
    /// Requirements on the node's name (`matchFields`) of the required node affinity's terms, by the same index;
    /// shorter if the last terms have none.
    pub required_node_names: Vec<Vec<SelectorRequirement>>,
    /// The same for the preferred terms.
    pub preferred_node_names: Vec<Vec<SelectorRequirement>>,
    /// How evenly pods are to be spread.
    pub spread: Vec<SpreadConstraint>,
    /// Pods that this one wants to be near.
    pub pod_affinity: PodTerms,
    /// Pods that this one wants to be away from.
    pub pod_anti_affinity: PodTerms,
}

/// One topology spread constraint.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct SpreadConstraint {
    /// By how many matching pods domains may differ (≥ 1).
    pub max_skew: i32,
    /// The node label whose values are the domains.
    pub topology_key: Name,
    /// Whether a node that would break it is refused (`DoNotSchedule`) or only liked less (`ScheduleAnyway`).
    pub required: bool,
    /// Which pods are counted; `None` counts none.
    pub selector: Option<Selector>,
    /// With fewer domains than this the least filled one counts as empty (≥ 1).
    pub min_domains: u32,
    /// Whether nodes that the pod's node affinity excludes are left out of the count.
    pub honors_node_affinity: bool,
    /// Whether nodes with taints that the pod does not tolerate are left out of the count.
    pub honors_node_taints: bool,
    /// Labels of the pod whose values are added to the selector.
    pub match_label_keys: Vec<Name>,
}

/// Affinity or anti-affinity to other pods.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PodTerms {
    /// All of these must hold.
    pub required: Vec<PodTerm>,
    /// These are weighed.
    pub preferred: Vec<WeightedPodTerm>,
}

/// A term with its weight.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct WeightedPodTerm {
    /// What each matching pod counts (1 ..= 100).
    pub weight: i32,
    /// Which pods, and how near.
    pub term: PodTerm,
}

/// Which other pods are meant, and what counts as near.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PodTerm {
    /// Pods on nodes with the same value of this label are near.
    pub topology_key: Name,
    /// Which pods; `None` is none.
    pub selector: Option<Selector>,
    /// Their namespaces; with neither these nor a namespace selector, the pod's own.
    pub namespaces: Vec<Name>,
    /// Further namespaces by label; the empty selector is all of them, `None` is none.
    pub namespace_selector: Option<Selector>,
    /// Labels of the pod whose values the others must share.
    pub match_label_keys: Vec<Name>,
    /// Labels of the pod whose values the others must not have.
    pub mismatch_label_keys: Vec<Name>,
}

impl PodTerms {
    /// Whether there is no term.
    pub fn is_empty(&self) -> bool {
        self.required.is_empty() && self.preferred.is_empty()
    }
}
