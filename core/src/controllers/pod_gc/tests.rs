//! Stories of pods that nobody else removes.

use std::sync::Arc;

use crate::api::{Patch, Propagation, Request};
use crate::config::Config;
use crate::digest::Shared;
use crate::model::{
    ConditionKind, Container, Kind, Meta, Object, ObjectKey, Phase, Pod, PodSpec, Status3, Taint, TaintEffect,
};
use crate::testbed::Testbed;
use crate::time::{Span, Time};

fn cluster(nodes: u32) -> Testbed {
    let mut config = Config::default();
    config.controller_manager.client_limit = None;
    let mut bed = Testbed::new(config);
    (0..nodes).for_each(|host| bed.add_node(host, &format!("n{host}"), "a", 4_000, 1 << 30));
    bed
}

fn pod(name: &str, node: Option<&str>) -> Pod {
    let containers = vec![Container { name: "app".into(), ..Container::default() }];
    let scheduler_name = "nobody".into();
    let spec = Shared::new(PodSpec { containers, scheduler_name, ..PodSpec::default() });
    Pod { meta: Meta::named("default", name).into(), spec, node: node.map(Into::into), ..Pod::default() }
}

fn delete(bed: &mut Testbed, key: ObjectKey) {
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::ZERO);
}

fn lines(bed: &Testbed, part: &str) -> Vec<String> {
    bed.told().into_iter().filter(|line| line.contains(part)).collect()
}

#[test]
fn pods_of_a_node_that_is_gone_fail_and_go_after_forty_seconds_of_quarantine() {
    let mut bed = cluster(3);
    bed.create(pod("orphan", Some("n0")));
    bed.create(pod("other", Some("n1")));
    bed.run_until(Time::from_secs(30));
    bed.silence(0);
    delete(&mut bed, ObjectKey::new(Kind::Node, "", "n0"));
    bed.run_until(Time::from_secs(79));
    assert!(bed.get::<Pod>("default", "orphan").is_some(), "{:#?}", bed.told());
    bed.run_until(Time::from_secs(200));
    // Found missing by the pass at 40 s, asked for by that at 80 s.
    let told = lines(&bed, "pods/default/orphan");
    let end = &told[told.len() - 4..];
    let [unready, failed, asked, gone] = end else { panic!("{told:#?}") };
    assert!(asked.starts_with("80s") && asked.contains("deletion requested"), "{told:#?}");
    assert!(unready.contains("Ready") && failed.starts_with("80s") && failed.contains("Failed"), "{told:#?}");
    assert!(gone.starts_with("80s") && gone.contains("gone"), "{told:#?}");
    assert!(bed.get::<Pod>("default", "other").is_some());
}

#[test]
fn a_node_that_comes_back_in_time_keeps_its_pods() {
    let mut bed = cluster(2);
    bed.create(pod("kept", Some("n0")));
    bed.run_until(Time::from_secs(30));
    delete(&mut bed, ObjectKey::new(Kind::Node, "", "n0"));
    bed.run_until(Time::from_secs(70));
    bed.add_node(0, "n0", "a", 4_000, 1 << 30);
    bed.run_until(Time::from_secs(300));
    assert!(bed.get::<Pod>("default", "kept").is_some(), "{:#?}", bed.told());
}

#[test]
fn terminating_pods_of_a_node_out_of_service_go_at_the_next_pass() {
    let mut bed = cluster(3);
    bed.create(pod("stuck", Some("n0")));
    bed.run_until(Time::from_secs(10));
    bed.silence(0);
    delete(&mut bed, ObjectKey::new(Kind::Pod, "default", "stuck"));
    bed.set_node_condition("n0", ConditionKind::Ready, Status3::False, "KubeletNotReady");
    bed.run_until(Time::from_secs(30));
    assert!(bed.get::<Pod>("default", "stuck").is_some(), "a taint is needed as well: {:#?}", bed.told());
    let effect = TaintEffect::NoExecute;
    let key = "node.kubernetes.io/out-of-service".into();
    let patch = Patch::AddTaint(Taint { key, value: "nodeshutdown".into(), effect, added_at: None });
    bed.request(Request::Patch { key: ObjectKey::new(Kind::Node, "", "n0"), patch });
    bed.run_until(Time::from_secs(39));
    assert!(bed.get::<Pod>("default", "stuck").is_some());
    bed.run_until(Time::from_secs(41));
    assert!(bed.get::<Pod>("default", "stuck").is_none(), "{:#?}", bed.told());
}

#[test]
fn a_terminating_pod_that_was_never_bound_goes_at_the_next_pass() {
    let mut bed = cluster(0);
    let mut held = pod("held", None);
    held.meta.finalizers = ["example.com/hold".into()].into();
    bed.create(held);
    bed.run_until(Time::from_secs(5));
    delete(&mut bed, ObjectKey::new(Kind::Pod, "default", "held"));
    bed.run_until(Time::from_secs(30));
    let held = bed.get::<Pod>("default", "held").expect("a finalizer still holds it");
    assert_eq!(held.status.phase, Phase::Failed, "{:#?}", bed.told());
}

#[test]
fn of_too_many_ended_pods_the_oldest_go() {
    let mut bed = cluster(0);
    bed.run_until(Time::from_secs(1));
    for name in 0..super::ENDED_PODS + 3 {
        let name = format!("p{name:05}");
        bed.create(pod(&name, None));
        let mut ended = Pod::clone(&bed.get::<Pod>("default", &name).unwrap());
        ended.status.phase = Phase::Succeeded;
        bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(ended)), expected: None });
    }
    bed.run_until(Time::from_secs(25));
    let gone = lines(&bed, "Deleted: gone");
    assert_eq!(gone.len(), 3, "{gone:#?}");
    assert!((0..3).all(|pod| gone[pod].contains(&format!("p{pod:05}"))), "{gone:#?}");
}

#[test]
fn evicted_pods_go_before_older_ones_and_those_that_run_not_at_all() {
    // Pods from the oldest on: `s` has succeeded, `f` failed, `e` was evicted, `r` runs. How many may stay; which go.
    for (pods, limit, expected) in [
        ("f s f", 1, "0 1"),
        ("f s", 1, "0"),
        ("r s f", 1, "1"),
        ("f s", 5, ""),
        ("f s", 2, ""),
        ("f s e", 1, "2 0"),
        ("r s e", 1, "2"),
        ("e f e s", 2, "0 2"),
    ] {
        let mut bed = cluster(0);
        for (place, mark) in pods.split(' ').enumerate() {
            let name = place.to_string();
            bed.create(pod(&name, None));
            let mut changed = Pod::clone(&bed.get::<Pod>("default", &name).unwrap());
            (changed.status.phase, changed.status.reason) = match mark {
                "s" => (Phase::Succeeded, "".into()),
                "f" => (Phase::Failed, "".into()),
                "e" => (Phase::Failed, "Evicted".into()),
                _ => (Phase::Running, "".into()),
            };
            bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(changed)), expected: None });
            bed.run_for(Span::from_secs(1));
        }
        let view = bed.core.newest();
        let ended = view.all::<Pod>().filter(|(_, pod)| pod.is_finished());
        let ended = ended.map(|(row, pod)| (super::ended_key(pod), (row, pod.meta.uid))).collect();
        let name = |(row, uid)| view.get_uid::<Pod>(row, uid).expect("the pod is there").meta.name.to_string();
        let gone: Vec<String> = super::excess(&ended, limit).map(name).collect();
        assert_eq!(gone.join(" "), expected, "{pods:?}, {limit} may stay");
    }
}

#[test]
fn a_node_that_only_the_api_server_or_only_the_watch_knows_saves_its_pods() {
    let name = |request: &Request, kind| matches!(request, Request::Get(key) if key.kind == kind);
    // Made anew after the quarantine began, but the watch does not show it: the API server is asked before anything
    // goes.
    let mut bed = cluster(1);
    bed.create(pod("kept", Some("n0")));
    bed.run_until(Time::from_secs(30));
    delete(&mut bed, ObjectKey::new(Kind::Node, "", "n0"));
    bed.run_until(Time::from_secs(75));
    bed.hold_news_from(0);
    bed.add_node(0, "n0", "a", 4_000, 1 << 30);
    bed.run_until(Time::from_secs(110));
    assert!(bed.get::<Pod>("default", "kept").is_some(), "{:#?}", bed.told());
    bed.release_news();
    bed.run_until(Time::from_secs(300));
    assert!(bed.get::<Pod>("default", "kept").is_some(), "{:#?}", bed.told());

    // Gone, but the watch still shows it: then nobody asks.
    let mut bed = cluster(1);
    bed.create(pod("kept", Some("n0")));
    bed.run_until(Time::from_secs(30));
    bed.hold_news_from(0);
    delete(&mut bed, ObjectKey::new(Kind::Node, "", "n0"));
    bed.run_until(Time::from_secs(300));
    assert!(bed.get::<Pod>("default", "kept").is_some(), "{:#?}", bed.told());
    bed.release_news();
    bed.run_until(Time::from_secs(500));
    assert!(bed.get::<Pod>("default", "kept").is_none(), "{:#?}", bed.told());

    // The API server cannot be asked: the pod waits for a pass that can.
    let mut bed = cluster(1);
    bed.create(pod("late", Some("n0")));
    bed.run_until(Time::from_secs(30));
    delete(&mut bed, ObjectKey::new(Kind::Node, "", "n0"));
    bed.refuse(1, move |request| name(request, Kind::Node));
    bed.run_until(Time::from_secs(90));
    assert_eq!(bed.refusals_left(), 0);
    assert!(bed.get::<Pod>("default", "late").is_some(), "{:#?}", bed.told());
    bed.run_until(Time::from_secs(200));
    assert!(bed.get::<Pod>("default", "late").is_none(), "{:#?}", bed.told());
}

#[test]
fn a_pod_is_marked_before_it_is_deleted_and_stays_if_it_cannot_be() {
    let marks =
        |request: &Request| matches!(request, Request::UpdateStatus { object, .. } if object.kind() == Kind::Pod);
    let mut bed = cluster(1);
    bed.create(pod("orphan", Some("n0")));
    bed.run_until(Time::from_secs(30));
    delete(&mut bed, ObjectKey::new(Kind::Node, "", "n0"));
    bed.refuse(1, marks);
    bed.run_until(Time::from_secs(95));
    assert_eq!(bed.refusals_left(), 0);
    let orphan = bed.get::<Pod>("default", "orphan").expect("it could not be marked");
    assert!(!orphan.meta.is_terminating() && orphan.status.phase != Phase::Failed);
    bed.run_until(Time::from_secs(300));
    assert!(bed.get::<Pod>("default", "orphan").is_none(), "{:#?}", bed.told());
    let told = lines(&bed, "pods/default/orphan");
    let place = |text: &str| told.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{told:#?}"));
    assert!(place("Failed") < place("deletion requested"), "{told:#?}");
}

#[test]
fn pods_that_ended_and_were_made_in_one_second_go_by_name() {
    let made = |name: &str, millis| {
        let mut pod = pod(name, None);
        pod.meta.created_at = Time::from_millis(millis);
        pod.status.phase = Phase::Succeeded;
        super::ended_key(&pod)
    };
    assert!(made("a", 5_900) < made("b", 5_100));
    assert!(made("b", 5_100) < made("a", 6_000));
}
