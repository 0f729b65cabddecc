//! GPU sharing: the devices of a node, each of 1,000 thousandths, and what pods take of them.
//!
//! A node has as many devices as its allocatable [`GPU_MILLI`] has thousands. A pod asks for a share of one device
//! (below 1,000) or for whole devices (a multiple of 1,000); which models it takes is its required node affinity to
//! [`GPU_MODEL`]. Invariant: no device gives more than it has. Absent on purpose: GPU memory, links between devices.

use std::collections::BTreeMap;

pub use crate::model::gpu::{DEVICES_MAX, GPU_MILLI, GPU_MODEL, GpuRequest, WHOLE};

/// Some devices of one node, by number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct DeviceSet(u64);

impl DeviceSet {
    /// One device. Panics beyond [`DEVICES_MAX`].
    pub fn one(device: usize) -> DeviceSet {
        assert!(device < DEVICES_MAX, "device {device} is beyond {DEVICES_MAX}");
        DeviceSet(1 << device)
    }

    /// The devices' numbers, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..DEVICES_MAX).filter(move |device| self.0 >> device & 1 == 1)
    }

    fn with(self, device: usize) -> DeviceSet {
        DeviceSet(self.0 | DeviceSet::one(device).0)
    }
}

/// The devices of one node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Gpus {
    /// What is left of each device, in thousandths.
    free: Vec<u16>,
    /// How many pods there are of each kind: 0 is a share, n is n whole devices.
    tenants: BTreeMap<u16, u32>,
}

impl Gpus {
    /// The idle devices that so many thousandths are.
    #[cfg(test)]
    fn idle_of(total_milli: i64) -> Gpus {
        Gpus { free: vec![WHOLE; device_count(total_milli)], tenants: BTreeMap::new() }
    }

    /// What is left of each device, in thousandths, by number.
    pub fn free(&self) -> &[u16] {
        &self.free
    }

    /// What is left of all devices, in thousandths.
    pub fn free_total(&self) -> i64 {
        self.free.iter().map(|free| i64::from(*free)).sum()
    }

    /// How many devices nobody uses.
    pub fn idle(&self) -> usize {
        self.free.iter().filter(|free| **free == WHOLE).count()
    }

    /// How many kinds of GPU pods are here (shares are one kind, each number of whole devices another), and whether
    /// the request's kind is one of them.
    pub fn kinds(&self, request: GpuRequest) -> (usize, bool) {
        (self.tenants.len(), self.tenants.contains_key(&kind(request)))
    }

    /// Whether enough devices have enough left.
    pub fn fit(&self, request: GpuRequest) -> bool {
        let enough = self.free.iter().filter(|free| **free >= request.milli_each());
        request.is_none() || enough.take(request.devices()).count() == request.devices()
    }

    /// Of the devices with enough left, those with the least, the first of equals; `None` if there are too few.
    pub fn tightest(&self, request: GpuRequest) -> Option<DeviceSet> {
        if request.is_share() {
            let fits = self.free.iter().enumerate().filter(|(_, free)| **free >= request.milli_each());
            return fits.min_by_key(|(_, free)| **free).map(|(device, _)| DeviceSet::one(device));
        }
        let idle = self.free.iter().enumerate().filter(|(_, free)| **free >= request.milli_each());
        let taken = idle.take(request.devices()).map(|(device, _)| device);
        let (mut set, mut count) = (DeviceSet::default(), 0);
        for device in taken {
            set = set.with(device);
            count += 1;
        }
        (count == request.devices()).then_some(set)
    }

    /// The node has this much now. Devices that stay keep their pods.
    pub(super) fn resize(&mut self, total_milli: i64) {
        self.free.resize(device_count(total_milli), WHOLE);
    }

    /// A pod takes its part of these devices.
    pub(super) fn take(&mut self, request: GpuRequest, devices: DeviceSet) {
        for device in devices.iter() {
            // A device may be gone since the pod was given it.
            if let Some(free) = self.free.get_mut(device) {
                *free = free.checked_sub(request.milli_each()).expect("a device gives more than it has");
            }
        }
        *self.tenants.entry(kind(request)).or_insert(0) += 1;
    }

    /// A pod gives its part back.
    pub(super) fn give_back(&mut self, request: GpuRequest, devices: DeviceSet) {
        for device in devices.iter() {
            if let Some(free) = self.free.get_mut(device) {
                *free = (*free + request.milli_each()).min(WHOLE);
            }
        }
        let tenants = self.tenants.get_mut(&kind(request)).expect("a tenant that goes was counted");
        *tenants -= 1;
        if *tenants == 0 {
            self.tenants.remove(&kind(request));
        }
    }
}

fn kind(request: GpuRequest) -> u16 {
    if request.is_share() { 0 } else { request.devices() as u16 }
}

fn device_count(total_milli: i64) -> usize {
    usize::try_from(total_milli / i64::from(WHOLE)).unwrap_or(0).min(DEVICES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_goes_to_the_fullest_device_that_has_room_and_whole_devices_to_idle_ones() {
        let mut gpus = Gpus::idle_of(4_000);
        let share = GpuRequest::of_total(300);
        gpus.take(share, DeviceSet::one(2));
        assert_eq!(gpus.tightest(share), Some(DeviceSet::one(2)));
        assert_eq!(gpus.tightest(GpuRequest::of_total(800)), Some(DeviceSet::one(0)));
        let two = GpuRequest::of_total(2_000);
        let devices = gpus.tightest(two).expect("three are idle");
        assert_eq!(devices.iter().collect::<Vec<_>>(), [0, 1]);
        gpus.take(two, devices);
        assert_eq!((gpus.free(), gpus.idle(), gpus.free_total()), (&[0, 0, 700, 1_000][..], 1, 1_700));
        assert_eq!(gpus.tightest(two), None);
        assert!(gpus.fit(GpuRequest::of_total(700)) && !gpus.fit(two));
        assert_eq!(gpus.kinds(two), (2, true));
        gpus.give_back(two, devices);
        assert_eq!((gpus.kinds(two), gpus.idle()), ((1, false), 3));
    }

    #[test]
    fn what_is_neither_a_share_nor_whole_devices_fits_nowhere() {
        let odd = GpuRequest::of_total(1_500);
        assert!(!Gpus::idle_of(64_000).fit(odd));
        assert!(GpuRequest::of_total(0).is_none() && Gpus::default().fit(GpuRequest::NONE));
        assert_eq!(GpuRequest::of_total(3_000).total(), 3_000);
    }
}
