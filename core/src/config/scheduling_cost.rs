//! The model of the scheduler's own time.

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// What one scheduling attempt costs of the scheduler's time, by what it looks at: a sum of the parts. Attempts follow
/// one another, so the cost bounds the throughput; requests that bind pods are under way meanwhile, as fast as the
/// client's limit and the API server's latency let them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct SchedulingCost {
    /// Every attempt.
    pub attempt: Span,
    /// Each node that is scored, or on which a preemption is tried.
    pub scored_node: Span,
    /// Each node that is looked at for a pod with a node selector or a required node affinity.
    pub selected_node: Span,
    /// Each node of the cluster, for a pod with required spread constraints.
    pub spread_node: Span,
    /// Each node of the cluster, for a pod with preferred spread constraints or one that is spread by default.
    pub preferred_spread_node: Span,
    /// Each node of the cluster, for a pod with required affinity to other pods.
    pub affinity_node: Span,
    /// Each node of the cluster, for a pod with required anti-affinity.
    pub anti_affinity_node: Span,
    /// Each node of the cluster, for a pod with preferred affinity or anti-affinity.
    pub preferred_affinity_node: Span,
}

impl SchedulingCost {
    /// Attempts take no time.
    pub const NONE: SchedulingCost = SchedulingCost::constant(Span::ZERO);

    /// kube-scheduler 1.34 as its own benchmark measures it, with API server and etcd in the same process and without
    /// a limit of requests.
    ///
    /// Fitted to the least throughputs that scheduler_perf accepts of v1.34.9 (5,000 nodes, of which 500 are scored).
    /// `attempt` is that of pods for one node (390 pods per second), `scored_node` what plain pods take in addition
    /// (270), and the others what each kind of rule takes beyond that (node affinity 220, spreading 85 and by
    /// preference 125, affinity 35, anti-affinity 60, preferred affinity 90). The thresholds leave nothing for nodes
    /// that filters refuse.
    ///
    /// Source: test/integration/scheduler_perf/*/performance-config.yaml (v1.34.9).
    pub const KUBERNETES_1_34: SchedulingCost = SchedulingCost {
        attempt: Span::from_micros(2_564),
        scored_node: Span(2_280),
        selected_node: Span(1_680),
        spread_node: Span(1_612),
        preferred_spread_node: Span(859),
        affinity_node: Span(4_974),
        anti_affinity_node: Span(2_593),
        preferred_affinity_node: Span(1_481),
    };

    /// The same for every attempt, whatever it looks at.
    pub const fn constant(attempt: Span) -> SchedulingCost {
        SchedulingCost {
            attempt,
            scored_node: Span::ZERO,
            selected_node: Span::ZERO,
            spread_node: Span::ZERO,
            preferred_spread_node: Span::ZERO,
            affinity_node: Span::ZERO,
            anti_affinity_node: Span::ZERO,
            preferred_affinity_node: Span::ZERO,
        }
    }
}
