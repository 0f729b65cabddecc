//! Stories of pods on tainted nodes.

use super::{Endurance, endurance};
use crate::api::{Patch, Request};
use crate::config::Config;
use crate::digest::Shared;
use crate::model::{
    Container, Kind, Meta, ObjectKey, Pod, PodSpec, Taint, TaintEffect, Toleration, TolerationOperator,
};
use crate::testbed::Testbed;
use crate::time::{Span, Time};

fn taint(key: &str) -> Taint {
    Taint { key: key.into(), value: "".into(), effect: TaintEffect::NoExecute, added_at: None }
}

fn toleration(key: &str, seconds: Option<i64>) -> Toleration {
    Toleration { key: key.into(), operator: TolerationOperator::Exists, value: "".into(), effect: None, seconds }
}

fn cluster() -> Testbed {
    let mut bed = Testbed::new(Config::default());
    bed.add_node(0, "n0", "a", 4_000, 1 << 30);
    bed.add_node(1, "n1", "a", 4_000, 1 << 30);
    bed
}

fn add_pod(bed: &mut Testbed, name: &str, tolerations: Vec<Toleration>) {
    let containers = vec![Container { name: "app".into(), ..Container::default() }];
    let spec = PodSpec { containers, tolerations, ..PodSpec::default() };
    let meta = Meta::named("default", name);
    bed.create(Pod { meta: meta.into(), spec: Shared::new(spec), node: Some("n0".into()), ..Pod::default() });
}

fn patch(bed: &mut Testbed, patch: Patch) {
    bed.request(Request::Patch { key: ObjectKey::new(Kind::Node, "", "n0"), patch });
    bed.run_for(Span::ZERO);
}

fn evicted(bed: &Testbed, pod: &str) -> Vec<Time> {
    let facts = bed.facts.iter().filter(|(_, fact)| fact.what.reason() == "TaintManagerEviction");
    facts.filter(|(_, fact)| *fact.subject.name == *pod).map(|(at, _)| *at).collect()
}

#[test]
fn the_shortest_toleration_in_use_counts_and_one_taint_too_many_ends_it() {
    let tolerations = [toleration("x", Some(30)), toleration("y", Some(10)), toleration("z", None)];
    let (x, y, z) = (taint("x"), taint("y"), taint("z"));
    let of = |taints: &[Taint]| endurance(&tolerations, taints);
    assert_eq!(of(&[x.clone(), y.clone(), z.clone()]), (Endurance::For(Span::from_secs(10)), "y".into()));
    assert_eq!(of(&[x.clone(), z.clone()]).0, Endurance::For(Span::from_secs(30)));
    assert_eq!(of(&[z]).0, Endurance::Always);
    assert_eq!(of(&[x.clone(), taint("other")]), (Endurance::None, "other".into()));
    assert_eq!(endurance(&[toleration("x", Some(-5))], &[x]).0, Endurance::For(Span::ZERO));
}

#[test]
fn pods_leave_at_once_later_or_never_as_their_tolerations_say() {
    let mut bed = cluster();
    add_pod(&mut bed, "never", vec![toleration("x", None)]);
    add_pod(&mut bed, "later", vec![toleration("x", Some(25))]);
    add_pod(&mut bed, "at-once", vec![]);
    bed.run_until(Time::from_secs(10));
    patch(&mut bed, Patch::AddTaint(taint("x")));
    bed.run_until(Time::from_secs(20));
    add_pod(&mut bed, "late-comer", vec![toleration("x", Some(25))]);
    bed.run_until(Time::from_secs(100));
    assert_eq!(evicted(&bed, "at-once"), [Time::from_secs(10)], "{:#?}", bed.told());
    assert_eq!(evicted(&bed, "later"), [Time::from_secs(35)]);
    assert_eq!(evicted(&bed, "late-comer"), [Time::from_secs(45)], "its time runs from its own arrival");
    assert_eq!(evicted(&bed, "never"), []);
    assert!(bed.get::<Pod>("default", "later").is_none(), "the kubelet has ended it");
    let requested = bed.facts.iter().position(|(_, fact)| fact.what.reason() == "DeletionRequested");
    assert!(requested.is_some(), "a pod is deleted with its own grace, not by force");
}

#[test]
fn a_taint_that_goes_in_time_cancels_and_a_second_taint_does_not_restart_the_clock() {
    let mut bed = cluster();
    add_pod(&mut bed, "spared", vec![toleration("x", Some(20))]);
    bed.run_until(Time::from_secs(10));
    patch(&mut bed, Patch::AddTaint(taint("x")));
    bed.run_until(Time::from_secs(25));
    patch(&mut bed, Patch::RemoveTaint { key: "x".into(), effect: None });
    bed.run_until(Time::from_secs(100));
    assert_eq!(evicted(&bed, "spared"), [], "{:#?}", bed.told());
    add_pod(&mut bed, "both", vec![toleration("x", Some(30)), toleration("y", Some(60))]);
    patch(&mut bed, Patch::AddTaint(taint("x")));
    bed.run_until(Time::from_secs(115));
    patch(&mut bed, Patch::AddTaint(taint("y")));
    patch(&mut bed, Patch::RemoveTaint { key: "x".into(), effect: None });
    bed.run_until(Time::from_secs(200));
    assert_eq!(evicted(&bed, "both"), [Time::from_secs(130)], "{:#?}", bed.told());
}

#[test]
fn a_pod_whose_deletion_was_granted_is_not_planned_for_again_and_nothing_of_it_is_cancelled() {
    let mut bed = cluster();
    bed.silence(0);
    add_pod(&mut bed, "stuck", vec![toleration("x", Some(20)), toleration("y", Some(20))]);
    add_pod(&mut bed, "quick", vec![]);
    bed.run_until(Time::from_secs(10));
    patch(&mut bed, Patch::AddTaint(taint("x")));
    bed.run_until(Time::from_secs(40));
    assert!(bed.get::<Pod>("default", "stuck").unwrap().meta.is_terminating(), "its node does not answer");
    // Its node's taints change, and go in the end.
    patch(&mut bed, Patch::AddTaint(taint("y")));
    bed.run_until(Time::from_secs(100));
    patch(&mut bed, Patch::RemoveTaint { key: "x".into(), effect: None });
    bed.run_until(Time::from_secs(105));
    patch(&mut bed, Patch::RemoveTaint { key: "y".into(), effect: None });
    bed.run_until(Time::from_secs(110));
    let marked = |pod: &str| bed.times_said(&format!("Marking for deletion Pod default/{pod}"));
    assert_eq!((evicted(&bed, "stuck"), marked("stuck")), (vec![Time::from_secs(30)], 1));
    assert_eq!(bed.times_said("Cancelling deletion of Pod default/stuck"), 0);
    assert_eq!(bed.times_said("Cancelling deletion of Pod default/quick"), 0);
    assert!(marked("quick") > 0);
}

#[test]
fn evictions_keep_to_twenty_requests_per_second_and_each_pod_takes_three() {
    let mut bed = cluster();
    for pod in 0..60 {
        add_pod(&mut bed, &format!("p{pod}"), vec![]);
    }
    bed.run_until(Time::from_secs(20));
    patch(&mut bed, Patch::AddTaint(taint("x")));
    bed.run_until(Time::from_secs(40));
    let requested: Vec<Time> =
        bed.facts.iter().filter(|(_, fact)| fact.what.reason() == "DeletionRequested").map(|(at, _)| *at).collect();
    assert_eq!(requested.len(), 60);
    // 180 requests, 30 of them at once: the last one leaves 150 / 20 = 7.5 s later.
    assert_eq!(*requested.last().unwrap(), Time::from_millis(27_500), "{requested:?}");
}

/// Tolerations by key, for some seconds or for ever.
type Tolerations = &'static [(&'static str, Option<i64>)];

/// When the pod `p` of node `n0` is evicted, in seconds; `[]` is never.
fn evicted_at(bed: &Testbed) -> Vec<u64> {
    evicted(bed, "p").iter().map(|at| at.0 / 1_000_000_000).collect()
}

#[test]
fn a_pod_that_comes_to_a_tainted_node_stays_as_long_as_its_tolerations_say() {
    // Tolerations in words: `x` for ever, `x/30` for 30 s. The node has the taint `x` before the pod comes at 10 s.
    let table: [(Tolerations, &[u64]); 6] = [
        (&[], &[10]),
        (&[("x", Some(30))], &[40]),
        (&[("x", None)], &[]),
        (&[("y", None)], &[10]),
        (&[("x", Some(0))], &[10]),
        (&[("x", Some(-7))], &[10]),
    ];
    for (words, expected) in table {
        let mut bed = cluster();
        patch(&mut bed, Patch::AddTaint(taint("x")));
        bed.run_until(Time::from_secs(10));
        let tolerations = words.iter().map(|(key, seconds)| toleration(key, *seconds)).collect();
        add_pod(&mut bed, "p", tolerations);
        bed.run_until(Time::from_secs(100));
        assert_eq!(evicted_at(&bed), expected, "{words:?}");
    }
}

#[test]
fn a_pod_whose_node_is_tainted_stays_as_long_as_its_tolerations_say() {
    let table: [(Tolerations, &[&str], &[u64]); 6] = [
        (&[], &["x"], &[10]),
        (&[("x", Some(30))], &["x"], &[40]),
        (&[("x", Some(30))], &["x", "y"], &[10]),
        (&[("x", Some(5)), ("y", Some(30))], &["x", "y"], &[15]),
        (&[("x", None), ("y", Some(30))], &["x", "y"], &[40]),
        (&[("x", None), ("y", None)], &["x", "y"], &[]),
    ];
    for (words, taints, expected) in table {
        let mut bed = cluster();
        let tolerations = words.iter().map(|(key, seconds)| toleration(key, *seconds)).collect();
        add_pod(&mut bed, "p", tolerations);
        bed.run_until(Time::from_secs(10));
        let seen = bed.get::<crate::model::Node>("", "n0").unwrap().spec.taints.clone();
        let wanted = taints.iter().map(|key| taint(key)).collect();
        patch(&mut bed, Patch::Taints { seen, wanted });
        bed.run_until(Time::from_secs(100));
        assert_eq!(evicted_at(&bed), expected, "{words:?} under {taints:?}");
    }
}

#[test]
fn other_effects_and_pods_without_a_node_do_not_matter() {
    let mut bed = cluster();
    add_pod(&mut bed, "p", vec![]);
    for effect in [TaintEffect::NoSchedule, TaintEffect::PreferNoSchedule] {
        patch(&mut bed, Patch::AddTaint(Taint { effect, ..taint("x") }));
    }
    bed.run_until(Time::from_secs(50));
    assert_eq!(evicted_at(&bed), [0_u64; 0]);
}

#[test]
fn a_planned_deletion_stands_whatever_is_tolerated_later_and_goes_with_its_pod() {
    let mut bed = cluster();
    add_pod(&mut bed, "p", vec![toleration("x", Some(30))]);
    patch(&mut bed, Patch::AddTaint(taint("x")));
    bed.run_until(Time::from_secs(20));
    let mut longer = Pod::clone(&bed.get::<Pod>("default", "p").unwrap());
    let tolerations = vec![toleration("x", Some(300))];
    longer.spec = Shared::new(PodSpec { tolerations, ..PodSpec::clone(&longer.spec) });
    bed.request(Request::Update { object: crate::model::Object::Pod(std::sync::Arc::new(longer)), expected: None });
    bed.run_until(Time::from_secs(100));
    assert_eq!(evicted_at(&bed), [30], "a longer toleration comes too late");

    let mut bed = cluster();
    add_pod(&mut bed, "p", vec![toleration("x", Some(30))]);
    patch(&mut bed, Patch::AddTaint(taint("x")));
    bed.run_until(Time::from_secs(20));
    let key = ObjectKey::new(Kind::Pod, "default", "p");
    let (uid, grace, propagation) = (None, Some(Span::ZERO), crate::api::Propagation::Background);
    bed.request(Request::Delete { key, uid, grace, propagation });
    bed.run_until(Time::from_secs(25));
    add_pod(&mut bed, "p", vec![toleration("x", Some(30))]);
    bed.run_until(Time::from_secs(100));
    assert_eq!(evicted_at(&bed), [55], "the next pod of that name has its own time");
}

#[test]
fn a_toleration_that_is_taken_away_ends_the_pod() {
    let mut bed = cluster();
    add_pod(&mut bed, "p", vec![toleration("x", None)]);
    patch(&mut bed, Patch::AddTaint(taint("x")));
    bed.run_until(Time::from_secs(20));
    let mut strict = Pod::clone(&bed.get::<Pod>("default", "p").unwrap());
    strict.spec = Shared::new(PodSpec { tolerations: vec![], ..PodSpec::clone(&strict.spec) });
    bed.request(Request::Update { object: crate::model::Object::Pod(std::sync::Arc::new(strict)), expected: None });
    bed.run_until(Time::from_secs(50));
    assert_eq!(evicted_at(&bed), [20]);
}

#[test]
fn pods_of_one_node_go_each_at_its_own_time() {
    let mut bed = cluster();
    for (name, seconds) in [("one", Some(1)), ("two", Some(12)), ("three", None)] {
        add_pod(&mut bed, name, vec![toleration("x", seconds)]);
    }
    bed.run_until(Time::from_secs(10));
    patch(&mut bed, Patch::AddTaint(taint("x")));
    bed.run_until(Time::from_secs(15));
    assert_eq!(evicted(&bed, "one"), [Time::from_secs(11)]);
    patch(&mut bed, Patch::AddTaint(taint("y")));
    bed.run_until(Time::from_secs(60));
    assert_eq!(evicted(&bed, "two"), [Time::from_secs(15)], "a second taint that nobody tolerates ends the rest");
    assert_eq!(evicted(&bed, "three"), [Time::from_secs(15)]);
}

#[test]
fn a_controller_manager_that_starts_finds_tainted_nodes_and_their_pods() {
    use crate::id::ProcId;
    use crate::seam::Input;
    let mut bed = cluster();
    add_pod(&mut bed, "p", vec![toleration("x", Some(30))]);
    bed.input(Input::Crashed(ProcId::CONTROLLER_MANAGER));
    patch(&mut bed, Patch::AddTaint(taint("x")));
    bed.run_until(Time::from_secs(20));
    bed.input(Input::Started(ProcId::CONTROLLER_MANAGER));
    bed.run_until(Time::from_secs(100));
    assert_eq!(evicted_at(&bed), [50], "its time runs from when the new controller saw it");
}

#[test]
fn a_pod_that_comes_later_to_a_tainted_node_goes_too_and_one_of_a_node_that_is_gone_does_not() {
    let mut bed = cluster();
    patch(&mut bed, Patch::AddTaint(taint("x")));
    add_pod(&mut bed, "first", vec![]);
    bed.run_for(Span::from_secs(5));
    assert_eq!(evicted(&bed, "first").len(), 1);
    add_pod(&mut bed, "second", vec![]);
    bed.run_for(Span::from_secs(5));
    assert_eq!(evicted(&bed, "second").len(), 1);
    let key = ObjectKey::new(Kind::Node, "", "n0");
    let propagation = crate::api::Propagation::Background;
    bed.request(Request::Delete { key, uid: None, grace: None, propagation });
    bed.run_for(Span::from_secs(1));
    add_pod(&mut bed, "third", vec![]);
    bed.run_for(Span::from_secs(5));
    assert_eq!(evicted(&bed, "third"), [], "nothing is known of a node that is gone");
}
