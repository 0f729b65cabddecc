//! A core in its simulated world: the loop, an observer that looks on, and single steps for comparing two runs.

use std::sync::Arc;

use wavetank_core::Core;
use wavetank_core::config::Config;
use wavetank_core::facts::Fact;
use wavetank_core::growth::give_back;
use wavetank_core::id::Revision;
use wavetank_core::seam::{Effect, Input};
use wavetank_core::time::Time;
use wavetank_core::world::World;

use crate::plan::Plan;
use crate::queue::{EventQueue, TieOrder, WheelQueue};
use crate::record::{Ladder, Outcome, Rung};
use crate::world::SimWorld;

/// Whether a run goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// It does.
    Continue,
    /// It ends here.
    Stop,
}

/// Looks on while a cluster runs; it can end the run and change nothing else.
pub trait Observer {
    /// Everything of an instant has happened and time is about to advance. Called when something was written or
    /// recorded since the last call, at the times of [`Observer::next_wake`], and at the end of the run.
    fn settled(&mut self, now: Time, core: &Core, facts_since: &[(Time, Fact)]) -> Flow;

    /// When the observer wants to look again whether or not something happens; times that have passed are ignored.
    fn next_wake(&self) -> Option<Time> {
        None
    }
}

/// An observer that only waits for the end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn settled(&mut self, _now: Time, _core: &Core, _facts_since: &[(Time, Fact)]) -> Flow {
        Flow::Continue
    }
}

/// How a plan is run; none of it is part of the plan.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The order of simultaneous events.
    pub ties: TieOrder,
    /// Whether the outcome has the facts. An observer is given them in any case.
    pub keep_facts: bool,
    /// Whether there are Kubernetes events among the facts, if the plan's configuration has them.
    pub events: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { ties: TieOrder::Canonical, keep_facts: true, events: true }
    }
}

/// Runs a plan to its end, or to where the observer ends it.
pub fn run(plan: &Plan, observer: &mut dyn Observer) -> Outcome {
    let mut simulation: Simulation = Simulation::new(&Arc::new(plan.clone()));
    simulation.run(observer);
    simulation.outcome()
}

/// A core in its simulated world.
pub struct Simulation<Q: EventQueue = WheelQueue> {
    core: Core,
    world: SimWorld<Q>,
    effects: Vec<Effect>,
    keep_facts: bool,
    /// Facts that the observer has seen.
    facts: Vec<(Time, Fact)>,
    ladder: Ladder,
    last: Option<Input>,
    settled_revision: Revision,
    ended_at: Option<Time>,
}

impl<Q: EventQueue + Default> Simulation<Q> {
    /// A plan at time zero, with the usual order of simultaneous events. For panics see [`SimWorld::new`].
    pub fn new(plan: &Arc<Plan>) -> Simulation<Q> {
        Simulation::with_options(plan, Options::default())
    }

    /// A plan at time zero.
    pub fn with_options(plan: &Arc<Plan>, options: Options) -> Simulation<Q> {
        let says_events = plan.config.says_events && options.events;
        Simulation {
            core: Core::new(Config { says_events, ..plan.config.clone() }),
            world: SimWorld::new(Arc::clone(plan), options.ties),
            effects: Vec::new(),
            keep_facts: options.keep_facts,
            facts: Vec::new(),
            ladder: Ladder::new(),
            last: None,
            settled_revision: Revision::ZERO,
            ended_at: None,
        }
    }
}

impl<Q: EventQueue> Simulation<Q> {
    /// The core.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// The world.
    pub fn world(&self) -> &SimWorld<Q> {
        &self.world
    }

    /// Handles one input and tells which it was; `None` at the end of the run.
    pub fn step(&mut self) -> Option<(Time, &Input)> {
        let (now, input) = self.world.next_input()?;
        self.last = Some(input.clone());
        self.handle(now, input);
        self.last.as_ref().map(|input| (now, input))
    }

    /// Runs to the end of the plan, or to where the observer ends it.
    pub fn run(&mut self, observer: &mut dyn Observer) {
        let mut settled_at = None;
        loop {
            let (now, next) = (self.world.now(), self.world.next_time());
            if next != Some(now) {
                if self.settle(now, &mut settled_at, observer) == Flow::Stop {
                    self.ended_at = Some(now);
                    return;
                }
                if self.wake_before(next, &mut settled_at, observer) == Flow::Stop {
                    return;
                }
            }
            let Some((now, input)) = self.world.next_input() else { break };
            // An event need not become an input: a request sets out at 60 s and arrives at 60.004 s, and an observer
            // who wants to look at 60 s must not be passed over.
            if next != Some(now) && self.wake_before(Some(now), &mut settled_at, observer) == Flow::Stop {
                return;
            }
            self.handle(now, input);
        }
        if self.wake_before(None, &mut settled_at, observer) == Flow::Stop {
            return;
        }
        let end = self.world.end();
        self.ended_at = Some(end);
        if settled_at < Some(end) {
            self.show(end, observer);
        }
    }

    /// What there is to tell of the run so far.
    pub fn outcome(mut self) -> Outcome {
        self.take_facts();
        Outcome {
            end: self.ended_at.unwrap_or(self.world.now()),
            steps: self.core.steps(),
            fingerprint: self.core.fingerprint(),
            digest: self.core.digest(),
            facts: self.facts,
            refusals: self.world.refusals().to_vec(),
            drain_notes: self.world.drain_notes().to_vec(),
            ladder: self.ladder.rungs().to_vec(),
        }
    }

    fn handle(&mut self, now: Time, input: Input) {
        self.core.step(now, input, &mut self.effects);
        for effect in self.effects.drain(..) {
            self.world.perform(now, effect);
        }
        give_back(&mut self.effects);
        let steps = self.core.steps();
        if self.ladder.is_due(steps) {
            let (fingerprint, digest) = (self.core.fingerprint(), self.core.digest());
            self.ladder.push(Rung { steps, at: now, fingerprint, digest });
        }
    }

    /// The observer looks at the times that it asked for before `next`, or before the run's end if that is `None`.
    fn wake_before(&mut self, next: Option<Time>, settled_at: &mut Option<Time>, observer: &mut dyn Observer) -> Flow {
        while let Some(wake) = observer.next_wake().filter(|wake| {
            Some(*wake) > *settled_at && *wake <= self.world.end() && next.is_none_or(|next| *wake < next)
        }) {
            *settled_at = Some(wake);
            if self.show(wake, observer) == Flow::Stop {
                self.ended_at = Some(wake);
                return Flow::Stop;
            }
        }
        Flow::Continue
    }

    /// The instant `now` is over: the observer looks if something was written or recorded in it, or if it wanted to.
    fn settle(&mut self, now: Time, settled_at: &mut Option<Time>, observer: &mut dyn Observer) -> Flow {
        let wanted = observer.next_wake() == Some(now) && *settled_at != Some(now);
        let written = self.core.revision() != self.settled_revision || !self.world.facts().is_empty();
        if !written && !wanted {
            return Flow::Continue;
        }
        *settled_at = Some(now);
        self.show(now, observer)
    }

    fn show(&mut self, now: Time, observer: &mut dyn Observer) -> Flow {
        self.settled_revision = self.core.revision();
        let flow = observer.settled(now, &self.core, self.world.facts());
        self.take_facts();
        flow
    }

    fn take_facts(&mut self) {
        let facts = self.world.take_facts();
        if self.keep_facts {
            self.facts.extend(facts);
        } else {
            drop(facts);
        }
        self.world.trim_facts();
    }
}
