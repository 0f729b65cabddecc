//! Facts: what happened, for people, checkers and reports.
//!
//! The API server records the facts that a write shows (created, bound, ready, deleted …), so no component can forget
//! one; components add what no write shows (an image pull, a back-off, a failed scheduling attempt). Invariant: facts
//! name no revision and no row, so the same history told in another way (exact or analytic heartbeats) has equal facts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::author::Author;
use crate::events::Event;
use crate::id::Name;
use crate::model::ObjectKey;

/// One thing that happened to one object. The time is that of the step that recorded it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Fact {
    /// The object.
    pub subject: ObjectKey,
    /// What happened.
    pub what: What,
    /// Who asked for the write that shows it; `None` for what a component has seen or done itself.
    pub by: Option<Author>,
}

/// What happened to an object.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum What {
    /// Any kind: the object was created.
    Created {
        /// The owner that manages it, as `ReplicaSet/web-5d4`; empty if nobody does.
        owner: Name,
    },
    /// Any kind: deletion was asked for and waits for a grace period or finalizers.
    DeletionRequested,
    /// Any kind: the object is gone.
    Deleted,
    /// Pod: bound to a node.
    Scheduled {
        /// The node.
        node: Name,
    },
    /// Pod: no node fits (the scheduler's own message).
    FailedScheduling {
        /// `0/5 nodes are available: …`.
        message: Name,
    },
    /// Pod: its kubelet has refused it (`OutOfcpu` and the like).
    Rejected {
        /// The reason, one word.
        reason: Name,
        /// A sentence.
        message: Name,
    },
    /// Pod: an image pull has begun.
    Pulling {
        /// The image.
        image: Name,
    },
    /// Pod: an image is on the node.
    Pulled {
        /// The image.
        image: Name,
        /// Whether it was there before.
        already_present: bool,
    },
    /// Pod: an image could not be pulled.
    PullFailed {
        /// The image.
        image: Name,
        /// `ErrImagePull` or `ImagePullBackOff` and a sentence.
        message: Name,
    },
    /// Pod: a container has started.
    Started {
        /// The container.
        container: Name,
        /// How often it had been started before.
        restarts: u32,
    },
    /// Pod: a container has ended.
    Exited {
        /// The container.
        container: Name,
        /// Its exit code.
        exit_code: i32,
    },
    /// Pod: a container waits before its next start.
    BackOff {
        /// The container.
        container: Name,
        /// For how long, in whole seconds.
        seconds: u32,
    },
    /// Pod: a probe has failed often enough to count.
    Unhealthy {
        /// The container.
        container: Name,
        /// `Readiness`, `Liveness` or `Startup`.
        probe: Name,
    },
    /// Pod: a container is being stopped.
    Killing {
        /// The container.
        container: Name,
    },
    /// Pod: a hook of a container has failed.
    HookFailed {
        /// The container.
        container: Name,
        /// `PostStart` or `PreStop`.
        hook: Name,
    },
    /// Pod: the files of a volume are as its ConfigMap or Secret is since.
    FilesUpdated {
        /// The volume.
        volume: Name,
    },
    /// Pod: its kubelet ends it (`Evicted`, `DeadlineExceeded`, `Terminated`).
    Ended {
        /// The reason, one word.
        reason: Name,
        /// A sentence.
        message: Name,
    },
    /// Pod: a container was ended by the kernel for its memory.
    OutOfMemory {
        /// The container.
        container: Name,
    },
    /// Node: a pressure condition changed.
    Pressure {
        /// `MemoryPressure`, `DiskPressure` or `PIDPressure`.
        condition: Name,
        /// Whether it holds.
        holds: bool,
    },
    /// Node: images that nothing used were removed.
    ImagesRemoved {
        /// How many.
        images: u32,
        /// How large they were together, in bytes.
        bytes: i64,
    },
    /// Node: it shuts down and ends its pods first.
    ShuttingDown,
    /// Pod: all containers that must run have started.
    Running,
    /// Pod: it may get traffic.
    Ready,
    /// Pod: it may get no traffic any more.
    Unready {
        /// Why, one word or empty.
        reason: Name,
    },
    /// Pod: it has ended well.
    Succeeded,
    /// Pod: it has ended badly.
    Failed {
        /// Why, one word or empty.
        reason: Name,
    },
    /// Pod: a taint of its node drives it away.
    Evicted {
        /// The taint's key, or what else drove it away.
        cause: Name,
    },
    /// Node: the Ready condition became true.
    NodeReady,
    /// Node: the Ready condition became false or unknown.
    NodeNotReady {
        /// `NodeStatusUnknown`, `KubeletNotReady`.
        reason: Name,
    },
    /// Node: a taint was added.
    Tainted {
        /// `key:Effect`.
        taint: Name,
    },
    /// Node: a taint was removed.
    Untainted {
        /// `key:Effect`.
        taint: Name,
    },
    /// Node: cordoned.
    Cordoned,
    /// Node: uncordoned.
    Uncordoned,
    /// ReplicaSet, Deployment: the wanted number changed.
    Scaled {
        /// Before.
        from: u32,
        /// After.
        to: u32,
    },
    /// Deployment: the template changed.
    TemplateChanged,
    /// Deployment: a condition changed.
    Condition {
        /// `Available=True (MinimumReplicasAvailable)`.
        text: Name,
    },
    /// Service: its ready addresses changed.
    Endpoints {
        /// How many are ready.
        ready: u32,
        /// How many are not.
        not_ready: u32,
        /// Which pods' addresses became ready or stopped being so.
        moves: Box<EndpointMoves>,
    },
    /// Pod: the scheduler has chosen it to make room for another.
    Preempting {
        /// The other pod, `namespace/name`.
        by: Name,
        /// The node.
        node: Name,
    },
    /// Any kind: a component's attempt was refused (`FailedCreate`).
    Refused {
        /// A sentence.
        message: Name,
    },
    /// Any kind: what the API server told the user who wrote it, though it is stored.
    Warned {
        /// A sentence.
        message: Name,
    },
    /// Pod, or what makes pods: what the API server's audit has noted of the write that stored it
    /// (`pod-security.kubernetes.io/audit-violations`).
    Audited {
        /// A sentence.
        message: Name,
    },
    /// Zone state of the node lifecycle changed; the subject is the zone.
    ZoneState {
        /// `Normal`, `PartialDisruption`, `FullDisruption`.
        state: Name,
    },
    /// Any kind: a component says a Kubernetes event about it.
    Event(Box<Event>),
}

/// The pods behind a Service whose addresses became ready or stopped being so, at one change.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct EndpointMoves {
    /// Those that traffic may go to from now on.
    pub joined: Vec<Name>,
    /// Those that it may not go to any more.
    pub left: Vec<Name>,
}

/// So many pods are named; of more, only the number is told.
const NAMED_MAX: usize = 3;

impl fmt::Display for EndpointMoves {
    /// `: web-1 joined; web-2, web-3 left`, or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mark = ": ";
        for (pods, verb) in [(&self.joined, "joined"), (&self.left, "left")] {
            if pods.is_empty() {
                continue;
            }
            let named: Vec<&str> = pods.iter().take(NAMED_MAX).map(|pod| &**pod).collect();
            write!(f, "{mark}{}", named.join(", "))?;
            if pods.len() > NAMED_MAX {
                write!(f, " and {} more", pods.len() - NAMED_MAX)?;
            }
            write!(f, " {verb}")?;
            mark = "; ";
        }
        Ok(())
    }
}

impl What {
    /// The one-word reason, as in a Kubernetes event.
    pub fn reason(&self) -> &str {
        match self {
            What::Created { .. } => "Created",
            What::DeletionRequested => "DeletionRequested",
            What::Deleted => "Deleted",
            What::Scheduled { .. } => "Scheduled",
            What::FailedScheduling { .. } => "FailedScheduling",
            What::Rejected { .. } => "Rejected",
            What::Pulling { .. } => "Pulling",
            What::Pulled { .. } => "Pulled",
            What::PullFailed { .. } => "PullFailed",
            What::Started { .. } => "Started",
            What::Exited { .. } => "Exited",
            What::BackOff { .. } => "BackOff",
            What::Unhealthy { .. } => "Unhealthy",
            What::Killing { .. } => "Killing",
            What::HookFailed { .. } => "HookFailed",
            What::FilesUpdated { .. } => "FilesUpdated",
            What::Ended { .. } => "Ended",
            What::OutOfMemory { .. } => "OOMKilling",
            What::Pressure { .. } => "Pressure",
            What::ImagesRemoved { .. } => "ImagesRemoved",
            What::ShuttingDown => "NodeShutdown",
            What::Running => "Running",
            What::Ready => "Ready",
            What::Unready { .. } => "Unready",
            What::Succeeded => "Succeeded",
            What::Failed { .. } => "Failed",
            What::Evicted { .. } => "TaintManagerEviction",
            What::NodeReady => "NodeReady",
            What::NodeNotReady { .. } => "NodeNotReady",
            What::Tainted { .. } => "Tainted",
            What::Untainted { .. } => "Untainted",
            What::Cordoned => "NodeNotSchedulable",
            What::Uncordoned => "NodeSchedulable",
            What::Scaled { .. } => "Scaled",
            What::TemplateChanged => "TemplateChanged",
            What::Condition { .. } => "Condition",
            What::Endpoints { .. } => "Endpoints",
            What::Preempting { .. } => "Preempting",
            What::Refused { .. } => "FailedCreate",
            What::Warned { .. } => "Warning",
            What::Audited { .. } => "Audited",
            What::ZoneState { .. } => "ZoneState",
            What::Event(event) => &event.reason,
        }
    }
}

impl fmt::Display for What {
    /// The sentence for people, without the subject.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Created { owner } if owner.is_empty() => write!(f, "created"),
            What::Created { owner } => write!(f, "created by {owner}"),
            What::DeletionRequested => write!(f, "deletion requested"),
            What::Deleted => write!(f, "gone"),
            What::Scheduled { node } => write!(f, "bound to {node}"),
            What::FailedScheduling { message } | What::Refused { message } | What::Warned { message } => {
                write!(f, "{message}")
            }
            What::Audited { message } => write!(f, "audit: {message}"),
            What::Rejected { reason, message } => write!(f, "{reason}: {message}"),
            What::Pulling { image } => write!(f, "pulling image {image}"),
            What::Pulled { image, already_present: true } => write!(f, "image {image} is on the node already"),
            What::Pulled { image, already_present: false } => write!(f, "image {image} pulled"),
            What::PullFailed { image, message } => write!(f, "image {image}: {message}"),
            What::Started { container, restarts: 0 } => write!(f, "container {container} started"),
            What::Started { container, restarts } => {
                write!(f, "container {container} started again (restart {restarts})")
            }
            What::Exited { container, exit_code } => write!(f, "container {container} exited with code {exit_code}"),
            What::BackOff { container, seconds } => {
                write!(f, "container {container} waits {seconds} s before its next start")
            }
            What::Unhealthy { container, probe } => write!(f, "{probe} probe of container {container} failed"),
            What::Killing { container } => write!(f, "stopping container {container}"),
            What::HookFailed { container, hook } => write!(f, "{hook} hook of container {container} failed"),
            What::FilesUpdated { volume } => write!(f, "the files of volume {volume} are up to date"),
            What::Ended { reason, message } => write!(f, "{reason}: {}", message.trim_end()),
            What::OutOfMemory { container } => write!(f, "container {container} ran out of memory"),
            What::Pressure { condition, holds: true } => write!(f, "{condition} begins"),
            What::Pressure { condition, holds: false } => write!(f, "{condition} ends"),
            What::ImagesRemoved { images, bytes } => write!(f, "{images} unused images removed ({bytes} bytes)"),
            What::ShuttingDown => write!(f, "shutting down"),
            What::Running => write!(f, "running"),
            What::Ready => write!(f, "ready"),
            What::Unready { reason } if reason.is_empty() => write!(f, "not ready"),
            What::Unready { reason } => write!(f, "not ready ({reason})"),
            What::Succeeded => write!(f, "succeeded"),
            What::Failed { reason } if reason.is_empty() => write!(f, "failed"),
            What::Failed { reason } => write!(f, "failed ({reason})"),
            What::Evicted { cause } => write!(f, "evicted: {cause}"),
            What::NodeReady => write!(f, "ready"),
            What::NodeNotReady { reason } => write!(f, "not ready ({reason})"),
            What::Tainted { taint } => write!(f, "taint {taint} added"),
            What::Untainted { taint } => write!(f, "taint {taint} removed"),
            What::Cordoned => write!(f, "cordoned"),
            What::Uncordoned => write!(f, "uncordoned"),
            What::Scaled { from, to } => write!(f, "scaled from {from} to {to}"),
            What::TemplateChanged => write!(f, "pod template changed"),
            What::Condition { text } => write!(f, "{text}"),
            What::Endpoints { ready, not_ready, moves } => {
                write!(f, "{ready} ready and {not_ready} unready endpoints{moves}")
            }
            What::Preempting { by, node } => write!(f, "makes room for pod/{by} on {node}"),
            What::ZoneState { state } => write!(f, "zone state {state}"),
            What::Event(event) => f.write_str(&event.message),
        }
    }
}
