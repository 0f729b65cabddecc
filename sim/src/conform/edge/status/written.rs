//! A status as it is written: the fields of its JSON as the core has them.

use chrono::DateTime;
use serde_json::Value;
use wavetank_core::id::Name;
use wavetank_core::model::{Amounts, ConditionKind, Conditions, Status3};
use wavetank_core::time::Time;

use super::beyond;

/// What is written over what.
pub(super) struct Written<'a> {
    /// The stored status.
    pub(super) old: &'a Value,
    /// The written one.
    pub(super) new: &'a Value,
    /// Now.
    pub(super) now: Time,
    /// The Unix time, in seconds, of the run's start.
    pub(super) epoch: i64,
}

impl Written<'_> {
    /// Errors: a field that changes and is none of these.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), String> {
        beyond(self.old, self.new, known).map_or(Ok(()), Err)
    }

    /// A count; one that is not there is none.
    pub(super) fn number(&self, field: &str) -> u32 {
        self.optional(field).unwrap_or(0)
    }

    /// A count that may be missing.
    pub(super) fn optional(&self, field: &str) -> Option<u32> {
        self.new[field].as_u64().map(|count| u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// The generation that the counts belong to.
    pub(super) fn generation(&self) -> u32 {
        self.optional("observedGeneration").unwrap_or(0)
    }

    pub(super) fn text(&self, field: &str) -> &str {
        self.new[field].as_str().unwrap_or_default()
    }

    pub(super) fn name(&self, field: &str) -> Name {
        self.text(field).into()
    }

    /// A point in time. One that is shown as it was stays as it is, parts of seconds included.
    pub(super) fn time(&self, field: &str, stored: Option<Time>) -> Option<Time> {
        if self.new[field] == self.old[field] { stored } else { self.time_of(&self.new[field]) }
    }

    /// A point in time of the wall clock; what was before the run is its start.
    pub(super) fn time_of(&self, value: &Value) -> Option<Time> {
        let at = DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
        Some(Time::from_secs(u64::try_from(at.timestamp() - self.epoch).unwrap_or(0)))
    }

    /// Amounts by resource. Errors: one that is no quantity.
    pub(super) fn amounts(&self, field: &str) -> Result<Amounts, String> {
        let amount = |(resource, amount): (&String, &Value)| {
            let text = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
            Ok((resource.as_str().into(), text.parse().map_err(|_| format!("{field}.{resource}"))?))
        };
        self.new[field].as_object().into_iter().flatten().map(amount).collect()
    }

    /// The conditions are those that are written, of the types that the core has.
    pub(super) fn conditions(&self, stored: &mut Conditions) {
        let list = |status: &Value| status["conditions"].as_array().cloned().unwrap_or_default();
        let (old, new) = (list(self.old), list(self.new));
        let kinds: Vec<ConditionKind> = new.iter().filter_map(kind_of).collect();
        let gone: Vec<ConditionKind> = stored.iter().map(|it| it.kind).filter(|kind| !kinds.contains(kind)).collect();
        for kind in gone {
            stored.remove(kind);
        }
        for condition in &new {
            let Some(kind) = kind_of(condition) else { continue };
            let before = old.iter().find(|it| it["type"] == condition["type"]);
            if before == Some(condition) {
                continue;
            }
            let status = match condition["status"].as_str() {
                Some("True") => Status3::True,
                Some("False") => Status3::False,
                _ => Status3::Unknown,
            };
            let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
            // The writer says since when, and until it does that is since its status changed.
            let since = &condition["lastTransitionTime"];
            let said =
                self.time_of(since).filter(|_| before.is_none_or(|before| before["lastTransitionTime"] != *since));
            if said.is_some() {
                stored.remove(kind);
            }
            stored.set(kind, status, text("reason"), text("message"), said.unwrap_or(self.now));
        }
    }
}

fn kind_of(condition: &Value) -> Option<ConditionKind> {
    use ConditionKind::*;
    Some(match condition["type"].as_str()? {
        "Ready" => Ready,
        "MemoryPressure" => MemoryPressure,
        "DiskPressure" => DiskPressure,
        "PIDPressure" => PidPressure,
        "NetworkUnavailable" => NetworkUnavailable,
        "PodScheduled" => PodScheduled,
        "PodReadyToStartContainers" => PodReadyToStartContainers,
        "Initialized" => Initialized,
        "ContainersReady" => ContainersReady,
        "DisruptionTarget" => DisruptionTarget,
        "Available" => Available,
        "Progressing" => Progressing,
        "ReplicaFailure" => ReplicaFailure,
        "DisruptionAllowed" => DisruptionAllowed,
        "Suspended" => Suspended,
        "SuccessCriteriaMet" => SuccessCriteriaMet,
        "Complete" => Complete,
        "FailureTarget" => FailureTarget,
        "Failed" => Failed,
        "Resizing" => Resizing,
        "FileSystemResizePending" => FileSystemResizePending,
        "NamespaceDeletionDiscoveryFailure" => NamespaceDeletionDiscoveryFailure,
        "NamespaceDeletionGroupVersionParsingFailure" => NamespaceDeletionGroupVersionParsingFailure,
        "NamespaceDeletionContentFailure" => NamespaceDeletionContentFailure,
        "NamespaceContentRemaining" => NamespaceContentRemaining,
        "NamespaceFinalizersRemaining" => NamespaceFinalizersRemaining,
        _ => return None,
    })
}
