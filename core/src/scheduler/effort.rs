//! What an attempt looked at, and what that takes of the scheduler's own time in simulations.

use crate::config::SchedulingCost;
use crate::scheduler::placement::{Look, Placement};
use crate::scheduler::plugins::is_anywhere;
use crate::scheduler::preemption::Seeker;
use crate::time::Span;

/// What an attempt looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Effort {
    /// How many nodes there are.
    nodes: u32,
    /// How many of them were looked at.
    looked_at: u32,
    /// How many were scored.
    scored: u32,
    /// On how many a preemption was tried.
    pub(super) tried: u32,
    /// Whether the pod is particular about nodes' labels.
    selects_nodes: bool,
    /// Which rules about other pods there are.
    rules: Rules,
}

/// Whether the pod has these rules about other pods.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Rules {
    spread: bool,
    spread_preferred: bool,
    affinity: bool,
    anti_affinity: bool,
    preferred: bool,
}

impl Placement {
    /// What a search looked at, but for preemption, which comes after it.
    pub(super) fn effort(&self, seeker: Seeker<'_>, look: &Look) -> Effort {
        let pod = self.classes.traits(seeker.class);
        let (spread, spread_preferred) = look.relations.as_ref().map_or((false, false), |it| it.spreads());
        let terms = pod.terms.as_deref();
        let rules = Rules {
            spread,
            spread_preferred,
            affinity: terms.is_some_and(|terms| !terms.affinity.is_empty()),
            anti_affinity: terms.is_some_and(|terms| !terms.anti_affinity.is_empty()),
            preferred: terms.is_some_and(|terms| !terms.preferred.is_empty()),
        };
        let feasible = look.outcome.feasible;
        Effort {
            nodes: self.cache.node_count(),
            looked_at: look.checked,
            // A single feasible node is taken without being scored.
            scored: if feasible > 1 { feasible } else { 0 },
            tried: 0,
            selects_nodes: !is_anywhere(&pod.spec),
            rules,
        }
    }
}

impl SchedulingCost {
    /// What an attempt takes.
    pub(super) fn of(&self, effort: &Effort) -> Span {
        let Effort { nodes, looked_at, scored, tried, selects_nodes, rules } = *effort;
        let per = |each: Span, count: u32| each.0 * u64::from(count);
        let of_rule = |has: bool, each: Span| if has { per(each, nodes) } else { 0 };
        let nanoseconds = self.attempt.0
            + per(self.scored_node, scored + tried)
            + if selects_nodes { per(self.selected_node, looked_at) } else { 0 }
            + of_rule(rules.spread, self.spread_node)
            + of_rule(rules.spread_preferred, self.preferred_spread_node)
            + of_rule(rules.affinity, self.affinity_node)
            + of_rule(rules.anti_affinity, self.anti_affinity_node)
            + of_rule(rules.preferred, self.preferred_affinity_node);
        Span(nanoseconds)
    }
}
