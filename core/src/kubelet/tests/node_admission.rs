//! Which pods a kubelet refuses for what its node is.

use super::*;
use crate::api::Patch;
use crate::model::{SelectorOperator, SelectorRequirement, Taint, TaintEffect, Toleration, TolerationOperator};

fn patch(bed: &mut Testbed, patch: Patch) {
    let key = ObjectKey::new(Kind::Node, "", "n1");
    bed.request(Request::Patch { key, patch });
    bed.run_for(Span::from_secs(1));
}

fn taint(effect: TaintEffect) -> Taint {
    Taint { key: "gpu".into(), value: "yes".into(), effect, added_at: None }
}

/// The reason and message of a pod that came to the node.
fn outcome(bed: &mut Testbed, name: &str, spec: PodSpec) -> (String, String) {
    create(bed, name, spec);
    bed.run_for(Span::from_secs(5));
    let status = pod(bed, name).status;
    assert_eq!(status.phase == Phase::Failed, !status.reason.is_empty());
    (status.reason.to_string(), status.message.to_string())
}

#[test]
fn a_pod_that_wants_another_node_is_refused_by_the_kubelet_that_it_was_given_to() {
    let wants = |key: &str, value: &str| {
        let values = vec![value.into()];
        let asked = SelectorRequirement { key: key.into(), operator: SelectorOperator::In, values };
        PodSpec { required_node_affinity: vec![vec![asked]], ..spec(&["app"]) }
    };
    let mut bed = bed(FakeRuntime::new());
    let refused = "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
    let refused = ("NodeAffinity".to_owned(), refused.to_owned());
    let zone = "topology.kubernetes.io/zone";
    assert_eq!(outcome(&mut bed, "here", wants(zone, "a")), Default::default());
    assert_eq!(outcome(&mut bed, "there", wants(zone, "b")), refused);
    assert_eq!(outcome(&mut bed, "early", wants("disk", "fast")), refused);
    patch(&mut bed, Patch::Label { key: "disk".into(), value: Some("fast".into()) });
    assert_eq!(outcome(&mut bed, "late", wants("disk", "fast")), Default::default(), "it has seen the label");
    let events = bed.events(Kind::Pod, "there");
    let said = "Warning NodeAffinity x1: Predicate NodeAffinity failed: node(s) didn't match Pod's node \
                affinity/selector";
    assert!(events.iter().any(|line| line.ends_with(said)), "{events:?}");
}

#[test]
fn taints_that_evict_keep_a_pod_out_unless_it_bears_them() {
    use TaintEffect::{NoExecute, NoSchedule, PreferNoSchedule};
    let operator = TolerationOperator::Equal;
    let bears = Toleration { key: "gpu".into(), operator, value: "yes".into(), effect: None, seconds: None };
    for (effect, tolerations, refused) in [
        (NoExecute, vec![], true),
        (NoExecute, vec![bears.clone()], false),
        (NoSchedule, vec![], false),
        (PreferNoSchedule, vec![], false),
    ] {
        let mut bed = bed(FakeRuntime::new());
        bed.run_for(Span::from_secs(1));
        patch(&mut bed, Patch::AddTaint(taint(effect)));
        create(&mut bed, "web", PodSpec { tolerations, ..spec(&["app"]) });
        bed.run_for(Span::from_secs(5));
        let said = bed.events(Kind::Pod, "web").join("\n");
        let why = "Warning TaintToleration x1: Predicate TaintToleration failed: node(s) had taints that the pod \
                   didn't tolerate";
        assert_eq!(said.contains(why), refused, "{effect:?}: {said}");
        assert_eq!(said.contains("Started"), !refused, "{effect:?}: {said}");
    }
}

#[test]
fn a_static_pod_runs_whatever_the_node_s_taints() {
    let mut bed = Testbed::new(at_once()).with_runtime(FakeRuntime::new());
    let mut own = Pod { meta: Meta::named("default", "proxy").into(), ..Pod::default() };
    own.spec = Shared::new(spec(&["app"]));
    bed.static_pods.push(own.into());
    bed.start_kubelet(0, "n1", 4_000, 1 << 32);
    bed.run_for(Span::from_secs(1));
    patch(&mut bed, Patch::AddTaint(taint(TaintEffect::NoExecute)));
    bed.input(Input::Crashed(kubelet()));
    bed.runtime.as_mut().unwrap().pods.clear();
    bed.input(Input::Started(kubelet()));
    bed.run_for(Span::from_secs(10));
    assert_eq!(bed.runtime.as_ref().unwrap().running(), 1);
}

#[test]
fn a_kubelet_that_comes_back_looks_at_its_node_before_it_refuses_a_pod_for_it() {
    let mut bed = bed(FakeRuntime::new());
    bed.run_for(Span::from_secs(1));
    patch(&mut bed, Patch::Label { key: "disk".into(), value: Some("fast".into()) });
    let values = vec!["fast".into()];
    let asked = SelectorRequirement { key: "disk".into(), operator: SelectorOperator::In, values };
    create(&mut bed, "web", PodSpec { required_node_affinity: vec![vec![asked]], ..spec(&["app"]) });
    bed.run_for(Span::from_secs(10));
    bed.input(Input::Crashed(kubelet()));
    bed.runtime.as_mut().unwrap().pods.clear();
    bed.run_for(Span::from_secs(1));
    bed.input(Input::Started(kubelet()));
    bed.run_for(Span::from_secs(10));
    assert!(pod(&bed, "web").is_ready(), "{:?}", pod(&bed, "web").status);
    assert_eq!(pod(&bed, "web").status.containers[0].restarts, 1);
}
