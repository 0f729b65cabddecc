//! PodTopologySpread: the numbers of matching pods may differ between domains by so much only, and nodes in emptier
//! domains are liked better. Pods without constraints of their own that belong to a Service or a ReplicaSet are spread
//! over nodes and zones by preference.
//!
//! Source: pkg/scheduler/framework/plugins/podtopologyspread/{filtering,scoring,plugin}.go (v1.34.1).

mod eligibility;
mod kinds;
mod preferences;

use std::borrow::Cow;
use std::sync::Arc;

use crate::config::SpreadDefaults;
use crate::id::Name;
use crate::model::{Node, SpreadConstraint};
use crate::scheduler::cache::Cache;
use crate::scheduler::classes::{ClassId, Classes};
use crate::scheduler::events::{Event, Hint, NodeChange};
use crate::scheduler::plugins::topology_spread::eligibility::{Counts, Which};
pub(in crate::scheduler) use crate::scheduler::plugins::topology_spread::eligibility::{Eligibility, Inclusion};
pub(in crate::scheduler) use crate::scheduler::plugins::topology_spread::kinds::Bonuses;
pub(in crate::scheduler) use crate::scheduler::plugins::topology_spread::preferences::{Preferences, Scores};
use crate::scheduler::plugins::{Reason, Refusal, node_affinity, taint_toleration};
use crate::scheduler::relations::Scene;
use crate::scheduler::sieve::Gate;
use crate::scheduler::surroundings::Surroundings;
use crate::scheduler::terms::Spread;
use crate::scheduler::topology::Domains;
use crate::scheduler::traits::PodTraits;

const HOSTNAME: &str = "kubernetes.io/hostname";

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
        classes: &mut Classes,
        around: &Surroundings,
        class: ClassId,
    ) -> Option<Filter> {
        let spreads = |pod: &PodTraits| required(defaults, around, pod).into_owned();
        let eligibility = Eligibility::at_hand(cache, classes, around, class, (Which::Required, true), spreads)?;
        let siblings = eligibility.siblings(classes, class);
        let (classes, pod) = (&*classes, classes.traits(class));
        let counted = eligibility.iter().enumerate().map(|(place, (constraint, eligible))| {
            let counts = Counts::by_domain(classes, siblings.of(place), eligible);
            let mut counted = Counted {
                domains: eligible.domains.clone(),
                few_domains: eligible.count < u64::from(constraint.min_domains),
                fewest: 0,
                itself: i64::from(constraint.pods.matches(&pod.identity.labels)),
                max_skew: constraint.max_skew.into(),
                pods: (0..eligible.domains.count as usize).map(|domain| counts.at(domain).into()).collect(),
                eligible: eligible.domains_with.clone(),
            };
            counted.fewest = counted.find_fewest();
            counted
        });
        Some(Filter(counted.collect()))
    }

    /// AddPod (1) and RemovePod (-1): another pod comes to a slot or goes. Pods that are being deleted and selectors
    /// that ask for nothing count here, unlike at first: so it is in Kubernetes.
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

    /// What is refused, by domain: the same as [`Filter::refusal`] without the reason.
    pub(in crate::scheduler) fn gates(&self) -> impl Iterator<Item = Gate> + '_ {
        self.0.iter().map(|counted| {
            let fits = |pods: &i64| pods + counted.itself - counted.fewest <= counted.max_skew;
            Gate { domains: counted.domains.clone(), open: counted.pods.iter().map(fits).collect(), without: false }
        })
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
    let Some(siblings) = around.siblings(&pod.identity).map(Arc::new) else { return Vec::new() };
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
