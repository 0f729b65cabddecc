//! Which loss or which scale step each pod of a ReplicaSet answers.
//!
//! A ReplicaSet compares two numbers; that it makes a pod *for* another is a way of speaking. The numbers are kept here
//! as accounts: a loss or a step up adds what is missing, a step down what is too many, and whatever the set creates or
//! deletes settles the oldest entry. What a set had to make in the beginning is known by its creation alone, so its
//! pods are due to that until the first entry.

use std::collections::{BTreeMap, VecDeque};

use super::causes::{Facts, scaled};

/// The open entries of one set.
#[derive(Default)]
struct Account {
    /// Facts that left the set with a pod too few, each as often as it did.
    missing: VecDeque<usize>,
    /// Facts that left it with a pod too many.
    surplus: VecDeque<usize>,
    created: Option<usize>,
}

impl Account {
    fn add(&mut self, pods: u64, cause: usize) {
        for _ in 0..pods {
            if self.surplus.pop_front().is_none() {
                self.missing.push_back(cause);
            }
        }
    }

    fn take_away(&mut self, pods: u64, cause: usize) {
        for _ in 0..pods {
            if self.missing.pop_front().is_none() {
                self.surplus.push_back(cause);
            }
        }
    }
}

/// The cause of every pod that a ReplicaSet or ReplicationController has created or deleted, as far as it is certain.
pub(super) fn paired(facts: &Facts<'_>) -> BTreeMap<usize, usize> {
    let mut accounts: BTreeMap<&str, Account> = BTreeMap::new();
    let mut counted: BTreeMap<&str, bool> = BTreeMap::new();
    let mut causes = BTreeMap::new();
    for (index, fact) in facts.rows.iter().enumerate() {
        match fact.category.as_str() {
            "replicaset" | "replicationcontroller" => {
                let account = accounts.entry(&fact.subject).or_default();
                match (fact.reason.as_str(), scaled(&fact.message)) {
                    ("Created", _) => *account = Account { created: Some(index), ..Account::default() },
                    ("Scaled", Some((from, to))) if to > from => account.add(to - from, index),
                    ("Scaled", Some((from, to))) => account.take_away(from - to, index),
                    _ => {}
                }
            }
            "pod" => {
                let Some(set) = facts.owner(&fact.subject) else { continue };
                let Some(account) = accounts.get_mut(set) else { continue };
                match fact.reason.as_str() {
                    "Created" => {
                        counted.insert(&fact.subject, true);
                        causes.extend(account.missing.pop_front().or(account.created).map(|cause| (index, cause)));
                    }
                    "DeletionRequested" | "Deleted" | "Failed" | "Succeeded"
                        if counted.insert(&fact.subject, false) == Some(true) =>
                    {
                        if is_replica_controller(&fact.by) {
                            causes.extend(account.surplus.pop_front().map(|cause| (index, cause)));
                        } else {
                            account.add(1, index);
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    causes
}

fn is_replica_controller(by: &str) -> bool {
    matches!(by, "replicaset-controller" | "replicationcontroller-controller")
}
