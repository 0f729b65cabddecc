//! The ServiceAccount controller: gives every namespace its default account, and again when somebody deletes it.
//!
//! Source: pkg/controller/serviceaccount/serviceaccounts_controller.go (v1.34.1). Absent on purpose: tokens.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::api::{Refusal, Request};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::id::Name;
use crate::model::{DEFAULT_ACCOUNT, Kind, Namespace, Object, ServiceAccount};
use crate::store::View;

/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 19;
/// How many namespaces are seen to at once. Source: `startServiceAccountController`,
/// cmd/kube-controller-manager/app/core.go (v1.34.1).
const WORKERS: u32 = 1;

/// The controller. Its keys are namespaces.
pub(super) struct ServiceAccounts {
    desk: Desk<Name, ()>,
}

impl ServiceAccounts {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> ServiceAccounts {
        let tolerated: fn(&Refusal) -> bool =
            |refusal| matches!(refusal, Refusal::AlreadyExists { .. }) || refusal.is_namespace_terminating();
        ServiceAccounts { desk: Desk::new(NUMBER, WORKERS, config.client_limit, tolerated) }
    }
}

impl Reconciler for ServiceAccounts {
    type Key = Name;
    type Stage = ();

    fn topics(&self) -> Topics {
        Topics::of_all(&[Kind::Namespace, Kind::ServiceAccount])
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
            Kind::Namespace => view.sides::<Namespace>(change).1.map(|it| it.meta.name.clone()),
            Kind::ServiceAccount => match view.sides::<ServiceAccount>(change) {
                (Some(gone), None) => Some(gone.meta.namespace.clone()),
                _ => None,
            },
            _ => None,
        };
        key.into_iter().for_each(|key| self.desk.queue.add(key));
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: Name) -> Step<Name, ()> {
        let namespace = view.find::<Namespace>(&Name::default(), &key).map(|(_, namespace)| namespace);
        let lives = namespace.is_some_and(|namespace| !namespace.meta.is_terminating());
        if !lives || view.find::<ServiceAccount>(&key, &DEFAULT_ACCOUNT).is_some() {
            return self.desk.finish(ctx, &key, false);
        }
        let account = ServiceAccount::default_of(&key);
        let request = Request::Create(Object::ServiceAccount(Arc::new(account)));
        self.desk.begin(ctx, key, (), [vec![request]])
    }
}
