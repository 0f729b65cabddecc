//! The cached search against the plain one, over random clusters that change.

use std::sync::Arc;

use proptest::prelude::*;

use crate::config::SchedulerConfig;
use crate::digest::Shared;
use crate::id::RowId;
use crate::model::{
    Container, ContainerPort, Labels, Meta, Node, NodeSpec, NodeStatus, PodSpec, PreferredNodeTerm, Protocol,
    Resources, SelectorOperator, SelectorRequirement, Taint, TaintEffect, Toleration, TolerationOperator,
};
use crate::scheduler::placement::Placement;
use crate::scheduler::reference::{Search, decide};
use crate::scheduler::sampling::TieBreak;

/// One change of the cluster. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    SetNode(Shape),
    RemoveNode { name: u8 },
    Place { class: u8 },
    RemovePod { number: u16 },
}

/// What a node is like.
#[derive(Clone, Copy, Debug)]
struct Shape {
    name: u8,
    cpu_milli: i64,
    memory_bytes: i64,
    pods: i64,
    zone: u8,
    taint: u8,
    cordoned: bool,
    disk: u8,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..24_u8, 0..5_i64, 0..5_i64, 0..6_i64, 0..3_u8, 0..6_u8, 0..8_u8, 0..3_u8).prop_map(
            |(name, cpu, memory, pods, zone, taint, cordoned, disk)| Step::SetNode(Shape {
                name,
                cpu_milli: cpu * 1_000,
                memory_bytes: memory << 30,
                pods,
                zone,
                taint,
                cordoned: cordoned == 0,
                disk,
            })
        ),
        1 => (0..24_u8).prop_map(|name| Step::RemoveNode { name }),
        8 => (0..CLASSES).prop_map(|class| Step::Place { class }),
        3 => any::<u16>().prop_map(|number| Step::RemovePod { number }),
    ]
}

const CLASSES: u8 = 8;

fn node(shape: Shape) -> Node {
    let Shape { name, cpu_milli, memory_bytes, pods, zone, taint, cordoned, disk } = shape;
    let mut meta = Meta::named("", &format!("n{name}"));
    meta.labels = Labels::new([
        ("topology.kubernetes.io/zone".to_string(), format!("z{zone}")),
        ("disk".to_string(), format!("d{disk}")),
    ]);
    let effect = [TaintEffect::NoSchedule, TaintEffect::PreferNoSchedule, TaintEffect::PreferNoSchedule];
    let taints = effect.into_iter().take(usize::from(taint.saturating_sub(2)));
    let taints = taints.zip(["x", "y", "z"]).skip(usize::from(taint == 4)).map(|(effect, key)| Taint {
        key: key.into(),
        value: "".into(),
        effect,
        added_at: None,
    });
    let mut allocatable = Resources { cpu_milli, memory_bytes, pods, ..Resources::default() };
    if disk == 1 {
        allocatable.extended.insert("example.com/gpu".into(), 2);
    }
    Node {
        meta,
        spec: NodeSpec { unschedulable: cordoned, taints: taints.collect() },
        status: NodeStatus { allocatable, ..NodeStatus::default() },
    }
}

fn class(number: u8) -> Shared<PodSpec> {
    let requests =
        |cpu_milli, memory_mib: i64| Resources { cpu_milli, memory_bytes: memory_mib << 20, ..Resources::default() };
    let mut container = Container { requests: requests(250, 300), ..Container::default() };
    let mut spec = PodSpec::default();
    let disk = |value: &str| SelectorRequirement {
        key: "disk".into(),
        operator: SelectorOperator::In,
        values: vec![value.into()],
    };
    match number {
        0 => {}
        1 => container.requests = Resources::default(),
        2 => container.requests = requests(1_700, 100),
        3 => spec.required_node_affinity = vec![vec![disk("d1")], vec![disk("d2")]],
        4 => {
            let term = |weight, value| PreferredNodeTerm { weight, requirements: vec![disk(value)] };
            spec.preferred_node_affinity = vec![term(70, "d0"), term(30, "d2")];
        }
        5 => {
            let port = ContainerPort { name: "".into(), port: 80, host_port: Some(80), protocol: Protocol::Tcp };
            container.ports = vec![port];
        }
        6 => {
            spec.tolerations = vec![Toleration {
                key: "".into(),
                operator: TolerationOperator::Exists,
                value: "".into(),
                effect: None,
                seconds: None,
            }];
        }
        _ => {
            container.requests.extended.insert("example.com/gpu".into(), 1);
        }
    }
    spec.containers = vec![container];
    Shared::new(spec)
}

fn apply(placement: &mut Placement, step: &Step, rows: &mut Vec<RowId>, classes: &[Shared<PodSpec>]) {
    match *step {
        Step::SetNode(shape) => placement.set_node(&Arc::new(node(shape))),
        Step::RemoveNode { name } => placement.remove_node(&format!("n{name}").into()),
        Step::Place { class } => {
            let row = RowId { index: rows.len() as u32, generation: 0 };
            rows.push(row);
            // A refusal is as good an outcome as a node here.
            let _placed = placement.place(row, &classes[usize::from(class)]);
        }
        Step::RemovePod { number } if !rows.is_empty() => {
            placement.remove_pod(rows[usize::from(number) % rows.len()]);
        }
        Step::RemovePod { .. } => {}
    }
}

/// Both searches for every class, from every start would be too many: some starts and ends.
fn compare(placement: &mut Placement, classes: &[Shared<PodSpec>], salt: u64) -> Result<(), TestCaseError> {
    placement.cache.refresh();
    let nodes = placement.cache.node_count();
    if nodes == 0 {
        return Ok(());
    }
    for (index, spec) in classes.iter().enumerate() {
        let id = placement.classes.of(spec);
        placement.classes.hold(id);
        let (pod, board) = placement.classes.board(id);
        board.sync(&placement.profile, &placement.cache, pod);
        let mix = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(index as u32);
        for tie_break in [TieBreak::First, TieBreak::Drawn(mix)] {
            let search =
                Search { start: (mix % u64::from(nodes)) as u32, wanted: 1 + (mix >> 32) as u32 % nodes, tie_break };
            let plain = decide(&placement.profile, &placement.cache, pod, search);
            prop_assert_eq!(board.decide(&placement.cache, search), plain, "class {} {:?}", index, search);
            let complete = Search { wanted: nodes, ..search };
            let plain = decide(&placement.profile, &placement.cache, pod, complete);
            prop_assert_eq!(board.decide(&placement.cache, complete), plain, "class {} {:?}", index, complete);
        }
        if index % 2 == 0 {
            // Odd classes stay held, so their boards are brought up to date and not made anew.
            placement.classes.release(id);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_cached_search_always_agrees_with_looking_at_every_node(
        steps in proptest::collection::vec(step(), 1..120),
        salt in any::<u64>(),
    ) {
        let classes: Vec<Shared<PodSpec>> = (0..CLASSES).map(class).collect();
        let mut placement = Placement::new(salt, &SchedulerConfig::default());
        let mut rows = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            apply(&mut placement, step, &mut rows, &classes);
            if number % 3 == 0 {
                compare(&mut placement, &classes, salt.wrapping_add(number as u64 + 1))?;
            }
        }
        compare(&mut placement, &classes, salt)?;
    }
}
