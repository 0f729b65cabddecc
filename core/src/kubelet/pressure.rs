//! A kubelet whose node runs short: when it looks, what it tells, whom it evicts.
//!
//! A node with enough of everything costs nothing: the runtime is asked once to say when a level is crossed, and only
//! from then on, until all is well again, the kubelet looks every ten seconds. The same goes for images: their file
//! system is looked at every five minutes from the time that it is filled to the high threshold. Pods over their limit
//! of ephemeral storage are found by the same looks.
//!
//! At most one pod is evicted at a time, but all that are over their own limits of storage: the next look is a second
//! after their containers have ended, or after 30 s.
//!
//! Source: `managerImpl.Start` and `synchronize`, pkg/kubelet/eviction/eviction_manager.go (v1.34.1). A condition is
//! posted at once; Kubernetes posts it with its next look at the node's status, up to 10 s later.

use std::sync::Arc;

use crate::config::EvictionSignal;
use crate::context::Context;
use crate::draw::{Purpose, draw, span_below};
use crate::facts::What;
use crate::id::{Name, Uid};
use crate::kubelet::ending::Verdict;
use crate::kubelet::eviction::{
    CONDITIONS, Candidate, Memory, is_met, message, over_disk_limit, rank, refusal, resource_of, usage_of,
};
use crate::kubelet::image_gc::{self, Removal};
use crate::kubelet::pod_life::Host;
use crate::kubelet::row::Row;
use crate::kubelet::{NodeUsage, RuntimeRequest, UsageLevels};
use crate::model::{Kind, ObjectKey, Pod};
use crate::seam::TimerKind;
use crate::time::{Span, Time};

/// The grace of pods that a hard threshold evicts.
///
/// Source: `immediateEvictionGracePeriodSeconds`, pkg/kubelet/eviction/eviction_manager.go (v1.34.1).
const HARD_GRACE: Span = Span::from_secs(1);
/// How long the next look waits for the evicted pod's containers, and how often it asks for them.
///
/// Source: `podCleanupTimeout`, `podCleanupPollFreq`, pkg/kubelet/eviction/eviction_manager.go (v1.34.1).
const CLEANUP_TIMEOUT: Span = Span::from_secs(30);
const CLEANUP_POLL: Span = Span::from_secs(1);

/// What a kubelet knows of its node's troubles.
#[derive(Default)]
pub(super) struct Pressure {
    memory: Memory,
    conditions: [bool; 3],
    /// The pods that are being evicted; the next look waits for them.
    victims: Vec<Uid>,
    /// The next look is for eviction, for images, or both.
    looks: Looks,
    /// The last look for images did not free what it should have.
    images_failed: bool,
}

#[derive(Clone, Copy, Default)]
struct Looks {
    eviction: bool,
    images: bool,
}

impl Row {
    /// Asks the runtime to say when the node runs short.
    pub(super) fn watch_usage(&mut self, ctx: &mut Context<'_>) {
        let config = &ctx.config.kubelet;
        let levels = UsageLevels {
            available: config.eviction.thresholds.iter().map(|it| (it.signal, it.value)).collect(),
            imagefs_used_percent: config.image_gc.high_threshold_percent,
        };
        self.host(ctx).ask(RuntimeRequest::WatchUsage(levels));
    }

    /// A level has been crossed: the kubelet begins to look.
    pub(super) fn on_usage_low(&mut self, ctx: &mut Context<'_>) {
        let (eviction, images) = (&ctx.config.kubelet.eviction, &ctx.config.kubelet.image_gc);
        let (look, collect) = (self.next_tick(ctx, eviction.period), self.next_tick(ctx, images.period));
        ctx.arm(TimerKind::NodePressure, look);
        // The look before the first one was that of the kubelet's start, which knew nothing of the disk.
        let images_failed = collect <= self.lease_clock().started + images.period;
        if image_gc::is_on(images) {
            ctx.arm(TimerKind::ImageGc, collect);
        }
        self.pressure.get_or_insert_with(|| Box::new(Pressure { images_failed, ..Pressure::default() }));
    }

    /// The next look of a period; each host's looks have a phase of their own, counted from its kubelet's start.
    fn next_tick(&self, ctx: &Context<'_>, period: Span) -> Time {
        let entity = u64::from(ctx.me.index());
        let start =
            self.lease_clock().started + span_below(draw(ctx.seed(), Purpose::PressurePhase, entity, 0), period);
        if ctx.now < start {
            return start;
        }
        start + period * (ctx.now.since(start).0 / period.0.max(1) + 1)
    }

    /// It is time to look.
    pub(super) fn on_pressure_timer(&mut self, ctx: &mut Context<'_>, kind: TimerKind) {
        let Some(pressure) = &mut self.pressure else { return };
        match kind {
            TimerKind::ImageGc => pressure.looks.images = true,
            _ => {
                pressure.looks.eviction = true;
                pressure.victims.clear();
            }
        }
        self.host(ctx).ask(RuntimeRequest::Usage);
    }

    /// The runtime has said how the node is.
    pub(super) fn on_usage(&mut self, ctx: &mut Context<'_>, usage: &NodeUsage) {
        let Some(pressure) = &mut self.pressure else { return };
        let looks = std::mem::take(&mut pressure.looks);
        let mut usage = usage.clone();
        if looks.images {
            let removal = image_gc::collect(&ctx.config.kubelet.image_gc, &usage, ctx.now);
            self.say_of_collection(ctx, &removal);
            self.remove_images(ctx, &mut usage, removal);
        }
        let restless = if looks.eviction { self.look_for_pressure(ctx, &mut usage) } else { true };
        let config = &ctx.config.kubelet;
        let full = image_gc::used_percent(usage.imagefs) >= config.image_gc.high_threshold_percent;
        if looks.images && full {
            let at = self.next_tick(ctx, config.image_gc.period);
            ctx.arm(TimerKind::ImageGc, at);
        }
        if !restless && !full {
            self.pressure = None;
            ctx.disarm(TimerKind::ImageGc);
            return self.watch_usage(ctx);
        }
        let waits = self.pressure.as_ref().is_some_and(|pressure| !pressure.victims.is_empty());
        if looks.eviction && !waits {
            let at = self.next_tick(ctx, config.eviction.period);
            ctx.arm(TimerKind::NodePressure, at);
        }
    }

    /// Looks at the node and does something about it; returns whether there is a reason to look again.
    fn look_for_pressure(&mut self, ctx: &mut Context<'_>, usage: &mut NodeUsage) -> bool {
        let config = &ctx.config.kubelet.eviction;
        let Some(pressure) = &mut self.pressure else { return false };
        let findings = pressure.memory.look(config, usage, ctx.now);
        let before = std::mem::replace(&mut pressure.conditions, findings.conditions);
        if before != findings.conditions {
            self.tell_conditions(ctx, before, findings.conditions);
        }
        if self.evict_over_limit(ctx, usage) {
            return true;
        }
        let Some(place) = findings.act_on else { return findings.restless };
        let threshold = &config.thresholds[place];
        self.warn_of_reclaim(ctx, resource_of(threshold.signal));
        let shares_disk = threshold.signal == EvictionSignal::NodeFsAvailable && !usage.dedicated_imagefs;
        if threshold.signal == EvictionSignal::ImageFsAvailable || shares_disk {
            let removal = image_gc::remove(&ctx.config.kubelet.image_gc, usage, i64::MAX, ctx.now);
            let freed = !removal.images.is_empty();
            self.remove_images(ctx, usage, removal);
            if freed && !config.thresholds.iter().any(|threshold| is_met(config, threshold, usage, false)) {
                return true;
            }
        }
        let pods = self.active_pods();
        let mut candidates: Vec<Candidate<'_>> =
            pods.iter().map(|pod| Candidate { pod, usage: usage_of(usage, pod.meta.uid) }).collect();
        rank(&mut candidates, threshold.signal);
        if let Some(victim) = candidates.iter().find(|candidate| !self.is_critical(candidate.pod)) {
            let message = message(threshold, usage, victim);
            let grace = match threshold.grace {
                None => HARD_GRACE,
                Some(_) => config.max_pod_grace.min(victim.pod.spec.termination_grace),
            };
            let (uid, is_disruption) = (victim.pod.meta.uid, true);
            self.evict(ctx, uid, message, is_disruption, grace);
        }
        true
    }

    fn evict_over_limit(&mut self, ctx: &mut Context<'_>, usage: &NodeUsage) -> bool {
        let over: Vec<(Uid, String)> = self
            .active_pods()
            .into_iter()
            .filter(|pod| !self.is_critical(pod))
            .filter_map(|pod| Some((pod.meta.uid, over_disk_limit(&pod, usage_of(usage, pod.meta.uid)?)?)))
            .collect();
        let any = !over.is_empty();
        for (uid, message) in over {
            self.evict(ctx, uid, message, false, HARD_GRACE);
        }
        any
    }

    /// Whether a pod stays, whatever the node is short of.
    ///
    /// Source: `IsCriticalPod`, pkg/kubelet/types/pod_update.go (v1.34.1).
    fn is_critical(&self, pod: &Pod) -> bool {
        pod.spec.is_critical() || self.is_static(pod.meta.uid)
    }

    /// Pods that have not ended and are not ending, by uid.
    fn active_pods(&self) -> Vec<Arc<Pod>> {
        let active = self.pods.in_order().filter(|life| life.ending.is_none() && !life.containers.is_empty());
        active.map(|life| life.pod.clone()).collect()
    }

    fn evict(&mut self, ctx: &mut Context<'_>, uid: Uid, message: String, is_disruption: bool, grace: Span) {
        if let Some(pressure) = &mut self.pressure {
            pressure.victims.push(uid);
        }
        ctx.arm(TimerKind::NodePressure, ctx.now + grace.max(Span::from_secs(2)) + CLEANUP_TIMEOUT);
        self.with_pod(ctx, uid, |life, host| {
            let message = Name::from(message);
            let disruption = is_disruption.then(|| message.clone());
            let verdict = Verdict { reason: "Evicted".into(), message, disruption };
            life.condemn(verdict, grace, host);
        });
    }

    /// A pod has changed: if it was the last one that was being evicted and it has ended, the next look is soon.
    pub(super) fn look_at_victim(&mut self, ctx: &mut Context<'_>, uid: Uid) {
        let Some(pressure) = self.pressure.as_mut().filter(|pressure| pressure.victims.contains(&uid)) else { return };
        if self.pods.get(&uid).is_none_or(|life| life.is_settled()) {
            pressure.victims.retain(|victim| *victim != uid);
            if pressure.victims.is_empty() {
                ctx.arm(TimerKind::NodePressure, ctx.now + CLEANUP_POLL);
            }
        }
    }

    fn remove_images(&mut self, ctx: &mut Context<'_>, usage: &mut NodeUsage, removal: Removal) {
        if removal.images.is_empty() {
            return;
        }
        usage.images.retain(|image| !removal.images.contains(&image.image));
        usage.imagefs.available += removal.bytes;
        if !usage.dedicated_imagefs {
            usage.nodefs.available += removal.bytes;
        }
        let images = u32::try_from(removal.images.len()).expect("fewer than 2^32 images");
        ctx.record(self.node_key(), What::ImagesRemoved { images, bytes: removal.bytes });
        self.host(ctx).ask(RuntimeRequest::RemoveImages(removal.images));
    }

    /// Says that a look for images has freed too little, and says so twice from the second time in a row on.
    ///
    /// Source: `GarbageCollect`, pkg/kubelet/images/image_gc_manager.go; `StartGarbageCollection`,
    /// pkg/kubelet/kubelet.go (v1.34.1).
    fn say_of_collection(&mut self, ctx: &mut Context<'_>, removal: &Removal) {
        let Some(pressure) = &mut self.pressure else { return };
        let failed_before = std::mem::replace(&mut pressure.images_failed, removal.wanted.is_some());
        let Some(wanted) = removal.wanted else { return };
        let message = format!(
            "Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, but only found {} \
             bytes eligible to free.",
            removal.bytes
        );
        self.warn_of_node(ctx, "FreeDiskSpaceFailed", message.clone());
        if failed_before {
            self.warn_of_node(ctx, "ImageGCFailed", message);
        }
    }

    fn tell_conditions(&mut self, ctx: &mut Context<'_>, before: [bool; 3], after: [bool; 3]) {
        for ((_, name), (before, holds)) in CONDITIONS.iter().zip(before.into_iter().zip(after)) {
            if before != holds {
                ctx.record(self.node_key(), What::Pressure { condition: Name::from(*name), holds });
            }
        }
        self.look_at_node(ctx);
    }

    /// Which pressure conditions hold.
    pub(super) fn pressure_conditions(&self) -> [bool; 3] {
        self.pressure.as_ref().map_or([false; 3], |pressure| pressure.conditions)
    }

    /// Why the node's troubles keep a pod out.
    pub(super) fn pressure_refusal(&self, pod: &Pod) -> Option<String> {
        if self.is_static(pod.meta.uid) {
            return None;
        }
        refusal(pod, self.pressure_conditions())
    }

    pub(super) fn node_key(&self) -> ObjectKey {
        ObjectKey { kind: Kind::Node, namespace: "".into(), name: self.node_name() }
    }

    /// Works on a pod as the host does, for the parts of a kubelet that are in other files.
    pub(super) fn end_pod(&mut self, ctx: &mut Context<'_>, uid: Uid, verdict: Verdict, grace: Span) {
        self.with_pod(ctx, uid, |life, host: &mut Host<'_, '_>| life.condemn(verdict, grace, host));
    }
}
