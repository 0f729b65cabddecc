//! GpuShare: a node must have enough left on enough of its devices, not only in sum.
//!
//! NodeResourcesFit checks the sum, NodeAffinity the model; this is the rest. It comes with every policy.

use super::{Fit, NodeView, PodView, Policy};

pub(super) const NAME: &str = "GpuShare";

pub(super) struct GpuShare;

impl Policy for GpuShare {
    fn name(&self) -> &'static str {
        NAME
    }

    fn filter(&self, pod: PodView<'_>, node: NodeView<'_>) -> Fit {
        if node.gpus().fit(pod.gpu()) {
            Fit::Yes
        } else if pod.gpu().devices() > node.gpus().free().len() {
            Fit::Never("node(s) had too few GPUs")
        } else {
            Fit::No("node(s) had too little left on single GPUs")
        }
    }

    fn scores(&self, _: PodView<'_>) -> bool {
        false
    }
}
