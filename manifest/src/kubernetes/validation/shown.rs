//! Values as the API server shows them in its messages: by the names and in the order of its internal types, or, where
//! those have names for JSON, in the order of the type's fields.

use k8s_openapi::api::batch::v1::{PodFailurePolicy, SuccessPolicy};
use k8s_openapi::api::core::v1::{NodeSelectorRequirement, NodeSelectorTerm, ScopeSelector, Taint, VolumeNodeAffinity};
use k8s_openapi::api::policy::v1::PodDisruptionBudgetSpec;
use k8s_openapi::api::storage::v1::{CSINodeDriver, VolumeAttachmentSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::Serialize;
use serde_json::value::{Value, to_value};

/// JSON with the keys in the order given.
fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{}:{value}", json(key))).collect();
    format!("{{{}}}", fields.join(","))
}

fn list<T>(items: Option<&[T]>, one: impl Fn(&T) -> String) -> String {
    match items {
        None => "null".to_owned(),
        Some(items) => format!("[{}]", items.iter().map(one).collect::<Vec<_>>().join(",")),
    }
}

fn json(value: &(impl Serialize + ?Sized)) -> String {
    // Maps with text as keys and lists of text and numbers always have a JSON form.
    to_value(value).unwrap_or(Value::Null).to_string()
}

/// A selector, whose type has names for JSON.
pub(super) fn selector(selector: &LabelSelector) -> String {
    let mut fields = Vec::new();
    if let Some(labels) = selector.match_labels.as_ref().filter(|labels| !labels.is_empty()) {
        fields.push(("matchLabels", json(labels)));
    }
    if let Some(expressions) = selector.match_expressions.as_deref().filter(|list| !list.is_empty()) {
        let one = |it: &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement| {
            let mut fields = vec![("key", json(&it.key)), ("operator", json(&it.operator))];
            if it.values.as_ref().is_some_and(|values| !values.is_empty()) {
                fields.push(("values", json(&it.values)));
            }
            object(&fields)
        };
        fields.push(("matchExpressions", list(Some(expressions), one)));
    }
    object(&fields)
}

/// A taint.
pub(super) fn taint(taint: &Taint) -> String {
    object(&[
        ("Key", json(&taint.key)),
        ("Value", json(taint.value.as_deref().unwrap_or_default())),
        ("Effect", json(&taint.effect)),
        ("TimeAdded", json(&taint.time_added)),
    ])
}

/// The scopes that a quota selects.
pub(super) fn scopes(selector: &ScopeSelector) -> String {
    let expressions = list(selector.match_expressions.as_deref(), |it| {
        object(&[("ScopeName", json(&it.scope_name)), ("Operator", json(&it.operator)), ("Values", json(&it.values))])
    });
    object(&[("MatchExpressions", expressions)])
}

/// The spec of a PodDisruptionBudget.
pub(super) fn budget(spec: &PodDisruptionBudgetSpec) -> String {
    object(&[
        ("MinAvailable", json(&spec.min_available)),
        ("Selector", spec.selector.as_ref().map_or_else(|| "null".to_owned(), selector)),
        ("MaxUnavailable", json(&spec.max_unavailable)),
        ("UnhealthyPodEvictionPolicy", json(&spec.unhealthy_pod_eviction_policy)),
    ])
}

/// When a Job succeeds before its time.
pub(super) fn success_policy(policy: &SuccessPolicy) -> String {
    let rules = list(Some(&policy.rules), |rule| {
        object(&[("SucceededIndexes", json(&rule.succeeded_indexes)), ("SucceededCount", json(&rule.succeeded_count))])
    });
    object(&[("Rules", rules)])
}

/// What a Job makes of failed pods.
pub(super) fn failure_policy(policy: &PodFailurePolicy) -> String {
    let rules = list(Some(&policy.rules), |rule| {
        let codes = rule.on_exit_codes.as_ref().map_or_else(
            || "null".to_owned(),
            |codes| {
                object(&[
                    ("ContainerName", json(&codes.container_name)),
                    ("Operator", json(&codes.operator)),
                    ("Values", json(&codes.values)),
                ])
            },
        );
        let conditions = list(rule.on_pod_conditions.as_deref(), |pattern| {
            object(&[("Type", json(&pattern.type_)), ("Status", json(&pattern.status))])
        });
        object(&[("Action", json(&rule.action)), ("OnExitCodes", codes), ("OnPodConditions", conditions)])
    });
    object(&[("Rules", rules)])
}

fn requirement(requirement: &NodeSelectorRequirement) -> String {
    object(&[
        ("Key", json(&requirement.key)),
        ("Operator", json(&requirement.operator)),
        ("Values", json(&requirement.values)),
    ])
}

/// One alternative of requirements on nodes.
pub(super) fn node_term(term: &NodeSelectorTerm) -> String {
    object(&[
        ("MatchExpressions", list(term.match_expressions.as_deref(), requirement)),
        ("MatchFields", list(term.match_fields.as_deref(), requirement)),
    ])
}

/// Alternatives of requirements on nodes; `None` are none at all.
pub(super) fn node_terms(terms: Option<&[NodeSelectorTerm]>) -> String {
    list(terms, node_term)
}

/// The nodes that a volume can be reached from.
pub(super) fn volume_affinity(affinity: Option<&VolumeNodeAffinity>) -> String {
    let Some(affinity) = affinity else { return "null".to_owned() };
    let required = affinity.required.as_ref().map_or_else(
        || "null".to_owned(),
        |required| object(&[("NodeSelectorTerms", node_terms(Some(&required.node_selector_terms)))]),
    );
    object(&[("Required", required)])
}

/// What a node says of a CSI driver, without how many volumes it can have.
pub(super) fn csi_driver(driver: &CSINodeDriver) -> String {
    let allocatable = driver.allocatable.as_ref();
    object(&[
        ("Name", json(&driver.name)),
        ("NodeID", json(&driver.node_id)),
        ("TopologyKeys", json(&driver.topology_keys)),
        ("Allocatable", allocatable.map_or_else(|| "null".to_owned(), |it| object(&[("Count", json(&it.count))]))),
    ])
}

/// What is attached where; inline volumes are left out.
pub(super) fn attachment(spec: &VolumeAttachmentSpec) -> String {
    let source = object(&[
        ("PersistentVolumeName", json(&spec.source.persistent_volume_name)),
        ("InlineVolumeSpec", "null".to_owned()),
    ]);
    object(&[("Attacher", json(&spec.attacher)), ("Source", source), ("NodeName", json(&spec.node_name))])
}
