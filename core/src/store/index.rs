//! Secondary keys: how a component finds the pods of a node or the children of an owner without looking at every row.

use std::collections::BTreeSet;

use crate::digest::StableHasher;
use crate::id::{Name, Uid};
use crate::model::Resource;
use crate::store::by_hash::ByHash;

/// A secondary key of a row.
///
/// The index is a superset: a row stays listed under a key as long as any version that somebody can still read has
/// that key, and the reader filters by the version that it sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IndexKey {
    /// The uid of the owner that manages the object.
    Controller(Uid),
    /// The node that a pod is bound to.
    Node(Name),
    /// The Service that an EndpointSlice belongs to.
    Service(Name),
}

impl IndexKey {
    /// The key as a row has it.
    pub(super) fn of_row(&self) -> RowKey<'_> {
        match self {
            IndexKey::Controller(uid) => RowKey::Controller(*uid),
            IndexKey::Node(name) | IndexKey::Service(name) => RowKey::Name(name),
        }
    }
}

/// A secondary key, as a row of a known kind has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RowKey<'a> {
    Controller(Uid),
    Name(&'a Name),
}

/// The keys of an object: its controller, and the name that its kind is found by.
pub(super) fn keys_of<T: Resource>(object: &T) -> [Option<RowKey<'_>>; 2] {
    let controller = object.meta().controller().map(|owner| RowKey::Controller(owner.uid));
    [controller, object.index_name().map(RowKey::Name)]
}

/// Whether an object has a secondary key.
pub(super) fn has_key<T: Resource>(object: &T, key: RowKey<'_>) -> bool {
    match key {
        RowKey::Controller(uid) => object.meta().controller().is_some_and(|owner| owner.uid == uid),
        RowKey::Name(name) => object.index_name() == Some(name),
    }
}

/// Slots by the hash of a secondary key. Who reads filters by the version that it sees, so two keys of one hash do no
/// harm.
#[derive(Default)]
pub(super) struct KeyIndex(ByHash<u64, Slots>);

/// Slots in order. Most keys have few, which a list keeps in less memory than a tree does; a long list would be slow to
/// change.
enum Slots {
    Few(Vec<u32>),
    Many(BTreeSet<u32>),
}

impl Default for Slots {
    fn default() -> Self {
        Slots::Few(Vec::new())
    }
}

/// The longest list.
const FEW_MAX: usize = 128;

impl KeyIndex {
    /// The slots under a key, in order.
    pub(super) fn under(&self, key: RowKey<'_>) -> impl Iterator<Item = u32> + use<'_> {
        let (few, many) = match self.0.get(&hash_of(key)) {
            Some(Slots::Few(few)) => (few.as_slice(), None),
            Some(Slots::Many(many)) => (&[][..], Some(many)),
            None => (&[][..], None),
        };
        few.iter().chain(many.into_iter().flatten()).copied()
    }

    /// Enters a slot under a key.
    pub(super) fn enter(&mut self, key: RowKey<'_>, slot: u32) {
        let slots = self.0.get_or_default(&hash_of(key));
        match slots {
            Slots::Few(few) => {
                let Err(place) = few.binary_search(&slot) else { return };
                few.insert(place, slot);
                if few.len() > FEW_MAX {
                    *slots = Slots::Many(few.iter().copied().collect());
                }
            }
            Slots::Many(many) => drop(many.insert(slot)),
        }
    }

    /// Takes a slot out. Panics if nothing was entered under the key.
    pub(super) fn leave(&mut self, key: RowKey<'_>, slot: u32) {
        let hash = hash_of(key);
        let is_empty = match self.0.get_mut(&hash).expect("a row is listed under its keys") {
            Slots::Few(few) => {
                few.retain(|other| *other != slot);
                few.is_empty()
            }
            Slots::Many(many) => {
                many.remove(&slot);
                many.is_empty()
            }
        };
        if is_empty {
            self.0.remove(&hash);
        }
    }
}

fn hash_of(key: RowKey<'_>) -> u64 {
    match key {
        RowKey::Controller(uid) => StableHasher::hash_one(&uid),
        RowKey::Name(name) => StableHasher::hash_one(&**name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{Draws, Purpose, below};

    #[test]
    fn slots_of_one_key_are_in_order_however_many_they_are() {
        let mut draws = Draws::starting_at(5, Purpose::NameSuffix, 0, 0);
        let mut next = |bound| below(draws.next().expect("draws do not end"), bound) as u32;
        let (mut index, mut set) = (KeyIndex::default(), BTreeSet::new());
        let name = Name::from("n1");
        for round in 0..3_000 {
            // It grows beyond a list, and shrinks to nothing.
            let slot = next(400);
            if next(10) < if round < 1_500 { 7 } else { 2 } {
                index.enter(RowKey::Name(&name), slot);
                set.insert(slot);
            } else if set.remove(&slot) {
                index.leave(RowKey::Name(&name), slot);
            }
            assert!(index.under(RowKey::Name(&name)).eq(set.iter().copied()), "after {round} changes");
            assert_eq!(index.0.is_empty(), set.is_empty());
        }
    }
}
