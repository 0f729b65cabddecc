//! A pod's rules about other pods, made ready for matching: label keys are resolved, namespaces filled in.
//!
//! Source: pkg/scheduler/framework/plugins/podtopologyspread/common.go, `newAffinityTerm` in
//! pkg/scheduler/framework/types.go, and `applyMatchLabelKeysAndMismatchLabelKeys` in pkg/registry/core/pod/strategy.go
//! (v1.34.1). The API server does the last when a pod is created; here it is done when a class of pods is first seen.

use std::sync::Arc;

use crate::digest::StableHasher;
use crate::id::Name;
use crate::model::{
    Labels, PlacementRules, PodTerm, PodTerms, Selector, SelectorOperator, SelectorRequirement, SpreadConstraint,
};
use crate::scheduler::traits::Identity;

/// Which pods a rule is about: those that match every part; `None` in place of the parts is none at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pods(pub(super) Option<Vec<Selector>>);

impl Pods {
    /// Whether pods with these labels are meant.
    pub(super) fn matches(&self, labels: &Labels) -> bool {
        self.0.as_ref().is_some_and(|parts| parts.iter().all(|part| part.matches(labels)))
    }

    /// Whether nothing is asked, so that every pod is meant. Spreading then counts none.
    pub(super) fn asks_nothing(&self) -> bool {
        self.0.as_ref().is_some_and(|parts| parts.iter().all(Selector::is_empty))
    }
}

/// A topology spread constraint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Spread {
    pub(super) topology_key: Name,
    pub(super) max_skew: i32,
    pub(super) min_domains: u32,
    pub(super) honors_node_affinity: bool,
    pub(super) honors_node_taints: bool,
    /// Shared by constraints that count the same pods.
    pub(super) pods: Arc<Pods>,
}

/// The pod's own spread constraints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Spreads {
    pub(super) required: Vec<Spread>,
    pub(super) preferred: Vec<Spread>,
}

/// A term about other pods.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Term {
    pub(super) topology_key: Name,
    pub(super) pods: Pods,
    pub(super) namespaces: Vec<Name>,
    pub(super) namespace_selector: Option<Selector>,
}

/// All terms of a pod about other pods; preferred ones with their weight, negative for anti-affinity.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Terms {
    pub(super) affinity: Vec<Term>,
    pub(super) anti_affinity: Vec<Term>,
    pub(super) preferred: Vec<(i64, Term)>,
}

impl Term {
    /// Whether the term is about pods with these labels in a namespace with those labels.
    ///
    /// Source: `AffinityTerm.Matches`, staging/src/k8s.io/kube-scheduler/framework/types.go (v1.34.1).
    pub(super) fn matches(&self, namespace: &Name, labels: &Labels, namespace_labels: &Labels) -> bool {
        let there = self.namespaces.contains(namespace)
            || self.namespace_selector.as_ref().is_some_and(|selector| selector.matches(namespace_labels));
        there && self.pods.matches(labels)
    }

    fn of(term: &PodTerm, identity: &Identity) -> Term {
        let own = term.namespaces.is_empty() && term.namespace_selector.is_none();
        let namespaces = if own { vec![identity.namespace.clone()] } else { term.namespaces.clone() };
        let parts = term.selector.as_ref().map(|selector| {
            let mut selector = selector.clone();
            let keys =
                [(&term.match_label_keys, SelectorOperator::In), (&term.mismatch_label_keys, SelectorOperator::NotIn)];
            for (keys, operator) in keys {
                selector.match_expressions.extend(requirements(keys, operator, &identity.labels));
            }
            vec![selector]
        });
        Term {
            topology_key: term.topology_key.clone(),
            pods: Pods(parts),
            namespaces,
            namespace_selector: term.namespace_selector.clone(),
        }
    }
}

impl Terms {
    /// The terms of a pod; `None` if it has none.
    pub(super) fn of(rules: &PlacementRules, identity: &Identity) -> Option<Box<Terms>> {
        let (near, away) = (&rules.pod_affinity, &rules.pod_anti_affinity);
        if near.is_empty() && away.is_empty() {
            return None;
        }
        let required = |terms: &PodTerms| terms.required.iter().map(|term| Term::of(term, identity)).collect();
        let weighted = |terms: &PodTerms, sign: i64| -> Vec<(i64, Term)> {
            let terms = terms.preferred.iter();
            terms.map(|it| (sign * i64::from(it.weight), Term::of(&it.term, identity))).collect()
        };
        let mut preferred = weighted(near, 1);
        preferred.extend(weighted(away, -1));
        Some(Box::new(Terms { affinity: required(near), anti_affinity: required(away), preferred }))
    }

    /// Of each term the hash of one label that it asks for, each once; and whether some term asks for none.
    pub(super) fn labels_asked_for(&self) -> (Vec<u64>, bool) {
        let terms = self.affinity.iter().chain(&self.anti_affinity).chain(self.preferred.iter().map(|(_, term)| term));
        // A term without a selector is about nobody.
        let parts = terms.filter_map(|term| term.pods.0.as_ref());
        let labels = parts.map(|parts| parts.iter().find_map(|part| part.match_labels.iter().next()));
        let labels: Vec<Option<u64>> = labels.map(|label| label.map(|pair| StableHasher::hash_one(&pair))).collect();
        let by_none = labels.contains(&None);
        let mut labels: Vec<u64> = labels.into_iter().flatten().collect();
        labels.sort_unstable();
        labels.dedup();
        (labels, by_none)
    }
}

impl Spreads {
    /// The constraints of a pod; `None` if it has none of its own.
    pub(super) fn of(rules: &PlacementRules, identity: &Identity) -> Option<Box<Spreads>> {
        if rules.spread.is_empty() {
            return None;
        }
        let of = |required| {
            let constraints = rules.spread.iter().filter(|it| it.required == required);
            constraints.map(|it| Spread::of(it, identity)).collect()
        };
        Some(Box::new(Spreads { required: of(true), preferred: of(false) }))
    }
}

impl Spread {
    pub(super) fn of(constraint: &SpreadConstraint, identity: &Identity) -> Spread {
        let parts = constraint.selector.as_ref().map(|selector| {
            let mut selector = selector.clone();
            let keys = &constraint.match_label_keys;
            selector.match_expressions.extend(requirements(keys, SelectorOperator::In, &identity.labels));
            vec![selector]
        });
        Spread {
            topology_key: constraint.topology_key.clone(),
            max_skew: constraint.max_skew,
            min_domains: constraint.min_domains,
            honors_node_affinity: constraint.honors_node_affinity,
            honors_node_taints: constraint.honors_node_taints,
            pods: Arc::new(Pods(parts)),
        }
    }
}

/// Each key that the pod has, with the pod's value.
fn requirements(keys: &[Name], operator: SelectorOperator, labels: &Labels) -> Vec<SelectorRequirement> {
    let known = keys.iter().filter_map(|key| labels.get(key).map(|value| (key, value)));
    known.map(|(key, value)| SelectorRequirement { key: key.clone(), operator, values: vec![value.clone()] }).collect()
}
