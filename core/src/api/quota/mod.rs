//! Charging what is created or changed to the namespace's ResourceQuotas.
//!
//! The charge is a write of the quota's status before the write that it is for, as in Kubernetes, where the object may
//! still fail to be stored (its name is taken, say): then the quota stays charged until its controller counts again.
//! Invariant: all quotas of the namespace are charged or none. Source:
//! staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go (v1.34.1). In which order
//! quotas are looked at, and so which of several that an object exceeds is named, is drawn: it is that of a map there.
//! Absent on purpose: resources that are limited by configuration alone (`LimitedResources`).

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::context::Context;
use crate::digest::StableHasher;
use crate::draw::{Purpose, draw};
use crate::id::{Name, RowId};
use crate::model::{Amounts, Kind, Object, ResourceQuota};
use crate::quantity::Quantity;
use crate::quota::{applies_to, masked, missing, restricted, sum, usage};
use crate::store::Store;

/// Whether a charge may go beyond what a quota allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Limit {
    /// What would go beyond it is refused.
    Enforced,
    /// Statuses say what is so; the quota is charged for it, whatever it allows.
    Ignored,
}

/// Charges an object that is about to be stored, or what it will use more than the version before it. The error is why
/// it must not be stored.
pub(super) fn charge(
    ctx: &Context<'_>,
    store: &mut Store,
    object: &Object,
    before: Option<&Object>,
    limit: Limit,
) -> Result<(), String> {
    let namespace = &object.meta().namespace;
    let quotas: Vec<(RowId, Arc<ResourceQuota>)> =
        store.newest().in_namespace::<ResourceQuota>(namespace).map(|(row, quota)| (row, quota.clone())).collect();
    let mut quotas: Vec<_> = quotas.into_iter().filter(|(_, quota)| applies_to(quota, object)).collect();
    if quotas.is_empty() {
        return Ok(());
    }
    if quotas.len() > 1 {
        let drawn = |quota: &ResourceQuota| {
            draw(ctx.seed(), Purpose::QuotaOrder, StableHasher::hash_one(&quota.meta.uid), ctx.now.0)
        };
        quotas.sort_by_cached_key(|(_, quota)| drawn(quota));
    }
    let now = ctx.now;
    for (_, quota) in &quotas {
        check_statement(quota, object)?;
    }
    let asked = usage(object, now);
    let negative: Vec<&str> = asked.iter().filter(|(_, it)| it.is_negative()).map(|(name, _)| &**name).collect();
    if !negative.is_empty() {
        return Err(format!("quota usage is negative for resource(s): {}", negative.join(",")));
    }
    let mut charged = Vec::new();
    for (row, quota) in quotas {
        let was_counted = before.filter(|before| applies_to(&quota, before));
        let delta = difference(asked.clone(), was_counted.map(|before| usage(before, now)));
        if !delta.is_empty() {
            charged.push((row, with_charge(&quota, &delta, limit)?));
        }
    }
    for (row, quota) in charged {
        if **store.newest().get::<ResourceQuota>(row).expect("the quota was just read") != quota {
            store.replace(row, quota);
        }
    }
    Ok(())
}

/// Whether a change of an object can change what it counts.
///
/// Source: `Handles` of the evaluators, pkg/quota/v1/evaluator/core (v1.34.1).
pub(super) fn counts_update(new: &Object, old: &Object) -> bool {
    match (new, old) {
        (Object::Pod(new), Object::Pod(old)) => {
            new.spec.active_deadline.is_some() != old.spec.active_deadline.is_some()
        }
        (new, _) => matches!(new.kind(), Kind::Service | Kind::PersistentVolumeClaim),
    }
}

/// Whether the object says what a quota wants to know of it, and the quota knows what is used.
fn check_statement(quota: &ResourceQuota, object: &Object) -> Result<(), String> {
    let name = &quota.meta.name;
    let restricted = restricted(quota, object.kind());
    if let Object::Pod(pod) = object
        && let Some(missing) = missing(pod, &restricted)
    {
        return Err(format!("failed quota: {name}: {missing}"));
    }
    if restricted.iter().any(|resource| !quota.status.used.contains_key(*resource)) {
        let names = restricted.iter().map(|name| &***name).collect::<Vec<_>>().join(",");
        return Err(format!("status unknown for quota: {name}, resources: {names}"));
    }
    Ok(())
}

/// What is used more than before, without zeros; less is nothing.
fn difference(now: Amounts, before: Option<Amounts>) -> Amounts {
    let before = before.unwrap_or_default();
    let more = |(name, amount): (Name, Quantity)| {
        let was = before.get(&name).copied().unwrap_or_default();
        let more = if was.is_zero() { Some(amount) } else { amount.checked_sub(was) };
        more.filter(|more| !more.is_zero() && !more.is_negative()).map(|more| (name, more))
    };
    now.into_iter().filter_map(more).collect()
}

/// The quota with the charge, or in which way that exceeds it.
fn with_charge(quota: &ResourceQuota, delta: &Amounts, limit: Limit) -> Result<ResourceQuota, String> {
    let requested = masked(delta, &quota.status.hard);
    let used = sum(&quota.status.used, &requested);
    let exceeded: Amounts = requested
        .iter()
        .filter(|(name, _)| limit == Limit::Enforced && used[*name] > quota.status.hard[*name])
        .map(|(k, v)| (k.clone(), *v))
        .collect();
    if !exceeded.is_empty() {
        return Err(format!(
            "exceeded quota: {}, requested: {}, used: {}, limited: {}",
            quota.meta.name,
            shown(&exceeded),
            shown(&masked(&quota.status.used, &exceeded)),
            shown(&masked(&quota.status.hard, &exceeded))
        ));
    }
    let mut quota = quota.clone();
    quota.status.used = used;
    Ok(quota)
}

/// `pods=1,requests.cpu=500m`.
fn shown(amounts: &Amounts) -> String {
    amounts.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(",")
}
