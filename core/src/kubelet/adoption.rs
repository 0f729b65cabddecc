//! What a kubelet makes of lives that began before it: containers that outlived an earlier kubelet are taken over as
//! they run, and pods whose containers are gone (the machine was restarted) begin again with their restarts counted.

use std::sync::Arc;

use crate::id::{Name, literal};
use crate::kubelet::pod_life::{Doing, Host, PodLife, Sandbox};
use crate::kubelet::{RunningContainer, RunningPod};
use crate::model::{ContainerState, ContainerStatus, Terminated};
use crate::time::Time;

/// The reason of an end of which nothing is known.
pub(super) const LOST: &Name = &literal!("ContainerStatusUnknown");

impl PodLife {
    /// A pod that the runtime has; what becomes of it is for the API server's list to say.
    pub(super) fn adopted(found: RunningPod) -> PodLife {
        let mut life = PodLife::new(found.pod, Time::ZERO);
        life.confirmed = false;
        life.sandbox = Sandbox::Ready(found.address);
        for container in &found.containers {
            life.adopt_container(container);
        }
        let mains = &life.containers[life.init_count()..];
        life.initialized = mains.iter().any(|container| container.ran);
        life
    }

    fn adopt_container(&mut self, found: &RunningContainer) {
        let Some(place) = self.place(found.container) else { return };
        let container = &mut self.containers[place];
        // A runtime may still have earlier starts of the container; the newest counts.
        if container.ran && container.attempt > found.attempt {
            return;
        }
        container.attempt = found.attempt;
        container.ran = true;
        if let Some(incidents) = container.incidents_mut() {
            incidents.before = incidents.ended.take();
        }
        match found.exited {
            None => container.doing = Doing::Running(found.started_at),
            Some((exit_code, finished_at)) => {
                let reason = if exit_code == 0 { "Completed" } else { "Error" };
                let started_at = found.started_at;
                let how = Terminated { exit_code, reason: reason.into(), started_at, finished_at };
                container.doing = Doing::Ended;
                container.note().ended = Some(Arc::new(how));
            }
        }
    }

    /// The API server knows an adopted pod: its containers are probed anew. One without a readiness probe stays ready.
    pub(super) fn confirm(&mut self, host: &mut Host<'_, '_>) {
        self.confirmed = true;
        self.taken_on_at = self.pod.status.started_at.get().unwrap_or(host.ctx.now);
        for place in 0..self.containers.len() {
            let status = self.reported(place).cloned();
            let has_probe = self.spec(place).readiness_probe.is_some();
            let container = &mut self.containers[place];
            if let (Some(status), Doing::Running(_)) = (status, container.doing) {
                container.ready = status.ready && !has_probe;
                if let (None, Some(how)) = (container.ended(), status.last_terminated) {
                    container.note().ended = Some(how);
                }
            }
            let (attempt, serves) = (container.attempt, container.ready);
            self.on_seen(place, attempt, serves, host);
        }
    }

    /// A pod that the runtime does not have: containers that had run before are counted as lost and start again.
    pub(super) fn remember(&mut self, now: Time) {
        for place in 0..self.containers.len() {
            let Some(status) = self.reported(place).cloned() else { continue };
            let ended = match (status.state, status.last_terminated) {
                (ContainerState::Terminated(how), _) => Some(how),
                // Of a container that has ended before, the end that is known is shown further on.
                (_, Some(how)) => Some(how),
                (ContainerState::Running { since: started_at }, None) => {
                    let reason = LOST.clone();
                    Some(Arc::new(Terminated { exit_code: 137, reason, started_at, finished_at: now }))
                }
                (ContainerState::Waiting { .. }, None) => None,
            };
            let container = &mut self.containers[place];
            if ended.is_some() {
                container.attempt = status.restarts + 1;
                container.note().ended = ended;
            }
        }
    }

    /// What the API server has of a container.
    fn reported(&self, place: usize) -> Option<&ContainerStatus> {
        match place.checked_sub(self.init_count()) {
            None => self.pod.status.init_containers.get(place),
            Some(number) => self.pod.status.containers.get(number),
        }
    }
}
