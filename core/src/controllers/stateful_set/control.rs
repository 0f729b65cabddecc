//! One sync of a StatefulSet: which pods come, change or go, and what the status says.
//!
//! Everything is decided at once from what the watch has shown. Pod by pod (OrderedReady) a sync changes at most one
//! thing and stops at the first pod that is not as it should be; in parallel it goes on. Source: `updateStatefulSet`,
//! pkg/controller/statefulset/stateful_set_control.go (v1.34.1). Absent on purpose: `maxUnavailable`, an alpha gate.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{Propagation, Request};
use crate::controllers::pods::slow_start;
use crate::controllers::stateful_set::identity::{self, is_running_and_ready, is_unavailable};
use crate::controllers::stateful_set::plan::{Action, Plan, Subject, Verb, together};
use crate::controllers::stateful_set::storage::{self, Missing};
use crate::controllers::with_owner;
use crate::id::Name;
use crate::model::{
    ControllerRevision, Kind, Object, ObjectKey, Phase, Pod, PodManagement, StatefulSet, StatefulSetStatus,
    StatefulSetStrategy,
};
use crate::store::View;
use crate::time::Time;

/// What a sync goes by.
pub(super) struct Situation<'a> {
    pub(super) now: Time,
    pub(super) view: View<'a>,
    pub(super) set: &'a StatefulSet,
    pub(super) current: &'a ControllerRevision,
    pub(super) update: &'a ControllerRevision,
    pub(super) pods: &'a [Arc<Pod>],
    pub(super) collisions: u32,
}

/// A pod that the set should have: there already, or to be made.
enum Replica {
    There(Arc<Pod>),
    New(Arc<Pod>),
}

/// What one pod asks for, and whether a sync that goes pod by pod ends here.
#[derive(Default)]
struct Verdict {
    requests: Vec<(Action, Request)>,
    with_new_claims: Option<Arc<Pod>>,
    conflicts: Vec<Name>,
    /// What is wrong with the claims of a pod that is to be made.
    fault: Option<(Name, Vec<String>)>,
    obstacle: Option<(Action, String)>,
    ends: bool,
}

const GO_ON: Verdict = Verdict {
    requests: Vec::new(),
    with_new_claims: None,
    conflicts: Vec::new(),
    fault: None,
    obstacle: None,
    ends: false,
};
const WAIT: Verdict = Verdict {
    requests: Vec::new(),
    with_new_claims: None,
    conflicts: Vec::new(),
    fault: None,
    obstacle: None,
    ends: true,
};

impl Situation<'_> {
    /// Decides on the whole sync.
    pub(super) fn decide(&self) -> Plan {
        let replicas = self.replicas();
        let condemned = self.condemned();
        let mut plan = Plan { status: self.count(&replicas, &condemned), ..Plan::default() };
        if self.set.meta.is_terminating() {
            return plan;
        }
        let first_unhealthy = self.first_unhealthy(&replicas, &condemned);
        let of_replicas = replicas.iter().map(|replica| self.of_replica(replica));
        if self.take(&mut plan, of_replicas) {
            return plan;
        }
        if self.take(&mut plan, condemned.iter().map(|pod| self.retained(pod))) {
            return plan;
        }
        let of_condemned = condemned.iter().map(|pod| self.of_condemned(pod, first_unhealthy.as_ref()));
        if self.take(&mut plan, of_condemned) {
            return plan;
        }
        self.replace(&mut plan, &replicas);
        plan
    }

    /// Takes over what the pods ask for, one after the other or in growing batches; whether the sync ends here.
    fn take(&self, plan: &mut Plan, verdicts: impl Iterator<Item = Verdict>) -> bool {
        if self.set.management == PodManagement::Parallel {
            for mut batch in slow_start(verdicts) {
                let requests = batch.iter_mut().flat_map(|verdict| std::mem::take(&mut verdict.requests)).collect();
                let faults = batch.iter_mut().filter_map(|verdict| verdict.fault.take()).collect();
                plan.push(requests, faults);
                plan.with_new_claims.extend(batch.iter_mut().filter_map(|verdict| verdict.with_new_claims.take()));
                plan.conflicts.extend(batch.iter_mut().flat_map(|verdict| std::mem::take(&mut verdict.conflicts)));
                plan.obstacle = batch.into_iter().find_map(|verdict| verdict.obstacle);
                if plan.obstacle.is_some() {
                    return true;
                }
            }
            return false;
        }
        for verdict in verdicts {
            // Claims and the pod that needs them, then one after the other what is left.
            let mut rest = verdict.requests;
            let place = rest.iter().position(|(action, _)| !action.makes_claim() && !action.makes_pod());
            let others = rest.split_off(place.unwrap_or(rest.len()));
            plan.push(rest, verdict.fault.into_iter().collect());
            others.into_iter().for_each(|request| plan.push(vec![request], Vec::new()));
            plan.with_new_claims.extend(verdict.with_new_claims);
            plan.conflicts.extend(verdict.conflicts);
            plan.obstacle = verdict.obstacle;
            if verdict.ends || plan.obstacle.is_some() {
                return true;
            }
        }
        false
    }

    /// The pods that the set should have, by ordinal.
    fn replicas(&self) -> Vec<Replica> {
        let by_ordinal: BTreeMap<u32, &Arc<Pod>> =
            self.pods.iter().filter_map(|pod| Some((identity::ordinal(pod)?, pod))).collect();
        let replica = |ordinal| match by_ordinal.get(&ordinal) {
            Some(pod) => Replica::There((*pod).clone()),
            None => Replica::New(Arc::new(identity::new_pod(self.set, self.current, self.update, ordinal))),
        };
        identity::ordinals(self.set).map(replica).collect()
    }

    /// The pods that the set should not have, the highest ordinal first. Pods without an ordinal are left alone.
    fn condemned(&self) -> Vec<Arc<Pod>> {
        let wanted = identity::ordinals(self.set);
        let surplus = self.pods.iter().filter_map(|pod| Some((identity::ordinal(pod)?, pod)));
        let mut condemned: Vec<(u32, &Arc<Pod>)> = surplus.filter(|(ordinal, _)| !wanted.contains(ordinal)).collect();
        condemned.sort_by_key(|(ordinal, _)| std::cmp::Reverse(*ordinal));
        condemned.into_iter().map(|(_, pod)| pod.clone()).collect()
    }

    /// The unhealthy pod of the lowest ordinal, wanted ones first.
    fn first_unhealthy(&self, replicas: &[Replica], condemned: &[Arc<Pod>]) -> Option<Arc<Pod>> {
        let wanted = replicas.iter().map(Replica::pod);
        let mut pods = wanted.chain(condemned.iter().rev());
        pods.find(|pod| is_unavailable(self.set, pod, self.now)).cloned()
    }

    /// Source: `processReplica`.
    fn of_replica(&self, replica: &Replica) -> Verdict {
        let pod = match replica {
            Replica::New(pod) => return self.of_new(pod),
            Replica::There(pod) => pod,
        };
        if pod.is_finished() {
            // The next pod of this name comes when this one is gone.
            return if pod.meta.is_terminating() { WAIT } else { deletion(pod) };
        }
        let mut verdict = if pod.status.phase == Phase::Pending { self.with_claims(pod) } else { GO_ON };
        // What is wrong with the claims of a pod that is there already is told nobody.
        let fault = verdict.fault.take().and_then(|(_, faults)| together(&faults));
        verdict.obstacle = fault.map(|fault| (Action::of_pod(Verb::Create, pod), fault));
        let monotonic = self.set.management == PodManagement::OrderedReady;
        let healthy = is_running_and_ready(pod) && !is_unavailable(self.set, pod, self.now);
        verdict.ends = monotonic && !healthy;
        if verdict.ends || verdict.obstacle.is_some() {
            return verdict;
        }
        let Verdict { requests: mut renewed, conflicts, .. } = self.retained(pod);
        verdict.conflicts.extend(conflicts);
        // Claims that change hands make the pod be written too, though nothing of it changes.
        let changes_hands = !renewed.is_empty();
        if changes_hands || !identity::identity_matches(self.set, pod) || !storage::is_mounted(self.set, pod) {
            let mut named = Pod::clone(pod);
            named.meta.labels = identity::labels_of(pod);
            storage::mount(self.set, &mut named);
            // A pod that was adopted a moment ago is seen as it was before.
            if !named.meta.is_managed() {
                named.meta.owners = with_owner(&named.meta, Kind::StatefulSet, &self.set.meta);
            }
            // Kubernetes repeats the write over a conflict; writing without a condition comes to the same.
            let update = Request::Update { object: Object::Pod(Arc::new(named)), expected: None };
            renewed.push((Action::of_pod(Verb::Update, pod), update));
        }
        verdict.requests.extend(renewed);
        verdict
    }

    /// Source: `CreateStatefulPod`, stateful_pod_control.go: claims first.
    fn of_new(&self, pod: &Arc<Pod>) -> Verdict {
        if storage::is_stale(self.view, self.set, pod) {
            return WAIT;
        }
        let mut verdict = self.with_claims(pod);
        verdict.ends = true;
        let place = verdict.requests.iter().position(|(action, _)| action.verb == Verb::Update);
        let create = (Action::of_pod(Verb::Create, pod), Request::Create(Object::Pod(pod.clone())));
        verdict.with_new_claims = verdict.requests.iter().any(|(it, _)| it.makes_claim()).then(|| pod.clone());
        verdict.requests.insert(place.unwrap_or(verdict.requests.len()), create);
        verdict
    }

    /// The claims that a pod lacks, and the owners of those that it has.
    fn with_claims(&self, pod: &Pod) -> Verdict {
        let (missing, faults) = storage::missing(self.view, self.set, pod);
        let create = |it: Missing| (Action::of_pod(Verb::Create, pod).on(Subject::Claim(it.name)), it.request);
        let mut requests: Vec<_> = missing.into_iter().map(create).collect();
        if !faults.is_empty() {
            return Verdict { requests, fault: Some((pod.meta.name.clone(), faults)), ..GO_ON };
        }
        requests.extend(self.retained(pod).requests);
        Verdict { requests, conflicts: storage::conflicting(self.view, self.set, pod), ..GO_ON }
    }

    /// What the retention policy asks for.
    fn retained(&self, pod: &Pod) -> Verdict {
        let requests = of_owners(self.view, self.set, pod);
        let is_renewed = !requests.is_empty();
        let conflicts = if is_renewed { storage::conflicting(self.view, self.set, pod) } else { Vec::new() };
        Verdict { requests, conflicts, ..GO_ON }
    }

    /// Source: `processCondemned`.
    fn of_condemned(&self, pod: &Arc<Pod>, first_unhealthy: Option<&Arc<Pod>>) -> Verdict {
        if pod.meta.is_terminating() {
            return WAIT;
        }
        let monotonic = self.set.management == PodManagement::OrderedReady;
        let is_first = first_unhealthy.is_some_and(|first| first.meta.name == pod.meta.name);
        let healthy = is_running_and_ready(pod) && pod.is_available(self.set.min_ready, self.now);
        if monotonic && !healthy && !is_first {
            return WAIT;
        }
        deletion(pod)
    }

    /// Deletes the last pod that is not of the update revision, if all after it are healthy.
    fn replace(&self, plan: &mut Plan, replicas: &[Replica]) {
        let StatefulSetStrategy::RollingUpdate { partition } = self.set.strategy else { return };
        for replica in replicas.iter().skip(partition.unwrap_or(0) as usize).rev() {
            let pod = replica.pod();
            let outdated = *identity::revision(pod) != *self.update.meta.name;
            if outdated && !pod.meta.is_terminating() {
                plan.push(vec![(Action::of_pod(Verb::Delete, pod), deletion_of(pod))], Vec::new());
                plan.replaces = true;
                return;
            }
            if is_unavailable(self.set, pod, self.now) {
                return;
            }
        }
    }

    /// Source: `computeReplicaStatus`, `updateStatus`. Pods that are only about to be made do not count.
    fn count(&self, replicas: &[Replica], condemned: &[Arc<Pod>]) -> StatefulSetStatus {
        let mut status = StatefulSetStatus {
            observed_generation: self.set.meta.generation,
            current_revision: self.current.meta.name.clone(),
            update_revision: self.update.meta.name.clone(),
            collision_count: Some(self.collisions),
            ..StatefulSetStatus::default()
        };
        let there = replicas.iter().filter_map(|replica| match replica {
            Replica::There(pod) => Some(pod),
            Replica::New(_) => None,
        });
        for pod in there.chain(condemned) {
            let ready = is_running_and_ready(pod);
            status.replicas += 1;
            status.ready += u32::from(ready);
            status.available += u32::from(ready && pod.is_available(self.set.min_ready, self.now));
            if !pod.meta.is_terminating() {
                let revision = identity::revision(pod);
                status.current += u32::from(*revision == *self.current.meta.name);
                status.updated += u32::from(*revision == *self.update.meta.name);
            }
        }
        status
    }
}

impl Replica {
    fn pod(&self) -> &Arc<Pod> {
        match self {
            Replica::There(pod) | Replica::New(pod) => pod,
        }
    }
}

/// The status as it is written: a rollout that is complete makes the update revision the current one. `None` if it says
/// nothing new.
///
/// Source: `completeRollingUpdate`, `inconsistentStatus`, pkg/controller/statefulset/stateful_set_utils.go (v1.34.1).
pub(super) fn to_write(set: &StatefulSet, mut status: StatefulSetStatus) -> Option<StatefulSetStatus> {
    let rolls = matches!(set.strategy, StatefulSetStrategy::RollingUpdate { .. });
    let complete = [status.updated, status.ready, status.replicas].iter().all(|count| *count == set.replicas);
    if rolls && complete {
        status.current = status.updated;
        status.current_revision = status.update_revision.clone();
    }
    let old = &set.status;
    let newer = status.observed_generation > old.observed_generation;
    // A count of collisions alone is not written.
    let same = StatefulSetStatus {
        observed_generation: old.observed_generation,
        collision_count: old.collision_count,
        ..status.clone()
    };
    (newer || same != *old).then_some(status)
}

/// The writes that bring the owners of a pod's claims in line with the retention policy.
pub(super) fn of_owners(view: View<'_>, set: &StatefulSet, pod: &Pod) -> Vec<(Action, Request)> {
    let is_wanted = identity::ordinal(pod).is_some_and(|ordinal| identity::ordinals(set).contains(&ordinal));
    let subject = if is_wanted { Subject::Owners } else { Subject::OwnersOfCondemned };
    let updates = storage::retention(view, set, pod).into_iter();
    updates.map(|(claim, update)| (Action::of_pod(Verb::Update, pod).on(subject(claim)), update)).collect()
}

fn deletion(pod: &Pod) -> Verdict {
    Verdict { requests: vec![(Action::of_pod(Verb::Delete, pod), deletion_of(pod))], ends: true, ..GO_ON }
}

/// The deletion of whichever pod has this name.
fn deletion_of(pod: &Pod) -> Request {
    let key = ObjectKey { kind: Kind::Pod, namespace: pod.meta.namespace.clone(), name: pod.meta.name.clone() };
    Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background }
}
