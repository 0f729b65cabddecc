//! The plugins' arguments: read, defaulted, validated with Kubernetes' messages, and made into the core's.
//!
//! Source: pkg/scheduler/apis/config/v1/defaults.go, pkg/scheduler/apis/config/validation/validation_pluginargs.go
//! (v1.34.1).

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{NodeSelectorTerm, TopologySpreadConstraint};
use wavetank_core::config::{
    AddedAffinity, BalanceArgs, FitArgs, NodeTerm, Plugin, PluginArgs, PodAffinityArgs, PreemptionArgs,
    ScoringStrategy, SpreadDefaults, VolumeBindingArgs,
};
use wavetank_core::model::ResourceName;
use wavetank_core::time::Span;

use super::Problems;
use super::format::{
    DefaultPreemptionArgs, DynamicResourcesArgs, InterPodAffinityArgs, NodeAffinityArgs,
    NodeResourcesBalancedAllocationArgs, NodeResourcesFitArgs, PodTopologySpreadArgs, ResourceSpec, ShapePoint,
    Strategy, VolumeBindingArgs as VolumeBinding,
};
use crate::kubernetes::parts::term;
use crate::kubernetes::placement::{fields, spread};
use crate::kubernetes::validation::metadata::label_name;
use crate::kubernetes::validation::report::{At, Report};
use crate::kubernetes::validation::scheduling::{node_term, weight};
use crate::yaml::Node;

const STRATEGIES: [&str; 3] = ["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"];

/// Reads one plugin's arguments into `all`. `path` is where they stand.
pub(super) fn read(plugin: Plugin, node: &Node, path: &str, all: &mut PluginArgs, problems: &mut Problems<'_>) {
    let at = At::root(path);
    match plugin {
        Plugin::NodeResourcesFit => {
            problems.args(plugin, node, path, |args: NodeResourcesFitArgs, report| all.fit = fit(&args, &at, report));
        }
        Plugin::NodeResourcesBalancedAllocation => {
            problems.args(plugin, node, path, |args: NodeResourcesBalancedAllocationArgs, report| {
                all.balance = balance(&args, &at, report);
            });
        }
        Plugin::InterPodAffinity => {
            problems.args(plugin, node, path, |args: InterPodAffinityArgs, report| {
                all.pod_affinity = pod_affinity(&args, &at, report);
            });
        }
        Plugin::PodTopologySpread => {
            problems.args(plugin, node, path, |args: PodTopologySpreadArgs, report| {
                all.spread = spread_defaults(&args, &at, report);
            });
        }
        Plugin::NodeAffinity => {
            problems.args(plugin, node, path, |args: NodeAffinityArgs, report| {
                all.node_affinity = added_affinity(&args, &at, report);
            });
        }
        Plugin::DefaultPreemption => {
            problems.args(plugin, node, path, |args: DefaultPreemptionArgs, report| {
                all.preemption = preemption(&args, &at, report);
            });
        }
        Plugin::VolumeBinding => {
            problems.args(plugin, node, path, |args: VolumeBinding, report| {
                all.volume_binding = volume_binding(&args, &at, report);
            });
        }
        Plugin::DynamicResources => {
            problems.args(plugin, node, path, |_: DynamicResourcesArgs, _| {});
        }
        other => problems.refuse(path, format!("plugin {} takes no arguments", other.name())),
    }
}

fn fit(args: &NodeResourcesFitArgs, at: &At, report: &mut Report) -> FitArgs {
    let names =
        |list: &Option<Vec<String>>| list.iter().flatten().map(|name| name.as_str().into()).collect::<BTreeSet<_>>();
    for (index, name) in args.ignored_resources.iter().flatten().enumerate() {
        label_name(report, &at.child("ignoredResources").index(index), name);
    }
    for (index, group) in args.ignored_resource_groups.iter().flatten().enumerate() {
        let at = at.child("ignoredResourceGroups").index(index);
        if group.contains('/') {
            report.invalid(&at, group, "resource group name can't contain '/'");
        }
        label_name(report, &at, group);
    }
    let default = FitArgs::default();
    let (strategy, resources) = match &args.scoring_strategy {
        None => (default.strategy, default.resources),
        Some(written) => scoring(written, &at.child("scoringStrategy"), report),
    };
    let (ignored, ignored_groups) = (names(&args.ignored_resources), names(&args.ignored_resource_groups));
    FitArgs { ignored, ignored_groups, strategy, resources }
}

fn scoring(written: &Strategy, at: &At, report: &mut Report) -> (ScoringStrategy, Vec<(ResourceName, i64)>) {
    let kind = written.kind.as_deref().unwrap_or("");
    if !STRATEGIES.contains(&kind) {
        report.not_supported(&at.child("type"), &kind, &STRATEGIES);
    }
    let resources_at = at.child("resources");
    let mut resources = Vec::new();
    for (index, (name, weight)) in resource_specs(written.resources.as_deref()).enumerate() {
        if !(1..=100).contains(&weight) {
            let detail = format!("resource weight of {name} not in valid range (0, 100]");
            report.invalid(&resources_at.index(index).child("weight"), &weight, &detail);
        }
        resources.push((ResourceName::named(name), weight));
    }
    if resources.is_empty() {
        resources = FitArgs::default().resources;
    }
    let shape_at = at.child("requestedToCapacityRatio").child("shape");
    let ratio = written.requested_to_capacity_ratio.as_ref();
    let shape = ratio.and_then(|ratio| ratio.shape.as_deref()).unwrap_or_default();
    if ratio.is_some() || kind == "RequestedToCapacityRatio" {
        check_shape(shape, &shape_at, report);
    }
    let strategy = match kind {
        "MostAllocated" => ScoringStrategy::MostAllocated,
        "RequestedToCapacityRatio" => {
            let points = shape.iter().map(|point| (point.utilization.into(), point.score.into()));
            ScoringStrategy::RequestedToCapacityRatio(points.collect())
        }
        _ => ScoringStrategy::LeastAllocated,
    };
    (strategy, resources)
}

/// Names and weights; a weight of 0 is the default, 1.
fn resource_specs(written: Option<&[ResourceSpec]>) -> impl Iterator<Item = (&str, i64)> {
    let weight = |spec: &ResourceSpec| spec.weight.filter(|weight| *weight != 0).unwrap_or(1);
    written.into_iter().flatten().map(move |spec| (spec.name.as_str(), weight(spec)))
}

/// Source: `validateFunctionShape`.
fn check_shape(shape: &[ShapePoint], at: &At, report: &mut Report) {
    if shape.is_empty() {
        return report.required(at, "at least one point must be specified");
    }
    let falls = |index: &usize| shape[index - 1].utilization >= shape[*index].utilization;
    if let Some(index) = (1..shape.len()).find(falls) {
        let found = shape[index].utilization;
        report.invalid(&at.index(index).child("utilization"), &found, "values must be sorted in increasing order");
    }
    for (index, point) in shape.iter().enumerate() {
        if !(0..=100).contains(&point.utilization) {
            let at = at.index(index).child("utilization");
            report.invalid(&at, &point.utilization, "not in valid range [0, 100]");
        }
        if !(0..=10).contains(&point.score) {
            report.invalid(&at.index(index).child("score"), &point.score, "not in valid range [0, 10]");
        }
    }
}

fn balance(args: &NodeResourcesBalancedAllocationArgs, at: &At, report: &mut Report) -> BalanceArgs {
    let mut seen = BTreeSet::new();
    for (index, (name, weight)) in resource_specs(args.resources.as_deref()).enumerate() {
        let at = at.child("resources").index(index);
        if !seen.insert(name) {
            report.duplicate(&at.child("name"), &name, "");
        }
        if weight != 1 {
            report.invalid(&at.child("weight"), &weight, "must be 1");
        }
    }
    let resources: Vec<ResourceName> =
        resource_specs(args.resources.as_deref()).map(|(name, _)| ResourceName::named(name)).collect();
    if resources.is_empty() { BalanceArgs::default() } else { BalanceArgs { resources } }
}

fn pod_affinity(args: &InterPodAffinityArgs, at: &At, report: &mut Report) -> PodAffinityArgs {
    let weight = args.hard_pod_affinity_weight.unwrap_or(1);
    if !(0..=100).contains(&weight) {
        report.invalid(&at.child("hardPodAffinityWeight"), &weight, "not in valid range [0, 100]");
    }
    PodAffinityArgs {
        required_term_weight: weight.into(),
        ignore_terms_of_placed_pods: args.ignore_preferred_terms_of_existing_pods.unwrap_or(false),
    }
}

fn spread_defaults(args: &PodTopologySpreadArgs, at: &At, report: &mut Report) -> SpreadDefaults {
    let kind = args.defaulting_type.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("System");
    let constraints = args.default_constraints.as_deref().unwrap_or_default();
    let kind_at = at.child("defaultingType");
    if !matches!(kind, "System" | "List") {
        report.not_supported(&kind_at, &kind, &["System", "List"]);
    } else if kind == "System" && !constraints.is_empty() {
        report.invalid(&kind_at, &kind, "when .defaultConstraints are not empty");
    }
    for (index, constraint) in constraints.iter().enumerate() {
        check_constraint(constraint, &constraints[..index], &at.child("defaultConstraints").index(index), report);
    }
    if kind == "List" { SpreadDefaults::List(constraints.iter().map(spread).collect()) } else { SpreadDefaults::System }
}

/// Source: `ValidatePodTopologySpreadArgs`.
fn check_constraint(
    constraint: &TopologySpreadConstraint,
    before: &[TopologySpreadConstraint],
    at: &At,
    report: &mut Report,
) {
    let (key, action) = (&constraint.topology_key, constraint.when_unsatisfiable.as_str());
    if constraint.max_skew <= 0 {
        report.invalid(&at.child("maxSkew"), &constraint.max_skew, "not in valid range (0, inf)");
    }
    if key.is_empty() {
        report.required(&at.child("topologyKey"), "can not be empty");
    } else {
        label_name(report, &at.child("topologyKey"), key);
    }
    let actions = ["DoNotSchedule", "ScheduleAnyway"];
    if action.is_empty() {
        report.required(&at.child("whenUnsatisfiable"), "can not be empty");
    } else if !actions.contains(&action) {
        report.not_supported(&at.child("whenUnsatisfiable"), &action, &actions);
    }
    if constraint.label_selector.is_some() {
        let detail = "constraint must not define a selector, as they deduced for each pod";
        report.forbidden(&at.child("labelSelector"), detail);
    }
    if before.iter().any(|other| other.topology_key == *key && other.when_unsatisfiable == action) {
        report.duplicate(at, &format!("{{{key}, {action}}}"), "");
    }
}

fn added_affinity(args: &NodeAffinityArgs, at: &At, report: &mut Report) -> AddedAffinity {
    let Some(affinity) = &args.added_affinity else { return AddedAffinity::default() };
    let at = at.child("addedAffinity");
    let causes = report.causes.len();
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref();
    let required_at = at.child("requiredDuringSchedulingIgnoredDuringExecution").child("nodeSelectorTerms");
    for (index, term) in required.iter().flat_map(|it| &it.node_selector_terms).enumerate() {
        node_term(report, &required_at.index(index), term, true);
    }
    let preferred = affinity.preferred_during_scheduling_ignored_during_execution.as_deref().unwrap_or_default();
    let preferred_at = at.child("preferredDuringSchedulingIgnoredDuringExecution");
    for (index, term) in preferred.iter().enumerate() {
        weight(report, &preferred_at.index(index), term.weight);
        node_term(report, &preferred_at.index(index).child("preference"), &term.preference, false);
    }
    if report.causes.len() > causes {
        return AddedAffinity::default();
    }
    let made = |it: &NodeSelectorTerm| NodeTerm { labels: term(it), names: fields(it) };
    AddedAffinity {
        required: required.map(|it| it.node_selector_terms.iter().map(made).collect()),
        preferred: preferred.iter().map(|it| (it.weight, made(&it.preference))).collect(),
    }
}

fn preemption(args: &DefaultPreemptionArgs, at: &At, report: &mut Report) -> PreemptionArgs {
    let percentage = args.min_candidate_nodes_percentage.unwrap_or(10);
    let absolute = args.min_candidate_nodes_absolute.unwrap_or(100);
    let (percentage_at, absolute_at) = (at.child("minCandidateNodesPercentage"), at.child("minCandidateNodesAbsolute"));
    if !(0..=100).contains(&percentage) {
        report.invalid(&percentage_at, &percentage, "not in valid range [0, 100]");
    }
    if absolute < 0 {
        report.invalid(&absolute_at, &absolute, "not in valid range [0, inf)");
    }
    if percentage == 0 && absolute == 0 {
        let detail = |other: &str| format!("cannot be zero at the same time as {other}");
        report.invalid(&percentage_at, &percentage, &detail("minCandidateNodesAbsolute"));
        report.invalid(&absolute_at, &absolute, &detail("minCandidateNodesPercentage"));
    }
    let number = |number: i32| u32::try_from(number).unwrap_or(0);
    PreemptionArgs { candidate_percent_min: number(percentage), candidates_min: number(absolute) }
}

fn volume_binding(args: &VolumeBinding, at: &At, report: &mut Report) -> VolumeBindingArgs {
    let timeout = args.bind_timeout_seconds.unwrap_or(600);
    if timeout < 0 {
        let detail = "invalid BindTimeoutSeconds, should not be a negative value";
        report.invalid(&at.child("bindTimeoutSeconds"), &timeout, detail);
    }
    if args.shape.is_some() {
        let detail = "unexpected field `shape`, remove it or turn on the feature gate StorageCapacityScoring";
        report.forbidden(&at.child("shape"), detail);
    }
    VolumeBindingArgs { timeout: Span::from_secs(u64::try_from(timeout).unwrap_or(0)) }
}
