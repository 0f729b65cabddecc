//! GPU sharing, as nodes and pods say it: what a node has is its allocatable [`GPU_MILLI`], what a pod asks for a
//! [`GpuRequest`].
//!
//! The resource and the label are those of Alibaba's open GPU-share scheduler plugin, which the public GPU traces are
//! published for; there a pod says in annotations what it says here in its requests.

use serde::{Deserialize, Serialize};

/// The extended resource: thousandths of a GPU.
pub const GPU_MILLI: &str = "alibabacloud.com/gpu-milli";
/// The node label with the model of its GPUs.
pub const GPU_MODEL: &str = "alibabacloud.com/gpu-card-model";
/// One whole device, in thousandths.
pub const WHOLE: u16 = 1_000;
/// The most devices of a node; further ones are not shared out.
pub const DEVICES_MAX: usize = 64;

/// What a pod asks of a node's devices.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct GpuRequest {
    /// Of how many devices.
    devices: u16,
    /// How much of each, in thousandths (1 ..= 1,000); 0 if it asks for none.
    milli_each: u16,
}

impl GpuRequest {
    /// No device at all.
    pub const NONE: GpuRequest = GpuRequest { devices: 0, milli_each: 0 };

    /// The request of so many thousandths: below 1,000 a share of one device, otherwise whole devices. What is neither
    /// is a request that no node meets.
    pub fn of_total(milli: i64) -> GpuRequest {
        let whole = i64::from(WHOLE);
        match milli {
            ..=0 => GpuRequest::NONE,
            share if share < whole => GpuRequest { devices: 1, milli_each: share as u16 },
            all if all % whole == 0 && all / whole <= DEVICES_MAX as i64 => {
                GpuRequest { devices: (all / whole) as u16, milli_each: WHOLE }
            }
            _ => GpuRequest { devices: u16::MAX, milli_each: WHOLE },
        }
    }

    /// Of how many devices it takes something; 0 for a pod without GPUs.
    pub fn devices(self) -> usize {
        usize::from(self.devices)
    }

    /// What it takes of each of them, in thousandths.
    pub fn milli_each(self) -> u16 {
        self.milli_each
    }

    /// What it takes together, in thousandths.
    pub fn total(self) -> i64 {
        i64::from(self.devices) * i64::from(self.milli_each)
    }

    /// Whether it asks for no device.
    pub fn is_none(self) -> bool {
        self.devices == 0
    }

    /// Whether it asks for a part of one device.
    pub fn is_share(self) -> bool {
        self.devices == 1 && self.milli_each < WHOLE
    }
}
