//! Changes of claims and volumes that the queue has heard of and the plugin that binds has not.
//!
//! Both have a handler of their own at each informer, and which is called first is chance. A pod whose back-off has
//! ended is tried at once; if the plugin's cache is the slower one, it fails as before and waits for the next change.
//! A new claim the plugin finds, as everybody does, and then misses it in its cache: the attempt ends in an error, and
//! the pod is tried again after its back-off.
//!
//! Source: `addAllEventHandlers`, pkg/scheduler/eventhandlers.go; `NewAssumeCache`,
//! pkg/scheduler/util/assumecache/assume_cache.go; `PreFilter`, plugins/volumebinding/volume_binding.go; `isPVCBound`,
//! plugins/volumebinding/binder.go (v1.34.1).

use crate::draw::{Purpose, below, draw};
use crate::id::Name;
use crate::model::{ClaimPhase, Object, Pod};
use crate::scheduler::storage::Storage;
use crate::time::Time;

/// The changes that are late.
pub(super) struct LateNews {
    seed: u64,
    percent: u8,
    /// How many changes there were that could be late.
    count: u64,
    /// The same of new claims.
    claim_count: u64,
    pub(super) waiting: Vec<(Option<Object>, Object)>,
    /// Claims that are new and late, since when. Nobody is late for longer than a moment.
    new_claims: Vec<(Time, Object)>,
}

impl LateNews {
    pub(super) fn new(seed: u64, percent: u8) -> LateNews {
        LateNews { seed, percent, count: 0, claim_count: 0, waiting: Vec::new(), new_claims: Vec::new() }
    }

    /// Takes a change that is late; `false` for one that is not. What a claim says of its end is read elsewhere, at
    /// once.
    pub(super) fn take(&mut self, old: Option<&Object>, new: Option<&Object>, now: Time) -> bool {
        if self.percent == 0 {
            return false;
        }
        if let (None, Some(claim @ Object::PersistentVolumeClaim(_))) = (old, new) {
            self.claim_count += 1;
            let is_late = self.is_late(self.claim_count, 1);
            if is_late {
                self.new_claims.push((now, claim.clone()));
            }
            return is_late;
        }
        let Some(new) = new.filter(|new| match new {
            Object::PersistentVolumeClaim(claim) => {
                !claim.meta.is_terminating() && claim.status.phase != ClaimPhase::Lost
            }
            Object::PersistentVolume(_) => true,
            _ => false,
        }) else {
            return false;
        };
        self.count += 1;
        let is_late = self.is_late(self.count, 0);
        if is_late {
            self.waiting.push((old.cloned(), new.clone()));
        }
        is_late
    }

    fn is_late(&self, count: u64, of: u64) -> bool {
        below(draw(self.seed, Purpose::VolumeNews, count, of), 100) < u64::from(self.percent)
    }

    /// The new claims that are known by now; all if no time is given.
    pub(super) fn known_claims(&mut self, now: Option<Time>) -> Vec<Object> {
        let is_known = |(since, _): &mut (Time, Object)| now.is_none_or(|now| *since < now);
        self.new_claims.extract_if(.., is_known).map(|(_, claim)| claim).collect()
    }

    /// The first of a pod's claims that is there and is missed, if all of them are there.
    pub(super) fn missed(&self, pod: &Pod, storage: &Storage) -> Option<Name> {
        if self.new_claims.is_empty() {
            return None;
        }
        let mut missed = None;
        for (name, _) in pod.spec.volumes.iter().filter_map(|volume| volume.claim_name(&pod.meta.name)) {
            let is_it = |claim: &Object| claim.meta().namespace == pod.meta.namespace && claim.meta().name == name;
            if self.new_claims.iter().any(|(_, claim)| is_it(claim)) {
                missed.get_or_insert(name);
            } else {
                storage.claim(&pod.meta.namespace, &name)?;
            }
        }
        missed
    }
}
