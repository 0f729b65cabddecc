//! What a pass has found in a namespace, and what the namespace's conditions say of it.

use std::collections::BTreeMap;

use crate::api::{Answer, Refusal, Reply};
use crate::id::Name;
use crate::model::{ConditionKind, Conditions, Kind, Meta, Object, Status3};
use crate::time::{Span, Time};

/// How long finalizers are taken to need. Source: `finalizerEstimateSeconds`,
/// pkg/controller/namespace/deletion/namespaced_resources_deleter.go (v1.34.1).
const FINALIZER_ESTIMATE: Span = Span::from_secs(15);

/// The conditions with what is said while nothing is wrong. The first two cannot become true here: the kinds of the
/// cluster are part of the program. Source: `okReasons` and `okMessages`,
/// pkg/controller/namespace/deletion/status_condition_utils.go (v1.34.1).
const GOOD: [(ConditionKind, &str, &str); 5] = [
    (ConditionKind::NamespaceDeletionDiscoveryFailure, "ResourcesDiscovered", "All resources successfully discovered"),
    (
        ConditionKind::NamespaceDeletionGroupVersionParsingFailure,
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        ConditionKind::NamespaceDeletionContentFailure,
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    (ConditionKind::NamespaceContentRemaining, "ContentRemoved", "All content successfully removed"),
    (
        ConditionKind::NamespaceFinalizersRemaining,
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
];

/// What one pass over a namespace has found so far.
#[derive(Default)]
pub(in crate::controllers) struct Findings {
    /// How long it may take until what is left has gone; zero is no estimate.
    pub(super) estimate: Span,
    /// How many objects of a kind are left, by the plural with its group.
    left: BTreeMap<String, u32>,
    /// How many of these a finalizer holds.
    held: BTreeMap<Name, u32>,
    /// What could not be deleted and why, one entry for each kind.
    failures: Vec<String>,
}

impl Findings {
    /// Takes in the answers to the deletions of a kind's objects; `estimate` is how long these may take. Returns
    /// whether any is left.
    ///
    /// Source: `deleteAllContentForGroupVersionResource`,
    /// pkg/controller/namespace/deletion/namespaced_resources_deleter.go (v1.34.1).
    pub(super) fn add(&mut self, namespace: &Name, kind: Kind, answers: &[Answer], estimate: Span) -> bool {
        let refused = |answer: &Answer| match answer {
            Ok(_) | Err(Refusal::NotFound(_)) => None,
            Err(refusal) => Some(refusal.to_string()),
        };
        if let Some(refusal) = answers.iter().find_map(refused) {
            // What is left of such a kind is not counted.
            self.failures.push(refusal);
            self.estimate = self.estimate.max(estimate);
            return false;
        }
        let waiting = |answer: &Answer| match answer {
            Ok(Reply::Deleted(Some(object))) => Some(object.clone()),
            _ => None,
        };
        let left: Vec<Object> = answers.iter().filter_map(waiting).collect();
        if left.is_empty() {
            return false;
        }
        let (api_version, plural) = (kind.api_version(), kind.plural());
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.left.insert(format!("{plural}.{group}"), left.len() as u32);
        let finalizers: Vec<&Name> = left.iter().map(Object::meta).flat_map(|meta: &Meta| &*meta.finalizers).collect();
        for finalizer in &finalizers {
            *self.held.entry((*finalizer).clone()).or_default() += 1;
        }
        if estimate > Span::ZERO {
            self.estimate = self.estimate.max(estimate);
        } else if !finalizers.is_empty() {
            self.estimate = self.estimate.max(FINALIZER_ESTIMATE);
        } else {
            let resource = format!("{group}/{version}, Resource={plural}");
            self.failures.push(format!("unexpected items still remain in namespace: {namespace} for gvr: {resource}"));
        }
        true
    }

    /// Whether something could not be deleted.
    pub(super) fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Writes what was found into a namespace's conditions; returns whether they say anything else than before. While
    /// pods are left, what is left is not told (`is_whole` is false).
    ///
    /// Source: `ProcessContentTotals`, `makeDeleteContentCondition` and `updateConditions`,
    /// pkg/controller/namespace/deletion/status_condition_utils.go (v1.34.1).
    pub(super) fn tell(&self, conditions: &mut Conditions, is_whole: bool, now: Time) -> bool {
        let mut changed = false;
        for (kind, reason, message) in GOOD {
            changed |= match self.fault(kind, is_whole) {
                Some((reason, message)) => conditions.set(kind, Status3::True, reason, &message, now),
                None => conditions.set(kind, Status3::False, reason, message, now),
            };
        }
        changed
    }

    /// What is wrong, as reason and message, if it is.
    fn fault(&self, kind: ConditionKind, is_whole: bool) -> Option<(&'static str, String)> {
        match kind {
            ConditionKind::NamespaceDeletionContentFailure if self.has_failed() => {
                let mut failures: Vec<&str> = self.failures.iter().map(String::as_str).collect();
                failures.sort_unstable();
                let all = failures.join(", ");
                let message = format!("Failed to delete all resource types, {} remaining: {all}", failures.len());
                Some(("ContentDeletionFailed", message))
            }
            ConditionKind::NamespaceContentRemaining if is_whole && !self.left.is_empty() => {
                let mut parts: Vec<String> = self
                    .left
                    .iter()
                    .map(|(plural, count)| format!("{plural} has {count} resource instances"))
                    .collect();
                parts.sort_unstable();
                Some(("SomeResourcesRemain", format!("Some resources are remaining: {}", parts.join(", "))))
            }
            ConditionKind::NamespaceFinalizersRemaining if is_whole && !self.held.is_empty() => {
                let mut parts: Vec<String> =
                    self.held.iter().map(|(name, count)| format!("{name} in {count} resource instances")).collect();
                parts.sort_unstable();
                let all = parts.join(", ");
                Some(("SomeFinalizersRemain", format!("Some content in the namespace has finalizers remaining: {all}")))
            }
            _ => None,
        }
    }
}
