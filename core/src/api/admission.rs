//! What admission adds to a pod: default tolerations and the status of a pod that nobody has touched.

use std::collections::BTreeMap;

use crate::digest::Shared;
use crate::id::Name;
use crate::model::{
    ConditionKind, Node, Pod, PodSpec, PodStatus, Status3, Taint, TaintEffect, Toleration, TolerationOperator,
};
use crate::time::Time;

/// The taint of a node whose kubelet says that it is not ready.
pub const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// The taint of a node whose kubelet is silent.
pub const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// How long a pod endures them by default, in seconds.
const DEFAULT_TOLERATION_SECONDS: i64 = 300;

/// How many completed specs are remembered before all are forgotten.
const REMEMBERED_LIMIT: usize = 4_096;

/// Admission with a memory: pods of one template share one completed spec, as they share the template's.
#[derive(Default)]
pub(super) struct Admission {
    /// The completed spec by the hash of what it was completed from.
    completed: BTreeMap<u64, (Shared<PodSpec>, Shared<PodSpec>)>,
}

impl Admission {
    /// Completes a pod on its way into the store.
    pub(super) fn admit_pod(&mut self, pod: &mut Pod, now: Time) {
        pod.status = PodStatus::default().into();
        mark_if_gated(pod, now);
        let hash = pod.spec.stable_hash();
        match self.completed.get(&hash) {
            Some((given, completed)) if *given == pod.spec => pod.spec = completed.clone(),
            _ => {
                let given = pod.spec.clone();
                add_default_tolerations(pod);
                if self.completed.len() >= REMEMBERED_LIMIT {
                    self.completed.clear();
                }
                self.completed.insert(hash, (given, pod.spec.clone()));
            }
        }
    }
}

/// Keeps pods off a new node until the node lifecycle has seen that it is ready.
///
/// Source: plugin/pkg/admission/nodetaint/admission.go (v1.34.1).
pub(super) fn taint_node(node: &mut Node) {
    let taint =
        Taint { key: NOT_READY.into(), value: Name::default(), effect: TaintEffect::NoSchedule, added_at: None };
    if !node.spec.taints.iter().any(|present| present.same_mark(&taint)) {
        node.spec.taints.push(taint);
    }
}

/// Says that the scheduler will not look at the pod yet.
///
/// Source: `applySchedulingGatedCondition`, pkg/registry/core/pod/strategy.go (v1.34.1).
fn mark_if_gated(pod: &mut Pod, now: Time) {
    if pod.spec.rules.as_ref().is_some_and(|rules| !rules.scheduling_gates.is_empty()) {
        let (reason, message) = ("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates");
        pod.status.conditions.set(ConditionKind::PodScheduled, Status3::False, reason, message, now);
    }
}

/// Source: plugin/pkg/admission/defaulttolerationseconds/admission.go (v1.34.1).
fn add_default_tolerations(pod: &mut Pod) {
    let covers = |toleration: &Toleration, key: &str| {
        (*toleration.key == *key || toleration.key.is_empty())
            && toleration.effect.is_none_or(|effect| effect == TaintEffect::NoExecute)
    };
    let missing: Vec<&str> = [NOT_READY, UNREACHABLE]
        .into_iter()
        .filter(|key| !pod.spec.tolerations.iter().any(|toleration| covers(toleration, key)))
        .collect();
    if missing.is_empty() {
        return;
    }
    let mut spec = (*pod.spec).clone();
    spec.tolerations.extend(missing.into_iter().map(|key| Toleration {
        key: key.into(),
        operator: TolerationOperator::Exists,
        value: "".into(),
        effect: Some(TaintEffect::NoExecute),
        seconds: Some(DEFAULT_TOLERATION_SECONDS),
    }));
    pod.spec = Shared::new(spec);
}
