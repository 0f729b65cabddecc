mod conditions;

use super::*;
use crate::config::Config;
use crate::digest::Shared;
use crate::facts::What;
use crate::model::{
    Container, Deployment, Labels, Meta, ObjectKey, PodSpec, PodTemplate, ReplicaSet, Selector, Service,
};
use crate::testbed::{StandIn, Testbed};
use crate::time::Time;

fn bed(term: Span) -> Testbed {
    let stand_in = StandIn { start: Span::from_secs(1), ready: Span::from_secs(1), term };
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1"]).with_stand_in(stand_in);
    bed.add_node(0, "n1", "a", 8_000, 1 << 34);
    bed.create(Namespace::named("shop"));
    let labels = Labels::new([("app", "web")]);
    let container = Container { name: "app".into(), image: "app:v1".into(), ..Container::default() };
    bed.create(Deployment {
        meta: Meta::named("shop", "web"),
        replicas: 3,
        selector: Selector::from_labels(labels.clone()),
        template: PodTemplate {
            labels: labels.clone(),
            spec: Shared::new(PodSpec { containers: vec![container], ..PodSpec::default() }),
            ..PodTemplate::default()
        },
        ..Deployment::default()
    });
    bed.create(Service { meta: Meta::named("shop", "web"), selector: Some(labels), ..Service::default() });
    bed.run_for(Span::from_secs(10));
    bed
}

fn delete_shop(bed: &mut Testbed) -> Time {
    let key = ObjectKey::new(Kind::Namespace, "", "shop");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.now()
}

#[test]
fn a_deleted_namespace_loses_its_pods_first_then_everything_else_then_itself() {
    let mut bed = bed(Span::from_secs(1));
    let asked = delete_shop(&mut bed);
    bed.run_for(Span::from_secs(4));
    assert_eq!(bed.core.newest().all::<Pod>().filter(|(_, pod)| pod.meta.is_terminating()).count(), 0);
    bed.run_for(Span::from_secs(2));
    assert_eq!(bed.core.newest().all::<Deployment>().count(), 1, "other kinds wait for the pods");
    bed.run_for(Span::from_secs(6));
    assert!(bed.get::<Namespace>("", "shop").is_none(), "{:?}", bed.told());
    let ends: Vec<(Span, Kind)> = bed
        .facts
        .iter()
        .filter(|(_, fact)| fact.what == What::Deleted)
        .map(|(at, fact)| (at.since(asked), fact.subject.kind))
        .collect();
    // Recorded: namespace-delete. The first pass comes 5 s after the request, the second 5 s after the first.
    let pods = ends.iter().filter(|(_, kind)| *kind == Kind::Pod);
    assert!(pods.clone().all(|(after, _)| *after == Span::from_secs(6)), "{ends:?}");
    assert_eq!(pods.count(), 3, "no pod was created anew");
    assert_eq!(ends.last().unwrap(), &(Span::from_secs(10), Kind::Namespace));
    assert_eq!(bed.core.newest().all::<ReplicaSet>().count(), 0);
    assert_eq!(bed.core.newest().all::<Service>().count(), 0);
}

#[test]
fn a_namespace_waits_for_pods_that_take_their_time() {
    let mut bed = bed(Span::from_secs(25));
    delete_shop(&mut bed);
    bed.run_for(Span::from_secs(29));
    assert_eq!(bed.core.newest().all::<Pod>().count(), 3);
    assert!(bed.get::<Namespace>("", "shop").is_some());
    bed.run_for(Span::from_secs(20));
    assert!(bed.get::<Namespace>("", "shop").is_none());
}

#[test]
fn a_namespace_of_no_concern_is_left_alone_and_an_empty_one_goes() {
    let mut bed = bed(Span::from_secs(1));
    bed.create(Namespace::named("empty"));
    let key = ObjectKey::new(Kind::Namespace, "", "empty");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(6));
    assert!(bed.get::<Namespace>("", "empty").is_none());
    assert_eq!(bed.core.newest().all::<Pod>().count(), 3);
}
