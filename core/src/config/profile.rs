//! Scheduler profiles as plain data: which plugins run where, with which weights and arguments.
//!
//! This is what is left of a `KubeSchedulerConfiguration` after defaults, `multiPoint` and all overrides: for each
//! extension point the plugins in the order in which they are called. Absent on purpose: extenders and plugins that are
//! not part of kube-scheduler.
//!
//! Source: staging/src/k8s.io/kube-scheduler/config/v1/{types,types_pluginargs}.go,
//! pkg/scheduler/apis/config/v1/default_plugins.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::model::{ResourceName, SelectorRequirement, SpreadConstraint};
use crate::time::Span;

/// A plugin of kube-scheduler, in the order in which the default profile names them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Plugin {
    /// PreEnqueue: pods behind gates stay out of the queue.
    SchedulingGates,
    /// QueueSort: by priority, then by time.
    PrioritySort,
    /// Filter: cordoned nodes.
    NodeUnschedulable,
    /// Filter: the node that the pod names.
    NodeName,
    /// Filter, Score: taints.
    TaintToleration,
    /// PreFilter, Filter, Score: node selector and node affinity.
    NodeAffinity,
    /// Filter: host ports.
    NodePorts,
    /// Filter, Score: room for the pod's requests.
    NodeResourcesFit,
    /// Filter: volumes that only one pod may use.
    VolumeRestrictions,
    /// Filter: how many volumes a node can attach.
    NodeVolumeLimits,
    /// Filter: claims that can be bound on the node.
    VolumeBinding,
    /// Filter: volumes' zones.
    VolumeZone,
    /// Filter, Score: topology spread constraints.
    PodTopologySpread,
    /// Filter, Score: terms about other pods.
    InterPodAffinity,
    /// PreEnqueue, Filter, PostFilter: resource claims.
    DynamicResources,
    /// PostFilter: pods of lower priority make room.
    DefaultPreemption,
    /// Score: nodes whose resources are used evenly.
    NodeResourcesBalancedAllocation,
    /// Score: nodes that have the images.
    ImageLocality,
    /// Bind: the request to the API server.
    DefaultBinder,
}

/// An extension point of the scheduling framework.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of Kubernetes")]
pub enum Point {
    PreEnqueue,
    QueueSort,
    PreFilter,
    Filter,
    PostFilter,
    PreScore,
    Score,
    Reserve,
    Permit,
    PreBind,
    Bind,
    PostBind,
}

impl Point {
    /// All points, in the order of the configuration's fields.
    pub const ALL: [Point; 12] = [
        Point::PreEnqueue,
        Point::QueueSort,
        Point::PreFilter,
        Point::Filter,
        Point::PostFilter,
        Point::PreScore,
        Point::Score,
        Point::Reserve,
        Point::Permit,
        Point::PreBind,
        Point::Bind,
        Point::PostBind,
    ];
}

impl Plugin {
    /// All plugins with their weights in the default profile; 0 where it sets none.
    ///
    /// Source: `getDefaultPlugins`, pkg/scheduler/apis/config/v1/default_plugins.go (v1.34.1).
    pub const DEFAULTS: [(Plugin, u32); 19] = [
        (Plugin::SchedulingGates, 0),
        (Plugin::PrioritySort, 0),
        (Plugin::NodeUnschedulable, 0),
        (Plugin::NodeName, 0),
        (Plugin::TaintToleration, 3),
        (Plugin::NodeAffinity, 2),
        (Plugin::NodePorts, 0),
        (Plugin::NodeResourcesFit, 1),
        (Plugin::VolumeRestrictions, 0),
        (Plugin::NodeVolumeLimits, 0),
        (Plugin::VolumeBinding, 0),
        (Plugin::VolumeZone, 0),
        (Plugin::PodTopologySpread, 2),
        (Plugin::InterPodAffinity, 2),
        (Plugin::DynamicResources, 0),
        (Plugin::DefaultPreemption, 0),
        (Plugin::NodeResourcesBalancedAllocation, 1),
        (Plugin::ImageLocality, 1),
        (Plugin::DefaultBinder, 0),
    ];

    /// The name in configurations and messages.
    pub fn name(self) -> &'static str {
        match self {
            Plugin::SchedulingGates => "SchedulingGates",
            Plugin::PrioritySort => "PrioritySort",
            Plugin::NodeUnschedulable => "NodeUnschedulable",
            Plugin::NodeName => "NodeName",
            Plugin::TaintToleration => "TaintToleration",
            Plugin::NodeAffinity => "NodeAffinity",
            Plugin::NodePorts => "NodePorts",
            Plugin::NodeResourcesFit => "NodeResourcesFit",
            Plugin::VolumeRestrictions => "VolumeRestrictions",
            Plugin::NodeVolumeLimits => "NodeVolumeLimits",
            Plugin::VolumeBinding => "VolumeBinding",
            Plugin::VolumeZone => "VolumeZone",
            Plugin::PodTopologySpread => "PodTopologySpread",
            Plugin::InterPodAffinity => "InterPodAffinity",
            Plugin::DynamicResources => "DynamicResources",
            Plugin::DefaultPreemption => "DefaultPreemption",
            Plugin::NodeResourcesBalancedAllocation => "NodeResourcesBalancedAllocation",
            Plugin::ImageLocality => "ImageLocality",
            Plugin::DefaultBinder => "DefaultBinder",
        }
    }

    /// The plugin of a name.
    pub fn named(name: &str) -> Option<Plugin> {
        Plugin::DEFAULTS.iter().map(|(plugin, _)| *plugin).find(|plugin| plugin.name() == name)
    }

    /// The extension points that the plugin implements.
    ///
    /// Source: the interface assertions of pkg/scheduler/framework/plugins (v1.34.1).
    pub fn points(self) -> &'static [Point] {
        use Point::{Bind, Filter, PostFilter, PreBind, PreEnqueue, PreFilter, PreScore, QueueSort, Reserve, Score};
        match self {
            Plugin::SchedulingGates => &[PreEnqueue],
            Plugin::PrioritySort => &[QueueSort],
            Plugin::NodeUnschedulable | Plugin::NodeName => &[Filter],
            Plugin::TaintToleration => &[Filter, PreScore, Score],
            Plugin::NodeAffinity | Plugin::NodeResourcesFit | Plugin::PodTopologySpread | Plugin::InterPodAffinity => {
                &[PreFilter, Filter, PreScore, Score]
            }
            Plugin::NodePorts | Plugin::VolumeRestrictions | Plugin::NodeVolumeLimits | Plugin::VolumeZone => {
                &[PreFilter, Filter]
            }
            Plugin::VolumeBinding => &[PreFilter, Filter, PreScore, Score, Reserve, PreBind],
            Plugin::DynamicResources => &[PreEnqueue, PreFilter, Filter, PostFilter, Reserve, PreBind],
            Plugin::DefaultPreemption => &[PreEnqueue, PostFilter],
            Plugin::NodeResourcesBalancedAllocation => &[PreScore, Score],
            Plugin::ImageLocality => &[Score],
            Plugin::DefaultBinder => &[Bind],
        }
    }
}

/// One profile.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ProfileConfig {
    /// `schedulerName`: by it pods choose the profile.
    pub name: Name,
    /// `percentageOfNodesToScore`, 0 ..= 100; 0 is adaptive, `None` is the scheduler's own.
    pub percentage_of_nodes_to_score: Option<u32>,
    /// The plugins that each point calls, in order; a plugin implements every point at which it is listed.
    pub points: BTreeMap<Point, Vec<Plugin>>,
    /// The weights of the plugins that score (≥ 1).
    pub weights: BTreeMap<Plugin, u32>,
    /// The plugins' arguments.
    pub args: PluginArgs,
}

impl Default for ProfileConfig {
    /// The default profile.
    fn default() -> Self {
        let plugins = || Plugin::DEFAULTS.iter().map(|(plugin, _)| *plugin);
        let at = |point: Point| plugins().filter(|plugin| plugin.points().contains(&point)).collect();
        let scoring = Plugin::DEFAULTS.iter().filter(|(plugin, _)| plugin.points().contains(&Point::Score));
        ProfileConfig {
            name: "default-scheduler".into(),
            percentage_of_nodes_to_score: None,
            points: Point::ALL.iter().map(|point| (*point, at(*point))).collect(),
            weights: scoring.map(|(plugin, weight)| (*plugin, (*weight).max(1))).collect(),
            args: PluginArgs::default(),
        }
    }
}

impl ProfileConfig {
    /// The plugins that a point calls, in order.
    pub fn at(&self, point: Point) -> &[Plugin] {
        self.points.get(&point).map_or(&[], |plugins| plugins)
    }

    /// Whether a point calls a plugin.
    pub fn calls(&self, point: Point, plugin: Plugin) -> bool {
        self.at(point).contains(&plugin)
    }

    /// The weight of a plugin's scores; 1 for one that has none set.
    pub fn weight(&self, plugin: Plugin) -> u32 {
        self.weights.get(&plugin).copied().unwrap_or(1)
    }
}

/// The arguments of the plugins of one profile.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PluginArgs {
    /// `NodeResourcesFitArgs`.
    pub fit: FitArgs,
    /// `NodeResourcesBalancedAllocationArgs`.
    pub balance: BalanceArgs,
    /// `InterPodAffinityArgs`.
    pub pod_affinity: PodAffinityArgs,
    /// `PodTopologySpreadArgs`.
    pub spread: SpreadDefaults,
    /// `NodeAffinityArgs`.
    pub node_affinity: AddedAffinity,
    /// `DefaultPreemptionArgs`.
    pub preemption: PreemptionArgs,
    /// `VolumeBindingArgs`.
    pub volume_binding: VolumeBindingArgs,
}

/// `NodeResourcesFitArgs`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct FitArgs {
    /// Extended resources of which nodes need not have enough.
    pub ignored: BTreeSet<Name>,
    /// The same for all resources whose name begins with one of these and a slash.
    pub ignored_groups: BTreeSet<Name>,
    /// What makes a node's score.
    pub strategy: ScoringStrategy,
    /// The resources that are scored, each with its weight (1 ..= 100).
    pub resources: Vec<(ResourceName, i64)>,
}

impl Default for FitArgs {
    fn default() -> Self {
        FitArgs {
            ignored: BTreeSet::new(),
            ignored_groups: BTreeSet::new(),
            strategy: ScoringStrategy::LeastAllocated,
            resources: vec![(ResourceName::Cpu, 1), (ResourceName::Memory, 1)],
        }
    }
}

/// What makes a node's score by its resources.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ScoringStrategy {
    /// The less is used the better.
    LeastAllocated,
    /// The more is used the better.
    MostAllocated,
    /// A line through these points: use in percent (0 ..= 100, increasing) and score (0 ..= 10).
    RequestedToCapacityRatio(Vec<(i64, i64)>),
}

/// `NodeResourcesBalancedAllocationArgs`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct BalanceArgs {
    /// The resources whose use should be even.
    pub resources: Vec<ResourceName>,
}

impl Default for BalanceArgs {
    fn default() -> Self {
        BalanceArgs { resources: vec![ResourceName::Cpu, ResourceName::Memory] }
    }
}

/// `InterPodAffinityArgs`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PodAffinityArgs {
    /// `hardPodAffinityWeight`: what a placed pod's required affinity to the pod counts (0 ..= 100).
    pub required_term_weight: i64,
    /// `ignorePreferredTermsOfExistingPods`: pods without preferred terms of their own are not scored.
    pub ignore_terms_of_placed_pods: bool,
}

impl Default for PodAffinityArgs {
    fn default() -> Self {
        PodAffinityArgs { required_term_weight: 1, ignore_terms_of_placed_pods: false }
    }
}

/// `PodTopologySpreadArgs`: the constraints of pods that have none themselves.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum SpreadDefaults {
    /// `System`: nodes and zones, by preference, be there zones or not.
    #[default]
    System,
    /// `List`: these; selectors are left out, because the pods that are counted are found for each pod.
    List(Vec<SpreadConstraint>),
}

/// `NodeAffinityArgs.addedAffinity`: what the scheduler asks of nodes for every pod.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct AddedAffinity {
    /// Alternatives, of which one must match; an empty list matches nothing.
    pub required: Option<Vec<NodeTerm>>,
    /// Weights (1 ..= 100) of the terms that are liked.
    pub preferred: Vec<(i32, NodeTerm)>,
}

/// Requirements on a node, all of which must hold; a term without any matches nothing.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct NodeTerm {
    /// On its labels.
    pub labels: Vec<SelectorRequirement>,
    /// On its name (In and NotIn only).
    pub names: Vec<SelectorRequirement>,
}

/// `DefaultPreemptionArgs`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PreemptionArgs {
    /// `minCandidateNodesPercentage` (0 ..= 100).
    pub candidate_percent_min: u32,
    /// `minCandidateNodesAbsolute`.
    pub candidates_min: u32,
}

impl Default for PreemptionArgs {
    fn default() -> Self {
        PreemptionArgs { candidate_percent_min: 10, candidates_min: 100 }
    }
}

/// `VolumeBindingArgs`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct VolumeBindingArgs {
    /// `bindTimeoutSeconds`.
    pub timeout: Span,
}

impl Default for VolumeBindingArgs {
    fn default() -> Self {
        VolumeBindingArgs { timeout: Span::from_secs(600) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_plugins_belong_to_each_other_and_the_default_profile_scores_with_seven_weights() {
        for (plugin, _) in Plugin::DEFAULTS {
            assert_eq!(Plugin::named(plugin.name()), Some(plugin));
        }
        let profile = ProfileConfig::default();
        let weights: Vec<(&str, u32)> =
            profile.weights.iter().map(|(plugin, weight)| (plugin.name(), *weight)).collect();
        assert_eq!(
            weights,
            [
                ("TaintToleration", 3),
                ("NodeAffinity", 2),
                ("NodeResourcesFit", 1),
                ("VolumeBinding", 1),
                ("PodTopologySpread", 2),
                ("InterPodAffinity", 2),
                ("NodeResourcesBalancedAllocation", 1),
                ("ImageLocality", 1)
            ]
        );
        assert_eq!(profile.at(Point::PostFilter), [Plugin::DynamicResources, Plugin::DefaultPreemption]);
        assert_eq!(profile.at(Point::Permit), []);
    }
}
