//! Where a pod's spread constraints count, and how many matching pods there are.
//!
//! Which nodes count depends on the pod's spec and on nodes only, so it is kept for all classes of a spec until some
//! node changes; the constraints are kept with the class until some selector changes. The pods are those of few
//! classes; of a class with many, tallies are at hand that binds keep up to date.

use std::sync::Arc;

use crate::id::Name;
use crate::scheduler::cache::{Cache, NodeChanges};
use crate::scheduler::classes::{Class, ClassId, Classes};
use crate::scheduler::labels_asked::LabelsAsked;
use crate::scheduler::plugins::topology_spread::{HOSTNAME, includes};
use crate::scheduler::surroundings::Surroundings;
use crate::scheduler::terms::{Pods, Spread};
use crate::scheduler::topology::Domains;
use crate::scheduler::traits::{Identity, PodTraits};

/// Which of a pod's constraints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Which {
    /// Those that refuse nodes.
    Required = 0,
    /// Those that score.
    Preferred = 1,
}

/// A class's constraints, and where each of them counts.
#[derive(Debug)]
pub(in crate::scheduler) struct Eligibility {
    /// The surroundings' count of changed selectors for which this holds.
    selector_changes: u64,
    /// At least one.
    spreads: Vec<Spread>,
    /// By what the pods are found that each constraint counts: one for all if they count the same pods.
    labels: Vec<LabelsAsked>,
    inclusion: Arc<Inclusion>,
}

/// Which nodes each of some constraints includes for pods of one spec, whichever pods the constraints count.
#[derive(Debug)]
pub(in crate::scheduler) struct Inclusion {
    /// The cache's count of node changes for which this holds.
    node_changes: NodeChanges,
    /// Whether a node that lacks the label of one constraint counts for none.
    all_labels: bool,
    /// In the order of the constraints.
    constraints: Vec<Eligible>,
}

/// Where one constraint counts.
#[derive(Debug)]
pub(super) struct Eligible {
    topology_key: Name,
    /// Whether it honors node affinity, and taints.
    honors: (bool, bool),
    pub(super) domains: Arc<Domains>,
    /// By domain: whether some node in it counts.
    pub(super) domains_with: Vec<bool>,
    /// How many of them have one.
    pub(super) count: u64,
    /// Whether every node has the label.
    pub(super) is_on_all: bool,
    /// By slot: whether its node counts; empty if every node does that has the label.
    slots: Vec<bool>,
}

impl Eligible {
    /// The slot's domain, if its node counts.
    fn domain(&self, slot: u32) -> Option<usize> {
        let counts = self.slots.is_empty() || self.slots[slot as usize];
        self.domains.get(slot).filter(|_| counts)
    }

    /// Whether every node counts that has the label.
    pub(super) fn is_everywhere(&self) -> bool {
        self.slots.is_empty()
    }
}

impl Eligibility {
    /// What is kept with the class, or is found out of the constraints that `spreads` makes; `None` if it makes none.
    /// With `all_labels` a node that lacks the label of one constraint counts for none.
    pub(super) fn at_hand(
        cache: &mut Cache,
        classes: &mut Classes,
        around: &Surroundings,
        id: ClassId,
        (which, all_labels): (Which, bool),
        spreads: impl FnOnce(&PodTraits) -> Vec<Spread>,
    ) -> Option<Arc<Eligibility>> {
        let holds = |known: &&Arc<Eligibility>| {
            known.selector_changes == around.selector_changes() && known.inclusion.is_current(cache)
        };
        let class = classes.class(id);
        if let Some(known) = class.eligibility[which as usize].as_ref().filter(holds) {
            return Some(known.clone());
        }
        let spreads = spreads(&class.traits);
        if spreads.is_empty() {
            return None;
        }
        let is_of_these = |known: &&Arc<Inclusion>| known.is_current(cache) && known.is_of(&spreads, all_labels);
        let inclusion = match classes.inclusion(id, which as usize).filter(is_of_these) {
            Some(known) => known.clone(),
            None => {
                let found = Arc::new(Inclusion::of(cache, &class.traits, &spreads, all_labels));
                classes.set_inclusion(id, which as usize, &found);
                found
            }
        };
        let namespace = &classes.traits(id).identity.namespace;
        let labels = of_distinct_pods(&spreads).map(|it| LabelsAsked::of(namespace, &it.pods)).collect();
        let found = Arc::new(Eligibility { selector_changes: around.selector_changes(), spreads, labels, inclusion });
        if around.knows_owner(&classes.traits(id).identity) {
            classes.set_eligibility(id, which as usize, &found);
        }
        Some(found)
    }

    /// The constraints, each with where it counts.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Spread, &Eligible)> {
        self.spreads.iter().zip(&self.inclusion.constraints)
    }

    /// Whether every node has the labels of all constraints.
    pub(super) fn all_labelled(&self) -> bool {
        self.inclusion.constraints.iter().all(|it| it.is_on_all)
    }

    /// The pods that the constraints count as things are, for a pod of this class. Those of large classes are tallied
    /// by the first label, other than single nodes', by which that can be done.
    pub(super) fn siblings(&self, classes: &mut Classes, id: ClassId) -> Siblings {
        let identity = &classes.traits(id).identity;
        let of_one = |(constraint, labels): (&Spread, &LabelsAsked)| -> Vec<ClassId> {
            let candidates = classes.candidate_ids(labels);
            candidates.filter(|id| is_counted(classes.class(*id), identity, &constraint.pods)).collect()
        };
        let siblings = Siblings(self.spreads.iter().zip(&self.labels).map(of_one).collect());
        let wide = |(constraint, it): (&Spread, &Eligible)| *constraint.topology_key != *HOSTNAME && it.is_everywhere();
        if let Some(place) = self.iter().position(wide) {
            let domains = &self.inclusion.constraints[place].domains;
            siblings.of(place).iter().for_each(|id| classes.tally(*id, domains));
        }
        siblings
    }
}

/// The first of some constraints if they all count the same pods, or else all.
fn of_distinct_pods(spreads: &[Spread]) -> impl Iterator<Item = &Spread> {
    let (first, others) = spreads.split_first().expect("there is a constraint");
    let alike = others.iter().all(|it| Arc::ptr_eq(&it.pods, &first.pods));
    spreads.iter().take(if alike { 1 } else { spreads.len() })
}

/// The classes whose pods some constraints count: of each constraint, or of all at once if they count the same pods.
pub(in crate::scheduler) struct Siblings(Vec<Vec<ClassId>>);

impl Siblings {
    /// Those that the constraint at a place counts.
    pub(super) fn of(&self, place: usize) -> &[ClassId] {
        self.0.get(place).unwrap_or(&self.0[0])
    }
}

impl Inclusion {
    /// Whether no node has changed since in what the constraints go by.
    fn is_current(&self, cache: &Cache) -> bool {
        let has_slots = |it: &Eligible| it.domains.slot_count() == cache.slot_count();
        let (then, now) = (self.node_changes, cache.node_changes());
        let honors_taints = || self.constraints.iter().any(|it| it.honors.1);
        then.labels == now.labels
            && (then.taints == now.taints || !honors_taints())
            && self.constraints.iter().all(has_slots)
    }

    /// Whether these constraints include the same nodes.
    fn is_of(&self, spreads: &[Spread], all_labels: bool) -> bool {
        let is_same = |(it, spread): (&Eligible, &Spread)| {
            let honors = (spread.honors_node_affinity, spread.honors_node_taints);
            it.topology_key == spread.topology_key && it.honors == honors
        };
        let same_number = self.constraints.len() == spreads.len();
        self.all_labels == all_labels && same_number && self.constraints.iter().zip(spreads).all(is_same)
    }

    fn of(cache: &mut Cache, pod: &PodTraits, spreads: &[Spread], all_labels: bool) -> Inclusion {
        let domains: Vec<Arc<Domains>> = spreads.iter().map(|it| cache.domains(&it.topology_key)).collect();
        let cache = &*cache;
        let has_all = |slot: u32| domains.iter().all(|domains| domains.get(slot).is_some());
        let eligible = |(constraint, of): (&Spread, &Arc<Domains>)| {
            let mut slots = vec![false; cache.slot_count()];
            let mut domains_with = vec![false; of.count as usize];
            let mut is_everywhere = true;
            for slot in cache.order().iter().filter(|slot| of.get(**slot).is_some()) {
                let counts = (!all_labels || has_all(*slot)) && includes(constraint, pod, cache, *slot);
                slots[*slot as usize] = counts;
                is_everywhere &= counts;
                if let Some(domain) = of.get(*slot).filter(|_| counts) {
                    domains_with[domain] = true;
                }
            }
            if is_everywhere {
                slots = Vec::new();
            }
            let count = domains_with.iter().filter(|with| **with).count() as u64;
            let honors = (constraint.honors_node_affinity, constraint.honors_node_taints);
            let (topology_key, domains) = (constraint.topology_key.clone(), of.clone());
            let is_on_all = !domains.in_order().contains(&0);
            Eligible { topology_key, honors, domains, domains_with, count, is_on_all, slots }
        };
        let constraints = spreads.iter().zip(&domains).map(eligible).collect();
        Inclusion { node_changes: cache.node_changes(), all_labels, constraints }
    }
}

/// Matching pods by slot or by domain: the sum of what classes have tallied and of what was counted beside that.
#[derive(Default)]
pub(super) struct Counts<'a> {
    tallies: Vec<&'a [u32]>,
    /// Empty if all is tallied.
    others: Vec<u32>,
}

impl<'a> Counts<'a> {
    /// By domain, on the nodes that count.
    pub(super) fn by_domain(classes: &'a Classes, siblings: &[ClassId], eligible: &Eligible) -> Counts<'a> {
        let tally = |class: &'a Class| class.tally_by_domain(&eligible.domains).filter(|_| eligible.is_everywhere());
        Counts::of(classes, siblings, eligible.domains.count as usize, tally, |slot| eligible.domain(slot))
    }

    /// By slot, whatever the node.
    pub(super) fn by_slot(cache: &Cache, classes: &'a Classes, siblings: &[ClassId]) -> Counts<'a> {
        let slots = cache.slot_count();
        Counts::of(classes, siblings, slots, |class| class.tally_by_slot(slots), |slot| Some(slot as usize))
    }

    fn of(
        classes: &'a Classes,
        siblings: &[ClassId],
        size: usize,
        tally: impl Fn(&'a Class) -> Option<&'a [u32]>,
        place: impl Fn(u32) -> Option<usize>,
    ) -> Counts<'a> {
        let mut counts = Counts::default();
        for class in siblings.iter().map(|id| classes.class(*id)) {
            let slots = || class.slots_of_staying().filter_map(&place);
            let count_pods = |into: &mut [u32]| slots().for_each(|place| into[place] += 1);
            let Some(tally) = tally(class) else {
                if counts.others.is_empty() {
                    counts.others = vec![0; size];
                }
                count_pods(&mut counts.others);
                continue;
            };
            if cfg!(debug_assertions) {
                let mut by_pods = vec![0; size];
                count_pods(&mut by_pods);
                assert!(by_pods == tally, "the tallies are wrong");
            }
            counts.tallies.push(tally);
        }
        counts
    }

    /// All counts, if they need not be summed up.
    pub(super) fn as_slice(&self) -> Option<&[u32]> {
        match self.tallies[..] {
            [tally] if self.others.is_empty() => Some(tally),
            [] if !self.others.is_empty() => Some(&self.others),
            _ => None,
        }
    }

    /// The count in one place.
    pub(super) fn at(&self, index: usize) -> u32 {
        let tallied = self.tallies.iter().map(|pods| pods[index]);
        tallied.sum::<u32>() + self.others.get(index).copied().unwrap_or(0)
    }
}

/// Whether the class has pods that count.
fn is_counted(class: &Class, identity: &Identity, pods: &Pods) -> bool {
    let other = &class.traits.identity;
    class.slots_of_staying().next().is_some()
        && other.namespace == identity.namespace
        && !pods.asks_nothing()
        && pods.matches(&other.labels)
}
