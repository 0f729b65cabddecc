//! `kubectl.txt`: command lines with what they printed, one after the other, without times.
//!
//! ```text
//! $ kubectl -n shop scale deploy/till --replicas=3
//! deployment.apps/till scaled
//! (rc 0)
//! ```
//!
//! When a command was given is told by the events that show what it did. Those that show nothing of their own lie
//! between their neighbours at even distances, commands that only read among them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wavetank_core::id::Name;
use wavetank_core::model::{Kind, Labels};

use crate::conform::kubectl::words::{CommandLine, objects};
use crate::conform::line::Line;
use crate::conform::recording::{Beside, Deed, Step};
use crate::conform::selectors;

/// How long a command takes where nothing tells, in milliseconds.
const USUAL_MS: i64 = 120;

/// A command and its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// The line without the word `kubectl`.
    pub line: String,
    /// The exit code.
    pub code: i64,
}

/// Reads the commands of a transcript.
pub fn read(text: &str) -> Vec<Spoken> {
    let mut spoken: Vec<Spoken> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ kubectl ") {
            spoken.push(Spoken { line: command.trim().to_owned(), code: 0 });
        }
        let code = line.strip_prefix("(rc ").and_then(|rest| rest.strip_suffix(')')).and_then(|code| code.parse().ok());
        if let (Some(code), Some(last)) = (code, spoken.last_mut()) {
            last.code = code;
        }
    }
    spoken
}

/// The commands that change something as steps, with the times that the events tell.
pub fn steps(spoken: &[Spoken], others: &[Step], lines: &[Line]) -> Vec<Step> {
    let mut shown: Vec<(usize, i64)> = Vec::new();
    let mut after_ms = i64::MIN;
    for (place, spoken) in spoken.iter().enumerate().filter(|(_, spoken)| spoken.code == 0) {
        if let Some(at_ms) = shown_ms(&CommandLine::parse(&spoken.line), &[], others, lines, after_ms) {
            shown.push((place, at_ms));
            // No change is what two commands did.
            after_ms = at_ms + 1;
        }
    }
    let last_ms = others.iter().map(|step| step.at_ms).max().unwrap_or(0);
    let commands =
        spoken.iter().enumerate().filter(|(_, spoken)| !super::only_reads(&CommandLine::parse(&spoken.line)));
    let step = |(place, spoken): (usize, &Spoken)| {
        let at_ms = time_of(place, &shown, last_ms);
        Step { at_ms, from_ms: at_ms, what: Deed::Kubectl(spoken.line.clone(), spoken.code, Beside::default()) }
    };
    commands.map(step).collect()
}

/// The time of the command at a place, between those that are shown.
fn time_of(place: usize, shown: &[(usize, i64)], last_ms: i64) -> i64 {
    let distance = |from: usize, to: usize| i64::try_from(to - from).unwrap_or(0);
    let before = shown.iter().rev().find(|(at, _)| *at <= place);
    let after = shown.iter().find(|(at, _)| *at >= place);
    match (before, after) {
        (Some((from, from_ms)), Some((to, to_ms))) if from < to => {
            from_ms + (to_ms - from_ms) * distance(*from, place) / distance(*from, *to)
        }
        (Some((from, from_ms)), _) => from_ms + USUAL_MS * distance(*from, place),
        (None, Some((to, to_ms))) => to_ms - USUAL_MS * distance(place, *to),
        (None, None) => last_ms + USUAL_MS * distance(0, place + 1),
    }
}

/// When the events show what a command did, not before a point. What it was given in files comes with it.
pub fn shown_ms(
    line: &CommandLine,
    manifests: &[Value],
    others: &[Step],
    lines: &[Line],
    after_ms: i64,
) -> Option<i64> {
    let (verb, words) = line.words.split_first()?;
    let made = super::made_by(line, manifests);
    if let Some((kind, name)) = made.first() {
        let shows = |line: &&Line| {
            line.is_added() && line.kind == kind.name() && line.short_name() == *name && line.at_ms >= after_ms
        };
        let shown = lines.iter().filter(shows).find(|line| !is_asked_for(others, line)).map(|line| line.at_ms);
        // What is applied may have been there before.
        if shown.is_some() || verb != "apply" {
            return shown;
        }
    }
    let part: fn(&str) -> bool = match verb.as_str() {
        "delete" => |_| false,
        "label" => |key| key == "labels",
        "annotate" => |key| key == "annotations",
        "taint" => |key| key == "taints",
        "cordon" | "uncordon" | "drain" => |key| key == "unschedulable",
        "apply" | "replace" => {
            |key| ["generation", "image", "labels", "annotations"].contains(&key) || key.starts_with("spec")
        }
        "scale" | "set" | "rollout" | "patch" => |key| key == "generation" || key == "image" || key.starts_with("spec"),
        _ => return None,
    };
    let named: Vec<String> = match verb.as_str() {
        "cordon" | "uncordon" | "drain" => ["nodes".to_owned()].into_iter().chain(words.iter().cloned()).collect(),
        "set" | "rollout" => words.iter().skip(1).filter(|word| !word.contains('=')).cloned().collect(),
        _ => {
            let is_change = |word: &&String| word.contains('=') || word.contains(':') || word.ends_with('-');
            words.iter().filter(|word| !is_change(word)).cloned().collect()
        }
    };
    let (kinds, mut objects) = objects(&named).ok()?;
    if line.flag("--filename").is_some() {
        objects = super::files::named(manifests).into_iter().map(|(kind, name)| (kind, name.as_str().into())).collect();
    }
    // Whatever of its kinds a command asks for by labels; fields select among these, and so does `--all`.
    let selector = line.flag("--selector").map(selectors::parse).transpose().ok()?.unwrap_or_default();
    let selects = |shown: &Line| {
        let labels = shown.fields.get("labels").and_then(Value::as_object).into_iter().flatten();
        let labels = Labels::new(labels.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default())));
        kinds.iter().any(|kind| shown.kind == kind.name()) && selector.matches(&labels)
    };
    let of_object = |shown: &&Line| {
        let is_named = |(kind, name): &(Kind, Name)| shown.kind == kind.name() && shown.short_name() == &**name;
        if objects.is_empty() { verb == "delete" && selects(shown) } else { objects.iter().any(is_named) }
    };
    let mut seen: BTreeMap<(&str, &str), &Line> = BTreeMap::new();
    let shows = |line: &Line, before: Option<&Line>| {
        let leaves = |line: &Line| line.is_deleted() || line.fields.contains_key("deletionTimestamp");
        // One of several that a command selects may have been asked to go before.
        let ends = leaves(line) && !(objects.is_empty() && before.is_some_and(leaves));
        let differs = before.is_some_and(|before| {
            let keys = before.fields.keys().chain(line.fields.keys()).filter(|key| part(key));
            keys.into_iter().any(|key| before.fields.get(key) != line.fields.get(key))
        });
        let shows = if verb == "delete" { ends } else { differs && !line.is_deleted() };
        shows && line.at_ms >= after_ms && !is_asked_for(others, line)
    };
    let change = lines.iter().filter(of_object).find(|line| {
        let before = seen.insert((line.kind.as_str(), line.name.as_str()), line);
        shows(line, before)
    });
    let evicted_ms = if verb == "drain" { evicted_ms(&objects, lines, after_ms) } else { None };
    change.map(|line| line.at_ms).into_iter().chain(evicted_ms).min()
}

/// When the first pod of some nodes was evicted, not before a point: what a drain of nodes shows that were cordoned
/// already.
fn evicted_ms(nodes: &[(Kind, Name)], lines: &[Line], after_ms: i64) -> Option<i64> {
    let is_evicted = |line: &Line| {
        let target = line.fields.get("conditions").and_then(|all| all["DisruptionTarget"].as_str());
        let there = nodes.iter().any(|(_, name)| line.text("nodeName") == &**name);
        there && line.kind == "Pod" && target.is_some_and(|target| target.starts_with("True(EvictionByEvictionAPI)"))
    };
    let mut evicted: BTreeSet<&str> = BTreeSet::new();
    let firsts = lines.iter().filter(|line| is_evicted(line)).filter(|line| evicted.insert(line.name.as_str()));
    firsts.map(|line| line.at_ms).find(|at_ms| *at_ms >= after_ms)
}

/// Whether a request of the steps changed that object just then.
fn is_asked_for(steps: &[Step], line: &Line) -> bool {
    const JUST_MS: i64 = 500;
    let names = |path: &str| path.split(['/', '?']).any(|part| part == line.short_name());
    steps.iter().any(|step| {
        (line.at_ms - JUST_MS..=line.at_ms).contains(&step.at_ms)
            && matches!(&step.what, Deed::Request { path, .. } if names(path))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "$ kubectl -n shop get pods\nNAME  READY\n(rc 0)\n\n\
                        $ kubectl -n shop scale sts/db --replicas=1\nstatefulset.apps/db scaled\n(rc 0)\n\n\
                        $ kubectl cordon n1\n(rc 0)\n\n\
                        $ kubectl get nodes\n(rc 0)\n\n\
                        $ kubectl -n shop delete deploy till\n(rc 0)\n\n\
                        $ kubectl -n shop delete pod nope\nError\n(rc 1)\n";

    fn line(at_ms: i64, what: &str, kind: &str, name: &str, fields: Value) -> Line {
        let mut value = json!({"t_ms": at_ms, "type": what, "kind": kind, "name": format!("shop/{name}")});
        value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Line::from_json(value).expect("the line is whole")
    }

    #[test]
    fn commands_are_as_late_as_the_events_show_and_the_others_lie_between_them() {
        let lines = [
            line(0, "ADDED", "StatefulSet", "db", json!({"spec.replicas": 3, "generation": 1})),
            line(9, "ADDED", "Deployment", "till", json!({"generation": 1})),
            line(
                900,
                "MODIFIED",
                "StatefulSet",
                "db",
                json!({"spec.replicas": 3, "generation": 1, "status": {"replicas": 3}}),
            ),
            line(1_000, "MODIFIED", "StatefulSet", "db", json!({"spec.replicas": 1, "generation": 2})),
            line(1_300, "DELETED", "Deployment", "till", json!({"generation": 1})),
        ];
        let found = steps(&read(TEXT), &[], &lines);
        let told: Vec<(i64, &str, i64)> = found
            .iter()
            .map(|step| match &step.what {
                Deed::Kubectl(line, code, _) => (step.at_ms, line.as_str(), *code),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [
            (1_000, "-n shop scale sts/db --replicas=1", 0),
            (1_100, "cordon n1", 0),
            (1_300, "-n shop delete deploy till", 0),
            (1_420, "-n shop delete pod nope", 1),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_deletion_by_labels_begins_when_the_first_that_they_select_is_asked_to_go() {
        let labels = |app: &str| json!({"labels": {"app": app}});
        let leaving = |app: &str| json!({"labels": {"app": app}, "deletionTimestamp": "2026-11-22T01:36:59Z"});
        let lines = [
            line(0, "ADDED", "Pod", "web-a", labels("web")),
            line(1, "ADDED", "Pod", "web-b", labels("web")),
            line(2, "ADDED", "Pod", "db-0", labels("db")),
            line(2_000, "MODIFIED", "Pod", "web-a", leaving("web")),
            line(3_000, "MODIFIED", "Pod", "db-0", leaving("db")),
            line(4_000, "DELETED", "Pod", "web-a", leaving("web")),
            line(5_000, "MODIFIED", "Pod", "web-b", leaving("web")),
        ];
        let begins = |command: &str, after_ms| shown_ms(&CommandLine::parse(command), &[], &[], &lines, after_ms);
        assert_eq!(begins("delete pods -l app=web", 1_000), Some(2_000));
        assert_eq!(begins("delete pods -l app=web", 2_500), Some(5_000), "web-a was asked to go before");
        assert_eq!(begins("delete pods --all", 2_500), Some(3_000));
        assert_eq!(begins("delete jobs --all", 0), None);
        assert_eq!(begins("scale pods -l app=web --replicas=2", 0), None);
    }

    #[test]
    fn a_drain_begins_when_its_node_is_cordoned() {
        let nodes = [
            line(0, "ADDED", "Node", "n1", json!({})),
            line(9_000, "MODIFIED", "Node", "n1", json!({"unschedulable": true})),
        ];
        let nodes = nodes.map(|line| Line { name: "n1".to_owned(), ..line });
        let drain = CommandLine::parse("drain n1 --ignore-daemonsets --timeout=60s");
        assert_eq!(shown_ms(&drain, &[], &[], &nodes, 3_000), Some(9_000));
        assert_eq!(shown_ms(&drain, &[], &[], &nodes, 9_001), None, "it was cordoned before");
        let why = json!({"DisruptionTarget": "True(EvictionByEvictionAPI): Eviction API: evicting"});
        let pod = |at_ms, name| line(at_ms, "MODIFIED", "Pod", name, json!({"nodeName": "n1", "conditions": why}));
        let mut uncordoned = line(30_000, "MODIFIED", "Node", "n1", json!({}));
        uncordoned.name = "n1".to_owned();
        let pods = vec![pod(8_000, "a"), pod(9_500, "a"), pod(12_000, "b"), uncordoned];
        let lines = [nodes.to_vec(), pods].concat();
        assert_eq!(shown_ms(&drain, &[], &[], &lines, 9_001), Some(12_000), "what it evicts tells then");
    }
}
