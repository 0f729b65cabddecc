//! Deleting objects: grace periods, finalizers, and the moment at which an object is really gone.

use std::sync::Arc;

use crate::api::namespace::is_held_by_content;
use crate::api::{Answer, Propagation, Refusal, Reply, read};
use crate::context::Context;
use crate::id::{Name, RowId, Uid};
use crate::model::{Kind, Meta, Namespace, Object, ObjectKey, Pod, Resource, Selector, with_kind};
use crate::store::{Store, Stored};
use crate::time::{Span, Time};

/// Holds an object until the objects that it owns and that block it are gone.
pub const FOREGROUND_DELETION: &str = "foregroundDeletion";
/// Holds an object until the objects that it owns have lost their owner.
pub const ORPHAN: &str = "orphan";

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
        // A second deletion does nothing but shorten the grace, if it names a shorter one.
        Object::Pod(pod) if pod.meta.is_terminating() => match grace_left(&pod.meta, grace) {
            Some(left) => left,
            None => return Ok(Reply::Deleted(Some(stored))),
        },
        Object::Pod(pod) => {
            let given = pod_grace(pod, grace);
            // Pods are deleted gracefully: even one that gets no grace is marked by a write of its own before it goes.
            if given == Span::ZERO {
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

/// The grace that a further deletion leaves to a pod that is being deleted already; `None` if it changes nothing. Where
/// none was left, the pod goes as soon as nothing holds it.
///
/// Source: `BeforeDelete`, staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go (v1.34.1).
fn grace_left(meta: &Meta, asked: Option<Span>) -> Option<Span> {
    let granted = meta.deletion_grace.unwrap_or_default();
    if granted == Span::ZERO { Some(granted) } else { asked.filter(|asked| *asked < granted) }
}

fn delete_row<T: Stored>(
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
fn mark<T: Stored>(
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
            let ends = Time(ends.0 - granted.0 + grace.0);
            // What is over already is over now, and who is stopped gracefully has a second at least.
            let is_over = ends < ctx.now;
            meta.deleted_at = Some(ends.max(ctx.now));
            meta.deletion_grace = Some(if is_over { grace.min(Span::from_secs(1)) } else { grace });
        }
        _ => {}
    }
    meta.finalizers = finalizers;
    if marked == **stored {
        return Ok(Reply::Deleted(Some(T::into_object(stored.clone()))));
    }
    let revision = store.replace(row, marked);
    match read::stored::<T>(store, row, revision) {
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
    use crate::api::Request;
    use crate::config::Config;
    use crate::model::{MetaExtras, Phase};
    use crate::testbed::Testbed;

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

    #[test]
    fn a_second_deletion_of_a_pod_can_only_shorten_its_grace() {
        let seconds = |count: u64| Some(Span::from_secs(count));
        // The grace that the first deletion asks for, whether the pod has ended since, the grace that the second asks
        // for, and the grace that the pod has then; `None`: it is gone. The pod's own is 30 s.
        let table = [
            (None, false, None, Some(30)),
            (seconds(60), false, None, Some(60)),
            (seconds(60), false, seconds(60), Some(60)),
            (seconds(60), false, seconds(90), Some(60)),
            (seconds(60), false, seconds(10), Some(10)),
            (None, true, None, Some(30)),
            (None, true, seconds(40), Some(30)),
            (None, true, seconds(5), Some(5)),
            (None, false, seconds(0), None),
            (None, true, seconds(0), None),
        ];
        for (first, has_ended, second, expected) in table {
            let mut bed = Testbed::new(Config::default());
            bed.add_node(0, "n1", "a", 4_000, 1 << 30);
            bed.silence(0);
            bed.create(Pod { meta: Meta::named("default", "p").into(), node: Some("n1".into()), ..Pod::default() });
            let key = ObjectKey::new(Kind::Pod, "default", "p");
            let deletion = |grace, propagation| Request::Delete { key: key.clone(), uid: None, grace, propagation };
            assert_eq!(bed.ask(deletion(first, Propagation::Background)), "");
            if has_ended {
                let mut pod = Pod::clone(&bed.get::<Pod>("default", "p").expect("it is there"));
                pod.status.phase = Phase::Succeeded;
                assert_eq!(bed.ask(Request::UpdateStatus { object: Object::Pod(Arc::new(pod)), expected: None }), "");
            }
            assert_eq!(bed.ask(deletion(second, Propagation::Background)), "");
            let left = bed.get::<Pod>("default", "p").and_then(|pod| pod.meta.deletion_grace).map(Span::as_secs);
            assert_eq!(left, expected, "{first:?}, ended {has_ended}, {second:?}");
            if expected.is_some() && second.is_none() {
                assert_eq!(bed.ask(deletion(None, Propagation::Foreground)), "");
                let finalizers = bed.get::<Pod>("default", "p").map(|pod| pod.meta.finalizers.len());
                assert_eq!(finalizers, Some(0), "nor does it change what holds the pod");
            }
        }
    }

    #[test]
    fn a_grace_that_is_over_already_when_it_is_shortened_ends_now() {
        let extras = || MetaExtras { finalizers: ["example.com/hold".into()].into(), ..MetaExtras::default() };
        for (asked, expected) in [(0, (0, 20)), (5, (1, 20)), (25, (25, 25))] {
            let mut bed = Testbed::new(Config::default());
            bed.add_node(0, "n1", "a", 4_000, 1 << 30);
            bed.silence(0);
            let meta = Meta { extras: extras().into(), ..Meta::named("default", "p") };
            bed.create(Pod { meta: meta.into(), node: Some("n1".into()), ..Pod::default() });
            let key = ObjectKey::new(Kind::Pod, "default", "p");
            let deletion = |grace, propagation| Request::Delete { key: key.clone(), uid: None, grace, propagation };
            bed.ask(deletion(None, Propagation::Background));
            let first = bed.get::<Pod>("default", "p").and_then(|pod| pod.meta.deleted_at).expect("it is going").0;
            bed.run_for(Span::from_secs(20));
            bed.ask(deletion(Some(Span::from_secs(asked)), Propagation::Background));
            let pod = bed.get::<Pod>("default", "p").expect("a finalizer holds it");
            let grace = pod.meta.deletion_grace.map(Span::as_secs);
            let ends = Span(pod.meta.deleted_at.expect("it is going").0 + Span::from_secs(30).0 - first).as_secs();
            assert_eq!((grace, ends), (Some(expected.0), expected.1), "{asked}");
        }
    }
}
