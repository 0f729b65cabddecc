//! Stories of the kubelet, told by the facts and by what the API server has in the end.

use std::collections::BTreeMap;

use crate::api::{Propagation, Request};
use crate::config::{Config, Heartbeats, KubeletConfig};
use crate::digest::Shared;
use crate::id::{HostId, Name, ProcId};
use crate::kubelet::RuntimeEvent;
use crate::model::{
    ConditionKind, Container, ContainerState, IntOrName, Kind, Meta, Node, ObjectKey, Phase, Pod, PodSpec, Probe,
    ProbeAction, PullPolicy, Resources, RestartPolicy, Status3,
};
use crate::seam::{Input, Msg};
use crate::testbed::{FakeRuntime, Image, Testbed};
use crate::time::{Span, Time};

/// Runtime events are seen at once, so that times in the stories are round.
fn at_once() -> Config {
    Config { kubelet: KubeletConfig { relist_period: Span::ZERO, ..KubeletConfig::default() }, ..Config::default() }
}

fn bed_with(config: Config, runtime: FakeRuntime) -> Testbed {
    let mut bed = Testbed::new(config).with_runtime(runtime);
    bed.start_kubelet(0, "n1", 4_000, 1 << 32);
    bed
}

fn bed(runtime: FakeRuntime) -> Testbed {
    bed_with(at_once(), runtime)
}

fn container(name: &str) -> Container {
    Container { name: name.into(), image: format!("{name}:1").into(), ..Container::default() }
}

fn spec(names: &[&str]) -> PodSpec {
    PodSpec { containers: names.iter().map(|name| container(name)).collect(), ..PodSpec::default() }
}

fn create(bed: &mut Testbed, name: &str, spec: PodSpec) {
    let meta = Meta::named("default", name);
    bed.create(Pod { meta: meta.into(), spec: Shared::new(spec), node: Some("n1".into()), ..Pod::default() });
}

fn delete(bed: &mut Testbed, name: &str, grace: Option<Span>) {
    let key = ObjectKey::new(Kind::Pod, "default", name);
    bed.request(Request::Delete { key, uid: None, grace, propagation: Propagation::Background });
}

fn pod(bed: &Testbed, name: &str) -> Pod {
    Pod::clone(&bed.get::<Pod>("default", name).expect("the pod is there"))
}

/// The facts about one pod, without its name.
fn story(bed: &Testbed, name: &str) -> Vec<String> {
    let subject = format!(" pods/default/{name} ");
    let lines = bed.told().into_iter().filter(|line| line.contains(&subject));
    lines.map(|line| line.replace(&subject, " ")).collect()
}

/// The times of the facts with a reason.
fn times(bed: &Testbed, name: &str, reason: &str) -> Vec<String> {
    let marked = format!(" {reason}: ");
    let lines = story(bed, name).into_iter().filter(|line| line.contains(&marked));
    lines.filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
}

fn kubelet() -> ProcId {
    ProcId::kubelet(HostId(0))
}

fn probe() -> Probe {
    Probe {
        action: ProbeAction::TcpSocket { port: IntOrName::Int(80) },
        initial_delay: Span::ZERO,
        period: Span::from_secs(1),
        timeout: Span::from_secs(1),
        success_threshold: 1,
        failure_threshold: 1,
        termination_grace: None,
    }
}

mod hooks;
mod node;

#[test]
fn a_pod_lives_and_dies_step_by_step() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(10));
    assert!(pod(&bed, "web").is_ready());
    delete(&mut bed, "web", None);
    bed.run_until(Time::from_secs(20));
    let expected = [
        "0s Created: created",
        "0s Scheduled: bound to n1",
        "0s Pulled: image app:1 is on the node already",
        "0.5s Started: container app started",
        "0.5s Running: running",
        "1.5s Ready: ready",
        "10s DeletionRequested: deletion requested",
        "10s Killing: stopping container app",
        "11s Exited: container app exited with code 143",
        "11s Failed: failed",
        "11s Unready: not ready (PodFailed)",
        "11s Deleted: gone",
    ];
    assert_eq!(story(&bed, "web"), expected);
    let runtime = bed.runtime.as_ref().unwrap();
    assert_eq!((runtime.running(), runtime.sandboxes()), (0, 0));
    assert_eq!(bed.core.kubelets().pod_count(HostId(0)), Some(0), "nothing of the pod is kept");
}

#[test]
fn a_pod_is_reported_when_it_is_taken_on_and_then_when_a_container_runs() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_millis(400));
    let sandbox = |pod: &Pod| pod.status.conditions.is_true(ConditionKind::PodReadyToStartContainers);
    let first = pod(&bed, "web");
    assert_eq!((first.status.phase, sandbox(&first), &first.status.pod_ip), (Phase::Pending, false, &None));
    assert_eq!(bed.runtime.as_ref().unwrap().sandboxes(), 1, "the sandbox is there, but that is not said yet");
    let before = bed.core.revision();
    bed.run_until(Time::from_millis(600));
    let second = pod(&bed, "web");
    assert_eq!((second.status.phase, sandbox(&second)), (Phase::Running, true));
    assert!(second.status.pod_ip.is_some());
    assert_eq!(bed.core.revision().0 - before.0, 1, "one report says both");
}

#[test]
fn the_status_tells_what_a_pod_waits_for() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "web", spec(&["app", "side"]));
    bed.run_for(Span::from_millis(600));
    let early = pod(&bed, "web").status;
    let message = |status: &crate::model::PodStatus, kind| {
        let condition = status.conditions.get(kind).expect("the condition is set");
        format!("{:?} {} {}", condition.status, condition.reason, condition.message)
    };
    assert_eq!(early.phase, Phase::Pending);
    let unready = "False ContainersNotReady containers with unready status: [app side]";
    assert_eq!(message(&early, ConditionKind::ContainersReady), unready);
    assert_eq!(message(&early, ConditionKind::PodReadyToStartContainers), "True  ");
    assert_eq!(message(&early, ConditionKind::Initialized), "True  ");
    let waiting = ContainerState::Waiting { reason: "ContainerCreating".into(), message: "".into() };
    assert_eq!(early.containers[1].state, waiting);
    bed.run_until(Time::from_millis(1_600));
    let half = pod(&bed, "web").status;
    assert_eq!(half.phase, Phase::Running);
    let unready = "False ContainersNotReady containers with unready status: [side]";
    assert_eq!(message(&half, ConditionKind::Ready), unready);
    bed.run_until(Time::from_secs(3));
    assert!(pod(&bed, "web").is_ready());
}

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
    bed.run_for(Span::ZERO);
    assert_eq!(state(&bed), "ErrImagePull: not found");
    bed.run_until(Time::from_secs(5));
    assert_eq!(state(&bed), "ImagePullBackOff: Back-off pulling image \"app:1\": ErrImagePull: not found");
    bed.run_until(Time::from_secs(100));
    assert_eq!(times(&bed, "web", "Pulling"), ["0s", "10s", "30s", "70s"]);
    assert_eq!(pod(&bed, "web").status.phase, Phase::Pending);
    bed.runtime.as_mut().unwrap().images.clear();
    bed.run_until(Time::from_secs(160));
    assert_eq!(times(&bed, "web", "Started"), ["150.5s"]);
}

#[test]
fn pulls_stand_in_line_but_a_present_image_does_not_wait_for_them() {
    let minute = Image::Remote(Span::from_secs(60));
    let mut bed = bed(FakeRuntime::new().with_image("big:1", minute).with_image("huge:1", minute));
    create(&mut bed, "one", spec(&["big"]));
    create(&mut bed, "two", spec(&["huge"]));
    create(&mut bed, "three", spec(&["app"]));
    bed.run_until(Time::from_secs(200));
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
    let ready = pod(&bed, "done").status.conditions.get(ConditionKind::Ready).cloned().unwrap();
    assert_eq!((ready.status, &*ready.reason), (Status3::False, "PodCompleted"));
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
    bed.run_until(Time::from_secs(90));
    assert_eq!(times(&bed, "hurried", "Deleted"), ["67s"], "a shorter grace brings the end nearer");
}

#[test]
fn a_pod_removed_by_force_still_gets_its_grace_on_the_node() {
    let mut bed = bed(FakeRuntime { stop: Span::from_secs(3), ..FakeRuntime::new() });
    create(&mut bed, "web", spec(&["app"]));
    bed.run_until(Time::from_secs(10));
    delete(&mut bed, "web", Some(Span::ZERO));
    bed.run_until(Time::from_secs(12));
    assert!(bed.get::<Pod>("default", "web").is_none());
    assert_eq!(bed.runtime.as_ref().unwrap().running(), 1);
    bed.run_until(Time::from_secs(13));
    assert_eq!(bed.runtime.as_ref().unwrap().sandboxes(), 0);
    assert_eq!(bed.core.kubelets().pod_count(HostId(0)), Some(0));
}

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
fn a_full_node_refuses_a_pod_that_was_bound_to_it_anyway() {
    let mut bed = bed(FakeRuntime::new());
    let with_cpu = |cpu_milli| {
        let requests = Resources { cpu_milli, ..Resources::default() };
        PodSpec { containers: vec![Container { requests, ..container("app") }], ..PodSpec::default() }
    };
    create(&mut bed, "big", with_cpu(3_000));
    create(&mut bed, "late", with_cpu(2_000));
    bed.run_until(Time::from_secs(5));
    let late = pod(&bed, "late").status;
    assert_eq!((late.phase, &*late.reason), (Phase::Failed, "OutOfcpu"));
    assert!(late.message.ends_with("cpu, requested: 2000, used: 3000, capacity: 4000"), "{}", late.message);
    delete(&mut bed, "big", None);
    bed.run_until(Time::from_secs(10));
    create(&mut bed, "next", with_cpu(4_000));
    bed.run_until(Time::from_secs(15));
    assert!(pod(&bed, "next").is_ready(), "what an ended pod took is free again");
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
fn a_node_is_registered_with_the_conditions_of_a_healthy_kubelet() {
    let mut bed = bed(FakeRuntime::new());
    let node = bed.get::<Node>("", "n1").unwrap();
    let told: Vec<String> = node
        .status
        .conditions
        .iter()
        .map(|it| format!("{:?}={:?} {}: {}", it.kind, it.status, it.reason, it.message))
        .collect();
    let expected = [
        "Ready=True KubeletReady: kubelet is posting ready status",
        "MemoryPressure=False KubeletHasSufficientMemory: kubelet has sufficient memory available",
        "DiskPressure=False KubeletHasNoDiskPressure: kubelet has no disk pressure",
        "PidPressure=False KubeletHasSufficientPID: kubelet has sufficient PID available",
    ];
    assert_eq!(told, expected);
    bed.request(Request::Patch {
        key: ObjectKey::new(Kind::Node, "", "n1"),
        patch: crate::api::Patch::Unschedulable(true),
    });
    bed.input(Input::Crashed(kubelet()));
    bed.run_for(Span::from_secs(1));
    bed.input(Input::Started(kubelet()));
    bed.run_for(Span::from_secs(1));
    let node = bed.get::<Node>("", "n1").unwrap();
    assert!(node.spec.unschedulable, "a kubelet that restarts does not uncordon its node");
}

/// When the API server got renewals, as far as its newest shows, looking every 100 ms.
fn renewals_seen(bed: &mut Testbed, until: Time) -> Vec<Time> {
    let mut seen = Vec::new();
    while bed.now() < until {
        bed.run_for(Span::from_millis(100));
        let newest = bed.core.api().leases().renewed_at(&"n1".into());
        if newest.is_some() && seen.last() != newest.as_ref() {
            seen.extend(newest);
        }
    }
    seen
}

#[test]
fn renewals_are_those_that_the_world_computes_and_go_on_after_a_pause() {
    let config = Config { heartbeats: Heartbeats::Analytic, ..at_once() };
    let mut bed = bed_with(config, FakeRuntime::new());
    let clock = bed.core.kubelets().lease_clock(HostId(0)).unwrap();
    assert_eq!(renewals_seen(&mut bed, Time::from_secs(100)), [], "the world vouches for them");
    let body = Msg::Heartbeats { exact: true };
    bed.input(Input::Message { from: ProcId::WORLD, to: kubelet(), body });
    let seen = renewals_seen(&mut bed, Time::from_secs(200));
    let all = clock.renewals(bed.core.config());
    let expected: Vec<Time> =
        all.skip_while(|at| *at < Time::from_secs(100)).take_while(|at| *at <= Time::from_secs(200)).collect();
    assert!(expected.len() >= 9);
    assert_eq!(seen, expected);
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
