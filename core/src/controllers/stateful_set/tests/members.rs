//! Which pods are whose, what holds up scaling, and what is tried again.

use super::*;
use crate::model::{ConditionKind, ResourceQuota, Service};
use crate::quantity::{Format, Quantity};

fn quota(pods: i64) -> ResourceQuota {
    let hard = [("pods".into(), Quantity::from_units(pods, Format::DecimalSi))].into();
    ResourceQuota { meta: Meta::named("default", "few"), hard, ..ResourceQuota::default() }
}

#[test]
fn sets_whose_selectors_overlap_tell_their_pods_by_name() {
    let mut bed = bed();
    bed.create(db(2));
    bed.create(StatefulSet { meta: Meta::named("default", "db-2"), ..db(2) });
    bed.run_for(Span::from_secs(20));
    assert_eq!(images(&bed), "db-0:v1 db-1:v1 db-2-0:v1 db-2-1:v1");
    for name in ["db", "db-2"] {
        let set = bed.get::<StatefulSet>("default", name).unwrap();
        assert_eq!((set.status.replicas, set.status.ready), (2, 2), "{name}");
    }
    delete(&mut bed, Kind::Pod, "db-2-1", Propagation::Background);
    bed.run_for(Span::from_secs(10));
    assert_eq!(images(&bed), "db-0:v1 db-1:v1 db-2-0:v1 db-2-1:v1", "its own set has made it anew");
}

#[test]
fn a_pod_that_somebody_else_manages_keeps_its_name_taken() {
    let mut bed = bed();
    bed.create(Service { meta: Meta::named("default", "someone"), ..Service::default() });
    let owner = crate::controllers::owned_by(Kind::Service, &bed.get::<Service>("default", "someone").unwrap().meta);
    let meta = Meta { labels: Labels::new([("app", "db")]), owners: [owner].into(), ..Meta::named("default", "db-0") };
    bed.create(Pod { meta: meta.into(), ..Pod::default() });
    bed.create(db(1));
    bed.run_for(Span::from_secs(1));
    let pod = bed.get::<Pod>("default", "db-0").unwrap();
    assert_eq!(pod.meta.controller().unwrap().kind, Kind::Service);
    assert_eq!(counts(&bed), [0; 5]);
}

#[test]
fn a_pod_that_ends_holds_up_the_scaling_of_others() {
    let slow = StandIn { start: Span::from_secs(1), ready: Span::from_secs(2), term: Span::from_secs(20) };
    let mut bed = bed().with_stand_in(slow);
    bed.create(db(3));
    bed.run_for(Span::from_secs(15));
    let from = bed.now();
    delete(&mut bed, Kind::Pod, "db-0", Propagation::Background);
    patch(&mut bed, Patch::Replicas(1));
    bed.run_for(Span::from_secs(10));
    assert_eq!(steps_since(&bed, from), "x0", "nothing is scaled in while the first pod ends");
    bed.run_for(Span::from_secs(60));
    assert_eq!(steps_since(&bed, from), "x0 -0 +0 R0 x2 -2 x1 -1", "then from the end, one after the other");
}

#[test]
fn scaling_in_waits_for_each_pod_to_be_gone() {
    let slow = StandIn { start: Span::ZERO, ready: Span::ZERO, term: Span::from_secs(20) };
    for (management, expected) in
        [(PodManagement::OrderedReady, "x2 -2 x1 -1 x0 -0"), (PodManagement::Parallel, "x2 x1 x0 -2 -1 -0")]
    {
        let mut bed = bed().with_stand_in(slow);
        bed.create(StatefulSet { management, ..db(3) });
        bed.run_for(Span::from_secs(15));
        let from = bed.now();
        patch(&mut bed, Patch::Replicas(0));
        bed.run_for(Span::from_secs(70));
        assert_eq!(steps_since(&bed, from), expected);
    }
}

#[test]
fn a_refused_pod_is_tried_again_until_it_is_granted() {
    for management in [PodManagement::OrderedReady, PodManagement::Parallel] {
        let mut bed = bed();
        bed.create(quota(2));
        bed.run_for(Span::from_secs(1));
        bed.create(StatefulSet { management, ..db(4) });
        bed.run_for(Span::from_secs(20));
        assert_eq!(images(&bed), "db-0:v1 db-1:v1");
        assert!(bed.times_said("create Pod db-2 in StatefulSet db failed error") > 0);
        let id = bed.request(Request::Update { object: Object::ResourceQuota(Arc::new(quota(9))), expected: None });
        bed.run_for(Span::from_secs(400));
        assert!(bed.answers[&id].is_ok());
        assert_eq!(images(&bed), "db-0:v1 db-1:v1 db-2:v1 db-3:v1");
        assert_eq!(counts(&bed)[..3], [4, 4, 4]);
    }
}

#[test]
fn scaling_out_goes_through_pods_that_have_failed_at_every_place() {
    for management in [PodManagement::OrderedReady, PodManagement::Parallel] {
        for (victim, phase) in [("db-0", Phase::Failed), ("db-1", Phase::Succeeded), ("db-2", Phase::Failed)] {
            let mut bed = bed();
            bed.create(StatefulSet { management, ..db(3) });
            bed.run_for(Span::from_secs(15));
            let before = bed.get::<Pod>("default", victim).unwrap();
            let mut ended = Pod::clone(&before);
            ended.status.phase = phase;
            ended.status.conditions.set(ConditionKind::Ready, crate::model::Status3::False, "", "", bed.now());
            bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(ended)), expected: None });
            bed.run_for(Span::from_secs(10));
            let after = bed.get::<Pod>("default", victim).expect("it is made anew");
            assert_ne!(after.meta.uid, before.meta.uid);
            assert_eq!(counts(&bed)[..2], [3, 3]);
        }
    }
}

#[test]
fn an_orphan_that_gets_the_right_labels_is_adopted_and_one_that_loses_its_owner_is_taken_back() {
    let mut bed = bed();
    bed.create(db(2));
    bed.run_for(Span::from_secs(15));
    let stripped = |bed: &mut Testbed, labels: Labels| {
        let mut pod = Pod::clone(&bed.get::<Pod>("default", "db-1").unwrap());
        pod.meta.owners = [].into();
        pod.meta.labels = labels;
        bed.request(Request::Update { object: Object::Pod(Arc::new(pod)), expected: None });
        bed.run_for(Span::from_secs(1));
        bed.get::<Pod>("default", "db-1").unwrap().meta.owners.len()
    };
    let labels = bed.get::<Pod>("default", "db-1").unwrap().meta.labels.clone();
    assert_eq!(stripped(&mut bed, labels.clone()), 1, "adopted again at once");
    assert_eq!(stripped(&mut bed, labels.with("app", "other")), 0);
    assert_eq!(counts(&bed)[0], 1, "it counts no more and its name stays taken");
    assert_eq!(stripped(&mut bed, labels), 1, "with the labels it comes back");
    bed.run_for(Span::from_secs(5));
    assert_eq!(counts(&bed)[0], 2);
}

#[test]
fn the_counts_of_the_status_are_written_when_they_differ_or_the_generation_was_not_seen() {
    use crate::controllers::stateful_set::control::to_write;
    let revisions = |current: &str, update: &str, counts: [u32; 4], generation: u32| StatefulSetStatus {
        replicas: counts[0],
        ready: counts[1],
        current: counts[2],
        updated: counts[3],
        available: counts[1],
        observed_generation: generation,
        current_revision: current.into(),
        update_revision: update.into(),
        collision_count: Some(0),
    };
    let with = |status: StatefulSetStatus| StatefulSet { status, ..db(3) };
    let old = revisions("a", "b", [3, 3, 2, 1], 4);
    assert_eq!(to_write(&with(old.clone()), old.clone()), None, "nothing has changed");
    let seen = StatefulSetStatus { observed_generation: 5, ..old.clone() };
    assert_eq!(to_write(&with(old.clone()), seen.clone()), Some(seen.clone()));
    assert_eq!(to_write(&with(seen), old.clone()), None, "an older generation is not written for itself");
    for changed in [[2, 3, 2, 1], [3, 2, 2, 1], [3, 3, 1, 1], [3, 3, 2, 2]] {
        let status = revisions("a", "b", changed, 4);
        assert_eq!(to_write(&with(old.clone()), status.clone()), Some(status));
    }
    let done = to_write(&with(old.clone()), revisions("a", "b", [3, 3, 0, 3], 4)).unwrap();
    assert_eq!((&*done.current_revision, done.current), ("b", 3), "the rollout is complete");
    let on_delete = StatefulSet { strategy: StatefulSetStrategy::OnDelete, ..with(old) };
    let kept = to_write(&on_delete, revisions("a", "b", [3, 3, 0, 3], 4)).unwrap();
    assert_eq!((&*kept.current_revision, kept.current), ("a", 0));
}

#[test]
fn min_ready_holds_back_an_ordered_set_but_not_one_in_parallel_nor_a_deletion_by_hand() {
    let patient = |set: StatefulSet, seconds| {
        let mut bed = bed();
        bed.create(StatefulSet { min_ready: Span::from_secs(30), ..set });
        bed.run_for(Span::from_secs(seconds));
        bed
    };
    // The set is looked at every thirty seconds: the second pod was made at 60 s and has been ready for ten seconds.
    let mut bed = patient(db(2), 73);
    assert_eq!((set(&bed).status.ready, set(&bed).status.available), (2, 1));
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(10));
    assert_eq!(images(&bed), "db-0:v1 db-1:v1", "no update before all are available");
    bed.run_for(Span::from_secs(50));
    assert_eq!(images(&bed), "db-0:v1 db-1:v2");

    let mut bed = patient(db(2), 73);
    patch(&mut bed, Patch::Replicas(0));
    bed.run_for(Span::from_secs(10));
    assert_eq!(images(&bed), "", "the first pod that is not available may go, and then the next");

    let mut bed = patient(parallel(3), 13);
    assert_eq!((set(&bed).status.ready, set(&bed).status.available), (3, 0));
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(10));
    assert_eq!(images(&bed), "db-0:v1 db-1:v1 db-2:v2", "of old pods the last goes, available or not");

    let mut bed = patient(StatefulSet { strategy: StatefulSetStrategy::OnDelete, ..parallel(3) }, 13);
    image(&mut bed, "app:v2");
    delete(&mut bed, Kind::Pod, "db-1", Propagation::Background);
    bed.run_for(Span::from_secs(5));
    assert_eq!(images(&bed), "db-0:v1 db-1:v2 db-2:v1");
}

#[test]
fn in_parallel_a_set_scales_by_many_pods_at_once() {
    for (from, to) in [(3, 30), (10, 1), (3, 0), (0, 20)] {
        let mut bed = bed();
        bed.create(parallel(from));
        bed.run_for(Span::from_secs(10));
        assert_eq!(counts(&bed)[1], from);
        patch(&mut bed, Patch::Replicas(to));
        bed.run_for(Span::from_secs(10));
        assert_eq!((pods(&bed).len() as u32, counts(&bed)[1]), (to, to), "from {from}");
    }
}

#[test]
fn a_partition_and_min_ready_together_replace_the_last_pods_one_by_one_as_they_become_available() {
    let mut bed = bed();
    let strategy = StatefulSetStrategy::RollingUpdate { partition: Some(1) };
    bed.create(StatefulSet { strategy, min_ready: Span::from_secs(20), ..parallel(3) });
    bed.run_for(Span::from_secs(50));
    assert_eq!(set(&bed).status.available, 3);
    let since = bed.now();
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(15));
    assert_eq!(images(&bed), "db-0:v1 db-1:v1 db-2:v2", "the next waits until the new pod is available");
    bed.run_for(Span::from_secs(120));
    assert_eq!(images(&bed), "db-0:v1 db-1:v2 db-2:v2", "the first is below the partition");
    let deleted = bed.facts.iter().filter(|(at, fact)| *at >= since && fact.what == crate::facts::What::Deleted);
    let times: Vec<Time> = deleted.filter(|(_, fact)| fact.subject.kind == Kind::Pod).map(|(at, _)| *at).collect();
    assert!(times.len() == 2 && times[1].since(times[0]) >= Span::from_secs(20), "{times:?}");
}
