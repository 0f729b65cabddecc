//! The pods that a Service selects, with the endpoint of each as long as nothing that it shows has changed.
//!
//! Invariant: a remembered endpoint is what would be made of the pod, its node and the Service as they are; whoever
//! changes one of them says so ([`Selected::note`], [`Selected::forget_endpoints`]).

use std::collections::{BTreeMap, BTreeSet};

use crate::controllers::endpoint_slice::placement::{Changes, Wanted};
use crate::controllers::service_pods::{Ports, hostname_under, ports_of};
use crate::digest::Shared;
use crate::id::{Name, RowId, Uid};
use crate::model::{Endpoint, EndpointPort, Node, Pod, Seldom, Service};
use crate::store::View;

/// The label that names a node's zone.
pub(super) const ZONE: &str = "topology.kubernetes.io/zone";

/// Pods that were left out because their node is not there (yet): their names and the node's.
pub(super) type LeftOut = Vec<(Name, Name)>;

/// The endpoints of one set of ports, by pod.
type OfPorts = Vec<(Uid, Shared<Endpoint>)>;

/// The pods that a Service selects.
#[derive(Default)]
pub(super) struct Selected {
    pods: BTreeMap<Uid, (RowId, Made)>,
    /// The sets of ports that pods have for the Service: nearly always one.
    ports: Vec<Ports>,
    /// The pods that have changed or left since somebody last asked; `None` if every pod has to be looked at.
    changed: Option<BTreeSet<Uid>>,
}

/// What has been made of a pod.
#[derive(Clone)]
enum Made {
    /// It has to be looked at.
    Unknown,
    /// It has no address or has finished.
    Nothing,
    /// Its node is not there (yet).
    Homeless {
        ports: usize,
    },
    Endpoint {
        ports: usize,
        endpoint: Shared<Endpoint>,
    },
}

impl Selected {
    /// A pod is selected, or has changed.
    pub(super) fn note(&mut self, row: RowId, pod: Uid) {
        self.pods.insert(pod, (row, Made::Unknown));
        self.changed.iter_mut().for_each(|changed| _ = changed.insert(pod));
    }

    /// A pod is selected that has no address, and so no endpoint.
    pub(super) fn note_without_address(&mut self, row: RowId, pod: Uid) {
        self.pods.insert(pod, (row, Made::Nothing));
    }

    /// A pod is selected no longer, or is gone.
    pub(super) fn remove(&mut self, pod: Uid) {
        self.pods.remove(&pod);
        self.changed.iter_mut().for_each(|changed| _ = changed.insert(pod));
    }

    /// What was asked for may not have come about: every pod has to be looked at.
    pub(super) fn distrust(&mut self) {
        self.changed = None;
    }

    /// Whether nobody has changed since somebody last asked, so that a sync would find nothing to do.
    pub(super) fn is_settled(&self) -> bool {
        self.changed.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// The Service or a node has changed.
    pub(super) fn forget_endpoints(&mut self) {
        self.pods.values_mut().for_each(|(_, made)| *made = Made::Unknown);
        self.ports.clear();
        self.distrust();
    }

    /// The endpoints that have changed since somebody last asked, with their ports; `None` if every pod has to be
    /// looked at: pods have several sets of ports, or miss their node.
    pub(super) fn changes(&mut self, view: View<'_>, service: &Service) -> Option<(Ports, Changes)> {
        let mut changes = Changes::new();
        for uid in self.changed.as_ref()? {
            let mut endpoint = None;
            if let Some((row, made)) = self.pods.get_mut(uid) {
                if let (Made::Unknown, Some(pod)) = (&made, view.get::<Pod>(*row)) {
                    *made = make(view, service, pod, &mut self.ports);
                }
                match made {
                    Made::Unknown | Made::Nothing => {}
                    Made::Homeless { .. } => return None,
                    Made::Endpoint { endpoint: it, .. } => endpoint = Some(it.clone()),
                }
            }
            changes.insert(*uid, endpoint);
        }
        let ports = match &self.ports[..] {
            // No pod has an address yet, so none of the changes is an endpoint.
            [] => Ports::new(),
            [ports] => ports.clone(),
            _ => return None,
        };
        self.changed = Some(BTreeSet::new());
        Some((ports, changes))
    }

    /// The endpoints that the Service should have, by their ports; and the pods left out for want of their node.
    pub(super) fn wanted(&mut self, view: View<'_>, service: &Service) -> (BTreeMap<Ports, Wanted>, LeftOut) {
        self.changed = Some(BTreeSet::new());
        let mut left_out = LeftOut::new();
        let mut wanted: Vec<Option<OfPorts>> = vec![None; self.ports.len()];
        for (uid, (row, made)) in &mut self.pods {
            if let Made::Unknown = made {
                let Some(pod) = view.get::<Pod>(*row) else { continue };
                *made = make(view, service, pod, &mut self.ports);
                wanted.resize(self.ports.len(), None);
            }
            match made {
                Made::Unknown | Made::Nothing => {}
                Made::Homeless { ports } => {
                    wanted[*ports].get_or_insert_default();
                    let pod = view.get::<Pod>(*row);
                    left_out.extend(pod.and_then(|pod| Some((pod.meta.name.clone(), pod.node.clone()?))));
                }
                Made::Endpoint { ports, endpoint } => {
                    wanted[*ports].get_or_insert_default().push((*uid, endpoint.clone()));
                }
            }
        }
        let by_ports = self.ports.iter().zip(wanted);
        let by_ports = by_ports.filter_map(|(ports, wanted)| Some((ports.clone(), wanted?.into_iter().collect())));
        (by_ports.collect(), left_out)
    }
}

fn make(view: View<'_>, service: &Service, pod: &Pod, all_ports: &mut Vec<Ports>) -> Made {
    let Some(address) = pod.status.pod_ip.as_ref().filter(|_| !pod.is_finished()) else { return Made::Nothing };
    let mut ports = ports_of(service, &pod.spec);
    EndpointPort::sort_in_slice(&mut ports);
    let ports = all_ports.iter().position(|other| *other == ports).unwrap_or_else(|| {
        all_ports.push(ports);
        all_ports.len() - 1
    });
    let node = pod.node.as_ref().and_then(|name| view.find::<Node>(&Name::default(), name));
    if node.is_none() && !service.publish_not_ready {
        return Made::Homeless { ports };
    }
    let (serving, terminating) = (pod.is_ready(), pod.meta.is_terminating());
    let endpoint = Endpoint {
        address: address.clone(),
        pod_uid: pod.meta.uid,
        pod: pod.meta.name.clone(),
        node: pod.node.clone(),
        zone: node.and_then(|(_, node)| node.meta.labels.get(ZONE).cloned()),
        ready: service.publish_not_ready || (serving && !terminating),
        serving,
        terminating,
        hostname: hostname_under(service, pod),
        hints: Seldom::default(),
    };
    Made::Endpoint { ports, endpoint: Shared::new(endpoint) }
}
