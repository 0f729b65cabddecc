//! On which nodes a DaemonSet's pods should run, and what its pods are made from.
//!
//! Source: `NodeShouldRunDaemonPod`, pkg/controller/daemon/daemon_controller.go, and
//! pkg/controller/daemon/util/daemonset_util.go (v1.34.1).

use crate::api::admission::{NOT_READY, UNREACHABLE};
use crate::controllers::revisions::REVISION_LABEL;
use crate::digest::Shared;
use crate::id::Name;
use crate::model::{
    DaemonSet, Node, PlacementRules, PodSpec, PodTemplate, TaintEffect, Toleration, TolerationOperator,
};
use crate::scheduler::node_fits_affinity;
use crate::store::View;

/// The label of a pod with the generation of the template that it was made from.
pub(super) const GENERATION_LABEL: &str = "pod-template-generation";

/// Taints that every pod of a DaemonSet endures, in the order in which they are added.
const ENDURED: [(&str, TaintEffect); 6] = [
    (NOT_READY, TaintEffect::NoExecute),
    (UNREACHABLE, TaintEffect::NoExecute),
    ("node.kubernetes.io/disk-pressure", TaintEffect::NoSchedule),
    ("node.kubernetes.io/memory-pressure", TaintEffect::NoSchedule),
    ("node.kubernetes.io/pid-pressure", TaintEffect::NoSchedule),
    ("node.kubernetes.io/unschedulable", TaintEffect::NoSchedule),
];

/// The taint that pods in their node's network endure as well.
const NETWORK_UNAVAILABLE: &str = "node.kubernetes.io/network-unavailable";

/// One node as a DaemonSet sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct NodeFit {
    /// The node's name.
    pub(super) name: Name,
    /// Whether a pod should be made for it.
    pub(super) should_run: bool,
    /// Whether a pod that is there may stay.
    pub(super) may_stay: bool,
}

/// All nodes, by name.
pub(super) fn nodes(view: View<'_>, set: &DaemonSet) -> Vec<NodeFit> {
    let tolerations = tolerations(&set.template.spec);
    view.all::<Node>().map(|(_, node)| fit(set, &tolerations, node)).collect()
}

/// One node.
pub(super) fn node(set: &DaemonSet, node: &Node) -> NodeFit {
    fit(set, &tolerations(&set.template.spec), node)
}

fn fit(set: &DaemonSet, tolerations: &[Toleration], node: &Node) -> NodeFit {
    let endures = |effects: &[TaintEffect]| {
        let taints = node.spec.taints.iter().filter(|taint| effects.contains(&taint.effect));
        taints.into_iter().all(|taint| tolerations.iter().any(|toleration| toleration.tolerates(taint)))
    };
    let named = set.template.spec.rules.as_ref().and_then(|rules| rules.template_node.as_ref());
    let suits = named.is_none_or(|named| *named == node.meta.name) && node_fits_affinity(&set.template.spec, node);
    NodeFit {
        name: node.meta.name.clone(),
        should_run: suits && endures(&[TaintEffect::NoExecute, TaintEffect::NoSchedule]),
        may_stay: suits && endures(&[TaintEffect::NoExecute]),
    }
}

/// What the set's pods are made from. Each pod is pinned to its node, which replaces what the template requires of
/// nodes.
pub(super) fn pod_template(set: &DaemonSet, hash: &Name) -> PodTemplate {
    let mut spec = PodSpec::clone(&set.template.spec);
    spec.tolerations = tolerations(&spec);
    spec.required_node_affinity.clear();
    spec.rules = spec.rules.map(|rules| Box::new(PlacementRules { required_node_names: Vec::new(), ..*rules }));
    spec.rules = spec.rules.filter(|rules| **rules != PlacementRules::default());
    let labels = set.template.labels.with(GENERATION_LABEL, set.template_generation.to_string());
    PodTemplate {
        labels: labels.with(REVISION_LABEL, hash.clone()),
        annotations: set.template.annotations.clone(),
        spec: Shared::new(spec),
    }
}

/// A template's tolerations and those that every pod of a DaemonSet has.
///
/// Source: `AddOrUpdateDaemonPodTolerations`.
fn tolerations(spec: &PodSpec) -> Vec<Toleration> {
    let mut tolerations = spec.tolerations.clone();
    let network = spec.host_network.then_some((NETWORK_UNAVAILABLE, TaintEffect::NoSchedule));
    for (key, effect) in ENDURED.into_iter().chain(network) {
        let operator = TolerationOperator::Exists;
        let added = Toleration { key: key.into(), operator, value: "".into(), effect: Some(effect), seconds: None };
        let mut alike = tolerations.iter_mut().filter(|it| Toleration { seconds: None, ..(*it).clone() } == added);
        match alike.next() {
            Some(own) => *own = added,
            None => tolerations.push(added),
        }
    }
    tolerations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Labels, Meta, PodTerm, PodTerms, PreferredNodeTerm, SelectorOperator, SelectorRequirement, Taint,
    };

    fn agent(edit: impl FnOnce(&mut PodSpec)) -> DaemonSet {
        let mut spec = PodSpec::default();
        edit(&mut spec);
        let template = PodTemplate { spec: Shared::new(spec), ..PodTemplate::default() };
        DaemonSet { meta: Meta::named("default", "agent"), template, ..DaemonSet::default() }
    }

    fn node_with(edit: impl FnOnce(&mut Node)) -> Node {
        let mut node = Node { meta: Meta::named("", "n1"), ..Node::default() };
        node.meta.labels = Labels::new([("disk", "ssd")]);
        edit(&mut node);
        node
    }

    fn tainted(key: &str, effect: TaintEffect) -> Node {
        let taint = Taint { key: key.into(), value: "".into(), effect, added_at: None };
        node_with(|node| node.spec.taints.push(taint))
    }

    /// Whether a pod should be made, and whether one may stay.
    fn verdict(set: &DaemonSet, on: &Node) -> (bool, bool) {
        let fit = node(set, on);
        (fit.should_run, fit.may_stay)
    }

    #[test]
    fn a_taint_keeps_new_pods_away_and_only_no_execute_drives_pods_out() {
        let plain = agent(|_| {});
        assert_eq!(verdict(&plain, &node_with(|_| {})), (true, true));
        assert_eq!(verdict(&plain, &tainted("dedicated", TaintEffect::NoSchedule)), (false, true));
        assert_eq!(verdict(&plain, &tainted("dedicated", TaintEffect::NoExecute)), (false, false));
        assert_eq!(verdict(&plain, &tainted("dedicated", TaintEffect::PreferNoSchedule)), (true, true));
    }

    #[test]
    fn a_pod_is_pinned_to_its_node_whatever_its_template_requires_of_nodes() {
        let requirement = |key: &str, value: &str| {
            vec![SelectorRequirement { key: key.into(), operator: SelectorOperator::In, values: vec![value.into()] }]
        };
        let by_label = || requirement("disk", "ssd");
        let by_name = || requirement("metadata.name", "n1");
        let preferred = || PreferredNodeTerm { weight: 7, requirements: by_label() };
        // The template's alternatives by label and by name, and whether it prefers nodes too.
        type Alternatives = Vec<Vec<SelectorRequirement>>;
        let table: [(&str, Alternatives, Alternatives, bool); 8] = [
            ("nothing", vec![], vec![], false),
            ("preferences only", vec![], vec![], true),
            ("a label", vec![by_label()], vec![vec![]], false),
            ("a name", vec![vec![]], vec![by_name()], false),
            ("a label and a name", vec![by_label()], vec![by_name()], false),
            ("two labels", vec![by_label(), requirement("disk", "hdd")], vec![vec![], vec![]], false),
            ("a label or a name", vec![by_label(), vec![]], vec![vec![], by_name()], false),
            ("a label beside preferences", vec![by_label()], vec![vec![]], true),
        ];
        for (story, labels, names, prefers) in table {
            let set = agent(|spec| {
                spec.required_node_affinity = labels;
                spec.preferred_node_affinity = if prefers { vec![preferred()] } else { Vec::new() };
                let anti = PodTerms { required: vec![PodTerm::default()], preferred: Vec::new() };
                let rules =
                    PlacementRules { required_node_names: names, pod_anti_affinity: anti, ..PlacementRules::default() };
                spec.rules = Some(Box::new(rules));
            });
            let made = pod_template(&set, &"5c8".into()).spec;
            assert!(made.required_node_affinity.is_empty(), "{story}");
            let rules = made.rules.as_ref().expect("what it asks of other pods stays");
            assert!(rules.required_node_names.is_empty(), "{story}");
            assert_eq!(rules.pod_anti_affinity.required.len(), 1, "{story}");
            assert_eq!(made.preferred_node_affinity.len(), usize::from(prefers), "{story}");
        }
    }

    #[test]
    fn the_taints_of_a_node_in_trouble_are_endured() {
        let plain = agent(|_| {});
        for (key, effect) in ENDURED {
            assert_eq!(verdict(&plain, &tainted(key, effect)), (true, true), "{key}");
        }
        let critical = agent(|spec| spec.priority = 2_000_001_000);
        assert_eq!(
            verdict(&critical, &tainted("dedicated", TaintEffect::NoSchedule)),
            (false, true),
            "rank is no help"
        );
        assert_eq!(verdict(&plain, &tainted(NOT_READY, TaintEffect::NoSchedule)), (false, true), "a joining node");
        let network = tainted(NETWORK_UNAVAILABLE, TaintEffect::NoSchedule);
        assert_eq!(verdict(&plain, &network), (false, true));
        assert_eq!(verdict(&agent(|spec| spec.host_network = true), &network), (true, true));
    }

    #[test]
    fn selector_and_affinity_say_which_nodes_are_meant_at_all() {
        let selecting = agent(|spec| spec.node_selector = Labels::new([("disk", "ssd")]));
        assert_eq!(verdict(&selecting, &node_with(|_| {})), (true, true));
        assert_eq!(verdict(&selecting, &node_with(|node| node.meta.labels = Labels::default())), (false, false));
        let required = |name: &str| {
            agent(|spec| {
                let values = vec![name.into()];
                let by_name =
                    SelectorRequirement { key: "metadata.name".into(), operator: SelectorOperator::In, values };
                spec.required_node_affinity = vec![Vec::new()];
                let rules = PlacementRules { required_node_names: vec![vec![by_name]], ..PlacementRules::default() };
                spec.rules = Some(Box::new(rules));
            })
        };
        assert_eq!(verdict(&required("n1"), &node_with(|_| {})), (true, true));
        assert_eq!(verdict(&required("n2"), &node_with(|_| {})), (false, false));
        let made = pod_template(&required("n1"), &"5c8".into());
        assert!(made.spec.rules.is_none() && made.spec.required_node_affinity.is_empty(), "the pin replaces them");
    }

    #[test]
    fn a_toleration_of_the_template_for_a_while_becomes_one_for_ever() {
        let patient = Toleration {
            key: NOT_READY.into(),
            operator: TolerationOperator::Exists,
            value: "".into(),
            effect: Some(TaintEffect::NoExecute),
            seconds: Some(30),
        };
        let other = Toleration { key: "dedicated".into(), ..patient.clone() };
        let set = agent(|spec| spec.tolerations = vec![patient, other.clone()]);
        let made = pod_template(&set, &"5c8".into());
        let tolerations = &made.spec.tolerations;
        assert_eq!((tolerations.len(), tolerations[0].seconds, &tolerations[1]), (7, None, &other));
    }
}
