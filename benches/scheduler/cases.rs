//! What is placed where: the clusters and the pods of the comparisons.

use std::sync::Arc;

use wavetank_core::digest::Shared;
use wavetank_core::model::{
    Container, Labels, Meta, Node, NodeStatus, PlacementRules, Pod, PodSpec, PodTerm, Resources, Selector,
    SpreadConstraint, WeightedPodTerm,
};

const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// How pods differ from each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// So many templates that differ in their requests, in turns.
    Templates(u32),
    /// Every pod has another request.
    Different,
    /// So many Deployments in turns, whose pods must be spread over zones and must not share a node.
    Hard(u32),
    /// The same by preference.
    Soft(u32),
}

/// One comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) nodes: u32,
    pub(crate) pods: u32,
    /// The share of nodes that is scored; 0 is kube-scheduler's adaptive default.
    pub(crate) percentage: u32,
    pub(crate) rounds: usize,
    /// The claim, if there is one: pods per CPU-second.
    pub(crate) rate_min: Option<f64>,
}

impl Case {
    /// What a line of output begins with.
    pub(crate) fn name(&self) -> String {
        let pods = match self.kind {
            Kind::Templates(count) => format!("{} pods of {count} templates", self.pods),
            Kind::Different => format!("{} pods, all different", self.pods),
            Kind::Hard(count) => format!("{} pods of {count} Deployments, spread over zones, one per node", self.pods),
            Kind::Soft(count) => format!("{} pods of {count} Deployments, spread by preference", self.pods),
        };
        let scored = if self.percentage == 0 { "adaptive sample" } else { "all nodes scored" };
        format!("{} nodes, {pods}, {scored}", self.nodes)
    }

    /// The pods, as often as they are alike: pod `number` is the one at `number` modulo their count.
    pub(crate) fn pods(&self) -> Vec<Pod> {
        match self.kind {
            Kind::Templates(count) => (0..count).map(|number| pod(template(number, count))).collect(),
            Kind::Different => (0..self.pods).map(|number| pod(template(number, self.pods))).collect(),
            Kind::Hard(count) => (0..count).map(|number| deployment(number, count, true)).collect(),
            Kind::Soft(count) => (0..count).map(|number| deployment(number, count, false)).collect(),
        }
    }

    /// The empty nodes.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Arc<Node>> {
        (0..self.nodes).map(|number| Arc::new(node(number)))
    }
}

/// 16 or 32 cores, 64 or 128 GiB, in three zones.
pub(crate) fn node(number: u32) -> Node {
    let name = format!("node-{number:06}");
    let mut meta = Meta::named("", &name);
    meta.labels = Labels::new([(ZONE, format!("zone-{}", number % 3)), (HOSTNAME, name)]);
    let size = 1 + i64::from(number.is_multiple_of(5));
    let allocatable =
        Resources { cpu_milli: 16_000 * size, memory_bytes: (64 << 30) * size, pods: 110, ..Resources::default() };
    Node { meta, status: NodeStatus { allocatable, ..NodeStatus::default() }, ..Node::default() }
}

/// The spec of template `number` of `count`: requests of 100 to 200 millicores and 128 to 640 MiB, each template's its
/// own.
pub(crate) fn template(number: u32, count: u32) -> PodSpec {
    let share = |number: u32, range: i64| i64::from(number) * range / i64::from(count);
    // Both grow with the number, in other steps and from another place, so that no two templates are alike.
    let cpu_milli = 100 + share(number, 100);
    let memory_bytes = (128 << 20) + share((number + count / 3) % count, 512 << 20);
    let requests = Resources { cpu_milli, memory_bytes, ..Resources::default() };
    let container = Container { name: "app".into(), requests, ..Container::default() };
    PodSpec { containers: vec![container], ..PodSpec::default() }
}

fn pod(spec: PodSpec) -> Pod {
    Pod { meta: Meta::named("default", "any").into(), spec: Shared::new(spec), ..Pod::default() }
}

/// A pod of a Deployment that knows its fellows by a label.
fn deployment(number: u32, count: u32, required: bool) -> Pod {
    let labels = Labels::new([("app", format!("app-{number:04}"))]);
    let selector = || Some(Selector::from_labels(labels.clone()));
    let mut rules = PlacementRules::default();
    rules.spread.push(SpreadConstraint {
        max_skew: 1,
        topology_key: ZONE.into(),
        required,
        selector: selector(),
        min_domains: 1,
        honors_node_affinity: true,
        honors_node_taints: false,
        match_label_keys: Vec::new(),
    });
    let term = PodTerm { topology_key: HOSTNAME.into(), selector: selector(), ..PodTerm::default() };
    let away = &mut rules.pod_anti_affinity;
    match required {
        true => away.required.push(term),
        false => away.preferred.push(WeightedPodTerm { weight: 100, term }),
    }
    let mut pod = pod(PodSpec { rules: Some(Box::new(rules)), ..template(number, count) });
    let mut meta = Meta::named("default", "any");
    meta.labels = labels;
    pod.meta = meta.into();
    pod
}
