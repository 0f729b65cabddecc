//! The scheduler's picture of the cluster: nodes in dense slots with what their pods take, and pods that are assumed to
//! be where a bind request has just sent them.
//!
//! Invariants: a node's sums are those of the pods counted on it; an assumed pod counts exactly once, before and after
//! its watch event; `order` lists every present node once, zones interleaved. A slot outlives its node while pods are
//! still counted on it. Every change of a slot is appended to `touched`, so that whoever caches results per node knows
//! what to look at again. Absent on purpose: expiry of assumed pods (off in Kubernetes as well).
//!
//! Source: pkg/scheduler/backend/cache/cache.go (v1.34.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{Name, RowId, same_name};
use crate::model::{Condition, ConditionKind, Node, NodeImage, Pod, ResourceName, Status3};
use crate::scheduler::classes::{ClassId, Classes};
use crate::scheduler::float::scaled_image_size;
use crate::scheduler::gpu::{DeviceSet, GPU_MILLI, GPU_MODEL, Gpus};
use crate::scheduler::node_tree::NodeTree;
use crate::scheduler::topology::Domains;
use crate::scheduler::traits::{HostPort, PodTraits, PodVolumes};
use crate::time::Time;

/// The reason of the condition DisruptionTarget of pods that make room for others.
///
/// Source: `PodReasonPreemptionByScheduler`, staging/src/k8s.io/api/core/v1/types.go (v1.34.1).
pub(super) const PREEMPTED: &str = "PreemptionByScheduler";

/// One node's slot.
#[derive(Clone, Default)]
pub(super) struct NodeInfo {
    pub(super) name: Name,
    /// `None` while only pods are known that say they are on it.
    pub(super) node: Option<Arc<Node>>,
    pub(super) cpu_all: i64,
    pub(super) memory_all: i64,
    pub(super) ephemeral_all: i64,
    pub(super) pods_all: i64,
    pub(super) cpu_used: i64,
    pub(super) memory_used: i64,
    pub(super) ephemeral_used: i64,
    /// Sums in which a container without a request counts with a default.
    pub(super) cpu_scored: i64,
    pub(super) memory_scored: i64,
    pub(super) pods: i64,
    pub(super) extended_used: BTreeMap<Name, i64>,
    /// How many pods hold a host port; more than one only if others bound them.
    pub(super) host_ports: BTreeMap<HostPort, u32>,
    /// What pods with volumes have of them.
    pub(super) volumes: Vec<Arc<PodVolumes>>,
    /// The node's images by name, with their sizes scaled by how many nodes have them.
    pub(super) images: BTreeMap<Name, i64>,
    /// Its GPUs, if they are shared out in thousandths.
    pub(super) gpus: Gpus,
    /// Their model.
    pub(super) gpu_model: Option<Name>,
}

/// What most pods are measured against on a node, copied from its slot: one cache line, so that a pass over all nodes is
/// one over a small array.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
pub(super) struct Sums {
    pub(super) cpu_all: i64,
    pub(super) memory_all: i64,
    pub(super) cpu_used: i64,
    pub(super) memory_used: i64,
    pub(super) cpu_scored: i64,
    pub(super) memory_scored: i64,
    /// How many more pods the node may have.
    pub(super) pods_left: i64,
    /// Whether the node is there, has some CPU and memory, no taint and no cordon: then nothing but these sums and the
    /// node's labels and ports tells it from others.
    pub(super) is_plain: bool,
}

impl Sums {
    fn of(info: &NodeInfo) -> Sums {
        let is_open = |node: &Arc<Node>| node.spec.taints.is_empty() && !node.spec.unschedulable;
        Sums {
            cpu_all: info.cpu_all,
            memory_all: info.memory_all,
            cpu_used: info.cpu_used,
            memory_used: info.memory_used,
            cpu_scored: info.cpu_scored,
            memory_scored: info.memory_scored,
            pods_left: info.pods_all - info.pods,
            is_plain: info.node.as_ref().is_some_and(is_open) && info.cpu_all != 0 && info.memory_all != 0,
        }
    }
}

/// What is known of an image.
struct Image {
    /// As the first node said that has it.
    size_bytes: i64,
    nodes: u32,
}

impl NodeInfo {
    /// The amount of an extended resource that pods may use.
    pub(super) fn extended_all(&self, name: &Name) -> i64 {
        let listed = self.node.as_ref().and_then(|node| node.status.allocatable.extended.get(name));
        listed.copied().unwrap_or(0)
    }

    /// Whether somebody holds a host port that cannot be held beside this one.
    pub(super) fn is_port_taken(&self, port: &HostPort) -> bool {
        self.host_ports.keys().any(|held| held.conflicts(port))
    }

    /// What all pods that count here ask for together of one resource.
    pub(super) fn used(&self, name: &ResourceName) -> i64 {
        match name {
            ResourceName::Cpu => self.cpu_used,
            ResourceName::Memory => self.memory_used,
            ResourceName::EphemeralStorage => self.ephemeral_used,
            ResourceName::Pods => self.pods,
            ResourceName::Extended(name) => self.extended_used.get(name).copied().unwrap_or(0),
        }
    }

    /// The GPUs that a pod gets here if no policy chooses: the tightest; `None` if it gets none.
    pub(super) fn devices_for(&self, traits: &PodTraits) -> Option<DeviceSet> {
        if traits.gpu.is_none() { None } else { self.gpus.tightest(traits.gpu) }
    }

    /// Counts a pod on devices of the node (1) or takes it back from them (-1).
    pub(super) fn count(&mut self, traits: &PodTraits, devices: Option<DeviceSet>, sign: i64) {
        match devices {
            Some(devices) if sign > 0 => self.gpus.take(traits.gpu, devices),
            Some(devices) => self.gpus.give_back(traits.gpu, devices),
            None => {}
        }
        let requests = &traits.requests;
        self.cpu_used += sign * requests.cpu_milli;
        self.memory_used += sign * requests.memory_bytes;
        self.ephemeral_used += sign * requests.ephemeral_bytes;
        self.cpu_scored += sign * traits.counted_cpu_milli;
        self.memory_scored += sign * traits.counted_memory_bytes;
        self.pods += sign;
        assert!(self.pods >= 0 && self.cpu_used >= 0 && self.memory_used >= 0, "{} gave back too much", self.name);
        match &traits.volumes {
            Some(volumes) if sign > 0 => self.volumes.push(volumes.clone()),
            Some(volumes) => {
                let place = self.volumes.iter().position(|other| Arc::ptr_eq(other, volumes));
                self.volumes.swap_remove(place.expect("volumes are given back that nobody had"));
            }
            None => {}
        }
        for (name, amount) in &requests.extended {
            *self.extended_used.entry(name.clone()).or_insert(0) += sign * amount;
        }
        for port in &traits.host_ports {
            let holders = self.host_ports.entry(port.clone()).or_insert(0);
            *holders = holders.checked_add_signed(sign as i32).expect("a port is given back that nobody held");
            if *holders == 0 {
                self.host_ports.remove(port);
            }
        }
    }
}

/// What preemption asks of a pod on a node, beside what its class says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Standing {
    pub(super) name: Name,
    /// When its kubelet took it on; `None` counts as just now.
    pub(super) started_at: Option<Time>,
    /// Whether it is ending because another pod was given its place.
    pub(super) makes_room: bool,
}

impl Standing {
    /// Reads a pod.
    ///
    /// Source: `podTerminatingByPreemption`, pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go
    /// (v1.34.1).
    pub(super) fn of(pod: &Pod) -> Standing {
        let by_preemption = |it: &Condition| it.status == Status3::True && *it.reason == *PREEMPTED;
        let target = pod.status.conditions.get(ConditionKind::DisruptionTarget);
        Standing {
            name: pod.meta.name.clone(),
            started_at: pod.status.started_at,
            makes_room: pod.meta.is_terminating() && target.is_some_and(by_preemption),
        }
    }
}

/// A pod that counts on a node.
pub(super) struct Placed {
    pub(super) row: RowId,
    slot: u32,
    pub(super) class: ClassId,
    /// Where the class lists it.
    place: u32,
    /// Where the node lists it.
    seat: u32,
    pub(super) priority: i32,
    assumed: bool,
    /// Its GPUs.
    pub(super) devices: Option<DeviceSet>,
    pub(super) standing: Standing,
}

/// Nodes, the pods that count on them, and the order in which nodes are looked at.
#[derive(Default)]
pub(super) struct Cache {
    slots: Vec<NodeInfo>,
    /// By slot: a copy of what is looked at most.
    sums: Vec<Sums>,
    /// By slot: the row indexes of the pods that count there, in the order in which kube-scheduler has them.
    seats: Vec<Vec<u32>>,
    free: Vec<u32>,
    by_name: BTreeMap<Name, u32>,
    /// By the pod row's index.
    pods: Vec<Option<Placed>>,
    /// How many placed pods use a claim, by namespace and name.
    claims_used: BTreeMap<(Name, Name), u32>,
    /// How many placed pods there are of each priority.
    priorities: BTreeMap<i32, u32>,
    tree: NodeTree,
    order: Vec<u32>,
    /// By slot; `u32::MAX` for a slot without a node.
    positions: Vec<u32>,
    /// The present nodes' slots by name.
    by_rank: Vec<u32>,
    /// By slot: its place in `by_rank`.
    ranks: Vec<u32>,
    images: BTreeMap<Name, Image>,
    /// By label, while no node's labels change.
    domains: BTreeMap<Name, Arc<Domains>>,
    order_is_stale: bool,
    layout: u64,
    /// How often a node has appeared, changed or gone.
    node_changes: u64,
    touched: Vec<u32>,
    /// How many entries of `touched` have been dropped.
    touched_before: u64,
}

impl Cache {
    /// How many nodes there are.
    pub(super) fn node_count(&self) -> u32 {
        self.tree.len()
    }

    /// How many of these names belong to present nodes.
    pub(super) fn present(&self, names: &[Name]) -> u32 {
        let is_there = |name: &&Name| self.by_name.get(*name).is_some_and(|slot| self.slot(*slot).node.is_some());
        names.iter().filter(is_there).count() as u32
    }

    /// The slot of a name.
    pub(super) fn slot_of(&self, name: &Name) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// The slot's contents.
    pub(super) fn slot(&self, slot: u32) -> &NodeInfo {
        &self.slots[slot as usize]
    }

    /// The slot's sums.
    pub(super) fn sums(&self, slot: u32) -> &Sums {
        &self.sums[slot as usize]
    }

    /// Counts how often a node has appeared, changed or gone.
    pub(super) fn node_changes(&self) -> u64 {
        self.node_changes
    }

    /// The nodes' slots in the order in which they are looked at. [`Cache::refresh`] must have been called since the
    /// last change of nodes.
    pub(super) fn order(&self) -> &[u32] {
        debug_assert!(!self.order_is_stale, "the order is read before it was refreshed");
        &self.order
    }

    /// The slot of a present node.
    pub(super) fn present_slot(&self, name: &Name) -> Option<u32> {
        self.by_name.get(name).copied().filter(|slot| self.slots[*slot as usize].node.is_some())
    }

    /// Where a slot stands in the order; `None` for a slot without a node.
    pub(super) fn position(&self, slot: u32) -> Option<u32> {
        self.positions.get(slot as usize).copied().filter(|position| *position != u32::MAX)
    }

    /// A present node's place among all present nodes by name.
    pub(super) fn rank(&self, slot: u32) -> u32 {
        self.ranks[slot as usize]
    }

    /// The slot of the node at a place by name.
    pub(super) fn slot_of_rank(&self, rank: u32) -> u32 {
        self.by_rank[rank as usize]
    }

    /// Counts how often the order has changed.
    pub(super) fn layout(&self) -> u64 {
        self.layout
    }

    /// Brings the order up to date; what kube-scheduler does when it takes its snapshot.
    pub(super) fn refresh(&mut self) {
        if !self.order_is_stale {
            return;
        }
        self.order_is_stale = false;
        self.layout += 1;
        self.order = self.tree.list();
        self.positions.clear();
        self.positions.resize(self.slots.len(), u32::MAX);
        for (position, slot) in self.order.iter().enumerate() {
            self.positions[*slot as usize] = position as u32;
        }
        let present = self.by_name.values().copied().filter(|slot| self.positions[*slot as usize] != u32::MAX);
        self.by_rank = present.collect();
        self.ranks.clear();
        self.ranks.resize(self.slots.len(), u32::MAX);
        for (rank, slot) in self.by_rank.iter().enumerate() {
            self.ranks[*slot as usize] = rank as u32;
        }
        self.scale_images();
    }

    /// How much an image counts depends on the number of nodes and on how many of them have it.
    fn scale_images(&mut self) {
        if self.images.is_empty() {
            return;
        }
        let nodes = self.tree.len();
        for info in &mut self.slots {
            for (name, scaled) in &mut info.images {
                let image = &self.images[name];
                *scaled = scaled_image_size(image.size_bytes, image.nodes, nodes);
            }
        }
    }

    /// Source: `addNodeImageStates`, `removeNodeImageStates`, cache.go (v1.34.1).
    fn set_images(&mut self, slot: u32, images: Option<&[NodeImage]>) {
        let before = std::mem::take(&mut self.slots[slot as usize].images);
        let now = images.unwrap_or_default().iter().flat_map(|it| it.names.iter().map(|name| (name, it.size_bytes)));
        let mut new = BTreeMap::new();
        for (name, size_bytes) in now {
            if new.insert(name.clone(), 0).is_none() {
                self.images.entry(name.clone()).or_insert(Image { size_bytes, nodes: 0 }).nodes += 1;
            }
        }
        for name in before.keys() {
            let image = self.images.get_mut(name).expect("a node's image is known");
            image.nodes -= 1;
            if image.nodes == 0 {
                self.images.remove(name);
            }
        }
        self.slots[slot as usize].images = new;
        self.order_is_stale = true;
    }

    /// Whether some node has images.
    pub(super) fn has_images(&self) -> bool {
        !self.images.is_empty()
    }

    /// How many slots there are, with or without a node.
    pub(super) fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// The domains of a label.
    pub(super) fn domains(&mut self, key: &Name) -> Arc<Domains> {
        let known = self.domains.get(key).filter(|domains| domains.slot_count() == self.slots.len());
        if let Some(domains) = known {
            return domains.clone();
        }
        let value = |info: &'_ NodeInfo| -> Option<Name> { info.node.as_ref()?.meta.labels.get(key).cloned() };
        let domains = Arc::new(Domains::of(self.slots.iter().map(value)));
        self.domains.insert(key.clone(), domains.clone());
        domains
    }

    /// The slot on which a pod counts.
    pub(super) fn slot_of_pod(&self, row: RowId) -> Option<u32> {
        self.placed(row).map(|pod| pod.slot)
    }

    /// The number of slot changes so far.
    pub(super) fn changes(&self) -> u64 {
        self.touched_before + self.touched.len() as u64
    }

    /// The slots changed since a count of changes, or `None` if that is too long ago to tell.
    pub(super) fn touched_since(&self, changes: u64) -> Option<&[u32]> {
        let start = changes.checked_sub(self.touched_before)?;
        Some(&self.touched[start as usize..])
    }

    /// A node has appeared or changed.
    pub(super) fn set_node(&mut self, node: &Arc<Node>) {
        self.node_changes += 1;
        let slot = self.slot_named(&node.meta.name);
        let info = &mut self.slots[slot as usize];
        let zone_before = info.node.as_ref().map(|old| old.zone_key());
        if info.node.as_ref().is_none_or(|old| old.meta.labels != node.meta.labels) {
            self.domains.clear();
        }
        let images_before = info.node.as_ref().and_then(|old| old.status.images.clone());
        let allocatable = &node.status.allocatable;
        info.cpu_all = allocatable.cpu_milli;
        info.memory_all = allocatable.memory_bytes;
        info.ephemeral_all = allocatable.ephemeral_bytes;
        info.pods_all = allocatable.pods;
        info.gpus.resize(allocatable.extended.get(GPU_MILLI).copied().unwrap_or(0));
        info.gpu_model = node.meta.labels.get(GPU_MODEL).cloned();
        info.node = Some(node.clone());
        let zone = node.zone_key();
        if zone_before.as_ref() != Some(&zone) {
            if let Some(before) = zone_before {
                self.tree.remove(&before, slot);
            }
            self.tree.add(zone, slot);
            self.order_is_stale = true;
        }
        if images_before != node.status.images {
            self.set_images(slot, node.status.images.as_deref());
        }
        self.touch(slot);
    }

    /// A node is gone. Pods that say they are on it keep its slot.
    pub(super) fn remove_node(&mut self, name: &Name) {
        let Some(slot) = self.by_name.get(name).copied() else { return };
        let Some(node) = self.slots[slot as usize].node.take() else { return };
        self.domains.clear();
        self.node_changes += 1;
        self.sums[slot as usize] = Sums::of(&self.slots[slot as usize]);
        self.tree.remove(&node.zone_key(), slot);
        self.order_is_stale = true;
        if node.status.images.is_some() {
            self.set_images(slot, None);
        }
        self.give_up_if_empty(slot);
    }

    /// Whether a pod counts somewhere by assumption only.
    pub(super) fn is_assumed(&self, row: RowId) -> bool {
        self.placed(row).is_some_and(|pod| pod.assumed)
    }

    /// Whether a pod counts somewhere.
    pub(super) fn has_pod(&self, row: RowId) -> bool {
        self.placed(row).is_some()
    }

    /// Counts a pod on a node, and on devices of it, by assumption. Panics if it counts somewhere already.
    pub(super) fn assume(
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
    pub(super) fn forget(&mut self, classes: &mut Classes, row: RowId) -> bool {
        let assumed = self.is_assumed(row);
        if assumed {
            self.remove_pod(classes, row);
        }
        assumed
    }

    /// The watch shows a pod on a node: new, confirmed, or bound by somebody else.
    pub(super) fn set_pod(
        &mut self,
        classes: &mut Classes,
        row: RowId,
        node: &Name,
        class: ClassId,
        standing: Standing,
    ) {
        // Nearly always the watch confirms what was assumed, so the name is compared before it is looked up.
        if let Some(pod) = self.pods.get_mut(row.index as usize).and_then(Option::as_mut).filter(|pod| pod.row == row)
            && same_name(&self.slots[pod.slot as usize].name, node)
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
    pub(super) fn remove_pod(&mut self, classes: &mut Classes, row: RowId) {
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
    pub(super) fn lowest_priority(&self) -> Option<i32> {
        self.priorities.first_key_value().map(|(priority, _)| *priority)
    }

    /// Whether a pod on some node uses a claim.
    pub(super) fn is_claim_used(&self, namespace: &Name, name: &Name) -> bool {
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
    pub(super) fn pods_on(&self, slot: u32) -> impl Iterator<Item = &Placed> {
        let seats = &self.seats[slot as usize];
        seats.iter().map(|index| self.pods[*index as usize].as_ref().expect("a node lists placed pods only"))
    }

    /// A placed pod's name.
    pub(super) fn name_of(&self, row: RowId) -> &Name {
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

    fn slot_named(&mut self, name: &Name) -> u32 {
        if let Some(slot) = self.by_name.get(name) {
            return *slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(NodeInfo::default());
            self.sums.push(Sums::default());
            self.seats.push(Vec::new());
            u32::try_from(self.slots.len() - 1).expect("at most 2^32 nodes")
        });
        self.slots[slot as usize] = NodeInfo { name: name.clone(), ..NodeInfo::default() };
        self.by_name.insert(name.clone(), slot);
        self.order_is_stale = true;
        slot
    }

    fn give_up_if_empty(&mut self, slot: u32) {
        let info = &self.slots[slot as usize];
        if info.node.is_none() && info.pods == 0 {
            self.by_name.remove(&info.name.clone());
            self.free.push(slot);
        }
    }

    fn touch(&mut self, slot: u32) {
        self.sums[slot as usize] = Sums::of(&self.slots[slot as usize]);
        // A reader that is further behind than this looks at everything again, which is cheaper then.
        if self.touched.len() > 4 * self.slots.len() + 64 {
            let dropped = self.touched.len() / 2;
            self.touched.drain(..dropped);
            self.touched_before += dropped as u64;
        }
        self.touched.push(slot);
    }
}
