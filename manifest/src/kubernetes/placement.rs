//! The rarer placement rules of a pod's spec: gates, node names, topology spread, affinity to other pods.

use k8s_openapi::api::core::v1 as api;
use wavetank_core::id::Name;
use wavetank_core::model::{PlacementRules, PodTerm, PodTerms, SelectorRequirement, SpreadConstraint, WeightedPodTerm};

use super::parts::{name, requirement, selector};

/// The rules of an admitted spec, of a template or of a pod; `None` if it has none.
pub(super) fn rules(spec: &api::PodSpec, of_template: bool) -> Option<Box<PlacementRules>> {
    let node = spec.node_name.as_deref().filter(|node| of_template && !node.is_empty());
    let affinity = spec.affinity.as_ref();
    let nodes = affinity.and_then(|it| it.node_affinity.as_ref());
    let required = nodes.and_then(|it| it.required_during_scheduling_ignored_during_execution.as_ref());
    let preferred = nodes.and_then(|it| it.preferred_during_scheduling_ignored_during_execution.as_ref());
    let near = affinity.and_then(|it| it.pod_affinity.as_ref());
    let away = affinity.and_then(|it| it.pod_anti_affinity.as_ref());
    let rules = PlacementRules {
        template_node: node.map(name),
        scheduling_gates: spec.scheduling_gates.iter().flatten().map(|gate| name(&gate.name)).collect(),
        never_preempts: spec.preemption_policy.as_deref() == Some("Never"),
        says_it_preempts: spec.preemption_policy.as_deref() == Some("PreemptLowerPriority"),
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

pub(crate) fn fields(term: &api::NodeSelectorTerm) -> Vec<SelectorRequirement> {
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

pub(crate) fn spread(constraint: &api::TopologySpreadConstraint) -> SpreadConstraint {
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

#[cfg(test)]
mod tests {
    use wavetank_core::model::{Object, SelectorOperator};

    use crate::kubernetes::{read_admitted, to_object};

    const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  schedulingGates: [{name: example.com/wait}]
  preemptionPolicy: Never
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms:
        - matchExpressions: [{key: disk, operator: Exists}]
        - matchFields: [{key: metadata.name, operator: In, values: [n1]}]
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 7
        podAffinityTerm: {topologyKey: zone, labelSelector: {}, namespaces: [other], mismatchLabelKeys: [app]}
  topologySpreadConstraints:
  - {maxSkew: 2, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, nodeTaintsPolicy: Honor, labelSelector: {}}
  containers: [{name: a, image: web}]
";

    #[test]
    fn the_node_that_a_template_names_is_a_rule_and_a_pod_s_own_node_is_not() {
        let of = |text: &str| to_object(&read_admitted("p.yaml", text).unwrap()[0]).unwrap();
        let pod = "{containers: [{name: a, image: web}], nodeName: n1}";
        let Object::Pod(single) = of(&format!("{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, spec: {pod}}}"))
        else {
            panic!("a pod is read as a pod")
        };
        assert_eq!((single.node.as_deref(), single.spec.rules.is_none()), (Some("n1"), true));
        let set = format!(
            "{{apiVersion: apps/v1, kind: ReplicaSet, metadata: {{name: s}}, spec: {{selector: {{matchLabels: {{a: \
             b}}}}, template: {{metadata: {{labels: {{a: b}}}}, spec: {pod}}}}}}}"
        );
        let Object::ReplicaSet(set) = of(&set) else { panic!("a ReplicaSet is read as one") };
        let rules = set.template.spec.rules.as_ref().expect("the template names a node");
        assert_eq!(rules.template_node.as_deref(), Some("n1"));
    }

    #[test]
    fn rules_are_carried_over_and_pods_without_any_have_no_box() {
        let pod = |text: &str| match to_object(&read_admitted("p.yaml", text).unwrap()[0]).unwrap() {
            Object::Pod(pod) => pod,
            other => panic!("a pod is read as {other:?}"),
        };
        let plain =
            pod("{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: a, image: web}]}}");
        assert_eq!(plain.spec.rules, None);
        let pod = pod(POD);
        let rules = pod.spec.rules.as_ref().expect("the pod has rules");
        assert_eq!((rules.scheduling_gates.len(), rules.never_preempts), (1, true));
        let names: Vec<usize> = rules.required_node_names.iter().map(Vec::len).collect();
        assert_eq!((names, pod.spec.required_node_affinity.len()), (vec![0, 1], 2));
        assert_eq!(rules.required_node_names[1][0].operator, SelectorOperator::In);
        let shunned = &rules.pod_anti_affinity.preferred[0];
        assert_eq!(
            (shunned.weight, &*shunned.term.namespaces[0], shunned.term.namespace_selector.is_none()),
            (7, "other", true)
        );
        assert_eq!(&*shunned.term.mismatch_label_keys[0], "app");
        let spread = &rules.spread[0];
        assert_eq!((spread.max_skew, spread.required, spread.min_domains), (2, false, 1));
        assert!(spread.honors_node_affinity && spread.honors_node_taints);
    }
}
