//! Which kind a path means, and which paths mean something in Kubernetes that we do not have.

use wavetank_core::model::Kind;

use super::{Outcome, Path, Status};

/// Groups with resources that a 1.34 API server has and we do not, and these resources. A group with none is here for
/// its name.
const BESIDE: &[(&str, &[&str])] = &[
    ("", &["bindings", "componentstatuses", "endpoints", "events", "podtemplates"]),
    (
        "admissionregistration.k8s.io",
        &[
            "mutatingwebhookconfigurations",
            "validatingadmissionpolicies",
            "validatingadmissionpolicybindings",
            "validatingwebhookconfigurations",
        ],
    ),
    ("apiextensions.k8s.io", &["customresourcedefinitions"]),
    ("apiregistration.k8s.io", &["apiservices"]),
    ("apps", &[]),
    ("authentication.k8s.io", &["selfsubjectreviews", "tokenreviews"]),
    (
        "authorization.k8s.io",
        &["localsubjectaccessreviews", "selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews"],
    ),
    ("autoscaling", &["horizontalpodautoscalers"]),
    ("batch", &[]),
    ("certificates.k8s.io", &["certificatesigningrequests"]),
    ("coordination.k8s.io", &[]),
    ("discovery.k8s.io", &[]),
    ("events.k8s.io", &["events"]),
    ("flowcontrol.apiserver.k8s.io", &["flowschemas", "prioritylevelconfigurations"]),
    ("networking.k8s.io", &["ingressclasses", "ingresses", "ipaddresses", "networkpolicies", "servicecidrs"]),
    ("node.k8s.io", &["runtimeclasses"]),
    ("policy", &[]),
    ("rbac.authorization.k8s.io", &["clusterrolebindings", "clusterroles", "rolebindings", "roles"]),
    ("resource.k8s.io", &["deviceclasses", "resourceclaims", "resourceclaimtemplates", "resourceslices"]),
    ("scheduling.k8s.io", &[]),
    ("storage.k8s.io", &["volumeattributesclasses"]),
];

/// Groups that are there in version v1 alone.
const V1_ALONE: [&str; 6] = ["", "apps", "batch", "discovery.k8s.io", "policy", "scheduling.k8s.io"];

/// The kind of a path. A path that tells no group and version is taken by its plural alone.
///
/// Errors: what is answered to a path that means nothing, or that it is not covered.
pub(super) fn kind_at(path: &Path) -> Result<Kind, Outcome> {
    let known = Kind::ALL.iter().copied().find(|kind| kind.plural() == path.plural);
    if let Some(kind) = known.filter(|kind| path.api_version.is_empty() || kind.api_version() == path.api_version) {
        return Ok(kind);
    }
    let (group, version) = path.api_version.split_once('/').unwrap_or(("", path.api_version.as_str()));
    let found = BESIDE.iter().find(|(known, _)| *known == group);
    let Some((_, resources)) = found.filter(|_| version == "v1" || !V1_ALONE.contains(&group)) else {
        return Err(Outcome::Answered(Status::new(404, "", "404 page not found")));
    };
    // Older and newer versions of what we have, and what is only there beside it.
    if known.is_some() && version != "v1" || resources.contains(&path.plural.as_str()) || path.plural.is_empty() {
        return Err(Outcome::NotCovered(path.plural.clone()));
    }
    Err(Outcome::Answered(Status::new(404, "NotFound", "the server could not find the requested resource")))
}
