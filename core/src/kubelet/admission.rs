//! Node admission: whether a pod that was bound to the node has room there.
//!
//! The scheduler has asked the same before; this catches pods bound by hand and bindings made from a stale view.
//! Others may have to make room for a critical pod; see `preemption`.
//!
//! Source: `generalFilter` and `Admit`, pkg/kubelet/lifecycle/predicate.go (v1.34.1).

use crate::id::Name;
use crate::model::{Node, PodSpec, Protocol, Resources, Taint, TaintEffect};
use crate::scheduler::node_fits_affinity;

/// Why a pod was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rejection {
    /// `OutOfcpu`, `OutOfmemory`, `OutOfpods` …
    pub(super) reason: Name,
    /// The sentence of the pod's status.
    pub(super) message: Name,
}

impl Rejection {
    /// The refusal of a pod for this reason and with this sentence.
    pub(super) fn new(reason: &str, sentence: &str) -> Rejection {
        Rejection { reason: reason.into(), message: format!("Pod was rejected: {sentence}").into() }
    }
}

/// What a node has too little of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Shortage {
    pub(super) resource: Name,
    requested: i64,
    used: i64,
    capacity: i64,
}

impl Shortage {
    /// How much is missing.
    pub(super) fn missing(&self) -> i64 {
        self.requested - (self.capacity - self.used)
    }

    /// The refusal of a pod for that.
    pub(super) fn refusal(&self) -> Rejection {
        let Shortage { resource, requested, used, capacity } = self;
        let numbers = format!("{resource}, requested: {requested}, used: {used}, capacity: {capacity}");
        let reason = format!("OutOf{resource}");
        Rejection::new(&reason, &format!("Node didn't have enough resource: {numbers}"))
    }
}

/// Why a pod is not taken on.
pub(super) enum Obstacle {
    /// It is refused.
    Refused(Rejection),
    /// It is critical, and nothing but room is missing.
    NoRoom(Vec<Shortage>),
}

impl From<Rejection> for Obstacle {
    fn from(rejection: Rejection) -> Obstacle {
        Obstacle::Refused(rejection)
    }
}

/// Checks what a pod takes against what the pods on the node have taken. `used.pods` counts them.
pub(super) fn shortages(wanted: &Resources, used: &Resources, allocatable: &Resources) -> Vec<Shortage> {
    let check = |resource: &str, requested: i64, used: i64, capacity: i64| {
        let is_short = requested != 0 && requested > capacity - used;
        is_short.then(|| Shortage { resource: resource.into(), requested, used, capacity })
    };
    let amount = |of: &Resources, name: &Name| of.extended.get(name).copied().unwrap_or(0);
    let of_all = [
        check("pods", 1, used.pods, allocatable.pods),
        check("cpu", wanted.cpu_milli, used.cpu_milli, allocatable.cpu_milli),
        check("memory", wanted.memory_bytes, used.memory_bytes, allocatable.memory_bytes),
        check("ephemeral-storage", wanted.ephemeral_bytes, used.ephemeral_bytes, allocatable.ephemeral_bytes),
    ];
    // A resource that the node does not have at all is the cluster's (or was forgotten): it keeps no pod out.
    let extended = wanted.extended.iter().filter(|(name, _)| allocatable.extended.contains_key(*name));
    let extended = extended.map(|(name, wanted)| check(name, *wanted, amount(used, name), amount(allocatable, name)));
    of_all.into_iter().chain(extended).flatten().collect()
}

/// Whether two pods want the same port of their node, on one address or on all.
///
/// Source: `Fits`, pkg/scheduler/framework/plugins/nodeports/node_ports.go, and `HostPortInfo.CheckConflict`,
/// staging/src/k8s.io/kube-scheduler/framework/types.go (v1.34.1).
pub(super) fn ports_clash(spec: &PodSpec, other: &PodSpec) -> bool {
    let clash = |one: &HostPort<'_>, other: &HostPort<'_>| {
        let everywhere = one.2.is_none() || other.2.is_none();
        (one.0, one.1) == (other.0, other.1) && (everywhere || one.2 == other.2)
    };
    host_ports(spec).any(|port| host_ports(other).any(|taken| clash(&port, &taken)))
}

/// Whether a pod wants a port of its node.
pub(super) fn has_host_ports(spec: &PodSpec) -> bool {
    host_ports(spec).next().is_some()
}

/// A protocol, a port of the node and the address on which it is wanted; `None` is every address.
type HostPort<'a> = (Protocol, u16, Option<&'a str>);

fn host_ports(spec: &PodSpec) -> impl Iterator<Item = HostPort<'_>> {
    let sidecars = spec.init_containers.iter().filter(|container| container.sidecar);
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
    ports.filter_map(|port| {
        let address = port.host_ip.as_deref().filter(|address| !address.is_empty() && *address != "0.0.0.0");
        Some((port.protocol, port.host_port?, address))
    })
}

/// The refusal of a pod whose port is taken.
pub(super) fn port_taken() -> Rejection {
    failed("NodePorts", "node(s) didn't have free ports for the requested pod ports")
}

/// Whether the node is one that the pod asks for.
pub(super) fn admit_to(spec: &PodSpec, node: &Node) -> Result<(), Rejection> {
    match node_fits_affinity(spec, node) {
        true => Ok(()),
        false => Err(failed("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")),
    }
}

/// Whether the pod bears the taints that would evict it. Taints of other effects count for the scheduler alone.
pub(super) fn admit_beside(spec: &PodSpec, taints: &[Taint]) -> Result<(), Rejection> {
    let mut evicting = taints.iter().filter(|taint| taint.effect == TaintEffect::NoExecute);
    match evicting.all(|taint| spec.tolerations.iter().any(|toleration| toleration.tolerates(taint))) {
        true => Ok(()),
        false => Err(failed("TaintToleration", "node(s) had taints that the pod didn't tolerate")),
    }
}

/// The refusal of a predicate.
fn failed(predicate: &str, why: &str) -> Rejection {
    Rejection::new(predicate, &format!("Predicate {predicate} failed: {why}"))
}

/// What a pod takes: its containers and sidecars together, or more if an init container needs more; and its overhead.
/// `pods` is 1.
///
/// Source: `AggregateContainerRequests`, staging/src/k8s.io/component-helpers/resource/helpers.go (v1.34.1).
pub(super) fn requests(spec: &PodSpec) -> Resources {
    let mut peak = Resources::default();
    let mut sidecars = Resources::default();
    for container in &spec.init_containers {
        let mut with_sidecars = container.requests.clone();
        with_sidecars.add(&sidecars);
        peak.max_with(&with_sidecars);
        if container.sidecar {
            sidecars = with_sidecars;
        }
    }
    let mut total = sidecars;
    for container in &spec.containers {
        total.add(&container.requests);
    }
    total.max_with(&peak);
    total.add(&spec.overhead);
    total.pods = 1;
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Container;

    fn container(cpu_milli: i64, sidecar: bool) -> Container {
        Container { requests: Resources { cpu_milli, ..Resources::default() }, sidecar, ..Container::default() }
    }

    #[test]
    fn a_pod_takes_the_larger_of_its_containers_and_its_init_peak() {
        let spec = PodSpec {
            init_containers: vec![container(500, false), container(200, true), container(900, false)],
            containers: vec![container(300, false), container(400, false)],
            ..PodSpec::default()
        };
        assert_eq!(requests(&spec).cpu_milli, 1_100, "the last init container runs beside the sidecar");
    }

    #[test]
    fn ports_clash_on_one_address_or_on_all() {
        use Protocol::{Tcp, Udp};
        let of = |protocol, host_port, host_ip: &str, sidecar| {
            let host_ip = (host_ip != "-").then(|| host_ip.into());
            let port = crate::model::ContainerPort { name: "".into(), port: 80, host_port, host_ip, protocol };
            let one = Container { ports: vec![port], sidecar, ..Container::default() };
            let (main, init) = if sidecar { (Vec::new(), vec![one]) } else { (vec![one], Vec::new()) };
            PodSpec { containers: main, init_containers: init, ..PodSpec::default() }
        };
        let taken = of(Tcp, Some(123), "10.0.0.1", false);
        for (other, clashes) in [
            (of(Tcp, Some(123), "10.0.0.1", false), true),
            (of(Tcp, Some(123), "10.0.0.2", false), false),
            (of(Tcp, Some(123), "0.0.0.0", false), true),
            (of(Tcp, Some(123), "-", true), true),
            (of(Tcp, Some(124), "10.0.0.1", false), false),
            (of(Udp, Some(123), "10.0.0.1", false), false),
            (of(Tcp, None, "-", false), false),
        ] {
            assert_eq!(ports_clash(&other, &taken), clashes, "{other:?}");
            assert_eq!(ports_clash(&taken, &other), clashes, "{other:?}, the other way round");
        }
    }

    #[test]
    fn a_pod_is_admitted_if_all_that_its_node_has_suffices() {
        // Of 10 CPU, 20 memory and 5 fans are in use, 32 pods at most; what a pod asks for, and what is said.
        let fan = Name::from("example.com/fan");
        let with_fans = |count: i64| {
            let extended = if count == 0 { Default::default() } else { [(fan.clone(), count)].into() };
            Resources { extended, ..Resources::default() }
        };
        let allocatable = Resources { cpu_milli: 10, memory_bytes: 20, pods: 32, ..with_fans(5) };
        let used = |cpu_milli, memory_bytes, pods| Resources { cpu_milli, memory_bytes, pods, ..with_fans(4) };
        for (wanted, used, refusal) in [
            ((0, 0, 0), used(9, 19, 1), None),
            ((0, 0, 0), used(10, 20, 1), None),
            ((1, 1, 1), used(9, 19, 1), None),
            ((8, 10, 0), used(5, 19, 1), Some("OutOfcpu")),
            ((1, 2, 0), used(5, 19, 1), Some("OutOfmemory")),
            ((0, 0, 2), used(5, 19, 1), Some("OutOfexample.com/fan")),
            ((0, 0, 0), used(5, 19, 32), Some("OutOfpods")),
            ((0, 0, 0), used(11, 21, 1), None),
        ] {
            let requests = Resources { cpu_milli: wanted.0, memory_bytes: wanted.1, ..with_fans(wanted.2) };
            let spec =
                PodSpec { containers: vec![Container { requests, ..Container::default() }], ..PodSpec::default() };
            let found = shortages(&super::requests(&spec), &used, &allocatable).first().map(|it| it.refusal().reason);
            assert_eq!(found.as_deref(), refusal, "{wanted:?} beside {used:?}");
        }
        let mut foreign = Resources { cpu_milli: 1, ..Resources::default() };
        foreign.extended.insert("example.com/unknown".into(), 7);
        let spec =
            PodSpec { containers: vec![Container { requests: foreign, ..Container::default() }], ..PodSpec::default() };
        let found = shortages(&requests(&spec), &used(0, 0, 0), &allocatable);
        assert_eq!(found, [], "what no node has keeps nobody out");
    }

    #[test]
    fn a_full_node_refuses_with_the_resource_in_the_reason() {
        let spec = PodSpec { containers: vec![container(1_000, false)], ..PodSpec::default() };
        let allocatable = Resources { cpu_milli: 4_000, pods: 110, ..Resources::default() };
        let used = Resources { cpu_milli: 3_500, pods: 7, ..Resources::default() };
        let wanted = requests(&spec);
        let refusal = shortages(&wanted, &used, &allocatable)[0].refusal();
        assert_eq!(&*refusal.reason, "OutOfcpu");
        let expected =
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000, used: 3500, capacity: 4000";
        assert_eq!(&*refusal.message, expected);
        let crowded = Resources { pods: 110, ..Resources::default() };
        assert_eq!(&*shortages(&wanted, &crowded, &allocatable)[0].refusal().reason, "OutOfpods");
    }
}
