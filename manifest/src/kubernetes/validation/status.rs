//! What the API server refuses of a written status.
//!
//! Source: the functions `Validate…StatusUpdate` of pkg/apis/{apps,core,policy}/validation/validation.go (v1.34.1).

use serde_json::Value;

use super::names;
use super::report::{At, Report};
use super::update::IMMUTABLE;
use crate::kubernetes::Manifest;

/// A kind's counts: those that are not negative, and those that are at most `replicas`, in the order of their checks.
struct Counts {
    not_negative: &'static [&'static str],
    at_most_replicas: &'static [&'static str],
    /// What bounds `availableReplicas` beside `replicas`, as the message names it.
    ready: &'static str,
}

const DEPLOYMENT: Counts = Counts {
    not_negative: &[
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ],
    at_most_replicas: &["updatedReplicas", "readyReplicas", "availableReplicas"],
    ready: "readyReplicas",
};

const REPLICA_SET: Counts = Counts {
    not_negative: &[
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
        "terminatingReplicas",
    ],
    at_most_replicas: &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
    ready: "readyReplicas",
};

const STATEFUL_SET: Counts = Counts {
    not_negative: &[
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ],
    at_most_replicas: &["readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"],
    ready: "status.readyReplicas",
};

const DAEMON_SET: Counts = Counts {
    not_negative: &[
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ],
    at_most_replicas: &[],
    ready: "",
};

const BUDGET: Counts = Counts {
    not_negative: &["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"],
    at_most_replicas: &[],
    ready: "",
};

pub(super) fn check(report: &mut Report, manifest: &Manifest, new: &Value, old: &Value) {
    let (status, was) = (&new["status"], &old["status"]);
    match manifest {
        Manifest::Deployment(_) => counts(report, &DEPLOYMENT, status),
        Manifest::ReplicaSet(_) | Manifest::ReplicationController(_) => counts(report, &REPLICA_SET, status),
        Manifest::StatefulSet(_) => counts(report, &STATEFUL_SET, status),
        Manifest::DaemonSet(_) => counts(report, &DAEMON_SET, status),
        Manifest::PodDisruptionBudget(_) => counts(report, &BUDGET, status),
        Manifest::Namespace(_) => {
            let (phase, when) = match old["metadata"]["deletionTimestamp"].is_null() {
                true => ("Active", "`deletionTimestamp` is empty"),
                false => ("Terminating", "`deletionTimestamp` is not empty"),
            };
            let found = status["phase"].as_str().unwrap_or_default();
            if found != phase {
                let detail = format!("may only be '{phase}' if {when}");
                report.invalid(&At::root("status").child("Phase"), &found, &detail);
            }
        }
        Manifest::Pod(_) => pod(report, new, old),
        _ => {}
    }
    // Of the kinds that say so; a count that is missing is none.
    if matches!(manifest, Manifest::Deployment(_) | Manifest::StatefulSet(_) | Manifest::DaemonSet(_)) {
        let (count, before) = (number(status, "collisionCount"), number(was, "collisionCount"));
        if count < before {
            report.invalid(&At::root("status").child("collisionCount"), &count, "cannot be decremented");
        }
    }
}

fn number(status: &Value, field: &str) -> i64 {
    status[field].as_i64().unwrap_or(0)
}

fn counts(report: &mut Report, counts: &Counts, status: &Value) {
    let at = At::root("status");
    for field in counts.not_negative {
        report.not_negative(&at.child(field), number(status, field));
    }
    let replicas = number(status, "replicas");
    for field in counts.at_most_replicas {
        let count = number(status, field);
        if count > replicas {
            report.invalid(&at.child(field), &count, "cannot be greater than status.replicas");
        }
    }
    let available = number(status, "availableReplicas");
    if !counts.ready.is_empty() && available > number(status, "readyReplicas") {
        let detail = format!("cannot be greater than {}", counts.ready);
        report.invalid(&at.child("availableReplicas"), &available, &detail);
    }
}

fn pod(report: &mut Report, new: &Value, old: &Value) {
    let at = At::root("status");
    let text = |object: &Value, field: &str| object["status"][field].as_str().unwrap_or_default().to_owned();
    let nominated = text(new, "nominatedNodeName");
    if !nominated.is_empty() && nominated != text(old, "nominatedNodeName") {
        report.invalid_each(&at.child("nominatedNodeName"), &nominated, names::dns_subdomain(&nominated));
    }
    // A class that is left out stays.
    let (class, before) = (text(new, "qosClass"), text(old, "qosClass"));
    if !class.is_empty() && class != before {
        report.invalid(&at.child("qosClass"), &class, IMMUTABLE);
    }
    if old["spec"]["restartPolicy"].as_str().unwrap_or("Always") == "Always" {
        return;
    }
    let statuses = |object: &Value| object["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
    let restarts = |exit_code: i64| old["spec"]["restartPolicy"] == "OnFailure" && exit_code != 0;
    for (index, before) in statuses(old).iter().enumerate() {
        let ended = &before["state"]["terminated"];
        let after = statuses(new).into_iter().find(|after| after["name"] == before["name"]);
        let goes_on = after.is_some_and(|after| after["state"]["terminated"].is_null());
        if !ended.is_null() && goes_on && !restarts(ended["exitCode"].as_i64().unwrap_or(0)) {
            let at = at.child("containerStatuses").index(index).child("state");
            report.forbidden(&at, "may not be transitioned to non-terminated state");
        }
    }
}
