//! A Deployment's status: its counts, its availability, and whether a rollout makes progress.
//!
//! Source: pkg/controller/deployment/{progress,sync}.go (v1.34.1). The progress deadline counts from the whole second
//! of the last progress, as the API stores it.

use std::sync::Arc;

use crate::controllers::deployment::plan::{Again, Plan, total};
use crate::controllers::deployment::sets;
use crate::id::{Name, literal};
use crate::model::{Condition, ConditionKind, Conditions, DeploymentStatus, Status3};
use crate::time::{Span, Time};

/// Added to a delayed look at a deadline, so that it has passed by then.
const SKEW: Span = Span::from_secs(1);

impl Plan {
    /// Updates the counts without estimating progress.
    ///
    /// Source: `syncDeploymentStatus`.
    pub(super) fn update_status(&mut self) {
        let status = self.counted();
        if status != self.deployment.status {
            Arc::make_mut(&mut self.deployment).status = status;
            self.write_status();
        }
    }

    /// Updates the counts and estimates progress.
    ///
    /// Source: `syncRolloutStatus`.
    pub(super) fn update_rollout_status(&mut self) {
        let mut status = self.counted();
        if self.deployment.progress_deadline.is_none() {
            status.conditions.remove(ConditionKind::Progressing);
        } else {
            self.estimate_progress(&mut status);
        }
        match self.replica_failure() {
            Some(failure) => {
                let Condition { kind, status: holds, reason, message, .. } = failure;
                set_condition(&mut status.conditions, kind, holds, reason, message, self.now);
            }
            None => {
                status.conditions.remove(ConditionKind::ReplicaFailure);
            }
        }
        if status == self.deployment.status {
            self.look_again = self.next_progress_check();
            return;
        }
        Arc::make_mut(&mut self.deployment).status = status;
        self.write_status();
    }

    fn estimate_progress(&self, status: &mut DeploymentStatus) {
        let reason = self.progressing_reason();
        if status.replicas == status.updated && reason == Some(super::NEW_AVAILABLE) {
            return;
        }
        let (of, name) = match &self.new {
            Some(new) => ("ReplicaSet", &new.set.meta.name),
            None => ("Deployment", &self.deployment.meta.name),
        };
        let kind = ConditionKind::Progressing;
        let (completes, progresses) = (self.completes(status), self.progresses(status));
        let (now, conditions) = (self.now, &mut status.conditions);
        if completes {
            let message = format!("{of} \"{name}\" has successfully progressed.");
            set_condition(conditions, kind, Status3::True, super::NEW_AVAILABLE, &message, now);
        } else if progresses {
            let message = format!("{of} \"{name}\" is progressing.");
            conditions.set(kind, Status3::True, super::UPDATED, &message, now);
            conditions.touch(kind, now);
        } else if self.timed_out() {
            let message = format!("{of} \"{name}\" has timed out progressing.");
            set_condition(conditions, kind, Status3::False, super::TIMED_OUT, &message, now);
        }
    }

    /// Source: `calculateStatus`.
    fn counted(&self) -> DeploymentStatus {
        let sum = |count: fn(&crate::model::ReplicaSetStatus) -> u32| self.all().map(|it| count(&it.set.status)).sum();
        let available: u32 = sum(|status| status.available);
        let wanted = i64::from(self.deployment.replicas);
        let mut conditions = self.deployment.status.conditions.clone();
        let (holds, reason, message) = if i64::from(available) >= wanted - sets::fenceposts(&self.deployment).1 {
            let message = literal!("Deployment has minimum availability.");
            (Status3::True, literal!("MinimumReplicasAvailable"), message)
        } else {
            let message = literal!("Deployment does not have minimum availability.");
            (Status3::False, literal!("MinimumReplicasUnavailable"), message)
        };
        set_condition(&mut conditions, ConditionKind::Available, holds, reason, message, self.now);
        DeploymentStatus {
            replicas: sum(|status| status.replicas),
            updated: self.new.as_ref().map_or(0, |new| new.set.status.replicas),
            ready: sum(|status| status.ready),
            available,
            unavailable: (total(self.all()) - i64::from(available)).max(0) as u32,
            observed_generation: self.deployment.meta.generation,
            collision_count: self.deployment.status.collision_count,
            conditions,
        }
    }

    /// Whether the status that was last written says that the rollout is complete.
    pub(super) fn is_complete(&self) -> bool {
        self.completes(&self.deployment.status)
    }

    /// Source: `DeploymentComplete`.
    fn completes(&self, status: &DeploymentStatus) -> bool {
        let wanted = self.deployment.replicas;
        (status.updated, status.replicas, status.available) == (wanted, wanted, wanted)
            && status.observed_generation >= self.deployment.meta.generation
    }

    /// Source: `DeploymentProgressing`.
    pub(super) fn progresses(&self, status: &DeploymentStatus) -> bool {
        let before = &self.deployment.status;
        let old = |status: &DeploymentStatus| i64::from(status.replicas) - i64::from(status.updated);
        status.updated > before.updated
            || old(status) < old(before)
            || status.ready > before.ready
            || status.available > before.available
    }

    /// Source: `DeploymentTimedOut`.
    pub(super) fn timed_out(&self) -> bool {
        match self.progressing_reason() {
            None | Some(super::NEW_AVAILABLE) => false,
            Some(super::TIMED_OUT) => true,
            Some(_) => self.deadline().is_some_and(|deadline| deadline < self.now),
        }
    }

    /// When the rollout is said to have failed, if it makes no progress.
    fn deadline(&self) -> Option<Time> {
        let updated_at = self.deployment.status.conditions.updated_at(ConditionKind::Progressing)?;
        let from = Time::from_secs(updated_at.0 / 1_000_000_000);
        Some(from.saturating_add(self.deployment.progress_deadline?))
    }

    /// Source: `requeueStuckDeployment`.
    pub(super) fn next_progress_check(&self) -> Option<Again> {
        let deadline = self.deadline()?;
        if self.is_complete() || self.progressing_reason() == Some(super::TIMED_OUT) {
            return None;
        }
        let left = deadline.since(self.now);
        Some(if left < Span::from_secs(1) { Again::RateLimited } else { Again::After(left + SKEW) })
    }

    /// The new ReplicaSet's failure, or else the first of an old one's.
    fn replica_failure(&self) -> Option<Condition> {
        self.new.iter().chain(&self.old).find_map(|it| it.set.status.conditions.get(ConditionKind::ReplicaFailure))
    }
}

/// Sets a condition unless one of the same status and reason is there.
///
/// Source: `SetDeploymentCondition`.
pub(super) fn set_condition(
    conditions: &mut Conditions,
    kind: ConditionKind,
    status: Status3,
    reason: impl Into<Name> + AsRef<str>,
    message: impl Into<Name> + AsRef<str>,
    now: Time,
) {
    if !conditions.is_for(kind, status, reason.as_ref()) {
        conditions.set(kind, status, reason, message, now);
        conditions.touch(kind, now);
    }
}
