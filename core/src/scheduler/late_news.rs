//! Changes of claims and volumes that the queue has heard of and the plugin that binds has not.
//!
//! Both have a handler of their own at each informer, and which is called first is chance. A pod whose back-off has
//! ended is tried at once; if the plugin's cache is the slower one, it fails as before and waits for the next change.
//! Absent on purpose: a new claim, without which an attempt would end in an error.
//!
//! Source: `addAllEventHandlers`, pkg/scheduler/eventhandlers.go; `NewAssumeCache`,
//! pkg/scheduler/util/assumecache/assume_cache.go (v1.34.1).

use crate::draw::{Purpose, below, draw};
use crate::model::{ClaimPhase, Object};

/// The changes that are late.
pub(super) struct LateNews {
    seed: u64,
    percent: u8,
    /// How many changes there were that could be late.
    count: u64,
    pub(super) waiting: Vec<(Option<Object>, Object)>,
}

impl LateNews {
    pub(super) fn new(seed: u64, percent: u8) -> LateNews {
        LateNews { seed, percent, count: 0, waiting: Vec::new() }
    }

    /// Takes a change that is late; `false` for one that is not. What a claim says of its end is read elsewhere, at
    /// once.
    pub(super) fn take(&mut self, old: Option<&Object>, new: Option<&Object>) -> bool {
        if self.percent == 0 {
            return false;
        }
        let Some(new) = new.filter(|new| match new {
            Object::PersistentVolumeClaim(claim) => {
                old.is_some() && !claim.meta.is_terminating() && claim.status.phase != ClaimPhase::Lost
            }
            Object::PersistentVolume(_) => true,
            _ => false,
        }) else {
            return false;
        };
        self.count += 1;
        let is_late = below(draw(self.seed, Purpose::VolumeNews, self.count, 0), 100) < u64::from(self.percent);
        if is_late {
            self.waiting.push((old.cloned(), new.clone()));
        }
        is_late
    }
}
