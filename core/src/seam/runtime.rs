//! What a kubelet and its container runtime say to each other, and how a host introduces itself.
//!
//! The runtime is asynchronous: each request is answered by an event, some time later or never (the kubelet's own
//! retries cover that). Pods are named by uid, containers by their place in the pod. Every start has a number, so that
//! news of an earlier life of a container is told from news of this one.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::usage::{NodeUsage, UsageLevels};
use crate::id::{Name, Uid};
use crate::model::{Address, Hook, Labels, Pod, Probe, PullPolicy, Resources, Taint};
use crate::time::{Span, Time};

/// Which node a host is.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Boot {
    /// The node's name.
    pub node: Name,
    /// The node's labels; `kubernetes.io/hostname` and the zone among them.
    pub labels: Labels,
    /// What the machine has.
    pub capacity: Resources,
    /// What pods may use of it.
    pub allocatable: Resources,
    /// Taints that the kubelet registers its node with.
    pub taints: Vec<Taint>,
    /// The machine's address.
    pub address: Name,
    /// Distinguishes the addresses of this host's pods from every other host's: pods get `10.a.b.c` from the world.
    pub pod_network: Name,
    /// The manifests among the kubelet's own files (static pods), by the names that they have there.
    pub static_pods: Vec<Arc<Pod>>,
}

/// An image's size in bytes; 0 is not known. It is told for the sake of events and follows from the image, so it is
/// left out of hashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ImageSize(pub u64);

impl Hash for ImageSize {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// A container's place in its pod.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ContainerIndex {
    /// The `n`-th init container.
    Init(u16),
    /// The `n`-th container.
    Main(u16),
}

/// Which of a container's probes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ProbeKind {
    /// May it get traffic?
    Readiness,
    /// Must it be restarted?
    Liveness,
    /// Has it started?
    Startup,
}

/// Which of a container's hooks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum HookKind {
    /// After its start.
    PostStart,
    /// Before its end.
    PreStop,
}

/// What a container is given beside its image and what its spec says itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ContainerConfig {
    /// Variables from all keys of ConfigMaps and Secrets (`envFrom`), by name; those of `env` go before them.
    pub variables: Vec<(Name, Name)>,
    /// For each variable of `env`, in its order: the value that it takes from elsewhere. `None` for one that has its
    /// value written in the spec, and for one that is left out.
    pub values: Vec<Option<Name>>,
    /// The variables of Services, by name; all others go before them.
    #[serde(default)]
    pub services: Vec<(Name, Name)>,
    /// Files of volumes.
    pub files: Vec<MountedFile>,
}

/// A file in a container.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct MountedFile {
    /// Its whole path.
    pub path: Name,
    /// Its permissions.
    pub mode: u16,
    /// What is in it.
    pub data: Arc<[u8]>,
    /// Whether it is written again when its source changes; one that is mounted by `subPath` is not.
    pub updated: bool,
}

/// What a kubelet asks of its runtime.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RuntimeRequest {
    /// Make the pod's sandbox: its network and address. Answer: `SandboxReady` or `SandboxFailed`.
    CreateSandbox {
        /// The pod.
        pod: Arc<Pod>,
    },
    /// See to it that an image is on the node. Answer: `ImageReady` or `ImageFailed`. The kubelet first asks with the
    /// policy `Never` whether an image is there, which must not take long; the answer `ErrImageNeverPull` makes it
    /// queue a pull.
    PullImage {
        /// The pod that needs it.
        pod: Uid,
        /// The container that needs it.
        container: ContainerIndex,
        /// The image.
        image: Name,
        /// Whether to pull an image that is there, or not to pull one that is not.
        policy: PullPolicy,
        /// The Secrets of the pod's namespace to show to the registry, those that are there.
        secrets: Vec<Name>,
    },
    /// Start a container. Answer: `ContainerStarted` or `ContainerFailed`; later `ContainerExited`.
    StartContainer {
        /// The pod.
        pod: Arc<Pod>,
        /// The container.
        container: ContainerIndex,
        /// How often it had been started before.
        attempt: u32,
        /// What it is given from elsewhere; `None` is nothing.
        config: Option<Arc<ContainerConfig>>,
    },
    /// Write a running container's files again, whose sources have changed. No answer.
    UpdateFiles {
        /// The pod.
        pod: Uid,
        /// The container.
        container: ContainerIndex,
        /// Which start of it.
        attempt: u32,
        /// What it is given from elsewhere; only those files count that are updated.
        config: Arc<ContainerConfig>,
    },
    /// Stop a container: TERM, and KILL after the grace. Answer: `ContainerExited`, once. Asked again with a shorter
    /// grace, the KILL comes when that one is over, counted from the second request.
    StopContainer {
        /// The pod.
        pod: Uid,
        /// The container.
        container: ContainerIndex,
        /// Which start of it.
        attempt: u32,
        /// How long it may take.
        grace: Span,
    },
    /// Probe a container from now on. Answer: `ProbeChanged`, now and whenever the result changes, with the thresholds
    /// of the probe applied.
    Probe {
        /// The pod.
        pod: Uid,
        /// The container.
        container: ContainerIndex,
        /// Which start of it.
        attempt: u32,
        /// Which probe.
        kind: ProbeKind,
        /// How it is done; `None` for the readiness of a container without a readiness probe that did not serve from
        /// its start on, which a runtime answers with success as soon as the container serves.
        probe: Option<Box<Probe>>,
        /// From when on tries come every period; those before now are gone.
        ticks_from: Time,
    },
    /// Run a container's hook. Answer: `HookEnded`. Asked again, the new limit counts.
    RunHook {
        /// The pod.
        pod: Uid,
        /// The container.
        container: ContainerIndex,
        /// Which start of it.
        attempt: u32,
        /// Which hook.
        kind: HookKind,
        /// What is done.
        hook: Box<Hook>,
        /// How long it may take; `None` is as long as it likes.
        limit: Option<Span>,
    },
    /// Say, once, with `UsageLow` when less than one of these is left, or a container has more on its disk than its
    /// limit of ephemeral storage. Asked again, the new levels count.
    WatchUsage(UsageLevels),
    /// Say what the machine has left and what uses it. Answer: `Usage`.
    Usage,
    /// Remove images, which nothing uses. No answer.
    RemoveImages(Vec<Name>),
    /// The pods have been ended: the machine may go off. No answer.
    PowerOff,
    /// Remove what is left of a pod: its ended containers and its sandbox. Answer: `PodRemoved`.
    RemovePod {
        /// The pod.
        pod: Uid,
    },
    /// Say what runs; a kubelet asks this when it starts. Answer: `Pods`.
    List,
}

/// What a runtime tells its kubelet.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RuntimeEvent {
    /// A sandbox is there.
    SandboxReady {
        /// The pod.
        pod: Uid,
        /// Its address.
        address: Address,
    },
    /// A sandbox could not be made.
    SandboxFailed {
        /// The pod.
        pod: Uid,
        /// Why, a sentence.
        message: Name,
    },
    /// An image is on the node.
    ImageReady {
        /// The pod that needed it.
        pod: Uid,
        /// The container that needed it.
        container: ContainerIndex,
        /// Whether it was there before.
        already_present: bool,
        /// How large it is.
        #[serde(default)]
        size: ImageSize,
    },
    /// An image could not be pulled, or is missing and must not be pulled.
    ImageFailed {
        /// The pod that needed it.
        pod: Uid,
        /// The container that needed it.
        container: ContainerIndex,
        /// `ErrImagePull`, `ErrImageNeverPull`, `InvalidImageName`.
        reason: Name,
        /// A sentence.
        message: Name,
    },
    /// A container runs.
    ContainerStarted {
        /// The pod.
        pod: Uid,
        /// The container.
        container: ContainerIndex,
        /// Which start of it.
        attempt: u32,
        /// Whether it serves from now on, so that it is ready without a readiness probe; if not, `Probe` tells when.
        #[serde(default)]
        serves: bool,
    },
    /// A container could not be started.
    ContainerFailed {
        /// The pod.
        pod: Uid,
        /// The container.
        container: ContainerIndex,
        /// Which start of it.
        attempt: u32,
        /// `RunContainerError`, `CreateContainerError`.
        reason: Name,
        /// A sentence.
        message: Name,
    },
    /// A container has ended.
    ContainerExited {
        /// The pod.
        pod: Uid,
        /// The container.
        container: ContainerIndex,
        /// Which start of it.
        attempt: u32,
        /// Its exit code; 128 + signal if a signal ended it.
        exit_code: i32,
        /// Whether it was killed for its memory.
        out_of_memory: bool,
    },
    /// A probe's result has changed (thresholds applied); the first result is told too.
    ProbeChanged {
        /// The pod.
        pod: Uid,
        /// The container.
        container: ContainerIndex,
        /// Which start of it.
        attempt: u32,
        /// Which probe.
        kind: ProbeKind,
        /// Whether it passes.
        passing: bool,
    },
    /// A hook has ended, well or badly or because its time was over.
    HookEnded {
        /// The pod.
        pod: Uid,
        /// The container.
        container: ContainerIndex,
        /// Which start of it.
        attempt: u32,
        /// Which hook.
        kind: HookKind,
        /// What went wrong; empty is nothing.
        error: Name,
    },
    /// Less than one of the levels of `WatchUsage` is left.
    UsageLow,
    /// What the machine has left and what uses it.
    Usage(Arc<NodeUsage>),
    /// The machine is about to go off and waits for `PowerOff`.
    ShuttingDown,
    /// The pod's sandbox has died by itself (somebody removed it).
    SandboxLost {
        /// The pod.
        pod: Uid,
    },
    /// Nothing is left of a pod.
    PodRemoved {
        /// The pod.
        pod: Uid,
    },
    /// Everything that the runtime has.
    Pods(Vec<RunningPod>),
    /// The runtime does not answer any more. Told once; containers may go on.
    Down,
    /// The runtime answers again.
    Up,
}

/// A pod that a runtime has.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RunningPod {
    /// The pod as it was when its sandbox was made; a runtime need not remember its status.
    pub pod: Arc<Pod>,
    /// Its address.
    pub address: Address,
    /// Its containers.
    pub containers: Vec<RunningContainer>,
}

/// A container that a runtime has.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct RunningContainer {
    /// Which container.
    pub container: ContainerIndex,
    /// Which start of it.
    pub attempt: u32,
    /// When it started.
    pub started_at: Time,
    /// Exit code and time, if it has ended.
    pub exited: Option<(i32, Time)>,
}
