//! Which addresses a Service has, and what of them its Endpoints list: all, or of more than 1,000 some.
//!
//! What is listed follows from what was listed and from the pods that have changed since, as long as all pods have the
//! same ports: what is listed of the ready addresses is the beginning of all of them in order, and so with those that
//! are not ready. A change keeps it a beginning; if it is long enough still, the rest need not be known.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::controllers::service_pods::{Ports, hostname_under, ports_of, selector_of};
use crate::digest::Shared;
use crate::id::{RowId, Uid};
use crate::model::{
    Address, AddressKey, EndpointAddress, EndpointPort, EndpointSubset, EndpointTarget, Pod, PodSpec, Service,
};
use crate::store::View;

/// The most addresses in one object. Source: `maxCapacity`.
pub(super) const CAPACITY: usize = 1_000;

/// What is known of a Service's addresses.
pub(super) struct Tally {
    /// How many may be listed.
    capacity: usize,
    known: Option<Known>,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally { capacity: CAPACITY, known: None }
    }
}

#[derive(Default)]
struct Known {
    /// How many there were when what is listed was made.
    ready: usize,
    not_ready: usize,
    /// The pods that have changed since, each as it was then: selected or not, and how.
    changed: BTreeMap<Uid, (RowId, Option<Former>)>,
}

/// What a pod was to its Services.
struct Former {
    spec: Shared<PodSpec>,
    ready: bool,
    terminating: bool,
    finished: bool,
    address: Option<Address>,
}

/// Addresses that are listed, as they were as long as nothing changes.
type List<'a> = Cow<'a, [Shared<EndpointAddress>]>;

/// How a pod is listed: ready or not, under which ports, and its address.
type Entry = (bool, Ports, Shared<EndpointAddress>);

impl Tally {
    /// What is known of a Service whose Endpoints may list so many addresses.
    #[cfg(test)]
    pub(super) fn of_capacity(capacity: usize) -> Tally {
        Tally { capacity, known: None }
    }

    /// Whether what is listed may follow from what was.
    pub(super) fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// Every pod has to be looked at.
    pub(super) fn distrust(&mut self) {
        self.known = None;
    }

    /// A pod has changed, which was selected as `before`, or was not.
    pub(super) fn note(&mut self, row: RowId, before: Option<&Pod>, pod: Option<&Pod>) {
        let (Some(known), Some(pod)) = (&mut self.known, pod) else { return };
        let former = |pod: &Pod| Former {
            spec: pod.spec.clone(),
            ready: pod.is_ready(),
            terminating: pod.meta.is_terminating(),
            finished: pod.is_finished(),
            address: pod.status.pod_ip.clone(),
        };
        known.changed.entry(pod.meta.uid).or_insert_with(|| (row, before.map(former)));
    }

    /// The subsets that a Service should have, and whether they lack addresses for want of room. `stored` are those
    /// that were made of what is known, if they are there; they are given back if they stay.
    pub(super) fn subsets<'a>(
        &mut self,
        view: View<'_>,
        service: &Service,
        stored: Option<&'a [EndpointSubset]>,
    ) -> (Cow<'a, [EndpointSubset]>, bool) {
        let followed = self
            .known
            .take()
            .zip(stored)
            .and_then(|(known, stored)| known.follow(self.capacity, view, service, stored));
        if let Some((subsets, known)) = followed {
            let listed = (subsets, known.ready + known.not_ready > self.capacity);
            debug_assert_eq!((listed.0.to_vec(), listed.1), {
                let all = all_subsets(view, service);
                truncated(all, self.capacity)
            });
            self.known = Some(known);
            return listed;
        }
        let all = all_subsets(view, service);
        if all.len() <= 1 {
            let of = |list: fn(&EndpointSubset) -> usize| all.iter().map(list).sum();
            let (ready, not_ready) = (of(|it| it.addresses.len()), of(|it| it.not_ready.len()));
            self.known = Some(Known { ready, not_ready, changed: BTreeMap::new() });
        }
        let (subsets, is_truncated) = truncated(all, self.capacity);
        (subsets.into(), is_truncated)
    }
}

impl Known {
    /// What is listed after the changes; `None` if that cannot be told from what was.
    fn follow<'a>(
        mut self,
        capacity: usize,
        view: View<'_>,
        service: &Service,
        stored: &'a [EndpointSubset],
    ) -> Option<(Cow<'a, [EndpointSubset]>, Known)> {
        let (mut ready, mut not_ready) = match stored {
            [] => (List::default(), List::default()),
            [one] => (List::Borrowed(&one.addresses), List::Borrowed(&one.not_ready)),
            _ => return None,
        };
        // Sorted, until they are listed.
        let mut ports = stored.first().map(|subset| subset.ports.clone()).unwrap_or_default();
        ports.sort();
        let selector = selector_of(service)?;
        for (uid, (row, former)) in std::mem::take(&mut self.changed) {
            if let Some((was_ready, address)) = former.and_then(|former| former.listed(service)) {
                let (list, all) = self.list(was_ready, &mut ready, &mut not_ready);
                *all -= 1;
                if let Ok(place) = place_of(list, &(address, Some(uid))) {
                    list.to_mut().remove(place);
                }
            }
            let pod = view.get_uid::<Pod>(row, uid).filter(|pod| selector.matches(&pod.meta.labels));
            if let Some((is_ready, its_ports, address)) = pod.and_then(|pod| entry_of(service, pod)) {
                let is_first = self.ready + self.not_ready == 0;
                if is_first {
                    ports = its_ports;
                } else if its_ports != ports {
                    return None;
                }
                let (list, all) = self.list(is_ready, &mut ready, &mut not_ready);
                let is_whole = list.len() == *all;
                *all += 1;
                let place = place_of(list, &address.key()).err()?;
                if place < list.len() || is_whole {
                    list.to_mut().insert(place, address);
                }
            }
        }
        let ready_room = self.ready.min(capacity);
        for (list, room) in [(&mut ready, ready_room), (&mut not_ready, self.not_ready.min(capacity - ready_room))] {
            if list.len() < room {
                return None;
            }
            if list.len() > room {
                list.to_mut().truncate(room);
            }
        }
        if let (Cow::Borrowed(_), Cow::Borrowed(_)) = (&ready, &not_ready) {
            return Some((stored.into(), self));
        }
        let (addresses, not_ready) = (ready.into_owned(), not_ready.into_owned());
        EndpointPort::sort_in_subset(&mut ports);
        let subset = EndpointSubset { addresses, not_ready, ports };
        let subsets: Vec<EndpointSubset> = Some(subset).filter(|subset| !subset.is_empty()).into_iter().collect();
        Some((subsets.into(), self))
    }

    /// What is listed of the addresses that are ready or not, and how many there are.
    fn list<'a, 'b>(
        &'a mut self,
        of_ready: bool,
        ready: &'a mut List<'b>,
        not_ready: &'a mut List<'b>,
    ) -> (&'a mut List<'b>, &'a mut usize) {
        if of_ready { (ready, &mut self.ready) } else { (not_ready, &mut self.not_ready) }
    }
}

impl Former {
    /// How it was listed, if it was.
    fn listed(self, service: &Service) -> Option<(bool, Address)> {
        let goes_on = !self.finished && (service.publish_not_ready || !self.terminating);
        let is_listed = goes_on && listed_ports(service, &self.spec).is_some();
        Some((service.publish_not_ready || self.ready, self.address.filter(|_| is_listed)?))
    }
}

fn place_of(list: &[Shared<EndpointAddress>], key: &AddressKey) -> Result<usize, usize> {
    list.binary_search_by(|address| address.key().cmp(key))
}

/// The address of a pod, if it is listed, and whether it is so as ready.
///
/// Source: `ShouldPodBeInEndpoints`, staging/src/k8s.io/endpointslice/util/controller_utils.go;
/// `podToEndpointAddressForService`, `addEndpointSubset`, pkg/controller/endpoint/endpoints_controller.go (v1.34.1).
fn entry_of(service: &Service, pod: &Pod) -> Option<Entry> {
    let address = pod.status.pod_ip.clone()?;
    let ports = listed_ports(service, &pod.spec)?;
    if pod.is_finished() || (pod.meta.is_terminating() && !service.publish_not_ready) {
        return None;
    }
    let target = EndpointTarget {
        kind: "Pod".into(),
        namespace: pod.meta.namespace.clone(),
        name: pod.meta.name.clone(),
        uid: Some(pod.meta.uid),
    };
    let hostname = hostname_under(service, pod);
    let address = EndpointAddress { address, hostname, node: pod.node.clone(), target: Some(target) };
    Some((service.publish_not_ready || pod.is_ready(), ports, Shared::new(address)))
}

/// The ports under which a pod is listed, sorted; `None` if it is not: only a headless Service may do without ports.
fn listed_ports(service: &Service, pod: &PodSpec) -> Option<Ports> {
    let mut ports = ports_of(service, pod);
    ports.sort();
    let is_listed = !ports.is_empty() || (service.ports.is_empty() && service.headless);
    is_listed.then_some(ports)
}

/// The subsets of all pods that a Service selects, however many these are.
fn all_subsets(view: View<'_>, service: &Service) -> Vec<EndpointSubset> {
    let Some(selector) = selector_of(service) else { return Vec::new() };
    let pods = view.in_namespace::<Pod>(&service.meta.namespace);
    let mut by_ports: BTreeMap<_, EndpointSubset> = BTreeMap::new();
    for (_, pod) in pods.filter(|(_, pod)| selector.matches(&pod.meta.labels)) {
        let Some((is_ready, ports, address)) = entry_of(service, pod) else { continue };
        let subset = by_ports.entry(ports.clone()).or_insert_with(|| EndpointSubset { ports, ..Default::default() });
        if is_ready { &mut subset.addresses } else { &mut subset.not_ready }.push(address);
    }
    EndpointSubset::packed(&by_ports.into_values().collect::<Vec<_>>())
}

/// What there is room for, and whether that is less than there is: ready addresses come first, and each subset has its
/// part of the room, rounded up.
///
/// Source: `truncateEndpoints`, pkg/controller/endpoint/endpoints_controller.go (v1.34.1).
fn truncated(mut subsets: Vec<EndpointSubset>, capacity: usize) -> (Vec<EndpointSubset>, bool) {
    let count: usize = subsets.iter().map(EndpointSubset::len).sum();
    if count <= capacity {
        return (subsets, false);
    }
    let ready: usize = subsets.iter().map(|subset| subset.addresses.len()).sum();
    let are_ready_too_many = ready > capacity;
    let (room, total) = if are_ready_too_many { (capacity, ready) } else { (capacity - ready, count - ready) };
    let mut left = room;
    for subset in &mut subsets {
        if are_ready_too_many {
            subset.not_ready.clear();
        }
        let list = if are_ready_too_many { &mut subset.addresses } else { &mut subset.not_ready };
        list.truncate((list.len() * room).div_ceil(total).min(left));
        left -= list.len();
    }
    (subsets, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subset(port: u16, ready: usize, not_ready: usize) -> EndpointSubset {
        let address = |number: usize| {
            let text = format!("10.{port}.{}.{}", number / 250, number % 250);
            Shared::new(EndpointAddress { address: text.into(), hostname: None, node: None, target: None })
        };
        let list = |numbers: std::ops::Range<usize>| numbers.map(address).collect();
        let ports = vec![crate::model::EndpointPort::new("", crate::model::Protocol::Tcp, port)];
        EndpointSubset { addresses: list(0..ready), not_ready: list(ready..ready + not_ready), ports }
    }

    #[track_caller]
    fn check(sizes: &[(usize, usize)], expected: &[(usize, usize)], is_truncated: bool) {
        let subsets = (1..).zip(sizes).map(|(port, (ready, not_ready))| subset(port, *ready, *not_ready)).collect();
        let (subsets, was_truncated) = truncated(subsets, CAPACITY);
        let sizes: Vec<_> = subsets.iter().map(|it| (it.addresses.len(), it.not_ready.len())).collect();
        assert_eq!((&sizes[..], was_truncated), (expected, is_truncated));
    }

    #[test]
    fn more_than_there_is_room_for_is_cut_ready_addresses_last() {
        check(&[(600, 400)], &[(600, 400)], false);
        check(&[(600, 401)], &[(600, 400)], true);
        check(&[(1_200, 300)], &[(1_000, 0)], true);
        check(&[(700, 10), (800, 0)], &[(467, 0), (533, 0)], true);
        check(&[(400, 300), (400, 100), (0, 2)], &[(400, 150), (400, 50), (0, 0)], true);
    }
}
