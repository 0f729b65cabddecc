mod hints;
mod selecting;
mod stale;

use std::sync::Arc;

use super::placement::Wanted;
use super::*;
use crate::api::{Patch, Propagation, Request};
use crate::config::Config;
use crate::controllers::service_pods::Ports;
use crate::digest::Shared;
use crate::model::{
    Container, ContainerPort, Endpoint, EndpointPort, IntOrName, Object, ObjectKey, PodSpec, Protocol, Seldom,
    ServicePort, ServiceType,
};
use crate::testbed::{StandIn, Testbed};

pub(in crate::controllers) fn bed() -> Testbed {
    let stand_in = StandIn { start: Span::from_secs(1), ready: Span::from_secs(2), term: Span::from_secs(5) };
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1", "n2"]).with_stand_in(stand_in);
    bed.add_node(0, "n1", "a", 8_000, 1 << 34);
    bed.add_node(1, "n2", "b", 8_000, 1 << 34);
    bed
}

pub(in crate::controllers) fn pod(name: &str, port_name: &str, port: u16) -> Pod {
    let ports =
        vec![ContainerPort { name: port_name.into(), port, host_port: None, host_ip: None, protocol: Protocol::Tcp }];
    let container = Container { name: "app".into(), image: "app:v1".into(), ports, ..Container::default() };
    let meta = Meta { labels: Labels::new([("app", "web")]), ..Meta::named("default", name) };
    Pod {
        meta: meta.into(),
        spec: Shared::new(PodSpec { containers: vec![container], ..PodSpec::default() }),
        ..Pod::default()
    }
}

fn web() -> Service {
    let target = IntOrName::Name("http".into());
    Service {
        meta: Meta::named("default", "web"),
        selector: Some(Labels::new([("app", "web")])),
        ports: vec![ServicePort {
            name: "".into(),
            protocol: Protocol::Tcp,
            port: 80,
            target,
            node_port: None,
            app_protocol: Default::default(),
        }],
        ..Service::default()
    }
}

fn slices(bed: &Testbed) -> Vec<Arc<EndpointSlice>> {
    bed.core.newest().all::<EndpointSlice>().map(|(_, slice)| slice.clone()).collect()
}

/// One line per endpoint: pod, zone and `R`eady, `S`erving, `T`erminating.
fn endpoints(bed: &Testbed) -> Vec<String> {
    let all = slices(bed);
    let mut lines: Vec<String> = all
        .iter()
        .flat_map(|slice| &slice.endpoints)
        .map(|it| {
            let mark = |holds: bool, letter: &'static str| if holds { letter } else { "-" };
            let marks = [mark(it.ready, "R"), mark(it.serving, "S"), mark(it.terminating, "T")].concat();
            format!("{} {} {marks}", it.pod, it.zone.as_deref().unwrap_or("?"))
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn an_endpoint_is_listed_unready_then_ready_then_terminating_then_gone() {
    let mut bed = bed();
    bed.create(web());
    bed.run_for(Span::ZERO);
    let placeholder = slices(&bed);
    assert_eq!(placeholder.len(), 1, "a Service without pods has one empty slice");
    assert!(placeholder[0].meta.name.starts_with("web-") && placeholder[0].ports.is_empty());
    bed.create(pod("p", "http", 8080));
    bed.run_for(Span::from_millis(1_500));
    assert_eq!(endpoints(&bed), ["p a ---"]);
    bed.run_for(Span::from_secs(4));
    assert_eq!(endpoints(&bed), ["p a RS-"]);
    assert_eq!(slices(&bed)[0].ports, [EndpointPort::new("", Protocol::Tcp, 8080)]);
    let key = ObjectKey::new(Kind::Pod, "default", "p");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(2));
    assert_eq!(endpoints(&bed), ["p a -ST"]);
    bed.run_for(Span::from_secs(6));
    assert_eq!(endpoints(&bed), Vec::<String>::new());
    assert_eq!(slices(&bed).len(), 1);
}

#[test]
fn a_pod_that_goes_unready_leaves_the_ready_addresses() {
    let mut bed = bed();
    bed.create(web());
    bed.create(pod("p", "http", 8080));
    bed.create(pod("q", "http", 8080));
    bed.run_for(Span::from_secs(6));
    assert_eq!(endpoints(&bed), ["p a RS-", "q b RS-"]);
    let mut unready = Pod::clone(&bed.get::<Pod>("default", "q").unwrap());
    let now = bed.now();
    unready.status.conditions.set(crate::model::ConditionKind::Ready, crate::model::Status3::False, "", "", now);
    bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(unready)), expected: None });
    bed.run_for(Span::from_secs(2));
    assert_eq!(endpoints(&bed), ["p a RS-", "q b ---"]);
}

#[test]
fn a_named_port_with_two_numbers_gives_two_slices() {
    let mut bed = bed();
    bed.create(web());
    bed.create(pod("p", "http", 8080));
    bed.create(pod("q", "http", 9090));
    bed.create(pod("r", "other", 7070));
    bed.run_for(Span::from_secs(8));
    let mut ports: Vec<_> =
        slices(&bed).iter().map(|slice| slice.ports.iter().map(|it| it.number).collect::<Vec<_>>()).collect();
    ports.sort();
    assert_eq!(ports, [vec![], vec![8080], vec![9090]], "a pod without the port is listed without ports");
    assert_eq!(endpoints(&bed).len(), 3);
}

#[test]
fn slices_of_several_sets_of_ports_are_made_in_any_order() {
    let order = |seed: u64| {
        let stand_in = StandIn { start: Span::from_secs(1), ready: Span::from_secs(2), term: Span::from_secs(5) };
        let config = Config { seed, ..Config::default() };
        let mut bed = Testbed::new(config).with_binder(&["n1", "n2"]).with_stand_in(stand_in);
        bed.add_node(0, "n1", "a", 8_000, 1 << 34);
        bed.add_node(1, "n2", "b", 8_000, 1 << 34);
        bed.create(pod("p", "http", 8080));
        bed.create(pod("q", "http", 9090));
        bed.run_for(Span::from_secs(5));
        bed.create(web());
        bed.run_for(Span::from_secs(2));
        assert_eq!(slices(&bed).len(), 2);
        let rows = bed.core.newest().all::<EndpointSlice>();
        rows.min_by_key(|(row, _)| *row).expect("slices were made").1.ports[0].number
    };
    let found: std::collections::BTreeSet<_> = (1..=20).map(order).collect();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [8080, 9090], "either comes first");
}

#[test]
fn publishing_unready_addresses_lists_all_as_ready() {
    let mut bed = bed();
    bed.create(Service { publish_not_ready: true, headless: true, ..web() });
    bed.create(pod("p", "http", 8080));
    bed.run_for(Span::from_millis(1_500));
    assert_eq!(endpoints(&bed), ["p a R--"]);
    let labels = slices(&bed)[0].meta.labels.clone();
    assert!(labels.get("service.kubernetes.io/headless").is_some());
}

#[test]
fn aliases_and_services_without_selector_have_no_slices() {
    let mut bed = bed();
    bed.create(pod("p", "http", 8080));
    bed.create(Service { service_type: ServiceType::ExternalName("db.example".into()), ..web() });
    bed.create(Service { meta: Meta::named("default", "bare"), selector: None, ..web() });
    bed.run_for(Span::from_secs(10));
    assert_eq!(slices(&bed).len(), 0);
}

#[test]
fn slices_go_with_their_service_and_come_back_if_somebody_deletes_one() {
    let mut bed = bed();
    bed.create(web());
    bed.create(pod("p", "http", 8080));
    bed.run_for(Span::from_secs(6));
    let delete = |bed: &mut Testbed, key: ObjectKey| {
        bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
        bed.run_for(Span::from_secs(3));
    };
    let key = NamespacedName::of_meta(&slices(&bed)[0].meta).of(Kind::EndpointSlice);
    delete(&mut bed, key);
    assert_eq!(endpoints(&bed), ["p a RS-"]);
    delete(&mut bed, ObjectKey::new(Kind::Service, "default", "web"));
    assert_eq!(slices(&bed).len(), 0);
}

#[test]
fn a_relabelled_pod_changes_sides() {
    let mut bed = bed();
    bed.create(web());
    bed.create(pod("p", "http", 8080));
    bed.run_for(Span::from_secs(6));
    let key = ObjectKey::new(Kind::Pod, "default", "p");
    let patch = Patch::Label { key: "app".into(), value: Some("debug".into()) };
    bed.request(Request::Patch { key, patch });
    bed.run_for(Span::from_secs(3));
    assert_eq!(endpoints(&bed), Vec::<String>::new());
}

fn endpoint(number: u32) -> Shared<Endpoint> {
    Shared::new(Endpoint {
        address: format!("10.0.0.{number}").into(),
        pod_uid: Uid::new(u128::from(number)),
        pod: format!("p{number:04}").into(),
        node: None,
        zone: None,
        ready: true,
        serving: true,
        terminating: false,
        hostname: None,
        hints: Seldom::default(),
    })
}

fn wanted_of(numbers: impl Iterator<Item = u32>) -> BTreeMap<Ports, Wanted> {
    let wanted = numbers.map(endpoint).map(|endpoint| (endpoint.pod_uid, endpoint)).collect();
    [(Vec::new(), wanted)].into()
}

fn stored_of(name: &str, numbers: impl Iterator<Item = u32>) -> Stored {
    let blank = blank_slice(&web());
    let meta = Meta { name: name.into(), generate_name: false, ..blank.meta };
    let slice = EndpointSlice { meta, ports: Vec::new(), endpoints: numbers.map(endpoint).collect() };
    let row = RowId { index: u32::from(name.as_bytes()[0]), generation: 0 };
    Stored { row, slice: Arc::new(slice), version: None }
}

/// `create 100 50 update a:70 delete b`.
fn told(writes: &Writes) -> String {
    let mut parts = vec!["create".to_string()];
    parts.extend(writes.create.iter().map(|slice| slice.endpoints.len().to_string()));
    parts.push("update".to_string());
    parts.extend(writes.update.iter().map(|it| format!("{}:{}", it.slice.meta.name, it.slice.endpoints.len())));
    parts.push("delete".to_string());
    parts.extend(writes.delete.iter().map(|it| it.slice.meta.name.to_string()));
    parts.join(" ")
}

#[test]
fn placement_prefers_few_writes_to_few_slices() {
    let blank = blank_slice(&web());
    let place = |stored: Vec<Stored>, wanted| told(&placement::place(stored, wanted, &blank));
    assert_eq!(place(vec![], wanted_of(0..250)), "create 100 100 50 update delete");
    let three = || vec![stored_of("a", 0..100), stored_of("b", 100..150), stored_of("c", 150..240)];
    assert_eq!(place(three(), wanted_of(0..240)), "create update delete", "nothing changes, nothing is written");
    assert_eq!(place(three(), wanted_of(0..250)), "create update c:100 delete", "the tightest fit is filled");
    assert_eq!(place(three(), wanted_of(0..260)), "create update b:70 delete");
    assert_eq!(place(three(), wanted_of(0..340)), "create 100 update delete", "a hundred new ones get a new slice");
    assert_eq!(
        place(three(), wanted_of(5..245)),
        "create update a:100 delete",
        "a slice that changes anyway is filled"
    );
    assert_eq!(place(three(), wanted_of(0..150)), "create update delete c");
    assert_eq!(place(three(), BTreeMap::new()), "create update a:0 delete b c", "one slice stays, empty");
}
