//! The TTL-after-finished controller: deletes Jobs some time after they have finished.
//!
//! Before it deletes a Job it reads it once more, for its time to live may have changed. Source:
//! pkg/controller/ttlafterfinished/ttlafterfinished_controller.go (v1.34.1).

#[cfg(test)]
mod tests;

use crate::api::{Propagation, Refusal, Reply, Request};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::NamespacedName;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::id::Uid;
use crate::model::{Job, Kind, Object};
use crate::store::View;
use crate::time::{Span, Time};

/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 12;

/// What a sync waits for.
#[derive(Clone, Copy)]
pub(in crate::controllers) enum Stage {
    Read,
    Delete,
}

/// The controller.
pub(super) struct TtlAfterFinished {
    desk: Desk<NamespacedName, Stage>,
}

impl TtlAfterFinished {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> TtlAfterFinished {
        // Nothing is tolerated but a Job that is not there to be read.
        let tolerated: fn(&Refusal) -> bool = |refusal| matches!(refusal, Refusal::NotFound(_));
        TtlAfterFinished { desk: Desk::new(NUMBER, config.concurrent_syncs, config.client_limit, tolerated) }
    }

    /// Whether a Job's time is over; if it is not yet, the Job is looked at again then.
    fn is_over(&mut self, ctx: &mut Context<'_>, job: &Job) -> bool {
        let Some(expiry) = expiry(job).filter(|_| !job.meta.is_terminating()) else { return false };
        let left = expiry.since(ctx.now);
        if left > Span::ZERO {
            self.desk.queue.add_after(ctx, NamespacedName::of_meta(&job.meta), left);
        }
        left == Span::ZERO
    }

    fn delete(&mut self, ctx: &mut Context<'_>, key: NamespacedName, uid: Uid) -> Step<NamespacedName, Stage> {
        let propagation = Propagation::Foreground;
        let request = Request::Delete { key: key.of(Kind::Job), uid: Some(uid), grace: None, propagation };
        self.desk.begin(ctx, key, Stage::Delete, [vec![request]])
    }
}

/// When a Job's time is over; `None` if it has none or has not finished.
fn expiry(job: &Job) -> Option<Time> {
    let (_, finished_at) = job.finished()?;
    Some(finished_at.whole_second().saturating_add(job.spec.ttl_after_finished?))
}

impl Reconciler for TtlAfterFinished {
    type Key = NamespacedName;
    type Stage = Stage;

    fn topics(&self) -> Topics {
        Topics::of(Kind::Job)
    }

    fn desk(&mut self) -> &mut Desk<NamespacedName, Stage> {
        &mut self.desk
    }

    fn list(&mut self, _ctx: &mut Context<'_>, view: View<'_>) {
        for (_, job) in view.all::<Job>().filter(|(_, job)| expiry(job).is_some()) {
            self.desk.queue.add(NamespacedName::of_meta(&job.meta));
        }
    }

    fn note(&mut self, _ctx: &mut Context<'_>, view: View<'_>, News { change, .. }: &News<'_>) {
        let job = view.at(change.revision).get::<Job>(change.row);
        if let Some(job) = job.filter(|job| expiry(job).is_some() && !job.meta.is_terminating()) {
            self.desk.queue.add(NamespacedName::of_meta(&job.meta));
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: NamespacedName) -> Step<NamespacedName, Stage> {
        let job = view.find::<Job>(&key.namespace, &key.name).map(|(_, job)| job.clone());
        if !job.is_some_and(|job| self.is_over(ctx, &job)) {
            return self.desk.finish(ctx, &key, false);
        }
        let request = Request::Get(key.of(Kind::Job));
        self.desk.begin(ctx, key, Stage::Read, [vec![request]])
    }

    fn proceed(
        &mut self,
        ctx: &mut Context<'_>,
        _view: View<'_>,
        ended: Ended<NamespacedName, Stage>,
    ) -> Step<NamespacedName, Stage> {
        let Ended { key, stage, answers, error, .. } = ended;
        match (stage, answers.into_iter().next()) {
            (Stage::Read, Some(Ok(Reply::Object(Object::Job(job), _)))) if self.is_over(ctx, &job) => {
                self.delete(ctx, key, job.meta.uid)
            }
            (Stage::Read, _) => self.desk.finish(ctx, &key, error.is_some()),
            // Here even "not found" is an error; the next sync finds no Job and is content.
            (Stage::Delete, answer) => self.desk.finish(ctx, &key, matches!(answer, Some(Err(_)))),
        }
    }
}
