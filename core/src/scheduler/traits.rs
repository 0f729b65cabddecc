//! What the scheduler needs to know of a pod, computed once per class: resource sums, host ports, rules about others.

use std::sync::Arc;

use crate::digest::Shared;
use crate::id::{Name, Uid};
use crate::model::{
    Container, Kind, Labels, PersistentVolumeClaim, Pod, PodSpec, PodVolume, PodVolumeSource, Protocol, Resources,
};
use crate::scheduler::plugins::images;
use crate::scheduler::terms::{Spreads, Terms};

/// What a container that asks for no CPU counts as when nodes are scored.
///
/// Source: `DefaultMilliCPURequest`, pkg/scheduler/util/pod_resources.go (v1.34.1).
const DEFAULT_CPU_MILLI: i64 = 100;
/// What a container that asks for no memory counts as when nodes are scored.
const DEFAULT_MEMORY_BYTES: i64 = 200 << 20;

/// The kinds of owners among whose pods one is spread by default.
///
/// Source: `DefaultSelector`, pkg/scheduler/framework/plugins/helper/spread.go (v1.34.1).
pub(super) const SPREADING_OWNERS: [Kind; 2] = [Kind::ReplicaSet, Kind::StatefulSet];

/// What other pods' rules can see of a pod.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Identity {
    pub(super) namespace: Name,
    pub(super) labels: Labels,
    /// Kind and name of the owner that manages it, if it is one of [`SPREADING_OWNERS`].
    pub(super) owner: Option<(Kind, Name)>,
    /// Whether it is being deleted: spreading does not count it.
    pub(super) terminating: bool,
    /// Name and uid of a pod with ephemeral volumes, whose claims are its own; such a pod is a class of its own.
    pub(super) itself: Option<(Name, Uid)>,
}

impl Identity {
    /// Reads a pod.
    pub(super) fn of(pod: &Pod) -> Identity {
        let owner = pod.meta.controller().filter(|owner| SPREADING_OWNERS.contains(&owner.kind));
        Identity {
            namespace: pod.meta.namespace.clone(),
            labels: pod.meta.labels.clone(),
            owner: owner.map(|owner| (owner.kind, owner.name.clone())),
            terminating: pod.meta.is_terminating(),
            itself: pod.spec.volumes.iter().any(is_ephemeral).then(|| (pod.meta.name.clone(), pod.meta.uid)),
        }
    }
}

fn is_ephemeral(volume: &PodVolume) -> bool {
    matches!(volume.source, PodVolumeSource::Ephemeral(_))
}

/// The volumes of a pod that matter to placement.
#[derive(Debug)]
pub(super) struct PodVolumes {
    pub(super) namespace: Name,
    /// The pod's name and identity if it has ephemeral volumes.
    pub(super) pod: Name,
    pub(super) uid: Uid,
    pub(super) volumes: Vec<PodVolume>,
}

impl PodVolumes {
    fn of(spec: &PodSpec, identity: &Identity) -> Option<Arc<PodVolumes>> {
        let matters = |volume: &&PodVolume| {
            use PodVolumeSource::{Claim, Csi, Disk, Ephemeral};
            matches!(volume.source, Claim { .. } | Ephemeral(_) | Csi { .. } | Disk(_))
        };
        let volumes: Vec<PodVolume> = spec.volumes.iter().filter(matters).cloned().collect();
        let (pod, uid) = identity.itself.clone().unwrap_or_default();
        let namespace = identity.namespace.clone();
        (!volumes.is_empty()).then(|| Arc::new(PodVolumes { namespace, pod, uid, volumes }))
    }

    /// The claims of the pod, each with whether it must belong to the pod.
    pub(super) fn claims(&self) -> impl Iterator<Item = (Name, bool)> {
        self.volumes.iter().filter_map(|volume| volume.claim_name(&self.pod))
    }

    /// Whether the pod uses a claim.
    pub(super) fn uses(&self, claim: &PersistentVolumeClaim) -> bool {
        claim.meta.namespace == self.namespace && self.claims().any(|(name, _)| name == claim.meta.name)
    }
}

/// The scheduler's view of a pod.
pub(super) struct PodTraits {
    /// Its volumes; `None` if none of them matters.
    pub(super) volumes: Option<Arc<PodVolumes>>,
    pub(super) identity: Identity,
    /// Its terms about other pods.
    pub(super) terms: Option<Box<Terms>>,
    /// Its own spread constraints.
    pub(super) spreads: Option<Box<Spreads>>,
    pub(super) spec: Shared<PodSpec>,
    /// What the pod takes of a node.
    pub(super) requests: Resources,
    /// CPU that it counts for when nodes are scored, in thousandths of a core.
    pub(super) scored_cpu_milli: i64,
    /// Memory that it counts for when nodes are scored, in bytes.
    pub(super) scored_memory_bytes: i64,
    /// Ports that it wants of its node.
    pub(super) host_ports: Vec<(Protocol, u16)>,
    /// The images of its containers, each with a tag.
    pub(super) images: Vec<Name>,
}

impl PodTraits {
    /// Reads a pod's spec and identity.
    pub(super) fn of(spec: &Shared<PodSpec>, identity: &Identity) -> PodTraits {
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
        let rules = spec.rules.as_deref();
        PodTraits {
            volumes: PodVolumes::of(spec, identity),
            identity: identity.clone(),
            terms: rules.and_then(|rules| Terms::of(rules, identity)),
            spreads: rules.and_then(|rules| Spreads::of(rules, identity)),
            spec: spec.clone(),
            requests: pod_requests(spec, |container| container.requests.clone()),
            scored_cpu_milli: scored.cpu_milli,
            scored_memory_bytes: scored.memory_bytes,
            host_ports: host_ports(spec),
            images: images(spec),
        }
    }

    /// Whether gates keep the pod out of the queue.
    pub(super) fn is_gated(&self) -> bool {
        self.spec.rules.as_ref().is_some_and(|rules| !rules.scheduling_gates.is_empty())
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

/// Source: `PodRequests`, staging/src/k8s.io/component-helpers/resource/helpers.go (v1.34.1), without pod-level
/// resources and resizes in place.
fn pod_requests(spec: &PodSpec, of_container: impl Fn(&Container) -> Resources) -> Resources {
    let mut sum = spec.sum_of_containers(of_container);
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
