//! The story of a recording or of a play: for every object, what happened to each of its parts, one after the other.
//!
//! A *track* is one part of one object: its life, its size, one of its conditions, one taint, what was said about it.
//! Its entries are the different values in order, with their times. Names that were drawn are replaced by what is
//! structural about them: `web#2` is the second ReplicaSet of Deployment `web`, `web#2-*` any of its pods, `db~1` the
//! first EndpointSlice of Service `db`. Pods of one owner are exchangeable: their lives are counted, not told apart.
//!
//! Absent on purpose: counts in statuses on their way (how many writes a controller makes of them is a matter of
//! timing); their last values are compared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::conform::line::Line;

/// Fields that tell nothing that the cluster decided, or that are told by tracks of their own.
const NOT_TOLD: &[&str] = &[
    "t_ms",
    "rv",
    "type",
    "kind",
    "name",
    "uid",
    "labels",
    "annotations",
    "conditions",
    "status",
    "taints",
    "endpoints",
    "ports",
    "deletionTimestamp",
    "startTime",
    "podIP",
    "cstate",
    "restarts",
    "count",
    "message",
    "on",
    "source",
    "etype",
    "addressType",
    "deletionGracePeriodSeconds",
    "nodeName",
    "priority",
    "finalizers",
    "hostname",
    "spec",
];
/// Kinds whose objects' names are drawn, with the mark between owner and number.
const NUMBERED: &[(&str, &str)] =
    &[("ReplicaSet", "#"), ("EndpointSlice", "~"), ("ControllerRevision", "@"), ("Job", "%")];
/// Owners whose pods are exchangeable.
const OWNERS_OF_LIKE_PODS: &[&str] = &["ReplicaSet", "DaemonSet", "Job", "ReplicationController"];
/// Annotations that the cluster decides on.
const ANNOTATIONS: &[&str] = &["deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"];

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

/// What names stand for.
struct Names {
    /// From kind and full name to what is structural.
    canonical: BTreeMap<(String, String), String>,
    /// Short names to be replaced in texts, the longest first.
    texts: Vec<(String, String)>,
    /// What the names of like pods begin with: texts also name pods that were refused and never came to be.
    prefixes: BTreeSet<String>,
}

impl Names {
    fn of(lines: &[Line]) -> Names {
        let mut canonical: BTreeMap<(String, String), String> = BTreeMap::new();
        let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
        let (mut texts, mut prefixes) = (Vec::new(), BTreeSet::new());
        for line in lines.iter().filter(|line| line.is_added() && line.kind != "Event") {
            let key = (line.kind.clone(), line.name.clone());
            let owner = line.text("owner");
            let (owner_kind, owner_name) = owner.split_once('/').unwrap_or_default();
            let owner_key = (owner_kind.to_owned(), format!("{}/{owner_name}", line.namespace()));
            let owner_name = canonical.get(&owner_key).cloned().unwrap_or_else(|| owner_name.to_owned());
            let mark = NUMBERED.iter().find(|(kind, _)| *kind == line.kind).map(|(_, mark)| *mark);
            if OWNERS_OF_LIKE_PODS.contains(&line.kind.as_str()) {
                prefixes.insert(format!("{}-", line.short_name()));
            }
            let name = match mark {
                Some(mark) if !owner.is_empty() => {
                    let count = counts.entry((line.kind.clone(), owner.to_owned())).or_insert(0);
                    *count += 1;
                    format!("{owner_name}{mark}{count}")
                }
                _ if line.kind == "Pod" && OWNERS_OF_LIKE_PODS.contains(&owner_kind) => format!("{owner_name}-*"),
                _ => line.short_name().to_owned(),
            };
            if name != line.short_name() {
                texts.push((line.short_name().to_owned(), name.clone()));
            }
            canonical.insert(key, name);
        }
        texts.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        texts.dedup();
        Names { canonical, texts, prefixes }
    }

    fn of_line(&self, line: &Line) -> String {
        let key = (line.kind.clone(), line.name.clone());
        self.canonical.get(&key).cloned().unwrap_or_else(|| line.short_name().to_owned())
    }

    fn of_reference(&self, reference: &str, namespace: &str) -> String {
        let (kind, name) = reference.split_once('/').unwrap_or(("", reference));
        let key = (kind.to_owned(), format!("{namespace}/{name}"));
        match self.canonical.get(&key) {
            Some(name) => format!("{kind}/{name}"),
            None => reference.to_owned(),
        }
    }

    fn in_text(&self, text: &str) -> String {
        let mut text = self.prefixes.iter().fold(text.to_owned(), |text, prefix| without_suffixes(&text, prefix));
        for (name, canonical) in &self.texts {
            if text.contains(name.as_str()) {
                text = text.replace(name.as_str(), canonical);
            }
        }
        text
    }
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

    fn object(&mut self, subject: &str, before: Option<&Line>, line: &Line) {
        self.life(subject, before, line);
        if line.is_deleted() {
            return;
        }
        for (key, value) in &line.fields {
            // A pod's and a slice's generation count what is told of them anyway, write by write.
            let counts_writes =
                key == "generation" && matches!(line.kind.as_str(), "Pod" | "EndpointSlice" | "Namespace");
            if !NOT_TOLD.contains(&key.as_str())
                && !counts_writes
                && before.and_then(|before| before.fields.get(key)) != Some(value)
            {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let text = if key == "owner" { self.names.of_reference(&text, line.namespace()) } else { text };
                self.push(line, format!("{subject} {key}"), text);
            }
        }
        if line.kind == "Service" {
            let spec = |line: &Line| line.fields.get("spec").map(without_drawn_numbers);
            if let Some(spec) = spec(line).filter(|now| before.and_then(spec).as_ref() != Some(now)) {
                self.push(line, format!("{subject} spec"), spec.to_string());
            }
        }
        for key in ANNOTATIONS {
            let of = |line: &Line| line.fields.get("annotations").and_then(|all| all[*key].as_str()).map(str::to_owned);
            if let Some(value) = of(line).filter(|value| before.and_then(of).as_ref() != Some(value)) {
                self.push(line, format!("{subject} annotation {key}"), value);
            }
        }
        self.conditions(subject, before, line);
        self.taints(subject, before, line);
        self.endpoints(subject, before, line);
    }

    fn life(&mut self, subject: &str, before: Option<&Line>, line: &Line) {
        let mut what = Vec::new();
        if before.is_none() && line.is_added() {
            what.push("created");
        }
        let terminating = |line: &Line| line.fields.contains_key("deletionTimestamp");
        if terminating(line) && !before.is_some_and(terminating) && !line.is_deleted() {
            what.push("deletion requested");
        }
        if line.is_deleted() {
            what.push("gone");
        }
        for word in what {
            self.push(line, format!("{subject} life"), word.to_owned());
            let kind = line.kind.clone();
            if kind != "EndpointSlice" && kind != "Node" && word != "gone" {
                let name = subject.split_once('/').map_or("", |(_, name)| name).to_owned();
                self.push(line, format!("{kind}: order of {word}"), name);
            }
        }
    }

    fn conditions(&mut self, subject: &str, before: Option<&Line>, line: &Line) {
        let empty = serde_json::Map::new();
        let of = |line: &Line| line.fields.get("conditions").and_then(Value::as_object).cloned();
        let (old, new) = (before.and_then(of).unwrap_or_default(), of(line).unwrap_or(empty));
        let text = |value: &Value| {
            let text = value.as_str().unwrap_or_default();
            // Recordings add the times of heartbeats of nodes.
            text.split(" hb=").next().unwrap_or_default().to_owned()
        };
        for (kind, value) in &new {
            let now = text(value);
            if old.get(kind).map(text).as_ref() != Some(&now) {
                // A pod's own condition messages name containers and nodes; reasons are what is decided.
                let now = if line.kind == "Node" { reason_only(&now) } else { self.names.in_text(&now) };
                self.push(line, format!("{subject} condition {kind}"), now);
            }
        }
        for kind in old.keys().filter(|kind| !new.contains_key(*kind)) {
            self.push(line, format!("{subject} condition {kind}"), "removed".to_owned());
        }
    }

    fn taints(&mut self, subject: &str, before: Option<&Line>, line: &Line) {
        let of = |line: &Line| -> Vec<String> {
            let list = line.fields.get("taints").and_then(Value::as_array);
            // Recordings add the time at which a controller added a taint.
            let mark = |taint: &Value| taint.as_str().map(|text| text.split('@').next().unwrap_or_default().to_owned());
            list.into_iter().flatten().filter_map(mark).collect()
        };
        let (old, new) = (before.map(of).unwrap_or_default(), of(line));
        for taint in new.iter().filter(|taint| !old.contains(taint)) {
            self.push(line, format!("{subject} taint {taint}"), "added".to_owned());
        }
        for taint in old.iter().filter(|taint| !new.contains(taint)) {
            self.push(line, format!("{subject} taint {taint}"), "removed".to_owned());
        }
    }

    /// Each pod behind a Service by itself: `RS-` is ready and serving, `--T` is terminating; exchangeable pods are
    /// counted by what became of them.
    fn endpoints(&mut self, subject: &str, before: Option<&Line>, line: &Line) {
        let of = |line: &Line| -> BTreeMap<String, String> {
            let map = line.fields.get("endpoints").and_then(Value::as_object);
            let marks = |endpoint: &Value| {
                let mark = |key: &str, letter: &'static str| if endpoint[key] == true { letter } else { "-" };
                [mark("ready", "R"), mark("serving", "S"), mark("terminating", "T")].concat()
            };
            map.into_iter().flatten().map(|(name, endpoint)| (name.clone(), marks(endpoint))).collect()
        };
        let (old, new) = (before.map(of).unwrap_or_default(), of(line));
        let changed = new.iter().filter(|(name, marks)| old.get(*name) != Some(marks));
        let mut told: Vec<(String, String)> = changed.map(|(name, marks)| (name.clone(), marks.clone())).collect();
        let gone = old.keys().filter(|name| !new.contains_key(*name));
        told.extend(gone.map(|name| (name.clone(), "gone".to_owned())));
        for (name, what) in told {
            let canonical = self.names.in_text(&name);
            let track = format!("{subject} endpoint {canonical}");
            if canonical.ends_with("-*") {
                let life = self.lives.entry(format!("{subject} {name}")).or_insert_with(|| (track, Vec::new()));
                life.1.push(what);
            } else {
                self.push(line, track, what);
            }
        }
    }

    /// A pod that could be any of its owner's: it adds to the owner's count, and its life to the lives.
    fn like_pod(&mut self, subject: &str, before: Option<&Line>, line: &Line) {
        let (_, life) = self.lives.entry(line.name.clone()).or_insert_with(|| (subject.to_owned(), Vec::new()));
        let mut words: Vec<String> = Vec::new();
        let had = |test: fn(&Line) -> bool| before.is_some_and(test);
        let ready = |line: &Line| {
            let conditions = line.fields.get("conditions");
            conditions.and_then(|all| all["Ready"].as_str()).is_some_and(|text| text.starts_with("True"))
        };
        let terminating = |line: &Line| line.fields.contains_key("deletionTimestamp");
        if before.is_none() && line.is_added() {
            words.push("created".to_owned());
        }
        if !had(|line| !line.text("nodeName").is_empty()) && !line.text("nodeName").is_empty() {
            words.push("bound".to_owned());
        }
        if terminating(line) && !had(terminating) && !line.is_deleted() {
            words.push("deletion requested".to_owned());
        }
        let phase = line.text("phase");
        if before.is_some_and(|before| before.text("phase") != phase) {
            words.push(phase.to_owned());
        }
        if ready(line) != had(ready) && (ready(line) || !terminating(line)) {
            words.push(if ready(line) { "Ready" } else { "not Ready" }.to_owned());
        }
        let disruption = |line: &Line| {
            let conditions = line.fields.get("conditions")?;
            conditions["DisruptionTarget"].as_str().map(reason_only)
        };
        if let Some(disruption) = disruption(line).filter(|_| before.is_none_or(|before| disruption(before).is_none()))
        {
            words.push(format!("DisruptionTarget {disruption}"));
        }
        if line.is_deleted() {
            words.push("gone".to_owned());
        }
        life.extend(words.iter().cloned());
        for word in words.iter().filter(|word| matches!(word.as_str(), "created" | "deletion requested")) {
            self.push(line, format!("{subject} {word}"), word.clone());
        }
        if before.and_then(|before| before.fields.get("owner")) != line.fields.get("owner") {
            let owner = self.names.of_reference(line.text("owner"), line.namespace());
            if before.is_some() {
                self.push(line, format!("{subject} owner"), owner);
            }
        }
    }

    /// Whether a line is a warning of the loops that repair the allocation of addresses and node ports about a Service
    /// that has what is said not to be allocated: the loop was shown the Service before the allocation.
    ///
    /// Source: `syncService`, pkg/registry/core/service/ipallocator/controller/repairip.go; `doRunOnce`,
    /// pkg/registry/core/service/portallocator/controller/repair.go (v1.34.1).
    fn is_race_of_repair(&self, line: &Line) -> bool {
        let repairs = matches!(line.text("reason"), "ClusterIPNotAllocated" | "PortNotAllocated");
        let words: Vec<&str> = line.text("message").split([' ', ';']).collect();
        let Some((_, name)) = line.text("on").split_once('/').filter(|_| repairs) else { return false };
        let service = self.seen.get(&("Service".to_owned(), format!("{}/{name}", line.namespace())));
        let Some(spec) = service.and_then(|service| service.fields.get("spec")) else { return false };
        let addresses = spec["clusterIPs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let ports = spec["ports"].as_array().into_iter().flatten().map(|port| port["nodePort"].to_string());
        addresses.map(str::to_owned).chain(ports).any(|allocated| words.contains(&allocated.as_str()))
    }

    fn event(&mut self, line: &Line) {
        if self.is_race_of_repair(line) {
            return;
        }
        let on = self.names.of_reference(line.text("on"), line.namespace());
        let on = if on.starts_with("Node/") { line.text("on").to_owned() } else { on };
        let said = format!("{} {}", line.text("etype"), line.text("reason"));
        if on.ends_with("-*") && line.text("reason") != "FailedScheduling" {
            self.push(line, format!("{on} said {said}"), "said".to_owned());
            return;
        }
        let message = without_node_number(&self.names.in_text(line.text("message")));
        let count = line.fields.get("count").and_then(Value::as_u64).filter(|count| *count > 1);
        let count = count.map(|count| format!(" x{count}")).unwrap_or_default();
        self.push(line, format!("{on} said {said}"), format!("{message}{count}"));
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
                self.story.insert(format!("{subject} last status"), vec![Entry { at_ms: end, value }]);
            }
        }
        self.story
    }
}

/// A Service's spec with `…` for addresses and node ports.
fn without_drawn_numbers(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let level = |value: &mut Value| {
        if !value.is_null() && *value != "None" {
            *value = "…".into();
        }
    };
    if let Value::Object(fields) = &mut spec {
        for key in ["clusterIP", "healthCheckNodePort"] {
            fields.get_mut(key).into_iter().for_each(level);
        }
        fields.get_mut("clusterIPs").and_then(Value::as_array_mut).into_iter().flatten().for_each(level);
        let ports = fields.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
        ports.filter_map(|port| port.get_mut("nodePort")).for_each(level);
    }
    spec
}

/// A text with `prefix-*` for each quoted name that is the prefix and five drawn letters.
fn without_suffixes(text: &str, prefix: &str) -> String {
    let quoted = format!("\"{prefix}");
    let mut parts = text.split(&quoted);
    let mut leveled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_drawn = part.len() > 5 && part.is_char_boundary(5) && part[5..].starts_with('"');
        let rest = if is_drawn && part[..5].bytes().all(|it| it.is_ascii_alphanumeric()) { &part[5..] } else { part };
        leveled.push_str(&format!("\"{prefix}{}{rest}", if rest.len() < part.len() { "*" } else { "" }));
    }
    leveled
}

/// Which of several like nodes a pod was assigned to is drawn: nodes of one name but for its number count as alike.
fn without_node_number(message: &str) -> String {
    match message.rsplit_once(" to ") {
        Some((start, node)) if start.starts_with("Successfully assigned") => {
            format!("{start} to {}*", node.trim_end_matches(|letter: char| letter.is_ascii_digit()))
        }
        _ => message.to_owned(),
    }
}

/// `True(Reason)` of `True(Reason): message`.
fn reason_only(text: &str) -> String {
    text.split(": ").next().unwrap_or_default().to_owned()
}
