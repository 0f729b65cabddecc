use super::tally::Tally;
use super::*;
use crate::config::Config;
use crate::controllers::NamespacedName;
use crate::controllers::endpoint_slice::tests::{bed, pod};
use crate::digest::{Shared, StableHasher};
use crate::id::ProcId;
use crate::model::{
    Address, ConditionKind, EndpointAddress, EndpointPort, EndpointSlice, EndpointSubset, IntOrName, Namespace,
    ObjectKey, Phase, Protocol, ServicePort, ServiceType, Status3,
};
use crate::seam::Input;
use crate::testbed::Testbed;
use crate::time::{Span, Time};

fn port(name: &str, target: IntOrName) -> ServicePort {
    ServicePort {
        name: name.into(),
        protocol: Protocol::Tcp,
        port: 80,
        target,
        node_port: None,
        app_protocol: Default::default(),
    }
}

fn web() -> Service {
    Service {
        meta: Meta { labels: Labels::new([("team", "shop")]), ..Meta::named("default", "web") },
        selector: Some(Labels::new([("app", "web")])),
        ports: vec![port("", IntOrName::Int(8080))],
        ..Service::default()
    }
}

fn stored(bed: &Testbed) -> Option<Arc<Endpoints>> {
    bed.get::<Endpoints>("default", "web")
}

/// A line for each subset: the ready pods, the others after a bar, the ports.
fn shown(bed: &Testbed) -> Vec<String> {
    let names = |list: &[Shared<EndpointAddress>]| {
        let names = list.iter().filter_map(|address| Some(address.target.as_ref()?.name.to_string()));
        let mut names: Vec<String> = names.collect();
        names.sort();
        names.join(" ")
    };
    let line = |subset: &EndpointSubset| {
        let ports: Vec<String> = subset.ports.iter().map(|port| port.number.to_string()).collect();
        format!("{}|{}:{}", names(&subset.addresses), names(&subset.not_ready), ports.join(","))
    };
    let endpoints = stored(bed).expect("the Service has Endpoints");
    let mut lines: Vec<String> = endpoints.subsets.iter().map(line).collect();
    lines.sort();
    lines
}

fn delete(bed: &mut Testbed, kind: Kind, name: &str) {
    let key = ObjectKey::new(kind, "default", name);
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
}

#[test]
fn an_address_is_listed_unready_then_ready_and_leaves_with_the_request_for_its_pod_s_end() {
    let mut bed = bed();
    bed.create(web());
    bed.run_for(Span::ZERO);
    let empty = stored(&bed).expect("they are there before any pod");
    assert!(empty.subsets.is_empty());
    let labels: Vec<_> = empty.meta.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(labels, ["endpoints.kubernetes.io/managed-by=endpoint-controller", "team=shop"]);
    bed.create(pod("p", "http", 8080));
    bed.create(pod("q", "http", 8080));
    bed.run_for(Span::from_millis(1_500));
    assert_eq!(shown(&bed), ["|p q:8080"]);
    bed.run_for(Span::from_secs(4));
    assert_eq!(shown(&bed), ["p q|:8080"]);
    let address = &stored(&bed).expect("they stay").subsets[0].addresses[0];
    let on = address.target.as_ref().and_then(|pod| bed.get::<Pod>(&pod.namespace, &pod.name)?.node.clone());
    assert_eq!((&address.node, on.is_some()), (&on, true));
    delete(&mut bed, Kind::Pod, "p");
    bed.run_for(Span::from_secs(1));
    assert_eq!(shown(&bed), ["q|:8080"], "a pod that is going is no address");
    delete(&mut bed, Kind::Service, "web");
    bed.run_for(Span::from_secs(1));
    assert!(stored(&bed).is_none(), "they go with their Service");
}

#[test]
fn a_service_that_publishes_unready_pods_lists_them_as_ready_to_their_end() {
    let mut bed = bed();
    bed.create(Service { publish_not_ready: true, ..web() });
    bed.create(pod("p", "http", 8080));
    bed.run_for(Span::from_millis(1_500));
    assert_eq!(shown(&bed), ["p|:8080"]);
    delete(&mut bed, Kind::Pod, "p");
    bed.run_for(Span::from_secs(2));
    assert_eq!(shown(&bed), ["p|:8080"]);
    bed.run_for(Span::from_secs(60));
    assert_eq!(shown(&bed), Vec::<String>::new());
}

#[test]
fn pods_that_name_a_port_differently_are_listed_apart() {
    let mut bed = bed();
    let ports = vec![port("a", IntOrName::Int(80)), port("b", IntOrName::Name("http".into()))];
    bed.create(Service { ports, ..web() });
    bed.create(pod("p", "http", 8080));
    bed.create(pod("q", "http", 9090));
    bed.create(pod("r", "other", 7070));
    bed.run_for(Span::from_secs(6));
    assert_eq!(shown(&bed), ["p q r|:80", "p|:8080", "q|:9090"]);
}

#[test]
fn only_a_headless_service_lists_addresses_without_ports() {
    for (headless, expected) in [(true, vec!["p|:".to_owned()]), (false, Vec::new())] {
        let mut bed = bed();
        bed.create(Service { ports: Vec::new(), headless, ..web() });
        bed.create(pod("p", "http", 8080));
        bed.run_for(Span::from_secs(6));
        assert_eq!(shown(&bed), expected);
        let labels = &stored(&bed).expect("they are there").meta.labels;
        assert_eq!(labels.get(HEADLESS).is_some(), headless);
    }
}

#[test]
fn what_somebody_else_writes_lasts_until_the_next_change() {
    let mut bed = bed();
    bed.create(web());
    bed.create(pod("p", "http", 8080));
    bed.run_for(Span::from_secs(6));
    let mut changed = Endpoints::clone(&stored(&bed).expect("they are there"));
    changed.subsets.clear();
    bed.request(Request::Update { object: Object::Endpoints(Arc::new(changed)), expected: None });
    bed.run_for(Span::from_secs(6));
    assert_eq!(shown(&bed), Vec::<String>::new());
    bed.create(pod("q", "http", 8080));
    bed.run_for(Span::from_millis(500));
    assert_eq!(shown(&bed), ["p|:8080"], "a new pod wakes its Service before it has an address");
    bed.run_for(Span::from_secs(6));
    assert_eq!(shown(&bed), ["p q|:8080"]);
    delete(&mut bed, Kind::Endpoints, "web");
    bed.run_for(Span::from_secs(1));
    assert_eq!(shown(&bed), ["p q|:8080"], "those that somebody deletes are made again");
}

#[test]
fn labels_follow_the_service_and_a_former_selector_leaves_all_as_it_is() {
    let mut bed = bed();
    bed.create(web());
    bed.create(pod("p", "http", 8080));
    bed.run_for(Span::from_secs(6));
    let mut service = Service::clone(&bed.get::<Service>("default", "web").expect("it is there"));
    service.meta.labels = Labels::new([("team", "till")]);
    bed.request(Request::Update { object: Object::Service(Arc::new(service.clone())), expected: None });
    bed.run_for(Span::from_secs(1));
    let team = |bed: &Testbed| stored(bed).and_then(|it| it.meta.labels.get("team").cloned());
    assert_eq!(team(&bed).as_deref(), Some("till"));
    service.selector = None;
    service.meta.labels = Labels::default();
    bed.request(Request::Update { object: Object::Service(Arc::new(service)), expected: None });
    delete(&mut bed, Kind::Pod, "p");
    bed.run_for(Span::from_secs(60));
    assert_eq!((team(&bed).as_deref(), shown(&bed)), (Some("till"), vec!["p|:8080".to_owned()]));
}

#[test]
fn a_namespace_that_is_going_takes_no_endpoints_and_nothing_is_said() {
    let mut bed = bed();
    bed.create(Namespace::named("shop"));
    bed.run_for(Span::from_secs(1));
    bed.create(Service { meta: Meta::named("shop", "web"), ..web() });
    let key = ObjectKey::new(Kind::Namespace, "", "shop");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(60));
    assert!(bed.get::<Namespace>("", "shop").is_none());
    assert!(bed.get::<Endpoints>("shop", "web").is_none());
    assert_eq!(bed.events(Kind::Endpoints, "web"), Vec::<String>::new());
}

/// Pods come, get ready and go in any order; what is listed is what a look at all of them gives, which the tally itself
/// compares in builds with debug assertions.
#[test]
fn what_is_listed_follows_any_changes_of_more_pods_than_there_is_room_for() {
    for seed in 0..20_u32 {
        let mut bed = Testbed::new(Config::default());
        let service = web();
        let mut tally = Tally::of_capacity(5);
        let mut listed = Vec::new();
        let mut followed = 0;
        for step in 0..120_u32 {
            let luck = |what: u32, of: u64| StableHasher::hash_one(&(seed, step, what)) % of;
            for change in 0..luck(0, 3) as u32 {
                let name = format!("p{}", luck(10 + change, 12));
                let before = bed.get::<Pod>("default", &name);
                let mut after = before.as_deref().cloned().unwrap_or_else(|| pod(&name, "http", 8080));
                match luck(20 + change, 3) {
                    0 if before.is_some() => {
                        let key = ObjectKey::new(Kind::Pod, "default", &name);
                        let grace = Some(Span::ZERO);
                        let propagation = Propagation::Background;
                        bed.request(Request::Delete { key, uid: None, grace, propagation });
                    }
                    _ if before.is_none() => bed.create(after.clone()),
                    way => {
                        let number = StableHasher::hash_one(&name) as u8;
                        after.status.pod_ip = Some(Address::v4([10, 0, 0, number]));
                        let ready = if way == 1 { Status3::True } else { Status3::False };
                        let now = bed.now();
                        after.status.conditions.set(ConditionKind::Ready, ready, "", "", now);
                        bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(after)), expected: None });
                    }
                }
                bed.run_for(Span::ZERO);
                let after = bed.get::<Pod>("default", &name);
                let view = bed.core.newest();
                let key = NamespacedName::new("default".into(), name.as_str().into());
                let row = key.find::<Pod>(view).map_or(RowId { index: 0, generation: 0 }, |(row, _)| row);
                tally.note(row, before.as_deref(), after.as_deref().or(before.as_deref()));
            }
            let follows = tally.is_known();
            let (subsets, is_truncated) = tally.subsets(bed.core.newest(), &service, Some(&listed));
            followed += u32::from(follows);
            let count: usize = subsets.iter().map(EndpointSubset::len).sum();
            assert!(count <= 5 && (count == 5 || !is_truncated));
            listed = subsets.into_owned();
        }
        assert!(followed > 60, "seed {seed}: what is known lasts, but for {}", 120 - followed);
    }
}

#[test]
fn addresses_beyond_a_thousand_are_left_out_and_that_is_told() {
    let mut bed = Testbed::new(Config::default());
    for number in 0..1_001_u16 {
        let name = format!("p{number}");
        bed.create(pod(&name, "http", 8080));
        bed.run_for(Span::ZERO);
        let mut pod = Pod::clone(&bed.get::<Pod>("default", &name).expect("it is there"));
        pod.status.pod_ip = Some(Address::v4([10, 0, (number >> 8) as u8, number as u8]));
        bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(pod)), expected: None });
    }
    bed.create(web());
    bed.run_for(Span::from_secs(1));
    let endpoints = stored(&bed).expect("they are there");
    assert_eq!((endpoints.subsets.len(), endpoints.subsets[0].not_ready.len()), (1, 1_000));
    assert_eq!(endpoints.meta.annotations.get(OVER_CAPACITY).map(|it| &**it), Some("truncated"));
    delete(&mut bed, Kind::Pod, "p7");
    bed.run_for(Span::from_secs(1));
    let endpoints = stored(&bed).expect("they are there");
    assert_eq!(endpoints.subsets[0].not_ready.len(), 1_000);
    assert!(endpoints.meta.annotations.get(OVER_CAPACITY).is_none());
    let mut warned = Endpoints::clone(&endpoints);
    warned.meta.annotations = Labels::new([(OVER_CAPACITY, "warning")]);
    bed.request(Request::Update { object: Object::Endpoints(Arc::new(warned)), expected: None });
    delete(&mut bed, Kind::Pod, "p8");
    bed.run_for(Span::from_secs(1));
    assert!(stored(&bed).expect("they are there").meta.annotations.is_empty(), "an older version's word goes, too");
}

#[test]
fn services_that_select_nothing_and_aliases_get_none_and_what_people_write_for_them_stays() {
    let mut bed = bed();
    bed.create(pod("p", "http", 8080));
    bed.create(Service { service_type: ServiceType::ExternalName("db.example".into()), ..web() });
    bed.create(Service { selector: None, meta: Meta::named("default", "db"), ..web() });
    bed.create(Endpoints { meta: Meta::named("default", "db"), subsets: Vec::new() });
    bed.run_for(Span::from_secs(6));
    assert!(stored(&bed).is_none());
    let by_hand = bed.get::<Endpoints>("default", "db").expect("it stays");
    assert!(by_hand.meta.labels.is_empty());
}

#[test]
fn pods_are_listed_by_phase_readiness_and_end_as_the_service_says() {
    for publish_not_ready in [false, true] {
        for phase in [Phase::Pending, Phase::Running, Phase::Unknown, Phase::Succeeded, Phase::Failed] {
            for (ready, terminating, has_address) in [
                (true, false, true),
                (false, false, true),
                (true, true, true),
                (false, true, true),
                (true, false, false),
            ] {
                let mut bed = Testbed::new(Config::default());
                bed.create(Service { publish_not_ready, ..web() });
                let mut pod = pod("p", "http", 8080);
                pod.node = Some("n1".into());
                bed.create(pod);
                bed.run_for(Span::ZERO);
                let mut pod = Pod::clone(&bed.get::<Pod>("default", "p").expect("it is there"));
                pod.status.phase = phase;
                pod.status.pod_ip = has_address.then(|| Address::v4([10, 0, 0, 1]));
                let status = if ready { Status3::True } else { Status3::False };
                pod.status.conditions.set(ConditionKind::Ready, status, "", "", Time::ZERO);
                bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(pod)), expected: None });
                bed.run_for(Span::ZERO);
                if terminating {
                    delete(&mut bed, Kind::Pod, "p");
                }
                bed.run_for(Span::ZERO);
                let has_ended = matches!(phase, Phase::Succeeded | Phase::Failed);
                let expected = match (ready || publish_not_ready, terminating && !publish_not_ready) {
                    _ if has_ended || !has_address => vec![],
                    (_, true) => vec![],
                    (true, _) => vec!["p|:8080".to_owned()],
                    (false, _) => vec!["|p:8080".to_owned()],
                };
                let what = format!("{phase:?} {ready} {terminating} {has_address} {publish_not_ready}");
                assert_eq!(shown(&bed), expected, "{what}");
            }
        }
    }
}

#[test]
fn ports_of_several_protocols_have_one_subset_and_follow_the_service() {
    let mut bed = bed();
    let of = |name: &str, protocol| ServicePort { protocol, ..port(name, IntOrName::Int(8080)) };
    let ports = [of("tcp", Protocol::Tcp), of("udp", Protocol::Udp), of("sctp", Protocol::Sctp)];
    bed.create(Service { ports: ports[..1].to_vec(), ..web() });
    bed.create(pod("p", "http", 8080));
    bed.run_for(Span::from_secs(6));
    assert_eq!(shown(&bed), ["p|:8080"]);
    for count in [3, 2] {
        let mut service = Service::clone(&bed.get::<Service>("default", "web").expect("it is there"));
        service.ports = ports[..count].to_vec();
        bed.request(Request::Update { object: Object::Service(Arc::new(service)), expected: None });
        bed.run_for(Span::from_secs(1));
        assert_eq!(shown(&bed), [format!("p|:{}", vec!["8080"; count].join(","))]);
    }
}

#[test]
fn what_the_watch_has_yet_to_show_is_waited_for_and_not_written_twice() {
    let mut bed = bed();
    bed.create(web());
    bed.create(pod("p", "http", 8080));
    bed.run_for(Span::from_secs(6));
    let written = |bed: &Testbed| bed.core.newest().writes(Kind::Endpoints);
    let before = written(&bed);
    delete(&mut bed, Kind::Pod, "p");
    // Of the two news, the mark of the pod's end and what comes of it, the second stays away.
    bed.hold_news_from(2);
    bed.run_for(Span::from_secs(1));
    bed.release_news();
    bed.run_for(Span::from_secs(60));
    assert_eq!((shown(&bed), written(&bed)), (Vec::new(), before + 1));
    assert_eq!(bed.events(Kind::Endpoints, "web"), Vec::<String>::new());
}

#[test]
fn a_write_that_is_refused_is_told_and_tried_again() {
    let mut bed = bed();
    let is_creation = |request: &Request| matches!(request, Request::Create(Object::Endpoints(_)));
    bed.refuse(1, is_creation);
    bed.create(web());
    bed.create(pod("p", "http", 8080));
    bed.run_for(Span::from_secs(4));
    let is_update = |request: &Request| matches!(request, Request::Update { object: Object::Endpoints(_), .. });
    bed.refuse(1, is_update);
    delete(&mut bed, Kind::Pod, "p");
    bed.run_for(Span::from_secs(60));
    assert_eq!((shown(&bed), bed.refusals_left()), (Vec::new(), 0));
    let said = bed.events(Kind::Endpoints, "web");
    assert!(said[0].contains("Warning FailedToCreateEndpoint x1: Failed to create endpoint for service default/web: "));
    assert!(said[1].contains("Warning FailedToUpdateEndpoint x1: Failed to update endpoint default/web: "));
    assert_eq!(said.len(), 2);
}

#[test]
fn endpoints_whose_service_has_gone_unseen_go_when_the_controller_begins() {
    let mut bed = bed();
    bed.create(Endpoints { meta: Meta::named("default", "web"), subsets: Vec::new() });
    bed.run_for(Span::from_secs(60));
    assert!(stored(&bed).is_some(), "those that come without a Service stay");
    bed.input(Input::Crashed(ProcId::CONTROLLER_MANAGER));
    bed.input(Input::Started(ProcId::CONTROLLER_MANAGER));
    bed.run_for(Span::from_secs(1));
    assert!(stored(&bed).is_none());
}

#[test]
fn what_is_right_is_not_written_again() {
    let mut bed = bed();
    let written = |bed: &Testbed| bed.core.newest().writes(Kind::Endpoints);
    let labels = Labels::new([("team", "shop"), (MANAGED_BY, CONTROLLER), (HEADLESS, "")]);
    bed.create(Endpoints { meta: Meta { labels, ..Meta::named("default", "web") }, subsets: Vec::new() });
    bed.create(web());
    bed.run_for(Span::from_secs(1));
    assert_eq!(written(&bed), 1);
    bed.create(pod("p", "http", 8080));
    bed.run_for(Span::from_secs(6));
    let before = written(&bed);
    let mut noted = Pod::clone(&bed.get::<Pod>("default", "p").expect("it is there"));
    noted.meta.annotations = Labels::new([("note", "of no concern")]);
    bed.request(Request::Update { object: Object::Pod(Arc::new(noted)), expected: None });
    bed.run_for(Span::from_secs(1));
    assert_eq!((written(&bed), shown(&bed)), (before, vec!["p|:8080".to_owned()]));
}

#[test]
fn a_service_that_goes_and_comes_again_at_once_keeps_endpoints() {
    let mut bed = bed();
    bed.create(web());
    bed.create(pod("p", "http", 8080));
    bed.run_for(Span::from_secs(6));
    delete(&mut bed, Kind::Service, "web");
    bed.create(web());
    bed.run_for(Span::from_secs(60));
    assert_eq!(shown(&bed), ["p|:8080"]);
}

#[test]
fn an_ended_pod_s_address_goes_when_a_new_pod_comes_that_has_none_yet() {
    let mut bed = bed();
    bed.create(web());
    bed.create(pod("p", "http", 8080));
    bed.create(pod("q", "http", 8080));
    bed.run_for(Span::from_secs(6));
    let mut failed = Pod::clone(&bed.get::<Pod>("default", "p").expect("it runs"));
    failed.status.phase = Phase::Failed;
    bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(failed)), expected: None });
    bed.run_for(Span::from_secs(2));
    assert_eq!(shown(&bed), ["p q|:8080"], "nothing that Services look at has changed");
    bed.create(pod("new", "http", 8080));
    bed.run_for(Span::from_millis(500));
    assert_eq!(shown(&bed), ["q|:8080"]);
}

/// Source: `endpointPortFromServicePort`, pkg/controller/endpoint/endpoints_controller.go; `getEndpointPorts`,
/// staging/src/k8s.io/endpointslice/utils.go (v1.34.1).
#[test]
fn what_is_spoken_at_a_service_s_port_is_told_in_its_endpoints_and_slices() {
    let mut bed = bed();
    let mut service = web();
    service.ports[0].app_protocol.0 = Some("http".into());
    bed.create(service);
    bed.create(pod("p", "http", 8080));
    bed.run_for(Span::from_secs(6));
    let spoken = |ports: &[EndpointPort]| {
        ports.iter().filter_map(|it| it.app_protocol.0.as_deref().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(spoken(&stored(&bed).expect("they are there").subsets[0].ports), ["http"]);
    let slices = bed.core.newest().all::<EndpointSlice>().map(|(_, slice)| spoken(&slice.ports));
    assert_eq!(slices.collect::<Vec<_>>(), [["http"]]);
}
