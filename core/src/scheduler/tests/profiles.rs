//! Stories of profiles: who chooses them, and what their plugins and order change.

use std::sync::Arc;

use super::{node_of, pod};
use crate::config::{Config, Plugin, Point, ProfileConfig, SchedulerConfig, ScoringStrategy, Ties};
use crate::digest::Shared;
use crate::id::{Name, RowId};
use crate::model::{
    Labels, Meta, Node, PlacementRules, Pod, PodSpec, PodTerm, Resources, Selector, SelectorOperator,
    SelectorRequirement,
};
use crate::scheduler::explain::{Detail, Explained};
use crate::scheduler::placement::Placement;
use crate::testbed::Testbed;
use crate::time::Span;

fn placement(profile: ProfileConfig) -> Placement {
    let config = SchedulerConfig { ties: Ties::First, profiles: vec![profile], ..SchedulerConfig::default() };
    let mut placement = Placement::new(1, &config);
    for name in ["n1", "n2", "n3"] {
        let mut node = Node { meta: Meta::named("", name), ..Node::default() };
        node.meta.labels = Labels::new([("kubernetes.io/hostname", name)]);
        node.status.allocatable =
            Resources { cpu_milli: 1_000, memory_bytes: 1 << 30, pods: 10, ..Resources::default() };
        placement.set_node(&Arc::new(node));
    }
    placement
}

fn placed(placement: &mut Placement, number: u32, pod: &Pod) -> Explained {
    placement.place_explained(RowId { index: number, generation: 0 }, pod, Detail::Nodes)
}

fn with_rules(mut pod: Pod, change: impl FnOnce(&mut PodSpec, &mut PlacementRules)) -> Pod {
    let (mut spec, mut rules) = ((*pod.spec).clone(), PlacementRules::default());
    change(&mut spec, &mut rules);
    pod.spec = Shared::new(PodSpec { rules: Some(Box::new(rules)), ..spec });
    pod
}

#[test]
fn pods_choose_a_profile_by_name_and_nobody_places_those_that_name_none() {
    let mut packing = ProfileConfig { name: "packing".into(), ..ProfileConfig::default() };
    packing.points.insert(Point::Score, vec![Plugin::NodeResourcesFit]);
    packing.args.fit.strategy = ScoringStrategy::MostAllocated;
    let mut config = Config::default();
    config.scheduler.profiles.push(packing);
    let mut bed = Testbed::new(config);
    bed.add_node(0, "n1", "a", 4_000, 8 << 30);
    bed.add_node(1, "n2", "b", 4_000, 8 << 30);
    let of = |name: &str, scheduler: &str| {
        let mut pod = pod(name, 500);
        pod.spec = Shared::new(PodSpec { scheduler_name: scheduler.into(), ..(*pod.spec).clone() });
        pod
    };
    for name in ["s1", "s2"] {
        bed.create(of(name, "default-scheduler"));
    }
    assert_ne!(node_of(&bed, "s1"), node_of(&bed, "s2"), "{:#?}", bed.told());
    bed.create(of("p1", "packing"));
    for name in ["p2", "p3"] {
        bed.create(of(name, "packing"));
        assert_eq!(node_of(&bed, name), node_of(&bed, "p1"), "{:#?}", bed.told());
    }
    bed.create(of("x", "nobody"));
    bed.run_for(Span::from_secs(400));
    assert_eq!(node_of(&bed, "x"), None);
}

#[test]
fn the_plugin_that_the_profile_asks_first_gives_the_reason() {
    let mut lonely = pod("p", 600);
    lonely.meta.labels = Labels::new([("app", "a")]);
    let lonely = with_rules(lonely, |_, rules| {
        let selector = Some(Selector::from_labels(Labels::new([("app", "a")])));
        let topology_key = Name::from("kubernetes.io/hostname");
        rules.pod_anti_affinity.required = vec![PodTerm { topology_key, selector, ..PodTerm::default() }];
    });
    let mut reversed = ProfileConfig::default();
    reversed.points.get_mut(&Point::Filter).expect("the default profile filters").reverse();
    for (profile, plugin) in [(ProfileConfig::default(), "NodeResourcesFit"), (reversed, "InterPodAffinity")] {
        let mut placement = placement(profile);
        for number in 0..3 {
            assert!(placed(&mut placement, number, &lonely).node.is_ok());
        }
        let refused = placed(&mut placement, 3, &lonely);
        assert_eq!(refused.refused_by, [plugin], "{:?}", refused.node);
        assert!(refused.nodes.iter().all(|node| node.refused_by == Some(plugin)));
    }
}

#[test]
fn without_scores_the_first_node_that_takes_the_pod_gets_it() {
    let mut profile = ProfileConfig::default();
    profile.points.insert(Point::Score, Vec::new());
    let mut placement = placement(profile);
    let found: Vec<(Option<Name>, u32)> = (0..4)
        .map(|number| placed(&mut placement, number, &pod("p", 100)))
        .map(|explained| (explained.node.ok(), explained.checked))
        .collect();
    let at = |name: &str| (Some(Name::from(name)), 1);
    assert_eq!(found, [at("n1"), at("n2"), at("n3"), at("n1")]);
}

#[test]
fn nodes_that_a_pod_does_not_name_are_not_looked_at_and_names_can_exclude_each_other() {
    let named = |names: &[&str]| {
        with_rules(pod("p", 100), |spec, rules| {
            spec.required_node_affinity = vec![Vec::new()];
            let is = |name: &&str| SelectorRequirement {
                key: "metadata.name".into(),
                operator: SelectorOperator::In,
                values: vec![(*name).into()],
            };
            rules.required_node_names = vec![names.iter().map(is).collect()];
        })
    };
    let mut placement = placement(ProfileConfig::default());
    let found = placed(&mut placement, 0, &named(&["n2"]));
    assert_eq!((found.node, found.feasible, found.checked), (Ok("n2".into()), 1, 1));
    let missing = placed(&mut placement, 1, &named(&["n9"]));
    let text = "0/3 nodes are available: 3 node(s) didn't satisfy plugin(s) [NodeAffinity].";
    assert_eq!((missing.node, missing.refused_by), (Err(text.to_string()), vec!["NodeAffinity"]));
    let conflict = placed(&mut placement, 2, &named(&["n1", "n2"]));
    assert_eq!(conflict.node, Err("0/3 nodes are available: pod affinity terms conflict.".to_string()));
    assert_eq!((conflict.refused_by, conflict.checked), (vec!["NodeAffinity"], 0));
}
