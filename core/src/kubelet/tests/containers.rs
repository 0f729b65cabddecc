//! Containers of one pod: images, restarts, init containers, probes.

use super::*;
use crate::api::Patch;

#[test]
fn a_crash_loop_waits_longer_each_time_and_says_so() {
    let runtime = FakeRuntime { start: Span::ZERO, ..FakeRuntime::new() }.with_exits("app", &[(Span::ZERO, 1)]);
    let mut bed = bed(runtime);
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(400));
    assert_eq!(times(&bed, "web", "Started"), ["0s", "0s", "10s", "30s", "70s", "150s", "310s"]);
    let web = pod(&bed, "web");
    let status = &web.status.containers[0];
    let message = format!("back-off 5m0s restarting failed container=app pod=web_default({})", web.meta.uid);
    let waiting = ContainerState::Waiting { reason: "CrashLoopBackOff".into(), message: message.as_str().into() };
    assert_eq!(status.state, waiting);
    assert_eq!(status.restarts, 6);
    assert_eq!(status.last_terminated.as_ref().map(|how| how.exit_code), Some(1));
    assert_eq!(web.status.phase, Phase::Running);
}

#[test]
fn a_container_in_a_crash_loop_shows_its_end_for_a_sync_before_it_shows_that_it_waits() {
    let mut bed = bed(FakeRuntime::new().with_exits("app", &[(Span::from_secs(1), 1)]));
    create(&mut bed, "web", spec(&["app"]));
    let state = |bed: &Testbed| match &pod(bed, "web").status.containers[0].state {
        ContainerState::Waiting { reason, .. } => reason.to_string(),
        ContainerState::Running { .. } => "runs".to_owned(),
        ContainerState::Terminated(how) => how.reason.to_string(),
    };
    let mut shown: Vec<(u64, String)> = Vec::new();
    while bed.now() < Time::from_secs(41) {
        bed.run_for(Span::from_millis(250));
        let now = state(&bed);
        if shown.last().is_none_or(|(_, before)| *before != now) {
            shown.push((bed.now().since(Time::ZERO).0 / 1_000_000, now));
        }
    }
    // It takes half a second to start; it waits for 10 s from 3 s on, and for 20 s from 14.5 s on.
    let expected = [
        (250, "ContainerCreating"),
        (500, "runs"),
        (1_500, "Error"),
        (2_000, "runs"),
        (3_000, "Error"),
        (13_000, "CrashLoopBackOff"),
        (13_500, "runs"),
        (14_500, "Error"),
        (24_500, "CrashLoopBackOff"),
        (35_000, "runs"),
        (36_000, "Error"),
    ];
    assert_eq!(shown, expected.map(|(at, what)| (at, what.to_owned())));
}

#[test]
fn a_container_that_starts_and_ends_between_two_relists_is_never_shown_as_running() {
    let exits = [(Span::from_millis(100), 1), (Span::from_secs(1_000), 0)];
    let mut bed = bed_with(Config::default(), FakeRuntime::new().with_exits("app", &exits));
    create(&mut bed, "web", spec(&["app"]));
    let mut shown: Vec<String> = Vec::new();
    while bed.now() < Time::from_secs(10) {
        bed.run_for(Span::from_millis(50));
        let now = match &pod(&bed, "web").status.containers[0].state {
            ContainerState::Waiting { reason, .. } => reason.to_string(),
            ContainerState::Running { .. } => "runs".to_owned(),
            ContainerState::Terminated(how) => format!("{} {}", how.reason, pod(&bed, "web").is_ready()),
        };
        if shown.last() != Some(&now) {
            shown.push(now);
        }
    }
    assert_eq!(shown, ["ContainerCreating", "Error false", "runs"]);
    assert_eq!(times(&bed, "web", "Started").len(), 2);
    assert_eq!(times(&bed, "web", "Ready").len(), 1, "only the second start is seen");
}

#[test]
fn what_has_ended_in_a_pod_that_goes_shows_its_end() {
    let mut bed = bed(FakeRuntime::new().with_exits("app", &[(Span::from_secs(1), 7)]));
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(30));
    let reason = |bed: &Testbed| format!("{:?}", pod(bed, "web").status.containers[0].state);
    assert!(reason(&bed).contains("CrashLoopBackOff"), "{}", reason(&bed));
    let key = ObjectKey::new(Kind::Pod, "default", "web");
    bed.request(Request::Patch { key, patch: Patch::Finalizer { name: "a/keep".into(), present: true } });
    delete(&mut bed, "web", None);
    bed.run_until(Time::from_secs(40));
    assert!(reason(&bed).contains("exit_code: 7"), "{}", reason(&bed));
}

#[test]
fn ten_good_minutes_end_a_crash_loop() {
    let runs = [(Span::ZERO, 1), (Span::ZERO, 1), (Span::from_secs(601), 1), (Span::from_secs(9_999), 1)];
    let runtime = FakeRuntime { start: Span::ZERO, ..FakeRuntime::new() }.with_exits("app", &runs);
    let mut bed = bed(runtime);
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(700));
    assert_eq!(times(&bed, "web", "Started"), ["0s", "0s", "10s", "611s"], "the fourth start is immediate");
}

#[test]
fn an_image_that_cannot_be_pulled_is_tried_ever_more_rarely() {
    let mut bed = bed(FakeRuntime::new().with_image("app:1", Image::Missing));
    create(&mut bed, "web", spec(&["app"]));
    let state = |bed: &Testbed| match &pod(bed, "web").status.containers[0].state {
        ContainerState::Waiting { reason, message } => format!("{reason}: {message}"),
        other => panic!("the container waits, it does not do {other:?}"),
    };
    let (error, back_off) = ("not found", "Back-off pulling image \"app:1\": ErrImagePull: not found");
    let (error, back_off) = (format!("ErrImagePull: {error}"), format!("ImagePullBackOff: {back_off}"));
    // A status tells what has come of the sync before: the first two are a second apart, further ones ten.
    for (until, told) in [(0, &error), (10, &error), (11, &back_off), (20, &back_off), (21, &error), (30, &error)] {
        bed.run_until(Time::from_secs(until));
        assert_eq!(state(&bed), *told, "after {until} s");
    }
    bed.run_until(Time::from_secs(100));
    assert_eq!(state(&bed), back_off);
    assert_eq!(times(&bed, "web", "Pulling"), ["0s", "11s", "31s", "71s"]);
    assert_eq!(pod(&bed, "web").status.phase, Phase::Pending);
    bed.runtime.as_mut().unwrap().images.clear();
    bed.run_until(Time::from_secs(160));
    assert_eq!(times(&bed, "web", "Started"), ["151.5s"]);
}

#[test]
fn pulls_stand_in_line_but_a_present_image_does_not_wait_for_them() {
    let minute = Image::Remote(Span::from_secs(60));
    let mut bed = bed(FakeRuntime::new().with_image("big:1", minute).with_image("huge:1", minute));
    create(&mut bed, "one", spec(&["big"]));
    create(&mut bed, "two", spec(&["huge"]));
    create(&mut bed, "three", spec(&["app"]));
    bed.run_until(Time::from_secs(5));
    assert_eq!(bed.times_said("Pulling image \"huge:1\""), 1, "the event does not wait for the turn");
    bed.run_until(Time::from_secs(200));
    let took = "Successfully pulled image \"huge:1\" in 1m0s (2m0s including waiting). Image size: 20000000 bytes.";
    assert_eq!(bed.times_said(took), 1);
    assert_eq!(times(&bed, "one", "Started"), ["60.5s"]);
    assert_eq!(times(&bed, "two", "Pulling"), ["60s"]);
    assert_eq!(times(&bed, "two", "Started"), ["120.5s"]);
    assert_eq!(times(&bed, "three", "Started"), ["0.5s"]);
}

#[test]
fn init_containers_run_one_after_the_other_and_sidecars_stay() {
    let second = Span::from_secs(1);
    let runtime =
        FakeRuntime::new().with_exits("first", &[(second, 0)]).with_exits("last", &[(second, 1), (second, 0)]);
    let mut bed = bed(runtime);
    let sidecar = Container { sidecar: true, ..container("proxy") };
    let init_containers = vec![container("first"), sidecar, container("last")];
    create(&mut bed, "web", PodSpec { init_containers, ..spec(&["app"]) });
    bed.run_until(Time::from_secs(1));
    let status = pod(&bed, "web").status;
    let condition = status.conditions.get(ConditionKind::Initialized).unwrap();
    assert_eq!(&*condition.message, "containers with incomplete status: [first proxy last]");
    bed.run_until(Time::from_secs(20));
    let started: Vec<String> = story(&bed, "web").into_iter().filter(|line| line.contains("Started:")).collect();
    let expected = [
        "0.5s Started: container first started",
        "2s Started: container proxy started",
        "2.5s Started: container last started",
        "4s Started: container last started again (restart 1)",
        "5.5s Started: container app started",
    ];
    assert_eq!(started, expected);
    assert!(pod(&bed, "web").is_ready());
    delete(&mut bed, "web", None);
    bed.run_until(Time::from_secs(30));
    let killed: Vec<String> = story(&bed, "web").into_iter().filter(|line| line.contains("Killing:")).collect();
    let exited: Vec<String> = story(&bed, "web").into_iter().filter(|line| line.contains("143")).collect();
    let expected =
        ["21s Exited: container app exited with code 143", "22s Exited: container proxy exited with code 143"];
    assert_eq!(exited, expected, "the sidecar gets TERM when the others have ended");
    assert_eq!(killed, ["20s Killing: stopping container app", "20s Killing: stopping container proxy"]);
}

#[test]
fn a_sidecar_that_waits_to_be_started_again_does_not_hold_back_the_init_containers_after_it() {
    let seconds = Span::from_secs;
    let runtime = FakeRuntime::new()
        .with_exits("proxy", &[(seconds(1), 1)])
        .with_exits("setup", &[(seconds(4), 0)])
        .with_exits("load", &[(seconds(4), 1), (seconds(4), 0)]);
    let mut bed = bed(runtime);
    let init_containers =
        vec![Container { sidecar: true, ..container("proxy") }, container("setup"), container("load")];
    create(&mut bed, "web", PodSpec { init_containers, ..spec(&["app"]) });
    bed.run_until(Time::from_secs(16));
    let started: Vec<String> = story(&bed, "web").into_iter().filter(|line| line.contains("Started:")).collect();
    let expected = [
        "0.5s Started: container proxy started",
        "1s Started: container setup started",
        "2s Started: container proxy started again (restart 1)",
        "5.5s Started: container load started",
        "10s Started: container load started again (restart 1)",
        "13.5s Started: container proxy started again (restart 2)",
        "14.5s Started: container app started",
    ];
    assert_eq!(started, expected, "the sidecar waits for 10 s from its second end on");
}

#[test]
fn regular_containers_wait_for_a_last_sidecar_that_is_down_with_all_of_them() {
    let seconds = Span::from_secs;
    let runtime = FakeRuntime::new()
        .with_exits("proxy", &[(seconds(20), 1), (seconds(20), 1), (seconds(9_000), 0)])
        .with_exits("app", &[(seconds(35), 1), (seconds(9_000), 0)]);
    let mut bed = bed(runtime);
    let init_containers = vec![Container { sidecar: true, ..container("proxy") }];
    create(&mut bed, "web", PodSpec { init_containers, ..spec(&["app"]) });
    bed.run_until(Time::from_secs(45));
    assert_eq!(times(&bed, "web", "Exited"), ["20.5s", "36s", "41s"]);
    bed.run_until(Time::from_secs(60));
    let started: Vec<String> = story(&bed, "web").into_iter().filter(|line| line.contains("Started:")).collect();
    let expected = [
        "0.5s Started: container proxy started",
        "1s Started: container app started",
        "21s Started: container proxy started again (restart 1)",
        "36.5s Started: container app started again (restart 1)",
        "51.5s Started: container proxy started again (restart 2)",
    ];
    assert_eq!(started, expected);
}

#[test]
fn restart_policies_decide_how_a_pod_ends() {
    let second = Span::from_secs(1);
    let runtime = FakeRuntime::new()
        .with_exits("good", &[(second, 0)])
        .with_exits("bad", &[(second, 3)])
        .with_exits("mends", &[(second, 3), (second, 0)]);
    let mut bed = bed(runtime);
    let with = |policy, names: &[&str]| PodSpec { restart_policy: policy, ..spec(names) };
    create(&mut bed, "done", with(RestartPolicy::Never, &["good"]));
    create(&mut bed, "broken", with(RestartPolicy::Never, &["good", "bad"]));
    create(&mut bed, "mended", with(RestartPolicy::OnFailure, &["mends"]));
    create(&mut bed, "looping", with(RestartPolicy::OnFailure, &["bad"]));
    create(&mut bed, "again", with(RestartPolicy::Always, &["good"]));
    bed.run_until(Time::from_secs(9));
    let phases: Vec<Phase> =
        ["done", "broken", "mended", "looping", "again"].iter().map(|name| pod(&bed, name).status.phase).collect();
    assert_eq!(phases, [Phase::Succeeded, Phase::Failed, Phase::Succeeded, Phase::Running, Phase::Running]);
    assert_eq!(pod(&bed, "mended").status.containers[0].restarts, 1);
    let ready = pod(&bed, "done").status.conditions.get(ConditionKind::Ready).unwrap();
    assert_eq!((ready.status, &*ready.reason), (Status3::False, "PodCompleted"));
    let has_sandbox = |name: &str| pod(&bed, name).status.conditions.is_true(ConditionKind::PodReadyToStartContainers);
    assert_eq!(["done", "broken", "looping"].map(has_sandbox), [false, false, true], "that of an ended pod is stopped");
}

#[test]
fn a_pod_that_failed_to_initialize_fails_if_it_may_not_restart() {
    let mut bed = bed(FakeRuntime::new().with_exits("setup", &[(Span::from_secs(1), 2)]));
    let restart_policy = RestartPolicy::Never;
    create(&mut bed, "web", PodSpec { init_containers: vec![container("setup")], restart_policy, ..spec(&["app"]) });
    bed.run_until(Time::from_secs(5));
    assert_eq!(pod(&bed, "web").status.phase, Phase::Failed);
    assert_eq!(times(&bed, "web", "Started").len(), 1, "the container itself never starts");
}

#[test]
fn a_container_that_does_not_listen_is_killed_when_its_grace_is_over() {
    let mut bed = bed(FakeRuntime { stop: Span::from_secs(1_000), ..FakeRuntime::new() });
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(10));
    delete(&mut bed, "web", None);
    bed.run_until(Time::from_secs(20));
    assert!(pod(&bed, "web").is_ready(), "a pod stays ready until its containers end");
    bed.run_until(Time::from_secs(50));
    assert_eq!(times(&bed, "web", "Deleted"), ["40s"]);
    create(&mut bed, "hurried", spec(&["app"]));
    bed.run_until(Time::from_secs(60));
    delete(&mut bed, "hurried", None);
    bed.run_until(Time::from_secs(62));
    delete(&mut bed, "hurried", Some(Span::from_secs(5)));
    bed.run_until(Time::from_secs(95));
    assert_eq!(times(&bed, "hurried", "Deleted"), ["90s"], "a shorter grace does not bring the end nearer");
}

#[test]
fn a_pod_that_is_deleted_while_an_image_is_pulled_ends_when_its_containers_have_started() {
    let minute = Image::Remote(Span::from_secs(60));
    let images = ["big:1", "huge:1", "wide:1"];
    let mut bed = bed(images.into_iter().fold(FakeRuntime::new(), |runtime, image| runtime.with_image(image, minute)));
    create(&mut bed, "web", spec(&["big", "huge"]));
    create(&mut bed, "init", PodSpec { init_containers: vec![container("wide")], ..spec(&["app"]) });
    bed.run_until(Time::from_secs(10));
    delete(&mut bed, "web", None);
    delete(&mut bed, "init", None);
    bed.run_until(Time::from_secs(59));
    assert_eq!(pod(&bed, "web").status.phase, Phase::Pending, "it is still there");
    bed.run_until(Time::from_secs(200));
    // One pull at a time: that of the init container comes before that of the first pod's second container.
    assert_eq!(times(&bed, "web", "Started"), ["60.5s", "180.5s"]);
    assert_eq!(times(&bed, "web", "Killing"), ["180.5s", "180.5s"]);
    assert_eq!(times(&bed, "web", "Deleted"), ["181.5s"]);
    assert_eq!(times(&bed, "init", "Started"), ["120.5s"], "what comes after an init container is another sync's");
    assert_eq!(times(&bed, "init", "Deleted"), ["121.5s"]);
}

#[test]
fn a_failing_liveness_probe_restarts_the_container_at_once() {
    let dead_after = BTreeMap::from([(Name::from("app"), Span::from_secs(20))]);
    let mut bed = bed(FakeRuntime { dead_after, ..FakeRuntime::new() });
    let probed = Container { liveness_probe: Some(probe()), ..container("app") };
    create(&mut bed, "web", PodSpec { containers: vec![probed], ..PodSpec::default() });
    bed.run_until(Time::from_secs(30));
    assert_eq!(times(&bed, "web", "Unhealthy"), ["20.5s"]);
    assert_eq!(times(&bed, "web", "Started"), ["0.5s", "22s"]);
    assert_eq!(pod(&bed, "web").status.containers[0].restarts, 1);
}

#[test]
fn a_startup_probe_holds_the_other_probes_back() {
    let mut bed = bed(FakeRuntime { ready: Some(Span::from_secs(4)), ..FakeRuntime::new() });
    let probed = Container { startup_probe: Some(probe()), readiness_probe: Some(probe()), ..container("app") };
    create(&mut bed, "web", PodSpec { containers: vec![probed], ..PodSpec::default() });
    bed.run_until(Time::from_secs(20));
    assert_eq!(times(&bed, "web", "Ready"), ["8.5s"], "4 s for the startup probe, 4 s for readiness");
}

#[test]
fn an_image_that_must_not_be_pulled_is_an_error() {
    let mut bed = bed(FakeRuntime::new().with_image("app:1", Image::Remote(Span::ZERO)));
    let never = Container { pull_policy: PullPolicy::Never, ..container("app") };
    create(&mut bed, "web", PodSpec { containers: vec![never], ..PodSpec::default() });
    bed.run_until(Time::from_secs(5));
    let expected =
        ContainerState::Waiting { reason: "ErrImageNeverPull".into(), message: "the image is not present".into() };
    assert_eq!(pod(&bed, "web").status.containers[0].state, expected);
    assert_eq!(times(&bed, "web", "Pulling"), [""; 0]);
}

#[test]
fn a_pod_whose_sandbox_was_removed_gets_a_new_one_and_is_initialized_again() {
    let mut bed = bed(FakeRuntime::new().with_exits("setup", &[(Span::from_secs(1), 0)]));
    create(&mut bed, "web", PodSpec { init_containers: vec![container("setup")], ..spec(&["app"]) });
    bed.run_until(Time::from_secs(10));
    let event = crate::kubelet::RuntimeEvent::SandboxLost { pod: pod(&bed, "web").meta.uid };
    let from = ProcId::runtime(HostId(0));
    bed.input(Input::Message { from, to: kubelet(), body: Msg::RuntimeEvent(event) });
    bed.run_until(Time::from_secs(20));
    let started: Vec<String> = story(&bed, "web").into_iter().filter(|line| line.contains("Started:")).collect();
    let expected = [
        "0.5s Started: container setup started",
        "2s Started: container app started",
        "11.5s Started: container setup started again (restart 1)",
        "13s Started: container app started again (restart 1)",
    ];
    assert_eq!(started, expected);
    assert!(pod(&bed, "web").is_ready());
}

#[test]
fn of_init_containers_before_a_new_sandbox_nothing_is_left_but_the_count_of_the_first() {
    let (second, minutes) = (Span::from_secs(1), Span::from_secs(600));
    let runtime = FakeRuntime { stop_code: 0, ..FakeRuntime::new() };
    let runtime = runtime.with_exits("setup", &[(second, 0)]).with_exits("load", &[(second, 1), (second, 0)]);
    let mut bed = bed(runtime.with_exits("app", &[(minutes, 0)]));
    let side = Container { sidecar: true, ..container("side") };
    let init_containers = vec![container("setup"), container("load"), side];
    create(&mut bed, "web", PodSpec { init_containers, ..spec(&["app"]) });
    let init = |bed: &Testbed| {
        let containers = pod(bed, "web").status.init_containers.clone();
        let counts: Vec<(u32, bool)> =
            containers.iter().map(|status| (status.restarts, status.last_terminated.is_some())).collect();
        counts
    };
    bed.run_until(Time::from_secs(30));
    assert_eq!(init(&bed), [(0, false), (1, true), (0, false)]);
    let event = crate::kubelet::RuntimeEvent::SandboxLost { pod: pod(&bed, "web").meta.uid };
    for (until, first) in [(60, 1), (90, 2)] {
        let from = ProcId::runtime(HostId(0));
        bed.input(Input::Message { from, to: kubelet(), body: Msg::RuntimeEvent(event.clone()) });
        bed.run_until(Time::from_secs(until));
        assert!(pod(&bed, "web").is_ready(), "{:?}", pod(&bed, "web").status);
        assert_eq!(init(&bed), [(first, false), (0, false), (0, false)]);
    }
    let app = &pod(&bed, "web").status.containers[0];
    assert_eq!((app.restarts, app.last_terminated.is_some()), (2, true), "regular containers are not removed");
}
