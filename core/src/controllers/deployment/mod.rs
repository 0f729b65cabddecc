//! The Deployment controller: brings its ReplicaSets, step by step, to the wanted template and size.
//!
//! A sync decides on all its writes at once ([`plan`]) and sends them one after the other. Invariant: a write names the
//! version that it was made from, so a sync that saw stale ReplicaSets changes nothing and is retried. Source:
//! pkg/controller/deployment (v1.34.1). Absent on purpose: rollback (a client patches the template).
//!
//! Parts of a plan: `sets` (new and old ReplicaSets), `settled` (what is known to be in order), `scale` (proportions),
//! `progress` (the status); `events` is what is said.

mod events;
mod plan;
mod progress;
mod scale;
mod sets;
mod settled;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::api::{Answer, Refusal, Request};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::claims::Orphans;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::controllers::{NamespacedName, managing, with_owner, without_owner};
use crate::facts::What;
use crate::id::{RowId, Uid};
use crate::model::{ConditionKind, Deployment, DeploymentStrategy, Kind, Object, Pod, ReplicaSet, Status3};
use crate::store::{ByHash, View};

use plan::{Again, Plan};
use settled::Settled;

/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 0;
/// How often a failing Deployment is retried before it is left alone until something changes.
const RETRIES_LIMIT: u32 = 15;

/// Reason of Progressing: the new ReplicaSet was created.
const CREATED_NEW: &str = "NewReplicaSetCreated";
/// Reason of Progressing: a ReplicaSet of this template was there already.
const FOUND_NEW: &str = "FoundNewReplicaSet";
/// Reason of Progressing: pods have come or gone since.
const UPDATED: &str = "ReplicaSetUpdated";
/// Reason of Progressing: the rollout is complete.
const NEW_AVAILABLE: &str = "NewReplicaSetAvailable";
/// Reason of Progressing: no progress for too long.
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
/// Reason of Progressing: rollouts are held.
const PAUSED: &str = "DeploymentPaused";
/// Reason of Progressing: rollouts go on.
const RESUMED: &str = "DeploymentResumed";
/// Reason of Progressing: the new ReplicaSet could not be created.
const CREATE_FAILED: &str = "ReplicaSetCreateError";

/// The controller.
pub(super) struct Deployments {
    desk: Desk<NamespacedName, Stage>,
    /// ReplicaSets that no controller manages: candidates for adoption.
    orphans: Orphans,
    /// What the last look at each Deployment has found to be in order.
    settled: ByHash<Uid, Settled>,
    /// How many Deployments recreate their pods: the end of a pod concerns no others.
    recreating: u32,
}

/// What a sync waits for.
pub(in crate::controllers) enum Stage {
    Writes(Box<Plan>),
    /// The creation of the new ReplicaSet was refused, which is being written into the status.
    Complaint,
}

impl Deployments {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> Deployments {
        Deployments {
            desk: Desk::new(NUMBER, config.concurrent_syncs, config.client_limit, |_| false).telling(events::told),
            orphans: Orphans::default(),
            settled: ByHash::default(),
            recreating: 0,
        }
    }

    /// Finds the Deployment's ReplicaSets; adopts those that nobody manages, releases those that no longer match.
    /// Returns whether it adopts any, and the new one if nothing but statuses has changed since all were in order.
    fn claim(&self, view: View<'_>, deployment: &Deployment, plan: &mut Plan) -> (bool, Option<Uid>) {
        let managed: Vec<(RowId, &Arc<ReplicaSet>)> = view.controlled_by(deployment.meta.uid).collect();
        let settled = self.settled.get(&deployment.meta.uid);
        let settled = settled.and_then(|it| it.new_among(&deployment.meta, managed.iter().map(|(_, set)| &set.meta)));
        let (mut claims, mut adopts) = (Vec::new(), false);
        let mut claim = |row: RowId, set: &Arc<ReplicaSet>, owners| {
            let mut changed = sets::Set { set: set.clone(), version: view.version_of::<ReplicaSet>(row) };
            Arc::make_mut(&mut changed.set).meta.owners = owners;
            let object = Object::ReplicaSet(changed.set.clone());
            claims.push(Request::Update { object, expected: changed.version });
            changed
        };
        for (row, set) in managed {
            if settled.is_some() || deployment.selector.matches(&set.meta.labels) {
                plan.old.push(sets::Set { set: set.clone(), version: view.version_of::<ReplicaSet>(row) });
            } else if !deployment.meta.is_terminating() {
                claim(row, set, without_owner(&set.meta, deployment.meta.uid));
            }
        }
        let orphans = self.orphans.of::<ReplicaSet>(view, &deployment.meta.namespace);
        for (row, set) in orphans.filter(|_| !deployment.meta.is_terminating()) {
            if !set.meta.is_terminating() && deployment.selector.matches(&set.meta.labels) {
                let owners = with_owner(&set.meta, Kind::Deployment, &deployment.meta);
                plan.old.push(claim(row, set, owners));
                adopts = true;
            }
        }
        let is_settled = claims.is_empty();
        if !claims.is_empty() {
            plan.writes.push(claims);
        }
        (adopts, settled.filter(|_| is_settled))
    }

    fn finish(
        &mut self,
        ctx: &mut Context<'_>,
        key: &NamespacedName,
        again: Option<Again>,
    ) -> Step<NamespacedName, Stage> {
        self.desk.queue.forget(key);
        match again {
            Some(Again::After(delay)) => self.desk.queue.add_after(ctx, key.clone(), delay),
            Some(Again::RateLimited) => self.desk.queue.add_rate_limited(ctx, key.clone()),
            None => {}
        }
        self.desk.queue.done(key);
        None
    }

    fn retry(
        &mut self,
        ctx: &mut Context<'_>,
        key: &NamespacedName,
        error: Option<Refusal>,
    ) -> Step<NamespacedName, Stage> {
        let hopeless = error.is_some_and(|error| error.is_namespace_terminating());
        if hopeless || self.desk.queue.failures(key) >= RETRIES_LIMIT {
            self.desk.queue.forget(key);
        } else {
            self.desk.queue.add_rate_limited(ctx, key.clone());
        }
        self.desk.queue.done(key);
        None
    }

    fn on_deployment(&mut self, old: Option<&Deployment>, new: Option<&Deployment>) {
        let recreates = |it: Option<&Deployment>| it.is_some_and(|it| it.strategy == DeploymentStrategy::Recreate);
        self.recreating = self.recreating + u32::from(recreates(new)) - u32::from(recreates(old));
        if let Some(deployment) = new.or(old) {
            self.desk.queue.add(NamespacedName::of_meta(&deployment.meta));
        }
        if let Some(gone) = old.filter(|_| new.is_none()) {
            self.settled.remove(&gone.meta.uid);
        }
    }

    fn on_set(&mut self, view: View<'_>, row: RowId, old: Option<&ReplicaSet>, new: Option<&ReplicaSet>) {
        self.orphans.note(row, old.map(|set| &set.meta), new.map(|set| &set.meta));
        let keeps_owners = old.zip(new).is_some_and(|(old, new)| old.meta.owners == new.meta.owners);
        let sides = [old.filter(|_| !keeps_owners), new];
        let managers = sides.into_iter().flatten().filter_map(|set| managing::<Deployment>(view, &set.meta));
        for (key, _) in managers {
            self.desk.queue.add(key);
        }
        let Some(orphan) = new.filter(|set| !set.meta.is_managed() && !set.meta.is_terminating()) else {
            return;
        };
        if old.is_some_and(|old| old.meta.labels == orphan.meta.labels && !old.meta.is_managed()) {
            return;
        }
        for (_, deployment) in view.in_namespace::<Deployment>(&orphan.meta.namespace) {
            if !deployment.selector.is_empty() && deployment.selector.matches(&orphan.meta.labels) {
                self.desk.queue.add(NamespacedName::of_meta(&deployment.meta));
            }
        }
    }

    /// A pod is gone: a Deployment that recreates its pods may have waited for the last of them.
    fn on_pod_gone(&mut self, view: View<'_>, pod: &Pod) {
        if self.recreating == 0 {
            return;
        }
        let Some((_, set)) = managing::<ReplicaSet>(view, &pod.meta) else { return };
        let Some((key, deployment)) = managing::<Deployment>(view, &set.meta) else { return };
        if deployment.strategy != DeploymentStrategy::Recreate {
            return;
        }
        let mut sets = view.controlled_by::<ReplicaSet>(deployment.meta.uid);
        if sets.all(|(_, set)| view.controlled_by::<Pod>(set.meta.uid).next().is_none()) {
            self.desk.queue.add(key);
        }
    }
}

impl Reconciler for Deployments {
    type Key = NamespacedName;
    type Stage = Stage;

    fn topics(&self) -> Topics {
        Topics::of_all(&[Kind::Deployment, Kind::ReplicaSet]).and(Topics::POD_ENDS)
    }

    fn desk(&mut self) -> &mut Desk<NamespacedName, Stage> {
        &mut self.desk
    }

    fn list(&mut self, _ctx: &mut Context<'_>, view: View<'_>) {
        for (_, deployment) in view.all::<Deployment>() {
            self.on_deployment(None, Some(deployment));
        }
        for (row, set) in view.all::<ReplicaSet>() {
            self.on_set(view, row, None, Some(set));
        }
    }

    fn note(&mut self, _ctx: &mut Context<'_>, view: View<'_>, News { change, pods, .. }: &News<'_>) {
        let after = view.at(change.revision);
        match change.kind {
            Kind::Deployment => {
                let (old, new) = view.sides::<Deployment>(change);
                self.on_deployment(old, new);
            }
            Kind::ReplicaSet => {
                let (old, new) = view.sides::<ReplicaSet>(change);
                self.on_set(after, change.row, old, new);
            }
            Kind::Pod => {
                if let (Some(old), None) = *pods {
                    self.on_pod_gone(after, old);
                }
            }
            _ => {}
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: NamespacedName) -> Step<NamespacedName, Stage> {
        let Some((row, deployment)) = key.find::<Deployment>(view) else {
            return self.finish(ctx, &key, None);
        };
        let mut plan = Plan {
            now: ctx.now,
            deployment: deployment.clone(),
            version: view.version_of::<Deployment>(row),
            old: Vec::new(),
            new: None,
            writes: Vec::new(),
            creation: None,
            scaled: Vec::new(),
            settled: None,
            look_again: None,
        };
        let mut adopts = false;
        if deployment.selector.is_empty() {
            ctx.event(key.of(Kind::Deployment), events::selecting_all().about(&deployment.meta));
            if deployment.status.observed_generation != deployment.meta.generation {
                Arc::make_mut(&mut plan.deployment).status.observed_generation = deployment.meta.generation;
                plan.write_status();
            }
        } else {
            let settled;
            (adopts, settled) = self.claim(view, deployment, &mut plan);
            plan.decide(settled, &|set| view.controlled_by::<Pod>(set.meta.uid).any(|(_, pod)| !pod.is_finished()));
        }
        if let Some(settled) = plan.settled.take() {
            self.settled.insert(&deployment.meta.uid, settled);
        }
        if plan.writes.is_empty() {
            return self.finish(ctx, &key, plan.look_again);
        }
        let writes = std::mem::take(&mut plan.writes);
        let adopter = adopts.then(|| (key.of(Kind::Deployment), deployment.meta.uid));
        self.desk.begin_claims(ctx, key, Stage::Writes(Box::new(plan)), adopter, writes)
    }

    fn proceed(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        ended: Ended<NamespacedName, Stage>,
    ) -> Step<NamespacedName, Stage> {
        let Ended { key, stage, answers, error, .. } = ended;
        match (stage, error) {
            (Stage::Complaint, error) => self.retry(ctx, &key, error),
            (Stage::Writes(plan), None) => self.finish(ctx, &key, plan.look_again),
            (Stage::Writes(plan), Some(error)) => {
                let created_fails = plan.creation.is_some() && refused_creation(&answers, &plan, &error);
                let complaint = if created_fails { complaint(ctx, view, *plan, &error) } else { Vec::new() };
                if complaint.is_empty() {
                    self.retry(ctx, &key, Some(error))
                } else {
                    self.desk.begin(ctx, key, Stage::Complaint, complaint)
                }
            }
        }
    }
}

/// Whether it was the creation of the new ReplicaSet that was refused: every write after a refusal stays behind, so
/// the refused one is the last that was answered, and only a creation can meet a taken name.
fn refused_creation(answers: &[Answer], plan: &Plan, error: &Refusal) -> bool {
    let new = plan.new.as_ref().map(|new| NamespacedName::of_meta(&new.set.meta).of(Kind::ReplicaSet));
    let about_new = match error {
        Refusal::AlreadyExists { key, .. } | Refusal::Forbidden { key, .. } | Refusal::Invalid { key, .. } => {
            Some(key.clone()) == new
        }
        _ => false,
    };
    about_new && answers.last().is_some_and(|answer| answer.is_err())
}

/// What the status says about a refused creation: another count of collisions if the name is taken by a ReplicaSet of
/// another template, the refusal itself if it is for good.
///
/// Source: `getNewReplicaSet`, pkg/controller/deployment/sync.go (v1.34.1).
fn complaint(ctx: &mut Context<'_>, view: View<'_>, mut plan: Plan, error: &Refusal) -> Vec<Vec<Request>> {
    let key = NamespacedName::of_meta(&plan.deployment.meta);
    let Some((row, stored)) = view.find::<Deployment>(&key.namespace, &key.name) else { return Vec::new() };
    let new = plan.new.take().expect("a creation is of the new ReplicaSet").set;
    plan.deployment = stored.clone();
    plan.version = view.version_of::<Deployment>(row);
    match error {
        Refusal::AlreadyExists { .. } => {
            // Not yet seen, or our own: the next sync will find it.
            let Some((_, taken)) = view.find::<ReplicaSet>(&new.meta.namespace, &new.meta.name) else {
                return Vec::new();
            };
            let ours = taken.meta.controller().is_some_and(|owner| owner.uid == stored.meta.uid);
            if ours && sets::same_template(&taken.template, &stored.template) {
                return Vec::new();
            }
            Arc::make_mut(&mut plan.deployment).status.collision_count += 1;
        }
        error if error.is_namespace_terminating() => return Vec::new(),
        error => {
            let message = format!("Failed to create new replica set \"{}\": {error}", new.meta.name);
            ctx.record(key.of(Kind::Deployment), What::Refused { message: message.clone().into() });
            ctx.event(key.of(Kind::Deployment), events::create_failed(&message).about(&stored.meta));
            if stored.progress_deadline.is_none() {
                return Vec::new();
            }
            let conditions = &mut Arc::make_mut(&mut plan.deployment).status.conditions;
            let kind = ConditionKind::Progressing;
            progress::set_condition(conditions, kind, Status3::False, CREATE_FAILED, &message, ctx.now);
        }
    }
    plan.writes.clear();
    plan.scaled.clear();
    plan.write_status();
    plan.writes
}
