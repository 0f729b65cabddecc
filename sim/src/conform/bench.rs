//! The small world in which a recording's steps are done again: a core, links with short delays, a disk, and stand-in
//! kubelets.
//!
//! Delays are drawn by the seed within a few milliseconds, as a cluster on one machine has them, or several times as long,
//! as a busy one has, so that another seed gives another order of what the recorded clusters left to chance. Messages of one link do not overtake each other,
//! but for requests that a client makes at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wavetank_core::api::{Answer, Reply, Request};
use wavetank_core::config::{AddressRange, Config, RateLimit};
use wavetank_core::draw::{Purpose, below, draw};
use wavetank_core::events::{EventLog, Written};
use wavetank_core::facts::{Fact, What};
use wavetank_core::id::{HostId, Name, ProcId, ProcKind, RequestId, Revision};
use wavetank_core::model::{ConfigMap, Labels, Meta, Namespace, Object, ObjectKey, Resource, Service};
use wavetank_core::seam::{Effect, Input, Msg, TimerKind};
use wavetank_core::time::{Span, Time};
use wavetank_core::{Core, digest::StableHasher};

use crate::conform::edge::{self, EPOCH, Outcome, Path};
use crate::conform::kubectl::{self, Command, Scene};
use crate::conform::kubelets::{Due, Kubelets};
use crate::conform::line::Line;
use crate::conform::names::{Twins, living_addresses};
use crate::conform::recording::{Deed, Recording};
use crate::conform::{shown, unrecorded};
use crate::drain::{Act, Drain};

/// A message's delay: at least this …
const DELAY_MIN: Span = Span::from_micros(1_500);
/// … and up to so much more.
const DELAY_MORE: Span = Span::from_micros(3_000);
/// How long stable storage takes.
const DISK: Span = Span::from_micros(2_000);
/// How many times as long delays are, by the seed: recorded clusters were more and less busy, with others' scenarios too.
const PACES: [u64; 4] = [1, 1, 4, 12];
/// How often a kubelet renews its lease.
const RENEWAL: Span = Span::from_secs(10);
/// How long after the first step's clock the run begins: controllers have started, nodes are there.
const LEAD: Span = Span::from_secs(40);
/// How long a kubelet takes for whatever it does, beside the delay that it keeps.
const KUBELET: Span = Span::from_millis(15);
/// How long a play goes on after the recording's end, which cuts off what was under way.
const SLACK: Span = Span::from_secs(3);
/// The nodes that recordings of a shared cluster have beside their own.
const POOL: u32 = 8;

/// What our cluster did.
pub struct Played {
    /// Every change, as recordings show it; some come after the recording's end.
    pub lines: Vec<Line>,
    /// The code and message that each request of the steps was answered with, by the step's place.
    pub codes: BTreeMap<usize, (u16, String)>,
    /// The exit code of each command line of the steps, and what it said, by the step's place.
    pub commands: BTreeMap<usize, (i32, String)>,
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

/// A `kubectl drain` of the steps.
struct Running {
    place: usize,
    drain: Drain,
    wakes_at: Option<Time>,
    said: Vec<String>,
}

/// Requests of drains are numbered by drain and question; steps have numbers below 2^32.
const DRAIN_SHIFT: u32 = 32;
/// The API server's own default of `--service-cluster-ip-range`, which recorded clusters have: 10.0.0.0/24.
pub(super) const SERVICE_ADDRESSES: AddressRange = AddressRange { first: 10 << 24, prefix: 24 };

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
    /// How many times as long delays are.
    pace: u64,
    shown: Revision,
    log: EventLog,
    /// Places in the log of events that could not be written down.
    lost: BTreeSet<usize>,
    twins: Twins,
    drains: Vec<Running>,
    /// Names and addresses of ours that stand for drawn ones of a step, each with the recorded one, by the step's place.
    renamed: BTreeMap<usize, Vec<(String, String)>>,
    played: Played,
}

/// How often the binder looks at all claims. Source: `resyncPeriod`, pkg/controller/volume/persistentvolume (v1.34.1).
pub const BINDER_PERIOD_SECS: u64 = 15;

/// A ConfigMap that a controller of the recorded clusters gave every namespace; Kubernetes itself does not know it.
const FOREIGN: &str = "openshift-service-ca.crt";

/// Does a recording's steps again, with controllers that have been there for so much longer.
pub fn play(recording: &Recording, seed: u64, earlier: Span) -> Played {
    let mut config = Config { seed, ..Config::default() };
    config.api_server.service_addresses = SERVICE_ADDRESSES;
    if let Some((per_second, burst)) = recording.client_limit {
        config.controller_manager.client_limit = Some(RateLimit { per_second, burst });
    }
    let first = recording.steps.iter().map(|step| step.at_ms).min().unwrap_or(0);
    // Our whole seconds are those of the recorded wall clock: the API stores times in whole seconds, and schedules go by
    // the minute.
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
        pace: PACES[(seed % PACES.len() as u64) as usize],
        shown: Revision::ZERO,
        log: EventLog::default(),
        lost: BTreeSet::new(),
        twins: Twins::default(),
        drains: Vec::new(),
        renamed: BTreeMap::new(),
        played: Played {
            lines: Vec::new(),
            codes: BTreeMap::new(),
            commands: BTreeMap::new(),
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

    fn prepare(&mut self) {
        for process in [ProcId::API_SERVER, ProcId::SCHEDULER, ProcId::CONTROLLER_MANAGER] {
            self.push(Time::ZERO, Happening::Input(Input::Started(process)));
        }
        let names = ["default", self.recording.namespace.as_str()];
        for name in names.iter().filter(|name| !name.is_empty()) {
            let labels = Labels::new([("kubernetes.io/metadata.name", *name)]);
            let meta = Meta { labels, ..Meta::named("", name) };
            let namespace = Namespace { meta, ..Namespace::default() };
            self.ask(ProcId::CLIENT, Request::Create(Namespace::into_object(namespace.into())));
        }
        for request in edge::own_service(&self.core, SERVICE_ADDRESSES) {
            self.ask(ProcId::CLIENT, request);
        }
        let foreign = format!("{}/{FOREIGN}", self.recording.namespace);
        if self.recording.lines.iter().any(|line| line.kind == "ConfigMap" && line.name == foreign) {
            let map = ConfigMap { meta: Meta::named(&self.recording.namespace, FOREIGN), ..ConfigMap::default() };
            self.ask(ProcId::CLIENT, Request::Create(ConfigMap::into_object(map.into())));
        }
        let zones = zones_of(&self.recording.lines);
        if mentions_pool(self.recording) {
            for number in 1..=POOL {
                let name = format!("pool-{number}");
                let mut machine = serde_json::json!({"name": name, "labels": {"sim/set": "pool"}});
                if let Some(zone) = zones.get(&name) {
                    machine["zone"] = zone.clone().into();
                }
                self.add_machine(&machine);
            }
        }
        for manifest in unrecorded::volumes(&self.recording.steps, &self.recording.lines) {
            let path = Path { plural: "persistentvolumes".to_owned(), ..Path::default() };
            match edge::translate(&self.core, "POST", &path, "", &manifest) {
                Outcome::Ask(requests) => requests.into_iter().for_each(|request| self.ask(ProcId::CLIENT, request)),
                Outcome::Answered(status) => self.played.not_covered.push(status.message),
                Outcome::NotCovered(what) => self.played.not_covered.push(what),
            }
        }
        for (place, step) in self.recording.steps.iter().enumerate() {
            let begins_ms = match &step.what {
                Deed::Kubectl(line, _) if kubectl::takes_time(line) => step.from_ms,
                _ => step.at_ms,
            };
            let at = self.time_of(begins_ms);
            self.push(at, Happening::Step(place));
        }
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

    fn add_machine(&mut self, machine: &serde_json::Value) {
        match edge::node_of(machine) {
            Ok(node) => {
                let name = node.meta.name.clone();
                let host = self.kubelets.add(&name);
                self.ask(ProcId::kubelet(host), Request::Create(Object::Node(node.into())));
                self.wake(host, name);
            }
            Err(error) => self.played.not_covered.push(error),
        }
    }

    /// A kubelet connects and renews its lease from now on.
    fn wake(&mut self, host: HostId, node: Name) {
        self.ask(ProcId::kubelet(host), Request::WatchPods { node });
        let life = self.beats.entry(host).or_insert(0);
        *life += 1;
        let life = *life;
        self.push(self.now, Happening::Beat(host, life));
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

    fn plan(&mut self, plans: Vec<(Span, Due)>) {
        for (delay, due) in plans {
            // Kubelets of a busy cluster are late, each on its own.
            let late =
                below(draw(self.seed, Purpose::LinkDelay, due.entity(), self.pushed), KUBELET.0 * (self.pace - 1) + 1);
            self.push(self.now + delay + KUBELET + Span(late), Happening::Duty(due));
        }
    }

    fn beat(&mut self, host: HostId, life: u64) {
        if self.beats.get(&host) != Some(&life) || !self.kubelets.is_alive(host) {
            return;
        }
        let node = self.kubelets.node(host).clone();
        let body = Msg::Renew { node, renewal: self.now.0 / RENEWAL.0 };
        self.push(
            self.now,
            Happening::Input(Input::Message { from: ProcId::kubelet(host), to: ProcId::API_SERVER, body }),
        );
        self.push(self.now + RENEWAL, Happening::Beat(host, life));
    }

    fn step_core(&mut self, input: Input) {
        if let Input::Timer(process, kind) = &input {
            self.timers.remove(&(*process, *kind));
        }
        let mut effects = Vec::new();
        self.core.step(self.now, input, &mut effects);
        self.show();
        for effect in effects {
            self.perform(effect);
        }
    }

    /// Writes down what the step has changed.
    fn show(&mut self) {
        let at_ms = self.at_ms();
        for (revision, before, after) in self.core.written_since(self.shown) {
            self.twins.note(before.as_ref(), after.as_ref());
            // Recordings show their own namespace; the API server's Service is in another.
            if before.as_ref().or(after.as_ref()).is_some_and(edge::is_own_service) {
                continue;
            }
            self.played.lines.extend(shown::line(at_ms, before.as_ref(), after.as_ref(), revision, EPOCH));
        }
        self.shown = self.core.revision();
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Arm(process, kind, at) => {
                self.perform(Effect::Disarm(process, kind));
                let key = self.push(at, Happening::Input(Input::Timer(process, kind)));
                self.timers.insert((process, kind), key);
            }
            Effect::Disarm(process, kind) => {
                if let Some(key) = self.timers.remove(&(process, kind)) {
                    self.queue.remove(&key);
                }
            }
            Effect::Persist(revision) => {
                self.push(self.now + Span(DISK.0 * self.pace), Happening::Input(Input::Persisted(revision)));
            }
            Effect::Record(Fact { subject, what: What::Event(event), .. }) => {
                let at_ms = self.at_ms();
                // An event is an object of its namespace: a new one cannot be made where nothing can.
                let place = Name::default();
                let namespace = self.core.newest().find::<Namespace>(&place, &subject.namespace);
                let ends = namespace.is_some_and(|(_, namespace)| namespace.meta.is_terminating());
                match self.log.take(self.now, &subject, &event) {
                    Written::New(place) if ends => drop(self.lost.insert(place)),
                    Written::Again(place) if self.lost.contains(&place) => {}
                    Written::New(place) => {
                        self.played.lines.push(shown::event(at_ms, true, &self.log.all()[place]));
                    }
                    Written::Again(place) => {
                        self.played.lines.push(shown::event(at_ms, false, &self.log.all()[place]));
                    }
                    Written::Counted(_) | Written::Spam => {}
                }
            }
            Effect::Record(_) => {}
            Effect::Send { from, to, body } => self.send(from, to, body),
        }
    }

    fn send(&mut self, from: ProcId, to: ProcId, body: Msg) {
        match (to.kind(), body) {
            (ProcKind::Client, Msg::Response(id, answer)) => self.answered(id, &answer),
            (ProcKind::Client | ProcKind::Runtime | ProcKind::World, _) => {}
            (ProcKind::Kubelet, body) => self.tell_kubelet(to.host().expect("a kubelet has a host"), body),
            (_, body) => {
                // Requests that a client makes at once go over connections of their own.
                let ordered = !matches!(body, Msg::Request(..));
                let at = self.arrival(from, to, ordered);
                self.push(at, Happening::Input(Input::Message { from, to, body }));
            }
        }
    }

    fn arrival(&mut self, from: ProcId, to: ProcId, ordered: bool) -> Time {
        let link = StableHasher::hash_one(&(from.bits(), to.bits()));
        let (last, count) = self.links.entry((from, to)).or_default();
        let drawn = below(draw(self.seed, Purpose::LinkDelay, link, *count), DELAY_MORE.0);
        let at = self.now + Span((DELAY_MIN.0 + drawn) * self.pace);
        let at = if ordered { at.max(*last) } else { at };
        (*last, *count) = (at.max(*last), *count + 1);
        at
    }

    fn tell_kubelet(&mut self, host: HostId, body: Msg) {
        match body {
            Msg::PodChanged(pod) => {
                let plans = self.kubelets.hears(host, &pod);
                self.plan(plans);
            }
            Msg::PodRemoved(uid) => self.kubelets.forgets(uid),
            Msg::Response(_, Ok(Reply::Pods(pods))) => {
                for pod in pods {
                    if let Object::Pod(pod) = pod {
                        let plans = self.kubelets.hears(host, &pod);
                        self.plan(plans);
                    }
                }
            }
            _ => {}
        }
    }

    fn answered(&mut self, id: RequestId, answer: &Answer) {
        let drain = (id.0 >> DRAIN_SHIFT).checked_sub(1).and_then(|number| usize::try_from(number).ok());
        if let Some(number) = drain.filter(|number| *number < self.drains.len()) {
            let acts = self.drains[number].drain.on_answer(self.now, id.0 as u32, answer.clone());
            return self.follow_drain(number, acts);
        }
        let Ok(place) = usize::try_from(id.0) else { return };
        if let (Err(refusal), Some(step)) = (answer, self.recording.steps.get(place)) {
            let message = self.as_recorded(place, refusal.to_string());
            match step.what {
                Deed::Kubectl(..) => drop(self.played.commands.insert(place, (1, message))),
                _ => drop(self.played.codes.insert(place, (edge::Status::of(refusal).code, message))),
            }
        }
    }

    /// What was said to a step, with the recorded names and addresses for ours.
    fn as_recorded(&self, place: usize, message: String) -> String {
        let renamed = self.renamed.get(&place).into_iter().flatten();
        renamed.fold(message, |message, (ours, theirs)| message.replace(ours, theirs))
    }

    fn do_step(&mut self, place: usize) {
        let recording = self.recording;
        match &recording.steps[place].what {
            Deed::Request { method, path, content_type, body, code, message } => {
                let Some(mut path) = Path::parse(path) else {
                    return self.played.not_covered.push(path.clone());
                };
                if let Some(twin) = self.twins.ours(&recording.lines, recording.steps[place].at_ms, &path) {
                    self.renamed.entry(place).or_default().push((twin.clone(), path.name.clone()));
                    path.name = twin;
                }
                let mut body = self.with_our_addresses(place, &path.plural, body);
                // Evictions and bindings name their pod again.
                if let Some((ours, theirs)) = self.renamed.get(&place).and_then(|names| names.first())
                    && body["metadata"]["name"] == **theirs
                {
                    body["metadata"]["name"] = ours.as_str().into();
                }
                let body = if method == "POST" && path.subresource.is_empty() {
                    body
                } else {
                    edge::without_right_preconditions(&body, *code, message.as_deref().unwrap_or_default())
                };
                match edge::translate(&self.core, method, &path, content_type, &body) {
                    Outcome::Ask(requests) => {
                        self.played.codes.insert(place, (if method == "POST" { 201 } else { 200 }, String::new()));
                        for request in requests {
                            self.ask_as(ProcId::CLIENT, RequestId(place as u64), request);
                        }
                    }
                    Outcome::Answered(status) => {
                        let message = self.as_recorded(place, status.message);
                        self.played.codes.insert(place, (status.code, message));
                    }
                    Outcome::NotCovered(what) => self.played.not_covered.push(what),
                }
            }
            Deed::Machine(machine) => self.do_machine(machine),
            Deed::Kubectl(line, _) => self.do_kubectl(place, line),
        }
    }

    /// The body of a step about a Service with our addresses for those that other Services were given.
    fn with_our_addresses(&mut self, place: usize, plural: &str, body: &Value) -> Value {
        let text = body.to_string();
        if plural != "services" || !text.contains("clusterIP") {
            return body.clone();
        }
        let at_ms = self.recording.steps[place].at_ms;
        let mut text = text;
        for (namespace, name, theirs) in living_addresses(&self.recording.lines, at_ms) {
            let ours = self.core.newest().find::<Service>(&namespace.as_str().into(), &name.as_str().into());
            let Some(ours) = ours.and_then(|(_, service)| service.cluster_ip.as_ref()) else { continue };
            text = text.replace(&format!("{theirs:?}"), &format!("{:?}", &**ours));
            self.renamed.entry(place).or_default().push((ours.to_string(), theirs));
        }
        serde_json::from_str(&text).unwrap_or_else(|_| body.clone())
    }

    fn do_machine(&mut self, machine: &serde_json::Value) {
        let name = machine["name"].as_str().unwrap_or_default().to_owned();
        let op = machine["op"].as_str().unwrap_or_default();
        if op == "add" {
            return self.add_machine(machine);
        }
        let Some(host) = self.kubelets.host(&name) else {
            return self.played.not_covered.push(format!("machine {name} was never added"));
        };
        match op {
            "die" => self.kubelets.set_alive(host, false),
            "back" => {
                self.kubelets.set_alive(host, true);
                let condition = serde_json::json!({"status": {"conditions": [
                    {"type": "Ready", "status": "True", "reason": "KubeletReady"},
                    {"type": "MemoryPressure", "status": "False", "reason": "KubeletHasSufficientMemory"},
                    {"type": "DiskPressure", "status": "False", "reason": "KubeletHasNoDiskPressure"},
                    {"type": "PIDPressure", "status": "False", "reason": "KubeletHasSufficientPID"},
                ]}});
                let path = Path {
                    plural: "nodes".to_owned(),
                    name: name.clone(),
                    subresource: "status".to_owned(),
                    ..Path::default()
                };
                let patch = "application/strategic-merge-patch+json";
                if let Outcome::Ask(requests) = edge::translate(&self.core, "PATCH", &path, patch, &condition) {
                    requests.into_iter().for_each(|request| self.ask(ProcId::kubelet(host), request));
                }
                self.wake(host, name.as_str().into());
            }
            "remove" => {
                self.kubelets.set_alive(host, false);
                let key = ObjectKey::new(wavetank_core::model::Kind::Node, "", &name);
                let propagation = wavetank_core::api::Propagation::Background;
                self.ask(ProcId::CLIENT, Request::Delete { key, uid: None, grace: None, propagation });
            }
            other => self.played.not_covered.push(format!("machines cannot {other:?}")),
        }
    }

    fn do_kubectl(&mut self, place: usize, line: &str) {
        let (recording, at_ms) = (self.recording, self.recording.steps[place].at_ms);
        let twins = &self.twins;
        let twin = |name: &str| {
            let path = Path {
                namespace: recording.namespace.clone(),
                plural: "pods".to_owned(),
                name: name.to_owned(),
                ..Path::default()
            };
            twins.ours(&recording.lines, at_ms, &path)
        };
        let scene = Scene { core: &self.core, namespace: &recording.namespace, pod: &twin };
        match kubectl::understand(&scene, line) {
            Command::Do(Outcome::Ask(requests)) => {
                self.played.commands.insert(place, (0, String::new()));
                for request in requests {
                    self.ask_as(ProcId::CLIENT, RequestId(place as u64), request);
                }
            }
            Command::Do(Outcome::Answered(status)) => drop(self.played.commands.insert(place, (1, status.message))),
            Command::Drain(options) => {
                self.drains.push(Running { place, drain: Drain::new(options), wakes_at: None, said: Vec::new() });
                let number = self.drains.len() - 1;
                let acts = self.drains[number].drain.begin();
                self.follow_drain(number, acts);
            }
            Command::Nothing => {}
            Command::Fails(message) => drop(self.played.commands.insert(place, (1, message))),
            Command::Do(Outcome::NotCovered(what)) => self.played.not_covered.push(format!("kubectl {line}: {what}")),
            Command::NotCovered => self.played.not_covered.push(format!("kubectl {line}")),
        }
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

    fn wake_drain(&mut self, number: usize) {
        let running = &mut self.drains[number];
        if running.wakes_at == Some(self.now) {
            running.wakes_at = None;
            let acts = running.drain.on_time(self.now);
            self.follow_drain(number, acts);
        }
    }
}

/// Which zone each node is in, as far as endpoints tell.
fn zones_of(lines: &[Line]) -> BTreeMap<String, String> {
    let endpoints =
        lines.iter().filter_map(|line| line.fields.get("endpoints")?.as_object()).flat_map(|map| map.values());
    let pair = |endpoint: &serde_json::Value| {
        Some((endpoint["node"].as_str()?.to_owned(), endpoint["zone"].as_str()?.to_owned()))
    };
    endpoints.filter_map(pair).collect()
}

/// Whether a recording's pods went, or asked to go, to the nodes that it shared with others.
fn mentions_pool(recording: &Recording) -> bool {
    let bodies = recording.steps.iter().filter_map(|step| match &step.what {
        Deed::Request { body, .. } => Some(body.to_string()),
        _ => None,
    });
    recording.lines.iter().any(|line| line.text("nodeName").starts_with("pool-"))
        || bodies.into_iter().any(|body| body.contains(r#""sim/set":"pool""#))
}
