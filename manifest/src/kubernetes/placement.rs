//! The rarer placement rules of a pod's spec: gates, node names, topology spread, affinity to other pods.

use k8s_openapi::api::core::v1 as api;
use wavetank_core::id::Name;
use wavetank_core::model::{PlacementRules, PodTerm, PodTerms, SelectorRequirement, SpreadConstraint, WeightedPodTerm};

use super::to_core::{name, requirement, selector};

/// The rules of an admitted spec; `None` if it has none.
pub(super) fn rules(spec: &api::PodSpec) -> Option<Box<PlacementRules>> {
    let affinity = spec.affinity.as_ref();
    let nodes = affinity.and_then(|it| it.node_affinity.as_ref());
    let required = nodes.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_ref());
    let preferred = nodes.and_then(|it| it.preferred_during_scheduling_ignored_during_execution.as_ref());
    let near = affinity.and_then(|it| it.pod_affinity.as_ref());
    let away = affinity.and_then(|it| it.pod_anti_affinity.as_ref());
    let rules = PlacementRules {
        scheduling_gates: spec.scheduling_gates.iter().flatten().map(|gate| name(&gate.name)).collect(),
        never_preempts: spec.preemption_policy.as_deref() == Some("Never"),
        required_node_names: trimmed(required.iter().flat_map(|it| &it.node_selector_terms).map(fields).collect()),
        preferred_node_names: trimmed(preferred.into_iter().flatten().map(|it| fields(&it.preference)).collect()),
        spread: spec.topology_spread_constraints.iter().flatten().map(spread).collect(),
        pod_affinity: terms(
            near.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_deref()),
            near.and_then(|it| it.preferred_during_scheduling_ignored_during_execution.as_deref()),
        ),
        pod_anti_affinity: terms(
            away.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_deref()),
            away.and_then(|it| it.preferred_during_scheduling_ignored_during_execution.as_deref()),
        ),
    };
    (rules != PlacementRules::default()).then(|| Box::new(rules))
}

fn fields(term: &api::NodeSelectorTerm) -> Vec<SelectorRequirement> {
    let fields = term.match_fields.iter().flatten();
    fields.map(|it| requirement(&it.key, &it.operator, it.values.as_deref().unwrap_or_default())).collect()
}

/// Without the empty lists at the end.
fn trimmed(mut lists: Vec<Vec<SelectorRequirement>>) -> Vec<Vec<SelectorRequirement>> {
    let used = lists.iter().rposition(|list| !list.is_empty()).map_or(0, |last| last + 1);
    lists.truncate(used);
    lists
}

fn names(list: Option<&Vec<String>>) -> Vec<Name> {
    list.into_iter().flatten().map(|text| name(text)).collect()
}

fn spread(constraint: &api::TopologySpreadConstraint) -> SpreadConstraint {
    SpreadConstraint {
        max_skew: constraint.max_skew,
        topology_key: name(&constraint.topology_key),
        required: constraint.when_unsatisfiable == "DoNotSchedule",
        selector: constraint.label_selector.as_ref().map(selector),
        min_domains: constraint.min_domains.and_then(|count| u32::try_from(count).ok()).unwrap_or(1).max(1),
        honors_node_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
        honors_node_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
        match_label_keys: names(constraint.match_label_keys.as_ref()),
    }
}

fn terms(required: Option<&[api::PodAffinityTerm]>, preferred: Option<&[api::WeightedPodAffinityTerm]>) -> PodTerms {
    let weighted =
        |it: &api::WeightedPodAffinityTerm| WeightedPodTerm { weight: it.weight, term: term(&it.pod_affinity_term) };
    PodTerms {
        required: required.unwrap_or_default().iter().map(term).collect(),
        preferred: preferred.unwrap_or_default().iter().map(weighted).collect(),
    }
}

fn term(term: &api::PodAffinityTerm) -> PodTerm {
    PodTerm {
        topology_key: name(&term.topology_key),
        selector: term.label_selector.as_ref().map(selector),
        namespaces: names(term.namespaces.as_ref()),
        namespace_selector: term.namespace_selector.as_ref().map(selector),
        match_label_keys: names(term.match_label_keys.as_ref()),
        mismatch_label_keys: names(term.mismatch_label_keys.as_ref()),
    }
}
