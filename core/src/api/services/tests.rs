use super::*;
use crate::api::{Patch, Propagation, Request};
use crate::config::Config;
use crate::model::{
    ExternalTraffic, IntOrName, IpFamily, IpFamilyPolicy, Labels, Meta, NodePort, Protocol, Resource, ServicePort,
    ServiceType,
};
use crate::testbed::Testbed;

fn service(name: &str) -> Service {
    Service {
        meta: Meta::named("default", name),
        selector: Some(Labels::new([("app", "a")])),
        ports: vec![port("", 80)],
        ..Service::default()
    }
}

fn port(name: &str, number: u16) -> ServicePort {
    let target = IntOrName::Int(number);
    ServicePort {
        name: name.into(),
        protocol: Protocol::Tcp,
        port: number,
        target,
        node_port: None,
        app_protocol: Default::default(),
    }
}

fn on_nodes(name: &str, node_port: Option<i32>) -> Service {
    let mut service = Service { service_type: ServiceType::NodePort, ..service(name) };
    service.ports[0].node_port = node_port.map(NodePort);
    service
}

fn at(name: &str, address: &str) -> Service {
    Service { cluster_ip: Some(address.into()), ..service(name) }
}

/// A bed with the API server's own default range, 10.0.0.0/24.
fn bed() -> Testbed {
    let mut config = Config::default();
    config.api_server.service_addresses = AddressRange { first: 10 << 24, prefix: 24 };
    Testbed::new(config)
}

fn create(bed: &mut Testbed, service: Service) -> String {
    bed.ask(Request::Create(Service::into_object(service.into())))
}

fn update(bed: &mut Testbed, name: &str, change: impl FnOnce(&mut Service)) -> String {
    let mut changed = Service::clone(&stored(bed, name));
    change(&mut changed);
    bed.ask(Request::Update { object: Service::into_object(changed.into()), expected: None })
}

fn delete(bed: &mut Testbed, name: &str) {
    let key = ObjectKey::new(Kind::Service, "default", name);
    let propagation = Propagation::Background;
    assert_eq!(bed.ask(Request::Delete { key, uid: None, grace: None, propagation }), "");
}

fn stored(bed: &Testbed, name: &str) -> Arc<Service> {
    bed.get::<Service>("default", name).expect("the Service is there")
}

fn last_byte(service: &Service) -> u32 {
    service.cluster_ip.as_deref().and_then(number_of).expect("it has an address") & 255
}

#[test]
fn a_service_gets_an_address_of_the_upper_band_and_one_family() {
    let mut bed = bed();
    for number in 0..20 {
        assert_eq!(create(&mut bed, service(&format!("s{number}"))), "");
        let address = last_byte(&stored(&bed, &format!("s{number}")));
        assert!((17..=254).contains(&address), "10.0.0.{address}");
    }
    let made = stored(&bed, "s0");
    assert_eq!((&*made.families, made.family_policy), (&[IpFamily::V4][..], Some(IpFamilyPolicy::SingleStack)));
}

#[test]
fn a_given_address_must_be_of_the_range_and_free() {
    let mut bed = bed();
    assert_eq!(create(&mut bed, at("fixed", "10.0.0.5")), "");
    let start = |name: &str, ip: &str| {
        format!(
            "Service \"{name}\" is invalid: spec.clusterIPs: Invalid value: [\"{ip}\"]: failed to allocate IP {ip}: "
        )
    };
    let allocated = "provided IP is already allocated";
    assert_eq!(create(&mut bed, at("dup", "10.0.0.5")), start("dup", "10.0.0.5") + allocated);
    let outside = create(&mut bed, at("outside", "10.9.0.50"));
    assert_eq!(outside, start("outside", "10.9.0.50") + "the provided network does not match the current range");
    let broadcast = create(&mut bed, at("last", "10.0.0.255"));
    assert!(broadcast.ends_with("is not in the valid range. The range of valid IPs is 10.0.0.0/24"), "{broadcast}");
    assert_eq!(create(&mut bed, at("first", "10.0.0.1")), start("first", "10.0.0.1") + allocated);
    assert_eq!(create(&mut bed, at("kubernetes", "10.0.0.1")), "", "it is kept for this one");
    delete(&mut bed, "fixed");
    assert_eq!(create(&mut bed, at("again", "10.0.0.5")), "", "what a deleted Service had is free");
}

#[test]
fn when_the_upper_band_is_full_the_lower_one_is_used_and_then_nothing_is_left() {
    let mut bed = bed();
    for number in 0..253 {
        assert_eq!(create(&mut bed, service(&format!("s{number}"))), "", "number {number}");
        let in_upper = last_byte(&stored(&bed, &format!("s{number}"))) > 16;
        assert_eq!(in_upper, number < 238, "number {number}");
    }
    let full = create(&mut bed, service("more"));
    assert_eq!(full, "Internal error occurred: failed to allocate a serviceIP: range is full");
    delete(&mut bed, "s7");
    assert_eq!(create(&mut bed, service("more")), "");
}

#[test]
fn an_address_stays_and_comes_back_with_a_manifest_that_does_not_name_it() {
    let mut bed = bed();
    create(&mut bed, service("web"));
    let address = stored(&bed, "web").cluster_ip.clone();
    let applied = Service { ports: vec![port("", 81)], ..service("web") };
    let object = Service::into_object(applied.into());
    assert_eq!(bed.ask(Request::Apply { object, sets_replicas: false }), "");
    assert_eq!((stored(&bed, "web").cluster_ip.clone(), stored(&bed, "web").ports[0].port), (address, 81));
    let moved = update(&mut bed, "web", |it| it.cluster_ip = Some("10.0.0.77".into()));
    let start = "Service \"web\" is invalid: spec.clusterIPs[0]: Invalid value: ";
    assert_eq!(moved, format!("{start}[\"10.0.0.77\"]: may not change once set"));
    let headless = update(&mut bed, "web", |it| (it.cluster_ip, it.headless) = (None, true));
    assert_eq!(headless, format!("{start}[\"None\"]: may not change once set"));
}

#[test]
fn node_ports_are_drawn_from_their_range_or_reserved() {
    let mut bed = bed();
    assert_eq!(create(&mut bed, on_nodes("drawn", None)), "");
    let drawn = stored(&bed, "drawn").ports[0].node_port.expect("it has one").0;
    assert!((30_086..=32_767).contains(&drawn), "{drawn}: the first 86 are for those who choose");
    assert_eq!(create(&mut bed, on_nodes("given", Some(30_080))), "");
    let refused = |name: &str, port: i32| {
        format!("Service \"{name}\" is invalid: spec.ports[0].nodePort: Invalid value: {port}: provided port is ")
    };
    assert_eq!(create(&mut bed, on_nodes("dup", Some(30_080))), refused("dup", 30_080) + "already allocated");
    for outside in [80, 70_000, -1, i32::MIN, i32::MAX] {
        let said = create(&mut bed, on_nodes("odd", Some(outside)));
        assert_eq!(said, refused("odd", outside) + "not in the valid range. The range of valid ports is 30000-32767");
    }
    let moved = update(&mut bed, "given", |it| it.ports[0].node_port = Some(NodePort(-5)));
    assert!(moved.starts_with(&refused("given", -5)), "{moved}");
    // The type that has no node ports gives them back, and one that a Service leaves is free too.
    assert_eq!(update(&mut bed, "given", |it| it.service_type = ServiceType::ClusterIp), "");
    assert_eq!(stored(&bed, "given").ports[0].node_port, None);
    assert_eq!(create(&mut bed, on_nodes("next", Some(30_080))), "");
    assert_eq!(update(&mut bed, "next", |it| it.ports[0].node_port = Some(NodePort(30_090))), "");
    assert_eq!(create(&mut bed, on_nodes("third", Some(30_080))), "");
}

#[test]
fn two_protocols_of_one_port_share_a_node_port_and_a_refused_request_takes_nothing() {
    let mut bed = bed();
    let mut dns = Service { service_type: ServiceType::NodePort, ..service("dns") };
    dns.ports = vec![port("tcp", 53), ServicePort { protocol: Protocol::Udp, ..port("udp", 53) }, port("web", 80)];
    assert_eq!(create(&mut bed, dns), "");
    let ports: Vec<Option<NodePort>> = stored(&bed, "dns").ports.iter().map(|port| port.node_port).collect();
    assert!(ports[0].is_some() && ports[0] == ports[1] && ports[0] != ports[2], "{ports:?}");
    let mut bad = on_nodes("bad", Some(30_001));
    bad.ports.push(ServicePort { node_port: Some(NodePort(1)), ..port("other", 81) });
    assert!(create(&mut bed, bad).contains("spec.ports[1].nodePort: Invalid value: 1"));
    assert_eq!(create(&mut bed, on_nodes("good", Some(30_001))), "");
}

#[test]
fn a_load_balancer_for_local_traffic_has_a_port_for_health_checks() {
    let mut bed = bed();
    let local = Some(ExternalTraffic::Local);
    let balanced = |name| Service {
        service_type: ServiceType::LoadBalancer,
        external_traffic: local,
        allocates_node_ports: Some(false),
        ..service(name)
    };
    assert_eq!(create(&mut bed, balanced("lb")), "");
    let made = stored(&bed, "lb");
    assert_eq!(made.ports[0].node_port, None, "it wants none");
    let check = made.health_check_node_port.expect("it is asked there");
    let taken = create(&mut bed, Service { health_check_node_port: Some(check), ..balanced("other") });
    let expected = "Internal error occurred: failed to allocate requested HealthCheck NodePort";
    assert_eq!(taken, format!("{expected} {check}: provided port is already allocated"));
    let far = create(&mut bed, Service { health_check_node_port: Some(NodePort(-70_000)), ..balanced("other") });
    assert!(far.starts_with(&format!("{expected} -70000: provided port is not in the valid range.")), "{far}");
    let moved = update(&mut bed, "lb", |it| it.health_check_node_port = Some(NodePort(32_000)));
    assert!(moved.ends_with("spec.healthCheckNodePort: Forbidden: field is immutable"), "{moved}");
    assert_eq!(update(&mut bed, "lb", |it| it.external_traffic = Some(ExternalTraffic::Cluster)), "");
    assert_eq!(stored(&bed, "lb").health_check_node_port, None);
    assert_eq!(create(&mut bed, Service { health_check_node_port: Some(check), ..balanced("other") }), "");
}

#[test]
fn a_cluster_of_one_family_refuses_the_other() {
    let mut bed = bed();
    let six = create(&mut bed, Service { families: vec![IpFamily::V6], ..service("six") });
    let expected = "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster";
    assert!(six.ends_with(expected), "{six}");
    let both = create(&mut bed, Service { family_policy: Some(IpFamilyPolicy::RequireDualStack), ..service("both") });
    assert!(both.ends_with("this cluster is not configured for dual-stack services"), "{both}");
    // Nobody here writes the endpoints of a headless Service that selects nothing.
    assert_eq!(create(&mut bed, Service { headless: true, selector: None, ..service("bare") }), "");
    let bare = stored(&bed, "bare");
    assert_eq!((&*bare.families, &bare.cluster_ip), (&[IpFamily::V4, IpFamily::V6][..], &None));
}

#[test]
fn an_alias_has_no_address_and_gets_one_when_it_becomes_a_service() {
    let mut bed = bed();
    create(&mut bed, at("web", "10.0.0.9"));
    let alias = |it: &mut Service| it.service_type = ServiceType::ExternalName("example.com".into());
    assert_eq!(update(&mut bed, "web", alias), "");
    assert_eq!((&stored(&bed, "web").cluster_ip, stored(&bed, "web").families.len()), (&None, 0));
    assert_eq!(create(&mut bed, at("other", "10.0.0.9")), "");
    assert_eq!(update(&mut bed, "web", |it| it.service_type = ServiceType::ClusterIp), "");
    assert!(stored(&bed, "web").cluster_ip.is_some());
}

#[test]
fn labels_change_without_any_of_it() {
    let mut bed = bed();
    create(&mut bed, on_nodes("web", None));
    let before = stored(&bed, "web");
    let patch = Patch::Label { key: "tier".into(), value: Some("front".into()) };
    let key = ObjectKey::new(Kind::Service, "default", "web");
    assert_eq!(bed.ask(Request::Patch { key, patch }), "");
    let after = stored(&bed, "web");
    assert_eq!((&after.cluster_ip, &after.ports), (&before.cluster_ip, &before.ports));
}

/// Source: `initIPFamilyFields`, pkg/registry/core/service/storage/alloc.go (v1.34.1).
#[test]
fn a_cluster_of_one_family_gives_services_that_prefer_two_the_one_and_refuses_those_that_require_two() {
    let mut bed = bed();
    let wanting = |name: &str, policy, families: &[IpFamily]| Service {
        family_policy: Some(policy),
        families: families.to_vec(),
        ..service(name)
    };
    assert_eq!(create(&mut bed, wanting("prefers", IpFamilyPolicy::PreferDualStack, &[])), "");
    let made = stored(&bed, "prefers");
    let policy = Some(IpFamilyPolicy::PreferDualStack);
    assert_eq!((&*made.families, made.family_policy), (&[IpFamily::V4][..], policy));
    let none = "this cluster is not configured for dual-stack services";
    let policy = format!("spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": {none}");
    let six = "spec.ipFamilies[1]: Invalid value: \"IPv6\": not configured on this cluster";
    let required = create(&mut bed, wanting("requires", IpFamilyPolicy::RequireDualStack, &[]));
    assert_eq!(required, format!("Service \"requires\" is invalid: {policy}"));
    let both = [IpFamily::V4, IpFamily::V6];
    let required = create(&mut bed, wanting("requires", IpFamilyPolicy::RequireDualStack, &both));
    assert_eq!(required, format!("Service \"requires\" is invalid: [{policy}, {six}]"));
    let preferred = create(&mut bed, wanting("six", IpFamilyPolicy::PreferDualStack, &both));
    assert_eq!(preferred, format!("Service \"six\" is invalid: {six}"));
}

/// Source: `isMatchingPreferDualStackClusterIPFields`, `reducedIPFamilies`, pkg/registry/core/service/storage/alloc.go
/// (v1.34.1).
#[test]
fn a_service_of_two_families_keeps_both_unless_it_asks_for_one() {
    let mut bed = bed();
    let bare =
        |name: &str, policy| Service { headless: true, selector: None, family_policy: Some(policy), ..service(name) };
    let selecting = |it: &mut Service| it.selector = Some(Labels::new([("app", "a")]));
    assert_eq!(create(&mut bed, bare("prefers", IpFamilyPolicy::PreferDualStack)), "");
    assert_eq!(update(&mut bed, "prefers", selecting), "", "what it prefers is as it was");
    assert_eq!(stored(&bed, "prefers").families, [IpFamily::V4, IpFamily::V6]);
    assert_eq!(create(&mut bed, bare("requires", IpFamilyPolicy::RequireDualStack)), "");
    let refused = update(&mut bed, "requires", selecting);
    assert!(refused.contains("this cluster is not configured for dual-stack services"), "{refused}");
    let released = update(&mut bed, "requires", |it| it.families.truncate(1));
    let rule = "must be 'SingleStack' to release the secondary IP family";
    let start = "Service \"requires\" is invalid: spec.ipFamilyPolicy: Invalid value:";
    assert_eq!(released, format!("{start} \"RequireDualStack\": {rule}"));
    let single = |it: &mut Service| it.family_policy = Some(IpFamilyPolicy::SingleStack);
    assert_eq!(update(&mut bed, "requires", single), "");
    assert_eq!(stored(&bed, "requires").families, [IpFamily::V4]);
}
