//! What a process has at hand during a step, and what a process that reads the store implements.
//!
//! Invariant: a process acts on others only through the effects that it leaves here.

use crate::config::Config;
use crate::events::Event;
use crate::facts::{Fact, What};
use crate::id::ProcId;
use crate::model::ObjectKey;
use crate::seam::{Effect, Msg, TimerKind};
use crate::store::{Change, View};
use crate::time::Time;

/// What one process has at hand during one step.
pub struct Context<'a> {
    /// The time of the step.
    pub now: Time,
    /// The process that the step is for.
    pub me: ProcId,
    /// The cluster's settings.
    pub config: &'a Config,
    /// Where effects go, in order.
    pub out: &'a mut Vec<Effect>,
}

impl Context<'_> {
    /// The run's seed.
    pub fn seed(&self) -> u64 {
        self.config.seed
    }

    /// Sends a message from this process.
    pub fn send(&mut self, to: ProcId, body: Msg) {
        self.out.push(Effect::Send { from: self.me, to, body });
    }

    /// Arms (or moves) one of this process's timers.
    pub fn arm(&mut self, kind: TimerKind, at: Time) {
        debug_assert!(at >= self.now, "{} arms {kind:?} in the past", self.me);
        self.out.push(Effect::Arm(self.me, kind, at));
    }

    /// Disarms one of this process's timers.
    pub fn disarm(&mut self, kind: TimerKind) {
        self.out.push(Effect::Disarm(self.me, kind));
    }

    /// Records a fact.
    pub fn record(&mut self, subject: ObjectKey, what: What) {
        self.out.push(Effect::Record(Fact { subject, what, by: None }));
    }

    /// Whether somebody may read Kubernetes events; who says many asks before making one.
    pub fn says_events(&self) -> bool {
        self.config.says_events
    }

    /// Says a Kubernetes event about an object, unless nobody reads them.
    pub fn event(&mut self, subject: ObjectKey, event: Event) {
        if self.says_events() {
            self.record(subject, What::Event(Box::new(event)));
        }
    }
}

/// What a component that reads the store through its own cursor does with its inputs.
pub trait Component {
    /// Begins, with everything that the view lists.
    fn start(&mut self, ctx: &mut Context<'_>, view: View<'_>);
    /// Takes in the changes that its watch has delivered; the view is at the newest of them.
    fn on_changes(&mut self, ctx: &mut Context<'_>, view: View<'_>, changes: &[Change]);
    /// Takes in any other message: answers to its requests, renewals, notices of the world.
    fn on_message(&mut self, ctx: &mut Context<'_>, view: View<'_>, from: ProcId, body: Msg);
    /// Acts on one of its timers.
    fn on_timer(&mut self, ctx: &mut Context<'_>, view: View<'_>, kind: TimerKind);
}
