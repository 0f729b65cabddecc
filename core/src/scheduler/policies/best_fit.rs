//! BestFit: the node on which the pod leaves least, CPU and GPU counted alike.
//!
//! Source: as the baseline of that name in the study of FGD (USENIX ATC 2023).

use super::arithmetic::best_fit_score;
use super::{Cycle, DependsOn, NodeView, Normalization, PodView, Policy};

pub(super) const NAME: &str = "BestFit";

pub(super) struct BestFit;

impl Policy for BestFit {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&self, _: Cycle, pod: PodView<'_>, node: NodeView<'_>) -> i64 {
        best_fit_score([node.cpu_free(), node.gpus().free_total()], [pod.cpu_milli(), pod.gpu().total()])
    }

    fn normalization(&self) -> Normalization {
        Normalization::ByRange
    }

    fn depends_on(&self) -> DependsOn {
        DependsOn::PodAndNode
    }
}
