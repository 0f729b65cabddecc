//! Dry runs, and the options of deletions.

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
    let body = |name: &str, finalizers: &[&str]| json!({"metadata": {"name": name, "finalizers": finalizers}, "spec": {"selector": {"app": "a"}, "template": template}});
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
    let expected = "DeleteOptions.meta.k8s.io \"\" is invalid: [propagationPolicy: Invalid value: \"Never\": orphanDependents \
                    and deletionPropagation cannot be both set, propagationPolicy: Unsupported value: \"Never\": supported \
                    values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"]";
    assert_eq!((code, &*message), (422, expected));
}
