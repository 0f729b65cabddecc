//! What the API server makes of a request's body before it judges it, and what it says of one that it cannot read.
//!
//! Each row is an object, or a change of one as a JSON merge patch, and what is said; nothing is said of a good one.

use serde_json::{Value, json};
use wavetank_manifest::kubernetes::{
    KINDS, Kind, Manifest, PatchType, Policy, apply_defaults, apply_patch, converted, read_body, read_event,
    validate_event, validate_status_update, validate_under, validate_update,
};

fn kind(name: &str) -> Kind {
    *KINDS.iter().find(|kind| kind.kind == name).unwrap_or_else(|| panic!("no kind {name}"))
}

fn read(object: &Value) -> Result<Manifest, String> {
    let kind = kind(object["kind"].as_str().unwrap_or_default());
    let mut manifest = read_body(kind, &object.to_string()).map_err(|fault| fault.said)?.0.value;
    apply_defaults(&mut manifest);
    Ok(manifest)
}

/// What is said of a new object, without the words about its kind and name.
fn said(object: &Value) -> String {
    let manifest = match read(object) {
        Ok(manifest) => manifest,
        Err(said) => return said,
    };
    let answer = validate_under(&manifest, Policy::OF_FLAGS).map_err(|invalid| invalid.to_string());
    reasons(answer)
}

fn reasons(answer: Result<(), String>) -> String {
    let message = answer.err().unwrap_or_default();
    message.split_once(" is invalid: ").map_or_else(String::new, |(_, why)| why.to_owned())
}

fn changed(object: &Value, change: &str) -> Value {
    let mut changed = object.clone();
    let change: Value = serde_json::from_str(change).unwrap_or_else(|error| panic!("{change}: {error}"));
    apply_patch(PatchType::Merge, &mut changed, &change).expect("a merge patch always fits");
    changed
}

/// What is said of a new version of an object.
fn said_of_change(old: &Value, change: &str) -> String {
    let new = changed(old, change);
    let (new, old) = (read(&new).unwrap_or_else(|why| panic!("{change}: {why}")), read(old).expect("a good object"));
    reasons(validate_update(&new, &old, Policy::OF_FLAGS).map_err(|invalid| invalid.to_string()))
}

fn pod(spec: &str) -> Value {
    let spec: Value = serde_json::from_str(spec).unwrap_or_else(|error| panic!("{spec}: {error}"));
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "labels": {"app": "shop"}},
        "spec": {"containers": [{"name": "main", "image": "shop:1"}]}});
    apply_patch(PatchType::Merge, &mut pod, &json!({"spec": spec})).expect("a merge patch always fits");
    pod
}

fn object(kind: &str, fields: &str) -> Value {
    let version = KINDS.iter().find(|known| known.kind == kind).map_or("", |known| known.api_version);
    let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}});
    let fields: Value = serde_json::from_str(fields).unwrap_or_else(|error| panic!("{fields}: {error}"));
    apply_patch(PatchType::Merge, &mut object, &fields).expect("a merge patch always fits");
    object
}

const TEMPLATE: &str =
    r#"{"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"name": "main", "image": "a"}]}}"#;

/// A workload of `kind` whose spec has these fields beside a selector and a template.
fn workload(kind: &str, fields: &str) -> Value {
    let selector = r#""selector": {"matchLabels": {"app": "shop"}}"#;
    object(kind, &format!(r#"{{"spec": {{{selector}, "template": {TEMPLATE}, {fields}}}}}"#))
}

#[test]
fn null_is_the_zero_value_wherever_it_stands() {
    let mut labelled = pod("{}");
    labelled["metadata"]["labels"] = json!({"a": null});
    let mut listed = pod("{}");
    listed["spec"]["containers"] = json!([{"name": "main", "image": "a", "command": ["a", null]}]);
    let mut limited = pod("{}");
    limited["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}, "limits": {"cpu": null}});
    let mut nothing = pod("{}");
    nothing["spec"]["containers"] = json!([null]);
    for (object, why) in [
        (labelled, ""),
        (listed, ""),
        (
            limited,
            "spec.containers[0].resources.requests: Invalid value: \"1\": must be less than or equal to cpu limit of 0",
        ),
        (nothing, "[spec.containers[0].name: Required value, spec.containers[0].image: Required value]"),
    ] {
        assert_eq!(said(&object), why, "{object}");
    }
}

#[test]
fn a_value_of_a_wrong_type_is_told_with_its_field_and_gos_type() {
    let port = |port: Value| {
        let mut pod = pod("{}");
        pod["spec"]["containers"][0]["livenessProbe"] = json!({"httpGet": {"port": port}});
        pod
    };
    let volume = |volume: Value| pod(&json!({"volumes": [volume]}).to_string());
    let place = "Go struct field HTTPGetAction.spec.containers.livenessProbe.httpGet.port of type int32";
    let surge = r#""strategy": {"rollingUpdate": {"maxSurge": 2147483648}}"#;
    for (object, found, place) in [
        (port(json!(true)), "bool", place),
        (port(json!(1.5)), "number 1.5", place),
        (
            workload("Deployment", surge),
            "number 2147483648",
            "Go struct field RollingUpdateDeployment.spec.strategy.rollingUpdate.maxSurge of type int32",
        ),
        (
            volume(json!({"name": "v", "configMap": {"items": "x"}})),
            "string",
            "Go struct field ConfigMapVolumeSource.spec.volumes.configMap.items of type []v1.KeyToPath",
        ),
        (
            volume(json!({"name": "v", "hostPath": {"path": "/a", "type": 5}})),
            "number",
            "Go struct field HostPathVolumeSource.spec.volumes.hostPath.type of type v1.HostPathType",
        ),
        (
            volume(json!({"name": "v", "glusterfs": {"endpoints": 5}})),
            "number",
            "Go struct field GlusterfsVolumeSource.spec.volumes.glusterfs.endpoints of type string",
        ),
        (
            object("Node", r#"{"status": {"capacity": []}}"#),
            "array",
            "Go struct field NodeStatus.status.capacity of type v1.ResourceList",
        ),
    ] {
        assert_eq!(said(&object), format!("json: cannot unmarshal {found} into {place}"));
    }
}

#[test]
fn bytes_may_be_a_list_of_numbers() {
    assert_eq!(said(&object("Secret", r#"{"data": {"a": [104, 105]}}"#)), "");
    let tls = object("Secret", r#"{"type": "kubernetes.io/ssh-auth", "data": {"ssh-privatekey": []}}"#);
    assert_eq!(said(&tls), "data[ssh-privatekey]: Required value");
}

#[test]
fn a_time_is_refused_in_gos_words() {
    let lease = object("Lease", r#"{"spec": {"renewTime": "2026-01-02T03:04:05Z"}}"#);
    let why =
        r#"parsing time "2026-01-02T03:04:05Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000""#;
    assert_eq!(said(&lease), why);
}

#[test]
fn what_gates_drop_is_not_looked_at() {
    let mut of_image = pod(r#"{"volumes": [{"name": "v", "image": {"reference": ""}}]}"#);
    of_image["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "v", "mountPath": ""}]);
    let mut restarted = pod(r#"{"initContainers": [{"name": "i", "image": "a", "restartPolicy": "Sometimes"}]}"#);
    restarted["spec"]["containers"][0]["restartPolicy"] = "Never".into();
    let topology = r#"{"addressType": "IPv4", "endpoints": [{"addresses": ["10.1.1.1"],
        "deprecatedTopology": {"a b": "c d"}}], "ports": []}"#;
    for object in [of_image, restarted, object("EndpointSlice", topology)] {
        assert_eq!(said(&object), "", "{object}");
    }
}

#[test]
fn keys_that_a_pods_labels_give_values_to_are_compared_with_the_selector() {
    let pod = |labels: &str, keys: &str| {
        let spec = format!(
            r#"{{"topologySpreadConstraints": [{{"maxSkew": 1, "topologyKey": "zone", "matchLabelKeys": {keys},
            "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {{"matchLabels": {labels}}}}}]}}"#
        );
        said(&pod(&spec))
    };
    let at = "spec.topologySpreadConstraints[0]";
    let twice = |index: usize, key: &str| {
        format!("{at}[{index}]: Invalid value: \"{key}\": exists in both matchLabelKeys and labelSelector")
    };
    assert_eq!(pod(r#"{"app": "shop"}"#, r#"["app"]"#), twice(0, "app"));
    assert_eq!(pod(r#"{"a": "b"}"#, r#"["app", "app"]"#), twice(1, "app"), "the second expression meets the first");
    assert_eq!(pod(r#"{"tier": "web"}"#, r#"["tier"]"#), "", "the pod has no such label, so nothing is added");
}

#[test]
fn both_fields_for_what_a_claim_begins_with_are_kept_equal() {
    let claim = |source: &str| {
        let spec = r#""accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}"#;
        said(&object("PersistentVolumeClaim", &format!(r#"{{"spec": {{{spec}, {source}}}}}"#)))
    };
    let unnamed = "[spec.dataSource.name: Required value, spec.dataSourceRef.name: Required value]";
    assert_eq!(claim(r#""dataSource": {"kind": "PersistentVolumeClaim", "name": ""}"#), unnamed);
    assert_eq!(claim(r#""dataSource": {"kind": "Potato", "name": ""}"#), "", "neither a claim nor a snapshot");
}

#[test]
fn shares_that_are_plain_numbers_in_quotes_count() {
    let rolling = |kind: &str, rolling: &str| {
        let field = if kind == "DaemonSet" { "updateStrategy" } else { "strategy" };
        said(&workload(kind, &format!(r#""{field}": {{"rollingUpdate": {rolling}}}"#)))
    };
    let rule = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex \
                used for validation is '[0-9]+%')";
    let at = "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"1\"";
    let both = format!("[{at}: {rule}, {at}: may not be set when maxUnavailable is non-zero]");
    assert_eq!(rolling("DaemonSet", r#"{"maxSurge": "1", "maxUnavailable": 1}"#), both);
    let at = "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"-1\"";
    assert_eq!(rolling("Deployment", r#"{"maxSurge": 0, "maxUnavailable": "-1"}"#), format!("{at}: {rule}"));
}

#[test]
fn corners_of_creation() {
    let slice = |address: &str| {
        let fields =
            format!(r#"{{"addressType": "IPv6", "endpoints": [{{"addresses": ["{address}"]}}], "ports": []}}"#);
        said(&object("EndpointSlice", &fields))
    };
    let at = |address: &str| format!("endpoints[0].addresses[0]: Invalid value: \"{address}\"");
    assert_eq!(slice("FD00::1"), format!("{}: must be in canonical form (\"fd00::1\")", at("FD00::1")));
    assert_eq!(slice("010.0.0.1"), format!("{}: must not have leading 0s", at("010.0.0.1")));
    assert_eq!(slice("::ffff:1.2.3.4"), format!("{}: must not be an IPv4-mapped IPv6 address", at("::ffff:1.2.3.4")));
    let name = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
                '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    let at = "spec.source.persistentVolumeName";
    let unnamed = format!(
        "[{at}: Required value: must specify non empty persistentVolumeName, {at}: Invalid value: \"\": {name}]"
    );
    let claims = |names: &str| workload("StatefulSet", &format!(r#""volumeClaimTemplates": [{names}]"#));
    let claim = r#""spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}"#;
    let twice = format!(r#"{{"metadata": {{"name": "a"}}, {claim}}}, {{"metadata": {{"name": "a"}}, {claim}}}"#);
    let volume = "spec.template.spec.volumes[0]";
    for (object, why) in [
        (
            object("ReplicationController", r#"{"spec": {"selector": {"app": "shop"}}}"#),
            "spec.template: Required value".to_owned(),
        ),
        (
            object("PriorityClass", r#"{"value": 1, "preemptionPolicy": ""}"#),
            "preemptionPolicy: Required value".to_owned(),
        ),
        (
            object("StorageClass", r#"{"provisioner": "a.example.com", "allowedTopologies": [{}]}"#),
            "allowedTopologies[0].matchLabelExpressions: Duplicate value: \"\"".to_owned(),
        ),
        (
            object(
                "VolumeAttachment",
                r#"{"spec": {"attacher": "a.b", "nodeName": "n", "source": {"persistentVolumeName": ""}}}"#,
            ),
            unnamed,
        ),
        (
            object("Node", r#"{"spec": {"podCIDR": "x"}}"#),
            "spec.podCIDRs[0]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
                .to_owned(),
        ),
        (
            object("Secret", r#"{"type": "kubernetes.io/dockercfg", "data": {".dockercfg": ""}}"#),
            "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": unexpected end of JSON input".to_owned(),
        ),
        (claims(&twice), String::new()),
        (
            claims(&format!("{{{claim}}}")),
            format!("[{volume}.persistentVolumeClaim.claimName: Required value, {volume}.name: Required value]"),
        ),
    ] {
        assert_eq!(said(&object), why, "{object}");
    }
}

#[test]
fn a_list_of_ranges_with_a_bad_one_is_told_three_times() {
    let node = object("Node", r#"{"spec": {"podCIDRs": ["10.1.0.0/24", "x"]}}"#);
    let why = "[spec.podCIDRs[1]: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or \
               2001:db8::/64), spec.podCIDRs: Internal error: invalid PodCIDRs. failed to check with dual stack with \
               error:invalid CIDR[1]: <nil> (invalid CIDR address: x), spec.podCIDRs: Invalid value: \
               [\"10.1.0.0/24\",\"x\"]: may specify no more than one CIDR for each IP family]";
    assert_eq!(said(&node), why);
}

#[test]
fn corners_of_changes() {
    let deployment = workload("Deployment", r#""replicas": 1"#);
    let labels = r#"{"app":"shop"}: `selector` does not match template `labels`"#;
    let gone = format!(
        "[spec.selector: Required value, spec.template.metadata.labels: Invalid value: {labels}, spec.selector: \
         Invalid value: null: field is immutable]"
    );
    assert_eq!(said_of_change(&deployment, r#"{"spec": {"selector": null}}"#), gone);
    let node = object("Node", r#"{"status": {"capacity": {"cpu": "4"}}}"#);
    assert_eq!(said_of_change(&node, r#"{"status": {"capacity": {"cpu": "-4"}}}"#), "", "a status is kept");
    let namespace = object("Namespace", r#"{"spec": {"finalizers": ["kubernetes"]}}"#);
    assert_eq!(said_of_change(&namespace, r#"{"spec": {"finalizers": ["x"]}}"#), "", "so are its finalizers");
    // What is no image's name has no tag, so that the pull policy is not that of the latest.
    assert_eq!(said_of_change(&pod("{}"), r#"{"spec": {"containers": [{"name": "main", "image": "A b"}]}}"#), "");
    let job = r#"{"spec": {"manualSelector": true, "selector": {"matchLabels": {"app": "shop"}},
        "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {"restartPolicy": "Never",
        "containers": [{"name": "main", "image": "a"}]}}}}"#;
    let why = said_of_change(&object("Job", job), r#"{"spec": {"manualSelector": false}}"#);
    assert!(why.contains("labels[job-name]: Required value") && !why.contains("labels[batch.kubernetes.io"), "{why}");
}

#[test]
fn a_nodes_status_is_checked_where_it_is_written() {
    let old = object("Node", "{}");
    let new = changed(
        &old,
        r#"{"status": {"capacity": {"cpu": "-1", "pods": "1500m"}, "addresses": [{"type": "Hostname", "address": "a"},
        {"type": "Hostname", "address": "a"}]}}"#,
    );
    let answer = validate_status_update(&read(&old).expect("a node"), &new, &old);
    let why = "[status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0, status.capacity.pods: \
               Invalid value: \"1500m\": must be an integer, status.addresses[1]: Duplicate value: \
               {\"Type\":\"Hostname\",\"Address\":\"a\"}]";
    assert_eq!(reasons(answer.map_err(|invalid| invalid.to_string())), why);
}

#[test]
fn a_collision_count_that_is_left_out_is_less_than_none() {
    for (kind, why) in [
        ("StatefulSet", "status.collisionCount: Invalid value: 0: cannot be decremented"),
        ("DaemonSet", "status.collisionCount: Invalid value: 0: cannot be decremented"),
        ("Deployment", ""),
    ] {
        let new = workload(kind, r#""minReadySeconds": 0"#);
        let old = changed(&new, r#"{"status": {"collisionCount": 0}}"#);
        let answer = validate_status_update(&read(&old).expect("a workload"), &new, &old);
        assert_eq!(reasons(answer.map_err(|invalid| invalid.to_string())), why, "{kind}");
    }
}

#[test]
fn an_event_lies_in_the_namespace_of_what_it_is_about() {
    let said = |event: Value| {
        let event = read_event(&event.to_string()).unwrap_or_else(|fault| panic!("{}", fault.said)).0;
        reasons(validate_event(&event).map_err(|invalid| invalid.to_string()))
    };
    let event = |object: Value, more: Value| {
        let mut event = json!({"metadata": {"name": "x", "namespace": "shop"}, "involvedObject": object});
        apply_patch(PatchType::Merge, &mut event, &more).expect("a merge patch always fits");
        event
    };
    let here = json!({"namespace": "shop"});
    assert_eq!(said(event(here.clone(), json!({}))), "");
    let elsewhere = "involvedObject.namespace: Invalid value: \"\": does not match event.namespace";
    assert_eq!(said(event(json!({}), json!({}))), elsewhere);
    let timed = json!({"eventTime": "2026-01-02T03:04:05.000000Z", "reportingComponent": "a", "action": "b",
        "reason": "x".repeat(129)});
    let why = "[reportingInstance: Required value, reason: Invalid value: \"\": can have at most 128 characters]";
    assert_eq!(said(event(here, timed)), why);
}

/// Source: `fromUnstructured`, staging/src/k8s.io/apimachinery/pkg/runtime/converter.go (v1.34.1).
#[test]
fn a_strategic_merge_patch_wraps_numbers_that_are_too_large() {
    let kind = |name: &str| *KINDS.iter().find(|kind| kind.kind == name).expect("a kind");
    let of = |name: &str, spec: Value| {
        let object =
            json!({"apiVersion": kind(name).api_version, "kind": name, "metadata": {"name": "a"}, "spec": spec});
        converted(kind(name), &object)["spec"].clone()
    };
    let spec = json!({"replicas": 4_294_967_299_i64, "minReadySeconds": 2_147_483_648_i64});
    assert_eq!(of("Deployment", spec), json!({"replicas": 3, "minReadySeconds": -2_147_483_648_i64}));
    let grace = json!({"terminationGracePeriodSeconds": 9_223_372_036_854_775_808_u64, "containers": []});
    assert_eq!(of("Pod", grace)["terminationGracePeriodSeconds"], i64::MIN);
    assert_eq!(of("Deployment", json!({"replicas": 1.5})), json!({"replicas": 1.5}), "a fraction is refused");
}
