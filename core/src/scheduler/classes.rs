//! Pod classes: pods of one spec are one class, so what the scheduler knows of a spec is computed and cached once.
//!
//! Invariant: a class lives as long as some pod, queued or placed, holds it; its number may then be used again.

use std::collections::BTreeMap;

use crate::digest::Shared;
use crate::model::PodSpec;
use crate::scheduler::board::Board;
use crate::scheduler::traits::PodTraits;

/// A class's number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct ClassId(u32);

struct Class {
    traits: PodTraits,
    board: Board,
    holders: u32,
}

/// All classes.
#[derive(Default)]
pub(super) struct Classes {
    classes: Vec<Option<Class>>,
    free: Vec<u32>,
    /// By the spec's stable hash; several specs of one hash are told apart by comparing them.
    by_hash: BTreeMap<u64, Vec<ClassId>>,
}

impl Classes {
    /// The class of a spec, made if it is new. The caller holds it or the class stays until somebody has.
    pub(super) fn of(&mut self, spec: &Shared<PodSpec>) -> ClassId {
        let hash = spec.stable_hash();
        let known = self.by_hash.get(&hash).into_iter().flatten().copied();
        if let Some(id) = known.into_iter().find(|id| self.traits(*id).spec == *spec) {
            return id;
        }
        let class = Class { traits: PodTraits::of(spec), board: Board::default(), holders: 0 };
        let index = self.free.pop().unwrap_or_else(|| {
            self.classes.push(None);
            u32::try_from(self.classes.len() - 1).expect("at most 2^32 classes")
        });
        self.classes[index as usize] = Some(class);
        self.by_hash.entry(hash).or_default().push(ClassId(index));
        ClassId(index)
    }

    /// What is known of the class's spec.
    pub(super) fn traits(&self, id: ClassId) -> &PodTraits {
        &self.class(id).traits
    }

    /// The class's traits and its cached results.
    pub(super) fn board(&mut self, id: ClassId) -> (&PodTraits, &mut Board) {
        let class = self.classes[id.0 as usize].as_mut().expect("a class number is used after its last holder");
        (&class.traits, &mut class.board)
    }

    /// One more pod holds the class.
    pub(super) fn hold(&mut self, id: ClassId) {
        let class = self.classes[id.0 as usize].as_mut().expect("a class number is used after its last holder");
        class.holders += 1;
    }

    /// One pod fewer holds the class; with the last one it goes.
    pub(super) fn release(&mut self, id: ClassId) {
        let class = self.classes[id.0 as usize].as_mut().expect("a class number is used after its last holder");
        assert!(class.holders > 0, "{id:?} is released more often than held");
        class.holders -= 1;
        if class.holders > 0 {
            return;
        }
        let hash = class.traits.spec.stable_hash();
        let alike = self.by_hash.get_mut(&hash).expect("a class is listed by its hash");
        alike.retain(|other| *other != id);
        if alike.is_empty() {
            self.by_hash.remove(&hash);
        }
        self.classes[id.0 as usize] = None;
        self.free.push(id.0);
    }

    fn class(&self, id: ClassId) -> &Class {
        self.classes[id.0 as usize].as_ref().expect("a class number is used after its last holder")
    }
}
