//! What the conditions of a namespace tell while it is emptied, and when it is looked at again.

use super::*;
use crate::api::Patch;
use crate::model::{ConditionKind, Conditions, ConfigMap, MetaExtras, Status3};

/// The namespace's conditions as `type=status(reason): message`, by type.
fn told(conditions: &Conditions) -> Vec<String> {
    let text = |condition: crate::model::Condition| {
        let kind = format!("{:?}", condition.kind);
        let kind = kind.trim_start_matches("Namespace").trim_start_matches("Deletion").to_owned();
        format!("{kind}={:?}({}): {}", condition.status, condition.reason, condition.message)
    };
    conditions.iter().map(text).collect()
}

fn conditions_of(bed: &Testbed, name: &str) -> Conditions {
    bed.get::<Namespace>("", name).expect("the namespace is still there").conditions.clone()
}

fn is_conditions(request: &Request) -> bool {
    matches!(request, Request::UpdateStatus { object: Object::Namespace(_), .. })
}

const GOOD: [&str; 5] = [
    "DiscoveryFailure=False(ResourcesDiscovered): All resources successfully discovered",
    "GroupVersionParsingFailure=False(ParsedGroupVersions): All legacy kube types successfully parsed",
    "ContentFailure=False(ContentDeleted): All content successfully deleted, may be waiting on finalization",
    "ContentRemaining=False(ContentRemoved): All content successfully removed",
    "FinalizersRemaining=False(ContentHasNoFinalizers): All content-preserving finalizers finished",
];

/// A bed with a namespace that has nothing in it but ConfigMaps with such finalizers.
fn held_by(maps: &[&[&str]]) -> Testbed {
    let mut bed = Testbed::new(Config::default());
    bed.create(Namespace::named("shop"));
    for (place, finalizers) in maps.iter().enumerate() {
        let mut meta = Meta::named("shop", &format!("held-{place}"));
        meta.finalizers = finalizers.iter().map(|name| Name::from(*name)).collect();
        bed.create(ConfigMap { meta, ..ConfigMap::default() });
    }
    bed
}

/// An answer to the deletion of a ConfigMap that such finalizers hold.
fn waiting(finalizers: &[&str]) -> Answer {
    let finalizers = finalizers.iter().map(|name| Name::from(*name)).collect();
    let meta = Meta { extras: MetaExtras { finalizers, ..MetaExtras::default() }.into(), ..Meta::default() };
    Ok(Reply::Deleted(Some(Object::ConfigMap(Arc::new(ConfigMap { meta, ..ConfigMap::default() })))))
}

#[test]
fn what_is_left_is_told_by_kind_and_by_what_holds_it() {
    let gone: Answer = Ok(Reply::Deleted(None));
    let missing: Answer = Err(Refusal::NotFound(ObjectKey::new(Kind::ConfigMap, "shop", "a")));
    let full: Answer = Err(Refusal::Internal { message: "the disk is full".into() });
    let (claims, sets) = (Kind::PersistentVolumeClaim, Kind::ReplicaSet);
    let left = "ContentRemaining=True(SomeResourcesRemain): Some resources are remaining:";
    let held =
        "FinalizersRemaining=True(SomeFinalizersRemain): Some content in the namespace has finalizers remaining:";
    let failed = "ContentFailure=True(ContentDeletionFailed): Failed to delete all resource types,";
    let lasts = |of: &str| format!("unexpected items still remain in namespace: shop for gvr: {of}");
    let (short, long) = (Span::from_secs(15), Span::from_secs(40));
    type Found<'a> = &'a [(Kind, &'a [Answer], Span)];
    let rows: [(&str, Found<'_>, Span, [String; 3]); 7] = [
        ("nothing", &[(claims, &[gone, missing], Span::ZERO)], Span::ZERO, [2, 3, 4].map(|place| GOOD[place].into())),
        (
            "two kinds, in the order of their names",
            &[(sets, &[waiting(&["a/b"]), waiting(&["a/b"])], Span::ZERO), (claims, &[waiting(&["a/b"])], Span::ZERO)],
            short,
            [
                GOOD[2].into(),
                format!(
                    "{left} persistentvolumeclaims. has 1 resource instances, replicasets.apps has 2 resource instances"
                ),
                format!("{held} a/b in 3 resource instances"),
            ],
        ),
        (
            "two finalizers, in the order of their names",
            &[(claims, &[waiting(&["z/hold", "a/hold"]), waiting(&["z/hold"])], Span::ZERO)],
            short,
            [
                GOOD[2].into(),
                format!("{left} persistentvolumeclaims. has 2 resource instances"),
                format!("{held} a/hold in 1 resource instances, z/hold in 2 resource instances"),
            ],
        ),
        (
            "an estimate is believed, with finalizers and without",
            &[(Kind::Pod, &[waiting(&[]), waiting(&["a/b"])], long)],
            long,
            [
                GOOD[2].into(),
                format!("{left} pods. has 2 resource instances"),
                format!("{held} a/b in 1 resource instances"),
            ],
        ),
        (
            "what nothing holds should have gone",
            &[(Kind::Pod, &[waiting(&[])], Span::ZERO), (sets, &[waiting(&[])], Span::ZERO)],
            Span::ZERO,
            [
                format!(
                    "{failed} 2 remaining: {}, {}",
                    lasts("/v1, Resource=pods"),
                    lasts("apps/v1, Resource=replicasets")
                ),
                format!("{left} pods. has 1 resource instances, replicasets.apps has 1 resource instances"),
                GOOD[4].into(),
            ],
        ),
        (
            "of a kind that was refused nothing is counted",
            &[(sets, &[waiting(&["a/b"]), full.clone(), full.clone()], Span::ZERO)],
            Span::ZERO,
            [
                format!("{failed} 1 remaining: Internal error occurred: the disk is full"),
                GOOD[3].into(),
                GOOD[4].into(),
            ],
        ),
        (
            "but its estimate is",
            &[(Kind::Pod, &[full], long)],
            long,
            [
                format!("{failed} 1 remaining: Internal error occurred: the disk is full"),
                GOOD[3].into(),
                GOOD[4].into(),
            ],
        ),
    ];
    for (story, found, estimate, expected) in rows {
        let mut findings = Findings::default();
        for (kind, answers, estimate) in found {
            findings.add(&"shop".into(), *kind, answers, *estimate);
        }
        let mut conditions = Conditions::default();
        assert!(findings.tell(&mut conditions, true, Time::ZERO), "{story}");
        assert_eq!(told(&conditions)[2..], expected, "{story}");
        assert_eq!(told(&conditions)[..2], GOOD[..2], "{story}");
        assert_eq!(findings.estimate, estimate, "{story}");
        assert!(!findings.tell(&mut conditions, true, Time::from_secs(1)), "{story}: said again it is no change");
    }
}

#[test]
fn conditions_are_replaced_when_they_say_something_else_and_others_are_left_alone() {
    use ConditionKind::{NamespaceContentRemaining as Remaining, NamespaceDeletionContentFailure as Failure, Ready};
    let mut conditions = Conditions::default();
    conditions.set(Ready, Status3::True, "Mine", "of somebody else", Time::ZERO);
    conditions.set(Failure, Status3::True, "ContentDeletionFailed", "of yesterday", Time::ZERO);
    conditions.set(Remaining, Status3::False, "", "", Time::ZERO);
    let mut findings = Findings::default();
    findings.add(&"shop".into(), Kind::Secret, &[waiting(&["a/b"])], Span::ZERO);
    assert!(findings.tell(&mut conditions, true, Time::from_secs(3)));
    let of = |conditions: &Conditions, kind| {
        let condition = conditions.get(kind).unwrap();
        (condition.status, condition.changed_at.0 / 1_000_000_000)
    };
    assert_eq!(of(&conditions, Ready), (Status3::True, 0), "nobody asked for this one");
    assert_eq!(of(&conditions, Failure), (Status3::False, 3), "a fault that is over");
    assert_eq!(of(&conditions, Remaining), (Status3::True, 3), "a new fault");
    findings.add(&"shop".into(), Kind::ConfigMap, &[waiting(&["a/b"])], Span::ZERO);
    assert!(findings.tell(&mut conditions, true, Time::from_secs(9)));
    assert_eq!(of(&conditions, Remaining), (Status3::True, 3), "other words are no change of the status");
    assert_eq!(conditions.iter().count(), 6);
    assert!(findings.tell(&mut conditions, false, Time::from_secs(12)), "while pods are left, the rest is not told");
    assert_eq!(of(&conditions, Remaining), (Status3::False, 12));
}

#[test]
fn a_namespace_tells_what_holds_it_and_goes_when_nothing_does() {
    let mut bed = held_by(&[&["example.com/hold"], &[]]);
    delete_shop(&mut bed);
    bed.run_for(Span::from_secs(6));
    let conditions = told(&conditions_of(&bed, "shop"));
    assert!(conditions[3].ends_with("configmaps. has 1 resource instances"), "{conditions:#?}");
    assert!(conditions[4].ends_with("example.com/hold in 1 resource instances"), "{conditions:#?}");
    // Nothing more is said until something changes; looked at, it is every 15 / 2 + 1 s.
    let said = bed.core.revision();
    bed.run_for(Span::from_secs(60));
    assert_eq!(bed.core.revision(), said);
    let key = ObjectKey::new(Kind::ConfigMap, "shop", "held-0");
    let patch = Patch::Finalizer { name: "example.com/hold".into(), present: false };
    bed.request(Request::Patch { key, patch });
    bed.run_for(Span::from_secs(8));
    assert!(bed.get::<Namespace>("", "shop").is_none());
    let of_it =
        bed.facts.iter().filter(|(_, fact)| fact.subject.kind == Kind::Namespace && &*fact.subject.name == "shop");
    let facts: Vec<String> = of_it
        .filter_map(|(_, fact)| match &fact.what {
            What::Condition { text } => Some(text.to_string()),
            _ => None,
        })
        .collect();
    let expected = [
        "NamespaceContentRemaining=True (SomeResourcesRemain)",
        "NamespaceFinalizersRemaining=True (SomeFinalizersRemain)",
        "NamespaceContentRemaining=False (ContentRemoved)",
        "NamespaceFinalizersRemaining=False (ContentHasNoFinalizers)",
    ];
    assert_eq!(facts, expected, "that nothing is wrong is no fact unless something was");
}

#[test]
fn a_namespace_with_finalizers_of_others_stays_until_they_are_done_with_it() {
    let mut bed = Testbed::new(Config::default());
    let finalizers = Arc::from([Name::from("example.com/books")]);
    bed.create(Namespace { finalizers, ..Namespace::named("shop") });
    let names = |bed: &Testbed| -> Vec<String> {
        let namespace = bed.get::<Namespace>("", "shop").expect("the namespace stays");
        namespace.finalizers.iter().map(|name| name.to_string()).collect()
    };
    assert_eq!(names(&bed), ["example.com/books", "kubernetes"], "the API server adds its own");
    delete_shop(&mut bed);
    bed.run_for(Span::from_secs(30));
    assert_eq!(names(&bed), ["example.com/books"], "the controller takes away nothing but its own");
    let written = bed.core.revision();
    let mut plain = Namespace::clone(&bed.get::<Namespace>("", "shop").unwrap());
    plain.finalizers = Arc::default();
    bed.request(Request::Update { object: Object::Namespace(Arc::new(plain.clone())), expected: None });
    delete_shop(&mut bed);
    bed.run_for(Span::from_secs(600));
    assert_eq!(names(&bed), ["example.com/books"], "neither an ordinary write nor a second deletion changes that");
    assert_eq!(bed.core.revision(), written, "and nobody says anything again");
    bed.request(Request::Finalize { namespace: Arc::new(plain), expected: None });
    bed.run_for(Span::ZERO);
    assert!(bed.get::<Namespace>("", "shop").is_none());
}

#[test]
fn a_deletion_that_is_refused_is_told_and_tried_again_while_other_kinds_go() {
    let mut bed = bed(Span::from_secs(1));
    let is_service = |request: &Request| matches!(request, Request::Delete { key, .. } if key.kind == Kind::Service);
    bed.refuse(3, is_service);
    let gone = Refusal::NotFound(ObjectKey::new(Kind::ConfigMap, "shop", "kube-root-ca.crt"));
    bed.refuse_with(1, gone, |request| matches!(request, Request::Delete { key, .. } if key.kind == Kind::ConfigMap));
    delete_shop(&mut bed);
    bed.run_for(Span::from_millis(10_001));
    assert_eq!(bed.core.newest().all::<Deployment>().count(), 0, "other kinds go all the same");
    let conditions = told(&conditions_of(&bed, "shop"));
    let message = "Failed to delete all resource types, 1 remaining: Internal error occurred: the disk is full";
    assert!(conditions[2].ends_with(message), "{conditions:#?}");
    // Tried again after 5, 10 and 20 ms.
    bed.run_for(Span::from_millis(100));
    assert!(bed.get::<Namespace>("", "shop").is_none());
    assert_eq!(bed.refusals_left(), 0);
}

#[test]
fn pods_that_outstay_their_grace_are_a_fault_and_no_reason_to_go_on() {
    let mut bed = bed(Span::from_secs(1));
    bed.silence(0);
    delete_shop(&mut bed);
    bed.run_for(Span::from_secs(29));
    assert_eq!(told(&conditions_of(&bed, "shop")), GOOD, "what is left is not told while it is still expected to go");
    bed.run_for(Span::from_secs(22));
    let conditions = told(&conditions_of(&bed, "shop"));
    let message = "1 remaining: unexpected items still remain in namespace: shop for gvr: /v1, Resource=pods";
    assert!(conditions[2].ends_with(message), "{conditions:#?}");
    assert_eq!((&*conditions[3], &*conditions[4]), (GOOD[3], GOOD[4]));
    bed.run_for(Span::from_secs(300));
    assert_eq!(bed.core.newest().all::<Deployment>().count(), 1, "other kinds wait for the pods");
    let names: Vec<Name> = bed.core.newest().all::<Pod>().map(|(_, pod)| pod.meta.name.clone()).collect();
    assert_eq!(names.len(), 3);
    for name in names {
        let (key, grace) = (ObjectKey::new(Kind::Pod, "shop", &name), Some(Span::ZERO));
        bed.request(Request::Delete { key, uid: None, grace, propagation: Propagation::Background });
    }
    bed.run_for(Span::from_secs(60));
    assert!(bed.get::<Namespace>("", "shop").is_none(), "however often it has failed, it is tried once a minute");
}

#[test]
fn a_namespace_that_somebody_writes_meanwhile_is_read_again_and_let_go() {
    let mut bed = Testbed::new(Config::default());
    bed.create(Namespace::named("shop"));
    delete_shop(&mut bed);
    let key = ObjectKey::new(Kind::Namespace, "", "shop");
    let conflict = Refusal::Conflict { key: key.clone(), expected: Revision(1), stored: Revision(2) };
    bed.refuse_with(1, conflict.clone(), is_conditions);
    bed.refuse_with(2, conflict.clone(), |request| matches!(request, Request::Finalize { .. }));
    bed.run_for(Span::from_millis(5_001));
    assert_eq!(bed.refusals_left(), 0);
    assert!(bed.get::<Namespace>("", "shop").is_none(), "conditions that could not be written keep nothing");
    // Its own write of the conditions is one that the last request has to be made again for.
    bed.create(Namespace::named("shop"));
    delete_shop(&mut bed);
    bed.run_for(Span::from_millis(5_001));
    assert!(bed.get::<Namespace>("", "shop").is_none());
    // Another refusal ends the pass, and the next one begins after the back-off.
    bed.create(Namespace::named("shop"));
    delete_shop(&mut bed);
    bed.refuse(1, |request| matches!(request, Request::Finalize { .. }));
    bed.run_for(Span::from_millis(5_001));
    assert!(bed.get::<Namespace>("", "shop").is_some());
    bed.run_for(Span::from_millis(10));
    assert!(bed.get::<Namespace>("", "shop").is_none());
}
