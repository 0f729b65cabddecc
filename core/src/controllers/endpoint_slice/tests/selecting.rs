//! Which pods become endpoints, of which Services, and how changes are gathered.

use super::*;

fn get(bed: &Testbed, name: &str) -> Arc<Pod> {
    bed.get::<Pod>("default", name).unwrap()
}

fn write(bed: &mut Testbed, pod: Pod) {
    bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(pod)), expected: None });
    bed.run_for(Span::from_secs(2));
}

fn slice_writes(bed: &Testbed, from: Time) -> usize {
    let of_slices = bed.facts.iter().filter(|(at, fact)| *at >= from && fact.subject.kind == Kind::EndpointSlice);
    of_slices.count()
}

use crate::time::Time;

#[test]
fn services_of_every_type_get_slices_as_their_selector_says() {
    let alias = |selector: bool| Service {
        service_type: crate::model::ServiceType::ExternalName("example.com".into()),
        selector: selector.then(|| Labels::new([("app", "web")])),
        ..web()
    };
    for (story, service, count) in [
        ("selecting", web(), 1),
        ("without a selector", Service { selector: None, ..web() }, 0),
        ("an alias with a selector", alias(true), 0),
        ("an alias without one", alias(false), 0),
        ("headless", Service { headless: true, ..web() }, 1),
        ("without ports", Service { ports: vec![], ..web() }, 1),
    ] {
        let mut bed = bed();
        bed.create(service);
        bed.create(pod("p", "http", 8080));
        bed.run_for(Span::from_secs(6));
        assert_eq!(slices(&bed).len(), count, "{story}");
        assert_eq!(endpoints(&bed).len(), count, "{story}");
    }
}

#[test]
fn only_pods_of_the_service_s_labels_and_namespace_count() {
    let mut bed = bed();
    bed.create(crate::model::Namespace::named("other"));
    bed.create(web());
    let labelled = |name: &str, labels: &[(&str, &str)]| {
        let mut pod = pod(name, "http", 8080);
        pod.meta.labels = Labels::new(labels.iter().copied());
        pod
    };
    bed.create(labelled("plain", &[]));
    bed.create(labelled("wrong", &[("app", "db")]));
    bed.create(labelled("right", &[("app", "web")]));
    bed.create(labelled("more", &[("app", "web"), ("tier", "front")]));
    let mut foreign = pod("foreign", "http", 8080);
    foreign.meta.namespace = "other".into();
    bed.create(foreign);
    bed.run_for(Span::from_secs(6));
    let names: Vec<String> = endpoints(&bed).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["more", "right"]);
}

#[test]
fn a_pod_that_has_ended_or_has_no_address_is_no_endpoint() {
    use crate::model::Phase;
    let mut bed = bed();
    bed.create(web());
    for name in ["p", "q", "r"] {
        bed.create(pod(name, "http", 8080));
    }
    bed.run_for(Span::from_secs(6));
    assert_eq!(endpoints(&bed).len(), 3);
    for (name, phase) in [("p", Phase::Succeeded), ("q", Phase::Failed)] {
        let mut ended = Pod::clone(&get(&bed, name));
        ended.status.phase = phase;
        let now = bed.now();
        ended.status.conditions.set(crate::model::ConditionKind::Ready, crate::model::Status3::False, "", "", now);
        write(&mut bed, ended);
    }
    assert_eq!(endpoints(&bed), ["r a RS-"]);
    let mut nowhere = Pod::clone(&get(&bed, "r"));
    nowhere.status.pod_ip = None;
    write(&mut bed, nowhere);
    assert_eq!(endpoints(&bed), Vec::<String>::new());
}

#[test]
fn a_terminating_pod_serves_as_long_as_it_is_ready() {
    let mut bed = bed();
    bed.create(web());
    bed.create(pod("p", "http", 8080));
    bed.create(pod("q", "http", 8080));
    bed.run_for(Span::from_secs(6));
    let mut unready = Pod::clone(&get(&bed, "q"));
    let now = bed.now();
    unready.status.conditions.set(crate::model::ConditionKind::Ready, crate::model::Status3::False, "", "", now);
    write(&mut bed, unready);
    for name in ["p", "q"] {
        let key = ObjectKey::new(Kind::Pod, "default", name);
        bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    }
    bed.run_for(Span::from_secs(2));
    assert_eq!(endpoints(&bed), ["p a -ST", "q b --T"]);
}

#[test]
fn changes_of_pods_at_one_moment_are_written_together() {
    let mut bed = bed();
    bed.create(web());
    for name in ["p", "q", "r"] {
        bed.create(pod(name, "http", 8080));
    }
    bed.run_for(Span::from_secs(6));
    let from = bed.now();
    for name in ["p", "q", "r"] {
        let mut unready = Pod::clone(&get(&bed, name));
        let now = bed.now();
        unready.status.conditions.set(crate::model::ConditionKind::Ready, crate::model::Status3::False, "", "", now);
        bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(unready)), expected: None });
    }
    bed.run_for(Span::from_secs(3));
    assert_eq!(endpoints(&bed), ["p a ---", "q b ---", "r a ---"]);
    assert!(slice_writes(&bed, from) <= 2, "{:?}", bed.told());
}

#[test]
fn a_service_that_goes_leaves_no_slice_and_one_that_changes_its_selector_changes_its_endpoints() {
    let mut bed = bed();
    bed.create(web());
    bed.create(pod("p", "http", 8080));
    let mut other = pod("q", "http", 8080);
    other.meta.labels = Labels::new([("app", "other")]);
    bed.create(other);
    bed.run_for(Span::from_secs(6));
    assert_eq!(endpoints(&bed), ["p a RS-"]);
    let mut changed = Service::clone(&bed.get::<Service>("default", "web").unwrap());
    changed.selector = Some(Labels::new([("app", "other")]));
    bed.request(Request::Update { object: Object::Service(Arc::new(changed)), expected: None });
    bed.run_for(Span::from_secs(3));
    assert_eq!(endpoints(&bed), ["q b RS-"]);
    let key = ObjectKey::new(Kind::Service, "default", "web");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(3));
    assert_eq!(slices(&bed).len(), 0);
}

/// Of the two pods of a Service one has ended in a way that wakes nobody.
fn with_an_end_that_wakes_nobody() -> Testbed {
    let mut bed = bed();
    bed.create(web());
    bed.create(pod("p", "http", 8080));
    bed.create(pod("q", "http", 8080));
    bed.run_for(Span::from_secs(6));
    let mut failed = Pod::clone(&get(&bed, "p"));
    failed.status.phase = crate::model::Phase::Failed;
    write(&mut bed, failed);
    assert_eq!(endpoints(&bed), ["p a RS-", "q b RS-"], "nothing that Services look at has changed");
    bed
}

#[test]
fn a_pod_that_ends_but_stays_ready_keeps_its_endpoint_until_something_else_changes() {
    let mut bed = with_an_end_that_wakes_nobody();
    let mut unready = Pod::clone(&get(&bed, "q"));
    let now = bed.now();
    unready.status.conditions.set(crate::model::ConditionKind::Ready, crate::model::Status3::False, "", "", now);
    write(&mut bed, unready);
    assert_eq!(endpoints(&bed), ["q b ---"]);
}

/// Source: `addPod`, pkg/controller/endpointslice/endpointslice_controller.go (v1.34.1): every new pod wakes its Services.
#[test]
fn a_new_pod_without_an_address_makes_its_service_find_what_nobody_was_woken_for() {
    let mut bed = with_an_end_that_wakes_nobody();
    bed.create(pod("new", "http", 8080));
    bed.run_for(Span::from_millis(500));
    assert_eq!(get(&bed, "new").status.pod_ip, None);
    assert_eq!(endpoints(&bed), ["q b RS-"]);
}
