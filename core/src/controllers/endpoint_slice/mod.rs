//! The EndpointSlice controller: lists the pods behind each Service, in slices of up to 100.
//!
//! The controller keeps, for every Service, the rows of the pods that it selects, and knows which of them have changed
//! since the last sync. Cost: a pod's change looks at the selectors of all Services of its namespace (as in
//! Kubernetes); a sync looks at the pods that have changed and at the slices that these can concern. It looks at
//! everything where it cannot be sure of the rest: when the Service, a node or somebody else's slice has changed, and
//! after a failure. Builds with debug assertions do so each time and compare. Source: pkg/controller/endpointslice,
//! staging/src/k8s.io/endpointslice (v1.34.1). Absent on purpose: IPv6, trigger times. Slices of a Service that is gone
//! are left to the garbage collector.
//!
//! Parts: `selected` (the pods of a Service), `watched` (its slices), `placement` (which endpoint goes where), `hints`
//! (for whom they are), `events`.

mod events;
mod hints;
mod placement;
mod selected;
#[cfg(test)]
pub(super) mod tests;
mod watched;

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{Refusal, Reply};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::controllers::service_pods::{PodTurn, selector_of};
use crate::controllers::{NamespacedName, owned_by};
use crate::digest::StableHasher;
use crate::events::Event;
use crate::id::{Name, Revision, RowId, Uid};
use crate::model::{EndpointSlice, Kind, Labels, Meta, Node, Pod, Selector, Service};
use crate::store::{Change, IndexKey, View};
use crate::time::Span;

use hints::{Hints, Wish};
use placement::{Stored, Writes};
use selected::{LeftOut, Selected};
use watched::Watched;

/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 2;
/// First back-off of a failing Service.
const BACKOFF_FIRST: Span = Span::from_secs(1);
/// How long a Service waits after somebody else has changed one of its slices.
const FOREIGN_CHANGE_DELAY: Span = Span::from_secs(1);
/// How often a failing Service is retried before it is left alone until something changes.
const RETRIES_LIMIT: u32 = 15;
/// The label that names a slice's Service.
pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// The label that names the controller of a slice.
pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// This controller, as that label names it.
const MANAGER: &str = "endpointslice-controller.k8s.io";
/// The label of slices of a Service without a virtual address.
pub(super) const HEADLESS: &str = "service.kubernetes.io/headless";

/// The controller.
pub(super) struct EndpointSlices {
    desk: Desk<NamespacedName, Stage>,
    services: BTreeMap<NamespacedName, Tracked>,
    hints: Hints,
}

/// What is remembered of a Service.
#[derive(Default)]
struct Tracked {
    /// What it selects; `None` if its endpoints are somebody else's business.
    selector: Option<Selector>,
    /// Whether it wishes its endpoints to be for somebody, which depends on more than they show.
    wishes: bool,
    /// The pods that it selects.
    pods: Selected,
    /// Its slices.
    slices: Watched,
    /// The newest version of a slice that this controller has written: what is older is stale.
    written: Revision,
    /// Slices that this controller has deleted and the watch may still show.
    deleted: BTreeSet<Uid>,
}

/// A sync that waits for its writes.
pub(in crate::controllers) struct Stage {
    /// How many slices it makes, before all else.
    made: usize,
    /// The slices that it then changes, in this order.
    changed: Vec<Name>,
    /// The slices that it deletes at last, in this order.
    deleted: Vec<(Name, Uid)>,
    left_out: LeftOut,
    /// What is said once the writes are answered.
    said: Vec<Event>,
}

impl EndpointSlices {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> EndpointSlices {
        let mut desk =
            Desk::new(NUMBER, config.concurrent_syncs, config.client_limit, Refusal::is_namespace_terminating);
        desk.queue = desk.queue.with_first_backoff(BACKOFF_FIRST);
        EndpointSlices { desk, services: BTreeMap::new(), hints: Hints::default() }
    }

    /// The Service's slices, and those that belong to a former Service of the same name; `None` if they are stale.
    fn stored(&self, view: View<'_>, key: &NamespacedName, service: &Service) -> Option<(Vec<Stored>, Vec<Stored>)> {
        let tracked = self.services.get(key);
        if tracked.is_some_and(|tracked| view.revision() < tracked.written) {
            return None;
        }
        let slices: Vec<Stored> = view
            .under::<EndpointSlice>(IndexKey::Service(key.name.clone()))
            .filter(|(_, slice)| slice.meta.namespace == key.namespace && is_managed(slice))
            .map(|(row, slice)| (row, slice.clone(), view.version_of::<EndpointSlice>(row)))
            .map(|(row, slice, version)| Stored { row, slice, version })
            .collect();
        let is_deleted = |it: &Stored| tracked.is_some_and(|tracked| tracked.deleted.contains(&it.slice.meta.uid));
        if slices.iter().any(is_deleted) {
            return None;
        }
        let own = |it: &Stored| it.slice.meta.owners.iter().any(|owner| owner.uid == service.meta.uid);
        Some(slices.into_iter().partition(own))
    }

    /// What has to be written if it is known what has changed since the last sync; `None` if not.
    fn writes_for_changes(&mut self, view: View<'_>, key: &NamespacedName, service: &Service) -> Option<Writes> {
        let tracked = self.services.get_mut(key)?;
        if view.revision() < tracked.written || !tracked.deleted.is_empty() || !tracked.slices.is_own() {
            return None;
        }
        let (ports, changes) = tracked.pods.changes(view, service)?;
        let Some(settled) = tracked.slices.settled(view, &changes) else {
            tracked.pods.distrust();
            return None;
        };
        Some(placement::place_changes(settled, ports, changes, &blank_slice(service)))
    }

    /// What has to be written by a look at everything, and the pods left out; `None` if the slices are stale.
    /// What is remembered of the slices is learnt anew, and endpoints get their hints, unless it is what is being
    /// `checked`: by then there are none.
    fn writes_for_all(
        &mut self,
        view: View<'_>,
        key: &NamespacedName,
        service: &Service,
        checked: bool,
    ) -> Option<(Writes, LeftOut, Vec<Event>)> {
        let (stored, foreign) = self.stored(view, key, service)?;
        let before = if checked { Vec::new() } else { stored.clone() };
        let tracked = self.services.entry(key.clone()).or_default();
        if !checked {
            tracked.deleted.clear();
            tracked.slices = Watched::of(&stored);
        }
        let (wanted, left_out) = tracked.pods.wanted(view, service);
        let mut writes = placement::place(stored, wanted, &blank_slice(service));
        let said = if checked {
            Vec::new()
        } else {
            let written = writes.update.iter().chain(&writes.delete).map(|it| it.row);
            let written: BTreeSet<RowId> = written.collect();
            let unchanged = before.into_iter().filter(|it| !written.contains(&it.row)).collect();
            self.hints.settle(view, key, Wish::of(service), &mut writes, unchanged)
        };
        writes.delete.extend(foreign);
        Some((writes, left_out, said))
    }

    fn on_service(&mut self, view: View<'_>, old: Option<&Service>, new: Option<&Service>) {
        let Some(service) = new.or(old) else { return };
        let key = NamespacedName::of_meta(&service.meta);
        match new {
            None => {
                self.services.remove(&key);
            }
            Some(service) if old.is_none_or(|old| selector_of(old) != selector_of(service)) => {
                let mut pods = Selected::default();
                let selector = selector_of(service);
                if let Some(selector) = &selector {
                    let all = view.in_namespace::<Pod>(&key.namespace);
                    for (row, pod) in all.filter(|(_, pod)| selector.matches(&pod.meta.labels)) {
                        pods.note(row, pod.meta.uid);
                    }
                }
                let tracked = self.services.entry(key.clone()).or_default();
                (tracked.selector, tracked.pods) = (selector, pods);
            }
            // Endpoints have the Service's ports and show pods as it wants them shown.
            Some(_) => self.services.entry(key.clone()).or_default().pods.forget_endpoints(),
        }
        if let Some((service, tracked)) = new.zip(self.services.get_mut(&key)) {
            tracked.wishes = Wish::of(service) != Wish::Nothing;
        }
        self.desk.queue.add(key);
    }

    /// Source: `GetServicesToUpdateOnPodChange`, staging/src/k8s.io/endpointslice/util/controller_utils.go (v1.34.1).
    fn on_pod(&mut self, row: RowId, old: Option<&Pod>, new: Option<&Pod>) {
        if self.services.is_empty() {
            return;
        }
        let Some((namespace, uid)) = new.or(old).map(|pod| (&pod.meta.namespace, pod.meta.uid)) else { return };
        let Some(PodTurn { wakes, has_address: concerns_endpoints }) = PodTurn::of(old, new) else { return };
        let first = NamespacedName::new(namespace.clone(), Name::default());
        let services = self.services.range_mut(first..).take_while(|(key, _)| key.namespace == *namespace);
        for (key, Tracked { selector, wishes, pods, .. }) in services {
            let Some(selector) = selector else { continue };
            let selects = |pod: Option<&Pod>| pod.is_some_and(|pod| selector.matches(&pod.meta.labels));
            let (before, after) = (selects(old), selects(new));
            if !before && !after {
                continue;
            }
            // Of a pod without an address nothing comes but that it is known; yet Kubernetes looks at its Services, and
            // finds what nobody was woken for.
            let may_find = concerns_endpoints || *wishes || !pods.is_settled();
            match after {
                true if concerns_endpoints => pods.note(row, uid),
                true if !before => pods.note_without_address(row, uid),
                true => {}
                false => pods.remove(uid),
            }
            if may_find && (wakes || before != after) {
                self.desk.queue.add(key.clone());
            }
        }
    }

    /// Endpoints show the zone of their node, and a pod without its node has none.
    fn on_node(&mut self, view: View<'_>, old: Option<&Node>, new: Option<&Node>) {
        let zone = |node: &Node| node.meta.labels.get(selected::ZONE).cloned();
        let has_moved = old.map(zone) != new.map(zone);
        if has_moved {
            self.services.values_mut().for_each(|tracked| tracked.pods.forget_endpoints());
        }
        if has_moved || old.map(Node::is_ready) != new.map(Node::is_ready) {
            let short = self.hints.nodes_changed(view);
            short.into_iter().for_each(|key| self.desk.queue.add(key));
        }
    }

    /// A slice that comes to another Service has gone for the former.
    ///
    /// Source: `onEndpointSliceUpdate`, pkg/controller/endpointslice/endpointslice_controller.go (v1.34.1).
    fn on_slice(
        &mut self,
        ctx: &mut Context<'_>,
        change: &Change,
        old: Option<&EndpointSlice>,
        new: Option<&EndpointSlice>,
    ) {
        let key_of = |slice: &EndpointSlice| {
            let name = slice.meta.labels.get(SERVICE_NAME)?;
            Some(NamespacedName::new(slice.meta.namespace.clone(), name.clone()))
        };
        let (before, after) = (old.and_then(key_of), new.and_then(key_of));
        let is_same = before == after;
        if let Some(key) = before.filter(|_| !is_same) {
            self.on_slice_of(ctx, key, change, old, None);
        }
        if let Some(key) = after {
            self.on_slice_of(ctx, key, change, old.filter(|_| is_same), new);
        }
    }

    /// Somebody else's change of a slice is looked at a second later.
    fn on_slice_of(
        &mut self,
        ctx: &mut Context<'_>,
        key: NamespacedName,
        change: &Change,
        old: Option<&EndpointSlice>,
        new: Option<&EndpointSlice>,
    ) {
        let Some(slice) = new.or(old) else { return };
        let Some(tracked) = self.services.get_mut(&key) else { return };
        let managed = |slice: Option<&EndpointSlice>| slice.is_some_and(is_managed);
        tracked.slices.note(change.row, old.filter(|_| managed(old)), new.filter(|_| managed(new)));
        let own = if new.is_none() {
            let own = tracked.deleted.remove(&slice.meta.uid);
            if !own {
                tracked.slices.told_of(change.revision);
            }
            own
        } else {
            tracked.slices.told_of(change.revision);
            change.revision <= tracked.written
        };
        if !own && !self.desk.requests.is_under_way(&key) {
            self.desk.queue.add_after(ctx, key, FOREIGN_CHANGE_DELAY);
        }
    }
}

impl Reconciler for EndpointSlices {
    type Key = NamespacedName;
    type Stage = Stage;

    fn topics(&self) -> Topics {
        Topics::of_all(&[Kind::Service, Kind::EndpointSlice, Kind::Node, Kind::Pod])
    }

    fn desk(&mut self) -> &mut Desk<NamespacedName, Stage> {
        &mut self.desk
    }

    fn list(&mut self, _ctx: &mut Context<'_>, view: View<'_>) {
        for (_, service) in view.all::<Service>() {
            self.on_service(view, None, Some(service));
        }
    }

    fn note(&mut self, ctx: &mut Context<'_>, view: View<'_>, News { change, pods, .. }: &News<'_>) {
        let after = view.at(change.revision);
        match change.kind {
            Kind::Service => {
                let (old, new) = view.sides::<Service>(change);
                self.on_service(after, old, new);
            }
            Kind::Pod => self.on_pod(change.row, pods.0, pods.1),
            Kind::Node => {
                let (old, new) = view.sides::<Node>(change);
                self.on_node(after, old, new);
            }
            Kind::EndpointSlice => {
                let (old, new) = view.sides::<EndpointSlice>(change);
                self.on_slice(ctx, change, old, new);
            }
            _ => {}
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: NamespacedName) -> Step<NamespacedName, Stage> {
        let service = view.find::<Service>(&key.namespace, &key.name).map(|(_, service)| service.clone());
        let Some(service) = service.filter(|service| selector_of(service).is_some()) else {
            return self.desk.finish_or_drop(ctx, RETRIES_LIMIT, &key, false);
        };
        // For whom endpoints are depends on all of them.
        let has_hints = Wish::of(&service) != Wish::Nothing || self.hints.has(&key);
        let for_changes = if has_hints { None } else { self.writes_for_changes(view, &key, &service) };
        let is_known = for_changes.is_some();
        let all = if is_known && !cfg!(debug_assertions) {
            None
        } else {
            self.writes_for_all(view, &key, &service, is_known)
        };
        debug_assert!(
            !is_known || for_changes.as_ref() == all.as_ref().map(|(writes, ..)| writes),
            "what has changed of {key:?} asks for {for_changes:?}, a look at everything for {all:?}"
        );
        let for_changes = for_changes.map(|writes| (writes, LeftOut::new(), Vec::new()));
        let Some((mut writes, left_out, said)) = for_changes.or(all) else {
            // The watch has not yet shown what was written before.
            return self.desk.finish_or_drop(ctx, RETRIES_LIMIT, &key, true);
        };
        if service.meta.is_terminating() && !writes.create.is_empty() {
            writes.create.clear();
            // What these would have held is in no slice.
            if let Some(tracked) = self.services.get_mut(&key) {
                tracked.pods.distrust();
            }
        }
        // Slices of several sets of ports are made in any order: Kubernetes goes through a map.
        if writes.create.len() > 1 {
            let luck = |slice: &EndpointSlice| StableHasher::hash_one(&(service.meta.uid, &slice.ports));
            writes.create.sort_by_cached_key(luck);
        }
        let made = writes.create.len();
        let changed = writes.update.iter().map(|it| it.slice.meta.name.clone()).collect();
        let deleted = writes.delete.iter().map(|it| (it.slice.meta.name.clone(), it.slice.meta.uid)).collect();
        self.desk.begin(ctx, key, Stage { made, changed, deleted, left_out, said }, writes.into_requests())
    }

    fn proceed(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        ended: Ended<NamespacedName, Stage>,
    ) -> Step<NamespacedName, Stage> {
        let Ended { key, stage, answers, error, .. } = ended;
        if let Some(tracked) = self.services.get_mut(&key) {
            for answer in answers.iter().flatten() {
                if let Reply::Object(_, revision) = answer {
                    tracked.written = tracked.written.max(*revision);
                    tracked.slices.told_of(*revision);
                }
            }
            let granted = answers.iter().filter(|answer| matches!(answer, Ok(Reply::Deleted(_)))).count();
            tracked.deleted.extend(stage.deleted.iter().take(granted).map(|(_, uid)| *uid));
            if error.is_some() || !stage.left_out.is_empty() {
                tracked.pods.distrust();
            }
        }
        let failed = error.is_some() || !stage.left_out.is_empty();
        if (failed || !stage.said.is_empty())
            && let Some((_, service)) = view.find::<Service>(&key.namespace, &key.name)
        {
            // Writes are made one by one, and the refused one was the last.
            let refused = error.map(|refusal| stage.refused(service, answers.len() - 1, &refusal));
            events::about_hints(ctx, service, stage.said);
            if failed {
                events::not_updated(ctx, service, &stage.left_out, refused);
            }
        }
        self.desk.finish_or_drop(ctx, RETRIES_LIMIT, &key, failed)
    }
}

/// Whether a slice is this controller's and stays.
fn is_managed(slice: &EndpointSlice) -> bool {
    let manager = slice.meta.labels.get(MANAGED_BY);
    manager.is_some_and(|manager| **manager == *MANAGER) && !slice.meta.is_terminating()
}

/// An empty slice of a Service.
fn blank_slice(service: &Service) -> EndpointSlice {
    let reserved = [SERVICE_NAME, MANAGED_BY, HEADLESS];
    let own = service.meta.labels.iter().filter(|(key, _)| !reserved.contains(&&***key));
    let mut pairs: Vec<(Name, Name)> = own.map(|(key, value)| (key.clone(), value.clone())).collect();
    pairs.push((SERVICE_NAME.into(), service.meta.name.clone()));
    pairs.push((MANAGED_BY.into(), MANAGER.into()));
    if service.cluster_ip.is_none() {
        pairs.push((HEADLESS.into(), Name::default()));
    }
    let meta = Meta {
        generate_name: true,
        labels: Labels::new(pairs),
        owners: [owned_by(Kind::Service, &service.meta)].into(),
        ..Meta::named(&service.meta.namespace, &format!("{}-", service.meta.name))
    };
    EndpointSlice { meta, ..EndpointSlice::default() }
}
