//! Creations of Kubernetes Events by clients, as far as they are refused: the core makes its Events by itself.

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::admission::early_refusal;
use wavetank_core::model::{Kind, ObjectKey};
use wavetank_manifest::kubernetes::{read_event, validate_event};

use super::{Outcome, Path, Status, create, options, versions};

/// Whether a request is the creation of an Event in its first version.
pub(super) fn is_creation(method: &str, path: &Path) -> bool {
    (method, path.plural.as_str(), path.api_version.as_str()) == ("POST", "events", "v1") && path.name.is_empty()
}

/// A creation of an Event.
pub(super) fn create(core: &Core, path: &Path, body: &Value) -> Outcome {
    match refusal(core, path, body) {
        Some(status) => Outcome::Answered(status),
        None => Outcome::NotCovered("events".to_owned()),
    }
}

fn refusal(core: &Core, path: &Path, body: &Value) -> Option<Status> {
    let early = options::fault(path, "CreateOptions").or_else(|| versions::fault("Event", "v1", body));
    if early.is_some() {
        return early;
    }
    let unreadable =
        |why: &str| Status::bad_request(format!("Event in version \"v1\" cannot be handled as a Event: {why}"));
    let (mut event, unknown) = match read_event(&body.to_string()) {
        Ok(read) => read,
        Err(fault) => return Some(unreadable(&fault.said)),
    };
    if let Some(why) = create::unknown_fields(path, &unknown) {
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
    let meta = &mut event.metadata;
    meta.namespace = Some(path.namespace.clone());
    if let (None | Some(""), Some(prefix)) = (meta.name.as_deref(), &meta.generate_name) {
        meta.name = Some(create::drawn_from(prefix));
    }
    if let Err(invalid) = validate_event(&event) {
        return Some(Status::invalid(invalid.to_string()));
    }
    let version = body["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    (!["", "0"].contains(&version)).then(create::has_version)
}
