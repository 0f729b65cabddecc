//! What the scheduler knows beside nodes and pods: namespaces' labels, disruption budgets, and the Services and owners
//! (ReplicaSets, StatefulSets and
//! ReplicationControllers) whose pods are spread by default.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::Name;
use crate::model::{Kind, Labels, PodDisruptionBudget, ReplicaSet, ReplicationController, Selector, StatefulSet};
use crate::scheduler::storage::Storage;
use crate::scheduler::terms::Pods;
use crate::scheduler::traits::Identity;
use crate::store::Stored;

/// Namespace, kind and name.
type Key = (Name, Kind, Name);

/// Namespaces, Services and owners.
#[derive(Default)]
pub(super) struct Surroundings {
    namespaces: BTreeMap<Name, Labels>,
    /// Services with a selector, by namespace.
    services: BTreeMap<Name, BTreeMap<Name, Labels>>,
    owners: BTreeMap<Key, Selector>,
    budgets: BTreeMap<(Name, Name), Arc<PodDisruptionBudget>>,
    /// Counts the changes after which [`Surroundings::siblings`] may say something else of a pod whose owner is known.
    selector_changes: u64,
    /// Claims, volumes and what belongs to them.
    pub(super) storage: Storage,
}

impl Surroundings {
    /// A namespace has these labels, or is gone.
    pub(super) fn set_namespace(&mut self, name: &Name, labels: Option<&Labels>) {
        match labels {
            Some(labels) => self.namespaces.insert(name.clone(), labels.clone()),
            None => self.namespaces.remove(name),
        };
    }

    /// A Service selects these pods, or none, or is gone.
    pub(super) fn set_service(&mut self, namespace: &Name, name: &Name, selector: Option<&Labels>) {
        let services = self.services.entry(namespace.clone()).or_default();
        let before = match selector {
            Some(selector) => services.insert(name.clone(), selector.clone()),
            None => services.remove(name),
        };
        self.selector_changes += u64::from(before.as_ref() != selector);
    }

    /// An owner selects these pods, or is gone.
    pub(super) fn set_owner(&mut self, kind: Kind, namespace: &Name, name: &Name, selector: Option<&Selector>) {
        let key = (namespace.clone(), kind, name.clone());
        let known = self.owners.get(&key);
        if known == selector {
            return;
        }
        self.selector_changes += u64::from(known.is_some());
        match selector {
            Some(selector) => self.owners.insert(key, selector.clone()),
            None => self.owners.remove(&key),
        };
    }

    /// A disruption budget is so, or is gone.
    pub(super) fn set_budget(&mut self, namespace: &Name, name: &Name, budget: Option<&Arc<PodDisruptionBudget>>) {
        let key = (namespace.clone(), name.clone());
        match budget {
            Some(budget) => self.budgets.insert(key, budget.clone()),
            None => self.budgets.remove(&key),
        };
    }

    /// All disruption budgets, by namespace and name.
    pub(super) fn budgets(&self) -> impl Iterator<Item = &PodDisruptionBudget> {
        self.budgets.values().map(|budget| &**budget)
    }

    /// A namespace's labels; `None` if there is no such namespace.
    pub(super) fn namespace(&self, name: &Name) -> Option<&Labels> {
        self.namespaces.get(name)
    }

    /// A number that is another after each change of what [`Surroundings::siblings`] says of a pod whose owner, if it
    /// has one, is known.
    pub(super) fn selector_changes(&self) -> u64 {
        self.selector_changes
    }

    /// Whether the pod's owner, if it has one, is known.
    pub(super) fn knows_owner(&self, identity: &Identity) -> bool {
        identity.owner.is_none() || self.owners_selector(identity).is_some()
    }

    fn owners_selector(&self, identity: &Identity) -> Option<&Selector> {
        let (kind, name) = identity.owner.as_ref()?;
        self.owners.get(&(identity.namespace.clone(), *kind, name.clone()))
    }

    /// The pods among which one is spread by default: those that its Services and its owner select. `None` if it
    /// has neither.
    ///
    /// Source: `DefaultSelector`, pkg/scheduler/framework/plugins/helper/spread.go (v1.34.1).
    pub(super) fn siblings(&self, identity: &Identity) -> Option<Pods> {
        let selected = |selector: &&Labels| selector.iter().all(|(key, value)| identity.labels.get(key) == Some(value));
        let services = self.services.get(&identity.namespace).into_iter().flat_map(BTreeMap::values).filter(selected);
        let mut parts: Vec<Selector> = services.map(|selector| Selector::from_labels(selector.clone())).collect();
        if let Some((kind, _)) = &identity.owner
            && let Some(own) = self.owners_selector(identity)
        {
            parts.push(own.clone());
            // The pairs of a ReplicationController replace those of Services; the others' selectors come in addition.
            if *kind == Kind::ReplicationController {
                let pairs = parts.iter().flat_map(|part| part.match_labels.iter());
                let merged = pairs.fold(Labels::default(), |merged, (key, value)| merged.with(&**key, value.clone()));
                parts = vec![Selector::from_labels(merged)];
            }
        }
        let pods = Pods(Some(parts));
        (!pods.asks_nothing()).then_some(pods)
    }
}

/// An owner among whose pods one is spread by default.
pub(super) trait Owner: Stored {
    /// Which pods are its own.
    fn selector(&self) -> &Selector;
}

impl Owner for ReplicaSet {
    fn selector(&self) -> &Selector {
        &self.selector
    }
}

impl Owner for ReplicationController {
    fn selector(&self) -> &Selector {
        &self.selector
    }
}

impl Owner for StatefulSet {
    fn selector(&self) -> &Selector {
        &self.selector
    }
}
