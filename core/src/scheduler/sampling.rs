//! How many nodes are looked at, and which of the best is taken.

use crate::config::Ties;
use crate::draw::{Purpose, below, draw};

/// Below this number of nodes all are looked at, and never fewer feasible ones than this are sought.
const FEASIBLE_NODES_MIN: u32 = 100;
/// The least share of nodes that is sought, in percent.
const FEASIBLE_PERCENT_MIN: u32 = 5;

/// After how many feasible nodes the search ends; `percentage` 0 is adaptive.
///
/// Source: `numFeasibleNodesToFind`, pkg/scheduler/schedule_one.go (v1.34.1).
pub(super) fn feasible_nodes_wanted(percentage: u32, nodes: u32) -> u32 {
    if nodes < FEASIBLE_NODES_MIN {
        return nodes;
    }
    let percentage = match percentage {
        0 => 50_u32.saturating_sub(nodes / 125).max(FEASIBLE_PERCENT_MIN),
        set => set,
    };
    (u64::from(nodes) * u64::from(percentage.min(100)) / 100).max(u64::from(FEASIBLE_NODES_MIN)) as u32
}

/// Which of several best nodes is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TieBreak {
    /// The lexicographically smallest name.
    First,
    /// One of them, uniformly, by this draw, counted in the order in which they are looked at.
    Drawn(u64),
}

impl TieBreak {
    /// The tie break of one attempt.
    pub(super) fn of(ties: Ties, seed: u64, attempt: u64) -> TieBreak {
        match ties {
            Ties::First => TieBreak::First,
            Ties::Seeded => TieBreak::Drawn(draw(seed, Purpose::SchedulerTie, attempt, 0)),
        }
    }

    /// The place among `ties` equally good nodes, for [`TieBreak::Drawn`].
    pub(super) fn place(draw: u64, ties: u32) -> u32 {
        below(draw, u64::from(ties)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_is_complete_in_small_clusters_and_adapts_in_large_ones() {
        let wanted: Vec<u32> =
            [1, 99, 100, 150, 1_000, 5_000, 6_000].iter().map(|nodes| feasible_nodes_wanted(0, *nodes)).collect();
        assert_eq!(wanted, [1, 99, 100, 100, 420, 500, 300]);
        assert_eq!(feasible_nodes_wanted(100, 5_000), 5_000);
        assert_eq!(feasible_nodes_wanted(1, 5_000), 100);
    }
}
