//! The frame that most controllers share: keys wait in a queue, each sync sends its requests stage by stage.
//!
//! A controller that is a [`Reconciler`] says how its keys come up, what a sync asks for first and what follows the
//! answers; taking keys, routing answers and timers is done here, once for all. Invariant: each key that is taken is
//! given back with [`Desk::finish`] or one of the queue's own ways when its sync ends.

use std::fmt;
use std::hash::Hash;

use crate::api::{Answer, Refusal, Request};
use crate::config::RateLimit;
use crate::context::Context;
use crate::controllers::news::{News, Topics};
use crate::controllers::requests::{Ended, Gate, Requests, Tell};
use crate::controllers::{Controller, WorkQueue};
use crate::id::{RequestId, Uid};
use crate::model::ObjectKey;
use crate::seam::TimerKind;
use crate::store::View;

/// What a reconciler works with: its queue of keys and its client.
pub(crate) struct Desk<K, S> {
    number: u8,
    pub(crate) queue: WorkQueue<K>,
    pub(crate) requests: Requests<K, S>,
}

/// What is left of a sync: `None` while it waits for answers and when it is over, else a stage that has ended.
pub(crate) type Step<K, S> = Option<Ended<K, S>>;

impl<K: Clone + Ord + Hash + fmt::Debug, S> Desk<K, S> {
    /// The desk of controller `number`: so many workers, such a client, and the refusals that count as success.
    pub(crate) fn new(
        number: u8,
        workers: u32,
        limit: Option<RateLimit>,
        tolerated: fn(&Refusal) -> bool,
    ) -> Desk<K, S> {
        Desk { number, queue: WorkQueue::new(number, workers), requests: Requests::new(number, limit, tolerated) }
    }

    /// The same, with Kubernetes events about answers.
    pub(crate) fn telling(mut self, tell: Tell<S>) -> Desk<K, S> {
        self.requests = self.requests.telling(tell);
        self
    }

    /// The same, with requests that depend on some answers only.
    pub(crate) fn gated(mut self, gate: Gate<S>) -> Desk<K, S> {
        self.requests = self.requests.gated(gate);
        self
    }

    /// Begins a stage of a sync: the batches are sent one after the other.
    pub(crate) fn begin(
        &mut self,
        ctx: &mut Context<'_>,
        key: K,
        stage: S,
        batches: impl IntoIterator<Item = Vec<Request>>,
    ) -> Step<K, S> {
        self.requests.begin(ctx, key, stage, batches)
    }

    /// Begins the stage of a sync that claims objects for their owner; an owner that adopts some is read before.
    pub(crate) fn begin_claims(
        &mut self,
        ctx: &mut Context<'_>,
        key: K,
        stage: S,
        adopter: Option<(ObjectKey, Uid)>,
        batches: impl IntoIterator<Item = Vec<Request>>,
    ) -> Step<K, S> {
        match adopter {
            None => self.requests.begin(ctx, key, stage, batches),
            Some(owner) => {
                self.requests.begin_adopting(ctx, key, stage, owner, batches);
                None
            }
        }
    }

    /// Ends a sync; one that has failed is tried again after its back-off, but only so many times in a row, and is then
    /// left alone until something changes.
    pub(crate) fn finish_or_drop(&mut self, ctx: &mut Context<'_>, retries: u32, key: &K, failed: bool) -> Step<K, S> {
        let goes_on = failed && self.queue.failures(key) < retries;
        self.finish(ctx, key, goes_on)
    }

    /// Ends a sync; one that has failed is tried again after its back-off.
    pub(crate) fn finish(&mut self, ctx: &mut Context<'_>, key: &K, failed: bool) -> Step<K, S> {
        if failed {
            self.queue.add_rate_limited(ctx, key.clone());
        } else {
            self.queue.forget(key);
        }
        self.queue.done(key);
        None
    }
}

/// A controller whose work is to bring one object after another to what it should be.
pub(crate) trait Reconciler {
    /// What a sync is for.
    type Key: Clone + Ord + Hash + fmt::Debug;
    /// What a sync remembers while its requests are answered.
    type Stage;
    /// What it listens to, as [`Controller::topics`] says.
    fn topics(&self) -> Topics;
    /// The queue and the client.
    fn desk(&mut self) -> &mut Desk<Self::Key, Self::Stage>;
    /// Takes in everything that the view lists, at the start.
    fn list(&mut self, ctx: &mut Context<'_>, view: View<'_>);
    /// Takes in one change, as [`Controller::on_change`] does.
    fn note(&mut self, ctx: &mut Context<'_>, view: View<'_>, news: &News<'_>);
    /// Begins the sync of a key.
    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: Self::Key) -> Step<Self::Key, Self::Stage>;
    /// Goes on with a sync whose stage has ended; where nothing else is said, that was all.
    fn proceed(
        &mut self,
        ctx: &mut Context<'_>,
        _view: View<'_>,
        ended: Ended<Self::Key, Self::Stage>,
    ) -> Step<Self::Key, Self::Stage> {
        self.desk().finish(ctx, &ended.key, ended.error.is_some())
    }
}

/// Goes on with a sync until it waits for answers or is over.
fn follow<R: Reconciler>(reconciler: &mut R, ctx: &mut Context<'_>, view: View<'_>, mut step: Step<R::Key, R::Stage>) {
    while let Some(ended) = step {
        step = reconciler.proceed(ctx, view, ended);
    }
}

impl<R: Reconciler> Controller for R {
    fn topics(&self) -> Topics {
        Reconciler::topics(self)
    }

    fn start(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        self.list(ctx, view);
    }

    fn on_change(&mut self, ctx: &mut Context<'_>, view: View<'_>, news: &News<'_>) {
        self.note(ctx, view, news);
    }

    fn work(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        while let Some(key) = self.desk().queue.take() {
            let step = self.sync(ctx, view, key);
            follow(self, ctx, view, step);
        }
    }

    fn on_answer(&mut self, ctx: &mut Context<'_>, view: View<'_>, id: RequestId, answer: Answer) {
        let step = self.desk().requests.on_answer(ctx, id, answer);
        follow(self, ctx, view, step);
    }

    fn on_timer(&mut self, ctx: &mut Context<'_>, _view: View<'_>, kind: TimerKind) {
        let desk = self.desk();
        match kind {
            TimerKind::ClientTokens(number) if number == desk.number => desk.requests.on_tokens(ctx),
            TimerKind::WorkQueue(number) if number == desk.number => desk.queue.on_timer(ctx),
            _ => {}
        }
    }
}
