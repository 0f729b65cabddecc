//! `kubectl drain`, step by step: what it asks of the API server, and what it does with the answers.
//!
//! A drain cordons its nodes, lists the pods of one after the other, and evicts those that may go, all at once; an
//! eviction that a disruption budget refuses is tried again every 5 s, and a pod that was evicted is waited for. The
//! state machine asks nobody itself: [`Drain`] gives out [`Act`]s and takes in answers and the passing of time.
//! Source: staging/src/k8s.io/kubectl/pkg/drain, staging/src/k8s.io/kubectl/pkg/cmd/drain/drain.go (v1.34.1). Absent on
//! purpose: its output to the letter.

mod filter;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wavetank_core::api::{Answer, Patch, Propagation, Refusal, Reply, Request};
use wavetank_core::id::{Name, Uid};
use wavetank_core::model::{Kind, Object, ObjectKey, Pod, Selector};
use wavetank_core::time::{Span, Time};

/// How long a refused eviction waits.
const RETRY: Span = Span::from_secs(5);
/// How often an evicted pod is looked for.
const POLL: Span = Span::from_secs(1);

/// Which nodes are drained, and with which flags of kubectl.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct DrainOptions {
    /// The nodes, drained in this order.
    pub nodes: Vec<Name>,
    /// Pass over pods of DaemonSets (`--ignore-daemonsets`); without it they are an error.
    pub ignore_daemon_sets: bool,
    /// Pods without a controller go too (`--force`); without it they are an error.
    pub force: bool,
    /// Pods with an `emptyDir` go too (`--delete-emptydir-data`); without it they are an error.
    pub delete_empty_dir_data: bool,
    /// Delete pods, past their disruption budgets (`--disable-eviction`).
    pub disable_eviction: bool,
    /// The pods' grace (`--grace-period`); `None` is their own.
    pub grace: Option<Span>,
    /// How long each node may take (`--timeout`); `None` is as long as it likes.
    pub timeout: Option<Span>,
    /// Only these pods (`--pod-selector`).
    pub pods: Option<Selector>,
}

/// What a drain wants.
#[derive(Clone, PartialEq, Debug)]
pub enum Act {
    /// Send a request; its answer belongs to this number.
    Ask(u32, Request),
    /// Say something: one CamelCase word and a line.
    Say(&'static str, String),
}

/// A drain under way.
#[derive(Debug)]
pub struct Drain {
    options: DrainOptions,
    /// The node that is being drained, by its place.
    node: usize,
    stage: Stage,
    asked: BTreeMap<u32, Question>,
    numbers: u32,
    /// The node's pods, while their DaemonSets are looked up.
    listed: Vec<Arc<Pod>>,
    /// DaemonSets that own pods and are not there.
    gone: BTreeSet<ObjectKey>,
    pods: Vec<Going>,
    /// When the node's time is up.
    deadline: Option<Time>,
    failed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Cordon,
    List,
    LookUp,
    Leave,
    Over,
}

#[derive(Clone, PartialEq, Debug)]
enum Question {
    Cordon(Name),
    List,
    /// Whether a DaemonSet is there.
    Owner(ObjectKey),
    /// A pod's eviction or deletion.
    Leave(usize),
    /// Whether a pod is gone.
    Gone(usize),
}

/// A pod that has to go.
#[derive(Debug)]
struct Going {
    key: ObjectKey,
    uid: Uid,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// An answer is awaited.
    Asked,
    /// It is evicted (again) at this time.
    EvictAt(Time),
    /// It is looked for at this time.
    LookAt(Time),
    Gone,
}

impl Drain {
    /// A drain before its first request.
    pub fn new(options: DrainOptions) -> Drain {
        Drain {
            options,
            node: 0,
            stage: Stage::Cordon,
            asked: BTreeMap::new(),
            numbers: 0,
            listed: Vec::new(),
            gone: BTreeSet::new(),
            pods: Vec::new(),
            deadline: None,
            failed: false,
        }
    }

    /// Whether there is nothing left to do.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Whether it could not do all that it was to do.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Begins: all nodes are cordoned first.
    pub fn begin(&mut self) -> Vec<Act> {
        let mut acts = Vec::new();
        for node in self.options.nodes.clone() {
            let key = ObjectKey { kind: Kind::Node, namespace: Name::default(), name: node.clone() };
            let request = Request::Patch { key, patch: Patch::Unschedulable(true) };
            self.ask(&mut acts, Question::Cordon(node), request);
        }
        acts
    }

    /// When it has to act next, if no answer comes before.
    pub fn next_wake(&self) -> Option<Time> {
        let waits = self.pods.iter().filter_map(|pod| match pod.state {
            State::EvictAt(at) | State::LookAt(at) => Some(at),
            State::Asked | State::Gone => None,
        });
        waits.chain(self.deadline).min().filter(|_| self.stage == Stage::Leave)
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Time) -> Vec<Act> {
        let mut acts = Vec::new();
        if self.stage != Stage::Leave {
            return acts;
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            let left = self.pods.iter().filter(|pod| pod.state != State::Gone).count();
            let limit = self.options.timeout.unwrap_or_default();
            let node = self.node_name();
            acts.push(Act::Say(
                "TimedOut",
                format!("node/{node}: drain did not complete within {limit}: {left} pods are left"),
            ));
            self.failed = true;
            self.next_node(now, &mut acts);
            return acts;
        }
        for index in 0..self.pods.len() {
            match self.pods[index].state {
                State::EvictAt(at) if at <= now => self.leave(&mut acts, index),
                State::LookAt(at) if at <= now => {
                    self.pods[index].state = State::Asked;
                    let request = Request::Get(self.pods[index].key.clone());
                    self.ask(&mut acts, Question::Gone(index), request);
                }
                _ => {}
            }
        }
        acts
    }

    /// An answer has come.
    pub fn on_answer(&mut self, now: Time, number: u32, answer: Answer) -> Vec<Act> {
        let mut acts = Vec::new();
        // An answer that comes after a node's time is up is for nobody.
        let Some(question) = self.asked.remove(&number) else { return acts };
        match question {
            Question::Cordon(node) => self.cordoned(now, &node, answer, &mut acts),
            Question::List => self.listed(now, answer, &mut acts),
            Question::Owner(key) => self.looked_up(now, key, &answer, &mut acts),
            Question::Leave(index) => self.left(now, index, answer, &mut acts),
            Question::Gone(index) => self.looked_for(now, index, answer, &mut acts),
        }
        acts
    }

    fn ask(&mut self, acts: &mut Vec<Act>, question: Question, request: Request) {
        let number = self.numbers;
        self.numbers += 1;
        self.asked.insert(number, question);
        acts.push(Act::Ask(number, request));
    }

    fn node_name(&self) -> Name {
        self.options.nodes[self.node].clone()
    }

    fn cordoned(&mut self, now: Time, node: &Name, answer: Answer, acts: &mut Vec<Act>) {
        match answer {
            Ok(_) => acts.push(Act::Say("Cordoned", format!("node/{node} cordoned"))),
            Err(refusal) => {
                acts.push(Act::Say("Refused", format!("node/{node} could not be cordoned: {refusal}")));
                self.failed = true;
            }
        }
        if self.asked.is_empty() {
            self.list(now, acts);
        }
    }

    /// Begins with a node, unless there is none left.
    fn list(&mut self, now: Time, acts: &mut Vec<Act>) {
        self.pods.clear();
        self.asked.clear();
        if self.node >= self.options.nodes.len() {
            self.stage = Stage::Over;
            return;
        }
        self.stage = Stage::List;
        self.deadline = self.options.timeout.map(|limit| now.saturating_add(limit));
        let request = Request::PodsOf { node: self.node_name() };
        self.ask(acts, Question::List, request);
    }

    fn next_node(&mut self, now: Time, acts: &mut Vec<Act>) {
        self.node += 1;
        self.list(now, acts);
    }

    /// Takes in a node's pods, and looks up the DaemonSets that they name as their owners.
    fn listed(&mut self, now: Time, answer: Answer, acts: &mut Vec<Act>) {
        let node = self.node_name();
        let pods = match answer {
            Ok(Reply::Pods(pods)) => pods,
            other => {
                acts.push(Act::Say("Refused", format!("node/{node}: its pods could not be listed: {other:?}")));
                self.failed = true;
                return self.next_node(now, acts);
            }
        };
        let pods: Vec<_> = pods
            .into_iter()
            .filter_map(|object| if let Object::Pod(pod) = object { Some(pod) } else { None })
            .collect();
        let wanted =
            |pod: &Arc<Pod>| self.options.pods.as_ref().is_none_or(|selector| selector.matches(&pod.meta.labels));
        self.listed = pods.into_iter().filter(wanted).collect();
        self.gone.clear();
        self.stage = Stage::LookUp;
        let owners: BTreeSet<ObjectKey> = self.listed.iter().filter_map(|pod| filter::daemon_set_of(pod)).collect();
        for owner in owners {
            self.ask(acts, Question::Owner(owner.clone()), Request::Get(owner));
        }
        if self.asked.is_empty() {
            self.sort(now, acts);
        }
    }

    fn looked_up(&mut self, now: Time, key: ObjectKey, answer: &Answer, acts: &mut Vec<Act>) {
        if answer.is_err() {
            self.gone.insert(key);
        }
        if self.asked.is_empty() {
            self.sort(now, acts);
        }
    }

    /// Sorts a node's pods: one that may not go fails the node as a whole, before anything is evicted.
    fn sort(&mut self, now: Time, acts: &mut Vec<Act>) {
        let node = self.node_name();
        let pods = std::mem::take(&mut self.listed);
        let sorted = filter::sort(pods.iter().map(|pod| &**pod), &self.gone, &self.options);
        if !sorted.errors.is_empty() {
            acts.push(Act::Say("Refused", format!("node/{node} could not be drained: {}", sorted.errors.join(", "))));
            self.failed = true;
            return self.next_node(now, acts);
        }
        acts.extend(sorted.warnings.into_iter().map(|warning| Act::Say("Warning", format!("node/{node}: {warning}"))));
        self.stage = Stage::Leave;
        self.pods = sorted.going.into_iter().map(|(key, uid)| Going { key, uid, state: State::Asked }).collect();
        for index in 0..self.pods.len() {
            self.leave(acts, index);
        }
        self.go_on_if_empty(now, acts);
    }

    /// Asks for a pod's end.
    fn leave(&mut self, acts: &mut Vec<Act>, index: usize) {
        let (key, uid, grace) = (self.pods[index].key.clone(), self.pods[index].uid, self.options.grace);
        self.pods[index].state = State::Asked;
        let request = if self.options.disable_eviction {
            Request::Delete { key, uid: Some(uid), grace, propagation: Propagation::Background }
        } else {
            Request::Evict { key, uid: None, grace, dry_run: false }
        };
        self.ask(acts, Question::Leave(index), request);
    }

    fn left(&mut self, now: Time, index: usize, answer: Answer, acts: &mut Vec<Act>) {
        let pod = &mut self.pods[index];
        let name = format!("{}/{}", pod.key.namespace, pod.key.name);
        pod.state = match answer {
            Ok(_) => State::LookAt(now),
            Err(Refusal::NotFound(_)) => State::Gone,
            // A pod whose namespace is going is refused an eviction as long as it is not marked itself.
            Err(refusal)
                if matches!(refusal, Refusal::TooManyRequests { .. }) || refusal.is_namespace_terminating() =>
            {
                acts.push(Act::Say(
                    "Refused",
                    format!("pod {name} may not be evicted yet, tried again in 5s: {refusal}"),
                ));
                State::EvictAt(now + RETRY)
            }
            Err(refusal) => {
                acts.push(Act::Say("Refused", format!("pod {name} could not be evicted: {refusal}")));
                self.failed = true;
                State::Gone
            }
        };
        if let State::LookAt(_) = self.pods[index].state {
            acts.extend(self.on_time(now));
        }
        self.go_on_if_empty(now, acts);
    }

    fn looked_for(&mut self, now: Time, index: usize, answer: Answer, acts: &mut Vec<Act>) {
        let pod = &mut self.pods[index];
        let is_there = matches!(&answer, Ok(Reply::Object(object, _)) if object.uid() == pod.uid);
        if is_there {
            pod.state = State::LookAt(now + POLL);
        } else {
            let verb = if self.options.disable_eviction { "deleted" } else { "evicted" };
            acts.push(Act::Say("Evicted", format!("pod {}/{} {verb}", pod.key.namespace, pod.key.name)));
            pod.state = State::Gone;
        }
        self.go_on_if_empty(now, acts);
    }

    fn go_on_if_empty(&mut self, now: Time, acts: &mut Vec<Act>) {
        if self.stage == Stage::Leave && self.pods.iter().all(|pod| pod.state == State::Gone) {
            acts.push(Act::Say("Drained", format!("node/{} drained", self.node_name())));
            self.next_node(now, acts);
        }
    }
}
