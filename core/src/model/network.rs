//! Services and EndpointSlices.

use serde::{Deserialize, Serialize};

use crate::digest::Shared;
use crate::id::{Name, Uid};
use crate::model::{Labels, Meta};
use crate::time::Span;

/// A transport protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A port by number or by the name that a container gives it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum IntOrName {
    /// A number (1 ..= 65535).
    Int(u16),
    /// A container port's name.
    Name(Name),
}

/// How a Service is reached.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum ServiceType {
    /// At a virtual address inside the cluster.
    #[default]
    ClusterIp,
    /// Also at a port of every node.
    NodePort,
    /// Also through a load balancer.
    LoadBalancer,
    /// An alias for a DNS name.
    ExternalName(Name),
}

/// One port of a Service.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ServicePort {
    /// Its name; empty if the Service has one port only.
    pub name: Name,
    /// The protocol.
    pub protocol: Protocol,
    /// The Service's port.
    pub port: u16,
    /// The pods' port.
    pub target: IntOrName,
    /// The nodes' port, if any.
    pub node_port: Option<u16>,
}

/// A Service.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Service {
    /// Names and labels.
    pub meta: Meta,
    /// Which pods serve; `None` leaves the endpoints to somebody else.
    pub selector: Option<Labels>,
    /// The ports.
    pub ports: Vec<ServicePort>,
    /// How it is reached.
    pub service_type: ServiceType,
    /// The virtual address; `None` is headless or not yet assigned.
    pub cluster_ip: Option<Name>,
    /// Whether the user asked for no virtual address (`clusterIP: None`).
    pub headless: bool,
    /// Whether unready pods are listed as ready.
    pub publish_not_ready: bool,
    /// How long a client keeps its endpoint; `None` is no affinity.
    pub client_ip_affinity: Option<Span>,
}

/// One address behind a Service.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    /// The pod's address.
    pub address: Name,
    /// The pod's identity.
    pub pod_uid: Uid,
    /// The pod's name, in the slice's namespace.
    pub pod: Name,
    /// The pod's node.
    pub node: Option<Name>,
    /// The node's zone.
    pub zone: Option<Name>,
    /// Serving and not terminating, or published although unready.
    pub ready: bool,
    /// The pod is ready, terminating or not.
    pub serving: bool,
    /// The pod is being deleted.
    pub terminating: bool,
    /// The pod's own DNS name under the Service, if it asked for one.
    pub hostname: Option<Name>,
}

/// Up to 100 endpoints of one Service with one set of ports.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct EndpointSlice {
    /// Names and labels; the Service is the label `kubernetes.io/service-name`.
    pub meta: Meta,
    /// Name, protocol and number of each port.
    pub ports: Vec<(Name, Protocol, u16)>,
    /// The addresses, sorted. Each is shared with the versions of the slice before and after.
    pub endpoints: Vec<Shared<Endpoint>>,
}
