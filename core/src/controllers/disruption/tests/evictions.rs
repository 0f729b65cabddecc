//! Which evictions are granted: the pod's phase, its health, its budgets, and what the request asks for.

use super::*;
use crate::model::Phase;

/// A pod of a phase, ready or not, under a budget of these numbers (allowed, healthy, desired).
fn under(
    numbers: (u32, u32, u32),
    change: impl FnOnce(&mut Pod),
    edit: impl FnOnce(&mut PodDisruptionBudget),
) -> Testbed {
    let mut bed = Testbed::new(Config::default());
    bed.input(crate::seam::Input::Crashed(crate::id::ProcId::CONTROLLER_MANAGER));
    let mut it = pod("p");
    it.node = Some("n1".into());
    bed.create(it);
    let mut stored = Pod::clone(&bed.get::<Pod>("default", "p").unwrap());
    stored.status.phase = Phase::Running;
    stored.status.conditions.set(ConditionKind::Ready, Status3::True, "", "", Time::ZERO);
    change(&mut stored);
    bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(stored)), expected: None });
    let mut it = budget("b", DisruptionLimit::MinAvailable(IntOrPercent::Int(1)));
    edit(&mut it);
    bed.create(it);
    let mut stored = PodDisruptionBudget::clone(&bed.get::<PodDisruptionBudget>("default", "b").unwrap());
    let status = &mut stored.status;
    (status.disruptions_allowed, status.current_healthy, status.desired_healthy) = numbers;
    status.observed_generation = 1;
    bed.request(Request::UpdateStatus { object: Object::PodDisruptionBudget(Arc::new(stored)), expected: None });
    bed.run_for(Span::ZERO);
    bed
}

fn allowed(bed: &Testbed) -> u32 {
    bed.get::<PodDisruptionBudget>("default", "b").unwrap().status.disruptions_allowed
}

fn unready(pod: &mut Pod) {
    pod.status.conditions.set(ConditionKind::Ready, Status3::False, "", "", Time::ZERO);
}

#[test]
fn a_budget_is_asked_only_for_pods_that_run() {
    for (phase, granted) in
        [(Phase::Running, false), (Phase::Pending, true), (Phase::Succeeded, true), (Phase::Failed, true)]
    {
        let mut bed = under((0, 3, 3), |pod| pod.status.phase = phase, |_| {});
        assert_eq!(evict(&mut bed, "p").is_ok(), granted, "{phase:?}");
    }
    let mut bed = under((0, 3, 3), |_| {}, |_| {});
    let key = ObjectKey::new(Kind::Pod, "default", "p");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::ZERO);
    assert!(evict(&mut bed, "p").is_ok(), "a pod that ends already costs nothing");
    assert_eq!(allowed(&bed), 0);
}

#[test]
fn a_granted_eviction_takes_one_off_its_budget() {
    let mut bed = under((2, 3, 1), |_| {}, |_| {});
    assert!(evict(&mut bed, "p").is_ok());
    assert_eq!(allowed(&bed), 1);
    let stored = bed.get::<PodDisruptionBudget>("default", "b").unwrap();
    assert!(stored.status.disrupted_pods.contains_key("p"));
    assert_eq!(stored.status.conditions.get(ConditionKind::DisruptionAllowed), None, "its condition is left as it is");
    let mut bed = under((1, 3, 2), |_| {}, |_| {});
    assert!(evict(&mut bed, "p").is_ok());
    let stored = bed.get::<PodDisruptionBudget>("default", "b").unwrap();
    let condition = stored.status.conditions.get(ConditionKind::DisruptionAllowed).unwrap();
    assert_eq!((condition.status, &*condition.reason), (Status3::False, "InsufficientPods"), "the last one is said");
}

#[test]
fn a_granted_eviction_is_noted_with_the_whole_second_that_the_api_keeps() {
    let mut bed = under((2, 3, 1), |_| {}, |_| {});
    bed.run_for(Span::from_millis(1_700));
    let asked_at = bed.now();
    assert!(evict(&mut bed, "p").is_ok());
    let stored = bed.get::<PodDisruptionBudget>("default", "b").unwrap();
    assert_eq!(stored.status.disrupted_pods.get("p").copied(), Some(asked_at.whole_second()));
    assert_ne!(asked_at, asked_at.whole_second());
}

#[test]
fn other_budgets_and_other_pods_do_not_matter() {
    let other = |it: &mut PodDisruptionBudget| it.selector = Some(Selector::from_labels(Labels::new([("app", "db")])));
    let mut bed = under((0, 3, 3), |_| {}, other);
    assert!(evict(&mut bed, "p").is_ok(), "the budget guards other pods");
    let mut bed = under((0, 3, 3), |_| {}, |it| it.selector = Some(Selector::default()));
    assert!(evict(&mut bed, "p").is_err(), "an empty selector guards every pod");
    let mut bed = under((1, 3, 2), |_| {}, |_| {});
    assert_eq!(evict(&mut bed, "q").unwrap_err().to_string(), "pods \"q\" not found");
}

#[test]
fn unready_pods_pass_if_the_budget_is_met_or_says_so() {
    use UnhealthyPodEviction::{AlwaysAllow, IfHealthyBudget};
    // Policy; healthy and desired pods; whether the pod is ready; whether the eviction is granted.
    let table = [
        (IfHealthyBudget, 2, 3, false, false),
        (IfHealthyBudget, 3, 3, false, true),
        (IfHealthyBudget, 3, 3, true, false),
        (IfHealthyBudget, 0, 0, false, false),
        (AlwaysAllow, 2, 3, false, true),
        (AlwaysAllow, 0, 0, false, true),
        (AlwaysAllow, 3, 3, true, false),
    ];
    for (policy, healthy, desired, ready, granted) in table {
        let change = |pod: &mut Pod| {
            if !ready {
                unready(pod)
            }
        };
        let mut bed = under((0, healthy, desired), change, |it| it.unhealthy_pods = policy);
        let answer = evict(&mut bed, "p");
        assert_eq!(answer.is_ok(), granted, "{policy:?}, {healthy} of {desired}, ready {ready}: {answer:?}");
        let stored = bed.get::<PodDisruptionBudget>("default", "b").unwrap();
        assert!(stored.status.disrupted_pods.is_empty(), "an unready pod is not charged");
    }
}

#[test]
fn a_dry_run_changes_nothing_and_is_refused_as_the_real_one() {
    let mut bed = under((1, 3, 2), |_| {}, |_| {});
    assert!(evict_with(&mut bed, "p", true).is_ok());
    assert_eq!(allowed(&bed), 1);
    assert!(!bed.get::<Pod>("default", "p").unwrap().meta.is_terminating());
    let mut bed = under((0, 3, 3), |_| {}, |_| {});
    assert!(evict_with(&mut bed, "p", true).is_err());
}

#[test]
fn an_evicted_pod_carries_the_reason_and_is_deleted_only_under_the_uid_that_was_meant() {
    let mut bed = under((2, 3, 1), |_| {}, |_| {});
    let key = ObjectKey::new(Kind::Pod, "default", "p");
    let wrong = Some(crate::id::Uid::new(99));
    let id = bed.request(Request::Evict { key: key.clone(), uid: wrong, grace: None, dry_run: false });
    bed.run_for(Span::ZERO);
    assert!(matches!(bed.answers[&id], Err(Refusal::WrongUid { .. })));
    assert_eq!(allowed(&bed), 1, "the budget pays before the pod is looked at");
    assert!(!bed.get::<Pod>("default", "p").unwrap().meta.is_terminating());
    let uid = Some(bed.get::<Pod>("default", "p").unwrap().meta.uid);
    let id = bed.request(Request::Evict { key, uid, grace: None, dry_run: false });
    bed.run_for(Span::ZERO);
    assert!(bed.answers[&id].is_ok());
    let pod = bed.get::<Pod>("default", "p").unwrap();
    let mark = pod.status.conditions.get(ConditionKind::DisruptionTarget).unwrap();
    assert_eq!((mark.status, &*mark.reason), (Status3::True, "EvictionByEvictionAPI"));
    assert!(pod.meta.is_terminating());
}
