//! The scheduler's picture of the cluster: nodes in dense slots with what their pods take, and pods that are assumed to
//! be where a bind request has just sent them.
//!
//! Invariants: a node's sums are those of the pods counted on it; an assumed pod counts exactly once, before and after
//! its watch event; `order` lists every present node once, zones interleaved. A slot outlives its node while pods are
//! still counted on it. Every change of a slot is appended to `touched`, so that whoever caches results per node knows
//! what to look at again. Absent on purpose: expiry of assumed pods (off in Kubernetes as well).
//!
//! Here are the slots, the order in which they are looked at, and the log of their changes. `node_info` is what is
//! known of one node; `nodes` lets nodes come and go; `pods` counts pods on them.
//!
//! Source: pkg/scheduler/backend/cache/cache.go (v1.34.1).

mod node_info;
mod nodes;
mod pods;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::Name;
use crate::scheduler::gpu::DeviceSet;
use crate::scheduler::node_tree::NodeTree;
use crate::scheduler::rows::Rows;
use crate::scheduler::topology::Domains;
use nodes::Image;

pub(super) use node_info::{NodeInfo, Sums};
pub(super) use pods::{PREEMPTED, Placed, Standing, makes_room};

/// How often nodes have changed in what pods choose nodes by. A node that appears or goes counts as both.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct NodeChanges {
    pub(super) labels: u64,
    /// Taints and cordons.
    pub(super) taints: u64,
}

/// Nodes, the pods that count on them, and the order in which nodes are looked at.
#[derive(Default)]
pub(super) struct Cache {
    slots: Vec<NodeInfo>,
    /// By slot: its name, for a pod's node to be compared with.
    names: Vec<Name>,
    /// By slot: a copy of what is looked at most.
    sums: Vec<Sums>,
    /// By slot: the row indexes of the pods that count there, in the order in which kube-scheduler has them.
    seats: Vec<Vec<u32>>,
    free: Vec<u32>,
    by_name: BTreeMap<Name, u32>,
    /// By the pod row's index.
    pods: Rows<Placed>,
    /// The GPUs of placed pods that have some, by the pod row's index.
    devices: BTreeMap<u32, DeviceSet>,
    /// How many placed pods use a claim, by namespace and name.
    claims_used: BTreeMap<(Name, Name), u32>,
    /// How many placed pods there are of each priority.
    priorities: BTreeMap<i32, u32>,
    tree: NodeTree,
    order: Vec<u32>,
    /// By slot; `u32::MAX` for a slot without a node.
    positions: Vec<u32>,
    /// The present nodes' slots by name.
    by_rank: Vec<u32>,
    /// By slot: its place in `by_rank`.
    ranks: Vec<u32>,
    images: BTreeMap<Name, Image>,
    /// By label, while no node's labels change.
    domains: BTreeMap<Name, Arc<Domains>>,
    order_is_stale: bool,
    layout: u64,
    node_changes: NodeChanges,
    touched: Vec<u32>,
    /// How many entries of `touched` have been dropped.
    touched_before: u64,
}

impl Cache {
    /// How many nodes there are.
    pub(super) fn node_count(&self) -> u32 {
        self.tree.len()
    }

    /// How many of these names belong to present nodes.
    pub(super) fn present(&self, names: &[Name]) -> u32 {
        let is_there = |name: &&Name| self.by_name.get(*name).is_some_and(|slot| self.slot(*slot).node.is_some());
        names.iter().filter(is_there).count() as u32
    }

    /// The slot of a name.
    pub(super) fn slot_of(&self, name: &Name) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// The slot's contents.
    pub(super) fn slot(&self, slot: u32) -> &NodeInfo {
        &self.slots[slot as usize]
    }

    /// The slot's sums.
    pub(super) fn sums(&self, slot: u32) -> &Sums {
        &self.sums[slot as usize]
    }

    /// How often nodes have changed so far.
    pub(super) fn node_changes(&self) -> NodeChanges {
        self.node_changes
    }

    /// The nodes' slots in the order in which they are looked at. [`Cache::refresh`] must have been called since the
    /// last change of nodes.
    pub(super) fn order(&self) -> &[u32] {
        debug_assert!(!self.order_is_stale, "the order is read before it was refreshed");
        &self.order
    }

    /// The slot of a present node.
    pub(super) fn present_slot(&self, name: &Name) -> Option<u32> {
        self.by_name.get(name).copied().filter(|slot| self.slots[*slot as usize].node.is_some())
    }

    /// Where a slot stands in the order; `None` for a slot without a node.
    pub(super) fn position(&self, slot: u32) -> Option<u32> {
        self.positions.get(slot as usize).copied().filter(|position| *position != u32::MAX)
    }

    /// A present node's place among all present nodes by name.
    pub(super) fn rank(&self, slot: u32) -> u32 {
        self.ranks[slot as usize]
    }

    /// The slot of the node at a place by name.
    pub(super) fn slot_of_rank(&self, rank: u32) -> u32 {
        self.by_rank[rank as usize]
    }

    /// Counts how often the order has changed.
    pub(super) fn layout(&self) -> u64 {
        self.layout
    }

    /// Brings the order up to date; what kube-scheduler does when it takes its snapshot.
    pub(super) fn refresh(&mut self) {
        if !self.order_is_stale {
            return;
        }
        self.order_is_stale = false;
        self.layout += 1;
        self.order = self.tree.list();
        self.positions.clear();
        self.positions.resize(self.slots.len(), u32::MAX);
        for (position, slot) in self.order.iter().enumerate() {
            self.positions[*slot as usize] = position as u32;
        }
        let present = self.by_name.values().copied().filter(|slot| self.positions[*slot as usize] != u32::MAX);
        self.by_rank = present.collect();
        self.ranks.clear();
        self.ranks.resize(self.slots.len(), u32::MAX);
        for (rank, slot) in self.by_rank.iter().enumerate() {
            self.ranks[*slot as usize] = rank as u32;
        }
        self.scale_images();
    }

    /// How many slots there are, with or without a node.
    pub(super) fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// The number of slot changes so far.
    pub(super) fn changes(&self) -> u64 {
        self.touched_before + self.touched.len() as u64
    }

    /// The slots changed since a count of changes, or `None` if that is too long ago to tell.
    pub(super) fn touched_since(&self, changes: u64) -> Option<&[u32]> {
        let start = changes.checked_sub(self.touched_before)?;
        Some(&self.touched[start as usize..])
    }

    /// The slot of a name, which gets one if it has none.
    fn slot_named(&mut self, name: &Name) -> u32 {
        if let Some(slot) = self.by_name.get(name) {
            return *slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(NodeInfo::default());
            self.names.push(Name::new());
            self.sums.push(Sums::default());
            self.seats.push(Vec::new());
            u32::try_from(self.slots.len() - 1).expect("at most 2^32 nodes")
        });
        self.slots[slot as usize] = NodeInfo { name: name.clone(), ..NodeInfo::default() };
        self.names[slot as usize] = name.clone();
        self.by_name.insert(name.clone(), slot);
        self.order_is_stale = true;
        slot
    }

    /// Frees a slot that has neither a node nor pods.
    fn give_up_if_empty(&mut self, slot: u32) {
        let info = &self.slots[slot as usize];
        if info.node.is_none() && info.pods == 0 {
            self.by_name.remove(&info.name.clone());
            self.free.push(slot);
        }
    }

    /// Notes that a slot has changed.
    fn touch(&mut self, slot: u32) {
        self.sums[slot as usize] = Sums::of(&self.slots[slot as usize]);
        // A reader that is further behind than this looks at everything again, which is cheaper then.
        if self.touched.len() > 4 * self.slots.len() + 64 {
            let dropped = self.touched.len() / 2;
            self.touched.drain(..dropped);
            self.touched_before += dropped as u64;
        }
        self.touched.push(slot);
    }
}
