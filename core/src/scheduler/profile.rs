//! Scheduler profiles at work: which plugins run, in which order, with which weight, and the extension points that call
//! them.
//!
//! The points of one attempt, in order: PreEnqueue and QueueSort belong to [`super::queue`]; PreFilter is
//! [`super::traits::PodTraits`], computed once per spec; Filter, PreScore, Score and NormalizeScore are here;
//! PostFilter is [`super::preemption`]; Reserve is [`super::placement::Placement::assume`]; Bind is the request that
//! [`super::cycle`] sends. Permit, PreBind and PostBind have no plugin in the model; their places in the cycle are
//! marked there.

use std::sync::Arc;

use crate::config::{Plugin, PluginArgs, Point, PolicyConfig, ProfileConfig, SchedulerConfig};
use crate::id::Name;
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::gpu::DeviceSet;
use crate::scheduler::plugins::{AnyPlugin, Normalization, Reason, Refusal};
use crate::scheduler::policies::{self, Cycle, DependsOn, Fit, NodeView, PodView, Policy};
use crate::scheduler::traits::PodTraits;

/// The largest sum of a profile's score weights: a node's total score is less than 2³¹.
pub const WEIGHT_SUM_MAX: i64 = 20_000_000;

/// An enabled plugin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Enabled {
    pub(super) plugin: AnyPlugin,
    /// What its normalized score is multiplied with.
    pub(super) weight: i64,
    /// Whether it is asked first if it scores the pod at all (PreScore).
    passes: bool,
}

/// A profile, made ready.
pub(super) struct Profile {
    /// The scheduler name by which pods choose the profile.
    pub(super) name: Name,
    /// `percentageOfNodesToScore`, its own or the scheduler's.
    pub(super) percentage: u32,
    /// Whether gated pods stay out of the queue.
    pub(super) minds_gates: bool,
    /// Those that are asked after a failure (PostFilter), in order.
    pub(super) post_filters: Vec<Plugin>,
    pub(super) args: PluginArgs,
    /// Those that score, in order.
    scorers: Vec<Enabled>,
    /// Whether any plugin scores, be it part of the model or not.
    pub(super) has_scorers: bool,
    /// Those that refuse nodes, in order.
    filters: Vec<Plugin>,
    /// Those of them that refuse single nodes.
    single: Vec<Plugin>,
    /// Whether only nodes are looked at that the pod names (PreFilter of NodeAffinity).
    names_nodes: bool,
    /// The policies that [`AnyPlugin::Policy`] counts; they filter after the plugins of Kubernetes.
    policies: Vec<Arc<dyn Policy>>,
}

impl Profile {
    /// Reads a configuration, with the scheduler's policies.
    pub(super) fn of(config: &ProfileConfig, scheduler: &SchedulerConfig) -> Profile {
        let enabled = |plugin: &Plugin| Enabled {
            plugin: AnyPlugin::InTree(*plugin),
            weight: config.weight(*plugin).into(),
            passes: config.calls(Point::PreScore, *plugin),
        };
        let scorers = config.at(Point::Score);
        let filters = config.at(Point::Filter).to_vec();
        let single = filters.iter().copied().filter(|plugin| plugin.refuses_single_nodes());
        let profile = Profile {
            name: config.name.clone(),
            percentage: config.percentage_of_nodes_to_score.unwrap_or(scheduler.percentage_of_nodes_to_score),
            minds_gates: config.calls(Point::PreEnqueue, Plugin::SchedulingGates),
            post_filters: config.at(Point::PostFilter).to_vec(),
            args: config.args.clone(),
            scorers: scorers.iter().filter(|plugin| plugin.is_modelled_scorer()).map(enabled).collect(),
            has_scorers: !scorers.is_empty(),
            single: single.collect(),
            filters,
            names_nodes: config.calls(Point::PreFilter, Plugin::NodeAffinity),
            policies: Vec::new(),
        };
        let profile = match &scheduler.policy {
            Some(policy) => profile.with_policies(policy),
            None => profile,
        };
        let weights: i64 = profile.scorers.iter().map(|enabled| enabled.weight).sum();
        assert!(weights <= WEIGHT_SUM_MAX, "the weights of profile {} sum up to {weights}", config.name);
        profile
    }

    /// The profile with policies beside the plugins of Kubernetes: all filters stay, and the scores are those that the
    /// configuration names, of either kind, be they scores of the profile or not.
    ///
    /// Panics on names that nothing that scores has: whoever makes a configuration checks them.
    fn with_policies(mut self, config: &PolicyConfig) -> Profile {
        let in_tree = config.scores.iter().filter(|(name, _)| policies::find(name).is_none()).map(|(name, weight)| {
            let plugin = Plugin::named(name).filter(|plugin| plugin.is_modelled_scorer());
            let plugin = plugin.unwrap_or_else(|| panic!("nothing called {name:?} scores nodes"));
            let passes = self.scorer(plugin).is_none_or(|enabled| enabled.passes);
            Enabled { plugin: AnyPlugin::InTree(plugin), weight: *weight, passes }
        });
        let mut scorers: Vec<Enabled> = in_tree.collect();
        for (policy, weight) in policies::chosen(config) {
            let number = u8::try_from(self.policies.len()).expect("a profile has at most 256 policies");
            self.policies.push(policy);
            if weight > 0 {
                scorers.push(Enabled { plugin: AnyPlugin::Policy(number), weight, passes: true });
            }
        }
        self.has_scorers = !scorers.is_empty();
        self.scorers = scorers;
        self
    }

    /// Whether nothing but plugins of Kubernetes refuses or scores nodes.
    pub(super) fn has_no_policies(&self) -> bool {
        self.policies.is_empty()
    }

    fn policy(&self, number: u8) -> &dyn Policy {
        &*self.policies[usize::from(number)]
    }

    /// The plugin's name in messages.
    pub(super) fn name_of(&self, plugin: AnyPlugin) -> &'static str {
        match plugin {
            AnyPlugin::InTree(plugin) => plugin.name(),
            AnyPlugin::Policy(policy) => self.policy(policy).name(),
        }
    }

    /// Score: the node's raw score.
    pub(super) fn score(&self, plugin: AnyPlugin, cycle: Cycle, pod: &PodTraits, node: &NodeInfo) -> i64 {
        match plugin {
            AnyPlugin::InTree(plugin) => plugin.score(&self.args, pod, node),
            AnyPlugin::Policy(policy) => self.policy(policy).score(cycle, PodView(pod), NodeView(node)),
        }
    }

    /// NormalizeScore.
    pub(super) fn normalization(&self, plugin: AnyPlugin) -> Normalization {
        match plugin {
            AnyPlugin::InTree(plugin) => plugin.normalization(),
            AnyPlugin::Policy(policy) => self.policy(policy).normalization(),
        }
    }

    /// Whether a score, once computed, stays until the node changes.
    pub(super) fn is_cacheable(&self, plugin: AnyPlugin) -> bool {
        match plugin {
            AnyPlugin::InTree(_) => true,
            AnyPlugin::Policy(policy) => self.policy(policy).depends_on() == DependsOn::PodAndNode,
        }
    }

    /// Reserve: which of the node's GPUs the pod gets; `None` if it gets none. Nothing is drawn for a pod that asks for
    /// none.
    pub(super) fn devices(&self, pod: &PodTraits, node: &NodeInfo, draw: impl FnOnce() -> u64) -> Option<DeviceSet> {
        if pod.gpu.is_none() {
            return None;
        }
        let draw = draw();
        let by_policy = self.policies.iter().find_map(|it| it.devices(PodView(pod), NodeView(node), draw));
        by_policy.or_else(|| node.devices_for(pod))
    }

    /// What a policy that refuses the node says of it to people.
    pub(super) fn policy_text(&self, policy: u8, pod: &PodTraits, node: &NodeInfo) -> Option<&'static str> {
        match self.policy(policy).filter(PodView(pod), NodeView(node)) {
            Fit::Yes => None,
            Fit::No(text) | Fit::Never(text) => Some(text),
        }
    }

    /// Filter, the policies.
    fn policies_filter(&self, pod: &PodTraits, node: &NodeInfo) -> Refusal {
        for (policy, number) in self.policies.iter().zip(0..) {
            match policy.filter(PodView(pod), NodeView(node)) {
                Fit::Yes => {}
                Fit::No(_) => return Refusal::by_policy(number, false),
                Fit::Never(_) => return Refusal::by_policy(number, true),
            }
        }
        Refusal::NONE
    }

    /// Filter: the reasons of the first plugin that refuses the node for its own sake.
    pub(super) fn filter(&self, pod: &PodTraits, node: &NodeInfo) -> Refusal {
        // A node that PreFilter passes over is not asked about anything else.
        if let Some(names) = self.named_nodes(pod)
            && names.binary_search(&node.name).is_err()
        {
            let reason = if names.is_empty() { Reason::NamesConflict } else { Reason::NotNamed };
            return Refusal::for_good(reason);
        }
        let refusals = self.single.iter().map(|plugin| plugin.filter(&self.args, pod, node));
        refusals.into_iter().find(|refusal| !refusal.is_none()).unwrap_or_else(|| self.policies_filter(pod, node))
    }

    /// The only nodes that are looked at for the pod, sorted by name; `None` if it names none.
    pub(super) fn named_nodes<'a>(&self, pod: &'a PodTraits) -> Option<&'a [Name]> {
        pod.named_nodes.as_deref().filter(|_| self.names_nodes)
    }

    /// Of two refusals of one node, its own and one by other nodes' pods, that of the plugin that is asked first.
    /// Policies are asked last.
    pub(super) fn first(&self, own: Refusal, related: impl Fn(Plugin) -> Refusal) -> Refusal {
        if own.is_by_name() {
            return own;
        }
        let until = own.plugin();
        for plugin in &self.filters {
            if Some(AnyPlugin::InTree(*plugin)) == until {
                break;
            }
            if !plugin.refuses_single_nodes() {
                let refusal = related(*plugin);
                if !refusal.is_none() {
                    return refusal;
                }
            }
        }
        own
    }

    /// Whether the plugin refuses nodes in this profile.
    pub(super) fn filters_with(&self, plugin: Plugin) -> bool {
        self.filters.contains(&plugin)
    }

    /// The plugin as a scorer of this profile.
    pub(super) fn scorer(&self, plugin: Plugin) -> Option<Enabled> {
        self.scorers.iter().copied().find(|enabled| enabled.plugin == AnyPlugin::InTree(plugin))
    }

    /// PreScore: the plugins that score single nodes for this pod.
    pub(super) fn scorers(&self, pod: &PodTraits) -> impl Iterator<Item = Enabled> {
        let scores = move |enabled: &Enabled| match enabled.plugin {
            AnyPlugin::InTree(plugin) => {
                plugin.scores_single_nodes() && (!enabled.passes || plugin.scores(&self.args, pod))
            }
            AnyPlugin::Policy(policy) => self.policy(policy).scores(PodView(pod)),
        };
        self.scorers.iter().copied().filter(scores)
    }
}
