//! Deletions.

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::{Propagation, Request};
use wavetank_core::model::{Kind, ObjectKey, Selector};
use wavetank_core::time::Span;

use super::{Outcome, Path, Status, not_found, resources};
use crate::conform::selectors;

/// A deletion of one object. Options come in the body or in the query; what the body says counts.
///
/// Source: `BeforeDelete`, staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go (v1.34.1).
pub(super) fn delete(core: &Core, key: ObjectKey, path: &Path, options: &Value) -> Outcome {
    // Options are looked at before the object.
    let propagation = match propagation(path, options) {
        Ok(propagation) => propagation,
        Err(status) => return Outcome::Answered(status),
    };
    let Some(stored) = core.find(&key) else { return not_found(&key) };
    let uid = stored.uid().to_string();
    if let Some(wanted) = options["preconditions"]["uid"].as_str().filter(|wanted| *wanted != uid) {
        let why = format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The object might have \
             been deleted and then recreated"
        );
        return Outcome::Answered(Status::conflict(&key.kind.qualified_name(), &key.name, &why));
    }
    if let Some(wanted) = options["preconditions"]["resourceVersion"].as_str() {
        let version = core.revision().0;
        let why = format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record \
             ({version}). The object might have been modified"
        );
        return Outcome::Answered(Status::conflict(&key.kind.qualified_name(), &key.name, &why));
    }
    let grace = grace(options).or_else(|| path.parameter("gracePeriodSeconds")?.parse().ok().map(Span::from_secs));
    Outcome::Ask(vec![Request::Delete { key, uid: None, grace, propagation }])
}

/// A deletion of all objects of a collection that a selector selects.
pub(super) fn collection(kind: Kind, path: &Path, options: &Value) -> Outcome {
    let selector = match path.parameter("labelSelector").map(|text| selectors::parse(&text)) {
        None => Selector::default(),
        Some(Ok(selector)) => selector,
        Some(Err(message)) => return Outcome::Answered(Status::bad_request(message)),
    };
    if let Some(status) = path.parameter("fieldSelector").and_then(|text| resources::wrong_fields(kind, &text)) {
        return Outcome::Answered(status);
    }
    if path.parameter("fieldSelector").is_some() {
        return Outcome::NotCovered("a deletion by fields".to_owned());
    }
    match propagation(path, options) {
        Ok(propagation) => Outcome::Ask(vec![Request::DeleteMatching {
            kind,
            namespace: path.namespace.as_str().into(),
            selector,
            grace: grace(options),
            propagation,
        }]),
        Err(status) => Outcome::Answered(status),
    }
}

/// Seconds that a deletion's options give; fewer than none are one, as in the API server.
pub(super) fn grace(options: &Value) -> Option<Span> {
    let seconds = options["gracePeriodSeconds"].as_i64()?;
    Some(Span::from_secs(u64::try_from(seconds).unwrap_or(1)))
}

/// The pods of Jobs and ReplicationControllers stay unless the deletion says otherwise.
///
/// Source: `DefaultGarbageCollectionPolicy`, pkg/registry/batch/job/strategy.go,
/// pkg/registry/core/replicationcontroller/strategy.go (v1.34.1).
fn propagation(path: &Path, options: &Value) -> Result<Propagation, Status> {
    let asked =
        options["propagationPolicy"].as_str().map(str::to_owned).or_else(|| path.parameter("propagationPolicy"));
    let orphans = options["orphanDependents"].as_bool();
    let invalid = |why: String| {
        Err(Status::invalid(format!("DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: {why}")))
    };
    if let (Some(asked), Some(_)) = (&asked, orphans) {
        return invalid(format!(
            "Invalid value: {asked:?}: orphanDependents and deletionPropagation cannot be both set"
        ));
    }
    match (asked.as_deref(), orphans) {
        (Some("Foreground"), _) => Ok(Propagation::Foreground),
        (Some("Orphan"), _) | (None, Some(true)) => Ok(Propagation::Orphan),
        (Some("Background"), _) | (None, Some(false)) => Ok(Propagation::BackgroundAnyway),
        (None, None) if ["jobs", "replicationcontrollers"].contains(&path.plural.as_str()) => Ok(Propagation::Orphan),
        (None, None) => Ok(Propagation::Background),
        (Some(other), _) => invalid(format!(
            "Unsupported value: {other:?}: supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
        )),
    }
}
