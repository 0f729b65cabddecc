//! The ResourceQuota controller: counts what a namespace uses and says it in its quotas' status.
//!
//! Admission adds what is created; this controller takes away what has gone, after each deletion and every five
//! minutes, and is the first to say what a new quota enforces: until then it enforces nothing. Source:
//! pkg/controller/resourcequota (v1.34.1), which keeps a second queue for quotas without a count. Here one queue serves
//! all, and the full count every five minutes stops while there are no quotas.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::api::Request;
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::NamespacedName;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::model::{Amounts, Kind, Object, ResourceQuota, ResourceQuotaStatus, Service, ServiceType, with_kind};
use crate::quantity::Quantity;
use crate::quota::{counts_under, is_counted, masked, matches_scopes, restricted, sum, usage};
use crate::store::{Change, View};
use crate::time::{Span, Time};

/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 18;
/// `--concurrent-resource-quota-syncs`.
const WORKERS: u32 = 5;
/// `--resource-quota-sync-period`.
const RESYNC: Span = Span::from_secs(300);

/// What is to be done.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(in crate::controllers) enum Work {
    /// Count all quotas.
    All,
    /// Count one.
    One(NamespacedName),
}

/// The controller.
pub(super) struct ResourceQuotas {
    desk: Desk<Work, ()>,
    started: Time,
}

impl ResourceQuotas {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> ResourceQuotas {
        ResourceQuotas { desk: Desk::new(NUMBER, WORKERS, config.client_limit, |_| false), started: Time::ZERO }
    }

    fn add(&mut self, ctx: &mut Context<'_>, quota: &ResourceQuota) {
        self.desk.queue.add(Work::One(NamespacedName::of_meta(&quota.meta)));
        let since = ctx.now.since(self.started).0 % RESYNC.0;
        self.desk.queue.add_after(ctx, Work::All, Span(RESYNC.0 - since));
    }

    /// Counts again those quotas of a namespace that count a kind.
    fn replenish(&mut self, view: View<'_>, kind: Kind, namespace: &crate::id::Name) {
        for (_, quota) in view.in_namespace::<ResourceQuota>(namespace) {
            if !restricted(quota, kind).is_empty() {
                self.desk.queue.add(Work::One(NamespacedName::of_meta(&quota.meta)));
            }
        }
    }

    fn on_quota(&mut self, ctx: &mut Context<'_>, view: View<'_>, change: &Change) {
        let old = view.before(change.revision).get::<ResourceQuota>(change.row);
        let new = view.at(change.revision).get::<ResourceQuota>(change.row);
        match (old, new) {
            (Some(old), Some(new)) if old.hard == new.hard => {}
            (_, Some(new)) => self.add(ctx, new),
            (_, None) => {}
        }
    }
}

impl Reconciler for ResourceQuotas {
    type Key = Work;
    type Stage = ();

    fn topics(&self) -> Topics {
        Topics::ALL
    }

    fn desk(&mut self) -> &mut Desk<Work, ()> {
        &mut self.desk
    }

    fn list(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        self.started = ctx.now;
        for (_, quota) in view.all::<ResourceQuota>() {
            self.add(ctx, quota);
        }
    }

    fn note(&mut self, ctx: &mut Context<'_>, view: View<'_>, news: &News<'_>) {
        let change = &news.change;
        if change.kind == Kind::ResourceQuota {
            self.on_quota(ctx, view, change);
        }
        if view.writes(Kind::ResourceQuota) == 0 || !change.kind.is_namespaced() {
            return;
        }
        if frees_quota(view, news, ctx.now)
            && let Some(old) = view.before(change.revision).object(change.kind, change.row)
        {
            self.replenish(view, change.kind, &old.meta().namespace);
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: Work) -> Step<Work, ()> {
        let name = match &key {
            Work::All => {
                for (_, quota) in view.all::<ResourceQuota>() {
                    self.desk.queue.add(Work::One(NamespacedName::of_meta(&quota.meta)));
                }
                if view.all::<ResourceQuota>().next().is_some() {
                    self.desk.queue.add_after(ctx, Work::All, RESYNC);
                }
                return self.desk.finish(ctx, &key, false);
            }
            Work::One(name) => name,
        };
        let Some((row, quota)) = view.find::<ResourceQuota>(&name.namespace, &name.name) else {
            return self.desk.finish(ctx, &key, false);
        };
        let status = counted(view, quota, ctx.now);
        if status == quota.status {
            return self.desk.finish(ctx, &key, false);
        }
        let object = Object::ResourceQuota(Arc::new(ResourceQuota { status, ..ResourceQuota::clone(quota) }));
        let request = Request::UpdateStatus { object, expected: view.version_of::<ResourceQuota>(row) };
        self.desk.begin(ctx, key, (), [vec![request]])
    }
}

/// Whether a change makes room in quotas: an object has gone, or counts for less or otherwise.
///
/// Source: `DefaultUpdateFilter`, pkg/quota/v1/install/update_filter.go (v1.34.1).
fn frees_quota(view: View<'_>, News { change, pods, .. }: &News<'_>, now: Time) -> bool {
    match change.kind {
        Kind::Pod => match *pods {
            (Some(old), Some(new)) => {
                old.spec.active_deadline.is_some() != new.spec.active_deadline.is_some()
                    || (is_counted(old, now) && !is_counted(new, now))
            }
            (old, _) => old.is_some(),
        },
        Kind::Service => match view.sides::<Service>(change) {
            (Some(old), Some(new)) => counted_type(old) != counted_type(new),
            (old, _) => old.is_some(),
        },
        kind => with_kind!(kind, T => matches!(view.sides::<T>(change), (Some(_), None))),
    }
}

/// Source: `GetQuotaServiceType`, pkg/quota/v1/evaluator/core/services.go (v1.34.1).
fn counted_type(service: &Service) -> Option<&ServiceType> {
    Some(&service.service_type).filter(|it| matches!(it, ServiceType::NodePort | ServiceType::LoadBalancer))
}

/// What a quota's status should be: the limits of its spec, and a fresh count of all that anything here can count. Of
/// other resources the former count stays.
///
/// Source: `syncResourceQuota`, pkg/controller/resourcequota/resource_quota_controller.go, and `CalculateUsage`,
/// staging/src/k8s.io/apiserver/pkg/quota/v1/resources.go (v1.34.1).
fn counted(view: View<'_>, quota: &ResourceQuota, now: Time) -> ResourceQuotaStatus {
    let mut used = masked(&quota.status.used, &quota.hard);
    for kind in Kind::ALL.iter().copied().filter(|kind| kind.is_namespaced()) {
        let names: Amounts = quota
            .hard
            .keys()
            .filter(|name| counts_under(kind, name))
            .map(|name| (name.clone(), Quantity::ZERO))
            .collect();
        if names.is_empty() {
            continue;
        }
        let objects = view.objects_in(kind, &quota.meta.namespace).into_iter();
        let counted = objects.filter(|object| matches_scopes(quota, object)).map(|object| usage(&object, now));
        used.extend(counted.fold(names.clone(), |total, one| sum(&total, &masked(&one, &names))));
    }
    ResourceQuotaStatus { hard: quota.hard.clone(), used }
}
