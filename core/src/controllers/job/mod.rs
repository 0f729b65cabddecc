//! The Job controller: runs pods until enough of them have succeeded, or too many have failed.
//!
//! A sync claims pods, deletes or creates some, and then counts those that have ended: it writes their uids into the
//! Job's status, takes their finalizers off, and writes the counts, so that no pod is counted twice or never whatever
//! gets lost in between. Invariant: pods are created or deleted only when the watch has shown everything that was asked
//! for before. Cost: a sync looks at the pods that have ended since, not at all ([`roster`]). Source:
//! pkg/controller/job/job_controller.go (v1.34.1). Absent on purpose: metrics. Syncs of Jobs and of pods without
//! a Job share their workers here.
//!
//! Parts: `syncing` has the stages in their order, `state` what one sync knows and concludes, `finish` how a Job ends,
//! `making` the pods that come and go, `policy` what a failed pod means, `backoff` when it is replaced, `events` what
//! is said.

mod backoff;
mod events;
mod finish;
mod making;
mod policy;
mod roster;
mod state;
mod syncing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::{Patch, Refusal, Request};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::claims::{Claims, Orphans};
use crate::controllers::expectations::Expectations;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::controllers::{NamespacedName, managing};
use crate::id::{RowId, Uid};
use crate::model::{JOB_TRACKING, Job, Kind, Pod};
use crate::store::View;
use crate::time::Span;

use backoff::Backoff;
use roster::Rosters;
use state::Sync;

/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 10;
/// How long changes of pods and of the status are gathered before a sync.
const BATCH_PERIOD: Span = Span::from_secs(1);
/// First and largest back-off of a sync that has failed.
const RETRY: (Span, Span) = (Span::from_secs(1), Span::from_secs(60));
/// The most pods that one sync creates or deletes.
const BURST: usize = 500;
/// The most pods that wait in the status to be counted.
const UNCOUNTED_LIMIT: usize = 500;

/// What a sync is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(in crate::controllers) enum Key {
    /// A Job.
    Job(NamespacedName),
    /// A pod whose Job is gone or has finished: it waits for nobody.
    Orphan(NamespacedName),
}

/// What a sync waits for.
pub(in crate::controllers) enum Stage {
    /// Adoptions and releases, and whether pods may be made or deleted in this sync.
    Claim(Claims<Pod>, bool),
    /// Deletions because the Job is over: the active pods.
    EndActive(Box<Sync>, Vec<Arc<Pod>>),
    /// The finalizers of pods that are about to be deleted.
    Untrack(Box<Sync>, Vec<Arc<Pod>>),
    /// Deletions because there are too many pods.
    Delete(Box<Sync>, Vec<Arc<Pod>>),
    /// Creations, and how many were asked for.
    Create(Box<Sync>, usize),
    /// The status with the pods that are about to be counted.
    Flush(Box<Sync>),
    /// The finalizers of pods that have been noted in the status.
    Release(Box<Sync>),
    /// The status after some finalizers could not be taken off.
    Partial,
    /// The last status of the sync.
    Status(Box<Sync>),
    /// The finalizer of a pod without a Job.
    Orphan,
}

/// The controller.
pub(super) struct Jobs {
    desk: Desk<Key, Stage>,
    expectations: Expectations,
    orphans: Orphans,
    rosters: Rosters,
    /// Pods whose finalizers were taken off, as long as the watch has not shown it.
    removals: BTreeMap<NamespacedName, BTreeSet<Uid>>,
    backoffs: BTreeMap<NamespacedName, Backoff>,
    /// Jobs whose end was written and has yet to be seen.
    finished: BTreeSet<Uid>,
}

impl Jobs {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> Jobs {
        let tolerated: fn(&Refusal) -> bool =
            |refusal| matches!(refusal, Refusal::NotFound(_)) || refusal.is_namespace_terminating();
        // Jobs and orphaned pods have as many workers each.
        let mut desk =
            Desk::new(NUMBER, 2 * config.concurrent_syncs, config.client_limit, tolerated).telling(events::told);
        desk.queue = desk.queue.with_backoff_alone(RETRY.0, RETRY.1);
        Jobs {
            desk,
            expectations: Expectations::default(),
            orphans: Orphans::default(),
            rosters: Rosters::default(),
            removals: BTreeMap::new(),
            backoffs: BTreeMap::new(),
            finished: BTreeSet::new(),
        }
    }

    fn add_batched(&mut self, ctx: &mut Context<'_>, key: NamespacedName) {
        self.desk.queue.add_after(ctx, Key::Job(key), BATCH_PERIOD);
    }

    fn on_pod(&mut self, ctx: &mut Context<'_>, view: View<'_>, row: RowId, old: Option<&Pod>, new: Option<&Pod>) {
        self.rosters.note(view, row, new);
        self.orphans.note(row, old.map(|pod| &*pod.meta), new.map(|pod| &*pod.meta));
        match (old, new) {
            (_, Some(pod)) if pod.meta.is_terminating() => self.pod_leaves(ctx, view, pod, false),
            (None, Some(pod)) => match managing::<Job>(view, &pod.meta) {
                Some((key, _)) => {
                    self.expectations.created(&key, 1);
                    self.add_batched(ctx, key);
                }
                None => self.offer(ctx, view, pod),
            },
            (Some(old), Some(pod)) => self.pod_changes(ctx, view, old, pod),
            (Some(old), None) => self.pod_leaves(ctx, view, old, true),
            (None, None) => {}
        }
    }

    fn pod_changes(&mut self, ctx: &mut Context<'_>, view: View<'_>, old: &Pod, pod: &Pod) {
        let changes_hands = old.meta.controller() != pod.meta.controller();
        let untracked = !pod.is_tracked_by_job();
        if changes_hands && let Some((key, _)) = managing::<Job>(view, &old.meta) {
            if untracked {
                self.removal_seen(&key, pod.meta.uid);
            }
            self.add_batched(ctx, key);
        }
        let Some((key, _)) = managing::<Job>(view, &pod.meta) else {
            if changes_hands || old.meta.labels != pod.meta.labels {
                self.offer(ctx, view, pod);
            } else if !pod.meta.is_managed() && pod.is_tracked_by_job() {
                self.desk.queue.add(Key::Orphan(NamespacedName::of_meta(&pod.meta)));
            }
            return;
        };
        if untracked {
            self.removal_seen(&key, pod.meta.uid);
        }
        self.add_batched(ctx, key);
    }

    /// A pod is being deleted, or is gone.
    fn pod_leaves(&mut self, ctx: &mut Context<'_>, view: View<'_>, pod: &Pod, gone: bool) {
        let job = managing::<Job>(view, &pod.meta).filter(|(_, job)| job.finished().is_none());
        let Some((key, _)) = job else {
            let is_strange = pod.meta.strange_controller().is_some();
            let was_of_a_job = !is_strange && pod.meta.controller().is_none_or(|owner| owner.kind == Kind::Job);
            if was_of_a_job && pod.is_tracked_by_job() && !gone {
                self.desk.queue.add(Key::Orphan(NamespacedName::of_meta(&pod.meta)));
            }
            return;
        };
        self.expectations.deleted(&key, pod.meta.uid);
        if gone || !pod.is_tracked_by_job() {
            self.removal_seen(&key, pod.meta.uid);
        }
        self.add_batched(ctx, key);
    }

    fn removal_seen(&mut self, key: &NamespacedName, pod: Uid) {
        if let Some(awaited) = self.removals.get_mut(key) {
            awaited.remove(&pod);
            if awaited.is_empty() {
                self.removals.remove(key);
            }
        }
    }

    /// A pod without an owner: it waits for nobody, and whoever selects it may adopt it.
    fn offer(&mut self, ctx: &mut Context<'_>, view: View<'_>, pod: &Pod) {
        if pod.meta.is_managed() {
            return;
        }
        if pod.is_tracked_by_job() {
            self.desk.queue.add(Key::Orphan(NamespacedName::of_meta(&pod.meta)));
        }
        for (_, job) in view.in_namespace::<Job>(&pod.meta.namespace) {
            if !job.spec.selector.is_empty() && job.spec.selector.matches(&pod.meta.labels) {
                self.add_batched(ctx, NamespacedName::of_meta(&job.meta));
            }
        }
    }

    fn on_job(&mut self, ctx: &mut Context<'_>, view: View<'_>, old: Option<&Job>, new: Option<&Job>) {
        let Some(job) = new.or(old) else { return };
        let key = NamespacedName::of_meta(&job.meta);
        match (old, new) {
            (_, None) => {
                self.desk.queue.add(Key::Job(key.clone()));
                self.finished.remove(&job.meta.uid);
                self.backoffs.remove(&key);
                self.free_pods(view, job);
            }
            (None, Some(_)) => self.desk.queue.add(Key::Job(key)),
            (Some(_), Some(new)) if new.finished().is_some() => self.free_pods(view, new),
            (Some(old), Some(new)) => {
                if old.meta.generation == new.meta.generation {
                    self.add_batched(ctx, key.clone());
                } else {
                    self.desk.queue.add(Key::Job(key.clone()));
                }
                let deadline = new.spec.active_deadline.filter(|deadline| old.spec.active_deadline != Some(*deadline));
                if let (Some(started), Some(deadline)) = (new.status.started_at, deadline) {
                    let left = started.saturating_add(deadline).since(ctx.now);
                    self.desk.queue.add_after(ctx, Key::Job(key), left);
                }
            }
        }
    }

    /// The Job will count no pod any more: none has to wait for it.
    fn free_pods(&mut self, view: View<'_>, job: &Job) {
        for (_, pod) in view.controlled_by::<Pod>(job.meta.uid).filter(|(_, pod)| pod.is_tracked_by_job()) {
            self.desk.queue.add(Key::Orphan(NamespacedName::of_meta(&pod.meta)));
        }
    }

    /// Takes the finalizer off a pod that no Job will count.
    ///
    /// Source: `handleSingleOrphanPod`.
    fn sync_orphan(&mut self, ctx: &mut Context<'_>, view: View<'_>, name: NamespacedName) -> Step<Key, Stage> {
        let pod = view.find::<Pod>(&name.namespace, &name.name).map(|(_, pod)| pod);
        let is_free = pod.is_some_and(|pod| {
            let of_another_kind = pod.meta.strange_controller().is_some()
                || pod.meta.controller().is_some_and(|owner| owner.kind != Kind::Job);
            let job = managing::<Job>(view, &pod.meta).map(|(_, job)| job);
            let is_kept = job.is_some_and(|job| job.is_managed_elsewhere() || job.finished().is_none());
            pod.is_tracked_by_job() && !of_another_kind && !is_kept
        });
        let request = is_free.then(|| untrack(&name));
        self.desk.begin(ctx, Key::Orphan(name), Stage::Orphan, [request.into_iter().collect()])
    }
}

/// Takes the finalizer off a pod.
fn untrack(pod: &NamespacedName) -> Request {
    let patch = Patch::Finalizer { name: JOB_TRACKING.into(), present: false };
    Request::Patch { key: pod.of(Kind::Pod), patch }
}

impl Reconciler for Jobs {
    type Key = Key;
    type Stage = Stage;

    fn topics(&self) -> Topics {
        Topics::of(Kind::Job).and(Topics::pods_of(Kind::Job))
    }

    fn desk(&mut self) -> &mut Desk<Key, Stage> {
        &mut self.desk
    }

    fn list(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        for (_, job) in view.all::<Job>() {
            self.on_job(ctx, view, None, Some(job));
        }
        for (row, pod) in view.all::<Pod>() {
            self.on_pod(ctx, view, row, None, Some(pod));
        }
    }

    fn note(&mut self, ctx: &mut Context<'_>, view: View<'_>, News { change, pods, .. }: &News<'_>) {
        let after = view.at(change.revision);
        match change.kind {
            Kind::Pod => self.on_pod(ctx, after, change.row, pods.0, pods.1),
            Kind::Job => {
                let (old, new) = view.sides::<Job>(change);
                self.on_job(ctx, after, old, new);
            }
            _ => {}
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: Key) -> Step<Key, Stage> {
        match key {
            Key::Job(name) => self.sync_job(ctx, view, name),
            Key::Orphan(name) => self.sync_orphan(ctx, view, name),
        }
    }

    fn proceed(&mut self, ctx: &mut Context<'_>, view: View<'_>, ended: Ended<Key, Stage>) -> Step<Key, Stage> {
        let Ended { key, stage, answers, skipped, error } = ended;
        let Key::Job(name) = &key else { return self.desk.finish(ctx, &key, error.is_some()) };
        match stage {
            Stage::Claim(..) if error.is_some() => self.desk.finish(ctx, &key, true),
            Stage::Claim(claims, satisfied) => {
                let adopted = claims.adopted(&answers).collect();
                self.evaluate(ctx, view, name.clone(), satisfied, adopted)
            }
            Stage::EndActive(sync, pods) => self.active_ended(ctx, name.clone(), *sync, &pods, &answers),
            Stage::Untrack(sync, pods) => self.untracked(ctx, name.clone(), sync, pods, &answers),
            Stage::Delete(sync, pods) => self.deleted(ctx, name.clone(), *sync, &pods, &answers),
            Stage::Create(sync, asked) => self.created(ctx, name.clone(), *sync, (asked, skipped), &answers),
            Stage::Flush(sync) => self.flushed(ctx, name.clone(), sync, &answers, error),
            Stage::Release(sync) => self.released(ctx, name.clone(), *sync, &answers, error),
            Stage::Partial => self.desk.finish(ctx, &key, true),
            Stage::Status(sync) => self.written(ctx, &key, &sync, error),
            Stage::Orphan => unreachable!("a Job's sync has no stage of an orphaned pod"),
        }
    }
}
