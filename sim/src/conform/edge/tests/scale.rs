//! The scale subresource of each kind that has one.

use super::*;

/// The path of a kind's collection, its group as in messages, and whether its selector is plain labels.
const KINDS: [(Kind, &str, &str); 4] = [
    (Kind::Deployment, "/apis/apps/v1/namespaces/shop/deployments", ".apps"),
    (Kind::ReplicaSet, "/apis/apps/v1/namespaces/shop/replicasets", ".apps"),
    (Kind::StatefulSet, "/apis/apps/v1/namespaces/shop/statefulsets", ".apps"),
    (Kind::ReplicationController, "/api/v1/namespaces/shop/replicationcontrollers", ""),
];

fn workload(kind: Kind) -> Value {
    let labels = json!({"app": "till"});
    let template = json!({"metadata": {"labels": labels}, "spec": pod("a", json!({}))["spec"]});
    let selector = if kind == Kind::ReplicationController { labels } else { json!({"matchLabels": labels}) };
    json!({"metadata": {"name": "till"}, "spec": {"replicas": 2, "selector": selector, "template": template}})
}

fn scale(replicas: Value) -> Value {
    json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "till", "namespace": "shop"},
        "spec": {"replicas": replicas},
    })
}

#[test]
fn every_kind_with_a_size_is_scaled_by_put_and_by_patch() {
    let mut bed = Bed::new();
    for (kind, path, _) in KINDS {
        bed.grant(&format!("POST {path}"), workload(kind));
        let size = |bed: &Bed| match bed.stored(kind, "till") {
            Some(Object::Deployment(it)) => (it.replicas, it.meta.generation),
            Some(Object::ReplicaSet(it)) => (it.replicas, it.meta.generation),
            Some(Object::StatefulSet(it)) => (it.replicas, it.meta.generation),
            Some(Object::ReplicationController(it)) => (it.replicas, it.meta.generation),
            other => panic!("{kind:?} became {other:?}"),
        };
        bed.grant(&format!("PUT {path}/till/scale"), scale(json!(5)));
        assert_eq!(size(&bed), (5, 2), "{kind:?}");
        bed.grant(&format!("PATCH {path}/till/scale"), json!({"spec": {"replicas": 1}}));
        assert_eq!(size(&bed), (1, 3), "{kind:?}");
        bed.grant(&format!("PATCH {path}/till/scale?dryRun=All"), json!({"spec": {"replicas": 9}}));
        bed.grant(&format!("PUT {path}/till/scale"), scale(json!(1)));
        assert_eq!(size(&bed), (1, 3), "{kind:?}: neither writes anything");
        bed.grant(&format!("GET {path}/till/scale"), Value::Null);
    }
}

#[test]
fn a_scale_is_refused_for_its_size_its_name_its_preconditions_and_a_missing_object() {
    let mut bed = Bed::new();
    for (kind, path, group) in KINDS {
        bed.grant(&format!("POST {path}"), workload(kind));
        let put = format!("PUT {path}/till/scale");
        let plural = kind.plural();
        let negative = "Scale.autoscaling \"till\" is invalid: spec.replicas: Invalid value: -1: must be greater than \
                        or equal to 0";
        assert_eq!(bed.send(&put, scale(json!(-1))), (422, negative.to_owned()));
        let text = "Scale in version \"v1\" cannot be handled as a Scale: json: cannot unmarshal string into Go struct \
                    field ScaleSpec.spec.replicas of type int32";
        assert_eq!(bed.send(&put, scale(json!("3"))), (400, text.to_owned()));
        let mut other = scale(json!(3));
        other["metadata"]["name"] = json!("desk");
        let renamed = "the name of the object (desk) does not match the name on the URL (till)";
        assert_eq!(bed.send(&put, other.clone()), (400, renamed.to_owned()));
        other["metadata"] = json!({"name": "till", "resourceVersion": "3"});
        let modified = format!(
            "Operation cannot be fulfilled on {plural}{group} \"till\": the object has been modified; please apply \
             your changes to the latest version and try again"
        );
        assert_eq!(bed.send(&put, other.clone()), (409, modified));
        let stored = bed.stored(kind, "till").expect("it is there").uid();
        other["metadata"] = json!({"name": "till", "uid": "x"});
        let identity = format!(
            "Operation cannot be fulfilled on {plural}/scale{group} \"till\": Precondition failed: UID in \
             precondition: x, UID in object meta: {stored}"
        );
        assert_eq!(bed.send(&put, other), (409, identity).clone());
        let missing = (404, format!("{plural}{group} \"desk\" not found"));
        let mut desk = scale(json!(3));
        desk["metadata"]["name"] = json!("desk");
        assert_eq!(bed.send(&format!("PUT {path}/desk/scale"), desk), missing);
        assert_eq!(bed.send(&format!("GET {path}/desk/scale"), Value::Null), missing);
        assert_eq!(bed.send(&format!("PATCH {path}/desk/scale"), json!({})), missing);
    }
}

#[test]
fn what_has_no_size_has_no_scale() {
    let mut bed = Bed::new();
    for path in ["/apis/apps/v1/namespaces/shop/daemonsets/a", "/apis/batch/v1/namespaces/shop/jobs/a"] {
        let expected = (404, "the server could not find the requested resource".to_owned());
        assert_eq!(bed.send(&format!("PUT {path}/scale"), scale(json!(1))), expected);
    }
    let no_post = "the server does not allow this method on the requested resource";
    let path = "POST /apis/apps/v1/namespaces/shop/deployments/a/scale";
    assert_eq!(bed.send(path, scale(json!(1))), (405, no_post.to_owned()));
}

#[test]
fn a_size_is_applied_as_its_owner_and_another_s_is_refused_or_taken_by_force() {
    let mut bed = Bed::new();
    let (kind, path, _) = KINDS[0];
    bed.grant(&format!("POST {path}"), workload(kind));
    let mut managers = Managers::default();
    let maker = Manager { name: "maker".to_owned(), applies: false, subresource: String::new() };
    managers.note(None, bed.stored(kind, "till").as_ref(), &maker);
    let ask = |bed: &Bed, managers: Option<&Managers>, query: &str, replicas: Value| {
        let path = Path::parse(&format!("{path}/till/scale?{query}")).expect("a path of objects");
        translate_among(&bed.core, managers, "PATCH", &path, APPLY, &scale(replicas))
    };
    let known = Some(&managers);
    let refused = ask(&bed, known, "fieldManager=sizer", json!(4));
    let expected = "Apply failed with 1 conflict: conflict with \"maker\" using autoscaling/v1: .spec.replicas";
    assert!(matches!(&refused, Outcome::Answered(status) if status.message == expected), "{refused:?}");
    let size_of = |outcome: Outcome| match outcome {
        Outcome::Ask(requests) => match &requests[..] {
            [Request::Patch { patch: wavetank_core::api::Patch::Replicas(size), .. }] => Some(*size),
            [] => None,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(size_of(ask(&bed, known, "fieldManager=sizer&force=true", json!(4))), Some(4));
    assert_eq!(size_of(ask(&bed, known, "fieldManager=sizer", json!(2))), None, "it is so already");
    // Where nobody knows owners.
    assert_eq!(size_of(ask(&bed, None, "fieldManager=sizer&force=true", json!(4))), Some(4));
    assert!(matches!(ask(&bed, None, "fieldManager=sizer", json!(4)), Outcome::NotCovered(_)));
    let negative = ask(&bed, known, "fieldManager=sizer&force=true", json!(-1));
    assert!(matches!(&negative, Outcome::Answered(status) if status.code == 422), "{negative:?}");
    let sizer = Manager { name: "sizer".to_owned(), applies: true, subresource: "scale".to_owned() };
    let key = ObjectKey::new(kind, "shop", "till");
    let before = bed.stored(kind, "till");
    bed.grant(&format!("PATCH {path}/till/scale"), json!({"spec": {"replicas": 4}}));
    managers.note(before.as_ref(), bed.stored(kind, "till").as_ref(), &sizer);
    managers.applied(&key, &scale(json!(4)), &sizer);
    assert_eq!(size_of(ask(&bed, Some(&managers), "fieldManager=sizer", json!(5))), Some(5), "its own by then");
}

#[test]
fn a_patch_of_a_size_is_put_on_a_whole_scale() {
    let mut bed = Bed::new();
    let (kind, path, _) = KINDS[0];
    bed.grant(&format!("POST {path}"), workload(kind));
    let path = Path::parse(&format!("{path}/till/scale")).expect("a path of objects");
    let ask = |operations: Value| translate(&bed.core, "PATCH", &path, "application/json-patch+json", &operations);
    let replace = json!({"op": "replace", "path": "/spec/replicas", "value": 3});
    let there = json!({"op": "test", "path": "/metadata/name", "value": "till"});
    assert!(matches!(ask(json!([there, replace])), Outcome::Ask(requests) if requests.len() == 1));
    let other = json!({"op": "test", "path": "/status/replicas", "value": 9});
    assert!(matches!(ask(json!([other, replace])), Outcome::Answered(status) if status.code == 422));
}
