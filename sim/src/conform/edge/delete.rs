//! Deletions.

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::{Propagation, Request};
use wavetank_core::id::Revision;
use wavetank_core::model::{Kind, ObjectKey};
use wavetank_core::time::Span;
use wavetank_manifest::kubernetes::to_json;

use super::options::{self, Deletion};
use super::pods::unmet;
use super::{EPOCH, Outcome, Path, fields, not_found};

/// A deletion of one object. Options come in the body or in the query; what the body says counts.
///
/// Source: `BeforeDelete`, staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go (v1.34.1).
pub(super) fn delete(core: &Core, key: ObjectKey, path: &Path, options: &Value) -> Outcome {
    // Options are looked at before the object.
    if let Some(status) = options::unreadable_deletion(path, options) {
        return Outcome::Answered(status);
    }
    let wishes = options::of_deletion(path, options);
    if let Some(status) = wishes.fault() {
        return Outcome::Answered(status);
    }
    let Some(stored) = core.find(&key) else { return not_found(&key) };
    if let Some(status) = unmet(core, &stored, options) {
        return Outcome::Answered(status);
    }
    let (grace, propagation) = (wishes.grace_secs.map(seconds), propagation(key.kind, &wishes));
    Outcome::Ask(vec![Request::Delete { key, uid: None, grace, propagation }])
}

/// A deletion of all objects of a collection that selectors of labels and fields select.
pub(super) fn collection(core: &Core, kind: Kind, path: &Path, options: &Value) -> Outcome {
    let selector = match options::of_list(kind, path) {
        Ok(selector) => selector,
        Err(status) => return Outcome::Answered(status),
    };
    let wishes = options::of_deletion(path, options);
    if let Some(status) = options::unreadable_deletion(path, options).or_else(|| wishes.fault()) {
        return Outcome::Answered(status);
    }
    let (grace, propagation) = (wishes.grace_secs.map(seconds), propagation(kind, &wishes));
    let Some(fields) = path.parameter("fieldSelector") else {
        let namespace = path.namespace.as_str().into();
        return Outcome::Ask(vec![Request::DeleteMatching { kind, namespace, selector, grace, propagation }]);
    };
    let all = core.newest().objects(kind).into_iter().map(|(_, object)| object);
    let selected = all.filter(|object| {
        let meta = object.meta();
        let is_there = *meta.namespace == *path.namespace && selector.matches(&meta.labels);
        is_there && fields::selects(kind, &fields, &to_json(object, Revision(0), EPOCH))
    });
    let mut keys: Vec<ObjectKey> = selected.map(|object| object.key()).collect();
    keys.sort();
    Outcome::Ask(keys.into_iter().map(|key| Request::Delete { key, uid: None, grace, propagation }).collect())
}

/// Seconds that a deletion's options give.
pub(super) fn grace(options: &Value) -> Option<Span> {
    options["gracePeriodSeconds"].as_i64().map(seconds)
}

/// Fewer seconds than none are one.
fn seconds(seconds: i64) -> Span {
    Span::from_secs(u64::try_from(seconds).unwrap_or(1))
}

/// What becomes of an object's dependents. The pods of Jobs and ReplicationControllers stay unless the deletion or the
/// object says otherwise.
///
/// Source: `DefaultGarbageCollectionPolicy`, pkg/registry/batch/job/strategy.go,
/// pkg/registry/core/replicationcontroller/strategy.go (v1.34.1).
fn propagation(kind: Kind, wishes: &Deletion) -> Propagation {
    match (wishes.propagation.as_deref(), wishes.orphans) {
        (Some("Foreground"), _) => Propagation::Foreground,
        (Some("Orphan"), _) | (None, Some(true)) => Propagation::Orphan,
        (Some(_), _) | (None, Some(false)) => Propagation::BackgroundAnyway,
        (None, None) if [Kind::Job, Kind::ReplicationController].contains(&kind) => Propagation::OrphanByDefault,
        (None, None) => Propagation::Background,
    }
}
