//! Which pods go first when there are too many.

use super::*;

#[test]
fn the_pod_that_is_missed_least_goes_first() {
    let now = Time::from_secs(10_000);
    let make = |name: &str| match name {
        "unscheduled" => candidate(name, "", Phase::Pending, None, 5_000, now),
        "pending" => candidate(name, "n0", Phase::Pending, None, 5_000, now),
        "notready" | "other-notready" => candidate(name, "n0", Phase::Running, None, 5_000, now),
        "on1" | "again-on1" => candidate(name, "n1", Phase::Running, Some(600), 5_000, now),
        "on2" | "x-on2" | "y-on2" => candidate(name, "n2", Phase::Running, Some(600), 5_000, now),
        other => panic!("no such pod: {other}"),
    };
    // The pods; those related to them (`=` is the pods themselves); how many go; which.
    let table = [
        ("", "=", 0, ""),
        ("notready on1", "=", 2, "notready on1"),
        ("on1 notready", "=", 1, "notready"),
        ("pending unscheduled", "=", 1, "unscheduled"),
        ("on1 notready other-notready", "=", 2, "notready other-notready"),
        ("on1 on2", "on1 x-on2 y-on2", 1, "on2"),
        ("on1 again-on1 on2", "=", 1, "again-on1"),
        ("pending notready", "=", 1, "pending"),
        ("on1 on2 notready pending unscheduled", "=", 3, "unscheduled pending notready"),
        ("on1 on2 notready pending unscheduled", "", 3, "unscheduled pending notready"),
    ];
    for (pods, related, count, expected) in table {
        let list = |names: &str| names.split_whitespace().map(&make).collect::<Vec<Pod>>();
        let related = if related == "=" { list(pods) } else { list(related) };
        let related: Vec<Arc<Pod>> = related.into_iter().map(Arc::new).collect();
        let order = order(list(pods), &related, now);
        let gone = order.split_whitespace().take(count).collect::<Vec<_>>().join(" ");
        assert_eq!(gone, expected, "{pods}");
    }
}

#[test]
fn every_criterion_decides_only_where_those_before_are_equal() {
    let now = Time::from_secs(100_000);
    let ready = |name: &str, ready: u64, created: u64| candidate(name, "n1", Phase::Running, Some(ready), created, now);
    let unknown = candidate("d-unknown", "n1", Phase::Unknown, None, 9, now);
    let pending = candidate("e-pending", "n1", Phase::Pending, None, 9, now);
    let bare = candidate("f-running", "n1", Phase::Running, None, 9, now);
    assert_eq!(order(vec![bare, unknown, pending], &[], now), "e-pending d-unknown f-running");
    assert_eq!(order(vec![ready("b", 10, 99), ready("a", 5_000, 9)], &[], now), "b a", "ready for a shorter time");
    let mut young = ready("b", 600, 700);
    young.meta.created_at = Time(now.0 - Span::from_secs(601).0);
    assert_eq!(order(vec![ready("a", 600, 90_000), young], &[], now), "b a", "of equal readiness the younger");
    let cheap = with_cost(ready("z", 90_000, 90_000), "-1");
    assert_eq!(order(vec![ready("a", 1, 1), cheap], &[], now), "z a", "a lower cost outweighs every age");
    let never = with_cost(candidate("z", "n1", Phase::Running, None, 1, now), "100");
    assert_eq!(order(vec![ready("a", 1, 1), never], &[], now), "z a", "but not readiness");
    for bad in ["1.5", "+5", "03", "much", "2147483648"] {
        let odd = with_cost(ready("b", 600, 700), bad);
        assert_eq!(order(vec![with_cost(ready("a", 600, 700), "1"), odd], &[], now), "b a", "{bad} counts as 0");
    }
}
