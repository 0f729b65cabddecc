//! GpuClustering: pods that ask for GPUs alike go to the same nodes; among those, the fuller the better.
//!
//! Kinds are shares and each number of whole GPUs. Nodes with pods of the pod's kind alone come first, then nodes with
//! other kinds as well, then idle nodes, then nodes with other kinds only.
//!
//! Source: Gandiva (OSDI 2018), as in the study of FGD (USENIX ATC 2023).

use super::{Cycle, DependsOn, NodeView, PodView, Policy};

pub(super) const NAME: &str = "GpuClustering";
/// The GPUs of the largest node, in thousandths.
const LARGEST: i64 = 8_000;

pub(super) struct GpuClustering;

impl Policy for GpuClustering {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&self, _: Cycle, pod: PodView<'_>, node: NodeView<'_>) -> i64 {
        if pod.gpu().is_none() {
            return 0;
        }
        let base = match node.gpus().kinds(pod.gpu()) {
            (1, true) => 75,
            (_, true) => 50,
            (0, false) => 25,
            (_, false) => 0,
        };
        base + (25 * (LARGEST - node.gpus().free_total()) / LARGEST).max(0)
    }

    fn depends_on(&self) -> DependsOn {
        DependsOn::PodAndNode
    }
}
