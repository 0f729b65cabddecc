//! The eviction subresource: deleting a pod if its disruption budget allows it.
//!
//! One request does what the API server does in up to three writes: it takes one off the budget, marks the pod, deletes
//! it. The budget is asked first: it has paid, too, if the pod turns out to be another one than was meant. Source:
//! pkg/registry/core/pod/storage/eviction.go (v1.34.1). Absent on purpose: its retries over conflicts, which cannot
//! arise within one request here.

use crate::api::{Answer, Propagation, Refusal, Reply, deletion, namespace};
use crate::context::Context;
use crate::id::{Name, RowId, Uid};
use crate::model::{ConditionKind, Kind, ObjectKey, Phase, Pod, PodDisruptionBudget, Status3, UnhealthyPodEviction};
use crate::store::{Store, View};
use crate::time::{Span, Time};

/// How many granted evictions the controller may be behind with.
const DISRUPTED_PODS_MAX: usize = 2_000;
/// How long a client should wait that came before the controller had looked at a budget.
const RETRY_AFTER: Span = Span::from_secs(10);

/// Evicts a pod.
pub(super) fn evict(
    ctx: &Context<'_>,
    store: &mut Store,
    key: &ObjectKey,
    uid: Option<Uid>,
    grace: Option<Span>,
    dry_run: bool,
) -> Answer {
    namespace::check_namespace(store.newest(), key)?;
    let found = store.newest().find::<Pod>(&key.namespace, &key.name).map(|(_, pod)| pod.clone());
    let pod = found.ok_or_else(|| Refusal::NotFound(key.clone()))?;
    if let Some((row, budget)) = charged(ctx.now, store.newest(), &pod)?
        && !dry_run
    {
        store.replace(row, budget);
    }
    if let Some(expected) = uid.filter(|expected| *expected != pod.meta.uid) {
        return Err(Refusal::WrongUid { expected, stored: pod.meta.uid });
    }
    if dry_run {
        return Ok(Reply::Deleted(None));
    }
    mark(ctx, store, key);
    deletion::delete(ctx, store, key, uid, grace, Propagation::Background)
}

/// The budget that pays for a pod's eviction, with one disruption taken off; `None` if none has to.
fn charged(now: Time, view: View<'_>, pod: &Pod) -> Result<Option<(RowId, PodDisruptionBudget)>, Refusal> {
    if is_free(pod) {
        return Ok(None);
    }
    let budgets = view.in_namespace::<PodDisruptionBudget>(&pod.meta.namespace);
    let mut guarding = budgets.filter(|(_, budget)| budget.guards(&pod.meta.labels));
    let Some((row, budget)) = guarding.next() else { return Ok(None) };
    if guarding.next().is_some() {
        return Err(Refusal::SeveralBudgets);
    }
    if may_pass_unhealthy(pod, budget) {
        return Ok(None);
    }
    let mut budget = PodDisruptionBudget::clone(budget);
    take_one(&mut budget, &pod.meta.name, now)?;
    Ok(Some((row, budget)))
}

/// The budget of a pod once an eviction now has taken one disruption off it; `None` if none has to pay.
///
/// Errors: the budget would not let the pod be evicted.
pub fn charge(now: Time, view: View<'_>, pod: &Pod) -> Result<Option<PodDisruptionBudget>, Refusal> {
    Ok(charged(now, view, pod)?.map(|(_, budget)| budget))
}

/// Whether a pod's end disturbs nobody, so that no budget is asked.
///
/// Source: `canIgnorePDB`.
fn is_free(pod: &Pod) -> bool {
    pod.is_finished() || pod.status.phase == Phase::Pending || pod.meta.is_terminating()
}

/// Whether a pod that is not ready may go without being counted.
fn may_pass_unhealthy(pod: &Pod, budget: &PodDisruptionBudget) -> bool {
    let status = &budget.status;
    let enough_others = status.current_healthy >= status.desired_healthy && status.desired_healthy > 0;
    !pod.is_ready() && (budget.unhealthy_pods == UnhealthyPodEviction::AlwaysAllow || enough_others)
}

/// Takes one disruption off a budget, or says why not.
///
/// Source: `checkAndDecrement`.
fn take_one(budget: &mut PodDisruptionBudget, pod: &Name, now: Time) -> Result<(), Refusal> {
    let name = budget.meta.name.clone();
    let status = &mut budget.status;
    if status.observed_generation < budget.meta.generation {
        let cause = format!("The disruption budget {name} is still being processed by the server.");
        return Err(Refusal::TooManyRequests { cause: cause.into(), retry_after: RETRY_AFTER });
    }
    if status.disrupted_pods.len() > DISRUPTED_PODS_MAX {
        let key = ObjectKey { kind: Kind::PodDisruptionBudget, namespace: budget.meta.namespace.clone(), name };
        let message = "DisruptedPods map too big - too many evictions not confirmed by PDB controller".into();
        return Err(Refusal::Forbidden { key, message });
    }
    if status.disruptions_allowed == 0 {
        let (wanted, there) = (status.desired_healthy, status.current_healthy);
        let cause = format!("The disruption budget {name} needs {wanted} healthy pods and has {there} currently");
        return Err(Refusal::TooManyRequests { cause: cause.into(), retry_after: Span::ZERO });
    }
    status.disruptions_allowed -= 1;
    if status.disruptions_allowed == 0 {
        status.update_condition(now);
    }
    status.disrupted_pods.insert(pod.clone(), now.whole_second());
    Ok(())
}

/// Says in the pod's status why it goes.
fn mark(ctx: &Context<'_>, store: &mut Store, key: &ObjectKey) {
    let (row, pod) = store.newest().find::<Pod>(&key.namespace, &key.name).expect("the pod was just found");
    let mut marked = Pod::clone(pod);
    let (reason, message) = ("EvictionByEvictionAPI", "Eviction API: evicting");
    if marked.status.conditions.set(ConditionKind::DisruptionTarget, Status3::True, reason, message, ctx.now) {
        store.replace(row, marked);
    }
}
