//! StatefulSets, DaemonSets, ControllerRevisions, and what their controllers add to pods.

use serde_json::{Map, Value, json};
use wavetank_core::id::Name;
use wavetank_core::model::{
    ClaimTemplate, ControllerRevision, DaemonSet, DaemonSetStrategy, Pod, PodManagement, PodVolumeSource, StatefulSet,
    StatefulSetStrategy,
};

use super::{
    entry, parsed, selector, set, set_counts, set_labels, set_unless_zero, share, show_min_ready, show_template,
};

type Root = Map<String, Value>;

/// The annotation in which the API server counts the changes of a DaemonSet's template.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

pub(super) fn stateful_set(root: &mut Root, set_: &StatefulSet) {
    let spec = entry(root, "spec");
    set(spec, "replicas", set_.replicas);
    show_min_ready(spec, set_.min_ready);
    set(spec, "selector", selector(&set_.selector));
    show_template(entry(spec, "template"), &set_.template);
    if !set_.service_name.is_empty() {
        set(spec, "serviceName", &*set_.service_name);
    }
    let management = match set_.management {
        PodManagement::OrderedReady => "OrderedReady",
        PodManagement::Parallel => "Parallel",
    };
    set(spec, "podManagementPolicy", management);
    let strategy = match set_.strategy {
        StatefulSetStrategy::OnDelete => json!({"type": "OnDelete"}),
        StatefulSetStrategy::RollingUpdate { partition: None } => json!({"type": "RollingUpdate"}),
        StatefulSetStrategy::RollingUpdate { partition: Some(partition) } => {
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": partition}})
        }
    };
    set(spec, "updateStrategy", strategy);
    match set_.start_ordinal {
        Some(start) => set(spec, "ordinals", json!({ "start": start })),
        None => drop(spec.remove("ordinals")),
    }
    // A limit that is not kept as a number is a negative one, as the user wrote it.
    if let Some(limit) = set_.revision_history_limit {
        set(spec, "revisionHistoryLimit", limit);
    }
    let policy = |deletes: bool| if deletes { "Delete" } else { "Retain" };
    let retention = set_.claim_retention;
    let shown =
        json!({"whenDeleted": policy(retention.deleted_with_set), "whenScaled": policy(retention.deleted_with_pod)});
    set(spec, "persistentVolumeClaimRetentionPolicy", shown);
    if !set_.claim_templates.is_empty() {
        set(spec, "volumeClaimTemplates", set_.claim_templates.iter().map(claim_template).collect::<Vec<_>>());
    }
    stateful_set_status(entry(root, "status"), set_);
}

fn stateful_set_status(status: &mut Root, set_: &StatefulSet) {
    let counts = &set_.status;
    set(status, "replicas", counts.replicas);
    set(status, "availableReplicas", counts.available);
    let some =
        [("readyReplicas", counts.ready), ("currentReplicas", counts.current), ("updatedReplicas", counts.updated)];
    set_counts(status, some);
    set_unless_zero(status, "observedGeneration", counts.observed_generation.into());
    for (key, name) in [("currentRevision", &counts.current_revision), ("updateRevision", &counts.update_revision)] {
        if !name.is_empty() {
            set(status, key, &**name);
        }
    }
    if let Some(collisions) = counts.collision_count {
        set(status, "collisionCount", collisions);
    }
}

fn claim_template(template: &ClaimTemplate) -> Value {
    let mut map = parsed(template.original.as_ref());
    set(&mut map, "apiVersion", "v1");
    set(&mut map, "kind", "PersistentVolumeClaim");
    let metadata = entry(&mut map, "metadata");
    set(metadata, "name", &*template.name);
    set_labels(metadata, "labels", &template.labels);
    set_labels(metadata, "annotations", &template.annotations);
    set(&mut map, "status", json!({"phase": "Pending"}));
    Value::Object(map)
}

pub(super) fn daemon_set(root: &mut Root, set_: &DaemonSet) {
    let annotations = entry(entry(root, "metadata"), "annotations");
    set(annotations, TEMPLATE_GENERATION, set_.template_generation.to_string());
    let spec = entry(root, "spec");
    show_min_ready(spec, set_.min_ready);
    set(spec, "selector", selector(&set_.selector));
    show_template(entry(spec, "template"), &set_.template);
    let strategy = match set_.strategy {
        DaemonSetStrategy::OnDelete => json!({"type": "OnDelete"}),
        DaemonSetStrategy::RollingUpdate { max_surge, max_unavailable } => {
            let shares = json!({"maxSurge": share(max_surge), "maxUnavailable": share(max_unavailable)});
            json!({"type": "RollingUpdate", "rollingUpdate": shares})
        }
    };
    set(spec, "updateStrategy", strategy);
    set(spec, "revisionHistoryLimit", set_.revision_history_limit);
    let (status, counts) = (entry(root, "status"), &set_.status);
    set(status, "currentNumberScheduled", counts.current);
    set(status, "numberMisscheduled", counts.misscheduled);
    set(status, "desiredNumberScheduled", counts.desired);
    set(status, "numberReady", counts.ready);
    let some = [
        ("updatedNumberScheduled", counts.updated),
        ("numberAvailable", counts.available),
        ("numberUnavailable", counts.unavailable),
        ("collisionCount", counts.collision_count.unwrap_or(0)),
    ];
    set_counts(status, some);
    set_unless_zero(status, "observedGeneration", counts.observed_generation.into());
}

pub(super) fn controller_revision(root: &mut Root, revision: &ControllerRevision) {
    set(root, "revision", revision.revision);
    let mut template = Map::new();
    show_template(&mut template, &revision.template);
    set(&mut template, "$patch", "replace");
    set(root, "data", json!({"spec": {"template": template}}));
}

/// What a pod has beside its template: its node, its hostname, its claims.
pub(super) fn show_own(spec: &mut Root, pod: &Pod) {
    if let Some(node) = pod.pinned_to() {
        let by_name = json!({"key": "metadata.name", "operator": "In", "values": [&**node]});
        let required = json!({"nodeSelectorTerms": [{"matchFields": [by_name]}]});
        let affinity = entry(entry(spec, "affinity"), "nodeAffinity");
        set(affinity, "requiredDuringSchedulingIgnoredDuringExecution", required);
    }
    for (key, name) in [("hostname", pod.hostname()), ("subdomain", pod.subdomain())] {
        if let Some(name) = name {
            set(spec, key, &**name);
        }
    }
    let written = spec.get("volumes").and_then(Value::as_array).cloned().unwrap_or_default();
    let find = |name: &Name| written.iter().find(|volume| volume["name"] == **name);
    let is_shown = |name: &Name, claim: &Name| {
        find(name).is_some_and(|volume| volume["persistentVolumeClaim"]["claimName"] == **claim)
    };
    let volumes = &pod.spec.volumes;
    let hidden = volumes.iter().any(|volume| match &volume.source {
        PodVolumeSource::Claim { name, .. } => !is_shown(&volume.name, name),
        _ => false,
    });
    if hidden {
        let shown = volumes.iter().filter_map(|volume| match &volume.source {
            PodVolumeSource::Claim { name, .. } if !is_shown(&volume.name, name) => {
                Some(json!({"name": &*volume.name, "persistentVolumeClaim": {"claimName": &**name}}))
            }
            _ => find(&volume.name).cloned(),
        });
        let shown: Vec<Value> = shown.collect();
        set(spec, "volumes", shown);
    }
}
