//! Our objects as recordings show theirs: the same essential fields of the same JSON.

use serde_json::{Map, Value, json};
use wavetank_core::events::{EventObject, Library};
use wavetank_core::id::Revision;
use wavetank_core::model::Object;
use wavetank_manifest::kubernetes::to_json;

use crate::conform::line::Line;

/// Fields that are shown under their own path, by kind; those that a recording shows of no object are not compared.
const FIELDS: &[(&str, &[&str])] = &[
    (
        "Deployment",
        &[
            "spec.replicas",
            "spec.strategy",
            "spec.progressDeadlineSeconds",
            "spec.minReadySeconds",
            "spec.paused",
            "spec.revisionHistoryLimit",
        ],
    ),
    ("ReplicaSet", &["spec.replicas", "spec.minReadySeconds"]),
    ("ReplicationController", &["spec.replicas", "spec.minReadySeconds"]),
    (
        "StatefulSet",
        &[
            "spec.replicas",
            "spec.updateStrategy",
            "spec.podManagementPolicy",
            "spec.minReadySeconds",
            "spec.ordinals",
            "spec.persistentVolumeClaimRetentionPolicy",
            "spec.revisionHistoryLimit",
            "spec.serviceName",
        ],
    ),
    ("DaemonSet", &["spec.updateStrategy", "spec.minReadySeconds", "spec.revisionHistoryLimit"]),
    (
        "Job",
        &[
            "spec.parallelism",
            "spec.completions",
            "spec.suspend",
            "spec.completionMode",
            "spec.backoffLimit",
            "spec.backoffLimitPerIndex",
            "spec.maxFailedIndexes",
            "spec.activeDeadlineSeconds",
            "spec.ttlSecondsAfterFinished",
            "spec.podReplacementPolicy",
            "spec.podFailurePolicy",
            "spec.successPolicy",
            "spec.managedBy",
        ],
    ),
    (
        "CronJob",
        &[
            "spec.schedule",
            "spec.timeZone",
            "spec.suspend",
            "spec.concurrencyPolicy",
            "spec.startingDeadlineSeconds",
            "spec.successfulJobsHistoryLimit",
            "spec.failedJobsHistoryLimit",
        ],
    ),
];

/// Kinds whose spec is shown as a whole.
const WHOLE_SPEC: &[&str] = &[
    "Service",
    "PodDisruptionBudget",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ResourceQuota",
    "Namespace",
    "HorizontalPodAutoscaler",
];

/// Kinds with a pod template whose image recordings do not show.
const WITHOUT_IMAGE: &[&str] = &["Job", "CronJob"];

/// A change of one of our objects.
pub fn line(
    at_ms: i64,
    before: Option<&Object>,
    after: Option<&Object>,
    revision: Revision,
    epoch: i64,
) -> Option<Line> {
    let object = after.or(before)?;
    let what = match (before, after) {
        (None, _) => "ADDED",
        (_, None) => "DELETED",
        _ => "MODIFIED",
    };
    let all = to_json(object, revision, epoch);
    let mut fields = Map::new();
    let meta = &all["metadata"];
    let name = match meta["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{}", meta["name"].as_str().unwrap_or_default()),
        None => meta["name"].as_str().unwrap_or_default().to_owned(),
    };
    let kind = all["kind"].as_str().unwrap_or_default().to_owned();
    for key in ["labels", "generation", "annotations", "finalizers", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        keep(&mut fields, key, &meta[key]);
    }
    // The managing owner, or else the first one.
    let owners = meta["ownerReferences"].as_array().map_or(&[][..], Vec::as_slice);
    if let Some(owner) = owners.iter().find(|owner| owner["controller"] == true).or_else(|| owners.first()) {
        let text = format!("{}/{}", as_text(&owner["kind"]), as_text(&owner["name"]));
        fields.insert("owner".to_owned(), text.into());
    }
    let paths = FIELDS.iter().find(|(of, _)| *of == kind).map_or(&[][..], |(_, paths)| paths);
    for path in paths {
        keep(&mut fields, path, path.split('.').fold(&all, |value, part| &value[part]));
    }
    if WHOLE_SPEC.contains(&kind.as_str()) {
        keep(&mut fields, "spec", &all["spec"]);
    }
    match kind.as_str() {
        "Pod" => pod(&mut fields, &all),
        "Node" => node(&mut fields, &all),
        "EndpointSlice" => {
            for key in ["addressType", "ports"] {
                keep(&mut fields, key, &all[key]);
            }
            endpoints(&mut fields, &all["endpoints"]);
        }
        "Endpoints" => keep(&mut fields, "subsets", &all["subsets"]),
        "ControllerRevision" => keep(&mut fields, "revision", &all["revision"]),
        _ => {
            if !WITHOUT_IMAGE.contains(&kind.as_str()) {
                keep(&mut fields, "image", &all["spec"]["template"]["spec"]["containers"][0]["image"]);
            }
            let mut status = all["status"].clone();
            conditions(&mut fields, &status["conditions"]);
            if let Value::Object(map) = &mut status {
                map.remove("conditions");
            }
            if status.as_object().is_none_or(|status| !status.is_empty()) {
                keep(&mut fields, "status", &status);
            }
        }
    }
    Some(Line { at_ms, what: what.to_owned(), kind, name, fields })
}

/// A Kubernetes event that was written.
pub fn event(at_ms: i64, is_new: bool, event: &EventObject) -> Line {
    let mut fields = Map::new();
    fields.insert("reason".to_owned(), event.reason.as_ref().into());
    fields.insert("etype".to_owned(), event.event_type.to_string().into());
    fields.insert("message".to_owned(), event.message.as_str().into());
    if event.library == Library::Record {
        fields.insert("count".to_owned(), event.count.into());
    }
    fields.insert("on".to_owned(), format!("{}/{}", event.subject.kind.name(), event.subject.name).into());
    fields.insert("source".to_owned(), event.reporter.component.as_ref().into());
    Line {
        at_ms,
        what: if is_new { "ADDED" } else { "MODIFIED" }.to_owned(),
        kind: "Event".to_owned(),
        name: format!("{}/{}", event.namespace(), event.name()),
        fields,
    }
}

fn pod(fields: &mut Map<String, Value>, all: &Value) {
    let (spec, status) = (&all["spec"], &all["status"]);
    keep(fields, "nodeName", &spec["nodeName"]);
    keep(fields, "hostname", &spec["hostname"]);
    if spec["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
        keep(fields, "schedulingGates", &spec["schedulingGates"]);
    }
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    let claims: Vec<&Value> =
        volumes.map(|it| &it["persistentVolumeClaim"]["claimName"]).filter(|it| it.is_string()).collect();
    if !claims.is_empty() {
        keep(fields, "pvcs", &json!(claims));
    }
    keep(fields, "priority", &json!(spec["priority"].as_i64().unwrap_or(0)));
    for key in ["phase", "reason", "startTime", "podIP", "nominatedNodeName"] {
        keep(fields, key, &status[key]);
    }
    keep(fields, "image", &spec["containers"][0]["image"]);
    conditions(fields, &status["conditions"]);
    if let Some(container) = status["containerStatuses"].get(0) {
        keep(fields, "restarts", &container["restartCount"]);
    }
}

fn node(fields: &mut Map<String, Value>, all: &Value) {
    let mark = |taint: &Value| {
        format!("{}={}:{}", as_text(&taint["key"]), as_text(&taint["value"]), as_text(&taint["effect"]))
    };
    let taints: Vec<String> = all["spec"]["taints"].as_array().into_iter().flatten().map(mark).collect();
    if !taints.is_empty() {
        fields.insert("taints".to_owned(), taints.into());
    }
    keep(fields, "unschedulable", &all["spec"]["unschedulable"]);
    let attached = all["status"]["volumesAttached"].as_array().into_iter().flatten();
    let mut attached: Vec<&str> = attached.map(|volume| as_text(&volume["name"])).collect();
    if !attached.is_empty() {
        attached.sort_unstable();
        fields.insert("volumesAttached".to_owned(), json!(attached));
    }
    conditions(fields, &all["status"]["conditions"]);
}

/// Endpoints by the name of their pod; those that are none by their address.
fn endpoints(fields: &mut Map<String, Value>, list: &Value) {
    let pair = |endpoint: &Value| {
        let of = |key: &str| endpoint["conditions"][key].as_bool().unwrap_or(false);
        let shown = json!({
            "addr": endpoint["addresses"],
            "ready": of("ready"),
            "serving": of("serving"),
            "terminating": of("terminating"),
            "node": endpoint["nodeName"],
            "zone": endpoint["zone"],
            "hostname": endpoint["hostname"],
            "hints": endpoint["hints"],
        });
        let pod = endpoint["targetRef"]["name"].as_str();
        (pod.unwrap_or_else(|| as_text(&endpoint["addresses"][0])).to_owned(), shown)
    };
    let map: Map<String, Value> = list.as_array().into_iter().flatten().map(pair).collect();
    if !map.is_empty() {
        fields.insert("endpoints".to_owned(), Value::Object(map));
    }
}

/// Conditions as `True(Reason): message`, by type.
fn conditions(fields: &mut Map<String, Value>, conditions: &Value) {
    let Some(list) = conditions.as_array().filter(|list| !list.is_empty()) else { return };
    let text = |condition: &Value| {
        let mut text = as_text(&condition["status"]).to_owned();
        if let Some(reason) = condition["reason"].as_str().filter(|reason| !reason.is_empty()) {
            text += &format!("({reason})");
        }
        if let Some(message) = condition["message"].as_str().filter(|message| !message.is_empty()) {
            text += &format!(": {message}");
        }
        text
    };
    let pairs = list.iter().map(|condition| (as_text(&condition["type"]).to_owned(), text(condition).into()));
    fields.insert("conditions".to_owned(), Value::Object(pairs.collect()));
}

fn keep(fields: &mut Map<String, Value>, key: &str, value: &Value) {
    if !value.is_null() {
        fields.insert(key.to_owned(), value.clone());
    }
}

fn as_text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
