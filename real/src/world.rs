//! The real world of a core: a clock, timers, a journal, and channels to the node and to clients.
//!
//! One operating-system thread owns the core and this world and runs [`wavetank_core::drive`]. Everything else (the
//! node's Docker calls, the control socket) lives in tokio tasks and reaches the core through one bounded channel.
//!
//! Invariant: time never moves backwards, and no timer fires after something later. Invariant: an input is in the
//! journal before the core takes it. Invariant: messages between processes of the core are delivered in the order in
//! which they were sent, before anything from outside. Absent on purpose: any decision; what a container does and when
//! it is probed is the node's.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    sync::Arc,
};

use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use wavetank_core::{
    Core, Effect, Input, World,
    api::{Answer, Request},
    facts::Fact,
    id::{HostId, ProcId, ProcKind, RequestId, Revision},
    kubelet::RuntimeRequest,
    model::{Kind, Object},
    seam::{Msg, TimerKind},
    store::View,
    time::Time,
};
use wavetank_journal::{JournalError, Writer};

use crate::clock::Clock;

/// The one machine of this world.
pub const HOST: HostId = HostId(0);
/// Inputs from outside that may wait for the core; then whoever sends waits too.
pub const INPUTS_WAITING_MAX: usize = 1024;

/// What reaches the core's thread from the tasks.
#[derive(Debug)]
pub enum Outside {
    /// News for the core.
    Input(Input),
    /// A client's request; the answer goes back.
    Ask(Request, oneshot::Sender<Answer>),
    /// End the run.
    Stop,
}

/// All objects at one moment, by kind, namespace and name.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// The moment.
    pub now: Time,
    /// The objects.
    pub objects: Vec<Object>,
}

/// Tells people what happens, as it happens.
pub trait Account: Send {
    /// A fact, and the core as it is after the step that recorded it.
    fn tell(&mut self, now: Time, fact: &Fact, core: &Core);
}

/// The ends of the channels that lead out of the core's thread.
#[derive(Debug)]
pub struct Outlets {
    /// To the container runtime. Not bounded by itself: a kubelet has a few requests under way per container.
    pub runtime: mpsc::UnboundedSender<RuntimeRequest>,
    /// Shows the objects after each write.
    pub picture: watch::Sender<Arc<Picture>>,
}

/// A core's world on this machine.
pub struct DockerWorld {
    clock: Clock,
    runtime: Handle,
    journal: Writer,
    outside: mpsc::Receiver<Outside>,
    outlets: Outlets,
    account: Box<dyn Account>,
    agenda: Agenda,
    /// Clients that wait for an answer.
    asked: BTreeMap<RequestId, oneshot::Sender<Answer>>,
    requests: u64,
    facts: Vec<Fact>,
    shown: Revision,
    failure: Option<JournalError>,
}

impl DockerWorld {
    /// A world whose first inputs are `first`. `runtime` is where the tasks live; the thread waits in it for inputs.
    pub fn new(
        runtime: Handle,
        journal: Writer,
        outside: mpsc::Receiver<Outside>,
        outlets: Outlets,
        account: Box<dyn Account>,
        clock: Clock,
        first: Vec<Input>,
    ) -> DockerWorld {
        DockerWorld {
            clock,
            runtime,
            journal,
            outside,
            outlets,
            account,
            agenda: Agenda { inbox: first.into(), ..Agenda::default() },
            asked: BTreeMap::new(),
            requests: 0,
            facts: Vec::new(),
            shown: Revision::ZERO,
            failure: None,
        }
    }

    /// Ends the journal after the run, and says what made the run end early, if something did.
    pub fn finish(self, core: &Core) -> Result<(), JournalError> {
        match self.failure {
            Some(failure) => Err(failure),
            None => self.journal.end(core.fingerprint()),
        }
    }

    /// The next input and its time. `None` ends the run.
    fn wait(&mut self) -> Option<(Time, Input)> {
        loop {
            if let Some((now, ready)) = self.agenda.next(self.clock.now()) {
                return match ready {
                    Ready::Input(input) => Some((now, input)),
                    Ready::Outside(Outside::Input(input)) => Some((now, input)),
                    Ready::Outside(Outside::Ask(request, answer)) => Some((now, self.ask(request, answer))),
                    Ready::Outside(Outside::Stop) => None,
                };
            }
            let outside = match self.agenda.timers.next() {
                None => self.runtime.block_on(self.outside.recv()),
                Some(at) => {
                    let limit = self.clock.until(at);
                    match self.runtime.block_on(async { timeout(limit, self.outside.recv()).await }) {
                        Ok(outside) => outside,
                        Err(_) => continue,
                    }
                }
            };
            self.agenda.arrived = Some((self.clock.now(), outside?));
        }
    }

    fn ask(&mut self, request: Request, answer: oneshot::Sender<Answer>) -> Input {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.asked.insert(id, answer);
        Input::Message { from: ProcId::CLIENT, to: ProcId::API_SERVER, body: Msg::Request(id, Box::new(request)) }
    }

    fn send(&mut self, from: ProcId, to: ProcId, body: Msg) {
        match (to.kind(), body) {
            (ProcKind::Runtime, Msg::Runtime(request)) => {
                // Refused only while the run ends and the node has gone already.
                let _ = self.outlets.runtime.send(request);
            }
            (ProcKind::Client, Msg::Response(id, answer)) => {
                // A client that has hung up does not want its answer.
                let _ = self.asked.remove(&id).map(|asked| asked.send(answer));
            }
            (ProcKind::World, _) => {}
            (ProcKind::Runtime | ProcKind::Client, body) => {
                panic!("{from} sent {to} what it does not understand: {body:?}")
            }
            (_, body) => self.agenda.inbox.push_back(Input::Message { from, to, body }),
        }
    }
}

impl World for DockerWorld {
    fn next_input(&mut self) -> Option<(Time, Input)> {
        let (now, input) = self.wait()?;
        if let Err(error) = self.journal.step(now, &input) {
            self.failure = Some(error);
            return None;
        }
        Some((now, input))
    }

    fn perform(&mut self, _: Time, effect: Effect) {
        self.journal.effect(&effect);
        match effect {
            Effect::Arm(process, kind, at) => self.agenda.timers.arm(process, kind, at),
            Effect::Disarm(process, kind) => self.agenda.timers.disarm(process, kind),
            Effect::Send { from, to, body } => self.send(from, to, body),
            // The journal is the stable storage, and it holds the input that led to this write.
            Effect::Persist(revision) => self.agenda.inbox.push_back(Input::Persisted(revision)),
            Effect::Record(fact) => self.facts.push(fact),
        }
    }

    fn observe(&mut self, now: Time, core: &Core) {
        for fact in self.facts.drain(..) {
            self.account.tell(now, &fact, core);
        }
        if self.shown != core.revision() {
            self.shown = core.revision();
            self.outlets.picture.send_replace(Arc::new(picture(now, core.newest())));
        }
    }
}

/// All objects of the store. One machine holds a few hundred, shared by reference; showing them all after each write
/// costs microseconds.
fn picture(now: Time, view: View<'_>) -> Picture {
    let objects = Kind::ALL.iter().flat_map(|kind| view.objects(*kind)).map(|(_, object)| object).collect();
    Picture { now, objects }
}

/// What is to be done, and at which time of the core.
///
/// The core's time is that of a simulator: a message within the core arrives when it was sent, a timer fires when it
/// was due, and only what comes from outside takes the clock's time. The clock merely decides how far to go. A core
/// that is late therefore catches up in order, and never sees a timer of its own that should have fired before its
/// present.
#[derive(Debug, Default)]
struct Agenda {
    /// The time of the newest input.
    now: Time,
    /// Messages within the core and notices of the world to itself, oldest first: a link without delay.
    inbox: VecDeque<Input>,
    timers: Timers,
    /// What has come from outside, and when; timers that were due before it go first.
    arrived: Option<(Time, Outside)>,
}

/// What comes next.
#[derive(Debug)]
enum Ready {
    Input(Input),
    Outside(Outside),
}

impl Agenda {
    /// The next thing to do when the clock shows `clock`, with its time; `None` if it is yet to come.
    fn next(&mut self, clock: Time) -> Option<(Time, Ready)> {
        if let Some(input) = self.inbox.pop_front() {
            return Some((self.now, Ready::Input(input)));
        }
        let horizon = self.arrived.as_ref().map_or(clock, |(at, _)| *at);
        let (at, ready) = match self.timers.pop_due(horizon) {
            Some((at, process, kind)) => (at, Ready::Input(Input::Timer(process, kind))),
            None => self.arrived.take().map(|(at, outside)| (at, Ready::Outside(outside)))?,
        };
        self.now = self.now.max(at);
        Some((self.now, ready))
    }
}

/// The timers of all processes. A timer that is moved leaves its old entry in the heap, which is passed over when it
/// comes up; entries of one time come up in the order in which they were armed.
#[derive(Debug, Default)]
struct Timers {
    heap: BinaryHeap<Reverse<(Time, u64, ProcId, TimerKind)>>,
    armed: BTreeMap<(ProcId, TimerKind), u64>,
    count: u64,
}

impl Timers {
    fn arm(&mut self, process: ProcId, kind: TimerKind, at: Time) {
        self.count += 1;
        self.armed.insert((process, kind), self.count);
        self.heap.push(Reverse((at, self.count, process, kind)));
    }

    fn disarm(&mut self, process: ProcId, kind: TimerKind) {
        self.armed.remove(&(process, kind));
    }

    /// When the next timer comes due.
    fn next(&mut self) -> Option<Time> {
        while let Some(Reverse((at, number, process, kind))) = self.heap.peek() {
            if self.armed.get(&(*process, *kind)) == Some(number) {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    fn pop_due(&mut self, now: Time) -> Option<(Time, ProcId, TimerKind)> {
        self.next().filter(|at| *at <= now)?;
        let Reverse((at, _, process, kind)) = self.heap.pop()?;
        self.armed.remove(&(process, kind));
        Some((at, process, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_that_was_moved_comes_due_once_at_its_new_time() {
        let mut timers = Timers::default();
        timers.arm(ProcId::SCHEDULER, TimerKind::SchedulerFlush, Time::from_secs(1));
        timers.arm(ProcId::SCHEDULER, TimerKind::SchedulerFlush, Time::from_secs(3));
        assert_eq!(timers.pop_due(Time::from_secs(2)), None);
        assert_eq!(timers.next(), Some(Time::from_secs(3)));
        let due = Some((Time::from_secs(3), ProcId::SCHEDULER, TimerKind::SchedulerFlush));
        assert_eq!(timers.pop_due(Time::from_secs(4)), due);
        assert_eq!(timers.pop_due(Time::from_secs(9)), None);
    }

    #[test]
    fn a_core_that_is_late_catches_up_in_the_order_in_which_things_were_due() {
        let mut agenda = Agenda::default();
        agenda.timers.arm(ProcId::SCHEDULER, TimerKind::SchedulerFlush, Time::from_secs(2));
        agenda.timers.arm(ProcId::SCHEDULER, TimerKind::SchedulerBackoff, Time::from_secs(1));
        agenda.timers.arm(ProcId::SCHEDULER, TimerKind::SchedulerCycle, Time::from_secs(9));
        agenda.arrived = Some((Time::from_secs(3), Outside::Stop));
        let clock = Time::from_secs(20);
        let (at, first) = agenda.next(clock).expect("a timer is due");
        assert!(matches!(first, Ready::Input(Input::Timer(_, TimerKind::SchedulerBackoff))), "{first:?}");
        assert_eq!(at, Time::from_secs(1));
        // What that step sent arrives at the same moment, before the timer that was due later.
        agenda.inbox.push_back(Input::Started(ProcId::API_SERVER));
        let rest: Vec<_> = std::iter::from_fn(|| agenda.next(clock)).map(|(at, _)| at.0 / 1_000_000_000).collect();
        assert_eq!(rest, [1, 2, 3, 9]);
    }

    #[test]
    fn timers_of_one_moment_come_due_in_the_order_in_which_they_were_armed() {
        let mut timers = Timers::default();
        let processes = [ProcId::SCHEDULER, ProcId::CONTROLLER_MANAGER, ProcId::API_SERVER];
        for process in processes {
            timers.arm(process, TimerKind::WorkQueue(0), Time::from_secs(1));
        }
        timers.disarm(ProcId::CONTROLLER_MANAGER, TimerKind::WorkQueue(0));
        let due: Vec<_> =
            std::iter::from_fn(|| timers.pop_due(Time::from_secs(1))).map(|(_, process, _)| process).collect();
        assert_eq!(due, [ProcId::SCHEDULER, ProcId::API_SERVER]);
    }
}
