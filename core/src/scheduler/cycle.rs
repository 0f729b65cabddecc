//! One scheduling attempt, and what becomes of its bind request.

use crate::api::{Answer, Patch, Reply, Request};
use crate::context::Context;
use crate::events;
use crate::facts::What;
use crate::id::{Name, RequestId, RowId, Uid};
use crate::model::{ConditionKind, Kind, Object, ObjectKey, Pod, Status3};
use crate::scheduler::Scheduler;
use crate::scheduler::cache::Standing;
use crate::scheduler::events::Event;
use crate::scheduler::placement::{Failure, NO_NODES, Placement, Verdict};
use crate::scheduler::preemption::{Preemption, Seeker};
use crate::scheduler::queue::Queued;
use crate::seam::TimerKind;
use crate::store::View;
use crate::time::Span;

/// How the scheduler's default profile names itself in events.
pub(super) const REPORTER: &str = "default-scheduler";
/// The longest message of an event, in bytes.
///
/// Source: `NoteLengthLimit`, pkg/apis/core/validation/events.go (v1.34.1).
const NOTE_LENGTH_MAX: usize = 1024;

/// What becomes of a pod's nomination.
enum Nomination {
    Kept,
    /// To a node, or to none.
    Set(Option<Name>),
}

/// A bind request that waits for its answer.
pub(super) struct Binding {
    queued: Queued,
    uid: Uid,
}

impl Scheduler {
    /// Tries what is ready, unless an attempt is under way, and arms the timers that are needed.
    pub(super) fn work(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        loop {
            let tried = self.timers.cycle.is_none() && self.reporting.is_none() && self.attempt(ctx, view);
            // What came late is known by the time of the next attempt.
            self.hear_late_news();
            if !tried {
                break;
            }
        }
        let due = [
            (TimerKind::SchedulerBackoff, self.queue.backoff_due(), &mut self.timers.backoff),
            (TimerKind::SchedulerFlush, self.queue.flush_due(), &mut self.timers.flush),
        ];
        for (kind, due, armed) in due {
            match due {
                _ if due == *armed => {}
                Some(due) => ctx.arm(kind, due.max(ctx.now)),
                None => ctx.disarm(kind),
            }
            *armed = due;
        }
    }

    /// Tries the next pod; `false` if there is none. Nodes and pods count as they are at the attempt's beginning
    /// (kube-scheduler's snapshot); what comes of it is sent at its end.
    pub(super) fn attempt(&mut self, ctx: &mut Context<'_>, view: View<'_>) -> bool {
        let Some(queued) = self.queue.pop() else { return false };
        let pod = view.get::<Pod>(queued.row).expect("a queued pod is in the view");
        if pod.meta.is_terminating() {
            let message = format!("skip schedule deleting pod: {}/{}", pod.meta.namespace, pod.meta.name);
            tell_failure(ctx, view, queued.row, pod, message.into());
            self.placement.classes.release(queued.class);
            return true;
        }
        self.hear_of_claims(Some(ctx.now));
        if let Some(claim) = self.late_news.missed(pod, &self.placement.around.storage) {
            let key = format!("{}/{claim}", pod.meta.namespace);
            let why = format!("error getting PVC \"{key}\": could not find v1.PersistentVolumeClaim \"{key}\"");
            let message = format!("running PreFilter plugin \"VolumeBinding\": {why}");
            self.failed(ctx, view, (queued, pod), ("SchedulerError", &message));
            return true;
        }
        let seeker = Seeker {
            row: queued.row,
            class: queued.class,
            pinned_to: queued.pinned_to.as_ref(),
            nominated: pod.status.nominated_node.as_ref(),
        };
        let (verdict, effort) = self.placement.search(seeker);
        self.spend(ctx, self.cost.of(&effort));
        match verdict {
            Verdict::Node(slot, None) => self.reserve_and_bind(ctx, pod, queued, slot),
            Verdict::Node(slot, Some(decision)) => self.reserve_volumes(ctx, view, queued, (slot, decision)),
            Verdict::NoNodes => self.failed(ctx, view, (queued, pod), ("Unschedulable", NO_NODES)),
            Verdict::Unschedulable(failure) => self.unschedulable(ctx, view, queued, failure),
        }
        true
    }

    /// An attempt has failed for no reason that a change could take away: the pod is tried again after its back-off.
    fn failed(&mut self, ctx: &mut Context<'_>, view: View<'_>, of: (Queued, &Pod), why: (&str, &str)) {
        let (queued, pod) = of;
        let row = queued.row;
        self.queue.failed(queued, ctx.now);
        self.renounce(row);
        let asked = self.tell(ctx, view, (row, pod), why, Nomination::Set(None));
        self.wait_for(asked);
    }

    /// The attempt takes so much of the scheduler's time.
    fn spend(&mut self, ctx: &mut Context<'_>, time: Span) {
        if time > Span::ZERO {
            let end = ctx.now + time;
            self.client.hold();
            self.timers.cycle = Some(end);
            ctx.arm(TimerKind::SchedulerCycle, end);
        }
    }

    /// No node takes the pod: it waits, perhaps for pods to make room.
    fn unschedulable(&mut self, ctx: &mut Context<'_>, view: View<'_>, queued: Queued, failure: Failure) {
        let (row, class) = (queued.row, queued.class);
        let pod = view.get::<Pod>(row).expect("a queued pod is in the view");
        self.queue.refused(queued, failure.plugins, ctx.now);
        let mut room = None;
        let nomination = match failure.preemption {
            Preemption::None(_) => Nomination::Kept,
            Preemption::Futile(_) => {
                self.renounce(row);
                Nomination::Set(None)
            }
            Preemption::Possible(mut choice) => {
                let candidate = choice.candidates.swap_remove(choice.chosen);
                let Placement { cache, classes, nominations, .. } = &mut self.placement;
                let node = cache.slot(candidate.slot).name.clone();
                nominations.set(classes, row, class, &node);
                room = Some((node.clone(), candidate));
                Nomination::Set(Some(node))
            }
        };
        let asked = self.tell(ctx, view, (row, pod), ("Unschedulable", &failure.message), nomination);
        self.wait_for(asked);
        if let Some((node, candidate)) = room {
            self.make_room(ctx, view, (row, pod), &node, &candidate.victims);
        }
    }

    /// Without asynchronous calls the scheduling cycle of a pod that no node took ends with the answer to the status
    /// that tells so; a binding cycle runs beside the next scheduling cycle anyway.
    ///
    /// Source: `handleSchedulingFailure`, `updatePod`, schedule_one.go (v1.34.1).
    fn wait_for(&mut self, asked: Option<RequestId>) {
        self.reporting = asked.filter(|_| !self.async_api_calls);
    }

    /// A pod is nominated nowhere.
    fn renounce(&mut self, row: RowId) {
        let Placement { classes, nominations, .. } = &mut self.placement;
        nominations.remove(classes, row);
    }

    /// Reserve and Bind of a pod whose claims, if any, are bound. Permit would come between the two, PostBind with the
    /// answer; PreBind is in [`super::prebind`].
    fn reserve_and_bind(&mut self, ctx: &mut Context<'_>, pod: &Pod, queued: Queued, slot: u32) {
        let placement = &mut self.placement;
        placement.assume(queued.row, slot, queued.class, Standing::of(pod));
        self.bind(ctx, pod, queued, slot);
    }

    /// Bind.
    pub(super) fn bind(&mut self, ctx: &mut Context<'_>, pod: &Pod, queued: Queued, slot: u32) {
        let node = self.placement.cache.slot(slot).name.clone();
        let (namespace, name, uid) = (pod.meta.namespace.clone(), pod.meta.name.clone(), pod.meta.uid);
        let id = self.client.send(ctx, Request::Bind { namespace, name, uid, node });
        self.bindings.insert(id, Binding { queued, uid });
    }

    /// The answer to a bind request or to a status update. Status updates are not repeated: the next attempt will
    /// write again.
    ///
    /// Source: `handleBindingCycleError`, `handleSchedulingFailure`, schedule_one.go (v1.34.1).
    pub(super) fn on_answer(&mut self, ctx: &mut Context<'_>, view: View<'_>, id: RequestId, answer: Answer) {
        if self.reporting == Some(id) {
            self.reporting = None;
            return;
        }
        if self.on_prebind_answer(ctx, view, id, &answer).is_some() || self.on_eviction_answer(ctx, view, id, &answer) {
            return;
        }
        let Some(Binding { queued, uid }) = self.bindings.remove(&id) else { return };
        let placement = &mut self.placement;
        let refusal = match answer {
            Ok(reply) => {
                tell_bound(ctx, &reply);
                return placement.classes.release(queued.class);
            }
            Err(refusal) => refusal,
        };
        let message = format!("running Bind plugin \"DefaultBinder\": {refusal}");
        self.binding_failed(ctx, view, queued, uid, &message);
    }

    /// The binding cycle of a pod has failed: it counts no more where it was assumed, and is tried again.
    pub(super) fn binding_failed(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        queued: Queued,
        uid: Uid,
        message: &str,
    ) {
        let placement = &mut self.placement;
        if placement.cache.forget(&mut placement.classes, queued.row) {
            let event = Event::PlacedPodGone(placement.classes.traits(queued.class));
            self.queue.on_event(placement, &event, None, ctx.now);
        }
        match view.get_uid::<Pod>(queued.row, uid) {
            Some(pod) if pod.node.is_none() && !pod.is_finished() => {
                let row = queued.row;
                self.queue.failed(queued, ctx.now);
                self.tell(ctx, view, (row, pod), ("SchedulerError", message), Nomination::Set(None));
            }
            _ => self.placement.classes.release(queued.class),
        }
    }

    /// Says that an attempt failed: a fact, an event, and the pod's PodScheduled condition and nomination if they are
    /// news. The number of the request, if there is one.
    ///
    /// Source: `updatePod`, schedule_one.go (v1.34.1).
    fn tell(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        of: (RowId, &Pod),
        why: (&str, &str),
        nomination: Nomination,
    ) -> Option<RequestId> {
        let ((row, pod), (reason, message)) = (of, why);
        tell_failure(ctx, view, row, pod, note(message));
        let kind = ConditionKind::PodScheduled;
        let differs = pod.status.conditions.clone().set(kind, Status3::False, reason, message, ctx.now);
        let (status, reason, message) = (Status3::False, reason.into(), message.into());
        let patch = match nomination {
            Nomination::Set(node) if node != pod.status.nominated_node => {
                Patch::PodNomination { node, condition: Some((kind, status, reason, message)) }
            }
            _ if differs => Patch::PodCondition { kind, status, reason, message },
            _ => return None,
        };
        Some(self.client.send(ctx, Request::Patch { key: key_of(pod), patch }))
    }
}

pub(super) fn tell_failure(ctx: &mut Context<'_>, view: View<'_>, row: RowId, pod: &Pod, message: Name) {
    let event = events::Event::warning(REPORTER, "FailedScheduling", message.to_string()).about(&pod.meta);
    say(ctx, pod, event.in_series("Scheduling", view.version_of::<Pod>(row)));
    ctx.record(key_of(pod), What::FailedScheduling { message });
}

/// Says that a pod has its node.
///
/// Source: `Scheduler.bindingCycle`, schedule_one.go (v1.34.1). The event is about the version before; a pod is bound
/// once, so that no other event can be of its series.
fn tell_bound(ctx: &mut Context<'_>, reply: &Reply) {
    let Reply::Object(Object::Pod(pod), version) = reply else { return };
    let Some(node) = pod.node.as_ref().filter(|_| ctx.says_events()) else { return };
    let message = format!("Successfully assigned {}/{} to {node}", pod.meta.namespace, pod.meta.name);
    let event = events::Event::normal(REPORTER, "Scheduled", message).about(&pod.meta);
    say(ctx, pod, event.in_series("Binding", Some(*version)));
}

/// Says an event under the name of the pod's profile.
fn say(ctx: &mut Context<'_>, pod: &Pod, mut event: events::Event) {
    if *pod.spec.scheduler_name != *REPORTER {
        event.reporter.component = pod.spec.scheduler_name.to_string().into();
    }
    ctx.event(key_of(pod), event);
}

pub(super) fn key_of(pod: &Pod) -> ObjectKey {
    ObjectKey { kind: Kind::Pod, namespace: pod.meta.namespace.clone(), name: pod.meta.name.clone() }
}

/// Source: `truncateMessage`, schedule_one.go (v1.34.1).
pub(super) fn note(message: &str) -> Name {
    const SUFFIX: &str = " ...";
    if message.len() <= NOTE_LENGTH_MAX {
        return message.into();
    }
    let mut end = NOTE_LENGTH_MAX - SUFFIX.len();
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{SUFFIX}", &message[..end]).into()
}
