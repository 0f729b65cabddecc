//! Stories of hooks, probes' own graces, deadlines and pulls.

use super::*;
use crate::kubelet::HookKind;
use crate::kubelet::RuntimeRequest;
use crate::model::{Hook, Lifecycle};

fn hooked(name: &str, post_start: bool, pre_stop: bool) -> Container {
    let hook = |wanted: bool| wanted.then(|| Hook::Exec { command: vec!["/hook".into()] });
    let lifecycle = Lifecycle { post_start: hook(post_start), pre_stop: hook(pre_stop) };
    Container { lifecycle: Some(Box::new(lifecycle)), ..container(name) }
}

fn of(containers: Vec<Container>) -> PodSpec {
    PodSpec { containers, ..PodSpec::default() }
}

fn with_hook(name: &str, seconds: u64, error: &str) -> FakeRuntime {
    let hooks = BTreeMap::from([(Name::from(name), (Span::from_secs(seconds), Name::from(error)))]);
    FakeRuntime { hooks, ..FakeRuntime::new() }
}

/// When the runtime was asked to stop a container, and with how many seconds of grace.
fn stops(bed: &Testbed) -> Vec<(u64, u64)> {
    let stop = |(at, _, body): &(Time, ProcId, Msg)| match body {
        Msg::Runtime(RuntimeRequest::StopContainer { grace, .. }) => {
            Some((at.since(Time::ZERO).as_secs(), grace.as_secs()))
        }
        _ => None,
    };
    bed.to_runtimes.iter().filter_map(stop).collect()
}

#[test]
fn a_post_start_hook_holds_back_the_status_and_the_next_container() {
    let mut bed = bed(with_hook("app", 5, ""));
    create(&mut bed, "web", of(vec![hooked("app", true, false), container("side")]));
    bed.run_until(Time::from_secs(5));
    let waiting = ContainerState::Waiting { reason: "ContainerCreating".into(), message: "".into() };
    assert_eq!(pod(&bed, "web").status.containers[0].state, waiting);
    bed.run_until(Time::from_secs(20));
    assert_eq!(times(&bed, "web", "Started"), ["0.5s", "6s"]);
    assert_eq!(times(&bed, "web", "Ready"), ["7s"]);
}

#[test]
fn a_failed_post_start_hook_ends_its_container_which_is_then_in_a_crash_loop() {
    let mut bed = bed(with_hook("app", 1, "exited with 7"));
    create(&mut bed, "web", of(vec![hooked("app", true, false)]));
    bed.run_until(Time::from_secs(60));
    assert_eq!(times(&bed, "web", "HookFailed"), ["1.5s", "4s", "16.5s", "39s"]);
    // Each start takes half a second, its hook one, its end one; the waits between are 0, 10 and 20 s.
    assert_eq!(times(&bed, "web", "Started"), ["0.5s", "3s", "15.5s", "38s"]);
    assert!(!pod(&bed, "web").is_ready());
}

#[test]
fn a_pre_stop_hook_runs_before_term_and_its_time_counts_against_the_grace() {
    let mut bed = bed(with_hook("app", 12, ""));
    create(&mut bed, "web", of(vec![hooked("app", false, true)]));
    bed.run_until(Time::from_secs(10));
    delete(&mut bed, "web", None);
    bed.run_until(Time::from_secs(60));
    assert_eq!(times(&bed, "web", "Killing"), ["10s"]);
    assert_eq!(stops(&bed), [(22, 18)]);
    assert_eq!(times(&bed, "web", "Exited"), ["23s"]);
}

#[test]
fn a_pre_stop_hook_that_takes_all_the_grace_leaves_two_seconds() {
    let mut bed = bed(FakeRuntime { stop: Span::from_secs(9), ..with_hook("app", 100, "") });
    create(&mut bed, "web", of(vec![hooked("app", false, true)]));
    bed.run_until(Time::from_secs(10));
    delete(&mut bed, "web", Some(Span::from_secs(5)));
    bed.run_until(Time::from_secs(60));
    assert_eq!(stops(&bed), [(15, 2)]);
    assert_eq!(times(&bed, "web", "Deleted"), ["17s"]);
}

#[test]
fn a_shorter_grace_does_not_shorten_a_pre_stop_hook_under_way() {
    let mut bed = bed(with_hook("app", 20, ""));
    create(&mut bed, "web", of(vec![hooked("app", false, true)]));
    bed.run_until(Time::from_secs(10));
    delete(&mut bed, "web", None);
    bed.run_until(Time::from_secs(12));
    delete(&mut bed, "web", Some(Span::from_secs(3)));
    bed.run_until(Time::from_secs(60));
    assert_eq!(stops(&bed), [(30, 10)]);
}

#[test]
fn a_pre_stop_hook_gets_a_second_even_of_a_pod_without_grace() {
    let mut bed = bed(with_hook("app", 20, ""));
    create(&mut bed, "web", PodSpec { termination_grace: Span::ZERO, ..of(vec![hooked("app", false, true)]) });
    bed.run_until(Time::from_secs(10));
    delete(&mut bed, "web", None);
    bed.run_until(Time::from_secs(60));
    assert_eq!(stops(&bed), [(11, 2)]);
}

#[test]
fn a_pod_that_was_removed_while_its_kubelet_was_away_is_stopped_without_hooks() {
    let mut bed = bed(FakeRuntime { stop: Span::from_secs(9), ..with_hook("app", 20, "") });
    create(&mut bed, "web", of(vec![hooked("app", false, true)]));
    bed.run_until(Time::from_secs(10));
    bed.input(Input::Crashed(kubelet()));
    delete(&mut bed, "web", Some(Span::ZERO));
    bed.run_until(Time::from_secs(20));
    bed.input(Input::Started(kubelet()));
    bed.run_until(Time::from_secs(60));
    assert_eq!(stops(&bed), [(20, 2)]);
    assert_eq!(bed.runtime.as_ref().unwrap().sandboxes(), 0);
}

#[test]
fn a_container_that_its_post_start_hook_ends_says_so_while_it_waits() {
    let mut bed = bed(with_hook("app", 1, "exited with 7"));
    create(&mut bed, "web", PodSpec { restart_policy: RestartPolicy::Never, ..of(vec![hooked("app", true, false)]) });
    create(&mut bed, "again", of(vec![hooked("app", true, false)]));
    bed.run_until(Time::from_millis(2_600));
    let web = pod(&bed, "web").status;
    assert!(matches!(&web.containers[0].state, ContainerState::Terminated(how) if how.exit_code == 143));
    assert_eq!(web.phase, Phase::Failed);
    let again = pod(&bed, "again");
    let message = format!(
        "Exec lifecycle hook ([/hook]) for Container \"app\" in Pod \"again_default({})\" failed - \
         error: exited with 7",
        again.meta.uid
    );
    let waiting = ContainerState::Waiting { reason: "PostStartHookError".into(), message: message.as_str().into() };
    assert_eq!(again.status.containers[0].state, waiting);
}

#[test]
fn a_sidecar_runs_its_hook_at_once_but_waits_for_its_turn() {
    let runtime = FakeRuntime { stop: Span::from_secs(4), ..with_hook("proxy", 1, "") };
    let mut bed = bed(runtime);
    let sidecar = Container { sidecar: true, ..hooked("proxy", false, true) };
    create(&mut bed, "web", PodSpec { init_containers: vec![sidecar], ..spec(&["app"]) });
    bed.run_until(Time::from_secs(10));
    delete(&mut bed, "web", None);
    bed.run_until(Time::from_secs(60));
    let hooks: Vec<_> = bed
        .to_runtimes
        .iter()
        .filter(|(_, _, body)| matches!(body, Msg::Runtime(RuntimeRequest::RunHook { kind: HookKind::PreStop, .. })))
        .map(|(at, ..)| *at)
        .collect();
    assert_eq!(hooks, [Time::from_secs(10)]);
    assert_eq!(stops(&bed), [(10, 30), (14, 26)]);
}

#[test]
fn a_probe_s_own_grace_counts_when_it_ends_the_container() {
    let dead_after = BTreeMap::from([(Name::from("app"), Span::from_secs(20))]);
    let mut bed = bed(FakeRuntime { dead_after, stop: Span::from_secs(100), ..FakeRuntime::new() });
    let liveness = Probe { termination_grace: Some(Span::from_secs(4)), ..probe() };
    let probed = Container { liveness_probe: Some(liveness), ..container("app") };
    create(&mut bed, "web", of(vec![probed]));
    bed.run_until(Time::from_secs(30));
    assert_eq!(stops(&bed), [(20, 4)]);
    assert_eq!(times(&bed, "web", "Started"), ["0.5s", "25s"]);
}

#[test]
fn a_pod_that_is_active_for_too_long_is_ended_and_has_failed() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", PodSpec { active_deadline: Some(Span::from_secs(30)), ..spec(&["app"]) });
    bed.run_until(Time::from_secs(29));
    assert!(pod(&bed, "web").is_ready());
    bed.run_until(Time::from_secs(40));
    let status = pod(&bed, "web").status;
    assert_eq!((status.phase, &*status.reason), (Phase::Failed, "DeadlineExceeded"));
    assert_eq!(&*status.message, "Pod was active on the node longer than the specified deadline");
    assert_eq!(times(&bed, "web", "Exited"), ["31s"]);
    assert_eq!(status.conditions.get(ConditionKind::DisruptionTarget), None);
}

#[test]
fn a_deadline_also_ends_a_pod_that_waits_for_its_image() {
    let mut bed = bed(FakeRuntime::new().with_image("app:1", Image::Missing));
    create(&mut bed, "web", PodSpec { active_deadline: Some(Span::from_secs(25)), ..spec(&["app"]) });
    bed.run_until(Time::from_secs(60));
    let status = pod(&bed, "web").status;
    assert_eq!((status.phase, &*status.reason), (Phase::Failed, "DeadlineExceeded"));
    assert_eq!(times(&bed, "web", "Ended"), ["25s"]);
}

#[test]
fn a_pod_with_a_readiness_gate_is_not_ready_though_its_containers_are() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", PodSpec { readiness_gates: vec!["example.com/traffic".into()], ..spec(&["app"]) });
    bed.run_until(Time::from_secs(5));
    let status = pod(&bed, "web").status;
    assert!(status.conditions.is_true(ConditionKind::ContainersReady));
    let ready = status.conditions.get(ConditionKind::Ready).unwrap();
    let message = "corresponding condition of pod readiness gate \"example.com/traffic\" does not exist.";
    assert_eq!((ready.status, &*ready.reason, &*ready.message), (Status3::False, "ReadinessGatesNotReady", message));
}

#[test]
fn parallel_pulls_have_a_limit_and_the_registry_one_of_its_own() {
    let kubelet = KubeletConfig {
        serialize_image_pulls: false,
        max_parallel_image_pulls: Some(2),
        registry_limit: Some(crate::config::RateLimit { per_second: 1, burst: 3 }),
        relist_period: Span::ZERO,
        ..KubeletConfig::default()
    };
    let mut runtime = FakeRuntime::new();
    for image in ["a:1", "b:1", "c:1", "d:1"] {
        runtime = runtime.with_image(image, Image::Remote(Span::from_millis(100)));
    }
    let mut bed = bed_with(Config { kubelet, ..Config::default() }, runtime);
    for name in ["a", "b", "c", "d"] {
        create(&mut bed, name, spec(&[name]));
    }
    bed.run_until(Time::from_millis(200));
    let pulling = |name: &str| times(&bed, name, "Pulling");
    assert_eq!([pulling("a"), pulling("b"), pulling("c")], [["0s"], ["0s"], ["0.1s"]], "two at a time");
    let ContainerState::Waiting { reason, message } = &pod(&bed, "d").status.containers[0].state else { panic!() };
    assert_eq!((&**reason, &**message), ("ErrImagePull", "pull QPS exceeded"), "three tokens, four pulls");
    bed.run_until(Time::from_secs(20));
    assert!(pod(&bed, "d").is_ready(), "it is pulled after its back-off");
}

#[test]
fn two_pods_do_not_get_the_same_port_of_their_node() {
    let mut bed = bed(FakeRuntime::new());
    let port = crate::model::ContainerPort {
        name: "".into(),
        port: 80,
        host_port: Some(8_080),
        host_ip: None,
        protocol: crate::model::Protocol::Tcp,
    };
    let with_port = || of(vec![Container { ports: vec![port.clone()], ..container("app") }]);
    create(&mut bed, "one", with_port());
    create(&mut bed, "two", with_port());
    bed.run_until(Time::from_secs(5));
    let status = pod(&bed, "two").status;
    assert_eq!((status.phase, &*status.reason), (Phase::Failed, "NodePorts"));
    assert!(status.message.ends_with("didn't have free ports for the requested pod ports"), "{}", status.message);
}

/// The events of a pod, without the time of the first and the scheduler's.
fn said(bed: &Testbed, name: &str) -> Vec<String> {
    let lines = bed.events(Kind::Pod, name);
    let rest = lines.iter().filter_map(|line| Some(line.split_once(' ')?.1.to_owned()));
    rest.filter(|line| !line.contains("Scheduled")).collect()
}

#[test]
fn what_kubectl_describe_shows_of_a_pod_is_said() {
    let mut bed = bed(FakeRuntime::new().with_exits("app", &[(Span::ZERO, 1)]));
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(30));
    let uid = pod(&bed, "web").meta.uid;
    let expected = [
        "Normal Pulled x3: Container image \"app:1\" already present on machine".to_owned(),
        "Normal Created x3: Created container: app".to_owned(),
        "Normal Started x3: Started container app".to_owned(),
        format!("Warning BackOff x3: Back-off restarting failed container app in pod web_default({uid})"),
    ];
    assert_eq!(said(&bed, "web"), expected);
}

#[test]
fn a_missing_image_and_a_refused_pod_are_warnings() {
    let mut bed = bed(FakeRuntime::new().with_image("app:1", Image::Missing));
    create(&mut bed, "web", spec(&["app"]));
    let requests = Resources { cpu_milli: 9_000, ..Resources::default() };
    create(&mut bed, "big", of(vec![Container { requests, ..container("app") }]));
    bed.run_until(Time::from_secs(5));
    let expected = [
        "Normal Pulling x1: Pulling image \"app:1\"",
        "Warning Failed x1: Failed to pull image \"app:1\": not found",
        "Warning Failed x1: Error: ErrImagePull",
        "Normal BackOff x1: Back-off pulling image \"app:1\"",
        "Warning Failed x1: Error: ImagePullBackOff",
    ];
    assert_eq!(said(&bed, "web"), expected);
    let refused =
        "Warning OutOfcpu x1: Node didn't have enough resource: cpu, requested: 9000, used: 0, capacity: 4000";
    assert_eq!(said(&bed, "big"), [refused]);
}
