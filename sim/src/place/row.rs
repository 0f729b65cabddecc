//! What is told of each pod, as one JSON line.

use std::collections::BTreeMap;

use serde::Serialize;
use wavetank_core::id::RowId;
use wavetank_core::scheduler::{CandidateNode, Explained, NodeVerdict, Preempted};

/// What became of a pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// A node was chosen.
    Bound,
    /// It came with its node.
    Prebound,
    /// No node takes it.
    Unschedulable,
    /// Scheduling gates keep it back.
    Gated,
    /// It has ended, so it takes nothing and is not placed.
    Finished,
    /// No profile has its scheduler's name: it is left to another scheduler.
    Ignored,
    /// The scheduler would not try it.
    Error,
}

/// One pod's line. Fields that do not apply are left out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Namespace and name.
    pub pod: String,
    /// What became of it.
    pub status: Status,
    /// Its node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The scheduler's message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The plugins that refused nodes, sorted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unschedulable_plugins: Option<Vec<&'static str>>,
    /// Nodes that take the pod, of those looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_feasible: Option<u32>,
    /// Nodes looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_checked: Option<u32>,
    /// The nodes that take the pod, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub feasible: Vec<String>,
    /// The best total score, if there was a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_score: Option<i64>,
    /// The nodes that have it, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub top: Vec<String>,
    /// The scores of the nodes that take the pod, if there was a choice.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, Scores>,
    /// Why the other nodes do not.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rejected: BTreeMap<String, Rejected>,
    /// What preemption came to, if the pod fits nowhere at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preemption: Option<Preemption>,
}

/// What preemption came to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preemption {
    /// Why no pods make room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The node where room was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nominated_node: Option<String>,
    /// The pods that were removed, from most to least important.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub victims: Vec<String>,
    /// The nodes than which none is better, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub best_candidates: Vec<String>,
    /// All nodes where room could have been made, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
}

/// A node where room could be made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The node.
    pub node: String,
    /// The pods that would go, from most to least important.
    pub victims: Vec<String>,
    /// How many of them a disruption budget would keep.
    pub pdb_violations: u32,
    /// The highest priority of a victim.
    pub highest_victim_priority: i32,
    /// The sum of the victims' priorities, each raised by 2³¹ as kube-scheduler does.
    pub sum_priorities: i64,
    /// Whether no other candidate is better.
    pub best: bool,
}

/// A node's scores.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Scores {
    /// Their sum.
    pub total: i64,
    /// Each plugin's, normalized and weighted; plugins that do not score the pod are left out.
    pub plugins: BTreeMap<&'static str, i64>,
}

/// Why a node does not take a pod.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Rejected {
    /// The first plugin that refuses.
    pub plugin: &'static str,
    /// `Unschedulable`, or `UnschedulableAndUnresolvable` if no removal of pods helps.
    pub code: &'static str,
    /// That plugin's reasons.
    pub reasons: Vec<String>,
}

impl Row {
    /// A pod that was not sought a node for.
    pub(super) fn plain(pod: String, status: Status, node: Option<String>, message: Option<String>) -> Row {
        Row {
            pod,
            status,
            node,
            message,
            unschedulable_plugins: None,
            num_feasible: None,
            num_checked: None,
            feasible: Vec::new(),
            top_score: None,
            top: Vec::new(),
            scores: BTreeMap::new(),
            rejected: BTreeMap::new(),
            preemption: None,
        }
    }

    /// Adds what preemption came to; rows are named by `name_of`.
    pub(super) fn with_preemption(mut self, told: Option<Preempted>, name_of: &dyn Fn(RowId) -> String) -> Row {
        let Some(told) = told else { return self };
        self.message = Some(match (told.chosen, &told.added) {
            (Some(_), _) => format!("first attempt: {}", told.first_attempt),
            (None, Some(added)) => format!("{} {added}", told.first_attempt),
            (None, None) => told.first_attempt,
        });
        let candidate = |it: &CandidateNode| Candidate {
            node: it.node.to_string(),
            victims: it.victims.iter().map(|row| name_of(*row)).collect(),
            pdb_violations: it.violations,
            highest_victim_priority: it.highest_priority,
            sum_priorities: it.sum_of_priorities,
            best: it.best,
        };
        let mut candidates: Vec<Candidate> = told.candidates.iter().map(candidate).collect();
        let chosen = told.chosen.map(|place| candidates[place].clone());
        candidates.sort_unstable_by(|one, other| one.node.cmp(&other.node));
        let best = candidates.iter().filter(|it| it.best).map(|it| it.node.clone());
        self.preemption = Some(Preemption {
            message: told.message,
            nominated_node: chosen.as_ref().map(|it| it.node.clone()),
            victims: chosen.map(|it| it.victims).unwrap_or_default(),
            best_candidates: best.collect(),
            candidates,
        });
        self
    }

    /// A pod that was sought a node for.
    pub(super) fn of(pod: String, explained: Explained) -> Row {
        let (status, node, message) = match explained.node {
            Ok(node) => (Status::Bound, Some(node.to_string()), None),
            Err(message) => (Status::Unschedulable, None, Some(message)),
        };
        let mut row = Row::plain(pod, status, node, message);
        row.unschedulable_plugins = (status == Status::Unschedulable).then_some(explained.refused_by);
        (row.num_feasible, row.num_checked) = (Some(explained.feasible), Some(explained.checked));
        row.top_score = explained.top_score;
        row.top = explained.top.iter().map(ToString::to_string).collect();
        for NodeVerdict { node, refused_by, reasons, resolvable, scores } in explained.nodes {
            match refused_by {
                None => {
                    row.feasible.push(node.to_string());
                    if !scores.is_empty() {
                        let total = scores.iter().map(|(_, score)| score).sum();
                        row.scores.insert(node.to_string(), Scores { total, plugins: scores.into_iter().collect() });
                    }
                }
                Some(plugin) => {
                    let code = if resolvable { "Unschedulable" } else { "UnschedulableAndUnresolvable" };
                    row.rejected.insert(node.to_string(), Rejected { plugin, code, reasons });
                }
            }
        }
        row
    }
}
