//! Labels as a hash of namespace, key and value: what selectors ask for is compared with what pods have.

use crate::digest::StableHasher;
use crate::id::Name;
use crate::scheduler::terms::Pods;

/// The labels that selectors ask for in a namespace, by their hashes.
#[derive(Debug)]
pub(super) struct LabelsAsked(pub(super) Vec<u64>);

impl LabelsAsked {
    /// Of pods in a namespace.
    pub(super) fn of(namespace: &Name, pods: &Pods) -> LabelsAsked {
        let labels = pods.0.iter().flatten().flat_map(|part| part.match_labels.iter());
        LabelsAsked(labels.map(|pair| label_hash(namespace, pair)).collect())
    }
}

/// One label of the pods of a namespace.
pub(super) fn label_hash(namespace: &Name, (key, value): (&Name, &Name)) -> u64 {
    StableHasher::hash_one(&(namespace, key, value))
}
