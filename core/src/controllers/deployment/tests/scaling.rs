//! How a change of size is divided among ReplicaSets, and what a rollout allows.

use super::*;
use crate::model::Seldom;

#[test]
fn a_change_of_size_is_divided_in_proportion() {
    // The story; the Deployment before and after; its ReplicaSets before and after.
    let table = [
        ("one set grows", rolling(10, 0, 0), rolling(12, 0, 0), "*a:10", "*a:12"),
        ("one set shrinks", rolling(10, 0, 0), rolling(5, 0, 0), "*a:10", "*a:5"),
        ("two grow", rolling(5, 0, 0), rolling(10, 0, 0), "a:3 *b:2", "a:6 *b:4"),
        ("two shrink", rolling(5, 0, 0), rolling(3, 0, 0), "a:3 *b:2", "a:2 *b:1"),
        ("a small set vanishes", rolling(9, 0, 0), rolling(4, 0, 0), "a:1 *b:8", "a:0 *b:4"),
        ("three grow", rolling(7, 0, 0), rolling(10, 0, 0), "a:2 b:3 *c:2", "a:3 b:4 *c:3"),
        ("three shrink", rolling(13, 0, 0), rolling(8, 0, 0), "a:3 b:8 *c:2", "a:2 b:5 *c:1"),
        ("the newest gets the odd pod", rolling(3, 0, 0), rolling(4, 0, 0), "a:1 b:1 *c:1", "a:1 b:1 *c:2"),
        ("the oldest loses the odd pod", rolling(3, 0, 0), rolling(2, 0, 0), "a:1 b:1 *c:1", "a:0 b:1 *c:1"),
        ("without a new set the latest grows", rolling(4, 0, 0), rolling(5, 0, 0), "a:2 b:2", "a:2 b:3"),
        ("all go", rolling(6, 0, 0), rolling(0, 0, 0), "a:1 b:2 *c:3", "a:0 b:0 *c:0"),
        ("none is active: the new one gets all", rolling(6, 0, 0), rolling(6, 0, 0), "a:0 b:0 *c:0", "a:0 b:0 *c:6"),
        ("none is active and none is new", rolling(6, 0, 0), rolling(6, 0, 0), "a:0 b:0", "a:0 b:6"),
        ("a half-done scaling is finished", rolling(5, 0, 0), rolling(5, 0, 0), "a:1 b:1@3 *c:2", "a:1 b:2 *c:2"),
        ("surge pods count", rolling(10, 2, 0), rolling(20, 2, 0), "a:6 *b:6", "a:11 *b:11"),
        ("surge and size at once", rolling(10, 3, 0), rolling(50, 6, 0), "a:8 *b:5", "a:34 *b:22"),
        ("template and size at once", rolling(10, 0, 0), rolling(14, 0, 0), "a:3 b:7", "a:4 b:10"),
        ("a broken new set leaves the old alone", rolling(2, 1, 1), rolling(2, 1, 1), "a:1 *b:2/0", "a:1 *b:2"),
        ("a saturated new set ends the old", rolling(2, 1, 1), rolling(2, 1, 1), "a:1 *b:2/2", "a:0 *b:2"),
    ];
    for (story, before, after, sets, expected) in table {
        let mut plan = plan(after, &before, sets);
        plan.scale();
        assert_eq!(sizes_of(&plan), expected, "{story}");
    }
}

#[test]
fn the_share_of_one_replica_set_follows_its_notes_or_else_the_status() {
    // Wanted, surge, pods by the status, size of the set, its note of the most pods; the expected share.
    let table = [
        (0, 0, 0, 10, None, -10),
        (10, 0, 0, 5, None, 0),
        (10, 0, 0, 5, Some("0"), 0),
        (120, 0, 100, 50, None, 10),
        (120, 0, 100, 50, Some("0"), 10),
        (120, 0, 0, 50, Some("100"), 10),
        (120, 10, 0, 50, Some("110"), 9),
        (10, 0, 0, 6, Some("12"), -1),
        (100, 10, 0, 50, Some("130"), -8),
        (120, 0, 100, 50, Some("many"), 10),
        (120, 0, 100, 50, Some("+100"), 10),
        (120, 0, 100, 50, Some("2147483648"), 10),
        (120, 0, 100, 50, Some("-1"), 10),
    ];
    for (wanted, surge, counted, size, most, expected) in table {
        let mut plan = plan(rolling(wanted, surge, 1), &rolling(wanted, surge, 1), "");
        Arc::make_mut(&mut plan.deployment).status.replicas = counted;
        let annotations =
            most.map_or(Labels::default(), |most| Labels::new([("deployment.kubernetes.io/max-replicas", most)]));
        let set = ReplicaSet {
            meta: Meta { extras: annotated(annotations), ..Meta::named("default", "a") },
            replicas: size,
            ..ReplicaSet::default()
        };
        assert_eq!(plan.fraction(&set), expected, "{wanted} + {surge}, counted {counted}, {size} of {most:?}");
    }
}

#[test]
fn nothing_goes_from_one_set_to_another_once_all_pods_are_divided() {
    // The set that comes last was scaled for 20 pods, so its own note would have it lose one.
    let mut plan = plan(rolling(10, 0, 0), &rolling(8, 0, 0), "a:4 b:2@20 *c:2");
    plan.scale();
    assert_eq!(sizes_of(&plan), "a:5 b:2 *c:3");
}

fn annotated(annotations: Labels) -> Seldom<MetaExtras> {
    MetaExtras { annotations, ..MetaExtras::default() }.into()
}

#[test]
fn a_note_is_read_only_if_it_is_a_number_of_pods() {
    let read = |text: &str| {
        let annotations = Labels::new([("deployment.kubernetes.io/desired-replicas", text)]);
        sets::desired_when_scaled(&ReplicaSet {
            meta: Meta { extras: annotated(annotations), ..Meta::default() },
            ..ReplicaSet::default()
        })
    };
    assert_eq!(sets::desired_when_scaled(&ReplicaSet::default()), None);
    for bad in ["", "some", "-1", "+1", "1.5", "2147483648", "4294967296"] {
        assert_eq!(read(bad), None, "{bad:?}");
    }
    assert_eq!((read("0"), read("13"), read("2147483647")), (Some(0), Some(13), Some(2_147_483_647)));
}

#[test]
fn surge_and_unavailability_of_every_notation() {
    let posts = |replicas, max_surge, max_unavailable| {
        sets::fenceposts(&Deployment {
            strategy: DeploymentStrategy::RollingUpdate { max_surge, max_unavailable },
            ..web(replicas)
        })
    };
    let (count, percent) = (IntOrPercent::Int, IntOrPercent::Percent);
    let table = [
        (10, percent(39), percent(39), (4, 3)),
        (10, count(0), percent(39), (0, 3)),
        (10, percent(39), count(0), (4, 0)),
        (10, count(0), count(0), (0, 1)),
        (0, percent(0), percent(0), (0, 0)),
        (10, count(1), count(5), (1, 5)),
        (10, count(1), count(10), (1, 10)),
        (5, count(1), count(10), (1, 5)),
        (0, count(1), count(10), (1, 0)),
        (10, count(1), percent(50), (1, 5)),
        (10, count(1), percent(60), (1, 6)),
        (10, count(1), percent(100), (1, 10)),
        (5, count(1), percent(100), (1, 5)),
    ];
    for (replicas, surge, unavailable, expected) in table {
        assert_eq!(posts(replicas, surge, unavailable), expected, "{replicas} {surge:?} {unavailable:?}");
    }
    let recreate = Deployment { strategy: DeploymentStrategy::Recreate, ..web(10) };
    assert_eq!(sets::fenceposts(&recreate), (0, 0));
}

#[test]
fn notes_of_size_are_written_only_when_they_change() {
    let noted = |desired: Option<&str>, most: Option<&str>| {
        let pairs =
            [("deployment.kubernetes.io/desired-replicas", desired), ("deployment.kubernetes.io/max-replicas", most)];
        let annotations = Labels::new(pairs.into_iter().filter_map(|(key, value)| Some((key, value?))));
        let meta = Meta { extras: annotated(annotations), ..Meta::default() };
        let mut set = Arc::new(ReplicaSet { meta, ..ReplicaSet::default() });
        let changed = sets::note_scale(&rolling(10, 10, 0), &mut set);
        assert_eq!((sets::desired_when_scaled(&set), sets::most_when_scaled(&set)), (Some(10), Some(20)));
        changed
    };
    assert!(noted(None, None));
    assert!(noted(Some("8"), Some("20")));
    assert!(noted(Some("10"), Some("16")));
    assert!(!noted(Some("10"), Some("20")));
}
