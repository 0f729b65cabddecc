//! PodTopologySpread: the numbers of matching pods may differ between domains by so much only, and nodes in emptier
//! domains are liked better. Pods without constraints of their own that belong to a Service or a ReplicaSet are spread
//! over nodes and zones by preference.
//!
//! Source: pkg/scheduler/framework/plugins/podtopologyspread/{filtering,scoring,plugin}.go (v1.34.1).

use std::borrow::Cow;
use std::sync::Arc;

use crate::config::SpreadDefaults;
use crate::id::Name;
use crate::model::{Node, SpreadConstraint};
use crate::scheduler::cache::Cache;
use crate::scheduler::classes::{Class, Classes};
use crate::scheduler::events::{Event, Hint, NodeChange};
use crate::scheduler::float::{SpreadWeight, spread_score};
use crate::scheduler::plugins::{Reason, Refusal, node_affinity, taint_toleration};
use crate::scheduler::relations::Scene;
use crate::scheduler::surroundings::Surroundings;
use crate::scheduler::terms::{Pods, Spread};
use crate::scheduler::topology::Domains;
use crate::scheduler::traits::{Identity, PodTraits};

const HOSTNAME: &str = "kubernetes.io/hostname";

/// The constraints of pods that have none themselves: key and skew.
///
/// Source: `systemDefaultConstraints`, plugin.go (v1.34.1).
const DEFAULTS: [(&str, i32); 2] = [(HOSTNAME, 3), ("topology.kubernetes.io/zone", 5)];

/// The required constraints with what they counted: PreFilter.
pub(in crate::scheduler) struct Filter(Vec<Counted>);

struct Counted {
    domains: Arc<Domains>,
    /// Matching pods by domain; 0 in domains without an eligible node.
    pods: Vec<i64>,
    /// By domain: whether it has an eligible node.
    eligible: Vec<bool>,
    /// Whether there are fewer eligible domains than the constraint asks for, so that they count as empty.
    few_domains: bool,
    /// The fewest of an eligible domain; 0 if there are few.
    fewest: i64,
    /// 1 if the pod itself will be counted.
    itself: i64,
    max_skew: i64,
}

impl Filter {
    /// Counts; `None` if the pod has no required constraints.
    pub(in crate::scheduler) fn of(
        defaults: &SpreadDefaults,
        cache: &mut Cache,
        classes: &Classes,
        around: &Surroundings,
        pod: &PodTraits,
    ) -> Option<Filter> {
        let constraints = required(defaults, around, pod);
        if constraints.is_empty() {
            return None;
        }
        let domains: Vec<Arc<Domains>> = constraints.iter().map(|it| cache.domains(&it.topology_key)).collect();
        let has_all = |slot: u32| domains.iter().all(|domains| domains.get(slot).is_some());
        let counted = constraints.iter().zip(&domains).map(|(constraint, domains)| {
            let mut pods = vec![0; domains.count as usize];
            let mut eligible = vec![false; domains.count as usize];
            let is_eligible = |slot: u32| has_all(slot) && includes(constraint, pod, cache, slot);
            for slot in cache.order().iter().filter(|slot| is_eligible(**slot)) {
                eligible[domains.get(*slot).expect("an eligible node has all labels")] = true;
            }
            for slot in matching(classes, &pod.identity, &constraint.pods) {
                if is_eligible(slot) {
                    pods[domains.get(slot).expect("an eligible node has all labels")] += 1;
                }
            }
            let eligible_count = eligible.iter().filter(|eligible| **eligible).count() as u64;
            let mut counted = Counted {
                domains: domains.clone(),
                few_domains: eligible_count < u64::from(constraint.min_domains),
                fewest: 0,
                itself: i64::from(constraint.pods.matches(&pod.identity.labels)),
                max_skew: constraint.max_skew.into(),
                pods,
                eligible,
            };
            counted.fewest = counted.find_fewest();
            counted
        });
        Some(Filter(counted.collect()))
    }

    /// AddPod (1) and RemovePod (-1): another pod comes to a slot or goes. Pods that are being deleted and selectors that
    /// ask for nothing count here, unlike at first: so it is in Kubernetes.
    ///
    /// Source: `updateWithPod`, filtering.go (v1.34.1).
    pub(in crate::scheduler) fn shift(&mut self, scene: Scene<'_>, slot: u32, other: &PodTraits, sign: i64) {
        let Scene { profile, cache, around, pod } = scene;
        if other.identity.namespace != pod.identity.namespace
            || !self.0.iter().all(|counted| counted.domains.get(slot).is_some())
        {
            return;
        }
        for (counted, constraint) in self.0.iter_mut().zip(&*required(&profile.args.spread, around, pod)) {
            if constraint.pods.matches(&other.identity.labels) && includes(constraint, pod, cache, slot) {
                let domain = counted.domains.get(slot).expect("the node has all labels");
                counted.change(domain, sign);
            }
        }
    }

    /// Why the node cannot take the pod.
    pub(in crate::scheduler) fn refusal(&self, slot: u32) -> Refusal {
        for counted in &self.0 {
            let Some(domain) = counted.domains.get(slot) else {
                return Refusal::for_good(Reason::SpreadLabelMissing);
            };
            if counted.pods[domain] + counted.itself - counted.fewest > counted.max_skew {
                return Refusal::because(Reason::SpreadTooUneven);
            }
        }
        Refusal::NONE
    }
}

impl Counted {
    fn find_fewest(&self) -> i64 {
        let pods = self.pods.iter().zip(&self.eligible).filter(|(_, eligible)| **eligible).map(|(pods, _)| *pods);
        if self.few_domains { 0 } else { pods.min().unwrap_or(0) }
    }

    /// One pod more or fewer in an eligible domain.
    fn change(&mut self, domain: usize, sign: i64) {
        let before = self.pods[domain];
        self.pods[domain] += sign;
        if self.few_domains {
            return;
        }
        if sign < 0 {
            self.fewest = self.fewest.min(self.pods[domain]);
        } else if before == self.fewest {
            self.fewest = self.find_fewest();
        }
    }
}

/// The required constraints of a pod: its own, or the defaults.
///
/// Source: `getConstraints`, plugin.go, and `buildDefaultConstraints`, common.go (v1.34.1).
fn required<'a>(defaults: &SpreadDefaults, around: &Surroundings, pod: &'a PodTraits) -> Cow<'a, [Spread]> {
    match (&pod.spreads, defaults) {
        (Some(spreads), _) => Cow::Borrowed(&spreads.required),
        (None, SpreadDefaults::System) => Cow::Borrowed(&[]),
        (None, SpreadDefaults::List(list)) => Cow::Owned(listed(list, true, around, pod)),
    }
}

/// The default constraints of a list, for the pods that the pod's Services and its ReplicaSet select.
fn listed(list: &[SpreadConstraint], required: bool, around: &Surroundings, pod: &PodTraits) -> Vec<Spread> {
    let mut wanted = list.iter().filter(|constraint| constraint.required == required).peekable();
    if wanted.peek().is_none() {
        return Vec::new();
    }
    let Some(siblings) = around.siblings(&pod.identity) else { return Vec::new() };
    wanted.map(|constraint| Spread { pods: siblings.clone(), ..Spread::of(constraint, &pod.identity) }).collect()
}

/// Whether a slot's node is counted for the constraint.
///
/// Source: `matchNodeInclusionPolicies`, common.go (v1.34.1).
fn includes(constraint: &Spread, pod: &PodTraits, cache: &Cache, slot: u32) -> bool {
    let Some(node) = &cache.slot(slot).node else { return false };
    (!constraint.honors_node_affinity || node_affinity::matches(&pod.spec, node))
        && (!constraint.honors_node_taints || taint_toleration::first_untolerated_of(pod, node).is_none())
}

/// Where matching pods of the namespace are, one entry for each. Pods that are being deleted do not count.
fn matching<'a>(classes: &'a Classes, identity: &'a Identity, pods: &'a Pods) -> impl Iterator<Item = u32> + 'a {
    let counts = move |class: &&Class| is_counted(class, identity, pods);
    classes.candidates(&identity.namespace, pods).filter(counts).flat_map(Class::slots)
}

fn is_counted(class: &Class, identity: &Identity, pods: &Pods) -> bool {
    let other = &class.traits.identity;
    !class.is_unplaced()
        && !other.terminating
        && other.namespace == identity.namespace
        && !pods.asks_nothing()
        && pods.matches(&other.labels)
}

/// The preferred constraints of a pod: its own, or the defaults.
pub(in crate::scheduler) struct Preferences {
    constraints: Vec<(Spread, Arc<Domains>)>,
    /// Whether nodes that lack a label are neither counted nor scored.
    all_labels: bool,
}

impl Preferences {
    /// `None` if there is nothing to score.
    pub(in crate::scheduler) fn of(
        defaults: &SpreadDefaults,
        cache: &mut Cache,
        around: &Surroundings,
        pod: &PodTraits,
    ) -> Option<Preferences> {
        let constraints: Vec<Spread> = match (&pod.spreads, defaults) {
            (Some(spreads), _) => spreads.preferred.clone(),
            (None, SpreadDefaults::System) => around.siblings(&pod.identity).map_or(Vec::new(), |siblings| {
                DEFAULTS.map(|(key, max_skew)| default(key, max_skew, &siblings)).into()
            }),
            (None, SpreadDefaults::List(list)) => listed(list, false, around, pod),
        };
        let with_domains = |it: Spread| {
            let domains = cache.domains(&it.topology_key);
            (it, domains)
        };
        let constraints: Vec<_> = constraints.into_iter().map(with_domains).collect();
        let all_labels = pod.spreads.is_some() || *defaults != SpreadDefaults::System;
        (!constraints.is_empty()).then_some(Preferences { constraints, all_labels })
    }

    /// Scores, 0 ..= 100, of all feasible nodes.
    pub(in crate::scheduler) fn scores(
        &self,
        cache: &Cache,
        classes: &Classes,
        pod: &PodTraits,
        feasible: &[u32],
    ) -> Vec<i64> {
        let scored: Vec<bool> = feasible.iter().map(|slot| self.is_scored(*slot)).collect();
        let scored_count = scored.iter().filter(|scored| **scored).count();
        let mut parts = Vec::with_capacity(self.constraints.len());
        for (constraint, domains) in &self.constraints {
            let of_node = *constraint.topology_key == *HOSTNAME;
            let pods = self.counts(cache, classes, pod, constraint, domains);
            let size = if of_node { scored_count } else { self.domains_among(feasible, &scored, domains) };
            debug_assert_eq!(
                pods.all(if of_node { cache.slot_count() } else { domains.count as usize }),
                self.counted(cache, matching(classes, &pod.identity, &constraint.pods), pod, constraint, domains),
                "the tallies by {} are wrong",
                constraint.topology_key
            );
            parts.push(Part { of_node, pods, weight: SpreadWeight::of(size), max_skew: constraint.max_skew, domains });
        }
        match self.places(&parts, feasible) {
            Some(places) => scores_of_places(&parts, &places, feasible),
            None => {
                let raw = |(slot, scored): (&u32, &bool)| scored.then(|| raw_score(&parts, *slot));
                normalized(&feasible.iter().zip(&scored).map(raw).collect::<Vec<_>>())
            }
        }
    }

    /// For the two default constraints, each node's place: by how many pods it has and by its zone. Nodes of one place have
    /// one score. `None` for other constraints, and where there would be more places than it is worth.
    fn places(&self, parts: &[Part<'_>], feasible: &[u32]) -> Option<Vec<u32>> {
        let [node, zone] = parts else { return None };
        if self.all_labels || !node.of_node || zone.of_node || zone.domains.count > ZONES_MAX {
            return None;
        }
        let zones = zone.domains.count + 1;
        // A node without the label counts no pods of its own: that is none of the numbers of pods, so the first row.
        let row = |slot: u32, pods: i64| {
            u32::try_from(pods).map_or(u32::MAX, |pods| match node.domains.number(slot) {
                Some(_) => pods.saturating_add(1),
                None => 0,
            })
        };
        let column = |slot: u32| zone.domains.number(slot).unwrap_or(zones - 1);
        let mut highest = 0;
        let mut place = |slot: u32, pods: i64| {
            let row = row(slot, pods);
            highest = highest.max(row);
            row.wrapping_mul(zones).wrapping_add(column(slot))
        };
        let places = match node.pods.only() {
            Some(tally) => feasible.iter().map(|slot| place(*slot, i64::from(tally[*slot as usize]))).collect(),
            None => feasible.iter().map(|slot| place(*slot, node.pods.at(*slot as usize))).collect(),
        };
        (highest <= PODS_MAX).then_some(places)
    }

    fn is_scored(&self, slot: u32) -> bool {
        !self.all_labels || self.constraints.iter().all(|(_, domains)| domains.get(slot).is_some())
    }

    /// The domains, other than single nodes, by which the defaults count, and which pods they count.
    pub(in crate::scheduler) fn tallied(&self) -> Option<(&Pods, &Arc<Domains>)> {
        let of_nodes = |(constraint, _): &&(Spread, _)| *constraint.topology_key == *HOSTNAME;
        let constraints = if self.all_labels { &[][..] } else { &self.constraints };
        constraints.iter().find(|it| !of_nodes(it)).map(|(constraint, domains)| (&constraint.pods, domains))
    }

    /// Matching pods: by slot for the host name, whatever the node, otherwise by domain on the nodes that count.
    fn counts<'a>(
        &self,
        cache: &Cache,
        classes: &'a Classes,
        pod: &PodTraits,
        constraint: &Spread,
        domains: &Arc<Domains>,
    ) -> Counts<'a> {
        let of_node = *constraint.topology_key == *HOSTNAME;
        // Tallies count on every node.
        let every_node = !self.all_labels && !constraint.honors_node_taints && node_affinity::is_anywhere(&pod.spec);
        let mut counts = Counts::default();
        let mut others = Vec::new();
        let candidates = classes.candidates(&pod.identity.namespace, &constraint.pods);
        for class in candidates.filter(|class| is_counted(class, &pod.identity, &constraint.pods)) {
            let tally = match of_node {
                true => class.tally_by_slot(cache.slot_count()),
                false => class.tally_by_domain(domains).filter(|_| every_node),
            };
            match tally {
                Some(tally) => counts.tallies.push(tally),
                None => others.push(class),
            }
        }
        if !others.is_empty() {
            let slots = others.into_iter().flat_map(Class::slots);
            counts.others = self.counted(cache, slots, pod, constraint, domains);
        }
        counts
    }

    /// The same, pod by pod.
    fn counted(
        &self,
        cache: &Cache,
        slots: impl Iterator<Item = u32>,
        pod: &PodTraits,
        constraint: &Spread,
        domains: &Domains,
    ) -> Vec<i64> {
        let of_node = *constraint.topology_key == *HOSTNAME;
        let mut pods = vec![0; if of_node { cache.slot_count() } else { domains.count as usize }];
        for slot in slots {
            if of_node {
                pods[slot as usize] += 1;
            } else if let Some(domain) = domains.get(slot)
                && self.is_scored(slot)
                && includes(constraint, pod, cache, slot)
            {
                pods[domain] += 1;
            }
        }
        pods
    }

    /// How many domains the scored nodes are in. Nodes without the label are one more.
    fn domains_among(&self, feasible: &[u32], scored: &[bool], domains: &Domains) -> usize {
        let mut seen = vec![false; domains.count as usize + 1];
        for (slot, _) in feasible.iter().zip(scored).filter(|(_, scored)| **scored) {
            seen[domains.get(*slot).unwrap_or(domains.count as usize)] = true;
        }
        seen.into_iter().filter(|seen| *seen).count()
    }
}

/// One constraint with what was counted for it.
struct Part<'a> {
    of_node: bool,
    pods: Counts<'a>,
    weight: SpreadWeight,
    max_skew: i32,
    domains: &'a Domains,
}

impl Part<'_> {
    /// Matching pods in the domain of a slot; `None` if its node lacks the label.
    fn count(&self, slot: u32) -> Option<i64> {
        let domain = self.domains.get(slot)?;
        Some(self.pods.at(if self.of_node { slot as usize } else { domain }))
    }
}

/// Places are made for so many pods of a node and so many zones at most.
const PODS_MAX: u32 = 1_000;
const ZONES_MAX: u32 = 64;

fn raw_score(parts: &[Part<'_>], slot: u32) -> i64 {
    spread_score(parts.iter().filter_map(|part| Some((part.count(slot)?, part.weight, part.max_skew))))
}

/// The scores of nodes, each computed once for all nodes of a place.
fn scores_of_places(parts: &[Part<'_>], places: &[u32], feasible: &[u32]) -> Vec<i64> {
    let size = places.iter().max().map_or(0, |highest| *highest as usize + 1);
    let mut by_place: Vec<Option<i64>> = vec![None; size];
    for (place, slot) in places.iter().zip(feasible) {
        let raw = &mut by_place[*place as usize];
        if raw.is_none() {
            *raw = Some(raw_score(parts, *slot));
        }
    }
    let by_place = normalized(&by_place);
    places.iter().map(|place| by_place[*place as usize]).collect()
}

/// Matching pods by slot or by domain: the sum of what classes have tallied and of what was counted beside that.
#[derive(Default)]
struct Counts<'a> {
    tallies: Vec<&'a [u32]>,
    /// Empty if all is tallied.
    others: Vec<i64>,
}

impl Counts<'_> {
    /// The one tally that says all, if there is one.
    fn only(&self) -> Option<&[u32]> {
        match self.tallies[..] {
            [tally] if self.others.is_empty() => Some(tally),
            _ => None,
        }
    }

    fn at(&self, index: usize) -> i64 {
        let tallied = self.tallies.iter().map(|pods| i64::from(pods[index]));
        tallied.sum::<i64>() + self.others.get(index).copied().unwrap_or(0)
    }

    fn all(&self, count: usize) -> Vec<i64> {
        (0..count).map(|index| self.at(index)).collect()
    }
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
fn normalized(raw: &[Option<i64>]) -> Vec<i64> {
    let lowest = raw.iter().flatten().copied().min().unwrap_or(0);
    let highest = raw.iter().flatten().copied().max().unwrap_or(0);
    let score = |raw: &Option<i64>| match raw {
        None => 0,
        Some(_) if highest == 0 => 100,
        Some(raw) => quotient(100 * (highest + lowest - raw), highest),
    };
    raw.iter().map(score).collect()
}

/// A quotient of numbers that are rarely large: 32 bits are divided in a third of the time.
fn quotient(dividend: i64, divisor: i64) -> i64 {
    match (u32::try_from(dividend), u32::try_from(divisor)) {
        (Ok(dividend), Ok(divisor)) => i64::from(dividend / divisor),
        _ => dividend / divisor,
    }
}

pub(super) fn hint(defaults: &SpreadDefaults, around: &Surroundings, pod: &PodTraits, event: &Event<'_>) -> Hint {
    let constraints = required(defaults, around, pod);
    let has_all = |node: &Node| constraints.iter().all(|it| node.meta.labels.get(&it.topology_key).is_some());
    let label = |node: &Node, key: &Name| node.meta.labels.get(key).cloned();
    let meant = |other: &PodTraits| constraints.iter().any(|it| it.pods.matches(&other.identity.labels));
    let differs = |old: &PodTraits, new: &PodTraits| {
        let (old, new) = (&old.identity.labels, &new.identity.labels);
        constraints.iter().any(|it| it.pods.matches(old) != it.pods.matches(new))
    };
    match event {
        Event::NodeAdded(node) | Event::NodeGone(node) => Hint::queue_if(has_all(node)),
        Event::NodeChanged { old, new, what: NodeChange::Labels | NodeChange::Taints } => {
            let moved = constraints.iter().any(|it| label(old, &it.topology_key) != label(new, &it.topology_key));
            let changed = moved || old.spec.taints != new.spec.taints;
            Hint::queue_if(has_all(old) != has_all(new) || (has_all(new) && changed))
        }
        Event::PodPlaced(other) | Event::PlacedPodGone(other) => {
            Hint::queue_if(other.identity.namespace == pod.identity.namespace && meant(other))
        }
        Event::PlacedPodRelabelled { old, new } => {
            Hint::queue_if(new.identity.namespace == pod.identity.namespace && differs(old, new))
        }
        Event::Relabelled { old, new } => Hint::queue_if(differs(old, new)),
        Event::TolerationsChanged => Hint::queue_if(constraints.iter().any(|it| it.honors_node_taints)),
        _ => Hint::Skip,
    }
}
