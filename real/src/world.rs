//! The real world of a core: a clock, timers, a journal, and channels to the node and to clients.
//!
//! One operating-system thread owns the core and this world and runs [`wavetank_core::drive`]. Everything else (the
//! node's Docker calls, the control socket) lives in tokio tasks and reaches the core through one bounded channel.
//!
//! Invariant: time never moves backwards. Invariant: an input is in the journal before the core takes it. Invariant:
//! messages between processes of the core are delivered in the order in which they were sent, before anything from
//! outside. Absent on purpose: any decision; what a container does and when it is probed is the node's.

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
    model::{Deployment, EndpointSlice, Namespace, Node, Object, Pod, ReplicaSet, Resource, Service},
    seam::{Msg, TimerKind},
    store::View,
    time::Time,
};

use crate::{
    clock::Clock,
    journal::{JournalError, Writer},
};

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
    /// Messages within the core and notices of the world to itself, oldest first: a link without delay.
    inbox: VecDeque<Input>,
    timers: Timers,
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
            inbox: first.into(),
            timers: Timers::default(),
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

    /// The next input: what is due within the core, then what comes from outside. `None` ends the run.
    fn wait(&mut self) -> Option<Input> {
        loop {
            if let Some(input) = self.inbox.pop_front() {
                return Some(input);
            }
            if let Some((process, kind)) = self.timers.pop_due(self.clock.now()) {
                return Some(Input::Timer(process, kind));
            }
            let outside = match self.timers.next() {
                None => self.runtime.block_on(self.outside.recv()),
                Some(at) => {
                    let limit = self.clock.until(at);
                    match self.runtime.block_on(async { timeout(limit, self.outside.recv()).await }) {
                        Ok(outside) => outside,
                        Err(_) => continue,
                    }
                }
            };
            match outside {
                None | Some(Outside::Stop) => return None,
                Some(Outside::Input(input)) => return Some(input),
                Some(Outside::Ask(request, answer)) => return Some(self.ask(request, answer)),
            }
        }
    }

    fn ask(&mut self, request: Request, answer: oneshot::Sender<Answer>) -> Input {
        self.requests += 1;
        let id = RequestId(self.requests);
        self.asked.insert(id, answer);
        Input::Message { from: ProcId::CLIENT, to: ProcId::API_SERVER, body: Msg::Request(id, request) }
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
            (_, body) => self.inbox.push_back(Input::Message { from, to, body }),
        }
    }
}

impl World for DockerWorld {
    fn next_input(&mut self) -> Option<(Time, Input)> {
        let input = self.wait()?;
        let now = self.clock.now();
        if let Err(error) = self.journal.step(now, &input) {
            self.failure = Some(error);
            return None;
        }
        Some((now, input))
    }

    fn perform(&mut self, _: Time, effect: Effect) {
        self.journal.effect(&effect);
        match effect {
            Effect::Arm(process, kind, at) => self.timers.arm(process, kind, at),
            Effect::Disarm(process, kind) => self.timers.disarm(process, kind),
            Effect::Send { from, to, body } => self.send(from, to, body),
            // The journal is the stable storage, and it holds the input that led to this write.
            Effect::Persist(revision) => self.inbox.push_back(Input::Persisted(revision)),
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
    fn all<'a, T: Resource + 'a>(view: View<'a>, objects: &mut Vec<Object>) {
        objects.extend(view.all::<T>().map(|(_, object)| T::into_object(object.clone())));
    }
    let mut objects = Vec::new();
    all::<Namespace>(view, &mut objects);
    all::<Node>(view, &mut objects);
    all::<Pod>(view, &mut objects);
    all::<ReplicaSet>(view, &mut objects);
    all::<Deployment>(view, &mut objects);
    all::<Service>(view, &mut objects);
    all::<EndpointSlice>(view, &mut objects);
    Picture { now, objects }
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

    fn pop_due(&mut self, now: Time) -> Option<(ProcId, TimerKind)> {
        self.next().filter(|at| *at <= now)?;
        let Reverse((_, _, process, kind)) = self.heap.pop()?;
        self.armed.remove(&(process, kind));
        Some((process, kind))
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
        let due = Some((ProcId::SCHEDULER, TimerKind::SchedulerFlush));
        assert_eq!(timers.pop_due(Time::from_secs(3)), due);
        assert_eq!(timers.pop_due(Time::from_secs(9)), None);
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
            std::iter::from_fn(|| timers.pop_due(Time::from_secs(1))).map(|(process, _)| process).collect();
        assert_eq!(due, [ProcId::SCHEDULER, ProcId::API_SERVER]);
    }
}
