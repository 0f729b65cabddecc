//! Manifest files as users bring them.

use proptest::prelude::*;
use serde_json::json;
use wavetank_core::id::Revision;
use wavetank_manifest::kubernetes::{Manifest, read_admitted, read_manifests, to_json, to_object};

const WEB: &str = include_str!("data/web.yaml");

fn refusals(text: &str) -> Vec<String> {
    let errors = read_admitted("web.yaml", text).expect_err(text);
    errors.0.iter().map(ToString::to_string).collect()
}

#[test]
fn a_deployment_and_its_service_are_read_defaulted_and_accepted() {
    let objects = read_admitted("web.yaml", WEB).unwrap_or_else(|errors| panic!("{}", errors.render(WEB)));
    let [deployment, service] = objects.as_slice() else { panic!("{} objects", objects.len()) };
    assert_eq!((deployment.position().line, service.position().line), (2, 45));
    let deployment = serde_json::to_value(&deployment.value).unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        container["resources"],
        json!({
            "requests": {"cpu": "500m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "256Mi"},
        })
    );
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    assert_eq!(container["readinessProbe"]["timeoutSeconds"], 1);
    assert_eq!(container["env"][1]["valueFrom"]["fieldRef"]["apiVersion"], "v1");
    assert_eq!(deployment["spec"]["template"]["spec"]["volumes"][0]["configMap"]["defaultMode"], 420);
    let Manifest::Service(service) = &service.value else { panic!("no Service") };
    assert_eq!(service.spec.as_ref().unwrap().type_.as_deref(), Some("ClusterIP"));
}

#[test]
fn only_services_with_an_address_show_where_traffic_from_inside_goes() {
    let shown = |spec: &str| {
        let text = format!("apiVersion: v1\nkind: Service\nmetadata: {{name: till}}\nspec: {{{spec}}}\n");
        let objects = read_admitted("till.yaml", &text).unwrap_or_else(|errors| panic!("{}", errors.render(&text)));
        let object = to_object(&objects[0]).expect("a Service");
        to_json(&object, Revision(0), 0)["spec"]["internalTrafficPolicy"].clone()
    };
    assert_eq!(shown("ports: [{port: 80}]"), "Cluster");
    assert_eq!(shown("ports: [{port: 80}], internalTrafficPolicy: Local"), "Local");
    let alias = "type: ExternalName, externalName: shop.example, internalTrafficPolicy: Cluster";
    assert_eq!(shown(alias), serde_json::Value::Null);
}

#[test]
fn what_was_written_is_kept_beside_the_object() {
    let objects = read_admitted("web.yaml", WEB).unwrap();
    let original = objects[1].original();
    assert_eq!(
        original["spec"],
        json!({
            "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        })
    );
}

#[test]
fn mistyped_fields_of_all_documents_are_told_together() {
    let text = WEB.replace("replicas: 3", "replcas: 3").replace("targetPort", "tragetPort").replace("image:", "imgae:");
    assert_eq!(
        refusals(&text),
        [
            "web.yaml:8:3: spec.replcas: unknown field \"replcas\"; did you mean \"replicas\"?",
            "web.yaml:26:9: spec.template.spec.containers[0].imgae: unknown field \"imgae\"; did you mean \"image\"?",
            "web.yaml:52:28: spec.ports[0].tragetPort: unknown field \"tragetPort\"; did you mean \"targetPort\"?",
        ]
    );
}

#[test]
fn wrong_types_are_refused_as_the_api_server_refuses_them() {
    let text = WEB.replace("value: info", "value: 5");
    assert_eq!(
        refusals(&text),
        ["web.yaml:30:32: spec.template.spec.containers[0].env[0].value: expected a string, found the integer 5 \
          (put it in quotes to make it a string)"]
    );
    let told = refusals(&WEB.replace("scrape: \"true\"", "scrape: true"));
    assert!(
        told[0].contains("spec.template.metadata.annotations[prometheus.io/scrape]: expected a string"),
        "{told:?}"
    );
    let told = refusals(&WEB.replace("memory: 128Mi", "memory: 128MiB"));
    assert!(told[0].contains("requests[memory]: \"128MiB\" is no quantity"), "{told:?}");
    assert!(told[0].starts_with("web.yaml:34:"), "{told:?}");
    let told = refusals(&WEB.replace("replicas: 3", "replicas: 3000000000"));
    assert!(told[0].contains("between -2147483648 and 2147483647"), "{told:?}");
}

#[test]
fn invalid_values_are_placed_where_they_are_written() {
    let text = WEB
        .replace("matchLabels: {app: web}\n  template", "matchLabels: {app: other}\n  template")
        .replace("cpu: 0.5", "cpu: 2")
        .replace("targetPort: http", "targetPort: 99999");
    assert_eq!(
        refusals(&text),
        [
            "web.yaml:13:7: spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match \
             template `labels`",
            "web.yaml:34:11: spec.template.spec.containers[0].resources.requests: Invalid value: \"2\": must be less \
             than or equal to cpu limit of 1",
            "web.yaml:52:28: spec.ports[0].targetPort: Invalid value: 99999: must be between 1 and 65535, inclusive",
        ]
    );
}

#[test]
fn kinds_that_are_not_supported_are_refused_by_name() {
    let told = refusals("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x}\n");
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with(
            "web.yaml:2:7: kind: kind \"NetworkPolicy\" of networking.k8s.io/v1 is not supported yet; expected one of"
        ),
        "{told:?}"
    );
    let told = refusals("apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: x}\n");
    assert_eq!(
        told,
        ["web.yaml:1:13: apiVersion: no kind \"Deployment\" in version \"extensions/v1beta1\"; did you mean \
             \"apps/v1\"?"]
    );
    let told = refusals("apiVersion: apps/v1\nkind: Deploymnet\nmetadata: {name: x}\n");
    assert!(told[0].ends_with("did you mean \"Deployment\"?"), "{told:?}");
}

#[test]
fn what_every_object_needs_is_asked_for() {
    assert_eq!(refusals("kind: Pod\nmetadata: {name: x}\n"), ["web.yaml:1:1: apiVersion: apiVersion not set"]);
    assert_eq!(refusals("apiVersion: v1\nmetadata: {name: x}\n"), ["web.yaml:1:1: kind: kind not set"]);
    assert_eq!(
        refusals("apiVersion: v1\nkind: Pod\nmetadata: {}\n"),
        ["web.yaml:3:1: metadata.name: Required value: name or generateName is required"]
    );
    assert!(refusals("- 1\n")[0].contains("expected a Kubernetes object, found a sequence"));
    assert!(refusals("apiVersion: 1\nkind: Pod\n")[0].contains("expected a string, found the integer 1"));
    let generated =
        "apiVersion: v1\nkind: Pod\nmetadata: {generateName: x-}\nspec: {containers: [{name: c, image: a}]}\n";
    assert_eq!(read_admitted("pod.yaml", generated).unwrap().len(), 1);
}

#[test]
fn lists_are_flattened_and_typed_lists_give_their_items_the_kind() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n- \
                {apiVersion: v1, kind: Node, metadata: {name: m}}\n---\napiVersion: v1\nkind: NodeList\nmetadata: \
                {resourceVersion: \"1\"}\nitems: [{metadata: {name: b}}, {metadata: {name: c}}]\n";
    let objects = read_manifests("list.yaml", text).unwrap();
    let names: Vec<(&str, &str)> = objects
        .iter()
        .map(|object| (object.value.kind().kind, object.value.metadata().name.as_deref().unwrap()))
        .collect();
    assert_eq!(names, [("Namespace", "a"), ("Node", "m"), ("Node", "b"), ("Node", "c")]);
    assert!(refusals("apiVersion: v1\nkind: List\nitmes: []\n")[0].ends_with("did you mean \"items\"?"));
    assert!(refusals("apiVersion: v1\nkind: StatefulSetList\nitems: [{}]\n")[0].contains("apiVersion not set"));
}

#[test]
fn an_empty_file_has_no_objects() {
    assert!(read_manifests("empty.yaml", "# nothing yet\n").unwrap().is_empty());
}

#[test]
fn an_object_that_was_exported_from_a_cluster_can_be_read_again() {
    let text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  creationTimestamp: null\n  annotations:\n  \
                managedFields:\n  - {manager: kubectl, operation: Apply, time: 2026-11-20T20:12:33Z, fieldsType: \
                FieldsV1, fieldsV1: {'f:spec': {'f:ports': {}}}}\nspec:\n  ports: [{port: 80}]\nstatus: \
                {loadBalancer: {}}\n";
    let objects = read_admitted("exported.yaml", text).unwrap_or_else(|errors| panic!("{}", errors.render(text)));
    let fields = &serde_json::to_value(&objects[0].value).unwrap()["metadata"]["managedFields"][0]["fieldsV1"];
    assert_eq!(*fields, json!({"f:spec": {"f:ports": {}}}));
}

proptest! {
    #[test]
    fn no_damage_to_a_manifest_makes_the_reader_panic(
        cut in 0..WEB.len(),
        length in 0..40_usize,
        put in "[-a0:&*<>{}\\[\\], \n~.]{0,8}",
    ) {
        // The text is ASCII, so every index is a character's.
        let end = (cut + length).min(WEB.len());
        let damaged = format!("{}{put}{}", &WEB[..cut], &WEB[end..]);
        if let Err(errors) = read_admitted("web.yaml", &damaged) {
            prop_assert!(!errors.0.is_empty());
            prop_assert!(errors.0.iter().all(|error| error.line > 0), "{}", errors);
        }
    }
}

/// Source: `omitempty` of `MinReadySeconds`, `ObservedGeneration` and `Conditions`,
/// staging/src/k8s.io/api/{apps,core}/v1/types.go (v1.34.1).
#[test]
fn a_zero_and_an_empty_list_are_not_shown_even_if_written() {
    let selectors = [
        ("apps/v1", "Deployment", "{matchLabels: {app: x}}"),
        ("apps/v1", "ReplicaSet", "{matchLabels: {app: x}}"),
        ("apps/v1", "StatefulSet", "{matchLabels: {app: x}}"),
        ("apps/v1", "DaemonSet", "{matchLabels: {app: x}}"),
        ("v1", "ReplicationController", "{app: x}"),
    ];
    for (version, kind, selector) in selectors {
        let shown_with = |min_ready: u32| {
            let text = format!(
                "{{apiVersion: {version}, kind: {kind}, metadata: {{name: s}}, spec: {{selector: {selector}, \
                 minReadySeconds: {min_ready}, template: {{metadata: {{labels: {{app: x}}}}, \
                 spec: {{containers: [{{name: c, image: a}}]}}}}}}}}"
            );
            to_json(&to_object(&read_admitted("s.yaml", &text).unwrap().remove(0)).unwrap(), Revision(1), 0)
        };
        assert_eq!(shown_with(5)["spec"]["minReadySeconds"], 5, "{kind}");
        let shown = shown_with(0);
        assert_eq!(shown["spec"].get("minReadySeconds"), None, "{kind}");
        assert_eq!(shown["status"].get("observedGeneration"), None, "{kind}: no controller has seen it");
        assert_eq!(shown["status"].get("conditions"), None, "{kind}");
    }
}
