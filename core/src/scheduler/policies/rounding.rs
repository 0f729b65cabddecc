//! Where the rounding of FGD's published score shows: when the exact relief is nothing.
//!
//! The score is defined in float64: expected fragmentation is a sum of shares, and 100 · σ(relief) is cut to a whole
//! number. A relief of nothing lies on an edge. If the two sums differ in their last digits the score is 49 or 50, and
//! that decides between nodes that are equally good. So these sums are added up in the published order. No other relief
//! comes that near an edge: 100 · σ(x) is whole for x = ln(k / (100 − k)) only, which is no fraction but for k = 50.
//!
//! Source: `NodeGpuShareFragAmountScore` and `GetTypicalPods`, pkg/utils/frag.go of the simulator that was published
//! with Beware of Fragmentation (USENIX ATC 2023).

#![expect(clippy::float_arithmetic, reason = "the published score is a sum in float64, and its rounding decides ties")]

use crate::config::{TypicalPod, TypicalPods};
use crate::id::Name;

/// How many ways there are to lose GPUs to a typical pod; see [`loss`].
const LOSSES: usize = 6;

/// The typical pods with their shares, most frequent first.
pub(super) struct Rounding {
    kinds: Vec<(f64, TypicalPod)>,
}

/// What a node has left.
#[derive(Clone, Copy)]
pub(super) struct Left<'n> {
    pub(super) cpu_milli: i64,
    pub(super) gpus: &'n [u16],
}

impl Rounding {
    pub(super) fn of(typical: &TypicalPods) -> Rounding {
        let all = f64::from(typical.of);
        let covered = typical.kinds.iter().map(|kind| i64::from(kind.count)).sum::<i64>() as f64 / all;
        let share = |kind: &TypicalPod| (f64::from(kind.count) / all / covered, kind.clone());
        Rounding { kinds: typical.kinds.iter().map(share).collect() }
    }

    /// The score on a node with such GPUs when a pod changes what is left and the exact relief is nothing: 50, or 49 if
    /// rounding makes a loss of it.
    pub(super) fn score_of_no_relief(&self, model: Option<&Name>, before: Left<'_>, after: Left<'_>) -> i64 {
        let relief = (self.expected(model, before) - self.expected(model, after)) / 1_000.0;
        (100.0 * (1.0 / (1.0 + libm::exp(-relief)))) as i64
    }

    /// Expected fragmentation in thousandths of a GPU.
    fn expected(&self, model: Option<&Name>, left: Left<'_>) -> f64 {
        let idle: i64 = left.gpus.iter().map(|free| i64::from(*free)).sum();
        let mut losses = [0.0; LOSSES];
        for (share, kind) in &self.kinds {
            let (way, lost) = loss(kind, model, left, idle);
            losses[way] += share * lost as f64;
        }
        losses.iter().fold(0.0, |sum, loss| sum + loss)
    }
}

/// In which way, and how much of what is idle, one kind of pods could not use. The ways are numbered as they are added
/// up: the node has too little CPU and GPU, too little GPU, too little CPU; the pod wants no GPU and has enough CPU, or
/// too little; the model is another.
fn loss(kind: &TypicalPod, model: Option<&Name>, left: Left<'_>, idle: i64) -> (usize, i64) {
    let enough_cpu = left.cpu_milli >= kind.cpu_milli;
    if kind.gpu.is_none() {
        return (if enough_cpu { 3 } else { 4 }, idle);
    }
    if !kind.takes(model) {
        return (5, idle);
    }
    let each = kind.gpu.milli_each();
    let enough_gpu = left.gpus.iter().filter(|free| **free >= each).count() >= kind.gpu.devices();
    match (enough_gpu, enough_cpu) {
        (true, true) => (1, left.gpus.iter().filter(|free| **free < each).map(|free| i64::from(*free)).sum()),
        (true, false) => (2, idle),
        (false, true) => (1, idle),
        (false, false) => (0, idle),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::gpu::GpuRequest;

    #[test]
    fn equal_sums_that_are_added_up_otherwise_may_score_as_a_loss() {
        // Pods without GPUs lose all that is idle, whether their CPU is there or not: the exact relief is always
        // nothing.
        let kind = |cores: u32| TypicalPod {
            cpu_milli: i64::from(cores) * 1_000,
            gpu: GpuRequest::NONE,
            models: Vec::new(),
            count: 20 - cores,
        };
        let rounding = Rounding::of(&TypicalPods { of: 160, kinds: (1..=9).map(kind).collect() });
        let left = |cores: i64| Left { cpu_milli: cores * 1_000, gpus: &[1_000; 8] };
        let scores = |from: fn(i64) -> (i64, i64)| -> Vec<i64> {
            let cores = (0..=9).map(from);
            cores.map(|(before, after)| rounding.score_of_no_relief(None, left(before), left(after))).collect()
        };
        assert_eq!(scores(|cores| (cores, cores)), [50; 10], "nothing has changed");
        // As another program that computes in float64 has it.
        assert_eq!(scores(|cores| (9, cores)), [50, 49, 50, 50, 50, 50, 50, 50, 50, 50]);
        assert_eq!(scores(|cores| (cores, 9)), [50, 50, 50, 50, 50, 50, 49, 50, 50, 50]);
    }

    #[test]
    fn a_pod_loses_what_it_cannot_use_in_one_of_six_ways() {
        let kind = |cores: i64, gpu, models: &[&str]| TypicalPod {
            cpu_milli: cores * 1_000,
            gpu: GpuRequest::of_total(gpu),
            models: models.iter().map(|model| Name::from(*model)).collect(),
            count: 1,
        };
        let left = Left { cpu_milli: 4_000, gpus: &[1_000, 400] };
        let way = |kind: TypicalPod| loss(&kind, Some(&"T4".into()), left, 1_400);
        assert_eq!(way(kind(8, 2_000, &[])), (0, 1_400));
        assert_eq!(way(kind(4, 2_000, &[])), (1, 1_400));
        assert_eq!(way(kind(4, 500, &["A10", "T4"])), (1, 400), "the full device is lost to a pod that fits");
        assert_eq!(way(kind(8, 500, &[])), (2, 1_400));
        assert_eq!(way(kind(4, 0, &[])), (3, 1_400));
        assert_eq!(way(kind(8, 0, &[])), (4, 1_400));
        assert_eq!(way(kind(1, 300, &["A10"])), (5, 1_400));
    }
}
