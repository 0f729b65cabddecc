//! What a study makes of a trace: an order, a demand, and the pods that are typical of it. All choices are draws.

use std::collections::BTreeMap;

use wavetank_core::draw::{Draws, Purpose, below};
use wavetank_core::scheduler::gpu::WHOLE;
use wavetank_core::scheduler::policies::TypicalPod;

use super::TracePod;

/// The entities of [`Purpose::Trace`].
const PODS: u64 = 0;
const NODES: u64 = 1;
const REPEATED: u64 = 2;
const LEFT_OUT: u64 = 3;

/// The order of so many nodes: each node's place among their names.
pub fn node_order(seed: u64, nodes: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..nodes).collect();
    shuffle(&mut order, seed, NODES);
    order
}

/// Brings pods into a drawn order, whatever order the file has them in.
pub fn pod_order(seed: u64, pods: &mut [TracePod]) {
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    shuffle(pods, seed, PODS);
}

/// Repeats pods, drawn from all with replacement, up to a demand in thousandths of a GPU, or leaves some out. The last
/// pod is the last that fits into it. Repetitions come at the end, or when their originals come.
pub fn scale_to_demand(seed: u64, pods: &mut Vec<TracePod>, demand_milli: i64) {
    let mut total: i64 = pods.iter().map(|pod| pod.gpu.total()).sum();
    let mut draws = Draws::new(seed, Purpose::Trace, LEFT_OUT);
    while total > demand_milli {
        let draw = draws.next().expect("draws do not end");
        let gone = pods.remove(below(draw, pods.len() as u64) as usize);
        total -= gone.gpu.total();
        if total <= demand_milli {
            return;
        }
    }
    let mut originals = pods.clone();
    originals.sort_by(|a, b| a.name.cmp(&b.name));
    for (number, draw) in Draws::new(seed, Purpose::Trace, REPEATED).enumerate() {
        // Without pods that ask for GPUs there would be no end.
        if total == 0 || total == demand_milli {
            break;
        }
        let original = &originals[below(draw, originals.len() as u64) as usize];
        if total + i64::from(original.gpu.milli_each()) > demand_milli {
            break;
        }
        total += original.gpu.total();
        let name = format!("{}-again-{}", original.name, number + 1);
        pods.push(TracePod { name, ..original.clone() });
    }
}

/// The most frequent kinds of pods that together make up at least a share (per mille) of all, most frequent first.
/// Kinds are told apart by CPU, GPUs and models; of two as frequent ones, the larger comes first.
pub fn typical_pods(pods: &[TracePod], share_per_mille: u64, cpu_pods: bool) -> Vec<TypicalPod> {
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
        let gpu = wavetank_core::scheduler::gpu::GpuRequest::of_total(total);
        TypicalPod { cpu_milli, gpu, models: models.to_vec(), count }
    };
    typical.map(kind).collect()
}

/// Fisher and Yates.
fn shuffle<T>(items: &mut [T], seed: u64, entity: u64) {
    let places = (1..items.len()).rev();
    for (place, draw) in places.zip(Draws::new(seed, Purpose::Trace, entity)) {
        items.swap(place, below(draw, place as u64 + 1) as usize);
    }
}
