//! Which container of a pod starts next, and how its start begins.
//!
//! Source: `computePodActions`, `computeInitContainerActions`, `SyncPod`, pkg/kubelet/kuberuntime (v1.34.1).

use crate::kubelet::RuntimeRequest;
use crate::kubelet::pod_life::{ContainerLife, Doing, Host, Incidents, PodLife, Sandbox};
use crate::model::PullPolicy;
use crate::time::{Span, Time};

impl PodLife {
    /// The first container that is to be started and need not wait.
    pub(super) fn next_to_start(&mut self, now: Time) -> Option<usize> {
        let init = self.next_init(now);
        if init.is_some() || !self.may_run_others() {
            return init;
        }
        self.initialized = true;
        (self.init_count()..self.containers.len()).find(|place| {
            let container = &self.containers[*place];
            let wanted = match container.doing {
                Doing::Waiting => true,
                Doing::Ended => self.restarts(*place),
                _ => false,
            };
            wanted && !container.is_held(now)
        })
    }

    /// The first init container that is to be started and need not wait. The last one that is there decides which is
    /// next; of those before it only sidecars are started again, and one that waits for that holds nothing back.
    ///
    /// Source: `computeInitContainerActions`, pkg/kubelet/kuberuntime/kuberuntime_container.go (v1.34.1).
    fn next_init(&self, now: Time) -> Option<usize> {
        let is_there = |place: &usize| matches!(self.containers[*place].doing, Doing::Running(_) | Doing::Ended);
        let last = (0..self.init_count()).rev().find(is_there);
        let next = match last {
            _ if self.initialized => self.init_count(),
            None => 0,
            Some(last) => last + usize::from(self.is_done_initializing(last)),
        };
        let is_wanted = |place: &usize| {
            let (sidecar, running) = (self.spec(*place).sidecar, self.containers[*place].is_running());
            !running && (sidecar || *place == next) && !self.containers[*place].is_held(now)
        };
        (0..self.init_count().min(next + 1)).find(is_wanted)
    }

    /// Whether the init container that comes after this one may start.
    fn is_done_initializing(&self, place: usize) -> bool {
        let container = &self.containers[place];
        match container.doing {
            Doing::Running(_) => self.spec(place).sidecar && container.started,
            Doing::Ended => !self.spec(place).sidecar && !self.restarts(place),
            _ => false,
        }
    }

    /// Whether regular containers may be started: init containers are done, and a last one that is a sidecar runs. Once
    /// a regular container runs that makes no difference any more.
    fn may_run_others(&self) -> bool {
        let (mut others, last) = (self.init_count()..self.containers.len(), self.init_count().checked_sub(1));
        let last_is_done = last.is_none_or(|last| match self.spec(last).sidecar {
            false => self.initialized || self.is_done_initializing(last),
            true => self.is_done_initializing(last),
        });
        last_is_done || self.initialized && others.any(|place| self.containers[place].is_running())
    }

    /// Whether the sync that was under way when the pod's end began goes on: its worker does one thing after the other,
    /// and heeds the end when it has pulled the images and started the containers that it was about to start.
    ///
    /// Source: `podWorkerLoop`, pkg/kubelet/pod_workers.go; `SyncPod`, pkg/kubelet/kubelet.go (v1.34.1), which lets the
    /// runtime's part of a sync go on when the sync is cancelled.
    pub(super) fn finishes_sync(&mut self, host: &mut Host<'_, '_>) -> bool {
        if !self.is_ending_in_sync() {
            return false;
        }
        if self.containers.iter().any(ContainerLife::is_being_started) {
            return true;
        }
        let now = host.ctx.now;
        let mut others = self.init_count()..self.containers.len();
        let next = others.find(|place| {
            let container = &self.containers[*place];
            self.initialized && container.doing == Doing::Waiting && !container.is_held(now)
        });
        match next {
            Some(place) => self.begin(place, host),
            None => self.heed_end(host),
        }
        next.is_some()
    }

    /// Whether a sync is under way that starts containers.
    pub(in crate::kubelet) fn is_in_sync(&self) -> bool {
        matches!(self.sandbox, Sandbox::Ready(_)) && self.containers.iter().any(ContainerLife::is_being_started)
    }

    /// Begins a container's next start with its image.
    pub(super) fn begin(&mut self, place: usize, host: &mut Host<'_, '_>) {
        let (now, uid, index) = (host.ctx.now, self.uid(), self.index(place));
        self.end_back_off(place, host);
        self.sync_others(place, host);
        // The first sync has looked at them before the sandbox.
        if self.containers[place].ran || self.containers[place].incidents().trouble.is_some() {
            self.look_at_pull_secrets(host);
        }
        let spec = self.spec(place);
        let (image, policy) = (spec.image.clone(), spec.pull_policy);
        let container = &mut self.containers[place];
        if let Some(trouble) = container.trouble_mut() {
            trouble.outdated = None;
        }
        let ran = container.ran;
        if let Some(Incidents { ended: Some(ended), trouble, .. }) = container.incidents_mut() {
            let crashes = &mut trouble.get_or_insert_default().crashes;
            // Of an end that only the API server tells of, the runtime knows nothing.
            if ran || crashes.delay() > Span::ZERO {
                crashes.grow(ended.finished_at, now, &host.ctx.config.kubelet);
            }
        }
        if container.ran {
            container.attempt += 1;
            container.ran = false;
        }
        let attempt = container.attempt;
        if let Some(incidents) = container.incidents_mut().filter(|it| it.purged && place > 0) {
            incidents.uncounted = attempt;
        }
        if policy == PullPolicy::Always {
            self.queue_pull(place, host);
        } else {
            container.doing = Doing::Checking;
            let policy = PullPolicy::Never;
            host.ask(RuntimeRequest::PullImage { pod: uid, container: index, image, policy, secrets: Vec::new() });
        }
    }

    /// A new sandbox begins with the first init container, whatever those of the one before have come to: they are
    /// removed. Only the first one's count goes on, because it starts in the sync that has removed the others.
    ///
    /// Source: `purgeInitContainers`, `startContainer`, pkg/kubelet/kuberuntime/kuberuntime_container.go (v1.34.1).
    pub(super) fn purge_init_containers(&mut self) {
        let init = self.init_count();
        for container in self.containers.iter_mut().take(init) {
            if container.doing == Doing::Ended {
                container.doing = Doing::Waiting;
            }
            if let Some(incidents) = container.incidents_mut() {
                incidents.purged = incidents.ended.is_some();
            }
        }
    }
}
