//! The controllers of storage: claims and volumes find each other, are protected while in use, attached and detached.
//!
//! Parts: `binder` binds claims to volumes and asks for new ones, `ephemeral` makes claims for pods, `protection` keeps
//! what is in use, `attach_detach` (with `attaching`, the wait for it) follows pods to their nodes. `drivers` stands in
//! for the sidecars of CSI drivers, and `growth` is how a volume grows by them.

mod attach_detach;
mod attaching;
mod binder;
mod drivers;
mod ephemeral;
mod growth;
mod protection;
#[cfg(test)]
mod tests;

pub(super) use attach_detach::{AttachDetach, NUMBER as ATTACH_DETACH};
pub(super) use binder::{Binder, NUMBER as BINDER};
pub(super) use drivers::{Drivers, NUMBER as DRIVERS};
pub(super) use ephemeral::{Ephemeral, NUMBER as EPHEMERAL};
pub(super) use protection::{NUMBER as PROTECTION, Protection};

use std::sync::Arc;

use crate::model::{Object, Pod, Resource};
use crate::store::{Change, Stored, View};

/// A version of a row; `None` is absence.
type Version<'a, T> = Option<&'a Arc<T>>;

/// A row of one kind before and after a change; `None` if the change is about another kind.
fn versions<'a, T: Stored + 'a>(view: View<'a>, change: &Change) -> Option<(Version<'a, T>, Version<'a, T>)> {
    let (before, after) = (view.before(change.revision), view.at(change.revision));
    (change.kind == T::KIND).then(|| (before.get::<T>(change.row), after.get::<T>(change.row)))
}

/// Whether a pod has ended as far as its volumes are concerned.
///
/// Source: `IsPodTerminated`, pkg/volume/util/util.go (v1.34.1).
fn is_pod_terminated(pod: &Pod) -> bool {
    use crate::model::ContainerState::{Terminated, Waiting};
    let runs_nothing = || pod.status.containers.iter().all(|it| matches!(it.state, Waiting { .. } | Terminated(_)));
    pod.is_finished() || (pod.meta.is_terminating() && runs_nothing())
}

/// Wraps a changed copy for a request.
fn object<T: Resource>(changed: T) -> Object {
    T::into_object(Arc::new(changed))
}
