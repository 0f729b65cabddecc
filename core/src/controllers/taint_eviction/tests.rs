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
