//! The variables by which containers find Services.

use super::*;
use crate::kubelet::RuntimeRequest;
use crate::model::{Namespace, Protocol, Service, ServiceLinks, ServicePort};

fn telling() -> Config {
    let kubelet = KubeletConfig { relist_period: Span::ZERO, service_variables: true, ..KubeletConfig::default() };
    Config { kubelet, ..Config::default() }
}

fn port(name: &str, protocol: Protocol, port: u16) -> ServicePort {
    ServicePort {
        name: name.into(),
        protocol,
        port,
        target: IntOrName::Int(port),
        node_port: None,
        app_protocol: Default::default(),
    }
}

fn service(namespace: &str, name: &str, address: &str, ports: &[ServicePort]) -> Service {
    Service {
        meta: Meta::named(namespace, name),
        cluster_ip: Some(address.into()),
        ports: ports.to_vec(),
        ..Service::default()
    }
}

/// A node of a cluster with the namespaces `default` and `shop` and these Services.
fn bed_of(services: Vec<Service>) -> Testbed {
    let mut bed = bed_with(telling(), FakeRuntime::new());
    bed.create(Namespace::named("shop"));
    services.into_iter().for_each(|service| bed.create(service));
    bed.run_for(Span::from_secs(1));
    bed
}

fn place(bed: &mut Testbed, namespace: &str, name: &str, links: bool) {
    let (meta, spec) = (Meta::named(namespace, name), PodSpec { service_links: ServiceLinks(links), ..spec(&["app"]) });
    bed.create(Pod { meta: meta.into(), spec: Shared::new(spec), node: Some("n1".into()), ..Pod::default() });
    bed.run_for(Span::from_secs(2));
}

/// What the container of a pod was told of Services when it was last started: `NAME=value`, by name.
fn told(bed: &Testbed, namespace: &str, name: &str) -> Vec<String> {
    let of = |body: &Msg| match body {
        Msg::Runtime(RuntimeRequest::StartContainer { pod, config, .. })
            if *pod.meta.namespace == *namespace && *pod.meta.name == *name =>
        {
            let services = config.as_ref().map(|config| config.services.clone()).unwrap_or_default();
            Some(services.iter().map(|(name, value)| format!("{name}={value}")).collect())
        }
        _ => None,
    };
    bed.to_runtimes.iter().rev().find_map(|(_, _, body)| of(body)).expect("it was started")
}

#[test]
fn a_container_is_told_where_the_services_of_its_namespace_are() {
    let ports = [port("web", Protocol::Tcp, 80), port("dns-udp", Protocol::Udp, 53)];
    let headless = Service { headless: true, cluster_ip: None, ..service("default", "db", "", &ports) };
    let mut bed = bed_of(vec![
        service("default", "my-shop", "10.96.0.17", &ports),
        service("shop", "other", "10.96.0.18", &[port("", Protocol::Tcp, 1)]),
        headless,
    ]);
    place(&mut bed, "default", "web", true);
    let expected = [
        "MY_SHOP_PORT=tcp://10.96.0.17:80",
        "MY_SHOP_PORT_53_UDP=udp://10.96.0.17:53",
        "MY_SHOP_PORT_53_UDP_ADDR=10.96.0.17",
        "MY_SHOP_PORT_53_UDP_PORT=53",
        "MY_SHOP_PORT_53_UDP_PROTO=udp",
        "MY_SHOP_PORT_80_TCP=tcp://10.96.0.17:80",
        "MY_SHOP_PORT_80_TCP_ADDR=10.96.0.17",
        "MY_SHOP_PORT_80_TCP_PORT=80",
        "MY_SHOP_PORT_80_TCP_PROTO=tcp",
        "MY_SHOP_SERVICE_HOST=10.96.0.17",
        "MY_SHOP_SERVICE_PORT=80",
        "MY_SHOP_SERVICE_PORT_DNS_UDP=53",
        "MY_SHOP_SERVICE_PORT_WEB=80",
    ];
    assert_eq!(told(&bed, "default", "web"), expected);
}

#[test]
fn the_cluster_s_own_service_is_told_everywhere_and_others_only_where_they_are_wanted() {
    let plain = |namespace, name, address| service(namespace, name, address, &[port("", Protocol::Tcp, 443)]);
    let mut bed = bed_of(vec![
        plain("default", "kubernetes", "10.96.0.11"),
        plain("default", "near", "10.96.0.12"),
        plain("shop", "far", "10.96.0.13"),
    ]);
    let hosts = |bed: &Testbed, namespace: &str, name: &str| -> Vec<String> {
        told(bed, namespace, name).into_iter().filter(|line| line.contains("_SERVICE_HOST")).collect()
    };
    for (namespace, name, links, expected) in [
        ("default", "a", true, &["KUBERNETES_SERVICE_HOST=10.96.0.11", "NEAR_SERVICE_HOST=10.96.0.12"][..]),
        ("default", "b", false, &["KUBERNETES_SERVICE_HOST=10.96.0.11"]),
        ("shop", "c", true, &["FAR_SERVICE_HOST=10.96.0.13", "KUBERNETES_SERVICE_HOST=10.96.0.11"]),
        ("shop", "d", false, &["KUBERNETES_SERVICE_HOST=10.96.0.11"]),
    ] {
        place(&mut bed, namespace, name, links);
        assert_eq!(hosts(&bed, namespace, name), expected, "{namespace}, links {links}");
    }
    // A Service of that name in the pod's own namespace goes before it.
    bed.create(plain("shop", "kubernetes", "10.96.0.19"));
    for (name, links, expected) in [("e", true, "10.96.0.19"), ("f", false, "10.96.0.11")] {
        place(&mut bed, "shop", name, links);
        assert!(hosts(&bed, "shop", name).contains(&format!("KUBERNETES_SERVICE_HOST={expected}")), "links {links}");
    }
}

#[test]
fn a_container_knows_the_services_as_they_were_when_it_was_started() {
    let mut bed = bed_of(vec![service("default", "one", "10.96.0.11", &[port("", Protocol::Tcp, 80)])]);
    place(&mut bed, "default", "early", true);
    bed.create(service("default", "two", "10.96.0.12", &[port("", Protocol::Tcp, 80)]));
    let key = ObjectKey::new(Kind::Service, "default", "one");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(1));
    place(&mut bed, "default", "late", true);
    assert!(told(&bed, "default", "early").contains(&"ONE_SERVICE_HOST=10.96.0.11".to_owned()));
    let late = told(&bed, "default", "late");
    assert!(late.contains(&"TWO_SERVICE_HOST=10.96.0.12".to_owned()), "{late:?}");
    assert!(!late.iter().any(|line| line.starts_with("ONE_")), "{late:?}");
    // What happens while the kubelet is cut off it learns when it is back.
    bed.set_cut(0, true);
    bed.create(service("default", "three", "10.96.0.13", &[port("", Protocol::Tcp, 80)]));
    bed.run_for(Span::from_secs(10));
    bed.set_cut(0, false);
    bed.run_for(Span::from_secs(10));
    place(&mut bed, "default", "last", true);
    assert!(told(&bed, "default", "last").contains(&"THREE_SERVICE_HOST=10.96.0.13".to_owned()));
}

#[test]
fn a_kubelet_that_is_not_told_to_watches_no_services() {
    let mut bed = bed(FakeRuntime::new());
    bed.create(service("default", "one", "10.96.0.11", &[port("", Protocol::Tcp, 80)]));
    place(&mut bed, "default", "web", true);
    assert_eq!(told(&bed, "default", "web"), Vec::<String>::new());
}
