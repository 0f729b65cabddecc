//! How a pod's life on its node ends: containers stopped within the grace, sidecars last, then the sandbox.
//!
//! A life ends because its object is being deleted, because the object is gone (force delete), or because all
//! containers have ended for good; only the first two remove what is left of it on the node. Readiness goes with the
//! containers, as in Kubernetes: endpoints leave because of the deletion mark, not because of the pod's conditions.
//!
//! Source: `calculateEffectiveGracePeriod`, pkg/kubelet/pod_workers.go; `killContainer`, `terminationOrdering`,
//! pkg/kubelet/kuberuntime (v1.34.1). Absent on purpose: pre-stop hooks, and the removal of a finished pod's sandbox before
//! its object goes (nothing runs in it).

use crate::facts::What;
use crate::kubelet::RuntimeRequest;
use crate::kubelet::pod_life::{Doing, Host, PodLife, Sandbox};
use crate::time::{Span, Time};

/// The least time that a container gets to end by itself.
///
/// Source: `minimumGracePeriodInSeconds`, pkg/kubelet/kuberuntime/kuberuntime_manager.go (v1.34.1).
const LEAST_GRACE: Span = Span::from_secs(2);

/// A life that is ending.
pub(super) struct Ending {
    /// When the grace is over.
    pub(super) deadline: Time,
    /// Whether the sandbox and the ended containers are removed too.
    remove: bool,
    removal: Removal,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Removal {
    No,
    Asked,
    Done,
}

impl PodLife {
    /// Ends the life, or brings its end nearer; never puts it off.
    pub(super) fn end(&mut self, grace: Span, remove: bool, host: &mut Host<'_, '_>) {
        let deadline = host.ctx.now + grace.max(LEAST_GRACE);
        match &mut self.ending {
            None => self.ending = Some(Ending { deadline, remove, removal: Removal::No }),
            Some(ending) => {
                ending.remove |= remove;
                if deadline >= ending.deadline {
                    return;
                }
                ending.deadline = deadline;
                for place in 0..self.containers.len() {
                    if self.containers[place].is_running() && self.containers[place].stopping {
                        self.ask_to_stop(place, grace, host);
                    }
                }
            }
        }
    }

    /// Stops what runs, sidecars last and in reverse order, and then removes the rest.
    pub(super) fn go_on_ending(&mut self, host: &mut Host<'_, '_>) {
        let Some(Ending { deadline, remove, removal }) = self.ending else { return };
        for container in &mut self.containers {
            if matches!(container.doing, Doing::Checking | Doing::Queued | Doing::Pulling) {
                container.doing = if container.ended.is_some() { Doing::Ended } else { Doing::Waiting };
            }
        }
        let grace = deadline.since(host.ctx.now);
        let is_sidecar = |life: &PodLife, place: usize| place < life.init_count() && life.spec(place).sidecar;
        let alive: Vec<usize> = (0..self.containers.len())
            .filter(|place| matches!(self.containers[*place].doing, Doing::Running(_) | Doing::Starting))
            .collect();
        let mut others = alive.iter().copied().filter(|place| !is_sidecar(self, *place)).collect::<Vec<_>>();
        if others.is_empty() {
            others.extend(alive.last());
        }
        for place in &others {
            self.stop(*place, grace, host);
        }
        if !others.is_empty() || !remove || removal != Removal::No {
            return;
        }
        let removal = if self.sandbox == Sandbox::Absent { Removal::Done } else { Removal::Asked };
        if removal == Removal::Asked {
            host.ask(RuntimeRequest::RemovePod { pod: self.uid() });
        }
        if let Some(ending) = &mut self.ending {
            ending.removal = removal;
        }
    }

    /// Stops a running container, once.
    pub(super) fn stop(&mut self, place: usize, grace: Span, host: &mut Host<'_, '_>) {
        if !self.containers[place].is_running() || self.containers[place].stopping {
            return;
        }
        self.containers[place].stopping = true;
        host.ctx.record(self.key(), What::Killing { container: self.spec(place).name.clone() });
        self.ask_to_stop(place, grace, host);
    }

    /// The runtime has removed everything.
    pub(super) fn on_removed(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.removal = Removal::Done;
            self.sandbox = Sandbox::Absent;
        }
    }

    /// Whether nothing of the pod is left on the node.
    pub(super) fn is_removed(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.removal == Removal::Done)
    }

    /// Whether no container runs and none will.
    pub(super) fn is_settled(&self) -> bool {
        let alive = |doing: Doing| matches!(doing, Doing::Running(_) | Doing::Starting);
        self.ending.is_some() && !self.containers.iter().any(|container| alive(container.doing))
    }

    fn ask_to_stop(&mut self, place: usize, grace: Span, host: &mut Host<'_, '_>) {
        let (pod, container, attempt) = (self.uid(), self.index(place), self.containers[place].attempt);
        let grace = grace.max(LEAST_GRACE);
        host.ask(RuntimeRequest::StopContainer { pod, container, attempt, grace });
    }
}
