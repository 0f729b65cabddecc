//! Conditions: what a component last said about an object, and since when.

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::time::Time;

/// True, false, or unknown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Status3 {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// Nobody who could know has said so lately.
    Unknown,
}

impl From<bool> for Status3 {
    fn from(holds: bool) -> Status3 {
        if holds { Status3::True } else { Status3::False }
    }
}

/// The condition types of the kinds that the core models.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ConditionKind {
    /// Node, Pod: able to serve.
    Ready,
    /// Node.
    MemoryPressure,
    /// Node.
    DiskPressure,
    /// Node.
    PidPressure,
    /// Node.
    NetworkUnavailable,
    /// Pod: bound to a node.
    PodScheduled,
    /// Pod: sandbox and network are there.
    PodReadyToStartContainers,
    /// Pod: init containers have finished.
    Initialized,
    /// Pod: all containers are ready.
    ContainersReady,
    /// Pod: about to be ended by a disruption.
    DisruptionTarget,
    /// Deployment: minimum availability.
    Available,
    /// Deployment.
    Progressing,
    /// Deployment, ReplicaSet, ReplicationController: pods could not be created or deleted.
    ReplicaFailure,
    /// PodDisruptionBudget: at least one pod may be evicted.
    DisruptionAllowed,
    /// Job: its pods are held back.
    Suspended,
    /// Job: it has succeeded, but pods still end or wait to be counted.
    SuccessCriteriaMet,
    /// Job: it has succeeded.
    Complete,
    /// Job: it has failed, but pods still end or wait to be counted.
    FailureTarget,
    /// Job: it has failed.
    Failed,
    /// PersistentVolumeClaim: its volume is being enlarged.
    Resizing,
    /// PersistentVolumeClaim: its volume is larger than the file system on it.
    FileSystemResizePending,
    /// Namespace: the kinds of the cluster could not be told.
    NamespaceDeletionDiscoveryFailure,
    /// Namespace: the name of a group of kinds could not be read.
    NamespaceDeletionGroupVersionParsingFailure,
    /// Namespace: deletions of its content were refused.
    NamespaceDeletionContentFailure,
    /// Namespace: some of its content is still there.
    NamespaceContentRemaining,
    /// Namespace: finalizers hold some of its content.
    NamespaceFinalizersRemaining,
}

/// One condition.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Condition {
    /// Its type.
    pub kind: ConditionKind,
    /// Whether it holds.
    pub status: Status3,
    /// One CamelCase word, or empty.
    pub reason: Name,
    /// A sentence, or empty.
    pub message: Name,
    /// When the status last changed.
    pub changed_at: Time,
    /// When the condition was last written, changed or not (`lastUpdateTime`, `lastHeartbeatTime`).
    pub updated_at: Time,
}

impl Condition {
    /// Says this from now on, if it does not yet.
    fn renew(&mut self, status: Status3, reason: Name, message: Name, now: Time) {
        if self.status != status {
            self.status = status;
            (self.changed_at, self.updated_at) = (now, now);
        }
        if self.reason != reason || self.message != message {
            (self.reason, self.message, self.updated_at) = (reason, message, now);
        }
    }
}

/// The conditions of one object, sorted by kind, each kind at most once.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Conditions(Vec<Condition>);

impl Conditions {
    /// The condition of a kind.
    pub fn get(&self, kind: ConditionKind) -> Option<&Condition> {
        self.0.iter().find(|condition| condition.kind == kind)
    }

    /// Whether the condition of a kind is there and true.
    pub fn is_true(&self, kind: ConditionKind) -> bool {
        self.get(kind).is_some_and(|condition| condition.status == Status3::True)
    }

    /// Sets a condition; `changed_at` moves only when the status changes. Returns whether anything but the time of
    /// the last update changed.
    pub fn set(
        &mut self,
        kind: ConditionKind,
        status: Status3,
        reason: impl Into<Name> + AsRef<str>,
        message: impl Into<Name> + AsRef<str>,
        now: Time,
    ) -> bool {
        match self.0.binary_search_by_key(&kind, |condition| condition.kind) {
            Err(place) => {
                let condition = Condition {
                    kind,
                    status,
                    reason: reason.into(),
                    message: message.into(),
                    changed_at: now,
                    updated_at: now,
                };
                // There are hundreds of thousands of these lists, each with its final length after a few entries.
                self.0.reserve_exact(1);
                self.0.insert(place, condition);
                true
            }
            Ok(place) => {
                let condition = &mut self.0[place];
                let same = condition.status == status
                    && *condition.reason == *reason.as_ref()
                    && *condition.message == *message.as_ref();
                if condition.status != status {
                    condition.status = status;
                    condition.changed_at = now;
                }
                if !same {
                    condition.reason = reason.into();
                    condition.message = message.into();
                    condition.updated_at = now;
                }
                !same
            }
        }
    }

    /// Sets several conditions, in the order of their kinds, each as [`Conditions::set`] does.
    pub fn set_all<const N: usize>(&mut self, wanted: [(ConditionKind, Status3, Name, Name); N], now: Time) {
        self.0.reserve_exact(N.saturating_sub(self.0.len()));
        let mut place = 0;
        for (kind, status, reason, message) in wanted {
            while self.0.get(place).is_some_and(|condition| condition.kind < kind) {
                place += 1;
            }
            match self.0.get_mut(place).filter(|condition| condition.kind == kind) {
                Some(condition) => condition.renew(status, reason, message, now),
                None => {
                    let (changed_at, updated_at) = (now, now);
                    self.0.insert(place, Condition { kind, status, reason, message, changed_at, updated_at });
                }
            }
        }
    }

    /// Notes that the condition of a kind was written again, changed or not.
    pub fn touch(&mut self, kind: ConditionKind, now: Time) {
        if let Some(condition) = self.0.iter_mut().find(|condition| condition.kind == kind) {
            condition.updated_at = now;
        }
    }

    /// Sets a condition on behalf of somebody who has fallen silent: as [`Conditions::set`], but `updated_at`, which
    /// tells when that somebody last spoke, stays as it is; `since` is its value for a condition that was not there.
    pub fn overrule(
        &mut self,
        kind: ConditionKind,
        status: Status3,
        reason: &str,
        message: &str,
        (now, since): (Time, Time),
    ) -> bool {
        let spoke_at = self.get(kind).map_or(since, |condition| condition.updated_at);
        let changed = self.set(kind, status, reason, message, now);
        if let Ok(place) = self.0.binary_search_by_key(&kind, |condition| condition.kind) {
            self.0[place].updated_at = spoke_at;
        }
        changed
    }

    /// Removes the condition of a kind; returns whether it was there.
    pub fn remove(&mut self, kind: ConditionKind) -> bool {
        let before = self.0.len();
        self.0.retain(|condition| condition.kind != kind);
        self.0.len() != before
    }

    /// All conditions, by kind.
    pub fn iter(&self) -> impl Iterator<Item = &Condition> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConditionKind::{ContainersReady, DisruptionTarget, PodScheduled, Ready};
    use Status3::{False, True};

    #[test]
    fn several_conditions_are_set_as_each_alone_would_be() {
        let (none, why) = (Name::default(), Name::from("ContainersNotReady"));
        let unready = [(Ready, False, why.clone(), "app".into()), (ContainersReady, False, why.clone(), "app".into())];
        let other_words =
            [(Ready, False, why.clone(), "app side".into()), (PodScheduled, True, none.clone(), none.clone())];
        let ready = [(Ready, True, none.clone(), none.clone()), (ContainersReady, True, none.clone(), none)];
        let (mut together, mut alone) = (Conditions::default(), Conditions::default());
        for it in [&mut together, &mut alone] {
            it.set(DisruptionTarget, True, "EvictionByEvictionAPI", "", Time::ZERO);
        }
        for (second, wanted) in (1..).zip([unready.clone(), unready, other_words, ready.clone(), ready]) {
            let now = Time::from_secs(second);
            for (kind, status, reason, message) in wanted.clone() {
                alone.set(kind, status, reason, message, now);
            }
            together.set_all(wanted, now);
            assert_eq!(together, alone, "after {second} s");
        }
        assert_eq!(together.iter().count(), 4);
    }
}
