//! What a budget's status should say.

use std::collections::BTreeMap;

use crate::controllers::disruption::PATIENCE;
use crate::controllers::disruption::tally::{Tally, guarded, is_healthy};
use crate::id::{Name, Uid};
use crate::model::{
    Deployment, DisruptionLimit, IntOrPercent, Kind, OwnerReference, Pod, PodDisruptionBudget, ReplicaSet,
    ReplicationController, StatefulSet, Stranger,
};
use crate::store::{Stored, View};
use crate::time::Time;

/// The counts of one budget.
pub(super) struct Counted {
    healthy: u32,
    desired: u32,
    expected: u32,
    disrupted: BTreeMap<Name, Time>,
    /// Whether pods without a manager are among those whose managers were asked.
    pub(super) has_unmanaged: bool,
    /// Pods whose eviction was granted and that have not gone in time.
    pub(super) not_deleted: Vec<Name>,
    /// When the first granted eviction stops counting.
    pub(super) again: Option<Time>,
}

impl Counted {
    /// Writes the counts into a budget's status.
    ///
    /// Source: `updatePdbStatus`: with no pod expected none may go, so that the first pods are safe.
    pub(super) fn write_into(self, budget: &mut PodDisruptionBudget) {
        let status = &mut budget.status;
        let allowed = if self.expected == 0 { 0 } else { self.healthy.saturating_sub(self.desired) };
        status.observed_generation = budget.meta.generation;
        status.disruptions_allowed = allowed;
        status.current_healthy = self.healthy;
        status.desired_healthy = self.desired;
        status.expected_pods = self.expected;
        status.disrupted_pods = self.disrupted;
    }
}

/// Counts a budget's pods. Errors: the message of a pod whose manager has no number of wanted pods.
pub(super) fn count(view: View<'_>, budget: &PodDisruptionBudget, tally: &Tally, now: Time) -> Result<Counted, String> {
    let has_unmanaged = tally.unmanaged() > 0 && asks_managers(&budget.limit);
    let (expected, desired) = match budget.limit {
        DisruptionLimit::None => (0, 0),
        DisruptionLimit::MaxUnavailable(limit) => {
            let expected = wanted_by_managers(view, budget, tally)?;
            (expected, expected.saturating_sub(limit.of_rounded_up(expected)))
        }
        DisruptionLimit::MinAvailable(IntOrPercent::Int(least)) => (tally.pods, least),
        DisruptionLimit::MinAvailable(share) => {
            let expected = wanted_by_managers(view, budget, tally)?;
            (expected, share.of_rounded_up(expected))
        }
    };
    let (mut healthy, mut disrupted, mut not_deleted) = (tally.healthy, BTreeMap::new(), Vec::new());
    for (name, since) in &budget.status.disrupted_pods {
        let found = view.find::<Pod>(&budget.meta.namespace, name).map(|(_, pod)| pod);
        let Some(pod) = found.filter(|pod| budget.guards(&pod.meta.labels) && !pod.meta.is_terminating()) else {
            continue;
        };
        let until = *since + PATIENCE;
        if until > now && is_healthy(pod) {
            healthy -= 1;
        }
        if until >= now {
            disrupted.insert(name.clone(), *since);
        } else {
            not_deleted.push(name.clone());
        }
    }
    let again = disrupted.values().min().map(|since| *since + PATIENCE);
    Ok(Counted { healthy, desired, expected, disrupted, has_unmanaged, not_deleted, again })
}

/// Whether how many pods a limit means depends on how many their managers want.
fn asks_managers(limit: &DisruptionLimit) -> bool {
    !matches!(limit, DisruptionLimit::None | DisruptionLimit::MinAvailable(IntOrPercent::Int(_)))
}

/// How many pods the managers of these pods want in all. A pod that nobody manages counts for nothing.
///
/// Source: `getExpectedScale`.
fn wanted_by_managers(view: View<'_>, budget: &PodDisruptionBudget, tally: &Tally) -> Result<u32, String> {
    let mut wanted: BTreeMap<Uid, u32> = BTreeMap::new();
    if tally.has_strangers() {
        return Err(first_complaint(view, budget));
    }
    for owner in tally.managers() {
        match wanted_by(view, &budget.meta.namespace, owner) {
            Ok(Some((uid, replicas))) => drop(wanted.insert(uid, replicas)),
            Ok(None) | Err(_) => return Err(first_complaint(view, budget)),
        }
    }
    Ok(wanted.values().sum())
}

/// What is wrong with the manager of the first pod, by name, whose manager has no number of wanted pods.
fn first_complaint(view: View<'_>, budget: &PodDisruptionBudget) -> String {
    let complaint = |pod: &Pod| {
        if let Some(Stranger { api_version, kind, .. }) = pod.meta.strange_controller() {
            return Some(format!("no matches for kind {:?} in version {:?}", &**kind, &**api_version));
        }
        match wanted_by(view, &budget.meta.namespace, pod.meta.controller()?) {
            Ok(Some(_)) => None,
            Ok(None) => Some(format!("found no controllers for pod {:?}", &*pod.meta.name)),
            Err(message) => Some(message),
        }
    };
    guarded(view, budget).find_map(|(_, pod)| complaint(pod)).expect("some pod has a manager without a number")
}

/// The manager behind an owner, and how many pods it wants; `None` if it is not there. A ReplicaSet of a Deployment
/// stands for the Deployment, and for itself where that is gone.
///
/// Source: `getPodDeployment`, and `getScaleController`, which asks every kind for its scale once nobody else knows.
fn wanted_by(view: View<'_>, namespace: &Name, owner: &OwnerReference) -> Result<Option<(Uid, u32)>, String> {
    match owner.kind {
        Kind::ReplicaSet => {
            let found = view.find::<ReplicaSet>(namespace, &owner.name).filter(|(_, set)| set.meta.uid == owner.uid);
            let Some((_, set)) = found else { return Ok(None) };
            let Some(above) = set.meta.controller().filter(|above| above.kind == Kind::Deployment) else {
                return Ok(Some((set.meta.uid, set.replicas)));
            };
            let found = view.find::<Deployment>(namespace, &above.name);
            let found = found.filter(|(_, deployment)| deployment.meta.uid == above.uid);
            let deployment = found.map(|(_, deployment)| (deployment.meta.uid, deployment.replicas));
            Ok(deployment.or(Some((set.meta.uid, set.replicas))))
        }
        Kind::StatefulSet => Ok(wanted_of::<StatefulSet>(view, namespace, owner, |set| set.replicas)),
        Kind::ReplicationController => {
            Ok(wanted_of::<ReplicationController>(view, namespace, owner, |set| set.replicas))
        }
        other => {
            let group = other.api_version().split_once('/').map_or(String::new(), |(group, _)| format!(".{group}"));
            Err(format!("{}{group} does not implement the scale subresource", other.plural()))
        }
    }
}

/// How many pods an owner of one kind wants; `None` if it is not there.
fn wanted_of<T: Stored>(
    view: View<'_>,
    namespace: &Name,
    owner: &OwnerReference,
    replicas: impl Fn(&T) -> u32,
) -> Option<(Uid, u32)> {
    let (_, found) = view.find::<T>(namespace, &owner.name)?;
    (found.meta().uid == owner.uid).then(|| (owner.uid, replicas(found)))
}
