use serde_json::json;
use wavetank_core::id::Revision;

use crate::kubernetes::{read_admitted, to_json, to_object};

fn faults(text: &str) -> Vec<String> {
    let errors = read_admitted("m.yaml", text).expect_err("the manifest is faulty");
    errors.0.iter().map(ToString::to_string).collect()
}

fn shown(text: &str) -> serde_json::Value {
    let located = read_admitted("m.yaml", text).expect("the manifest is good");
    to_json(&to_object(&located[0]).expect("the kind is modelled"), Revision(1), 0)
}

#[test]
fn a_limit_range_fills_in_what_follows_from_its_bounds() {
    let object = shown(
        "apiVersion: v1\nkind: LimitRange\nmetadata: {name: lr}\nspec:\n  limits:\n  - type: Container\n    \
         max: {cpu: 2, memory: 1Gi}\n    min: {cpu: 50m, ephemeral-storage: 1Gi}\n    default: {cpu: 500m}\n",
    );
    assert_eq!(
        object["spec"]["limits"],
        json!([{
            "type": "Container",
            "max": {"cpu": "2", "memory": "1Gi"},
            "min": {"cpu": "50m", "ephemeral-storage": "1Gi"},
            "default": {"cpu": "500m", "memory": "1Gi"},
            "defaultRequest": {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "1Gi"},
        }])
    );
}

#[test]
fn bounds_that_contradict_each_other_are_named() {
    let found = faults(
        "apiVersion: v1\nkind: LimitRange\nmetadata: {name: lr}\nspec:\n  limits:\n  - type: Pod\n    \
         min: {cpu: 2}\n    max: {cpu: 1}\n    default: {cpu: 1}\n  - type: PersistentVolumeClaim\n    \
         maxLimitRequestRatio: {storage: 500m}\n  - {type: Pod}\n  - {type: Node}\n",
    );
    let has = |text: &str| assert!(found.iter().any(|fault| fault.contains(text)), "{text}: {found:#?}");
    has("spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1");
    has("spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'");
    has("spec.limits[1].limits: Required value: either minimum or maximum storage value is required, but neither was \
         provided");
    has("spec.limits[1].maxLimitRequestRatio[storage]: Invalid value: \"500m\": ratio 500m is less than 1");
    has("spec.limits[2].type: Duplicate value: \"Pod\"");
    has("spec.limits[3].type: Invalid value: \"Node\": must be a standard limit type or fully qualified");
}

#[test]
fn a_quota_names_resources_and_scopes_that_go_together() {
    let found = faults(
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q}\nspec:\n  hard: {pods: 1500m, cpus: 1, services: \
         1}\n  scopes: [BestEffort, NotBestEffort]\n  scopeSelector:\n    matchExpressions:\n    - {scopeName: \
         PriorityClass, operator: In}\n",
    );
    let has = |text: &str| assert!(found.iter().any(|fault| fault.contains(text)), "{text}: {found:#?}");
    has("spec.hard[cpus]: Invalid value: \"cpus\": must be a standard resource type or fully qualified");
    has("spec.hard[cpus]: Invalid value: \"cpus\": must be a standard resource for quota");
    has("spec.hard[pods]: Invalid value: \"1500m\": must be an integer");
    has("spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: unsupported scope applied to resource");
    has("spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: conflicting scopes");
    has("spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is \
         'In' or 'NotIn' for scope selector");
}

#[test]
fn a_quota_s_status_is_the_cluster_s_own() {
    let object = shown(
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q}\nspec: {hard: {memory: 1024Mi, count/jobs.batch: \
         3}}\nstatus: {used: {memory: 1Gi}}\n",
    );
    assert_eq!(object["spec"]["hard"], json!({"count/jobs.batch": "3", "memory": "1Gi"}));
    assert_eq!(object["status"], json!({}));
}

#[test]
fn the_names_and_values_of_priority_classes_are_kubernetes_first() {
    let class = |name: &str, value: i32| {
        format!("apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {{name: {name}}}\nvalue: {value}\n")
    };
    assert_eq!(shown(&class("high", 1_000))["preemptionPolicy"], "PreemptLowerPriority");
    let found = faults(&class("high", 1_000_000_001));
    assert!(found[0].contains("value: Forbidden: maximum allowed value of a user defined priority is 1000000000"));
    let found = faults(&class("system-mine", 5));
    assert!(
        found[0].contains(
            "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. \
             error: system-mine is not a known system priority class"
        ),
        "{found:?}"
    );
}
