//! One monitor pass: judge the nodes, write what has changed, mark pods, judge the zones.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::api::admission::{NOT_READY, UNREACHABLE};
use crate::api::{Answer, Refusal, Reply, Request};
use crate::context::Context;
use crate::controllers::node_lifecycle::health::{Health, silent};
use crate::controllers::node_lifecycle::swap::Swap;
use crate::controllers::node_lifecycle::tasks::{NodeJob, Stage, Task};
use crate::controllers::node_lifecycle::zones::Disruption;
use crate::controllers::node_lifecycle::{NodeLifecycle, events, no_execute, ready_status};
use crate::facts::What;
use crate::id::{Name, Revision, RowId};
use crate::model::{ConditionKind, Kind, Node, Object, ObjectKey, Pod, Status3};
use crate::store::{IndexKey, View};
use crate::time::{Span, Time};

/// How many nodes make requests at a time (`UpdateWorkerSize`).
const WORKERS: u32 = 8;
/// How often the write of a node's conditions is tried (`NodeHealthUpdateRetry`).
const TRIES: u32 = 5;
/// The pause between two tries.
const PAUSE: Span = Span::from_millis(20);
/// Nodes with this label do not count in their zone.
const EXCLUDED: &str = "node.kubernetes.io/exclude-disruption";

/// A pass under way.
pub(super) struct Pass {
    todo: VecDeque<Box<NodeJob>>,
    active: u32,
    /// The nodes that had NoExecute taints when the pass began, which lose them if all nodes are down.
    tainted: VecDeque<Arc<Node>>,
    /// Whether the zones have been judged.
    judged: bool,
    releasing: bool,
}

impl NodeLifecycle {
    /// Begins a pass: judges every node that needs it by what is known now.
    pub(super) fn begin_pass(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        self.passes.begin(ctx.now);
        let find = |name: &Name| view.find::<Node>(&Name::default(), name);
        let tainted = self.tainted.iter().filter_map(find).map(|(_, node)| node.clone()).collect();
        let mut todo = VecDeque::new();
        for name in std::mem::take(&mut self.attention) {
            match find(&name) {
                Some((row, node)) => {
                    let version = view.version_of::<Node>(row).expect("the node is present");
                    todo.push_back(self.judge(ctx, node, version));
                }
                None => self.node_is_gone(ctx, &name),
            }
        }
        self.pass = Some(Pass { todo, active: 0, tainted, judged: false, releasing: false });
    }

    /// Gives nodes their turn while workers are free; ends the pass when all have had it.
    pub(super) fn go_on_with_pass(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        while let Some(pass) = &mut self.pass {
            if pass.active < WORKERS
                && let Some(job) = pass.todo.pop_front()
            {
                pass.active += 1;
                self.begin_job(ctx, view, job);
            } else if pass.active == 0 && pass.todo.is_empty() && !pass.judged {
                pass.judged = true;
                self.judge_zones(ctx);
            } else if pass.judged && !pass.releasing {
                self.pass = None;
                self.next_pass = ctx.now + ctx.config.controller_manager.node_monitor_period;
            } else {
                return;
            }
        }
    }

    /// Takes the taints off the next node, now that all are down.
    pub(super) fn release_next(&mut self, ctx: &mut Context<'_>) {
        while let Some(node) = self.pass.as_mut().and_then(|pass| pass.tainted.pop_front()) {
            let marks = vec![no_execute(UNREACHABLE), no_execute(NOT_READY)];
            let (swap, step) = Swap::begin(&node, Vec::new(), marks, ctx.now);
            if self.park(ctx, Task::Release(swap), step).is_none() {
                return;
            }
        }
        if let Some(pass) = &mut self.pass {
            pass.releasing = false;
        }
    }

    fn judge(&mut self, ctx: &Context<'_>, node: &Arc<Node>, version: Revision) -> Box<NodeJob> {
        let config = &ctx.config.controller_manager;
        self.zones.entry(&node.zone_key(), config);
        let health = self.health.get_or_default(&node.meta.name);
        let probe = health.look(node, &self.passes, ctx.now);
        let status = ready_status(node);
        let grace = if status.is_none() { config.node_startup_grace_period } else { config.node_monitor_grace_period };
        // Kubernetes asks for strictly more than the grace. A real pass takes some time, so the tenth pass after a sign
        // of life comes a little later than 50 s after it and finds the node silent. A pass over instant links takes
        // no time at all: with "more than" the node would get another 5 s that no real cluster gives it.
        let expired = probe.is_some_and(|probe| ctx.now >= probe.max(self.forgiven_at) + grace);
        let silent = if expired { silent(node, ctx.now).map(Arc::new) } else { None };
        Box::new(NodeJob {
            node: node.clone(),
            version,
            silent,
            observed: status.unwrap_or(Status3::Unknown),
            current: status,
            tries: 0,
            stage: Stage::Write,
        })
    }

    fn node_is_gone(&mut self, ctx: &mut Context<'_>, name: &Name) {
        if let Some(health) = self.health.get_mut(name) {
            if let Some(uid) = health.known.take() {
                events::removing(ctx, name, uid);
            }
            self.zones.count(health.counted.take().as_ref(), None);
        }
    }

    fn health_of(&mut self, job: &NodeJob) -> &mut Health {
        self.health.get_mut(&job.node.meta.name).expect("the node has been judged")
    }

    fn begin_job(&mut self, ctx: &mut Context<'_>, view: View<'_>, mut job: Box<NodeJob>) {
        let known = &mut self.health_of(&job).known;
        if known.is_some() {
            return self.write(ctx, view, job);
        }
        *known = Some(job.node.meta.uid);
        events::registered(ctx, &job.node);
        let marks = vec![no_execute(UNREACHABLE), no_execute(NOT_READY)];
        let (swap, step) = Swap::begin(&job.node, Vec::new(), marks, ctx.now);
        job.stage = Stage::Unmark(swap);
        self.swap_step(ctx, view, Task::Node(job), step);
    }

    /// The taints of a turn have been dealt with, at its beginning or after its write.
    pub(super) fn taints_done(&mut self, ctx: &mut Context<'_>, view: View<'_>, job: Box<NodeJob>, success: bool) {
        let unmarked = matches!(job.stage, Stage::Unmark(_));
        if success && (unmarked || job.current == Some(Status3::True)) {
            let zone = self.zones.entry(&job.node.zone_key(), &ctx.config.controller_manager);
            zone.queue.remove(&job.node.meta.name);
        }
        if unmarked { self.write(ctx, view, job) } else { self.begin_pods(ctx, view, job) }
    }

    fn write(&mut self, ctx: &mut Context<'_>, view: View<'_>, mut job: Box<NodeJob>) {
        let Some(silent) = job.silent.clone() else { return self.conditions_done(ctx, view, job) };
        job.stage = Stage::Write;
        let request = Request::UpdateStatus { object: Object::Node(silent), expected: Some(job.version) };
        let id = self.client.send(ctx, request);
        self.tasks.ask(id, Task::Node(job));
    }

    /// The answer to a turn's write or reading, other than of taints.
    pub(super) fn job_answered(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        mut job: Box<NodeJob>,
        answer: Answer,
    ) {
        match (&mut job.stage, answer) {
            (Stage::Write, Ok(_)) => {
                let silent = job.silent.take().expect("only a silent node is written");
                self.health_of(&job).written(silent.status.conditions.get(ConditionKind::Ready));
                job.current = Some(Status3::Unknown);
                self.conditions_done(ctx, view, job);
            }
            (Stage::Write, Err(_)) => {
                job.tries += 1;
                job.stage = Stage::Fetch;
                let key = ObjectKey::new(Kind::Node, "", &job.node.meta.name);
                let id = self.client.send(ctx, Request::Get(key));
                self.tasks.ask(id, Task::Node(job));
            }
            (Stage::Fetch, Ok(Reply::Object(Object::Node(node), version))) if job.tries < TRIES => {
                (job.node, job.version, job.stage) = (node, version, Stage::Pause);
                self.tasks.sleep(ctx.now + PAUSE, Task::Node(job));
            }
            (Stage::Fetch, _) => {
                // The node is gone, or somebody keeps writing it: it does not count in this pass.
                let before = self.health_of(&job).counted.take();
                self.zones.count(before.as_ref(), None);
                let retry = self.health_of(&job).retry;
                self.end_job(&job, retry);
            }
            (Stage::Pods { asked, failed, .. }, answer) => {
                let pod = asked.take().expect("an answer is about the pod that was asked for");
                if !matches!(answer, Err(Refusal::NotFound(_))) {
                    events::pod_not_ready(ctx, &pod);
                    *failed |= answer.is_err();
                }
                self.next_pod(ctx, view, job);
            }
            (_, answer) => panic!("a node's turn got an answer that it does not wait for: {answer:?}"),
        }
    }

    /// A turn's pause is over: the node is judged again, by its newest version.
    pub(super) fn job_woken(&mut self, ctx: &mut Context<'_>, view: View<'_>, before: &NodeJob) {
        let mut job = self.judge(ctx, &before.node, before.version);
        job.tries = before.tries;
        self.write(ctx, view, job);
    }

    fn conditions_done(&mut self, ctx: &mut Context<'_>, view: View<'_>, mut job: Box<NodeJob>) {
        let counts = job.node.meta.labels.get(EXCLUDED).is_none();
        let after = counts.then(|| (job.node.zone_key(), job.current == Some(Status3::True)));
        let before = std::mem::replace(&mut self.health_of(&job).counted, after.clone());
        self.zones.count(before.as_ref(), after.as_ref());
        let Some(status) = job.current else { return self.end_job(&job, false) };
        match self.taint_for(ctx, &job.node, status) {
            Some((swap, step)) => {
                job.stage = Stage::Taint(swap);
                self.swap_step(ctx, view, Task::Node(job), step);
            }
            None => self.begin_pods(ctx, view, job),
        }
    }

    fn begin_pods(&mut self, ctx: &mut Context<'_>, view: View<'_>, mut job: Box<NodeJob>) {
        let was_ready = job.observed == Status3::True;
        let falls = was_ready && job.current != Some(Status3::True);
        let again = !was_ready && self.health_of(&job).retry;
        if !falls && !again {
            return self.end_job(&job, false);
        }
        if falls {
            events::not_ready(ctx, &job.node);
        }
        let pods = view.under::<Pod>(IndexKey::Node(job.node.meta.name.clone()));
        let left = pods.map(|(row, pod)| (row, pod.meta.uid)).collect();
        job.stage = Stage::Pods { left, asked: None, failed: false };
        self.next_pod(ctx, view, job);
    }

    fn next_pod(&mut self, ctx: &mut Context<'_>, view: View<'_>, mut job: Box<NodeJob>) {
        let Stage::Pods { left, asked, failed } = &mut job.stage else { unreachable!("the turn is at its pods") };
        while let Some((row, uid)) = left.pop_front() {
            let Some(pod) = view.get_uid::<Pod>(row, uid) else { continue };
            if let Some(request) = mark_request(view, row, pod, ctx.now) {
                *asked = Some(pod.clone());
                let id = self.client.send(ctx, request);
                return self.tasks.ask(id, Task::Node(job));
            }
        }
        let failed = *failed;
        self.end_job(&job, failed);
    }

    fn end_job(&mut self, job: &NodeJob, retry: bool) {
        let name = &job.node.meta.name;
        let remembered = self.zones.get_mut(&job.node.zone_key()).is_some_and(|zone| zone.queue.remembers(name));
        let tainted = self.tainted.contains(name);
        let health = self.health_of(job);
        health.retry = retry;
        let ready = job.observed == Status3::True && job.current == Some(Status3::True);
        let quiet = health.is_vouched() && ready && !retry && !tainted && !remembered;
        if !quiet {
            self.attention.insert(name.clone());
        }
        self.pass.as_mut().expect("a turn is part of a pass").active -= 1;
    }

    fn judge_zones(&mut self, ctx: &mut Context<'_>) {
        let mut changes = Vec::new();
        let disruption = self
            .zones
            .judge(&ctx.config.controller_manager, ctx.now, |zone, state| changes.push((zone.clone(), state)));
        for ((region, zone), state) in changes {
            let name = if region.is_empty() { format!("zone/{zone}") } else { format!("zone/{region}/{zone}") };
            ctx.record(ObjectKey::new(Kind::Node, "", &name), What::ZoneState { state: state.name().into() });
        }
        match disruption {
            Disruption::None => {}
            Disruption::Entered => {
                self.zones.clear_queues();
                self.pass.as_mut().expect("zones are judged in a pass").releasing = true;
                self.release_next(ctx);
            }
            Disruption::Left => self.forgiven_at = ctx.now,
        }
    }
}

/// The write that makes a pod not ready; `None` if it is so already or has never been judged.
///
/// Only the Ready condition changes, and only its status: ContainersReady, reason and message stay. Source:
/// `MarkPodsNotReady`, pkg/controller/util/node/controller_utils.go (v1.34.1).
pub(super) fn mark_request(view: View<'_>, row: RowId, pod: &Arc<Pod>, now: Time) -> Option<Request> {
    let ready = pod.status.conditions.get(ConditionKind::Ready).filter(|ready| ready.status != Status3::False)?;
    let mut new = Pod::clone(pod);
    new.status.conditions.set(ConditionKind::Ready, Status3::False, &ready.reason, &ready.message, now);
    Some(Request::UpdateStatus { object: Object::Pod(Arc::new(new)), expected: view.version_of::<Pod>(row) })
}
