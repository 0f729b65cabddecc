//! The pods of a node by their uids.

use std::ops::{Index, IndexMut};

use crate::growth::make_room;
use crate::id::Uid;
use crate::kubelet::pod_life::PodLife;

/// The pods of a node, in the order of their uids. There are some hundred at most, so a sorted list does; the uids,
/// which are all that a search reads, lie together.
#[derive(Default)]
pub(in crate::kubelet) struct Lives {
    uids: Vec<Uid>,
    #[expect(clippy::vec_box, reason = "a pod that comes or goes moves words, and room to grow is room for words")]
    lives: Vec<Box<PodLife>>,
}

impl Lives {
    /// How many there are.
    pub(in crate::kubelet) fn len(&self) -> usize {
        self.uids.len()
    }

    /// The place of a pod, until one comes or goes.
    pub(in crate::kubelet) fn place(&self, uid: &Uid) -> Option<usize> {
        self.search(uid).ok()
    }

    /// The place of a pod, or else where it would be. Uids are compared as numbers, which takes no branch.
    fn search(&self, uid: &Uid) -> Result<usize, usize> {
        let place = self.uids.partition_point(|other| other.bits() < uid.bits());
        if self.uids.get(place) == Some(uid) { Ok(place) } else { Err(place) }
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
        let uid = life.uid();
        match self.search(&uid) {
            Ok(place) => *self.lives[place] = life,
            Err(place) => {
                make_room(&mut self.uids, 1);
                make_room(&mut self.lives, 1);
                self.uids.insert(place, uid);
                self.lives.insert(place, Box::new(life));
            }
        }
    }

    /// Takes a pod out.
    pub(in crate::kubelet) fn remove(&mut self, place: usize) {
        self.uids.remove(place);
        self.lives.remove(place);
    }

    /// All uids.
    pub(in crate::kubelet) fn uids(&self) -> &[Uid] {
        &self.uids
    }

    /// All pods.
    pub(in crate::kubelet) fn all(&self) -> impl Iterator<Item = &PodLife> {
        self.lives.iter().map(|life| &**life)
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
