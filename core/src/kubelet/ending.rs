//! How a pod's life on its node ends: containers stopped within the grace, sidecars last, then the sandbox.
//!
//! A life ends because its object is being deleted, because the object is gone (force delete), because all containers
//! have ended for good, or because the kubelet ends it ([`Verdict`]); only the first two remove what is left of it on
//! the node. Readiness goes with the containers, as in Kubernetes: endpoints leave because of the deletion mark, not
//! because of the pod's conditions.
//!
//! One container's stop has up to three parts, all within one grace: its pre-stop hook, for a sidecar the wait for its
//! turn, and TERM. Time that the first two took is rounded down to whole seconds, and TERM gets 2 s at least.
//!
//! Source: `calculateEffectiveGracePeriod`, pkg/kubelet/pod_workers.go; `killContainer`, `executePreStopHook`,
//! `terminationOrdering`, pkg/kubelet/kuberuntime (v1.34.1). Absent on purpose: the removal of a finished pod's sandbox
//! before its object goes (nothing runs in it).

use crate::facts::What;
use crate::id::Name;
use crate::kubelet::pod_life::{ContainerLife, Doing, Host, PodLife, Sandbox};
use crate::kubelet::{HookKind, RuntimeRequest};
use crate::model::Hook;
use crate::seam::TimerKind;
use crate::time::{Span, Time};

/// The least time that a container gets to end by itself.
///
/// Source: `minimumGracePeriodInSeconds`, pkg/kubelet/kuberuntime/kuberuntime_manager.go (v1.34.1).
const LEAST_GRACE: Span = Span::from_secs(2);
/// The least grace of a pod's end as a whole, which is how long its pre-stop hooks may run at least.
///
/// Source: `calculateEffectiveGracePeriod`, pkg/kubelet/pod_workers.go (v1.34.1).
const LEAST_POD_GRACE: Span = Span::from_secs(1);
/// The reason of a pod that was active for too long.
const PAST_DEADLINE: &str = "DeadlineExceeded";

/// A life that is ending.
pub(super) struct Ending {
    /// When the grace is over.
    pub(super) deadline: Time,
    /// The grace given, before the least one of containers is applied.
    grace: Span,
    /// Whether the sandbox and the ended containers are removed too.
    remove: bool,
    removal: Removal,
    /// The object's last deletion, with no grace, was asked for.
    delete_asked: bool,
    /// A sync was under way, which is not done yet.
    in_sync: bool,
    /// Why the kubelet itself has ended the pod, if it has.
    verdict: Option<Verdict>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Removal {
    No,
    Asked,
    Done,
}

/// Why a kubelet has ended a pod. The pod fails with it once its containers have ended.
pub(super) struct Verdict {
    /// `Evicted`, `DeadlineExceeded`, `Terminated`.
    pub(super) reason: Name,
    /// A sentence.
    pub(super) message: Name,
    /// What the pod's condition DisruptionTarget (`TerminationByKubelet`) says, if it gets one.
    pub(super) disruption: Option<Name>,
}

/// The stop of one container.
pub(super) struct Stopping {
    part: Part,
    /// What was left of the grace when this part began.
    left: Span,
    since: Time,
    /// The container is killed to be started again.
    pub(super) again: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// The pre-stop hook runs.
    Hook,
    /// Other containers must end first.
    Turn,
    /// The runtime has been asked.
    Asked,
}

impl Stopping {
    /// What is left of the grace by now.
    fn left(&self, now: Time) -> Span {
        let passed = Span::from_secs(now.since(self.since).as_secs());
        Span(self.left.0.saturating_sub(passed.0))
    }
}

impl PodLife {
    /// The kubelet ends the pod, unless it is ending already.
    pub(super) fn condemn(&mut self, verdict: Verdict, grace: Span, host: &mut Host<'_, '_>) {
        if self.ending.is_some() || self.containers.refusal().is_some() {
            return;
        }
        let (reason, message) = (verdict.reason.clone(), verdict.message.clone());
        // A shutdown says so of the node, not of each pod.
        if *reason != *"Terminated" {
            self.warn_pod(reason.to_string(), message.to_string(), host.ctx);
        }
        host.ctx.record(self.key(), What::Ended { reason, message });
        self.end(grace, false, host);
        self.ending.as_mut().expect("the pod has just begun to end").verdict = Some(verdict);
    }

    /// When the pod has been active for as long as it may.
    pub(super) fn deadline(&self) -> Option<Time> {
        let allowed = self.pod.spec.active_deadline.filter(|_| self.ending.is_none() && self.confirmed)?;
        Some(self.taken_on_at.saturating_add(allowed))
    }

    /// Whether it has been ended because it was active for too long.
    pub(super) fn is_past_deadline(&self) -> bool {
        let verdict = self.ending.as_ref().and_then(|ending| ending.verdict.as_ref());
        verdict.is_some_and(|verdict| *verdict.reason == *PAST_DEADLINE)
    }

    /// Ends a pod that has been active for too long.
    ///
    /// Source: `activeDeadlineHandler`, pkg/kubelet/active_deadline.go (v1.34.1).
    pub(super) fn look_at_deadline(&mut self, host: &mut Host<'_, '_>) {
        let Some(at) = self.deadline().filter(|_| !self.containers.is_empty()) else { return };
        if at > host.ctx.now {
            return host.ctx.arm(TimerKind::Pod(self.uid()), at);
        }
        let message = "Pod was active on the node longer than the specified deadline".into();
        let verdict = Verdict { reason: PAST_DEADLINE.into(), message, disruption: None };
        self.condemn(verdict, self.pod.spec.termination_grace, host);
    }

    /// Ends the life. A grace that is shortened later comes too late: the kubelet waits for the stops that it has
    /// begun, and looks at the pod again when they are done.
    ///
    /// Source: `SyncTerminatingPod`, pkg/kubelet/kubelet.go (v1.34.1), which does not heed that its sync is cancelled.
    pub(super) fn end(&mut self, grace: Span, remove: bool, host: &mut Host<'_, '_>) {
        if let Some(ending) = &mut self.ending {
            ending.remove |= remove;
            if ending.in_sync {
                ending.grace = ending.grace.min(grace.max(LEAST_POD_GRACE));
            }
            return;
        }
        let grace = grace.max(LEAST_POD_GRACE);
        let deadline = host.ctx.now + grace.max(LEAST_GRACE);
        let (removal, delete_asked, verdict, in_sync) = (Removal::No, false, None, self.is_in_sync());
        self.ending = Some(Box::new(Ending { deadline, grace, remove, removal, delete_asked, in_sync, verdict }));
    }

    /// Whether its end waits for a sync.
    pub(super) fn is_ending_in_sync(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.in_sync)
    }

    /// The sync is done: the grace begins.
    pub(super) fn heed_end(&mut self, host: &Host<'_, '_>) {
        if let Some(ending) = &mut self.ending {
            ending.in_sync = false;
            ending.deadline = host.ctx.now + ending.grace.max(LEAST_GRACE);
        }
    }

    /// Stops what runs, sidecars last and in reverse order, and then removes the rest.
    pub(super) fn go_on_ending(&mut self, host: &mut Host<'_, '_>) {
        let Some(&Ending { grace, remove, removal, deadline, .. }) = self.ending.as_deref() else { return };
        self.end_repetitions(host);
        // What was started late, by a request that was under way, gets what is left.
        let grace = grace.min(deadline.since(host.ctx.now));
        let all = 0..self.containers.len();
        let (others, sidecars) = (all.clone().map(|place| (place, false)), all.rev().map(|place| (place, true)));
        let mut alive = false;
        for (place, sidecar) in others.chain(sidecars) {
            if self.is_sidecar(place) != sidecar {
                continue;
            }
            self.stop(place, grace, host);
            self.go_on_stopping(place, !alive || !sidecar, host);
            alive |= matches!(self.containers[place].doing, Doing::Running(_) | Doing::Starting);
        }
        if alive || !remove || removal != Removal::No {
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

    fn is_sidecar(&self, place: usize) -> bool {
        place < self.init_count() && self.spec(place).sidecar
    }

    /// Begins to stop a running container, once.
    pub(super) fn stop(&mut self, place: usize, grace: Span, host: &mut Host<'_, '_>) {
        self.stop_because(place, grace, String::new(), host);
    }

    /// As [`PodLife::stop`], with what its event says; empty is that the container is stopped.
    pub(super) fn stop_because(&mut self, place: usize, grace: Span, why: String, host: &mut Host<'_, '_>) {
        let container = &self.containers[place];
        if !container.is_running() || container.incidents().stopping.is_some() {
            return;
        }
        let container = self.spec(place).name.clone();
        match why.is_empty() {
            true => self.say(place, "Killing", format_args!("Stopping container {container}"), host),
            false => self.say(place, "Killing", format_args!("{why}"), host),
        }
        host.ctx.record(self.key(), What::Killing { container });
        // Of a pod that only the runtime knows no hooks are known.
        let hook = self.pre_stop(place).cloned().filter(|_| grace > Span::ZERO && self.confirmed);
        let part = if hook.is_some() { Part::Hook } else { Part::Turn };
        let stopping = Stopping { part, left: grace, since: host.ctx.now, again: false };
        self.containers[place].note().stopping = Some(stopping);
        match hook {
            Some(hook) => self.run_hook(place, HookKind::PreStop, hook, Some(grace), host),
            // Outside an ending there is no order to keep.
            None => self.go_on_stopping(place, self.ending.is_none(), host),
        }
    }

    /// Kills a running container for a reason, to start it `again` or not.
    ///
    /// Source: `computePodActions`, pkg/kubelet/kuberuntime/kuberuntime_manager.go (v1.34.1).
    pub(super) fn kill(&mut self, place: usize, grace: Span, why: &str, again: bool, host: &mut Host<'_, '_>) {
        if self.containers[place].incidents().stopping.is_some() {
            return;
        }
        let name = &self.spec(place).name;
        let message = match (self.is_sidecar(place), again) {
            (true, _) => format!("Init container {name} {why}"),
            (false, true) => format!("Container {name} {why}, will be restarted"),
            (false, false) => format!("Container {name} {why}"),
        };
        self.stop_because(place, grace, message, host);
        if let Some(stopping) = self.containers[place].stopping_mut() {
            stopping.again = again;
        }
    }

    /// Goes on with a stop whose hook is done: waits for the container's turn, then asks the runtime.
    pub(super) fn go_on_stopping(&mut self, place: usize, its_turn: bool, host: &mut Host<'_, '_>) {
        let now = host.ctx.now;
        let Some(stopping) = self.containers[place].stopping_mut().filter(|it| it.part == Part::Turn) else {
            return;
        };
        let left = stopping.left(now);
        if !its_turn && left > Span::ZERO {
            let until = stopping.since + stopping.left;
            return host.ctx.arm(TimerKind::Pod(self.uid()), until.max(now));
        }
        stopping.part = Part::Asked;
        self.ask_to_stop(place, left, host);
    }

    /// A pre-stop hook has ended; how it ended makes no difference to the stop.
    pub(super) fn on_pre_stop_ended(&mut self, place: usize, error: &Name, host: &mut Host<'_, '_>) {
        let now = host.ctx.now;
        let Some(stopping) = self.containers[place].stopping_mut().filter(|it| it.part == Part::Hook) else {
            return;
        };
        (stopping.left, stopping.since, stopping.part) = (stopping.left(now), now, Part::Turn);
        if !error.is_empty() {
            let container = self.spec(place).name.clone();
            self.warn(place, "FailedPreStopHook", format_args!("PreStopHook failed"), host);
            host.ctx.record(self.key(), What::HookFailed { container, hook: "PreStop".into() });
        }
    }

    fn pre_stop(&self, place: usize) -> Option<&Hook> {
        self.spec(place).lifecycle.as_ref()?.pre_stop.as_ref()
    }

    /// The runtime has removed everything.
    pub(super) fn on_removed(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.removal = Removal::Done;
            // The address that the pod had is told to the end.
            if !matches!(self.sandbox, Sandbox::Ready(_)) {
                self.sandbox = Sandbox::Absent;
            }
        }
    }

    /// Whether nothing of the pod is left on the node.
    pub(super) fn is_removed(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.removal == Removal::Done)
    }

    /// Why the kubelet has ended the pod, if it has and nothing of it runs any more.
    pub(super) fn verdict(&self) -> Option<&Verdict> {
        self.ending.as_ref()?.verdict.as_ref().filter(|_| self.is_settled())
    }

    /// Whether nothing is left of the pod but its object, whose deletion has not been asked for; it is now.
    pub(super) fn takes_last_leave(&mut self) -> bool {
        let ending = self.ending.as_mut().filter(|ending| ending.removal == Removal::Done);
        ending.is_some_and(|ending| !std::mem::replace(&mut ending.delete_asked, true))
    }

    /// The deletion that was asked for has come to nothing.
    pub(super) fn forget_last_leave(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.delete_asked = false;
        }
    }

    /// Whether no container runs and none will.
    pub(super) fn is_settled(&self) -> bool {
        let alive = |container: &ContainerLife| container.is_running() || container.is_being_started();
        self.ending.is_some() && !self.is_ending_in_sync() && !self.containers.iter().any(alive)
    }

    fn ask_to_stop(&mut self, place: usize, grace: Span, host: &mut Host<'_, '_>) {
        let (pod, container, attempt) = (self.uid(), self.index(place), self.containers[place].attempt);
        let grace = grace.max(LEAST_GRACE);
        host.ask(RuntimeRequest::StopContainer { pod, container, attempt, grace });
    }
}
