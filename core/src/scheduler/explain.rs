//! Why a pod goes where it goes: the search of one pod told in as much detail as is wanted.
//!
//! What is told comes from the search that places the pod; details are read afterwards from the same cached results.

use crate::id::{Name, RowId};
use crate::model::Pod;
use crate::scheduler::cache::Standing;
use crate::scheduler::classes::ClassId;
use crate::scheduler::dry_run::Candidate;
use crate::scheduler::placement::{Look, NO_NODES, Placement};
use crate::scheduler::preemption::{PostFilter, Preemption, Reach, Seeker, highest_priority, sum_of_priorities};
use crate::scheduler::reference::normalized;
use crate::scheduler::relations::Relations;
use crate::scheduler::traits::Identity;

/// How much is told of a search.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Detail {
    /// Where the pod goes, or the message.
    Place,
    /// Also the best score and all nodes that have it.
    Top,
    /// Also why each node was refused, for a pod that no node takes.
    Refusals,
    /// Also every plugin's score of each feasible node, and why each other node was refused, for every pod.
    Nodes,
}

/// What a search came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explained {
    /// The node; or the message of the filters, without what PostFilter adds.
    pub node: Result<Name, String>,
    /// The names of the plugins and policies that refused some node, sorted; empty if some node takes the pod.
    pub refused_by: Vec<&'static str>,
    /// How many nodes take the pod, of those looked at.
    pub feasible: u32,
    /// How many nodes were looked at.
    pub checked: u32,
    /// The best total score; `None` where scoring was unnecessary, or is not told.
    pub top_score: Option<i64>,
    /// The nodes that have it, by name; the one feasible node if there was no scoring.
    pub top: Vec<Name>,
    /// What the plugins say of the nodes looked at, by name.
    pub nodes: Vec<NodeVerdict>,
}

/// What preemption came to for a pod that no node took at first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Preempted {
    /// The message of the first attempt: what the filters say.
    pub first_attempt: String,
    /// What PostFilter adds to it; `None` if room was made or no plugin is called.
    pub added: Option<String>,
    /// What preemption itself says; `None` if room was made or it is not called.
    pub message: Option<String>,
    /// The nodes where room could be made, in the order in which they are looked at.
    pub candidates: Vec<CandidateNode>,
    /// The place in `candidates` of the node where room was made.
    pub chosen: Option<usize>,
}

/// A node where room could be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CandidateNode {
    /// The node.
    pub node: Name,
    /// The pods that would go, from most to least important.
    pub victims: Vec<RowId>,
    /// How many of them a disruption budget would keep.
    pub violations: u32,
    /// The highest priority of a victim.
    pub highest_priority: i32,
    /// The sum of the victims' priorities, each raised by 2³¹.
    pub sum_of_priorities: i64,
    /// Whether no other candidate is better.
    pub best: bool,
}

/// What the plugins say of one node for one pod.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeVerdict {
    /// The node.
    pub node: Name,
    /// The first plugin, or policy, that refuses it; `None` if it takes the pod.
    pub refused_by: Option<&'static str>,
    /// That plugin's reasons, as people read them.
    pub reasons: Vec<String>,
    /// Whether the removal of pods could lift the refusal.
    pub resolvable: bool,
    /// Normalized and weighted scores by name, of the plugins and policies that score the pod.
    pub scores: Vec<(&'static str, i64)>,
}

impl NodeVerdict {
    /// The node's total score.
    pub fn total(&self) -> i64 {
        self.scores.iter().map(|(_, score)| score).sum()
    }
}

impl Placement {
    /// Chooses a node for a new pod, counts the pod there and tells why.
    ///
    /// Panics if the row has a pod already, or if no profile places the pod.
    pub fn place_explained(&mut self, row: RowId, pod: &Pod, detail: Detail) -> Explained {
        self.place_told(row, pod, detail).0
    }

    /// The same; if no node takes the pod, every node is looked at for pods of lower priority that could make room,
    /// those of the best candidate are removed at once, and the pod is tried again, there first. The nodes looked at
    /// are those of the first attempt.
    ///
    /// Panics as [`Placement::place_explained`] does.
    pub fn place_preempting(&mut self, row: RowId, pod: &Pod, detail: Detail) -> (Explained, Option<Preempted>) {
        // What the search has found lasts as long as its class.
        let class = self.classes.of(&pod.spec, &Identity::of(pod));
        self.classes.hold(class);
        let (explained, look) = self.place_told(row, pod, detail);
        let first_attempt = explained.node.as_ref().err().cloned();
        let done = first_attempt.zip(look).map(|(first_attempt, look)| {
            (first_attempt, self.post_filter(Seeker::of(row, class, pod), look, Reach::All))
        });
        self.classes.release(class);
        let Some((first_attempt, PostFilter { text: added, preemption, .. })) = done else { return (explained, None) };
        let mut told = Preempted { first_attempt, added, message: None, candidates: Vec::new(), chosen: None };
        match preemption {
            Preemption::None(reason) => told.message = reason.map(str::to_owned),
            Preemption::Futile(message) => told.message = Some(message),
            Preemption::Possible(choice) => {
                told.candidates = choice.candidates.iter().map(|candidate| self.told_of(candidate)).collect();
                choice.best.iter().for_each(|place| told.candidates[*place].best = true);
                told.chosen = Some(choice.chosen);
                for victim in &choice.candidates[choice.chosen].victims {
                    self.remove_pod(victim.row);
                }
                let mut nominated = pod.clone();
                nominated.status.nominated_node = Some(told.candidates[choice.chosen].node.clone());
                let again = self.place_explained(row, &nominated, detail);
                return (Explained { checked: explained.checked, ..again }, Some(told));
            }
        }
        (explained, Some(told))
    }

    fn told_of(&self, candidate: &Candidate) -> CandidateNode {
        CandidateNode {
            node: self.cache.slot(candidate.slot).name.clone(),
            victims: candidate.victims.iter().map(|victim| victim.row).collect(),
            violations: candidate.violations,
            highest_priority: highest_priority(&candidate.victims),
            sum_of_priorities: sum_of_priorities(&candidate.victims),
            best: false,
        }
    }

    /// Places a pod and tells why, with the search if no node took it.
    fn place_told(&mut self, row: RowId, pod: &Pod, detail: Detail) -> (Explained, Option<Look>) {
        let class = self.classes.of(&pod.spec, &Identity::of(pod));
        self.classes.hold(class);
        // What is told is read from the board, so there must be one.
        self.classes.note_search(class);
        let mut look = self.look(Seeker::of(row, class, pod));
        let explained = match &look {
            None => Explained {
                node: Err(NO_NODES.to_string()),
                refused_by: Vec::new(),
                feasible: 0,
                checked: 0,
                top_score: None,
                top: Vec::new(),
                nodes: Vec::new(),
            },
            Some(look) => self.tell(Seeker::of(row, class, pod), look, detail),
        };
        if let Ok(node) = &explained.node {
            let slot = self.cache.slot_of(node).expect("the chosen node is there");
            self.assume(row, slot, class, Standing::of(pod));
            look = None;
        }
        self.classes.release(class);
        (explained, look)
    }

    fn tell(&self, seeker: Seeker<'_>, look: &Look, detail: Detail) -> Explained {
        let class = seeker.class;
        let outcome = look.outcome;
        let mut explained = Explained {
            node: Err(String::new()),
            refused_by: Vec::new(),
            feasible: outcome.feasible,
            checked: look.checked,
            top_score: None,
            top: Vec::new(),
            nodes: Vec::new(),
        };
        match outcome.slot {
            Some(slot) => explained.node = Ok(self.cache.slot(slot).name.clone()),
            None => {
                let diagnosis = self.diagnose(seeker, look);
                let profile = self.classes.profile(class);
                explained.refused_by = diagnosis.plugins.iter().map(|plugin| profile.name_of(*plugin)).collect();
                explained.refused_by.sort_unstable();
                explained.node = Err(diagnosis.reasons);
            }
        }
        if detail >= Detail::Top
            && let Ok(node) = &explained.node
        {
            (explained.top_score, explained.top) = match seeker.pinned_to {
                Some(_) => (None, vec![node.clone()]),
                None => self.top(class, look),
            };
        }
        if detail == Detail::Nodes || (detail == Detail::Refusals && outcome.slot.is_none()) {
            explained.nodes = self.verdicts(class, look);
        }
        explained
    }

    /// The positions of the nodes looked at, in order.
    fn positions(&self, look: &Look) -> impl Iterator<Item = u32> {
        let nodes = self.cache.node_count();
        let start = look.search.start;
        (0..look.outcome.processed).map(move |step| (start + step) % nodes)
    }

    fn top(&self, class: ClassId, look: &Look) -> (Option<i64>, Vec<Name>) {
        let (board, case) = (self.classes.board_of(class), self.case(class, look.relations.as_ref()));
        let order = self.cache.order();
        let takes = |position: &u32| board.refusal(*position).is_none() && case.is_admitted(order[*position as usize]);
        let feasible: Vec<u32> = self.positions(look).filter(takes).collect();
        let name = |position: u32| self.cache.slot(order[position as usize]).name.clone();
        if let [only] = feasible[..] {
            return (None, vec![name(only)]);
        }
        let slots: Vec<u32> = feasible.iter().map(|position| order[*position as usize]).collect();
        let totals = board.totals(case, (&feasible, &slots), look.search.draw);
        let best = totals.iter().copied().max().expect("some node takes the pod");
        let tied = feasible.into_iter().zip(totals).filter(|(_, total)| *total == best);
        let mut top: Vec<Name> = tied.map(|(position, _)| name(position)).collect();
        top.sort_unstable();
        (Some(best), top)
    }

    /// What the plugins say of the nodes looked at, from scratch: the board keeps sums only.
    fn verdicts(&self, class: ClassId, look: &Look) -> Vec<NodeVerdict> {
        let relations: Option<&Relations> = look.relations.as_ref();
        let case = self.case(class, relations);
        let (profile, cache) = (case.profile, case.cache);
        let slots: Vec<u32> = self.positions(look).map(|position| cache.order()[position as usize]).collect();
        let verdict = |slot: &u32| {
            let (node, refusal) = (cache.slot(*slot), case.refusal(*slot));
            NodeVerdict {
                node: node.name.clone(),
                refused_by: refusal.plugin().map(|plugin| profile.name_of(plugin)),
                reasons: case.texts(*slot, refusal),
                resolvable: !refusal.is_unresolvable(),
                scores: Vec::new(),
            }
        };
        let mut verdicts: Vec<NodeVerdict> = slots.iter().map(verdict).collect();
        let feasible: Vec<u32> =
            slots.iter().zip(&verdicts).filter(|(_, it)| it.refused_by.is_none()).map(|(slot, _)| *slot).collect();
        // With one feasible node, Kubernetes scores nothing.
        if feasible.len() > 1 {
            let own = profile.scorers(case.pod());
            let own = own.map(|enabled| (enabled, normalized(case, &feasible, enabled.plugin, look.search.draw)));
            let related = relations.iter().flat_map(|relations| relations.scores(cache, case.classes, &feasible));
            for (enabled, scores) in own.chain(related) {
                for (verdict, score) in verdicts.iter_mut().filter(|it| it.refused_by.is_none()).zip(scores) {
                    verdict.scores.push((profile.name_of(enabled.plugin), enabled.weight * score));
                }
            }
        }
        verdicts.iter_mut().for_each(|verdict| verdict.scores.sort_unstable());
        verdicts.sort_unstable_by(|one, other| one.node.cmp(&other.node));
        verdicts
    }
}
