//! Policies: every one through both searches, GPUs that are never given twice, and a few choices told as stories.

use std::sync::Arc;

use proptest::prelude::*;

use super::oracle::{check_details, compare};
use crate::config::{Point, PolicyConfig, ProfileConfig, SchedulerConfig, Ties, TypicalPod, TypicalPods};
use crate::digest::Shared;
use crate::id::{Name, RowId};
use crate::model::{
    Container, Labels, Meta, Node, NodeStatus, Pod, PodSpec, Resources, SelectorOperator, SelectorRequirement,
};
use crate::scheduler::explain::{Detail, Explained};
use crate::scheduler::gpu::{GPU_MILLI, GPU_MODEL, GpuRequest};
use crate::scheduler::placement::Placement;
use crate::scheduler::policies;

/// CPU in cores, GPU in thousandths, and the models it takes.
const KINDS: [(i64, i64, &[&str]); 9] = [
    (2, 300, &[]),
    (4, 500, &[]),
    (1, 700, &["A"]),
    (8, 1_000, &[]),
    (4, 1_000, &["B"]),
    (8, 2_000, &[]),
    (4, 0, &[]),
    (1, 0, &[]),
    (1, 1_500, &[]),
];

fn pod(number: usize) -> Pod {
    let (cores, gpu, models) = KINDS[number];
    let mut requests = Resources { cpu_milli: cores * 1_000, memory_bytes: 1 << 30, ..Resources::default() };
    if gpu > 0 {
        requests.extended.insert(GPU_MILLI.into(), gpu);
    }
    let mut spec = PodSpec { containers: vec![Container { requests, ..Container::default() }], ..PodSpec::default() };
    if !models.is_empty() {
        let values = models.iter().map(|model| Name::from(*model)).collect();
        let wanted = SelectorRequirement { key: GPU_MODEL.into(), operator: SelectorOperator::In, values };
        spec.required_node_affinity = vec![vec![wanted]];
    }
    Pod { meta: Meta::named("default", "any").into(), spec: Shared::new(spec), ..Pod::default() }
}

fn node(name: &str, cores: i64, gpus: i64, model: &str) -> Arc<Node> {
    let mut meta = Meta::named("", name);
    meta.labels = Labels::new([(GPU_MODEL, model)]);
    let mut allocatable =
        Resources { cpu_milli: cores * 1_000, memory_bytes: 64 << 30, pods: 20, ..Resources::default() };
    if gpus > 0 {
        allocatable.extended.insert(GPU_MILLI.into(), gpus * 1_000);
    }
    Arc::new(Node { meta, status: NodeStatus { allocatable, ..NodeStatus::default() }, ..Node::default() })
}

fn typical() -> TypicalPods {
    let kind = |(number, (cores, gpu, models)): (usize, (i64, i64, &[&str]))| TypicalPod {
        cpu_milli: cores * 1_000,
        gpu: GpuRequest::of_total(gpu),
        models: models.iter().map(|model| Name::from(*model)).collect(),
        count: 1 + number as u32 % 3,
    };
    TypicalPods { kinds: KINDS.into_iter().enumerate().map(kind).take(8).collect(), of: 20 }
}

fn placement(seed: u64, scores: &[(&str, i64)]) -> Placement {
    let scores = scores.iter().map(|(name, weight)| (Name::from(*name), *weight)).collect();
    let policy = PolicyConfig { scores, filters: vec![], typical_pods: typical() };
    let profiles = vec![ProfileConfig::default(), backwards()];
    let config = SchedulerConfig { policy: Some(policy), ties: Ties::First, profiles, ..SchedulerConfig::default() };
    Placement::new(seed, &config)
}

/// A profile that filters in the opposite order and scores nothing itself.
fn backwards() -> ProfileConfig {
    let mut profile = ProfileConfig { name: BACKWARDS.into(), ..ProfileConfig::default() };
    profile.points.get_mut(&Point::Filter).expect("the default profile filters").reverse();
    profile.points.insert(Point::Score, Vec::new());
    profile
}

const BACKWARDS: &str = "backwards";

/// The pod as one that asks for the profile [`backwards`].
fn of_backwards(mut pod: Pod) -> Pod {
    pod.spec = Shared::new(PodSpec { scheduler_name: BACKWARDS.into(), ..(*pod.spec).clone() });
    pod
}

/// Every policy alone, and some mixtures.
fn mixtures() -> Vec<Vec<(&'static str, i64)>> {
    let alone = policies::ALL.iter().filter(|listed| listed.scores).map(|listed| vec![(listed.name, 1)]);
    let mixed = [
        vec![("FGD", 3), ("NodeResourcesBalancedAllocation", 1)],
        vec![("Random", 1), ("BestFit", 2), ("TaintToleration", 1)],
        vec![("GpuPacking", 2), ("BestFit", 1), ("NodeAffinity", 1)],
    ];
    alone.chain(mixed).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn policies_decide_alike_in_both_searches_and_no_gpu_is_given_twice(
        mixture in 0..mixtures().len(),
        steps in proptest::collection::vec((0..10_u8, any::<u16>()), 1..70),
        salt in any::<u64>(),
    ) {
        let pods = (0..KINDS.len()).flat_map(|kind| [pod(kind), of_backwards(pod(kind))]);
        let pods: Vec<Pod> = pods.collect();
        let mut placement = placement(salt, &mixtures()[mixture]);
        let mut placed: Vec<(RowId, Name, usize)> = Vec::new();
        for (number, (what, choice)) in steps.iter().enumerate() {
            let (row, choice) = (RowId { index: number as u32, generation: 0 }, usize::from(*choice));
            match what {
                0..=2 => {
                    let name = format!("n{}", choice % 9);
                    let (cores, gpus) = ((choice / 9 % 4) as i64 * 6, (choice % 9) as i64 % 4);
                    placement.set_node(&node(&name, cores, gpus, ["A", "B", "C"][choice % 3]));
                }
                3 if !placed.is_empty() => {
                    let (row, ..) = placed.swap_remove(choice % placed.len());
                    placement.remove_pod(row);
                }
                _ => {
                    let chosen = choice % pods.len();
                    let explained = placement.place_explained(row, &pods[chosen], Detail::Nodes);
                    check_details(&explained);
                    if let Ok(node) = explained.node {
                        placed.push((row, node, chosen / 2));
                    }
                }
            }
            for name in (0..9).map(|number| Name::from(format!("n{number}"))) {
                let Some(view) = placement.node(&name) else { continue };
                let taken: i64 = placed.iter().filter(|(_, on, _)| *on == name).map(|(.., kind)| KINDS[*kind].1).sum();
                prop_assert_eq!(view.gpus().free().len() as i64 * 1_000 - view.gpus().free_total(), taken);
            }
            if number.is_multiple_of(4) {
                compare(&mut placement, &pods, salt.wrapping_add(number as u64 + 1))?;
            }
        }
        compare(&mut placement, &pods, salt)?;
    }
}

/// Where pods of these kinds go, one after the other.
fn story(policy: &str, nodes: &[Arc<Node>], kinds: &[usize]) -> Vec<String> {
    let mut placement = placement(7, &[(policy, 1)]);
    nodes.iter().for_each(|node| placement.set_node(node));
    let place = |(number, kind): (usize, &usize)| {
        let row = RowId { index: number as u32, generation: 0 };
        match placement.place_pod(row, &pod(*kind)) {
            Ok(node) => {
                let free = placement.node_of(row).expect("it was just placed").gpus().free().to_vec();
                format!("{node} {free:?}")
            }
            Err(message) => message.split(" no new claims").next().unwrap_or_default().to_owned(),
        }
    };
    kinds.iter().enumerate().map(place).collect()
}

#[test]
fn two_halves_are_no_whole_gpu() {
    let told = story("BestFit", &[node("n", 32, 2, "A")], &[1, 2, 3, 0]);
    assert_eq!(told[..2], ["n [500, 1000]", "n [500, 300]"]);
    assert_eq!(told[2], "0/1 nodes are available: 1 Insufficient alibabacloud.com/gpu-milli.");
    assert_eq!(told[3], "n [500, 0]", "the tightest GPU that has room");
    let told = story("BestFit", &[node("n", 32, 2, "A")], &[1, 1, 0, 3]);
    assert_eq!(told[..2], ["n [500, 1000]", "n [0, 1000]"]);
    let told = story("BestFit", &[node("n", 32, 2, "A")], &[1, 2, 8]);
    assert!(told[2].starts_with("0/1 nodes are available"), "{told:?}");
}

#[test]
fn what_refuses_a_pod_on_single_gpus_says_so() {
    // 700 and 300 of the two are left, 1,000 in sum, but no whole one.
    let told = story("BestFit", &[node("n", 32, 2, "A")], &[0, 2, 3]);
    assert_eq!(told[1], "n [0, 1000]");
    let told = story("GpuPacking", &[node("n", 32, 3, "A")], &[0, 1, 2, 2, 5]);
    assert_eq!(told[..4], ["n [700, 1000, 1000]", "n [200, 1000, 1000]", "n [200, 300, 1000]", "n [200, 300, 300]"]);
    assert_eq!(told[4], "0/1 nodes are available: 1 Insufficient alibabacloud.com/gpu-milli.");
    let told = story("GpuPacking", &[node("n", 32, 3, "A")], &[1, 2, 2, 3]);
    assert_eq!(told[3], "0/1 nodes are available: 1 node(s) had too little left on single GPUs.", "{told:?}");
    let told = story("GpuPacking", &[node("n", 32, 2, "A")], &[8]);
    assert_eq!(told[0], "0/1 nodes are available: 1 node(s) had too few GPUs.");
}

#[test]
fn explanations_name_policies_in_every_profile_with_what_they_score_and_why_they_refuse() {
    for pod_of in [pod, |kind| of_backwards(pod(kind))] {
        let mut placement = placement(7, &[("GpuPacking", 3), ("NodeResourcesFit", 2)]);
        for node in [node("a", 32, 3, "A"), node("b", 32, 3, "A")] {
            placement.set_node(&node);
        }
        let mut place = |number, kind| -> Explained {
            placement.place_explained(RowId { index: number, generation: 0 }, &pod_of(kind), Detail::Nodes)
        };
        let first = place(0, 2);
        assert_eq!(first.nodes.len(), 2);
        for verdict in &first.nodes {
            let names: Vec<&str> = verdict.scores.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, ["GpuPacking", "NodeResourcesFit"], "{first:?}");
        }
        assert_eq!(first.nodes.iter().map(|it| it.total()).max(), first.top_score, "{first:?}");
        for number in 1..6 {
            assert!(place(number, 2).node.is_ok(), "there are six GPUs for six pods");
        }
        // On either node 900 of 3,000 are left, 300 of each GPU.
        let refused = place(6, 1);
        assert!(refused.node.is_err(), "{refused:?}");
        assert_eq!(refused.refused_by, ["GpuShare"]);
        assert_eq!(refused.nodes.len(), 2);
        for verdict in refused.nodes {
            assert_eq!((verdict.refused_by, verdict.resolvable), (Some("GpuShare"), true));
            assert_eq!(verdict.reasons, ["node(s) had too little left on single GPUs"]);
        }
    }
}

#[test]
fn a_pod_that_makes_room_gives_back_the_gpu_that_it_had() {
    let mut placement = placement(7, &[("BestFit", 1)]);
    placement.set_node(&node("a", 32, 3, "A"));
    let row = |index| RowId { index, generation: 0 };
    for index in 0..3 {
        assert!(placement.place_pod(row(index), &pod(2)).is_ok());
    }
    let mut important = pod(1);
    important.spec = Shared::new(PodSpec { priority: 10, ..(*important.spec).clone() });
    let (explained, preempted) = placement.place_preempting(row(3), &important, Detail::Place);
    let preempted = preempted.expect("900 of 3,000 are left, but 300 on each GPU");
    let victims: Vec<&[RowId]> = preempted.candidates.iter().map(|it| &it.victims[..]).collect();
    assert_eq!((explained.node, victims), (Ok("a".into()), vec![&[row(2)][..]]), "one of three is enough");
    let free = placement.node_of(row(3)).expect("it was just placed").gpus().free();
    assert_eq!(free, [300, 300, 500]);
}

#[test]
fn a_share_goes_where_it_leaves_whole_gpus_whole() {
    let nodes = [node("a", 32, 2, "A"), node("b", 32, 2, "C")];
    for policy in ["FGD", "GpuPacking", "BestFit"] {
        let told = story(policy, &nodes, &[1, 0]);
        assert_eq!(told[1], told[0].replace("500", "200"), "{policy}: {told:?}");
    }
    // Pods alike go together, others elsewhere.
    let told = story("GpuClustering", &nodes, &[1, 3, 0, 3]);
    let on: Vec<&str> = told.iter().map(|it| &it[..1]).collect();
    assert_eq!(on, ["a", "b", "a", "b"], "{told:?}");
}

#[test]
fn random_takes_every_node_and_every_gpu_sooner_or_later() {
    let nodes = [node("a", 96, 4, "A"), node("b", 96, 4, "A"), node("c", 96, 4, "A")];
    let told = story("Random", &nodes, &[0; 30]);
    for name in ["a", "b", "c"] {
        let count = told.iter().filter(|it| it.starts_with(name)).count();
        assert!((4..=18).contains(&count), "{name} has {count} of 30: {told:?}");
    }
    let seen: std::collections::BTreeSet<usize> = (0..40_u64)
        .filter_map(|seed| {
            let mut placement = placement(seed, &[("Random", 1)]);
            placement.set_node(&nodes[0]);
            let row = RowId { index: 0, generation: 0 };
            placement.place_pod(row, &pod(0)).ok()?;
            placement.node_of(row)?.gpus().free().iter().position(|free| *free == 700)
        })
        .collect();
    assert_eq!(seen.len(), 4, "only the GPUs {seen:?} were ever taken");
}
