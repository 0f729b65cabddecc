//! Amounts of CPU, memory, pods and extended resources.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::quantity::{Format, Quantity};

/// A resource's name as the core tells them apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ResourceName {
    /// `cpu`, in thousandths of a core.
    Cpu,
    /// `memory`, in bytes.
    Memory,
    /// `ephemeral-storage`, in bytes.
    EphemeralStorage,
    /// `pods`, a count.
    Pods,
    /// Anything else, such as `nvidia.com/gpu`, in whole units.
    Extended(Name),
}

impl ResourceName {
    /// The resource that Kubernetes calls so.
    pub fn named(name: &str) -> ResourceName {
        match name {
            "cpu" => ResourceName::Cpu,
            "memory" => ResourceName::Memory,
            "ephemeral-storage" => ResourceName::EphemeralStorage,
            "pods" => ResourceName::Pods,
            other => ResourceName::Extended(other.into()),
        }
    }
}

/// A list of resources, as of a node's allocatable or a container's requests. All amounts are ≥ 0.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Resources {
    /// CPU in thousandths of a core, rounded up from the quantity.
    pub cpu_milli: i64,
    /// Memory in bytes, rounded up from the quantity.
    pub memory_bytes: i64,
    /// Ephemeral storage in bytes, rounded up from the quantity.
    pub ephemeral_bytes: i64,
    /// Pods (allocatable only).
    pub pods: i64,
    /// Extended resources and huge pages in whole units, without zero entries.
    pub extended: BTreeMap<Name, i64>,
}

impl Resources {
    /// Adds another list, amount by amount.
    pub fn add(&mut self, other: &Resources) {
        self.cpu_milli += other.cpu_milli;
        self.memory_bytes += other.memory_bytes;
        self.ephemeral_bytes += other.ephemeral_bytes;
        self.pods += other.pods;
        for (name, amount) in &other.extended {
            *self.extended.entry(name.clone()).or_insert(0) += amount;
        }
    }

    /// Takes another list out again. Panics if an amount would fall below zero.
    pub fn subtract(&mut self, other: &Resources) {
        self.cpu_milli -= other.cpu_milli;
        self.memory_bytes -= other.memory_bytes;
        self.ephemeral_bytes -= other.ephemeral_bytes;
        self.pods -= other.pods;
        assert!(
            self.cpu_milli >= 0 && self.memory_bytes >= 0 && self.ephemeral_bytes >= 0,
            "more given back than taken"
        );
        for (name, amount) in &other.extended {
            let left = self.extended.get_mut(name).expect("an extended resource is given back that was never taken");
            *left -= amount;
            assert!(*left >= 0, "more of {name} given back than taken");
        }
    }

    /// For each resource, the larger of the two amounts.
    pub fn max_with(&mut self, other: &Resources) {
        self.cpu_milli = self.cpu_milli.max(other.cpu_milli);
        self.memory_bytes = self.memory_bytes.max(other.memory_bytes);
        self.ephemeral_bytes = self.ephemeral_bytes.max(other.ephemeral_bytes);
        self.pods = self.pods.max(other.pods);
        for (name, amount) in &other.extended {
            let mine = self.extended.entry(name.clone()).or_insert(0);
            *mine = (*mine).max(*amount);
        }
    }

    /// Sets the amount of one resource.
    pub fn set(&mut self, name: &ResourceName, amount: i64) {
        match name {
            ResourceName::Cpu => self.cpu_milli = amount,
            ResourceName::Memory => self.memory_bytes = amount,
            ResourceName::EphemeralStorage => self.ephemeral_bytes = amount,
            ResourceName::Pods => self.pods = amount,
            ResourceName::Extended(name) if amount == 0 => drop(self.extended.remove(name)),
            ResourceName::Extended(name) => drop(self.extended.insert(name.clone(), amount)),
        }
    }

    /// The amount of one resource; 0 if it is not listed.
    pub fn get(&self, name: &ResourceName) -> i64 {
        match name {
            ResourceName::Cpu => self.cpu_milli,
            ResourceName::Memory => self.memory_bytes,
            ResourceName::EphemeralStorage => self.ephemeral_bytes,
            ResourceName::Pods => self.pods,
            ResourceName::Extended(name) => self.extended.get(name).copied().unwrap_or(0),
        }
    }

    /// The amounts that are not zero, as quantities under the names of Kubernetes.
    ///
    /// The notation in which they were written is not kept: bytes are shown in powers of ten if they are whole millions
    /// and not whole mebibytes, else in powers of two, which is how nearly everybody writes them.
    pub fn quantities(&self) -> BTreeMap<Name, Quantity> {
        let bytes = |amount: i64| {
            let decimal = amount % 1_000_000 == 0 && amount % (1 << 20) != 0;
            Quantity::from_units(amount, if decimal { Format::DecimalSi } else { Format::BinarySi })
        };
        let own = [
            ("cpu", self.cpu_milli, Quantity::from_milli(self.cpu_milli, Format::DecimalSi)),
            ("memory", self.memory_bytes, bytes(self.memory_bytes)),
            ("ephemeral-storage", self.ephemeral_bytes, bytes(self.ephemeral_bytes)),
            ("pods", self.pods, Quantity::from_units(self.pods, Format::DecimalSi)),
        ];
        let own = own.into_iter().filter(|(_, amount, _)| *amount != 0).map(|(name, _, it)| (name.into(), it));
        let extended = self.extended.iter().map(|(name, amount)| {
            let huge = name.starts_with("hugepages-");
            (name.clone(), if huge { bytes(*amount) } else { Quantity::from_units(*amount, Format::DecimalSi) })
        });
        own.chain(extended).collect()
    }

    /// Sets one amount from a quantity, rounded up as a manifest's are.
    pub fn set_quantity(&mut self, name: &str, amount: Quantity) {
        match name {
            "cpu" => self.cpu_milli = amount.milli_value(),
            "memory" => self.memory_bytes = amount.value(),
            "ephemeral-storage" => self.ephemeral_bytes = amount.value(),
            "pods" => self.pods = amount.value(),
            other if amount.value() != 0 => {
                self.extended.insert(other.into(), amount.value());
            }
            _ => {}
        }
    }
}
