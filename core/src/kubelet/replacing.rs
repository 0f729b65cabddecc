//! Containers whose image is changed while they run: they are killed and started again with the new one.
//!
//! Source: `containerChanged`, `computePodActions`, pkg/kubelet/kuberuntime/kuberuntime_manager.go; `HashContainer`,
//! pkg/kubelet/container/helpers.go (v1.34.1). Absent on purpose: changes while the kubelet is away, because a runtime
//! does not say which image a container was started with.

use std::sync::Arc;

use crate::digest::Shared;
use crate::id::Name;
use crate::kubelet::backoff::Backoff;
use crate::kubelet::pod_life::{Doing, Host, PodLife};
use crate::model::{Pod, PodSpec};
use crate::time::Time;

impl PodLife {
    /// Takes in a new version of the pod and notes which containers it makes outdated. One that waits and gets another
    /// image waits no more.
    ///
    /// Source: `GetBackoffKey`, pkg/kubelet/kuberuntime/helpers.go; `pullImage`, pkg/kubelet/images/image_manager.go
    /// (v1.34.1).
    pub(super) fn take_version(&mut self, pod: Arc<Pod>) {
        let old = std::mem::replace(&mut self.pod, pod);
        if !self.confirmed || old.spec == self.pod.spec {
            return;
        }
        let images = old.spec.init_containers.iter().chain(&old.spec.containers).map(|container| &container.image);
        for (place, before) in images.enumerate().take(self.containers.len()) {
            let now = &self.spec(place).image.clone();
            let container = &mut self.containers[place];
            if before == now {
                continue;
            }
            // Waits count for a container with its image.
            if let Some(trouble) = container.trouble_mut() {
                trouble.crashes = Backoff::default();
            }
            if matches!(container.doing, Doing::Waiting | Doing::Ended) {
                if let Some(trouble) = container.trouble_mut() {
                    (trouble.until, trouble.next_told) = (Time::ZERO, None);
                }
                continue;
            }
            let trouble = container.note().trouble.get_or_insert_default();
            let started_with = trouble.outdated.get_or_insert_with(|| before.clone());
            if started_with == now {
                trouble.outdated = None;
            }
        }
    }

    /// The image that a container's start was begun with.
    pub(super) fn image_of(&self, place: usize) -> Name {
        let trouble = self.containers[place].incidents().trouble.as_ref();
        let outdated = trouble.and_then(|trouble| trouble.outdated.clone());
        outdated.unwrap_or_else(|| self.spec(place).image.clone())
    }

    /// The pod as it was when a container's start was begun: a sync goes on with what it has begun with.
    pub(super) fn as_begun(&self, place: usize) -> Arc<Pod> {
        let image = self.image_of(place);
        if image == self.spec(place).image {
            return self.pod.clone();
        }
        let mut pod = Pod::clone(&self.pod);
        let mut spec = PodSpec::clone(&pod.spec);
        let container = match place.checked_sub(self.init_count()) {
            None => &mut spec.init_containers[place],
            Some(number) => &mut spec.containers[number],
        };
        container.image = image;
        pod.spec = Shared::new(spec);
        Arc::new(pod)
    }

    /// Kills a container that runs with an image which the pod no longer names; regular init containers end by
    /// themselves.
    pub(super) fn replace_outdated(&mut self, place: usize, host: &mut Host<'_, '_>) {
        let container = &self.containers[place];
        let trouble = container.incidents().trouble.as_ref();
        let is_outdated = trouble.is_some_and(|trouble| trouble.outdated.is_some());
        if !is_outdated || !container.is_running() || !container.seen {
            return;
        }
        if place >= self.init_count() || self.spec(place).sidecar && container.started {
            self.kill(place, self.pod.spec.termination_grace, "definition changed", true, host);
        }
    }
}
