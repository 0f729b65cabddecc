//! Preemption: who goes where, and in whose place, on a few small nodes.
//!
//! `dry_run` holds what is said of pods removed in thought against really removing them; `making_room` tells on the
//! test bed what becomes of the pods that make room.

mod dry_run;
mod making_room;

use std::sync::Arc;

use crate::config::{PreemptionArgs, ProfileConfig, SchedulerConfig, Ties};
use crate::digest::Shared;
use crate::id::{Name, RowId};
use crate::model::{
    AccessMode, BIND_COMPLETED, ClaimPhase, Container, ContainerPort, Labels, Meta, Node, Object,
    PersistentVolumeClaim, PlacementRules, Pod, PodDisruptionBudget, PodSpec, PodTerm, PodVolume, PodVolumeSource,
    Protocol, Resources, Selector, SpreadConstraint,
};
use crate::scheduler::explain::{Detail, Preempted};
use crate::scheduler::placement::Placement;
use crate::scheduler::traits::Identity;
use crate::time::Time;

const ZONE: &str = "topology.kubernetes.io/zone";

fn row(index: usize) -> RowId {
    RowId { index: index as u32, generation: 0 }
}

/// A few nodes of 1000m; pods are put where they are said to be.
struct Small {
    placement: Placement,
    pods: Vec<Pod>,
}

fn pod(name: &str, priority: i32, cpu_milli: i64) -> Pod {
    let requests = Resources { cpu_milli, ..Resources::default() };
    let container = Container { name: "app".into(), requests, ..Container::default() };
    let spec = PodSpec { containers: vec![container], priority, ..PodSpec::default() };
    let mut meta = Meta::named("default", name);
    meta.labels = Labels::new([("app", "web")]);
    Pod { meta: meta.into(), spec: Shared::new(spec), ..Pod::default() }
}

fn with_rules(mut pod: Pod, rules: PlacementRules) -> Pod {
    let mut spec = (*pod.spec).clone();
    spec.rules = Some(Box::new(rules));
    pod.spec = Shared::new(spec);
    pod
}

fn labelled(mut pod: Pod, value: &str) -> Pod {
    let mut meta = (*pod.meta).clone();
    meta.labels = Labels::new([("app", value)]);
    pod.meta = meta.into();
    pod
}

fn started(mut pod: Pod, seconds: u64) -> Pod {
    pod.status.started_at = Time::from_secs(seconds).into();
    pod
}

impl Small {
    fn with(nodes: &[(&str, &str)], args: PreemptionArgs) -> Small {
        let mut profile = ProfileConfig::default();
        profile.args.preemption = args;
        let config = SchedulerConfig { ties: Ties::First, profiles: vec![profile], ..SchedulerConfig::default() };
        let mut small = Small { placement: Placement::new(1, &config), pods: Vec::new() };
        for (name, zone) in nodes {
            let mut node = Node { meta: Meta::named("", name), ..Node::default() };
            node.meta.labels = Labels::new([("kubernetes.io/hostname", *name), (ZONE, *zone)]);
            node.status.allocatable =
                Resources { cpu_milli: 1_000, memory_bytes: 1 << 30, pods: 4, ..Resources::default() };
            node.status.allocatable.extended.insert("example.com/gpu".into(), 1);
            small.placement.set_node(&Arc::new(node));
        }
        small
    }

    fn new() -> Small {
        Small::with(&[("n1", "a"), ("n2", "b")], PreemptionArgs::default())
    }

    fn put(&mut self, node: &str, pod: Pod) -> &mut Small {
        self.placement.put(row(self.pods.len()), &pod, &node.into());
        self.pods.push(pod);
        self
    }

    fn budget(&mut self, app: &str, allowed: u32, disrupted: &[&str]) -> &mut Small {
        let mut budget = PodDisruptionBudget { meta: Meta::named("default", app), ..PodDisruptionBudget::default() };
        budget.selector = Some(Selector::from_labels(Labels::new([("app", app)])));
        budget.status.disruptions_allowed = allowed;
        budget.status.disrupted_pods = disrupted.iter().map(|name| ((*name).into(), Time::ZERO)).collect();
        self.placement.set_object(&Object::PodDisruptionBudget(Arc::new(budget)));
        self
    }

    fn tried(&mut self, pod: &Pod) -> (Result<Name, String>, Preempted) {
        let place = row(self.pods.len());
        self.pods.push(pod.clone());
        let (explained, told) = self.placement.place_preempting(place, pod, Detail::Place);
        (explained.node, told.expect("no node takes the pod at first"))
    }

    /// Where the pod goes in the end, and in whose place; or what preemption says.
    fn outcome(&mut self, pod: &Pod) -> String {
        let (node, told) = self.tried(pod);
        let Some(chosen) = told.chosen else { return told.message.unwrap_or_default() };
        let victims =
            told.candidates[chosen].victims.iter().map(|row| self.pods[row.index as usize].meta.name.to_string());
        let violations = match told.candidates[chosen].violations {
            0 => String::new(),
            count => format!(", against budgets {count}"),
        };
        format!("{} for {}{violations}", node.expect("there is room now"), victims.collect::<Vec<_>>().join(" "))
    }
}

#[test]
fn the_least_important_pods_that_suffice_make_room() {
    let mut small = Small::new();
    small.put("n1", pod("old", 5, 300)).put("n1", pod("low", 1, 400)).put("n1", pod("none", 1, 0));
    small.put("n2", pod("equal", 9, 900));
    assert_eq!(small.outcome(&pod("high", 9, 600)), "n1 for low", "what fits beside the pod stays");
}

#[test]
fn the_older_of_equal_pods_stays_and_one_that_has_not_started_goes() {
    let mut small = Small::new();
    small.put("n2", pod("equal", 9, 900));
    small.put("n1", started(pod("young", 1, 400), 20)).put("n1", started(pod("old", 1, 400), 10));
    assert_eq!(small.outcome(&pod("high", 9, 600)), "n1 for young");
    let mut small = Small::new();
    small.put("n2", pod("equal", 9, 900));
    small.put("n1", pod("assumed", 1, 400)).put("n1", started(pod("young", 1, 400), 20));
    assert_eq!(small.outcome(&pod("high", 9, 600)), "n1 for assumed");
}

#[test]
fn nobody_makes_room_for_a_pod_of_no_higher_priority_or_one_that_never_preempts() {
    let mut small = Small::new();
    small.put("n1", pod("a", 5, 900)).put("n2", pod("b", 7, 900));
    let nobody = "0/2 nodes are available: 2 No preemption victims found for incoming pod.";
    assert_eq!(small.outcome(&pod("equal", 5, 600)), nobody);
    let never = with_rules(pod("never", 9, 600), PlacementRules { never_preempts: true, ..PlacementRules::default() });
    let (node, told) = small.tried(&never);
    assert_eq!(told.message.as_deref(), Some("not eligible due to preemptionPolicy=Never."));
    assert_eq!(node, Err("0/2 nodes are available: 2 Insufficient cpu.".to_owned()));
}

#[test]
fn nodes_where_no_removal_helps_are_told_apart_from_those_where_it_is_not_enough() {
    let mut small = Small::with(&[("n1", "a"), ("n2", "b"), ("n3", "c")], PreemptionArgs::default());
    small.put("n1", pod("a", 1, 300)).put("n1", pod("b", 9, 600)).put("n2", pod("c", 9, 900));
    let mut cordoned = Node { meta: Meta::named("", "n3"), ..Node::default() };
    cordoned.spec.unschedulable = true;
    small.placement.set_node(&Arc::new(cordoned));
    assert_eq!(
        small.outcome(&pod("high", 5, 800)),
        "0/3 nodes are available: 1 Insufficient cpu, 1 No preemption victims found for incoming pod, \
         1 Preemption is not helpful for scheduling."
    );
    assert_eq!(
        small.outcome(&pod("huge", 5, 8_000)),
        "0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
}

#[test]
fn a_budget_is_broken_only_where_nothing_else_helps() {
    let guarded = |name| labelled(pod(name, 1, 900), "guarded");
    let mut small = Small::new();
    small.put("n1", guarded("one")).put("n2", pod("other", 5, 900)).budget("guarded", 0, &[]);
    assert_eq!(small.outcome(&pod("high", 9, 600)), "n2 for other", "a higher victim rather than a broken budget");
    assert_eq!(small.outcome(&pod("next", 9, 600)), "n1 for one, against budgets 1");
    // A pod whose eviction was granted is not counted again, and an allowance is used up pod by pod.
    let mut small = Small::new();
    small.put("n1", guarded("one")).put("n2", pod("other", 5, 900)).budget("guarded", 0, &["one"]);
    assert_eq!(small.outcome(&pod("high", 9, 600)), "n1 for one");
    let mut small = Small::new();
    let half = |name| labelled(pod(name, 1, 400), "guarded");
    small.put("n1", half("one")).put("n1", half("two")).put("n2", pod("peer", 9, 900)).budget("guarded", 1, &[]);
    assert_eq!(small.outcome(&pod("high", 9, 900)), "n1 for one two, against budgets 1");
}

#[test]
fn a_pod_that_would_break_a_budget_is_let_back_first() {
    let mut small = Small::new();
    small.put("n2", pod("peer", 9, 900));
    small.put("n1", labelled(pod("guarded", 1, 400), "guarded")).put("n1", pod("free", 5, 400));
    small.budget("guarded", 0, &[]);
    assert_eq!(small.outcome(&pod("high", 9, 600)), "n1 for free", "although it is more important");
}

#[test]
fn of_candidates_the_one_with_the_least_loss_is_taken() {
    let nodes = [("n1", "a"), ("n2", "b"), ("n3", "c"), ("n4", "d")];
    let high = pod("high", 9, 900);
    let mut small = Small::with(&nodes, PreemptionArgs::default());
    small
        .put("n1", pod("a", 5, 900))
        .put("n2", pod("b", 4, 900))
        .put("n3", pod("c", 6, 900))
        .put("n4", pod("d", 9, 900));
    assert_eq!(small.outcome(&high), "n2 for b", "the lowest highest priority");
    let mut small = Small::with(&nodes, PreemptionArgs::default());
    small
        .put("n1", pod("a", 5, 500))
        .put("n1", pod("a2", 5, 500))
        .put("n2", pod("b", 5, 500))
        .put("n2", pod("b2", 1, 500));
    small.put("n3", pod("c", 5, 900)).put("n4", pod("d", 9, 900));
    assert_eq!(small.outcome(&high), "n3 for c", "the lowest sum");
    let mut small = Small::with(&nodes, PreemptionArgs::default());
    small.put("n1", started(pod("a", 5, 900), 10)).put("n2", started(pod("b", 5, 900), 30));
    small.put("n3", started(pod("c", 5, 900), 20)).put("n4", pod("d", 9, 900));
    assert_eq!(small.outcome(&high), "n2 for b", "the latest start");
    let mut small = Small::with(&nodes, PreemptionArgs::default());
    for (node, name) in [("n4", "d"), ("n3", "c"), ("n2", "b"), ("n1", "a")] {
        small.put(node, started(pod(name, 5, 900), 10));
    }
    let (_, told) = small.tried(&high);
    assert_eq!(told.candidates.iter().filter(|it| it.best).count(), 4, "all are equal, so the first name is taken");
    assert_eq!(&*told.candidates[told.chosen.unwrap()].node, "n1");
}

#[test]
fn pods_are_removed_that_a_pod_shuns_or_that_shun_it_or_hold_its_port_or_device() {
    let away = |value: &str| {
        let selector = Some(Selector::from_labels(Labels::new([("app", value)])));
        let term = PodTerm { topology_key: "kubernetes.io/hostname".into(), selector, ..PodTerm::default() };
        let mut rules = PlacementRules::default();
        rules.pod_anti_affinity.required = vec![term];
        rules
    };
    let full = |small: &mut Small| {
        small.put("n2", pod("peer", 9, 1_000));
    };
    let mut small = Small::new();
    full(&mut small);
    small.put("n1", labelled(pod("shunned", 1, 10), "noisy")).put("n1", pod("quiet", 0, 10));
    assert_eq!(small.outcome(&with_rules(pod("high", 9, 10), away("noisy"))), "n1 for shunned");
    let mut small = Small::new();
    full(&mut small);
    small.put("n1", with_rules(pod("shy", 1, 10), away("web"))).put("n1", labelled(pod("quiet", 0, 10), "other"));
    assert_eq!(small.outcome(&pod("high", 9, 10)), "n1 for shy");
    let with = |mut pod: Pod, change: &dyn Fn(&mut Container)| {
        let mut spec = (*pod.spec).clone();
        change(&mut spec.containers[0]);
        pod.spec = Shared::new(spec);
        pod
    };
    let port = |container: &mut Container| {
        let (name, protocol) = ("".into(), Protocol::Tcp);
        container.ports = vec![ContainerPort { name, port: 80, host_port: Some(80), host_ip: None, protocol }];
    };
    let gpu = |container: &mut Container| {
        container.requests.extended.insert("example.com/gpu".into(), 1);
    };
    for change in [&port as &dyn Fn(&mut Container), &gpu] {
        let mut small = Small::new();
        full(&mut small);
        small.put("n1", with(pod("holder", 1, 10), change)).put("n1", pod("quiet", 0, 10));
        assert_eq!(small.outcome(&with(pod("high", 9, 10), change)), "n1 for holder");
    }
}

#[test]
fn an_affinity_to_the_pods_that_would_go_is_not_satisfied_without_them() {
    let near = PodTerm {
        topology_key: "kubernetes.io/hostname".into(),
        selector: Some(Selector::from_labels(Labels::new([("app", "db")]))),
        ..PodTerm::default()
    };
    let mut rules = PlacementRules::default();
    rules.pod_affinity.required = vec![near];
    let mut small = Small::new();
    small.put("n1", labelled(pod("db", 1, 900), "db")).put("n2", pod("peer", 9, 900));
    assert_eq!(
        small.outcome(&with_rules(pod("high", 9, 600), rules)),
        "0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 node(s) didn't match pod affinity \
         rules."
    );
}

#[test]
fn a_crowded_zone_is_thinned_for_a_pod_that_must_be_spread() {
    let selector = Some(Selector::from_labels(Labels::new([("app", "web")])));
    let spread = SpreadConstraint {
        max_skew: 1,
        topology_key: ZONE.into(),
        required: true,
        selector,
        min_domains: 1,
        honors_node_affinity: true,
        honors_node_taints: false,
        match_label_keys: Vec::new(),
    };
    let mut small = Small::new();
    small.put("n1", pod("one", 1, 10)).put("n1", pod("two", 2, 10)).put("n2", labelled(pod("peer", 9, 1_000), "other"));
    let high = with_rules(pod("high", 9, 10), PlacementRules { spread: vec![spread], ..PlacementRules::default() });
    assert_eq!(small.outcome(&high), "n1 for two one", "the other zone has none, so both must go");
}

#[test]
fn the_pod_that_holds_a_claim_for_one_pod_makes_room() {
    let mut claim = PersistentVolumeClaim { meta: Meta::named("default", "c"), ..PersistentVolumeClaim::default() };
    claim.spec.access_modes = vec![AccessMode::ReadWriteOncePod];
    claim.spec.volume = "v".into();
    claim.status.phase = ClaimPhase::Bound;
    claim.meta.annotations = Labels::new([(BIND_COMPLETED, "yes")]);
    let volume = crate::model::PersistentVolume { meta: Meta::named("", "v"), ..Default::default() };
    let using = |mut pod: Pod| {
        let mut spec = (*pod.spec).clone();
        let source = PodVolumeSource::Claim { name: "c".into(), read_only: false };
        spec.volumes = vec![PodVolume { name: "v".into(), source }];
        pod.spec = Shared::new(spec);
        pod
    };
    let mut small = Small::new();
    small.placement.set_object(&Object::PersistentVolumeClaim(Arc::new(claim)));
    small.placement.set_object(&Object::PersistentVolume(Arc::new(volume)));
    small.put("n1", using(pod("holder", 1, 10))).put("n1", pod("quiet", 0, 10)).put("n2", pod("other", 0, 10));
    assert_eq!(small.outcome(&using(pod("high", 9, 10))), "n1 for holder", "elsewhere it does not help");
}

#[test]
fn pods_of_lower_priority_leave_room_for_a_nominated_pod_and_higher_ones_do_not() {
    let mut small = Small::with(&[("n1", "a")], PreemptionArgs::default());
    small.put("n1", pod("there", 9, 400));
    let waits = pod("waits", 5, 400);
    let Placement { classes, nominations, .. } = &mut small.placement;
    let class = classes.of(&waits.spec, &Identity::of(&waits));
    nominations.set(classes, row(77), class, &"n1".into());
    let refused = small.placement.place_pod(row(1), &pod("equal", 5, 400));
    assert!(refused.unwrap_err().starts_with("0/1 nodes are available: 1 Insufficient cpu."));
    assert_eq!(small.placement.place_pod(row(77), &waits).as_deref(), Ok("n1"), "it is not in its own way");
    small.placement.remove_pod(row(77));
    let Placement { classes, nominations, .. } = &mut small.placement;
    let class = classes.of(&waits.spec, &Identity::of(&waits));
    nominations.set(classes, row(77), class, &"n1".into());
    assert_eq!(small.placement.place_pod(row(2), &pod("higher", 6, 400)).as_deref(), Ok("n1"));
}

#[test]
fn the_nominated_node_is_tried_first_and_alone() {
    let mut small = Small::new();
    small.put("n1", pod("there", 1, 100));
    let mut waits = pod("waits", 5, 400);
    waits.status.nominated_node = Some("n1".into());
    let explained = small.placement.place_explained(row(1), &waits, Detail::Place);
    assert_eq!((explained.node.as_deref(), explained.checked), (Ok("n1"), 1), "the empty node would score better");
}

#[test]
fn the_search_for_candidates_ends_when_there_are_enough_and_one_breaks_no_budget() {
    let names: Vec<String> = (0..20).map(|number| format!("n{number:02}")).collect();
    let nodes: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "a")).collect();
    let args = PreemptionArgs { candidate_percent_min: 10, candidates_min: 3 };
    let high = pod("high", 9, 900);
    let candidates = |guarded: bool, seed_steps: usize| {
        let mut small = Small::with(&nodes, args);
        for name in &names {
            small.put(name, labelled(pod(name, 1, 900), if guarded && name != "n07" { "guarded" } else { "free" }));
        }
        small.budget("guarded", 0, &[]);
        let class = small.placement.classes.of(&high.spec, &Identity::of(&high));
        small.placement.classes.hold(class);
        small.placement.searches += seed_steps as u64;
        let seeker = crate::scheduler::preemption::Seeker::of(row(99), class, &high);
        let look = small.placement.look(seeker).expect("there are nodes");
        let found = small.placement.post_filter(seeker, look, crate::scheduler::preemption::Reach::Enough);
        let crate::scheduler::preemption::Preemption::Possible(choice) = found.preemption else {
            panic!("there is room")
        };
        let name = |place: usize| small.placement.cache.slot(choice.candidates[place].slot).name.to_string();
        (choice.candidates.len(), name(0), name(choice.chosen))
    };
    let starts: std::collections::BTreeSet<String> = (0..8).map(|step| candidates(false, step).1).collect();
    assert!(starts.len() > 2, "the place to begin is drawn: {starts:?}");
    assert_eq!(candidates(false, 0).0, 3);
    let (count, _, chosen) = candidates(true, 0);
    assert!(count >= 3, "{count}");
    assert_eq!(chosen, "n07", "the search went on to a node whose pod is not guarded");
}
