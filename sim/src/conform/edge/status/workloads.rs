//! The counts of what controllers keep at a number. A terminating pod is counted where a feature is on that is not by
//! default (`terminatingReplicas`), so that count is dropped.

use wavetank_core::model::{DaemonSetStatus, DeploymentStatus, ReplicaSetStatus, StatefulSetStatus};

use super::written::Written;

pub(super) fn deployment(status: &mut DeploymentStatus, written: &Written<'_>) -> Result<(), String> {
    written.only(&[
        "availableReplicas",
        "collisionCount",
        "conditions",
        "observedGeneration",
        "readyReplicas",
        "replicas",
        "terminatingReplicas",
        "unavailableReplicas",
        "updatedReplicas",
    ])?;
    (status.replicas, status.updated) = (written.number("replicas"), written.number("updatedReplicas"));
    (status.ready, status.available) = (written.number("readyReplicas"), written.number("availableReplicas"));
    (status.unavailable, status.collision_count) =
        (written.number("unavailableReplicas"), written.number("collisionCount"));
    status.observed_generation = written.generation();
    written.conditions(&mut status.conditions);
    Ok(())
}

pub(super) fn replicas(status: &mut ReplicaSetStatus, written: &Written<'_>) -> Result<(), String> {
    written.only(&[
        "availableReplicas",
        "conditions",
        "fullyLabeledReplicas",
        "observedGeneration",
        "readyReplicas",
        "replicas",
        "terminatingReplicas",
    ])?;
    (status.replicas, status.fully_labeled) = (written.number("replicas"), written.number("fullyLabeledReplicas"));
    (status.ready, status.available) = (written.number("readyReplicas"), written.number("availableReplicas"));
    status.observed_generation = written.generation();
    written.conditions(&mut status.conditions);
    Ok(())
}

pub(super) fn stateful_set(status: &mut StatefulSetStatus, written: &Written<'_>) -> Result<(), String> {
    written.only(&[
        "availableReplicas",
        "collisionCount",
        "currentReplicas",
        "currentRevision",
        "observedGeneration",
        "readyReplicas",
        "replicas",
        "updateRevision",
        "updatedReplicas",
    ])?;
    (status.replicas, status.ready) = (written.number("replicas"), written.number("readyReplicas"));
    (status.current, status.updated) = (written.number("currentReplicas"), written.number("updatedReplicas"));
    (status.available, status.collision_count) =
        (written.number("availableReplicas"), written.optional("collisionCount"));
    (status.current_revision, status.update_revision) =
        (written.name("currentRevision"), written.name("updateRevision"));
    status.observed_generation = written.generation();
    Ok(())
}

pub(super) fn daemon_set(status: &mut DaemonSetStatus, written: &Written<'_>) -> Result<(), String> {
    written.only(&[
        "collisionCount",
        "currentNumberScheduled",
        "desiredNumberScheduled",
        "numberAvailable",
        "numberMisscheduled",
        "numberReady",
        "numberUnavailable",
        "observedGeneration",
        "updatedNumberScheduled",
    ])?;
    (status.current, status.desired) =
        (written.number("currentNumberScheduled"), written.number("desiredNumberScheduled"));
    (status.ready, status.updated) = (written.number("numberReady"), written.number("updatedNumberScheduled"));
    (status.available, status.unavailable) = (written.number("numberAvailable"), written.number("numberUnavailable"));
    (status.misscheduled, status.collision_count) =
        (written.number("numberMisscheduled"), written.optional("collisionCount"));
    status.observed_generation = written.generation();
    Ok(())
}
