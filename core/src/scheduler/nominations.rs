//! Pods that wait for room on a node that preemption has chosen for them.
//!
//! They count there when a node is sought for pods of the same or lower priority. Invariant: a pod is nominated to at
//! most one node, and its class is held while it is.
//!
//! Source: pkg/scheduler/backend/queue/nominator.go (v1.34.1).

use std::collections::BTreeMap;

use crate::id::{Name, RowId};
use crate::scheduler::classes::{ClassId, Classes};

/// All nominations.
#[derive(Default)]
pub(super) struct Nominations {
    by_row: BTreeMap<RowId, Name>,
    by_node: BTreeMap<Name, Vec<Nominated>>,
}

/// A pod that waits for room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Nominated {
    pub(super) row: RowId,
    pub(super) class: ClassId,
    pub(super) priority: i32,
}

impl Nominations {
    /// A pod is nominated to a node and to no other.
    pub(super) fn set(&mut self, classes: &mut Classes, row: RowId, class: ClassId, node: &Name) {
        classes.hold(class);
        self.remove(classes, row);
        let priority = classes.priority(class);
        self.by_row.insert(row, node.clone());
        self.by_node.entry(node.clone()).or_default().push(Nominated { row, class, priority });
    }

    /// A pod is nominated no more. One that was not is no mistake.
    pub(super) fn remove(&mut self, classes: &mut Classes, row: RowId) {
        let Some(node) = self.by_row.remove(&row) else { return };
        let pods = self.by_node.get_mut(&node).expect("a nomination is listed by its node");
        let place = pods.iter().position(|pod| pod.row == row).expect("a nomination is listed by its node");
        classes.release(pods.remove(place).class);
        if pods.is_empty() {
            self.by_node.remove(&node);
        }
    }

    /// Whether no pod is nominated anywhere.
    pub(super) fn is_empty(&self) -> bool {
        self.by_row.is_empty()
    }

    /// The node that a pod is nominated to.
    pub(super) fn node_of(&self, row: RowId) -> Option<&Name> {
        self.by_row.get(&row)
    }

    /// The pods nominated to a node, in the order of their nomination.
    pub(super) fn on(&self, node: &Name) -> &[Nominated] {
        self.by_node.get(node).map_or(&[], |pods| pods)
    }

    /// The nodes with nominated pods, by name.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Name> {
        self.by_node.keys()
    }

    /// The classes of the pods of a node that count when a node is sought for a pod of this row and priority.
    ///
    /// Source: `addGENominatedPods`, pkg/scheduler/framework/runtime/framework.go (v1.34.1).
    pub(super) fn counted(&self, node: &Name, row: RowId, priority: i32) -> Vec<ClassId> {
        let counts = |pod: &&Nominated| pod.row != row && pod.priority >= priority;
        self.on(node).iter().filter(counts).map(|pod| pod.class).collect()
    }
}
