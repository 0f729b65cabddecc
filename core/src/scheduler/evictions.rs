//! The ends of pods that make room for another: each is marked, then deleted.
//!
//! The victims are asked for at once, except the last: when all others have been, the pod that they make room for may
//! be tried again, and only then the last one is asked for, so that its end is an event that the pod does not miss. If
//! a request fails the pod is tried at once.
//!
//! Source: `prepareCandidateAsync`, `NewEvaluator`, pkg/scheduler/framework/preemption/preemption.go (v1.34.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{Answer, Patch, Propagation, Refusal, Request};
use crate::context::Context;
use crate::events;
use crate::facts::What;
use crate::id::{Name, RequestId, RowId};
use crate::model::{ConditionKind, Pod, Status3};
use crate::scheduler::Scheduler;
use crate::scheduler::cache::PREEMPTED;
use crate::scheduler::cycle::{REPORTER, key_of};
use crate::scheduler::dry_run::Victim;
use crate::store::View;

/// All rooms that are being made.
#[derive(Default)]
pub(super) struct Evictions {
    rooms: BTreeMap<u64, Room>,
    numbers: u64,
    asked: BTreeMap<RequestId, Eviction>,
}

/// The room for one pod.
struct Room {
    row: RowId,
    pod: Arc<Pod>,
    node: Name,
    /// The victim that is not asked for before all others.
    last: Option<(RowId, Arc<Pod>)>,
    /// How many of the others are under way.
    left: usize,
    failed: bool,
}

/// One victim that has been asked for.
struct Eviction {
    room: u64,
    row: RowId,
    victim: Arc<Pod>,
    /// Whether the answer is that to its deletion; before that it is marked.
    deleted: bool,
}

impl Room {
    /// Tells that a victim makes room.
    fn tell(&self, ctx: &mut Context<'_>, victim: &Pod) {
        let by = format!("{}/{}", self.pod.meta.namespace, self.pod.meta.name).into();
        ctx.record(key_of(victim), What::Preempting { by, node: self.node.clone() });
    }
}

impl Scheduler {
    /// Begins to make room for a pod on a node: pods of lower priority that were nominated to it are so no more, and
    /// the victims are asked for.
    pub(super) fn make_room(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        of: (RowId, &Arc<Pod>),
        node: &Name,
        victims: &[Victim],
    ) {
        let (row, pod) = of;
        for other in self.placement.nominations.on(node) {
            if other.priority < pod.spec.priority
                && let Some(other) = view.get::<Pod>(other.row)
            {
                let patch = Patch::PodNomination { node: None, condition: None };
                self.client.send(ctx, Request::Patch { key: key_of(other), patch });
            }
        }
        let of_row = |victim: &Victim| Some((victim.row, view.get::<Pod>(victim.row)?.clone()));
        let mut victims: Vec<(RowId, Arc<Pod>)> = victims.iter().filter_map(of_row).collect();
        let last = victims.pop();
        self.evictions.numbers += 1;
        let number = self.evictions.numbers;
        let room = Room { row, pod: pod.clone(), node: node.clone(), last, left: victims.len(), failed: false };
        self.evictions.rooms.insert(number, room);
        self.queue.hold(row, true);
        for victim in victims {
            self.evict(ctx, number, victim);
        }
        self.go_on(ctx, number);
    }

    /// Marks a victim; if it is marked already, deletes it.
    fn evict(&mut self, ctx: &mut Context<'_>, room: u64, victim: (RowId, Arc<Pod>)) {
        let (row, victim) = victim;
        let for_whom = &self.evictions.rooms[&room];
        let profile = &for_whom.pod.spec.scheduler_name;
        let message = format!("{profile}: preempting to accommodate a higher priority pod");
        let (kind, status) = (ConditionKind::DisruptionTarget, Status3::True);
        let is_news = victim.status.conditions.clone().set(kind, status, PREEMPTED, &message, ctx.now);
        if !is_news && !victim.meta.is_terminating() {
            for_whom.tell(ctx, &victim);
        }
        let request = if is_news {
            let (reason, message) = (PREEMPTED.into(), message.into());
            Request::Patch { key: key_of(&victim), patch: Patch::PodCondition { kind, status, reason, message } }
        } else {
            deletion(&victim)
        };
        let id = self.client.send(ctx, request);
        self.evictions.asked.insert(id, Eviction { room, row, victim, deleted: !is_news });
    }

    /// Takes in the answer to a mark or a deletion; `false` if it is another request's.
    pub(super) fn on_eviction_answer(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        id: RequestId,
        answer: &Answer,
    ) -> bool {
        let Some(eviction) = self.evictions.asked.remove(&id) else { return false };
        let number = eviction.room;
        let room =
            self.evictions.rooms.get_mut(&number).expect("a room lasts until all its victims have been asked for");
        match answer {
            Ok(_) if !eviction.deleted => {
                // Not before it is marked: a victim that has just gone by itself makes no room.
                room.tell(ctx, &eviction.victim);
                let id = self.client.send(ctx, deletion(&eviction.victim));
                self.evictions.asked.insert(id, Eviction { deleted: true, ..eviction });
                return true;
            }
            Ok(_) => tell_preempted(ctx, view, room, &eviction),
            // It has gone by itself.
            Err(Refusal::NotFound(_)) if eviction.deleted => {}
            Err(_) => room.failed = true,
        }
        room.left = room.left.saturating_sub(1);
        self.go_on(ctx, number);
        true
    }

    /// With no victim under way, asks for the last one, or ends.
    fn go_on(&mut self, ctx: &mut Context<'_>, number: u64) {
        let room =
            self.evictions.rooms.get_mut(&number).expect("a room lasts until all its victims have been asked for");
        if room.left > 0 {
            return;
        }
        let (row, failed) = (room.row, room.failed);
        self.queue.hold(row, false);
        // A failure ends what is under way in Kubernetes, so the last victim is spared.
        if let Some(last) = room.last.take().filter(|_| !failed) {
            room.left = 1;
            return self.evict(ctx, number, last);
        }
        self.evictions.rooms.remove(&number);
        if failed {
            self.queue.activate(row);
        }
    }
}

fn deletion(victim: &Pod) -> Request {
    Request::Delete { key: key_of(victim), uid: None, grace: None, propagation: Propagation::Background }
}

fn tell_preempted(ctx: &mut Context<'_>, view: View<'_>, room: &Room, eviction: &Eviction) {
    let message = format!("Preempted by pod {} on node {}", room.pod.meta.uid, room.node);
    let mut event = events::Event::normal(REPORTER, "Preempted", message).about(&eviction.victim.meta);
    let profile = &room.pod.spec.scheduler_name;
    if **profile != *REPORTER {
        event.reporter.component = profile.to_string().into();
    }
    event.related = Some(key_of(&room.pod));
    let version = view.version_of::<Pod>(eviction.row);
    ctx.event(key_of(&eviction.victim), event.in_series("Preempting", version));
}
