//! When claims and volumes are kept from going, and the claims of ephemeral volumes.

use super::*;
use crate::model::{PersistentVolumeClaim, VOLUME_PROTECTION};

fn finalizers(bed: &Testbed, claim: &str) -> Option<String> {
    let claim = bed.get::<PersistentVolumeClaim>("default", claim)?;
    Some(claim.meta.finalizers.iter().map(|it| it.to_string()).collect::<Vec<_>>().join(" "))
}

fn with_phase(bed: &mut Testbed, name: &str, phase: crate::model::Phase) {
    let mut pod = Pod::clone(&bed.get::<Pod>("default", name).unwrap());
    pod.status.phase = phase;
    bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(pod)), expected: None });
    bed.run_for(Span::from_secs(1));
}

#[test]
fn a_claim_is_kept_while_a_pod_on_a_node_uses_it() {
    use crate::model::Phase::{Failed, Running, Succeeded};
    // Whether the pod has a node; its phase; whether it uses the claim; whether the deleted claim stays.
    let table = [
        (true, None, true, true),
        (true, Some(Running), true, true),
        (true, Some(Succeeded), true, true),
        (true, Some(Failed), true, true),
        (false, None, true, false),
        (true, Some(Running), false, false),
    ];
    for (bound, phase, uses, stays) in table {
        let mut bed = Testbed::new(Config::default());
        bed.add_node(0, "n1", "a", 4_000, 8 << 30);
        bed.silence(0);
        bed.create(claim("c", "", "1Gi"));
        bed.run_for(Span::from_secs(1));
        assert_eq!(finalizers(&bed, "c").as_deref(), Some(CLAIM_PROTECTION), "every claim is protected");
        let sources = if uses { vec![of_claim("c")] } else { vec![PodVolumeSource::EmptyDir(Default::default())] };
        let node = bound.then(|| "n1".into());
        bed.create(Pod { node, ..pod("p", &sources) });
        if let Some(phase) = phase {
            with_phase(&mut bed, "p", phase);
        }
        delete(&mut bed, Kind::PersistentVolumeClaim, "c", None);
        bed.run_for(Span::from_secs(2));
        let story = format!("on a node {bound}, {phase:?}, uses it {uses}");
        assert_eq!(finalizers(&bed, "c").is_some(), stays, "{story}");
        delete(&mut bed, Kind::Pod, "p", Some(Span::ZERO));
        bed.run_for(Span::from_secs(2));
        assert_eq!(finalizers(&bed, "c"), None, "{story}: it goes with its last pod");
    }
}

#[test]
fn of_two_pods_that_use_a_claim_the_last_frees_it() {
    let mut bed = Testbed::new(Config::default());
    bed.add_node(0, "n1", "a", 4_000, 8 << 30);
    bed.create(claim("c", "", "1Gi"));
    bed.create(claim("free", "", "1Gi"));
    for name in ["p", "q"] {
        bed.create(Pod { node: Some("n1".into()), ..pod(name, &[of_claim("c")]) });
    }
    bed.run_for(Span::from_secs(1));
    for name in ["c", "free"] {
        delete(&mut bed, Kind::PersistentVolumeClaim, name, None);
    }
    bed.run_for(Span::from_secs(1));
    assert_eq!((finalizers(&bed, "c").is_some(), finalizers(&bed, "free").is_some()), (true, false));
    delete(&mut bed, Kind::Pod, "p", Some(Span::ZERO));
    bed.run_for(Span::from_secs(1));
    assert!(finalizers(&bed, "c").is_some(), "the other still uses it");
    delete(&mut bed, Kind::Pod, "q", Some(Span::ZERO));
    bed.run_for(Span::from_secs(1));
    assert!(finalizers(&bed, "c").is_none());
}

#[test]
fn who_is_stripped_of_its_protection_gets_it_again_unless_it_is_going() {
    let mut bed = Testbed::new(Config::default());
    bed.create(claim("c", "", "1Gi"));
    bed.create(volume("v", "", "1Gi"));
    bed.run_for(Span::from_secs(1));
    let strip = |bed: &mut Testbed, key: ObjectKey, name: &str| {
        let before = bed.core.revision();
        bed.request(Request::Patch { key, patch: Patch::Finalizer { name: name.into(), present: false } });
        bed.run_for(Span::from_secs(1));
        assert!(bed.core.revision().0 >= before.0 + 2, "it was taken off and put on again");
    };
    strip(&mut bed, ObjectKey::new(Kind::PersistentVolumeClaim, "default", "c"), CLAIM_PROTECTION);
    assert_eq!(finalizers(&bed, "c").as_deref(), Some(CLAIM_PROTECTION));
    strip(&mut bed, ObjectKey::new(Kind::PersistentVolume, "", "v"), VOLUME_PROTECTION);
    let volume = bed.get::<PersistentVolume>("", "v").expect("it is there");
    assert_eq!(volume.meta.finalizers, [crate::id::Name::from(VOLUME_PROTECTION)]);
    delete(&mut bed, Kind::PersistentVolumeClaim, "c", None);
    bed.run_for(Span::from_secs(1));
    assert_eq!(finalizers(&bed, "c"), None);
}

#[test]
fn a_volume_is_kept_while_it_is_bound() {
    let mut bed = Testbed::new(Config::default());
    bed.create(volume("free", "", "1Gi"));
    bed.create(volume("taken", "", "5Gi"));
    bed.create(claim("c", "", "2Gi"));
    bed.run_for(Span::from_secs(1));
    let finalizers =
        |bed: &Testbed, name: &str| bed.get::<PersistentVolume>("", name).map(|it| it.meta.finalizers.to_vec());
    assert_eq!(finalizers(&bed, "free").unwrap(), [VOLUME_PROTECTION]);
    for name in ["free", "taken"] {
        delete(&mut bed, Kind::PersistentVolume, name, None);
    }
    bed.run_for(Span::from_secs(1));
    assert_eq!(finalizers(&bed, "free"), None);
    assert!(finalizers(&bed, "taken").is_some(), "its claim is there");
    delete(&mut bed, Kind::PersistentVolumeClaim, "c", None);
    bed.run_for(Span::from_secs(1));
    assert_eq!(finalizers(&bed, "taken"), None);
}

fn ephemeral() -> PodVolumeSource {
    PodVolumeSource::Ephemeral(Box::new(ClaimTemplate {
        name: "t".into(),
        spec: spec("", "1Gi"),
        ..ClaimTemplate::default()
    }))
}

#[test]
fn an_ephemeral_volume_s_claim_is_made_once_and_never_taken_from_others() {
    let mut bed = Testbed::new(Config::default());
    bed.create(pod("p", &[ephemeral()]));
    bed.run_for(Span::from_secs(1));
    let made = stored(&bed, "p-v0");
    assert_eq!(made.meta.controller().map(|owner| (owner.kind, &*owner.name)), Some((Kind::Pod, "p")));
    bed.create(claim("q-v0", "", "1Gi"));
    bed.create(pod("q", &[ephemeral()]));
    bed.run_for(Span::from_secs(1));
    assert!(stored(&bed, "q-v0").meta.owners.is_empty(), "a claim of that name which is not the pod's is left alone");
    assert!(said(&bed, "PVC default/q-v0 was not created for pod default/q") > 0);
    bed.create(pod("plain", &[PodVolumeSource::EmptyDir(Default::default())]));
    bed.run_for(Span::from_secs(1));
    assert_eq!(bed.core.newest().all::<PersistentVolumeClaim>().count(), 2, "a pod without such volumes has no claim");
}

#[test]
fn a_pod_is_told_of_claims_of_its_ephemeral_volumes_that_cannot_be_made() {
    let makes_claim =
        |request: &Request| matches!(request, Request::Create(object) if object.kind() == Kind::PersistentVolumeClaim);
    let mut bed = Testbed::new(Config::default());
    bed.refuse(1, makes_claim);
    bed.create(pod("p", &[ephemeral(), ephemeral()]));
    bed.run_for(Span::from_secs(1));
    let told = bed.events(Kind::Pod, "p");
    let why =
        "Warning FailedBinding x1: ephemeral volume v0: create PVC p-v0: Internal error occurred: the disk is full";
    assert!(told.iter().any(|line| line.ends_with(why)), "{told:#?}");
    let names = |bed: &Testbed| -> Vec<String> {
        bed.core.newest().all::<PersistentVolumeClaim>().map(|(_, claim)| claim.meta.name.to_string()).collect()
    };
    assert_eq!(names(&bed), ["p-v0", "p-v1"], "it is tried again");
    // A claim that is somebody else's ends the look at the pod, and its end wakes the pod.
    bed.create(claim("q-v1", "", "1Gi"));
    bed.create(pod("q", &[ephemeral(), ephemeral(), ephemeral()]));
    bed.run_for(Span::from_secs(120));
    assert_eq!(names(&bed), ["p-v0", "p-v1", "q-v0", "q-v1"]);
    delete(&mut bed, Kind::PersistentVolumeClaim, "q-v1", None);
    bed.run_for(Span::from_secs(1));
    assert_eq!(names(&bed), ["p-v0", "p-v1", "q-v0", "q-v1", "q-v2"], "{:#?}", bed.events(Kind::Pod, "q"));
}

#[test]
fn a_pod_that_comes_again_under_its_name_uses_what_it_says_and_not_what_the_former_one_did() {
    // Whether the former and the new pod of the name use the deleted claim, and whether it stays.
    for (former, new, stays) in [(true, false, false), (false, true, true), (true, true, true), (false, false, false)] {
        let mut bed = Testbed::new(Config::default());
        bed.add_node(0, "n1", "a", 4_000, 8 << 30);
        bed.silence(0);
        for name in ["c", "other"] {
            bed.create(claim(name, "", "1Gi"));
        }
        let of = |uses: bool| vec![of_claim(if uses { "c" } else { "other" })];
        let at_work = |uses| Pod { node: Some("n1".into()), ..pod("p", &of(uses)) };
        bed.create(at_work(former));
        bed.run_for(Span::from_secs(1));
        // The claim is asked to go, and one pod takes the other's place, all in one moment.
        let key = |kind, name| ObjectKey::new(kind, "default", name);
        let gone = |key, grace| Request::Delete { key, uid: None, grace, propagation: Propagation::Background };
        bed.request(gone(key(Kind::Pod, "p"), Some(Span::ZERO)));
        bed.request(Request::Create(Object::Pod(Arc::new(at_work(new)))));
        bed.request(gone(key(Kind::PersistentVolumeClaim, "c"), None));
        bed.run_for(Span::from_secs(5));
        assert_eq!(finalizers(&bed, "c").is_some(), stays, "former {former}, new {new}: {:?}", bed.told());
    }
}

#[test]
fn a_finalizer_that_cannot_be_taken_off_is_tried_again_and_holds_up_no_other_claim() {
    let mut bed = Testbed::new(Config::default());
    for name in ["a", "b"] {
        bed.create(claim(name, "", "1Gi"));
    }
    bed.run_for(Span::from_secs(1));
    bed.refuse(1, |request| {
        let of_a = |key: &ObjectKey| key.kind == Kind::PersistentVolumeClaim && *key.name == *"a";
        request.target().is_some_and(|key| of_a(&key))
    });
    for name in ["a", "b"] {
        delete(&mut bed, Kind::PersistentVolumeClaim, name, None);
    }
    bed.run_for(Span::from_millis(3));
    assert_eq!((finalizers(&bed, "a").is_some(), finalizers(&bed, "b")), (true, None), "{:?}", bed.told());
    bed.run_for(Span::from_secs(10));
    assert_eq!((finalizers(&bed, "a"), bed.refusals_left()), (None, 0));
}
