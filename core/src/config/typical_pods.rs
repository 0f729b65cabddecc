//! What a workload is typically made of, for policies that expect more of it.

use serde::{Deserialize, Serialize};

use crate::id::Name;
use crate::model::gpu::GpuRequest;

/// A kind of pods of which a workload is typically made.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TypicalPod {
    /// CPU in thousandths of a core.
    pub cpu_milli: i64,
    /// Its GPUs.
    pub gpu: GpuRequest,
    /// The GPU models that it takes; empty is any.
    pub models: Vec<Name>,
    /// How many pods of this kind the workload has (≥ 1): its weight.
    pub count: u32,
}

impl TypicalPod {
    /// Whether it takes GPUs of this model.
    pub(crate) fn takes(&self, model: Option<&Name>) -> bool {
        self.models.is_empty() || model.is_some_and(|model| self.models.contains(model))
    }
}

/// The kinds of pods of which a workload is typically made.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct TypicalPods {
    /// The kinds, most frequent first.
    pub kinds: Vec<TypicalPod>,
    /// How many pods the workload has, those of kinds that are not typical included.
    pub of: u32,
}
