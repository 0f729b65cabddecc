//! Nodes come, change and go, with the images that they have and the domains of their labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Cache, NodeInfo, Sums};
use crate::id::Name;
use crate::model::{Node, NodeImage};
use crate::scheduler::float::scaled_image_size;
use crate::scheduler::gpu::{GPU_MILLI, GPU_MODEL};
use crate::scheduler::topology::Domains;

/// What is known of an image.
pub(super) struct Image {
    /// As the first node said that has it.
    size_bytes: i64,
    nodes: u32,
}

impl Cache {
    /// A node has appeared or changed.
    pub(in crate::scheduler) fn set_node(&mut self, node: &Arc<Node>) {
        let slot = self.slot_named(&node.meta.name);
        let info = &mut self.slots[slot as usize];
        let zone_before = info.node.as_ref().map(|old| old.zone_key());
        if info.node.as_ref().is_none_or(|old| old.meta.labels != node.meta.labels) {
            self.domains.clear();
            self.node_changes.labels += 1;
        }
        if info.node.as_ref().is_none_or(|old| old.spec != node.spec) {
            self.node_changes.taints += 1;
        }
        let images_before = info.node.as_ref().and_then(|old| old.status.images.clone());
        let allocatable = &node.status.allocatable;
        info.cpu_all = allocatable.cpu_milli;
        info.memory_all = allocatable.memory_bytes;
        info.ephemeral_all = allocatable.ephemeral_bytes;
        info.pods_all = allocatable.pods;
        info.gpus.resize(allocatable.extended.get(GPU_MILLI).copied().unwrap_or(0));
        info.gpu_model = node.meta.labels.get(GPU_MODEL).cloned();
        info.is_open = node.spec.taints.is_empty() && !node.spec.unschedulable;
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
    pub(in crate::scheduler) fn remove_node(&mut self, name: &Name) {
        let Some(slot) = self.by_name.get(name).copied() else { return };
        let Some(node) = self.slots[slot as usize].node.take() else { return };
        self.slots[slot as usize].is_open = false;
        self.domains.clear();
        self.node_changes.labels += 1;
        self.node_changes.taints += 1;
        self.sums[slot as usize] = Sums::of(&self.slots[slot as usize]);
        self.tree.remove(&node.zone_key(), slot);
        self.order_is_stale = true;
        if node.status.images.is_some() {
            self.set_images(slot, None);
        }
        self.give_up_if_empty(slot);
    }

    /// The domains of a label.
    pub(in crate::scheduler) fn domains(&mut self, key: &Name) -> Arc<Domains> {
        let known = self.domains.get(key).filter(|domains| domains.slot_count() == self.slots.len());
        if let Some(domains) = known {
            return domains.clone();
        }
        let value = |info: &NodeInfo| -> Option<Name> { info.node.as_ref()?.meta.labels.get(key).cloned() };
        // The order of the nodes follows from their labels, as the domains do.
        self.refresh();
        let domains = Arc::new(Domains::of(self.slots.iter().map(value), &self.order));
        self.domains.insert(key.clone(), domains.clone());
        domains
    }

    /// Whether some node has images.
    pub(in crate::scheduler) fn has_images(&self) -> bool {
        !self.images.is_empty()
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

    /// How much an image counts depends on the number of nodes and on how many of them have it.
    pub(super) fn scale_images(&mut self) {
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
}
