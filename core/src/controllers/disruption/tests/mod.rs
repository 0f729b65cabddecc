mod evictions;
mod managers;

use super::*;
use crate::api::{Answer, Propagation, Reply};
use crate::config::Config;
use crate::digest::Shared;
use crate::id::Name;
use crate::model::{
    ConditionKind, Container, DisruptionLimit, IntOrPercent, Labels, Meta, ObjectKey, OwnerReference, PodSpec,
    PodTemplate, ReplicaSet, Selector, Stranger, UnhealthyPodEviction,
};
use crate::testbed::Testbed;

fn labels() -> Labels {
    Labels::new([("app", "web")])
}

fn budget(name: &str, limit: DisruptionLimit) -> PodDisruptionBudget {
    let selector = Some(Selector::from_labels(labels()));
    PodDisruptionBudget { meta: Meta::named("default", name), selector, limit, ..PodDisruptionBudget::default() }
}

fn pod(name: &str) -> Pod {
    let container = Container { name: "app".into(), image: "app:v1".into(), ..Container::default() };
    let spec = PodSpec { containers: vec![container], termination_grace: Span::from_secs(30), ..PodSpec::default() };
    let mut meta = Meta::named("default", name);
    meta.labels = labels();
    Pod { meta: meta.into(), spec: Shared::new(spec), ..Pod::default() }
}

/// A pod that is managed by what has no scale.
fn oddly_managed() -> Pod {
    let owner = OwnerReference {
        kind: Kind::Service,
        name: "odd".into(),
        uid: crate::id::Uid::new(7),
        controller: true,
        block_owner_deletion: false,
    };
    let mut odd = pod("odd");
    odd.meta.owners = [owner].into();
    odd
}

fn replica_set(name: &str, replicas: u32) -> ReplicaSet {
    let labels = Labels::new([("app", "web"), ("set", name)]);
    let template = PodTemplate { labels: labels.clone(), spec: pod("x").spec, ..PodTemplate::default() };
    let (meta, selector) = (Meta::named("default", name), Selector::from_labels(labels));
    ReplicaSet { meta, replicas, selector, template, ..ReplicaSet::default() }
}

/// A cluster of one node on which a ReplicaSet of so many pods is running and ready.
fn bed_with(replicas: u32) -> Testbed {
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1"]);
    bed.add_node(0, "n1", "a", 64_000, 1 << 38);
    bed.create(replica_set("web", replicas));
    bed.run_for(Span::from_secs(10));
    bed
}

fn status(bed: &Testbed, name: &str) -> (u32, u32, u32, u32) {
    let status = bed.get::<PodDisruptionBudget>("default", name).expect("the budget is there").status.clone();
    (status.disruptions_allowed, status.current_healthy, status.desired_healthy, status.expected_pods)
}

fn pods(bed: &Testbed) -> Vec<Name> {
    bed.core.newest().all::<Pod>().map(|(_, pod)| pod.meta.name.clone()).collect()
}

fn evict_with(bed: &mut Testbed, name: &str, dry_run: bool) -> Answer {
    let key = ObjectKey::new(Kind::Pod, "default", name);
    let id = bed.request(Request::Evict { key, uid: None, grace: None, dry_run });
    bed.run_for(Span::ZERO);
    bed.answers[&id].clone()
}

fn evict(bed: &mut Testbed, name: &str) -> Answer {
    evict_with(bed, name, false)
}

#[test]
fn counts_follow_the_limit_s_form_with_shares_rounded_up() {
    use DisruptionLimit::{MaxUnavailable, MinAvailable};
    use IntOrPercent::{Int, Percent};
    let mut bed = bed_with(7);
    let cases = [
        ("none", DisruptionLimit::None, (0, 7, 0, 0)),
        ("min-5", MinAvailable(Int(5)), (2, 7, 5, 7)),
        ("min-9", MinAvailable(Int(9)), (0, 7, 9, 7)),
        ("min-30", MinAvailable(Percent(30)), (4, 7, 3, 7)),
        ("min-100", MinAvailable(Percent(100)), (0, 7, 7, 7)),
        ("max-2", MaxUnavailable(Int(2)), (2, 7, 5, 7)),
        ("max-0", MaxUnavailable(Int(0)), (0, 7, 7, 7)),
        ("max-9", MaxUnavailable(Int(9)), (7, 7, 0, 7)),
        ("max-30", MaxUnavailable(Percent(30)), (3, 7, 4, 7)),
    ];
    for (name, limit, _) in &cases {
        bed.create(budget(name, *limit));
    }
    bed.run_for(Span::from_secs(1));
    for (name, _, expected) in cases {
        assert_eq!(status(&bed, name), expected, "{name}");
    }
}

#[test]
fn no_selector_guards_nothing_and_an_empty_one_everything() {
    let mut bed = bed_with(3);
    let limit = DisruptionLimit::MinAvailable(IntOrPercent::Int(1));
    bed.create(PodDisruptionBudget { selector: None, ..budget("nothing", limit) });
    bed.create(PodDisruptionBudget { selector: Some(Selector::default()), ..budget("everything", limit) });
    bed.run_for(Span::from_secs(1));
    assert_eq!(status(&bed, "nothing"), (0, 0, 1, 0));
    assert_eq!(status(&bed, "everything"), (2, 3, 1, 3));
}

#[test]
fn the_wanted_number_is_that_of_all_managers_and_follows_their_scale() {
    let mut bed = bed_with(3);
    bed.create(replica_set("other", 2));
    bed.create(budget("b", DisruptionLimit::MaxUnavailable(IntOrPercent::Percent(40))));
    bed.run_for(Span::from_secs(10));
    assert_eq!(status(&bed, "b"), (2, 5, 3, 5));
    let key = ObjectKey::new(Kind::ReplicaSet, "default", "other");
    bed.request(Request::Patch { key, patch: crate::api::Patch::Replicas(7) });
    bed.run_for(Span::from_secs(10));
    assert_eq!(status(&bed, "b"), (4, 10, 6, 10));
}

#[test]
fn a_pod_without_a_manager_counts_by_number_but_not_by_share() {
    let mut bed = bed_with(2);
    bed.create(pod("bare"));
    bed.run_for(Span::from_secs(10));
    // A pod's change wakes one budget only, so both come when all pods are ready.
    bed.create(budget("int", DisruptionLimit::MinAvailable(IntOrPercent::Int(2))));
    bed.create(budget("share", DisruptionLimit::MinAvailable(IntOrPercent::Percent(50))));
    bed.run_for(Span::from_secs(1));
    assert_eq!(status(&bed, "int"), (1, 3, 2, 3));
    assert_eq!(status(&bed, "share"), (2, 3, 1, 2));
}

#[test]
fn a_manager_without_a_scale_closes_the_budget() {
    let mut bed = bed_with(1);
    bed.create(budget("b", DisruptionLimit::MaxUnavailable(IntOrPercent::Int(1))));
    bed.run_for(Span::from_secs(1));
    assert_eq!(status(&bed, "b"), (1, 1, 0, 1));
    bed.create(oddly_managed());
    bed.run_for(Span::ZERO);
    let stored = bed.get::<PodDisruptionBudget>("default", "b").unwrap();
    let condition = stored.status.conditions.get(ConditionKind::DisruptionAllowed).unwrap();
    assert_eq!((condition.status, &*condition.reason), (Status3::False, SYNC_FAILED));
    assert_eq!(&*condition.message, "services does not implement the scale subresource");
    assert_eq!(stored.status.disruptions_allowed, 0);
}

#[test]
fn a_manager_of_an_unknown_kind_closes_the_budget_that_asks_for_it() {
    let mut bed = bed_with(1);
    bed.create(budget("b", DisruptionLimit::MaxUnavailable(IntOrPercent::Int(1))));
    let mut strange = pod("strange");
    let lamp = Stranger { api_version: "example.com/v1".into(), kind: "Lamp".into(), controller: true };
    strange.meta.strangers = vec![lamp].into();
    bed.create(strange);
    bed.run_for(Span::from_secs(5));
    let stored = bed.get::<PodDisruptionBudget>("default", "b").unwrap();
    let condition = stored.status.conditions.get(ConditionKind::DisruptionAllowed).unwrap();
    assert_eq!(&*condition.message, "no matches for kind \"Lamp\" in version \"example.com/v1\"");
    let key = ObjectKey::new(Kind::Pod, "default", "strange");
    bed.request(Request::Delete { key, uid: None, grace: Some(Span::ZERO), propagation: Propagation::Background });
    bed.run_for(Span::from_secs(1));
    assert_eq!(status(&bed, "b"), (1, 1, 0, 1));
}

#[test]
fn a_budget_that_counts_as_before_its_failed_sync_says_so_again() {
    let mut bed = bed_with(0);
    bed.create(budget("b", DisruptionLimit::MaxUnavailable(IntOrPercent::Int(1))));
    bed.run_for(Span::from_secs(1));
    let reason = |bed: &Testbed| {
        let stored = bed.get::<PodDisruptionBudget>("default", "b").unwrap();
        stored.status.conditions.get(ConditionKind::DisruptionAllowed).unwrap().reason.clone()
    };
    assert_eq!(&*reason(&bed), "InsufficientPods");
    bed.create(oddly_managed());
    bed.run_for(Span::ZERO);
    assert_eq!(&*reason(&bed), SYNC_FAILED);
    let key = ObjectKey::new(Kind::Pod, "default", "odd");
    bed.request(Request::Delete { key, uid: None, grace: Some(Span::ZERO), propagation: Propagation::Background });
    bed.run_for(Span::from_secs(1));
    assert_eq!((status(&bed, "b"), &*reason(&bed)), ((0, 0, 0, 0), "InsufficientPods"));
}

#[test]
fn evictions_are_granted_until_the_budget_is_used_up_and_again_when_it_recovers() {
    let mut bed = bed_with(3);
    bed.create(budget("b", DisruptionLimit::MinAvailable(IntOrPercent::Int(2))));
    bed.run_for(Span::from_secs(1));
    let names = pods(&bed);
    let missing = ObjectKey::new(Kind::Pod, "default", "nope");
    assert_eq!(evict(&mut bed, "nope"), Err(Refusal::NotFound(missing)));
    assert!(evict_with(&mut bed, &names[0], true).is_ok());
    assert_eq!(status(&bed, "b").0, 1, "a dry run takes nothing off");

    let Ok(Reply::Deleted(Some(Object::Pod(first)))) = evict(&mut bed, &names[0]) else { panic!("granted") };
    let mark = first.status.conditions.get(ConditionKind::DisruptionTarget).unwrap();
    assert_eq!((&*mark.reason, &*mark.message), ("EvictionByEvictionAPI", "Eviction API: evicting"));
    let refusal = evict(&mut bed, &names[1]).unwrap_err();
    let cause = "The disruption budget b needs 2 healthy pods and has 2 currently";
    assert_eq!(refusal, Refusal::TooManyRequests { cause: cause.into(), retry_after: Span::ZERO });
    assert!(evict(&mut bed, &names[0]).is_ok(), "a pod that is going already is free");

    bed.run_for(Span::from_secs(10));
    assert_eq!(status(&bed, "b"), (1, 3, 2, 3), "the replacement is ready");
    assert!(evict(&mut bed, &names[1]).is_ok());
}

#[test]
fn a_budget_that_the_controller_has_not_seen_asks_to_wait() {
    let mut bed = bed_with(2);
    let name = pods(&bed)[0].clone();
    let key = ObjectKey::new(Kind::Pod, "default", &name);
    let limit = DisruptionLimit::MinAvailable(IntOrPercent::Int(1));
    bed.request(Request::Create(Object::PodDisruptionBudget(Arc::new(budget("b", limit)))));
    let id = bed.request(Request::Evict { key, uid: None, grace: None, dry_run: false });
    bed.run_for(Span::ZERO);
    let Err(Refusal::TooManyRequests { cause, retry_after }) = &bed.answers[&id] else { panic!("refused") };
    assert_eq!(&**cause, "The disruption budget b is still being processed by the server.");
    assert_eq!(*retry_after, Span::from_secs(10));
}

#[test]
fn a_pod_of_two_budgets_cannot_be_evicted() {
    let mut bed = bed_with(2);
    for name in ["a", "b"] {
        bed.create(budget(name, DisruptionLimit::MinAvailable(IntOrPercent::Int(0))));
    }
    let name = pods(&bed)[0].clone();
    assert_eq!(evict(&mut bed, &name), Err(Refusal::SeveralBudgets));
}

#[test]
fn pods_that_are_not_ready_pass_if_the_others_suffice_or_if_the_budget_says_always() {
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1"]);
    bed.add_node(0, "n1", "a", 64_000, 1 << 38);
    bed.create(pod("well"));
    let mut ill = pod("ill");
    let mut spec = (*ill.spec).clone();
    spec.containers[0].image = "app-never-ready".into();
    ill.spec = Shared::new(spec);
    bed.create(ill);
    bed.run_for(Span::from_secs(10));

    let strict = budget("b", DisruptionLimit::MinAvailable(IntOrPercent::Int(2)));
    bed.create(strict.clone());
    bed.run_for(Span::from_secs(1));
    assert!(evict_with(&mut bed, "ill", true).is_err(), "one is ready, two must be");
    let always = PodDisruptionBudget { unhealthy_pods: UnhealthyPodEviction::AlwaysAllow, ..strict };
    bed.request(Request::Update { object: Object::PodDisruptionBudget(Arc::new(always)), expected: None });
    bed.run_for(Span::from_secs(1));
    assert!(evict_with(&mut bed, "ill", true).is_ok());
    assert!(evict_with(&mut bed, "well", true).is_err(), "a ready pod is guarded all the same");
    let mild = budget("b", DisruptionLimit::MinAvailable(IntOrPercent::Int(1)));
    bed.request(Request::Update { object: Object::PodDisruptionBudget(Arc::new(mild)), expected: None });
    bed.run_for(Span::from_secs(1));
    assert!(evict(&mut bed, "ill").is_ok(), "one is ready, as must be");
    assert_eq!(status(&bed, "b").0, 0, "nothing is taken off for it");
}

#[test]
fn an_eviction_whose_pod_stays_stops_counting_after_two_minutes() {
    let mut bed = bed_with(3);
    let limit = DisruptionLimit::MinAvailable(IntOrPercent::Int(2));
    bed.create(budget("b", limit));
    bed.run_for(Span::from_secs(1));
    let mut stored = PodDisruptionBudget::clone(&bed.get("default", "b").unwrap());
    stored.status.disrupted_pods.insert(pods(&bed)[0].clone(), bed.now());
    stored.status.disrupted_pods.insert("gone-long-ago".into(), bed.now());
    bed.request(Request::UpdateStatus { object: Object::PodDisruptionBudget(Arc::new(stored)), expected: None });
    bed.run_for(Span::from_secs(1));
    assert_eq!(status(&bed, "b"), (0, 2, 2, 3));
    assert_eq!(bed.get::<PodDisruptionBudget>("default", "b").unwrap().status.disrupted_pods.len(), 1);
    bed.run_for(Span::from_secs(118));
    assert_eq!(status(&bed, "b").0, 0);
    bed.run_for(Span::from_secs(2));
    assert_eq!(status(&bed, "b"), (1, 3, 2, 3));
}

#[test]
fn a_mark_of_a_disruption_that_does_not_come_is_taken_back_after_two_minutes() {
    let mut bed = bed_with(1);
    let name = pods(&bed)[0].clone();
    let set = |bed: &mut Testbed, reason: &str| {
        let key = ObjectKey::new(Kind::Pod, "default", &name);
        let kind = ConditionKind::DisruptionTarget;
        let patch = crate::api::Patch::PodCondition {
            kind,
            status: Status3::True,
            reason: reason.into(),
            message: Name::default(),
        };
        bed.request(Request::Patch { key, patch });
        bed.run_for(Span::from_secs(119));
    };
    let mark = |bed: &Testbed| {
        let pod = bed.get::<Pod>("default", &name).unwrap();
        pod.status.conditions.is_true(ConditionKind::DisruptionTarget)
    };
    set(&mut bed, "PreemptionByScheduler");
    assert!(mark(&bed));
    bed.run_for(Span::from_secs(2));
    assert!(!mark(&bed));
    set(&mut bed, BY_KUBELET);
    bed.run_for(Span::from_secs(2));
    assert!(mark(&bed), "the kubelet may take its time");
    let key = ObjectKey::new(Kind::Pod, "default", &name);
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
}

#[test]
fn a_mark_is_as_old_as_the_whole_second_that_the_api_keeps() {
    let mut pod = Pod::default();
    let at = Time::from_millis(7_900);
    pod.status.conditions.set(ConditionKind::DisruptionTarget, Status3::True, "PreemptionByScheduler", "", at);
    assert_eq!(super::stale_at(&pod), Some(Time::from_secs(127)));
}

#[test]
fn a_condition_that_somebody_else_has_set_stays_when_the_budget_is_counted() {
    let mut bed = bed_with(3);
    bed.create(budget("guard", DisruptionLimit::MinAvailable(IntOrPercent::Int(1))));
    bed.run_for(Span::from_secs(5));
    let mut marked = PodDisruptionBudget::clone(&bed.get::<PodDisruptionBudget>("default", "guard").unwrap());
    let now = bed.now();
    marked.status.conditions.set(ConditionKind::Progressing, Status3::True, "ByHand", "", now);
    bed.request(Request::UpdateStatus { object: Object::PodDisruptionBudget(Arc::new(marked)), expected: None });
    bed.run_for(Span::from_secs(1));
    let before = status(&bed, "guard");
    let name = pods(&bed)[0].clone();
    let answer = evict(&mut bed, &name);
    assert!(answer.is_ok(), "{answer:?}");
    bed.run_for(Span::from_secs(5));
    assert_ne!((before, bed.now()), (status(&bed, "guard"), now), "it was counted since");
    let guard = bed.get::<PodDisruptionBudget>("default", "guard").unwrap();
    let kept = guard.status.conditions.get(ConditionKind::Progressing).expect("it is still there");
    assert_eq!((kept.status, &*kept.reason), (Status3::True, "ByHand"));
    assert!(guard.status.conditions.get(ConditionKind::DisruptionAllowed).is_some());
}
