use wavetank_core::model::{Object, ResourceName};

use super::*;

mod jobs;
mod modelled;

/// The API server's message for a manifest of one object, or nothing if it is accepted.
fn refusal(text: &str) -> String {
    let mut objects = read_manifests("a.yaml", text).unwrap_or_else(|errors| panic!("{}", errors.render(text)));
    let object = &mut objects[0].value;
    apply_defaults(object);
    validate(object).map_or_else(|invalid| invalid.to_string(), |()| String::new())
}

fn pod(spec: &str) -> String {
    format!("{{apiVersion: v1, kind: Pod, metadata: {{name: p}}, spec: {{{spec}}}}}")
}

fn pod_refusal(spec: &str) -> String {
    refusal(&pod(spec)).replace("Pod \"p\" is invalid: ", "")
}

fn deployment_refusal(spec: &str) -> String {
    let text = format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: d}}, spec: {{selector: {{matchLabels: {{a: b}}}}, \
         template: {{metadata: {{labels: {{a: b}}}}, spec: {{containers: [{{name: c, image: i}}]}}}}, {spec}}}}}"
    );
    refusal(&text).replace("Deployment.apps \"d\" is invalid: ", "")
}

fn service_refusal(spec: &str) -> String {
    let text = format!("{{apiVersion: v1, kind: Service, metadata: {{name: s}}, spec: {{{spec}}}}}");
    refusal(&text).replace("Service \"s\" is invalid: ", "")
}

#[test]
fn a_sound_object_is_accepted() {
    assert_eq!(pod_refusal("containers: [{name: c, image: a}]"), "");
    assert_eq!(deployment_refusal("replicas: 0"), "");
    assert_eq!(service_refusal("ports: [{port: 80}]"), "");
    assert_eq!(service_refusal("clusterIP: None"), "");
    assert_eq!(service_refusal("type: ExternalName, externalName: example.com."), "");
}

#[test]
fn several_causes_stand_in_brackets_and_equal_ones_are_told_once() {
    assert_eq!(
        pod_refusal("containers: [{name: c}, {name: c, image: a}], restartPolicy: Maybe"),
        "[spec.containers[0].image: Required value, spec.containers[1].name: Duplicate value: \"c\", \
         spec.restartPolicy: Unsupported value: \"Maybe\": supported values: \"Always\", \"OnFailure\", \"Never\"]"
    );
    // Both labels have the same bad value, and so the same message.
    let text = "{apiVersion: v1, kind: Namespace, metadata: {name: n1, labels: {a: '!', b: '!'}}}";
    assert_eq!(refusal(text).matches("Invalid value").count(), 1);
}

#[test]
fn names_must_be_dns_names_of_their_kind() {
    let named = |kind: &str, name: &str| {
        let text =
            format!("{{apiVersion: v1, kind: {kind}, metadata: {{name: \"{name}\"}}, spec: {{ports: [{{port: 1}}]}}}}");
        let text = if kind == "Service" { text } else { text.replace(", spec: {ports: [{port: 1}]}", "") };
        refusal(&text)
    };
    assert!(named("Namespace", "A").contains("a lowercase RFC 1123 label must consist of"));
    assert!(named("Namespace", "a.b").contains("must not contain dots"));
    assert_eq!(named("Node", "a.b"), "");
    assert!(named("Node", "a_b").contains("(e.g. 'example.com', regex used for validation is"));
    assert!(named("Service", "1a").contains("a DNS-1035 label must consist of"));
    assert_eq!(named("Service", "a1"), "");
}

#[test]
fn a_generated_name_may_end_with_a_dash() {
    let text = |prefix: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{generateName: {prefix}}}, spec: {{containers: [{{name: c, \
             image: a}}]}}}}"
        )
    };
    assert_eq!(refusal(&text("web-")), "");
    assert!(refusal(&text("Web-")).contains("metadata.generateName: Invalid value: \"Web-\""));
}

#[test]
fn objects_outside_of_namespaces_lose_theirs() {
    let mut objects = read_manifests("a", "{apiVersion: v1, kind: Node, metadata: {name: n1, namespace: x}}").unwrap();
    objects[0].admit().unwrap();
    assert_eq!(objects[0].value.metadata().namespace, None);
    assert_eq!(objects[0].original()["metadata"]["namespace"], "x");
}

#[test]
fn a_deployment_without_a_selector_is_told_so_and_that_it_matches_nothing() {
    let text = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {template: {metadata: {labels: {a: \
                b}}, spec: {containers: [{name: c, image: i}]}}}}";
    assert_eq!(
        refusal(text),
        "Deployment.apps \"d\" is invalid: [spec.selector: Required value, spec.template.metadata.labels: Invalid \
         value: {\"a\":\"b\"}: `selector` does not match template `labels`]"
    );
}

#[test]
fn deployments_are_checked_field_by_field() {
    let unlimited =
        "template: {metadata: {labels: {a: b}}, spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}";
    for (spec, expected) in [
        ("minReadySeconds: -1", "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0"),
        (
            "strategy: {type: Blue}",
            "spec.strategy: Unsupported value: {\"Type\":\"Blue\",\"RollingUpdate\":null}: supported values: \
             \"Recreate\", \"RollingUpdate\"",
        ),
        (
            "strategy: {type: Recreate, rollingUpdate: {maxSurge: 1}}",
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            "strategy: {rollingUpdate: {maxSurge: x}}",
            "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string must be a numeric \
             string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
        ),
        (unlimited, "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""),
        (
            "selector: {matchExpressions: [{key: a, operator: Like}]}",
            "[spec.selector.matchExpressions[0].operator: Invalid value: \"Like\": not a valid selector operator, \
             spec.selector: Invalid value: {\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Like\"}]}: invalid \
             label selector]",
        ),
        ("selector: {matchExpressions: [{key: a, operator: In, values: [b, c]}]}", ""),
        (
            "selector: {matchExpressions: [{key: z, operator: Exists}]}",
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
        ),
    ] {
        assert_eq!(deployment_refusal(spec), expected, "{spec}");
    }
}

#[test]
fn containers_are_checked_field_by_field() {
    for (container, expected) in [
        (
            "name: C, image: a",
            "name: Invalid value: \"C\": a lowercase RFC 1123 label must consist of lower case alphanumeric \
             characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', \
             regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        ),
        (
            "name: c, image: a, imagePullPolicy: Often",
            "imagePullPolicy: Unsupported value: \"Often\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ),
        (
            "name: c, image: a, ports: [{containerPort: 1, protocol: tcp}]",
            "ports[0].protocol: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
        ),
        ("name: c, image: a, ports: [{name: web}]", "ports[0].containerPort: Required value"),
        (
            "name: c, image: a, ports: [{containerPort: 1, hostPort: 2}, {containerPort: 3, hostPort: 2}]",
            "ports[1].hostPort: Duplicate value: \"TCP//2\"",
        ),
        (
            "name: c, image: a, env: [{name: a=b}]",
            "env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist only of printable \
             ASCII characters other than '='",
        ),
        (
            "name: c, image: a, readinessProbe: {periodSeconds: 1}",
            "readinessProbe: Required value: must specify a handler type",
        ),
        (
            "name: c, image: a, livenessProbe: {tcpSocket: {port: 1}, successThreshold: 2}",
            "livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            "name: c, image: a, livenessProbe: {httpGet: {port: 0}}",
            "livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            "name: c, image: a, livenessProbe: {exec: {command: [a]}, tcpSocket: {port: 1}}",
            "livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
        ),
        (
            "name: c, image: a, resources: {requests: {cpu: -1}}",
            "resources.requests[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
        ),
        (
            "name: c, image: a, resources: {requests: {x.io/gpu: 1}}",
            "resources.limits: Required value: Limit must be set for non overcommitable resources",
        ),
        (
            "name: c, image: a, resources: {limits: {x.io/gpu: 2}, requests: {x.io/gpu: 1}}",
            "resources.requests: Invalid value: \"1\": must be equal to x.io/gpu limit of 2",
        ),
    ] {
        let told = pod_refusal(&format!("containers: [{{{container}}}]"));
        assert_eq!(told, format!("spec.containers[0].{expected}"), "{container}");
    }
    // The missing request comes from the limit, so both are told.
    assert_eq!(
        pod_refusal("containers: [{name: c, image: a, resources: {limits: {x.io/gpu: 500m}}}]"),
        "[spec.containers[0].resources.limits[x.io/gpu]: Invalid value: \"500m\": must be an integer, \
         spec.containers[0].resources.requests[x.io/gpu]: Invalid value: \"500m\": must be an integer]"
    );
    let told = pod_refusal("containers: [{name: c, image: a, resources: {requests: {cpus: 1}}}]");
    assert!(
        told.contains("must be a standard resource type or fully qualified")
            && told.contains("standard resource for containers"),
        "{told}"
    );
}

#[test]
fn init_containers_share_the_names_of_the_main_ones_and_have_no_probes() {
    let told = pod_refusal("containers: [{name: c, image: a}], initContainers: [{name: c, image: a}]");
    assert_eq!(told, "spec.initContainers[0].name: Duplicate value: \"c\"");
    let probed =
        "containers: [{name: c, image: a}], initContainers: [{name: d, image: a, livenessProbe: {tcpSocket: {port: 1}}";
    let told = pod_refusal(&format!("{probed}}}]"));
    assert_eq!(
        told,
        "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without \
         restartPolicy=Always"
    );
    assert_eq!(pod_refusal(&format!("{probed}, restartPolicy: Always}}]")), "");
}

#[test]
fn what_steers_the_scheduler_is_checked() {
    let with = |field: &str| pod_refusal(&format!("containers: [{{name: c, image: a}}], {field}"));
    for (field, expected) in [
        ("nodeSelector: {'a b': c}", "spec.nodeSelector: Invalid value: \"a b\": name part must consist of"),
        (
            "tolerations: [{value: x}]",
            "spec.tolerations[0].operator: Invalid value: \"\": operator must be Exists when `key` is empty",
        ),
        (
            "tolerations: [{key: a, operator: Like}]",
            "spec.tolerations[0].operator: Unsupported value: \"Like\": supported values: \"Equal\", \"Exists\"",
        ),
        (
            "topologySpreadConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: Never}]",
            "spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value: \"Never\": supported values: \
             \"DoNotSchedule\", \"ScheduleAnyway\"",
        ),
        (
            "topologySpreadConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: ScheduleAnyway, minDomains: \
             2}]",
            "spec.topologySpreadConstraints[0].minDomains: Invalid value: 2: can only use minDomains if \
             whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway",
        ),
        (
            "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: []}}}",
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required \
             value: must have at least one node selector term",
        ),
        (
            "affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 101, \
             podAffinityTerm: {topologyKey: z}}]}}",
            "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: \
             101: must be in the range 1-100",
        ),
        ("schedulingGates: [{name: a}, {name: a}]", "spec.schedulingGates[1]: Duplicate value: \"a\""),
        (
            "activeDeadlineSeconds: 0",
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ),
    ] {
        let told = with(field);
        assert!(told.starts_with(expected), "{field}: {told}");
    }
}

#[test]
fn services_are_checked_field_by_field() {
    for (spec, expected) in [
        ("ports: [{port: 80}, {port: 81}]", "[spec.ports[0].name: Required value, spec.ports[1].name: Required value]"),
        (
            "ports: [{port: 0, targetPort: 1}]",
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            "ports: [{port: 80, nodePort: 30000}]",
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            "type: Public, ports: [{port: 80}]",
            "spec.type: Unsupported value: \"Public\": supported values: \"ClusterIP\", \"ExternalName\", \
             \"LoadBalancer\", \"NodePort\"",
        ),
        ("type: ExternalName", "spec.externalName: Required value"),
        (
            "type: NodePort, clusterIP: None, ports: [{port: 80}]",
            "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
        ),
        (
            "externalTrafficPolicy: Local, ports: [{port: 80}]",
            "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
        ),
        (
            "sessionAffinity: Cookie, ports: [{port: 80}]",
            "spec.sessionAffinity: Unsupported value: \"Cookie\": supported values: \"ClientIP\", \"None\"",
        ),
        (
            "ports: [{port: 80, targetPort: a_b}]",
            "spec.ports[0].targetPort: Invalid value: \"a_b\": must contain only alpha-numeric characters (a-z, 0-9), \
             and hyphens (-)",
        ),
    ] {
        assert_eq!(service_refusal(spec), expected, "{spec}");
    }
}

#[test]
fn the_admission_plugins_leave_a_pods_own_tolerations_alone() {
    let text = pod(
        "containers: [{name: c, image: a}], tolerations: [{key: node.kubernetes.io/not-ready, operator: Exists}], \
                    priorityClassName: system-node-critical",
    );
    let mut objects = read_manifests("a", &text).unwrap();
    let Manifest::Pod(pod) = &mut objects[0].value else { panic!("no pod") };
    admit_pod(pod);
    let once = pod.clone();
    admit_pod(pod);
    assert_eq!(*pod, once);
    let spec = once.spec.unwrap();
    let keys: Vec<_> = spec.tolerations.unwrap().into_iter().filter_map(|toleration| toleration.key).collect();
    assert_eq!(keys, ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]);
    assert_eq!((spec.priority, spec.service_account_name.as_deref()), (Some(2_000_001_000), Some("default")));
}

#[test]
fn a_pods_requests_come_from_its_limits_but_a_templates_do_not() {
    let limited = "containers: [{name: c, image: a, resources: {limits: {cpu: 0.1}}}]";
    let template = format!(
        "{{apiVersion: apps/v1, kind: ReplicaSet, metadata: {{name: r}}, spec: {{template: {{spec: {{{limited}}}}}}}}}"
    );
    let read = |text: &str| {
        let mut object = read_manifests("a", text).unwrap().remove(0).value;
        apply_defaults(&mut object);
        serde_json::to_value(&object).unwrap()["spec"].clone()
    };
    let resources = |spec: &serde_json::Value| spec["containers"][0]["resources"].to_string();
    assert_eq!(resources(&read(&pod(limited))), "{\"limits\":{\"cpu\":\"100m\"},\"requests\":{\"cpu\":\"100m\"}}");
    assert_eq!(resources(&read(&template)["template"]["spec"]), "{\"limits\":{\"cpu\":\"100m\"}}");
}

#[test]
fn what_a_pod_asks_for_as_a_whole_must_cover_its_containers() {
    let pod = |resources: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  resources: {resources}\n  containers: \
             [{{name: a, image: b, resources: {{requests: {{cpu: 300m}}}}}}, {{name: c, image: b, resources: \
             {{requests: {{cpu: 300m}}}}}}]\n"
        )
    };
    let refused = read_admitted("p", &pod("{requests: {cpu: 500m, example.com/gpu: 1}}")).unwrap_err().to_string();
    let text = "spec.resources.requests[cpu]: Invalid value: \"500m\": must be greater than or equal to aggregate \
                container requests of 600m";
    assert!(refused.contains(text), "{refused}");
    let text = "spec.resources.requests[example.com/gpu]: Unsupported value: \"example.com/gpu\": supported values: \
                \"cpu\", \"hugepages-\", \"memory\"";
    assert!(refused.contains(text), "{refused}");
    let admitted = read_admitted("p", &pod("{requests: {cpu: 1}, limits: {memory: 1Gi}}")).unwrap();
    let Ok(Object::Pod(pod)) = to_object(&admitted[0]) else { panic!("a pod was read") };
    let requests: Vec<(ResourceName, i64)> = pod.spec.pod_requests.iter().flat_map(|it| (**it).clone()).collect();
    assert_eq!(requests, [(ResourceName::Cpu, 1_000), (ResourceName::Memory, 1 << 30)]);
}
