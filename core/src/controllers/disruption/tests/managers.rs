//! Whose pods a budget counts, as pods, managers and the budget itself come and go.

use super::*;
use crate::api::Patch;
use crate::model::{Deployment, ReplicationController, SelectorOperator, SelectorRequirement, StatefulSet};

const fn at_most(count: u32) -> DisruptionLimit {
    DisruptionLimit::MaxUnavailable(IntOrPercent::Int(count))
}

fn share(percent: u32) -> DisruptionLimit {
    DisruptionLimit::MinAvailable(IntOrPercent::Percent(percent))
}

fn patch(bed: &mut Testbed, kind: Kind, name: &str, patch: Patch) {
    bed.request(Request::Patch { key: ObjectKey::new(kind, "default", name), patch });
    bed.run_for(Span::from_secs(10));
}

#[test]
fn the_scale_of_every_kind_of_manager_counts() {
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1"]);
    bed.add_node(0, "n1", "a", 64_000, 1 << 38);
    bed.create(budget("max", at_most(1)));
    bed.run_for(Span::from_secs(1));
    assert_eq!(status(&bed, "max"), (0, 0, 0, 0), "nothing is expected, nothing may go");
    assert!(bed.events(Kind::PodDisruptionBudget, "max")[0].contains("Normal NoPods"));
    let ReplicaSet { selector, template, .. } = replica_set("rc", 2);
    bed.create(ReplicationController {
        meta: Meta::named("default", "rc"),
        replicas: 2,
        selector,
        template,
        ..ReplicationController::default()
    });
    bed.run_for(Span::from_secs(10));
    assert_eq!(status(&bed, "max"), (1, 2, 1, 2));
    let ReplicaSet { selector, template, .. } = replica_set("sts", 3);
    bed.create(StatefulSet {
        meta: Meta::named("default", "sts"),
        replicas: 3,
        selector,
        template,
        ..StatefulSet::default()
    });
    bed.run_for(Span::from_secs(20));
    assert_eq!(status(&bed, "max"), (1, 5, 4, 5));
    let ReplicaSet { selector, template, .. } = replica_set("deploy", 4);
    bed.create(Deployment {
        meta: Meta::named("default", "deploy"),
        replicas: 4,
        selector,
        template,
        ..Deployment::default()
    });
    bed.run_for(Span::from_secs(10));
    assert_eq!(status(&bed, "max"), (1, 9, 8, 9));
    patch(&mut bed, Kind::Deployment, "deploy", Patch::Replicas(1));
    assert_eq!(status(&bed, "max"), (1, 6, 5, 6));
    patch(&mut bed, Kind::StatefulSet, "sts", Patch::Replicas(0));
    patch(&mut bed, Kind::ReplicationController, "rc", Patch::Replicas(0));
    assert_eq!(status(&bed, "max"), (1, 1, 0, 1));
    patch(&mut bed, Kind::Deployment, "deploy", Patch::Replicas(0));
    assert_eq!(status(&bed, "max"), (0, 0, 0, 0));
}

#[test]
fn the_two_replica_sets_of_a_rollout_count_as_one_deployment() {
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1"]);
    bed.add_node(0, "n1", "a", 64_000, 1 << 38);
    bed.create(budget("b", share(28)));
    let ReplicaSet { selector, template, .. } = replica_set("deploy", 11);
    bed.create(Deployment {
        meta: Meta::named("default", "deploy"),
        replicas: 11,
        selector,
        template,
        ..Deployment::default()
    });
    bed.run_for(Span::from_secs(10));
    assert_eq!(status(&bed, "b"), (7, 11, 4, 11));
    let broken = Patch::Image { container: "app".into(), image: "app:never-ready".into() };
    patch(&mut bed, Kind::Deployment, "deploy", broken);
    let sets = bed.core.newest().all::<ReplicaSet>().filter(|(_, set)| set.replicas > 0).count();
    assert_eq!(sets, 2, "the rollout is stuck half-way");
    let (_, healthy, desired, expected) = status(&bed, "b");
    assert_eq!((healthy, desired, expected), (9, 4, 11), "the surge is not expected");
}

#[test]
fn pods_are_counted_as_they_come_go_and_change() {
    let mut bed = bed_with(4);
    bed.create(budget("b", at_most(1)));
    bed.run_for(Span::from_secs(1));
    assert_eq!(status(&bed, "b"), (1, 4, 3, 4));
    let first = pods(&bed)[0].clone();
    let set_ready = |bed: &mut Testbed, ready: bool| {
        let mut pod = Pod::clone(&bed.get::<Pod>("default", &first).unwrap());
        pod.status.conditions.set(ConditionKind::Ready, ready.into(), "", "", bed.now());
        bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(pod)), expected: None });
        bed.run_for(Span::ZERO);
    };
    set_ready(&mut bed, false);
    assert_eq!(status(&bed, "b"), (0, 3, 3, 4));
    set_ready(&mut bed, true);
    assert_eq!(status(&bed, "b"), (1, 4, 3, 4));
    patch(&mut bed, Kind::Pod, &first, Patch::Label { key: "app".into(), value: Some("other".into()) });
    assert_eq!(status(&bed, "b"), (1, 4, 3, 4), "released, replaced, and no longer guarded");
    bed.create(pod("naked"));
    bed.run_for(Span::from_secs(10));
    assert_eq!(status(&bed, "b"), (2, 5, 3, 4), "a pod that nobody manages is healthy and not expected");
    let key = ObjectKey::new(Kind::Pod, "default", "naked");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_millis(500));
    assert_eq!(status(&bed, "b"), (1, 4, 3, 4), "one that ends is not healthy");
    let mut other = PodDisruptionBudget::clone(&bed.get::<PodDisruptionBudget>("default", "b").unwrap());
    other.selector = Some(Selector::from_labels(Labels::new([("app", "other")])));
    bed.request(Request::Update { object: Object::PodDisruptionBudget(Arc::new(other)), expected: None });
    bed.run_for(Span::from_secs(1));
    assert_eq!(status(&bed, "b"), (0, 1, 0, 0), "with another selector the pods are counted anew");
}

#[test]
fn a_budget_counts_on_after_the_controller_manager_was_restarted_and_after_it_came_again() {
    use crate::id::ProcId;
    use crate::seam::Input;
    let mut bed = bed_with(3);
    bed.create(budget("b", at_most(1)));
    bed.run_for(Span::from_secs(1));
    bed.input(Input::Crashed(ProcId::CONTROLLER_MANAGER));
    bed.input(Input::Started(ProcId::CONTROLLER_MANAGER));
    bed.run_for(Span::from_secs(1));
    patch(&mut bed, Kind::ReplicaSet, "web", Patch::Replicas(5));
    assert_eq!(status(&bed, "b"), (1, 5, 4, 5));
    let key = ObjectKey::new(Kind::PodDisruptionBudget, "default", "b");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(1));
    bed.create(budget("b", at_most(2)));
    bed.run_for(Span::from_secs(1));
    assert_eq!(status(&bed, "b"), (2, 5, 3, 5));
}

#[test]
fn a_mark_is_taken_back_only_if_it_is_old_ours_and_the_pod_stays() {
    // The story; how old the mark is, its reason, whether it holds, whether the pod ends; whether it is taken back.
    let table = [
        ("old", 121, "Preempted", true, false, true),
        ("young", 100, "Preempted", true, false, false),
        ("old, and the pod ends", 121, "Preempted", true, true, false),
        ("old, and the kubelet's", 121, BY_KUBELET, true, false, false),
        ("taken back before", 121, "", false, false, false),
    ];
    for (story, age, reason, holds, ends, expected) in table {
        let mut bed = bed_with(1);
        let name = pods(&bed)[0].clone();
        let mut pod = Pod::clone(&bed.get::<Pod>("default", &name).unwrap());
        let status: Status3 = holds.into();
        pod.status.conditions.set(ConditionKind::DisruptionTarget, status, reason, "", bed.now());
        pod.meta.finalizers = ["example.com/hold".into()].into();
        bed.request(Request::Update { object: Object::Pod(Arc::new(pod.clone())), expected: None });
        bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(pod)), expected: None });
        if ends {
            let key = ObjectKey::new(Kind::Pod, "default", &name);
            bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
        }
        bed.run_for(Span::from_secs(age));
        let after = bed.get::<Pod>("default", &name).unwrap();
        let mark = after.status.conditions.get(ConditionKind::DisruptionTarget).unwrap();
        assert_eq!(mark.status == Status3::False, expected || !holds, "{story}");
        assert_eq!(mark.reason.is_empty(), expected || reason.is_empty(), "{story}");
    }
}

#[test]
fn each_change_of_a_pod_with_two_budgets_wakes_one_of_them_and_a_warning_says_which() {
    let mut bed = bed_with(3);
    bed.create(budget("a", at_most(1)));
    bed.create(budget("b", at_most(1)));
    bed.run_for(Span::from_secs(1));
    assert_eq!((status(&bed, "a"), status(&bed, "b")), ((1, 3, 2, 3), (1, 3, 2, 3)), "each is counted when it comes");
    patch(&mut bed, Kind::ReplicaSet, "web", Patch::Replicas(20));
    bed.run_for(Span::from_secs(20));
    let expected = |name| status(&bed, name).3;
    assert_eq!((expected("a"), expected("b")), (20, 20), "of many changes some wake the one and some the other");
    let said = pods(&bed).iter().map(|name| bed.events(Kind::Pod, name).join(" ")).collect::<Vec<_>>().join(" ");
    assert!(said.contains("Warning MultiplePodDisruptionBudgets"), "{said}");
    for chosen in ["a", "b"] {
        let text = format!("matches multiple PodDisruptionBudgets.  Chose \"{chosen}\" arbitrarily.");
        assert!(said.contains(&text), "{chosen}: {said}");
    }
}

#[test]
fn of_pods_that_nobody_manages_a_budget_warns_if_their_managers_number_matters() {
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1"]);
    bed.add_node(0, "n1", "a", 64_000, 1 << 38);
    bed.create(pod("lone"));
    bed.run_for(Span::from_secs(10));
    let expressions = vec![SelectorRequirement {
        key: "tier".into(),
        operator: SelectorOperator::NotIn,
        values: vec!["a".into(), "b".into()],
    }];
    let mut most = budget("most", at_most(1));
    most.selector = Some(Selector { match_labels: labels(), match_expressions: expressions });
    bed.create(most);
    bed.create(budget("least", DisruptionLimit::MinAvailable(IntOrPercent::Int(1))));
    bed.run_for(Span::from_secs(1));
    assert_eq!(status(&bed, "most"), (0, 1, 0, 0));
    let said = bed.events(Kind::PodDisruptionBudget, "most");
    assert!(said[0].contains("Warning UnmanagedPods"), "{said:?}");
    let selector = "(selector: &LabelSelector{MatchLabels:map[string]string{app: web,},MatchExpressions:\
                    []LabelSelectorRequirement{LabelSelectorRequirement{Key:tier,Operator:NotIn,Values:[a b],},},})";
    assert!(said[0].contains(selector), "{said:?}");
    assert!(bed.events(Kind::PodDisruptionBudget, "least").is_empty(), "its number is its own");
}

#[test]
fn a_replica_set_stands_for_itself_when_its_deployment_is_gone() {
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1"]);
    bed.add_node(0, "n1", "a", 64_000, 1 << 38);
    bed.create(budget("max", at_most(1)));
    let ReplicaSet { selector, template, .. } = replica_set("deploy", 4);
    let meta = Meta::named("default", "deploy");
    bed.create(Deployment { meta, replicas: 4, selector, template, ..Deployment::default() });
    bed.run_for(Span::from_secs(20));
    assert_eq!(status(&bed, "max"), (1, 4, 3, 4));
    // The ReplicaSet cannot be collected, so its pods stay.
    bed.refuse(1_000, |request| matches!(request, Request::Delete { key, .. } if key.kind == Kind::ReplicaSet));
    let key = ObjectKey::new(Kind::Deployment, "default", "deploy");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(1));
    let pod = bed.core.newest().all::<Pod>().next().expect("the pods stay").1.meta.name.clone();
    let touch = Patch::Annotation { key: "touched".into(), value: Some("yes".into()) };
    bed.request(Request::Patch { key: ObjectKey::new(Kind::Pod, "default", &pod), patch: touch });
    bed.run_for(Span::from_secs(1));
    assert_eq!(status(&bed, "max"), (1, 4, 3, 4), "{:?}", bed.events(Kind::PodDisruptionBudget, "max"));
    assert_eq!(bed.times_said("found no controllers"), 0);
}
