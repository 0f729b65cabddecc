//! The StatefulSet controller: pods with names that last, made, replaced and removed in order.
//!
//! A sync has up to five stages of requests: claim (revisions and pods without an owner, pods that no longer match),
//! revision (the template becomes a ControllerRevision, or an old one becomes the newest), act ([`control`]; then the
//! owners of claims that were made), status with the removal of old revisions. Invariant: at most one pod of a name
//! exists, because a name is made again only when the watch has shown that it is free; so a pod on a node that is gone
//! is never replaced until somebody removes it. Source: pkg/controller/statefulset (v1.34.1).
//!
//! Parts beside [`control`]: `plan` (what a sync asks for), `identity` (names, ordinals, revisions), `storage`
//! (claims), `events` (what is said).

mod control;
mod events;
mod identity;
mod plan;
mod storage;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::{Answer, Propagation, Refusal, Reply, Request};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::claims::{Claims, Orphans, claim};
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::{Ended, Pass};
use crate::controllers::{NamespacedName, managing, revisions};
use crate::facts::What;
use crate::id::RowId;
use crate::model::{ControllerRevision, Kind, Meta, Object, Pod, StatefulSet};
use crate::store::View;
use crate::time::Span;

use control::Situation;
use plan::Plan;

/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 8;
/// The label of a revision with its hash.
const HASH_LABEL: &str = "controller.kubernetes.io/hash";
/// Added to the time until a pod becomes available.
const SKEW: Span = Span::from_secs(1);

/// The controller.
pub(super) struct StatefulSets {
    desk: Desk<NamespacedName, Stage>,
    orphans: Orphans,
    orphan_revisions: Orphans,
}

/// A sync between two stages.
pub(in crate::controllers) struct Sync {
    set: Arc<StatefulSet>,
    pods: Vec<Arc<Pod>>,
    /// Oldest first.
    revisions: Vec<Arc<ControllerRevision>>,
    /// The revision of the set's template, once it is known.
    update: Option<Arc<ControllerRevision>>,
    collisions: u32,
}

/// What a sync waits for.
pub(in crate::controllers) enum Stage {
    /// Adoptions and releases, of revisions first.
    Claim(Sync, Claims<ControllerRevision>, Claims<Pod>),
    /// The creation of the revision, or its new number.
    Revision(Sync),
    /// The revision whose name was taken.
    Taken(Sync, Arc<ControllerRevision>),
    Act(Sync, Plan),
    /// The owners of claims that were made with their pods, which are the plan's actions by now.
    Retain(Sync, Plan),
    /// The status update and the removal of old revisions; the delay until the next look, and whether the sync failed.
    Status {
        failed: bool,
        next: Option<Span>,
    },
}

impl StatefulSets {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> StatefulSets {
        let tolerated: fn(&Refusal) -> bool = |refusal| matches!(refusal, Refusal::NotFound(_));
        StatefulSets {
            desk: Desk::new(NUMBER, config.concurrent_syncs, config.client_limit, tolerated)
                .telling(events::told)
                .gated(|stage, place, answers| match stage {
                    Stage::Act(sync, plan) => plan.pass(&sync.set.meta, place, answers),
                    _ => Pass::IfAllWell,
                }),
            orphans: Orphans::default(),
            orphan_revisions: Orphans::default(),
        }
    }

    /// The template becomes a revision of its own, an old revision becomes the newest, or nothing has changed.
    ///
    /// Source: `getStatefulSetRevisions`, pkg/controller/statefulset/stateful_set_control.go (v1.34.1).
    fn settle_revision(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        key: NamespacedName,
        mut sync: Sync,
    ) -> Step<NamespacedName, Stage> {
        let template = &sync.set.template;
        let last = sync.revisions.last();
        if last.is_some_and(|last| last.template == *template) {
            sync.update = last.cloned();
            return self.act(ctx, view, key, sync);
        }
        let number = last.map_or(1, |last| last.revision + 1);
        let equal = sync.revisions.iter().rfind(|revision| revision.template == *template);
        let request = match equal {
            Some(equal) => {
                let renewed = ControllerRevision { revision: number, ..ControllerRevision::clone(equal) };
                Request::Update { object: Object::ControllerRevision(Arc::new(renewed)), expected: None }
            }
            None => creation(&sync, number),
        };
        self.desk.begin(ctx, key, Stage::Revision(sync), [vec![request]])
    }

    fn act(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        key: NamespacedName,
        sync: Sync,
    ) -> Step<NamespacedName, Stage> {
        let update = sync.update.as_ref().expect("the revision is settled");
        let current = sync.current();
        let situation = Situation {
            now: ctx.now,
            view,
            set: &sync.set,
            current,
            update,
            pods: &sync.pods,
            collisions: sync.collisions,
        };
        let mut plan = situation.decide();
        for claim in &plan.conflicts {
            let (subject, event) = events::conflicting(claim, &sync.set.meta);
            ctx.event(subject, event);
        }
        let batches = std::mem::take(&mut plan.batches);
        self.desk.begin(ctx, key, Stage::Act(sync, plan), batches)
    }

    /// Source: `updateStatefulSetStatus`, `truncateHistory`.
    fn conclude(
        &mut self,
        ctx: &mut Context<'_>,
        key: NamespacedName,
        sync: Sync,
        plan: Plan,
        failed: bool,
    ) -> Step<NamespacedName, Stage> {
        let mut status = plan.status;
        if plan.replaces && !failed {
            status.current = status.current.saturating_sub(1);
        }
        let set = &sync.set;
        let next = (set.min_ready > Span::ZERO && status.available != set.replicas).then_some(set.min_ready);
        let write = control::to_write(set, status).map(|status| {
            let object = Object::StatefulSet(Arc::new(StatefulSet { status, ..StatefulSet::clone(set) }));
            // Kubernetes writes once more over a conflict; writing without a condition comes to the same.
            Request::UpdateStatus { object, expected: None }
        });
        let batches = [write.into_iter().collect(), sync.surplus_revisions()];
        self.desk.begin(ctx, key, Stage::Status { failed, next }, batches)
    }

    fn on_pod(&mut self, ctx: &mut Context<'_>, view: View<'_>, row: RowId, old: Option<&Pod>, new: Option<&Pod>) {
        self.orphans.note(row, old.map(|pod| &*pod.meta), new.map(|pod| &*pod.meta));
        let Some(pod) = new.or(old) else { return };
        let changes_hands = old.is_none_or(|old| old.meta.controller() != pod.meta.controller());
        if let Some((key, _)) = old.filter(|_| changes_hands).and_then(|old| managing::<StatefulSet>(view, &old.meta)) {
            self.desk.queue.add(key);
        }
        if let Some((key, set)) = managing::<StatefulSet>(view, &pod.meta) {
            let becomes_ready = old.is_some_and(|old| !old.is_ready()) && new.is_some_and(Pod::is_ready);
            self.desk.queue.add(key.clone());
            if becomes_ready && set.min_ready > Span::ZERO {
                self.desk.queue.add_after(ctx, key, set.min_ready + SKEW);
            }
        } else if let Some(pod) = new
            && !pod.meta.is_managed()
            && !pod.meta.is_terminating()
            && old.is_none_or(|old| changes_hands || old.meta.labels != pod.meta.labels)
        {
            for (_, set) in view.in_namespace::<StatefulSet>(&pod.meta.namespace) {
                if !set.selector.is_empty() && set.selector.matches(&pod.meta.labels) {
                    self.desk.queue.add(NamespacedName::of_meta(&set.meta));
                }
            }
        }
    }

    /// Tells what was refused or could not be tried; whether the sync has failed so far.
    fn tell(ctx: &mut Context<'_>, sync: &Sync, plan: &Plan, answers: &[Answer], failed: bool) -> bool {
        let refusal = |place: usize| answers.get(place).and_then(|answer| answer.as_ref().err());
        let refused = plan.actions.iter().zip(answers).filter_map(|(action, answer)| {
            let refusal_of_own = answer.as_ref().err()?;
            let fault = if action.makes_pod() { plan.fault_of(&action.pod, refusal) } else { None };
            if fault.is_none() && matches!(refusal_of_own, Refusal::AlreadyExists { .. }) {
                return None;
            }
            Some(action.failure(&sync.set.meta.name, &fault.unwrap_or_else(|| refusal_of_own.to_string())))
        });
        let mut messages: Vec<String> = refused.collect();
        if let (Some((action, error)), false) = (&plan.obstacle, failed) {
            messages.push(action.failure(&sync.set.meta.name, error));
        }
        let key = NamespacedName::of_meta(&sync.set.meta).of(Kind::StatefulSet);
        for message in messages {
            ctx.record(key.clone(), What::Refused { message: message.into() });
        }
        failed || plan.obstacle.is_some()
    }
}

impl Plan {
    /// Says that pods were made, where that was put off.
    fn say_made(&mut self, ctx: &mut Context<'_>, set: &StatefulSet) {
        for action in std::mem::take(&mut self.untold) {
            if let Some((subject, event)) = events::succeeded(&action, &set.meta) {
                ctx.event(subject, event);
            }
        }
    }
}

impl Sync {
    /// The revision that pods had before the rollout: the one that the status names, or else the newest.
    fn current(&self) -> &Arc<ControllerRevision> {
        let name = &self.set.status.current_revision;
        let update = self.update.as_ref().expect("the revision is settled");
        // An old revision that has just become the newest is among `revisions` with its former number.
        self.revisions.iter().find(|revision| revision.meta.name == *name).unwrap_or(update)
    }

    /// The deletions of revisions without pods beyond the limit, the oldest first.
    fn surplus_revisions(&self) -> Vec<Request> {
        let Some(limit) = self.set.revision_history_limit else { return Vec::new() };
        let update = self.update.as_ref().expect("the revision is settled");
        let mut live: BTreeSet<&str> = self.pods.iter().map(|pod| identity::revision(pod)).collect();
        live.extend([&*self.current().meta.name, &*update.meta.name]);
        let history: Vec<_> = self.revisions.iter().filter(|revision| !live.contains(&*revision.meta.name)).collect();
        let surplus = history.len().saturating_sub(limit as usize);
        history[..surplus].iter().map(|revision| deletion_of(&revision.meta)).collect()
    }
}

impl Reconciler for StatefulSets {
    type Key = NamespacedName;
    type Stage = Stage;

    fn topics(&self) -> Topics {
        Topics::of_all(&[Kind::StatefulSet, Kind::ControllerRevision]).and(Topics::pods_of(Kind::StatefulSet))
    }

    fn desk(&mut self) -> &mut Desk<NamespacedName, Stage> {
        &mut self.desk
    }

    fn list(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        for (_, set) in view.all::<StatefulSet>() {
            self.desk.queue.add(NamespacedName::of_meta(&set.meta));
        }
        for (row, revision) in view.all::<ControllerRevision>() {
            self.orphan_revisions.note(row, None, Some(&revision.meta));
        }
        for (row, pod) in view.all::<Pod>() {
            self.on_pod(ctx, view, row, None, Some(pod));
        }
    }

    fn note(&mut self, ctx: &mut Context<'_>, view: View<'_>, News { change, pods, .. }: &News<'_>) {
        let after = view.at(change.revision);
        match change.kind {
            Kind::Pod => self.on_pod(ctx, after, change.row, pods.0, pods.1),
            Kind::StatefulSet => {
                let (old, new) = view.sides::<StatefulSet>(change);
                let set = new.or(old);
                self.desk.queue.add(NamespacedName::of_meta(&set.expect("a change has a row before or after it").meta));
            }
            Kind::ControllerRevision => {
                let (old, new) = view.sides::<ControllerRevision>(change);
                self.orphan_revisions.note(change.row, old.map(|it| &it.meta), new.map(|it| &it.meta));
            }
            _ => {}
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: NamespacedName) -> Step<NamespacedName, Stage> {
        let Some((_, set)) = view.find::<StatefulSet>(&key.namespace, &key.name) else {
            return self.desk.finish(ctx, &key, false);
        };
        let set = set.clone();
        let selects = |meta: &Meta| set.selector.matches(&meta.labels);
        let of_revision = |revision: &ControllerRevision| selects(&revision.meta);
        // Revisions that no longer match are not released, only left alone.
        let kind = Kind::StatefulSet;
        let (revisions, mut of_revisions) =
            claim::<ControllerRevision>(view, &self.orphan_revisions, kind, &set.meta, of_revision);
        of_revisions.drop_releases();
        let is_member = |pod: &Pod| selects(&pod.meta) && identity::is_member(&set, pod);
        let (pods, mut of_pods) = claim::<Pod>(view, &self.orphans, kind, &set.meta, is_member);
        let batches = [std::mem::take(&mut of_revisions.requests), std::mem::take(&mut of_pods.requests)];
        let adopter = of_revisions.adopter(kind, &set.meta).or_else(|| of_pods.adopter(kind, &set.meta));
        let collisions = set.status.collision_count.unwrap_or(0);
        let sync = Sync { set, pods, revisions, update: None, collisions };
        self.desk.begin_claims(ctx, key, Stage::Claim(sync, of_revisions, of_pods), adopter, batches)
    }

    fn proceed(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        ended: Ended<NamespacedName, Stage>,
    ) -> Step<NamespacedName, Stage> {
        let Ended { key, stage, answers, error, .. } = ended;
        match stage {
            Stage::Claim(..) if error.is_some() => self.desk.finish(ctx, &key, true),
            Stage::Claim(mut sync, of_revisions, of_pods) => {
                let (first, rest) = answers.split_at(of_revisions.len());
                let owned = |it| revisions::adopted(Kind::StatefulSet, &sync.set.meta, it);
                sync.revisions.extend(of_revisions.adopted(first).map(owned));
                sync.pods.extend(of_pods.adopted(rest));
                revisions::sort(&mut sync.revisions);
                self.settle_revision(ctx, view, key, sync)
            }
            Stage::Revision(mut sync) => match (answers.into_iter().next(), error) {
                (Some(Ok(Reply::Object(Object::ControllerRevision(revision), _))), _) => {
                    sync.update = Some(revision);
                    self.act(ctx, view, key, sync)
                }
                (_, Some(Refusal::AlreadyExists { key: taken, .. })) => {
                    let number = sync.revisions.last().map_or(1, |last| last.revision + 1);
                    let Request::Create(Object::ControllerRevision(wanted)) = creation(&sync, number) else {
                        unreachable!("a creation is of a revision")
                    };
                    self.desk.begin(ctx, key, Stage::Taken(sync, wanted), [vec![Request::Get(taken)]])
                }
                _ => self.desk.finish(ctx, &key, true),
            },
            Stage::Taken(mut sync, wanted) => match answers.into_iter().next() {
                Some(Ok(Reply::Object(Object::ControllerRevision(taken), _))) if taken.template == wanted.template => {
                    sync.update = Some(taken);
                    self.act(ctx, view, key, sync)
                }
                Some(Ok(_)) => {
                    sync.collisions += 1;
                    let request = creation(&sync, wanted.revision);
                    self.desk.begin(ctx, key, Stage::Revision(sync), [vec![request]])
                }
                _ => self.desk.finish(ctx, &key, true),
            },
            Stage::Act(sync, mut plan) => {
                let failed = Self::tell(ctx, &sync, &plan, &answers, error.is_some());
                plan.untold = plan.made(&sync.set, &answers);
                let updates = plan.owners_of_new_claims(view, &sync.set);
                if failed || updates.is_empty() {
                    plan.say_made(ctx, &sync.set);
                    return self.conclude(ctx, key, sync, plan, failed);
                }
                let (actions, updates): (_, Vec<_>) = updates.into_iter().unzip();
                plan.actions = actions;
                self.desk.begin(ctx, key, Stage::Retain(sync, plan), [updates])
            }
            Stage::Retain(sync, mut plan) => {
                let failed = Self::tell(ctx, &sync, &plan, &answers, error.is_some());
                for (action, _) in plan.actions.iter().zip(&answers).filter(|(_, answer)| answer.is_err()) {
                    plan.untold.retain(|it| it.pod != action.pod);
                }
                plan.say_made(ctx, &sync.set);
                self.conclude(ctx, key, sync, plan, failed)
            }
            Stage::Status { failed, next } => {
                let failed = failed || error.is_some();
                if let (Some(delay), false) = (next, failed) {
                    self.desk.queue.add_after(ctx, key.clone(), delay);
                }
                self.desk.finish(ctx, &key, failed)
            }
        }
    }
}

/// The creation of a revision of the set's template.
fn creation(sync: &Sync, number: u64) -> Request {
    let (set, kind) = (&sync.set, Kind::StatefulSet);
    let hash = revisions::template_hash(&set.template, Some(sync.collisions));
    let revision = revisions::revision_of(kind, &set.meta, &set.template, (HASH_LABEL, hash), number);
    Request::Create(Object::ControllerRevision(Arc::new(revision)))
}

fn deletion_of(meta: &Meta) -> Request {
    let key = NamespacedName::of_meta(meta).of(Kind::ControllerRevision);
    Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background }
}
