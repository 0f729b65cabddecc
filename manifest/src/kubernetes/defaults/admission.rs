//! What the built-in admission plugins add to a pod on creation.

use k8s_openapi::api::core::v1::{Pod, Toleration};

use super::text;

/// How long a pod stays on a node that is not ready or unreachable, in seconds.
///
/// Source: plugin/pkg/admission/defaulttolerationseconds/admission.go, v1.34.
const TOLERATION_SECONDS: i64 = 300;

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// Adds the default tolerations, service account, priority and preemption policy to a pod that is created.
///
/// The priority of a class that only a PriorityClass object knows is left open; those of Kubernetes' own classes are
/// set.
///
/// Source: plugin/pkg/admission/{defaulttolerationseconds,serviceaccount,priority}/admission.go,
/// pkg/apis/scheduling/types.go, v1.34.
pub fn admit_pod(pod: &mut Pod) {
    let spec = pod.spec.get_or_insert_default();
    text(&mut spec.service_account_name, "default");
    spec.service_account.clone_from(&spec.service_account_name);
    let priority = match spec.priority_class_name.as_deref().unwrap_or("") {
        "" => Some(0),
        "system-cluster-critical" => Some(2_000_000_000),
        "system-node-critical" => Some(2_000_001_000),
        _ => None,
    };
    if let Some(priority) = priority {
        spec.priority = Some(priority);
        spec.preemption_policy.get_or_insert_with(|| "PreemptLowerPriority".to_owned());
    }
    let tolerations = spec.tolerations.get_or_insert_default();
    for taint in [NOT_READY, UNREACHABLE] {
        if !tolerations.iter().any(|toleration| tolerates(toleration, taint)) {
            tolerations.push(Toleration {
                key: Some(taint.to_owned()),
                operator: Some("Exists".to_owned()),
                effect: Some("NoExecute".to_owned()),
                toleration_seconds: Some(TOLERATION_SECONDS),
                value: None,
            });
        }
    }
}

/// Whether a toleration already speaks of evictions for this taint; an empty key or effect speaks of all.
fn tolerates(toleration: &Toleration, taint: &str) -> bool {
    let any_or = |value: &Option<String>, wanted: &str| value.as_deref().is_none_or(|v| v.is_empty() || v == wanted);
    any_or(&toleration.key, taint) && any_or(&toleration.effect, "NoExecute")
}
