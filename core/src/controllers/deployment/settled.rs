//! What a sync has found to be in order, so that the next one need not look at it again.
//!
//! Most syncs follow a change of a status, the Deployment's own or a ReplicaSet's. Which ReplicaSet is the new one, and
//! that revisions, annotations and sizes are as they should be, hangs on everything else. Builds with debug assertions
//! look each time and compare.

use crate::controllers::deployment::sets::Set;
use crate::id::Uid;
use crate::model::{Labels, Meta, MetaExtras, Seldom};

/// A Deployment with its ReplicaSets, all in order.
pub(super) struct Settled {
    deployment: Part,
    sets: Vec<Part>,
    /// The ReplicaSet of the Deployment's template.
    new: Uid,
}

/// What versions of an object have in common that differ in their status alone.
struct Part {
    uid: Uid,
    /// It stands for the spec.
    generation: u32,
    labels: Labels,
    extras: Seldom<MetaExtras>,
}

impl Settled {
    /// What was found to be in order.
    pub(super) fn new<'a>(deployment: &Meta, sets: impl Iterator<Item = &'a Set>, new: Uid) -> Settled {
        let sets = sets.map(|it| Part::of(&it.set.meta)).collect();
        Settled { deployment: Part::of(deployment), sets, new }
    }

    /// The new ReplicaSet, if all is as it was but for the status of one or the other.
    pub(super) fn new_among<'a>(&self, deployment: &Meta, sets: impl Iterator<Item = &'a Meta>) -> Option<Uid> {
        let mut count = 0;
        let mut known = sets.inspect(|_| count += 1).map(|set| self.sets.iter().any(|part| part.is_of(set)));
        let all_known = self.deployment.is_of(deployment) && known.all(|is_known| is_known);
        (all_known && count == self.sets.len()).then_some(self.new)
    }
}

impl Part {
    fn of(meta: &Meta) -> Part {
        let (labels, extras) = (meta.labels.clone(), meta.extras.clone());
        Part { uid: meta.uid, generation: meta.generation, labels, extras }
    }

    fn is_of(&self, meta: &Meta) -> bool {
        (self.uid, self.generation) == (meta.uid, meta.generation)
            && self.labels.same(&meta.labels)
            && self.extras.same(&meta.extras)
    }
}
