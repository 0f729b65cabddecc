//! The mirroring controller: keeps EndpointSlices equal to the Endpoints of Services that select nothing, which people
//! or programs write.
//!
//! Source: pkg/controller/endpointslicemirroring (v1.34.1). Absent on purpose: IPv6, of which there are no Endpoints
//! here.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::{Propagation, Refusal, Reply, Request};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::endpoint_slice::{MANAGED_BY, SERVICE_NAME};
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::controllers::service_pods::Ports;
use crate::controllers::{NamespacedName, owned_by};
use crate::digest::Shared;
use crate::events::Event;
use crate::id::{Name, Revision, Uid};
use crate::model::{
    Endpoint, EndpointAddress, EndpointSlice, EndpointSubset, Endpoints, Kind, Labels, Meta, Object, Seldom, Service,
};
use crate::store::{Change, IndexKey, View};
use crate::time::Span;

/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 23;
/// First back-off of failing Endpoints.
const BACKOFF_FIRST: Span = Span::from_secs(1);
/// How often failing Endpoints are retried before they are left alone until something changes.
const RETRIES_LIMIT: u32 = 15;
/// The most addresses of a subset that are mirrored.
const ADDRESSES_MAX: usize = 1_000;
/// How this controller names itself in events.
const REPORTER: &str = "endpoint-slice-mirroring-controller";
/// This controller, as the label of who manages a slice names it.
const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
/// The label of Endpoints that want no mirror.
const SKIP_MIRROR: &str = "endpointslice.kubernetes.io/skip-mirror";
/// The annotation of Endpoints that stand for a lease.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// Annotations that are the Endpoints' own business.
const OWN_ANNOTATIONS: [&str; 2] =
    ["endpoints.kubernetes.io/last-change-trigger-time", "kubectl.kubernetes.io/last-applied-configuration"];

/// The controller. Its keys are Endpoints.
pub(super) struct SliceMirroring {
    desk: Desk<NamespacedName, Vec<Uid>>,
    tracked: BTreeMap<NamespacedName, Tracked>,
}

/// What the watch has yet to show.
#[derive(Default)]
struct Tracked {
    /// The newest version of a slice that this controller has written: what is older is stale.
    written: Revision,
    /// Slices that this controller has deleted and the watch may still show.
    deleted: BTreeSet<Uid>,
}

/// A slice that is there, and its version.
type Stored<'a> = (&'a Arc<EndpointSlice>, Option<Revision>);

impl SliceMirroring {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> SliceMirroring {
        let mut desk =
            Desk::new(NUMBER, config.concurrent_syncs, config.client_limit, Refusal::is_namespace_terminating);
        desk.queue = desk.queue.with_first_backoff(BACKOFF_FIRST);
        SliceMirroring { desk, tracked: BTreeMap::new() }
    }

    fn on_service(&mut self, old: Option<&Service>, new: Option<&Service>) {
        let is_open = |service: Option<&Service>| service.map(|service| service.selector.is_none());
        let concerns = match (is_open(old), is_open(new)) {
            (Some(before), Some(after)) => before != after,
            (one, other) => one.or(other) == Some(true),
        };
        if concerns && let Some(service) = new.or(old) {
            self.desk.queue.add(NamespacedName::of_meta(&service.meta));
        }
    }

    /// A slice that somebody else has changed brings its Endpoints up.
    fn on_slice(&mut self, change: &Change, old: Option<&EndpointSlice>, new: Option<&EndpointSlice>) {
        let is_mirror = [old, new].into_iter().flatten().any(is_managed);
        let Some(slice) = new.or(old).filter(|_| is_mirror) else { return };
        let Some(service) = slice.meta.labels.get(SERVICE_NAME) else { return };
        let key = NamespacedName::new(slice.meta.namespace.clone(), service.clone());
        let tracked = self.tracked.get_mut(&key);
        let is_own = tracked.is_some_and(|tracked| match new {
            None => tracked.deleted.remove(&slice.meta.uid),
            Some(_) => change.revision <= tracked.written,
        });
        if !is_own && !self.desk.requests.is_under_way(&key) {
            self.desk.queue.add(key);
        }
    }

    /// What has to be written, or deleted, to make the slices the Endpoints' mirror.
    fn requests(ctx: &mut Context<'_>, endpoints: &Endpoints, stored: Vec<Stored<'_>>) -> (Vec<Request>, Vec<Uid>) {
        let mut by_ports: BTreeMap<&Ports, Vec<Stored<'_>>> = BTreeMap::new();
        for it in stored {
            by_ports.entry(&it.0.ports).or_default().push(it);
        }
        let (mut create, mut update, mut delete) = (Vec::new(), Vec::new(), Vec::new());
        let mut left_out = 0;
        for subset in EndpointSubset::packed(&endpoints.subsets) {
            let slice = mirror_of(endpoints, &subset);
            left_out += subset.len() - slice.endpoints.len();
            let mut present = by_ports.remove(&subset.ports).unwrap_or_default().into_iter();
            match present.next() {
                Some((before, _)) if is_mirror(before, &slice) => {}
                Some(it) => update.push((slice, it)),
                None => create.push(slice),
            }
            delete.extend(present);
        }
        delete.extend(by_ports.into_values().flatten());
        // A slice that would be deleted takes the content of one that would be created.
        let reused = create.len().min(delete.len());
        update.extend(create.drain(..reused).zip(delete.drain(..reused)));
        if left_out > 0 {
            let message = format!(
                "A max of {ADDRESSES_MAX} addresses can be mirrored to EndpointSlices per Endpoints subset. {left_out} \
                 addresses were skipped"
            );
            let key = NamespacedName::of_meta(&endpoints.meta).of(Kind::Endpoints);
            ctx.event(key, Event::warning(REPORTER, "TooManyAddressesToMirror", message).about(&endpoints.meta));
        }
        let deleted = delete.iter().map(|(slice, _)| slice.meta.uid).collect();
        let object = |slice: EndpointSlice| Object::EndpointSlice(Arc::new(slice));
        let is_going = endpoints.meta.is_terminating();
        let create = create.into_iter().filter(|_| !is_going).map(|slice| Request::Create(object(slice)));
        let update = update.into_iter().map(|(slice, (before, version))| {
            let meta = Meta { labels: slice.meta.labels, owners: slice.meta.owners, ..before.meta.clone() };
            let meta = with_annotations(meta, slice.meta.extras.annotations.clone());
            Request::Update { object: object(EndpointSlice { meta, ..slice }), expected: version }
        });
        let delete = delete.into_iter().map(|(slice, _)| deletion(slice));
        (create.chain(update).chain(delete).collect(), deleted)
    }
}

impl Reconciler for SliceMirroring {
    type Key = NamespacedName;
    type Stage = Vec<Uid>;

    fn topics(&self) -> Topics {
        Topics::of_all(&[Kind::Service, Kind::Endpoints, Kind::EndpointSlice])
    }

    fn desk(&mut self) -> &mut Desk<NamespacedName, Vec<Uid>> {
        &mut self.desk
    }

    fn list(&mut self, _ctx: &mut Context<'_>, view: View<'_>) {
        for (_, service) in view.all::<Service>() {
            self.on_service(None, Some(service));
        }
        for (_, endpoints) in view.all::<Endpoints>().filter(|(_, it)| wants_mirror(it)) {
            self.desk.queue.add(NamespacedName::of_meta(&endpoints.meta));
        }
    }

    fn note(&mut self, _ctx: &mut Context<'_>, view: View<'_>, News { change, .. }: &News<'_>) {
        match change.kind {
            Kind::Service => {
                let (old, new) = view.sides::<Service>(change);
                self.on_service(old, new);
            }
            Kind::Endpoints => {
                let (old, new) = view.sides::<Endpoints>(change);
                if let Some(endpoints) = [new, old].into_iter().flatten().find(|it| wants_mirror(it)) {
                    self.desk.queue.add(NamespacedName::of_meta(&endpoints.meta));
                }
            }
            Kind::EndpointSlice => {
                let (old, new) = view.sides::<EndpointSlice>(change);
                self.on_slice(change, old, new);
            }
            _ => {}
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: NamespacedName) -> Step<NamespacedName, Vec<Uid>> {
        let stored: Vec<Stored<'_>> = view
            .under::<EndpointSlice>(IndexKey::Service(key.name.clone()))
            .filter(|(_, slice)| slice.meta.namespace == key.namespace && is_managed(slice))
            .map(|(row, slice)| (slice, view.version_of::<EndpointSlice>(row)))
            .collect();
        let endpoints = view.find::<Endpoints>(&key.namespace, &key.name).map(|(_, endpoints)| endpoints);
        let service = view.find::<Service>(&key.namespace, &key.name).map(|(_, service)| service);
        let is_open = service.is_some_and(|service| service.selector.is_none());
        let Some(endpoints) = endpoints.filter(|endpoints| is_open && wants_mirror(endpoints)) else {
            self.tracked.remove(&key);
            let deletions: Vec<Request> = stored.iter().map(|(slice, _)| deletion(slice)).collect();
            return self.desk.begin(ctx, key, Vec::new(), [deletions]);
        };
        let tracked = self.tracked.entry(key.clone()).or_default();
        let is_stale = view.revision() < tracked.written
            || stored.iter().any(|(slice, _)| tracked.deleted.contains(&slice.meta.uid));
        if is_stale {
            return self.desk.finish_or_drop(ctx, RETRIES_LIMIT, &key, true);
        }
        tracked.deleted.clear();
        let (requests, deleted) = SliceMirroring::requests(ctx, endpoints, stored);
        self.desk.begin(ctx, key, deleted, requests.into_iter().map(|request| vec![request]))
    }

    fn proceed(
        &mut self,
        ctx: &mut Context<'_>,
        _view: View<'_>,
        ended: Ended<NamespacedName, Vec<Uid>>,
    ) -> Step<NamespacedName, Vec<Uid>> {
        let Ended { key, stage: deleted, answers, error, .. } = ended;
        if let Some(tracked) = self.tracked.get_mut(&key) {
            for answer in answers.iter().flatten() {
                if let Reply::Object(_, revision) = answer {
                    tracked.written = tracked.written.max(*revision);
                }
            }
            let granted = answers.iter().filter(|answer| matches!(answer, Ok(Reply::Deleted(_)))).count();
            tracked.deleted.extend(deleted.iter().take(granted));
        }
        self.desk.finish_or_drop(ctx, RETRIES_LIMIT, &key, error.is_some())
    }
}

/// Whether a slice is this controller's.
fn is_managed(slice: &EndpointSlice) -> bool {
    slice.meta.labels.get(MANAGED_BY).is_some_and(|manager| **manager == *MANAGER)
}

/// Whether Endpoints are to be mirrored, if their Service selects nothing.
fn wants_mirror(endpoints: &Endpoints) -> bool {
    let declines = endpoints.meta.labels.get(SKIP_MIRROR).is_some_and(|word| &**word == "true");
    !declines && endpoints.meta.annotations.get(LEADER).is_none()
}

/// The slice that a subset should have.
fn mirror_of(endpoints: &Endpoints, subset: &EndpointSubset) -> EndpointSlice {
    let meta = &endpoints.meta;
    let ready = subset.addresses.iter().map(|address| (address, true));
    let not_ready = subset.not_ready.iter().map(|address| (address, false));
    let mirrored = ready.chain(not_ready).take(ADDRESSES_MAX).map(|(address, ready)| endpoint_of(address, ready));
    let mut mirrored: Vec<Endpoint> = mirrored.collect();
    mirrored.sort_by(|one, other| one.address.cmp(&other.address));
    let own = meta.annotations.iter().filter(|(key, _)| !OWN_ANNOTATIONS.contains(&&***key));
    let annotations = Labels::new(own.map(|(key, value)| (key.clone(), value.clone())));
    let slice_meta = Meta {
        generate_name: true,
        labels: meta.labels.with(SERVICE_NAME, meta.name.clone()).with(MANAGED_BY, MANAGER),
        owners: [owned_by(Kind::Endpoints, meta)].into(),
        ..Meta::named(&meta.namespace, &format!("{}-", meta.name))
    };
    EndpointSlice {
        meta: with_annotations(slice_meta, annotations),
        ports: subset.ports.clone(),
        endpoints: mirrored.into_iter().map(Shared::new).collect(),
    }
}

fn endpoint_of(address: &EndpointAddress, ready: bool) -> Endpoint {
    let pod = address.target.as_ref().filter(|target| &*target.kind == "Pod");
    Endpoint {
        address: address.address.clone(),
        pod_uid: pod.and_then(|pod| pod.uid).unwrap_or_default(),
        pod: pod.map(|pod| pod.name.clone()).unwrap_or_default(),
        node: address.node.clone(),
        zone: None,
        ready,
        serving: ready,
        terminating: false,
        hostname: address.hostname.clone(),
        hints: Seldom::default(),
    }
}

/// Whether a stored slice says what it should, whatever its labels say of who made it for whom.
fn is_mirror(stored: &EndpointSlice, wanted: &EndpointSlice) -> bool {
    let labels = |slice: &EndpointSlice| slice.meta.labels.without(SERVICE_NAME).without(MANAGED_BY);
    let is_anothers = |name: &Name, uid: Uid| {
        stored.meta.owners.iter().any(|it| it.kind == Kind::Endpoints && it.name == *name && it.uid != uid)
    };
    stored.endpoints == wanted.endpoints
        && labels(stored) == labels(wanted)
        && stored.meta.annotations == wanted.meta.annotations
        && !wanted.meta.owners.iter().any(|owner| is_anothers(&owner.name, owner.uid))
}

fn with_annotations(mut meta: Meta, annotations: Labels) -> Meta {
    if meta.annotations != annotations {
        meta.annotations = annotations;
    }
    meta
}

fn deletion(slice: &EndpointSlice) -> Request {
    Request::Delete {
        key: NamespacedName::of_meta(&slice.meta).of(Kind::EndpointSlice),
        uid: None,
        grace: None,
        propagation: Propagation::Background,
    }
}
