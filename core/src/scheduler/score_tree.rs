//! A tree of maxima over the nodes in their order: the best score of any stretch, how many nodes share it, which of
//! them is the n-th, and where the n-th feasible node stands, each in O(log nodes).
//!
//! Invariant: an inner entry is the sum of its two halves; absent leaves are [`Summary::NONE`].

/// A stretch of nodes in short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Summary {
    /// The best score of a feasible node.
    pub(super) best: i32,
    /// How many feasible nodes have it.
    pub(super) ties: u32,
    /// The lowest rank by name among them.
    pub(super) first: u32,
    /// How many feasible nodes there are.
    pub(super) feasible: u32,
}

impl Summary {
    /// A stretch without a feasible node.
    pub(super) const NONE: Summary = Summary { best: i32::MIN, ties: 0, first: u32::MAX, feasible: 0 };

    /// One feasible node.
    pub(super) fn of(score: i32, rank: u32) -> Summary {
        Summary { best: score, ties: 1, first: rank, feasible: 1 }
    }

    /// Two stretches together.
    pub(super) fn and(self, other: Summary) -> Summary {
        let feasible = self.feasible + other.feasible;
        match self.best.cmp(&other.best) {
            std::cmp::Ordering::Less => Summary { feasible, ..other },
            std::cmp::Ordering::Greater => Summary { feasible, ..self },
            std::cmp::Ordering::Equal => {
                Summary { best: self.best, ties: self.ties + other.ties, first: self.first.min(other.first), feasible }
            }
        }
    }
}

/// The tree.
#[derive(Default)]
pub(super) struct ScoreTree {
    /// A power of two; the leaf of position `p` is entry `leaves + p`, the root is entry 1.
    leaves: usize,
    entries: Vec<Summary>,
}

impl ScoreTree {
    /// Replaces all leaves.
    pub(super) fn fill(&mut self, leaves: impl ExactSizeIterator<Item = Summary>) {
        self.leaves = leaves.len().next_power_of_two();
        self.entries.clear();
        self.entries.resize(2 * self.leaves, Summary::NONE);
        for (position, leaf) in leaves.enumerate() {
            self.entries[self.leaves + position] = leaf;
        }
        for index in (1..self.leaves).rev() {
            self.entries[index] = self.entries[2 * index].and(self.entries[2 * index + 1]);
        }
    }

    /// Replaces one leaf.
    pub(super) fn set(&mut self, position: u32, leaf: Summary) {
        let mut index = self.leaves + position as usize;
        self.entries[index] = leaf;
        while index > 1 {
            index /= 2;
            let sum = self.entries[2 * index].and(self.entries[2 * index + 1]);
            if self.entries[index] == sum {
                break;
            }
            self.entries[index] = sum;
        }
    }

    /// All positions in short.
    pub(super) fn all(&self) -> Summary {
        self.entries[1]
    }

    /// The positions `from .. to` in short.
    pub(super) fn range(&self, from: u32, to: u32) -> Summary {
        let (mut low, mut high) = (self.leaves + from as usize, self.leaves + to as usize);
        let mut sum = Summary::NONE;
        while low < high {
            if low % 2 == 1 {
                sum = sum.and(self.entries[low]);
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                sum = sum.and(self.entries[high]);
            }
            low /= 2;
            high /= 2;
        }
        sum
    }

    /// The position of the `count`-th feasible node, counted from 1. Panics if there are fewer.
    pub(super) fn nth_feasible(&self, mut count: u32) -> u32 {
        assert!((1..=self.all().feasible).contains(&count), "there is no feasible node number {count}");
        let mut index = 1;
        while index < self.leaves {
            index *= 2;
            let left = self.entries[index].feasible;
            if count > left {
                count -= left;
                index += 1;
            }
        }
        (index - self.leaves) as u32
    }

    /// The position of the `nth` node, counted from 0, of those in `from .. to` with this score, which must be the best
    /// there; `Err` says how many there are if they are fewer.
    pub(super) fn nth_tied(&self, from: u32, to: u32, score: i32, nth: u32) -> Result<u32, u32> {
        let mut left = nth;
        self.descend(1, (0, self.leaves as u32), (from, to), score, &mut left).ok_or(nth - left)
    }

    fn descend(&self, index: usize, span: (u32, u32), within: (u32, u32), score: i32, left: &mut u32) -> Option<u32> {
        let entry = &self.entries[index];
        if span.0 >= within.1 || span.1 <= within.0 || entry.best < score {
            return None;
        }
        let inside = span.0 >= within.0 && span.1 <= within.1;
        if inside && entry.best == score && entry.ties <= *left {
            *left -= entry.ties;
            return None;
        }
        if index >= self.leaves {
            return Some(span.0);
        }
        let middle = u32::midpoint(span.0, span.1);
        self.descend(2 * index, (span.0, middle), within, score, left)
            .or_else(|| self.descend(2 * index + 1, (middle, span.1), within, score, left))
    }
}
