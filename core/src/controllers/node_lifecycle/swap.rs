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
        let jitter = draw(ctx.seed(), Purpose::RetryJitter, self.node.meta.uid.low(), ctx.now.0);
        Step::Wait(PAUSE + span_below(jitter, PAUSE))
    }

    fn removes(&self, taint: &Taint) -> bool {
        self.remove.iter().any(|(key, effect)| *key == taint.key && *effect == taint.effect)
    }

    fn key(&self) -> ObjectKey {
        ObjectKey { kind: Kind::Node, namespace: Name::default(), name: self.node.meta.name.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::id::{ProcId, Revision};
    use crate::model::{Meta, NodeSpec};

    /// Taints in words, `key=value` or `key` for effect NoSchedule, with a `!` in front for NoExecute.
    fn taints(words: &str) -> Vec<Taint> {
        let taint = |word: &str| {
            let effect = if word.starts_with('!') { TaintEffect::NoExecute } else { TaintEffect::NoSchedule };
            let (key, value) =
                word.trim_start_matches('!').split_once('=').unwrap_or((word.trim_start_matches('!'), ""));
            Taint { key: key.into(), value: value.into(), effect, added_at: Some(Time::ZERO) }
        };
        words.split_whitespace().map(taint).collect()
    }

    fn marks(words: &str) -> Vec<Mark> {
        taints(words).into_iter().map(|taint| (taint.key, taint.effect)).collect()
    }

    fn in_words(taints: &[Taint]) -> String {
        let word = |taint: &Taint| {
            let mark = if taint.effect == TaintEffect::NoExecute { "!" } else { "" };
            let value = if taint.value.is_empty() { String::new() } else { format!("={}", taint.value) };
            format!("{mark}{}{value}", taint.key)
        };
        taints.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn node(taints: Vec<Taint>) -> Node {
        Node { meta: Meta::named("", "n1"), spec: NodeSpec { taints, ..NodeSpec::default() }, ..Node::default() }
    }

    /// Changes the taints of a node that the watch shows as `seen` and that is stored as `stored` (`None`: it is gone).
    /// Each write in words, and whether the change succeeded.
    fn change(seen: &str, stored: Option<&str>, add: &str, remove: &str) -> (Vec<String>, bool) {
        let (config, mut out) = (Config::default(), Vec::new());
        let ctx = Context { now: Time::ZERO, me: ProcId::CONTROLLER_MANAGER, config: &config, out: &mut out };
        let mut stored = stored.map(|words| node(taints(words)));
        let seen = Arc::new(node(taints(seen)));
        let (mut swap, mut step) = Swap::begin(&seen, marks(add), marks(remove), Time::ZERO);
        let mut writes = Vec::new();
        loop {
            let request = match step {
                Step::Done(done) => return (writes, done),
                Step::Wait(_) => panic!("there is no conflict"),
                Step::Ask(request) => request,
            };
            if let (Request::Patch { patch: Patch::Taints { seen, wanted }, .. }, Some(node)) = (request, &mut stored) {
                assert_eq!(node.spec.taints, seen);
                node.spec.taints = wanted;
                writes.push(in_words(&node.spec.taints));
            }
            let answer = match &stored {
                Some(node) => Ok(Reply::Object(Object::Node(Arc::new(node.clone())), Revision(1))),
                None => Err(Refusal::NotFound(ObjectKey::new(Kind::Node, "", "n1"))),
            };
            step = swap.on_answer(&ctx, answer);
        }
    }

    #[test]
    fn taints_are_added_if_they_are_missing_and_removed_if_they_are_there() {
        // What the watch shows and what is stored; what to add and to remove; what is written.
        let table: [(&str, &str, &str, &str, &[&str]); 14] = [
            ("a", "a", "b", "", &["a b"]),
            ("a", "a", "b !c", "", &["a b !c"]),
            ("a b", "a b", "a b", "", &[]),
            ("a", "a", "!a", "", &["a !a"]),
            ("a=1", "a=1", "a", "", &["a"]),
            ("", "", "a b", "", &["a b"]),
            ("", "", "", "", &[]),
            ("a b", "a b", "", "", &[]),
            ("a b !c", "a b !c", "", "b", &["a !c"]),
            ("a b !c", "a b !c", "", "b !c", &["a"]),
            ("a b", "a b", "", "c !a", &[]),
            ("", "", "", "a", &[]),
            ("a b", "b", "", "a", &[]),
            ("a", "a", "b", "a", &["a b", "b"]),
        ];
        for (seen, stored, add, remove, expected) in table {
            let (writes, done) = change(seen, Some(stored), add, remove);
            assert!(done && writes == *expected, "{stored:?} + {add:?} - {remove:?}: {writes:?}");
        }
        assert_eq!(change("a", None, "b", ""), (Vec::new(), false), "the node is gone");
        assert_eq!(change("a", None, "", "a"), (Vec::new(), false), "the node is gone");
    }
}
