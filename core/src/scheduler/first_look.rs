//! One pass over all nodes for pods that were never searched for before: nothing is kept, because most pods that are
//! like no other stay so. A board is made for the second pod that is like the first.

use crate::scheduler::appraisal::{Appraiser, Quick, Raw};
use crate::scheduler::reference::{Case, Outcome, Search};
use crate::scheduler::sampling::TieBreak;

/// Finds the best node; `None` if that takes more than one pass, because normalized scores differ or depend on the
/// attempt, or if no node takes the pod, which somebody will ask more about.
pub(super) fn decide(case: Case<'_>, search: Search) -> Option<Outcome> {
    let Case { profile, cache, relations, .. } = case;
    let (pod, order) = (case.pod(), cache.order());
    let appraiser = Appraiser::of(profile, cache, pod);
    if relations.is_some() || !appraiser.uncached.is_empty() {
        return None;
    }
    let (mut best, mut tied) = (i32::MIN, Vec::new());
    let (mut feasible, mut processed, mut raw) = (0, 0, None::<Raw>);
    let (before, after) = order.split_at(search.start as usize);
    for slot in after.iter().chain(before) {
        processed += 1;
        let (fixed, its_raw) = match appraiser.quick(cache.sums(*slot)) {
            Quick::Takes(fixed) => (fixed, Raw::default()),
            Quick::Refuses => continue,
            Quick::Unknown => match appraiser.entry(profile, cache, pod, *slot) {
                entry if entry.refusal.is_none() => (entry.fixed, entry.raw),
                _ => continue,
            },
        };
        if *raw.get_or_insert(its_raw) != its_raw {
            return None;
        }
        feasible += 1;
        if fixed > best {
            best = fixed;
            tied.clear();
        }
        if fixed == best {
            tied.push(*slot);
        }
        if feasible == search.wanted {
            break;
        }
    }
    let slot = match search.tie_break {
        TieBreak::First => tied.iter().copied().min_by_key(|slot| cache.rank(*slot))?,
        TieBreak::Drawn(_) if tied.is_empty() => return None,
        TieBreak::Drawn(draw) => tied[TieBreak::place(draw, tied.len() as u32) as usize],
    };
    Some(Outcome { slot: Some(slot), feasible, processed })
}
