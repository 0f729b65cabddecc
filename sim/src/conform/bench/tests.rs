//! Whole plays of small recordings.

use serde_json::{Value, json};

use super::*;
use crate::conform::recording::{Deed, Step};

fn request(at_ms: i64, method: &str, path: &str, body: Value) -> Step {
    let (method, path) = (method.to_owned(), path.to_owned());
    let what = Deed::Request { method, path, content_type: String::new(), body, code: 201, message: None };
    Step { at_ms, from_ms: at_ms, what }
}

fn recording(steps: Vec<Step>, lines: Vec<Line>) -> Recording {
    Recording { namespace: "shop".to_owned(), steps, lines, ..Recording::empty("shop".to_owned()) }
}

#[test]
fn a_kubelet_that_has_yet_to_hear_that_a_pod_is_to_go_may_still_start_it() {
    let pods = "/api/v1/namespaces/shop/pods";
    let body = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "till"},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let machine = Step { at_ms: 0, from_ms: 0, what: Deed::Machine(json!({"op": "add", "name": "n1"})) };
    // Whether the pod is still pending when it is to go, and runs later.
    let starts_late = |delete_ms: i64, seed: u64| {
        let delete = request(delete_ms, "DELETE", &format!("{pods}/till"), Value::Null);
        let played = play(
            &recording(vec![machine.clone(), request(500, "POST", pods, body.clone()), delete], Vec::new()),
            seed,
            Span::ZERO,
        );
        let going = |line: &&Line| line.kind == "Pod" && line.fields.contains_key("deletionTimestamp");
        let phases: Vec<&str> = played.lines.iter().filter(going).map(|line| line.text("phase")).collect();
        phases.first() == Some(&"Pending") && phases.contains(&"Running")
    };
    // Those whose links and kubelets are the slowest.
    let seeds = || (3..32).step_by(4);
    let hits = seeds().filter(|seed| (1_520..1_800).step_by(20).any(|delete_ms| starts_late(delete_ms, *seed)));
    assert!(hits.count() > 0);
    assert!(!seeds().any(|seed| starts_late(1_000, seed)), "there is time enough to hear of it");
}

#[test]
fn what_a_foreign_controller_gives_each_namespace_comes_in_those_that_steps_make_too() {
    let steps =
        vec![request(0, "POST", "/api/v1/namespaces", json!({"kind": "Namespace", "metadata": {"name": "till"}}))];
    let shown = |at_ms: i64, name: &str| {
        let line = json!({"t_ms": at_ms, "type": "ADDED", "kind": "ConfigMap", "name": name});
        Line::from_json(line).expect("it is whole")
    };
    let lines = vec![shown(-400, "shop/openshift-service-ca.crt"), shown(30, "till/openshift-service-ca.crt")];
    let played = play(&recording(steps, lines), 0, Span::ZERO);
    let came = |name: &str| played.lines.iter().find(|line| line.is_added() && line.name == name).map(|it| it.at_ms);
    assert!(came("shop/openshift-service-ca.crt").is_some_and(|at_ms| at_ms < 0));
    assert_eq!(came("till/openshift-service-ca.crt"), Some(30));
}
