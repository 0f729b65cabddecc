//! What a study makes of a trace: an order, a demand, and the pods that are typical of it. All choices are draws.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use wavetank_core::config::{TypicalPod, TypicalPods};
use wavetank_core::scheduler::gpu::{GpuRequest, WHOLE};

use super::choices::{Choice, Choices};
use super::{TraceNode, TracePod};

/// Each node's place in a drawn order.
pub fn node_order(choices: &mut Choices, nodes: &[TraceNode]) -> Vec<usize> {
    let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    choices.places(&names)
}

/// Brings pods into a drawn order, whatever order the file has them in.
pub fn pod_order(choices: &mut Choices, pods: &mut [TracePod]) {
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    choices.shuffle(pods, Choice::Pods);
}

/// Repeats pods, drawn from all with replacement, up to a demand in thousandths of a GPU, or leaves some out. The last
/// pod is the last that fits into it. Repetitions come at the end, or when their originals come.
///
/// Source: `TunePodsByNodeTotalResource`, pkg/simulator/simulator.go, in
/// github.com/hkust-adsl/kubernetes-scheduler-simulator.
pub fn scale_to_demand(choices: &mut Choices, pods: &mut Vec<TracePod>, demand_milli: i64) {
    let total: i64 = pods.iter().map(|pod| pod.gpu.total()).sum();
    match total.cmp(&demand_milli) {
        // Without pods that ask for GPUs there would be no end.
        _ if total == 0 => {}
        Ordering::Less => repeat_some(choices, pods, demand_milli - total),
        Ordering::Equal => {}
        Ordering::Greater => leave_some_out(choices, pods, total - demand_milli),
    }
}

fn repeat_some(choices: &mut Choices, pods: &mut Vec<TracePod>, mut missing_milli: i64) {
    let mut originals = pods.clone();
    originals.sort_by(|a, b| a.name.cmp(&b.name));
    let mut numbers = choices.numbers(Choice::Repeated);
    for number in 1.. {
        let original = &originals[numbers.below(originals.len())];
        // One GPU of it has to fit, as in the published simulator; the others may go beyond.
        if i64::from(original.gpu.milli_each()) > missing_milli {
            break;
        }
        missing_milli -= original.gpu.total();
        pods.push(TracePod { name: format!("{}-again-{number}", original.name), ..original.clone() });
    }
}

fn leave_some_out(choices: &mut Choices, pods: &mut Vec<TracePod>, mut excess_milli: i64) {
    let mut numbers = choices.numbers(Choice::LeftOut);
    while excess_milli > 0 {
        let gone = pods.remove(numbers.below(pods.len()));
        excess_milli -= gone.gpu.total();
    }
}

/// The most frequent kinds of pods that together make up at least a share (per mille) of all, most frequent first.
/// Kinds are told apart by CPU, GPUs and the list of models as the file has it; of two as frequent ones, the larger
/// comes first.
///
/// Source: `GetTypicalPods`, pkg/utils/frag.go, in github.com/hkust-adsl/kubernetes-scheduler-simulator.
pub fn typical_pods(pods: &[TracePod], share_per_mille: u64, cpu_pods: bool) -> TypicalPods {
    let mut kinds: BTreeMap<(i64, u16, usize, &[_]), u32> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| cpu_pods || !pod.gpu.is_none()) {
        let kind = (pod.cpu_milli, pod.gpu.milli_each(), pod.gpu.devices(), pod.models.as_slice());
        *kinds.entry(kind).or_insert(0) += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().map(|(kind, count)| (count, kind)).collect();
    kinds.sort_by(|a, b| b.cmp(a));
    let all: u64 = kinds.iter().map(|(count, _)| u64::from(*count)).sum();
    let mut covered = 0;
    let typical = kinds.into_iter().take_while(|(count, _)| {
        let open = covered * 1_000 < share_per_mille * all;
        covered += u64::from(*count);
        open
    });
    let kind = |(count, (cpu_milli, milli_each, devices, models)): (u32, (i64, u16, usize, &[_]))| {
        let total = i64::from(milli_each) * devices as i64;
        assert!(total < i64::from(WHOLE) || total % i64::from(WHOLE) == 0, "a trace's pods take shares or whole GPUs");
        TypicalPod { cpu_milli, gpu: GpuRequest::of_total(total), models: models.to_vec(), count }
    };
    TypicalPods { kinds: typical.map(kind).collect(), of: all as u32 }
}
