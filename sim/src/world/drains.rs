//! The drains of the plan: a user who asks, waits and asks again.

use wavetank_core::api::Answer;
use wavetank_core::id::{ProcId, RequestId};
use wavetank_core::seam::Msg;
use wavetank_core::time::Time;

use super::{Class, Event, SimWorld};
use crate::drain::{Act, Drain};
use crate::plan::DrainPlan;
use crate::queue::EventQueue;
use crate::record::DrainNote;

/// Requests of drains are numbered by drain and question; steps of the plan have numbers below 2^32.
const DRAIN_SHIFT: u32 = 32;

/// All drains, and what they have said.
#[derive(Default)]
pub(super) struct Drains {
    drains: Vec<Running>,
    notes: Vec<DrainNote>,
}

struct Running {
    drain: Drain,
    /// When it is woken next, if it is.
    wakes_at: Option<Time>,
    /// Whether its end has been told.
    told: bool,
}

impl Drains {
    pub(super) fn new(plans: &[DrainPlan]) -> Drains {
        let running =
            |plan: &DrainPlan| Running { drain: Drain::new(plan.options.clone()), wakes_at: None, told: false };
        Drains { drains: plans.iter().map(running).collect(), notes: Vec::new() }
    }

    pub(super) fn notes(&self) -> &[DrainNote] {
        &self.notes
    }
}

/// Which drain's question a request was, and its number there; `None` for a step of the plan.
pub(super) fn question_of(id: RequestId) -> Option<(u32, u32)> {
    let drain = (id.0 >> DRAIN_SHIFT).checked_sub(1)?;
    Some((drain as u32, id.0 as u32))
}

impl<Q: EventQueue> SimWorld<Q> {
    pub(super) fn drain_begins(&mut self, drain: u32) {
        self.establishing = false;
        let acts = self.drains.drains[drain as usize].drain.begin();
        self.follow_drain(drain, acts);
    }

    pub(super) fn drain_wakes(&mut self, drain: u32) {
        let running = &mut self.drains.drains[drain as usize];
        // It may have been woken earlier since.
        if running.wakes_at == Some(self.now) {
            running.wakes_at = None;
            let acts = running.drain.on_time(self.now);
            self.follow_drain(drain, acts);
        }
    }

    pub(super) fn answer_drain(&mut self, drain: u32, number: u32, answer: Answer) {
        let acts = self.drains.drains[drain as usize].drain.on_answer(self.now, number, answer);
        self.follow_drain(drain, acts);
    }

    fn follow_drain(&mut self, drain: u32, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Ask(number, request) => {
                    let id = RequestId((u64::from(drain) + 1) << DRAIN_SHIFT | u64::from(number));
                    self.send_ordinary(ProcId::CLIENT, ProcId::API_SERVER, Msg::Request(id, Box::new(request)));
                }
                Act::Say(reason, text) => {
                    self.drains.notes.push(DrainNote { at: self.now, drain, reason, text, failed: false })
                }
            }
        }
        let running = &mut self.drains.drains[drain as usize];
        if running.drain.is_over() && !running.told {
            running.told = true;
            let failed = running.drain.has_failed();
            let reason = if failed { "Failed" } else { "Complete" };
            self.drains.notes.push(DrainNote { at: self.now, drain, reason, text: String::new(), failed });
            return;
        }
        let next = running.drain.next_wake().map(|at| at.max(self.now));
        if next.is_some() && next != running.wakes_at {
            running.wakes_at = next;
            self.push_from(next.unwrap_or(self.now), Class::Workload, ProcId::CLIENT, Event::DrainWakes(drain));
        }
    }
}
