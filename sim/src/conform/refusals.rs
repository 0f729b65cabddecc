//! Requests that a real API server refused: ours must refuse them with the same code, reason and message.
//!
//! Whoever may ask for what is not modelled, so what was refused to a user for the lack of rights is not covered. The
//! recordings do not tell what was there before: the namespace of most cases is, with its account, and an object of which
//! the answer says so.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::{Refusal, Request};
use wavetank_core::config::Config;
use wavetank_core::id::{ProcId, RequestId};
use wavetank_core::model::{Kind, Meta, Namespace, Object, ServiceAccount};
use wavetank_core::seam::{Effect, Input, Msg};
use wavetank_core::time::Time;
use wavetank_manifest::kubernetes::{KINDS, Located, Manifest, apply_defaults, read_manifests, to_object, validate};

use crate::conform::compare::Difference;
use crate::conform::edge::{Path, code_of};
use crate::conform::{Comparison, brief, is_supported};

/// Compares every refusal of a folder.
pub fn compare(refused: &[Value]) -> Comparison {
    let mut differences = Vec::new();
    let mut missing = Vec::new();
    let home = home(refused);
    for case in refused {
        let name = case["case"].as_str().unwrap_or_default();
        let kind = case["body"]["kind"].as_str().unwrap_or_default();
        let method = case["request"].as_str().and_then(|request| request.split(' ').next()).unwrap_or("POST");
        if method != "POST" || kind.is_empty() || !is_supported(kind) {
            let what = if method == "POST" && !kind.is_empty() { kind } else { method };
            missing.push(format!("{what} ({name})"));
            continue;
        }
        let answer = &case["response"];
        let expected = (
            case["code"].as_u64().or(answer["code"].as_u64()).unwrap_or(0),
            text(answer, case, "reason"),
            text(answer, case, "message"),
        );
        if expected.2.contains(" is forbidden: User \"") {
            missing.push(format!("rights of users ({name})"));
            continue;
        }
        let path = case["request"].as_str().and_then(|request| request.split(' ').nth(1)).unwrap_or_default();
        let ours = refusal(&case["body"], path, &home, expected.1 == "AlreadyExists");
        if ours != expected {
            let shown = |of: &(u64, String, String)| format!("{} {}: {}", of.0, of.1, of.2);
            differences.push(Difference {
                at_ms: 0,
                track: format!("{name}: {}", brief(&case["body"])),
                recorded: shown(&expected),
                ours: shown(&ours),
            });
        }
    }
    if !differences.is_empty() {
        Comparison::Differs(differences, refused.len())
    } else if !missing.is_empty() {
        Comparison::NotCovered(missing)
    } else {
        Comparison::Equal(refused.len())
    }
}

fn text(answer: &Value, case: &Value, key: &str) -> String {
    answer[key].as_str().or(case[key].as_str()).unwrap_or_default().to_owned()
}

/// The namespace of most cases.
fn home(refused: &[Value]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for case in refused {
        let path = case["request"].as_str().and_then(|request| request.split(' ').nth(1)).and_then(Path::parse);
        *counts.entry(path.map(|path| path.namespace).unwrap_or_default()).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(namespace, _)| namespace).unwrap_or_default()
}

/// An object that was sent to where others are.
fn wrong_path(body: &Value, path: &str) -> Option<String> {
    let (path, kind) = (Path::parse(path)?, body["kind"].as_str()?);
    let there = Kind::ALL.iter().find(|known| known.plural() == path.plural)?;
    let version = body["apiVersion"].as_str()?.rsplit('/').next()?;
    (there.name() != kind && is_supported(kind)).then(|| {
        format!(
            "{kind} in version {version:?} cannot be handled as a {there}: converting ({version}.{kind}) to (core.{there}): \
             unknown conversion",
            there = there.name()
        )
    })
}

/// What an API server says that has one namespace with its account, or the very object.
fn stored(located: &Located<Manifest>, path: &Path, home: &str, exists: bool) -> Option<(u64, String, String)> {
    let mut object = to_object(located).ok()?;
    object.meta_mut().namespace = path.namespace.as_str().into();
    let namespace = Namespace { meta: Meta::named("", home) };
    let mut requests = vec![
        Object::Namespace(namespace.into()),
        Object::ServiceAccount(ServiceAccount::default_of(home).into()),
        object.clone(),
    ];
    requests.extend(exists.then_some(object));
    let mut core = Core::new(Config::default());
    let mut inputs = VecDeque::from([Input::Started(ProcId::API_SERVER)]);
    let last = RequestId(requests.len() as u64);
    for (object, number) in requests.into_iter().zip(1..) {
        let body = Msg::Request(RequestId(number), Box::new(Request::Create(object)));
        inputs.push_back(Input::Message { from: ProcId::CLIENT, to: ProcId::API_SERVER, body });
    }
    let mut refusal = None;
    while let Some(input) = inputs.pop_front() {
        let mut effects = Vec::new();
        core.step(Time::ZERO, input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Persist(revision) => inputs.push_front(Input::Persisted(revision)),
                Effect::Send { body: Msg::Response(id, Err(found)), .. } if id == last => refusal = Some(found),
                _ => {}
            }
        }
    }
    let refusal = refusal?;
    let reason = match &refusal {
        Refusal::NotFound(_) => "NotFound",
        Refusal::AlreadyExists(_) => "AlreadyExists",
        Refusal::Forbidden { .. } => "Forbidden",
        Refusal::Invalid { .. } => "Invalid",
        _ => "",
    };
    Some((u64::from(code_of(&refusal)), reason.to_owned(), refusal.to_string()))
}

/// Code, reason and message of our own refusal; 201 if there is none.
fn refusal(body: &Value, path: &str, home: &str, exists: bool) -> (u64, String, String) {
    if let Some(wrong) = wrong_path(body, path) {
        return (400, "BadRequest".to_owned(), wrong);
    }
    if body["metadata"]["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
        return (500, String::new(), "resourceVersion should not be set on objects to be created".to_owned());
    }

    let kind = body["kind"].as_str().unwrap_or_default();
    let api_version = body["apiVersion"].as_str().unwrap_or_default();
    if !KINDS.iter().any(|known| known.kind == kind && known.api_version == api_version) {
        let version = api_version.rsplit('/').next().unwrap_or_default();
        let message = format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: no kind {kind:?} is registered for version \
             {api_version:?} in scheme \"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30\""
        );
        return (400, "BadRequest".to_owned(), message);
    }
    let meta = &body["metadata"];
    if meta["name"].as_str().unwrap_or_default().is_empty()
        && meta["generateName"].as_str().unwrap_or_default().is_empty()
    {
        let message =
            format!("{kind} \"\" is invalid: metadata.name: Required value: name or generateName is required");
        return (422, "Invalid".to_owned(), message);
    }
    let mut objects = match read_manifests("body", &body.to_string()) {
        Ok(objects) => objects,
        Err(errors) => {
            let version = api_version.rsplit('/').next().unwrap_or_default();
            let wrong_type = errors.0.first().and_then(|error| error.go_message());
            let message = match wrong_type {
                Some(wrong) => format!("{kind} in version {version:?} cannot be handled as a {kind}: {wrong}"),
                None => errors.to_string(),
            };
            return (400, "BadRequest".to_owned(), message);
        }
    };
    let Some(object) = objects.first_mut() else { return (400, "BadRequest".to_owned(), "no object".to_owned()) };
    apply_defaults(&mut object.value);
    match validate(&object.value) {
        Ok(()) => match Path::parse(path).and_then(|path| stored(object, &path, home, exists)) {
            Some((code, reason, message)) => (code, reason, message),
            None => (201, String::new(), String::new()),
        },
        Err(invalid) => (422, "Invalid".to_owned(), invalid.to_string()),
    }
}
