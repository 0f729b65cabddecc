//! The pods of a node by their uids.

use std::ops::{Index, IndexMut};

use crate::chunks::Chunks;
use crate::id::Uid;
use crate::keys::Keys;
use crate::kubelet::pod_life::PodLife;

/// How many pods lie together: a block of theirs is little smaller than what an allocator gives for it.
const CHUNK: usize = 10;

/// The pods of a node, of which there are some hundred at most, in no order.
#[derive(Default)]
pub(in crate::kubelet) struct Lives {
    keys: Keys,
    lives: Chunks<PodLife, CHUNK>,
}

impl Lives {
    /// How many there are.
    pub(in crate::kubelet) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The place of a pod, until one comes or goes.
    pub(in crate::kubelet) fn place(&self, uid: &Uid) -> Option<usize> {
        self.keys.place(*uid, |place| self[place].uid() == *uid)
    }

    /// The pod of a uid.
    pub(in crate::kubelet) fn get(&self, uid: &Uid) -> Option<&PodLife> {
        Some(&self[self.place(uid)?])
    }

    /// The pod of a uid, to change it.
    pub(in crate::kubelet) fn get_mut(&mut self, uid: &Uid) -> Option<&mut PodLife> {
        let place = self.place(uid)?;
        Some(&mut self[place])
    }

    /// Adds a pod, in place of the one that has its uid.
    pub(in crate::kubelet) fn insert(&mut self, life: PodLife) {
        match self.place(&life.uid()) {
            Some(place) => self.lives[place] = life,
            None => {
                self.keys.push(life.uid());
                self.lives.push(life);
            }
        }
    }

    /// Takes a pod out.
    pub(in crate::kubelet) fn remove(&mut self, place: usize) {
        self.keys.swap_remove(place);
        self.lives.swap_remove(place);
    }

    /// All uids, in order.
    pub(in crate::kubelet) fn uids(&self) -> Vec<Uid> {
        self.in_order().map(PodLife::uid).collect()
    }

    /// All pods, in the order of their uids.
    pub(in crate::kubelet) fn in_order(&self) -> impl Iterator<Item = &PodLife> {
        let mut lives: Vec<&PodLife> = self.lives.iter().collect();
        lives.sort_unstable_by_key(|life| life.uid());
        lives.into_iter()
    }
}

impl Index<usize> for Lives {
    type Output = PodLife;

    fn index(&self, place: usize) -> &PodLife {
        &self.lives[place]
    }
}

impl IndexMut<usize> for Lives {
    fn index_mut(&mut self, place: usize) -> &mut PodLife {
        &mut self.lives[place]
    }
}
