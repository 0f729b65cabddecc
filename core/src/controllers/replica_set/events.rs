//! What is said of each pod that was created or deleted, or was not.
//!
//! Source: `RealPodControl`, pkg/controller/controller_utils.go (v1.34.1).

use crate::api::{Answer, Refusal, Reply};
use crate::controllers::pods::told_of_creation;
use crate::controllers::replica_set::Stage;
use crate::events::Event;
use crate::model::{ObjectKey, ReplicaSet};

use super::kinds::Replicated;

/// The event about an answer.
pub(super) fn told<T: Replicated>(stage: &Stage, place: usize, answer: &Answer) -> Option<(ObjectKey, Event)> {
    let (set, event) = match (stage, answer) {
        (Stage::Create(sync), Ok(Reply::Object(pod, _))) => {
            let message = format!("Created pod: {}", pod.meta().name);
            (&sync.set, Event::normal(T::REPORTER, "SuccessfulCreate", message))
        }
        (Stage::Create(sync), Err(refusal)) if !refusal.is_namespace_terminating() => {
            (&sync.set, Event::warning(T::REPORTER, "FailedCreate", told_of_creation(refusal)))
        }
        (Stage::Delete(sync, doomed), Ok(_)) => {
            let message = format!("Deleted pod: {}", doomed[place].meta.name);
            (&sync.set, Event::normal(T::REPORTER, "SuccessfulDelete", message))
        }
        (Stage::Delete(sync, _), Err(refusal)) if !matches!(refusal, Refusal::NotFound(_)) => {
            (&sync.set, Event::warning(T::REPORTER, "FailedDelete", format!("Error deleting: {refusal}")))
        }
        _ => return None,
    };
    Some((key_of::<T>(set), event.about(&set.meta)))
}

fn key_of<T: Replicated>(set: &ReplicaSet) -> ObjectKey {
    ObjectKey { kind: T::KIND, namespace: set.meta.namespace.clone(), name: set.meta.name.clone() }
}
