//! Which thresholds of eviction a node has crossed, which conditions follow, and which pod must go: pure functions.
//!
//! Source: `managerImpl.synchronize`, pkg/kubelet/eviction/eviction_manager.go, and helpers.go beside it (v1.34.1).
//! Absent on purpose: inodes, allocatable memory, volumes, and the kernel's own notices, which are off by default.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::sync::Arc;

use crate::config::{EvictionConfig, EvictionSignal, EvictionThreshold};
use crate::id::Uid;
use crate::kubelet::{ContainerIndex, ContainerUsage, NodeUsage, PodUsage};
use crate::model::{
    ConditionKind, Container, EmptyDir, Pod, PodVolumeSource, QosClass, ResourceName, Resources, Taint, TaintEffect,
};
use crate::quantity::{Format, Quantity};
use crate::time::Time;

/// The conditions that eviction sets, in the order of their names in messages.
pub(super) const CONDITIONS: [(ConditionKind, &str); 3] = [
    (ConditionKind::MemoryPressure, "MemoryPressure"),
    (ConditionKind::DiskPressure, "DiskPressure"),
    (ConditionKind::PidPressure, "PIDPressure"),
];

/// What is remembered from one look to the next.
#[derive(Default)]
pub(super) struct Memory {
    /// Thresholds that were met and whose grace was over, by their place in the configuration.
    met: Vec<usize>,
    /// Since when each threshold has been met.
    first_observed: Vec<(usize, Time)>,
    /// When each of [`CONDITIONS`] was last observed.
    observed_at: [Option<Time>; 3],
}

/// What one look at a node says.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Findings {
    /// Which of [`CONDITIONS`] hold.
    pub(super) conditions: [bool; 3],
    /// The threshold that something must be done about, by its place in the configuration.
    pub(super) act_on: Option<usize>,
    /// Whether any threshold is met or any condition holds: then the node is looked at again.
    pub(super) restless: bool,
}

/// The condition that a signal belongs to, by its place in [`CONDITIONS`].
fn condition_of(signal: EvictionSignal) -> usize {
    match signal {
        EvictionSignal::MemoryAvailable => 0,
        EvictionSignal::NodeFsAvailable | EvictionSignal::ImageFsAvailable => 1,
        EvictionSignal::PidAvailable => 2,
    }
}

/// Whether a threshold is met; with `reclaim`, so much more must be available that it is not.
pub(super) fn is_met(config: &EvictionConfig, threshold: &EvictionThreshold, usage: &NodeUsage, reclaim: bool) -> bool {
    let Some(supply) = usage.supply(threshold.signal) else { return false };
    let minimum = config.minimum_reclaim.iter().find(|(signal, _)| *signal == threshold.signal && reclaim);
    let wanted = threshold.value.of(supply.capacity) + minimum.map_or(0, |(_, amount)| amount.of(supply.capacity));
    supply.available < wanted
}

impl Memory {
    /// Looks at a node.
    pub(super) fn look(&mut self, config: &EvictionConfig, usage: &NodeUsage, now: Time) -> Findings {
        let met: Vec<usize> = (0..config.thresholds.len())
            .filter(|place| is_met(config, &config.thresholds[*place], usage, self.met.contains(place)))
            .collect();
        let first = |place: usize| self.first_observed.iter().find(|(other, _)| *other == place).map_or(now, |it| it.1);
        self.first_observed = met.iter().map(|place| (*place, first(*place))).collect();
        for place in &met {
            self.observed_at[condition_of(config.thresholds[*place].signal)] = Some(now);
        }
        let holds =
            |at: Option<Time>| at.is_some_and(|at| now.since(at) < config.pressure_transition_period || at == now);
        let conditions = self.observed_at.map(holds);
        self.met = self
            .first_observed
            .iter()
            .filter(|(place, since)| config.thresholds[*place].grace.is_none_or(|grace| now.since(*since) >= grace))
            .map(|(place, _)| *place)
            .collect();
        let is_memory = |place: &&usize| config.thresholds[**place].signal == EvictionSignal::MemoryAvailable;
        let act_on = self.met.iter().find(is_memory).or(self.met.first()).copied();
        Findings { conditions, act_on, restless: !met.is_empty() || conditions.contains(&true) }
    }
}

/// A pod that may be evicted, with what it uses.
pub(super) struct Candidate<'a> {
    pub(super) pod: &'a Arc<Pod>,
    pub(super) usage: Option<&'a PodUsage>,
}

/// Sorts candidates: the first is evicted first. Those that use more than they asked for come before the others, lower
/// priorities before higher ones, and then the farthest above its request. Pods of which nothing is known come first;
/// those with the most processes come first among their priority.
///
/// Source: `rankMemoryPressure`, `rankDiskPressureFunc`, `rankPIDPressure`, pkg/kubelet/eviction/helpers.go (v1.34.1).
pub(super) fn rank(candidates: &mut [Candidate<'_>], signal: EvictionSignal) {
    candidates.sort_by_key(|candidate| {
        let priority = candidate.pod.spec.priority;
        let Some(usage) = candidate.usage else {
            let first = if signal == EvictionSignal::PidAvailable { 0 } else { 2 };
            return (Reverse(first), priority, Reverse(i64::MAX));
        };
        if signal == EvictionSignal::PidAvailable {
            return (Reverse(0), priority, Reverse(usage.containers.iter().map(|it| it.processes).sum()));
        }
        let used: i64 = usage.containers.iter().map(|it| used(it, signal)).sum();
        let requested = requested(&super::admission::requests(&candidate.pod.spec), signal);
        (Reverse(i32::from(used > requested)), priority, Reverse(used - requested))
    });
}

fn used(usage: &ContainerUsage, signal: EvictionSignal) -> i64 {
    match signal {
        EvictionSignal::MemoryAvailable => usage.memory_bytes,
        EvictionSignal::NodeFsAvailable | EvictionSignal::ImageFsAvailable => usage.disk_bytes,
        EvictionSignal::PidAvailable => usage.processes,
    }
}

fn requested(of: &Resources, signal: EvictionSignal) -> i64 {
    match signal {
        EvictionSignal::MemoryAvailable => of.memory_bytes,
        EvictionSignal::NodeFsAvailable | EvictionSignal::ImageFsAvailable => of.ephemeral_bytes,
        EvictionSignal::PidAvailable => 0,
    }
}

fn is_of_disk(signal: EvictionSignal) -> bool {
    matches!(signal, EvictionSignal::NodeFsAvailable | EvictionSignal::ImageFsAvailable)
}

/// The resource that a signal stands for, as messages name it.
pub(super) fn resource_of(signal: EvictionSignal) -> &'static str {
    match signal {
        EvictionSignal::MemoryAvailable => "memory",
        EvictionSignal::NodeFsAvailable | EvictionSignal::ImageFsAvailable => "ephemeral-storage",
        EvictionSignal::PidAvailable => "pids",
    }
}

/// The sentence of an evicted pod's status. It ends in a space, as the kubelet's does.
///
/// Source: `evictionMessage`, pkg/kubelet/eviction/helpers.go (v1.34.1).
pub(super) fn message(threshold: &EvictionThreshold, usage: &NodeUsage, candidate: &Candidate<'_>) -> String {
    let resource = resource_of(threshold.signal);
    let mut message = format!("The node was low on resource: {resource}. ");
    if let Some(supply) = usage.supply(threshold.signal) {
        let (quantity, available) = (threshold.value.of(supply.capacity), supply.available);
        message += &format!("Threshold quantity: {}, available: {}. ", bytes(quantity), bytes(available));
    }
    if threshold.signal == EvictionSignal::PidAvailable {
        return message;
    }
    let of_pod = candidate.pod.spec.pod_requests.as_ref().and_then(|own| own.get(&ResourceName::Memory));
    if let (Some(requested), Some(usage), EvictionSignal::MemoryAvailable) = (of_pod, candidate.usage, threshold.signal)
    {
        let used = bytes(usage.containers.iter().map(|container| container.memory_bytes).sum());
        let (name, requested) = (&candidate.pod.meta.name, bytes(*requested));
        message +=
            &format!("Pod {name} was using {used}, request is {requested}, has larger consumption of {resource}. ");
    }
    for container in candidate.usage.iter().flat_map(|usage| &usage.containers) {
        let Some(spec) = spec_of(candidate.pod, container.container) else { continue };
        let used =
            if is_of_disk(threshold.signal) { container.own_disk_bytes() } else { used(container, threshold.signal) };
        let requested = requested(&spec.requests, threshold.signal);
        if used > requested {
            let (name, used, requested) = (&spec.name, bytes(used), bytes(requested));
            message += &format!(
                "Container {name} was using {used}, request is {requested}, has larger consumption of {resource}. "
            );
        }
    }
    message
}

/// Why a pod must go that has more on its disk than it may, whatever the node has left: an empty directory against its
/// limit, all its containers together, volumes included, against the sum of theirs, or else the layer of a regular one
/// against its own.
///
/// Source: `localStorageEviction`, pkg/kubelet/eviction/eviction_manager.go (v1.34.1).
pub(super) fn over_disk_limit(pod: &Pod, usage: &PodUsage) -> Option<String> {
    for volume in &pod.spec.volumes {
        let PodVolumeSource::EmptyDir(EmptyDir { size_limit: Some(limit), .. }) = &volume.source else { continue };
        let used = usage.containers.iter().filter(|container| container.volume == volume.name);
        let used: i64 = used.map(|container| container.disk_bytes).sum();
        if limit.value() > 0 && used > limit.value() {
            return Some(format!("Usage of EmptyDir volume \"{}\" exceeds the limit \"{limit}\". ", volume.name));
        }
    }
    let of_pod = pod.spec.sum_of_containers(|container| container.limits.clone()).ephemeral_bytes;
    let total: i64 = usage.containers.iter().map(|container| container.disk_bytes).sum();
    if of_pod > 0 && total > of_pod {
        let limit = bytes(of_pod);
        return Some(format!("Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "));
    }
    let over = |container: &&ContainerUsage| {
        let ContainerIndex::Main(number) = container.container else { return false };
        let limit = pod.spec.containers.get(usize::from(number)).map_or(0, |spec| spec.limits.ephemeral_bytes);
        limit > 0 && container.own_disk_bytes() > limit
    };
    let container = usage.containers.iter().find(over)?;
    let spec = spec_of(pod, container.container)?;
    let limit = bytes(spec.limits.ephemeral_bytes);
    Some(format!("Container {} exceeded its local ephemeral storage limit \"{limit}\". ", spec.name))
}

/// Why a node under pressure does not take a pod; `None` if it does.
///
/// Source: `managerImpl.Admit`, pkg/kubelet/eviction/eviction_manager.go (v1.34.1).
pub(super) fn refusal(pod: &Pod, conditions: [bool; 3]) -> Option<String> {
    if conditions == [false; 3] || pod.spec.is_critical() {
        return None;
    }
    if conditions == [true, false, false] {
        let key = "node.kubernetes.io/memory-pressure".into();
        let taint = Taint { key, value: "".into(), effect: TaintEffect::NoSchedule, added_at: None };
        let endured = pod.spec.tolerations.iter().any(|toleration| toleration.tolerates(&taint));
        if endured || pod.spec.qos_class() != QosClass::BestEffort {
            return None;
        }
    }
    let names = CONDITIONS.iter().zip(conditions).filter(|(_, holds)| *holds).map(|((_, name), _)| *name);
    Some(format!("The node had condition: [{}]. ", names.collect::<Vec<_>>().join(" ")))
}

/// What a pod uses, by its uid.
pub(super) fn usage_of(usage: &NodeUsage, pod: Uid) -> Option<&PodUsage> {
    usage.pods.iter().find(|it| it.pod == pod)
}

fn spec_of(pod: &Pod, container: ContainerIndex) -> Option<&Container> {
    match container {
        ContainerIndex::Init(number) => pod.spec.init_containers.get(usize::from(number)),
        ContainerIndex::Main(number) => pod.spec.containers.get(usize::from(number)),
    }
}

fn bytes(number: i64) -> String {
    Quantity::from_units(number, Format::BinarySi).to_string()
}
