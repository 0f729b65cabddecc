//! FGD, fragmentation gradient descent: the node, and on it the GPU, where the pod lets the expected fragmentation grow
//! least.
//!
//! Source: Weng et al., Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent,
//! USENIX ATC 2023, and the simulator published with it, whose score this is: 100 · σ(relief in GPUs), truncated. The
//! relief is exact; where it is nothing, [`Rounding`] says what the score is.

use super::arithmetic::sigmoid_score;
use super::rounding::{Left, Rounding};
use super::{Cycle, DependsOn, DeviceSet, Fragmentation, NodeView, PodView, Policy, PolicyArgs};
use crate::scheduler::gpu::{DEVICES_MAX, WHOLE};

pub(super) const NAME: &str = "FGD";

pub(super) struct Fgd {
    fragmentation: Fragmentation,
    rounding: Rounding,
}

impl Fgd {
    pub(super) fn new(args: PolicyArgs<'_>) -> Fgd {
        Fgd { fragmentation: Fragmentation::of(&args.typical_pods.kinds), rounding: Rounding::of(args.typical_pods) }
    }

    /// The best score that the pod can have on the node, and the first of the devices that give it. A pod that asks
    /// for no share has nothing to choose: whole devices are idle ones, and those are alike.
    fn best(&self, pod: PodView<'_>, node: NodeView<'_>) -> (i64, Option<DeviceSet>) {
        let (request, gpus) = (pod.gpu(), node.gpus());
        let model = node.gpu_model();
        let table = self.fragmentation.of_model(model);
        let cpu_after = node.cpu_free() - pod.cpu_milli();
        let before = table.expected(node.cpu_free(), gpus.free());
        let scale = self.fragmentation.pods() * i64::from(WHOLE);
        let mut free = [0_u16; DEVICES_MAX];
        let free = &mut free[..gpus.free().len()];
        free.copy_from_slice(gpus.free());
        let score = |free: &[u16]| match before - table.expected(cpu_after, free) {
            0 => {
                let before = Left { cpu_milli: node.cpu_free(), gpus: gpus.free() };
                self.rounding.score_of_no_relief(model, before, Left { cpu_milli: cpu_after, gpus: free })
            }
            relief => sigmoid_score(relief, scale),
        };
        if !request.is_share() {
            let devices = gpus.tightest(request);
            for device in devices.into_iter().flat_map(DeviceSet::iter) {
                free[device] -= request.milli_each();
            }
            return (score(free), devices);
        }
        let mut best: Option<(i64, usize)> = None;
        for device in 0..free.len() {
            // Devices with as much left give the same score, and the first counts.
            if free[device] < request.milli_each() || gpus.free()[..device].contains(&free[device]) {
                continue;
            }
            free[device] -= request.milli_each();
            let here = score(free);
            free[device] += request.milli_each();
            if best.is_none_or(|(known, _)| here > known) {
                best = Some((here, device));
            }
        }
        best.map_or((0, None), |(score, device)| (score, Some(DeviceSet::one(device))))
    }
}

impl Policy for Fgd {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&self, _: Cycle, pod: PodView<'_>, node: NodeView<'_>) -> i64 {
        self.best(pod, node).0
    }

    fn depends_on(&self) -> DependsOn {
        DependsOn::PodAndNode
    }

    fn devices(&self, pod: PodView<'_>, node: NodeView<'_>, _: u64) -> Option<DeviceSet> {
        self.best(pod, node).1
    }
}
