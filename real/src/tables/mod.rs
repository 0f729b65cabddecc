//! Objects as tables for people, in the columns of `kubectl get`.

mod batch;
mod config;
mod policy;
mod storage;

use wavetank_core::{
    model::{ContainerState, Object, Phase, Pod},
    time::{Span, Time},
};

/// A table of objects of one kind, each line ended; empty if there are none.
pub fn table(now: Time, objects: &[Object]) -> String {
    let Some(first) = objects.first() else { return String::new() };
    let mut rows = vec![heads(first).iter().map(|head| (*head).to_owned()).collect::<Vec<_>>()];
    rows.extend(objects.iter().map(|object| row(now, object)));
    let columns = rows[0].len();
    let widths: Vec<usize> =
        (0..columns).map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("   ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn heads(object: &Object) -> &'static [&'static str] {
    match object {
        Object::Pod(_) => &["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"],
        Object::Deployment(_) => &["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"],
        Object::ReplicaSet(_) => &["NAME", "DESIRED", "CURRENT", "READY", "AGE"],
        Object::StatefulSet(_) => &["NAME", "READY", "AGE"],
        Object::DaemonSet(_) => {
            &["NAME", "DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE", "NODE SELECTOR", "AGE"]
        }
        Object::ControllerRevision(_) => &["NAME", "CONTROLLER", "REVISION", "AGE"],
        Object::ReplicationController(_) => &["NAME", "DESIRED", "CURRENT", "READY", "AGE"],
        Object::Job(_) => batch::JOB_HEADS,
        Object::CronJob(_) => batch::CRON_JOB_HEADS,
        Object::Node(_) => &["NAME", "STATUS", "AGE", "ADDRESS"],
        Object::PersistentVolume(_) => storage::VOLUME_HEADS,
        Object::PersistentVolumeClaim(_) => storage::CLAIM_HEADS,
        Object::StorageClass(_) => storage::CLASS_HEADS,
        Object::CSINode(_) => &["NAME", "DRIVERS", "AGE"],
        Object::VolumeAttachment(_) => &["NAME", "ATTACHER", "PV", "NODE", "ATTACHED", "AGE"],
        Object::CSIDriver(_) => &["NAME", "ATTACHREQUIRED", "STORAGECAPACITY", "AGE"],
        Object::CSIStorageCapacity(_) => &["NAME", "STORAGECLASSNAME", "CAPACITY"],
        Object::ConfigMap(_) => config::CONFIG_MAP_HEADS,
        Object::Secret(_) => config::SECRET_HEADS,
        Object::ServiceAccount(_) => config::ACCOUNT_HEADS,
        Object::ResourceQuota(_) => policy::QUOTA_HEADS,
        Object::PriorityClass(_) => policy::CLASS_HEADS,
        _ => &["NAME", "AGE"],
    }
}

fn or_none(text: &Option<impl ToString>) -> String {
    text.as_ref().map_or_else(|| "<none>".to_owned(), ToString::to_string)
}

fn row(now: Time, object: &Object) -> Vec<String> {
    let meta = object.meta();
    let age = age(now.since(meta.created_at));
    let name = if &*meta.namespace == "default" || meta.namespace.is_empty() {
        meta.name.to_string()
    } else {
        format!("{}/{}", meta.namespace, meta.name)
    };
    match object {
        Object::Pod(pod) => {
            let ready = pod.status.containers.iter().filter(|container| container.ready).count();
            let restarts: u32 = pod.status.containers.iter().map(|container| container.restarts).sum();
            let ready = format!("{ready}/{}", pod.spec.containers.len());
            let (ip, node) = (or_none(&pod.status.pod_ip), or_none(&pod.node));
            vec![name, ready, status(pod), restarts.to_string(), age, ip, node]
        }
        Object::Deployment(deployment) => {
            let status = &deployment.status;
            let ready = format!("{}/{}", status.ready, deployment.replicas);
            vec![name, ready, status.updated.to_string(), status.available.to_string(), age]
        }
        Object::ReplicaSet(set) => {
            let (desired, current) = (set.replicas.to_string(), set.status.replicas.to_string());
            vec![name, desired, current, set.status.ready.to_string(), age]
        }
        Object::StatefulSet(set) => vec![name, format!("{}/{}", set.status.ready, set.replicas), age],
        Object::DaemonSet(set) => {
            let status = &set.status;
            let counts = [status.desired, status.current, status.ready, status.updated, status.available];
            let selector = set.template.spec.node_selector.iter().map(|(key, value)| format!("{key}={value}"));
            let selector = selector.collect::<Vec<_>>().join(",");
            let selector = if selector.is_empty() { "<none>".to_owned() } else { selector };
            [name].into_iter().chain(counts.map(|count| count.to_string())).chain([selector, age]).collect()
        }
        Object::ControllerRevision(revision) => {
            let owner = revision.meta.controller().map(|owner| {
                let kind = owner.kind;
                let group = kind.api_version().split_once('/').map_or("", |(group, _)| group);
                format!("{}.{group}/{}", kind.name().to_lowercase(), owner.name)
            });
            vec![name, owner.unwrap_or_else(|| "<none>".to_owned()), revision.revision.to_string(), age]
        }
        Object::ReplicationController(set) => {
            let (desired, current) = (set.replicas.to_string(), set.status.replicas.to_string());
            vec![name, desired, current, set.status.ready.to_string(), age]
        }
        Object::Job(job) => batch::job(now, name, job, age),
        Object::CronJob(cron_job) => batch::cron_job(now, name, cron_job, age),
        Object::Node(node) => {
            let mut status = if node.is_ready() { "Ready" } else { "NotReady" }.to_owned();
            if node.spec.unschedulable {
                status.push_str(",SchedulingDisabled");
            }
            vec![name, status, age, node.status.address.as_deref().unwrap_or("<none>").to_owned()]
        }
        Object::PersistentVolume(volume) => storage::volume(name, volume, age),
        Object::PersistentVolumeClaim(claim) => storage::claim(name, claim, age),
        Object::StorageClass(class) => storage::class(name, class, age),
        Object::CSINode(node) => vec![name, node.drivers.len().to_string(), age],
        Object::VolumeAttachment(attachment) => storage::attachment(name, attachment, age),
        Object::CSIDriver(driver) => {
            vec![name, driver.attach_required.to_string(), driver.storage_capacity.to_string(), age]
        }
        Object::CSIStorageCapacity(capacity) => {
            let amount = capacity.capacity.map_or_else(|| "<unset>".to_owned(), |amount| amount.to_string());
            vec![name, capacity.storage_class.to_string(), amount]
        }
        Object::ConfigMap(map) => config::config_map(name, map, age),
        Object::Secret(secret) => config::secret(name, secret, age),
        Object::ServiceAccount(account) => config::account(name, account, age),
        Object::ResourceQuota(quota) => policy::quota(name, quota, age),
        Object::PriorityClass(class) => policy::class(name, class, age),
        _ => vec![name, age],
    }
}

/// One word for what a pod is doing.
///
/// Source: `printPod`, pkg/printers/internalversion/printers.go (v1.34.1), without its cases for init containers.
fn status(pod: &Pod) -> String {
    if pod.meta.is_terminating() {
        return "Terminating".to_owned();
    }
    let waiting = pod.status.containers.iter().rev().find_map(|container| match &container.state {
        ContainerState::Waiting { reason, .. } if !reason.is_empty() => Some(reason.to_string()),
        ContainerState::Terminated(end) if !end.reason.is_empty() => Some(end.reason.to_string()),
        _ => None,
    });
    if let Some(waiting) = waiting {
        return waiting;
    }
    if !pod.status.reason.is_empty() {
        return pod.status.reason.to_string();
    }
    match pod.status.phase {
        Phase::Pending => "Pending",
        Phase::Running => "Running",
        Phase::Succeeded => "Succeeded",
        Phase::Failed => "Failed",
        Phase::Unknown => "Unknown",
    }
    .to_owned()
}

/// Seconds up to two minutes, then minutes, hours and days, rounded down.
fn age(span: Span) -> String {
    match span.as_secs() {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7_200 => format!("{}m", seconds / 60),
        seconds @ 7_200..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use wavetank_core::model::{ContainerStatus, Meta};

    #[test]
    fn a_table_has_the_columns_of_kubectl() {
        let mut pod = Pod { meta: Meta::named("default", "web-1").into(), node: Some("vm".into()), ..Pod::default() };
        pod.status.phase = Phase::Running;
        pod.status.containers = vec![ContainerStatus {
            state: ContainerState::Running { since: Time::ZERO },
            last_terminated: None,
            ready: true,
            started: true,
            restarts: 2,
        }]
        .into();
        let text = table(Time::from_secs(180), &[Object::Pod(Arc::new(pod))]);
        let expected = "NAME    READY   STATUS    RESTARTS   AGE   IP       NODE\nweb-1   1/0     Running   2          \
                        3m    <none>   vm\n";
        assert_eq!(text, expected);
        assert_eq!(table(Time::ZERO, &[]), "");
    }
}
