//! The node lifecycle: finds nodes whose kubelet has fallen silent, and marks them, their pods and their zones.
//!
//! Every 5 s after the end of the one before, a pass looks at the nodes. It judges by when *it* first saw a sign of
//! life, sets the conditions of silent nodes to Unknown and their pods to not ready, and queues them for a NoExecute
//! taint, which each zone hands out at a limited rate. NoSchedule taints follow the conditions at once.
//!
//! Invariants: a pass ends when all its requests are answered; nodes that the world vouches for and that are in order
//! are not looked at, so a pass over a quiet cluster costs nothing; what is decided is the same as if they had been.
//! All nodes of a pass are judged at its beginning; up to eight at a time then make their requests. Absent on purpose:
//! the label pairs of old (`beta.kubernetes.io/os`), and nodes' CIDRs.
//!
//! Parts: `pass` is one look at the nodes, with `health` (when each was heard of) and `zones`; `tainting` marks nodes
//! by way of each zone's `taint_queue` and of `swap` (read, write, try again); `tasks` is what waits for answers;
//! `events` is what is said.
//!
//! Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go (v1.34.1).

mod events;
mod health;
mod pass;
mod swap;
mod taint_queue;
mod tainting;
mod tasks;
#[cfg(test)]
mod tests;
mod zones;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::api::admission::{NOT_READY, UNREACHABLE};
use crate::api::{Answer, Client, Refusal};
use crate::config::Config;
use crate::context::Context;
use crate::controllers::news::{News, Topics};
use crate::controllers::{Controller, WorkQueue};
use crate::id::{Name, RequestId};
use crate::model::{ConditionKind, Kind, Node, Pod, Status3, TaintEffect};
use crate::seam::{Msg, TimerKind};
use crate::store::{ByHash, View};
use crate::time::Time;
use health::{Health, Passes};
use pass::Pass;
use swap::{Mark, Step};
use tasks::{Task, Tasks};
use zones::{ZoneKey, Zones};

/// How many nodes' NoSchedule taints are worked on at a time (`nodeUpdateWorkerSize`).
const NODE_WORKERS: u32 = 8;
/// How many newly bound pods are worked on at a time (`podUpdateWorkerSize`).
const POD_WORKERS: u32 = 4;

/// The node lifecycle controller.
pub(crate) struct NodeLifecycle {
    client: Client,
    health: ByHash<Name, Health>,
    passes: Passes,
    zones: Zones,
    /// The nodes that the next pass looks at.
    attention: BTreeSet<Name>,
    /// The nodes that have one of this controller's NoExecute taints, as the watch shows them.
    tainted: BTreeSet<Name>,
    /// Nodes whose NoSchedule taints may have to change.
    nodes: WorkQueue<Name>,
    /// Pods newly bound to a node that is not ready.
    pods: WorkQueue<(Name, Name)>,
    tasks: Tasks,
    pass: Option<Pass>,
    next_pass: Time,
    /// The zones that the taint pass under way has yet to serve.
    tainting: Option<VecDeque<ZoneKey>>,
    /// The end of the last taint pass that did something: the following ones come every 100 ms from there.
    tainted_at: Time,
    /// What the timers are armed for, so that nothing is armed twice.
    armed: (Option<Time>, Option<Time>),
    /// When all nodes were last forgiven their silence: at the end of a failure of all of them.
    forgiven_at: Time,
}

impl NodeLifecycle {
    /// The controller's number.
    pub(crate) const NUMBER: u8 = 5;

    /// A controller that has not started.
    pub(crate) fn new(config: &Config) -> NodeLifecycle {
        NodeLifecycle {
            client: Client::new(Self::NUMBER, config.controller_manager.client_limit),
            health: ByHash::default(),
            passes: Passes::default(),
            zones: Zones::default(),
            attention: BTreeSet::new(),
            tainted: BTreeSet::new(),
            nodes: WorkQueue::new(Self::NUMBER, NODE_WORKERS),
            pods: WorkQueue::new(Self::NUMBER, POD_WORKERS),
            tasks: Tasks::default(),
            pass: None,
            next_pass: Time::ZERO,
            tainting: None,
            tainted_at: Time::ZERO,
            armed: (None, None),
            forgiven_at: Time::ZERO,
        }
    }

    fn node_changed(&mut self, name: &Name, node: Option<&Arc<Node>>) {
        self.attention.insert(name.clone());
        match node {
            Some(node) => {
                self.nodes.add(name.clone());
                let tainted = has(node, NOT_READY) || has(node, UNREACHABLE);
                if tainted {
                    self.tainted.insert(name.clone())
                } else {
                    self.tainted.remove(name)
                };
            }
            None => {
                self.tainted.remove(name);
                if let Some(health) = self.health.get_mut(name) {
                    health.retry = false;
                }
            }
        }
    }

    /// A task needs an answer, time, or nothing more; in the last case it comes back with its outcome.
    fn park(&mut self, ctx: &mut Context<'_>, task: Task, step: Step) -> Option<(Task, bool)> {
        match step {
            Step::Ask(request) => {
                let id = self.client.send(ctx, request);
                self.tasks.ask(id, task);
                None
            }
            Step::Wait(span) => {
                self.tasks.sleep(ctx.now + span, task);
                None
            }
            Step::Done(success) => Some((task, success)),
        }
    }

    /// Goes on with a task whose change of taints has made a step.
    fn swap_step(&mut self, ctx: &mut Context<'_>, view: View<'_>, task: Task, step: Step) {
        let Some((task, success)) = self.park(ctx, task, step) else { return };
        match task {
            Task::Node(job) => self.taints_done(ctx, view, job, success),
            Task::NoSchedule(name, _) => self.nodes.done(&name),
            Task::NoExecute(zone, node, taken_at, _) => {
                self.taint_done(&zone, &node, success, taken_at);
                self.go_on_tainting(ctx, view);
            }
            Task::Release(_) => self.release_next(ctx),
            Task::Pod(..) => unreachable!("a pod has no taints"),
        }
    }

    fn answered(&mut self, ctx: &mut Context<'_>, view: View<'_>, mut task: Task, answer: Answer) {
        let step = match &mut task {
            Task::Node(job) => match &mut job.stage {
                tasks::Stage::Unmark(swap) | tasks::Stage::Taint(swap) => swap.on_answer(ctx, answer),
                _ => {
                    let Task::Node(job) = task else { unreachable!("the task was just seen to be a node's") };
                    return self.job_answered(ctx, view, job, answer);
                }
            },
            Task::NoSchedule(_, swap) | Task::NoExecute(_, _, _, swap) | Task::Release(swap) => {
                swap.on_answer(ctx, answer)
            }
            Task::Pod(key, pod) => return self.pod_answered(ctx, key.clone(), pod, answer),
        };
        self.swap_step(ctx, view, task, step);
    }

    fn woken(&mut self, ctx: &mut Context<'_>, view: View<'_>, mut task: Task) {
        let step = match &mut task {
            Task::Node(job) => match &mut job.stage {
                tasks::Stage::Unmark(swap) | tasks::Stage::Taint(swap) => swap.read(),
                _ => {
                    let Task::Node(job) = task else { unreachable!("the task was just seen to be a node's") };
                    return self.job_woken(ctx, view, &job);
                }
            },
            Task::NoSchedule(_, swap) | Task::NoExecute(_, _, _, swap) | Task::Release(swap) => swap.read(),
            Task::Pod(..) => unreachable!("a pod's task never sleeps"),
        };
        self.swap_step(ctx, view, task, step);
    }

    /// Marks a pod that was bound to a node that is not ready.
    ///
    /// Source: `processPod` (v1.34.1).
    fn mark_bound_pods(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        while let Some(key) = self.pods.take() {
            let marked = view.find::<Pod>(&key.0, &key.1).and_then(|(row, pod)| {
                let health = self.health.get(pod.node.as_ref()?)?;
                health.ready_status().filter(|status| *status != Status3::True)?;
                Some((pass::mark_request(view, row, pod, ctx.now)?, pod.clone()))
            });
            match marked {
                Some((request, pod)) => {
                    let id = self.client.send(ctx, request);
                    self.tasks.ask(id, Task::Pod(key, pod));
                }
                None => self.pods.done(&key),
            }
        }
    }

    fn pod_answered(&mut self, ctx: &mut Context<'_>, key: (Name, Name), pod: &Pod, answer: Answer) {
        self.pods.done(&key);
        if !matches!(answer, Err(Refusal::NotFound(_))) {
            events::pod_not_ready(ctx, pod);
        }
        match answer {
            Ok(_) | Err(Refusal::NotFound(_)) => self.pods.forget(&key),
            Err(_) => self.pods.add_rate_limited(ctx, key),
        }
    }

    fn arm(&mut self, ctx: &mut Context<'_>) {
        let pass = self.pass.is_none().then_some(self.next_pass);
        let next = pass.into_iter().chain(self.tasks.next_wake()).min();
        if let Some(at) = next.filter(|_| self.armed.0 != next) {
            ctx.arm(TimerKind::NodeMonitor, at.max(ctx.now));
            self.armed.0 = next;
        }
        let next = self.next_tainting(ctx.now);
        if let Some(at) = next.filter(|_| self.armed.1 != next) {
            ctx.arm(TimerKind::ZoneTaints, at);
            self.armed.1 = next;
        }
    }
}

impl Controller for NodeLifecycle {
    fn start(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        for (_, node) in view.all::<Node>() {
            self.node_changed(&node.meta.name.clone(), Some(node));
        }
        self.next_pass = ctx.now;
        self.tainted_at = ctx.now;
    }

    fn topics(&self) -> Topics {
        Topics::of(Kind::Node).and(Topics::POD_MOVES)
    }

    fn on_change(&mut self, _ctx: &mut Context<'_>, view: View<'_>, News { change, pods, .. }: &News<'_>) {
        match change.kind {
            Kind::Node => {
                let new = view.at(change.revision).get::<Node>(change.row);
                if let Some(node) = new.or(view.before(change.revision).get::<Node>(change.row)) {
                    self.node_changed(&node.meta.name, new);
                }
            }
            Kind::Pod => {
                let (old, Some(pod)) = *pods else { return };
                let Some(node) = &pod.node else { return };
                if old.is_some_and(|old| old.node.is_some()) {
                    return;
                }
                let status = self.health.get(node).and_then(Health::ready_status);
                if status.is_some_and(|status| status != Status3::True) {
                    self.pods.add((pod.meta.namespace.clone(), pod.meta.name.clone()));
                }
            }
            _ => {}
        }
    }

    fn work(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        self.reconcile_no_schedule(ctx, view);
        self.mark_bound_pods(ctx, view);
        self.go_on_with_pass(ctx, view);
        self.arm(ctx);
    }

    /// While nodes wait for taints, the time at which the zones' queues are looked at next is counted from now.
    fn minds_time(&self) -> bool {
        self.zones.next_taint().is_some()
    }

    fn on_answer(&mut self, ctx: &mut Context<'_>, view: View<'_>, id: RequestId, answer: Answer) {
        if let Some(task) = self.tasks.answered(id) {
            self.answered(ctx, view, task, answer);
        }
    }

    fn on_timer(&mut self, ctx: &mut Context<'_>, view: View<'_>, kind: TimerKind) {
        match kind {
            TimerKind::ClientTokens(Self::NUMBER) => self.client.on_tokens(ctx),
            TimerKind::WorkQueue(Self::NUMBER) => self.pods.on_timer(ctx),
            TimerKind::NodeMonitor => {
                self.armed.0 = None;
                while let Some(task) = self.tasks.wake(ctx.now) {
                    self.woken(ctx, view, task);
                }
                if self.pass.is_none() && self.next_pass <= ctx.now {
                    self.begin_pass(ctx, view);
                }
            }
            TimerKind::ZoneTaints => {
                self.armed.1 = None;
                self.begin_tainting(ctx, view);
            }
            _ => {}
        }
    }

    fn on_notice(&mut self, _ctx: &mut Context<'_>, _view: View<'_>, body: &Msg) {
        match body {
            Msg::LeaseRenewed { node, .. } => {
                let health = self.health.get_or_default(node);
                // A renewal that was on its way when the world began to vouch is among those it vouches for.
                if !health.is_vouched() {
                    health.renew();
                }
            }
            Msg::Vouch { node, vouched: true, .. } => {
                self.health.get_or_default(node).vouch(&self.passes);
            }
            Msg::Vouch { node, vouched: false, delivered } => {
                self.health.get_or_default(node).cease(&self.passes, delivered);
                self.attention.insert(node.clone());
            }
            _ => {}
        }
    }
}

/// Whether a node has a taint of this key with effect NoExecute.
fn has(node: &Node, key: &str) -> bool {
    node.spec.taints.iter().any(|taint| *taint.key == *key && taint.effect == TaintEffect::NoExecute)
}

fn no_execute(key: &str) -> Mark {
    (key.into(), TaintEffect::NoExecute)
}

fn ready_status(node: &Node) -> Option<Status3> {
    node.status.conditions.get(ConditionKind::Ready).map(|ready| ready.status)
}
