//! Dry runs, the options of deletions, collections, and the end of a namespace.

use super::*;

#[test]
fn a_dry_run_is_answered_as_the_request_and_changes_nothing() {
    let mut bed = Bed::new();
    bed.pod("a", json!({}));
    let maps = "/api/v1/namespaces/shop/configmaps";
    bed.grant(&format!("POST {maps}"), json!({"metadata": {"name": "prices"}, "data": {"tea": "2"}}));
    let before = bed.core.digest();
    let body = |name: &str| json!({"metadata": {"name": name}, "data": {"tea": "3"}});
    bed.grant(&format!("POST {maps}?dryRun=All"), body("more"));
    bed.grant(&format!("PUT {maps}/prices?dryRun=All"), body("prices"));
    bed.grant(&format!("PATCH {maps}/prices?dryRun=All"), json!({"data": {"tea": "4"}}));
    bed.grant(&format!("DELETE {maps}/prices?dryRun=All"), Value::Null);
    bed.grant(&format!("DELETE {maps}/prices"), json!({"dryRun": ["All"]}));
    bed.grant(&format!("DELETE {maps}"), json!({"dryRun": ["All"]}));
    let binding = json!({"metadata": {"name": "a"}, "target": {"name": "n1"}});
    bed.grant("POST /api/v1/namespaces/shop/pods/a/binding?dryRun=All", binding);
    let eviction = json!({"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "a"}});
    bed.grant("POST /api/v1/namespaces/shop/pods/a/eviction?dryRun=All", eviction);
    let taken = bed.send(&format!("POST {maps}?dryRun=All"), body("prices"));
    assert_eq!(taken, (409, "configmaps \"prices\" already exists".to_owned()));
    let missing = bed.send(&format!("PATCH {maps}/costs?dryRun=All"), json!({}));
    assert_eq!(missing, (404, "configmaps \"costs\" not found".to_owned()));
    assert_eq!(bed.core.digest(), before);
}

#[test]
fn a_stage_that_nobody_knows_is_refused() {
    let mut bed = Bed::new();
    bed.pod("a", json!({}));
    let expected = |kind: &str| {
        (
            422,
            format!(
                "{kind}.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\""
            ),
        )
    };
    let pod_a = "/api/v1/namespaces/shop/pods/a";
    assert_eq!(bed.send(&format!("PATCH {pod_a}?dryRun=Some"), json!({})), expected("PatchOptions"));
    assert_eq!(bed.send(&format!("PUT {pod_a}?dryRun=Some"), pod("a", json!({}))), expected("UpdateOptions"));
    assert_eq!(bed.send(&format!("DELETE {pod_a}"), json!({"dryRun": ["Some"]})), expected("DeleteOptions"));
    assert_eq!(bed.send(&format!("DELETE {pod_a}?dryRun=Some"), Value::Null), expected("DeleteOptions"));
    let eviction = json!({"metadata": {"name": "a"}});
    assert_eq!(bed.send(&format!("POST {pod_a}/eviction?dryRun=Some"), eviction), expected("CreateOptions"));
}

#[test]
fn options_in_a_body_take_the_place_of_the_query() {
    let mut bed = Bed::new();
    let path = "/api/v1/namespaces/shop/replicationcontrollers";
    let template = json!({"metadata": {"labels": {"app": "a"}}, "spec": pod("a", json!({}))["spec"]});
    let body = |name: &str, finalizers: &[&str]| {
        let spec = json!({"selector": {"app": "a"}, "template": template});
        json!({"metadata": {"name": name, "finalizers": finalizers}, "spec": spec})
    };
    let table: [(&str, &[&str], Value, &[&str]); 6] = [
        ("", &[], Value::Null, &["orphan"]),
        ("", &["foregroundDeletion"], Value::Null, &["foregroundDeletion"]),
        ("?propagationPolicy=Foreground", &["orphan"], Value::Null, &["foregroundDeletion"]),
        ("?propagationPolicy=Foreground", &[], json!({}), &["orphan"]),
        ("", &[], json!({"propagationPolicy": "Foreground"}), &["foregroundDeletion"]),
        ("", &["orphan"], json!({"orphanDependents": false}), &[]),
    ];
    for (index, (query, has, options, expected)) in table.into_iter().enumerate() {
        let name = format!("a{index}");
        bed.grant(&format!("POST {path}"), body(&name, has));
        bed.grant(&format!("DELETE {path}/{name}{query}"), options);
        let stored = bed.stored(Kind::ReplicationController, &name);
        let left: Vec<String> =
            stored.iter().flat_map(|it| it.meta().finalizers.iter().map(ToString::to_string)).collect();
        assert_eq!(left, expected, "{name}");
    }
    let both = json!({"propagationPolicy": "Never", "orphanDependents": true});
    let (code, message) = bed.send(&format!("DELETE {path}/a0"), both);
    let expected = "DeleteOptions.meta.k8s.io \"\" is invalid: [propagationPolicy: Invalid value: \"Never\": \
                    orphanDependents and deletionPropagation cannot be both set, propagationPolicy: Unsupported value: \
                    \"Never\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"]";
    assert_eq!((code, &*message), (422, expected));
}

#[test]
fn a_collection_is_deleted_by_labels_and_fields() {
    let mut bed = Bed::new();
    for (name, node, app) in [("a", "n1", "till"), ("b", "n2", "till"), ("c", "n1", "desk")] {
        let mut body = pod(name, json!({"nodeName": node}));
        body["metadata"]["labels"] = json!({"app": app});
        bed.grant("POST /api/v1/namespaces/shop/pods", body);
    }
    let going = |bed: &Bed| -> Vec<&'static str> {
        let is_going = |name: &&&str| bed.stored(Kind::Pod, name).is_none_or(|pod| pod.meta().is_terminating());
        ["a", "b", "c"].iter().filter(is_going).copied().collect()
    };
    let path = "DELETE /api/v1/namespaces/shop/pods?fieldSelector=";
    bed.grant(&format!("{path}spec.nodeName%3Dn3"), Value::Null);
    assert!(going(&bed).is_empty());
    bed.grant(&format!("{path}spec.nodeName%3Dn1&labelSelector=app%3Dtill"), Value::Null);
    assert_eq!(going(&bed), ["a"]);
    bed.grant(&format!("{path}metadata.name!%3Dc,status.phase%3D%3DPending,spec.hostNetwork%3Dfalse"), Value::Null);
    assert_eq!(going(&bed), ["a", "b"]);
    let unknown = (400, "field label not supported: spec.priority".to_owned());
    assert_eq!(bed.send(&format!("{path}spec.priority%3D0"), Value::Null), unknown);
}

#[test]
fn who_is_done_with_a_namespace_says_so_by_its_finalizers() {
    let mut bed = Bed::new();
    let path = "/api/v1/namespaces/shop";
    let body = |finalizers: &[&str]| json!({"metadata": {"name": "shop"}, "spec": {"finalizers": finalizers}});
    let unknown = "Namespace \"shop\" is invalid: spec.finalizers[1]: Invalid value: \"till\": name is neither a \
                   standard finalizer name nor is it fully qualified";
    assert_eq!(bed.send(&format!("PUT {path}/finalize"), body(&["kubernetes", "till"])), (422, unknown.to_owned()));
    bed.grant(&format!("PUT {path}/finalize"), body(&["kubernetes", "shop.example/till"]));
    bed.grant(&format!("DELETE {path}"), Value::Null);
    bed.grant(&format!("PUT {path}/finalize"), body(&["shop.example/till"]));
    assert!(bed.stored(Kind::Namespace, "shop").is_some_and(|it| it.meta().is_terminating()), "one is left");
    bed.grant(&format!("PUT {path}/finalize"), body(&[]));
    assert!(bed.stored(Kind::Namespace, "shop").is_none());
    let missing = (404, "namespaces \"shop\" not found".to_owned());
    assert_eq!(bed.send(&format!("PUT {path}/finalize"), body(&[])), missing);
}
