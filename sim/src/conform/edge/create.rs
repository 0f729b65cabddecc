//! Creations: reading, defaulting and validating a body, with the API server's words for what is wrong.

use std::sync::Arc;

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::admission::{early_refusal, security_refusal};
use wavetank_core::api::{Refusal, Request, Taken};
use wavetank_core::id::Name;
use wavetank_core::model::{Kind, Labels, Meta, MetaExtras, Object, ObjectKey, PlacementRules, Pod, PodSpec};
use wavetank_manifest::kubernetes::{
    ApiPod, KINDS, Located, Manifest, Policy, Unreadable, apply_defaults, read_body, to_object, validate_under,
};

use super::{Outcome, Path, Status, options, runtime, versions};

/// A creation of an object at the path of its collection.
pub(super) fn create(core: &Core, kind: Kind, path: &Path, body: &Value) -> Outcome {
    if let Some(status) = options::fault(path, "CreateOptions").or_else(|| wrong_kind(kind, body)) {
        return Outcome::Answered(status);
    }
    let mut body = body.clone();
    let mut located = match read(kind, &mut body, path) {
        Ok(located) => located,
        Err(status) => return Outcome::Answered(status),
    };
    if kind.is_namespaced() {
        if let Some(status) = wrong_namespace(&body, &path.namespace) {
            return Outcome::Answered(status);
        }
        body["metadata"]["namespace"] = path.namespace.clone().into();
        located.value.metadata_mut().namespace = Some(path.namespace.clone());
    }
    // A Node may come with what its machine reports; whatever else is created has no status before anybody reports one.
    if let (true, Value::Object(fields)) = (kind != Kind::Node, &mut body)
        && fields.remove("status").is_some()
    {
        let metadata = located.value.metadata().clone();
        located = match read(kind, &mut body, path) {
            Ok(located) => located,
            Err(status) => return Outcome::Answered(status),
        };
        *located.value.metadata_mut() = metadata;
    }
    // LimitRanges alone are named where nobody does.
    //
    // Source: `PrepareForCreate`, pkg/registry/core/limitrange/strategy.go (v1.34.1).
    let has = |field: &str| body["metadata"][field].as_str().is_some_and(|text| !text.is_empty());
    if kind == Kind::LimitRange && !has("name") && !has("generateName") {
        let name = format!("{:08x}-0000-4000-8000-000000000000", core.revision().0);
        located.value.metadata_mut().name = Some(name.clone());
        body["metadata"]["name"] = name.into();
    }
    let version = body["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    let (named, pod) = (asked_name(&located), as_pod(&located));
    let key = ObjectKey::new(kind, &path.namespace, &named);
    let admitted = admit_read(located, &path.namespace).and_then(|located| {
        let overhead = |pod| runtime::wrong_overhead(pod, &drawn(&body));
        let has_version = || (!version.is_empty() && version != "0").then(has_version);
        match pod.as_ref().and_then(overhead).or_else(has_version) {
            None => Ok(located),
            Some(wrong) => Err(insecure(core, &located, &body).unwrap_or(wrong)),
        }
    });
    // Plugins that change objects come before anything is validated.
    let early = || {
        let refusal = match pod.as_ref().and_then(other_preemption) {
            Some(policy) => refused_preemption(core, &key, &pod, policy),
            None => early_refusal(core.newest(), &key, pod.as_ref().map(early_pod).as_ref()),
        };
        refusal.as_ref().map(Status::of)
    };
    let unknown_class = pod.as_ref().and_then(|pod| runtime::unknown_class(pod, &named));
    match (admitted, unknown_class) {
        (Err(late), class) => Outcome::Answered(early().or(class).unwrap_or(late)),
        (Ok(_), Some(class)) => Outcome::Answered(early().unwrap_or(class)),
        (Ok(located), None) => asked(core, &located, &body, &key),
    }
}

/// What is asked for with an object that may be made, as far as the edge knows.
fn asked(core: &Core, located: &Located<Manifest>, body: &Value, key: &ObjectKey) -> Outcome {
    match to_object(located) {
        Ok(object) => match taken(core, body, key) {
            None => Outcome::Ask(vec![Request::Create(object)]),
            Some(taken) => Outcome::Answered(insecure(core, located, body).unwrap_or_else(|| Status::of(&taken))),
        },
        Err(errors) => Outcome::NotCovered(errors.to_string()),
    }
}

/// What the API server says of a pod before anybody looks at what its runtime takes, what version it has or whether its
/// name is taken.
fn insecure(core: &Core, located: &Located<Manifest>, body: &Value) -> Option<Status> {
    let Ok(Object::Pod(mut pod)) = to_object(located) else { return None };
    Arc::make_mut(&mut pod).meta.name = drawn(body).into();
    let config = &core.config().api_server.pod_security;
    security_refusal(config, core.newest(), &pod).as_ref().map(Status::of)
}

/// What is said to a new object with a version.
pub(super) fn has_version() -> Status {
    Status::internal("resourceVersion should not be set on objects to be created")
}

/// The name that a creation asks for, or what one is to be made of; those who look at it before it is drawn call an
/// object that has neither `Unknown`.
///
/// Source: `extractResourceName`, staging/src/k8s.io/apiserver/pkg/admission/errors.go (v1.34.1).
fn asked_name(located: &Located<Manifest>) -> String {
    let meta = located.value.metadata();
    let texts = [&meta.name, &meta.generate_name].into_iter().flatten();
    texts.into_iter().find(|text| !text.is_empty()).map_or_else(|| "Unknown".to_owned(), String::clone)
}

fn as_pod(located: &Located<Manifest>) -> Option<ApiPod> {
    match &located.value {
        Manifest::Pod(pod) => Some(pod.as_ref().clone()),
        _ => None,
    }
}

/// What the plugins that change a pod look at; the rest of it may be invalid.
fn early_pod(pod: &ApiPod) -> Pod {
    let spec = pod.spec.clone().unwrap_or_default();
    let name = |text: Option<&String>| Name::from(text.map_or("", String::as_str));
    let account = [&spec.service_account_name, &spec.service_account].into_iter().flatten().find(|it| !it.is_empty());
    let rules = PlacementRules {
        never_preempts: spec.preemption_policy.as_deref() == Some("Never"),
        says_it_preempts: spec.preemption_policy.as_deref() == Some("PreemptLowerPriority"),
        ..PlacementRules::default()
    };
    let spec = PodSpec {
        account: name(account),
        priority_class: name(spec.priority_class_name.as_ref()),
        given_priority: spec.priority,
        rules: Some(rules.into()),
        ..PodSpec::default()
    };
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let annotations = pod.metadata.annotations.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()));
    let extras = MetaExtras { annotations: Labels::new(annotations), ..MetaExtras::default() };
    let meta = Meta { extras: extras.into(), ..Meta::named(namespace, "") };
    Pod { meta: meta.into(), spec: wavetank_core::digest::Shared::new(spec), ..Pod::default() }
}

/// What a pod says of its preemption, if that is neither of the two things that can be said.
fn other_preemption(pod: &ApiPod) -> Option<&str> {
    let policy = pod.spec.as_ref()?.preemption_policy.as_deref()?;
    (!["Never", "PreemptLowerPriority"].contains(&policy)).then_some(policy)
}

/// What the plugins that change a pod say where it preempts in a way that there is not: it cannot be what its class
/// says, so it is refused as the one of the two others that its class does not say is.
fn refused_preemption(core: &Core, key: &ObjectKey, pod: &Option<ApiPod>, policy: &str) -> Option<Refusal> {
    ["Never", "PreemptLowerPriority"].into_iter().find_map(|other| {
        let mut pod = pod.clone()?;
        pod.spec.get_or_insert_default().preemption_policy = Some(other.to_owned());
        match early_refusal(core.newest(), key, Some(&early_pod(&pod)))? {
            Refusal::Forbidden { key, message } => {
                let words = "the string value of PreemptionPolicy";
                let message = message.replace(&format!("{words} ({other})"), &format!("{words} ({policy})"));
                Some(Refusal::Forbidden { key, message: message.into() })
            }
            refusal => Some(refusal),
        }
    })
}

/// What is said to an object with a name that is taken and with something to draw one from: as if it had been drawn.
///
/// Source: `CheckGeneratedNameError`, staging/src/k8s.io/apiserver/pkg/registry/rest/create.go (v1.34.1).
fn taken(core: &Core, body: &Value, key: &ObjectKey) -> Option<Refusal> {
    let has = |field: &str| body["metadata"][field].as_str().is_some_and(|text| !text.is_empty());
    let there = core.find(key).filter(|_| has("name") && has("generateName"))?;
    let taken = Taken { by_one_that_ends: there.meta().is_terminating(), though_generated: true };
    Some(Refusal::AlreadyExists { key: key.clone(), taken })
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
    versions::fault(there.name(), there.api_version(), body)
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
        meta.name = Some(drawn_from(prefix));
    }
    // Admission has given a pod its account by now.
    if let Manifest::Pod(pod) = &mut named
        && let Some(spec) = &mut pod.spec
        && spec.service_account_name.as_deref().unwrap_or_default().is_empty()
    {
        spec.service_account_name = Some("default".to_owned());
    }
    match validate_under(&named, Policy::OF_FLAGS) {
        Ok(()) => Ok(located),
        Err(invalid) => Err(Status::invalid(invalid.to_string())),
    }
}

/// What stands for the letters that are drawn to end a name.
const DRAWN: &str = "xxxxx";
/// What they come after is cut at so many bytes.
const PREFIX_MAX: usize = 58;

pub(super) fn drawn_from(prefix: &str) -> String {
    format!("{}{DRAWN}", prefix.get(..PREFIX_MAX).unwrap_or(prefix))
}

/// The name that an object has once its name is drawn.
fn drawn(body: &Value) -> String {
    let text = |field: &str| body["metadata"][field].as_str().filter(|text| !text.is_empty());
    text("name").map(str::to_owned).or_else(|| text("generateName").map(drawn_from)).unwrap_or_default()
}

/// Reads the body of a request as an object of a kind, which the body need not name. The kind is written into the body,
/// so that who reads it again knows it.
///
/// Errors: what the API server would say of a body that it cannot read, or, if the path asks for strictness, that has
/// fields that are unknown or set twice. Both are found in the order of the body as it was written, if that is known.
pub(super) fn read(kind: Kind, body: &mut Value, path: &Path) -> Result<Located<Manifest>, Status> {
    let known = known(kind)?;
    let version = kind.api_version().rsplit('/').next().unwrap_or_default();
    let subject = format!("{} in version {version:?} cannot be handled as a {}", kind.name(), kind.name());
    let written = path.written.as_deref().filter(|text| stands_for_itself(kind, body, text));
    name_kind(kind, body);
    let read = |text: &str| read_body(known, text);
    let unreadable = |it: Unreadable| Status::bad_request(format!("{subject}: {}", it.said));
    let written = written.map(read).transpose().map_err(unreadable)?;
    let (mut located, strange) = read(&text(kind, body)).map_err(unreadable)?;
    let strange = written.map_or(strange, |(_, strange)| strange);
    const GENERATION: &str = "deprecated.daemonset.template.generation";
    let told = located.value.metadata().annotations.as_ref().and_then(|all| all.get(GENERATION));
    if let Some(told) = told.filter(|told| kind == Kind::DaemonSet && told.parse::<i64>().is_err()) {
        let why = format!("strconv.ParseInt: parsing {told:?}: invalid syntax");
        return Err(Status::bad_request(format!("{subject}: {why}")));
    }
    if let Some(owners) = &mut located.value.metadata_mut().owner_references {
        drop_twins(owners);
    }
    match strict_fault(path, &strange) {
        Some(why) => Err(Status::bad_request(format!("{subject}: {why}"))),
        None => Ok(located),
    }
}

/// Takes out what is said before in the same words: owners are told once.
///
/// Source: `dedupOwnerReferences`, staging/src/k8s.io/apiserver/pkg/endpoints/handlers/rest.go (v1.34.1).
fn drop_twins<T: PartialEq>(all: &mut Vec<T>) {
    let mut kept = Vec::with_capacity(all.len());
    for one in all.drain(..) {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    *all = kept;
}

/// A body as it is read. What the templates of a StatefulSet's claims say that they are is not looked at.
fn text(kind: Kind, body: &Value) -> String {
    if kind != Kind::StatefulSet {
        return body.to_string();
    }
    let mut body = body.clone();
    let templates = body.pointer_mut("/spec/volumeClaimTemplates").and_then(Value::as_array_mut);
    for template in templates.into_iter().flatten().filter_map(Value::as_object_mut) {
        template.retain(|field, value| !(["apiVersion", "kind"].contains(&field.as_str()) && value.is_string()));
    }
    body.to_string()
}

/// Whether a body can be read as it was written: it says what it is, and so does no part of it.
fn stands_for_itself(kind: Kind, body: &Value, written: &str) -> bool {
    let is_named = body["apiVersion"] == kind.api_version() && body["kind"] == kind.name();
    is_named && !(kind == Kind::StatefulSet && written.contains("\"volumeClaimTemplates\""))
}

/// What is said of fields that are unknown or set twice, if the path asks for strictness.
pub(super) fn strict_fault(path: &Path, strange: &[String]) -> Option<String> {
    let is_strict = path.parameter("fieldValidation").as_deref() == Some("Strict");
    (is_strict && !strange.is_empty()).then(|| format!("strict decoding error: {}", strange.join(", ")))
}

pub(super) fn known(kind: Kind) -> Result<wavetank_manifest::kubernetes::Kind, Status> {
    let known = KINDS.iter().find(|known| known.kind == kind.name()).copied();
    known.ok_or_else(|| Status::bad_request(format!("a {} cannot be read", kind.name())))
}

/// A body that leaves out of what kind it is, by itself or with null or an empty text, is of that of its path.
pub(super) fn name_kind(kind: Kind, body: &mut Value) {
    let Value::Object(fields) = body else { return };
    for (field, value) in [("apiVersion", kind.api_version()), ("kind", kind.name())] {
        let entry = fields.entry(field).or_insert(Value::Null);
        if entry.is_null() || entry.as_str() == Some("") {
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
