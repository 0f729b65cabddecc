//! What may not change, of objects and of their statuses.

use serde_json::Value;
use wavetank_manifest::kubernetes::{Policy, validate_status_update, validate_update};

use super::{changed, object, read, said, told_apart};

/// A kind, what is changed of the stored object first, the change that spoils it, and what is said.
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
fn changes_are_refused() {
    let pod_fields = "spec: Forbidden: pod updates may not change fields other than \
                      `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tole\
                      rations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it \
                      to be set to 1 if it was previously negative)";
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
            concat!(
                r#"{"spec": {"selector": {"matchLabels": {"app": "b"}}, "#,
                r#""template": {"metadata": {"labels": {"app": "b"}}}}}"#
            ),
            "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"b\"}}: field is immutable",
        ),
        (
            "StatefulSet",
            "{}",
            r#"{"spec": {"serviceName": "other", "replicas": 4}}"#,
            "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
             'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' \
             are forbidden",
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
            "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName \
             for bound claims",
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
        "[status.numberReady: Invalid value: -1: must be greater than or equal to 0, status.collisionCount: Invalid \
         value: 0: cannot be decremented]"
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
