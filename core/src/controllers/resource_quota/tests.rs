use super::*;
use crate::api::Propagation;
use crate::config::Config;
use crate::digest::Shared;
use crate::model::{Container, Labels, Meta, ObjectKey, Pod, PodSpec, PodTemplate, ReplicaSet, Secret, Selector};
use crate::testbed::Testbed;

fn quota(pods: i64) -> ResourceQuota {
    let hard = [("pods".into(), Quantity::from_units(pods, crate::quantity::Format::DecimalSi))].into();
    ResourceQuota { meta: Meta::named("default", "q"), hard, ..ResourceQuota::default() }
}

fn used(bed: &Testbed) -> i64 {
    bed.get::<ResourceQuota>("default", "q").expect("the quota is there").status.used["pods"].value()
}

fn replica_set(replicas: u32) -> ReplicaSet {
    let labels = Labels::new([("app", "web")]);
    let containers = vec![Container { name: "app".into(), ..Container::default() }];
    let spec = Shared::new(PodSpec { containers, ..PodSpec::default() });
    let template = PodTemplate { labels: labels.clone(), spec, ..PodTemplate::default() };
    let selector = Selector::from_labels(labels);
    ReplicaSet { meta: Meta::named("default", "web"), replicas, selector, template, ..ReplicaSet::default() }
}

fn pods(bed: &Testbed) -> usize {
    bed.core.newest().all::<Pod>().count()
}

#[test]
fn a_replica_set_gets_as_many_pods_as_the_quota_allows_and_the_rest_when_it_grows() {
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1"]);
    bed.add_node(0, "n1", "a", 64_000, 1 << 38);
    bed.create(quota(3));
    bed.run_for(Span::from_secs(1));
    bed.create(replica_set(5));
    bed.run_for(Span::from_secs(10));
    assert_eq!((pods(&bed), used(&bed)), (3, 3));
    assert!(bed.times_said("exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3") > 0);
    let id = bed.request(Request::Update { object: Object::ResourceQuota(Arc::new(quota(5))), expected: None });
    // The ReplicaSet tries again after its back-off only, which failures have lengthened to some minutes at most.
    bed.run_for(Span::from_secs(400));
    assert!(bed.answers[&id].is_ok(), "{:?}", bed.answers[&id]);
    assert_eq!((pods(&bed), used(&bed)), (5, 5));
}

#[test]
fn what_has_gone_makes_room_at_once() {
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1"]);
    bed.add_node(0, "n1", "a", 64_000, 1 << 38);
    bed.create(quota(3));
    bed.run_for(Span::from_secs(1));
    bed.create(replica_set(2));
    bed.run_for(Span::from_secs(10));
    let key = ObjectKey::new(Kind::ReplicaSet, "default", "web");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(30));
    assert_eq!((pods(&bed), used(&bed)), (0, 0));
}

#[test]
fn the_status_says_what_the_spec_limits_and_forgets_the_rest() {
    let mut bed = Testbed::new(Config::default());
    bed.create(quota(3));
    bed.run_for(Span::from_secs(1));
    let mut other = quota(3);
    other.hard = [("services".into(), Quantity::from_units(2, crate::quantity::Format::DecimalSi))].into();
    bed.request(Request::Update { object: Object::ResourceQuota(Arc::new(other.clone())), expected: None });
    bed.run_for(Span::from_secs(1));
    let status = bed.get::<ResourceQuota>("default", "q").expect("the quota is there").status.clone();
    assert_eq!(status.hard, other.hard);
    assert_eq!(status.used.keys().map(|name| &**name).collect::<Vec<_>>(), ["services"]);
}

#[test]
fn a_status_that_is_as_it_should_be_is_not_written_and_one_that_is_refused_is_written_later() {
    let mut bed = Testbed::new(Config::default());
    bed.create(quota(3));
    bed.run_for(Span::from_secs(1));
    bed.create(Pod { meta: Meta::named("default", "p").into(), ..Pod::default() });
    bed.run_for(Span::from_secs(1));
    assert_eq!(used(&bed), 1, "admission has charged it");
    let revision = bed.core.revision();
    bed.run_for(Span::from_secs(1_000));
    assert_eq!(bed.core.revision(), revision, "the counting of every five minutes finds nothing to write");
    // What somebody else has written there is counted anew then.
    let mut wrong = ResourceQuota::clone(&bed.get::<ResourceQuota>("default", "q").unwrap());
    for (before, refusals) in [(0, 0), (7, 2)] {
        wrong.status.used = [("pods".into(), Quantity::from_units(before, crate::quantity::Format::DecimalSi))].into();
        bed.request(Request::UpdateStatus { object: Object::ResourceQuota(Arc::new(wrong.clone())), expected: None });
        bed.run_for(Span::ZERO);
        bed.refuse(
            refusals,
            |it| matches!(it, Request::UpdateStatus { object, .. } if object.kind() == Kind::ResourceQuota),
        );
        bed.run_for(Span::from_secs(400));
        assert_eq!((used(&bed), bed.refusals_left()), (1, 0), "after {before}");
    }
}

#[test]
fn the_room_of_any_kind_is_free_again_when_an_object_has_gone() {
    let mut bed = Testbed::new(Config::default());
    let units = |count| Quantity::from_units(count, crate::quantity::Format::DecimalSi);
    let hard = [("count/replicasets.apps".into(), units(4)), ("secrets".into(), units(4))].into();
    bed.create(ResourceQuota { meta: Meta::named("default", "q"), hard, ..ResourceQuota::default() });
    bed.run_for(Span::from_secs(1));
    bed.create(replica_set(0));
    bed.create(Secret { meta: Meta::named("default", "key"), ..Secret::default() });
    bed.run_for(Span::from_secs(1));
    let used = |bed: &Testbed| {
        let quota = bed.get::<ResourceQuota>("default", "q").expect("the quota is there");
        ["count/replicasets.apps", "secrets"].map(|name| quota.status.used[name].value())
    };
    assert_eq!(used(&bed), [1, 1]);
    for (kind, name, left) in [(Kind::ReplicaSet, "web", [0, 1]), (Kind::Secret, "key", [0, 0])] {
        let key = ObjectKey::new(kind, "default", name);
        bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
        bed.run_for(Span::from_secs(1));
        assert_eq!(used(&bed), left, "after the end of {name}");
    }
}
