//! Domains: the values of one node label, numbered, and which slot belongs to which.

use std::collections::BTreeMap;

use crate::id::Name;

/// The domains of one label.
#[derive(Debug)]
pub(super) struct Domains {
    /// By slot; [`Domains::NONE`] for a slot without a node or whose node has no such label.
    of_slot: Vec<u32>,
    /// By position in the order of the nodes: 1 + the node's domain; 0 if it has none.
    in_order: Vec<u32>,
    /// How many domains there are.
    pub(super) count: u32,
}

impl Domains {
    const NONE: u32 = u32::MAX;

    /// Numbers the values in the order of the slots; `None` is a slot without one. `order` is the nodes' slots in their
    /// order.
    pub(super) fn of(values: impl Iterator<Item = Option<Name>>, order: &[u32]) -> Domains {
        let mut numbers: BTreeMap<Name, u32> = BTreeMap::new();
        let of_slot = values.map(|value| {
            let next = numbers.len() as u32;
            value.map_or(Domains::NONE, |value| *numbers.entry(value).or_insert(next))
        });
        let of_slot: Vec<u32> = of_slot.collect();
        let in_order = order.iter().map(|slot| of_slot[*slot as usize].wrapping_add(1)).collect();
        Domains { of_slot, in_order, count: numbers.len() as u32 }
    }

    /// How many slots are known.
    pub(super) fn slot_count(&self) -> usize {
        self.of_slot.len()
    }

    /// 1 + the slot's domain; 0 if it has none.
    #[inline]
    pub(super) fn number(&self, slot: u32) -> u32 {
        self.of_slot.get(slot as usize).map_or(0, |domain| domain.wrapping_add(1))
    }

    /// By position in the order of the nodes: 1 + the node's domain; 0 if it has none.
    pub(super) fn in_order(&self) -> &[u32] {
        &self.in_order
    }

    /// By slot: the number of its domain, which is of no use for a slot that has none.
    pub(super) fn by_slot(&self) -> &[u32] {
        &self.of_slot
    }

    /// The slot's domain.
    pub(super) fn get(&self, slot: u32) -> Option<usize> {
        self.of_slot.get(slot as usize).copied().filter(|domain| *domain != Domains::NONE).map(|domain| domain as usize)
    }
}
