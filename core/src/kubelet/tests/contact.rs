//! Kubelets that restart, lose contact or their runtime, and come back.

use super::*;

#[test]
fn a_kubelet_that_restarts_keeps_its_containers() {
    let mut bed = bed(FakeRuntime::new());
    let probed = Container { readiness_probe: Some(probe()), ..container("app") };
    create(&mut bed, "plain", spec(&["app"]));
    create(&mut bed, "probed", PodSpec { containers: vec![probed], ..PodSpec::default() });
    bed.run_until(Time::from_secs(10));
    bed.input(Input::Crashed(kubelet()));
    bed.run_until(Time::from_secs(20));
    bed.input(Input::Started(kubelet()));
    bed.run_until(Time::from_secs(30));
    assert_eq!(times(&bed, "plain", "Started"), ["0.5s"]);
    assert_eq!(times(&bed, "plain", "Ready"), ["1.5s"], "readiness without a probe outlives the kubelet");
    assert_eq!(times(&bed, "probed", "Unready"), ["20s"]);
    assert_eq!(times(&bed, "probed", "Ready"), ["1.5s", "21s"]);
    assert_eq!(pod(&bed, "plain").status.containers[0].restarts, 0);
}

#[test]
fn a_pod_deleted_while_the_kubelet_was_away_is_stopped_when_it_returns() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(10));
    bed.input(Input::Crashed(kubelet()));
    bed.run_until(Time::from_secs(11));
    delete(&mut bed, "web", Some(Span::ZERO));
    bed.run_until(Time::from_secs(20));
    bed.input(Input::Started(kubelet()));
    bed.run_until(Time::from_secs(30));
    assert_eq!(bed.runtime.as_ref().unwrap().sandboxes(), 0);
}

#[test]
fn the_kubelet_sees_its_containers_only_when_it_lists_them() {
    let mut bed = bed_with(Config::default(), FakeRuntime { ready: Some(Span::ZERO), ..FakeRuntime::new() });
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(5));
    let running = bed.facts.iter().find(|(_, fact)| fact.what.reason() == "Running").map(|(at, _)| *at).unwrap();
    assert!(running > Time::from_millis(500) && running <= Time::from_millis(1_500), "{running}");
    let web = pod(&bed, "web");
    let since = Time::from_millis(500);
    assert_eq!(web.status.containers[0].state, ContainerState::Running { since }, "the container's own time is kept");
}

#[test]
fn after_a_partition_the_kubelet_catches_up() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "stays", spec(&["app"]));
    create(&mut bed, "goes", spec(&["app"]));
    bed.run_until(Time::from_secs(10));
    bed.set_cut(0, true);
    bed.run_until(Time::from_secs(20));
    delete(&mut bed, "goes", Some(Span::ZERO));
    create(&mut bed, "comes", spec(&["app"]));
    bed.run_until(Time::from_secs(40));
    assert_eq!(pod(&bed, "comes").status.phase, Phase::Pending);
    bed.set_cut(0, false);
    bed.run_until(Time::from_secs(45));
    assert!(pod(&bed, "comes").is_ready());
    assert!(pod(&bed, "stays").is_ready());
    assert_eq!(bed.runtime.as_ref().unwrap().running(), 2);
    let node = bed.get::<Node>("", "n1").unwrap();
    assert!(node.status.conditions.is_true(ConditionKind::Ready));
}

#[test]
fn a_status_that_was_lost_on_its_way_is_sent_again() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(1));
    bed.set_cut(0, true);
    bed.run_until(Time::from_secs(60));
    assert!(!pod(&bed, "web").is_ready());
    bed.set_cut(0, false);
    bed.run_until(Time::from_secs(60));
    assert!(pod(&bed, "web").is_ready(), "the connection is back, and so is the report");
}

#[test]
fn a_machine_that_restarts_starts_its_pods_again_and_counts_it() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(10));
    bed.input(Input::Crashed(kubelet()));
    bed.run_until(Time::from_secs(15));
    bed.runtime.as_mut().unwrap().pods.clear();
    bed.input(Input::Started(kubelet()));
    bed.run_until(Time::from_secs(30));
    let web = pod(&bed, "web");
    assert!(web.is_ready());
    let status = &web.status.containers[0];
    assert_eq!(status.restarts, 1);
    assert_eq!(status.last_terminated.as_ref().map(|how| &*how.reason), Some("ContainerStatusUnknown"));
}

#[test]
fn a_kubelet_that_dies_during_a_start_does_not_start_the_container_twice() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_millis(200));
    bed.input(Input::Crashed(kubelet()));
    bed.run_until(Time::from_secs(2));
    bed.input(Input::Started(kubelet()));
    bed.run_until(Time::from_secs(10));
    assert_eq!(bed.runtime.as_ref().unwrap().running(), 1);
    assert!(pod(&bed, "web").is_ready());
    assert_eq!(pod(&bed, "web").status.containers[0].restarts, 0);
}

#[test]
fn a_node_that_was_given_up_is_ready_again_when_its_kubelet_is_heard() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(10));
    bed.set_cut(0, true);
    bed.run_until(Time::from_secs(60));
    let mut node = Node::clone(&bed.get::<Node>("", "n1").unwrap());
    let (kind, unknown) = (ConditionKind::Ready, Status3::Unknown);
    node.status.conditions.set(kind, unknown, "NodeStatusUnknown", "Kubelet stopped posting node status.", bed.now());
    let mut web = pod(&bed, "web");
    web.status.conditions.set(kind, Status3::False, "", "", bed.now());
    for object in [crate::model::Object::Node(node.into()), crate::model::Object::Pod(web.into())] {
        bed.request(Request::UpdateStatus { object, expected: None });
    }
    bed.run_until(Time::from_secs(90));
    bed.set_cut(0, false);
    bed.run_until(Time::from_secs(100));
    let node = bed.get::<Node>("", "n1").unwrap();
    let ready = node.status.conditions.get(kind).unwrap();
    assert_eq!((ready.status, &*ready.reason, ready.changed_at), (Status3::True, "KubeletReady", Time::from_secs(90)));
    let web = pod(&bed, "web");
    let ready = web.status.conditions.get(kind).unwrap();
    assert_eq!(ready.status, Status3::True);
    let healed = Time::from_secs(90);
    let (soonest, latest) = (healed + Span::from_millis(800), healed + Span::from_millis(1_600));
    assert!(
        ready.changed_at >= soonest && ready.changed_at <= latest,
        "the watch comes back first: {}",
        ready.changed_at
    );
}

#[test]
fn a_node_whose_runtime_is_away_for_half_a_minute_is_not_ready_until_it_is_back() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(10));
    let ready = |bed: &Testbed| {
        let node = bed.get::<Node>("", "n1").unwrap();
        let ready = node.status.conditions.get(ConditionKind::Ready).unwrap();
        (ready.status, ready.reason.to_string(), ready.changed_at)
    };
    let tell = |bed: &mut Testbed, event| {
        let (from, body) = (ProcId::runtime(HostId(0)), Msg::RuntimeEvent(event));
        bed.input(Input::Message { from, to: kubelet(), body });
    };
    let at_first = ready(&bed);
    tell(&mut bed, RuntimeEvent::Down);
    bed.run_until(Time::from_secs(30));
    tell(&mut bed, RuntimeEvent::Up);
    bed.run_until(Time::from_secs(100));
    assert_eq!(ready(&bed), at_first, "20 seconds are not long enough");
    tell(&mut bed, RuntimeEvent::Down);
    bed.run_until(Time::from_secs(140));
    assert_eq!(ready(&bed), (Status3::False, "KubeletNotReady".to_owned(), Time::from_secs(130)));
    tell(&mut bed, RuntimeEvent::Up);
    bed.run_until(Time::from_secs(150));
    assert_eq!(ready(&bed), (Status3::True, "KubeletReady".to_owned(), Time::from_secs(140)));
    assert!(pod(&bed, "web").is_ready(), "its containers went on");
}
