//! Which kind a path means, and which paths mean something in Kubernetes that we do not have.

use wavetank_core::model::Kind;

use super::{Outcome, Path, Status};

/// Groups with resources that a 1.34 API server has and we do not, and these resources. A group with none is here for
/// its name.
const BESIDE: &[(&str, &[&str])] = &[
    ("", &["bindings", "componentstatuses", "events", "podtemplates"]),
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
    ("coordination.k8s.io", &["leases"]),
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

/// What is answered to a request that the API server has not got: a part that objects of the kind do not have, or a
/// method that is not for the path.
pub(super) fn no_such_request(method: &str, kind: Kind, path: &Path) -> Option<Status> {
    let is_there = match path.subresource.as_str() {
        "" => true,
        "status" => !WITHOUT_STATUS.contains(&kind),
        "scale" => SCALED.contains(&kind),
        "token" => kind == Kind::ServiceAccount,
        "finalize" => kind == Kind::Namespace,
        "proxy" => [Kind::Pod, Kind::Node, Kind::Service].contains(&kind),
        "attach" | "binding" | "ephemeralcontainers" | "eviction" | "exec" | "log" | "portforward" | "resize" => {
            kind == Kind::Pod
        }
        _ => false,
    };
    if !is_there {
        return Some(Status::new(404, "NotFound", "the server could not find the requested resource"));
    }
    let is_allowed = match (path.subresource.as_str(), path.name.is_empty()) {
        // Namespaces go one by one.
        ("", true) => ["GET", "POST"].contains(&method) || method == "DELETE" && kind != Kind::Namespace,
        ("", false) => ["GET", "PUT", "PATCH", "DELETE"].contains(&method),
        ("status" | "scale", _) => ["GET", "PUT", "PATCH"].contains(&method),
        ("binding" | "eviction" | "token", _) => method == "POST",
        _ => true,
    };
    let message = "the server does not allow this method on the requested resource";
    (!is_allowed).then(|| Status::new(405, "MethodNotAllowed", message))
}

/// Kinds with a size of their own.
const SCALED: [Kind; 4] = [Kind::Deployment, Kind::ReplicaSet, Kind::StatefulSet, Kind::ReplicationController];

/// Kinds whose status is no part of its own, or that have none.
const WITHOUT_STATUS: [Kind; 12] = [
    Kind::ConfigMap,
    Kind::Secret,
    Kind::ServiceAccount,
    Kind::LimitRange,
    Kind::PriorityClass,
    Kind::StorageClass,
    Kind::CSINode,
    Kind::CSIDriver,
    Kind::CSIStorageCapacity,
    Kind::EndpointSlice,
    Kind::Endpoints,
    Kind::ControllerRevision,
];

/// What is answered to a selector of fields that cannot be read; `None` if it can.
///
/// Source: `splitTerm`, `UnescapeValue`, staging/src/k8s.io/apimachinery/pkg/fields/selector.go (v1.34.1).
pub(super) fn unreadable_fields(selector: &str) -> Option<Status> {
    selector
        .split(',')
        .filter(|part| !part.is_empty())
        .find_map(|part| {
            let operator = ["!=", "==", "="].iter().filter_map(|it| Some((part.find(it)?, it.len())));
            let Some((at, length)) = operator.min_by_key(|(at, length)| (*at, usize::MAX - length)) else {
                return Some(format!("invalid selector: '{selector}'; can't understand '{part}'"));
            };
            let is_bare = part[at + length..].contains('=') && !part.contains('\\');
            is_bare.then(|| format!("invalid field selector: unescaped character in value: {}", u32::from('=')))
        })
        .map(Status::bad_request)
}

/// What is answered to a selector of fields; `None` if it can be done.
///
/// Source: `AddFieldLabelConversionFunc`, pkg/apis/{core,batch}/v1/conversion.go;
/// `DefaultMetaV1FieldSelectorConversion`, staging/src/k8s.io/apimachinery/pkg/runtime/conversion.go (v1.34.1).
pub fn wrong_fields(kind: Kind, selector: &str) -> Option<Status> {
    let more: &[&str] = match kind {
        Kind::Pod => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "spec.host",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
        Kind::Node => &["spec.unschedulable"],
        Kind::ReplicationController => &["status.replicas"],
        Kind::Namespace => &["status.phase"],
        Kind::Secret => &["type"],
        Kind::Service => &["spec.clusterIP", "spec.type"],
        Kind::Job => &["status.successful"],
        _ => &[],
    };
    for part in selector.split(',').filter(|part| !part.is_empty()) {
        let Some(at) = part.find(['=', '!']).filter(|at| part[*at..].starts_with('=') || part[*at..].starts_with("!="))
        else {
            return Some(Status::bad_request(format!("invalid selector: '{selector}'; can't understand '{part}'")));
        };
        let field = &part[..at];
        let is_namespace = field == "metadata.namespace" && kind != Kind::Node && kind != Kind::Namespace;
        if field == "metadata.name" || is_namespace || more.contains(&field) {
            continue;
        }
        return Some(Status::bad_request(match kind {
            Kind::Job => format!("field label {field:?} not supported for Job"),
            _ if more.is_empty() => {
                format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
            }
            _ => format!("field label not supported: {field}"),
        }));
    }
    None
}
