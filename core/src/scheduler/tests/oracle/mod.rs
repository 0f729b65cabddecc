//! The cached search against the plain one, over random clusters that change.
//!
//! `cluster` has the nodes, the storage and their changes, `classes` the pods, `profiles` the configurations;
//! `deployments` is a larger cluster.

mod classes;
mod cluster;
mod deployments;
mod profiles;

use proptest::prelude::*;

use crate::config::SchedulerConfig;
use crate::model::Pod;
use crate::scheduler::explain::{Explained, NodeVerdict};
use crate::scheduler::first_look;
use crate::scheduler::placement::Placement;
use crate::scheduler::reference::{Case, Search, decide};
use crate::scheduler::relations::Relations;
use crate::scheduler::sampling::TieBreak;
use crate::scheduler::traits::Identity;
use classes::CLASSES;
use cluster::service;
use profiles::profiles;

pub(super) use classes::pod;
pub(super) use cluster::{Step, apply, set_storage, step};

const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";

/// Top and details are read from different places: they must tell one story.
pub(super) fn check_details(explained: &Explained) {
    let takes = |it: &&NodeVerdict| it.refused_by.is_none();
    let feasible: Vec<&NodeVerdict> = explained.nodes.iter().filter(takes).collect();
    assert_eq!(feasible.len(), explained.feasible as usize);
    if let Some(score) = explained.top_score {
        let best = feasible.iter().map(|it| it.total()).max();
        let top = feasible.iter().filter(|it| Some(it.total()) == best).map(|it| it.node.clone());
        assert_eq!((best, top.collect::<Vec<_>>()), (Some(score), explained.top.clone()));
    }
    let chosen = explained.node.as_ref().ok();
    assert!(chosen.is_none_or(|node| explained.top.contains(node)), "{explained:?}");
}

/// Both searches for every class, from every start would be too many: some starts and ends.
pub(super) fn compare(placement: &mut Placement, pods: &[Pod], salt: u64) -> Result<(), TestCaseError> {
    placement.cache.refresh();
    let nodes = placement.cache.node_count();
    if nodes == 0 {
        return Ok(());
    }
    for (index, pod) in pods.iter().enumerate() {
        let class = placement.classes.of(&pod.spec, &Identity::of(pod));
        placement.classes.hold(class);
        let profiles = placement.classes.profiles().clone();
        let profile = &profiles[placement.classes.profile_number(class).expect("the pods have a profile")];
        let (cache, classes) = (&mut placement.cache, &mut placement.classes);
        let relations = Relations::of(profile, cache, classes, &placement.around, class);
        let (traits, board) = placement.classes.board(class);
        board.sync(profile, &placement.cache, traits, relations.is_some());
        let (cache, classes) = (&placement.cache, &placement.classes);
        let around = &placement.around;
        let case = Case { profile, cache, classes, around, class, relations: relations.as_ref() };
        let board = classes.board_of(class);
        for (position, slot) in cache.order().iter().enumerate() {
            let cached = case.with_related(board.refusal(position as u32), *slot);
            prop_assert_eq!(cached, case.refusal(*slot), "class {} in slot {}", index, slot);
        }
        let mix = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(index as u32);
        for tie_break in [TieBreak::First, TieBreak::Drawn(mix)] {
            let search = Search {
                start: (mix % u64::from(nodes)) as u32,
                wanted: 1 + (mix >> 32) as u32 % nodes,
                tie_break,
                draw: mix,
            };
            let complete = Search { wanted: nodes, ..search };
            for search in [search, complete] {
                let plain = decide(case, search);
                prop_assert_eq!(board.decide(case, search), plain, "class {} {:?}", index, search);
                if let Some(in_one_pass) = first_look::decide(case, search) {
                    prop_assert_eq!(in_one_pass, plain, "in one pass, class {} {:?}", index, search);
                }
            }
        }
        if index % 2 == 0 {
            // Odd classes stay held, so their boards are brought up to date and not made anew.
            placement.classes.release(class);
        }
    }
    // As if memory were short: half of the boards go.
    placement.classes.trim_boards(u32::MAX);
    Ok(())
}

fn run(mut placement: Placement, steps: &[Step], pods: &[Pod], salt: u64) -> Result<(), TestCaseError> {
    placement.set_object(&service());
    set_storage(&mut placement);
    let mut rows = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        apply(&mut placement, step, &mut rows, pods);
        if number.is_multiple_of(3) {
            compare(&mut placement, pods, salt.wrapping_add(number as u64 + 1))?;
        }
    }
    compare(&mut placement, pods, salt)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_cached_search_always_agrees_with_looking_at_every_node(
        steps in proptest::collection::vec(step(), 1..120),
        salt in any::<u64>(),
    ) {
        let pods: Vec<Pod> = (0..CLASSES).map(|number| pod(number, false)).collect();
        run(Placement::new(salt, &SchedulerConfig::default()), &steps, &pods, salt)?;
    }

    #[test]
    fn the_two_searches_agree_whatever_the_configuration(
        steps in proptest::collection::vec(step(), 1..80),
        profiles in profiles(),
        salt in any::<u64>(),
    ) {
        let pods: Vec<Pod> = (0..CLASSES).map(|number| pod(number, number.is_multiple_of(2))).collect();
        run(Placement::new(salt, &SchedulerConfig { profiles, ..SchedulerConfig::default() }), &steps, &pods, salt)?;
    }
}
