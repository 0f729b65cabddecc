//! What a machine has left and who uses it, as a kubelet asks its runtime for it.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::ContainerIndex;
use crate::config::{EvictionAmount, EvictionSignal};
use crate::id::{Name, Uid};
use crate::time::Time;

/// Something that can run short: how much there is and how much is left. Both are 0 if it is not modelled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Supply {
    /// All there is, in bytes or processes.
    pub capacity: i64,
    /// What is left (≥ 0).
    pub available: i64,
}

/// A machine's state.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct NodeUsage {
    /// Memory.
    pub memory: Supply,
    /// The file system of logs, writable layers and volumes.
    pub nodefs: Supply,
    /// The file system of images; equal to `nodefs` if they share one.
    pub imagefs: Supply,
    /// Whether images have a file system of their own.
    pub dedicated_imagefs: bool,
    /// Processes.
    pub pids: Supply,
    /// Pods with containers that run, in any order.
    pub pods: Vec<PodUsage>,
    /// Images, in any order.
    pub images: Vec<ImageUsage>,
}

impl NodeUsage {
    /// The supply behind a signal; `None` if the world does not model it.
    pub fn supply(&self, signal: EvictionSignal) -> Option<Supply> {
        let supply = match signal {
            EvictionSignal::MemoryAvailable => self.memory,
            EvictionSignal::NodeFsAvailable => self.nodefs,
            EvictionSignal::ImageFsAvailable => self.imagefs,
            EvictionSignal::PidAvailable => self.pids,
        };
        (supply.capacity > 0).then_some(supply)
    }
}

/// What one pod uses.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct PodUsage {
    /// The pod.
    pub pod: Uid,
    /// Its containers that run.
    pub containers: Vec<ContainerUsage>,
}

/// What one container uses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ContainerUsage {
    /// The container.
    pub container: ContainerIndex,
    /// Its working set in bytes.
    pub memory_bytes: i64,
    /// Its writable layer and logs in bytes, or what it has written to `volume`.
    pub disk_bytes: i64,
    /// The pod's `emptyDir` volume that its disk use lies in; empty is its own layer.
    #[serde(default)]
    pub volume: Name,
    /// Its processes.
    pub processes: i64,
}

/// Use without a volume has the hash that it would have without this field, so that fingerprints stay.
impl Hash for ContainerUsage {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ContainerUsage { container, memory_bytes, disk_bytes, volume, processes } = self;
        (container, memory_bytes, disk_bytes, processes).hash(state);
        if !volume.is_empty() {
            volume.hash(state);
        }
    }
}

/// One image on the machine.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct ImageUsage {
    /// Its name.
    pub image: Name,
    /// Its size in bytes.
    pub size_bytes: i64,
    /// Since when it is there.
    pub since: Time,
    /// When a container last used it; `None` if one does.
    pub last_used: Option<Time>,
}

/// What a kubelet wants to be told of.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct UsageLevels {
    /// Less than this of that is left; one entry for each threshold.
    pub available: Vec<(EvictionSignal, EvictionAmount)>,
    /// At least so many percent of the image file system are used; 0 is no matter.
    pub imagefs_used_percent: u32,
}

impl ContainerUsage {
    /// Its writable layer and logs in bytes.
    pub fn own_disk_bytes(&self) -> i64 {
        if self.volume.is_empty() { self.disk_bytes } else { 0 }
    }
}

impl EvictionAmount {
    /// The amount in bytes or processes, given all there is; shares are rounded down.
    pub fn of(self, capacity: i64) -> i64 {
        match self {
            EvictionAmount::Number(number) => number,
            EvictionAmount::Permille(permille) => {
                let share = i128::from(capacity) * i128::from(permille) / 1_000;
                i64::try_from(share).expect("a share of at most all is no larger than it")
            }
        }
    }
}
