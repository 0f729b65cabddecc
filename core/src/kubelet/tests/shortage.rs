//! Stories of nodes that run short of processes, disk or memory, by their thresholds.

use super::node::{condition, tell};
use super::*;
use crate::config::{EvictionAmount, EvictionConfig, EvictionSignal, EvictionThreshold};
use crate::kubelet::{ContainerIndex, ContainerUsage, ImageUsage, NodeUsage, PodUsage, Supply};
use crate::model::SYSTEM_CRITICAL_PRIORITY;

/// A kubelet with these thresholds, each with its grace in seconds (`None` is a hard one), and this minimum reclaim.
fn bed_of(thresholds: &[(EvictionSignal, i64, Option<u64>)], minimum_reclaim: &[(EvictionSignal, i64)]) -> Testbed {
    let number = EvictionAmount::Number;
    let thresholds = thresholds.iter().map(|(signal, amount, grace)| EvictionThreshold {
        signal: *signal,
        value: number(*amount),
        grace: grace.map(Span::from_secs),
    });
    let minimum_reclaim = minimum_reclaim.iter().map(|(signal, amount)| (*signal, number(*amount))).collect();
    let eviction = EvictionConfig { thresholds: thresholds.collect(), minimum_reclaim, ..EvictionConfig::default() };
    let kubelet = KubeletConfig { relist_period: Span::ZERO, eviction, ..KubeletConfig::default() };
    bed_with(Config { kubelet, ..Config::default() }, FakeRuntime::new())
}

/// What is left of processes, or of both disks, and what the named pods use of each.
fn set_left(bed: &mut Testbed, signal: EvictionSignal, available: i64, pods: &[(&str, i64)]) {
    let of_pod = |(name, amount): &(&str, i64)| {
        let container = ContainerUsage {
            container: ContainerIndex::Main(0),
            memory_bytes: 0,
            disk_bytes: *amount,
            volume: "".into(),
            processes: *amount,
        };
        PodUsage { pod: pod(bed, name).meta.uid, containers: vec![container] }
    };
    let pods = pods.iter().map(of_pod).collect();
    let supply = Supply { capacity: 1_000, available };
    let mut usage = NodeUsage { pods, ..NodeUsage::default() };
    match signal {
        EvictionSignal::PidAvailable => usage.pids = supply,
        EvictionSignal::MemoryAvailable => usage.memory = supply,
        _ => (usage.nodefs, usage.imagefs) = (supply, supply),
    }
    bed.runtime.as_mut().unwrap().usage = usage;
}

/// Which of the pods have been evicted.
fn evicted(bed: &Testbed, names: &[&str]) -> String {
    let gone = names.iter().filter(|name| *pod(bed, name).status.reason == *"Evicted");
    gone.copied().collect::<Vec<_>>().join(" ")
}

/// Lets time pass until another of the pods has been evicted, at most so many seconds; which have been then.
fn next_evicted(bed: &mut Testbed, names: &[&str], seconds: u64) -> String {
    let (before, end) = (evicted(bed, names), bed.now() + Span::from_secs(seconds));
    while evicted(bed, names) == before && bed.now() < end {
        bed.run_for(Span::from_millis(100));
    }
    evicted(bed, names)
}

#[test]
fn a_node_short_of_processes_or_disk_waits_softly_acts_hard_and_takes_nobody() {
    for (signal, kind, reason, resource) in [
        (EvictionSignal::PidAvailable, ConditionKind::PidPressure, "KubeletHasInsufficientPID", "pids"),
        (EvictionSignal::NodeFsAvailable, ConditionKind::DiskPressure, "KubeletHasDiskPressure", "ephemeral-storage"),
    ] {
        let mut bed = bed_of(&[(signal, 200, Some(120)), (signal, 100, None)], &[]);
        let ranked = [("high", 9, 90), ("few", 0, 20), ("many", 0, 80), ("low", -5, 10)];
        let names = ranked.map(|(name, ..)| name);
        for (name, priority, _) in ranked {
            create(&mut bed, name, PodSpec { priority, ..spec(&["app"]) });
        }
        bed.run_until(Time::from_secs(10));
        let uses: Vec<(&str, i64)> = ranked.iter().map(|(name, _, used)| (*name, *used)).collect();
        set_left(&mut bed, signal, 150, &uses);
        tell(&mut bed, RuntimeEvent::UsageLow);
        bed.run_until(Time::from_secs(100));
        assert_eq!(condition(&bed, kind), format!("True {reason}"));
        assert_eq!(evicted(&bed, &names), "", "{signal:?}: the grace is not over");
        create(&mut bed, "late", PodSpec { priority: 9, ..spec(&["app"]) });
        create(&mut bed, "vital", PodSpec { priority: SYSTEM_CRITICAL_PRIORITY, ..spec(&["app"]) });
        bed.run_for(Span::from_secs(2));
        assert_eq!(evicted(&bed, &["late", "vital"]), "late", "{signal:?}: a node in trouble takes critical pods only");
        set_left(&mut bed, signal, 90, &uses);
        let hard = next_evicted(&mut bed, &names, 11);
        assert_eq!(hard, "low", "{signal:?}: below the hard threshold the next look acts");
        assert!(pod(&bed, "low").status.message.starts_with(&format!("The node was low on resource: {resource}. ")));
        set_left(&mut bed, signal, 500, &uses);
        bed.run_until(Time::from_secs(300));
        assert_eq!((evicted(&bed, &names), condition(&bed, kind)), ("low".into(), format!("True {reason}")));
        bed.run_until(Time::from_secs(430));
        assert!(condition(&bed, kind).starts_with("False "), "{signal:?}: the period is over");
        create(&mut bed, "later", spec(&["app"]));
        bed.run_for(Span::from_secs(5));
        assert!(pod(&bed, "later").is_ready(), "{signal:?}");
    }
}

#[test]
fn eviction_goes_on_until_the_minimum_reclaim_is_free() {
    let signal = EvictionSignal::MemoryAvailable;
    let mut bed = bed_of(&[(signal, 100, None)], &[(signal, 500)]);
    let names = ["a", "b", "c"];
    for (priority, name) in names.iter().enumerate() {
        create(&mut bed, name, PodSpec { priority: priority as i32, ..spec(&["app"]) });
    }
    bed.run_until(Time::from_secs(10));
    set_left(&mut bed, signal, 300, &[]);
    tell(&mut bed, RuntimeEvent::UsageLow);
    assert_eq!(next_evicted(&mut bed, &names, 60), "", "the threshold was not crossed");
    for (available, gone) in [(50, "a"), (300, "a b"), (700, "a b"), (300, "a b")] {
        set_left(&mut bed, signal, available, &[]);
        if available == 50 {
            tell(&mut bed, RuntimeEvent::UsageLow);
        }
        assert_eq!(next_evicted(&mut bed, &names, 60), gone, "{available} left");
    }
}

#[test]
fn images_are_removed_before_pods_where_they_lie_on_the_disk_that_is_short() {
    use EvictionSignal::{ImageFsAvailable, NodeFsAvailable};
    let image = |name: &str| ImageUsage {
        image: name.into(),
        size_bytes: 60,
        since: Time::ZERO,
        last_used: Some(Time::from_secs(5)),
    };
    // The disk that is short, whether images have one of their own, how much it has; are the images gone, and the pod?
    for (signal, dedicated, left, images_go, pod_goes) in [
        (NodeFsAvailable, false, 90, true, false),
        (NodeFsAvailable, false, 30, true, true),
        (NodeFsAvailable, true, 90, false, true),
        (ImageFsAvailable, true, 90, true, false),
        (ImageFsAvailable, true, 30, true, true),
    ] {
        let mut bed = bed_of(&[(signal, 100, None)], &[]);
        create(&mut bed, "web", spec(&["app"]));
        bed.run_until(Time::from_secs(1_000));
        let (short, enough) = (Supply { capacity: 1_000, available: left }, Supply { capacity: 1_000, available: 900 });
        let (nodefs, imagefs) = match (signal, dedicated) {
            (_, false) => (short, short),
            (NodeFsAvailable, true) => (short, enough),
            _ => (enough, short),
        };
        let images = vec![image("old:1")];
        bed.runtime.as_mut().unwrap().usage =
            NodeUsage { nodefs, imagefs, dedicated_imagefs: dedicated, images, ..NodeUsage::default() };
        tell(&mut bed, RuntimeEvent::UsageLow);
        bed.run_until(Time::from_secs(1_013));
        let story = format!("{signal:?}, a disk of their own: {dedicated}, {left} left");
        assert_eq!(bed.runtime.as_ref().unwrap().usage.images.is_empty(), images_go, "{story}");
        assert_eq!(evicted(&bed, &["web"]) == "web", pod_goes, "{story}");
        assert_eq!(condition(&bed, ConditionKind::DiskPressure), "True KubeletHasDiskPressure", "{story}");
    }
}
