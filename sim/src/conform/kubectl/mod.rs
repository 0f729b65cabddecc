//! Command lines of kubectl that change something, as the requests that they come to at that moment.
//!
//! What kubectl checks by itself before it asks (an overwritten label, a paused Deployment that is to be rolled back)
//! is checked here. Absent on purpose: output.
//!
//! Parts: `words` takes a line apart; `create`, `run` and `expose` are the commands that make objects, `change`, `set`
//! and `rollout` those that change them, `files` and `apply` those with files; `transcript` reads recorded sessions.
//!
//! Source: staging/src/k8s.io/kubectl/pkg/cmd (v1.34.1).

mod apply;
mod change;
mod create;
mod expose;
mod files;
mod rollout;
mod run;
mod set;
pub mod transcript;
mod words;

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::{Propagation, Request};
use wavetank_core::id::{Name, Revision};
use wavetank_core::model::{Kind, Object, ObjectKey, Selector};
use wavetank_core::time::Span;
use wavetank_manifest::kubernetes::to_json;

use crate::conform::edge::{self, EPOCH, Manager, Managers, Outcome, Path};
use crate::conform::selectors;
use crate::drain::DrainOptions;
pub use words::CommandLine;
use words::objects;

/// What a command line comes to.
#[derive(Debug)]
pub enum Command {
    /// Requests, and what kubectl says for itself.
    Do(Plan),
    /// A drain, which takes its time.
    Drain(DrainOptions),
    /// Only something to read.
    Nothing,
    /// Nothing here can do that; with what it is, where that is not the whole line.
    NotCovered(Option<String>),
}

/// The requests of a command line.
#[derive(Debug, Default)]
pub struct Plan {
    /// What is asked for, in order.
    pub requests: Vec<Request>,
    /// Why the command fails, whatever becomes of the requests.
    pub failure: Option<String>,
    /// Each request is made only if the one before it was granted.
    pub one_by_one: bool,
    /// What is asked for when all of them are granted, one after the other.
    pub then: Vec<Request>,
    /// What the API server is asked to apply.
    pub applied: Vec<Applied>,
}

/// A configuration that the API server applies.
#[derive(Debug)]
pub struct Applied {
    /// The object.
    pub key: ObjectKey,
    /// What is to be there.
    pub config: Value,
    /// Who applies it.
    pub applier: Manager,
    /// Those who lose their fields to the applier when that is done.
    pub hand_over: Vec<Manager>,
}

/// Where a command line is run.
pub struct Scene<'a> {
    /// The cluster.
    pub core: &'a Core,
    /// The namespace, unless the line names another.
    pub namespace: &'a str,
    /// Our name of a pod that the line names.
    pub pod: &'a dyn Fn(&str) -> Option<String>,
    /// What its files or standard input describe, where the recording shows it.
    pub manifests: &'a [Value],
    /// Whose each field is, where that is known.
    pub managers: Option<&'a Managers>,
}

/// Why a command does not come to requests.
pub(super) enum Trouble {
    Fails(String),
    NotCovered,
    /// What it asks for is not covered.
    Request(String),
}

type Planned = Result<Plan, Trouble>;

impl Plan {
    /// Adds what comes of one of several objects; a failure does not hold the others up.
    fn take(&mut self, outcome: Result<Outcome, Trouble>) -> Result<(), Trouble> {
        match outcome {
            Ok(Outcome::Ask(requests)) => self.requests.extend(requests),
            Ok(Outcome::AnsweredAfter(requests, status)) => {
                self.requests.extend(requests);
                self.failure.get_or_insert(status.message);
            }
            Ok(Outcome::Answered(status)) => drop(self.failure.get_or_insert(status.message)),
            Ok(Outcome::NotCovered(what)) => return Err(Trouble::Request(what)),
            Err(Trouble::Fails(message)) => drop(self.failure.get_or_insert(message)),
            Err(other) => return Err(other),
        }
        Ok(())
    }

    /// Stores nothing of what is asked for, if the line says so. Errors: a wish that kubectl does not know.
    fn only_try(&mut self, line: &CommandLine) -> Result<(), Trouble> {
        if create::is_dry_run(line)? {
            let tried = self.requests.drain(..).map(|request| Request::DryRun(Box::new(request)));
            self.requests = tried.collect();
        }
        Ok(())
    }

    /// The same for each of several objects.
    fn each<T>(objects: Vec<T>, act: impl FnMut(T) -> Result<Outcome, Trouble>) -> Planned {
        let mut plan = Plan::default();
        objects.into_iter().map(act).try_for_each(|outcome| plan.take(outcome))?;
        Ok(plan)
    }
}

/// Understands a command line, without the word `kubectl`.
pub fn understand(scene: &Scene<'_>, line: &str) -> Command {
    let line = CommandLine::parse(line);
    let Some((verb, words)) = line.words.split_first() else { return Command::NotCovered(None) };
    if line.is_of_a_shell() {
        return Command::NotCovered(None);
    }
    if only_reads(&line) {
        return Command::Nothing;
    }
    let planned = match verb.as_str() {
        "drain" => return drain(words, &line),
        "rollout" => rollout::plan(scene, &line, words),
        "cordon" => change::cordon(scene, &line, words, true),
        "uncordon" => change::cordon(scene, &line, words, false),
        "taint" => change::taint(scene, &line, words),
        "label" => change::pairs(scene, &line, words, "labels"),
        "annotate" => change::pairs(scene, &line, words, "annotations"),
        "scale" => change::scale(scene, &line, words),
        "set" => set::plan(scene, &line, words),
        "patch" => change::patch(scene, &line, words),
        "delete" => delete(scene, &line, words),
        "apply" => apply::plan(scene, &line, words),
        "create" if words.is_empty() => files::create(scene, &line),
        "replace" => files::replace(scene, &line, words),
        "create" => create::plan(scene, &line, words),
        "run" => run::plan(scene, &line, words),
        "expose" => expose::plan(scene, &line, words),
        _ => Err(Trouble::NotCovered),
    };
    match planned {
        Ok(plan) => Command::Do(plan),
        Err(Trouble::Fails(message)) => Command::Do(Plan { failure: Some(message), ..Plan::default() }),
        Err(Trouble::NotCovered) => Command::NotCovered(None),
        Err(Trouble::Request(what)) => Command::NotCovered(Some(what)),
    }
}

/// The name under which a line writes fields.
pub fn writer(line: &str) -> String {
    let line = CommandLine::parse(line);
    line.flag("--field-manager").map_or_else(|| manager(&line), str::to_owned)
}

/// Whether a line asks the API server to apply what it describes.
pub fn applies(line: &str) -> bool {
    let line = CommandLine::parse(line);
    line.words.first().is_some_and(|verb| verb == "apply") && line.is_set("--server-side")
}

/// The objects that a line makes if it succeeds, with what its files describe; none for one that makes none. Of those
/// that are applied some may have been there.
pub fn made(line: &str, manifests: &[Value]) -> Vec<(Kind, String)> {
    made_by(&CommandLine::parse(line), manifests)
}

fn made_by(line: &CommandLine, manifests: &[Value]) -> Vec<(Kind, String)> {
    let Some((verb, words)) = line.words.split_first() else { return Vec::new() };
    if ["apply", "create"].contains(&verb.as_str()) && line.flag("--filename").is_some() {
        return files::named(manifests);
    }
    let first = |kind: Kind| words.first().map(|name| (kind, name.as_str()));
    let made = match verb.as_str() {
        "create" => [create::made(words), None],
        "run" => [first(Kind::Pod), first(Kind::Service).filter(|_| line.is_set("--expose"))],
        "expose" => {
            let exposed = words.last().map(|word| word.rsplit('/').next().unwrap_or(word));
            [line.flag("--name").or(exposed).map(|name| (Kind::Service, name)), None]
        }
        _ => [None, None],
    };
    made.into_iter().flatten().map(|(kind, name)| (kind, name.to_owned())).collect()
}

/// Whether a command line changes nothing.
fn only_reads(line: &CommandLine) -> bool {
    const READING: [&str; 15] = [
        "api-resources",
        "api-versions",
        "auth",
        "cluster-info",
        "config",
        "describe",
        "diff",
        "events",
        "explain",
        "get",
        "logs",
        "options",
        "top",
        "version",
        "wait",
    ];
    let word = |place: usize| line.words.get(place).map_or("", String::as_str);
    READING.contains(&word(0))
        || word(0) == "rollout" && matches!(word(1), "history" | "status")
        || matches!(line.flag("--dry-run"), Some("client" | "true" | "unchanged"))
}

/// Whether a command line takes its time: the recorded time of such a line is that of its end.
pub fn takes_time(line: &str) -> bool {
    let line = CommandLine::parse(line);
    match line.words.first().map(String::as_str) {
        Some("drain") => true,
        Some("delete") => line.flag("--wait") != Some("false") && !matches!(create::is_dry_run(&line), Ok(true)),
        _ => false,
    }
}

/// The key of an object that a line names.
pub(super) fn key(scene: &Scene<'_>, line: &CommandLine, kind: Kind, name: &Name) -> ObjectKey {
    let namespace = line.flag("--namespace").unwrap_or(scene.namespace);
    let namespace = if kind.is_namespaced() { namespace } else { "" };
    let ours = (kind == Kind::Pod).then(|| (scene.pod)(name)).flatten();
    ObjectKey::new(kind, namespace, ours.as_deref().unwrap_or(name))
}

/// The objects that a line is about: named ones, those that its selectors select, or all of some kinds.
///
/// Errors: none of them, a kind that we do not have, or a selector that cannot be read.
pub(super) fn targets(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Result<Vec<ObjectKey>, Trouble> {
    let (kinds, named) = objects(words).map_err(|_| Trouble::NotCovered)?;
    if !named.is_empty() {
        return Ok(named.iter().map(|(kind, name)| key(scene, line, *kind, name)).collect());
    }
    let fields = line.flag("--field-selector");
    let selector = match line.flag("--selector") {
        Some(text) => selectors::parse(text).map_err(Trouble::Fails)?,
        None if line.is_set("--all") || fields.is_some() => Selector::default(),
        None => return Err(Trouble::Fails("resource(s) were provided, but no name was specified".to_owned())),
    };
    if kinds.is_empty() {
        return Err(Trouble::NotCovered);
    }
    let mut keys = Vec::new();
    for kind in kinds {
        if let Some(status) = fields.and_then(|text| edge::wrong_fields(kind, text)) {
            return Err(Trouble::Fails(status.message));
        }
        let namespace = key(scene, line, kind, &Name::default()).namespace;
        let all = scene.core.newest().objects(kind).into_iter().map(|(_, object)| object);
        let is_selected = |it: &Object| {
            let meta = it.meta();
            let fits = |text: &str| edge::selects(kind, text, &to_json(it, Revision(0), EPOCH));
            meta.namespace == namespace && selector.matches(&meta.labels) && fields.is_none_or(fits)
        };
        let mut selected: Vec<ObjectKey> = all.filter(is_selected).map(|it| it.key()).collect();
        selected.sort();
        keys.append(&mut selected);
    }
    Ok(keys)
}

/// An object as a client sees it. Errors: it is not there.
pub(super) fn shown(scene: &Scene<'_>, key: &ObjectKey) -> Result<(Object, Value), Trouble> {
    let object = scene.core.find(key).ok_or_else(|| {
        let refusal = wavetank_core::api::Refusal::NotFound(key.clone());
        Trouble::Fails(format!("Error from server (NotFound): {refusal}"))
    })?;
    let json = to_json(&object, Revision(0), EPOCH);
    Ok((object, json))
}

/// Objects as a client sees them. Errors: one of them is not there, and then nothing is done with the others.
pub(super) fn all_shown(scene: &Scene<'_>, keys: Vec<ObjectKey>) -> Result<Vec<(ObjectKey, Value)>, Trouble> {
    keys.into_iter().map(|key| shown(scene, &key).map(|(_, json)| (key, json))).collect()
}

/// A patch of an object. Errors: a wish about dry runs that kubectl does not know.
pub(super) fn patched(
    scene: &Scene<'_>,
    line: &CommandLine,
    key: &ObjectKey,
    media_type: &str,
    patch: &Value,
) -> Result<Outcome, Trouble> {
    let path = Path { query: create::query(line, &manager(line))?, ..Path::of(key) };
    Ok(edge::translate(scene.core, "PATCH", &path, media_type, patch))
}

/// The manager of fields that a command calls itself. `scale` has no name but the program's.
pub(super) fn manager(line: &CommandLine) -> String {
    match line.words.first().map_or("", String::as_str) {
        "scale" => "kubectl".to_owned(),
        "apply" if line.is_set("--server-side") => "kubectl".to_owned(),
        "apply" => "kubectl-client-side-apply".to_owned(),
        "uncordon" => "kubectl-cordon".to_owned(),
        verb => format!("kubectl-{verb}"),
    }
}

/// The flags of `kubectl drain`; a line with others is not covered.
fn drain(words: &[String], line: &CommandLine) -> Command {
    let mut options =
        DrainOptions { nodes: words.iter().map(|node| node.as_str().into()).collect(), ..DrainOptions::default() };
    for (name, value) in &line.flags {
        match name.as_str() {
            "--ignore-daemonsets" => options.ignore_daemon_sets = value == "true",
            "--force" => options.force = value == "true",
            "--delete-emptydir-data" => options.delete_empty_dir_data = value == "true",
            "--disable-eviction" => options.disable_eviction = value == "true",
            "--grace-period" => options.grace = value.parse().ok().map(Span::from_secs),
            "--timeout" => match seconds(value) {
                Some(seconds) => options.timeout = Some(Span::from_secs(seconds)).filter(|it| *it > Span::ZERO),
                None => return Command::NotCovered(None),
            },
            "--pod-selector" => match selectors::parse(value) {
                Ok(selector) => options.pods = Some(selector),
                Err(message) => return Command::Do(Plan { failure: Some(message), ..Plan::default() }),
            },
            "--namespace" | "--kubeconfig" | "--server" | "--request-timeout" | "--v" => {}
            _ => return Command::NotCovered(None),
        }
    }
    Command::Drain(options)
}

/// `60s`, `2m`, `1h` or `0` in seconds.
fn seconds(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        _ => return None,
    };
    text[..text.len() - 1].parse::<u64>().ok()?.checked_mul(unit)
}

/// What a line says of the dependents of what it deletes. Errors: a word that kubectl does not know.
pub(super) fn propagation(line: &CommandLine) -> Result<Propagation, Trouble> {
    match line.flag("--cascade").unwrap_or("background") {
        "background" | "true" => Ok(Propagation::BackgroundAnyway),
        "foreground" => Ok(Propagation::Foreground),
        "orphan" | "false" => Ok(Propagation::Orphan),
        other => Err(Trouble::Fails(format!("invalid cascade value ({other})"))),
    }
}

/// Source: `DeleteOptions.Complete`, `DeleteOptions.DeleteResult`, staging/src/k8s.io/kubectl/pkg/cmd/delete/delete.go.
fn delete(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    let known = [
        "--all",
        "--cascade",
        "--dry-run",
        "--field-selector",
        "--filename",
        "--force",
        "--grace-period",
        "--ignore-not-found",
        "--now",
        "--selector",
        "--wait",
    ];
    if !line.knows_flags(&known) {
        return Err(Trouble::NotCovered);
    }
    let propagation = propagation(line)?;
    let force = line.is_set("--force");
    let wanted = line.flag("--grace-period").and_then(|text| text.parse::<i64>().ok()).unwrap_or(-1);
    let grace = match wanted {
        _ if line.is_set("--now") => Some(1),
        0 if !force => Some(1),
        0.. => u64::try_from(wanted).ok(),
        _ if force => Some(0),
        _ => None,
    };
    let lenient = line.is_set("--ignore-not-found") || line.is_set("--all");
    let keys = match line.flag("--filename") {
        Some(_) => files::keys(scene, line)?,
        None => targets(scene, line, words)?,
    };
    // Each object is deleted by itself; one that is not there is told at the end.
    let delete = |key: ObjectKey| Request::Delete { key, uid: None, grace: grace.map(Span::from_secs), propagation };
    let there = |key: &ObjectKey| !lenient || scene.core.find(key).is_some();
    let mut plan = Plan { requests: keys.into_iter().filter(there).map(delete).collect(), ..Plan::default() };
    plan.only_try(line)?;
    Ok(plan)
}

#[cfg(test)]
mod tests;
