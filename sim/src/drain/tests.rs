use std::sync::Arc;

use wavetank_core::digest::Shared;
use wavetank_core::id::Revision;
use wavetank_core::model::{
    DaemonSet, Labels, Meta, OwnerReference, OwnerReferences, Phase, PodSpec, PodStatus, PodVolume, PodVolumeSource,
};

use super::*;

fn pod(name: &str, uid: u128) -> Pod {
    let owner = OwnerReference {
        kind: Kind::ReplicaSet,
        name: "web".into(),
        uid: Uid::new(99),
        controller: true,
        block_owner_deletion: true,
    };
    let mut meta = Meta::named("default", name);
    meta.uid = Uid::new(uid);
    meta.labels = Labels::new([("app", "web")]);
    meta.owners = [owner].into();
    let status = PodStatus { phase: Phase::Running, ..PodStatus::default() };
    Pod { meta: meta.into(), status: status.into(), ..Pod::default() }
}

fn bare(name: &str, uid: u128) -> Pod {
    let mut pod = pod(name, uid);
    pod.meta.owners = OwnerReferences::default();
    pod
}

fn with_empty_dir(mut pod: Pod) -> Pod {
    let volumes = vec![PodVolume { name: "tmp".into(), source: PodVolumeSource::EmptyDir(Default::default()) }];
    pod.spec = Shared::new(PodSpec { volumes, ..PodSpec::default() });
    pod
}

fn options() -> DrainOptions {
    DrainOptions { nodes: vec!["n1".into()], ..DrainOptions::default() }
}

fn at(seconds: u64) -> Time {
    Time::from_secs(seconds)
}

/// What a drain asks for and says, its numbers beside the names of what is asked about.
fn told(acts: &[Act]) -> Vec<String> {
    let line = |act: &Act| match act {
        Act::Ask(number, Request::Patch { key, .. }) => format!("{number}: cordon {}", key.name),
        Act::Ask(number, Request::PodsOf { node }) => format!("{number}: pods of {node}"),
        Act::Ask(number, Request::Evict { key, .. }) => format!("{number}: evict {}", key.name),
        Act::Ask(number, Request::Delete { key, .. }) => format!("{number}: delete {}", key.name),
        Act::Ask(number, Request::Get(key)) => format!("{number}: get {}", key.name),
        Act::Ask(_, other) => panic!("{other:?}"),
        Act::Say(_, text) => text.clone(),
    };
    acts.iter().map(line).collect()
}

fn deleted() -> Answer {
    Ok(Reply::Deleted(None))
}

fn missing(name: &str) -> Answer {
    Err(Refusal::NotFound(ObjectKey::new(Kind::Pod, "default", name)))
}

/// A drain that has been given its node's pods, and what it did about them.
fn given(options: DrainOptions, pods: Vec<Pod>) -> (Drain, Vec<String>) {
    let mut drain = Drain::new(options);
    assert_eq!(told(&drain.begin())[0], "0: cordon n1");
    let node = wavetank_core::model::Node { meta: Meta::named("", "n1"), ..Default::default() };
    let node = Object::Node(Arc::new(node));
    let acts = drain.on_answer(at(0), 0, Ok(Reply::Object(node, Revision(1))));
    assert_eq!(told(&acts), ["node/n1 cordoned", "1: pods of n1"]);
    let objects = pods.into_iter().map(|pod| Object::Pod(Arc::new(pod))).collect();
    let acts = drain.on_answer(at(0), 1, Ok(Reply::Pods(objects)));
    (drain, told(&acts))
}

#[test]
fn pods_are_evicted_at_once_and_waited_for() {
    let (mut drain, acts) = given(options(), vec![pod("a", 1), pod("b", 2)]);
    assert_eq!(acts, ["2: evict a", "3: evict b"]);
    assert_eq!(told(&drain.on_answer(at(0), 2, deleted())), ["4: get a"]);
    let there = Ok(Reply::Object(Object::Pod(Arc::new(pod("a", 1))), Revision(3)));
    assert!(drain.on_answer(at(0), 4, there).is_empty());
    assert_eq!(drain.next_wake(), Some(at(1)));
    assert_eq!(told(&drain.on_time(at(1))), ["5: get a"]);
    // Another pod of that name, as a StatefulSet makes it, is not the one that was evicted.
    let another = Ok(Reply::Object(Object::Pod(Arc::new(pod("a", 7))), Revision(9)));
    assert_eq!(told(&drain.on_answer(at(1), 5, another)), ["pod default/a evicted"]);
    assert!(!drain.is_over());
    assert_eq!(told(&drain.on_answer(at(1), 3, missing("b"))), ["node/n1 drained"]);
    assert!(drain.is_over() && !drain.has_failed());
}

#[test]
fn a_refused_eviction_is_tried_again_after_five_seconds() {
    let (mut drain, _) = given(options(), vec![pod("a", 1)]);
    let refusal = Refusal::TooManyRequests { cause: "b needs 2".into(), retry_after: Span::ZERO };
    let acts = told(&drain.on_answer(at(3), 2, Err(refusal)));
    assert_eq!(acts.len(), 1);
    assert!(acts[0].starts_with("pod default/a may not be evicted yet"), "{acts:?}");
    assert_eq!(drain.next_wake(), Some(at(8)));
    assert!(drain.on_time(at(7)).is_empty());
    assert_eq!(told(&drain.on_time(at(8))), ["3: evict a"]);
}

#[test]
fn a_node_s_time_ends_and_the_next_node_has_its_own() {
    let nodes = vec!["n1".into(), "n2".into()];
    let mut drain = Drain::new(DrainOptions { nodes, timeout: Some(Span::from_secs(60)), ..options() });
    assert_eq!(told(&drain.begin()), ["0: cordon n1", "1: cordon n2"]);
    drain.on_answer(at(0), 0, deleted());
    let acts = told(&drain.on_answer(at(0), 1, deleted()));
    assert_eq!(acts, ["node/n2 cordoned", "2: pods of n1"]);
    drain.on_answer(at(0), 2, Ok(Reply::Pods(vec![Object::Pod(Arc::new(pod("a", 1)))])));
    assert_eq!(drain.next_wake(), Some(at(60)));
    let acts = told(&drain.on_time(at(60)));
    assert_eq!(acts[1], "4: pods of n2", "{acts:?}");
    assert!(drain.on_answer(at(61), 3, deleted()).is_empty(), "nobody waits for the first node's pod any more");
    drain.on_answer(at(61), 4, Ok(Reply::Pods(Vec::new())));
    assert!(drain.is_over() && drain.has_failed());
}

#[test]
fn pods_that_may_not_go_fail_the_node_before_anything_is_evicted() {
    let pods = || vec![pod("a", 1), bare("b", 2), with_empty_dir(pod("c", 3))];
    let (drain, acts) = given(options(), pods());
    assert_eq!(acts.len(), 1);
    assert!(acts[0].contains("no controller (use --force to override): default/b"), "{acts:?}");
    assert!(acts[0].contains("local storage (use --delete-emptydir-data to override): default/c"), "{acts:?}");
    assert!(drain.is_over() && drain.has_failed());

    let (_, acts) = given(DrainOptions { force: true, delete_empty_dir_data: true, ..options() }, pods());
    assert_eq!(acts[2..], ["2: evict a", "3: evict b", "4: evict c"]);
}

#[test]
fn finished_pods_go_in_any_case_and_mirror_pods_never() {
    let mut done = with_empty_dir(bare("done", 1));
    done.status = PodStatus { phase: Phase::Succeeded, ..PodStatus::default() }.into();
    let mut mirror = bare("mirror", 2);
    mirror.meta.annotations = Labels::new([("kubernetes.io/config.mirror", "x")]);
    let options = DrainOptions { force: true, ..options() };
    assert_eq!(given(options, vec![done, mirror]).1, ["2: evict done"]);
}

#[test]
fn deletion_instead_of_eviction_names_the_pod_s_identity_and_a_selector_limits_both() {
    let pods = Some(Selector::from_labels(Labels::new([("app", "web")])));
    let options = DrainOptions { disable_eviction: true, pods, ..options() };
    let mut other = pod("other", 2);
    other.meta.labels = Labels::new([("app", "db")]);
    let (mut drain, acts) = given(options, vec![pod("a", 1), other]);
    assert_eq!(acts, ["2: delete a"]);
    let acts = told(&drain.on_answer(at(0), 2, missing("a")));
    assert_eq!(acts, ["node/n1 drained"]);
}

#[test]
fn pods_of_a_daemon_set_are_judged_once_it_was_looked_up() {
    let agent = || {
        let mut agent = pod("agent", 1);
        agent.meta.owners = [OwnerReference { kind: Kind::DaemonSet, ..agent.meta.owners[0].clone() }].into();
        vec![agent]
    };
    let there = || {
        let daemon_set = DaemonSet { meta: Meta::named("default", "web"), ..DaemonSet::default() };
        Ok(Reply::Object(Object::DaemonSet(Arc::new(daemon_set)), Revision(1)))
    };
    let gone = || Err(Refusal::NotFound(ObjectKey::new(Kind::DaemonSet, "default", "web")));
    let after = |options: DrainOptions, answer: Answer| {
        let (mut drain, acts) = given(options, agent());
        assert_eq!(acts, ["2: get web"]);
        told(&drain.on_answer(at(0), 2, answer))
    };
    let refused = after(options(), there());
    assert!(refused[0].contains("DaemonSet-managed Pods (use --ignore-daemonsets to ignore): default/agent"));
    let passed_by = after(DrainOptions { ignore_daemon_sets: true, ..options() }, there());
    assert_eq!(passed_by, ["node/n1: ignoring DaemonSet-managed Pods: default/agent", "node/n1 drained"]);
    let orphaned = after(DrainOptions { ignore_daemon_sets: true, ..options() }, gone());
    assert!(orphaned[0].contains("daemonsets.apps \"web\" not found: default/agent"), "{orphaned:?}");
    assert_eq!(after(DrainOptions { force: true, ..options() }, gone()), ["3: evict agent"]);
}
