//! The garbage collector: what belongs to an object that is gone goes too.
//!
//! Event driven: an object that goes wakes those that it owned; an object that comes with an absent owner is looked at
//! once. Invariant: an object with one owner that is there and not waiting for it stays. Invariant: deletions name the
//! uid, so a new object of an old name is safe. Source: pkg/controller/garbagecollector (v1.34.1). Absent on purpose:
//! discovery and the reading of absent owners (the store's views are consistent across kinds).

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::api::deletion::{FOREGROUND_DELETION, ORPHAN};
use crate::api::{Propagation, Refusal, Request};
use crate::config::{ControllerManagerConfig, RateLimit};
use crate::context::Context;
use crate::controllers::kinds;
use crate::controllers::news::{News, Topics};
use crate::controllers::reconciler::{Desk, Reconciler, Step};
use crate::events::Event;
use crate::id::{Name, Uid};
use crate::model::{Kind, Meta, Object, ObjectKey, OwnerReference, OwnerReferences};
use crate::store::View;

/// The number of this controller's client and work queue.
pub(super) const NUMBER: u8 = 3;
/// How the controller names itself in events.
const REPORTER: &str = "garbage-collector-controller";
/// `--concurrent-gc-syncs`.
const WORKERS: u32 = 20;

/// An object: its identity matters as much as its name.
pub(in crate::controllers) type Item = (ObjectKey, Uid);

/// The controller.
pub(super) struct GarbageCollector {
    desk: Desk<Item, ()>,
    /// Who names an object as an owner that does not manage it; those that it manages are in the store's index.
    unmanaged: BTreeMap<Uid, BTreeSet<Item>>,
}

/// How an object's owners stand.
#[derive(Default)]
struct Owners {
    /// There, and not waiting for their dependents.
    solid: Vec<OwnerReference>,
    /// Waiting until their dependents are gone.
    waiting: Vec<OwnerReference>,
    /// Not there.
    absent: Vec<OwnerReference>,
}

impl GarbageCollector {
    /// The controller before its start.
    pub(super) fn new(config: &ControllerManagerConfig) -> GarbageCollector {
        let tolerated: fn(&Refusal) -> bool =
            |refusal| matches!(refusal, Refusal::NotFound(_) | Refusal::WrongUid { .. });
        GarbageCollector {
            desk: Desk::new(NUMBER, WORKERS, config.client_limit.map(doubled), tolerated),
            unmanaged: BTreeMap::new(),
        }
    }

    /// Takes the owner out of its dependents, then lets it go.
    fn orphan(&self, view: View<'_>, item: &Item) -> Vec<Vec<Request>> {
        let keep_others = |meta: &Meta| meta.owners.iter().filter(|owner| owner.uid != item.1).cloned().collect();
        let dependents = self.dependents(view, item.1);
        let released = dependents.iter().filter_map(|dependent| rewrite(view, dependent, keep_others)).collect();
        vec![released, without_finalizer(view, item, ORPHAN)]
    }

    /// Wakes the dependents that hold an owner back, or lets the owner go if there are none.
    ///
    /// Source: `processDeletingDependentsItem`.
    fn delete_dependents(&mut self, view: View<'_>, item: &Item) -> Vec<Vec<Request>> {
        let dependents = self.dependents(view, item.1);
        let blocks = |dependent: &&Item| {
            let meta = kinds::find_meta(view, &dependent.0).filter(|meta| meta.uid == dependent.1);
            let owners = meta.iter().flat_map(|meta| meta.owners.iter());
            owners.filter(|owner| owner.uid == item.1).any(|owner| owner.block_owner_deletion)
        };
        let mut blocking = dependents.iter().filter(blocks).peekable();
        if blocking.peek().is_none() {
            return vec![without_finalizer(view, item, FOREGROUND_DELETION)];
        }
        for dependent in blocking {
            let waits_itself = kinds::find_meta(view, &dependent.0).is_some_and(is_waiting);
            if !waits_itself {
                self.desk.queue.add(dependent.clone());
            }
        }
        Vec::new()
    }

    /// Deletes an object whose owners are all gone or wait for it.
    ///
    /// Source: `attemptToDeleteItem`.
    fn collect(&self, view: View<'_>, item: &Item, meta: &Meta) -> Vec<Vec<Request>> {
        // What has no namespace cannot be owned by what has one: such an owner is not even looked for.
        let misplaced = meta.namespace.is_empty() && meta.owners.iter().any(|owner| owner.kind.is_namespaced());
        // Whether an owner of an unknown kind is there cannot be found out, so nothing is done: Kubernetes tries again
        // and again, and no event tells of it.
        if meta.owners.is_empty() || misplaced || !meta.strangers.is_empty() {
            return Vec::new();
        }
        let owners = owners_of(view, meta);
        if !owners.solid.is_empty() {
            let drop_others = owners.absent.len() + owners.waiting.len() > 0;
            let rewritten = drop_others.then(|| rewrite(view, item, |_| owners.solid.iter().cloned().collect()));
            return vec![rewritten.flatten().into_iter().collect()];
        }
        let dependents = self.dependents(view, item.1);
        if owners.waiting.is_empty() || dependents.is_empty() {
            let propagation = if has(meta, ORPHAN) {
                Propagation::Orphan
            } else if has(meta, FOREGROUND_DELETION) {
                Propagation::Foreground
            } else {
                Propagation::Background
            };
            return vec![read(item), vec![delete(item, propagation)]];
        }
        // A dependent that waits for dependents of its own could wait in a circle: it then holds back nobody.
        let in_a_circle = dependents.iter().any(|(key, _)| kinds::find_meta(view, key).is_some_and(is_waiting));
        let unblock = |meta: &Meta| {
            meta.owners.iter().map(|owner| OwnerReference { block_owner_deletion: false, ..owner.clone() }).collect()
        };
        let unblocked = if in_a_circle { rewrite(view, item, unblock) } else { None };
        vec![read(item), unblocked.into_iter().collect(), vec![delete(item, Propagation::Foreground)]]
    }

    fn dependents(&self, view: View<'_>, owner: Uid) -> Vec<Item> {
        let mut dependents = kinds::controlled_by(view, owner);
        dependents.extend(self.unmanaged.get(&owner).into_iter().flatten().cloned());
        dependents
    }

    fn on_object(&mut self, ctx: &mut Context<'_>, view: View<'_>, kind: Kind, old: Option<&Meta>, new: Option<&Meta>) {
        let Some(meta) = new.or(old) else { return };
        let same_owners = old.map(|old| &old.owners) == new.map(|new| &new.owners);
        let acts_before_it_goes = meta.is_terminating() && (has(meta, FOREGROUND_DELETION) || has(meta, ORPHAN));
        let comes_to_its_owners = old.is_none() && meta.owners.iter().all(|owner| is_managed_by(view, owner, meta));
        if (same_owners || comes_to_its_owners) && !acts_before_it_goes {
            return;
        }
        let item = (kinds::key_of(kind, meta), meta.uid);
        if !same_owners {
            self.note_unmanaged(&item, old, new);
        }
        match new {
            None => {
                for dependent in self.dependents(view, item.1) {
                    self.desk.queue.add(dependent);
                }
                self.unmanaged.remove(&item.1);
            }
            Some(new) => {
                let newly = old.is_none_or(|old| !old.is_terminating() || old.finalizers != new.finalizers);
                let owners = if same_owners { Owners::default() } else { owners_of(view, new) };
                let added = |owner: &&OwnerReference| old.is_none_or(|old| !old.owners.contains(owner));
                if let Some(owner) = owners.absent.iter().filter(added).find(|owner| is_elsewhere(view, owner)) {
                    ctx.event(item.0.clone(), foreign(owner, new));
                }
                // All are looked at, not only those that hold the owner back; those that come later are left until the
                // owner is looked at again. Source: `processTransitions`.
                if begins_to_wait(old, new) {
                    for dependent in self.dependents(view, item.1) {
                        self.desk.queue.add(dependent);
                    }
                }
                if (acts_before_it_goes && newly) || !owners.absent.is_empty() {
                    self.desk.queue.add(item);
                }
            }
        }
        if let Some(old) = old.filter(|_| !same_owners || new.is_none()) {
            for owner in old.owners.iter() {
                if found_owner(view, owner, old).is_some_and(is_waiting) {
                    self.desk.queue.add((owner_key(owner, old), owner.uid));
                }
            }
        }
    }

    fn note_unmanaged(&mut self, item: &Item, old: Option<&Meta>, new: Option<&Meta>) {
        let unmanaged = |meta: &Meta| -> Vec<Uid> {
            meta.owners.iter().filter(|owner| !owner.controller).map(|owner| owner.uid).collect()
        };
        for owner in old.map(unmanaged).unwrap_or_default() {
            if let Some(items) = self.unmanaged.get_mut(&owner) {
                items.remove(item);
                if items.is_empty() {
                    self.unmanaged.remove(&owner);
                }
            }
        }
        for owner in new.map(unmanaged).unwrap_or_default() {
            self.unmanaged.entry(owner).or_default().insert(item.clone());
        }
    }
}

impl Reconciler for GarbageCollector {
    type Key = Item;
    type Stage = ();

    fn topics(&self) -> Topics {
        Topics::OTHER_KINDS.and(Topics::POD_OWNERS).and(Topics::POD_LEAVES)
    }

    fn desk(&mut self) -> &mut Desk<Item, ()> {
        &mut self.desk
    }

    fn list(&mut self, ctx: &mut Context<'_>, view: View<'_>) {
        for kind in Kind::ALL {
            for meta in kinds::all(view, *kind) {
                self.on_object(ctx, view, *kind, None, Some(meta));
            }
        }
    }

    fn note(&mut self, ctx: &mut Context<'_>, view: View<'_>, News { change, pods, .. }: &News<'_>) {
        let (old, new) = match change.kind {
            Kind::Pod => (pods.0.map(|pod| &*pod.meta), pods.1.map(|pod| &*pod.meta)),
            _ => kinds::metas_of(view, change),
        };
        self.on_object(ctx, view, change.kind, old, new);
    }

    fn sync(&mut self, ctx: &mut Context<'_>, view: View<'_>, item: Item) -> Step<Item, ()> {
        let batches = match kinds::find_meta(view, &item.0).filter(|meta| meta.uid == item.1) {
            None => Vec::new(),
            Some(meta) if meta.is_terminating() && has(meta, ORPHAN) => self.orphan(view, &item),
            Some(meta) if is_waiting(meta) => self.delete_dependents(view, &item),
            Some(meta) if meta.is_terminating() => Vec::new(),
            Some(meta) => self.collect(view, &item, meta),
        };
        self.desk.begin(ctx, item, (), batches)
    }
}

fn owners_of(view: View<'_>, meta: &Meta) -> Owners {
    let mut owners = Owners::default();
    for owner in meta.owners.iter() {
        match found_owner(view, owner, meta) {
            None => owners.absent.push(owner.clone()),
            Some(found) if is_waiting(found) => owners.waiting.push(owner.clone()),
            Some(_) => owners.solid.push(owner.clone()),
        }
    }
    owners
}

/// Where an owner is to be found: in the namespace of what it owns, unless its kind has none.
fn owner_key(owner: &OwnerReference, owned: &Meta) -> ObjectKey {
    ObjectKey { kind: owner.kind, namespace: namespace_of(owner, owned).clone(), name: owner.name.clone() }
}

fn namespace_of<'a>(owner: &OwnerReference, owned: &'a Meta) -> &'a Name {
    const NONE: &Name = &Name::new();
    if owner.kind.is_namespaced() { &owned.namespace } else { NONE }
}

/// An owner, if it is there and is the very one that is named.
fn found_owner<'a>(view: View<'a>, owner: &OwnerReference, owned: &Meta) -> Option<&'a Meta> {
    let found = kinds::find_named(view, owner.kind, namespace_of(owner, owned), &owner.name);
    found.filter(|found| found.uid == owner.uid)
}

/// Whether an owner is there, manages the object and does not wait for it to go.
fn is_managed_by(view: View<'_>, owner: &OwnerReference, owned: &Meta) -> bool {
    owner.controller && found_owner(view, owner, owned).is_some_and(|found| !is_waiting(found))
}

/// Whether an owner that is not where it should be is in another namespace. Only owners that are missed are sought for.
fn is_elsewhere(view: View<'_>, owner: &OwnerReference) -> bool {
    owner.kind.is_namespaced() && kinds::all(view, owner.kind).into_iter().any(|meta| meta.uid == owner.uid)
}

/// What is said of an object whose owner is in another namespace; of several owners the first is told.
///
/// Source: `addDependentToOwners`, `reportInvalidNamespaceOwnerRef`, pkg/controller/garbagecollector/graph_builder.go
/// (v1.34.1).
fn foreign(owner: &OwnerReference, owned: &Meta) -> Event {
    let OwnerReference { kind, name, uid, .. } = owner;
    let (api_version, kind, namespace) = (kind.api_version(), kind.name(), &owned.namespace);
    let reference = format!("[{api_version}/{kind}, namespace: {namespace}, name: {name}, uid: {uid}]");
    let message = format!("ownerRef {reference} does not exist in namespace \"{namespace}\"");
    Event::warning(REPORTER, "OwnerRefInvalidNamespace", message).about(owned)
}

/// Whether an object is being deleted and waits for its dependents.
fn is_waiting(meta: &Meta) -> bool {
    meta.is_terminating() && has(meta, FOREGROUND_DELETION)
}

/// Whether an object begins to wait for its dependents with a change.
///
/// Source: `startsWaitingForDependentsDeleted`.
fn begins_to_wait(old: Option<&Meta>, new: &Meta) -> bool {
    is_waiting(new) && !has(new, ORPHAN) && !old.is_some_and(is_waiting)
}

fn has(meta: &Meta, finalizer: &str) -> bool {
    meta.finalizers.iter().any(|present| **present == *finalizer)
}

/// A conditional write of an object's owners; `None` if the object is gone.
fn rewrite(view: View<'_>, item: &Item, owners: impl FnOnce(&Meta) -> OwnerReferences) -> Option<Request> {
    let (mut object, expected) = kinds::find_object(view, &item.0)?;
    if object.uid() != item.1 {
        return None;
    }
    let owners = owners(object.meta());
    object.meta_mut().owners = owners;
    Some(Request::Update { object, expected })
}

/// A conditional write of an object without one of its finalizers.
fn without_finalizer(view: View<'_>, item: &Item, finalizer: &str) -> Vec<Request> {
    let found: Option<(Object, _)> = kinds::find_object(view, &item.0).filter(|(object, _)| object.uid() == item.1);
    let rewritten = found.map(|(mut object, expected)| {
        let meta = object.meta_mut();
        meta.finalizers = meta.finalizers.iter().filter(|present| ***present != *finalizer).cloned().collect();
        Request::Update { object, expected }
    });
    rewritten.into_iter().collect()
}

/// The client's rate counts twice, for each deletion takes a reading too; its burst does not.
///
/// Source: `newGarbageCollectorController`, cmd/kube-controller-manager/app/core.go (v1.34.1).
fn doubled(limit: RateLimit) -> RateLimit {
    RateLimit { per_second: limit.per_second.saturating_mul(2), ..limit }
}

/// The reading before a deletion. The deletion names the uid, so nothing hangs on the answer.
fn read(item: &Item) -> Vec<Request> {
    vec![Request::Get(item.0.clone())]
}

fn delete(item: &Item, propagation: Propagation) -> Request {
    Request::Delete { key: item.0.clone(), uid: Some(item.1), grace: None, propagation }
}
