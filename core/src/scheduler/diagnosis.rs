//! PostFilter and the message for people: why no node takes a pod.
//!
//! Preemption is not part of the model. Its part of the message is what Kubernetes prints when there is nothing to
//! preempt, and it is left out when some placed pod has a lower priority, because Kubernetes would then try.
//!
//! Source: `FitError.Error`, pkg/scheduler/framework/types.go, and pkg/scheduler/framework/preemption/preemption.go
//! (v1.34.1).

use std::collections::BTreeMap;

use crate::scheduler::cache::Cache;
use crate::scheduler::plugins::{Plugin, Reason, Refusal, texts};
use crate::scheduler::traits::PodTraits;
use crate::scheduler::volumes::Rejection;

/// Why no node takes a pod.
pub(super) struct Diagnosis {
    /// The plugins that refused some node, in their order, each once.
    pub(super) plugins: Vec<Plugin>,
    /// The scheduler's message.
    pub(super) message: String,
}

/// Counts the refusals of all nodes; the position's refusal comes from `refusal_at`.
pub(super) fn diagnose(cache: &Cache, pod: &PodTraits, refusal_at: impl Fn(u32) -> Refusal) -> Diagnosis {
    let order = cache.order();
    let mut reasons: BTreeMap<String, u32> = BTreeMap::new();
    let mut alike: BTreeMap<Refusal, (u32, u32)> = BTreeMap::new();
    let (mut helpless, mut plugins) = (0, Vec::new());
    for (position, slot) in order.iter().enumerate() {
        let refusal = refusal_at(position as u32);
        assert!(!refusal.is_none(), "a feasible node is diagnosed");
        helpless += u32::from(refusal.is_unresolvable());
        // The texts of these two depend on the node; all others are counted first and written once.
        if refusal.has(Reason::UntoleratedTaint) || refusal.has(Reason::InsufficientExtended) {
            for text in texts(pod, cache.slot(*slot), refusal) {
                *reasons.entry(text).or_insert(0) += 1;
            }
        }
        alike.entry(refusal).or_insert((0, *slot)).0 += 1;
    }
    for (refusal, (count, slot)) in alike {
        plugins.extend(Reason::ALL.into_iter().filter(|reason| refusal.has(*reason)).map(Reason::plugin));
        if !refusal.has(Reason::UntoleratedTaint) && !refusal.has(Reason::InsufficientExtended) {
            for text in texts(pod, cache.slot(slot), refusal) {
                *reasons.entry(text).or_insert(0) += count;
            }
        }
    }
    plugins.sort_unstable();
    plugins.dedup();
    let nodes = order.len() as u32;
    let mut message = unavailable(nodes, reasons);
    let never_preempts = pod.spec.rules.as_ref().is_some_and(|rules| rules.never_preempts);
    if never_preempts {
        message.push_str(" no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.");
    } else if cache.lowest_priority().is_none_or(|lowest| lowest >= pod.spec.priority) {
        message.push_str(&nothing_to_preempt(nodes, helpless));
    }
    Diagnosis { plugins, message }
}

/// A plugin's PreFilter has refused the pod on every node.
pub(super) fn rejected(nodes: u32, rejection: Rejection) -> Diagnosis {
    let mut message = format!("0/{nodes} nodes are available: {}.", rejection.message);
    message.push_str(&nothing_to_preempt(nodes, nodes));
    Diagnosis { plugins: vec![rejection.plugin], message }
}

/// `0/5 nodes are available: 2 Insufficient cpu, 3 node(s) were unschedulable.`, sorted as text.
fn unavailable(nodes: u32, reasons: BTreeMap<String, u32>) -> String {
    let mut counted: Vec<String> = reasons.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    counted.sort_unstable();
    format!("0/{nodes} nodes are available: {}.", counted.join(", "))
}

/// What DynamicResources and DefaultPreemption add.
fn nothing_to_preempt(nodes: u32, helpless: u32) -> String {
    let mut reasons = BTreeMap::new();
    if helpless > 0 {
        reasons.insert("Preemption is not helpful for scheduling".to_string(), helpless);
    }
    if helpless < nodes {
        reasons.insert("No preemption victims found for incoming pod".to_string(), nodes - helpless);
    }
    format!(" no new claims to deallocate, preemption: {}", unavailable(nodes, reasons))
}
