//! Scheduler profiles at work: which plugins run, in which order, with which weight, and the extension points that call
//! them.
//!
//! The points of one attempt, in order: PreEnqueue and QueueSort belong to [`super::queue`]; PreFilter is
//! [`super::traits::PodTraits`], computed once per spec; Filter, PreScore, Score and NormalizeScore are here; PostFilter
//! is [`super::preemption`]; Reserve is [`super::cache::Cache::assume`]; Bind is the request that [`super::cycle`] sends.
//! Permit, PreBind and PostBind have no plugin in the model; their places in the cycle are marked there.

use crate::config::{Plugin, PluginArgs, Point, ProfileConfig, SchedulerConfig};
use crate::id::Name;
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::traits::PodTraits;

/// The largest sum of a profile's score weights: a node's total score is less than 2³¹.
pub const WEIGHT_SUM_MAX: i64 = 20_000_000;

/// An enabled plugin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Enabled {
    pub(super) plugin: Plugin,
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
}

impl Profile {
    /// Reads a configuration.
    pub(super) fn of(config: &ProfileConfig, scheduler: &SchedulerConfig) -> Profile {
        let enabled = |plugin: &Plugin| Enabled {
            plugin: *plugin,
            weight: config.weight(*plugin).into(),
            passes: config.calls(Point::PreScore, *plugin),
        };
        let scorers = config.at(Point::Score);
        let weights: i64 = scorers.iter().map(|plugin| i64::from(config.weight(*plugin))).sum();
        assert!(weights <= WEIGHT_SUM_MAX, "the weights of profile {} sum up to {weights}", config.name);
        let filters = config.at(Point::Filter).to_vec();
        let single = filters.iter().copied().filter(|plugin| plugin.refuses_single_nodes());
        Profile {
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
        }
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
        refusals.into_iter().find(|refusal| !refusal.is_none()).unwrap_or(Refusal::NONE)
    }

    /// The only nodes that are looked at for the pod, sorted by name; `None` if it names none.
    pub(super) fn named_nodes<'a>(&self, pod: &'a PodTraits) -> Option<&'a [Name]> {
        pod.named_nodes.as_deref().filter(|_| self.names_nodes)
    }

    /// Of two refusals of one node, its own and one by other nodes' pods, that of the plugin that is asked first.
    pub(super) fn first(&self, own: Refusal, related: impl Fn(Plugin) -> Refusal) -> Refusal {
        if own.is_by_name() {
            return own;
        }
        let until = own.plugin();
        for plugin in &self.filters {
            if Some(*plugin) == until {
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
        self.scorers.iter().copied().find(|enabled| enabled.plugin == plugin)
    }

    /// PreScore: the plugins that score single nodes for this pod.
    pub(super) fn scorers(&self, pod: &PodTraits) -> impl Iterator<Item = Enabled> {
        let scores = |enabled: &Enabled| {
            enabled.plugin.scores_single_nodes() && (!enabled.passes || enabled.plugin.scores(&self.args, pod))
        };
        self.scorers.iter().copied().filter(scores)
    }
}
