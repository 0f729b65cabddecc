//! Requests as HTTP clients make them, turned into the core's own by what its store holds at that moment.
//!
//! A patch is applied to the JSON that a client would get, and the result is read, defaulted and validated as a new
//! manifest is. A version (`resourceVersion`) or identity (`uid`) that a request still names is one that its object has
//! not got: whoever knows the recorded ones takes those away that are right. Absent on purpose: what reads answer with,
//! users and their rights (but for what somebody without any is told, in `rights`).
//!
//! A file for each kind of request: `create` (with `runtime`), `read`, `change` (with `patches`,
//! `apply`, `scale` and `status`), `delete` (with `fields`), `pods` (evictions and bindings), `logs`, `finalize`,
//! `beside` (what is only refused); `bodies` is about those of which nothing can be read, `resources` and `options` say
//! what a path and its query mean, `versions` what a body may be, `machine` makes Nodes of machines, `own` what an API
//! server makes for itself. `managers` knows whose each field is, where somebody wants to know.

mod apply;
mod beside;
mod bodies;
mod change;
mod create;
mod delete;
mod fields;
mod finalize;
mod logs;
mod machine;
mod managers;
mod options;
mod own;
mod patches;
mod pods;
mod read;
mod resources;
mod rights;
mod runtime;
mod scale;
mod status;
mod versions;

use std::sync::Arc;

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::{Refusal, Request, together};
use wavetank_core::model::{Kind, ObjectKey};

pub use apply::{LAST_APPLIED, MEDIA_TYPE as APPLY, applier, as_last_applied, hand_over, without_last_applied};
pub use fields::selects;
pub use machine::node_of;
pub use managers::{Manager, Managers};
pub use own::{is_service as is_own_service, service as own_service};
pub use resources::wrong_fields;
pub use rights::{denied, denied_user};

/// Unix time of a run's start, for timestamps that are patched.
pub const EPOCH: i64 = 1_700_000_000;

/// The object that a path leads to; `None` if it leads to none of a kind that we have.
pub fn key_at(path: &Path) -> Option<ObjectKey> {
    let kind = resources::kind_at(path).ok()?;
    (!path.name.is_empty()).then(|| ObjectKey::new(kind, &path.namespace, &path.name))
}

/// What a request has come to.
#[derive(Debug)]
pub enum Outcome {
    /// The core is asked; several requests are made one after the other.
    Ask(Vec<Request>),
    /// It is answered at the edge.
    Answered(Status),
    /// It is refused at the edge, but has had effects before: what the core is to be asked for.
    AnsweredAfter(Vec<Request>, Status),
    /// Nothing here can do that.
    NotCovered(String),
}

/// A refusal as the API server words it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The HTTP code.
    pub code: u16,
    /// One word; empty where the API server has none.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

impl Status {
    fn new(code: u16, reason: &str, message: impl Into<String>) -> Status {
        Status { code, reason: reason.to_owned(), message: message.into() }
    }

    fn bad_request(message: impl Into<String>) -> Status {
        Status::new(400, "BadRequest", message)
    }

    /// An error without a reason of its own.
    fn internal(message: impl Into<String>) -> Status {
        Status::new(500, "", message)
    }

    fn invalid(message: impl Into<String>) -> Status {
        Status::new(422, "Invalid", message)
    }

    fn conflict(resource: &str, name: &str, why: &str) -> Status {
        Status::new(409, "Conflict", format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}"))
    }

    /// What the API server says of a refusal of ours.
    pub fn of(refusal: &Refusal) -> Status {
        let (code, reason) = match refusal {
            Refusal::NotFound(_) => (404, "NotFound"),
            Refusal::AlreadyExists { .. } => (409, "AlreadyExists"),
            Refusal::Conflict { .. } | Refusal::WrongUid { .. } => (409, "Conflict"),
            Refusal::Forbidden { .. } => (403, "Forbidden"),
            Refusal::Invalid { .. } => (422, "Invalid"),
            Refusal::TooManyRequests { .. } => (429, "TooManyRequests"),
            Refusal::Internal { .. } | Refusal::SeveralBudgets => (500, "InternalError"),
        };
        Status::new(code, reason, refusal.to_string())
    }
}

/// The parts of a path: `/apis/apps/v1/namespaces/shop/deployments/web/scale`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path {
    /// Group and version, such as `v1` or `apps/v1`; empty if it was not told.
    pub api_version: String,
    /// The namespace; empty for cluster-scoped kinds.
    pub namespace: String,
    /// The kind's plural.
    pub plural: String,
    /// The object; empty for a collection.
    pub name: String,
    /// The subresource; empty for the object itself.
    pub subresource: String,
    /// What follows the question mark.
    pub query: String,
    /// The body of the request as it was written, where somebody knows: Go finds faults in the order of the text, and
    /// tells of keys that are there twice.
    pub written: Option<Arc<str>>,
}

impl Path {
    /// The path of an object.
    pub fn of(key: &ObjectKey) -> Path {
        Path {
            namespace: key.namespace.to_string(),
            plural: key.kind.plural().to_owned(),
            name: key.name.to_string(),
            ..Path::default()
        }
    }

    /// Takes a path apart; `None` if it is none of objects.
    pub fn parse(text: &str) -> Option<Path> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let version = match *parts.first()? {
            "api" => 2,
            "apis" => 3,
            _ => return None,
        };
        let head: Vec<&str> = parts.drain(..version.min(parts.len())).collect();
        let mut namespace = "";
        if parts.first() == Some(&"namespaces") && parts.len() > 2 && !["status", "finalize"].contains(&parts[2]) {
            namespace = parts[1];
            parts.drain(..2);
        }
        let at = |place: usize| parts.get(place).copied().unwrap_or_default().to_owned();
        Some(Path {
            api_version: head[1..].join("/"),
            namespace: namespace.to_owned(),
            plural: at(0),
            name: at(1),
            subresource: at(2),
            query: query.to_owned(),
            written: None,
        })
    }

    /// The value of a parameter of the query, with `+` and `%` written out.
    pub fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// A request's body without what its answer tells to be right: a version and an identity that were not refused are
/// those that the object had. A version of zero is any.
pub fn without_right_preconditions(body: &Value, code: u16, message: &str) -> Value {
    let mut body = body.clone();
    let (is_conflict, is_binding) = (code == 409, body["kind"] == "Binding");
    if let Some(meta) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        let version = meta.get("resourceVersion").and_then(Value::as_str).is_some_and(|it| it.parse::<u64>().is_ok());
        let is_told = ["has been modified", "ResourceVersion in precondition"].iter().any(|it| message.contains(it));
        let creates = (code == 201 || code == 500) && !is_binding;
        if version && !(is_conflict && is_told) && !creates {
            meta.insert("resourceVersion".to_owned(), "0".into());
        }
        if !(message.contains("metadata.uid: ") || is_conflict && message.contains("UID in precondition")) {
            meta.remove("uid");
        }
    }
    for options in ["/preconditions", "/deleteOptions/preconditions"] {
        if let Some(Value::Object(preconditions)) = body.pointer_mut(options) {
            preconditions.retain(|field, _| is_conflict && message.to_lowercase().contains(&field.to_lowercase()));
        }
    }
    body
}

/// Turns a request into the core's own. Whose fields are is not known.
pub fn translate(core: &Core, method: &str, path: &Path, content_type: &str, body: &Value) -> Outcome {
    translate_among(core, None, method, path, content_type, body)
}

/// Turns a request into the core's own, which may depend on the owners of fields.
pub fn translate_among(
    core: &Core,
    managers: Option<&Managers>,
    method: &str,
    path: &Path,
    content_type: &str,
    body: &Value,
) -> Outcome {
    if let Some(kind) = beside::created(method, path) {
        return beside::create(core, kind, path, body);
    }
    let kind = match resources::kind_at(path) {
        Ok(kind) => kind,
        Err(outcome) => return outcome,
    };
    if let Some(status) = resources::no_such_request(method, kind, path) {
        return Outcome::Answered(status);
    }
    let outcome = outcome(core, kind, path, &change::Sent { method, content_type, body, managers });
    match outcome {
        Outcome::Ask(requests) if options::is_dry(method, path, body) => {
            Outcome::Ask(requests.into_iter().map(|request| Request::DryRun(Box::new(request))).collect())
        }
        other => other,
    }
}

/// The media types of bodies that an API server reads; a request that names none is of JSON.
const READABLE: &[&str] = &["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

fn is_readable(content_type: &str) -> bool {
    content_type.is_empty() || READABLE.iter().any(|known| content_type.starts_with(known))
}

/// Parts of which a machine knows, not the API server.
const HANDED_ON: [&str; 5] = ["attach", "exec", "log", "portforward", "proxy"];

fn outcome(core: &Core, kind: Kind, path: &Path, sent: &change::Sent<'_>) -> Outcome {
    let key = ObjectKey::new(kind, &path.namespace, &path.name);
    let body = sent.body;
    if ["POST", "PUT"].contains(&sent.method) && !is_readable(sent.content_type) {
        let why = "the body of the request was in an unknown format - accepted media types include: application/json, \
                   application/yaml, application/vnd.kubernetes.protobuf";
        return Outcome::Answered(Status::new(415, "UnsupportedMediaType", why));
    }
    let expected = match path.subresource.as_str() {
        "eviction" => "Eviction",
        "binding" => "Binding",
        "scale" => "Scale",
        "token" => "TokenRequest",
        _ => kind.name(),
    };
    let has_body = ["POST", "PUT"].contains(&sent.method) && !HANDED_ON.contains(&path.subresource.as_str());
    if let Some(status) = has_body.then(|| bodies::unrecognized(sent.method, path, expected, body)).flatten() {
        return Outcome::Answered(status);
    }
    match (sent.method, path.subresource.as_str()) {
        ("GET" | "POST", part) if HANDED_ON.contains(&part) => logs::answer(core, &key, path),
        ("GET", "") => read::answer(core, kind, path),
        ("GET", "status" | "scale") if core.find(&key).is_none() => not_found(&key),
        ("GET", _) => Outcome::Ask(Vec::new()),
        ("POST", "") => create::create(core, kind, path, body),
        ("POST", "eviction") => pods::evict(core, key, path, body),
        ("POST", "binding") => pods::bind(core, &key, path, body),
        ("DELETE", "") if path.name.is_empty() => delete::collection(core, kind, path, body),
        ("DELETE", "") => delete::delete(core, key, path, body),
        ("PUT", "finalize") => finalize::finalize(core, &key, path, body),
        ("PATCH" | "PUT", "" | "status" | "scale") => change::change(core, &key, path, sent),
        (method, subresource) => Outcome::NotCovered(format!("{method} {}/{subresource}", path.plural)),
    }
}

/// What is said to a precondition that the stored object does not meet, when the store looks at it; `field` is `UID` or
/// `ResourceVersion`.
///
/// Source: `Preconditions.Check`, staging/src/k8s.io/apiserver/pkg/storage/interfaces.go; `InterpretUpdateError`,
/// staging/src/k8s.io/apiserver/pkg/registry/generic/registry/storage_factory.go (v1.34.1).
fn failed_precondition(key: &ObjectKey, field: &str, wanted: &str, stored: &str) -> Status {
    // Some kinds are stored under older names.
    let folder = match key.kind {
        Kind::Node => "minions",
        Kind::Service => "services/specs",
        Kind::ReplicationController => "controllers",
        kind => kind.plural(),
    };
    let place: Vec<&str> = [&*key.namespace, &*key.name].into_iter().filter(|part| !part.is_empty()).collect();
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: /registry/{folder}/{}, ResourceVersion: 0, AdditionalErrorMsg: \
         Precondition failed: {field} in precondition: {wanted}, {field} in object meta: {stored}",
        place.join("/")
    );
    Status::conflict(&key.kind.qualified_plural(), &key.name, &why)
}

fn not_found(key: &ObjectKey) -> Outcome {
    Outcome::Answered(Status::of(&Refusal::NotFound(key.clone())))
}

#[cfg(test)]
pub(super) mod tests;
