//! In which order several faults of one object are told: that in which the API server's validation finds them, never
//! that of the alphabet. Entries of maps are in no order there, so no row has two faults in one map.

use super::creations::assert_created;

const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and \
                          must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used \
                          for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' \
                              or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex \
                              used for validation is \
                              '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

fn assert_order(kind: &str, change: &str, faults: &[&str]) {
    assert_created(&[(kind, change, &format!("[{}]", faults.join(", ")))]);
}

/// Source: `ValidateDeployment`, `ValidateDeploymentSpec`, `ValidatePodTemplateSpecForReplicaSet`,
/// pkg/apis/apps/validation/validation.go (v1.34.1).
#[test]
fn a_deployment_tells_of_its_template_before_its_strategy_and_its_deadline_last() {
    assert_order(
        "Deployment",
        r#"{"metadata": {"finalizers": ["mine"]}, "spec": {"minReadySeconds": -1, "progressDeadlineSeconds": -1,
            "replicas": -1, "revisionHistoryLimit": -1, "strategy": {"rollingUpdate": {"maxSurge": -1}},
            "template": {"metadata": {"labels": {"app": "other"}},
                "spec": {"restartPolicy": "Never", "containers": [{"name": "a"}]}}}}"#,
        &[
            "metadata.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it \
             fully qualified",
            &format!("spec.replicas: Invalid value: -1: {NOT_NEGATIVE}"),
            "spec.template.metadata.labels: Invalid value: {\"app\":\"other\"}: `selector` does not match template \
             `labels`",
            "spec.template.spec.containers[0].image: Required value",
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            &format!("spec.strategy.rollingUpdate.maxSurge: Invalid value: -1: {NOT_NEGATIVE}"),
            &format!("spec.minReadySeconds: Invalid value: -1: {NOT_NEGATIVE}"),
            &format!("spec.revisionHistoryLimit: Invalid value: -1: {NOT_NEGATIVE}"),
            &format!("spec.progressDeadlineSeconds: Invalid value: -1: {NOT_NEGATIVE}"),
            "spec.progressDeadlineSeconds: Invalid value: -1: must be greater than minReadySeconds",
        ],
    );
    assert_order(
        "Deployment",
        r#"{"spec": {"selector": {"matchLabels": null}, "strategy": {"type": "Now"}}}"#,
        &[
            "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
            "spec.strategy: Unsupported value: {\"Type\":\"Now\",\"RollingUpdate\":null}: supported values: \
             \"Recreate\", \"RollingUpdate\"",
        ],
    );
}

/// Source: `ValidateReplicaSetSpec`, pkg/apis/apps/validation/validation.go (v1.34.1).
#[test]
fn a_replica_set_tells_of_its_seconds_before_its_selector() {
    assert_order(
        "ReplicaSet",
        r#"{"spec": {"replicas": -1, "minReadySeconds": -2, "selector": {"matchLabels": {"app": "-"}}}}"#,
        &[
            &format!("spec.replicas: Invalid value: -1: {NOT_NEGATIVE}"),
            &format!("spec.minReadySeconds: Invalid value: -2: {NOT_NEGATIVE}"),
            "spec.selector.matchLabels: Invalid value: \"-\": a valid label must be an empty string or consist of \
             alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
             'MyValue',  or 'my_value',  or '12345', regex used for validation is \
             '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"-\"}}: invalid label selector",
        ],
    );
    assert_order(
        "ReplicaSet",
        r#"{"spec": {"minReadySeconds": -2, "template": {"spec": {"activeDeadlineSeconds": 5,
            "restartPolicy": "OnFailure", "containers": []}}}}"#,
        &[
            &format!("spec.minReadySeconds: Invalid value: -2: {NOT_NEGATIVE}"),
            "spec.template.spec.containers: Required value",
            "spec.template.spec.restartPolicy: Unsupported value: \"OnFailure\": supported values: \"Always\"",
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
        ],
    );
}

/// Source: `ValidateStatefulSetSpec`, pkg/apis/apps/validation/validation.go (v1.34.1).
#[test]
fn a_stateful_set_tells_of_its_policies_and_claims_before_its_numbers() {
    assert_order(
        "StatefulSet",
        r#"{"spec": {"podManagementPolicy": "Any", "updateStrategy": {"rollingUpdate": {"partition": -1}},
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Keep", "whenScaled": "Keep"}, "replicas": -1,
            "minReadySeconds": -1, "ordinals": {"start": -1}, "serviceName": "A", "volumeClaimTemplates": [
                {"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}],
            "template": {"metadata": {"labels": {"app": "other"}}, "spec": {"restartPolicy": "Never"}}}}"#,
        &[
            "spec.podManagementPolicy: Invalid value: \"Any\": must be 'OrderedReady' or 'Parallel'",
            &format!("spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: {NOT_NEGATIVE}"),
            "spec.persistentVolumeClaimRetentionPolicy.whenDeleted: Unsupported value: \"Keep\": supported values: \
             \"Retain\", \"Delete\"",
            "spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: \"Keep\": supported values: \
             \"Retain\", \"Delete\"",
            "spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required",
            &format!("spec.replicas: Invalid value: -1: {NOT_NEGATIVE}"),
            &format!("spec.minReadySeconds: Invalid value: -1: {NOT_NEGATIVE}"),
            &format!("spec.ordinals.start: Invalid value: -1: {NOT_NEGATIVE}"),
            &format!("spec.serviceName: Invalid value: \"A\": {LABEL_RULE}"),
            "spec.template.metadata.labels: Invalid value: {\"app\":\"other\"}: `selector` does not match template \
             `labels`",
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ],
    );
}

/// Source: `ValidateDaemonSetSpec`, pkg/apis/apps/validation/validation.go (v1.34.1).
#[test]
fn a_daemon_set_tells_of_its_template_before_its_seconds_and_its_strategy() {
    assert_order(
        "DaemonSet",
        r#"{"spec": {"minReadySeconds": -1, "revisionHistoryLimit": -1,
            "updateStrategy": {"rollingUpdate": {"maxUnavailable": "200%", "maxSurge": "x"}},
            "template": {"metadata": {"labels": {"app": "other"}},
                "spec": {"activeDeadlineSeconds": 5, "nodeName": "A"}}}}"#,
        &[
            "spec.template.metadata.labels: Invalid value: {\"app\":\"other\"}: `selector` does not match template \
             `labels`",
            &format!("spec.template.spec.nodeName: Invalid value: \"A\": {SUBDOMAIN_RULE}"),
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not Supported",
            &format!("spec.minReadySeconds: Invalid value: -1: {NOT_NEGATIVE}"),
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string must be a \
             numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: \"200%\": must not be greater than 100%",
            &format!("spec.revisionHistoryLimit: Invalid value: -1: {NOT_NEGATIVE}"),
        ],
    );
}

/// Source: `validateJobSpec`, pkg/apis/batch/validation/validation.go (v1.34.1).
#[test]
fn a_job_tells_of_its_numbers_its_mode_its_policies_and_then_its_template() {
    assert_order(
        "Job",
        r#"{"spec": {"parallelism": -1, "ttlSecondsAfterFinished": -1, "backoffLimitPerIndex": 1, "managedBy": "me",
            "successPolicy": {"rules": [{"succeededCount": 1}]}, "podReplacementPolicy": "Never",
            "podFailurePolicy": {"rules": [{"action": "Stop"}]},
            "template": {"spec": {"restartPolicy": "OnFailure", "dnsPolicy": "Mine"}}}}"#,
        &[
            &format!("spec.parallelism: Invalid value: -1: {NOT_NEGATIVE}"),
            &format!("spec.ttlSecondsAfterFinished: Invalid value: -1: {NOT_NEGATIVE}"),
            "spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")",
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
            "spec.podFailurePolicy.rules[0].action: Unsupported value: \"Stop\": supported values: \"Count\", \
             \"FailIndex\", \"FailJob\", \"Ignore\"",
            "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is \
             required",
            "spec.successPolicy: Invalid value: {\"Rules\":[{\"SucceededIndexes\":null,\"SucceededCount\":1}]}: \
             requires indexed completion mode",
            "spec.podReplacementPolicy: Unsupported value: \"Never\": supported values: \"Failed\"",
            "spec.template.spec.dnsPolicy: Unsupported value: \"Mine\": supported values: \"ClusterFirstWithHostNet\", \
             \"ClusterFirst\", \"Default\", \"None\"",
            "spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" is supported when \
             podFailurePolicy is specified",
        ],
    );
}

/// Source: `validateCronJobSpec`, `ValidateJobTemplateSpec`, pkg/apis/batch/validation/validation.go (v1.34.1).
#[test]
fn a_cron_job_tells_of_its_schedule_first_and_of_its_history_last() {
    assert_order(
        "CronJob",
        r#"{"spec": {"concurrencyPolicy": "Ask", "failedJobsHistoryLimit": -1, "schedule": "", "timeZone": "",
            "startingDeadlineSeconds": -1, "successfulJobsHistoryLimit": -1,
            "jobTemplate": {"spec": {"backoffLimit": -1, "manualSelector": true}}}}"#,
        &[
            "spec.schedule: Required value",
            &format!("spec.startingDeadlineSeconds: Invalid value: -1: {NOT_NEGATIVE}"),
            "spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string",
            "spec.concurrencyPolicy: Unsupported value: \"Ask\": supported values: \"Allow\", \"Forbid\", \"Replace\"",
            &format!("spec.jobTemplate.spec.backoffLimit: Invalid value: -1: {NOT_NEGATIVE}"),
            "spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"nil\", \"false\"",
            &format!("spec.successfulJobsHistoryLimit: Invalid value: -1: {NOT_NEGATIVE}"),
            &format!("spec.failedJobsHistoryLimit: Invalid value: -1: {NOT_NEGATIVE}"),
        ],
    );
}

/// Source: `ValidatePodCreate`, `ValidatePodSpec`, `validateContainerCommon`, `validateContainers`,
/// pkg/apis/core/validation/validation.go (v1.34.1).
#[test]
fn a_pod_tells_of_volumes_containers_and_policies_before_its_names_and_times() {
    assert_order(
        "Pod",
        r#"{"spec": {"activeDeadlineSeconds": 0, "dnsPolicy": "Mine", "hostname": "A", "nodeName": "B",
            "priorityClassName": "C", "restartPolicy": "Sometimes", "schedulingGates": [{"name": "g"}],
            "serviceAccountName": "D", "subdomain": "E", "tolerations": [{"key": "k", "operator": "Some"}],
            "nodeSelector": {"zone": "-"}, "volumes": [{"name": "V", "emptyDir": {}}],
            "initContainers": [{"name": "c", "image": "i", "livenessProbe": {"exec": {"command": ["a"]}}}],
            "containers": [{"name": "c", "image": " i", "ports": [{"containerPort": -1}], "env": [{"name": ""}],
                "imagePullPolicy": "Soon"}]}}"#,
        &[
            &format!("spec.volumes[0].name: Invalid value: \"V\": {LABEL_RULE}"),
            "spec.containers[0].ports[0].containerPort: Invalid value: -1: must be between 1 and 65535, inclusive",
            "spec.containers[0].env[0].name: Required value",
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Soon\": supported values: \"Always\", \
             \"IfNotPresent\", \"Never\"",
            "spec.initContainers[0].name: Duplicate value: \"c\"",
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without \
             restartPolicy=Always",
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \
             \"Never\"",
            "spec.dnsPolicy: Unsupported value: \"Mine\": supported values: \"ClusterFirstWithHostNet\", \
             \"ClusterFirst\", \"Default\", \"None\"",
            "spec.nodeSelector: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric \
             characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
             'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            &format!("spec.serviceAccountName: Invalid value: \"D\": {SUBDOMAIN_RULE}"),
            &format!("spec.nodeName: Invalid value: \"B\": {SUBDOMAIN_RULE}"),
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
            &format!("spec.hostname: Invalid value: \"A\": {LABEL_RULE}"),
            &format!("spec.subdomain: Invalid value: \"E\": {LABEL_RULE}"),
            "spec.tolerations[0].operator: Unsupported value: \"Some\": supported values: \"Equal\", \"Exists\"",
            &format!("spec.priorityClassName: Invalid value: \"C\": {SUBDOMAIN_RULE}"),
            "spec.containers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace",
            "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
        ],
    );
}

/// Source: `validateService`, `validateServicePort`, pkg/apis/core/validation/validation.go (v1.34.1).
#[test]
fn a_service_tells_of_its_ports_before_its_affinity_its_type_and_its_policies() {
    assert_order(
        "Service",
        r#"{"spec": {"externalIPs": ["127.0.0.1"], "internalTrafficPolicy": "Near", "sessionAffinity": "Cookie",
            "trafficDistribution": "Far", "loadBalancerSourceRanges": ["10.0.0.0/8"],
            "ports": [{"port": 0, "protocol": "HTTP", "name": "A"}, {"port": 80, "nodePort": 30080}]}}"#,
        &[
            &format!("spec.ports[0].name: Invalid value: \"A\": {LABEL_RULE}"),
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[0].protocol: Unsupported value: \"HTTP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[1].name: Required value",
            "spec.sessionAffinity: Unsupported value: \"Cookie\": supported values: \"ClientIP\", \"None\"",
            "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, \
             ::1/128)",
            "spec.ports[1].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
            "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
            "spec.internalTrafficPolicy: Unsupported value: \"Near\": supported values: \"Cluster\", \"Local\"",
            "spec.trafficDistribution: Unsupported value: \"Far\": supported values: \"PreferClose\", \
             \"PreferSameZone\", \"PreferSameNode\"",
        ],
    );
}

/// Source: `ValidatePodDisruptionBudgetSpec`, pkg/apis/policy/validation/validation.go (v1.34.1).
#[test]
fn a_budget_tells_of_its_shares_before_its_selector_and_its_policy() {
    assert_order(
        "PodDisruptionBudget",
        r#"{"spec": {"unhealthyPodEvictionPolicy": "Ask", "minAvailable": "150%", "selector": {"matchLabels": null,
            "matchExpressions": [{"key": "a", "operator": "Is"}]}}}"#,
        &[
            "spec.minAvailable: Invalid value: \"150%\": must not be greater than 100%",
            "spec.selector.matchExpressions[0].operator: Invalid value: \"Is\": not a valid selector operator",
            "spec.unhealthyPodEvictionPolicy: Unsupported value: \"Ask\": supported values: \"AlwaysAllow\", \
             \"IfHealthyBudget\"",
        ],
    );
}

/// Source: `ValidatePersistentVolumeClaimSpec`, pkg/apis/core/validation/validation.go (v1.34.1).
#[test]
fn a_claim_tells_of_its_modes_before_its_size_its_class_and_its_source() {
    assert_order(
        "PersistentVolumeClaim",
        r#"{"spec": {"accessModes": ["ReadWriteOncePod", "ReadWriteMany", "Any"], "storageClassName": "S",
            "volumeMode": "Tape", "resources": {"requests": {"storage": "0"}},
            "selector": {"matchExpressions": [{"key": "a", "operator": "In"}]},
            "dataSource": {"kind": "PersistentVolumeClaim", "name": ""}}}"#,
        &[
            "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or \
             'NotIn'",
            "spec.accessModes: Unsupported value: \"Any\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \
             \"ReadWriteOnce\", \"ReadWriteOncePod\"",
            "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
            "spec.resources[storage]: Invalid value: \"0\": must be greater than zero",
            &format!("spec.storageClassName: Invalid value: \"S\": {SUBDOMAIN_RULE}"),
            "spec.volumeMode: Unsupported value: \"Tape\": supported values: \"Block\", \"Filesystem\"",
            "spec.dataSource.name: Required value",
            "spec.dataSourceRef.name: Required value",
        ],
    );
}

/// Source: `ValidateResourceQuotaSpec`, `validateResourceQuotaScopes`, `validateScopedResourceSelectorRequirement`,
/// pkg/apis/core/validation/validation.go (v1.34.1).
#[test]
fn a_quota_tells_of_its_amounts_before_its_scopes_and_its_selector() {
    assert_order(
        "ResourceQuota",
        r#"{"spec": {"hard": {"pods": "1500m"}, "scopes": ["Terminating", "NotTerminating", "Other"],
            "scopeSelector": {"matchExpressions": [{"scopeName": "BestEffort", "operator": "In"}]}}}"#,
        &[
            "spec.hard[pods]: Invalid value: \"1500m\": must be an integer",
            "spec.scopes: Invalid value: [\"Terminating\",\"NotTerminating\",\"Other\"]: unsupported scope",
            "spec.scopes: Invalid value: [\"Terminating\",\"NotTerminating\",\"Other\"]: conflicting scopes",
            "spec.scopeSelector.matchExpressions.operator: Invalid value: \"In\": must be 'Exists' when scope is any \
             of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, \
             ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
            "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is \
             'In' or 'NotIn' for scope selector",
        ],
    );
}

/// Source: `ValidateLimitRange`, pkg/apis/core/validation/validation.go (v1.34.1).
#[test]
fn a_limit_range_tells_of_each_limit_s_names_before_it_compares_its_lists() {
    assert_order(
        "LimitRange",
        r#"{"spec": {"limits": [
            {"type": "Pod", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}, "max": {"cpu": "1"},
                "min": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "500m"}},
            {"type": "Pod", "max": {"disk": "1"}}, {"type": "PersistentVolumeClaim"}, {"type": "Shelf"}]}}"#,
        &[
            "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
            "spec.limits[0].defaultRequest: Forbidden: may not be specified when `type` is 'Pod'",
            "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
            "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less than 1",
            "spec.limits[1].type: Duplicate value: \"Pod\"",
            "spec.limits[1].max[disk]: Invalid value: \"disk\": must be a standard resource type or fully qualified",
            "spec.limits[1].max[disk]: Invalid value: \"disk\": must be a standard resource for containers",
            "spec.limits[2].limits: Required value: either minimum or maximum storage value is required, but neither \
             was provided",
            "spec.limits[3].type: Invalid value: \"Shelf\": must be a standard limit type or fully qualified",
        ],
    );
}
