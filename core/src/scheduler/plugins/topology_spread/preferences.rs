//! The preferred spread constraints: nodes in emptier domains are liked better.
//!
//! Source: pkg/scheduler/framework/plugins/podtopologyspread/scoring.go (v1.34.1).

use std::sync::Arc;

use crate::config::SpreadDefaults;
use crate::scheduler::cache::Cache;
use crate::scheduler::classes::{ClassId, Classes};
use crate::scheduler::float::{SpreadShares, SpreadSums, SpreadWeight};
use crate::scheduler::plugins::topology_spread::eligibility::{Counts, Eligibility, Which};
use crate::scheduler::plugins::topology_spread::{HOSTNAME, listed};
use crate::scheduler::surroundings::Surroundings;
use crate::scheduler::terms::{Pods, Spread};
use crate::scheduler::topology::Domains;
use crate::scheduler::traits::PodTraits;

/// The constraints of pods that have none themselves: key and skew.
///
/// Source: `systemDefaultConstraints`, plugin.go (v1.34.1).
const DEFAULTS: [(&str, i32); 2] = [(HOSTNAME, 3), ("topology.kubernetes.io/zone", 5)];

/// The preferred constraints of a pod: its own, or the defaults.
pub(in crate::scheduler) struct Preferences {
    constraints: Vec<Spread>,
    eligibility: Arc<Eligibility>,
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
        let pod = classes.traits(class);
        let constraints: Vec<Spread> = match (&pod.spreads, defaults) {
            (Some(spreads), _) => spreads.preferred.clone(),
            (None, SpreadDefaults::System) => around.siblings(&pod.identity).map_or(Vec::new(), |siblings| {
                DEFAULTS.map(|(key, max_skew)| default(key, max_skew, &siblings)).into()
            }),
            (None, SpreadDefaults::List(list)) => listed(list, false, around, pod),
        };
        if constraints.is_empty() {
            return None;
        }
        let all_labels = pod.spreads.is_some() || *defaults != SpreadDefaults::System;
        let eligibility = Eligibility::at_hand(cache, classes, class, (Which::Preferred, all_labels), &constraints);
        Some(Preferences { constraints, eligibility, all_labels })
    }

    /// The domains, other than single nodes, by which tallies can count, and which pods they count.
    pub(in crate::scheduler) fn tallied(&self) -> Option<(&Pods, &Arc<Domains>)> {
        self.eligibility.tallied(&self.constraints)
    }

    /// Scores, 0 ..= 100, of all feasible nodes.
    pub(in crate::scheduler) fn scores(
        &self,
        cache: &Cache,
        classes: &Classes,
        pod: &PodTraits,
        feasible: &[u32],
    ) -> Vec<i64> {
        let all_scored = !self.all_labels || self.eligibility.all_labelled;
        let scored: Vec<bool> = feasible.iter().map(|slot| all_scored || self.is_scored(*slot)).collect();
        let scored_count = scored.iter().filter(|scored| **scored).count();
        let mut sums = SpreadSums::zero(feasible.len());
        for (constraint, eligible) in self.constraints.iter().zip(&self.eligibility.constraints) {
            let domains = &*eligible.domains;
            if *constraint.topology_key == *HOSTNAME {
                let counts = Counts::by_slot(cache, classes, pod, constraint);
                let pods = (0..cache.slot_count()).map(|slot| counts.at(slot));
                let shares = SpreadShares::of(pods, SpreadWeight::of(scored_count), constraint.max_skew);
                sums.add(&shares, feasible.iter().map(|slot| domains.get(*slot).map(|_| *slot as usize)));
            } else {
                let counts = Counts::by_domain(classes, pod, constraint, eligible);
                let pods = (0..domains.count as usize).map(|domain| counts.at(domain));
                let weight = SpreadWeight::of(domains_among(feasible, &scored, domains));
                let shares = SpreadShares::of(pods, weight, constraint.max_skew);
                sums.add(&shares, feasible.iter().map(|slot| domains.get(*slot)));
            }
        }
        normalized(&sums.rounded(), &scored)
    }

    fn is_scored(&self, slot: u32) -> bool {
        self.eligibility.constraints.iter().all(|it| it.domains.get(slot).is_some())
    }
}

/// How many domains the scored nodes are in. Nodes without the label are one more.
fn domains_among(feasible: &[u32], scored: &[bool], domains: &Domains) -> usize {
    let mut seen = vec![false; domains.count as usize + 1];
    let mut count = 0;
    for (slot, _) in feasible.iter().zip(scored).filter(|(_, scored)| **scored) {
        let seen = &mut seen[domains.get(*slot).unwrap_or(domains.count as usize)];
        count += usize::from(!*seen);
        *seen = true;
    }
    count
}

fn default(key: &str, max_skew: i32, siblings: &Pods) -> Spread {
    Spread {
        topology_key: key.into(),
        max_skew,
        min_domains: 1,
        honors_node_affinity: true,
        honors_node_taints: false,
        pods: siblings.clone(),
    }
}

/// The fewer the better: 100 · (highest + lowest − x) / highest. Nodes that are not scored get 0.
///
/// Source: `NormalizeScore`, scoring.go (v1.34.1).
fn normalized(raw: &[i64], scored: &[bool]) -> Vec<i64> {
    let counted = || raw.iter().zip(scored).filter(|(_, scored)| **scored).map(|(raw, _)| *raw);
    let (lowest, highest) = (counted().min().unwrap_or(0), counted().max().unwrap_or(0));
    let most = 100 * (highest + lowest);
    // Nearly always these are small numbers, whose division is several times as fast.
    let is_small = u32::try_from(most).is_ok();
    let score = |(raw, scored): (&i64, &bool)| match scored {
        false => 0,
        true if highest == 0 => 100,
        true if is_small => i64::from((most - 100 * raw) as u32 / highest as u32),
        true => (most - 100 * raw) / highest,
    };
    raw.iter().zip(scored).map(score).collect()
}
