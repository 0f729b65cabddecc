//! When a rollout counts as progressing, complete or stuck, and when a Deployment is looked at again.

use super::*;
use crate::controllers::deployment::plan::Again;
use crate::model::{Conditions, DeploymentStatus};

const SINCE: Time = Time::from_secs(600);

fn progressing(status: Status3, reason: &str) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.set(ConditionKind::Progressing, status, reason, "", SINCE);
    conditions
}

fn counts(replicas: u32, updated: u32, ready: u32, available: u32) -> DeploymentStatus {
    DeploymentStatus { replicas, updated, ready, available, ..DeploymentStatus::default() }
}

fn plan_at(now: Time, replicas: u32, deadline: Option<u64>, status: DeploymentStatus, sets: &str) -> Plan {
    let strategy = DeploymentStrategy::Recreate;
    let deployment = Deployment { strategy, progress_deadline: deadline.map(Span::from_secs), status, ..web(replicas) };
    Plan { now, ..plan(deployment.clone(), &deployment, sets) }
}

#[test]
fn a_rollout_is_complete_when_all_pods_are_new_and_available() {
    // Wanted; counted, updated, available.
    let table = [
        (5, (5, 5, 4), false),
        (5, (5, 5, 3), false),
        (5, (5, 5, 5), true),
        (5, (5, 4, 5), false),
        (1, (2, 1, 1), false),
        (1, (1, 1, 0), false),
    ];
    for (wanted, (replicas, updated, available), expected) in table {
        let plan = plan_at(SINCE, wanted, None, counts(replicas, updated, available, available), "");
        assert_eq!(plan.is_complete(), expected, "{wanted} wanted: {replicas} {updated} {available}");
    }
    let mut unseen = plan_at(SINCE, 5, None, counts(5, 5, 5, 5), "");
    Arc::make_mut(&mut unseen.deployment).meta.generation = 2;
    assert!(!unseen.is_complete(), "the counts are of an earlier generation");
}

#[test]
fn a_rollout_progresses_when_pods_come_become_ready_or_old_ones_go() {
    let table = [
        ("updated pods", (10, 4, 4, 4), (10, 6, 4, 4), true),
        ("nothing", (10, 4, 4, 4), (10, 4, 4, 4), false),
        ("old pods removed", (10, 4, 6, 6), (8, 4, 6, 6), true),
        ("fewer new pods", (10, 7, 3, 3), (10, 6, 3, 3), false),
        ("fewer overall but more new", (10, 4, 7, 7), (8, 8, 5, 5), true),
        ("more ready pods", (10, 10, 9, 8), (10, 10, 10, 8), true),
        ("more available pods", (10, 10, 10, 9), (10, 10, 10, 10), true),
    ];
    let status = |(replicas, updated, ready, available)| counts(replicas, updated, ready, available);
    for (story, before, after, expected) in table {
        let plan = plan_at(SINCE, 10, None, status(before), "");
        assert_eq!(plan.progresses(&status(after)), expected, "{story}");
    }
}

#[test]
fn a_rollout_times_out_when_nothing_happened_for_the_deadline() {
    let at = |seconds: u64| SINCE + Span::from_secs(seconds);
    let timed_out = |now, deadline, reason| {
        let status = DeploymentStatus { conditions: progressing(Status3::True, reason), ..DeploymentStatus::default() };
        plan_at(now, 3, deadline, status, "").timed_out()
    };
    assert!(!timed_out(at(11), None, "ReplicaSetUpdated"), "without a deadline never");
    assert!(timed_out(at(11), Some(10), "ReplicaSetUpdated"));
    assert!(!timed_out(at(9), Some(10), "ReplicaSetUpdated"));
    assert!(!timed_out(at(10), Some(10), "ReplicaSetUpdated"), "the deadline itself is still in time");
    assert!(!timed_out(at(99), Some(10), "NewReplicaSetAvailable"), "a complete rollout cannot fail");
    assert!(timed_out(at(0), Some(10), "ProgressDeadlineExceeded"), "what has failed stays so");
}

#[test]
fn a_stuck_rollout_is_looked_at_again_at_its_deadline() {
    let again = |nanos: u64, deadline: Option<u64>, status: DeploymentStatus| {
        plan_at(Time(SINCE.0 + nanos), 3, deadline, status, "").next_progress_check()
    };
    let second = 1_000_000_000;
    let going = |available| DeploymentStatus {
        conditions: progressing(Status3::True, ""),
        ..counts(3, 3, available, available)
    };
    let failed =
        DeploymentStatus { conditions: progressing(Status3::False, "ProgressDeadlineExceeded"), ..counts(3, 3, 0, 0) };
    assert_eq!(again(0, None, going(1)), None, "no deadline");
    assert_eq!(again(0, Some(60), counts(3, 3, 2, 2)), None, "no condition");
    assert_eq!(again(0, Some(60), going(3)), None, "complete");
    assert_eq!(again(0, Some(60), failed), None, "already failed");
    let after = |seconds: u64| Some(Again::After(Span::from_secs(seconds + 1)));
    assert_eq!(again(30 * second, Some(60), going(1)), after(30));
    assert_eq!(again(59 * second, Some(60), going(1)), after(1));
    for nanos in [59 * second + 1, 60 * second, 61 * second, 120 * second] {
        assert_eq!(again(nanos, Some(60), going(1)), Some(Again::RateLimited), "{nanos} ns");
    }
}

#[test]
fn the_progressing_condition_follows_the_counts() {
    const NOW: Time = Time::from_secs(10_000);
    // The story; deadline; the status before; reason before; the sets; what is expected, and whether it is a
    // transition.
    let old = |replicas, updated, available| counts(replicas, updated, 0, available);
    let table = [
        (
            "only one set that is available",
            old(3, 3, 3),
            Some((Status3::True, "NewReplicaSetAvailable")),
            "*a:3/3",
            "True NewReplicaSetAvailable",
            false,
        ),
        (
            "goes on",
            old(2, 2, 2),
            Some((Status3::True, "ReplicaSetUpdated")),
            "a:0/0+1 *b:3/2",
            "True ReplicaSetUpdated",
            false,
        ),
        (
            "goes on after all",
            old(2, 1, 1),
            Some((Status3::False, "ProgressDeadlineExceeded")),
            "*b:2/2",
            "True ReplicaSetUpdated",
            true,
        ),
        ("goes on for the first time", old(2, 1, 1), None, "*b:2/2", "True ReplicaSetUpdated", true),
        (
            "completes",
            old(3, 3, 3),
            Some((Status3::True, "ReplicaSetUpdated")),
            "*b:3/3",
            "True NewReplicaSetAvailable",
            false,
        ),
        (
            "completes after all",
            old(3, 3, 3),
            Some((Status3::False, "ProgressDeadlineExceeded")),
            "*b:3/3",
            "True NewReplicaSetAvailable",
            true,
        ),
        ("completes for the first time", old(3, 3, 3), None, "*b:3/3", "True NewReplicaSetAvailable", true),
        (
            "times out",
            old(2, 2, 2),
            Some((Status3::True, "ReplicaSetUpdated")),
            "*b:2/2",
            "False ProgressDeadlineExceeded",
            true,
        ),
        (
            "has timed out",
            old(2, 2, 2),
            Some((Status3::False, "ProgressDeadlineExceeded")),
            "*b:2/2",
            "False ProgressDeadlineExceeded",
            false,
        ),
    ];
    for (story, status, before, sets, expected, moved) in table {
        let conditions = before.map_or(Conditions::default(), |(status, reason)| progressing(status, reason));
        let status = DeploymentStatus { conditions, ..status };
        let extra = sets.contains("+1");
        let mut plan = plan_at(NOW, 3, Some(60), status, &sets.replace("+1", ""));
        if extra {
            // The old set has no pods left to want; one of its pods still counts less than before.
            Arc::make_mut(&mut plan.deployment).status.replicas += 1;
        }
        plan.update_rollout_status();
        let condition = plan.deployment.status.conditions.get(ConditionKind::Progressing).unwrap();
        assert_eq!(format!("{:?} {}", condition.status, condition.reason), expected, "{story}");
        assert_eq!(condition.changed_at, if moved { NOW } else { SINCE }, "{story}");
    }
    let conditions = progressing(Status3::True, "ReplicaSetUpdated");
    let mut plan = plan_at(NOW, 3, None, DeploymentStatus { conditions, ..counts(2, 2, 2, 2) }, "*b:3/2");
    plan.update_rollout_status();
    assert_eq!(
        plan.deployment.status.conditions.get(ConditionKind::Progressing),
        None,
        "without a deadline none is kept"
    );
    let conditions = progressing(Status3::True, "ReplicaSetUpdated");
    let mut plan = plan_at(NOW, 0, Some(60), DeploymentStatus { conditions, ..counts(3, 3, 3, 3) }, "a:0/0");
    plan.update_rollout_status();
    let condition = plan.deployment.status.conditions.get(ConditionKind::Progressing).unwrap();
    assert_eq!(&*condition.reason, "NewReplicaSetAvailable", "a Deployment of nothing is complete without a new set");
}

#[test]
fn a_condition_is_set_once_and_replaced_when_it_differs() {
    use crate::controllers::deployment::progress::set_condition;
    let mut conditions = Conditions::default();
    let (kind, first, later) = (ConditionKind::Progressing, Time::from_secs(1), Time::from_secs(2));
    set_condition(&mut conditions, kind, Status3::False, "ForSomeReason", "", first);
    set_condition(&mut conditions, ConditionKind::Available, Status3::True, "Awesome", "", first);
    assert_eq!(conditions.iter().count(), 2);
    set_condition(&mut conditions, kind, Status3::False, "ForSomeReason", "another message", later);
    assert_eq!((&*conditions.get(kind).unwrap().message, conditions.get(kind).unwrap().updated_at), ("", first));
    set_condition(&mut conditions, kind, Status3::False, "Another", "", later);
    let condition = conditions.get(kind).unwrap();
    assert_eq!((condition.updated_at, condition.changed_at), (later, first), "the status is the same");
    set_condition(&mut conditions, kind, Status3::True, "Another", "", later);
    assert_eq!(conditions.get(kind).unwrap().changed_at, later);
    assert!(conditions.get(ConditionKind::ReplicaFailure).is_none());
    assert!(!conditions.remove(ConditionKind::ReplicaFailure), "nothing is removed that is not there");
    assert!(conditions.remove(kind));
    assert_eq!(conditions.iter().count(), 1);
}
