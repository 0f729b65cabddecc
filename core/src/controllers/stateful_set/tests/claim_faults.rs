//! Claims that cannot be made or are going, and the pods that need them.

use super::claims::with_claims;
use super::*;
use crate::model::{ClaimSpec, ClaimTemplate, PersistentVolumeClaim};

fn two_claims(replicas: u32) -> StatefulSet {
    let mut set = with_claims(replicas, false, false);
    let logs = ClaimTemplate { name: "logs".into(), spec: ClaimSpec::default(), ..ClaimTemplate::default() };
    set.claim_templates.push(logs);
    set
}

fn makes_claim(request: &Request, name: &str) -> bool {
    matches!(request, Request::Create(Object::PersistentVolumeClaim(claim)) if *claim.meta.name == *name)
}

/// Pods and claims in the order in which they were made.
fn made(bed: &Testbed) -> String {
    let created = bed.facts.iter().filter(|(_, fact)| matches!(fact.what, What::Created { .. }));
    let made = created.filter(|(_, fact)| [Kind::Pod, Kind::PersistentVolumeClaim].contains(&fact.subject.kind));
    made.map(|(_, fact)| fact.subject.name.to_string()).collect::<Vec<_>>().join(" ")
}

/// The warnings about the set, without times and counts.
fn warnings(bed: &Testbed) -> Vec<String> {
    let all = bed.events(Kind::StatefulSet, "db").into_iter().filter(|line| line.contains(" Warning "));
    let mut all: Vec<String> = all.filter_map(|line| Some(line.split_once(": ")?.1.to_owned())).collect();
    all.sort();
    all
}

#[test]
fn a_claim_that_is_refused_is_told_and_so_is_its_pod_while_other_claims_are_made() {
    let mut bed = bed();
    bed.refuse(1, |request| makes_claim(request, "data-db-0"));
    bed.create(two_claims(1));
    bed.run_for(Span::from_secs(5));
    assert_eq!(made(&bed), "logs-db-0 data-db-0 db-0");
    let why = "Internal error occurred: the disk is full";
    let expected = [
        format!("create Claim data-db-0 for Pod db-0 in StatefulSet db failed error: {why}"),
        format!("create Pod db-0 in StatefulSet db failed error: failed to create PVC data-db-0: {why}"),
    ];
    assert_eq!(warnings(&bed), expected);
}

#[test]
fn in_parallel_only_the_pods_whose_claims_are_refused_wait() {
    let mut bed = bed();
    bed.refuse(1, |request| makes_claim(request, "data-db-1"));
    bed.create(StatefulSet { management: PodManagement::Parallel, ..with_claims(4, false, false) });
    bed.run_for(Span::from_secs(5));
    // One pod comes first, then two, of which one has no claim, and no more until the next sync.
    assert_eq!(made(&bed), "data-db-0 db-0 data-db-2 db-2 data-db-1 db-1 data-db-3 db-3");
    assert_eq!(bed.times_said("create Pod db-1 in StatefulSet db failed error: failed to create PVC data-db-1"), 1);
}

#[test]
fn in_parallel_no_pod_of_a_later_batch_comes_after_a_refusal() {
    let mut bed = bed();
    bed.refuse(1, |request| matches!(request, Request::Create(Object::Pod(pod)) if *pod.meta.name == *"db-0"));
    bed.create(StatefulSet { management: PodManagement::Parallel, ..with_claims(3, false, false) });
    bed.run_for(Span::from_secs(5));
    assert_eq!(made(&bed), "data-db-0 db-0 data-db-1 data-db-2 db-1 db-2");
    // The same where the claims of the later pods are going, of which nothing is said then.
    for name in ["db-0", "db-1", "db-2"] {
        let_go(&mut bed, &format!("data-{name}"));
    }
    bed.request(Request::Patch {
        key: key(Kind::PersistentVolumeClaim, "data-db-0"),
        patch: Patch::Finalizer { name: "example.com/hold".into(), present: false },
    });
    bed.refuse(1_000, |request| makes_claim(request, "data-db-0"));
    for name in ["db-0", "db-1", "db-2"] {
        delete(&mut bed, Kind::Pod, name, Propagation::Background);
    }
    bed.run_for(Span::from_secs(60));
    assert!(bed.times_said("create Pod db-0 in StatefulSet db failed error: failed to create PVC data-db-0") > 0);
    assert_eq!(bed.times_said("pvc data-db-1 is being deleted"), 0, "{:?}", warnings(&bed));
}

/// Holds a claim, and has it deleted.
fn let_go(bed: &mut Testbed, name: &str) {
    let hold = Patch::Finalizer { name: "example.com/hold".into(), present: true };
    bed.request(Request::Patch { key: key(Kind::PersistentVolumeClaim, name), patch: hold });
    delete(bed, Kind::PersistentVolumeClaim, name, Propagation::Background);
    bed.run_for(Span::from_millis(1));
}

#[test]
fn a_pod_is_told_of_all_its_claims_that_are_going() {
    let mut bed = bed();
    bed.create(two_claims(1));
    bed.run_for(Span::from_secs(10));
    let_go(&mut bed, "data-db-0");
    let_go(&mut bed, "logs-db-0");
    delete(&mut bed, Kind::Pod, "db-0", Propagation::Background);
    bed.run_for(Span::from_secs(40));
    let gone = "[pvc data-db-0 is being deleted, pvc logs-db-0 is being deleted]";
    assert_eq!(warnings(&bed), [format!("create Pod db-0 in StatefulSet db failed error: {gone}")]);
    assert_eq!(pods(&bed).len(), 0);
}

#[test]
fn of_a_pod_that_waits_for_a_node_while_its_claim_is_going_nothing_is_said() {
    let mut bed = Testbed::new(Config::default());
    bed.create(two_claims(1));
    bed.run_for(Span::from_secs(1));
    assert_eq!(bed.get::<Pod>("default", "db-0").unwrap().status.phase, Phase::Pending);
    let_go(&mut bed, "data-db-0");
    delete(&mut bed, Kind::PersistentVolumeClaim, "logs-db-0", Propagation::Background);
    let touch = Patch::Annotation { key: "touched".into(), value: Some("yes".into()) };
    bed.request(Request::Patch { key: key(Kind::Pod, "db-0"), patch: touch });
    bed.run_for(Span::from_secs(5));
    assert_eq!(warnings(&bed), Vec::<String>::new());
    let logs = bed.get::<PersistentVolumeClaim>("default", "logs-db-0").expect("it is made anew all the same");
    assert!(!logs.meta.is_terminating());
}
