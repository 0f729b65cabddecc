//! Deleting objects: grace periods, finalizers, and the moment at which an object is really gone.

use std::sync::Arc;

use crate::api::{Answer, Propagation, Refusal, Reply, read};
use crate::context::Context;
use crate::id::{Name, RowId, Uid};
use crate::model::{Kind, Meta, Namespace, Object, ObjectKey, Pod, Resource, Selector, with_kind};
use crate::store::Store;
use crate::time::{Span, Time};

/// Holds an object until the objects that it owns and that block it are gone.
pub const FOREGROUND_DELETION: &str = "foregroundDeletion";
/// Holds an object until the objects that it owns have lost their owner.
pub const ORPHAN: &str = "orphan";
/// Holds a namespace until it is empty; among the finalizers of its spec.
pub const NAMESPACE_CONTENT: &str = "kubernetes";

/// Namespaces that stay. Source: `NewLifecycle`, staging/src/k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle
/// (v1.34.1).
const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];

/// Deletes an object, or marks it if a grace period or a finalizer holds it back.
pub(super) fn delete(
    ctx: &Context<'_>,
    store: &mut Store,
    key: &ObjectKey,
    uid: Option<Uid>,
    grace: Option<Span>,
    propagation: Propagation,
) -> Answer {
    let (row, stored) = read::current_row(store, key).ok_or_else(|| Refusal::NotFound(key.clone()))?;
    if let Some(expected) = uid.filter(|expected| *expected != stored.uid()) {
        return Err(Refusal::WrongUid { expected, stored: stored.uid() });
    }
    if key.kind == Kind::Namespace && IMMORTAL.contains(&&*key.name) {
        return Err(Refusal::Forbidden { key: key.clone(), message: "this namespace may not be deleted".into() });
    }
    let grace = match &stored {
        Object::Pod(pod) => {
            let given = pod_grace(pod, grace);
            // Pods are deleted gracefully: even one that gets no grace is marked by a write of its own before it goes.
            if given == Span::ZERO && !pod.meta.is_terminating() {
                mark::<Pod>(ctx, store, row, pod, given, pod.meta.finalizers.clone())?;
            }
            given
        }
        _ => Span::ZERO,
    };
    if let Object::Namespace(namespace) = &stored
        && is_held_by_content(namespace)
    {
        return delete_namespace(ctx, store, row, namespace, propagation);
    }
    with_kind!(key.kind, T => delete_row::<T>(ctx, store, row, grace, propagation))
}

/// Whether somebody has yet to be done with a namespace.
pub(super) fn is_held_by_content(namespace: &Namespace) -> bool {
    !namespace.finalizers.is_empty()
}

/// Begins the end of a namespace that somebody has yet to be done with; a second deletion changes nothing.
///
/// Source: `REST.Delete`, pkg/registry/core/namespace/storage/storage.go (v1.34.1).
fn delete_namespace(
    ctx: &Context<'_>,
    store: &mut Store,
    row: RowId,
    namespace: &Arc<Namespace>,
    propagation: Propagation,
) -> Answer {
    if namespace.meta.is_terminating() {
        return Ok(Reply::Deleted(Some(Object::Namespace(namespace.clone()))));
    }
    mark::<Namespace>(ctx, store, row, namespace, Span::ZERO, with_finalizer(&namespace.meta, propagation))
}

/// Deletes the objects of a kind in a namespace that a selector matches, by name.
pub(super) fn delete_matching(
    ctx: &Context<'_>,
    store: &mut Store,
    (kind, namespace): (Kind, &Name),
    selector: &Selector,
    grace: Option<Span>,
    propagation: Propagation,
) -> Answer {
    let view = store.newest();
    let wanted = |meta: &Meta| meta.namespace == *namespace && selector.matches(&meta.labels);
    let mut names: Vec<Name> = with_kind!(kind, T => {
        let metas = view.all::<T>().map(|(_, object)| object.meta());
        metas.filter(|meta| wanted(meta)).map(|meta| meta.name.clone()).collect()
    });
    names.sort();
    for name in names {
        delete(ctx, store, &ObjectKey { kind, namespace: namespace.clone(), name }, None, grace, propagation)?;
    }
    Ok(Reply::Deleted(None))
}

/// The grace that a pod gets: none if no kubelet has it or if it has ended.
///
/// Source: `podStrategy.CheckGracefulDelete`, pkg/registry/core/pod/strategy.go (v1.34.1).
fn pod_grace(pod: &Pod, asked: Option<Span>) -> Span {
    let grace = asked.unwrap_or(pod.spec.termination_grace);
    if pod.node.is_none() || pod.is_finished() { Span::ZERO } else { grace }
}

fn delete_row<T: Resource>(
    ctx: &Context<'_>,
    store: &mut Store,
    row: RowId,
    grace: Span,
    propagation: Propagation,
) -> Answer {
    let stored = store.newest().get::<T>(row).expect("the object was just found").clone();
    let finalizers = with_finalizer(stored.meta(), propagation);
    if finalizers.is_empty() && grace == Span::ZERO {
        store.remove::<T>(row);
        return Ok(Reply::Deleted(None));
    }
    mark::<T>(ctx, store, row, &stored, grace, finalizers)
}

/// Marks an object for deletion; a later request can only shorten the grace, which counts from the first one.
///
/// Source: `BeforeDelete`, staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go (v1.34.1).
fn mark<T: Resource>(
    ctx: &Context<'_>,
    store: &mut Store,
    row: RowId,
    stored: &Arc<T>,
    grace: Span,
    finalizers: Vec<Name>,
) -> Answer {
    let mut marked = T::clone(stored);
    let meta = marked.meta_mut();
    match (meta.deleted_at, meta.deletion_grace) {
        (None, _) => {
            meta.generation += 1;
            meta.deleted_at = Some(ctx.now + grace);
            meta.deletion_grace = Some(grace);
        }
        (Some(ends), Some(granted)) if grace < granted => {
            meta.deleted_at = Some(Time(ends.0 - granted.0 + grace.0));
            meta.deletion_grace = Some(grace);
        }
        _ => {}
    }
    meta.finalizers = finalizers;
    if marked == **stored {
        return Ok(Reply::Deleted(Some(T::into_object(stored.clone()))));
    }
    let revision = store.replace(row, marked);
    match super::create::stored::<T>(store, row, revision) {
        Reply::Object(object, _) => Ok(Reply::Deleted(Some(object))),
        other => Ok(other),
    }
}

/// The finalizers of an object that is being deleted with this propagation: a policy takes the place of another.
///
/// Source: `deletionFinalizersForGarbageCollection`,
/// staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go (v1.34.1).
fn with_finalizer(meta: &Meta, propagation: Propagation) -> Vec<Name> {
    let of_policies = [FOREGROUND_DELETION, ORPHAN];
    // A deletion that names no policy leaves it at what the object says itself.
    let own = meta.finalizers.iter().find_map(|own| of_policies.into_iter().find(|policy| **own == **policy));
    let added = match propagation {
        Propagation::Background => own,
        Propagation::OrphanByDefault => own.or(Some(ORPHAN)),
        Propagation::BackgroundAnyway => None,
        Propagation::Foreground => Some(FOREGROUND_DELETION),
        Propagation::Orphan => Some(ORPHAN),
    };
    let has = |finalizer: &str| meta.finalizers.iter().any(|own| **own == *finalizer);
    if of_policies.iter().all(|finalizer| has(finalizer) == (Some(*finalizer) == added)) {
        return meta.finalizers.clone();
    }
    let kept = meta.finalizers.iter().filter(|finalizer| !of_policies.contains(&&***finalizer)).cloned();
    kept.chain(added.map(Name::from)).collect()
}

/// Whether an object that has been marked has nothing left to hold it: the write that makes this true removes it.
pub(super) fn is_released(meta: &Meta) -> bool {
    meta.is_terminating() && meta.finalizers.is_empty() && meta.deletion_grace.is_none_or(|grace| grace == Span::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MetaExtras;

    #[test]
    fn a_policy_that_is_named_counts_then_the_objects_own_then_the_kinds() {
        use Propagation::{Background, BackgroundAnyway, Foreground, Orphan, OrphanByDefault};
        let table: [(&[&str], Propagation, &[&str]); 12] = [
            (&[], Background, &[]),
            (&[], OrphanByDefault, &["orphan"]),
            (&["orphan"], Background, &["orphan"]),
            (&["orphan"], OrphanByDefault, &["orphan"]),
            (&["orphan", "shop/wait"], Foreground, &["shop/wait", "foregroundDeletion"]),
            (&["orphan"], BackgroundAnyway, &[]),
            (&["shop/wait", "foregroundDeletion"], Background, &["shop/wait", "foregroundDeletion"]),
            (&["foregroundDeletion", "shop/wait"], OrphanByDefault, &["foregroundDeletion", "shop/wait"]),
            (&["foregroundDeletion"], Orphan, &["orphan"]),
            (&["foregroundDeletion"], BackgroundAnyway, &[]),
            // Both at once are refused in a manifest; the first one counts.
            (&["foregroundDeletion", "orphan"], OrphanByDefault, &["foregroundDeletion"]),
            (&["shop/wait"], OrphanByDefault, &["shop/wait", "orphan"]),
        ];
        for (has, propagation, expected) in table {
            let names = |texts: &[&str]| -> Vec<Name> { texts.iter().map(|text| Name::from(*text)).collect() };
            let extras = MetaExtras { finalizers: names(has), ..MetaExtras::default() };
            let meta = Meta { extras: extras.into(), ..Meta::default() };
            assert_eq!(with_finalizer(&meta, propagation), names(expected), "{has:?} {propagation:?}");
        }
    }
}
