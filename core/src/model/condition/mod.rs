//! Conditions: what a component last said about an object, and since when.

mod briefs;

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::Name;
use crate::model::condition::briefs::{Brief, Briefs};
use crate::model::seldom::{Absent, Seldom};
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

/// What a condition is to say; see [`Conditions::with_all`].
#[derive(Clone, Copy, Debug)]
pub struct WantedCondition<'a> {
    /// Its type.
    pub kind: ConditionKind,
    /// Whether it holds.
    pub status: Status3,
    /// One CamelCase word, or empty.
    pub reason: &'a Name,
    /// A sentence, or empty.
    pub message: &'a Name,
}

/// The conditions of one object, sorted by kind, each kind at most once.
///
/// There are hundreds of thousands of these lists, so they are kept brief: most conditions of pods have no words and
/// were last written when their status changed. The five that a kubelet keeps of a pod lie in the status itself.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    brief: Briefs,
    /// The rest of the conditions that have more than the brief form says.
    details: Seldom<Vec<Details>>,
}

/// What else there is to a condition. Invariant: a condition of which there is nothing else to say has none.
#[derive(Clone, PartialEq, Eq)]
struct Details {
    of: ConditionKind,
    reason: Name,
    message: Name,
    updated_at: Time,
}

/// Of a condition without words.
const NO_WORDS: &Name = &Name::new();

impl Details {
    /// What else there is to a condition, if anything.
    fn of(condition: Condition) -> Option<Details> {
        let Condition { kind, status: _, reason, message, changed_at, updated_at } = condition;
        let has_more = !reason.is_empty() || !message.is_empty() || updated_at != changed_at;
        has_more.then_some(Details { of: kind, reason, message, updated_at })
    }
}

impl Absent for Vec<Details> {
    const ABSENT: &'static Self = &Vec::new();
}

impl Conditions {
    /// The condition of a kind.
    pub fn get(&self, kind: ConditionKind) -> Option<Condition> {
        self.place(kind).ok().map(|place| self.whole(&self.brief[place]))
    }

    /// Whether the condition of a kind is there and true.
    pub fn is_true(&self, kind: ConditionKind) -> bool {
        self.place(kind).is_ok_and(|place| self.brief[place].status == Status3::True)
    }

    /// Why the condition of a kind is as it is: one CamelCase word, or empty.
    pub fn reason(&self, kind: ConditionKind) -> Option<&Name> {
        self.place(kind).ok().map(|place| self.rest_of(&self.brief[place]).0)
    }

    /// Whether the condition of a kind is there with this status, and for this reason.
    pub fn is_for(&self, kind: ConditionKind, status: Status3, reason: &str) -> bool {
        self.place(kind).is_ok_and(|place| {
            let brief = &self.brief[place];
            brief.status == status && **self.rest_of(brief).0 == *reason
        })
    }

    /// When the condition of a kind was last written, changed or not.
    pub fn updated_at(&self, kind: ConditionKind) -> Option<Time> {
        self.place(kind).ok().map(|place| self.rest_of(&self.brief[place]).2)
    }

    /// What is said of the condition of a kind: a sentence, or empty.
    pub fn message(&self, kind: ConditionKind) -> Option<&Name> {
        self.place(kind).ok().map(|place| self.rest_of(&self.brief[place]).1)
    }

    /// Since when the condition of a kind has been as it is.
    pub fn changed_at(&self, kind: ConditionKind) -> Option<Time> {
        self.place(kind).ok().map(|place| self.brief[place].changed_at)
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
        let before = self.place(kind).ok().map(|place| self.brief[place]).filter(|before| before.status == status);
        if let Some(before) = &before {
            let (reason_before, message_before, _) = self.rest_of(before);
            if *reason_before == *reason.as_ref() && *message_before == *message.as_ref() {
                return false;
            }
        }
        let changed_at = before.map_or(now, |before| before.changed_at);
        let (reason, message) = (reason.into(), message.into());
        self.put(Condition { kind, status, reason, message, changed_at, updated_at: now });
        true
    }

    /// These conditions with several set, each as [`Conditions::set`] does. Panics unless `wanted` is in the order of
    /// the kinds.
    pub fn with_all<const N: usize>(&self, wanted: [WantedCondition<'_>; N], now: Time) -> Conditions {
        assert!(wanted.is_sorted_by(|one, next| one.kind < next.kind), "each kind once, in their order: {wanted:?}");
        let mut brief = Briefs::default();
        let mut details: Vec<Details> = Vec::new();
        let mut stays = [false; N];
        let mut before = self.brief.iter().copied().peekable();
        for (place, WantedCondition { kind, status, reason, message }) in wanted.into_iter().enumerate() {
            while let Some(other) = before.next_if(|brief| brief.kind < kind) {
                brief.push(other);
            }
            let same = before.next_if(|brief| brief.kind == kind).filter(|brief| brief.status == status);
            let changed_at = same.map_or(now, |same| same.changed_at);
            brief.push(Brief { kind, status, changed_at });
            stays[place] = same.is_some_and(|same| {
                let (reason_before, message_before, _) = self.rest_of(&same);
                reason_before == reason && message_before == message
            });
            if !stays[place] {
                let (reason, message) = (reason.clone(), message.clone());
                details.extend(Details::of(Condition { kind, status, reason, message, changed_at, updated_at: now }));
            }
        }
        before.for_each(|other| brief.push(other));
        let is_set = |kind| wanted.iter().zip(stays).any(|(wanted, stays)| wanted.kind == kind && !stays);
        if details.is_empty() && !self.details.iter().any(|details| is_set(details.of)) {
            return Conditions { brief, details: self.details.clone() };
        }
        details.extend(self.details.iter().filter(|details| !is_set(details.of)).cloned());
        details.sort_unstable_by_key(|details| details.of);
        Conditions { brief, details: details.into() }
    }

    /// Notes that the condition of a kind was written again, changed or not.
    pub fn touch(&mut self, kind: ConditionKind, now: Time) {
        if let Some(condition) = self.get(kind) {
            self.put(Condition { updated_at: now, ..condition });
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
        self.touch(kind, spoke_at);
        changed
    }

    /// Removes the condition of a kind; returns whether it was there.
    pub fn remove(&mut self, kind: ConditionKind) -> bool {
        let Ok(place) = self.place(kind) else { return false };
        self.brief.remove(place);
        self.put_details(kind, None);
        true
    }

    /// All conditions, by kind.
    pub fn iter(&self) -> impl Iterator<Item = Condition> {
        self.brief.iter().map(|brief| self.whole(brief))
    }

    /// Where the condition of a kind is, or else would be. The lists are short.
    fn place(&self, kind: ConditionKind) -> Result<usize, usize> {
        let place = self.brief.iter().position(|brief| brief.kind >= kind).unwrap_or(self.brief.len());
        if self.brief.get(place).is_some_and(|brief| brief.kind == kind) { Ok(place) } else { Err(place) }
    }

    /// Reason, message and last update.
    fn rest_of(&self, brief: &Brief) -> (&Name, &Name, Time) {
        match self.details.iter().find(|details| details.of == brief.kind) {
            Some(details) => (&details.reason, &details.message, details.updated_at),
            None => (NO_WORDS, NO_WORDS, brief.changed_at),
        }
    }

    fn whole(&self, brief: &Brief) -> Condition {
        let Brief { kind, status, changed_at } = *brief;
        let (reason, message, updated_at) = self.rest_of(brief);
        Condition { kind, status, reason: reason.clone(), message: message.clone(), changed_at, updated_at }
    }

    fn put(&mut self, condition: Condition) {
        let Condition { kind, status, changed_at, .. } = condition;
        let brief = Brief { kind, status, changed_at };
        match self.place(kind) {
            Ok(place) => self.brief[place] = brief,
            Err(place) => self.brief.insert(place, brief),
        }
        self.put_details(kind, Details::of(condition));
    }

    /// Says what else there is to the condition of a kind, if anything. Sorted, so that equal conditions are equal
    /// lists.
    fn put_details(&mut self, kind: ConditionKind, details: Option<Details>) {
        match (self.details.binary_search_by_key(&kind, |details| details.of), details) {
            (Ok(place), Some(details)) => self.details[place] = details,
            (Err(place), Some(details)) => self.details.insert(place, details),
            (Ok(_), None) if self.details.len() == 1 => self.details = Seldom::default(),
            (Ok(place), None) => drop(self.details.remove(place)),
            (Err(_), None) => {}
        }
    }
}

/// As a list of whole conditions.
impl Hash for Conditions {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.brief.len().hash(state);
        for brief in self.brief.iter() {
            let Brief { kind, status, changed_at } = *brief;
            let (reason, message, updated_at) = self.rest_of(brief);
            (kind, status, reason, message, changed_at, updated_at).hash(state);
        }
    }
}

impl fmt::Debug for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Conditions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Conditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut conditions = Conditions::default();
        Vec::<Condition>::deserialize(deserializer)?.into_iter().for_each(|condition| conditions.put(condition));
        Ok(conditions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::StableHasher;
    use crate::draw::{Draws, Purpose, below};

    /// As [`Conditions::set`], on a plain list.
    fn set(list: &mut Vec<Condition>, kind: ConditionKind, status: Status3, reason: &str, now: Time) -> bool {
        let (reason, message) = (Name::from(reason), Name::default());
        match list.binary_search_by_key(&kind, |condition| condition.kind) {
            Err(place) => {
                list.insert(place, Condition { kind, status, reason, message, changed_at: now, updated_at: now });
                true
            }
            Ok(place) => {
                let before = list[place].clone();
                let changed_at = if before.status == status { before.changed_at } else { now };
                let differs = before.status != status || before.reason != reason;
                if differs {
                    list[place] = Condition { kind, status, reason, message, changed_at, updated_at: now };
                }
                differs
            }
        }
    }

    #[test]
    fn brief_conditions_are_as_a_plain_list_of_whole_ones() {
        use ConditionKind::{ContainersReady, DisruptionTarget, Initialized, PodScheduled, Ready};
        let mut draws = Draws::starting_at(7, Purpose::NameSuffix, 0, 0);
        let mut next = |bound| below(draws.next().expect("draws do not end"), bound) as usize;
        let (mut conditions, mut list) = (Conditions::default(), Vec::new());
        for round in 0..3_000 {
            let now = Time::from_secs(round);
            let kind = [Ready, PodScheduled, Initialized, ContainersReady][next(4)];
            match next(8) {
                0 => {
                    let there = list.iter().position(|condition: &Condition| condition.kind == kind);
                    assert_eq!(conditions.remove(kind), there.is_some());
                    there.map(|place| list.remove(place));
                }
                1 => {
                    conditions.touch(kind, now);
                    list.iter_mut().filter(|it| it.kind == kind).for_each(|condition| condition.updated_at = now);
                }
                2 => {
                    let (status, reason) = (Status3::from(next(2) == 0), ["", "Waits"][next(2)]);
                    let (both, reason_name) = ([kind, DisruptionTarget], Name::from(reason));
                    let wanted = |kind| WantedCondition { kind, status, reason: &reason_name, message: NO_WORDS };
                    conditions = conditions.with_all(both.map(wanted), now);
                    for kind in both {
                        set(&mut list, kind, status, reason, now);
                    }
                }
                _ => {
                    let (status, reason) = (Status3::from(next(2) == 0), ["", "", "Waits"][next(3)]);
                    assert_eq!(
                        conditions.set(kind, status, reason, "", now),
                        set(&mut list, kind, status, reason, now)
                    );
                }
            }
            assert!(conditions.iter().eq(list.iter().cloned()), "after {round} changes: {conditions:?}, not {list:?}");
            assert_eq!(conditions.get(kind), list.iter().find(|condition| condition.kind == kind).cloned());
            assert_eq!(StableHasher::hash_one(&conditions), StableHasher::hash_one(&list));
            let brief = |condition: &Condition| {
                condition.reason.is_empty()
                    && condition.message.is_empty()
                    && condition.updated_at == condition.changed_at
            };
            assert_eq!(conditions.details.len(), list.iter().filter(|condition| !brief(condition)).count());
        }
    }
}
