//! Traces read, and what a study makes of them.

use wavetank_core::scheduler::gpu::GpuRequest;

use super::*;

const PODS: &str = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,creation_time,deletion_time
b,4000,8192,1,460,,LS,10,20
a,8000,16384,2,1000,V100|A10|,BE,5,
c,1000,1024,0,0,,BE,7.0,9
";

#[test]
fn pods_take_shares_or_whole_gpus_of_some_models() {
    let read = pods("pods.csv", PODS).expect("the file is right");
    let told: Vec<_> = read.iter().map(|pod| (pod.name.as_str(), pod.gpu.devices(), pod.gpu.milli_each())).collect();
    assert_eq!(told, [("b", 1, 460), ("a", 2, 1_000), ("c", 0, 0)]);
    assert_eq!(read[1].models, ["V100", "A10"]);
    assert_eq!((read[0].created_s, read[1].deleted_s, read[2].created_s), (Some(10), None, Some(7)));
    let read = nodes("nodes.csv", "sn,cpu_milli,memory_mib,gpu,model\nn1,96000,1024,8,G2\nn2,4000,1024,0,\n").unwrap();
    assert_eq!((read[0].gpus, read[0].model.as_str(), read[1].gpus), (8, "G2", 0));
}

#[test]
fn mistakes_have_a_line_and_a_column() {
    let told = |text: &str| pods("pods.csv", text).expect_err("the file is wrong").to_string();
    let header = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n";
    assert!(
        told("name,cpu_milli\n").contains("expected the columns memory_mib, num_gpu, gpu_milli"),
        "{}",
        told("name\n")
    );
    for (line, expected) in [
        ("a,4000,1,1,1500\n", "pods.csv:2:12"),
        ("a,4000,1,3,500\n", "only one is shared"),
        ("a,x,1,0,0\n", "expected a whole number that is not negative, found \"x\""),
        ("a,1,1,0,0\na,1,1,0,0\n", "pods.csv:3:1"),
        ("a,1,1,1,0\n", "expected what is taken of each GPU"),
        ("a,1\n", "no CSV table"),
    ] {
        let found = told(&format!("{header}{line}"));
        assert!(found.contains(expected), "{line:?}: {found}");
    }
    let early = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,creation_time,deletion_time\na,1,1,0,0,9,8\n";
    assert!(told(early).contains("it leaves at 8 s, before it comes at 9 s"), "{}", told(early));
}

fn some(count: usize) -> Vec<TracePod> {
    let pod = |number: usize| TracePod {
        name: format!("p{number:03}"),
        cpu_milli: 1_000,
        memory_mib: 1,
        gpu: GpuRequest::of_total([0, 500, 1_000, 2_000][number % 4]),
        models: Vec::new(),
        created_s: None,
        deleted_s: None,
    };
    (0..count).map(pod).collect()
}

fn machines(count: usize) -> Vec<TraceNode> {
    let machine = |number: usize| TraceNode {
        name: format!("n{number:03}"),
        cpu_milli: 1_000,
        memory_mib: 1,
        gpus: 1,
        model: String::new(),
    };
    (0..count).map(machine).collect()
}

fn total(pods: &[TracePod]) -> i64 {
    pods.iter().map(|pod| pod.gpu.total()).sum()
}

#[test]
fn an_order_depends_on_the_seed_and_not_on_the_file() {
    let shuffled = |seed: u64, mut pods: Vec<TracePod>| {
        pod_order(&mut Choices::Own { seed }, &mut pods);
        pods
    };
    let reversed = some(40).into_iter().rev().collect();
    assert_eq!(shuffled(1, some(40)), shuffled(1, reversed));
    assert_ne!(shuffled(1, some(40)), shuffled(2, some(40)));
    let mut sorted = shuffled(3, some(40));
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(sorted, some(40), "every pod is still there once");
    for mut choices in [Choices::Own { seed: 5 }, Choices::published(5)] {
        let mut order = node_order(&mut choices, &machines(100));
        assert_ne!(order, (0..100).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}

#[test]
fn a_demand_is_met_from_below_by_repeating_pods_or_leaving_some_out() {
    let demands = [(1, 70_000), (2, 35_000), (3, 35_250), (4, 9_999), (5, 400)];
    let ways = |(seed, demand)| [(Choices::Own { seed }, demand), (Choices::published(seed), demand)];
    for (mut choices, demand) in demands.into_iter().flat_map(ways) {
        let mut pods = some(40);
        assert_eq!(total(&pods), 35_000);
        scale_to_demand(&mut choices, &mut pods, demand);
        let reached = total(&pods);
        assert!(reached <= demand + 1_000, "{demand}: {reached}");
        assert!(reached > demand - 2_000, "{demand}: {reached}");
        let mut names: Vec<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), pods.len(), "names are not used twice");
    }
    let mut without = vec![some(1).remove(0)];
    scale_to_demand(&mut Choices::Own { seed: 1 }, &mut without, 5_000);
    assert_eq!(without.len(), 1, "pods without GPUs cannot meet a demand for GPUs");
}

#[test]
fn typical_pods_are_the_most_frequent_kinds_that_make_up_a_share() {
    let mut pods = some(40);
    pods.truncate(37);
    pods.extend(some(3));
    // 0 and 500: 11 each; 1,000: 10; 2,000: 9 (of 41, say): count them.
    let counts = |share, cpu| -> Vec<(i64, u32)> {
        typical_pods(&pods, share, cpu).kinds.iter().map(|kind| (kind.gpu.total(), kind.count)).collect()
    };
    let all = counts(1_000, true);
    assert_eq!(all.iter().map(|(_, count)| count).sum::<u32>() as usize, pods.len());
    assert!(all.windows(2).all(|pair| pair[0].1 >= pair[1].1), "{all:?}");
    assert_eq!(counts(1, true).len(), 1, "the most frequent kind is enough for a share of 0.001");
    assert_eq!(counts(500, true), all[..2].to_vec());
    assert!(counts(1_000, false).iter().all(|(gpu, _)| *gpu > 0));
    assert_eq!(typical_pods(&pods, 500, true).of as usize, pods.len(), "kinds that are not typical count as well");
    assert_eq!(typical_pods(&pods, 500, false).of, 29);
}

/// What the published simulator does with its one generator, step by step.
#[test]
fn published_choices_are_made_one_after_the_other() {
    let mut go = super::go_rand::GoRand::new(42);
    go.int63();
    let mut expected: Vec<String> = some(20).into_iter().map(|pod| pod.name).collect();
    go.shuffle(&mut expected);
    let milli = |place: usize| some(20)[place].gpu.total();
    let mut repeated = vec![go.below(20), go.below(20)];
    let demand = total(&some(20)) + milli(repeated[0]) + milli(repeated[1]);
    // Then nothing is left for GPUs, but pods without them still come, up to the first with one.
    loop {
        let next = go.below(20);
        if milli(next) > 0 {
            break;
        }
        repeated.push(next);
    }
    for _ in 0..10 {
        go.int63();
    }
    let places = go.permutation(30);

    let mut choices = Choices::published(42);
    let mut pods: Vec<TracePod> = some(20).into_iter().rev().collect();
    pod_order(&mut choices, &mut pods);
    assert_eq!(pods.iter().map(|pod| pod.name.clone()).collect::<Vec<_>>(), expected);
    scale_to_demand(&mut choices, &mut pods, demand);
    let again: Vec<&str> = pods[20..].iter().map(|pod| pod.name.as_str()).collect();
    let names = (1..).zip(repeated).map(|(number, place)| format!("p{place:03}-again-{number}"));
    assert_eq!(again, names.collect::<Vec<_>>());
    let nodes: Vec<TraceNode> = machines(30).into_iter().rev().collect();
    let of_reversed: Vec<usize> = places.into_iter().rev().collect();
    assert_eq!(node_order(&mut choices, &nodes), of_reversed, "places are drawn for nodes by name");
}
