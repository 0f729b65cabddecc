//! Taints: NoSchedule at once as the conditions say, NoExecute at each zone's rate.

use std::sync::Arc;

use crate::api::admission::{NOT_READY, UNREACHABLE};
use crate::context::Context;
use crate::controllers::node_lifecycle::swap::{Mark, Step, Swap};
use crate::controllers::node_lifecycle::tasks::Task;
use crate::controllers::node_lifecycle::zones::ZoneKey;
use crate::controllers::node_lifecycle::{NodeLifecycle, no_execute, ready_status};
use crate::id::Name;
use crate::model::{ConditionKind, Node, Status3, TaintEffect};
use crate::store::View;
use crate::time::{Span, Time};

/// Time between two looks at the zones' queues.
const PERIOD: Span = Span::from_millis(100);
/// The taint of a cordoned node.
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Which status of which condition asks for which taint.
const CONDITION_TAINTS: [(ConditionKind, Status3, &str); 6] = [
    (ConditionKind::Ready, Status3::False, NOT_READY),
    (ConditionKind::Ready, Status3::Unknown, UNREACHABLE),
    (ConditionKind::MemoryPressure, Status3::True, "node.kubernetes.io/memory-pressure"),
    (ConditionKind::DiskPressure, Status3::True, "node.kubernetes.io/disk-pressure"),
    (ConditionKind::PidPressure, Status3::True, "node.kubernetes.io/pid-pressure"),
    (ConditionKind::NetworkUnavailable, Status3::True, "node.kubernetes.io/network-unavailable"),
];

impl NodeLifecycle {
    /// Brings the NoSchedule taints of changed nodes in line with their conditions.
    ///
    /// Source: `doNoScheduleTaintingPass` (v1.34.1); a failure waits for the node's next change, as there.
    pub(super) fn reconcile_no_schedule(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        while let Some(name) = self.nodes.take() {
            let difference = view.find::<Node>(&Name::default(), &name).map(|(_, node)| (node, no_schedule(node)));
            match difference {
                Some((node, (add, remove))) if !add.is_empty() || !remove.is_empty() => {
                    let (swap, step) = Swap::begin(node, add, remove, ctx.now);
                    self.swap_step(ctx, view, Task::NoSchedule(name, swap), step);
                }
                _ => self.nodes.done(&name),
            }
        }
    }

    /// When the zones' queues are looked at next: on the grid of 100 ms, strictly after now.
    pub(super) fn next_tainting(&self, now: Time) -> Option<Time> {
        if self.tainting.is_some() {
            return None;
        }
        let token = self.zones.next_taint()?;
        let after_now = self.tainted_at + PERIOD * (now.since(self.tainted_at).0 / PERIOD.0 + 1);
        let to_token = token.since(self.tainted_at).0.div_ceil(PERIOD.0);
        Some(after_now.max(self.tainted_at + PERIOD * to_token))
    }

    /// Looks at the queues of all zones, one after the other.
    ///
    /// Source: `doNoExecuteTaintingPass` (v1.34.1), which ranges over a map: here the zones come by name.
    pub(super) fn begin_tainting(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        if self.tainting.is_none() {
            self.tainting = Some(self.zones.keys().cloned().collect());
            self.go_on_tainting(ctx, view);
        }
    }

    /// Goes on until a node's taint has to be written or no zone is left.
    pub(super) fn go_on_tainting(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        while let Some(zone) = self.tainting.as_ref().and_then(|zones| zones.front()).cloned() {
            let node = self.zones.get_mut(&zone).and_then(|zone| zone.queue.take(ctx.now));
            match node {
                Some(node) => {
                    if !self.taint(ctx, view, &zone, &node) {
                        return;
                    }
                }
                None => {
                    self.tainting.as_mut().and_then(|zones| zones.pop_front());
                }
            }
        }
        self.tainting = None;
        self.tainted_at = ctx.now;
    }

    /// Notes the outcome for a node that was taken from its zone's queue.
    pub(super) fn taint_done(&mut self, zone: &ZoneKey, node: &Name, done: bool, taken_at: Time) {
        self.zones.get_mut(zone).expect("the node came from its queue").queue.finish(node, done, taken_at);
    }

    /// Taints a node that was taken from its zone's queue; returns whether that is over already.
    fn taint(&mut self, ctx: &mut Context<'_>, view: View<'_>, zone: &ZoneKey, name: &Name) -> bool {
        let node = view.find::<Node>(&Name::default(), name).map(|(_, node)| node);
        let wanted = node.map(|node| (node, ready_status(node)));
        let (node, add, remove) = match wanted {
            Some((node, Some(Status3::False))) => (node, NOT_READY, UNREACHABLE),
            Some((node, Some(Status3::Unknown))) => (node, UNREACHABLE, NOT_READY),
            Some((_, None)) => {
                self.taint_done(zone, name, false, ctx.now);
                return true;
            }
            Some((_, Some(Status3::True))) | None => {
                self.taint_done(zone, name, true, ctx.now);
                return true;
            }
        };
        let (swap, step) = Swap::begin(node, vec![no_execute(add)], vec![no_execute(remove)], ctx.now);
        match self.park(ctx, Task::NoExecute(zone.clone(), name.clone(), ctx.now, swap), step) {
            Some((_, success)) => {
                self.taint_done(zone, name, success, ctx.now);
                true
            }
            None => false,
        }
    }

    /// What the Ready status of a node means for its NoExecute taints: a change to make now, or a place in the queue.
    ///
    /// Source: `processTaintBaseEviction` (v1.34.1).
    pub(super) fn taint_for(&mut self, ctx: &Context<'_>, node: &Arc<Node>, status: Status3) -> Option<(Swap, Step)> {
        let (own, other) = match status {
            Status3::True => {
                let marks = vec![no_execute(UNREACHABLE), no_execute(NOT_READY)];
                return Some(Swap::begin(node, Vec::new(), marks, ctx.now));
            }
            Status3::False => (NOT_READY, UNREACHABLE),
            Status3::Unknown => (UNREACHABLE, NOT_READY),
        };
        if super::has(node, other) {
            return Some(Swap::begin(node, vec![no_execute(own)], vec![no_execute(other)], ctx.now));
        }
        let queue = &mut self.zones.entry(&node.zone_key(), &ctx.config.controller_manager).queue;
        if !super::has(node, own) {
            queue.remove(&node.meta.name);
        }
        queue.add(&node.meta.name, ctx.now);
        None
    }
}

/// The NoSchedule taints that a node lacks, and those that it should not have.
fn no_schedule(node: &Node) -> (Vec<Mark>, Vec<Mark>) {
    let holds = |kind, status| node.status.conditions.get(kind).is_some_and(|condition| condition.status == status);
    let mut wanted: Vec<&str> =
        CONDITION_TAINTS.iter().filter(|(kind, status, _)| holds(*kind, *status)).map(|(_, _, taint)| *taint).collect();
    if node.spec.unschedulable {
        wanted.push(UNSCHEDULABLE);
    }
    let ours = |key: &str| key == UNSCHEDULABLE || CONDITION_TAINTS.iter().any(|(_, _, taint)| *taint == key);
    let present: Vec<&str> = node
        .spec
        .taints
        .iter()
        .filter(|taint| taint.effect == TaintEffect::NoSchedule && ours(&taint.key))
        .map(|taint| &*taint.key)
        .collect();
    let mark = |key: &&str| (Name::from(*key), TaintEffect::NoSchedule);
    let add = wanted.iter().filter(|key| !present.contains(key)).map(mark).collect();
    let remove = present.iter().filter(|key| !wanted.contains(key)).map(mark).collect();
    (add, remove)
}
