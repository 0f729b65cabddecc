//! What is said to bodies that are of no use where they are sent.

use super::*;

#[test]
fn an_event_is_refused_in_the_words_of_its_checks() {
    let mut bed = Bed::new();
    let events = "POST /api/v1/namespaces/shop/events";
    let event = |object: Value| json!({"metadata": {"name": "e"}, "involvedObject": object});
    let elsewhere =
        "Event \"e\" is invalid: involvedObject.namespace: Invalid value: \"till\": does not match event.namespace";
    assert_eq!(bed.send(events, event(json!({"namespace": "till"}))), (422, elsewhere.to_owned()));
    let unreadable = "Event in version \"v1\" cannot be handled as a Event: json: cannot unmarshal string into Go \
                      struct field Event.involvedObject of type v1.ObjectReference";
    assert_eq!(bed.send(events, event(json!("till"))), (400, unreadable.to_owned()));
    let pod = "Pod in version \"v1\" cannot be handled as a Event: converting (v1.Pod) to (core.Event): unknown \
               conversion";
    let body = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "e"}});
    assert_eq!(bed.send(events, body), (400, pod.to_owned()));
    let nowhere = bed.send("POST /api/v1/namespaces/nope/events", event(json!({"namespace": "nope"})));
    assert_eq!(nowhere, (404, "namespaces \"nope\" not found".to_owned()));
    let mut versioned = event(json!({"namespace": "shop"}));
    versioned["metadata"]["resourceVersion"] = "5".into();
    let why = "resourceVersion should not be set on objects to be created";
    assert_eq!(bed.send(events, versioned), (500, why.to_owned()));
    let path = Path::parse("/api/v1/namespaces/shop/events").expect("a path");
    let outcome = translate(&bed.core, "POST", &path, "", &event(json!({"namespace": "shop"})));
    assert!(matches!(outcome, Outcome::NotCovered(_)), "the core makes its Events by itself: {outcome:?}");
}

#[test]
fn a_lease_is_refused_in_the_words_of_its_checks() {
    let mut bed = Bed::new();
    let leases = "POST /apis/coordination.k8s.io/v1/namespaces/shop/leases";
    let lease = |spec: Value| json!({"metadata": {"name": "l"}, "spec": spec});
    let why = "Lease.coordination.k8s.io \"l\" is invalid: spec.leaseDurationSeconds: Invalid value: 0: must be \
               greater than 0";
    assert_eq!(bed.send(leases, lease(json!({"leaseDurationSeconds": 0}))), (422, why.to_owned()));
    let why = "Lease in version \"v1\" cannot be handled as a Lease: json: cannot unmarshal number into Go struct \
               field LeaseSpec.spec.holderIdentity of type string";
    assert_eq!(bed.send(leases, lease(json!({"holderIdentity": 5}))), (400, why.to_owned()));
    let path = Path::parse("/apis/coordination.k8s.io/v1/namespaces/shop/leases").expect("a path");
    let outcome = translate(&bed.core, "POST", &path, "", &lease(json!({})));
    assert!(matches!(outcome, Outcome::NotCovered(_)), "{outcome:?}");
}

#[test]
fn a_body_of_another_media_type_is_not_read() {
    let bed = Bed::new();
    let path = Path::parse("/api/v1/namespaces/shop/configmaps").expect("a path");
    let map = json!({"metadata": {"name": "m"}});
    for (media, reads) in [("", true), ("application/json; charset=utf-8", true), ("text/plain", false)] {
        let outcome = translate(&bed.core, "POST", &path, media, &map);
        let code = match &outcome {
            Outcome::Answered(status) => status.code,
            _ => 0,
        };
        assert_eq!(code, if reads { 0 } else { 415 }, "{media}: {outcome:?}");
    }
}

#[test]
fn a_version_that_the_path_is_not_of_is_told() {
    let mut bed = Bed::new();
    let old = json!({"apiVersion": "extensions/v1beta1", "kind": "Deployment", "metadata": {"name": "d"}});
    let why = "the API version in the data (extensions/v1beta1) does not match the expected API version (apps/v1)";
    assert_eq!(bed.send("POST /apis/apps/v1/namespaces/shop/deployments", old), (400, why.to_owned()));
    let unnamed = json!({"apiVersion": "v9", "metadata": {"name": "d"}});
    let why = "ConfigMap in version \"v9\" cannot be handled as a ConfigMap: no kind \"ConfigMap\" is registered for \
               version \"v9\" in scheme \"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\"";
    assert_eq!(bed.send("POST /api/v1/namespaces/shop/configmaps", unnamed), (400, why.to_owned()));
}

#[test]
fn a_balanced_service_gives_its_port_for_health_checks_back_with_its_policy() {
    let mut bed = Bed::new();
    let spec = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}],
        "selector": {"app": "shop"}});
    bed.grant("POST /api/v1/namespaces/shop/services", json!({"metadata": {"name": "web"}, "spec": spec}));
    let cluster = json!({"spec": {"externalTrafficPolicy": "Cluster"}});
    bed.grant("PATCH /api/v1/namespaces/shop/services/web", cluster);
}

#[test]
fn a_body_whose_kind_and_version_are_null_is_of_its_path() {
    let mut bed = Bed::new();
    let labelled =
        |value: &str| json!({"apiVersion": null, "kind": null, "metadata": {"name": "a", "labels": {"a": value}}});
    let configs = "/api/v1/namespaces/shop/configmaps";
    assert_eq!(bed.send(&format!("POST {configs}"), labelled("1")), (200, String::new()));
    assert_eq!(bed.send(&format!("PUT {configs}/a"), labelled("2")), (200, String::new()));
    let (code, said) = bed.send(&format!("PUT {configs}/a"), labelled("-"));
    assert!(code == 422 && said.starts_with("ConfigMap \"a\" is invalid: metadata.labels"), "{code} {said}");
}

#[test]
fn a_write_that_changes_nothing_keeps_the_version_in_whatever_words_it_comes() {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let selector = json!({"matchLabels": {"a": "b"}});
    let kinds = [
        ("api/v1", "pods", Kind::Pod, template["spec"].clone()),
        ("api/v1", "services", Kind::Service, json!({"selector": {"a": "b"}, "ports": [{"port": 80}]})),
        ("apis/apps/v1", "deployments", Kind::Deployment, json!({"selector": selector, "template": template})),
        (
            "apis/batch/v1",
            "jobs",
            Kind::Job,
            json!({"suspend": true, "template": {"spec": {"restartPolicy": "Never",
            "containers": [{"name": "c", "image": "i"}]}}}),
        ),
    ];
    for (root, plural, kind, spec) in kinds {
        let mut bed = Bed::new();
        let list = format!("/{root}/namespaces/shop/{plural}");
        let body =
            |spec: &Value| json!({"kind": kind.name(), "metadata": {"name": "x", "labels": {"k": "l"}}, "spec": spec});
        bed.grant(&format!("POST {list}"), body(&spec));
        let made = bed.core.revision();
        for nothing in [
            json!({}),
            json!({"metadata": {"annotations": {"a": null}, "labels": {"k": "l"}}}),
            json!({"spec": {"minReadySeconds": null}}),
            if kind == Kind::Deployment { json!({"spec": {"paused": false, "minReadySeconds": 0}}) } else { json!({}) },
        ] {
            bed.grant(&format!("PATCH {list}/x"), nothing.clone());
            assert_eq!(bed.core.revision(), made, "{plural} {nothing}");
        }
        bed.grant(&format!("PATCH {list}/x"), json!({"metadata": {"labels": {"k": "m"}}}));
        assert!(bed.core.revision() > made, "{plural}: a label");
    }
}
