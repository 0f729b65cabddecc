//! How many pods of one class count where.

use std::sync::Arc;

use crate::scheduler::topology::Domains;

/// Numbers of a class's pods by slot and by domain, kept up to date pod by pod. Pods that are being deleted are not
/// among them.
///
/// Invariant: it says the same as the class's list of pods, for the slots and domains that `domains` knows.
pub(super) struct Tally {
    pub(super) by_slot: Vec<u32>,
    pub(super) domains: Arc<Domains>,
    pub(super) by_domain: Vec<u32>,
}

impl Tally {
    /// Counts the pods in these slots.
    pub(super) fn of(domains: &Arc<Domains>, slots: impl Iterator<Item = u32>) -> Tally {
        let by_slot = vec![0; domains.slot_count()];
        let mut tally = Tally { by_slot, domains: domains.clone(), by_domain: vec![0; domains.count as usize] };
        slots.for_each(|slot| tally.add(slot, 1));
        tally
    }

    /// One more pod in a slot (1) or one fewer (-1).
    pub(super) fn add(&mut self, slot: u32, change: i32) {
        // A slot made since then makes new domains, and those a new tally.
        let Some(pods) = self.by_slot.get_mut(slot as usize) else { return };
        *pods = pods.checked_add_signed(change).expect("a pod is taken from a slot that counted none");
        if let Some(domain) = self.domains.get(slot) {
            let pods = &mut self.by_domain[domain];
            *pods = pods.checked_add_signed(change).expect("a pod is taken from a domain that counted none");
        }
    }
}
