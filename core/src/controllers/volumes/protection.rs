//! Protection: claims that pods use and volumes that claims have stay until they are free.
//!
//! Source: pkg/controller/volume/pvcprotection/pvc_protection_controller.go,
//! pkg/controller/volume/pvprotection/pv_protection_controller.go (v1.34.1). Both in one controller with one client.

use super::versions;
use crate::api::{Patch, Refusal, Request};
use crate::config::ControllerManagerConfig;
use crate::context::Context;
use crate::controllers::NamespacedName;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::model::{
    CLAIM_PROTECTION, Kind, Meta, ObjectKey, PersistentVolume, PersistentVolumeClaim, Pod, VOLUME_PROTECTION,
    VolumePhase,
};
use crate::store::View;

/// The number of this controller's client and work queue.
pub(in crate::controllers) const NUMBER: u8 = 16;

/// The controller.
pub(in crate::controllers) struct Protection {
    desk: Desk<ObjectKey, ()>,
}

impl Protection {
    /// The controller before its start.
    pub(in crate::controllers) fn new(config: &ControllerManagerConfig) -> Protection {
        let tolerated: fn(&Refusal) -> bool = |refusal| matches!(refusal, Refusal::NotFound(_));
        Protection { desk: Desk::new(NUMBER, 1, config.client_limit, tolerated) }
    }

    fn add(&mut self, kind: Kind, meta: &Meta) {
        if meta.is_terminating() || !is_protected(meta, finalizer_of(kind)) {
            self.desk.queue.add(NamespacedName::of_meta(meta).of(kind));
        }
    }

    /// The claims of a pod that has gone, has ended or has been moved.
    fn add_claims_of(&mut self, view: View<'_>, pod: &Pod) {
        for (name, _) in pod.claims() {
            if let Some((_, claim)) = view.find::<PersistentVolumeClaim>(&pod.meta.namespace, &name) {
                self.add(Kind::PersistentVolumeClaim, &claim.meta);
            }
        }
    }
}

/// Whether a pod uses a claim: any pod on a node, but not one that no node has.
///
/// Source: `podUsesPVC`, `isBeingUsed`. A finished pod counts as well; only its end frees the claim.
fn is_used(view: View<'_>, claim: &PersistentVolumeClaim) -> bool {
    let uses = |pod: &Pod| {
        pod.node.is_some()
            && pod.claims().any(|(name, owned)| {
                name == claim.meta.name
                    && (!owned || claim.meta.controller().is_some_and(|owner| owner.uid == pod.meta.uid))
            })
    };
    view.in_namespace::<Pod>(&claim.meta.namespace).any(|(_, pod)| uses(pod))
}

impl Reconciler for Protection {
    type Key = ObjectKey;
    type Stage = ();

    fn topics(&self) -> Topics {
        Topics::of_all(&[Kind::PersistentVolumeClaim, Kind::PersistentVolume]).and(Topics::POD_VOLUMES)
    }

    fn desk(&mut self) -> &mut Desk<ObjectKey, ()> {
        &mut self.desk
    }

    fn list(&mut self, _ctx: &mut Context<'_>, view: View<'_>) {
        for (_, claim) in view.all::<PersistentVolumeClaim>() {
            self.add(Kind::PersistentVolumeClaim, &claim.meta);
        }
        for (_, volume) in view.all::<PersistentVolume>() {
            self.add(Kind::PersistentVolume, &volume.meta);
        }
    }

    fn note(&mut self, _ctx: &mut Context<'_>, view: View<'_>, News { change, .. }: &News<'_>) {
        if let Some((_, Some(claim))) = versions::<PersistentVolumeClaim>(view, change) {
            self.add(Kind::PersistentVolumeClaim, &claim.meta);
        }
        if let Some((_, Some(volume))) = versions::<PersistentVolume>(view, change) {
            self.add(Kind::PersistentVolume, &volume.meta);
        }
        if let Some((Some(pod), None)) = versions::<Pod>(view, change)
            && !pod.spec.volumes.is_empty()
        {
            self.add_claims_of(view, pod);
        }
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, key: ObjectKey) -> Step<ObjectKey, ()> {
        let finalizer = finalizer_of(key.kind);
        let is_free = match key.kind {
            Kind::PersistentVolumeClaim => {
                let found = view.find::<PersistentVolumeClaim>(&key.namespace, &key.name).map(|(_, claim)| claim);
                found.and_then(|claim| becomes_free(&claim.meta, finalizer, || !is_used(view, claim)))
            }
            _ => {
                let found = view.find::<PersistentVolume>(&key.namespace, &key.name).map(|(_, volume)| volume);
                found.and_then(|volume| {
                    becomes_free(&volume.meta, finalizer, || volume.status.phase != VolumePhase::Bound)
                })
            }
        };
        let patch = |is_free: bool| Patch::Finalizer { name: finalizer.into(), present: !is_free };
        let write = is_free.map(|is_free| Request::Patch { key: key.clone(), patch: patch(is_free) });
        self.desk.begin(ctx, key, (), [write.into_iter().collect()])
    }
}

/// What keeps an object of a kind.
fn finalizer_of(kind: Kind) -> &'static str {
    if kind == Kind::PersistentVolumeClaim { CLAIM_PROTECTION } else { VOLUME_PROTECTION }
}

fn is_protected(meta: &Meta, finalizer: &str) -> bool {
    meta.finalizers.iter().any(|present| **present == *finalizer)
}

/// Whether an object's protection goes (`Some(true)`) or comes (`Some(false)`): admission protects what is made, and
/// what somebody has stripped of it gets it again unless it is being deleted.
///
/// Source: `IsDeletionCandidate`, `NeedToAddFinalizer`, pkg/controller/volume/protectionutil/utils.go (v1.34.1).
fn becomes_free(meta: &Meta, finalizer: &str, is_unused: impl FnOnce() -> bool) -> Option<bool> {
    match (meta.is_terminating(), is_protected(meta, finalizer)) {
        (true, true) => is_unused().then_some(true),
        (false, false) => Some(false),
        _ => None,
    }
}
