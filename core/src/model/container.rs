//! The containers of a pod, as its spec describes them.

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::model::{Amounts, ConfigKind, IntOrName, ObjectReference, Protocol, Resources};
use crate::quantity::Quantity;
use crate::time::Span;

/// One container of a pod.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Container {
    /// Its name within the pod.
    pub name: Name,
    /// Its image.
    pub image: Name,
    /// When the image is pulled.
    pub pull_policy: PullPolicy,
    /// Replaces the image's entry point.
    pub command: Vec<Name>,
    /// Replaces the image's arguments.
    pub args: Vec<Name>,
    /// Where the program starts.
    pub working_dir: Option<Name>,
    /// Variables from all keys of ConfigMaps and Secrets; those of `env` go before them.
    pub env_from: Vec<EnvFrom>,
    /// Environment.
    pub env: Vec<EnvVar>,
    /// Where it finds the pod's volumes.
    pub mounts: Vec<VolumeMount>,
    /// Ports.
    pub ports: Vec<ContainerPort>,
    /// What the scheduler sets aside.
    pub requests: Resources,
    /// Which of these are 0 because it was written so.
    pub zero_requests: ZeroRequests,
    /// What the kernel allows; 0 is no limit.
    pub limits: Resources,
    /// Whether it is an init container that stays (`restartPolicy: Always`).
    pub sidecar: bool,
    /// What is done after its start and before its end; `None` for a container without hooks.
    pub lifecycle: Option<Box<Lifecycle>>,
    /// Whether the container may get traffic.
    pub readiness_probe: Option<Probe>,
    /// Whether the container must be restarted.
    pub liveness_probe: Option<Probe>,
    /// Whether the container has started; holds the other two back.
    pub startup_probe: Option<Probe>,
}

impl Default for Container {
    fn default() -> Self {
        Container {
            name: "".into(),
            image: "".into(),
            pull_policy: PullPolicy::IfNotPresent,
            command: Vec::new(),
            args: Vec::new(),
            working_dir: None,
            env_from: Vec::new(),
            env: Vec::new(),
            mounts: Vec::new(),
            ports: Vec::new(),
            requests: Resources::default(),
            zero_requests: ZeroRequests::default(),
            limits: Resources::default(),
            sidecar: false,
            lifecycle: None,
            readiness_probe: None,
            liveness_probe: None,
            startup_probe: None,
        }
    }
}

impl Container {
    /// The requests that are written, zeros among them.
    pub fn written_requests(&self) -> Amounts {
        let zeros = [("cpu", self.zero_requests.cpu), ("memory", self.zero_requests.memory)];
        let zeros = zeros.into_iter().filter(|(_, written)| *written).map(|(name, _)| (name.into(), Quantity::ZERO));
        let mut written = self.requests.quantities();
        zeros.for_each(|(name, zero): (Name, Quantity)| {
            written.entry(name).or_insert(zero);
        });
        written
    }
}

/// When an image is pulled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum PullPolicy {
    /// Before every start.
    Always,
    /// If the node does not have it.
    IfNotPresent,
    /// Never; a missing image is an error.
    Never,
}

/// Requests of 0 that were written: unlike those left out, they count as 0 when nodes are scored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ZeroRequests {
    /// `cpu: 0`.
    pub cpu: bool,
    /// `memory: 0`.
    pub memory: bool,
}

/// One environment variable.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct EnvVar {
    /// Its name.
    pub name: Name,
    /// Its value, if it is written in the manifest; empty otherwise.
    pub value: Name,
    /// Where else its value comes from (`valueFrom`).
    pub from: Option<Box<EnvSource>>,
}

/// Where an environment variable's value comes from.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum EnvSource {
    /// A field of the pod (`fieldRef`), such as `metadata.name` or `status.podIP`.
    Field {
        /// The path.
        path: Name,
    },
    /// A container's request or limit (`resourceFieldRef`).
    Resource {
        /// The container; empty is the one that has the variable.
        container: Name,
        /// `limits.cpu`, `requests.memory` and so on.
        resource: Name,
        /// The unit in thousandths: the value is rounded up to whole multiples of it.
        divisor_milli: i64,
    },
    /// A key of a ConfigMap or Secret.
    Key {
        /// Which object.
        object: ObjectReference,
        /// Which of its keys.
        key: Name,
    },
}

/// Variables from all keys of a ConfigMap or Secret (`envFrom`).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct EnvFrom {
    /// ConfigMap or Secret.
    pub kind: ConfigKind,
    /// Its name.
    pub name: Name,
    /// Whether the container starts without it.
    pub optional: bool,
    /// What the variables' names begin with.
    pub prefix: Name,
}

/// Where a container finds a volume.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct VolumeMount {
    /// The volume.
    pub name: Name,
    /// The path in the container.
    pub path: Name,
    /// Which part of the volume; empty is all of it.
    pub sub_path: Name,
    /// Whether it is only read.
    pub read_only: bool,
}

/// One port of a container.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ContainerPort {
    /// Its name, or empty.
    pub name: Name,
    /// The port in the pod.
    pub port: u16,
    /// The port on the node, if any.
    pub host_port: Option<u16>,
    /// The node's address on which it is that port; `None` is every address.
    pub host_ip: Option<Name>,
    /// The protocol.
    pub protocol: Protocol,
}

/// A periodic check of a container.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Probe {
    /// What is tried.
    pub action: ProbeAction,
    /// No probe before the container has run this long.
    pub initial_delay: Span,
    /// Time between probes (≥ 1 s).
    pub period: Span,
    /// How long an answer may take (≥ 1 s).
    pub timeout: Span,
    /// Successes in a row that turn failure into success (≥ 1).
    pub success_threshold: u32,
    /// Failures in a row that turn success into failure (≥ 1).
    pub failure_threshold: u32,
    /// The grace of a container that this probe ends (`terminationGracePeriodSeconds`); `None` is the pod's.
    pub termination_grace: Option<Span>,
}

/// What a probe tries.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ProbeAction {
    /// A GET that must answer 200 ..= 399.
    HttpGet {
        /// The path.
        path: Name,
        /// The port.
        port: IntOrName,
    },
    /// A connection that must be accepted.
    TcpSocket {
        /// The port.
        port: IntOrName,
    },
    /// A command in the container that must exit with 0.
    Exec {
        /// The command and its arguments.
        command: Vec<Name>,
    },
    /// A gRPC health check.
    Grpc {
        /// The port.
        port: u16,
        /// The service asked about.
        service: Name,
    },
}

/// What is done after a container's start and before its end.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Lifecycle {
    /// Right after the start; the pod's next container waits for it.
    pub post_start: Option<Hook>,
    /// Before TERM; its time counts against the grace.
    pub pre_stop: Option<Hook>,
}

/// One hook.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Hook {
    /// A command in the container that must exit with 0.
    Exec {
        /// The command and its arguments.
        command: Vec<Name>,
    },
    /// A GET that must be answered with 200 ..= 399.
    HttpGet {
        /// The path.
        path: Name,
        /// The port.
        port: IntOrName,
    },
    /// Nothing for so long.
    Sleep {
        /// How long.
        length: Span,
    },
}
