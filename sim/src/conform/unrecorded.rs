//! What a recording's events need and its steps do not say: objects that somebody made whose requests were not
//! recorded.
//!
//! Three things can be told from the events without guessing. A machine whose node is deleted was removed. An object of
//! a kind that no controller makes, and whose whole spec the events show, was asked for by somebody: a request with
//! that spec, less what an API server chooses by itself. And a claim that is bound to a volume which nothing in the
//! steps makes was bound to one that was there: its size, modes and class are those that the claim shows. What such a
//! volume was like beyond that, and which others there were, is not known; volumes are therefore not compared in such a
//! recording.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::conform::kubectl;
use crate::conform::line::Line;
use crate::conform::recording::{Deed, Step};

/// Kinds that no controller makes and that events show with their whole spec: kind, API version, plural.
const ASKED_FOR: [(&str, &str, &str); 3] = [
    ("Service", "api/v1", "services"),
    ("PodDisruptionBudget", "apis/policy/v1", "poddisruptionbudgets"),
    ("ResourceQuota", "api/v1", "resourcequotas"),
];

/// The creations that the events show and no step asks for.
pub fn creations(steps: &[Step], lines: &[Line]) -> Vec<Step> {
    let step = |line: &Line| {
        let (kind, root, plural) = ASKED_FOR.iter().find(|(kind, ..)| *kind == line.kind)?;
        let asked = steps.iter().any(|step| asks_for(step, kind, line.short_name()));
        // Who made what was there from the beginning is not asked either, but it was no part of the scenario.
        if !line.is_added() || asked || line.at_ms < 0 || steps.is_empty() || !line.text("owner").is_empty() {
            return None;
        }
        let version = root.split_once('/').map_or("v1", |(_, version)| version);
        let mut metadata = json!({"name": line.short_name()});
        for key in ["labels", "annotations"] {
            if let Some(pairs) = line.fields.get(key) {
                metadata[key] = pairs.clone();
            }
        }
        let spec = chosen_by_hand(kind, line.fields.get("spec")?);
        let body = json!({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec});
        let what = Deed::Request {
            method: "POST".to_owned(),
            path: format!("/{root}/namespaces/{}/{plural}", line.namespace()),
            content_type: String::new(),
            body,
            code: 201,
            message: None,
        };
        Some(Step { at_ms: line.at_ms, from_ms: line.at_ms, what })
    };
    lines.iter().filter_map(step).collect()
}

/// The removals of machines that the events show and no step asks for: no controller deletes a node.
pub fn removals(steps: &[Step], lines: &[Line]) -> Vec<Step> {
    let of_machine = |step: &Step, op: &str, name: &str| match &step.what {
        Deed::Machine(machine) => machine["op"] == op && machine["name"] == name,
        _ => false,
    };
    let asked = |step: &Step, name: &str| match &step.what {
        Deed::Machine(_) => of_machine(step, "remove", name),
        Deed::Request { method, path, .. } => method == "DELETE" && path.contains("/nodes"),
        Deed::Kubectl(command, ..) => command.contains("delete") && command.contains(name),
    };
    let removal = |line: &Line| {
        let name = line.name.as_str();
        let came = steps.iter().find(|step| of_machine(step, "add", name))?;
        let unasked = !steps.iter().any(|step| asked(step, name));
        let what = Deed::Machine(json!({"op": "remove", "name": name}));
        (unasked && line.at_ms > came.at_ms).then_some(Step { at_ms: line.at_ms, from_ms: line.at_ms, what })
    };
    lines.iter().filter(|line| line.what == "DELETED" && line.kind == "Node").filter_map(removal).collect()
}

fn asks_for(step: &Step, kind: &str, name: &str) -> bool {
    match &step.what {
        // An apply and some kinds' PUT create, too.
        Deed::Request { body, code, .. } => *code == 201 && body["kind"] == kind && body["metadata"]["name"] == name,
        Deed::Kubectl(command, code, beside) => {
            *code == 0
                && kubectl::made(command, &beside.manifests).iter().any(|(made, of)| made.name() == kind && of == name)
        }
        Deed::Machine(_) => false,
    }
}

/// A spec without what the API server draws.
fn chosen_by_hand(kind: &str, spec: &Value) -> Value {
    let mut spec = spec.clone();
    if kind == "Service"
        && let Value::Object(fields) = &mut spec
    {
        if fields.get("clusterIP").is_some_and(|address| address != "None") {
            fields.remove("clusterIP");
            fields.remove("clusterIPs");
        }
        fields.remove("healthCheckNodePort");
        for port in fields.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::Object(port) = port {
                port.remove("nodePort");
            }
        }
    }
    spec
}

/// The volumes that claims were bound to and that nothing in the steps makes, as manifests.
pub fn volumes(steps: &[Step], lines: &[Line]) -> Vec<Value> {
    let made = |kind: &str, name: &str| steps.iter().any(|step| asks_for(step, kind, name));
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.kind == "PersistentVolumeClaim") {
        let empty = Value::Null;
        let (spec, status) = (line.fields.get("spec").unwrap_or(&empty), line.fields.get("status").unwrap_or(&empty));
        let (Some(name), Some(size)) = (spec["volumeName"].as_str(), status["capacity"]["storage"].as_str()) else {
            continue;
        };
        let class = spec["storageClassName"].as_str().unwrap_or_default();
        if made("PersistentVolume", name) || made("StorageClass", class) {
            continue;
        }
        found.entry(name.to_owned()).or_insert_with(|| {
            json!({
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": name},
                "spec": {
                    "capacity": {"storage": size},
                    "accessModes": status["accessModes"],
                    "volumeMode": spec["volumeMode"],
                    "storageClassName": class,
                    "hostPath": {"path": format!("/volumes/{name}")},
                },
            })
        });
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::recording::Beside;

    fn line(value: Value) -> Line {
        Line::from_json(value).expect("the line is whole")
    }

    fn request(kind: &str, name: &str) -> Step {
        let body = json!({"kind": kind, "metadata": {"name": name}});
        let path = "/api/v1/namespaces/s/services".to_owned();
        let what = Deed::Request {
            method: "POST".to_owned(),
            path,
            content_type: String::new(),
            body,
            code: 201,
            message: None,
        };
        Step { at_ms: 0, from_ms: 0, what }
    }

    #[test]
    fn a_service_that_no_step_made_is_asked_for_without_what_was_drawn() {
        let shown = |name: &str| {
            line(json!({"t_ms": 20, "type": "ADDED", "kind": "Service", "name": format!("s/{name}"), "spec": {
                "type": "NodePort", "clusterIP": "10.0.0.9", "clusterIPs": ["10.0.0.9"],
                "ports": [{"port": 80, "nodePort": 30001}]}}))
        };
        let found = creations(&[request("Service", "web")], &[shown("web"), shown("x0")]);
        let [Step { at_ms: 20, what: Deed::Request { path, body, .. }, .. }] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(path, "/api/v1/namespaces/s/services");
        assert_eq!(body["metadata"]["name"], "x0");
        assert_eq!(body["spec"], json!({"type": "NodePort", "ports": [{"port": 80}]}));
    }

    #[test]
    fn what_a_command_or_an_apply_made_is_asked_for_already() {
        let shown = |name: &str| {
            line(json!({"t_ms": 20, "type": "ADDED", "kind": "Service", "name": format!("s/{name}"), "spec": {}}))
        };
        let command = |text: &str, code: i64| Step {
            at_ms: 0,
            from_ms: 0,
            what: Deed::Kubectl(text.to_owned(), code, Beside::default()),
        };
        let mut applied = request("Service", "d");
        if let Deed::Request { method, .. } = &mut applied.what {
            *method = "PATCH".to_owned();
        }
        let steps = [
            command("expose deploy a --port=80", 0),
            command("run b --image=b --port=80 --expose", 0),
            command("create service clusterip c --tcp=80", 1),
            command("scale deploy/e --replicas=2", 0),
            applied,
        ];
        let found = creations(&steps, &["a", "b", "c", "d", "e"].map(shown));
        let name = |step: &Step| match &step.what {
            Deed::Request { body, .. } => body["metadata"]["name"].clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(found.iter().map(name).collect::<Vec<_>>(), ["c", "e"], "a name in a command is no creation");
    }

    #[test]
    fn a_claims_volume_is_as_the_claim_shows_it() {
        let claim = line(json!({"t_ms": 20, "type": "MODIFIED", "kind": "PersistentVolumeClaim", "name": "s/data",
            "spec": {"volumeName": "pv1", "storageClassName": "slow", "volumeMode": "Filesystem"},
            "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}}));
        let found = volumes(&[], std::slice::from_ref(&claim));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["spec"]["capacity"]["storage"], "1Gi");
        assert_eq!(found[0]["spec"]["storageClassName"], "slow");
        assert_eq!(volumes(&[request("StorageClass", "slow")], &[claim]), Vec::<Value>::new(), "it may have been made");
    }

    #[test]
    fn a_node_that_goes_although_no_step_says_so_was_removed_once_it_was_there() {
        let step = |at_ms, what| Step { at_ms, from_ms: at_ms, what };
        let machine = |op: &str, name: &str| Deed::Machine(json!({"op": op, "name": name}));
        let gone = |t_ms: i64, name: &str| line(json!({"t_ms": t_ms, "type": "DELETED", "kind": "Node", "name": name}));
        let steps =
            [step(0, machine("add", "n1")), step(0, machine("add", "n2")), step(9_000, machine("remove", "n2"))];
        let lines = [gone(-5_000, "n1"), gone(9_010, "n2"), gone(12_000, "n1"), gone(13_000, "pool-1")];
        let found: Vec<_> = removals(&steps, &lines).iter().map(|step| step.at_ms).collect();
        assert_eq!(found, [12_000], "before it came, as a step says, by nobody, and of a machine that no step knows");
    }
}
