//! Which pod a node short of something evicts first, and when a threshold counts.

use std::sync::Arc;

use super::*;
use crate::config::{EvictionAmount, EvictionConfig, EvictionSignal, EvictionThreshold};
use crate::id::Uid;
use crate::kubelet::eviction::{Candidate, Memory, is_met, rank};
use crate::kubelet::{ContainerIndex, ContainerUsage, NodeUsage, PodUsage, Supply};

/// A pod in words: `name priority request used`, each number in bytes or processes; `-` for a usage that is not known.
fn ranked(signal: EvictionSignal, pods: &[&str]) -> String {
    let pods: Vec<(Arc<Pod>, Option<PodUsage>)> = pods
        .iter()
        .map(|words| {
            let [name, priority, request, used] = words.split(' ').collect::<Vec<_>>()[..] else { panic!("{words}") };
            let amount: i64 = request.parse().unwrap();
            let requests = Resources { memory_bytes: amount, ephemeral_bytes: amount, ..Resources::default() };
            let containers = vec![Container { requests, ..container("app") }];
            let spec = PodSpec { containers, priority: priority.parse().unwrap(), ..PodSpec::default() };
            let pod = Pod { meta: Meta::named("default", name).into(), spec: Shared::new(spec), ..Pod::default() };
            let usage = used.parse().ok().map(|used: i64| {
                let container = ContainerIndex::Main(0);
                let usage = ContainerUsage {
                    container,
                    memory_bytes: used,
                    disk_bytes: used,
                    volume: "".into(),
                    processes: used,
                };
                PodUsage { pod: Uid::new(0), containers: vec![usage] }
            });
            (Arc::new(pod), usage)
        })
        .collect();
    let mut candidates: Vec<_> = pods.iter().map(|(pod, usage)| Candidate { pod, usage: usage.as_ref() }).collect();
    rank(&mut candidates, signal);
    candidates.iter().map(|it| it.pod.meta.name.to_string()).collect::<Vec<_>>().join(" ")
}

use EvictionSignal::{ImageFsAvailable, MemoryAvailable, NodeFsAvailable, PidAvailable};

#[test]
fn use_beyond_the_request_then_priority_then_the_amount_decides() {
    // Of one quality each: below and above their requests, and asking for nothing.
    let six = [
        "best-high 9 0 700",
        "best-low 0 0 300",
        "burst-over 0 100 400",
        "burst-under 0 1000 500",
        "sure 0 900 400",
        "sure-over 9 100 900",
    ];
    for signal in [MemoryAvailable, NodeFsAvailable, ImageFsAvailable] {
        assert_eq!(ranked(signal, &six), "best-low burst-over sure-over best-high burst-under sure", "{signal:?}");
    }
    let by_use = ["a 0 0 100", "b 0 0 500", "c 0 0 300"];
    assert_eq!(ranked(MemoryAvailable, &by_use), "b c a");
    let by_priority = ["high 100 0 900", "low -100 0 100", "none 0 0 500"];
    assert_eq!(ranked(MemoryAvailable, &by_priority), "low none high");
    let exact = ["exact 0 500 500", "over 0 500 501"];
    assert_eq!(ranked(MemoryAvailable, &exact), "over exact", "exactly the request is not beyond it");
    let unknown = ["known -5 0 900", "unknown 9 0 -", "unknown-low -9 0 -"];
    assert_eq!(ranked(NodeFsAvailable, &unknown), "unknown-low unknown known", "of whom nothing is known go first");
}

#[test]
fn processes_count_by_priority_and_number_whatever_was_requested() {
    let pods = ["many 0 0 100", "few 0 0 10", "many-high 9 0 500", "low -1 0 1"];
    assert_eq!(ranked(PidAvailable, &pods), "low many few many-high");
}

#[test]
fn a_threshold_is_met_below_its_amount_or_share_and_for_longer_with_a_minimum_reclaim() {
    let threshold = |value| EvictionThreshold { signal: MemoryAvailable, value, grace: None };
    let number = EvictionAmount::Number;
    // Threshold; minimum reclaim; available of 1000; met, and met once it was.
    let table = [
        (number(100), None, 100, (false, false)),
        (number(100), None, 99, (true, true)),
        (number(100), Some(number(50)), 149, (false, true)),
        (number(100), Some(number(50)), 150, (false, false)),
        (EvictionAmount::Permille(100), None, 99, (true, true)),
        (EvictionAmount::Permille(100), None, 100, (false, false)),
        (EvictionAmount::Permille(100), Some(EvictionAmount::Permille(50)), 149, (false, true)),
        (EvictionAmount::Permille(0), None, 0, (false, false)),
    ];
    for (value, reclaim, available, expected) in table {
        let minimum_reclaim = reclaim.map(|amount| (MemoryAvailable, amount)).into_iter().collect();
        let config = EvictionConfig { minimum_reclaim, ..EvictionConfig::default() };
        let memory = Supply { capacity: 1_000, available };
        let usage = NodeUsage { memory, ..NodeUsage::default() };
        let met = |again| is_met(&config, &threshold(value), &usage, again);
        assert_eq!((met(false), met(true)), expected, "{value:?}, {reclaim:?}, {available} left");
    }
}

#[test]
fn a_condition_holds_from_the_first_sight_until_it_was_not_seen_for_its_period() {
    let thresholds =
        [(MemoryAvailable, None), (PidAvailable, Some(60)), (NodeFsAvailable, None)].map(|(signal, grace)| {
            EvictionThreshold { signal, value: EvictionAmount::Number(100), grace: grace.map(Span::from_secs) }
        });
    let config = EvictionConfig { thresholds: thresholds.to_vec(), ..EvictionConfig::default() };
    let mut node = Memory::default();
    let mut look = |seconds: u64, memory: i64, pids: i64, disk: i64| {
        let supply = |available| Supply { capacity: 1_000, available };
        let usage =
            NodeUsage { memory: supply(memory), pids: supply(pids), nodefs: supply(disk), ..NodeUsage::default() };
        let findings = node.look(&config, &usage, Time::from_secs(seconds));
        (findings.conditions, findings.act_on)
    };
    assert_eq!(look(0, 500, 500, 500), ([false, false, false], None));
    assert_eq!(look(10, 500, 50, 500), ([false, false, true], None), "a soft threshold waits");
    assert_eq!(look(70, 500, 50, 50), ([false, true, true], Some(1)), "and acts after its grace");
    assert_eq!(look(80, 50, 50, 50), ([true, true, true], Some(0)), "memory comes first");
    assert_eq!(look(90, 500, 500, 50), ([true, true, true], Some(2)));
    assert_eq!(look(379, 500, 500, 500), ([true, true, true], None), "five minutes have not passed since");
    assert_eq!(look(385, 500, 500, 500), ([false, true, false], None));
    assert_eq!(look(395, 500, 500, 500), ([false, false, false], None));
}
