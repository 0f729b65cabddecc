//! What a kubelet says again and again of one container: each try of a probe that fails, and each sync that finds it in
//! its back-off. One fact begins a repetition and tells when it ends; another one is recorded only if it ends before.
//!
//! Syncs that end badly come every ten seconds. A sync for another container's sake says it too, and the next comes ten
//! seconds after that. Absent on purpose: syncs because a pod's labels or annotations have changed, and those that a
//! long pull for another container of the pod keeps back.
//!
//! Source: `probe`, pkg/kubelet/prober/prober.go; `doProbe`, pkg/kubelet/prober/worker.go; `completeWork`,
//! pkg/kubelet/pod_workers.go; `doBackOff`, pkg/kubelet/kuberuntime/kuberuntime_manager.go; `pullImage`,
//! pkg/kubelet/images/image_manager.go (v1.34.1).

use crate::events::Repeats;
use crate::kubelet::pod_life::{BackOff, BacksOff, Host, PodLife, SYNC_RETRY};
use crate::kubelet::probe::failure_text;
use crate::kubelet::{FailedTries, ProbeKind};
use crate::model::Probe;
use crate::time::{Span, Time};

impl PodLife {
    /// A try of a probe has failed, and others after it as far as they are told.
    pub(in crate::kubelet) fn on_probe_failed(
        &mut self,
        place: usize,
        kind: ProbeKind,
        tries: &FailedTries,
        host: &mut Host<'_, '_>,
    ) {
        let now = host.ctx.now;
        let container = &self.containers[place];
        // Nobody has seen the container yet, or the pod's worker waits for a hook: no status says that it runs.
        if !container.is_running() || !container.seen || container.started == (kind == ProbeKind::Startup) {
            return;
        }
        // A pod that ends is asked for its readiness alone.
        if kind != ProbeKind::Readiness && self.ending.is_some() && !self.is_ending_in_sync() {
            return;
        }
        let Some(probe) = self.probe_of(place, kind) else { return };
        let period = probe.period.max(Span(1));
        let last = tries.until.filter(|until| *until >= now.saturating_add(period));
        if host.ctx.says_events() {
            let text = failure_text(&tries.how, probe, self.spec(place), self.address());
            let repeats = last.map_or(Repeats::Never, |last| Repeats::Every { period, last });
            self.say_unhealthy(place, format!("{kind:?} probe failed: {text}"), repeats, host);
        }
        if let Some(last) = last {
            self.containers[place].note().failing.get_or_insert_default()[kind as usize] = last;
        }
    }

    pub(super) fn probe_of(&self, place: usize, kind: ProbeKind) -> Option<&Probe> {
        let spec = self.spec(place);
        match kind {
            ProbeKind::Readiness => spec.readiness_probe.as_ref(),
            ProbeKind::Liveness => spec.liveness_probe.as_ref(),
            ProbeKind::Startup => spec.startup_probe.as_ref(),
        }
    }

    /// No probe of a container is tried any more.
    pub(in crate::kubelet) fn end_probes(&mut self, place: usize, host: &mut Host<'_, '_>) {
        let failing = self.containers[place].incidents_mut().and_then(|incidents| incidents.failing.take());
        if failing.is_some_and(|failing| failing.iter().any(|last| *last > host.ctx.now)) {
            self.say_unhealthy(place, String::new(), Repeats::Over, host);
        }
    }

    /// The pod ends: its containers are not restarted, so nothing but their readiness is asked for, and nothing is
    /// held back.
    pub(in crate::kubelet) fn end_repetitions(&mut self, host: &mut Host<'_, '_>) {
        for place in 0..self.containers.len() {
            self.end_back_off(place, host);
            for kind in [ProbeKind::Liveness, ProbeKind::Startup] {
                let incidents = self.containers[place].incidents_mut();
                let Some(failing) = incidents.and_then(|incidents| incidents.failing.as_mut()) else { continue };
                if std::mem::take(&mut failing[kind as usize]) > host.ctx.now {
                    self.say_unhealthy(place, format!("{kind:?} "), Repeats::Over, host);
                }
            }
        }
    }

    /// A sync finds that a container is held back, as the next ones will until its wait is over.
    pub(in crate::kubelet) fn back_off(&mut self, place: usize, of: BackOff, host: &mut Host<'_, '_>) {
        let now = host.ctx.now;
        let Some(trouble) = self.containers[place].trouble_mut() else { return };
        // One sync may be told of several things.
        if trouble.backs_off.is_some_and(|it| it.of == of && it.since == now) {
            return;
        }
        let left = Span(trouble.until.since(now).0.saturating_sub(1));
        let last = now + Span(left.0 / SYNC_RETRY.0 * SYNC_RETRY.0);
        trouble.backs_off = Some(BacksOff { of, since: now, last });
        self.say_back_off(place, of, Repeats::Every { period: SYNC_RETRY, last }, host);
    }

    /// A container is not held back any more.
    pub(in crate::kubelet) fn end_back_off(&mut self, place: usize, host: &mut Host<'_, '_>) {
        let Some(trouble) = self.containers[place].trouble_mut() else { return };
        let going_on = trouble.backs_off.take().filter(|it| it.last > host.ctx.now);
        if let Some(BacksOff { of, .. }) = going_on {
            self.say_back_off(place, of, Repeats::Over, host);
        }
    }

    /// A sync for one container's sake finds others held back.
    pub(in crate::kubelet) fn sync_others(&mut self, place: usize, host: &mut Host<'_, '_>) {
        if self.containers.len() == 1 || self.ending.is_some() {
            return;
        }
        let now = host.ctx.now;
        for other in (0..self.containers.len()).filter(|other| *other != place) {
            let trouble = self.containers[other].trouble_mut().filter(|trouble| trouble.until > now);
            if let Some(BacksOff { of, .. }) = trouble.and_then(|trouble| trouble.backs_off) {
                self.back_off(other, of, host);
            }
        }
    }

    /// Whether something that was said will be said again without a sync or a report that tells this kubelet so.
    pub(in crate::kubelet) fn repeats_something(&self, now: Time) -> bool {
        self.containers.iter().any(|container| {
            let incidents = container.incidents();
            let backs_off = incidents.trouble.as_ref().and_then(|trouble| trouble.backs_off);
            let failing = incidents.failing.as_deref().into_iter().flatten();
            failing.chain(backs_off.as_ref().map(|it| &it.last)).any(|last| *last > now)
        })
    }
}
