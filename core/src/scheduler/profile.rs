//! A scheduler profile: which plugins run, in which order and with which weight, and the extension points that call
//! them.
//!
//! The points of one attempt, in order: PreEnqueue and QueueSort belong to [`super::queue`]; PreFilter is
//! [`super::traits::PodTraits`], computed once per spec; Filter, PreScore, Score and NormalizeScore are here; PostFilter
//! is [`super::diagnosis`]; Reserve is [`super::cache::Cache::assume`]; Bind is the request that [`super::cycle`] sends.
//! Permit, PreBind and PostBind have no plugin in the model; their places in the cycle are marked there.

use crate::scheduler::cache::NodeInfo;
use crate::scheduler::plugins::{Plugin, Reason, Refusal};
use crate::scheduler::traits::PodTraits;

/// An enabled plugin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Enabled {
    pub(super) plugin: Plugin,
    /// What its normalized score is multiplied with.
    pub(super) weight: i64,
}

/// The plugins of a profile, in order.
pub(super) struct Profile {
    /// The scheduler name by which pods choose the profile.
    pub(super) name: &'static str,
    pub(super) plugins: Vec<Enabled>,
    /// Those of them that refuse single nodes.
    filters: Vec<Plugin>,
}

impl Profile {
    /// The default profile.
    ///
    /// Source: pkg/scheduler/apis/config/v1/default_plugins.go (v1.34.1).
    pub(super) fn default_scheduler() -> Profile {
        let enabled = |plugin, weight| Enabled { plugin, weight };
        let plugins = vec![
            enabled(Plugin::NodeUnschedulable, 0),
            enabled(Plugin::TaintToleration, 3),
            enabled(Plugin::NodeAffinity, 2),
            enabled(Plugin::NodePorts, 0),
            enabled(Plugin::NodeResourcesFit, 1),
            enabled(Plugin::VolumeRestrictions, 0),
            enabled(Plugin::NodeVolumeLimits, 0),
            enabled(Plugin::VolumeBinding, 0),
            enabled(Plugin::VolumeZone, 0),
            enabled(Plugin::PodTopologySpread, 2),
            enabled(Plugin::InterPodAffinity, 2),
            enabled(Plugin::NodeResourcesBalancedAllocation, 1),
            enabled(Plugin::ImageLocality, 1),
        ];
        let filters = plugins.iter().map(|enabled| enabled.plugin).filter(|plugin| plugin.refuses_single_nodes());
        Profile { name: "default-scheduler", filters: filters.collect(), plugins }
    }

    /// Filter: the reasons of the first plugin that refuses the node.
    pub(super) fn filter(&self, pod: &PodTraits, node: &NodeInfo) -> Refusal {
        // A node that PreFilter passes over is not asked about anything else.
        if pod.spec.rules.is_some() && Plugin::NodeAffinity.filter(pod, node).has(Reason::NotNamed) {
            return Refusal::for_good(Reason::NotNamed);
        }
        let refusals = self.filters.iter().map(|plugin| plugin.filter(pod, node));
        refusals.into_iter().find(|refusal| !refusal.is_none()).unwrap_or(Refusal::NONE)
    }

    /// PreScore: the plugins that score nodes for this pod.
    pub(super) fn scorers(&self, pod: &PodTraits) -> impl Iterator<Item = Enabled> {
        self.plugins.iter().copied().filter(|enabled| enabled.weight > 0 && enabled.plugin.scores(pod))
    }
}
