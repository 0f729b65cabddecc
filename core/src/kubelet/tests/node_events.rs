//! What kubelets say of their nodes.

use super::node::tell;
use super::*;
use crate::api::Patch;
use crate::config::{EvictionConfig, ImageGcConfig, ShutdownConfig};
use crate::kubelet::{ImageUsage, NodeUsage, Supply};

/// The events of the node, each with its count, without those of controllers.
fn said(bed: &Testbed) -> Vec<String> {
    let own = bed.said.all().iter().filter(|it| it.subject.kind == Kind::Node && it.reporter.component == "kubelet");
    own.map(|it| format!("{} {} {} x{}: {}", it.last, it.event_type, it.reason, it.count, it.message)).collect()
}

/// Reasons and counts of the node's events that came after the first so many.
fn reasons(bed: &Testbed, skip: usize) -> Vec<String> {
    let word = |line: &String| line.split(' ').skip(2).take(2).collect::<Vec<_>>().join(" ").replace(':', "");
    said(bed).iter().skip(skip).map(word).collect()
}

fn cordon(bed: &mut Testbed, unschedulable: bool) {
    let key = ObjectKey::new(Kind::Node, "", "n1");
    bed.request(Request::Patch { key, patch: Patch::Unschedulable(unschedulable) });
    bed.run_for(Span::from_secs(1));
}

fn restart(bed: &mut Testbed, rebooted: bool) {
    bed.input(Input::Crashed(kubelet()));
    bed.run_for(Span::from_secs(10));
    if rebooted {
        bed.input(Input::Message { from: ProcId::WORLD, to: kubelet(), body: Msg::Rebooted });
    }
    bed.input(Input::Started(kubelet()));
    bed.run_for(Span::from_secs(10));
}

const AT_START: [&str; 6] = [
    "0s Normal Starting x1: Starting kubelet.",
    "0s Warning InvalidDiskCapacity x1: invalid capacity 0 on image filesystem",
    "0s Normal NodeAllocatableEnforced x1: Updated Node Allocatable limit across pods",
    "0s Normal NodeHasSufficientMemory x1: Node n1 status is now: NodeHasSufficientMemory",
    "0s Normal NodeHasNoDiskPressure x1: Node n1 status is now: NodeHasNoDiskPressure",
    "0s Normal NodeHasSufficientPID x1: Node n1 status is now: NodeHasSufficientPID",
];

#[test]
fn a_kubelet_that_starts_says_so_and_how_its_node_is() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(1_000));
    assert_eq!(said(&bed), AT_START, "and nothing of an idle node afterwards");
}

#[test]
fn without_image_collection_nobody_complains_of_figures_that_are_not_there_yet() {
    let image_gc = ImageGcConfig { high_threshold_percent: 100, ..ImageGcConfig::default() };
    let kubelet = KubeletConfig { image_gc, ..KubeletConfig::default() };
    let mut bed = bed_with(Config { kubelet, ..Config::default() }, FakeRuntime::new());
    assert!(!said(&bed).iter().any(|line| line.contains("InvalidDiskCapacity")));
    bed.runtime.as_mut().unwrap().usage = full_disk(0, &[]);
    tell(&mut bed, RuntimeEvent::UsageLow);
    bed.run_until(Time::from_secs(2_000));
    assert!(!said(&bed).iter().any(|line| line.contains("FreeDiskSpaceFailed")), "nobody looks");
}

#[test]
fn a_kubelet_that_starts_again_repeats_itself_and_a_node_that_was_ready_all_along_is_no_news() {
    let mut bed = bed(FakeRuntime::new());
    bed.run_until(Time::from_secs(10));
    restart(&mut bed, false);
    assert_eq!(said(&bed).len(), 12, "{:?}", said(&bed));
    let again: Vec<String> = AT_START.iter().map(|line| line.replacen("0s", "20s", 1)).collect();
    assert_eq!(said(&bed)[6..], again);
}

#[test]
fn a_node_that_was_given_up_is_ready_again_when_its_kubelet_says_so() {
    let mut bed = bed(FakeRuntime::new());
    bed.run_until(Time::from_secs(10));
    bed.set_cut(0, true);
    for kind in [ConditionKind::Ready, ConditionKind::MemoryPressure] {
        bed.set_node_condition("n1", kind, Status3::Unknown, "NodeStatusUnknown");
        bed.run_for(Span::ZERO);
    }
    bed.run_for(Span::from_secs(30));
    assert_eq!(reasons(&bed, 6), [""; 0]);
    bed.set_cut(0, false);
    bed.run_for(Span::from_secs(10));
    assert_eq!(reasons(&bed, 3)[0], "NodeHasSufficientMemory x2");
    assert_eq!(reasons(&bed, 6), ["NodeReady x1"]);
    assert!(said(&bed)[6].ends_with("Normal NodeReady x1: Node n1 status is now: NodeReady"), "{:?}", said(&bed));
}

#[test]
fn a_runtime_that_is_away_for_long_makes_the_node_unready_until_it_answers() {
    let mut bed = bed(FakeRuntime::new());
    bed.run_until(Time::from_secs(10));
    tell(&mut bed, RuntimeEvent::Down);
    bed.run_until(Time::from_secs(39));
    assert_eq!(reasons(&bed, 6), [""; 0]);
    bed.run_until(Time::from_secs(60));
    assert_eq!(said(&bed)[6..], ["40s Normal NodeNotReady x1: Node n1 status is now: NodeNotReady"]);
    tell(&mut bed, RuntimeEvent::Up);
    bed.run_until(Time::from_secs(70));
    assert_eq!(said(&bed)[7..], ["60s Normal NodeReady x1: Node n1 status is now: NodeReady"]);
}

#[test]
fn a_kubelet_tells_of_the_cordon_of_its_node_and_once_more_when_it_starts() {
    let mut bed = bed(FakeRuntime::new());
    bed.run_until(Time::from_secs(10));
    cordon(&mut bed, true);
    cordon(&mut bed, true);
    assert_eq!(said(&bed)[6..], ["10s Normal NodeNotSchedulable x1: Node n1 status is now: NodeNotSchedulable"]);
    restart(&mut bed, false);
    assert_eq!(reasons(&bed, 13), ["NodeNotSchedulable x1"], "what it knew has died with it");
    cordon(&mut bed, false);
    assert_eq!(reasons(&bed, 13), ["NodeNotSchedulable x1", "NodeSchedulable x1"]);
    let key = ObjectKey::new(Kind::Node, "", "n1");
    let patch = Patch::Label { key: "disk".into(), value: Some("fast".into()) };
    bed.request(Request::Patch { key, patch });
    bed.run_for(Span::from_secs(1));
    assert_eq!(reasons(&bed, 13).len(), 2, "a label is no news of that sort");
}

/// The boot ids that were told.
fn reboots(bed: &Testbed) -> Vec<String> {
    let marked = " Warning Rebooted x1: Node n1 has been rebooted, boot id: ";
    said(bed).iter().filter_map(|line| Some(line.split_once(marked)?.1.to_owned())).collect()
}

#[test]
fn a_machine_that_was_off_has_been_rebooted_and_only_that_one() {
    let mut bed = bed(FakeRuntime::new());
    bed.run_until(Time::from_secs(10));
    restart(&mut bed, false);
    assert_eq!(reboots(&bed), [""; 0], "the kubelet alone");
    restart(&mut bed, true);
    assert_eq!(reboots(&bed).len(), 1, "{:?}", said(&bed));
    restart(&mut bed, false);
    assert_eq!(reboots(&bed).len(), 1, "it was told already");
    restart(&mut bed, true);
    let ids = reboots(&bed);
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_reboot_is_told_when_the_node_can_be_looked_at_and_not_at_all_of_a_node_that_is_new() {
    let mut bed = bed(FakeRuntime::new());
    bed.run_until(Time::from_secs(10));
    bed.set_cut(0, true);
    restart(&mut bed, true);
    assert_eq!(reboots(&bed), [""; 0], "nobody has answered");
    bed.input(Input::Crashed(kubelet()));
    bed.run_for(Span::from_secs(10));
    bed.set_cut(0, false);
    bed.input(Input::Started(kubelet()));
    bed.run_for(Span::from_secs(60));
    assert_eq!(reboots(&bed).len(), 1, "the next kubelet tells it: {:?}", said(&bed));
    let key = ObjectKey::new(Kind::Node, "", "n1");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    restart(&mut bed, true);
    assert_eq!(reboots(&bed).len(), 1, "a new node has not been rebooted");
}

#[test]
fn a_shutdown_is_told_of_the_node_with_what_it_does_to_its_readiness() {
    let shutdown = ShutdownConfig { grace: Span::from_secs(30), ..ShutdownConfig::default() };
    let kubelet = KubeletConfig { shutdown, ..KubeletConfig::default() };
    let mut bed = bed_with(Config { kubelet, ..Config::default() }, FakeRuntime::new());
    bed.run_until(Time::from_secs(10));
    tell(&mut bed, RuntimeEvent::ShuttingDown);
    bed.run_until(Time::from_secs(11));
    let expected = [
        "10s Normal Shutdown x1: Shutdown manager detected shutdown event",
        "10s Normal NodeNotReady x1: Node n1 status is now: NodeNotReady",
    ];
    assert_eq!(said(&bed)[6..], expected);
}

/// A disk for images of a hundred bytes, of which so many are free, with unused images of these sizes.
fn full_disk(available: i64, sizes: &[i64]) -> NodeUsage {
    let image = |(place, size_bytes): (usize, &i64)| ImageUsage {
        image: format!("old:{place}").into(),
        size_bytes: *size_bytes,
        since: Time::ZERO,
        last_used: Some(Time::from_secs(1)),
    };
    let images = sizes.iter().enumerate().map(image).collect();
    let imagefs = Supply { capacity: 100, available };
    NodeUsage { imagefs, dedicated_imagefs: true, images, ..NodeUsage::default() }
}

#[test]
fn images_that_do_not_suffice_are_complained_about_and_twice_from_the_second_time_on() {
    let sentence = |wanted, found| {
        format!(
            "Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, but only found \
             {found} bytes eligible to free."
        )
    };
    let eviction = EvictionConfig { thresholds: Vec::new(), ..EvictionConfig::default() };
    let kubelet = KubeletConfig { eviction, ..KubeletConfig::default() };
    let mut bed = bed_with(Config { kubelet, ..Config::default() }, FakeRuntime::new());
    bed.run_until(Time::from_secs(1_000));
    bed.runtime.as_mut().unwrap().usage = full_disk(10, &[3, 1]);
    tell(&mut bed, RuntimeEvent::UsageLow);
    bed.run_until(Time::from_secs(1_300));
    let first = &said(&bed)[6..];
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(first[0].ends_with(&format!("Warning FreeDiskSpaceFailed x1: {}", sentence(10, 4))), "{first:?}");
    bed.run_until(Time::from_secs(1_600));
    let second = said(&bed)[7..].to_vec();
    assert_eq!(second.len(), 2, "{second:?}");
    assert!(second[0].ends_with(&format!("Warning FreeDiskSpaceFailed x1: {}", sentence(10, 0))), "{second:?}");
    assert!(second[1].ends_with(&format!("Warning ImageGCFailed x1: {}", sentence(10, 0))), "{second:?}");
    bed.runtime.as_mut().unwrap().usage = full_disk(10, &[12]);
    bed.run_until(Time::from_secs(1_900));
    assert_eq!(said(&bed).len(), 9, "there was enough to remove");
}

#[test]
fn the_look_of_the_start_counts_as_one_that_failed() {
    let mut bed = bed(FakeRuntime::new());
    bed.runtime.as_mut().unwrap().usage = full_disk(15, &[]);
    tell(&mut bed, RuntimeEvent::UsageLow);
    bed.run_until(Time::from_secs(301));
    assert_eq!(reasons(&bed, 6), ["FreeDiskSpaceFailed x1", "ImageGCFailed x1"]);
}
