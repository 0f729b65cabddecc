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
