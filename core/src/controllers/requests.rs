//! Syncs that consist of requests: what is under way for each key, batch by batch.
//!
//! A sync of a real controller is a function that blocks while its requests are answered. Here it is cut into stages:
//! each stage is a list of batches, issued in order, the next one only when all of the former has been answered. The
//! worker stays occupied meanwhile (its key is not `done`). Invariant: after the first batch with an error no further
//! batch leaves, but for one whose requests a gate lets through ([`Pass`]). Absent on purpose: retries, which belong to
//! the work queue.

use std::collections::VecDeque;

use crate::api::{Answer, Client, Refusal, Reply, Request};
use crate::config::RateLimit;
use crate::context::Context;
use crate::events::Event;
use crate::id::{Name, RequestId, Revision, Uid};
use crate::model::{Object, ObjectKey};

/// One controller's client with all stages under way.
pub(crate) struct Requests<K, S> {
    client: Client,
    /// Refusals that count as success, such as "not found" for a deletion.
    tolerated: fn(&Refusal) -> bool,
    /// What is to be said of the answer to a stage's request, which is known by its place among all of the stage.
    tell: Tell<S>,
    /// Which requests depend on answers to earlier ones of their stage; `None`: all on all.
    gate: Option<Gate<S>>,
    /// The stages under way, each in a place of its own: no more than the controller has workers.
    under_way: Vec<Option<UnderWay<K, S>>>,
    /// By number, which the client counts up.
    asked: VecDeque<(RequestId, Asked)>,
}

/// Makes an event of an answer.
pub(crate) type Tell<S> = fn(&S, usize, &Answer) -> Option<(ObjectKey, Event)>;

/// Looks at a request by its place among all of its stage, before it leaves, with the answers so far.
pub(crate) type Gate<S> = fn(&S, usize, &[Option<Answer>]) -> Pass;

/// Whether a request leaves.
pub(crate) enum Pass {
    /// If no request before its batch was refused, and none does otherwise.
    IfAllWell,
    /// Whatever was refused before.
    Anyway,
    /// Never: what it needs was refused. That is its own answer as well, of which this is said.
    Never(Box<(Refusal, Option<(ObjectKey, Event)>)>),
}

/// A request that has left.
struct Asked {
    /// Where its stage is among those under way.
    stage: usize,
    /// Its place among the requests of its stage; `None` is the reading of the owner before them.
    place: Option<usize>,
    is_write: bool,
}

struct UnderWay<K, S> {
    key: K,
    stage: S,
    /// Who has to be there still, for a stage that adopts.
    owner: Option<(ObjectKey, Uid)>,
    /// How many requests the first batch of a stage that adopts has.
    adoptions: usize,
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

impl<K: PartialEq, S> Requests<K, S> {
    /// The requests of controller `number`.
    pub(crate) fn new(number: u8, limit: Option<RateLimit>, tolerated: fn(&Refusal) -> bool) -> Requests<K, S> {
        Requests {
            client: Client::new(number, limit),
            tolerated,
            tell: |_, _, _| None,
            gate: None,
            under_way: Vec::new(),
            asked: VecDeque::new(),
        }
    }

    /// The same, with Kubernetes events about answers, each said when its answer comes.
    pub(crate) fn telling(mut self, tell: Tell<S>) -> Requests<K, S> {
        self.tell = tell;
        self
    }

    /// The same, with requests that depend on some answers only.
    pub(crate) fn gated(mut self, gate: Gate<S>) -> Requests<K, S> {
        self.gate = Some(gate);
        self
    }

    /// Begins a stage. One without requests has ended at once and is returned.
    pub(crate) fn begin(
        &mut self,
        ctx: &mut Context<'_>,
        key: K,
        stage: S,
        batches: impl IntoIterator<Item = Vec<Request>>,
    ) -> Option<Ended<K, S>> {
        let waiting = batches_of(batches);
        if waiting.is_empty() {
            return Some(Ended { key, stage, answers: Vec::new(), skipped: 0, error: None });
        }
        let place = self.enter(key, stage, None, waiting);
        self.next_batch(ctx, place)
    }

    /// Begins a stage that adopts objects: its owner is read first, and nothing is written if that is gone, is being
    /// deleted or is another one of the same name. The view may be too old to know.
    ///
    /// Source: `RecheckDeletionTimestamp`, pkg/controller/controller_ref_manager.go (v1.34.1).
    pub(crate) fn begin_adopting(
        &mut self,
        ctx: &mut Context<'_>,
        key: K,
        stage: S,
        (owner, uid): (ObjectKey, Uid),
        batches: impl IntoIterator<Item = Vec<Request>>,
    ) {
        let stage = self.enter(key, stage, Some((owner.clone(), uid)), batches_of(batches));
        let id = self.client.send(ctx, Request::Get(owner));
        self.asked.push_back((id, Asked { stage, place: None, is_write: false }));
    }

    /// Notes a stage; returns its place.
    fn enter(&mut self, key: K, stage: S, owner: Option<(ObjectKey, Uid)>, waiting: VecDeque<Vec<Request>>) -> usize {
        assert!(!self.is_under_way(&key), "a key has one stage under way at a time");
        let place = self.under_way.iter().position(Option::is_none).unwrap_or_else(|| {
            self.under_way.push(None);
            self.under_way.len() - 1
        });
        let adoptions = if owner.is_some() { waiting.front().map_or(0, Vec::len) } else { 0 };
        let answers = Vec::with_capacity(waiting.iter().map(Vec::len).sum());
        let under_way = UnderWay { key, stage, owner, adoptions, waiting, answers, open: 0, error: None };
        self.under_way[place] = Some(under_way);
        place
    }

    /// Takes in an answer; returns the stage if this was its last.
    pub(crate) fn on_answer(&mut self, ctx: &mut Context<'_>, id: RequestId, answer: Answer) -> Option<Ended<K, S>> {
        // An answer to a request of this process's former life concerns nobody any more.
        let asked = self.asked.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        let (_, Asked { stage, place, is_write }) = self.asked.remove(asked).expect("the request was just found");
        let under_way = self.under_way[stage].as_mut().expect("a stage lasts until its last answer");
        let Some(place) = place else {
            under_way.error = under_way.owner.as_ref().and_then(|(owner, uid)| departed(owner, *uid, &answer));
            return self.next_batch(ctx, stage);
        };
        if ctx.says_events()
            && let Some((subject, event)) = (self.tell)(&under_way.stage, place, &answer)
        {
            ctx.event(subject, event);
        }
        match &answer {
            Ok(Reply::Object(object, revision)) if is_write && place >= under_way.adoptions => {
                under_way.build_on(object, *revision);
            }
            Err(refusal) if !(self.tolerated)(refusal) && under_way.error.is_none() => {
                under_way.error = Some(refusal.clone());
            }
            _ => {}
        }
        under_way.answers[place] = Some(answer);
        under_way.open -= 1;
        if under_way.open > 0 { None } else { self.next_batch(ctx, stage) }
    }

    /// Whether a stage of this key is under way.
    pub(crate) fn is_under_way(&self, key: &K) -> bool {
        self.under_way.iter().flatten().any(|it| it.key == *key)
    }

    /// The client's rate limit lets requests pass again.
    pub(crate) fn on_tokens(&mut self, ctx: &mut Context<'_>) {
        self.client.on_tokens(ctx);
    }

    fn next_batch(&mut self, ctx: &mut Context<'_>, stage: usize) -> Option<Ended<K, S>> {
        loop {
            let under_way = self.under_way[stage].as_mut().expect("the stage has begun");
            let Some((batch, passes)) = under_way.take_batch(self.gate) else {
                let ended = self.under_way[stage].take().expect("the stage was just seen");
                let skipped = ended.waiting.iter().map(Vec::len).sum();
                let answers = ended.answers.into_iter().map(|answer| answer.expect("all requests are answered"));
                let answers = answers.collect();
                return Some(Ended { key: ended.key, stage: ended.stage, answers, skipped, error: ended.error });
            };
            for (number, request) in batch.into_iter().enumerate() {
                if let Some(Pass::Never(held_back)) = passes.get(number) {
                    let (refusal, said) = &**held_back;
                    under_way.error.get_or_insert_with(|| refusal.clone());
                    under_way.answers.push(Some(Err(refusal.clone())));
                    if let Some((subject, event)) = said.clone().filter(|_| ctx.says_events()) {
                        ctx.event(subject, event);
                    }
                    continue;
                }
                let place = under_way.answers.len();
                under_way.answers.push(None);
                under_way.open += 1;
                let is_write = !matches!(request, Request::Get(_));
                let id = self.client.send(ctx, request);
                self.asked.push_back((id, Asked { stage, place: Some(place), is_write }));
            }
            if under_way.open > 0 {
                return None;
            }
        }
    }
}

/// The batches of a stage that ask for something.
fn batches_of(batches: impl IntoIterator<Item = Vec<Request>>) -> VecDeque<Vec<Request>> {
    batches.into_iter().filter(|batch| !batch.is_empty()).collect()
}

/// Why an owner may not adopt, as the answer to its reading says.
fn departed(owner: &ObjectKey, uid: Uid, answer: &Answer) -> Option<Refusal> {
    match answer {
        Ok(Reply::Object(object, _)) if object.meta().uid != uid => {
            Some(Refusal::WrongUid { expected: uid, stored: object.meta().uid })
        }
        Ok(Reply::Object(object, _)) if object.meta().is_terminating() => {
            let message: Name = "it has just been deleted".into();
            Some(Refusal::Forbidden { key: owner.clone(), message })
        }
        Ok(_) => None,
        Err(refusal) => Some(refusal.clone()),
    }
}

impl<K, S> UnderWay<K, S> {
    /// The next batch, if it may leave at all, with what the gate says of each of its requests.
    fn take_batch(&mut self, gate: Option<Gate<S>>) -> Option<(Vec<Request>, Vec<Pass>)> {
        let count = self.waiting.front()?.len();
        let places = self.answers.len()..self.answers.len() + count;
        let pass = |gate: Gate<S>| places.map(|place| gate(&self.stage, place, &self.answers)).collect();
        let passes: Vec<Pass> = gate.map(pass).unwrap_or_default();
        let is_free = !passes.is_empty() && passes.iter().all(|pass| !matches!(pass, Pass::IfAllWell));
        let batch = if self.error.is_none() || is_free { self.waiting.pop_front() } else { None };
        Some((batch?, passes))
    }

    /// A later update of the same stage to the same object builds on the version that this write has made. Writes of
    /// its status do not: controllers keep the version that their sync began with, and a second one meets a conflict.
    /// So does an update of what the first batch of the stage has adopted.
    ///
    /// Source: `AdoptReplicaSet`, pkg/controller/controller_ref_manager.go (v1.34.1), which drops the patched object.
    fn build_on(&mut self, written: &Object, revision: Revision) {
        for request in self.waiting.iter_mut().flatten() {
            if let Request::Update { object, expected } = request
                && expected.is_some()
                && object.key() == written.key()
            {
                *expected = Some(revision);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::Taken;
    use crate::config::Config;
    use crate::id::ProcId;
    use crate::model::{Kind, Meta, MetaExtras, Pod};
    use crate::seam::{Effect, Msg};
    use crate::time::Time;

    fn create(name: &str) -> Request {
        Request::Create(Object::Pod(Arc::new(Pod { meta: Meta::named("default", name).into(), ..Pod::default() })))
    }

    /// The requests that have left since: number and name.
    fn sent(out: &mut Vec<Effect>) -> Vec<(RequestId, String)> {
        let requests = out.drain(..).filter_map(|effect| match effect {
            Effect::Send { body: Msg::Request(id, request), .. } => Some((id, request)),
            _ => None,
        });
        requests
            .map(|(id, request)| match *request {
                Request::Create(object) | Request::Update { object, .. } => (id, object.meta().name.to_string()),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn granted(name: &str, revision: u64) -> Answer {
        let pod = Pod { meta: Meta::named("default", name).into(), ..Pod::default() };
        Ok(Reply::Object(Object::Pod(Arc::new(pod)), Revision(revision)))
    }

    #[test]
    fn a_batch_waits_for_the_whole_of_the_one_before_and_none_follows_an_error() {
        let (config, mut out) = (Config::default(), Vec::new());
        let mut requests: Requests<&str, ()> = Requests::new(1, None, |_| false);
        let batches = [vec![create("a")], vec![create("b"), create("c")], vec![create("d"), create("e")]];
        macro_rules! ctx {
            () => {
                &mut Context { now: Time::ZERO, me: ProcId::CONTROLLER_MANAGER, config: &config, out: &mut out }
            };
        }
        assert!(requests.begin(ctx!(), "key", (), batches).is_none());
        let first = sent(&mut out);
        assert_eq!(first.iter().map(|(_, name)| &**name).collect::<Vec<_>>(), ["a"]);
        assert!(requests.on_answer(ctx!(), first[0].0, granted("a", 1)).is_none());
        let second = sent(&mut out);
        assert_eq!(second.iter().map(|(_, name)| &**name).collect::<Vec<_>>(), ["b", "c"]);
        let taken = Refusal::AlreadyExists { key: ObjectKey::new(Kind::Pod, "default", "b"), taken: Taken::default() };
        assert!(requests.on_answer(ctx!(), second[0].0, Err(taken.clone())).is_none(), "c is not yet answered");
        let ended = requests.on_answer(ctx!(), second[1].0, granted("c", 2)).expect("the batch with the error is over");
        assert_eq!(sent(&mut out), []);
        assert_eq!((ended.answers.len(), ended.skipped, ended.error), (3, 2, Some(taken)));
        assert!(!requests.is_under_way(&"key"));
    }

    #[test]
    fn nothing_is_adopted_by_an_owner_that_is_gone_another_one_or_being_deleted() {
        let owner = |uid, deleted_at| {
            let extras = MetaExtras { deleted_at, ..MetaExtras::default() }.into();
            let meta = Meta { uid: Uid::new(uid), extras, ..Meta::named("default", "o") };
            Ok(Reply::Object(Object::Pod(Arc::new(Pod { meta: meta.into(), ..Pod::default() })), Revision(3)))
        };
        let key = ObjectKey::new(Kind::Pod, "default", "o");
        let forbidden = Refusal::Forbidden { key: key.clone(), message: "it has just been deleted".into() };
        for (story, answer, error) in [
            ("as the view has it", owner(7, None), None),
            ("being deleted", owner(7, Some(Time::ZERO)), Some(forbidden)),
            ("another one", owner(8, None), Some(Refusal::WrongUid { expected: Uid::new(7), stored: Uid::new(8) })),
            ("gone", Err(Refusal::NotFound(key.clone())), Some(Refusal::NotFound(key.clone()))),
        ] {
            let (config, mut out) = (Config::default(), Vec::new());
            // Even if this controller takes it for success when something is not there.
            let mut requests: Requests<&str, ()> = Requests::new(1, None, |_| true);
            let mut ctx = Context { now: Time::ZERO, me: ProcId::CONTROLLER_MANAGER, config: &config, out: &mut out };
            requests.begin_adopting(
                &mut ctx,
                "key",
                (),
                (key.clone(), Uid::new(7)),
                [vec![create("a")], vec![create("b")]],
            );
            let [Effect::Send { body: Msg::Request(id, request), .. }] = &ctx.out[..] else {
                panic!("only the owner is asked for: {:?}", ctx.out)
            };
            assert_eq!(**request, Request::Get(key.clone()));
            let id = *id;
            ctx.out.clear();
            let ended = requests.on_answer(&mut ctx, id, answer);
            let left: Vec<String> = sent(&mut out).into_iter().map(|(_, name)| name).collect();
            match error {
                None => assert!(ended.is_none() && left == ["a"], "{story}: {left:?}"),
                Some(_) => {
                    let ended = ended.unwrap_or_else(|| panic!("{story}: the stage goes on"));
                    assert_eq!((ended.error, ended.skipped, left.len()), (error, 2, 0), "{story}");
                }
            }
        }
    }

    #[test]
    fn a_second_write_of_a_stage_names_the_version_that_the_first_has_made() {
        let (config, mut out) = (Config::default(), Vec::new());
        let mut requests: Requests<&str, ()> = Requests::new(1, None, |_| false);
        let object = Object::Pod(Arc::new(Pod { meta: Meta::named("default", "a").into(), ..Pod::default() }));
        let update = || vec![Request::Update { object: object.clone(), expected: Some(Revision(5)) }];
        let mut ctx = Context { now: Time::ZERO, me: ProcId::CONTROLLER_MANAGER, config: &config, out: &mut out };
        assert!(requests.begin(&mut ctx, "key", (), [update(), update()]).is_none());
        assert!(requests.on_answer(&mut ctx, RequestId(1 << 56), granted("a", 9)).is_none());
        let Some(Effect::Send { body: Msg::Request(_, request), .. }) = out.last() else {
            panic!("the second write has not left: {out:?}")
        };
        assert_eq!(**request, Request::Update { object, expected: Some(Revision(9)) });
    }
}
