//! For whom endpoints are: the zones, and nodes, that their hints name.
//!
//! Two wishes of a Service ask for hints. The annotation `service.kubernetes.io/topology-mode: Auto` shares the ready
//! endpoints among zones by the CPU of their nodes, if each zone can be given enough of them, and says on the Service
//! when hints come and why there are none. The field `trafficDistribution` gives every ready endpoint its own zone, or
//! its own node as well. Any other Service's endpoints have none.
//!
//! A share is a fraction of whole numbers here, where Kubernetes rounds it to a float of 64 bits; of zones that give or
//! need as much (a Go map's order) the first by name is taken. Absent on purpose: addresses other than IPv4.
//!
//! Source: staging/src/k8s.io/endpointslice/topologycache, staging/src/k8s.io/endpointslice/trafficdist,
//! `reconcileByAddressType`, staging/src/k8s.io/endpointslice/reconciler.go (v1.34.1).

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use crate::controllers::NamespacedName;
use crate::controllers::endpoint_slice::events::REPORTER;
use crate::controllers::endpoint_slice::placement::{Stored, Writes};
use crate::controllers::endpoint_slice::selected::ZONE;
use crate::digest::Shared;
use crate::events::Event;
use crate::id::Name;
use crate::model::{Endpoint, EndpointHints, EndpointSlice, Node, Service, TrafficDistribution};
use crate::store::View;

/// The annotation that asks for hints, and the older one, which counts more.
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";
const TOPOLOGY_AWARE_HINTS: &str = "service.kubernetes.io/topology-aware-hints";

/// Nodes with one of these labels do not count.
const EXCLUDED: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

/// What a Service wants its endpoints to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    /// Nothing.
    Nothing,
    /// Zones by their shares of the CPU.
    Shares,
    /// Their own zones, and perhaps their own nodes.
    Own { nodes: bool },
}

impl Wish {
    /// What a Service says.
    pub(super) fn of(service: &Service) -> Wish {
        let annotation = |key: &str| service.meta.annotations.get(key);
        let mode = annotation(TOPOLOGY_AWARE_HINTS).or_else(|| annotation(TOPOLOGY_MODE));
        if mode.is_some_and(|mode| ["Auto", "auto"].contains(&&**mode)) {
            return Wish::Shares;
        }
        match service.traffic_distribution {
            TrafficDistribution::Anywhere => Wish::Nothing,
            TrafficDistribution::PreferClose | TrafficDistribution::PreferSameZone => Wish::Own { nodes: false },
            TrafficDistribution::PreferSameNode => Wish::Own { nodes: true },
        }
    }
}

fn disabled(why: impl Display) -> Event {
    Event::warning(REPORTER, "TopologyAwareHintsDisabled", format!("{why}, addressType: IPv4"))
}

fn enabled() -> Event {
    let message = "Topology Aware Hints has been enabled, addressType: IPv4".to_owned();
    Event::normal(REPORTER, "TopologyAwareHintsEnabled", message)
}

/// What is known of zones, and of the Services whose endpoints are shared among them.
#[derive(Default)]
pub(super) struct Hints {
    /// The CPU of each zone's nodes in thousandths; empty if it does not tell zones apart, `None` if it has to be
    /// counted.
    pub(super) zones: Option<BTreeMap<Name, i64>>,
    /// How many endpoints each zone was given, of the Services that have hints by their annotation.
    pub(super) given: BTreeMap<NamespacedName, BTreeMap<Name, i64>>,
}

/// How many endpoints a zone shall have. What is desired is in parts of all CPU.
struct Share {
    maximum: i64,
    desired: i64,
}

/// What a zone lacks, or has beyond what is desired, in parts of all CPU.
type Amounts = BTreeMap<Name, i64>;

impl Hints {
    /// Whether a Service's endpoints have hints by its annotation, as far as this controller knows.
    pub(super) fn has(&self, key: &NamespacedName) -> bool {
        self.given.contains_key(key)
    }

    /// Nodes have come, gone, moved or become ready or unready: the Services that have too few endpoints for a zone.
    pub(super) fn nodes_changed(&mut self, view: View<'_>) -> Vec<NamespacedName> {
        self.zones = None;
        if self.given.is_empty() {
            return Vec::new();
        }
        let zones = self.zones.insert(cpu_by_zone(view));
        let total: i64 = zones.values().sum();
        let is_short = |given: &BTreeMap<Name, i64>| {
            let all: i64 = given.values().sum();
            let lacks =
                |(zone, cpu): (&Name, &i64)| given.get(zone).is_none_or(|count| *count < minimum(cpu * all, total));
            zones.is_empty() || zones.iter().any(lacks)
        };
        let short = self.given.iter().filter(|(_, given)| !given.is_empty() && is_short(given));
        short.map(|(key, _)| key.clone()).collect()
    }

    /// Gives the endpoints that are written their hints, and has slices written whose hints are wrong. `unchanged` are
    /// the Service's other slices.
    pub(super) fn settle(
        &mut self,
        view: View<'_>,
        key: &NamespacedName,
        wish: Wish,
        writes: &mut Writes,
        unchanged: Vec<Stored>,
    ) -> Vec<Event> {
        if wish == Wish::Shares {
            return self.share(view, key, writes, unchanged).into_iter().collect();
        }
        let said = self.given.remove(key).map(|_| disabled("Topology Aware Hints has been disabled"));
        match wish {
            Wish::Own { nodes } => settle_each(writes, unchanged, |endpoint| match endpoint.ready {
                true => Some(EndpointHints {
                    zones: endpoint.zone.iter().cloned().collect(),
                    nodes: endpoint.node.iter().filter(|_| nodes).cloned().collect(),
                }),
                false => None,
            }),
            _ => settle_each(writes, unchanged, |_| Some(EndpointHints::default())),
        }
        said.into_iter().collect()
    }

    /// Source: `AddHints`, `getAllocations`, topologycache.go; `getAllocatedHintsByZone`, sliceinfo.go.
    fn share(
        &mut self,
        view: View<'_>,
        key: &NamespacedName,
        writes: &mut Writes,
        unchanged: Vec<Stored>,
    ) -> Option<Event> {
        let zones = self.zones.get_or_insert_with(|| cpu_by_zone(view));
        let total: i64 = zones.values().sum();
        let ready = |slice: &EndpointSlice| slice.endpoints.iter().filter(|endpoint| endpoint.ready).count();
        let written = writes.create.iter().chain(writes.update.iter().map(|it| &*it.slice));
        let count: usize = written.chain(unchanged.iter().map(|it| &*it.slice)).map(ready).sum();
        let shares = match shares(zones, count as i64) {
            Ok(shares) => shares,
            Err(why) => {
                self.given.remove(key);
                settle_each(writes, unchanged, |_| Some(EndpointHints::default()));
                return Some(disabled(why));
            }
        };
        let mut given: BTreeMap<Name, i64> = BTreeMap::new();
        let mut others = Vec::new();
        for it in unchanged {
            match hints_of(&it.slice, &given, &shares) {
                Some(hints) => {
                    hints.into_iter().for_each(|(zone, count)| *given.entry(zone).or_default() += count);
                    others.push(it);
                }
                None => writes.update.push(it),
            }
        }
        let is_homeless = |endpoint: &&Shared<Endpoint>| endpoint.ready && endpoint.zone.is_none();
        let mut slices: Vec<&mut EndpointSlice> = writes.create.iter_mut().collect();
        slices.extend(writes.update.iter_mut().map(|it| Arc::make_mut(&mut it.slice)));
        if slices.iter().flat_map(|slice| &slice.endpoints).any(|it| is_homeless(&it)) {
            self.given.remove(key);
            settle_each(writes, others, |_| Some(EndpointHints::default()));
            return Some(disabled("One or more endpoints do not have a zone specified"));
        }
        let mut endpoints: Vec<&mut Shared<Endpoint>> = slices.iter_mut().flat_map(|it| &mut it.endpoints).collect();
        endpoints.retain(|endpoint| endpoint.ready);
        for endpoint in &mut endpoints {
            let zone = endpoint.zone.clone().unwrap_or_default();
            *given.entry(zone.clone()).or_default() += 1;
            tell(endpoint, EndpointHints { zones: vec![zone], nodes: Vec::new() });
        }
        let (giving, receiving) = moves(&shares, &given, total);
        hand_over(endpoints, giving, receiving, &mut given);
        let is_new = self.given.insert(key.clone(), given).is_none();
        is_new.then(enabled)
    }
}

/// The CPU of each zone's ready nodes in thousandths; empty if a node tells no zone or no CPU, or there are not several
/// zones.
///
/// Source: `SetNodes`, topologycache.go.
fn cpu_by_zone(view: View<'_>) -> BTreeMap<Name, i64> {
    let mut zones: BTreeMap<Name, i64> = BTreeMap::new();
    let counts = |node: &Node| node.is_ready() && !EXCLUDED.iter().any(|label| node.meta.labels.get(label).is_some());
    for (_, node) in view.all::<Node>().filter(|(_, node)| counts(node)) {
        let zone = node.meta.labels.get(ZONE).filter(|zone| !zone.is_empty());
        let (Some(zone), cpu @ 1..) = (zone, node.status.allocatable.cpu_milli) else { return BTreeMap::new() };
        *zones.entry(zone.clone()).or_default() += cpu;
    }
    if zones.len() < 2 { BTreeMap::new() } else { zones }
}

/// The fewest endpoints that a zone gets along with: an overload of a fifth is allowed. `desired` is in parts of all.
fn minimum(desired: i64, total: i64) -> i64 {
    (desired * 5 + total * 6 - 1) / (total * 6)
}

/// How many of the endpoints each zone shall have. Errors: why there can be no hints.
fn shares(zones: &BTreeMap<Name, i64>, count: i64) -> Result<BTreeMap<Name, Share>, String> {
    const OVERLOADED: &str =
        "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold";
    if zones.is_empty() {
        let why = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes";
        return Err(why.to_owned());
    }
    let total: i64 = zones.values().sum();
    let numbers = format!("({count} endpoints, {} zones)", zones.len());
    if zones.len() as i64 > count {
        return Err(format!("Insufficient number of endpoints {numbers}"));
    }
    let least: i64 = zones.values().map(|cpu| minimum(cpu * count, total)).sum();
    if least > count {
        return Err(format!("{OVERLOADED} {numbers}"));
    }
    let share = |cpu: &i64| {
        let minimum = minimum(cpu * count, total);
        Share { maximum: minimum + count - least, desired: (cpu * count).max(minimum * total) }
    };
    Ok(zones.iter().map(|(zone, cpu)| (zone.clone(), share(cpu))).collect())
}

/// The hints of a slice by zone; `None` if it has to be written anew: a ready endpoint has none, or one for a zone that
/// needs none, or a zone has too many.
///
/// Source: `getHintsByZone`, utils.go.
fn hints_of(
    slice: &EndpointSlice,
    given: &BTreeMap<Name, i64>,
    shares: &BTreeMap<Name, Share>,
) -> Option<BTreeMap<Name, i64>> {
    let mut hints: BTreeMap<Name, i64> = BTreeMap::new();
    for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.ready) {
        if endpoint.hints.zones.is_empty() {
            return None;
        }
        for zone in &endpoint.hints.zones {
            shares.get(zone)?;
            *hints.entry(zone.clone()).or_default() += 1;
        }
    }
    let fits =
        |(zone, count): (&Name, &i64)| count + given.get(zone).copied().unwrap_or_default() <= shares[zone].maximum;
    hints.iter().all(fits).then_some(hints)
}

/// How many endpoints each zone gives away, and how many each gets.
///
/// Source: `getGivingAndReceivingZones`, utils.go.
fn moves(shares: &BTreeMap<Name, Share>, given: &BTreeMap<Name, i64>, total: i64) -> (Amounts, Amounts) {
    let (mut surplus, mut want) = (Amounts::new(), Amounts::new());
    for (zone, share) in shares {
        let beyond = given.get(zone).copied().unwrap_or_default() * total - share.desired;
        match beyond {
            1.. => drop(surplus.insert(zone.clone(), beyond)),
            0 => {}
            _ => drop(want.insert(zone.clone(), -beyond)),
        }
    }
    let most = |amounts: &Amounts| {
        let most = amounts.values().max().copied().filter(|amount| *amount > 0)?;
        amounts.iter().find(|(_, amount)| **amount == most).map(|(zone, _)| (zone.clone(), most))
    };
    let (mut giving, mut receiving) = (Amounts::new(), Amounts::new());
    while let (Some((from, spare)), Some((to, lack))) = (most(&surplus), most(&want)) {
        if (spare < total && lack < total) || spare * 2 < total || lack * 2 < total {
            break;
        }
        for (zone, whole, left) in [(from, &mut giving, &mut surplus), (to, &mut receiving, &mut want)] {
            *left.get_mut(&zone).expect("it has the most") -= total;
            *whole.entry(zone).or_default() += 1;
        }
    }
    (giving, receiving)
}

/// Source: `redistributeHints`, utils.go.
fn hand_over(
    endpoints: Vec<&mut Shared<Endpoint>>,
    mut giving: Amounts,
    mut receiving: Amounts,
    given: &mut BTreeMap<Name, i64>,
) {
    for endpoint in endpoints {
        let from = endpoint.zone.clone().unwrap_or_default();
        let Some(to) = receiving.keys().next().cloned() else { return };
        let Some(left) = giving.get_mut(&from) else { continue };
        *left -= 1;
        if *left == 0 {
            giving.remove(&from);
        }
        let wanted = receiving.get_mut(&to).expect("it is there");
        *wanted -= 1;
        if *wanted == 0 {
            receiving.remove(&to);
        }
        *given.entry(from).or_default() -= 1;
        *given.entry(to.clone()).or_default() += 1;
        tell(endpoint, EndpointHints { zones: vec![to], nodes: Vec::new() });
    }
}

/// Gives every endpoint the hints that are wanted for it; `None` leaves it as it is.
fn settle_each(writes: &mut Writes, unchanged: Vec<Stored>, wanted: impl Fn(&Endpoint) -> Option<EndpointHints>) {
    let is_right = |endpoint: &Shared<Endpoint>| wanted(endpoint).is_none_or(|wanted| *endpoint.hints == wanted);
    let wrong = unchanged.into_iter().filter(|it| !it.slice.endpoints.iter().all(is_right));
    writes.update.extend(wrong);
    let settle = |slice: &mut EndpointSlice| {
        for endpoint in slice.endpoints.iter_mut().filter(|endpoint| !is_right(endpoint)) {
            if let Some(wanted) = wanted(endpoint) {
                tell(endpoint, wanted);
            }
        }
    };
    writes.create.iter_mut().for_each(settle);
    for it in writes.update.iter_mut().filter(|it| !it.slice.endpoints.iter().all(is_right)) {
        settle(Arc::make_mut(&mut it.slice));
    }
}

fn tell(endpoint: &mut Shared<Endpoint>, hints: EndpointHints) {
    if *endpoint.hints != hints {
        endpoint.hints = hints.into();
    }
}
