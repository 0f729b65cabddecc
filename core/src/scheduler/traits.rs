//! What the scheduler needs to know of a pod's spec, computed once per spec: resource sums and host ports.

use crate::digest::Shared;
use crate::id::Name;
use crate::model::{Container, PodSpec, Protocol, Resources};

/// What a container that asks for no CPU counts as when nodes are scored.
///
/// Source: `DefaultMilliCPURequest`, pkg/scheduler/util/pod_resources.go (v1.34.1).
const DEFAULT_CPU_MILLI: i64 = 100;
/// What a container that asks for no memory counts as when nodes are scored.
const DEFAULT_MEMORY_BYTES: i64 = 200 << 20;

/// The scheduler's view of a pod's spec.
pub(super) struct PodTraits {
    pub(super) spec: Shared<PodSpec>,
    /// What the pod takes of a node.
    pub(super) requests: Resources,
    /// CPU that it counts for when nodes are scored, in thousandths of a core.
    pub(super) scored_cpu_milli: i64,
    /// Memory that it counts for when nodes are scored, in bytes.
    pub(super) scored_memory_bytes: i64,
    /// Ports that it wants of its node.
    pub(super) host_ports: Vec<(Protocol, u16)>,
}

impl PodTraits {
    /// Reads a spec.
    pub(super) fn of(spec: &Shared<PodSpec>) -> PodTraits {
        let scored = pod_requests(spec, |container| {
            let mut requests = container.requests.clone();
            if requests.cpu_milli == 0 {
                requests.cpu_milli = DEFAULT_CPU_MILLI;
            }
            if requests.memory_bytes == 0 {
                requests.memory_bytes = DEFAULT_MEMORY_BYTES;
            }
            requests
        });
        PodTraits {
            spec: spec.clone(),
            requests: pod_requests(spec, |container| container.requests.clone()),
            scored_cpu_milli: scored.cpu_milli,
            scored_memory_bytes: scored.memory_bytes,
            host_ports: host_ports(spec),
        }
    }

    /// Whether the pod asks for nothing but a place.
    pub(super) fn asks_for_nothing(&self) -> bool {
        let requests = &self.requests;
        requests.cpu_milli == 0
            && requests.memory_bytes == 0
            && requests.ephemeral_bytes == 0
            && requests.extended.is_empty()
    }

    /// The extended resources that the pod asks for, by name.
    pub(super) fn extended(&self) -> impl Iterator<Item = (&Name, i64)> {
        self.requests.extended.iter().filter(|(_, amount)| **amount > 0).map(|(name, amount)| (name, *amount))
    }
}

/// The sum over containers and sidecars, or what some init container needs beside the sidecars started before it,
/// whichever is larger, plus overhead.
///
/// Source: `PodRequests`, staging/src/k8s.io/component-helpers/resource/helpers.go (v1.34.1), without pod-level
/// resources and resizes in place.
fn pod_requests(spec: &PodSpec, of_container: impl Fn(&Container) -> Resources) -> Resources {
    let mut sum = Resources::default();
    for container in &spec.containers {
        sum.add(&of_container(container));
    }
    let (mut sidecars, mut starting) = (Resources::default(), Resources::default());
    for container in &spec.init_containers {
        let requests = of_container(container);
        if container.sidecar {
            sum.add(&requests);
            sidecars.add(&requests);
            starting.max_with(&sidecars);
        } else {
            let mut beside = requests;
            beside.add(&sidecars);
            starting.max_with(&beside);
        }
    }
    sum.max_with(&starting);
    sum.add(&spec.overhead);
    sum
}

/// Source: `GetHostPorts`, pkg/scheduler/util/utils.go (v1.34.1): containers and sidecars.
fn host_ports(spec: &PodSpec) -> Vec<(Protocol, u16)> {
    let sidecars = spec.init_containers.iter().filter(|container| container.sidecar);
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
    let mut ports: Vec<(Protocol, u16)> =
        ports.filter_map(|port| port.host_port.filter(|number| *number > 0).map(|it| (port.protocol, it))).collect();
    ports.sort_unstable_by_key(|(protocol, port)| (*protocol as u8, *port));
    ports.dedup();
    ports
}
