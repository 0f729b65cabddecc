//! What the scheduler needs to know of a pod, computed once per class: resource sums, host ports, rules about others.

use std::ops::Deref;
use std::sync::Arc;

use crate::digest::Shared;
use crate::id::{Name, Uid};
use crate::model::{
    Container, Kind, Labels, PersistentVolumeClaim, Pod, PodSpec, PodVolume, PodVolumeSource, Protocol, ResourceName,
    Resources,
};
use crate::scheduler::gpu::{GPU_MILLI, GpuRequest};
use crate::scheduler::plugins::{images, named_nodes};
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
pub(super) const SPREADING_OWNERS: [Kind; 3] = [Kind::ReplicaSet, Kind::StatefulSet, Kind::ReplicationController];

/// What other pods' rules can see of a pod.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Identity {
    pub(super) namespace: Name,
    pub(super) labels: Labels,
    /// Kind and name of the owner that manages it, if it is one of [`SPREADING_OWNERS`].
    pub(super) owner: Option<(Kind, Name)>,
    /// Name and uid of a pod with ephemeral volumes, whose claims are its own; such a pod is a class of its own.
    pub(super) itself: Option<(Name, Uid)>,
}

/// What an identity is made of, as a pod has it.
type Parts<'a> = (&'a Name, &'a Labels, Option<(Kind, &'a Name)>, Option<(&'a Name, Uid)>);

impl Identity {
    /// Reads a pod.
    pub(super) fn of(pod: &Pod) -> Identity {
        let (namespace, labels, owner, itself) = Identity::parts_of(pod);
        Identity {
            namespace: namespace.clone(),
            labels: labels.clone(),
            owner: owner.map(|(kind, name)| (kind, name.clone())),
            itself: itself.map(|(name, uid)| (name.clone(), uid)),
        }
    }

    /// Whether it is the pod's.
    fn is_of(&self, pod: &Pod) -> bool {
        let owner = self.owner.as_ref().map(|(kind, name)| (*kind, name));
        let itself = self.itself.as_ref().map(|(name, uid)| (name, *uid));
        (&self.namespace, &self.labels, owner, itself) == Identity::parts_of(pod)
    }

    fn parts_of(pod: &Pod) -> Parts<'_> {
        let owner = pod.meta.controller().filter(|owner| SPREADING_OWNERS.contains(&owner.kind));
        let is_itself = pod.spec.volumes.iter().any(is_ephemeral);
        let itself = is_itself.then_some((&pod.meta.name, pod.meta.uid));
        (&pod.meta.namespace, &pod.meta.labels, owner.map(|owner| (owner.kind, &owner.name)), itself)
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

/// The scheduler's view of a pod. What follows from its spec alone is read as if it were here.
pub(super) struct PodTraits {
    /// Its volumes; `None` if none of them matters.
    pub(super) volumes: Option<Arc<PodVolumes>>,
    pub(super) identity: Identity,
    /// Its terms about other pods.
    pub(super) terms: Option<Box<Terms>>,
    /// Its own spread constraints.
    pub(super) spreads: Option<Box<Spreads>>,
    pub(super) by_spec: Arc<SpecTraits>,
}

/// What follows from a pod's spec alone, shared by all classes of pods that have it.
pub(super) struct SpecTraits {
    pub(super) spec: Shared<PodSpec>,
    /// What the pod takes of a node.
    pub(super) requests: Resources,
    /// CPU that it counts for when nodes are scored, in thousandths of a core.
    pub(super) scored_cpu_milli: i64,
    /// Memory that it counts for when nodes are scored, in bytes.
    pub(super) scored_memory_bytes: i64,
    /// The same once the pod is on a node; it differs for some pods with requests of their own.
    pub(super) counted_cpu_milli: i64,
    /// The same for memory.
    pub(super) counted_memory_bytes: i64,
    /// Ports that it wants of its node.
    pub(super) host_ports: Vec<HostPort>,
    /// The images of its containers, each with a tag.
    pub(super) images: Vec<Name>,
    /// The only nodes that it can be on by their names, sorted; `None` if it names none.
    pub(super) named_nodes: Option<Vec<Name>>,
    /// What it asks of a node's GPUs.
    pub(super) gpu: GpuRequest,
}

impl Deref for PodTraits {
    type Target = SpecTraits;

    fn deref(&self) -> &SpecTraits {
        &self.by_spec
    }
}

impl PodTraits {
    /// Reads a pod's spec and identity.
    pub(super) fn of(spec: &Shared<PodSpec>, identity: &Identity) -> PodTraits {
        PodTraits::with(&Arc::new(SpecTraits::of(spec)), identity)
    }

    /// Reads an identity; the spec has been read.
    pub(super) fn with(by_spec: &Arc<SpecTraits>, identity: &Identity) -> PodTraits {
        let rules = by_spec.spec.rules.as_deref();
        PodTraits {
            volumes: PodVolumes::of(&by_spec.spec, identity),
            identity: identity.clone(),
            terms: rules.and_then(|rules| Terms::of(rules, identity)),
            spreads: rules.and_then(|rules| Spreads::of(rules, identity)),
            by_spec: by_spec.clone(),
        }
    }

    /// Whether the pod has this spec and identity.
    pub(super) fn are_of(&self, pod: &Pod) -> bool {
        self.spec == pod.spec && self.identity.is_of(pod)
    }
}

impl SpecTraits {
    /// Reads a spec.
    pub(super) fn of(spec: &Shared<PodSpec>) -> SpecTraits {
        let requests = pod_requests(spec, |container| container.requests.clone());
        let [scored, counted] = scored_and_counted(spec);
        SpecTraits {
            spec: spec.clone(),
            gpu: GpuRequest::of_total(requests.extended.get(GPU_MILLI).copied().unwrap_or(0)),
            requests,
            scored_cpu_milli: scored.cpu_milli,
            scored_memory_bytes: scored.memory_bytes,
            counted_cpu_milli: counted.cpu_milli,
            counted_memory_bytes: counted.memory_bytes,
            host_ports: host_ports(spec),
            images: images(spec),
            named_nodes: named_nodes(spec),
        }
    }

    /// Whether the pod has scheduling gates.
    pub(super) fn has_gates(&self) -> bool {
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

/// A container's requests, with defaults in place of those left out.
///
/// Source: `applyNonMissing`, staging/src/k8s.io/component-helpers/resource/helpers.go (v1.34.1).
fn with_defaults(container: &Container, cpu: bool, memory: bool) -> Resources {
    let mut requests = container.requests.clone();
    if cpu && requests.cpu_milli == 0 && !container.zero_requests.cpu {
        requests.cpu_milli = DEFAULT_CPU_MILLI;
    }
    if memory && requests.memory_bytes == 0 && !container.zero_requests.memory {
        requests.memory_bytes = DEFAULT_MEMORY_BYTES;
    }
    requests
}

/// What a pod counts for when nodes are scored: itself, and once it is on a node. With requests of its own, its
/// containers get defaults only for what nobody asks for, because the API server makes the containers' sum the pod's
/// request; once it is on a node, overhead is asking as well.
///
/// Source: `calculatePodResourceRequest`, pkg/scheduler/framework/plugins/noderesources/resource_allocation.go;
/// `getNonMissingContainerRequests`, pkg/scheduler/framework/types.go; `defaultPodRequests`,
/// pkg/apis/core/v1/defaults.go (v1.34.1).
fn scored_and_counted(spec: &PodSpec) -> [Resources; 2] {
    let with = |cpu, memory| pod_requests(spec, |container| with_defaults(container, cpu, memory));
    let Some(own) = &spec.pod_requests else {
        let scored = with(true, true);
        return [scored.clone(), scored];
    };
    let containers = || spec.containers.iter().chain(&spec.init_containers);
    let asks_cpu = own.contains_key(&ResourceName::Cpu)
        || containers().any(|container| container.zero_requests.cpu || container.requests.cpu_milli > 0);
    let asks_memory = own.contains_key(&ResourceName::Memory)
        || containers().any(|container| container.zero_requests.memory || container.requests.memory_bytes > 0);
    let counted = with(!asks_cpu && spec.overhead.cpu_milli == 0, !asks_memory && spec.overhead.memory_bytes == 0);
    [with(!asks_cpu, !asks_memory), counted]
}

/// The sum over containers and sidecars, or what some init container needs beside the sidecars started before it,
/// whichever is larger; in its place what the pod itself asks for; plus overhead.
///
/// Source: `PodRequests`, staging/src/k8s.io/component-helpers/resource/helpers.go (v1.34.1), without resizing in
/// place.
fn pod_requests(spec: &PodSpec, of_container: impl Fn(&Container) -> Resources) -> Resources {
    let mut sum = spec.sum_of_containers(of_container);
    for (name, amount) in spec.pod_requests.iter().flat_map(|own| own.iter()) {
        sum.set(name, *amount);
    }
    sum.add(&spec.overhead);
    sum
}

/// A port of a node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct HostPort {
    /// The protocol's number and the port.
    port: (u8, u16),
    /// `None` is every address of the node.
    address: Option<Name>,
}

impl HostPort {
    /// Whether only one of the two can be had.
    ///
    /// Source: `HostPortInfo.CheckConflict`, staging/src/k8s.io/kube-scheduler/framework/types.go (v1.34.1).
    pub(super) fn conflicts(&self, other: &HostPort) -> bool {
        self.port == other.port && (self.address.is_none() || other.address.is_none() || self.address == other.address)
    }
}

/// Source: `GetHostPorts`, pkg/scheduler/util/utils.go (v1.34.1): containers and sidecars.
fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let sidecars = spec.init_containers.iter().filter(|container| container.sidecar);
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
    let wanted = |protocol: Protocol, number, address: &Option<Name>| {
        let address = address.clone().filter(|address| !address.is_empty() && **address != *"0.0.0.0");
        HostPort { port: (protocol as u8, number), address }
    };
    let ports = ports.filter_map(|port| {
        port.host_port.filter(|number| *number > 0).map(|number| wanted(port.protocol, number, &port.host_ip))
    });
    let mut ports: Vec<HostPort> = ports.collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ContainerPort, ZeroRequests};

    fn container(cpu_milli: i64, memory_mib: i64) -> Container {
        let requests = Resources { cpu_milli, memory_bytes: memory_mib << 20, ..Resources::default() };
        Container { requests, ..Container::default() }
    }

    fn sums(spec: &PodSpec) -> [(i64, i64); 3] {
        let traits = PodTraits::of(&Shared::new(spec.clone()), &Identity::default());
        let pairs = [
            (traits.requests.cpu_milli, traits.requests.memory_bytes),
            (traits.scored_cpu_milli, traits.scored_memory_bytes),
            (traits.counted_cpu_milli, traits.counted_memory_bytes),
        ];
        pairs.map(|(cpu, memory)| (cpu, memory >> 20))
    }

    #[test]
    fn what_a_pod_itself_asks_for_replaces_its_containers_sum_and_overhead_is_added() {
        let overhead = Resources { cpu_milli: 10, ..Resources::default() };
        let mut spec =
            PodSpec { containers: vec![container(300, 0), container(0, 64)], overhead, ..PodSpec::default() };
        assert_eq!(sums(&spec), [(310, 64), (410, 264), (410, 264)]);
        spec.pod_requests = Some(Box::new([(ResourceName::Cpu, 500)].into()));
        assert_eq!(sums(&spec), [(510, 64), (510, 64), (510, 64)], "memory was asked for, so nobody gets a default");
        spec.containers[1] = container(0, 0);
        assert_eq!(sums(&spec), [(510, 0), (510, 400), (510, 400)]);
        spec.overhead.memory_bytes = 16 << 20;
        assert_eq!(sums(&spec), [(510, 16), (510, 416), (510, 16)], "overhead counts as asking on a node only");
    }

    #[test]
    fn a_request_of_nothing_that_was_written_gets_no_default() {
        let zero = Container { zero_requests: ZeroRequests { cpu: true, memory: false }, ..container(0, 0) };
        let spec = PodSpec { containers: vec![zero], ..PodSpec::default() };
        assert_eq!(sums(&spec), [(0, 0), (0, 200), (0, 200)]);
    }

    #[test]
    fn a_port_on_one_address_leaves_the_others_free() {
        let port = |address: Option<&str>| {
            let host_ip = address.map(Name::from);
            let port =
                ContainerPort { name: "".into(), port: 80, host_port: Some(80), host_ip, protocol: Protocol::Tcp };
            let container = Container { ports: vec![port], ..Container::default() };
            host_ports(&PodSpec { containers: vec![container], ..PodSpec::default() }).remove(0)
        };
        let (one, other, every) = (port(Some("10.0.0.1")), port(Some("10.0.0.2")), port(Some("0.0.0.0")));
        assert!(
            one.conflicts(&one) && one.conflicts(&every) && every.conflicts(&other) && every.conflicts(&port(None))
        );
        assert!(!one.conflicts(&other));
    }
}
