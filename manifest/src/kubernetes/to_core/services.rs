//! Services and their ports.

use k8s_openapi::api::core::v1 as api;
use wavetank_core::model::{
    AppProtocol, ExternalTraffic, IntOrName, IpFamily, IpFamilyPolicy, Meta, NodePort, Protocol, Service, ServicePort,
    ServiceType, TrafficDistribution,
};

use super::pods::{int_or_name, seconds};
use crate::kubernetes::parts::{labels, name, optional};

pub(super) fn service(meta: Meta, object: &api::Service) -> Service {
    let Some(spec) = &object.spec else { return Service { meta, ..Service::default() } };
    let cluster_ip = spec.cluster_ip.as_deref().filter(|address| !address.is_empty());
    let affinity = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let has_affinity = spec.session_affinity.as_deref() == Some("ClientIP");
    Service {
        meta,
        selector: spec.selector.as_ref().filter(|pairs| !pairs.is_empty()).map(|pairs| labels(Some(pairs))),
        ports: spec.ports.iter().flatten().map(service_port).collect(),
        service_type: match spec.type_.as_deref() {
            Some("NodePort") => ServiceType::NodePort,
            Some("LoadBalancer") => ServiceType::LoadBalancer,
            Some("ExternalName") => ServiceType::ExternalName(optional(spec.external_name.as_ref())),
            _ => ServiceType::ClusterIp,
        },
        families: spec.ip_families.iter().flatten().map(|family| ip_family(family)).collect(),
        family_policy: spec.ip_family_policy.as_deref().map(|policy| match policy {
            "PreferDualStack" => IpFamilyPolicy::PreferDualStack,
            "RequireDualStack" => IpFamilyPolicy::RequireDualStack,
            _ => IpFamilyPolicy::SingleStack,
        }),
        external_traffic: spec.external_traffic_policy.as_deref().map(|policy| match policy {
            "Local" => ExternalTraffic::Local,
            _ => ExternalTraffic::Cluster,
        }),
        allocates_node_ports: spec.allocate_load_balancer_node_ports,
        health_check_node_port: spec.health_check_node_port.filter(|number| *number != 0).map(NodePort),
        cluster_ip: cluster_ip.filter(|address| *address != "None").map(name),
        headless: cluster_ip == Some("None"),
        publish_not_ready: spec.publish_not_ready_addresses.unwrap_or(false),
        traffic_distribution: TrafficDistribution::SAID
            .into_iter()
            .find(|wish| spec.traffic_distribution.as_deref() == Some(wish.name()))
            .unwrap_or_default(),
        client_ip_affinity: has_affinity
            .then(|| seconds(affinity.and_then(|it| it.timeout_seconds).map(i64::from), 10_800)),
    }
}

pub(super) fn ip_family(family: &str) -> IpFamily {
    if family == "IPv6" { IpFamily::V6 } else { IpFamily::V4 }
}

pub(super) fn service_port(port: &api::ServicePort) -> ServicePort {
    let number = port_number(port.port);
    ServicePort {
        name: optional(port.name.as_ref()),
        protocol: protocol(port.protocol.as_deref()),
        port: number,
        target: port.target_port.as_ref().map_or(IntOrName::Int(number), int_or_name),
        node_port: port.node_port.filter(|number| *number != 0).map(NodePort),
        app_protocol: AppProtocol(port.app_protocol.as_deref().map(name)),
    }
}

pub(super) fn port_number(number: i32) -> u16 {
    u16::try_from(number).expect("ports are checked by validation")
}

pub(super) fn protocol(text: Option<&str>) -> Protocol {
    match text {
        Some("UDP") => Protocol::Udp,
        Some("SCTP") => Protocol::Sctp,
        _ => Protocol::Tcp,
    }
}
