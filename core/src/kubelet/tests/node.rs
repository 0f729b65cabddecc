//! Stories of nodes that run short or shut down.

use super::*;
use crate::config::{EvictionAmount, EvictionConfig, EvictionSignal, EvictionThreshold, ShutdownConfig};
use crate::kubelet::{ContainerIndex, ContainerUsage, ImageUsage, NodeUsage, PodUsage, RuntimeRequest, Supply};
use crate::model::SYSTEM_CRITICAL_PRIORITY;

const MIB: i64 = 1 << 20;

pub(super) fn tell(bed: &mut Testbed, event: RuntimeEvent) {
    let (from, body) = (ProcId::runtime(HostId(0)), Msg::RuntimeEvent(event));
    bed.input(Input::Message { from, to: kubelet(), body });
}

/// So much memory is left, and the named pods use so much of it.
fn set_memory(bed: &mut Testbed, available_mib: i64, pods: &[(&str, i64)]) {
    let usage = |(name, mib): &(&str, i64)| {
        let container = ContainerUsage {
            container: ContainerIndex::Main(0),
            memory_bytes: mib * MIB,
            disk_bytes: 0,
            volume: "".into(),
            processes: 1,
        };
        PodUsage { pod: pod(bed, name).meta.uid, containers: vec![container] }
    };
    let pods = pods.iter().map(usage).collect();
    let memory = Supply { capacity: 4_096 * MIB, available: available_mib * MIB };
    bed.runtime.as_mut().unwrap().usage = NodeUsage { memory, pods, ..NodeUsage::default() };
}

pub(super) fn condition(bed: &Testbed, kind: ConditionKind) -> String {
    let node = bed.get::<Node>("", "n1").unwrap();
    let condition = node.status.conditions.get(kind).unwrap();
    format!("{:?} {}", condition.status, condition.reason)
}

fn powered_off(bed: &Testbed) -> Option<Time> {
    let off = |(_, _, body): &&(Time, ProcId, Msg)| matches!(body, Msg::Runtime(RuntimeRequest::PowerOff));
    bed.to_runtimes.iter().find(off).map(|(at, ..)| *at)
}

#[test]
fn a_node_short_of_memory_evicts_one_pod_after_the_other_until_enough_is_left() {
    let mut bed = bed(FakeRuntime::new());
    for name in ["small", "large", "medium"] {
        create(&mut bed, name, spec(&["app"]));
    }
    let important = PodSpec { priority: SYSTEM_CRITICAL_PRIORITY, ..spec(&["app"]) };
    create(&mut bed, "vital", important);
    bed.run_until(Time::from_secs(100));
    set_memory(&mut bed, 50, &[("small", 10), ("large", 900), ("medium", 500), ("vital", 2_000)]);
    tell(&mut bed, RuntimeEvent::UsageLow);
    while pod(&bed, "large").status.phase == Phase::Running {
        bed.run_for(Span::from_millis(100));
    }
    assert!(bed.now() <= Time::from_secs(112), "within a look and a second: {}", bed.now());
    let large = pod(&bed, "large").status;
    assert_eq!((large.phase, &*large.reason), (Phase::Failed, "Evicted"));
    let sentence = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. Container app \
                    was using 900Mi, request is 0, has larger consumption of memory. ";
    assert_eq!(&*large.message, sentence);
    let target = large.conditions.get(ConditionKind::DisruptionTarget).unwrap();
    assert_eq!((target.status, &*target.reason), (Status3::True, "TerminationByKubelet"));
    assert_eq!(condition(&bed, ConditionKind::MemoryPressure), "True KubeletHasInsufficientMemory");
    assert!(pod(&bed, "medium").is_ready(), "one at a time");
    bed.run_for(Span::from_secs(3));
    assert_eq!(&*pod(&bed, "medium").status.reason, "Evicted", "it is looked at again once the first has ended");
    set_memory(&mut bed, 1_500, &[("small", 10), ("vital", 2_000)]);
    bed.run_until(Time::from_secs(200));
    assert!(pod(&bed, "vital").is_ready(), "a critical pod is spared");
    let evicted = |name: &str| times(&bed, name, "Ended").len();
    assert_eq!([evicted("large"), evicted("medium"), evicted("vital")], [1, 1, 0]);
    let looks =
        |bed: &Testbed| bed.to_runtimes.iter().filter(|it| matches!(it.2, Msg::Runtime(RuntimeRequest::Usage))).count();
    bed.run_until(Time::from_secs(460));
    assert_eq!(condition(&bed, ConditionKind::MemoryPressure), "False KubeletHasSufficientMemory");
    let quiet = looks(&bed);
    bed.run_until(Time::from_secs(2_000));
    assert_eq!(looks(&bed), quiet, "a node that is well is not looked at");
}

#[test]
fn a_node_under_memory_pressure_takes_no_pod_without_requests() {
    let mut bed = bed(FakeRuntime::new());
    bed.run_until(Time::from_secs(10));
    set_memory(&mut bed, 50, &[]);
    tell(&mut bed, RuntimeEvent::UsageLow);
    bed.run_until(Time::from_secs(30));
    create(&mut bed, "careless", spec(&["app"]));
    let requests = Resources { memory_bytes: MIB, ..Resources::default() };
    let asking = Container { requests, ..container("app") };
    create(&mut bed, "asking", PodSpec { containers: vec![asking], ..PodSpec::default() });
    bed.run_for(Span::from_secs(1));
    let status = pod(&bed, "careless").status;
    let told = (status.phase, &*status.reason, &*status.message);
    assert_eq!(told, (Phase::Failed, "Evicted", "Pod was rejected: The node had condition: [MemoryPressure]. "));
    assert_eq!(&*pod(&bed, "asking").status.reason, "");
}

#[test]
fn a_soft_threshold_waits_and_gives_pods_its_own_grace() {
    let value = EvictionAmount::Number(500 * MIB);
    let grace = Some(Span::from_secs(60));
    let threshold = EvictionThreshold { signal: EvictionSignal::MemoryAvailable, value, grace };
    let max_pod_grace = Span::from_secs(7);
    let eviction = EvictionConfig { thresholds: vec![threshold], max_pod_grace, ..EvictionConfig::default() };
    let kubelet = KubeletConfig { relist_period: Span::ZERO, eviction, ..KubeletConfig::default() };
    let runtime = FakeRuntime { stop: Span::from_secs(100), ..FakeRuntime::new() };
    let mut bed = bed_with(Config { kubelet, ..Config::default() }, runtime);
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(100));
    set_memory(&mut bed, 400, &[("web", 900)]);
    tell(&mut bed, RuntimeEvent::UsageLow);
    bed.run_until(Time::from_secs(150));
    assert_eq!(condition(&bed, ConditionKind::MemoryPressure), "True KubeletHasInsufficientMemory");
    assert!(pod(&bed, "web").is_ready());
    bed.run_until(Time::from_secs(190));
    let status = pod(&bed, "web").status;
    assert_eq!((status.phase, &*status.reason), (Phase::Failed, "Evicted"));
    let facts: Vec<Time> =
        bed.facts.iter().filter(|(_, fact)| ["Ended", "Exited"].contains(&fact.what.reason())).map(|it| it.0).collect();
    assert_eq!(facts[1].since(facts[0]), Span::from_secs(7));
}

#[test]
fn a_full_disk_loses_its_unused_images_first_and_only_then_pods() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(1_000));
    let image = |name: &str, last_used: Option<u64>| ImageUsage {
        image: name.into(),
        size_bytes: 20,
        since: Time::ZERO,
        last_used: last_used.map(Time::from_secs),
    };
    let disk = Supply { capacity: 100, available: 5 };
    let uid = pod(&bed, "web").meta.uid;
    let container = ContainerUsage {
        container: ContainerIndex::Main(0),
        memory_bytes: 0,
        disk_bytes: 70,
        volume: "".into(),
        processes: 1,
    };
    let usage = NodeUsage {
        nodefs: disk,
        imagefs: disk,
        pods: vec![PodUsage { pod: uid, containers: vec![container] }],
        images: vec![image("app:1", None), image("old:1", Some(5)), image("new:1", Some(999))],
        ..NodeUsage::default()
    };
    bed.runtime.as_mut().unwrap().usage = usage;
    tell(&mut bed, RuntimeEvent::UsageLow);
    bed.run_until(Time::from_secs(1_015));
    let left: Vec<Name> = bed.runtime.as_ref().unwrap().usage.images.iter().map(|it| it.image.clone()).collect();
    assert_eq!(left, [Name::from("app:1")], "45 of 100 are enough");
    assert!(pod(&bed, "web").is_ready());
    assert_eq!(condition(&bed, ConditionKind::DiskPressure), "True KubeletHasDiskPressure");
    bed.run_until(Time::from_secs(1_030));
    // Nothing else is left to remove, and the runtime still says that only 5 are free.
    let status = pod(&bed, "web").status;
    assert_eq!((status.phase, &*status.reason), (Phase::Failed, "Evicted"));
    assert!(status.message.starts_with("The node was low on resource: ephemeral-storage. "), "{}", status.message);
}

#[test]
fn pods_over_their_disk_limits_go_together_though_the_node_has_plenty() {
    let mut bed = bed(FakeRuntime::new());
    let of = |limit| Resources { ephemeral_bytes: limit, ..Resources::default() };
    let limited = |name: &str| Container { limits: of(1 << 30), ..container(name) };
    create(&mut bed, "one", PodSpec { containers: vec![limited("app")], ..PodSpec::default() });
    create(&mut bed, "two", PodSpec { containers: vec![limited("app"), limited("log")], ..PodSpec::default() });
    create(&mut bed, "within", PodSpec { containers: vec![limited("app")], ..PodSpec::default() });
    let priority = SYSTEM_CRITICAL_PRIORITY;
    create(&mut bed, "critical", PodSpec { containers: vec![limited("app")], priority, ..PodSpec::default() });
    bed.run_until(Time::from_secs(10));
    let uses = |bed: &Testbed, name: &str, disk_bytes: i64| {
        let container = ContainerUsage {
            container: ContainerIndex::Main(0),
            memory_bytes: 0,
            disk_bytes,
            volume: "".into(),
            processes: 1,
        };
        PodUsage { pod: pod(bed, name).meta.uid, containers: vec![container] }
    };
    let gib = 1 << 30;
    let pods = vec![
        uses(&bed, "one", 2 * gib),
        uses(&bed, "two", gib + 1),
        uses(&bed, "within", gib),
        uses(&bed, "critical", 9 * gib),
    ];
    bed.runtime.as_mut().unwrap().usage = NodeUsage { pods, ..NodeUsage::default() };
    tell(&mut bed, RuntimeEvent::UsageLow);
    bed.run_until(Time::from_secs(30));
    for (name, sentence) in [
        ("one", "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. "),
        ("two", "Container app exceeded its local ephemeral storage limit \"1Gi\". "),
    ] {
        let status = pod(&bed, name).status;
        assert_eq!((status.phase, &*status.reason, &*status.message), (Phase::Failed, "Evicted", sentence), "{name}");
        assert_eq!(status.conditions.get(ConditionKind::DisruptionTarget), None, "{name}");
    }
    for name in ["within", "critical"] {
        assert_eq!(pod(&bed, name).status.phase, Phase::Running, "{name}");
    }
}

#[test]
fn critical_and_static_pods_stay_whatever_the_node_is_short_of() {
    let memory_needs = |priority| PodSpec { priority, containers: vec![container("app")], ..PodSpec::default() };
    for (priority, evicted) in [(0, true), (SYSTEM_CRITICAL_PRIORITY - 1, true), (SYSTEM_CRITICAL_PRIORITY, false)] {
        let mut bed = bed(FakeRuntime::new());
        create(&mut bed, "web", memory_needs(priority));
        bed.run_until(Time::from_secs(10));
        set_memory(&mut bed, 50, &[("web", 900)]);
        tell(&mut bed, RuntimeEvent::UsageLow);
        bed.run_until(Time::from_secs(30));
        assert_eq!(condition(&bed, ConditionKind::MemoryPressure), "True KubeletHasInsufficientMemory");
        assert_eq!(&*pod(&bed, "web").status.reason == "Evicted", evicted, "priority {priority}");
    }
}

#[test]
fn images_are_collected_at_the_next_look_after_their_disk_is_filled() {
    let mut bed = bed(FakeRuntime::new());
    bed.run_until(Time::from_secs(1_000));
    let image = |name: &str, last_used: u64| ImageUsage {
        image: name.into(),
        size_bytes: 4,
        since: Time::ZERO,
        last_used: Some(Time::from_secs(last_used)),
    };
    let imagefs = Supply { capacity: 100, available: 15 };
    let images = vec![image("b", 7), image("a", 3), image("c", 9)];
    bed.runtime.as_mut().unwrap().usage =
        NodeUsage { imagefs, dedicated_imagefs: true, images, ..NodeUsage::default() };
    tell(&mut bed, RuntimeEvent::UsageLow);
    bed.run_until(Time::from_secs(1_301));
    let left: Vec<Name> = bed.runtime.as_ref().unwrap().usage.images.iter().map(|it| it.image.clone()).collect();
    assert_eq!(left, [Name::from("c")], "the two unused for longest make room for 80 percent");
    assert_eq!(condition(&bed, ConditionKind::DiskPressure), "False KubeletHasNoDiskPressure");
}

#[test]
fn a_machine_that_shuts_down_ends_its_pods_by_importance_and_then_goes_off() {
    let seconds = Span::from_secs;
    let shutdown = ShutdownConfig { grace: seconds(30), critical_grace: seconds(10), by_priority: Vec::new() };
    let kubelet = KubeletConfig { relist_period: Span::ZERO, shutdown, ..KubeletConfig::default() };
    let runtime = FakeRuntime { stop: seconds(25), ..FakeRuntime::new() };
    let mut bed = bed_with(Config { kubelet, ..Config::default() }, runtime);
    create(&mut bed, "web", spec(&["app"]));
    create(&mut bed, "brief", PodSpec { termination_grace: seconds(5), ..spec(&["app"]) });
    create(&mut bed, "vital", PodSpec { priority: SYSTEM_CRITICAL_PRIORITY, ..spec(&["app"]) });
    bed.run_until(Time::from_secs(100));
    tell(&mut bed, RuntimeEvent::ShuttingDown);
    bed.run_until(Time::from_secs(101));
    assert_eq!(condition(&bed, ConditionKind::Ready), "False KubeletNotReady");
    create(&mut bed, "late", spec(&["app"]));
    bed.run_until(Time::from_secs(200));
    assert_eq!(times(&bed, "brief", "Exited"), ["105s"], "its own grace is shorter");
    assert_eq!(times(&bed, "web", "Exited"), ["120s"]);
    assert_eq!(times(&bed, "vital", "Ended"), ["120s"]);
    assert_eq!(times(&bed, "vital", "Exited"), ["130s"]);
    assert_eq!(powered_off(&bed), Some(Time::from_secs(130)));
    let status = pod(&bed, "web").status;
    let told = (status.phase, &*status.reason, &*status.message);
    let sentence = "Pod was terminated in response to imminent node shutdown.";
    assert_eq!(told, (Phase::Failed, "Terminated", sentence));
    assert!(status.conditions.is_true(ConditionKind::DisruptionTarget));
    assert_eq!(&*pod(&bed, "late").status.reason, "NodeShutdown");
}

#[test]
fn the_time_of_a_shutdown_is_divided_between_critical_pods_and_others() {
    let seconds = Span::from_secs;
    // The time, that of critical pods, the own grace of both pods; how long each gets, where two seconds are the least.
    for (grace, critical, own, expected) in
        [(30, 10, 30, [20, 10]), (30, 10, 6, [6, 6]), (30, 10, 600, [20, 10]), (30, 0, 30, [30, 2]), (5, 5, 30, [2, 5])]
    {
        let (grace, critical_grace) = (seconds(grace), seconds(critical));
        let shutdown = ShutdownConfig { grace, critical_grace, by_priority: Vec::new() };
        let kubelet = KubeletConfig { relist_period: Span::ZERO, shutdown, ..KubeletConfig::default() };
        let mut bed = bed_with(Config { kubelet, ..Config::default() }, FakeRuntime::new());
        let termination_grace = seconds(own);
        create(&mut bed, "web", PodSpec { termination_grace, ..spec(&["app"]) });
        create(&mut bed, "vital", PodSpec { termination_grace, priority: SYSTEM_CRITICAL_PRIORITY, ..spec(&["app"]) });
        bed.run_until(Time::from_secs(100));
        tell(&mut bed, RuntimeEvent::ShuttingDown);
        bed.run_until(Time::from_secs(200));
        let given = ["web", "vital"].map(|name| {
            let uid = pod(&bed, name).meta.uid;
            let graces = bed.to_runtimes.iter().filter_map(|(_, _, body)| match body {
                Msg::Runtime(RuntimeRequest::StopContainer { pod, grace, .. }) if *pod == uid => Some(grace.as_secs()),
                _ => None,
            });
            graces.collect::<Vec<_>>()
        });
        assert_eq!(given, expected.map(|grace| vec![grace]), "{grace} with {critical_grace}, own {own}");
    }
}

#[test]
fn a_pod_whose_containers_end_well_has_succeeded_whoever_ends_it() {
    let shutdown = ShutdownConfig { grace: Span::from_secs(30), ..ShutdownConfig::default() };
    let kubelet = KubeletConfig { relist_period: Span::ZERO, shutdown, ..KubeletConfig::default() };
    let runtime = FakeRuntime { stop_code: 0, ..FakeRuntime::new() };
    let mut bed = bed_with(Config { kubelet, ..Config::default() }, runtime);
    create(&mut bed, "web", spec(&["app"]));
    let active_deadline = Some(Span::from_secs(50));
    create(&mut bed, "brief", PodSpec { active_deadline, ..spec(&["app"]) });
    bed.run_until(Time::from_secs(100));
    tell(&mut bed, RuntimeEvent::ShuttingDown);
    bed.run_until(Time::from_secs(200));
    let web = pod(&bed, "web").status;
    assert_eq!((web.phase, &*web.reason, &*web.message), (Phase::Succeeded, "", ""));
    assert!(web.conditions.is_true(ConditionKind::DisruptionTarget));
    let brief = pod(&bed, "brief").status;
    assert_eq!((brief.phase, &*brief.reason), (Phase::Failed, "DeadlineExceeded"), "that one is looked at again");
}

#[test]
fn groups_that_have_ended_early_do_not_wait_for_their_time() {
    let seconds = Span::from_secs;
    let by_priority = vec![(1_000, seconds(60)), (0, seconds(60))];
    let shutdown = ShutdownConfig { by_priority, ..ShutdownConfig::default() };
    let kubelet = KubeletConfig { relist_period: Span::ZERO, shutdown, ..KubeletConfig::default() };
    let mut bed = bed_with(Config { kubelet, ..Config::default() }, FakeRuntime::new());
    create(&mut bed, "web", spec(&["app"]));
    create(&mut bed, "vital", PodSpec { priority: 5_000, ..spec(&["app"]) });
    bed.run_until(Time::from_secs(100));
    tell(&mut bed, RuntimeEvent::ShuttingDown);
    bed.run_until(Time::from_secs(200));
    assert_eq!(times(&bed, "web", "Exited"), ["101s"]);
    assert_eq!(times(&bed, "vital", "Exited"), ["102s"]);
    assert_eq!(powered_off(&bed), Some(Time::from_secs(102)));
}

#[test]
fn without_a_grace_a_machine_goes_off_at_once() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(100));
    tell(&mut bed, RuntimeEvent::ShuttingDown);
    bed.run_until(Time::from_secs(101));
    assert_eq!(powered_off(&bed), Some(Time::from_secs(100)));
    assert!(pod(&bed, "web").is_ready(), "nobody has told it");
}
