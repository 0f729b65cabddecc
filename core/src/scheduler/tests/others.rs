//! Stories of pods that mind other pods, and of pods behind gates.

use std::sync::Arc;

use super::{failures, node_of, pod};
use crate::api::{Propagation, Request};
use crate::config::{Config, SchedulerConfig};
use crate::digest::Shared;
use crate::id::{RowId, Uid};
use crate::model::{
    AccessMode, ClaimSpec, ConditionKind, Kind, Labels, Meta, Node, Object, ObjectKey, OwnerReference,
    PersistentVolume, PersistentVolumeClaim, PlacementRules, Pod, PodSpec, PodTerm, PodVolume, PodVolumeSource,
    ReplicaSet, Resources, Selector, SpreadConstraint,
};
use crate::scheduler::explain::Detail;
use crate::scheduler::placement::Placement;
use crate::testbed::Testbed;
use crate::time::Span;

const ZONE: &str = "topology.kubernetes.io/zone";

fn labelled(name: &str, app: &str) -> Pod {
    let mut pod = pod(name, 100);
    pod.meta.labels = Labels::new([("app", app)]);
    pod
}

fn with_rules(mut pod: Pod, rules: PlacementRules) -> Pod {
    pod.spec = Shared::new(PodSpec { rules: Some(Box::new(rules)), ..(*pod.spec).clone() });
    pod
}

fn term(app: &str) -> PodTerm {
    let selector = Some(Selector::from_labels(Labels::new([("app", app)])));
    PodTerm { topology_key: ZONE.into(), selector, ..PodTerm::default() }
}

fn bed() -> Testbed {
    let mut bed = Testbed::new(Config::default());
    bed.add_node(0, "n1", "a", 1_000, 1 << 30);
    bed.add_node(1, "n2", "b", 1_000, 1 << 30);
    bed
}

fn delete(bed: &mut Testbed, name: &str) {
    let key = ObjectKey::new(Kind::Pod, "default", name);
    bed.request(Request::Delete { key, uid: None, grace: Some(Span::ZERO), propagation: Propagation::Background });
    bed.run_for(Span::from_secs(3));
}

#[test]
fn a_gated_pod_is_not_tried_before_its_gates_are_gone() {
    let mut bed = bed();
    let gated = PlacementRules { scheduling_gates: vec!["example.com/wait".into()], ..PlacementRules::default() };
    bed.create(with_rules(pod("p", 100), gated));
    bed.run_for(Span::from_secs(400));
    assert_eq!((node_of(&bed, "p"), failures(&bed, "p").len()), (None, 0), "{:#?}", bed.told());
    let seen = bed.get::<Pod>("default", "p").expect("the pod is there");
    let condition = seen.status.conditions.get(ConditionKind::PodScheduled).expect("admission has said so");
    assert_eq!(&*condition.reason, "SchedulingGated");
    let free = PodSpec { rules: None, ..(*seen.spec).clone() };
    let object = Object::Pod(Arc::new(Pod { spec: Shared::new(free), ..(*seen).clone() }));
    bed.request(Request::Update { object, expected: None });
    bed.run_for(Span::from_secs(1));
    assert!(node_of(&bed, "p").is_some(), "{:#?}", bed.told());
}

#[test]
fn a_pod_that_wants_company_waits_until_it_comes_and_goes_to_its_zone() {
    let mut bed = bed();
    let mut rules = PlacementRules::default();
    rules.pod_affinity.required = vec![term("db")];
    bed.create(with_rules(labelled("web", "web"), rules));
    let failed = failures(&bed, "web");
    assert!(failed[0].contains("0/2 nodes are available: 2 node(s) didn't match pod affinity rules."), "{failed:?}");
    bed.run_for(Span::from_secs(10));
    bed.create(labelled("other", "other"));
    bed.run_for(Span::from_secs(10));
    assert_eq!(failures(&bed, "web").len(), 1, "a pod that is not meant helps nobody");
    bed.create(labelled("db", "db"));
    bed.run_for(Span::from_secs(1));
    assert!(node_of(&bed, "db").is_some());
    assert_eq!(node_of(&bed, "web"), node_of(&bed, "db"), "{:#?}", bed.told());
}

#[test]
fn a_pod_that_shuns_two_kinds_is_tried_only_when_one_goes_that_is_both() {
    let mut bed = bed();
    for name in ["a1", "a2", "a3"] {
        bed.create(labelled(name, "a"));
    }
    let mut rules = PlacementRules::default();
    rules.pod_anti_affinity.required = vec![term("a"), term("b")];
    bed.create(with_rules(labelled("loner", "l"), rules.clone()));
    let failed = failures(&bed, "loner");
    assert!(failed[0].contains("2 node(s) didn't match pod anti-affinity rules."), "{failed:?}");
    bed.run_for(Span::from_secs(10));
    delete(&mut bed, "a1");
    assert_eq!(failures(&bed, "loner").len(), 1, "no pod is `a` and `b` at once, so nobody's end counts");
    rules.pod_anti_affinity.required = vec![term("a")];
    bed.create(with_rules(labelled("shy", "s"), rules));
    bed.run_for(Span::from_secs(10));
    delete(&mut bed, "a2");
    delete(&mut bed, "a3");
    assert!(node_of(&bed, "shy").is_some(), "{:#?}", bed.told());
}

#[test]
fn placed_pods_keep_those_away_that_they_shun() {
    let mut bed = bed();
    let mut rules = PlacementRules::default();
    rules.pod_anti_affinity.required = vec![term("web")];
    for name in ["guard-1", "guard-2"] {
        bed.create(with_rules(labelled(name, "web"), rules.clone()));
    }
    bed.create(labelled("web", "web"));
    assert_ne!(node_of(&bed, "guard-1"), node_of(&bed, "guard-2"), "{:#?}", bed.told());
    let failed = failures(&bed, "web");
    assert!(failed[0].contains("2 node(s) didn't satisfy existing pods anti-affinity rules."), "{failed:?}");
}

#[test]
fn a_required_spread_holds_a_pod_back_until_the_emptier_zone_has_room() {
    let mut bed = bed();
    let constraint = SpreadConstraint {
        max_skew: 1,
        topology_key: ZONE.into(),
        required: true,
        selector: Some(Selector::from_labels(Labels::new([("app", "web")]))),
        min_domains: 1,
        honors_node_affinity: true,
        honors_node_taints: false,
        match_label_keys: Vec::new(),
    };
    let rules = PlacementRules { spread: vec![constraint], ..PlacementRules::default() };
    for name in ["w1", "w2"] {
        bed.create(with_rules(labelled(name, "web"), rules.clone()));
    }
    assert_ne!(node_of(&bed, "w1"), node_of(&bed, "w2"), "{:#?}", bed.told());
    bed.create(pod("filler", 850));
    let filled = node_of(&bed, "filler").expect("there is room");
    for name in ["w3", "w4"] {
        bed.create(with_rules(labelled(name, "web"), rules.clone()));
    }
    assert_ne!(node_of(&bed, "w3"), Some(filled), "{:#?}", bed.told());
    let failed = failures(&bed, "w4");
    let text = "1 Insufficient cpu, 1 node(s) didn't match pod topology spread constraints.";
    assert!(failed[0].contains(text), "{failed:?}");
    bed.run_for(Span::from_secs(10));
    delete(&mut bed, "filler");
    assert!(node_of(&bed, "w4").is_some(), "{:#?}", bed.told());
}

#[test]
fn pods_of_a_replica_set_are_spread_by_default_and_those_of_nobody_are_not() {
    let mut placement = Placement::new(1, &SchedulerConfig::default());
    for (name, zone) in [("n1", "a"), ("n2", "a"), ("n3", "b")] {
        let mut node = Node { meta: Meta::named("", name), ..Node::default() };
        node.meta.labels = Labels::new([("kubernetes.io/hostname", name), (ZONE, zone)]);
        node.status.allocatable =
            Resources { cpu_milli: 4_000, memory_bytes: 8 << 30, pods: 110, ..Resources::default() };
        placement.set_node(&Arc::new(node));
    }
    let selector = Selector::from_labels(Labels::new([("app", "web")]));
    let meta = Meta::named("default", "web");
    placement.set_object(&Object::ReplicaSet(Arc::new(ReplicaSet { meta, selector, ..ReplicaSet::default() })));
    let mut owned = labelled("w", "web");
    let (kind, name, uid) = (Kind::ReplicaSet, "web".into(), Uid::default());
    owned.meta.owners = [OwnerReference { kind, name, uid, controller: true, block_owner_deletion: true }].into();
    placement.put(RowId { index: 0, generation: 0 }, &owned, &"n1".into());
    let mut spread = |pod: &Pod| -> Vec<(String, Option<i64>)> {
        let score =
            |scores: &[(&str, i64)]| scores.iter().find(|(name, _)| *name == "PodTopologySpread").map(|it| it.1);
        let row = RowId { index: 1, generation: 0 };
        let explained = placement.place_explained(row, pod, Detail::Nodes);
        placement.remove_pod(row);
        explained.nodes.iter().map(|it| (it.node.to_string(), score(&it.scores))).collect()
    };
    // Zones: ln(2 + 2) · pods + 4; nodes: ln(3 + 2) · pods + 2. n1: 3 + 6 = 9, n2: 1.4 + 6 = 7, n3: 6; twice the share.
    let of = |name: &str, score| (name.to_string(), score);
    assert_eq!(spread(&owned), [of("n1", Some(132)), of("n2", Some(176)), of("n3", Some(200))]);
    assert_eq!(spread(&labelled("x", "web")), [of("n1", None), of("n2", None), of("n3", None)]);
}

/// A pod that uses a claim.
fn with_claim(mut pod: Pod, claim: &str) -> Pod {
    let source = PodVolumeSource::Claim { name: claim.into(), read_only: false };
    let volumes = vec![PodVolume { name: "v".into(), source }];
    pod.spec = Shared::new(PodSpec { volumes, ..(*pod.spec).clone() });
    pod
}

#[test]
fn an_attempt_may_not_yet_know_of_the_claim_whose_change_woke_its_pod() {
    // A pod whose claim is bound by a volume that comes once the pod has waited long enough.
    let failures_with = |late_volume_news_percent: u8| {
        let scheduler = SchedulerConfig { late_volume_news_percent, ..SchedulerConfig::default() };
        let mut bed = Testbed::new(Config { scheduler, ..Config::default() });
        bed.add_node(0, "n1", "a", 4_000, 1 << 30);
        let spec = ClaimSpec { access_modes: vec![AccessMode::ReadWriteOnce], ..ClaimSpec::default() };
        let meta = Meta::named("default", "c");
        bed.create(PersistentVolumeClaim { meta, spec, ..PersistentVolumeClaim::default() });
        bed.create(with_claim(pod("p", 100), "c"));
        bed.run_for(Span::from_secs(20));
        assert_eq!(node_of(&bed, "p"), None);
        // The claim's status comes some time after its volume.
        bed.refuse(1, |request| {
            matches!(request, Request::UpdateStatus { object: Object::PersistentVolumeClaim(_), .. })
        });
        let access_modes = vec![AccessMode::ReadWriteOnce];
        bed.create(PersistentVolume { meta: Meta::named("", "v"), access_modes, ..PersistentVolume::default() });
        bed.run_for(Span::from_secs(60));
        assert_eq!(node_of(&bed, "p").as_deref(), Some("n1"), "{:#?}", bed.told());
        failures(&bed, "p").len()
    };
    let (never, always) = (failures_with(0), failures_with(100));
    assert!(never < always, "{never} and {always}");
}

#[test]
fn an_attempt_that_misses_the_new_claim_which_woke_its_pod_ends_in_an_error() {
    let told_with = |late_volume_news_percent: u8| {
        let scheduler = SchedulerConfig { late_volume_news_percent, ..SchedulerConfig::default() };
        let mut bed = Testbed::new(Config { scheduler, ..Config::default() });
        bed.add_node(0, "n1", "a", 4_000, 1 << 30);
        bed.create(with_claim(pod("p", 100), "c"));
        bed.run_for(Span::from_secs(20));
        let spec = ClaimSpec { access_modes: vec![AccessMode::ReadWriteOnce], ..ClaimSpec::default() };
        let claim = |name: &str| PersistentVolumeClaim {
            meta: Meta::named("default", name),
            spec: spec.clone(),
            ..Default::default()
        };
        bed.create(claim("c"));
        bed.run_for(Span::from_secs(20));
        let told: Vec<String> = failures(&bed, "p");
        // A pod that comes later than its claim does not miss it, however late the plugin is.
        bed.create(claim("d"));
        bed.run_for(Span::from_secs(1));
        bed.create(with_claim(pod("q", 100), "d"));
        bed.run_for(Span::from_secs(1));
        assert!(!failures(&bed, "q").iter().any(|line| line.contains("error getting PVC")), "{:#?}", bed.told());
        told.iter()
            .map(|line| {
                line.split_once("FailedScheduling").expect("its reason").1.trim_start_matches([':', ' ']).to_owned()
            })
            .collect::<Vec<_>>()
    };
    let missing = "0/1 nodes are available: persistentvolumeclaim \"c\" not found.";
    let unbound = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
    let missed = "running PreFilter plugin \"VolumeBinding\": error getting PVC \"default/c\": could not find \
                  v1.PersistentVolumeClaim \"default/c\"";
    let begins = |told: &[String], lines: &[&str]| {
        assert_eq!(told.len(), lines.len(), "{told:#?}");
        told.iter().zip(lines).for_each(|(line, begin)| assert!(line.starts_with(begin), "{line}"));
    };
    begins(&told_with(0), &[missing, unbound]);
    begins(&told_with(100), &[missing, missed, unbound]);
}
