//! What a kubelet tells of its pods, when it does not, and what of it belongs to others; probes of sidecars.

use super::*;
use crate::api::Patch;

fn changed_at(bed: &Testbed, kind: ConditionKind) -> Time {
    pod(bed, "web").status.conditions.get(kind).expect("the kubelet sets it").changed_at
}

#[test]
fn a_status_that_has_not_changed_is_not_sent_again() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(10));
    let (status, revision) = (pod(&bed, "web").status, bed.core.revision());
    bed.run_until(Time::from_secs(200));
    assert_eq!(bed.core.revision(), revision, "nothing is written while nothing happens");
    assert_eq!(pod(&bed, "web").status, status);
}

#[test]
fn a_pod_without_a_readiness_probe_is_ready_in_the_report_that_its_containers_run() {
    let hooks = BTreeMap::from([(Name::from("hooked"), (Span::from_secs(2), Name::default()))]);
    let mut bed = bed(FakeRuntime { ready: Some(Span::ZERO), hooks, ..FakeRuntime::new() });
    let hook = crate::model::Hook::Exec { command: vec!["/hook".into()] };
    let lifecycle = crate::model::Lifecycle { post_start: Some(hook), pre_stop: None };
    let plain = spec(&["app"]);
    let hooked = Container { lifecycle: Some(Box::new(lifecycle)), ..container("hooked") };
    let slow = Container { startup_probe: Some(probe()), ..container("slow") };
    let probed = Container { readiness_probe: Some(probe()), ..container("probed") };
    // After so many milliseconds a pod's containers run as the kubelet sees it; the reports from there to readiness.
    for (name, spec, runs_after, reports) in [
        ("plain", plain, 500, 1),
        ("hooked", PodSpec { containers: vec![hooked], ..PodSpec::default() }, 2_500, 1),
        ("slow", PodSpec { containers: vec![slow], ..PodSpec::default() }, 500, 2),
        ("probed", PodSpec { containers: vec![probed], ..PodSpec::default() }, 500, 2),
    ] {
        let began = bed.now();
        create(&mut bed, name, spec);
        bed.run_until(began + Span::from_millis(runs_after - 1));
        assert_eq!(pod(&bed, name).status.phase, Phase::Pending, "{name}");
        let before = bed.core.revision();
        bed.run_until(began + Span::from_secs(10));
        assert!(pod(&bed, name).is_ready(), "{name}: {:?}", pod(&bed, name).status);
        assert_eq!(bed.core.revision().0 - before.0, reports, "{name}");
    }
}

#[test]
fn a_pod_keeps_its_start_and_a_condition_the_time_of_its_last_change() {
    let mut bed = bed(FakeRuntime::new().with_exits("app", &[(Span::from_secs(20), 1), (Span::from_secs(9_000), 0)]));
    bed.run_until(Time::from_secs(5));
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(10));
    let started = pod(&bed, "web").status.started_at.get();
    let initialized = changed_at(&bed, ConditionKind::Initialized);
    assert_eq!((started, changed_at(&bed, ConditionKind::Ready)), (Some(Time::from_secs(5)), Time::from_millis(6_500)));
    bed.run_until(Time::from_secs(60));
    assert_eq!(pod(&bed, "web").status.containers[0].restarts, 1);
    assert_eq!(pod(&bed, "web").status.started_at.get(), started);
    assert_eq!(changed_at(&bed, ConditionKind::Initialized), initialized, "it has not changed");
    let ready = changed_at(&bed, ConditionKind::Ready);
    assert!(ready > Time::from_secs(25), "unready and ready again: {ready}");
    assert_eq!(changed_at(&bed, ConditionKind::ContainersReady), ready);
}

#[test]
fn what_others_say_of_a_pod_stays_when_its_kubelet_tells_of_it() {
    let mut bed = bed(FakeRuntime::new().with_exits("app", &[(Span::from_secs(20), 1), (Span::from_secs(9_000), 0)]));
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(10));
    let patch = Patch::PodCondition {
        kind: ConditionKind::DisruptionTarget,
        status: Status3::True,
        reason: "EvictionByEvictionAPI".into(),
        message: "somebody asks for it".into(),
    };
    let key = ObjectKey::new(Kind::Pod, "default", "web");
    bed.request(Request::Patch { key: key.clone(), patch });
    let patch = Patch::PodNomination { node: Some("n7".into()), condition: None };
    bed.request(Request::Patch { key, patch });
    bed.run_until(Time::from_secs(60));
    let status = pod(&bed, "web").status;
    assert_eq!(status.containers[0].restarts, 1, "the kubelet has written since");
    let condition = status.conditions.get(ConditionKind::DisruptionTarget).expect("it is still there");
    assert_eq!((condition.status, &*condition.reason), (Status3::True, "EvictionByEvictionAPI"));
    assert_eq!(status.nominated_node, None, "a kubelet's report has no nomination");
}

#[test]
fn a_kubelet_that_was_away_tells_nothing_of_a_pod_whose_name_another_one_has_by_now() {
    let mut bed = bed(FakeRuntime::new().with_exits("app", &[(Span::from_secs(20), 1)]));
    create(&mut bed, "web", PodSpec { restart_policy: RestartPolicy::Never, ..spec(&["app"]) });
    bed.run_until(Time::from_secs(10));
    let old = pod(&bed, "web").meta.uid;
    bed.set_cut(0, true);
    bed.run_until(Time::from_secs(30));
    delete(&mut bed, "web", Some(Span::ZERO));
    bed.run_until(Time::from_secs(31));
    create(&mut bed, "web", spec(&["other"]));
    bed.run_until(Time::from_secs(40));
    bed.set_cut(0, false);
    bed.run_until(Time::from_secs(60));
    let web = pod(&bed, "web");
    assert_ne!(web.meta.uid, old);
    assert!(web.is_ready(), "{:?}", web.status);
    assert_eq!(times(&bed, "web", "Failed"), Vec::<String>::new(), "the end of the old one is nobody's business");
    assert_eq!(bed.runtime.as_ref().unwrap().running(), 1);
}

#[test]
fn the_probes_of_a_sidecar_count_for_its_pod_and_hold_back_what_comes_after_it() {
    let sidecar = |startup: bool, readiness: bool| Container {
        sidecar: true,
        startup_probe: startup.then(probe),
        readiness_probe: readiness.then(probe),
        ..container("side")
    };
    // Whether the sidecar has a startup and a readiness probe, and whether probes ever succeed; whether the main
    // container starts, and whether the pod becomes ready.
    for (startup, readiness, succeeds, starts, ready) in [
        (true, false, true, true, true),
        (true, false, false, false, false),
        (false, true, true, true, true),
        (false, true, false, true, false),
        (true, true, true, true, true),
        (true, true, false, false, false),
    ] {
        let succeeds_after = succeeds.then_some(Span::from_secs(3));
        let mut bed = bed(FakeRuntime { ready: succeeds_after, ..FakeRuntime::new() });
        let init_containers = vec![sidecar(startup, readiness)];
        create(&mut bed, "web", PodSpec { init_containers, ..spec(&["app"]) });
        bed.run_until(Time::from_secs(30));
        let story = format!("startup {startup}, readiness {readiness}, probes succeed: {succeeds}");
        let started = self::story(&bed, "web").iter().filter(|line| line.contains("container app started")).count();
        assert_eq!(started == 1, starts, "{story}: {:?}", pod(&bed, "web").status);
        assert_eq!(pod(&bed, "web").is_ready(), ready, "{story}: {:?}", pod(&bed, "web").status);
    }
}
