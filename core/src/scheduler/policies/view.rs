//! What a policy sees of a pod, of a node and of the attempt.

use crate::id::Name;
use crate::model::{Labels, Node, PodSpec};
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::gpu::{GpuRequest, Gpus};
use crate::scheduler::traits::PodTraits;

/// A pod that seeks a node.
#[derive(Clone, Copy)]
pub struct PodView<'a>(pub(in crate::scheduler) &'a PodTraits);

impl<'a> PodView<'a> {
    /// CPU in thousandths of a core; a container without a request counts with 100.
    pub fn cpu_milli(self) -> i64 {
        self.0.scored_cpu_milli
    }

    /// Memory in bytes; a container without a request counts with 200 MiB.
    pub fn memory_bytes(self) -> i64 {
        self.0.scored_memory_bytes
    }

    /// What it asks of a node's GPUs.
    pub fn gpu(self) -> GpuRequest {
        self.0.gpu
    }

    /// The amount of an extended resource; 0 if it asks for none.
    pub fn extended(self, name: &str) -> i64 {
        self.0.requests.extended.get(name).copied().unwrap_or(0)
    }

    /// Everything else that is wanted of it.
    pub fn spec(self) -> &'a PodSpec {
        &self.0.spec
    }
}

/// A node with what its pods leave of it.
#[derive(Clone, Copy)]
pub struct NodeView<'a>(pub(in crate::scheduler) &'a NodeInfo);

impl<'a> NodeView<'a> {
    /// The node's name.
    pub fn name(self) -> &'a Name {
        &self.0.name
    }

    /// Allocatable CPU in thousandths of a core.
    pub fn cpu_all(self) -> i64 {
        self.0.cpu_all
    }

    /// CPU that pods have not asked for.
    pub fn cpu_free(self) -> i64 {
        self.0.cpu_all - self.0.cpu_used
    }

    /// Allocatable memory in bytes.
    pub fn memory_all(self) -> i64 {
        self.0.memory_all
    }

    /// Memory that pods have not asked for.
    pub fn memory_free(self) -> i64 {
        self.0.memory_all - self.0.memory_used
    }

    /// How many pods are on it.
    pub fn pods(self) -> i64 {
        self.0.pods
    }

    /// Its GPUs.
    pub fn gpus(self) -> &'a Gpus {
        &self.0.gpus
    }

    /// The model of its GPUs.
    pub fn gpu_model(self) -> Option<&'a Name> {
        self.0.gpu_model.as_ref()
    }

    /// Its labels; `None` while only its pods are known.
    pub fn labels(self) -> Option<&'a Labels> {
        self.node().map(|node| &node.meta.labels)
    }

    /// The object itself; `None` while only its pods are known.
    pub fn node(self) -> Option<&'a Node> {
        self.0.node.as_deref()
    }
}

/// The attempt, for policies that depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cycle {
    /// A random value of this attempt, the same for all nodes.
    pub draw: u64,
    /// How many nodes are feasible.
    pub feasible: u32,
    /// Which of them, in the order in which they were found, is asked about.
    pub place: u32,
}
