//! PostFilter and the message for people: why no node takes a pod.
//!
//! Preemption is not part of the model. Its part of the message is what Kubernetes prints when there is nothing to
//! preempt, and it is left out when some placed pod has a lower priority, because Kubernetes would then try.
//!
//! Source: `FitError.Error`, pkg/scheduler/framework/types.go, and pkg/scheduler/framework/preemption/preemption.go
//! (v1.34.1).

use std::collections::BTreeMap;

use crate::scheduler::plugins::{Plugin, Reason, Refusal, texts};
use crate::scheduler::reference::Case;
use crate::scheduler::volumes::Rejection;

/// Why no node takes a pod.
pub(super) struct Diagnosis {
    /// The plugins that refused some node, in their order, each once.
    pub(super) plugins: Vec<Plugin>,
    /// What the filters say.
    pub(super) reasons: String,
    /// The scheduler's message: that and what PostFilter adds.
    pub(super) message: String,
}

/// Counts the refusals of all nodes; the position's refusal comes from `refusal_at`.
pub(super) fn diagnose(case: Case<'_>, refusal_at: impl Fn(u32) -> Refusal) -> Diagnosis {
    let (cache, pod, args) = (case.cache, case.pod(), &case.profile.args);
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
            for text in texts(args, pod, cache.slot(*slot), refusal) {
                *reasons.entry(text).or_insert(0) += 1;
            }
        }
        alike.entry(refusal).or_insert((0, *slot)).0 += 1;
    }
    let mut conflict = None;
    for (refusal, (count, slot)) in alike {
        plugins.extend(refusal.plugin());
        if !refusal.has(Reason::UntoleratedTaint) && !refusal.has(Reason::InsufficientExtended) {
            for text in texts(args, pod, cache.slot(slot), refusal) {
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
    let mut message = reasons.clone();
    if let Some(text) = post_filters(case, nodes, helpless) {
        message.push(' ');
        message.push_str(&text);
    }
    Diagnosis { plugins, reasons, message }
}

/// A plugin's PreFilter has refused the pod on every node.
///
/// The last words are those of DynamicResources' PostFilter, which misses what its own PreFilter would have left: it
/// comes after the plugins about volumes and has not been called. It keeps preemption from being tried.
pub(super) fn rejected(case: Case<'_>, rejection: &Rejection) -> Diagnosis {
    let reasons = format!("0/{} nodes are available: {}.", case.cache.order().len(), rejection.message);
    let message = format!("{reasons} not found");
    Diagnosis { plugins: vec![rejection.plugin], reasons, message }
}

/// `0/5 nodes are available: 2 Insufficient cpu, 3 node(s) were unschedulable.`, sorted as text.
fn unavailable(nodes: u32, reasons: BTreeMap<String, u32>) -> String {
    let mut counted: Vec<String> = reasons.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    counted.sort_unstable();
    format!("0/{nodes} nodes are available: {}.", counted.join(", "))
}

/// What DynamicResources and DefaultPreemption add, in the profile's order; `None` if they are not called, or if
/// Kubernetes would try to preempt.
fn post_filters(case: Case<'_>, nodes: u32, helpless: u32) -> Option<String> {
    let pod = case.pod();
    let never_preempts = pod.spec.rules.as_ref().is_some_and(|rules| rules.never_preempts);
    let nobody_lower = case.cache.lowest_priority().is_none_or(|lowest| lowest >= pod.spec.priority);
    let mut texts = Vec::new();
    for plugin in &case.profile.post_filters {
        match plugin {
            Plugin::DynamicResources => texts.push("no new claims to deallocate".to_string()),
            Plugin::DefaultPreemption if never_preempts => {
                texts.push("preemption: not eligible due to preemptionPolicy=Never.".to_string());
            }
            Plugin::DefaultPreemption if nobody_lower => texts.push(nothing_to_preempt(nodes, helpless)),
            Plugin::DefaultPreemption => return None,
            _ => {}
        }
    }
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn nothing_to_preempt(nodes: u32, helpless: u32) -> String {
    let mut reasons = BTreeMap::new();
    if helpless > 0 {
        reasons.insert("Preemption is not helpful for scheduling".to_string(), helpless);
    }
    if helpless < nodes {
        reasons.insert("No preemption victims found for incoming pod".to_string(), nodes - helpless);
    }
    format!("preemption: {}", unavailable(nodes, reasons))
}
