//! What a pod's row makes of the runtime's news: sandboxes, starts, probes and ends of containers.

use std::sync::Arc;

use crate::facts::What;
use crate::id::Name;
use crate::kubelet::pod_life::{BackOff, Doing, Host, Incidents, PodLife, PostStart, SYNC_RETRY, Sandbox, Told};
use crate::kubelet::{ProbeKind, RuntimeRequest};
use crate::model::{Address, RestartPolicy, Terminated};

/// The exit code that container runtimes give a container that could not be started.
const START_ERROR: i32 = 128;
/// The reason of its end.
const NEVER_STARTED: &str = "StartError";

impl PodLife {
    /// A container runs, which the kubelet sees at its next relist.
    pub(in crate::kubelet) fn on_started(&mut self, place: usize, attempt: u32, host: &mut Host<'_, '_>) {
        let container = &mut self.containers[place];
        // Not only from `Starting`: the start may have been asked for by a kubelet that has died since.
        if container.ran || container.attempt != attempt {
            return;
        }
        container.doing = Doing::Running(host.ctx.now);
        container.ran = true;
        container.seen = false;
        if let Some(incidents) = container.incidents_mut() {
            incidents.post_start = PostStart::Done;
        }
        let container = self.spec(place).name.clone();
        self.say(place, "Created", format_args!("Created container: {container}"), host);
        self.say(place, "Started", format_args!("Started container {container}"), host);
        host.ctx.record(self.key(), What::Started { container, restarts: attempt });
        self.begin_post_start(place, host);
    }

    /// The relist shows that a container runs: its probes begin. One without a readiness probe is ready at once if it
    /// serves from its start on.
    pub(in crate::kubelet) fn on_seen(&mut self, place: usize, attempt: u32, serves: bool, host: &mut Host<'_, '_>) {
        let container = &mut self.containers[place];
        if !container.is_running() || container.attempt != attempt || container.seen {
            return;
        }
        if container.incidents().post_start != PostStart::Done {
            // The pod's worker waits for the hook, so nobody takes note of the container before it has ended.
            if container.incidents().post_start == PostStart::Running {
                let incidents = container.note();
                (incidents.post_start, incidents.serves) = (PostStart::RunningSeen, serves);
            }
            return;
        }
        container.seen = true;
        container.forget_purged();
        if let Some(incidents) = container.incidents_mut() {
            incidents.again = false;
        }
        container.no_reason_to_wait();
        self.sync_others(place, host);
        match self.spec(place).startup_probe.clone() {
            Some(probe) => {
                self.containers[place].note().serves = serves;
                self.probe(place, ProbeKind::Startup, Some(probe), host);
            }
            None => self.on_startup_passed(place, serves, host),
        }
    }

    fn on_startup_passed(&mut self, place: usize, serves: bool, host: &mut Host<'_, '_>) {
        self.containers[place].started = true;
        if place < self.init_count() && !self.spec(place).sidecar {
            return;
        }
        match self.spec(place).readiness_probe.clone() {
            None if serves => self.containers[place].ready = true,
            readiness => self.probe(place, ProbeKind::Readiness, readiness, host),
        }
        if let Some(probe) = self.spec(place).liveness_probe.clone() {
            self.probe(place, ProbeKind::Liveness, Some(probe), host);
        }
    }

    /// Has a container probed. A worker ticks for each probe from the pod's beginning on, whatever becomes of the
    /// container; only that of readiness is woken when it is wanted, and ticks from then on.
    ///
    /// Source: `worker.run`, pkg/kubelet/prober/worker.go; `UpdatePodStatus`, pkg/kubelet/prober/prober_manager.go
    /// (v1.34.1).
    pub(super) fn probe(
        &self,
        place: usize,
        kind: ProbeKind,
        probe: Option<crate::model::Probe>,
        host: &mut Host<'_, '_>,
    ) {
        let (pod, container, attempt) = (self.uid(), self.index(place), self.containers[place].attempt);
        let probe = probe.map(Box::new);
        let ticks_from = if kind == ProbeKind::Readiness { host.ctx.now } else { self.taken_on_at };
        host.ask(RuntimeRequest::Probe { pod, container, attempt, kind, probe, ticks_from });
    }

    /// A probe's result has changed.
    pub(in crate::kubelet) fn on_probe(
        &mut self,
        place: usize,
        kind: ProbeKind,
        passing: bool,
        host: &mut Host<'_, '_>,
    ) {
        if !self.containers[place].is_running() || !self.containers[place].seen {
            return;
        }
        let container = &self.containers[place];
        // The other two are on hold once they have decided: until the container is another one.
        let decided = container.incidents().stopping.is_some() || kind == ProbeKind::Startup && container.started;
        if kind != ProbeKind::Readiness && decided {
            return;
        }
        // Without a probe there are no results of one, only a container that serves.
        if self.probe_of(place, kind).is_some() {
            if !passing {
                let (container, probe) = (self.spec(place).name.clone(), format!("{kind:?}").into());
                host.ctx.record(self.key(), What::Unhealthy { container, probe });
            }
            self.sync_others(place, host);
        }
        match (kind, passing) {
            (ProbeKind::Readiness, passing) => self.containers[place].ready = passing,
            (ProbeKind::Startup, true) if !self.containers[place].started => {
                let serves = self.containers[place].incidents().serves;
                self.on_startup_passed(place, serves, host);
            }
            (ProbeKind::Startup | ProbeKind::Liveness, false) if self.ending.is_none() => {
                let spec = self.spec(place);
                let probe = if kind == ProbeKind::Startup { &spec.startup_probe } else { &spec.liveness_probe };
                let own = probe.as_ref().and_then(|probe| probe.termination_grace);
                let grace = own.unwrap_or(self.pod.spec.termination_grace);
                let probe = if kind == ProbeKind::Startup { "startup" } else { "liveness" };
                let again = spec.sidecar || self.pod.spec.restart_policy != RestartPolicy::Never;
                self.kill(place, grace, &format!("failed {probe} probe"), again, host);
            }
            _ => {}
        }
    }

    /// A container has ended, and the kubelet sees it.
    pub(in crate::kubelet) fn on_exited(
        &mut self,
        place: usize,
        attempt: u32,
        how: Terminated,
        host: &mut Host<'_, '_>,
    ) {
        let (now, wants) = (host.ctx.now, self.ending.is_none());
        let container = &mut self.containers[place];
        if !container.is_running() || container.attempt != attempt {
            return;
        }
        container.doing = Doing::Ended;
        (container.ready, container.started, container.seen) = (false, false, false);
        self.end_probes(place, host);
        self.sync_others(place, host);
        let container = &mut self.containers[place];
        container.forget_purged();
        let incidents = container.note();
        let stopping = incidents.stopping.take();
        let again = wants && stopping.as_ref().is_some_and(|stopping| stopping.again);
        let hook_failed = incidents.post_start == PostStart::Failed;
        let was_started = !hook_failed && *how.reason != *NEVER_STARTED;
        let killed = stopping.is_some() && !hook_failed;
        incidents.post_start = PostStart::Done;
        incidents.before = incidents.ended.replace(Arc::new(how));
        let again = again && !self.restarts(place);
        self.containers[place].note().again = again;
        if was_started {
            self.containers[place].no_reason_to_wait();
        }
        if !wants || !self.restarts(place) {
            return;
        }
        if let Some(trouble) = self.containers[place].trouble_mut().filter(|_| hook_failed) {
            trouble.reason = "PostStartHookError".into();
        }
        let config = &host.ctx.config.kubelet;
        let Incidents { trouble: Some(trouble), ended, before, .. } = self.containers[place].incidents() else {
            return;
        };
        let until = |ended: &Option<Arc<Terminated>>| {
            ended.as_ref().and_then(|ended| trouble.crashes.until(ended.finished_at, config)).filter(|at| *at > now)
        };
        // A container that the kubelet killed is started in the same sync, which knows of the end before only; if that
        // one's back-off is not over, the next sync counts from this end.
        if killed && until(before).is_none() {
            return;
        }
        let Some(until) = until(ended) else { return };
        let delay = trouble.crashes.delay();
        // The sync that finds the container ended has made its status before it finds that it waits; the next one
        // tells.
        let trouble = self.containers[place].note().trouble.get_or_insert_default();
        let told = Some(((now + SYNC_RETRY).min(until), Told::CrashLoopBackOff));
        (trouble.until, trouble.next_told) = (until, told);
        self.back_off(place, BackOff::Start, host);
        let container = self.spec(place).name.clone();
        let seconds = u32::try_from(delay.as_secs()).unwrap_or(u32::MAX);
        host.ctx.record(self.key(), What::BackOff { container, seconds });
    }

    /// A container could not be started.
    pub(in crate::kubelet) fn on_start_failed(
        &mut self,
        place: usize,
        attempt: u32,
        why: (Name, Name),
        host: &mut Host<'_, '_>,
    ) {
        let container = &mut self.containers[place];
        if container.doing != Doing::Starting || container.attempt != attempt {
            return;
        }
        if *why.0 == *"RunContainerError" {
            return self.on_stillborn(place, attempt, why, host);
        }
        container.ran = false;
        self.give_up_start(place);
        let container = &mut self.containers[place];
        container.hold(host.ctx.now + SYNC_RETRY, &why.0, why.1.to_string());
        self.warn(place, "Failed", format_args!("Error: {}", why.1), host);
    }

    /// A container was made but could not be started: to its runtime it has ended, and so the policy and the back-off
    /// of containers that end apply.
    fn on_stillborn(&mut self, place: usize, attempt: u32, (reason, why): (Name, Name), host: &mut Host<'_, '_>) {
        let name = self.spec(place).name.clone();
        self.say(place, "Created", format_args!("Created container: {name}"), host);
        self.warn(place, "Failed", format_args!("Error: {why}"), host);
        let (now, container) = (host.ctx.now, &mut self.containers[place]);
        container.doing = Doing::Running(now);
        container.ran = true;
        let trouble = container.note().trouble.get_or_insert_default();
        (trouble.reason, trouble.message) = (reason, why);
        let (exit_code, reason) = (START_ERROR, NEVER_STARTED.into());
        let how = Terminated { exit_code, reason, started_at: now, finished_at: now };
        self.on_exited(place, attempt, how, host);
        if self.ending.is_some() || !self.restarts(place) {
            self.containers[place].no_reason_to_wait();
        }
    }

    /// A start has come to nothing. One that the policy does not ask for is not tried again.
    pub(in crate::kubelet) fn give_up_start(&mut self, place: usize) {
        let container = &mut self.containers[place];
        let forced = container.incidents_mut().is_some_and(|incidents| std::mem::take(&mut incidents.again));
        let was_forced = forced && container.ended().is_some();
        container.doing = if was_forced { Doing::Ended } else { Doing::Waiting };
    }

    /// The sandbox is there.
    pub(in crate::kubelet) fn on_sandbox(&mut self, address: Address) {
        if self.sandbox == Sandbox::Asked {
            self.sandbox = Sandbox::Ready(address);
        }
    }

    /// The sandbox could not be made.
    pub(in crate::kubelet) fn on_sandbox_failed(&mut self, why: &Name, host: &mut Host<'_, '_>) {
        if self.sandbox == Sandbox::Asked {
            self.sandbox = Sandbox::Failed(host.ctx.now + SYNC_RETRY);
            let message = format!("Failed to create pod sandbox: {why}");
            self.warn_pod("FailedCreatePodSandBox", message, host.ctx);
        }
    }

    /// The sandbox has died: what ran in it is stopped, and a new one begins with the init containers.
    pub(in crate::kubelet) fn on_sandbox_lost(&mut self, host: &mut Host<'_, '_>) {
        if !matches!(self.sandbox, Sandbox::Ready(_)) || self.ending.is_some() {
            return;
        }
        self.sandbox = Sandbox::Lost;
        self.initialized = false;
        for place in 0..self.containers.len() {
            let container = &mut self.containers[place];
            let waits_for_image = container.is_being_started() && container.doing != Doing::Starting;
            if waits_for_image || (place < self.pod.spec.init_containers.len() && container.doing == Doing::Ended) {
                container.doing = Doing::Waiting;
            }
        }
        if !self.is_over() && !self.is_stuck() {
            let message = "Pod sandbox changed, it will be killed and re-created.";
            self.say_of_pod("SandboxChanged", message, host.ctx);
        }
    }
}
