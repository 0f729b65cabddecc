//! A plan: everything that happens to a cluster in one run, explicit and with times, before the run starts.
//!
//! A scenario file and a seed expand to a plan; nothing is added to it during the run. So a fault can be taken out and
//! leaves the others untouched, and a plan says all that is needed to run again. Absent on purpose: YAML (see
//! [`scenario`]) and what the cluster makes of the plan (see [`crate::world`]).
//!
//! Here is what a plan is; `delay` are the distributions and `usage` the courses in it, `trace` are recorded workloads.

mod delay;
pub mod scenario;
pub mod trace;
mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wavetank_core::api::Request;
use wavetank_core::config::Config;
use wavetank_core::config::TypicalPods;
use wavetank_core::id::{HostId, Name};
use wavetank_core::kubelet::Boot;
use wavetank_core::model::Selector;
use wavetank_core::time::{Span, Time};

pub use delay::Delay;
pub use usage::{CpuUse, Growth, Usage};

use crate::drain::DrainOptions;

/// Everything that happens to a cluster in one run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The cluster's settings, the seed among them.
    pub config: Config,
    /// How requests, answers and watch news travel.
    pub network: NetworkPlan,
    /// The machines; a host's place in this list is its [`HostId`].
    pub hosts: Vec<HostPlan>,
    /// Which images there are and how large they are.
    pub registry: RegistryPlan,
    /// What the containers do; the first entry whose selector matches a pod counts.
    pub behaviours: Vec<Behaviour>,
    /// Requests of the user, by time; those of one instant in this order.
    pub steps: Vec<Step>,
    /// Drains of nodes by the user, in any order.
    pub drains: Vec<DrainPlan>,
    /// Faults, in any order.
    pub faults: Vec<Fault>,
    /// When the run ends.
    pub duration: Span,
    /// Only the scheduler's choice of nodes is played: see [`crate::placement`].
    pub placement_only: bool,
    /// What the workload is typically made of; empty if nobody has said.
    pub typical_pods: TypicalPods,
}

/// How messages travel. All delays zero is `instant` fidelity.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct NetworkPlan {
    /// From a component beside the API server (scheduler, controller manager, client) to the API server, the time
    /// that the server needs included.
    pub request: Delay,
    /// An API server's answer to such a component.
    pub response: Delay,
    /// News of a write to such a component.
    pub watch: Delay,
    /// Bringing writes to stable storage.
    pub persist: Delay,
    /// Between a machine and the API server, each way, for requests, answers, news and lease renewals.
    pub node: LinkProfile,
}

/// A link's delay and loss. A lost packet costs its connection a retransmission time-out (200 ms, doubled each time):
/// messages come late, not never.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LinkProfile {
    /// One way.
    pub delay: Delay,
    /// Lost packets per million (0 ..= 999,999).
    pub loss_per_million: u32,
}

/// One machine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HostPlan {
    /// What its kubelet registers.
    pub boot: Arc<Boot>,
    /// When it starts; machines of time zero are there, registered and ready when the run begins.
    pub starts_at: Time,
    /// How fast it pulls images, in bytes per second (≥ 1).
    pub pull_bytes_per_second: u64,
    /// Images that it has from the start.
    pub images: Vec<Name>,
    /// Bytes of the file system that only images are on; `None`: they are on that of `ephemeral-storage`.
    pub image_filesystem_bytes: Option<u64>,
    /// How many processes it can have; 0 is not modelled.
    pub pids: u64,
}

/// Which images there are.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RegistryPlan {
    /// Sizes of known images in bytes; `None` is an image that cannot be pulled.
    pub images: BTreeMap<Name, Option<u64>>,
    /// The Secret that a pod must show for an image, by image; others are for everybody.
    #[serde(default)]
    pub secrets: BTreeMap<Name, Name>,
    /// The size of every other image in bytes; 0 pulls at once.
    pub default_size_bytes: u64,
    /// From the request of a pull to its first byte.
    pub latency: Delay,
}

/// What the containers of some pods do.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Behaviour {
    /// The namespace; `None` is every namespace.
    pub namespace: Option<Name>,
    /// The pods' labels; empty is every pod.
    pub pods: Selector,
    /// The container's name; `None` is every container.
    pub container: Option<Name>,
    /// From the start request to a running container.
    pub start_delay: Delay,
    /// From a running container to one that answers its readiness probe, or, without a probe, that counts as ready.
    pub readiness_delay: Delay,
    /// From a running container to its end by itself; `None` runs for ever.
    pub run_time: Option<Delay>,
    /// How it ends by itself.
    pub exit: Exit,
    /// From the TERM signal to its end; a time beyond the grace ends in KILL (exit code 137).
    pub stop_delay: Delay,
    /// Which of the pods, and which of their starts.
    pub which: Which,
    /// How its hooks go.
    pub hooks: HookPlan,
    /// How it answers its probes.
    pub health: HealthPlan,
    /// What it uses of its machine.
    pub usage: Usage,
}

/// Some of the pods that a selector matches, and some of their containers' starts.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Which {
    /// The n-th pods to begin on a node, among those that the selector and namespace match, from 1; empty is all.
    pub replicas: Vec<u32>,
    /// Pods whose name ends in `-n`, as those of a StatefulSet do; empty is all.
    pub ordinals: Vec<u32>,
    /// The n-th starts of the container, from 1; empty is all.
    pub on_starts: Vec<u32>,
}

/// How a container's hooks go. A hook that only sleeps takes the time that it says.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct HookPlan {
    /// How long the post-start hook takes.
    pub post_start: Delay,
    /// Whether it fails.
    pub post_start_fails: bool,
    /// How long the pre-stop hook takes.
    pub pre_stop: Delay,
}

/// How a container answers its probes beside its readiness delay.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct HealthPlan {
    /// It never becomes ready; its liveness and startup probes pass.
    pub never_ready: bool,
    /// How long each answer takes; a probe with a shorter timeout fails.
    pub response_time: Span,
    /// When it does not answer, since its start, in order and without overlaps.
    pub outages: Vec<Outage>,
    /// The image is there but the container cannot be started: the runtime's message.
    pub start_error: Option<Name>,
}

/// A time in which a container does not answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Outage {
    /// From here, since the container's start.
    pub from: Span,
    /// To here; `None` is for ever.
    pub to: Option<Span>,
    /// Readiness alone: it is alive, but does not want traffic.
    pub readiness_only: bool,
}

/// How a container ends by itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Exit {
    /// Always with this code.
    Code(i32),
    /// With each code by chance: (code, weight), weights ≥ 1.
    Chance(Vec<(i32, u32)>),
    /// The n-th start ends as the n-th entry says; after the last entry the container runs for ever.
    Script(Vec<ScriptedStart>),
}

/// What one start of a container does.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ScriptedStart {
    /// How long it runs; `None` is for ever.
    pub run_time: Option<Delay>,
    /// Its exit code.
    pub code: i32,
}

/// A request of the user at a time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub at: Time,
    /// What.
    pub request: Request,
    /// How the scenario puts it, for the account: `scale deployment/web to 5`.
    pub label: String,
    /// Where it stands: `node-failure.yaml:34`.
    pub place: String,
}

/// `kubectl drain`, begun by the user at a time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DrainPlan {
    /// When.
    pub at: Time,
    /// Which nodes, and how.
    pub options: DrainOptions,
    /// How the scenario puts it, for the account: `drain node/worker-2`.
    pub label: String,
    /// Where it stands: `node-failure.yaml:34`.
    pub place: String,
}

/// Something that goes wrong for a while.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// When it begins.
    pub from: Time,
    /// When it ends; `None` lasts to the end of the run.
    pub to: Option<Time>,
    /// What it is.
    pub kind: FaultKind,
    /// How the scenario puts it, for the account: `node-2 crashes`.
    pub label: String,
    /// Where it stands: `node-failure.yaml:34`.
    pub place: String,
}

/// What goes wrong.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum FaultKind {
    /// Machines lose power: kubelet, runtime and containers are gone at once. They boot again when the fault ends, with
    /// their images.
    Crash {
        /// Which machines.
        hosts: Vec<HostId>,
    },
    /// Kubelet processes stop; containers run on. They start again when the fault ends.
    KubeletStop {
        /// Whose kubelets.
        hosts: Vec<HostId>,
    },
    /// No message passes between the two sides, in either direction.
    NetworkCut {
        /// One side.
        a: Side,
        /// The other side.
        b: Side,
    },
    /// Machines are switched off in an orderly way: their kubelets may end the pods first. They boot again when the
    /// fault ends.
    Shutdown {
        /// Which machines.
        hosts: Vec<HostId>,
    },
    /// Something that is no pod uses what pods need.
    Pressure {
        /// Which machines.
        hosts: Vec<HostId>,
        /// What it uses.
        resource: PressedResource,
        /// How much: bytes, or processes.
        used: u64,
    },
    /// The links between machines and the API server are slow or lossy.
    SlowLink {
        /// Which machines.
        hosts: Vec<HostId>,
        /// The links' profile while the fault lasts.
        profile: LinkProfile,
    },
}

impl FaultKind {
    /// The machines that it strikes. Of a network cut those on the side without the control plane; of a cut between
    /// machines, all.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> + '_ {
        let (one, other): (&[HostId], &[HostId]) = match self {
            FaultKind::Crash { hosts }
            | FaultKind::KubeletStop { hosts }
            | FaultKind::Shutdown { hosts }
            | FaultKind::Pressure { hosts, .. }
            | FaultKind::SlowLink { hosts, .. } => (hosts, &[]),
            FaultKind::NetworkCut { a, b } if a.control_plane => (&b.hosts, &[]),
            FaultKind::NetworkCut { a, b } if b.control_plane => (&a.hosts, &[]),
            FaultKind::NetworkCut { a, b } => (&a.hosts, &b.hosts),
        };
        one.iter().chain(other).copied()
    }
}

/// What can be used by something that is no pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PressedResource {
    /// Memory.
    Memory,
    /// The file system of `ephemeral-storage`.
    NodeFilesystem,
    /// The file system of images; that of the node if they share one.
    ImageFilesystem,
    /// Processes.
    Pids,
}

/// One side of a network cut.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Side {
    /// Whether the control plane is on this side.
    pub control_plane: bool,
    /// The machines on this side.
    pub hosts: Vec<HostId>,
}
