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

mod actions;
mod configs;
mod contact;
mod containers;
mod hooks;
mod node;
mod node_admission;
mod node_events;
mod phase;
mod pod_events;
mod pull_secrets;
mod pulls;
mod ranking;
mod repeating;
mod replacing;
mod room;
mod services;
mod shortage;
mod static_pods;
mod statuses;

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
fn a_pod_that_has_ended_gives_back_one_place_and_not_two() {
    let mut bed = bed(FakeRuntime::new());
    create(&mut bed, "former", spec(&["app"]));
    bed.run_until(Time::from_secs(5));
    delete(&mut bed, "former", None);
    bed.run_until(Time::from_secs(10));
    let names: Vec<String> = (0..111).map(|number| format!("p{number}")).collect();
    names.iter().for_each(|name| create(&mut bed, name, spec(&["app"])));
    bed.run_until(Time::from_secs(30));
    let refused: Vec<&String> = names.iter().filter(|name| pod(&bed, name).status.phase == Phase::Failed).collect();
    assert_eq!(refused, ["p110"], "the node has room for 110");
    assert!(pod(&bed, "p110").status.message.ends_with("pods, requested: 1, used: 110, capacity: 110"));
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
