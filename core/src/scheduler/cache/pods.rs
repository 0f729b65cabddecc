//! Pods that count on nodes: by assumption while a bind request is under way, then as the watch shows them.

use super::Cache;
use crate::id::{Name, RowId};
use crate::model::{Condition, ConditionKind, Pod, Status3};
use crate::scheduler::classes::{ClassId, Classes};
use crate::scheduler::gpu::DeviceSet;
use crate::scheduler::traits::PodTraits;
use crate::time::Time;

/// The reason of the condition DisruptionTarget of pods that make room for others.
///
/// Source: `PodReasonPreemptionByScheduler`, staging/src/k8s.io/api/core/v1/types.go (v1.34.1).
pub(in crate::scheduler) const PREEMPTED: &str = "PreemptionByScheduler";

/// What preemption asks of a pod on a node, beside what its class says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::scheduler) struct Standing {
    pub(in crate::scheduler) name: Name,
    /// When its kubelet took it on; `None` counts as just now.
    pub(in crate::scheduler) started_at: Option<Time>,
    /// Whether it is ending because another pod was given its place.
    pub(in crate::scheduler) makes_room: bool,
}

impl Standing {
    /// Reads a pod.
    ///
    /// Source: `podTerminatingByPreemption`, pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go
    /// (v1.34.1).
    pub(in crate::scheduler) fn of(pod: &Pod) -> Standing {
        let by_preemption = |it: Condition| it.status == Status3::True && *it.reason == *PREEMPTED;
        let target = pod.status.conditions.get(ConditionKind::DisruptionTarget);
        Standing {
            name: pod.meta.name.clone(),
            started_at: pod.status.started_at,
            makes_room: pod.meta.is_terminating() && target.is_some_and(by_preemption),
        }
    }
}

/// A pod that counts on a node.
pub(in crate::scheduler) struct Placed {
    pub(in crate::scheduler) row: RowId,
    slot: u32,
    pub(in crate::scheduler) class: ClassId,
    /// Where the class lists it.
    place: u32,
    /// Where the node lists it.
    seat: u32,
    pub(in crate::scheduler) priority: i32,
    assumed: bool,
    /// Its GPUs.
    pub(in crate::scheduler) devices: Option<DeviceSet>,
    pub(in crate::scheduler) standing: Standing,
}

impl Cache {
    /// Whether a pod counts somewhere by assumption only.
    pub(in crate::scheduler) fn is_assumed(&self, row: RowId) -> bool {
        self.placed(row).is_some_and(|pod| pod.assumed)
    }

    /// Whether a pod counts somewhere.
    pub(in crate::scheduler) fn has_pod(&self, row: RowId) -> bool {
        self.placed(row).is_some()
    }

    /// Counts a pod on a node, and on devices of it, by assumption. Panics if it counts somewhere already.
    pub(in crate::scheduler) fn assume(
        &mut self,
        classes: &mut Classes,
        row: RowId,
        slot: u32,
        class: ClassId,
        devices: Option<DeviceSet>,
        standing: Standing,
    ) {
        assert!(!self.has_pod(row), "{row:?} is assumed twice");
        let priority = classes.traits(class).spec.priority;
        self.place(classes, Placed { row, slot, class, place: 0, seat: 0, priority, assumed: true, devices, standing });
    }

    /// Takes back an assumption; `false` if the watch has confirmed or removed the pod meanwhile.
    pub(in crate::scheduler) fn forget(&mut self, classes: &mut Classes, row: RowId) -> bool {
        let assumed = self.is_assumed(row);
        if assumed {
            self.remove_pod(classes, row);
        }
        assumed
    }

    /// The watch shows a pod on a node: new, confirmed, or bound by somebody else.
    pub(in crate::scheduler) fn set_pod(
        &mut self,
        classes: &mut Classes,
        row: RowId,
        node: &Name,
        class: ClassId,
        standing: Standing,
    ) {
        // Nearly always the watch confirms what was assumed, so the name is compared before it is looked up.
        if let Some(pod) = self.pods.get_mut(row.index as usize).and_then(Option::as_mut).filter(|pod| pod.row == row)
            && self.slots[pod.slot as usize].name == *node
            && pod.class == class
        {
            pod.assumed = false;
            pod.standing = standing;
            // Kubernetes takes every version of a pod from its node's list and appends the new one.
            self.unseat(row.index);
            self.seat(row.index);
            return;
        }
        self.remove_pod(classes, row);
        // Only now: the slot of a node that is gone goes with its last pod.
        let slot = self.slot_named(node);
        let traits = classes.traits(class);
        let priority = traits.spec.priority;
        // Which devices somebody else gave the pod is not known here.
        let devices = self.slots[slot as usize].devices_for(traits);
        self.place(
            classes,
            Placed { row, slot, class, place: 0, seat: 0, priority, assumed: false, devices, standing },
        );
    }

    /// A pod is gone or has finished. A pod that counts nowhere is no mistake.
    pub(in crate::scheduler) fn remove_pod(&mut self, classes: &mut Classes, row: RowId) {
        if self.placed(row).is_none() {
            return;
        }
        self.unseat(row.index);
        let pod = self.pods[row.index as usize].take().expect("the pod was just seen");
        self.slots[pod.slot as usize].count(classes.traits(pod.class), pod.devices, -1);
        self.count_claims(classes.traits(pod.class), false);
        if let Some(moved) = classes.uncount(pod.class, pod.place) {
            let moved = self.pods[moved as usize].as_mut().expect("a class lists placed pods only");
            moved.place = pod.place;
        }
        let of_priority = self.priorities.get_mut(&pod.priority).expect("a placed pod's priority is counted");
        *of_priority -= 1;
        if *of_priority == 0 {
            self.priorities.remove(&pod.priority);
        }
        classes.release(pod.class);
        self.touch(pod.slot);
        self.give_up_if_empty(pod.slot);
    }

    /// The lowest priority of all pods that count on nodes.
    pub(in crate::scheduler) fn lowest_priority(&self) -> Option<i32> {
        self.priorities.first_key_value().map(|(priority, _)| *priority)
    }

    /// Whether a pod on some node uses a claim.
    pub(in crate::scheduler) fn is_claim_used(&self, namespace: &Name, name: &Name) -> bool {
        !self.claims_used.is_empty() && self.claims_used.contains_key(&(namespace.clone(), name.clone()))
    }

    fn count_claims(&mut self, traits: &PodTraits, placed: bool) {
        let Some(volumes) = &traits.volumes else { return };
        for name in volumes.direct_claims() {
            let key = (volumes.namespace.clone(), name.clone());
            let users = self.claims_used.entry(key.clone()).or_insert(0);
            *users = if placed { *users + 1 } else { *users - 1 };
            if *users == 0 {
                self.claims_used.remove(&key);
            }
        }
    }

    fn placed(&self, row: RowId) -> Option<&Placed> {
        self.pods.get(row.index as usize)?.as_ref().filter(|pod| pod.row == row)
    }

    fn place(&mut self, classes: &mut Classes, mut pod: Placed) {
        let index = pod.row.index as usize;
        if self.pods.len() <= index {
            self.pods.resize_with(index + 1, || None);
        }
        classes.hold(pod.class);
        self.slots[pod.slot as usize].count(classes.traits(pod.class), pod.devices, 1);
        self.count_claims(classes.traits(pod.class), true);
        pod.place = classes.count(pod.class, pod.slot, pod.row.index);
        *self.priorities.entry(pod.priority).or_insert(0) += 1;
        self.touch(pod.slot);
        let row_index = pod.row.index;
        let before = self.pods[index].replace(pod);
        assert!(before.is_none(), "two pods in row {index}");
        self.seat(row_index);
    }

    /// The pods that count on a slot, in the order in which kube-scheduler has them.
    pub(in crate::scheduler) fn pods_on(&self, slot: u32) -> impl Iterator<Item = &Placed> {
        let seats = &self.seats[slot as usize];
        seats.iter().map(|index| self.pods[*index as usize].as_ref().expect("a node lists placed pods only"))
    }

    /// A placed pod's name.
    pub(in crate::scheduler) fn name_of(&self, row: RowId) -> &Name {
        &self.placed(row).expect("only placed pods are asked for").standing.name
    }

    /// Appends a placed pod to its node's list.
    fn seat(&mut self, index: u32) {
        let pod = self.pods[index as usize].as_mut().expect("only placed pods have a seat");
        let seats = &mut self.seats[pod.slot as usize];
        pod.seat = seats.len() as u32;
        seats.push(index);
    }

    /// Takes a placed pod from its node's list; the last one gets its place, as in kube-scheduler.
    fn unseat(&mut self, index: u32) {
        let pod = self.pods[index as usize].as_ref().expect("only placed pods have a seat");
        let (seat, seats) = (pod.seat, &mut self.seats[pod.slot as usize]);
        seats.swap_remove(seat as usize);
        if let Some(moved) = seats.get(seat as usize) {
            self.pods[*moved as usize].as_mut().expect("a node lists placed pods only").seat = seat;
        }
    }

    /// The slot on which a pod counts.
    pub(in crate::scheduler) fn slot_of_pod(&self, row: RowId) -> Option<u32> {
        self.placed(row).map(|pod| pod.slot)
    }
}
