//! The simulated world: a virtual clock, and everything around the core under it.
//!
//! A plan becomes events in a queue; the event with the lowest key becomes an input of the core, and the core's effects
//! become events again. Invariant: virtual time never goes back. Invariant: everything drawn is drawn by what it is
//! for, so taking a fault out of a plan leaves the rest of its world as it was. Where to start reading: [`SimWorld`]'s
//! `next_input` (events to inputs) and `perform` (effects to events); then [`Simulation`], which joins it with a core.
//!
//! What is establishing itself at time zero, before the first request of the user, takes no time: a run begins with a
//! cluster that is there. Absent on purpose: control-plane failures (the plan has no such fault).
//!
//! Parts: `simulation` is the loop, `event` what can be pending, `timers`, `hosts` (who is up), `leases` (renewals) and
//! `drains` are parts of [`SimWorld`].

mod drains;
mod event;
mod hosts;
mod leases;
mod simulation;
#[cfg(test)]
mod tests;
mod timers;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use wavetank_core::api::Request;
use wavetank_core::config::Heartbeats;
use wavetank_core::facts::Fact;
use wavetank_core::growth::give_back;
use wavetank_core::id::{HostId, Name, ProcId, ProcKind, RequestId, Revision};
use wavetank_core::kubelet::RuntimeRequest;
use wavetank_core::seam::{Effect, Input, Msg, TimerKind};
use wavetank_core::time::Time;
use wavetank_core::world::World;

use crate::fleet::{Fleet, FleetEvent, Outcome as FleetOutcome};
use crate::net::{Arrival, Network, RenewalId};
use crate::plan::Plan;
use crate::queue::{EventKey, EventQueue, Source, TieOrder, WheelQueue};
use crate::record::{DrainNote, StepRefusal};
use drains::Drains;
pub use event::Class;
use event::{Event, Slab};
use hosts::Host;
pub use simulation::{Flow, Observer, Options, Simulation, Unobserved, run};
use timers::Timers;

/// Tie counts from here up belong to lease renewals: sending one or not leaves every other count as it is.
const LEASE_COUNTS: u32 = 0x8000_0000;
/// The tie count of a kubelet's renewal timer, for the same reason.
const LEASE_TIMER_COUNT: u32 = u32::MAX;

/// Everything outside the core, simulated.
pub struct SimWorld<Q: EventQueue = WheelQueue> {
    plan: Arc<Plan>,
    queue: Q,
    ties: TieOrder,
    events: Slab,
    timers: Timers,
    network: Network,
    fleet: Fleet,
    /// What the fleet says to one request or event; kept for its memory.
    outcomes: Vec<FleetOutcome>,
    hosts: Vec<Host>,
    /// Which host has which node.
    by_node: BTreeMap<Name, HostId>,
    /// How many events each source has scheduled, by process kind and index.
    counts: [Vec<u32>; 8],
    /// Inputs of this instant that are handed over before anything else.
    ready: VecDeque<Input>,
    now: Time,
    end: Time,
    /// Whether the cluster is still establishing itself at time zero.
    establishing: bool,
    disk: Disk,
    /// Facts that have not been taken yet, in order.
    facts: Vec<(Time, Fact)>,
    refusals: Vec<StepRefusal>,
    drains: Drains,
}

/// Stable storage: one write at a time, which takes everything that has been asked for by its beginning.
#[derive(Debug, Default)]
struct Disk {
    writing: bool,
    asked: Revision,
    writes: u64,
}

impl<Q: EventQueue + Default> SimWorld<Q> {
    /// The world of a plan at time zero.
    ///
    /// Panics if a fault names a host that the plan does not have, or a network cut has the control plane on both
    /// sides.
    pub fn new(plan: Arc<Plan>, ties: TieOrder) -> SimWorld<Q> {
        let hosts = u32::try_from(plan.hosts.len()).expect("fewer than 2^32 hosts");
        assert!(hosts <= ProcId::INDEX_LIMIT, "{hosts} hosts: at most {} can be", ProcId::INDEX_LIMIT);
        let mut world = SimWorld {
            queue: Q::default(),
            ties,
            events: Slab::default(),
            timers: Timers::default(),
            network: Network::new(plan.config.seed, plan.network.clone(), hosts),
            fleet: Fleet::new(&plan),
            outcomes: Vec::new(),
            hosts: vec![Host::default(); plan.hosts.len()],
            by_node: (0..hosts).zip(&plan.hosts).map(|(index, it)| (it.boot.node.clone(), HostId(index))).collect(),
            counts: Default::default(),
            ready: VecDeque::new(),
            now: Time::ZERO,
            end: Time::ZERO.saturating_add(plan.duration),
            establishing: true,
            disk: Disk::default(),
            facts: Vec::new(),
            refusals: Vec::new(),
            drains: Drains::new(&plan.drains),
            plan,
        };
        world.schedule_plan();
        world
    }

    /// The control plane starts first, then the machines; faults and steps are in the queue from the beginning.
    fn schedule_plan(&mut self) {
        for process in [ProcId::API_SERVER, ProcId::SCHEDULER, ProcId::CONTROLLER_MANAGER] {
            self.push_from(Time::ZERO, Class::Fault, ProcId::WORLD, Event::Start(process));
        }
        let plan = Arc::clone(&self.plan);
        for (index, host) in (0u32..).zip(&plan.hosts) {
            self.push_from(host.starts_at, Class::Fault, ProcId::WORLD, Event::HostStart(HostId(index)));
        }
        for (index, fault) in (0u32..).zip(&plan.faults) {
            hosts::check(&fault.kind, plan.hosts.len(), &fault.place);
            if let Some(to) = fault.to {
                assert!(fault.from <= to, "{}: a fault ends at {to} before it begins at {}", fault.place, fault.from);
            }
            self.push_from(fault.from, Class::Fault, ProcId::WORLD, Event::FaultBegins(index));
            if let Some(to) = fault.to {
                self.push_from(to, Class::Fault, ProcId::WORLD, Event::FaultEnds(index));
            }
        }
        for (index, drain) in (0u32..).zip(&plan.drains) {
            self.push_from(drain.at, Class::Workload, ProcId::CLIENT, Event::DrainBegins(index));
        }
        for (index, step) in (0u32..).zip(&plan.steps) {
            self.push_from(step.at, Class::Workload, ProcId::CLIENT, Event::Step(index));
        }
    }
}

impl<Q: EventQueue> SimWorld<Q> {
    /// The time of the last input.
    pub fn now(&self) -> Time {
        self.now
    }

    /// When the run ends at the latest.
    pub fn end(&self) -> Time {
        self.end
    }

    /// When something may happen next; entries of timers that have been moved or disarmed count too.
    pub fn next_time(&mut self) -> Option<Time> {
        if !self.ready.is_empty() {
            return Some(self.now);
        }
        self.queue.peek_time().map(Time).filter(|time| *time <= self.end)
    }

    /// How many events are pending.
    pub fn pending(&self) -> usize {
        self.queue.len()
    }

    /// How many containers run on all machines.
    pub fn running_containers(&self) -> u64 {
        self.fleet.running_containers()
    }

    /// The facts that have not been taken yet.
    pub fn facts(&self) -> &[(Time, Fact)] {
        &self.facts
    }

    /// Takes the facts that have come since the last call.
    pub fn take_facts(&mut self) -> impl Iterator<Item = (Time, Fact)> {
        self.facts.drain(..)
    }

    /// Gives back what a burst of facts has left, once they are taken.
    pub(crate) fn trim_facts(&mut self) {
        give_back(&mut self.facts);
    }

    /// Steps of the plan that were refused.
    pub fn refusals(&self) -> &[StepRefusal] {
        &self.refusals
    }

    /// What drains of the plan have said so far.
    pub fn drain_notes(&self) -> &[DrainNote] {
        self.drains.notes()
    }

    /// The next tie count of a source.
    fn count(&mut self, source: ProcId) -> u32 {
        let table = &mut self.counts[source.kind() as usize];
        let index = source.index() as usize;
        if table.len() <= index {
            table.resize(index + 1, 0);
        }
        let count = table[index];
        assert!(count < LEASE_COUNTS, "{source} has scheduled {count} events: the run is too long");
        table[index] = count + 1;
        count
    }

    fn push_from(&mut self, at: Time, class: Class, source: ProcId, event: Event) {
        let count = self.count(source);
        self.push_counted(at, class, source.bits(), count, event);
    }

    /// Simultaneous events of one source keep their order however ties are broken; timers alone are shuffled.
    fn push_counted(&mut self, at: Time, class: Class, source: u32, count: u32, event: Event) {
        let key = self.ties.key_in_order(at.0, class as u8, Source::new(source), count);
        let slot = self.events.insert(event);
        self.queue.push(key, slot);
    }

    /// A message takes its way, unless there is none.
    fn send(&mut self, from: ProcId, to: ProcId, body: Msg) {
        match (to.kind(), body) {
            (ProcKind::Client, body) => self.answer_step(body),
            (ProcKind::Runtime, Msg::Runtime(request)) => {
                let host = to.host().expect("a runtime has a host");
                if request == RuntimeRequest::PowerOff {
                    return self.power_off(host);
                }
                self.fleet.ask(self.now, host, request, &mut self.outcomes);
                self.set_off(host);
            }
            (_, Msg::Renew { node, renewal }) => self.send_renewal(from, node, renewal),
            (_, Msg::LeaseRenewed { node, renewal }) => self.send_renewal_news(node, renewal),
            (_, body) => self.send_ordinary(from, to, body),
        }
    }

    fn send_ordinary(&mut self, from: ProcId, to: ProcId, body: Msg) {
        let machine = from.host().or(to.host());
        let mut connection = 0;
        if let (Some(host), true) = (machine, from != ProcId::WORLD) {
            let row = &self.hosts[host.0 as usize];
            if row.cuts > 0 || (from.host().is_none() && !row.hears(&body)) {
                return;
            }
            connection = row.incarnation;
        }
        let profile = machine.and_then(|host| self.hosts[host.0 as usize].profile(&self.plan));
        let arrival = self.network.send(self.now, from, to, &body, profile, self.establishing);
        self.push_message(arrival, from, Event::Message { from, to, body, connection });
    }

    /// Simultaneous messages come by sender and the sender's own count. When ties are mixed they are keyed by link
    /// instead, so that the links are shuffled and no message overtakes another of its link.
    fn push_message(&mut self, arrival: Arrival, from: ProcId, event: Event) {
        match self.ties {
            TieOrder::Canonical => self.push_from(arrival.at, Class::Network, from, event),
            TieOrder::Mixed(_) => {
                let count = u32::try_from(arrival.count).expect("fewer than 2^32 messages on one link");
                self.push_counted(arrival.at, Class::Network, arrival.link, count, event);
            }
        }
    }

    fn answer_step(&mut self, body: Msg) {
        let Msg::Response(id, answer) = body else { panic!("the client was sent {body:?}") };
        if let Some((drain, number)) = drains::question_of(id) {
            return self.answer_drain(drain, number, answer);
        }
        let RequestId(step) = id;
        if let Err(refusal) = answer {
            self.refusals.push(StepRefusal { at: self.now, step: step as u32, refusal });
        }
    }

    /// The outcomes of a machine go their ways.
    fn set_off(&mut self, host: HostId) {
        let runtime = ProcId::runtime(host);
        let mut outcomes = std::mem::take(&mut self.outcomes);
        for outcome in outcomes.drain(..) {
            match outcome {
                FleetOutcome::Tell(event) => {
                    let connection = self.hosts[host.0 as usize].incarnation;
                    let (to, body) = (ProcId::kubelet(host), Msg::RuntimeEvent(event));
                    let message = Event::Message { from: runtime, to, body, connection };
                    self.push_from(self.now, Class::Workload, runtime, message);
                }
                FleetOutcome::Later(at, what) => {
                    let class = if matches!(what, FleetEvent::Probed { .. }) { Class::Probe } else { Class::Workload };
                    let power_cycle = self.fleet.power_cycle(host);
                    self.push_from(at, class, runtime, Event::Fleet { host, power_cycle, what });
                }
            }
        }
        self.outcomes = outcomes;
    }

    /// What happens under a key; an input for the core, if it is one.
    fn happen(&mut self, key: EventKey, event: Event) -> Option<Input> {
        match event {
            Event::Start(process) => return Some(Input::Started(process)),
            Event::HostStart(host) => self.host_starts(host),
            Event::FaultBegins(fault) => self.fault_begins(fault),
            Event::FaultEnds(fault) => self.fault_ends(fault),
            Event::Step(step) => {
                self.establishing = false;
                let request = self.plan.steps[step as usize].request.clone();
                let body = Msg::Request(RequestId(u64::from(step)), Box::new(request));
                self.send_ordinary(ProcId::CLIENT, ProcId::API_SERVER, body);
            }
            Event::DrainBegins(drain) => self.drain_begins(drain),
            Event::DrainWakes(drain) => self.drain_wakes(drain),
            Event::Message { from, to, body, connection } => return self.arrive(from, to, body, connection),
            Event::Persisted(revision) => {
                self.disk.writing = false;
                if self.disk.asked > revision {
                    self.write();
                }
                return Some(Input::Persisted(revision));
            }
            Event::Timer(process) => {
                let (fires, next) = self.timers.come_up(process, key);
                if let Some(next) = next {
                    self.push_timer(next, process);
                }
                return fires.map(|kind| Input::Timer(process, kind));
            }
            Event::Fleet { host, power_cycle, what } => {
                if power_cycle == self.fleet.power_cycle(host) {
                    self.fleet.happen(self.now, host, what, &mut self.outcomes);
                    self.set_off(host);
                }
            }
            Event::VouchAgain { host, disturbance } => self.vouch_again(host, disturbance),
        }
        None
    }

    /// A message that comes to a process which is down, or was restarted since, is lost with its connection.
    fn arrive(&mut self, from: ProcId, to: ProcId, body: Msg, connection: u32) -> Option<Input> {
        if let Some(host) = to.host() {
            let row = &self.hosts[host.0 as usize];
            if from != ProcId::WORLD && (!row.kubelet_up || row.incarnation != connection) {
                return None;
            }
        }
        if let Some(host) = from.host().filter(|_| to == ProcId::API_SERVER) {
            let watches = matches!(&body, Msg::Request(_, request) if matches!(**request, Request::WatchPods { .. }));
            self.hosts[host.0 as usize].connect(connection, watches);
        }
        Some(Input::Message { from, to, body })
    }

    fn write(&mut self) {
        assert!(!self.disk.writing, "the disk writes one thing at a time");
        let delay = self.network.persist_delay(self.disk.writes);
        self.disk.writing = true;
        self.disk.writes += 1;
        let at = if self.establishing { self.now } else { self.now.saturating_add(delay) };
        self.push_from(at, Class::Network, ProcId::WORLD, Event::Persisted(self.disk.asked));
    }

    fn push_timer(&mut self, key: EventKey, process: ProcId) {
        let slot = self.events.insert(Event::Timer(process));
        self.queue.push(key, slot);
    }

    fn tell(&mut self, to: ProcId, body: Msg) {
        self.ready.push_back(Input::Message { from: ProcId::WORLD, to, body });
    }

    fn is_analytic(&self) -> bool {
        self.plan.config.heartbeats == Heartbeats::Analytic
    }

    fn renewal_id(&self, host: HostId, renewal: u64) -> RenewalId {
        RenewalId { host, start: self.hosts[host.0 as usize].start_number(), renewal }
    }
}

impl<Q: EventQueue> World for SimWorld<Q> {
    fn next_input(&mut self) -> Option<(Time, Input)> {
        loop {
            if let Some(input) = self.ready.pop_front() {
                return Some((self.now, input));
            }
            self.next_time()?;
            let (key, slot) = self.queue.pop()?;
            self.now = Time(key.time());
            self.establishing &= self.now == Time::ZERO;
            let event = self.events.take(slot);
            if let Some(input) = self.happen(key, event) {
                return Some((self.now, input));
            }
        }
    }

    fn perform(&mut self, now: Time, effect: Effect) {
        assert!(now == self.now, "an effect of {now} is performed at {}", self.now);
        match effect {
            Effect::Arm(process, kind, at) => {
                let at = at.max(now);
                let count = if kind == TimerKind::LeaseRenewal { LEASE_TIMER_COUNT } else { self.count(process) };
                let key = self.ties.key(at.0, Class::Timer as u8, Source::new(process.bits()), count);
                if self.timers.arm(process, kind, key) {
                    self.push_timer(key, process);
                }
            }
            Effect::Disarm(process, kind) => self.timers.disarm(process, kind),
            Effect::Send { from, to, body } => self.send(from, to, body),
            Effect::Persist(revision) => {
                self.disk.asked = self.disk.asked.max(revision);
                if !self.disk.writing {
                    self.write();
                }
            }
            Effect::Record(fact) => self.facts.push((now, fact)),
        }
    }
}
