//! What is there before the first step: processes, namespaces, nodes, volumes and the steps in the queue.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wavetank_core::api::Request;
use wavetank_core::id::{ProcId, RequestId};
use wavetank_core::model::{ConfigMap, Labels, Meta, Namespace, Resource};
use wavetank_core::seam::{Input, Msg};
use wavetank_core::time::Time;

use super::{Bench, Happening, SERVICE_ADDRESSES};
use crate::conform::edge::{self, Outcome, Path};
use crate::conform::line::Line;
use crate::conform::recording::{Deed, Recording, Step};
use crate::conform::{kubectl, unrecorded};

/// The nodes that recordings of a shared cluster have beside their own.
const POOL: u32 = 8;

/// How long the scheduler may take to hear of a node, in milliseconds.
const NEWS_MS: i64 = 1_000;

/// A ConfigMap that a controller of the recorded clusters gave every namespace; Kubernetes itself does not know it.
const FOREIGN: &str = "openshift-service-ca.crt";

impl Bench<'_> {
    /// Puts everything in its place and the steps into the queue.
    pub(super) fn prepare(&mut self) {
        for process in [ProcId::API_SERVER, ProcId::SCHEDULER, ProcId::CONTROLLER_MANAGER] {
            self.push(Time::ZERO, Happening::Input(Input::Started(process)));
        }
        let names = ["default", self.recording.namespace.as_str()];
        for name in names.iter().filter(|name| !name.is_empty()) {
            let labels = Labels::new([("kubernetes.io/metadata.name", *name)]);
            let meta = Meta { labels, ..Meta::named("", name) };
            let namespace = Namespace { meta, ..Namespace::default() };
            self.ask_when_shown("Namespace", name, Request::Create(Namespace::into_object(namespace.into())));
        }
        for request in edge::own_service(&self.core, SERVICE_ADDRESSES) {
            self.ask(ProcId::CLIENT, request);
        }
        let recording = self.recording;
        let is_foreign = |line: &&Line| line.kind == "ConfigMap" && line.short_name() == FOREIGN && line.is_added();
        for line in recording.lines.iter().filter(is_foreign) {
            let map = ConfigMap { meta: Meta::named(line.namespace(), FOREIGN), ..ConfigMap::default() };
            let request = Request::Create(ConfigMap::into_object(map.into()));
            if line.namespace() == recording.namespace {
                self.ask_when_shown("ConfigMap", &line.name, request);
            } else {
                // Of a namespace that a step makes.
                self.ask_at(self.time_of(line.at_ms), request);
            }
        }
        let zones = zones_of(&self.recording.lines);
        if mentions_pool(self.recording) {
            for number in 1..=POOL {
                let name = format!("pool-{number}");
                // Where nothing tells a node's zone, it is that of other recordings of such clusters.
                let zone = zones.get(&name).cloned().unwrap_or_else(|| format!("pz{}", number % 2));
                self.add_machine(&json!({"name": name, "zone": zone, "labels": {"sim/set": "pool"}}));
            }
        }
        for manifest in unrecorded::volumes(&self.recording.steps, &self.recording.lines) {
            let path = Path { plural: "persistentvolumes".to_owned(), ..Path::default() };
            match edge::translate(&self.core, "POST", &path, "", &manifest) {
                Outcome::Ask(requests) => requests.into_iter().for_each(|request| self.ask(ProcId::CLIENT, request)),
                Outcome::Answered(status) | Outcome::AnsweredAfter(_, status) => {
                    self.played.not_covered.push(status.message);
                }
                Outcome::NotCovered(what) => self.played.not_covered.push(what),
            }
        }
        let mut done = Time::ZERO;
        for (place, step) in self.recording.steps.iter().enumerate() {
            let begins_ms = match &step.what {
                Deed::Kubectl(line, ..) if kubectl::takes_time(line) => step.from_ms,
                _ => step.at_ms,
            };
            let mut at = self.time_of(begins_ms);
            if let Some(late) = self.pace.step_late(place as u64).filter(|_| !matches!(step.what, Deed::Machine(_))) {
                // Users ask one after the other.
                at = done.max(at + late);
                done = at;
            }
            self.push(at, Happening::Step(place));
        }
    }

    /// Asks at the beginning for something that no step makes; if the recording shows only later that it comes, then.
    fn ask_when_shown(&mut self, kind: &str, name: &str, request: Request) {
        let made = |step: &Step| match &step.what {
            Deed::Request { method, body, .. } => {
                method == "POST" && body["kind"] == kind && body["metadata"]["name"].as_str() == name.rsplit('/').next()
            }
            Deed::Kubectl(line, _, beside) => {
                line.contains(name)
                    || kubectl::made(line, &beside.manifests).iter().any(|(made, of)| made.name() == kind && of == name)
            }
            Deed::Machine(_) => false,
        };
        let first_ms = self.recording.steps.iter().map(|step| step.at_ms).min().unwrap_or(0);
        let shows = |line: &&Line| line.is_added() && line.kind == kind && line.name == name;
        let shown = self.recording.lines.iter().find(shows).map(|line| line.at_ms);
        let later = shown.filter(|at_ms| *at_ms > first_ms && !self.recording.steps.iter().any(made));
        self.ask_at(later.map_or(self.now, |at_ms| self.time_of(at_ms)), request);
    }

    /// Asks for something at a time, for nobody who waits for the answer.
    fn ask_at(&mut self, at: Time, request: Request) {
        let body = Msg::Request(RequestId(u64::MAX), Box::new(request));
        let input = Input::Message { from: ProcId::CLIENT, to: ProcId::API_SERVER, body };
        self.push(at, Happening::Input(input));
    }
}

/// Which zone each node is in, as far as endpoints tell.
fn zones_of(lines: &[Line]) -> BTreeMap<String, String> {
    let endpoints =
        lines.iter().filter_map(|line| line.fields.get("endpoints")?.as_object()).flat_map(|map| map.values());
    let pair = |endpoint: &Value| Some((endpoint["node"].as_str()?.to_owned(), endpoint["zone"].as_str()?.to_owned()));
    endpoints.filter_map(pair).collect()
}

/// Whether a recording's pods went, or asked to go, to the nodes that it shared with others, or its scheduler counts
/// them. (Nodes that no pod may go to wake pods, too: they are among the reasons why a pod has not been placed.)
fn mentions_pool(recording: &Recording) -> bool {
    let bodies = recording.steps.iter().filter_map(|step| match &step.what {
        Deed::Request { body, .. } => Some(body.to_string()),
        _ => None,
    });
    recording.lines.iter().any(|line| line.text("nodeName").starts_with("pool-"))
        || bodies.into_iter().any(|body| body.contains(r#""sim/set":"pool""#))
        || counts_pool(recording)
}

/// Whether all that the scheduler says of nodes counts as many beside the machines of the steps as the pool has.
fn counts_pool(recording: &Recording) -> bool {
    let machines = |at_ms: i64| {
        let before = recording.steps.iter().filter(|step| step.at_ms <= at_ms);
        let changes = before.map(|step| match &step.what {
            Deed::Machine(machine) if machine["op"] == "add" => 1,
            Deed::Machine(machine) if machine["op"] == "remove" => -1,
            _ => 0,
        });
        changes.sum::<i64>()
    };
    let said = recording.lines.iter().filter(|line| line.text("reason") == "FailedScheduling");
    // What is said of nodes begins with their number, or says that there are none.
    let count = |line: &Line| match line.text("message") {
        message if message.starts_with("no nodes available") => Some(0),
        message => message.strip_prefix("0/").and_then(|rest| rest.split(' ').next()?.parse().ok()),
    };
    let mut counts = said.filter_map(|line| Some((line.at_ms, count(line)?))).peekable();
    // A node that has just joined or left may be counted or not.
    let is_pool_more =
        |(at_ms, count): (i64, i64)| [0, NEWS_MS].iter().any(|ms| machines(at_ms - ms) + i64::from(POOL) == count);
    counts.peek().is_some() && counts.all(is_pool_more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_only_the_scheduler_s_words_tell_of_are_the_pool_if_they_are_as_many() {
        let machine = |at_ms: i64, op: &str, name: &str| {
            let what = Deed::Machine(json!({"op": op, "name": name}));
            Step { at_ms, from_ms: at_ms, what }
        };
        let said = |at_ms: i64, message: &str| {
            let line = json!({"t_ms": at_ms, "type": "ADDED", "kind": "Event", "name": "s/e", "reason":
                "FailedScheduling", "message": message});
            Line::from_json(line).expect("it is whole")
        };
        let counts = |lines: Vec<Line>| {
            let steps = vec![machine(0, "add", "a"), machine(0, "add", "b"), machine(9_000, "remove", "b")];
            counts_pool(&Recording { steps, lines, ..Recording::empty("shop".to_owned()) })
        };
        assert!(counts(vec![said(10, "0/10 nodes are available: 10 full."), said(20_000, "0/9 nodes are available.")]));
        assert!(counts(vec![said(9_100, "0/10 nodes are available."), said(9_500, "0/9 nodes are available.")]));
        assert!(!counts(vec![said(10, "0/10 nodes are available."), said(20_000, "0/10 nodes are available.")]));
        assert!(!counts(vec![said(10, "0/2 nodes are available.")]), "a cluster of its own");
        assert!(!counts(vec![said(10, "0/10 nodes are available."), said(20, "no nodes available to schedule pods")]));
        assert!(!counts(vec![said(10, "persistentvolumeclaim \"c\" not found")]), "nothing is said of nodes");
        assert!(!counts(Vec::new()));
    }
}
