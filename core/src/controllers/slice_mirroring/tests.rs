use super::*;
use crate::config::Config;
use crate::model::{EndpointPort, EndpointTarget, MetaExtras, Namespace, ObjectKey, Protocol};
use crate::testbed::Testbed;

fn bed() -> Testbed {
    let mut bed = Testbed::new(Config::default());
    bed.create(Service { meta: Meta::named("default", "db"), ..Service::default() });
    bed
}

fn subset(ready: &[&str], not_ready: &[&str], port: u16) -> EndpointSubset {
    let list = |addresses: &[&str]| {
        let address = |text: &&str| {
            let target = EndpointTarget { kind: "Pod".into(), name: format!("p-{text}").into(), ..Default::default() };
            EndpointAddress { address: (*text).into(), hostname: None, node: Some("n1".into()), target: Some(target) }
        };
        addresses.iter().map(|text| Shared::new(address(text))).collect()
    };
    let ports = vec![EndpointPort::new("", Protocol::Tcp, port)];
    EndpointSubset { addresses: list(ready), not_ready: list(not_ready), ports }
}

fn by_hand(subsets: Vec<EndpointSubset>) -> Endpoints {
    let meta = Meta { labels: Labels::new([("team", "shop")]), ..Meta::named("default", "db") };
    Endpoints { meta, subsets }
}

fn write(bed: &mut Testbed, change: impl FnOnce(&mut Endpoints)) {
    let mut endpoints = Endpoints::clone(&bed.get::<Endpoints>("default", "db").expect("they are there"));
    change(&mut endpoints);
    bed.request(Request::Update { object: Object::Endpoints(Arc::new(endpoints)), expected: None });
    bed.run_for(Span::from_secs(1));
}

fn delete(bed: &mut Testbed, kind: Kind, name: &str) {
    let key = ObjectKey::new(kind, "default", name);
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
}

/// A line for each slice: addresses with `+` if ready or `-`, and the port.
fn slices(bed: &Testbed) -> Vec<String> {
    let line = |slice: &EndpointSlice| {
        let mark = |it: &Shared<Endpoint>| format!("{}{}", if it.ready { '+' } else { '-' }, it.address);
        let addresses: Vec<String> = slice.endpoints.iter().map(mark).collect();
        format!("{}:{}", addresses.join(" "), slice.ports.first().map_or(0, |port| port.number))
    };
    let mut lines: Vec<String> = bed.core.newest().all::<EndpointSlice>().map(|(_, slice)| line(slice)).collect();
    lines.sort();
    lines
}

#[test]
fn endpoints_of_a_service_that_selects_nothing_have_a_slice_for_each_subset() {
    let mut bed = bed();
    bed.create(by_hand(vec![subset(&["10.9.0.2"], &["10.9.0.1"], 5432), subset(&["10.9.0.3"], &[], 5433)]));
    bed.run_for(Span::from_secs(1));
    assert_eq!(slices(&bed), ["+10.9.0.3:5433", "-10.9.0.1 +10.9.0.2:5432"]);
    for (_, slice) in bed.core.newest().all::<EndpointSlice>() {
        assert!(slice.meta.name.starts_with("db-"));
        assert_eq!(slice.meta.controller().map(|owner| (owner.kind, &*owner.name)), Some((Kind::Endpoints, "db")));
        assert_eq!(slice.meta.labels.get("team").map(|it| &**it), Some("shop"));
        assert_eq!(slice.endpoints[0].node.as_deref(), Some("n1"));
    }
    let revision = bed.core.revision();
    bed.run_for(Span::from_secs(600));
    assert_eq!(bed.core.revision(), revision, "nothing is written again");
}

#[test]
fn slices_follow_their_endpoints_under_the_same_names() {
    let mut bed = bed();
    bed.create(by_hand(vec![subset(&["10.9.0.1"], &[], 5432)]));
    bed.run_for(Span::from_secs(1));
    let names = |bed: &Testbed| {
        bed.core.newest().all::<EndpointSlice>().map(|(_, slice)| slice.meta.name.clone()).collect::<Vec<_>>()
    };
    let before = names(&bed);
    write(&mut bed, |it| it.subsets = vec![subset(&["10.9.0.1", "10.9.0.2"], &[], 5432)]);
    assert_eq!(slices(&bed), ["+10.9.0.1 +10.9.0.2:5432"]);
    write(&mut bed, |it| it.subsets = vec![subset(&["10.9.0.1"], &[], 6000)]);
    assert_eq!((slices(&bed), names(&bed)), (vec!["+10.9.0.1:6000".to_owned()], before), "the slice is used again");
    write(&mut bed, |it| it.meta.labels = Labels::new([("team", "till")]));
    let slice = bed.core.newest().all::<EndpointSlice>().map(|(_, slice)| slice.clone()).next().expect("one is there");
    assert_eq!(slice.meta.labels.get("team").map(|it| &**it), Some("till"));
    write(&mut bed, |it| {
        it.meta.annotations = it.meta.annotations.with("note", "by hand").with(OWN_ANNOTATIONS[1], "{}")
    });
    let slice = bed.core.newest().all::<EndpointSlice>().map(|(_, slice)| slice.clone()).next().expect("one is there");
    assert_eq!(slice.meta.annotations, Labels::new([("note", "by hand")]));
    write(&mut bed, |it| it.subsets.clear());
    assert_eq!(slices(&bed), Vec::<String>::new());
}

#[test]
fn a_slice_that_somebody_changes_or_deletes_is_made_right_again() {
    let mut bed = bed();
    bed.create(by_hand(vec![subset(&["10.9.0.1"], &[], 5432)]));
    bed.run_for(Span::from_secs(1));
    let slice = bed.core.newest().all::<EndpointSlice>().map(|(_, slice)| slice.clone()).next().expect("one is there");
    let emptied = EndpointSlice { endpoints: Vec::new(), ..EndpointSlice::clone(&slice) };
    bed.request(Request::Update { object: Object::EndpointSlice(Arc::new(emptied)), expected: None });
    bed.run_for(Span::from_secs(1));
    assert_eq!(slices(&bed), ["+10.9.0.1:5432"]);
    delete(&mut bed, Kind::EndpointSlice, &slice.meta.name);
    bed.run_for(Span::from_secs(2));
    assert_eq!(slices(&bed), ["+10.9.0.1:5432"]);
}

#[test]
fn nothing_is_mirrored_without_a_service_for_one_that_selects_or_where_it_is_declined() {
    let mut bed = Testbed::new(Config::default());
    let service = Service { meta: Meta::named("default", "db"), ..Service::default() };
    bed.create(by_hand(vec![subset(&["10.9.0.1"], &[], 5432)]));
    bed.run_for(Span::from_secs(1));
    assert_eq!(slices(&bed), Vec::<String>::new(), "there is no Service");
    bed.create(service);
    bed.run_for(Span::from_secs(1));
    assert_eq!(slices(&bed), ["+10.9.0.1:5432"]);
    write(&mut bed, |it| it.meta.labels = it.meta.labels.with(SKIP_MIRROR, "true"));
    assert_eq!(slices(&bed), Vec::<String>::new(), "they decline");
    write(&mut bed, |it| it.meta.labels = it.meta.labels.without(SKIP_MIRROR));
    assert_eq!(slices(&bed), ["+10.9.0.1:5432"]);
    write(&mut bed, |it| {
        it.meta.extras = MetaExtras { annotations: Labels::new([(LEADER, "{}")]), ..Default::default() }.into()
    });
    assert_eq!(slices(&bed), Vec::<String>::new(), "they stand for a lease");
    write(&mut bed, |it| it.meta.annotations = Labels::default());
    write(&mut bed, |it| it.meta.labels = it.meta.labels.with(SKIP_MIRROR, "no"));
    assert_eq!(slices(&bed), ["+10.9.0.1:5432"]);
    let mut selecting = Service::clone(&bed.get::<Service>("default", "db").expect("it is there"));
    selecting.selector = Some(Labels::new([("app", "db")]));
    bed.request(Request::Update { object: Object::Service(Arc::new(selecting)), expected: None });
    bed.run_for(Span::from_secs(2));
    assert_eq!(slices(&bed), [":0"], "the Service's own empty slice alone");
}

#[test]
fn more_addresses_than_are_mirrored_are_left_out_and_that_is_said() {
    let mut bed = bed();
    let texts: Vec<String> = (0..1_002).map(|number| format!("10.9.{}.{}", number / 250, number % 250)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    bed.create(by_hand(vec![subset(&texts, &[], 5432)]));
    bed.run_for(Span::from_secs(1));
    let sizes: Vec<usize> = bed.core.newest().all::<EndpointSlice>().map(|(_, slice)| slice.endpoints.len()).collect();
    assert_eq!(sizes, [1_000]);
    let said = bed.events(Kind::Endpoints, "db");
    assert_eq!(said.len(), 1);
    assert!(said[0].ends_with(
        "Warning TooManyAddressesToMirror x1: A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints \
         subset. 2 addresses were skipped"
    ));
}

#[test]
fn slices_of_others_are_left_alone() {
    let mut bed = bed();
    bed.create(Namespace::named("shop"));
    bed.run_for(Span::from_secs(1));
    let labels = |service: &'static str, manager: &'static str| {
        let pairs = [(SERVICE_NAME, service), (MANAGED_BY, manager)];
        Labels::new(pairs.into_iter().filter(|(_, value)| !value.is_empty()))
    };
    for (namespace, name, labels) in [
        ("default", "of-another-service", labels("cache", "me")),
        ("default", "of-another-manager", labels("db", "me")),
        ("default", "of-nobody", labels("db", "")),
        ("default", "of-no-service", labels("", "me")),
        ("shop", "elsewhere", labels("db", "me")),
    ] {
        let meta = Meta { labels, ..Meta::named(namespace, name) };
        bed.create(EndpointSlice { meta, ..EndpointSlice::default() });
    }
    bed.create(by_hand(vec![subset(&["10.9.0.1"], &[], 5432)]));
    bed.run_for(Span::from_secs(5));
    assert_eq!(slices(&bed), ["+10.9.0.1:5432", ":0", ":0", ":0", ":0", ":0"]);
    delete(&mut bed, Kind::Endpoints, "db");
    bed.run_for(Span::from_secs(60));
    assert_eq!(slices(&bed), [":0", ":0", ":0", ":0", ":0"]);
}

#[test]
fn endpoints_that_are_being_deleted_get_no_new_slices() {
    let mut bed = bed();
    let mut held = by_hand(vec![subset(&["10.9.0.1"], &[], 5432)]);
    held.meta.finalizers = ["example.com/hold".into()].into();
    bed.create(held);
    bed.run_for(Span::from_secs(1));
    delete(&mut bed, Kind::Endpoints, "db");
    bed.run_for(Span::from_secs(1));
    write(&mut bed, |it| {
        it.subsets = vec![subset(&["10.9.0.1", "10.9.0.2"], &[], 5432), subset(&["10.9.0.3"], &[], 5433)];
    });
    assert_eq!(slices(&bed), ["+10.9.0.1 +10.9.0.2:5432"]);
}

#[test]
fn a_slice_that_former_endpoints_own_is_no_mirror() {
    let mut endpoints = by_hand(vec![subset(&["10.9.0.1"], &[], 5432)]);
    endpoints.meta.uid = Uid::new(1);
    let former = mirror_of(&endpoints, &endpoints.subsets[0]);
    endpoints.meta.uid = Uid::new(2);
    let wanted = mirror_of(&endpoints, &endpoints.subsets[0]);
    assert!(is_mirror(&wanted, &wanted) && !is_mirror(&former, &wanted));
}
