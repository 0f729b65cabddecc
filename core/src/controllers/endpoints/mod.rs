//! The endpoints controller: lists the pods behind each Service in one object, the older form of EndpointSlices.
//!
//! Cost: a pod's change looks at the selectors of all Services of its namespace (as in Kubernetes); a sync looks at the
//! pods that have changed, at all of the namespace only where that is not enough ([`tally`]). Builds with debug
//! assertions do so each time and compare. Source: pkg/controller/endpoint/endpoints_controller.go (v1.34.1). Absent on
//! purpose: IPv6 and trigger times; so Endpoints with more addresses than they may have are written only if these
//! change, and not at every change of a pod.
//!
//! Parts: `tally` (which addresses a Service has, and what of them is listed).

mod tally;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::{Propagation, Refusal, Reply, Request};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::NamespacedName;
use crate::controllers::endpoint_slice::HEADLESS;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::controllers::service_pods::{PodTurn, selector_of};
use crate::events::Event;
use crate::id::{Name, Revision, RowId};
use crate::model::{Endpoints, Kind, Labels, Meta, Object, Pod, Selector, Service};
use crate::store::View;

use tally::Tally;

/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 22;
/// How this controller names itself in events and labels.
const CONTROLLER: &str = "endpoint-controller";
/// How often a failing Service is retried before it is left alone until something changes.
const RETRIES_LIMIT: u32 = 15;
/// The label of who keeps them.
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
/// The annotation of Endpoints that lack addresses for want of room.
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const TRUNCATED: &str = "truncated";

/// The controller. Its keys are Services.
pub(super) struct EndpointsOfServices {
    desk: Desk<NamespacedName, Stage>,
    services: BTreeMap<NamespacedName, Tracked>,
    /// Services of which a sync might find something to do although nothing has woken them.
    restless: BTreeSet<NamespacedName>,
}

/// What is remembered of a Service.
#[derive(Default)]
struct Tracked {
    /// What it selects; `None` if its endpoints are somebody else's business.
    selector: Option<Selector>,
    /// Which addresses it has, as far as that is known.
    tally: Tally,
    /// The version of its Endpoints that this controller has written.
    written: Option<Revision>,
    /// A version that this controller has replaced: a view that still has it is stale.
    replaced: Option<Revision>,
}

/// The write that a sync waits for.
pub(in crate::controllers) enum Stage {
    Creation(Arc<Endpoints>),
    Update(Arc<Endpoints>, Option<Revision>),
    Deletion,
}

impl EndpointsOfServices {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> EndpointsOfServices {
        let tolerated: fn(&Refusal) -> bool = |_| false;
        let desk = Desk::new(NUMBER, config.concurrent_syncs, config.client_limit, tolerated);
        EndpointsOfServices { desk, services: BTreeMap::new(), restless: BTreeSet::new() }
    }

    fn on_service(&mut self, new: Option<&Service>, key: NamespacedName) {
        match new {
            None => {
                self.services.remove(&key);
                self.restless.remove(&key);
            }
            // Endpoints have the Service's ports and show pods as it wants them shown.
            Some(service) => {
                let tracked = self.services.entry(key.clone()).or_default();
                tracked.selector = selector_of(service);
                tracked.tally.distrust();
            }
        }
        self.desk.queue.add(key);
    }

    /// Source: `GetServicesToUpdateOnPodChange`, staging/src/k8s.io/endpointslice/util/controller_utils.go (v1.34.1).
    fn on_pod(&mut self, row: RowId, old: Option<&Pod>, new: Option<&Pod>) {
        if self.services.is_empty() {
            return;
        }
        let Some(namespace) = new.or(old).map(|pod| &pod.meta.namespace) else { return };
        let Some(PodTurn { wakes, has_address }) = PodTurn::of(old, new) else { return };
        let first = NamespacedName::new(namespace.clone(), Name::default());
        if !has_address {
            let restless = self.restless.range(first..).take_while(|key| key.namespace == *namespace);
            for key in restless {
                let selector = self.services.get(key).and_then(|tracked| tracked.selector.as_ref());
                let selects =
                    |pod: Option<&Pod>| pod.is_some_and(|pod| selector.is_some_and(|it| it.matches(&pod.meta.labels)));
                let (before, after) = (selects(old), selects(new));
                if before != after || wakes && after {
                    self.desk.queue.add(key.clone());
                }
            }
            return;
        }
        let services = self.services.range_mut(first..).take_while(|(key, _)| key.namespace == *namespace);
        for (key, Tracked { selector, tally, .. }) in services {
            let Some(selector) = selector else { continue };
            let selects = |pod: &Pod| selector.matches(&pod.meta.labels);
            let (before, after) = (old.filter(|pod| selects(pod)), new.filter(|pod| selects(pod)));
            if before.is_none() && after.is_none() {
                continue;
            }
            tally.note(row, before, new.or(old));
            if wakes || before.is_some() != after.is_some() {
                self.desk.queue.add(key.clone());
            } else {
                self.restless.insert(key.clone());
            }
        }
    }

    /// Somebody has changed Endpoints. What somebody else writes lasts until their Service is looked at again.
    fn on_endpoints(&mut self, revision: Revision, key: NamespacedName) {
        if self.desk.requests.is_under_way(&key) {
            return;
        }
        if let Some(tracked) = self.services.get_mut(&key).filter(|it| it.written.is_none_or(|own| own < revision)) {
            tracked.tally.distrust();
            self.restless.insert(key);
        }
    }

    /// The Endpoints that a Service should have, in place of those that it has; `None` if these stay.
    fn wanted(&mut self, view: View<'_>, key: &NamespacedName, service: &Service) -> Option<Endpoints> {
        let stored = view.find::<Endpoints>(&key.namespace, &key.name);
        let version = stored.and_then(|(row, _)| view.version_of::<Endpoints>(row));
        let tracked = self.services.entry(key.clone()).or_default();
        let known = stored.filter(|_| version == tracked.written).map(|(_, stored)| &stored.subsets[..]);
        let (subsets, is_truncated) = tracked.tally.subsets(view, service, known);
        if !tracked.tally.is_known() {
            self.restless.insert(key.clone());
        }
        let Some((_, stored)) = stored else {
            let meta = Meta::named(&key.namespace, &key.name);
            return Some(complete(Endpoints { meta, subsets: subsets.into_owned() }, service, is_truncated));
        };
        let annotated = stored.meta.annotations.get(OVER_CAPACITY);
        let is_told = annotated.is_none_or(|word| **word == *TRUNCATED) && annotated.is_some() == is_truncated;
        let are_same = matches!(&subsets, Cow::Borrowed(_)) || *subsets == stored.subsets;
        let are_labels_right = are_labels_right(&stored.meta.labels, &service.meta.labels);
        if are_same && are_labels_right && is_told {
            tracked.written = version;
            return None;
        }
        Some(complete(Endpoints { meta: stored.meta.clone(), subsets: subsets.into_owned() }, service, is_truncated))
    }
}

impl Reconciler for EndpointsOfServices {
    type Key = NamespacedName;
    type Stage = Stage;

    fn topics(&self) -> Topics {
        Topics::of_all(&[Kind::Service, Kind::Endpoints, Kind::Pod])
    }

    fn desk(&mut self) -> &mut Desk<NamespacedName, Stage> {
        &mut self.desk
    }

    /// Endpoints without a Service are looked at, too: their Service may have gone while nobody looked.
    fn list(&mut self, _ctx: &mut Context<'_>, view: View<'_>) {
        for (_, service) in view.all::<Service>() {
            self.on_service(Some(service), NamespacedName::of_meta(&service.meta));
        }
        for (_, endpoints) in view.all::<Endpoints>() {
            self.desk.queue.add(NamespacedName::of_meta(&endpoints.meta));
        }
    }

    fn note(&mut self, _ctx: &mut Context<'_>, view: View<'_>, News { change, pods, .. }: &News<'_>) {
        match change.kind {
            Kind::Service => {
                let (old, new) = view.sides::<Service>(change);
                let key = new.or(old).map(|service| NamespacedName::of_meta(&service.meta));
                key.into_iter().for_each(|key| self.on_service(new, key));
            }
            Kind::Pod => self.on_pod(change.row, pods.0, pods.1),
            Kind::Endpoints => match view.sides::<Endpoints>(change) {
                (Some(gone), None) => self.desk.queue.add(NamespacedName::of_meta(&gone.meta)),
                (_, Some(new)) => self.on_endpoints(change.revision, NamespacedName::of_meta(&new.meta)),
                (None, None) => {}
            },
            _ => {}
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: NamespacedName) -> Step<NamespacedName, Stage> {
        self.restless.remove(&key);
        let Some((_, service)) = view.find::<Service>(&key.namespace, &key.name) else {
            let delete = Request::Delete {
                key: key.of(Kind::Endpoints),
                uid: None,
                grace: None,
                propagation: Propagation::Background,
            };
            return self.desk.begin(ctx, key, Stage::Deletion, [vec![delete]]);
        };
        if selector_of(service).is_none() {
            return self.desk.finish_or_drop(ctx, RETRIES_LIMIT, &key, false);
        }
        let stored = view.find::<Endpoints>(&key.namespace, &key.name);
        let version = stored.and_then(|(row, _)| view.version_of::<Endpoints>(row));
        let replaced = self.services.get(&key).and_then(|tracked| tracked.replaced);
        if version.is_some() && version == replaced {
            return self.desk.finish_or_drop(ctx, RETRIES_LIMIT, &key, true);
        }
        let Some(wanted) = self.wanted(view, &key, service) else {
            return self.desk.finish_or_drop(ctx, RETRIES_LIMIT, &key, false);
        };
        let wanted = Arc::new(wanted);
        let object = Object::Endpoints(wanted.clone());
        let (request, stage) = match version {
            None => (Request::Create(object), Stage::Creation(wanted)),
            Some(_) => (Request::Update { object, expected: version }, Stage::Update(wanted, version)),
        };
        self.desk.begin(ctx, key, stage, [vec![request]])
    }

    fn proceed(
        &mut self,
        ctx: &mut Context<'_>,
        _view: View<'_>,
        ended: Ended<NamespacedName, Stage>,
    ) -> Step<NamespacedName, Stage> {
        let Ended { key, stage, answers, error, .. } = ended;
        let revision = answers.iter().flatten().find_map(|answer| match answer {
            Reply::Object(_, revision) => Some(*revision),
            _ => None,
        });
        let failed = error.filter(|refusal| !is_expected(&stage, refusal));
        if let Some(tracked) = self.services.get_mut(&key) {
            match (&stage, revision) {
                (Stage::Creation(_), Some(revision)) => tracked.written = Some(revision),
                (Stage::Update(_, before), Some(revision)) if *before != Some(revision) => {
                    (tracked.written, tracked.replaced) = (Some(revision), *before);
                }
                _ => {}
            }
            if revision.is_none() {
                tracked.tally.distrust();
                self.restless.insert(key.clone());
            }
        }
        if let Some(refusal) = &failed {
            say_refused(ctx, &key, &stage, refusal);
        }
        self.desk.finish_or_drop(ctx, RETRIES_LIMIT, &key, failed.is_some())
    }
}

/// Whether a refusal is none that a sync fails for.
fn is_expected(stage: &Stage, refusal: &Refusal) -> bool {
    match stage {
        Stage::Creation(_) => refusal.is_namespace_terminating(),
        Stage::Update(..) => false,
        Stage::Deletion => matches!(refusal, Refusal::NotFound(_)),
    }
}

fn say_refused(ctx: &mut Context<'_>, key: &NamespacedName, stage: &Stage, refusal: &Refusal) {
    let NamespacedName { namespace, name, .. } = key;
    let (endpoints, reason, message) = match stage {
        Stage::Creation(it) => {
            let message = format!("Failed to create endpoint for service {namespace}/{name}: {refusal}");
            (it, "FailedToCreateEndpoint", message)
        }
        Stage::Update(it, _) => {
            (it, "FailedToUpdateEndpoint", format!("Failed to update endpoint {namespace}/{name}: {refusal}"))
        }
        Stage::Deletion => return,
    };
    let event = Event::warning(CONTROLLER, reason, message).about(&endpoints.meta);
    ctx.event(key.of(Kind::Endpoints), event);
}

/// The Endpoints of a Service with its labels and what tells of their number.
fn complete(mut endpoints: Endpoints, service: &Service, is_truncated: bool) -> Endpoints {
    let labels = if service.cluster_ip.is_none() {
        service.meta.labels.with(HEADLESS, "")
    } else {
        service.meta.labels.without(HEADLESS)
    };
    endpoints.meta.labels = labels.with(MANAGED_BY, CONTROLLER);
    if is_truncated {
        endpoints.meta.annotations = endpoints.meta.annotations.with(OVER_CAPACITY, TRUNCATED);
    } else if endpoints.meta.annotations.get(OVER_CAPACITY).is_some() {
        endpoints.meta.annotations = endpoints.meta.annotations.without(OVER_CAPACITY);
    }
    endpoints
}

/// Whether Endpoints have this controller's label and their Service's, whatever they say of being headless.
///
/// Source: `labelsCorrectForEndpoints`, pkg/controller/endpoint/endpoints_controller.go (v1.34.1).
fn are_labels_right(labels: &Labels, wanted: &Labels) -> bool {
    let own = |key: &str| key == HEADLESS || key == MANAGED_BY;
    let others = || labels.iter().filter(|(key, _)| !own(key));
    labels.get(MANAGED_BY).is_some_and(|manager| **manager == *CONTROLLER)
        && others().all(|(key, value)| wanted.get(key) == Some(value))
        && others().count() == wanted.iter().count()
}
