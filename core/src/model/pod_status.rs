//! What has become of a pod and of its containers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::model::Conditions;
use crate::time::Time;

/// What has become of a pod.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct PodStatus {
    /// Where the pod is in its life.
    pub phase: Phase,
    /// One CamelCase word for why it is so (`Evicted`, `OutOfcpu`), or empty.
    pub reason: Name,
    /// A sentence for it, or empty.
    pub message: Name,
    /// PodScheduled, Initialized, ContainersReady, Ready and so on.
    pub conditions: Conditions,
    /// The pod's address.
    pub pod_ip: Option<Name>,
    /// When its kubelet took it on.
    pub started_at: Option<Time>,
    /// One entry per container, in the spec's order.
    pub containers: Vec<ContainerStatus>,
    /// One entry per init container, in the spec's order.
    pub init_containers: Vec<ContainerStatus>,
    /// The node that preemption makes room on.
    pub nominated_node: Option<Name>,
}

/// Where a pod is in its life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Phase {
    /// Not all containers have started yet.
    #[default]
    Pending,
    /// At least one container runs or is being restarted.
    Running,
    /// All containers have ended well and stay ended.
    Succeeded,
    /// All containers have ended, one of them badly, and stay ended.
    Failed,
    /// The node cannot be asked.
    Unknown,
}

/// What has become of one container.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ContainerStatus {
    /// What it is doing.
    pub state: ContainerState,
    /// How it last ended.
    pub last_terminated: Option<Arc<Terminated>>,
    /// Whether it may get traffic.
    pub ready: bool,
    /// Whether it has passed its startup probe.
    pub started: bool,
    /// How often it was started again.
    pub restarts: u32,
}

/// What a container is doing.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ContainerState {
    /// It has not started; the reason is one word such as `ContainerCreating` or `CrashLoopBackOff`.
    Waiting {
        /// Why.
        reason: Name,
        /// A sentence, or empty.
        message: Name,
    },
    /// It has been running since then.
    Running {
        /// When it started.
        since: Time,
    },
    /// It has ended.
    Terminated(Arc<Terminated>),
}

/// How a container ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Terminated {
    /// Its exit code; 128 + signal if a signal ended it.
    pub exit_code: i32,
    /// `Completed`, `Error`, `OOMKilled` or `ContainerStatusUnknown`.
    pub reason: Name,
    /// When it had started.
    pub started_at: Time,
    /// When it ended.
    pub finished_at: Time,
}
