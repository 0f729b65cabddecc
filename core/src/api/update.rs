//! New versions of whole objects: of everything but the status, or of the status alone.

use std::sync::Arc;

use crate::api::parts::Parts;
use crate::api::{Answer, Refusal, Reply, admission, deletion, immutable, read, storage};
use crate::context::Context;
use crate::id::{Name, Revision, RowId};
use crate::model::{
    Deployment, Job, Namespace, Node, Object, ObjectKey, PersistentVolumeClaim, Pod, Resource, with_object,
};
use crate::store::{Store, Stored};

/// Replaces everything but identity and status. A version that is no longer the newest is refused as such, whatever
/// else is wrong with it.
pub(super) fn update(ctx: &Context<'_>, store: &mut Store, object: Object, expected: Option<Revision>) -> Answer {
    if let Err(refusal) = check_kept(store, &object) {
        with_object!(&object, version => checked(store, version, expected).map(drop))?;
        return Err(refusal);
    }
    with_object!(object, version => write(ctx, store, version, expected, keep_status))
}

/// Replaces everything of a namespace but identity and status.
///
/// Source: `namespaceFinalizeStrategy.PrepareForUpdate`, pkg/registry/core/namespace/strategy.go (v1.34.1).
pub(super) fn finalize(
    ctx: &Context<'_>,
    store: &mut Store,
    namespace: Arc<Namespace>,
    expected: Option<Revision>,
) -> Answer {
    write(ctx, store, namespace, expected, |new, old| new.conditions = old.conditions.clone())
}

/// What an update to this version would be refused for, for what it changes; `None` if it changes nothing that must
/// stay.
pub(crate) fn update_fault(store: &Store, object: &Object) -> Option<Name> {
    let refusal = check_kept(store, object).and_then(|()| with_object!(object, version => try_update(store, version)));
    match refusal {
        Err(Refusal::Invalid { message, .. }) => Some(message),
        _ => None,
    }
}

/// Replaces the status only.
pub(super) fn update_status(
    ctx: &Context<'_>,
    store: &mut Store,
    object: Object,
    expected: Option<Revision>,
) -> Answer {
    match object {
        Object::Pod(pod) => write_pod_status(store, pod, expected),
        Object::Job(job) => {
            if let Err(refusal) = immutable::check_job_status(store, &job) {
                checked(store, &job, expected)?;
                return Err(refusal);
            }
            write_status(store, &job, expected, |new, from: &Job| new.status = from.status.clone())
        }
        // The volumes are the word of two writers, each of whom patches its own list.
        Object::Node(node) => write_status(store, &node, expected, |new, from: &Node| {
            let volumes = new.status.volumes.take();
            new.status = from.status.clone();
            new.status.volumes = volumes;
        }),
        Object::Namespace(namespace) => write_status(store, &namespace, expected, |new, from: &Namespace| {
            new.conditions = from.conditions.clone();
        }),
        // Kubernetes lets the annotations of a Deployment (its revision) be written with its status.
        Object::Deployment(deployment) => write_status(store, &deployment, expected, |new, from: &Deployment| {
            new.status = from.status.clone();
            new.meta.annotations = from.meta.annotations.clone();
        }),
        Object::PersistentVolumeClaim(claim) => {
            let old = checked(store, &claim, expected)?.1.clone();
            check_uid(&*claim, &old)?;
            admission::admit_claim_status(ctx, store, &claim, &old)?;
            write_status(store, &claim, expected, |new, from: &PersistentVolumeClaim| new.take_status(from))
        }
        other => {
            with_object!(other, version => write_status(store, &version, expected, |new, from| new.take_status(from)))
        }
    }
}

/// Refuses a change of what stays as it was created, of kinds whose refusal tells more than one field.
fn check_kept(store: &Store, object: &Object) -> Result<(), Refusal> {
    if let Object::Job(job) = object {
        immutable::check_job(store, job)?;
    }
    storage::check_update(store, object)
}

fn keep_status<T: Parts>(new: &mut T, old: &T) {
    new.take_status(old);
}

/// As [`write`] up to what is immutable; nothing is written.
fn try_update<T: Parts>(store: &Store, version: &Arc<T>) -> Result<(), Refusal> {
    let (_, old) = checked(store, version, None)?;
    prepared(T::clone(version), old, keep_status).map(drop)
}

fn write<T: Parts>(
    ctx: &Context<'_>,
    store: &mut Store,
    version: Arc<T>,
    expected: Option<Revision>,
    prepare: impl FnOnce(&mut T, &T),
) -> Answer {
    let (row, old) = checked(store, &version, expected)?;
    let old = old.clone();
    let Some(mut new) = prepared(Arc::unwrap_or_clone(version), &old, prepare)? else {
        return Ok(unchanged::<T>(store, row));
    };
    admission::admit_update(ctx, store, &new, &old)?;
    if new.new_generation(&old) {
        new.meta_mut().generation += 1;
    }
    if deletion::is_released(new.meta()) && !new.is_held() {
        store.remove::<T>(row);
        return Ok(Reply::Deleted(None));
    }
    let revision = store.replace(row, new);
    Ok(read::stored::<T>(store, row, revision))
}

/// The sender's version with what an update leaves alone; `None` if nothing changes then. A change of what is immutable
/// is refused.
fn prepared<T: Parts>(mut new: T, old: &T, prepare: impl FnOnce(&mut T, &T)) -> Result<Option<T>, Refusal> {
    prepare(&mut new, old);
    keep_identity(&mut new, old);
    if new == *old {
        return Ok(None);
    }
    match new.on_update(old) {
        Ok(()) => Ok(Some(new)),
        Err(message) => Err(Refusal::Invalid { key: key_of(&new), message: message.into() }),
    }
}

fn keep_identity<T: Resource>(new: &mut T, old: &T) {
    let (old, new) = (old.meta(), new.meta_mut());
    new.uid = old.uid;
    new.generation = old.generation;
    new.created_at = old.created_at;
    if (new.deleted_at, new.deletion_grace) != (old.deleted_at, old.deletion_grace) {
        (new.deleted_at, new.deletion_grace) = (old.deleted_at, old.deletion_grace);
    }
    new.generate_name = false;
}

/// As [`write_status`], for the kind whose status is written most: the sender's version becomes the stored one, with
/// everything but its status as it was, so that nothing is copied if nobody else has that version. Most senders have
/// the rest from the stored version itself.
fn write_pod_status(store: &mut Store, mut version: Arc<Pod>, expected: Option<Revision>) -> Answer {
    let (row, old) = checked(store, &version, expected)?;
    check_uid::<Pod>(&version, old)?;
    if version.status == old.status {
        return Ok(unchanged::<Pod>(store, row));
    }
    let new = Arc::make_mut(&mut version);
    if !new.meta.same(&old.meta) {
        new.meta = old.meta.clone();
    }
    if !new.spec.same(&old.spec) {
        new.spec = old.spec.clone();
    }
    if (&new.own, &new.node) != (&old.own, &old.node) {
        (new.own, new.node) = (old.own.clone(), old.node.clone());
    }
    let revision = store.replace_shared(row, version.clone());
    Ok(Reply::Object(Object::Pod(version), revision))
}

fn write_status<T: Parts>(
    store: &mut Store,
    version: &Arc<T>,
    expected: Option<Revision>,
    take: impl FnOnce(&mut T, &T),
) -> Answer {
    let (row, old) = checked(store, version, expected)?;
    check_uid::<T>(version, old)?;
    let mut new = T::clone(old);
    take(&mut new, version);
    if new == **old {
        return Ok(unchanged::<T>(store, row));
    }
    let revision = store.replace(row, new);
    Ok(read::stored::<T>(store, row, revision))
}

/// Writes a version of a row, unless it is what the row has.
pub(super) fn replace<T: Stored>(store: &mut Store, row: RowId, old: &T, new: T) -> Reply {
    if new == *old {
        return unchanged::<T>(store, row);
    }
    let revision = store.replace(row, new);
    read::stored::<T>(store, row, revision)
}

/// The answer to a write that changes nothing.
fn unchanged<T: Stored>(store: &Store, row: RowId) -> Reply {
    let revision = store.newest().version_of::<T>(row).expect("the row is present");
    read::stored::<T>(store, row, revision)
}

/// Finds the stored version and checks that it is the one that the writer had.
pub(super) fn checked<'a, T: Stored>(
    store: &'a Store,
    version: &Arc<T>,
    expected: Option<Revision>,
) -> Result<(RowId, &'a Arc<T>), Refusal> {
    let meta = version.meta();
    let found = store.newest().find::<T>(&meta.namespace, &meta.name);
    let (row, old) = found.ok_or_else(|| Refusal::NotFound(key_of::<T>(version)))?;
    if let Some(expected) = expected {
        let stored = store.newest().version_of::<T>(row).expect("the row is present");
        if expected != stored {
            return Err(Refusal::Conflict { key: key_of::<T>(version), expected, stored });
        }
    }
    Ok((row, old))
}

fn check_uid<T: Resource>(version: &T, stored: &T) -> Result<(), Refusal> {
    let (expected, stored) = (version.meta().uid, stored.meta().uid);
    if expected == stored { Ok(()) } else { Err(Refusal::WrongUid { expected, stored }) }
}

fn key_of<T: Resource>(object: &T) -> ObjectKey {
    let meta = object.meta();
    ObjectKey { kind: T::KIND, namespace: meta.namespace.clone(), name: meta.name.clone() }
}
