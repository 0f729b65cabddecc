//! What the API server does with claims, volumes and classes beside storing them: admission, and fields that stay.
//!
//! Source: plugin/pkg/admission/storage/{storageclass/setdefault,storageobjectinuseprotection}/admission.go,
//! pkg/registry/core/persistentvolume/strategy.go, `ValidatePersistentVolumeUpdate`,
//! `ValidatePersistentVolumeClaimUpdate`, pkg/apis/core/validation/validation.go, and `ValidateStorageClassUpdate`,
//! pkg/apis/storage/validation/validation.go (v1.34.1). The difference that the API server prints after "spec is
//! immutable" is left out.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::api::Refusal;
use crate::context::Context;
use crate::id::Name;
use crate::model::{
    CLAIM_PROTECTION, ClaimPhase, Meta, Object, PersistentVolume, PersistentVolumeClaim, StorageClass,
    VOLUME_PROTECTION,
};
use crate::store::{Store, Stored, View};

/// Completes a claim or a volume on its way into the store.
pub(super) fn admit(store: &Store, object: &mut Object) {
    match object {
        Object::PersistentVolume(volume) => protect(&mut Arc::make_mut(volume).meta, VOLUME_PROTECTION),
        Object::PersistentVolumeClaim(claim) => {
            let claim = Arc::make_mut(claim);
            protect(&mut claim.meta, CLAIM_PROTECTION);
            if !claim.has_class() {
                claim.spec.storage_class = default_class(store.newest()).cloned();
            }
        }
        _ => {}
    }
}

/// The class that claims without one get: of several the newest, of several of one time the first by name.
///
/// Source: `GetDefaultClass`, pkg/volume/util/storageclass.go (v1.34.1).
pub(crate) fn default_class(view: View<'_>) -> Option<&Name> {
    let defaults = view.all::<StorageClass>().map(|(_, class)| class).filter(|class| class.is_default());
    let newest = defaults.min_by_key(|class| (std::cmp::Reverse(class.meta.created_at), class.meta.name.clone()))?;
    Some(&newest.meta.name)
}

fn protect(meta: &mut Meta, finalizer: &str) {
    if !meta.finalizers.iter().any(|present| **present == *finalizer) {
        meta.finalizers = meta.finalizers.iter().cloned().chain([finalizer.into()]).collect();
    }
}

/// Notes when a volume's phase changes with this write of its status.
pub(super) fn stamp(ctx: &Context<'_>, store: &Store, object: &mut Object) {
    let Object::PersistentVolume(new) = object else { return };
    let Some((_, old)) = store.newest().find::<PersistentVolume>(&new.meta.namespace, &new.meta.name) else { return };
    let since = if old.status.phase == new.status.phase { old.status.phase_changed_at } else { Some(ctx.now) };
    if new.status.phase_changed_at != since {
        Arc::make_mut(new).status.phase_changed_at = since;
    }
}

/// Refuses a change of what stays as it was created.
pub(super) fn check_update(store: &Store, new: &Object) -> Result<(), Refusal> {
    let meta = new.meta();
    let fault = match new {
        Object::PersistentVolumeClaim(new) => {
            stored::<PersistentVolumeClaim>(store, meta).and_then(|it| claim(it, new))
        }
        Object::PersistentVolume(new) => stored::<PersistentVolume>(store, meta).and_then(|it| volume(it, new)),
        Object::StorageClass(new) => stored::<StorageClass>(store, meta).and_then(|it| class(it, new)),
        _ => None,
    };
    match fault {
        Some(message) => Err(Refusal::Invalid { key: new.key(), message: message.into() }),
        None => Ok(()),
    }
}

fn stored<'a, T: Stored + 'a>(store: &'a Store, meta: &Meta) -> Option<&'a Arc<T>> {
    store.newest().find::<T>(&meta.namespace, &meta.name).map(|(_, object)| object)
}

fn claim(old: &PersistentVolumeClaim, new: &PersistentVolumeClaim) -> Option<&'static str> {
    let mut allowed = old.spec.clone();
    if old.spec.volume.is_empty() {
        allowed.volume = new.spec.volume.clone();
    }
    if old.spec.storage_class.is_none() {
        allowed.storage_class = new.spec.storage_class.clone();
    }
    if old.status.phase == ClaimPhase::Bound {
        allowed.request = new.spec.request;
        allowed.attributes_class = new.spec.attributes_class.clone();
    }
    if allowed != new.spec {
        return Some(
            "spec: Forbidden: spec is immutable after creation except resources.requests and \
             volumeAttributesClassName for bound claims",
        );
    }
    let shrinks = new.spec.request < old.spec.request;
    let too_far = old.status.capacity.is_none_or(|capacity| new.spec.request <= capacity);
    (shrinks && too_far)
        .then_some("spec.resources.requests.storage: Forbidden: field can not be less than status.capacity")
}

/// Refuses growth that the claim's class does not allow.
///
/// Source: plugin/pkg/admission/storage/persistentvolume/resize/admission.go (v1.34.1).
pub(super) fn check_growth(view: View<'_>, new: &Object, old: &Object) -> Result<(), String> {
    let (Object::PersistentVolumeClaim(new), Object::PersistentVolumeClaim(old)) = (new, old) else { return Ok(()) };
    if new.spec.request <= old.spec.request {
        return Ok(());
    }
    if old.status.phase != ClaimPhase::Bound {
        return Err("Only bound persistent volume claims can be expanded".to_owned());
    }
    let (wanted, before) = (new.class(), old.class());
    let class = view.find::<StorageClass>(&Name::default(), &wanted).map(|(_, class)| class);
    if !wanted.is_empty() && wanted == before && class.is_some_and(|class| class.allows_expansion) {
        return Ok(());
    }
    let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must \
               support resize";
    Err(why.to_owned())
}

fn volume(old: &PersistentVolume, new: &PersistentVolume) -> Option<&'static str> {
    if old.source != new.source {
        return Some("spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation");
    }
    if old.mode != new.mode {
        return Some("spec.volumeMode: Invalid value: field is immutable");
    }
    (old.node_affinity.is_some() && old.node_affinity != new.node_affinity)
        .then_some("spec.nodeAffinity: Invalid value: field is immutable")
}

fn class(old: &StorageClass, new: &StorageClass) -> Option<&'static str> {
    if old.provisioner != new.provisioner {
        return Some("provisioner: Forbidden: updates to provisioner are forbidden.");
    }
    if old.reclaim_policy != new.reclaim_policy {
        return Some("reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.");
    }
    (old.binding_mode != new.binding_mode).then_some("volumeBindingMode: Invalid value: field is immutable")
}
