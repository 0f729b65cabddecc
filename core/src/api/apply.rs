//! What `kubectl apply` makes of a manifest and the stored object.

use std::sync::Arc;

use crate::api::immutable;
use crate::model::Object;

/// The version that is to be written: the manifest's, with what it does not set as it is stored. Without
/// `sets_replicas`, the manifest names no size.
pub(super) fn merged(manifest: Object, stored: &Object, sets_replicas: bool) -> Object {
    let mut merged = manifest;
    match (&mut merged, stored) {
        (Object::Deployment(new), Object::Deployment(old)) if !sets_replicas => {
            Arc::make_mut(new).replicas = old.replicas;
        }
        (Object::ReplicaSet(new), Object::ReplicaSet(old)) if !sets_replicas => {
            Arc::make_mut(new).replicas = old.replicas;
        }
        (Object::ReplicationController(new), Object::ReplicationController(old)) if !sets_replicas => {
            Arc::make_mut(new).replicas = old.replicas;
        }
        (Object::StatefulSet(new), Object::StatefulSet(old)) if !sets_replicas => {
            Arc::make_mut(new).replicas = old.replicas;
        }
        (Object::Job(new), Object::Job(old)) => *new = Arc::new(immutable::with_made_labels(new, old)),
        (Object::PersistentVolumeClaim(new), Object::PersistentVolumeClaim(old)) => {
            let spec = &mut Arc::make_mut(new).spec;
            if spec.volume.is_empty() {
                spec.volume = old.spec.volume.clone();
            }
            if spec.storage_class.is_none() {
                spec.storage_class = old.spec.storage_class.clone();
            }
        }
        (Object::PersistentVolume(new), Object::PersistentVolume(old)) if new.claim.is_none() => {
            Arc::make_mut(new).claim = old.claim.clone();
        }
        (Object::Node(new), Object::Node(old)) => Arc::make_mut(new).spec.taints = old.spec.taints.clone(),
        _ => {}
    }
    // Annotations that the manifest does not name belong to others (the Deployment's revision, say): they stay.
    let mut annotations = stored.meta().annotations.clone();
    for (key, value) in merged.meta().annotations.clone().iter() {
        annotations = annotations.with(key.clone(), value.clone());
    }
    let (owners, finalizers) = (stored.meta().owners.clone(), stored.meta().finalizers.clone());
    let meta = merged.meta_mut();
    meta.annotations = annotations;
    meta.owners = owners;
    meta.finalizers = finalizers;
    merged
}
