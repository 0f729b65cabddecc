//! Typed Kubernetes objects from manifests.
//!
//! Three steps, as in a real cluster: [`read_manifests`] decodes strictly (kubectl and the API server's strict field
//! validation), [`apply_defaults`] fills in what was left out, [`validate`] refuses what makes no sense.
//! [`Located::admit`] does the last two and places the faults in the file.
//!
//! Parts: `kinds` and `located` are what is read, by `read` and `config`; then `defaults`, `validation`, `to_core` (from
//! manifests to the core's objects) and `to_json` (back again), which share `parts`. Single families of kinds are in
//! `config`, `policy` and `storage`; `patch`, `three_way`, `keyless` and `service_update` are changes.
//!
//! Absent on purpose: kinds that the core does not model, which are refused by name rather than passed over.

mod config;
mod defaults;
mod kept;
mod keyless;
mod kinds;
mod located;
mod modelled;
pub(crate) mod parts;
mod patch;
pub(crate) mod placement;
mod pod_security;
mod policy;
mod read;
mod references;
mod schedule;
mod service_update;
mod snapshot;
mod storage;
#[cfg(test)]
mod tests;
mod three_way;
mod to_core;
mod to_json;
pub(crate) mod validation;

use crate::strict::{Error, Errors};

pub use k8s_openapi::api::core::v1::{Event as ApiEvent, Pod as ApiPod};

pub use defaults::{admit_pod, apply_defaults};
pub use keyless::without_merge_key;
pub use kinds::{KINDS, Kind, Manifest};
pub use located::Located;
pub use modelled::{Unmodelled, unmodelled_fields};
pub use patch::{PatchType, apply_patch};
pub use read::{Unreadable, converted, read_admitted, read_body, read_event, read_manifests, read_node};
pub use service_update::settle_service;
pub use snapshot::Snapshot;
pub use storage::settle_claim;
pub use three_way::three_way_patch;
pub use to_core::to_object;
pub use to_json::{timestamp, to_json, to_json_with_hosts};
pub use validation::names::{label_key_faults, label_value_faults};
pub use validation::{
    Cause, Invalid, Policy, Reason, validate, validate_event, validate_finalize, validate_status_update,
    validate_under, validate_update,
};

impl Located<Manifest> {
    /// Applies the API server's defaults and validates.
    ///
    /// Each error has the API server's message for one field, and the place of that field or of its nearest parent.
    pub fn admit(&mut self) -> Result<(), Errors> {
        apply_defaults(&mut self.value);
        validate(&self.value).map_err(|invalid| {
            let place = |cause: &Cause| {
                // The API server speaks of a node's taints as metadata; they are written under `spec`.
                let path = cause.field.replace("metadata.taints", "spec.taints");
                Error::new(&self.file, self.source.locate(&path), &cause.field, cause.message.clone())
            };
            Errors(invalid.causes.iter().map(place).collect()).sorted()
        })
    }
}
