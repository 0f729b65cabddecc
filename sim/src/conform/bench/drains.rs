//! The `kubectl drain`s of the steps, each of which asks and waits for as long as it takes.

use wavetank_core::api::Answer;
use wavetank_core::id::{ProcId, RequestId};
use wavetank_core::time::Time;

use super::{Bench, Happening};
use crate::drain::{Act, Drain, DrainOptions};

/// Requests of drains are numbered by drain and question; steps have numbers below 2^32.
const DRAIN_SHIFT: u32 = 32;

/// A `kubectl drain` of the steps.
pub(super) struct Running {
    place: usize,
    drain: Drain,
    wakes_at: Option<Time>,
    said: Vec<String>,
}

impl Bench<'_> {
    /// The step at `place` is a drain.
    pub(super) fn begin_drain(&mut self, place: usize, options: DrainOptions) {
        self.drains.push(Running { place, drain: Drain::new(options), wakes_at: None, said: Vec::new() });
        let number = self.drains.len() - 1;
        let acts = self.drains[number].drain.begin();
        self.follow_drain(number, acts);
    }

    /// Hands an answer to the drain that asked; `false` if none did.
    pub(super) fn drain_answered(&mut self, id: RequestId, answer: &Answer) -> bool {
        let drain = (id.0 >> DRAIN_SHIFT).checked_sub(1).and_then(|number| usize::try_from(number).ok());
        let Some(number) = drain.filter(|number| *number < self.drains.len()) else { return false };
        let acts = self.drains[number].drain.on_answer(self.now, id.0 as u32, answer.clone());
        self.follow_drain(number, acts);
        true
    }

    fn follow_drain(&mut self, number: usize, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Ask(question, request) => {
                    let id = RequestId((number as u64 + 1) << DRAIN_SHIFT | u64::from(question));
                    self.ask_as(ProcId::CLIENT, id, request);
                }
                Act::Say(_, text) => self.drains[number].said.push(text),
            }
        }
        let running = &mut self.drains[number];
        if running.drain.is_over() {
            let code = i32::from(running.drain.has_failed());
            self.played.commands.insert(running.place, (code, running.said.join("; ")));
            return;
        }
        if let Some(at) =
            running.drain.next_wake().map(|at| at.max(self.now)).filter(|at| Some(*at) != running.wakes_at)
        {
            running.wakes_at = Some(at);
            self.push(at, Happening::Drain(number));
        }
    }

    pub(super) fn wake_drain(&mut self, number: usize) {
        let running = &mut self.drains[number];
        if running.wakes_at == Some(self.now) {
            running.wakes_at = None;
            let acts = running.drain.on_time(self.now);
            self.follow_drain(number, acts);
        }
    }
}
