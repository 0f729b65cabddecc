//! The preferred spread constraints: nodes in emptier domains are liked better.
//!
//! Source: pkg/scheduler/framework/plugins/podtopologyspread/scoring.go (v1.34.1).

use std::sync::Arc;

use crate::config::SpreadDefaults;
use crate::id::{Name, literal};
use crate::scheduler::cache::Cache;
use crate::scheduler::classes::{ClassId, Classes};
use crate::scheduler::float::{SpreadShares, SpreadSums, SpreadWeight};
use crate::scheduler::plugins::topology_spread::eligibility::{Counts, Eligibility, Siblings, Which};
use crate::scheduler::plugins::topology_spread::{HOSTNAME, listed};
use crate::scheduler::surroundings::Surroundings;
use crate::scheduler::terms::{Pods, Spread};
use crate::scheduler::topology::Domains;
use crate::scheduler::traits::PodTraits;

/// The constraints of pods that have none themselves: key and skew.
///
/// Source: `systemDefaultConstraints`, plugin.go (v1.34.1).
const DEFAULTS: [(Name, i32); 2] =
    [(literal!("kubernetes.io/hostname"), 3), (literal!("topology.kubernetes.io/zone"), 5)];

/// The preferred constraints of a pod: its own, or the defaults.
pub(in crate::scheduler) struct Preferences {
    pub(super) eligibility: Arc<Eligibility>,
    pub(super) siblings: Siblings,
    /// Whether nodes that lack a label are neither counted nor scored.
    all_labels: bool,
}

impl Preferences {
    /// `None` if there is nothing to score.
    pub(in crate::scheduler) fn of(
        defaults: &SpreadDefaults,
        cache: &mut Cache,
        classes: &mut Classes,
        around: &Surroundings,
        class: ClassId,
    ) -> Option<Preferences> {
        let spreads = |pod: &PodTraits| match (&pod.spreads, defaults) {
            (Some(spreads), _) => spreads.preferred.clone(),
            (None, SpreadDefaults::System) => {
                around.siblings(&pod.identity).map(Arc::new).map_or(Vec::new(), |siblings| {
                    DEFAULTS.map(|(key, max_skew)| default(key, max_skew, &siblings)).into()
                })
            }
            (None, SpreadDefaults::List(list)) => listed(list, false, around, pod),
        };
        let all_labels = classes.traits(class).spreads.is_some() || *defaults != SpreadDefaults::System;
        let which = (Which::Preferred, all_labels);
        let eligibility = Eligibility::at_hand(cache, classes, around, class, which, spreads)?;
        let siblings = eligibility.siblings(classes, class);
        Some(Preferences { eligibility, siblings, all_labels })
    }

    /// Whether every feasible node is scored.
    pub(super) fn score_all(&self) -> bool {
        !self.all_labels || self.eligibility.all_labelled()
    }

    /// Scores of all feasible nodes.
    pub(in crate::scheduler) fn scores(&self, cache: &Cache, classes: &Classes, feasible: &[u32]) -> Scores {
        let scored = match self.score_all() {
            true => Scored::All,
            false => Scored::Those(feasible.iter().map(|slot| self.is_scored(*slot)).collect()),
        };
        let mut sums = SpreadSums::zero();
        for (place, (constraint, eligible)) in self.eligibility.iter().enumerate() {
            let siblings = self.siblings.of(place);
            let (domains, max_skew) = (&*eligible.domains, constraint.max_skew);
            if *constraint.topology_key == *HOSTNAME {
                // Nodes with as many pods as each other are one domain here.
                let counts = Counts::by_slot(cache, classes, siblings);
                let weight = SpreadWeight::of(scored.count(feasible.len()));
                if self.eligibility.all_labelled() {
                    let pods: Vec<u32> = match counts.as_slice() {
                        Some(pods) => feasible.iter().map(|slot| pods[*slot as usize]).collect(),
                        None => feasible.iter().map(|slot| counts.at(*slot as usize)).collect(),
                    };
                    let most = pods.iter().copied().max().unwrap_or(0);
                    sums.add_each(&SpreadShares::of(0..most + 1, weight, max_skew), pods);
                    continue;
                }
                let pods = match counts.as_slice() {
                    Some(pods) => pods_on(feasible, domains, |slot| pods[slot]),
                    None => pods_on(feasible, domains, |slot| counts.at(slot)),
                };
                let most = pods.iter().copied().max().unwrap_or(0);
                sums.add(&SpreadShares::of(0..most, weight, max_skew), pods.into_iter());
            } else {
                let counts = Counts::by_domain(classes, siblings, eligible);
                let pods = (0..domains.count as usize).map(|domain| counts.at(domain));
                let at_most = domains.count as usize + usize::from(!self.eligibility.all_labelled());
                let weight = SpreadWeight::of(domains_among(feasible, &scored, domains, at_most));
                let shares = SpreadShares::of(pods, weight, max_skew);
                match self.eligibility.all_labelled() {
                    true => sums.add_by_slot(&shares, domains.by_slot(), feasible),
                    false => sums.add(&shares, feasible.iter().map(|slot| domains.number(*slot))),
                }
            }
        }
        normalized(sums, scored)
    }

    fn is_scored(&self, slot: u32) -> bool {
        self.eligibility.iter().all(|(_, it)| it.domains.get(slot).is_some())
    }
}

/// The scores of nodes, 0 ..= 100, by kinds of nodes.
pub(in crate::scheduler) struct Scores {
    /// By place.
    kinds: Vec<u32>,
    of_kinds: Vec<i64>,
    scored: Scored,
}

impl Scores {
    /// Each node's score, by place.
    pub(in crate::scheduler) fn by_place(&self) -> Vec<i64> {
        let mut scores = vec![0; self.kinds.len()];
        self.add_to(&mut scores, 1);
        scores
    }

    /// Adds each node's weighted score to its total.
    pub(in crate::scheduler) fn add_to(&self, totals: &mut [i64], weight: i64) {
        let weighted: Vec<i64> = self.of_kinds.iter().map(|score| weight * score).collect();
        let pairs = totals.iter_mut().zip(&self.kinds);
        match &self.scored {
            Scored::All => pairs.for_each(|(total, kind)| *total += weighted[*kind as usize]),
            Scored::Those(those) => {
                let scored = pairs.zip(those).filter(|(_, scored)| **scored);
                scored.for_each(|((total, kind), _)| *total += weighted[*kind as usize]);
            }
        }
    }
}

/// Which of the feasible nodes are scored, by their places.
enum Scored {
    All,
    Those(Vec<bool>),
}

impl Scored {
    /// How many of so many nodes.
    fn count(&self, nodes: usize) -> usize {
        match self {
            Scored::All => nodes,
            Scored::Those(those) => those.iter().filter(|scored| **scored).count(),
        }
    }

    fn has(&self, place: usize) -> bool {
        match self {
            Scored::All => true,
            Scored::Those(those) => those[place],
        }
    }
}

/// How many domains the scored nodes are in, of which there are at most so many. Nodes without the label are one more.
fn domains_among(feasible: &[u32], scored: &Scored, domains: &Domains, at_most: usize) -> usize {
    let mut seen = vec![false; domains.count as usize + 1];
    let mut count = 0;
    for (place, slot) in feasible.iter().enumerate() {
        let seen = &mut seen[domains.get(*slot).unwrap_or(domains.count as usize)];
        if !*seen && scored.has(place) {
            *seen = true;
            count += 1;
            if count == at_most {
                break;
            }
        }
    }
    count
}

fn default(topology_key: Name, max_skew: i32, siblings: &Arc<Pods>) -> Spread {
    Spread {
        topology_key,
        max_skew,
        min_domains: 1,
        honors_node_affinity: true,
        honors_node_taints: false,
        pods: siblings.clone(),
    }
}

/// For each feasible node 1 + the number of its pods; 0 for a node without the label.
fn pods_on(feasible: &[u32], domains: &Domains, pods: impl Fn(usize) -> u32) -> Vec<u32> {
    let on = |slot: &u32| if domains.number(*slot) == 0 { 0 } else { pods(*slot as usize) + 1 };
    feasible.iter().map(on).collect()
}

/// Nodes that are not scored get 0.
fn normalized(sums: SpreadSums, scored: Scored) -> Scores {
    let (kinds, raws) = sums.rounded();
    let mut is_scored = vec![false; raws.len()];
    match &scored {
        Scored::All => kinds.iter().for_each(|kind| is_scored[*kind as usize] = true),
        Scored::Those(those) => {
            let those = kinds.iter().zip(those).filter(|(_, scored)| **scored);
            those.for_each(|(kind, _)| is_scored[*kind as usize] = true);
        }
    }
    Scores { kinds, of_kinds: scores_of_kinds(raws, &is_scored), scored }
}

/// The fewer the better: 100 · (highest + lowest − x) / highest, given the raw score of each kind of nodes and whether
/// some scored node is of it.
///
/// Source: `NormalizeScore`, scoring.go (v1.34.1).
pub(super) fn scores_of_kinds(mut raws: Vec<i64>, is_scored: &[bool]) -> Vec<i64> {
    let (mut lowest, mut highest) = (i64::MAX, i64::MIN);
    for (raw, _) in raws.iter().zip(is_scored).filter(|(_, scored)| **scored) {
        (lowest, highest) = (lowest.min(*raw), highest.max(*raw));
    }
    // Where no node is scored nobody asks.
    if lowest > highest {
        (lowest, highest) = (0, 0);
    }
    for raw in &mut raws {
        *raw = match highest {
            0 => 100,
            _ => (100 * (highest + lowest) - 100 * *raw) / highest,
        };
    }
    raws
}
