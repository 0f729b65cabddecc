//! Random configurations of the scheduler.

use proptest::prelude::*;

use super::classes::{disk, spread_of};
use super::{HOSTNAME, ZONE};
use crate::config::{
    AddedAffinity, BalanceArgs, FitArgs, NodeTerm, PluginArgs, PodAffinityArgs, Point, ProfileConfig, ScoringStrategy,
    SpreadDefaults,
};
use crate::model::{ResourceName, SpreadConstraint};

/// Random profiles: other orders and weights, plugins missing, other arguments. Pods of even classes ask for the
/// second.
pub(super) fn profiles() -> impl Strategy<Value = Vec<ProfileConfig>> {
    let one = || {
        (any::<[u8; 19]>(), args(), 0..3_u8).prop_map(|(dice, args, percentage)| {
            let mut profile = ProfileConfig { args, ..ProfileConfig::default() };
            profile.percentage_of_nodes_to_score = [None, Some(0), Some(30)][usize::from(percentage)];
            for point in [Point::Filter, Point::Score] {
                let plugins = profile.points.get_mut(&point).expect("the default profile has every point");
                plugins.retain(|plugin| !dice[*plugin as usize].is_multiple_of(5));
                plugins.sort_by_key(|plugin| dice[*plugin as usize] % 16);
            }
            for (plugin, weight) in &mut profile.weights {
                *weight = 1 + u32::from(dice[*plugin as usize] % 7);
            }
            profile
        })
    };
    (one(), one()).prop_map(|(first, second)| vec![first, ProfileConfig { name: "second".into(), ..second }])
}

fn args() -> impl Strategy<Value = PluginArgs> {
    (0..4_u8, 0..4_u8, 0..4_u8, 0..4_u8).prop_map(|(strategy, resources, spread, added)| {
        let gpu = || ResourceName::named("example.com/gpu");
        let strategy = match strategy {
            0 => ScoringStrategy::LeastAllocated,
            1 => ScoringStrategy::MostAllocated,
            2 => ScoringStrategy::RequestedToCapacityRatio(vec![(0, 0), (40, 9), (100, 3)]),
            _ => ScoringStrategy::RequestedToCapacityRatio(vec![(30, 10), (80, 0)]),
        };
        let weights = [(ResourceName::Cpu, 3), (ResourceName::Memory, 1), (gpu(), 5)];
        let number = usize::from(resources.clamp(1, 3));
        let ignored = (resources == 0).then(|| "example.com/gpu".into()).into_iter().collect();
        let resources: Vec<_> = weights.into_iter().take(number).collect();
        let constraint = |key: &str, required| SpreadConstraint { selector: None, ..spread_of(key, required, 2) };
        PluginArgs {
            balance: BalanceArgs { resources: resources.iter().map(|(name, _)| name.clone()).collect() },
            fit: FitArgs { ignored, strategy, resources, ..FitArgs::default() },
            pod_affinity: PodAffinityArgs {
                required_term_weight: i64::from(added) * 7,
                ignore_terms_of_placed_pods: added == 2,
            },
            spread: match spread {
                0 | 1 => SpreadDefaults::System,
                2 => SpreadDefaults::List(vec![constraint(ZONE, true), constraint(HOSTNAME, false)]),
                _ => SpreadDefaults::List(vec![constraint(ZONE, false)]),
            },
            node_affinity: AddedAffinity {
                required: (added == 1).then(|| vec![disk_term("d1"), disk_term("d2")]),
                preferred: if added > 1 { vec![(20, disk_term("d0"))] } else { Vec::new() },
            },
            ..PluginArgs::default()
        }
    })
}

fn disk_term(value: &str) -> NodeTerm {
    NodeTerm { labels: vec![disk(value)], names: Vec::new() }
}
