//! `apply` beyond what its files describe: pruning, force, and by the API server.

use super::*;

fn card(name: &str, set: &str, text: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"set": set}},
        "data": {"text": text}})
}

fn lamp(part: &str) -> Value {
    let containers = json!([{"name": "lamp", "image": "lamp:1"}]);
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "lamp"},
        "spec": {"selector": {"matchLabels": {"part": part}},
            "template": {"metadata": {"labels": {"part": part}}, "spec": {"containers": containers}}}})
}

impl Bed {
    fn cards(&self) -> Vec<String> {
        let all = self.shop.core.newest().objects(Kind::ConfigMap);
        all.into_iter().map(|(_, object)| object.key().name.to_string()).collect()
    }
}

#[test]
fn what_was_applied_and_is_in_no_file_is_pruned_where_it_is_selected() {
    let mut bed = Bed::new();
    let all = [card("a", "red", "1"), card("b", "red", "1"), card("c", "blue", "1")];
    assert_eq!(bed.run_with("apply -f cards.yaml", &all), "");
    assert_eq!(bed.run_with("create -f made.yaml", &[card("made", "red", "1")]), "");
    let both = [card("a", "red", "2"), card("d", "blue", "1")];
    let asked = |bed: &Bed, line: &str| match bed.understand_with(line, &both) {
        Command::Do(Plan { requests, then, failure: None, .. }) => (requests.len(), then),
        other => panic!("{line}: {other:?}"),
    };
    let keys = |requests: &[Request]| {
        requests.iter().map(|it| it.target().expect("one object").name.to_string()).collect::<Vec<_>>()
    };
    let (applied, then) = asked(&bed, "apply -f cards.yaml --prune -l set=red");
    assert_eq!((applied, keys(&then)), (1, vec!["b".to_owned()]), "what is not selected is neither applied");
    let (applied, then) = asked(&bed, "apply -f cards.yaml --prune --all --prune-allowlist=core/v1/ConfigMap");
    assert_eq!((applied, keys(&then)), (2, vec!["b".to_owned(), "c".to_owned()]));
    let (_, then) = asked(&bed, "apply -f cards.yaml --prune --all --prune-allowlist core/v1/Secret");
    assert_eq!(keys(&then), [""; 0]);
    let (_, then) = asked(&bed, "apply -f cards.yaml --prune --all --dry-run=server");
    assert!(then.iter().all(|it| matches!(it, Request::DryRun(_))) && then.len() == 2, "{then:?}");
    assert_eq!(bed.run_with("apply -f cards.yaml --prune -l set=red", &both), "");
    assert_eq!(bed.cards(), ["a", "c", "made"]);
    let fails = |line: &str, all: &[Value]| match bed.understand_with(line, all) {
        Command::Do(Plan { failure: Some(message), then, .. }) => {
            assert!(then.is_empty(), "{line}: what fails prunes nothing");
            message
        }
        other => panic!("{line}: {other:?}"),
    };
    let mut wrong = card("e", "red", "1");
    wrong["metadata"]["labels"]["size"] = json!("a b");
    assert!(fails("apply -f cards.yaml --prune --all", &[wrong]).contains("metadata.labels"));
    assert_eq!(fails("apply -f cards.yaml -l set=green", &both), "no objects passed to apply");
    let kind = "apply -f cards.yaml --prune --all --prune-allowlist=ConfigMap";
    assert!(fails(kind, &both).starts_with("invalid GroupVersionKind format: ConfigMap"));
}

#[test]
fn flags_that_are_at_odds_are_refused() {
    let bed = Bed::new();
    for (flags, said) in [
        ("--force-conflicts", "--force-conflicts only works with --server-side"),
        ("--server-side --force", "--force cannot be used with --server-side"),
        ("--force --dry-run=server", "--dry-run=server cannot be used with --force"),
        ("--all -l a=b", "cannot set --all and --selector at the same time"),
        ("--prune --all --force", "--force cannot be used with --prune"),
        ("--prune", "all resources selected for prune without explicitly passing --all."),
        ("--prune --all --server-side", "--prune is in alpha and doesn't currently work"),
    ] {
        match bed.understand_with(&format!("apply -f card.yaml {flags}"), &[card("a", "b", "1")]) {
            Command::Do(Plan { failure: Some(message), requests, .. }) => {
                assert!(message.starts_with(said) && requests.is_empty(), "{flags}: {message}");
            }
            other => panic!("{flags}: {other:?}"),
        }
    }
    let set = bed.understand_with("apply -f card.yaml --prune --applyset=cards", &[card("a", "b", "1")]);
    assert!(matches!(set, Command::NotCovered(_)), "{set:?}");
}

#[test]
fn with_force_what_cannot_be_changed_is_deleted_and_made_again() {
    let mut bed = Bed::new();
    assert_eq!(bed.run_with("apply -f lamp.yaml", &[lamp("old")]), "");
    let uid = |bed: &Bed| bed.shown(Kind::Deployment, "lamp")["metadata"]["uid"].clone();
    let first = uid(&bed);
    assert!(bed.run_with("apply -f lamp.yaml", &[lamp("new")]).contains("field is immutable"));
    assert_eq!(bed.run_with("apply -f lamp.yaml --force", &[lamp("new")]), "");
    assert_ne!(uid(&bed), first);
    assert_eq!(bed.shown(Kind::Deployment, "lamp")["spec"]["selector"]["matchLabels"]["part"], "new");
    let second = uid(&bed);
    let mut larger = lamp("new");
    larger["spec"]["replicas"] = json!(3);
    assert_eq!(bed.run_with("apply -f lamp.yaml --force", &[larger]), "");
    assert_eq!(uid(&bed), second, "what can be changed is");
}

#[test]
fn the_api_server_applies_where_nobody_says_otherwise() {
    let mut bed = Bed::new();
    let line = "apply -f lamp.yaml --server-side";
    assert_eq!(bed.run_with(line, &[lamp("a")]), "");
    let made = bed.shown(Kind::Deployment, "lamp");
    assert_eq!(made["metadata"]["annotations"], Value::Null, "the client notes nothing");
    match bed.understand_with(line, &[lamp("a")]) {
        Command::Do(plan) => assert!(plan.requests.is_empty() && plan.failure.is_none()),
        other => panic!("{other:?}"),
    }
    let mut larger = lamp("a");
    larger["spec"]["replicas"] = json!(3);
    let other = bed.understand_with(line, std::slice::from_ref(&larger));
    assert!(matches!(&other, Command::NotCovered(Some(what)) if what.contains("fields of others")), "{other:?}");
    assert_eq!(bed.run_with(&format!("{line} --force-conflicts"), &[larger]), "");
    assert_eq!(bed.shown(Kind::Deployment, "lamp")["spec"]["replicas"], 3);
}
