//! Slices and Services on their way out, slices that the watch has yet to show, and the rhythm of writes.

use super::*;
use crate::model::Phase;

fn update(bed: &mut Testbed, object: Object) {
    let id = bed.request(Request::Update { object, expected: None });
    bed.run_for(Span::ZERO);
    assert!(bed.answers[&id].is_ok(), "{:?}", bed.answers[&id]);
}

fn delete(bed: &mut Testbed, kind: Kind, name: &str) {
    let key = ObjectKey::new(kind, "default", name);
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::ZERO);
}

/// The pod as its kubelet tells of it, with an address and perhaps ready.
fn told(bed: &mut Testbed, name: &str, address: &str, phase: Phase, ready: bool) {
    let mut pod = Pod::clone(&bed.get::<Pod>("default", name).expect("the pod is there"));
    let mut status = crate::model::PodStatus::clone(&pod.status);
    status.pod_ip = Some(address.into());
    status.phase = phase;
    let now = bed.now();
    status.conditions.set(crate::model::ConditionKind::Ready, ready.into(), "", "", now);
    pod.status = status.into();
    bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(pod)), expected: None });
}

#[test]
fn a_slice_that_is_being_deleted_counts_no_more_and_another_is_made() {
    let mut bed = bed();
    bed.create(web());
    bed.create(pod("p", "http", 8080));
    bed.run_for(Span::from_secs(6));
    let mut held = EndpointSlice::clone(&slices(&bed)[0]);
    held.meta.finalizers = ["example.com/hold".into()].into();
    let name = held.meta.name.clone();
    update(&mut bed, Object::EndpointSlice(Arc::new(held)));
    delete(&mut bed, Kind::EndpointSlice, &name);
    bed.run_for(Span::from_secs(5));
    let all = slices(&bed);
    let (going, there): (Vec<_>, Vec<_>) = all.iter().partition(|slice| slice.meta.is_terminating());
    assert_eq!((going.len(), there.len()), (1, 1), "{:?}", bed.told());
    assert_eq!(there[0].endpoints.len(), 1);
    let uid = going[0].meta.uid;
    bed.create(pod("q", "http", 8080));
    bed.run_for(Span::from_secs(6));
    let all = slices(&bed);
    let of = |going: bool| {
        all.iter().filter(|slice| (slice.meta.uid == uid) == going).map(|it| it.endpoints.len()).sum::<usize>()
    };
    assert_eq!((of(true), of(false)), (1, 2), "nobody writes into the one that goes: {:?}", endpoints(&bed));
}

#[test]
fn a_service_that_is_being_deleted_gets_no_new_slices() {
    let mut bed = bed();
    let mut held = web();
    held.meta.finalizers = ["example.com/hold".into()].into();
    bed.create(held);
    bed.create(pod("p", "http", 8080));
    bed.run_for(Span::from_secs(6));
    delete(&mut bed, Kind::Service, "web");
    let name = slices(&bed)[0].meta.name.clone();
    delete(&mut bed, Kind::EndpointSlice, &name);
    bed.create(pod("q", "http", 8080));
    bed.run_for(Span::from_secs(10));
    assert!(bed.get::<Service>("default", "web").is_some_and(|service| service.meta.is_terminating()));
    assert_eq!(slices(&bed).len(), 0, "{:?}", bed.told());
}

#[test]
fn a_slice_that_the_watch_has_yet_to_show_is_waited_for_and_not_made_twice() {
    let mut bed = bed();
    bed.create(pod("p", "http", 8080));
    bed.create(pod("q", "http", 8080));
    bed.run_for(Span::from_secs(6));
    // The watch shows the Service and a change of a pod, but not the slice that is made for it.
    let changed = bed.get::<Pod>("default", "p").unwrap();
    bed.hold_news_from(2);
    bed.request(Request::Create(Object::Service(Arc::new(web()))));
    let mut unready = Pod::clone(&changed);
    let now = bed.now();
    unready.status.conditions.set(crate::model::ConditionKind::Ready, crate::model::Status3::False, "", "", now);
    bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(unready)), expected: None });
    bed.run_for(Span::from_secs(5));
    assert_eq!(slices(&bed).len(), 1, "{:?}", bed.told());
    bed.release_news();
    bed.run_for(Span::from_secs(10));
    assert_eq!((slices(&bed).len(), endpoints(&bed)), (1, vec!["p a ---".to_owned(), "q b RS-".to_owned()]));
}

#[test]
fn pods_that_share_an_address_are_endpoints_each_unless_they_have_ended() {
    for (phase, ready, expected) in [
        (Phase::Running, true, vec!["p a RS-", "q b RS-"]),
        (Phase::Running, false, vec!["p a RS-", "q b ---"]),
        (Phase::Succeeded, false, vec!["p a RS-"]),
        (Phase::Failed, false, vec!["p a RS-"]),
    ] {
        let mut bed = bed();
        bed.create(web());
        for name in ["p", "q"] {
            bed.create(pod(name, "http", 8080));
        }
        bed.run_for(Span::from_secs(6));
        told(&mut bed, "p", "10.0.0.7", Phase::Running, true);
        told(&mut bed, "q", "10.0.0.7", phase, ready);
        bed.run_for(Span::from_secs(5));
        assert_eq!(endpoints(&bed), expected, "{phase:?}, ready: {ready}");
    }
}

#[test]
fn without_a_batch_period_each_change_of_a_pod_is_written_at_once() {
    // After how many milliseconds each of the pods changes, and how many writes that takes.
    for (times, writes) in [(vec![0, 100, 200], 3), (vec![0, 600], 2), (vec![0, 0, 0], 1), (vec![0, 300, 300, 900], 3)]
    {
        for what in ["come", "change", "go"] {
            let mut bed = bed();
            bed.create(web());
            let names: Vec<String> = (0..times.len()).map(|place| format!("p{place}")).collect();
            for name in &names {
                let mut pod = pod(name, "http", 8080);
                if what == "come" {
                    pod.meta.labels = Labels::default();
                }
                bed.create(pod);
            }
            bed.run_for(Span::from_secs(10));
            let start = bed.now();
            let revisions = |bed: &Testbed| -> Vec<u64> {
                let all = bed.core.newest().all::<EndpointSlice>();
                all.map(|(row, _)| bed.core.newest().version_of::<EndpointSlice>(row).expect("it is there").0).collect()
            };
            let (mut seen, mut count) = (revisions(&bed), 0);
            let mut due: Vec<(u64, &String)> = times.iter().copied().zip(&names).collect();
            while bed.now() < start + Span::from_secs(5) {
                let past = bed.now().since(start).0 / 1_000_000;
                while let Some((_, name)) = due.first().filter(|(at, _)| *at <= past) {
                    let key = ObjectKey::new(Kind::Pod, "default", name);
                    match what {
                        "come" => {
                            let patch = Patch::Label { key: "app".into(), value: Some("web".into()) };
                            bed.request(Request::Patch { key, patch });
                        }
                        "go" => {
                            let (uid, grace, propagation) = (None, Some(Span::ZERO), Propagation::Background);
                            bed.request(Request::Delete { key, uid, grace, propagation });
                        }
                        _ => told(&mut bed, name, "10.0.0.7", Phase::Running, false),
                    }
                    due.remove(0);
                }
                bed.run_for(Span::from_millis(1));
                let now = revisions(&bed);
                count += usize::from(now != seen);
                seen = now;
            }
            assert_eq!(count, writes, "pods {what} at {times:?} ms");
        }
    }
}

#[test]
fn a_slice_that_is_given_to_another_service_by_hand_is_made_anew() {
    let mut bed = bed();
    bed.create(web());
    bed.create(pod("p", "http", 8080));
    bed.create(Service { meta: Meta::named("default", "other"), ..web() });
    bed.run_for(Span::from_secs(6));
    let of = |bed: &Testbed, service: &str| {
        let of_service =
            |slice: &Arc<EndpointSlice>| slice.meta.labels.get(SERVICE_NAME).is_some_and(|it| **it == *service);
        let own: Vec<_> = slices(bed).into_iter().filter(of_service).collect();
        own.iter().map(|slice| (slice.meta.name.clone(), slice.endpoints.len())).collect::<Vec<_>>()
    };
    let (moved, kept) = (of(&bed, "web")[0].0.clone(), of(&bed, "other"));
    let patch = Patch::Label { key: SERVICE_NAME.into(), value: Some("other".into()) };
    bed.request(Request::Patch { key: ObjectKey::new(Kind::EndpointSlice, "default", &moved), patch });
    bed.run_for(Span::from_secs(3));
    assert_eq!(of(&bed, "other"), kept, "what has another owner goes");
    assert!(of(&bed, "web").len() == 1 && of(&bed, "web")[0].0 != moved, "{:?}", of(&bed, "web"));
    bed.create(pod("q", "http", 8080));
    bed.run_for(Span::from_secs(6));
    assert_eq!((of(&bed, "web")[0].1, of(&bed, "other")[0].1), (2, 2));
    // To a Service that is not there.
    let moved = of(&bed, "web")[0].0.clone();
    let patch = Patch::Label { key: SERVICE_NAME.into(), value: Some("nobody".into()) };
    bed.request(Request::Patch { key: ObjectKey::new(Kind::EndpointSlice, "default", &moved), patch });
    bed.run_for(Span::from_secs(3));
    assert_eq!((of(&bed, "web").len(), of(&bed, "nobody").len()), (1, 1));
    assert_eq!(of(&bed, "web")[0].1, 2);
}

#[test]
fn what_is_said_of_a_refused_write_tells_which_write_of_which_slice_it_was() {
    let stage = Stage {
        made: 1,
        changed: vec!["web-b".into()],
        deleted: vec![("web-c".into(), Uid::new(3)), ("web-d".into(), Uid::new(4))],
        left_out: LeftOut::new(),
        said: Vec::new(),
    };
    let expected = ["create EndpointSlice", "update web-b EndpointSlice", "delete web-c EndpointSlice"];
    for (place, what) in expected.into_iter().enumerate() {
        let gone = Refusal::NotFound(ObjectKey::new(Kind::EndpointSlice, "default", "web-c"));
        let said = stage.refused(&web(), place, &gone);
        assert_eq!(said, format!("failed to {what} for Service default/web: {gone}"));
    }
}
