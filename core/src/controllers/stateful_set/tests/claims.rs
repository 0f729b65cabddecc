//! The claims of a set's pods.

use super::*;
use crate::controllers::owned_by;
use crate::id::Uid;
use crate::model::{
    ClaimSpec, ClaimTemplate, OwnerReference, PersistentVolumeClaim, PodVolumeSource, SelectorOperator,
    SelectorRequirement,
};

pub(super) fn with_claims(replicas: u32, deleted_with_set: bool, deleted_with_pod: bool) -> StatefulSet {
    let data = ClaimTemplate { name: "data".into(), spec: ClaimSpec::default(), ..ClaimTemplate::default() };
    let claim_retention = ClaimRetention { deleted_with_set, deleted_with_pod };
    StatefulSet { claim_templates: vec![data], claim_retention, ..db(replicas) }
}

fn claims(bed: &Testbed) -> Vec<Arc<PersistentVolumeClaim>> {
    bed.core.newest().all::<PersistentVolumeClaim>().map(|(_, claim)| claim.clone()).collect()
}

/// Names of claims with their owners: `data-db-0(StatefulSet/db)`.
pub(super) fn owned(bed: &Testbed) -> String {
    let owners = |claim: &PersistentVolumeClaim| {
        let owners = claim.meta.owners.iter().map(|owner| format!("{}/{}", owner.kind.name(), owner.name));
        owners.collect::<Vec<_>>().join(",")
    };
    let shown = claims(bed).iter().map(|claim| format!("{}({})", claim.meta.name, owners(claim))).collect::<Vec<_>>();
    shown.join(" ")
}

#[test]
fn each_pod_has_a_claim_of_its_own_which_outlives_it_and_is_used_again() {
    let mut bed = bed();
    bed.create(with_claims(2, false, false));
    bed.run_for(Span::from_secs(10));
    // Recorded: sts-vct.
    assert_eq!(owned(&bed), "data-db-0() data-db-1()");
    assert_eq!(claims(&bed)[0].meta.labels.get("app").map(|value| &**value), Some("db"));
    let pod = bed.get::<Pod>("default", "db-1").unwrap();
    let source = PodVolumeSource::Claim { name: "data-db-1".into(), read_only: false };
    assert_eq!(pod.spec.volumes.iter().map(|it| (&*it.name, &it.source)).collect::<Vec<_>>(), [("data", &source)]);
    let uid = claims(&bed)[1].meta.uid;
    patch(&mut bed, Patch::Replicas(1));
    bed.run_for(Span::from_secs(10));
    assert_eq!(owned(&bed), "data-db-0() data-db-1()");
    patch(&mut bed, Patch::Replicas(2));
    bed.run_for(Span::from_secs(10));
    assert_eq!(claims(&bed)[1].meta.uid, uid);
    let said = bed.events(Kind::StatefulSet, "db").join(" ");
    assert!(said.contains("create Claim data-db-1 Pod db-1 in StatefulSet db success"), "{said}");
}

#[test]
fn the_retention_policy_makes_claims_belong_to_the_set_or_to_the_pod_that_goes() {
    let mut bed = bed();
    bed.create(with_claims(2, true, true));
    bed.run_for(Span::from_secs(15));
    assert_eq!(owned(&bed), "data-db-0(StatefulSet/db) data-db-1(StatefulSet/db)");
    // The sync that makes claim and pod gives the claim its owner too, without a write of the pod.
    let said = bed.events(Kind::StatefulSet, "db").join(" ");
    assert!(said.contains("create Pod db-1") && !said.contains("SuccessfulUpdate"), "{said}");
    patch(&mut bed, Patch::Replicas(1));
    bed.run_for(Span::from_millis(500));
    assert_eq!(owned(&bed), "data-db-0(StatefulSet/db) data-db-1(Pod/db-1)");
    bed.run_for(Span::from_secs(10));
    assert_eq!(owned(&bed), "data-db-0(StatefulSet/db)", "it has gone with its pod");
    let retention = ClaimRetention { deleted_with_set: false, deleted_with_pod: true };
    assert!(update(&mut bed, |set| set.claim_retention = retention).is_ok());
    bed.run_for(Span::from_secs(5));
    assert_eq!(owned(&bed), "data-db-0()");
    delete(&mut bed, Kind::StatefulSet, "db", Propagation::Background);
    bed.run_for(Span::from_secs(10));
    assert_eq!((owned(&bed).as_str(), pods(&bed).len()), ("data-db-0()", 0));
}

/// Owners in words: `pod`, `set`, their namesakes of another uid (`old-pod`, `old-set`), somebody else (`other`); with
/// a `*` the one that manages.
fn owners(words: &str, set: &StatefulSet, pod: &Pod) -> Vec<OwnerReference> {
    let one = |word: &str| {
        let stale = |mut owner: OwnerReference| {
            owner.uid = Uid::new(99);
            owner
        };
        let (of_set, of_pod) = (owned_by(Kind::StatefulSet, &set.meta), owned_by(Kind::Pod, &pod.meta));
        let owner = match word.trim_start_matches('*') {
            "pod" => of_pod,
            "set" => of_set,
            "old-pod" => stale(of_pod),
            "old-set" => stale(of_set),
            "other" => owned_by(Kind::Job, &Meta { uid: Uid::new(7), ..Meta::named("default", "else") }),
            "stranger" => owned_by(Kind::Pod, &Meta { uid: Uid::new(8), ..Meta::named("default", "simon") }),
            "namesake" => owned_by(Kind::Job, &Meta { uid: Uid::new(7), ..Meta::named("default", "db") }),
            other => panic!("no owner is called {other}"),
        };
        OwnerReference { controller: word.starts_with('*'), ..owner }
    };
    words.split_whitespace().map(one).collect()
}

fn in_words(owners: &[OwnerReference]) -> String {
    let word = |owner: &OwnerReference| {
        let name = match (owner.kind, owner.uid.bits()) {
            (Kind::Pod, 2) => "pod",
            (Kind::StatefulSet, 1) => "set",
            (Kind::Pod, 8) => "stranger",
            (Kind::Pod, _) => "old-pod",
            (Kind::StatefulSet, _) => "old-set",
            _ if &*owner.name == "db" => "namesake",
            _ => "other",
        };
        format!("{}{name}", if owner.controller { "*" } else { "" })
    };
    owners.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn set_and_pod(with_set: bool, with_pod: bool, ordinal: u32) -> (StatefulSet, Pod) {
    let mut set = with_claims(2, with_set, with_pod);
    set.meta.uid = Uid::new(1);
    let mut pod = Pod { meta: Meta::named("default", &format!("db-{ordinal}")).into(), ..Pod::default() };
    pod.meta.uid = Uid::new(2);
    (set, pod)
}

#[test]
fn every_policy_wants_one_owner_or_none() {
    // Goes with the set, goes with the pod, ordinal of two; the owner that is wanted.
    let table = [
        (false, false, 1, ""),
        (true, false, 1, "*set"),
        (false, true, 2, "*pod"),
        (false, true, 1, ""),
        (true, true, 2, "*pod"),
        (true, true, 1, "*set"),
    ];
    for (with_set, with_pod, ordinal, wanted) in table {
        let (set, pod) = set_and_pod(with_set, with_pod, ordinal);
        for has in ["", "*pod", "*set", "*pod *set"] {
            for others in ["", "other"] {
                let before = owners(&format!("{has} {others}"), &set, &pod);
                let story = format!("{has:?} {others:?}, wanted {wanted:?}, {ordinal}");
                assert_eq!(storage::is_up_to_date(&before, &set, &pod), has == wanted, "{story}");
                let after = storage::owners(&before, &set, &pod);
                assert_eq!(in_words(&after), format!("{others} {wanted}").trim(), "{story}");
                assert!(storage::is_up_to_date(&after, &set, &pod), "{story}");
            }
        }
    }
}

#[test]
fn owners_that_are_stale_foreign_or_do_not_manage() {
    // Goes with the set, goes with the pod, ordinal of one; the owners; whether they are left; what they become.
    let table = [
        (true, true, 1, "*pod", true, "*pod"),
        (true, true, 1, "pod", false, "*pod"),
        (true, true, 1, "*old-pod", true, ""),
        (true, true, 1, "*pod *other", false, "*other"),
        (true, false, 0, "*set", true, "*set"),
        (true, false, 0, "set", false, "*set"),
        (true, false, 0, "*old-set", true, ""),
        (true, false, 0, "*set *other", false, "*other"),
        (true, true, 0, "*set other", true, "other *set"),
        (true, true, 0, "namesake", false, "namesake *set"),
        (true, true, 0, "", false, "*set"),
        (true, true, 0, "old-set", true, ""),
        (true, true, 1, "*other", true, "*other"),
        (true, true, 1, "other", false, "other *pod"),
        (false, false, 0, "*other", true, "*other"),
        (false, false, 0, "*other *set", false, "*other"),
        (false, true, 0, "*other", true, "*other"),
        (true, false, 0, "set *pod", false, "*set"),
        (true, true, 1, "*set pod", false, "*pod"),
        (true, true, 1, "*pod *set", false, "*pod"),
        (true, true, 1, "pod set", false, "*pod"),
        (true, true, 1, "set", false, "*pod"),
        (true, true, 1, "*pod other", true, "other *pod"),
        (true, true, 1, "*old-pod *set", true, ""),
        (true, true, 1, "*stranger", true, "*stranger"),
        (true, true, 0, "*stranger", true, "*stranger"),
        (true, true, 0, "stranger", false, "stranger *set"),
        (true, false, 0, "*pod", false, "*set"),
        (true, false, 0, "*set *old-pod", true, ""),
        (false, false, 0, "*stranger", true, "*stranger"),
        (false, false, 0, "*old-set", true, ""),
    ];
    for (with_set, with_pod, ordinal, before, left, expected) in table {
        let (mut set, pod) = set_and_pod(with_set, with_pod, ordinal);
        set.replicas = 1;
        let before = owners(before, &set, &pod);
        let story = format!("{:?}: {with_set} {with_pod} {ordinal}", in_words(&before));
        assert_eq!(storage::is_up_to_date(&before, &set, &pod), left, "{story}");
        assert_eq!(in_words(&storage::owners(&before, &set, &pod)), expected, "{story}");
    }
}

#[test]
fn a_claim_of_a_pod_that_is_gone_is_stale() {
    for (states, expected) in [
        ("missing missing", false),
        ("", false),
        ("missing there", false),
        ("owned owned", false),
        ("stale there", true),
        ("stale missing", true),
        ("owned stale", true),
    ] {
        let mut bed = bed();
        // Without the garbage collector, which would take what has no owner.
        bed.input(crate::seam::Input::Crashed(crate::id::ProcId::CONTROLLER_MANAGER));
        let (mut set, pod) = set_and_pod(false, true, 3);
        set.claim_templates.clear();
        for (place, state) in states.split_whitespace().enumerate() {
            let name = format!("c{place}");
            set.claim_templates.push(ClaimTemplate { name: name.as_str().into(), ..ClaimTemplate::default() });
            let words = match state {
                "missing" => continue,
                "there" => "",
                "owned" => "pod",
                _ => "old-pod",
            };
            let meta =
                Meta { owners: owners(words, &set, &pod).into(), ..Meta::named("default", &format!("{name}-db-3")) };
            let id = bed.request(Request::Create(Object::PersistentVolumeClaim(Arc::new(PersistentVolumeClaim {
                meta,
                ..PersistentVolumeClaim::default()
            }))));
            bed.run_for(Span::ZERO);
            assert!(bed.answers[&id].is_ok());
        }
        assert_eq!(storage::is_stale(bed.core.newest(), &set, &pod), expected, "{states:?}");
        let mut unborn = pod.clone();
        unborn.meta.uid = Uid::default();
        let has_owner = states.contains("owned") || expected;
        let stale = storage::is_stale(bed.core.newest(), &set, &unborn);
        assert_eq!(stale, has_owner, "{states:?} for a pod that is yet to be made");
        let kept = StatefulSet { claim_retention: ClaimRetention::default(), ..set };
        assert!(!storage::is_stale(bed.core.newest(), &kept, &pod), "claims that stay are never stale");
    }
}

#[test]
fn a_claim_that_somebody_else_manages_is_left_to_them_and_told() {
    let mut bed = bed();
    let meta = Meta::named("default", "data-db-0");
    let mut others = PersistentVolumeClaim { meta, ..PersistentVolumeClaim::default() };
    let manager = bed.core.newest().all::<crate::model::Node>().next().expect("there are nodes").1.meta.clone();
    others.meta.owners = [owned_by(Kind::Node, &manager)].into();
    bed.create(others);
    bed.create(with_claims(2, true, false));
    bed.run_for(Span::from_secs(10));
    assert_eq!(owned(&bed), format!("data-db-0(Node/{}) data-db-1(StatefulSet/db)", manager.name));
    let told = bed.events(Kind::StatefulSet, "db");
    let conflicts: Vec<&String> = told.iter().filter(|it| it.contains("ConflictingController")).collect();
    assert!(!conflicts.is_empty(), "{told:?}");
    assert!(conflicts.iter().all(|it| it.contains("PersistentVolumeClaim data-db-0 has a conflicting")), "{told:?}");
}

#[test]
fn claims_have_the_labels_of_their_template_and_of_the_selector() {
    let mut bed = bed();
    let template = |name: &str, labels: &[(&str, &str)]| ClaimTemplate {
        name: name.into(),
        labels: Labels::new(labels.iter().copied()),
        annotations: Labels::new([("note", name)]),
        ..ClaimTemplate::default()
    };
    let claim_templates = vec![template("data", &[("tier", "hot"), ("app", "else")]), template("logs", &[])];
    bed.create(StatefulSet { claim_templates, ..db(1) });
    bed.run_for(Span::from_secs(5));
    let shown: Vec<String> = claims(&bed)
        .iter()
        .map(|claim| {
            let labels: Vec<String> = claim.meta.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("{} {} {}", claim.meta.name, labels.join(","), claim.meta.annotations.get("note").unwrap())
        })
        .collect();
    assert_eq!(shown, ["data-db-0 app=db,tier=hot data", "logs-db-0 app=db logs"], "the selector's labels win");
    let mut without = StatefulSet { claim_templates: vec![template("data", &[("tier", "hot")])], ..db(1) };
    without.meta.name = "other".into();
    without.selector = Selector {
        match_labels: Labels::default(),
        match_expressions: vec![SelectorRequirement {
            key: "app".into(),
            operator: SelectorOperator::In,
            values: vec!["db".into()],
        }],
    };
    bed.create(without);
    bed.run_for(Span::from_secs(5));
    let claim = bed.get::<PersistentVolumeClaim>("default", "data-other-0").expect("the claim is there");
    let labels: Vec<&str> = claim.meta.labels.iter().map(|(key, _)| &**key).collect();
    assert_eq!(labels, ["tier"], "expressions give no labels");
    let pod = bed.get::<Pod>("default", "db-0").unwrap();
    assert_eq!(pod.spec.volumes.iter().map(|volume| &*volume.name).collect::<Vec<_>>(), ["data", "logs"]);
}

#[test]
fn the_claim_of_a_pending_pod_is_made_anew_and_one_that_goes_holds_up_its_pod() {
    let mut bed = Testbed::new(Config::default());
    bed.create(with_claims(1, false, false));
    bed.run_for(Span::from_secs(1));
    assert_eq!(bed.get::<Pod>("default", "db-0").unwrap().status.phase, Phase::Pending, "there is no node");
    delete(&mut bed, Kind::PersistentVolumeClaim, "data-db-0", Propagation::Background);
    bed.run_for(Span::from_secs(1));
    assert_eq!(owned(&bed), "", "nobody watches claims for the set");
    let patch_pod = Patch::Annotation { key: "touched".into(), value: Some("yes".into()) };
    bed.request(Request::Patch { key: key(Kind::Pod, "db-0"), patch: patch_pod });
    bed.run_for(Span::from_secs(1));
    assert_eq!(owned(&bed), "data-db-0()", "the next look at the pod makes it");

    let mut held = PersistentVolumeClaim::clone(&bed.get::<PersistentVolumeClaim>("default", "data-db-0").unwrap());
    held.meta.finalizers = ["example.com/hold".into()].into();
    bed.request(Request::Update { object: Object::PersistentVolumeClaim(Arc::new(held)), expected: None });
    delete(&mut bed, Kind::PersistentVolumeClaim, "data-db-0", Propagation::Background);
    delete(&mut bed, Kind::Pod, "db-0", Propagation::Background);
    bed.run_for(Span::from_secs(5));
    assert!(bed.get::<Pod>("default", "db-0").is_none(), "{:?}", bed.told());
    assert!(bed.times_said("pvc data-db-0 is being deleted") > 0);
}

#[test]
fn a_claim_or_a_pod_that_cannot_be_written_is_tried_again_and_nothing_is_skipped() {
    let makes_claim =
        |request: &Request| matches!(request, Request::Create(object) if object.kind() == Kind::PersistentVolumeClaim);
    let mut bed = bed();
    bed.refuse(2, makes_claim);
    bed.create(with_claims(1, false, false));
    bed.run_for(Span::from_millis(2));
    assert_eq!(pods(&bed).len(), 0, "no pod before its claim");
    bed.run_for(Span::from_secs(10));
    assert_eq!((owned(&bed).as_str(), pods(&bed).len(), bed.refusals_left()), ("data-db-0()", 1, 0));
    assert!(bed.times_said("create Claim data-db-0 for Pod db-0 in StatefulSet db failed error") > 0);

    let writes_pod =
        |request: &Request| matches!(request, Request::Update { object, .. } if object.kind() == Kind::Pod);
    let conflict = Refusal::Conflict {
        key: key(Kind::Pod, "db-0"),
        expected: crate::id::Revision(1),
        stored: crate::id::Revision(2),
    };
    for refusal in [Refusal::Internal { message: "the disk is full".into() }, conflict] {
        bed.refuse_with(1, refusal.clone(), writes_pod);
        let label = "statefulset.kubernetes.io/pod-name";
        bed.request(Request::Patch {
            key: key(Kind::Pod, "db-0"),
            patch: Patch::Label { key: label.into(), value: None },
        });
        bed.run_for(Span::from_secs(10));
        let pod = bed.get::<Pod>("default", "db-0").unwrap();
        assert_eq!(pod.meta.labels.get(label).map(|name| &**name), Some("db-0"), "after {refusal}");
        assert_eq!(bed.refusals_left(), 0, "{refusal}");
    }
}
