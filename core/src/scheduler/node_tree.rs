//! The order in which nodes are looked at: one of each zone in turn, zones and nodes in the order of their arrival.
//!
//! Source: pkg/scheduler/backend/cache/node_tree.go (v1.34.1).

use crate::id::Name;

/// Region and zone.
type ZoneKey = (Name, Name);

/// The nodes' slots by zone.
#[derive(Default)]
pub(super) struct NodeTree {
    zones: Vec<(ZoneKey, Vec<u32>)>,
    len: u32,
}

impl NodeTree {
    /// How many nodes there are.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Adds a node at the end of its zone, and the zone at the end of the zones if it is new.
    pub(super) fn add(&mut self, zone: ZoneKey, slot: u32) {
        self.len += 1;
        match self.zones.iter_mut().find(|(key, _)| *key == zone) {
            Some((_, slots)) => slots.push(slot),
            None => self.zones.push((zone, vec![slot])),
        }
    }

    /// Removes a node; a zone without nodes goes as well. Panics if the node is not there.
    pub(super) fn remove(&mut self, zone: &ZoneKey, slot: u32) {
        let place = self.zones.iter().position(|(key, _)| key == zone).expect("a node's zone is in the tree");
        let slots = &mut self.zones[place].1;
        let index = slots.iter().position(|it| *it == slot).expect("a node is in its zone");
        slots.remove(index);
        if slots.is_empty() {
            self.zones.remove(place);
        }
        self.len -= 1;
    }

    /// All slots: the first of each zone, then the second of each, and so on.
    pub(super) fn list(&self) -> Vec<u32> {
        let mut order = Vec::with_capacity(self.len as usize);
        let longest = self.zones.iter().map(|(_, slots)| slots.len()).max().unwrap_or(0);
        for index in 0..longest {
            order.extend(self.zones.iter().filter_map(|(_, slots)| slots.get(index)));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_take_turns_and_an_exhausted_zone_is_passed_over() {
        let zone = |name: &str| -> ZoneKey { ("r".into(), name.into()) };
        let mut tree = NodeTree::default();
        for (slot, name) in ["a", "a", "b", "a", "c", "b"].iter().enumerate() {
            tree.add(zone(name), slot as u32);
        }
        assert_eq!(tree.list(), [0, 2, 4, 1, 5, 3]);
        tree.remove(&zone("c"), 4);
        tree.add(zone("c"), 4);
        tree.remove(&zone("a"), 0);
        assert_eq!(tree.list(), [1, 2, 4, 3, 5]);
    }
}
