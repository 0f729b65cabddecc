//! The steps of a rollout, one at a time, and which old ReplicaSets are removed in the end.

use super::*;

#[test]
fn the_new_set_grows_as_far_as_the_surge_allows() {
    let table = [
        (rolling(10, 0, 0), "a:10 *b:0", None),
        (rolling(10, 2, 0), "a:10 *b:0", Some(2)),
        (rolling(10, 2, 0), "a:5 *b:0", Some(7)),
        (rolling(10, 2, 0), "a:10 *b:2", None),
        (rolling(10, 2, 0), "a:2 *b:11", Some(10)),
        (rolling(1, 1, 1), "a:5 *b:5", Some(1)),
        (rolling(6, 10, 1), "a:5 *b:2", Some(6)),
    ];
    for (deployment, sets, expected) in table {
        let mut plan = plan(deployment.clone(), &deployment, sets);
        let grown = plan.grow_new();
        let size = plan.new.as_ref().unwrap().set.replicas;
        assert_eq!(grown.then_some(size), expected, "{sets}");
        assert_eq!(plan.writes.len(), usize::from(grown), "one write for one step: {sets}");
    }
    let recreate = Deployment { strategy: DeploymentStrategy::Recreate, ..web(3) };
    let plan = plan(recreate.clone(), &recreate, "a:5 *b:1");
    assert_eq!(plan.new_size(&plan.new.as_ref().unwrap().set), 3, "without surge the new set gets all at once");
}

#[test]
fn old_sets_shrink_as_far_as_availability_allows() {
    let table = [
        (rolling(10, 0, 0), "a:10/10 *b:0", "a:9 *b:0"),
        (rolling(10, 0, 2), "a:10/10 *b:0", "a:8 *b:0"),
        (rolling(10, 0, 2), "a:10/8 *b:0", "a:8 *b:0"),
        (rolling(10, 0, 2), "a:10/9 *b:0", "a:8 *b:0"),
        (rolling(10, 0, 2), "a:8/8 *b:2/0", "a:8 *b:2"),
        (rolling(10, 0, 2), "a:3/3 b:7/7 *c:0", "a:1 b:7 *c:0"),
        (rolling(10, 0, 2), "a:10/12 *b:0", "a:10 *b:0"),
    ];
    for (deployment, sets, expected) in table {
        let mut plan = plan(deployment.clone(), &deployment, sets);
        let shrunk = plan.shrink_old();
        assert_eq!(sizes_of(&plan), expected, "{sets}");
        assert_eq!(shrunk, !plan.writes.is_empty(), "{sets}");
    }
}

#[test]
fn unhealthy_pods_of_old_sets_go_first_and_no_more_than_allowed() {
    for (available, most, expected) in [(8, 1, 1), (8, 3, 2), (8, 0, 0), (10, 3, 0)] {
        let deployment = rolling(10, 2, 2);
        let mut plan = plan(deployment.clone(), &deployment, &format!("a:10/{available}"));
        assert_eq!(plan.shrink_unhealthy(most), Some(expected), "{available} of 10 available, at most {most}");
        assert_eq!(plan.old[0].set.replicas, 10 - expected as u32);
    }
}

#[test]
fn available_pods_of_old_sets_go_while_enough_are_left() {
    let least = |plan: &Plan| i64::from(plan.deployment.replicas) - sets::fenceposts(&plan.deployment).1;
    for (unavailable, sets, expected) in [
        (0, "a:10/10", "a:9"),
        (2, "a:10/10", "a:8"),
        (2, "a:10/8", "a:10"),
        (2, "a:0/10", "a:0"),
        (2, "a:10/1", "a:10"),
    ] {
        let deployment = rolling(10, 0, unavailable);
        let mut plan = plan(deployment.clone(), &deployment, sets);
        let available: i64 = plan.all().map(|it| i64::from(it.set.status.available)).sum();
        plan.shrink_oldest(available - least(&plan));
        assert_eq!(sizes_of(&plan), expected, "{sets}, {unavailable} may be unavailable");
    }
}

/// Which ReplicaSets are removed of those written `name:size/counted r<revision>`, oldest first.
fn removed(limit: u32, sets: &str) -> String {
    let deployment = Deployment { revision_history_limit: limit, ..web(1) };
    let mut plan = plan(deployment.clone(), &deployment, "");
    for (place, text) in sets.split(", ").enumerate() {
        let (name, rest) = text.split_once(':').unwrap();
        let (sizes, revision) = rest.split_once(" r").unwrap_or((rest, ""));
        let (size, counted) = sizes.trim_end_matches('-').split_once('/').unwrap();
        let mut set = ReplicaSet { meta: Meta::named("default", name), ..ReplicaSet::default() };
        set.meta.created_at = Time::from_secs(place as u64);
        set.meta.deleted_at = sizes.ends_with('-').then(|| Time::from_secs(1));
        if !revision.is_empty() {
            set.meta.annotations = Labels::new([("deployment.kubernetes.io/revision", revision)]);
        }
        (set.replicas, set.status.replicas) = (size.parse().unwrap(), counted.parse().unwrap());
        plan.old.push(sets::Set { set: set.into(), version: None });
    }
    plan.clean_up();
    let names = plan.writes.iter().flatten().map(|write| match write {
        Request::Delete { key, .. } => key.name.to_string(),
        other => panic!("a clean-up only deletes: {other:?}"),
    });
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn only_empty_old_sets_beyond_the_history_are_removed() {
    assert_eq!(removed(1, "a:0/0, b:0/0, c:0/0"), "a b");
    assert_eq!(removed(0, "a:0/0, b:0/1, c:1/0, d:1/1"), "a");
    assert_eq!(removed(0, "a:0/0, b:0/0"), "a b");
    assert_eq!(removed(0, "a:1/1, b:1/1"), "");
    assert_eq!(removed(0, "a:0/0-"), "", "one that is being deleted is left alone");
    assert_eq!(removed(i32::MAX as u32, "a:0/0, b:0/0, c:0/0"), "");
}

#[test]
fn the_lowest_revisions_are_removed_first() {
    assert_eq!(removed(1, "a:0/0 r1, b:0/0 r2"), "a");
    assert_eq!(removed(1, "a:0/0 r2, b:0/0 r1"), "b");
    assert_eq!(removed(1, "a:0/0 r1, b:0/0"), "b", "without a revision counts as the lowest");
    assert_eq!(removed(1, "a:0/0, b:0/0 r2"), "a");
    assert_eq!(removed(1, "a:1/1 r1, b:0/0 r2, c:0/0 r3"), "b");
    assert_eq!(removed(1, "a:1/1 r1, b:1/1 r2, c:0/0 r3"), "", "sets with pods use up what may go");
    assert_eq!(removed(2, "a:0/0 r3, b:0/0 r1, c:0/0 r4, d:0/0 r2"), "b d");
}
