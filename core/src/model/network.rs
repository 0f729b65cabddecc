//! Services and EndpointSlices.

use std::fmt::{self, Display, Formatter};
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::digest::Shared;
use crate::id::{Name, Uid};
use crate::model::seldom::{Absent, Seldom};
use crate::model::{Address, Labels, Meta};
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

impl Protocol {
    /// As manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
            Protocol::Sctp => "SCTP",
        }
    }
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

/// A family of addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum IpFamily {
    /// IPv4, the one that clusters here have.
    V4,
    /// IPv6.
    V6,
}

impl IpFamily {
    /// `IPv4` or `IPv6`.
    pub fn name(self) -> &'static str {
        match self {
            IpFamily::V4 => "IPv4",
            IpFamily::V6 => "IPv6",
        }
    }
}

/// Addresses of how many families a Service wants (`ipFamilyPolicy`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum IpFamilyPolicy {
    /// One.
    SingleStack,
    /// Two if the cluster has them.
    PreferDualStack,
    /// Two.
    RequireDualStack,
}

impl IpFamilyPolicy {
    /// As manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            IpFamilyPolicy::SingleStack => "SingleStack",
            IpFamilyPolicy::PreferDualStack => "PreferDualStack",
            IpFamilyPolicy::RequireDualStack => "RequireDualStack",
        }
    }
}

/// Where traffic from outside may go (`externalTrafficPolicy`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum ExternalTraffic {
    /// To any endpoint.
    Cluster,
    /// To endpoints on the node that it came to.
    Local,
}

/// A port of the nodes as somebody has written it, which may be none that there is: the API server refuses it where it
/// is to be reserved, and nowhere else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct NodePort(pub i32);

impl From<u16> for NodePort {
    fn from(number: u16) -> NodePort {
        NodePort(number.into())
    }
}

impl Display for NodePort {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number that a port can have has the hash of a port, as when no other could be held, so that fingerprints stay.
impl Hash for NodePort {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match u16::try_from(self.0) {
            Ok(number) => number.hash(state),
            Err(_) => self.0.hash(state),
        }
    }
}

/// What is spoken at a port, for those who look into what they forward (`appProtocol`), if somebody has said.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppProtocol(pub Option<Name>);

impl AppProtocol {
    /// Whether nobody has said.
    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

/// A port of which nobody has said has the hash that it would have without this field, so that fingerprints stay.
impl Hash for AppProtocol {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|protocol| protocol.hash(state));
    }
}

/// A port under which addresses are listed, in slices and in Endpoints.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct EndpointPort {
    /// Its name; empty if it has none.
    pub name: Name,
    /// The protocol.
    pub protocol: Protocol,
    /// The number (1 ..= 65535).
    pub number: u16,
    /// What is spoken there.
    #[serde(default, skip_serializing_if = "AppProtocol::is_absent")]
    pub app_protocol: AppProtocol,
}

impl EndpointPort {
    /// A port of which nobody has said what is spoken there.
    pub fn new(name: impl Into<Name>, protocol: Protocol, number: u16) -> EndpointPort {
        EndpointPort { name: name.into(), protocol, number, app_protocol: AppProtocol::default() }
    }

    /// Puts the ports of a slice in their order, which is that of the digests of Go's dumps of them.
    ///
    /// Source: `portsInOrder`, staging/src/k8s.io/endpointslice/util/controller_utils.go; `ForHash`,
    /// staging/src/k8s.io/apimachinery/pkg/util/dump/dump.go (v1.34.1).
    pub(crate) fn sort_in_slice(ports: &mut [EndpointPort]) {
        if ports.len() > 1 {
            ports.sort_by_cached_key(|port| md5::compute(port.dumped_in_slice()).0);
        }
    }

    /// Puts the ports of Endpoints in their order, which is that of the digests of other dumps.
    ///
    /// Source: `portsByHash`, pkg/api/v1/endpoints/util.go (v1.34.1).
    pub(crate) fn sort_in_subset(ports: &mut [EndpointPort]) {
        if ports.len() > 1 {
            ports.sort_by_cached_key(|port| md5::compute(format!("(v1.EndpointPort){}", port.dumped())).0);
        }
    }

    fn dumped_in_slice(&self) -> String {
        let (protocol, said) = (self.protocol.name(), dumped_text(self.app_protocol.0.as_deref()));
        format!(
            "(v1.EndpointPort){{Name:(*string){} Protocol:(*v1.Protocol){protocol} Port:(*int32){} AppProtocol:{said}}}",
            self.name, self.number
        )
    }

    /// A port of Endpoints as Go dumps it, without its type.
    pub(crate) fn dumped(&self) -> String {
        let (protocol, said) = (self.protocol.name(), dumped_text(self.app_protocol.0.as_deref()));
        format!(
            "{{Name:(string){} Port:(int32){} Protocol:(v1.Protocol){protocol} AppProtocol:{said}}}",
            self.name, self.number
        )
    }
}

/// A text that may be missing as Go dumps a pointer to one.
pub(crate) fn dumped_text(text: Option<&str>) -> String {
    format!("(*string){}", text.unwrap_or("<nil>"))
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
    pub node_port: Option<NodePort>,
    /// What is spoken there.
    #[serde(default, skip_serializing_if = "AppProtocol::is_absent")]
    pub app_protocol: AppProtocol,
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
    /// The families of its addresses, the first one first; empty for an alias and before the API server has chosen.
    pub families: Vec<IpFamily>,
    /// Addresses of how many families it wants; `None` as for the families.
    pub family_policy: Option<IpFamilyPolicy>,
    /// Where traffic from outside may go; `None` for Services that none comes to.
    pub external_traffic: Option<ExternalTraffic>,
    /// Whether a load balancer reaches the pods through ports of the nodes (`allocateLoadBalancerNodePorts`); `None`
    /// for other types.
    pub allocates_node_ports: Option<bool>,
    /// The port at which a load balancer asks a node whether it has endpoints.
    pub health_check_node_port: Option<NodePort>,
    /// Whether unready pods are listed as ready.
    pub publish_not_ready: bool,
    /// How long a client keeps its endpoint; `None` is no affinity.
    pub client_ip_affinity: Option<Span>,
    /// Which endpoints a client is sent to first.
    #[serde(default, skip_serializing_if = "TrafficDistribution::is_anywhere")]
    pub traffic_distribution: TrafficDistribution,
}

/// Which endpoints a client is sent to first (`trafficDistribution`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum TrafficDistribution {
    /// Nobody has said.
    #[default]
    Anywhere,
    /// Those of its zone; the older name.
    PreferClose,
    /// Those of its zone.
    PreferSameZone,
    /// Those of its node.
    PreferSameNode,
}

impl TrafficDistribution {
    /// All that can be said.
    pub const SAID: [TrafficDistribution; 3] =
        [TrafficDistribution::PreferClose, TrafficDistribution::PreferSameZone, TrafficDistribution::PreferSameNode];

    /// As manifests write it; empty if nobody has said.
    pub fn name(self) -> &'static str {
        match self {
            TrafficDistribution::Anywhere => "",
            TrafficDistribution::PreferClose => "PreferClose",
            TrafficDistribution::PreferSameZone => "PreferSameZone",
            TrafficDistribution::PreferSameNode => "PreferSameNode",
        }
    }

    /// Whether nobody has said.
    pub fn is_anywhere(&self) -> bool {
        *self == TrafficDistribution::Anywhere
    }
}

/// A Service that says nothing has the hash that it would have without this field, so that fingerprints stay.
impl Hash for TrafficDistribution {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if !self.is_anywhere() {
            self.name().hash(state);
        }
    }
}

impl Service {
    /// Whether it has ports of the nodes, given or to be chosen.
    pub fn uses_node_ports(&self) -> bool {
        matches!(self.service_type, ServiceType::NodePort | ServiceType::LoadBalancer)
    }

    /// Whether it is an alias and has no address of its own.
    pub fn is_alias(&self) -> bool {
        matches!(self.service_type, ServiceType::ExternalName(_))
    }

    /// Whether a load balancer asks nodes for it.
    ///
    /// Source: `NeedsHealthCheck`, pkg/api/service/util.go (v1.34.1).
    pub fn needs_health_check(&self) -> bool {
        self.service_type == ServiceType::LoadBalancer && self.external_traffic == Some(ExternalTraffic::Local)
    }
}

/// One address behind a Service.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Endpoint {
    /// The pod's address.
    pub address: Address,
    /// The pod's identity.
    pub pod_uid: Uid,
    /// The pod's name, in the slice's namespace; empty for an endpoint that is none.
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
    /// For whom it is, if that is told.
    #[serde(default, skip_serializing_if = "Seldom::is_absent")]
    pub hints: Seldom<EndpointHints>,
}

/// For whom an endpoint is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct EndpointHints {
    /// Zones.
    pub zones: Vec<Name>,
    /// Nodes.
    pub nodes: Vec<Name>,
}

impl Absent for EndpointHints {
    const ABSENT: &'static EndpointHints = &EndpointHints { zones: Vec::new(), nodes: Vec::new() };
}

/// An endpoint without hints has the hash that it would have without this field, so that fingerprints stay.
impl Hash for EndpointHints {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self != EndpointHints::ABSENT {
            (&self.zones, &self.nodes).hash(state);
        }
    }
}

/// Up to 100 endpoints of one Service with one set of ports.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct EndpointSlice {
    /// Names and labels; the Service is the label `kubernetes.io/service-name`.
    pub meta: Meta,
    /// The ports of all endpoints.
    pub ports: Vec<EndpointPort>,
    /// The addresses, sorted. Each is shared with the versions of the slice before and after.
    pub endpoints: Vec<Shared<Endpoint>>,
}
