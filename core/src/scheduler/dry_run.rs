//! What the filters would say of a node with other pods on it: pods are taken away or added in thought.
//!
//! Nothing is recomputed from scratch: the node's sums are changed on a copy, and what the plugins counted beyond the
//! node (PreFilter's AddPod and RemovePod) is changed in place and changed back. A property test holds this equal to
//! really removing the pods.
//!
//! Source: `RunFilterPluginsWithNominatedPods`, pkg/scheduler/framework/runtime/framework.go, `SelectVictimsOnNode`,
//! `filterPodsWithPDBViolation`, pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go (v1.34.1).

use std::cmp::Reverse;

use crate::id::RowId;
use crate::model::PodDisruptionBudget;
use crate::scheduler::cache::{Cache, NodeInfo, Placed};
use crate::scheduler::classes::{ClassId, Classes};
use crate::scheduler::gpu::DeviceSet;
use crate::scheduler::nominations::Nominations;
use crate::scheduler::plugins::{Refusal, texts};
use crate::scheduler::profile::Profile;
use crate::scheduler::relations::{Relations, Scene};
use crate::scheduler::surroundings::Surroundings;

/// A node's time to show for how important a pod is: seconds, or the end of time for one that has not started; pods
/// that have not started are told apart by their rows.
pub(super) type Started = (u64, u32);

/// A pod that would make room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Victim {
    pub(super) row: RowId,
    pub(super) class: ClassId,
    pub(super) priority: i32,
    pub(super) started: Started,
    /// Its GPUs.
    pub(super) devices: Option<DeviceSet>,
}

impl Victim {
    /// Source: `GetPodStartTime`, pkg/scheduler/util/utils.go (v1.34.1).
    fn of(pod: &Placed, cache: &Cache, classes: &Classes) -> Victim {
        let priority = classes.priority(pod.class);
        let started = match pod.start.second() {
            Some(second) => (second.into(), 0),
            None => (u64::MAX, pod.row.index),
        };
        Victim { row: pod.row, class: pod.class, priority, started, devices: cache.devices_of(pod.row) }
    }

    /// Orders from most to least important.
    ///
    /// Source: `MoreImportantPod`, pkg/scheduler/util/utils.go (v1.34.1).
    fn importance(&self) -> (Reverse<i32>, Started) {
        (Reverse(self.priority), self.started)
    }
}

/// A node where a pod would fit without these pods.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    pub(super) slot: u32,
    /// From most to least important, at least one.
    pub(super) victims: Vec<Victim>,
    /// How many of them a disruption budget would keep.
    pub(super) violations: u32,
}

/// The filters for one pod, in a cluster that can be changed in thought.
pub(super) struct DryRun<'a> {
    pub(super) profile: &'a Profile,
    pub(super) cache: &'a mut Cache,
    pub(super) classes: &'a Classes,
    pub(super) around: &'a Surroundings,
    pub(super) nominations: &'a Nominations,
    pub(super) row: RowId,
    pub(super) class: ClassId,
    pub(super) relations: Option<Relations>,
}

impl DryRun<'_> {
    fn priority(&self) -> i32 {
        self.classes.traits(self.class).spec.priority
    }

    /// A victim comes back to its node (1) or goes (-1), in thought.
    fn shift(&mut self, node: &mut NodeInfo, slot: u32, victim: &Victim, sign: i64) {
        node.count(self.classes.traits(victim.class), victim.devices, sign);
        self.shift_relations(slot, victim.class, sign);
    }

    fn shift_relations(&mut self, slot: u32, other: ClassId, sign: i64) {
        if let Some(relations) = &mut self.relations {
            let (pod, other) = (self.classes.traits(self.class), self.classes.traits(other));
            let scene = Scene { profile: self.profile, cache: self.cache, around: self.around, pod };
            relations.shift(scene, slot, other, sign);
        }
    }

    fn refusal(&self, node: &NodeInfo, slot: u32) -> Refusal {
        let own = self.profile.filter(self.classes.traits(self.class), node);
        match &self.relations {
            Some(relations) => {
                self.profile.first(own, |plugin| relations.refusal(&self.around.storage, node, plugin, slot))
            }
            None => own,
        }
    }

    fn texts(&self, node: &NodeInfo, refusal: Refusal) -> Vec<String> {
        texts(self.profile, self.classes.traits(self.class), node, refusal)
    }

    /// What the filters say of the node beside the pods that are nominated to it; `None` if there are none that count.
    pub(super) fn beside_nominated(&mut self, node: &NodeInfo, slot: u32) -> Option<(Refusal, Vec<String>)> {
        let nominated = self.nominations.counted(&node.name, self.row, self.priority());
        if nominated.is_empty() {
            return None;
        }
        let mut full = node.clone();
        for other in &nominated {
            let traits = self.classes.traits(*other);
            full.count(traits, full.devices_for(traits), 1);
            self.shift_relations(slot, *other, 1);
        }
        let refusal = self.refusal(&full, slot);
        for other in &nominated {
            self.shift_relations(slot, *other, -1);
        }
        Some((refusal, self.texts(&full, refusal)))
    }

    /// Whether the node takes the pod, with and without the pods that are nominated to it. Errors: why not.
    fn check(&mut self, node: &NodeInfo, slot: u32) -> Result<(), Refused> {
        if let Some((refusal, texts)) = self.beside_nominated(node, slot)
            && !refusal.is_none()
        {
            return Err(Refused::Beside(texts));
        }
        match self.refusal(node, slot) {
            Refusal::NONE => Ok(()),
            refusal => Err(Refused::Plain(refusal)),
        }
    }

    /// The fewest pods of lower priority that must go so that the node takes the pod. Errors: why nothing helps.
    pub(super) fn on_node(&mut self, slot: u32) -> Result<Candidate, Vec<String>> {
        let priority = self.priority();
        let all = self.cache.pods_on(slot).map(|pod| Victim::of(pod, self.cache, self.classes));
        let mut potential: Vec<Victim> = all.filter(|pod| pod.priority < priority).collect();
        if potential.is_empty() {
            return Err(vec!["No preemption victims found for incoming pod".to_owned()]);
        }
        let mut node = self.cache.slot(slot).clone();
        for victim in &potential {
            self.shift(&mut node, slot, victim, -1);
        }
        if let Err(refused) = self.check(&node, slot) {
            for victim in &potential {
                self.shift_relations(slot, victim.class, 1);
            }
            return Err(match refused {
                Refused::Beside(texts) => texts,
                Refused::Plain(refusal) => self.texts(&node, refusal),
            });
        }
        potential.sort_by_key(Victim::importance);
        let [violating, others] = self.by_budgets(potential);
        let mixed = !violating.is_empty() && !others.is_empty();
        let mut victims = Vec::new();
        let mut violations = 0;
        for (victim, violates) in violating.into_iter().map(|it| (it, 1)).chain(others.into_iter().map(|it| (it, 0))) {
            self.shift(&mut node, slot, &victim, 1);
            if self.check(&node, slot).is_err() {
                self.shift(&mut node, slot, &victim, -1);
                victims.push(victim);
                violations += violates;
            }
        }
        for victim in &victims {
            self.shift_relations(slot, victim.class, 1);
        }
        if mixed {
            victims.sort_by_key(Victim::importance);
        }
        if victims.is_empty() {
            return Err(vec![format!("expected at least one victim pod on node \"{}\"", node.name)]);
        }
        Ok(Candidate { slot, victims, violations })
    }

    /// The pods whose budgets would be broken, and the others, both in the given order.
    fn by_budgets(&self, pods: Vec<Victim>) -> [Vec<Victim>; 2] {
        let mut budgets: Vec<(&PodDisruptionBudget, i64)> =
            self.around.budgets().map(|budget| (budget, budget.status.disruptions_allowed.into())).collect();
        if budgets.is_empty() {
            return [Vec::new(), pods];
        }
        let (mut violating, mut others) = (Vec::new(), Vec::new());
        for pod in pods {
            let identity = &self.classes.traits(pod.class).identity;
            let mut violates = false;
            for (budget, allowed) in &mut budgets {
                let selects = budget.meta.namespace == identity.namespace
                    && !identity.labels.is_empty()
                    && budget.selector.as_ref().is_some_and(|it| !it.is_empty() && it.matches(&identity.labels));
                // What has been evicted already was counted then.
                if selects && !budget.status.disrupted_pods.contains_key(self.cache.name_of(pod.row)) {
                    *allowed -= 1;
                    violates |= *allowed < 0;
                }
            }
            if violates { &mut violating } else { &mut others }.push(pod);
        }
        [violating, others]
    }
}

/// Why a node does not take the pod.
enum Refused {
    /// Beside the pods that are nominated to it: the texts.
    Beside(Vec<String>),
    /// As it is.
    Plain(Refusal),
}
