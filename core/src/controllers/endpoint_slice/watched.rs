//! The slices of one Service as the watch shows them: which pod's endpoint is in which, and how full they are.
//!
//! With this a sync finds the slices that a pod's change concerns without going through all of them. Invariant: as long
//! as [`Watched::is_own`] holds, every version of a slice that the watch has shown since the last look at everything is
//! one that this controller has written.

use std::collections::{BTreeMap, BTreeSet};

use crate::controllers::endpoint_slice::placement::{Changes, SLICE_LIMIT, Settled, Stored};
use crate::id::{Revision, RowId, Uid};
use crate::model::EndpointSlice;
use crate::store::View;

/// What the watch has shown of a Service's slices.
#[derive(Default)]
pub(super) struct Watched {
    /// How many endpoints each has.
    sizes: BTreeMap<RowId, usize>,
    /// The slice of each pod's endpoint.
    homes: BTreeMap<Uid, RowId>,
    /// Writes that either the watch has shown and no answer named, or the other way round.
    unmatched: BTreeSet<Revision>,
}

impl Watched {
    /// What a look at all slices shows.
    pub(super) fn of(slices: &[Stored]) -> Watched {
        let mut watched = Watched::default();
        for it in slices {
            watched.note(it.row, None, Some(&it.slice));
        }
        watched
    }

    /// The watch has shown a change of a slice.
    pub(super) fn note(&mut self, row: RowId, old: Option<&EndpointSlice>, new: Option<&EndpointSlice>) {
        match new {
            Some(slice) => drop(self.sizes.insert(row, slice.endpoints.len())),
            None => drop(self.sizes.remove(&row)),
        }
        let [old, new] = [old, new].map(|slice| slice.map_or(&[][..], |slice| &slice.endpoints[..]));
        // Versions share the endpoints that have not changed, and most changes are of one endpoint.
        let head = old.iter().zip(new).take_while(|(one, other)| one.same(other)).count();
        let (old, new) = (&old[head..], &new[head..]);
        let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(one, other)| one.same(other)).count();
        for endpoint in &old[..old.len() - tail] {
            if self.homes.get(&endpoint.pod_uid) == Some(&row) {
                self.homes.remove(&endpoint.pod_uid);
            }
        }
        for endpoint in &new[..new.len() - tail] {
            self.homes.insert(endpoint.pod_uid, row);
        }
    }

    /// An answer has named a write, or the watch has shown it: each comes once, in either order.
    pub(super) fn told_of(&mut self, write: Revision) {
        if !self.unmatched.remove(&write) {
            self.unmatched.insert(write);
        }
    }

    /// Whether nobody else has written.
    pub(super) fn is_own(&self) -> bool {
        self.unmatched.is_empty()
    }

    /// The slices that these changes can concern, if all are as they should be otherwise; `None` if one is empty, as
    /// only the slice of a Service without endpoints is, unless the Service still has none.
    pub(super) fn settled(&self, view: View<'_>, changes: &Changes) -> Option<Settled> {
        let stored = |row: RowId| {
            let slice = view.get::<EndpointSlice>(row)?.clone();
            Some(Stored { row, slice, version: view.version_of::<EndpointSlice>(row) })
        };
        let touched: BTreeSet<RowId> = changes.keys().filter_map(|uid| self.homes.get(uid).copied()).collect();
        let mut settled = Settled { count: self.sizes.len(), ..Settled::default() };
        if self.homes.is_empty() && self.sizes.len() == 1 && changes.values().all(Option::is_none) {
            return Some(settled);
        }
        for (row, size) in &self.sizes {
            match size {
                0 => return None,
                _ if touched.contains(row) => settled.touched.push(stored(*row)?),
                size if *size < SLICE_LIMIT => settled.roomy.push(stored(*row)?),
                _ => {}
            }
        }
        Some(settled)
    }
}
