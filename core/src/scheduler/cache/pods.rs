//! Pods that count on nodes: by assumption while a bind request is under way, then as the watch shows them.

use super::Cache;
use crate::id::{Name, RowId};
use crate::model::{Condition, ConditionKind, Pod, Status3};
use crate::scheduler::classes::{ClassId, Classes};
use crate::scheduler::gpu::DeviceSet;
use crate::scheduler::rows::make_row;
use crate::scheduler::traits::PodTraits;
use crate::time::{Span, Time};

/// The reason of the condition DisruptionTarget of pods that make room for others.
///
/// Source: `PodReasonPreemptionByScheduler`, staging/src/k8s.io/api/core/v1/types.go (v1.34.1).
pub(in crate::scheduler) const PREEMPTED: &str = "PreemptionByScheduler";

/// What is asked of a pod on a node beside what its class says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::scheduler) struct Standing<'a> {
    pub(in crate::scheduler) name: &'a Name,
    /// When its kubelet took it on.
    pub(in crate::scheduler) start: Start,
    /// Whether it is being deleted.
    pub(in crate::scheduler) is_ending: bool,
    /// Whether it is ending because another pod was given its place.
    pub(in crate::scheduler) makes_room: bool,
}

/// Of a pod of which only the spec is known.
const NO_NAME: &Name = &Name::new();

impl Default for Standing<'_> {
    fn default() -> Self {
        Standing { name: NO_NAME, start: Start::default(), is_ending: false, makes_room: false }
    }
}

impl Standing<'_> {
    /// Reads a pod.
    pub(in crate::scheduler) fn of(pod: &Pod) -> Standing<'_> {
        Standing {
            name: &pod.meta.name,
            start: Start::at(pod.status.started_at.get()),
            is_ending: pod.meta.is_terminating(),
            makes_room: makes_room(pod),
        }
    }
}

/// When a kubelet took a pod on, cut to a whole second; just now for a pod that no kubelet has taken on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::scheduler) struct Start(u32);

impl Start {
    /// Seconds beyond 136 years, which no run takes, are not told apart.
    fn at(time: Option<Time>) -> Start {
        let second = |time: Time| u32::try_from(time.0 / Span::from_secs(1).0).unwrap_or(u32::MAX).min(u32::MAX - 1);
        time.map_or_else(Start::default, |time| Start(second(time)))
    }

    /// The second; `None` for just now.
    pub(in crate::scheduler) fn second(self) -> Option<u32> {
        Some(self.0).filter(|second| *second != u32::MAX)
    }
}

impl Default for Start {
    /// Just now.
    fn default() -> Start {
        Start(u32::MAX)
    }
}

/// Whether a pod is ending because another pod was given its place.
///
/// Source: `podTerminatingByPreemption`, pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go
/// (v1.34.1).
pub(in crate::scheduler) fn makes_room(pod: &Pod) -> bool {
    let by_preemption = |it: Condition| it.status == Status3::True && *it.reason == *PREEMPTED;
    pod.meta.is_terminating() && pod.status.conditions.get(ConditionKind::DisruptionTarget).is_some_and(by_preemption)
}

/// A pod that counts on a node. There is one for every pod of the cluster, so it is small.
pub(in crate::scheduler) struct Placed {
    pub(in crate::scheduler) row: RowId,
    slot: u32,
    pub(in crate::scheduler) class: ClassId,
    /// Where the class lists it.
    place: u32,
    /// Where the node lists it.
    seat: u32,
    is_assumed: bool,
    // Its standing, in one with the above so that no room is left between.
    name: Name,
    pub(in crate::scheduler) start: Start,
    is_ending: bool,
    pub(in crate::scheduler) makes_room: bool,
}

const _: () = assert!(size_of::<Option<Placed>>() == 40, "a placed pod takes more memory than it did");

impl Placed {
    fn new(row: RowId, slot: u32, class: ClassId, standing: Standing<'_>, is_assumed: bool) -> Placed {
        let Standing { name, start, is_ending, makes_room } = standing;
        let name = name.clone();
        Placed { row, slot, class, place: 0, seat: 0, is_assumed, name, start, is_ending, makes_room }
    }
}

impl Cache {
    /// Whether a pod counts somewhere by assumption only.
    pub(in crate::scheduler) fn is_assumed(&self, row: RowId) -> bool {
        self.placed(row).is_some_and(|pod| pod.is_assumed)
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
        standing: Standing<'_>,
    ) {
        assert!(!self.has_pod(row), "{row:?} is assumed twice");
        self.place(classes, Placed::new(row, slot, class, standing, true), devices);
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
        standing: Standing<'_>,
    ) {
        // Nearly always the watch confirms what was assumed, so the name is compared before it is looked up.
        if let Some(pod) = self.pods.get_mut(row.index as usize).and_then(Option::as_mut).filter(|pod| pod.row == row)
            && self.names[pod.slot as usize] == *node
            && pod.class == class
        {
            let (place, was_ending) = (pod.place, pod.is_ending);
            let Standing { name, start, is_ending, makes_room } = standing;
            if pod.name != *name {
                pod.name = name.clone();
            }
            (pod.start, pod.is_ending, pod.makes_room, pod.is_assumed) = (start, is_ending, makes_room, false);
            if was_ending != pod.is_ending {
                let moved = classes.uncount(class, place, was_ending);
                pod.place = classes.count(class, (pod.slot, row.index), pod.is_ending);
                self.set_place(moved, place);
            }
            self.seat_last(row.index);
            return;
        }
        self.remove_pod(classes, row);
        // Only now: the slot of a node that is gone goes with its last pod.
        let slot = self.slot_named(node);
        // Which devices somebody else gave the pod is not known here.
        let devices = self.slots[slot as usize].devices_for(classes.traits(class));
        self.place(classes, Placed::new(row, slot, class, standing, false), devices);
    }

    /// A pod is gone or has finished. A pod that counts nowhere is no mistake.
    pub(in crate::scheduler) fn remove_pod(&mut self, classes: &mut Classes, row: RowId) {
        if self.placed(row).is_none() {
            return;
        }
        self.unseat(row.index);
        let pod = self.pods[row.index as usize].take().expect("the pod was just seen");
        let traits = classes.traits(pod.class);
        let devices = if traits.gpu.is_none() { None } else { self.devices.remove(&row.index) };
        self.slots[pod.slot as usize].count(traits, devices, -1);
        self.count_claims(traits, false);
        let priority = traits.spec.priority;
        let of_priority = self.priorities.get_mut(&priority).expect("a placed pod's priority is counted");
        *of_priority -= 1;
        if *of_priority == 0 {
            self.priorities.remove(&priority);
        }
        let moved = classes.uncount(pod.class, pod.place, pod.is_ending);
        self.set_place(moved, pod.place);
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

    fn place(&mut self, classes: &mut Classes, mut pod: Placed, devices: Option<DeviceSet>) {
        let index = pod.row.index;
        make_row(&mut self.pods, index);
        classes.hold(pod.class);
        let traits = classes.traits(pod.class);
        self.slots[pod.slot as usize].count(traits, devices, 1);
        self.devices.extend(devices.map(|devices| (index, devices)));
        self.count_claims(traits, true);
        *self.priorities.entry(traits.spec.priority).or_insert(0) += 1;
        pod.place = classes.count(pod.class, (pod.slot, index), pod.is_ending);
        self.touch(pod.slot);
        let before = self.pods[index as usize].replace(pod);
        assert!(before.is_none(), "two pods in row {index}");
        self.seat(index);
    }

    /// A class lists a pod at another place.
    fn set_place(&mut self, moved: Option<u32>, place: u32) {
        if let Some(moved) = moved {
            self.pods[moved as usize].as_mut().expect("a class lists placed pods only").place = place;
        }
    }

    /// The pods that count on a slot, in the order in which kube-scheduler has them.
    pub(in crate::scheduler) fn pods_on(&self, slot: u32) -> impl Iterator<Item = &Placed> {
        let seats = &self.seats[slot as usize];
        seats.iter().map(|index| self.pods[*index as usize].as_ref().expect("a node lists placed pods only"))
    }

    /// A placed pod's name.
    pub(in crate::scheduler) fn name_of(&self, row: RowId) -> &Name {
        &self.placed(row).expect("only placed pods are asked for").name
    }

    /// A placed pod's GPUs.
    pub(in crate::scheduler) fn devices_of(&self, row: RowId) -> Option<DeviceSet> {
        self.devices.get(&row.index).copied()
    }

    /// The class of a pod that counts somewhere.
    pub(in crate::scheduler) fn class_of(&self, row: RowId) -> Option<ClassId> {
        self.placed(row).map(|pod| pod.class)
    }

    /// Appends a placed pod to its node's list.
    fn seat(&mut self, index: u32) {
        let pod = self.pods[index as usize].as_mut().expect("only placed pods have a seat");
        let seats = &mut self.seats[pod.slot as usize];
        pod.seat = seats.len() as u32;
        seats.push(index);
    }

    /// Kubernetes takes every version of a pod from its node's list and appends the new one.
    fn seat_last(&mut self, index: u32) {
        let pod = self.pods[index as usize].as_ref().expect("only placed pods have a seat");
        if self.seats[pod.slot as usize].last() != Some(&index) {
            self.unseat(index);
            self.seat(index);
        }
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
