//! Changes of a status: what components report, written from outside.

use std::sync::Arc;

use serde_json::Value;
use wavetank_core::Core;
use wavetank_core::api::Request;
use wavetank_core::model::{ConditionKind, Conditions, Object, Phase, Status3};
use wavetank_core::time::Time;

use super::Outcome;

/// Writes the status of `after` over the stored one; a status that stays is no write.
///
/// Covered: phase, reason, message and conditions of pods, conditions of nodes, the numbers and conditions of
/// Deployments, ReplicaSets, ReplicationControllers, StatefulSets and DaemonSets. Conditions of types that the core
/// does not model are passed over.
pub(super) fn change(core: &Core, current: Object, before: &Value, after: &Value) -> Outcome {
    let (old, new) = (&before["status"], &after["status"]);
    if old == new {
        return Outcome::Ask(Vec::new());
    }
    let mut object = current;
    let number = |field: &str| u32::try_from(new[field].as_u64().unwrap_or(0)).unwrap_or(0);
    match &mut object {
        Object::Node(node) => set(&mut Arc::make_mut(node).status.conditions, new, core.now()),
        Object::Pod(pod) => {
            let status = &mut Arc::make_mut(pod).status;
            let text = |key: &str| new[key].as_str().unwrap_or_default();
            status.phase = phase(text("phase")).unwrap_or(status.phase);
            (status.reason, status.message) = (text("reason").into(), text("message").into());
            set(&mut status.conditions, new, core.now());
        }
        Object::Deployment(deployment) => {
            let status = &mut Arc::make_mut(deployment).status;
            (status.replicas, status.updated) = (number("replicas"), number("updatedReplicas"));
            (status.ready, status.available) = (number("readyReplicas"), number("availableReplicas"));
            status.unavailable = number("unavailableReplicas");
            set(&mut status.conditions, new, core.now());
        }
        Object::ReplicaSet(replicas) => {
            let status = &mut Arc::make_mut(replicas).status;
            (status.replicas, status.fully_labeled) = (number("replicas"), number("fullyLabeledReplicas"));
            (status.ready, status.available) = (number("readyReplicas"), number("availableReplicas"));
            set(&mut status.conditions, new, core.now());
        }
        Object::ReplicationController(replicas) => {
            let status = &mut Arc::make_mut(replicas).status;
            (status.replicas, status.fully_labeled) = (number("replicas"), number("fullyLabeledReplicas"));
            (status.ready, status.available) = (number("readyReplicas"), number("availableReplicas"));
            set(&mut status.conditions, new, core.now());
        }
        Object::StatefulSet(replicas) => {
            let status = &mut Arc::make_mut(replicas).status;
            (status.replicas, status.ready) = (number("replicas"), number("readyReplicas"));
            (status.current, status.updated) = (number("currentReplicas"), number("updatedReplicas"));
            status.available = number("availableReplicas");
        }
        Object::DaemonSet(daemons) => {
            let status = &mut Arc::make_mut(daemons).status;
            (status.current, status.desired) = (number("currentNumberScheduled"), number("desiredNumberScheduled"));
            (status.ready, status.updated) = (number("numberReady"), number("updatedNumberScheduled"));
            (status.available, status.unavailable) = (number("numberAvailable"), number("numberUnavailable"));
            status.misscheduled = number("numberMisscheduled");
        }
        other => return Outcome::NotCovered(format!("the status of a {}", other.kind().name())),
    }
    Outcome::Ask(vec![Request::UpdateStatus { object, expected: None }])
}

/// Sets the conditions that a status has.
fn set(conditions: &mut Conditions, status: &Value, now: Time) {
    for condition in status["conditions"].as_array().into_iter().flatten() {
        let Some(kind) = condition["type"].as_str().and_then(condition_kind) else { continue };
        let holds = match condition["status"].as_str() {
            Some("True") => Status3::True,
            Some("False") => Status3::False,
            _ => Status3::Unknown,
        };
        let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
        conditions.set(kind, holds, text("reason"), text("message"), now);
    }
}

fn phase(text: &str) -> Option<Phase> {
    Some(match text {
        "Pending" => Phase::Pending,
        "Running" => Phase::Running,
        "Succeeded" => Phase::Succeeded,
        "Failed" => Phase::Failed,
        "Unknown" => Phase::Unknown,
        _ => return None,
    })
}

fn condition_kind(text: &str) -> Option<ConditionKind> {
    Some(match text {
        "Ready" => ConditionKind::Ready,
        "MemoryPressure" => ConditionKind::MemoryPressure,
        "DiskPressure" => ConditionKind::DiskPressure,
        "PIDPressure" => ConditionKind::PidPressure,
        "NetworkUnavailable" => ConditionKind::NetworkUnavailable,
        "PodScheduled" => ConditionKind::PodScheduled,
        "Initialized" => ConditionKind::Initialized,
        "ContainersReady" => ConditionKind::ContainersReady,
        "DisruptionTarget" => ConditionKind::DisruptionTarget,
        "Available" => ConditionKind::Available,
        "Progressing" => ConditionKind::Progressing,
        "ReplicaFailure" => ConditionKind::ReplicaFailure,
        _ => return None,
    })
}
