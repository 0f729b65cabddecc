//! What is told of each pod, as one JSON line.

use std::collections::BTreeMap;

use serde::Serialize;
use wavetank_core::scheduler::{Explained, NodeVerdict};

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
        }
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
