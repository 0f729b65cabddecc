//! Pod garbage collection: removes by force the pods that no kubelet will ever remove.
//!
//! Every 20 s after the end of the pass before: the oldest ended pods above a limit; terminating pods of nodes that an
//! operator has declared out of service; pods of nodes that have been gone for 40 s; terminating pods that were never
//! bound. Invariant: the sets below follow the watch, so a pass over a quiet cluster looks at no pod.
//!
//! Source: pkg/controller/podgc/gc_controller.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::api::{Answer, Client, Propagation, Refusal, Reply, Request};
use crate::config::Config;
use crate::context::Context;
use crate::controllers::Controller;
use crate::controllers::news::{News, Topics};
use crate::id::{Name, RequestId, RowId, Uid};
use crate::model::{ConditionKind, Kind, Node, Object, ObjectKey, Phase, Pod, Status3};
use crate::seam::TimerKind;
use crate::store::{IndexKey, View};
use crate::time::{Span, Time};

/// How many ended pods may stay (`--terminated-pod-gc-threshold`).
const ENDED_PODS: usize = 12_500;
/// By this taint an operator declares that a node is down for sure.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Ended pods in the order in which they are removed: evicted ones first, then by age, then by name.
type EndedKey = (bool, Time, Name, Name);

/// The pod garbage collector.
pub(crate) struct PodGc {
    client: Client,
    ended: BTreeMap<EndedKey, PodId>,
    terminating: BTreeSet<PodId>,
    /// The names of nodes that have pods but are not there.
    missing: BTreeSet<Name>,
    /// When each missing node has been missing for long enough.
    quarantine: BTreeMap<Name, Time>,
    pass: Option<Pass>,
}

/// A pod's row and identity.
type PodId = (RowId, Uid);

/// A pass under way: groups of removals, one group after the other.
struct Pass {
    groups: VecDeque<Group>,
    /// Nodes that are being asked for.
    checks: BTreeMap<RequestId, Name>,
    asked: BTreeMap<RequestId, Removal>,
}

/// Removals that are made all at once, or one after the other.
struct Group {
    at_once: bool,
    removals: VecDeque<Removal>,
}

/// One pod's removal.
#[derive(Clone)]
struct Removal {
    pod: PodId,
    key: ObjectKey,
    /// Whether the pod's node is gone, which is said in its status.
    orphaned: bool,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Mark,
    Read,
    Delete,
}

impl PodGc {
    /// The controller's number.
    pub(crate) const NUMBER: u8 = 7;

    /// A controller that has not started.
    pub(crate) fn new(config: &Config) -> PodGc {
        PodGc {
            client: Client::new(Self::NUMBER, config.controller_manager.client_limit),
            ended: BTreeMap::new(),
            terminating: BTreeSet::new(),
            missing: BTreeSet::new(),
            quarantine: BTreeMap::new(),
            pass: None,
        }
    }

    /// A pod has become another; the view is the store as of then.
    fn pod_changed(&mut self, view: View<'_>, row: RowId, old: Option<&Pod>, new: Option<&Pod>) {
        let ended = |pod: Option<&Pod>| pod.filter(|pod| pod.is_finished()).map(is_evicted);
        if ended(old) != ended(new) {
            old.filter(|old| old.is_finished()).into_iter().for_each(|old| _ = self.ended.remove(&ended_key(old)));
            let new = new.filter(|new| new.is_finished());
            self.ended.extend(new.map(|new| (ended_key(new), (row, new.meta.uid))));
        }
        let terminating =
            |pod: Option<&Pod>| pod.filter(|pod| pod.meta.is_terminating()).map(|pod| (row, pod.meta.uid));
        match (terminating(old), terminating(new)) {
            (old, new) if old == new => {}
            (old, new) => {
                old.iter().for_each(|id| _ = self.terminating.remove(id));
                self.terminating.extend(new);
            }
        }
        let (left, joined) = (old.and_then(|pod| pod.node.as_ref()), new.and_then(|pod| pod.node.as_ref()));
        if left == joined {
            return;
        }
        if let Some(node) = left.filter(|node| self.missing.contains(*node) && !has_pods(view, node)) {
            self.missing.remove(node);
        }
        if let Some(node) = joined.filter(|node| view.find::<Node>(&Name::default(), node).is_none()) {
            self.missing.insert(node.clone());
        }
    }

    /// Begins a pass with what the sets hold now.
    fn begin_pass(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        let mut groups = VecDeque::new();
        groups.push_back(group(view, true, false, excess(&self.ended, ENDED_PODS)));
        let stranded = self.terminating.iter().copied().filter(|(row, uid)| {
            let node = view.get_uid::<Pod>(*row, *uid).and_then(|pod| pod.node.as_ref());
            node.and_then(|node| view.find::<Node>(&Name::default(), node))
                .is_some_and(|(_, node)| is_out_of_service(node))
        });
        groups.push_back(group(view, true, false, stranded));
        let unbound = self.terminating.iter().copied();
        let unbound =
            unbound.filter(|(row, uid)| view.get_uid::<Pod>(*row, *uid).is_some_and(|pod| pod.node.is_none()));
        groups.push_back(group(view, false, false, unbound));
        self.pass = Some(Pass { groups, checks: BTreeMap::new(), asked: BTreeMap::new() });
        self.check_quarantine(ctx);
        self.go_on(ctx, view);
    }

    /// Asks the API server for each node that has been missing for long enough, and puts what is missing now (those
    /// included, should they come back) under quarantine.
    ///
    /// Source: `gcOrphaned`, `discoverDeletedNodes` (v1.34.1): a delaying queue, to which a name is added by each pass
    /// that finds it missing and from which it comes 40 s after it was first added.
    fn check_quarantine(&mut self, ctx: &mut Context<'_>) {
        let over: Vec<Name> =
            self.quarantine.iter().filter(|(_, ends)| **ends <= ctx.now).map(|(name, _)| name.clone()).collect();
        for name in &over {
            self.quarantine.remove(name);
        }
        let ends = ctx.now + ctx.config.controller_manager.pod_gc_quarantine;
        for name in &self.missing {
            self.quarantine.entry(name.clone()).or_insert(ends);
        }
        for name in over.into_iter().filter(|name| self.missing.contains(name)) {
            let id = self.client.send(ctx, Request::Get(ObjectKey::new(Kind::Node, "", &name)));
            self.pass.as_mut().expect("a pass is under way").checks.insert(id, name);
        }
    }

    /// Makes the next removals; ends the pass when none is left.
    fn go_on(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        while let Some(pass) = &mut self.pass {
            // The last group waits for the nodes that are being asked for, whose pods come before it.
            if !pass.checks.is_empty() && pass.groups.len() == 1 {
                return;
            }
            let Some(group) = pass.groups.front_mut() else {
                self.pass = None;
                let next = ctx.now + ctx.config.controller_manager.pod_gc_period;
                return ctx.arm(TimerKind::PodGc, next);
            };
            if !group.at_once && !pass.asked.is_empty() {
                return;
            }
            match group.removals.pop_front() {
                Some(removal) => self.begin_removal(ctx, view, removal),
                None if pass.asked.is_empty() => drop(pass.groups.pop_front()),
                None => return,
            }
        }
    }

    /// Source: `markFailedAndDeletePodWithCondition` (v1.34.1), whose patch cannot meet a conflict; here a conflict
    /// leads to reading the pod again.
    fn begin_removal(&mut self, ctx: &mut Context<'_>, view: View<'_>, mut removal: Removal) {
        let (row, uid) = removal.pod;
        let pod = view.get_uid::<Pod>(row, uid);
        let mark = pod.and_then(|pod| marked(pod, removal.orphaned, ctx.now));
        let request = match mark {
            Some(object) => {
                removal.stage = Stage::Mark;
                Request::UpdateStatus { object, expected: view.version_of::<Pod>(row) }
            }
            None => delete(&mut removal),
        };
        self.ask(ctx, removal, request);
    }

    fn ask(&mut self, ctx: &mut Context<'_>, removal: Removal, request: Request) {
        let id = self.client.send(ctx, request);
        self.pass.as_mut().expect("a pass is under way").asked.insert(id, removal);
    }

    fn node_checked(&mut self, view: View<'_>, name: Name, answer: &Answer) {
        if !matches!(answer, Err(Refusal::NotFound(_))) {
            return;
        }
        let pods = view.under::<Pod>(IndexKey::Node(name)).map(|(row, pod)| (row, pod.meta.uid));
        let orphans = group(view, false, true, pods);
        let groups = &mut self.pass.as_mut().expect("a pass is under way").groups;
        groups.insert(groups.len().saturating_sub(1), orphans);
    }

    fn removal_answered(&mut self, ctx: &mut Context<'_>, mut removal: Removal, answer: Answer) {
        let request = match (removal.stage, answer) {
            (Stage::Mark, Ok(_)) => delete(&mut removal),
            (Stage::Mark, Err(Refusal::Conflict { .. })) => {
                removal.stage = Stage::Read;
                Request::Get(removal.key.clone())
            }
            (Stage::Read, Ok(Reply::Object(Object::Pod(pod), version))) if pod.meta.uid == removal.pod.1 => {
                match marked(&pod, removal.orphaned, ctx.now) {
                    Some(object) => {
                        removal.stage = Stage::Mark;
                        Request::UpdateStatus { object, expected: Some(version) }
                    }
                    None => delete(&mut removal),
                }
            }
            // Done, gone already, or refused: the next pass finds what is left.
            _ => return,
        };
        self.ask(ctx, removal, request);
    }
}

impl Controller for PodGc {
    fn topics(&self) -> Topics {
        Topics::of(Kind::Node).and(Topics::POD_MOVES).and(Topics::POD_LEAVES)
    }

    fn start(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        for (row, pod) in view.all::<Pod>() {
            self.pod_changed(view, row, None, Some(pod));
        }
        ctx.arm(TimerKind::PodGc, ctx.now);
    }

    fn on_change(&mut self, _ctx: &mut Context<'_>, view: View<'_>, News { change, pods, .. }: &News<'_>) {
        let after = view.at(change.revision);
        match change.kind {
            Kind::Pod => self.pod_changed(after, change.row, pods.0, pods.1),
            Kind::Node => match view.sides::<Node>(change) {
                (None, Some(new)) => drop(self.missing.remove(&new.meta.name)),
                (Some(old), None) if has_pods(after, &old.meta.name) => {
                    self.missing.insert(old.meta.name.clone());
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn work(&mut self, _ctx: &mut Context<'_>, _view: View<'_>) {}

    fn on_answer(&mut self, ctx: &mut Context<'_>, view: View<'_>, id: RequestId, answer: Answer) {
        // An answer to an earlier life of this process is for nobody.
        let Some(pass) = &mut self.pass else { return };
        if let Some(name) = pass.checks.remove(&id) {
            self.node_checked(view, name, &answer);
        } else if let Some(removal) = pass.asked.remove(&id) {
            self.removal_answered(ctx, removal, answer);
        }
        self.go_on(ctx, view);
    }

    fn on_timer(&mut self, ctx: &mut Context<'_>, view: View<'_>, kind: TimerKind) {
        match kind {
            TimerKind::ClientTokens(Self::NUMBER) => self.client.on_tokens(ctx),
            TimerKind::PodGc if self.pass.is_none() => self.begin_pass(ctx, view),
            _ => {}
        }
    }
}

fn group(view: View<'_>, at_once: bool, orphaned: bool, pods: impl Iterator<Item = PodId>) -> Group {
    let removal = |pod: PodId| {
        let key = view.get_uid::<Pod>(pod.0, pod.1).map(|pod| Object::Pod(pod.clone()).key())?;
        Some(Removal { pod, key, orphaned, stage: Stage::Mark })
    };
    Group { at_once, removals: pods.filter_map(removal).collect() }
}

fn delete(removal: &mut Removal) -> Request {
    removal.stage = Stage::Delete;
    let key = removal.key.clone();
    Request::Delete { key, uid: None, grace: Some(Span::ZERO), propagation: Propagation::Background }
}

/// The pod as failed, because nobody else will say so; `None` if it has ended.
fn marked(pod: &Arc<Pod>, orphaned: bool, now: Time) -> Option<Object> {
    if pod.is_finished() {
        return None;
    }
    let mut new = Pod::clone(pod);
    new.status.phase = Phase::Failed;
    new.status.observed_generation = new.meta.generation;
    if orphaned {
        let message = "PodGC: node no longer exists";
        new.status.conditions.set(ConditionKind::DisruptionTarget, Status3::True, "DeletionByPodGC", message, now);
    }
    Some(Object::Pod(Arc::new(new)))
}

/// The ended pods beyond a limit, in the order of their removal.
///
/// Source: `gcTerminated`. Absent on purpose: a limit of zero, which there means none; the limit here is fixed.
fn excess(ended: &BTreeMap<EndedKey, PodId>, limit: usize) -> impl Iterator<Item = PodId> {
    ended.values().take(ended.len().saturating_sub(limit)).copied()
}

/// Whether any pod is bound to a node of this name.
fn has_pods(view: View<'_>, node: &Name) -> bool {
    view.under::<Pod>(IndexKey::Node(node.clone())).next().is_some()
}

fn is_evicted(pod: &Pod) -> bool {
    pod.status.phase == Phase::Failed && *pod.status.reason == *"Evicted"
}

/// All versions of an ended pod have the same key, unless it is evicted later than it ended.
fn ended_key(pod: &Pod) -> EndedKey {
    let created = pod.meta.created_at.whole_second();
    (!is_evicted(pod), created, pod.meta.name.clone(), pod.meta.namespace.clone())
}

fn is_out_of_service(node: &Node) -> bool {
    !node.is_ready() && node.spec.taints.iter().any(|taint| *taint.key == *OUT_OF_SERVICE)
}

#[cfg(test)]
mod tests;
