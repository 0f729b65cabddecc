//! The node's queue of image pulls: with `serializeImagePulls`, one at a time, first come first served.
//!
//! Whether an image is there already is asked outside the queue (a pull with the policy `Never`), so a pod whose
//! images are present never waits behind another pod's long pull, as in Kubernetes.
//!
//! Source: `EnsureImageExists`, pkg/kubelet/images/image_manager.go (v1.34.1).

use std::collections::VecDeque;

use crate::id::Uid;
use crate::kubelet::ContainerIndex;

/// A container that needs an image.
pub(super) type Needy = (Uid, ContainerIndex);

/// The pulls that wait and the ones under way.
#[derive(Default)]
pub(super) struct Pulls {
    waiting: VecDeque<Needy>,
    /// With serial pulls, at most one.
    under_way: Vec<Needy>,
}

impl Pulls {
    /// Puts a container at the queue's end.
    pub(super) fn enqueue(&mut self, needy: Needy) {
        self.waiting.push_back(needy);
    }

    /// The next container whose pull may begin; the caller either begins it with [`Pulls::begin`] or drops it.
    pub(super) fn next(&mut self, serial: bool) -> Option<Needy> {
        if serial && !self.under_way.is_empty() { None } else { self.waiting.pop_front() }
    }

    /// A pull has begun.
    pub(super) fn begin(&mut self, needy: Needy) {
        self.under_way.push(needy);
    }

    /// A pull has ended, well or badly; one that was never begun is no mistake (it was a look at what is there).
    pub(super) fn finish(&mut self, needy: Needy) {
        self.under_way.retain(|other| *other != needy);
    }
}
