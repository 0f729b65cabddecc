//! Sequences that agree and sequences that do not.

use super::*;

const TOLERANCE: Tolerance =
    Tolerance { base_ms: 100, after_death_ms: 1_000, said_ms: 0, death_ms: Some(5_000), shown_ms: (0, 10_000) };

fn story(track: &str, values: &[(i64, &str)]) -> Story {
    let entries = values.iter().map(|(at_ms, value)| Entry { at_ms: *at_ms, value: (*value).to_owned() });
    Story::from([(track.to_owned(), entries.collect())])
}

fn differ(recorded: &[Story], played: &[Story]) -> Vec<Difference> {
    differences(recorded, played, TOLERANCE)
}

#[test]
fn values_order_and_times_must_agree() {
    let recorded = [story("web", &[(0, "3"), (100, "5")])];
    assert_eq!(differ(&recorded, &[story("web", &[(50, "3"), (180, "5")])]), []);
    let wrong = differ(&recorded, &[story("web", &[(0, "3"), (100, "4")])]);
    assert_eq!((&*wrong[0].track, wrong[0].at_ms), ("web", 100));
    assert_eq!(wrong[0].ours, "3 [0.0 s] > 4 [0.1 s]");
    assert_eq!(differ(&recorded, &[story("web", &[(0, "5"), (100, "3")])]).len(), 1, "another order");
    assert_eq!(differ(&recorded, &[story("web", &[(0, "3"), (201, "5")])]).len(), 1, "too late");
    assert_eq!(differ(&recorded, &[story("web", &[(0, "3")])]).len(), 1, "one too few");
    assert_eq!(differ(&recorded, &[story("web", &[(0, "3"), (100, "5"), (100, "6")])]).len(), 1, "one too many");
    assert_eq!(differ(&recorded, &[Story::new()]).len(), 1, "nothing at all");
    assert_eq!(differ(&[Story::new()], &recorded).len(), 1, "what no recording has");
}

#[test]
fn what_was_done_at_once_may_come_in_any_order_and_nothing_else() {
    let recorded = [story("Pod: order of created", &[(0, "a"), (50, "b"), (90, "c"), (1_000, "d")])];
    let mut tolerance = TOLERANCE;
    tolerance.base_ms = 1_500;
    let differ = |track: &str, values: &[(i64, &str)]| {
        let recorded = [story(track, &[(0, "a"), (50, "b"), (90, "c"), (1_000, "d")])];
        differences(&recorded, &[story(track, values)], tolerance).len()
    };
    assert_eq!(differences(&recorded, &recorded, tolerance), []);
    assert_eq!(differ("Pod: order of created", &[(0, "c"), (1, "a"), (2, "b"), (900, "d")]), 0);
    assert_eq!(differ("Pod: order of created", &[(0, "a"), (1, "b"), (2, "d"), (900, "c")]), 1, "d came later");
    assert_eq!(differ("Pod: order of created", &[(0, "a"), (1, "b"), (2, "b"), (900, "d")]), 1, "b twice");
    assert_eq!(differ("Deployment/web size", &[(0, "c"), (1, "a"), (2, "b"), (900, "d")]), 1, "values in order");
}

#[test]
fn a_warning_may_come_a_quarter_more_or_less_often() {
    let tries = |count: usize, message: &str| {
        let entries: Vec<(i64, String)> = (1..).take(count).map(|it| (300 * it, format!("{message} x{it}"))).collect();
        let entries: Vec<(i64, &str)> = entries.iter().map(|(at_ms, value)| (*at_ms, value.as_str())).collect();
        story("ReplicaSet/till said Warning FailedCreate", &entries)
    };
    assert_eq!(differ(&[tries(8, "no quota")], &[tries(6, "no quota")]), []);
    assert_eq!(differ(&[tries(8, "no quota")], &[tries(5, "no quota")]).len(), 1, "too few");
    assert_eq!(differ(&[tries(8, "no quota")], &[tries(8, "no account")]).len(), 1, "something else");
    assert_eq!(differ(&[tries(3, "no quota")], &[tries(2, "no quota")]).len(), 1, "few are counted");
}

#[test]
fn what_is_said_again_at_once_is_said_once_or_twice() {
    let track = "PodDisruptionBudget/a said Normal NoPods";
    let recorded = [story(track, &[(0, "none"), (2_000, "none x2"), (2_090, "none x3"), (4_000, "none x4")])];
    let played = |values: &[(i64, &str)]| differ(&recorded, &[story(track, values)]).len();
    assert_eq!(played(&[(0, "none"), (2_000, "none x2"), (4_000, "none x3")]), 0);
    assert_eq!(played(&[(0, "none"), (2_000, "none x2")]), 1, "at another time it is missed");
    assert_eq!(played(&[(0, "none"), (2_000, "some"), (2_010, "none x2"), (4_000, "none x3")]), 1, "other words");
    // Of several objects each is said by itself.
    let track = "ReplicaSet/a said Normal SuccessfulCreate";
    let made = [story(track, &[(0, "Created pod: a-*"), (10, "Created pod: a-*")])];
    assert_eq!(differ(&made, &[story(track, &[(0, "Created pod: a-*")])]).len(), 1);
}

#[test]
fn times_are_looser_once_a_machine_has_died() {
    let recorded = [story("node", &[(6_000, "down")])];
    assert_eq!(differ(&recorded, &[story("node", &[(7_050, "down")])]), []);
    assert_eq!(differ(&recorded, &[story("node", &[(7_200, "down")])]).len(), 1);
}

#[test]
fn one_of_several_plays_may_show_what_chance_decides() {
    let recorded = [story("order", &[(0, "b"), (0, "a")])];
    let plays = [story("order", &[(0, "a"), (0, "b")]), story("order", &[(0, "b"), (0, "a")])];
    assert_eq!(differ(&recorded, &plays), []);
    assert_eq!(differ(&recorded, &plays[..1]).len(), 1);
}

#[test]
fn where_plays_differ_a_recording_may_lie_between_them_with_their_beginning_end_and_values() {
    let play = |values: [&str; 4]| story("rs spec.sizes", &values.map(|value| (1, value)));
    let plays = [play(["10", "8", "5", "0"]), play(["10", "7", "6", "0"])];
    let differ = |values: &[(i64, &str)]| differ(&[story("rs spec.sizes", values)], &plays).len();
    assert_eq!(differ(&[(0, "10"), (5, "8"), (9, "6"), (9, "5"), (200, "0")]), 1, "the end is too late");
    assert_eq!(differ(&[(0, "10"), (5, "8"), (9, "6"), (9, "5"), (20, "0")].map(|(_, value)| (2, value))), 0);
    assert_eq!(differ(&[(1, "10"), (1, "8"), (1, "4"), (1, "0")]), 1, "no play has that");
    assert_eq!(differ(&[(1, "10"), (1, "8"), (1, "6"), (1, "1")]), 1, "another end");
    assert_eq!(differ(&[(1, "8"), (1, "7"), (1, "6"), (1, "0")]), 1, "another beginning");
    assert_eq!(differ(&[(1, "10"), (1, "0")]), 1, "too few");
}

#[test]
fn a_size_that_goes_on_changing_has_gone_to_where_it_ends() {
    let recorded = [story("ReplicaSet/web spec.replicas", &[(0, "9"), (1_000, "8"), (1_200, "7"), (1_290, "3")])];
    let played = |values: &[(i64, &str)]| differ(&recorded, &[story("ReplicaSet/web spec.replicas", values)]).len();
    assert_eq!(played(&[(0, "9"), (1_250, "5"), (1_300, "3")]), 0);
    assert_eq!(played(&[(0, "9"), (1_250, "5"), (1_300, "2")]), 1, "another end");
    assert_eq!(played(&[(0, "9"), (600, "5"), (1_300, "3")]), 1, "a stop on the way");
    let recorded = [story("ReplicaSet/web generation", &[(0, "1"), (1_000, "2"), (1_200, "3"), (1_290, "4")])];
    let played = |values: &[(i64, &str)]| differ(&recorded, &[story("ReplicaSet/web generation", values)]).len();
    assert_eq!(played(&[(0, "1"), (1_250, "2"), (1_300, "3")]), 0);
    assert_eq!(played(&[(0, "1")]), 1, "no other size");
}

#[test]
fn what_was_said_before_the_recorder_listened_and_too_late_to_be_written_is_not_missed() {
    let of = |values: &[(i64, &str)]| [story("Pod/p said Normal Killing", values)];
    let said = |recorded: &[(i64, &str)], ours: &[(i64, &str)]| differ(&of(recorded), &of(ours)).len();
    assert_eq!(said(&[(100, "a")], &[(-900, "scene"), (100, "a"), (9_500, "late")]), 0);
    assert_eq!(said(&[(100, "a")], &[(100, "a"), (8_500, "in time")]), 1);
    assert_eq!(said(&[(-900, "x"), (100, "a")], &[(-900, "scene"), (100, "a")]), 1, "the recorder listened");
    assert_eq!(said(&[(100, "a"), (9_500, "late")], &[(100, "a")]), 1, "ours says too little");
}

#[test]
fn what_repeats_leave_open_is_open_between_what_they_have_in_common() {
    let one = story("rs", &[(0, "10"), (1, "8"), (2, "7"), (3, "6"), (4, "0")]);
    let two = story("rs", &[(0, "10"), (1, "8"), (2, "7"), (3, "5"), (4, "0")]);
    let repeats = [one, two];
    assert_eq!(differ(&repeats, &[story("rs", &[(9, "10"), (9, "8"), (9, "7"), (9, "5"), (9, "0")])]), []);
    assert_eq!(differ(&repeats, &[story("rs", &[(0, "10"), (1, "7"), (2, "8"), (3, "6"), (4, "0")])]).len(), 1);
    assert_eq!(differ(&repeats, &[story("rs", &[(0, "10"), (1, "8"), (2, "7"), (3, "gone"), (4, "0")])]).len(), 1);
    assert_eq!(differ(&repeats, &[story("rs", &[(0, "10"), (1, "8"), (2, "7"), (4, "0")])]).len(), 1, "a step less");
}

#[test]
fn what_is_the_last_that_the_filter_lets_through_is_chance() {
    let track = "Deployment/till said Normal ScalingReplicaSet";
    let story = |count: i64, last: &str| {
        let mut values: Vec<(i64, String)> = (1..count).map(|it| (it, "up".to_owned())).collect();
        values.push((count, last.to_owned()));
        let values: Vec<(i64, &str)> = values.iter().map(|(at_ms, value)| (*at_ms, value.as_str())).collect();
        story(track, &values)
    };
    // Two plays end otherwise than the recording, which says what one of them has on its way.
    let plays = |count: i64| {
        let mut on_the_way = story(count, "left");
        let say = |on_the_way: &mut Story, place: usize, value: &str| {
            on_the_way.get_mut(track).expect("the track")[place].value = value.to_owned();
        };
        say(&mut on_the_way, 7, "(combined from similar events): down to 2 x3");
        say(&mut on_the_way, 8, "down to 3 x2");
        [story(count, "up"), on_the_way]
    };
    assert_eq!(differ(&[story(25, "down to 2 x2")], &plays(25)), []);
    assert_eq!(differ(&[story(24, "down to 2 x2")], &plays(24)).len(), 1, "nothing was left out");
    assert_eq!(differ(&[story(25, "down to 4 x2")], &plays(25)).len(), 1, "no play says that");
    assert_eq!(differ(&[story(25, "none")], &plays(25)).len(), 1, "nothing like it");
}
