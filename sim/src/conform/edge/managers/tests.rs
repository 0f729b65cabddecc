//! Paths, owners and what becomes of an apply.

use serde_json::json;
use wavetank_core::model::{Kind, Meta};

use super::*;

fn manager(name: &str, applies: bool) -> Manager {
    Manager { name: name.to_owned(), applies, subresource: String::new() }
}

fn key() -> ObjectKey {
    ObjectKey::new(Kind::Deployment, "shop", "till")
}

/// A Deployment as clients see it, read into the core.
fn object(json: &Value) -> Object {
    let manifests = wavetank_manifest::kubernetes::read_manifests("till.yaml", &json.to_string()).expect("a manifest");
    let mut located = manifests.into_iter().next().expect("one manifest");
    wavetank_manifest::kubernetes::apply_defaults(&mut located.value);
    wavetank_manifest::kubernetes::to_object(&located).expect("an object")
}

fn deployment(replicas: u32, containers: Value) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "till", "namespace": "shop"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "till"}},
            "template": {"metadata": {"labels": {"app": "till"}}, "spec": {"containers": containers}},
        },
    })
}

fn shown(object: &Object) -> Value {
    to_json(object, Revision(0), EPOCH)
}

#[test]
fn fields_have_the_paths_that_refusals_tell() {
    let ports = json!([{"containerPort": 80, "name": "http"}]);
    let env = json!([{"name": "A", "value": "1"}]);
    let body = json!({"metadata": {"name": "till", "labels": {"a.b/c": "1"}, "finalizers": ["shop.example/a"]},
        "spec": {"selector": {"matchLabels": {"app": "till"}}, "tolerations": [{"key": "a"}],
            "containers": [{"name": "till", "ports": ports, "env": env, "resources": {}}]}});
    let told: Vec<String> = fields_of(&body, &[]).keys().map(ToString::to_string).collect();
    for path in [
        ".metadata.labels.a.b/c",
        ".metadata.finalizers[=\"shop.example/a\"]",
        ".spec.selector",
        ".spec.tolerations",
        ".spec.containers[name=\"till\"]",
        ".spec.containers[name=\"till\"].env[name=\"A\"].value",
        ".spec.containers[name=\"till\"].ports[containerPort=80,protocol=\"TCP\"].name",
        ".spec.containers[name=\"till\"].resources",
    ] {
        assert!(told.iter().any(|it| it == path), "{path} is not among {told:?}");
    }
    assert!(!told.iter().any(|path| path.contains("metadata.name")), "nobody owns a name");
}

#[test]
fn what_another_gave_another_value_is_refused_and_forced() {
    let mut managers = Managers::default();
    let object = object(&deployment(3, json!([{"name": "till", "image": "till:1"}])));
    managers.note(None, Some(&object), &manager("kubectl-create", false));
    let live = shown(&object);
    let desk = manager("desk", true);
    let said = |config: Value, force: bool| {
        managers
            .apply(&key(), &live, &config, &desk, Conflicts { force, last: None })
            .map_err(|status| (status.code, status.message))
    };
    let one = "Apply failed with 1 conflict: conflict with \"kubectl-create\" using apps/v1: .spec.replicas";
    assert_eq!(said(json!({"spec": {"replicas": 5}}), false), Err((409, one.to_owned())));
    assert_eq!(said(json!({"spec": {"replicas": 3}}), false), Ok(live.clone()), "the same value is shared");
    let config =
        json!({"spec": {"replicas": 5, "template": {"spec": {"containers": [{"name": "till", "image": "till:2"}]}}}});
    let both = "Apply failed with 2 conflicts: conflicts with \"kubectl-create\" using apps/v1:\n- .spec.replicas\n- \
                .spec.template.spec.containers[name=\"till\"].image";
    assert_eq!(said(config.clone(), false), Err((409, both.to_owned())));
    let forced = said(config, true).expect("it is forced");
    assert_eq!((&forced["spec"]["replicas"], &forced["spec"]["selector"]), (&json!(5), &live["spec"]["selector"]));
    let added = said(json!({"spec": {"minReadySeconds": 4}}), false).expect("nobody owns it");
    assert_eq!((&added["spec"]["minReadySeconds"], &added["spec"]["replicas"]), (&json!(4), &json!(3)));
}

#[test]
fn a_write_takes_fields_from_their_owners_and_several_are_told_by_name() {
    let mut managers = Managers::default();
    let first = object(&deployment(3, json!([{"name": "till", "image": "till:1"}])));
    managers.note(None, Some(&first), &manager("b-maker", false));
    let second = object(&deployment(4, json!([{"name": "till", "image": "till:1"}])));
    let scaler = Manager { subresource: "scale".to_owned(), ..manager("a-scaler", false) };
    managers.note(Some(&first), Some(&second), &scaler);
    let config =
        json!({"spec": {"replicas": 5, "template": {"spec": {"containers": [{"name": "till", "image": "x"}]}}}});
    let refused = managers.apply(&key(), &shown(&second), &config, &manager("desk", true), Conflicts::default());
    let expected = "Apply failed with 2 conflicts: \
                    conflicts with \"a-scaler\" with subresource \"scale\" using apps/v1:\n\
                    - .spec.replicas\nconflicts with \"b-maker\" using apps/v1:\n- \
                    .spec.template.spec.containers[name=\"till\"].image";
    assert_eq!(refused.map_err(|status| status.message), Err(expected.to_owned()));
    managers.note(Some(&second), None, &scaler);
    assert!(managers.owned.is_empty(), "nobody owns what is gone");
}

#[test]
fn what_an_applier_alone_had_and_says_no_longer_is_removed() {
    let mut managers = Managers::default();
    let desk = manager("desk", true);
    let containers = json!([{"name": "till", "image": "till:1"}, {"name": "log", "image": "log:1"}]);
    let mut config = deployment(3, containers);
    config["metadata"]["labels"] = json!({"a": "1", "b": "2"});
    let applied = object(&config);
    managers.note(None, Some(&applied), &desk);
    managers.applied(&key(), &config, &desk);
    // Another one says the same of one label.
    let other = manager("other", true);
    managers.applied(&key(), &json!({"metadata": {"labels": {"b": "2"}}}), &other);
    let less = deployment(3, json!([{"name": "till", "image": "till:1"}]));
    let after =
        managers.apply(&key(), &shown(&applied), &less, &desk, Conflicts::default()).map_err(|status| status.message);
    let after = after.expect("nothing is in its way");
    assert_eq!(after["metadata"]["labels"], json!({"b": "2"}));
    let names = |after: &Value| -> Vec<String> {
        let list = after["spec"]["template"]["spec"]["containers"].as_array().cloned().unwrap_or_default();
        list.iter().map(|container| container["name"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(names(&after), ["till"], "with what the API server filled in of it");
    let refused = managers.apply(
        &key(),
        &shown(&applied),
        &json!({"metadata": {"labels": {"b": "3"}}}),
        &desk,
        Conflicts::default(),
    );
    let expected = "Apply failed with 1 conflict: conflict with \"other\": .metadata.labels.b";
    assert_eq!(refused.map_err(|status| status.message), Err(expected.to_owned()));
    // What somebody else has set within a container keeps it.
    let mut changed = shown(&applied);
    changed["spec"]["template"]["spec"]["containers"][1]["image"] = json!("log:2");
    managers.note(Some(&applied), Some(&object(&changed)), &manager("kubectl-set", false));
    let after = managers.apply(&key(), &changed, &less, &desk, Conflicts::default()).map_err(|status| status.message);
    assert_eq!(names(&after.expect("nothing is in its way")), ["till", "log"]);
}

#[test]
fn status_and_the_rest_have_owners_of_their_own() {
    let mut managers = Managers::default();
    let before = object(&deployment(3, json!([{"name": "till", "image": "till:1"}])));
    managers.note(None, Some(&before), &manager("maker", false));
    let Object::Deployment(after) = before.clone() else { panic!("a Deployment") };
    let mut after = wavetank_core::model::Deployment::clone(&after);
    after.status.replicas = 2;
    after.meta = Meta { labels: after.meta.labels.clone(), ..after.meta };
    let after = Object::Deployment(after.into());
    let reporter = Manager { subresource: "status".to_owned(), ..manager("kube-controller-manager", false) };
    managers.note(Some(&before), Some(&after), &reporter);
    let owners = &managers.owned[&key()];
    assert!(owners[&reporter].iter().all(|path| path.to_string().starts_with(".status")), "{owners:?}");
    assert!(owners[&manager("maker", false)].iter().all(|path| !path.to_string().starts_with(".status")));
}
