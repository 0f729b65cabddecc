//! What the scheduler knows of claims, volumes, classes and CSI objects, and what it assumes of them.
//!
//! A volume that is about to be bound, or a claim whose node has been chosen, counts as it will be from the moment of
//! the decision. Invariant: an assumption lasts until the object's next version is seen or until it is taken back.
//!
//! Source: pkg/scheduler/framework/plugins/volumebinding/assume_cache.go and
//! pkg/scheduler/util/assumecache/assume_cache.go (v1.34.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::Name;
use crate::model::{
    CSIDriver, CSINode, CSIStorageCapacity, Object, PersistentVolume, PersistentVolumeClaim, StorageClass,
    VolumeAttachment,
};

/// Namespace and name.
pub(super) type Key = (Name, Name);

/// Objects as the watch has shown them, each with what is assumed of it.
struct Assumed<K, T> {
    seen: BTreeMap<K, Arc<T>>,
    assumed: BTreeMap<K, Arc<T>>,
}

impl<K, T> Default for Assumed<K, T> {
    fn default() -> Self {
        Assumed { seen: BTreeMap::new(), assumed: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, T> Assumed<K, T> {
    fn set(&mut self, key: K, version: Option<&Arc<T>>) {
        self.assumed.remove(&key);
        match version {
            Some(version) => self.seen.insert(key, version.clone()),
            None => self.seen.remove(&key),
        };
    }

    fn get(&self, key: &K) -> Option<&Arc<T>> {
        self.assumed.get(key).or_else(|| self.seen.get(key))
    }
}

/// Everything about storage that placement depends on.
#[derive(Default)]
pub(super) struct Storage {
    claims: Assumed<Key, PersistentVolumeClaim>,
    volumes: Assumed<Name, PersistentVolume>,
    classes: BTreeMap<Name, Arc<StorageClass>>,
    csi_nodes: BTreeMap<Name, Arc<CSINode>>,
    drivers: BTreeMap<Name, Arc<CSIDriver>>,
    capacities: BTreeMap<Key, Arc<CSIStorageCapacity>>,
    /// By node and name.
    attachments: BTreeMap<Key, Arc<VolumeAttachment>>,
}

impl Storage {
    /// An object has become another, or is gone. Kinds that have nothing to do with storage are no mistake.
    pub(super) fn set(&mut self, old: Option<&Object>, new: Option<&Object>) {
        let Some(meta) = new.or(old).map(Object::meta) else { return };
        let name = meta.name.clone();
        let key = (meta.namespace.clone(), name.clone());
        match (old, new) {
            (_, Some(Object::PersistentVolumeClaim(it))) => self.claims.set(key, Some(it)),
            (_, Some(Object::PersistentVolume(it))) => self.volumes.set(name, Some(it)),
            (_, Some(Object::StorageClass(it))) => drop(self.classes.insert(name, it.clone())),
            (_, Some(Object::CSINode(it))) => drop(self.csi_nodes.insert(name, it.clone())),
            (_, Some(Object::CSIDriver(it))) => drop(self.drivers.insert(name, it.clone())),
            (_, Some(Object::CSIStorageCapacity(it))) => drop(self.capacities.insert(key, it.clone())),
            (_, Some(Object::VolumeAttachment(it))) => {
                self.attachments.insert((it.node.clone(), name), it.clone());
            }
            (Some(Object::PersistentVolumeClaim(_)), None) => self.claims.set(key, None),
            (Some(Object::PersistentVolume(_)), None) => self.volumes.set(name, None),
            (Some(Object::StorageClass(_)), None) => drop(self.classes.remove(&name)),
            (Some(Object::CSINode(_)), None) => drop(self.csi_nodes.remove(&name)),
            (Some(Object::CSIDriver(_)), None) => drop(self.drivers.remove(&name)),
            (Some(Object::CSIStorageCapacity(_)), None) => drop(self.capacities.remove(&key)),
            (Some(Object::VolumeAttachment(it)), None) => drop(self.attachments.remove(&(it.node.clone(), name))),
            _ => {}
        }
    }

    /// A claim as it is assumed to be.
    pub(super) fn claim(&self, namespace: &Name, name: &Name) -> Option<&Arc<PersistentVolumeClaim>> {
        self.claims.get(&(namespace.clone(), name.clone()))
    }

    /// A volume as it is assumed to be.
    pub(super) fn volume(&self, name: &Name) -> Option<&Arc<PersistentVolume>> {
        self.volumes.get(name)
    }

    /// The volumes of a class as they are assumed to be, by name.
    pub(super) fn volumes_of<'a>(&'a self, class: &'a Name) -> impl Iterator<Item = &'a Arc<PersistentVolume>> {
        let assumed = |(name, seen): (&Name, _)| self.volumes.assumed.get(name).unwrap_or(seen);
        self.volumes.seen.iter().map(assumed).filter(move |volume| *volume.class() == *class)
    }

    /// A class.
    pub(super) fn class(&self, name: &Name) -> Option<&Arc<StorageClass>> {
        self.classes.get(name)
    }

    /// What a node says of its CSI drivers.
    pub(super) fn csi_node(&self, node: &Name) -> Option<&Arc<CSINode>> {
        self.csi_nodes.get(node)
    }

    /// A CSI driver.
    pub(super) fn driver(&self, name: &str) -> Option<&Arc<CSIDriver>> {
        self.drivers.get(name)
    }

    /// What CSI drivers say they can still make.
    pub(super) fn capacities(&self) -> impl Iterator<Item = &Arc<CSIStorageCapacity>> {
        self.capacities.values()
    }

    /// The attachments of a node.
    pub(super) fn attachments_of<'a>(&'a self, node: &'a Name) -> impl Iterator<Item = &'a Arc<VolumeAttachment>> {
        let first = (node.clone(), Name::default());
        self.attachments.range(first..).take_while(move |((of, _), _)| of == node).map(|(_, attachment)| attachment)
    }

    /// A volume counts as it is about to be.
    pub(super) fn assume_volume(&mut self, volume: Arc<PersistentVolume>) {
        self.volumes.assumed.insert(volume.meta.name.clone(), volume);
    }

    /// A claim counts as it is about to be.
    pub(super) fn assume_claim(&mut self, claim: Arc<PersistentVolumeClaim>) {
        self.claims.assumed.insert((claim.meta.namespace.clone(), claim.meta.name.clone()), claim);
    }

    /// Takes an assumption about a volume back.
    pub(super) fn restore_volume(&mut self, name: &Name) {
        self.volumes.assumed.remove(name);
    }

    /// Takes an assumption about a claim back.
    pub(super) fn restore_claim(&mut self, key: &Key) {
        self.claims.assumed.remove(key);
    }
}
