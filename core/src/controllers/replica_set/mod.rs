//! The ReplicaSet controller: keeps as many pods as are wanted. The ReplicationController controller is the same, with
//! each of its objects taken for a ReplicaSet ([`kinds`]), as in Kubernetes.
//!
//! A sync has up to three stages of requests: claim (adopt orphans, release pods that no longer match), manage (create
//! or delete), status. Invariant: pods are created or deleted only when the watch has shown everything that was asked
//! for before. Cost: a pod's change is counted when it is noted; a sync that has nothing to claim or delete looks at no
//! pod, unless pods become available only after a while (`min_ready`). Source: pkg/controller/replicaset/replica_set.go
//! (v1.34.1). Absent on purpose: the deletion recheck by a read before an adoption (the write itself is conditional),
//! and `terminatingReplicas` (alpha).

mod events;
mod kinds;
mod pods;
mod ranking;
mod tally;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::sync::Arc;

use crate::api::{Refusal, Request};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::NamespacedName;
use crate::controllers::claims::{Claims, Orphans};
use crate::controllers::expectations::{Deletions, Expectations};
use crate::controllers::news::{News, Topics};
use crate::controllers::pods::{deletion_of, from_template, refused_creations, slow_start};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::controllers::requests::Ended;
use crate::id::RowId;
use crate::model::{ConditionKind, Kind, Object, Pod, ReplicaSet, ReplicaSetStatus, Selector, Status3};
use crate::store::View;
use crate::time::Span;

use events::told;
pub(super) use kinds::Replicated;
use pods::Pods;
use tally::Tallies;

/// The most pods that one sync creates or deletes.
const BURST: usize = 500;

/// The controller, of ReplicaSets or of ReplicationControllers.
pub(super) struct ReplicaSets<T> {
    of: PhantomData<T>,
    desk: Desk<NamespacedName, Stage>,
    expectations: Expectations,
    /// By uid, as a pod names its manager.
    tallies: Tallies<Known>,
    /// Pods that no controller manages, by namespace: candidates for adoption.
    orphans: Orphans,
}

/// What is noted of a ReplicaSet.
struct Known {
    key: NamespacedName,
    min_ready: Span,
}

/// A sync between two stages.
pub(in crate::controllers) struct Sync {
    set: Arc<ReplicaSet>,
    pods: Pods,
    /// Whether expectations were fulfilled when the sync began.
    may_manage: bool,
    error: Option<Refusal>,
}

/// What a sync waits for.
pub(in crate::controllers) enum Stage {
    Claim(Sync, Claims<Pod>),
    Create(Sync),
    Delete(Sync, Vec<Arc<Pod>>),
    /// The status update; the delay until the next pod becomes available, and whether the sync has failed.
    Status {
        failed: bool,
        next: Option<Span>,
    },
}

impl<T: Replicated> ReplicaSets<T> {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> ReplicaSets<T> {
        let tolerated: fn(&Refusal) -> bool =
            |refusal| matches!(refusal, Refusal::NotFound(_)) || refusal.is_namespace_terminating();
        ReplicaSets {
            of: PhantomData,
            desk: Desk::new(T::NUMBER, config.concurrent_syncs, config.client_limit, tolerated).telling(told::<T>),
            expectations: Expectations::default(),
            tallies: Tallies::of_kind(T::KIND),
            orphans: Orphans::default(),
        }
    }

    /// Active orphans that the ReplicaSet selects.
    fn adoptable(&self, view: View<'_>, set: &ReplicaSet) -> Vec<(RowId, Arc<Pod>)> {
        if set.meta.is_terminating() {
            return Vec::new();
        }
        let orphans = self.orphans.of::<Pod>(view, &set.meta.namespace);
        orphans
            .filter(|(_, pod)| pod.is_active() && set.selector.matches(&pod.meta.labels))
            .map(|(row, pod)| (row, pod.clone()))
            .collect()
    }

    fn manage(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        key: NamespacedName,
        sync: Sync,
    ) -> Step<NamespacedName, Stage> {
        let (have, want) = (sync.pods.len(), sync.set.replicas as usize);
        if !sync.may_manage || sync.set.meta.is_terminating() || have == want {
            return self.update_status(ctx, key, sync);
        }
        if have < want {
            let missing = (want - have).min(BURST);
            self.expectations.expect(&key, missing, Deletions::NONE, ctx.now);
            let pod = Arc::new(from_template(&sync.set.template, T::KIND, &sync.set.meta));
            let batches = slow_start((0..missing).map(|_| Request::Create(Object::Pod(pod.clone()))));
            return self.desk.begin(ctx, key, Stage::Create(sync), batches);
        }
        let surplus = (have - want).min(BURST);
        let Pods::Listed(pods) = &sync.pods else { unreachable!("pods are listed when some have to go") };
        let doomed = pods_to_delete::<T>(ctx, view, &sync.set, pods, surplus);
        let awaited = Deletions::Of(doomed.iter().map(|pod| pod.meta.uid).collect());
        self.expectations.expect(&key, 0, awaited, ctx.now);
        let requests = doomed.iter().map(|pod| deletion_of(pod)).collect::<Vec<_>>();
        self.desk.begin(ctx, key, Stage::Delete(sync, doomed), [requests])
    }

    fn update_status(&mut self, ctx: &mut Context<'_>, key: NamespacedName, sync: Sync) -> Step<NamespacedName, Stage> {
        let Sync { set, pods, error, .. } = sync;
        let status = counted(ctx, &set, &pods, error.as_ref());
        let next = pods.next_availability(&set, ctx.now).filter(|_| status.ready != status.available);
        let failed = error.is_some();
        if status == set.status {
            return self.finish(ctx, key, failed, next);
        }
        let object = T::from_set(ReplicaSet { status, ..ReplicaSet::clone(&set) });
        // Kubernetes writes once more over a conflict; writing without a condition comes to the same.
        let write = Request::UpdateStatus { object, expected: None };
        self.desk.begin(ctx, key, Stage::Status { failed, next }, [vec![write]])
    }

    /// The status is as it should be, or could not be written.
    fn finish(
        &mut self,
        ctx: &mut Context<'_>,
        key: NamespacedName,
        failed: bool,
        next: Option<Span>,
    ) -> Step<NamespacedName, Stage> {
        if let (Some(delay), false) = (next, failed) {
            self.desk.queue.add_after(ctx, key.clone(), delay);
        }
        self.desk.finish(ctx, &key, failed)
    }

    fn on_set(&mut self, old: Option<&T>, new: Option<&T>) {
        let Some(meta) = new.or(old).map(|set| set.meta()) else { return };
        let known = self.tallies.noted(meta.uid);
        let key = known.map_or_else(|| NamespacedName::of_meta(meta), |known| known.key.clone());
        match new {
            Some(set) => {
                let known = Known { key: key.clone(), min_ready: set.min_ready() };
                self.tallies.note_owner(meta.uid, Some(known));
            }
            None => {
                self.tallies.note_owner(meta.uid, None);
                self.expectations.forget(&key);
            }
        }
        self.desk.queue.add(key);
    }

    fn on_pod(&mut self, ctx: &mut Context<'_>, view: View<'_>, row: RowId, old: Option<&Pod>, new: Option<&Pod>) {
        let counts_otherwise = self.tallies.note(old, new);
        if old.zip(new).is_none_or(|(old, new)| !old.meta.same(&new.meta)) {
            self.orphans.note(row, old.map(|pod| &*pod.meta), new.map(|pod| &*pod.meta));
        }
        match (old, new) {
            (_, Some(pod)) if pod.meta.is_terminating() => {
                self.pod_leaves(pod);
                if let Some(old) = old.filter(|old| old.meta.labels != pod.meta.labels) {
                    self.pod_leaves(old);
                }
            }
            (None, Some(pod)) => match manager_of::<T>(&self.tallies, pod) {
                Some(Known { key, .. }) => {
                    self.expectations.created(key, 1);
                    self.desk.queue.add(key.clone());
                }
                None => self.offer(view, pod),
            },
            (Some(old), Some(pod)) if counts_otherwise || self.is_of_interest(ctx, old, pod) => {
                self.pod_changes(ctx, view, old, pod);
            }
            (Some(_), Some(_)) => {}
            (Some(old), None) => self.pod_leaves(old),
            (None, None) => {}
        }
    }

    /// Whether a sync could have something to do after a pod's change that leaves the counts as they are. It has not if
    /// the owner, the labels and the deletion are what they were, nothing is awaited and the last sync did what it
    /// wanted: then it would find its ReplicaSet as that left it. One that has failed is tried again at every change,
    /// and fails once more, which makes its back-off longer.
    fn is_of_interest(&self, ctx: &Context<'_>, old: &Pod, pod: &Pod) -> bool {
        if old.meta != pod.meta {
            return true;
        }
        if !self.desk.queue.has_failures() && !self.expectations.may_have_timed_out(ctx.now) {
            return false;
        }
        let Some(Known { key, .. }) = manager_of::<T>(&self.tallies, pod) else { return false };
        let has_failed = self.desk.queue.failures(key) > 0;
        has_failed || self.expectations.is_awaiting(key) && self.expectations.satisfied(key, ctx.now)
    }

    fn pod_changes(&mut self, ctx: &mut Context<'_>, view: View<'_>, old: &Pod, pod: &Pod) {
        let changes_hands = old.meta.controller() != pod.meta.controller();
        if changes_hands && let Some(Known { key, .. }) = manager_of::<T>(&self.tallies, old) {
            self.desk.queue.add(key.clone());
        }
        let Some(Known { key, min_ready }) = manager_of::<T>(&self.tallies, pod) else {
            if changes_hands || old.meta.labels != pod.meta.labels {
                self.offer(view, pod);
            }
            return;
        };
        self.desk.queue.add(key.clone());
        if *min_ready > Span::ZERO && !old.is_ready() && pod.is_ready() {
            self.desk.queue.add_after(ctx, key.clone(), *min_ready);
        }
    }

    fn pod_leaves(&mut self, pod: &Pod) {
        if let Some(Known { key, .. }) = manager_of::<T>(&self.tallies, pod) {
            self.expectations.deleted(key, pod.meta.uid);
            self.desk.queue.add(key.clone());
        }
    }

    /// Wakes every ReplicaSet that could adopt a pod.
    fn offer(&mut self, view: View<'_>, pod: &Pod) {
        if pod.meta.is_managed() {
            return;
        }
        for (_, set) in view.in_namespace::<T>(&pod.meta.namespace) {
            if selects(set.selector(), pod) {
                self.desk.queue.add(NamespacedName::of_meta(set.meta()));
            }
        }
    }
}

impl<T: Replicated> Reconciler for ReplicaSets<T> {
    type Key = NamespacedName;
    type Stage = Stage;

    fn topics(&self) -> Topics {
        Topics::of(T::KIND).and(Topics::pods_of(T::KIND))
    }

    fn desk(&mut self) -> &mut Desk<NamespacedName, Stage> {
        &mut self.desk
    }

    fn list(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        for (_, set) in view.all::<T>() {
            self.on_set(None, Some(set));
        }
        for (row, pod) in view.all::<Pod>() {
            self.on_pod(ctx, view, row, None, Some(pod));
        }
    }

    fn note(&mut self, ctx: &mut Context<'_>, view: View<'_>, News { change, pods, .. }: &News<'_>) {
        let after = view.at(change.revision);
        match change.kind {
            Kind::Pod => self.on_pod(ctx, after, change.row, pods.0, pods.1),
            kind if kind == T::KIND => {
                let (old, new) = view.sides::<T>(change);
                self.on_set(old, new);
            }
            _ => {}
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: NamespacedName) -> Step<NamespacedName, Stage> {
        let Some((_, set)) = key.find::<T>(view) else {
            self.expectations.forget(&key);
            return self.desk.finish(ctx, &key, false);
        };
        let set = T::as_set(set);
        let may_manage = self.expectations.satisfied(&key, ctx.now);
        let adoptable = self.adoptable(view, &set);
        let mut claims = Claims::default();
        let tally = self.tallies.of(set.meta.uid, &set.selector, &pods::template_of(&set));
        debug_assert_eq!(tally, pods::walked(view, &set), "the counts of {key:?} have gone astray");
        let pods = if adoptable.is_empty() && pods::counts_suffice(&set, tally, may_manage) {
            Pods::Counted(tally)
        } else {
            let (own, strangers) = pods::list(view, &set);
            for (row, pod) in strangers {
                claims.release(view, &set.meta, row, &pod);
            }
            Pods::Listed(own)
        };
        for (row, pod) in adoptable {
            claims.adopt(view, T::KIND, &set.meta, row, &pod);
        }
        let adopter = claims.adopter(T::KIND, &set.meta);
        let sync = Sync { set, pods, may_manage, error: None };
        if claims.requests.is_empty() {
            return self.manage(ctx, view, key, sync);
        }
        let requests = std::mem::take(&mut claims.requests);
        self.desk.begin_claims(ctx, key, Stage::Claim(sync, claims), adopter, [requests])
    }

    fn proceed(
        &mut self,
        ctx: &mut Context<'_>,
        view: View<'_>,
        ended: Ended<NamespacedName, Stage>,
    ) -> Step<NamespacedName, Stage> {
        let Ended { key, stage, answers, skipped, error } = ended;
        match stage {
            Stage::Claim(_, _) if error.is_some() => self.desk.finish(ctx, &key, true),
            Stage::Claim(mut sync, claims) => {
                if let Pods::Listed(pods) = &mut sync.pods {
                    pods.extend(claims.adopted(&answers));
                }
                self.manage(ctx, view, key, sync)
            }
            Stage::Create(mut sync) => {
                let refused = refused_creations(ctx, &key.of(T::KIND), &answers);
                self.expectations.created(&key, refused + skipped);
                sync.error = error;
                self.update_status(ctx, key, sync)
            }
            Stage::Delete(mut sync, doomed) => {
                for (pod, _) in doomed.iter().zip(&answers).filter(|(_, answer)| answer.is_err()) {
                    self.expectations.deleted(&key, pod.meta.uid);
                }
                sync.error = error;
                self.update_status(ctx, key, sync)
            }
            Stage::Status { failed, next } => self.finish(ctx, key, failed || error.is_some(), next),
        }
    }
}

/// The one that manages a pod, if it is there and is the very one that the pod names.
fn manager_of<'a, T: Replicated>(tallies: &'a Tallies<Known>, pod: &Pod) -> Option<&'a Known> {
    let owner = pod.meta.controller().filter(|owner| owner.kind == T::KIND)?;
    let known = tallies.noted(owner.uid)?;
    (known.key.name == owner.name && known.key.namespace == pod.meta.namespace).then_some(known)
}

/// An empty selector of a ReplicaSet selects nothing here: it is refused by validation in Kubernetes.
fn selects(selector: &Selector, pod: &Pod) -> bool {
    !selector.is_empty() && selector.matches(&pod.meta.labels)
}

/// Source: `getPodsToDelete`, pkg/controller/replicaset/replica_set.go (v1.34.1).
fn pods_to_delete<T: Replicated>(
    ctx: &Context<'_>,
    view: View<'_>,
    set: &ReplicaSet,
    pods: &[Arc<Pod>],
    surplus: usize,
) -> Vec<Arc<Pod>> {
    if surplus == pods.len() {
        return pods.to_vec();
    }
    let owner = set.meta.controller().map(|owner| owner.uid);
    let sets = owner.into_iter().flat_map(|owner| view.controlled_by::<T>(owner));
    let related = sets.flat_map(|(_, set)| view.controlled_by::<Pod>(set.meta().uid)).map(|(_, pod)| pod);
    ranking::first_to_go(pods, related, surplus, ctx.now)
}

/// Source: `calculateStatus`, pkg/controller/replicaset/replica_set_utils.go; `RealPodControl`,
/// pkg/controller/controller_utils.go (v1.34.1).
fn counted(ctx: &Context<'_>, set: &ReplicaSet, pods: &Pods, error: Option<&Refusal>) -> ReplicaSetStatus {
    let tally = pods.tally(set);
    let mut conditions = set.status.conditions.clone();
    let wanted = set.replicas as usize;
    match error {
        Some(error) if conditions.get(ConditionKind::ReplicaFailure).is_none() => {
            let (reason, message) = match pods.len() < wanted {
                true => ("FailedCreate", error.to_string()),
                false => ("FailedDelete", format!("unable to delete pods: {error}")),
            };
            conditions.set(ConditionKind::ReplicaFailure, Status3::True, reason, message, ctx.now);
        }
        Some(_) => {}
        None => {
            conditions.remove(ConditionKind::ReplicaFailure);
        }
    }
    ReplicaSetStatus {
        replicas: tally.selected.active,
        fully_labeled: tally.fully_labeled,
        ready: tally.selected.ready,
        available: pods.available(set, ctx.now),
        observed_generation: set.meta.generation,
        conditions,
    }
}
