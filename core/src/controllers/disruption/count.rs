//! What a budget's status should say.

use std::collections::{BTreeMap, BTreeSet};

use crate::controllers::disruption::PATIENCE;
use crate::id::{Name, Uid};
use crate::model::{
    Deployment, DisruptionLimit, IntOrPercent, Kind, OwnerReference, Pod, PodDisruptionBudget, ReplicaSet,
    ReplicationController, Resource, StatefulSet,
};
use crate::store::View;
use crate::time::Time;

/// The counts of one budget.
pub(super) struct Counted {
    healthy: u32,
    desired: u32,
    expected: u32,
    disrupted: BTreeMap<Name, Time>,
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
pub(super) fn count(view: View<'_>, budget: &PodDisruptionBudget, now: Time) -> Result<Counted, String> {
    let all = view.in_namespace::<Pod>(&budget.meta.namespace);
    let pods: Vec<&Pod> = all.filter(|(_, pod)| budget.guards(&pod.meta.labels)).map(|(_, pod)| &**pod).collect();
    let (expected, desired) = match budget.limit {
        DisruptionLimit::None => (0, 0),
        DisruptionLimit::MaxUnavailable(limit) => {
            let expected = wanted_by_managers(view, &pods)?;
            (expected, expected.saturating_sub(limit.of_rounded_up(expected)))
        }
        DisruptionLimit::MinAvailable(IntOrPercent::Int(least)) => (pods.len() as u32, least),
        DisruptionLimit::MinAvailable(share) => {
            let expected = wanted_by_managers(view, &pods)?;
            (expected, share.of_rounded_up(expected))
        }
    };
    let granted = |pod: &&Pod| budget.status.disrupted_pods.get(&pod.meta.name).map(|since| *since + PATIENCE);
    let staying = pods.iter().filter(|pod| !pod.meta.is_terminating());
    let healthy = staying.clone().filter(|pod| pod.is_ready() && granted(pod).is_none_or(|until| until <= now)).count();
    let waiting = staying.filter(|pod| granted(pod).is_some_and(|until| until >= now));
    let disrupted: BTreeMap<Name, Time> =
        waiting.map(|pod| (pod.meta.name.clone(), budget.status.disrupted_pods[&pod.meta.name])).collect();
    let again = disrupted.values().min().map(|since| *since + PATIENCE);
    Ok(Counted { healthy: healthy as u32, desired, expected, disrupted, again })
}

/// How many pods the managers of these pods want in all. A pod that nobody manages counts for nothing.
///
/// Source: `getExpectedScale`.
fn wanted_by_managers(view: View<'_>, pods: &[&Pod]) -> Result<u32, String> {
    let mut wanted: BTreeMap<Uid, u32> = BTreeMap::new();
    let mut asked = BTreeSet::new();
    for pod in pods {
        let Some(owner) = pod.meta.controller() else { continue };
        if !asked.insert(owner.uid) {
            continue;
        }
        let (uid, replicas) = wanted_by(view, &pod.meta.namespace, owner)?
            .ok_or_else(|| format!("found no controllers for pod {:?}", &*pod.meta.name))?;
        wanted.insert(uid, replicas);
    }
    Ok(wanted.values().sum())
}

/// The manager behind an owner, and how many pods it wants; `None` if it is not there. A ReplicaSet of a Deployment
/// stands for the Deployment.
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
            Ok(found.map(|(_, deployment)| (deployment.meta.uid, deployment.replicas)))
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
fn wanted_of<T: Resource>(
    view: View<'_>,
    namespace: &Name,
    owner: &OwnerReference,
    replicas: impl Fn(&T) -> u32,
) -> Option<(Uid, u32)> {
    let (_, found) = view.find::<T>(namespace, &owner.name)?;
    (found.meta().uid == owner.uid).then(|| (owner.uid, replicas(found)))
}
