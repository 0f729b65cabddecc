//! Changing the taints of one node: read, write, and try again if somebody else was faster.
//!
//! Additions are written first and removals second, so a node whose taint is exchanged is never without one. Source:
//! `SwapNodeControllerTaint`, pkg/controller/util/node/controller_utils.go, and `AddOrUpdateTaintOnNode`,
//! `RemoveTaintOffNode`, pkg/controller/controller_utils.go (v1.34.1).

use std::sync::Arc;

use crate::api::{Answer, Patch, Refusal, Reply, Request};
use crate::context::Context;
use crate::draw::{Purpose, draw, span_below};
use crate::id::Name;
use crate::model::{Kind, Node, Object, ObjectKey, Taint, TaintEffect};
use crate::time::{Span, Time};

/// How often a write that met a conflict is made before it counts as failed.
const TRIES: u32 = 5;
/// Shortest pause after a conflict; the longest is twice as long.
const PAUSE: Span = Span::from_millis(100);

/// A taint's key and effect, which is all that a removal looks at.
pub(super) type Mark = (Name, TaintEffect);

/// What a change of taints needs next.
#[derive(Debug)]
pub(super) enum Step {
    /// The answer to a request.
    Ask(Request),
    /// Time to pass.
    Wait(Span),
    /// Nothing: it has succeeded or failed.
    Done(bool),
}

/// One change of one node's taints under way.
#[derive(Debug)]
pub(super) struct Swap {
    node: Arc<Node>,
    add: Vec<Taint>,
    remove: Vec<Mark>,
    stage: Stage,
    tries: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    ReadToAdd,
    Add,
    ReadToRemove,
    Remove,
}

impl Swap {
    /// Begins a change. `node` is what the watch shows: a taint that it lacks is not removed.
    pub(super) fn begin(node: &Arc<Node>, add: Vec<Mark>, remove: Vec<Mark>, now: Time) -> (Swap, Step) {
        let taint = |(key, effect): Mark| Taint { key, value: "".into(), effect, added_at: Some(now) };
        let add: Vec<Taint> = add.into_iter().map(taint).collect();
        let mut swap = Swap { node: node.clone(), add, remove, stage: Stage::ReadToAdd, tries: 0 };
        let first = if swap.add.is_empty() { swap.begin_removal() } else { swap.read() };
        (swap, first)
    }

    /// Takes in the answer to the request that [`Step::Ask`] gave.
    pub(super) fn on_answer(&mut self, ctx: &Context<'_>, answer: Answer) -> Step {
        match (self.stage, answer) {
            (Stage::ReadToAdd | Stage::ReadToRemove, Ok(Reply::Object(Object::Node(stored), _))) => self.write(&stored),
            (Stage::Add, Ok(_)) => self.begin_removal(),
            (Stage::Remove, Ok(_)) => Step::Done(true),
            (Stage::Add | Stage::Remove, Err(Refusal::Conflict { .. } | Refusal::Invalid { .. })) => self.pause(ctx),
            (_, _) => Step::Done(false),
        }
    }

    /// Goes on after the pause that [`Step::Wait`] asked for.
    pub(super) fn read(&mut self) -> Step {
        Step::Ask(Request::Get(self.key()))
    }

    fn write(&mut self, stored: &Node) -> Step {
        let seen = &stored.spec.taints;
        let mut wanted = seen.clone();
        if self.stage == Stage::ReadToAdd {
            for taint in &self.add {
                match wanted.iter_mut().find(|present| present.same_mark(taint)) {
                    Some(present) => *present = taint.clone(),
                    None => wanted.push(taint.clone()),
                }
            }
            self.stage = Stage::Add;
        } else {
            wanted.retain(|taint| !self.removes(taint));
            self.stage = Stage::Remove;
        }
        if wanted == *seen {
            return if self.stage == Stage::Add { self.begin_removal() } else { Step::Done(true) };
        }
        Step::Ask(Request::Patch { key: self.key(), patch: Patch::Taints { seen: seen.clone(), wanted } })
    }

    fn begin_removal(&mut self) -> Step {
        self.stage = Stage::ReadToRemove;
        self.tries = 0;
        if self.node.spec.taints.iter().any(|taint| self.removes(taint)) { self.read() } else { Step::Done(true) }
    }

    fn pause(&mut self, ctx: &Context<'_>) -> Step {
        self.tries += 1;
        if self.tries == TRIES {
            return Step::Done(false);
        }
        self.stage = if self.stage == Stage::Add { Stage::ReadToAdd } else { Stage::ReadToRemove };
        // Two writers that met once must not meet again for ever, so the pause differs from conflict to conflict.
        let jitter = draw(ctx.seed(), Purpose::RetryJitter, self.node.meta.uid.0 as u64, ctx.now.0);
        Step::Wait(PAUSE + span_below(jitter, PAUSE))
    }

    fn removes(&self, taint: &Taint) -> bool {
        self.remove.iter().any(|(key, effect)| *key == taint.key && *effect == taint.effect)
    }

    fn key(&self) -> ObjectKey {
        ObjectKey { kind: Kind::Node, namespace: Name::default(), name: self.node.meta.name.clone() }
    }
}
