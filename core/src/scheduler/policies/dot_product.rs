//! DotProduct: the node whose free resources point least in the direction of what the pod wants, so that large nodes
//! are kept for later.
//!
//! Source: the packing heuristic of Tetris (SIGCOMM 2014), turned round as in the study of FGD (USENIX ATC 2023): the
//! smaller the product, the better the node.

use super::arithmetic::dot_product_score;
use super::{Cycle, DependsOn, NodeView, PodView, Policy};

pub(super) const NAME: &str = "DotProduct";

pub(super) struct DotProduct;

impl Policy for DotProduct {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&self, _: Cycle, pod: PodView<'_>, node: NodeView<'_>) -> i64 {
        dot_product_score([node.cpu_free(), node.gpus().free_total()], [pod.cpu_milli(), pod.gpu().total()])
    }

    fn depends_on(&self) -> DependsOn {
        DependsOn::PodAndNode
    }
}
