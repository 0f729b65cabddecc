//! Which pods a Service selects, and what it makes of one: what the controllers of EndpointSlices and of Endpoints
//! agree on.

use crate::id::Name;
use crate::model::{Address, EndpointPort, IntOrName, Pod, PodSpec, Selector, Service, ServicePort, ServiceType};

/// The ports of a Service as a pod has them.
pub(super) type Ports = Vec<EndpointPort>;

/// What a Service selects; `None` if its endpoints are somebody else's business. An empty selector is none either.
pub(super) fn selector_of(service: &Service) -> Option<Selector> {
    let labels = service.selector.as_ref().filter(|labels| !labels.is_empty())?;
    let is_alias = matches!(service.service_type, ServiceType::ExternalName(_));
    (!is_alias).then(|| Selector::from_labels(labels.clone()))
}

/// What a pod's change is to the Services that select it.
pub(super) struct PodTurn {
    /// Whether it wakes them, even if they selected the pod before.
    pub(super) wakes: bool,
    /// Whether it has or had an address; a pod without one has no endpoint, and so brings a Service nothing to do but
    /// what has been left undone before.
    pub(super) has_address: bool,
}

impl PodTurn {
    /// What the change is; `None` if it is nothing to any Service.
    pub(super) fn of(old: Option<&Pod>, new: Option<&Pod>) -> Option<PodTurn> {
        let changed = old.map(endpoint_marks) != new.map(endpoint_marks);
        let relabelled = old.map(|pod| &pod.meta.labels) != new.map(|pod| &pod.meta.labels);
        if !changed && !relabelled {
            return None;
        }
        let has_address = [old, new].into_iter().flatten().any(|pod| pod.status.pod_ip.is_some());
        Some(PodTurn { wakes: old.map(waking_marks) != new.map(waking_marks), has_address })
    }
}

/// What of a pod its endpoint shows.
fn endpoint_marks(pod: &Pod) -> (bool, bool, bool, Option<&Address>, Option<&Name>) {
    let marks = (pod.is_ready(), pod.meta.is_terminating(), pod.is_finished());
    (marks.0, marks.1, marks.2, pod.status.pod_ip.as_ref(), pod.node.as_ref())
}

/// What of a pod wakes its Services. That it has ended does so only while it is on its way out: whoever ends a pod
/// takes its readiness along, and where nobody does, the endpoint stays until something else changes. Its node does not:
/// a pod has one before it has an address.
///
/// Source: `podEndpointsChanged`, staging/src/k8s.io/endpointslice/util/controller_utils.go (v1.34.1).
fn waking_marks(pod: &Pod) -> (bool, bool, bool, Option<&Address>) {
    let marks = endpoint_marks(pod);
    (marks.0, marks.1, marks.1 && marks.2, marks.3)
}

/// The ports of a Service as a pod has them, in its order; named ports that the pod does not have are left out.
pub(super) fn ports_of(service: &Service, pod: &PodSpec) -> Ports {
    let resolved = service.ports.iter().filter_map(|port| {
        let (name, protocol, app_protocol) = (port.name.clone(), port.protocol, port.app_protocol.clone());
        Some(EndpointPort { name, protocol, number: number_of(port, pod)?, app_protocol })
    });
    resolved.collect()
}

/// Source: `FindPort`, staging/src/k8s.io/endpointslice/utils.go (v1.34.1): containers first, then sidecars.
fn number_of(port: &ServicePort, pod: &PodSpec) -> Option<u16> {
    match &port.target {
        IntOrName::Int(number) => Some(*number),
        IntOrName::Name(name) => {
            let sidecars = pod.init_containers.iter().filter(|container| container.sidecar);
            let mut ports = pod.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
            ports.find(|it| it.name == *name && it.protocol == port.protocol).map(|it| it.port)
        }
    }
}

/// The name that the pod has under a Service: its own hostname, if it says that it belongs to that Service.
///
/// Source: `ShouldSetHostname`, staging/src/k8s.io/endpointslice/utils.go (v1.34.1).
pub(super) fn hostname_under(service: &Service, pod: &Pod) -> Option<Name> {
    let belongs = pod.subdomain() == Some(&service.meta.name) && pod.meta.namespace == service.meta.namespace;
    pod.hostname().filter(|_| belongs).cloned()
}
