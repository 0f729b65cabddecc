//! Attachments: who has a volume when, and those that take their time, fail, or are left over.

use super::*;
use crate::id::ProcId;
use crate::model::VolumeAttachmentStatus;
use crate::seam::Input;

/// A bed whose driver takes so long to attach a volume, with a claim of a volume.
fn slow(attach: Span) -> Testbed {
    let attach = SpanRange { min: attach, max: attach };
    let storage = StorageConfig { drivers: vec![CsiDriverConfig { attach, ..driver() }] };
    let mut bed = Testbed::new(Config { storage, ..Config::default() });
    bed.add_node(0, "n1", "a", 4_000, 8 << 30);
    bed.add_node(1, "n2", "b", 4_000, 8 << 30);
    let mut remote = volume("v", "x", "1Gi");
    remote.source = VolumeSource::Csi { driver: DRIVER.into(), handle: "h".into(), read_only: false };
    bed.create(remote);
    bed.create(claim("c", "x", "1Gi"));
    bed.run_for(Span::from_secs(1));
    bed
}

fn place(bed: &mut Testbed, name: &str, node: &str) {
    bed.create(Pod { node: Some(node.into()), ..pod(name, &[of_claim("c")]) });
}

fn remove(bed: &mut Testbed, name: &str) {
    delete(bed, Kind::Pod, name, Some(Span::ZERO));
}

/// What the controller has said of a pod's volume, with the second in which it was said first and how often.
fn told(bed: &Testbed, name: &str) -> Vec<String> {
    bed.events(Kind::Pod, name).into_iter().filter(|line| line.contains("AttachVolume")).collect()
}

/// What a node's status says is attached to it.
fn reported(bed: &Testbed, node: &str) -> usize {
    let node = bed.get::<Node>("", node).expect("it is there");
    node.status.volumes.as_ref().map_or(0, |volumes| volumes.attached.len())
}

/// A pod on n1 with a volume that n2 reaches as well, and what its kubelet says of it.
fn attached() -> (Testbed, String) {
    let mut bed = bed();
    let mut remote = volume("v", "x", "1Gi");
    remote.source = VolumeSource::Csi { driver: DRIVER.into(), handle: "h".into(), read_only: false };
    bed.create(remote);
    bed.create(claim("c", "x", "1Gi"));
    bed.run_for(Span::from_secs(1));
    let mut first = pod("p", &[of_claim("c")]);
    first.node = Some("n1".into());
    bed.create(first);
    bed.run_for(Span::from_secs(5));
    let unique = format!("kubernetes.io/csi/{DRIVER}^h");
    say_in_use(&mut bed, "n1", &[&unique]);
    (bed, unique)
}

fn say_in_use(bed: &mut Testbed, node: &str, names: &[&str]) {
    let names = names.iter().map(|name| (*name).into()).collect();
    let key = ObjectKey::new(Kind::Node, "", node);
    bed.request(Request::Patch { key, patch: Patch::VolumesInUse(names) });
    bed.run_for(Span::ZERO);
}

#[test]
fn a_volume_is_attached_where_its_pod_is_and_leaves_when_nobody_uses_it() {
    let (mut bed, unique) = attached();
    assert_eq!(attachments(&bed), [("n1".to_owned(), true)], "{:#?}", bed.told());
    let node = bed.get::<Node>("", "n1").expect("it is there");
    assert_eq!(node.status.volumes.as_ref().map(|it| it.attached.clone()), Some(vec![unique.as_str().into()]));
    assert_eq!(said(&bed, "AttachVolume.Attach succeeded for volume \"v\""), 1);
    delete(&mut bed, Kind::Pod, "p", Some(Span::ZERO));
    bed.run_for(Span::from_secs(60));
    assert_eq!(attachments(&bed).len(), 1, "the kubelet still uses it");
    say_in_use(&mut bed, "n1", &[]);
    bed.run_for(Span::from_secs(5));
    assert_eq!(attachments(&bed), [], "{:#?}", bed.told());
}

#[test]
fn a_second_node_waits_until_the_first_has_let_go_and_a_dead_one_lets_go_after_six_minutes() {
    let (mut bed, _) = attached();
    let mut second = pod("q", &[of_claim("c")]);
    second.node = Some("n2".into());
    bed.create(second);
    bed.run_for(Span::from_secs(5));
    let told = "Multi-Attach error for volume \"v\" Volume is already used by pod(s) p";
    assert_eq!(said(&bed, told), 1, "{:#?}", bed.told());
    bed.set_node_condition("n1", ConditionKind::Ready, Status3::Unknown, "NodeStatusUnknown");
    bed.silence(0);
    bed.run_for(Span::from_secs(1));
    delete(&mut bed, Kind::Pod, "p", Some(Span::ZERO));
    bed.run_for(Span::from_secs(359));
    assert_eq!(attachments(&bed), [("n1".to_owned(), true)], "{:#?}", bed.told());
    bed.run_for(Span::from_secs(10));
    assert_eq!(attachments(&bed), [("n2".to_owned(), true)], "{:#?}", bed.told());
}

#[test]
fn a_node_out_of_service_lets_go_at_once() {
    let (mut bed, _) = attached();
    bed.set_node_condition("n1", ConditionKind::Ready, Status3::Unknown, "NodeStatusUnknown");
    bed.silence(0);
    let (key, value) = ("node.kubernetes.io/out-of-service".into(), "nodeshutdown".into());
    let taint = Taint { key, value, effect: TaintEffect::NoExecute, added_at: None };
    bed.request(Request::Patch { key: ObjectKey::new(Kind::Node, "", "n1"), patch: Patch::AddTaint(taint) });
    bed.run_for(Span::from_secs(1));
    delete(&mut bed, Kind::Pod, "p", Some(Span::ZERO));
    bed.run_for(Span::from_secs(5));
    assert_eq!(attachments(&bed), [], "{:#?}", bed.told());
}

#[test]
fn a_driver_that_takes_too_long_is_complained_about_and_waited_for_all_the_same() {
    let mut bed = slow(Span::from_secs(200));
    place(&mut bed, "p", "n1");
    bed.run_for(Span::from_secs(119));
    assert_eq!(told(&bed, "p"), Vec::<String>::new());
    bed.run_for(Span::from_secs(2));
    let sentence = format!(
        "Warning FailedAttachVolume x1: AttachVolume.Attach failed for volume \"v\" : timed out waiting for \
         external-attacher of {DRIVER} CSI driver to attach volume h"
    );
    assert!(told(&bed, "p").len() == 1 && told(&bed, "p")[0].ends_with(&sentence), "{:#?}", told(&bed, "p"));
    assert_eq!(attachments(&bed), [("n1".to_owned(), false)], "what was asked for stays");
    bed.run_for(Span::from_secs(85));
    assert_eq!(attachments(&bed), [("n1".to_owned(), true)]);
    assert_eq!(said(&bed, "AttachVolume.Attach succeeded for volume \"v\""), 1, "{:#?}", told(&bed, "p"));
    bed.run_for(Span::from_secs(600));
    assert_eq!(said(&bed, "timed out waiting"), 1);
    // One after the other, each with its own two minutes and a growing pause.
    let mut bed = slow(Span::from_secs(100_000));
    place(&mut bed, "p", "n1");
    bed.run_for(Span::from_secs(4 * 120 + 3));
    assert_eq!(said(&bed, "timed out waiting"), 3, "120, 240.5, 361.5 and 483.5 s");
    bed.run_for(Span::from_secs(1));
    assert_eq!(said(&bed, "timed out waiting"), 4);
}

#[test]
fn a_volume_that_was_never_attached_leaves_its_node_before_the_next_one_gets_it() {
    let mut bed = slow(Span::from_secs(100_000));
    place(&mut bed, "p", "n1");
    bed.run_for(Span::from_secs(130));
    assert_eq!((attachments(&bed), reported(&bed, "n1")), (vec![("n1".to_owned(), false)], 0));
    remove(&mut bed, "p");
    place(&mut bed, "q", "n2");
    bed.run_for(Span::from_secs(10));
    assert_eq!(attachments(&bed), [("n2".to_owned(), false)], "{:#?}", bed.told());
}

#[test]
fn a_failure_that_the_driver_reports_is_passed_on_to_the_pods() {
    let mut bed = slow(Span::from_secs(20));
    place(&mut bed, "p", "n1");
    bed.run_for(Span::from_secs(5));
    let mut failed = {
        let all = bed.core.newest();
        VolumeAttachment::clone(all.all::<VolumeAttachment>().next().expect("it was asked for").1)
    };
    failed.status = VolumeAttachmentStatus { attach_error: Some((bed.now(), "no such disk".into())), ..failed.status };
    bed.request(Request::UpdateStatus { object: Object::VolumeAttachment(Arc::new(failed)), expected: None });
    bed.run_for(Span::from_secs(3));
    assert_eq!(
        said(&bed, "AttachVolume.Attach failed for volume \"v\" : no such disk"),
        3,
        "at once, after 0.5 and 1 s"
    );
}

#[test]
fn a_pod_that_comes_to_a_volume_nobody_uses_any_more_is_told_that_it_is_elsewhere() {
    let (mut bed, _) = attached();
    remove(&mut bed, "p");
    place(&mut bed, "q", "n2");
    bed.run_for(Span::from_secs(5));
    let sentence = "Multi-Attach error for volume \"v\" Volume is already exclusively attached to one node and can't \
                    be attached to another";
    assert_eq!(said(&bed, sentence), 1, "{:#?}", bed.told());
}

#[test]
fn only_the_pods_of_the_node_that_holds_a_volume_are_named_to_those_that_wait_for_it() {
    let (mut bed, _) = attached();
    bed.add_node(2, "n3", "b", 4_000, 8 << 30);
    remove(&mut bed, "p");
    place(&mut bed, "q", "n2");
    place(&mut bed, "r", "n3");
    bed.run_for(Span::from_secs(5));
    for name in ["q", "r"] {
        let told = bed.events(Kind::Pod, name);
        let multi: Vec<&String> = told.iter().filter(|line| line.contains("Multi-Attach")).collect();
        assert!(multi.len() == 1 && multi[0].ends_with("can't be attached to another"), "{told:#?}");
    }
}

#[test]
fn a_pod_that_comes_while_its_volume_is_being_attached_or_detached_elsewhere_waits_in_silence() {
    // Nobody says that the first node uses the volume, so it leaves as soon as its pod has gone.
    let mut bed = slow(Span::from_secs(2));
    place(&mut bed, "p", "n1");
    bed.run_for(Span::from_secs(10));
    assert_eq!(attachments(&bed), [("n1".to_owned(), true)]);
    remove(&mut bed, "p");
    place(&mut bed, "q", "n2");
    bed.run_for(Span::from_secs(30));
    assert_eq!((attachments(&bed), said(&bed, "Multi-Attach")), (vec![("n2".to_owned(), true)], 0));
    // While it is on its way to the first node a pod on the second is told nothing; then that it is used there.
    let mut bed = slow(Span::from_secs(20));
    place(&mut bed, "p", "n1");
    place(&mut bed, "q", "n2");
    bed.run_for(Span::from_secs(15));
    assert_eq!(said(&bed, "Multi-Attach"), 0, "{:#?}", bed.events(Kind::Pod, "q"));
    bed.run_for(Span::from_secs(15));
    assert_eq!(said(&bed, "Volume is already used by pod(s) p"), 1, "{:#?}", bed.events(Kind::Pod, "q"));
    // A pod that comes to a refused node again is told again.
    remove(&mut bed, "q");
    bed.run_for(Span::from_secs(1));
    place(&mut bed, "s", "n2");
    bed.run_for(Span::from_secs(1));
    assert_eq!(said(&bed, "Volume is already used by pod(s) p"), 2);
}

#[test]
fn a_volume_stays_while_its_node_cannot_be_told_and_the_six_minutes_do_not_begin_again() {
    let (mut bed, _) = attached();
    bed.set_node_condition("n1", ConditionKind::Ready, Status3::Unknown, "NodeStatusUnknown");
    bed.silence(0);
    bed.run_for(Span::from_secs(1));
    remove(&mut bed, "p");
    bed.run_for(Span::from_secs(359));
    let is_telling = |request: &Request| matches!(request, Request::Patch { patch: Patch::VolumesAttached(_), .. });
    bed.refuse(8, is_telling);
    bed.run_for(Span::from_millis(1_200));
    assert!(bed.refusals_left() > 0 && bed.refusals_left() < 8);
    assert_eq!((attachments(&bed), reported(&bed, "n1")), (vec![("n1".to_owned(), true)], 1));
    bed.run_for(Span::from_secs(10));
    assert_eq!((attachments(&bed), reported(&bed, "n1")), (Vec::new(), 0), "{:#?}", bed.told());
}

#[test]
fn a_detachment_that_fails_is_forgotten_when_the_volume_is_wanted_again() {
    let (mut bed, _) = attached();
    remove(&mut bed, "p");
    let is_deletion =
        |request: &Request| matches!(request, Request::Delete { key, .. } if key.kind == Kind::VolumeAttachment);
    bed.refuse(1_000, is_deletion);
    say_in_use(&mut bed, "n1", &[]);
    bed.run_for(Span::from_secs(1));
    assert_eq!(
        (attachments(&bed), reported(&bed, "n1")),
        (vec![("n1".to_owned(), true)], 0),
        "it is not safe to mount"
    );
    place(&mut bed, "q", "n1");
    bed.run_for(Span::from_secs(1));
    let left = bed.refusals_left();
    bed.run_for(Span::from_secs(60));
    assert_eq!((attachments(&bed), reported(&bed, "n1")), (vec![("n1".to_owned(), true)], 1));
    assert_eq!(bed.refusals_left(), left, "nobody tries to detach it any more");
    place(&mut bed, "r", "n2");
    bed.run_for(Span::from_secs(10));
    assert_eq!(attachments(&bed), [("n1".to_owned(), true)]);
}

#[test]
fn what_happened_while_the_controller_was_away_is_made_up_for_when_it_starts() {
    for attached in [true, false] {
        let mut bed = slow(Span::from_secs(if attached { 1 } else { 100_000 }));
        place(&mut bed, "p", "n1");
        bed.run_for(Span::from_secs(5));
        assert_eq!(attachments(&bed), [("n1".to_owned(), attached)]);
        bed.input(Input::Crashed(ProcId::CONTROLLER_MANAGER));
        remove(&mut bed, "p");
        place(&mut bed, "q", "n2");
        bed.run_for(Span::from_secs(30));
        assert_eq!(attachments(&bed), [("n1".to_owned(), attached)]);
        bed.input(Input::Started(ProcId::CONTROLLER_MANAGER));
        bed.run_for(Span::from_secs(30));
        assert_eq!(attachments(&bed), [("n2".to_owned(), attached)], "{:#?}", bed.told());
    }
}

#[test]
fn a_volume_for_many_nodes_is_attached_to_each_and_leaves_each_by_itself() {
    let mut bed = bed();
    let mut remote = volume("v", "x", "1Gi");
    remote.access_modes = vec![AccessMode::ReadWriteMany];
    remote.source = VolumeSource::Csi { driver: DRIVER.into(), handle: "h".into(), read_only: false };
    bed.create(remote);
    let mut shared = claim("c", "x", "1Gi");
    shared.spec.access_modes = vec![AccessMode::ReadWriteMany];
    bed.create(shared);
    bed.run_for(Span::from_secs(1));
    place(&mut bed, "p", "n1");
    place(&mut bed, "q", "n2");
    bed.run_for(Span::from_secs(10));
    let mut all = attachments(&bed);
    all.sort();
    assert_eq!(all, [("n1".to_owned(), true), ("n2".to_owned(), true)]);
    remove(&mut bed, "p");
    bed.run_for(Span::from_secs(10));
    assert_eq!(attachments(&bed), [("n2".to_owned(), true)]);
    assert_eq!((reported(&bed, "n1"), reported(&bed, "n2")), (0, 1));
    assert_eq!(said(&bed, "Multi-Attach"), 0);
}
