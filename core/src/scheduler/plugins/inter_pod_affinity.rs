//! InterPodAffinity: near the pods that the pod asks for, away from those that it shuns and from those that shun it;
//! the same by preference.
//!
//! Source: pkg/scheduler/framework/plugins/interpodaffinity/{filtering,scoring,plugin}.go (v1.34.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::PodAffinityArgs;
use crate::id::Name;
use crate::model::{Labels, Node};
use crate::scheduler::cache::Cache;
use crate::scheduler::classes::{Class, Classes};
use crate::scheduler::events::{Event, Hint, NodeChange};
use crate::scheduler::float::share_of_range;
use crate::scheduler::plugins::{Reason, Refusal};
use crate::scheduler::relations::Scene;
use crate::scheduler::sieve::Gate;
use crate::scheduler::surroundings::Surroundings;
use crate::scheduler::terms::{Term, Terms};
use crate::scheduler::topology::Domains;
use crate::scheduler::traits::PodTraits;

/// Sums by label and domain.
#[derive(Default)]
struct Sums {
    by_key: BTreeMap<Name, (Arc<Domains>, Vec<i64>)>,
    /// Whether anything was ever added, be the sums zero or not.
    any: bool,
    /// The sum of all sums.
    total: i64,
}

impl Sums {
    /// Adds for every pod of the class, in its node's domain.
    fn add(&mut self, cache: &mut Cache, key: &Name, class: &Class, weight: i64) {
        self.add_at(cache, key, class.slots(), weight);
    }

    /// Adds once for each of these slots, in the domain of its node if that has the label.
    fn add_at(&mut self, cache: &mut Cache, key: &Name, slots: impl IntoIterator<Item = u32>, weight: i64) {
        let (domains, sums) = self.by_key.entry(key.clone()).or_insert_with(|| {
            let domains = cache.domains(key);
            let none = vec![0; domains.count as usize];
            (domains, none)
        });
        for slot in slots {
            if let Some(domain) = domains.get(slot) {
                sums[domain] += weight;
                self.total += weight;
                self.any = true;
            }
        }
    }

    /// The sum in the slot's domain; `None` if its node lacks the label or nobody was counted by it.
    fn at(&self, key: &Name, slot: u32) -> Option<i64> {
        let (domains, sums) = self.by_key.get(key)?;
        Some(sums[domains.get(slot)?])
    }

    fn is_positive_somewhere(&self, slot: u32) -> bool {
        self.by_key.values().any(|(domains, sums)| domains.get(slot).is_some_and(|domain| sums[domain] > 0))
    }
}

/// Whether an incoming pod's term is about the pods of a class. The namespace must exist if it is chosen by label.
///
/// Source: `mergeAffinityTermNamespacesIfNotEmpty`, plugin.go (v1.34.1).
fn is_about(term: &Term, other: &PodTraits, around: &Surroundings) -> bool {
    let other = &other.identity;
    let chosen = term.namespace_selector.as_ref().is_some_and(|selector| {
        selector.is_empty() || around.namespace(&other.namespace).is_some_and(|labels| selector.matches(labels))
    });
    (chosen || term.namespaces.contains(&other.namespace)) && term.pods.matches(&other.labels)
}

/// The classes with pods on nodes that a term could be about, and some that it is not.
fn placed_candidates<'a>(classes: &'a Classes, term: &'a Term) -> impl Iterator<Item = &'a Class> {
    classes.candidates_of(term).filter(|class| !class.is_unplaced())
}

/// The required terms with what they counted: PreFilter.
pub(in crate::scheduler) struct Filter {
    /// The keys of the pod's affinity terms, and where pods are that match all of them.
    near: Vec<(Arc<Domains>, Name)>,
    wanted: Sums,
    /// Whether the pod would satisfy its own terms: if nobody else does, it is the first of its kind.
    is_about_itself: bool,
    /// Where pods are that the pod shuns.
    shunned: Sums,
    /// Where pods are that shun the pod.
    shunning: Sums,
}

impl Filter {
    /// Counts; `None` if no term is about the pod.
    pub(in crate::scheduler) fn of(
        cache: &mut Cache,
        classes: &Classes,
        around: &Surroundings,
        pod: &PodTraits,
    ) -> Option<Filter> {
        let mut shunning = Sums::default();
        let namespace_labels = around.namespace(&pod.identity.namespace).cloned().unwrap_or_default();
        for class in classes.with_terms_about(&pod.identity.labels) {
            for term in class.traits.terms.iter().flat_map(|terms| &terms.anti_affinity) {
                if term.matches(&pod.identity.namespace, &pod.identity.labels, &namespace_labels) {
                    shunning.add(cache, &term.topology_key, class, 1);
                }
            }
        }
        let terms = pod.terms.as_deref().filter(|it| !it.affinity.is_empty() || !it.anti_affinity.is_empty());
        let Some(terms) = terms else {
            let none = Filter {
                near: Vec::new(),
                wanted: Sums::default(),
                is_about_itself: false,
                shunned: Sums::default(),
                shunning,
            };
            return none.shunning.any.then_some(none);
        };
        let (mut wanted, mut shunned) = (Sums::default(), Sums::default());
        // A pod must be meant by all terms, so those that the first could be about are enough.
        for class in terms.affinity.first().into_iter().flat_map(|term| placed_candidates(classes, term)) {
            if terms.affinity.iter().all(|term| is_about(term, &class.traits, around)) {
                terms.affinity.iter().for_each(|term| wanted.add(cache, &term.topology_key, class, 1));
            }
        }
        for term in &terms.anti_affinity {
            for class in placed_candidates(classes, term).filter(|class| is_about(term, &class.traits, around)) {
                shunned.add(cache, &term.topology_key, class, 1);
            }
        }
        let near = terms.affinity.iter().map(|it| (cache.domains(&it.topology_key), it.topology_key.clone())).collect();
        let is_about_itself = is_about_itself(terms, pod, around);
        Some(Filter { near, wanted, is_about_itself, shunned, shunning })
    }

    /// AddPod (1) and RemovePod (-1): another pod comes to a slot or goes.
    ///
    /// Source: `updateWithPod`, filtering.go (v1.34.1).
    pub(in crate::scheduler) fn shift(&mut self, scene: Scene<'_>, slot: u32, other: &PodTraits, sign: i64) {
        let Scene { cache, around, pod, .. } = scene;
        let own = &pod.identity;
        let namespace_labels = around.namespace(&own.namespace).cloned().unwrap_or_default();
        for term in other.terms.iter().flat_map(|terms| &terms.anti_affinity) {
            if term.matches(&own.namespace, &own.labels, &namespace_labels) {
                self.shunning.add_at(cache, &term.topology_key, [slot], sign);
            }
        }
        let Some(terms) = &pod.terms else { return };
        if !terms.affinity.is_empty() && terms.affinity.iter().all(|term| is_about(term, other, around)) {
            terms.affinity.iter().for_each(|term| self.wanted.add_at(cache, &term.topology_key, [slot], sign));
        }
        for term in terms.anti_affinity.iter().filter(|term| is_about(term, other, around)) {
            self.shunned.add_at(cache, &term.topology_key, [slot], sign);
        }
    }

    /// What is refused, by domain: the same as [`Filter::refusal`] without the reason.
    pub(in crate::scheduler) fn gates(&self) -> impl Iterator<Item = Gate> + '_ {
        let is_first = self.is_about_itself && self.wanted.total == 0;
        let near = self.near.iter().map(move |(domains, key)| {
            let open = match self.wanted.by_key.get(key) {
                Some((_, counts)) => counts.iter().map(|count| is_first || *count > 0).collect(),
                None => vec![is_first; domains.count as usize],
            };
            Gate { domains: domains.clone(), open, without: false }
        });
        let away = self.shunned.by_key.values().chain(self.shunning.by_key.values()).map(|(domains, counts)| {
            let open = counts.iter().map(|count| *count <= 0).collect();
            Gate { domains: domains.clone(), open, without: true }
        });
        near.chain(away)
    }

    /// Why the node cannot take the pod.
    pub(in crate::scheduler) fn refusal(&self, slot: u32) -> Refusal {
        let labelled = self.near.iter().all(|(domains, _)| domains.get(slot).is_some());
        let near = self.near.iter().all(|(_, key)| self.wanted.at(key, slot).is_some_and(|count| count > 0));
        let is_first = self.is_about_itself && self.wanted.total == 0;
        if !labelled || !(near || is_first) {
            Refusal::for_good(Reason::AffinityUnsatisfied)
        } else if self.shunned.is_positive_somewhere(slot) {
            Refusal::because(Reason::AntiAffinityUnsatisfied)
        } else if self.shunning.is_positive_somewhere(slot) {
            Refusal::because(Reason::ShunnedByOthers)
        } else {
            Refusal::NONE
        }
    }
}

fn is_about_itself(terms: &Terms, pod: &PodTraits, around: &Surroundings) -> bool {
    let own = &pod.identity;
    let chosen = |term: &Term| {
        term.namespace_selector.as_ref().is_some_and(|selector| {
            selector.is_empty() || around.namespace(&own.namespace).is_some_and(|labels| selector.matches(labels))
        })
    };
    let about =
        |term: &Term| (chosen(term) || term.namespaces.contains(&own.namespace)) && term.pods.matches(&own.labels);
    terms.affinity.iter().all(about)
}

/// Everything that speaks for or against a domain: PreScore.
pub(in crate::scheduler) struct Preferences(Sums);

impl Preferences {
    /// `None` if nothing does.
    pub(in crate::scheduler) fn of(
        args: PodAffinityArgs,
        cache: &mut Cache,
        classes: &Classes,
        around: &Surroundings,
        pod: &PodTraits,
    ) -> Option<Preferences> {
        let mut sums = Sums::default();
        let (namespace, labels) = (&pod.identity.namespace, &pod.identity.labels);
        let namespace_labels = around.namespace(namespace).cloned().unwrap_or_default();
        let own = pod.terms.as_ref().map_or(&[][..], |terms| &terms.preferred);
        if own.is_empty() && args.ignore_terms_of_placed_pods {
            return None;
        }
        for (weight, term) in own {
            for class in placed_candidates(classes, term).filter(|class| is_about(term, &class.traits, around)) {
                sums.add(cache, &term.topology_key, class, *weight);
            }
        }
        for class in classes.with_terms_about(labels).filter(|class| !class.is_unplaced()) {
            let Some(terms) = &class.traits.terms else { continue };
            let counts = |_: &&Term| args.required_term_weight > 0;
            let required = terms.affinity.iter().filter(counts).map(|term| (args.required_term_weight, term));
            let preferred = terms.preferred.iter().map(|(weight, term)| (*weight, term));
            for (weight, term) in required.chain(preferred) {
                if term.matches(namespace, labels, &namespace_labels) {
                    sums.add(cache, &term.topology_key, class, weight);
                }
            }
        }
        sums.any.then_some(Preferences(sums))
    }

    /// Scores, 0 ..= 100, of all feasible nodes: where in the range from the worst to the best they are.
    pub(in crate::scheduler) fn scores(&self, feasible: &[u32]) -> Vec<i64> {
        let mut raw = vec![0; feasible.len()];
        for (domains, sums) in self.0.by_key.values() {
            for (raw, slot) in raw.iter_mut().zip(feasible) {
                *raw += domains.get(*slot).map_or(0, |domain| sums[domain]);
            }
        }
        let lowest = raw.iter().copied().min().unwrap_or(0);
        let range = raw.iter().copied().max().unwrap_or(0) - lowest;
        raw.into_iter().map(|raw| if range > 0 { share_of_range(raw - lowest, range) } else { 0 }).collect()
    }
}

pub(super) fn hint(pod: &PodTraits, event: &Event<'_>) -> Hint {
    let Some(terms) = &pod.terms else { return Hint::Skip };
    let all = |terms: &[Term], other: &PodTraits| {
        let (namespace, labels) = (&other.identity.namespace, &other.identity.labels);
        // Kubernetes looks up no namespace here.
        !terms.is_empty() && terms.iter().all(|term| term.matches(namespace, labels, &Labels::default()))
    };
    let (near, away) = (&terms.affinity, &terms.anti_affinity);
    match event {
        Event::PodPlaced(other) => Hint::queue_if(all(near, other)),
        Event::PlacedPodGone(other) => Hint::queue_if(all(away, other)),
        Event::PlacedPodRelabelled { old, new } => {
            let wanted = !all(near, old) && all(near, new);
            Hint::queue_if(wanted || (all(away, old) && !all(away, new)))
        }
        Event::NodeAdded(node) => {
            Hint::queue_if(!away.is_empty() || near.iter().any(|term| value(node, term).is_some()))
        }
        Event::NodeChanged { old, new, what: NodeChange::Labels } => {
            let changed = |term: &Term| value(old, term) != value(new, term);
            Hint::queue_if(
                near.iter().any(|term| value(new, term).is_some() && changed(term))
                    || away.iter().any(|term| value(old, term).is_some() && changed(term)),
            )
        }
        _ => Hint::Skip,
    }
}

fn value<'a>(node: &'a Node, term: &Term) -> Option<&'a Name> {
    node.meta.labels.get(&term.topology_key)
}
