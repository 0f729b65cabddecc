//! Command lines of kubectl that change something, as the requests that they come to at that moment.
//!
//! What kubectl checks by itself before it asks (an overwritten label, a paused Deployment that is to be rolled back)
//! is checked here. Absent on purpose: output, and commands that read manifests from files.
//!
//! Parts: `words` takes a line apart, `change` and `rollout` are the commands, `transcript` reads recorded sessions.
//!
//! Source: staging/src/k8s.io/kubectl/pkg/cmd (v1.34.1).

mod change;
mod rollout;
pub mod transcript;
mod words;

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::{Propagation, Request};
use wavetank_core::id::{Name, Revision};
use wavetank_core::model::{Kind, Object, ObjectKey, Selector};
use wavetank_core::time::Span;
use wavetank_manifest::kubernetes::to_json;

use crate::conform::edge::{self, EPOCH, Outcome, Path};
use crate::conform::selectors;
use crate::drain::DrainOptions;
pub use words::CommandLine;
use words::objects;

/// What a command line comes to.
#[derive(Debug)]
pub enum Command {
    /// Requests, or an answer without one.
    Do(Outcome),
    /// A drain, which takes its time.
    Drain(DrainOptions),
    /// Only something to read.
    Nothing,
    /// The command fails before it asks for anything, and says this.
    Fails(String),
    /// Nothing here can do that.
    NotCovered,
}

/// Where a command line is run.
pub struct Scene<'a> {
    /// The cluster.
    pub core: &'a Core,
    /// The namespace, unless the line names another.
    pub namespace: &'a str,
    /// Our name of a pod that the line names.
    pub pod: &'a dyn Fn(&str) -> Option<String>,
}

/// Why a command does not come to requests.
pub(super) enum Trouble {
    Fails(String),
    NotCovered,
}

type Planned = Result<Vec<Outcome>, Trouble>;

/// Understands a command line, without the word `kubectl`.
pub fn understand(scene: &Scene<'_>, line: &str) -> Command {
    let line = CommandLine::parse(line);
    let Some((verb, words)) = line.words.split_first() else { return Command::NotCovered };
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
        "set" if words.first().is_some_and(|word| word == "image") => change::image(scene, &line, &words[1..]),
        "patch" => change::patch(scene, &line, words),
        "delete" => delete(scene, &line, words),
        "create" if matches!(words, [kind, _] if kind == "namespace" || kind == "ns") => create_namespace(scene, words),
        "create" if matches!(words, [kind, _] if kind == "job") => change::job_of_cron_job(scene, &line, words),
        _ => Err(Trouble::NotCovered),
    };
    match planned {
        Ok(outcomes) => Command::Do(together(outcomes)),
        Err(Trouble::Fails(message)) => Command::Fails(message),
        Err(Trouble::NotCovered) => Command::NotCovered,
    }
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
        || line.flag("--dry-run") == Some("client")
}

/// Whether a command line takes its time: the recorded time of such a line is that of its end.
pub fn takes_time(line: &str) -> bool {
    let line = CommandLine::parse(line);
    match line.words.first().map(String::as_str) {
        Some("drain") => true,
        Some("delete") => line.flag("--wait") != Some("false"),
        _ => false,
    }
}

/// All that was planned, one after the other, up to the first that is answered here.
fn together(outcomes: Vec<Outcome>) -> Outcome {
    let mut requests = Vec::new();
    for outcome in outcomes {
        match outcome {
            Outcome::Ask(more) => requests.extend(more),
            other if requests.is_empty() => return other,
            _ => break,
        }
    }
    Outcome::Ask(requests)
}

/// The key of an object that a line names.
pub(super) fn key(scene: &Scene<'_>, line: &CommandLine, kind: Kind, name: &Name) -> ObjectKey {
    let namespace = line.flag("--namespace").unwrap_or(scene.namespace);
    let namespace = if kind.is_namespaced() { namespace } else { "" };
    let ours = (kind == Kind::Pod).then(|| (scene.pod)(name)).flatten();
    ObjectKey::new(kind, namespace, ours.as_deref().unwrap_or(name))
}

/// The objects that a line is about: named ones, those that its selector selects, or all of a kind.
///
/// Errors: none of them, a kind that we do not have, or a selector that cannot be read.
pub(super) fn targets(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Result<Vec<ObjectKey>, Trouble> {
    let (kind, named) = objects(words).map_err(|_| Trouble::NotCovered)?;
    if !named.is_empty() {
        return Ok(named.iter().map(|(kind, name)| key(scene, line, *kind, name)).collect());
    }
    let selector = match line.flag("--selector") {
        Some(text) => selectors::parse(text).map_err(Trouble::Fails)?,
        None if line.is_set("--all") => Selector::default(),
        None => return Err(Trouble::Fails("resource(s) were provided, but no name was specified".to_owned())),
    };
    let kind = kind.ok_or(Trouble::NotCovered)?;
    let namespace = key(scene, line, kind, &Name::default()).namespace;
    let all = scene.core.newest().objects(kind).into_iter().map(|(_, object)| object);
    let selected =
        all.filter(|it| it.meta().namespace == namespace && selector.matches(&it.meta().labels)).map(|it| it.key());
    let mut keys: Vec<ObjectKey> = selected.collect();
    keys.sort();
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

/// A patch of an object.
pub(super) fn patched(scene: &Scene<'_>, key: &ObjectKey, media_type: &str, patch: &Value) -> Outcome {
    edge::translate(scene.core, "PATCH", &Path::of(key), media_type, patch)
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
                None => return Command::NotCovered,
            },
            "--pod-selector" => match selectors::parse(value) {
                Ok(selector) => options.pods = Some(selector),
                Err(message) => return Command::Fails(message),
            },
            "--namespace" => {}
            _ => return Command::NotCovered,
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

/// Source: `DeleteOptions.Complete`, `DeleteOptions.DeleteResult`, staging/src/k8s.io/kubectl/pkg/cmd/delete/delete.go.
fn delete(scene: &Scene<'_>, line: &CommandLine, words: &[String]) -> Planned {
    let known = ["--cascade", "--force", "--grace-period", "--now", "--selector", "--all", "--ignore-not-found"];
    if !line.knows_flags(&known) {
        return Err(Trouble::NotCovered);
    }
    let propagation = match line.flag("--cascade").unwrap_or("background") {
        "background" | "true" => Propagation::BackgroundAnyway,
        "foreground" => Propagation::Foreground,
        "orphan" | "false" => Propagation::Orphan,
        other => return Err(Trouble::Fails(format!("invalid cascade value ({other})"))),
    };
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
    let keys = targets(scene, line, words)?;
    // Each object is deleted by itself; one that is not there is told at the end.
    let delete = |key: ObjectKey| Request::Delete { key, uid: None, grace: grace.map(Span::from_secs), propagation };
    let there = |key: &ObjectKey| !lenient || scene.core.find(key).is_some();
    Ok(vec![Outcome::Ask(keys.into_iter().filter(there).map(delete).collect())])
}

fn create_namespace(scene: &Scene<'_>, words: &[String]) -> Planned {
    let body = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": words[1]}});
    let path = Path { plural: "namespaces".to_owned(), ..Path::default() };
    Ok(vec![edge::translate(scene.core, "POST", &path, "", &body)])
}

#[cfg(test)]
mod tests;
