//! What the plugins that look beyond a node refuse, by domain: for passes over many nodes.
//!
//! Spreading and anti-affinity refuse whole domains, so their verdicts are computed once per domain and looked up once
//! per node. Refusals because of volumes and of nominated pods are asked for node by node. [`super::relations`] says
//! the same one node at a time, with reasons.

use std::sync::Arc;

use crate::scheduler::reference::Case;
use crate::scheduler::topology::Domains;

/// Which domains of one label take the pod.
pub(super) struct Gate {
    pub(super) domains: Arc<Domains>,
    /// By domain.
    pub(super) open: Vec<bool>,
    /// Whether nodes without the label take it.
    pub(super) without: bool,
}

impl Gate {
    fn admits(&self, slot: u32) -> bool {
        self.domains.get(slot).map_or(self.without, |domain| self.open[domain])
    }

    /// The nodes that both take.
    fn and(&mut self, other: &Gate) {
        self.without &= other.without;
        self.open.iter_mut().zip(&other.open).for_each(|(open, other)| *open &= other);
    }
}

/// All of a pod's gates, one for each label.
pub(super) struct Sieve<'a> {
    gates: Vec<Gate>,
    /// For what is not said by gates.
    node_by_node: Option<Case<'a>>,
}

impl<'a> Sieve<'a> {
    /// Of a pod's case.
    pub(super) fn of(case: Case<'a>) -> Sieve<'a> {
        let Some(relations) = case.relations else { return Sieve { gates: Vec::new(), node_by_node: None } };
        let mut gates: Vec<Gate> = Vec::new();
        for gate in relations.gates() {
            match gates.iter_mut().find(|known| Arc::ptr_eq(&known.domains, &gate.domains)) {
                Some(known) => known.and(&gate),
                None => gates.push(gate),
            }
        }
        Sieve { gates, node_by_node: relations.asks_single_nodes().then_some(case) }
    }

    /// Whether every node is let through.
    pub(super) fn is_open(&self) -> bool {
        self.gates.is_empty() && self.node_by_node.is_none()
    }

    /// Whether the plugins that look beyond the node let it take the pod.
    #[inline]
    pub(super) fn admits(&self, slot: u32) -> bool {
        self.gates.iter().all(|gate| gate.admits(slot)) && self.node_by_node.is_none_or(|case| case.is_admitted(slot))
    }
}
