//! Stories of the whole scheduler process on the test bed.

mod oracle;
mod others;
mod policies;
mod preemption;
mod profiles;
mod volumes;

use crate::api::{Patch, Propagation, Request};
use crate::config::{Config, RateLimit, SchedulingCost};
use crate::digest::Shared;
use crate::id::ProcId;
use crate::model::{ConditionKind, Container, Kind, Meta, ObjectKey, Pod, PodSpec, Resources, Status3};
use crate::seam::Input;
use crate::testbed::Testbed;
use crate::time::Span;

fn pod(name: &str, cpu_milli: i64) -> Pod {
    let requests = Resources { cpu_milli, memory_bytes: 64 << 20, ..Resources::default() };
    let container = Container { name: "app".into(), requests, ..Container::default() };
    let spec = PodSpec { containers: vec![container], ..PodSpec::default() };
    Pod { meta: Meta::named("default", name).into(), spec: Shared::new(spec), ..Pod::default() }
}

#[test]
fn pods_spread_over_empty_nodes_and_the_last_one_waits_for_room() {
    let mut bed = Testbed::new(Config::default());
    bed.add_node(0, "n1", "a", 1_000, 1 << 30);
    bed.add_node(1, "n2", "b", 1_000, 1 << 30);
    for name in ["p1", "p2", "p3"] {
        bed.create(pod(name, 600));
    }
    bed.run_for(Span::from_secs(5));
    let node = |bed: &Testbed, name: &str| bed.get::<Pod>("default", name).and_then(|pod| pod.node.clone());
    assert_ne!(node(&bed, "p1"), node(&bed, "p2"), "{:#?}", bed.told());
    assert_eq!(node(&bed, "p3"), None);
    let told = bed.told();
    let failed: Vec<&String> = told.iter().filter(|line| line.contains("FailedScheduling")).collect();
    assert_eq!(failed.len(), 1, "{told:#?}");
    assert!(
        failed[0].ends_with(
            "0/2 nodes are available: 2 Insufficient cpu. no new claims to deallocate, preemption: \
             0/2 nodes are available: 2 No preemption victims found for incoming pod."
        ),
        "{failed:?}"
    );
    bed.add_node(2, "n3", "a", 1_000, 1 << 30);
    bed.run_for(Span::from_secs(5));
    assert_eq!(node(&bed, "p3").as_deref(), Some("n3"), "{:#?}", bed.told());
    let events = bed.events(Kind::Pod, "p3");
    assert_eq!(events.len(), 3, "{events:#?}");
    assert!(events[0].contains("Warning FailedScheduling x1: 0/2 nodes are available: 2 Insufficient cpu."));
    assert!(events[1].contains("0/3 nodes are available: 1 node(s) had untolerated taint"), "{events:#?}");
    assert!(events[2].ends_with("Normal Scheduled x1: Successfully assigned default/p3 to n3"), "{events:#?}");
}

fn node_of(bed: &Testbed, name: &str) -> Option<String> {
    bed.get::<Pod>("default", name).and_then(|pod| pod.node.as_ref().map(ToString::to_string))
}

fn failures(bed: &Testbed, name: &str) -> Vec<String> {
    let subject = format!("default/{name} FailedScheduling");
    bed.told().into_iter().filter(|line| line.contains(&subject)).collect()
}

fn patch_node(bed: &mut Testbed, name: &str, patch: Patch) {
    bed.request(Request::Patch { key: ObjectKey::new(Kind::Node, "", name), patch });
    bed.run_for(Span::ZERO);
}

#[test]
fn without_asynchronous_calls_the_next_pod_waits_until_the_status_of_the_last_is_written() {
    let tries = |async_api_calls: bool| {
        let mut config = Config::default();
        config.scheduler.client_limit = Some(RateLimit { per_second: 1, burst: 1 });
        config.scheduler.async_api_calls = async_api_calls;
        let mut bed = Testbed::new(config);
        bed.add_node(0, "n1", "a", 1_000, 1 << 30);
        bed.run_for(Span::from_secs(5));
        for name in ["a", "b", "c"] {
            bed.create(pod(name, 2_000));
        }
        bed.run_for(Span::from_millis(500));
        let early = failures(&bed, "c").len();
        bed.run_for(Span::from_secs(1));
        (early, failures(&bed, "c").len())
    };
    assert_eq!(tries(true), (1, 1));
    assert_eq!(tries(false), (0, 1), "the status of b waits for the limit, and c for that status");
}

#[test]
fn a_waiting_pod_is_tried_again_only_by_events_that_could_help_it() {
    let mut bed = Testbed::new(Config::default());
    bed.add_node(0, "n1", "a", 1_000, 1 << 30);
    patch_node(&mut bed, "n1", Patch::Unschedulable(true));
    bed.create(pod("p", 100));
    assert_eq!(failures(&bed, "p").len(), 1, "{:#?}", bed.told());
    bed.run_for(Span::from_secs(10));
    let (key, value) = ("colour".into(), Some("red".into()));
    patch_node(&mut bed, "n1", Patch::Label { key, value });
    bed.add_node(1, "tiny", "a", 50, 1 << 30);
    bed.run_for(Span::from_secs(10));
    // The tiny node is schedulable, so the plugin that refused the pod cannot rule it out: the pod is tried in vain,
    // and again when the node loses the taint that every new node has.
    assert_eq!(failures(&bed, "p").len(), 3, "{:#?}", bed.told());
    patch_node(&mut bed, "tiny", Patch::Label { key: "colour".into(), value: Some("red".into()) });
    bed.run_for(Span::from_secs(10));
    assert_eq!(failures(&bed, "p").len(), 3, "a label helps nobody here: {:#?}", bed.told());
    patch_node(&mut bed, "n1", Patch::Unschedulable(false));
    bed.run_for(Span::from_secs(1));
    assert_eq!(node_of(&bed, "p").as_deref(), Some("n1"));
}

#[test]
fn a_change_of_taints_wakes_also_pods_that_no_taint_kept_away() {
    let mut bed = Testbed::new(Config::default());
    bed.add_node(0, "n1", "a", 1_000, 1 << 30);
    bed.run_for(Span::from_secs(5));
    bed.create(pod("large", 1_500));
    bed.run_for(Span::from_secs(20));
    assert_eq!(failures(&bed, "large").len(), 1, "{:#?}", bed.told());
    patch_node(&mut bed, "n1", Patch::Unschedulable(true));
    bed.run_for(Span::from_secs(20));
    let failures = failures(&bed, "large");
    assert_eq!(failures.len(), 2, "the cordoned node got a taint: {failures:#?}");
    assert!(failures[1].contains("1 node(s) were unschedulable"), "{failures:#?}");
}

#[test]
fn a_pod_that_waits_for_long_is_tried_every_five_minutes_on_the_half_minute() {
    let mut bed = Testbed::new(Config::default());
    bed.add_node(0, "n1", "a", 100, 1 << 30);
    bed.run_for(Span::from_millis(7_300));
    bed.create(pod("p", 600));
    bed.run_for(Span::from_secs(700));
    let at: Vec<String> =
        failures(&bed, "p").iter().filter_map(|line| line.split(' ').next().map(str::to_string)).collect();
    assert_eq!(at, ["7.3s", "330s", "660s"], "{:#?}", bed.told());
    let condition = bed.get::<Pod>("default", "p").expect("the pod is there").status.conditions.clone();
    let condition = condition.get(ConditionKind::PodScheduled).expect("the scheduler has said so").clone();
    assert_eq!((condition.status, &*condition.reason), (Status3::False, "Unschedulable"));
    assert!(condition.message.starts_with("0/1 nodes are available: 1 Insufficient cpu."), "{condition:?}");
}

#[test]
fn without_nodes_a_pod_backs_off_in_growing_steps_cut_to_whole_seconds() {
    let mut bed = Testbed::new(Config::default());
    bed.run_for(Span::from_millis(500));
    bed.create(pod("p", 100));
    bed.run_for(Span::from_secs(40));
    let lines = failures(&bed, "p");
    assert!(lines[0].ends_with("no nodes available to schedule pods"), "{lines:#?}");
    let at: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    // 0.5 + 1 s is cut to 1 s and ends with that second; then 2, 4, 8 and at most 10 s, each with its last second.
    assert_eq!(at, ["0.5s", "2s", "5s", "10s", "19s", "30s"]);
}

#[test]
fn a_pod_bound_by_somebody_else_meanwhile_counts_once_and_leaves_the_queue() {
    let mut bed = Testbed::new(Config::default());
    bed.add_node(0, "n1", "a", 1_000, 1 << 30);
    patch_node(&mut bed, "n1", Patch::Unschedulable(true));
    bed.create(pod("p", 600));
    let uid = bed.get::<Pod>("default", "p").expect("the pod is there").meta.uid;
    let bind = Request::Bind { namespace: "default".into(), name: "p".into(), uid, node: "n1".into() };
    bed.request(bind);
    patch_node(&mut bed, "n1", Patch::Unschedulable(false));
    bed.create(pod("q", 600));
    bed.create(pod("r", 300));
    bed.run_for(Span::from_secs(1));
    assert_eq!(node_of(&bed, "p").as_deref(), Some("n1"));
    assert_eq!((node_of(&bed, "q"), node_of(&bed, "r").as_deref()), (None, Some("n1")), "{:#?}", bed.told());
    let propagation = Propagation::Background;
    let key = ObjectKey::new(Kind::Pod, "default", "p");
    bed.request(Request::Delete { key, uid: None, grace: Some(Span::ZERO), propagation });
    bed.run_for(Span::from_secs(1));
    assert_eq!(node_of(&bed, "q").as_deref(), Some("n1"), "{:#?}", bed.told());
}

#[test]
fn a_new_scheduler_counts_what_the_old_one_had_bound() {
    let mut bed = Testbed::new(Config::default());
    bed.add_node(0, "n1", "a", 1_000, 1 << 30);
    bed.create(pod("p", 600));
    bed.run_for(Span::from_secs(1));
    bed.input(Input::Crashed(ProcId::SCHEDULER));
    bed.run_for(Span::from_secs(1));
    bed.create(pod("q", 600));
    bed.create(pod("r", 300));
    bed.run_for(Span::from_secs(1));
    assert_eq!((node_of(&bed, "q"), node_of(&bed, "r")), (None, None), "nobody schedules");
    bed.input(Input::Started(ProcId::SCHEDULER));
    bed.run_for(Span::from_secs(1));
    assert_eq!((node_of(&bed, "q"), node_of(&bed, "r").as_deref()), (None, Some("n1")), "{:#?}", bed.told());
}

#[test]
fn the_important_go_first_and_each_attempt_takes_its_time() {
    let mut config = Config::default();
    config.scheduler.cost = SchedulingCost::constant(Span::from_millis(200));
    let mut bed = Testbed::new(config);
    bed.add_node(0, "n1", "a", 4_000, 1 << 30);
    for (name, priority) in [("low", 0), ("high", 10), ("higher", 20)] {
        let mut pod = pod(name, 100);
        pod.spec = Shared::new(PodSpec { priority, ..(*pod.spec).clone() });
        bed.create(pod);
    }
    bed.run_for(Span::from_secs(5));
    let bound: Vec<String> = bed.told().into_iter().filter(|line| line.contains(" Scheduled: ")).collect();
    let order: Vec<&str> = bound.iter().map(|line| line.split(" Scheduled").next().unwrap_or_default()).collect();
    // The first was taken on before the others came.
    assert_eq!(order, ["0.2s pods/default/low", "0.4s pods/default/higher", "0.6s pods/default/high"]);
}

#[test]
fn a_refused_bind_request_frees_the_room_and_the_pod_backs_off() {
    let mut config = Config::default();
    config.scheduler.client_limit = Some(RateLimit { per_second: 1, burst: 1 });
    let mut bed = Testbed::new(config);
    bed.add_node(0, "n1", "a", 1_000, 1 << 30);
    bed.create(pod("first", 100));
    let mut held = pod("held", 800);
    held.meta.finalizers = ["example.com/hold".into()].into();
    bed.create(held);
    bed.create(pod("next", 700));
    assert_eq!(failures(&bed, "next").len(), 1, "the assumed pod takes its room: {:#?}", bed.told());
    let key = ObjectKey::new(Kind::Pod, "default", "held");
    let propagation = Propagation::Background;
    bed.request(Request::Delete { key, uid: None, grace: None, propagation });
    bed.run_for(Span::from_secs(20));
    let lines = failures(&bed, "held");
    assert!(lines[0].contains("running Bind plugin \"DefaultBinder\": pods \"held\" is forbidden"), "{lines:#?}");
    assert!(lines[1].contains("skip schedule deleting pod: default/held"), "{lines:#?}");
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert_eq!(node_of(&bed, "next").as_deref(), Some("n1"), "{:#?}", bed.told());
}

#[test]
fn a_pod_on_a_node_that_is_gone_may_change_its_labels() {
    let mut bed = Testbed::new(Config::default());
    bed.add_node(0, "n1", "a", 1_000, 1 << 30);
    let mut lost = pod("lost", 600);
    lost.node = Some("gone".into());
    bed.create(lost);
    for value in ["blue", "green", "red"] {
        let patch = Patch::Label { key: "color".into(), value: Some(value.into()) };
        bed.request(Request::Patch { key: ObjectKey::new(Kind::Pod, "default", "lost"), patch });
        bed.run_for(Span::from_secs(1));
    }
    bed.add_node(1, "gone", "a", 1_000, 1 << 30);
    bed.create(pod("large", 900));
    bed.create(pod("small", 300));
    bed.run_for(Span::from_secs(1));
    assert_eq!(node_of(&bed, "large").as_deref(), Some("n1"), "the node that came again is not empty");
    assert_eq!(node_of(&bed, "small").as_deref(), Some("gone"), "{:#?}", bed.told());
}
