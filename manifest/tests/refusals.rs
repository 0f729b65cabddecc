//! What the API server refuses, one row for each check: an object, a change that spoils it, and what is said.
//!
//! Changes are JSON merge patches. What is said is told without the words `Kind.group "name" is invalid: `.

use serde_json::{Value, json};
use wavetank_manifest::kubernetes::{
    Manifest, PatchType, Policy, apply_defaults, apply_patch, read_manifests, validate, validate_status_update,
    validate_update,
};

fn object(kind: &str) -> Value {
    let pod = json!({"containers": [{"name": "main", "image": "shop:1"}]});
    let labels = json!({"app": "shop"});
    let template = json!({"metadata": {"labels": labels}, "spec": pod});
    let workload = json!({"selector": {"matchLabels": labels}, "template": template});
    let mut once = template.clone();
    once["spec"]["restartPolicy"] = json!("Never");
    let (version, spec) = match kind {
        "Pod" => ("v1", pod),
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" => ("apps/v1", workload),
        "ReplicationController" => ("v1", json!({"selector": labels, "template": template})),
        "Job" => ("batch/v1", json!({"template": once})),
        "CronJob" => ("batch/v1", json!({"schedule": "5 4 * * *", "jobTemplate": {"spec": {"template": once}}})),
        "Service" => ("v1", json!({"selector": labels, "ports": [{"port": 80}], "clusterIP": "10.96.0.9"})),
        "PodDisruptionBudget" => ("policy/v1", json!({"minAvailable": 1, "selector": {"matchLabels": labels}})),
        "PersistentVolumeClaim" => {
            ("v1", json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}))
        }
        "PersistentVolume" => {
            let path = json!({"path": "/data"});
            ("v1", json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "2Gi"}, "hostPath": path}))
        }
        "ResourceQuota" => ("v1", json!({"hard": {"pods": "4"}, "scopes": ["NotBestEffort"]})),
        "LimitRange" => ("v1", json!({"limits": [{"type": "Container"}]})),
        "StorageClass" => ("storage.k8s.io/v1", Value::Null),
        "PriorityClass" => ("scheduling.k8s.io/v1", Value::Null),
        _ => ("v1", Value::Null),
    };
    let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": "shop"}});
    if !spec.is_null() {
        object["spec"] = spec;
    }
    match kind {
        "StorageClass" => object["provisioner"] = json!("disks.example.com"),
        "PriorityClass" => object["value"] = json!(7),
        "ConfigMap" | "Secret" => object["data"] = json!({"key": "dGV4dA=="}),
        _ => {}
    }
    if ["StorageClass", "PriorityClass", "PersistentVolume", "Namespace", "Node"].contains(&kind) {
        object["metadata"] = json!({"name": "x"});
    }
    object
}

fn changed(mut object: Value, change: &str) -> Value {
    let change = parsed(change);
    apply_patch(PatchType::Merge, &mut object, &change).expect("a merge patch always fits");
    object
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn read(object: &Value) -> Manifest {
    let mut read = read_manifests("x.json", &object.to_string()).unwrap_or_else(|errors| panic!("{object}: {errors}"));
    let mut manifest = read.remove(0).value;
    apply_defaults(&mut manifest);
    manifest
}

fn said(answer: Result<(), wavetank_manifest::kubernetes::Invalid>) -> String {
    let message = answer.err().map(|invalid| invalid.to_string()).unwrap_or_default();
    message.split_once(" is invalid: ").map_or_else(String::new, |(_, why)| why.to_owned())
}

/// A kind, the change that spoils an object of it, and what is said.
type Row = (&'static str, &'static str, &'static str);

fn assert_created(rows: &[Row]) {
    let wrong = rows.iter().filter_map(|(kind, change, expected)| {
        let good = object(kind);
        assert_eq!(said(validate(&read(&good))), "", "{kind} as it is");
        told_apart(said(validate(&read(&changed(good, change)))), expected, kind, change)
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What is to be said of a row that is told otherwise than it should be.
fn told_apart(found: String, expected: &str, kind: &str, change: &str) -> Option<String> {
    (found != expected).then(|| format!("{kind} {change}\n  ours      {found}\n  expected  {expected}"))
}

/// As a [`Row`], with what is changed of the stored object first.
type UpdateRow = (&'static str, &'static str, &'static str, &'static str);

fn assert_updated(rows: &[UpdateRow]) {
    let wrong = rows.iter().filter_map(|(kind, stored, change, expected)| {
        let old = changed(object(kind), stored);
        let update = |new: &Value| said(validate_update(&read(new), &read(&old), Policy::default()));
        assert_eq!(update(&old), "", "{kind} {stored} as it is");
        told_apart(update(&changed(old.clone(), change)), expected, kind, change)
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn metadata_is_refused() {
    assert_created(&[
        (
            "ConfigMap",
            r#"{"metadata": {"labels": {"a": "-x"}}}"#,
            "metadata.labels: Invalid value: \"-x\": a valid label must be an empty string or consist of alphanumeric \
             characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
             'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ),
        (
            "ConfigMap",
            r#"{"metadata": {"ownerReferences": [
                {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "1", "controller": true},
                {"apiVersion": "v1", "kind": "Pod", "name": "b", "uid": "2", "controller": true}]}}"#,
            "metadata.ownerReferences: Invalid value: [{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"a\",\"uid\":\"1\",\
             \"controller\":true},{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"b\",\"uid\":\"2\",\"controller\":true}]: \
             Only one reference can have Controller set to true. Found \"true\" in references for Pod/a and Pod/b",
        ),
        (
            "ConfigMap",
            r#"{"metadata": {"finalizers": ["mine"]}}"#,
            "metadata.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully \
             qualified",
        ),
        (
            "ConfigMap",
            r#"{"data": {"a/b": "c"}}"#,
            "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' \
             (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
        ),
    ]);
}

#[test]
fn pods_are_refused() {
    assert_created(&[
        ("Pod", r#"{"spec": {"containers": []}}"#, "spec.containers: Required value"),
        ("Pod", r#"{"spec": {"containers": [{"name": "a"}]}}"#, "spec.containers[0].image: Required value"),
        (
            "Pod",
            r#"{"spec": {"containers": [{"name": "a", "image": "i"}, {"name": "a", "image": "i"}]}}"#,
            "spec.containers[1].name: Duplicate value: \"a\"",
        ),
        (
            "Pod",
            r#"{"spec": {"restartPolicy": "Sometimes"}}"#,
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
        ),
        (
            "Pod",
            r#"{"spec": {"containers": [{"name": "a", "image": "i", "imagePullPolicy": "Soon"}]}}"#,
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Soon\": supported values: \"Always\", \
             \"IfNotPresent\", \"Never\"",
        ),
        (
            "Pod",
            r#"{"spec": {"containers": [{"name": "a", "image": "i", "resources": {"requests": {"cpu": "2"},
                "limits": {"cpu": "1500m"}}}]}}"#,
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1500m",
        ),
        (
            "Pod",
            r#"{"spec": {"containers": [{"name": "a", "image": "i", "resources": {"limits": {"memory": "-1"}}}]}}"#,
            "[spec.containers[0].resources.limits[memory]: Invalid value: \"-1\": must be greater than or equal to 0, \
             spec.containers[0].resources.requests[memory]: Invalid value: \"-1\": must be greater than or equal to 0]",
        ),
        (
            "Pod",
            r#"{"spec": {"containers": [{"name": "a", "image": "i", "ports": [{"containerPort": 0, "protocol": "udp"}]}]}}"#,
            "[spec.containers[0].ports[0].containerPort: Required value, spec.containers[0].ports[0].protocol: Unsupported \
             value: \"udp\": supported values: \"SCTP\", \"TCP\", \"UDP\"]",
        ),
        (
            "Pod",
            r#"{"spec": {"containers": [{"name": "a", "image": "i", "livenessProbe": {"periodSeconds": -1}}]}}"#,
            "[spec.containers[0].livenessProbe: Required value: must specify a handler type, \
             spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0]",
        ),
        (
            "Pod",
            r#"{"spec": {"containers": [{"name": "a", "image": "i", "livenessProbe": {"exec": {"command": ["ls"]},
                "tcpSocket": {"port": 8080}}}]}}"#,
            "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
        ),
        (
            "Pod",
            r#"{"spec": {"containers": [{"name": "a", "image": "i", "env": [{"name": "A=B", "value": "1"},
                {"name": "C", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]}]}}"#,
            "[spec.containers[0].env[0].name: Invalid value: \"A=B\": a valid environment variable name must consist only of \
             printable ASCII characters other than '=', spec.containers[0].env[1].valueFrom: Invalid value: \"\": may not be \
             specified when `value` is not empty]",
        ),
        (
            "Pod",
            r#"{"spec": {"containers": [{"name": "a", "image": "i", "env": [
                {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name['x']"}}}]}]}}"#,
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.name['x']\": error converting \
             fieldPath: field label does not support subscript: metadata.name['x']",
        ),
        (
            "Pod",
            r#"{"spec": {"containers": [{"name": "a", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}}"#,
            "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
        ),
        (
            "Pod",
            r#"{"spec": {"volumes": [{"name": "v", "configMap": {}}, {"name": "w", "emptyDir": {"sizeLimit": "-1"}}]}}"#,
            "[spec.volumes[0].configMap.name: Required value, spec.volumes[1].emptyDir.sizeLimit: Forbidden: SizeLimit field \
             must be a valid resource quantity]",
        ),
        (
            "Pod",
            r#"{"spec": {"tolerations": [{"key": "k", "operator": "Exists", "value": "v"}]}}"#,
            "spec.tolerations[0].operator: Invalid value: \"v\": value must be empty when `operator` is 'Exists'",
        ),
    ]);
}

#[test]
fn workloads_are_refused() {
    assert_created(&[
        (
            "Deployment",
            r#"{"spec": {"template": {"metadata": {"labels": {"app": "other"}}}}}"#,
            "spec.template.metadata.labels: Invalid value: {\"app\":\"other\"}: `selector` does not match template `labels`",
        ),
        (
            "Deployment",
            r#"{"spec": {"replicas": -1, "minReadySeconds": 30, "progressDeadlineSeconds": 30}}"#,
            "[spec.replicas: Invalid value: -1: must be greater than or equal to 0, spec.progressDeadlineSeconds: Invalid \
             value: 30: must be greater than minReadySeconds]",
        ),
        (
            "Deployment",
            r#"{"spec": {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}}}"#,
            "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may not be 0 when `maxSurge` is 0",
        ),
        (
            "Deployment",
            r#"{"spec": {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}}"#,
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            "Deployment",
            r#"{"spec": {"template": {"spec": {"restartPolicy": "Never"}}}}"#,
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ),
        (
            "ReplicationController",
            r#"{"spec": {"selector": {"app": "other"}}}"#,
            "spec.template.metadata.labels: Invalid value: {\"app\":\"shop\"}: `selector` does not match template `labels`",
        ),
        (
            "DaemonSet",
            r#"{"spec": {"updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}}}"#,
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
        ),
        (
            "Job",
            r#"{"spec": {"parallelism": -1, "completions": -2, "backoffLimit": -3, "activeDeadlineSeconds": -4}}"#,
            "[spec.parallelism: Invalid value: -1: must be greater than or equal to 0, spec.completions: Invalid value: -2: \
             must be greater than or equal to 0, spec.activeDeadlineSeconds: Invalid value: -4: must be greater than or \
             equal to 0, spec.backoffLimit: Invalid value: -3: must be greater than or equal to 0]",
        ),
        ("Job", r#"{"spec": {"completionMode": "Indexed"}}"#, ""),
        (
            "Job",
            r#"{"spec": {"template": {"spec": {"restartPolicy": null}}}}"#,
            "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
        ),
        (
            "CronJob",
            r#"{"spec": {"schedule": "61 * * * *", "startingDeadlineSeconds": -1}}"#,
            "[spec.schedule: Invalid value: \"61 * * * *\": end of range (61) above maximum (59): 61, \
             spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0]",
        ),
        (
            "PodDisruptionBudget",
            r#"{"spec": {"minAvailable": "150%"}}"#,
            "spec.minAvailable: Invalid value: \"150%\": must not be greater than 100%",
        ),
    ]);
}

#[test]
fn services_storage_and_policies_are_refused() {
    assert_created(&[
        (
            "Service",
            r#"{"spec": {"ports": [{"port": 80}, {"port": 443}]}}"#,
            "[spec.ports[0].name: Required value, spec.ports[1].name: Required value]",
        ),
        (
            "Service",
            r#"{"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]}}"#,
            "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,\"TargetPort\":0,\
             \"NodePort\":0}",
        ),
        ("Service", r#"{"spec": {"ports": null}}"#, "spec.ports: Required value"),
        ("Service", r#"{"spec": {"type": "ExternalName", "clusterIP": null}}"#, "spec.externalName: Required value"),
        (
            "Service",
            r#"{"spec": {"ports": [{"port": 80, "nodePort": 30080}]}}"#,
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            "PersistentVolumeClaim",
            r#"{"spec": {"accessModes": null, "resources": {"requests": {"storage": null}}}}"#,
            "[spec.accessModes: Required value: at least 1 access mode is required, spec.resources[storage]: Required value]",
        ),
        (
            "PersistentVolumeClaim",
            r#"{"spec": {"accessModes": ["ReadWrite"]}}"#,
            "spec.accessModes: Unsupported value: \"ReadWrite\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \
             \"ReadWriteOnce\", \"ReadWriteOncePod\"",
        ),
        ("PersistentVolume", r#"{"spec": {"hostPath": null}}"#, "spec: Required value: must specify a volume type"),
        (
            "PersistentVolume",
            r#"{"spec": {"capacity": null}}"#,
            "[spec.capacity: Required value, spec.capacity: Unsupported value: null: supported \
         values: \"storage\"]",
        ),
        (
            "StorageClass",
            r#"{"reclaimPolicy": "Recycle"}"#,
            "reclaimPolicy: Unsupported value: \"Recycle\": supported values: \"Delete\", \"Retain\"",
        ),
        (
            "ResourceQuota",
            r#"{"spec": {"hard": {"pods": "1500m"}}}"#,
            "spec.hard[pods]: Invalid value: \"1500m\": must be an integer",
        ),
        (
            "LimitRange",
            r#"{"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "2"}}]}}"#,
            "[spec.limits[0].defaultRequest[cpu]: Invalid value: \"2\": default request value 2 is greater than max value 1, \
             spec.limits[0].default[cpu]: Invalid value: \"1\": default value 2 is greater than max value 1]",
        ),
        (
            "PriorityClass",
            r#"{"value": 2000000000}"#,
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
        ),
    ]);
}

#[test]
fn changes_are_refused() {
    let pod_fields = "spec: Forbidden: pod updates may not change fields other than \
                      `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                      `spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow \
                      it to be set to 1 if it was previously negative)";
    let old_toleration = r#"{"spec": {"tolerations": [{"key": "a", "operator": "Exists"}]}}"#;
    assert_updated(&[
        ("Pod", "{}", r#"{"spec": {"containers": [{"name": "main", "image": "shop:2"}]}}"#, ""),
        ("Pod", "{}", r#"{"spec": {"nodeSelector": {"a": "b"}}}"#, pod_fields),
        (
            "Pod",
            "{}",
            r#"{"spec": {"containers": [{"name": "main", "image": "shop:2"}, {"name": "b", "image": "shop:2"}]}}"#,
            "spec.containers: Forbidden: pod updates may not add or remove containers",
        ),
        (
            "Pod",
            r#"{"spec": {"activeDeadlineSeconds": 10}}"#,
            r#"{"spec": {"activeDeadlineSeconds": 20}}"#,
            "spec.activeDeadlineSeconds: Invalid value: 20: must be less than or equal to previous value",
        ),
        (
            "Pod",
            old_toleration,
            r#"{"spec": {"tolerations": null}}"#,
            "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds",
        ),
        (
            "Deployment",
            "{}",
            r#"{"spec": {"selector": {"matchLabels": {"app": "b"}}, "template": {"metadata": {"labels": {"app": "b"}}}}}"#,
            "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"b\"}}: field is immutable",
        ),
        (
            "StatefulSet",
            "{}",
            r#"{"spec": {"serviceName": "other", "replicas": 4}}"#,
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
             'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are \
             forbidden",
        ),
        (
            "Job",
            r#"{"spec": {"completions": 3, "manualSelector": true, "selector": {"matchLabels": {"app": "shop"}}}}"#,
            r#"{"spec": {"completions": 4, "parallelism": 2}}"#,
            "spec.completions: Invalid value: 4: field is immutable",
        ),
        (
            "Service",
            "{}",
            r#"{"spec": {"clusterIP": "10.96.0.10"}}"#,
            "spec.clusterIPs[0]: Invalid value: [\"10.96.0.10\"]: may not change once set",
        ),
        (
            "ConfigMap",
            r#"{"immutable": true}"#,
            r#"{"data": {"key": "b"}}"#,
            "data: Forbidden: field is immutable when \
          `immutable` is set",
        ),
        ("Secret", "{}", r#"{"type": "mine"}"#, "type: Invalid value: \"mine\": field is immutable"),
        (
            "PersistentVolumeClaim",
            "{}",
            r#"{"spec": {"resources": {"requests": {"storage": "3Gi"}}}}"#,
            "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for \
             bound claims",
        ),
        (
            "PersistentVolume",
            "{}",
            r#"{"spec": {"hostPath": {"path": "/other"}}}"#,
            "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation",
        ),
        (
            "StorageClass",
            "{}",
            r#"{"provisioner": "other.example.com"}"#,
            "provisioner: Forbidden: updates to provisioner are forbidden.",
        ),
        (
            "ResourceQuota",
            "{}",
            r#"{"spec": {"scopes": ["NotTerminating"]}}"#,
            "spec.scopes: Invalid value: [\"NotTerminating\"]: field is immutable",
        ),
        ("PriorityClass", "{}", r#"{"value": 8}"#, "value: Forbidden: may not be changed in an update."),
        (
            "ConfigMap",
            r#"{"metadata": {"uid": "one"}}"#,
            r#"{"metadata": {"uid": "two"}}"#,
            "metadata.uid: Invalid value: \"two\": field is immutable",
        ),
    ]);
}

#[test]
fn statuses_are_refused() {
    let refused = |kind: &str, old: &str, new: &str| {
        let stored = object(kind);
        let manifest = read(&stored);
        said(validate_status_update(&manifest, &changed(stored.clone(), new), &changed(stored, old)))
    };
    let good = r#"{"status": {"replicas": 3, "readyReplicas": 2, "availableReplicas": 2}}"#;
    assert_eq!(refused("Deployment", "{}", good), "");
    let more = r#"{"status": {"replicas": 2, "readyReplicas": 1, "availableReplicas": 3}}"#;
    let most = "status.availableReplicas: Invalid value: 3: cannot be greater than";
    assert_eq!(refused("Deployment", "{}", more), format!("[{most} status.replicas, {most} readyReplicas]"));
    assert_eq!(refused("StatefulSet", "{}", more), format!("[{most} status.replicas, {most} status.readyReplicas]"));
    assert_eq!(
        refused("DaemonSet", r#"{"status": {"collisionCount": 2}}"#, r#"{"status": {"numberReady": -1}}"#),
        "[status.numberReady: Invalid value: -1: must be greater than or equal to 0, status.collisionCount: Invalid value: \
         0: cannot be decremented]"
    );
    assert_eq!(
        refused("Namespace", "{}", r#"{"status": {"phase": "Terminating"}}"#),
        "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
    );
    let class = |class: &str| format!(r#"{{"status": {{"qosClass": "{class}"}}}}"#);
    assert_eq!(
        refused("Pod", &class("Burstable"), &class("BestEffort")),
        "status.qosClass: Invalid value: \"BestEffort\": field is immutable"
    );
    let ended = r#"{"spec": {"restartPolicy": "Never"}, "status": {"containerStatuses": [
        {"name": "main", "state": {"terminated": {"exitCode": 1}}}]}}"#;
    let runs = r#"{"status": {"containerStatuses": [{"name": "main", "state": {"running": {}}}]}}"#;
    assert_eq!(
        refused("Pod", ended, runs),
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    );
}
