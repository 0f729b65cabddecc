//! The story of one object of a finished run: what befell it, in order, and what caused each step.
//!
//! Made of the run's facts and Kubernetes events alone. A step's causes are a chain that ends where nothing certain is
//! recorded: at a request of the user, at a fault, or at a decision that a component has made for itself.

mod causes;
mod replicas;
mod text;

use std::collections::BTreeSet;

use serde::Serialize;

use self::causes::Causes;
use crate::account::plain;
use crate::format::{seconds_column, thousands};
use crate::record::{EventRow, FactRow, Text};
use crate::recorded::Recorded;

pub use text::render_story;

/// A longer chain of causes ends here; chains go back in time, so that none is endless.
const CHAIN_MAX: usize = 12;

/// The story of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Story {
    /// The object, such as `pod/default/web-abc`.
    pub subject: String,
    /// What controls it, likewise; empty if nothing does.
    pub owner: String,
    /// What happened, in order.
    pub lines: Vec<Step>,
}

/// One thing that happened to the object, or to what it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// When, in nanoseconds.
    pub time_ns: u64,
    /// Whom it befell: the object, one that it owns, a pod on it; or the words of a fault or a request.
    pub subject: String,
    /// One CamelCase word.
    pub reason: Text,
    /// What happened.
    pub text: String,
    /// Why: the cause, the cause's cause, and so on.
    pub because: Vec<Cause>,
    /// Whether it was done from outside: a fault or a request of the user.
    #[serde(skip)]
    pub(crate) from_outside: bool,
}

/// An earlier thing that caused another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// When, in nanoseconds.
    pub time_ns: u64,
    /// Whom it befell, or the words of a fault or a request.
    pub subject: String,
    /// One CamelCase word.
    pub reason: Text,
    /// What happened.
    pub text: String,
}

/// Every object that a run tells of, such as `pod/default/web-abc`, in order.
pub fn subjects(recorded: &Recorded) -> BTreeSet<&str> {
    let named = recorded.facts.iter().filter(|fact| !is_from_outside(fact) && fact.category != "expectation");
    let said = recorded.events.iter().map(|event| event.subject.as_str());
    named.map(|fact| fact.subject.as_str()).chain(said).collect()
}

/// The story of one object, which [`subjects`] names.
pub fn story(recorded: &Recorded, subject: &str) -> Story {
    let causes = Causes::new(&recorded.facts);
    let places = places(&causes, subject);
    let mut steps: Vec<Step> = places.iter().map(|&place| step(&causes, place, &places)).collect();
    let of_object = || recorded.events.iter().filter(|event| event.subject == subject);
    steps.extend(of_object().flat_map(|event| waits(&causes, event)));
    steps.extend(of_object().filter_map(|event| {
        let same = |fact: &FactRow| {
            let pair = (event.reason.as_str(), fact.reason.as_str());
            (fact.reason == event.reason && event.reason != TRIES)
                || SAME_AS.contains(&pair)
                || fact.message == ended(event).trim_end()
        };
        let told = causes.facts.of(subject).iter().any(|&place| same(&recorded.facts[place]));
        // A pull that has not begun by the end of the run is told by its wait.
        let told = told || event.reason == "Pulling";
        (!told && !TOLD_OTHERWISE.contains(&event.reason.as_str())).then(|| said(event))
    }));
    // Stable: facts come before the events of their instant.
    steps.sort_by_key(|step| step.time_ns);
    let owner = causes.facts.owner(subject).unwrap_or_default().to_owned();
    Story { subject: subject.to_owned(), owner, lines: steps }
}

/// The times at which a pod wanted an image and had to wait until other pulls on its node had ended. The first and the
/// last that an event has counted are known.
fn waits(causes: &Causes<'_>, event: &EventRow) -> Vec<Step> {
    let wanted = event.message.strip_prefix("Pulling ").filter(|_| event.reason == "Pulling");
    let Some(image) = wanted else { return Vec::new() };
    let begins = |time_ns: &u64| {
        let begins = |&place: &usize| {
            let fact = &causes.facts.rows[place];
            fact.time_ns == *time_ns && fact.reason == "Pulling"
        };
        causes.facts.of(&event.subject).iter().any(begins)
    };
    let times = BTreeSet::from([event.first_ns, event.last_ns]);
    let wait = |time_ns: u64| {
        let text = format!("waits for its turn to pull {image}");
        let under_way = causes.of_a_wait_to_pull(&event.subject, time_ns);
        let because = under_way.map(|place| cause(&causes.facts.rows[place])).into_iter().collect();
        let subject = plain(&event.subject);
        Step { time_ns, subject, reason: event.reason.clone(), text, because, from_outside: false }
    };
    times.into_iter().filter(|time_ns| !begins(time_ns)).map(wait).collect()
}

/// The events that tell what the tries of a probe have found, where the fact of this reason tells that its result has
/// changed.
const TRIES: &str = "Unhealthy";

/// Events that say what a fact of another reason says.
const TOLD_OTHERWISE: &[&str] = &[
    "Created",
    "NodeNotReady",
    "NodeReady",
    "RegisteredNode",
    "ScalingReplicaSet",
    "SuccessfulCreate",
    "SuccessfulDelete",
    "TaintManagerEviction",
];

/// Events that say what a fact of the same object says, if there is one: the event's reason and the fact's.
const SAME_AS: &[(&str, &str)] = &[("Preempted", "Preempting")];

/// How the fact reads that an event about the end of a pod repeats (`Evicted: The node was low on …`).
fn ended(event: &EventRow) -> String {
    format!("{}: {}", event.reason, event.message)
}

/// The places of all facts that belong to a story, in order.
fn places(causes: &Causes<'_>, subject: &str) -> BTreeSet<usize> {
    let facts = &causes.facts;
    let mut places: BTreeSet<usize> = facts.of(subject).iter().chain(facts.aimed_at(subject)).copied().collect();
    for owned in facts.owned_by(subject) {
        let shown = |&&place: &&usize| {
            let reason = facts.rows[place].reason.as_str();
            matches!(reason, "Created" | "Scaled" | "DeletionRequested" | "Deleted" | "Failed" | "Succeeded")
        };
        places.extend(facts.of(owned).iter().filter(shown));
    }
    if subject.starts_with("pod/") {
        places.extend(causes.made_up_for(subject));
    }
    if subject.starts_with("node/") {
        let befell = |fact: &FactRow| {
            fact.category == "pod"
                && (fact.reason == "TaintManagerEviction"
                    || (fact.reason == "Ended" && is_the_nodes_doing(&fact.message))
                    || (fact.reason == "DeletionRequested" && fact.by == "user"))
        };
        let on_it = |place: &usize| {
            let fact = &facts.rows[*place];
            befell(fact) && facts.node_of(&fact.subject, *place).as_deref() == Some(subject)
        };
        places.extend((0..facts.rows.len()).filter(on_it));
    }
    places
}

/// Whether a kubelet has ended a pod for its node's sake: it runs short or is shut down.
fn is_the_nodes_doing(message: &str) -> bool {
    message.starts_with("Evicted: The node ") || message.starts_with("Terminated: ")
}

fn step(causes: &Causes<'_>, place: usize, told: &BTreeSet<usize>) -> Step {
    let fact = &causes.facts.rows[place];
    let mut because = Vec::new();
    let mut next = causes.of(place);
    while let Some(cause) = next.filter(|_| because.len() < CHAIN_MAX) {
        let row = &causes.facts.rows[cause];
        because.push(self::cause(row));
        // What the story tells in a line of its own has its causes there.
        next = if told.contains(&cause) { None } else { causes.of(cause) };
    }
    Step {
        time_ns: fact.time_ns,
        subject: plain(&fact.subject),
        reason: fact.reason.clone(),
        text: sentence(fact),
        because,
        from_outside: is_from_outside(fact),
    }
}

fn cause(fact: &FactRow) -> Cause {
    let (time_ns, reason) = (fact.time_ns, fact.reason.clone());
    Cause { time_ns, subject: plain(&fact.subject), reason, text: sentence(fact) }
}

fn said(event: &EventRow) -> Step {
    let times = match event.count {
        ..=1 => String::new(),
        count => format!(" ({} times, last at {} s)", thousands(count), seconds_column(event.last_ns)),
    };
    Step {
        time_ns: event.first_ns,
        subject: plain(&event.subject),
        reason: event.reason.clone(),
        text: format!("{}{times}", event.message),
        because: Vec::new(),
        from_outside: false,
    }
}

fn is_from_outside(fact: &FactRow) -> bool {
    matches!(fact.category.as_str(), "fault" | "action")
}

/// What happened, with who asked for it where that is not plain.
fn sentence(fact: &FactRow) -> String {
    match (fact.category.as_str(), fact.reason.as_str()) {
        ("fault", "Begins") => format!("({})", fact.message),
        ("fault", _) => format!("is undone ({})", fact.message),
        ("action", "Requested") => format!("requested by the user ({})", fact.message),
        ("action", _) => fact.message.to_string(),
        (_, "Preempting") => fact.message.replace("pod/default/", "pod/"),
        (_, "Created") if fact.message != "created" => fact.message.to_string(),
        (_, "Deleted") if !fact.by.is_empty() => match fact.by.as_str() {
            "user" => "gone, removed by the user".to_owned(),
            by => format!("gone, removed by the {by}"),
        },
        (_, "DeletionRequested" | "Created" | "Scaled" | "TemplateChanged" | "Tainted" | "Untainted") => {
            match fact.by.as_str() {
                "" => fact.message.to_string(),
                "user" => format!("{} by the user", fact.message),
                by => format!("{} by the {by}", fact.message),
            }
        }
        _ => fact.message.to_string(),
    }
}
