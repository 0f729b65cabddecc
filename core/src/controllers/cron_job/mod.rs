//! The CronJob controller: makes Jobs by the clock.
//!
//! A sync removes Jobs beyond the history limits, looks at what has become of the Jobs that it made, and makes the Job
//! of the newest time that is due. A Job is named after its time, so that it cannot be made twice. Source:
//! pkg/controller/cronjob/cronjob_controllerv2.go (v1.34.1). Absent on purpose: metrics, and errors of schedules, which
//! are refused where manifests are read.

mod due;
mod events;
mod jobs;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::api::{Answer, Propagation, Refusal, Reply, Request};
use crate::calendar::Civil;
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::controllers::{NamespacedName, managing};
use crate::draw::{Purpose, draw};
use crate::events::Event;
use crate::id::{Name, Revision, Uid};
use crate::model::{Concurrency, ConditionKind, CronJob, CronJobStatus, Job, Kind, Object, ObjectKey};
use crate::store::View;
use crate::time::Span;

use due::{Clock, Due, Missed};
use jobs::JobsByName;

/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 11;

/// A sync between two stages.
pub(in crate::controllers) struct Sync {
    cron_job: Arc<CronJob>,
    version: Option<Revision>,
    /// The status as it will be written.
    status: CronJobStatus,
    /// The Jobs that somebody of the CronJob's name manages, by name.
    jobs: Vec<Arc<Job>>,
    needs_update: bool,
}

/// What a sync waits for.
pub(in crate::controllers) enum Stage {
    /// Deletions beyond the history limits.
    Cleanup(Sync, Vec<Arc<Job>>),
    /// The CronJob as it is stored, if some Job is unknown to it, and Jobs that it knows and that are not to be seen.
    Look(Sync, bool, Vec<(Name, Uid)>),
    /// Jobs that make room for the next, read and then deleted, and the time of that one.
    Replace(Sync, Vec<(Name, Uid)>, i64),
    /// The Job of a time.
    Create(Sync, i64),
    /// The Job of that name, which was there already.
    Exists(Sync, i64),
    /// The status; when to look again, and whether the sync has failed.
    Status { next: Option<Span>, failed: bool },
}

/// The controller.
pub(super) struct CronJobs {
    desk: Desk<NamespacedName, Stage>,
    jobs: JobsByName,
}

impl CronJobs {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> CronJobs {
        CronJobs {
            desk: Desk::new(NUMBER, config.concurrent_syncs, config.client_limit, |_| false).telling(events::told),
            jobs: JobsByName::default(),
        }
    }

    /// A CronJob has changed: with another schedule it is looked at when that says, otherwise at once.
    fn on_cron_job(&mut self, ctx: &mut Context<'_>, old: Option<&CronJob>, new: Option<&CronJob>) {
        let Some(cron_job) = new.or(old) else { return };
        let key = NamespacedName::of_meta(&cron_job.meta);
        match (old, new) {
            (Some(old), Some(new)) if old.schedule != new.schedule => {
                if let Some(wait) = due::until_next(new, clock(ctx)) {
                    self.desk.queue.add_after(ctx, key, wait);
                }
            }
            _ => self.desk.queue.add(key),
        }
    }

    /// Takes in what has become of the Jobs, and asks after those that are not as they were left.
    ///
    /// Source: `syncCronJob`, to its look at the active list.
    fn look(&mut self, ctx: &mut Context<'_>, key: NamespacedName, sync: Sync) -> Step<NamespacedName, Stage> {
        let known = |uid: Uid| sync.status.active.iter().any(|(_, active)| *active == uid);
        let unknown = sync.jobs.iter().any(|job| job.finished().is_none() && !known(job.meta.uid));
        let is_there = |uid: &Uid| sync.jobs.iter().any(|job| job.meta.uid == *uid);
        let missing: Vec<(Name, Uid)> = sync.status.active.iter().filter(|(_, uid)| !is_there(uid)).cloned().collect();
        let itself = unknown.then(|| Request::Get(key.of(Kind::CronJob)));
        let others = missing.iter().map(|(name, _)| Request::Get(job_key(&key, name)));
        let requests: Vec<Request> = itself.into_iter().chain(others).collect();
        self.desk.begin(ctx, key, Stage::Look(sync, unknown, missing), [requests])
    }

    fn looked(
        &mut self,
        ctx: &mut Context<'_>,
        key: NamespacedName,
        mut sync: Sync,
        (read_itself, missing): (bool, Vec<(Name, Uid)>),
        answers: Vec<Answer>,
    ) -> Step<NamespacedName, Stage> {
        let mut answers = answers.into_iter();
        let mut fresh = None;
        if read_itself {
            match answers.next() {
                Some(Ok(Reply::Object(Object::CronJob(read), _))) => fresh = Some(read),
                _ => return self.desk.finish(ctx, &key, true),
            }
            // Which Job is looked at first matters where one of them is unknown: it is chance, as in a Go map.
            let (seed, at) = (ctx.seed(), ctx.now.0);
            sync.jobs.sort_by_cached_key(|job| draw(seed, Purpose::JobOrder, job.meta.uid.low(), at));
        }
        for (cron_job, event) in sync.take_in_jobs(fresh.as_ref()) {
            events::tell(ctx, &cron_job, event);
        }
        for ((name, uid), answer) in missing.into_iter().zip(answers) {
            match answer {
                Err(Refusal::NotFound(_)) => {
                    sync.forget(uid);
                    events::say(ctx, &sync.cron_job, "MissingJob", format!("Active job went missing: {name}"));
                }
                Err(_) => return self.write(ctx, key, sync, None, true),
                Ok(_) => {}
            }
        }
        self.schedule(ctx, key, sync)
    }

    /// Makes the Job of the newest time that is due, unless something speaks against it.
    fn schedule(&mut self, ctx: &mut Context<'_>, key: NamespacedName, sync: Sync) -> Step<NamespacedName, Stage> {
        let (cron_job, clock) = (sync.cron_job.clone(), clock(ctx));
        if cron_job.meta.is_terminating() || cron_job.suspend {
            return self.write(ctx, key, sync, None, false);
        }
        let Due { time, missed, .. } = match due::due(&sync.current(), clock, true) {
            Ok(due) => due,
            Err(error) => {
                let message = format!("invalid schedule: {} : {error}", cron_job.schedule.text);
                events::warn(ctx, &cron_job, "InvalidSchedule", message);
                return self.write(ctx, key, sync, None, false);
            }
        };
        let next = due::until_next(&sync.current(), clock);
        let Some(time) = time else { return self.write(ctx, key, sync, next, false) };
        if missed == Missed::Many {
            let message =
                "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
            events::warn(ctx, &cron_job, "TooManyMissedTimes", message);
        }
        let deadline = cron_job.starting_deadline.map(|deadline| clock.time(time).saturating_add(deadline));
        if deadline.is_some_and(|deadline| deadline < ctx.now) {
            let missed = Civil::at(time).rfc1123(0);
            events::warn(ctx, &cron_job, "MissSchedule", format!("Missed scheduled time to start a job: {missed}"));
            return self.write(ctx, key, sync, next, false);
        }
        let name = jobs::name_of(&cron_job, time);
        let is_served = sync.status.active.iter().any(|(active, _)| *active == name)
            || sync.status.last_scheduled == Some(clock.time(time));
        let is_held = cron_job.concurrency == Concurrency::Forbid && !sync.status.active.is_empty();
        if is_held && !is_served {
            let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
            events::say(ctx, &cron_job, "JobAlreadyActive", message);
        }
        if is_served || is_held {
            return self.write(ctx, key, sync, next, false);
        }
        let replaced = match cron_job.concurrency {
            Concurrency::Replace => sync.status.active.clone(),
            Concurrency::Allow | Concurrency::Forbid => Vec::new(),
        };
        // Each is read before it is deleted.
        let steps: Vec<Vec<Request>> = replaced.iter().flat_map(|(name, _)| read_and_delete(&key, name)).collect();
        self.desk.begin(ctx, key, Stage::Replace(sync, replaced, time), steps)
    }

    fn replaced(
        &mut self,
        ctx: &mut Context<'_>,
        key: NamespacedName,
        mut sync: Sync,
        (jobs, time): (Vec<(Name, Uid)>, i64),
        answers: &[Answer],
    ) -> Step<NamespacedName, Stage> {
        let is_deleted = |answers: &[Answer]| matches!(answers, [_, Ok(_)]);
        for ((_, uid), _) in jobs.iter().zip(answers.chunks(2)).filter(|(_, answers)| is_deleted(answers)) {
            sync.forget(*uid);
        }
        if answers.iter().any(Result::is_err) {
            return self.write(ctx, key, sync, None, true);
        }
        let job = jobs::job_of(&sync.cron_job, time);
        self.desk.begin(ctx, key, Stage::Create(sync, time), [vec![Request::Create(Object::Job(Arc::new(job)))]])
    }

    fn created(
        &mut self,
        ctx: &mut Context<'_>,
        key: NamespacedName,
        sync: Sync,
        time: i64,
        answers: Vec<Answer>,
    ) -> Step<NamespacedName, Stage> {
        match answers.into_iter().next() {
            Some(Ok(Reply::Object(job, _))) => self.started(ctx, key, sync, time, job.meta().uid),
            Some(Err(Refusal::AlreadyExists { key: job, .. })) => {
                self.desk.begin(ctx, key, Stage::Exists(sync, time), [vec![Request::Get(job)]])
            }
            Some(Err(_)) => self.write(ctx, key, sync, None, true),
            other => panic!("a creation was answered with {other:?}"),
        }
    }

    /// The Job was there: if it is this CronJob's own, an earlier sync made it and could not write its status.
    fn existed(
        &mut self,
        ctx: &mut Context<'_>,
        key: NamespacedName,
        sync: Sync,
        time: i64,
        answers: Vec<Answer>,
    ) -> Step<NamespacedName, Stage> {
        let Some(Ok(Reply::Object(Object::Job(job), _))) = answers.into_iter().next() else {
            return self.write(ctx, key, sync, None, true);
        };
        let is_own = job.meta.controller().is_some_and(|owner| owner.uid == sync.cron_job.meta.uid);
        let is_known = sync.status.active.iter().any(|(_, uid)| *uid == job.meta.uid);
        if is_known || !is_own {
            return self.write(ctx, key, sync, None, false);
        }
        self.started(ctx, key, sync, time, job.meta.uid)
    }

    fn started(
        &mut self,
        ctx: &mut Context<'_>,
        key: NamespacedName,
        mut sync: Sync,
        time: i64,
        uid: Uid,
    ) -> Step<NamespacedName, Stage> {
        sync.status.active.push((jobs::name_of(&sync.cron_job, time), uid));
        sync.status.last_scheduled = Some(clock(ctx).time(time));
        sync.needs_update = true;
        let next = due::until_next(&sync.current(), clock(ctx));
        self.write(ctx, key, sync, next, false)
    }

    fn write(
        &mut self,
        ctx: &mut Context<'_>,
        key: NamespacedName,
        sync: Sync,
        next: Option<Span>,
        failed: bool,
    ) -> Step<NamespacedName, Stage> {
        let object = Object::CronJob(Arc::new(sync.current()));
        let request = sync.needs_update.then_some(Request::UpdateStatus { object, expected: sync.version });
        self.desk.begin(ctx, key, Stage::Status { next, failed }, [request.into_iter().collect()])
    }
}

impl Sync {
    /// The CronJob with the status as it stands.
    fn current(&self) -> CronJob {
        CronJob { status: self.status.clone(), ..CronJob::clone(&self.cron_job) }
    }

    /// A Job is over or gone.
    fn forget(&mut self, uid: Uid) {
        self.status.active.retain(|(_, active)| *active != uid);
        self.needs_update = true;
    }

    /// Looks at the Jobs one after the other: finished ones come off the list of active ones, and when one last
    /// succeeded is noted. At a running Job that is not on the list, the sync goes on with the CronJob as it was just
    /// read, if that knows the Job; what is written at the end is meant for the version that the sync began with all
    /// the same, so that it meets a conflict. Returns what is said, each with the version that it is said of.
    fn take_in_jobs(&mut self, fresh: Option<&Arc<CronJob>>) -> Vec<(Arc<CronJob>, Event)> {
        let is_in = |list: &[(Name, Uid)], job: &Job| list.iter().any(|(_, uid)| *uid == job.meta.uid);
        let mut said = Vec::new();
        for job in self.jobs.clone() {
            let is_active = is_in(&self.status.active, &job);
            let Some((how, _)) = job.finished() else {
                match fresh.filter(|_| !is_active) {
                    Some(fresh) if is_in(&fresh.status.active, &job) => {
                        self.status = fresh.status.clone();
                        self.cron_job = fresh.clone();
                    }
                    Some(_) => said.push((self.cron_job.clone(), events::unexpected(&job.meta.name))),
                    None => {}
                }
                continue;
            };
            if is_active {
                self.forget(job.meta.uid);
                said.push((self.cron_job.clone(), events::completed(&job.meta.name, how)));
            }
            let succeeded = job.status.completed_at.filter(|_| how == ConditionKind::Complete);
            if succeeded > self.status.last_successful {
                self.status.last_successful = succeeded;
                self.needs_update = true;
            }
        }
        said
    }
}

fn clock(ctx: &Context<'_>) -> Clock {
    Clock { epoch: ctx.config.epoch, now: ctx.now }
}

fn job_key(cron_job: &NamespacedName, job: &Name) -> ObjectKey {
    ObjectKey { kind: Kind::Job, namespace: cron_job.namespace.clone(), name: job.clone() }
}

fn deletion(cron_job: &NamespacedName, job: &Name) -> Request {
    let key = job_key(cron_job, job);
    Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background }
}

fn read_and_delete(cron_job: &NamespacedName, job: &Name) -> [Vec<Request>; 2] {
    [vec![Request::Get(job_key(cron_job, job))], vec![deletion(cron_job, job)]]
}

impl Reconciler for CronJobs {
    type Key = NamespacedName;
    type Stage = Stage;

    fn topics(&self) -> Topics {
        Topics::of_all(&[Kind::CronJob, Kind::Job])
    }

    fn desk(&mut self) -> &mut Desk<NamespacedName, Stage> {
        &mut self.desk
    }

    fn list(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        for (row, job) in view.all::<Job>() {
            self.jobs.note(row, None, Some(job));
        }
        for (_, cron_job) in view.all::<CronJob>() {
            self.on_cron_job(ctx, None, Some(cron_job));
        }
    }

    fn note(&mut self, ctx: &mut Context<'_>, view: View<'_>, News { change, .. }: &News<'_>) {
        let after = view.at(change.revision);
        match change.kind {
            Kind::CronJob => {
                let (old, new) = view.sides::<CronJob>(change);
                self.on_cron_job(ctx, old, new);
            }
            Kind::Job => {
                let (old, new) = view.sides::<Job>(change);
                self.jobs.note(change.row, old, new);
                for job in old.into_iter().chain(new) {
                    if let Some((key, _)) = managing::<CronJob>(after, &job.meta) {
                        self.desk.queue.add(key);
                    }
                }
            }
            _ => {}
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: NamespacedName) -> Step<NamespacedName, Stage> {
        let Some((row, cron_job)) = view.find::<CronJob>(&key.namespace, &key.name) else {
            return self.desk.finish(ctx, &key, false);
        };
        let jobs = self.jobs.of(view, &key);
        let surplus = jobs::beyond_history(cron_job, &jobs);
        let sync = Sync {
            version: view.version_of::<CronJob>(row),
            status: cron_job.status.clone(),
            cron_job: cron_job.clone(),
            jobs,
            needs_update: false,
        };
        let deletions = surplus.iter().map(|job| deletion(&key, &job.meta.name)).collect();
        self.desk.begin(ctx, key, Stage::Cleanup(sync, surplus), [deletions])
    }

    fn proceed(
        &mut self,
        ctx: &mut Context<'_>,
        _view: View<'_>,
        ended: Ended<NamespacedName, Stage>,
    ) -> Step<NamespacedName, Stage> {
        let Ended { key, stage, answers, error, .. } = ended;
        match stage {
            Stage::Cleanup(mut sync, surplus) => {
                for (job, _) in surplus.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()) {
                    sync.forget(job.meta.uid);
                }
                self.look(ctx, key, sync)
            }
            Stage::Look(sync, itself, missing) => self.looked(ctx, key, sync, (itself, missing), answers),
            Stage::Replace(sync, jobs, time) => self.replaced(ctx, key, sync, (jobs, time), &answers),
            Stage::Create(sync, time) => self.created(ctx, key, sync, time, answers),
            Stage::Exists(sync, time) => self.existed(ctx, key, sync, time, answers),
            Stage::Status { next, failed } => {
                let failed = failed || error.is_some();
                if let Some(next) = next.filter(|_| !failed) {
                    self.desk.queue.add_after(ctx, key.clone(), next);
                }
                self.desk.finish(ctx, &key, failed)
            }
        }
    }
}
