//! DefaultPreemption: which pods of lower priority make room for a pod that no node takes, and where.
//!
//! A pure choice: nothing is removed here. The scheduler process asks the API server for the victims' end
//! ([`super::evictions`]); `sim place` removes them at once. Absent on purpose: extenders and Permit, which the model
//! does not have.
//!
//! Kubernetes looks at nodes with 16 workers; here one does, in order.
//!
//! Source: pkg/scheduler/framework/preemption/preemption.go and
//! pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go (v1.34.1).

use std::collections::BTreeMap;

use crate::config::{PreemptionArgs, Ties};
use crate::draw::{Purpose, below, draw};
use crate::id::{Name, RowId};
use crate::model::Pod;
use crate::scheduler::classes::ClassId;
use crate::scheduler::diagnosis::unavailable;
use crate::scheduler::dry_run::{Candidate, Started, Victim};
use crate::scheduler::placement::{Look, Placement};
use crate::scheduler::plugins::{Plugin, Refusal};

/// For whom a node is sought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seeker<'a> {
    pub(super) row: RowId,
    pub(super) class: ClassId,
    /// The only node that it may go to, if there is one.
    pub(super) pinned_to: Option<&'a Name>,
    /// The node that its status names.
    pub(super) nominated: Option<&'a Name>,
}

impl<'a> Seeker<'a> {
    /// Reads a pod.
    pub(super) fn of(row: RowId, class: ClassId, pod: &'a Pod) -> Seeker<'a> {
        Seeker { row, class, pinned_to: pod.pinned_to(), nominated: pod.status.nominated_node.as_ref() }
    }
}

/// How many nodes are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    /// Until there are as many candidates as the configuration asks for, from a drawn place on.
    Enough,
    /// All.
    All,
}

/// What PostFilter came to.
pub(super) struct PostFilter {
    /// What it adds to the message; `None` if room will be made, or if no plugin is called.
    pub(super) text: Option<String>,
    pub(super) preemption: Preemption,
    /// On how many nodes it was tried what would become of them without some of their pods.
    pub(super) tried: u32,
}

/// What DefaultPreemption came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Preemption {
    /// It was not called, or the pod may not preempt (now): the pod stays nominated where it is. The reason, if it is
    /// one.
    None(Option<&'static str>),
    /// No removal of pods helps: the pod is nominated nowhere.
    Futile(String),
    /// Room can be made.
    Possible(Choice),
}

/// The candidates, and those of them that are equally good and better than all others, by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Choice {
    pub(super) candidates: Vec<Candidate>,
    /// Places in `candidates`.
    pub(super) best: Vec<usize>,
    /// The place in `candidates` of the one that is taken.
    pub(super) chosen: usize,
}

impl Placement {
    /// PostFilter of a pod that no node takes. The cluster must be as it was at the search.
    pub(super) fn post_filter(&mut self, seeker: Seeker<'_>, look: Look, reach: Reach) -> PostFilter {
        let profiles = self.classes.profiles().clone();
        let number = self.classes.profile_number(seeker.class).expect("only pods of some profile are placed");
        let (mut texts, mut preemption, mut tried) = (Vec::new(), Preemption::None(None), 0);
        // DynamicResources misses what its own PreFilter would have left: it comes after the plugins that end PreFilter
        // and has not been called. That is an error, so nobody else is asked.
        let is_cut_short = look.rejection.is_some();
        let mut look = Some(look);
        for plugin in &profiles[number].post_filters {
            match plugin {
                Plugin::DynamicResources if is_cut_short => {
                    return PostFilter { text: Some("not found".to_owned()), preemption, tried };
                }
                Plugin::DynamicResources => texts.push("no new claims to deallocate".to_owned()),
                Plugin::DefaultPreemption => {
                    let Some(look) = look.take() else { continue };
                    (preemption, tried) = self.preempt(seeker, look, reach);
                    match &preemption {
                        Preemption::None(reason) => texts.extend(reason.map(|it| format!("preemption: {it}"))),
                        Preemption::Futile(message) => texts.push(format!("preemption: {message}")),
                        Preemption::Possible(_) => return PostFilter { text: None, preemption, tried },
                    }
                }
                _ => {}
            }
        }
        PostFilter { text: (!texts.is_empty()).then(|| texts.join(", ")), preemption, tried }
    }

    /// What DefaultPreemption comes to, and on how many nodes it was tried.
    fn preempt(&mut self, seeker: Seeker<'_>, look: Look, reach: Reach) -> (Preemption, u32) {
        let spec = &self.classes.traits(seeker.class).spec;
        let priority = spec.priority;
        if spec.rules.as_ref().is_some_and(|rules| rules.never_preempts) {
            return (Preemption::None(Some("not eligible due to preemptionPolicy=Never.")), 0);
        }
        let refusals = match look.rejection {
            Some(_) => vec![Refusal::UNRESOLVABLE_ALONE; self.cache.order().len()],
            None => self.refusals(seeker, &look),
        };
        if self.waits_for_room(seeker, priority, &refusals) {
            return (Preemption::None(Some("not eligible due to a terminating pod on the nominated node.")), 0);
        }
        let order = self.cache.order();
        let resolvable = order.iter().zip(&refusals).filter(|(_, refusal)| !refusal.is_unresolvable());
        let potential: Vec<u32> = resolvable.map(|(slot, _)| *slot).collect();
        let helpless = (order.len() - potential.len()) as u32;
        let mut reasons = BTreeMap::new();
        let (mut candidates, mut tried) = (Vec::new(), 0);
        if self.cache.lowest_priority().is_some_and(|lowest| lowest < priority) {
            (candidates, tried) = self.dry_run(seeker, look, reach, &potential, &mut reasons);
        } else if !potential.is_empty() {
            reasons.insert("No preemption victims found for incoming pod".to_owned(), potential.len() as u32);
        }
        if candidates.is_empty() {
            if helpless > 0 {
                *reasons.entry("Preemption is not helpful for scheduling".to_owned()).or_insert(0) += helpless;
            }
            return (Preemption::Futile(unavailable(self.cache.node_count(), reasons)), tried);
        }
        (Preemption::Possible(self.choose(candidates)), tried)
    }

    /// Whether a pod is ending on the nominated node to make room, so that the pod need only wait.
    ///
    /// Source: `PodEligibleToPreemptOthers`.
    fn waits_for_room(&self, seeker: Seeker<'_>, priority: i32, refusals: &[Refusal]) -> bool {
        let slot = seeker.nominated.and_then(|node| self.cache.slot_of(node));
        let position = slot.and_then(|slot| self.cache.position(slot));
        let (Some(slot), Some(position)) = (slot, position) else { return false };
        !refusals[position as usize].is_unresolvable()
            && self.cache.pods_on(slot).any(|pod| pod.makes_room && self.classes.priority(pod.class) < priority)
    }

    /// Source: `DryRunPreemption`, `GetOffsetAndNumCandidates`.
    fn dry_run(
        &mut self,
        seeker: Seeker<'_>,
        look: Look,
        reach: Reach,
        potential: &[u32],
        reasons: &mut BTreeMap<String, u32>,
    ) -> (Vec<Candidate>, u32) {
        let nodes = potential.len();
        if nodes == 0 {
            return (Vec::new(), 0);
        }
        let profiles = self.classes.profiles().clone();
        let number = self.classes.profile_number(seeker.class).expect("only pods of some profile are placed");
        let profile = &profiles[number];
        let (offset, wanted) = match reach {
            Reach::All => (0, nodes),
            Reach::Enough => {
                let offset = below(draw(self.seed, Purpose::Preemption, self.searches, 0), nodes as u64);
                (offset as usize, candidates_wanted(profile.args.preemption, nodes))
            }
        };
        let mut run = self.in_thought(profile, seeker, look.relations);
        let mut candidates: Vec<Candidate> = Vec::new();
        let (mut harmless, mut tried) = (false, 0);
        for step in 0..nodes {
            tried += 1;
            match run.on_node(potential[(offset + step) % nodes]) {
                Ok(candidate) => {
                    harmless |= candidate.violations == 0;
                    candidates.push(candidate);
                    if reach == Reach::Enough && harmless && candidates.len() >= wanted {
                        break;
                    }
                }
                Err(texts) => texts.into_iter().for_each(|text| *reasons.entry(text).or_insert(0) += 1),
            }
        }
        (candidates, tried)
    }

    /// Source: `pickOneNodeForPreemption`.
    fn choose(&self, candidates: Vec<Candidate>) -> Choice {
        let mut best: Vec<usize> = (0..candidates.len()).collect();
        let least = best.iter().map(|place| cost(&candidates[*place])).min().expect("there is a candidate");
        best.retain(|place| cost(&candidates[*place]) == least);
        best.sort_by_key(|place| self.cache.rank(candidates[*place].slot));
        let chosen = match self.ties {
            Ties::First => best[0],
            Ties::Seeded => {
                best[below(draw(self.seed, Purpose::Preemption, self.searches, 1), best.len() as u64) as usize]
            }
        };
        Choice { candidates, best, chosen }
    }
}

/// What a candidate costs; less is better. Each part counts only where those before it are equal.
fn cost(candidate: &Candidate) -> (u32, i32, i64, usize, std::cmp::Reverse<Started>) {
    let victims = &candidate.victims;
    (
        candidate.violations,
        highest_priority(victims),
        sum_of_priorities(victims),
        victims.len(),
        std::cmp::Reverse(earliest_start(victims)),
    )
}

pub(super) fn highest_priority(victims: &[Victim]) -> i32 {
    victims[0].priority
}

/// The sum of the priorities, each raised by 2³¹ so that many low ones are not better than few.
pub(super) fn sum_of_priorities(victims: &[Victim]) -> i64 {
    victims.iter().map(|victim| i64::from(victim.priority) + (1 << 31)).sum()
}

/// When the first of the victims with the highest priority started.
///
/// Source: `GetEarliestPodStartTime`, pkg/scheduler/util/utils.go (v1.34.1).
fn earliest_start(victims: &[Victim]) -> Started {
    let highest = victims.iter().filter(|victim| victim.priority == highest_priority(victims));
    highest.map(|victim| victim.started).min().expect("there is a victim")
}

/// After how many candidates the search ends, once one of them breaks no budget.
///
/// Source: `calculateNumCandidates`.
fn candidates_wanted(args: PreemptionArgs, nodes: usize) -> usize {
    let share = nodes * args.candidate_percent_min as usize / 100;
    share.max(args.candidates_min as usize).min(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_nodes_is_enough_but_never_less_than_a_hundred_or_more_than_there_are() {
        let wanted = |nodes| candidates_wanted(PreemptionArgs::default(), nodes);
        assert_eq!([1, 99, 100, 150, 1_000, 5_000].map(wanted), [1, 99, 100, 100, 100, 500]);
        let args = PreemptionArgs { candidate_percent_min: 40, candidates_min: 1 };
        assert_eq!([1, 2, 10, 101].map(|nodes| candidates_wanted(args, nodes)), [1, 1, 4, 40]);
    }

    #[test]
    fn victims_cost_by_budgets_then_highest_then_sum_then_number_then_youth() {
        let victim = |priority, started| Victim {
            row: RowId { index: 0, generation: 0 },
            class: ClassId::FIRST,
            priority,
            started: (started, 0),
            devices: None,
        };
        let candidate = |violations, victims: &[(i32, u64)]| {
            let victims = victims.iter().map(|(priority, started)| victim(*priority, *started)).collect();
            cost(&Candidate { slot: 0, victims, violations })
        };
        // Each is better than the next.
        let ordered = [
            candidate(0, &[(-9, 5)]),
            candidate(0, &[(-8, 5), (-20, 1)]),
            candidate(0, &[(7, 40)]),
            candidate(0, &[(7, 30)]),
            candidate(0, &[(7, 30), (i32::MIN, 1)]),
            candidate(0, &[(7, 30), (1, 1)]),
            candidate(0, &[(7, 30), (7, 10)]),
            candidate(0, &[(8, 99)]),
            candidate(1, &[(-100, 99)]),
        ];
        assert!(ordered.is_sorted() && ordered.windows(2).all(|pair| pair[0] < pair[1]), "{ordered:?}");
    }
}
