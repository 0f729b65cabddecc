//! The plain scheduling algorithm: look at the nodes one after the other, run every plugin, take the best.
//!
//! It keeps nothing between calls and is the oracle for the cached one in [`super::board`].
//!
//! Kubernetes looks at nodes with 16 workers, so which feasible nodes are found first is a race there. Here one worker
//! looks at them in order and stops at the last one that is wanted.
//!
//! Source: `schedulePod`, pkg/scheduler/schedule_one.go (v1.34.1).

use crate::scheduler::cache::Cache;
use crate::scheduler::classes::{ClassId, Classes};
use crate::scheduler::plugins::{AnyPlugin, Range, Refusal, texts};
use crate::scheduler::policies::Cycle;
use crate::scheduler::profile::Profile;
use crate::scheduler::relations::Relations;
use crate::scheduler::sampling::TieBreak;
use crate::scheduler::sieve::Sieve;
use crate::scheduler::surroundings::Surroundings;
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
    /// A random value for policies; 0 if the profile has none.
    pub(super) draw: u64,
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

/// Whom a node is sought for, and among what.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) profile: &'a Profile,
    pub(super) cache: &'a Cache,
    pub(super) classes: &'a Classes,
    pub(super) around: &'a Surroundings,
    pub(super) class: ClassId,
    /// What other nodes' pods mean for the pod.
    pub(super) relations: Option<&'a Relations>,
}

impl Case<'_> {
    /// The pod.
    pub(super) fn pod(&self) -> &PodTraits {
        self.classes.traits(self.class)
    }

    /// Filter: the first plugin's reasons.
    pub(super) fn refusal(&self, slot: u32) -> Refusal {
        self.with_related(self.profile.filter(self.pod(), self.cache.slot(slot)), slot)
    }

    /// A node's reasons, as people read them.
    pub(super) fn texts(&self, slot: u32, refusal: Refusal) -> Vec<String> {
        let nominated = self.relations.and_then(|relations| relations.nominated_refusal(slot));
        match nominated.filter(|(of, _)| *of == refusal) {
            Some((_, texts)) => texts.clone(),
            None => texts(self.profile, self.pod(), self.cache.slot(slot), refusal),
        }
    }

    /// What becomes of a node's own refusal with the plugins that look beyond the node.
    pub(super) fn with_related(&self, own: Refusal, slot: u32) -> Refusal {
        let Some(relations) = self.relations else { return own };
        if let Some((refusal, _)) = relations.nominated_refusal(slot).filter(|_| !own.is_by_name()) {
            return *refusal;
        }
        let (storage, node) = (&self.around.storage, self.cache.slot(slot));
        self.profile.first(own, |plugin| relations.refusal(storage, node, plugin, slot))
    }

    /// Whether the plugins that look beyond the node let it take the pod.
    pub(super) fn is_admitted(&self, slot: u32) -> bool {
        self.relations.is_none_or(|relations| relations.admit(&self.around.storage, self.cache, slot))
    }

    /// The same for many nodes.
    pub(super) fn sieve(&self) -> Sieve<'_> {
        Sieve::of(*self)
    }

    /// Score, the plugins that look beyond the node: adds each feasible node's weighted sum to its total.
    pub(super) fn add_related(&self, feasible: &[u32], totals: &mut [i64]) {
        if let Some(relations) = self.relations {
            relations.add_scores(self.cache, self.classes, feasible, totals);
        }
    }
}

/// Finds the best node for a pod.
pub(super) fn decide(case: Case<'_>, search: Search) -> Outcome {
    let order = case.cache.order();
    let mut feasible = Vec::new();
    let mut processed = 0;
    for step in 0..order.len() {
        let slot = order[(search.start as usize + step) % order.len()];
        processed += 1;
        if case.refusal(slot).is_none() {
            feasible.push(slot);
        }
        if feasible.len() == search.wanted as usize {
            break;
        }
    }
    let slot = best(case.cache, &feasible, &totals(case, &feasible, search.draw), search.tie_break);
    Outcome { slot, feasible: feasible.len() as u32, processed }
}

/// The node with the highest score.
pub(super) fn best<S: Ord + Copy>(cache: &Cache, feasible: &[u32], scores: &[S], tie_break: TieBreak) -> Option<u32> {
    best_place(scores, tie_break, |place| &cache.slot(feasible[place]).name).map(|place| feasible[place])
}

/// The place of the highest score; `by_name` orders places by their nodes' names.
pub(super) fn best_place<S: Ord + Copy, N: Ord>(
    scores: &[S],
    tie_break: TieBreak,
    by_name: impl Fn(usize) -> N,
) -> Option<usize> {
    let best = scores.iter().copied().reduce(S::max)?;
    // There are fewer than 2^32 nodes; a count that cannot overflow is made of many at once.
    let ties_of = |scores: &[S]| scores.iter().fold(0_u32, |ties, score| ties.wrapping_add(u32::from(*score == best)));
    let tied = |from: usize| (from..scores.len()).filter(|place| scores[*place] == best);
    match tie_break {
        TieBreak::First => tied(0).min_by_key(|place| by_name(*place)),
        TieBreak::Drawn(draw) => {
            let mut left = TieBreak::place(draw, ties_of(scores));
            for (number, part) in scores.chunks(SCORES_AT_ONCE).enumerate() {
                match left.checked_sub(ties_of(part)) {
                    Some(further) => left = further,
                    None => return tied(number * SCORES_AT_ONCE).nth(left as usize),
                }
            }
            None
        }
    }
}

/// So many scores are compared at once where one of several best ones is sought.
const SCORES_AT_ONCE: usize = 16;

/// Each node's weighted sum of normalized scores.
fn totals(case: Case<'_>, feasible: &[u32], draw: u64) -> Vec<i64> {
    let mut totals = vec![0; feasible.len()];
    case.add_related(feasible, &mut totals);
    for enabled in case.profile.scorers(case.pod()) {
        let scores = normalized(case, feasible, enabled.plugin, draw);
        for (total, score) in totals.iter_mut().zip(scores) {
            assert!((0..=100).contains(&score), "{} scores {score}", case.profile.name_of(enabled.plugin));
            *total += enabled.weight * score;
        }
    }
    totals
}

/// One plugin's scores of the feasible nodes, which are in the order in which they were found.
pub(super) fn normalized(case: Case<'_>, feasible: &[u32], plugin: AnyPlugin, draw: u64) -> Vec<i64> {
    let Case { profile, cache, .. } = case;
    let cycle = |place: usize| match profile.is_cacheable(plugin) {
        true => Cycle::default(),
        false => Cycle { draw, feasible: feasible.len() as u32, place: place as u32 },
    };
    let score = |(place, slot): (usize, &u32)| profile.score(plugin, cycle(place), case.pod(), cache.slot(*slot));
    let raw: Vec<i64> = feasible.iter().enumerate().map(score).collect();
    let range = raw.iter().copied().fold(Range::EMPTY, Range::with);
    let normalization = profile.normalization(plugin);
    raw.into_iter().map(|score| normalization.apply(score, range)).collect()
}
