//! What can be pending in the simulated world, and where it waits.
//!
//! The queue holds keys and slots; what happens is in a slab of plain data, never a closure, so a world can be printed.

use wavetank_core::chunks::Chunks;
use wavetank_core::id::{HostId, ProcId, Revision};
use wavetank_core::seam::Msg;

use crate::fleet::FleetEvent;

/// What kind of event breaks a tie at one instant. The order is part of the model: changing it changes results.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Class {
    /// Starts, ends and faults of machines and processes.
    Fault = 0,
    /// Messages arrive, writes become durable.
    Network = 1,
    /// Timers come due.
    Timer = 2,
    /// Requests of the user and what containers do by themselves.
    Workload = 3,
    /// Results of probes.
    Probe = 4,
}

/// One pending event.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Event {
    /// A process of the control plane starts.
    Start(ProcId),
    /// A machine is switched on for the first time.
    HostStart(HostId),
    /// A fault of the plan begins.
    FaultBegins(u32),
    /// A fault of the plan ends.
    FaultEnds(u32),
    /// A step of the plan is due.
    Step(u32),
    /// A drain of the plan begins.
    DrainBegins(u32),
    /// A drain looks again.
    DrainWakes(u32),
    /// A message arrives.
    Message { from: ProcId, to: ProcId, body: Msg, connection: u32 },
    /// Writes are on stable storage.
    Persisted(Revision),
    /// The entry of a process's first timer comes up; the timer may have been moved since.
    Timer(ProcId),
    /// Something happens on a machine.
    Fleet { host: HostId, power_cycle: u32, what: FleetEvent },
    /// The world may vouch for a host again, if nothing has disturbed it since.
    VouchAgain { host: HostId, disturbance: u32 },
}

/// Events by slot; slots of events that have happened are used again.
#[derive(Debug, Default)]
pub(crate) struct Slab {
    events: Chunks<Option<Event>>,
    free: Vec<u32>,
}

impl Slab {
    #[inline]
    pub(crate) fn insert(&mut self, event: Event) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.events[slot as usize] = Some(event);
            return slot;
        }
        let slot = u32::try_from(self.events.len()).expect("fewer than 2^32 events are pending");
        self.events.push(Some(event));
        slot
    }

    #[inline]
    pub(crate) fn take(&mut self, slot: u32) -> Event {
        let event = self.events[slot as usize].take().expect("a queued slot holds an event");
        self.free.push(slot);
        event
    }
}
