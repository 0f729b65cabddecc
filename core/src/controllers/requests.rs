//! Syncs that consist of requests: what is under way for each key, batch by batch.
//!
//! A sync of a real controller is a function that blocks while its requests are answered. Here it is cut into stages:
//! each stage is a list of batches, issued in order, the next one only when all of the former has been answered. The
//! worker stays occupied meanwhile (its key is not `done`). Invariant: after the first batch with an error no further
//! batch leaves. Absent on purpose: retries, which belong to the work queue.

use std::collections::{BTreeMap, VecDeque};

use crate::api::{Answer, Client, Refusal, Reply, Request};
use crate::config::RateLimit;
use crate::id::{RequestId, Revision};
use crate::machine::Context;
use crate::model::ObjectKey;

/// One controller's client with all stages under way.
pub(crate) struct Requests<K, S> {
    client: Client,
    /// Refusals that count as success, such as "not found" for a deletion.
    tolerated: fn(&Refusal) -> bool,
    under_way: BTreeMap<K, UnderWay<S>>,
    asked: BTreeMap<RequestId, (K, usize)>,
}

struct UnderWay<S> {
    stage: S,
    waiting: VecDeque<Vec<Request>>,
    /// One entry per request that has left, in that order; `None` is not yet answered.
    answers: Vec<Option<Answer>>,
    open: usize,
    error: Option<Refusal>,
}

/// A stage that has ended.
pub(crate) struct Ended<K, S> {
    /// What is being worked on.
    pub(crate) key: K,
    /// What the controller wanted to remember.
    pub(crate) stage: S,
    /// The answers to the requests that left, in that order.
    pub(crate) answers: Vec<Answer>,
    /// How many requests never left because of an earlier error.
    pub(crate) skipped: usize,
    /// The first refusal that is not tolerated.
    pub(crate) error: Option<Refusal>,
}

impl<K: Clone + Ord, S> Requests<K, S> {
    /// The requests of controller `number`.
    pub(crate) fn new(number: u8, limit: Option<RateLimit>, tolerated: fn(&Refusal) -> bool) -> Requests<K, S> {
        Requests { client: Client::new(number, limit), tolerated, under_way: BTreeMap::new(), asked: BTreeMap::new() }
    }

    /// Begins a stage. One without requests has ended at once and is returned.
    pub(crate) fn begin(
        &mut self,
        ctx: &mut Context<'_>,
        key: K,
        stage: S,
        batches: impl IntoIterator<Item = Vec<Request>>,
    ) -> Option<Ended<K, S>> {
        assert!(!self.under_way.contains_key(&key), "a key has one stage under way at a time");
        let waiting = batches.into_iter().filter(|batch| !batch.is_empty()).collect();
        let started = UnderWay { stage, waiting, answers: Vec::new(), open: 0, error: None };
        self.under_way.insert(key.clone(), started);
        self.next_batch(ctx, key)
    }

    /// Takes in an answer; returns the stage if this was its last.
    pub(crate) fn on_answer(&mut self, ctx: &mut Context<'_>, id: RequestId, answer: Answer) -> Option<Ended<K, S>> {
        let (key, place) = self.asked.remove(&id).expect("an answer comes once and to a request that was made");
        let under_way = self.under_way.get_mut(&key).expect("a stage lasts until its last answer");
        match &answer {
            Ok(Reply::Object(object, revision)) => under_way.build_on(&object.key(), *revision),
            Err(refusal) if !(self.tolerated)(refusal) && under_way.error.is_none() => {
                under_way.error = Some(refusal.clone());
            }
            _ => {}
        }
        under_way.answers[place] = Some(answer);
        under_way.open -= 1;
        if under_way.open > 0 { None } else { self.next_batch(ctx, key) }
    }

    /// Whether a stage of this key is under way.
    pub(crate) fn is_under_way(&self, key: &K) -> bool {
        self.under_way.contains_key(key)
    }

    /// The client's rate limit lets requests pass again.
    pub(crate) fn on_tokens(&mut self, ctx: &mut Context<'_>) {
        self.client.on_tokens(ctx);
    }

    fn next_batch(&mut self, ctx: &mut Context<'_>, key: K) -> Option<Ended<K, S>> {
        let under_way = self.under_way.get_mut(&key).expect("the stage has begun");
        let next = if under_way.error.is_none() { under_way.waiting.pop_front() } else { None };
        let Some(batch) = next else {
            let ended = self.under_way.remove(&key).expect("the stage was just seen");
            let skipped = ended.waiting.iter().map(Vec::len).sum();
            let answers = ended.answers.into_iter().map(|answer| answer.expect("all requests are answered")).collect();
            return Some(Ended { key, stage: ended.stage, answers, skipped, error: ended.error });
        };
        under_way.open = batch.len();
        for request in batch {
            let place = under_way.answers.len();
            under_way.answers.push(None);
            let id = self.client.send(ctx, request);
            self.asked.insert(id, (key.clone(), place));
        }
        None
    }
}

impl<S> UnderWay<S> {
    /// A later write of the same stage to the same object builds on the version that this write has made.
    fn build_on(&mut self, written: &ObjectKey, revision: Revision) {
        for request in self.waiting.iter_mut().flatten() {
            if let Request::Update { object, expected } | Request::UpdateStatus { object, expected } = request
                && expected.is_some()
                && object.key() == *written
            {
                *expected = Some(revision);
            }
        }
    }
}
