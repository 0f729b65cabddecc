//! GpuPacking: GPUs in use before idle GPUs, nodes in use before idle nodes, the tightest first.
//!
//! Source: MLaaS in the wild (NSDI 2022), as in the study of FGD (USENIX ATC 2023).

use super::{Cycle, DependsOn, NodeView, PodView, Policy};
use crate::scheduler::gpu::WHOLE;

pub(super) const NAME: &str = "GpuPacking";

pub(super) struct GpuPacking;

impl Policy for GpuPacking {
    fn name(&self) -> &'static str {
        NAME
    }

    fn score(&self, _: Cycle, pod: PodView<'_>, node: NodeView<'_>) -> i64 {
        let (request, gpus) = (pod.gpu(), node.gpus());
        if request.is_none() {
            return 0;
        }
        let idle = gpus.idle() as i64;
        if idle == gpus.free().len() as i64 {
            return (33 - idle).max(idle);
        }
        let Some(devices) = gpus.tightest(request) else { return 0 };
        let left = || devices.iter().map(|device| gpus.free()[device]);
        let taken_idle = left().filter(|free| *free == WHOLE).count() as i64;
        if taken_idle > 0 {
            return (50 - taken_idle).max(33);
        }
        let percent: i64 = left().map(|free| i64::from(free) * 100 / i64::from(WHOLE)).sum();
        (100 - percent / 10).max(50)
    }

    fn depends_on(&self) -> DependsOn {
        DependsOn::PodAndNode
    }
}
