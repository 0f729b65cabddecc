//! The plain scheduling algorithm: look at the nodes one after the other, run every plugin, take the best.
//!
//! It keeps nothing between calls and is the oracle for the cached one in [`super::board`].
//!
//! Kubernetes looks at nodes with 16 workers, so which feasible nodes are found first is a race there. Here one worker
//! looks at them in order and stops at the last one that is wanted.
//!
//! Source: `schedulePod`, pkg/scheduler/schedule_one.go (v1.34.1).

use crate::scheduler::cache::Cache;
use crate::scheduler::plugins::Normalization;
use crate::scheduler::profile::Profile;
use crate::scheduler::sampling::TieBreak;
use crate::scheduler::traits::PodTraits;

/// Where the search begins and ends, and how ties are broken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    /// The position in the order at which it begins.
    pub(super) start: u32,
    /// After how many feasible nodes it ends (≥ 1).
    pub(super) wanted: u32,
    /// Which of the best is taken.
    pub(super) tie_break: TieBreak,
}

/// What came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Outcome {
    /// The node's slot; `None` if no node takes the pod.
    pub(super) slot: Option<u32>,
    /// How many feasible nodes were found.
    pub(super) feasible: u32,
    /// How many nodes were looked at.
    pub(super) processed: u32,
}

/// Finds the best node for a pod.
pub(super) fn decide(profile: &Profile, cache: &Cache, pod: &PodTraits, search: Search) -> Outcome {
    let order = cache.order();
    let mut feasible = Vec::new();
    let mut processed = 0;
    for step in 0..order.len() {
        let slot = order[(search.start as usize + step) % order.len()];
        processed += 1;
        if profile.filter(pod, cache.slot(slot)).is_none() {
            feasible.push(slot);
        }
        if feasible.len() == search.wanted as usize {
            break;
        }
    }
    let scores = totals(profile, cache, pod, &feasible);
    let slot = scores.iter().max().map(|best| {
        let tied = feasible.iter().zip(&scores).filter(|(_, score)| *score == best).map(|(slot, _)| *slot);
        choose(cache, tied.collect(), search.tie_break)
    });
    Outcome { slot, feasible: feasible.len() as u32, processed }
}

/// Each node's weighted sum of normalized scores.
fn totals(profile: &Profile, cache: &Cache, pod: &PodTraits, feasible: &[u32]) -> Vec<i64> {
    let mut totals = vec![0; feasible.len()];
    for enabled in profile.scorers(pod) {
        let scores = normalized(cache, pod, feasible, enabled.plugin);
        for (total, score) in totals.iter_mut().zip(scores) {
            assert!((0..=100).contains(&score), "{:?} scores {score}", enabled.plugin);
            *total += enabled.weight * score;
        }
    }
    totals
}

/// One plugin's scores of the feasible nodes.
pub(super) fn normalized(
    cache: &Cache,
    pod: &PodTraits,
    feasible: &[u32],
    plugin: crate::scheduler::plugins::Plugin,
) -> Vec<i64> {
    let raw: Vec<i64> = feasible.iter().map(|slot| plugin.score(pod, cache.slot(*slot))).collect();
    let highest = raw.iter().copied().max().unwrap_or(0);
    let normalization: Normalization = plugin.normalization();
    raw.into_iter().map(|score| normalization.apply(score, highest)).collect()
}

fn choose(cache: &Cache, tied: Vec<u32>, tie_break: TieBreak) -> u32 {
    match tie_break {
        TieBreak::First => {
            tied.into_iter().min_by_key(|slot| cache.slot(*slot).name.clone()).expect("some node is the best")
        }
        TieBreak::Drawn(draw) => tied[TieBreak::place(draw, tied.len() as u32) as usize],
    }
}
