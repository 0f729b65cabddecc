//! The message for people: why no node takes a pod.
//!
//! Source: `FitError.Error`, pkg/scheduler/framework/types.go (v1.34.1).

use std::collections::BTreeMap;

use crate::scheduler::plugins::{Plugin, Reason, Refusal};
use crate::scheduler::reference::Case;
use crate::scheduler::volumes::Rejection;

/// Why no node takes a pod.
pub(super) struct Diagnosis {
    /// The plugins that refused some node, in their order, each once.
    pub(super) plugins: Vec<Plugin>,
    /// What the filters say.
    pub(super) reasons: String,
}

/// Counts the refusals of all nodes; the position's refusal comes from `refusal_at`.
pub(super) fn diagnose(case: Case<'_>, refusal_at: impl Fn(u32) -> Refusal) -> Diagnosis {
    let (order, pod) = (case.cache.order(), case.pod());
    let mut reasons: BTreeMap<String, u32> = BTreeMap::new();
    let mut alike: BTreeMap<Refusal, (u32, u32)> = BTreeMap::new();
    let mut plugins = Vec::new();
    for (position, slot) in order.iter().enumerate() {
        let refusal = refusal_at(position as u32);
        assert!(!refusal.is_none(), "a feasible node is diagnosed");
        // The texts of these two depend on the node; all others are counted first and written once.
        if refusal.has(Reason::UntoleratedTaint) || refusal.has(Reason::InsufficientExtended) {
            for text in case.texts(*slot, refusal) {
                *reasons.entry(text).or_insert(0) += 1;
            }
        }
        alike.entry(refusal).or_insert((0, *slot)).0 += 1;
    }
    let mut conflict = None;
    for (refusal, (count, slot)) in alike {
        plugins.extend(refusal.plugin());
        if !refusal.has(Reason::UntoleratedTaint) && !refusal.has(Reason::InsufficientExtended) {
            for text in case.texts(slot, refusal) {
                if refusal.has(Reason::NamesConflict) {
                    conflict = Some(text);
                } else {
                    *reasons.entry(text).or_insert(0) += count;
                }
            }
        }
    }
    plugins.extend(case.profile.named_nodes(pod).map(|_| Plugin::NodeAffinity));
    plugins.sort_unstable();
    plugins.dedup();
    let nodes = order.len() as u32;
    // What PreFilter says is not counted.
    let reasons = match conflict {
        Some(text) => format!("0/{nodes} nodes are available: {text}."),
        None => unavailable(nodes, reasons),
    };
    Diagnosis { plugins, reasons }
}

/// A plugin's PreFilter has refused the pod on every node.
pub(super) fn rejected(case: Case<'_>, rejection: &Rejection) -> Diagnosis {
    let reasons = format!("0/{} nodes are available: {}.", case.cache.order().len(), rejection.message);
    Diagnosis { plugins: vec![rejection.plugin], reasons }
}

/// `0/5 nodes are available: 2 Insufficient cpu, 3 node(s) were unschedulable.`, sorted as text.
pub(super) fn unavailable(nodes: u32, reasons: BTreeMap<String, u32>) -> String {
    let mut counted: Vec<String> = reasons.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    counted.sort_unstable();
    format!("0/{nodes} nodes are available: {}.", counted.join(", "))
}
