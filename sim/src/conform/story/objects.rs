//! The tracks of an object: its life, its fields, its conditions, its taints, its endpoints.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Teller, reason_only};
use crate::conform::line::Line;
use crate::conform::unfit;

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
    "subsets",
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
    "nominatedNodeName",
    "priority",
    "finalizers",
    "hostname",
    "spec",
];

/// Annotations that the cluster decides on.
const ANNOTATIONS: &[&str] = &["deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"];

/// A part of an object as a line shows it.
type Part = fn(&Line) -> Option<String>;

/// Parts that stand somewhere in an object: where a pod is to come once others have made room, which of like nodes
/// that is being drawn, and how volumes and claims have found each other.
const PARTS: [(&str, Part); 4] = [
    ("nominatedNodeName", |line| {
        let node = Some(line.text("nominatedNodeName")).filter(|node| !node.is_empty())?;
        Some(format!("{}*", node.trim_end_matches(|letter: char| letter.is_ascii_digit())))
    }),
    ("binding phase", |line| of_volume(line, "status", "/phase")),
    ("volume", |line| of_volume(line, "spec", "/volumeName")),
    ("claim", |line| of_volume(line, "spec", "/claimRef/name")),
];

/// A text within a claim or a volume.
fn of_volume(line: &Line, field: &str, path: &str) -> Option<String> {
    let value = line.fields.get(field).filter(|_| line.kind.starts_with("PersistentVolume"))?;
    value.pointer(path)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

impl Teller {
    pub(super) fn object(&mut self, subject: &str, before: Option<&Line>, line: &Line) {
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
        for (part, of) in PARTS {
            let now = of(line);
            if before.and_then(of) != now {
                let text = now.map_or_else(|| "none".to_owned(), |now| self.names.in_text(&now));
                self.push(line, format!("{subject} {part}"), text);
            }
        }
        self.conditions(subject, before, line);
        self.taints(subject, before, line);
        self.endpoints(subject, before, line);
    }

    pub(super) fn life(&mut self, subject: &str, before: Option<&Line>, line: &Line) {
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
            if !matches!(kind.as_str(), "EndpointSlice" | "Endpoints" | "Node") && word != "gone" {
                let name = subject.split_once('/').map_or("", |(_, name)| name).to_owned();
                self.push(line, format!("{kind}: order of {word}"), name);
            }
        }
    }

    pub(super) fn conditions(&mut self, subject: &str, before: Option<&Line>, line: &Line) {
        let empty = serde_json::Map::new();
        let of = |line: &Line| line.fields.get("conditions").and_then(Value::as_object).cloned();
        let (old, new) = (before.and_then(of).unwrap_or_default(), of(line).unwrap_or(empty));
        // What is told of a condition; a new text that tells the same is no change.
        let text = |value: &Value| {
            // Recordings add the times of heartbeats of nodes.
            let text = value.as_str().unwrap_or_default().split(" hb=").next().unwrap_or_default();
            // A pod's own condition messages name containers and nodes; reasons are what is decided.
            if line.kind == "Node" { reason_only(text) } else { unfit::levelled(&self.names.in_text(text)) }
        };
        let mut changes = Vec::new();
        for (kind, value) in new.iter().filter(|(kind, value)| old.get(*kind) != Some(*value)) {
            let now = text(value);
            if old.get(kind).map(text).as_ref() != Some(&now) {
                changes.push((format!("{subject} condition {kind}"), now));
            }
        }
        changes.into_iter().for_each(|(track, now)| self.push(line, track, now));
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
    /// counted by what became of them. For whom they are is told apart from that.
    fn endpoints(&mut self, subject: &str, before: Option<&Line>, line: &Line) {
        let marks = |endpoint: &Value| {
            let mark = |key: &str, letter: &'static str| if endpoint[key] == true { letter } else { "-" };
            Some([mark("ready", "R"), mark("serving", "S"), mark("terminating", "T")].concat())
        };
        self.each_endpoint(subject, "", |line| of_slice(line, marks), before, line);
        let hints = |endpoint: &Value| {
            let mut names = Vec::new();
            texts(&endpoint["hints"], &mut names);
            (!names.is_empty()).then(|| names.join(", "))
        };
        self.each_endpoint(subject, HINTS, |line| of_slice(line, hints), before, line);
        self.each_endpoint(subject, "", of_subsets, before, line);
    }

    fn each_endpoint(
        &mut self,
        subject: &str,
        part: &str,
        of: impl Fn(&Line) -> BTreeMap<String, String>,
        before: Option<&Line>,
        line: &Line,
    ) {
        let (old, new) = (before.map(&of).unwrap_or_default(), of(line));
        let changed = new.iter().filter(|(name, marks)| old.get(*name) != Some(marks));
        let mut told: Vec<(String, String)> = changed.map(|(name, marks)| (name.clone(), marks.clone())).collect();
        let gone = old.keys().filter(|name| !new.contains_key(*name));
        told.extend(gone.map(|name| (name.clone(), "gone".to_owned())));
        for (name, what) in told {
            let canonical = self.names.in_text(&name);
            let track = format!("{subject} endpoint {canonical}{part}");
            if canonical.ends_with("-*") {
                let life = self.lives.entry(format!("{subject} {name}{part}")).or_insert_with(|| (track, Vec::new()));
                life.1.push(what);
            } else {
                self.push(line, track, what);
            }
        }
    }
}

/// What is told of the endpoints of a slice.
fn of_slice(line: &Line, tell: impl Fn(&Value) -> Option<String>) -> BTreeMap<String, String> {
    let map = line.fields.get("endpoints").and_then(Value::as_object).into_iter().flatten();
    map.filter_map(|(name, endpoint)| Some((name.clone(), tell(endpoint)?))).collect()
}

/// The addresses of Endpoints by the name of their pod, or by themselves: under which ports each is, ready (`+`) or
/// not.
fn of_subsets(line: &Line) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for subset in items(line.fields.get("subsets").unwrap_or(&Value::Null)) {
        for (list, mark) in [("addresses", "+"), ("notReadyAddresses", "-")] {
            for address in items(&subset[list]) {
                let name = address["targetRef"]["name"].as_str().or(address["ip"].as_str()).unwrap_or_default();
                let marks = all.entry(name.to_owned()).or_default();
                let ports = items(&subset["ports"]);
                if ports.is_empty() {
                    marks.insert(mark.to_owned());
                }
                let text = |port: &Value| {
                    let [name, protocol] = ["name", "protocol"].map(|key| port[key].as_str().unwrap_or_default());
                    format!("{mark}{name}:{}/{protocol}", port["port"])
                };
                marks.extend(ports.iter().map(text));
            }
        }
    }
    all.into_iter().map(|(name, marks)| (name, marks.into_iter().collect::<Vec<_>>().join(" "))).collect()
}

/// How tracks of whom endpoints are for end.
pub(in crate::conform) const HINTS: &str = " hints";

/// All texts in a value, in order.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, found)),
        _ => {}
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
        // A Service that has become an alias keeps it in the store, where watches see it; reads do not show it.
        // Source: `defaultOnReadInternalTrafficPolicy`, pkg/registry/core/service/storage/storage.go (v1.34.1).
        if fields.get("type").is_some_and(|kind| kind == "ExternalName") {
            fields.remove("internalTrafficPolicy");
        }
    }
    spec
}
