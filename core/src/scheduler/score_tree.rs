//! A flat tree of maxima over the nodes in their order: the best score of any stretch, how many nodes share it, which
//! of them is the n-th, and where the n-th feasible node stands, each in O(log nodes).
//!
//! Each entry sums up [`FAN`] neighbours of the level below. Entries are columns, so a sum is a few steps over one or
//! two cache lines, and a tree takes hardly more memory than its scores: many of them stay in the cache.
//!
//! Invariant: once refreshed, an entry is the sum of its neighbours below; what fills up the last ones is
//! [`INFEASIBLE`]. Who reads single scores only need not refresh.

/// The score of a node that cannot take the pod.
pub(super) const INFEASIBLE: i32 = i32::MIN;
/// How many entries one entry of the next level sums up.
const FAN: usize = 32;

/// A stretch of nodes in short.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Summary {
    /// The best score of a feasible node.
    pub(super) best: i32,
    /// How many feasible nodes have it.
    pub(super) ties: u32,
    /// How many feasible nodes there are.
    pub(super) feasible: u32,
}

impl Summary {
    /// A stretch without a feasible node.
    const NONE: Summary = Summary { best: INFEASIBLE, ties: 0, feasible: 0 };

    /// Two stretches together.
    pub(super) fn and(self, other: Summary) -> Summary {
        let best = self.best.max(other.best);
        let ties_of = |part: Summary| if part.best == best { part.ties } else { 0 };
        Summary { best, ties: ties_of(self) + ties_of(other), feasible: self.feasible + other.feasible }
    }

    fn of_scores(scores: &[i32]) -> Summary {
        let best = scores.iter().fold(INFEASIBLE, |best, score| best.max(*score));
        if best == INFEASIBLE {
            return Summary::NONE;
        }
        let ties = scores.iter().map(|score| u32::from(*score == best)).sum();
        Summary { best, ties, feasible: scores.iter().map(|score| u32::from(*score != INFEASIBLE)).sum() }
    }
}

/// Sums of the level below, in columns; as many as are a multiple of [`FAN`].
#[derive(Default)]
struct Level {
    best: Vec<i32>,
    ties: Vec<u32>,
    feasible: Vec<u32>,
}

impl Level {
    fn put(&mut self, index: usize, sum: Summary) {
        (self.best[index], self.ties[index], self.feasible[index]) = (sum.best, sum.ties, sum.feasible);
    }

    fn at(&self, index: usize) -> Summary {
        Summary { best: self.best[index], ties: self.ties[index], feasible: self.feasible[index] }
    }

    fn sum(&self, from: usize, to: usize) -> Summary {
        let best = self.best[from..to].iter().fold(INFEASIBLE, |best, one| best.max(*one));
        let pairs = self.best[from..to].iter().zip(&self.ties[from..to]);
        let ties = pairs.map(|(one, ties)| if *one == best { *ties } else { 0 }).sum();
        Summary { best, ties, feasible: self.feasible[from..to].iter().sum() }
    }
}

/// The tree.
#[derive(Default)]
pub(super) struct ScoreTree {
    /// By position, as many as are a multiple of [`FAN`].
    scores: Vec<i32>,
    /// How many nodes are [`INFEASIBLE`].
    infeasible: usize,
    /// Each of the one before, the first of the scores; the last has one entry that counts.
    levels: Vec<Level>,
    /// Entries of the first level that may not be what their scores sum up to, each once or several times.
    stale: Vec<u32>,
    /// All entries may be so, of every level.
    all_stale: bool,
}

impl ScoreTree {
    /// Replaces all scores.
    pub(super) fn fill(&mut self, scores: impl Iterator<Item = i32>) {
        self.scores.clear();
        self.scores.extend(scores);
        self.infeasible = self.scores.iter().filter(|score| **score == INFEASIBLE).count();
        self.scores.resize(self.scores.len().next_multiple_of(FAN).max(FAN), INFEASIBLE);
        self.all_stale = true;
    }

    /// Brings the sums up to date.
    pub(super) fn refresh(&mut self) {
        if self.all_stale {
            self.sum_up();
        } else {
            for place in 0..self.stale.len() {
                self.sum_up_from(self.stale[place] as usize);
            }
        }
        self.stale.clear();
        self.all_stale = false;
    }

    fn sum_up(&mut self) {
        self.levels.clear();
        let mut below = self.scores.len();
        loop {
            let count = below / FAN;
            let size = count.next_multiple_of(FAN);
            let mut level = Level { best: vec![INFEASIBLE; size], ties: vec![0; size], feasible: vec![0; size] };
            for index in 0..count {
                level.put(index, self.sum(self.levels.len(), index * FAN, (index + 1) * FAN));
            }
            self.levels.push(level);
            if count == 1 {
                return;
            }
            below = size;
        }
    }

    /// An entry of the first level, and those above it.
    fn sum_up_from(&mut self, mut index: usize) {
        for depth in 0..self.levels.len() {
            let sum = self.sum(depth, index * FAN, (index + 1) * FAN);
            if self.levels[depth].at(index) == sum {
                return;
            }
            self.levels[depth].put(index, sum);
            index /= FAN;
        }
    }

    /// The score at a position; [`INFEASIBLE`] if the node cannot take the pod.
    pub(super) fn score(&self, position: u32) -> i32 {
        self.scores[position as usize]
    }

    /// The scores by position, and some more.
    pub(super) fn scores(&self) -> &[i32] {
        &self.scores
    }

    /// Whether every node can take the pod.
    pub(super) fn all_feasible(&self) -> bool {
        self.infeasible == 0
    }

    /// Replaces one score.
    pub(super) fn set(&mut self, position: u32, score: i32) {
        let before = std::mem::replace(&mut self.scores[position as usize], score);
        if before == score {
            return;
        }
        self.infeasible += usize::from(score == INFEASIBLE);
        self.infeasible -= usize::from(before == INFEASIBLE);
        // More than there are entries are not worth listing.
        self.all_stale |= self.stale.len() >= self.scores.len() / FAN;
        if !self.all_stale {
            self.stale.push(position / FAN as u32);
        }
    }

    /// All positions in short. This and what follows needs a refreshed tree.
    pub(super) fn all(&self) -> Summary {
        debug_assert!(!self.all_stale && self.stale.is_empty(), "the sums are out of date");
        self.levels.last().map_or(Summary::NONE, |level| level.at(0))
    }

    /// The positions `from .. to` in short.
    pub(super) fn range(&self, from: u32, to: u32) -> Summary {
        let (mut low, mut high) = (from as usize, to as usize);
        let mut sum = Summary::NONE;
        for depth in 0..=self.levels.len() {
            if low >= high {
                break;
            }
            let head = low.next_multiple_of(FAN).min(high);
            let tail = (high - high % FAN).max(head);
            sum = sum.and(self.sum(depth, low, head)).and(self.sum(depth, tail, high));
            (low, high) = (head.div_ceil(FAN), tail / FAN);
        }
        sum
    }

    /// The position of the `count`-th feasible node, counted from 1. Panics if there are fewer.
    pub(super) fn nth_feasible(&self, mut count: u32) -> u32 {
        assert!((1..=self.all().feasible).contains(&count), "there is no feasible node number {count}");
        let mut index = 0;
        for depth in (0..self.levels.len()).rev() {
            index *= FAN;
            loop {
                let here = self.entry(depth, index).feasible;
                if count <= here {
                    break;
                }
                count -= here;
                index += 1;
            }
        }
        index as u32
    }

    /// The position of the `nth` node, counted from 0, of those in `from .. to` with this score, which must be the best
    /// there; `Err` says how many there are if they are fewer.
    pub(super) fn nth_tied(&self, from: u32, to: u32, score: i32, nth: u32) -> Result<u32, u32> {
        let mut left = nth;
        self.descend((self.levels.len(), 0), (from as usize, to as usize), score, &mut left).ok_or(nth - left)
    }

    fn descend(
        &self,
        (depth, index): (usize, usize),
        within: (usize, usize),
        score: i32,
        left: &mut u32,
    ) -> Option<u32> {
        let width = FAN.pow(depth as u32);
        let span = (index * width, (index + 1) * width);
        let entry = self.entry(depth, index);
        if span.0 >= within.1 || span.1 <= within.0 || entry.best < score {
            return None;
        }
        if span.0 >= within.0 && span.1 <= within.1 {
            if entry.best != score {
                return None;
            }
            if entry.ties <= *left {
                *left -= entry.ties;
                return None;
            }
        }
        if depth == 0 {
            return Some(index as u32);
        }
        (index * FAN..(index + 1) * FAN).find_map(|child| self.descend((depth - 1, child), within, score, left))
    }

    /// Entry `index` of the level at `depth`; depth 0 is the scores themselves.
    fn entry(&self, depth: usize, index: usize) -> Summary {
        match depth {
            0 => Summary::of_scores(&self.scores[index..=index]),
            depth => self.levels[depth - 1].at(index),
        }
    }

    /// The sum of entries `from .. to` of the level at `depth`.
    fn sum(&self, depth: usize, from: usize, to: usize) -> Summary {
        match depth {
            0 => Summary::of_scores(&self.scores[from..to]),
            depth => self.levels[depth - 1].sum(from, to),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_tree_says_of_any_stretch_what_going_through_it_says(
            scores in proptest::collection::vec(0..4_i32, 1..3_000),
            changes in proptest::collection::vec((any::<u32>(), 0..4_i32), 0..40),
            ends in (any::<u32>(), any::<u32>()),
            nth in any::<u32>(),
        ) {
            let score = |drawn: i32| if drawn == 0 { INFEASIBLE } else { drawn };
            let mut plain: Vec<i32> = scores.into_iter().map(score).collect();
            let mut tree = ScoreTree::default();
            tree.fill(plain.iter().copied());
            let count = plain.len() as u32;
            for (position, drawn) in changes {
                plain[(position % count) as usize] = score(drawn);
                tree.set(position % count, score(drawn));
                if position % 3 == 0 {
                    tree.refresh();
                }
            }
            tree.refresh();
            let (one, other) = (ends.0 % (count + 1), ends.1 % (count + 1));
            let (from, to) = (one.min(other), one.max(other));
            let stretch = &plain[from as usize..to as usize];
            let sum = Summary::of_scores(stretch);
            prop_assert_eq!(tree.range(from, to), sum);
            prop_assert_eq!(tree.all(), Summary::of_scores(&plain));
            let tied: Vec<u32> = (from..to).filter(|at| plain[*at as usize] == sum.best && sum.ties > 0).collect();
            let place = nth % (sum.ties + 2);
            let found = tied.get(place as usize).copied();
            if sum.ties > 0 {
                prop_assert_eq!(tree.nth_tied(from, to, sum.best, place), found.ok_or(sum.ties));
            }
            let feasible: Vec<u32> = (0..count).filter(|at| plain[*at as usize] != INFEASIBLE).collect();
            if !feasible.is_empty() {
                let place = nth as usize % feasible.len();
                prop_assert_eq!(tree.nth_feasible(place as u32 + 1), feasible[place]);
            }
        }
    }
}
