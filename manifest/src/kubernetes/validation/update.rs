//! What the API server refuses of a new version of an object: what is wrong with it by itself, and what may not change.
//!
//! Two values are the same if the API server takes them for it: nothing is as good as an empty list or map. Whole
//! templates, and the difference of two specs that is printed after the list of fields that may change, are left out.
//!
//! Source: `BeforeUpdate`, staging/src/k8s.io/apiserver/pkg/registry/rest/update.go; the functions `Validate…Update` of
//! pkg/apis/*/validation/validation.go; `ValidateUpdate`, pkg/registry/*/*/strategy.go (v1.34.1).

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::{CronJob, Job, JobSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Node, ResourceQuota, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Serialize;
use serde_json::Value;

use super::report::{AsJson, AsWritten, At, Report};
use super::selector::is_given as given;
use super::{
    batch, cluster, config, disruption, endpoints, metadata, names, policy, sets, shown, storage_classes, update_pod,
    update_service, update_storage, workload,
};
use crate::kubernetes::kinds::Manifest;

pub(super) const IMMUTABLE: &str = "field is immutable";

/// Checks a new version against the stored one, which is of the same kind.
pub(super) fn check(report: &mut Report, new: &Manifest, old: &Manifest) {
    metadata::check_common(report, new.metadata());
    meta(report, new.metadata(), old.metadata());
    // Most kinds look at their metadata again, with the rule for finalizers.
    if !matches!(new, Manifest::PodDisruptionBudget(_) | Manifest::Lease(_)) {
        for (index, finalizer) in new.metadata().finalizers.iter().flatten().enumerate() {
            metadata::known_finalizer(report, &At::root("metadata").child("finalizers").index(index), finalizer);
        }
    }
    match (new, old) {
        (Manifest::Pod(new), Manifest::Pod(old)) => update_pod::check(report, new, old),
        (Manifest::Deployment(new), Manifest::Deployment(old)) => {
            workload::deployment(report, new);
            let of =
                |object: &k8s_openapi::api::apps::v1::Deployment| object.spec.as_ref().map(|it| it.selector.clone());
            selector(report, of(new), of(old));
        }
        (Manifest::ReplicaSet(new), Manifest::ReplicaSet(old)) => {
            workload::replica_set(report, new);
            let of =
                |object: &k8s_openapi::api::apps::v1::ReplicaSet| object.spec.as_ref().map(|it| it.selector.clone());
            selector(report, of(new), of(old));
        }
        (Manifest::DaemonSet(new), Manifest::DaemonSet(old)) => {
            let of =
                |object: &k8s_openapi::api::apps::v1::DaemonSet| object.spec.as_ref().map(|it| it.selector.clone());
            selector(report, of(new), of(old));
            sets::daemon_set(report, new);
        }
        (Manifest::StatefulSet(new), Manifest::StatefulSet(old)) => stateful_set(report, new, old),
        (Manifest::ReplicationController(new), _) => workload::replication_controller(report, new),
        (Manifest::Job(new), Manifest::Job(old)) => job(report, new, old),
        (Manifest::CronJob(new), Manifest::CronJob(old)) => cron_job(report, new, old),
        (Manifest::Service(new), Manifest::Service(old)) => update_service::check(report, new, old),
        (Manifest::ConfigMap(new), Manifest::ConfigMap(old)) => config_map(report, new, old),
        (Manifest::Secret(new), Manifest::Secret(old)) => secret(report, new, old),
        (Manifest::ServiceAccount(new), _) => config::account(report, new),
        // Its finalizers are written to a subresource of their own and kept here, whatever is written.
        (Manifest::Namespace(new), _) => metadata::check(report, &new.metadata, names::dns_label),
        (Manifest::Node(new), Manifest::Node(old)) => node(report, new, old),
        (Manifest::PersistentVolume(new), Manifest::PersistentVolume(old)) => update_storage::volume(report, new, old),
        (Manifest::PersistentVolumeClaim(new), Manifest::PersistentVolumeClaim(old)) => {
            update_storage::claim(report, new, old)
        }
        (Manifest::ResourceQuota(new), Manifest::ResourceQuota(old)) => quota(report, new, old),
        (Manifest::LimitRange(new), _) => policy::range(report, new),
        (Manifest::PodDisruptionBudget(new), _) => disruption::spec(report, new),
        (Manifest::PriorityClass(new), Manifest::PriorityClass(old)) => {
            if new.value != old.value {
                report.forbidden(&At::root("value"), "may not be changed in an update.");
            }
            let at = At::root("preemptionPolicy");
            immutable(report, &at, &new.preemption_policy, &old.preemption_policy);
        }
        (Manifest::StorageClass(new), Manifest::StorageClass(old)) => update_storage::class(report, new, old),
        (Manifest::CSINode(new), Manifest::CSINode(old)) => update_storage::csi_node(report, new, old),
        (Manifest::CSIDriver(new), Manifest::CSIDriver(old)) => {
            storage_classes::csi_driver(report, new);
            let at = At::root("spec");
            // The API server names the field otherwise here.
            immutable(report, &at.child("attachedRequired"), &new.spec.attach_required, &old.spec.attach_required);
            let (modes, before) = (&new.spec.volume_lifecycle_modes, &old.spec.volume_lifecycle_modes);
            immutable(report, &at.child("volumeLifecycleModes"), modes, before);
        }
        (Manifest::VolumeAttachment(new), Manifest::VolumeAttachment(old)) => {
            storage_classes::attachment_spec(report, new);
            if !same(&new.spec, &old.spec) {
                report.invalid(&At::root("spec"), &AsWritten(&shown::attachment(&new.spec)), IMMUTABLE);
            }
        }
        (Manifest::CSIStorageCapacity(new), Manifest::CSIStorageCapacity(old)) => {
            storage_classes::csi_capacity(report, new);
            if !same(&new.node_topology, &old.node_topology) {
                let topology = new.node_topology.as_ref().map_or_else(|| "null".to_owned(), shown::selector);
                report.invalid(&At::root("nodeTopology"), &AsWritten(&topology), IMMUTABLE);
            }
            let class = At::root("storageClassName");
            immutable(report, &class, &new.storage_class_name, &old.storage_class_name);
        }
        (Manifest::EndpointSlice(new), Manifest::EndpointSlice(old)) => {
            cluster::slice(report, new);
            immutable(report, &At::root("addressType"), &new.address_type, &old.address_type);
        }
        (Manifest::Endpoints(new), Manifest::Endpoints(old)) => endpoints::update(report, new, old),
        (Manifest::Lease(new), _) => cluster::lease(report, new),
        (Manifest::ControllerRevision(new), Manifest::ControllerRevision(old)) => {
            cluster::revision(report, new);
            if !same(&new.data, &old.data) {
                let data = new.data.as_ref().map(|data| &data.0);
                report.invalid(&At::root("data"), &AsJson(&data), IMMUTABLE);
            }
        }
        // An object is updated by one of its own kind; whoever asks sees to that.
        _ => {}
    }
}

/// Checks a namespace that is written to the subresource `finalize`.
///
/// Source: `ValidateNamespaceFinalizeUpdate`, pkg/apis/core/validation/validation.go (v1.34.1).
pub(super) fn finalize(report: &mut Report, new: &Manifest, old: &Manifest) {
    metadata::check_common(report, new.metadata());
    meta(report, new.metadata(), old.metadata());
    let Manifest::Namespace(namespace) = new else { return };
    let finalizers = namespace.spec.iter().flat_map(|spec| spec.finalizers.iter().flatten());
    for (index, finalizer) in finalizers.enumerate() {
        let at = At::root("spec").child("finalizers").index(index);
        report.invalid_each(&at, finalizer, names::qualified_name(finalizer));
        metadata::known_finalizer(report, &at, finalizer);
    }
}

/// What of an object's metadata may not change.
fn meta(report: &mut Report, new: &ObjectMeta, old: &ObjectMeta) {
    let at = At::root("metadata");
    if old.deletion_timestamp.is_some() {
        let before = old.finalizers.as_deref().unwrap_or_default();
        let mut extra: Vec<String> =
            new.finalizers.iter().flatten().filter(|it| !before.contains(it)).map(|it| format!("{it:?}")).collect();
        extra.sort();
        extra.dedup();
        if !extra.is_empty() {
            let list = extra.join(", ");
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{list}}}"
            );
            report.forbidden(&at.child("finalizers"), &detail);
        }
    }
    if new.uid.is_some() {
        immutable(report, &at.child("uid"), &new.uid, &old.uid);
    }
    // What is going stays so, whatever is written.
    if old.deletion_timestamp.is_none() {
        immutable(report, &at.child("deletionTimestamp"), &new.deletion_timestamp, &old.deletion_timestamp);
    }
    let (grace, before) = (new.deletion_grace_period_seconds, old.deletion_grace_period_seconds);
    if grace.is_some() {
        immutable(report, &at.child("deletionGracePeriodSeconds"), &grace, &before);
    }
}

/// Refuses a change; the new value is shown.
pub(super) fn immutable<T: Serialize>(report: &mut Report, at: &At, new: &T, old: &T) {
    if !same(new, old) {
        report.invalid(at, &AsJson(new), IMMUTABLE);
    }
}

/// Refuses a change of a value that is shown by the names of an internal type.
fn immutable_as<T: Serialize>(report: &mut Report, at: &At, pair: (&Option<T>, &Option<T>), show: fn(&T) -> String) {
    if !same(pair.0, pair.1) {
        let value = pair.0.as_ref().map_or_else(|| "null".to_owned(), show);
        report.invalid(at, &AsWritten(&value), IMMUTABLE);
    }
}

fn selector(report: &mut Report, new: Option<LabelSelector>, old: Option<LabelSelector>) {
    // One that is not given at all is shown as none.
    let new = new.filter(given);
    immutable_as(report, &At::root("spec").child("selector"), (&new, &old), shown::selector);
}

/// Whether the API server takes two values for the same.
pub(super) fn same<T: Serialize>(one: &T, other: &T) -> bool {
    let plain = |value: &T| {
        let mut value = serde_json::to_value(value).unwrap_or_default();
        without_nothing(&mut value);
        value
    };
    plain(one) == plain(other)
}

/// Fields that are maps of text: without entries they are as good as missing.
const MAPS: [&str; 14] = [
    "annotations",
    "binaryData",
    "capacity",
    "data",
    "labels",
    "limits",
    "matchLabels",
    "nodeSelector",
    "options",
    "overhead",
    "parameters",
    "requests",
    "selector",
    "volumeAttributes",
];

fn without_nothing(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(without_nothing);
            map.retain(|key, value| match value {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Object(entries) => !entries.is_empty() || !MAPS.contains(&key.as_str()),
                _ => true,
            });
        }
        Value::Array(items) => items.iter_mut().for_each(without_nothing),
        _ => {}
    }
}

fn stateful_set(report: &mut Report, new: &StatefulSet, old: &StatefulSet) {
    // Claims' templates and the Service's name cannot change: those that once were good stay so.
    let mut judged = new.clone();
    if let Some(spec) = &mut judged.spec {
        spec.service_name = None;
    }
    sets::stored_stateful_set(report, &judged);
    let kept = |object: &StatefulSet| {
        let mut spec = object.spec.clone().unwrap_or_default();
        (spec.replicas, spec.min_ready_seconds, spec.ordinals, spec.revision_history_limit) = Default::default();
        (spec.template, spec.update_strategy) = Default::default();
        spec.persistent_volume_claim_retention_policy = None;
        for claim in spec.volume_claim_templates.iter_mut().flatten() {
            claim.status = None;
            claim.metadata.creation_timestamp = None;
        }
        spec
    };
    if !same(&kept(new), &kept(old)) {
        let fields = "'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', \
                      'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds'";
        let detail = format!("updates to statefulset spec for fields other than {fields} are forbidden");
        report.forbidden(&At::root("spec"), &detail);
    }
}

fn job(report: &mut Report, new: &Job, old: &Job) {
    batch::stored_job(report, new, batch::has_prefixed_labels(old));
    let (empty, at) = (JobSpec::default(), At::root("spec"));
    let (spec, was) = (new.spec.as_ref().unwrap_or(&empty), old.spec.as_ref().unwrap_or(&empty));
    let completions_at = at.child("completions");
    if spec.completion_mode.as_deref() != Some("Indexed") {
        immutable(report, &completions_at, &spec.completions, &was.completions);
    } else if spec.completions != was.completions && spec.completions.is_some() && spec.completions != spec.parallelism
    {
        let detail = "can only be modified in tandem with spec.parallelism";
        report.invalid(&completions_at, &AsJson(&spec.completions), detail);
    }
    immutable_as(report, &at.child("selector"), (&spec.selector, &was.selector), shown::selector);
    if !same_template(spec, was, old) {
        report.invalid_as_a_whole(&at.child("template"), IMMUTABLE);
    }
    immutable(report, &at.child("completionMode"), &spec.completion_mode, &was.completion_mode);
    let policies = (&spec.pod_failure_policy, &was.pod_failure_policy);
    immutable_as(report, &at.child("podFailurePolicy"), policies, shown::failure_policy);
    let (limit, before) = (&spec.backoff_limit_per_index, &was.backoff_limit_per_index);
    immutable(report, &at.child("backoffLimitPerIndex"), limit, before);
    immutable(report, &at.child("managedBy"), &spec.managed_by, &was.managed_by);
    let policies = (&spec.success_policy, &was.success_policy);
    immutable_as(report, &at.child("successPolicy"), policies, shown::success_policy);
}

/// The template stays; where its pods may run, and their labels and annotations, may change of a suspended Job that has
/// not begun.
fn same_template(new: &JobSpec, old: &JobSpec, stored: &Job) -> bool {
    let has_begun = stored.status.as_ref().is_some_and(|status| status.start_time.is_some());
    if old.suspend != Some(true) || has_begun {
        return same(&new.template, &old.template);
    }
    let fixed = |spec: &JobSpec| {
        let mut template = spec.template.clone();
        if let Some(meta) = &mut template.metadata {
            (meta.labels, meta.annotations) = (None, None);
        }
        if let Some(pod) = &mut template.spec {
            (pod.node_selector, pod.tolerations, pod.scheduling_gates) = (None, None, None);
            if let Some(affinity) = &mut pod.affinity {
                affinity.node_affinity = None;
            }
            pod.affinity = pod.affinity.take().filter(|it| it.pod_affinity.is_some() || it.pod_anti_affinity.is_some());
        }
        template
    };
    same(&fixed(new), &fixed(old))
}

fn cron_job(report: &mut Report, new: &CronJob, old: &CronJob) {
    batch::cron_job_spec(report, new, old.spec.as_ref());
}

/// What an object that is once immutable says to each change.
const SET: &str = "field is immutable when `immutable` is set";

fn config_map(report: &mut Report, new: &ConfigMap, old: &ConfigMap) {
    if old.immutable == Some(true) {
        let changed = [
            ("immutable", new.immutable != Some(true)),
            ("data", !same(&new.data.clone().unwrap_or_default(), &old.data.clone().unwrap_or_default())),
            ("binaryData", new.binary_data.clone().unwrap_or_default() != old.binary_data.clone().unwrap_or_default()),
        ];
        for (field, _) in changed.into_iter().filter(|(_, changed)| *changed) {
            report.forbidden(&At::root(field), SET);
        }
    }
    config::config_map(report, new);
}

fn secret(report: &mut Report, new: &Secret, old: &Secret) {
    immutable(report, &At::root("type"), &new.type_, &old.type_);
    if old.immutable == Some(true) {
        let data = |secret: &Secret| secret.data.clone().unwrap_or_default();
        let changed = [("immutable", new.immutable != Some(true)), ("data", data(new) != data(old))];
        for (field, _) in changed.into_iter().filter(|(_, changed)| *changed) {
            report.forbidden(&At::root(field), SET);
        }
    }
    config::secret(report, new);
}

fn node(report: &mut Report, new: &Node, old: &Node) {
    // The status is kept, whatever is written.
    workload::node(report, &Node { status: old.status.clone(), ..new.clone() });
    let (spec, was) = (new.spec.clone().unwrap_or_default(), old.spec.clone().unwrap_or_default());
    let at = At::root("spec");
    if was.pod_cidrs.as_ref().is_some_and(|ranges| !ranges.is_empty()) && spec.pod_cidrs != was.pod_cidrs {
        report.forbidden(&at.child("podCIDRs"), "node updates may not change podCIDR except from \"\" to valid");
    }
    let provider = |id: Option<String>| id.unwrap_or_default();
    let (id, before) = (provider(spec.provider_id), provider(was.provider_id));
    if !before.is_empty() && id != before {
        report.forbidden(&at.child("providerID"), "node updates may not change providerID except from \"\" to valid");
    }
}

fn quota(report: &mut Report, new: &ResourceQuota, old: &ResourceQuota) {
    policy::quota(report, new);
    let scopes = |object: &ResourceQuota| {
        let mut scopes = object.spec.clone().unwrap_or_default().scopes.unwrap_or_default();
        scopes.sort();
        scopes.dedup();
        scopes
    };
    if scopes(new) != scopes(old) {
        let shown = new.spec.as_ref().and_then(|spec| spec.scopes.as_ref());
        report.invalid(&At::root("spec").child("scopes"), &AsJson(&shown), IMMUTABLE);
    }
}
