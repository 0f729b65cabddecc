//! Recorded GPU workloads: the CSV files of Alibaba's GPU cluster trace of 2023, and what a study makes of them.
//!
//! Node files have the columns `sn`, `cpu_milli`, `memory_mib`, `gpu` and `model`; pod files have `name`, `cpu_milli`,
//! `memory_mib`, `num_gpu` and `gpu_milli`, and, if they know them, `gpu_spec`, `creation_time` and `deletion_time` in
//! seconds. Other columns are passed over.
//!
//! Parts: `read` reads the files, `arrange` makes a study of them, with `choices` of ours or of the published study's
//! generator (`go_rand`).
//!
//! Source: github.com/alibaba/clusterdata, cluster-trace-gpu-v2023.

mod arrange;
mod choices;
mod go_rand;
mod read;
#[cfg(test)]
mod tests;

use wavetank_core::id::Name;
use wavetank_core::scheduler::gpu::GpuRequest;

pub use arrange::{node_order, pod_order, scale_to_demand, typical_pods};
pub use choices::Choices;
pub use read::{nodes, pods};

/// One machine of a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceNode {
    /// Its name (`sn`).
    pub name: String,
    /// CPU in thousandths of a core.
    pub cpu_milli: i64,
    /// Memory in MiB.
    pub memory_mib: i64,
    /// How many GPUs it has.
    pub gpus: u16,
    /// Their model; empty without GPUs.
    pub model: String,
}

/// One pod of a trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TracePod {
    /// Its name.
    pub name: String,
    /// CPU in thousandths of a core.
    pub cpu_milli: i64,
    /// Memory in MiB.
    pub memory_mib: i64,
    /// Its GPUs.
    pub gpu: GpuRequest,
    /// The GPU models that it takes, as the file lists them; empty is any.
    pub models: Vec<Name>,
    /// When it came, in seconds.
    pub created_s: Option<u64>,
    /// When it left, in seconds.
    pub deleted_s: Option<u64>,
}
