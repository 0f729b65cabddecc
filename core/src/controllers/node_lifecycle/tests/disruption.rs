//! Zones that lose nodes: at which rate taints follow, and when none do.

use super::*;

#[test]
fn a_zone_taints_one_node_per_ten_seconds() {
    let zones = ["a"; 10];
    let mut bed = cluster(&zones);
    bed.run_until(secs(20));
    (0..4).for_each(|host| bed.silence(host));
    bed.run_until(secs(200));
    let first = times(&bed, &format!("nodes/n0 {UNREACHABLE}"))[0];
    for host in 0..4 {
        let tainted = times(&bed, &format!("nodes/n{host} {UNREACHABLE}"));
        assert_eq!(tainted, [first + Span::from_secs(10) * host], "{:#?}", bed.told());
    }
}

#[test]
fn one_zone_down_is_tainted_at_the_normal_rate_and_a_part_of_a_small_zone_not_at_all() {
    let mut bed = cluster(&["a", "a", "b", "b", "b", "b", "b"]);
    bed.run_until(secs(20));
    (0..5).for_each(|host| bed.silence(host));
    bed.run_until(secs(300));
    assert_eq!(times(&bed, "nodes/zone/a ZoneState: zone state FullDisruption").len(), 1, "{:#?}", bed.told());
    assert_eq!(times(&bed, "nodes/zone/b ZoneState: zone state PartialDisruption").len(), 1);
    let tainted = |host: u32| times(&bed, &format!("nodes/n{host} {UNREACHABLE}")).len();
    assert_eq!((0..5).map(tainted).collect::<Vec<_>>(), [1, 1, 0, 0, 0], "{:#?}", bed.told());
    assert_eq!(times(&bed, &format!("nodes/n4 {UNREACHABLE_NO_SCHEDULE}")).len(), 1);
}

#[test]
fn when_all_nodes_are_down_nobody_is_evicted_and_on_return_all_are_forgiven() {
    let mut bed = cluster(&["a", "a", "b", "b"]);
    for (pod, node) in [("p", "n0"), ("q", "n3")] {
        add_pod(&mut bed, pod, node, Some(10));
    }
    bed.run_until(secs(22));
    (0..1).for_each(|host| bed.silence(host));
    bed.run_until(secs(47));
    (1..4).for_each(|host| bed.silence(host));
    bed.run_until(secs(400));
    // n0 had its taint when the others fell, and lost it then.
    assert_eq!(times(&bed, &format!("nodes/n0 {UNREACHABLE}")).len(), 1, "{:#?}", bed.told());
    for node in ["n0", "n1", "n2", "n3"] {
        let node = bed.get::<Node>("", node).unwrap();
        assert!(!node.spec.taints.iter().any(|taint| taint.effect == TaintEffect::NoExecute), "{node:?}");
    }
    assert_eq!(times(&bed, "pods/default/q TaintManagerEviction"), []);
    bed.run_until(secs(402));
    bed.wake(3, "n3");
    bed.run_until(secs(500));
    // The pass at 405 s ends the failure and forgives. Zone a's rate restarts with an empty bucket.
    let again = times(&bed, &format!("nodes/n0 {UNREACHABLE}"));
    assert_eq!(again.len(), 2, "{:#?}", bed.told());
    assert!(again[1] >= secs(415) && again[1] <= secs(416), "{again:?}");
}

/// Asserts that a fact was told once for each recorded time, give or take half a second. Recorded times count from the
/// death at `death`; both lists are sorted, since the order in which a real cluster takes its nodes is random.
fn as_recorded(bed: &Testbed, death: Time, part: &str, recorded_millis: &[u64]) {
    let told =
        bed.facts.iter().map(|(at, fact)| (*at, format!("{} {}: {}", fact.subject, fact.what.reason(), fact.what)));
    let times: Vec<u64> =
        told.filter(|(_, line)| line.contains(part)).map(|(at, _)| at.since(death).as_millis()).collect();
    let near = |pair: (&u64, &u64)| pair.0.abs_diff(*pair.1) <= 500;
    let same = times.len() == recorded_millis.len() && times.iter().zip(recorded_millis).all(near);
    assert!(same, "{part}: {times:?} here, {recorded_millis:?} recorded; {:#?}", bed.told());
}

/// Silences hosts as in a recording: their last renewal has just been seen by the pass at 95 s, so that they are found
/// silent at 145 s, which the recording calls `found` milliseconds after the death.
fn die_as_recorded(bed: &mut Testbed, hosts: std::ops::Range<u32>, found: u64) -> Time {
    bed.run_until(secs(94));
    hosts.for_each(|host| {
        bed.silence(host);
        bed.renew_at(Time::from_millis(94_500), host, &format!("n{host}"), 99);
    });
    Time::from_millis(145_000 - found)
}

#[test]
fn a_node_dies_and_returns_as_in_the_recording() {
    let mut bed = cluster(&["a", "a", "b", "b", "c", "c"]);
    add_pod(&mut bed, "web", "n2", None);
    add_pod(&mut bed, "quick", "n2", Some(10));
    let death = die_as_recorded(&mut bed, 2..3, 42_213);
    // The recorded passes have slid by half a second by then, so the return is moved along.
    bed.run_until(death + Span::from_millis(430_059));
    bed.wake(2, "n2");
    bed.run_until(death + Span::from_secs(450));
    as_recorded(&bed, death, "nodes/n2 NodeNotReady: not ready (NodeStatusUnknown)", &[42_213]);
    as_recorded(&bed, death, &format!("nodes/n2 {UNREACHABLE_NO_SCHEDULE}"), &[42_236]);
    as_recorded(&bed, death, &format!("nodes/n2 {UNREACHABLE}"), &[42_274]);
    as_recorded(&bed, death, "pods/default/quick TaintManagerEviction", &[52_300]);
    as_recorded(&bed, death, "pods/default/web TaintManagerEviction", &[342_300]);
    as_recorded(&bed, death, "Untainted: taint node.kubernetes.io/unreachable:NoSchedule", &[430_073]);
    let freed = times(&bed, "nodes/n2 Untainted: taint node.kubernetes.io/unreachable:NoExecute");
    assert!(freed.len() == 1 && freed[0].since(death) <= Span::from_millis(435_059), "by the next pass: {freed:?}");
}

#[test]
fn four_nodes_of_ten_and_a_whole_zone_are_tainted_as_in_the_recordings() {
    let mut bed = cluster(&["a"; 10]);
    let death = die_as_recorded(&mut bed, 0..4, 42_100);
    bed.run_until(secs(300));
    as_recorded(&bed, death, UNREACHABLE_NO_SCHEDULE, &[42_146, 42_155, 42_174, 42_195]);
    as_recorded(&bed, death, UNREACHABLE, &[42_486, 52_473, 62_553, 72_625]);

    let mut bed = cluster(&["a", "a", "a", "a", "b", "b", "b", "b"]);
    let death = die_as_recorded(&mut bed, 0..4, 48_500);
    bed.run_until(secs(300));
    as_recorded(&bed, death, UNREACHABLE, &[48_700, 58_700, 68_700, 78_800]);
}

#[test]
fn a_controller_manager_that_restarts_takes_the_taints_off_and_queues_the_nodes_anew() {
    let mut bed = cluster(&["a", "a", "a", "a"]);
    add_pod(&mut bed, "p", "n0", Some(60));
    bed.run_until(secs(20));
    bed.silence(0);
    bed.run_until(secs(101));
    assert_eq!(times(&bed, &format!("nodes/n0 {UNREACHABLE}")).len(), 1, "{:#?}", bed.told());
    bed.input(Input::Crashed(ProcId::CONTROLLER_MANAGER));
    bed.input(Input::Started(ProcId::CONTROLLER_MANAGER));
    bed.run_until(secs(102));
    assert_eq!(times(&bed, "nodes/n0 Untainted: taint node.kubernetes.io/unreachable:NoExecute"), [secs(101)]);
    let again = times(&bed, &format!("nodes/n0 {UNREACHABLE}"));
    assert_eq!(again[1..], [Time::from_millis(101_100)], "{:#?}", bed.told());
    bed.run_until(secs(300));
    let evicted = times(&bed, "pods/default/p TaintManagerEviction");
    assert_eq!(evicted, [again[1] + Span::from_secs(60)], "the time runs anew");
}

/// Sets a label of a node.
fn label(bed: &mut Testbed, node: &str, key: &str) {
    let patch = Patch::Label { key: key.into(), value: Some("".into()) };
    bed.request(Request::Patch { key: ObjectKey::new(Kind::Node, "", node), patch });
    bed.run_for(Span::ZERO);
}

#[test]
fn a_node_that_is_excluded_does_not_count_among_the_ready_ones() {
    for (key, excluded) in [
        ("", false),
        ("node.kubernetes.io/exclude-from-external-load-balancers", false),
        ("node.kubernetes.io/exclude-disruption", true),
    ] {
        let mut bed = cluster(&["a", "a"]);
        if !key.is_empty() {
            label(&mut bed, "n0", key);
        }
        bed.run_until(secs(30));
        bed.silence(1);
        bed.run_until(secs(200));
        assert_eq!(times(&bed, "nodes/n1 NodeNotReady").len(), 1);
        let evicting = times(&bed, &format!("nodes/n1 {UNREACHABLE}")).len();
        assert_eq!(evicting, usize::from(!excluded), "without it no counted node is ready: nobody is evicted");
    }
}

#[test]
fn zones_are_judged_by_their_own_nodes() {
    // The zones of the nodes; which nodes fall silent; which of these are given up with NoExecute within ten minutes.
    let table: [(&str, &[u32], &[u32]); 7] = [
        ("a a a", &[0], &[0]),
        ("a a b b", &[0, 1], &[0, 1]),
        ("a a a a a", &[0, 1, 2], &[]),
        ("a b", &[0, 1], &[]),
        ("a a a a a b", &[0, 1, 2, 5], &[5]),
        // Nodes without a zone are one together.
        ("- - -", &[0], &[0]),
        ("- - a", &[0, 1], &[0, 1]),
    ];
    for (zones, silent, given_up) in table {
        let zones: Vec<&str> = zones.split(' ').collect();
        let mut bed = cluster(&zones);
        for (host, _) in zones.iter().enumerate().filter(|(_, zone)| **zone == "-") {
            let patch = Patch::Label { key: "topology.kubernetes.io/zone".into(), value: None };
            bed.request(Request::Patch { key: ObjectKey::new(Kind::Node, "", &format!("n{host}")), patch });
        }
        bed.run_until(secs(30));
        silent.iter().for_each(|host| bed.silence(*host));
        bed.run_until(secs(600));
        let tainted: Vec<u32> = (0..zones.len() as u32)
            .filter(|host| !times(&bed, &format!("nodes/n{host} {UNREACHABLE}")).is_empty())
            .collect();
        assert_eq!(tainted, given_up, "{zones:?}, silent {silent:?}");
    }
}
