//! Requests that are refused before or beside what validation says.

use serde_json::{Value, json};

use super::*;

const PODS: &str = "POST /api/v1/namespaces/shop/pods";
const TILL: &str = "/api/v1/namespaces/shop/pods/till";

#[test]
fn a_pod_that_preempts_as_nobody_can_is_refused_by_admission() {
    let mut edge = Bed::new();
    let policy = |policy: &str, more: Value| {
        let mut pod = pod("till", more);
        pod["spec"]["preemptionPolicy"] = policy.into();
        pod
    };
    let words = |policy: &str| {
        format!(
            "pods \"till\" is forbidden: the string value of PreemptionPolicy ({policy}) must not be provided in pod \
             spec; priority admission controller computed PreemptLowerPriority from the given PriorityClass name"
        )
    };
    assert_eq!(edge.send(PODS, policy("Perhaps", json!({}))), (403, words("Perhaps")));
    assert_eq!(edge.send(PODS, policy("", json!({"restartPolicy": "Sometimes"}))), (403, words("")));
    let account = edge.send(PODS, policy("Perhaps", json!({"serviceAccountName": "nope"})));
    assert!(account.1.contains("error looking up service account"), "{}", account.1);
}

#[test]
fn a_token_may_be_asked_for_where_admission_gives_the_account() {
    let mut edge = Bed::new();
    let sources = json!([{"serviceAccountToken": {"path": "token"}}]);
    edge.pod("till", json!({"volumes": [{"name": "t", "projected": {"sources": sources}}]}));
}

#[test]
fn an_owner_that_is_told_twice_is_one() {
    let mut edge = Bed::new();
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "1", "controller": true});
    let mut twice = pod("till", json!({}));
    twice["metadata"]["ownerReferences"] = json!([owner, owner]);
    edge.grant(PODS, twice);
}

#[test]
fn a_patch_does_not_move_an_object_and_is_read_when_there_is_one() {
    let mut edge = Bed::new();
    let missing = format!("PATCH {TILL}");
    assert_eq!(edge.send(&missing, json!([])).0, 404);
    edge.pod("till", json!({}));
    let other = "the name of the object (drawer) does not match the name on the URL (till)";
    assert_eq!(edge.send(&missing, json!({"metadata": {"name": "drawer"}})), (400, other.to_owned()));
    let none = "the name of the object (till based on URL) was undeterminable: name must be provided";
    assert_eq!(edge.send(&missing, json!({"metadata": null})), (400, none.to_owned()));
    assert_eq!(edge.send(&missing, json!({"metadata": {"namespace": "store"}})).0, 400);
    let empty = "error decoding patch: unexpected end of JSON input";
    assert_eq!(edge.send(&missing, Value::Null), (400, empty.to_owned()));
}

#[test]
fn options_that_cannot_be_read_are_refused_before_the_object_is_sought() {
    let mut edge = Bed::new();
    let delete = format!("DELETE {TILL}");
    let field = |found: &str, field: &str, go_type: &str| {
        (500, format!("json: cannot unmarshal {found} into Go struct field {field} of type {go_type}"))
    };
    let grace = edge.send(&delete, json!({"gracePeriodSeconds": "x"}));
    assert_eq!(grace, field("string", "DeleteOptions.gracePeriodSeconds", "int64"));
    let uid = edge.send(&delete, json!({"preconditions": {"uid": 3}}));
    assert_eq!(uid, field("number", "Preconditions.preconditions.uid", "types.UID"));
    let kind = edge.send(&delete, json!({"kind": "Foo"}));
    assert!(kind.1.starts_with("no kind \"Foo\" is registered for version \"meta.k8s.io/v1\""), "{}", kind.1);
    let no_number = (400, "strconv.ParseInt: parsing \"x\": invalid syntax".to_owned());
    assert_eq!(edge.send(&format!("{delete}?gracePeriodSeconds=x"), Value::Null), no_number);
    assert_eq!(edge.send("GET /api/v1/namespaces/shop/pods?limit=x", Value::Null), no_number);
    assert_eq!(edge.send(&delete, json!({"kind": "DeleteOptions", "apiVersion": "v1"})).0, 404);
}

#[test]
fn versions_of_lists_that_do_not_go_together_are_refused() {
    let mut edge = Bed::new();
    let mut said = |query: &str| edge.send(&format!("GET /api/v1/namespaces/shop/pods?{query}"), Value::Null);
    let start = "ListOptions.meta.k8s.io \"\" is invalid:";
    let unless =
        "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided";
    assert_eq!(said("resourceVersionMatch=Exact"), (422, format!("{start} {unless}")));
    let unknown =
        "resourceVersionMatch: Unsupported value: \"Foo\": supported values: \"Exact\", \"NotOlderThan\", \"\"";
    assert_eq!(said("resourceVersionMatch=Foo"), (422, format!("{start} [{unless}, {unknown}]")));
    assert_eq!(said("watch=1&sendInitialEvents=true").0, 422);
    assert_eq!(said("resourceVersionMatch=NotOlderThan&resourceVersion=0").0, 200);
    let bare = (400, "invalid field selector: unescaped character in value: 61".to_owned());
    assert_eq!(said("fieldSelector=a%3D%3D%3Db"), bare);
}

#[test]
fn logs_are_asked_for_of_containers_that_there_are() {
    let mut edge = Bed::new();
    assert_eq!(edge.send(&format!("GET {TILL}/log"), Value::Null).0, 404);
    edge.pod("till", json!({"containers": [{"name": "a", "image": "a"}, {"name": "b", "image": "b"}]}));
    let which = "a container name must be specified for pod till, choose one of: [a b]";
    assert_eq!(edge.send(&format!("GET {TILL}/log"), Value::Null), (400, which.to_owned()));
    let other = "container c is not valid for pod till";
    assert_eq!(edge.send(&format!("GET {TILL}/log?container=c"), Value::Null), (400, other.to_owned()));
    assert_eq!(edge.send(&format!("GET {TILL}/log?container=a"), Value::Null).0, 200);
    let lines = "PodLogOptions \"till\" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0";
    assert_eq!(edge.send(&format!("GET {TILL}/log?tailLines=-1"), Value::Null), (422, lines.to_owned()));
}

#[test]
fn a_namespace_enforces_its_level_on_the_pods_that_are_created_in_it() {
    let mut edge = Bed::new();
    let labels = json!({"pod-security.kubernetes.io/enforce": "baseline"});
    edge.grant("PATCH /api/v1/namespaces/shop", json!({"metadata": {"labels": labels}}));
    let shared = edge.send(PODS, pod("till", json!({"hostPID": true})));
    let why = "violates PodSecurity \"baseline:latest\": host namespaces (hostPID=true)";
    assert_eq!(shared, (403, format!("pods \"till\" is forbidden: {why}")));
    edge.pod("till", json!({}));
}

#[test]
fn a_limit_range_without_a_name_gets_one() {
    let mut edge = Bed::new();
    let limits = json!([{"type": "Container", "max": {"cpu": "2"}}]);
    let range = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {}, "spec": {"limits": limits}});
    edge.grant("POST /api/v1/namespaces/shop/limitranges", range.clone());
    edge.grant("POST /api/v1/namespaces/shop/limitranges", range);
}

#[test]
fn a_node_port_that_is_no_port_is_outside_the_range() {
    let mut edge = Bed::new();
    for number in [-1, 70_000] {
        let ports = json!([{"port": 80, "nodePort": number}]);
        let spec = json!({"type": "NodePort", "ports": ports});
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "till"}, "spec": spec});
        let why = format!(
            "Service \"till\" is invalid: spec.ports[0].nodePort: Invalid value: {number}: provided port is not in the \
             valid range. The range of valid ports is 30000-32767"
        );
        assert_eq!(edge.send("POST /api/v1/namespaces/shop/services", service), (422, why));
    }
    let spec = json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}],
        "healthCheckNodePort": 70_000});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "till"}, "spec": spec});
    let why = "Internal error occurred: failed to allocate requested HealthCheck NodePort 70000: provided port is not \
               in the valid range. The range of valid ports is 30000-32767";
    let (code, said) = edge.send("POST /api/v1/namespaces/shop/services", service);
    assert_eq!((code, said.as_str()), (500, why));
}

#[test]
fn the_labels_that_a_deletion_of_a_collection_selects_are_read_before_its_options() {
    let mut edge = Bed::new();
    let path = "DELETE /api/v1/namespaces/shop/pods?labelSelector=";
    edge.pod("till", json!({}));
    let never = json!({"propagationPolicy": "Never"});
    let (code, why) = edge.send(&format!("{path}app+in+till"), never.clone());
    assert!(code == 400 && why.starts_with("unable to parse requirement"), "{code}: {why}");
    assert_eq!(edge.send(&format!("{path}app+in+%28till%29"), never).0, 422);
    edge.grant(&format!("{path}app+in+%28shelf%29"), Value::Null);
    assert_eq!(edge.send(&format!("GET {TILL}"), Value::Null).0, 200);
}

#[test]
fn what_a_claim_s_template_says_that_it_is_does_not_matter() {
    let mut edge = Bed::new();
    let claim = json!({"apiVersion": "v9", "kind": "Claim", "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let template = json!({"metadata": {"labels": {"app": "db"}}, "spec": pod("db", json!({}))["spec"]});
    let spec = json!({"serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": template,
        "volumeClaimTemplates": [claim]});
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": spec});
    edge.grant("POST /apis/apps/v1/namespaces/shop/statefulsets", set);
}

#[test]
fn a_divisor_that_is_not_given_is_shown_as_a_zero_and_may_be_written_so() {
    let mut edge = Bed::new();
    let volumes = |resource: Value| {
        let file = json!({"path": "cpu", "resourceFieldRef": resource});
        let volume = json!({"name": "v", "downwardAPI": {"items": [file]}});
        json!({"automountServiceAccountToken": false, "volumes": [volume]})
    };
    edge.pod("till", volumes(json!({"containerName": "till", "resource": "limits.cpu"})));
    let shown = volumes(json!({"containerName": "till", "resource": "limits.cpu", "divisor": "0"}));
    edge.grant(&format!("PATCH {TILL}"), json!({"spec": shown}));
}

/// What is said of a creation whose body is written so.
fn said_of(edge: &Bed, query: &str, written: &str) -> String {
    let mut path = Path::parse(&format!("/apis/apps/v1/namespaces/shop/deployments{query}")).expect("a path");
    path.written = Some(written.into());
    let body = serde_json::from_str(written).expect("JSON");
    match translate(&edge.core, "POST", &path, "application/json", &body) {
        Outcome::Answered(status) => status.message,
        other => panic!("{other:?}"),
    }
}

/// Source: `decodeState.object`, encoding/json/decode.go, and `saveStrictError`, kubernetes_patch.go of
/// sigs.k8s.io/json; `strictDecodingError.Error`, staging/src/k8s.io/apimachinery/pkg/runtime/error.go (v1.34.1).
#[test]
fn unknown_and_repeated_fields_are_told_in_the_order_of_the_text() {
    let edge = Bed::new();
    let written = r#"{"kind": "Deployment", "zebra": 1, "apiVersion": "apps/v1", "metadata": {"name": "a",
        "name": "web", "labels": {"x": "1", "x": "2", "x": "3"}}, "spec": {"template": {"spec": {"containers": [
        {"name": "c", "imag": "i", "image": "i", "image": "i"}], "contaners": []}}, "replcas": 3},
        "alpha": {"a": 1, "a": 2}, "zebra": 2}"#;
    let start = "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: ";
    let expected = "unknown field \"zebra\", duplicate field \"metadata.name\", duplicate field \
                    \"metadata.labels.x\", unknown field \"spec.template.spec.containers[0].imag\", duplicate field \
                    \"spec.template.spec.containers[0].image\", unknown field \"spec.template.spec.contaners\", \
                    unknown field \"spec.replcas\", unknown field \"alpha\"";
    assert_eq!(said_of(&edge, "?fieldValidation=Strict", written), format!("{start}{expected}"));
    assert!(
        said_of(&edge, "", written).contains("is invalid: "),
        "who asks for no strictness is told what validation says"
    );
}

/// Source: `decodeState.saveError`, `decodeState.literalStore`, encoding/json/decode.go of sigs.k8s.io/json (v1.34.1).
#[test]
fn of_several_wrong_types_the_first_in_the_text_is_told_unless_a_type_that_reads_itself_refuses_one() {
    let edge = Bed::new();
    let start = "Deployment in version \"v1\" cannot be handled as a Deployment: ";
    let body = |spec: &str| {
        format!(r#"{{"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {{"name": "web"}}, "spec": {spec}}}"#)
    };
    let replicas = "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32";
    let paused = "json: cannot unmarshal number into Go struct field DeploymentSpec.spec.paused of type bool";
    let two = said_of(&edge, "", &body(r#"{"replicas": "3", "paused": 1}"#));
    assert_eq!(two, format!("{start}{replicas}"));
    assert_eq!(said_of(&edge, "", &body(r#"{"paused": 1, "replicas": "3"}"#)), format!("{start}{paused}"));
    let late = r#"{"paused": 1, "replicas": "3", "template": {"spec": {"containers": [
        {"name": 3, "resources": {"limits": {"cpu": "much"}}}]}}}"#;
    let quantity = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    assert_eq!(said_of(&edge, "", &body(late)), format!("{start}{quantity}"));
    let strict = said_of(&edge, "?fieldValidation=Strict", &body(r#"{"replcas": 3, "paused": 1}"#));
    assert_eq!(strict, format!("{start}{paused}"), "a wrong type is told alone");
}

/// Source: `fromUnstructured`, staging/src/k8s.io/apimachinery/pkg/runtime/converter.go (v1.34.1).
#[test]
fn a_number_that_is_too_large_is_wrapped_by_a_strategic_merge_patch_alone() {
    let mut edge = Bed::new();
    let template =
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let spec = json!({"selector": {"matchLabels": {"app": "web"}}, "template": template});
    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec});
    edge.grant("POST /apis/apps/v1/namespaces/shop/deployments", body);
    let path = Path::parse("/apis/apps/v1/namespaces/shop/deployments/web").expect("a path");
    let said = |kind: &str| {
        let patch = json!({"spec": {"replicas": 2_147_483_648_i64}});
        match translate(&edge.core, "PATCH", &path, &format!("application/{kind}-patch+json"), &patch) {
            Outcome::Answered(status) => status.message,
            other => panic!("{other:?}"),
        }
    };
    let wrapped = "spec.replicas: Invalid value: -2147483648: must be greater than or equal to 0";
    assert_eq!(said("strategic-merge"), format!("Deployment.apps \"web\" is invalid: {wrapped}"));
    let refused = said("merge");
    assert!(refused.contains("json: cannot unmarshal number 2147483648 into Go struct field"), "{refused}");
}

#[test]
fn a_claim_s_two_fields_for_what_it_begins_with_are_shown_both_and_an_older_client_keeps_them() {
    let mut edge = Bed::new();
    let source = json!({"kind": "PersistentVolumeClaim", "name": "old"});
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let claim = |more: Value| {
        let mut spec = spec.clone();
        for (key, value) in more.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": spec})
    };
    edge.grant("POST /api/v1/namespaces/shop/persistentvolumeclaims", claim(json!({"dataSource": source})));
    let shown = |edge: &Bed| {
        let object = edge.stored(Kind::PersistentVolumeClaim, "c").expect("it is there");
        let json = wavetank_manifest::kubernetes::to_json(&object, wavetank_core::id::Revision(1), EPOCH);
        (json["spec"]["dataSource"].clone(), json["spec"]["dataSourceRef"].clone())
    };
    assert_eq!(shown(&edge), (source.clone(), source.clone()));
    let put = "PUT /api/v1/namespaces/shop/persistentvolumeclaims/c";
    edge.grant(put, claim(json!({"dataSource": source, "volumeMode": "Filesystem"})));
    assert_eq!(shown(&edge), (source.clone(), source));
}
