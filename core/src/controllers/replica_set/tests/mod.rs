mod deletion;
mod ownership;
mod status;

use super::*;
use crate::api::{Patch, Propagation};
use crate::config::Config;
use crate::controllers::owned_by;
use crate::digest::Shared;
use crate::id::{Name, Uid};
use crate::model::{
    Container, ContainerState, ContainerStatus, Labels, Meta, MetaExtras, Namespace, ObjectKey, Phase, PodSpec,
    PodTemplate, ReplicationController, Service, Stranger,
};
use crate::testbed::{StandIn, Testbed};
use crate::time::Time;

fn bed() -> Testbed {
    let mut bed = Testbed::new(Config::default()).with_binder(&["n1", "n2"]);
    bed.add_node(0, "n1", "a", 8_000, 1 << 34);
    bed.add_node(1, "n2", "b", 8_000, 1 << 34);
    bed
}

fn web(replicas: u32) -> ReplicaSet {
    let labels = Labels::new([("app", "web")]);
    let spec = PodSpec {
        containers: vec![Container { name: "app".into(), image: "app:v1".into(), ..Container::default() }],
        ..PodSpec::default()
    };
    ReplicaSet {
        meta: Meta::named("default", "web"),
        replicas,
        selector: Selector::from_labels(labels.clone()),
        template: PodTemplate { labels, spec: Shared::new(spec), ..PodTemplate::default() },
        ..ReplicaSet::default()
    }
}

fn pods(bed: &Testbed) -> Vec<Arc<Pod>> {
    bed.core.newest().all::<Pod>().map(|(_, pod)| pod.clone()).collect()
}

fn scale(bed: &mut Testbed, replicas: u32) {
    let key = ObjectKey::new(Kind::ReplicaSet, "default", "web");
    bed.request(Request::Patch { key, patch: Patch::Replicas(replicas) });
}

#[test]
fn pods_are_made_from_the_template_and_counted() {
    let mut bed = bed();
    bed.create(web(5));
    bed.run_for(Span::from_secs(10));
    let set = bed.get::<ReplicaSet>("default", "web").unwrap();
    let status = &set.status;
    assert_eq!((status.replicas, status.fully_labeled, status.ready, status.available), (5, 5, 5, 5));
    assert_eq!(status.observed_generation, 1);
    let pods = pods(&bed);
    assert_eq!(pods.len(), 5);
    for pod in &pods {
        assert!(pod.meta.name.starts_with("web-") && pod.meta.name.len() == 9, "{}", pod.meta.name);
        assert_eq!(pod.meta.owners[..], [owned_by(Kind::ReplicaSet, &set.meta)]);
        assert!(pod.spec.same(&pods[0].spec), "all pods of a template share one spec");
    }
}

#[test]
fn a_scale_up_beyond_the_burst_takes_two_syncs_at_the_rate_of_the_client() {
    let mut bed = Testbed::new(Config::default());
    bed.create(web(520));
    bed.run_for(Span::from_secs(20));
    // 30 at once and 20 per second.
    assert_eq!(pods(&bed).len(), 30 + 20 * 20);
    bed.run_for(Span::from_secs(20));
    assert_eq!(pods(&bed).len(), 520, "no pod was created twice");
}

#[test]
fn a_deleted_pod_is_replaced_while_it_still_terminates() {
    let slow = StandIn { start: Span::ZERO, ready: Span::ZERO, term: Span::from_secs(20) };
    let mut bed = bed().with_stand_in(slow);
    bed.create(web(3));
    bed.run_for(Span::from_secs(5));
    let victim = pods(&bed)[0].clone();
    let request = Request::Delete {
        key: Object::Pod(victim.clone()).key(),
        uid: None,
        grace: None,
        propagation: Propagation::Background,
    };
    bed.request(request);
    bed.run_for(Span::from_secs(5));
    assert_eq!(pods(&bed).len(), 4, "three active pods and one that ends");
    bed.run_for(Span::from_secs(20));
    assert_eq!(pods(&bed).len(), 3);
    assert!(bed.get::<Pod>("default", &victim.meta.name).is_none());
}

#[test]
fn an_orphan_is_adopted_and_a_relabelled_pod_is_released_and_replaced() {
    let mut bed = bed();
    let orphan = Pod {
        meta: Meta { labels: Labels::new([("app", "web")]), ..Meta::named("default", "lone") }.into(),
        ..Pod::default()
    };
    bed.create(orphan);
    bed.create(web(2));
    bed.run_for(Span::from_secs(5));
    let set = bed.get::<ReplicaSet>("default", "web").unwrap();
    assert_eq!(pods(&bed).len(), 2, "one of the two was there already");
    let lone = bed.get::<Pod>("default", "lone").unwrap();
    assert_eq!(lone.meta.controller().unwrap().uid, set.meta.uid);

    let key = ObjectKey::new(Kind::Pod, "default", "lone");
    let patch = Patch::Label { key: "app".into(), value: Some("debug".into()) };
    bed.request(Request::Patch { key, patch });
    bed.run_for(Span::from_secs(5));
    assert!(bed.get::<Pod>("default", "lone").unwrap().meta.owners.is_empty());
    assert_eq!(pods(&bed).len(), 3);
    assert_eq!(bed.get::<ReplicaSet>("default", "web").unwrap().status.replicas, 2);
}

#[test]
fn a_pod_that_somebody_of_an_unknown_kind_manages_is_no_orphan() {
    let mut bed = bed();
    let mut meta = Meta { labels: Labels::new([("app", "web")]), ..Meta::named("default", "lone") };
    let lamp = Stranger { api_version: "example.com/v1".into(), kind: "Lamp".into(), controller: true };
    meta.strangers = vec![lamp].into();
    bed.create(Pod { meta: meta.into(), ..Pod::default() });
    bed.create(web(2));
    bed.run_for(Span::from_secs(5));
    assert_eq!(pods(&bed).len(), 3, "both are made");
    assert!(bed.get::<Pod>("default", "lone").unwrap().meta.owners.is_empty());
}

#[test]
fn pods_count_as_available_after_they_have_been_ready_for_long_enough() {
    let mut bed = bed();
    bed.create(ReplicaSet { min_ready: Span::from_secs(10), ..web(2) });
    bed.run_for(Span::from_secs(12));
    let status = bed.get::<ReplicaSet>("default", "web").unwrap().status.clone();
    assert_eq!((status.ready, status.available), (2, 0));
    bed.run_for(Span::from_secs(2));
    assert_eq!(bed.get::<ReplicaSet>("default", "web").unwrap().status.available, 2);
}

#[test]
fn a_namespace_that_is_being_deleted_gets_no_pods_and_no_complaint() {
    let mut bed = bed();
    bed.create(Namespace::named("shop"));
    bed.run_for(Span::from_secs(1));
    bed.create(ReplicaSet { meta: Meta::named("shop", "web"), ..web(0) });
    bed.run_for(Span::from_secs(1));
    // Foreground: the finalizer holds the namespace in its terminating state.
    let key = ObjectKey::new(Kind::Namespace, "", "shop");
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Foreground });
    let key = ObjectKey::new(Kind::ReplicaSet, "shop", "web");
    bed.request(Request::Patch { key, patch: Patch::Replicas(3) });
    bed.run_for(Span::from_secs(2));
    assert_eq!(pods(&bed).len(), 0);
    assert!(!bed.told().iter().any(|line| line.contains("FailedCreate")), "{:?}", bed.told());
}

/// One candidate for deletion; `ready` and `created` are ages in seconds.
fn candidate(name: &str, node: &str, phase: Phase, ready: Option<u64>, created: u64, now: Time) -> Pod {
    let ago = |seconds: u64| Time(now.0 - Span::from_secs(seconds).0);
    let mut pod = Pod { meta: Meta::named("default", name).into(), ..Pod::default() };
    pod.meta.uid = Uid::new(u128::from(name.as_bytes()[0]));
    pod.meta.created_at = ago(created);
    pod.node = (!node.is_empty()).then(|| node.into());
    pod.status.phase = phase;
    if let Some(seconds) = ready {
        pod.status.conditions.set(ConditionKind::Ready, Status3::True, "", "", ago(seconds));
    }
    pod
}

fn with_cost(mut pod: Pod, cost: &str) -> Pod {
    pod.meta.annotations = Labels::new([("controller.kubernetes.io/pod-deletion-cost", cost)]);
    pod
}

fn with_restarts(mut pod: Pod, restarts: u32) -> Pod {
    let state = ContainerState::Running { since: Time::ZERO };
    pod.status.containers =
        vec![ContainerStatus { state, last_terminated: None, ready: true, started: true, restarts }].into();
    pod
}

fn order(pods: Vec<Pod>, related: &[Arc<Pod>], now: Time) -> String {
    let pods: Vec<Arc<Pod>> = pods.into_iter().rev().map(Arc::new).collect();
    let sorted = ranking::first_to_go(&pods, related.iter(), pods.len(), now);
    sorted.iter().map(|pod| &*pod.meta.name).collect::<Vec<_>>().join(" ")
}

#[test]
fn pods_are_deleted_in_the_recorded_order() {
    let now = Time::from_secs(10_000);
    let running = |name, node, ready| candidate(name, node, Phase::Running, ready, 5_000, now);
    // Recorded: rs-scale-down-choice (its stable part).
    let table = vec![
        candidate("a-unscheduled", "", Phase::Pending, None, 5_000, now),
        candidate("b-pending-on-node", "n1", Phase::Pending, None, 5_000, now),
        running("c-running-notready", "n1", None),
        with_cost(running("g-ready-costm5", "n1", Some(4_000)), "-5"),
        running("e-ready-new", "n1", Some(10)),
        running("d-ready-old", "n1", Some(4_000)),
        with_cost(running("h-ready-cost10", "n1", Some(4_000)), "10"),
    ];
    let expected =
        "a-unscheduled b-pending-on-node c-running-notready g-ready-costm5 e-ready-new d-ready-old h-ready-cost10";
    assert_eq!(order(table, &[], now), expected);
}

#[test]
fn ages_of_one_power_of_two_are_decided_by_uid_and_equal_ages_by_restarts() {
    let now = Time::from_secs(10_000);
    let ready = |name, seconds| candidate(name, "n1", Phase::Running, Some(seconds), 5_000, now);
    assert_eq!(order(vec![ready("a", 700), ready("b", 600)], &[], now), "a b", "both are 2^39 ns");
    assert_eq!(order(vec![ready("b", 500), ready("a", 600)], &[], now), "b a", "500 s is below 2^39 ns");
    let calm_and_restarted = vec![with_restarts(ready("b", 600), 7), ready("a", 600)];
    assert_eq!(order(calm_and_restarted, &[], now), "b a");
    let restarts_do_not_count = vec![ready("a", 600), with_restarts(ready("b", 601), 7)];
    assert_eq!(order(restarts_do_not_count, &[], now), "a b");
}

#[test]
fn a_node_with_more_related_pods_loses_its_pods_first() {
    let now = Time::from_secs(10_000);
    let on = |name, node| candidate(name, node, Phase::Running, Some(600), 5_000, now);
    let related: Vec<Arc<Pod>> = [on("x", "n2"), on("y", "n2"), on("z", "n1")].into_iter().map(Arc::new).collect();
    assert_eq!(order(vec![on("b", "n2"), on("a", "n1")], &related, now), "b a");
    assert_eq!(order(vec![on("a", "n1"), on("b", "n2")], &[], now), "a b", "without an owner nothing is related");
}

#[test]
fn a_replication_controller_keeps_its_pods_as_a_replica_set_does() {
    let mut bed = bed();
    let ReplicaSet { replicas, min_ready, selector, template, status, .. } = web(3);
    let meta = Meta::named("default", "old");
    bed.create(ReplicationController { meta, replicas, min_ready, selector, template, status });
    bed.run_for(Span::from_secs(10));
    let read = |bed: &Testbed| bed.get::<ReplicationController>("default", "old").unwrap();
    let status = read(&bed).status.clone();
    assert_eq!((status.replicas, status.fully_labeled, status.ready, status.available), (3, 3, 3, 3));
    let uid = read(&bed).meta.uid;
    let is_own = |pod: &Arc<Pod>| {
        pod.meta.controller().is_some_and(|owner| owner.kind == Kind::ReplicationController && owner.uid == uid)
    };
    assert!(pods(&bed).iter().all(is_own));
    assert!(bed.events(Kind::ReplicationController, "old")[0].contains("SuccessfulCreate"));
    let key = ObjectKey::new(Kind::ReplicationController, "default", "old");
    bed.request(Request::Patch { key: key.clone(), patch: Patch::Replicas(1) });
    bed.run_for(Span::from_secs(10));
    assert_eq!(pods(&bed).len(), 1);
    bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background });
    bed.run_for(Span::from_secs(10));
    assert_eq!(pods(&bed).len(), 0);
}

#[test]
fn the_pods_of_all_sets_of_one_owner_count_as_related_also_of_one_that_is_being_deleted() {
    // Pods of `web` run on both nodes; those of the other sets decide which goes first. Each set: its owner, its node,
    // whether it is being deleted. Without any, the pod on `n2` goes.
    type Others<'a> = &'a [(&'a str, &'a str, bool)];
    let table: [(Others<'_>, &str); 6] = [
        (&[], "n2"),
        (&[("same", "n1", false)], "n1"),
        (&[("same", "n1", true)], "n1"),
        (&[("same", "n2", false)], "n2"),
        (&[("another", "n1", false)], "n2"),
        (&[("another", "n2", true), ("same", "n1", true)], "n1"),
    ];
    for (others, expected) in table {
        let mut bed = bed();
        for name in ["same", "another"] {
            bed.create(Service { meta: Meta::named("default", name), ..Service::default() });
        }
        let owned = |bed: &Testbed, owner: &str| {
            let owner = bed.get::<Service>("default", owner).expect("the owner is there");
            [owned_by(Kind::Service, &owner.meta)].into()
        };
        let mut sets = vec![("web".to_owned(), "same", vec!["n1", "n2"], false)];
        sets.extend(
            others
                .iter()
                .enumerate()
                .map(|(place, (owner, node, ending))| (format!("set-{place}"), *owner, vec![*node, *node], *ending)),
        );
        for (name, owner, nodes, ending) in sets {
            let labels = Labels::new([("set", name.as_str())]);
            let finalizers = [Name::from("example.com/hold")].into();
            let extras = MetaExtras { finalizers, ..MetaExtras::default() }.into();
            let meta = Meta { owners: owned(&bed, owner), extras, ..Meta::named("default", &name) };
            let template = PodTemplate { labels: labels.clone(), ..web(1).template };
            let selector = Selector::from_labels(labels.clone());
            bed.create(ReplicaSet { meta, replicas: 0, selector, template: template.clone(), ..ReplicaSet::default() });
            let set = bed.get::<ReplicaSet>("default", &name).unwrap();
            bed.input(crate::seam::Input::Crashed(crate::id::ProcId::CONTROLLER_MANAGER));
            for (place, node) in nodes.into_iter().enumerate() {
                let owners = [owned_by(Kind::ReplicaSet, &set.meta)].into();
                let meta =
                    Meta { labels: labels.clone(), owners, ..Meta::named("default", &format!("{name}-{place}")) };
                bed.create(Pod {
                    meta: meta.into(),
                    spec: template.spec.clone(),
                    node: Some(node.into()),
                    ..Pod::default()
                });
            }
            if ending {
                let key = ObjectKey::new(Kind::ReplicaSet, "default", &name);
                bed.request(Request::Delete { key, uid: None, grace: None, propagation: Propagation::Orphan });
            }
        }
        bed.run_for(Span::from_secs(5));
        let config = Config::default();
        let me = crate::id::ProcId::CONTROLLER_MANAGER;
        let ctx = Context { now: bed.now(), me, config: &config, out: &mut Vec::new() };
        let view = bed.core.newest();
        let set = bed.get::<ReplicaSet>("default", "web").unwrap();
        let own: Vec<Arc<Pod>> = view.controlled_by::<Pod>(set.meta.uid).map(|(_, pod)| pod.clone()).collect();
        let gone = pods_to_delete::<ReplicaSet>(&ctx, view, &set, &own, 1);
        assert_eq!(gone[0].node.as_deref(), Some(expected), "{others:?}");
    }
}
