//! The small world in which a recording's steps are done again: a core, links with short delays, a disk, and stand-in
//! kubelets.
//!
//! Here are a play from its beginning to its end and the queue of what happens in it. `scene` is what is there before
//! the first step, `steps` does the steps, `drains` the `kubectl drain`s among them, `machines` looks after kubelets,
//! `effects` carries out what the core wants, `pace` says how quick everything is, and `owners` knows whose each field
//! is.
//!
//! Delays are drawn by the seed within a few milliseconds, as a cluster on one machine has them, or several times as
//! long, as a busy one has, so that another seed gives another order of what the recorded clusters left to chance.
//! Watches show things in their order; requests that a client makes at once may overtake each other, and answers the
//! watch. Scenarios that were recorded side by side shared the limits of the controllers' clients, so there are plays
//! with a part of these limits, and plays in which each client, component and kubelet has a pace of its own.

mod drains;
mod effects;
mod machines;
mod owners;
mod pace;
mod scene;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use wavetank_core::Core;
use wavetank_core::api::Request;
use wavetank_core::config::{AddressRange, Config};
use wavetank_core::events::EventLog;
use wavetank_core::id::{HostId, ProcId, RequestId, Revision};
use wavetank_core::model::ObjectKey;
use wavetank_core::seam::{Input, Msg, TimerKind};
use wavetank_core::time::{Span, Time};

use crate::conform::edge::Managers;
use crate::conform::kubectl::Applied;
use crate::conform::kubelets::{Due, Kubelets};
use crate::conform::line::Line;
use crate::conform::names::Twins;
use crate::conform::recording::Recording;
use drains::Running;
use pace::Pace;
use steps::Following;

/// How long after the first step's clock the run begins: controllers have started, nodes are there.
const LEAD: Span = Span::from_secs(40);

/// How long a play goes on after the recording's end, which cuts off what was under way.
const SLACK: Span = Span::from_secs(6);

/// How often the binder looks at all claims. Source: `resyncPeriod`, pkg/controller/volume/persistentvolume (v1.34.1).
pub const BINDER_PERIOD_SECS: u64 = 15;

/// How often the pod garbage collector looks at all pods. Source: `gcCheckPeriod`,
/// pkg/controller/podgc/gc_controller.go (v1.34.1).
pub const POD_GC_PERIOD_SECS: u64 = 20;

/// How often the scheduler is moved by a change of a claim or volume before its plugin knows of it, from play to play.
const LATE_VOLUME_NEWS: [u8; 4] = [0, 100, 50, 100];

/// The API server's own default of `--service-cluster-ip-range`, which recorded clusters have: 10.0.0.0/24.
pub(super) const SERVICE_ADDRESSES: AddressRange = AddressRange { first: 10 << 24, prefix: 24 };

/// What our cluster did.
pub struct Played {
    /// Every change, as recordings show it; some come after the recording's end.
    pub lines: Vec<Line>,
    /// The code and message that each request of the steps was answered with, by the step's place.
    pub codes: BTreeMap<usize, (u16, String)>,
    /// The exit code of each command line of the steps, and what it said, by the step's place.
    pub commands: BTreeMap<usize, (i32, String)>,
    /// What each command line of the steps is told of levels of PodSecurity, by the step's place.
    pub warnings: BTreeMap<usize, BTreeSet<String>>,
    /// What no part of ours can do.
    pub not_covered: Vec<String>,
}

enum Happening {
    Input(Input),
    Step(usize),
    Duty(Due),
    Beat(HostId, u64),
    /// A drain has waited long enough.
    Drain(usize),
}

struct Bench<'a> {
    core: Core,
    recording: &'a Recording,
    kubelets: Kubelets,
    now: Time,
    /// The time of ours that is zero on the recording's clock, in milliseconds.
    zero_ms: i64,
    queue: BTreeMap<(Time, u64), Happening>,
    pushed: u64,
    timers: BTreeMap<(ProcId, TimerKind), (Time, u64)>,
    links: BTreeMap<(ProcId, ProcId), (Time, u64)>,
    beats: BTreeMap<HostId, u64>,
    seed: u64,
    pace: Pace,
    shown: Revision,
    log: EventLog,
    /// Places in the log of events that could not be written down.
    lost: BTreeSet<usize>,
    twins: Twins,
    drains: Vec<Running>,
    /// Requests of command lines that wait for answers to those before them, by the step's place.
    to_follow: BTreeMap<usize, Following>,
    /// The last command line that writes an object, by its place among the steps.
    writers: BTreeMap<ObjectKey, usize>,
    /// Whose each field is, in a recording in which somebody applies.
    managers: Option<Managers>,
    /// Configurations that were applied and are not answered yet, by the step's place.
    applying: BTreeMap<(usize, ObjectKey), Applied>,
    /// Names and addresses of ours that stand for drawn ones of a step, each with the recorded one, by the step's
    /// place.
    renamed: BTreeMap<usize, Vec<(String, String)>>,
    played: Played,
}

/// Does a recording's steps again, with controllers that have been there for so much longer.
pub fn play(recording: &Recording, seed: u64, earlier: Span) -> Played {
    let mut config = Config { seed, ..Config::default() };
    config.api_server.service_addresses = SERVICE_ADDRESSES;
    let pace = Pace::of(seed, recording.client_limit);
    config.controller_manager.client_limit = pace.client_limit;
    // The recorded releases have no asynchronous calls.
    config.scheduler.async_api_calls = false;
    config.scheduler.late_volume_news_percent = LATE_VOLUME_NEWS[(seed / 4 % 4) as usize];
    let first = recording.steps.iter().map(|step| step.at_ms).min().unwrap_or(0);
    // Our whole seconds are those of the recorded wall clock: the API stores times in whole seconds, and schedules go
    // by the minute.
    let fraction_ms = recording.zero_unix_ms.rem_euclid(1_000);
    let lead_secs = (LEAD + earlier).as_secs() as i64 + (-first).max(0) / 1_000 + 1;
    let zero_ms = lead_secs * 1_000 + fraction_ms;
    if recording.zero_unix_ms > 0 {
        config.epoch = recording.zero_unix_ms / 1_000 - lead_secs;
    }
    let mut bench = Bench {
        core: Core::new(config),
        recording,
        kubelets: Kubelets::default(),
        now: Time::ZERO,
        zero_ms,
        queue: BTreeMap::new(),
        pushed: 0,
        timers: BTreeMap::new(),
        links: BTreeMap::new(),
        beats: BTreeMap::new(),
        seed,
        pace,
        shown: Revision::ZERO,
        log: EventLog::default(),
        lost: BTreeSet::new(),
        twins: Twins::default(),
        drains: Vec::new(),
        to_follow: BTreeMap::new(),
        writers: BTreeMap::new(),
        managers: owners::begin(recording),
        applying: BTreeMap::new(),
        renamed: BTreeMap::new(),
        played: Played {
            lines: Vec::new(),
            codes: BTreeMap::new(),
            commands: BTreeMap::new(),
            warnings: BTreeMap::new(),
            not_covered: Vec::new(),
        },
    };
    bench.prepare();
    let last_line = recording.lines.iter().map(|line| line.at_ms).max().unwrap_or(0);
    let last_step = recording.steps.iter().map(|step| step.at_ms).max().unwrap_or(0);
    bench.run_until(bench.time_of(last_line.max(last_step)) + SLACK);
    bench.played
}

impl Bench<'_> {
    fn time_of(&self, at_ms: i64) -> Time {
        Time::from_millis(u64::try_from(at_ms + self.zero_ms).unwrap_or(0))
    }

    fn at_ms(&self) -> i64 {
        (self.now.0 / 1_000_000) as i64 - self.zero_ms
    }

    fn push(&mut self, at: Time, what: Happening) -> (Time, u64) {
        self.pushed += 1;
        self.queue.insert((at, self.pushed), what);
        (at, self.pushed)
    }

    /// A request of a client or kubelet that reaches the API server now.
    fn ask(&mut self, from: ProcId, request: Request) {
        self.ask_as(from, RequestId(u64::MAX), request);
    }

    fn ask_as(&mut self, from: ProcId, id: RequestId, request: Request) {
        let input = Input::Message { from, to: ProcId::API_SERVER, body: Msg::Request(id, Box::new(request)) };
        self.push(self.now, Happening::Input(input));
    }

    fn run_until(&mut self, end: Time) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > end {
                break;
            }
            self.now = entry.key().0;
            let what = entry.remove();
            match what {
                Happening::Input(input) => self.step_core(input),
                Happening::Step(place) => self.do_step(place),
                Happening::Duty(due) => {
                    let (request, plans) = self.kubelets.act(&self.core, self.now, due);
                    self.plan(plans);
                    if let Some((host, request)) = request {
                        self.ask(ProcId::kubelet(host), request);
                    }
                }
                Happening::Beat(host, life) => self.beat(host, life),
                Happening::Drain(number) => self.wake_drain(number),
            }
        }
    }
}
