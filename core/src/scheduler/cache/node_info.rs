//! What is known of one node: what it has, and what the pods that are counted on it take of that.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::Name;
use crate::model::{Node, ResourceName};
use crate::scheduler::gpu::{DeviceSet, Gpus};
use crate::scheduler::traits::{HostPort, PodTraits, PodVolumes};

/// One node's slot.
#[derive(Clone, Default)]
pub(in crate::scheduler) struct NodeInfo {
    pub(in crate::scheduler) name: Name,
    /// `None` while only pods are known that say they are on it.
    pub(in crate::scheduler) node: Option<Arc<Node>>,
    /// Whether the node is there and has no taint and no cordon.
    pub(in crate::scheduler) is_open: bool,
    pub(in crate::scheduler) cpu_all: i64,
    pub(in crate::scheduler) memory_all: i64,
    pub(in crate::scheduler) ephemeral_all: i64,
    pub(in crate::scheduler) pods_all: i64,
    pub(in crate::scheduler) cpu_used: i64,
    pub(in crate::scheduler) memory_used: i64,
    pub(in crate::scheduler) ephemeral_used: i64,
    /// Sums in which a container without a request counts with a default.
    pub(in crate::scheduler) cpu_scored: i64,
    pub(in crate::scheduler) memory_scored: i64,
    pub(in crate::scheduler) pods: i64,
    pub(in crate::scheduler) extended_used: BTreeMap<Name, i64>,
    /// How many pods hold a host port; more than one only if others bound them.
    pub(in crate::scheduler) host_ports: BTreeMap<HostPort, u32>,
    /// What pods with volumes have of them.
    pub(in crate::scheduler) volumes: Vec<Arc<PodVolumes>>,
    /// The node's images by name, with their sizes scaled by how many nodes have them.
    pub(in crate::scheduler) images: BTreeMap<Name, i64>,
    /// Its GPUs, if they are shared out in thousandths.
    pub(in crate::scheduler) gpus: Gpus,
    /// Their model.
    pub(in crate::scheduler) gpu_model: Option<Name>,
}

impl NodeInfo {
    /// The amount of an extended resource that pods may use.
    pub(in crate::scheduler) fn extended_all(&self, name: &Name) -> i64 {
        let listed = self.node.as_ref().and_then(|node| node.status.allocatable.extended.get(name));
        listed.copied().unwrap_or(0)
    }

    /// Whether somebody holds a host port that cannot be held beside this one.
    pub(in crate::scheduler) fn is_port_taken(&self, port: &HostPort) -> bool {
        self.host_ports.keys().any(|held| held.conflicts(port))
    }

    /// What all pods that count here ask for together of one resource.
    pub(in crate::scheduler) fn used(&self, name: &ResourceName) -> i64 {
        match name {
            ResourceName::Cpu => self.cpu_used,
            ResourceName::Memory => self.memory_used,
            ResourceName::EphemeralStorage => self.ephemeral_used,
            ResourceName::Pods => self.pods,
            ResourceName::Extended(name) => self.extended_used.get(name).copied().unwrap_or(0),
        }
    }

    /// The GPUs that a pod gets here if no policy chooses: the tightest; `None` if it gets none.
    pub(in crate::scheduler) fn devices_for(&self, traits: &PodTraits) -> Option<DeviceSet> {
        if traits.gpu.is_none() { None } else { self.gpus.tightest(traits.gpu) }
    }

    /// Counts a pod on devices of the node (1) or takes it back from them (-1).
    pub(in crate::scheduler) fn count(&mut self, traits: &PodTraits, devices: Option<DeviceSet>, sign: i64) {
        match devices {
            Some(devices) if sign > 0 => self.gpus.take(traits.gpu, devices),
            Some(devices) => self.gpus.give_back(traits.gpu, devices),
            None => {}
        }
        let requests = &traits.requests;
        self.cpu_used += sign * requests.cpu_milli;
        self.memory_used += sign * requests.memory_bytes;
        self.ephemeral_used += sign * requests.ephemeral_bytes;
        self.cpu_scored += sign * traits.counted_cpu_milli;
        self.memory_scored += sign * traits.counted_memory_bytes;
        self.pods += sign;
        assert!(self.pods >= 0 && self.cpu_used >= 0 && self.memory_used >= 0, "{} gave back too much", self.name);
        match &traits.volumes {
            Some(volumes) if sign > 0 => self.volumes.push(volumes.clone()),
            Some(volumes) => {
                let place = self.volumes.iter().position(|other| Arc::ptr_eq(other, volumes));
                self.volumes.swap_remove(place.expect("volumes are given back that nobody had"));
            }
            None => {}
        }
        for (name, amount) in &requests.extended {
            *self.extended_used.entry(name.clone()).or_insert(0) += sign * amount;
        }
        for port in &traits.host_ports {
            let holders = self.host_ports.entry(port.clone()).or_insert(0);
            *holders = holders.checked_add_signed(sign as i32).expect("a port is given back that nobody held");
            if *holders == 0 {
                self.host_ports.remove(port);
            }
        }
    }
}

/// What most pods are measured against on a node, copied from its slot: one cache line, so that a pass over all nodes
/// is one over a small array.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
pub(in crate::scheduler) struct Sums {
    pub(in crate::scheduler) cpu_all: i64,
    pub(in crate::scheduler) memory_all: i64,
    pub(in crate::scheduler) cpu_used: i64,
    pub(in crate::scheduler) memory_used: i64,
    pub(in crate::scheduler) cpu_scored: i64,
    pub(in crate::scheduler) memory_scored: i64,
    /// How many more pods the node may have.
    pub(in crate::scheduler) pods_left: i64,
    /// Whether the node is there, has some CPU and memory, no taint and no cordon: then nothing but these sums and the
    /// node's labels and ports tells it from others.
    pub(in crate::scheduler) is_plain: bool,
}

impl Sums {
    /// Copies a slot.
    pub(super) fn of(info: &NodeInfo) -> Sums {
        Sums {
            cpu_all: info.cpu_all,
            memory_all: info.memory_all,
            cpu_used: info.cpu_used,
            memory_used: info.memory_used,
            cpu_scored: info.cpu_scored,
            memory_scored: info.memory_scored,
            pods_left: info.pods_all - info.pods,
            is_plain: info.is_open && info.cpu_all != 0 && info.memory_all != 0,
        }
    }
}
