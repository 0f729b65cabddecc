//! Creations: reading, defaulting and validating a body, with the API server's words for what is wrong.

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::{Refusal, Request};
use wavetank_core::model::{Kind, ObjectKey};
use wavetank_manifest::kubernetes::{
    KINDS, Located, Manifest, Policy, apply_defaults, read_body, to_object, validate_under,
};

use super::{Outcome, Path, Status, options};

/// A creation of an object at the path of its collection.
pub(super) fn create(core: &Core, kind: Kind, path: &Path, body: &Value) -> Outcome {
    if let Some(status) = options::fault(path, "CreateOptions").or_else(|| wrong_kind(kind, body)) {
        return Outcome::Answered(status);
    }
    let mut body = body.clone();
    let located = match read(kind, &mut body, path) {
        Ok(located) => located,
        Err(status) => return Outcome::Answered(status),
    };
    if kind.is_namespaced() {
        if let Some(status) = wrong_namespace(&body, &path.namespace) {
            return Outcome::Answered(status);
        }
        body["metadata"]["namespace"] = path.namespace.clone().into();
    }
    let version = body["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    let admitted = admit_read(located, &path.namespace).and_then(|located| {
        if version.is_empty() || version == "0" {
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
            let is_missing = kind.is_namespaced() && core.find(&namespace).is_none();
            let missing = || Status::of(&Refusal::NotFound(namespace.clone()));
            Outcome::Answered(if is_missing { missing() } else { status })
        }
    }
}

/// What is said to an object that names another namespace than its path.
pub(super) fn wrong_namespace(body: &Value, namespace: &str) -> Option<Status> {
    let named = body["metadata"]["namespace"].as_str().filter(|named| !named.is_empty() && *named != namespace);
    named.map(|_| {
        Status::bad_request("the namespace of the provided object does not match the namespace sent on the request")
    })
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

/// Reads, defaults and validates an object that a component of the cluster writes.
///
/// Errors: what the API server would say.
pub(super) fn admit(kind: Kind, body: &Value) -> Result<Located<Manifest>, Status> {
    admit_read(read(kind, &mut body.clone(), &Path::default())?, "")
}

/// Defaults and validates. An object whose name is to be drawn has one from here on, which a refusal tells.
///
/// Errors: what the API server would say.
fn admit_read(mut located: Located<Manifest>, namespace: &str) -> Result<Located<Manifest>, Status> {
    if located.value.kind().namespaced && located.value.metadata().namespace.is_none() {
        located.value.metadata_mut().namespace = Some(namespace.to_owned());
    }
    apply_defaults(&mut located.value);
    let mut named = located.value.clone();
    let meta = named.metadata_mut();
    if let (None | Some(""), Some(prefix)) = (meta.name.as_deref(), &meta.generate_name) {
        meta.name = Some(format!("{prefix}{DRAWN}"));
    }
    match validate_under(&named, Policy::OF_FLAGS) {
        Ok(()) => Ok(located),
        Err(invalid) => Err(Status::invalid(invalid.to_string())),
    }
}

/// What stands for the letters that are drawn to end a name.
const DRAWN: &str = "xxxxx";

/// Reads the body of a request as an object of a kind, which the body need not name. The kind is written into the body,
/// so that who reads it again knows it.
///
/// Errors: what the API server would say of a body that it cannot read, or, if the path asks for strictness, that has
/// unknown fields.
pub(super) fn read(kind: Kind, body: &mut Value, path: &Path) -> Result<Located<Manifest>, Status> {
    let known = known(kind)?;
    let version = kind.api_version().rsplit('/').next().unwrap_or_default();
    let subject = format!("{} in version {version:?} cannot be handled as a {}", kind.name(), kind.name());
    name_kind(kind, body);
    let (located, unknown) =
        read_body(known, &body.to_string()).map_err(|it| Status::bad_request(format!("{subject}: {}", it.said)))?;
    if path.parameter("fieldValidation").as_deref() == Some("Strict") && !unknown.is_empty() {
        let fields: Vec<String> = unknown.iter().map(|field| format!("unknown field {field:?}")).collect();
        return Err(Status::bad_request(format!("{subject}: strict decoding error: {}", fields.join(", "))));
    }
    Ok(located)
}

fn known(kind: Kind) -> Result<wavetank_manifest::kubernetes::Kind, Status> {
    let known = KINDS.iter().find(|known| known.kind == kind.name()).copied();
    known.ok_or_else(|| Status::bad_request(format!("a {} cannot be read", kind.name())))
}

fn name_kind(kind: Kind, body: &mut Value) {
    let Value::Object(fields) = body else { return };
    for (field, value) in [("apiVersion", kind.api_version()), ("kind", kind.name())] {
        let entry = fields.entry(field).or_insert_with(|| value.into());
        if entry.as_str() == Some("") {
            *entry = value.into();
        }
    }
}

/// What is said of an object that a patch has made and that cannot be read; `None` if it can. `converts` tells that it
/// comes of a strategic merge patch.
pub(super) fn unreadable(kind: Kind, body: &Value, converts: bool) -> Option<String> {
    let mut body = body.clone();
    name_kind(kind, &mut body);
    let fault = read_body(known(kind).ok()?, &body.to_string()).err()?;
    Some(if converts { fault.converted } else { fault.said })
}
