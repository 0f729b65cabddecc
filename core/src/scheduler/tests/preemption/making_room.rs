//! Stories of preemption on the test bed: what becomes of the pods that make room and of those that wait for it.

use crate::api::{Patch, Propagation, Refusal, Request};
use crate::config::Config;
use crate::digest::Shared;
use crate::model::{
    ConditionKind, Kind, Labels, Meta, ObjectKey, Phase, PlacementRules, Pod, PodSpec, PodTemplate, PriorityClass,
    ReplicaSet, Selector, Status3,
};
use crate::scheduler::tests::{failures, node_of};
use crate::testbed::{FakeRuntime, StandIn, Testbed};
use crate::time::Span;

fn pod(name: &str, priority: i32, cpu_milli: i64) -> Pod {
    let mut pod = crate::scheduler::tests::pod(name, cpu_milli);
    let mut spec = (*pod.spec).clone();
    spec.priority = priority;
    pod.spec = Shared::new(spec);
    pod
}

/// One node of 1000m; pods take three seconds to end.
fn bed() -> Testbed {
    let stand_in = StandIn { start: Span::from_secs(1), ready: Span::from_secs(2), term: Span::from_secs(3) };
    let mut bed = Testbed::new(Config::default()).with_stand_in(stand_in);
    bed.add_node(0, "n1", "a", 1_000, 1 << 30);
    bed.run_for(Span::from_secs(2));
    bed
}

fn nominated(bed: &Testbed, name: &str) -> Option<String> {
    bed.get::<Pod>("default", name).and_then(|pod| pod.status.nominated_node.as_ref().map(ToString::to_string))
}

#[test]
fn a_victim_is_marked_and_deleted_and_the_pod_takes_its_place_when_it_has_gone() {
    let mut bed = bed();
    bed.create(pod("first", 1, 500));
    bed.run_for(Span::from_secs(5));
    bed.create(pod("second", 1, 500));
    bed.run_for(Span::from_secs(5));
    bed.create(pod("high", 9, 400));
    bed.run_for(Span::from_secs(1));
    assert_eq!(nominated(&bed, "high").as_deref(), Some("n1"), "{:#?}", bed.told());
    assert_eq!(node_of(&bed, "high"), None, "the victim has yet to end");
    let victim = bed.get::<Pod>("default", "second").expect("it takes three seconds to end");
    assert!(victim.meta.is_terminating(), "the younger one goes");
    let mark = victim.status.conditions.get(ConditionKind::DisruptionTarget).expect("it is marked");
    assert_eq!((mark.status, &*mark.reason), (Status3::True, "PreemptionByScheduler"));
    assert_eq!(&*mark.message, "default-scheduler: preempting to accommodate a higher priority pod");
    let uid = bed.get::<Pod>("default", "high").unwrap().meta.uid;
    let said = bed.events(Kind::Pod, "second");
    let expected = format!("Normal Preempted x1: Preempted by pod {uid} on node n1");
    assert!(said.iter().any(|line| line.ends_with(&expected)), "{said:#?}");
    bed.run_for(Span::from_secs(5));
    assert_eq!(node_of(&bed, "high").as_deref(), Some("n1"), "{:#?}", bed.told());
    assert_eq!(node_of(&bed, "first").as_deref(), Some("n1"), "who need not go stays");
    let failed = failures(&bed, "high");
    assert_eq!(failed.len(), 1, "it is not tried before there is room: {failed:#?}");
    assert!(failed[0].ends_with("0/1 nodes are available: 1 Insufficient cpu."), "{failed:#?}");
    assert_eq!(nominated(&bed, "high").as_deref(), Some("n1"), "a bound pod still says where it was nominated to");
}

#[test]
fn who_makes_room_is_told_when_it_is_marked_and_not_when_it_has_just_gone() {
    let mut bed = bed();
    bed.create(pod("low", 1, 900));
    bed.run_for(Span::from_secs(5));
    let key = ObjectKey::new(Kind::Pod, "default", "low");
    let marks = |request: &Request| matches!(request, Request::Patch { patch: Patch::PodCondition { .. }, .. });
    bed.refuse_with(1, Refusal::NotFound(key), marks);
    bed.create(pod("high", 9, 900));
    bed.run_for(Span::from_secs(8));
    let told = bed.told();
    assert_eq!(bed.refusals_left(), 0);
    assert_eq!(told.iter().filter(|line| line.contains("Preempting")).count(), 1, "{told:#?}");
    assert_eq!(node_of(&bed, "high").as_deref(), Some("n1"), "{told:#?}");
}

#[test]
fn all_victims_go_before_the_pod_is_tried() {
    let mut bed = bed();
    for name in ["a", "b", "c"] {
        bed.create(pod(name, 1, 300));
    }
    bed.run_for(Span::from_secs(5));
    bed.create(pod("high", 9, 900));
    bed.run_for(Span::from_secs(10));
    assert_eq!(node_of(&bed, "high").as_deref(), Some("n1"), "{:#?}", bed.told());
    for name in ["a", "b", "c"] {
        let said = bed.events(Kind::Pod, name);
        assert_eq!(said.iter().filter(|line| line.contains("Preempted")).count(), 1, "{said:#?}");
    }
    // The deletions are seen one after the other, and each could help.
    assert!(failures(&bed, "high").len() <= 3, "{:#?}", failures(&bed, "high"));
}

#[test]
fn a_pod_that_never_preempts_waits_at_its_place_in_the_queue() {
    let mut bed = bed();
    bed.create(pod("low", 1, 900));
    bed.run_for(Span::from_secs(5));
    let patient = PriorityClass { value: 9, never_preempts: true, ..PriorityClass::default() };
    bed.create(PriorityClass { meta: Meta::named("", "patient"), ..patient });
    let mut never = pod("never", 9, 600);
    never.spec = Shared::new(PodSpec { priority_class: "patient".into(), ..(*never.spec).clone() });
    bed.create(never);
    bed.create(pod("later", 1, 600));
    bed.run_for(Span::from_secs(5));
    assert_eq!(node_of(&bed, "low").as_deref(), Some("n1"));
    let failed = failures(&bed, "never");
    let told =
        "1 Insufficient cpu. no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.";
    assert!(failed.len() == 1 && failed[0].ends_with(told), "{failed:#?}");
    let (key, uid) = (ObjectKey::new(Kind::Pod, "default", "low"), None);
    bed.request(Request::Delete { key, uid, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(8));
    assert_eq!(node_of(&bed, "never").as_deref(), Some("n1"), "it is tried before pods of lower priority");
    assert_eq!(node_of(&bed, "later"), None);
}

#[test]
fn while_victims_end_their_room_is_kept_and_nobody_else_is_sent_away() {
    let mut bed = bed();
    bed.create(pod("low", 1, 500));
    bed.create(pod("other", 1, 100));
    bed.create(pod("gone", 2, 50));
    bed.run_for(Span::from_secs(5));
    bed.create(pod("high", 9, 800));
    bed.run_for(Span::from_millis(500));
    assert_eq!(nominated(&bed, "high").as_deref(), Some("n1"), "{:#?}", bed.told());
    // 350m are free now, but not beside the pod that waits.
    bed.create(pod("small", 5, 300));
    bed.run_for(Span::from_millis(500));
    assert_eq!(node_of(&bed, "small"), None, "{:#?}", bed.told());
    let failed = failures(&bed, "small");
    assert!(failed[0].contains("0/1 nodes are available: 1 Insufficient cpu."), "{failed:#?}");
    // A pod that goes at once makes the pod be tried again, in vain: while it only waits for another's end, no more go.
    let (key, uid, grace) = (ObjectKey::new(Kind::Pod, "default", "gone"), None, Some(Span::ZERO));
    bed.request(Request::Delete { key, uid, grace, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(1));
    let waits = "preemption: not eligible due to a terminating pod on the nominated node.";
    assert!(failures(&bed, "high").iter().any(|line| line.ends_with(waits)), "{:#?}", failures(&bed, "high"));
    assert_eq!(nominated(&bed, "high").as_deref(), Some("n1"), "it stays nominated");
    bed.run_for(Span::from_secs(8));
    assert_eq!(node_of(&bed, "high").as_deref(), Some("n1"), "{:#?}", bed.told());
    assert_eq!(node_of(&bed, "other").as_deref(), Some("n1"));
}

#[test]
fn a_pod_of_higher_priority_takes_the_room_over_and_the_lower_one_is_nominated_no_more() {
    let mut bed = bed();
    bed.create(pod("low", 1, 900));
    bed.run_for(Span::from_secs(5));
    bed.create(pod("middle", 5, 700));
    bed.run_for(Span::from_millis(500));
    assert_eq!(nominated(&bed, "middle").as_deref(), Some("n1"), "{:#?}", bed.told());
    bed.create(pod("high", 9, 800));
    bed.run_for(Span::from_millis(500));
    assert_eq!(
        (nominated(&bed, "high").as_deref(), nominated(&bed, "middle")),
        (Some("n1"), None),
        "{:#?}",
        bed.told()
    );
    bed.run_for(Span::from_secs(10));
    assert_eq!(node_of(&bed, "high").as_deref(), Some("n1"), "{:#?}", bed.told());
    assert_eq!((node_of(&bed, "middle"), nominated(&bed, "middle")), (None, None));
    let last = failures(&bed, "middle").pop().expect("it was tried again");
    assert!(last.ends_with("1 No preemption victims found for incoming pod."), "{last}");
}

#[test]
fn when_a_nominated_pod_is_deleted_its_room_is_free_for_others() {
    let mut bed = bed();
    bed.create(pod("low", 1, 900));
    bed.run_for(Span::from_secs(5));
    bed.create(pod("high", 9, 800));
    bed.create(pod("small", 5, 300));
    bed.run_for(Span::from_millis(500));
    let (key, uid) = (ObjectKey::new(Kind::Pod, "default", "high"), None);
    bed.request(Request::Delete { key, uid, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(8));
    assert_eq!(bed.get::<Pod>("default", "high"), None);
    assert_eq!(node_of(&bed, "small").as_deref(), Some("n1"), "{:#?}", bed.told());
}

#[test]
fn when_a_nominated_pod_is_bound_those_that_left_it_the_room_are_tried_again() {
    let mut bed = bed();
    bed.create(pod("low", 1, 900));
    bed.run_for(Span::from_secs(5));
    bed.create(pod("high", 9, 800));
    bed.create(pod("small", 5, 300));
    bed.create(pod("above", 20, 900));
    bed.run_for(Span::from_millis(500));
    bed.run_for(Span::from_secs(5));
    assert_eq!(node_of(&bed, "above").as_deref(), Some("n1"), "{:#?}", bed.told());
    let told = bed.told();
    let bound = told.iter().position(|line| line.contains("pods/default/above Scheduled")).expect("it is told");
    let again = told[bound..].iter().filter(|line| line.contains("pods/default/small FailedScheduling")).count();
    assert_eq!(again, 1, "{told:#?}");
}

#[test]
fn a_set_that_names_its_node_sends_pods_there_again_and_the_kubelet_refuses_them() {
    let mut bed = Testbed::new(Config::default()).with_runtime(FakeRuntime::new());
    bed.start_kubelet(0, "n1", 1_000, 1 << 30);
    bed.run_for(Span::from_secs(2));
    let labels = Labels::new([("app", "low")]);
    let rules = Some(Box::new(PlacementRules { template_node: Some("n1".into()), ..PlacementRules::default() }));
    let spec = Shared::new(PodSpec { rules, ..PodSpec::clone(&pod("low", 1, 700).spec) });
    bed.create(ReplicaSet {
        meta: Meta::named("default", "low"),
        replicas: 1,
        selector: Selector::from_labels(labels.clone()),
        template: PodTemplate { labels, spec, ..PodTemplate::default() },
        ..ReplicaSet::default()
    });
    bed.run_for(Span::from_secs(5));
    let low = |bed: &Testbed| -> Vec<(Phase, String)> {
        let pods = bed.core.newest().all::<Pod>().filter(|(_, pod)| pod.meta.labels.get("app").is_some());
        pods.map(|(_, pod)| (pod.status.phase, pod.status.reason.to_string())).collect()
    };
    assert_eq!(low(&bed), [(Phase::Running, String::new())], "{:#?}", bed.told());
    bed.create(pod("high", 9, 700));
    bed.run_for(Span::from_secs(10));
    assert_eq!(node_of(&bed, "high").as_deref(), Some("n1"), "{:#?}", bed.told());
    let high = bed.get::<Pod>("default", "high").expect("it stays");
    assert_eq!(high.status.phase, Phase::Running);
    let tried = low(&bed);
    let refused = tried.iter().filter(|it| **it == (Phase::Failed, "OutOfcpu".to_owned())).count();
    assert!(refused > 0 && !tried.iter().any(|(phase, _)| *phase == Phase::Running), "{tried:?}");
    assert_eq!(bed.times_said("Preempted by pod"), 1, "who is refused need not be sent away");
}
