//! The changes of a delivery as the controllers are told of them: what many of them ask is found out once.
//!
//! Each controller names the [`Topics`] that it listens to and is told of nothing else. Invariant: a change that a
//! controller is not told of would have changed nothing for it.

use crate::model::{Kind, Pod};
use crate::store::{Change, View};

/// One change.
pub(crate) struct News<'a> {
    /// The write.
    pub(crate) change: Change,
    /// A pod before and after the write; `None` is absence, or an object of another kind.
    pub(crate) pods: (Option<&'a Pod>, Option<&'a Pod>),
    /// What it is about.
    pub(crate) topics: Topics,
}

impl<'a> News<'a> {
    /// A change of a delivery; the view is one that still has both its sides.
    pub(crate) fn of(view: View<'a>, change: &Change) -> News<'a> {
        if change.kind != Kind::Pod {
            return News { change: *change, pods: (None, None), topics: Topics::of(change.kind) };
        }
        let pods = view.sides::<Pod>(change);
        News { change: *change, pods, topics: Topics::of_pods(pods.0, pods.1) }
    }
}

/// What changes are about: kinds of objects, and what happens to pods, which change more often than all else.
///
/// The first 64 bits stand for kinds, the next for the kinds of those who manage a pod, by number; the rest for what
/// happens to a pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Topics(u128);

const _: () = assert!(Kind::SLOTS <= 48, "there is a bit for each kind, as that of an object and as that of an owner");

impl Topics {
    /// Nothing.
    pub(crate) const NONE: Topics = Topics(0);
    /// Every change of every object.
    pub(crate) const ALL: Topics = Topics(u128::MAX);
    /// A pod is gone.
    pub(crate) const POD_ENDS: Topics = Topics(1 << 112);
    /// A pod has another node than before, or had one to the end.
    pub(crate) const POD_MOVES: Topics = Topics(1 << 113);
    /// A pod has other owners than before, which includes its beginning and its end.
    pub(crate) const POD_OWNERS: Topics = Topics(1 << 114);
    /// A pod that is being deleted or has finished.
    pub(crate) const POD_LEAVES: Topics = Topics(1 << 115);
    /// A pod's spec changes.
    pub(crate) const POD_SPEC: Topics = Topics(1 << 116);
    /// A pod that has volumes.
    pub(crate) const POD_VOLUMES: Topics = Topics(1 << 117);
    /// Every change of an object that is no pod.
    pub(crate) const OTHER_KINDS: Topics = Topics(u64::MAX as u128 & !Topics::of(Kind::Pod).0);

    /// A pod that nobody manages.
    const POD_OF_NOBODY: Topics = Topics(((1 << Kind::SLOTS) - 1) << 64);

    /// Every change of an object of a kind.
    pub(crate) const fn of(kind: Kind) -> Topics {
        Topics(1 << kind as u32)
    }

    /// Every change of an object of some kinds.
    pub(crate) fn of_all(kinds: &[Kind]) -> Topics {
        kinds.iter().fold(Topics::NONE, |topics, kind| topics.and(Topics::of(*kind)))
    }

    /// Every change of a pod that an owner of a kind manages, or nobody.
    pub(crate) const fn pods_of(owner: Kind) -> Topics {
        Topics(1 << (64 + owner as u32))
    }

    /// These and others.
    pub(crate) const fn and(self, other: Topics) -> Topics {
        Topics(self.0 | other.0)
    }

    /// Whether any of these is among others.
    pub(crate) const fn meet(self, other: Topics) -> bool {
        self.0 & other.0 != 0
    }

    fn of_pods(old: Option<&Pod>, new: Option<&Pod>) -> Topics {
        let mut topics = Topics::of(Kind::Pod);
        // Most versions of a pod share what has not changed with the one before.
        let shares_meta = old.zip(new).is_some_and(|(old, new)| old.meta.same(&new.meta));
        match (old, new) {
            (Some(old), Some(new)) => {
                topics.add_if(old.node != new.node, Topics::POD_MOVES);
                topics.add_if(old.spec != new.spec, Topics::POD_SPEC);
                topics.add_if(!shares_meta && old.meta.owners != new.meta.owners, Topics::POD_OWNERS);
            }
            (one, other) => {
                topics = topics.and(Topics::POD_OWNERS);
                topics.add_if(other.is_none(), Topics::POD_ENDS);
                topics.add_if(one.or(other).is_some_and(|pod| pod.node.is_some()), Topics::POD_MOVES);
            }
        }
        for pod in [old.filter(|_| !shares_meta), new].into_iter().flatten() {
            let manager = pod.meta.controller().map(|owner| Topics::pods_of(owner.kind));
            topics = topics.and(manager.unwrap_or(Topics::POD_OF_NOBODY));
        }
        for pod in [old, new].into_iter().flatten() {
            topics.add_if(!pod.is_active(), Topics::POD_LEAVES);
            topics.add_if(!pod.spec.volumes.is_empty(), Topics::POD_VOLUMES);
        }
        topics
    }

    fn add_if(&mut self, holds: bool, other: Topics) {
        if holds {
            *self = self.and(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Uid;
    use crate::model::{Meta, OwnerReference, Phase, PodVolume, PodVolumeSource};
    use crate::time::{Span, Time};

    fn pod(change: impl FnOnce(&mut Pod)) -> Pod {
        let owner = |kind| OwnerReference {
            kind,
            name: "web".into(),
            uid: Uid::new(1),
            controller: true,
            block_owner_deletion: true,
        };
        let meta = Meta { owners: [owner(Kind::ReplicaSet)].into(), ..Meta::named("default", "web-1") };
        let mut pod = Pod { meta: meta.into(), ..Pod::default() };
        change(&mut pod);
        pod
    }

    #[test]
    fn a_pods_change_is_about_what_has_changed_and_about_who_manages_it() {
        let plain = pod(|_| {});
        let bound = pod(|pod| pod.node = Some("node-1".into()));
        let marked = pod(|pod| pod.meta.deleted_at = Some(Time::ZERO));
        let failed = pod(|pod| pod.status.phase = Phase::Failed);
        let orphan = pod(|pod| pod.meta.owners = [].into());
        let deadline = pod(|pod| pod.spec.active_deadline = Some(Span::from_secs(60)));
        let source = PodVolumeSource::Claim { name: "data".into(), read_only: false };
        let with_volume = pod(|pod| pod.spec.volumes = vec![PodVolume { name: "data".into(), source }]);
        let of_set = Topics::of(Kind::Pod).and(Topics::pods_of(Kind::ReplicaSet));
        let comes = of_set.and(Topics::POD_OWNERS);
        for (story, old, new, expected) in [
            ("nothing", Some(&plain), Some(&plain), of_set),
            ("creation", None, Some(&plain), comes),
            ("creation on a node", None, Some(&bound), comes.and(Topics::POD_MOVES)),
            ("binding", Some(&plain), Some(&bound), of_set.and(Topics::POD_MOVES)),
            ("deletion mark", Some(&plain), Some(&marked), of_set.and(Topics::POD_LEAVES)),
            ("failure", Some(&plain), Some(&failed), of_set.and(Topics::POD_LEAVES)),
            ("back from failure", Some(&failed), Some(&plain), of_set.and(Topics::POD_LEAVES)),
            ("spec", Some(&plain), Some(&deadline), of_set.and(Topics::POD_SPEC)),
            ("creation with a volume", None, Some(&with_volume), comes.and(Topics::POD_VOLUMES)),
            ("release", Some(&plain), Some(&orphan), comes.and(Topics::POD_OF_NOBODY)),
            ("end", Some(&bound), None, comes.and(Topics::POD_MOVES).and(Topics::POD_ENDS)),
        ] {
            assert_eq!(Topics::of_pods(old, new), expected, "{story}");
        }
        assert!(Topics::of_pods(None, Some(&orphan)).meet(Topics::pods_of(Kind::Job)), "a Job could adopt it");
        assert!(!of_set.meet(Topics::pods_of(Kind::Job)) && !of_set.meet(Topics::OTHER_KINDS));
    }
}
