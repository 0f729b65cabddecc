use super::*;
use crate::api::{Patch, Propagation, Request};
use crate::config::Config;
use crate::model::{ClaimSpec, Kind, Labels, ObjectKey, PersistentVolumeStatus, VolumePhase};
use crate::testbed::Testbed;
use crate::time::Span;

fn claim(name: &str) -> PersistentVolumeClaim {
    let spec = ClaimSpec { request: "1Gi".parse().expect("a quantity"), ..ClaimSpec::default() };
    PersistentVolumeClaim { meta: Meta::named("default", name), spec, ..PersistentVolumeClaim::default() }
}

fn default_class(name: &str) -> StorageClass {
    let mut meta = Meta::named("", name);
    meta.annotations = Labels::new([("storageclass.kubernetes.io/is-default-class", "true")]);
    StorageClass { meta, provisioner: "csi.example.com".into(), ..StorageClass::default() }
}

fn stored(bed: &Testbed, name: &str) -> Arc<PersistentVolumeClaim> {
    bed.get("default", name).expect("the claim is stored")
}

#[test]
fn a_claim_without_a_class_gets_the_newest_default_one_and_one_that_wants_none_keeps_its_word() {
    let mut bed = Testbed::new(Config::default());
    bed.create(claim("early"));
    bed.create(default_class("old"));
    bed.run_for(Span::from_secs(1));
    bed.create(default_class("young"));
    bed.create(claim("late"));
    bed.create(PersistentVolumeClaim {
        spec: ClaimSpec { storage_class: Some("".into()), ..claim("none").spec },
        ..claim("none")
    });
    assert_eq!(stored(&bed, "late").spec.storage_class.as_deref(), Some("young"));
    assert_eq!(stored(&bed, "none").spec.storage_class.as_deref(), Some(""));
}

#[test]
fn claims_and_volumes_are_protected_from_their_creation() {
    let mut bed = Testbed::new(Config::default());
    bed.create(claim("a"));
    bed.create(PersistentVolume { meta: Meta::named("", "pv"), ..PersistentVolume::default() });
    assert_eq!(&*stored(&bed, "a").meta.finalizers, [CLAIM_PROTECTION]);
    let volume = bed.get::<PersistentVolume>("", "pv").expect("it is stored");
    assert_eq!(&*volume.meta.finalizers, [VOLUME_PROTECTION]);
}

#[test]
fn a_finalizer_can_be_patched_away_and_then_the_object_goes() {
    let mut bed = Testbed::new(Config::default());
    bed.create(default_class("held"));
    let key = ObjectKey::new(Kind::StorageClass, "", "held");
    let finalizer = |present| Patch::Finalizer { name: "example.com/keep".into(), present };
    bed.request(Request::Patch { key: key.clone(), patch: finalizer(true) });
    let propagation = Propagation::Background;
    bed.request(Request::Delete { key: key.clone(), uid: None, grace: None, propagation });
    bed.run_for(Span::from_secs(1));
    assert!(bed.get::<StorageClass>("", "held").is_some_and(|class| class.meta.is_terminating()));
    bed.request(Request::Patch { key, patch: finalizer(false) });
    bed.run_for(Span::from_secs(1));
    assert!(bed.get::<StorageClass>("", "held").is_none());
}

#[test]
fn what_stays_as_it_was_created_cannot_be_changed() {
    let mut bed = Testbed::new(Config::default());
    bed.create(PersistentVolumeClaim {
        spec: ClaimSpec { storage_class: Some("a".into()), ..claim("c").spec },
        ..claim("c")
    });
    let mut other = PersistentVolumeClaim::clone(&stored(&bed, "c"));
    other.spec.storage_class = Some("b".into());
    let object = Object::PersistentVolumeClaim(Arc::new(other));
    let id = bed.request(Request::Update { object, expected: None });
    bed.run_for(Span::ZERO);
    let refusal = bed.answers[&id].as_ref().expect_err("it must be refused");
    assert!(refusal.to_string().contains("PersistentVolumeClaim \"c\" is invalid: spec: Forbidden: spec is immutable"));
    let mut named = PersistentVolumeClaim::clone(&stored(&bed, "c"));
    named.spec.volume = "pv".into();
    let object = Object::PersistentVolumeClaim(Arc::new(named));
    let id = bed.request(Request::Update { object, expected: None });
    bed.run_for(Span::ZERO);
    assert!(bed.answers[&id].is_ok(), "a claim without a volume may get one");
}

#[test]
fn the_time_of_a_volumes_phase_moves_with_the_phase_alone() {
    let mut bed = Testbed::new(Config::default());
    bed.create(PersistentVolume { meta: Meta::named("", "pv"), ..PersistentVolume::default() });
    let born = bed.now();
    bed.run_for(Span::from_secs(5));
    let write = |bed: &mut Testbed, phase, message: &str| {
        let mut volume = PersistentVolume::clone(&bed.get::<PersistentVolume>("", "pv").expect("it is stored"));
        volume.status = PersistentVolumeStatus { phase, message: message.into(), ..PersistentVolumeStatus::default() };
        let object = Object::PersistentVolume(Arc::new(volume));
        bed.request(Request::UpdateStatus { object, expected: None });
        bed.run_for(Span::ZERO);
        bed.get::<PersistentVolume>("", "pv").expect("it is stored").status.phase_changed_at
    };
    assert_eq!(write(&mut bed, VolumePhase::Available, "a word"), Some(born));
    let now = bed.now();
    assert_eq!(write(&mut bed, VolumePhase::Failed, "a word"), Some(now));
}
