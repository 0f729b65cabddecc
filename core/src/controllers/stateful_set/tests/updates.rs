//! Updates: rolling, partitioned, on deletion, back again, and the history of revisions.

use super::*;

#[test]
fn a_broken_update_is_not_mended_by_going_back_until_the_pod_is_deleted_by_hand() {
    let mut bed = bed();
    bed.create(db(3));
    bed.run_for(Span::from_secs(15));
    image(&mut bed, BROKEN);
    bed.run_for(Span::from_secs(20));
    assert_eq!(images(&bed), "db-0:v1 db-1:v1 db-2:never-ready");
    let since = bed.now();
    image(&mut bed, "app:v1");
    bed.run_for(Span::from_secs(30));
    // The known rule: pod by pod the controller waits for the broken pod, which will never be ready.
    assert_eq!(steps_since(&bed, since), "");
    delete(&mut bed, Kind::Pod, "db-2", Propagation::Background);
    bed.run_for(Span::from_secs(15));
    assert_eq!(images(&bed), "db-0:v1 db-1:v1 db-2:v1");
    assert_eq!(counts(&bed), [3, 3, 3, 3, 3]);
}

#[test]
fn a_partition_keeps_the_first_pods_even_when_they_are_made_anew() {
    let mut bed = bed();
    let strategy = |partition| StatefulSetStrategy::RollingUpdate { partition: Some(partition) };
    bed.create(StatefulSet { strategy: strategy(3), ..db(5) });
    bed.run_for(Span::from_secs(20));
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(20));
    assert_eq!(images(&bed), "db-0:v1 db-1:v1 db-2:v1 db-3:v2 db-4:v2");
    assert_eq!(counts(&bed), [5, 5, 5, 3, 2]);
    delete(&mut bed, Kind::Pod, "db-1", Propagation::Background);
    bed.run_for(Span::from_secs(10));
    // Recorded: sts-partition: the pod comes back as it was.
    assert_eq!(images(&bed), "db-0:v1 db-1:v1 db-2:v1 db-3:v2 db-4:v2");
    let status = set(&bed).status.clone();
    assert_ne!(status.current_revision, status.update_revision);
    assert!(update(&mut bed, |set| set.strategy = strategy(0)).is_ok());
    bed.run_for(Span::from_secs(30));
    assert_eq!(images(&bed), "db-0:v2 db-1:v2 db-2:v2 db-3:v2 db-4:v2");
    let status = set(&bed).status.clone();
    assert_eq!((status.current, &status.current_revision), (5, &status.update_revision));
}

#[test]
fn on_delete_waits_for_somebody_to_delete_the_pods() {
    let mut bed = bed();
    bed.create(StatefulSet { strategy: StatefulSetStrategy::OnDelete, ..db(2) });
    bed.run_for(Span::from_secs(10));
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(20));
    assert_eq!(images(&bed), "db-0:v1 db-1:v1");
    delete(&mut bed, Kind::Pod, "db-0", Propagation::Background);
    bed.run_for(Span::from_secs(10));
    assert_eq!(images(&bed), "db-0:v2 db-1:v1");
    let status = set(&bed).status.clone();
    assert_ne!(status.current_revision, status.update_revision, "only rolling updates are ever complete");
}

#[test]
fn without_a_partition_pods_are_made_of_the_current_revision_up_to_its_count() {
    let mut bed = bed();
    bed.create(StatefulSet { strategy: StatefulSetStrategy::RollingUpdate { partition: None }, ..db(3) });
    bed.run_for(Span::from_secs(15));
    image(&mut bed, BROKEN);
    bed.run_for(Span::from_secs(5));
    assert_eq!(images(&bed), "db-0:v1 db-1:v1 db-2:never-ready");
    delete(&mut bed, Kind::Pod, "db-0", Propagation::Background);
    bed.run_for(Span::from_secs(10));
    assert_eq!(images(&bed), "db-0:v1 db-1:v1 db-2:never-ready");
}

#[test]
fn the_history_is_kept_to_its_limit_and_an_old_template_becomes_the_newest_revision() {
    let mut bed = bed();
    bed.create(StatefulSet { revision_history_limit: Some(1), ..db(1) });
    for version in 1..=4 {
        image(&mut bed, &format!("app:v{version}"));
        bed.run_for(Span::from_secs(10));
    }
    let numbers = |bed: &Testbed| revisions(bed).iter().map(|it| it.revision).collect::<Vec<_>>();
    assert_eq!(numbers(&bed), [3, 4], "one beside the live one");
    let third = revisions(&bed)[0].meta.name.clone();
    image(&mut bed, "app:v3");
    bed.run_for(Span::from_secs(10));
    assert_eq!(numbers(&bed), [4, 5]);
    assert_eq!(revisions(&bed)[1].meta.name, third, "a rollback makes no revision of its own");
    assert_eq!(set(&bed).status.current_revision, third);
}

#[test]
fn a_revision_name_that_is_taken_counts_as_a_collision() {
    let mut bed = bed();
    let mut wanted = db(1);
    wanted.meta.uid = crate::id::Uid::new(1);
    let hash = revisions::template_hash(&wanted.template, Some(0));
    let taken = ControllerRevision {
        meta: Meta::named("default", &format!("db-{hash}")),
        revision: 1,
        template: template("app:other"),
    };
    bed.create(taken);
    bed.create(db(1));
    bed.run_for(Span::from_secs(10));
    assert_eq!(counts(&bed), [1, 1, 1, 1, 1]);
    assert_eq!(revisions(&bed).len(), 2);
    assert_eq!(set(&bed).status.collision_count, Some(1));
}

#[test]
fn a_restart_replaces_all_pods_of_the_same_image() {
    let mut bed = bed();
    bed.create(db(2));
    bed.run_for(Span::from_secs(10));
    let since = bed.now();
    patch(&mut bed, Patch::Restart);
    bed.run_for(Span::from_secs(20));
    assert_eq!(steps_since(&bed, since), "x1 -1 +1 R1 x0 -0 +0 R0");
}

#[test]
fn a_rollout_can_be_undone_to_the_template_before() {
    let mut bed = bed();
    bed.create(db(2));
    bed.run_for(Span::from_secs(10));
    patch(&mut bed, Patch::Undo);
    bed.run_for(Span::ZERO);
    let refused = bed.answers.values().last().unwrap().clone().unwrap_err();
    assert!(refused.to_string().ends_with("no last revision to roll back to"), "{refused}");
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(20));
    assert_eq!(images(&bed), "db-0:v2 db-1:v2");
    patch(&mut bed, Patch::Undo);
    bed.run_for(Span::from_secs(20));
    assert_eq!(images(&bed), "db-0:v1 db-1:v1");
    assert_eq!(revisions(&bed).iter().map(|it| it.revision).collect::<Vec<_>>(), [2, 3]);
}

/// Runs until nothing has happened for a minute and checks at every tenth of a second what must hold throughout.
fn settle(bed: &mut Testbed, ordered: bool) {
    for _ in 0..1_200 {
        bed.run_for(Span::from_millis(100));
        let pods = pods(bed);
        let mut ordinals: Vec<u32> = pods.iter().filter_map(|pod| identity::ordinal(pod)).collect();
        ordinals.dedup();
        assert_eq!(ordinals.len(), pods.len(), "each name is there once");
        if ordered {
            let coming = pods.iter().filter(|pod| !pod.is_ready() && !pod.meta.is_terminating()).count();
            let going = pods.iter().filter(|pod| pod.meta.is_terminating()).count();
            assert!(coming + going <= 1, "one pod at a time: {:?}", images(bed));
        }
    }
}

fn all(image: &str, count: u32) -> String {
    (0..count).map(|ordinal| format!("db-{ordinal}:{image}")).collect::<Vec<_>>().join(" ")
}

/// All six ways in which a set is updated while it is scaled: in order or in parallel, from 3, 3 and 5 to 3, 5 and 3.
fn six_ways(strategy: StatefulSetStrategy, story: fn(&mut Testbed, u32, u32, bool)) {
    for management in [PodManagement::OrderedReady, PodManagement::Parallel] {
        for (from, to) in [(3, 3), (3, 5), (5, 3)] {
            let mut bed = bed();
            bed.create(StatefulSet { management, strategy, ..db(from) });
            let ordered = management == PodManagement::OrderedReady;
            settle(&mut bed, ordered);
            assert_eq!(images(&bed), all("v1", from));
            story(&mut bed, from, to, ordered);
        }
    }
}

/// Changes image and size at once, as one write.
fn update_to(bed: &mut Testbed, image: &str, replicas: u32) {
    let answer = update(bed, |set| {
        set.template = template(image);
        set.replicas = replicas;
    });
    assert!(answer.is_ok(), "{answer:?}");
}

#[test]
fn a_rolling_update_reaches_every_pod_whether_the_set_grows_or_shrinks_meanwhile() {
    six_ways(StatefulSetStrategy::default(), |bed, _, to, ordered| {
        update_to(bed, "app:v2", to);
        settle(bed, ordered);
        assert_eq!(images(bed), all("v2", to));
        assert_eq!(counts(bed), [to; 5]);
        let status = set(bed).status.clone();
        assert_eq!(status.current_revision, status.update_revision, "the rollout is complete");
    });
}

#[test]
fn on_delete_leaves_old_pods_and_makes_new_ones_of_the_new_revision() {
    six_ways(StatefulSetStrategy::OnDelete, |bed, from, to, ordered| {
        update_to(bed, "app:v2", to);
        settle(bed, ordered);
        let expected = |old: u32| {
            let image = |ordinal: u32| if ordinal < old { "v1" } else { "v2" };
            (0..to).map(|ordinal| format!("db-{ordinal}:{}", image(ordinal))).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(images(bed), expected(from.min(to)), "only pods that are made are of the new revision");
        for ordinal in (0..from.min(to)).rev() {
            delete(bed, Kind::Pod, &format!("db-{ordinal}"), Propagation::Background);
            settle(bed, ordered);
            assert_eq!(images(bed), expected(ordinal));
        }
        let status = set(bed).status.clone();
        assert_ne!(status.current_revision, status.update_revision, "without a rolling update nothing is completed");
    });
}

#[test]
fn a_partition_divides_old_pods_from_new_ones_whatever_the_size() {
    six_ways(StatefulSetStrategy::RollingUpdate { partition: Some(2) }, |bed, _, to, ordered| {
        update_to(bed, "app:v2", to);
        settle(bed, ordered);
        let image = |ordinal: u32| if ordinal < 2 { "v1" } else { "v2" };
        let expected: Vec<String> = (0..to).map(|ordinal| format!("db-{ordinal}:{}", image(ordinal))).collect();
        assert_eq!(images(bed), expected.join(" "));
        let status = set(bed).status.clone();
        assert_eq!((status.current, status.updated), (2, to - 2));
        assert_ne!(status.current_revision, status.update_revision);
    });
}

#[test]
fn going_back_makes_every_pod_of_the_old_revision_again() {
    six_ways(StatefulSetStrategy::default(), |bed, from, to, ordered| {
        update_to(bed, "app:v2", from);
        settle(bed, ordered);
        update_to(bed, "app:v1", to);
        settle(bed, ordered);
        assert_eq!(images(bed), all("v1", to));
        let numbers: Vec<u64> = revisions(bed).iter().map(|it| it.revision).collect();
        assert_eq!(numbers, [2, 3], "the first revision has become the newest");
    });
}

#[test]
fn revisions_that_no_pod_has_are_kept_up_to_the_limit() {
    for (management, limit, kept) in [
        (PodManagement::OrderedReady, Some(2), 3),
        (PodManagement::Parallel, Some(2), 3),
        (PodManagement::OrderedReady, Some(0), 1),
        (PodManagement::OrderedReady, Some(10), 6),
        (PodManagement::OrderedReady, None, 6),
    ] {
        let mut bed = bed();
        bed.create(StatefulSet { management, revision_history_limit: limit, ..db(2) });
        bed.run_for(Span::from_secs(20));
        for version in 2..=6 {
            image(&mut bed, &format!("app:v{version}"));
            bed.run_for(Span::from_secs(30));
        }
        let left: Vec<u64> = revisions(&bed).iter().map(|it| it.revision).collect();
        assert_eq!(left, ((7 - kept)..=6).collect::<Vec<u64>>(), "limit {limit:?}");
    }
}

#[test]
fn a_revision_that_is_adopted_and_used_again_belongs_to_the_set_from_then_on() {
    let mut bed = bed();
    bed.create(db(1));
    bed.run_for(Span::from_secs(5));
    image(&mut bed, "app:v2");
    bed.run_for(Span::from_secs(10));
    delete(&mut bed, Kind::StatefulSet, "db", Propagation::Orphan);
    bed.run_for(Span::from_secs(1));
    assert!(revisions(&bed).iter().all(|it| it.meta.owners.is_empty()), "the set's end has made them orphans");
    let writes = |bed: &Testbed| bed.core.newest().writes(Kind::ControllerRevision);
    let before = writes(&bed);
    // The new set has the template of the older revision.
    bed.create(db(1));
    bed.run_for(Span::from_secs(5));
    let owned: Vec<_> = revisions(&bed).iter().map(|it| (it.revision, it.meta.controller().is_some())).collect();
    assert_eq!(owned, [(2, true), (3, true)]);
    assert_eq!(writes(&bed) - before, 3, "two are adopted and one gets a number; none is adopted twice");
}
