//! What has become of a pod and of its containers.

use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::model::{Absent, Address, Conditions, Seldom};
use crate::one_or_several::OneOrSeveral;
use crate::time::{Time, TimeOrNone};

/// What has become of a pod.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PodStatus {
    /// Where the pod is in its life.
    pub phase: Phase,
    /// The generation that its kubelet had seen when it last reported; 0 is none yet.
    #[serde(default)]
    pub observed_generation: u32,
    /// PodScheduled, Initialized, ContainersReady, Ready and so on.
    pub conditions: Conditions,
    /// The pod's address.
    pub pod_ip: Option<Address>,
    /// When its kubelet took it on.
    pub started_at: TimeOrNone,
    /// One entry per container, in the spec's order. That of a pod's only container lies here.
    pub containers: OneOrSeveral<ContainerStatus>,
    /// What is told of few pods, read and written as if it stood here.
    #[serde(flatten)]
    pub extras: Seldom<PodStatusExtras>,
}

/// What is told of few pods.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PodStatusExtras {
    /// One CamelCase word for why the phase is so (`Evicted`, `OutOfcpu`), or empty.
    pub reason: Name,
    /// A sentence for it, or empty.
    pub message: Name,
    /// One entry per init container, in the spec's order.
    pub init_containers: Vec<ContainerStatus>,
    /// The node that preemption makes room on.
    pub nominated_node: Option<Name>,
}

const _: () = assert!(size_of::<PodStatus>() <= 144, "there are hundreds of thousands of statuses");

impl Absent for PodStatusExtras {
    const ABSENT: &'static Self = &PodStatusExtras {
        reason: Name::new(),
        message: Name::new(),
        init_containers: Vec::new(),
        nominated_node: None,
    };
}

impl Deref for PodStatus {
    type Target = PodStatusExtras;

    fn deref(&self) -> &PodStatusExtras {
        &self.extras
    }
}

impl DerefMut for PodStatus {
    fn deref_mut(&mut self) -> &mut PodStatusExtras {
        &mut self.extras
    }
}

/// In the order of the API, whatever is told of few pods. The first generation, which is that of nearly all pods, is
/// not hashed: there would be nothing in it beside that the kubelet has taken the pod on.
impl Hash for PodStatus {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let PodStatus { phase, observed_generation, conditions, pod_ip, started_at, containers, extras } = self;
        let PodStatusExtras { reason, message, init_containers, nominated_node } = &**extras;
        (phase, reason, message, conditions).hash(state);
        (pod_ip, started_at, containers, init_containers, nominated_node).hash(state);
        if *observed_generation > 1 {
            observed_generation.hash(state);
        }
    }
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
