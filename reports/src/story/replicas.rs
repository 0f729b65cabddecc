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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{FactRow, Text};

    /// Facts of the ReplicaSet `set` and its pods, one per line: `SUBJECT REASON BY MESSAGE`.
    fn rows(script: &str) -> Vec<FactRow> {
        let row = |(seq, line): (usize, &str)| {
            let mut words = line.splitn(4, ' ').map(Text::from);
            let mut word = || words.next().unwrap_or_default();
            let (subject, reason, by, message) = (word(), word(), word(), word());
            let category = subject.split('/').next().unwrap_or_default().into();
            let (time_ns, targets) = (seq as u64, Vec::new());
            FactRow { time_ns, seq: seq as u64, category, subject, reason, message, by, targets }
        };
        script.lines().enumerate().map(row).collect()
    }

    fn causes(script: &str) -> Vec<(usize, usize)> {
        let rows = rows(script);
        paired(&Facts::new(&rows)).into_iter().collect()
    }

    #[test]
    fn a_pod_answers_the_oldest_loss_and_the_first_ones_the_creation() {
        let script = "replicaset/a/set Created deployment-controller created by Deployment/web\n\
                      pod/a/1 Created replicaset-controller created by ReplicaSet/set\n\
                      pod/a/2 Created replicaset-controller created by ReplicaSet/set\n\
                      pod/a/1 DeletionRequested user deletion requested\n\
                      pod/a/2 Failed kubelet failed\n\
                      pod/a/1 Deleted kubelet gone\n\
                      pod/a/3 Created replicaset-controller created by ReplicaSet/set\n\
                      pod/a/4 Created replicaset-controller created by ReplicaSet/set";
        assert_eq!(causes(script), [(1, 0), (2, 0), (6, 3), (7, 4)]);
    }

    #[test]
    fn a_step_down_takes_pods_and_a_loss_during_it_is_not_made_up_for() {
        let script = "replicaset/a/set Created deployment-controller created by Deployment/web\n\
                      pod/a/1 Created replicaset-controller created by ReplicaSet/set\n\
                      pod/a/2 Created replicaset-controller created by ReplicaSet/set\n\
                      replicaset/a/set Scaled deployment-controller scaled from 2 to 0\n\
                      pod/a/1 DeletionRequested user deletion requested\n\
                      pod/a/2 DeletionRequested replicaset-controller deletion requested\n\
                      replicaset/a/set Scaled deployment-controller scaled from 0 to 1\n\
                      pod/a/3 Created replicaset-controller created by ReplicaSet/set";
        assert_eq!(causes(script), [(1, 0), (2, 0), (5, 3), (7, 6)]);
    }
}
