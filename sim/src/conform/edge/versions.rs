//! Which kinds of which versions a body may say that it is of, and what is said to one that is not of the path's.
//!
//! Source: the functions `addKnownTypes` of staging/src/k8s.io/api/*/*/register.go; `gvkWithDefaults`,
//! staging/src/k8s.io/apimachinery/pkg/runtime/serializer/json/json.go; `createHandler`,
//! staging/src/k8s.io/apiserver/pkg/endpoints/handlers/create.go (v1.34.1).

use serde_json::Value;
use wavetank_manifest::kubernetes::KINDS;

use super::Status;

/// Versions that are older or younger than that of the path and have kinds of the same name.
const OTHER: &[(&str, &[&str])] = &[
    ("apps/v1beta1", &["ControllerRevision", "Deployment", "StatefulSet"]),
    ("apps/v1beta2", &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]),
    ("batch/v1beta1", &["CronJob"]),
    ("coordination.k8s.io/v1beta1", &["Lease"]),
    ("discovery.k8s.io/v1beta1", &["EndpointSlice"]),
    ("events.k8s.io/v1", &["Event"]),
    ("events.k8s.io/v1beta1", &["Event"]),
    ("extensions/v1beta1", &["DaemonSet", "Deployment", "ReplicaSet"]),
    ("policy/v1beta1", &["Eviction", "PodDisruptionBudget"]),
    ("scheduling.k8s.io/v1alpha1", &["PriorityClass"]),
    ("scheduling.k8s.io/v1beta1", &["PriorityClass"]),
    ("storage.k8s.io/v1alpha1", &["CSIStorageCapacity", "VolumeAttachment"]),
    ("storage.k8s.io/v1beta1", &["CSIDriver", "CSINode", "CSIStorageCapacity", "StorageClass", "VolumeAttachment"]),
];

/// Kinds that cannot be read here and are known to an API server all the same.
const BESIDE: &[(&str, &[&str])] = &[
    ("v1", &["Binding", "ComponentStatus", "DeleteOptions", "Event", "List", "PodTemplate", "Status"]),
    ("apps/v1beta1", &["DeploymentRollback", "Scale"]),
    ("apps/v1beta2", &["Scale"]),
    ("autoscaling/v1", &["HorizontalPodAutoscaler", "Scale"]),
    ("autoscaling/v2", &["HorizontalPodAutoscaler"]),
    ("autoscaling/v2beta1", &["HorizontalPodAutoscaler"]),
    ("autoscaling/v2beta2", &["HorizontalPodAutoscaler"]),
    ("certificates.k8s.io/v1", &["CertificateSigningRequest"]),
    ("extensions/v1beta1", &["DeploymentRollback", "Ingress", "NetworkPolicy", "Scale"]),
    ("networking.k8s.io/v1", &["IPAddress", "Ingress", "IngressClass", "NetworkPolicy", "ServiceCIDR"]),
    ("networking.k8s.io/v1beta1", &["IPAddress", "Ingress", "IngressClass", "ServiceCIDR"]),
    ("node.k8s.io/v1", &["RuntimeClass"]),
    ("policy/v1", &["Eviction"]),
    ("rbac.authorization.k8s.io/v1", &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]),
];

/// What is said to a body that says that it is of another kind or version than `kind` of `version`. What it leaves out
/// is the path's.
pub(super) fn fault(kind: &str, version: &str, body: &Value) -> Option<Status> {
    let text = |field: &str| body[field].as_str().filter(|text| !text.is_empty());
    let (said_kind, said) = (text("kind").unwrap_or(kind), text("apiVersion").unwrap_or(version));
    if (said_kind, said) == (kind, version) {
        return None;
    }
    let has = |table: &[(&str, &[&str])]| {
        table.iter().any(|(version, kinds)| *version == said && kinds.iter().any(|kind| is_or_lists(said_kind, kind)))
    };
    let known = KINDS.iter().any(|known| known.api_version == said && is_or_lists(said_kind, known.kind));
    if said_kind == kind && has(OTHER) {
        let why = format!("the API version in the data ({said}) does not match the expected API version ({version})");
        return Some(Status::bad_request(why));
    }
    let last = said.rsplit('/').next().unwrap_or_default();
    let start = format!("{said_kind} in version {last:?} cannot be handled as a {kind}");
    let message = if known || has(OTHER) || has(BESIDE) {
        let group = version.split_once('/').map_or("core", |(group, _)| group);
        let package = group.split('.').next().unwrap_or(group);
        format!("{start}: converting ({last}.{said_kind}) to ({package}.{kind}): unknown conversion")
    } else {
        format!("{start}: {}", unregistered(said_kind, said))
    };
    Some(Status::bad_request(message))
}

/// What is said of a kind that its version has not got.
pub(super) fn unregistered(kind: &str, version: &str) -> String {
    let scheme = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30";
    format!("no kind {kind:?} is registered for version {version:?} in scheme {scheme:?}")
}

fn is_or_lists(said: &str, kind: &str) -> bool {
    said == kind || said.strip_suffix("List") == Some(kind)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_of_another_kind_or_version_is_refused_in_one_of_three_ways() {
        let said = |kind: &str, version: &str| {
            let body = json!({"apiVersion": version, "kind": kind});
            fault("Deployment", "apps/v1", &body).map(|status| status.message).unwrap_or_default()
        };
        assert_eq!(said("Deployment", "apps/v1"), "");
        assert_eq!(said("", ""), "", "what is left out is the path's");
        let old = "the API version in the data (extensions/v1beta1) does not match the expected API version (apps/v1)";
        assert_eq!(said("Deployment", "extensions/v1beta1"), old);
        let start = "cannot be handled as a Deployment";
        for (kind, version) in [("Scale", "autoscaling/v1"), ("PodList", "v1"), ("CronJob", "batch/v1beta1")] {
            let last = version.rsplit('/').next().unwrap();
            let why = format!("converting ({last}.{kind}) to (apps.Deployment): unknown conversion");
            assert_eq!(said(kind, version), format!("{kind} in version {last:?} {start}: {why}"));
        }
        let unknown = said("Deployment", "apps/v9");
        assert!(unknown.contains(r#"no kind "Deployment" is registered for version "apps/v9""#), "{unknown}");
        let class = fault("StorageClass", "storage.k8s.io/v1", &json!({"apiVersion": "v1", "kind": "Pod"})).unwrap();
        assert!(class.message.contains("to (storage.StorageClass)"), "{}", class.message);
    }
}
