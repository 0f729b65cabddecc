//! The seam between the core and its two worlds: what goes in and what comes out.
//!
//! Everything that crosses is data, so it can be logged, hashed, compared between the worlds and replayed. So are the
//! messages between processes, which the world carries: this is the language that all of them speak, and it knows none
//! of them.
//!
//! Parts: `request` and `answer` are what an API server is asked and what it says, `runtime` is what a kubelet and its
//! container runtime say to each other, `usage` among it what a machine has left.

mod answer;
mod request;
mod runtime;
mod usage;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(crate) use answer::NAMESPACE_TERMINATING;
pub use answer::{Answer, Refusal, Reply, Taken};
pub use request::{Patch, Propagation, Request};
pub use runtime::{
    Boot, ContainerConfig, ContainerIndex, HookKind, ImageSize, MountedFile, ProbeKind, RunningContainer, RunningPod,
    RuntimeEvent, RuntimeRequest,
};
pub use usage::{ContainerUsage, ImageUsage, NodeUsage, PodUsage, Supply, UsageLevels};

use crate::facts::Fact;
use crate::id::{Name, ProcId, RequestId, Revision, Uid};
use crate::model::{Node, Object, ObjectKey, Pod};
use crate::time::Time;

/// What a world tells the core.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Input {
    /// A timer that the core armed has come due.
    Timer(ProcId, TimerKind),
    /// A message has arrived.
    Message {
        /// Who sent it.
        from: ProcId,
        /// Whom it is for.
        to: ProcId,
        /// What it says.
        body: Msg,
    },
    /// Every write up to this revision is on stable storage.
    Persisted(Revision),
    /// A process has died; whatever it held in memory is gone.
    Crashed(ProcId),
    /// A process has started.
    Started(ProcId),
}

/// What the core asks of its world.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Effect {
    /// Give [`Input::Timer`] at this time. A timer of the same process and kind that is armed already is moved.
    Arm(ProcId, TimerKind, Time),
    /// Forget a timer; one that is not armed is no mistake.
    Disarm(ProcId, TimerKind),
    /// Carry a message. It may arrive late or never; messages from one process to another do not overtake each other.
    Send {
        /// Who sends it.
        from: ProcId,
        /// Whom it is for.
        to: ProcId,
        /// What it says.
        body: Msg,
    },
    /// Bring every write up to this revision to stable storage and say so with [`Input::Persisted`].
    Persist(Revision),
    /// Something worth telling happened. Facts are for people, checkers and reports; nothing comes back.
    Record(Fact),
}

/// A message between processes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Msg {
    /// A client asks an API server.
    Request(RequestId, Box<Request>),
    /// The API server answers.
    Response(RequestId, Answer),
    /// An API server tells a component that shares its memory: you may read the store up to this revision.
    Advance(Revision),
    /// An API server tells a kubelet about one of its pods, new or changed.
    PodChanged(Arc<Pod>),
    /// An API server tells a kubelet that a pod's object is gone.
    PodRemoved(Uid),
    /// An API server tells a kubelet about a ConfigMap, Secret or Service that it watches, new or changed.
    ConfigChanged(Object),
    /// An API server tells a kubelet that a ConfigMap, Secret or Service that it watches is gone.
    ConfigRemoved(ObjectKey),
    /// A kubelet watches a ConfigMap or Secret no more.
    Unwatch(ObjectKey),
    /// A kubelet renews its node's lease; `renewal` counts from the kubelet's start.
    Renew {
        /// The node.
        node: Name,
        /// Which renewal of this kubelet it is.
        renewal: u64,
    },
    /// An API server tells the node lifecycle about a renewal.
    LeaseRenewed {
        /// The node.
        node: Name,
        /// Which renewal it is.
        renewal: u64,
    },
    /// A kubelet tells its container runtime what to do.
    Runtime(RuntimeRequest),
    /// The container runtime tells its kubelet what happened.
    RuntimeEvent(RuntimeEvent),
    /// The world tells a kubelet which node it is; before its first `Started`.
    Boot(Arc<Boot>),
    /// The world tells a kubelet that its connection to the API server, which was broken, is there again.
    Reconnected,
    /// The world switches a kubelet between sending each renewal and having the world vouch for it (analytic leases).
    Heartbeats {
        /// Whether each renewal is a message of its own.
        exact: bool,
    },
    /// The world tells the node lifecycle that it vouches for a node's renewals, or ceases to.
    Vouch {
        /// The node.
        node: Name,
        /// Whether renewals come in time without being delivered one by one.
        vouched: bool,
        /// On ceasing: when the newest renewals had been delivered, had each been, oldest first (at most 4).
        delivered: Vec<Time>,
    },
    /// The world tells a kubelet that its machine has been off since the kubelet last ran; before its `Started`.
    Rebooted,
    /// An API server tells a kubelet that the labels or the spec of its node have changed.
    NodeChanged(Arc<Node>),
}

/// Which of a process's timers. A process has at most one timer of each kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum TimerKind {
    /// Kubelet: the next lease renewal.
    LeaseRenewal,
    /// Kubelet: look at a pod again (back-off over, containers to be listed, retry).
    Pod(Uid),
    /// Kubelet: list the containers (PLEG).
    Relist,
    /// Kubelet: ask the API server again after no answer.
    KubeletRetry,
    /// Kubelet: look at how much of the node is left (eviction).
    NodePressure,
    /// Kubelet: look at how full the image file system is.
    ImageGc,
    /// Kubelet: the time of a group of pods is over during a shutdown.
    Shutdown,
    /// Any client: a token of the rate limit of client `n` is there.
    ClientTokens(u8),
    /// Controller manager: a delayed key of controller `n` is due.
    WorkQueue(u8),
    /// Controller manager: the node lifecycle looks at all nodes.
    NodeMonitor,
    /// Controller manager: the next taint of a zone's rate-limited queue.
    ZoneTaints,
    /// Controller manager: the next pod eviction is due.
    Eviction,
    /// Controller manager: collect pods of nodes that are gone.
    PodGc,
    /// API server: look again for the account that a new pod's request waits for.
    AccountLookup,
    /// Scheduler: pods leave the back-off queue.
    SchedulerBackoff,
    /// Scheduler: pods that have been unschedulable for long are tried again.
    SchedulerFlush,
    /// Scheduler: the cycle under way ends.
    SchedulerCycle,
    /// Scheduler: look whether the claims of pods with a node are bound.
    SchedulerVolumes,
}
