//! The root CA certificate publisher: keeps the API server's certificate in a ConfigMap of every namespace.
//!
//! Source: pkg/controller/certificates/rootcacertpublisher/publisher.go (v1.34.1).

use std::sync::Arc;

use crate::api::{Refusal, Request};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::id::Name;
use crate::model::{ConfigMap, DESCRIPTION, Kind, Namespace, Object, ROOT_CERTIFICATE};
use crate::store::View;

/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 20;
/// How many namespaces are seen to at once. Source: `startRootCACertificatePublisherController`,
/// cmd/kube-controller-manager/app/certificates.go (v1.34.1).
const WORKERS: u32 = 1;

/// The controller. Its keys are namespaces.
pub(super) struct RootCertificates {
    desk: Desk<Name, ()>,
}

impl RootCertificates {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> RootCertificates {
        let tolerated: fn(&Refusal) -> bool =
            |refusal| matches!(refusal, Refusal::NotFound(_)) || refusal.is_namespace_terminating();
        RootCertificates { desk: Desk::new(NUMBER, WORKERS, config.client_limit, tolerated) }
    }
}

impl Reconciler for RootCertificates {
    type Key = Name;
    type Stage = ();

    fn topics(&self) -> Topics {
        Topics::of_all(&[Kind::Namespace, Kind::ConfigMap])
    }

    fn desk(&mut self) -> &mut Desk<Name, ()> {
        &mut self.desk
    }

    fn list(&mut self, _ctx: &mut Context<'_>, view: View<'_>) {
        for (_, namespace) in view.all::<Namespace>() {
            self.desk.queue.add(namespace.meta.name.clone());
        }
    }

    fn note(&mut self, _ctx: &mut Context<'_>, view: View<'_>, News { change, .. }: &News<'_>) {
        let key = match change.kind {
            Kind::Namespace => (view.sides::<Namespace>(change).1)
                .filter(|it| !it.meta.is_terminating())
                .map(|namespace| namespace.meta.name.clone()),
            // One that is new is nothing to look at, unless it has a mistake: its next change shows that.
            Kind::ConfigMap => (view.sides::<ConfigMap>(change).0)
                .filter(|map| map.meta.name == ROOT_CERTIFICATE)
                .map(|map| map.meta.namespace.clone()),
            _ => None,
        };
        key.into_iter().for_each(|key| self.desk.queue.add(key));
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: Name) -> Step<Name, ()> {
        let wanted = ConfigMap::root_certificate(&key);
        let Some((row, stored)) = view.find::<ConfigMap>(&key, &ROOT_CERTIFICATE) else {
            return self.desk.begin(ctx, key, (), [vec![Request::Create(Object::ConfigMap(Arc::new(wanted)))]]);
        };
        let described = stored.meta.annotations.get(DESCRIPTION).is_some_and(|text| !text.is_empty());
        if stored.data == wanted.data && described {
            return self.desk.finish(ctx, &key, false);
        }
        let mut repaired = ConfigMap::clone(stored);
        repaired.data = wanted.data;
        let description = wanted.meta.annotations.get(DESCRIPTION).expect("it is annotated").clone();
        repaired.meta.annotations = repaired.meta.annotations.with(DESCRIPTION, description);
        let expected = view.version_of::<ConfigMap>(row);
        let update = Request::Update { object: Object::ConfigMap(Arc::new(repaired)), expected };
        self.desk.begin(ctx, key, (), [vec![update]])
    }
}
