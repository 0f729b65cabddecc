//! A scheduler profile: which plugins run, in which order and with which weight, and the extension points that call
//! them.
//!
//! The points of one attempt, in order: PreEnqueue and QueueSort belong to [`super::queue`]; PreFilter is
//! [`super::traits::PodTraits`], computed once per spec; Filter, PreScore, Score and NormalizeScore are here; PostFilter
//! is [`super::diagnosis`]; Reserve is [`super::cache::Cache::assume`]; Bind is the request that [`super::cycle`] sends.
//! Permit, PreBind and PostBind have no plugin in the model; their places in the cycle are marked there.

use std::sync::Arc;

use crate::config::PolicyConfig;
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::gpu::DeviceSet;
use crate::scheduler::plugins::{Normalization, Plugin, Reason, Refusal};
use crate::scheduler::policies::{self, Cycle, DependsOn, Fit, NodeView, PodView, Policy};
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
    /// The policies that [`Plugin::Added`] counts.
    policies: Vec<Arc<dyn Policy>>,
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
        Profile { name: "default-scheduler", filters: filters.collect(), plugins, policies: Vec::new() }
    }

    /// The profile with policies beside the plugins of Kubernetes: all filters stay, and the scores are those that the
    /// configuration names, of either kind.
    pub(super) fn with_policies(mut self, config: &PolicyConfig) -> Profile {
        for enabled in &mut self.plugins {
            let named = config.scores.iter().find(|(name, _)| **name == *enabled.plugin.name());
            enabled.weight = named.map_or(0, |(_, weight)| *weight);
        }
        for (policy, weight) in policies::chosen(config) {
            assert!(self.policies.len() < Refusal::ADDED_MAX, "more than {} policies", Refusal::ADDED_MAX);
            self.plugins.push(Enabled { plugin: Plugin::Added(self.policies.len() as u8), weight });
            self.policies.push(policy);
        }
        self
    }

    /// The plugin's name in messages.
    pub(super) fn name_of(&self, plugin: Plugin) -> &'static str {
        match plugin {
            Plugin::Added(policy) => self.policies[usize::from(policy)].name(),
            other => other.name(),
        }
    }

    /// Score: the node's raw score.
    pub(super) fn score(&self, plugin: Plugin, cycle: Cycle, pod: &PodTraits, node: &NodeInfo) -> i64 {
        match plugin {
            Plugin::Added(policy) => self.policies[usize::from(policy)].score(cycle, PodView(pod), NodeView(node)),
            other => other.score(pod, node),
        }
    }

    /// NormalizeScore.
    pub(super) fn normalization(&self, plugin: Plugin) -> Normalization {
        match plugin {
            Plugin::Added(policy) => self.policies[usize::from(policy)].normalization(),
            other => other.normalization(),
        }
    }

    /// Whether a score, once computed, stays until the node changes.
    pub(super) fn is_cacheable(&self, plugin: Plugin) -> bool {
        match plugin {
            Plugin::Added(policy) => self.policies[usize::from(policy)].depends_on() == DependsOn::PodAndNode,
            _ => true,
        }
    }

    /// Reserve: which of the node's GPUs the pod gets; `None` if it gets none.
    pub(super) fn devices(&self, pod: &PodTraits, node: &NodeInfo, draw: u64) -> Option<DeviceSet> {
        if pod.gpu.is_none() {
            return None;
        }
        let by_policy = self.policies.iter().find_map(|it| it.devices(PodView(pod), NodeView(node), draw));
        by_policy.or_else(|| node.gpus.tightest(pod.gpu))
    }

    /// What the policies that refuse the node say of it to people.
    pub(super) fn added_texts(&self, pod: &PodTraits, node: &NodeInfo, refusal: Refusal) -> Vec<String> {
        let asked =
            refusal.added().map(|policy| self.policies[usize::from(policy)].filter(PodView(pod), NodeView(node)));
        let texts = asked.filter_map(|fit| match fit {
            Fit::Yes => None,
            Fit::No(text) | Fit::Never(text) => Some(text.to_string()),
        });
        texts.collect()
    }

    /// Filter, the policies that are not of Kubernetes.
    fn added_filter(&self, pod: &PodTraits, node: &NodeInfo) -> Refusal {
        for (index, policy) in self.policies.iter().enumerate() {
            match policy.filter(PodView(pod), NodeView(node)) {
                Fit::Yes => {}
                Fit::No(_) => return Refusal::by_added(index as u8, false),
                Fit::Never(_) => return Refusal::by_added(index as u8, true),
            }
        }
        Refusal::NONE
    }

    /// Filter: the reasons of the first plugin that refuses the node.
    pub(super) fn filter(&self, pod: &PodTraits, node: &NodeInfo) -> Refusal {
        // A node that PreFilter passes over is not asked about anything else.
        if pod.spec.rules.is_some() && Plugin::NodeAffinity.filter(pod, node).has(Reason::NotNamed) {
            return Refusal::for_good(Reason::NotNamed);
        }
        let refusals = self.filters.iter().map(|plugin| plugin.filter(pod, node));
        refusals.into_iter().find(|refusal| !refusal.is_none()).unwrap_or_else(|| self.added_filter(pod, node))
    }

    /// PreScore: the plugins that score nodes for this pod.
    pub(super) fn scorers(&self, pod: &PodTraits) -> impl Iterator<Item = Enabled> {
        let scores = |plugin: Plugin| match plugin {
            Plugin::Added(policy) => self.policies[usize::from(policy)].scores(PodView(pod)),
            other => other.scores(pod),
        };
        self.plugins.iter().copied().filter(move |enabled| enabled.weight > 0 && scores(enabled.plugin))
    }
}
