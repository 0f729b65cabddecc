//! Nodes: when they were there and ready, and how many pods they had.

use wavetank_core::facts::What;
use wavetank_core::id::Name;
use wavetank_core::model::{Node, ObjectKey, Resources};
use wavetank_core::store::View;
use wavetank_core::time::Time;
use wavetank_reports::record::{Interval, NodeRow};

use super::History;

/// A node's row and what is needed to count it.
pub(super) struct NodeState {
    pub(super) row: NodeRow,
    pub(super) ready: bool,
    pub(super) allocatable: Resources,
    pub(super) pods: i64,
}

impl History {
    pub(super) fn node(&mut self, at: Time, key: &ObjectKey, what: &What, view: View<'_>) {
        if let What::Created { .. } = what {
            self.node_created(at, key, view);
        }
        let Some(&place) = self.node_places.get(&key.name) else { return };
        let node = &mut self.nodes[place];
        let was_ready = node.ready;
        match what {
            What::NodeReady => {
                node.ready = true;
                node.row.ready_ns.get_or_insert(at.0);
                if let Some(open) = node.row.not_ready.last_mut().filter(|open| open.to_ns.is_none()) {
                    open.to_ns = Some(at.0);
                }
            }
            What::NodeNotReady { .. } => {
                node.ready = false;
                if node.row.ready_ns.is_some() && node.row.not_ready.last().is_none_or(|last| last.to_ns.is_some()) {
                    node.row.not_ready.push(Interval { from_ns: at.0, to_ns: None });
                }
            }
            What::Deleted => {
                node.row.gone_ns = Some(at.0);
                self.allocation.offer(at, &node.row.zone, &node.allocatable, -1);
                self.node_places.remove(&key.name);
                self.ready_nodes[usize::from(!was_ready)] -= 1;
                self.node_steps.push(at, &self.ready_nodes);
                return;
            }
            _ => return,
        }
        if was_ready != node.ready {
            self.ready_nodes[usize::from(was_ready)] += 1;
            self.ready_nodes[usize::from(!was_ready)] -= 1;
            self.node_steps.push(at, &self.ready_nodes);
        }
    }

    fn node_created(&mut self, at: Time, key: &ObjectKey, view: View<'_>) {
        let found = view.find::<Node>(&key.namespace, &key.name).map(|(_, node)| node);
        let (zone, allocatable, ready) = match found {
            Some(node) => (node.zone(), node.status.allocatable.clone(), node.is_ready()),
            None => (Name::from(""), Resources::default(), false),
        };
        let row = NodeRow {
            name: key.name.to_string(),
            zone: zone.to_string(),
            cpu_milli: u64::try_from(allocatable.cpu_milli).unwrap_or(0),
            memory_bytes: u64::try_from(allocatable.memory_bytes).unwrap_or(0),
            pods: u64::try_from(allocatable.pods).unwrap_or(0),
            created_ns: at.0,
            ready_ns: ready.then_some(at.0),
            gone_ns: None,
            not_ready: Vec::new(),
            pods_end: 0,
            pods_max: 0,
        };
        self.allocation.offer(at, &row.zone, &allocatable, 1);
        self.node_places.insert(key.name.clone(), self.nodes.len());
        self.nodes.push(NodeState { row, ready, allocatable, pods: 0 });
        self.ready_nodes[usize::from(!ready)] += 1;
        self.node_steps.push(at, &self.ready_nodes);
    }
}
