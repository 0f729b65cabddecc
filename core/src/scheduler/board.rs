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

use crate::scheduler::cache::Cache;
use crate::scheduler::plugins::{AnyPlugin, Normalization, Plugin, Range, Refusal};
use crate::scheduler::policies::Cycle;
use crate::scheduler::profile::{Enabled, Profile};
use crate::scheduler::reference::{Case, Outcome, Search, best, normalized};
use crate::scheduler::relations::Relations;
use crate::scheduler::sampling::TieBreak;
use crate::scheduler::score_tree::{ScoreTree, Summary};
use crate::scheduler::traits::PodTraits;

/// How many plugins of a profile may normalize their scores; of Kubernetes' own, two do.
const NORMALIZED_MAX: usize = 4;

/// Raw scores of the plugins that normalize, in the profile's order; 0 where a plugin does not score the pod.
type Raw = [i32; NORMALIZED_MAX];

/// One node as the class's pods see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Entry {
    refusal: Refusal,
    /// The weighted sum of the scores that need no normalization.
    fixed: i32,
    raw: Raw,
}

/// Cached results of one class, by position in the order.
#[derive(Default)]
pub(super) struct Board {
    layout: u64,
    changes: u64,
    entries: Vec<Entry>,
    /// How many feasible nodes have which raw scores.
    kinds: BTreeMap<Raw, u32>,
    tree: ScoreTree,
    scorers: Scorers,
}

/// The plugins that score the class's pods.
#[derive(Default)]
struct Scorers {
    plain: Vec<Enabled>,
    normalized: Vec<(Enabled, Normalization)>,
    /// Those that are asked in every attempt.
    uncached: Vec<Enabled>,
}

impl Board {
    /// Brings every entry up to date.
    pub(super) fn sync(&mut self, profile: &Profile, cache: &Cache, pod: &PodTraits) {
        let touched = if self.layout == cache.layout() { cache.touched_since(self.changes) } else { None };
        self.changes = cache.changes();
        match touched {
            Some(slots) if slots.len() <= self.entries.len() => {
                for position in slots.iter().filter_map(|slot| cache.position(*slot)) {
                    self.update(profile, cache, pod, position);
                }
            }
            _ => self.rebuild(profile, cache, pod),
        }
    }

    /// Why the node at a position cannot take the class's pods.
    pub(super) fn refusal(&self, position: u32) -> Refusal {
        self.entries[position as usize].refusal
    }

    /// Finds the best node. [`Board::sync`] must have been called since the last change.
    pub(super) fn decide(&self, case: Case<'_>, search: Search) -> Outcome {
        if case.relations.is_some() || !self.scorers.uncached.is_empty() {
            return self.decide_related(case, search);
        }
        let cache = case.cache;
        let nodes = self.entries.len() as u32;
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
        let nodes = self.entries.len() as u32;
        let order = case.cache.order();
        let wanted = search.wanted as usize;
        let (mut positions, mut feasible) = (Vec::with_capacity(wanted), Vec::with_capacity(wanted));
        let mut processed = 0;
        let admits_all = case.relations.is_none_or(Relations::admits_all);
        for position in (search.start..nodes).chain(0..search.start) {
            processed += 1;
            let slot = order[position as usize];
            if self.refusal(position).is_none() && (admits_all || case.is_admitted(slot)) {
                positions.push(position);
                feasible.push(slot);
            }
            if feasible.len() == wanted {
                break;
            }
        }
        let slot = best(case.cache, &feasible, &self.totals(case, &positions, search.draw), search.tie_break);
        Outcome { slot, feasible: feasible.len() as u32, processed }
    }

    /// The scores of the feasible nodes at these positions, in the order in which they were found, with what other nodes'
    /// pods and the policies add that are asked in every attempt; `draw` is the search's.
    pub(super) fn totals(&self, case: Case<'_>, positions: &[u32], draw: u64) -> Vec<i64> {
        let order = case.cache.order();
        let slots: Vec<u32> = positions.iter().map(|position| order[*position as usize]).collect();
        let entries = || positions.iter().map(|position| &self.entries[*position as usize]);
        let mut totals = case.related_totals(&slots);
        let mut add = |of: &dyn Fn(&Entry) -> i64| {
            for (total, entry) in totals.iter_mut().zip(entries()) {
                *total += of(entry);
            }
        };
        if self.kinds.len() <= 1 {
            // Normalization gives every node the same.
            let same = entries().next().map_or(0, |first| {
                self.total(first, &ranges_with([Range::EMPTY; NORMALIZED_MAX], first)) - i64::from(first.fixed)
            });
            add(&|entry| i64::from(entry.fixed) + same);
        } else {
            let ranges = entries().fold([Range::EMPTY; NORMALIZED_MAX], ranges_with);
            add(&|entry| self.total(entry, &ranges));
        }
        for enabled in &self.scorers.uncached {
            let scores = normalized(case, &slots, enabled.plugin, draw);
            for (total, score) in totals.iter_mut().zip(scores) {
                assert!((0..=100).contains(&score), "{} scores {score}", case.profile.name_of(enabled.plugin));
                *total += enabled.weight * score;
            }
        }
        totals
    }

    fn best_of_tree(&self, cache: &Cache, [head, tail]: [(u32, u32); 2], tie_break: TieBreak) -> u32 {
        let sum = self.tree.range(head.0, head.1).and(self.tree.range(tail.0, tail.1));
        match tie_break {
            TieBreak::First => cache.slot_of_rank(sum.first),
            TieBreak::Drawn(draw) => {
                let place = TieBreak::place(draw, sum.ties);
                let found = match self.tree.nth_tied(head.0, head.1, sum.best, place) {
                    Ok(position) => position,
                    Err(passed) => {
                        let found = self.tree.nth_tied(tail.0, tail.1, sum.best, place - passed);
                        found.expect("the ties are in the two stretches")
                    }
                };
                cache.order()[found as usize]
            }
        }
    }

    fn best_of_entries(&self, cache: &Cache, stretches: [(u32, u32); 2], tie_break: TieBreak) -> u32 {
        let feasible = || {
            let positions = stretches.iter().flat_map(|(from, to)| *from..*to);
            let entries = positions.map(|position| (position, &self.entries[position as usize]));
            entries.filter(|(_, entry)| entry.refusal.is_none())
        };
        let ranges = feasible().map(|(_, entry)| entry).fold([Range::EMPTY; NORMALIZED_MAX], ranges_with);
        let (mut best, mut tied) = (i64::MIN, Vec::new());
        for (position, entry) in feasible() {
            let total = self.total(entry, &ranges);
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

    fn total(&self, entry: &Entry, ranges: &[Range; NORMALIZED_MAX]) -> i64 {
        let normalized = self.scorers.normalized.iter().zip(entry.raw.iter().zip(ranges));
        let scores = normalized.map(|((enabled, normalization), (raw, range))| {
            enabled.weight * normalization.apply(i64::from(*raw), *range)
        });
        i64::from(entry.fixed) + scores.sum::<i64>()
    }

    fn rebuild(&mut self, profile: &Profile, cache: &Cache, pod: &PodTraits) {
        self.layout = cache.layout();
        let with_normalization = |enabled: Enabled| (enabled, profile.normalization(enabled.plugin));
        // Where no node has images all score 0; the first image changes the layout.
        let useful =
            |enabled: &Enabled| enabled.plugin != AnyPlugin::InTree(Plugin::ImageLocality) || cache.has_images();
        let scorers = profile.scorers(pod).filter(useful);
        let (cached, uncached): (Vec<_>, _) = scorers.partition(|enabled| profile.is_cacheable(enabled.plugin));
        let (plain, normalized): (Vec<_>, _) = cached
            .into_iter()
            .map(with_normalization)
            .partition(|(_, normalization)| *normalization == Normalization::None);
        let plain = plain.into_iter().map(|(enabled, _)| enabled).collect();
        self.scorers = Scorers { plain, normalized, uncached };
        assert!(self.scorers.normalized.len() <= NORMALIZED_MAX, "more plugins normalize than there is room for");
        self.entries.clear();
        self.kinds.clear();
        for slot in cache.order() {
            let entry = self.scorers.entry(profile, cache, pod, *slot);
            if entry.refusal.is_none() {
                *self.kinds.entry(entry.raw).or_insert(0) += 1;
            }
            self.entries.push(entry);
        }
        let leaves = self.entries.iter().zip(cache.order()).map(|(entry, slot)| leaf(entry, cache.rank(*slot)));
        self.tree.fill(leaves);
    }

    fn update(&mut self, profile: &Profile, cache: &Cache, pod: &PodTraits, position: u32) {
        let slot = cache.order()[position as usize];
        let new = self.scorers.entry(profile, cache, pod, slot);
        let old = std::mem::replace(&mut self.entries[position as usize], new);
        if old == new {
            return;
        }
        if (old.refusal.is_none(), old.raw) != (new.refusal.is_none(), new.raw) {
            if old.refusal.is_none() {
                let alike = self.kinds.get_mut(&old.raw).expect("a feasible node's raw scores are counted");
                *alike -= 1;
                if *alike == 0 {
                    self.kinds.remove(&old.raw);
                }
            }
            if new.refusal.is_none() {
                *self.kinds.entry(new.raw).or_insert(0) += 1;
            }
        }
        self.tree.set(position, leaf(&new, cache.rank(slot)));
    }
}

impl Scorers {
    fn entry(&self, profile: &Profile, cache: &Cache, pod: &PodTraits, slot: u32) -> Entry {
        let node = cache.slot(slot);
        let refusal = profile.filter(pod, node);
        if !refusal.is_none() {
            return Entry { refusal, ..Entry::default() };
        }
        let score = |enabled: &Enabled| profile.score(enabled.plugin, Cycle::default(), pod, node);
        let plain = self.plain.iter().map(|enabled| enabled.weight * score(enabled));
        let fixed = narrow(plain.sum());
        let mut raw = [0; NORMALIZED_MAX];
        for (raw, (enabled, _)) in raw.iter_mut().zip(&self.normalized) {
            *raw = narrow(score(enabled));
        }
        Entry { refusal, fixed, raw }
    }
}

/// The ranges of raw scores with one more node.
fn ranges_with(mut ranges: [Range; NORMALIZED_MAX], entry: &Entry) -> [Range; NORMALIZED_MAX] {
    for (range, raw) in ranges.iter_mut().zip(entry.raw) {
        *range = range.with(i64::from(raw));
    }
    ranges
}

fn leaf(entry: &Entry, rank: u32) -> Summary {
    if entry.refusal.is_none() { Summary::of(entry.fixed, rank) } else { Summary::NONE }
}

fn narrow(score: i64) -> i32 {
    i32::try_from(score).expect("scores are small")
}
