//! Sets of completion indexes, as intervals: `0-4,7,9,11-13`.
//!
//! Invariant: intervals are in order, do not touch and are not empty, so equal sets are equal values and the size is
//! that of the gaps, not of the set. Source: `orderedIntervals`, pkg/controller/job/indexed_job_utils.go (v1.34.1).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of completion indexes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IndexSet(Vec<(u32, u32)>);

impl IndexSet {
    /// The set of these indexes, which need be in no order.
    pub fn of(indexes: impl IntoIterator<Item = u32>) -> IndexSet {
        let mut indexes: Vec<u32> = indexes.into_iter().collect();
        indexes.sort_unstable();
        IndexSet(joined(indexes.into_iter().map(|index| (index, index))))
    }

    /// Reads the text of a status, as far as it is below `completions`. What is no interval is passed over, as the Job
    /// controller does; refusing it is the API server's business.
    pub fn parse(text: &str, completions: u32) -> IndexSet {
        let number = |text: &str| text.parse::<u32>().ok();
        let mut intervals = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Some(first), Some(last)) = (number(first), number(last)) else { continue };
            if first >= completions {
                break;
            }
            intervals.push((first, last.min(completions - 1)));
        }
        IndexSet(joined(intervals.into_iter().filter(|(first, last)| first <= last)))
    }

    /// The same set without the indexes from `completions` on.
    pub fn below(&self, completions: u32) -> IndexSet {
        let kept = self.0.iter().take_while(|(first, _)| *first < completions);
        IndexSet(kept.map(|(first, last)| (*first, (*last).min(completions - 1))).collect())
    }

    /// How many indexes there are.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an index is in the set; takes the logarithm of the number of intervals.
    pub fn contains(&self, index: u32) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < index);
        self.0.get(at).is_some_and(|(first, _)| *first <= index)
    }

    /// The indexes of both sets.
    pub fn union(&self, other: &IndexSet) -> IndexSet {
        if other.is_empty() {
            return self.clone();
        }
        let mut all: Vec<(u32, u32)> = Vec::with_capacity(self.0.len() + other.0.len());
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let next = match (mine.peek(), theirs.peek()) {
                (Some(one), Some(two)) if one <= two => mine.next(),
                (_, Some(_)) => theirs.next(),
                (_, None) => mine.next(),
            };
            let Some(next) = next else { break };
            all.push(*next);
        }
        IndexSet(joined(all.into_iter()))
    }

    /// How many indexes of both sets are the same.
    pub fn shared_with(&self, other: &IndexSet) -> u32 {
        let (mut at, mut there, mut shared) = (0, 0, 0);
        while let (Some(mine), Some(theirs)) = (self.0.get(at), other.0.get(there)) {
            let (first, last) = (mine.0.max(theirs.0), mine.1.min(theirs.1));
            if first <= last {
                shared += last - first + 1;
            }
            if mine.1 <= theirs.1 {
                at += 1;
            }
            if theirs.1 <= mine.1 {
                there += 1;
            }
        }
        shared
    }

    /// The smallest indexes below `completions` that are not in the set, at most `count`.
    pub fn first_absent(&self, count: usize, completions: u32) -> Vec<u32> {
        let mut absent = Vec::with_capacity(count);
        let mut candidate = 0;
        for (first, last) in self.0.iter().copied().chain([(completions, completions)]) {
            while candidate < first.min(completions) && absent.len() < count {
                absent.push(candidate);
                candidate += 1;
            }
            candidate = candidate.max(last.saturating_add(1));
        }
        absent
    }
}

/// Intervals that are sorted by their beginning, with those that touch made one.
fn joined(intervals: impl Iterator<Item = (u32, u32)>) -> Vec<(u32, u32)> {
    let mut result: Vec<(u32, u32)> = Vec::new();
    for (first, last) in intervals {
        match result.last_mut() {
            Some(before) if u64::from(first) <= u64::from(before.1) + 1 => before.1 = before.1.max(last),
            _ => result.push((first, last)),
        }
    }
    result
}

impl fmt::Display for IndexSet {
    /// As in `status.completedIndexes`: two neighbours are written `3,4`, three and more `3-5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (first, last)) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                1 => write!(f, "{comma}{first},{last}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::draw::{Draws, Purpose, below};

    fn set(text: &str) -> IndexSet {
        IndexSet::parse(text, 1_000)
    }

    #[test]
    fn a_set_is_written_as_the_status_of_a_job_has_it() {
        for (indexes, text) in [
            (vec![], ""),
            (vec![7], "7"),
            (vec![8, 7], "7,8"),
            (vec![2, 0, 1], "0-2"),
            (vec![9, 1, 3, 4, 5, 0, 7], "0,1,3-5,7,9"),
            (vec![3, 3, 3], "3"),
        ] {
            assert_eq!(IndexSet::of(indexes.iter().copied()).to_string(), text);
            assert_eq!(set(text), IndexSet::of(indexes));
        }
    }

    #[test]
    fn reading_stops_at_the_completions_and_passes_over_what_is_no_interval() {
        assert_eq!(IndexSet::parse("0-4,8,12-15", 10).to_string(), "0-4,8");
        assert_eq!(IndexSet::parse("0-4,6-15", 10).to_string(), "0-4,6-9");
        assert_eq!(IndexSet::parse("0,x,2-y,4", 10).to_string(), "0,4");
        assert_eq!(IndexSet::parse("0-2,3-5", 10).to_string(), "0-5", "intervals that touch are one");
        assert_eq!(set("0-4,8").below(4).to_string(), "0-3");
        assert_eq!(set("0-4,8").below(0), IndexSet::default());
    }

    #[test]
    fn the_first_absent_indexes_are_the_gaps_from_below() {
        assert_eq!(set("").first_absent(3, 10), [0, 1, 2]);
        assert_eq!(set("0-2,5").first_absent(10, 8), [3, 4, 6, 7]);
        assert_eq!(set("0-2,5").first_absent(1, 8), [3]);
        assert_eq!(set("0-7").first_absent(5, 8), Vec::<u32>::new());
        assert_eq!(set("0-9").first_absent(5, 8), Vec::<u32>::new(), "a set may reach beyond the completions");
    }

    #[test]
    fn intervals_do_what_plain_sets_do() {
        let mut draws = Draws::starting_at(3, Purpose::NameSuffix, 0, 0);
        let any = |draws: &mut Draws| -> BTreeSet<u32> {
            let count = below(draws.next().expect("draws do not end"), 12);
            (0..count).map(|_| below(draws.next().expect("draws do not end"), 20) as u32).collect()
        };
        for round in 0..2_000 {
            let (one, two) = (any(&mut draws), any(&mut draws));
            let (a, b) = (IndexSet::of(one.iter().copied()), IndexSet::of(two.iter().copied()));
            assert_eq!(a.union(&b), IndexSet::of(one.union(&two).copied()), "round {round}");
            assert_eq!(a.shared_with(&b) as usize, one.intersection(&two).count(), "round {round}: {a} and {b}");
            assert_eq!(a.len() as usize, one.len());
            assert!((0..20).all(|index| a.contains(index) == one.contains(&index)));
            let absent: Vec<u32> = (0..20).filter(|index| !one.contains(index)).take(5).collect();
            assert_eq!(a.first_absent(5, 20), absent);
            assert_eq!(IndexSet::parse(&a.to_string(), 20), a);
        }
    }
}
