//! Static pods: they run without the API server, whose image of them their kubelet keeps.

use std::sync::Arc;

use super::*;
use crate::model::{CONFIG_HASH, CONFIG_MIRROR, CONFIG_SOURCE, Namespace, NodeSpec, Taint, TaintEffect};

fn manifest(name: &str, spec: PodSpec) -> Arc<Pod> {
    Arc::new(Pod { meta: Meta::named("default", name).into(), spec: Shared::new(spec), ..Pod::default() })
}

fn bed_of(manifests: Vec<Arc<Pod>>) -> Testbed {
    let mut bed = Testbed::new(at_once()).with_runtime(FakeRuntime::new());
    bed.static_pods = manifests;
    bed.start_kubelet(0, "n1", 4_000, 1 << 32);
    bed
}

fn etcd() -> Arc<Pod> {
    manifest("etcd", PodSpec { priority_class: "system-node-critical".into(), ..spec(&["etcd"]) })
}

fn no_execute() -> Taint {
    Taint { key: "k".into(), value: "".into(), effect: TaintEffect::NoExecute, added_at: None }
}

/// How often the world was asked to start a container.
fn starts(bed: &Testbed) -> usize {
    bed.told().iter().filter(|line| line.contains(" Started: ")).count()
}

#[test]
fn a_static_pod_runs_and_its_mirror_shows_it() {
    let mut bed = bed_of(vec![etcd()]);
    bed.run_until(Time::from_secs(10));
    let mirror = pod(&bed, "etcd-n1");
    assert!(mirror.is_ready(), "{:#?}", bed.told());
    assert_eq!((mirror.status.phase, mirror.node.as_deref()), (Phase::Running, Some("n1")));
    assert_eq!(mirror.spec.priority, 2_000_001_000, "admission knows the class of nodes' own pods");
    let annotation = |key: &str| mirror.meta.annotations.get(key).map(ToString::to_string).unwrap_or_default();
    assert_eq!(annotation(CONFIG_SOURCE), "file");
    assert_eq!(annotation(CONFIG_HASH).len(), 32);
    assert_eq!(annotation(CONFIG_MIRROR), annotation(CONFIG_HASH));
    assert_ne!(
        format!("{:032x}", mirror.meta.uid.bits()),
        annotation(CONFIG_HASH),
        "the mirror has an identity of its own"
    );
    let owner = mirror.meta.controller().expect("the node owns it");
    let node = bed.get::<Node>("", "n1").unwrap();
    assert_eq!((owner.kind, owner.uid), (Kind::Node, node.meta.uid));
    assert!(mirror.spec.tolerations.iter().any(|it| it.tolerates(&no_execute()) && it.seconds.is_none()));
}

#[test]
fn a_deleted_mirror_is_made_again_and_the_pod_runs_on() {
    for grace in [None, Some(Span::ZERO)] {
        let mut bed = bed_of(vec![etcd()]);
        bed.run_until(Time::from_secs(10));
        let before = pod(&bed, "etcd-n1").meta.uid;
        delete(&mut bed, "etcd-n1", grace);
        bed.run_until(Time::from_secs(11));
        let again = pod(&bed, "etcd-n1");
        assert_ne!(again.meta.uid, before, "grace {grace:?}");
        assert!(again.is_ready() && !again.meta.is_terminating(), "grace {grace:?}: {:#?}", bed.told());
        assert_eq!((starts(&bed), again.status.containers[0].restarts), (1, 0), "nothing was stopped");
    }
}

#[test]
fn a_static_pod_needs_no_api_server() {
    let mut bed = Testbed::new(at_once()).with_runtime(FakeRuntime::new());
    bed.static_pods = vec![etcd()];
    bed.set_cut(0, true);
    bed.start_kubelet(0, "n1", 4_000, 1 << 32);
    bed.run_until(Time::from_secs(30));
    assert_eq!(starts(&bed), 1, "{:#?}", bed.told());
    assert_eq!(bed.get::<Pod>("default", "etcd-n1"), None);
    bed.set_cut(0, false);
    bed.run_until(Time::from_secs(90));
    assert!(pod(&bed, "etcd-n1").is_ready(), "{:#?}", bed.told());
    assert_eq!(starts(&bed), 1);
}

#[test]
fn a_kubelet_that_restarts_takes_its_static_pod_over() {
    let mut bed = bed_of(vec![etcd()]);
    bed.run_until(Time::from_secs(10));
    let before = pod(&bed, "etcd-n1").meta.uid;
    bed.input(Input::Crashed(kubelet()));
    bed.run_until(Time::from_secs(15));
    bed.input(Input::Started(kubelet()));
    bed.run_until(Time::from_secs(30));
    let after = pod(&bed, "etcd-n1");
    assert_eq!((after.meta.uid, starts(&bed)), (before, 1), "{:#?}", bed.told());
    assert!(after.is_ready());
}

#[test]
fn a_mirror_of_no_file_is_taken_away() {
    let mut bed = bed_of(vec![etcd()]);
    bed.run_until(Time::from_secs(5));
    let mut meta = Meta::named("default", "old-n1");
    meta.annotations = crate::model::Labels::new([(CONFIG_MIRROR, "0123")]);
    bed.create(Pod { meta: meta.into(), spec: Shared::new(spec(&["app"])), node: Some("n1".into()), ..Pod::default() });
    bed.run_until(Time::from_secs(6));
    assert_eq!(bed.get::<Pod>("default", "old-n1"), None);
    assert_eq!(starts(&bed), 1, "it never ran");
}

#[test]
fn a_node_may_be_registered_before_the_runtime_has_said_what_runs() {
    let slow = FakeRuntime { list: Span::from_secs(3), ..FakeRuntime::new() };
    let mut bed = Testbed::new(at_once()).with_runtime(slow);
    bed.static_pods = vec![etcd()];
    bed.start_kubelet(0, "n1", 4_000, 1 << 32);
    bed.run_until(Time::from_secs(2));
    assert!(bed.get::<Node>("", "n1").is_some());
    assert_eq!(starts(&bed), 0, "{:#?}", bed.told());
    bed.run_until(Time::from_secs(10));
    assert!(pod(&bed, "etcd-n1").is_ready(), "{:#?}", bed.told());
}

#[test]
fn a_mirror_that_could_not_be_made_is_tried_again_when_its_pod_changes() {
    let mut elsewhere = Pod::clone(&etcd());
    elsewhere.meta.namespace = "ops".into();
    let mut bed = bed_of(vec![Arc::new(elsewhere)]);
    bed.run_until(Time::ZERO + Span::from_millis(100));
    bed.create(Namespace::named("ops"));
    bed.run_until(Time::from_secs(5));
    assert!(bed.get::<Pod>("ops", "etcd-n1").is_some_and(|pod| pod.is_ready()), "{:#?}", bed.told());
}

#[test]
fn a_mirror_that_cannot_be_made_is_tried_every_minute() {
    let mut elsewhere = Pod::clone(&etcd());
    elsewhere.meta.namespace = "ops".into();
    let mut bed = bed_of(vec![Arc::new(elsewhere)]);
    bed.run_until(Time::from_secs(20));
    assert_eq!(starts(&bed), 1, "it runs without");
    bed.create(Namespace::named("ops"));
    bed.run_until(Time::from_secs(55));
    assert_eq!(bed.get::<Pod>("ops", "etcd-n1"), None);
    bed.run_until(Time::from_secs(65));
    assert!(bed.get::<Pod>("ops", "etcd-n1").is_some_and(|pod| pod.is_ready()), "{:#?}", bed.told());
}

#[test]
fn neither_a_taint_nor_the_loss_of_its_container_ends_a_static_pod() {
    let mut bed = bed_of(vec![etcd()]);
    bed.run_until(Time::from_secs(10));
    let node = Node::clone(&bed.get::<Node>("", "n1").unwrap());
    let spec = NodeSpec { taints: vec![no_execute()], ..node.spec.clone() };
    bed.request(Request::Update {
        object: crate::model::Object::Node(Arc::new(Node { spec, ..node })),
        expected: None,
    });
    bed.run_until(Time::from_secs(20));
    assert!(!pod(&bed, "etcd-n1").meta.is_terminating());
    assert!(pod(&bed, "etcd-n1").is_ready());
}

#[test]
fn a_static_pod_is_not_evicted_whatever_it_uses_and_whatever_its_priority() {
    use crate::kubelet::{ContainerIndex, ContainerUsage, NodeUsage, PodUsage, Supply};
    let mut bed = bed_of(vec![etcd()]);
    create(&mut bed, "modest", spec(&["app"]));
    bed.run_until(Time::from_secs(20));
    let uses = |uid, mib: i64| {
        let container = ContainerIndex::Main(0);
        let usage =
            ContainerUsage { container, memory_bytes: mib << 20, disk_bytes: 0, volume: "".into(), processes: 1 };
        PodUsage { pod: uid, containers: vec![usage] }
    };
    let running: Vec<_> = bed.runtime.as_ref().unwrap().pods.keys().copied().collect();
    let modest = pod(&bed, "modest").meta.uid;
    let pods = running.iter().map(|uid| uses(*uid, if *uid == modest { 10 } else { 2_000 })).collect();
    let memory = Supply { capacity: 4 << 30, available: 50 << 20 };
    bed.runtime.as_mut().unwrap().usage = NodeUsage { memory, pods, ..NodeUsage::default() };
    let (from, body) = (ProcId::runtime(HostId(0)), Msg::RuntimeEvent(RuntimeEvent::UsageLow));
    bed.input(Input::Message { from, to: kubelet(), body });
    bed.run_until(Time::from_secs(60));
    assert_eq!(&*pod(&bed, "modest").status.reason, "Evicted", "the only one that may go");
    assert_eq!(bed.runtime.as_ref().unwrap().running(), 1, "the static pod runs on");
}

#[test]
fn a_static_pod_that_has_ended_stays_so_when_its_kubelet_restarts() {
    let ends = |policy, name: &str, code| {
        let spec = PodSpec { restart_policy: policy, ..spec(&[name]) };
        (manifest(name, spec), name.to_owned(), code)
    };
    let all = [
        ends(RestartPolicy::Never, "done", 0),
        ends(RestartPolicy::Never, "broken", 3),
        ends(RestartPolicy::OnFailure, "mended", 0),
    ];
    let runtime = all
        .iter()
        .fold(FakeRuntime::new(), |runtime, (_, name, code)| runtime.with_exits(name, &[(Span::from_secs(3), *code)]));
    let mut bed = Testbed::new(at_once()).with_runtime(runtime);
    bed.static_pods = all.iter().map(|(pod, ..)| pod.clone()).collect();
    bed.start_kubelet(0, "n1", 4_000, 1 << 32);
    let phases = |bed: &Testbed| ["done-n1", "broken-n1", "mended-n1"].map(|name| pod(bed, name).status.phase);
    let ended = [Phase::Succeeded, Phase::Failed, Phase::Succeeded];
    bed.run_until(Time::from_secs(20));
    assert_eq!((phases(&bed), starts(&bed)), (ended, 3), "{:#?}", bed.told());
    bed.input(Input::Crashed(kubelet()));
    bed.run_until(Time::from_secs(25));
    bed.input(Input::Started(kubelet()));
    bed.run_until(Time::from_secs(60));
    assert_eq!((phases(&bed), starts(&bed)), (ended, 3), "{:#?}", bed.told());
}

#[test]
fn a_static_pod_that_ends_while_its_kubelet_is_down_has_ended_or_is_started_again_as_its_policy_says() {
    let of = |policy, name: &str| manifest(name, PodSpec { restart_policy: policy, ..spec(&[name]) });
    let runtime = FakeRuntime::new()
        .with_exits("done", &[(Span::from_secs(15), 0)])
        .with_exits("broken", &[(Span::from_secs(15), 3)])
        .with_exits("again", &[(Span::from_secs(15), 3), (Span::from_secs(1_000), 0)]);
    let mut bed = Testbed::new(at_once()).with_runtime(runtime);
    bed.static_pods = vec![
        of(RestartPolicy::OnFailure, "done"),
        of(RestartPolicy::Never, "broken"),
        of(RestartPolicy::OnFailure, "again"),
    ];
    bed.start_kubelet(0, "n1", 4_000, 1 << 32);
    bed.run_until(Time::from_secs(10));
    bed.input(Input::Crashed(kubelet()));
    bed.run_until(Time::from_secs(25));
    bed.input(Input::Started(kubelet()));
    bed.run_until(Time::from_secs(60));
    let phases = ["done-n1", "broken-n1", "again-n1"].map(|name| pod(&bed, name).status.phase);
    assert_eq!(phases, [Phase::Succeeded, Phase::Failed, Phase::Running], "{:#?}", bed.told());
    assert_eq!((starts(&bed), pod(&bed, "again-n1").status.containers[0].restarts), (4, 1));
}
