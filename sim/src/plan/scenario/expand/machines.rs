//! Node groups to machines, and names of machines, groups and zones to machines.

use std::collections::BTreeMap;
use std::sync::Arc;

use wavetank_core::id::{HostId, Name};
use wavetank_core::kubelet::Boot;
use wavetank_core::model::{self, Labels, Resources};
use wavetank_core::quantity::Quantity;
use wavetank_manifest::Spanned;

use super::{Problems, drawn};
use crate::plan::scenario::format::{self, Amount, Chosen, NameAt, NodeGroup, Spec};
use crate::plan::{HostPlan, Plan};

/// The most machines of one plan: as many as a process id can tell apart.
pub(super) const MACHINES_MAX: usize = wavetank_core::id::ProcId::INDEX_LIMIT as usize;
/// What a machine has if the file does not say: a small server.
const CPU_MILLI: i64 = 4_000;
const MEMORY_BYTES: i64 = 16 << 30;
const PODS: i64 = 110;
/// Bytes per second when pulling: about one Gbit/s.
pub(super) const PULL_BYTES_PER_SECOND: u64 = 100 << 20;

/// The machines by every name that a file may use for them.
#[derive(Default)]
pub(super) struct Fleet {
    nodes: BTreeMap<String, HostId>,
    groups: BTreeMap<String, Vec<HostId>>,
    zones: BTreeMap<String, Vec<HostId>>,
    /// Whether machines were left out because of a mistake: names that are not there may be theirs.
    is_incomplete: bool,
}

impl Fleet {
    /// Adds the file's machines to the plan.
    pub(super) fn expand(spec: &Spec, plan: &mut Plan, problems: &mut Problems) -> Fleet {
        let mut fleet = Fleet::default();
        let total: u64 = spec.nodes.iter().map(|group| group.count.map_or(1, |count| u64::from(count.value))).sum();
        if total > MACHINES_MAX as u64 {
            let place = spec.nodes[0].name.span;
            problems.add(place, "spec.nodes", format!("{total} machines are too many: at most {MACHINES_MAX}"));
            fleet.is_incomplete = true;
            return fleet;
        }
        for (index, group) in spec.nodes.iter().enumerate() {
            fleet.group(index, group, plan, problems);
        }
        fleet
    }

    fn group(&mut self, index: usize, group: &NodeGroup, plan: &mut Plan, problems: &mut Problems) {
        let path = format!("spec.nodes[{index}]");
        let name = &group.name.value;
        if !is_dns_label(name) {
            let message = format!("{name:?} is no node name: expected lower-case letters, digits and '-'");
            problems.add(group.name.span, &format!("{path}.name"), message);
        }
        let preset = Resources { cpu_milli: CPU_MILLI, memory_bytes: MEMORY_BYTES, pods: PODS, ..Resources::default() };
        let capacity = resources(&group.capacity, preset, &format!("{path}.capacity"), problems);
        let allocatable = resources(&group.allocatable, capacity.clone(), &format!("{path}.allocatable"), problems);
        let pull = group.pull_bandwidth.map_or(PULL_BYTES_PER_SECOND, |bytes| bytes.value.0);
        if pull == 0 {
            let place = group.pull_bandwidth.map_or_else(Default::default, |bytes| bytes.span);
            problems.add(place, &format!("{path}.pullBandwidth"), "expected at least one byte per second");
        }
        let count = group.count.map_or(1, |count| count.value);
        for number in 1..=count {
            let node = if group.count.is_some() { format!("{name}-{number}") } else { name.clone() };
            let zone = match group.zones.as_slice() {
                [] => None,
                zones => Some(zones[(number - 1) as usize % zones.len()].value.as_str()),
            };
            let host = HostId(plan.hosts.len() as u32);
            if self.nodes.insert(node.clone(), host).is_some() {
                let message = format!("there are two nodes of the name {node:?}");
                problems.add(group.name.span, &format!("{path}.name"), message);
                self.is_incomplete = true;
                return;
            }
            self.groups.entry(name.clone()).or_default().push(host);
            if let Some(zone) = zone {
                self.zones.entry(zone.to_owned()).or_default().push(host);
            }
            let entity = (1 << 40) | u64::from(host.0);
            plan.hosts.push(HostPlan {
                boot: Arc::new(boot(group, &node, zone, host, &capacity, &allocatable)),
                starts_at: group
                    .starts_at
                    .as_ref()
                    .map_or_else(Default::default, |at| drawn(plan.config.seed, at, entity, 0)),
                pull_bytes_per_second: pull.max(1),
                images: group.images.iter().map(|image| image.as_str().into()).collect(),
                image_filesystem_bytes: group.image_filesystem.map(|bytes| bytes.0),
                pids: group.pids.unwrap_or(0).into(),
            });
        }
        // A group of no machines is still a group: a study may set the count on the command line.
        self.groups.entry(name.clone()).or_default();
    }

    /// The machines of a group.
    pub(super) fn members(&self, group: &str) -> &[HostId] {
        self.groups.get(group).map_or(&[], Vec::as_slice)
    }

    /// A machine of a trace, in the group `trace`; `false` if there is one of that name.
    pub(super) fn add(&mut self, name: &str, machine: HostPlan, plan: &mut Plan) -> bool {
        let host = HostId(plan.hosts.len() as u32);
        if self.nodes.insert(name.to_owned(), host).is_some() {
            return false;
        }
        self.groups.entry("trace".to_owned()).or_default().push(host);
        plan.hosts.push(machine);
        true
    }

    /// Whether a machine of some name must be there; none is known if machines were left out.
    pub(super) fn is_complete(&self) -> bool {
        !self.is_incomplete
    }

    /// The machines that the file names, each once; names that are not there are problems.
    pub(super) fn choose(&self, chosen: Chosen<'_>, path: &str, problems: &mut Problems) -> Vec<HostId> {
        let mut unheard = Problems { file: String::new(), errors: Vec::new() };
        let problems = if self.is_complete() { problems } else { &mut unheard };
        let mut hosts = Vec::new();
        if chosen.all {
            hosts.extend(self.nodes.values().copied());
        }
        for name in chosen.node.into_iter().chain(chosen.nodes) {
            match self.nodes.get(&name.value) {
                Some(host) => hosts.push(*host),
                None => {
                    let known = self.nodes.keys().map(String::as_str);
                    problems.unknown(name.span, path, "node", &name.value, known);
                }
            }
        }
        for name in chosen.zone.into_iter().chain(chosen.zones) {
            hosts.extend(find(&self.zones, name, path, "zone", problems));
        }
        if let Some(name) = chosen.group {
            hosts.extend(find(&self.groups, name, path, "node group", problems));
        }
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    /// The names of some machines (sorted by id), in their order.
    pub(super) fn names_of(&self, hosts: &[HostId]) -> Vec<&str> {
        let mut named: Vec<_> = self.nodes.iter().filter(|(_, host)| hosts.binary_search(host).is_ok()).collect();
        named.sort_by_key(|(_, host)| **host);
        named.into_iter().map(|(name, _)| name.as_str()).collect()
    }

    /// All machines' names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }
}

fn find(
    map: &BTreeMap<String, Vec<HostId>>,
    name: &NameAt,
    path: &str,
    what: &str,
    problems: &mut Problems,
) -> Vec<HostId> {
    map.get(&name.value).cloned().unwrap_or_else(|| {
        problems.unknown(name.span, path, what, &name.value, map.keys().map(String::as_str));
        Vec::new()
    })
}

/// What a machine's kubelet registers.
fn boot(
    group: &NodeGroup,
    node: &str,
    zone: Option<&str>,
    host: HostId,
    capacity: &Resources,
    allocatable: &Resources,
) -> Boot {
    let mut labels: BTreeMap<String, String> = group.labels.clone();
    labels.insert("kubernetes.io/hostname".to_owned(), node.to_owned());
    labels.entry("kubernetes.io/os".to_owned()).or_insert_with(|| "linux".to_owned());
    labels.entry("kubernetes.io/arch".to_owned()).or_insert_with(|| "amd64".to_owned());
    if let Some(zone) = zone {
        labels.insert("topology.kubernetes.io/zone".to_owned(), zone.to_owned());
    }
    let number = host.0 + 1;
    Boot {
        node: node.into(),
        labels: Labels::new(labels),
        capacity: capacity.clone(),
        allocatable: allocatable.clone(),
        taints: group.taints.iter().map(taint).collect(),
        address: format!("172.{}.{}.{}", 16 + (number >> 16), (number >> 8) & 255, number & 255).into(),
        pod_network: format!("10.{}.{}", (number >> 8) & 255, number & 255).into(),
        static_pods: Vec::new(),
    }
}

/// A taint of the file as the core's.
pub(super) fn taint(taint: &format::Taint) -> model::Taint {
    model::Taint {
        key: taint.key.as_str().into(),
        value: taint.value.as_str().into(),
        effect: effect(taint.effect),
        added_at: None,
    }
}

/// A taint's effect as the core's.
pub(super) fn effect(effect: format::TaintEffect) -> model::TaintEffect {
    match effect {
        format::TaintEffect::NoSchedule => model::TaintEffect::NoSchedule,
        format::TaintEffect::PreferNoSchedule => model::TaintEffect::PreferNoSchedule,
        format::TaintEffect::NoExecute => model::TaintEffect::NoExecute,
    }
}

fn resources(
    amounts: &BTreeMap<String, Spanned<Amount>>,
    mut resources: Resources,
    path: &str,
    problems: &mut Problems,
) -> Resources {
    for (name, amount) in amounts {
        let path = format!("{path}.{name}");
        let quantity = match amount.value.0.parse::<Quantity>() {
            Ok(quantity) if !quantity.is_negative() => quantity,
            Ok(_) => {
                problems.add(amount.span, &path, "expected an amount that is not negative");
                continue;
            }
            Err(error) => {
                problems.no_quantity(amount.span, &path, &amount.value.0, error);
                continue;
            }
        };
        match name.as_str() {
            "cpu" => resources.cpu_milli = quantity.milli_value(),
            "memory" => resources.memory_bytes = quantity.value(),
            "ephemeral-storage" => resources.ephemeral_bytes = quantity.value(),
            "pods" => resources.pods = quantity.value(),
            extended if extended.contains('/') => {
                resources.extended.insert(Name::from(extended), quantity.value());
            }
            other => {
                let known = ["cpu", "memory", "ephemeral-storage", "pods"];
                problems.unknown(amount.span, &path, "resource", other, known);
            }
        }
    }
    resources
}

fn is_dns_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    !name.is_empty()
        && name.len() <= 200
        && name.chars().all(inner)
        && !name.starts_with(['-', '.'])
        && !name.ends_with(['-', '.'])
}
