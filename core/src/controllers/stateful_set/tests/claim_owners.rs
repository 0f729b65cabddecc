//! Whom the claims of a set's pods belong to, and what is said of it.

use super::claims::{owned, with_claims};
use super::*;
use crate::controllers::owned_by;
use crate::model::PersistentVolumeClaim;

#[test]
fn the_claims_of_pods_that_go_belong_to_whom_the_policy_says_also_of_pods_that_were_orphans() {
    for (with_set, with_pod, owner) in [
        (false, false, ["", ""]),
        (true, false, ["StatefulSet/db", "StatefulSet/db"]),
        (false, true, ["Pod/db-0", "Pod/db-1"]),
        (true, true, ["Pod/db-0", "Pod/db-1"]),
    ] {
        let mut bed = bed();
        bed.create(with_claims(2, with_set, with_pod));
        bed.run_for(Span::from_secs(15));
        let mut orphan = Pod::clone(&bed.get::<Pod>("default", "db-1").unwrap());
        orphan.meta.owners = [].into();
        bed.request(Request::Update { object: Object::Pod(Arc::new(orphan)), expected: None });
        let owner_of_set = owned_by(Kind::StatefulSet, &set(&bed).meta);
        let labels = Labels::new([("app", "db")]);
        let meta = Meta { owners: [owner_of_set].into(), labels, ..Meta::named("default", "xdb-2") };
        bed.create(Pod { meta: meta.into(), node: Some("n1".into()), ..Pod::default() });
        bed.run_for(Span::from_secs(3));
        assert!(
            bed.get::<Pod>("default", "xdb-2").unwrap().meta.owners.is_empty(),
            "a pod of another name is released"
        );
        patch(&mut bed, Patch::Replicas(0));
        bed.run_for(Span::from_millis(500));
        let expected = format!("data-db-0({}) data-db-1({})", owner[0], owner[1]);
        assert_eq!(owned(&bed), expected, "with the set: {with_set}, with the pod: {with_pod}");
    }
}

#[test]
fn a_refusal_of_a_claim_s_new_owners_is_said_of_its_pod_unless_that_is_to_go() {
    let is_claim = |object: &Object| object.kind() == Kind::PersistentVolumeClaim;
    let writes_claim =
        move |it: &Request| matches!(it, Request::Update { object, expected: Some(_) } if is_claim(object));
    let mut bed = bed();
    bed.refuse(1, writes_claim);
    bed.create(with_claims(2, true, false));
    bed.run_for(Span::from_secs(15));
    let said = "update Pod db-0 in StatefulSet db failed error: could not update claim data-db-0 for delete policy \
                ownerRefs: ";
    assert_eq!((bed.times_said(said), bed.refusals_left()), (1, 0));
    let events = bed.events(Kind::StatefulSet, "db");
    assert!(events.iter().any(|it| it.contains(&format!("Warning FailedUpdate x1: {said}"))), "{events:?}");
    let is_said = |pod: &str| events.iter().any(|it| it.contains(&format!("create Pod {pod} in StatefulSet")));
    assert_eq!([is_said("db-0"), is_said("db-1")], [false, true], "what failed was the pod's making: {events:?}");
    assert_eq!(owned(&bed), "data-db-0(StatefulSet/db) data-db-1(StatefulSet/db)", "it is tried again");
    let retention = ClaimRetention { deleted_with_set: false, deleted_with_pod: true };
    assert!(update(&mut bed, |set| set.claim_retention = retention).is_ok());
    bed.run_for(Span::from_secs(15));
    let before = bed.times_said("could not update claim");
    bed.refuse(1, writes_claim);
    patch(&mut bed, Patch::Replicas(1));
    bed.run_for(Span::from_secs(15));
    assert_eq!((bed.times_said("could not update claim"), bed.refusals_left()), (before, 0));
    assert_eq!(owned(&bed), "data-db-0()", "the second has gone with its pod");
}

#[test]
fn a_pod_is_said_to_be_made_only_when_its_claims_have_their_owners() {
    let writes_claim =
        |request: &Request| matches!(request, Request::Update { object: Object::PersistentVolumeClaim(_), .. });
    for management in [PodManagement::OrderedReady, PodManagement::Parallel] {
        let mut bed = bed();
        let both = StatefulSet { management, ..with_claims(2, true, false) };
        // A claim that is there already, and one that is made.
        let mut there = PersistentVolumeClaim { meta: Meta::named("default", "data-db-0"), ..Default::default() };
        there.meta.labels = Labels::new([("app", "db")]);
        bed.create(there);
        bed.refuse(1, writes_claim);
        bed.create(both);
        bed.run_for(Span::from_secs(15));
        assert_eq!(bed.refusals_left(), 0);
        assert_eq!(owned(&bed), "data-db-0(StatefulSet/db) data-db-1(StatefulSet/db)");
        let said = bed.events(Kind::StatefulSet, "db").join("\n");
        let failed =
            "FailedUpdate x1: update Pod db-0 in StatefulSet db failed error: could not update claim data-db-0";
        assert!(said.contains(failed), "{said}");
        assert!(!said.contains("create Pod db-0"), "{said}");
        assert!(said.contains("SuccessfulCreate x1: create Pod db-1 in StatefulSet db successful"), "{said}");
    }
}

#[test]
fn an_adopted_pod_whose_claims_change_hands_stays_adopted() {
    let mut bed = bed();
    bed.create(with_claims(1, true, false));
    bed.run_for(Span::from_secs(15));
    delete(&mut bed, Kind::StatefulSet, "db", Propagation::Orphan);
    bed.run_for(Span::from_secs(5));
    bed.create(with_claims(1, true, false));
    let owned = |bed: &Testbed| bed.get::<Pod>("default", "db-0").is_some_and(|pod| !pod.meta.owners.is_empty());
    let mut look = || {
        bed.run_for(Span::from_millis(1));
        owned(&bed)
    };
    let seen: Vec<bool> = (0..400).map(|_| look()).collect();
    assert!(seen.is_sorted() && seen.ends_with(&[true]), "it is adopted once and not lost again");
}

#[test]
fn a_claim_that_was_written_since_it_was_seen_keeps_what_was_written() {
    let mut bed = bed();
    bed.create(with_claims(1, true, false));
    bed.run_for(Span::from_secs(15));
    let (row, seen) = bed.core.newest().find::<PersistentVolumeClaim>(&"default".into(), &"data-db-0".into()).unwrap();
    let mut stale = PersistentVolumeClaim::clone(seen);
    let version = bed.core.newest().version_of::<PersistentVolumeClaim>(row);
    let mut bound = stale.clone();
    bound.spec.volume = "v".into();
    let write = |claim: PersistentVolumeClaim, expected| Request::Update {
        object: Object::PersistentVolumeClaim(Arc::new(claim)),
        expected,
    };
    assert_eq!(bed.ask(write(bound, version)), "");
    stale.meta.labels = Labels::new([("late", "yes")]);
    // What it would change of the claim's spec is not looked at: it is not the newest version.
    let refusal = bed.ask(write(stale, version));
    assert!(refusal.contains("the object has been modified"), "{refusal}");
}
