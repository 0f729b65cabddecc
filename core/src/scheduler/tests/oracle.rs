//! The cached search against the plain one, over random clusters that change.

use std::sync::Arc;

use proptest::prelude::*;

use crate::config::{
    AddedAffinity, BalanceArgs, FitArgs, NodeTerm, PluginArgs, PodAffinityArgs, Point, ProfileConfig, SchedulerConfig,
    ScoringStrategy, SpreadDefaults,
};
use crate::digest::Shared;
use crate::id::RowId;
use crate::model::{
    BIND_COMPLETED, BindingMode, CSINode, ClaimSpec, Container, ContainerPort, CsiNodeDriver, Disk, Labels, Meta,
    NO_PROVISIONER, Node, NodeImage, NodeSpec, NodeStatus, Object, PersistentVolume, PersistentVolumeClaim,
    PlacementRules, Pod, PodSpec, PodTerm, PodVolume, PodVolumeSource, PreferredNodeTerm, Protocol, ResourceName,
    Resources, Selector, SelectorOperator, SelectorRequirement, Service, SpreadConstraint, StorageClass, Taint,
    TaintEffect, Toleration, TolerationOperator, VolumePhase, VolumeSource, WeightedPodTerm,
};
use crate::scheduler::explain::{Detail, Explained, NodeVerdict};
use crate::scheduler::first_look;
use crate::scheduler::placement::Placement;
use crate::scheduler::reference::{Case, Search, decide};
use crate::scheduler::relations::Relations;
use crate::scheduler::sampling::TieBreak;
use crate::scheduler::traits::Identity;

/// One change of the cluster. Numbers choose among what there is.
#[derive(Clone, Debug)]
pub(super) enum Step {
    SetNode(Shape),
    /// A volume of a zone is there for claims, or is taken.
    SetVolume {
        zone: u8,
        free: bool,
    },
    RemoveNode {
        name: u8,
    },
    Place {
        class: u8,
    },
    RemovePod {
        number: u16,
    },
}

/// What a node is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    name: u8,
    cpu_milli: i64,
    memory_bytes: i64,
    pods: i64,
    zone: u8,
    taint: u8,
    cordoned: bool,
    disk: u8,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => shape().prop_map(Step::SetNode),
        1 => (0..24_u8).prop_map(|name| Step::RemoveNode { name }),
        8 => (0..CLASSES).prop_map(|class| Step::Place { class }),
        3 => any::<u16>().prop_map(|number| Step::RemovePod { number }),
        2 => (0..3_u8, any::<bool>()).prop_map(|(zone, free)| Step::SetVolume { zone, free }),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    (0..24_u8, 0..5_i64, 0..5_i64, 0..6_i64, 0..4_u8, 0..6_u8, 0..8_u8, 0..4_u8).prop_map(
        |(name, cpu, memory, pods, zone, taint, cordoned, disk)| Shape {
            name,
            cpu_milli: cpu * 1_000,
            memory_bytes: memory << 30,
            pods,
            zone,
            taint,
            cordoned: cordoned == 0,
            disk,
        },
    )
}

const CLASSES: u8 = 24;

fn node(shape: Shape) -> Node {
    let Shape { name, cpu_milli, memory_bytes, pods, zone, taint, cordoned, disk } = shape;
    let mut meta = Meta::named("", &format!("n{name}"));
    meta.labels = Labels::new([(HOSTNAME.to_string(), format!("n{name}")), ("disk".to_string(), format!("d{disk}"))]);
    if zone < 3 {
        meta.labels = meta.labels.with(ZONE, format!("z{zone}"));
    }
    let effect = [TaintEffect::NoSchedule, TaintEffect::PreferNoSchedule, TaintEffect::PreferNoSchedule];
    let taints = effect.into_iter().take(usize::from(taint.saturating_sub(2)));
    let taints = taints.zip(["x", "y", "z"]).skip(usize::from(taint == 4)).map(|(effect, key)| Taint {
        key: key.into(),
        value: "".into(),
        effect,
        added_at: None,
    });
    let mut allocatable = Resources { cpu_milli, memory_bytes, pods, ..Resources::default() };
    if disk == 1 {
        allocatable.extended.insert("example.com/gpu".into(), 2);
    }
    let image = NodeImage { names: vec!["web:latest".into()], size_bytes: 300 << 20 };
    let images = (disk > 1).then(|| vec![image].into());
    Node {
        meta,
        spec: NodeSpec { unschedulable: cordoned, taints: taints.collect() },
        status: NodeStatus { allocatable, images, ..NodeStatus::default() },
    }
}

const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";

fn app(value: &str) -> Selector {
    Selector::from_labels(Labels::new([("app", value)]))
}

fn spread_of(topology_key: &str, required: bool, number: u8) -> SpreadConstraint {
    SpreadConstraint {
        max_skew: 1,
        topology_key: topology_key.into(),
        required,
        selector: Some(app("a")),
        min_domains: if number.is_multiple_of(2) { 1 } else { 3 },
        honors_node_affinity: true,
        honors_node_taints: number.is_multiple_of(2),
        match_label_keys: Vec::new(),
    }
}

/// The rules about other pods of the classes from 8 on. All pods have the label `app: a` or `app: b`.
fn rules(number: u8) -> PlacementRules {
    let spread = |topology_key: &str, required| spread_of(topology_key, required, number);
    let near = |topology_key: &str, value| PodTerm {
        topology_key: topology_key.into(),
        selector: Some(app(value)),
        ..PodTerm::default()
    };
    let preferred = |weight, term| vec![WeightedPodTerm { weight, term }];
    let mut rules = PlacementRules::default();
    match number {
        8 | 9 => rules.spread = vec![spread(ZONE, true)],
        10 => rules.spread = vec![spread(HOSTNAME, true), spread(ZONE, false)],
        11 => rules.spread = vec![spread(HOSTNAME, false), spread(ZONE, false)],
        12 => rules.pod_affinity.required = vec![near(ZONE, "a")],
        13 => rules.pod_anti_affinity.required = vec![near(HOSTNAME, "b")],
        14 => {
            rules.pod_affinity.preferred = preferred(70, near(ZONE, "a"));
            rules.pod_anti_affinity.preferred = preferred(40, near(HOSTNAME, "a"));
        }
        // A selector without pairs; where the pod's own label comes in.
        19 => {
            let constraint = spread(ZONE, true);
            let match_label_keys = vec!["app".into()];
            rules.spread =
                vec![SpreadConstraint { selector: Some(Selector::default()), match_label_keys, ..constraint }];
        }
        // About pods of all namespaces.
        20 => {
            let namespace_selector = Some(Selector::default());
            rules.pod_anti_affinity.required = vec![PodTerm { namespace_selector, ..near(HOSTNAME, "a") }];
        }
        // About all pods but those like itself, and about others as well.
        21 => {
            let mismatch_label_keys = vec!["app".into()];
            let unlike = PodTerm { selector: Some(Selector::default()), mismatch_label_keys, ..near(ZONE, "a") };
            rules.pod_affinity.required = vec![unlike, near(ZONE, "a")];
        }
        // A namespace twice, and no label at all.
        22 => {
            let namespaces = vec!["default".into(), "other".into(), "default".into()];
            let anybody =
                PodTerm { selector: Some(Selector::default()), namespaces: namespaces.clone(), ..near(ZONE, "a") };
            rules.pod_affinity.preferred = preferred(30, anybody);
            rules.pod_anti_affinity.required = vec![PodTerm { namespaces, ..near(HOSTNAME, "b") }];
        }
        // Counted on some nodes only: see `spec`.
        23 => rules.spread = vec![spread(ZONE, true), spread(HOSTNAME, true), spread("disk", false)],
        _ => {}
    }
    rules
}

/// A pod of a class. Class 15 has no rules but belongs to a Service, so it is spread by default.
pub(super) fn pod(number: u8, second_profile: bool) -> Pod {
    let mut spec = spec(number);
    if second_profile {
        spec.scheduler_name = "second".into();
    }
    if number >= 8 {
        spec.rules = Some(Box::new(rules(number)));
    }
    let mut meta = Meta::named(if matches!(number, 20 | 22) { "other" } else { "default" }, "any");
    meta.labels = Labels::new([("app", if number.is_multiple_of(2) { "a" } else { "b" })]);
    if number == 15 {
        meta.labels = meta.labels.with("served", "yes");
    }
    spec.volumes = volumes(number);
    Pod { meta: meta.into(), spec: Shared::new(spec), ..Pod::default() }
}

/// Classes 16 to 18 have volumes: a claim that waits for its pod, a bound one with a zone, a disk for one pod.
fn volumes(number: u8) -> Vec<PodVolume> {
    let source = match number {
        16 => PodVolumeSource::Claim { name: "waiting".into(), read_only: false },
        17 => PodVolumeSource::Claim { name: "bound".into(), read_only: false },
        18 => PodVolumeSource::Disk(Disk::AwsElasticBlockStore { id: "d".into() }),
        _ => return Vec::new(),
    };
    vec![PodVolume { name: "v".into(), source }]
}

fn zonal(name: &str, zone: &str, free: bool) -> PersistentVolume {
    let (operator, values) = (SelectorOperator::In, vec![zone.into()]);
    let mut volume =
        PersistentVolume { meta: Meta::named("", name), storage_class: "late".into(), ..PersistentVolume::default() };
    volume.node_affinity = Some(vec![vec![SelectorRequirement { key: ZONE.into(), operator, values }]]);
    volume.source = VolumeSource::Csi { driver: "csi".into(), handle: name.into(), read_only: false };
    volume.status.phase = if free { VolumePhase::Available } else { VolumePhase::Bound };
    volume
}

/// What the classes with volumes need: one node can have one volume of the driver.
pub(super) fn set_storage(placement: &mut Placement) {
    let claim = |name: &str| PersistentVolumeClaim {
        meta: Meta::named("default", name),
        spec: ClaimSpec { storage_class: Some("late".into()), ..ClaimSpec::default() },
        ..PersistentVolumeClaim::default()
    };
    let mut bound = claim("bound");
    bound.spec.volume = "v".into();
    bound.meta.annotations = Labels::new([(BIND_COMPLETED, "yes")]);
    let mut volume = zonal("v", "z1", false);
    volume.meta.labels = Labels::new([(ZONE, "z1")]);
    let (meta, provisioner) = (Meta::named("", "late"), NO_PROVISIONER.into());
    let binding_mode = BindingMode::WaitForFirstConsumer;
    let class = StorageClass { meta, provisioner, binding_mode, ..StorageClass::default() };
    placement.set_object(&Object::StorageClass(Arc::new(class)));
    for claim in [claim("waiting"), bound] {
        placement.set_object(&Object::PersistentVolumeClaim(Arc::new(claim)));
    }
    placement.set_object(&Object::PersistentVolume(Arc::new(volume)));
    for node in 0..24 {
        let driver = CsiNodeDriver { name: "csi".into(), allocatable: Some(1), ..CsiNodeDriver::default() };
        let csi_node = CSINode { meta: Meta::named("", &format!("n{node}")), drivers: vec![driver] };
        placement.set_object(&Object::CSINode(Arc::new(csi_node)));
    }
}

fn service() -> Object {
    let meta = Meta::named("default", "served");
    let selector = Some(Labels::new([("served", "yes")]));
    Object::Service(Arc::new(Service { meta, selector, ..Service::default() }))
}

fn disk(value: &str) -> SelectorRequirement {
    SelectorRequirement { key: "disk".into(), operator: SelectorOperator::In, values: vec![value.into()] }
}

fn spec(number: u8) -> PodSpec {
    let requests =
        |cpu_milli, memory_mib: i64| Resources { cpu_milli, memory_bytes: memory_mib << 20, ..Resources::default() };
    let image = if number.is_multiple_of(3) { "web" } else { "other" }.into();
    let mut container = Container { image, requests: requests(250, 300), ..Container::default() };
    let mut spec = PodSpec::default();
    match number {
        23 => spec.node_selector = Labels::new([(ZONE, "z1")]),
        0 | 8.. => {}
        1 => container.requests = Resources::default(),
        2 => container.requests = requests(1_700, 100),
        3 => spec.required_node_affinity = vec![vec![disk("d1")], vec![disk("d2")]],
        4 => {
            let term = |weight, value| PreferredNodeTerm { weight, requirements: vec![disk(value)] };
            spec.preferred_node_affinity = vec![term(70, "d0"), term(30, "d2")];
        }
        5 => {
            let port = ContainerPort {
                name: "".into(),
                port: 80,
                host_port: Some(80),
                host_ip: None,
                protocol: Protocol::Tcp,
            };
            container.ports = vec![port];
        }
        6 => {
            spec.tolerations = vec![Toleration {
                key: "".into(),
                operator: TolerationOperator::Exists,
                value: "".into(),
                effect: None,
                seconds: None,
            }];
        }
        7 => {
            container.requests.extended.insert("example.com/gpu".into(), 1);
        }
    }
    spec.containers = vec![container];
    spec
}

/// Random profiles: other orders and weights, plugins missing, other arguments. Pods of even classes ask for the second.
fn profiles() -> impl Strategy<Value = Vec<ProfileConfig>> {
    let one = || {
        (any::<[u8; 19]>(), args(), 0..3_u8).prop_map(|(dice, args, percentage)| {
            let mut profile = ProfileConfig { args, ..ProfileConfig::default() };
            profile.percentage_of_nodes_to_score = [None, Some(0), Some(30)][usize::from(percentage)];
            for point in [Point::Filter, Point::Score] {
                let plugins = profile.points.get_mut(&point).expect("the default profile has every point");
                plugins.retain(|plugin| !dice[*plugin as usize].is_multiple_of(5));
                plugins.sort_by_key(|plugin| dice[*plugin as usize] % 16);
            }
            for (plugin, weight) in &mut profile.weights {
                *weight = 1 + u32::from(dice[*plugin as usize] % 7);
            }
            profile
        })
    };
    (one(), one()).prop_map(|(first, second)| vec![first, ProfileConfig { name: "second".into(), ..second }])
}

fn args() -> impl Strategy<Value = PluginArgs> {
    (0..4_u8, 0..4_u8, 0..4_u8, 0..4_u8).prop_map(|(strategy, resources, spread, added)| {
        let gpu = || ResourceName::named("example.com/gpu");
        let strategy = match strategy {
            0 => ScoringStrategy::LeastAllocated,
            1 => ScoringStrategy::MostAllocated,
            2 => ScoringStrategy::RequestedToCapacityRatio(vec![(0, 0), (40, 9), (100, 3)]),
            _ => ScoringStrategy::RequestedToCapacityRatio(vec![(30, 10), (80, 0)]),
        };
        let weights = [(ResourceName::Cpu, 3), (ResourceName::Memory, 1), (gpu(), 5)];
        let number = usize::from(resources.clamp(1, 3));
        let ignored = (resources == 0).then(|| "example.com/gpu".into()).into_iter().collect();
        let resources: Vec<_> = weights.into_iter().take(number).collect();
        let constraint = |key: &str, required| SpreadConstraint { selector: None, ..spread_of(key, required, 2) };
        PluginArgs {
            balance: BalanceArgs { resources: resources.iter().map(|(name, _)| name.clone()).collect() },
            fit: FitArgs { ignored, strategy, resources, ..FitArgs::default() },
            pod_affinity: PodAffinityArgs {
                required_term_weight: i64::from(added) * 7,
                ignore_terms_of_placed_pods: added == 2,
            },
            spread: match spread {
                0 | 1 => SpreadDefaults::System,
                2 => SpreadDefaults::List(vec![constraint(ZONE, true), constraint(HOSTNAME, false)]),
                _ => SpreadDefaults::List(vec![constraint(ZONE, false)]),
            },
            node_affinity: AddedAffinity {
                required: (added == 1).then(|| vec![disk_term("d1"), disk_term("d2")]),
                preferred: if added > 1 { vec![(20, disk_term("d0"))] } else { Vec::new() },
            },
            ..PluginArgs::default()
        }
    })
}

fn disk_term(value: &str) -> NodeTerm {
    NodeTerm { labels: vec![disk(value)], names: Vec::new() }
}

pub(super) fn apply(placement: &mut Placement, step: &Step, rows: &mut Vec<RowId>, pods: &[Pod]) {
    match *step {
        Step::SetVolume { zone, free } => {
            let volume = zonal(&format!("free{zone}"), &format!("z{zone}"), free);
            placement.set_object(&Object::PersistentVolume(Arc::new(volume)));
        }
        Step::SetNode(shape) => placement.set_node(&Arc::new(node(shape))),
        Step::RemoveNode { name } => placement.remove_node(&format!("n{name}").into()),
        Step::Place { class } => {
            let row = RowId { index: rows.len() as u32, generation: 0 };
            rows.push(row);
            // A refusal is as good an outcome as a node here.
            let explained = placement.place_explained(row, &pods[usize::from(class)], Detail::Nodes);
            check_details(&explained);
        }
        Step::RemovePod { number } if !rows.is_empty() => {
            placement.remove_pod(rows[usize::from(number) % rows.len()]);
        }
        Step::RemovePod { .. } => {}
    }
}

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
