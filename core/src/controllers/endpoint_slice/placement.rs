//! Which endpoint stands in which slice: as few writes as possible rather than as few slices as possible.
//!
//! Source: `reconcileByAddressType`, `reconcileByPortMapping`, `finalize`,
//! staging/src/k8s.io/endpointslice/reconciler.go (v1.34.1). Where Kubernetes takes any endpoint or slice (a Go map's
//! order), the first by name is taken here.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use crate::controllers::service_pods::Ports;
use crate::digest::Shared;
use crate::id::{Name, Revision, RowId, Uid};
use crate::model::{Endpoint, EndpointSlice, Labels, Meta};

/// The endpoints of one set of ports that are wanted, by pod: a pod has one address.
pub(super) type Wanted = BTreeMap<Uid, Shared<Endpoint>>;

/// Endpoints of one set of ports that have changed, by pod; `None` is one that is not wanted any more.
pub(super) type Changes = BTreeMap<Uid, Option<Shared<Endpoint>>>;

/// Wanted endpoints that no slice has yet, in the order in which they are placed.
type Unplaced = BTreeMap<(Name, Uid), Shared<Endpoint>>;

/// The most endpoints in a slice.
pub(super) const SLICE_LIMIT: usize = 100;

/// A stored slice and its version.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Stored {
    pub(super) row: RowId,
    pub(super) slice: Arc<EndpointSlice>,
    pub(super) version: Option<Revision>,
}

/// The slices of a Service of which it is known that they are as they should be, but for some changes.
#[derive(Default)]
pub(super) struct Settled {
    /// Those with an endpoint that has changed.
    pub(super) touched: Vec<Stored>,
    /// Of the others, those with room.
    pub(super) roomy: Vec<Stored>,
    /// How many there are altogether.
    pub(super) count: usize,
}

/// What has to be written.
#[derive(Default, PartialEq, Debug)]
pub(super) struct Writes {
    pub(super) create: Vec<EndpointSlice>,
    pub(super) update: Vec<Stored>,
    pub(super) delete: Vec<Stored>,
}

/// Places the wanted endpoints of a Service. `blank` is an empty slice of the Service with all its labels.
pub(super) fn place(stored: Vec<Stored>, wanted: BTreeMap<Ports, Wanted>, blank: &EndpointSlice) -> Writes {
    let mut writes = Writes::default();
    let mut by_ports: BTreeMap<Ports, Vec<Stored>> = BTreeMap::new();
    let stored_count = stored.len();
    for it in stored {
        by_ports.entry(it.slice.ports.clone()).or_default().push(it);
    }
    for (ports, wanted) in wanted {
        let present = by_ports.remove(&ports).unwrap_or_default();
        let wanted = wanted.into_iter().map(|(uid, endpoint)| (uid, Some(endpoint))).collect();
        let blank = EndpointSlice { ports, ..blank.clone() };
        place_on_ports(present, Vec::new(), wanted, Others::Go, &blank, &mut writes);
    }
    writes.delete.extend(by_ports.into_values().flatten());
    finish(stored_count, blank, writes)
}

/// The same where it is known what has changed, and everything has one set of ports: slices that are full and hold no
/// changed endpoint need not be looked at, for nothing can become of them.
pub(super) fn place_changes(settled: Settled, ports: Ports, changes: Changes, blank: &EndpointSlice) -> Writes {
    let mut writes = Writes::default();
    let on_ports = EndpointSlice { ports, ..blank.clone() };
    place_on_ports(settled.touched, settled.roomy, changes, Others::Stay, &on_ports, &mut writes);
    finish(settled.count, blank, writes)
}

fn finish(stored_count: usize, blank: &EndpointSlice, mut writes: Writes) -> Writes {
    if writes.delete.len() == stored_count && writes.create.is_empty() {
        keep_a_placeholder(blank, &mut writes);
    }
    reuse_deleted(&mut writes);
    writes
}

/// A Service without endpoints keeps one empty slice.
fn keep_a_placeholder(blank: &EndpointSlice, writes: &mut Writes) {
    let is_placeholder = |slice: &EndpointSlice| {
        slice.endpoints.is_empty() && slice.ports.is_empty() && slice.meta.labels == blank.meta.labels
    };
    if matches!(&writes.delete[..], [only] if is_placeholder(&only.slice)) {
        writes.delete.clear();
    } else {
        writes.create.push(blank.clone());
    }
}

/// A slice that would be deleted takes the content of one that would be created.
fn reuse_deleted(writes: &mut Writes) {
    let mut kept = Vec::new();
    for mut old in std::mem::take(&mut writes.delete) {
        match writes.create.pop() {
            Some(new) => {
                let name = old.slice.meta.name.clone();
                let meta = Meta { name, generate_name: false, ..new.meta };
                old.slice = Arc::new(EndpointSlice { meta, ..new });
                writes.update.push(old);
            }
            None => kept.push(old),
        }
    }
    writes.delete = kept;
}

/// What becomes of endpoints that are not among the changes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    Stay,
    Go,
}

fn place_on_ports(
    stored: Vec<Stored>,
    mut unchanged: Vec<Stored>,
    mut changes: Changes,
    others: Others,
    blank: &EndpointSlice,
    writes: &mut Writes,
) {
    let mut changed: Vec<Stored> = Vec::new();
    for it in stored {
        match refreshed(&it, &mut changes, others, &blank.meta.labels) {
            None => unchanged.push(it),
            Some(slice) if slice.endpoints.is_empty() && !it.slice.endpoints.is_empty() => writes.delete.push(it),
            Some(slice) => changed.push(Stored { slice: Arc::new(slice), ..it }),
        }
    }
    unchanged.sort_by_key(|it| it.row.index);
    let wanted = changes.into_iter().filter_map(|(uid, endpoint)| Some((uid, endpoint?)));
    let mut unplaced: Unplaced = wanted.map(|(uid, endpoint)| ((endpoint.pod.clone(), uid), endpoint)).collect();
    // Slices that are written anyway are filled first, the fullest first.
    changed.sort_by_key(|it| (Reverse(it.slice.endpoints.len()), it.slice.meta.name.clone()));
    for it in &mut changed {
        fill(Arc::make_mut(&mut it.slice), &mut unplaced);
    }
    while !unplaced.is_empty() {
        match best_fit(&unchanged, unplaced.len()) {
            Some(place) => {
                let mut it = unchanged.remove(place);
                fill(Arc::make_mut(&mut it.slice), &mut unplaced);
                changed.push(it);
            }
            None => {
                let mut slice = blank.clone();
                fill(&mut slice, &mut unplaced);
                writes.create.push(slice);
            }
        }
    }
    writes.update.extend(changed);
}

/// The slice without the endpoints that are wanted no more, the others brought up to date; `None` if nothing changes.
/// Changes that it takes in are taken out of `changes`.
fn refreshed(it: &Stored, changes: &mut Changes, others: Others, labels: &Labels) -> Option<EndpointSlice> {
    let EndpointSlice { meta, ports, endpoints: before } = &*it.slice;
    let mut endpoints = Vec::with_capacity(before.len());
    for endpoint in before {
        match changes.entry(endpoint.pod_uid) {
            Entry::Vacant(_) if others == Others::Stay => endpoints.push(endpoint.clone()),
            Entry::Occupied(change) if change.get().as_ref().is_some_and(|new| is_same_place(new, endpoint)) => {
                let new = change.remove();
                // An endpoint that has not changed keeps its hints.
                let keeps =
                    !endpoint.hints.is_absent() && new.as_ref().is_some_and(|new| differs_in_hints(new, endpoint));
                endpoints.extend(if keeps { Some(endpoint.clone()) } else { new });
            }
            _ => {}
        }
    }
    if endpoints == *before && meta.labels == *labels {
        return None;
    }
    Some(EndpointSlice { meta: Meta { labels: labels.clone(), ..meta.clone() }, ports: ports.clone(), endpoints })
}

/// Whether two endpoints of one pod have the same address.
fn is_same_place(one: &Shared<Endpoint>, other: &Shared<Endpoint>) -> bool {
    one.same(other) || (one.address == other.address && one.pod == other.pod)
}

/// Whether two endpoints differ in their hints at most.
fn differs_in_hints(one: &Endpoint, other: &Endpoint) -> bool {
    Endpoint { hints: other.hints.clone(), ..one.clone() } == *other
}

fn fill(slice: &mut EndpointSlice, unplaced: &mut Unplaced) {
    while slice.endpoints.len() < SLICE_LIMIT
        && let Some((_, endpoint)) = unplaced.pop_first()
    {
        slice.endpoints.push(endpoint);
    }
    slice.endpoints.sort_by(|one, other| (&one.address, &one.pod).cmp(&(&other.address, &other.pod)));
}

/// The slice that has room for all that is left and least room beyond that. Source: `getSliceToFill`.
fn best_fit(slices: &[Stored], count: usize) -> Option<usize> {
    if count >= SLICE_LIMIT {
        return None;
    }
    let room = |it: &Stored| SLICE_LIMIT.checked_sub(count + it.slice.endpoints.len());
    let fits = slices.iter().enumerate().filter_map(|(place, it)| Some((room(it)?, place)));
    fits.filter(|(room, _)| *room < SLICE_LIMIT).min().map(|(_, place)| place)
}
