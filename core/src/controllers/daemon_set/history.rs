//! The revisions of a DaemonSet during one sync: which one is its template's, and what has to be written about it.
//!
//! Source: `constructHistory`, `dedupCurHistories`, `cleanupHistory`, pkg/controller/daemon/update.go (v1.34.1).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::{Patch, Propagation, Request};
use crate::controllers::NamespacedName;
use crate::controllers::daemon_set::manage::PodsByNode;
use crate::controllers::revisions::{self, REVISION_LABEL, template_hash};
use crate::id::Name;
use crate::model::{ControllerRevision, DaemonSet, Kind, Meta, Object, Pod};

/// The annotation that counts the changes of a DaemonSet's template.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// The revisions of a DaemonSet.
pub(in crate::controllers) struct History {
    /// The template's own; `None` until it is there.
    pub(super) current: Option<ControllerRevision>,
    /// Others with the same template.
    duplicates: Vec<ControllerRevision>,
    /// The rest.
    old: Vec<ControllerRevision>,
    /// Those that had no label with their hash, with one.
    unlabelled: Vec<ControllerRevision>,
}

impl History {
    /// Sorts out revisions.
    pub(super) fn of(set: &DaemonSet, revisions: Vec<Arc<ControllerRevision>>) -> History {
        let mut history = History { current: None, duplicates: Vec::new(), old: Vec::new(), unlabelled: Vec::new() };
        for revision in revisions {
            let mut revision = Arc::unwrap_or_clone(revision);
            if revision.meta.labels.get(REVISION_LABEL).is_none() {
                revision.meta.labels = revision.meta.labels.with(REVISION_LABEL, revision.meta.name.clone());
                history.unlabelled.push(revision.clone());
            }
            if revision.template != set.template {
                history.old.push(revision);
            } else if history.current.as_ref().is_some_and(|current| current.revision > revision.revision) {
                history.duplicates.push(revision);
            } else {
                history.duplicates.extend(history.current.replace(revision));
            }
        }
        history
    }

    /// The number of the template's revision: above every other's.
    pub(super) fn number(&self) -> u64 {
        self.old.iter().map(|revision| revision.revision).max().unwrap_or(0) + 1
    }

    /// The label by which pods of the template are known.
    pub(super) fn hash(&self) -> Name {
        let current = self.current.as_ref().expect("the template's revision is settled");
        current.meta.labels.get(REVISION_LABEL).cloned().unwrap_or_default()
    }

    /// The creation of the template's revision.
    pub(super) fn creation(&self, set: &DaemonSet) -> Request {
        let hash = template_hash(&set.template, set.status.collision_count);
        let kind = Kind::DaemonSet;
        let mut revision =
            revisions::revision_of(kind, &set.meta, &set.template, (REVISION_LABEL, hash), self.number());
        // The API shows this annotation on the DaemonSet, from which the controller takes it over.
        let generation = set.template_generation.to_string();
        revision.meta.annotations = revision.meta.annotations.with(TEMPLATE_GENERATION, generation);
        Request::Create(Object::ControllerRevision(Arc::new(revision)))
    }

    /// The writes that bring the revisions in order, each a batch of its own, once the template's is there: labels,
    /// pods of duplicates, duplicates, the number.
    pub(super) fn writes<'a>(&mut self, pods: impl Iterator<Item = &'a Arc<Pod>>) -> Vec<Vec<Request>> {
        let (number, hash) = (self.number(), self.hash());
        let update = |revision: &ControllerRevision| {
            let object = Object::ControllerRevision(Arc::new(revision.clone()));
            vec![Request::Update { object, expected: None }]
        };
        let mut writes: Vec<_> = self.unlabelled.iter().map(update).collect();
        if !self.duplicates.is_empty() {
            let others = pods.filter(|pod| pod.meta.labels.get(REVISION_LABEL) != Some(&hash));
            writes.extend(others.map(|pod| {
                let patch = Patch::Label { key: REVISION_LABEL.into(), value: Some(hash.clone()) };
                vec![Request::Patch { key: NamespacedName::of_meta(&pod.meta).of(Kind::Pod), patch }]
            }));
            writes.extend(self.duplicates.iter().map(|revision| vec![deletion_of(&revision.meta)]));
        }
        let current = self.current.as_mut().expect("the template's revision is settled");
        if current.revision < number {
            current.revision = number;
            writes.push(update(current));
        }
        writes
    }

    /// The deletions of revisions without pods beyond the limit, the oldest first.
    pub(super) fn surplus(&self, set: &DaemonSet, pods: &PodsByNode) -> Vec<Request> {
        let surplus = self.old.len().saturating_sub(set.revision_history_limit as usize);
        if surplus == 0 {
            return Vec::new();
        }
        let live: BTreeSet<&Name> =
            pods.values().flatten().filter_map(|pod| pod.meta.labels.get(REVISION_LABEL)).collect();
        let mut old: Vec<&ControllerRevision> = self.old.iter().collect();
        old.sort_by_key(|revision| revision.revision);
        let unused =
            old.into_iter().filter(|it| !it.meta.labels.get(REVISION_LABEL).is_some_and(|hash| live.contains(hash)));
        unused.take(surplus).map(|revision| deletion_of(&revision.meta)).collect()
    }
}

fn deletion_of(meta: &Meta) -> Request {
    let key = NamespacedName::of_meta(meta).of(Kind::ControllerRevision);
    Request::Delete { key, uid: None, grace: None, propagation: Propagation::Background }
}
