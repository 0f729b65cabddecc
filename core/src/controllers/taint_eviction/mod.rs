//! Taint eviction: deletes the pods of a node that do not endure its NoExecute taints, or not for so long.
//!
//! A pod's time runs from when this controller first saw a reason, and is the shortest of the tolerations in use. A
//! later look at the same pod changes nothing as long as one deletion is planned. Invariant: a pod has at most one
//! planned or running deletion. Absent on purpose: the eight shards of the original, which share no state; every
//! change is handled when the watch delivers it.
//!
//! Source: pkg/controller/tainteviction/{taint_eviction,timed_workers}.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::{Answer, Client, Propagation, Refusal, Reply, Request};
use crate::config::Config;
use crate::context::Context;
use crate::controllers::Controller;
use crate::controllers::news::{News, Topics};
use crate::events::Event;
use crate::facts::What;
use crate::id::{Name, RequestId};
use crate::model::{ConditionKind, Kind, Node, Object, ObjectKey, Pod, Status3, Taint, TaintEffect, Toleration};
use crate::seam::TimerKind;
use crate::store::{IndexKey, View};
use crate::time::{Span, Time};

/// How this controller names itself in events.
const REPORTER: &str = "taint-eviction-controller";
/// How often a deletion is tried.
const TRIES: u32 = 5;
/// The pause between two tries.
const PAUSE: Span = Span::from_millis(10);

/// The taint eviction controller.
pub(crate) struct TaintEviction {
    client: Client,
    /// The NoExecute taints of the nodes that have any.
    tainted: BTreeMap<Name, Vec<Taint>>,
    /// Planned, running and granted deletions.
    plans: BTreeMap<ObjectKey, Work>,
    /// Planned deletions by time.
    due: BTreeSet<(Time, ObjectKey)>,
    asked: BTreeMap<RequestId, Deletion>,
    /// Deletions that wait before their next try.
    paused: BTreeMap<(Time, ObjectKey), Deletion>,
    armed: Option<Time>,
}

/// What is done about a pod.
enum Work {
    /// It is to be deleted.
    Planned(Plan),
    /// It is being deleted; `late` if that was planned before.
    Running { late: bool },
    /// Its deletion was granted: it is not asked for again after some time, as long as the pod is there.
    Granted,
}

/// A deletion to come.
struct Plan {
    fires_at: Time,
    created_at: Time,
    /// The key of the taint that made it.
    cause: Name,
}

/// A deletion under way.
struct Deletion {
    pod: ObjectKey,
    tries: u32,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Read,
    Mark,
    Delete,
}

/// How long a pod endures the taints of its node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Endurance {
    None,
    For(Span),
    Always,
}

impl TaintEviction {
    /// The controller's number.
    pub(crate) const NUMBER: u8 = 6;

    /// A controller that has not started.
    pub(crate) fn new(config: &Config) -> TaintEviction {
        TaintEviction {
            client: Client::new(Self::NUMBER, config.controller_manager.client_limit),
            tainted: BTreeMap::new(),
            plans: BTreeMap::new(),
            due: BTreeSet::new(),
            asked: BTreeMap::new(),
            paused: BTreeMap::new(),
            armed: None,
        }
    }

    fn node_changed(&mut self, ctx: &mut Context<'_>, view: View<'_>, node: &Node) {
        let taints: Vec<Taint> = evicting(node).cloned().collect();
        let name = &node.meta.name;
        let pods = view.under::<Pod>(IndexKey::Node(name.clone()));
        if taints.is_empty() {
            if self.tainted.remove(name).is_some() {
                pods.for_each(|(_, pod)| self.cancel(ctx, &key_of(pod)));
            }
            return;
        }
        self.tainted.insert(name.clone(), taints);
        pods.for_each(|(_, pod)| self.consider(ctx, pod));
    }

    /// Plans, makes or cancels a pod's deletion.
    ///
    /// Source: `processPodOnNode` (v1.34.1).
    fn consider(&mut self, ctx: &mut Context<'_>, pod: &Pod) {
        let Some(taints) = pod.node.as_ref().and_then(|node| self.tainted.get(node)) else { return };
        let key = key_of(pod);
        let (endurance, cause) = endurance(&pod.spec.tolerations, taints);
        match endurance {
            Endurance::None => {
                self.cancel(ctx, &key);
                self.plan(ctx, key, Span::ZERO, cause);
            }
            Endurance::Always => self.cancel(ctx, &key),
            Endurance::For(span) => {
                // A plan that was made earlier stands, whatever the span is by now: only its start is compared.
                match self.plans.get(&key) {
                    Some(Work::Planned(plan)) if plan.created_at < ctx.now => return,
                    Some(Work::Planned(_)) => self.cancel(ctx, &key),
                    _ => {}
                }
                self.plan(ctx, key, span, cause);
            }
        }
    }

    fn plan(&mut self, ctx: &mut Context<'_>, key: ObjectKey, after: Span, cause: Name) {
        if self.plans.contains_key(&key) {
            return;
        }
        if after == Span::ZERO {
            return self.fire(ctx, key, cause, false);
        }
        let fires_at = ctx.now.saturating_add(after);
        self.due.insert((fires_at, key.clone()));
        self.plans.insert(key, Work::Planned(Plan { fires_at, created_at: ctx.now, cause }));
    }

    /// Forgets a plan; a deletion that runs already goes on. Nothing is said of one that was made at once or is
    /// granted.
    ///
    /// Source: `CancelWork`, pkg/controller/tainteviction/timed_workers.go (v1.34.1).
    fn cancel(&mut self, ctx: &mut Context<'_>, key: &ObjectKey) {
        match self.plans.remove(key) {
            Some(Work::Planned(plan)) => drop(self.due.remove(&(plan.fires_at, key.clone()))),
            Some(Work::Running { late: true }) => {}
            Some(Work::Running { late: false } | Work::Granted) | None => return,
        }
        tell(ctx, key, "Cancelling deletion of");
    }

    fn fire(&mut self, ctx: &mut Context<'_>, key: ObjectKey, cause: Name, late: bool) {
        self.plans.insert(key.clone(), Work::Running { late });
        ctx.record(key.clone(), What::Evicted { cause });
        tell(ctx, &key, "Marking for deletion");
        self.ask(ctx, Deletion { pod: key, tries: 0, stage: Stage::Read }, None);
    }

    fn ask(&mut self, ctx: &mut Context<'_>, deletion: Deletion, mark: Option<Request>) {
        let key = deletion.pod.clone();
        let request = match deletion.stage {
            Stage::Read => Request::Get(key),
            Stage::Mark => mark.expect("a mark is a write of the pod's status"),
            Stage::Delete => Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background },
        };
        let id = self.client.send(ctx, request);
        self.asked.insert(id, deletion);
    }

    /// Goes on with a deletion: read the pod, say why it goes, delete it.
    ///
    /// Source: `addConditionAndDeletePod` (v1.34.1), whose patch of the status cannot meet a conflict; here a conflict
    /// leads to reading again, which counts as a try.
    fn go_on(&mut self, ctx: &mut Context<'_>, mut deletion: Deletion, answer: Answer) {
        match (deletion.stage, answer) {
            (Stage::Read, Ok(Reply::Object(Object::Pod(pod), version))) => {
                let mut new = Pod::clone(&pod);
                let message = "Taint manager: deleting due to NoExecute taint";
                let reason = "DeletionByTaintManager";
                let conditions = &mut new.status.conditions;
                if conditions.set(ConditionKind::DisruptionTarget, Status3::True, reason, message, ctx.now) {
                    deletion.stage = Stage::Mark;
                    let object = Object::Pod(Arc::new(new));
                    return self.ask(ctx, deletion, Some(Request::UpdateStatus { object, expected: Some(version) }));
                }
                deletion.stage = Stage::Delete;
                self.ask(ctx, deletion, None);
            }
            (Stage::Mark, Ok(_)) => {
                deletion.stage = Stage::Delete;
                self.ask(ctx, deletion, None);
            }
            (Stage::Delete, Ok(_)) => self.granted(&deletion.pod),
            (_, answer) => {
                deletion.tries += 1;
                let gone = matches!(answer, Err(Refusal::NotFound(_)));
                if gone || deletion.tries == TRIES {
                    return self.finish(&deletion.pod);
                }
                deletion.stage = Stage::Read;
                self.paused.insert((ctx.now + PAUSE, deletion.pod.clone()), deletion);
            }
        }
    }

    /// A deletion was granted. That the pod is gone may have been seen before the answer: then nothing is kept.
    fn granted(&mut self, key: &ObjectKey) {
        if let Some(work @ Work::Running { .. }) = self.plans.get_mut(key) {
            *work = Work::Granted;
        }
    }

    /// A deletion was given up.
    fn finish(&mut self, key: &ObjectKey) {
        if let Some(Work::Running { .. }) = self.plans.get(key) {
            self.plans.remove(key);
        }
    }
}

impl Controller for TaintEviction {
    fn topics(&self) -> Topics {
        Topics::of(Kind::Node).and(Topics::POD_MOVES).and(Topics::POD_SPEC).and(Topics::POD_ENDS)
    }

    fn start(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        for (_, node) in view.all::<Node>() {
            self.node_changed(ctx, view, node);
        }
    }

    fn on_change(&mut self, ctx: &mut Context<'_>, view: View<'_>, News { change, pods, .. }: &News<'_>) {
        match change.kind {
            Kind::Node => match view.sides::<Node>(change) {
                (old, Some(new)) if old.is_none_or(|old| !evicting(old).eq(evicting(new))) => {
                    self.node_changed(ctx, view, new);
                }
                // The pods of a node that is gone are the pod collector's; what was planned for them stands.
                (Some(old), None) => drop(self.tainted.remove(&old.meta.name)),
                _ => {}
            },
            Kind::Pod => match *pods {
                (Some(old), None) if !self.plans.is_empty() => self.cancel(ctx, &key_of(old)),
                (_, None) => {}
                (Some(old), Some(new))
                    if old.node == new.node
                        && (old.spec == new.spec || old.spec.tolerations == new.spec.tolerations) => {}
                (_, Some(new)) => self.consider(ctx, new),
            },
            _ => {}
        }
    }

    fn work(&mut self, ctx: &mut Context<'_>, _view: View<'_>) {
        let due = self.due.first().map(|(at, _)| *at);
        let paused = self.paused.first_key_value().map(|((at, _), _)| *at);
        let next = due.into_iter().chain(paused).min();
        if next == self.armed {
            return;
        }
        self.armed = next;
        match next {
            Some(at) => ctx.arm(TimerKind::Eviction, at.max(ctx.now)),
            None => ctx.disarm(TimerKind::Eviction),
        }
    }

    fn on_answer(&mut self, ctx: &mut Context<'_>, _view: View<'_>, id: RequestId, answer: Answer) {
        // An answer to an earlier life of this process is for nobody.
        if let Some(deletion) = self.asked.remove(&id) {
            self.go_on(ctx, deletion, answer);
        }
    }

    fn on_timer(&mut self, ctx: &mut Context<'_>, _view: View<'_>, kind: TimerKind) {
        match kind {
            TimerKind::ClientTokens(Self::NUMBER) => self.client.on_tokens(ctx),
            TimerKind::Eviction => {
                self.armed = None;
                while let Some((_, key)) = self.due.first().filter(|(at, _)| *at <= ctx.now).cloned() {
                    self.due.pop_first();
                    let Some(Work::Planned(plan)) = self.plans.remove(&key) else {
                        unreachable!("what is due is planned")
                    };
                    self.fire(ctx, key, plan.cause, true);
                }
                while let Some(entry) = self.paused.first_entry()
                    && entry.key().0 <= ctx.now
                {
                    let deletion = entry.remove();
                    self.ask(ctx, deletion, None);
                }
            }
            _ => {}
        }
    }
}

/// The taints of a node that drive pods away.
fn evicting(node: &Node) -> impl Iterator<Item = &Taint> {
    node.spec.taints.iter().filter(|taint| taint.effect == TaintEffect::NoExecute)
}

/// Source: `emitPodDeletionEvent`, `emitCancelPodDeletionEvent` (v1.34.1), which name no identity.
fn tell(ctx: &mut Context<'_>, pod: &ObjectKey, what: &str) {
    let message = format!("{what} Pod {}/{}", pod.namespace, pod.name);
    ctx.event(pod.clone(), Event::normal(REPORTER, "TaintManagerEviction", message));
}

fn key_of(pod: &Pod) -> ObjectKey {
    ObjectKey { kind: Kind::Pod, namespace: pod.meta.namespace.clone(), name: pod.meta.name.clone() }
}

/// How long tolerations let a pod stay under taints: the shortest of those in use, nothing at all if one taint is not
/// tolerated. The name is the key of the taint that decides.
///
/// Source: `GetMatchingTolerations`, pkg/apis/core/v1/helper/helpers.go, and `getMinTolerationTime` (v1.34.1). Of
/// several tolerations of one taint the first is in use.
fn endurance(tolerations: &[Toleration], taints: &[Taint]) -> (Endurance, Name) {
    let mut shortest: Option<(i64, &Name)> = None;
    for taint in taints {
        let Some(used) = tolerations.iter().find(|toleration| toleration.tolerates(taint)) else {
            return (Endurance::None, taint.key.clone());
        };
        if let Some(seconds) = used.seconds
            && shortest.is_none_or(|(least, _)| seconds < least)
        {
            shortest = Some((seconds, &taint.key));
        }
    }
    match shortest {
        None => (Endurance::Always, Name::default()),
        Some((seconds, key)) => (Endurance::For(Span::from_secs(u64::try_from(seconds).unwrap_or(0))), key.clone()),
    }
}

#[cfg(test)]
mod tests;
