//! What the API server refuses of a written status.
//!
//! Source: the functions `Validate…StatusUpdate` of pkg/apis/{apps,core,policy}/validation/validation.go (v1.34.1).

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as QuantityText;
use serde_json::Value;

use super::report::{AsWritten, At, Report};
use super::update::IMMUTABLE;
use super::{names, policy, resources, status_addresses, status_job, storage};
use crate::kubernetes::kinds::Manifest;

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
            let found = status["phase"].as_str().filter(|phase| !phase.is_empty()).unwrap_or("Active");
            if found != phase {
                let detail = format!("may only be '{phase}' if {when}");
                report.invalid(&At::root("status").child("Phase"), &found, &detail);
            }
        }
        Manifest::Pod(_) => pod(report, new, old),
        Manifest::Job(_) => status_job::check(report, new, old),
        Manifest::Service(_) => status_addresses::of_load_balancer(report, new, old),
        Manifest::ResourceQuota(_) => {
            for list in ["hard", "used"] {
                amounts(report, &At::root("status").child(list), &status[list], policy::quota_amount);
            }
        }
        Manifest::PersistentVolumeClaim(_) => claim(report, status),
        Manifest::Node(_) => node(report, status),
        _ => {}
    }
    // Of the kinds that say so; one that is missing is less than any that was there.
    if matches!(manifest, Manifest::Deployment(_) | Manifest::StatefulSet(_) | Manifest::DaemonSet(_)) {
        let (count, before) = (number(status, "collisionCount"), number(was, "collisionCount"));
        let is_gone = status["collisionCount"].is_null() && !was["collisionCount"].is_null();
        let by_absence = is_gone && !matches!(manifest, Manifest::Deployment(_));
        if count < before || by_absence {
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

/// What a node has, and its addresses, each of which is told once.
///
/// Source: `ValidateNodeUpdate`.
fn node(report: &mut Report, status: &Value) {
    let at = At::root("status");
    for field in ["capacity", "allocatable"] {
        // The API server puts the resource's name behind a dot here.
        let list = at.child(field);
        amounts(report, &list, &status[field], |report, _, name, text| {
            resources::amount(report, &list.child(name), name, text);
        });
    }
    let text = |address: &Value, field: &str| address[field].as_str().unwrap_or_default().to_owned();
    let mut seen = BTreeSet::new();
    for (index, address) in status["addresses"].as_array().into_iter().flatten().enumerate() {
        let (kind, address) = (text(address, "type"), text(address, "address"));
        let shown = format!("{{\"Type\":{},\"Address\":{}}}", Value::from(&*kind), Value::from(&*address));
        if !seen.insert((kind, address)) {
            report.duplicate(&at.child("addresses").index(index), &AsWritten(&shown), "");
        }
    }
}

/// Checks each of the amounts of a list; one that is no quantity cannot be read before it comes here.
fn amounts(report: &mut Report, at: &At, list: &Value, check: impl Fn(&mut Report, &At, &str, &QuantityText)) {
    for (name, amount) in list.as_object().into_iter().flatten().filter(|(_, amount)| !amount.is_null()) {
        let text = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
        check(report, &at.key(name), name, &QuantityText(text));
    }
}

/// Source: `ValidatePersistentVolumeClaimStatusUpdate`.
fn claim(report: &mut Report, status: &Value) {
    const STATES: [&str; 5] = [
        "ControllerResizeInProgress",
        "ControllerResizeInfeasible",
        "NodeResizeInProgress",
        "NodeResizeInfeasible",
        "NodeResizePending",
    ];
    let at = At::root("status");
    amounts(report, &at.child("capacity"), &status["capacity"], |report, at, _, text| storage::basic(report, at, text));
    let states = at.child("allocatedResourceStatuses");
    for (name, state) in status["allocatedResourceStatuses"].as_object().into_iter().flatten() {
        storage::claim_resource(report, &states, name);
        if !STATES.contains(&state.as_str().unwrap_or_default()) {
            let mut sorted = STATES;
            sorted.sort_unstable();
            report.not_supported(&states, name, &sorted);
        }
    }
    let allocated = at.child("allocatedResources");
    amounts(report, &allocated, &status["allocatedResources"], |report, at, name, text| {
        if storage::claim_resource(report, &allocated, name) {
            storage::basic(report, at, text);
        }
    });
}

fn pod(report: &mut Report, new: &Value, old: &Value) {
    let at = At::root("status");
    let text = |object: &Value, field: &str| object["status"][field].as_str().unwrap_or_default().to_owned();
    conditions(report, &at.child("conditions"), &new["status"]);
    let nominated = text(new, "nominatedNodeName");
    if !nominated.is_empty() && nominated != text(old, "nominatedNodeName") {
        report.invalid_each(&at.child("nominatedNodeName"), &nominated, names::dns_subdomain(&nominated));
    }
    let observed = number(&new["status"], "observedGeneration");
    if observed < 0 {
        report.invalid(&at.child("observedGeneration"), &observed, "must be a non-negative integer");
    }
    // A class that is left out stays.
    let (class, before) = (text(new, "qosClass"), text(old, "qosClass"));
    if !class.is_empty() && class != before {
        report.invalid(&at.child("qosClass"), &class, IMMUTABLE);
    }
    for (statuses, containers) in [("containerStatuses", "containers"), ("initContainerStatuses", "initContainers")] {
        ended_stay(report, &at.child(statuses), statuses, containers, new, old);
    }
    status_addresses::of_pod(report, &new["status"], &old["status"]);
    users(report, &at, new, old);
}

/// The types of conditions, which have names like labels, and the generation that each is about.
fn conditions(report: &mut Report, at: &At, status: &Value) {
    for (index, condition) in status["conditions"].as_array().into_iter().flatten().enumerate() {
        let at = at.index(index);
        let observed = number(condition, "observedGeneration");
        if observed < 0 {
            report.invalid(&at.child("observedGeneration"), &observed, "must be a non-negative integer");
        }
        let name = condition["type"].as_str().unwrap_or_default();
        if !["PodScheduled", "Ready", "Initialized"].contains(&name) {
            report.invalid_each(&at.child("Type"), &name, names::qualified_name(name));
        }
    }
}

/// Containers that have ended and are not to be started again do not come back.
///
/// Source: `ValidateContainerStateTransition`, `ValidateInitContainerStateTransition`.
fn ended_stay(report: &mut Report, at: &At, list: &str, containers: &str, new: &Value, old: &Value) {
    let policy = old["spec"]["restartPolicy"].as_str().unwrap_or("Always");
    if policy == "Always" {
        return;
    }
    let statuses = |object: &Value| object["status"][list].as_array().cloned().unwrap_or_default();
    let always = |name: &Value| {
        let mut all = old["spec"][containers].as_array().into_iter().flatten();
        containers == "initContainers" && all.any(|it| it["name"] == *name && it["restartPolicy"] == "Always")
    };
    for (index, before) in statuses(old).iter().enumerate() {
        let ended = &before["state"]["terminated"];
        let after = statuses(new).into_iter().find(|after| after["name"] == before["name"]);
        let goes_on = after.is_some_and(|after| after["state"]["terminated"].is_null());
        let restarts = policy == "OnFailure" && ended["exitCode"].as_i64().unwrap_or(0) != 0;
        if !ended.is_null() && goes_on && !restarts && !always(&before["name"]) {
            report.forbidden(&at.index(index).child("state"), "may not be transitioned to non-terminated state");
        }
    }
}

/// Under whom containers run. Source: `validateContainerStatusUsers`, `validateLinuxContainerUser`.
fn users(report: &mut Report, at: &At, new: &Value, old: &Value) {
    let is_windows = old["spec"]["os"]["name"] == "windows";
    for list in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        for (index, status) in new["status"][list].as_array().into_iter().flatten().enumerate() {
            let user = &status["user"]["linux"];
            let at = at.child(list).index(index).child("user").child("linux");
            if user.is_null() {
                continue;
            }
            if is_windows {
                report.forbidden(&at, "cannot be set for a windows pod");
                continue;
            }
            let id = |value: &Value| value.as_i64().unwrap_or(0);
            let in_range = |id: i64| names::in_range(id, 0, i64::from(i32::MAX));
            for field in ["uid", "gid"] {
                report.invalid_each(&at.child(field), &id(&user[field]), in_range(id(&user[field])));
            }
            for (place, group) in user["supplementalGroups"].as_array().into_iter().flatten().enumerate() {
                report.invalid_each(&at.child("supplementalGroups").index(place), &id(group), in_range(id(group)));
            }
        }
    }
}
