//! Policies: filters and scores beside those of Kubernetes, one file each, and the list by which they are found.
//!
//! `docs/policies.md` shows from zero to plot how to add one. A policy implements [`Policy`] and is entered in [`ALL`];
//! from then on scenarios can name it. Nothing else has to know it: both searches (the plain one and the cached one)
//! ask it through this trait.
//!
//! Beside the policies: `view` is what they see, `arithmetic` and `rounding` how they compute, `fragmentation` what FGD
//! measures.

mod arithmetic;
mod best_fit;
mod dot_product;
mod fgd;
pub(super) mod fragmentation;
mod gpu_clustering;
mod gpu_packing;
mod gpu_share;
mod random;
mod rounding;
mod view;

use std::sync::Arc;

pub use fragmentation::Fragmentation;
pub use view::{Cycle, NodeView, PodView};

pub use crate::scheduler::gpu::DeviceSet;
pub use crate::scheduler::plugins::Normalization;

use crate::config::{PolicyConfig, TypicalPods};

/// Everything that a policy may be made from.
#[derive(Clone, Copy, Debug)]
pub struct PolicyArgs<'a> {
    /// The pods that the workload is typically made of.
    pub typical_pods: &'a TypicalPods,
}

/// What a filter says of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fit {
    /// The node can take the pod.
    Yes,
    /// It cannot, as people read it (`node(s) had no room on one GPU`), but could if pods left it.
    No(&'static str),
    /// It cannot, whichever pods leave it.
    Never(&'static str),
}

/// What the results of a policy depend on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DependsOn {
    /// On anything, such as the attempt: it is asked again for each feasible node in every attempt.
    Attempt,
    /// On nothing but what [`PodView`] and [`NodeView`] show: the cached search asks again only when the node has
    /// changed. [`Cycle`] must not be looked at.
    PodAndNode,
}

/// A filter, a score, or both, at the extension points of the scheduling framework. Every method has a default, so that
/// a policy writes down only what it does. All must be pure functions of their arguments.
///
/// [`Policy::filter`] always counts as [`DependsOn::PodAndNode`]: what else should keep a pod off a node belongs into
/// taints, labels or requests.
pub trait Policy: Send + Sync {
    /// The name by which scenarios and messages know it.
    fn name(&self) -> &'static str;

    /// Filter: whether the node can take the pod. It is asked only if the filters of Kubernetes let the pod pass.
    fn filter(&self, _pod: PodView<'_>, _node: NodeView<'_>) -> Fit {
        Fit::Yes
    }

    /// PreScore: whether the policy has an opinion on where this pod goes.
    fn scores(&self, _pod: PodView<'_>) -> bool {
        true
    }

    /// Score: the higher the better; 0 ..= 100 unless [`Policy::normalization`] brings it there. Feasible nodes only.
    fn score(&self, _cycle: Cycle, _pod: PodView<'_>, _node: NodeView<'_>) -> i64 {
        0
    }

    /// NormalizeScore: how the scores of all feasible nodes become 0 ..= 100.
    fn normalization(&self) -> Normalization {
        Normalization::None
    }

    /// What [`Policy::score`] depends on.
    fn depends_on(&self) -> DependsOn {
        DependsOn::Attempt
    }

    /// Reserve: which of the chosen node's GPUs the pod gets; `None` leaves that to the next policy, and at last to
    /// the tightest fit. `draw` is a random value of this attempt. What is reserved is given back when the pod goes or
    /// its binding fails (Unreserve), without asking anybody.
    fn devices(&self, _pod: PodView<'_>, _node: NodeView<'_>, _draw: u64) -> Option<DeviceSet> {
        None
    }
}

/// A policy as it is listed.
pub struct Listed {
    /// Its name.
    pub name: &'static str,
    /// Whether it has something to say at Score.
    pub scores: bool,
    /// Whether it cannot be made without typical pods.
    pub needs_typical_pods: bool,
    /// Makes it.
    build: fn(PolicyArgs<'_>) -> Arc<dyn Policy>,
}

/// All policies, by name.
pub static ALL: [Listed; 7] = [
    Listed { name: best_fit::NAME, scores: true, needs_typical_pods: false, build: |_| Arc::new(best_fit::BestFit) },
    Listed {
        name: dot_product::NAME,
        scores: true,
        needs_typical_pods: false,
        build: |_| Arc::new(dot_product::DotProduct),
    },
    Listed { name: fgd::NAME, scores: true, needs_typical_pods: true, build: |args| Arc::new(fgd::Fgd::new(args)) },
    Listed {
        name: gpu_clustering::NAME,
        scores: true,
        needs_typical_pods: false,
        build: |_| Arc::new(gpu_clustering::GpuClustering),
    },
    Listed {
        name: gpu_packing::NAME,
        scores: true,
        needs_typical_pods: false,
        build: |_| Arc::new(gpu_packing::GpuPacking),
    },
    Listed {
        name: gpu_share::NAME,
        scores: false,
        needs_typical_pods: false,
        build: |_| Arc::new(gpu_share::GpuShare),
    },
    Listed { name: random::NAME, scores: true, needs_typical_pods: false, build: |_| Arc::new(random::Random) },
];

/// The policy of a name.
pub fn find(name: &str) -> Option<&'static Listed> {
    ALL.iter().find(|listed| listed.name == name)
}

/// The policies that a configuration asks for, filters before scores, each with its weight; weight 0 does not score.
/// GPU sharing per device comes with every policy.
///
/// Panics on names that are neither listed here nor a plugin of Kubernetes: whoever makes a configuration checks them.
pub(super) fn chosen(config: &PolicyConfig) -> Vec<(Arc<dyn Policy>, i64)> {
    let args = PolicyArgs { typical_pods: &config.typical_pods };
    let build = |name: &str| find(name).map(|listed| (listed.build)(args));
    let mut chosen: Vec<(Arc<dyn Policy>, i64)> = vec![(Arc::new(gpu_share::GpuShare), 0)];
    for name in config.filters.iter().filter(|name| ***name != *gpu_share::NAME) {
        let policy = build(name).unwrap_or_else(|| panic!("there is no policy {name:?}"));
        chosen.push((policy, 0));
    }
    chosen.extend(config.scores.iter().filter_map(|(name, weight)| Some((build(name)?, *weight))));
    chosen
}

/// The scores of Kubernetes that a configuration may name beside policies.
pub const KUBERNETES_SCORES: [&str; 7] = [
    "TaintToleration",
    "NodeAffinity",
    "NodeResourcesFit",
    "PodTopologySpread",
    "InterPodAffinity",
    "NodeResourcesBalancedAllocation",
    "ImageLocality",
];
