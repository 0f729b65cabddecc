//! The story of a recording or of a play: for every object, what happened to each of its parts, one after the other.
//!
//! A *track* is one part of one object: its life, its size, one of its conditions, one taint, what was said about it.
//! Its entries are the different values in order, with their times. Names that were drawn are replaced by what is
//! structural about them (`names`). `objects` tells the tracks of an object, `like_pods` those of pods that are
//! exchangeable: their lives are counted, not told apart. `said` tells events.
//!
//! Absent on purpose: counts in statuses on their way (how many writes a controller makes of them is a matter of
//! timing); their last values are compared.

mod like_pods;
mod names;
mod objects;
mod said;

pub(super) use objects::HINTS;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::conform::line::Line;
pub(super) use names::Names;

/// One entry of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When, in milliseconds.
    pub at_ms: i64,
    /// The value.
    pub value: String,
}

/// All tracks, by name.
pub type Story = BTreeMap<String, Vec<Entry>>;

/// Tells the story of lines. Lines before `from_ms` set the scene: they make names known but nothing of them is told.
pub fn tell(lines: &[Line], from_ms: i64) -> Story {
    let names = Names::of(lines);
    let mut teller = Teller { names, from_ms, story: Story::new(), lives: BTreeMap::new(), seen: BTreeMap::new() };
    for line in lines {
        teller.line(line);
    }
    teller.finish()
}

struct Teller {
    names: Names,
    from_ms: i64,
    story: Story,
    /// The lives of exchangeable pods so far, by full name: owner's track and what has happened.
    lives: BTreeMap<String, (String, Vec<String>)>,
    /// The last line of each object.
    seen: BTreeMap<(String, String), Line>,
}

impl Teller {
    fn line(&mut self, line: &Line) {
        if line.kind == "Event" {
            // A namespace that goes takes what was said along; nobody says it again with that.
            if line.is_deleted() {
                return;
            }
            return self.event(line);
        }
        let name = self.names.of_line(line);
        let key = (line.kind.clone(), line.name.clone());
        let before = self.seen.get(&key).cloned();
        let subject = format!("{}/{name}", line.kind);
        if name.ends_with("-*") {
            self.like_pod(&subject, before.as_ref(), line);
        } else {
            self.object(&subject, before.as_ref(), line);
        }
        if line.is_deleted() {
            self.seen.remove(&key);
        } else {
            self.seen.insert(key, line.clone());
        }
    }

    fn push(&mut self, line: &Line, track: String, value: String) {
        if line.at_ms < self.from_ms {
            return;
        }
        self.story.entry(track).or_default().push(Entry { at_ms: line.at_ms, value });
    }

    fn finish(mut self) -> Story {
        let mut shapes: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for (subject, life) in self.lives.into_values() {
            *shapes.entry(subject).or_default().entry(life.join(", ")).or_default() += 1;
        }
        // What stands at the end has no time of its own.
        let end = 0;
        for (subject, shapes) in shapes {
            let lives =
                shapes.into_iter().map(|(life, count)| Entry { at_ms: end, value: format!("{count} x {life}") });
            self.story.insert(format!("{subject} lives"), lives.collect());
        }
        let last: Vec<(String, Line)> = self
            .seen
            .values()
            .map(|line| (format!("{}/{}", line.kind, self.names.of_line(line)), line.clone()))
            .collect();
        for (subject, line) in last {
            if let Some(status) = line.fields.get("status").and_then(Value::as_object) {
                let decided: Vec<String> = status
                    .iter()
                    .filter(|(key, value)| {
                        key.as_str() != "observedGeneration" && (value.is_number() || value.is_string())
                    })
                    .filter(|(key, value)| value.as_i64() != Some(0) || key.is_empty())
                    .filter(|(key, _)| !key.ends_with("Time") && !key.ends_with("Revision"))
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect();
                let value = decided.join(" ");
                // A status in which nothing is decided may be shown as one with empty lists, or not at all.
                if !value.is_empty() {
                    self.story.insert(format!("{subject} last status"), vec![Entry { at_ms: end, value }]);
                }
            }
        }
        self.story
    }
}

/// `True(Reason)` of `True(Reason): message`.
fn reason_only(text: &str) -> String {
    text.split(": ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_in_which_nothing_is_decided_is_as_none() {
        let last = |status: Value| {
            let line = json!({"t_ms": 0, "type": "ADDED", "kind": "CronJob", "name": "s/load", "status": status});
            let story = tell(&[Line::from_json(line).expect("the line is whole")], 0);
            story.get("CronJob/load last status").map(|entries| entries[0].value.clone())
        };
        assert_eq!((last(json!({})), last(json!({"active": []})), last(json!({"failed": 0}))), (None, None, None));
        assert_eq!(last(json!({"failed": 2})).as_deref(), Some("failed=2"));
    }

    #[test]
    fn what_is_made_again_under_its_name_keeps_its_number_and_a_claim_of_a_like_pod_is_named_after_it() {
        let line = |t_ms: i64, what: &str, kind: &str, name: &str, owner: &str| {
            let name = format!("s/{name}");
            let line = json!({"t_ms": t_ms, "type": what, "kind": kind, "name": name, "owner": owner});
            Line::from_json(line).expect("the line is whole")
        };
        let lines = [
            line(0, "ADDED", "ControllerRevision", "db-77", "StatefulSet/db"),
            line(1, "DELETED", "ControllerRevision", "db-77", "StatefulSet/db"),
            line(2, "ADDED", "ControllerRevision", "db-77", "StatefulSet/db"),
            line(3, "ADDED", "ControllerRevision", "db-99", "StatefulSet/db"),
            line(4, "ADDED", "ReplicaSet", "web-5b", "Deployment/web"),
            line(5, "ADDED", "Pod", "web-5b-x7k2p", "ReplicaSet/web-5b"),
            line(6, "ADDED", "PersistentVolumeClaim", "web-5b-x7k2p-scratch", "Pod/web-5b-x7k2p"),
        ];
        let story = tell(&lines, 0);
        let lives: Vec<&str> = story.keys().filter_map(|track| track.strip_suffix(" life")).collect();
        let claim = "PersistentVolumeClaim/web#1-*-scratch";
        assert_eq!(lives, ["ControllerRevision/db@1", "ControllerRevision/db@2", claim, "ReplicaSet/web#1"]);
    }

    #[test]
    fn volumes_and_claims_tell_how_they_found_each_other() {
        let line = |t_ms: i64, kind: &str, fields: Value| {
            let mut line = json!({"t_ms": t_ms, "type": "MODIFIED", "kind": kind, "name": "it"});
            line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            Line::from_json(line).expect("the line is whole")
        };
        let lines = [
            line(0, "PersistentVolume", json!({"spec": {}, "status": {"phase": "Available"}})),
            line(1, "PersistentVolume", json!({"spec": {"claimRef": {"name": "box"}}, "status": {"phase": "Bound"}})),
            line(2, "PersistentVolume", json!({"spec": {}, "status": {"phase": "Available"}})),
            line(3, "Pod", json!({"nominatedNodeName": "n-4", "status": {"phase": "Running"}})),
        ];
        let story = tell(&lines, 0);
        let told = |track: &str| story[track].iter().map(|entry| entry.value.as_str()).collect::<Vec<_>>();
        assert_eq!(told("PersistentVolume/it claim"), ["box", "none"]);
        assert_eq!(told("PersistentVolume/it binding phase"), ["Available", "Bound", "Available"]);
        assert_eq!(told("Pod/it nominatedNodeName"), ["n-*"], "which of like nodes is drawn");
        assert!(!story.contains_key("Pod/it binding phase"));
    }

    #[test]
    fn a_condition_that_names_another_taint_of_as_many_nodes_has_not_changed() {
        let line = |t_ms: i64, what: &str, reasons: &str| {
            let value = format!("False(Unschedulable): 0/2 nodes are available: {reasons}.");
            let line = json!({
                "t_ms": t_ms, "type": what, "kind": "Pod", "name": "s/a", "conditions": {"PodScheduled": value},
            });
            Line::from_json(line).expect("the line is whole")
        };
        let taint = |key: &str| format!("2 node(s) had untolerated taint {{{key}: }}");
        let lines = [
            line(0, "ADDED", &taint("wet")),
            line(9_000, "MODIFIED", &taint("dry")),
            line(20_000, "MODIFIED", "2 Insufficient cpu"),
        ];
        let times: Vec<i64> = tell(&lines, 0)["Pod/a condition PodScheduled"].iter().map(|entry| entry.at_ms).collect();
        assert_eq!(times, [0, 20_000]);
    }
}
