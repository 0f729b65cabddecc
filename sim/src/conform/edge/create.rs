//! Creations: reading, defaulting and validating a body, with the API server's words for what is wrong.

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::{Refusal, Request};
use wavetank_core::model::{Kind, ObjectKey};
use wavetank_manifest::kubernetes::{KINDS, Located, Manifest, apply_defaults, read_manifests, to_object, validate};

use super::{Outcome, Path, Status, find};

/// A creation of an object at the path of its collection.
pub(super) fn create(core: &Core, kind: Kind, path: &Path, body: &Value) -> Outcome {
    if let Some(status) = wrong_kind(kind, body) {
        return Outcome::Answered(status);
    }
    let mut body = body.clone();
    if kind.is_namespaced() {
        match body["metadata"]["namespace"].as_str().filter(|namespace| !namespace.is_empty()) {
            Some(namespace) if namespace != path.namespace => {
                let message = "the namespace of the provided object does not match the namespace sent on the request";
                return Outcome::Answered(Status::bad_request(message));
            }
            Some(_) => {}
            None => body["metadata"]["namespace"] = path.namespace.clone().into(),
        }
    }
    let admitted = admit(&body).and_then(|located| {
        let version = body["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let is_new = version.is_empty() || version == "0";
        if is_new {
            Ok(located)
        } else {
            Err(Status::internal("resourceVersion should not be set on objects to be created"))
        }
    });
    match admitted {
        Ok(located) => match to_object(&located) {
            Ok(object) => Outcome::Ask(vec![Request::Create(object)]),
            Err(errors) => Outcome::NotCovered(errors.to_string()),
        },
        Err(status) => {
            // Admission looks for the namespace before anything is validated.
            let namespace = ObjectKey::new(Kind::Namespace, "", &path.namespace);
            let is_missing = kind.is_namespaced() && status.code != 400 && find(core, &namespace).is_none();
            let missing = || Status::of(&Refusal::NotFound(namespace.clone()));
            Outcome::Answered(if is_missing { missing() } else { status })
        }
    }
}

/// What is said to an object that was sent to where others are, or of a version that there is not.
pub(super) fn wrong_kind(there: Kind, body: &Value) -> Option<Status> {
    let (kind, api_version) = (body["kind"].as_str()?, body["apiVersion"].as_str()?);
    if kind == there.name() && api_version == there.api_version() {
        return None;
    }
    let version = api_version.rsplit('/').next().unwrap_or_default();
    let start = format!("{kind} in version {version:?} cannot be handled as a {}", there.name());
    let message = if KINDS.iter().any(|known| known.kind == kind && known.api_version == api_version) {
        let group = there.api_version().split_once('/').map_or("core", |(group, _)| group);
        format!("{start}: converting ({version}.{kind}) to ({group}.{}): unknown conversion", there.name())
    } else {
        format!(
            "{start}: no kind {kind:?} is registered for version {api_version:?} in scheme \
             \"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\""
        )
    };
    Some(Status::bad_request(message))
}

/// Reads, defaults and validates.
///
/// Errors: what the API server would say.
pub(super) fn admit(body: &Value) -> Result<Located<Manifest>, Status> {
    let mut located = read(body)?;
    apply_defaults(&mut located.value);
    validate(&located.value).map_err(|invalid| Status::invalid(invalid.to_string()))?;
    Ok(located)
}

/// Reads an object.
///
/// Errors: what the API server would say.
pub(super) fn read(body: &Value) -> Result<Located<Manifest>, Status> {
    let (kind, meta) = (body["kind"].as_str().unwrap_or_default(), &body["metadata"]);
    let unset = |field: &str| meta[field].as_str().unwrap_or_default().is_empty();
    if unset("name") && unset("generateName") {
        let message =
            format!("{kind} \"\" is invalid: metadata.name: Required value: name or generateName is required");
        return Err(Status::invalid(message));
    }
    let mut objects = read_manifests("body", &body.to_string()).map_err(|errors| {
        let version = body["apiVersion"].as_str().and_then(|text| text.rsplit('/').next()).unwrap_or_default();
        let wrong_type = errors.0.first().and_then(|error| error.go_message());
        Status::bad_request(match wrong_type {
            Some(wrong) => format!("{kind} in version {version:?} cannot be handled as a {kind}: {wrong}"),
            None => errors.to_string(),
        })
    })?;
    objects.pop().ok_or_else(|| Status::bad_request("the body has no object"))
}
