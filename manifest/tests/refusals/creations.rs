//! What is refused as it is made.

use wavetank_manifest::kubernetes::validate;

use super::{changed, object, read, said, told_apart};

/// A kind, the change that spoils an object of it, and what is said.
pub(super) type Row<'a> = (&'a str, &'a str, &'a str);

pub(super) fn assert_created(rows: &[Row<'_>]) {
    let wrong = rows.iter().filter_map(|(kind, change, expected)| {
        let good = object(kind);
        assert_eq!(said(validate(&read(&good))), "", "{kind} as it is");
        told_apart(said(validate(&read(&changed(good, change)))), expected, kind, change)
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
            "metadata.ownerReferences: Invalid value: \
             [{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"a\",\"uid\":\"1\",\"controller\":true},{\"apiVersion\"\
             :\"v1\",\"kind\":\"Pod\",\"name\":\"b\",\"uid\":\"2\",\"controller\":true}]: Only one reference can have \
             Controller set to true. Found \"true\" in references for Pod/a and Pod/b",
        ),
        (
            "ConfigMap",
            r#"{"metadata": {"finalizers": ["mine"]}}"#,
            "metadata.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it \
             fully qualified",
        ),
        (
            "ConfigMap",
            r#"{"data": {"a/b": "c"}}"#,
            "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' \
             or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
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
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \
             \"Never\"",
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
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of \
             1500m",
        ),
        (
            "Pod",
            r#"{"spec": {"containers": [{"name": "a", "image": "i", "resources": {"limits": {"memory": "-1"}}}]}}"#,
            "[spec.containers[0].resources.limits[memory]: Invalid value: \"-1\": must be greater than or equal to 0, \
             spec.containers[0].resources.requests[memory]: Invalid value: \"-1\": must be greater than or equal to 0]",
        ),
        (
            "Pod",
            concat!(
                r#"{"spec": {"containers": [{"name": "a", "image": "i", "#,
                r#""ports": [{"containerPort": 0, "protocol": "udp"}]}]}}"#
            ),
            "[spec.containers[0].ports[0].containerPort: Required value, spec.containers[0].ports[0].protocol: \
             Unsupported value: \"udp\": supported values: \"SCTP\", \"TCP\", \"UDP\"]",
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
            "[spec.containers[0].env[0].name: Invalid value: \"A=B\": a valid environment variable name must consist \
             only of printable ASCII characters other than '=', spec.containers[0].env[1].valueFrom: Invalid value: \
             \"\": may not be specified when `value` is not empty]",
        ),
        (
            "Pod",
            r#"{"spec": {"containers": [{"name": "a", "image": "i", "env": [
                {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name['x']"}}}]}]}}"#,
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.name['x']\": error \
             converting fieldPath: field label does not support subscript: metadata.name['x']",
        ),
        (
            "Pod",
            concat!(
                r#"{"spec": {"containers": [{"name": "a", "image": "i", "#,
                r#""volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}}"#
            ),
            "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
        ),
        (
            "Pod",
            concat!(
                r#"{"spec": {"volumes": [{"name": "v", "configMap": {}}, "#,
                r#"{"name": "w", "emptyDir": {"sizeLimit": "-1"}}]}}"#
            ),
            "[spec.volumes[0].configMap.name: Required value, spec.volumes[1].emptyDir.sizeLimit: Forbidden: SizeLimit \
             field must be a valid resource quantity]",
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
            "spec.template.metadata.labels: Invalid value: {\"app\":\"other\"}: `selector` does not match template \
             `labels`",
        ),
        (
            "Deployment",
            r#"{"spec": {"replicas": -1, "minReadySeconds": 30, "progressDeadlineSeconds": 30}}"#,
            "[spec.replicas: Invalid value: -1: must be greater than or equal to 0, spec.progressDeadlineSeconds: \
             Invalid value: 30: must be greater than minReadySeconds]",
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
            "spec.template.metadata.labels: Invalid value: {\"app\":\"shop\"}: `selector` does not match template \
             `labels`",
        ),
        (
            "DaemonSet",
            r#"{"spec": {"updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}}}"#,
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is \
             non-zero",
        ),
        (
            "Job",
            r#"{"spec": {"parallelism": -1, "completions": -2, "backoffLimit": -3, "activeDeadlineSeconds": -4}}"#,
            "[spec.parallelism: Invalid value: -1: must be greater than or equal to 0, spec.completions: Invalid \
             value: -2: must be greater than or equal to 0, spec.activeDeadlineSeconds: Invalid value: -4: must be \
             greater than or equal to 0, spec.backoffLimit: Invalid value: -3: must be greater than or equal to 0]",
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
            "spec.ports[1]: Duplicate value: \
             {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,\"TargetPort\":0,\"NodePort\":0}",
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
            "[spec.accessModes: Required value: at least 1 access mode is required, spec.resources[storage]: Required \
             value]",
        ),
        (
            "PersistentVolumeClaim",
            r#"{"spec": {"accessModes": ["ReadWrite"]}}"#,
            "spec.accessModes: Unsupported value: \"ReadWrite\": supported values: \"ReadOnlyMany\", \
             \"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"",
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
            "[spec.limits[0].defaultRequest[cpu]: Invalid value: \"2\": default request value 2 is greater than max \
             value 1, spec.limits[0].default[cpu]: Invalid value: \"1\": default value 2 is greater than max value 1]",
        ),
        (
            "PriorityClass",
            r#"{"value": 2000000000}"#,
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
        ),
    ]);
}

#[test]
fn a_negative_grace_is_a_second_and_text_that_is_no_json_is_told_by_its_beginning() {
    assert_created(&[
        (
            "Pod",
            r#"{"spec": {"terminationGracePeriodSeconds": -5, "containers": [{"name": "c", "image": "a",
                "imagePullPolicy": "Always", "terminationMessagePath": "/a", "terminationMessagePolicy": "File",
                "lifecycle": {"preStop": {"sleep": {"seconds": 2}}}}]}}"#,
            "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 2: must be non-negative and less than \
             terminationGracePeriodSeconds (1)",
        ),
        (
            "Secret",
            r#"{"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "aWc="}}"#,
            "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": invalid character 'i' looking for \
             beginning of value",
        ),
    ]);
}
