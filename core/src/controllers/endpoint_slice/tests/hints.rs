//! For whom endpoints are.

use super::*;
use crate::model::{ConditionKind, Status3, TrafficDistribution};

/// Two nodes in zones of their own, and pods `p0`, `p1` … on the nodes in this order.
fn bed_with(nodes: &[&str]) -> Testbed {
    let stand_in = StandIn { start: Span::from_secs(1), ready: Span::from_secs(2), term: Span::from_secs(5) };
    let mut bed = Testbed::new(Config::default()).with_binder(nodes).with_stand_in(stand_in);
    bed.add_node(0, "n1", "a", 8_000, 1 << 34);
    bed.add_node(1, "n2", "b", 8_000, 1 << 34);
    for number in 0..nodes.len() {
        bed.create(pod(&format!("p{number}"), "http", 8080));
        bed.run_for(Span::from_secs(1));
    }
    bed.run_for(Span::from_secs(5));
    bed
}

fn auto() -> Service {
    let mut service = web();
    service.meta.annotations = Labels::new([("service.kubernetes.io/topology-mode", "Auto")]);
    service
}

fn update(bed: &mut Testbed, service: Service) {
    bed.request(Request::Update { object: Object::Service(service.into()), expected: None });
    bed.run_for(Span::from_secs(2));
}

/// One line per endpoint: pod, zone, and the zones and nodes that it is for.
fn hints(bed: &Testbed) -> Vec<String> {
    let all = slices(bed);
    let mut lines: Vec<String> = all
        .iter()
        .flat_map(|slice| &slice.endpoints)
        .map(|it| {
            let told: Vec<&str> = it.hints.zones.iter().chain(&it.hints.nodes).map(|name| &**name).collect();
            format!("{} {} for {}", it.pod, it.zone.as_deref().unwrap_or("?"), told.join("+"))
        })
        .collect();
    lines.sort();
    lines
}

fn said(bed: &Testbed) -> Vec<String> {
    let events = bed.events(Kind::Service, "web");
    events.iter().map(|it| it.split_once(' ').map_or("", |(_, rest)| rest).to_owned()).collect()
}

#[test]
fn endpoints_are_shared_among_zones_by_the_cpu_of_their_nodes() {
    let mut bed = bed_with(&["n1", "n1", "n1", "n2"]);
    bed.create(auto());
    bed.run_for(Span::from_secs(2));
    // Two each are wanted, so one of three is given away.
    let told = hints(&bed);
    let count = |end: &str| told.iter().filter(|line| line.ends_with(end)).count();
    assert_eq!((count(" a for a"), count(" a for b"), count(" b for b")), (2, 1, 1), "{told:?}");
    let enabled = "Normal TopologyAwareHintsEnabled x1: Topology Aware Hints has been enabled, addressType: IPv4";
    assert_eq!(said(&bed), [enabled]);
    // What stays keeps its hints while another endpoint is not ready; three for each zone cannot be made of five.
    bed.create(pod("p4", "http", 8080));
    bed.run_for(Span::from_millis(1_500));
    assert_eq!(hints(&bed), [&told[..], &["p4 a for ".to_owned()]].concat());
    bed.run_for(Span::from_secs(4));
    assert!(hints(&bed).iter().all(|line| line.ends_with("for ")), "{:?}", hints(&bed));
    let few = "Warning TopologyAwareHintsDisabled x1: Unable to allocate minimum required endpoints to each zone \
               without exceeding overload threshold (5 endpoints, 2 zones), addressType: IPv4";
    assert_eq!(said(&bed), [enabled, few]);
    let key = ObjectKey::new(Kind::Pod, "default", "p4");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(8));
    assert_eq!(hints(&bed), told);
    update(&mut bed, web());
    assert!(hints(&bed).iter().all(|line| line.ends_with("for ")), "{:?}", hints(&bed));
    let disabled = "Warning TopologyAwareHintsDisabled x1: Topology Aware Hints has been disabled, addressType: IPv4";
    assert_eq!(said(&bed), [enabled.replace("x1", "x2").as_str(), few, disabled]);
    update(&mut bed, auto());
    assert!(hints(&bed).iter().all(|line| !line.ends_with("for ")), "{:?}", hints(&bed));
}

#[test]
fn too_few_endpoints_or_zones_have_no_hints_and_that_is_said() {
    let mut bed = bed_with(&["n1"]);
    bed.create(auto());
    bed.run_for(Span::from_secs(2));
    assert_eq!(hints(&bed), ["p0 a for "]);
    let few = "Warning TopologyAwareHintsDisabled x1: Insufficient number of endpoints (1 endpoints, 2 zones), \
               addressType: IPv4";
    assert_eq!(said(&bed), [few]);
    let mut bed = bed_with(&["n1", "n2"]);
    bed.create(auto());
    bed.run_for(Span::from_secs(2));
    assert_eq!(hints(&bed), ["p0 a for a", "p1 b for b"]);
    bed.set_node_condition("n2", ConditionKind::Ready, Status3::False, "KubeletNotReady");
    bed.run_for(Span::from_secs(3));
    assert!(hints(&bed).iter().all(|line| line.ends_with("for ")), "{:?}", hints(&bed));
    let why = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes";
    assert!(said(&bed).iter().any(|line| line.contains(why)), "{:?}", said(&bed));
}

#[test]
fn a_traffic_distribution_gives_ready_endpoints_their_own_zone_or_node() {
    let mut bed = bed_with(&["n1", "n2"]);
    let wish = |traffic_distribution| Service { traffic_distribution, ..web() };
    bed.create(wish(TrafficDistribution::PreferClose));
    bed.run_for(Span::from_secs(2));
    assert_eq!(hints(&bed), ["p0 a for a", "p1 b for b"]);
    update(&mut bed, wish(TrafficDistribution::PreferSameNode));
    assert_eq!(hints(&bed), ["p0 a for a+n1", "p1 b for b+n2"]);
    bed.create(pod("p2", "http", 8080));
    bed.run_for(Span::from_millis(1_500));
    assert!(hints(&bed).contains(&"p2 a for ".to_owned()), "it is not ready yet: {:?}", hints(&bed));
    bed.run_for(Span::from_secs(4));
    assert!(hints(&bed).contains(&"p2 a for a+n1".to_owned()), "{:?}", hints(&bed));
    update(&mut bed, web());
    assert!(hints(&bed).iter().all(|line| line.ends_with("for ")), "{:?}", hints(&bed));
    assert_eq!(said(&bed), Vec::<String>::new());
}

#[test]
fn of_zones_that_are_not_alike_the_larger_is_given_more() {
    let mut bed = bed_with(&["n1", "n2", "n1", "n2"]);
    // Three quarters of the CPU are in zone a by then.
    bed.add_node(2, "n3", "a", 16_000, 1 << 34);
    bed.create(auto());
    bed.run_for(Span::from_secs(2));
    let told = hints(&bed);
    let count = |end: &str| told.iter().filter(|line| line.ends_with(end)).count();
    assert_eq!((count(" a for a"), count(" b for a"), count(" b for b")), (2, 1, 1), "{told:?}");
}

/// Whether a Service whose zones were given so many endpoints has too few for one of the zones of these nodes: their
/// zones, CPU in thousandths, and whether they are ready.
fn is_short(nodes: &[(&str, i64, bool)], given: &[(&str, i64)]) -> bool {
    let mut bed = Testbed::new(Config::default());
    for (number, (zone, cpu_milli, ready)) in nodes.iter().enumerate() {
        let name = format!("n{number}");
        bed.add_node(u32::try_from(number).expect("a few"), &name, zone, *cpu_milli, 1 << 30);
        if !ready {
            bed.set_node_condition(&name, ConditionKind::Ready, Status3::False, "KubeletNotReady");
        }
    }
    bed.run_for(Span::ZERO);
    let key = NamespacedName::new("default".into(), "web".into());
    let given = given.iter().map(|(zone, count)| (Name::from(*zone), *count)).collect();
    let mut hints = Hints { zones: None, given: [(key.clone(), given)].into() };
    let short = hints.nodes_changed(bed.core.newest());
    assert!(short.is_empty() || short == [key]);
    !short.is_empty()
}

#[test]
fn a_service_is_looked_at_again_when_a_zone_has_too_few_endpoints_for_its_nodes() {
    let even = [("a", 500, true), ("a", 500, true), ("b", 1_000, true)];
    assert!(!is_short(&even, &[("a", 6), ("b", 5)]), "a fifth more is borne");
    assert!(is_short(&even, &[("a", 7), ("b", 4)]));
    assert!(!is_short(&even, &[]), "it has no hints");
    let lopsided = [("a", 50, true), ("b", 400, true), ("c", 900, true)];
    assert!(is_short(&lopsided, &[("a", 2), ("b", 2), ("c", 2)]));
    assert!(!is_short(&lopsided, &[("a", 1), ("b", 4), ("c", 9)]));
    assert!(is_short(&lopsided, &[("b", 5), ("c", 9)]), "a zone without any");
    let one_is_gone = [("a", 50, false), ("b", 400, true), ("c", 900, true)];
    assert!(!is_short(&one_is_gone, &[("a", 1), ("b", 4), ("c", 9)]));
    assert!(is_short(&one_is_gone, &[("a", 3), ("b", 4), ("c", 5)]));
    assert!(is_short(&[("a", 500, true), ("", 500, true), ("b", 500, true)], &[("a", 5), ("b", 5)]), "no zone");
    assert!(is_short(&[("a", 500, true), ("b", 0, true)], &[("a", 5), ("b", 5)]), "no CPU");
    assert!(is_short(&[("a", 500, true), ("b", 500, false)], &[("a", 5), ("b", 5)]), "one zone");
}

#[test]
fn nodes_that_get_their_zones_later_count_from_then_on() {
    let stand_in = StandIn { start: Span::from_secs(1), ready: Span::from_secs(2), term: Span::from_secs(5) };
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1", "n2"]).with_stand_in(stand_in);
    for (host, name) in ["n1", "n2"].into_iter().enumerate() {
        bed.add_node(u32::try_from(host).expect("a few"), name, "", 8_000, 1 << 34);
        bed.create(pod(&format!("p{host}"), "http", 8080));
    }
    bed.run_for(Span::from_secs(5));
    bed.create(auto());
    bed.run_for(Span::from_secs(2));
    assert!(said(&bed)[0].contains("Insufficient Node information"), "{:?}", said(&bed));
    for (name, zone) in [("n1", "a"), ("n2", "b")] {
        let patch = Patch::Label { key: selected::ZONE.into(), value: Some(zone.into()) };
        bed.request(Request::Patch { key: ObjectKey::new(Kind::Node, "", name), patch });
    }
    bed.run_for(Span::from_secs(1));
    update(&mut bed, Service { publish_not_ready: true, ..auto() });
    assert_eq!(hints(&bed), ["p0 a for a", "p1 b for b"], "{:?}", said(&bed));
}
