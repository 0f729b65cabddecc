//! The cached search against the plain one, over random clusters that change.

use std::sync::Arc;

use proptest::prelude::*;

use crate::config::SchedulerConfig;
use crate::digest::Shared;
use crate::id::RowId;
use crate::model::{
    BIND_COMPLETED, BindingMode, CSINode, ClaimSpec, Container, ContainerPort, CsiNodeDriver, Disk, Labels, Meta,
    NO_PROVISIONER, Node, NodeImage, NodeSpec, NodeStatus, Object, PersistentVolume, PersistentVolumeClaim,
    PlacementRules, Pod, PodSpec, PodTerm, PodVolume, PodVolumeSource, PreferredNodeTerm, Protocol, Resources,
    Selector, SelectorOperator, SelectorRequirement, Service, SpreadConstraint, StorageClass, Taint, TaintEffect,
    Toleration, TolerationOperator, VolumePhase, VolumeSource, WeightedPodTerm,
};
use crate::scheduler::placement::Placement;
use crate::scheduler::reference::{Case, Search, decide};
use crate::scheduler::relations::Relations;
use crate::scheduler::sampling::TieBreak;
use crate::scheduler::traits::Identity;

/// One change of the cluster. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
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
struct Shape {
    name: u8,
    cpu_milli: i64,
    memory_bytes: i64,
    pods: i64,
    zone: u8,
    taint: u8,
    cordoned: bool,
    disk: u8,
}

fn step() -> impl Strategy<Value = Step> {
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

const CLASSES: u8 = 19;

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

/// The rules about other pods of the classes from 8 on. All pods have the label `app: a` or `app: b`.
fn rules(number: u8) -> PlacementRules {
    let app = |value: &str| Selector::from_labels(Labels::new([("app", value)]));
    let spread = |topology_key: &str, required| SpreadConstraint {
        max_skew: 1,
        topology_key: topology_key.into(),
        required,
        selector: Some(app("a")),
        min_domains: if number.is_multiple_of(2) { 1 } else { 3 },
        honors_node_affinity: true,
        honors_node_taints: number.is_multiple_of(2),
        match_label_keys: Vec::new(),
    };
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
        _ => {}
    }
    rules
}

/// A pod of a class. The last class has no rules but belongs to a Service, so it is spread by default.
fn pod(number: u8) -> Pod {
    let mut spec = spec(number);
    if number >= 8 {
        spec.rules = Some(Box::new(rules(number)));
    }
    let mut meta = Meta::named("default", "any");
    meta.labels = Labels::new([("app", if number.is_multiple_of(2) { "a" } else { "b" })]);
    if number == 15 {
        meta.labels = meta.labels.with("served", "yes");
    }
    spec.volumes = volumes(number);
    Pod { meta: meta.into(), spec: Shared::new(spec), ..Pod::default() }
}

/// The last classes have volumes: a claim that waits for its pod, a bound one with a zone, a disk for one pod.
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
fn set_storage(placement: &mut Placement) {
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

fn spec(number: u8) -> PodSpec {
    let requests =
        |cpu_milli, memory_mib: i64| Resources { cpu_milli, memory_bytes: memory_mib << 20, ..Resources::default() };
    let image = if number.is_multiple_of(3) { "web" } else { "other" }.into();
    let mut container = Container { image, requests: requests(250, 300), ..Container::default() };
    let mut spec = PodSpec::default();
    let disk = |value: &str| SelectorRequirement {
        key: "disk".into(),
        operator: SelectorOperator::In,
        values: vec![value.into()],
    };
    match number {
        0 | 8.. => {}
        1 => container.requests = Resources::default(),
        2 => container.requests = requests(1_700, 100),
        3 => spec.required_node_affinity = vec![vec![disk("d1")], vec![disk("d2")]],
        4 => {
            let term = |weight, value| PreferredNodeTerm { weight, requirements: vec![disk(value)] };
            spec.preferred_node_affinity = vec![term(70, "d0"), term(30, "d2")];
        }
        5 => {
            let port = ContainerPort { name: "".into(), port: 80, host_port: Some(80), protocol: Protocol::Tcp };
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

fn apply(placement: &mut Placement, step: &Step, rows: &mut Vec<RowId>, pods: &[Pod]) {
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
            let _placed = placement.place_pod(row, &pods[usize::from(class)]);
        }
        Step::RemovePod { number } if !rows.is_empty() => {
            placement.remove_pod(rows[usize::from(number) % rows.len()]);
        }
        Step::RemovePod { .. } => {}
    }
}

/// Both searches for every class, from every start would be too many: some starts and ends.
fn compare(placement: &mut Placement, pods: &[Pod], salt: u64) -> Result<(), TestCaseError> {
    placement.cache.refresh();
    let nodes = placement.cache.node_count();
    if nodes == 0 {
        return Ok(());
    }
    for (index, pod) in pods.iter().enumerate() {
        let class = placement.classes.of(&pod.spec, &Identity::of(pod));
        placement.classes.hold(class);
        let profile = &placement.profile;
        let (cache, classes) = (&mut placement.cache, &mut placement.classes);
        let relations = Relations::of(profile, cache, classes, &placement.around, class);
        let (traits, board) = placement.classes.board(class);
        board.sync(profile, &placement.cache, traits);
        let (cache, classes) = (&placement.cache, &placement.classes);
        let case = Case { profile, cache, classes, class, relations: relations.as_ref() };
        let board = classes.board_of(class);
        let mix = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(index as u32);
        for tie_break in [TieBreak::First, TieBreak::Drawn(mix)] {
            let search =
                Search { start: (mix % u64::from(nodes)) as u32, wanted: 1 + (mix >> 32) as u32 % nodes, tie_break };
            let complete = Search { wanted: nodes, ..search };
            for search in [search, complete] {
                prop_assert_eq!(board.decide(case, search), decide(case, search), "class {} {:?}", index, search);
            }
        }
        if index % 2 == 0 {
            // Odd classes stay held, so their boards are brought up to date and not made anew.
            placement.classes.release(class);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_cached_search_always_agrees_with_looking_at_every_node(
        steps in proptest::collection::vec(step(), 1..120),
        salt in any::<u64>(),
    ) {
        let pods: Vec<Pod> = (0..CLASSES).map(pod).collect();
        let mut placement = Placement::new(salt, &SchedulerConfig::default());
        placement.set_object(&service());
        set_storage(&mut placement);
        let mut rows = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            apply(&mut placement, step, &mut rows, &pods);
            if number.is_multiple_of(3) {
                compare(&mut placement, &pods, salt.wrapping_add(number as u64 + 1))?;
            }
        }
        compare(&mut placement, &pods, salt)?;
    }
}
