use super::*;
use crate::config::EvictionAmount;
use crate::digest::Shared;
use crate::kubelet::Supply;
use crate::model::{Meta, PodSpec, PodVolume};
use crate::time::Span;

const MIB: i64 = 1 << 20;

fn memory(available_mib: i64) -> NodeUsage {
    let memory = Supply { capacity: 1_000 * MIB, available: available_mib * MIB };
    NodeUsage { memory, ..NodeUsage::default() }
}

fn threshold(mib: i64, grace: Option<u64>) -> EvictionThreshold {
    let value = EvictionAmount::Number(mib * MIB);
    EvictionThreshold { signal: EvictionSignal::MemoryAvailable, value, grace: grace.map(Span::from_secs) }
}

fn config(thresholds: Vec<EvictionThreshold>) -> EvictionConfig {
    EvictionConfig { thresholds, ..EvictionConfig::default() }
}

#[test]
fn a_hard_threshold_acts_at_once_and_its_condition_outlives_it_by_five_minutes() {
    let config = config(vec![threshold(100, None)]);
    let mut node = Memory::default();
    let mut look = |seconds: u64, mib: i64| {
        let findings = node.look(&config, &memory(mib), Time::from_secs(seconds));
        (findings.conditions[0], findings.act_on, findings.restless)
    };
    assert_eq!(look(0, 100), (false, None, false), "as much as the threshold is enough");
    assert_eq!(look(10, 99), (true, Some(0), true));
    assert_eq!(look(20, 500), (true, None, true));
    assert_eq!(look(309, 500), (true, None, true));
    assert_eq!(look(310, 500), (false, None, false));
}

#[test]
fn a_soft_threshold_must_be_met_for_its_grace_without_a_break() {
    let config = config(vec![threshold(200, Some(60))]);
    let mut node = Memory::default();
    let mut look = |seconds: u64, mib: i64| {
        let findings = node.look(&config, &memory(mib), Time::from_secs(seconds));
        (findings.conditions[0], findings.act_on)
    };
    assert_eq!(look(0, 150), (true, None));
    assert_eq!(look(50, 250), (true, None));
    assert_eq!(look(60, 150), (true, None), "the time counts anew");
    assert_eq!(look(119, 150), (true, None));
    assert_eq!(look(120, 150), (true, Some(0)));
}

#[test]
fn a_threshold_with_a_minimum_reclaim_stays_met_until_that_much_more_is_there() {
    let reclaim = vec![(EvictionSignal::MemoryAvailable, EvictionAmount::Number(500 * MIB))];
    let config = EvictionConfig { minimum_reclaim: reclaim, ..config(vec![threshold(100, None)]) };
    let mut node = Memory::default();
    let mut acts = |seconds: u64, mib: i64| node.look(&config, &memory(mib), Time::from_secs(seconds)).act_on.is_some();
    assert!(!acts(0, 300), "not met before");
    assert!(acts(10, 50));
    assert!(acts(20, 300), "less than 600");
    assert!(!acts(30, 600));
    assert!(!acts(40, 300), "it had been resolved");
}

#[test]
fn memory_is_reclaimed_before_anything_else_and_shares_are_of_the_capacity() {
    let share = |signal, permille| EvictionThreshold { signal, value: EvictionAmount::Permille(permille), grace: None };
    let config = config(vec![share(EvictionSignal::NodeFsAvailable, 100), threshold(100, None)]);
    let nodefs = Supply { capacity: 1_000, available: 99 };
    let usage = NodeUsage { nodefs, ..memory(50) };
    let findings = Memory::default().look(&config, &usage, Time::ZERO);
    assert_eq!((findings.conditions, findings.act_on), ([true, true, false], Some(1)));
    let full = NodeUsage { nodefs: Supply { available: 100, ..nodefs }, ..memory(500) };
    assert_eq!(Memory::default().look(&config, &full, Time::ZERO).act_on, None);
}

fn pod(name: &str, priority: i32, request_mib: i64) -> Arc<Pod> {
    let requests = Resources { memory_bytes: request_mib * MIB, ..Resources::default() };
    let container = Container { name: "app".into(), requests, ..Container::default() };
    let spec = PodSpec { containers: vec![container], priority, ..PodSpec::default() };
    Arc::new(Pod { meta: Meta::named("default", name).into(), spec: Shared::new(spec), ..Pod::default() })
}

fn uses(memory_mib: i64, disk: i64, processes: i64) -> PodUsage {
    let container = ContainerIndex::Main(0);
    let container =
        ContainerUsage { container, memory_bytes: memory_mib * MIB, disk_bytes: disk, volume: "".into(), processes };
    PodUsage { pod: Uid::new(0), containers: vec![container] }
}

fn ranked(pods: &[(Arc<Pod>, Option<PodUsage>)], signal: EvictionSignal) -> Vec<String> {
    let mut candidates: Vec<_> = pods.iter().map(|(pod, usage)| Candidate { pod, usage: usage.as_ref() }).collect();
    rank(&mut candidates, signal);
    candidates.iter().map(|candidate| candidate.pod.meta.name.to_string()).collect()
}

#[test]
fn who_uses_more_than_it_asked_for_goes_first_then_the_least_important_then_the_greediest() {
    let pods = [
        (pod("modest", -5, 400), Some(uses(300, 0, 900))),
        (pod("greedy", 0, 100), Some(uses(500, 0, 5))),
        (pod("greediest", 0, 0), Some(uses(500, 0, 7))),
        (pod("important", 1_000, 0), Some(uses(900, 10, 1))),
        (pod("frugal", -5, 400), Some(uses(10, 0, 1))),
    ];
    let memory = ranked(&pods, EvictionSignal::MemoryAvailable);
    assert_eq!(memory, ["greediest", "greedy", "important", "modest", "frugal"]);
    let pids = ranked(&pods, EvictionSignal::PidAvailable);
    assert_eq!(pids, ["modest", "frugal", "greediest", "greedy", "important"], "by priority, then by processes");
    let disk = ranked(&pods, EvictionSignal::NodeFsAvailable);
    assert_eq!(disk, ["important", "modest", "frugal", "greedy", "greediest"]);
    let unknown = [(pod("known", -9, 0), Some(uses(900, 0, 0))), (pod("unknown", 9, 0), None)];
    assert_eq!(ranked(&unknown, EvictionSignal::MemoryAvailable), ["unknown", "known"]);
}

#[test]
fn the_sentence_names_threshold_and_containers_above_their_requests() {
    use EvictionSignal::{MemoryAvailable, NodeFsAvailable, PidAvailable};
    let more = |name: &str, used: &str, request: &str, of: &str| {
        format!("Container {name} was using {used}, request is {request}, has larger consumption of {of}. ")
    };
    // The signal, what each container asks for (`setup` is an init container) and what is known of its use in MiB.
    type Named<'a> = &'a [(&'a str, i64, Option<i64>)];
    let table: [(EvictionSignal, Named<'_>, String); 8] = [
        (MemoryAvailable, &[("app", 64, Some(300))], more("app", "300Mi", "64Mi", "memory")),
        (MemoryAvailable, &[("app", 400, Some(300))], String::new()),
        (MemoryAvailable, &[("app", 300, Some(300))], String::new()),
        (MemoryAvailable, &[("app", 64, None)], String::new()),
        (
            MemoryAvailable,
            &[("app", 64, Some(300)), ("side", 0, Some(1)), ("idle", 8, Some(2))],
            more("app", "300Mi", "64Mi", "memory") + &more("side", "1Mi", "0", "memory"),
        ),
        (MemoryAvailable, &[("app", 64, None), ("setup", 8, Some(9))], more("setup", "9Mi", "8Mi", "memory")),
        (NodeFsAvailable, &[("app", 8, Some(9))], more("app", "9Mi", "8Mi", "ephemeral-storage")),
        (PidAvailable, &[("app", 0, Some(9))], String::new()),
    ];
    for (signal, named, expected) in table {
        let container = |(name, mib, _): &(&str, i64, Option<i64>)| {
            let (memory_bytes, ephemeral_bytes) = (mib * MIB, mib * MIB);
            let requests = Resources { memory_bytes, ephemeral_bytes, ..Resources::default() };
            Container { name: (*name).into(), requests, ..Container::default() }
        };
        let (init, main): (Vec<_>, Vec<_>) = named.iter().copied().partition(|(name, ..)| *name == "setup");
        let spec = PodSpec {
            containers: main.iter().map(container).collect(),
            init_containers: init.iter().map(container).collect(),
            ..PodSpec::default()
        };
        let uses = |(place, (_, _, used)): (usize, (&str, i64, Option<i64>)), init: bool| {
            let place = u16::try_from(place).expect("few containers");
            let container = if init { ContainerIndex::Init(place) } else { ContainerIndex::Main(place) };
            let amount = used? * MIB;
            Some(ContainerUsage {
                container,
                memory_bytes: amount,
                disk_bytes: amount,
                volume: "".into(),
                processes: 1,
            })
        };
        let of_main = main.iter().copied().enumerate().filter_map(|it| uses(it, false));
        let of_init = init.iter().copied().enumerate().filter_map(|it| uses(it, true));
        let usage = PodUsage { pod: Uid::new(0), containers: of_main.chain(of_init).collect() };
        let pod = Arc::new(Pod { spec: Shared::new(spec), ..Pod::default() });
        let candidate = Candidate { pod: &pod, usage: Some(&usage) };
        let supply = Supply { capacity: 1_000 * MIB, available: 50 * MIB };
        let node = NodeUsage { nodefs: supply, pids: supply, ..memory(50) };
        let threshold = EvictionThreshold { signal, ..threshold(100, None) };
        let resource = resource_of(signal);
        let start = format!("The node was low on resource: {resource}. Threshold quantity: 100Mi, available: 50Mi. ");
        assert_eq!(message(&threshold, &node, &candidate), start + &expected, "{signal:?} {named:?}");
    }
    let mut whole = Pod::clone(&pod("web", 0, 0));
    let own = Some(Box::new([(ResourceName::Memory, 64 * MIB)].into()));
    whole.spec = Shared::new(PodSpec { pod_requests: own, ..PodSpec::clone(&whole.spec) });
    let (whole, usage) = (Arc::new(whole), uses(300, 0, 0));
    let of_whole = message(&threshold(100, None), &memory(50), &Candidate { pod: &whole, usage: Some(&usage) });
    let expected = "Pod web was using 300Mi, request is 64Mi, has larger consumption of memory. ";
    assert!(of_whole.contains(expected), "{of_whole}");
    let pod = pod("web", 0, 64);
    let unknown = message(&threshold(100, None), &memory(50), &Candidate { pod: &pod, usage: None });
    assert_eq!(unknown, "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. ");
}

#[test]
fn a_pod_over_its_disk_limits_goes_by_their_sum_or_by_one_of_them() {
    let of_pod = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ";
    let of_one = "Container b exceeded its local ephemeral storage limit \"512Mi\". ";
    // Limits and use of two containers, in MiB; 0 is no limit.
    let table = [
        ((1_024, 0), (1_024, 0), None),
        ((1_024, 0), (1_025, 0), Some(of_pod)),
        ((1_024, 0), (800, 300), Some(of_pod)),
        ((512, 512), (600, 500), Some(of_pod)),
        ((512, 512), (400, 600), Some(of_one)),
        ((512, 512), (512, 512), None),
        ((0, 0), (9_000, 9_000), None),
    ];
    for (limits, used, expected) in table {
        let container = |name: &str, limit_mib: i64| {
            let limits = Resources { ephemeral_bytes: limit_mib * MIB, ..Resources::default() };
            Container { name: name.into(), limits, ..Container::default() }
        };
        let spec =
            PodSpec { containers: vec![container("a", limits.0), container("b", limits.1)], ..PodSpec::default() };
        let pod = Pod { spec: Shared::new(spec), ..Pod::default() };
        let usage = |place, mib: i64| ContainerUsage {
            container: ContainerIndex::Main(place),
            memory_bytes: 0,
            disk_bytes: mib * MIB,
            volume: "".into(),
            processes: 1,
        };
        let usage = PodUsage { pod: Uid::new(0), containers: vec![usage(0, used.0), usage(1, used.1)] };
        assert_eq!(over_disk_limit(&pod, &usage).as_deref(), expected, "limits {limits:?}, used {used:?}");
    }
}

#[test]
fn an_empty_directory_over_its_limit_ends_its_pod_and_counts_for_the_pod_but_not_for_the_container() {
    let volume = |name: &str, limit: Option<&str>| PodVolume {
        name: name.into(),
        source: PodVolumeSource::EmptyDir(EmptyDir {
            size_limit: limit.map(|limit| limit.parse().expect("a quantity")),
            ..EmptyDir::default()
        }),
    };
    let limits = Resources { ephemeral_bytes: 512 * MIB, ..Resources::default() };
    let limited = Container { name: "a".into(), limits, ..Container::default() };
    let volumes = vec![volume("free", None), volume("cache", Some("1Gi")), volume("none", Some("0"))];
    let spec = PodSpec { containers: vec![limited, Container::default()], volumes, ..PodSpec::default() };
    let pod = Pod { spec: Shared::new(spec), ..Pod::default() };
    let of_volume = "Usage of EmptyDir volume \"cache\" exceeds the limit \"1Gi\". ";
    let of_pod = "Pod ephemeral local storage usage exceeds the total limit of containers 512Mi. ";
    // What two containers have written to which volumes, in MiB.
    for (used, expected) in [
        ([("cache", 600), ("cache", 500)], Some(of_volume)),
        ([("cache", 1_024), ("", 0)], Some(of_pod)),
        ([("free", 500), ("", 12)], None),
        ([("none", 400), ("free", 100)], None),
    ] {
        let usage = |place: u16, (volume, mib): (&str, i64)| ContainerUsage {
            container: ContainerIndex::Main(place),
            memory_bytes: 0,
            disk_bytes: mib * MIB,
            volume: volume.into(),
            processes: 1,
        };
        let usage = PodUsage { pod: Uid::new(0), containers: vec![usage(0, used[0]), usage(1, used[1])] };
        assert_eq!(over_disk_limit(&pod, &usage).as_deref(), expected, "{used:?}");
    }
}

#[test]
fn a_node_short_of_memory_refuses_the_careless_and_one_short_of_disk_all_but_the_critical() {
    let (careless, asking) = (pod("careless", 0, 0), pod("asking", 0, 64));
    let critical = pod("critical", crate::model::SYSTEM_CRITICAL_PRIORITY, 0);
    let memory = [true, false, false];
    assert_eq!(refusal(&careless, memory).as_deref(), Some("The node had condition: [MemoryPressure]. "));
    assert_eq!(refusal(&asking, memory), None);
    assert_eq!(refusal(&critical, [true, true, true]), None);
    let both = refusal(&asking, [true, true, false]);
    assert_eq!(both.as_deref(), Some("The node had condition: [MemoryPressure DiskPressure]. "));
    assert_eq!(refusal(&careless, [false; 3]), None);
}
