//! What is said of each pod and claim that was created, changed or deleted, or was not.
//!
//! Source: `recordPodEvent`, `recordClaimEvent`, `UpdatePodClaimForRetentionPolicy`,
//! pkg/controller/statefulset/stateful_pod_control.go (v1.34.1).

use crate::api::{Answer, Refusal};
use crate::controllers::NamespacedName;
use crate::controllers::stateful_set::Stage;
use crate::controllers::stateful_set::plan::{Action, Subject, Verb};
use crate::events::Event;
use crate::model::{Kind, Meta, ObjectKey};

/// How this controller names itself in events.
const REPORTER: &str = "statefulset-controller";

/// The event about an answer. A name that is taken is no news: the watch has not shown its object yet. Nothing is said
/// of claims whose pod is to go (`fixPodClaim`, stateful_set_control.go).
pub(super) fn told(stage: &Stage, place: usize, answer: &Answer) -> Option<(ObjectKey, Event)> {
    let (Stage::Act(sync, plan) | Stage::Retain(sync, plan)) = stage else { return None };
    let (action, set) = (&plan.actions[place], &sync.set.meta);
    match answer {
        Ok(_) if plan.is_told_later(&sync.set, action) => None,
        Ok(_) => succeeded(action, set),
        Err(Refusal::AlreadyExists { .. }) => None,
        Err(_) if matches!(action.subject, Subject::OwnersOfCondemned(_)) => None,
        Err(refusal) => Some(failed(action, set, &refusal.to_string())),
    }
}

/// What is said of an action that was granted.
pub(super) fn succeeded(action: &Action, set: &Meta) -> Option<(ObjectKey, Event)> {
    let Action { verb, subject, pod } = action;
    let message = match subject {
        Subject::Pod => format!("{} Pod {pod} in StatefulSet {} successful", verb.text(), set.name),
        Subject::Claim(claim) => format!("create Claim {claim} Pod {pod} in StatefulSet {} success", set.name),
        _ => return None,
    };
    let reason = match verb {
        Verb::Create => "SuccessfulCreate",
        Verb::Update => "SuccessfulUpdate",
        Verb::Delete => "SuccessfulDelete",
    };
    Some(about(set, Event::normal(REPORTER, reason, message)))
}

/// What is said of an action that failed, or could not even be tried.
pub(super) fn failed(action: &Action, set: &Meta, error: &str) -> (ObjectKey, Event) {
    let reason = match action.verb {
        Verb::Create => "FailedCreate",
        Verb::Update => "FailedUpdate",
        Verb::Delete => "FailedDelete",
    };
    about(set, Event::warning(REPORTER, reason, action.failure(&set.name, error)))
}

/// What is said of a claim that is left to whoever manages it.
pub(super) fn conflicting(claim: &str, set: &Meta) -> (ObjectKey, Event) {
    // The misspelling is Kubernetes' own.
    let message = format!(
        "PersistentVolumeClaim {claim} has a conflicting OwnerReference that acts as a manging controller, the \
         retention policy is ignored for this claim"
    );
    about(set, Event::warning(REPORTER, "ConflictingController", message))
}

fn about(set: &Meta, event: Event) -> (ObjectKey, Event) {
    (NamespacedName::of_meta(set).of(Kind::StatefulSet), event.about(set))
}
