//! Commands with files: what they describe stands beside the line.

use super::*;
use crate::conform::edge::LAST_APPLIED;

fn desk(spec: Value) -> Value {
    let container = json!({"name": "desk", "image": "desk:1"});
    let mut body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "desk"},
        "spec": {"selector": {"matchLabels": {"part": "desk"}},
            "template": {"metadata": {"labels": {"part": "desk"}}, "spec": {"containers": [container]}}}});
    for (field, value) in spec.as_object().into_iter().flatten() {
        body["spec"][field] = value.clone();
    }
    body
}

const APPLY: &str = "apply -f desk.yaml";

#[test]
fn what_is_applied_again_takes_away_what_it_set_and_leaves_what_others_set() {
    let mut bed = Bed::new();
    let first = desk(json!({"replicas": 3, "minReadySeconds": 5, "paused": null}));
    assert_eq!(bed.run_with(APPLY, std::slice::from_ref(&first)), "");
    let made = bed.shown(Kind::Deployment, "desk");
    let mut noted = first.clone();
    (noted["metadata"]["annotations"], noted["metadata"]["namespace"]) = (json!({}), json!("shop"));
    assert_eq!(made["metadata"]["annotations"][LAST_APPLIED], format!("{noted}\n"));
    assert_eq!(bed.run("scale deploy/desk --replicas=7"), "");
    assert_eq!(bed.run("annotate deploy/desk note=kept"), "");
    let understood = bed.understand_with(APPLY, &[desk(json!({}))]);
    assert!(matches!(understood, Command::Do(Plan { requests, .. }) if requests.len() == 1));
    assert_eq!(bed.run_with(APPLY, &[desk(json!({"progressDeadlineSeconds": 30}))]), "");
    let after = bed.shown(Kind::Deployment, "desk");
    // A size that the last had and the new one has not is filled in again.
    assert_eq!((&after["spec"]["replicas"], &after["spec"]["progressDeadlineSeconds"]), (&json!(1), &json!(30)));
    assert_eq!(
        (&after["spec"]["minReadySeconds"], &after["metadata"]["annotations"]["note"]),
        (&Value::Null, &json!("kept"))
    );
    assert_eq!(bed.run("scale deploy/desk --replicas=7"), "");
    assert_eq!(bed.run_with(APPLY, &[desk(json!({"progressDeadlineSeconds": 31}))]), "");
    assert_eq!(bed.shown(Kind::Deployment, "desk")["spec"]["replicas"], 7, "it was never applied since");
    match bed.understand_with(APPLY, &[desk(json!({"progressDeadlineSeconds": 31}))]) {
        Command::Do(plan) => assert!(plan.requests.is_empty() && plan.failure.is_none(), "nothing is asked for"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_made_otherwise_is_noted_by_its_first_apply_and_loses_nothing() {
    let mut bed = Bed::new();
    assert_eq!(bed.run_with("create -f -", &[desk(json!({"minReadySeconds": 5}))]), "");
    assert_eq!(bed.shown(Kind::Deployment, "desk")["metadata"]["annotations"][LAST_APPLIED], Value::Null);
    assert_eq!(bed.run_with(APPLY, &[desk(json!({"replicas": 2}))]), "");
    let after = bed.shown(Kind::Deployment, "desk");
    assert_eq!((&after["spec"]["minReadySeconds"], &after["spec"]["replicas"]), (&json!(5), &json!(2)));
    assert!(after["metadata"]["annotations"][LAST_APPLIED].is_string());
    assert_eq!(bed.run_with("replace -f -", &[desk(json!({"replicas": 4}))]), "");
    let after = bed.shown(Kind::Deployment, "desk");
    assert_eq!((&after["spec"]["minReadySeconds"], &after["spec"]["replicas"]), (&Value::Null, &json!(4)));
    assert_eq!(bed.run_with("delete -f desk.yaml", &[desk(json!({}))]), "");
    assert!(matches!(bed.understand("apply -f gone.yaml"), Command::NotCovered(_)), "nobody knows what is in it");
}

#[test]
fn an_apply_fails_for_its_file_s_faults() {
    let bed = Bed::new();
    let failure = |line: &str, body: Value| match bed.understand_with(line, &[body]) {
        Command::Do(plan) => plan.failure.unwrap_or_default(),
        other => panic!("{line}: {other:?}"),
    };
    let mut elsewhere = desk(json!({}));
    elsewhere["metadata"]["namespace"] = json!("yard");
    let said = failure("-n shop apply -f desk.yaml", elsewhere);
    assert!(said.starts_with("the namespace from the provided object \"yard\" does not match"), "{said}");
    let said = failure(APPLY, desk(json!({"replicaz": 3})));
    assert!(said.contains("unknown field \"spec.replicaz\""), "{said}");
    let mut drawn = desk(json!({}));
    drawn["metadata"] = json!({"generateName": "desk-"});
    assert_eq!(failure(APPLY, drawn), "from desk-: cannot use generate name with apply");
    let other = json!({"apiVersion": "example.com/v1", "kind": "Lamp", "metadata": {"name": "a"}});
    assert!(matches!(bed.understand_with(APPLY, &[other]), Command::NotCovered(Some(what)) if what.contains("Lamp")));
}
