//! What kubelets report: pods with their containers, and nodes.

use std::sync::Arc;

use serde_json::Value;
use wavetank_core::id::Name;
use wavetank_core::model::{
    Address, Container, ContainerState, ContainerStatus, Kind, Node, Object, Phase, Pod, Terminated,
};
use wavetank_manifest::kubernetes::to_object;

use super::written::Written;
use crate::conform::edge::{Path, create};

/// Addresses of hosts and the class of service follow from other things.
pub(super) fn pod(pod: &mut Pod, written: &Written<'_>) -> Result<(), String> {
    written.only(&[
        "conditions",
        "containerStatuses",
        "hostIP",
        "hostIPs",
        "initContainerStatuses",
        "message",
        "nominatedNodeName",
        "observedGeneration",
        "phase",
        "podIP",
        "podIPs",
        "qosClass",
        "reason",
        "startTime",
    ])?;
    let (spec, status) = (pod.spec.clone(), &mut pod.status);
    status.phase = phase(written.text("phase")).unwrap_or(status.phase);
    (status.reason, status.message) = (written.name("reason"), written.name("message"));
    // A generation that is left out stays: `preserveOldObservedGeneration`, pkg/registry/core/pod/strategy.go (v1.34.1).
    status.observed_generation =
        written.optional("observedGeneration").filter(|it| *it > 0).unwrap_or(status.observed_generation);
    let some = |field: &str| Some(written.name(field)).filter(|text: &Name| !text.is_empty());
    (status.pod_ip, status.nominated_node) = (some("podIP").map(Address::from), some("nominatedNodeName"));
    status.started_at = written.time("startTime", status.started_at.get()).into();
    if let Some(new) = containers(&status.containers, &spec.containers, written, "containerStatuses")? {
        status.containers = new.into();
    }
    if let Some(new) = containers(&status.init_containers, &spec.init_containers, written, "initContainerStatuses")? {
        status.init_containers = new;
    }
    written.conditions(&mut status.conditions);
    Ok(())
}

/// The containers' statuses in the order of the spec, if they change. Those that are not written any more are waiting
/// again.
fn containers(
    stored: &[ContainerStatus],
    containers: &[Container],
    written: &Written<'_>,
    field: &str,
) -> Result<Option<Vec<ContainerStatus>>, String> {
    let list = |status: &Value| status[field].as_array().cloned().unwrap_or_default();
    let (old, new) = (list(written.old), list(written.new));
    if old == new {
        return Ok(None);
    }
    if new.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let mut after = Vec::with_capacity(containers.len());
    for (place, container) in containers.iter().enumerate() {
        let named = |list: &[Value]| list.iter().find(|it| it["name"] == *container.name).cloned();
        let mut status = stored.get(place).cloned().unwrap_or_else(waiting);
        match named(&new) {
            Some(new) => one(&mut status, &named(&old).unwrap_or_default(), &new, written)?,
            None => status = waiting(),
        }
        after.push(status);
    }
    Ok(Some(after))
}

fn waiting() -> ContainerStatus {
    let state = ContainerState::Waiting { reason: Name::default(), message: Name::default() };
    ContainerStatus { state, last_terminated: None, ready: false, started: false, restarts: 0 }
}

fn one(status: &mut ContainerStatus, old: &Value, new: &Value, written: &Written<'_>) -> Result<(), String> {
    status.ready = new["ready"].as_bool().unwrap_or(false);
    status.started = new["started"].as_bool().unwrap_or(false);
    status.restarts = new["restartCount"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    let text = |value: &Value| Name::from(value.as_str().unwrap_or_default());
    if old["state"] != new["state"] {
        let state = &new["state"];
        status.state = if !state["running"].is_null() {
            ContainerState::Running { since: written.time_of(&state["running"]["startedAt"]).unwrap_or(written.now) }
        } else if !state["terminated"].is_null() {
            ContainerState::Terminated(terminated(&state["terminated"], written)?)
        } else {
            ContainerState::Waiting {
                reason: text(&state["waiting"]["reason"]),
                message: text(&state["waiting"]["message"]),
            }
        };
    }
    if old["lastState"] != new["lastState"] {
        let last = &new["lastState"]["terminated"];
        status.last_terminated = if last.is_null() { None } else { Some(terminated(last, written)?) };
    }
    Ok(())
}

/// Errors: a code that is none.
fn terminated(end: &Value, written: &Written<'_>) -> Result<Arc<Terminated>, String> {
    let code = end["exitCode"].as_i64().and_then(|code| i32::try_from(code).ok());
    let at = |field: &str| written.time_of(&end[field]).unwrap_or(written.now);
    Ok(Arc::new(Terminated {
        exit_code: code.ok_or("an exit code")?,
        reason: end["reason"].as_str().unwrap_or_default().into(),
        started_at: at("startedAt"),
        finished_at: at("finishedAt"),
    }))
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

/// What a machine has is read as that of a node that comes with it. What a kubelet says of itself nobody looks at.
pub(super) fn node(node: &mut Node, written: &Written<'_>, after: &Value) -> Result<(), String> {
    written.only(&[
        "addresses",
        "allocatable",
        "capacity",
        "conditions",
        "daemonEndpoints",
        "features",
        "nodeInfo",
        "runtimeHandlers",
    ])?;
    let has_changed = |field: &str| written.old[field] != written.new[field];
    if ["addresses", "allocatable", "capacity"].into_iter().any(has_changed) {
        let located = create::read(Kind::Node, &mut after.clone(), &Path::default()).map_err(|it| it.message)?;
        if let Object::Node(new) = to_object(&located).map_err(|errors| errors.to_string())? {
            node.status.capacity = new.status.capacity.clone();
            node.status.allocatable = new.status.allocatable.clone();
            node.status.address = new.status.address.clone();
        }
    }
    written.conditions(&mut node.status.conditions);
    Ok(())
}
