//! Which objects an owner manages: those that name it, and orphans that it adopts.
//!
//! An object that names the owner but is no longer selected is released. Every claim is a write on the condition that
//! the object is still as the watch has shown it, and an owner that adopts is read anew before: it may be about to go.
//! Source: pkg/controller/controller_ref_manager.go (v1.34.1).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::api::{Answer, Request};
use crate::controllers::{NamespacedName, with_owner, without_owner};
use crate::id::{Name, RowId, Uid};
use crate::model::{Kind, Meta, ObjectKey, OwnerReferences};
use crate::store::{Stored, View};

/// Objects of one kind that no controller manages, by namespace: candidates for adoption.
#[derive(Default)]
pub(crate) struct Orphans {
    by_namespace: BTreeMap<Name, BTreeSet<RowId>>,
}

impl Orphans {
    /// A row has become another; `None` is absence.
    pub(crate) fn note(&mut self, row: RowId, old: Option<&Meta>, new: Option<&Meta>) {
        let is_orphan = |meta: &&Meta| !meta.is_managed();
        match (old.filter(is_orphan), new.filter(is_orphan)) {
            (None, Some(meta)) => {
                self.by_namespace.entry(meta.namespace.clone()).or_default().insert(row);
            }
            (Some(meta), None) => {
                if let Some(rows) = self.by_namespace.get_mut(&meta.namespace) {
                    rows.remove(&row);
                }
            }
            _ => {}
        }
    }

    /// The orphans of a namespace, by row.
    pub(crate) fn of<'a, T: Stored + 'a>(
        &'a self,
        view: View<'a>,
        namespace: &Name,
    ) -> impl Iterator<Item = (RowId, &'a Arc<T>)> {
        let rows = self.by_namespace.get(namespace).into_iter().flatten();
        rows.filter_map(move |row| Some((*row, view.get::<T>(*row)?)))
    }
}

/// The adoptions and releases of one sync.
pub(crate) struct Claims<T> {
    /// One conditional write for each.
    pub(crate) requests: Vec<Request>,
    /// The object of each write, and whether it is an adoption.
    claimed: Vec<(Arc<T>, bool)>,
}

impl<T> Default for Claims<T> {
    fn default() -> Self {
        Claims { requests: Vec::new(), claimed: Vec::new() }
    }
}

impl<T: Stored> Claims<T> {
    /// Makes the owner the one that manages the object.
    pub(crate) fn adopt(&mut self, view: View<'_>, kind: Kind, owner: &Meta, row: RowId, object: &Arc<T>) {
        self.claim(view, row, object, with_owner(object.meta(), kind, owner), true);
    }

    /// Takes the owner out of the object's owners.
    pub(crate) fn release(&mut self, view: View<'_>, owner: &Meta, row: RowId, object: &Arc<T>) {
        self.claim(view, row, object, without_owner(object.meta(), owner.uid), false);
    }

    /// How many claims there are.
    pub(crate) fn len(&self) -> usize {
        self.claimed.len()
    }

    /// The owner that has to be read before these claims are made, if some are adoptions.
    pub(crate) fn adopter(&self, kind: Kind, owner: &Meta) -> Option<(ObjectKey, Uid)> {
        let adopts = self.claimed.iter().any(|(_, adopt)| *adopt);
        adopts.then(|| (NamespacedName::of_meta(owner).of(kind), owner.uid))
    }

    /// Leaves objects alone that would be released.
    pub(crate) fn drop_releases(&mut self) {
        let mut adopts = self.claimed.iter().map(|(_, adopt)| *adopt);
        self.requests.retain(|_| adopts.next().expect("there is one request for each claim"));
        self.claimed.retain(|(_, adopt)| *adopt);
    }

    /// The objects whose adoption was granted, as they were before it.
    pub(crate) fn adopted(self, answers: &[Answer]) -> impl Iterator<Item = Arc<T>> {
        assert_eq!(self.claimed.len(), answers.len(), "every claim has been answered");
        let granted = self.claimed.into_iter().zip(answers).filter(|((_, adopt), answer)| *adopt && answer.is_ok());
        granted.map(|((object, _), _)| object)
    }

    fn claim(&mut self, view: View<'_>, row: RowId, object: &Arc<T>, owners: OwnerReferences, adopt: bool) {
        let mut changed = T::clone(object);
        changed.meta_mut().owners = owners;
        let expected = view.version_of::<T>(row);
        self.requests.push(Request::Update { object: T::into_object(Arc::new(changed)), expected });
        self.claimed.push((object.clone(), adopt));
    }
}

/// The objects that the owner manages and selects, in order of their rows, and what it has to claim or release.
/// `selects` is asked of every object that names the owner and of every orphan of the namespace.
pub(crate) fn claim<T: Stored>(
    view: View<'_>,
    orphans: &Orphans,
    kind: Kind,
    owner: &Meta,
    selects: impl Fn(&T) -> bool,
) -> (Vec<Arc<T>>, Claims<T>) {
    let (mut own, mut claims) = (Vec::new(), Claims::default());
    for (row, object) in view.controlled_by::<T>(owner.uid) {
        if selects(object) {
            own.push(object.clone());
        } else if !owner.is_terminating() {
            claims.release(view, owner, row, object);
        }
    }
    if !owner.is_terminating() {
        let adoptable = orphans.of::<T>(view, &owner.namespace).filter(|(_, object)| !object.meta().is_terminating());
        for (row, object) in adoptable.filter(|(_, object)| selects(object)) {
            claims.adopt(view, kind, owner, row, object);
        }
    }
    (own, claims)
}
