//! Preferred spreading for a search among nodes that follow each other: over single nodes, over something larger, or,
//! as by default, over both.
//!
//! Nodes with as many matching pods in the same domain are of one kind and score the same. Most nodes have none, so
//! that their kinds are their domains, which are copied; those of the others are counted up from there. The scores are
//! those of [`Preferences::scores`], which looks at any nodes.

use crate::scheduler::cache::Cache;
use crate::scheduler::classes::{ClassId, Classes};
use crate::scheduler::float::{SpreadShare, SpreadWeight};
use crate::scheduler::plugins::topology_spread::HOSTNAME;
use crate::scheduler::plugins::topology_spread::eligibility::{Counts, Eligible};
use crate::scheduler::plugins::topology_spread::preferences::{Preferences, scores_of_kinds};
use crate::scheduler::stretch::Stretch;
use crate::scheduler::terms::Spread;

/// So many kinds are not too many, however few the nodes.
const KINDS_MIN: usize = 64;

/// What spreading adds to nodes' totals.
pub(in crate::scheduler) struct Bonuses {
    /// Each node's kind, by its place in the stretch.
    pub(in crate::scheduler) kinds: Vec<u32>,
    /// By kind, 0 at least; 0 for a kind of no feasible node.
    pub(in crate::scheduler) of_kinds: Vec<i32>,
}

/// A constraint, where it counts, and whose pods.
type Constraint<'a> = (&'a Spread, &'a Eligible, &'a [ClassId]);

impl Preferences {
    /// What the nodes of a stretch get, given how many of them are feasible and which, by their places. `None` if the
    /// constraints are others, if some node is not scored, or if there are nearly as many kinds as nodes.
    pub(in crate::scheduler) fn bonuses(
        &self,
        cache: &Cache,
        classes: &Classes,
        weight: i64,
        stretch: &Stretch,
        (feasible, is_feasible): (usize, impl Fn(usize) -> bool),
    ) -> Option<Bonuses> {
        let (on_nodes, larger) = self.one_of_each()?;
        let mut kinds = Kinds::of_domains(larger.map(|(_, eligible, _)| eligible), stretch);
        for class in on_nodes.map_or(&[][..], |(_, _, siblings)| siblings) {
            kinds.count(cache, classes, *class, stretch);
        }
        let most = kinds.most_pods();
        let count = (most as usize + 1) * kinds.width as usize;
        if count > stretch.len().max(KINDS_MIN) {
            return None;
        }
        let is_there = kinds.with_feasible(count, is_feasible);
        let on_nodes = on_nodes.map(|(constraint, ..)| (SpreadWeight::of(feasible), constraint.max_skew));
        let of_node = |pods| on_nodes.map_or(SpreadShare::NONE, |(weight, skew)| SpreadShare::of(pods, weight, skew));
        let larger = larger.map(|(constraint, eligible, siblings)| {
            let weight = SpreadWeight::of(kinds.domains(&is_there));
            (Counts::by_domain(classes, siblings, eligible), weight, constraint.max_skew)
        });
        let of_domain = |domain: u32| match (&larger, domain.checked_sub(1)) {
            (Some((pods, weight, skew)), Some(domain)) => SpreadShare::of(pods.at(domain as usize), *weight, *skew),
            _ => SpreadShare::NONE,
        };
        let mut sums = Vec::with_capacity(count);
        for pods in 0..most + 1 {
            let of_node = of_node(pods);
            sums.extend((0..kinds.width).map(|domain| of_node.rounded_with(of_domain(domain))));
        }
        let scores = scores_of_kinds(sums, &is_there);
        // A kind of no node could have any score.
        let weighted = |(score, is_there): (i64, &bool)| {
            i32::try_from(if *is_there { weight * score } else { 0 }).expect("a node's total is less than 2^31")
        };
        let of_kinds = scores.into_iter().zip(&is_there).map(weighted).collect();
        Some(Bonuses { kinds: kinds.of_nodes, of_kinds })
    }

    /// The constraint over single nodes and the one over something larger, if there are no others, and if every node
    /// is scored and has its own label.
    fn one_of_each(&self) -> Option<(Option<Constraint<'_>>, Option<Constraint<'_>>)> {
        let (mut on_nodes, mut larger) = (None, None);
        for (place, (constraint, eligible)) in self.eligibility.iter().enumerate() {
            let is_of_nodes = *constraint.topology_key == *HOSTNAME;
            let this = if is_of_nodes { &mut on_nodes } else { &mut larger };
            if this.replace((constraint, eligible, self.siblings.of(place))).is_some() {
                return None;
            }
            if is_of_nodes && !eligible.is_on_all {
                return None;
            }
        }
        self.score_all().then_some((on_nodes, larger))
    }
}

/// Which nodes are alike.
struct Kinds {
    /// By place: the node's number of pods times `width`, plus 1 + its domain, or 0 outside all domains.
    of_nodes: Vec<u32>,
    width: u32,
    /// How many kinds of nodes without pods there can be.
    plain: usize,
    /// The places of nodes with pods, some of them several times.
    with_pods: Vec<usize>,
    /// Whether further nodes may have pods, because they were not counted one by one.
    tallied: bool,
}

impl Kinds {
    /// Of nodes without pods.
    fn of_domains(larger: Option<&Eligible>, stretch: &Stretch) -> Kinds {
        let (of_nodes, width, plain) = match larger {
            Some(Eligible { domains, is_on_all, .. }) => {
                let width = domains.count + 1;
                (stretch.of(domains.in_order()), width, width as usize - usize::from(*is_on_all))
            }
            None => (vec![0; stretch.len()], 1, 1),
        };
        Kinds { of_nodes, width, plain, with_pods: Vec::new(), tallied: false }
    }

    /// Counts a class's pods.
    fn count(&mut self, cache: &Cache, classes: &Classes, class: ClassId, stretch: &Stretch) {
        let class = classes.class(class);
        if let Some(pods) = class.tally_by_slot(cache.slot_count()) {
            self.tallied = true;
            for (kind, slot) in self.of_nodes.iter_mut().zip(stretch.of(cache.order())) {
                *kind = kind.saturating_add(pods[slot as usize].saturating_mul(self.width));
            }
            return;
        }
        self.with_pods.reserve(class.slots_of_staying().len());
        let positions = class.slots_of_staying().filter_map(|slot| cache.position(slot));
        for place in positions.filter_map(|position| stretch.place(position)) {
            let kind = &mut self.of_nodes[place];
            *kind = kind.saturating_add(self.width);
            self.with_pods.push(place);
        }
    }

    /// The most pods of a node.
    fn most_pods(&self) -> u32 {
        let most = match self.tallied {
            true => self.of_nodes.iter().copied().reduce(u32::max),
            false => self.with_pods.iter().map(|place| self.of_nodes[*place]).reduce(u32::max),
        };
        most.unwrap_or(0) / self.width
    }

    /// By kind, of which there are so many: whether some feasible node is of it.
    fn with_feasible(&self, count: usize, is_feasible: impl Fn(usize) -> bool) -> Vec<bool> {
        let mut is_there = vec![false; count];
        // Domains take turns in the order, so that after few nodes all that are not told one by one have been seen.
        let mut unseen = if self.tallied { count } else { self.plain };
        for (place, kind) in self.of_nodes.iter().enumerate() {
            let is_there = &mut is_there[*kind as usize];
            if !*is_there && is_feasible(place) {
                *is_there = true;
                unseen -= usize::from(self.tallied || *kind < self.width);
                if unseen == 0 {
                    break;
                }
            }
        }
        for place in self.with_pods.iter().filter(|place| is_feasible(**place)) {
            is_there[self.of_nodes[*place] as usize] = true;
        }
        is_there
    }

    /// In how many domains feasible nodes are; outside all domains is one more.
    fn domains(&self, is_there: &[bool]) -> usize {
        let width = self.width as usize;
        (0..width).filter(|domain| is_there[*domain..].iter().step_by(width).any(|it| *it)).count()
    }
}
