//! Stories of claims and volumes with the whole control plane on the test bed.

mod attaching;
mod binding;
mod growing;
mod protecting;

use std::sync::Arc;

use crate::api::{Patch, Propagation, Request};
use crate::config::{Config, CsiDriverConfig, SpanRange, StorageConfig};
use crate::digest::Shared;
use crate::model::{
    AccessMode, BindingMode, CLAIM_PROTECTION, ClaimPhase, ClaimReference, ClaimSpec, ClaimTemplate, ConditionKind,
    Kind, Labels, Meta, Node, Object, ObjectKey, PersistentVolume, PersistentVolumeClaim, Pod, PodSpec, PodVolume,
    PodVolumeSource, ReclaimPolicy, SelectorOperator, SelectorRequirement, Status3, StorageClass, Taint, TaintEffect,
    VolumeAttachment, VolumeMode, VolumePhase, VolumeSource,
};
use crate::testbed::Testbed;
use crate::time::Span;

const DRIVER: &str = "csi.example.com";
const ZONE: &str = "topology.kubernetes.io/zone";

fn driver() -> CsiDriverConfig {
    let seconds = |count| SpanRange { min: Span::from_secs(count), max: Span::from_secs(count) };
    CsiDriverConfig {
        name: DRIVER.into(),
        attach_required: true,
        topology_keys: vec![ZONE.into()],
        volumes_per_node: None,
        provision: seconds(3),
        attach: seconds(2),
        detach: seconds(2),
        resize: seconds(4),
    }
}

/// Two nodes in two zones, with the driver.
fn bed() -> Testbed {
    let storage = StorageConfig { drivers: vec![driver()] };
    let mut bed = Testbed::new(Config { storage, ..Config::default() });
    bed.add_node(0, "n1", "a", 4_000, 8 << 30);
    bed.add_node(1, "n2", "b", 4_000, 8 << 30);
    bed
}

fn class(name: &str, binding_mode: BindingMode) -> StorageClass {
    let reclaim_policy = ReclaimPolicy::Delete;
    let meta = Meta::named("", name);
    StorageClass { meta, provisioner: DRIVER.into(), binding_mode, reclaim_policy, ..StorageClass::default() }
}

fn spec(class: &str, size: &str) -> ClaimSpec {
    ClaimSpec {
        access_modes: vec![AccessMode::ReadWriteOnce],
        request: size.parse().expect("a quantity"),
        storage_class: Some(class.into()),
        ..ClaimSpec::default()
    }
}

fn claim(name: &str, class: &str, size: &str) -> PersistentVolumeClaim {
    let meta = Meta::named("default", name);
    PersistentVolumeClaim { meta, spec: spec(class, size), ..PersistentVolumeClaim::default() }
}

fn volume(name: &str, class: &str, size: &str) -> PersistentVolume {
    PersistentVolume {
        meta: Meta::named("", name),
        capacity: size.parse().expect("a quantity"),
        access_modes: vec![AccessMode::ReadWriteOnce],
        storage_class: class.into(),
        source: VolumeSource::HostPath("/tmp/d".into()),
        ..PersistentVolume::default()
    }
}

fn in_zone(zone: &str) -> Option<Vec<Vec<SelectorRequirement>>> {
    let (operator, values) = (SelectorOperator::In, vec![zone.into()]);
    Some(vec![vec![SelectorRequirement { key: ZONE.into(), operator, values }]])
}

fn pod(name: &str, sources: &[PodVolumeSource]) -> Pod {
    let named = |(index, source): (usize, &PodVolumeSource)| PodVolume {
        name: format!("v{index}").into(),
        source: source.clone(),
    };
    let volumes = sources.iter().enumerate().map(named).collect();
    let spec = PodSpec { volumes, ..PodSpec::default() };
    Pod { meta: Meta::named("default", name).into(), spec: Shared::new(spec), ..Pod::default() }
}

fn of_claim(name: &str) -> PodVolumeSource {
    PodVolumeSource::Claim { name: name.into(), read_only: false }
}

fn stored(bed: &Testbed, name: &str) -> Arc<PersistentVolumeClaim> {
    bed.get("default", name).expect("the claim is there")
}

fn node_of(bed: &Testbed, name: &str) -> Option<String> {
    bed.get::<Pod>("default", name).and_then(|pod| pod.node.as_ref().map(ToString::to_string))
}

fn said(bed: &Testbed, what: &str) -> u32 {
    bed.times_said(what)
}

fn delete(bed: &mut Testbed, kind: Kind, name: &str, grace: Option<Span>) {
    let namespace = if kind.is_namespaced() { "default" } else { "" };
    let key = ObjectKey::new(kind, namespace, name);
    bed.request(Request::Delete { key, uid: None, grace, propagation: Propagation::Background });
    bed.run_for(Span::ZERO);
}

#[test]
fn a_claim_takes_the_smallest_volume_that_is_large_enough_and_of_its_class() {
    let mut bed = Testbed::new(Config::default());
    for (name, class, size) in
        [("small", "x", "1Gi"), ("large", "x", "9Gi"), ("right", "x", "3Gi"), ("other", "y", "2Gi")]
    {
        bed.create(volume(name, class, size));
    }
    let mut labelled = volume("labelled", "x", "2Gi");
    labelled.access_modes = vec![AccessMode::ReadOnlyMany];
    bed.create(labelled);
    bed.run_for(Span::from_secs(1));
    bed.create(claim("c", "x", "2Gi"));
    bed.run_for(Span::from_secs(1));
    let bound = stored(&bed, "c");
    assert_eq!((&*bound.spec.volume, bound.status.phase), ("right", ClaimPhase::Bound), "{:#?}", bed.told());
    assert_eq!(bound.status.capacity, Some("3Gi".parse().expect("a quantity")));
    let volume = bed.get::<PersistentVolume>("", "right").expect("it is there");
    assert_eq!(volume.status.phase, VolumePhase::Bound);
    assert_eq!(volume.claim.as_ref().and_then(|claim| claim.uid), Some(bound.meta.uid));
}

#[test]
fn a_volume_kept_for_a_claim_is_taken_before_smaller_ones_and_left_by_others() {
    let mut bed = Testbed::new(Config::default());
    let mut kept = volume("kept", "x", "9Gi");
    let (namespace, name) = ("default".into(), "mine".into());
    kept.claim = Some(crate::model::ClaimReference { namespace, name, uid: None });
    bed.create(kept);
    bed.create(volume("free", "x", "2Gi"));
    bed.run_for(Span::from_secs(1));
    bed.create(claim("theirs", "x", "5Gi"));
    bed.create(claim("mine", "x", "1Gi"));
    bed.run_for(Span::from_secs(1));
    assert_eq!(&*stored(&bed, "mine").spec.volume, "kept");
    assert_eq!(stored(&bed, "theirs").status.phase, ClaimPhase::Pending);
}

#[test]
fn a_claim_that_names_a_volume_which_does_not_suit_is_told_why() {
    let mut bed = Testbed::new(Config::default());
    bed.create(volume("v", "x", "1Gi"));
    let mut named = claim("c", "x", "2Gi");
    named.spec.volume = "v".into();
    bed.create(named);
    bed.run_for(Span::from_secs(1));
    assert_eq!(said(&bed, "Cannot bind to requested volume \"v\": requested PV is too small"), 1, "{:#?}", bed.told());
    bed.run_for(Span::from_secs(15));
    assert_eq!(said(&bed, "requested PV is too small"), 2, "it is looked at again every 15 s");
}

#[test]
fn a_released_volume_is_kept_recycled_or_deleted() {
    let mut bed = bed();
    bed.create(class("made", BindingMode::Immediate));
    bed.create(volume("kept", "k", "1Gi"));
    bed.create(PersistentVolume { reclaim_policy: ReclaimPolicy::Recycle, ..volume("again", "r", "1Gi") });
    let source = VolumeSource::HostPath("/data".into());
    bed.create(PersistentVolume { reclaim_policy: ReclaimPolicy::Delete, source, ..volume("by-hand", "d", "1Gi") });
    for (name, class) in [("ck", "k"), ("cr", "r"), ("cd", "d"), ("cm", "made")] {
        bed.create(claim(name, class, "1Gi"));
    }
    bed.run_for(Span::from_secs(10));
    let made = stored(&bed, "cm").spec.volume.clone();
    assert!(made.starts_with("pvc-"), "{:#?}", bed.told());
    for name in ["ck", "cr", "cd", "cm"] {
        assert_eq!(stored(&bed, name).status.phase, ClaimPhase::Bound, "{name}: {:#?}", bed.told());
        delete(&mut bed, Kind::PersistentVolumeClaim, name, None);
    }
    bed.run_for(Span::from_secs(20));
    let phase = |name: &str| bed.get::<PersistentVolume>("", name).map(|volume| volume.status.phase);
    assert_eq!(phase("kept"), Some(VolumePhase::Released));
    assert_eq!(phase("again"), Some(VolumePhase::Available));
    assert_eq!(phase("by-hand"), Some(VolumePhase::Failed));
    assert_eq!(phase(&made), None, "its driver has deleted it");
}

#[test]
fn a_claim_in_use_stays_until_its_pod_is_gone_and_a_bound_volume_until_its_claim_is() {
    let mut bed = bed();
    bed.create(volume("v", "x", "1Gi"));
    bed.create(claim("c", "x", "1Gi"));
    bed.run_for(Span::from_secs(1));
    bed.create(pod("p", &[of_claim("c")]));
    bed.run_for(Span::from_secs(5));
    assert!(node_of(&bed, "p").is_some(), "{:#?}", bed.told());
    delete(&mut bed, Kind::PersistentVolumeClaim, "c", None);
    delete(&mut bed, Kind::PersistentVolume, "v", None);
    bed.run_for(Span::from_secs(5));
    assert!(stored(&bed, "c").meta.is_terminating());
    assert_eq!(&*stored(&bed, "c").meta.finalizers, [CLAIM_PROTECTION]);
    delete(&mut bed, Kind::Pod, "p", Some(Span::ZERO));
    bed.run_for(Span::from_secs(5));
    assert!(bed.get::<PersistentVolumeClaim>("default", "c").is_none(), "{:#?}", bed.told());
    assert!(bed.get::<PersistentVolume>("", "v").is_none(), "{:#?}", bed.told());
}

#[test]
fn the_first_pod_decides_where_a_volume_is_made_and_waits_for_it() {
    let mut bed = bed();
    bed.create(class("late", BindingMode::WaitForFirstConsumer));
    bed.create(claim("c", "late", "1Gi"));
    bed.run_for(Span::from_secs(1));
    assert_eq!(said(&bed, "waiting for first consumer to be created before binding"), 1, "{:#?}", bed.told());
    let mut first = pod("p", &[of_claim("c")]);
    let selector = Labels::new([(ZONE, "b")]);
    first.spec = Shared::new(PodSpec { node_selector: selector, ..(*first.spec).clone() });
    bed.create(first);
    bed.run_for(Span::from_secs(2));
    assert_eq!(node_of(&bed, "p"), None, "the volume is not there yet");
    bed.run_for(Span::from_secs(4));
    assert_eq!(node_of(&bed, "p").as_deref(), Some("n2"), "{:#?}", bed.told());
    let claim = stored(&bed, "c");
    assert_eq!(claim.status.phase, ClaimPhase::Bound);
    let volume = bed.get::<PersistentVolume>("", &claim.spec.volume).expect("it was made");
    assert_eq!(volume.node_affinity, in_zone("b"));
    assert_eq!(said(&bed, "Successfully provisioned volume"), 1);
}

#[test]
fn without_a_driver_a_pod_waits_ten_minutes_for_its_claim_and_is_tried_again() {
    let mut bed = Testbed::new(Config::default());
    bed.add_node(0, "n1", "a", 4_000, 8 << 30);
    bed.create(class("late", BindingMode::WaitForFirstConsumer));
    bed.create(claim("c", "late", "1Gi"));
    bed.create(pod("p", &[of_claim("c")]));
    bed.run_for(Span::from_secs(599));
    assert_eq!(said(&bed, "running PreBind plugin"), 0, "{:#?}", bed.told());
    assert!(said(&bed, "Waiting for a volume to be created either by the external provisioner") > 10);
    bed.run_for(Span::from_secs(3));
    let told = "running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded";
    assert!(said(&bed, told) > 0, "{:#?}", bed.told());
}

#[test]
fn a_pod_that_goes_while_it_waits_for_its_claim_is_said_to_be_gone() {
    let mut bed = Testbed::new(Config::default());
    bed.add_node(0, "n1", "a", 4_000, 8 << 30);
    bed.create(class("late", BindingMode::WaitForFirstConsumer));
    bed.create(claim("c", "late", "1Gi"));
    bed.create(pod("p", &[of_claim("c")]));
    bed.run_for(Span::from_secs(9));
    delete(&mut bed, Kind::Pod, "p", None);
    bed.run_for(Span::from_secs(3));
    let told =
        "running PreBind plugin \"VolumeBinding\": binding volumes: pod does not exist any more: pod \"p\" not found";
    assert_eq!(said(&bed, told), 1, "{:#?}", bed.told());
}

#[test]
fn an_ephemeral_volume_gets_a_claim_that_goes_with_its_pod() {
    let mut bed = bed();
    bed.create(class("now", BindingMode::Immediate));
    let template = ClaimTemplate { spec: spec("now", "1Gi"), ..ClaimTemplate::default() };
    bed.create(pod("p", &[PodVolumeSource::Ephemeral(Box::new(template))]));
    bed.run_for(Span::from_secs(15));
    assert!(node_of(&bed, "p").is_some(), "{:#?}", bed.told());
    assert!(said(&bed, "waiting for ephemeral volume controller to create the persistentvolumeclaim \"p-v0\"") > 0);
    assert_eq!(stored(&bed, "p-v0").status.phase, ClaimPhase::Bound);
    delete(&mut bed, Kind::Pod, "p", Some(Span::ZERO));
    bed.run_for(Span::from_secs(30));
    assert!(bed.get::<PersistentVolumeClaim>("default", "p-v0").is_none(), "{:#?}", bed.told());
}

fn attachments(bed: &Testbed) -> Vec<(String, bool)> {
    let all = bed.core.newest();
    all.all::<VolumeAttachment>().map(|(_, it)| (it.node.to_string(), it.status.attached)).collect()
}

#[test]
fn a_claim_without_its_volume_is_lost() {
    let mut bed = Testbed::new(Config::default());
    bed.create(volume("v", "x", "1Gi"));
    bed.create(claim("c", "x", "1Gi"));
    bed.run_for(Span::from_secs(1));
    let volume = PersistentVolume::clone(&bed.get::<PersistentVolume>("", "v").expect("it is there"));
    let key = ObjectKey::new(Kind::PersistentVolume, "", "v");
    let (name, present) = ("kubernetes.io/pv-protection".into(), false);
    bed.request(Request::Patch { key, patch: Patch::Finalizer { name, present } });
    delete(&mut bed, Kind::PersistentVolume, "v", None);
    bed.run_for(Span::from_secs(1));
    assert_eq!(stored(&bed, "c").status.phase, ClaimPhase::Lost, "{:#?}", bed.told());
    assert_eq!(said(&bed, "Bound claim has lost its PersistentVolume. Data on the volume is lost!"), 1);
    // A volume of the same name that knows the claim heals it when everything is looked at again.
    let again = PersistentVolume { meta: Meta::named("", "v"), ..volume };
    bed.request(Request::Create(Object::PersistentVolume(Arc::new(again))));
    bed.run_for(Span::from_secs(15));
    assert_eq!(stored(&bed, "c").status.phase, ClaimPhase::Bound, "{:#?}", bed.told());
}

#[test]
fn a_volume_whose_mode_is_not_its_claim_s_says_so_whenever_all_are_looked_at() {
    let mut bed = Testbed::new(Config::default());
    bed.create(claim("c", "", "1Gi"));
    let uid = Some(stored(&bed, "c").meta.uid);
    let mut block = volume("v", "", "1Gi");
    block.mode = VolumeMode::Block;
    block.claim = Some(ClaimReference { namespace: "default".into(), name: "c".into(), uid });
    bed.create(block);
    let sentence =
        "Cannot bind PersistentVolume \"v\" to requested PersistentVolumeClaim due to incompatible volumeMode";
    bed.run_for(Span::from_secs(1));
    let at_first = said(&bed, sentence);
    assert!(at_first > 0, "{:?}", bed.events(Kind::PersistentVolumeClaim, "c"));
    bed.run_for(Span::from_secs(45));
    assert_eq!(said(&bed, sentence), at_first + 3, "every 15 s");
}
