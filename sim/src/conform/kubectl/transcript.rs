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

use crate::conform::kubectl::words::{CommandLine, objects};
use crate::conform::line::Line;
use crate::conform::recording::{Deed, Step};

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
        if let Some(at_ms) = shown_ms(&CommandLine::parse(&spoken.line), others, lines, after_ms) {
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
        Step { at_ms, from_ms: at_ms, what: Deed::Kubectl(spoken.line.clone(), spoken.code) }
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

/// When the events show what a command did, not before a point.
pub fn shown_ms(line: &CommandLine, others: &[Step], lines: &[Line], after_ms: i64) -> Option<i64> {
    let (verb, words) = line.words.split_first()?;
    if let Some((kind, name)) = super::made_by(line).into_iter().next() {
        let shows = |line: &&Line| {
            line.is_added() && line.kind == kind.name() && line.short_name() == name && line.at_ms >= after_ms
        };
        return lines.iter().filter(shows).find(|line| !is_asked_for(others, line)).map(|line| line.at_ms);
    }
    let part: fn(&str) -> bool = match verb.as_str() {
        "delete" => |_| false,
        "label" => |key| key == "labels",
        "annotate" => |key| key == "annotations",
        "taint" => |key| key == "taints",
        "cordon" | "uncordon" | "drain" => |key| key == "unschedulable",
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
    let (_, objects) = objects(&named).ok()?;
    let of_object =
        |line: &&Line| objects.iter().any(|(kind, name)| line.kind == kind.name() && line.short_name() == &**name);
    let mut before: Option<&Line> = None;
    for line in lines.iter().filter(of_object) {
        let ends = line.is_deleted() || line.fields.contains_key("deletionTimestamp");
        let differs = before.is_some_and(|before| {
            let keys = before.fields.keys().chain(line.fields.keys()).filter(|key| part(key));
            before.name == line.name && keys.into_iter().any(|key| before.fields.get(key) != line.fields.get(key))
        });
        let shows = if verb == "delete" { ends } else { differs && !line.is_deleted() };
        if shows && line.at_ms >= after_ms && !is_asked_for(others, line) {
            return Some(line.at_ms);
        }
        before = Some(line);
    }
    None
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
    use serde_json::{Value, json};

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
                Deed::Kubectl(line, code) => (step.at_ms, line.as_str(), *code),
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
    fn a_drain_begins_when_its_node_is_cordoned() {
        let nodes = [
            line(0, "ADDED", "Node", "n1", json!({})),
            line(9_000, "MODIFIED", "Node", "n1", json!({"unschedulable": true})),
        ];
        let nodes = nodes.map(|line| Line { name: "n1".to_owned(), ..line });
        let drain = CommandLine::parse("drain n1 --ignore-daemonsets --timeout=60s");
        assert_eq!(shown_ms(&drain, &[], &nodes, 3_000), Some(9_000));
        assert_eq!(shown_ms(&drain, &[], &nodes, 9_001), None, "it was cordoned before");
    }
}
