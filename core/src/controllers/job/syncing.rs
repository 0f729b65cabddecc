//! The stages of a Job's sync, in their order.
//!
//! Source: `syncJob`, `manageJob`, `trackJobStatusAndRemoveFinalizers`, `flushUncountedAndRemoveFinalizers`,
//! pkg/controller/job/job_controller.go (v1.34.1).

use std::sync::Arc;

use crate::api::{Answer, Refusal, Reply, Request};
use crate::context::Context;
use crate::controllers::NamespacedName;
use crate::controllers::claims::Claims;
use crate::controllers::expectations::Deletions;
use crate::controllers::pods::{deletion_of, refused_creations, slow_start};
use crate::controllers::reconciler::Step;
use crate::model::{JOB_TRACKING, Job, JobStatus, Kind, Object, Pod};
use crate::store::View;
use crate::time::Span;

use super::backoff::remaining;
use super::finish::Finish;
use super::making::{count_all, doomed, pod_of, pod_of_index};
use super::roster::Roster;
use super::state::{Found, Sync};
use super::{BATCH_PERIOD, BURST, Jobs, Key, Stage, backoff, events, untrack};

impl Jobs {
    /// Begins: passes over Jobs that need nothing, and claims pods.
    pub(super) fn sync_job(&mut self, ctx: &mut Context<'_>, view: View<'_>, name: NamespacedName) -> Step<Key, Stage> {
        let key = Key::Job(name.clone());
        let Some((_, job)) = view.find::<Job>(&name.namespace, &name.name) else {
            self.expectations.forget(&name);
            self.removals.remove(&name);
            self.backoffs.remove(&name);
            return self.desk.finish(ctx, &key, false);
        };
        if job.is_managed_elsewhere() {
            return self.desk.finish(ctx, &key, false);
        }
        if job.finished().is_some() {
            self.backoffs.remove(&name);
            self.finished.remove(&job.meta.uid);
            return self.desk.finish(ctx, &key, false);
        }
        if self.finished.contains(&job.meta.uid) {
            return self.desk.finish(ctx, &key, false);
        }
        let satisfied = self.expectations.satisfied(&name, ctx.now);
        let mut claims = self.claims(view, job);
        let adopter = claims.adopter(Kind::Job, &job.meta);
        let requests = std::mem::take(&mut claims.requests);
        self.desk.begin_claims(ctx, key, Stage::Claim(claims, satisfied), adopter, [requests])
    }

    /// Adoptions and releases. An adopted pod gets the finalizer, and one that is released loses it.
    fn claims(&self, view: View<'_>, job: &Job) -> Claims<Pod> {
        let mut claims = Claims::default();
        if job.meta.is_terminating() {
            return claims;
        }
        let strangers = self.rosters.of(job.meta.uid).into_iter().flat_map(|roster| roster.stranger_rows());
        for (row, pod) in strangers.filter_map(|row| Some((row, view.get::<Pod>(row)?))) {
            claims.release(view, &job.meta, row, pod);
        }
        let selects = |pod: &Pod| !job.spec.selector.is_empty() && job.spec.selector.matches(&pod.meta.labels);
        for (row, pod) in self.orphans.of::<Pod>(view, &job.meta.namespace) {
            if !pod.meta.is_terminating() && selects(pod) {
                claims.adopt(view, Kind::Job, &job.meta, row, pod);
            }
        }
        for request in &mut claims.requests {
            if let Request::Update { object: Object::Pod(pod), .. } = request {
                let meta = &mut Arc::make_mut(pod).meta;
                let is_own = meta.controller().is_some_and(|owner| owner.uid == job.meta.uid);
                let others = meta.finalizers.iter().filter(|finalizer| ***finalizer != *JOB_TRACKING).cloned();
                meta.finalizers = others.chain(is_own.then(|| JOB_TRACKING.into())).collect();
            }
        }
        claims
    }

    /// Counts and concludes, then ends the active pods of a Job that is over or sees to their number.
    pub(super) fn evaluate(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        name: NamespacedName,
        satisfied: bool,
        adopted: Vec<Arc<Pod>>,
    ) -> Step<Key, Stage> {
        let Some((row, job)) = view.find::<Job>(&name.namespace, &name.name) else {
            return self.desk.finish(ctx, &Key::Job(name), false);
        };
        let found = self.found(view, &name, job, &adopted);
        let known = self.backoffs.get(&name).copied().unwrap_or_default();
        let version = view.version_of::<Job>(row);
        let mut sync = Sync::new((job.clone(), version), satisfied, &found, known, ctx.now);
        if sync.needs_others() {
            sync.others = active_pods(view, &found.roster);
            sync.others.retain(|pod| pod.is_tracked_by_job());
        }
        if sync.finish.is_none()
            && let Some(left) = sync.deadline_left(ctx.now)
        {
            self.desk.queue.add_after(ctx, Key::Job(name.clone()), left);
        }
        if sync.finish.is_some() {
            let pods = active_pods(view, &found.roster);
            let requests: Vec<Request> = pods.iter().map(|pod| deletion_of(pod)).collect();
            return self.desk.begin(ctx, Key::Job(name), Stage::EndActive(Box::new(sync), pods), [requests]);
        }
        if !sync.satisfied || job.meta.is_terminating() {
            return self.settle(ctx, name, sync, false);
        }
        self.manage(ctx, view, name, sync, &found.roster)
    }

    /// What is known of a Job's pods; pods that it has just adopted count although the watch has yet to show them.
    fn found(&self, view: View<'_>, name: &NamespacedName, job: &Job, adopted: &[Arc<Pod>]) -> Found {
        let mut roster = self.rosters.of(job.meta.uid).cloned().unwrap_or_default();
        debug_assert_eq!(roster, Roster::walked(view, job.meta.uid), "the roster of {name:?} has gone astray");
        for pod in adopted {
            let row = view.find::<Pod>(&pod.meta.namespace, &pod.meta.name).map(|(row, _)| row);
            if let Some(row) = row.filter(|row| !self.rosters.has(*row)) {
                Arc::make_mut(&mut roster).adopt(job, row, pod);
            }
        }
        let is_awaited = |pod: &Pod| self.removals.get(name).is_some_and(|awaited| awaited.contains(&pod.meta.uid));
        let uncounted = roster.uncounted_rows().filter_map(|row| view.get::<Pod>(row));
        let uncounted = uncounted.filter(|pod| !is_awaited(pod)).cloned().collect();
        Found { roster, uncounted }
    }

    /// Deletes pods if there are too many, or makes some if there are too few.
    fn manage(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        name: NamespacedName,
        mut sync: Sync,
        roster: &Roster,
    ) -> Step<Key, Stage> {
        let job = sync.job.clone();
        let (wanted, suspended) = (sync.wanted(), job.spec.suspend);
        let surplus = if suspended { sync.active } else { sync.active.saturating_sub(wanted) } as usize;
        let misfits = job.is_indexed() && roster.has_misfits(job.spec.completions.unwrap_or(0));
        if suspended || surplus > 0 || misfits {
            let mut pods = doomed(&job, active_pods(view, roster), surplus);
            if !suspended {
                pods.truncate(BURST);
            }
            self.expectations.expect(&name, 0, Deletions::Number(pods.len()), ctx.now);
            let requests: Vec<Request> = pods.iter().map(|pod| untrack(&NamespacedName::of_meta(&pod.meta))).collect();
            return self.desk.begin(ctx, Key::Job(name), Stage::Untrack(Box::new(sync), pods), [requests]);
        }
        let ending = if super::policy::replaces_only_failed(&job.spec) { sync.terminating } else { 0 };
        let missing = (wanted.saturating_sub(ending).saturating_sub(sync.active) as usize).min(BURST);
        if missing == 0 {
            return self.settle(ctx, name, sync, true);
        }
        let per_index = job.spec.backoff_limit_per_index.is_some();
        let mut delay = if per_index { Span::ZERO } else { sync.backoff.remaining(ctx.now) };
        let mut indexes = Vec::new();
        if job.is_indexed() && delay == Span::ZERO {
            indexes = sync.pending_indexes(roster, missing);
            if per_index {
                (indexes, delay) = due(&sync, indexes, ctx);
            }
        }
        if delay > Span::ZERO {
            self.desk.queue.add_after(ctx, Key::Job(name.clone()), delay.max(BATCH_PERIOD));
            sync.active = 0;
            return self.settle(ctx, name, sync, true);
        }
        let requests = creations(&sync, &indexes, missing);
        let asked = requests.len();
        self.expectations.expect(&name, asked, Deletions::NONE, ctx.now);
        sync.active += asked as u32;
        self.desk.begin(ctx, Key::Job(name), Stage::Create(Box::new(sync), asked), slow_start(requests))
    }

    /// The active pods of a Job that is over have been deleted, as far as that was granted.
    pub(super) fn active_ended(
        &mut self,
        ctx: &mut Context<'_>,
        name: NamespacedName,
        mut sync: Sync,
        pods: &[Arc<Pod>],
        answers: &[Answer],
    ) -> Step<Key, Stage> {
        let active = sync.active;
        let gone = take_deleted(&mut sync, pods, answers);
        // Pods may be left that nobody has counted, or that the watch has yet to show.
        if gone != active || !sync.satisfied {
            sync.finish = None;
        }
        self.track(ctx, name, sync)
    }

    /// Finalizers were taken off; the pods that lost theirs are deleted.
    pub(super) fn untracked(
        &mut self,
        ctx: &mut Context<'_>,
        name: NamespacedName,
        mut sync: Box<Sync>,
        pods: Vec<Arc<Pod>>,
        answers: &[Answer],
    ) -> Step<Key, Stage> {
        let (mut ready_to_go, mut gone) = (Vec::new(), 0);
        for (pod, answer) in pods.into_iter().zip(answers) {
            match answer {
                Ok(_) => ready_to_go.push(pod),
                Err(refusal) => {
                    // No deletion will be seen.
                    self.expectations.deleted(&name, pod.meta.uid);
                    match refusal {
                        Refusal::NotFound(_) => gone += 1,
                        _ => sync.failed_sync = true,
                    }
                }
            }
        }
        (sync.active, sync.terminating) = (sync.active - gone, sync.terminating + gone);
        let requests: Vec<Request> = ready_to_go.iter().map(|pod| deletion_of(pod)).collect();
        self.desk.begin(ctx, Key::Job(name), Stage::Delete(sync, ready_to_go), [requests])
    }

    /// Pods were deleted because there were too many.
    pub(super) fn deleted(
        &mut self,
        ctx: &mut Context<'_>,
        name: NamespacedName,
        mut sync: Sync,
        pods: &[Arc<Pod>],
        answers: &[Answer],
    ) -> Step<Key, Stage> {
        for (pod, _) in pods.iter().zip(answers).filter(|(_, answer)| answer.is_err()) {
            self.expectations.deleted(&name, pod.meta.uid);
        }
        take_deleted(&mut sync, pods, answers);
        self.settle(ctx, name, sync, true)
    }

    /// Pods were made; `asked` and `skipped` are how many were meant to be, and how many of them were not tried.
    pub(super) fn created(
        &mut self,
        ctx: &mut Context<'_>,
        name: NamespacedName,
        mut sync: Sync,
        (asked, skipped): (usize, usize),
        answers: &[Answer],
    ) -> Step<Key, Stage> {
        assert_eq!(answers.len() + skipped, asked, "each creation was tried or skipped");
        let refused = refused_creations(ctx, &name.of(Kind::Job), answers);
        let unseen = refused + skipped;
        self.expectations.created(&name, unseen);
        sync.active -= unseen as u32;
        sync.failed_sync |= refused > 0;
        self.settle(ctx, name, sync, true)
    }

    /// The number of pods is seen to: the Job may be complete; if not, the status says whether it is suspended.
    fn settle(
        &mut self,
        ctx: &mut Context<'_>,
        name: NamespacedName,
        mut sync: Sync,
        managed: bool,
    ) -> Step<Key, Stage> {
        if sync.is_complete() {
            sync.finish = Some(Finish::completed());
        } else if managed {
            sync.note_suspension(ctx.now);
            if sync.suspension_changed {
                events::suspension(ctx, &sync.job);
            }
        }
        self.track(ctx, name, sync)
    }

    /// Notes in the status which pods are counted next.
    fn track(&mut self, ctx: &mut Context<'_>, name: NamespacedName, mut sync: Sync) -> Step<Key, Stage> {
        sync.track(ctx.now);
        let requests = if sync.needs_flush { vec![status_update(&sync)] } else { Vec::new() };
        self.desk.begin(ctx, Key::Job(name), Stage::Flush(Box::new(sync)), [requests])
    }

    /// The status names the pods that are counted next: their finalizers can go.
    pub(super) fn flushed(
        &mut self,
        ctx: &mut Context<'_>,
        name: NamespacedName,
        mut sync: Box<Sync>,
        answers: &[Answer],
        error: Option<Refusal>,
    ) -> Step<Key, Stage> {
        let key = Key::Job(name.clone());
        // A Job that is gone is no mistake elsewhere; here nothing is left to be done.
        if error.is_some() || matches!(answers.first(), Some(Err(_))) {
            return self.desk.finish(ctx, &key, true);
        }
        if let Some(Ok(Reply::Object(_, revision))) = answers.first() {
            sync.version = Some(*revision);
            self.remember(&name, sync.backoff);
        }
        sync.needs_flush = false;
        if !sync.to_release.is_empty() {
            let awaited = self.removals.entry(name).or_default();
            awaited.extend(sync.to_release.iter().map(|pod| pod.meta.uid));
        }
        let requests: Vec<Request> =
            sync.to_release.iter().map(|pod| untrack(&NamespacedName::of_meta(&pod.meta))).collect();
        self.desk.begin(ctx, key, Stage::Release(sync), [requests])
    }

    fn remember(&mut self, name: &NamespacedName, backoff: backoff::Backoff) {
        if backoff == backoff::Backoff::default() {
            self.backoffs.remove(name);
        } else {
            self.backoffs.insert(name.clone(), backoff);
        }
    }

    /// Finalizers were taken off: the pods that lost theirs are counted, and the Job may be finished.
    pub(super) fn released(
        &mut self,
        ctx: &mut Context<'_>,
        name: NamespacedName,
        mut sync: Sync,
        answers: &[Answer],
        error: Option<Refusal>,
    ) -> Step<Key, Stage> {
        let released = std::mem::take(&mut sync.to_release);
        for (pod, answer) in released.iter().zip(answers) {
            if answer.is_err() {
                // No change will be seen.
                self.removal_seen(&name, pod.meta.uid);
            }
            if matches!(answer, Ok(_) | Err(Refusal::NotFound(_))) {
                sync.tracked.remove(&pod.meta.uid);
            }
        }
        let mut needs_flush = sync.count_released();
        let key = Key::Job(name);
        if error.is_some() {
            let requests = if needs_flush { vec![status_update(&sync)] } else { Vec::new() };
            return self.desk.begin(ctx, key, Stage::Partial, [requests]);
        }
        sync.ends = sync.enact(ctx.now);
        needs_flush |= sync.ends;
        let requests = if needs_flush { vec![status_update(&sync)] } else { Vec::new() };
        self.desk.begin(ctx, key, Stage::Status(Box::new(sync)), [requests])
    }

    /// The sync is over.
    pub(super) fn written(
        &mut self,
        ctx: &mut Context<'_>,
        key: &Key,
        sync: &Sync,
        error: Option<Refusal>,
    ) -> Step<Key, Stage> {
        if sync.ends && error.is_none() {
            self.finished.insert(sync.job.meta.uid);
            events::finished(ctx, sync);
        }
        self.desk.finish(ctx, key, error.is_some() || sync.failed_sync)
    }
}

/// The active pods of a roster.
fn active_pods(view: View<'_>, roster: &Roster) -> Vec<Arc<Pod>> {
    roster.active_rows().filter_map(|row| view.get::<Pod>(row)).filter(|pod| pod.is_active()).cloned().collect()
}

/// Takes deleted pods out of the active ones; returns how many there are.
fn take_deleted(sync: &mut Sync, pods: &[Arc<Pod>], answers: &[Answer]) -> u32 {
    let is_gone = |answer: &&Answer| matches!(answer, Ok(_) | Err(Refusal::NotFound(_)));
    let gone = answers.iter().filter(is_gone).count() as u32;
    let ready = pods.iter().filter(|pod| pod.is_ready()).count() as u32;
    sync.active = sync.active.saturating_sub(gone);
    sync.ready = sync.ready.saturating_sub(ready);
    sync.terminating += gone;
    sync.failed_sync |= gone as usize != answers.len();
    gone
}

/// The indexes that may get a pod at once; if there are none, how long the first of them has to wait.
///
/// Source: `getPodCreationInfoForIndependentIndexes`.
fn due(sync: &Sync, indexes: Vec<u32>, ctx: &Context<'_>) -> (Vec<u32>, Span) {
    let wait = |index: &u32| {
        let before = sync.delayed.get(index)?;
        let failures = count_all(before).saturating_add(1);
        Some(remaining(failures, backoff::finish_time(before), ctx.now)).filter(|wait| *wait > Span::ZERO)
    };
    let first = indexes.iter().filter_map(wait).min();
    let now: Vec<u32> = indexes.into_iter().filter(|index| wait(index).is_none()).collect();
    let delay = if now.is_empty() { first.unwrap_or_default() } else { Span::ZERO };
    (now, delay)
}

/// The creations of so many pods, or of one for each index.
fn creations(sync: &Sync, indexes: &[u32], missing: usize) -> Vec<Request> {
    let job = &sync.job;
    let plain = pod_of(job);
    if !job.is_indexed() {
        return vec![Request::Create(Object::Pod(Arc::new(plain))); missing];
    }
    let of_index = |index: &u32| pod_of_index(job, &plain, *index, sync.delayed.get(index).map(|pod| &**pod));
    indexes.iter().map(|index| Request::Create(Object::Pod(Arc::new(of_index(index))))).collect()
}

/// A write of the status, if the Job is still as it was.
fn status_update(sync: &Sync) -> Request {
    let status: JobStatus = sync.status.clone();
    let object = Object::Job(Arc::new(Job { status, ..Job::clone(&sync.job) }));
    Request::UpdateStatus { object, expected: sync.version }
}
