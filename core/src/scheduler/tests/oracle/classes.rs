//! The pods that are to be placed, in classes of like pods: what they ask for, where they may go, whom they mind.

use super::{HOSTNAME, ZONE};
use crate::digest::Shared;
use crate::model::{
    Container, ContainerPort, Disk, Labels, Meta, PlacementRules, Pod, PodSpec, PodTerm, PodVolume, PodVolumeSource,
    PreferredNodeTerm, Protocol, Resources, Selector, SelectorOperator, SelectorRequirement, SpreadConstraint,
    Toleration, TolerationOperator, WeightedPodTerm,
};

/// How many classes there are.
pub(super) const CLASSES: u8 = 24;

fn app(value: &str) -> Selector {
    Selector::from_labels(Labels::new([("app", value)]))
}

pub(super) fn spread_of(topology_key: &str, required: bool, number: u8) -> SpreadConstraint {
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
pub(super) fn rules(number: u8) -> PlacementRules {
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
pub(in crate::scheduler::tests) fn pod(number: u8, second_profile: bool) -> Pod {
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

pub(super) fn disk(value: &str) -> SelectorRequirement {
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
