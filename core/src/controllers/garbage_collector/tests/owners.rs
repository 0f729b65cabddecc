//! Owners that are there, that are gone, that never were, and that are not what a reference says.

use super::*;
use crate::controllers::owned_by;
use crate::id::{Name, Uid};
use crate::model::{Namespace, Node, OwnerReference, Service, Stranger};

fn child(namespace: &str, name: &str, owners: &[OwnerReference]) -> Service {
    Service { meta: Meta { owners: owners.into(), ..Meta::named(namespace, name) }, ..Service::default() }
}

/// Two namespaces with a Service `owner` each, and a node.
fn two_namespaces() -> (Testbed, [OwnerReference; 3]) {
    let mut bed = Testbed::new(Config::default());
    bed.create(Namespace::named("other"));
    bed.create(child("default", "owner", &[]));
    bed.create(child("other", "owner", &[]));
    bed.add_node(0, "n1", "a", 4_000, 1 << 30);
    let of = |namespace: &str| owned_by(Kind::Service, &bed.get::<Service>(namespace, "owner").unwrap().meta);
    let node = owned_by(Kind::Node, &bed.get::<Node>("", "n1").unwrap().meta);
    let owners = [of("default"), of("other"), node];
    (bed, owners)
}

fn is_there(bed: &Testbed, namespace: &str, name: &str) -> bool {
    bed.get::<Service>(namespace, name).is_some()
}

fn absent(kind: Kind, name: &str, uid: u128) -> OwnerReference {
    owned_by(kind, &Meta { uid: Uid::new(uid), ..Meta::named("default", name) })
}

#[test]
fn an_object_stays_as_long_as_one_of_its_owners_is_there() {
    let (mut bed, [own, foreign, node]) = two_namespaces();
    let gone = || absent(Kind::Service, "never", 999);
    let stale = || OwnerReference { uid: Uid::new(998), ..own.clone() };
    let rows: [(&str, Vec<OwnerReference>, bool); 8] = [
        ("none", vec![], true),
        ("own", vec![own.clone()], true),
        ("cluster-wide", vec![node.clone()], true),
        ("gone", vec![gone()], false),
        ("stale", vec![stale()], false),
        ("foreign", vec![foreign.clone()], false),
        ("gone-and-own", vec![gone(), own.clone()], true),
        ("foreign-and-own", vec![foreign, own], true),
    ];
    for (name, owners, _) in &rows {
        bed.create(child("default", name, owners));
    }
    bed.run_for(Span::from_secs(60));
    for (name, _, stays) in &rows {
        assert_eq!(is_there(&bed, "default", name), *stays, "{name}: {:#?}", bed.told());
    }
    let left = bed.get::<Service>("default", "gone-and-own").unwrap();
    assert_eq!(left.meta.owners.len(), 1, "the owner that is gone is taken off");
}

#[test]
fn an_object_with_an_owner_of_an_unknown_kind_is_left_as_it_is() {
    let (mut bed, [own, ..]) = two_namespaces();
    let gone = absent(Kind::Service, "never", 999);
    let lamp = || Stranger { api_version: "example.com/v1".into(), kind: "Lamp".into(), controller: false };
    let strange = |name: &str, owners: &[OwnerReference]| {
        let mut child = child("default", name, owners);
        child.meta.strangers = vec![lamp()].into();
        child
    };
    bed.create(strange("alone", &[]));
    bed.create(strange("with-one-gone", std::slice::from_ref(&gone)));
    bed.create(strange("with-one-of-each", &[gone, own]));
    bed.run_for(Span::from_secs(60));
    for (name, owners) in [("alone", 0), ("with-one-gone", 1), ("with-one-of-each", 2)] {
        let left = bed.get::<Service>("default", name).expect("it is there");
        assert_eq!(left.meta.owners.len(), owners, "{name}");
    }
}

#[test]
fn the_last_owner_takes_its_dependents_along_by_uid_and_not_by_name() {
    let (mut bed, [own, _, node]) = two_namespaces();
    bed.create(child("default", "single", std::slice::from_ref(&own)));
    bed.create(child("default", "double", &[own.clone(), node]));
    bed.run_for(Span::from_secs(1));
    let key = ObjectKey::new(Kind::Service, "default", "owner");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.create(child("default", "owner", &[]));
    bed.run_for(Span::from_secs(60));
    assert!(!is_there(&bed, "default", "single"), "the new object of that name is another owner");
    assert!(is_there(&bed, "default", "double") && is_there(&bed, "default", "owner"));
}

#[test]
fn an_object_is_removed_when_its_owner_was_gone_before_anybody_saw_it() {
    use crate::id::ProcId;
    use crate::seam::Input;
    let (mut bed, [own, ..]) = two_namespaces();
    bed.create(child("default", "single", &[own]));
    bed.input(Input::Crashed(ProcId::CONTROLLER_MANAGER));
    let key = ObjectKey::new(Kind::Service, "default", "owner");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(5));
    assert!(is_there(&bed, "default", "single"));
    bed.input(Input::Started(ProcId::CONTROLLER_MANAGER));
    bed.run_for(Span::from_secs(10));
    assert!(!is_there(&bed, "default", "single"), "{:#?}", bed.told());
}

#[test]
fn two_objects_that_own_each_other_go_together_in_the_foreground() {
    let (mut bed, [own, ..]) = two_namespaces();
    bed.create(child("default", "second", &[own]));
    let second = owned_by(Kind::Service, &bed.get::<Service>("default", "second").unwrap().meta);
    let mut first = Service::clone(&bed.get::<Service>("default", "owner").unwrap());
    first.meta.owners = [second].into();
    bed.request(Request::Update { object: crate::model::Object::Service(std::sync::Arc::new(first)), expected: None });
    bed.run_for(Span::from_secs(5));
    assert!(is_there(&bed, "default", "owner") && is_there(&bed, "default", "second"), "a circle keeps itself");
    let key = ObjectKey::new(Kind::Service, "default", "owner");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Foreground });
    bed.run_for(Span::from_secs(30));
    assert!(!is_there(&bed, "default", "owner") && !is_there(&bed, "default", "second"), "{:#?}", bed.told());
}

#[test]
fn what_does_not_hold_its_owner_back_goes_when_the_owner_begins_to_wait() {
    let (mut bed, [own, ..]) = two_namespaces();
    let mut held = child("default", "held", std::slice::from_ref(&own));
    held.meta.finalizers = ["example.com/hold".into()].into();
    bed.create(held);
    let free = OwnerReference { controller: false, block_owner_deletion: false, ..own };
    bed.create(child("default", "free", &[free]));
    bed.run_for(Span::from_secs(1));
    let key = ObjectKey::new(Kind::Service, "default", "owner");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Foreground });
    bed.run_for(Span::from_secs(5));
    assert!(is_there(&bed, "default", "owner") && is_there(&bed, "default", "held"), "the owner waits for this one");
    assert!(!is_there(&bed, "default", "free"), "{:#?}", bed.told());
}

#[test]
fn an_object_without_a_namespace_stays_whatever_its_owners_in_namespaces_come_to() {
    let (mut bed, [own, _, node]) = two_namespaces();
    let gone_node = || absent(Kind::Node, "never", 997);
    // The owners of a volume, which has no namespace; whether it stays.
    for (name, owners, stays) in [
        ("of-a-service", vec![own.clone()], true),
        ("of-no-service", vec![absent(Kind::Service, "never", 999)], true),
        ("of-both", vec![gone_node(), own.clone()], true),
        ("of-a-node", vec![node.clone()], true),
        ("of-no-node", vec![gone_node()], false),
    ] {
        let meta = Meta { owners: owners.into(), ..Meta::named("", name) };
        bed.create(crate::model::StorageClass { meta, ..crate::model::StorageClass::default() });
        bed.run_for(Span::from_secs(5));
        let there = bed.get::<crate::model::StorageClass>("", name).is_some();
        assert_eq!(there, stays, "{name}: {:?}", bed.told());
    }
}

#[test]
fn an_owner_in_another_namespace_is_complained_about_once() {
    use crate::model::StorageClass;
    let (mut bed, [own, foreign, node]) = two_namespaces();
    let uid = foreign.uid;
    let sentence = |namespace: &str, uid| {
        format!(
            "Warning OwnerRefInvalidNamespace x1: ownerRef [v1/Service, namespace: {namespace}, name: owner, uid: \
             {uid}] does not exist in namespace \"{namespace}\""
        )
    };
    let told = |bed: &Testbed, kind: Kind, name: &str| -> Vec<String> {
        bed.events(kind, name).into_iter().filter(|line| line.contains("OwnerRefInvalidNamespace")).collect()
    };
    for (name, owners, complains) in [
        ("bad", vec![foreign.clone()], true),
        ("bad-and-good", vec![foreign.clone(), own.clone()], true),
        ("good", vec![own.clone(), node.clone()], false),
        ("of-nobody", vec![absent(Kind::Service, "never", 999)], false),
    ] {
        bed.create(child("default", name, &owners));
        bed.run_for(Span::from_secs(10));
        let told = told(&bed, Kind::Service, name);
        assert_eq!(told.len(), usize::from(complains), "{name}: {told:?}");
        assert!(told.iter().all(|line| line.ends_with(&sentence("default", uid))), "{name}: {told:?}");
    }
    // An owner that is added later, and one of something without a namespace.
    bed.create(child("default", "late", std::slice::from_ref(&own)));
    let mut late = Service::clone(&bed.get::<Service>("default", "late").unwrap());
    late.meta.owners = [own.clone(), foreign].into();
    bed.request(Request::Update { object: crate::model::Object::Service(std::sync::Arc::new(late)), expected: None });
    bed.run_for(Span::from_secs(10));
    assert_eq!(told(&bed, Kind::Service, "late").len(), 1);
    assert!(is_there(&bed, "default", "late"), "it has another owner");
    let meta = Meta { owners: [own.clone()].into(), ..Meta::named("", "wide") };
    bed.create(StorageClass { meta, ..StorageClass::default() });
    bed.run_for(Span::from_secs(10));
    let told = told(&bed, Kind::StorageClass, "wide");
    assert!(told.len() == 1 && told[0].ends_with(&sentence("", own.uid)), "{told:?}");
    assert!(bed.get::<StorageClass>("", "wide").is_some());
}

#[test]
fn an_orphaning_that_is_refused_is_tried_again_before_the_owner_goes() {
    for (kind, times) in [(Kind::ReplicaSet, 2), (Kind::Deployment, 1)] {
        let mut bed = bed();
        bed.refuse(times, move |request| matches!(request, Request::Update { object, .. } if object.kind() == kind));
        delete_web(&mut bed, Propagation::Orphan);
        bed.run_for(Span::ZERO);
        assert_eq!(count::<Deployment>(&bed), 1, "{kind:?}: the owner waits");
        bed.run_for(Span::from_secs(30));
        assert_eq!(bed.refusals_left(), 0, "{kind:?}");
        assert_eq!((count::<Deployment>(&bed), count::<ReplicaSet>(&bed), count::<Pod>(&bed)), (0, 1, 3), "{kind:?}");
        let (_, set) = bed.core.newest().all::<ReplicaSet>().next().unwrap();
        assert!(set.meta.owners.is_empty(), "{kind:?}");
    }
}

#[test]
fn a_second_deletion_with_another_policy_takes_the_place_of_the_first() {
    let mut bed = super::bed();
    let key = ObjectKey::new(Kind::Deployment, "default", "web");
    let held = |bed: &Testbed| -> Vec<String> {
        let found = bed.get::<Deployment>("default", "web");
        found.map(|it| it.meta.finalizers.iter().map(|text| text.to_string()).collect()).unwrap_or_default()
    };
    // A finalizer of somebody else keeps the Deployment while the policies change.
    let mut deployment = Deployment::clone(&bed.get::<Deployment>("default", "web").expect("the Deployment is there"));
    deployment.meta.finalizers = [Name::from("example.com/wait")].into();
    bed.request(Request::Update { object: Object::Deployment(deployment.into()), expected: None });
    let mut delete = |propagation| {
        bed.request(Request::Delete { key: key.clone(), uid: None, grace: None, propagation });
        bed.run_for(Span::ZERO);
        held(&bed)
    };
    assert_eq!(delete(Propagation::Foreground), ["example.com/wait", "foregroundDeletion"]);
    assert_eq!(delete(Propagation::Background), ["example.com/wait", "foregroundDeletion"], "no policy is named");
    assert_eq!(delete(Propagation::Orphan), ["example.com/wait", "orphan"]);
    assert_eq!(delete(Propagation::BackgroundAnyway), ["example.com/wait"]);
}
