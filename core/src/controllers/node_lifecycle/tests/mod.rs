//! Stories of nodes that fall silent, come back, and take their zones with them.

mod conditions;
mod disruption;

use std::sync::Arc;

use proptest::prelude::*;

use crate::api::{Patch, Propagation, Request};
use crate::config::{Config, Heartbeats};
use crate::digest::Shared;
use crate::id::ProcId;
use crate::model::{
    ConditionKind, Container, Kind, Meta, Node, Object, ObjectKey, Pod, PodSpec, Status3, TaintEffect, Toleration,
    TolerationOperator,
};
use crate::seam::{Input, Msg};
use crate::testbed::Testbed;
use crate::time::{Span, Time};

fn config() -> Config {
    let mut config = Config::default();
    config.controller_manager.client_limit = None;
    config
}

/// Testbed with nodes `n0`, `n1` … in the zones given, all renewing.
fn cluster(zones: &[&str]) -> Testbed {
    let mut bed = Testbed::new(config());
    for (host, zone) in zones.iter().enumerate() {
        bed.add_node(host as u32, &format!("n{host}"), zone, 4_000, 1 << 30);
    }
    bed
}

fn add_pod(bed: &mut Testbed, name: &str, node: &str, seconds: Option<i64>) {
    let tolerations = seconds.map(|seconds| Toleration {
        key: "node.kubernetes.io/unreachable".into(),
        operator: TolerationOperator::Exists,
        value: "".into(),
        effect: None,
        seconds: Some(seconds),
    });
    let spec = PodSpec {
        containers: vec![Container { name: "app".into(), ..Container::default() }],
        tolerations: tolerations.into_iter().collect(),
        ..PodSpec::default()
    };
    let meta = Meta::named("default", name);
    bed.create(Pod { meta: meta.into(), spec: Shared::new(spec), node: Some(node.into()), ..Pod::default() });
}

/// The times at which a fact about a subject was told, by the beginning of its line after the time.
fn times(bed: &Testbed, beginning: &str) -> Vec<Time> {
    let told =
        bed.facts.iter().map(|(at, fact)| (*at, format!("{} {}: {}", fact.subject, fact.what.reason(), fact.what)));
    told.filter(|(_, line)| line.starts_with(beginning)).map(|(at, _)| at).collect()
}

fn secs(seconds: u64) -> Time {
    Time::from_secs(seconds)
}

const UNREACHABLE: &str = "Tainted: taint node.kubernetes.io/unreachable:NoExecute";
const UNREACHABLE_NO_SCHEDULE: &str = "Tainted: taint node.kubernetes.io/unreachable:NoSchedule";

#[test]
fn a_dead_node_is_unknown_fifty_seconds_after_the_pass_that_saw_its_last_renewal() {
    let mut bed = cluster(&["a", "a", "a"]);
    add_pod(&mut bed, "p", "n0", None);
    add_pod(&mut bed, "quick", "n0", Some(10));
    bed.run_until(Time::from_millis(103_000));
    bed.silence(0);
    bed.run_until(secs(500));
    // Renewals come at 0, 10, … 100 s; the pass at 100 s sees the last one (or that at 105 s if it comes first).
    let fell = times(&bed, "nodes/n0 NodeNotReady");
    assert!(fell == [secs(150)] || fell == [secs(155)], "{fell:?}: {:#?}", bed.told());
    let fell = fell[0];
    assert_eq!(times(&bed, "pods/default/p Unready"), [fell], "in the same pass");
    assert_eq!(times(&bed, &format!("nodes/n0 {UNREACHABLE_NO_SCHEDULE}")), [fell], "at once");
    let tainted = times(&bed, &format!("nodes/n0 {UNREACHABLE}"));
    assert_eq!(tainted, [fell + Span::from_millis(100)], "by the next look at the queue");
    assert_eq!(times(&bed, "pods/default/quick TaintManagerEviction"), [tainted[0] + Span::from_secs(10)]);
    assert_eq!(times(&bed, "pods/default/p TaintManagerEviction"), [tainted[0] + Span::from_secs(300)]);
    let node = bed.get::<Node>("", "n0").unwrap();
    for kind in [ConditionKind::Ready, ConditionKind::MemoryPressure, ConditionKind::PidPressure] {
        assert_eq!(node.status.conditions.get(kind).map(|condition| condition.status), Some(Status3::Unknown));
    }
    let ready = node.status.conditions.get(ConditionKind::Ready).unwrap();
    assert_eq!((&*ready.reason, &*ready.message), ("NodeStatusUnknown", "Kubelet stopped posting node status."));
    let pod = bed.get::<Pod>("default", "p").unwrap();
    assert!(pod.meta.is_terminating() && !pod.is_ready());
    assert!(pod.status.conditions.is_true(ConditionKind::ContainersReady), "only Ready changes");
    let why = pod.status.conditions.get(ConditionKind::DisruptionTarget).unwrap();
    assert_eq!(&*why.reason, "DeletionByTaintManager");
}

#[test]
fn from_kill_to_not_ready_it_takes_forty_to_fifty_five_seconds_whatever_the_phases() {
    for phase in 0..40_u64 {
        let mut bed = cluster(&["a", "a"]);
        bed.silence(0);
        let last = Time::from_millis(100_001 + phase * 259);
        for renewal in 0..=9 {
            bed.renew_at(Time(last.0 - (9 - renewal) * 10_000_000_000), 0, "n0", renewal);
        }
        let kill = last + Span::from_millis(phase * 260);
        bed.run_until(secs(200));
        let fell = times(&bed, "nodes/n0 NodeNotReady");
        assert_eq!(fell.len(), 1, "{:#?}", bed.told());
        let took = (fell[0] - kill).as_millis();
        assert!((39_800..=55_100).contains(&took), "phase {phase}: {took} ms");
        // Exactly: 50 s after the first pass at or after the renewal.
        let seen = last.0.div_ceil(5_000_000_000) * 5_000_000_000;
        assert_eq!(fell[0], Time(seen) + Span::from_secs(50), "passes are on the grid of 5 s");
    }
}

#[test]
fn a_node_that_returns_loses_no_schedule_at_once_and_no_execute_at_the_next_pass() {
    let mut bed = cluster(&["a", "a", "a"]);
    add_pod(&mut bed, "p", "n0", None);
    bed.run_until(secs(20));
    bed.silence(0);
    bed.run_until(secs(102));
    bed.wake(0, "n0");
    bed.run_until(secs(600));
    let gone =
        |effect: &str| times(&bed, &format!("nodes/n0 Untainted: taint node.kubernetes.io/unreachable:{effect}"));
    assert_eq!(gone("NoSchedule"), [secs(102)]);
    assert_eq!(gone("NoExecute"), [secs(105)]);
    assert_eq!(times(&bed, "pods/default/p TaintManagerEviction"), [], "its deletion is cancelled");
}

#[test]
fn not_ready_and_unreachable_are_exchanged_without_waiting_for_a_token() {
    let mut bed = cluster(&["a", "a", "a"]);
    add_pod(&mut bed, "p", "n0", None);
    bed.run_until(secs(21));
    bed.set_node_condition("n0", ConditionKind::Ready, Status3::False, "KubeletNotReady");
    bed.run_until(secs(30));
    // A new node has the taint until the controller has seen it.
    let kept_off = times(&bed, "nodes/n0 Tainted: taint node.kubernetes.io/not-ready:NoSchedule");
    assert_eq!(kept_off, [Time::ZERO, secs(21)]);
    let not_ready = times(&bed, "nodes/n0 Tainted: taint node.kubernetes.io/not-ready:NoExecute");
    assert_eq!(not_ready, [Time::from_millis(25_100)], "at the next pass: {:#?}", bed.told());
    // Another node of the zone falls silent with it and uses the token up; the exchange does not need one.
    bed.silence(0);
    bed.silence(1);
    bed.run_until(secs(400));
    let fell = times(&bed, &format!("nodes/n0 {UNREACHABLE_NO_SCHEDULE}"));
    assert_eq!(times(&bed, &format!("nodes/n1 {UNREACHABLE}")), [fell[0] + Span::from_millis(100)]);
    let exchanged = times(&bed, &format!("nodes/n0 {UNREACHABLE}"));
    // The NoSchedule taints are written in the same moment; whoever meets a conflict waits 100 to 200 ms.
    assert!(exchanged[0] - fell[0] <= Span::from_millis(200), "{exchanged:?}: {:#?}", bed.told());
    assert_eq!(times(&bed, "nodes/n0 Untainted: taint node.kubernetes.io/not-ready:NoExecute"), exchanged);
    let evicted = times(&bed, "pods/default/p TaintManagerEviction");
    assert_eq!(evicted, [not_ready[0] + Span::from_secs(300)], "the time runs from the first taint");
}

#[test]
fn a_node_that_never_said_anything_gets_sixty_seconds() {
    let mut bed = cluster(&["a", "a"]);
    bed.run_until(secs(12));
    bed.create(Node { meta: Meta::named("", "mute"), ..Node::default() });
    bed.run_until(secs(200));
    let node = bed.get::<Node>("", "mute").unwrap();
    let ready = node.status.conditions.get(ConditionKind::Ready).unwrap();
    assert_eq!((&*ready.reason, &*ready.message), ("NodeStatusNeverUpdated", "Kubelet never posted node status."));
    assert_eq!(ready.changed_at, secs(75), "created at 12 s: 72 s are over at 75 s");
}

#[test]
fn a_cordoned_node_and_one_under_pressure_are_tainted_at_once() {
    let mut bed = cluster(&["a"]);
    bed.run_until(secs(7));
    let key = ObjectKey::new(Kind::Node, "", "n0");
    bed.request(Request::Patch { key, patch: Patch::Unschedulable(true) });
    bed.set_node_condition("n0", ConditionKind::DiskPressure, Status3::True, "KubeletHasDiskPressure");
    bed.run_until(secs(8));
    for key in ["unschedulable", "disk-pressure"] {
        let tainted = times(&bed, &format!("nodes/n0 Tainted: taint node.kubernetes.io/{key}:NoSchedule"));
        assert_eq!(tainted, [secs(7)], "{key}: {:#?}", bed.told());
    }
}

#[test]
fn a_pod_that_says_it_is_ready_is_marked_when_it_is_bound_to_a_silent_node() {
    let mut bed = cluster(&["a", "a", "a"]);
    bed.run_until(secs(20));
    bed.silence(0);
    bed.run_until(secs(100));
    for (name, node) in [("p", "n0"), ("q", "n1")] {
        let containers = vec![Container { name: "app".into(), ..Container::default() }];
        let spec = PodSpec { containers, scheduler_name: "nobody".into(), ..PodSpec::default() };
        bed.create(Pod { meta: Meta::named("default", name).into(), spec: Shared::new(spec), ..Pod::default() });
        let mut pod = Pod::clone(&bed.get::<Pod>("default", name).unwrap());
        pod.status.conditions.set(ConditionKind::Ready, Status3::True, "", "", secs(100));
        let uid = pod.meta.uid;
        bed.request(Request::UpdateStatus { object: Object::Pod(Arc::new(pod)), expected: None });
        bed.request(Request::Bind { namespace: "default".into(), name: name.into(), uid, node: node.into() });
        bed.run_for(Span::ZERO);
    }
    assert_eq!(times(&bed, "pods/default/p Unready"), [secs(100)], "{:#?}", bed.told());
    assert_eq!(times(&bed, "pods/default/q Unready"), [], "on a node in order nothing happens");
}

#[test]
fn a_vouched_for_cluster_that_is_in_order_costs_one_timer_per_pass() {
    let mut bed = cluster(&["a", "a", "b", "b"]);
    for host in 0..4 {
        bed.silence(host);
        let (node, delivered) = (format!("n{host}").into(), Vec::new());
        let body = Msg::Vouch { node, vouched: true, delivered };
        bed.input(Input::Message { from: ProcId::WORLD, to: ProcId::CONTROLLER_MANAGER, body });
    }
    bed.run_until(secs(101));
    let before = bed.core.steps();
    bed.run_until(secs(3_701));
    assert_eq!(bed.core.steps() - before, 3_600 / 5 + 3_600 / 20, "passes of the monitor and of the pod collector");
}

/// One node's two lives, in nanoseconds: it renews from `phase` every `gap` until it dies; if it returns, it says so
/// and renews until it dies again.
#[derive(Clone, Debug)]
struct Life {
    phase: u64,
    gap: u64,
    dies: u64,
    /// When it returns, for how long each renewal is delivered then, and how long it lives.
    returns: Option<(u64, u64, u64)>,
    /// How long before its death its kubelet says something about its condition: a pass may see that report and a
    /// renewal together, one after the other, or the report alone.
    reports: Option<u64>,
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let life = (1..9_999_999_999_u64, 10_000_000_000..10_400_000_000_u64, 30_000_000_001..400_000_000_000_u64);
    let again = (400_000_000_001..480_000_000_000_u64, 1..90_000_000_000_u64, 1..200_000_000_000_u64);
    let more = (proptest::option::of(again), proptest::option::of(0..29_000_000_001_u64));
    let all =
        (life, more).prop_map(|((phase, gap, dies), (returns, reports))| Life { phase, gap, dies, returns, reports });
    proptest::collection::vec(all, 2..7)
}

fn vouch(bed: &mut Testbed, at: u64, node: &str, vouched: bool, renewals: &[u64]) {
    let delivered = renewals[renewals.len().saturating_sub(4)..].iter().map(|at| Time(*at)).collect();
    let body = Msg::Vouch { node: node.into(), vouched, delivered };
    bed.input_at(Time(at), Input::Message { from: ProcId::WORLD, to: ProcId::CONTROLLER_MANAGER, body });
}

/// The facts and the end of a run in which each renewal is delivered, or vouched for while a node lives.
///
/// The client keeps to its rate limit, so that marking the pods makes passes long and the ones after slide.
fn run(lives: &[Life], heartbeats: Heartbeats) -> (Vec<String>, crate::digest::Digest) {
    let mut bed = Testbed::new(Config { heartbeats, ..Config::default() });
    let analytic = heartbeats == Heartbeats::Analytic;
    let mut reports: Vec<(u64, u32, Status3)> = Vec::new();
    for (host, life) in lives.iter().enumerate() {
        let (host, name) = (host as u32, format!("n{host}"));
        bed.add_node(host, &name, if host % 2 == 0 { "a" } else { "b" }, 4_000, 1 << 30);
        (0..12).for_each(|pod| add_pod(&mut bed, &format!("p{host}-{pod}"), &name, None));
        let renewals =
            |from: u64, to: u64| -> Vec<u64> { (0..).map(|k| from + k * life.gap).take_while(|at| *at < to).collect() };
        let first = renewals(life.phase, life.dies);
        if analytic {
            vouch(&mut bed, 0, &name, true, &[]);
            vouch(&mut bed, life.dies, &name, false, &first);
        } else {
            first.iter().for_each(|at| bed.renew_at(Time(*at), host, &name, 0));
        }
        if let Some((returns, exact, lives_for)) = life.returns {
            let dies = returns + exact + lives_for;
            let second = renewals(returns + 1, dies);
            let delivered = second.iter().filter(|at| !analytic || **at < returns + exact);
            delivered.for_each(|at| bed.renew_at(Time(*at), host, &name, 0));
            if analytic {
                vouch(&mut bed, returns + exact, &name, true, &[]);
                vouch(&mut bed, dies, &name, false, &second);
            }
            reports.push((returns, host, Status3::True));
        }
        if let Some(before) = life.reports {
            let status = if before % 2 == 0 { Status3::False } else { Status3::True };
            reports.push((life.dies - before, host, status));
        }
    }
    // The stand-in kubelets run the pods; their own renewals must not be added to those above.
    bed.stop_renewals();
    reports.sort_unstable();
    for (at, host, status) in reports {
        bed.run_until(Time(at));
        bed.set_node_condition(&format!("n{host}"), ConditionKind::Ready, status, "KubeletReport");
    }
    bed.run_until(secs(900));
    (bed.told(), bed.core.digest())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn vouching_for_renewals_gives_the_same_facts_as_delivering_each(lives in lives()) {
        let exact = run(&lives, Heartbeats::Exact);
        let analytic = run(&lives, Heartbeats::Analytic);
        prop_assert!(exact.0.iter().any(|line| line.contains("NodeNotReady")), "somebody died");
        prop_assert_eq!(exact.0, analytic.0);
        prop_assert_eq!(exact.1, analytic.1);
    }
}

#[test]
fn what_befalls_a_node_and_its_pods_is_said_as_events() {
    let mut bed = cluster(&["a", "a", "a"]);
    add_pod(&mut bed, "quick", "n0", Some(10));
    add_pod(&mut bed, "patient", "n0", Some(1_000));
    bed.run_until(Time::from_millis(103_000));
    bed.silence(0);
    bed.run_until(secs(200));
    bed.wake(0, "n0");
    bed.run_until(secs(260));
    bed.request(Request::Delete {
        key: ObjectKey::new(Kind::Node, "", "n0"),
        uid: None,
        grace: None,
        propagation: Propagation::Background,
    });
    bed.run_until(secs(300));
    let without_time = |lines: Vec<String>| -> Vec<String> {
        lines.iter().map(|line| line.split_once(' ').expect("a line begins with its time").1.to_string()).collect()
    };
    let of_node = without_time(bed.events(Kind::Node, "n0"));
    assert_eq!(
        of_node,
        [
            "Normal RegisteredNode x1: Node n0 event: Registered Node n0 in Controller",
            "Normal NodeNotReady x1: Node n0 status is now: NodeNotReady",
            "Normal RemovingNode x1: Node n0 event: Removing Node n0 from Controller",
        ]
    );
    let evicted = "Normal TaintManagerEviction x1: Marking for deletion Pod default/quick";
    let not_ready = "Warning NodeNotReady x1: Node is not ready";
    assert_eq!(without_time(bed.events(Kind::Pod, "quick")), [not_ready, evicted]);
    let cancelled = "Normal TaintManagerEviction x1: Cancelling deletion of Pod default/patient";
    assert_eq!(without_time(bed.events(Kind::Pod, "patient")), [not_ready, cancelled]);
}
