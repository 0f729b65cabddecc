//! What a class's pods would get of each node: filter results and scores, kept up to date node by node.
//!
//! Between two binds one node changes, so one entry per class is computed again instead of all. The plugins' own
//! functions compute the entries; what this adds is only when. [`super::reference`] gives the same outcome by looking
//! at every node, and a property test holds the two together.
//!
//! Invariant: after [`Board::sync`] every entry is what the plugins say of the node as it is in the cache. Normalized
//! scores depend on the best of all nodes looked at: while all feasible nodes have the same raw scores there (no
//! PreferNoSchedule taints, no preferred terms: the usual case) they add the same to every node and the tree decides;
//! otherwise the cached raw scores of the nodes looked at are gone through. Policies that depend on the attempt are not
//! cached: they are asked as the plain search asks them.

use std::collections::BTreeMap;

use crate::scheduler::appraisal::{Appraiser, Entry, NORMALIZED_MAX, Quick, Raw};
use crate::scheduler::cache::Cache;
use crate::scheduler::plugins::{Range, Refusal};
use crate::scheduler::profile::Profile;
use crate::scheduler::reference::{Case, Outcome, Search, best, best_place, normalized};
use crate::scheduler::sampling::TieBreak;
use crate::scheduler::score_tree::{INFEASIBLE, ScoreTree};
use crate::scheduler::stretch::Stretch;
use crate::scheduler::traits::PodTraits;

/// Cached results of one class, by position in the order.
#[derive(Default)]
pub(super) struct Board {
    layout: u64,
    changes: u64,
    /// The fixed scores of feasible nodes.
    tree: ScoreTree,
    /// [`Refusal::NONE`] for feasible nodes.
    refusals: Vec<Refusal>,
    /// Empty while those of every feasible node are 0.
    raws: Vec<Raw>,
    /// How many feasible nodes have which raw scores; empty while `raws` is.
    kinds: BTreeMap<Raw, u32>,
    appraiser: Appraiser,
}

/// What a search measures raw scores against.
enum Scales {
    /// All are 0, and add the same to every node.
    Same(i64),
    /// Each plugin's range.
    Ranges([Range; NORMALIZED_MAX]),
}

impl Board {
    /// Brings every entry up to date, for a search among nodes where other pods matter or not.
    pub(super) fn sync(&mut self, profile: &Profile, cache: &Cache, pod: &PodTraits, has_relations: bool) {
        let touched = if self.layout == cache.layout() { cache.touched_since(self.changes) } else { None };
        self.changes = cache.changes();
        match touched {
            Some(slots) if slots.len() <= self.refusals.len() => {
                for slot in slots {
                    if let Some(position) = cache.position(*slot) {
                        self.update(profile, cache, pod, (position, *slot));
                    }
                }
            }
            _ => self.rebuild(profile, cache, pod),
        }
        if self.goes_by_sums(has_relations) {
            self.tree.refresh();
        }
    }

    /// Why the node at a position cannot take the class's pods.
    pub(super) fn refusal(&self, position: u32) -> Refusal {
        self.refusals[position as usize]
    }

    /// Whether a search goes by the sums of many nodes' scores, which are worth keeping up to date only then.
    fn goes_by_sums(&self, has_relations: bool) -> bool {
        !has_relations && self.appraiser.uncached.is_empty()
    }

    /// Finds the best node. [`Board::sync`] must have been called since the last change.
    pub(super) fn decide(&self, case: Case<'_>, search: Search) -> Outcome {
        if !self.goes_by_sums(case.relations.is_some()) {
            return self.decide_related(case, search);
        }
        let cache = case.cache;
        let nodes = self.refusals.len() as u32;
        let all = self.tree.all().feasible;
        let (feasible, processed) = if all < search.wanted {
            (all, nodes)
        } else {
            let before = self.tree.range(0, search.start).feasible;
            let passed = all - before;
            let end = if passed >= search.wanted {
                self.tree.nth_feasible(before + search.wanted) + 1
            } else {
                self.tree.nth_feasible(search.wanted - passed) + 1 + nodes
            };
            (search.wanted, end - search.start)
        };
        if feasible == 0 {
            return Outcome { slot: None, feasible, processed };
        }
        let end = search.start + processed;
        let stretches = [(search.start, end.min(nodes)), (0, end.saturating_sub(nodes))];
        let slot = if self.kinds.len() <= 1 {
            self.best_of_tree(cache, stretches, search.tie_break)
        } else {
            self.best_of_entries(cache, stretches, search.tie_break)
        };
        Outcome { slot: Some(slot), feasible, processed }
    }

    /// Goes through the entries, because what other nodes' pods mean changes with every bind, and so does what a policy
    /// says that is asked in every attempt.
    fn decide_related(&self, case: Case<'_>, search: Search) -> Outcome {
        if let Some(outcome) = self.decide_open(case, search) {
            return outcome;
        }
        let (positions, slots, processed) = self.feasible(case, search);
        let totals = self.totals(case, (&positions, &slots), search.draw);
        let slot = best(case.cache, &slots, &totals, search.tie_break);
        Outcome { slot, feasible: slots.len() as u32, processed }
    }

    /// The same for the usual case, in few steps for each node: what other nodes' pods mean refuses no node and is told
    /// by kinds of nodes. `None` if it is another case.
    fn decide_open(&self, case: Case<'_>, search: Search) -> Option<Outcome> {
        if !self.raws.is_empty() || !self.appraiser.uncached.is_empty() {
            return None;
        }
        let (cache, scores) = (case.cache, self.tree.scores());
        let (stretch, feasible) = self.next_feasible(search, cache.order().len());
        let is_feasible = |place| scores[stretch.position(place)] != INFEASIBLE;
        let bonuses = case.relations?.bonuses(cache, case.classes, &stretch, (feasible, is_feasible))?;
        // What is the same for every node makes no difference. A feasible node's total is 0 at least and less than
        // 2^31, so that every other node's stays below 0.
        let mut totals = stretch.of(scores);
        for (total, kind) in totals.iter_mut().zip(&bonuses.kinds) {
            *total = total.wrapping_add(bonuses.of_kinds[*kind as usize]);
        }
        let slot_at = |place: usize| cache.order()[stretch.position(place)];
        let best = best_place(&totals, search.tie_break, |place| cache.rank(slot_at(place)));
        let slot = best.filter(|place| is_feasible(*place)).map(slot_at);
        Some(Outcome { slot, feasible: feasible as u32, processed: stretch.len() as u32 })
    }

    /// The nodes that are looked at until as many of them take the pods for their own sake as are wanted, and how many
    /// do.
    fn next_feasible(&self, search: Search, nodes: usize) -> (Stretch, usize) {
        let (start, wanted) = (search.start as usize, (search.wanted as usize).min(nodes));
        // Most clusters have room.
        if self.tree.all_feasible() {
            return (Stretch::new(start, wanted, nodes), wanted);
        }
        let (before, after) = self.tree.scores()[..nodes].split_at(start);
        let (mut feasible, mut processed) = (0, 0);
        for score in after.iter().chain(before) {
            if feasible == wanted {
                break;
            }
            processed += 1;
            feasible += usize::from(*score != INFEASIBLE);
        }
        (Stretch::new(start, processed, nodes), feasible)
    }

    /// Positions and slots of the feasible nodes in the order in which they are found, and how many nodes were looked
    /// at.
    fn feasible(&self, case: Case<'_>, search: Search) -> (Vec<u32>, Vec<u32>, u32) {
        let (order, sieve, scores) = (case.cache.order(), case.sieve(), self.tree.scores());
        let (start, nodes) = (search.start as usize, order.len());
        let wanted = (search.wanted as usize).min(nodes);
        // Most clusters have room: the next nodes all take the pod.
        if sieve.is_open() && self.tree.all_feasible() {
            let stretch = Stretch::new(start, wanted, nodes);
            let positions = (0..wanted).map(|place| stretch.position(place) as u32).collect();
            return (positions, stretch.of(order), wanted as u32);
        }
        let (mut positions, mut slots) = (Vec::with_capacity(wanted), Vec::with_capacity(wanted));
        let mut processed = 0;
        'search: for stretch in [start..nodes, 0..start] {
            let pairs = scores[stretch.clone()].iter().zip(&order[stretch.clone()]);
            for ((score, slot), position) in pairs.zip(stretch) {
                if positions.len() == wanted {
                    break 'search;
                }
                processed += 1;
                if *score != INFEASIBLE && sieve.admits(*slot) {
                    positions.push(position as u32);
                    slots.push(*slot);
                }
            }
        }
        (positions, slots, processed)
    }

    /// The scores of the feasible nodes at these positions and in these slots, in the order in which they were found,
    /// with what other nodes' pods and the policies add that are asked in every attempt; `draw` is the search's.
    pub(super) fn totals(&self, case: Case<'_>, (positions, slots): (&[u32], &[u32]), draw: u64) -> Vec<i64> {
        let scales = self.scales(positions.iter().copied());
        let mut totals: Vec<i64> = match &scales {
            Scales::Same(sum) => positions.iter().map(|position| self.fixed_score(*position) + sum).collect(),
            Scales::Ranges(_) => positions.iter().map(|position| self.total(*position, &scales)).collect(),
        };
        case.add_related(slots, &mut totals);
        for enabled in &self.appraiser.uncached {
            let scores = normalized(case, slots, enabled.plugin, draw);
            for (total, score) in totals.iter_mut().zip(scores) {
                assert!((0..=100).contains(&score), "{} scores {score}", case.profile.name_of(enabled.plugin));
                *total += enabled.weight * score;
            }
        }
        totals
    }

    fn best_of_tree(&self, cache: &Cache, [head, tail]: [(u32, u32); 2], tie_break: TieBreak) -> u32 {
        let sum = self.tree.range(head.0, head.1).and(self.tree.range(tail.0, tail.1));
        let nth = |place: u32| match self.tree.nth_tied(head.0, head.1, sum.best, place) {
            Ok(position) => position,
            Err(passed) => {
                let found = self.tree.nth_tied(tail.0, tail.1, sum.best, place - passed);
                found.expect("the ties are in the two stretches")
            }
        };
        match tie_break {
            TieBreak::First => {
                let stretches = [head, tail].into_iter().flat_map(|(from, to)| from..to);
                let tied = stretches.filter(|position| self.tree.score(*position) == sum.best);
                let ranks = tied.map(|position| cache.rank(cache.order()[position as usize]));
                cache.slot_of_rank(ranks.min().expect("some feasible node is the best"))
            }
            TieBreak::Drawn(draw) => cache.order()[nth(TieBreak::place(draw, sum.ties)) as usize],
        }
    }

    fn best_of_entries(&self, cache: &Cache, stretches: [(u32, u32); 2], tie_break: TieBreak) -> u32 {
        let feasible = || {
            let positions = stretches.iter().flat_map(|(from, to)| *from..*to);
            positions.filter(|position| self.tree.score(*position) != INFEASIBLE)
        };
        let scales = self.scales(feasible());
        let (mut best, mut tied) = (i64::MIN, Vec::new());
        for position in feasible() {
            let total = self.total(position, &scales);
            if total > best {
                best = total;
                tied.clear();
            }
            if total == best {
                tied.push(cache.order()[position as usize]);
            }
        }
        match tie_break {
            TieBreak::First => {
                tied.into_iter().min_by_key(|slot| cache.rank(*slot)).expect("some feasible node is the best")
            }
            TieBreak::Drawn(draw) => tied[TieBreak::place(draw, tied.len() as u32) as usize],
        }
    }

    /// What raw scores are measured against: those at these positions.
    fn scales(&self, positions: impl Iterator<Item = u32>) -> Scales {
        if self.raws.is_empty() {
            let ranges = [Range { lowest: 0, highest: 0 }; NORMALIZED_MAX];
            return Scales::Same(self.normalized(Raw::default(), &ranges));
        }
        let mut ranges = [Range::EMPTY; NORMALIZED_MAX];
        for position in positions {
            for (range, raw) in ranges.iter_mut().zip(self.raws[position as usize]) {
                *range = range.with(i64::from(raw));
            }
        }
        Scales::Ranges(ranges)
    }

    /// A feasible node's score with the normalized parts.
    fn total(&self, position: u32, scales: &Scales) -> i64 {
        let normalized = match scales {
            Scales::Same(sum) => *sum,
            Scales::Ranges(ranges) => self.normalized(self.raws[position as usize], ranges),
        };
        self.fixed_score(position) + normalized
    }

    fn fixed_score(&self, position: u32) -> i64 {
        i64::from(self.tree.score(position))
    }

    fn normalized(&self, raw: Raw, ranges: &[Range; NORMALIZED_MAX]) -> i64 {
        let normalized = self.appraiser.normalized.iter().zip(raw.iter().zip(ranges));
        let scores = normalized.map(|((enabled, normalization), (raw, range))| {
            enabled.weight * normalization.apply(i64::from(*raw), *range)
        });
        scores.sum()
    }

    fn rebuild(&mut self, profile: &Profile, cache: &Cache, pod: &PodTraits) {
        self.layout = cache.layout();
        self.appraiser = Appraiser::of(profile, cache, pod);
        self.refusals.clear();
        self.raws.clear();
        self.kinds.clear();
        let entries = cache.order().iter().map(|slot| self.appraiser.entry(profile, cache, pod, *slot));
        let (mut odd, mut scores) = (Vec::new(), Vec::with_capacity(cache.order().len()));
        for (position, entry) in entries.enumerate() {
            self.refusals.push(entry.refusal);
            scores.push(fixed(&entry));
            if entry.raw != Raw::default() {
                odd.push((position as u32, entry.raw));
            }
        }
        self.tree.fill(scores.into_iter());
        for (position, raw) in odd {
            self.change_raw(position, true, &Entry { raw, ..Entry::default() });
        }
    }

    fn update(&mut self, profile: &Profile, cache: &Cache, pod: &PodTraits, (position, slot): (u32, u32)) {
        let was_feasible = self.tree.score(position) != INFEASIBLE;
        // Most changes leave a node that takes the pods with room for them.
        if was_feasible
            && self.raws.is_empty()
            && let Quick::Takes(fixed) = self.appraiser.quick(cache.sums(slot))
        {
            return self.tree.set(position, fixed);
        }
        let new = self.appraiser.entry(profile, cache, pod, slot);
        if !was_feasible || !new.refusal.is_none() {
            self.refusals[position as usize] = new.refusal;
        }
        if !self.raws.is_empty() || new.raw != Raw::default() {
            self.change_raw(position, was_feasible, &new);
        }
        self.tree.set(position, fixed(&new));
    }

    /// A node's raw scores change, or whether they count. The tree has not been changed yet.
    fn change_raw(&mut self, position: u32, was_feasible: bool, new: &Entry) {
        self.ready_raws();
        if was_feasible {
            let old = self.raws[position as usize];
            let alike = self.kinds.get_mut(&old).expect("a feasible node's raw scores are counted");
            *alike -= 1;
            if *alike == 0 {
                self.kinds.remove(&old);
            }
        }
        self.raws[position as usize] = new.raw;
        if new.refusal.is_none() {
            *self.kinds.entry(new.raw).or_insert(0) += 1;
        }
    }

    /// Makes room for raw scores that are not 0.
    fn ready_raws(&mut self) {
        if self.raws.is_empty() {
            self.raws = vec![Raw::default(); self.refusals.len()];
            self.kinds.clear();
            self.tree.refresh();
            match self.tree.all().feasible {
                0 => {}
                feasible => drop(self.kinds.insert(Raw::default(), feasible)),
            }
        }
    }
}

/// The node's leaf of the tree.
fn fixed(entry: &Entry) -> i32 {
    if entry.refusal.is_none() { entry.fixed } else { INFEASIBLE }
}
