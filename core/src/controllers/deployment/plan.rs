//! One sync of a Deployment as a list of writes, decided at once from what the watch has shown.
//!
//! A real sync writes, takes the answer and decides on. Here every write is taken to be granted, applied to the sync's
//! own copies, and the next decision builds on it; if one is refused, those after it never leave and the sync is
//! retried. So it is with a second write of the status in one sync, which meets a conflict, as in Kubernetes. Source:
//! pkg/controller/deployment/{sync,rolling,recreate}.go (v1.34.1).

use std::sync::Arc;

use crate::api::{Propagation, Request};
use crate::controllers::NamespacedName;
use crate::controllers::deployment::progress::set_condition;
use crate::controllers::deployment::sets::{self, Set};
use crate::controllers::deployment::settled::Settled;
use crate::id::{Name, Revision, Uid};
use crate::model::{ConditionKind, Deployment, DeploymentStrategy, Kind, Object, ReplicaSet, Status3};
use crate::time::{Span, Time};

/// A sync of one Deployment.
pub(in crate::controllers) struct Plan {
    pub(super) now: Time,
    /// The Deployment with the sync's own changes to status and revision.
    pub(super) deployment: Arc<Deployment>,
    pub(super) version: Option<Revision>,
    /// All its ReplicaSets, oldest first; the new one comes last once it is known.
    pub(super) old: Vec<Set>,
    /// The ReplicaSet of the Deployment's template.
    pub(super) new: Option<Set>,
    /// The writes so far, each a batch of its own.
    pub(super) writes: Vec<Vec<Request>>,
    /// Which of them creates the new ReplicaSet.
    pub(super) creation: Option<usize>,
    /// What is said when a write is granted, with its place among the requests of all batches.
    pub(super) scaled: Vec<(usize, Scaled)>,
    /// What this sync has found to be in order, if it has looked.
    pub(super) settled: Option<Settled>,
    /// When to look again, if nothing happens.
    pub(super) look_again: Option<Again>,
}

/// A ReplicaSet gets another size.
pub(in crate::controllers) struct Scaled {
    pub(super) set: Name,
    pub(super) before: u32,
    pub(super) after: u32,
}

/// When a Deployment is to be looked at again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Again {
    /// After this time.
    After(Span),
    /// At once, with the queue's back-off.
    RateLimited,
}

impl Plan {
    /// Decides on the whole sync; `settled` is the new ReplicaSet if nothing but statuses has changed since all was in
    /// order, and `has_pods` tells whether any pod that has not finished belongs to a ReplicaSet.
    pub(super) fn decide(&mut self, settled: Option<Uid>, has_pods: &dyn Fn(&ReplicaSet) -> bool) {
        sets::sort_by_creation(&mut self.old);
        let new = match settled {
            Some(uid) => self.old.iter().position(|it| it.set.meta.uid == uid),
            None => sets::find_new(&self.deployment, &self.old),
        };
        if let Some(place) = new {
            self.new = Some(self.old.remove(place));
        }
        let is_settled = settled.is_some() && self.has_settled_reason();
        if !is_settled || cfg!(debug_assertions) {
            let ends = self.prepare();
            assert!(!is_settled || (!ends && self.writes.is_empty()), "{:?} was settled", self.deployment.meta);
            if ends {
                return;
            }
            let new = self.new.as_ref().filter(|_| self.writes.is_empty());
            self.settled = new.map(|new| Settled::new(&self.deployment.meta, self.all(), new.set.meta.uid));
        }
        match self.deployment.strategy {
            DeploymentStrategy::Recreate => self.recreate(has_pods),
            DeploymentStrategy::RollingUpdate { .. } => self.roll(),
        }
        self.update_rollout_status();
    }

    /// All that comes before a rollout goes on; returns whether the sync ends with it.
    fn prepare(&mut self) -> bool {
        if self.deployment.meta.is_terminating() {
            self.sync_revision(false);
            self.update_status();
            return true;
        }
        self.note_pause();
        // A real sync looks twice for the new ReplicaSet before it goes on, and both times in the list that it began
        // with: what the first look wrote, the second writes again, from a version that is stale by then. Where the
        // first wrote nothing of a ReplicaSet, the second finds all as it should be.
        if self.sync_revision(false) && !self.deployment.paused {
            self.look_again = Some(Again::RateLimited);
            return true;
        }
        if self.deployment.paused || self.was_scaled() {
            self.scale();
            if self.deployment.paused {
                self.clean_up();
            }
            self.update_status();
            return true;
        }
        false
    }

    /// Whether why the Deployment is said to progress or not is no reason to write by itself.
    fn has_settled_reason(&self) -> bool {
        let reason = self.progressing_reason();
        self.deployment.progress_deadline.is_none() || reason.is_some_and(|reason| reason != super::PAUSED)
    }

    /// Source: `checkPausedConditions`.
    fn note_pause(&mut self) {
        let Some(_) = self.deployment.progress_deadline else { return };
        let reason = self.progressing_reason();
        if reason == Some(super::TIMED_OUT) {
            return;
        }
        let noted = reason == Some(super::PAUSED);
        let (reason, message) = match (self.deployment.paused, noted) {
            (true, false) => (super::PAUSED, "Deployment is paused"),
            (false, true) => (super::RESUMED, "Deployment is resumed"),
            _ => return,
        };
        self.set_progressing(Status3::Unknown, reason, message);
        self.write_status();
    }

    /// Whether the Deployment's size differs from the one for which its active ReplicaSets were scaled.
    ///
    /// Source: `isScalingEvent`.
    fn was_scaled(&self) -> bool {
        let wanted = u64::from(self.deployment.replicas);
        self.all()
            .filter(|it| it.set.replicas > 0)
            .any(|it| sets::desired_when_scaled(&it.set).is_some_and(|desired| desired != wanted))
    }

    /// Brings revisions and annotations up to date and creates the new ReplicaSet if that is wanted. Returns whether a
    /// ReplicaSet that was there already is written.
    ///
    /// Source: `getNewReplicaSet`.
    fn sync_revision(&mut self, create: bool) -> bool {
        let revision = sets::highest_revision(self.old.iter()) + 1;
        match self.new.take() {
            Some(new) => return self.refresh_new(new, revision),
            None if create => self.create_new(revision),
            None => {}
        }
        false
    }

    fn refresh_new(&mut self, mut new: Set, revision: u64) -> bool {
        let annotations = sets::annotations_of_new(&self.deployment, &new.set.meta.annotations, revision);
        let min_ready = self.deployment.min_ready;
        if annotations.is_some() || new.set.min_ready != min_ready {
            let set = Arc::make_mut(&mut new.set);
            set.min_ready = min_ready;
            annotations.into_iter().for_each(|annotations| set.meta.annotations = annotations);
            self.writes.push(vec![update(&new)]);
            self.new = Some(new);
            return true;
        }
        let revision = new.set.meta.annotations.get(&sets::REVISION).cloned().unwrap_or_default();
        let mut needs_write = self.set_revision(&revision);
        if self.deployment.progress_deadline.is_some() && self.progressing_reason().is_none() {
            let message = format!("Found new replica set \"{}\"", new.set.meta.name);
            self.set_progressing(Status3::True, super::FOUND_NEW, &message);
            needs_write = true;
        }
        if needs_write {
            self.write_status();
        }
        self.new = Some(new);
        false
    }

    fn create_new(&mut self, revision: u64) {
        let mut set = sets::make_new(&self.deployment);
        set.meta.created_at = self.now;
        set.replicas = self.new_size(&set);
        let annotations = sets::annotations_of_new(&self.deployment, &set.meta.annotations, revision);
        annotations.into_iter().for_each(|annotations| set.meta.annotations = annotations);
        let mut set = Arc::new(set);
        sets::note_scale(&self.deployment, &mut set);
        self.creation = Some(self.writes.len());
        if set.replicas > 0 {
            self.tell_next(&set, 0);
        }
        self.writes.push(vec![Request::Create(Object::ReplicaSet(set.clone()))]);
        let mut needs_write = self.set_revision(&revision.to_string());
        if self.deployment.progress_deadline.is_some() {
            let message = format!("Created new replica set \"{}\"", set.meta.name);
            self.set_progressing(Status3::True, super::CREATED_NEW, &message);
            needs_write = true;
        }
        if needs_write {
            self.write_status();
        }
        self.new = Some(Set { set, version: None });
    }

    /// How large the new ReplicaSet may be.
    ///
    /// Source: `NewRSNewReplicas`.
    pub(super) fn new_size(&self, new: &ReplicaSet) -> u32 {
        let wanted = i64::from(self.deployment.replicas);
        if self.deployment.strategy == DeploymentStrategy::Recreate {
            return self.deployment.replicas;
        }
        let DeploymentStrategy::RollingUpdate { max_surge, .. } = self.deployment.strategy else {
            unreachable!("there are two strategies")
        };
        let most = wanted + i64::from(max_surge.of_rounded_up(self.deployment.replicas));
        let have = total(self.old.iter()) + i64::from(new.replicas);
        if have >= most {
            return new.replicas;
        }
        new.replicas + (most - have).min(wanted - i64::from(new.replicas)) as u32
    }

    /// Source: `rolloutRolling`.
    fn roll(&mut self) {
        if self.new.is_none() {
            self.sync_revision(true);
        }
        if self.grow_new() || self.shrink_old() {
            return;
        }
        if self.is_complete() {
            self.clean_up();
        }
    }

    /// Source: `reconcileNewReplicaSet`.
    pub(super) fn grow_new(&mut self) -> bool {
        let new = &self.new.as_ref().expect("the new ReplicaSet was just created or found").set;
        let size = if new.replicas > self.deployment.replicas { self.deployment.replicas } else { self.new_size(new) };
        self.resize_new(size)
    }

    /// Source: `reconcileOldReplicaSets`.
    pub(super) fn shrink_old(&mut self) -> bool {
        if total(self.old.iter()) == 0 {
            return false;
        }
        let new = &self.new.as_ref().expect("the new ReplicaSet was just created or found").set;
        let least_available = i64::from(self.deployment.replicas) - sets::fenceposts(&self.deployment).1;
        let new_unavailable = i64::from(new.replicas) - i64::from(new.status.available);
        let most = total(self.all()) - least_available - new_unavailable;
        if most <= 0 {
            return false;
        }
        let Some(cleaned) = self.shrink_unhealthy(most) else { return false };
        let available = self.all().map(|it| i64::from(it.set.status.available)).sum::<i64>();
        let shrunk = self.shrink_oldest(available - least_available);
        cleaned + shrunk > 0
    }

    /// Takes unavailable pods from old ReplicaSets, the oldest first: that costs no availability.
    ///
    /// A ReplicaSet with more available than wanted pods has not yet followed an earlier step. Its numbers would let
    /// too many pods go, so the step ends there with `None`.
    pub(super) fn shrink_unhealthy(&mut self, most: i64) -> Option<i64> {
        let mut taken = 0;
        for place in 0..self.old.len() {
            let set = &self.old[place].set;
            let (wanted, unhealthy) = (set.replicas, i64::from(set.replicas) - i64::from(set.status.available));
            if taken >= most {
                break;
            }
            if wanted == 0 || unhealthy == 0 {
                continue;
            }
            if unhealthy < 0 {
                return None;
            }
            let count = unhealthy.min(most - taken);
            self.resize_old(place, (i64::from(wanted) - count) as u32);
            taken += count;
        }
        Some(taken)
    }

    /// Takes up to `most` pods from old ReplicaSets, the oldest first.
    pub(super) fn shrink_oldest(&mut self, most: i64) -> i64 {
        let mut taken = 0;
        for place in 0..self.old.len() {
            let set = &self.old[place].set;
            let count = i64::from(set.replicas).min(most - taken);
            if set.replicas == 0 || count <= 0 {
                continue;
            }
            let size = (i64::from(set.replicas) - count) as u32;
            self.resize_old(place, size);
            taken += count;
        }
        taken
    }

    /// Source: `rolloutRecreate`.
    fn recreate(&mut self, has_pods: &dyn Fn(&ReplicaSet) -> bool) {
        let active: Vec<usize> = (0..self.old.len()).filter(|place| self.old[*place].set.replicas > 0).collect();
        for place in &active {
            self.resize_old(*place, 0);
        }
        let old_have_pods = || self.old.iter().any(|it| it.set.status.replicas > 0 || has_pods(&it.set));
        if !active.is_empty() || old_have_pods() {
            return;
        }
        if self.new.is_none() {
            self.sync_revision(true);
        }
        self.resize_new(self.deployment.replicas);
        if self.is_complete() {
            self.clean_up();
        }
    }

    /// Removes old ReplicaSets beyond the history's limit, those of the lowest revisions first.
    ///
    /// Source: `cleanupDeployment`.
    pub(super) fn clean_up(&mut self) {
        let mut cleanable: Vec<&Set> = self.old.iter().filter(|it| !it.set.meta.is_terminating()).collect();
        let surplus = cleanable.len().saturating_sub(self.deployment.revision_history_limit as usize);
        let order = |it: &Set| sets::revision_of(&it.set);
        cleanable.sort_by(|one, other| {
            let by_age = || sets::age(&one.set.meta).cmp(&sets::age(&other.set.meta));
            order(one).cmp(&order(other)).then_with(by_age)
        });
        let empty = |set: &ReplicaSet| {
            set.replicas == 0 && set.status.replicas == 0 && set.meta.generation <= set.status.observed_generation
        };
        let deletions = cleanable.into_iter().take(surplus).filter(|it| empty(&it.set)).map(|it| {
            let key = NamespacedName::of_meta(&it.set.meta).of(Kind::ReplicaSet);
            vec![Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background }]
        });
        self.writes.extend(deletions.collect::<Vec<_>>());
    }

    /// All ReplicaSets, the new one last.
    pub(super) fn all(&self) -> impl Iterator<Item = &Set> {
        self.old.iter().chain(&self.new)
    }

    /// Gives an old ReplicaSet another size; writes only if size or notes change.
    pub(super) fn resize_old(&mut self, place: usize, size: u32) {
        let before = self.old[place].set.replicas;
        if resize(&self.deployment, &mut self.old[place], size) {
            if before != size {
                self.tell_next(&self.old[place].set.clone(), before);
            }
            self.writes.push(vec![update(&self.old[place])]);
        }
    }

    /// Gives the new ReplicaSet another size unless it has it already; returns whether it was changed.
    pub(super) fn resize_new(&mut self, size: u32) -> bool {
        let Some(new) = self.new.as_mut().filter(|new| new.set.replicas != size) else { return false };
        let before = new.set.replicas;
        resize(&self.deployment, new, size);
        let (write, set) = (update(new), new.set.clone());
        self.tell_next(&set, before);
        self.writes.push(vec![write]);
        true
    }

    /// Has it said when the next write is granted that a ReplicaSet has another size than before.
    fn tell_next(&mut self, set: &ReplicaSet, before: u32) {
        let place = self.writes.iter().map(Vec::len).sum();
        self.scaled.push((place, Scaled { set: set.meta.name.clone(), before, after: set.replicas }));
    }

    /// Notes on the new ReplicaSet for which size of the Deployment it has its size.
    pub(super) fn renote_new(&mut self) {
        if let Some(new) = &mut self.new
            && sets::note_scale(&self.deployment, &mut new.set)
        {
            self.writes.push(vec![update(new)]);
        }
    }

    /// Why the Deployment is said to progress or not.
    pub(super) fn progressing_reason(&self) -> Option<&str> {
        self.deployment.status.conditions.reason(ConditionKind::Progressing).map(Name::as_str)
    }

    /// Writes the Deployment's status and revision as they are by now.
    pub(super) fn write_status(&mut self) {
        let object = Object::Deployment(self.deployment.clone());
        self.writes.push(vec![Request::UpdateStatus { object, expected: self.version }]);
    }

    fn set_progressing(&mut self, status: Status3, reason: &str, message: &str) {
        let conditions = &mut Arc::make_mut(&mut self.deployment).status.conditions;
        set_condition(conditions, ConditionKind::Progressing, status, reason, message, self.now);
    }

    fn set_revision(&mut self, revision: &str) -> bool {
        if self.deployment.meta.annotations.get(&sets::REVISION).is_some_and(|present| **present == *revision) {
            return false;
        }
        let annotations = &mut Arc::make_mut(&mut self.deployment).meta.annotations;
        *annotations = annotations.with(sets::REVISION, revision);
        true
    }
}

/// The wanted pods of ReplicaSets.
pub(super) fn total<'a>(sets: impl Iterator<Item = &'a Set>) -> i64 {
    sets.map(|it| i64::from(it.set.replicas)).sum()
}

fn resize(deployment: &Deployment, it: &mut Set, size: u32) -> bool {
    let same_size = it.set.replicas == size;
    if !same_size {
        Arc::make_mut(&mut it.set).replicas = size;
    }
    let noted = sets::note_scale(deployment, &mut it.set);
    noted || !same_size
}

fn update(it: &Set) -> Request {
    Request::Update { object: Object::ReplicaSet(it.set.clone()), expected: it.version }
}
