//! What nodes score by their resources: NodeResourcesFit by how much is used, NodeResourcesBalancedAllocation by how
//! evenly.
//!
//! A resource counts if the node has some of it and, unless it is CPU, memory or ephemeral storage, if the pod asks for
//! some of it. Fit counts containers without a request for CPU or memory with a default, balance does not.
//!
//! Source: pkg/scheduler/framework/plugins/noderesources/{resource_allocation,least_allocated,most_allocated,
//! requested_to_capacity_ratio,balanced_allocation}.go (v1.34.1).

use crate::config::{BalanceArgs, FitArgs, ScoringStrategy};
use crate::model::ResourceName;
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::float::balanced_score;
use crate::scheduler::traits::PodTraits;

/// What scores of shape points are multiplied with: theirs go to 10, nodes' go to 100.
const SHAPE_SCALE: i64 = 10;

/// NodeResourcesFit: the weighted mean of the resources' scores, 0 ..= 100, truncated; rounded for a shape.
pub(super) fn fit(args: &FitArgs, pod: &PodTraits, node: &NodeInfo) -> i64 {
    // What the default asks, without lists.
    if is_default_fit(args) && node.cpu_all != 0 && node.memory_all != 0 {
        let cpu = (node.cpu_scored + pod.scored_cpu_milli, node.cpu_all);
        return default_fit(cpu, (node.memory_scored + pod.scored_memory_bytes, node.memory_all));
    }
    let (mut sum, mut weights) = (0, 0);
    for (resource, weight) in &args.resources {
        let Some((requested, all)) = with_pod(resource, pod, node, true) else { continue };
        let score = match &args.strategy {
            ScoringStrategy::LeastAllocated => least(requested, all),
            ScoringStrategy::MostAllocated => requested.min(all) * 100 / all,
            ScoringStrategy::RequestedToCapacityRatio(shape) => {
                let used = if requested > all { 100 } else { requested * 100 / all };
                match on_line(shape, used) {
                    // A resource of which a shape thinks nothing does not weigh.
                    score if score <= 0 => continue,
                    score => score,
                }
            }
        };
        sum += score * weight;
        weights += weight;
    }
    match args.strategy {
        _ if weights == 0 => 0,
        ScoringStrategy::RequestedToCapacityRatio(_) => (2 * sum + weights) / (2 * weights),
        _ => sum / weights,
    }
}

/// Whether a configuration is the default, which [`default_fit`] computes.
pub(in crate::scheduler) fn is_default_fit(args: &FitArgs) -> bool {
    let resources = &args.resources[..];
    args.strategy == ScoringStrategy::LeastAllocated
        && matches!(resources, [(ResourceName::Cpu, 1), (ResourceName::Memory, 1)])
}

/// What the default configuration scores on a node with CPU and memory, given what is asked of each, with the pod, and
/// how much there is.
pub(in crate::scheduler) fn default_fit(cpu: (i64, i64), memory: (i64, i64)) -> i64 {
    (least(cpu.0, cpu.1) + least(memory.0, memory.1)) / 2
}

fn least(requested: i64, all: i64) -> i64 {
    if requested > all { 0 } else { (all - requested) * 100 / all }
}

/// The score at a use in percent, 0 ..= 100, on the line through a shape's points; level beyond its ends.
///
/// Source: `BuildBrokenLinearFunction`, pkg/scheduler/framework/plugins/helper/shape_score.go (v1.34.1).
fn on_line(shape: &[(i64, i64)], used: i64) -> i64 {
    let score = |index: usize| shape[index].1 * SHAPE_SCALE;
    match shape.iter().position(|(utilization, _)| used <= *utilization) {
        Some(0) => score(0),
        Some(next) => {
            let (from, to) = (shape[next - 1].0, shape[next].0);
            score(next - 1) + (score(next) - score(next - 1)) * (used - from) / (to - from)
        }
        None => score(shape.len() - 1),
    }
}

/// Whether CPU and memory, and nothing else, are balanced: the default.
pub(in crate::scheduler) fn is_default_balance(args: &BalanceArgs) -> bool {
    matches!(args.resources[..], [ResourceName::Cpu, ResourceName::Memory])
}

/// PreScore of NodeResourcesBalancedAllocation: a pod that asks for none of its resources is not balanced.
pub(in crate::scheduler) fn balance_scores(args: &BalanceArgs, pod: &PodTraits) -> bool {
    args.resources.iter().any(|resource| pod.requests.get(resource) != 0)
}

/// NodeResourcesBalancedAllocation: how evenly the resources are used with the pod on the node, 0 ..= 100.
pub(super) fn balance(args: &BalanceArgs, pod: &PodTraits, node: &NodeInfo) -> i64 {
    if !balance_scores(args, pod) {
        return 0;
    }
    if is_default_balance(args) {
        return balanced_score([
            (node.cpu_used + pod.requests.cpu_milli, node.cpu_all),
            (node.memory_used + pod.requests.memory_bytes, node.memory_all),
        ]);
    }
    balanced_score(args.resources.iter().filter_map(|resource| with_pod(resource, pod, node, false)))
}

/// How much of a resource is asked for with the pod on the node, and how much the node has; `None` if it does not
/// count.
fn with_pod(resource: &ResourceName, pod: &PodTraits, node: &NodeInfo, defaults: bool) -> Option<(i64, i64)> {
    let (requested, all) = match resource {
        ResourceName::Cpu if defaults => (node.cpu_scored + pod.scored_cpu_milli, node.cpu_all),
        ResourceName::Memory if defaults => (node.memory_scored + pod.scored_memory_bytes, node.memory_all),
        ResourceName::Cpu => (node.cpu_used + pod.requests.cpu_milli, node.cpu_all),
        ResourceName::Memory => (node.memory_used + pod.requests.memory_bytes, node.memory_all),
        ResourceName::EphemeralStorage => (node.ephemeral_used + pod.requests.ephemeral_bytes, node.ephemeral_all),
        // A count of pods is not scored.
        ResourceName::Pods => return None,
        ResourceName::Extended(name) => match pod.requests.get(resource) {
            0 => return None,
            wanted => (node.used(resource) + wanted, node.extended_all(name)),
        },
    };
    (all != 0).then_some((requested, all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Shared;
    use crate::model::{Container, PodSpec, Resources};
    use crate::scheduler::traits::Identity;

    fn pod(cpu_milli: i64, memory_mib: i64) -> PodTraits {
        let requests = Resources { cpu_milli, memory_bytes: memory_mib << 20, ..Resources::default() };
        let container = Container { requests, ..Container::default() };
        let spec = PodSpec { containers: vec![container], ..PodSpec::default() };
        PodTraits::of(&Shared::new(spec), &Identity::default())
    }

    fn node() -> NodeInfo {
        NodeInfo { cpu_all: 1_000, memory_all: 1_000 << 20, ephemeral_all: 100, ..NodeInfo::default() }
    }

    #[test]
    fn each_strategy_weighs_the_resources_that_the_node_has() {
        let resources =
            vec![(ResourceName::Cpu, 3), (ResourceName::Memory, 1), (ResourceName::named("example.com/gpu"), 9)];
        let scored = |strategy| {
            fit(&FitArgs { strategy, resources: resources.clone(), ..FitArgs::default() }, &pod(400, 800), &node())
        };
        assert_eq!(scored(ScoringStrategy::LeastAllocated), (60 * 3 + 20) / 4);
        assert_eq!(scored(ScoringStrategy::MostAllocated), (40 * 3 + 80) / 4);
        // Half of the way from 2 to 8 at 40 %, and 8 · 10 beyond the last point: (50 · 3 + 80) / 4 = 57.5.
        let shape = vec![(20, 2), (60, 8)];
        assert_eq!(scored(ScoringStrategy::RequestedToCapacityRatio(shape)), 58);
        // A falling shape: 100 at nothing, 0 from 40 % on; CPU and memory both score nothing then.
        assert_eq!(scored(ScoringStrategy::RequestedToCapacityRatio(vec![(0, 10), (40, 0)])), 0);
    }

    #[test]
    fn three_resources_are_balanced_by_their_standard_deviation() {
        let resources = vec![ResourceName::Cpu, ResourceName::Memory, ResourceName::EphemeralStorage];
        // Fractions 0.3, 0.6 and 0: mean 0.3, deviation √0.06 = 0.2449.
        assert_eq!(balance(&BalanceArgs { resources }, &pod(300, 600), &node()), 75);
    }
}
