//! Creations by clients of what the core makes by itself, Kubernetes Events and Leases, as far as they are refused.

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::admission::early_refusal;
use wavetank_core::model::{Kind, ObjectKey};
use wavetank_manifest::kubernetes::{
    ApiEvent, Invalid, KINDS, Manifest, Unreadable, read_body, read_event, validate, validate_event,
};

use super::{Outcome, Path, Status, bodies, create, options, versions};

/// What is created.
enum Written {
    Event(Box<ApiEvent>),
    Other(Manifest),
}

/// Kind and version of what a request creates, if it is one of these.
pub(super) fn created(method: &str, path: &Path) -> Option<(&'static str, &'static str)> {
    let is_creation = method == "POST" && path.name.is_empty();
    match (path.plural.as_str(), path.api_version.as_str()) {
        ("events", "v1") if is_creation => Some(("Event", "v1")),
        ("leases", "coordination.k8s.io/v1") if is_creation => Some(("Lease", "coordination.k8s.io/v1")),
        _ => None,
    }
}

/// A creation of one of these.
pub(super) fn create(core: &Core, (kind, version): (&str, &str), path: &Path, body: &Value) -> Outcome {
    match refusal(core, (kind, version), path, body) {
        Some(status) => Outcome::Answered(status),
        None => Outcome::NotCovered(path.plural.clone()),
    }
}

fn refusal(core: &Core, (kind, version): (&str, &str), path: &Path, body: &Value) -> Option<Status> {
    if let Some(status) = bodies::unrecognized("POST", path, kind, body) {
        return Some(status);
    }
    let early = options::fault(path, "CreateOptions").or_else(|| versions::fault(kind, version, body));
    if early.is_some() {
        return early;
    }
    let unreadable =
        |why: &str| Status::bad_request(format!("{kind} in version \"v1\" cannot be handled as a {kind}: {why}"));
    let text = path.written.as_deref().map_or_else(|| body.to_string(), str::to_owned);
    let (mut written, unknown) = match read(kind, &text) {
        Ok(read) => read,
        Err(fault) => return Some(unreadable(&fault.said)),
    };
    if let Some(why) = create::strict_fault(path, &unknown) {
        return Some(unreadable(&why));
    }
    if let Some(status) = create::wrong_namespace(body, &path.namespace) {
        return Some(status);
    }
    // What is said of a namespace that is not there names no kind.
    let key = ObjectKey::new(Kind::ConfigMap, &path.namespace, "");
    if let Some(refusal) = early_refusal(core.newest(), &key, None) {
        let status = Status::of(&refusal);
        return (status.code == 404).then_some(status);
    }
    let meta = match &mut written {
        Written::Event(event) => &mut event.metadata,
        Written::Other(manifest) => manifest.metadata_mut(),
    };
    meta.namespace = Some(path.namespace.clone());
    if let (None | Some(""), Some(prefix)) = (meta.name.as_deref(), &meta.generate_name) {
        meta.name = Some(create::drawn_from(prefix));
    }
    if let Err(invalid) = judged(&written) {
        return Some(Status::invalid(invalid.to_string()));
    }
    let version = body["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    (!["", "0"].contains(&version)).then(create::has_version)
}

fn read(kind: &str, text: &str) -> Result<(Written, Vec<String>), Unreadable> {
    match KINDS.iter().find(|known| known.kind == kind) {
        Some(known) => read_body(*known, text).map(|(located, unknown)| (Written::Other(located.value), unknown)),
        None => read_event(text).map(|(event, unknown)| (Written::Event(event.into()), unknown)),
    }
}

fn judged(written: &Written) -> Result<(), Invalid> {
    match written {
        Written::Event(event) => validate_event(event),
        Written::Other(manifest) => validate(manifest),
    }
}
