//! The steps of a recording are done: requests, what happens to machines, and command lines. Names, addresses and uids
//! that the recorded cluster drew are replaced by ours, and our names and addresses by the recorded ones in what is
//! answered.

use std::collections::VecDeque;

use serde_json::Value;
use wavetank_core::api::{Answer, Reply, Request};
use wavetank_core::id::{ProcId, RequestId};
use wavetank_core::model::{Kind, ObjectKey, Service};

use super::Bench;
use crate::conform::edge::{self, Outcome, Path};
use crate::conform::kubectl::{self, Command, Scene};
use crate::conform::line::Line;
use crate::conform::names::living_addresses;
use crate::conform::recording::Deed;

/// How many letters end a drawn name.
const DRAWN_LETTERS: usize = 5;
/// How soon a new object is shown.
const SHOWN_WITHIN_MS: i64 = 1_000;

/// What a command line asks for later.
pub(super) struct Following {
    /// How many of its requests are not answered yet.
    unanswered: usize,
    /// What it asks for, one after the other, once all are granted.
    requests: VecDeque<Request>,
}

impl Bench<'_> {
    pub(super) fn do_step(&mut self, place: usize) {
        let recording = self.recording;
        match &recording.steps[place].what {
            Deed::Request { method, path, content_type, body, code, message } => {
                if let Some(user) = message.as_deref().and_then(edge::denied_user) {
                    let denied = edge::denied(user, method, path);
                    return drop(self.played.codes.insert(place, (denied.code, denied.message)));
                }
                let Some(mut path) = Path::parse(path) else {
                    return self.played.not_covered.push(path.clone());
                };
                if let Some(twin) = self.twins.ours(&recording.lines, recording.steps[place].at_ms, &path) {
                    self.renamed.entry(place).or_default().push((twin.clone(), path.name.clone()));
                    path.name = twin;
                }
                let body = self.with_our_addresses(place, &path.plural, body);
                let mut body = self.with_our_owners(place, &path.namespace, body);
                if method == "POST" && path.subresource.is_empty() {
                    self.name_as_drawn(place, &mut body);
                }
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
                let managers = self.managers.as_ref();
                match edge::translate_among(&self.core, managers, method, &path, content_type, &body) {
                    Outcome::Ask(requests) => {
                        self.note_apply(place, (method, content_type), &path, &body, requests.is_empty());
                        self.played.codes.insert(place, (if method == "POST" { 201 } else { 200 }, String::new()));
                        for request in requests {
                            self.ask_as(ProcId::CLIENT, RequestId(place as u64), request);
                        }
                    }
                    Outcome::AnsweredAfter(requests, status) => {
                        let message = self.as_recorded(place, status.message);
                        self.played.codes.insert(place, (status.code, message));
                        requests.into_iter().for_each(|request| self.ask(ProcId::CLIENT, request));
                    }
                    Outcome::Answered(status) => {
                        let message = self.as_recorded(place, status.message);
                        self.played.codes.insert(place, (status.code, message));
                    }
                    Outcome::NotCovered(what) => self.played.not_covered.push(what),
                }
            }
            Deed::Machine(machine) => self.do_machine(machine),
            Deed::Kubectl(line, _, beside) => self.do_kubectl(place, line, &beside.manifests),
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

    /// The body with ours in place of the recorded objects that it names as owners, or as the claim of a volume.
    fn with_our_owners(&self, place: usize, namespace: &str, mut body: Value) -> Value {
        let references = body.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut);
        for reference in references.into_iter().flatten() {
            self.refer_to_ours(place, namespace, None, reference);
        }
        let claim = body.pointer_mut("/spec/claimRef").filter(|claim| claim.is_object());
        if let Some(claim) = claim {
            let namespace = claim["namespace"].as_str().unwrap_or_default().to_owned();
            self.refer_to_ours(place, &namespace, Some(Kind::PersistentVolumeClaim), claim);
        }
        body
    }

    /// Puts our object in place of a recorded one that a reference names by its uid; its kind may be known anyway.
    fn refer_to_ours(&self, place: usize, namespace: &str, kind: Option<Kind>, reference: &mut Value) {
        let (lines, at_ms) = (&self.recording.lines, self.recording.steps[place].at_ms);
        let text = |field: &str| reference[field].as_str().unwrap_or_default().to_owned();
        let (name, uid) = (text("name"), text("uid"));
        let Some(kind) = kind.or_else(|| Kind::of_name(&text("kind"))) else { return };
        // Recordings show how a uid begins.
        let is_it = |line: &Line| {
            let begins = line.text("uid");
            !begins.is_empty() && uid.starts_with(begins) && line.kind == kind.name() && line.short_name() == name
        };
        if !lines.iter().any(is_it) {
            return;
        }
        let space = if kind.is_namespaced() { namespace } else { "" };
        let (namespace, plural) = (space.to_owned(), kind.plural().to_owned());
        let path = Path { namespace, plural, name: name.clone(), ..Path::default() };
        let name = self.twins.ours(lines, at_ms, &path).unwrap_or(name);
        let Some(ours) = self.core.find(&ObjectKey::new(kind, space, &name)) else { return };
        reference["name"] = name.into();
        reference["uid"] = ours.uid().to_string().into();
    }

    /// Gives an object the name that the recorded API server drew for it, so that later steps find it.
    fn name_as_drawn(&self, place: usize, body: &mut Value) {
        let at_ms = self.recording.steps[place].at_ms;
        let is_named = body["metadata"]["name"].as_str().is_some_and(|name| !name.is_empty());
        let Some(prefix) = body["metadata"]["generateName"].as_str().filter(|_| !is_named) else { return };
        let is_it = |line: &&Line| {
            let drawn = line.short_name().strip_prefix(prefix).is_some_and(|rest| rest.len() == DRAWN_LETTERS);
            let follows = (at_ms - 50..at_ms + SHOWN_WITHIN_MS).contains(&line.at_ms);
            line.is_added() && line.kind == body["kind"] && drawn && follows
        };
        if let Some(line) = self.recording.lines.iter().find(is_it) {
            body["metadata"]["name"] = line.short_name().into();
        }
    }

    fn do_kubectl(&mut self, place: usize, line: &str, manifests: &[Value]) {
        let recording = self.recording;
        let (from_ms, at_ms) = (recording.steps[place].from_ms, recording.steps[place].at_ms);
        let twins = &self.twins;
        let twin = |name: &str| {
            let path = Path {
                namespace: recording.namespace.clone(),
                plural: "pods".to_owned(),
                name: name.to_owned(),
                ..Path::default()
            };
            // A command that waits until a pod is gone ends when it is there no longer.
            let find = |at_ms: i64| twins.ours(&recording.lines, at_ms, &path);
            find(from_ms).or_else(|| find(at_ms))
        };
        let (core, managers) = (&self.core, self.managers.as_ref());
        let scene = Scene { core, namespace: &recording.namespace, pod: &twin, manifests, managers };
        match kubectl::understand(&scene, line) {
            Command::Do(plan) => {
                let said = (i32::from(plan.failure.is_some()), plan.failure.unwrap_or_default());
                self.played.commands.insert(place, said);
                let asked = || plan.requests.iter().chain(&plan.then);
                self.writers.extend(asked().filter_map(|it| Some((written(it)?, place))));
                for applied in plan.applied {
                    let done = !plan.requests.iter().any(|it| it.target().as_ref() == Some(&applied.key));
                    self.applying(place, applied, done);
                }
                let mut requests: VecDeque<Request> = plan.requests.into();
                let at_once = if plan.one_by_one { requests.len().min(1) } else { requests.len() };
                let first: Vec<Request> = requests.drain(..at_once).collect();
                requests.extend(plan.then);
                let following = Following { unanswered: first.len(), requests };
                first.into_iter().for_each(|it| self.ask_as(ProcId::CLIENT, RequestId(place as u64), it));
                self.follow(place, following);
            }
            Command::Drain(options) => self.begin_drain(place, options),
            Command::Nothing => {}
            Command::NotCovered(what) => {
                let what = what.map(|what| format!(": {what}")).unwrap_or_default();
                self.played.not_covered.push(format!("kubectl {line}{what}"));
            }
        }
    }

    /// The API server has told a user something of an object that was written: the last command that writes it hears
    /// it.
    pub(super) fn warned(&mut self, subject: &ObjectKey, message: &str) {
        if let Some(place) = self.writers.get(subject) {
            self.played.warnings.entry(*place).or_default().insert(message.to_owned());
        }
    }

    pub(super) fn answered(&mut self, id: RequestId, answer: &Answer) {
        if self.drain_answered(id, answer) {
            return;
        }
        let Ok(place) = usize::try_from(id.0) else { return };
        if let Ok(Reply::Object(object, _)) = answer {
            self.apply_answered(place, &object.key());
        }
        if let Some(mut following) = self.to_follow.remove(&place).filter(|_| answer.is_ok()) {
            following.unanswered -= 1;
            self.follow(place, following);
        }
        if let (Err(refusal), Some(step)) = (answer, self.recording.steps.get(place)) {
            let message = self.as_recorded(place, refusal.to_string());
            match step.what {
                Deed::Kubectl(..) => drop(self.played.commands.insert(place, (1, message))),
                _ => drop(self.played.codes.insert(place, (edge::Status::of(refusal).code, message))),
            }
        }
    }

    /// Asks for the next of what a command line asks for later, if everything before it is granted.
    fn follow(&mut self, place: usize, mut following: Following) {
        if following.unanswered == 0
            && let Some(request) = following.requests.pop_front()
        {
            self.ask_as(ProcId::CLIENT, RequestId(place as u64), request);
            following.unanswered = 1;
        }
        if following.unanswered > 0 {
            self.to_follow.insert(place, following);
        }
    }

    /// What was said to a step, with the recorded names and addresses for ours.
    fn as_recorded(&self, place: usize, message: String) -> String {
        let renamed = self.renamed.get(&place).into_iter().flatten();
        renamed.fold(message, |message, (ours, theirs)| message.replace(ours, theirs))
    }
}

/// The object that a request writes, or would write; of deletions nobody is told anything.
fn written(request: &Request) -> Option<ObjectKey> {
    match request {
        Request::DryRun(request) => written(request),
        Request::Delete { .. } | Request::Evict { .. } => None,
        request => request.target(),
    }
}
