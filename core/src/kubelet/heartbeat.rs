//! A kubelet's word about its node: registration, the node's status, and lease renewals.
//!
//! The status is posted when the kubelet starts and when its connection has come back; the reports every five minutes
//! that change nothing are not modelled, and neither are the looks every ten seconds that find nothing to change.
//! Lease renewals follow [`Renewals`]; with analytic heartbeats the world computes the same sequence from
//! [`LeaseClock`] and the kubelet sends none.
//!
//! Source: `tryRegisterWithAPIServer` and `updateNodeStatus`, pkg/kubelet/kubelet_node_status.go;
//! pkg/kubelet/nodestatus/setters.go (v1.34.1).

use std::sync::Arc;

use crate::api::leases::Renewals;
use crate::config::Config;
use crate::id::{HostId, Name};
use crate::kubelet::Boot;
use crate::model::{ConditionKind, Meta, Node, NodeSpec, NodeStatus, Status3};
use crate::time::{Span, Time};

/// The label by which an existing node is asked for.
pub(super) const HOSTNAME: &str = "kubernetes.io/hostname";

/// What a host's lease renewals are computed from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeaseClock {
    /// The host.
    pub host: HostId,
    /// When its kubelet started.
    pub started: Time,
    /// How often it had started before.
    pub start: u64,
}

impl LeaseClock {
    /// All renewals since the kubelet's start; the first has the number 0.
    pub fn renewals(&self, config: &Config) -> Renewals {
        let kubelet = &config.kubelet;
        let (interval, jitter) = (kubelet.lease_renew_interval, kubelet.lease_jitter_percent);
        Renewals::new(config.seed, self.host, self.started, self.start, interval, jitter)
    }
}

/// The renewals still to be sent, one by one.
pub(super) struct Heartbeat {
    renewals: Renewals,
    number: u64,
    at: Time,
}

impl Heartbeat {
    /// Begins with the first renewal at or after `now`; earlier ones keep their numbers.
    pub(super) fn from(clock: LeaseClock, config: &Config, now: Time) -> Heartbeat {
        let mut renewals = clock.renewals(config);
        let (mut number, mut at) = (0, renewals.next().unwrap_or(Time::FAR_FUTURE));
        while at < now {
            number += 1;
            at = renewals.next().unwrap_or(Time::FAR_FUTURE);
        }
        Heartbeat { renewals, number, at }
    }

    /// When the next renewal is due.
    pub(super) fn due(&self) -> Time {
        self.at
    }

    /// Takes the renewal that is due and returns its number.
    pub(super) fn take(&mut self) -> u64 {
        let number = self.number;
        self.number += 1;
        self.at = self.renewals.next().unwrap_or(Time::FAR_FUTURE);
        number
    }
}

/// Whether a kubelet takes its container runtime to be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Runtime {
    /// It answers, or has not been away for long.
    Up,
    /// It has been away for longer than [`RUNTIME_AWAY_MAX`].
    Down,
}

/// What a kubelet knows of its node's health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Health {
    pub(super) runtime: Runtime,
    /// Which of `eviction::CONDITIONS` hold.
    pub(super) pressure: [bool; 3],
    pub(super) shutting_down: bool,
}

impl Health {
    /// Whether the node is ready.
    pub(super) fn is_ready(&self) -> bool {
        self.runtime == Runtime::Up && !self.shutting_down
    }
}

/// How long a runtime may be away before its node is not ready.
///
/// Source: `maxWaitForContainerRuntime`, pkg/kubelet/kubelet.go (v1.34.1).
pub(super) const RUNTIME_AWAY_MAX: Span = Span::from_secs(30);

/// The node as its kubelet registers it.
pub(super) fn new_node(boot: &Boot, health: Health, now: Time) -> Node {
    let mut meta = Meta::named("", &boot.node);
    meta.labels = boot.labels.with(HOSTNAME, hostname(boot));
    let spec = NodeSpec { unschedulable: false, taints: boot.taints.clone() };
    Node { meta, spec, status: node_status(boot, health, &NodeStatus::default(), now) }
}

/// The value of the node's host name label.
pub(super) fn hostname(boot: &Boot) -> Name {
    boot.labels.get(HOSTNAME).cloned().unwrap_or_else(|| boot.node.clone())
}

/// The node with the status that its kubelet posts; `None` if that is what the API server has.
pub(super) fn status_to_post(boot: &Boot, health: Health, node: &Arc<Node>, now: Time) -> Option<Node> {
    let status = node_status(boot, health, &node.status, now);
    (status != node.status).then(|| Node { status, ..Node::clone(node) })
}

fn node_status(boot: &Boot, health: Health, before: &NodeStatus, now: Time) -> NodeStatus {
    let mut conditions = before.conditions.clone();
    let mut set = |kind, status, reason, message| {
        conditions.set(kind, status, reason, message, now);
    };
    let no = Status3::False;
    let [memory, disk, pids] = health.pressure;
    match memory {
        false => set(
            ConditionKind::MemoryPressure,
            no,
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available",
        ),
        true => set(
            ConditionKind::MemoryPressure,
            Status3::True,
            "KubeletHasInsufficientMemory",
            "kubelet has insufficient memory available",
        ),
    }
    match disk {
        false => set(ConditionKind::DiskPressure, no, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        true => {
            set(ConditionKind::DiskPressure, Status3::True, "KubeletHasDiskPressure", "kubelet has disk pressure");
        }
    }
    match pids {
        false => {
            set(ConditionKind::PidPressure, no, "KubeletHasSufficientPID", "kubelet has sufficient PID available");
        }
        true => set(
            ConditionKind::PidPressure,
            Status3::True,
            "KubeletHasInsufficientPID",
            "kubelet has insufficient PID available",
        ),
    }
    match (health.runtime, health.shutting_down) {
        (Runtime::Down, true) => {
            let both = "[container runtime is down, node is shutting down]";
            set(ConditionKind::Ready, no, "KubeletNotReady", both);
        }
        (Runtime::Down, false) => set(ConditionKind::Ready, no, "KubeletNotReady", "container runtime is down"),
        (Runtime::Up, true) => set(ConditionKind::Ready, no, "KubeletNotReady", "node is shutting down"),
        (Runtime::Up, false) => {
            set(ConditionKind::Ready, Status3::True, "KubeletReady", "kubelet is posting ready status");
        }
    };
    NodeStatus {
        capacity: boot.capacity.clone(),
        allocatable: boot.allocatable.clone(),
        conditions,
        address: Some(boot.address.clone()),
        volumes: before.volumes.clone(),
        images: before.images.clone(),
    }
}
