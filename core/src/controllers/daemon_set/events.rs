//! What is said of each pod of a DaemonSet that was created or deleted, or was not, and of pods that have ended.
//!
//! Source: `RealPodControl`, pkg/controller/controller_utils.go; pkg/controller/daemon/daemon_controller.go (v1.34.1).

use crate::api::{Answer, Refusal, Reply};
use crate::controllers::NamespacedName;
use crate::controllers::daemon_set::{Stage, manage};
use crate::controllers::pods::told_of_creation;
use crate::events::Event;
use crate::model::{Kind, ObjectKey, Phase, Pod};

/// How this controller names itself in events.
const REPORTER: &str = "daemonset-controller";

/// The event about an answer.
pub(super) fn told(stage: &Stage, place: usize, answer: &Answer) -> Option<(ObjectKey, Event)> {
    let (set, event) = match (stage, answer) {
        (Stage::Pods(sync, _), Ok(Reply::Object(pod, _))) => {
            let message = format!("Created pod: {}", pod.meta().name);
            (&sync.set, Event::normal(REPORTER, "SuccessfulCreate", message))
        }
        (Stage::Pods(sync, _), Err(refusal)) if !refusal.is_namespace_terminating() => {
            (&sync.set, Event::warning(REPORTER, "FailedCreate", told_of_creation(refusal)))
        }
        (Stage::Deletions(sync, doomed), Ok(_)) => {
            let message = format!("Deleted pod: {}", doomed[place].meta.name);
            (&sync.set, Event::normal(REPORTER, "SuccessfulDelete", message))
        }
        (Stage::Deletions(sync, _), Err(refusal)) if !matches!(refusal, Refusal::NotFound(_)) => {
            (&sync.set, Event::warning(REPORTER, "FailedDelete", format!("Error deleting: {refusal}")))
        }
        _ => return None,
    };
    Some((NamespacedName::of_meta(&set.meta).of(Kind::DaemonSet), event.about(&set.meta)))
}

/// A pod that has ended was found on its node and is about to be removed.
pub(super) fn ended(pod: &Pod) -> Event {
    let (namespace, name, node) = (&pod.meta.namespace, &pod.meta.name, manage::node_of(pod));
    if pod.status.phase == Phase::Failed {
        let message = format!("Found failed daemon pod {namespace}/{name} on node {node}, will try to kill it");
        Event::warning(REPORTER, "FailedDaemonPod", message)
    } else {
        let message = format!("Found succeeded daemon pod {namespace}/{name} on node {node}, will try to delete it");
        Event::normal(REPORTER, "SucceededDaemonPod", message)
    }
}

/// A selector that would select every pod.
pub(super) fn selecting_all() -> Event {
    let message = "This daemon set is selecting all pods. A non-empty selector is required.";
    Event::warning(REPORTER, "SelectingAll", message)
}
