mod owners;

use super::*;
use crate::config::Config;
use crate::digest::Shared;
use crate::facts::What;
use crate::model::{Container, Deployment, Labels, Pod, PodSpec, PodTemplate, ReplicaSet, Selector};
use crate::store::Stored;
use crate::testbed::Testbed;
use crate::time::Span;

fn bed() -> Testbed {
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1"]);
    bed.add_node(0, "n1", "a", 8_000, 1 << 34);
    let labels = Labels::new([("app", "web")]);
    let container = Container { name: "app".into(), image: "app:v1".into(), ..Container::default() };
    let deployment = Deployment {
        meta: Meta::named("default", "web"),
        replicas: 3,
        selector: Selector::from_labels(labels.clone()),
        template: PodTemplate {
            labels,
            spec: Shared::new(PodSpec { containers: vec![container], ..PodSpec::default() }),
            ..PodTemplate::default()
        },
        ..Deployment::default()
    };
    bed.create(deployment);
    bed.run_for(Span::from_secs(10));
    assert_eq!((count::<ReplicaSet>(&bed), count::<Pod>(&bed)), (1, 3));
    bed
}

fn count<T: Stored + 'static>(bed: &Testbed) -> usize {
    bed.core.newest().all::<T>().count()
}

fn delete_web(bed: &mut Testbed, propagation: Propagation) {
    let key = ObjectKey::new(Kind::Deployment, "default", "web");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation });
}

/// The kinds in the order in which their last objects went.
fn order_of_ends(bed: &Testbed) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for (_, fact) in bed.facts.iter().filter(|(_, fact)| fact.what == What::Deleted) {
        kinds.retain(|kind| *kind != fact.subject.kind);
        kinds.push(fact.subject.kind);
    }
    kinds
}

#[test]
fn in_the_background_the_owner_goes_first_and_its_dependents_follow() {
    let mut bed = bed();
    delete_web(&mut bed, Propagation::Background);
    bed.run_for(Span::from_secs(10));
    assert_eq!((count::<Deployment>(&bed), count::<ReplicaSet>(&bed), count::<Pod>(&bed)), (0, 0, 0));
    assert_eq!(order_of_ends(&bed), [Kind::Deployment, Kind::ReplicaSet, Kind::Pod]);
}

#[test]
fn in_the_foreground_the_owner_goes_last() {
    let mut bed = bed();
    delete_web(&mut bed, Propagation::Foreground);
    bed.run_for(Span::ZERO);
    assert_eq!(count::<Deployment>(&bed), 1, "marked, not gone");
    bed.run_for(Span::from_secs(10));
    assert_eq!((count::<Deployment>(&bed), count::<ReplicaSet>(&bed), count::<Pod>(&bed)), (0, 0, 0));
    assert_eq!(order_of_ends(&bed), [Kind::Pod, Kind::ReplicaSet, Kind::Deployment]);
}

#[test]
fn what_comes_to_an_owner_that_waits_is_left_until_the_owner_is_looked_at_again() {
    let mut bed = bed();
    delete_web(&mut bed, Propagation::Foreground);
    bed.run_for(Span::from_millis(300));
    let web = bed.get::<Deployment>("default", "web").expect("it waits for its pods");
    let owner = OwnerReference {
        kind: Kind::Deployment,
        name: "web".into(),
        uid: web.meta.uid,
        controller: false,
        block_owner_deletion: true,
    };
    let meta = Meta { owners: [owner].into(), ..Meta::named("default", "late") };
    bed.create(crate::model::ConfigMap { meta, ..Default::default() });
    bed.run_for(Span::from_millis(300));
    assert!(bed.get::<crate::model::ConfigMap>("default", "late").is_some());
    bed.run_for(Span::from_secs(10));
    assert!(bed.get::<crate::model::ConfigMap>("default", "late").is_none());
    assert_eq!(count::<Deployment>(&bed), 0);
}

#[test]
fn orphans_lose_their_owner_and_stay() {
    let mut bed = bed();
    delete_web(&mut bed, Propagation::Orphan);
    bed.run_for(Span::from_secs(10));
    assert_eq!((count::<Deployment>(&bed), count::<ReplicaSet>(&bed), count::<Pod>(&bed)), (0, 1, 3));
    let (_, set) = bed.core.newest().all::<ReplicaSet>().next().unwrap();
    assert!(set.meta.owners.is_empty());
    assert_eq!(set.status.available, 3);
}

#[test]
fn an_object_whose_owner_never_was_is_removed() {
    let mut bed = bed();
    let owner = |uid: Uid, controller| OwnerReference {
        kind: Kind::ReplicaSet,
        name: "ghost".into(),
        uid,
        controller,
        block_owner_deletion: false,
    };
    for (name, controller) in [("managed", true), ("unmanaged", false)] {
        let meta = Meta { owners: [owner(Uid::new(7), controller)].into(), ..Meta::named("default", name) };
        bed.create(Pod { meta: meta.into(), ..Pod::default() });
    }
    bed.run_for(Span::from_secs(5));
    assert_eq!(count::<Pod>(&bed), 3);
}

#[test]
fn an_object_with_a_second_owner_stays_until_that_one_goes_too() {
    let mut bed = bed();
    for name in ["one", "two"] {
        bed.create(ReplicaSet { meta: Meta::named("default", name), ..ReplicaSet::default() });
    }
    let owner = |name: &str| OwnerReference {
        kind: Kind::ReplicaSet,
        name: name.into(),
        uid: bed.get::<ReplicaSet>("default", name).unwrap().meta.uid,
        controller: false,
        block_owner_deletion: false,
    };
    let meta = Meta { owners: [owner("one"), owner("two")].into(), ..Meta::named("default", "shared") };
    bed.create(Pod { meta: meta.into(), ..Pod::default() });
    let delete = |bed: &mut Testbed, name: &str| {
        let key = ObjectKey::new(Kind::ReplicaSet, "default", name);
        bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
        bed.run_for(Span::from_secs(5));
    };
    delete(&mut bed, "one");
    let owners = bed.get::<Pod>("default", "shared").unwrap().meta.owners.clone();
    assert_eq!(owners.iter().map(|owner| &*owner.name).collect::<Vec<_>>(), ["two"]);
    delete(&mut bed, "two");
    assert!(bed.get::<Pod>("default", "shared").is_none());
}
